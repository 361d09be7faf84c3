//! Statement timeouts: one thread that stops statements whose time is over.
//!
//! A session that sets `statement_timeout` has one alarm here, at the end of the time of some statement of it. When the
//! alarm goes off, the session's switch says whether a statement is late, and otherwise when to look again: so a session
//! that runs a thousand statements in the time of one timeout costs one alarm, not a thousand.
//!
//! # Bounds
//! One alarm per session with a statement that has a timeout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::cancel::CancelSwitch;
use crate::clock;

/// Which session an alarm is of: the address of its switch, which its alarm keeps from being used again.
type Session = usize;

#[derive(Default)]
struct Alarms {
    by_time: BTreeSet<(Instant, Session)>,
    by_session: BTreeMap<Session, (Instant, Weak<CancelSwitch>)>,
    started: bool,
    stopping: bool,
}

/// The thread's handle; the thread ends when it is dropped.
#[derive(Default)]
pub(super) struct Timer {
    shared: Arc<(Mutex<Alarms>, Condvar)>,
}

impl Timer {
    /// Sets the alarm of a session, unless it has one that goes off earlier. The thread starts with the first alarm.
    pub(super) fn set(&self, at: Instant, switch: &Arc<CancelSwitch>) {
        let mut alarms = lock(&self.shared.0);
        alarms.set(at, Arc::downgrade(switch));
        if !alarms.started {
            alarms.started = true;
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("timer".to_owned());
            if let Err(error) = thread.spawn(move || run(&shared.0, &shared.1)) {
                tracing::error!(%error, "no thread for statement timeouts");
                alarms.started = false;
            }
        }
        self.shared.1.notify_one();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        lock(&self.shared.0).stopping = true;
        self.shared.1.notify_one();
    }
}

impl Alarms {
    fn set(&mut self, at: Instant, switch: Weak<CancelSwitch>) {
        let session = switch.as_ptr().addr();
        if let Some((before, _)) = self.by_session.get(&session) {
            if *before <= at {
                return;
            }
            self.by_time.remove(&(*before, session));
        }
        self.by_session.insert(session, (at, switch));
        self.by_time.insert((at, session));
    }

    /// Takes an alarm whose time has come.
    fn take_due(&mut self, now: Instant) -> Option<Weak<CancelSwitch>> {
        let first = self.by_time.first().copied().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&first);
        self.by_session.remove(&first.1).map(|(_, switch)| switch)
    }
}

fn lock(alarms: &Mutex<Alarms>) -> MutexGuard<'_, Alarms> {
    alarms.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &Mutex<Alarms>, changed: &Condvar) {
    let mut alarms = lock(shared);
    while !alarms.stopping {
        let now = clock::now();
        if let Some(switch) = alarms.take_due(now) {
            drop(alarms);
            let again = switch.upgrade().and_then(|session| session.time_out(now));
            alarms = lock(shared);
            if let Some(at) = again {
                alarms.set(at, switch);
            }
            continue;
        }
        alarms = match alarms.by_time.first().map(|(at, _)| at.saturating_duration_since(now)) {
            Some(left) => {
                changed.wait_timeout(alarms, left).unwrap_or_else(PoisonError::into_inner).0
            }
            None => changed.wait(alarms).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_has_one_alarm_however_many_statements_it_runs() {
        let mut alarms = Alarms::default();
        let (start, second) = (clock::now(), Duration::from_secs(1));
        let switch = Weak::new();
        for number in 0..1_000 {
            alarms.set(start + second * (1_000 - number), Weak::clone(&switch));
        }
        assert_eq!((alarms.by_time.len(), alarms.by_session.len()), (1, 1));
        assert!(alarms.take_due(start).is_none());
        assert!(alarms.take_due(start + second).is_some());
        assert!(alarms.by_time.is_empty() && alarms.by_session.is_empty());
    }
}
