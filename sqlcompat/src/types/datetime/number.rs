//! The meaning of the numbers in a date or time.
//!
//! A number with six or more digits runs date or time together (`20240131`, `101112`); any other takes the next place that is
//! free: by `DateOrder`, and a year where it has three digits or more. A date in one field (`31-Jan-2024`) is read by the same
//! rules, its month's name first.
//!
//! # Sources
//! PostgreSQL 15 manual, appendix B.1.

use super::civil;
use super::field::{FIELDS_MAX, Trouble, fraction_us, leading_i32, leading_i64};
use super::word::{self, Word};
use super::{US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND};
use crate::settings::DateOrder;

/// Parts of a date or time that have been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(u32);

impl Seen {
    pub(super) const NONE: Self = Self(0);
    pub(super) const YEAR: Self = Self(1);
    pub(super) const MONTH: Self = Self(1 << 1);
    pub(super) const DAY: Self = Self(1 << 2);
    pub(super) const DAY_OF_YEAR: Self = Self(1 << 3);
    pub(super) const HOUR: Self = Self(1 << 4);
    pub(super) const MINUTE: Self = Self(1 << 5);
    pub(super) const SECOND: Self = Self(1 << 6);
    pub(super) const ZONE: Self = Self(1 << 8);
    /// The zone was an abbreviation of daylight saving time.
    pub(super) const DAYLIGHT_ZONE: Self = Self(1 << 9);
    /// The zone was an abbreviation whose offset changes.
    pub(super) const CHANGING_ZONE: Self = Self(1 << 10);
    /// The word `dst`, which goes with no abbreviation of daylight saving time.
    pub(super) const DAYLIGHT: Self = Self(1 << 11 | 1 << 9);
    pub(super) const WEEKDAY: Self = Self(1 << 12);
    pub(super) const MERIDIAN: Self = Self(1 << 13);
    pub(super) const ERA: Self = Self(1 << 14);
    pub(super) const SPECIAL: Self = Self(1 << 15);
    pub(super) const DATE: Self = Self(0b111);
    /// The second with its digits after the point.
    pub(super) const ALL_SECONDS: Self = Self(1 << 6 | 1 << 7);
    pub(super) const TIME: Self = Self(0b1111 << 4);

    /// Both.
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this and not in the other.
    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of the other is in this.
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of the other is in this.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The parts of a date or time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) year: i64,
    /// Whether the year was written with two digits or fewer.
    pub(super) two_digits: bool,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) day_of_year: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) us: i64,
}

impl Parts {
    /// Sets the time of day.
    pub(super) fn set_time(&mut self, us: i64) {
        self.hour = us / US_PER_HOUR;
        self.minute = us / US_PER_MINUTE % 60;
        self.second = us / US_PER_SECOND % 60;
        self.us = us % US_PER_SECOND;
    }
}

/// A part of a date between separators, and the rest after it; the character after the part is dropped with it.
fn next_part(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(|it: char| !it.is_ascii_alphanumeric());
    let is_digit = text.starts_with(|it: char| it.is_ascii_digit());
    let belongs = |it: char| if is_digit { it.is_ascii_digit() } else { it.is_ascii_alphabetic() };
    let end = text.find(|it| !belongs(it)).unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    (!part.is_empty()).then(|| (part, rest.get(1..).unwrap_or_default()))
}

/// Reads a date in one field, given what was seen before it.
pub(super) fn read_date(
    text: &str,
    before: Seen,
    order: DateOrder,
    parts: &mut Parts,
) -> Result<Seen, Trouble> {
    let mut rest = text;
    let mut written = Vec::new();
    while !rest.is_empty() && written.len() < FIELDS_MAX {
        let (part, after) = next_part(rest).ok_or(Trouble::Format)?;
        written.push(part);
        rest = after;
    }
    let (mut seen, mut text_month, mut numbers) = (before, false, Vec::new());
    for part in written {
        if !part.starts_with(|it: char| it.is_ascii_alphabetic()) {
            numbers.push(part);
            continue;
        }
        let Some(Word::Month(month)) = word::find(part) else { return Err(Trouble::Format) };
        if seen.meets(Seen::MONTH) {
            return Err(Trouble::Format);
        }
        parts.month = month;
        text_month = true;
        seen = seen.with(Seen::MONTH);
    }
    for number in numbers {
        let given = read_number(number, text_month, seen, order, parts)?;
        if seen.meets(given) {
            return Err(Trouble::Format);
        }
        seen = seen.with(given);
    }
    if seen.without(Seen::DAY_OF_YEAR.with(Seen::ZONE)) != Seen::DATE {
        return Err(Trouble::Format);
    }
    Ok(seen.without(before))
}

/// Reads one number, given what was seen before it.
pub(super) fn read_number(
    text: &str,
    text_month: bool,
    seen: Seen,
    order: DateOrder,
    parts: &mut Parts,
) -> Result<Seen, Trouble> {
    let (value, rest) = leading_i32(text)?;
    let whole = text.len() - rest.len();
    if whole == 0 || !(rest.is_empty() || rest.starts_with('.')) {
        return Err(Trouble::Format);
    }
    if !rest.is_empty() {
        if whole > 2 {
            return read_digits(text, seen.with(Seen::DATE), parts);
        }
        parts.us = fraction_us(rest)?;
    }
    let date = Seen(seen.0 & Seen::DATE.0);
    if text.len() == 3 && date == Seen::YEAR && (1..=366).contains(&value) {
        parts.day_of_year = value;
        return Ok(Seen::DAY_OF_YEAR.with(Seen::MONTH).with(Seen::DAY));
    }
    if date == Seen::DATE {
        return read_digits(text, seen, parts);
    }
    let year_month = Seen::YEAR.with(Seen::MONTH);
    let long = text.len() >= 3;
    if date == year_month && text_month && long && parts.two_digits {
        // `01 Feb 2003` by year, month, day: what was taken for the year is the day.
        parts.day = parts.year;
        (parts.year, parts.two_digits) = (value, false);
        return Ok(Seen::DAY);
    }
    let given = match date {
        Seen::NONE if long || order == DateOrder::Ymd => Seen::YEAR,
        Seen::NONE if order == DateOrder::Dmy => Seen::DAY,
        Seen::NONE | Seen::YEAR | Seen::DAY => Seen::MONTH,
        Seen::MONTH if text_month && (long || order == DateOrder::Ymd) => Seen::YEAR,
        Seen::MONTH => Seen::DAY,
        it if it == year_month => Seen::DAY,
        it if it == Seen::MONTH.with(Seen::DAY) => Seen::YEAR,
        _ => return Err(Trouble::Format),
    };
    match given {
        Seen::YEAR => (parts.year, parts.two_digits) = (value, text.len() <= 2),
        Seen::MONTH => parts.month = value,
        _ => parts.day = value,
    }
    Ok(given)
}

/// Reads digits that run a date (`20240131`, `240131`) or a time (`101112.5`, `1011`) together.
pub(super) fn read_digits(text: &str, seen: Seen, parts: &mut Parts) -> Result<Seen, Trouble> {
    let number = |digits: Option<&str>| digits.and_then(|it| it.parse::<i64>().ok());
    let (digits, point) = match text.find('.') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    if !point.is_empty() {
        parts.us = fraction_us(point)?;
    } else if !seen.has(Seen::DATE) && digits.len() >= 6 {
        let (month, day) = (digits.len() - 4, digits.len() - 2);
        parts.day = number(digits.get(day..)).ok_or(Trouble::Format)?;
        parts.month = number(digits.get(month..day)).ok_or(Trouble::Format)?;
        let (year, _) = leading_i64(digits.get(..month).ok_or(Trouble::Format)?)?;
        parts.year = year.min(i64::from(i32::MAX));
        parts.two_digits |= month == 2;
        return Ok(Seen::DATE);
    }
    if !matches!(digits.len(), 4 | 6) || seen.has(Seen::TIME) {
        return Err(Trouble::Format);
    }
    parts.hour = number(digits.get(..2)).ok_or(Trouble::Format)?;
    parts.minute = number(digits.get(2..4)).ok_or(Trouble::Format)?;
    parts.second =
        if digits.len() == 6 { number(digits.get(4..)).ok_or(Trouble::Format)? } else { 0 };
    Ok(Seen::TIME)
}

/// A time with colons, hours unbounded: whole hours, and microseconds within them.
pub(in crate::types) struct Clock {
    pub(in crate::types) hours: i64,
    pub(in crate::types) minutes: i64,
    pub(in crate::types) seconds: i64,
    pub(in crate::types) us: i64,
}

impl Clock {
    /// Reads `HH:MM[:SS[.f]]`, or `MM:SS.f`; where `minutes_first`, two fields are `MM:SS` without a fraction too.
    ///
    /// # Errors
    /// `Format`, and `Range` for minutes beyond 59 or seconds beyond 60.
    pub(in crate::types) fn read(text: &str, minutes_first: bool) -> Result<Self, Trouble> {
        let (first, rest) = leading_i64(text)?;
        let rest = rest.strip_prefix(':').ok_or(Trouble::Format)?;
        let (second, rest) = leading_i32(rest)?;
        let clock = if let Some(rest) = rest.strip_prefix(':') {
            let (third, rest) = leading_i32(rest)?;
            let us = if rest.is_empty() { 0 } else { fraction_us(rest)? };
            Self { hours: first, minutes: second, seconds: third, us }
        } else if rest.is_empty() && !minutes_first {
            Self { hours: first, minutes: second, seconds: 0, us: 0 }
        } else {
            let us = if rest.is_empty() { 0 } else { fraction_us(rest)? };
            i32::try_from(first).ok().ok_or(Trouble::Range)?;
            Self { hours: 0, minutes: first, seconds: second, us }
        };
        let in_range = clock.hours >= 0
            && (0..60).contains(&clock.minutes)
            && (0..=60).contains(&clock.seconds);
        if in_range { Ok(clock) } else { Err(Trouble::Range) }
    }

    /// The whole in microseconds; `None` beyond 64 bits.
    pub(in crate::types) fn total_us(&self) -> Option<i64> {
        let rest = self.minutes * US_PER_MINUTE + self.seconds * US_PER_SECOND + self.us;
        self.hours.checked_mul(US_PER_HOUR)?.checked_add(rest)
    }
}

/// Reads a time with colons.
pub(super) fn read_clock(text: &str, parts: &mut Parts) -> Result<Seen, Trouble> {
    let Clock { hours, minutes, seconds, us } = Clock::read(text, false)?;
    i32::try_from(hours).ok().ok_or(Trouble::Range)?;
    (parts.hour, parts.minute, parts.second, parts.us) = (hours, minutes, seconds, us);
    Ok(Seen::TIME)
}

/// The day number of a date that some calendar day has; `None` beyond the years that dates have.
pub(super) fn day_number(parts: &Parts) -> Option<i64> {
    (-4713..=5_874_898)
        .contains(&parts.year)
        .then(|| civil::day_number(parts.year, parts.month, parts.day))
}
