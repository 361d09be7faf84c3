//! `money`: cents in 64 bits, stored as an integer, written as in the locale `C`: `$1,234.56`.
//!
//! # Sources
//! PostgreSQL 15 manual, section 8.2 (Monetary Types).

use super::scalar;
use crate::error::{SqlError, SqlState};

/// Digits after the point.
const FRACTION_DIGITS: usize = 2;

/// Reads the text form: an optional sign or parentheses for a negative amount, a dollar sign, digits with commas, a point.
///
/// # Errors
/// 22P02, 22003.
pub fn parse(text: &str) -> Result<i64, SqlError> {
    let bad = || {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type money: \"{text}\""),
        )
    };
    let out_of_range = || {
        SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type money"),
        )
    };
    let skip = |text: &mut &str, symbol: &str| {
        *text = text.trim_start_matches(scalar::is_space);
        let rest = text.strip_prefix(symbol);
        *text = rest.unwrap_or(text);
        rest.is_some()
    };
    let mut rest = text;
    skip(&mut rest, "$");
    let mut negative = skip(&mut rest, "-") || skip(&mut rest, "(");
    skip(&mut rest, "+");
    skip(&mut rest, "$");
    rest = rest.trim_start_matches(scalar::is_space);

    let mut value: i64 = 0;
    let mut fraction = None;
    let mut digits = rest.chars();
    let after = loop {
        let before = digits.as_str();
        match (digits.next(), fraction) {
            (Some(c), count)
                if c.is_ascii_digit() && count.is_none_or(|it| it < FRACTION_DIGITS) =>
            {
                value = append(value, c).ok_or_else(out_of_range)?;
                fraction = count.map(|it| it + 1);
            }
            (Some('.'), None) => fraction = Some(0),
            (Some(','), _) => {}
            _ => break before,
        }
    };
    let mut rest = after;
    if rest.starts_with(|c| matches!(c, '5'..='9')) {
        value = value.checked_sub(1).ok_or_else(out_of_range)?;
    }
    for _ in fraction.unwrap_or(0)..FRACTION_DIGITS {
        value = value.checked_mul(10).ok_or_else(out_of_range)?;
    }
    rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    while !rest.is_empty() {
        let Some(after) =
            rest.strip_prefix(|c| scalar::is_space(c) || matches!(c, ')' | '-' | '+' | '$'))
        else {
            return Err(bad());
        };
        negative |= rest.starts_with('-');
        rest = after;
    }
    if negative { Ok(value) } else { value.checked_neg().ok_or_else(out_of_range) }
}

/// The negative amount with one digit more: negative ones reach one further.
fn append(value: i64, digit: char) -> Option<i64> {
    value.checked_mul(10)?.checked_sub(i64::from(digit.to_digit(10)?))
}

/// The text form.
#[must_use]
pub fn to_text(cents: i64) -> String {
    let digits = format!("{:03}", cents.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - FRACTION_DIGITS);
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}${grouped}.{fraction}", if cents < 0 { "-" } else { "" })
}
