//! Forgets rows that were deleted, once everyone knows that they were.
//!
//! A deleted row leaves a tombstone, its causal length and stamp, so that a change made before the deletion loses against it
//! whenever it arrives. When every member has the deletion, and this node has all that they did before they had it, no such
//! change can arrive any more and the tombstone can go. The deletion is then in the trimmed part of the log, so what is
//! looked at is what leaves the log: each deleted row that it names, if its tombstone still bears that transaction's stamp.
//! Nothing is ever searched.
//!
//! # The floor
//! Members forget at different times. A row that is inserted anew where its tombstone is forgotten must not lose against
//! the tombstone that another member still has. Therefore each table keeps a **floor**, the largest causal length it ever
//! forgot, and a key that was never seen, or was forgotten, begins its life above it. Why that is enough: see `trim.rs`.
//!
//! ```text
//!   row 7: inserted 1, deleted 2 ── forgotten here, floor 2 ── inserted again with causal length 3
//!   another member still has 2: 3 is longer, the row lives there as well
//! ```
//!
//! # Invariants
//! 1. A tombstone goes only in the SQLite transaction that raises the floor to its causal length.
//! 2. A live row is never touched.
//!
//! # Sources
//! Causal stability: doi:10.1007/978-3-662-43352-2_11 (pure operation-based CRDTs).

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::chunks::Transaction;
use super::clocks::{Clocks, RowKey, dead_delete, dead_get};
use super::error::Result;
use super::log;
use super::registry::{Entry, Registry, RowIdentity, Table};
use crate::crdt::{RowClock, pack, unpack};
use crate::types::{DbVersion, TableId, Value};
use crate::wire::ChangesetReader;

/// Forgets deleted rows.
pub(super) struct Collector<'c> {
    sqlite: &'c Connection,
    registry: &'c Registry,
    /// The largest causal length forgotten, by table.
    pub floors: BTreeMap<TableId, u64>,
    /// The last version with a forgotten deletion, by the origin's ordinal.
    pub forgotten: BTreeMap<u32, DbVersion>,
    /// Rows forgotten.
    pub tombstones: u64,
}

impl<'c> Collector<'c> {
    pub(super) fn new(sqlite: &'c Connection, registry: &'c Registry) -> Self {
        Self {
            sqlite,
            registry,
            floors: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            tombstones: 0,
        }
    }

    /// Forgets the rows that a transaction deleted and nothing touched since.
    pub(super) fn transaction(&mut self, entry: &log::Entry) -> Result<()> {
        if let Some(body) = &entry.body {
            return self.changeset(entry, body);
        }
        let stored = Transaction { origin: entry.origin, version: entry.version };
        for chunk in 0..stored.count(self.sqlite)? {
            if let Some(body) = stored.body(self.sqlite, chunk)? {
                self.changeset(entry, &body)?;
            }
        }
        Ok(())
    }

    fn changeset(&mut self, entry: &log::Entry, body: &[u8]) -> Result<()> {
        let mut reader = ChangesetReader::new(body)?;
        let mut values = Vec::new();
        while let Some(view) = reader.next_table()? {
            let table = match self.registry.entry(view.table) {
                Some(Entry::Live(table)) => Some(table),
                Some(Entry::Dropped) | None => None,
            };
            let mut clocks = table.map(|table| Clocks::new(self.sqlite, table));
            while let Some(row) = reader.next_row(&view, &mut values)? {
                let deleted = row.shape.causal_length.is_multiple_of(2);
                if let Some((table, clocks)) = table.zip(clocks.as_mut()).filter(|_| deleted) {
                    self.row(table, clocks, row.pk, entry)?;
                }
            }
            clocks.map_or(Ok(()), |mut clocks| clocks.flush())?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        table: &Table,
        clocks: &mut Clocks<'_>,
        pk: &[u8],
        entry: &log::Entry,
    ) -> Result<()> {
        let Ok(key) = unpack(pk) else { return Ok(()) };
        let pk = pack(key.iter().map(Value::as_ref));
        let forgotten = |clock: &RowClock| {
            let stamp = clock.sentinel.filter(|_| !clock.is_alive());
            let here = (entry.origin, entry.version.0);
            stamp.is_some_and(|stamp| (stamp.origin, stamp.version) == here)
        };
        let place = match (table.identity, &key[..]) {
            (RowIdentity::IntegerKey, [Value::Integer(row)]) => RowKey::Number(*row),
            (RowIdentity::WithoutRowid, _) => RowKey::Packed(&pk),
            (RowIdentity::HiddenRowid(_), _) => {
                let Some(dead) = dead_get(self.sqlite, table, &pk)?.filter(&forgotten) else {
                    return Ok(());
                };
                self.note(table, &dead, entry);
                return dead_delete(self.sqlite, table, &pk);
            }
            (RowIdentity::IntegerKey, _) => return Ok(()),
        };
        let Some(dead) = clocks.get(place)?.filter(|clock| forgotten(clock)).cloned() else {
            return Ok(());
        };
        self.note(table, &dead, entry);
        clocks.put(place, None).map(drop)
    }

    fn note(&mut self, table: &Table, dead: &RowClock, entry: &log::Entry) {
        self.tombstones += 1;
        let forgotten = self.forgotten.entry(entry.origin).or_default();
        *forgotten = entry.version.max(*forgotten);
        let floor = self.floors.entry(table.id).or_default();
        *floor = dead.causal_length.max(*floor);
    }
}
