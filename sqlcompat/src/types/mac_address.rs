//! Hardware addresses: `macaddr` (6 bytes) and `macaddr8` (8 bytes). Stored as blobs of their bytes, which order as
//! PostgreSQL orders them.
//!
//! # Sources
//! PostgreSQL 15 manual, sections 8.9.4 and 8.9.5.

use super::{failure, scalar};
use crate::error::{SqlError, SqlState};

/// The two bytes in the middle of an EUI-64 that was made of an EUI-48.
const WIDENING: [u8; 2] = [0xff, 0xfe];

/// The spellings of `macaddr`: for each byte, the digits that it may have at most and what follows it.
const SPELLINGS: [(usize, [&str; 6]); 7] = [
    (usize::MAX, [":", ":", ":", ":", ":", ""]),
    (usize::MAX, ["-", "-", "-", "-", "-", ""]),
    (2, ["", "", ":", "", "", ""]),
    (2, ["", "", "-", "", "", ""]),
    (2, ["", ".", "", ".", "", ""]),
    (2, ["", "-", "", "-", "", ""]),
    (2, ["", "", "", "", "", ""]),
];

/// Reads `macaddr` input.
///
/// # Errors
/// 22P02; 22003 for a part above `ff`.
pub fn parse6(text: &str) -> Result<[u8; 6], SqlError> {
    let found = SPELLINGS.iter().find_map(|(width, separators)| spelled(text, *width, separators));
    let parts = found.ok_or_else(|| failure::invalid_text("macaddr", text))?;
    let mut bytes = [0; 6];
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = u8::try_from(part).ok().ok_or_else(|| {
            SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("invalid octet value in \"macaddr\" value: \"{text}\""),
            )
        })?;
    }
    Ok(bytes)
}

/// Reads six hexadecimal numbers as C's `scanf` does: blanks before each are skipped, signs and `0x` taken.
fn spelled(text: &str, width: usize, separators: &[&str; 6]) -> Option<[i64; 6]> {
    let mut parts = [0; 6];
    let mut rest = text;
    for (part, separator) in parts.iter_mut().zip(separators) {
        rest = rest.trim_start_matches(scalar::is_space);
        let (value, after) = hex_number(rest, width)?;
        *part = value;
        rest = after.strip_prefix(separator)?;
    }
    rest.chars().all(scalar::is_space).then_some(parts)
}

fn hex_number(text: &str, width: usize) -> Option<(i64, &str)> {
    let sign = text.len() - text.strip_prefix(['+', '-']).unwrap_or(text).len();
    let (signed, unsigned) = text.split_at_checked(sign)?;
    let prefix = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() && width - sign > 2 => 2,
        _ => 0,
    };
    let digits = unsigned.get(prefix..)?;
    let room = width.saturating_sub(sign + prefix);
    let length = digits.bytes().take(room).take_while(u8::is_ascii_hexdigit).count();
    let (digits, rest) = digits.split_at_checked(length)?;
    if digits.is_empty() {
        return None;
    }
    let value = i64::from_str_radix(digits, 16).unwrap_or(i64::MAX);
    Some((if signed == "-" { -value } else { value }, rest))
}

/// Reads `macaddr8` input: eight bytes, or six that are widened.
///
/// # Errors
/// 22P02.
pub fn parse8(text: &str) -> Result<[u8; 8], SqlError> {
    read8(text.as_bytes()).ok_or_else(|| failure::invalid_text("macaddr8", text))
}

fn read8(text: &[u8]) -> Option<[u8; 8]> {
    let is_space = |byte: &&u8| scalar::is_space(char::from(**byte));
    let blanks = text.iter().take_while(is_space).count();
    let mut rest = text.get(blanks..)?;
    let mut bytes = Vec::with_capacity(8);
    let mut spacer = None;
    // A single character that is left over is passed by, as PostgreSQL does.
    while let [high, low, after @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        if bytes.len() == 8 {
            return None;
        }
        bytes.push(digit(high)? << 4 | digit(low)?);
        rest = after;
        if let Some((found @ (b':' | b'-' | b'.'), after)) = rest.split_first() {
            if *spacer.get_or_insert(*found) != *found {
                return None;
            }
            rest = after;
        }
        if matches!(bytes.len(), 6 | 8) && rest.first().as_ref().is_some_and(is_space) {
            let ends = rest.iter().all(|byte| is_space(&byte));
            rest = &[];
            if !ends {
                return None;
            }
        }
    }
    from_bytes8(&bytes)
}

/// The address of eight bytes, or of six.
fn from_bytes8(bytes: &[u8]) -> Option<[u8; 8]> {
    match <[u8; 6]>::try_from(bytes) {
        Ok(short) => Some(widen(short)),
        Err(_) => bytes.try_into().ok(),
    }
}

/// Reads the binary form of `macaddr8`.
///
/// # Errors
/// 22P03.
pub fn decode8(bytes: &[u8]) -> Result<[u8; 8], SqlError> {
    from_bytes8(bytes).ok_or_else(|| failure::invalid_binary("macaddr8"))
}

/// A `macaddr` as a `macaddr8`.
#[must_use]
pub fn widen([a, b, c, d, e, f]: [u8; 6]) -> [u8; 8] {
    let [left, right] = WIDENING;
    [a, b, c, left, right, d, e, f]
}

/// A `macaddr8` as a `macaddr`.
///
/// # Errors
/// 22003 if it is none that was widened.
pub fn narrow([a, b, c, left, right, d, e, f]: [u8; 8]) -> Result<[u8; 6], SqlError> {
    if [left, right] == WIDENING {
        return Ok([a, b, c, d, e, f]);
    }
    Err(SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "macaddr8 data out of range to convert to macaddr",
    )
    .with_hint(
        "Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for \
         example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.",
    ))
}

/// Appends the text form: pairs of digits with colons between.
pub fn write(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        scalar::write_hex(std::slice::from_ref(byte), out);
    }
}
