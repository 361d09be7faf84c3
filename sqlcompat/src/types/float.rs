//! Text of `float4` and `float8`: the shortest form that reads back the same, as PostgreSQL prints it.
//!
//! PostgreSQL shows plain digits while the decimal exponent is in -4 to 14 (`float4`: -4 to 5) and `d.ddde+XX` otherwise.
//! With `extra_float_digits` below 1 it is C's `%.*g` with 15 (6) plus that many digits.

use super::failure;
use crate::error::{SqlError, SqlState};

/// Appends `value` as `float8` output.
pub fn write_f64(value: f64, extra_float_digits: i8, out: &mut String) {
    if write_special(value, out) {
        return;
    }
    if extra_float_digits < 1 {
        write_general(value, (15 + i32::from(extra_float_digits)).max(1), out);
        return;
    }
    write_shortest(&format!("{value:e}"), 15, out);
}

/// Appends `value`, a stored `float4`, as `float4` output.
pub fn write_f32(value: f32, extra_float_digits: i8, out: &mut String) {
    if write_special(f64::from(value), out) {
        return;
    }
    if extra_float_digits < 1 {
        write_general(f64::from(value), (6 + i32::from(extra_float_digits)).max(1), out);
        return;
    }
    write_shortest(&format!("{value:e}"), 6, out);
}

/// The output of `float8` with the default settings.
#[must_use]
pub fn format_f64(value: f64) -> String {
    let mut out = String::new();
    write_f64(value, 1, &mut out);
    out
}

fn write_special(value: f64, out: &mut String) -> bool {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "Infinity"
    } else if value == f64::NEG_INFINITY {
        "-Infinity"
    } else {
        return false;
    };
    out.push_str(text);
    true
}

/// Re-spells Rust's shortest `d.ddde±x`; exponents from -4 to `fixed_below` - 1 are written out.
fn write_shortest(scientific: &str, fixed_below: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    out.push_str(sign);
    if !(-4..fixed_below).contains(&exponent) {
        out.push_str(mantissa);
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        out.push('e');
        out.push(exponent_sign);
        out.push_str(&format!("{:02}", exponent.unsigned_abs()));
        return;
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    write_plain(&digits, exponent, out);
}

/// Writes `digits` with the point after position `exponent` + 1.
fn write_plain(digits: &str, exponent: i32, out: &mut String) {
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        out.push_str(digits);
        return;
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    for (index, digit) in digits.chars().enumerate() {
        if index == whole {
            out.push('.');
        }
        out.push(digit);
    }
    out.extend(std::iter::repeat_n('0', whole.saturating_sub(digits.len())));
}

/// C's `%.{precision}g`.
pub fn write_general(value: f64, precision: i32, out: &mut String) {
    let decimals = usize::try_from(precision - 1).unwrap_or(0);
    let scientific = format!("{value:.decimals$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    write_shortest(&format!("{trimmed}e{exponent}"), precision, out);
}

/// Reads `float8` input.
///
/// # Errors
/// 22P02 for what is no number, 22003 for what does not fit.
pub fn parse_f64(text: &str) -> Result<f64, SqlError> {
    parse(text, "double precision", |it| {
        let value: f64 = it.parse().ok()?;
        Some((value, value.is_infinite() || (value == 0.0 && has_nonzero_digit(it))))
    })
}

/// Reads `float4` input, as the `f64` that is stored.
///
/// # Errors
/// As [`parse_f64`].
pub fn parse_f32(text: &str) -> Result<f64, SqlError> {
    parse(text, "real", |it| {
        let value: f32 = it.parse().ok()?;
        Some((f64::from(value), value.is_infinite() || (value == 0.0 && has_nonzero_digit(it))))
    })
}

fn has_nonzero_digit(text: &str) -> bool {
    text.bytes().take_while(|b| !matches!(b, b'e' | b'E')).any(|b| matches!(b, b'1'..=b'9'))
}

fn parse(
    text: &str,
    type_name: &str,
    number: impl Fn(&str) -> Option<(f64, bool)>,
) -> Result<f64, SqlError> {
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let special = match unsigned.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "infinity" => Some(f64::INFINITY),
        _ => None,
    };
    if let Some(value) = special {
        return Ok(if trimmed.starts_with('-') { -value } else { value });
    }
    let looks_numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let Some((value, overflow)) = number(trimmed).filter(|_| looks_numeric) else {
        return Err(failure::invalid_text(type_name, text));
    };
    if overflow {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{trimmed}\" is out of range for type {type_name}"),
        ));
    }
    Ok(value)
}
