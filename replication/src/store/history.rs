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
//! # Chunks
//! What is left of a large transaction is made chunk by chunk, as it is asked for. Where each chunk begins is remembered as
//! long as the temporary table is used, so that chunks made at different times are parts of one whole: each covers the same
//! rows whenever it is made. They say, as the time of the commit, when the first of them was made, which tells them from the
//! chunks of another copy; nobody mixes the two.
//!
//! # Bounds
//! One chunk is held in memory. Beginnings of chunks take [`STARTS_BYTES_MAX`]; beyond it all are forgotten, and who has
//! a part of a transaction has to start over. The temporary table has an entry per row and transaction that left a stamp on it, some 30 bytes, in a file of SQLite's.
//! [`ENDS_MAX`] answers are remembered.
//!
//! # Left out
//! The time of the commits, and messages.

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
use crate::types::{Chunk, DbVersion, EncodedChangeset, Heads, Progress, Seq, SiteId, Value};
use crate::wire::{ChangesetWriter, RowShape};

/// How long an answer may be continued, microseconds.
const CONTINUE_US: u64 = 600_000_000;

/// Answers that are remembered; beyond it the oldest cannot be continued.
const ENDS_MAX: usize = 4_096;

/// Bytes of remembered beginnings of chunks.
const STARTS_BYTES_MAX: usize = 8 << 20;

/// What an empty changeset counts for in an answer's size (bytes).
const CHANGESET_OVERHEAD: usize = 64;

/// Makes trimmed transactions again.
pub(super) struct History {
    /// With the temporary table of stamps; reads nothing between two calls.
    sqlite: Connection,
    /// Per origin, the last trimmed version when the clocks were read.
    upto: Heads,
    /// Ends of answers to those who began at nothing, with the time they were given.
    ends: VecDeque<(u64, SiteId, Progress)>,
    /// Transactions that were made in more than one chunk, by the origin's ordinal and version.
    made: BTreeMap<(u32, DbVersion), Made>,
    starts_bytes: usize,
}

/// A transaction that was made in more than one chunk.
struct Made {
    /// What its chunks say.
    committed_at_us: u64,
    /// Where its second and further chunks begin, as far as they were made.
    starts: Vec<Start>,
}

/// Where a chunk begins.
#[derive(Clone)]
struct Start {
    /// After this entry.
    after: Entry,
    /// With this number.
    seq: Seq,
}

impl Start {
    fn bytes(&self) -> usize {
        let key = match &self.after.2 {
            SqliteValue::Blob(key) => key.len(),
            _ => 0,
        };
        size_of::<Self>() + key
    }
}

impl History {
    pub(super) fn new(sqlite: Connection) -> Self {
        let (upto, ends, made) = (Heads::new(), VecDeque::new(), BTreeMap::new());
        Self { sqlite, upto, ends, made, starts_bytes: 0 }
    }

    /// Changesets of `origin` after `after` that the log no longer has, until `max_bytes` are reached.
    pub(super) fn read(
        &mut self,
        registry: &Registry,
        (origin, after): (SiteId, Progress),
        max_bytes: usize,
    ) -> Result<LogSlice> {
        let Some(ordinal) = registry.ordinal(origin) else {
            return Ok(LogSlice::Changesets(Vec::new()));
        };
        let trimmed = log::trimmed(&self.sqlite, ordinal)?;
        let refused = LogSlice::Trimmed { first: trimmed.version.next() };
        if after.version >= trimmed.version {
            return Ok(refused);
        }
        let began_at_nothing = self.continues(origin, after);
        if after.version < trimmed.forgotten && !began_at_nothing {
            return Ok(refused);
        }
        if self.upto.get(&origin).is_none_or(|upto| after.version >= *upto) {
            self.read_clocks(registry)?;
        }
        let upto = self.upto.get(&origin).copied().unwrap_or_default();
        let (mut changesets, mut bytes, mut last) = (Vec::new(), 0, after);
        while last.version < upto && bytes < max_bytes {
            let (version, index) = last.next();
            let Some((body, is_last)) = self.chunk(registry, (ordinal, version), index)? else {
                return Ok(refused);
            };
            bytes += body.len() + CHANGESET_OVERHEAD;
            let chunk = Chunk { index, is_last };
            changesets.push(EncodedChangeset { site: origin, version, chunk, body });
            last = Progress::with(version, chunk);
        }
        if began_at_nothing {
            self.remember_end(origin, last);
        }
        Ok(LogSlice::Changesets(changesets))
    }

    fn continues(&self, origin: SiteId, after: Progress) -> bool {
        let now_us = super::now_us();
        let fresh = |at_us: u64| now_us.saturating_sub(at_us) < CONTINUE_US;
        let ended = |(at_us, site, end): &(u64, SiteId, Progress)| {
            (*site, *end) == (origin, after) && fresh(*at_us)
        };
        after == Progress::default() || self.ends.iter().any(ended)
    }

    fn remember_end(&mut self, origin: SiteId, end: Progress) {
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back((super::now_us(), origin, end));
    }

    /// Notes which rows bear stamps of trimmed transactions.
    fn read_clocks(&mut self, registry: &Registry) -> Result<()> {
        self.forget_starts();
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

    /// A chunk of what is left of a transaction, and whether it is the last one; none if it is not known where it begins.
    fn chunk(
        &mut self,
        registry: &Registry,
        transaction: (u32, DbVersion),
        index: u32,
    ) -> Result<Option<(bytes::Bytes, bool)>> {
        let made = self.made.get(&transaction);
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let start = match place.checked_sub(1) {
            None => None,
            Some(place) => match made.and_then(|made| made.starts.get(place)) {
                Some(start) => Some(start.clone()),
                None => return Ok(None),
            },
        };
        let end = made.and_then(|made| made.starts.get(place)).cloned();
        let committed_at_us = made.map_or_else(unlike_any_other, |made| made.committed_at_us);
        let mut making = Making {
            sqlite: &self.sqlite,
            writer: ChangesetWriter::new(committed_at_us, &[])?,
            open: None,
        };
        if let Some(start) = &start {
            making.writer.skip_to(start.seq);
        }
        let range = (start.map(|start| start.after), end.as_ref().map(|end| &end.after));
        let stopped = making.rows(registry, transaction, range)?;
        let seq = making.writer.next_seq();
        let body = making.finish();
        if let Some(after) = stopped {
            self.remember_start(transaction, place, committed_at_us, Start { after, seq });
            return Ok(Some((body, false)));
        }
        Ok(Some((body, end.is_none())))
    }

    /// Remembers where the chunk after the one at `place` starts. If what came before it was forgotten, this copy is given up:
    /// who fetches it starts over with another.
    fn remember_start(
        &mut self,
        transaction: (u32, DbVersion),
        place: usize,
        committed_at_us: u64,
        it: Start,
    ) {
        if self.starts_bytes > STARTS_BYTES_MAX {
            self.forget_starts();
        }
        if self.made.get(&transaction).map_or(0, |made| made.starts.len()) != place {
            return;
        }
        self.starts_bytes += it.bytes();
        let new = || Made { committed_at_us, starts: Vec::new() };
        self.made.entry(transaction).or_insert_with(new).starts.push(it);
    }

    fn forget_starts(&mut self) {
        self.made.clear();
        self.starts_bytes = 0;
    }
}

/// The present time, with random microseconds: no other node takes it for the time of the same transaction.
fn unlike_any_other() -> u64 {
    const RANDOM_BITS: u64 = (1 << 20) - 1;
    (super::now_us() & !RANDOM_BITS) | (rand::random::<u64>() & RANDOM_BITS)
}

/// An entry of the temporary table: whether of a user's table, table, key.
type Entry = (bool, u32, SqliteValue);

/// A chunk that is being made.
struct Making<'c> {
    sqlite: &'c Connection,
    writer: ChangesetWriter,
    /// The table whose rows are being written.
    open: Option<(&'c Table, Clocks<'c>)>,
}

impl<'c> Making<'c> {
    /// Writes the rows after an entry and up to another, or until the chunk is full. Returns the last entry then.
    fn rows(
        &mut self,
        registry: &'c Registry,
        (origin, version): (u32, DbVersion),
        (after, upto): (Option<Entry>, Option<&Entry>),
    ) -> Result<Option<Entry>> {
        let (system, table, key) = match after {
            Some((system, table, key)) => (system, i64::from(table), key),
            None => (false, -1, SqliteValue::Null),
        };
        let sqlite = self.sqlite;
        let mut select = sqlite.prepare_cached(
            "SELECT system, table_ordinal, key FROM temp.stamped
             WHERE origin = ?1 AND version = ?2 AND (system, table_ordinal, key) > (?3, ?4, ?5)
             ORDER BY system, table_ordinal, key",
        )?;
        let version_number = version.0.cast_signed();
        let mut rows = select.query(params![origin, version_number, system, table, key])?;
        let mut done = None;
        while let Some(row) = rows.next()? {
            if upto.is_none() && self.writer.is_full() {
                return Ok(done);
            }
            let entry: Entry = (row.get(0)?, row.get(1)?, row.get(2)?);
            self.row(registry, (origin, version.0), &entry)?;
            if upto == Some(&entry) {
                break;
            }
            done = Some(entry);
        }
        Ok(None)
    }

    /// Writes what is left of the transaction in a row, if anything is.
    fn row(
        &mut self,
        registry: &'c Registry,
        stamp: (u32, u64),
        (_, ordinal, key): &Entry,
    ) -> Result<()> {
        // A table that was dropped since has nothing left.
        let Some(table) = registry.by_ordinal(*ordinal) else { return Ok(()) };
        if self.open.as_ref().is_none_or(|(open, _)| open.ordinal != *ordinal) {
            if self.open.is_some() {
                self.writer.end_table();
            }
            self.writer.begin_table(table.id, table.cells.iter().map(|cell| cell.id));
            self.open = Some((table, Clocks::new(self.sqlite, table)));
        }
        let Some((table, clocks)) = &mut self.open else { return Ok(()) };
        match find(self.sqlite, table, clocks, key)? {
            Some(found) => found.write(&mut self.writer, table, stamp),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> bytes::Bytes {
        if self.open.is_some() {
            self.writer.end_table();
        }
        self.writer.finish()
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
