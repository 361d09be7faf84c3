//! Merges incoming row changes into a table: clock, decision, stored row.
//!
//! The decision is [`crate::crdt::merge_row`]'s; this file finds the row and its clock, reads stored values where versions
//! tie, and writes what won. One lookup and one write per row. Values that the table cannot hold, because the schema here
//! is ahead of or behind the one where they were written, are replaced by what it can hold, the same on every node.

use rusqlite::{CachedStatement, Connection};

use super::applied::RowOp;
use super::clocks::{
    Bound, Clocks, RowKey, bind, bind_find, borrowed, dead_any, dead_delete, dead_get, dead_put,
};
use super::error::{Result, StoreError};
use super::registry::{Column, Registry, RowIdentity, Table, quote};
use crate::crdt::bytes::DecodeError;
use crate::crdt::{IncomingCell, IncomingRow, RowClock, RowEffect, merge_row, pack, unpack};
use crate::types::{Value, ValueRef};

/// Merges rows into one table.
pub(super) struct TableMerger<'c> {
    sqlite: &'c Connection,
    registry: &'c Registry,
    table: &'c Table,
    clocks: Clocks<'c>,
    /// Whether the table may have tombstones outside its blocks.
    may_be_dead: bool,
    /// The statement that wrote the row before, and for which cells: rows of one statement are alike.
    writer: Option<(WriteShape, CachedStatement<'c>)>,
}

/// Which statement writes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WriteShape {
    insert: bool,
    /// Indexes among the table's cells.
    cells: Vec<usize>,
}

/// Why a row change was not merged.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    /// The change itself is wrong, whatever is stored.
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for MergeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<DecodeError> for MergeError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A row as it was found.
struct Found {
    key_values: Vec<Value>,
    pk: Vec<u8>,
    /// Its rowid; none if it is not there and has none of its own choosing.
    rowid: Option<i64>,
    clock: Option<RowClock>,
}

impl Found {
    fn key(&self) -> RowKey<'_> {
        self.rowid.map_or(RowKey::Packed(&self.pk), RowKey::Number)
    }
}

impl<'c> TableMerger<'c> {
    pub(super) fn new(
        sqlite: &'c Connection,
        registry: &'c Registry,
        table: &'c Table,
    ) -> Result<Self> {
        let clocks = Clocks::new(sqlite, table);
        let may_be_dead = dead_any(sqlite, table)?;
        Ok(Self { sqlite, registry, table, clocks, may_be_dead, writer: None })
    }

    /// Merges one row change; returns what it did to the row.
    pub(super) fn merge(
        &mut self,
        pk: &[u8],
        incoming: &IncomingRow<'_>,
    ) -> Result<Option<RowOp>, MergeError> {
        let mut found = self.find(pk)?;
        let mut stored_row: Option<Option<Vec<Value>>> = None;
        let before = found.clock.clone();
        let (sqlite, table, registry) = (self.sqlite, self.table, self.registry);
        let mut clock = before.clone();
        let effect = merge_row(
            &mut clock,
            incoming,
            |ordinal| registry.site(ordinal),
            |column| {
                let row = match &mut stored_row {
                    Some(row) => row,
                    None => stored_row.insert(read_cells(sqlite, table, &found)?),
                };
                let index = table.cell_index(crate::types::ColumnId(column));
                Ok::<_, StoreError>(
                    row.as_ref().zip(index).and_then(|(row, index)| row.get(index).cloned()),
                )
            },
        )?;
        found.clock = clock;
        match effect {
            RowEffect::Ignored => Ok(None),
            RowEffect::Restamped => {
                self.keep_clock(found)?;
                Ok(None)
            }
            RowEffect::Deleted => {
                self.delete(found)?;
                Ok(Some(RowOp::Delete))
            }
            RowEffect::Written { created, won } => {
                let cells: Vec<_> =
                    won.iter().filter_map(|index| incoming.cells.get(*index)).collect();
                self.write(found, created, &cells)?;
                Ok(Some(if created { RowOp::Insert } else { RowOp::Update }))
            }
        }
    }

    /// Writes back what is held in memory. Call at the end.
    pub(super) fn finish(mut self) -> Result<()> {
        self.clocks.flush()
    }

    fn find(&mut self, pk: &[u8]) -> Result<Found, MergeError> {
        let key_values = unpack(pk)?;
        if key_values.len() != self.table.key.len() {
            return Err(MergeError::Malformed("wrong number of key columns".into()));
        }
        if key_values.contains(&Value::Null) {
            return Err(MergeError::Malformed("a key column is NULL".into()));
        }
        // Identity is by value: however the sender packed it, it is looked up in the one canonical form.
        let pk = pack(key_values.iter().map(Value::as_ref));
        let mut found = Found { key_values, pk, rowid: None, clock: None };
        match self.table.identity {
            RowIdentity::IntegerKey => {
                let [Value::Integer(rowid)] = found.key_values[..] else {
                    return Err(MergeError::Malformed("the key is not an integer".into()));
                };
                found.rowid = Some(rowid);
                found.clock = self.clocks.get(RowKey::Number(rowid))?.cloned();
            }
            RowIdentity::WithoutRowid => {
                found.clock = self.clocks.get(RowKey::Packed(&found.pk))?.cloned();
            }
            RowIdentity::HiddenRowid(_) => {
                found.rowid = self.rowid_of(&found.key_values)?;
                found.clock = match found.rowid {
                    // A row without clock was there before the table was registered.
                    Some(rowid) => self
                        .clocks
                        .get(RowKey::Number(rowid))?
                        .cloned()
                        .or(Some(RowClock::new(1, None))),
                    None if self.may_be_dead => dead_get(self.sqlite, self.table, &found.pk)?,
                    None => None,
                };
            }
        }
        Ok(found)
    }

    fn rowid_of(&self, key_values: &[Value]) -> Result<Option<i64>> {
        let mut select = self.sqlite.prepare_cached(&self.table.sql.select_rowid)?;
        bind(&mut select, 1, key_values.iter().map(Value::as_ref))?;
        let mut rows = select.raw_query();
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    /// Stores the clock of a row that itself stays as it is.
    fn keep_clock(&mut self, mut found: Found) -> Result<()> {
        let clock = found.clock.take();
        match (&clock, found.rowid) {
            (Some(clock), None) if self.table.has_dead_table() => {
                self.may_be_dead = true;
                dead_put(self.sqlite, self.table, &found.pk, clock)?;
            }
            _ => {
                self.clocks.put(found.key(), clock)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, mut found: Found) -> Result<()> {
        let mut delete = self.sqlite.prepare_cached(&self.table.sql.delete)?;
        bind_find(&mut delete, found.key(), &found.key_values)?;
        delete.raw_execute()?;
        if self.table.has_dead_table() {
            self.clocks.put(found.key(), None)?;
            found.rowid = None;
        }
        self.keep_clock(found)
    }

    fn write(
        &mut self,
        mut found: Found,
        created: bool,
        cells: &[&IncomingCell<'_>],
    ) -> Result<()> {
        let clock = found.clock.take();
        if !created && cells.is_empty() {
            self.clocks.put(found.key(), clock)?;
            return Ok(());
        }
        let was_dead = created && self.may_be_dead && found.rowid.is_none();
        let updated = !created && self.update(&found, cells)? > 0;
        if !updated {
            self.insert(&found, cells)?;
            if self.table.has_dead_table() {
                found.rowid = Some(self.sqlite.last_insert_rowid());
            }
        }
        if was_dead {
            dead_delete(self.sqlite, self.table, &found.pk)?;
        }
        self.clocks.put(found.key(), clock)?;
        Ok(())
    }

    fn update(&mut self, found: &Found, cells: &[&IncomingCell<'_>]) -> Result<usize> {
        let (table, shape) = (self.table, self.shape(false, cells));
        let statement = self.statement(shape)?;
        bind_find(statement, found.key(), &found.key_values)?;
        let first = table.sql.find_parameters + 1;
        bind_cells(statement, table, first, cells)?;
        Ok(statement.raw_execute()?)
    }

    fn insert(&mut self, found: &Found, cells: &[&IncomingCell<'_>]) -> Result<()> {
        let (table, shape) = (self.table, self.shape(true, cells));
        let statement = self.statement(shape)?;
        bind(statement, 1, found.key_values.iter().map(Value::as_ref))?;
        bind_cells(statement, table, table.key.len() + 1, cells)?;
        statement.raw_execute()?;
        Ok(())
    }

    fn shape(&self, insert: bool, cells: &[&IncomingCell<'_>]) -> WriteShape {
        let index =
            |cell: &&IncomingCell<'_>| self.table.cell_index(crate::types::ColumnId(cell.column));
        WriteShape { insert, cells: cells.iter().filter_map(index).collect() }
    }

    fn statement(&mut self, shape: WriteShape) -> Result<&mut CachedStatement<'c>> {
        let kept = self.writer.take().filter(|(known, _)| *known == shape);
        let kept = match kept {
            Some(kept) => kept,
            None => {
                let sql = if shape.insert {
                    insert_sql(self.table, &shape.cells)
                } else {
                    update_sql(self.table, &shape.cells)
                };
                let statement = self.sqlite.prepare_cached(&sql)?;
                (shape, statement)
            }
        };
        Ok(&mut self.writer.insert(kept).1)
    }
}

/// The stored cells of a row, or none if it is not there.
fn read_cells(sqlite: &Connection, table: &Table, found: &Found) -> Result<Option<Vec<Value>>> {
    let mut select = sqlite.prepare_cached(&table.sql.select_rows)?;
    match found.key() {
        RowKey::Number(row) => {
            bind(&mut select, 1, [ValueRef::Integer(row), ValueRef::Integer(row)])?
        }
        RowKey::Packed(_) => bind(&mut select, 1, found.key_values.iter().map(Value::as_ref))?,
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let first = 1 + table.key.len();
    let cell = |index| Ok(borrowed(row.get_ref(first + index)?)?.to_value());
    (0..table.cells.len()).map(cell).collect::<Result<_>>().map(Some)
}

fn bind_cells(
    statement: &mut rusqlite::Statement<'_>,
    table: &Table,
    first: usize,
    cells: &[&IncomingCell<'_>],
) -> Result<()> {
    for (place, cell) in (first..).zip(cells) {
        let column = table
            .cell_index(crate::types::ColumnId(cell.column))
            .and_then(|index| table.cells.get(index));
        match column {
            Some(column) if !can_hold(table, column, cell.value) => {
                statement.raw_bind_parameter(place, Bound(column.fallback.as_ref()))?;
            }
            _ => statement.raw_bind_parameter(place, Bound(cell.value))?,
        }
    }
    Ok(())
}

/// Whether the column accepts the value.
fn can_hold(table: &Table, column: &Column, value: ValueRef<'_>) -> bool {
    let strict = |accepted: bool| accepted || !table.strict;
    match value {
        ValueRef::Null => !column.not_null,
        ValueRef::Integer(_) => strict(column.declared != "BLOB"),
        ValueRef::Real(real) => match column.declared.as_str() {
            "INT" | "INTEGER" => strict(real.fract() == 0.0 && real.abs() < 9.0e18),
            "BLOB" => strict(false),
            _ => true,
        },
        ValueRef::Text(text) => match column.declared.as_str() {
            "INT" | "INTEGER" => strict(text.trim().parse::<i64>().is_ok()),
            "REAL" => strict(text.trim().parse::<f64>().is_ok()),
            "BLOB" => strict(false),
            _ => true,
        },
        ValueRef::Blob(_) => strict(matches!(column.declared.as_str(), "BLOB" | "ANY")),
    }
}

/// Inserts a row, or sets its cells if it is there after all. Columns that accept no NULL, have no default and did not
/// come are given their type's zero: the rest of the row is still on its way from another site.
fn insert_sql(table: &Table, cells: &[usize]) -> String {
    let set: Vec<_> = cells
        .iter()
        .filter_map(|index| table.cells.get(*index))
        .map(|cell| quote(&cell.name))
        .collect();
    let key: Vec<_> = table.key.iter().map(|column| quote(&column.name)).collect();
    let needy = |(index, column): &(usize, &Column)| {
        column.not_null && column.default.is_none() && !cells.contains(index)
    };
    let needy: Vec<_> =
        table.cells.iter().enumerate().filter(needy).map(|(_, column)| column).collect();
    let columns =
        key.iter().chain(&set).cloned().chain(needy.iter().map(|column| quote(&column.name)));
    let values = (1..=key.len() + set.len()).map(|place| format!("?{place}"));
    let values = values.chain(needy.iter().map(|column| column.fallback_sql()));
    let update: Vec<_> = set.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let conflict = if update.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", update.join(", "))
    };
    format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {conflict}",
        quote(&table.name),
        columns.collect::<Vec<_>>().join(", "),
        values.collect::<Vec<_>>().join(", "),
        key.join(", "),
    )
}

fn update_sql(table: &Table, cells: &[usize]) -> String {
    let set = (table.sql.find_parameters + 1..)
        .zip(cells.iter().filter_map(|index| table.cells.get(*index)))
        .map(|(place, cell)| format!("{} = ?{place}", quote(&cell.name)));
    format!(
        "UPDATE {} SET {} WHERE {}",
        quote(&table.name),
        set.collect::<Vec<_>>().join(", "),
        table.sql.find
    )
}
