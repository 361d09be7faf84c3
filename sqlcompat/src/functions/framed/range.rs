//! Whether a key is in reach of another: PostgreSQL's `in_range` functions.

use std::cmp::Ordering;

use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::{Call, SessionContext, find, ordering};
use crate::oid::Oid;
use crate::types::interval::Interval;
use crate::types::numeric::Numeric;

/// Whether `value` is no greater (`less`) or no smaller than `base` minus (`subtract`) or plus the offset.
///
/// # Errors
/// 22013 for a negative offset or one that is not a number; what the addition raises.
pub(super) fn in_range(
    type_oid: Oid,
    value: DatumRef<'_>,
    base: DatumRef<'_>,
    offset: &Datum,
    (subtract, less): (bool, bool),
    session: &SessionContext,
) -> Result<bool, SqlError> {
    let pair = [value, base, offset.as_ref()];
    let call = Call { arguments: &pair, session };
    let order = match type_oid {
        Oid::INT2 | Oid::INT4 | Oid::INT8 => {
            let (value, base, offset) =
                (i128::from(call.i64(0)?), i128::from(call.i64(1)?), i128::from(call.i64(2)?));
            if offset < 0 {
                return Err(bad_offset());
            }
            value.cmp(&if subtract { base - offset } else { base + offset })
        }
        Oid::FLOAT4 | Oid::FLOAT8 => match float_order(&call, subtract)? {
            Reach::Order(order) => order,
            Reach::Base => return Ok(less),
            Reach::Always => return Ok(true),
        },
        Oid::NUMERIC => match numeric_order(&call, subtract)? {
            Reach::Order(order) => order,
            Reach::Base => return Ok(less),
            Reach::Always => return Ok(true),
        },
        Oid::TIME => {
            let (value, base, offset) = (call.i64(0)?, call.i64(1)?, interval(&call)?);
            if offset.us < 0 {
                return Err(bad_offset());
            }
            let us = i128::from(offset.us);
            let end = if subtract { i128::from(base) - us } else { i128::from(base) + us };
            i128::from(value).cmp(&end)
        }
        _ => {
            let offset = interval(&call)?;
            // Of a time of day only the part that is no days counts.
            let negative = if type_oid == Oid::TIMETZ { offset.us < 0 } else { offset.span() < 0 };
            if negative {
                return Err(bad_offset());
            }
            let end = moved(type_oid, &call, subtract)?;
            session.with_types(|cx| ordering::compare(type_oid, value, end.as_ref(), cx))
        }
    };
    Ok(if less { order != Ordering::Greater } else { order != Ordering::Less })
}

/// How a value stands to the end of a range.
enum Reach {
    /// As one ordinary value to another.
    Order(Ordering),
    /// The base sorts after all else, the value does not.
    Base,
    /// Infinity less infinity: everything is in reach.
    Always,
}

fn interval(call: &Call) -> Result<Interval, SqlError> {
    Interval::from_storage(call.text(2)?)
}

/// The base, moved by the offset.
fn moved(type_oid: Oid, call: &Call, subtract: bool) -> Result<Datum, SqlError> {
    let name = match (type_oid, subtract) {
        (Oid::TIMESTAMP, true) => "pg_timestamp_mi_interval",
        (Oid::TIMESTAMP, false) => "pg_timestamp_pl_interval",
        (Oid::TIMESTAMPTZ, true) => "pg_timestamptz_mi_interval",
        (Oid::TIMESTAMPTZ, false) => "pg_timestamptz_pl_interval",
        (Oid::INTERVAL, true) => "pg_interval_mi",
        (Oid::INTERVAL, false) => "pg_interval_pl",
        (Oid::TIMETZ, true) => "pg_timetz_mi_interval",
        (Oid::TIMETZ, false) => "pg_timetz_pl_interval",
        _ => return Err(SqlError::unsupported("RANGE with an offset over this type")),
    };
    let function = find(name).ok_or_else(|| SqlError::unsupported(name))?;
    (function.body)(&call.skip(1))
}

fn float_order(call: &Call, subtract: bool) -> Result<Reach, SqlError> {
    let (value, base, offset) = (call.f64(0)?, call.f64(1)?, call.f64(2)?);
    if offset.is_nan() || offset < 0.0 {
        return Err(bad_offset());
    }
    Ok(match (value.is_nan(), base.is_nan()) {
        (true, true) => Reach::Always,
        (true, false) => Reach::Order(Ordering::Greater),
        (false, true) => Reach::Base,
        (false, false)
            if offset.is_infinite() && base.is_infinite() && (base > 0.0) == subtract =>
        {
            Reach::Always
        }
        (false, false) => {
            let end = if subtract { base - offset } else { base + offset };
            Reach::Order(value.partial_cmp(&end).unwrap_or(Ordering::Equal))
        }
    })
}

fn numeric_order(call: &Call, subtract: bool) -> Result<Reach, SqlError> {
    let (value, base, offset) = (call.numeric(0)?, call.numeric(1)?, call.numeric(2)?);
    let negative = match &offset {
        Numeric::NaN | Numeric::NegativeInfinity => true,
        Numeric::Infinity => false,
        Numeric::Finite(_) => offset.compare(&Numeric::from(0)) == Ordering::Less,
    };
    if negative {
        return Err(bad_offset());
    }
    Ok(match (&value, &base) {
        (Numeric::NaN, Numeric::NaN) => Reach::Always,
        (Numeric::NaN, _) => Reach::Order(Ordering::Greater),
        (_, Numeric::NaN) => Reach::Base,
        _ => {
            let end = if subtract { base.subtract(&offset)? } else { base.add(&offset)? };
            match end {
                Numeric::NaN => Reach::Always,
                end => Reach::Order(value.compare(&end)),
            }
        }
    })
}

fn bad_offset() -> SqlError {
    SqlError::new(
        SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        "invalid preceding or following size in window function",
    )
}
