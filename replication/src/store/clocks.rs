//! Reads and writes the clocks of a table's rows, one block at a time.
//!
//! Rows come in the order of their keys, so the block of the last row is nearly always that of the next: one block is held
//! decoded, and is written back when another is needed or at the end. Neighbouring rows that are new together, in a block
//! that has no other, are written without being decoded at all, and neighbours that are updated together, if they are all of
//! their block and were alike, are written as one ([`Clocks::put_alike`]).

use rusqlite::types::ValueRef as SqliteValue;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::error::{Result, StoreError};
use super::registry::{RowIdentity, Table};
use crate::crdt::{AlikeRows, Block, RowClock, Stamp, unpack};
use crate::types::{Value, ValueRef};

/// Blocks that were not there after which the last one is asked for: rows beyond it, as those of a large insert are, have
/// none.
const MISSED_BLOCKS: u32 = 4;

/// A row as its clock is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKey<'a> {
    /// Its rowid.
    Number(i64),
    /// Its packed key, in a table without rowid.
    Packed(&'a [u8]),
}

/// The clocks of one table.
pub(super) struct Clocks<'c> {
    sqlite: &'c Connection,
    table: &'c Table,
    number: i64,
    packed: Vec<u8>,
    block: Block,
    loaded: bool,
    dirty: bool,
    /// Whether the block is in the file.
    stored: bool,
    buffer: Vec<u8>,
    /// Blocks that were looked for and not there.
    missed: u32,
    /// The last block there is, once it was asked for.
    last: Option<i64>,
    /// Reads a block.
    get: Option<CachedStatement<'c>>,
    /// Writes a block.
    put: Option<CachedStatement<'c>>,
}

impl<'c> Clocks<'c> {
    pub(super) fn new(sqlite: &'c Connection, table: &'c Table) -> Self {
        Self {
            sqlite,
            table,
            number: 0,
            packed: Vec::new(),
            block: Block::default(),
            loaded: false,
            dirty: false,
            stored: false,
            buffer: Vec::new(),
            missed: 0,
            last: None,
            get: None,
            put: None,
        }
    }

    /// The clock of a row.
    pub(super) fn get(&mut self, key: RowKey<'_>) -> Result<Option<&RowClock>> {
        let slot = self.load(key)?;
        Ok(self.block.get(slot))
    }

    /// The clock of a row, to be changed.
    pub(super) fn get_mut(&mut self, key: RowKey<'_>) -> Result<Option<&mut RowClock>> {
        let slot = self.load(key)?;
        self.dirty = true;
        Ok(self.block.get_mut(slot))
    }

    /// How many of the `rows` neighbours from `row` on can be written by [`Self::put_alike`]: those in the block of the
    /// first, if no row has a clock there.
    pub(super) fn fresh_rows(&mut self, row: i64, rows: u64) -> Result<u64> {
        let slot = self.load(RowKey::Number(row))?;
        let room = u64::from(self.table.rows_per_block) - u64::from(slot);
        Ok(if self.block.is_empty() { room.min(rows) } else { 0 })
    }

    /// The clocks of the block of `row`, if it is not the present one, that row is its first, its rows are alike and they
    /// are at most `rows`.
    pub(super) fn alike_rows(&mut self, row: i64, rows: u64) -> Result<Option<AlikeRows>> {
        let (number, slot) = self.place(row);
        if self.loaded && self.number == number {
            return Ok(None);
        }
        self.flush()?;
        self.start(RowKey::Number(row), number);
        let fits = |alike: &AlikeRows| alike.slot == slot && alike.rows <= rows;
        let found = self.fetch(RowKey::Number(row), |bytes| {
            Ok(match Block::decode_alike(bytes)?.filter(fits) {
                Some(alike) => Err(alike),
                None => Ok(Block::decode(bytes)?),
            })
        })?;
        self.stored = found.is_some();
        match found {
            Some(Err(alike)) => return Ok(Some(alike)),
            Some(Ok(block)) => self.block = block,
            None => self.block.clear(),
        }
        self.loaded = true;
        Ok(None)
    }

    /// Writes a block that has these rows alone, `row` being the first. [`Self::fresh_rows`] or [`Self::alike_rows`] has
    /// said that it has no others.
    pub(super) fn put_alike(&mut self, row: i64, alike: &AlikeRows) -> Result<()> {
        let (number, _) = self.place(row);
        self.start(RowKey::Number(row), number);
        self.dirty = false;
        self.buffer.clear();
        Block::encode_alike(&mut self.buffer, alike);
        self.write()
    }

    /// Sets or removes the clock of a row; returns the one it had.
    pub(super) fn put(
        &mut self,
        key: RowKey<'_>,
        clock: Option<RowClock>,
    ) -> Result<Option<RowClock>> {
        let slot = self.load(key)?;
        self.dirty = true;
        Ok(self.block.replace(slot, clock))
    }

    /// Makes the row's block the present one; returns the row's slot.
    fn load(&mut self, key: RowKey<'_>) -> Result<u8> {
        let (number, packed, slot) = match key {
            RowKey::Number(row) => {
                let (number, slot) = self.place(row);
                (number, &[][..], slot)
            }
            RowKey::Packed(packed) => (0, packed, 0),
        };
        // Comparing empty slices is not free: their pointers dangle.
        let same_key = packed.is_empty() || self.packed == packed;
        if self.loaded && self.number == number && same_key {
            return Ok(slot);
        }
        self.flush()?;
        self.start(key, number);
        let block = self.fetch(key, |bytes| Ok(Block::decode(bytes)?))?;
        self.stored = block.is_some();
        match block {
            Some(block) => self.block = block,
            None => self.block.clear(),
        }
        self.loaded = true;
        Ok(slot)
    }

    /// A row's slot in its block.
    pub(super) fn slot(&self, row: i64) -> u8 {
        self.place(row).1
    }

    /// A row's block and its slot there.
    fn place(&self, row: i64) -> (i64, u8) {
        let rows = i64::from(self.table.rows_per_block);
        (row.div_euclid(rows), u8::try_from(row.rem_euclid(rows)).unwrap_or(0))
    }

    /// Makes another block the present one, without its contents.
    fn start(&mut self, key: RowKey<'_>, number: i64) {
        self.loaded = false;
        self.number = number;
        self.packed.clear();
        if let RowKey::Packed(packed) = key {
            self.packed.extend_from_slice(packed);
        }
    }

    /// Reads the present block, whose first row is at `key`, if it is in the file.
    fn fetch<T>(
        &mut self,
        key: RowKey<'_>,
        decode: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let number = self.number;
        if self.missed >= MISSED_BLOCKS && matches!(key, RowKey::Number(_)) {
            let last = match self.last {
                Some(last) => last,
                None => *self.last.insert(self.last_block()?),
            };
            if number > last {
                return Ok(None);
            }
        }
        let get = match &mut self.get {
            Some(get) => get,
            None => self.get.insert(self.sqlite.prepare_cached(&self.table.sql.clock_get)?),
        };
        let decode = |row: &Row<'_>| Ok(decode(row.get_ref(0)?.as_blob()?));
        let found = match key {
            RowKey::Number(_) => get.query_row([number], decode),
            RowKey::Packed(packed) => get.query_row([packed], decode),
        };
        let found = found.optional()?.transpose()?;
        self.missed += u32::from(found.is_none());
        Ok(found)
    }

    /// The number of the last block in the file.
    fn last_block(&self) -> Result<i64> {
        let last: Option<i64> = self
            .sqlite
            .prepare_cached(&self.table.sql.clock_last)?
            .query_row([], |row| row.get(0))?;
        Ok(last.unwrap_or(i64::MIN))
    }

    /// Writes the present block back if it changed.
    pub(super) fn flush(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        if !self.block.is_empty() {
            self.buffer.clear();
            self.block.encode(&mut self.buffer);
            return self.write();
        }
        if std::mem::take(&mut self.stored) {
            let mut delete = self.sqlite.prepare_cached(&self.table.sql.clock_delete)?;
            if self.packed.is_empty() {
                delete.execute([self.number])?;
            } else {
                delete.execute([&self.packed])?;
            }
        }
        Ok(())
    }

    /// Writes the encoded block in the buffer.
    fn write(&mut self) -> Result<()> {
        let put = match &mut self.put {
            Some(put) => put,
            None => self.put.insert(self.sqlite.prepare_cached(&self.table.sql.clock_put)?),
        };
        if self.packed.is_empty() {
            put.execute(params![self.number, self.buffer])?;
            self.last = self.last.map(|last| last.max(self.number));
        } else {
            put.execute(params![self.packed, self.buffer])?;
        }
        self.stored = true;
        Ok(())
    }
}

/// The clock of the row with that key, if it is visible.
pub(super) fn clock_of(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<Option<RowClock>> {
    let key = unpack(pk)?;
    let mut clocks = Clocks::new(sqlite, table);
    let place = match (table.identity, &key[..]) {
        (RowIdentity::IntegerKey, [Value::Integer(row)]) => RowKey::Number(*row),
        (RowIdentity::WithoutRowid, _) => RowKey::Packed(pk),
        _ => {
            let mut select = sqlite.prepare_cached(&table.sql.select_rowid)?;
            bind(&mut select, 1, key.iter().map(Value::as_ref))?;
            let mut rows = select.raw_query();
            let Some(row) = rows.next()? else { return Ok(None) };
            RowKey::Number(row.get(0)?)
        }
    };
    Ok(clocks.get(place)?.cloned())
}

/// The tombstone of a key of a table with hidden rowids.
pub(super) fn dead_get(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<Option<RowClock>> {
    let mut get = sqlite.prepare_cached(&table.sql.dead_get)?;
    let clock = get.query_row([pk], |row| {
        let stamp = Stamp {
            origin: row.get(1)?,
            version: row.get::<_, i64>(2)?.cast_unsigned(),
            seq: row.get(3)?,
        };
        Ok(RowClock::new(row.get::<_, i64>(0)?.cast_unsigned(), Some(stamp)))
    });
    Ok(clock.optional()?)
}

/// Writes the tombstone of a key of a table with hidden rowids.
pub(super) fn dead_put(
    sqlite: &Connection,
    table: &Table,
    pk: &[u8],
    clock: &RowClock,
) -> Result<()> {
    table.no_dead.touch();
    let stamp = clock
        .sentinel
        .ok_or_else(|| StoreError::Damaged("a deleted row without sentinel".into()))?;
    sqlite.prepare_cached(&table.sql.dead_put)?.execute(params![
        pk,
        clock.causal_length.cast_signed(),
        stamp.origin,
        stamp.version.cast_signed(),
        stamp.seq,
    ])?;
    Ok(())
}

/// Removes the tombstone of a key of a table with hidden rowids.
pub(super) fn dead_delete(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<()> {
    table.no_dead.touch();
    sqlite.prepare_cached(&table.sql.dead_delete)?.execute([pk])?;
    Ok(())
}

/// Whether a table with hidden rowids has any tombstone.
pub(super) fn dead_any(sqlite: &Connection, table: &Table) -> Result<bool> {
    let ask = || Ok(sqlite.prepare_cached(&table.sql.dead_any)?.exists([])?);
    Ok(table.has_dead_table() && table.no_dead.any(ask)?)
}

/// A result value, borrowed.
pub(super) fn value_of<'r>(row: &'r Row<'_>, index: usize) -> Result<ValueRef<'r>> {
    borrowed(row.get_ref(index)?)
}

/// A value of SQLite's, borrowed.
pub(super) fn borrowed(value: SqliteValue<'_>) -> Result<ValueRef<'_>> {
    Ok(match value {
        SqliteValue::Null => ValueRef::Null,
        SqliteValue::Integer(integer) => ValueRef::Integer(integer),
        SqliteValue::Real(real) => ValueRef::Real(real),
        SqliteValue::Text(text) => {
            let text = std::str::from_utf8(text);
            ValueRef::Text(
                text.map_err(|_invalid| StoreError::Damaged("stored text is not UTF-8".into()))?,
            )
        }
        SqliteValue::Blob(blob) => ValueRef::Blob(blob),
    })
}

/// A value to bind.
pub(super) struct Bound<'a>(pub ValueRef<'a>);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self.0 {
            ValueRef::Null => SqliteValue::Null,
            ValueRef::Integer(integer) => SqliteValue::Integer(integer),
            ValueRef::Real(real) => SqliteValue::Real(real),
            ValueRef::Text(text) => SqliteValue::Text(text.as_bytes()),
            ValueRef::Blob(blob) => SqliteValue::Blob(blob),
        }))
    }
}

/// Binds `values` to parameters from `first` on.
pub(super) fn bind<'v>(
    statement: &mut rusqlite::Statement<'_>,
    first: usize,
    values: impl IntoIterator<Item = ValueRef<'v>>,
) -> Result<()> {
    for (place, value) in (first..).zip(values) {
        statement.raw_bind_parameter(place, Bound(value))?;
    }
    Ok(())
}

/// Binds a row's place in its table to the parameters of its table's `find`.
pub(super) fn bind_find(
    statement: &mut rusqlite::Statement<'_>,
    key: RowKey<'_>,
    key_values: &[Value],
) -> Result<()> {
    match key {
        RowKey::Number(row) => Ok(statement.raw_bind_parameter(1, row)?),
        RowKey::Packed(_) => bind(statement, 1, key_values.iter().map(Value::as_ref)),
    }
}
