//! Operators and functions of `float4` and `float8`.
//!
//! Arithmetic on `float4` is done in single precision and stored widened. A finite operation that overflows or underflows
//! is 22003, as in PostgreSQL; NaN equals itself and is above all else.

use std::cmp::Ordering;
use std::f64::consts::PI;

use super::call::{boolean, float, integer};
use super::ordering::compare_floats;
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::failure;

type Answer = Result<Datum, SqlError>;

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

fn domain() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

/// Rounds to single precision.
#[expect(clippy::cast_possible_truncation, reason = "what it is for")]
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

fn keep(value: f64) -> f64 {
    value
}

fn add(call: &Call, round: fn(f64) -> f64, sign: f64) -> Answer {
    let (left, right) = (call.f64(0)?, call.f64(1)?);
    let sum = round(left + sign * right);
    if sum.is_infinite() && left.is_finite() && right.is_finite() {
        return Err(overflow());
    }
    Ok(float(sum))
}

fn multiply(call: &Call, round: fn(f64) -> f64) -> Answer {
    let (left, right) = (call.f64(0)?, call.f64(1)?);
    let product = round(left * right);
    if product.is_infinite() && left.is_finite() && right.is_finite() {
        return Err(overflow());
    }
    if product == 0.0 && left != 0.0 && right != 0.0 {
        return Err(underflow());
    }
    Ok(float(product))
}

fn divide(call: &Call, round: fn(f64) -> f64) -> Answer {
    let (left, right) = (call.f64(0)?, call.f64(1)?);
    if right == 0.0 && !left.is_nan() {
        return Err(failure::division_by_zero());
    }
    let quotient = round(left / right);
    if quotient.is_infinite() && left.is_finite() {
        return Err(overflow());
    }
    if quotient == 0.0 && left != 0.0 && right.is_finite() {
        return Err(underflow());
    }
    Ok(float(quotient))
}

fn compare(call: &Call, holds: fn(Ordering) -> bool) -> Answer {
    Ok(boolean(holds(compare_floats(call.f64(0)?, call.f64(1)?))))
}

fn larger(call: &Call, wanted: Ordering) -> Answer {
    let (left, right) = (call.f64(0)?, call.f64(1)?);
    Ok(float(if compare_floats(left, right) == wanted { left } else { right }))
}

/// A function that is defined everywhere and cannot overflow.
fn total(call: &Call, function: fn(f64) -> f64) -> Answer {
    Ok(float(function(call.f64(0)?)))
}

/// A function that is defined where `within` holds.
fn partial(call: &Call, within: fn(f64) -> bool, function: fn(f64) -> f64) -> Answer {
    let x = call.f64(0)?;
    if !x.is_nan() && !within(x) {
        return Err(domain());
    }
    Ok(float(function(x)))
}

/// A function whose result must not be infinite for a finite argument.
fn bounded(call: &Call, function: fn(f64) -> f64) -> Answer {
    let x = call.f64(0)?;
    let y = function(x);
    if y.is_infinite() && x.is_finite() { Err(overflow()) } else { Ok(float(y)) }
}

fn exponential(call: &Call) -> Answer {
    let x = call.f64(0)?;
    let y = x.exp();
    if x.is_finite() && y.is_infinite() {
        return Err(overflow());
    }
    if x.is_finite() && y == 0.0 {
        return Err(underflow());
    }
    Ok(float(y))
}

fn logarithm(call: &Call, function: fn(f64) -> f64) -> Answer {
    let x = call.f64(0)?;
    let message = if x == 0.0 {
        "cannot take logarithm of zero"
    } else if x < 0.0 {
        "cannot take logarithm of a negative number"
    } else {
        return Ok(float(function(x)));
    };
    Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, message))
}

fn square_root(call: &Call) -> Answer {
    let x = call.f64(0)?;
    if x < 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER,
            "cannot take square root of a negative number",
        ));
    }
    Ok(float(x.sqrt()))
}

fn power(call: &Call) -> Answer {
    let (base, exponent) = (call.f64(0)?, call.f64(1)?);
    let bad = |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message));
    if base == 0.0 && exponent < 0.0 {
        return bad("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return bad("a negative number raised to a non-integer power yields a complex result");
    }
    let y = base.powf(exponent);
    if base.is_finite() && exponent.is_finite() {
        if y.is_infinite() {
            return Err(overflow());
        }
        if y == 0.0 && base != 0.0 {
            return Err(underflow());
        }
    }
    Ok(float(y))
}

/// Rounds to an integer type, half to even, as C's `rint`.
fn to_integer(call: &Call, min: f64, end: f64, type_name: &str) -> Answer {
    let x = call.f64(0)?.round_ties_even();
    if !(x >= min && x < end) {
        return Err(failure::out_of_range(type_name));
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds just checked")]
    Ok(Datum::Integer(x as i64))
}

/// 2^63, the first double beyond `int8`.
const INT8_END: f64 = 9_223_372_036_854_775_808.0;

fn to_int2(call: &Call) -> Answer {
    to_integer(call, f64::from(i16::MIN), f64::from(i16::MAX) + 1.0, "smallint")
}

fn to_int4(call: &Call) -> Answer {
    to_integer(call, f64::from(i32::MIN), f64::from(i32::MAX) + 1.0, "integer")
}

fn to_int8(call: &Call) -> Answer {
    to_integer(call, -INT8_END, INT8_END, "bigint")
}

fn to_single(call: &Call) -> Answer {
    let x = call.f64(0)?;
    let y = single(x);
    if y.is_infinite() && x.is_finite() {
        return Err(overflow());
    }
    if y == 0.0 && x != 0.0 {
        return Err(underflow());
    }
    Ok(float(y))
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// The sine of 0 to 30 degrees, scaled so that that of 30 is exact.
fn small_sine(degrees: f64) -> f64 {
    degrees.to_radians().sin() / 30.0_f64.to_radians().sin() / 2.0
}

/// The cosine of 0 to 60 degrees, scaled so that that of 60 is exact.
fn small_cosine(degrees: f64) -> f64 {
    let versine = |degrees: f64| 1.0 - degrees.to_radians().cos();
    1.0 - versine(degrees) / versine(60.0) / 2.0
}

/// The sine of 0 to 90 degrees; of no number, none.
fn quadrant_sine(degrees: f64) -> f64 {
    if degrees <= 30.0 { small_sine(degrees) } else { small_cosine(90.0 - degrees) }
}

/// The cosine of 0 to 90 degrees, likewise.
fn quadrant_cosine(degrees: f64) -> f64 {
    if degrees <= 60.0 { small_cosine(degrees) } else { small_sine(90.0 - degrees) }
}

/// An angle of 0 to 90 degrees, and whether the sine and the cosine of the one that was given are those of the other sign.
fn in_quadrant(degrees: f64) -> (f64, bool, bool) {
    let (mut angle, mut sine, mut cosine) = (degrees % 360.0, false, false);
    if angle < 0.0 {
        (angle, sine) = (-angle, !sine);
    }
    if angle > 180.0 {
        (angle, sine) = (360.0 - angle, !sine);
    }
    if angle > 90.0 {
        (angle, cosine) = (180.0 - angle, !cosine);
    }
    (angle, sine, cosine)
}

/// A number with the other sign where that is asked for.
fn signed(value: f64, other: bool) -> f64 {
    if other { -value } else { value }
}

/// Sine of degrees, exact at the multiples of 30.
fn sine_of_degrees(x: f64) -> f64 {
    let (angle, sine, _) = in_quadrant(x);
    signed(quadrant_sine(angle), sine)
}

fn cosine_of_degrees(x: f64) -> f64 {
    let (angle, _, cosine) = in_quadrant(x);
    signed(quadrant_cosine(angle), cosine)
}

/// The tangent, exact at 45 degrees; a zero has no sign.
fn tangent_of_degrees(x: f64) -> f64 {
    let (angle, sine, cosine) = in_quadrant(x);
    let tangent = |angle| quadrant_sine(angle) / quadrant_cosine(angle);
    signed(tangent(angle) / tangent(45.0), sine != cosine) + 0.0
}

fn cotangent_of_degrees(x: f64) -> f64 {
    let (angle, sine, cosine) = in_quadrant(x);
    let cotangent = |angle| quadrant_cosine(angle) / quadrant_sine(angle);
    signed(cotangent(angle) / cotangent(45.0), sine != cosine) + 0.0
}

/// The angle of a sine of 0 to 1, scaled so that 0.5 is 30 degrees and 1 is 90.
fn arc_sine_in_degrees(sine: f64) -> f64 {
    if sine <= 0.5 {
        sine.asin() / 0.5_f64.asin() * 30.0
    } else {
        90.0 - sine.acos() / 0.5_f64.acos() * 60.0
    }
}

/// The same for a cosine of 0 to 1.
fn arc_cosine_in_degrees(cosine: f64) -> f64 {
    if cosine <= 0.5 {
        90.0 - cosine.asin() / 0.5_f64.asin() * 30.0
    } else {
        cosine.acos() / 0.5_f64.acos() * 60.0
    }
}

fn arc_tangent_in_degrees(tangent: f64) -> f64 {
    tangent / 1.0_f64.atan() * 45.0
}

fn unit(x: f64) -> bool {
    x.abs() <= 1.0
}

fn width_bucket(call: &Call) -> Answer {
    let (operand, low, high, count) = (call.f64(0)?, call.f64(1)?, call.f64(2)?, call.i32(3)?);
    let bad = |message: &str| Err(SqlError::new(SqlState(*b"2201G"), message));
    if count <= 0 {
        return bad("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return bad("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return bad("lower and upper bounds must be finite");
    }
    if low == high {
        return bad("lower bound cannot equal upper bound");
    }
    let (position, length) =
        if low < high { (operand - low, high - low) } else { (low - operand, low - high) };
    if position < 0.0 {
        return Ok(integer(0));
    }
    if position >= length {
        return Ok(integer(i64::from(count) + 1));
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most count")]
    let bucket = (f64::from(count) * (position / length)) as i64;
    Ok(integer(bucket.min(i64::from(count) - 1) + 1))
}

fn random(call: &Call) -> Answer {
    Ok(float(call.session.with_random(super::math_random::Generator::unit)))
}

fn set_seed(call: &Call) -> Answer {
    let seed = call.f64(0)?;
    if !unit(seed) {
        return Err(failure::invalid_parameter(format!(
            "setseed parameter {seed} is out of allowed range [-1,1]"
        )));
    }
    call.session.with_random(|generator| generator.seed(seed));
    Ok(super::call::text(""))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// The operators of one pair of types.
macro_rules! operators {
    ($round:expr, $add:literal, $sub:literal, $mul:literal, $div:literal,
     $eq:literal, $ne:literal, $lt:literal, $le:literal, $gt:literal, $ge:literal, $cmp:literal) => {
        &[
            f($add, |call| add(call, $round, 1.0)),
            f($sub, |call| add(call, $round, -1.0)),
            f($mul, |call| multiply(call, $round)),
            f($div, |call| divide(call, $round)),
            f($eq, |call| compare(call, Ordering::is_eq)),
            f($ne, |call| compare(call, Ordering::is_ne)),
            f($lt, |call| compare(call, Ordering::is_lt)),
            f($le, |call| compare(call, Ordering::is_le)),
            f($gt, |call| compare(call, Ordering::is_gt)),
            f($ge, |call| compare(call, Ordering::is_ge)),
            f($cmp, |call| Ok(integer(compare_floats(call.f64(0)?, call.f64(1)?) as i8))),
        ]
    };
}

/// Operators, per pair of types.
pub(super) const OPERATORS: &[&[ScalarFunction]] = &[
    operators!(
        keep,
        "pg_float8pl",
        "pg_float8mi",
        "pg_float8mul",
        "pg_float8div",
        "pg_float8eq",
        "pg_float8ne",
        "pg_float8lt",
        "pg_float8le",
        "pg_float8gt",
        "pg_float8ge",
        "pg_btfloat8cmp"
    ),
    operators!(
        single,
        "pg_float4pl",
        "pg_float4mi",
        "pg_float4mul",
        "pg_float4div",
        "pg_float4eq",
        "pg_float4ne",
        "pg_float4lt",
        "pg_float4le",
        "pg_float4gt",
        "pg_float4ge",
        "pg_btfloat4cmp"
    ),
    operators!(
        keep,
        "pg_float48pl",
        "pg_float48mi",
        "pg_float48mul",
        "pg_float48div",
        "pg_float48eq",
        "pg_float48ne",
        "pg_float48lt",
        "pg_float48le",
        "pg_float48gt",
        "pg_float48ge",
        "pg_btfloat48cmp"
    ),
    operators!(
        keep,
        "pg_float84pl",
        "pg_float84mi",
        "pg_float84mul",
        "pg_float84div",
        "pg_float84eq",
        "pg_float84ne",
        "pg_float84lt",
        "pg_float84le",
        "pg_float84gt",
        "pg_float84ge",
        "pg_btfloat84cmp"
    ),
];

/// Everything else.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_float8um", |call| total(call, |x| -x)),
    f("pg_float4um", |call| total(call, |x| -x)),
    f("pg_float8up", |call| total(call, keep)),
    f("pg_float4up", |call| total(call, keep)),
    f("pg_float8abs", |call| total(call, f64::abs)),
    f("pg_float4abs", |call| total(call, f64::abs)),
    f("pg_float8larger", |call| larger(call, Ordering::Greater)),
    f("pg_float4larger", |call| larger(call, Ordering::Greater)),
    f("pg_float8smaller", |call| larger(call, Ordering::Less)),
    f("pg_float4smaller", |call| larger(call, Ordering::Less)),
    f("pg_dround", |call| total(call, f64::round_ties_even)),
    f("pg_dtrunc", |call| total(call, f64::trunc)),
    f("pg_dceil", |call| total(call, f64::ceil)),
    f("pg_dfloor", |call| total(call, f64::floor)),
    f("pg_dsign", |call| total(call, sign)),
    f("pg_dsqrt", square_root),
    f("pg_dcbrt", |call| total(call, f64::cbrt)),
    f("pg_dpow", power),
    f("pg_dexp", exponential),
    f("pg_dlog1", |call| logarithm(call, f64::ln)),
    f("pg_dlog10", |call| logarithm(call, f64::log10)),
    f("pg_dpi", |_| Ok(float(PI))),
    f("pg_degrees", |call| bounded(call, f64::to_degrees)),
    f("pg_radians", |call| total(call, f64::to_radians)),
    f("pg_dsin", |call| partial(call, f64::is_finite, f64::sin)),
    f("pg_dcos", |call| partial(call, f64::is_finite, f64::cos)),
    f("pg_dtan", |call| partial(call, f64::is_finite, f64::tan)),
    f("pg_dcot", |call| partial(call, f64::is_finite, |x| 1.0 / x.tan())),
    f("pg_dasin", |call| partial(call, unit, f64::asin)),
    f("pg_dacos", |call| partial(call, unit, f64::acos)),
    f("pg_datan", |call| total(call, f64::atan)),
    f("pg_datan2", |call| Ok(float(call.f64(0)?.atan2(call.f64(1)?)))),
    f("pg_dsind", |call| partial(call, f64::is_finite, sine_of_degrees)),
    f("pg_dcosd", |call| partial(call, f64::is_finite, cosine_of_degrees)),
    f("pg_dtand", |call| partial(call, f64::is_finite, tangent_of_degrees)),
    f("pg_dcotd", |call| partial(call, f64::is_finite, cotangent_of_degrees)),
    f("pg_dasind", |call| partial(call, unit, |x| signed(arc_sine_in_degrees(x.abs()), x < 0.0))),
    f("pg_dacosd", |call| {
        partial(call, unit, |x| {
            if x < 0.0 { 90.0 + arc_sine_in_degrees(-x) } else { arc_cosine_in_degrees(x) }
        })
    }),
    f("pg_datand", |call| total(call, |x| arc_tangent_in_degrees(x.atan()))),
    f("pg_datan2d", |call| Ok(float(arc_tangent_in_degrees(call.f64(0)?.atan2(call.f64(1)?))))),
    f("pg_dsinh", |call| total(call, f64::sinh)),
    f("pg_dcosh", |call| total(call, f64::cosh)),
    f("pg_dtanh", |call| total(call, f64::tanh)),
    f("pg_dasinh", |call| total(call, f64::asinh)),
    f("pg_dacosh", |call| partial(call, |x| x >= 1.0, f64::acosh)),
    f("pg_datanh", |call| partial(call, unit, f64::atanh)),
    f("pg_ftod", |call| total(call, keep)),
    f("pg_dtof", to_single),
    f("pg_dtoi2", to_int2),
    f("pg_dtoi4", to_int4),
    f("pg_dtoi8", to_int8),
    f("pg_ftoi2", to_int2),
    f("pg_ftoi4", to_int4),
    f("pg_ftoi8", to_int8),
    f("pg_width_bucket_float8", width_bucket),
    ScalarFunction::strict("pg_drandom", random).volatile(),
    ScalarFunction::strict("pg_setseed", set_seed).volatile(),
];
