//! Dates, times and timestamps: reading, printing, time zones, calendar arithmetic.
//!
//! Days count from 2000-01-01 and microseconds from its midnight (UTC for `timestamptz`), as in PostgreSQL; the calendar is
//! the proleptic Gregorian one. Text is read as PostgreSQL reads it: split into fields of a kind (number, date, time, word,
//! zone), which are then given their meaning one after the other, `DateOrder` deciding what is ambiguous.
//!
//! # Map
//! - [`civil`]: days to year, month, day and back.
//! - [`zone`]: offsets of time zones, also beyond the years that the zone database knows; [`abbreviation`]: their short names.
//! - [`parse`]: input, by way of `field` (cutting), `decode` (meaning), `number` and `word`.
//! - [`mod@format`]: output in all `DateStyle`s.
//!
//! # Bounds
//! Dates from 4714-11-24 BC to 5874897-12-31, timestamps to 294276-12-31; beyond that 22008.
//!
//! # Sources
//! PostgreSQL 15 manual, 8.5 and appendix B.

pub mod abbreviation;
pub mod binary;
pub mod civil;
mod decode;
pub(in crate::types) mod field;
pub mod format;
pub(in crate::types) mod number;
pub mod parse;
pub(in crate::types) mod word;
pub mod zone;

use super::failure;
use crate::error::SqlError;

/// Microseconds in a second.
pub const US_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const US_PER_MINUTE: i64 = 60 * US_PER_SECOND;
/// Microseconds in an hour.
pub const US_PER_HOUR: i64 = 60 * US_PER_MINUTE;
/// Microseconds in a day.
pub const US_PER_DAY: i64 = 24 * US_PER_HOUR;

/// `-infinity` of `date`.
pub const DATE_MIN: i64 = i32::MIN as i64;
/// `infinity` of `date`.
pub const DATE_MAX: i64 = i32::MAX as i64;
/// `-infinity` of `timestamp`.
pub const TIMESTAMP_MIN: i64 = i64::MIN;
/// `infinity` of `timestamp`.
pub const TIMESTAMP_MAX: i64 = i64::MAX;

/// First finite day: 4714-11-24 BC.
pub const DAY_FIRST: i64 = -2_451_545;
/// First day that no `date` reaches: 5874898-01-01.
pub const DAY_END: i64 = 2_145_031_949;
/// First microsecond of `timestamp`.
pub const TIMESTAMP_FIRST: i64 = DAY_FIRST * US_PER_DAY;
/// First microsecond that no `timestamp` reaches: 294277-01-01.
pub const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;
/// 1970-01-01 as a day number.
pub const UNIX_EPOCH_DAY: i64 = -10_957;
/// 1970-01-01 00:00 in microseconds.
pub const UNIX_EPOCH_US: i64 = UNIX_EPOCH_DAY * US_PER_DAY;

/// Whether a timestamp is one of the infinities.
#[must_use]
pub fn is_infinite(timestamp: i64) -> bool {
    timestamp == TIMESTAMP_MIN || timestamp == TIMESTAMP_MAX
}

/// Day and microsecond of the day as a timestamp.
///
/// # Errors
/// 22008 outside the range of `timestamp`.
pub fn timestamp(day: i64, time_us: i64) -> Result<i64, SqlError> {
    day.checked_mul(US_PER_DAY)
        .and_then(|us| us.checked_add(time_us))
        .filter(|us| (TIMESTAMP_FIRST..TIMESTAMP_END).contains(us))
        .ok_or_else(|| failure::datetime_out_of_range("timestamp"))
}

/// Day and microsecond of the day of a finite timestamp.
#[must_use]
pub fn split(timestamp: i64) -> (i64, i64) {
    (timestamp.div_euclid(US_PER_DAY), timestamp.rem_euclid(US_PER_DAY))
}

/// Rounds microseconds to `precision` digits of a second, half away from zero; 6 and -1 leave all.
#[must_use]
pub fn round_us(value: i64, precision: i32) -> i64 {
    let Some(dropped) = u32::try_from(precision).ok().and_then(|it| 6u32.checked_sub(it)) else {
        return value;
    };
    let unit = 10i64.pow(dropped);
    let half = unit / 2;
    if value >= 0 {
        value.saturating_add(half) / unit * unit
    } else {
        -(value.saturating_neg().saturating_add(half) / unit * unit)
    }
}
