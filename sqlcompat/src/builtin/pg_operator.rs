//! Rows of `pg_operator`, and the types with a default btree or hash operator class.

use crate::oid::Oid;

/// A row of `pg_operator`.
#[derive(Debug)]
pub struct OperatorRow {
    /// OID.
    pub oid: Oid,
    /// `oprname`.
    pub name: &'static str,
    /// Type of the left operand, 0 for a prefix operator.
    pub left: Oid,
    /// Type of the right operand.
    pub right: Oid,
    /// Result type.
    pub result: Oid,
    /// The function that computes it.
    pub function: Oid,
    /// `a op b = b commutator a`, or 0.
    pub commutator: Oid,
    /// `a op b = NOT (a negator b)`, or 0.
    pub negator: Oid,
}

include!(concat!(env!("OUT_DIR"), "/operators.rs"));
include!(concat!(env!("OUT_DIR"), "/ordering.rs"));

/// All operators, by name and OID.
#[must_use]
pub fn operators() -> &'static [OperatorRow] {
    &OPERATORS
}

/// The operators with this name, by OID.
#[must_use]
pub fn operators_by_name(name: &str) -> &'static [OperatorRow] {
    let start = OPERATORS.partition_point(|row| row.name < name);
    let count = OPERATORS[start..].partition_point(|row| row.name == name);
    &OPERATORS[start..start + count]
}

/// The operator with this OID.
#[must_use]
pub fn operator_by_oid(oid: Oid) -> Option<&'static OperatorRow> {
    let row = |at: &u16| &OPERATORS[usize::from(*at)];
    BY_OID.binary_search_by_key(&oid, |at| row(at).oid).ok().map(|at| row(&BY_OID[at]))
}

/// Input types of the default btree operator classes, sorted; polymorphic ones (`anyarray`, `anyenum`, …) included.
#[must_use]
pub fn sortable_types() -> &'static [Oid] {
    &BTREE
}

/// Input types of the default hash operator classes, sorted; polymorphic ones included.
#[must_use]
pub fn hashable_types() -> &'static [Oid] {
    &HASH
}
