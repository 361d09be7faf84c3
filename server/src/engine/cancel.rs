//! Stopping a statement from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;
use trellis_sqlcompat::{SqlError, SqlState};

use super::database::Database;
use crate::clock;

/// Asks a session's statement to stop: while it runs, waits for the lease, or sleeps.
pub struct CancelSwitch {
    cancelled: AtomicBool,
    /// The statement's time is over.
    late: AtomicBool,
    /// Number of the statement.
    statement: AtomicU64,
    deadline: Mutex<Option<Instant>>,
    database: Weak<Database>,
    interrupt: Mutex<Option<InterruptHandle>>,
    sleeping: Condvar,
    sleep_lock: Mutex<()>,
}

impl CancelSwitch {
    /// A switch for a session of `database`.
    #[must_use]
    pub fn new(database: &Arc<Database>) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            late: AtomicBool::new(false),
            statement: AtomicU64::new(0),
            deadline: Mutex::default(),
            database: Arc::downgrade(database),
            interrupt: Mutex::default(),
            sleeping: Condvar::new(),
            sleep_lock: Mutex::default(),
        }
    }

    /// Connects the switch to the session's connection.
    pub fn attach(&self, connection: &rusqlite::Connection) {
        let handle = connection.get_interrupt_handle();
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    /// Stops what is running. Without effect on what runs later.
    pub fn cancel(&self) {
        self.stop();
    }

    /// Stops statement number `statement`, whose time is over, if it still runs.
    pub(super) fn time_out(&self, statement: u64) {
        if self.statement.load(Ordering::SeqCst) == statement {
            self.late.store(true, Ordering::SeqCst);
            self.stop();
        }
    }

    fn stop(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if let Some(handle) = &*self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
        if let Some(database) = self.database.upgrade() {
            database.lease().wake();
            database.advisory.wake();
        }
        drop(self.sleep_lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.sleeping.notify_all();
    }

    /// A statement begins; it may take `timeout`.
    pub fn begin_statement(self: &Arc<Self>, timeout: Option<Duration>) {
        let statement = self.statement.fetch_add(1, Ordering::SeqCst) + 1;
        self.cancelled.store(false, Ordering::SeqCst);
        self.late.store(false, Ordering::SeqCst);
        let deadline = timeout.map(|timeout| clock::now() + timeout);
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        if let (Some(deadline), Some(database)) = (deadline, self.database.upgrade()) {
            database.timer.set(deadline, statement, Arc::downgrade(self));
        }
    }

    /// The statement has ended: its timeout is over.
    pub fn end_statement(&self) {
        self.statement.fetch_add(1, Ordering::SeqCst);
    }

    /// The flag that is set when the statement is cancelled.
    #[must_use]
    pub fn flag(&self) -> &AtomicBool {
        &self.cancelled
    }

    /// When the statement times out.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the statement is to stop.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Why the statement is to stop.
    #[must_use]
    pub fn reason(&self) -> SqlError {
        let message = if self.late.load(Ordering::SeqCst) {
            "canceling statement due to statement timeout"
        } else {
            "canceling statement due to user request"
        };
        SqlError::new(SqlState::QUERY_CANCELED, message)
    }

    /// Sleeps, unless cancelled.
    ///
    /// # Errors
    /// 57014 if cancelled or timed out.
    pub fn sleep(&self, time: Duration) -> Result<(), SqlError> {
        let end = clock::now() + time;
        let mut guard = self.sleep_lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_over() {
                return Err(self.reason());
            }
            let left = end.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.sleeping.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
