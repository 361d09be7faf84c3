//! Advisory locks: agreements between sessions of one node on numbers, for as long as a session or a transaction.
//!
//! They are local to the node, as in PostgreSQL they are local to the server: no lock spans nodes, since a node that is cut
//! off must go on. A waiting session is woken by every release and looks again, in no particular order. Sessions that wait
//! for each other are found by following who waits for whom.
//!
//! Source: PostgreSQL manual, `explicit-locking` §13.3.5, `functions-admin` §9.27.10.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trellis_sqlcompat::SqlError;

/// What is locked: one number, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockKey {
    /// `pg_advisory_lock(bigint)`.
    One(i64),
    /// `pg_advisory_lock(int, int)`.
    Two(i64, i64),
}

/// How it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockMode {
    /// Against everyone else.
    Exclusive,
    /// Against exclusive holders only.
    Shared,
}

/// How long it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockScope {
    /// Until it is unlocked or the session ends.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// One holder's claim on a key.
type Claim = (u32, LockMode, LockScope);

/// All advisory locks of a node.
#[derive(Default)]
pub(super) struct AdvisoryLocks {
    locks: Mutex<Locks>,
    released: Condvar,
}

#[derive(Default)]
struct Locks {
    /// How often each was claimed, by whom.
    held: BTreeMap<LockKey, BTreeMap<Claim, u32>>,
    /// What the sessions that wait wait for.
    waiting: BTreeMap<u32, (LockKey, LockMode)>,
}

impl AdvisoryLocks {
    /// Locks for session `pid` if nobody is in the way; locking again counts.
    pub(super) fn try_lock(
        &self,
        pid: u32,
        key: LockKey,
        mode: LockMode,
        scope: LockScope,
    ) -> bool {
        self.lock().take(pid, key, mode, scope)
    }

    /// Locks, waiting as long as `go_on` allows. It is told whether sessions wait for each other, and says when it wants to
    /// be asked again; [`Self::wake`] makes it be asked at once.
    ///
    /// # Errors
    /// That of `go_on`; nothing was locked.
    pub(super) fn wait_lock(
        &self,
        pid: u32,
        key: LockKey,
        mode: LockMode,
        scope: LockScope,
        go_on: impl Fn(bool) -> Result<Duration, SqlError>,
    ) -> Result<(), SqlError> {
        let mut locks = self.lock();
        while !locks.take(pid, key, mode, scope) {
            locks.waiting.insert(pid, (key, mode));
            let patience = go_on(locks.is_in_cycle(pid));
            let patience = patience.inspect_err(|_| {
                locks.waiting.remove(&pid);
            })?;
            let waited = self.released.wait_timeout(locks, patience);
            locks = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        locks.waiting.remove(&pid);
        Ok(())
    }

    /// Undoes one session-scope lock; `false` if there was none.
    pub(super) fn unlock(&self, pid: u32, key: LockKey, mode: LockMode) -> bool {
        let mut locks = self.lock();
        let Some(claims) = locks.held.get_mut(&key) else { return false };
        let claim = (pid, mode, LockScope::Session);
        let Some(count) = claims.get_mut(&claim) else { return false };
        *count -= 1;
        if *count == 0 {
            claims.remove(&claim);
        }
        if claims.is_empty() {
            locks.held.remove(&key);
        }
        drop(locks);
        self.released.notify_all();
        true
    }

    /// Undoes all locks of a session that have this scope.
    pub(super) fn release(&self, pid: u32, scope: LockScope) {
        let mut locks = self.lock();
        if locks.held.is_empty() {
            return;
        }
        locks.held.retain(|_, claims| {
            claims.retain(|(holder, _, held_for), _| (*holder, *held_for) != (pid, scope));
            !claims.is_empty()
        });
        drop(locks);
        self.released.notify_all();
    }

    /// Makes all that wait ask whether they are to give up.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.released.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Locks {
    fn take(&mut self, pid: u32, key: LockKey, mode: LockMode, scope: LockScope) -> bool {
        if self.in_the_way(pid, key, mode).next().is_some() {
            return false;
        }
        *self.held.entry(key).or_default().entry((pid, mode, scope)).or_default() += 1;
        true
    }

    /// The sessions that keep `pid` from locking.
    fn in_the_way(&self, pid: u32, key: LockKey, mode: LockMode) -> impl Iterator<Item = u32> {
        let claims = self.held.get(&key).into_iter().flat_map(BTreeMap::keys);
        let against = move |(holder, theirs, _): &&Claim| {
            *holder != pid && (mode == LockMode::Exclusive || *theirs == LockMode::Exclusive)
        };
        claims.filter(against).map(|(holder, ..)| *holder)
    }

    /// Whether a session waits for someone who waits for it.
    fn is_in_cycle(&self, pid: u32) -> bool {
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![pid]);
        while let Some(waiter) = ahead.pop() {
            let Some((key, mode)) = self.waiting.get(&waiter) else { continue };
            for holder in self.in_the_way(waiter, *key, *mode) {
                if holder == pid {
                    return true;
                }
                if seen.insert(holder) {
                    ahead.push(holder);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_and_exclusive_locks_keep_others_out_until_released() {
        let locks = AdvisoryLocks::default();
        let key = LockKey::One(7);
        let session = LockScope::Session;
        assert!(locks.try_lock(1, key, LockMode::Shared, session));
        assert!(locks.try_lock(2, key, LockMode::Shared, LockScope::Transaction));
        assert!(!locks.try_lock(1, key, LockMode::Exclusive, session));
        locks.release(2, LockScope::Transaction);
        assert!(locks.try_lock(1, key, LockMode::Exclusive, session));
        assert!(!locks.try_lock(2, key, LockMode::Shared, session));
        assert!(locks.unlock(1, key, LockMode::Exclusive));
        assert!(!locks.unlock(1, key, LockMode::Exclusive));
        assert!(!locks.unlock(2, key, LockMode::Shared));
        assert!(locks.try_lock(2, key, LockMode::Shared, session));
        locks.release(1, session);
        assert!(locks.try_lock(2, key, LockMode::Exclusive, session));
    }

    #[test]
    fn sessions_that_wait_for_each_other_are_found() {
        let locks = AdvisoryLocks::default();
        let (mode, scope) = (LockMode::Exclusive, LockScope::Transaction);
        for (pid, key) in [(1, 10), (2, 20), (3, 30)] {
            assert!(locks.try_lock(pid, LockKey::One(key), mode, scope));
        }
        let waits = [
            (1, LockKey::One(20), false),
            (2, LockKey::One(30), false),
            (3, LockKey::One(10), true),
        ];
        for (pid, key, closes_the_circle) in waits {
            let gave_up = SqlError::new(trellis_sqlcompat::SqlState::DEADLOCK_DETECTED, "");
            let asked = std::cell::Cell::new(None);
            let refuse = |in_cycle| {
                asked.set(Some(in_cycle));
                Err(gave_up.clone())
            };
            locks.wait_lock(pid, key, mode, scope, refuse).unwrap_err();
            assert_eq!(asked.get(), Some(closes_the_circle), "session {pid}");
            // It goes on waiting, as a session that had not been asked yet would.
            locks.lock().waiting.insert(pid, (key, mode));
        }
    }
}
