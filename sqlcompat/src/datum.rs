//! A value in its storage form: what a PostgreSQL value looks like inside SQLite.
//!
//! | PostgreSQL | storage form |
//! |---|---|
//! | bool | `Integer` 0 or 1 |
//! | int2, int4, int8, oid and the reg* types | `Integer` |
//! | float4, float8 | `Real`; NaN is `Text("NaN")`, which SQLite orders above every number, as PostgreSQL does |
//! | numeric | `Text`, PostgreSQL's own output form with its scale; compared with collation `pg_numeric` |
//! | text, varchar, name, "char", json | `Text` |
//! | bpchar | `Text`, padded to its length; compared with collation `pg_bpchar` |
//! | bytea | `Blob` |
//! | uuid | `Blob` of 16 bytes |
//! | date | `Integer` days since 2000-01-01; infinities are `i32::MIN` and `i32::MAX` |
//! | time | `Integer` microseconds since midnight |
//! | timetz | `Text`, canonical; collation `pg_timetz` |
//! | timestamp, timestamptz | `Integer` microseconds since 2000-01-01 00:00 (UTC); infinities are `i64::MIN` and `i64::MAX` |
//! | interval | `Text` `"months days microseconds"`; compared with collation `pg_interval` |
//! | jsonb | `Text`, PostgreSQL's canonical output; compared with collation `pg_jsonb` |
//! | arrays | `Text`, a JSON array of the elements' storage forms (nested per dimension); blobs as hex strings; collation `pg_array` |
//! | enum | `Text`, the label; compared with collation `pg_enum_<oid>` |
//! | domain | as its base type |
//! | composite types | `Text`, a JSON array of the fields' storage forms, with the type where that does not order by itself ([`crate::types::record`]); collation `pg_record` |
//! | record | `Text`, a JSON array of one object per field: type OID to storage form |
//! | inet, cidr | `Blob`: family, network, netmask length, address ([`crate::types::network`]) |
//! | macaddr, macaddr8 | `Blob` of 6 or 8 bytes |
//! | bit, varbit | `Text` of the digits 0 and 1 |
//! | money | `Integer` cents |
//! | xid8, pg_lsn, tid | `Blob` of the number, big end first |
//! | ranges, multiranges | `Text`, as PostgreSQL writes them but with bounds in storage form; collation `pg_range`, `pg_multirange` |

/// An owned value in storage form.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// SQL NULL.
    Null,
    /// Integer storage.
    Integer(i64),
    /// Floating-point storage; never NaN.
    Real(f64),
    /// Text storage.
    Text(String),
    /// Blob storage.
    Blob(Vec<u8>),
}

/// A borrowed value in storage form, as read from a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DatumRef<'a> {
    /// SQL NULL.
    Null,
    /// Integer storage.
    Integer(i64),
    /// Floating-point storage.
    Real(f64),
    /// Text storage.
    Text(&'a str),
    /// Blob storage.
    Blob(&'a [u8]),
}

impl Datum {
    /// Borrows the value.
    #[must_use]
    pub fn as_ref(&self) -> DatumRef<'_> {
        match self {
            Self::Null => DatumRef::Null,
            Self::Integer(integer) => DatumRef::Integer(*integer),
            Self::Real(real) => DatumRef::Real(*real),
            Self::Text(text) => DatumRef::Text(text),
            Self::Blob(blob) => DatumRef::Blob(blob),
        }
    }
}

impl DatumRef<'_> {
    /// Copies the value.
    #[must_use]
    pub fn to_datum(self) -> Datum {
        match self {
            Self::Null => Datum::Null,
            Self::Integer(integer) => Datum::Integer(integer),
            Self::Real(real) => Datum::Real(real),
            Self::Text(text) => Datum::Text(text.to_owned()),
            Self::Blob(blob) => Datum::Blob(blob.to_vec()),
        }
    }
}
