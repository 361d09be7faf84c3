//! `to_char`, `to_date` and `to_timestamp` over dates, times and intervals.
//!
//! A picture is cut into fields (`YYYY`, `HH24`, `Month`, …), each with its modifiers (`FM` before it: no padding, `TH`
//! after it: an ordinal suffix), and literal text. The case of a name field tells the case of the name.
//!
//! # Left out
//! Localised names (`TM`) are English.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8.

use std::fmt::Write;

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use crate::types::datetime::{
    US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, civil, is_infinite, split, timestamp,
    zone,
};
use crate::types::interval::Interval;

type Answer = Result<Datum, SqlError>;

/// Field names; a longer one comes before its prefixes.
const KEYS: &[&str] = &[
    "Y,YYY", "SSSSS", "MONTH", "IYYY", "YYYY", "HH24", "HH12", "SSSS", "IDDD", "A.M.", "P.M.",
    "B.C.", "A.D.", "IYY", "YYY", "DDD", "DAY", "MON", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "IY", "YY", "MM", "DD", "DY", "HH", "MI", "SS", "MS", "US", "IW", "WW", "ID",
    "CC", "RM", "AM", "PM", "BC", "AD", "TZ", "OF", "I", "Y", "D", "W", "Q", "J",
];

const MONTH_NAMES: [&str; 12] = [
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
const DAY_NAMES: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A part of a picture.
enum Piece<'a> {
    Field { key: &'static str, written: &'a str, fill: bool, ordinal: Option<&'a str> },
    Literal(&'a str),
}

/// Cuts a picture into its parts.
fn pieces(picture: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = picture;
    let mut fill = true;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            found.push(Piece::Literal(quoted.get(..end).unwrap_or_default()));
            rest = quoted.get(end + 1..).unwrap_or_default();
            continue;
        }
        let starts =
            |key: &str| rest.get(..key.len()).is_some_and(|it| it.eq_ignore_ascii_case(key));
        if ["FM", "TM", "FX"].iter().any(|modifier| starts(modifier)) {
            fill = fill && !starts("FM");
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        if let Some(key) = KEYS.iter().find(|key| starts(key)) {
            let (written, after) = rest.split_at(key.len());
            let ordinal = after.get(..2).filter(|it| it.eq_ignore_ascii_case("th"));
            rest = after.get(ordinal.map_or(0, str::len)..).unwrap_or_default();
            found.push(Piece::Field { key, written, fill, ordinal });
            fill = true;
            continue;
        }
        let length = first.len_utf8();
        found.push(Piece::Literal(rest.get(..length).unwrap_or_default()));
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

/// A point in time, or an interval, taken apart.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    /// `None` for intervals, which have no calendar.
    day_number: Option<i64>,
    us: i64,
    /// Offset and abbreviation of the zone.
    zone: Option<(i32, String)>,
}

impl Parts {
    fn of_local(local: i64, zone: Option<(i32, String)>) -> Self {
        let (day_number, us) = split(local);
        let date = civil::date(day_number);
        Self {
            year: date.year,
            month: date.month,
            day: date.day,
            day_number: Some(day_number),
            us,
            zone,
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
            zone: None,
        }
    }

    /// The year as shown, without sign for BC.
    fn shown_year(&self) -> i64 {
        if self.day_number.is_some() && self.year <= 0 { 1 - self.year } else { self.year }
    }

    fn day_of_year(&self) -> i64 {
        match self.day_number {
            Some(day) => day - civil::day_number(self.year, 1, 1) + 1,
            None => self.year * 360 + self.month * 30 + self.day,
        }
    }

    /// Value and width of a numeric field.
    fn number(&self, key: &str) -> Option<(i64, usize)> {
        let hour = self.us / US_PER_HOUR;
        let second = self.us / US_PER_SECOND % 60;
        let fraction = self.us % US_PER_SECOND;
        let day = self.day_number;
        let iso = day.map(civil::iso_week);
        Some(match key {
            "YYYY" => (self.shown_year(), 4),
            "YYY" => (self.shown_year() % 1000, 3),
            "YY" => (self.shown_year() % 100, 2),
            "Y" => (self.shown_year() % 10, 1),
            "IYYY" => (iso?.0, 4),
            "IYY" => (iso?.0 % 1000, 3),
            "IY" => (iso?.0 % 100, 2),
            "I" => (iso?.0 % 10, 1),
            "MM" => (self.month, 2),
            "DD" => (self.day, 2),
            "DDD" => (self.day_of_year(), 3),
            "IDDD" => (day? - civil::iso_week_start(iso?.0, 1) + 1, 3),
            "D" => (civil::day_of_week(day?) + 1, 1),
            "ID" => ((civil::day_of_week(day?) + 6) % 7 + 1, 1),
            "HH24" => (hour, 2),
            "HH" | "HH12" => (if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
            "MI" => (self.us / US_PER_MINUTE % 60, 2),
            "SS" => (second, 2),
            "SSSS" | "SSSSS" => (self.us / US_PER_SECOND, 1),
            "MS" | "FF3" => (fraction / 1000, 3),
            "US" | "FF6" => (fraction, 6),
            "FF1" => (fraction / 100_000, 1),
            "FF2" => (fraction / 10_000, 2),
            "FF4" => (fraction / 100, 4),
            "FF5" => (fraction / 10, 5),
            "WW" => ((self.day_of_year() - 1) / 7 + 1, 2),
            "IW" => (iso?.1, 2),
            "W" => ((self.day - 1) / 7 + 1, 1),
            "Q" => ((self.month - 1) / 3 + 1, 1),
            "J" => (civil::julian_day(day?), 1),
            "CC" => {
                (if self.year > 0 { (self.year - 1) / 100 + 1 } else { self.year / 100 - 1 }, 2)
            }
            _ => return None,
        })
    }

    fn write(
        &self,
        key: &str,
        written: &str,
        fill: bool,
        out: &mut String,
    ) -> Result<(), SqlError> {
        if let Some((value, width)) = self.number(key) {
            let width =
                if fill || key.starts_with("FF") || matches!(key, "MS" | "US") { width } else { 0 };
            let sign = if value < 0 { "-" } else { "" };
            let _ = write!(out, "{sign}{:0width$}", value.abs());
            return Ok(());
        }
        if key == "Y,YYY" {
            let year = self.shown_year();
            let _ = write!(out, "{},{:03}", year / 1000, year % 1000);
            return Ok(());
        }
        let Some(shown) = self.name(key, written, fill) else {
            return Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .with_hint("Intervals are not tied to specific calendar dates."));
        };
        out.push_str(&shown);
        Ok(())
    }

    /// Names, marks and zones.
    fn name(&self, key: &str, written: &str, fill: bool) -> Option<String> {
        let padded = |name: &str, width: usize| {
            let cased = in_case_of(written, name);
            if fill { format!("{cased:<width$}") } else { cased }
        };
        let month = || self.day_number.and(usize::try_from(self.month - 1).ok());
        let weekday = || usize::try_from(civil::day_of_week(self.day_number?)).ok();
        let half = if self.us % US_PER_DAY < 12 * US_PER_HOUR { "am" } else { "pm" };
        let era = if self.year > 0 { "ad" } else { "bc" };
        Some(match key {
            "MONTH" => padded(MONTH_NAMES.get(month()?)?, 9),
            "MON" => padded(MONTH_NAMES.get(month()?)?.get(..3)?, 3),
            "DAY" => padded(DAY_NAMES.get(weekday()?)?, 9),
            "DY" => padded(DAY_NAMES.get(weekday()?)?.get(..3)?, 3),
            "RM" => padded(ROMAN.get(usize::try_from(self.month - 1).ok()?)?, 4),
            "AM" | "PM" => in_case_of(written, half),
            "A.M." | "P.M." => in_case_of(written, if half == "am" { "a.m." } else { "p.m." }),
            "AD" | "BC" => in_case_of(written, era),
            "A.D." | "B.C." => in_case_of(written, if era == "ad" { "a.d." } else { "b.c." }),
            "TZ" => {
                in_case_of(written, &self.zone.as_ref().map(|it| it.1.clone()).unwrap_or_default())
            }
            "TZH" => self
                .zone
                .as_ref()
                .map(|(offset, _)| format!("{}{:02}", sign(*offset), offset.abs() / 3600))
                .unwrap_or_default(),
            "TZM" => self
                .zone
                .as_ref()
                .map(|(offset, _)| format!("{:02}", offset.abs() / 60 % 60))
                .unwrap_or_default(),
            "OF" => self
                .zone
                .as_ref()
                .map(|(offset, _)| {
                    let mut out = format!("{}{:02}", sign(*offset), offset.abs() / 3600);
                    if offset % 3600 != 0 {
                        let _ = write!(out, ":{:02}", offset.abs() / 60 % 60);
                    }
                    out
                })
                .unwrap_or_default(),
            _ => return None,
        })
    }
}

fn sign(offset: i32) -> char {
    if offset < 0 { '-' } else { '+' }
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
pub(super) fn ordinal_suffix(digits: &str) -> &'static str {
    let tail: i64 =
        digits.get(digits.len().saturating_sub(2)..).and_then(|it| it.parse().ok()).unwrap_or(0);
    match (tail / 10, tail % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

fn print(parts: &Parts, picture: &str) -> Answer {
    let mut out = String::new();
    for piece in pieces(picture) {
        match piece {
            Piece::Literal(literal) => out.push_str(literal),
            Piece::Field { key, written, fill, ordinal } => {
                let start = out.len();
                parts.write(key, written, fill, &mut out)?;
                if let Some(ordinal) = ordinal {
                    let suffix = ordinal_suffix(out.get(start..).unwrap_or_default());
                    let upper = ordinal.starts_with('T');
                    out.push_str(&if upper { suffix.to_uppercase() } else { suffix.to_owned() });
                }
            }
        }
    }
    Ok(text(out))
}

fn timestamp_to_char(call: &Call) -> Answer {
    let (local, picture) = (call.i64(0)?, call.text(1)?);
    if picture.is_empty() || is_infinite(local) {
        return Ok(Datum::Null);
    }
    print(&Parts::of_local(local, None), picture)
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
    print(&Parts::of_local(local, Some((offset, name))), picture)
}

fn interval_to_char(call: &Call) -> Answer {
    let picture = call.text(1)?;
    if picture.is_empty() {
        return Ok(Datum::Null);
    }
    print(&Parts::of_interval(call.interval(0)?), picture)
}

/// What a text gave for the fields of a picture.
#[derive(Default)]
struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    us: i64,
    seconds_of_day: Option<i64>,
    afternoon: Option<bool>,
    before_christ: bool,
    offset: Option<i32>,
}

fn invalid_value(value: &str, key: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("invalid value \"{value}\" for \"{key}\""),
    )
}

/// Takes a number of at most `width` digits off the front.
fn take_number(rest: &mut &str, key: &str, width: usize) -> Result<(i64, usize), SqlError> {
    *rest = rest.trim_start();
    let sign_length = usize::from(rest.starts_with(['-', '+']));
    let digits = rest.get(sign_length..).unwrap_or_default();
    let length = digits.bytes().take(width).take_while(u8::is_ascii_digit).count();
    let taken = rest.get(..sign_length + length).unwrap_or_default();
    let Ok(value) = taken.parse::<i64>() else {
        let shown: String = rest.chars().take(width.min(8)).collect();
        return Err(invalid_value(&shown, key).with_detail("Value must be an integer."));
    };
    *rest = rest.get(sign_length + length..).unwrap_or_default();
    Ok((value, length))
}

/// Takes the longest of `names` (or their first three letters) off the front.
fn take_name(rest: &mut &str, key: &str, names: &[&str], short: bool) -> Result<i64, SqlError> {
    *rest = rest.trim_start();
    for (name, number) in names.iter().zip(1i64..) {
        let wanted = if short { name.get(..3).unwrap_or(name) } else { name };
        let found = rest.get(..wanted.len()).is_some_and(|it| it.eq_ignore_ascii_case(wanted));
        if found {
            *rest = rest.get(wanted.len()..).unwrap_or_default();
            return Ok(number);
        }
    }
    let shown: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
    Err(invalid_value(&shown, key)
        .with_detail("The given value did not match any of the allowed values for this field."))
}

impl Read {
    fn take(&mut self, key: &str, rest: &mut &str, next_is_number: bool) -> Result<(), SqlError> {
        let width = |fixed: usize| if next_is_number { fixed } else { fixed.max(9) };
        let short = |fixed: usize| if next_is_number { fixed } else { fixed.max(4) };
        match key {
            "YYYY" | "YYY" | "YY" | "Y" => {
                let (value, digits) = take_number(rest, key, width(key.len()))?;
                self.year = Some(full_year(value, digits.max(1), key.len()));
            }
            "Y,YYY" => {
                let (thousands, _) = take_number(rest, key, 3)?;
                *rest = rest.strip_prefix(',').unwrap_or(rest);
                self.year = Some(thousands * 1000 + take_number(rest, key, 3)?.0);
            }
            "IYYY" | "IYY" | "IY" | "I" => {
                let (value, digits) = take_number(rest, key, width(key.len()))?;
                self.iso_year = Some(full_year(value, digits.max(1), key.len()));
            }
            "MM" => self.month = Some(take_number(rest, key, 2)?.0),
            "DD" => self.day = Some(take_number(rest, key, 2)?.0),
            "DDD" => self.day_of_year = Some(take_number(rest, key, 3)?.0),
            "J" => self.julian = Some(take_number(rest, key, 9)?.0),
            "IW" => self.iso_week = Some(take_number(rest, key, 2)?.0),
            "ID" => self.iso_day = Some(take_number(rest, key, 1)?.0),
            "WW" => self.day_of_year = Some((take_number(rest, key, 2)?.0 - 1) * 7 + 1),
            "D" | "Q" | "W" | "CC" | "IDDD" => {
                take_number(rest, key, short(2))?;
            }
            "MONTH" => self.month = Some(take_name(rest, key, &MONTH_NAMES, false)?),
            "MON" => self.month = Some(take_name(rest, key, &MONTH_NAMES, true)?),
            "DAY" => {
                take_name(rest, key, &DAY_NAMES, false)?;
            }
            "DY" => {
                take_name(rest, key, &DAY_NAMES, true)?;
            }
            _ => return self.take_time(key, rest),
        }
        Ok(())
    }

    fn take_time(&mut self, key: &str, rest: &mut &str) -> Result<(), SqlError> {
        match key {
            "HH24" | "HH12" | "HH" => self.hour = take_number(rest, key, 2)?.0,
            "MI" => self.minute = take_number(rest, key, 2)?.0,
            "SS" => self.second = take_number(rest, key, 2)?.0,
            "SSSS" | "SSSSS" => self.seconds_of_day = Some(take_number(rest, key, 5)?.0),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = match key {
                    "MS" | "FF3" => 3,
                    "US" | "FF6" => 6,
                    other => other.bytes().last().map_or(6, |digit| usize::from(digit - b'0')),
                };
                let (value, digits) = take_number(rest, key, width)?;
                self.us =
                    value * 10i64.pow(u32::try_from(6usize.saturating_sub(digits)).unwrap_or(0));
            }
            "AM" | "PM" => self.afternoon = Some(take_name(rest, key, &["AM", "PM"], false)? == 2),
            "A.M." | "P.M." => {
                self.afternoon = Some(take_name(rest, key, &["A.M.", "P.M."], false)? == 2);
            }
            "AD" | "BC" => self.before_christ = take_name(rest, key, &["AD", "BC"], false)? == 2,
            "A.D." | "B.C." => {
                self.before_christ = take_name(rest, key, &["A.D.", "B.C."], false)? == 2;
            }
            "RM" => {
                let mut by_length: Vec<(&str, i64)> = ROMAN.iter().copied().zip(1..).collect();
                by_length.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
                let names: Vec<&str> = by_length.iter().map(|(name, _)| *name).collect();
                let found = take_name(rest, key, &names, false)?;
                self.month =
                    usize::try_from(found - 1).ok().and_then(|at| by_length.get(at)).map(|it| it.1);
            }
            "TZH" => {
                let negative = rest.trim_start().starts_with('-');
                let hours = i32::try_from(take_number(rest, key, 2)?.0.abs()).unwrap_or(0);
                self.offset = Some(if negative { -hours * 3600 } else { hours * 3600 });
            }
            "TZM" => {
                let minutes = i32::try_from(take_number(rest, key, 2)?.0).unwrap_or(0);
                let offset = self.offset.unwrap_or(0);
                self.offset = Some(offset + if offset < 0 { -minutes * 60 } else { minutes * 60 });
            }
            other => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("formatting field \"{other}\" is only supported in to_char"),
                ));
            }
        }
        Ok(())
    }

    fn day_number(&self) -> Option<i64> {
        if let Some(julian) = self.julian {
            return Some(julian - 2_451_545);
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            return Some(civil::iso_week_start(year, week) + self.iso_day.unwrap_or(1) - 1);
        }
        let year = match (self.year, self.before_christ) {
            (Some(year), true) => 1 - year,
            (Some(year), false) => year,
            // Without a year it is 1 BC, as in PostgreSQL.
            (None, _) => 0,
        };
        if let Some(day_of_year) = self.day_of_year {
            return Some(civil::day_number(year, 1, 1) + day_of_year - 1);
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let valid =
            (1..=12).contains(&month) && (1..=civil::days_in_month(year, month)).contains(&day);
        valid.then(|| civil::day_number(year, month, day))
    }

    fn time_us(&self) -> Option<i64> {
        if let Some(seconds) = self.seconds_of_day {
            return Some(seconds * US_PER_SECOND + self.us);
        }
        let hour = match self.afternoon {
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(true) => self.hour % 12 + 12,
            Some(false) => self.hour % 12,
            None => self.hour,
        };
        let valid = (0..24).contains(&hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second);
        valid.then(|| {
            hour * US_PER_HOUR + self.minute * US_PER_MINUTE + self.second * US_PER_SECOND + self.us
        })
    }
}

/// Completes a year of fewer than four digits to the nearest to 2020.
fn full_year(value: i64, digits: usize, width: usize) -> i64 {
    if width >= 4 || digits >= 4 {
        return value;
    }
    match value {
        0..=69 => value + 2000,
        70..=99 => value + 1900,
        100..=519 => value + 2000,
        520..=999 => value + 1000,
        other => other,
    }
}

fn is_numeric_field(piece: Option<&Piece<'_>>) -> bool {
    matches!(piece, Some(Piece::Field { key, .. }) if !matches!(*key, "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM" | "RM" | "A.M." | "P.M." | "BC" | "AD" | "B.C." | "A.D."))
}

/// Reads text by a picture.
fn read(value: &str, picture: &str) -> Result<Read, SqlError> {
    let pieces = pieces(picture);
    let mut read = Read::default();
    let mut rest = value;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Field { key, .. } => {
                if rest.trim().is_empty() {
                    break;
                }
                read.take(key, &mut rest, is_numeric_field(pieces.get(index + 1)))?;
            }
            Piece::Literal(literal) => skip_literal(literal, &mut rest),
        }
    }
    Ok(read)
}

/// Separators match any separators; other characters skip one each.
fn skip_literal(literal: &str, rest: &mut &str) {
    for c in literal.chars() {
        let Some(first) = rest.chars().next() else { return };
        let separator = |c: char| !c.is_alphanumeric();
        if separator(c) {
            if separator(first) && !matches!(first, '+' | '-') || first == c {
                *rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        } else {
            *rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
}

fn out_of_range(value: &str) -> SqlError {
    crate::types::failure::field_overflow(value)
}

fn to_date(call: &Call) -> Answer {
    let (value, picture) = (call.text(0)?, call.text(1)?);
    let day = read(value, picture)?.day_number();
    day.map(Datum::Integer).ok_or_else(|| out_of_range(value))
}

fn to_timestamp(call: &Call) -> Answer {
    let (value, picture) = (call.text(0)?, call.text(1)?);
    let read = read(value, picture)?;
    let parts = read.day_number().zip(read.time_us());
    let (day, time) = parts.ok_or_else(|| out_of_range(value))?;
    let local = timestamp(day, time)?;
    let offset = match read.offset {
        Some(offset) => offset,
        None => zone::offset_at_local(&call.session.state().settings.time_zone, local),
    };
    Ok(Datum::Integer(local - i64::from(offset) * US_PER_SECOND))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body).stable()
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_timestamp_to_char", timestamp_to_char),
    f("pg_timestamptz_to_char", timestamptz_to_char),
    f("pg_interval_to_char", interval_to_char),
    f("pg_to_date", to_date),
    f("pg_to_timestamp", to_timestamp),
];
