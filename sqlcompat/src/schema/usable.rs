//! What the schema says but cannot be carried out, and is left out.
//!
//! A statement makes nothing that cannot be. But of two statements on two nodes each may be right by itself: one makes a
//! CHECK over a column, the other changes that column's type, so that the condition means nothing any more. The rows of both
//! are on all nodes, and applying them must not fail. So what cannot be carried out by the rest of the schema as it is is left
//! out of the catalog on all nodes alike, is listed by `trellis.conflicts`, can be dropped by its name, and is there again when
//! the reason goes away.
//!
//! | object | is left out |
//! |---|---|
//! | CHECK, index, generated column | if an expression of it cannot be bound |
//! | FOREIGN KEY | if no key of the referenced table has its columns, or their types do not compare |
//!
//! A column that the left-out ones name is gone for others (rule 2 of `link`).
//!
//! # Left out
//! Views are bound when they are read, and fail then. Defaults of columns are bound when a row is written.

use std::collections::BTreeMap;

use super::catalog::{Catalog, ColumnGeneration, ForeignKey, Table};
use super::change::expression;
use super::row::{ObjectId, SchemaRow};
use super::table_sql::{SchemaContext, index_statement};
use crate::bind::resolve::{Types, resolve_operator};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// What an object that is left out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableKind {
    /// A CHECK.
    Check,
    /// An index that serves no constraint.
    Index,
    /// A generated column.
    GeneratedColumn,
    /// A FOREIGN KEY.
    ForeignKey,
}

impl UnusableKind {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Index => "index",
            Self::GeneratedColumn => "generated column",
            Self::ForeignKey => "foreign key",
        }
    }
}

/// An object that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What it is.
    pub kind: UnusableKind,
    /// Its name.
    pub name: String,
    /// The table that it belongs to.
    pub table: ObjectId,
    /// Why it cannot be carried out.
    pub reason: SqlError,
}

impl Catalog {
    /// Links rows to a catalog.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = SchemaRow>) -> Self {
        let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        let mut unusable = BTreeMap::new();
        loop {
            let mut catalog = Self::link(&rows, &unusable);
            let before = unusable.len();
            // Without one object others may lack something; each round leaves out at least one more.
            catalog.tables.values().for_each(|table| find(&catalog, table, &mut unusable));
            if unusable.len() == before {
                (catalog.rows, catalog.unusable) = (rows, unusable);
                return catalog;
            }
        }
    }

    /// Links changed rows of this catalog anew. What could not be carried out is still left out, and the rest is not looked
    /// at: whoever changes the rows has seen to that.
    pub(super) fn relink(self) -> Self {
        let Self { rows, unusable, .. } = self;
        let mut catalog = Self::link(&rows, &unusable);
        (catalog.rows, catalog.unusable) = (rows, unusable);
        catalog
    }

    /// The object of one of these kinds that is left out under this name, of a table if one is given.
    pub(super) fn unusable_named(
        &self,
        kinds: &[UnusableKind],
        table: Option<ObjectId>,
        name: &str,
    ) -> Option<ObjectId> {
        let mut named = self.unusable.iter().filter(|(_, it)| it.name == name);
        let found = named.find(|(_, it)| {
            kinds.contains(&it.kind) && table.is_none_or(|table| it.table == table)
        });
        found.map(|(id, _)| *id)
    }
}

/// Finds what of a table cannot be carried out.
fn find(catalog: &Catalog, table: &Table, unusable: &mut BTreeMap<ObjectId, Unusable>) {
    let context = SchemaContext::new(catalog, table);
    let mut judge = |id, kind, name: &String, verdict: Result<(), SqlError>| {
        if let Err(reason) = verdict {
            unusable.insert(id, Unusable { kind, name: name.clone(), table: table.id, reason });
        }
    };
    for column in &table.columns {
        if let ColumnGeneration::Stored(text) = &column.generation {
            let expected = Some((column.type_oid, column.typmod));
            let bound = expression::bind_over(table, text, expected, &context.bind());
            judge(column.id, UnusableKind::GeneratedColumn, &column.name, bound.map(drop));
        }
    }
    for check in &table.checks {
        let bound = expression::bind_condition(table, &check.expression, "CHECK", &context.bind());
        judge(check.id, UnusableKind::Check, &check.name, bound.map(drop));
    }
    for index in &table.indexes {
        let lowered = index_statement(catalog, table, index, &context.bind());
        judge(index.id, UnusableKind::Index, &index.name, lowered.map(drop));
    }
    for foreign in &table.foreign_keys {
        let verdict = check_foreign_key(catalog, table, foreign);
        judge(foreign.id, UnusableKind::ForeignKey, &foreign.name, verdict);
    }
}

fn check_foreign_key(
    catalog: &Catalog,
    table: &Table,
    foreign: &ForeignKey,
) -> Result<(), SqlError> {
    let Some(referenced) = catalog.table(foreign.references) else { return Ok(()) };
    if !has_key(referenced, &foreign.referenced_columns) {
        let message = format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            referenced.name
        );
        return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
    }
    let types = Types::new(catalog, &[]);
    let of = |table: &Table, attnum: i16| -> Option<Oid> {
        Some(catalog.base_type(table.column(attnum)?.type_oid, -1).0)
    };
    for (from, to) in foreign.columns.iter().zip(&foreign.referenced_columns) {
        let (Some(from), Some(to)) = (of(table, *from), of(referenced, *to)) else { continue };
        if resolve_operator(types, "=", Some(to), from).is_err() {
            let name = &foreign.name;
            let message = format!("foreign key constraint \"{name}\" cannot be implemented");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
    }
    Ok(())
}

/// Whether some key of the table is made of exactly these columns.
pub(super) fn has_key(table: &Table, columns: &[i16]) -> bool {
    let sorted = |columns: &[i16]| {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns
    };
    let wanted = sorted(columns);
    let by_index = |index: &super::catalog::Index| {
        let attnums: Vec<i16> = index.keys.iter().map(|key| key.attnum).collect();
        index.unique && index.predicate.is_none() && sorted(&attnums) == wanted
    };
    sorted(&table.key) == wanted
        || table.uniques.iter().any(|unique| sorted(&unique.columns) == wanted)
        || table.indexes.iter().any(by_index)
}
