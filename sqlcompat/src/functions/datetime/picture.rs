//! `to_char` over dates, times and intervals.
//!
//! The case of a name field tells the case of the name. An interval has no calendar: fields of one are refused, and
//! years, months and days are what it holds of each.
//!
//! # Left out
//! Localised names (`TM`) are English.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8.

use std::fmt::Write;

use super::template::{Field, Node, Part, Rules, nodes};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use crate::types::datetime::{
    US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, civil, is_infinite, split, zone,
};
use crate::types::interval::Interval;

type Answer = Result<Datum, SqlError>;

/// Months from January.
pub(super) const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Days from Sunday.
pub(super) const DAY_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Months in Roman numerals.
pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A point in time, or an interval, taken apart.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    /// `None` for intervals, which have no calendar.
    day_number: Option<i64>,
    us: i64,
    /// Offset of the zone.
    offset: i32,
    /// Its abbreviation.
    zone: Option<String>,
}

impl Parts {
    fn of_local(local: i64) -> Self {
        let (day_number, us) = split(local);
        let date = civil::date(day_number);
        Self {
            year: date.year,
            month: date.month,
            day: date.day,
            day_number: Some(day_number),
            us,
            offset: 0,
            zone: None,
        }
    }

    fn of_interval(interval: Interval) -> Self {
        let months = i64::from(interval.months);
        Self {
            year: months / 12,
            month: months % 12,
            day: interval.days.into(),
            day_number: None,
            us: interval.us,
            offset: 0,
            zone: None,
        }
    }

    /// The year as shown, without sign for BC.
    fn shown(&self, year: i64) -> i64 {
        if self.day_number.is_some() && year <= 0 { 1 - year } else { year }
    }

    fn day_of_year(&self) -> i64 {
        match self.day_number {
            Some(day) => day - civil::day_number(self.year, 1, 1) + 1,
            None => self.year * 360 + self.month * 30 + self.day,
        }
    }

    /// The day, or for an interval the one that its fields would be as a date.
    fn nominal_day(&self) -> i64 {
        self.day_number
            .unwrap_or_else(|| civil::day_number(self.year, self.month, 1) + self.day - 1)
    }

    /// Value and width of a number of the calendar.
    fn calendar_number(&self, key: &str) -> Option<(i64, usize)> {
        let iso = || civil::iso_week(self.nominal_day());
        let year = || self.shown(self.year);
        let iso_year = || self.shown(iso().0);
        Some(match key {
            "YYYY" => (year(), 4),
            "YYY" => (year() % 1000, 3),
            "YY" => (year() % 100, 2),
            "Y" => (year() % 10, 1),
            "IYYY" => (iso_year(), 4),
            "IYY" => (iso_year() % 1000, 3),
            "IY" => (iso_year() % 100, 2),
            "I" => (iso_year() % 10, 1),
            "MM" => (self.month, 2),
            "DD" => (self.day, 2),
            "DDD" => (self.day_of_year(), 3),
            "IDDD" => (self.nominal_day() - civil::iso_week_start(iso().0, 1) + 1, 3),
            "D" => (civil::day_of_week(self.day_number?) + 1, 1),
            "ID" => ((civil::day_of_week(self.day_number?) + 6) % 7 + 1, 1),
            "WW" => ((self.day_of_year() - 1) / 7 + 1, 2),
            "IW" => (iso().1, 2),
            "W" => ((self.day - 1) / 7 + 1, 1),
            "Q" => ((self.month - 1) / 3 + 1, 1),
            "J" => (civil::julian_day(self.nominal_day()), 1),
            "CC" if self.day_number.is_none() => (self.year / 100, 2),
            "CC" if self.year > 0 => ((self.year - 1) / 100 + 1, 2),
            "CC" => (self.year / 100 - 1, 2),
            _ => return None,
        })
    }

    /// Value and width of a number of the time.
    fn time_number(&self, key: &str) -> Option<(i64, usize)> {
        let hour = self.us / US_PER_HOUR;
        let fraction = self.us % US_PER_SECOND;
        Some(match key {
            "HH24" => (hour, 2),
            "HH" | "HH12" => (if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
            "MI" => (self.us / US_PER_MINUTE % 60, 2),
            "SS" => (self.us / US_PER_SECOND % 60, 2),
            "SSSS" | "SSSSS" => (self.us / US_PER_SECOND, 1),
            "MS" | "FF3" => (fraction / 1000, 3),
            "US" | "FF6" => (fraction, 6),
            "FF1" => (fraction / 100_000, 1),
            "FF2" => (fraction / 10_000, 2),
            "FF4" => (fraction / 100, 4),
            "FF5" => (fraction / 10, 5),
            _ => return None,
        })
    }

    fn write(&self, field: &Field<'_>, out: &mut String) -> Result<(), SqlError> {
        let key = field.key.name;
        if key == "Q" && self.month == 0 {
            return Ok(());
        }
        if let Some((value, width)) = self.calendar_number(key).or_else(|| self.time_number(key)) {
            // A fraction keeps its sign within its width; any other number gets one more place for it.
            let is_fraction = key.starts_with("FF") || matches!(key, "MS" | "US");
            let width = if is_fraction {
                width
            } else if field.is_bare {
                0
            } else {
                width + usize::from(value < 0 && !key.ends_with('D') && key != "WW" && width > 1)
            };
            let _ = write!(out, "{value:0width$}");
            return Ok(());
        }
        if key == "Y,YYY" {
            let year = self.shown(self.year);
            let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
            return Ok(());
        }
        if self.day_number.is_none() && !matches!(key, "AM" | "PM" | "A.M." | "P.M." | "RM") {
            return Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .with_hint("Intervals are not tied to specific calendar dates."));
        }
        out.push_str(&self.name(field).unwrap_or_default());
        Ok(())
    }

    /// Names, marks and zones.
    fn name(&self, field: &Field<'_>) -> Option<String> {
        let Field { key, written, is_bare, is_local, .. } = *field;
        let padded = |name: &str, width: usize| {
            let cased = in_case_of(written, name);
            if is_bare || is_local { cased } else { format!("{cased:<width$}") }
        };
        let month = || usize::try_from(self.month - 1).ok();
        let weekday = || usize::try_from(civil::day_of_week(self.day_number?)).ok();
        let half = if self.us / US_PER_HOUR % 24 >= 12 { "pm" } else { "am" };
        let era = if self.year > 0 { "ad" } else { "bc" };
        let (sign, offset) = (if self.offset < 0 { '-' } else { '+' }, self.offset.abs());
        Some(match key.name {
            "MONTH" => padded(MONTH_NAMES.get(month()?)?, 9),
            "MON" => padded(MONTH_NAMES.get(month()?)?.get(..3)?, 3),
            "DAY" => padded(DAY_NAMES.get(weekday()?)?, 9),
            "DY" => padded(DAY_NAMES.get(weekday()?)?.get(..3)?, 3),
            "RM" => padded(ROMAN.get(self.roman_month()?)?, 4),
            "AM" | "PM" => in_case_of(written, half),
            "A.M." | "P.M." => in_case_of(written, if half == "am" { "a.m." } else { "p.m." }),
            "AD" | "BC" => in_case_of(written, era),
            "A.D." | "B.C." => in_case_of(written, if era == "ad" { "a.d." } else { "b.c." }),
            "TZ" => {
                let zone = self.zone.clone().unwrap_or_default();
                if written == "tz" { zone.to_ascii_lowercase() } else { zone }
            }
            "TZH" => format!("{sign}{:02}", offset / 3600),
            "TZM" => format!("{:02}", offset / 60 % 60),
            "OF" => {
                let width = if is_bare { 0 } else { 2 };
                let minutes = format!(":{:02}", offset / 60 % 60);
                let minutes = if offset % 3600 == 0 { "" } else { &minutes };
                format!("{sign}{:0width$}{minutes}", offset / 3600)
            }
            _ => return None,
        })
    }

    /// Position of the Roman numeral: twelve months of an interval are a year and no month, and yet `XII`.
    fn roman_month(&self) -> Option<usize> {
        if self.month == 0 && self.year == 0 {
            return None;
        }
        let position = match self.month {
            0 if self.year >= 0 => 11,
            0 => 0,
            month if month < 0 => 12 + month,
            month => month - 1,
        };
        usize::try_from(position).ok()
    }
}

/// `name` in the case of the field: upper, capitalised or lower.
fn in_case_of(written: &str, name: &str) -> String {
    let mut letters = written.chars().filter(char::is_ascii_alphabetic);
    match (
        letters.next().is_some_and(|c| c.is_ascii_uppercase()),
        letters.next().is_some_and(|c| c.is_ascii_uppercase()),
    ) {
        (true, true) => name.to_ascii_uppercase(),
        (true, false) => {
            let lower = name.to_ascii_lowercase();
            let (first, rest) = lower.split_at(1.min(lower.len()));
            format!("{}{rest}", first.to_ascii_uppercase())
        }
        _ => name.to_ascii_lowercase(),
    }
}

/// The English ordinal suffix.
pub(in crate::functions) fn ordinal_suffix(digits: &str) -> &'static str {
    let mut backwards = digits.bytes().rev();
    match (backwards.next(), backwards.next()) {
        (_, Some(b'1')) => "th",
        (Some(b'1'), _) => "st",
        (Some(b'2'), _) => "nd",
        (Some(b'3'), _) => "rd",
        _ => "th",
    }
}

fn print(parts: &Parts, picture: &str) -> Answer {
    let mut out = String::new();
    for node in nodes(picture, Rules::Loose)? {
        match node {
            Node::Space(c) | Node::Separator(c) | Node::Literal(c) => out.push(c),
            Node::Field(field) => {
                let start = out.len();
                parts.write(&field, &mut out)?;
                let shown = out.get(start..).unwrap_or_default();
                let Some(ordinal) = field.ordinal.filter(|_| is_counted(&field, shown)) else {
                    continue;
                };
                let suffix = ordinal_suffix(shown);
                let is_upper = ordinal.starts_with('T');
                out.push_str(&if is_upper { suffix.to_uppercase() } else { suffix.to_owned() });
            }
        }
    }
    Ok(text(out))
}

/// Whether an ordinal suffix may follow.
fn is_counted(field: &Field<'_>, shown: &str) -> bool {
    field.key.part != Part::Zone && shown.ends_with(|c: char| c.is_ascii_digit())
}

fn timestamp_to_char(call: &Call) -> Answer {
    let (local, picture) = (call.i64(0)?, call.text(1)?);
    if picture.is_empty() || is_infinite(local) {
        return Ok(Datum::Null);
    }
    print(&Parts::of_local(local), picture)
}

fn timestamptz_to_char(call: &Call) -> Answer {
    let (instant, picture) = (call.i64(0)?, call.text(1)?);
    if picture.is_empty() || is_infinite(instant) {
        return Ok(Datum::Null);
    }
    let state = call.session.state();
    let offset = zone::offset_at(&state.settings.time_zone, instant);
    let name = zone::abbreviation(&state.settings.time_zone, instant);
    let local = zone::to_local(&state.settings.time_zone, instant);
    print(&Parts { offset, zone: Some(name), ..Parts::of_local(local) }, picture)
}

fn interval_to_char(call: &Call) -> Answer {
    let picture = call.text(1)?;
    if picture.is_empty() {
        return Ok(Datum::Null);
    }
    print(&Parts::of_interval(call.interval(0)?), picture)
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body).stable()
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_timestamp_to_char", timestamp_to_char),
    f("pg_timestamptz_to_char", timestamptz_to_char),
    f("pg_interval_to_char", interval_to_char),
];
