//! `interval`: months, days and microseconds, which do not convert into each other until asked to.
//!
//! Stored as the three numbers, `"14 3 7200000000"`; ordered by their sum with months of 30 days and days of 24 hours.
//! Input is PostgreSQL's own (`1 year 2 mons -3 days 04:05:06.7`, `@ … ago`), the SQL standard's (`1-2 3 4:05:06`) and
//! ISO 8601's (`P1Y2M3DT4H5M6.7S`); output follows `IntervalStyle`.
//!
//! # Sources
//! PostgreSQL 15 manual, 8.5.4 and 8.5.5.

use std::cmp::Ordering;
use std::fmt::Write;

use super::datetime::{
    US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, format, parse, round_us,
};
use super::failure;
use crate::error::{SqlError, SqlState};
use crate::settings::IntervalStyle;

/// An interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub us: i64,
}

/// Microseconds in 30 days.
const US_PER_MONTH: i128 = 30 * US_PER_DAY as i128;

/// 22008 `interval out of range`.
#[must_use]
pub fn out_of_range() -> SqlError {
    failure::datetime_out_of_range("interval")
}

impl Interval {
    /// An interval of those parts.
    #[must_use]
    pub fn new(months: i32, days: i32, us: i64) -> Self {
        Self { months, days, us }
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// XX000 if it is not one.
    pub fn from_storage(text: &str) -> Result<Self, SqlError> {
        let mut parts = text.split(' ');
        let parsed = (|| {
            let months = parts.next()?.parse().ok()?;
            let days = parts.next()?.parse().ok()?;
            let us = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { months, days, us })
        })();
        parsed.ok_or_else(|| failure::wrong_storage("interval"))
    }

    /// The stored form.
    #[must_use]
    pub fn to_storage(self) -> String {
        format!("{} {} {}", self.months, self.days, self.us)
    }

    /// Length in microseconds with months of 30 days, by which intervals are ordered.
    #[must_use]
    pub fn span(self) -> i128 {
        i128::from(self.months) * US_PER_MONTH
            + i128::from(self.days) * i128::from(US_PER_DAY)
            + i128::from(self.us)
    }

    /// The sum.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn plus(self, other: Self) -> Result<Self, SqlError> {
        let sum = || {
            Some(Self {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                us: self.us.checked_add(other.us)?,
            })
        };
        sum().ok_or_else(out_of_range)
    }

    /// The negative.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn negate(self) -> Result<Self, SqlError> {
        let negative = || {
            Some(Self {
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                us: self.us.checked_neg()?,
            })
        };
        negative().ok_or_else(out_of_range)
    }

    /// Multiplies by a factor; fractions of months go to days, those of days to the time.
    ///
    /// # Errors
    /// 22008 on overflow.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the target's range")]
    pub fn multiply(self, factor: f64) -> Result<Self, SqlError> {
        let months = f64::from(self.months) * factor;
        let days = f64::from(self.days) * factor;
        let in_i32 = |value: f64| value.is_finite() && value.abs() <= f64::from(i32::MAX);
        if !in_i32(months) || !in_i32(days) {
            return Err(out_of_range());
        }
        let whole_months = months.trunc();
        let round = |value: f64| (value * 1e6).round_ties_even() / 1e6;
        // Days that the months' fraction is worth, and the time that their fraction is worth.
        let month_remainder = round((months - whole_months) * 30.0);
        let mut seconds =
            round((days - days.trunc() + month_remainder - month_remainder.trunc()) * 86_400.0);
        let mut extra_days = 0.0;
        if seconds.abs() >= 86_400.0 {
            extra_days = (seconds / 86_400.0).trunc();
            seconds -= extra_days * 86_400.0;
        }
        let total_days = days.trunc() + month_remainder.trunc() + extra_days;
        #[expect(
            clippy::cast_precision_loss,
            reason = "PostgreSQL computes it in double precision"
        )]
        let us = (self.us as f64 * factor + seconds * 1e6).round_ties_even();
        if !in_i32(total_days) || us.is_nan() || us.abs() >= 9.223_372_036_854_775e18 {
            return Err(out_of_range());
        }
        Ok(Self { months: whole_months as i32, days: total_days as i32, us: us as i64 })
    }

    /// Divides by a number other than zero.
    ///
    /// # Errors
    /// 22008 on overflow.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the target's range")]
    pub fn divide(self, divisor: f64) -> Result<Self, SqlError> {
        let (months, days) = (f64::from(self.months) / divisor, f64::from(self.days) / divisor);
        let limit = f64::from(i32::MAX);
        let (whole_months, whole_days) = (months.trunc(), days.trunc());
        let round = |value: f64| (value * 1e6).round_ties_even() / 1e6;
        let month_remainder = round((months - whole_months) * 30.0);
        let mut seconds =
            round((days - whole_days + month_remainder - month_remainder.trunc()) * 86_400.0);
        let mut total_days = whole_days + month_remainder.trunc();
        if seconds.abs() >= 86_400.0 {
            total_days += (seconds / 86_400.0).trunc();
            seconds %= 86_400.0;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "PostgreSQL computes it in double precision"
        )]
        let us = (self.us as f64 / divisor + seconds * 1e6).round_ties_even();
        let fits = months.abs() <= limit
            && total_days.abs() <= limit
            && us.abs() < 9.223_372_036_854_775e18;
        if !fits {
            return Err(out_of_range());
        }
        Ok(Self { months: whole_months as i32, days: total_days as i32, us: us as i64 })
    }

    /// Moves whole days out of the time.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_hours(self) -> Result<Self, SqlError> {
        let carried = self.us / US_PER_DAY;
        let mut us = self.us % US_PER_DAY;
        let mut days = i64::from(self.days) + carried;
        if days > 0 && us < 0 {
            us += US_PER_DAY;
            days -= 1;
        } else if days < 0 && us > 0 {
            us -= US_PER_DAY;
            days += 1;
        }
        Ok(Self { days: i32::try_from(days).ok().ok_or_else(out_of_range)?, us, ..self })
    }

    /// Moves whole months of 30 days out of the days.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_days(self) -> Result<Self, SqlError> {
        let mut days = self.days % 30;
        let mut months = i64::from(self.months) + i64::from(self.days / 30);
        if months > 0 && days < 0 {
            days += 30;
            months -= 1;
        } else if months < 0 && days > 0 {
            days -= 30;
            months += 1;
        }
        Ok(Self { months: i32::try_from(months).ok().ok_or_else(out_of_range)?, days, ..self })
    }

    /// Both, with all parts of one sign.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_interval(self) -> Result<Self, SqlError> {
        let days_total = i64::from(self.days) + self.us / US_PER_DAY;
        let mut us = self.us % US_PER_DAY;
        let mut months = i64::from(self.months) + days_total / 30;
        let mut days = days_total % 30;
        if months > 0 && (days < 0 || (days == 0 && us < 0)) {
            days += 30;
            months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && us > 0)) {
            days -= 30;
            months += 1;
        }
        if days > 0 && us < 0 {
            us += US_PER_DAY;
            days -= 1;
        } else if days < 0 && us > 0 {
            us -= US_PER_DAY;
            days += 1;
        }
        let months = i32::try_from(months).ok().ok_or_else(out_of_range)?;
        let days = i32::try_from(days).ok().ok_or_else(out_of_range)?;
        Ok(Self { months, days, us })
    }

    /// Applies a type modifier: fields that are kept, and digits of a second.
    #[must_use]
    pub fn apply_typmod(mut self, typmod: i32) -> Self {
        if typmod < 0 {
            return self;
        }
        let range = (typmod >> 16) & 0x7fff;
        let precision = typmod & 0xffff;
        const YEAR: i32 = 1 << 2;
        const MONTH: i32 = 1 << 1;
        const DAY: i32 = 1 << 3;
        const HOUR: i32 = 1 << 10;
        const MINUTE: i32 = 1 << 11;
        const SECOND: i32 = 1 << 12;
        if range != 0x7fff && range & SECOND == 0 {
            if range & (DAY | HOUR | MINUTE) == 0 {
                self.days = 0;
            }
            if range & MONTH == 0 && range & YEAR != 0 && range & DAY == 0 {
                self.months = self.months / 12 * 12;
            }
            let unit = if range & MINUTE != 0 {
                US_PER_MINUTE
            } else if range & HOUR != 0 {
                US_PER_HOUR
            } else {
                i64::MAX
            };
            self.us = self.us / unit * unit;
        }
        if precision <= 6 {
            self.us = round_us(self.us, precision);
        }
        self
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.span().cmp(&other.span()))
    }
}

/// Compares two stored intervals, as the collation `pg_interval` does.
#[must_use]
pub fn compare_text(left: &str, right: &str) -> Ordering {
    match (Interval::from_storage(left), Interval::from_storage(right)) {
        (Ok(left), Ok(right)) => left.span().cmp(&right.span()),
        _ => left.cmp(right),
    }
}

/// Sums up what is read, in units that may carry fractions down.
#[derive(Default)]
struct Builder {
    months: i64,
    days: i64,
    us: i64,
}

impl Builder {
    fn finish(self) -> Result<Interval, SqlError> {
        let months = i32::try_from(self.months).ok().ok_or_else(out_of_range)?;
        let days = i32::try_from(self.days).ok().ok_or_else(out_of_range)?;
        Ok(Interval { months, days, us: self.us })
    }

    /// Adds `whole`.`fraction` of a unit; `None` if it is no unit, `Some(Err)` on overflow.
    fn add(&mut self, whole: i64, fraction: f64, unit: &str) -> Option<Result<(), SqlError>> {
        let scaled = |factor: i64| whole.checked_mul(factor);
        let done = match unit_of(unit)? {
            Unit::Us(per) => scaled(per).and_then(|us| {
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    reason = "at most one unit"
                )]
                let rest = (fraction * per as f64).round_ties_even() as i64;
                self.us = self.us.checked_add(us)?.checked_add(rest)?;
                Some(())
            }),
            Unit::Days(per) => scaled(per).and_then(|days| {
                self.days = self.days.checked_add(days)?;
                #[expect(clippy::cast_precision_loss, reason = "a small factor")]
                self.add_fractional_days(fraction * per as f64)
            }),
            Unit::Months(per) => scaled(per).and_then(|months| {
                self.months = self.months.checked_add(months)?;
                #[expect(clippy::cast_precision_loss, reason = "a small factor")]
                let months_fraction = fraction * per as f64;
                if per > 1 {
                    // Fractions of years and above become months, rounded.
                    #[expect(clippy::cast_possible_truncation, reason = "below one unit")]
                    let months = months_fraction.round_ties_even() as i64;
                    self.months = self.months.checked_add(months)?;
                    return Some(());
                }
                self.add_fractional_days(months_fraction * 30.0)
            }),
        };
        Some(done.ok_or_else(out_of_range))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "below one unit, or saturating and caught later"
    )]
    fn add_fractional_days(&mut self, days: f64) -> Option<()> {
        let whole = days.trunc();
        self.days = self.days.checked_add(whole as i64)?;
        let us = ((days - whole) * 86_400e6).round_ties_even() as i64;
        self.us = self.us.checked_add(us)?;
        Some(())
    }
}

enum Unit {
    Us(i64),
    Days(i64),
    Months(i64),
}

fn unit_of(name: &str) -> Option<Unit> {
    Some(match name {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" | "microsec" | "microsecs"
        | "microsecon" => Unit::Us(1),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" | "millisec" | "millisecs"
        | "mseconds" | "millisecon" => Unit::Us(1000),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Us(US_PER_SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Us(US_PER_MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Us(US_PER_HOUR),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months(1),
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Months(12),
        "dec" | "decs" | "decade" | "decades" => Unit::Months(120),
        "c" | "cent" | "century" | "centuries" => Unit::Months(1200),
        "mil" | "mils" | "millennia" | "millennium" => Unit::Months(12_000),
        _ => return None,
    })
}

/// A number with its fraction; the fraction has the number's sign.
fn split_number(text: &str) -> Option<(i64, f64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let whole_value: i64 = match whole {
        "" | "-" | "+" if !fraction.is_empty() => 0,
        digits => digits.parse().ok()?,
    };
    if fraction.is_empty() {
        return Some((whole_value, 0.0));
    }
    let value: f64 = fraction
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| format!("0.{fraction}").parse().ok())??;
    Some((whole_value, if negative { -value } else { value }))
}

/// Reads `interval` input. `typmod` names the unit of a bare number, where it restricts to one.
///
/// # Errors
/// 22007, 22008.
pub fn parse(text: &str, typmod: i32) -> Result<Interval, SqlError> {
    let bad = || failure::invalid_datetime("interval", text);
    if text.len() > 512 {
        return Err(bad());
    }
    let trimmed = text.trim();
    let parsed = if trimmed.starts_with(['P', 'p']) {
        parse_iso(trimmed.get(1..).unwrap_or_default())
    } else {
        parse_fields(trimmed, typmod)
    };
    let overflow = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        )
    };
    let builder = match parsed {
        Some(Ok(builder)) => builder,
        Some(Err(_)) => return Err(overflow()),
        None => return Err(bad()),
    };
    builder.finish().map(|interval| interval.apply_typmod(typmod))
}

/// Splits a word into the number it begins with and the unit that follows.
fn split_unit(word: &str) -> (&str, &str) {
    let end = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
    word.split_at(end)
}

fn parse_fields(text: &str, typmod: i32) -> Option<Result<Builder, SqlError>> {
    let lower = text.to_ascii_lowercase();
    let mut words: Vec<&str> =
        lower.split(|c: char| c.is_whitespace()).filter(|it| !it.is_empty()).collect();
    if words.first() == Some(&"@") {
        words.remove(0);
    }
    let ago = words.last() == Some(&"ago");
    if ago {
        words.pop();
    }
    if words.is_empty() {
        return None;
    }
    let mut builder = Builder::default();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        index += 1;
        if word.contains(':') {
            let negative = word.starts_with('-');
            let time = parse::interval_time(word.trim_start_matches(['+', '-']))?;
            builder.us = builder.us.checked_add(if negative { -time } else { time })?;
            continue;
        }
        let (number, attached) = split_unit(word);
        if number.is_empty() {
            return None;
        }
        if let Some((years, months)) = year_month(number).filter(|_| attached.is_empty()) {
            builder.months = years.checked_mul(12)?.checked_add(months)?;
            continue;
        }
        let (whole, fraction) = split_number(number)?;
        let unit = if !attached.is_empty() {
            attached
        } else if let Some(next) = words.get(index).filter(|next| unit_of(next).is_some()) {
            index += 1;
            next
        } else if words.get(index).is_some_and(|next| next.contains(':')) {
            "day"
        } else if index == words.len() {
            default_unit(typmod)
        } else {
            return None;
        };
        if let Err(error) = builder.add(whole, fraction, unit)? {
            return Some(Err(error));
        }
    }
    if ago {
        builder =
            Builder { months: -builder.months, days: -builder.days, us: builder.us.checked_neg()? };
    }
    Some(Ok(builder))
}

/// `Y-M` of the SQL standard, with one sign for both.
fn year_month(text: &str) -> Option<(i64, i64)> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let (years, months) = unsigned.split_once('-')?;
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    (months < 12).then_some((sign * years, sign * months))
}

/// Unit of a bare number: the last field that the type modifier keeps, else seconds.
fn default_unit(typmod: i32) -> &'static str {
    let range = if typmod < 0 { 0x7fff } else { (typmod >> 16) & 0x7fff };
    match range {
        0x7fff => "second",
        it if it & (1 << 12) != 0 => "second",
        it if it & (1 << 11) != 0 => "minute",
        it if it & (1 << 10) != 0 => "hour",
        it if it & (1 << 3) != 0 => "day",
        it if it & (1 << 1) != 0 => "month",
        it if it & (1 << 2) != 0 => "year",
        _ => "second",
    }
}

/// Reads what follows the `P` of ISO 8601.
fn parse_iso(text: &str) -> Option<Result<Builder, SqlError>> {
    let mut builder = Builder::default();
    let mut in_time = false;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']) {
            in_time = true;
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at(end);
        let (designator, after) = tail.split_at(1);
        rest = after;
        let unit = match (designator.to_ascii_uppercase().as_str(), in_time) {
            ("Y", false) => "year",
            ("M", false) => "month",
            ("W", false) => "week",
            ("D", false) => "day",
            ("H", true) => "hour",
            ("M", true) => "minute",
            ("S", true) => "second",
            _ => return None,
        };
        let (whole, fraction) = split_number(number)?;
        if let Err(error) = builder.add(whole, fraction, unit)? {
            return Some(Err(error));
        }
    }
    Some(Ok(builder))
}

/// Appends interval output in the given style.
pub fn write(interval: Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => write_postgres(interval, out),
        IntervalStyle::PostgresVerbose => write_verbose(interval, out),
        IntervalStyle::SqlStandard => write_standard(interval, out),
        IntervalStyle::Iso8601 => write_iso(interval, out),
    }
}

/// Hours, minutes, seconds, microseconds of the magnitude.
fn time_parts(us: i64) -> (u64, u64, u64, u64) {
    let magnitude = us.unsigned_abs();
    let seconds = magnitude / 1_000_000;
    (seconds / 3600, seconds / 60 % 60, seconds % 60, magnitude % 1_000_000)
}

fn write_seconds(seconds: u64, fraction: u64, out: &mut String) {
    let _ = write!(out, "{seconds}");
    format::write_fraction(i64::try_from(fraction).unwrap_or(0), out);
}

fn write_clock(us: i64, out: &mut String) {
    let (hours, minutes, seconds, fraction) = time_parts(us);
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
    format::write_fraction(i64::try_from(fraction).unwrap_or(0), out);
}

fn write_postgres(interval: Interval, out: &mut String) {
    let start = out.len();
    let mut after_negative = false;
    let parts =
        [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(' ');
        }
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{plus}{value} {unit}{plural}");
        after_negative = value < 0;
    }
    if interval.us != 0 || out.len() == start {
        if out.len() > start {
            out.push(' ');
        }
        if interval.us < 0 {
            out.push('-');
        } else if after_negative {
            out.push('+');
        }
        write_clock(interval.us, out);
    }
}

fn write_verbose(interval: Interval, out: &mut String) {
    let (hours, minutes, seconds, fraction) = time_parts(interval.us);
    let time_sign = if interval.us < 0 { -1 } else { 1 };
    out.push('@');
    let mut negative_first = None;
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX) * time_sign;
    let parts = [
        (i64::from(interval.months / 12), "year"),
        (i64::from(interval.months % 12), "mon"),
        (i64::from(interval.days), "day"),
        (signed(hours), "hour"),
        (signed(minutes), "min"),
    ];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        let negative = *negative_first.get_or_insert(value < 0);
        let shown = if negative { -value } else { value };
        let plural = if shown == 1 { "" } else { "s" };
        let _ = write!(out, " {shown} {unit}{plural}");
    }
    if seconds != 0 || fraction != 0 {
        let negative = *negative_first.get_or_insert(interval.us < 0);
        out.push_str(if negative == (interval.us < 0) { " " } else { " -" });
        write_seconds(seconds, fraction, out);
        out.push_str(if seconds == 1 && fraction == 0 { " sec" } else { " secs" });
    }
    match negative_first {
        None => out.push_str(" 0"),
        Some(true) => out.push_str(" ago"),
        Some(false) => {}
    }
}

fn write_standard(interval: Interval, out: &mut String) {
    let (hours, minutes, seconds, fraction) = time_parts(interval.us);
    let signs =
        [interval.months.signum().into(), interval.days.signum().into(), interval.us.signum()];
    let has_negative = signs.contains(&-1);
    let has_positive = signs.contains(&1);
    let has_year_month = interval.months != 0;
    let has_day = interval.days != 0;
    let has_day_time = has_day || interval.us != 0;
    let (years, months) = (interval.months / 12, interval.months % 12);
    if !has_negative && !has_positive {
        out.push('0');
    } else if (has_negative && has_positive) || (has_year_month && has_day_time) {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let _ = write!(
            out,
            "{}{}-{} {}{} {}{hours}:{minutes:02}:",
            sign(interval.months < 0),
            years.unsigned_abs(),
            months.unsigned_abs(),
            sign(interval.days < 0),
            interval.days.unsigned_abs(),
            sign(interval.us < 0),
        );
        write_padded_seconds(seconds, fraction, out);
    } else {
        if has_negative {
            out.push('-');
        }
        if has_year_month {
            let _ = write!(out, "{}-{}", years.unsigned_abs(), months.unsigned_abs());
            return;
        }
        if has_day {
            let _ = write!(out, "{} ", interval.days.unsigned_abs());
        }
        let _ = write!(out, "{hours}:{minutes:02}:");
        write_padded_seconds(seconds, fraction, out);
    }
}

fn write_padded_seconds(seconds: u64, fraction: u64, out: &mut String) {
    let _ = write!(out, "{seconds:02}");
    format::write_fraction(i64::try_from(fraction).unwrap_or(0), out);
}

fn write_iso(interval: Interval, out: &mut String) {
    if interval == Interval::default() {
        out.push_str("PT0S");
        return;
    }
    out.push('P');
    let date_parts =
        [(interval.months / 12, 'Y'), (interval.months % 12, 'M'), (interval.days, 'D')];
    for (value, designator) in date_parts {
        if value != 0 {
            let _ = write!(out, "{value}{designator}");
        }
    }
    if interval.us == 0 {
        return;
    }
    let (hours, minutes, seconds, fraction) = time_parts(interval.us);
    let sign = if interval.us < 0 { "-" } else { "" };
    out.push('T');
    for (value, designator) in [(hours, 'H'), (minutes, 'M')] {
        if value != 0 {
            let _ = write!(out, "{sign}{value}{designator}");
        }
    }
    if seconds != 0 || fraction != 0 {
        out.push_str(sign);
        write_seconds(seconds, fraction, out);
        out.push('S');
    }
}
