//! Reading and writing the primitives of the wire: variable-length integers, fixed arrays, delimited bytes.
//!
//! Integers are LEB128, seven bits to a byte, low bits first, at most ten bytes. A [`Reader`] never reads past its
//! input and never allocates by a length that the input only claims.

use bytes::{Buf, BufMut, Bytes};

use crate::types::{DbVersion, SiteId};

/// Why bytes from a peer were refused. The frame or datagram has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends within a value.
    #[error("input ends within a value")]
    Truncated,
    /// Bytes follow the last value.
    #[error("unexpected bytes after the last value")]
    Trailing,
    /// A number is out of its range.
    #[error("number out of range")]
    Number,
    /// A length or count is above its limit.
    #[error("length above its limit")]
    TooLong,
    /// An unknown kind of frame, datagram or state.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// A text is not what it should be.
    #[error("malformed text")]
    Text,
}

/// Takes values off the front of some bytes.
pub(super) struct Reader(Bytes);

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.0.try_get_u8().map_err(|_short| DecodeError::Truncated)
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Number)
    }

    /// A count or length that must not be above `max`.
    pub(super) fn length(&mut self, max: usize) -> Result<usize, DecodeError> {
        let value = usize::try_from(self.varint()?).map_err(|_wide| DecodeError::TooLong)?;
        if value > max { Err(DecodeError::TooLong) } else { Ok(value) }
    }

    /// A number of at most 32 bits.
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_wide| DecodeError::Number)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.0.try_get_u64().map_err(|_short| DecodeError::Truncated)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        self.0.try_copy_to_slice(&mut array).map_err(|_short| DecodeError::Truncated)?;
        Ok(array)
    }

    pub(super) fn site(&mut self) -> Result<SiteId, DecodeError> {
        self.array().map(SiteId)
    }

    pub(super) fn version(&mut self) -> Result<DbVersion, DecodeError> {
        self.varint().map(DbVersion)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.0.len() {
            Err(DecodeError::Truncated)
        } else {
            Ok(self.0.split_to(length))
        }
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

/// Appends a number in at most ten bytes.
pub(super) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    loop {
        let bits = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.put_u8(bits);
        }
        out.put_u8(bits | 0x80);
    }
}

/// Bytes that [`put_varint`] takes for `value`.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a length.
pub(super) fn put_length(out: &mut impl BufMut, length: usize) {
    put_varint(out, length as u64);
}

/// Takes whole length-prefixed frames off the front of what has arrived on a lane.
///
/// Returns `None` when the next frame is not complete; `buffer` is then unchanged.
///
/// # Errors
/// [`DecodeError::TooLong`] when the next frame claims more than
/// [`FRAME_BYTES_MAX`](super::FRAME_BYTES_MAX) bytes; the lane is beyond repair.
pub fn split_frame(buffer: &mut bytes::BytesMut) -> Result<Option<Bytes>, DecodeError> {
    let mut length = 0_usize;
    for (index, byte) in buffer.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 != 0 {
            continue;
        }
        if length > super::FRAME_BYTES_MAX {
            return Err(DecodeError::TooLong);
        }
        let header = index + 1;
        if buffer.len() < header + length {
            return Ok(None);
        }
        buffer.advance(header);
        return Ok(Some(buffer.split_to(length).freeze()));
    }
    if buffer.len() < 4 { Ok(None) } else { Err(DecodeError::TooLong) }
}
