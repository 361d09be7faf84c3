//! Varints and a reader that checks every length before it uses it.
//!
//! Unsigned integers are LEB128: seven bits a byte, least significant first, high bit set on all but the last. Only the
//! shortest form is read, so that equal values have equal bytes. Signed ones are zigzagged first (0, -1, 1, -2 … become
//! 0, 1, 2, 3 …).

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("truncated")]
    Truncated,
    /// A value does not fit its type, or is not in its shortest form.
    #[error("malformed integer")]
    Integer,
    /// Text is not UTF-8.
    #[error("text is not valid UTF-8")]
    Utf8,
    /// A length or count is beyond its bound.
    #[error("{0} out of bounds")]
    Bounds(&'static str),
    /// A tag or reference that has no meaning here.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// Bytes are left over after the last value.
    #[error("trailing bytes")]
    Trailing,
}

/// Appends `value` as a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Maps a signed integer to an unsigned one that is small when the magnitude is.
#[must_use]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
#[must_use]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Appends a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads values off the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// What has not been read yet.
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Number of bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next varint.
    ///
    /// # Errors
    /// [`DecodeError::Integer`] if it is longer than needed or above 64 bits.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Integer);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(DecodeError::Integer) } else { Ok(value) };
            }
        }
        Err(DecodeError::Integer)
    }

    /// The next varint as a `u32`.
    ///
    /// # Errors
    /// [`DecodeError::Integer`] if it does not fit.
    pub fn varint_u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_too_large| DecodeError::Integer)
    }

    /// The next varint as a length or count of at most `max`.
    ///
    /// # Errors
    /// [`DecodeError::Bounds`] naming `what` if it is larger.
    pub fn count(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(DecodeError::Bounds(what)),
        }
    }

    /// The next length and that many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer bytes than the length says.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length =
            usize::try_from(self.varint()?).map_err(|_too_large| DecodeError::Truncated)?;
        self.take(length)
    }

    /// Like [`Self::bytes`], as text.
    ///
    /// # Errors
    /// [`DecodeError::Utf8`] if the bytes are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_invalid| DecodeError::Utf8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn varint_round_trips(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.remaining(), 0);
            prop_assert_eq!(unzigzag(zigzag(value.cast_signed())), value.cast_signed());
        }
    }

    #[test]
    fn longer_than_needed_is_refused() {
        assert_eq!(Reader::new(&[0x80, 0x00]).varint(), Err(DecodeError::Integer));
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(DecodeError::Integer));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(DecodeError::Truncated));
    }
}
