//! The digits that a picture shows, by the number's type.
//!
//! An integer gets zeros after the point, a `numeric` is rounded to the picture's places, a float keeps no more than its
//! type's exact digits. What does not fit the places before the point is `#`.

use super::picture::{Picture, Trait};
use crate::error::{SqlError, SqlState};
use crate::types::failure;
use crate::types::numeric::{Decimal, Numeric, power_of_ten};

/// Digits that a `float8` holds exactly.
pub(super) const DOUBLE_DIGITS: usize = 15;
/// Digits that a `float4` holds exactly.
pub(super) const REAL_DIGITS: usize = 6;

/// What is printed.
pub(super) struct Digits {
    /// Digits with a point, or all that there is to print with `EEEE` or `RN`.
    pub(super) text: String,
    pub(super) negative: bool,
    /// Places before the point that the number leaves blank.
    pub(super) blanks: usize,
}

impl Digits {
    /// Text that is printed as it is.
    fn whole(text: String) -> Self {
        Self { text, negative: false, blanks: 0 }
    }

    /// A number as text, with its sign.
    fn of(shown: &str, picture: &Picture) -> Self {
        let negative = shown.starts_with('-');
        let text = shown.strip_prefix('-').unwrap_or(shown);
        let length = text.find('.').unwrap_or(text.len());
        if length > picture.before {
            let text = format!("{}.{}", "#".repeat(picture.before), "#".repeat(picture.after));
            return Self { text, negative, blanks: 0 };
        }
        Self { text: text.to_owned(), negative, blanks: picture.before - length }
    }
}

/// Digits of an integer, of which `shift` makes the one that `V` asks for.
fn of_integer(
    value: i64,
    picture: &mut Picture,
    shift: impl Fn(i64, usize) -> Option<i64>,
) -> Option<Digits> {
    let mut shown = value;
    if picture.is(Trait::Shift) {
        shown = shift(value, picture.shifted)?;
        picture.before += picture.shifted;
    }
    let mut text = shown.to_string();
    if picture.after > 0 {
        text.push('.');
        text.push_str(&"0".repeat(picture.after));
    }
    Some(Digits::of(&text, picture))
}

/// Digits of an `int4`.
pub(super) fn of_int4(value: i32, picture: &mut Picture) -> Result<Digits, SqlError> {
    if picture.is(Trait::Roman) {
        return Ok(Digits::whole(roman(value.into())));
    }
    if picture.is(Trait::Exponent) {
        return Ok(Digits::whole(signed_exponent(value.into(), picture.after)));
    }
    // PostgreSQL lets the product wrap.
    let shift = |value: i64, places: usize| {
        let factor = if places > 9 { i32::MAX } else { 10i32.pow(u32::try_from(places).ok()?) };
        i32::try_from(value).ok().map(|it| i64::from(it.wrapping_mul(factor)))
    };
    of_integer(value.into(), picture, shift).ok_or_else(|| failure::out_of_range("integer"))
}

/// Digits of an `int8`.
pub(super) fn of_int8(value: i64, picture: &mut Picture) -> Result<Digits, SqlError> {
    if picture.is(Trait::Roman) {
        return int4_roman(Some(value));
    }
    if picture.is(Trait::Exponent) {
        return of_numeric(&Numeric::from(value), picture);
    }
    let shift = |value: i64, places: usize| {
        value.checked_mul(10i64.checked_pow(u32::try_from(places).ok()?)?)
    };
    of_integer(value, picture, shift).ok_or_else(|| failure::out_of_range("bigint"))
}

fn not_convertible(what: &str) -> SqlError {
    let message = format!("cannot convert {what} to integer");
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// Roman numerals of what must be an `int4`.
fn int4_roman(value: Option<i64>) -> Result<Digits, SqlError> {
    let value = value.and_then(|it| i32::try_from(it).ok());
    let value = value.ok_or_else(|| failure::out_of_range("integer"))?;
    Ok(Digits::whole(roman(value.into())))
}

/// Digits of a `numeric`.
pub(super) fn of_numeric(value: &Numeric, picture: &mut Picture) -> Result<Digits, SqlError> {
    if picture.is(Trait::Roman) {
        let rounded = match value {
            Numeric::Finite(value) => value.to_i64(),
            Numeric::NaN => return Err(not_convertible("NaN")),
            Numeric::Infinity | Numeric::NegativeInfinity => {
                return Err(not_convertible("infinity"));
            }
        };
        return int4_roman(rounded);
    }
    if picture.is(Trait::Exponent) {
        return Ok(Digits::whole(match value.finite() {
            Some(value) => scientific(value, picture.after),
            None => overflown_exponent(picture),
        }));
    }
    let mut shown = value.clone();
    if picture.is(Trait::Shift) {
        let factor = power_of_ten(u32::try_from(picture.shifted).unwrap_or(u32::MAX));
        shown = shown.multiply(&Numeric::Finite(Decimal::new(factor, 0)))?;
        picture.before += picture.shifted;
    }
    if let Numeric::Finite(value) = &shown {
        shown = Numeric::Finite(value.with_scale(u32::try_from(picture.after).unwrap_or(0)));
    }
    Ok(Digits::of(&shown.to_string(), picture))
}

/// Digits of a float that holds `exact` of them.
pub(super) fn of_float(value: f64, exact: usize, picture: &mut Picture) -> Digits {
    if picture.is(Trait::Roman) {
        let rounded = value.round_ties_even();
        #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
        let whole = if rounded.abs() < 1e9 { rounded as i64 } else { i64::MAX };
        return Digits::whole(roman(whole));
    }
    if picture.is(Trait::Exponent) {
        return Digits::whole(if value.is_finite() {
            signed_exponent(value, picture.after)
        } else {
            overflown_exponent(picture)
        });
    }
    let mut shown = value;
    if picture.is(Trait::Shift) {
        shown *= 10f64.powi(i32::try_from(picture.shifted).unwrap_or(i32::MAX));
        picture.before += picture.shifted;
    }
    if !shown.is_finite() {
        let text = if shown.is_nan() { "NaN" } else { "Infinity" };
        picture.after = picture.after.min(exact.saturating_sub(text.len()));
        let sign = if shown < 0.0 { "-" } else { "" };
        return Digits::of(&format!("{sign}{text}"), picture);
    }
    let whole = format!("{:.0}", shown.abs()).len();
    picture.after = picture.after.min(exact.saturating_sub(whole));
    Digits::of(&format!("{shown:.0$}", picture.after), picture)
}

/// `#` in every place, in the width of a number with an exponent.
fn overflown_exponent(picture: &Picture) -> String {
    format!(" {}.{}", "#".repeat(picture.before), "#".repeat(picture.after + 4))
}

/// Digits after the point that a double may need: 2^-1074 has 751 significant ones.
const EXPONENT_DIGITS_MAX: usize = 1_100;

/// A number with an exponent, after a blank or a minus.
fn signed_exponent(value: f64, places: usize) -> String {
    // No double has more digits than this; the rest are zeros.
    let exact = places.min(EXPONENT_DIGITS_MAX);
    let shown = format!("{value:.exact$e}");
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let mantissa = format!("{mantissa}{}", "0".repeat(places - exact));
    with_exponent(&mantissa, exponent.parse().unwrap_or(0))
}

fn with_exponent(mantissa: &str, exponent: i64) -> String {
    let blank = if mantissa.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{mantissa}e{sign}{:02}", exponent.abs())
}

/// The same for a `numeric`, exactly.
fn scientific(value: &Decimal, places: usize) -> String {
    if value.is_zero() {
        let mantissa = Decimal::zero().with_scale(u32::try_from(places).unwrap_or(0));
        return with_exponent(&mantissa.to_string(), 0);
    }
    // The coefficient with its point moved, so that the exponent is left over. What rounding makes ten of stays ten, as in
    // PostgreSQL.
    let exponent = value.decimal_weight() - 1;
    let moved = i64::from(value.scale) + exponent;
    let moved = match u32::try_from(moved) {
        Ok(scale) => Decimal::new(value.coefficient.clone(), scale),
        Err(_) => {
            let zeros = u32::try_from(-moved).unwrap_or(0);
            Decimal::new(&value.coefficient * power_of_ten(zeros), 0)
        }
    };
    let mantissa = moved.with_scale(u32::try_from(places).unwrap_or(0)).to_string();
    with_exponent(&mantissa, exponent)
}

/// Roman numerals of 1 to 3999.
fn roman(value: i64) -> String {
    const ROMAN: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4000).contains(&value) {
        return "#".repeat(15);
    }
    let (mut rest, mut out) = (value, String::new());
    for (worth, letters) in ROMAN {
        while rest >= worth {
            out.push_str(letters);
            rest -= worth;
        }
    }
    out
}
