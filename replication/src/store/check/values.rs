//! Cells against the log: a cell whose clock names a transaction holds what that transaction wrote.
//!
//! This is what finds an `UPDATE` by another program: it leaves rows, clocks and log each consistent in itself. Cells that
//! were written again since carry the later transaction's stamp and are compared with that one.
//!
//! Not comparable are a column that was changed itself after the transaction (`ALTER COLUMN … TYPE` converts values in
//! place; the layer above says which column a changed system row stands for), and a value that the column cannot hold and
//! that was replaced on arrival.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rusqlite::Connection;

use super::super::chunks;
use super::super::clocks::{Clocks, RowKey, bind};
use super::super::error::Result;
use super::super::hidden;
use super::super::log;
use super::super::merge::{Found, can_hold, own_rowid, read_cells};
use super::super::options::StoreOptions;
use super::super::registry::{Entry, Registry, RowIdentity, Table};
use super::{Findings, show_key};
use crate::crdt::{Stamp, unpack};
use crate::types::{ColumnId, Position, TableId, Value, ValueRef};
use crate::wire::{ChangesetReader, RowView, TableView};

/// Compares cells with what the log says they hold.
pub(super) fn check_values(
    sqlite: &Connection,
    registry: &Registry,
    options: &StoreOptions,
    findings: &mut Findings,
) -> Result<()> {
    let changed = changed_columns(sqlite, registry, options)?;
    let stored = registry.tables().iter().map(|table| (table.id, StoredTable::new(sqlite, table)));
    let mut tables: HashMap<TableId, StoredTable<'_>> = stored.collect();
    log::visit(sqlite, |place, body| {
        let chunks::Transaction { origin, version } = place.transaction;
        let stamp = Stamp { origin, version: version.0, seq: 0 };
        let written = Written { stamp, position: place.position, changed: &changed };
        let mut reader = ChangesetReader::new(body)?;
        let mut values = Vec::new();
        while let Some(view) = reader.next_table()? {
            let mut table = tables.get_mut(&view.table);
            while let Some(row) = reader.next_row(&view, &mut values)? {
                if let Some(table) = &mut table {
                    written.compare(table, &view, &row, &values, findings)?;
                }
            }
        }
        Ok(findings.go_on())
    })
}

/// Of each column that was changed itself, the position of the last transaction that did.
fn changed_columns(
    sqlite: &Connection,
    registry: &Registry,
    options: &StoreOptions,
) -> Result<HashMap<ColumnId, Position>> {
    let mut changed = HashMap::new();
    let Some(hook) = &options.check else { return Ok(changed) };
    log::visit(sqlite, |place, body| {
        let mut reader = ChangesetReader::new(body)?;
        let mut values = Vec::new();
        while let Some(view) = reader.next_table()? {
            let is_system =
                matches!(registry.entry(view.table), Some(Entry::Live(table)) if table.system);
            while let Some(row) = reader.next_row(&view, &mut values)? {
                if is_system && let Some(column) = hook.column_of(view.table, &unpack(row.pk)?) {
                    changed.insert(column, place.position);
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(changed)
}

/// A table as it is stored.
struct StoredTable<'c> {
    sqlite: &'c Connection,
    table: &'c Table,
    clocks: Clocks<'c>,
}

impl<'c> StoredTable<'c> {
    fn new(sqlite: &'c Connection, table: &'c Table) -> Self {
        Self { sqlite, table, clocks: Clocks::new(sqlite, table) }
    }

    /// The row with that key, if it is there.
    fn find(&mut self, pk: &[u8]) -> Result<Option<Found>> {
        let key_values = unpack(pk)?;
        let rowid = match self.table.identity {
            RowIdentity::IntegerKey => own_rowid(self.table, &key_values),
            RowIdentity::WithoutRowid => None,
            RowIdentity::HiddenRowid(_) => self.rowid_of(&key_values)?,
        };
        let mut found = Found { key_values, pk: pk.to_vec(), rowid, clock: None, hidden: None };
        if let Some(row) = hidden::get(self.sqlite, self.table, pk)? {
            (found.clock, found.hidden) = (Some(row.clock), Some(row.cells));
        } else if rowid.is_some() || self.table.identity == RowIdentity::WithoutRowid {
            let key = rowid.map_or(RowKey::Packed(&found.pk), RowKey::Number);
            found.clock = self.clocks.get(key)?.cloned();
        }
        Ok(found.clock.as_ref().is_some_and(crate::crdt::RowClock::is_alive).then_some(found))
    }

    fn rowid_of(&self, key_values: &[Value]) -> Result<Option<i64>> {
        let mut select = self.sqlite.prepare_cached(&self.table.sql.select_rowid)?;
        bind(&mut select, 1, key_values.iter().map(Value::as_ref))?;
        let mut rows = select.raw_query();
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }
}

/// A transaction in the log.
struct Written<'a> {
    /// Its origin and version.
    stamp: Stamp,
    position: Position,
    changed: &'a HashMap<ColumnId, Position>,
}

impl Written<'_> {
    /// Compares the cells of a row that still are as this transaction left them.
    fn compare(
        &self,
        stored: &mut StoredTable<'_>,
        view: &TableView,
        row: &RowView<'_, '_>,
        values: &[ValueRef<'_>],
        findings: &mut Findings,
    ) -> Result<()> {
        let table = stored.table;
        let Some(found) = stored.find(row.pk)? else { return Ok(()) };
        let mut cells = None;
        for (((index, _), value), seq) in
            row.shape.cells.iter().zip(values).zip(row.first_cell_seq()..)
        {
            let stamp = Stamp { seq, ..self.stamp };
            let column = view.columns.get(*index as usize).copied();
            let place = column.and_then(|column| table.cell_index(column));
            let Some((place, column)) =
                place.and_then(|place| Some((place, table.cells.get(place)?)))
            else {
                continue;
            };
            let cell = found.clock.as_ref().and_then(|clock| clock.cell(column.ordinal));
            let is_later = self.changed.get(&column.id).is_some_and(|at| *at > self.position);
            if cell.is_none_or(|cell| cell.stamp != stamp)
                || is_later
                || !can_hold(table, column, *value)
            {
                continue;
            }
            if cells.is_none() {
                cells = read_cells(stored.sqlite, table, &found)?;
            }
            let present = cells.as_ref().and_then(|cells| cells.get(place));
            if present.is_some_and(|present| !same(present, *value)) {
                let key = show_key(&found.key_values);
                let (table, column) = (&table.name, &column.name);
                findings.push(format!(
                    "{table}: column {column} of row {key} is not what transaction {} wrote",
                    self.position.0
                ));
            }
        }
        Ok(())
    }
}

/// Whether a stored value is the written one, as a column may store it: integers as reals, and the other way round.
fn same(stored: &Value, written: ValueRef<'_>) -> bool {
    match (stored, written) {
        (Value::Real(stored), ValueRef::Real(written)) => {
            stored.to_bits() == written.to_bits() || stored == &written
        }
        (Value::Real(stored), ValueRef::Integer(written)) => real(written) == Some(*stored),
        (Value::Integer(stored), ValueRef::Real(written)) => real(*stored) == Some(written),
        (Value::Text(stored), ValueRef::Integer(written)) => *stored == written.to_string(),
        (Value::Text(_), ValueRef::Real(_)) => true,
        (Value::Integer(stored), ValueRef::Text(written)) => written.trim().parse() == Ok(*stored),
        (Value::Real(stored), ValueRef::Text(written)) => written.trim().parse() == Ok(*stored),
        (stored, written) => stored.as_ref() == written,
    }
}

/// The real that SQLite makes of an integer, if it is the same number.
fn real(integer: i64) -> Option<f64> {
    let halves = i32::try_from(integer >> 32).ok().zip(u32::try_from(integer & 0xffff_ffff).ok());
    halves.map(|(high, low)| f64::from(high) * 4_294_967_296.0 + f64::from(low))
}
