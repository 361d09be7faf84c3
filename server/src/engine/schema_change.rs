//! Schema changes of a session, and the schemas that it sees.
//!
//! A statement is first turned into what it changes (`trellis_sqlcompat::schema`), then carried out in the session's own
//! write transaction: rows of the schema's system table, SQLite's tables in line with them, and the store's registration
//! of the tables. Until the transaction commits only this session sees the result, under an epoch that no committed
//! schema has; temporary objects are always the session's own, laid over the committed schema.

use std::sync::Arc;

use trellis_sqlcompat::schema::{
    ObjectKind, RefusedKey, SchemaHost, SchemaRow, SchemaStatement, SchemaStep, Sequence,
    materialize,
};
use trellis_sqlcompat::types::codec;
use trellis_sqlcompat::{Datum, SqlError, functions};

use super::rows::SqliteRows;
use super::schema::{self, Author, InLine, Schema};
use super::sequence::Sequences;
use super::session_engine::SqliteEngine;
use crate::session::Rows;
use crate::session::port::SchemaOutcome;

impl SqliteEngine {
    /// Adopts a schema: what functions see, and what plans are made against.
    pub(super) fn set_schema(&mut self, schema: Arc<Schema>) {
        let catalog = Arc::clone(&schema.catalog);
        let known = &self.schema.catalog;
        let registered =
            self.connection.with(|sqlite| functions::register_enums(sqlite, Some(known), &catalog));
        if let Err(error) = registered {
            tracing::warn!(%error, "an enum keeps its old order on this connection");
        }
        self.temporary_sequences.follow(&catalog);
        self.context.update(|state| state.catalog = catalog);
        self.schema = schema;
    }

    /// Combines the committed schema with the session's temporary objects.
    fn with_temporary(&mut self, base: Arc<Schema>) -> Arc<Schema> {
        if self.temporary.is_empty() {
            return base;
        }
        let catalog = base.catalog.with_temporary(self.temporary.iter().cloned());
        Arc::new(Schema::new(self.next_private_epoch(), Arc::new(catalog)))
    }

    fn next_private_epoch(&mut self) -> u64 {
        self.private_epoch += 1;
        self.private_epoch
    }

    /// Follows the committed schema, unless the transaction has its own.
    pub(super) fn follow_schema(&mut self) {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.schema_changed) {
            return;
        }
        let committed = self.database.schema();
        let moved = if self.temporary.is_empty() {
            committed.epoch != self.schema.epoch
        } else {
            committed.epoch != self.schema.base_epoch()
        };
        if moved {
            let schema = if self.temporary.is_empty() {
                committed
            } else {
                let epoch = committed.epoch;
                let combined = self.with_temporary(committed);
                combined.set_base_epoch(epoch);
                combined
            };
            self.set_schema(schema);
        }
    }

    pub(super) fn apply_schema_change(
        &mut self,
        statement: &SchemaStatement,
    ) -> Result<SchemaOutcome, SqlError> {
        let catalog = Arc::clone(&self.schema.catalog);
        let change = statement.apply(&catalog, &mut Evaluator(self))?;
        self.prepare_catalog(&change.reads)?;
        for step in &change.before {
            self.run_schema_step(step)?;
        }
        if !change.temporary.is_empty() {
            self.change_temporary(&change.temporary)?;
        }
        if !change.rows.is_empty() {
            self.change_replicated(&change.rows)?;
        }
        let mut tag = change.tag;
        for (index, step) in change.after.iter().enumerate() {
            let count = self.run_schema_step(step)?;
            if change.counted == Some(index) {
                tag = format!("{tag} {count}");
            }
        }
        let notices = change.notices.into_iter().map(|notice| {
            let error = SqlError::new(notice.state, notice.message);
            SqlError { detail: notice.detail, ..error }
        });
        Ok(SchemaOutcome { tag, notices: notices.collect() })
    }

    fn change_replicated(&mut self, rows: &[SchemaRow]) -> Result<(), SqlError> {
        self.statements.clear();
        let sequences = rows.iter().filter(|row| row.kind == ObjectKind::Sequence && !row.dropped);
        sequences.for_each(|row| self.database.sequences.found(row.id.0));
        self.connection
            .with(|sqlite| schema::upsert(sqlite, rows))
            .map_err(|error| self.sqlite_failed(&error))?;
        let author = Author::Statement;
        let in_line = self.connection.with(|sqlite| schema::bring_in_line(sqlite, author));
        let in_line = in_line.map_err(|error| self.context.take_error().unwrap_or(error))?;
        in_line.refused()?;
        let InLine { catalog, registered, unregistered, .. } = in_line;
        self.connection
            .with_store(|mut store| {
                for (spec, gone) in &registered {
                    store.register_table(spec)?;
                    store.retire_columns(spec.id, gone)?;
                }
                unregistered.iter().try_for_each(|table| store.unregister_table(*table))
            })
            .map_err(|error| self.store_failed(error))?;
        let in_file =
            self.connection.with(schema::epoch).map_err(|error| schema::internal(&error))?;
        let catalog = if self.temporary.is_empty() {
            catalog
        } else {
            catalog.with_temporary(self.temporary.iter().cloned())
        };
        let next = Schema::new(self.next_private_epoch(), Arc::new(catalog));
        next.set_base_epoch(in_file);
        self.database.set_uncommitted(Some(Arc::clone(&next.catalog)));
        self.set_schema(Arc::new(next));
        if let Some(transaction) = &mut self.transaction {
            transaction.schema_changed = true;
        }
        Ok(())
    }

    pub(super) fn change_temporary(&mut self, rows: &[SchemaRow]) -> Result<(), SqlError> {
        let mut all: Vec<SchemaRow> = self.temporary.to_vec();
        for row in rows {
            match all.iter_mut().find(|known| known.id == row.id) {
                Some(known) => known.clone_from(row),
                None => all.push(row.clone()),
            }
        }
        let old = Arc::clone(&self.schema.catalog);
        let new = Arc::new(old.with_temporary(all.iter().cloned()));
        for step in materialize(&old, &new)? {
            self.execute(&step.sql())?;
        }
        self.temporary = Arc::from(all);
        let next = Schema::new(self.next_private_epoch(), new);
        next.set_base_epoch(self.schema.base_epoch());
        self.set_schema(Arc::new(next));
        Ok(())
    }

    fn run_schema_step(&mut self, step: &SchemaStep) -> Result<u64, SqlError> {
        match step {
            SchemaStep::Run(sql) => self.run_step(sql, &[], None),
            SchemaStep::RefuseIfAny { sql, error, key: None } => {
                if self.run_step(sql, &[], None)? > 0 { Err(error.clone()) } else { Ok(0) }
            }
            SchemaStep::RefuseIfAny { sql, error, key: Some(key) } => {
                match self.first_key(sql, key)? {
                    Some(detail) => Err(error.clone().with_detail(detail)),
                    None => Ok(0),
                }
            }
            SchemaStep::RestartSequence { sequence, value } => {
                if let Some(sequence) = self.schema.catalog.sequences.get(sequence) {
                    self.counters(sequence).restart(sequence, *value);
                }
                Ok(0)
            }
        }
    }

    /// Where a sequence is counted.
    pub(super) fn counters(&self, sequence: &Sequence) -> &Sequences {
        self.temporary_sequences.counters(sequence, &self.database.sequences)
    }

    /// What a query's first row is, if it has one.
    fn first_key(&mut self, sql: &str, key: &RefusedKey) -> Result<Option<String>, SqlError> {
        let (text, statement) = self.statement(sql, &[])?;
        let mut rows = SqliteRows::new(text, statement, self.surroundings());
        if !rows.next()? {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(key.types.len());
        for (place, type_oid) in key.types.iter().enumerate() {
            let datum = rows.column(place);
            let text = self.context.with_types(|types| codec::to_text(*type_oid, datum, types))?;
            values.push(text);
        }
        Ok(Some(format!("Key ({})=({}) {}", key.columns, values.join(", "), key.rest)))
    }
}

/// Evaluates expressions for DDL.
struct Evaluator<'a>(&'a mut SqliteEngine);

impl SchemaHost for Evaluator<'_> {
    fn evaluate(&mut self, sql: &str) -> Result<Datum, SqlError> {
        let (text, statement) = self.0.statement(&format!("SELECT {sql}"), &[])?;
        let mut rows = SqliteRows::new(text, statement, self.0.surroundings());
        if rows.next()? { Ok(rows.column(0).to_datum()) } else { Ok(Datum::Null) }
    }
}
