//! What the present transaction of a connection has changed so far.
//!
//! SQLite's preupdate hook reports each row that is about to change, by statements, triggers, cascades and `REPLACE`
//! alike; [`Capture`] notes it as an [`Event`] of 32 bytes, and the new values as an image (`images.rs`). Neighbouring rows inserted one after the other share one event.
//! What a rolled-back savepoint or a failed statement undoes is cut off again: the transaction virtual table reports every
//! savepoint, and a [`Mark`] remembers how long everything was then. Inside COMMIT the events are folded into clocks and a
//! changeset (`fold.rs`).
//!
//! # Invariants
//! 1. The events are exactly the row changes that the transaction would commit now, in their order.
//! 2. No tracked row changes outside [`super::StoreConnection::begin`]: such a transaction cannot commit.
//!
//! # Bounds
//! 32 bytes per changed row or run of inserted rows; a copy of the packed key of each row that is deleted from a table
//! whose key is not its rowid; and images within their own bound. Memory of more than [`KEPT_BYTES_MAX`] is given back
//! after a transaction.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::applied::AppliedTransaction;
use super::core::Core;
use super::error::{Result, StoreError};
use super::ffi::{RowEvent, RowOperation, TransactionEvents};
use super::fold;
use super::images::{ImagePlace, Images, RUN_IMAGES, SharedImages};
use super::messages::Messages;
use super::registry::{Column, Registry, RowIdentity, Table};
use super::seal;
use crate::crdt::PackedKey;
use crate::types::ValueRef;

/// What happened to a row, or to neighbouring ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    /// Inserted; `extra` is the number of neighbouring rowids that were, at least 1.
    Insert,
    /// Inserted by a change of its key; `extra` is the place among the keys of the one it had.
    MovedHere,
    /// Updated; `extra` has a bit set for each changed cell, or is a place among the wide masks; or is [`ALL_CELLS`].
    Update,
    /// Deleted; `extra` is the place among the keys of its key, unless the key is the rowid.
    Delete,
}

/// A noted row change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Rowid, or number of the interned key of a table without rowid.
    pub row: i64,
    /// See [`EventKind`].
    pub extra: u64,
    /// The table's ordinal.
    pub table: u32,
    /// The row's image; those of the neighbours of a run follow it.
    pub image: Option<ImagePlace>,
    pub kind: EventKind,
}

/// Cells that a mask can name in the event itself.
const NARROW_CELLS: usize = 64;

/// The mask of an update that counts as one of all cells, however many there are.
const ALL_CELLS: u64 = u64::MAX;

/// Most bytes of events, and as many of images, whose memory is kept for the next transaction.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The row changes of a transaction, and what they refer to.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    pub events: Vec<Event>,
    /// Packed keys of deleted and moved rows.
    pub keys: Vec<Box<[u8]>>,
    /// Masks of tables with more than [`NARROW_CELLS`] cells.
    pub wide: Vec<Box<[u64]>>,
    /// Packed keys of tables without rowid, and their numbers.
    interned: HashMap<Box<[u8]>, i64>,
    pub interned_keys: Vec<Box<[u8]>>,
    pub images: Images,
    scratch: PackedKey,
    /// Events before this one are under a mark and must not grow.
    sealed: usize,
}

impl EventLog {
    fn push(&mut self, table: u32, row: i64, kind: EventKind, extra: u64) {
        self.events.push(Event { row, extra, table, image: None, kind });
    }

    /// Makes the events of a table independent of its columns, which are about to be others: their rows are read when the
    /// events are folded, all cells of them.
    pub(super) fn forget_columns(&mut self, table: u32) {
        for event in self.events.iter_mut().filter(|event| event.table == table) {
            event.image = None;
            if event.kind == EventKind::Update {
                event.extra = ALL_CELLS;
            }
        }
    }

    fn insert(&mut self, table: u32, row: i64, image: Option<ImagePlace>) {
        if self.events.len() > self.sealed
            && let Some(last) = self.events.last_mut()
            && last.kind == EventKind::Insert
            && last.table == table
            && last.image.is_some() == image.is_some()
            && last.row.checked_add_unsigned(last.extra) == Some(row)
        {
            last.extra += 1;
        } else {
            self.events.push(Event { row, extra: 1, table, image, kind: EventKind::Insert });
        }
    }

    /// Whether an inserted row prolongs a run that is so long that its further rows are better read when it is folded.
    fn is_in_long_run(&self, table: &Table, row: i64) -> bool {
        let last = self.events.get(self.sealed..).and_then(<[Event]>::last);
        last.is_some_and(|last| {
            last.kind == EventKind::Insert
                && last.table == table.ordinal
                && (last.image.is_none() || last.extra >= RUN_IMAGES)
                && last.row.checked_add_unsigned(last.extra) == Some(row)
                && table.sql.make_images.is_some()
        })
    }

    /// Forgets everything, keeping a little memory.
    fn clear(&mut self) {
        self.events.clear();
        self.events.shrink_to(KEPT_BYTES_MAX / size_of::<Event>());
        self.keys.clear();
        self.wide.clear();
        self.interned.clear();
        self.interned_keys.clear();
        self.images.truncate(0);
        self.images.shrink_to(KEPT_BYTES_MAX);
        self.sealed = 0;
    }

    /// Keeps the key in `scratch` and returns its place.
    fn keep_scratch(&mut self) -> u64 {
        self.keys.push(self.scratch.as_slice().into());
        self.keys.len() as u64 - 1
    }

    /// The number of the key in `scratch`.
    fn intern_scratch(&mut self) -> i64 {
        let key = self.scratch.as_slice();
        if let Some(number) = self.interned.get(key) {
            return *number;
        }
        let number = self.interned_keys.len() as i64;
        self.interned.insert(key.into(), number);
        self.interned_keys.push(key.into());
        number
    }

    /// Notes that all rows of a table that has just been registered are new.
    pub(super) fn push_existing(&mut self, table: u32, row: i64) {
        self.insert(table, row, None);
    }

    /// Like [`Self::push_existing`] in a table without rowid.
    pub(super) fn push_existing_key(&mut self, table: u32, key: &PackedKey) {
        self.scratch.clone_from(key);
        let row = self.intern_scratch();
        self.push(table, row, EventKind::Insert, 1);
    }

    /// Notes an event of a tracked table; `None` if a value could not be read.
    fn note(&mut self, table: &Table, event: &RowEvent<'_>) -> Option<()> {
        let row = match event.operation {
            RowOperation::Delete => event.old_rowid,
            RowOperation::Insert | RowOperation::Update => event.new_rowid,
        };
        let index = table.ordinal;
        let keyed = table.identity != RowIdentity::IntegerKey;
        match event.operation {
            RowOperation::Insert => {
                let row =
                    self.row_number(table, row, |column| event.value_after(column.storage))?;
                let image = if self.is_in_long_run(table, row) {
                    None
                } else {
                    self.images.take(table, event, table.cells.iter(), &mut self.scratch)
                };
                match table.identity {
                    RowIdentity::WithoutRowid => self.events.push(Event {
                        row,
                        extra: 1,
                        table: index,
                        image,
                        kind: EventKind::Insert,
                    }),
                    _ => self.insert(index, row, image),
                }
            }
            RowOperation::Delete => {
                let row =
                    self.row_number(table, row, |column| event.value_before(column.storage))?;
                let key = if keyed {
                    self.key_of(table, |column| event.value_before(column.storage))?
                } else {
                    0
                };
                self.push(index, row, EventKind::Delete, key);
            }
            RowOperation::Update if self.moves(table, event)? => {
                let old = self.row_number(table, event.old_rowid, |column| {
                    event.value_before(column.storage)
                })?;
                let new = self.row_number(table, event.new_rowid, |column| {
                    event.value_after(column.storage)
                })?;
                let key = self.key_of(table, |column| event.value_before(column.storage))?;
                self.push(index, old, EventKind::Delete, key);
                self.push(index, new, EventKind::MovedHere, key);
            }
            RowOperation::Update => self.note_update(index, table, row, event)?,
        }
        Some(())
    }

    fn note_update(
        &mut self,
        index: u32,
        table: &Table,
        row: i64,
        event: &RowEvent<'_>,
    ) -> Option<()> {
        let row = self.row_number(table, row, |column| event.value_after(column.storage))?;
        let mut mask = Mask::none(table.cells.len());
        for (cell, column) in table.cells.iter().enumerate() {
            let (old, new) =
                (event.value_before(column.storage)?, event.value_after(column.storage)?);
            if !same_value(old, new) {
                mask.insert(cell);
            }
        }
        if mask.words().iter().all(|word| *word == 0) {
            return Some(());
        }
        let changed = (0..).zip(&table.cells).filter(|(cell, _)| mask.contains(*cell));
        let changed = changed.map(|(_, column)| column);
        let image = self.images.take(table, event, changed, &mut self.scratch);
        let extra = match mask {
            Mask::Narrow([word]) => word,
            Mask::Wide(words) => {
                self.wide.push(words);
                self.wide.len() as u64 - 1
            }
        };
        self.events.push(Event { row, extra, table: index, image, kind: EventKind::Update });
        Some(())
    }

    /// Whether an update changes the row's key or its rowid.
    fn moves(&self, table: &Table, event: &RowEvent<'_>) -> Option<bool> {
        if event.old_rowid != event.new_rowid {
            return Some(true);
        }
        if table.identity == RowIdentity::IntegerKey {
            return Some(false);
        }
        for column in &table.key {
            if !same_value(event.value_before(column.storage)?, event.value_after(column.storage)?)
            {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The row's number: its rowid, or that of its interned key.
    fn row_number<'v>(
        &mut self,
        table: &Table,
        rowid: i64,
        value: impl Fn(&Column) -> Option<ValueRef<'v>>,
    ) -> Option<i64> {
        if table.identity != RowIdentity::WithoutRowid {
            return Some(rowid);
        }
        pack_key(&mut self.scratch, table, value)?;
        Some(self.intern_scratch())
    }

    /// Notes a row's key and returns its place.
    fn key_of<'v>(
        &mut self,
        table: &Table,
        value: impl Fn(&Column) -> Option<ValueRef<'v>>,
    ) -> Option<u64> {
        pack_key(&mut self.scratch, table, value)?;
        Some(self.keep_scratch())
    }
}

/// How long everything was when a savepoint was opened.
#[derive(Clone, Debug)]
struct Mark {
    events: usize,
    keys: usize,
    wide: usize,
    images: usize,
    messages: usize,
    registry: Arc<Registry>,
}

/// Whether row changes are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Outside a write transaction: a change to a tracked row is an error.
    Idle,
    /// They are.
    Tracking,
    /// They are not: remote changes are being applied, or the events folded.
    Suspended,
}

/// The state of a connection's present transaction.
#[derive(Debug)]
pub(super) struct State {
    pub mode: Mode,
    pub log: EventLog,
    pub messages: Messages,
    pub registry: Arc<Registry>,
    marks: Vec<Mark>,
    /// The name last seen and its place in the registry: rows come table by table.
    last_name: Vec<u8>,
    last_index: Option<usize>,
    /// A tracked row was changed outside a write transaction.
    stray: bool,
    /// A row of a table that is not replicated was changed.
    pub(super) untracked: bool,
    /// A value could not be read in the hook.
    unreadable: bool,
    /// SQLite's count of changed rows when the transaction began, if nothing of it is in the log yet.
    pub unlogged_since: Option<u64>,
    /// What the fold made of the parts of the transaction that have ended.
    pub folded: Vec<AppliedTransaction>,
    /// What the next of them is tagged with.
    pub tag: u32,
    /// Why the fold failed.
    pub failure: Option<StoreError>,
    /// While `Some`, table ordinals and keys of rows that are deleted in spite of suspension.
    pub victims: Option<Vec<(u32, Vec<u8>)>>,
}

/// A connection's listener to SQLite.
pub(super) struct Capture {
    core: Arc<Core>,
    state: Mutex<State>,
    /// The connection's second handle, for the statements of the fold.
    inner: Mutex<Option<Connection>>,
    /// What the function `trellis_image` of the connection makes.
    made_images: SharedImages,
}

impl Capture {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let registry = core.registry();
        let state = State {
            mode: Mode::Idle,
            log: EventLog::default(),
            messages: Messages::default(),
            registry,
            marks: Vec::new(),
            last_name: Vec::new(),
            last_index: None,
            stray: false,
            untracked: false,
            unreadable: false,
            unlogged_since: None,
            folded: Vec::new(),
            tag: 0,
            failure: None,
            victims: None,
        };
        let made_images = SharedImages::default();
        Self { core, state: Mutex::new(state), inner: Mutex::new(None), made_images }
    }

    /// Sets, or with `None` removes, the handle that the fold uses.
    pub(super) fn set_inner(&self, inner: Option<Connection>) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = inner;
    }

    /// Registers the function that images are made with.
    pub(super) fn register_images(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        self.made_images.register(sqlite)
    }

    /// The state. A panic in a callback poisons it; the transaction then cannot commit.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` with the connection's second handle, which may be used inside its callbacks.
    pub(super) fn with_inner<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        work(inner.as_ref().ok_or(StoreError::TransactionState("the connection is closing"))?)
    }

    /// Folds what has changed since the last part ended, if anything has, into the transaction of another part.
    pub(super) fn fold(&self) -> Result<()> {
        if self.state.is_poisoned() {
            return Err(StoreError::Damaged("a row change could not be noted".into()));
        }
        let mut state = self.state();
        if state.unreadable {
            return Err(StoreError::Damaged("a changed value could not be read".into()));
        }
        let unlogged_since = state.unlogged_since.filter(|_| state.folded.is_empty());
        if state.log.events.is_empty() && state.messages.is_empty() {
            drop(state);
            return self.seal(unlogged_since);
        }
        let log = mem::take(&mut state.log);
        let messages = state.messages.take();
        let registry = Arc::clone(&state.registry);
        let mode = mem::replace(&mut state.mode, Mode::Suspended);
        let last = state.folded.last().map(|last| (last.version, last.position));
        drop(state);
        let folded = self.with_inner(|sqlite| {
            let place = (sqlite, &self.made_images);
            fold::fold(&self.core, place, &registry, (&log, messages), last)
        });
        self.made_images.shrink_to(KEPT_BYTES_MAX);
        let mut state = self.state();
        state.mode = mode;
        state.log = log;
        state.log.clear();
        let tag = state.tag;
        let folded = folded?.map(|folded| AppliedTransaction { tag, ..folded });
        let is_logged = folded.is_some();
        state.folded.extend(folded);
        drop(state);
        if is_logged { Ok(()) } else { self.seal(unlogged_since) }
    }

    /// Marks a transaction that has changed rows since that count of them, but appends nothing to the log.
    fn seal(&self, unlogged_since: Option<u64>) -> Result<()> {
        let Some(before) = unlogged_since else { return Ok(()) };
        self.with_inner(|sqlite| {
            let changed = sqlite.total_changes() != before;
            if changed { Ok(seal::touch(sqlite)?) } else { Ok(()) }
        })
    }
}

impl State {
    /// Prepares for a write transaction.
    pub(super) fn begin(&mut self, registry: Arc<Registry>, mode: Mode) {
        self.reset();
        self.registry = registry;
        self.last_index = None;
        self.last_name.clear();
        self.mode = mode;
    }

    /// Forgets the transaction.
    pub(super) fn reset(&mut self) {
        self.mode = Mode::Idle;
        self.log.clear();
        self.messages.truncate(0);
        self.marks.clear();
        self.stray = false;
        self.untracked = false;
        self.unreadable = false;
        self.unlogged_since = None;
        self.folded.clear();
        self.victims = None;
    }

    /// Replaces the transaction's view of the registry.
    pub(super) fn set_registry(&mut self, registry: Arc<Registry>) {
        self.registry = registry;
        self.last_index = None;
        self.last_name.clear();
    }

    /// Whether the events, with that many savepoints open, are not all there is to the transaction.
    pub(super) fn is_incomplete(&self, savepoints: usize) -> bool {
        self.untracked || self.unreadable || self.marks.len() != savepoints
    }

    /// How many events and messages there were when the savepoint at `depth`, from 1, was opened; none at 0.
    pub(super) fn start_of_layer(&self, depth: usize) -> (usize, usize) {
        let mark = depth.checked_sub(1).and_then(|index| self.marks.get(index));
        mark.map_or((0, 0), |mark| (mark.events, mark.messages))
    }

    fn note(&mut self, event: &RowEvent<'_>) {
        if !event.in_main {
            self.untracked = true;
            return;
        }
        if self.mode == Mode::Suspended {
            return self.note_victim(event);
        }
        if self.last_name != event.table {
            self.last_name.clear();
            self.last_name.extend_from_slice(event.table);
            self.last_index = self.registry.index_of(event.table);
        }
        let Some(index) = self.last_index else {
            self.untracked = true;
            return;
        };
        if self.mode == Mode::Idle {
            self.stray = true;
            return;
        }
        if let Some(table) = self.registry.tables().get(index)
            && self.log.note(table, event).is_none()
        {
            self.unreadable = true;
        }
    }

    /// Notes the key of a row that is deleted while victims are collected.
    fn note_victim(&mut self, event: &RowEvent<'_>) {
        let Some(victims) = &mut self.victims else {
            return;
        };
        let registry = Arc::clone(&self.registry);
        let index = registry.index_of(event.table);
        if let (RowOperation::Delete, Some(table)) =
            (event.operation, index.and_then(|index| registry.tables().get(index)))
        {
            let mut key = PackedKey::default();
            match pack_key(&mut key, table, |column| event.value_before(column.storage)) {
                Some(()) => victims.push((table.ordinal, key.into_bytes())),
                None => self.unreadable = true,
            }
        }
    }

    fn mark(&mut self, index: usize) {
        let mark = Mark {
            events: self.log.events.len(),
            keys: self.log.keys.len(),
            wide: self.log.wide.len(),
            images: self.log.images.len(),
            messages: self.messages.len(),
            registry: Arc::clone(&self.registry),
        };
        // Savepoints that were open before the transaction was enlisted saw none of its changes.
        self.marks.truncate(index);
        self.marks.resize(index + 1, mark);
        self.log.sealed = self.log.events.len();
    }

    fn rollback_to(&mut self, index: usize) {
        let Some(mark) = self.marks.get(index).cloned() else {
            return;
        };
        self.marks.truncate(index + 1);
        self.log.events.truncate(mark.events);
        self.log.keys.truncate(mark.keys);
        self.log.wide.truncate(mark.wide);
        self.log.images.truncate(mark.images);
        self.messages.truncate(mark.messages);
        self.log.sealed = mark.events;
        if !Arc::ptr_eq(&self.registry, &mark.registry) {
            self.set_registry(mark.registry);
        }
    }
}

/// A set of cells, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    Narrow([u64; 1]),
    Wide(Box<[u64]>),
}

impl Mask {
    /// No cell of so many.
    pub(super) fn none(cells: usize) -> Self {
        if cells <= NARROW_CELLS {
            Self::Narrow([0])
        } else {
            Self::Wide(vec![0; cells.div_ceil(64)].into())
        }
    }

    /// Whether the cell is in the set.
    pub(super) fn contains(&self, cell: usize) -> bool {
        self.words().get(cell / 64).is_some_and(|word| word & (1 << (cell % 64)) != 0)
    }

    /// Adds the cells of another set.
    pub(super) fn add(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(word, other)| *word |= other);
    }

    fn insert(&mut self, cell: usize) {
        if let Some(word) = self.words_mut().get_mut(cell / 64) {
            *word |= 1 << (cell % 64);
        }
    }

    fn words(&self) -> &[u64] {
        match self {
            Self::Narrow(word) => word,
            Self::Wide(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Self::Narrow(word) => word,
            Self::Wide(words) => words,
        }
    }
}

/// The changed cells of an update event.
pub(super) fn changed_cells(log: &EventLog, table: &Table, extra: u64) -> Mask {
    if table.cells.len() <= NARROW_CELLS {
        return Mask::Narrow([extra]);
    }
    if extra == ALL_CELLS {
        return Mask::Wide(vec![u64::MAX; table.cells.len().div_ceil(64)].into());
    }
    let wide = usize::try_from(extra).ok().and_then(|place| log.wide.get(place));
    Mask::Wide(wide.cloned().unwrap_or_default())
}

/// Packs a row's key; `None` if a value could not be read.
pub(super) fn pack_key<'v>(
    key: &mut PackedKey,
    table: &Table,
    value: impl Fn(&Column) -> Option<ValueRef<'v>>,
) -> Option<()> {
    key.clear();
    table.key.iter().try_for_each(|column| value(column).map(|value| key.push(value)))
}

/// Whether a cell keeps its value: same type, same bits.
fn same_value(left: ValueRef<'_>, right: ValueRef<'_>) -> bool {
    match (left, right) {
        (ValueRef::Real(left), ValueRef::Real(right)) => left.to_bits() == right.to_bits(),
        (left, right) => left == right,
    }
}

impl TransactionEvents for Capture {
    fn row(&self, event: &RowEvent<'_>) {
        self.state().note(event);
    }

    fn savepoint(&self, index: usize) {
        self.state().mark(index);
    }

    fn release(&self, index: usize) {
        self.state().marks.truncate(index);
    }

    fn rollback_to(&self, index: usize) {
        self.state().rollback_to(index);
    }

    fn sync(&self) -> Result<(), String> {
        self.fold().map_err(|error| {
            let message = error.to_string();
            self.state().failure = Some(error);
            message
        })
    }

    fn rolled_back(&self) {
        let mut state = self.state();
        // The mode stays: SQLite ends the transaction, `StoreConnection` the write.
        let mode = state.mode;
        state.reset();
        state.mode = mode;
    }

    fn may_commit(&self) -> bool {
        let mut state = self.state();
        !mem::take(&mut state.stray) && state.log.events.is_empty()
    }

    fn wal_frames(&self, frames: usize) {
        self.core.wal_grew(frames);
    }
}
