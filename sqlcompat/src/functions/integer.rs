//! Operators and functions of `int2`, `int4`, `int8`, `oid`: checked arithmetic, comparison, bits, casts.

use super::call::{boolean, float, integer, text};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::types::failure;

type Answer = Result<Datum, SqlError>;

/// Checks the result against the bounds of a type.
fn within(value: Option<i64>, min: i64, max: i64, type_name: &str) -> Answer {
    value
        .filter(|value| (min..=max).contains(value))
        .map(Datum::Integer)
        .ok_or_else(|| failure::out_of_range(type_name))
}

fn int2(value: Option<i64>) -> Answer {
    within(value, i16::MIN.into(), i16::MAX.into(), "smallint")
}

fn int4(value: Option<i64>) -> Answer {
    within(value, i32::MIN.into(), i32::MAX.into(), "integer")
}

fn int8(value: Option<i64>) -> Answer {
    within(value, i64::MIN, i64::MAX, "bigint")
}

/// Both arguments.
fn two(call: &Call) -> Result<(i64, i64), SqlError> {
    Ok((call.i64(0)?, call.i64(1)?))
}

fn add(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    let (left, right) = two(call)?;
    fit(left.checked_add(right))
}

fn subtract(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    let (left, right) = two(call)?;
    fit(left.checked_sub(right))
}

fn multiply(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    let (left, right) = two(call)?;
    fit(left.checked_mul(right))
}

fn divide(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    let (left, right) = two(call)?;
    if right == 0 {
        return Err(failure::division_by_zero());
    }
    fit(left.checked_div(right))
}

fn remainder(call: &Call) -> Answer {
    let (left, right) = two(call)?;
    if right == 0 {
        return Err(failure::division_by_zero());
    }
    Ok(Datum::Integer(left.wrapping_rem(right)))
}

fn compare(call: &Call, holds: fn(&i64, &i64) -> bool) -> Answer {
    let (left, right) = two(call)?;
    Ok(boolean(holds(&left, &right)))
}

fn three_way(call: &Call) -> Answer {
    let (left, right) = two(call)?;
    Ok(integer(left.cmp(&right) as i8))
}

fn bits(call: &Call, combine: fn(i64, i64) -> i64) -> Answer {
    let (left, right) = two(call)?;
    Ok(Datum::Integer(combine(left, right)))
}

/// Shifts within `width` bits; the distance counts modulo the width, as on the machines PostgreSQL runs on.
fn shift(call: &Call, width: u32, left: bool) -> Answer {
    let (value, distance) = two(call)?;
    let distance = u32::try_from(distance.rem_euclid(i64::from(width.max(32)))).unwrap_or(0);
    let wide =
        if left { value.checked_shl(distance).unwrap_or(0) } else { value >> distance.min(63) };
    #[expect(clippy::cast_possible_truncation, reason = "the type keeps its low bits")]
    Ok(Datum::Integer(match width {
        16 => i64::from(wide as i16),
        32 => i64::from(wide as i32),
        _ => wide,
    }))
}

fn greatest_common_divisor(left: i64, right: i64) -> Option<i64> {
    let (mut a, mut b) = (left.unsigned_abs(), right.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).ok()
}

fn gcd(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    let (left, right) = two(call)?;
    fit(greatest_common_divisor(left, right))
}

fn lcm(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    let (left, right) = two(call)?;
    if left == 0 || right == 0 {
        return Ok(integer(0));
    }
    let product = greatest_common_divisor(left, right)
        .and_then(|divisor| (left / divisor).checked_mul(right))
        .and_then(i64::checked_abs);
    fit(product)
}

/// A cast to a narrower type.
fn cast(call: &Call, fit: fn(Option<i64>) -> Answer) -> Answer {
    fit(Some(call.i64(0)?))
}

#[expect(clippy::cast_precision_loss, reason = "what the cast is for")]
fn to_f64(call: &Call) -> Answer {
    Ok(float(call.i64(0)? as f64))
}

#[expect(clippy::cast_precision_loss, reason = "what the cast is for")]
fn to_f32(call: &Call) -> Answer {
    Ok(float(f64::from(call.i64(0)? as f32)))
}

fn to_oid(call: &Call) -> Answer {
    let value = call.i64(0)?;
    within(Some(value), 0, u32::MAX.into(), "OID")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "reinterprets the low 32 bits"
)]
fn to_hex32(call: &Call) -> Answer {
    Ok(text(format!("{:x}", call.i64(0)? as u32)))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Comparison operators of one pair of types.
macro_rules! comparisons {
    ($eq:literal, $ne:literal, $lt:literal, $le:literal, $gt:literal, $ge:literal) => {
        &[
            f($eq, |call| compare(call, i64::eq)),
            f($ne, |call| compare(call, i64::ne)),
            f($lt, |call| compare(call, i64::lt)),
            f($le, |call| compare(call, i64::le)),
            f($gt, |call| compare(call, i64::gt)),
            f($ge, |call| compare(call, i64::ge)),
        ]
    };
}

/// Comparisons, per pair of types.
pub(super) const COMPARISONS: &[&[ScalarFunction]] = &[
    comparisons!("pg_int2eq", "pg_int2ne", "pg_int2lt", "pg_int2le", "pg_int2gt", "pg_int2ge"),
    comparisons!("pg_int4eq", "pg_int4ne", "pg_int4lt", "pg_int4le", "pg_int4gt", "pg_int4ge"),
    comparisons!("pg_int8eq", "pg_int8ne", "pg_int8lt", "pg_int8le", "pg_int8gt", "pg_int8ge"),
    comparisons!(
        "pg_int24eq",
        "pg_int24ne",
        "pg_int24lt",
        "pg_int24le",
        "pg_int24gt",
        "pg_int24ge"
    ),
    comparisons!(
        "pg_int42eq",
        "pg_int42ne",
        "pg_int42lt",
        "pg_int42le",
        "pg_int42gt",
        "pg_int42ge"
    ),
    comparisons!(
        "pg_int28eq",
        "pg_int28ne",
        "pg_int28lt",
        "pg_int28le",
        "pg_int28gt",
        "pg_int28ge"
    ),
    comparisons!(
        "pg_int82eq",
        "pg_int82ne",
        "pg_int82lt",
        "pg_int82le",
        "pg_int82gt",
        "pg_int82ge"
    ),
    comparisons!(
        "pg_int48eq",
        "pg_int48ne",
        "pg_int48lt",
        "pg_int48le",
        "pg_int48gt",
        "pg_int48ge"
    ),
    comparisons!(
        "pg_int84eq",
        "pg_int84ne",
        "pg_int84lt",
        "pg_int84le",
        "pg_int84gt",
        "pg_int84ge"
    ),
    comparisons!("pg_oideq", "pg_oidne", "pg_oidlt", "pg_oidle", "pg_oidgt", "pg_oidge"),
    comparisons!("pg_booleq", "pg_boolne", "pg_boollt", "pg_boolle", "pg_boolgt", "pg_boolge"),
    comparisons!(
        "pg_date_eq",
        "pg_date_ne",
        "pg_date_lt",
        "pg_date_le",
        "pg_date_gt",
        "pg_date_ge"
    ),
    comparisons!(
        "pg_time_eq",
        "pg_time_ne",
        "pg_time_lt",
        "pg_time_le",
        "pg_time_gt",
        "pg_time_ge"
    ),
    comparisons!(
        "pg_timestamp_eq",
        "pg_timestamp_ne",
        "pg_timestamp_lt",
        "pg_timestamp_le",
        "pg_timestamp_gt",
        "pg_timestamp_ge"
    ),
    comparisons!(
        "pg_timestamptz_eq",
        "pg_timestamptz_ne",
        "pg_timestamptz_lt",
        "pg_timestamptz_le",
        "pg_timestamptz_gt",
        "pg_timestamptz_ge"
    ),
];

/// Everything else.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_int2pl", |call| add(call, int2)),
    f("pg_int4pl", |call| add(call, int4)),
    f("pg_int8pl", |call| add(call, int8)),
    f("pg_int24pl", |call| add(call, int4)),
    f("pg_int42pl", |call| add(call, int4)),
    f("pg_int28pl", |call| add(call, int8)),
    f("pg_int82pl", |call| add(call, int8)),
    f("pg_int48pl", |call| add(call, int8)),
    f("pg_int84pl", |call| add(call, int8)),
    f("pg_int2mi", |call| subtract(call, int2)),
    f("pg_int4mi", |call| subtract(call, int4)),
    f("pg_int8mi", |call| subtract(call, int8)),
    f("pg_int24mi", |call| subtract(call, int4)),
    f("pg_int42mi", |call| subtract(call, int4)),
    f("pg_int28mi", |call| subtract(call, int8)),
    f("pg_int82mi", |call| subtract(call, int8)),
    f("pg_int48mi", |call| subtract(call, int8)),
    f("pg_int84mi", |call| subtract(call, int8)),
    f("pg_int2mul", |call| multiply(call, int2)),
    f("pg_int4mul", |call| multiply(call, int4)),
    f("pg_int8mul", |call| multiply(call, int8)),
    f("pg_int24mul", |call| multiply(call, int4)),
    f("pg_int42mul", |call| multiply(call, int4)),
    f("pg_int28mul", |call| multiply(call, int8)),
    f("pg_int82mul", |call| multiply(call, int8)),
    f("pg_int48mul", |call| multiply(call, int8)),
    f("pg_int84mul", |call| multiply(call, int8)),
    f("pg_int2div", |call| divide(call, int2)),
    f("pg_int4div", |call| divide(call, int4)),
    f("pg_int8div", |call| divide(call, int8)),
    f("pg_int24div", |call| divide(call, int4)),
    f("pg_int42div", |call| divide(call, int4)),
    f("pg_int28div", |call| divide(call, int8)),
    f("pg_int82div", |call| divide(call, int8)),
    f("pg_int48div", |call| divide(call, int8)),
    f("pg_int84div", |call| divide(call, int8)),
    f("pg_int2mod", remainder),
    f("pg_int4mod", remainder),
    f("pg_int8mod", remainder),
    f("pg_int2um", |call| int2(call.i64(0)?.checked_neg())),
    f("pg_int4um", |call| int4(call.i64(0)?.checked_neg())),
    f("pg_int8um", |call| int8(call.i64(0)?.checked_neg())),
    f("pg_int2up", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int4up", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int8up", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int2abs", |call| int2(call.i64(0)?.checked_abs())),
    f("pg_int4abs", |call| int4(call.i64(0)?.checked_abs())),
    f("pg_int8abs", |call| int8(call.i64(0)?.checked_abs())),
    f("pg_int2and", |call| bits(call, |a, b| a & b)),
    f("pg_int4and", |call| bits(call, |a, b| a & b)),
    f("pg_int8and", |call| bits(call, |a, b| a & b)),
    f("pg_int2or", |call| bits(call, |a, b| a | b)),
    f("pg_int4or", |call| bits(call, |a, b| a | b)),
    f("pg_int8or", |call| bits(call, |a, b| a | b)),
    f("pg_int2xor", |call| bits(call, |a, b| a ^ b)),
    f("pg_int4xor", |call| bits(call, |a, b| a ^ b)),
    f("pg_int8xor", |call| bits(call, |a, b| a ^ b)),
    f("pg_int2not", |call| Ok(Datum::Integer(!call.i64(0)?))),
    f("pg_int4not", |call| Ok(Datum::Integer(!call.i64(0)?))),
    f("pg_int8not", |call| Ok(Datum::Integer(!call.i64(0)?))),
    f("pg_int2shl", |call| shift(call, 16, true)),
    f("pg_int4shl", |call| shift(call, 32, true)),
    f("pg_int8shl", |call| shift(call, 64, true)),
    f("pg_int2shr", |call| shift(call, 16, false)),
    f("pg_int4shr", |call| shift(call, 32, false)),
    f("pg_int8shr", |call| shift(call, 64, false)),
    f("pg_int4gcd", |call| gcd(call, int4)),
    f("pg_int8gcd", |call| gcd(call, int8)),
    f("pg_int4lcm", |call| lcm(call, int4)),
    f("pg_int8lcm", |call| lcm(call, int8)),
    f("pg_int4inc", |call| int4(call.i64(0)?.checked_add(1))),
    f("pg_int2larger", |call| Ok(Datum::Integer(call.i64(0)?.max(call.i64(1)?)))),
    f("pg_int4larger", |call| Ok(Datum::Integer(call.i64(0)?.max(call.i64(1)?)))),
    f("pg_int8larger", |call| Ok(Datum::Integer(call.i64(0)?.max(call.i64(1)?)))),
    f("pg_int2smaller", |call| Ok(Datum::Integer(call.i64(0)?.min(call.i64(1)?)))),
    f("pg_int4smaller", |call| Ok(Datum::Integer(call.i64(0)?.min(call.i64(1)?)))),
    f("pg_int8smaller", |call| Ok(Datum::Integer(call.i64(0)?.min(call.i64(1)?)))),
    f("pg_btint2cmp", three_way),
    f("pg_btint4cmp", three_way),
    f("pg_btint8cmp", three_way),
    f("pg_btoidcmp", three_way),
    f("pg_btboolcmp", three_way),
    f("pg_date_cmp", three_way),
    f("pg_timestamp_cmp", three_way),
    f("pg_i2toi4", |call| call.i64(0).map(Datum::Integer)),
    f("pg_i4toi2", |call| cast(call, int2)),
    f("pg_int24", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int28", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int48", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int82", |call| cast(call, int2)),
    f("pg_int84", |call| cast(call, int4)),
    f("pg_i2tod", to_f64),
    f("pg_i4tod", to_f64),
    f("pg_i8tod", to_f64),
    f("pg_i2tof", to_f32),
    f("pg_i4tof", to_f32),
    f("pg_i8tof", to_f32),
    f("pg_i8tooid", to_oid),
    f("pg_oidtoi8", |call| call.i64(0).map(Datum::Integer)),
    f("pg_bool_int4", |call| call.i64(0).map(Datum::Integer)),
    f("pg_int4_bool", |call| Ok(boolean(call.i64(0)? != 0))),
    f("pg_to_hex32", to_hex32),
    f("pg_to_hex64", |call| Ok(text(format!("{:x}", call.i64(0)?)))),
    f("pg_booland_statefunc", |call| bits(call, |a, b| a & b)),
    f("pg_boolor_statefunc", |call| bits(call, |a, b| a | b)),
    f("pg_xideq", |call| compare(call, i64::eq)),
    f("pg_xidneq", |call| compare(call, i64::ne)),
];
