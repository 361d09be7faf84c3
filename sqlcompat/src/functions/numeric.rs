//! Operators and functions of `numeric`.

use std::cmp::Ordering;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::num_traits::{Signed, ToPrimitive};

use super::call::{boolean, float, integer, text};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::failure;
use crate::types::numeric::{Decimal, Numeric};
use crate::types::numeric_math as math;

type Answer = Result<Datum, SqlError>;

impl Call<'_> {
    /// A `numeric` argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub(super) fn numeric(&self, index: usize) -> Result<Numeric, SqlError> {
        Numeric::parse(self.text(index)?)
    }
}

/// The storage form of a `numeric`.
#[must_use]
pub(super) fn store(value: &Numeric) -> Datum {
    text(value.to_string())
}

fn finite(value: &Decimal) -> Datum {
    text(value.to_string())
}

fn binary(call: &Call, operation: fn(&Numeric, &Numeric) -> Result<Numeric, SqlError>) -> Answer {
    Ok(store(&operation(&call.numeric(0)?, &call.numeric(1)?)?))
}

fn compare(call: &Call, holds: fn(Ordering) -> bool) -> Answer {
    Ok(boolean(holds(call.numeric(0)?.compare(&call.numeric(1)?))))
}

/// Applies `operation` to a number; NaN and the infinities stay what they are.
fn unary(call: &Call, operation: impl Fn(&Decimal) -> Decimal) -> Answer {
    Ok(match call.numeric(0)? {
        Numeric::Finite(value) => finite(&operation(&value)),
        special => store(&special),
    })
}

fn absolute(call: &Call) -> Answer {
    let value = call.numeric(0)?;
    Ok(store(&if value.signum() < 0 { value.negate() } else { value }))
}

fn sign(call: &Call) -> Answer {
    Ok(match call.numeric(0)? {
        Numeric::NaN => text("NaN"),
        value => store(&Numeric::from(i64::from(value.signum()))),
    })
}

fn round(call: &Call) -> Answer {
    let digits = if call.len() > 1 { call.i32(1)? } else { 0 };
    match call.numeric(0)? {
        Numeric::Finite(value) => value.round(digits).check().map(|it| finite(&it)),
        special => Ok(store(&special)),
    }
}

fn truncate(call: &Call) -> Answer {
    let digits = if call.len() > 1 { call.i32(1)? } else { 0 };
    unary(call, |value| value.truncate(digits))
}

fn scale(call: &Call) -> Answer {
    Ok(call.numeric(0)?.finite().map_or(Datum::Null, |value| integer(value.scale)))
}

fn min_scale(call: &Call) -> Answer {
    Ok(call.numeric(0)?.finite().map_or(Datum::Null, |value| integer(value.trim_scale().scale)))
}

/// Rounds to an integer type.
fn to_integer(call: &Call, min: i64, max: i64, type_name: &str) -> Answer {
    let what = match call.numeric(0)? {
        Numeric::Finite(value) => {
            let rounded = value.to_i64().filter(|it| (min..=max).contains(it));
            return rounded.map(Datum::Integer).ok_or_else(|| failure::out_of_range(type_name));
        }
        Numeric::NaN => "NaN",
        Numeric::Infinity | Numeric::NegativeInfinity => "infinity",
    };
    Err(SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot convert {what} to {type_name}"),
    ))
}

fn to_f64(call: &Call) -> Answer {
    let number = call.numeric(0)?;
    let value = number.to_f64();
    if value.is_infinite() && number.finite().is_some() {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{number}\" is out of range for type double precision"),
        ));
    }
    Ok(float(value))
}

#[expect(clippy::cast_possible_truncation, reason = "what the cast is for")]
fn to_f32(call: &Call) -> Answer {
    let value = call.numeric(0)?.to_f64();
    let single = value as f32;
    if value.is_finite() && (single.is_infinite() || single == 0.0 && value != 0.0) {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{}\" is out of range for type real", call.text(0)?),
        ));
    }
    Ok(float(f64::from(single)))
}

fn from_integer(call: &Call) -> Answer {
    Ok(text(call.i64(0)?.to_string()))
}

fn apply_typmod(call: &Call) -> Answer {
    Ok(store(&call.numeric(0)?.apply_typmod(call.i32(1)?)?))
}

fn square_root(call: &Call) -> Answer {
    match call.numeric(0)? {
        Numeric::Finite(value) => math::square_root(&value).map(|value| finite(&value)),
        Numeric::NegativeInfinity => Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER,
            "cannot take square root of a negative number",
        )),
        special => Ok(store(&special)),
    }
}

fn exponential(call: &Call) -> Answer {
    match call.numeric(0)? {
        Numeric::Finite(value) => math::exponential(&value).map(|value| finite(&value)),
        Numeric::NegativeInfinity => Ok(text("0")),
        special => Ok(store(&special)),
    }
}

fn natural_log(call: &Call) -> Answer {
    match call.numeric(0)? {
        Numeric::Finite(value) => math::natural_log(&value).map(|value| finite(&value)),
        Numeric::NegativeInfinity => Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOG,
            "cannot take logarithm of a negative number",
        )),
        special => Ok(store(&special)),
    }
}

fn log(base: &Numeric, value: &Numeric) -> Answer {
    match (base, value) {
        (Numeric::Finite(base), Numeric::Finite(value)) => {
            math::log(base, value).map(|value| finite(&value))
        }
        (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(text("NaN")),
        _ if base.signum() < 0 || value.signum() < 0 => Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOG,
            "cannot take logarithm of a negative number",
        )),
        _ if base.signum() == 0 || value.signum() == 0 => {
            Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero"))
        }
        (Numeric::Infinity, Numeric::Infinity) => Ok(text("NaN")),
        (Numeric::Infinity, _) => Ok(text("0")),
        (_, _) => Ok(text("Infinity")),
    }
}

fn power(call: &Call) -> Answer {
    let (base, exponent) = (call.numeric(0)?, call.numeric(1)?);
    if let (Numeric::Finite(base), Numeric::Finite(exponent)) = (&base, &exponent) {
        return math::power(base, exponent).map(|value| finite(&value));
    }
    power_of_special(&base, &exponent).map(|it| store(&it))
}

/// A power of which a part is an infinity or NaN, as POSIX has it.
fn power_of_special(base: &Numeric, exponent: &Numeric) -> Result<Numeric, SqlError> {
    let (one, zero) = (Numeric::from(1), Numeric::from(0));
    let is_one = base.compare(&one).is_eq();
    if matches!(base, Numeric::NaN) || matches!(exponent, Numeric::NaN) {
        let defined = is_one || exponent.compare(&zero).is_eq();
        return Ok(if defined { one } else { Numeric::NaN });
    }
    let (base_sign, sign) = (base.signum(), exponent.signum());
    let whole = exponent.finite().is_none_or(|it| it.compare(&it.truncate(0)).is_eq());
    let undefined = |message| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message));
    if base_sign == 0 && sign < 0 {
        return undefined("zero raised to a negative power is undefined");
    }
    if base_sign < 0 && !whole {
        return undefined(
            "a negative number raised to a non-integer power yields a complex result",
        );
    }
    if is_one || sign == 0 {
        return Ok(one);
    }
    if base_sign == 0 {
        return Ok(zero);
    }
    if exponent.finite().is_none() {
        let magnitude = if base_sign < 0 { base.negate() } else { base.clone() };
        return Ok(match magnitude.compare(&one) {
            Ordering::Equal => one,
            order if order.is_gt() == (sign > 0) => Numeric::Infinity,
            _ => zero,
        });
    }
    let odd = exponent.finite().is_some_and(|it| it.truncate(0).coefficient.bit(0));
    Ok(match (sign < 0, base_sign < 0 && odd) {
        (true, _) => zero,
        (false, true) => Numeric::NegativeInfinity,
        (false, false) => Numeric::Infinity,
    })
}

fn greatest_common_divisor(left: &Decimal, right: &Decimal) -> Decimal {
    let scale = left.scale.max(right.scale);
    let mut a = left.with_scale(scale).coefficient.abs();
    let mut b = right.with_scale(scale).coefficient.abs();
    while b.is_positive() {
        (a, b) = (b.clone(), a % b);
    }
    Decimal::new(a, scale)
}

fn gcd(call: &Call) -> Answer {
    match (call.numeric(0)?, call.numeric(1)?) {
        (Numeric::Finite(left), Numeric::Finite(right)) => {
            Ok(finite(&greatest_common_divisor(&left, &right)))
        }
        _ => Ok(text("NaN")),
    }
}

fn lcm(call: &Call) -> Answer {
    let (Numeric::Finite(left), Numeric::Finite(right)) = (call.numeric(0)?, call.numeric(1)?)
    else {
        return Ok(text("NaN"));
    };
    let scale = left.scale.max(right.scale);
    let divisor = greatest_common_divisor(&left, &right);
    let quotient = left.divide_truncating(&divisor).unwrap_or_else(Decimal::zero);
    let product = quotient.multiply(&right).with_scale(scale);
    Decimal::new(product.coefficient.abs(), scale).check().map(|it| finite(&it))
}

/// Largest argument whose factorial fits `numeric`.
const FACTORIAL_ARGUMENT_MAX: i64 = 32_177;

fn factorial(call: &Call) -> Answer {
    let count = call.i64(0)?;
    if count < 0 {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined",
        ));
    }
    if count > FACTORIAL_ARGUMENT_MAX {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "value overflows numeric format",
        ));
    }
    let product = (2..=count).fold(BigInt::from(1u8), |product, factor| product * factor);
    Ok(text(product.to_string()))
}

fn width_bucket(call: &Call) -> Answer {
    let count = call.i32(3)?;
    let bad = |message: &str| SqlError::new(SqlState(*b"2201G"), message);
    if count <= 0 {
        return Err(bad("count must be greater than zero"));
    }
    let (operand, low, high) = (call.numeric(0)?, call.numeric(1)?, call.numeric(2)?);
    if [&operand, &low, &high].iter().any(|it| matches!(it, Numeric::NaN)) {
        return Err(bad("operand, lower bound, and upper bound cannot be NaN"));
    }
    let (Some(low_bound), Some(high_bound)) = (low.finite(), high.finite()) else {
        return Err(bad("lower and upper bounds must be finite"));
    };
    let ascending = match low_bound.compare(high_bound) {
        Ordering::Equal => return Err(bad("lower bound cannot equal upper bound")),
        Ordering::Less => true,
        Ordering::Greater => false,
    };
    let before = |left: &Numeric, right: &Numeric| {
        let order = left.compare(right);
        if ascending { order.is_lt() } else { order.is_gt() }
    };
    if before(&operand, &low) {
        return Ok(integer(0));
    }
    if !before(&operand, &high) {
        return Ok(integer(i64::from(count) + 1));
    }
    let distance = operand.subtract(&low)?.multiply(&Numeric::from(i64::from(count)))?;
    let bucket = distance.divide_truncating(&high.subtract(&low)?)?;
    let bucket = bucket.finite().and_then(|it| it.coefficient.to_i64()).unwrap_or(0);
    Ok(integer((bucket + 1).min(i64::from(count))))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_numeric_add", |call| binary(call, Numeric::add)),
    f("pg_numeric_sub", |call| binary(call, Numeric::subtract)),
    f("pg_numeric_mul", |call| binary(call, Numeric::multiply)),
    f("pg_numeric_div", |call| binary(call, Numeric::divide)),
    f("pg_numeric_mod", |call| binary(call, Numeric::remainder)),
    f("pg_numeric_div_trunc", |call| binary(call, Numeric::divide_truncating)),
    f("pg_numeric_eq", |call| compare(call, Ordering::is_eq)),
    f("pg_numeric_ne", |call| compare(call, Ordering::is_ne)),
    f("pg_numeric_lt", |call| compare(call, Ordering::is_lt)),
    f("pg_numeric_le", |call| compare(call, Ordering::is_le)),
    f("pg_numeric_gt", |call| compare(call, Ordering::is_gt)),
    f("pg_numeric_ge", |call| compare(call, Ordering::is_ge)),
    f("pg_numeric_cmp", |call| Ok(integer(call.numeric(0)?.compare(&call.numeric(1)?) as i8))),
    f("pg_numeric_larger", |call| {
        let (left, right) = (call.numeric(0)?, call.numeric(1)?);
        Ok(store(if left.compare(&right).is_gt() { &left } else { &right }))
    }),
    f("pg_numeric_smaller", |call| {
        let (left, right) = (call.numeric(0)?, call.numeric(1)?);
        Ok(store(if left.compare(&right).is_lt() { &left } else { &right }))
    }),
    f("pg_numeric_uminus", |call| Ok(store(&call.numeric(0)?.negate()))),
    f("pg_numeric_uplus", |call| Ok(store(&call.numeric(0)?))),
    f("pg_numeric_abs", absolute),
    f("pg_numeric_sign", sign),
    f("pg_numeric_round", round),
    f("pg_round_1708", round),
    f("pg_numeric_trunc", truncate),
    f("pg_trunc_1710", truncate),
    f("pg_numeric_ceil", |call| unary(call, Decimal::ceil)),
    f("pg_numeric_floor", |call| unary(call, Decimal::floor)),
    f("pg_numeric_inc", |call| Ok(store(&call.numeric(0)?.add(&Numeric::from(1))?))),
    f("pg_numeric_scale", scale),
    f("pg_numeric_min_scale", min_scale),
    f("pg_numeric_trim_scale", |call| unary(call, Decimal::trim_scale)),
    f("pg_numeric_sqrt", square_root),
    f("pg_numeric_exp", exponential),
    f("pg_numeric_ln", natural_log),
    f("pg_numeric_log", |call| log(&call.numeric(0)?, &call.numeric(1)?)),
    f("pg_log_1741", |call| log(&Numeric::from(10), &call.numeric(0)?)),
    f("pg_log10_1481", |call| log(&Numeric::from(10), &call.numeric(0)?)),
    f("pg_numeric_power", power),
    f("pg_numeric_gcd", gcd),
    f("pg_numeric_lcm", lcm),
    f("pg_numeric_fac", factorial),
    f("pg_width_bucket_numeric", width_bucket),
    f("pg_numeric_int2", |call| to_integer(call, i16::MIN.into(), i16::MAX.into(), "smallint")),
    f("pg_numeric_int4", |call| to_integer(call, i32::MIN.into(), i32::MAX.into(), "integer")),
    f("pg_numeric_int8", |call| to_integer(call, i64::MIN, i64::MAX, "bigint")),
    f("pg_numeric_float8", to_f64),
    f("pg_numeric_float4", to_f32),
    f("pg_int2_numeric", from_integer),
    f("pg_int4_numeric", from_integer),
    f("pg_int8_numeric", from_integer),
    f("pg_float8_numeric", |call| Ok(store(&Numeric::from_f64(call.f64(0)?, 15)))),
    f("pg_float4_numeric", |call| Ok(store(&Numeric::from_f64(call.f64(0)?, 6)))),
    f("pg_numeric", apply_typmod),
];
