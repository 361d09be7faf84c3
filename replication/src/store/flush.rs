//! Group commit: one sync of the write-ahead log for all who committed meanwhile.
//!
//! COMMIT writes the log without waiting for the disk (`synchronous = NORMAL`) and hands the write lease on; the committer
//! joins the queue here. One of those who wait takes the whole queue, syncs the log once, and only then makes the
//! transactions known: heads and position first, then the listener, then those who wait. While it syncs, the next commits
//! gather; when it is done it wakes one of their committers to sync for them. So a commit that meets no other costs no
//! change of threads. Commits that nobody waits for are synced by a thread of their own.
//!
//! ```text
//!   session A  BEGIN … COMMIT ─ queue ─ fdatasync ─ publish ─ wake B, C ─ wait() returns
//!   session B      BEGIN … COMMIT ─ queue ─ sleep ─────────── fdatasync ─ publish ─ …
//!   session C           BEGIN … COMMIT ─ queue ─ sleep ──────────────────────────── wait() returns
//! ```
//!
//! Who would sync while others are about to commit, which the queue for the lease tells, lets them come first: a sync for
//! eight costs hardly more than one for one. [`GATHERED_COMMITS`] and [`GATHER_TIME`] bound that patience.
//!
//! Why a sync of the log at any time after a commit makes it durable: its frames are in the log and are synced with it;
//! or they were checkpointed and the log started over, which SQLite does only after it has synced first the log and then
//! the database file. Commits are appended in the order of the lease, and recovery reads the log up to the first damaged
//! frame, so what survives a power loss is a prefix of the commits, and holds all that were acknowledged. A transaction
//! that is lost was seen by no peer and no listener; its version number is free to be used again.
//!
//! # Invariants
//! 1. The listener is called in the order of positions, by one thread at a time, and after durability.
//! 2. After a failed sync nothing is acknowledged any more: what the system has dropped cannot be known.
//! 3. Whoever ends a sync wakes one of those whose commits it did not cover, if there is any.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::Thread;
use std::time::Duration;

use super::applied::AppliedTransaction;
use super::error::{Result, StoreError};
use super::lease::WriterLease;
use crate::types::{Heads, Position};

/// Called with transactions that have become durable, in the order of their positions.
pub type Listener = Box<dyn Fn(&[Arc<AppliedTransaction>]) + Send + Sync>;

/// Commits from which on a sync does not wait for more.
const GATHERED_COMMITS: u64 = 8;

/// Longest time for which a commit waits for others before it is synced.
const GATHER_TIME: Duration = Duration::from_micros(300);

/// The queue of commits that wait for the disk.
pub(super) struct Durability {
    state: Mutex<State>,
    /// Locked by whoever syncs.
    log: Mutex<LogFile>,
    /// Wakes the thread that syncs what nobody waits for.
    nudged: Condvar,
    listener: RwLock<Option<Listener>>,
}

struct State {
    queue: Vec<Arc<AppliedTransaction>>,
    /// Number of the last commit that joined the queue.
    committed: u64,
    /// Number of the last commit that is durable.
    durable: u64,
    /// Whether someone syncs.
    syncing: bool,
    /// Those who sleep until their commit is durable, or it is their turn to sync.
    sleeping: Vec<Sleeper>,
    heads: Heads,
    position: Position,
    failed: Option<String>,
    /// Whether there are commits that nobody waits for.
    nudged: bool,
    stopping: bool,
}

struct Sleeper {
    number: u64,
    thread: Thread,
}

impl Durability {
    /// Starts from what is in the file, all of which counts as durable once it has been synced.
    pub(super) fn new(heads: Heads, position: Position, wal: &Path) -> Self {
        let state = State {
            queue: Vec::new(),
            committed: 0,
            durable: 0,
            syncing: false,
            sleeping: Vec::new(),
            heads,
            position,
            failed: None,
            nudged: false,
            stopping: false,
        };
        Self {
            state: Mutex::new(state),
            log: Mutex::new(LogFile { path: wal.to_owned(), file: None }),
            nudged: Condvar::new(),
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

    /// Queues a commit; called in commit order, by the holder of the write lease. Returns its number. Somebody must
    /// [`Self::wait`] for it or [`Self::nudge`].
    pub(super) fn enqueue(&self, applied: Vec<Arc<AppliedTransaction>>) -> u64 {
        let mut state = self.lock();
        state.queue.extend(applied);
        state.committed += 1;
        state.committed
    }

    /// Waits until the commit of that number is durable, and syncs it if nobody else does.
    pub(super) fn wait(&self, number: u64, lease: &WriterLease) -> Result<()> {
        let me = std::thread::current();
        let mut patient = true;
        loop {
            let mut state = self.lock();
            state.sleeping.retain(|sleeper| sleeper.thread.id() != me.id());
            if state.durable >= number {
                return Ok(());
            }
            if let Some(reason) = &state.failed {
                return Err(StoreError::NotDurable(reason.clone()));
            }
            let gathered = state.committed - state.durable;
            let gathers = patient && gathered < GATHERED_COMMITS && lease.waiters() > 0;
            if !state.syncing && !gathers {
                self.sync(state);
                continue;
            }
            let others_sync = state.syncing;
            state.sleeping.push(Sleeper { number, thread: me.clone() });
            drop(state);
            if others_sync {
                std::thread::park();
            } else {
                std::thread::park_timeout(GATHER_TIME);
                patient = false;
            }
        }
    }

    /// Why nothing is acknowledged any more, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Whether the commit of that number is durable.
    pub(super) fn is_durable(&self, number: u64) -> bool {
        self.lock().durable >= number
    }

    /// Waits until all that is committed is durable.
    pub(super) fn settle(&self, lease: &WriterLease) -> Result<()> {
        let committed = self.lock().committed;
        self.wait(committed, lease)
    }

    /// Takes over heads and a position that have become durable without transactions that reach them.
    pub(super) fn adopt(&self, heads: &Heads, position: Position) {
        let mut state = self.lock();
        for (origin, version) in heads {
            let present = state.heads.entry(*origin).or_default();
            *present = (*present).max(*version);
        }
        state.position = state.position.max(position);
    }

    /// Has what nobody waits for synced.
    pub(super) fn nudge(&self) {
        if !std::mem::replace(&mut self.lock().nudged, true) {
            self.nudged.notify_one();
        }
    }

    /// Makes [`Self::run`] return once the queue is flushed.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.nudged.notify_one();
    }

    /// The flusher's thread: syncs what nobody waits for, until stopped.
    pub(super) fn run(&self, lease: &WriterLease) {
        loop {
            let mut state = self.lock();
            while !state.nudged && !state.stopping {
                state = self.nudged.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.nudged = false;
            let (committed, stopping) = (state.committed, state.stopping);
            drop(state);
            // Who syncs reports an error.
            let _result = self.wait(committed, lease);
            if stopping {
                return;
            }
        }
    }

    /// Syncs the log for all who have committed, and tells them.
    fn sync(&self, mut state: MutexGuard<'_, State>) {
        state.syncing = true;
        let (queue, committed) = (std::mem::take(&mut state.queue), state.committed);
        drop(state);
        let mut turn = Turn { durability: self, outcome: Err("a listener panicked".to_owned()) };
        let synced = self.log.lock().unwrap_or_else(PoisonError::into_inner).sync();
        if let Err(error) = synced {
            tracing::error!(%error, "cannot sync the write-ahead log");
            turn.outcome = Err(error.to_string());
            return;
        }
        self.publish(&queue);
        turn.outcome = Ok(committed);
    }

    fn publish(&self, queue: &[Arc<AppliedTransaction>]) {
        if queue.is_empty() {
            return;
        }
        let mut state = self.lock();
        for applied in queue {
            state.heads.insert(applied.origin, applied.version);
            state.position = applied.position;
        }
        drop(state);
        if let Some(listener) = &*self.listener.read().unwrap_or_else(PoisonError::into_inner) {
            listener(queue);
        }
    }
}

/// The turn of one who syncs. Its end wakes those whose turn or end of waiting has come, whatever happened.
struct Turn<'a> {
    durability: &'a Durability,
    /// The number of the last commit that is durable, or what went wrong.
    outcome: Result<u64, String>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.durability.lock();
        state.syncing = false;
        let durable = match &self.outcome {
            Ok(durable) => {
                state.durable = *durable;
                *durable
            }
            Err(reason) => {
                state.failed = Some(reason.clone());
                u64::MAX
            }
        };
        let sleeping = std::mem::take(&mut state.sleeping);
        let (done, mut rest): (Vec<_>, Vec<_>) =
            sleeping.into_iter().partition(|sleeper| sleeper.number <= durable);
        let next = rest.pop();
        state.sleeping = rest;
        drop(state);
        // The next sync goes first: the disk is idle.
        next.into_iter().chain(done).for_each(|sleeper| sleeper.thread.unpark());
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
        #[cfg(feature = "recording")]
        let started = super::ffi::recording::sync_started();
        self.sync_file()?;
        #[cfg(feature = "recording")]
        super::ffi::recording::synced(&self.path, started);
        Ok(())
    }

    fn sync_file(&mut self) -> std::io::Result<()> {
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
