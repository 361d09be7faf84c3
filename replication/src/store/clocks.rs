//! Reads and writes the clocks of a table's rows, one block at a time.
//!
//! Rows come in the order of their keys, so the block of the last row is nearly always that of the next: one block is held
//! decoded, and is written back when another is needed or at the end.

use rusqlite::types::ValueRef as SqliteValue;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{Result, StoreError};
use super::registry::Table;
use crate::crdt::{Block, RowClock, Stamp};
use crate::types::{Value, ValueRef};

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
        }
    }

    /// The clock of a row.
    pub(super) fn get(&mut self, key: RowKey<'_>) -> Result<Option<&RowClock>> {
        let slot = self.load(key)?;
        Ok(self.block.get(slot))
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
        let rows = i64::from(self.table.rows_per_block);
        let (number, packed, slot) = match key {
            RowKey::Number(row) => {
                (row.div_euclid(rows), &[][..], u8::try_from(row.rem_euclid(rows)).unwrap_or(0))
            }
            RowKey::Packed(packed) => (0, packed, 0),
        };
        if self.loaded && self.number == number && self.packed == packed {
            return Ok(slot);
        }
        self.flush()?;
        self.number = number;
        self.packed.clear();
        self.packed.extend_from_slice(packed);
        let mut get = self.sqlite.prepare_cached(&self.table.sql.clock_get)?;
        let decode = |row: &Row<'_>| Ok(Block::decode(row.get_ref(0)?.as_blob()?));
        let block = match key {
            RowKey::Number(_) => get.query_row([number], decode),
            RowKey::Packed(packed) => get.query_row([packed], decode),
        };
        match block.optional()? {
            Some(block) => {
                self.block = block?;
                self.stored = true;
            }
            None => {
                self.block.clear();
                self.stored = false;
            }
        }
        self.loaded = true;
        Ok(slot)
    }

    /// Writes the present block back if it changed.
    pub(super) fn flush(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        let number = rusqlite::types::Value::Integer(self.number);
        let key = if self.packed.is_empty() { number } else { self.packed.clone().into() };
        if self.block.is_empty() {
            if std::mem::take(&mut self.stored) {
                self.sqlite.prepare_cached(&self.table.sql.clock_delete)?.execute([key])?;
            }
            return Ok(());
        }
        self.buffer.clear();
        self.block.encode(&mut self.buffer);
        self.sqlite
            .prepare_cached(&self.table.sql.clock_put)?
            .execute(params![key, self.buffer])?;
        self.stored = true;
        Ok(())
    }
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
    sqlite.prepare_cached(&table.sql.dead_delete)?.execute([pk])?;
    Ok(())
}

/// Whether a table with hidden rowids has any tombstone.
pub(super) fn dead_any(sqlite: &Connection, table: &Table) -> Result<bool> {
    Ok(table.has_dead_table() && sqlite.prepare_cached(&table.sql.dead_any)?.exists([])?)
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
