//! Text and binary forms of the simple types: bool, integers, text and its kin, bytea, uuid.

use super::failure;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::settings::ByteaOutput;

/// Bytes of a `name` without its terminator.
pub const NAME_BYTES_MAX: usize = 63;

/// C's `isspace`.
#[must_use]
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Reads `bool` input: unique prefixes of true, false, yes, no, on, off, and 1, 0.
///
/// # Errors
/// 22P02.
pub fn parse_bool(text: &str) -> Result<Datum, SqlError> {
    let word = text.trim_matches(is_space).to_ascii_lowercase();
    let value = match word.as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => 1,
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => 0,
        _ => return Err(failure::invalid_text("boolean", text)),
    };
    Ok(Datum::Integer(value))
}

/// Reads the input of an integer type with these bounds.
///
/// # Errors
/// 22P02 for what is no integer, 22003 for what does not fit.
pub fn parse_integer(text: &str, type_name: &str, min: i64, max: i64) -> Result<i64, SqlError> {
    let trimmed = text.trim_matches(is_space);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(failure::invalid_text(type_name, text));
    }
    trimmed.parse::<i64>().ok().filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type {type_name}"),
        )
    })
}

/// Reads `oid` and `xid` input; negative numbers wrap, as in PostgreSQL.
///
/// # Errors
/// 22P02, 22003.
pub fn parse_oid(text: &str, type_name: &str) -> Result<i64, SqlError> {
    let value = parse_integer(text, type_name, i64::from(i32::MIN), i64::from(u32::MAX))?;
    Ok(if value < 0 { value + (1 << 32) } else { value })
}

/// Cuts `text` to at most `limit` characters if only blanks are lost.
fn cut_blanks<'a>(text: &'a str, limit: usize, type_name: &str) -> Result<&'a str, SqlError> {
    let Some((at, _)) = text.char_indices().nth(limit) else { return Ok(text) };
    let (kept, rest) = text.split_at(at);
    if rest.bytes().all(|b| b == b' ') {
        return Ok(kept);
    }
    Err(SqlError::new(
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        format!("value too long for type {type_name}({limit})"),
    ))
}

/// Length in a `varchar` or `bpchar` type modifier.
#[must_use]
pub fn length_of_typmod(typmod: i32) -> Option<usize> {
    typmod.checked_sub(4).and_then(|length| usize::try_from(length).ok())
}

/// `varchar(n)` input.
///
/// # Errors
/// 22001.
pub fn parse_varchar(text: &str, typmod: i32) -> Result<Datum, SqlError> {
    let kept = match length_of_typmod(typmod) {
        Some(limit) => cut_blanks(text, limit, "character varying")?,
        None => text,
    };
    Ok(Datum::Text(kept.to_owned()))
}

/// `char(n)` input: padded with blanks.
///
/// # Errors
/// 22001.
pub fn parse_bpchar(text: &str, typmod: i32) -> Result<Datum, SqlError> {
    let Some(limit) = length_of_typmod(typmod) else { return Ok(Datum::Text(text.to_owned())) };
    let mut kept = cut_blanks(text, limit, "character")?.to_owned();
    let missing = limit.saturating_sub(kept.chars().count());
    kept.extend(std::iter::repeat_n(' ', missing));
    Ok(Datum::Text(kept))
}

/// The longest prefix of at most `limit` bytes that ends at a character.
#[must_use]
pub fn clip_bytes(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// `"char"` input: a byte as `\ooo`, or the first byte. It is stored as the character of that number; 0 as none.
#[must_use]
pub fn parse_char(text: &str) -> Datum {
    let octal = match text.as_bytes() {
        [b'\\', high @ b'0'..=b'7', middle @ b'0'..=b'7', low @ b'0'..=b'7'] => {
            Some((high << 6) | ((middle & 7) << 3) | (low & 7))
        }
        _ => None,
    };
    let byte = octal.or_else(|| text.bytes().next()).filter(|byte| *byte != 0);
    Datum::Text(byte.map(|byte| char::from(byte).to_string()).unwrap_or_default())
}

/// The byte that a stored `"char"` is.
#[must_use]
pub fn char_byte(stored: &str) -> u8 {
    stored.chars().next().map_or(0, |it| u8::try_from(u32::from(it)).unwrap_or(b'?'))
}

/// `"char"` output: bytes beyond ASCII as `\ooo`.
#[must_use]
pub fn char_text(stored: &str) -> String {
    match char_byte(stored) {
        0 => String::new(),
        byte if byte.is_ascii() => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    }
}

/// Appends two lower-case hexadecimal digits per byte.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    write_hex(bytes, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads hexadecimal digits; white space between pairs is skipped.
///
/// # Errors
/// 22023, in the words of `decode` and `bytea`.
pub fn from_hex(text: &str) -> Result<Vec<u8>, SqlError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars() {
        if high.is_none() && matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or_else(|| {
            failure::invalid_parameter(format!("invalid hexadecimal digit: \"{c}\""))
        })?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() {
        return Err(failure::invalid_parameter("invalid hexadecimal data: odd number of digits"));
    }
    Ok(bytes)
}

/// Reads `bytea` input, in hex or escape format.
///
/// # Errors
/// 22P02, 22023.
pub fn parse_bytea(text: &str) -> Result<Vec<u8>, SqlError> {
    match text.strip_prefix("\\x") {
        Some(hex) => from_hex(hex),
        None => from_escape(text).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "invalid input syntax for type bytea",
            )
        }),
    }
}

/// Reads the escape format: `\\` and `\ooo`.
#[must_use]
pub fn from_escape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        match tail {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// Appends the escape format.
pub fn write_escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(*byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
}

/// Appends `bytea` output.
pub fn write_bytea(bytes: &[u8], format: ByteaOutput, out: &mut Vec<u8>) {
    match format {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            write_hex(bytes, out);
        }
        ByteaOutput::Escape => write_escape(bytes, out),
    }
}

/// Reads `uuid` input: 32 digits, hyphens allowed after every fourth, braces around.
///
/// # Errors
/// 22P02.
pub fn parse_uuid(text: &str) -> Result<[u8; 16], SqlError> {
    let bad = || failure::invalid_text("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(bad)?,
        None => text,
    };
    let mut digits = Vec::with_capacity(32);
    let mut after_hyphen = true;
    for c in inner.chars() {
        if c == '-' {
            if after_hyphen || digits.len() % 4 != 0 || digits.len() >= 32 {
                return Err(bad());
            }
            after_hyphen = true;
            continue;
        }
        after_hyphen = false;
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digits.push(digit.filter(|_| digits.len() < 32).ok_or_else(bad)?);
    }
    if digits.len() != 32 {
        return Err(bad());
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair.iter().fold(0, |sum, digit| sum << 4 | digit);
    }
    Ok(bytes)
}

/// Appends `uuid` output.
pub fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        write_hex(std::slice::from_ref(byte), out);
    }
}
