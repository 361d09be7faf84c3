//! Roots, powers, exponentials and logarithms of `numeric`, to the scale that PostgreSQL gives them.
//!
//! Results carry at least 16 significant digits and no fewer digits after the point than the operands. They are computed in
//! fixed point with `GUARD_DIGITS` digits to spare and rounded once.
//!
//! # Bounds
//! A result of more than [`super::numeric::WEIGHT_MAX`] digits, and an exponential above e^6000, is 22003 before any work is
//! done.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::num_traits::{One, Signed, ToPrimitive, Zero};

use super::failure;
use super::numeric::{DISPLAY_SCALE_MAX, Decimal, WEIGHT_MAX, power_of_ten};
use crate::error::{SqlError, SqlState};

/// Digits kept beyond those of the result.
const GUARD_DIGITS: i64 = 12;
/// Powers of e beyond this one are 22003, as in PostgreSQL (`exp_var`), which bounds the work that one call is.
const EXPONENT_MAX: f64 = 6000.0;
/// A result of fewer digits before the point is zero: it has at most [`DISPLAY_SCALE_MAX`] after it.
const UNDERFLOW_DIGITS: f64 = -1100.0;
/// Significant digits of inexact results.
const SIGNIFICANT_DIGITS: i64 = 16;

fn scale_within(scale: i64, operands: &[&Decimal]) -> u32 {
    let least = operands.iter().map(|it| i64::from(it.scale)).max().unwrap_or(0);
    u32::try_from(scale.max(least).clamp(0, DISPLAY_SCALE_MAX)).unwrap_or(0)
}

/// Square root.
///
/// # Errors
/// 2201F for a negative operand.
pub fn square_root(value: &Decimal) -> Result<Decimal, SqlError> {
    if value.coefficient.is_negative() {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER,
            "cannot take square root of a negative number",
        ));
    }
    let (weight, _) = value.leading_group();
    let scale = scale_within(SIGNIFICANT_DIGITS - (weight * 2 + 1), &[value]);
    Ok(root_to(value, scale))
}

/// The square root of a number that is not negative, to that many digits after the point.
#[must_use]
pub fn root_to(value: &Decimal, scale: u32) -> Decimal {
    // One more digit than wanted, so that the final rounding sees it.
    let wide = scale + 1;
    let shifted = if wide * 2 >= value.scale {
        &value.coefficient * power_of_ten(wide * 2 - value.scale)
    } else {
        &value.coefficient / power_of_ten(value.scale - wide * 2)
    };
    Decimal::new(shifted.sqrt(), wide).with_scale(scale)
}

/// Fixed-point numbers with that many digits after the point.
#[derive(Clone, Copy)]
struct Fixed {
    digits: u32,
}

impl Fixed {
    fn one(self) -> BigInt {
        power_of_ten(self.digits)
    }

    fn from(self, value: &Decimal) -> BigInt {
        value.with_scale(self.digits).coefficient
    }

    fn multiply(self, left: &BigInt, right: &BigInt) -> BigInt {
        left * right / self.one()
    }

    fn divide(self, left: &BigInt, right: &BigInt) -> BigInt {
        left * self.one() / right
    }

    /// e^x by Taylor's series after halving the argument until it is small, then squaring back.
    fn exponential(self, x: &BigInt) -> BigInt {
        const HALVINGS: u32 = 12;
        let inner = Self { digits: self.digits + 10 };
        let one = inner.one();
        // Whole part apart: e^n by repeated multiplication keeps the series short.
        let small: BigInt = x * power_of_ten(10) / BigInt::from(2u8).pow(HALVINGS);
        let (mut sum, mut term, mut n) = (one.clone(), one, 1u32);
        loop {
            term = inner.multiply(&term, &small) / n;
            if term.is_zero() {
                break;
            }
            sum += &term;
            n += 1;
        }
        for _ in 0..HALVINGS {
            sum = inner.multiply(&sum, &sum);
        }
        sum / power_of_ten(10)
    }

    /// ln x for x > 0 by Newton's method on the exponential, from the double-precision value.
    fn logarithm(self, x: &BigInt, estimate: f64) -> BigInt {
        let start = format!("{estimate:.15}");
        let mut y = start.parse::<bigdecimal::BigDecimal>().map_or_else(
            |_| BigInt::zero(),
            |it| it.with_scale(i64::from(self.digits)).into_bigint_and_exponent().0,
        );
        for _ in 0..12 {
            let e = self.exponential(&y);
            // Halley: y += 2 (x - e) / (x + e).
            let step = self.divide(&((x - &e) * 2), &(x + &e));
            y += &step;
            if step.abs() <= BigInt::one() {
                break;
            }
        }
        y
    }
}

/// ln of the double nearest to it, also far outside the range of doubles.
fn natural_log_estimate(value: &Decimal) -> f64 {
    let digits = value.coefficient.magnitude().to_str_radix(10);
    let leading: f64 = digits.get(..17.min(digits.len())).unwrap_or("1").parse().unwrap_or(1.0);
    let dropped = digits.len().saturating_sub(17);
    let exponent = i64::try_from(dropped).unwrap_or(0) - i64::from(value.scale);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let exponent = exponent as f64;
    leading.ln() + exponent * std::f64::consts::LN_10
}

/// Decimal weight of ln(value), as PostgreSQL estimates it.
#[expect(clippy::cast_possible_truncation, reason = "a count of digits")]
fn log_weight(value: &Decimal) -> i64 {
    let hundredths = value.to_f64();
    if (0.9..=1.1).contains(&hundredths) {
        let distance = value.subtract(&Decimal::from_i64(1));
        return if distance.is_zero() { 0 } else { distance.decimal_weight() - 1 };
    }
    natural_log_estimate(value).abs().log10() as i64
}

fn check_log_argument(value: &Decimal) -> Result<(), SqlError> {
    let message = if value.is_zero() {
        "cannot take logarithm of zero"
    } else if value.coefficient.is_negative() {
        "cannot take logarithm of a negative number"
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, message))
}

/// ln to `digits` after the point.
fn log_to(value: &Decimal, digits: i64) -> Decimal {
    let fixed = Fixed { digits: u32::try_from(digits + GUARD_DIGITS).unwrap_or(64) };
    // Scale into [1, 10) and add the powers of ten back.
    let shift = value.decimal_weight() - 1;
    let mantissa = if shift >= 0 {
        Decimal::new(value.coefficient.clone(), value.scale + u32::try_from(shift).unwrap_or(0))
    } else {
        value.multiply(&Decimal::new(power_of_ten(u32::try_from(-shift).unwrap_or(0)), 0))
    };
    let log = fixed.logarithm(&fixed.from(&mantissa), natural_log_estimate(&mantissa));
    let ten = fixed.logarithm(&(fixed.one() * 10), std::f64::consts::LN_10);
    Decimal::new(log + ten * shift, fixed.digits)
}

/// Natural logarithm.
///
/// # Errors
/// 2201E for zero and below.
pub fn natural_log(value: &Decimal) -> Result<Decimal, SqlError> {
    check_log_argument(value)?;
    let scale = scale_within(SIGNIFICANT_DIGITS - log_weight(value), &[value]);
    Ok(log_to(value, i64::from(scale)).with_scale(scale))
}

/// Logarithm to a base.
///
/// # Errors
/// 2201E for zero and below; 22012 for base 1.
pub fn log(base: &Decimal, value: &Decimal) -> Result<Decimal, SqlError> {
    check_log_argument(base)?;
    check_log_argument(value)?;
    let weight = log_weight(value) - log_weight(base);
    let scale = scale_within(SIGNIFICANT_DIGITS - weight, &[base, value]);
    let digits = i64::from(scale) + 8 + log_weight(base).abs() + log_weight(value).abs();
    let quotient = log_to(value, digits).divide(&log_to(base, digits), scale);
    quotient.ok_or_else(failure::division_by_zero)
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// e to a power.
///
/// # Errors
/// 22003 on overflow.
pub fn exponential(value: &Decimal) -> Result<Decimal, SqlError> {
    if value.to_f64() >= EXPONENT_MAX {
        return Err(overflow());
    }
    let decimal_digits = value.to_f64() * std::f64::consts::LOG10_E;
    exponential_of(value, decimal_digits, &[value])
}

/// e to a power whose result has about `decimal_digits` digits before the point.
#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
#[expect(clippy::cast_precision_loss, reason = "a bound of digits")]
fn exponential_of(
    value: &Decimal,
    decimal_digits: f64,
    operands: &[&Decimal],
) -> Result<Decimal, SqlError> {
    if decimal_digits > WEIGHT_MAX as f64 {
        return Err(overflow());
    }
    let bounded = decimal_digits.max(-2000.0) as i64;
    let scale = scale_within(SIGNIFICANT_DIGITS - bounded, operands);
    if decimal_digits < UNDERFLOW_DIGITS {
        return Ok(Decimal::new(BigInt::zero(), scale));
    }
    let digits = i64::from(scale) + GUARD_DIGITS + bounded.max(0) * 2 + 8;
    let fixed = Fixed { digits: u32::try_from(digits).unwrap_or(64) };
    Ok(Decimal::new(fixed.exponential(&fixed.from(value)), fixed.digits).with_scale(scale))
}

/// A number to a power.
///
/// # Errors
/// 2201F where the result is undefined or complex; 22003 on overflow.
pub fn power(base: &Decimal, exponent: &Decimal) -> Result<Decimal, SqlError> {
    let bad = |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message));
    let whole = exponent.compare(&exponent.truncate(0)).is_eq();
    if base.is_zero() {
        if exponent.coefficient.is_negative() {
            return bad("zero raised to a negative power is undefined");
        }
        let value = if exponent.is_zero() { 1 } else { 0 };
        return Ok(Decimal::from_i64(value).with_scale(16.max(base.scale)));
    }
    if base.coefficient.is_negative() && !whole {
        return bad("a negative number raised to a non-integer power yields a complex result");
    }
    let magnitude = Decimal::new(base.coefficient.abs(), base.scale);
    let decimal_digits =
        natural_log_estimate(&magnitude) * exponent.to_f64() * std::f64::consts::LOG10_E;
    if whole && let Some(count) = exponent.to_i64().and_then(|it| i32::try_from(it).ok()) {
        return integer_power(base, count, decimal_digits);
    }
    if natural_log_estimate(&magnitude) * exponent.to_f64() > EXPONENT_MAX * 1.003 {
        return Err(overflow());
    }
    // Of a result that is zero to all of its digits nothing need be known.
    let digits = 24 + decimal_digits.max(UNDERFLOW_DIGITS).abs().to_i64().unwrap_or(0);
    let argument = log_to(&magnitude, digits).multiply(exponent);
    let result = exponential_of(&argument, decimal_digits, &[base, exponent])?;
    let odd = whole && exponent.truncate(0).coefficient.bit(0);
    Ok(if base.coefficient.is_negative() && odd { result.negate() } else { result })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts of digits"
)]
fn integer_power(base: &Decimal, exponent: i32, decimal_digits: f64) -> Result<Decimal, SqlError> {
    if decimal_digits > WEIGHT_MAX as f64 {
        return Err(overflow());
    }
    let scale = scale_within(SIGNIFICANT_DIGITS, &[base]);
    if decimal_digits < -1001.0 {
        return Ok(Decimal::new(BigInt::zero(), scale));
    }
    // Digits that each squaring must keep: those of the result and a few for the roundings.
    let significant = i64::from(scale) + (decimal_digits.max(0.0) as i64) + 30;
    let mut result = Decimal::from_i64(1);
    let mut square = base.clone();
    let mut rest = exponent.unsigned_abs();
    while rest > 0 {
        if rest & 1 == 1 {
            result = keep_significant(result.unbounded_product(&square), significant);
        }
        rest >>= 1;
        if rest > 0 {
            square = keep_significant(square.unbounded_product(&square), significant);
        }
    }
    if exponent < 0 {
        let quotient = Decimal::from_i64(1).divide(&result, scale);
        return quotient.ok_or_else(failure::division_by_zero);
    }
    Ok(result.with_scale(scale))
}

/// Drops digits after the point beyond `digits` significant ones.
fn keep_significant(value: Decimal, digits: i64) -> Decimal {
    let wanted = digits - value.decimal_weight();
    match u32::try_from(wanted.max(0)) {
        Ok(wanted) if wanted < value.scale => value.with_scale(wanted),
        _ => value,
    }
}

impl Decimal {
    /// The exact product, whatever its scale.
    fn unbounded_product(&self, other: &Self) -> Self {
        Self::new(&self.coefficient * &other.coefficient, self.scale + other.scale)
    }
}
