//! How a PostgreSQL type is stored: SQLite column type and collation (see `crate::datum` for the forms themselves).

use super::catalog::{Catalog, UserType};
use super::physical::quote;
use crate::builtin::{self, TypeKind};
use crate::oid::Oid;
use crate::types::array::StorageClass;
use crate::types::family::Family;

/// SQLite's side of a column type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageForm {
    /// Type name in a STRICT table.
    pub sqlite_type: &'static str,
    /// Collation that gives PostgreSQL's order, if byte order does not.
    pub collation: Option<String>,
}

/// The storage form of a type; domains are stored as their base type.
#[must_use]
pub fn storage_form(catalog: &Catalog, oid: Oid) -> StorageForm {
    let (base, _) = catalog.base_type(oid, -1);
    if let Some((user_type, is_array)) = catalog.type_by_oid(base) {
        // Labels are kept and compared by their bytes: the order of an enum changes with its labels, and a connection that
        // applies remote changes need not know it. Queries that order by an enum say so themselves.
        let collation = match (user_type, is_array) {
            (UserType::Composite(_), false) => Some("pg_record"),
            (UserType::Composite(_), true) => Some("pg_array_record"),
            (UserType::Enum(_) | UserType::Domain(_), true) => Some("pg_array"),
            (UserType::Enum(_) | UserType::Domain(_), false) => None,
            (UserType::Range(it), _) => Some(match (it.is_multirange(), is_array) {
                (false, false) => "pg_range",
                (true, false) => "pg_multirange",
                (false, true) => "pg_array_range",
                (true, true) => "pg_array_multirange",
            }),
        };
        return StorageForm { sqlite_type: "TEXT", collation: collation.map(str::to_owned) };
    }
    let is_builtin = builtin::type_by_oid(base).is_some();
    if !is_builtin && catalog.tables.values().any(|table| table.row_type_oid == base) {
        return StorageForm { sqlite_type: "TEXT", collation: Some("pg_record".to_owned()) };
    }
    let (sqlite_type, collation) = builtin_form(base);
    StorageForm { sqlite_type, collation: collation.map(str::to_owned) }
}

fn builtin_form(oid: Oid) -> (&'static str, Option<&'static str>) {
    match oid {
        Oid::BOOL | Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID | Oid::XID | Oid::CID => {
            ("INTEGER", None)
        }
        Oid::REGPROC
        | Oid::REGPROCEDURE
        | Oid::REGOPER
        | Oid::REGOPERATOR
        | Oid::REGCLASS
        | Oid::REGTYPE
        | Oid::REGCONFIG
        | Oid::REGDICTIONARY
        | Oid::REGNAMESPACE
        | Oid::REGROLE
        | Oid::REGCOLLATION => ("INTEGER", None),
        Oid::DATE | Oid::TIME | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => ("INTEGER", None),
        // NaN is text, which STRICT columns of type REAL refuse.
        Oid::FLOAT4 | Oid::FLOAT8 => ("ANY", None),
        Oid::BYTEA | Oid::UUID => ("BLOB", None),
        Oid::NUMERIC => ("TEXT", Some("pg_numeric")),
        Oid::BPCHAR => ("TEXT", Some("pg_bpchar")),
        Oid::TIMETZ => ("TEXT", Some("pg_timetz")),
        Oid::INTERVAL => ("TEXT", Some("pg_interval")),
        Oid::JSONB => ("TEXT", Some("pg_jsonb")),
        other => match Family::of(other) {
            Some(family) => (column_type(family.storage_class()), family.collation()),
            None => ("TEXT", builtin::type_by_oid(other).and_then(array_collation)),
        },
    }
}

fn column_type(class: StorageClass) -> &'static str {
    match class {
        StorageClass::Integer => "INTEGER",
        StorageClass::Real => "ANY",
        StorageClass::Text => "TEXT",
        StorageClass::Blob => "BLOB",
    }
}

/// Collation of an array type, by how its elements compare.
fn array_collation(row: &'static builtin::TypeRow) -> Option<&'static str> {
    if !row.name.starts_with('_') {
        return None;
    }
    Some(match builtin_form(row.element).1 {
        Some("pg_numeric") => "pg_array_numeric",
        Some("pg_interval") => "pg_array_interval",
        Some("pg_jsonb") => "pg_array_jsonb",
        Some("pg_bpchar") => "pg_array_bpchar",
        Some("pg_range") => "pg_array_range",
        Some("pg_multirange") => "pg_array_multirange",
        Some(_) | None => "pg_array",
    })
}

/// The collation of a built-in type, of `record`, or of an array over a user's type, which `anyarray` stands for: what orders
/// it wherever it is stored.
#[must_use]
pub(crate) fn builtin_collation(oid: Oid) -> Option<&'static str> {
    match oid {
        Oid::RECORD => Some("pg_record"),
        Oid::ANYARRAY => Some("pg_array"),
        other => builtin_form(other).1,
    }
}

/// Whether no column may have the type.
#[must_use]
pub(super) fn is_pseudo_type(oid: Oid) -> bool {
    builtin::type_by_oid(oid).is_some_and(|row| row.kind == TypeKind::Pseudo)
}

/// Whether values of the type can have a collation.
#[must_use]
pub(super) fn is_collatable(oid: Oid) -> bool {
    builtin::type_by_oid(oid).is_some_and(|row| row.collation != Oid(0))
}

impl StorageForm {
    /// Type and collation as a column definition has them.
    #[must_use]
    pub fn declaration(&self) -> String {
        match &self.collation {
            Some(collation) => format!("{} COLLATE {}", self.sqlite_type, quote(collation)),
            None => self.sqlite_type.to_owned(),
        }
    }
}
