//! Which types can be sorted, and which at least be compared for equality: ORDER BY, DISTINCT, GROUP BY, UNION, IN.

use super::type_facts::Types;
use crate::builtin::{self, CastContext, CastMethod, TypeKind, hashable_types, sortable_types};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The type has an order (a default btree operator class).
#[must_use]
pub fn is_sortable(types: Types<'_>, oid: Oid) -> bool {
    has_class(types, oid, sortable_types())
}

/// The type has an equality operator that hashing may use.
#[must_use]
pub fn is_hashable(types: Types<'_>, oid: Oid) -> bool {
    has_class(types, oid, hashable_types())
}

/// Refuses a type without an order.
///
/// # Errors
/// 42883, as `ORDER BY` reports it.
pub fn require_ordering(types: Types<'_>, oid: Oid) -> Result<(), SqlError> {
    if is_sortable(types, oid) {
        return Ok(());
    }
    let message = format!("could not identify an ordering operator for type {}", types.format(oid));
    Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
        .with_hint("Use an explicit ordering operator or modify the query."))
}

/// Refuses a type without equality.
///
/// # Errors
/// 42883, as `DISTINCT`, `GROUP BY` and `UNION` report it.
pub fn require_equality(types: Types<'_>, oid: Oid) -> Result<(), SqlError> {
    if is_sortable(types, oid) || is_hashable(types, oid) {
        return Ok(());
    }
    let message = format!("could not identify an equality operator for type {}", types.format(oid));
    Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message))
}

fn has_class(types: Types<'_>, oid: Oid, classes: &[Oid]) -> bool {
    let base = types.base(oid);
    let has = |oid: Oid| classes.binary_search(&oid).is_ok();
    if has(base) {
        return true;
    }
    if let Some(element) = types.element(base) {
        return has(Oid::ANYARRAY) && has_class(types, element, classes);
    }
    match types.info(base).map(|info| info.kind) {
        Some(TypeKind::Enum) => has(Oid::ANYENUM),
        Some(TypeKind::Range) => has(Oid::ANYRANGE),
        Some(TypeKind::Multirange) => has(Oid::ANYMULTIRANGE),
        Some(TypeKind::Composite) => has(Oid::RECORD),
        Some(TypeKind::Base) => classes.iter().any(|class| is_binary_coercible(base, *class)),
        Some(TypeKind::Domain | TypeKind::Pseudo) | None => false,
    }
}

fn is_binary_coercible(source: Oid, target: Oid) -> bool {
    builtin::cast(source, target).is_some_and(|cast| {
        cast.method == CastMethod::Binary && cast.context == CastContext::Implicit
    })
}
