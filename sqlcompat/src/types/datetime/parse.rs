//! Input of dates, times and timestamps.
//!
//! Text is cut into fields by their first character and punctuation: `2024-01-31T10:00:00.5+02` becomes a date field, the
//! marker `T`, a time field and a zone field. The fields are then read in order into one `Fields` record; a part given
//! twice, or one that no rule explains, is a syntax error (22007), a value out of its range 22008.

use super::zone::Zone;
use super::{US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, civil, failure, zone};
use crate::error::SqlError;
use crate::settings::DateOrder;
use crate::types::TypeContext;

/// Longest input that is looked at; longer is a syntax error.
const TEXT_BYTES_MAX: usize = 256;

/// Special input values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Epoch,
    Now,
    Infinity,
    NegativeInfinity,
    /// `today` and its neighbours, by their distance in days.
    Today(i64),
}

/// What the fields of an input came to.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    time_us: Option<i64>,
    zone: Option<Zone>,
    special: Option<Special>,
    before_christ: bool,
    year_digits: usize,
    meridian: Option<bool>,
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Number(&'a str),
    Date(&'a str),
    Time(&'a str),
    Offset(&'a str),
    Word(&'a str),
}

/// Cuts input into fields.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '0'..='9' => {
                let (token, length) = numeric_token(rest);
                found.push(token);
                length
            }
            '+' | '-' => {
                let after = rest.get(1..).unwrap_or_default();
                let skipped = after.len() - after.trim_start_matches(' ').len();
                let body = after.trim_start_matches(' ');
                let digits =
                    body.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(body.len());
                if digits > 0 && skipped == 0 {
                    found.push(Token::Offset(rest.get(..=digits)?));
                    digits + 1
                } else if body.to_ascii_lowercase().starts_with("inf") {
                    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
                    found.push(Token::Word(rest.get(..end)?));
                    end
                } else {
                    return None;
                }
            }
            c if c.is_ascii_alphabetic() => {
                let length = word_length(rest);
                found.push(Token::Word(rest.get(..length)?));
                length
            }
            c if c.is_ascii_whitespace() || c == ',' => 1,
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    Some(found)
}

/// A field that begins with a digit.
fn numeric_token(rest: &str) -> (Token<'_>, usize) {
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let following = rest.get(digits..).unwrap_or_default();
    let mut chars = following.chars();
    let (separator, next) = (chars.next(), chars.next());
    let take = |length: usize| rest.get(..length).unwrap_or_default();
    match separator {
        Some(':') => {
            let end = rest
                .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
                .unwrap_or(rest.len());
            (Token::Time(take(end)), end)
        }
        Some(c @ ('-' | '/' | '.')) if next.is_some_and(|it| it.is_ascii_alphanumeric()) => {
            let middle = following.get(1..).unwrap_or_default();
            let is_word = next.is_some_and(|it| it.is_ascii_alphabetic());
            let part =
                |it: char| if is_word { it.is_ascii_alphabetic() } else { it.is_ascii_digit() };
            let middle_length = middle.find(|it: char| !part(it)).unwrap_or(middle.len());
            let mut end = digits + 1 + middle_length;
            let tail = rest.get(end..).unwrap_or_default();
            let tail_digits = tail
                .strip_prefix(c)
                .map_or(0, |it| it.find(|it: char| !it.is_ascii_digit()).unwrap_or(it.len()));
            if tail_digits > 0 {
                end += 1 + tail_digits;
            } else if c == '.' {
                // One point only: a number with a fraction.
                return (Token::Number(take(end)), end);
            }
            (Token::Date(take(end)), end)
        }
        _ => (Token::Number(take(digits)), digits),
    }
}

/// Length of a word: letters, and for time zone names also `/ _ + -` and digits after a slash.
fn word_length(rest: &str) -> usize {
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    match rest.as_bytes().get(letters) {
        Some(b'/' | b'_') => rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "/_+-".contains(c)))
            .unwrap_or(rest.len()),
        Some(b'+' | b'-')
            if letters == 3 && zone::find(rest.get(..3).unwrap_or_default()).is_some() =>
        {
            let tail = rest.get(letters + 1..).unwrap_or_default();
            let digits =
                tail.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(tail.len());
            if digits > 0 { letters + 1 + digits } else { letters }
        }
        _ => letters,
    }
}

/// Why reading stopped.
enum Trouble {
    Syntax,
    Range,
    ZoneUnknown(String),
    ZoneRange,
}

type Step = Result<(), Trouble>;

fn number(text: &str) -> Result<i64, Trouble> {
    text.parse().ok().ok_or(Trouble::Range)
}

/// Reads `HH:MM[:SS[.f]]` or `HHMM[SS[.f]]`.
fn time_of(text: &str) -> Result<i64, Trouble> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Trouble::Syntax);
    }
    let parts: Vec<&str> = if whole.contains(':') {
        whole.split(':').collect()
    } else {
        match whole.len() {
            4 => vec![whole.get(..2).unwrap_or(""), whole.get(2..).unwrap_or("")],
            6 => vec![
                whole.get(..2).unwrap_or(""),
                whole.get(2..4).unwrap_or(""),
                whole.get(4..).unwrap_or(""),
            ],
            _ => return Err(Trouble::Syntax),
        }
    };
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] if fraction.is_empty() => (number(hour)?, number(minute)?, 0),
        // With a fraction, two parts are minutes and seconds.
        [minute, second] => (0, number(minute)?, number(second)?),
        [hour, minute, second] => (number(hour)?, number(minute)?, number(second)?),
        _ => return Err(Trouble::Syntax),
    };
    if hour > 24 || minute > 59 || second > 60 {
        return Err(Trouble::Range);
    }
    let total = hour * US_PER_HOUR
        + minute * US_PER_MINUTE
        + second * US_PER_SECOND
        + fraction_us(fraction);
    if total > US_PER_DAY { Err(Trouble::Range) } else { Ok(total) }
}

/// Microseconds of the digits after a point, rounded.
#[must_use]
pub fn fraction_us(digits: &str) -> i64 {
    if digits.is_empty() {
        return 0;
    }
    let value: f64 = format!("0.{digits}").parse().unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "at most a million")]
    let us = (value * 1e6).round_ties_even() as i64;
    us
}

/// Month of a name or its abbreviation.
fn month_of(word: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let position = NAMES.iter().position(|name| {
        word == *name
            || (word.len() == 3 && name.starts_with(word))
            || (word == "sept" && *name == "september")
    })?;
    i64::try_from(position + 1).ok()
}

fn is_weekday(word: &str) -> bool {
    const NAMES: [&str; 7] =
        ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let short = ["tues", "wednes", "weds", "thur", "thurs"];
    NAMES.iter().any(|name| word == *name || (word.len() == 3 && name.starts_with(word)))
        || short.contains(&word)
}

impl Fields {
    fn set(slot: &mut Option<i64>, value: i64) -> Step {
        if slot.replace(value).is_some() { Err(Trouble::Syntax) } else { Ok(()) }
    }

    fn set_year(&mut self, text: &str) -> Step {
        self.year_digits = text.len();
        Self::set(&mut self.year, number(text)?)
    }

    /// Reads `a-b-c`, `a/b/c`, `a.b.c` with a month name allowed in it.
    fn read_date(&mut self, text: &str, order: DateOrder) -> Step {
        let separator = text.chars().find(|c| matches!(c, '-' | '/' | '.')).unwrap_or('-');
        let mut parts: Vec<&str> = text.split(separator).collect();
        if let Some(at) =
            parts.iter().position(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            let word = parts.remove(at).to_ascii_lowercase();
            Self::set(&mut self.month, month_of(&word).ok_or(Trouble::Syntax)?)?;
            return match parts.as_slice() {
                [year, day] if year.len() > 2 || order == DateOrder::Ymd => {
                    self.set_year(year)?;
                    Self::set(&mut self.day, number(day)?)
                }
                [day, year] => {
                    Self::set(&mut self.day, number(day)?)?;
                    self.set_year(year)
                }
                _ => Err(Trouble::Syntax),
            };
        }
        match parts.as_slice() {
            [year, day_of_year] if year.len() > 2 && day_of_year.len() == 3 => {
                self.set_year(year)?;
                Self::set(&mut self.day_of_year, number(day_of_year)?)
            }
            [first, second, third] => self.read_numeric_date([first, second, third], order),
            _ => Err(Trouble::Syntax),
        }
    }

    fn read_numeric_date(&mut self, parts: [&str; 3], order: DateOrder) -> Step {
        let [first, second, third] = parts;
        let (year, month, day) = if first.len() > 2 {
            (first, second, third)
        } else {
            match order {
                DateOrder::Ymd => (first, second, third),
                DateOrder::Mdy => (third, first, second),
                DateOrder::Dmy => (third, second, first),
            }
        };
        self.set_year(year)?;
        Self::set(&mut self.month, number(month)?)?;
        Self::set(&mut self.day, number(day)?)
    }

    /// Reads a bare number by its length and by what is still missing.
    fn read_number(&mut self, text: &str, after_time_marker: bool, order: DateOrder) -> Step {
        let has_date = self.month.is_some() || self.day.is_some() || self.year.is_some();
        let whole = text.split('.').next().unwrap_or(text);
        let complete = self.year.is_some() && self.month.is_some() && self.day.is_some();
        if after_time_marker || (complete && self.time_us.is_none() && matches!(whole.len(), 4 | 6))
        {
            if whole.len() == 2 {
                return Self::set(&mut self.time_us, number(whole)? * US_PER_HOUR);
            }
            return Self::set(&mut self.time_us, time_of(text)?);
        }
        if text.contains('.') {
            // Year and day of the year.
            let (year, day_of_year) = text.split_once('.').unwrap_or((text, ""));
            if has_date || year.len() < 3 || day_of_year.len() != 3 {
                return Err(Trouble::Syntax);
            }
            self.set_year(year)?;
            return Self::set(&mut self.day_of_year, number(day_of_year)?);
        }
        if !has_date && matches!(text.len(), 6 | 8) {
            let (year, rest) = text.split_at(text.len() - 4);
            let (month, day) = rest.split_at(2);
            self.set_year(year)?;
            Self::set(&mut self.month, number(month)?)?;
            return Self::set(&mut self.day, number(day)?);
        }
        self.read_lone_number(text, order)
    }

    fn read_lone_number(&mut self, text: &str, order: DateOrder) -> Step {
        if text.len() > 2 && self.year.is_none() {
            return self.set_year(text);
        }
        if self.month.is_some() {
            return if self.day.is_none() {
                Self::set(&mut self.day, number(text)?)
            } else {
                self.set_year(text)
            };
        }
        match order {
            DateOrder::Ymd if self.year.is_none() => self.set_year(text),
            DateOrder::Dmy if self.day.is_none() => Self::set(&mut self.day, number(text)?),
            DateOrder::Mdy | DateOrder::Ymd | DateOrder::Dmy => {
                Self::set(&mut self.month, number(text)?)
            }
        }
    }

    fn read_word(&mut self, word: &str) -> Step {
        let lower = word.to_ascii_lowercase();
        if let Some(month) = month_of(&lower) {
            // `1 January`: a number taken for a month was the day.
            if let (Some(taken), None) = (self.month, self.day) {
                self.day = Some(taken);
                self.month = None;
            }
            return Self::set(&mut self.month, month);
        }
        let special = match lower.as_str() {
            "epoch" => Some(Special::Epoch),
            "now" => Some(Special::Now),
            "infinity" | "+infinity" | "inf" | "+inf" => Some(Special::Infinity),
            "-infinity" | "-inf" => Some(Special::NegativeInfinity),
            "today" => Some(Special::Today(0)),
            "tomorrow" => Some(Special::Today(1)),
            "yesterday" => Some(Special::Today(-1)),
            _ => None,
        };
        if special.is_some() {
            return if std::mem::replace(&mut self.special, special).is_some() {
                Err(Trouble::Syntax)
            } else {
                Ok(())
            };
        }
        match lower.as_str() {
            "am" => self.set_meridian(false),
            "pm" => self.set_meridian(true),
            "ad" => Ok(()),
            "bc" => {
                self.before_christ = true;
                Ok(())
            }
            "allballs" => Self::set(&mut self.time_us, 0),
            "at" | "on" | "of" | "d" => Ok(()),
            it if is_weekday(it) => Ok(()),
            _ => self.set_zone(word),
        }
    }

    fn set_meridian(&mut self, afternoon: bool) -> Step {
        if self.meridian.replace(afternoon).is_some() { Err(Trouble::Syntax) } else { Ok(()) }
    }

    fn set_zone(&mut self, name: &str) -> Step {
        let by_posix_offset =
            name.get(3..).filter(|it| it.starts_with(['+', '-'])).and_then(zone::parse_offset);
        let found = match by_posix_offset {
            // POSIX counts offsets westwards.
            Some(offset) => Some(Zone::Fixed(-offset)),
            None => zone::find(name),
        };
        let looks_like_zone = name.contains('/');
        let found = found.ok_or_else(|| {
            if looks_like_zone {
                Trouble::ZoneUnknown(name.to_ascii_lowercase())
            } else {
                Trouble::Syntax
            }
        })?;
        if self.zone.replace(found).is_some() { Err(Trouble::Syntax) } else { Ok(()) }
    }

    fn read(&mut self, text: &str, order: DateOrder) -> Step {
        let tokens = tokens(text).filter(|it| !it.is_empty()).ok_or(Trouble::Syntax)?;
        let mut after_time_marker = false;
        let mut julian_next = false;
        for token in &tokens {
            match token {
                Token::Word(word) if word.eq_ignore_ascii_case("t") => {
                    after_time_marker = true;
                    continue;
                }
                Token::Word(word) if word.eq_ignore_ascii_case("j") => {
                    julian_next = true;
                    continue;
                }
                Token::Number(digits) if julian_next => {
                    Self::set(&mut self.julian, number(digits)?)?;
                }
                Token::Number(digits) => self.read_number(digits, after_time_marker, order)?,
                Token::Date(date) => self.read_date(date, order)?,
                Token::Time(time) => {
                    let time = time_of(time)?;
                    Self::set(&mut self.time_us, time)?;
                }
                Token::Offset(offset) => self.read_offset(offset, order)?,
                Token::Word(word) => self.read_word(word)?,
            }
            after_time_marker = false;
            julian_next = false;
        }
        self.apply_meridian()
    }

    fn read_offset(&mut self, text: &str, order: DateOrder) -> Step {
        if self.time_us.is_none() && self.month.is_some() && self.day.is_none() {
            // `Jan-08`: the hyphen was a separator.
            return self.read_lone_number(text.get(1..).unwrap_or_default(), order);
        }
        if self.time_us.is_none()
            && self.zone.is_none()
            && self.year.is_none()
            && self.special.is_none()
        {
            return Err(Trouble::Syntax);
        }
        let offset = zone::parse_offset(text).ok_or(Trouble::ZoneRange)?;
        // An offset after a zone name such as `GMT-8` is read with the name.
        if self.zone.replace(Zone::Fixed(offset)).is_some() { Err(Trouble::Syntax) } else { Ok(()) }
    }

    fn apply_meridian(&mut self) -> Step {
        let Some(afternoon) = self.meridian else { return Ok(()) };
        let time = self.time_us.ok_or(Trouble::Syntax)?;
        let hour = time / US_PER_HOUR;
        if !(0..=12).contains(&hour) {
            return Err(Trouble::Range);
        }
        let hour_wanted = hour % 12 + if afternoon { 12 } else { 0 };
        self.time_us = Some(time + (hour_wanted - hour) * US_PER_HOUR);
        Ok(())
    }

    /// The day number of the date fields; `None` if there are none.
    fn day_number(&self) -> Result<Option<i64>, Trouble> {
        if let Some(julian) = self.julian {
            return Ok(Some(julian - 2_451_545));
        }
        let Some(mut year) = self.year else {
            return if self.month.is_some() || self.day.is_some() {
                Err(Trouble::Syntax)
            } else {
                Ok(None)
            };
        };
        if self.before_christ {
            if year <= 0 {
                return Err(Trouble::Range);
            }
            year = 1 - year;
        } else if self.year_digits <= 2 {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year <= 0 {
            return Err(Trouble::Range);
        }
        if year > 6_000_000 {
            return Err(Trouble::Range);
        }
        if let Some(day_of_year) = self.day_of_year {
            let last = 365 + i64::from(civil::is_leap(year));
            if !(1..=last).contains(&day_of_year) {
                return Err(Trouble::Range);
            }
            return Ok(Some(civil::day_number(year, 1, 1) + day_of_year - 1));
        }
        let (Some(month), Some(day)) = (self.month, self.day) else { return Err(Trouble::Syntax) };
        if !(1..=12).contains(&month) || !(1..=civil::days_in_month(year, month)).contains(&day) {
            return Err(Trouble::Range);
        }
        Ok(Some(civil::day_number(year, month, day)))
    }
}

fn trouble(trouble: Trouble, type_name: &str, text: &str) -> SqlError {
    match trouble {
        Trouble::Syntax => failure::invalid_datetime(type_name, text),
        Trouble::Range => failure::field_overflow(text),
        Trouble::ZoneUnknown(name) => {
            failure::invalid_parameter(format!("time zone \"{name}\" not recognized"))
        }
        Trouble::ZoneRange => SqlError::new(
            crate::SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
            format!("time zone displacement out of range: \"{text}\""),
        ),
    }
}

fn read(text: &str, type_name: &str, cx: &TypeContext) -> Result<Fields, SqlError> {
    let mut fields = Fields::default();
    fields
        .read(text, cx.settings.date_order)
        .map_err(|it| trouble(it, type_name, text))
        .map_err(|error| hint_date_order(error, &fields))?;
    Ok(fields)
}

/// Adds PostgreSQL's hint where month and day may have been swapped.
fn hint_date_order(error: SqlError, fields: &Fields) -> SqlError {
    let swapped = fields.month.is_some_and(|it| it > 12) && fields.day.is_some();
    if swapped && error.state == crate::SqlState::DATETIME_FIELD_OVERFLOW {
        return error.with_hint("Perhaps you need a different \"datestyle\" setting.");
    }
    error
}

fn day_of(fields: &Fields, type_name: &str, text: &str) -> Result<Option<i64>, SqlError> {
    fields.day_number().map_err(|it| hint_date_order(trouble(it, type_name, text), fields))
}

/// The session's calendar day at the start of the transaction.
fn today(cx: &TypeContext) -> i64 {
    super::split(zone::to_local(&cx.settings.time_zone, cx.now_us)).0
}

/// Reads `date` input.
///
/// # Errors
/// 22007, 22008.
pub fn date(text: &str, cx: &TypeContext) -> Result<i64, SqlError> {
    let fields = read(text, "date", cx)?;
    match fields.special {
        Some(Special::Infinity) => return Ok(super::DATE_MAX),
        Some(Special::NegativeInfinity) => return Ok(super::DATE_MIN),
        Some(Special::Epoch) => return Ok(super::UNIX_EPOCH_DAY),
        Some(Special::Now) => return Ok(today(cx)),
        Some(Special::Today(distance)) => return Ok(today(cx) + distance),
        None => {}
    }
    let day =
        day_of(&fields, "date", text)?.ok_or_else(|| failure::invalid_datetime("date", text))?;
    if !(super::DAY_FIRST..super::DAY_END).contains(&day) {
        return Err(failure::input_out_of_range("date", text));
    }
    Ok(day)
}

/// Local time in microseconds since 2000 and the zone, or an instant that needs none.
enum Moment {
    Local(i64, Option<Zone>),
    Instant(i64),
}

fn moment(text: &str, type_name: &str, cx: &TypeContext) -> Result<Moment, SqlError> {
    let fields = read(text, type_name, cx)?;
    let time = fields.time_us.unwrap_or(0);
    let local_day = match fields.special {
        Some(Special::Infinity) => return Ok(Moment::Instant(super::TIMESTAMP_MAX)),
        Some(Special::NegativeInfinity) => return Ok(Moment::Instant(super::TIMESTAMP_MIN)),
        Some(Special::Epoch) => return Ok(Moment::Instant(super::UNIX_EPOCH_US)),
        Some(Special::Now) => return Ok(Moment::Instant(cx.now_us)),
        Some(Special::Today(distance)) => today(cx) + distance,
        None => day_of(&fields, type_name, text)?
            .ok_or_else(|| failure::invalid_datetime(type_name, text))?,
    };
    let local = super::timestamp(local_day, time)
        .ok()
        .ok_or_else(|| failure::input_out_of_range("timestamp", text))?;
    Ok(Moment::Local(local, fields.zone))
}

/// Reads `timestamp` input; a zone in it is ignored, as in PostgreSQL.
///
/// # Errors
/// 22007, 22008.
pub fn timestamp(text: &str, precision: i32, cx: &TypeContext) -> Result<i64, SqlError> {
    Ok(match moment(text, "timestamp", cx)? {
        Moment::Local(local, _) => super::round_us(local, precision),
        Moment::Instant(instant) if super::is_infinite(instant) => instant,
        Moment::Instant(instant) if instant == super::UNIX_EPOCH_US => instant,
        Moment::Instant(instant) => {
            super::round_us(zone::to_local(&cx.settings.time_zone, instant), precision)
        }
    })
}

/// Reads `timestamptz` input; without a zone it is in the session's.
///
/// # Errors
/// 22007, 22008.
pub fn timestamptz(text: &str, precision: i32, cx: &TypeContext) -> Result<i64, SqlError> {
    Ok(match moment(text, "timestamp with time zone", cx)? {
        Moment::Instant(instant) if super::is_infinite(instant) => instant,
        Moment::Instant(instant) => super::round_us(instant, precision),
        Moment::Local(local, given) => {
            let offset = match given {
                Some(given) => given.offset_at_local(local),
                None => zone::offset_at_local(&cx.settings.time_zone, local),
            };
            let instant = local - i64::from(offset) * US_PER_SECOND;
            if !(super::TIMESTAMP_FIRST..super::TIMESTAMP_END).contains(&instant) {
                return Err(failure::input_out_of_range("timestamp", text));
            }
            super::round_us(instant, precision)
        }
    })
}

/// Reads `time` input.
///
/// # Errors
/// 22007, 22008.
pub fn time(text: &str, precision: i32, cx: &TypeContext) -> Result<i64, SqlError> {
    let fields = read_time(text, "time", cx)?;
    let time = match (fields.special, fields.time_us) {
        (Some(Special::Now), _) => {
            super::split(zone::to_local(&cx.settings.time_zone, cx.now_us)).1
        }
        (_, Some(time)) => time,
        _ => return Err(failure::invalid_datetime("time", text)),
    };
    Ok(super::round_us(time, precision))
}

/// Reads time input, where a bare number is a time.
fn read_time(text: &str, type_name: &str, cx: &TypeContext) -> Result<Fields, SqlError> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let whole = trimmed.get(..digits).unwrap_or_default().split('.').next().unwrap_or_default();
    let bare = matches!(whole.len(), 4 | 6)
        && !trimmed.get(digits..).unwrap_or_default().starts_with(['-', '/', ':']);
    if bare {
        let marked = format!("T{trimmed}");
        return read(&marked, type_name, cx).map_err(|error| {
            let message = error.message.replace(&marked, text);
            SqlError { message, ..error }
        });
    }
    read(text, type_name, cx)
}

/// Reads `timetz` input: microseconds of the day and the offset in seconds east.
///
/// # Errors
/// 22007, 22008.
pub fn timetz(text: &str, precision: i32, cx: &TypeContext) -> Result<(i64, i32), SqlError> {
    let fields = read_time(text, "time with time zone", cx)?;
    let zone_of_session = &cx.settings.time_zone;
    if fields.special == Some(Special::Now) {
        let offset = zone::offset_at(zone_of_session, cx.now_us);
        let local = zone::to_local(zone_of_session, cx.now_us);
        return Ok((super::round_us(super::split(local).1, precision), offset));
    }
    let time =
        fields.time_us.ok_or_else(|| failure::invalid_datetime("time with time zone", text))?;
    let day = day_of(&fields, "time with time zone", text)?.unwrap_or_else(|| today(cx));
    let offset = match &fields.zone {
        Some(given) => given.offset_at_local(day * US_PER_DAY + time),
        None => zone::offset_at_local(zone_of_session, day * US_PER_DAY + time),
    };
    Ok((super::round_us(time, precision), offset))
}

/// Reads the time part of an interval: `[H…:]MM:SS[.f]` without PostgreSQL's bounds on hours.
#[must_use]
pub fn interval_time(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Option<Vec<i64>> = whole.split(':').map(|part| part.parse().ok()).collect();
    let (hours, minutes, seconds) = match parts?.as_slice() {
        [hours, minutes] if fraction.is_empty() => (*hours, *minutes, 0),
        [minutes, seconds] => (0, *minutes, *seconds),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    if minutes > 59 || seconds > 60 {
        return None;
    }
    let rest = minutes * US_PER_MINUTE + seconds * US_PER_SECOND + fraction_us(fraction);
    hours.checked_mul(US_PER_HOUR)?.checked_add(rest)
}
