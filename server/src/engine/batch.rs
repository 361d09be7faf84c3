//! Single statements of many sessions, committed together.
//!
//! A statement that is all there is to its transaction (an `INSERT` outside `BEGIN`) need not be run by its own session. It
//! is handed in as a [`Job`]; one of those who wait runs all that have gathered, on a connection kept for that, as parts of
//! one SQLite transaction (`StoreConnection::end_part`), each within a savepoint. So sixteen sessions cost one `BEGIN`, one
//! `COMMIT`, one write of each page and one sync, and each sleeps once; and the connection's page cache stays warm, where
//! that of a session's own is thrown away at each commit of another.
//!
//! ```text
//!   session A  job ─ leads: lease ─ A ─ B ─ C ─ COMMIT ─ sync ─ answers A, B, C
//!   session B  job ─ sleeps ────────────────────────────────────┘
//!   session C     job ─ sleeps ────────────────────────────────┘
//!   session D                            job ─ leads the next: lease ─ D ─ E ─ COMMIT ─ sync ─ …
//! ```
//!
//! Only the straight way is gone here. What fails, waits, returns many rows or meets another schema is undone and **refused**,
//! and its session runs it the ordinary way, which finds out what there is to say. A session alone leads its own job at once.
//!
//! Nobody waits for a batch to grow: while one is run and synced, the next gathers by itself. Letting the sync under way end
//! first, as its commit will have to, makes batches larger and the node slower (19,000 inserts a second instead of 21,000).
//!
//! # Invariants
//! 1. A job is either committed, whole, and then durable before its session is told so (unless it does not ask for that),
//!    or refused, and then nothing of it remains.
//! 2. There is at most one leader; whoever ends leading wakes another one if jobs wait.
//!
//! # Bounds
//! [`JOBS_MAX`] jobs and [`BATCH_TIME`] per batch, one if others wait for the lease; each session waits with one job. A job that
//! takes longer than `JOB_TIME` (`batch_writer.rs`) is stopped. SQLite then undoes the whole batch, so its other jobs
//! are run by their sessions; the long one's session runs that statement itself from then on.
//!
//! # Left out
//! A session under `synchronous_commit = off` that happens to lead waits for the sync that others of its batch wait for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use trellis_sqlcompat::Datum;
use trellis_sqlcompat::functions::SessionContext;

use super::batch_writer::BatchWriter;
use super::database::Database;
use super::host::SharedNotices;
use crate::clock;

/// Jobs of one batch.
const JOBS_MAX: usize = 64;

/// Longest time after which no further job is begun in a batch.
const BATCH_TIME: Duration = Duration::from_millis(5);

/// A statement that is all there is to its transaction.
pub(super) struct Job {
    /// What SQLite runs.
    pub sql: String,
    pub parameters: Vec<Datum>,
    /// Columns that it returns.
    pub width: usize,
    /// The committed schema that it was planned for.
    pub epoch: u64,
    /// What its functions see.
    pub context: SessionContext,
    /// What its functions notify.
    pub notices: SharedNotices,
    /// Set when it is to stop.
    pub over: Arc<AtomicBool>,
    /// What its transaction is tagged with.
    pub tag: u32,
    /// Whether its session waits until it is durable.
    pub durable: bool,
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is committed.
    Committed(Done),
    /// Nothing of it remains: it is to be run by its session.
    Refused,
    /// The same; and it is of a kind that had better not be handed in again.
    Unsuited,
}

/// A job's result.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Rows changed.
    pub changed: u64,
    /// Rows returned.
    pub rows: Vec<Vec<Datum>>,
}

/// A job in the queue.
struct Entry {
    job: Job,
    thread: Thread,
    outcome: Mutex<Option<Outcome>>,
}

impl Entry {
    fn settle(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.thread.unpark();
    }

    fn take(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The queue of jobs, and the connection that runs them.
pub(super) struct Batches {
    queue: Mutex<Queue>,
    writer: Mutex<BatchWriter>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Entry>>,
    leader: Leader,
}

/// Whether someone leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leader {
    #[default]
    Nobody,
    Somebody,
}

impl Batches {
    pub(super) fn new(writer: BatchWriter) -> Self {
        Self { queue: Mutex::default(), writer: Mutex::new(writer) }
    }

    /// Hands in a job and waits for what becomes of it; gives up at `deadline`, or when the job is to stop, unless it has
    /// been begun.
    pub(super) fn run(&self, database: &Database, job: Job, deadline: Option<Instant>) -> Outcome {
        let thread = std::thread::current();
        let entry = Arc::new(Entry { job, thread, outcome: Mutex::default() });
        let mut queue = self.lock();
        queue.waiting.push_back(Arc::clone(&entry));
        loop {
            if let Some(outcome) = entry.take() {
                return outcome;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
            let is_late = left.is_some_and(|left| left.is_zero());
            if (is_late || entry.job.over.load(Ordering::SeqCst)) && queue.remove(&entry) {
                queue.wake_leader();
                return Outcome::Refused;
            }
            if queue.leader == Leader::Nobody && !queue.waiting.is_empty() {
                queue.leader = Leader::Somebody;
                drop(queue);
                self.lead(database, &entry, deadline);
            } else {
                drop(queue);
                match left.filter(|left| !left.is_zero()) {
                    Some(left) => std::thread::park_timeout(left),
                    None => std::thread::park(),
                }
            }
            queue = self.lock();
        }
    }

    /// Runs a batch, the leader's own job first, if the lease is to be had while that may wait for it.
    fn lead(&self, database: &Database, own: &Arc<Entry>, deadline: Option<Instant>) {
        let leading = Leading { batches: self };
        let Ok(lease) = database.lease().acquire(deadline, &own.job.over) else { return };
        let mut batch = Batch::default();
        let committed = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut writing = Writing(writer);
            let begun = clock::now();
            writing.0.begin(database, lease);
            let mut first = self.lock().remove(own).then(|| Arc::clone(own));
            while let Some(entry) =
                first.take().or_else(|| self.next(database, batch.jobs.len(), begun))
            {
                // Whatever happens, the batch answers it.
                batch.jobs.push((Arc::clone(&entry), Outcome::Refused));
                let ran = writing.0.run(database, &entry.job);
                if let Some((_, outcome)) = batch.jobs.last_mut() {
                    *outcome = ran;
                }
            }
            writing.0.commit(database)
        };
        // The next one leads while this one waits for the disk.
        drop(leading);
        // Without a commit all are refused.
        let Some(pending) = committed else { return };
        batch.settle(|job| !job.durable);
        if let Some(pending) = pending.filter(|_| !batch.jobs.is_empty())
            && pending.wait().is_err()
        {
            // Whether it survives is not known; running it the ordinary way will say so.
            return;
        }
        batch.settle(|_| true);
    }

    /// The next job of a batch.
    fn next(&self, database: &Database, ran: usize, begun: Instant) -> Option<Arc<Entry>> {
        let others_wait = database.lease().waiters() > 0;
        let is_late = clock::now().saturating_duration_since(begun) >= BATCH_TIME;
        if ran >= JOBS_MAX || ran > 0 && (others_wait || is_late) {
            return None;
        }
        self.lock().waiting.pop_front()
    }

    /// Makes those who wait look whether their jobs are to stop.
    pub(super) fn wake(&self) {
        self.lock().waiting.iter().for_each(|entry| entry.thread.unpark());
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes a job out; `false` if it is not in the queue any more.
    fn remove(&mut self, entry: &Arc<Entry>) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| !Arc::ptr_eq(waiting, entry));
        self.waiting.len() < before
    }

    /// Has another one lead, if jobs wait and nobody leads.
    fn wake_leader(&self) {
        let next = self.waiting.front().filter(|_| self.leader == Leader::Nobody);
        if let Some(next) = next {
            next.thread.unpark();
        }
    }
}

/// The writer while a batch is open. However it ends, the lease does not stay there.
struct Writing<'a>(MutexGuard<'a, BatchWriter>);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// The turn of the leader, however it ends.
struct Leading<'a> {
    batches: &'a Batches,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let mut queue = self.batches.lock();
        queue.leader = Leader::Nobody;
        queue.wake_leader();
    }
}

/// Jobs that are run together and have not been told what became of them. Those that are left when it is dropped are
/// refused: nobody waits for ever.
#[derive(Default)]
struct Batch {
    jobs: Vec<(Arc<Entry>, Outcome)>,
}

impl Batch {
    /// Tells what became of those jobs, and of all that were refused.
    fn settle(&mut self, which: impl Fn(&Job) -> bool) {
        self.jobs.retain_mut(|(entry, outcome)| {
            let is_told = !matches!(outcome, Outcome::Committed(_)) || which(&entry.job);
            if is_told {
                entry.settle(std::mem::replace(outcome, Outcome::Refused));
            }
            !is_told
        });
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.jobs.drain(..).for_each(|(entry, _)| entry.settle(Outcome::Refused));
    }
}
