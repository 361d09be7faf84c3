//! Writes rows that a unique index refuses, and brings hidden ones back (`hidden.rs` has the rule).

use super::error::Result;
use super::hidden::{self, HiddenRow};
use super::merge::{Found, MergeError, TableMerger, can_hold, insert_sql, own_rowid, read_cells};
use super::registry::Column;
use crate::crdt::{IncomingCell, unpack};
use crate::types::{Value, ValueRef};

impl TableMerger<'_> {
    /// Writes winning cells to a hidden row; returns whether it is visible then.
    pub(super) fn write_hidden(
        &mut self,
        mut found: Found,
        cells: &[&IncomingCell<'_>],
    ) -> Result<bool> {
        let mut image = found.hidden.take().unwrap_or_default();
        self.set_cells(&mut image, cells);
        hidden::delete(self.sqlite, self.table, &found.pk)?;
        self.place(found, image, false)
    }

    /// Writes winning cells to a row that then conflicts with others; returns whether it is visible.
    pub(super) fn write_conflicting(
        &mut self,
        found: Found,
        created: bool,
        cells: &[&IncomingCell<'_>],
    ) -> Result<bool> {
        let stored = if created { None } else { read_cells(self.sqlite, self.table, &found)? };
        let visible = stored.is_some();
        let mut image =
            stored.unwrap_or_else(|| self.table.cells.iter().map(Column::missing).collect());
        self.set_cells(&mut image, cells);
        self.place(found, image, visible)
    }

    /// Tries all hidden rows again until none comes back any more.
    pub(super) fn revive(&mut self) -> Result<()> {
        // Each pass shows a row that no smaller one keeps away, so there are at most as many as hidden rows.
        let mut passes = hidden::keys(self.sqlite, self.table)?.len();
        let mut again = true;
        while again && passes > 0 {
            (again, passes) = (false, passes - 1);
            for pk in hidden::keys(self.sqlite, self.table)? {
                let Some(row) = hidden::get(self.sqlite, self.table, &pk)? else { continue };
                let key_values = unpack(&pk)?;
                let rowid = own_rowid(self.table, &key_values);
                let found = Found { key_values, pk, rowid, clock: Some(row.clock), hidden: None };
                hidden::delete(self.sqlite, self.table, &found.pk)?;
                again |= self.place(found, row.cells, false)?;
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
    fn place(&mut self, mut found: Found, image: Vec<Value>, visible: bool) -> Result<bool> {
        let victims = self.victims(&found, &image)?;
        if victims.iter().any(|victim| *victim < found.pk) {
            self.hide(found, image, visible)?;
            return Ok(false);
        }
        for victim in victims {
            let victim = self.find(&victim).map_err(MergeError::into_store)?;
            if let Some(cells) = read_cells(self.sqlite, self.table, &victim)? {
                self.hide(victim, cells, true)?;
            }
        }
        let cells = self.all_cells(&image);
        let cells: Vec<_> = cells.iter().collect();
        let clock = found.clock.take();
        self.write_row(&mut found, !visible, &cells)?;
        self.clocks.put(found.key(), clock)?;
        Ok(true)
    }

    fn hide(&mut self, mut found: Found, cells: Vec<Value>, visible: bool) -> Result<()> {
        if visible {
            super::merge::delete_row(self.sqlite, self.table, &found)?;
            self.clocks.put(found.key(), None)?;
        }
        self.may_be_hidden = true;
        let clock = found.clock.take().unwrap_or_else(|| crate::crdt::RowClock::new(1, None));
        tracing::info!(table = %self.table.name, "a row is hidden by a unique index");
        hidden::put(self.sqlite, self.table, &found.pk, &HiddenRow { clock, cells })
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
        let sql = insert_sql("INSERT OR REPLACE", self.table, &all);
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
