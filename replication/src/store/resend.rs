//! Does again what only a database that was put aside knows (`identity.rs`).
//!
//! Each transaction that its site committed and that nobody else has is made again, as a new one of the present site: rows
//! that it inserted are inserted, or updated if they are there; rows that it updated are updated, if they are still there;
//! rows that it deleted are deleted. What was deleted elsewhere stays so, as it would if the two had met in time. Its messages
//! are sent again.
//!
//! What others have is told by the transactions of the old site that are known here, when this node has caught up: those with
//! a larger number are not known; of those with the same number the contents are compared; where they cannot be any more, the
//! transactions that were written before the last start that nobody confirmed are known.
//!
//! # Invariants
//! 1. Each transaction is made again once: `trellis_resent` says up to which, in the SQLite transaction that does it.
//! 2. One that cannot be made again keeps none of the others from it. It stays in the database that was put aside.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::applied::{RowOp, implied_op};
use super::apply::schema_hook;
use super::chunks::Transaction;
use super::clocks::{Bound, bind};
use super::connection::{Pending, Role, StoreConnection};
use super::core::Core;
use super::error::{Result, StoreError};
use super::identity::{Retired, note_resent};
use super::log;
use super::merge::{can_hold, insert_sql};
use super::registry::{Entry, Table, quote};
use crate::crdt::unpack;
use crate::types::{DbVersion, Value, ValueRef};
use crate::wire::{ChangesetReader, RowView, TableView};

/// Up to which version the transactions of a database that was put aside are made again.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_resent (site BLOB PRIMARY KEY, version INTEGER NOT NULL) STRICT;
";

/// What became of the transactions of a database that was put aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resent {
    /// Transactions of its site that others have.
    pub known: u64,
    /// Transactions made again.
    pub resent: u64,
    /// Transactions that could not be made again.
    pub left: u64,
}

/// See [`super::Store::resend`].
pub(super) fn resend(core: &Arc<Core>, directory: &Path) -> Result<Resent> {
    let old = Retired::open(directory)?;
    let mut connection = StoreConnection::open(Arc::clone(core), Role::Apply)?;
    let mut resent = Resent::default();
    let done: Option<i64> = connection
        .sqlite()
        .query_row("SELECT version FROM trellis_resent WHERE site = ?1", [old.site.0], |row| {
            row.get(0)
        })
        .optional()?;
    let mut select = old.sqlite.prepare(
        "SELECT version, body FROM trellis_log WHERE origin = 0 AND version > ?1 ORDER BY position",
    )?;
    let mut rows = select.query([done.unwrap_or(0)])?;
    while let Some(row) = rows.next()? {
        let version = DbVersion(row.get::<_, i64>(0)?.cast_unsigned());
        let bodies = bodies(&old.sqlite, version, row.get(1)?)?;
        if is_known(core, connection.sqlite(), &old, (version, &bodies))? {
            resent.known += 1;
            continue;
        }
        match again(core, &mut connection, (&old, version), &bodies) {
            Ok(()) => resent.resent += 1,
            Err(error) => {
                connection.rollback();
                resent.left += 1;
                let directory = directory.display();
                tracing::error!(version = version.0, %error, %directory, "a transaction is not made again");
            }
        }
    }
    let Resent { known, resent: again, left } = resent;
    note_resent(directory, &format!("{known} known, {again} made again, {left} left"))?;
    Ok(resent)
}

/// The changesets of a transaction.
fn bodies(sqlite: &Connection, version: DbVersion, body: Option<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    if let Some(body) = body {
        return Ok(vec![body]);
    }
    let stored = Transaction { origin: 0, version };
    let mut bodies = Vec::new();
    for chunk in 0..stored.count(sqlite)? {
        bodies.push(stored.body(sqlite, chunk)?.unwrap_or_default().to_vec());
    }
    Ok(bodies)
}

/// Whether others have the transaction.
fn is_known(
    core: &Core,
    sqlite: &Connection,
    old: &Retired,
    (version, bodies): (DbVersion, &[Vec<u8>]),
) -> Result<bool> {
    let committed = core.committed();
    if committed.log.heads.get(&old.site).is_none_or(|head| *head < version) {
        return Ok(false);
    }
    let there = committed.log.content(sqlite, &committed.registry, (old.site, version))?;
    let body = if let [body] = bodies { Some(&body[..]) } else { None };
    let here = log::content_of(&old.sqlite, Transaction { origin: 0, version }, body)?;
    if there.0 != 0 {
        return Ok(here == there);
    }
    Ok(old.unconfirmed.is_none_or(|unconfirmed| version <= unconfirmed))
}

/// Makes a transaction again.
fn again(
    core: &Core,
    connection: &mut StoreConnection,
    (old, version): (&Retired, DbVersion),
    bodies: &[Vec<u8>],
) -> Result<()> {
    connection.begin(core.lease.acquire_uncancelled())?;
    let hook = schema_hook(core);
    if let Some(hook) = &hook {
        hook.before_apply(connection.sqlite()).map_err(StoreError::Damaged)?;
    }
    for body in bodies {
        let mut reader = ChangesetReader::new(body)?;
        for message in std::mem::take(&mut reader.messages) {
            connection.notify(message)?;
        }
        let mut schema_moved = false;
        while let Some(view) = reader.next_table()? {
            let registry = Arc::clone(&connection.capture().state().registry);
            let table = match registry.entry(view.table) {
                Some(Entry::Live(table)) => Some(Arc::clone(table)),
                Some(Entry::Dropped) => None,
                None => return Err(StoreError::UnknownTable(view.table)),
            };
            let mut values = Vec::new();
            while let Some(row) = reader.next_row(&view, &mut values)? {
                if let Some(table) = &table {
                    Again { sqlite: connection.sqlite(), table, view: &view }.row(&row, &values)?;
                    schema_moved |= table.system;
                }
            }
            drop(registry);
            if std::mem::take(&mut schema_moved)
                && let Some(hook) = &hook
            {
                hook.system_rows_changed(connection).map_err(StoreError::Damaged)?;
            }
        }
    }
    connection.sqlite().execute(
        "INSERT OR REPLACE INTO trellis_resent (site, version) VALUES (?1, ?2)",
        params![old.site.0, version.0.cast_signed()],
    )?;
    connection.commit()?.map_or(Ok(()), Pending::wait)
}

/// Rows of one table that are changed again.
struct Again<'a> {
    sqlite: &'a Connection,
    table: &'a Table,
    view: &'a TableView,
}

impl Again<'_> {
    fn row(&self, row: &RowView<'_, '_>, values: &[ValueRef<'_>]) -> Result<()> {
        let key = unpack(row.pk)?;
        // Who inserts a row writes all its columns; one that was added later may be written first by an update.
        let op = match implied_op(row.shape) {
            RowOp::Insert
                if !row.shape.sentinel && row.shape.cells.len() < self.view.columns.len() =>
            {
                RowOp::Update
            }
            op => op,
        };
        if op == RowOp::Delete {
            let sql = format!("DELETE FROM {} WHERE {}", quote(&self.table.name), self.find(1));
            return self.run(&sql, &key, &[]);
        }
        let cells: Vec<(usize, ValueRef<'_>)> = row
            .shape
            .cells
            .iter()
            .zip(values)
            .filter_map(|((index, _), value)| {
                let column = self.view.columns.get(*index as usize)?;
                Some((self.table.cell_index(*column)?, *value))
            })
            .collect();
        let find = format!("SELECT 1 FROM {} WHERE {}", quote(&self.table.name), self.find(1));
        let mut select = self.sqlite.prepare_cached(&find)?;
        bind(&mut select, 1, key.iter().map(Value::as_ref))?;
        let exists = select.raw_query().next()?.is_some();
        drop(select);
        match (exists, op) {
            (true, _) if cells.is_empty() => Ok(()),
            (true, _) => {
                let set = (self.table.key.len() + 1..).zip(&cells).filter_map(|(place, cell)| {
                    let column = self.table.cells.get(cell.0)?;
                    Some(format!("{} = ?{place}", quote(&column.name)))
                });
                let set = set.collect::<Vec<_>>().join(", ");
                let name = quote(&self.table.name);
                self.run(&format!("UPDATE {name} SET {set} WHERE {}", self.find(1)), &key, &cells)
            }
            (false, RowOp::Insert) => {
                let indexes: Vec<usize> = cells.iter().map(|(index, _)| *index).collect();
                self.run(&insert_sql("INSERT", self.table, &indexes, 1), &key, &cells)
            }
            // It was deleted elsewhere.
            (false, RowOp::Update | RowOp::Delete) => Ok(()),
        }
    }

    /// A condition for the row's key, in parameters from `first` on.
    fn find(&self, first: usize) -> String {
        let columns = (first..).zip(&self.table.key);
        let equal = columns.map(|(place, column)| {
            let name = quote(&column.name);
            format!("{name} = ?{place} AND {name} COLLATE BINARY = ?{place}")
        });
        equal.collect::<Vec<_>>().join(" AND ")
    }

    fn run(&self, sql: &str, key: &[Value], cells: &[(usize, ValueRef<'_>)]) -> Result<()> {
        let mut statement = self.sqlite.prepare_cached(sql)?;
        bind(&mut statement, 1, key.iter().map(Value::as_ref))?;
        for (place, (index, value)) in (key.len() + 1..).zip(cells) {
            match self.table.cells.get(*index) {
                Some(column) if !can_hold(self.table, column, *value) => {
                    statement.raw_bind_parameter(place, Bound(column.fallback.as_ref()))?;
                }
                _ => statement.raw_bind_parameter(place, Bound(*value))?,
            }
        }
        statement.raw_execute()?;
        Ok(())
    }
}
