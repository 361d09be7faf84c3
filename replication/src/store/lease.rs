//! The right to write: one holder at a time, handed on in the order of asking.
//!
//! SQLite has one writer per file. Who wants to write takes the lease first, so that SQLite's own lock is never contended
//! and its order is fair: sessions and the application of remote changes queue alike. Waiting costs no spinning; each
//! waiter is woken by itself when the lease has been handed to it, when it is cancelled, or when its deadline passes.
//!
//! # Invariants
//! 1. At most one [`WriteLease`] of a [`WriterLease`] exists.
//! 2. A waiter gets it only when all that asked before it had it or gave up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Thread, ThreadId};
use std::time::Instant;

/// Why the lease was not obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The deadline passed while others held or awaited it.
    #[error("timed out while waiting to write")]
    TimedOut,
    /// The caller's cancel flag was set.
    #[error("canceled while waiting to write")]
    Cancelled,
}

/// The queue for the one writer of a database file. Clones are the same queue.
#[derive(Clone, Debug, Default)]
pub struct WriterLease {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// How many wait, to be looked at without the lock.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    /// The thread that was given the [`WriteLease`], if there is one.
    held: Option<ThreadId>,
    /// Those who wait, first come first.
    waiting: VecDeque<Waiter>,
    /// Number of the next waiter.
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    thread: Thread,
    /// Set when the lease has been handed to the waiter, who is then no longer in the queue.
    granted: Arc<AtomicBool>,
}

impl WriterLease {
    /// Waits for the lease until `deadline`, or for ever; gives up when `cancelled` is set and [`Self::wake`] is called.
    ///
    /// # Errors
    /// If it was not obtained; nothing is held then.
    pub fn acquire(
        &self,
        deadline: Option<Instant>,
        cancelled: &AtomicBool,
    ) -> Result<WriteLease, LeaseError> {
        let mut queue = self.lock();
        if queue.held.is_none() {
            queue.held = Some(std::thread::current().id());
            return Ok(WriteLease { lease: self.clone() });
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        let granted = Arc::new(AtomicBool::new(false));
        let thread = std::thread::current();
        queue.waiting.push_back(Waiter { ticket, thread, granted: Arc::clone(&granted) });
        self.count(&queue);
        drop(queue);
        loop {
            let remaining =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if cancelled.load(Ordering::Acquire) {
                return self.give_up(ticket, LeaseError::Cancelled);
            }
            match remaining {
                Some(remaining) if remaining.is_zero() => {
                    return self.give_up(ticket, LeaseError::TimedOut);
                }
                Some(remaining) => std::thread::park_timeout(remaining),
                None => std::thread::park(),
            }
            if granted.load(Ordering::Acquire) {
                return Ok(WriteLease { lease: self.clone() });
            }
        }
    }

    /// Leaves the queue; if the lease has been handed over at the last moment, it is taken after all.
    fn give_up(&self, ticket: u64, error: LeaseError) -> Result<WriteLease, LeaseError> {
        let mut queue = self.lock();
        let before = queue.waiting.len();
        queue.waiting.retain(|waiter| waiter.ticket != ticket);
        self.count(&queue);
        if queue.waiting.len() == before {
            Ok(WriteLease { lease: self.clone() })
        } else {
            Err(error)
        }
    }

    /// Hands the lease to the next in the queue, or frees it.
    fn hand_on(&self) {
        let mut queue = self.lock();
        let next = queue.waiting.pop_front();
        queue.held = next.as_ref().map(|next| next.thread.id());
        self.count(&queue);
        drop(queue);
        if let Some(next) = next {
            next.granted.store(true, Ordering::Release);
            next.thread.unpark();
        }
    }

    fn count(&self, queue: &Queue) {
        self.shared.waiting.store(queue.waiting.len(), Ordering::Relaxed);
    }

    /// Waits for the lease as long as it takes.
    #[must_use]
    pub fn acquire_uncancelled(&self) -> WriteLease {
        let never = AtomicBool::new(false);
        loop {
            if let Ok(lease) = self.acquire(None, &never) {
                return lease;
            }
        }
    }

    /// Makes all waiters look at their cancel flags. Call after setting one.
    pub fn wake(&self) {
        self.lock().waiting.iter().for_each(|waiter| waiter.thread.unpark());
    }

    /// Whether the lease was given to this thread, and others wait for it.
    #[must_use]
    pub fn is_kept_by_this_thread(&self) -> bool {
        let queue = self.lock();
        queue.held == Some(std::thread::current().id()) && !queue.waiting.is_empty()
    }

    /// Whether somebody has it at the moment.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.lock().held.is_some()
    }

    /// Number of those who wait; the holder can tell from it whether it keeps anyone from writing.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds this lock; the queue is whole even if something did.
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write, given back on drop.
#[derive(Debug)]
pub struct WriteLease {
    lease: WriterLease,
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        self.lease.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn handed_on_in_order_of_asking() {
        let lease = WriterLease::default();
        let held = lease.acquire_uncancelled();
        let (sender, receiver) = mpsc::channel();
        let mut threads = Vec::new();
        for number in 0..4 {
            let (lease, sender) = (lease.clone(), sender.clone());
            let ahead = lease.waiters();
            let theirs = lease.clone();
            threads.push(std::thread::spawn(move || {
                let held = theirs.acquire_uncancelled();
                sender.send(number).expect("the receiver lives");
                drop(held);
            }));
            while lease.waiters() == ahead {
                std::thread::yield_now();
            }
        }
        drop(held);
        assert_eq!(receiver.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }

    #[test]
    fn gives_up_when_cancelled_or_late() {
        let lease = WriterLease::default();
        let held = lease.acquire_uncancelled();
        let late = lease.acquire(Some(Instant::now()), &AtomicBool::new(false));
        assert_eq!(late.err(), Some(LeaseError::TimedOut));
        let cancelled = lease.acquire(None, &AtomicBool::new(true));
        assert_eq!(cancelled.err(), Some(LeaseError::Cancelled));
        drop(held);
        assert!(lease.acquire(Some(Instant::now()), &AtomicBool::new(false)).is_ok());
    }
}
