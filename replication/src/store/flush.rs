//! Group commit: one sync of the write-ahead log for all who committed meanwhile.
//!
//! COMMIT writes the log without waiting for the disk (`synchronous = NORMAL`) and hands the write lease on; the committer
//! joins the queue here. One thread takes the whole queue, syncs the log once, and only then makes the transactions known:
//! heads and position first, then the listener, then those who wait. While it syncs, the next commits gather.
//!
//! ```text
//!   session A  BEGIN … COMMIT ─ queue ┐                      ┌ wait() returns
//!   session B      BEGIN … COMMIT ────┤ fdatasync ─ publish ─┤ wait() returns
//!   session C           BEGIN … COMMIT ─ queue (next round)
//! ```
//!
//! Why a sync of the log at any time after a commit makes it durable: its frames are in the log and are synced with it;
//! or they were checkpointed and the log started over, which SQLite does only after it has synced first the log and then
//! the database file. Commits are appended in the order of the lease, and recovery reads the log up to the first damaged
//! frame, so what survives a power loss is a prefix of the commits, and holds all that were acknowledged. A transaction
//! that is lost was seen by no peer and no listener; its version number is free to be used again.
//!
//! # Invariants
//! 1. The listener is called in the order of positions, and after durability.
//! 2. After a failed sync nothing is acknowledged any more: what the system has dropped cannot be known.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use super::applied::AppliedTransaction;
use super::error::{Result, StoreError};
use crate::types::{Heads, Position};

/// Called with transactions that have become durable, in the order of their positions.
pub type Listener = Box<dyn Fn(&[Arc<AppliedTransaction>]) + Send + Sync>;

/// The queue of commits that wait for the disk.
pub(super) struct Durability {
    state: Mutex<State>,
    /// Wakes the flusher.
    queued: Condvar,
    /// Wakes those who wait for durability.
    flushed: Condvar,
    listener: RwLock<Option<Listener>>,
}

struct State {
    queue: Vec<Arc<AppliedTransaction>>,
    /// Number of the last commit that joined the queue.
    committed: u64,
    /// Number of the last commit that is durable.
    durable: u64,
    heads: Heads,
    position: Position,
    failed: Option<String>,
    stopping: bool,
}

impl Durability {
    /// Starts from what is in the file, all of which counts as durable once it has been synced.
    pub(super) fn new(heads: Heads, position: Position) -> Self {
        let (queue, failed) = (Vec::new(), None);
        let state =
            State { queue, committed: 0, durable: 0, heads, position, failed, stopping: false };
        Self {
            state: Mutex::new(state),
            queued: Condvar::new(),
            flushed: Condvar::new(),
            listener: RwLock::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Panics only happen in the listener, which is called without this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heads(&self) -> Heads {
        self.lock().heads.clone()
    }

    pub(super) fn position(&self) -> Position {
        self.lock().position
    }

    pub(super) fn set_listener(&self, listener: Listener) {
        *self.listener.write().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Queues a commit; called in commit order, by the holder of the write lease. Returns its number.
    pub(super) fn enqueue(&self, applied: Vec<Arc<AppliedTransaction>>) -> u64 {
        let mut state = self.lock();
        state.queue.extend(applied);
        state.committed += 1;
        self.queued.notify_one();
        state.committed
    }

    /// Waits until the commit of that number is durable.
    pub(super) fn wait(&self, number: u64) -> Result<()> {
        let mut state = self.lock();
        while state.durable < number {
            if let Some(reason) = &state.failed {
                return Err(StoreError::NotDurable(reason.clone()));
            }
            state = self.flushed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Whether the commit of that number is durable.
    pub(super) fn is_durable(&self, number: u64) -> bool {
        self.lock().durable >= number
    }

    /// Makes [`Self::run`] return once the queue is flushed.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.queued.notify_one();
    }

    /// The flusher's thread: flushes the queue until stopped.
    pub(super) fn run(&self, wal: &Path) {
        let mut log = LogFile { path: wal.to_owned(), file: None };
        loop {
            let mut state = self.lock();
            while state.durable == state.committed && !state.stopping {
                state = self.queued.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (queue, committed) = (std::mem::take(&mut state.queue), state.committed);
            let done = state.stopping && state.durable == state.committed;
            drop(state);
            if done {
                return self.fail("the store is closed");
            }
            if let Err(error) = log.sync() {
                tracing::error!(%error, "cannot sync the write-ahead log");
                return self.fail(&error.to_string());
            }
            self.publish(&queue, committed);
        }
    }

    fn publish(&self, queue: &[Arc<AppliedTransaction>], committed: u64) {
        let mut state = self.lock();
        for applied in queue {
            state.heads.insert(applied.origin, applied.version);
            state.position = applied.position;
        }
        drop(state);
        if !queue.is_empty()
            && let Some(listener) = &*self.listener.read().unwrap_or_else(PoisonError::into_inner)
        {
            listener(queue);
        }
        self.lock().durable = committed;
        self.flushed.notify_all();
    }

    fn fail(&self, reason: &str) {
        self.lock().failed = Some(reason.to_owned());
        self.flushed.notify_all();
    }
}

/// The write-ahead log, opened a second time for syncing. SQLite's locks are on other files, so opening and closing this
/// one does not touch them; and the log stays the same file as long as the store keeps a connection open.
struct LogFile {
    path: PathBuf,
    file: Option<File>,
}

impl LogFile {
    fn sync(&mut self) -> std::io::Result<()> {
        match &self.file {
            Some(file) => file.sync_data(),
            None => {
                let file = File::open(&self.path)?;
                // The log's entry in its directory must survive as well.
                file.sync_all()?;
                if let Some(directory) = self.path.parent() {
                    File::open(directory)?.sync_all()?;
                }
                self.file = Some(file);
                Ok(())
            }
        }
    }
}
