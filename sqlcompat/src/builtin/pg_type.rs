//! Rows of `pg_type` and `pg_range`.

use super::PG_CATALOG;
use crate::oid::Oid;

/// `typtype`. Enums exist only as user types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A base type, arrays included.
    Base,
    /// A row type.
    Composite,
    /// A domain.
    Domain,
    /// An enum.
    Enum,
    /// A multirange.
    Multirange,
    /// A pseudo-type such as `anyelement`.
    Pseudo,
    /// A range.
    Range,
}

/// A row of `pg_type`.
#[derive(Debug)]
pub struct TypeRow {
    /// OID.
    pub oid: Oid,
    /// `typname`, for example `int4`, `_int4`.
    pub name: &'static str,
    /// OID of its schema.
    pub namespace: Oid,
    /// Relation that a row type belongs to, or 0.
    pub relation: Oid,
    /// `typlen`: size in bytes, -1 for varlena, -2 for C strings.
    pub len: i16,
    /// Passed by value.
    pub by_value: bool,
    /// What sort of type it is.
    pub kind: TypeKind,
    /// `typcategory`, for example `b'N'`.
    pub category: u8,
    /// Preferred within its category.
    pub preferred: bool,
    /// Delimiter of elements in the text form of its arrays.
    pub delimiter: u8,
    /// Subscripted as an array: `element` is what its array consists of. `name` and `point` have an element but are none.
    pub true_array: bool,
    /// `typelem`, or 0.
    pub element: Oid,
    /// The array type over it, or 0.
    pub array: Oid,
    /// Base type of a domain, or 0.
    pub base: Oid,
    /// Type modifier that a domain puts on its base type, or -1.
    pub base_typmod: i32,
    /// Collation, or 0 for a type without.
    pub collation: Oid,
    /// Input function.
    pub input: &'static str,
    /// Output function.
    pub output: &'static str,
    /// Binary input function, empty for none.
    pub receive: &'static str,
    /// Binary output function, empty for none.
    pub send: &'static str,
    /// Type modifier input function, empty for types without modifiers.
    pub typmod_input: &'static str,
}

/// A row of `pg_range`.
#[derive(Debug)]
pub struct RangeRow {
    /// The range type.
    pub range: Oid,
    /// Type of its bounds.
    pub subtype: Oid,
    /// The multirange over it.
    pub multirange: Oid,
}

include!(concat!(env!("OUT_DIR"), "/types.rs"));
include!(concat!(env!("OUT_DIR"), "/ranges.rs"));

/// All types, by OID.
#[must_use]
pub fn types() -> &'static [TypeRow] {
    &TYPES
}

/// The type with this OID.
#[must_use]
pub fn type_by_oid(oid: Oid) -> Option<&'static TypeRow> {
    TYPES.binary_search_by_key(&oid, |row| row.oid).ok().map(|at| &TYPES[at])
}

/// The type of `pg_catalog` with this `typname`.
#[must_use]
pub fn type_by_name(name: &str) -> Option<&'static TypeRow> {
    type_in_namespace(PG_CATALOG, name)
}

/// The type with this `typname` in a built-in schema.
#[must_use]
pub fn type_in_namespace(namespace: Oid, name: &str) -> Option<&'static TypeRow> {
    let row = |at: &u16| &TYPES[usize::from(*at)];
    let found =
        BY_NAME.binary_search_by(|at| (row(at).name, row(at).namespace).cmp(&(name, namespace)));
    found.ok().map(|at| row(&BY_NAME[at]))
}

/// The range type with this OID.
#[must_use]
pub fn range(oid: Oid) -> Option<&'static RangeRow> {
    RANGES.iter().find(|row| row.range == oid)
}

/// The range type under a multirange type.
#[must_use]
pub fn range_of_multirange(oid: Oid) -> Option<&'static RangeRow> {
    RANGES.iter().find(|row| row.multirange == oid)
}
