//! Setting a write transaction aside while its client thinks, and taking it up again.
//!
//! There is one writer. A transaction that holds it while nothing happens is undone in SQLite, after its row changes have
//! been copied, and done again from the copy when its client goes on; in between others write. It is as if the
//! transaction had held locks on the rows it changed, except that a conflict is found when it goes on rather than waited
//! for:
//!
//! ```text
//!   UPDATE a, SAVEPOINT s, DELETE b ──▶ layers [a: old → new] [b: old → gone] ──▶ rolled back, lease handed on
//!                                                         │ others commit
//!   next statement ──▶ lease, rows a and b still old? ────┴─▶ same changes, same savepoints ──▶ goes on
//!                                      └─ no ─▶ conflict: the transaction is lost
//! ```
//!
//! The copy has one layer per open savepoint, got by unwinding them from the innermost outwards: what a layer changed has
//! its values before the layer beneath it is looked at. The values from before the transaction are read after it is
//! rolled back and before the lease is given up, so nobody can have come between.
//!
//! # Invariants
//! 1. A transaction that is taken up again has changed each row from the value it knew to the value it wanted, or is lost.
//! 2. What cannot be copied is not set aside: changes outside replicated tables, and of the tables themselves.
//!
//! # Bounds
//! `ROWS_MAX` (50,000) rows, `EVENTS_MAX` (200,000) changes of them and `BYTES_MAX` (16 MiB) of values; a larger transaction is not set aside.
//!
//! # Left out
//! Rows are changed back one at a time. Two rows that have swapped their values of a unique column meet in the middle,
//! which counts as a conflict.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::capture::{Event, EventKind, EventLog};
use super::clocks::{bind, bind_find, value_of};
use super::connection::StoreConnection;
use super::error::{Result, StoreError};
use super::lease::WriteLease;
use super::merge::{Found, delete_row, insert_sql, own_rowid, read_cells, rowid_of, update_sql};
use super::registry::{Registry, RowIdentity, Table};
use crate::crdt::{pack, unpack};
use crate::types::{Message, Position, Value};

/// Changed rows of a transaction that can be set aside.
const ROWS_MAX: usize = 50_000;
/// Row changes, however often they concern the same row.
const EVENTS_MAX: usize = 4 * ROWS_MAX;
/// Their values, in bytes.
const BYTES_MAX: usize = 16 << 20;

/// A row of a table: the table's ordinal, and the packed key.
type RowName = (u32, Vec<u8>);

/// The cells of a row, `None` if there is no such row.
type Image = Option<Vec<Value>>;

/// What a transaction did within one savepoint.
#[derive(Debug, Default)]
struct Layer {
    /// The rows changed, in the order in which they first were, and what became of them.
    rows: Vec<(RowName, Image)>,
    messages: Vec<Message>,
}

/// A write transaction that was set aside. Dropping it rolls it back for good.
#[derive(Debug)]
pub struct SetAside {
    /// Outermost first: what came before the first savepoint, then one per savepoint.
    layers: Vec<Layer>,
    /// The rows as they were before the transaction.
    before: BTreeMap<RowName, Image>,
    registry: Arc<Registry>,
    /// Position of the newest transaction then.
    position: Position,
}

/// Why a transaction could not be taken up again; it has been rolled back.
#[derive(Debug)]
pub enum ResumeError {
    /// Someone else has changed a row that it had changed, or the tables.
    Conflict,
    /// The store failed.
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for ResumeError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// How much a copy may still take.
struct Budget {
    rows: usize,
    bytes: usize,
}

impl Budget {
    /// Takes a row's share; `None` if there is not enough left.
    fn spend(&mut self, image: &Image) -> Option<()> {
        self.rows = self.rows.checked_sub(1)?;
        let bytes = image.iter().flatten().map(|value| match value {
            Value::Text(text) => text.len() + size_of::<Value>(),
            Value::Blob(blob) => blob.len() + size_of::<Value>(),
            Value::Null | Value::Integer(_) | Value::Real(_) => size_of::<Value>(),
        });
        self.bytes = self.bytes.checked_sub(bytes.sum())?;
        Some(())
    }
}

impl StoreConnection {
    /// Sets the write transaction aside and hands the lease on. `savepoints` are the open ones' names as SQL, outermost
    /// first. `None` if it cannot be: it has then been rolled back for good.
    ///
    /// No statement may be running on the connection.
    ///
    /// # Errors
    /// If SQLite refuses; the transaction is rolled back then too.
    pub fn set_aside(&mut self, savepoints: &[String]) -> Result<Option<SetAside>> {
        let copied = self.copy_aside(savepoints);
        if !matches!(copied, Ok(Some(_))) {
            self.rollback();
        }
        copied
    }

    fn copy_aside(&mut self, savepoints: &[String]) -> Result<Option<SetAside>> {
        let registry = self.capture().state().registry.clone();
        let position = {
            let committed = self.core().committed();
            if !self.in_write() || !Arc::ptr_eq(&committed.registry, &registry) {
                return Ok(None);
            }
            committed.log.position
        };
        if self.capture().state().is_incomplete(savepoints.len()) {
            return Ok(None);
        }
        let mut budget = Budget { rows: ROWS_MAX, bytes: BYTES_MAX };
        let mut layers = Vec::new();
        for depth in (0..=savepoints.len()).rev() {
            let Some(layer) = self.copy_layer(&registry, depth, &mut budget)? else {
                return Ok(None);
            };
            layers.push(layer);
            if let Some(name) = depth.checked_sub(1).and_then(|at| savepoints.get(at)) {
                self.sqlite().execute_batch(&format!("ROLLBACK TO {name}"))?;
            }
        }
        layers.reverse();
        let lease = self.roll_back_keeping_lease()?;
        let before = read_before(self.sqlite(), &registry, &layers, &mut budget);
        drop(lease);
        Ok(before?.map(|before| SetAside { layers, before, registry, position }))
    }

    /// What was changed since the savepoint at `depth` was opened, with its present values.
    fn copy_layer(
        &self,
        registry: &Registry,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Option<Layer>> {
        let state = self.capture().state();
        let (first, first_message) = state.start_of_layer(depth);
        let names = names_of(registry, &state.log, state.log.events.get(first..).unwrap_or(&[]));
        let messages = state.messages.from(first_message).to_vec();
        drop(state);
        let Some(names) = names else { return Ok(None) };
        let mut layer = Layer { rows: Vec::new(), messages };
        let mut seen = HashSet::new();
        for name in names {
            let name = match name {
                Changed::Named(name) => name,
                Changed::Numbered(table, row) => {
                    let Some(table) = registry.by_ordinal(table) else { return Ok(None) };
                    let Some(key) = key_of_row(self.sqlite(), table, row)? else { continue };
                    (table.ordinal, key)
                }
            };
            if !seen.insert(name.clone()) {
                continue;
            }
            let Some(table) = registry.by_ordinal(name.0) else { return Ok(None) };
            let (_, image) = look_up(self.sqlite(), table, &name.1)?;
            if budget.spend(&image).is_none() {
                return Ok(None);
            }
            layer.rows.push((name, image));
        }
        Ok(Some(layer))
    }

    /// Takes up a transaction that was set aside, as a new write transaction under `lease`, with its savepoints, and with
    /// constraints checked.
    ///
    /// # Errors
    /// See [`ResumeError`]; the transaction is rolled back, and the lease handed on.
    pub fn resume(
        &mut self,
        lease: WriteLease,
        aside: &SetAside,
        savepoints: &[String],
    ) -> Result<(), ResumeError> {
        self.begin(lease)?;
        let resumed = self.redo(aside, savepoints);
        if resumed.is_err() {
            self.rollback();
        }
        resumed
    }

    /// Whether nobody has committed anything since the transaction was set aside. Inside a write it stays so.
    #[must_use]
    pub fn is_newest(&self, aside: &SetAside) -> bool {
        self.core().committed().log.position == aside.position
    }

    fn redo(&mut self, aside: &SetAside, savepoints: &[String]) -> Result<(), ResumeError> {
        let registry = Arc::clone(&self.capture().state().registry);
        // Rows come back one by one; those that refer to one another are complete at the end.
        self.sqlite().execute_batch("PRAGMA defer_foreign_keys = 1")?;
        for (name, before) in &aside.before {
            let table = same_table(&aside.registry, &registry, name.0)?;
            if look_up(self.sqlite(), table, &name.1)?.1 != *before {
                return Err(ResumeError::Conflict);
            }
        }
        for (depth, layer) in aside.layers.iter().enumerate() {
            if let Some(name) = depth.checked_sub(1).and_then(|at| savepoints.get(at)) {
                self.sqlite().execute_batch(&format!("SAVEPOINT {name}"))?;
            }
            for (name, wanted) in &layer.rows {
                let table = same_table(&aside.registry, &registry, name.0)?;
                self.redo_row(table, &name.1, wanted.as_ref())?;
            }
            layer.messages.iter().cloned().try_for_each(|message| self.notify(message))?;
        }
        self.sqlite().execute_batch("PRAGMA defer_foreign_keys = 0")?;
        Ok(())
    }

    fn redo_row(
        &self,
        table: &Table,
        key: &[u8],
        wanted: Option<&Vec<Value>>,
    ) -> Result<(), ResumeError> {
        let (found, present) = look_up(self.sqlite(), table, key)?;
        // Another row's return may have brought this one along, by a foreign key's action.
        if present.as_ref() == wanted {
            return Ok(());
        }
        let written = write_image(self.sqlite(), table, &found, present.as_ref(), wanted);
        written.map_err(|error| match error {
            StoreError::Sqlite(error) if is_constraint(&error) => ResumeError::Conflict,
            other => ResumeError::Store(other),
        })
    }
}

/// The table with that ordinal, if it is as it was.
fn same_table<'r>(
    then: &Registry,
    now: &'r Registry,
    ordinal: u32,
) -> Result<&'r Table, ResumeError> {
    match (then.by_ordinal(ordinal), now.by_ordinal(ordinal)) {
        (Some(then), Some(now)) if Arc::ptr_eq(then, now) => Ok(now),
        _ => Err(ResumeError::Conflict),
    }
}

/// Which row an event names.
#[derive(Debug)]
enum Changed {
    /// By its key.
    Named(RowName),
    /// By table ordinal and rowid, in a table whose key is something else.
    Numbered(u32, i64),
}

/// The rows that events name, in order.
fn names_of(registry: &Registry, log: &EventLog, events: &[Event]) -> Option<Vec<Changed>> {
    let mut names = Vec::new();
    for event in events {
        if names.len() > EVENTS_MAX {
            return None;
        }
        let Some(table) = registry.by_ordinal(event.table) else { continue };
        let by_place = |place: u64| {
            let key = usize::try_from(place).ok().and_then(|place| log.keys.get(place));
            key.map(|key| Changed::Named((table.ordinal, key.to_vec())))
        };
        let by_number = |row: i64| match table.identity {
            RowIdentity::IntegerKey => {
                Some(Changed::Named((table.ordinal, pack([Value::Integer(row).as_ref()]))))
            }
            RowIdentity::HiddenRowid(_) => Some(Changed::Numbered(table.ordinal, row)),
            RowIdentity::WithoutRowid => {
                let key = usize::try_from(row).ok().and_then(|at| log.interned_keys.get(at));
                key.map(|key| Changed::Named((table.ordinal, key.to_vec())))
            }
        };
        match event.kind {
            EventKind::Insert => {
                let count = i64::try_from(event.extra).unwrap_or(i64::MAX);
                let last = event.row.saturating_add(count.saturating_sub(1).min(EVENTS_MAX as i64));
                names.extend((event.row..=last).filter_map(by_number));
            }
            EventKind::Update | EventKind::MovedHere => names.extend(by_number(event.row)),
            EventKind::Delete if table.identity == RowIdentity::IntegerKey => {
                names.extend(by_number(event.row));
            }
            EventKind::Delete => names.extend(by_place(event.extra)),
        }
    }
    Some(names)
}

/// The packed key of the row with that rowid.
fn key_of_row(sqlite: &Connection, table: &Table, row: i64) -> Result<Option<Vec<u8>>> {
    let mut select = sqlite.prepare_cached(&table.sql.select_rows)?;
    let mut rows = select.query([row, row])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let values = (1..=table.key.len()).map(|place| value_of(row, place));
    Ok(Some(pack(values.collect::<Result<Vec<_>>>()?)))
}

/// Where the row is, and its cells if it is there.
fn look_up(sqlite: &Connection, table: &Table, key: &[u8]) -> Result<(Found, Image)> {
    let key_values = unpack(key)?;
    let rowid = match table.identity {
        RowIdentity::HiddenRowid(_) => rowid_of(sqlite, table, &key_values)?,
        RowIdentity::IntegerKey | RowIdentity::WithoutRowid => own_rowid(table, &key_values),
    };
    let absent = table.has_dead_table() && rowid.is_none();
    let found = Found { key_values, pk: key.to_vec(), rowid, clock: None, hidden: None };
    let image = if absent { None } else { read_cells(sqlite, table, &found)? };
    Ok((found, image))
}

/// Brings a row from one image to another.
fn write_image(
    sqlite: &Connection,
    table: &Table,
    found: &Found,
    present: Option<&Vec<Value>>,
    wanted: Option<&Vec<Value>>,
) -> Result<()> {
    let Some(wanted) = wanted else { return delete_row(sqlite, table, found) };
    let all: Vec<usize> = (0..table.cells.len()).collect();
    let Some(present) = present else {
        let mut insert = sqlite.prepare_cached(&insert_sql("INSERT", table, &all, 1))?;
        bind(&mut insert, 1, found.key_values.iter().chain(wanted).map(Value::as_ref))?;
        insert.raw_execute()?;
        return Ok(());
    };
    let changed: Vec<usize> =
        all.into_iter().filter(|cell| present.get(*cell) != wanted.get(*cell)).collect();
    let mut update = sqlite.prepare_cached(&update_sql(table, &changed))?;
    bind_find(&mut update, found.key(), &found.key_values)?;
    let cells = changed.iter().filter_map(|cell| wanted.get(*cell)).map(Value::as_ref);
    bind(&mut update, table.sql.find_parameters + 1, cells)?;
    update.raw_execute()?;
    Ok(())
}

/// The rows of all layers as they are without the transaction; `None` if they are too much.
fn read_before(
    sqlite: &Connection,
    registry: &Registry,
    layers: &[Layer],
    budget: &mut Budget,
) -> Result<Option<BTreeMap<RowName, Image>>> {
    let mut before = BTreeMap::new();
    for (name, _) in layers.iter().flat_map(|layer| &layer.rows) {
        let Some(table) = registry.by_ordinal(name.0) else { return Ok(None) };
        let (_, image) = look_up(sqlite, table, &name.1)?;
        if budget.spend(&image).is_none() {
            return Ok(None);
        }
        before.insert(name.clone(), image);
    }
    Ok(Some(before))
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}
