//! Binary forms of the date and time types, and the canonical text that a `timetz` is stored as.

use super::{
    TIMESTAMP_END, TIMESTAMP_FIRST, US_PER_DAY, format, is_infinite, parse, round_us, zone,
};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::types::codec::fixed;
use crate::types::failure;
use crate::types::interval::Interval;

/// The canonical text of a `timetz`: local time and offset.
#[must_use]
pub fn timetz_text((time_us, offset): (i64, i32)) -> String {
    let mut out = String::new();
    format::write_time(time_us, &mut out);
    format::write_offset(offset, &mut out);
    out
}

/// Reads the canonical text of a `timetz`.
///
/// # Errors
/// XX000 if it is not one.
pub fn timetz_parts(text: &str) -> Result<(i64, i32), SqlError> {
    let parts = text.find(['+', '-']).and_then(|at| {
        let (time, offset) = text.split_at(at);
        Some((parse::stored_time(time)?, zone::parse_offset(offset)?))
    });
    parts.ok_or_else(|| failure::wrong_storage("time with time zone"))
}

/// Reads a `time`.
pub(in crate::types) fn decode_time(bytes: &[u8], typmod: i32) -> Result<Datum, SqlError> {
    let time = i64::from_be_bytes(fixed(bytes, "time")?);
    if !(0..=US_PER_DAY).contains(&time) {
        return Err(failure::datetime_out_of_range("time"));
    }
    Ok(Datum::Integer(round_us(time, typmod)))
}

pub(in crate::types) fn decode_timestamp(bytes: &[u8], typmod: i32) -> Result<Datum, SqlError> {
    let value = i64::from_be_bytes(fixed(bytes, "timestamp")?);
    if is_infinite(value) {
        return Ok(Datum::Integer(value));
    }
    if !(TIMESTAMP_FIRST..TIMESTAMP_END).contains(&value) {
        return Err(failure::datetime_out_of_range("timestamp"));
    }
    Ok(Datum::Integer(round_us(value, typmod)))
}

pub(in crate::types) fn decode_timetz(bytes: &[u8], typmod: i32) -> Result<Datum, SqlError> {
    let [time @ .., a, b, c, d] = fixed::<12>(bytes, "time with time zone")?;
    let time = i64::from_be_bytes(time);
    let west = i32::from_be_bytes([a, b, c, d]);
    if !(0..=US_PER_DAY).contains(&time) || west.abs() >= 16 * 3600 {
        return Err(failure::datetime_out_of_range("time"));
    }
    Ok(Datum::Text(timetz_text((round_us(time, typmod), -west))))
}

pub(in crate::types) fn decode_interval(bytes: &[u8], typmod: i32) -> Result<Datum, SqlError> {
    let bytes: [u8; 16] = fixed(bytes, "interval")?;
    let packed = u128::from_be_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "cutting fields out of the packed bytes")]
    let (us, days, months) = ((packed >> 64) as u64, (packed >> 32) as u32, packed as u32);
    let interval = Interval::new(months.cast_signed(), days.cast_signed(), us.cast_signed());
    Ok(Datum::Text(interval.apply_typmod(typmod).to_storage()))
}

/// Appends a stored `interval`.
pub(in crate::types) fn encode_interval(stored: &str, out: &mut Vec<u8>) -> Result<(), SqlError> {
    let interval = Interval::from_storage(stored)?;
    out.extend(interval.us.to_be_bytes());
    out.extend(interval.days.to_be_bytes());
    out.extend(interval.months.to_be_bytes());
    Ok(())
}

/// Appends a stored `timetz`.
pub(in crate::types) fn encode_timetz(stored: &str, out: &mut Vec<u8>) -> Result<(), SqlError> {
    let (time, offset) = timetz_parts(stored)?;
    out.extend(time.to_be_bytes());
    out.extend((-offset).to_be_bytes());
    Ok(())
}
