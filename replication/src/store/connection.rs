//! A connection to the database file, and its write transactions.

use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::applied::AppliedTransaction;
use super::capture::{Capture, Mode};
use super::core::Core;
use super::error::{Result, StoreError};
use super::ffi::{self, Installed, TransactionEvents};
use super::lease::WriteLease;
use super::log::LogState;
use super::registry::{RowIdentity, Table, TableSpec};
use super::resolved::Notes;
use crate::crdt::PackedKey;
use crate::types::{ColumnId, Message, Position, ProgressBySite, TableId};

/// A SQLite connection whose write transactions are captured.
///
/// Reads need nothing: use [`Self::sqlite`]. A write transaction is opened by [`Self::begin`] and ended by
/// [`Self::commit`] or [`Self::rollback`]; in between run any SQL, savepoints included, but not `COMMIT`, `END` or
/// `ROLLBACK`. A change to a replicated table outside such a transaction fails at its commit.
pub struct StoreConnection {
    capture: Arc<Capture>,
    /// Declared before the connection, which must outlive it.
    installed: Option<Installed>,
    sqlite: Connection,
    core: Arc<Core>,
    lease: Option<WriteLease>,
    /// SQLite's count of changed rows when the transaction began.
    changes_before: u64,
    /// What the transactions of this connection are tagged with.
    tag: u32,
    /// Remote transactions that the present one applies, in the order of their positions.
    pub(super) remote: Vec<AppliedTransaction>,
    /// Origins of whose next transaction the present one stages chunks, or gives them up.
    pub(super) staged: ProgressBySite,
    /// The log as the present transaction has made it anew.
    pub(super) adopted: Option<LogState>,
    /// Rows that the remote transaction that is being applied has hidden and shown so far.
    pub(super) notes: Notes,
}

/// A commit on its way to the disk. Who waits may be the one who syncs, for others too; dropped, it gets there without.
#[derive(Debug)]
#[must_use = "the commit is not durable until `wait` has returned"]
pub struct Pending {
    core: PendingCore,
    number: u64,
    position: Option<Position>,
    waited: bool,
}

/// Keeps `Debug` off the shared state.
struct PendingCore(Arc<Core>);

impl std::fmt::Debug for PendingCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

impl Pending {
    /// Blocks until the commit is durable and has been told to the listener.
    ///
    /// # Errors
    /// [`StoreError::NotDurable`] if the log could not be synced: whether the commit survives is then unknown.
    pub fn wait(mut self) -> Result<()> {
        self.waited = true;
        self.core.0.durability.wait(self.number, &self.core.0.lease)
    }

    /// Whether [`Self::wait`] would return at once.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.core.0.durability.is_durable(self.number)
    }

    /// The transaction's place in the log; none if it changed only what is not replicated.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.waited {
            self.core.0.durability.nudge();
        }
    }
}

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A client's session: constraints and triggers as the schema says.
    Session,
    /// Applies remote changes: no triggers, no constraints that could refuse what was accepted elsewhere.
    Apply,
}

impl StoreConnection {
    pub(super) fn open(core: Arc<Core>, role: Role) -> Result<Self> {
        let sqlite = open_sqlite(&core)?;
        let capture = Arc::new(Capture::new(Arc::clone(&core)));
        let events: Arc<dyn TransactionEvents> = Arc::clone(&capture) as _;
        let installed = ffi::install(&sqlite, &events)?;
        configure(&sqlite, role)?;
        let inner = ffi::second_handle(&sqlite)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        sqlite.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        capture.set_inner(Some(inner));
        let changes_before = 0;
        capture.register_images(&sqlite)?;
        super::changes::register(&sqlite, &capture, &core)?;
        if let Some(on_connect) = &core.options.on_connect {
            on_connect(&sqlite)?;
        }
        let installed = Some(installed);
        Ok(Self {
            capture,
            installed,
            sqlite,
            core,
            lease: None,
            changes_before,
            tag: 0,
            remote: Vec::new(),
            staged: ProgressBySite::new(),
            adopted: None,
            notes: Notes::default(),
        })
    }

    /// The SQLite connection.
    #[must_use]
    pub fn sqlite(&self) -> &Connection {
        &self.sqlite
    }

    /// Starts a write transaction; the connection holds the lease until its end. Inside a read transaction, that one goes
    /// on as the write transaction, and the first write fails with `SQLITE_BUSY_SNAPSHOT` if its snapshot is not the
    /// newest.
    ///
    /// # Errors
    /// If there is one already, or SQLite refuses; the lease is released then.
    pub fn begin(&mut self, lease: WriteLease) -> Result<()> {
        self.begin_mode(lease, Mode::Tracking)
    }

    pub(super) fn begin_mode(&mut self, lease: WriteLease, mode: Mode) -> Result<()> {
        if self.lease.is_some() {
            return Err(StoreError::TransactionState("a write transaction is already in progress"));
        }
        let in_read = !self.sqlite.is_autocommit();
        if !in_read {
            self.sqlite.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        }
        self.changes_before = self.sqlite.total_changes();
        self.capture.state().begin(self.core.registry(), mode);
        let enlisted = self
            .sqlite
            .prepare_cached("INSERT INTO crdt_tx DEFAULT VALUES")
            .and_then(|mut enlist| enlist.execute([]));
        self.lease = Some(lease);
        if let Err(error) = enlisted {
            self.rollback();
            return Err(error.into());
        }
        Ok(())
    }

    /// Commits the write transaction and hands the lease on. `None` if nothing changed.
    ///
    /// # Errors
    /// If SQLite refuses. [`Self::in_write`] tells whether the transaction is still open, as it is when a deferred
    /// constraint failed; then it can go on or be rolled back.
    pub fn commit(&mut self) -> Result<Option<Pending>> {
        if self.lease.is_none() {
            return Err(StoreError::TransactionState("there is no write transaction in progress"));
        }
        let is_logged = !self.remote.is_empty();
        {
            let mut state = self.capture.state();
            state.unlogged_since = (!is_logged).then_some(self.changes_before);
            state.tag = self.tag;
        }
        let committed =
            self.sqlite.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        if let Err(error) = committed {
            let failure = self.capture.state().failure.take();
            if self.sqlite.is_autocommit() {
                self.end();
            }
            return Err(failure.unwrap_or_else(|| error.into()));
        }
        let (folded, registry) = {
            let mut state = self.capture.state();
            (std::mem::take(&mut state.folded), Arc::clone(&state.registry))
        };
        let applied: Vec<_> = self.remote.drain(..).chain(folded).map(Arc::new).collect();
        let position = applied.last().map(|applied| applied.position);
        let changed = position.is_some() || self.sqlite.total_changes() != self.changes_before;
        let mut committed = self.core.committed();
        if let Some(log) = self.adopted.take() {
            committed.log = log;
        }
        for applied in &applied {
            committed.log.heads.insert(applied.origin, applied.version);
            committed.log.staged.remove(&applied.origin);
            committed.log.position = applied.position;
            committed.log.index.push(applied.origin, applied.version, applied.position);
        }
        committed.log.staged.append(&mut self.staged);
        let changed = changed || !Arc::ptr_eq(&committed.registry, &registry);
        committed.registry = registry;
        drop(committed);
        let number = changed.then(|| self.core.durability.enqueue(applied));
        self.end();
        let core = || PendingCore(Arc::clone(&self.core));
        Ok(number.map(|number| Pending { core: core(), number, position, waited: false }))
    }

    /// Ends a part of the write transaction: what has changed since it began, or since the last part ended, is a
    /// transaction of its own to everyone but SQLite, with its own version and place in the log, told as `tag`'s. The parts
    /// become durable and visible together, in their order, by [`Self::commit`]. A part should be within a savepoint, to be
    /// undone alone.
    ///
    /// # Errors
    /// If the changes cannot be written to the log. The savepoint is to be rolled back then.
    pub fn end_part(&mut self, tag: u32) -> Result<()> {
        self.need_write()?;
        self.capture.state().tag = tag;
        self.capture.fold()
    }

    /// Whether a foreign key that is checked at COMMIT is violated at the moment.
    #[must_use]
    pub fn has_deferred_violations(&self) -> bool {
        ffi::has_deferred_violations(&self.sqlite)
    }

    /// Undoes the write transaction, if there is one, and hands the lease on.
    pub fn rollback(&mut self) {
        if self.lease.is_none() {
            return;
        }
        if !self.sqlite.is_autocommit()
            && let Err(error) = self.sqlite.execute_batch("ROLLBACK")
        {
            // SQLite has then rolled back by itself, or closes the transaction with the connection.
            tracing::warn!(%error, "rollback failed");
        }
        self.end();
    }

    /// Undoes the write transaction without handing the lease on yet.
    pub(super) fn roll_back_keeping_lease(&mut self) -> Result<Option<WriteLease>> {
        self.sqlite.execute_batch("ROLLBACK")?;
        let lease = self.lease.take();
        self.end();
        Ok(lease)
    }

    /// Ends the write that SQLite has ended.
    fn end(&mut self) {
        self.capture.state().reset();
        self.remote.clear();
        self.staged.clear();
        self.adopted = None;
        self.lease = None;
    }

    /// Whether a write transaction is in progress.
    #[must_use]
    pub fn in_write(&self) -> bool {
        self.lease.is_some()
    }

    /// Tags the transactions that this connection commits from now on: listeners find it in
    /// [`AppliedTransaction::tag`]. It means nothing to the store.
    pub fn set_tag(&mut self, tag: u32) {
        self.tag = tag;
    }

    /// Makes every statement of the connection fail with `SQLITE_INTERRUPT` while `is_over` says so. Unlike an interrupt,
    /// what was said too late can be taken back.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn stop_when(&mut self, is_over: impl FnMut() -> bool + Send + 'static) -> Result<()> {
        Ok(self.sqlite.progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, Some(is_over))?)
    }

    /// Adds a message to the transaction; it is delivered everywhere if that commits. Like row changes, it is undone by
    /// rolling back a savepoint. A transaction with messages alone is a transaction like any other. A message that the
    /// transaction has sent already is not added again.
    ///
    /// # Errors
    /// [`StoreError::Encode`] if there are too many, or they are too long together; it is not added then.
    pub fn notify(&mut self, message: Message) -> Result<()> {
        Ok(self.capture.state().messages.push(message)?)
    }

    /// Registers a table, or brings its registration up to `spec` after its names or columns changed. Inside a write. Rows
    /// that are in a table when it is first registered count as inserted by the present transaction.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] if the table cannot be replicated as specified.
    pub fn register_table(&mut self, spec: &TableSpec) -> Result<()> {
        self.need_write()?;
        let mut registry = self.capture.state().registry.as_ref().clone();
        let (table, is_new) = registry.register(&self.sqlite, spec)?;
        let tracking = {
            let mut state = self.capture.state();
            state.set_registry(Arc::new(registry));
            state.log.forget_columns(table.ordinal);
            state.mode == Mode::Tracking
        };
        if is_new && tracking { self.note_existing(&table) } else { Ok(()) }
    }

    /// Forgets a table, registered or not: its clocks go, and later changes to it from elsewhere are moot. The SQLite table
    /// itself is the caller's. Inside a write.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn unregister_table(&mut self, table: TableId) -> Result<()> {
        self.need_write()?;
        let mut registry = self.capture.state().registry.as_ref().clone();
        registry.unregister(&self.sqlite, table)?;
        self.capture.state().set_registry(Arc::new(registry));
        Ok(())
    }

    /// Says which columns of a registered table are gone, among them some that it may never have had here: later changes of
    /// them from elsewhere are moot. Inside a write.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn retire_columns(&mut self, table: TableId, columns: &[ColumnId]) -> Result<()> {
        self.need_write()?;
        let mut registry = self.capture.state().registry.as_ref().clone();
        registry.retire_columns(&self.sqlite, table, columns)?;
        self.capture.state().set_registry(Arc::new(registry));
        Ok(())
    }

    fn need_write(&self) -> Result<()> {
        match self.lease {
            Some(_) => Ok(()),
            None => Err(StoreError::TransactionState("there is no write transaction in progress")),
        }
    }

    /// Notes the rows that a table had before it was registered.
    fn note_existing(&self, table: &Table) -> Result<()> {
        let rowid = match table.identity {
            RowIdentity::HiddenRowid(rowid) => rowid.to_owned(),
            RowIdentity::IntegerKey | RowIdentity::WithoutRowid => "NULL".to_owned(),
        };
        let key: Vec<_> =
            table.key.iter().map(|column| super::registry::quote(&column.name)).collect();
        let sql = format!(
            "SELECT {rowid}, {} FROM {}",
            key.join(", "),
            super::registry::quote(&table.name)
        );
        let mut statement = self.sqlite.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut state = self.capture.state();
            match table.identity {
                RowIdentity::HiddenRowid(_) => state.log.push_existing(table.ordinal, row.get(0)?),
                RowIdentity::IntegerKey => state.log.push_existing(table.ordinal, row.get(1)?),
                RowIdentity::WithoutRowid => {
                    let mut packed = PackedKey::default();
                    for place in 1..=table.key.len() {
                        packed.push(super::clocks::value_of(row, place)?);
                    }
                    state.log.push_existing_key(table.ordinal, &packed);
                }
            }
        }
        Ok(())
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn capture(&self) -> &Capture {
        &self.capture
    }
}

impl Drop for StoreConnection {
    fn drop(&mut self) {
        self.rollback();
        self.capture.set_inner(None);
        self.installed = None;
    }
}

/// Instructions of SQLite's machine after which a statement looks whether it is to stop: well below a millisecond.
const INSTRUCTIONS_BETWEEN_LOOKS: std::ffi::c_int = 1_000;

/// Statements kept prepared per handle.
const STATEMENTS_CACHED: usize = 256;

/// Opens the file with what all connections have in common.
pub(super) fn open_sqlite(core: &Core) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = Connection::open_with_flags(&core.file, flags)?;
    sqlite.busy_timeout(BUSY_TIMEOUT)?;
    // The last one to close leaves the write-ahead log to whoever seals the file.
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(sqlite)
}

/// How long to wait for SQLite's own locks; writers queue for the lease instead, so only checkpoints are waited for.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

fn configure(sqlite: &Connection, role: Role) -> Result<()> {
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, true)?;
    sqlite.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA recursive_triggers = ON;")?;
    if role == Role::Apply {
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        sqlite.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")?;
    }
    Ok(())
}
