//! SQLite's constraint messages in PostgreSQL's words.
//!
//! | SQLite's message | where the names come from |
//! |---|---|
//! | `UNIQUE constraint failed: t.a, t.b` | physical table and columns, matched to a key or unique index |
//! | `UNIQUE constraint failed: index 'i'` | physical name of an index over expressions |
//! | `CHECK constraint failed: n17`, `c23` | ids (see `table_sql`); `n` is a NOT NULL |
//! | `NOT NULL constraint failed: t.a` | a key column |
//! | `FOREIGN KEY constraint failed` (also as a trigger's error) | nothing: the engine finds the violated key and calls [`foreign_key_error`] |

use super::catalog::{Catalog, ForeignKey, Table};
use super::lookup::Relation;
use super::physical;
use crate::error::{ErrorObject, SqlError, SqlState};

/// A key that was violated: what the engine may look values up for.
#[derive(Clone, Debug, PartialEq)]
pub struct ViolatedKey<'a> {
    /// The table.
    pub table: &'a Table,
    /// Attribute numbers of the key.
    pub columns: Vec<i16>,
}

/// `SQLITE_CONSTRAINT_CHECK`.
const CHECK: i32 = 275;
/// `SQLITE_CONSTRAINT_FOREIGNKEY`.
const FOREIGN_KEY: i32 = 787;
/// `SQLITE_CONSTRAINT_TRIGGER`: what SQLite says of `ON DELETE RESTRICT`, which it carries out by one.
const TRIGGER: i32 = 1811;
/// `SQLITE_CONSTRAINT_NOTNULL`.
const NOT_NULL: i32 = 1299;
/// `SQLITE_CONSTRAINT_PRIMARYKEY`, `SQLITE_CONSTRAINT_UNIQUE`, `SQLITE_CONSTRAINT_ROWID`.
const UNIQUE: [i32; 3] = [1555, 2067, 2579];

/// Words an error of SQLite's class `SQLITE_CONSTRAINT` as PostgreSQL does, without the values of a violated key.
#[must_use]
pub fn constraint_error(message: &str, extended_code: i32, catalog: &Catalog) -> SqlError {
    constraint_error_with_values(message, extended_code, catalog, &mut |_| None)
}

/// Words an error of SQLite's class `SQLITE_CONSTRAINT` as PostgreSQL does; `message` is SQLite's.
///
/// `values` is asked for the text forms of a violated key's values, for the detail; it may answer `None`.
#[must_use]
pub fn constraint_error_with_values(
    message: &str,
    extended_code: i32,
    catalog: &Catalog,
    values: &mut dyn FnMut(&ViolatedKey<'_>) -> Option<Vec<String>>,
) -> SqlError {
    let names = message.split_once("constraint failed: ").map_or("", |(_, names)| names);
    let known = match extended_code {
        code if UNIQUE.contains(&code) => unique_error(names, catalog, values),
        NOT_NULL => not_null_of_key(names, catalog),
        CHECK => check_error(names, catalog),
        FOREIGN_KEY | TRIGGER => {
            let message = "a foreign key constraint is violated";
            Some(SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message))
        }
        _ => None,
    };
    known.unwrap_or_else(|| SqlError::new(SqlState::INTEGRITY_CONSTRAINT_VIOLATION, message))
}

/// The names that an error reports.
fn object(catalog: &Catalog, table: &Table) -> ErrorObject {
    ErrorObject {
        schema: Some(catalog.namespace_name(table.namespace).to_owned()),
        table: Some(table.name.clone()),
        ..ErrorObject::default()
    }
}

fn unique_error(
    columns: &str,
    catalog: &Catalog,
    values: &mut dyn FnMut(&ViolatedKey<'_>) -> Option<Vec<String>>,
) -> Option<SqlError> {
    let (table, constraint, attnums) = match index_of_message(columns) {
        Some(index) => index_by_physical_name(catalog, index)?,
        None => key_by_columns(catalog, columns)?,
    };
    let message = format!("duplicate key value violates unique constraint \"{constraint}\"");
    let mut error = SqlError::new(SqlState::UNIQUE_VIOLATION, message);
    error.object =
        Box::new(ErrorObject { constraint: Some(constraint.to_owned()), ..object(catalog, table) });
    let names: Vec<_> = attnums
        .iter()
        .filter_map(|attnum| table.column(*attnum))
        .map(|column| crate::builtin::quote_identifier(&column.name))
        .collect();
    let key = ViolatedKey { table, columns: attnums };
    if let Some(values) = values(&key).filter(|it| it.len() == names.len() && !it.is_empty()) {
        let (names, values) = (names.join(", "), values.join(", "));
        error.detail = Some(format!("Key ({names})=({values}) already exists."));
    }
    Some(error)
}

/// The index that a message names in place of columns.
fn index_of_message(columns: &str) -> Option<&str> {
    columns.strip_prefix("index '")?.strip_suffix('\'')
}

fn index_by_physical_name<'a>(
    catalog: &'a Catalog,
    name: &str,
) -> Option<(&'a Table, &'a str, Vec<i16>)> {
    catalog.tables.values().find_map(|table| {
        let schema = catalog.namespace_name(table.namespace);
        let schema = Some(schema).filter(|it| !matches!(*it, "" | "public" | "pg_temp"));
        let index = table
            .indexes
            .iter()
            .find(|index| physical::relation_name(schema, &index.name) == name)?;
        Some((table, index.name.as_str(), Vec::new()))
    })
}

/// The key that `t.a, t.b` stands for.
fn key_by_columns<'a>(
    catalog: &'a Catalog,
    columns: &str,
) -> Option<(&'a Table, &'a str, Vec<i16>)> {
    // Names are not quoted in the message, and both parts may hold dots: try every table that fits.
    let (first, _) = columns.split_once(", ").unwrap_or((columns, ""));
    let fitting = catalog.tables.values().filter_map(|table| {
        let rest = first.strip_prefix(table.physical_name.as_str())?.strip_prefix('.')?;
        table.columns.iter().any(|it| it.physical_name == rest).then_some(table)
    });
    let mut fitting: Vec<_> = fitting.collect();
    fitting.sort_by_key(|table| table.database() != "temp");
    fitting.into_iter().find_map(|table| {
        let prefix = format!("{}.", table.physical_name);
        let attnums: Option<Vec<i16>> = columns
            .split(", ")
            .map(|column| {
                let name = column.strip_prefix(&prefix)?;
                table.columns.iter().find(|it| it.physical_name == name).map(|it| it.attnum)
            })
            .collect();
        let attnums = attnums?;
        let unique = table.uniques.iter().find(|unique| unique.columns == attnums);
        let index = table.indexes.iter().find(|index| {
            index.unique && index.keys.iter().map(|key| key.attnum).eq(attnums.iter().copied())
        });
        let name = unique.map(|it| &it.name).or(index.map(|it| &it.name))?;
        Some((table, name.as_str(), attnums))
    })
}

fn not_null_of_key(column: &str, catalog: &Catalog) -> Option<SqlError> {
    catalog.tables.values().find_map(|table| {
        let name = column.strip_prefix(table.physical_name.as_str())?.strip_prefix('.')?;
        let column = table.columns.iter().find(|it| it.physical_name == name)?;
        Some(not_null_error(catalog, table, &column.name))
    })
}

/// 23502: a NULL in a column that must not have one.
#[must_use]
pub fn not_null_error(catalog: &Catalog, table: &Table, column: &str) -> SqlError {
    let message = format!(
        "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
        table.name
    );
    let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
    error.object =
        Box::new(ErrorObject { column: Some(column.to_owned()), ..object(catalog, table) });
    error
}

fn check_error(name: &str, catalog: &Catalog) -> Option<SqlError> {
    let id: i64 = name.get(1..)?.parse().ok()?;
    if name.starts_with('n') {
        return catalog.tables.values().find_map(|table| {
            let column = table.columns.iter().find(|column| column.id.0 == id)?;
            Some(not_null_error(catalog, table, &column.name))
        });
    }
    catalog.tables.values().find_map(|table| {
        let check = table.checks.iter().find(|check| check.id.0 == id)?;
        Some(check_violation(catalog, table, &check.name))
    })
}

/// 23514: a row that a CHECK of its table forbids.
#[must_use]
pub fn check_violation(catalog: &Catalog, table: &Table, constraint: &str) -> SqlError {
    let message = format!(
        "new row for relation \"{}\" violates check constraint \"{constraint}\"",
        table.name
    );
    let mut error = SqlError::new(SqlState::CHECK_VIOLATION, message);
    error.object =
        Box::new(ErrorObject { constraint: Some(constraint.to_owned()), ..object(catalog, table) });
    error
}

/// How a foreign key was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeySide {
    /// A referencing row has no referenced row.
    Referencing,
    /// A referenced row was deleted or changed under a referencing one.
    Referenced,
}

/// 23503 for a foreign key that the engine found violated; `values` are the key's, in text form.
#[must_use]
pub fn foreign_key_error(
    catalog: &Catalog,
    table: &Table,
    foreign: &ForeignKey,
    side: ForeignKeySide,
    values: Option<&[String]>,
) -> SqlError {
    let Some(Relation::Table(referenced)) = catalog.relation_by_oid(foreign.references) else {
        return SqlError::new(
            SqlState::FOREIGN_KEY_VIOLATION,
            "a foreign key constraint is violated",
        );
    };
    let (constraint, name) = (&foreign.name, &table.name);
    let names = |table: &Table, attnums: &[i16]| {
        let columns = attnums.iter().filter_map(|attnum| table.column(*attnum));
        let names = columns.map(|column| crate::builtin::quote_identifier(&column.name));
        names.collect::<Vec<_>>().join(", ")
    };
    let values = values.map(|values| values.join(", "));
    let (message, detail) = match side {
        ForeignKeySide::Referencing => (
            format!(
                "insert or update on table \"{name}\" violates foreign key constraint \"{constraint}\""
            ),
            values.map(|values| {
                let columns = names(table, &foreign.columns);
                format!(
                    "Key ({columns})=({values}) is not present in table \"{}\".",
                    referenced.name
                )
            }),
        ),
        ForeignKeySide::Referenced => (
            format!(
                "update or delete on table \"{}\" violates foreign key constraint \"{constraint}\" on table \"{name}\"",
                referenced.name
            ),
            values.map(|values| {
                let columns = names(referenced, &foreign.referenced_columns);
                format!("Key ({columns})=({values}) is still referenced from table \"{name}\".")
            }),
        ),
    };
    let mut error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message);
    error.detail = detail;
    error.object =
        Box::new(ErrorObject { constraint: Some(constraint.clone()), ..object(catalog, table) });
    error
}
