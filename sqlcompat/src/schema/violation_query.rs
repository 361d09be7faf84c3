//! Queries that find the rows which violate a constraint: such rows come about by merging alone.
//!
//! Statements that violate a constraint are refused where they are made. But of two statements on two nodes each may be
//! right by itself: one inserts a row and the other deletes what it refers to, or forbids its values. Both rows then are on
//! all nodes, and these queries name them. UNIQUE is different: only one of the rows is visible, and the store keeps the
//! other; [`unique_sets`] says where to look for the visible one.

use super::catalog::{Catalog, Column, ForeignKey, IndexKey, Table};
use super::change::expression;
use super::physical::quote;
use super::table_sql::{SchemaContext, location};
use crate::oid::Oid;

/// A query for the rows that violate a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViolationQuery {
    /// The table.
    pub table: Oid,
    /// `foreign key`, `check` or `not null`.
    pub kind: &'static str,
    /// The constraint's name; of a NOT NULL the name that PostgreSQL 18 gives it.
    pub constraint: String,
    /// SQLite SQL that yields the key columns of [`key_columns`], and then the columns of `other`.
    pub sql: String,
    /// Names and types of the columns of another row that there should be, and is not.
    pub other: Vec<(String, Oid)>,
}

/// A unique constraint or index over plain columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueSet {
    /// Its name.
    pub constraint: String,
    /// Store ids of its columns.
    pub columns: Vec<u32>,
    /// SQLite SQL that yields the key columns of the row with the given values of the columns, in order.
    pub sql: String,
}

/// A key of a unique index, a column or an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKeyText {
    /// As PostgreSQL's messages call it.
    pub label: String,
    /// SQLite expression over the columns of the table.
    pub sql: String,
    /// Type of its value.
    pub type_oid: Oid,
}

/// The keys of an index that serves no constraint, by its name.
#[must_use]
pub fn index_keys(catalog: &Catalog, table: &Table, name: &str) -> Option<Vec<IndexKeyText>> {
    let index = table.indexes.iter().find(|index| index.name == name)?;
    let context = SchemaContext::new(catalog, table);
    let key = |key: &IndexKey| match (&key.expression, table.column(key.attnum)) {
        (Some(text), _) => {
            let lowered = expression::bind_over(table, text, None, &context.bind()).ok()?;
            Some(IndexKeyText { label: text.clone(), sql: lowered.sql, type_oid: lowered.type_oid })
        }
        (None, Some(column)) => Some(IndexKeyText {
            label: crate::builtin::quote_identifier(&column.name),
            sql: quote(&column.physical_name),
            type_oid: column.type_oid,
        }),
        (None, None) => None,
    };
    index.keys.iter().map(key).collect()
}

/// The CHECKs of a table with their SQLite conditions over its columns, in the order in which PostgreSQL looks at them:
/// by name.
#[must_use]
pub fn check_conditions(catalog: &Catalog, table: &Table) -> Vec<(String, String)> {
    let context = SchemaContext::new(catalog, table);
    let lowered = table.checks.iter().filter_map(|check| {
        let text = &check.expression;
        let lowered = expression::bind_condition(table, text, "CHECK", &context.bind()).ok()?;
        Some((check.name.clone(), lowered.sql))
    });
    let mut conditions: Vec<_> = lowered.collect();
    conditions.sort();
    conditions
}

/// Names and types of a table's key, in key order.
#[must_use]
pub fn key_columns(table: &Table) -> Vec<(String, Oid)> {
    let keys = table.key.iter().filter_map(|attnum| table.column(*attnum));
    let mut names: Vec<_> = keys.map(|it| (it.name.clone(), it.type_oid)).collect();
    names.extend(table.hidden_key.iter().map(|name| (name.clone(), Oid::INT8)));
    names
}

/// The key columns, quoted, with commas.
fn key_list(table: &Table, prefix: &str) -> String {
    let keys = table.key.iter().filter_map(|attnum| table.column(*attnum));
    let mut names: Vec<_> =
        keys.map(|it| format!("{prefix}{}", quote(&it.physical_name))).collect();
    names.extend(table.hidden_key.iter().map(|name| format!("{prefix}{}", quote(name))));
    names.join(", ")
}

/// The queries for all constraints of a table but the unique ones. A condition that cannot be lowered has none.
#[must_use]
pub fn violation_queries(catalog: &Catalog, table: &Table) -> Vec<ViolationQuery> {
    let select = format!("SELECT {} FROM {}", key_list(table, ""), location(table));
    let query = |kind, constraint: String, condition: &str| ViolationQuery {
        table: table.oid,
        kind,
        constraint,
        sql: format!("{select} WHERE {condition}"),
        other: Vec::new(),
    };
    let nullable = |it: &&Column| it.not_null && !table.key.contains(&it.attnum);
    let mut queries: Vec<_> = table
        .columns
        .iter()
        .filter(nullable)
        .map(|column| {
            let name = format!("{}_{}_not_null", table.name, column.name);
            query("not null", name, &format!("{} IS NULL", quote(&column.physical_name)))
        })
        .collect();
    let context = SchemaContext::new(catalog, table);
    for check in &table.checks {
        let lowered =
            expression::bind_condition(table, &check.expression, "CHECK", &context.bind());
        if let Ok(lowered) = lowered {
            queries.push(query("check", check.name.clone(), &format!("NOT ({})", lowered.sql)));
        }
    }
    let foreign = table.foreign_keys.iter();
    queries.extend(foreign.filter_map(|foreign| foreign_key_query(catalog, table, foreign)));
    queries
}

fn foreign_key_query(
    catalog: &Catalog,
    table: &Table,
    foreign: &ForeignKey,
) -> Option<ViolationQuery> {
    let referenced = catalog.table(foreign.references)?;
    let columns = |table: &Table, attnums: &[i16]| -> Option<Vec<Column>> {
        attnums.iter().map(|attnum| table.column(*attnum).cloned()).collect()
    };
    let from = columns(table, &foreign.columns)?;
    let to = columns(referenced, &foreign.referenced_columns)?;
    let child = |column: &Column| format!("child.{}", quote(&column.physical_name));
    let given: Vec<_> = from.iter().map(|it| format!("{} IS NOT NULL", child(it))).collect();
    let pairs = from.iter().zip(&to);
    let equal: Vec<_> = pairs
        .map(|(from, to)| format!("parent.{} = {}", quote(&to.physical_name), child(from)))
        .collect();
    let values: Vec<_> = from.iter().map(child).collect();
    let sql = format!(
        "SELECT {}, {} FROM {} AS child WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS parent WHERE {})",
        key_list(table, "child."),
        values.join(", "),
        location(table),
        given.join(" AND "),
        location(referenced),
        equal.join(" AND ")
    );
    Some(ViolationQuery {
        table: table.oid,
        kind: "foreign key",
        constraint: foreign.name.clone(),
        sql,
        other: to.iter().map(|it| (it.name.clone(), it.type_oid)).collect(),
    })
}

/// The unique constraints of a table other than its key, and its unique indexes without expressions and conditions.
#[must_use]
pub fn unique_sets(table: &Table) -> Vec<UniqueSet> {
    let uniques = table.uniques.iter().filter(|it| it.columns != table.key);
    let uniques = uniques.map(|it| (&it.name, it.columns.clone()));
    let plain = |it: &&super::catalog::Index| {
        it.unique && it.predicate.is_none() && it.keys.iter().all(|key| key.expression.is_none())
    };
    let indexes = table.indexes.iter().filter(plain);
    let indexes =
        indexes.map(|it| (&it.name, it.keys.iter().map(|key| key.attnum).collect::<Vec<_>>()));
    let set = |(name, attnums): (&String, Vec<i16>)| {
        let columns: Vec<_> = attnums.iter().filter_map(|attnum| table.column(*attnum)).collect();
        let equal = (1..).zip(&columns);
        let equal: Vec<_> =
            equal.map(|(place, it)| format!("{} = ?{place}", quote(&it.physical_name))).collect();
        UniqueSet {
            constraint: name.clone(),
            columns: columns.iter().map(|it| it.store_id()).collect(),
            sql: format!(
                "SELECT {} FROM {} WHERE {}",
                key_list(table, ""),
                location(table),
                equal.join(" AND ")
            ),
        }
    };
    uniques.chain(indexes).map(set).collect()
}
