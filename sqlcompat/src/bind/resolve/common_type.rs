//! The one type of several values: UNION, CASE, COALESCE, VALUES, ARRAY, GREATEST, IN (manual page `typeconv-union-case`).

use super::coercion::can_coerce;
use super::type_facts::Types;
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The type that all values become; text where all are unknown.
///
/// `construct` is how the error names them: `UNION`, `CASE`, `COALESCE`, `VALUES`, `ARRAY`, `GREATEST`, `IN`, …
///
/// # Errors
/// 42804 where two types are of different categories.
pub fn select_common_type(
    types: Types<'_>,
    found: &[Oid],
    construct: &str,
) -> Result<Oid, SqlError> {
    common_type(types, found).map_err(|(one, other)| {
        let (one, other) = (types.format(one), types.format(other));
        let message = format!("{construct} types {one} and {other} cannot be matched");
        SqlError::new(SqlState::DATATYPE_MISMATCH, message)
    })
}

/// The type modifier of the common type: kept where all values have that type and that modifier, else -1.
#[must_use]
pub fn select_common_typmod(common: Oid, found: &[(Oid, i32)]) -> i32 {
    let first = found.first().map_or(-1, |(_, typmod)| *typmod);
    let same = found.iter().all(|(oid, typmod)| *oid == common && *typmod == first);
    if same { first } else { -1 }
}

/// The common type of types that are known, or `None`.
pub(super) fn common_type_of_known(types: Types<'_>, found: &[Oid]) -> Option<Oid> {
    common_type(types, found).ok()
}

/// The common type, or the first two types that do not go together.
fn common_type(types: Types<'_>, found: &[Oid]) -> Result<Oid, (Oid, Oid)> {
    let first = found.first().copied().unwrap_or(Oid::UNKNOWN);
    if first != Oid::UNKNOWN && found.iter().all(|oid| *oid == first) {
        return Ok(first);
    }
    let mut chosen = types.base(first);
    for &next in found.iter().skip(1) {
        let next = types.base(next);
        if next == Oid::UNKNOWN || next == chosen {
            continue;
        }
        if chosen == Oid::UNKNOWN {
            chosen = next;
        } else if types.category(next) != types.category(chosen) {
            return Err((chosen, next));
        } else if widens(types, chosen, next) {
            chosen = next;
        }
    }
    Ok(if chosen == Oid::UNKNOWN { Oid::TEXT } else { chosen })
}

/// `to` takes over from `from`: values go that way implicitly and not back, and `from` is not preferred.
fn widens(types: Types<'_>, from: Oid, to: Oid) -> bool {
    !types.is_preferred(from)
        && can_coerce(types, &[from], &[to], CastContext::Implicit)
        && !can_coerce(types, &[to], &[from], CastContext::Implicit)
}
