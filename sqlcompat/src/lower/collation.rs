//! Which collation gives SQLite a type's order.

use crate::bind::resolve::Types;
use crate::builtin::TypeKind;
use crate::oid::Oid;
use crate::types::family::Family;

/// The collation of a type whose storage form does not order by itself; empty for all others.
#[must_use]
pub(super) fn collation(types: Types<'_>, type_oid: Oid) -> String {
    let base = types.base(type_oid);
    let fixed = match base {
        Oid::INT4 | Oid::TEXT | Oid::INT8 | Oid::BOOL | Oid::TIMESTAMPTZ | Oid::UUID => "",
        Oid::NUMERIC => "pg_numeric",
        Oid::BPCHAR => "pg_bpchar",
        Oid::TIMETZ => "pg_timetz",
        Oid::INTERVAL => "pg_interval",
        Oid::JSONB => "pg_jsonb",
        Oid::RECORD => "pg_record",
        _ => return derived(types, base),
    };
    fixed.to_owned()
}

fn derived(types: Types<'_>, base: Oid) -> String {
    if let Some(element) = types.element(base) {
        return match types.base(element) {
            Oid::NUMERIC => "pg_array_numeric",
            Oid::INTERVAL => "pg_array_interval",
            Oid::JSONB => "pg_array_jsonb",
            Oid::BPCHAR => "pg_array_bpchar",
            other => match Family::of(other).and_then(Family::collation) {
                Some("pg_range") => "pg_array_range",
                Some("pg_multirange") => "pg_array_multirange",
                Some(_) => "pg_array",
                None if types.is_composite(other) || other == Oid::RECORD => "pg_array_record",
                None => "pg_array",
            },
        }
        .to_owned();
    }
    if let Some(family) = Family::of(base) {
        return family.collation().unwrap_or_default().to_owned();
    }
    match types.info(base).map(|info| info.kind) {
        Some(TypeKind::Enum) => format!("pg_enum_{base}"),
        Some(TypeKind::Composite) => "pg_record".to_owned(),
        Some(
            TypeKind::Base
            | TypeKind::Domain
            | TypeKind::Range
            | TypeKind::Multirange
            | TypeKind::Pseudo,
        )
        | None => String::new(),
    }
}
