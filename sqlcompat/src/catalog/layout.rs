//! The relations of the image: their columns, as PostgreSQL 15 declares them, and the SQLite tables and indexes for them.
//!
//! Relation `X` of `pg_catalog` is the SQLite table `"X"`; relation `X` of `information_schema` is
//! `"information_schema.X"`, and of `trellis` `"trellis.X"`. A column `oid` is the table's rowid, so that a lookup by OID needs no index; the other
//! indexes are those that `pg_index` lists for the system catalogs, and a few that introspection queries need besides.
//!
//! The system columns that clients name on catalog relations are virtual columns of each table: `tableoid` is right,
//! `xmin`, `xmax`, `cmin` and `cmax` are those of a row that every transaction sees, `ctid` names the first tuple. They
//! are not among a relation's listed columns, so `*` does not show them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::form::{COLUMNS, Form, OWN_COLUMNS};
use super::tsv::Table;

/// A column of a system relation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Name.
    pub(crate) name: &'static str,
    /// How its values are stored.
    pub(crate) form: Form,
}

/// A system relation.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// Name of its SQLite table or view.
    pub(crate) table: String,
    /// OID.
    pub(crate) oid: i64,
    /// Whether PostgreSQL has it as a view.
    pub(crate) is_view: bool,
    /// Columns in order.
    pub(crate) columns: Vec<Column>,
}

impl Relation {
    /// Names of the columns, quoted and separated by commas.
    pub(crate) fn column_list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|it| quote(it.name)).collect();
        names.join(", ")
    }

    /// The statement that creates its table; `database` is where, empty for the main one.
    pub(crate) fn create_table(&self, database: &str, table: &str) -> String {
        let mut sql = format!("CREATE TABLE {database}{}(", quote(table));
        for (position, column) in self.columns.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            let key = if column.name == "oid" && !self.is_view { " PRIMARY KEY" } else { "" };
            let declared = column.form.sqlite_type();
            let _ = write!(sql, "{separator}{} {declared}{key}", quote(column.name));
        }
        if !self.is_view {
            let _ = write!(sql, ", tableoid INTEGER GENERATED ALWAYS AS ({}) VIRTUAL", self.oid);
            sql.push_str(SYSTEM_COLUMNS);
        }
        sql.push(')');
        sql
    }

    /// The statement that inserts one row into `table`.
    pub(crate) fn insert(&self, database: &str, table: &str) -> String {
        let holders: Vec<_> = (1..=self.columns.len()).map(|it| format!("?{it}")).collect();
        format!(
            "INSERT OR IGNORE INTO {database}{}({}) VALUES ({})",
            quote(table),
            self.column_list(),
            holders.join(", ")
        )
    }
}

/// Virtual columns besides `tableoid`; 2 is the transaction id that PostgreSQL gives frozen rows.
const SYSTEM_COLUMNS: &str = ", xmin INTEGER GENERATED ALWAYS AS (2) VIRTUAL, \
     xmax INTEGER GENERATED ALWAYS AS (0) VIRTUAL, cmin INTEGER GENERATED ALWAYS AS (0) VIRTUAL, \
     cmax INTEGER GENERATED ALWAYS AS (0) VIRTUAL, \
     ctid BLOB GENERATED ALWAYS AS (x'000000000001') VIRTUAL";

/// Indexes that PostgreSQL's catalogs do not have, for joins that drivers write.
const MORE_INDEXES: &[(&str, &str)] = &[
    ("pg_class", "relnamespace"),
    ("pg_class", "relkind"),
    ("pg_constraint", "conindid"),
    ("pg_constraint", "confrelid"),
    ("pg_type", "typelem"),
    ("pg_type", "typrelid"),
    ("pg_type", "typarray"),
    ("pg_inherits", "inhrelid"),
];

/// An SQL identifier for SQLite.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// All relations, by table name.
pub(crate) fn relations() -> BTreeMap<String, Relation> {
    let mut relations: BTreeMap<String, Relation> = BTreeMap::new();
    for row in Table::new(COLUMNS).chain(Table::new(OWN_COLUMNS)) {
        let text = |position| row.text(position).unwrap_or_default();
        let table = match &*text(0) {
            "pg_catalog" => text(1).into_owned(),
            schema => format!("{schema}.{}", text(1)),
        };
        let relation = relations.entry(table.clone()).or_insert_with(|| Relation {
            table,
            oid: row.number(9),
            is_view: text(2) == "v",
            columns: Vec::new(),
        });
        if let Some(std::borrow::Cow::Borrowed(name)) = row.text(4) {
            relation.columns.push(Column { name, form: Form::of_type(&text(5)) });
        }
    }
    relations
}

/// The statements that create the indexes of the tables among `relations`.
pub(crate) fn create_indexes(relations: &BTreeMap<String, Relation>) -> Vec<String> {
    let by_oid: BTreeMap<i64, &Relation> = relations.values().map(|it| (it.oid, it)).collect();
    let mut statements = Vec::new();
    let Some(table) = Table::of("pg_index") else { return statements };
    let (Some(relation_at), Some(key_at)) = (table.position("indrelid"), table.position("indkey"))
    else {
        return statements;
    };
    for row in table {
        let Some(relation) = by_oid.get(&row.number(relation_at)) else { continue };
        let key = row.text(key_at).unwrap_or_default();
        let names: Vec<&str> = key
            .split(' ')
            .filter_map(|attnum| attnum.parse::<usize>().ok()?.checked_sub(1))
            .filter_map(|position| relation.columns.get(position).map(|it| it.name))
            .collect();
        if !names.is_empty() && names != ["oid"] {
            statements.push(create_index(&relation.table, &names));
        }
    }
    statements.extend(MORE_INDEXES.iter().map(|(table, column)| create_index(table, &[column])));
    statements
}

fn create_index(table: &str, columns: &[&str]) -> String {
    let name = quote(&format!("{table}_{}", columns.join("_")));
    let columns: Vec<_> = columns.iter().map(|it| quote(it)).collect();
    format!("CREATE INDEX IF NOT EXISTS {name} ON {}({})", quote(table), columns.join(", "))
}
