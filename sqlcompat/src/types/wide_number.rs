//! Identifiers that do not fit a signed integer: `xid8`, `pg_lsn` and `tid`. Stored as blobs of their binary forms, big end
//! first, which order as PostgreSQL orders them.

use super::failure;
use crate::error::SqlError;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WideNumber {
    /// `xid8`: 64 bits in decimal.
    TransactionId,
    /// `pg_lsn`: two halves of 32 bits in hexadecimal, `16/B374D848`.
    LogPosition,
    /// `tid`: a block of 32 bits and an offset of 16, `(0,1)`.
    TupleId,
}

/// The number that is stored.
///
/// # Errors
/// XX000 if it is longer than eight bytes.
pub fn from_storage(stored: &[u8]) -> Result<u64, SqlError> {
    if stored.len() > 8 {
        return Err(failure::wrong_storage("xid8"));
    }
    Ok(stored.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

impl WideNumber {
    /// Reads the text form.
    ///
    /// # Errors
    /// 22P02.
    pub fn parse(self, text: &str) -> Result<Vec<u8>, SqlError> {
        match self {
            Self::TransactionId => Ok(c_number(text).to_be_bytes().to_vec()),
            Self::LogPosition => {
                let half = |text: &str| {
                    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let sized = (1..=8).contains(&text.len());
                    u32::from_str_radix(text, 16).ok().filter(|_| digits && sized)
                };
                let halves = text.split_once('/').and_then(|(high, low)| {
                    Some([half(high)?.to_be_bytes(), half(low)?.to_be_bytes()].concat())
                });
                halves.ok_or_else(|| failure::invalid_text("pg_lsn", text))
            }
            Self::TupleId => {
                let parts = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
                let parts = parts.and_then(|(inner, _)| inner.split_once(','));
                let parts = parts.and_then(|(block, offset)| {
                    let block: u32 = block.trim_start().parse().ok()?;
                    let offset: u16 = offset.trim_start().parse().ok()?;
                    let mut stored = block.to_be_bytes().to_vec();
                    stored.extend(offset.to_be_bytes());
                    Some(stored)
                });
                parts.ok_or_else(|| failure::invalid_text("tid", text))
            }
        }
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// 22P03.
    pub fn decode_binary(self, bytes: &[u8]) -> Result<Vec<u8>, SqlError> {
        let (length, name) = match self {
            Self::TransactionId => (8, "xid8"),
            Self::LogPosition => (8, "pg_lsn"),
            Self::TupleId => (6, "tid"),
        };
        if bytes.len() == length { Ok(bytes.to_vec()) } else { Err(failure::invalid_binary(name)) }
    }

    /// The text form.
    #[must_use]
    pub fn to_text(self, value: u64) -> String {
        match self {
            Self::TransactionId => value.to_string(),
            Self::LogPosition => format!("{:X}/{:X}", value >> 32, value & 0xffff_ffff),
            Self::TupleId => format!("({},{})", value >> 16, value & 0xffff),
        }
    }
}

/// `xid` and `cid` input: the lower 32 bits of a number as C reads it.
#[must_use]
pub fn parse_xid(text: &str) -> i64 {
    i64::try_from(c_number(text) & 0xffff_ffff).unwrap_or(0)
}

/// A number as C's `strtoul` reads it with base 0: `0x` is hexadecimal, a leading `0` octal, what follows the digits is passed
/// by, a minus wraps, and what is too large is the largest.
fn c_number(text: &str) -> u64 {
    let text = text.trim_start_matches(super::scalar::is_space);
    let negative = text.starts_with('-');
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', digits @ ..] => (8, digits),
        digits => (10, digits),
    };
    let value = digits
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(radix))
        .try_fold(0u64, |sum, digit| {
            sum.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
        });
    match value {
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
        None => u64::MAX,
    }
}
