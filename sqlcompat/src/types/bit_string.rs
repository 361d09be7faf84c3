//! Bit strings: `bit(n)` and `bit varying(n)`. Stored as text of the digits 0 and 1, which orders as PostgreSQL orders them.
//!
//! # Bounds
//! [`BITS_MAX`], PostgreSQL's longest declared length; longer input is 54000.
//!
//! # Sources
//! PostgreSQL 15 manual, sections 8.10 (Bit String Types) and 9.6.

use super::failure;
use crate::error::{SqlError, SqlState};

/// Most bits of a string.
pub const BITS_MAX: usize = 83_886_080;

/// `bit` or `bit varying`, where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitKind {
    /// Exactly as long as declared.
    Fixed,
    /// At most as long as declared.
    Varying,
}

impl BitKind {
    /// Refuses a length that does not fit the type modifier.
    ///
    /// # Errors
    /// 22026 for `bit`, 22001 for `bit varying`.
    pub fn check(self, length: usize, typmod: i32) -> Result<(), SqlError> {
        let Some(declared) = usize::try_from(typmod).ok().filter(|it| *it > 0) else {
            return Ok(());
        };
        match self {
            Self::Fixed if length != declared => Err(SqlError::new(
                SqlState::STRING_DATA_LENGTH_MISMATCH,
                format!("bit string length {length} does not match type bit({declared})"),
            )),
            Self::Varying if length > declared => Err(SqlError::new(
                SqlState::STRING_DATA_RIGHT_TRUNCATION,
                format!("bit string too long for type bit varying({declared})"),
            )),
            Self::Fixed | Self::Varying => Ok(()),
        }
    }
}

fn too_long() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("bit string length exceeds the maximum allowed ({BITS_MAX})"),
    )
}

fn not_a_digit(digit: char, base: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("\"{digit}\" is not a valid {base} digit"),
    )
}

/// Reads the text form: binary digits, perhaps after a `b`, or hexadecimal ones after an `x`.
///
/// # Errors
/// 22P02, and those of [`BitKind::check`].
pub fn parse(text: &str, kind: BitKind, typmod: i32) -> Result<String, SqlError> {
    if let Some(digits) = text.strip_prefix(['x', 'X']) {
        let length = digits.len().saturating_mul(4);
        kind.check(length, typmod)?;
        if length > BITS_MAX {
            return Err(too_long());
        }
        let mut bits = String::with_capacity(length);
        for digit in digits.chars() {
            let value = digit.to_digit(16).ok_or_else(|| not_a_digit(digit, "hexadecimal"))?;
            bits.push_str(&format!("{value:04b}"));
        }
        return Ok(bits);
    }
    let digits = text.strip_prefix(['b', 'B']).unwrap_or(text);
    kind.check(digits.len(), typmod)?;
    if digits.len() > BITS_MAX {
        return Err(too_long());
    }
    match digits.chars().find(|digit| !matches!(digit, '0' | '1')) {
        Some(digit) => Err(not_a_digit(digit, "binary")),
        None => Ok(digits.to_owned()),
    }
}

/// Reads the binary form: the number of bits, then the bits from the left in whole bytes.
///
/// # Errors
/// 22P03, and those of [`BitKind::check`].
pub fn decode_binary(bytes: &[u8], kind: BitKind, typmod: i32) -> Result<String, SqlError> {
    let Some((length, bytes)) = bytes.split_first_chunk() else {
        return Err(failure::invalid_binary("bit"));
    };
    let length = usize::try_from(i32::from_be_bytes(*length)).ok().ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_BINARY_REPRESENTATION,
            "invalid length in external bit string",
        )
    })?;
    kind.check(length, typmod)?;
    if bytes.len() != length.div_ceil(8) {
        return Err(failure::invalid_binary("bit"));
    }
    let digit = |byte: u8, bit: u32| if byte >> (7 - bit) & 1 == 1 { '1' } else { '0' };
    Ok(bytes.iter().flat_map(|byte| (0..8).map(|bit| digit(*byte, bit))).take(length).collect())
}

/// Appends the binary form.
pub fn encode_binary(bits: &str, out: &mut Vec<u8>) {
    out.extend(i32::try_from(bits.len()).unwrap_or(i32::MAX).to_be_bytes());
    out.extend(bits.as_bytes().chunks(8).map(|chunk| {
        let set = |index: usize| chunk.get(index) == Some(&b'1');
        (0..8).fold(0, |byte, index| byte << 1 | u8::from(set(index)))
    }));
}

/// The bits as a number of `width` bits, from the left; `None` if there are more.
#[must_use]
pub fn to_number(bits: &str, width: usize) -> Option<u64> {
    if bits.len() > width {
        return None;
    }
    Some(bits.bytes().fold(0, |sum, bit| sum << 1 | u64::from(bit == b'1')))
}
