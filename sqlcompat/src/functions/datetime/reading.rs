//! `to_date`, `to_timestamp` and `.datetime()` of a path: text read by a picture.
//!
//! Fields are taken off the text one after the other ([`Reader`]) into [`Fields`], where 0 stands for what was not given;
//! [`Fields::resolve`] makes a date, a time and an offset of them.
//!
//! Blanks before and after a field do not matter, and a blank or mark of the picture stands for any one or none, unless
//! `FX` or the standard's rules say otherwise.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8 (usage notes for date/time formatting).

use super::cursor::{Reader, format_error, number_length};
use super::picture::{DAY_NAMES, MONTH_NAMES, ROMAN};
use super::template::{Calendar, Field, Node, Part, Rules, is_blank, nodes};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::{Call, ScalarFunction};
use crate::types::datetime::{DAY_END, DAY_FIRST, US_PER_SECOND, civil, round_us, timestamp, zone};
use crate::types::failure;

type Answer = Result<Datum, SqlError>;

/// What a text gave for the fields of a picture; 0 is none.
#[derive(Default)]
struct Fields {
    calendar: Option<Calendar>,
    year: i64,
    /// Width of the year's field.
    year_width: usize,
    century: i64,
    is_bc: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    /// From Sunday, which is 1.
    weekday: i64,
    week: i64,
    week_of_month: i64,
    julian: i64,
    hour: i64,
    minute: i64,
    second: i64,
    second_of_day: i64,
    millisecond: i64,
    microsecond: i64,
    /// Digits of a second that are kept, from `FF1` to `FF6`.
    precision: i32,
    is_pm: i64,
    is_half_day: bool,
    /// -1 or 1 if an offset was given.
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: i64,
}

/// A moment as read.
pub(in crate::functions) struct Moment {
    /// Days since 2000-01-01.
    pub(in crate::functions) day: i64,
    /// Within the day.
    pub(in crate::functions) time_us: i64,
    /// Seconds east of UTC, if one was given.
    pub(in crate::functions) offset: Option<i32>,
    /// Digits of a second that are kept; -1 for all.
    pub(in crate::functions) precision: i32,
}

/// What a picture gives.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::functions) struct Contents {
    pub(in crate::functions) is_dated: bool,
    pub(in crate::functions) is_timed: bool,
    pub(in crate::functions) is_zoned: bool,
}

/// Whether a number may be as long as it likes, since no digit comes behind it.
fn ends_number(next: Option<&Node<'_>>, field: &Field<'_>) -> bool {
    field.is_bare
        || field.ordinal.is_some()
        || match next {
            None => true,
            Some(Node::Field(field)) => !field.key.is_digits,
            Some(Node::Space(c) | Node::Separator(c) | Node::Literal(c)) => !c.is_ascii_digit(),
        }
}

impl Reader<'_> {
    /// Reads the text by the whole picture.
    fn read(&mut self, nodes: &[Node<'_>], fields: &mut Fields) -> Result<(), SqlError> {
        let mut at = 0;
        while let Some(node) = nodes.get(at).filter(|_| !self.rest().is_empty()) {
            let is_field = matches!(node, Node::Field(_));
            let is_mark = matches!(node, Node::Field(field) if field.key.name == "FX");
            if !self.is_fixed && !is_mark && (is_field || at == 0) {
                self.skip_blanks();
            }
            match node {
                Node::Space(c) | Node::Separator(c) => self.separator(*c)?,
                Node::Literal(c) => self.literal(*c)?,
                Node::Field(_) if is_mark => self.is_fixed = true,
                Node::Field(field) => {
                    fields.set_calendar(field.key.calendar)?;
                    fields.take(self, field, ends_number(nodes.get(at + 1), field))?;
                    if !self.is_fixed {
                        self.extra = 0;
                        self.skip_blanks();
                    }
                }
            }
            at += 1;
        }
        if self.rules == Rules::Loose {
            return Ok(());
        }
        if at < nodes.len() {
            return Err(format_error("input string is too short for datetime format"));
        }
        if self.rest().chars().all(is_blank) {
            return Ok(());
        }
        Err(format_error("trailing characters remain in input string after datetime format"))
    }
}

/// Sets a field that may be set only once, or again to the same.
fn set(slot: &mut i64, value: i64, field: &Field<'_>) -> Result<(), SqlError> {
    if *slot != 0 && *slot != value {
        return Err(format_error(format!(
            "conflicting values for \"{}\" field in formatting string",
            field.written
        ))
        .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *slot = value;
    Ok(())
}

/// A fraction of `digits` digits in units of 10^-`width`.
fn scaled(value: i64, digits: usize, width: usize) -> i64 {
    let missing = u32::try_from(width.saturating_sub(digits)).unwrap_or(0);
    value.saturating_mul(10i64.pow(missing))
}

impl Fields {
    fn set_calendar(&mut self, calendar: Calendar) -> Result<(), SqlError> {
        if calendar == Calendar::Any {
            return Ok(());
        }
        if self.calendar.is_some_and(|it| it != calendar) {
            return Err(format_error("invalid combination of date conventions").with_hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            ));
        }
        self.calendar = Some(calendar);
        Ok(())
    }

    fn take(
        &mut self,
        reader: &mut Reader<'_>,
        field: &Field<'_>,
        is_free: bool,
    ) -> Result<(), SqlError> {
        match field.key.part {
            Part::Zone => return self.take_zone(reader, field, is_free),
            Part::Time => return self.take_time(reader, field, is_free),
            Part::Date | Part::None => {}
        }
        let name = field.key.name;
        let mut ignored = 0;
        match name {
            "A.D." | "B.C." => {
                let era = reader.name(field, &["a.d.", "b.c."])?;
                return set(&mut self.is_bc, era, field);
            }
            "AD" | "BC" => {
                let era = reader.name(field, &["ad", "bc"])?;
                return set(&mut self.is_bc, era, field);
            }
            "MONTH" => {
                let month = reader.name(field, &MONTH_NAMES)? + 1;
                return set(&mut self.month, month, field);
            }
            "MON" => {
                let month = reader.name(field, &shortened(&MONTH_NAMES))? + 1;
                return set(&mut self.month, month, field);
            }
            "RM" => {
                let backwards: Vec<&str> = ROMAN.iter().rev().copied().collect();
                let month = 12 - reader.name(field, &backwards)?;
                return set(&mut self.month, month, field);
            }
            "DAY" | "DY" => {
                let short = shortened(&DAY_NAMES);
                let names: &[&str] = if name == "DAY" { &DAY_NAMES } else { &short };
                let weekday = reader.name(field, names)?;
                set(&mut self.weekday, weekday, field)?;
                self.weekday += 1;
                return Ok(());
            }
            "Y,YYY" | "YYYY" | "YYY" | "YY" | "Y" | "IYYY" | "IYY" | "IY" | "I" => {
                self.take_year(reader, field, is_free)?;
            }
            _ => {
                let slot = match name {
                    "CC" => &mut self.century,
                    "MM" => &mut self.month,
                    "DD" => &mut self.day,
                    "DDD" | "IDDD" => &mut self.day_of_year,
                    "D" | "ID" => &mut self.weekday,
                    "WW" | "IW" => &mut self.week,
                    "W" => &mut self.week_of_month,
                    "J" => &mut self.julian,
                    _ => &mut ignored,
                };
                let width = match name {
                    "IDDD" => 3,
                    "ID" => 1,
                    name => name.len(),
                };
                set(slot, reader.number(field, width, is_free)?.0, field)?;
                if name == "ID" {
                    self.weekday = if self.weekday >= 7 { 1 } else { self.weekday + 1 };
                }
            }
        }
        skip_ordinal(reader, field);
        Ok(())
    }

    fn take_year(
        &mut self,
        reader: &mut Reader<'_>,
        field: &Field<'_>,
        is_free: bool,
    ) -> Result<(), SqlError> {
        let name = field.key.name;
        if name == "Y,YYY" {
            let rest = reader.rest();
            let thousands = number_length(rest);
            let tail = rest.get(thousands..).and_then(|it| it.strip_prefix(','));
            let low: String =
                tail.unwrap_or_default().chars().take(3).take_while(char::is_ascii_digit).collect();
            let parts = rest.get(..thousands).unwrap_or_default().parse::<i32>().ok();
            let (Some(thousands_value), Ok(low_value)) = (parts, low.parse::<i64>()) else {
                return Err(format_error("invalid input string for \"Y,YYY\""));
            };
            set(&mut self.year, i64::from(thousands_value) * 1000 + low_value, field)?;
            self.year_width = 4;
            reader.at += thousands + 1 + low.len();
            return Ok(());
        }
        let (year, taken) = reader.number(field, name.len(), is_free)?;
        set(&mut self.year, year, field)?;
        if name.len() < 4 && taken < 4 {
            self.year = nearest_to_2020(year);
        }
        self.year_width = name.len();
        Ok(())
    }

    fn take_time(
        &mut self,
        reader: &mut Reader<'_>,
        field: &Field<'_>,
        is_free: bool,
    ) -> Result<(), SqlError> {
        let name = field.key.name;
        match name {
            "A.M." | "P.M." | "AM" | "PM" => {
                let names = if name.len() > 2 { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let half = reader.name(field, &names)?;
                set(&mut self.is_pm, half, field)?;
                self.is_half_day = true;
                return Ok(());
            }
            "HH" | "HH12" | "HH24" => {
                set(&mut self.hour, reader.number(field, 2, is_free)?.0, field)?;
                self.is_half_day |= name != "HH24";
            }
            "MI" => set(&mut self.minute, reader.number(field, 2, is_free)?.0, field)?,
            "SS" => set(&mut self.second, reader.number(field, 2, is_free)?.0, field)?,
            "MS" => {
                let (value, digits) = reader.number(field, 3, is_free)?;
                set(&mut self.millisecond, value, field)?;
                self.millisecond = scaled(value, digits, 3);
            }
            "SSSS" | "SSSSS" => {
                let value = reader.number(field, name.len(), is_free)?.0;
                set(&mut self.second_of_day, value, field)?;
            }
            _ => {
                let width = match name.strip_prefix("FF") {
                    Some(digits) => {
                        self.precision = digits.parse().unwrap_or(6);
                        digits.parse().unwrap_or(6)
                    }
                    None => 6,
                };
                let (value, digits) = reader.number(field, width, is_free)?;
                set(&mut self.microsecond, value, field)?;
                self.microsecond = scaled(value, digits, 6);
            }
        }
        skip_ordinal(reader, field);
        Ok(())
    }

    fn take_zone(
        &mut self,
        reader: &mut Reader<'_>,
        field: &Field<'_>,
        is_free: bool,
    ) -> Result<(), SqlError> {
        match field.key.name {
            "TZH" => {
                self.zone_sign = match reader.peek() {
                    Some(sign @ ('+' | '-' | ' ')) => {
                        reader.skip(1);
                        if sign == '-' { -1 } else { 1 }
                    }
                    _ => {
                        let before = reader.text.get(..reader.at).unwrap_or_default();
                        if reader.extra > 0 && before.ends_with('-') { -1 } else { 1 }
                    }
                };
                set(&mut self.zone_hour, reader.number(field, 2, is_free)?.0, field)
            }
            "TZM" => {
                if self.zone_sign == 0 {
                    self.zone_sign = 1;
                }
                set(&mut self.zone_minute, reader.number(field, 2, is_free)?.0, field)
            }
            _ => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("formatting field \"{}\" is only supported in to_char", field.written),
            )),
        }
    }

    /// Date, time and offset of what was read from `text`.
    fn resolve(mut self, text: &str) -> Result<Moment, SqlError> {
        let time_us = self.time_us(text)?;
        let (year, month, day) = self.date(text)?;
        let offset = self.offset(text)?;
        let precision = if self.precision == 0 { -1 } else { self.precision };
        Ok(Moment { day: civil::day_number(year, month, 1) + day - 1, time_us, offset, precision })
    }

    fn time_us(&self, text: &str) -> Result<i64, SqlError> {
        let or = |value: i64, other: i64| if value == 0 { other } else { value };
        let seconds = self.second_of_day;
        let second = or(self.second, seconds % 60);
        let minute = or(self.minute, seconds / 60 % 60);
        let mut hour = or(self.hour, seconds / 3600);
        if self.is_half_day {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(format_error(message)
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + if self.is_pm == 0 { 0 } else { 12 };
        }
        let fraction = self.millisecond.saturating_mul(1000).saturating_add(self.microsecond);
        let is_valid = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..US_PER_SECOND).contains(&fraction);
        if !is_valid {
            return Err(failure::field_overflow(text));
        }
        Ok(((hour * 60 + minute) * 60 + second) * US_PER_SECOND + fraction)
    }

    /// The year counted with 0 for 1 BC, if one was given.
    fn full_year(&self) -> Option<i64> {
        let century = if self.is_bc == 0 { self.century } else { -self.century };
        if self.year != 0 && (self.century == 0 || self.year_width > 2) {
            let year = if self.is_bc == 0 { self.year } else { -self.year };
            return Some(if year < 0 { year + 1 } else { year });
        }
        if self.year != 0 {
            let low = self.year % 100;
            return Some(match (low == 0, century >= 0) {
                (true, true) => century * 100,
                (true, false) => century * 100 + 1,
                (false, true) => low + (century - 1) * 100,
                (false, false) => (century + 1) * 100 - low + 1,
            });
        }
        (self.century != 0)
            .then(|| if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 })
    }

    fn date(&mut self, text: &str) -> Result<(i64, i64, i64), SqlError> {
        let year = self.full_year();
        let mut found: (Option<i64>, Option<i64>, Option<i64>) = (year, None, None);
        let of_day = |day: i64| {
            let date = civil::date(day);
            (Some(date.year), Some(date.month), Some(date.day))
        };
        if self.julian != 0 {
            found = of_day(self.julian - 2_451_545);
        }
        let is_iso = self.calendar == Some(Calendar::IsoWeek);
        if self.week != 0 {
            if is_iso {
                let weekday = if self.weekday == 0 { 1 } else { (self.weekday + 5) % 7 + 1 };
                let year = found.0.unwrap_or(0);
                found = of_day(civil::iso_week_start(year, self.week) + weekday - 1);
            } else {
                self.day_of_year = (self.week - 1) * 7 + 1;
            }
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            found.2 = Some(self.day);
        }
        if self.month != 0 {
            found.1 = Some(self.month);
        }
        let (month, day) = (found.1.unwrap_or(1), found.2.unwrap_or(1));
        if self.day_of_year != 0 && (month <= 1 || day <= 1) {
            let year = found.0.unwrap_or(0);
            if year == 0 && self.is_bc == 0 {
                return Err(format_error("cannot calculate day of year without year information"));
            }
            if is_iso {
                found = of_day(civil::iso_week_start(year, 1) + self.day_of_year - 1);
            } else {
                let (at_month, at_day) = month_and_day(year, self.day_of_year);
                found.1 = Some(if month <= 1 { at_month } else { month });
                found.2 = Some(if day <= 1 { at_day } else { day });
            }
        }
        check_date(found).ok_or_else(|| failure::field_overflow(text))
    }

    fn offset(&self, text: &str) -> Result<Option<i32>, SqlError> {
        if self.zone_sign == 0 {
            return Ok(None);
        }
        if !(0..=15).contains(&self.zone_hour) || !(0..60).contains(&self.zone_minute) {
            return Err(SqlError::new(
                SqlState(*b"22009"),
                format!("time zone displacement out of range: \"{text}\""),
            ));
        }
        let seconds = self.zone_sign * (self.zone_hour * 3600 + self.zone_minute * 60);
        Ok(i32::try_from(seconds).ok())
    }
}

/// Month and day within the year; past its end, the month after December.
fn month_and_day(year: i64, day_of_year: i64) -> (i64, i64) {
    let mut left = day_of_year;
    for month in 1..=12 {
        let days = civil::days_in_month(year, month);
        if left <= days {
            return (month, left);
        }
        left -= days;
    }
    (13, left)
}

/// Year, month and day, where what was given is possible.
fn check_date(
    (year, month, day): (Option<i64>, Option<i64>, Option<i64>),
) -> Option<(i64, i64, i64)> {
    let is_month = month.is_none_or(|it| (1..=12).contains(&it));
    let is_day = day.is_none_or(|it| (1..=31).contains(&it));
    if let (Some(year), Some(month), Some(day), true) = (year, month, day, is_month)
        && day > civil::days_in_month(year, month)
    {
        return None;
    }
    (is_month && is_day).then(|| (year.unwrap_or(0), month.unwrap_or(1), day.unwrap_or(1)))
}

fn skip_ordinal(reader: &mut Reader<'_>, field: &Field<'_>) {
    if field.ordinal.is_some() {
        reader.skip(2);
    }
}

fn shortened<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().map(|name| name.get(..3).unwrap_or(name)).collect()
}

/// Completes a year of fewer than four digits to the nearest to 2020.
fn nearest_to_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

/// Reads text by a picture.
fn read(text: &str, picture: &str, rules: Rules) -> Result<(Moment, Contents), SqlError> {
    let nodes = nodes(picture, rules)?;
    let mut fields = Fields::default();
    let is_fixed = rules == Rules::Standard;
    Reader { text, at: 0, rules, is_fixed, extra: 0 }.read(&nodes, &mut fields)?;
    let has = |part: Part| {
        nodes.iter().any(|node| matches!(node, Node::Field(field) if field.key.part == part))
    };
    let contents = Contents {
        is_dated: has(Part::Date),
        is_timed: has(Part::Time),
        is_zoned: has(Part::Zone),
    };
    Ok((fields.resolve(text)?, contents))
}

/// Reads text by a picture under the rules of the SQL standard.
///
/// # Errors
/// 22007 for text that does not fit the picture, 22008 for values out of their range.
pub(in crate::functions) fn read_standard(
    text: &str,
    picture: &str,
) -> Result<(Moment, Contents), SqlError> {
    read(text, picture, Rules::Standard)
}

/// 22008 for a date that the type does not hold.
pub(in crate::functions) fn check_day(day: i64, text: &str) -> Result<i64, SqlError> {
    if (DAY_FIRST..DAY_END).contains(&day) {
        Ok(day)
    } else {
        Err(failure::input_out_of_range("date", text))
    }
}

fn to_date(call: &Call) -> Answer {
    let (value, picture) = (call.text(0)?, call.text(1)?);
    let (moment, _) = read(value, picture, Rules::Loose)?;
    check_day(moment.day, value).map(Datum::Integer)
}

fn to_timestamp(call: &Call) -> Answer {
    let (value, picture) = (call.text(0)?, call.text(1)?);
    let (moment, _) = read(value, picture, Rules::Loose)?;
    let local = timestamp(moment.day, moment.time_us)?;
    let offset = match moment.offset {
        Some(offset) => offset,
        None => zone::offset_at_local(&call.session.state().settings.time_zone, local),
    };
    let instant = local - i64::from(offset) * US_PER_SECOND;
    Ok(Datum::Integer(round_us(instant, moment.precision)))
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_to_date", to_date).stable(),
    ScalarFunction::strict("pg_to_timestamp", to_timestamp).stable(),
];
