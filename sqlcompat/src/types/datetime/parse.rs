//! Input of dates, times and timestamps.
//!
//! Text is cut into fields (`field`), the fields are given their meaning (`decode`), and what they came to
//! is turned into the value of a type here. What no rule explains is a syntax error (22007), a value out of its range 22008.

use super::decode::{self, Decoded, Target};
use super::field::{self, Trouble};
use super::number::{Clock, day_number};
use super::word::Special;
use super::{US_PER_DAY, US_PER_SECOND, failure};
use crate::error::SqlError;
use crate::types::TypeContext;

/// The error for a trouble with an input.
pub(in crate::types) fn error_of(trouble: Trouble, type_name: &str, text: &str) -> SqlError {
    match trouble {
        Trouble::Format => failure::invalid_datetime(type_name, text),
        Trouble::Range => failure::field_overflow(text),
        Trouble::DateOrder => failure::field_overflow(text)
            .with_hint("Perhaps you need a different \"datestyle\" setting."),
        Trouble::ZoneUnknown(name) => {
            failure::invalid_parameter(format!("time zone \"{name}\" not recognized"))
        }
        Trouble::OffsetRange => SqlError::new(
            crate::SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
            format!("time zone displacement out of range: \"{text}\""),
        ),
    }
}

fn read(
    text: &str,
    target: Target,
    type_name: &str,
    cx: &TypeContext,
) -> Result<Decoded, SqlError> {
    let lower = text.to_ascii_lowercase();
    field::split(&lower, field::MOMENT_BYTES_MAX)
        .ok_or(Trouble::Format)
        .and_then(|fields| decode::decode(&fields, target, cx))
        .map_err(|it| error_of(it, type_name, text))
}

/// Reads `date` input.
///
/// # Errors
/// 22007, 22008.
pub fn date(text: &str, cx: &TypeContext) -> Result<i64, SqlError> {
    let decoded = read(text, Target::Moment, "date", cx)?;
    match decoded.special {
        Some(Special::Infinity) => return Ok(super::DATE_MAX),
        Some(Special::NegativeInfinity) => return Ok(super::DATE_MIN),
        Some(Special::Epoch) => return Ok(super::UNIX_EPOCH_DAY),
        Some(Special::Now | Special::Today(_) | Special::AllBalls) | None => {}
    }
    day_number(&decoded.parts)
        .filter(|day| (super::DAY_FIRST..super::DAY_END).contains(day))
        .ok_or_else(|| failure::input_out_of_range("date", text))
}

/// Local time in microseconds since 2000 with its offset, or an instant that has none.
enum Moment {
    Local(i128, i32),
    Instant(i64),
}

fn moment(text: &str, type_name: &str, cx: &TypeContext) -> Result<Moment, SqlError> {
    let decoded = read(text, Target::Moment, type_name, cx)?;
    match decoded.special {
        Some(Special::Infinity) => return Ok(Moment::Instant(super::TIMESTAMP_MAX)),
        Some(Special::NegativeInfinity) => return Ok(Moment::Instant(super::TIMESTAMP_MIN)),
        Some(Special::Epoch) => return Ok(Moment::Instant(super::UNIX_EPOCH_US)),
        Some(Special::Now | Special::Today(_) | Special::AllBalls) | None => {}
    }
    let day =
        day_number(&decoded.parts).ok_or_else(|| failure::input_out_of_range("timestamp", text))?;
    let local = i128::from(day) * i128::from(US_PER_DAY) + i128::from(decoded.time_us());
    Ok(Moment::Local(local, decoded.offset))
}

/// A timestamp within range, rounded.
fn in_range(us: i128, precision: i32, text: &str) -> Result<i64, SqlError> {
    let range = super::TIMESTAMP_FIRST..super::TIMESTAMP_END;
    let us = i64::try_from(us).ok().filter(|us| range.contains(us));
    us.map(|us| super::round_us(us, precision))
        .ok_or_else(|| failure::input_out_of_range("timestamp", text))
}

/// Reads `timestamp` input; a zone in it is ignored, as in PostgreSQL.
///
/// # Errors
/// 22007, 22008.
pub fn timestamp(text: &str, precision: i32, cx: &TypeContext) -> Result<i64, SqlError> {
    match moment(text, "timestamp", cx)? {
        Moment::Local(local, _) => in_range(local, precision, text),
        Moment::Instant(instant) => Ok(instant),
    }
}

/// Reads `timestamptz` input; without a zone it is in the session's.
///
/// # Errors
/// 22007, 22008.
pub fn timestamptz(text: &str, precision: i32, cx: &TypeContext) -> Result<i64, SqlError> {
    match moment(text, "timestamp with time zone", cx)? {
        Moment::Instant(instant) => Ok(instant),
        Moment::Local(local, offset) => {
            let offset_us = i128::from(offset) * i128::from(US_PER_SECOND);
            in_range(local - offset_us, precision, text)
        }
    }
}

/// Reads `time` input.
///
/// # Errors
/// 22007, 22008.
pub fn time(text: &str, precision: i32, cx: &TypeContext) -> Result<i64, SqlError> {
    let decoded = read(text, Target::TimeOfDay, "time", cx)?;
    Ok(super::round_us(decoded.time_us(), precision))
}

/// Reads `timetz` input: microseconds of the day and the offset in seconds east.
///
/// # Errors
/// 22007, 22008.
pub fn timetz(text: &str, precision: i32, cx: &TypeContext) -> Result<(i64, i32), SqlError> {
    let decoded = read(text, Target::TimeOfDay, "time with time zone", cx)?;
    Ok((super::round_us(decoded.time_us(), precision), decoded.offset))
}

/// Reads the canonical text of a time of day.
#[must_use]
pub fn stored_time(text: &str) -> Option<i64> {
    Clock::read(text, false).ok()?.total_us()
}
