//! Transactions that have left the log, made again from what is left of them in the tables.
//!
//! A node that comes empty needs all there is, and the log does not reach back. But each row's clock says which transaction
//! wrote what of it. So for a version below the trimmed position a changeset is made of the cells and sentinels that still
//! bear its stamp; what it wrote besides has been overwritten by transactions that the asker gets as well, or was deleted.
//! Most such changesets are empty. Who applies them all has the same rows as who applied the originals.
//!
//! ```text
//!   log      A:1 {r1.a r1.b}  A:2 {r1.a}  B:1 {r1.b r2.a}      trimmed
//!   tables   r1.a by A:2   r1.b by B:1   r2.a by B:1
//!   made     A:1 {}           A:2 {r1.a}  B:1 {r1.b r2.a}
//! ```
//!
//! Which rows bear a version's stamps is found by one pass over all clocks, into a temporary table that is used until the
//! log is trimmed beyond it. What is sent is read afterwards, so it is never older than the pass, and what changed since
//! bears a stamp that is still in the log.
//!
//! # Who may have it
//! Rows whose deletion was forgotten are in no such changeset. A node that has such a row would keep it for ever, so
//! one that asks from a version below a forgotten deletion of that origin is refused, unless it began at nothing: it asks
//! after version 0, or after the end of an answer that was given in the last [`CONTINUE_US`].
//!
//! # Bounds
//! The temporary table has an entry per row and transaction that left a stamp on it, some 30 bytes, in a file of SQLite's.
//! [`ENDS_MAX`] answers are remembered.
//!
//! # Left out
//! The time of the commits, and messages. A transaction whose remains exceed one changeset cannot be served.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rusqlite::types::Value as SqliteValue;
use rusqlite::{Connection, params};

use super::clocks::{Clocks, RowKey, bind, dead_get, value_of};
use super::error::{Result, StoreError};
use super::hidden;
use super::log::{self, LogSlice};
use super::merge::own_rowid;
use super::registry::{Registry, RowIdentity, Table};
use crate::crdt::{Block, RowClock, Stamp, pack, unpack};
use crate::types::{DbVersion, EncodedChangeset, Heads, SiteId, Value};
use crate::wire::{ChangesetWriter, RowShape};

/// How long an answer may be continued, microseconds.
const CONTINUE_US: u64 = 600_000_000;

/// Answers that are remembered; beyond it the oldest cannot be continued.
const ENDS_MAX: usize = 4_096;

/// What an empty changeset counts for in an answer's size (bytes).
const CHANGESET_OVERHEAD: usize = 64;

/// Makes trimmed transactions again.
pub(super) struct History {
    /// With the temporary table of stamps; reads nothing between two calls.
    sqlite: Connection,
    /// Per origin, the last trimmed version when the clocks were read.
    upto: Heads,
    /// Ends of answers to those who began at nothing, with the time they were given.
    ends: VecDeque<(u64, SiteId, DbVersion)>,
}

impl History {
    pub(super) fn new(sqlite: Connection) -> Self {
        Self { sqlite, upto: Heads::new(), ends: VecDeque::new() }
    }

    /// Transactions of `origin` after `after` that the log no longer has, until `max_bytes` are reached.
    pub(super) fn read(
        &mut self,
        registry: &Registry,
        (origin, after): (SiteId, DbVersion),
        max_bytes: usize,
    ) -> Result<LogSlice> {
        let Some(ordinal) = registry.ordinal(origin) else {
            return Ok(LogSlice::Changesets(Vec::new()));
        };
        let trimmed = log::trimmed(&self.sqlite, ordinal)?;
        let refused = LogSlice::Trimmed { first: trimmed.version.next() };
        if after >= trimmed.version {
            return Ok(refused);
        }
        let began_at_nothing = self.continues(origin, after);
        if after < trimmed.forgotten && !began_at_nothing {
            return Ok(refused);
        }
        if self.upto.get(&origin).is_none_or(|upto| after >= *upto) {
            self.read_clocks(registry)?;
        }
        let upto = self.upto.get(&origin).copied().unwrap_or_default();
        let (mut changesets, mut bytes, mut version) = (Vec::new(), 0, after);
        while version < upto && bytes < max_bytes {
            version = version.next();
            let body = self.changeset(registry, ordinal, version)?;
            bytes += body.len() + CHANGESET_OVERHEAD;
            changesets.push(EncodedChangeset::whole(origin, version, body));
        }
        if began_at_nothing {
            self.remember_end(origin, version);
        }
        Ok(LogSlice::Changesets(changesets))
    }

    fn continues(&self, origin: SiteId, after: DbVersion) -> bool {
        let now_us = super::now_us();
        let fresh = |at_us: u64| now_us.saturating_sub(at_us) < CONTINUE_US;
        let ended = |(at_us, site, version): &(u64, SiteId, DbVersion)| {
            (*site, *version) == (origin, after) && fresh(*at_us)
        };
        after.0 == 0 || self.ends.iter().any(ended)
    }

    fn remember_end(&mut self, origin: SiteId, version: DbVersion) {
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back((super::now_us(), origin, version));
    }

    /// Notes which rows bear stamps of trimmed transactions.
    fn read_clocks(&mut self, registry: &Registry) -> Result<()> {
        self.sqlite.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS stamped (
                 origin INTEGER NOT NULL, version INTEGER NOT NULL, system INTEGER NOT NULL,
                 table_ordinal INTEGER NOT NULL, key ANY NOT NULL,
                 PRIMARY KEY (origin, version, system, table_ordinal, key)) STRICT, WITHOUT ROWID;
             BEGIN; DELETE FROM temp.stamped;",
        )?;
        let noted = self.note_all(registry);
        match noted {
            Ok(upto) => {
                self.sqlite.execute_batch("COMMIT")?;
                self.upto = upto;
                Ok(())
            }
            Err(error) => {
                self.upto.clear();
                self.sqlite.execute_batch("ROLLBACK")?;
                Err(error)
            }
        }
    }

    fn note_all(&self, registry: &Registry) -> Result<Heads> {
        let trimmed = log::all_trimmed(&self.sqlite)?;
        for table in registry.tables() {
            self.note_blocks(table, &trimmed)?;
            if table.has_dead_table() {
                let select =
                    format!("SELECT pk, origin, version FROM trellis_dead_{}", table.ordinal);
                let mut select = self.sqlite.prepare(&select)?;
                let mut rows = select.query([])?;
                while let Some(row) = rows.next()? {
                    let version = row.get::<_, i64>(2)?.cast_unsigned();
                    let stamp = Stamp { origin: row.get(1)?, version, seq: 0 };
                    self.note(table, &trimmed, &SqliteValue::Blob(row.get(0)?), [stamp])?;
                }
            }
            for pk in hidden::keys(&self.sqlite, table)? {
                if let Some(row) = hidden::get(&self.sqlite, table, &pk)? {
                    self.note(table, &trimmed, &SqliteValue::Blob(pk), stamps(&row.clock))?;
                }
            }
        }
        let named = trimmed.into_iter().map(|(origin, version)| (registry.site(origin), version));
        Ok(named.collect())
    }

    fn note_blocks(&self, table: &Table, trimmed: &BTreeMap<u32, DbVersion>) -> Result<()> {
        let select = format!("SELECT block, body FROM trellis_clock_{}", table.ordinal);
        let mut select = self.sqlite.prepare(&select)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (block, body): (SqliteValue, Vec<u8>) = (row.get(0)?, row.get(1)?);
            for (slot, clock) in Block::decode(&body)?.rows() {
                let key = match &block {
                    SqliteValue::Integer(block) => {
                        let first = block.wrapping_mul(i64::from(table.rows_per_block));
                        SqliteValue::Integer(first.wrapping_add(i64::from(slot)))
                    }
                    packed => packed.clone(),
                };
                self.note(table, trimmed, &key, stamps(clock))?;
            }
        }
        Ok(())
    }

    fn note(
        &self,
        table: &Table,
        trimmed: &BTreeMap<u32, DbVersion>,
        key: &SqliteValue,
        stamps: impl IntoIterator<Item = Stamp>,
    ) -> Result<()> {
        let mut insert = self
            .sqlite
            .prepare_cached("INSERT OR IGNORE INTO temp.stamped VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let all: BTreeSet<_> =
            stamps.into_iter().map(|stamp| (stamp.origin, stamp.version)).collect();
        for (origin, version) in all {
            if trimmed.get(&origin).is_some_and(|upto| version <= upto.0) {
                let version = version.cast_signed();
                insert.execute(params![origin, version, !table.system, table.ordinal, key])?;
            }
        }
        Ok(())
    }

    /// What is left of a transaction.
    fn changeset(
        &self,
        registry: &Registry,
        origin: u32,
        version: DbVersion,
    ) -> Result<bytes::Bytes> {
        let mut writer = ChangesetWriter::new(0, &[])?;
        let mut select = self.sqlite.prepare_cached(
            "SELECT table_ordinal, key FROM temp.stamped WHERE origin = ?1 AND version = ?2
             ORDER BY system, table_ordinal, key",
        )?;
        let mut rows = select.query(params![origin, version.0.cast_signed()])?;
        let mut open: Option<(&Table, Clocks<'_>)> = None;
        while let Some(row) = rows.next()? {
            let (ordinal, key): (u32, SqliteValue) = (row.get(0)?, row.get(1)?);
            // A table that was dropped since has nothing left.
            let Some(table) = registry.by_ordinal(ordinal) else { continue };
            if open.as_ref().is_none_or(|(present, _)| present.ordinal != ordinal) {
                if open.is_some() {
                    writer.end_table();
                }
                writer.begin_table(table.id, table.cells.iter().map(|cell| cell.id));
            }
            let (table, mut clocks) = match open.take().filter(|(it, _)| it.ordinal == ordinal) {
                Some(present) => present,
                None => (table.as_ref(), Clocks::new(&self.sqlite, table)),
            };
            let stamp = (origin, version.0);
            if let Some(found) = find(&self.sqlite, table, &mut clocks, &key)? {
                found.write(&mut writer, table, stamp)?;
            }
            open = Some((table, clocks));
        }
        if open.is_some() {
            writer.end_table();
        }
        Ok(writer.finish())
    }
}

/// All stamps of a clock.
fn stamps(clock: &RowClock) -> impl Iterator<Item = Stamp> + '_ {
    clock.sentinel.into_iter().chain(clock.runs().iter().map(|run| run.stamp))
}

/// A row as it is at present.
struct Found {
    pk: Vec<u8>,
    clock: RowClock,
    /// Its cells, if it lives.
    cells: Option<Vec<Value>>,
}

fn find(
    sqlite: &Connection,
    table: &Table,
    clocks: &mut Clocks<'_>,
    key: &SqliteValue,
) -> Result<Option<Found>> {
    match key {
        SqliteValue::Integer(row) => {
            let Some(clock) = clocks.get(RowKey::Number(*row))?.cloned() else { return Ok(None) };
            let dead = (!clock.is_alive()).then(|| pack([crate::types::ValueRef::Integer(*row)]));
            read_row(sqlite, table, RowKey::Number(*row), &[Value::Integer(*row)], clock, dead)
        }
        SqliteValue::Blob(pk) => {
            if let Some(row) = hidden::get(sqlite, table, pk)? {
                let (clock, cells) = (row.clock, Some(row.cells));
                return Ok(Some(Found { pk: pk.clone(), clock, cells }));
            }
            if table.has_dead_table() {
                let dead = dead_get(sqlite, table, pk)?;
                return Ok(dead.map(|clock| Found { pk: pk.clone(), clock, cells: None }));
            }
            let values = unpack(pk)?;
            let place = match own_rowid(table, &values) {
                Some(row) => RowKey::Number(row),
                None => RowKey::Packed(pk),
            };
            let Some(clock) = clocks.get(place)?.cloned() else { return Ok(None) };
            let dead = (!clock.is_alive()).then(|| pk.clone());
            read_row(sqlite, table, place, &values, clock, dead)
        }
        _ => Err(StoreError::Damaged("a stamped row without key".into())),
    }
}

/// Reads a row that lives; one that does not has the packed key `dead`.
fn read_row(
    sqlite: &Connection,
    table: &Table,
    place: RowKey<'_>,
    key: &[Value],
    clock: RowClock,
    dead: Option<Vec<u8>>,
) -> Result<Option<Found>> {
    if let Some(pk) = dead {
        return Ok(Some(Found { pk, clock, cells: None }));
    }
    let mut select = sqlite.prepare_cached(&table.sql.select_rows)?;
    bind(&mut select, 1, key.iter().map(Value::as_ref))?;
    if let (RowKey::Number(row), true) = (place, table.identity != RowIdentity::WithoutRowid) {
        select.raw_bind_parameter(2, row)?;
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else { return Ok(None) };
    let value = |place| Ok(value_of(row, place)?.to_value());
    let first = 1 + table.key.len();
    let pk = (1..first).map(value).collect::<Result<Vec<Value>>>()?;
    let cells = (first..first + table.cells.len()).map(value).collect::<Result<_>>()?;
    Ok(Some(Found { pk: pack(pk.iter().map(Value::as_ref)), clock, cells: Some(cells) }))
}

impl Found {
    /// Writes what bears the stamp, if anything does.
    fn write(&self, writer: &mut ChangesetWriter, table: &Table, stamp: (u32, u64)) -> Result<()> {
        let bears = |it: &Stamp| (it.origin, it.version) == stamp;
        let mut shape = RowShape {
            causal_length: self.clock.causal_length,
            sentinel: self.clock.sentinel.as_ref().is_some_and(bears),
            cells: Vec::new(),
        };
        let mut values = Vec::new();
        for (index, column) in (0u32..).zip(&table.cells) {
            let cell = self.clock.cell(column.ordinal).filter(|cell| bears(&cell.stamp));
            let value = self.cells.as_ref().and_then(|cells| cells.get(index as usize));
            if let Some((cell, value)) = cell.zip(value) {
                shape.cells.push((index, cell.col_version));
                values.push(value);
            }
        }
        if shape.sentinel || !shape.cells.is_empty() {
            writer.row(&shape, &self.pk)?;
            values.into_iter().try_for_each(|value| writer.value(value.as_ref()))?;
        }
        Ok(())
    }
}
