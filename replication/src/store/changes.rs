//! `crsql_changes`: the present clocks and values, one row per cell and sentinel, in cr-sqlite's columns.
//!
//! Rows are the current state, not history: an overwritten cell is there with its last writer only. What a transaction has
//! changed shows once it has committed. Reading goes block by block and keeps one block's rows in memory; an `ORDER BY` is
//! sorted by SQLite.
//!
//! Inserting a row merges it by the same rules as a changeset, inside a write transaction that changes nothing else. Such
//! an import has no place in the log: it is merged here, moves no head, and other nodes hear of it only by being given it
//! too. `ts` is read as `'0'` and ignored when inserted. A value may be given as text in `val_text` instead of `val`; what
//! type it has then is said by the column that it is for.
//!
//! # Sources
//! cr-sqlite 0.17, `crsql_changes`: columns, sentinel `-1`, what is emitted when.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::sync::Arc;

use rusqlite::types::Value as SqliteValue;
use rusqlite::{Connection, OptionalExtension};

use super::capture::{Capture, Mode};
use super::clocks::{bind, borrowed, value_of};
use super::core::Core;
use super::error::{Result, StoreError};
use super::ffi::{RowCursor, RowTable, register_row_table};
use super::functions;
use super::merge::{MergeError, TableMerger};
use super::registry::{Column, Registry, RowIdentity, Table};
use crate::crdt::{Block, IncomingCell, IncomingRow, RowClock, Stamp, pack, unpack};
use crate::types::{SiteId, Value, ValueRef};

/// The column id of sentinels.
const SENTINEL: &str = "-1";

/// Registers the table and the functions on a connection.
pub(super) fn register(
    sqlite: &Connection,
    capture: &Arc<Capture>,
    core: &Arc<Core>,
) -> Result<()> {
    functions::register(sqlite, core)?;
    let table = ChangesTable { capture: Arc::clone(capture), core: Arc::clone(core) };
    Ok(register_row_table(sqlite, c"crsql_changes", Arc::new(table))?)
}

struct ChangesTable {
    capture: Arc<Capture>,
    core: Arc<Core>,
}

impl RowTable for ChangesTable {
    fn schema(&self) -> &'static CStr {
        c"CREATE TABLE crsql_changes(\"table\" TEXT, pk BLOB, cid TEXT, val, col_version INTEGER, db_version INTEGER,
            site_id BLOB, cl INTEGER, seq INTEGER, ts TEXT, val_text TEXT HIDDEN)"
    }

    fn open(&self) -> Box<dyn RowCursor> {
        let in_write = self.capture.state().mode != Mode::Idle;
        let registry = if in_write {
            Arc::clone(&self.capture.state().registry)
        } else {
            self.core.registry()
        };
        Box::new(ChangesCursor {
            capture: Arc::clone(&self.capture),
            registry,
            table: 0,
            part: Part::Blocks,
            last: SqliteValue::Null,
            buffer: VecDeque::new(),
        })
    }

    fn insert(&self, values: Vec<SqliteValue>) -> rusqlite::Result<()> {
        let change = Change::read(values).ok_or_else(|| module_error("malformed change"))?;
        self.merge(&change).map_err(module_error)
    }
}

fn module_error(error: impl std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::ModuleError(error.to_string())
}

/// A row as it is inserted.
struct Change {
    table: String,
    pk: Vec<u8>,
    cid: String,
    value: SqliteValue,
    col_version: u64,
    db_version: u64,
    site: SiteId,
    causal_length: u64,
    seq: u32,
    /// The value as text, instead of `value`.
    value_text: Option<String>,
}

impl Change {
    /// Checks types and ranges.
    fn read(values: Vec<SqliteValue>) -> Option<Self> {
        let mut values = values.into_iter();
        let text = |values: &mut std::vec::IntoIter<SqliteValue>| match values.next() {
            Some(SqliteValue::Text(text)) => Some(text),
            _ => None,
        };
        let blob = |values: &mut std::vec::IntoIter<SqliteValue>| match values.next() {
            Some(SqliteValue::Blob(blob)) => Some(blob),
            _ => None,
        };
        let number = |values: &mut std::vec::IntoIter<SqliteValue>, least: u64| match values.next()
        {
            Some(SqliteValue::Integer(number)) => {
                u64::try_from(number).ok().filter(|number| *number >= least)
            }
            _ => None,
        };
        let change = Self {
            table: text(&mut values)?,
            pk: blob(&mut values)?,
            cid: text(&mut values)?,
            value: values.next()?,
            col_version: number(&mut values, 0)?,
            db_version: number(&mut values, 1)?,
            site: SiteId(blob(&mut values)?.try_into().ok()?),
            causal_length: number(&mut values, 1)?,
            seq: u32::try_from(number(&mut values, 0)?).ok()?,
            // What is between is `ts`.
            value_text: match values.nth(1) {
                Some(SqliteValue::Text(text)) => Some(text),
                _ => None,
            },
        };
        let sentinel = change.cid == SENTINEL;
        (!sentinel || change.col_version == change.causal_length).then_some(change)
    }
}

impl ChangesTable {
    fn merge(&self, change: &Change) -> Result<(), MergeError> {
        let mut registry = {
            let mut state = self.capture.state();
            if state.mode == Mode::Idle || !state.log.events.is_empty() {
                let reason = "changes are inserted in a write transaction of their own";
                return Err(StoreError::TransactionState(reason).into());
            }
            state.mode = Mode::Suspended;
            Arc::clone(&state.registry)
        };
        let merged = self.capture.with_inner(|sqlite| {
            if registry.ordinal(change.site).is_none() {
                Arc::make_mut(&mut registry).add_site(sqlite, change.site)?;
            }
            Ok(merge_change(sqlite, &self.capture, &registry, change))
        });
        let mut state = self.capture.state();
        state.mode = Mode::Tracking;
        // What is merged is not among the events, so the transaction cannot be put aside and repeated from them.
        state.untracked = true;
        if !Arc::ptr_eq(&state.registry, &registry) {
            state.set_registry(registry);
        }
        merged?
    }
}

fn merge_change(
    sqlite: &Connection,
    capture: &Capture,
    registry: &Registry,
    change: &Change,
) -> Result<(), MergeError> {
    let malformed = |reason: &str| MergeError::Malformed(format!("{reason} of {}", change.table));
    if change.table.starts_with("trellis_") {
        return Err(malformed("no import into the server's own tables"));
    }
    let index =
        registry.index_of(change.table.as_bytes()).ok_or_else(|| malformed("no registration"))?;
    let table = registry.tables().get(index).ok_or_else(|| malformed("no registration"))?;
    let origin = registry.ordinal(change.site).unwrap_or_default();
    let mut value = borrowed((&change.value).into())?;
    let given;
    let is_sentinel = change.cid == SENTINEL || change.causal_length.is_multiple_of(2);
    let mut cells = Vec::new();
    if !is_sentinel {
        let column = table.cells.iter().find(|cell| cell.name == change.cid);
        let column = column.ok_or_else(|| malformed("no such column"))?;
        if let Some(text) = &change.value_text {
            given = value_of_text(column, text).ok_or_else(|| malformed("no value"))?;
            value = given.as_ref();
        }
        cells.push(IncomingCell {
            column: column.ordinal,
            col_version: change.col_version,
            seq: change.seq,
            value,
        });
    }
    let incoming = IncomingRow {
        origin,
        site: change.site,
        version: change.db_version,
        causal_length: change.causal_length,
        sentinel: is_sentinel.then_some(change.seq),
        birth: false,
        cells: &cells,
    };
    let mut merger = TableMerger::new(sqlite, capture, registry, table)?;
    merger.merge(&change.pk, &incoming)?;
    // What is inserted here is no transaction of the log, and nobody is told of it.
    merger.finish()?;
    Ok(())
}

/// The value that `crsql_value_text` shows as this text in that column.
fn value_of_text(column: &Column, text: &str) -> Option<Value> {
    Some(match column.declared.as_str() {
        "INT" | "INTEGER" => Value::Integer(text.parse().ok()?),
        "REAL" => Value::Real(text.parse().ok().filter(|real: &f64| !real.is_nan())?),
        // Floating point numbers, and NaN as text.
        "ANY" => match text.parse::<f64>() {
            Ok(real) if !real.is_nan() => Value::Real(real),
            _ => Value::Text(text.to_owned()),
        },
        "BLOB" => Value::Blob(functions::unhex(text.strip_prefix("\\x")?)?),
        _ => Value::Text(text.to_owned()),
    })
}

/// Which of a table's clocks are read.
enum Part {
    Blocks,
    Dead,
}

struct ChangesCursor {
    capture: Arc<Capture>,
    registry: Arc<Registry>,
    /// Place among the registry's tables.
    table: usize,
    part: Part,
    /// Block, or key of the tombstone, that was read last; NULL before the first.
    last: SqliteValue,
    /// Rows of that block that are still to be given out.
    buffer: VecDeque<Vec<SqliteValue>>,
}

impl RowCursor for ChangesCursor {
    fn next_row(&mut self) -> rusqlite::Result<Option<Vec<SqliteValue>>> {
        loop {
            if let Some(row) = self.buffer.pop_front() {
                return Ok(Some(row));
            }
            let registry = Arc::clone(&self.registry);
            let Some(table) = registry.tables().get(self.table) else {
                return Ok(None);
            };
            let capture = Arc::clone(&self.capture);
            let more = capture.with_inner(|sqlite| match self.part {
                Part::Blocks => self.read_block(sqlite, table),
                Part::Dead => self.read_dead(sqlite, table),
            });
            if !more.map_err(module_error)? {
                self.next_part(table);
            }
        }
    }
}

impl ChangesCursor {
    fn next_part(&mut self, table: &Table) {
        self.last = SqliteValue::Null;
        match self.part {
            Part::Blocks if table.has_dead_table() => self.part = Part::Dead,
            Part::Blocks | Part::Dead => {
                self.part = Part::Blocks;
                self.table += 1;
            }
        }
    }

    /// Reads the next block; false at the end.
    fn read_block(&mut self, sqlite: &Connection, table: &Table) -> Result<bool> {
        let sql = format!(
            "SELECT block, body FROM trellis_clock_{} WHERE ?1 IS NULL OR block > ?1 ORDER BY block LIMIT 1",
            table.ordinal
        );
        let mut select = sqlite.prepare_cached(&sql)?;
        let found =
            select.query_row([&self.last], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)));
        let Some((block, body)) = found.optional()? else {
            return Ok(false);
        };
        for (slot, clock) in Block::decode(&body)?.rows() {
            let key = match &block {
                SqliteValue::Integer(block) => vec![Value::Integer(
                    block
                        .wrapping_mul(i64::from(table.rows_per_block))
                        .wrapping_add(i64::from(slot)),
                )],
                SqliteValue::Blob(pk) => unpack(pk)?,
                _ => return Err(StoreError::Damaged("a block without key".into())),
            };
            self.emit_row(sqlite, table, &key, clock)?;
        }
        self.last = block;
        Ok(true)
    }

    fn emit_row(
        &mut self,
        sqlite: &Connection,
        table: &Table,
        key: &[Value],
        clock: &RowClock,
    ) -> Result<()> {
        if !clock.is_alive() {
            self.emit_sentinel(table, &pack(key.iter().map(Value::as_ref)), clock);
            return Ok(());
        }
        let mut select = sqlite.prepare_cached(&table.sql.select_rows)?;
        bind(&mut select, 1, key.iter().map(Value::as_ref))?;
        if table.identity != RowIdentity::WithoutRowid {
            bind(&mut select, 2, key.iter().map(Value::as_ref))?;
        }
        let mut rows = select.raw_query();
        let Some(row) = rows.next()? else {
            return Ok(());
        };
        let key = (1..=table.key.len())
            .map(|place| value_of(row, place))
            .collect::<Result<Vec<ValueRef<'_>>>>()?;
        let pk = pack(key);
        self.emit_sentinel(table, &pk, clock);
        for (column, cell) in clock.cells() {
            let Some(index) = table.index_of_ordinal(column) else {
                continue;
            };
            let (Some(column), value) =
                (table.cells.get(index), row.get(1 + table.key.len() + index)?)
            else {
                continue;
            };
            self.emit(
                table,
                &pk,
                (&column.name, value),
                (cell.col_version, clock.causal_length),
                cell.stamp,
            );
        }
        Ok(())
    }

    fn read_dead(&mut self, sqlite: &Connection, table: &Table) -> Result<bool> {
        let sql = format!(
            "SELECT pk, causal_length, origin, version, seq FROM trellis_dead_{}
             WHERE ?1 IS NULL OR pk > ?1 ORDER BY pk LIMIT 1",
            table.ordinal
        );
        let mut select = sqlite.prepare_cached(&sql)?;
        let found = select.query_row([&self.last], |row| {
            let version = row.get::<_, i64>(3)?.cast_unsigned();
            let stamp = Stamp { origin: row.get(2)?, version, seq: row.get(4)? };
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                RowClock::new(row.get::<_, i64>(1)?.cast_unsigned(), Some(stamp)),
            ))
        });
        let Some((pk, clock)) = found.optional()? else {
            return Ok(false);
        };
        self.emit_sentinel(table, &pk, &clock);
        self.last = SqliteValue::Blob(pk);
        Ok(true)
    }

    fn emit_sentinel(&mut self, table: &Table, pk: &[u8], clock: &RowClock) {
        if let Some(stamp) = clock.sentinel {
            let length = clock.causal_length;
            self.emit(table, pk, (SENTINEL, SqliteValue::Null), (length, length), stamp);
        }
    }

    fn emit(
        &mut self,
        table: &Table,
        pk: &[u8],
        (cid, value): (&str, SqliteValue),
        (col_version, causal_length): (u64, u64),
        stamp: Stamp,
    ) {
        self.buffer.push_back(vec![
            SqliteValue::Text(table.name.clone()),
            SqliteValue::Blob(pk.to_vec()),
            SqliteValue::Text(cid.to_owned()),
            value,
            SqliteValue::Integer(col_version.cast_signed()),
            SqliteValue::Integer(stamp.version.cast_signed()),
            SqliteValue::Blob(self.registry.site(stamp.origin).0.to_vec()),
            SqliteValue::Integer(causal_length.cast_signed()),
            SqliteValue::Integer(i64::from(stamp.seq)),
            SqliteValue::Text("0".to_owned()),
        ]);
    }
}
