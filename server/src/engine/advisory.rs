//! Advisory locks: agreements between sessions of one node on numbers, for as long as a session or a transaction.
//!
//! They are local to the node, as in PostgreSQL they are local to the server: no lock spans nodes, since a node that is cut
//! off must go on. A waiting session is woken by every release and looks again, in no particular order.
//!
//! Source: PostgreSQL manual, `explicit-locking` §13.3.5, `functions-admin` §9.27.10.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
    held: Mutex<BTreeMap<LockKey, BTreeMap<Claim, u32>>>,
    released: Condvar,
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
        let mut held = self.lock();
        Self::take(&mut held, pid, key, mode, scope)
    }

    /// Locks, waiting as long as it takes; `is_over` tells when to give up, and [`Self::wake`] makes it be asked.
    /// Whether it was locked.
    pub(super) fn wait_lock(
        &self,
        pid: u32,
        key: LockKey,
        mode: LockMode,
        scope: LockScope,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let mut held = self.lock();
        loop {
            if Self::take(&mut held, pid, key, mode, scope) {
                return true;
            }
            if is_over() {
                return false;
            }
            held = self.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Undoes one session-scope lock; `false` if there was none.
    pub(super) fn unlock(&self, pid: u32, key: LockKey, mode: LockMode) -> bool {
        let mut held = self.lock();
        let Some(claims) = held.get_mut(&key) else { return false };
        let claim = (pid, mode, LockScope::Session);
        let Some(count) = claims.get_mut(&claim) else { return false };
        *count -= 1;
        if *count == 0 {
            claims.remove(&claim);
        }
        if claims.is_empty() {
            held.remove(&key);
        }
        drop(held);
        self.released.notify_all();
        true
    }

    /// Undoes all locks of a session that have this scope.
    pub(super) fn release(&self, pid: u32, scope: LockScope) {
        let mut held = self.lock();
        if held.is_empty() {
            return;
        }
        held.retain(|_, claims| {
            claims.retain(|(holder, _, held_for), _| (*holder, *held_for) != (pid, scope));
            !claims.is_empty()
        });
        drop(held);
        self.released.notify_all();
    }

    /// Makes all that wait ask whether they are to give up.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.released.notify_all();
    }

    fn take(
        held: &mut BTreeMap<LockKey, BTreeMap<Claim, u32>>,
        pid: u32,
        key: LockKey,
        mode: LockMode,
        scope: LockScope,
    ) -> bool {
        let in_the_way = |(holder, theirs, _): &Claim| {
            *holder != pid && (mode == LockMode::Exclusive || *theirs == LockMode::Exclusive)
        };
        if held.get(&key).is_some_and(|claims| claims.keys().any(in_the_way)) {
            return false;
        }
        *held.entry(key).or_default().entry((pid, mode, scope)).or_default() += 1;
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LockKey, BTreeMap<Claim, u32>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(!locks.wait_lock(3, key, LockMode::Shared, session, || true));
    }
}
