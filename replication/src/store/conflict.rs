//! Writes rows that a unique index refuses, and brings hidden ones back (`hidden.rs` has the rule).

use std::sync::Arc;

use super::applied::{AppliedTransaction, Content, Impact};
use super::capture::Mode;
use super::clocks::value_of;
use super::connection::{Pending, StoreConnection};
use super::core::Core;
use super::digest::{all_rows, key_of};
use super::error::Result;
use super::hidden::{self, HiddenRow};
use super::log;
use super::merge::{Found, MergeError, TableMerger, can_hold, insert_sql, own_rowid, read_cells};
use super::registry::{Column, Entry, quote};
use super::resolved::{Notes, Sight};
use crate::crdt::{IncomingCell, PackedKey, unpack};
use crate::types::{ColumnId, Position, TableId, Value, ValueRef};
use crate::wire::ChangesetWriter;

impl TableMerger<'_> {
    /// Writes winning cells to a hidden row.
    pub(super) fn write_hidden(
        &mut self,
        mut found: Found,
        cells: &[&IncomingCell<'_>],
    ) -> Result<Sight> {
        let mut image = found.hidden.take().unwrap_or_default();
        self.set_cells(&mut image, cells);
        hidden::delete(self.sqlite, self.table, &found.pk)?;
        self.place(found, image, Sight::Absent)
    }

    /// Writes winning cells to a row that then conflicts with others.
    pub(super) fn write_conflicting(
        &mut self,
        found: Found,
        created: bool,
        cells: &[&IncomingCell<'_>],
    ) -> Result<Sight> {
        let stored = if created { None } else { read_cells(self.sqlite, self.table, &found)? };
        let sight = if stored.is_some() { Sight::Visible } else { Sight::Absent };
        let mut image =
            stored.unwrap_or_else(|| self.table.cells.iter().map(Column::missing).collect());
        self.set_cells(&mut image, cells);
        self.place(found, image, sight)
    }

    /// Hides the rows of a query whose first columns are their keys; they are due.
    fn hide_rows(&mut self, query: &str) -> Result<()> {
        let mut select = self.sqlite.prepare(query)?;
        let width = self.table.key.len();
        let mut rows = select.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let mut key = PackedKey::default();
            for place in 0..width {
                key.push(value_of(row, place)?);
            }
            keys.push(key.into_bytes());
        }
        drop(rows);
        for pk in keys {
            let found = self.find(&pk).map_err(MergeError::into_store)?;
            let Some(cells) = read_cells(self.sqlite, self.table, &found)? else { continue };
            self.turns.turn(&pk, Sight::Visible, Sight::Absent);
            self.release(&pk)?;
            self.hide(found, cells, Sight::Visible, None)?;
        }
        Ok(())
    }

    /// Makes the rows due that this one, which is about to change, keeps hidden.
    pub(super) fn release(&mut self, pk: &[u8]) -> Result<()> {
        self.due.extend(hidden::blocked_by(self.sqlite, self.table, pk)?);
        Ok(())
    }

    /// Tries the rows that are due, until none is.
    pub(super) fn resolve(&mut self) -> Result<()> {
        self.due.extend(hidden::due(self.sqlite, self.table)?);
        // A row that is shown hides only larger ones, and they make due only larger ones yet: each is tried once.
        while let Some(pk) = self.due.pop_first() {
            let Some(row) = hidden::get(self.sqlite, self.table, &pk)? else { continue };
            let key_values = unpack(&pk)?;
            let rowid = own_rowid(self.table, &key_values);
            let found =
                Found { key_values, pk: pk.clone(), rowid, clock: Some(row.clock), hidden: None };
            hidden::delete(self.sqlite, self.table, &pk)?;
            if self.place(found, row.cells, Sight::Absent)? == Sight::Visible {
                self.turns.turn(&pk, Sight::Absent, Sight::Visible);
            }
        }
        Ok(())
    }

    fn set_cells(&self, image: &mut [Value], cells: &[&IncomingCell<'_>]) {
        for cell in cells {
            let index = self.table.index_of_ordinal(cell.column);
            let column =
                index.and_then(|index| self.table.cells.get(index).zip(image.get_mut(index)));
            if let Some((column, place)) = column {
                let holds = can_hold(self.table, column, cell.value);
                *place = if holds { cell.value.to_value() } else { column.fallback.clone() };
            }
        }
    }

    /// Shows a row, hiding those with larger keys that conflict with it, or hides it, if one with a smaller key does.
    fn place(&mut self, mut found: Found, image: Vec<Value>, sight: Sight) -> Result<Sight> {
        let victims = self.victims(&found, &image)?;
        if let Some(blocker) = victims.iter().filter(|victim| **victim < found.pk).min() {
            self.hide(found, image, sight, Some(blocker))?;
            return Ok(Sight::Absent);
        }
        for victim in victims {
            let victim = self.find(&victim).map_err(MergeError::into_store)?;
            if let Some(cells) = read_cells(self.sqlite, self.table, &victim)? {
                self.turns.turn(&victim.pk, Sight::Visible, Sight::Absent);
                self.release(&victim.pk)?;
                self.hide(victim, cells, Sight::Visible, Some(&found.pk))?;
            }
        }
        let cells = self.all_cells(&image);
        let cells: Vec<_> = cells.iter().collect();
        let clock = found.clock.take();
        self.write_row(&mut found, sight == Sight::Absent, &cells)?;
        self.clocks.put(found.key(), clock)?;
        Ok(Sight::Visible)
    }

    fn hide(
        &mut self,
        mut found: Found,
        cells: Vec<Value>,
        sight: Sight,
        blocker: Option<&[u8]>,
    ) -> Result<()> {
        if sight == Sight::Visible {
            super::merge::delete_row(self.sqlite, self.table, &found)?;
            self.clocks.put(found.key(), None)?;
        }
        self.may_be_hidden = true;
        let clock = found.clock.take().unwrap_or_else(|| crate::crdt::RowClock::new(1, None));
        tracing::info!(table = %self.table.name, "a row is hidden by a unique index");
        let row = HiddenRow { clock, cells };
        hidden::put(self.sqlite, self.table, &found.pk, (&row, blocker))
    }

    fn all_cells<'v>(&self, image: &'v [Value]) -> Vec<IncomingCell<'v>> {
        let cell = |(column, value): (&Column, &'v Value)| {
            let value: ValueRef<'v> = value.as_ref();
            IncomingCell { column: column.ordinal, col_version: 0, seq: 0, value }
        };
        self.table.cells.iter().zip(image).map(cell).collect()
    }

    /// The keys of the rows that conflict with a row.
    fn victims(&mut self, found: &Found, image: &[Value]) -> Result<Vec<Vec<u8>>> {
        let all: Vec<_> = (0..self.table.cells.len()).collect();
        let sql = insert_sql("INSERT OR REPLACE", self.table, &all, 1);
        self.sqlite.execute_batch("SAVEPOINT victims")?;
        self.capture.state().victims = Some(Vec::new());
        let inserted = self.sqlite.prepare_cached(&sql).and_then(|mut insert| {
            let values = found.key_values.iter().chain(image).map(Value::as_ref);
            insert.execute(rusqlite::params_from_iter(values.map(super::clocks::Bound)))
        });
        let victims = self.capture.state().victims.take().unwrap_or_default();
        self.sqlite.execute_batch("ROLLBACK TO victims; RELEASE victims")?;
        inserted?;
        let here = victims.into_iter().filter(|(table, _)| *table == self.table.ordinal);
        Ok(here.map(|(_, pk)| pk).filter(|pk| *pk != found.pk).collect())
    }
}

impl StoreConnection {
    /// Hides the rows of a registered table that have equal keys, so that a unique index can be made over these: of each
    /// such group all but one, by the rule that holds once it is there, and those that this makes room for are shown. `keys` and
    /// `condition` are SQL, as they are in the index. Only while remote changes are applied, inside a
    /// [`super::SchemaHook`]'s call; the rows are looked at again at the end of their transaction.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn hide_duplicates(
        &mut self,
        table: TableId,
        keys: &[String],
        condition: Option<&str>,
    ) -> Result<()> {
        let registry = Arc::clone(&self.capture().state().registry);
        let Some(Entry::Live(table)) = registry.entry(table) else { return Ok(()) };
        let mut filters: Vec<_> = keys.iter().map(|key| format!("{key} IS NOT NULL")).collect();
        filters.extend(condition.map(|condition| format!("({condition})")));
        let columns: Vec<_> = table.key.iter().map(|column| quote(&column.name)).collect();
        let query = format!(
            "SELECT * FROM (SELECT {}, count(*) OVER (PARTITION BY {}) AS alike FROM {} WHERE {})
             WHERE alike > 1",
            columns.join(", "),
            keys.join(", "),
            quote(&table.name),
            filters.join(" AND ")
        );
        let turns = self.notes.take(table.id);
        let merger = TableMerger::new(self.sqlite(), self.capture(), &registry, table)?;
        let mut merger = merger.with_turns(turns);
        merger.hide_rows(&query)?;
        // They are tried when the index is there: not yet.
        let turns = merger.finish_later()?;
        self.notes.put(table.id, turns);
        Ok(())
    }
}

impl TableMerger<'_> {
    /// Gives a cell that no transaction has written what stands for its value, in all rows.
    fn reset_unwritten(&mut self, column: &Column) -> Result<()> {
        let mut select = self.sqlite.prepare(&all_rows(self.table))?;
        let mut rows = select.query([])?;
        let mut keys = hidden::keys(self.sqlite, self.table)?;
        while let Some(row) = rows.next()? {
            keys.push(key_of(self.table, row)?);
        }
        drop(rows);
        let fresh = (column.ordinal, column.missing());
        for pk in keys {
            let found = self.find(&pk).map_err(MergeError::into_store)?;
            let clock = found.clock.as_ref().and_then(|clock| clock.cell(column.ordinal));
            if clock.is_some_and(|cell| cell.is_written()) {
                continue;
            }
            let before = self.about_to_change(&found)?;
            let after = self.write(found, false, &[&IncomingCell::fresh(&fresh)])?;
            if before != after {
                self.turns.turn(&pk, before, after);
            }
        }
        Ok(())
    }
}

impl StoreConnection {
    /// Gives cells of a column that no transaction has written their default anew, which has changed. Only while remote
    /// changes are applied, inside a [`super::SchemaHook`]'s call.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn reset_unwritten(&mut self, table: TableId, column: ColumnId) -> Result<()> {
        let registry = Arc::clone(&self.capture().state().registry);
        let Some(Entry::Live(table)) = registry.entry(table) else { return Ok(()) };
        let column = table.cell_index(column).and_then(|index| table.cells.get(index));
        let Some(column) = column else { return Ok(()) };
        let turns = self.notes.take(table.id);
        let merger = TableMerger::new(self.sqlite(), self.capture(), &registry, table)?;
        let mut merger = merger.with_turns(turns);
        merger.reset_unwritten(column)?;
        let turns = merger.finish_later()?;
        self.notes.put(table.id, turns);
        Ok(())
    }
}

/// Tries the hidden rows of all tables that are due.
pub(super) fn resolve_due(applier: &StoreConnection, notes: &mut Notes) -> Result<()> {
    let registry = Arc::clone(&applier.capture().state().registry);
    for ordinal in hidden::due_tables(applier.sqlite())? {
        let Some(table) = registry.by_ordinal(ordinal) else { continue };
        let merger = TableMerger::new(applier.sqlite(), applier.capture(), &registry, table)?;
        let turns = merger.with_turns(notes.take(table.id)).finish()?;
        notes.put(table.id, turns);
    }
    Ok(())
}

/// Brings back hidden rows whose conflicts have ended. See [`super::Store::resolve_conflicts`].
pub(super) fn resolve_conflicts(core: &Core, applier: &mut StoreConnection) -> Result<()> {
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    if !core.may_number() {
        applier.rollback();
        return Ok(());
    }
    if let Err(error) = resolve_in_log(core, applier) {
        applier.rollback();
        return Err(error);
    }
    let pending = applier.commit()?;
    pending.map_or(Ok(()), Pending::wait)
}

/// Resolves what is due. Rows that are hidden or shown by it are told with a transaction of this site that changes nothing
/// else, so that they have a position.
fn resolve_in_log(core: &Core, applier: &mut StoreConnection) -> Result<()> {
    let mut notes = Notes::default();
    resolve_due(applier, &mut notes)?;
    let resolved = notes.finish();
    if resolved.is_empty() {
        return Ok(());
    }
    let (head, before) = {
        let committed = core.committed();
        let head = committed.log.heads.get(&core.site).copied().unwrap_or_default();
        (head, committed.log.position)
    };
    let committed_at_us = super::now_us();
    let body = ChangesetWriter::new(committed_at_us, &[])?.finish();
    let applied = AppliedTransaction {
        position: Position(before.0 + 1),
        origin: core.site,
        version: head.next(),
        committed_at_us,
        content: Content::Whole { body, impact: Impact::default() },
        resolved,
        tag: 0,
        messages: Vec::new(),
    };
    log::append(applier.sqlite(), 0, &applied)?;
    applier.remote.push(applied);
    Ok(())
}
