//! The whole state at one cut, for a node that the log no longer serves.
//!
//! A node that comes empty, or was away for longer than the log reaches, is given every row with its clock as they are at
//! one moment, and the heads at that moment; from there on the log of any peer serves it. All of it comes from one node:
//! what one has forgotten (`collect.rs`) another may still have to tell, so parts of two states do not make a third.
//!
//! ```text
//!   chunk 0    heads, floors, what is forgotten          wire::StateHead
//!   chunk 1..  tables, system tables first; of each
//!              its rows and tombstones by block, then
//!              tombstones by key, then hidden rows       wire::StateWriter
//! ```
//!
//! The cut is a read transaction of SQLite's on a connection of its own: writers go on, the write-ahead log grows meanwhile.
//! Chunks are made as they are asked for. Where each begins is remembered, so who has lost a connection asks for the rest.
//!
//! # Invariants
//! 1. A state is that of one SQLite snapshot, whose transactions are all durable: nothing is told that could be lost.
//! 2. A chunk is the same whenever it is made.
//!
//! # Bounds
//! [`SNAPSHOTS_MAX`] at once; further ones are refused for the moment. One that nobody has asked for in [`IDLE`], or
//! [`IDLE_AT_END`], is given up, and so are all when the write-ahead log has outgrown [`LOG_BYTES`] and the database: who was reading starts over. A
//! chunk is full at [`v1::CHUNK_BYTES`](crate::wire::v1::CHUNK_BYTES), and holds at most one row, or [`PIECE_BYTES`] and a
//! value of it, more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::types::Value as SqliteValue;

use super::clocks::{RowKey, bind, dead_get, value_of};
use super::connection::open_sqlite;
use super::core::Core;
use super::error::{Result, StoreError};
use super::hidden;
use super::log;
use super::merge::own_rowid;
use super::registry::{Registry, RowIdentity, Table};
use crate::crdt::{Block, RowClock, Stamp, pack, unpack};
use crate::types::{Chunk, SiteId, StateChunk, TransferId, Value, ValueRef};
use crate::wire::{StateCell, StateHead, StateOrigin, StateRow, StateStamp, StateWriter};

/// Snapshots that are read at once.
const SNAPSHOTS_MAX: usize = 4;

/// How long a snapshot waits for who is reading it.
const IDLE: Duration = Duration::from_secs(60);

/// How long it waits when its last chunk was made: for who did not get it.
const IDLE_AT_END: Duration = Duration::from_secs(5);

/// Bytes of the write-ahead log that snapshots may cost, or as many as the database has.
const LOG_BYTES: u64 = 1 << 30;

/// Bytes of values after which a row goes on in another chunk.
const PIECE_BYTES: usize = 64 << 20;

/// A stretch of a state.
#[derive(Clone, Debug)]
pub enum StateSlice {
    /// Consecutive chunks, from the one asked for; none after the last.
    Chunks(Vec<StateChunk>),
    /// The snapshot is not there any more: start over.
    Gone,
    /// Too many are being read: ask later.
    Busy,
}

/// Snapshots that are being read.
#[derive(Default)]
pub(super) struct Snapshots(Vec<Snapshot>);

struct Snapshot {
    /// Who reads it.
    reader: (SiteId, TransferId),
    sqlite: Connection,
    registry: Arc<Registry>,
    /// The tables, in the order in which they are sent.
    tables: Vec<Arc<Table>>,
    /// Where the chunks after the head begin, as far as they were made; the last of all is followed by none.
    starts: Vec<Option<Place>>,
    used_at: Instant,
}

/// Where in the state a chunk begins: after the row with that key, or in it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Place {
    /// Index of the table.
    table: usize,
    part: Part,
    /// The block, or the row's packed key; none before the first.
    key: Option<SqliteValue>,
    /// The slot in the block from which on rows are to be sent.
    slot: u8,
    /// How many of the row's cells have been sent.
    cells: usize,
}

/// Which of a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// Those with a clock in a block.
    #[default]
    Blocks,
    /// Tombstones of tables with hidden rowids.
    Dead,
    /// Rows that conflict with visible ones.
    Hidden,
}

impl Part {
    fn next(self) -> Option<Self> {
        match self {
            Self::Blocks => Some(Self::Dead),
            Self::Dead => Some(Self::Hidden),
            Self::Hidden => None,
        }
    }
}

impl Snapshots {
    /// See [`super::Store::read_state`].
    pub(super) fn read(
        &mut self,
        core: &Core,
        reader: (SiteId, TransferId),
        chunks: u32,
        max_bytes: usize,
    ) -> Result<StateSlice> {
        self.expire(core)?;
        let place = match self.0.iter().position(|snapshot| snapshot.reader == reader) {
            Some(place) => place,
            None if chunks > 0 => return Ok(StateSlice::Gone),
            None => {
                // A node reads one state at a time.
                self.0.retain(|snapshot| snapshot.reader.0 != reader.0);
                if self.0.len() >= SNAPSHOTS_MAX {
                    let Some(read) = self.0.iter().position(Snapshot::is_made) else {
                        return Ok(StateSlice::Busy);
                    };
                    self.0.remove(read);
                }
                self.0.push(Snapshot::open(core, reader)?);
                self.0.len() - 1
            }
        };
        let Some(snapshot) = self.0.get_mut(place) else { return Ok(StateSlice::Gone) };
        snapshot.used_at = Instant::now();
        let (mut read, mut bytes) = (Vec::new(), 0);
        for index in chunks..=u32::MAX {
            let Some(chunk) = snapshot.chunk(index)? else { break };
            bytes += chunk.body.len();
            let is_last = chunk.chunk.is_last;
            read.push(chunk);
            if is_last || bytes >= max_bytes {
                break;
            }
        }
        Ok(StateSlice::Chunks(read))
    }

    /// Gives up what nobody reads, and all if the write-ahead log has grown too large.
    pub(super) fn expire(&mut self, core: &Core) -> Result<()> {
        self.0.retain(|snapshot| {
            let idle = if snapshot.is_made() { IDLE_AT_END } else { IDLE };
            snapshot.used_at.elapsed() < idle
        });
        let Some(first) = self.0.first() else { return Ok(()) };
        let number = |pragma: &str| first.sqlite.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let (pages, page) = (number("PRAGMA page_count")?, number("PRAGMA page_size")?);
        let allowed = LOG_BYTES.max(pages.saturating_mul(page).cast_unsigned());
        let log_bytes = (core.wal_frames() as u64).saturating_mul(page.cast_unsigned());
        if log_bytes > allowed {
            tracing::warn!(log_bytes, "state transfers are given up: the log grows too large");
            self.0.clear();
        }
        Ok(())
    }
}

impl Snapshot {
    fn open(core: &Core, reader: (SiteId, TransferId)) -> Result<Self> {
        let sqlite = open_sqlite(core)?;
        if let Some(on_connect) = &core.options.on_connect {
            on_connect(&sqlite)?;
        }
        sqlite.execute_batch("BEGIN")?;
        let registry = Arc::new(Registry::load(&sqlite)?);
        // Who is told of a transaction could be the only one to know it after a power failure here.
        core.durability.settle(&core.lease)?;
        let mut tables = registry.tables().to_vec();
        tables.sort_by_key(|table| (!table.system, table.ordinal));
        let starts = vec![Some(Place::default())];
        Ok(Self { reader, sqlite, registry, tables, starts, used_at: Instant::now() })
    }

    /// Whether all chunks were made.
    fn is_made(&self) -> bool {
        matches!(self.starts.last(), Some(None))
    }

    /// Makes a chunk, if there is one of that index; those before it have been made.
    fn chunk(&mut self, index: u32) -> Result<Option<StateChunk>> {
        let Some(part) = index.checked_sub(1) else {
            let chunk = Chunk { index, is_last: false };
            return Ok(Some(StateChunk { chunk, body: self.head()?.encode() }));
        };
        let part = part as usize;
        let Some(Some(start)) = self.starts.get(part).cloned() else { return Ok(None) };
        let (body, next) = self.part(start)?;
        let chunk = Chunk { index, is_last: next.is_none() };
        if self.starts.len() == part + 1 {
            self.starts.push(next);
        }
        Ok(Some(StateChunk { chunk, body }))
    }

    fn head(&self) -> Result<StateHead> {
        let log = log::load(&self.sqlite, &self.registry)?;
        let mut origins = Vec::new();
        for (ordinal, site) in (0..).zip(self.registry.sites()) {
            let version = log.heads.get(site).copied().unwrap_or_default();
            let forgotten = log::forgotten(&self.sqlite, ordinal)?;
            let content = log.content(&self.sqlite, &self.registry, (*site, version))?;
            origins.push(StateOrigin { site: *site, version, forgotten, content });
        }
        let floors = self.tables.iter().map(|table| (table.id, table.floor));
        Ok(StateHead { origins, floors: floors.filter(|(_, floor)| *floor > 0).collect() })
    }

    /// Makes the part that begins at `place`; returns where the next one does.
    fn part(&self, mut place: Place) -> Result<(Bytes, Option<Place>)> {
        let mut writer = StateWriter::default();
        while let Some(table) = self.tables.get(place.table) {
            writer.begin_table(table.id, table.cells.iter().map(|cell| cell.id));
            let mut making = Making { sqlite: &self.sqlite, table, writer: &mut writer };
            let stopped = making.rows(&mut place)?;
            writer.end_table();
            if stopped == Stopped::Full {
                return Ok((writer.finish(), Some(place)));
            }
            place = Place { table: place.table + 1, ..Place::default() };
        }
        Ok((writer.finish(), None))
    }
}

/// Why no more rows of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// There are none.
    End,
    /// The part is full.
    Full,
}

/// A part that is being made.
struct Making<'a> {
    sqlite: &'a Connection,
    table: &'a Table,
    writer: &'a mut StateWriter,
}

impl Making<'_> {
    /// Writes the table's rows from `place` on, and moves it to where they go on.
    fn rows(&mut self, place: &mut Place) -> Result<Stopped> {
        loop {
            let stopped = match place.part {
                Part::Blocks => self.blocks(place)?,
                Part::Dead if self.table.has_dead_table() => self.dead(place)?,
                Part::Dead => Stopped::End,
                Part::Hidden => self.hidden(place)?,
            };
            if stopped == Stopped::Full {
                return Ok(Stopped::Full);
            }
            match place.part.next() {
                Some(part) => *place = Place { table: place.table, part, ..Place::default() },
                None => return Ok(Stopped::End),
            }
        }
    }

    fn blocks(&mut self, place: &mut Place) -> Result<Stopped> {
        // The block at `place` is looked at again for its further slots.
        let sql = format!(
            "SELECT block, body FROM trellis_clock_{} WHERE ?1 IS NULL OR block >= ?1 ORDER BY block",
            self.table.ordinal
        );
        let mut select = self.sqlite.prepare_cached(&sql)?;
        let mut rows = select.query([&place.key])?;
        while let Some(row) = rows.next()? {
            let (block, body): (SqliteValue, Vec<u8>) = (row.get(0)?, row.get(1)?);
            if place.key.as_ref() != Some(&block) {
                (place.key, place.slot, place.cells) = (Some(block.clone()), 0, 0);
            }
            for (slot, clock) in Block::decode(&body)?.rows() {
                if slot < place.slot {
                    continue;
                }
                place.slot = slot;
                let found = self.in_block(&block, slot, clock)?;
                if self.write(found, place)? == Stopped::Full {
                    return Ok(Stopped::Full);
                }
            }
        }
        Ok(Stopped::End)
    }

    /// Writes a row and moves on behind it, or within it.
    fn write(&mut self, found: Option<Found>, place: &mut Place) -> Result<Stopped> {
        if let Some(found) = found {
            match found.write(self.writer, self.table, place.cells)? {
                Some(cells) => {
                    place.cells = cells;
                    return Ok(Stopped::Full);
                }
                None => place.cells = 0,
            }
        }
        place.slot = place.slot.saturating_add(1);
        Ok(if self.writer.is_full() { Stopped::Full } else { Stopped::End })
    }

    fn dead(&mut self, place: &mut Place) -> Result<Stopped> {
        let sql = format!("SELECT pk FROM trellis_dead_{}", self.table.ordinal);
        self.by_key(&sql, place, |making, pk| {
            let dead = dead_get(making.sqlite, making.table, &pk)?;
            Ok(dead.map(|clock| Found { pk, clock, cells: None }))
        })
    }

    fn hidden(&mut self, place: &mut Place) -> Result<Stopped> {
        let sql = format!(
            "SELECT pk FROM (SELECT pk FROM trellis_hidden WHERE table_ordinal = {})",
            self.table.ordinal
        );
        self.by_key(&sql, place, |making, pk| {
            let row = hidden::get(making.sqlite, making.table, &pk)?;
            Ok(row.map(|row| Found { pk, clock: row.clock, cells: Some(row.cells) }))
        })
    }

    /// Writes the rows with the keys that a statement selects.
    fn by_key(
        &mut self,
        sql: &str,
        place: &mut Place,
        find: impl Fn(&Self, Vec<u8>) -> Result<Option<Found>>,
    ) -> Result<Stopped> {
        // A row that is sent in pieces is looked at again, one that is done is not.
        let sql = format!("{sql} WHERE ?1 IS NULL OR pk > ?1 OR pk = ?1 AND ?2 ORDER BY pk");
        let mut select = self.sqlite.prepare_cached(&sql)?;
        let mut rows = select.query((&place.key, place.cells > 0))?;
        while let Some(row) = rows.next()? {
            let pk: Vec<u8> = row.get(0)?;
            place.key = Some(SqliteValue::Blob(pk.clone()));
            let found = find(self, pk)?;
            if self.write(found, place)? == Stopped::Full {
                return Ok(Stopped::Full);
            }
        }
        Ok(Stopped::End)
    }

    /// The row of a slot.
    fn in_block(&self, block: &SqliteValue, slot: u8, clock: &RowClock) -> Result<Option<Found>> {
        let clock = clock.clone();
        match block {
            SqliteValue::Integer(block) => {
                let first = block.wrapping_mul(i64::from(self.table.rows_per_block));
                let row = first.wrapping_add(i64::from(slot));
                let dead = || pack([ValueRef::Integer(row)]);
                self.visible(RowKey::Number(row), &[Value::Integer(row)], clock, dead)
            }
            SqliteValue::Blob(pk) => {
                let values = unpack(pk)?;
                let place = match own_rowid(self.table, &values) {
                    Some(row) => RowKey::Number(row),
                    None => RowKey::Packed(pk),
                };
                self.visible(place, &values, clock, || pk.clone())
            }
            _ => Err(StoreError::Damaged("a block of clocks without key".into())),
        }
    }

    /// Reads a row that lives; one that does not has the packed key `dead`.
    fn visible(
        &self,
        place: RowKey<'_>,
        key: &[Value],
        clock: RowClock,
        dead: impl FnOnce() -> Vec<u8>,
    ) -> Result<Option<Found>> {
        if !clock.is_alive() {
            return Ok(Some(Found { pk: dead(), clock, cells: None }));
        }
        let table = self.table;
        let mut select = self.sqlite.prepare_cached(&table.sql.select_rows)?;
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
}

/// A row as it is at the cut.
struct Found {
    pk: Vec<u8>,
    clock: RowClock,
    /// Its cells, if it lives.
    cells: Option<Vec<Value>>,
}

impl Found {
    /// Writes the row from one of its cells on; returns with which it goes on, if that is too much at once.
    fn write(&self, writer: &mut StateWriter, table: &Table, from: usize) -> Result<Option<usize>> {
        let values = self.cells.as_deref().unwrap_or_default();
        let mut row = StateRow {
            pk: &self.pk,
            causal_length: self.clock.causal_length,
            sentinel: self.clock.sentinel.map(state_stamp),
            cells: Vec::new(),
        };
        let columns = (0..).zip(&table.cells).zip(values).skip(from);
        let mut bytes = 0;
        let mut next = None;
        for (((column, cell), value), place) in columns.zip(from..) {
            if bytes >= PIECE_BYTES {
                next = Some(place);
                break;
            }
            let Some(clock) = self.clock.cell(cell.ordinal) else { continue };
            bytes += bytes_of(value);
            let (col_version, stamp) = (clock.col_version, state_stamp(clock.stamp));
            row.cells.push(StateCell { column, col_version, stamp, value: value.as_ref() });
        }
        if from > 0 {
            row.sentinel = None;
        } else if row.sentinel.is_none() && row.cells.is_empty() {
            // All it ever had were columns that are dropped: that it lives is said by who wrote one of them.
            row.sentinel = self.clock.runs().first().map(|run| state_stamp(run.stamp));
        }
        if row.sentinel.is_some() || !row.cells.is_empty() {
            writer.row(&row);
        }
        Ok(next)
    }
}

fn state_stamp(stamp: Stamp) -> StateStamp {
    StateStamp { origin: stamp.origin, version: stamp.version, seq: stamp.seq }
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
    }
}
