//! Stopping a statement from another thread: at a client's request, or because its time is over.
//!
//! A switch is on only while a statement runs. What comes before its begin or after its end stops nothing, so that a cancel
//! request that arrives late does not hit the next statement, as in PostgreSQL. SQLite asks the switch every thousand of its
//! instructions (`StoreConnection::stop_when`) instead of being interrupted, because an interrupt that came too late would
//! stay pending for as long as any result of the connection is half read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use trellis_sqlcompat::{SqlError, SqlState};

use super::database::Database;
use crate::clock;

/// The statement that a session runs, if it runs one.
#[derive(Default)]
struct Running {
    /// Whether there is one.
    present: bool,
    /// Its time is over.
    late: bool,
    /// When its time is over.
    deadline: Option<Instant>,
    /// When the timer will look at this switch; not after the deadline.
    armed: Option<Instant>,
}

/// Asks a session's statement to stop: while it runs, waits for the lease, or sleeps.
pub struct CancelSwitch {
    /// Set only while a statement is present.
    over: Arc<AtomicBool>,
    running: Mutex<Running>,
    stopped: Condvar,
    database: Weak<Database>,
}

impl CancelSwitch {
    /// A switch for a session of `database`.
    #[must_use]
    pub fn new(database: &Arc<Database>) -> Self {
        Self {
            over: Arc::default(),
            running: Mutex::default(),
            stopped: Condvar::new(),
            database: Arc::downgrade(database),
        }
    }

    /// Stops what is running. Without effect on what runs later.
    pub fn cancel(&self) {
        let running = self.lock();
        if running.present {
            self.stop(running);
        }
    }

    /// Stops the statement if its time is over by `now`; when to look again otherwise, if ever.
    pub(super) fn time_out(&self, now: Instant) -> Option<Instant> {
        let mut running = self.lock();
        running.armed = running.deadline;
        let deadline = running.deadline?;
        if deadline > now {
            return Some(deadline);
        }
        (running.armed, running.deadline, running.late) = (None, None, true);
        self.stop(running);
        None
    }

    fn stop(&self, running: MutexGuard<'_, Running>) {
        self.over.store(true, Ordering::SeqCst);
        drop(running);
        self.stopped.notify_all();
        if let Some(database) = self.database.upgrade() {
            database.lease().wake();
            database.batches.wake();
            database.advisory.wake();
        }
    }

    /// A statement begins; it may take `timeout`. One that begins before the last has ended goes on under the same cancel.
    pub fn begin_statement(self: &Arc<Self>, timeout: Option<Duration>) {
        let mut running = self.lock();
        running.present = true;
        running.deadline = timeout.map(|timeout| clock::now() + timeout);
        let Some(deadline) = running.deadline else { return };
        // The alarm of an earlier statement is good enough if it comes first: it is set anew then.
        if running.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        running.armed = Some(deadline);
        drop(running);
        if let Some(database) = self.database.upgrade() {
            database.timer.set(deadline, self);
        }
    }

    /// The statement has ended: its timeout is over, and so is the cancel that it may have got.
    pub fn end_statement(&self) {
        let mut running = self.lock();
        (running.present, running.late, running.deadline) = (false, false, None);
        self.over.store(false, Ordering::SeqCst);
    }

    /// The flag that is set when the statement is to stop.
    #[must_use]
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.over
    }

    /// When the statement times out.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    /// Whether the statement is to stop.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether a statement runs.
    pub(super) fn is_running(&self) -> bool {
        self.lock().present
    }

    /// Why the statement is to stop.
    #[must_use]
    pub fn reason(&self) -> SqlError {
        let message = if self.lock().late {
            "canceling statement due to statement timeout"
        } else {
            "canceling statement due to user request"
        };
        SqlError::new(SqlState::QUERY_CANCELED, message)
    }

    /// Sleeps for `time`, or until the statement is to stop; whether the time is over.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let running = self.lock();
        let keep_on = |_: &mut Running| !self.is_over();
        let slept = self.stopped.wait_timeout_while(running, time, keep_on);
        slept.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
