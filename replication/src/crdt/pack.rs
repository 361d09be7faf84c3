//! Packed primary keys: one byte string per key, byte-compatible with cr-sqlite's `crsql_pack_columns`.
//!
//! `[count: u8]`, then per value `[tag: u8][payload]`. The tag's low three bits are the type (1 integer, 2 real, 3 text,
//! 4 blob, 5 null); its high five bits say how many big-endian bytes of integer or length follow.
//!
//! | value | bytes after the count |
//! |---|---|
//! | 0 | `01` |
//! | 128 | `09 80` |
//! | -1 | `41 ff ff ff ff ff ff ff ff` |
//! | 1.5 | `02 3f f8 00 00 00 00 00 00` |
//! | 'a' | `0b 01 61` |
//! | x'' | `04` |
//! | NULL | `05` |
//!
//! Integers are the shortest form of the unsigned 64-bit pattern and are zero-extended on reading, never sign-extended.
//! Readers accept leading zero bytes, so [`unpack`] followed by [`pack`] gives the one canonical form; both a wrong count
//! and bytes after the last value are refused.
//!
//! Source: cr-sqlite 0.16.3 `pack_columns.rs`, and 43 values compared with the 0.17 extension.

use crate::types::{Value, ValueRef};

use super::bytes::{DecodeError, Reader};

/// Most values a packed key can hold.
pub const KEY_COLUMNS_MAX: usize = 255;

const TYPE_INTEGER: u8 = 1;
const TYPE_REAL: u8 = 2;
const TYPE_TEXT: u8 = 3;
const TYPE_BLOB: u8 = 4;
const TYPE_NULL: u8 = 5;

/// Builds a packed key value by value.
#[derive(Clone, Debug)]
pub struct PackedKey {
    /// Count, then the values so far.
    bytes: Vec<u8>,
}

impl Default for PackedKey {
    fn default() -> Self {
        Self { bytes: vec![0] }
    }
}

impl PackedKey {
    /// Appends `value`.
    ///
    /// # Panics
    /// If there are already [`KEY_COLUMNS_MAX`] values: table registration refuses such keys.
    pub fn push(&mut self, value: ValueRef<'_>) {
        let count = self.bytes.first_mut().expect("a packed key starts with its count");
        *count = count.checked_add(1).expect("at most KEY_COLUMNS_MAX values");
        match value {
            ValueRef::Null => self.bytes.push(TYPE_NULL),
            ValueRef::Integer(integer) => self.tagged(TYPE_INTEGER, integer.cast_unsigned()),
            ValueRef::Real(real) => {
                self.bytes.push(TYPE_REAL);
                self.bytes.extend_from_slice(&real.to_be_bytes());
            }
            ValueRef::Text(text) => {
                self.tagged(TYPE_TEXT, text.len() as u64);
                self.bytes.extend_from_slice(text.as_bytes());
            }
            ValueRef::Blob(blob) => {
                self.tagged(TYPE_BLOB, blob.len() as u64);
                self.bytes.extend_from_slice(blob);
            }
        }
    }

    /// The key so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished key.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Starts over, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.push(0);
    }

    /// Appends tag and shortest big-endian form of `number`.
    fn tagged(&mut self, kind: u8, number: u64) {
        let significant = 8 - (number.leading_zeros() / 8) as usize;
        self.bytes.push(kind | u8::try_from(significant).expect("at most 8") << 3);
        self.bytes.extend(number.to_be_bytes().iter().skip(8 - significant));
    }
}

/// Packs `values`, at most [`KEY_COLUMNS_MAX`] of them.
pub fn pack<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> Vec<u8> {
    let mut key = PackedKey::default();
    values.into_iter().for_each(|value| key.push(value));
    key.into_bytes()
}

/// Takes a packed key apart.
///
/// # Errors
/// If the bytes are not a packed key, or are followed by others.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = usize::from(reader.u8()?);
    // Each value takes at least one byte, so a short input cannot make us allocate more than itself.
    let mut values = Vec::with_capacity(count.min(reader.remaining()));
    for _ in 0..count {
        values.push(unpack_value(&mut reader)?);
    }
    if reader.is_empty() { Ok(values) } else { Err(DecodeError::Trailing) }
}

/// The value of a packed key that is one integer.
#[must_use]
pub fn unpack_integer(bytes: &[u8]) -> Option<i64> {
    let [1, tag, number @ ..] = bytes else { return None };
    if tag & 0x07 != TYPE_INTEGER || usize::from(tag >> 3) != number.len() || number.len() > 8 {
        return None;
    }
    let value = number.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    Some(value.cast_signed())
}

fn unpack_value(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let tag = reader.u8()?;
    let (kind, width) = (tag & 0x07, usize::from(tag >> 3));
    Ok(match kind {
        TYPE_INTEGER => Value::Integer(unpack_number(reader, width)?.cast_signed()),
        TYPE_REAL if width == 0 => Value::Real(f64::from_be_bytes(reader.array()?)),
        TYPE_TEXT => {
            let length = unpack_length(reader, width)?;
            let text = std::str::from_utf8(reader.take(length)?);
            Value::Text(text.map_err(|_invalid| DecodeError::Utf8)?.to_owned())
        }
        TYPE_BLOB => {
            let length = unpack_length(reader, width)?;
            Value::Blob(reader.take(length)?.to_owned())
        }
        TYPE_NULL if width == 0 => Value::Null,
        _ => return Err(DecodeError::Invalid("key tag")),
    })
}

fn unpack_number(reader: &mut Reader<'_>, width: usize) -> Result<u64, DecodeError> {
    if width > 8 {
        return Err(DecodeError::Bounds("integer width"));
    }
    let bytes = reader.take(width)?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn unpack_length(reader: &mut Reader<'_>, width: usize) -> Result<usize, DecodeError> {
    let length = unpack_number(reader, width)?;
    usize::try_from(length).map_err(|_too_large| DecodeError::Truncated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            (any::<i64>(), 0u32..64).prop_map(|(integer, shift)| Value::Integer(integer >> shift)),
            any::<f64>().prop_filter("never NaN", |real| !real.is_nan()).prop_map(Value::Real),
            any::<String>().prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        ]
    }

    proptest! {
        #[test]
        fn integers_are_told(value in any::<i64>(), more in any::<bool>()) {
            let values = [ValueRef::Integer(value), ValueRef::Null];
            let packed = pack(values.into_iter().take(1 + usize::from(more)));
            prop_assert_eq!(unpack_integer(&packed), (!more).then_some(value));
        }

        #[test]
        fn round_trips(values in proptest::collection::vec(value(), 0..8)) {
            let packed = pack(values.iter().map(Value::as_ref));
            prop_assert_eq!(unpack(&packed), Ok(values));
        }

        #[test]
        fn arbitrary_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _answer = unpack(&bytes);
        }
    }

    #[test]
    fn bytes_are_those_of_the_extension() {
        let values = [
            Value::Integer(1),
            Value::Text("a".into()),
            Value::Blob(vec![0]),
            Value::Null,
            Value::Real(1.5),
        ];
        let expected =
            [5, 0x09, 1, 0x0b, 1, b'a', 0x0c, 1, 0, 0x05, 0x02, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
        assert_eq!(pack(values.iter().map(Value::as_ref)), expected);
        assert_eq!(unpack(&[1, 0x09, 0x80]), Ok(vec![Value::Integer(128)]));
        assert_eq!(unpack(&[1, 0x11, 0x00, 0x80]), Ok(vec![Value::Integer(128)]));
        assert_eq!(
            unpack(&[1, 0x49, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(DecodeError::Bounds("integer width"))
        );
        assert_eq!(unpack(&[]), Err(DecodeError::Truncated));
    }
}
