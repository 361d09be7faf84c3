//! `interval`: months, days and microseconds, which do not convert into each other until asked to.
//!
//! Stored as the three numbers, `"14 3 7200000000"`; ordered by their sum with months of 30 days and days of 24 hours.
//! Input is PostgreSQL's own (`1 year 2 mons -3 days 04:05:06.7`, `@ … ago`), the SQL standard's (`1-2 3 4:05:06`) and
//! ISO 8601's (`P1Y2M3DT4H5M6.7S`); output follows `IntervalStyle`.
//!
//! # Map
//! `input` reads text, `iso` the form of ISO 8601, both into the same `sum`; `output` writes it.
//!
//! # Sources
//! PostgreSQL 15 manual, 8.5.4 and 8.5.5.

mod input;
mod iso;
mod output;
mod sum;

use std::cmp::Ordering;

use super::datetime::{US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, round_us};
use super::failure;
use crate::error::SqlError;

pub use input::parse;
pub use output::write;

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

/// The bits of the fields in an interval's type modifier (PostgreSQL `INTERVAL_MASK`).
pub(crate) mod typmod_field {
    /// Months.
    pub(crate) const MONTH: i32 = 1 << 1;
    /// Years.
    pub(crate) const YEAR: i32 = 1 << 2;
    /// Days.
    pub(crate) const DAY: i32 = 1 << 3;
    /// Hours.
    pub(crate) const HOUR: i32 = 1 << 10;
    /// Minutes.
    pub(crate) const MINUTE: i32 = 1 << 11;
    /// Seconds.
    pub(crate) const SECOND: i32 = 1 << 12;
}

/// A number of units and a rest of less than one: the same with both of one sign.
fn of_one_sign(whole: i64, rest: i64, unit: i64) -> (i64, i64) {
    if whole > 0 && rest < 0 {
        (whole - 1, rest + unit)
    } else if whole < 0 && rest > 0 {
        (whole + 1, rest - unit)
    } else {
        (whole, rest)
    }
}

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
        let days = i64::from(self.days) + self.us / US_PER_DAY;
        let (days, us) = of_one_sign(days, self.us % US_PER_DAY, US_PER_DAY);
        Ok(Self { days: i32::try_from(days).ok().ok_or_else(out_of_range)?, us, ..self })
    }

    /// Moves whole months of 30 days out of the days.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_days(self) -> Result<Self, SqlError> {
        let months = i64::from(self.months) + i64::from(self.days / 30);
        let (months, days) = of_one_sign(months, i64::from(self.days % 30), 30);
        let months = i32::try_from(months).ok().ok_or_else(out_of_range)?;
        let days = i32::try_from(days).ok().ok_or_else(out_of_range)?;
        Ok(Self { months, days, ..self })
    }

    /// Both, with all parts of one sign.
    ///
    /// # Errors
    /// 22008 on overflow.
    pub fn justify_interval(self) -> Result<Self, SqlError> {
        let days_total = i64::from(self.days) + self.us / US_PER_DAY;
        let us = self.us % US_PER_DAY;
        let mut months = i64::from(self.months) + days_total / 30;
        let mut days = days_total % 30;
        if months > 0 && (days < 0 || (days == 0 && us < 0)) {
            days += 30;
            months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && us > 0)) {
            days -= 30;
            months += 1;
        }
        let (days, us) = of_one_sign(days, us, US_PER_DAY);
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
        use typmod_field::{DAY, HOUR, MINUTE, MONTH, SECOND, YEAR};
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
