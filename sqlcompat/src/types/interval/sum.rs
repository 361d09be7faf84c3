//! What the fields of an interval add up to.
//!
//! Every amount is a whole number and a fraction of a unit. Fractions carry down: of years and more to whole months, of months
//! and weeks to days and their time, of days to the time; what is below a microsecond is rounded.

use super::{Interval, out_of_range};
use crate::error::SqlError;
use crate::types::datetime::field::Trouble;
use crate::types::datetime::word::Unit;
use crate::types::datetime::{US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND};

/// The sum so far. Years and months are only joined at the end.
#[derive(Debug, Default)]
pub(super) struct Sum {
    years: i32,
    months: i32,
    days: i32,
    /// Microseconds.
    pub(super) us: i64,
}

impl Sum {
    /// Adds an amount of a unit.
    ///
    /// # Errors
    /// `Range` on overflow, `Format` for a unit that intervals do not have.
    pub(super) fn add(&mut self, whole: i64, fraction: f64, unit: Unit) -> Result<(), Trouble> {
        let added = match unit {
            Unit::Microsecond => self.add_time(whole, fraction, 1),
            Unit::Millisecond => self.add_time(whole, fraction, 1000),
            Unit::Second => self.add_time(whole, fraction, US_PER_SECOND),
            Unit::Minute => self.add_time(whole, fraction, US_PER_MINUTE),
            Unit::Hour => self.add_time(whole, fraction, US_PER_HOUR),
            Unit::Day => {
                self.add_days(whole, 1).and_then(|()| self.add_fraction_us(fraction, US_PER_DAY))
            }
            Unit::Week => {
                self.add_days(whole, 7).and_then(|()| self.add_fraction_days(fraction, 7))
            }
            Unit::Month => {
                self.add_months(whole).and_then(|()| self.add_fraction_days(fraction, 30))
            }
            Unit::Year => self.add_years(whole, fraction, 1),
            Unit::Decade => self.add_years(whole, fraction, 10),
            Unit::Century => self.add_years(whole, fraction, 100),
            Unit::Millennium => self.add_years(whole, fraction, 1000),
            Unit::Julian | Unit::Time | Unit::Other => return Err(Trouble::Format),
        };
        added.ok_or(Trouble::Range)
    }

    fn add_time(&mut self, whole: i64, fraction: f64, unit_us: i64) -> Option<()> {
        self.us = self.us.checked_add(whole.checked_mul(unit_us)?)?;
        self.add_fraction_us(fraction, unit_us)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "below one unit, or saturating"
    )]
    fn add_fraction_us(&mut self, fraction: f64, unit_us: i64) -> Option<()> {
        let exact = fraction * unit_us as f64;
        let rest = exact.fract();
        // Half a microsecond is not rounded up.
        let rounding = i64::from(rest > 0.5) - i64::from(rest < -0.5);
        self.us = self.us.checked_add((exact as i64).checked_add(rounding)?)?;
        Some(())
    }

    fn add_days(&mut self, whole: i64, unit: i32) -> Option<()> {
        let days = i32::try_from(whole).ok()?.checked_mul(unit)?;
        self.days = self.days.checked_add(days)?;
        Some(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "a few days")]
    fn add_fraction_days(&mut self, fraction: f64, unit: i32) -> Option<()> {
        let exact = fraction * f64::from(unit);
        self.days = self.days.checked_add(exact as i32)?;
        self.add_fraction_us(exact.fract(), US_PER_DAY)
    }

    fn add_months(&mut self, whole: i64) -> Option<()> {
        self.months = self.months.checked_add(i32::try_from(whole).ok()?)?;
        Some(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most twelve thousand months")]
    fn add_years(&mut self, whole: i64, fraction: f64, unit: i32) -> Option<()> {
        let years = i32::try_from(whole).ok()?.checked_mul(unit)?;
        self.years = self.years.checked_add(years)?;
        let months = (fraction * f64::from(unit) * 12.0).round_ties_even() as i32;
        self.months = self.months.checked_add(months)?;
        Some(())
    }

    /// Turns every part into its negative.
    ///
    /// # Errors
    /// `Range` on overflow.
    pub(super) fn negate(&mut self) -> Result<(), Trouble> {
        let negative = || {
            Some(Self {
                years: self.years.checked_neg()?,
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                us: self.us.checked_neg()?,
            })
        };
        *self = negative().ok_or(Trouble::Range)?;
        Ok(())
    }

    /// The interval.
    ///
    /// # Errors
    /// 22008 if years and months together overflow.
    pub(super) fn finish(self) -> Result<Interval, SqlError> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        let months = i32::try_from(months).ok().ok_or_else(out_of_range)?;
        Ok(Interval { months, days: self.days, us: self.us })
    }
}
