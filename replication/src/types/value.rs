//! A value as SQLite stores it.

/// One stored value. Merge order between values is `crate::crdt`'s business, not an `Ord` of this type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// 64-bit integer.
    Integer(i64),
    /// Double; never NaN, which SQLite stores as NULL.
    Real(f64),
    /// UTF-8 text; may contain U+0000.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}
