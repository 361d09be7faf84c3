//! What a type modifier says of a column: the `_pg_*` functions that the views of `information_schema` are written with.
//!
//! # Sources
//! PostgreSQL 15 manual, 37.17 (`columns`): what each figure is for each type.

use super::call::integer;
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;

type Answer = Result<Datum, SqlError>;

/// Bytes that a string's modifier, and a `numeric`'s, counts beside the length.
const HEADER_BYTES: i64 = 4;

/// Most bytes of a character.
const CHARACTER_BYTES_MAX: i64 = 4;

/// Most bytes of a text without a length.
const TEXT_BYTES_MAX: i64 = 1 << 30;

/// Half of a modifier that holds two numbers.
const HALF: i64 = 0xffff;

/// Digits of a second where no other number is given.
const SECOND_DIGITS: i64 = 6;

/// Type and modifier; -1 is none.
fn arguments(call: &Call) -> Result<(Oid, Option<i64>), SqlError> {
    let typmod = call.i64(1)?;
    Ok((call.oid(0)?, (typmod != -1).then_some(typmod)))
}

fn optional(value: Option<i64>) -> Datum {
    value.map_or(Datum::Null, Datum::Integer)
}

fn max_length((type_oid, typmod): (Oid, Option<i64>)) -> Option<i64> {
    match type_oid {
        Oid::BPCHAR | Oid::VARCHAR => typmod.map(|it| it - HEADER_BYTES),
        Oid::BIT | Oid::VARBIT => typmod,
        _ => None,
    }
}

fn octet_length(call: &Call) -> Answer {
    let given = arguments(call)?;
    let length = match given {
        (Oid::TEXT | Oid::BPCHAR | Oid::VARCHAR, None) => Some(TEXT_BYTES_MAX),
        (Oid::BPCHAR | Oid::VARCHAR, _) => max_length(given).map(|it| it * CHARACTER_BYTES_MAX),
        _ => None,
    };
    Ok(optional(length))
}

fn precision(call: &Call) -> Answer {
    let (type_oid, typmod) = arguments(call)?;
    Ok(optional(match type_oid {
        Oid::INT2 => Some(16),
        Oid::INT4 => Some(32),
        Oid::INT8 => Some(64),
        Oid::NUMERIC => typmod.map(|it| (it - HEADER_BYTES) >> 16 & HALF),
        Oid::FLOAT4 => Some(24),
        Oid::FLOAT8 => Some(53),
        _ => None,
    }))
}

fn radix(call: &Call) -> Answer {
    Ok(match arguments(call)?.0 {
        Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::FLOAT4 | Oid::FLOAT8 => integer(2),
        Oid::NUMERIC => integer(10),
        _ => Datum::Null,
    })
}

fn scale(call: &Call) -> Answer {
    let (type_oid, typmod) = arguments(call)?;
    Ok(optional(match type_oid {
        Oid::INT2 | Oid::INT4 | Oid::INT8 => Some(0),
        Oid::NUMERIC => typmod.map(|it| (it - HEADER_BYTES) & HALF),
        _ => None,
    }))
}

fn second_digits(call: &Call) -> Answer {
    let (type_oid, typmod) = arguments(call)?;
    let given = typmod.filter(|it| *it >= 0);
    Ok(optional(match type_oid {
        Oid::DATE => Some(0),
        Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => {
            Some(given.unwrap_or(SECOND_DIGITS))
        }
        Oid::INTERVAL => {
            Some(given.map(|it| it & HALF).filter(|it| *it != HALF).unwrap_or(SECOND_DIGITS))
        }
        _ => None,
    }))
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg__pg_char_max_length_13212", |call| {
        Ok(optional(max_length(arguments(call)?)))
    }),
    ScalarFunction::strict("pg__pg_char_octet_length_13213", octet_length),
    ScalarFunction::strict("pg__pg_numeric_precision_13215", precision),
    ScalarFunction::strict("pg__pg_numeric_precision_radix_13216", radix),
    ScalarFunction::strict("pg__pg_numeric_scale_13217", scale),
    ScalarFunction::strict("pg__pg_datetime_precision_13218", second_digits),
];
