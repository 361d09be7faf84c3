//! Rows of a running SQLite statement, and the statement's way back into the cache.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use trellis_replication::store::Statement;
use trellis_sqlcompat::functions::SessionContext;
use trellis_sqlcompat::schema::Catalog;
use trellis_sqlcompat::{DatumRef, SqlError};

use super::cache::StatementCache;
use super::cancel::CancelSwitch;
use super::error::statement_error;
use crate::session::Rows;

/// What a running statement needs besides itself.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) context: SessionContext,
    pub(super) catalog: Arc<Catalog>,
    pub(super) cancel: Arc<CancelSwitch>,
    pub(super) cache: StatementCache,
}

impl Surroundings {
    /// Words an error: the one that a function raised, or SQLite's own.
    pub(super) fn word(&self, error: &trellis_replication::store::StatementError) -> SqlError {
        self.context
            .take_error()
            .unwrap_or_else(|| statement_error(error, &self.catalog, &self.cancel))
    }
}

/// An open result.
pub struct SqliteRows {
    statement: Option<(Arc<str>, Statement)>,
    surroundings: Surroundings,
}

impl SqliteRows {
    pub(super) fn new(sql: Arc<str>, statement: Statement, surroundings: Surroundings) -> Self {
        Self { statement: Some((sql, statement)), surroundings }
    }
}

impl Rows for SqliteRows {
    fn next(&mut self) -> Result<bool, SqlError> {
        let Some((_, statement)) = &mut self.statement else { return Ok(false) };
        match statement.step() {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.finish();
                Ok(false)
            }
            Err(error) => {
                let worded = self.surroundings.word(&error);
                self.finish();
                Err(worded)
            }
        }
    }

    fn column(&self, index: usize) -> DatumRef<'_> {
        self.statement.as_ref().map_or(DatumRef::Null, |(_, statement)| column(statement, index))
    }

    fn width(&self) -> usize {
        self.statement.as_ref().map_or(0, |(_, statement)| statement.column_count())
    }
}

impl SqliteRows {
    /// Ends the statement, which lets go of its snapshot.
    fn finish(&mut self) {
        if let Some((sql, statement)) = self.statement.take() {
            self.surroundings.cache.put_back(sql, statement);
        }
    }
}

impl Drop for SqliteRows {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A column of a statement's row. Text that is not UTF-8 cannot have come in through the server; it is shown as a blob.
fn column(statement: &Statement, index: usize) -> DatumRef<'_> {
    match statement.column(index) {
        ValueRef::Null => DatumRef::Null,
        ValueRef::Integer(integer) => DatumRef::Integer(integer),
        ValueRef::Real(real) => DatumRef::Real(real),
        ValueRef::Text(text) => {
            std::str::from_utf8(text).map_or(DatumRef::Blob(text), DatumRef::Text)
        }
        ValueRef::Blob(blob) => DatumRef::Blob(blob),
    }
}
