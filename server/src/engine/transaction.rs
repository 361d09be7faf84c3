//! A session's transaction: what is open in SQLite for it, and how it ends.
//!
//! ```text
//!             ┌── first read, REPEATABLE READ ──▶ Snapshot ──┐
//!   Unopened ─┤                                              ├─▶ Writing ── commit, rollback
//!             └── first write, with the write lease ─────────┘    │   ▲
//!                               idle, and others want the lease   ▼   │ the client's next message
//!                                                               SetAside ── conflict ──▶ Lost
//! ```
//!
//! The write lease is short: a transaction that has waited for its client for [`LEASE_IDLE`] while others wait to write is
//! set aside (`trellis_replication::store::SetAside`). It is all the same whether the client thinks, sends half a message,
//! or does not read what it is sent. When the client goes on, so does the transaction, or, if someone changed what it had
//! changed, it is lost with 40001. So are transactions that cannot be set aside: those that changed temporary tables, or
//! that are very large; those that changed the schema or have a result half read, after [`LEASE_HALF_READ`]; and those
//! under REPEATABLE READ and SERIALIZABLE, or that have locked rows or tables, if anyone wrote meanwhile: what they saw is
//! no longer so.
//!
//! A snapshot that is held while the client is waited for ends with 40001 when the write-ahead log has grown by
//! [`SNAPSHOT_LOG_FRAMES`] since it was taken: the log cannot start over as long as anyone reads in it.
//!
//! A write that is cancelled, or that finds no memory or disk, makes SQLite roll the whole transaction back. PostgreSQL
//! would keep what came before the last savepoint; here `ROLLBACK TO` says that it is lost (40001).

use std::sync::Arc;
use std::time::{Duration, Instant};

use trellis_replication::store::{ResumeError, SetAside, WriteLease};
use trellis_sqlcompat::plan::IsolationLevel;
use trellis_sqlcompat::schema::SchemaRow;
use trellis_sqlcompat::{SqlError, SqlState};

use super::error::lease_error;
use super::restarted::Restarted;
use super::schema::{self, Schema};
use super::session_engine::SqliteEngine;
use crate::clock;
use crate::session::TransactionMode;
use crate::session::port::PlanState;

/// How long a transaction may hold the write lease while its client is idle and others wait.
pub const LEASE_IDLE: Duration = Duration::from_millis(60);

/// The same where the transaction has a result half read or has changed the schema, and is lost by it.
pub const LEASE_HALF_READ: Duration = Duration::from_secs(1);

/// How long it may wait for its client in all, however short each time, since it took the lease.
pub const LEASE_WAITS: Duration = Duration::from_secs(10);

/// How many frames of 4 KiB the log may grow under a snapshot that waits for its client: 256 MiB.
pub const SNAPSHOT_LOG_FRAMES: usize = 65_536;

/// How often a session that waits for its client looks at the age of its snapshot.
const SNAPSHOT_CHECK: Duration = Duration::from_secs(1);

/// How often an idle session that holds the lease looks whether others wait for it.
const LEASE_CHECK: Duration = Duration::from_millis(20);

/// How long a session has waited for its client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitedFor {
    /// Since the client last said something, or the statement began.
    present: Duration,
    /// Since the transaction got the lease.
    with_lease: Duration,
}

impl WaitedFor {
    /// The client has said something.
    pub(super) fn spoken(&mut self) {
        self.present = Duration::ZERO;
    }
}

/// What a savepoint must put back besides what SQLite does.
#[derive(Clone)]
pub(super) struct Before {
    schema: Arc<Schema>,
    temporary: Arc<[SchemaRow]>,
}

/// What is open in SQLite for a transaction.
pub(super) enum Progress {
    /// Nothing.
    Unopened,
    /// A transaction that keeps one snapshot.
    Snapshot,
    /// The write transaction.
    Writing,
    /// Nothing: its changes wait in memory.
    SetAside(Box<SetAside>),
    /// Nothing: the transaction was ended from outside, for this reason.
    Lost(SqlError),
}

/// The open transaction.
pub(super) struct OpenTransaction {
    pub(super) mode: TransactionMode,
    pub(super) progress: Progress,
    /// The schema was changed.
    pub(super) schema_changed: bool,
    /// It has locked rows or tables that it need not have changed; as the one writer it has them all.
    pub(super) locked: bool,
    pub(super) before: Before,
    pub(super) savepoints: Vec<Before>,
    /// Sequences that it has started anew.
    pub(super) restarted: Restarted,
}

impl OpenTransaction {
    pub(super) fn new(mode: TransactionMode, before: Before) -> Self {
        let progress = Progress::Unopened;
        Self {
            mode,
            progress,
            schema_changed: false,
            locked: false,
            before,
            savepoints: Vec::new(),
            restarted: Restarted::default(),
        }
    }

    /// Whether it sees one snapshot throughout.
    fn keeps_snapshot(&self) -> bool {
        match self.mode.isolation {
            IsolationLevel::ReadUncommitted | IsolationLevel::ReadCommitted => false,
            IsolationLevel::RepeatableRead | IsolationLevel::Serializable => true,
        }
    }
}

/// SQLite's name of a savepoint.
pub(super) fn savepoint_name(depth: usize) -> String {
    format!("trellis_{depth}")
}

fn savepoint_names(count: usize) -> Vec<String> {
    (0..count).map(savepoint_name).collect()
}

fn serialization_failure(message: &str) -> SqlError {
    SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
        .with_hint("The transaction might succeed if retried.")
}

impl SqliteEngine {
    /// How often a session that waits for its client should say so; `None` if it keeps nothing from others.
    #[must_use]
    pub fn wait_interval(&self) -> Option<Duration> {
        // A statement that runs between messages is a copy, which can be cancelled while its data is awaited.
        if self.is_writing() || self.cancel.is_running() {
            return Some(LEASE_CHECK);
        }
        self.has_snapshot().then_some(SNAPSHOT_CHECK)
    }

    pub(super) fn bear_with_client(&mut self, time: Duration) -> Result<(), SqlError> {
        if self.cancel.is_over() {
            return Err(self.cancel.reason());
        }
        self.waited.present += time;
        self.waited.with_lease += time;
        if self.is_writing() {
            if self.has_waited_enough() && self.database.lease().waiters() > 0 {
                self.set_aside();
            }
        } else if self.has_snapshot() && self.is_snapshot_old() {
            self.undo();
            self.set_progress(Progress::Lost(serialization_failure(
                "could not serialize access: the snapshot became too old while the client was idle",
            )));
        }
        match self.transaction.as_ref().map(|open| &open.progress) {
            Some(Progress::Lost(reason)) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// Whether the client has had the lease for itself long enough.
    fn has_waited_enough(&self) -> bool {
        let schema_changed = self.transaction.as_ref().is_some_and(|open| open.schema_changed);
        let keeps = schema_changed || self.statements.in_use();
        let patience = if keeps { LEASE_HALF_READ } else { LEASE_IDLE };
        self.waited.present >= patience || self.waited.with_lease >= LEASE_WAITS
    }

    /// Whether the session keeps the log from starting over.
    pub(super) fn has_snapshot(&self) -> bool {
        let keeps = |open: &OpenTransaction| matches!(open.progress, Progress::Snapshot);
        self.transaction.as_ref().is_some_and(keeps) || self.statements.in_use()
    }

    fn is_snapshot_old(&self) -> bool {
        let frames = self.database.store.log_frames();
        frames.saturating_sub(self.snapshot_frames) > SNAPSHOT_LOG_FRAMES
    }

    /// Sets the transaction aside if it has the write lease. Whether it could be kept, its next statement tells.
    pub fn set_aside(&mut self) {
        if self.is_writing() {
            let progress = self.put_aside();
            self.set_progress(progress);
        }
    }

    fn put_aside(&mut self) -> Progress {
        let gave_way = "could not serialize access: the idle transaction gave way to other writers";
        let transaction = self.transaction.as_ref();
        let savepoints = savepoint_names(transaction.map_or(0, |open| open.savepoints.len()));
        if transaction.is_some_and(|open| open.schema_changed) || self.statements.in_use() {
            self.undo();
            return Progress::Lost(serialization_failure(gave_way));
        }
        match self.connection.with_store(|mut store| store.set_aside(&savepoints)) {
            Ok(Some(aside)) => Progress::SetAside(Box::new(aside)),
            Ok(None) => Progress::Lost(serialization_failure(gave_way)),
            Err(error) => Progress::Lost(self.store_failed(error)),
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|open| matches!(open.progress, Progress::Writing))
    }

    /// Notes that the transaction relies on rows that it has not changed.
    pub(super) fn note_lock(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.locked = true;
        }
    }

    fn set_progress(&mut self, progress: Progress) {
        if let Some(transaction) = &mut self.transaction {
            transaction.progress = progress;
        }
    }

    /// Before anything is done in the transaction: takes it up again if it was set aside.
    ///
    /// # Errors
    /// Why the transaction is lost; 40001 where others have come between.
    pub(super) fn go_on(&mut self) -> Result<(), SqlError> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let aside = match &transaction.progress {
            Progress::Unopened | Progress::Snapshot | Progress::Writing => return Ok(()),
            Progress::Lost(reason) => return Err(reason.clone()),
            Progress::SetAside(_) => {
                std::mem::replace(&mut transaction.progress, Progress::Unopened)
            }
        };
        let Progress::SetAside(aside) = aside else { return Ok(()) };
        let resumed = self.take_lease().and_then(|lease| self.resume(lease, &aside));
        self.set_progress(match &resumed {
            Ok(()) => Progress::Writing,
            Err(reason) => Progress::Lost(reason.clone()),
        });
        resumed
    }

    fn resume(&mut self, lease: WriteLease, aside: &SetAside) -> Result<(), SqlError> {
        let transaction = self.transaction.as_ref();
        let savepoints = savepoint_names(transaction.map_or(0, |open| open.savepoints.len()));
        let alone = transaction.is_some_and(|open| open.keeps_snapshot() || open.locked);
        let conflict =
            || serialization_failure("could not serialize access due to concurrent update");
        let resumed = self.connection.with_store(|mut store| {
            store.resume(lease, aside, &savepoints)?;
            if !alone || store.is_newest(aside) {
                return Ok(());
            }
            store.rollback();
            Err(ResumeError::Conflict)
        });
        resumed.map_err(|error| match error {
            ResumeError::Conflict => conflict(),
            ResumeError::Store(error) => self.store_failed(error),
        })?;
        match self.schema_holds() {
            Ok(true) => Ok(()),
            held => {
                self.roll_back_store();
                Err(held.err().unwrap_or_else(schema_moved))
            }
        }
    }

    /// Opens the snapshot that the isolation level asks for.
    pub(super) fn open_snapshot(&mut self) -> Result<(), SqlError> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        if transaction.keeps_snapshot() && matches!(transaction.progress, Progress::Unopened) {
            transaction.progress = Progress::Snapshot;
            self.execute("BEGIN")?;
        }
        Ok(())
    }

    fn take_lease(&mut self) -> Result<WriteLease, SqlError> {
        let deadline = self.lock_deadline();
        let lease = self.database.lease().acquire(deadline, self.cancel.flag());
        self.waited = WaitedFor::default();
        lease.map_err(|error| lease_error(error, &self.cancel))
    }

    pub(super) fn lock_deadline(&self) -> Option<Instant> {
        let timeout = self.limits().lock_timeout;
        let since = self.waits_since.unwrap_or_else(clock::now);
        let lock = timeout.map(|timeout| since + timeout);
        [lock, self.cancel.deadline()].into_iter().flatten().min()
    }

    /// Opens SQLite's write transaction if the transaction has none yet, and tells whether plans made before still hold:
    /// the schema cannot move while the lease is held, but may have before.
    ///
    /// # Errors
    /// 55P03 or 57014 if the lease was not to be had, 40001 if the transaction's snapshot is too old to write.
    pub(super) fn open_write(&mut self) -> Result<PlanState, SqlError> {
        self.go_on()?;
        let Some(transaction) = &self.transaction else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "no transaction is open"));
        };
        let snapshot = match transaction.progress {
            Progress::Writing => return Ok(PlanState::Current),
            Progress::Snapshot => true,
            Progress::Unopened | Progress::SetAside(_) | Progress::Lost(_) => false,
        };
        let savepoints = savepoint_names(transaction.savepoints.len());
        self.database.check_writable()?;
        let lease = self.take_lease()?;
        self.release_catalog();
        self.connection
            .with_store(|mut store| store.begin(lease))
            .map_err(|error| self.store_failed(error))?;
        self.set_progress(Progress::Writing);
        for name in savepoints {
            self.execute(&format!("SAVEPOINT {name}"))?;
        }
        if self.schema_holds()? {
            return Ok(PlanState::Current);
        }
        if snapshot {
            return Err(schema_moved());
        }
        self.database.refresh_schema().map_err(|error| schema::internal(&error))?;
        self.follow_schema();
        Ok(PlanState::Moved)
    }

    /// Takes the shared catalog image off the connection before a write transaction begins: SQLite would hold it until the
    /// transaction's end, and then a change of the schema could not put another in its place.
    fn release_catalog(&mut self) {
        let attachment = &mut self.attachment;
        let released = self.connection.with(|sqlite| attachment.release_shared(sqlite));
        if let Err(error) = released {
            tracing::debug!(%error, "an unfinished statement keeps the catalog image");
        }
    }

    /// As [`Self::open_write`], for work whose plan cannot be made anew.
    pub(super) fn prepare_write(&mut self) -> Result<(), SqlError> {
        match self.open_write()? {
            PlanState::Current => Ok(()),
            PlanState::Moved => Err(schema_moved()),
        }
    }

    /// Whether the schema in the file is the one that the session knows.
    fn schema_holds(&self) -> Result<bool, SqlError> {
        let in_file = self.connection.with(schema::epoch);
        let in_file = in_file.map_err(|error| schema::internal(&error))?;
        Ok(in_file == self.schema.base_epoch())
    }

    /// Opens the write transaction that is to save the sequences. Nothing else is written, so the snapshot that was read
    /// from does not matter.
    pub(super) fn open_write_for_sequences(&mut self) -> Result<(), SqlError> {
        let reads = |open: &OpenTransaction| matches!(open.progress, Progress::Snapshot);
        if self.transaction.as_ref().is_some_and(reads) {
            self.execute("COMMIT")?;
            self.set_progress(Progress::Unopened);
        }
        self.open_write().map(|_| ())
    }

    /// Whether SQLite has rolled the write transaction back by itself.
    pub(super) fn has_rolled_back(&self) -> bool {
        self.is_writing() && self.connection.with(|sqlite| sqlite.is_autocommit())
    }

    /// After a statement: the transaction is lost if SQLite has rolled it back.
    pub(super) fn note_rollback(&mut self) {
        if self.has_rolled_back() {
            self.undo();
            self.set_progress(Progress::Lost(serialization_failure(
                "the transaction was rolled back as a whole when a write in it was stopped",
            )));
        }
    }

    /// Undoes whatever SQLite transaction is open.
    pub(super) fn undo(&mut self) {
        let Some(transaction) = &self.transaction else { return };
        match transaction.progress {
            Progress::Unopened | Progress::SetAside(_) | Progress::Lost(_) => {}
            Progress::Writing => {
                if transaction.schema_changed {
                    self.database.set_uncommitted(None);
                }
                self.roll_back_store();
            }
            Progress::Snapshot => {
                let open = self.connection.with(|sqlite| !sqlite.is_autocommit());
                if open && let Err(error) = self.execute("ROLLBACK") {
                    tracing::error!(%error, "a snapshot could not be closed");
                }
            }
        }
    }

    fn roll_back_store(&self) {
        let undone = self.connection.with_store(|mut store| {
            store.rollback();
            Ok::<(), trellis_replication::store::StoreError>(())
        });
        if let Err(error) = undone {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    pub(super) fn put_back(&mut self, before: Before) {
        self.temporary = before.temporary;
        if before.schema.epoch != self.schema.epoch {
            self.statements.clear();
            self.set_schema(before.schema);
        }
    }

    pub(super) fn before(&self) -> Before {
        Before { schema: Arc::clone(&self.schema), temporary: Arc::clone(&self.temporary) }
    }

    pub(super) fn commit_write(&mut self, durable: bool) -> Result<(), SqlError> {
        let persisted = self
            .connection
            .with(|sqlite| self.database.sequences.persist(sqlite, self.database.store.site_id()))
            .map_err(|error| self.sqlite_failed(&error))?;
        if self.transaction.as_ref().is_some_and(|open| open.schema_changed) {
            // While the lease is held: the next writer may have a schema of its own to show.
            self.database.set_uncommitted(None);
        }
        let committed = self.connection.with_store(|mut store| store.commit());
        let pending = committed.map_err(|error| {
            let error = self.store_failed(error);
            self.explain_deferred(error)
        })?;
        self.set_progress(Progress::Unopened);
        if let (Some(pending), true) = (pending, durable) {
            pending.wait().map_err(|error| self.store_failed(error))?;
        }
        self.database.sequences.settle(&persisted);
        Ok(())
    }
}

fn schema_moved() -> SqlError {
    serialization_failure("could not serialize access due to a concurrent change of the schema")
}
