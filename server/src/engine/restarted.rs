//! Sequences that a transaction starts anew, and foreign keys that it wants checked before its end.
//!
//! A sequence's values are not given back by a rollback, but `TRUNCATE … RESTART IDENTITY` is undone like any other part of its
//! transaction: where the counter stood is kept here until then.

use rusqlite::types::Value;
use trellis_sqlcompat::schema::{
    Column, ForeignKeySide, Sequence, Table, foreign_key_error, physical,
};
use trellis_sqlcompat::types::codec;
use trellis_sqlcompat::{DatumRef, Oid, SqlError};

use super::schema::internal;
use super::sequence::{Counter, Sequences};
use super::session_engine::SqliteEngine;

/// Where counters stood before they were started anew.
#[derive(Default)]
pub(super) struct Restarted(Vec<Before>);

struct Before {
    /// Savepoints that were open.
    depth: usize,
    sequence: Sequence,
    counter: Counter,
}

impl Restarted {
    /// Puts back the counters that were started anew with more than `depth` savepoints open, all of them for 0.
    pub(super) fn put_back<'a>(
        &mut self,
        counters: impl Fn(&Sequence) -> &'a Sequences,
        depth: usize,
    ) {
        for before in self.0.iter().rev() {
            if depth == 0 || before.depth > depth {
                counters(&before.sequence).put_back(before.sequence.id.0, before.counter);
            }
        }
        self.0.retain(|before| depth > 0 && before.depth <= depth);
    }
}

impl SqliteEngine {
    /// Lets sequences start anew.
    pub(super) fn restart_sequences(&mut self, sequences: &[Oid]) -> Result<(), SqlError> {
        for oid in sequences {
            let Some(sequence) = self.schema.catalog.sequences.get(oid) else { continue };
            let counters = self.counters(sequence);
            let counter =
                self.connection.with(|sqlite| counters.start_anew(sequence.id.0, sqlite))?;
            let Some(transaction) = &mut self.transaction else { continue };
            let depth = transaction.savepoints.len();
            transaction.restarted.0.push(Before { depth, sequence: sequence.clone(), counter });
        }
        Ok(())
    }

    /// Text forms of some columns of a row; `None` where one cannot be shown.
    fn key_texts(&self, table: &Table, columns: &[i16], rowid: i64) -> Option<Vec<String>> {
        let columns: Vec<&Column> = columns.iter().filter_map(|it| table.column(*it)).collect();
        let names: Vec<String> =
            columns.iter().map(|column| physical::quote(&column.physical_name)).collect();
        let (database, name) = (table.database(), physical::quote(&table.physical_name));
        let query = format!("SELECT {} FROM {database}.{name} WHERE rowid = ?1", names.join(", "));
        let values = self.connection.with(|sqlite| {
            sqlite.query_row(&query, [rowid], |row| {
                (0..columns.len()).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>()
            })
        });
        let text = |(column, value): (&&Column, &Value)| {
            let datum = match value {
                Value::Null => return None,
                Value::Integer(integer) => DatumRef::Integer(*integer),
                Value::Real(real) => DatumRef::Real(*real),
                Value::Text(text) => DatumRef::Text(text),
                Value::Blob(blob) => DatumRef::Blob(blob),
            };
            self.context.with_types(|types| codec::to_text(column.type_oid, datum, types)).ok()
        };
        columns.iter().zip(values.ok()?.iter()).map(text).collect()
    }

    /// 23503 if a row of one of the tables refers to none, which its foreign keys allow until the transaction ends.
    pub(super) fn check_foreign_keys(&mut self, tables: &[Oid]) -> Result<(), SqlError> {
        let catalog = &self.schema.catalog;
        for table in tables.iter().filter_map(|oid| catalog.table(*oid)) {
            let name = physical::quote(&table.physical_name);
            let check = format!("PRAGMA {}.foreign_key_check({name})", table.database());
            let found = self.connection.with(|sqlite| {
                let mut statement = sqlite.prepare(&check)?;
                let mut rows = statement.query([])?;
                let found = rows.next()?.map(|row| Ok((row.get(1)?, row.get(2)?)));
                found.transpose()
            });
            let found: Option<(i64, String)> =
                found.map_err(|error: rusqlite::Error| internal(&error))?;
            let Some((rowid, parent)) = found else { continue };
            let violated = table.foreign_keys.iter().find(|key| {
                catalog.table(key.references).is_some_and(|it| it.physical_name == parent)
            });
            if let Some(key) = violated {
                let side = ForeignKeySide::Referencing;
                let values = self.key_texts(table, &key.columns, rowid);
                return Err(foreign_key_error(catalog, table, key, side, values.as_deref()));
            }
        }
        Ok(())
    }
}
