//! The order of values that breaks ties between equal versions.

use std::cmp::Ordering;

use crate::types::ValueRef;

/// Compares by storage class first, `NULL < BLOB < TEXT < REAL < INTEGER`, then by value; bytes and text bytewise.
///
/// Any integer beats any real: 0 beats 2.5. Reals are never NaN; -0.0 and 0.0 compare by their bits so that the order is
/// total and replicas end up with the same one.
///
/// Source: cr-sqlite 0.17, measured as the complete matrix of value pairs.
#[must_use]
pub fn compare_values(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    match (left, right) {
        (ValueRef::Integer(left), ValueRef::Integer(right)) => left.cmp(&right),
        (ValueRef::Real(left), ValueRef::Real(right)) => left.total_cmp(&right),
        (ValueRef::Text(left), ValueRef::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (ValueRef::Blob(left), ValueRef::Blob(right)) => left.cmp(right),
        (left, right) => rank(left).cmp(&rank(right)),
    }
}

/// Place of the value's storage class in the order.
fn rank(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Blob(_) => 1,
        ValueRef::Text(_) => 2,
        ValueRef::Real(_) => 3,
        ValueRef::Integer(_) => 4,
    }
}
