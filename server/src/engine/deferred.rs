//! Which deferred foreign key keeps a transaction from being committed.
//!
//! SQLite counts the violations of deferred keys and says at COMMIT that some are left, not which. The transaction is then
//! still open: all rows without the row that they refer to are looked for, on this connection and on another one, which
//! sees what was committed before. Merging may have left some there already; the first that is on this connection alone is the
//! transaction's. If the referring row was there before as it is, the row that it refers to has gone.
//!
//! # Bounds
//! [`ROWS_MAX`] rows are looked at for each key; beyond that the error goes without details. A look reads the referring
//! tables, and happens only when a COMMIT has failed.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use trellis_sqlcompat::schema::{
    ForeignKey, ForeignKeySide, Table, ViolationQuery, foreign_key_error, key_columns, physical,
    violation_queries,
};
use trellis_sqlcompat::{SqlError, SqlState};

use super::session_engine::SqliteEngine;
use super::violation::text_of;

/// Rows looked at for each foreign key.
const ROWS_MAX: usize = 10_000;

impl SqliteEngine {
    /// Adds to the error of a failed COMMIT what PostgreSQL says, if a foreign key was violated.
    pub(super) fn explain_deferred(&self, error: SqlError) -> SqlError {
        if error.state != SqlState::FOREIGN_KEY_VIOLATION || error.object.constraint.is_some() {
            return error;
        }
        let committed = match self.database.store.connect() {
            Ok(committed) => committed,
            Err(problem) => {
                tracing::warn!(%problem, "a violated foreign key could not be looked for");
                return error;
            }
        };
        let catalog = &self.schema.catalog;
        for table in catalog.tables.values() {
            for foreign in table.foreign_keys.iter().filter(|foreign| foreign.deferrable.1) {
                let queries = violation_queries(catalog, table).into_iter();
                let mut queries = queries.filter(|it| it.kind == "foreign key");
                let Some(query) = queries.find(|it| it.constraint == foreign.name) else {
                    continue;
                };
                let broken = Broken { table, foreign, query };
                if let Some(found) = self.first_broken(&broken, committed.sqlite()) {
                    return found;
                }
            }
        }
        error
    }

    fn first_broken(&self, broken: &Broken<'_>, committed: &Connection) -> Option<SqlError> {
        let keys = key_columns(broken.table).len();
        let known = broken.rows(committed).unwrap_or_default();
        let known: BTreeSet<_> = known.iter().map(|row| format!("{row:?}")).collect();
        let rows = self.connection.with(|sqlite| broken.rows(sqlite)).ok()?;
        let row = rows.iter().find(|row| !known.contains(&format!("{row:?}")))?;
        let side = if broken.was_there(committed, row) {
            ForeignKeySide::Referenced
        } else {
            ForeignKeySide::Referencing
        };
        let values = row.get(keys..)?.iter().zip(&broken.query.other);
        let texts = values.map(|(value, (_, oid))| text_of(&self.context, *oid, value));
        let texts: Option<Vec<_>> = texts.collect();
        let (table, foreign) = (broken.table, broken.foreign);
        Some(foreign_key_error(&self.schema.catalog, table, foreign, side, texts.as_deref()))
    }
}

/// A foreign key that may be violated.
struct Broken<'a> {
    table: &'a Table,
    foreign: &'a ForeignKey,
    query: ViolationQuery,
}

impl Broken<'_> {
    /// Keys and referring values of the rows without the row that they refer to.
    fn rows(&self, sqlite: &Connection) -> rusqlite::Result<Vec<Vec<Value>>> {
        let width = key_columns(self.table).len() + self.query.other.len();
        let mut statement = sqlite.prepare(&self.query.sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while found.len() < ROWS_MAX
            && let Some(row) = rows.next()?
        {
            found.push((0..width).map(|place| row.get(place)).collect::<rusqlite::Result<_>>()?);
        }
        Ok(found)
    }

    /// Whether a connection sees such a row, with the same reference.
    fn was_there(&self, sqlite: &Connection, row: &[Value]) -> bool {
        let column = |attnum: &i16| self.table.column(*attnum).map(|it| it.physical_name.clone());
        let keys = self.table.key.iter().filter_map(column);
        let keys = keys.chain(self.table.hidden_key.clone());
        let columns = keys.chain(self.foreign.columns.iter().filter_map(column));
        let equal: Vec<_> = (1..)
            .zip(columns)
            .map(|(place, name)| format!("{} IS ?{place}", physical::quote(&name)))
            .collect();
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {}.{} WHERE {})",
            self.table.database(),
            physical::quote(&self.table.physical_name),
            equal.join(" AND ")
        );
        sqlite.query_row(&sql, params_from_iter(row), |row| row.get(0)).unwrap_or(false)
    }
}
