//! The SQLite text of tables, their constraints and their indexes.
//!
//! ```sql
//! CREATE TABLE main."users" ("id" INTEGER NOT NULL, "email" TEXT, PRIMARY KEY ("id")
//!   /*+n17*/, CONSTRAINT "n17" CHECK ("email" IS NOT NULL) /*-n17*/
//!   /*+c23*/, CONSTRAINT "c23" CHECK (length("email") < 200) /*-c23*/) STRICT
//! ```
//!
//! - The key is always a table constraint, so that SQLite inserts added columns before it, and never between the marks.
//!   One integer column as the key is SQLite's rowid.
//! - NOT NULL is a CHECK: the merge ignores checks, so a NULL that only merging brings about stays what it is on all nodes.
//! - The marks around the other constraints let one be cut out or added in the stored text without touching a row, which
//!   SQLite's own ALTER TABLE cannot do for foreign keys. Their names are ids (`c23`), because SQLite's messages say only
//!   the name: `n` is the NOT NULL of a column, `c` a CHECK, `f` a foreign key.
//! - There are no DEFAULTs but the value that rows from before an ADD COLUMN have.

use std::collections::BTreeMap;

use super::catalog::{
    Catalog, Column, ColumnGeneration, ForeignKey, ForeignKeyAction, Index, IndexKey, Namespace,
    Table, UniqueConstraint,
};
use super::change::expression;
use super::link::PUBLIC_NAMESPACE;
use super::physical::{self, quote};
use super::storage::storage_form;
use crate::bind::{BindContext, Parameters};
use crate::error::SqlError;
use crate::settings::FormatSettings;

/// What expressions of the schema are lowered against, the same on all nodes.
pub(super) struct SchemaContext<'a> {
    catalog: &'a Catalog,
    pub(super) search_path: Vec<String>,
    settings: FormatSettings,
}

impl<'a> SchemaContext<'a> {
    /// The context of expressions in a schema: its own names first, then `public`, then all others.
    pub(super) fn new(catalog: &'a Catalog, table: &Table) -> Self {
        let rank = |it: &&Namespace| (it.oid != table.namespace, it.oid != PUBLIC_NAMESPACE);
        let mut namespaces: Vec<_> = catalog.namespaces.values().collect();
        namespaces.sort_by_key(rank);
        let search_path = namespaces.into_iter().map(|it| it.name.clone()).collect();
        Self { catalog, search_path, settings: FormatSettings::default() }
    }

    pub(super) fn bind(&self) -> BindContext<'_> {
        BindContext {
            catalog: self.catalog,
            search_path: &self.search_path,
            user: "",
            database: "",
            settings: &self.settings,
            parameters: Parameters::None,
        }
    }
}

/// `CREATE TABLE` for a table, without its indexes.
pub(super) fn create_table(catalog: &Catalog, table: &Table) -> Result<String, SqlError> {
    let context = SchemaContext::new(catalog, table);
    let mut parts = Vec::with_capacity(table.columns.len() + 2);
    if let Some(hidden) = &table.hidden_key {
        parts.push(format!("{} INTEGER NOT NULL", quote(hidden)));
    }
    for column in &table.columns {
        parts.push(column_definition(catalog, table, column, "STORED", &context.bind())?);
    }
    parts.push(format!("PRIMARY KEY ({})", key_list(table)));
    let mut text = format!("CREATE TABLE {} ({}", location(table), parts.join(", "));
    for (name, clause) in constraint_clauses(catalog, table)? {
        text.push_str(&marked(&name, &clause));
    }
    text.push_str(") STRICT");
    Ok(text)
}

/// The key columns, quoted, with commas.
fn key_list(table: &Table) -> String {
    let keys = table.key.iter().filter_map(|attnum| table.column(*attnum));
    let mut names: Vec<_> = keys.map(|column| quote(&column.physical_name)).collect();
    names.extend(table.hidden_key.as_deref().map(quote));
    names.join(", ")
}

/// A table as a statement names it: database and name, quoted.
pub(super) fn location(table: &Table) -> String {
    format!("{}.{}", table.database(), quote(&table.physical_name))
}

/// A column as `CREATE TABLE` has it.
pub(super) fn column_definition(
    catalog: &Catalog,
    table: &Table,
    column: &Column,
    generation: &str,
    cx: &BindContext<'_>,
) -> Result<String, SqlError> {
    let form = storage_form(catalog, column.type_oid);
    let mut text = format!("{} {}", quote(&column.physical_name), form.declaration());
    if table.key.contains(&column.attnum) {
        text.push_str(" NOT NULL");
    }
    if let Some(missing) = &column.missing {
        text.push_str(&format!(" DEFAULT {missing}"));
    }
    if let ColumnGeneration::Stored(expression) = &column.generation {
        let expected = Some((column.type_oid, column.typmod));
        let lowered = expression::bind_over(table, expression, expected, cx)?;
        text.push_str(&format!(" GENERATED ALWAYS AS ({}) {generation}", lowered.sql));
    }
    Ok(text)
}

/// A constraint between its marks, as it is put before the closing parenthesis.
pub(super) fn marked(name: &str, clause: &str) -> String {
    format!(" /*+{name}*/, CONSTRAINT {} {clause} /*-{name}*/", quote(name))
}

/// The constraints of a table that can come and go, by physical name.
pub(super) fn constraint_clauses(
    catalog: &Catalog,
    table: &Table,
) -> Result<BTreeMap<String, String>, SqlError> {
    let context = SchemaContext::new(catalog, table);
    let mut clauses = BTreeMap::new();
    for column in table.columns.iter().filter(|column| column.not_null) {
        if !table.key.contains(&column.attnum) {
            let clause = format!("CHECK ({} IS NOT NULL)", quote(&column.physical_name));
            clauses.insert(format!("n{}", column.id.0), clause);
        }
    }
    for check in &table.checks {
        let lowered =
            expression::bind_condition(table, &check.expression, "CHECK", &context.bind())?;
        clauses.insert(format!("c{}", check.id.0), format!("CHECK ({})", lowered.sql));
    }
    for foreign in &table.foreign_keys {
        if let Some(clause) = foreign_key_clause(catalog, table, foreign) {
            clauses.insert(format!("f{}", foreign.id.0), clause);
        }
    }
    Ok(clauses)
}

fn foreign_key_clause(catalog: &Catalog, table: &Table, foreign: &ForeignKey) -> Option<String> {
    let referenced = catalog.table(foreign.references)?;
    let from = column_list(table, &foreign.columns);
    let to = column_list(referenced, &foreign.referenced_columns);
    let mut clause =
        format!("FOREIGN KEY ({from}) REFERENCES {} ({to})", quote(&referenced.physical_name));
    for (event, action) in [("DELETE", foreign.on_delete), ("UPDATE", foreign.on_update)] {
        let action = match action {
            ForeignKeyAction::NoAction => continue,
            ForeignKeyAction::Restrict => "RESTRICT",
            ForeignKeyAction::Cascade => "CASCADE",
            ForeignKeyAction::SetNull => "SET NULL",
            ForeignKeyAction::SetDefault => "SET DEFAULT",
        };
        clause.push_str(&format!(" ON {event} {action}"));
    }
    if foreign.deferrable.1 {
        clause.push_str(" DEFERRABLE INITIALLY DEFERRED");
    }
    Some(clause)
}

/// Columns by attribute number, quoted, with commas.
fn column_list(table: &Table, attnums: &[i16]) -> String {
    let columns = attnums.iter().filter_map(|attnum| table.column(*attnum));
    columns.map(|column| quote(&column.physical_name)).collect::<Vec<_>>().join(", ")
}

/// A SQLite index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexSql {
    /// `CREATE INDEX`.
    pub(super) sql: String,
    /// What is unique, if anything is.
    pub(super) unique: Option<UniqueKey>,
}

/// What a unique index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UniqueKey {
    /// SQLite expressions that no two rows have the same values of, unless one is NULL.
    pub(super) keys: Vec<String>,
    /// SQLite condition of the rows that it is about.
    pub(super) predicate: Option<String>,
}

/// The SQLite indexes of a table, by physical name.
pub(super) fn index_statements(
    catalog: &Catalog,
    table: &Table,
) -> Result<BTreeMap<String, IndexSql>, SqlError> {
    let context = SchemaContext::new(catalog, table);
    let mut statements = BTreeMap::new();
    for unique in &table.uniques {
        if unique.columns != table.key {
            let name = index_name(catalog, table, &unique.name);
            let index = unique_index(table, unique, &name);
            statements.insert(name, index);
        }
    }
    for index in &table.indexes {
        // Other methods serve operators that SQLite's B-trees do not; such an index is recorded only.
        if matches!(index.method.as_str(), "btree" | "hash" | "brin") {
            let (name, index) = index_statement(catalog, table, index, &context.bind())?;
            statements.insert(name, index);
        }
    }
    Ok(statements)
}

/// An index that serves no constraint, with its physical name.
pub(super) fn index_statement(
    catalog: &Catalog,
    table: &Table,
    index: &Index,
    cx: &BindContext<'_>,
) -> Result<(String, IndexSql), SqlError> {
    let name = index_name(catalog, table, &index.name);
    let sql = plain_index(table, index, &name, cx)?;
    Ok((name, sql))
}

/// The physical name of an index: like a table's, of the table's schema.
fn index_name(catalog: &Catalog, table: &Table, name: &str) -> String {
    let schema = catalog.namespace_name(table.namespace);
    let schema = Some(schema).filter(|it| !matches!(*it, "" | "public" | "pg_temp"));
    physical::relation_name(schema, name)
}

fn unique_index(table: &Table, unique: &UniqueConstraint, name: &str) -> IndexSql {
    let sql = format!(
        "CREATE UNIQUE INDEX {}.{} ON {} ({})",
        table.database(),
        quote(name),
        quote(&table.physical_name),
        column_list(table, &unique.columns)
    );
    let columns = unique.columns.iter().filter_map(|attnum| table.column(*attnum));
    let keys = columns.map(|column| quote(&column.physical_name)).collect();
    IndexSql { sql, unique: Some(UniqueKey { keys, predicate: None }) }
}

fn plain_index(
    table: &Table,
    index: &Index,
    name: &str,
    cx: &BindContext<'_>,
) -> Result<IndexSql, SqlError> {
    let compared = index.keys.iter().map(|key| index_key(table, key, cx));
    let compared = compared.collect::<Result<Vec<_>, _>>()?;
    let directed = compared
        .iter()
        .zip(&index.keys)
        .map(|(text, key)| if key.descending { format!("{text} DESC") } else { text.clone() });
    let mut keys: Vec<_> = directed.collect();
    if !index.unique {
        // INCLUDE columns make the index covering; in a unique index they would count as keys.
        let included = index.include.iter().filter_map(|attnum| table.column(*attnum));
        keys.extend(included.map(|column| quote(&column.physical_name)));
    }
    let unique = if index.unique { "UNIQUE " } else { "" };
    let mut sql = format!(
        "CREATE {unique}INDEX {}.{} ON {} ({})",
        table.database(),
        quote(name),
        quote(&table.physical_name),
        keys.join(", ")
    );
    let lower = |text: &String| expression::bind_condition(table, text, "WHERE", cx);
    let predicate = index.predicate.as_ref().map(lower).transpose()?.map(|lowered| lowered.sql);
    if let Some(predicate) = &predicate {
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    let unique = index.unique.then_some(UniqueKey { keys: compared, predicate });
    Ok(IndexSql { sql, unique })
}

/// What a key of an index compares.
fn index_key(table: &Table, key: &IndexKey, cx: &BindContext<'_>) -> Result<String, SqlError> {
    Ok(match (&key.expression, table.column(key.attnum)) {
        (Some(expression), _) => {
            let lowered = expression::bind_over(table, expression, None, cx)?;
            let collation = storage_form(cx.catalog, lowered.type_oid).collation;
            let collation = collation.map(|name| format!(" COLLATE {}", quote(&name)));
            format!("({}){}", lowered.sql, collation.unwrap_or_default())
        }
        (None, Some(column)) => quote(&column.physical_name),
        (None, None) => String::new(),
    })
}
