//! A second look at what was captured: compares the sums of the row events, and the images, with the rows as they are
//! stored. Costs a read per changed row; [`super::StoreOptions::cross_check`] switches it on, as tests do.
//!
//! What it would find is a change that the hook has missed or undone in part, or a value that the hook showed and the row
//! does not have. The transaction then fails and leaves nothing, instead of telling other nodes what is not so.

use rusqlite::{Connection, Statement};

use super::capture::EventLog;
use super::clocks::{bind, value_of};
use super::error::{Result, StoreError};
use super::fold::{Change, Gone, Net, interned_key};
use super::images::{Image, RowImages};
use super::registry::{RowIdentity, Table};
use crate::crdt::{PackedKey, unpack};
use crate::types::Value;
use crate::wire::put_value;

/// Compares the changes of one table with its rows.
pub(super) fn check(
    sqlite: &Connection,
    table: &Table,
    log: &EventLog,
    (net, gone): (&[Net], &[Gone]),
) -> Result<()> {
    let mut checking = Checking { select: sqlite.prepare(&table.sql.select_rows)?, table, log };
    net.iter().try_for_each(|net| checking.net(net))?;
    for gone in gone.iter().filter(|gone| net.iter().all(|net| net.row != gone.row)) {
        if checking.exists(gone.row)? {
            return Err(checking.differs(gone.row, "it is noted as deleted and is there"));
        }
    }
    Ok(())
}

struct Checking<'c> {
    table: &'c Table,
    log: &'c EventLog,
    select: Statement<'c>,
}

impl Checking<'_> {
    fn net(&mut self, net: &Net) -> Result<()> {
        let (table, log) = (self.table, self.log);
        let mut images = net.image.map(|image| RowImages::seen(&log.images, image, table));
        for offset in 0..net.count {
            let row = net.row.saturating_add_unsigned(offset);
            let exists = self.exists(row)?;
            match (&net.change, &mut images) {
                (Change::Deleted, _) if exists => {
                    return Err(self.differs(row, "it is noted as deleted and is there"));
                }
                (Change::Deleted, _) => {}
                _ if !exists => return Err(self.differs(row, "it is noted and is not there")),
                (change, Some(images)) => {
                    let image = images.next()?;
                    self.image(row, change, &image)?;
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    fn bind(&mut self, row: i64) -> Result<()> {
        if self.table.identity == RowIdentity::WithoutRowid {
            let key = unpack(interned_key(self.log, row)?)?;
            return bind(&mut self.select, 1, key.iter().map(Value::as_ref));
        }
        self.select.raw_bind_parameter(1, row)?;
        Ok(self.select.raw_bind_parameter(2, row)?)
    }

    fn exists(&mut self, row: i64) -> Result<bool> {
        self.bind(row)?;
        Ok(self.select.raw_query().next()?.is_some())
    }

    /// Compares an image with the row.
    fn image(&mut self, row: i64, change: &Change, image: &Image<'_>) -> Result<()> {
        self.bind(row)?;
        let table = self.table;
        let mut rows = self.select.raw_query();
        let Some(stored) = rows.next()? else { return Ok(()) };
        let (mut key, mut values) = (PackedKey::default(), Vec::new());
        for place in 1..=table.key.len() {
            key.push(value_of(stored, place)?);
        }
        for index in 0..table.cells.len() {
            let changed = !matches!(change, Change::Updated(mask) if !mask.contains(index));
            if changed {
                put_value(&mut values, value_of(stored, 1 + table.key.len() + index)?);
            }
        }
        drop(rows);
        let same_key = image.pk.is_empty() || image.pk == key.as_slice();
        if same_key && values == image.values {
            return Ok(());
        }
        Err(self.differs(row, "it was noted with other values than it has"))
    }

    fn differs(&self, row: i64, how: &str) -> StoreError {
        let name = &self.table.name;
        StoreError::Damaged(format!("cross-check: row {row} of {name}: {how}"))
    }
}
