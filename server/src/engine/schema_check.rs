//! Whether the tables that SQLite has are those that the schema says.
//!
//! The schema's rows are turned into tables once more, in an empty database in memory, and the two are compared: by
//! structure and not by text, since a table that was altered step by step is written differently from one that was created
//! at once.
//!
//! # Left out
//! Defaults, constraints and the expressions of indexes are not compared.

use std::collections::BTreeSet;

use rusqlite::Connection;
use trellis_replication::store::CheckHook;
use trellis_replication::types::{ColumnId, TableId, Value};
use trellis_sqlcompat::functions::{self, SessionContext};
use trellis_sqlcompat::schema::{Catalog, materialize};

use super::schema::{SCHEMA_TABLE_ID, read_rows};

/// Names that SQLite and Trellis keep for themselves.
const OWN_PREFIXES: [&str; 2] = ["sqlite\\_%", "trellis\\_%"];

/// Compares SQLite's tables with the schema.
pub(super) struct SchemaCheck;

impl CheckHook for SchemaCheck {
    fn check(&self, sqlite: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut findings = rows_not_in_line(sqlite)?;
        let catalog = Catalog::from_rows(read_rows(sqlite, "trellis_materialized")?);
        let statements = match materialize(&Catalog::from_rows(Vec::new()), &catalog) {
            Ok(statements) => statements,
            Err(error) => {
                findings.push(format!("schema: {error}"));
                return Ok(findings);
            }
        };
        let expected = Connection::open_in_memory()?;
        functions::register(&expected, &SessionContext::default())?;
        for step in statements {
            expected.execute_batch(&step.sql())?;
        }
        let (expected, found) = (structure(&expected)?, structure(sqlite)?);
        let missing = expected.difference(&found).map(|part| format!("schema: {part} is missing"));
        findings.extend(missing);
        let extra = found.difference(&expected);
        findings.extend(extra.map(|part| format!("schema: {part} was not made by this server")));
        Ok(findings)
    }

    fn column_of(&self, table: TableId, key: &[Value]) -> Option<ColumnId> {
        match key {
            // A column's store id is the low half of its object id.
            [Value::Integer(id)] if table == SCHEMA_TABLE_ID => {
                u32::try_from(id & 0xffff_ffff).ok().map(ColumnId)
            }
            _ => None,
        }
    }
}

/// Rows of the schema that the tables were not brought in line with, and the other way round.
fn rows_not_in_line(sqlite: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = sqlite.prepare(
        "SELECT id, name FROM (SELECT * FROM trellis_schema EXCEPT SELECT * FROM trellis_materialized)
         UNION SELECT id, name FROM (SELECT * FROM trellis_materialized EXCEPT SELECT * FROM trellis_schema)",
    )?;
    let rows = statement.query_map([], |row| {
        let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
        Ok(format!("schema: the tables were not brought in line with object {id} ({name})"))
    })?;
    rows.collect()
}

/// Every table, column, index, view and trigger, in words.
fn structure(sqlite: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let [of_sqlite, of_trellis] = OWN_PREFIXES;
    let objects = format!(
        "SELECT type || ' ' || name || CASE WHEN type = 'index' THEN ' on ' || tbl_name ELSE '' END
         FROM main.sqlite_schema
         WHERE name NOT LIKE '{of_sqlite}' ESCAPE '\\' AND name NOT LIKE '{of_trellis}' ESCAPE '\\'"
    );
    let columns = format!(
        "SELECT 'column ' || c.name || ' ' || c.type || CASE c.pk WHEN 0 THEN '' ELSE ' key ' || c.pk END
             || ' of table ' || t.name
         FROM main.sqlite_schema t, pragma_table_xinfo(t.name, 'main') c
         WHERE t.type = 'table' AND t.name NOT LIKE '{of_sqlite}' ESCAPE '\\'
             AND t.name NOT LIKE '{of_trellis}' ESCAPE '\\'"
    );
    let mut found = BTreeSet::new();
    for sql in [objects, columns] {
        let mut statement = sqlite.prepare(&sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        for row in rows {
            found.insert(row?);
        }
    }
    Ok(found)
}
