//! `SET CONSTRAINTS`.
//!
//! SQLite checks a foreign key at the end of each statement, or at commit if it is declared so. `DEFERRED` therefore has
//! nothing to do where all that it names is deferred from the beginning; `IMMEDIATE` checks what is deferred, once.
//!
//! # Left out
//! Deferring what is `INITIALLY IMMEDIATE`: 0A000. After `IMMEDIATE`, later statements are checked at commit again.

use super::ast::ObjectName;
use crate::bind::BindContext;
use crate::error::{SqlError, SqlState};
use crate::plan::SessionStatement;
use crate::schema::{ForeignKey, Table};

/// Plans a `SET CONSTRAINTS`; no names are all constraints.
pub(super) fn plan(
    names: &[ObjectName],
    deferred: bool,
    cx: &BindContext<'_>,
) -> Result<SessionStatement, SqlError> {
    let all = || {
        let tables = cx.catalog.tables.values();
        tables.flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)))
    };
    let mut chosen: Vec<(&Table, &ForeignKey)> = Vec::new();
    for name in names {
        let named = all().filter(|(table, key)| key.name == name.name && is_in(table, name, cx));
        let named: Vec<_> = named.collect();
        if named.is_empty() {
            match missing(name, cx) {
                error if deferred || error.state == SqlState::UNDEFINED_OBJECT => {
                    return Err(error);
                }
                _ => continue,
            }
        }
        let fixed = named.iter().find(|(_, key)| !key.deferrable.0);
        if let (Some((_, key)), true) = (fixed, deferred) {
            return Err(not_deferrable(&key.name));
        }
        chosen.extend(named);
    }
    if names.is_empty() {
        chosen = all().filter(|(_, key)| key.deferrable.0).collect();
    }
    if !deferred {
        let mut tables: Vec<_> = chosen.iter().map(|(table, _)| table.oid).collect();
        tables.dedup();
        return Ok(SessionStatement::CheckConstraints(tables));
    }
    if chosen.iter().any(|(_, key)| !key.deferrable.1) {
        return Err(SqlError::unsupported("deferring a constraint that is INITIALLY IMMEDIATE"));
    }
    Ok(SessionStatement::DeferConstraints)
}

/// Whether a table is in the schema that a name gives, or in the search path.
fn is_in(table: &Table, name: &ObjectName, cx: &BindContext<'_>) -> bool {
    let schema = cx.catalog.namespace_name(table.namespace);
    match &name.schema {
        Some(wanted) => wanted == schema,
        None => cx.search_path.iter().any(|it| it == schema),
    }
}

fn not_deferrable(name: &str) -> SqlError {
    let message = format!("constraint \"{name}\" is not deferrable");
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}

/// Why a name is no foreign key: it is another constraint, or none.
fn missing(name: &ObjectName, cx: &BindContext<'_>) -> SqlError {
    let mut tables = cx.catalog.tables.values().filter(|table| is_in(table, name, cx));
    let other = tables.any(|table| {
        table.uniques.iter().any(|it| it.name == name.name)
            || table.checks.iter().any(|it| it.name == name.name)
    });
    if other {
        return not_deferrable(&name.name);
    }
    let message = format!("constraint \"{}\" does not exist", name.name);
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}
