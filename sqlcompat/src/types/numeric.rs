//! `numeric`: exact decimals of any size, with PostgreSQL's rules for the scale of results.
//!
//! A value is a big integer and the number of its digits after the point (the *display scale*, which PostgreSQL keeps:
//! `1.10` is not printed as `1.1`), or NaN or an infinity. NaN equals itself and sorts above everything.
//!
//! # Bounds
//! [`WEIGHT_MAX`] digits before the point and [`SCALE_MAX`] after it; more is 22003.
//!
//! # Sources
//! PostgreSQL 15 manual, 8.1.2; the scale rules were checked against the server, see `testscripts/types`.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::num_bigint::{BigInt, BigUint, Sign};
use bigdecimal::num_traits::{Signed, ToPrimitive, Zero};

use super::failure;
use crate::error::{SqlError, SqlState};

/// Most digits before the point.
pub const WEIGHT_MAX: usize = 131_072;
/// Most digits after the point.
pub const SCALE_MAX: u32 = 16_383;
/// Significant digits that inexact operations aim at.
const SIGNIFICANT_DIGITS_MIN: i64 = 16;
/// Most digits after the point that inexact operations give.
pub const DISPLAY_SCALE_MAX: i64 = 1000;
/// Decimal digits in one of PostgreSQL's base-10000 digits, by which it reckons scales.
const DIGITS_PER_GROUP: i64 = 4;

/// A finite decimal: `coefficient` / 10^`scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// All digits.
    pub coefficient: BigInt,
    /// How many of them are after the point.
    pub scale: u32,
}

/// A `numeric` value.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// Minus infinity.
    NegativeInfinity,
    /// A number.
    Finite(Decimal),
    /// Infinity.
    Infinity,
    /// Not a number; equal to itself and above all else.
    NaN,
}

/// 10^`exponent`.
#[must_use]
pub fn power_of_ten(exponent: u32) -> BigInt {
    BigInt::from(10u8).pow(exponent)
}

/// Divides rounding half away from zero; `divisor` is positive.
fn divide_rounding(value: &BigInt, divisor: &BigInt) -> BigInt {
    let divisor = divisor.magnitude();
    let quotient = (value.magnitude() * 2u8 + divisor) / (divisor * 2u8);
    BigInt::from_biguint(if value.is_negative() { Sign::Minus } else { Sign::Plus }, quotient)
}

impl Decimal {
    /// From a coefficient and a scale.
    #[must_use]
    pub fn new(coefficient: BigInt, scale: u32) -> Self {
        Self { coefficient, scale }
    }

    /// Zero with no digits after the point.
    #[must_use]
    pub fn zero() -> Self {
        Self::new(BigInt::zero(), 0)
    }

    /// From an integer.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self::new(BigInt::from(value), 0)
    }

    /// The same value, rounded half away from zero or padded, with `scale` digits after the point.
    #[must_use]
    pub fn with_scale(&self, scale: u32) -> Self {
        match scale.cmp(&self.scale) {
            Ordering::Equal => self.clone(),
            Ordering::Greater => {
                Self::new(&self.coefficient * power_of_ten(scale - self.scale), scale)
            }
            Ordering::Less => {
                let divisor = power_of_ten(self.scale - scale);
                Self::new(divide_rounding(&self.coefficient, &divisor), scale)
            }
        }
    }

    /// Rounds at `digits` after the point (before it if negative).
    #[must_use]
    pub fn round(&self, digits: i32) -> Self {
        match u32::try_from(digits) {
            Ok(digits) => self.with_scale(digits.min(SCALE_MAX)),
            // Nothing is left of fewer digits than are dropped.
            Err(_) if i64::from(digits.unsigned_abs()) > self.decimal_weight() => Self::zero(),
            Err(_) => {
                let places = digits.unsigned_abs();
                let divisor = power_of_ten(self.scale.saturating_add(places));
                Self::new(divide_rounding(&self.coefficient, &divisor) * power_of_ten(places), 0)
            }
        }
    }

    /// Cuts at `digits` after the point (before it if negative).
    #[must_use]
    pub fn truncate(&self, digits: i32) -> Self {
        match u32::try_from(digits) {
            Ok(digits) if digits >= self.scale => self.with_scale(digits.min(SCALE_MAX)),
            Ok(digits) => Self::new(&self.coefficient / power_of_ten(self.scale - digits), digits),
            Err(_) => {
                let places =
                    digits.unsigned_abs().min(u32::try_from(WEIGHT_MAX).unwrap_or(u32::MAX));
                let divisor = power_of_ten(self.scale.saturating_add(places));
                Self::new(&self.coefficient / divisor * power_of_ten(places), 0)
            }
        }
    }

    /// The largest integer that is not larger.
    #[must_use]
    pub fn floor(&self) -> Self {
        let whole = self.truncate(0);
        let exact = whole.compare(self) == Ordering::Equal;
        if exact || !self.coefficient.is_negative() {
            return whole;
        }
        Self::new(whole.coefficient - 1, 0)
    }

    /// The smallest integer that is not smaller.
    #[must_use]
    pub fn ceil(&self) -> Self {
        self.negate().floor().negate()
    }

    /// The negative.
    #[must_use]
    pub fn negate(&self) -> Self {
        Self::new(-&self.coefficient, self.scale)
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.coefficient.is_zero()
    }

    /// Both coefficients at the larger of the scales.
    fn align(&self, other: &Self) -> (BigInt, BigInt, u32) {
        let scale = self.scale.max(other.scale);
        (self.with_scale(scale).coefficient, other.with_scale(scale).coefficient, scale)
    }

    /// Compares by value; the scale does not matter.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.coefficient.cmp(&other.coefficient);
        }
        let (left, right, _) = self.align(other);
        left.cmp(&right)
    }

    /// The sum, at the larger scale.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let (left, right, scale) = self.align(other);
        Self::new(left + right, scale)
    }

    /// The difference, at the larger scale.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let (left, right, scale) = self.align(other);
        Self::new(left - right, scale)
    }

    /// The product, at the sum of the scales.
    #[must_use]
    pub fn multiply(&self, other: &Self) -> Self {
        let product = Self::new(
            &self.coefficient * &other.coefficient,
            self.scale.saturating_add(other.scale),
        );
        if product.scale > SCALE_MAX { product.with_scale(SCALE_MAX) } else { product }
    }

    /// The quotient rounded at `scale`; `None` for a zero divisor.
    #[must_use]
    pub fn divide(&self, other: &Self, scale: u32) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        // value = a/10^sa / (b/10^sb) = a·10^(sb + scale) / (b·10^sa), at `scale`.
        let numerator = &self.coefficient * power_of_ten(other.scale.saturating_add(scale));
        let denominator = &other.coefficient * power_of_ten(self.scale);
        let numerator = if denominator.is_negative() { -numerator } else { numerator };
        Some(Self::new(divide_rounding(&numerator, &denominator.abs()), scale))
    }

    /// The remainder of truncating division, at the larger scale; `None` for a zero divisor.
    #[must_use]
    pub fn remainder(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let (left, right, scale) = self.align(other);
        Some(Self::new(left % right, scale))
    }

    /// The quotient cut to an integer; `None` for a zero divisor.
    #[must_use]
    pub fn divide_truncating(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let (left, right, _) = self.align(other);
        Some(Self::new(left / right, 0))
    }

    /// Number of digits before the point, 0 or negative for values below one; 0 for zero.
    #[must_use]
    pub fn decimal_weight(&self) -> i64 {
        if self.is_zero() {
            return 0;
        }
        let digits = digit_count(self.coefficient.magnitude());
        i64::try_from(digits).unwrap_or(i64::MAX) - i64::from(self.scale)
    }

    /// Weight and value of the first base-10000 digit, as PostgreSQL stores the number; (0, 0) for zero.
    #[must_use]
    pub fn leading_group(&self) -> (i64, i64) {
        if self.is_zero() {
            return (0, 0);
        }
        let weight = (self.decimal_weight() - 1).div_euclid(DIGITS_PER_GROUP);
        let digits = self.coefficient.magnitude().to_str_radix(10);
        let leading = usize::try_from((self.decimal_weight() - 1).rem_euclid(DIGITS_PER_GROUP) + 1)
            .unwrap_or(1);
        let group: String = digits.chars().chain(std::iter::repeat('0')).take(leading).collect();
        (weight, group.parse().unwrap_or(1))
    }

    /// The scale PostgreSQL gives a quotient: at least 16 significant digits, and no less than either operand.
    #[must_use]
    pub fn quotient_scale(&self, divisor: &Self) -> u32 {
        let (weight, first) = self.leading_group();
        let (divisor_weight, divisor_first) = divisor.leading_group();
        let mut quotient_weight = weight - divisor_weight;
        if first <= divisor_first {
            quotient_weight -= 1;
        }
        let scale = (SIGNIFICANT_DIGITS_MIN - quotient_weight * DIGITS_PER_GROUP)
            .max(i64::from(self.scale))
            .max(i64::from(divisor.scale))
            .clamp(0, DISPLAY_SCALE_MAX);
        u32::try_from(scale).unwrap_or(0)
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Rounded to an integer, if that fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.with_scale(0).coefficient.to_i64()
    }

    /// Without trailing zeros after the point.
    #[must_use]
    pub fn trim_scale(&self) -> Self {
        if self.is_zero() {
            return Self::zero();
        }
        let digits = self.coefficient.to_str_radix(10);
        let zeros = digits.bytes().rev().take_while(|digit| *digit == b'0').count();
        let removable = u32::try_from(zeros).unwrap_or(u32::MAX).min(self.scale);
        Self::new(&self.coefficient / power_of_ten(removable), self.scale - removable)
    }

    /// The number itself, if it has no more digits before the point than a `numeric` may.
    ///
    /// # Errors
    /// 22003 `value overflows numeric format`.
    pub fn check(self) -> Result<Self, SqlError> {
        let limit = i64::try_from(WEIGHT_MAX).unwrap_or(i64::MAX);
        if self.decimal_weight() > limit { Err(overflow()) } else { Ok(self) }
    }
}

/// Decimal digits of a magnitude; 1 for zero.
fn digit_count(magnitude: &BigUint) -> usize {
    match magnitude.to_u128() {
        Some(0) => 1,
        Some(small) => small.ilog10() as usize + 1,
        None => magnitude.to_str_radix(10).len(),
    }
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.coefficient);
        }
        if self.coefficient.is_negative() {
            f.write_str("-")?;
        }
        let digits = self.coefficient.magnitude().to_str_radix(10);
        let scale = self.scale as usize;
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{whole}.{fraction}")
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NaN => f.write_str("NaN"),
            Self::Infinity => f.write_str("Infinity"),
            Self::NegativeInfinity => f.write_str("-Infinity"),
            Self::Finite(decimal) => decimal.fmt(f),
        }
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Self::Finite(Decimal::from_i64(value))
    }
}

impl Numeric {
    /// Reads the text form.
    ///
    /// # Errors
    /// 22P02 for what is no number, 22003 for what is too large.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        if let Some(decimal) = parse_decimal(trimmed)? {
            return decimal.check().map(Self::Finite);
        }
        let (negative, unsigned) = match trimmed.as_bytes().first() {
            Some(b'-') => (true, trimmed.get(1..).unwrap_or_default()),
            Some(b'+') => (false, trimmed.get(1..).unwrap_or_default()),
            _ => (false, trimmed),
        };
        match unsigned.to_ascii_lowercase().as_str() {
            "nan" if unsigned.len() == trimmed.len() => Ok(Self::NaN),
            "inf" | "infinity" if negative => Ok(Self::NegativeInfinity),
            "inf" | "infinity" => Ok(Self::Infinity),
            _ => Err(failure::invalid_text("numeric", text)),
        }
    }

    /// From a float, with the 15 significant digits (6 for `float4`) that PostgreSQL keeps.
    #[must_use]
    pub fn from_f64(value: f64, digits: i32) -> Self {
        if value.is_nan() {
            return Self::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 { Self::Infinity } else { Self::NegativeInfinity };
        }
        let mut text = String::new();
        super::float::write_general(value, digits, &mut text);
        Self::parse(&text).unwrap_or(Self::NaN)
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::NaN => f64::NAN,
            Self::Infinity => f64::INFINITY,
            Self::NegativeInfinity => f64::NEG_INFINITY,
            Self::Finite(decimal) => decimal.to_f64(),
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn finite(&self) -> Option<&Decimal> {
        match self {
            Self::Finite(decimal) => Some(decimal),
            Self::NaN | Self::Infinity | Self::NegativeInfinity => None,
        }
    }

    /// Sign: -1, 0, 1; 0 for NaN.
    #[must_use]
    pub fn signum(&self) -> i32 {
        match self {
            Self::NaN => 0,
            Self::Infinity => 1,
            Self::NegativeInfinity => -1,
            Self::Finite(decimal) => match decimal.coefficient.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::NegativeInfinity => 0,
            Self::Finite(_) => 1,
            Self::Infinity => 2,
            Self::NaN => 3,
        }
    }

    /// PostgreSQL's order: -Infinity, numbers, Infinity, NaN.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => left.compare(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// The negative.
    #[must_use]
    pub fn negate(&self) -> Self {
        match self {
            Self::NaN => Self::NaN,
            Self::Infinity => Self::NegativeInfinity,
            Self::NegativeInfinity => Self::Infinity,
            Self::Finite(decimal) => Self::Finite(decimal.negate()),
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// 22003 on overflow; the same holds for its neighbours.
    pub fn add(&self, other: &Self) -> Result<Self, SqlError> {
        Ok(match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => Self::Finite(left.add(right).check()?),
            (Self::NaN, _) | (_, Self::NaN) => Self::NaN,
            (Self::Infinity, Self::NegativeInfinity) | (Self::NegativeInfinity, Self::Infinity) => {
                Self::NaN
            }
            (Self::Infinity, _) | (_, Self::Infinity) => Self::Infinity,
            (Self::NegativeInfinity, _) | (_, Self::NegativeInfinity) => Self::NegativeInfinity,
        })
    }

    /// The difference.
    ///
    /// # Errors
    /// 22003 on overflow.
    pub fn subtract(&self, other: &Self) -> Result<Self, SqlError> {
        self.add(&other.negate())
    }

    /// An infinity of that sign, or NaN for 0.
    fn infinite(sign: i32) -> Self {
        match sign {
            0 => Self::NaN,
            1.. => Self::Infinity,
            _ => Self::NegativeInfinity,
        }
    }

    /// The product.
    ///
    /// # Errors
    /// 22003 on overflow.
    pub fn multiply(&self, other: &Self) -> Result<Self, SqlError> {
        Ok(match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => {
                Self::Finite(left.multiply(right).check()?)
            }
            (Self::NaN, _) | (_, Self::NaN) => Self::NaN,
            _ => Self::infinite(self.signum() * other.signum()),
        })
    }

    /// The quotient.
    ///
    /// # Errors
    /// 22012 for division by zero.
    pub fn divide(&self, other: &Self) -> Result<Self, SqlError> {
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (_, Self::Finite(divisor)) if divisor.is_zero() => Err(failure::division_by_zero()),
            (Self::Finite(left), Self::Finite(right)) => {
                let quotient = left.divide(right, left.quotient_scale(right));
                quotient.ok_or_else(failure::division_by_zero)?.check().map(Self::Finite)
            }
            (Self::Finite(_), _) => Ok(Self::from(0)),
            (_, Self::Finite(_)) => Ok(Self::infinite(self.signum() * other.signum())),
            _ => Ok(Self::NaN),
        }
    }

    /// `div(a, b)`: the quotient cut to an integer.
    ///
    /// # Errors
    /// 22012 for division by zero.
    pub fn divide_truncating(&self, other: &Self) -> Result<Self, SqlError> {
        match (self, other) {
            (Self::Finite(left), Self::Finite(right)) => {
                let quotient = left.divide_truncating(right);
                quotient.map(Self::Finite).ok_or_else(failure::division_by_zero)
            }
            _ => self.divide(other),
        }
    }

    /// `mod(a, b)`.
    ///
    /// # Errors
    /// 22012 for division by zero.
    pub fn remainder(&self, other: &Self) -> Result<Self, SqlError> {
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (Self::Finite(left), Self::Finite(right)) => {
                left.remainder(right).map(Self::Finite).ok_or_else(failure::division_by_zero)
            }
            (_, Self::Finite(right)) if right.is_zero() => Err(failure::division_by_zero()),
            (Self::Finite(_), _) => Ok(self.clone()),
            _ => Ok(Self::NaN),
        }
    }

    /// Applies a `numeric(precision, scale)` type modifier.
    ///
    /// # Errors
    /// 22003 `numeric field overflow`.
    pub fn apply_typmod(self, typmod: i32) -> Result<Self, SqlError> {
        let Some((precision, scale)) = precision_and_scale(typmod) else { return Ok(self) };
        match self {
            Self::NaN => Ok(Self::NaN),
            Self::Infinity | Self::NegativeInfinity => Err(field_overflow(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            ))),
            Self::Finite(decimal) => {
                let rounded = decimal.round(scale);
                if !rounded.is_zero() && rounded.decimal_weight() > i64::from(precision - scale) {
                    let whole = precision - scale;
                    let bound = if whole == 0 { "1".to_owned() } else { format!("10^{whole}") };
                    return Err(field_overflow(format!(
                        "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
                    )));
                }
                Ok(Self::Finite(rounded))
            }
        }
    }
}

fn field_overflow(detail: String) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
        .with_detail(detail)
}

/// Precision and scale in a `numeric` type modifier, if it has any.
#[must_use]
pub fn precision_and_scale(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    Some(((packed >> 16) & 0xffff, scale))
}

/// Reads `[+-]digits[.digits][e[+-]digits]`; `None` if it is anything else.
fn parse_decimal(text: &str) -> Result<Option<Decimal>, SqlError> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, rest) = text.split_at(at);
            let digits = rest.get(1..).unwrap_or_default();
            let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                return Ok(None);
            }
            // An exponent beyond i32 cannot be represented either way.
            (
                mantissa,
                digits
                    .parse::<i32>()
                    .ok()
                    .filter(|it| it.abs() < i32::MAX / 2)
                    .ok_or_else(overflow)?,
            )
        }
        None => (text, 0),
    };
    let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Ok(None);
    }
    let digits = format!("{whole}{fraction}");
    let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX) - i64::from(exponent);
    let digits_significant = digits.trim_start_matches('0').len();
    let weight = i64::try_from(digits_significant).unwrap_or(i64::MAX).saturating_sub(scale);
    if digits_significant > 0 && weight > i64::try_from(WEIGHT_MAX).unwrap_or(i64::MAX) {
        return Err(overflow());
    }
    let mut coefficient = match digits.parse::<i128>() {
        Ok(small) => BigInt::from(small),
        Err(_) => digits.parse::<BigInt>().unwrap_or_else(|_| BigInt::zero()),
    };
    if mantissa.starts_with('-') {
        coefficient = -coefficient;
    }
    if scale > i64::from(SCALE_MAX) {
        return Err(overflow());
    }
    Ok(Some(if scale < 0 {
        let zeros = if coefficient.is_zero() { 0 } else { u32::try_from(-scale).unwrap_or(0) };
        Decimal::new(coefficient * power_of_ten(zeros), 0)
    } else {
        Decimal::new(coefficient, u32::try_from(scale).unwrap_or(0))
    }))
}

/// Compares two texts in canonical output form, as the collation `pg_numeric` does; text that is no number sorts last.
#[must_use]
pub fn compare_text(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    match (Numeric::parse(left), Numeric::parse(right)) {
        (Ok(left), Ok(right)) => left.compare(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

/// Sign word of the binary format for negative numbers.
const NEGATIVE: u16 = 0x4000;
/// Sign words of the binary format for the special values.
const SPECIALS: [(u16, Numeric); 3] =
    [(0xC000, Numeric::NaN), (0xD000, Numeric::Infinity), (0xF000, Numeric::NegativeInfinity)];

/// Reads the binary format: digit count, weight, sign and scale, then base-10000 digits.
///
/// # Errors
/// 22P03 for a malformed value.
pub fn decode_binary(bytes: &[u8]) -> Result<Numeric, SqlError> {
    let bad = || failure::invalid_binary("numeric");
    let (words, rest) = bytes.as_chunks::<2>();
    let mut words = words.iter().map(|word| u16::from_be_bytes(*word));
    let mut next = || words.next().ok_or_else(bad);
    let (count, weight, sign, scale) = (next()?, next()?.cast_signed(), next()?, next()?);
    if !rest.is_empty() || usize::from(count) * 2 + 8 != bytes.len() || scale > 0x3fff {
        return Err(bad());
    }
    if let Some((_, special)) = SPECIALS.iter().find(|(word, _)| *word == sign) {
        return Ok(special.clone());
    }
    let mut coefficient = BigUint::zero();
    for digit in words {
        if digit >= 10_000 {
            return Err(bad());
        }
        coefficient = coefficient * 10_000u32 + digit;
    }
    let sign = match sign {
        0 => Sign::Plus,
        NEGATIVE => Sign::Minus,
        _ => return Err(bad()),
    };
    // The digits are worth coefficient · 10000^(weight + 1 - count).
    let exponent = (i64::from(weight) + 1 - i64::from(count)) * DIGITS_PER_GROUP;
    let coefficient = BigInt::from_biguint(sign, coefficient);
    let magnitude = u32::try_from(exponent.abs()).unwrap_or(0);
    let decimal = if exponent >= 0 {
        Decimal::new(coefficient * power_of_ten(magnitude), 0)
    } else {
        Decimal::new(coefficient, magnitude)
    };
    // PostgreSQL cuts what the scale hides.
    let scale = i32::from(scale.cast_signed());
    Ok(Numeric::Finite(decimal.truncate(scale).with_scale(scale.unsigned_abs()).check()?))
}

/// Appends the binary format.
pub fn encode_binary(value: &Numeric, out: &mut Vec<u8>) {
    let header = |out: &mut Vec<u8>, words: [u16; 4]| {
        out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    };
    let decimal = match value {
        Numeric::NaN => return header(out, [0, 0, 0xC000, 0]),
        Numeric::Infinity => return header(out, [0, 0, 0xD000, 0]),
        Numeric::NegativeInfinity => return header(out, [0, 0, 0xF000, 0]),
        Numeric::Finite(decimal) => decimal,
    };
    let scale = u16::try_from(decimal.scale).unwrap_or(0x3fff);
    // Pad the fraction to whole groups, then split from the right.
    let padding = (4 - decimal.scale % 4) % 4;
    let fraction_groups = i64::from((decimal.scale + padding) / 4);
    let mut digits = decimal.coefficient.magnitude().to_str_radix(10);
    digits.extend(std::iter::repeat_n('0', padding as usize));
    let lead = (4 - digits.len() % 4) % 4;
    let padded = format!("{}{digits}", "0".repeat(lead));
    let mut groups: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        .collect();
    let mut weight = i64::try_from(groups.len()).unwrap_or(0) - fraction_groups - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= i64::try_from(leading).unwrap_or(0);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign = if decimal.coefficient.is_negative() { NEGATIVE } else { 0 };
    let count = u16::try_from(groups.len()).unwrap_or(u16::MAX);
    let weight = i16::try_from(weight).unwrap_or(i16::MAX).cast_unsigned();
    header(out, [count, weight, sign, scale]);
    out.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
}
