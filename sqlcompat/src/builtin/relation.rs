//! The relations of `pg_catalog` and `information_schema`, with their columns.

use crate::oid::Oid;

/// A system relation.
#[derive(Debug)]
pub struct RelationRow {
    /// OID.
    pub oid: Oid,
    /// `pg_catalog` or `information_schema`.
    pub schema: &'static str,
    /// Name.
    pub name: &'static str,
    /// A view, not a table.
    pub view: bool,
    /// Columns in attribute order, system columns not included.
    pub columns: &'static [ColumnRow],
}

/// A column of a system relation.
#[derive(Debug)]
pub struct ColumnRow {
    /// Attribute number.
    pub attnum: i16,
    /// Name.
    pub name: &'static str,
    /// Type.
    pub type_oid: Oid,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// NOT NULL.
    pub not_null: bool,
}

include!(concat!(env!("OUT_DIR"), "/relations.rs"));

/// All system relations, by name and schema.
#[must_use]
pub fn relations() -> &'static [RelationRow] {
    &RELATIONS
}

/// The system relation with this schema and name.
#[must_use]
pub fn relation(schema: &str, name: &str) -> Option<&'static RelationRow> {
    let found = RELATIONS.binary_search_by(|row| (row.name, row.schema).cmp(&(name, schema)));
    found.ok().map(|at| &RELATIONS[at])
}

/// The system relation with this OID.
#[must_use]
pub fn relation_by_oid(oid: Oid) -> Option<&'static RelationRow> {
    RELATIONS.iter().find(|row| row.oid == oid)
}
