//! Statement timeouts: one thread that stops statements whose time is over.
//!
//! A session that sets `statement_timeout` tells the thread when each statement's time ends. The thread sleeps until the
//! earliest end; a statement that has ended meanwhile is not touched, because every statement has a number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Instant;

use super::cancel::CancelSwitch;
use crate::clock;

/// A statement's end of time.
struct Alarm {
    at: Instant,
    statement: u64,
    switch: Weak<CancelSwitch>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// The thread's handle; the thread ends when it is dropped.
pub(super) struct Timer {
    alarms: Mutex<Option<Sender<Alarm>>>,
}

impl Timer {
    /// A timer. Its thread starts with the first alarm.
    pub(super) fn new() -> Self {
        Self { alarms: Mutex::default() }
    }

    /// Stops statement number `statement` of `switch` at `at`, if it still runs.
    pub(super) fn set(&self, at: Instant, statement: u64, switch: Weak<CancelSwitch>) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = alarms.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel();
            let started =
                std::thread::Builder::new().name("timer".to_owned()).spawn(move || run(&receiver));
            if let Err(error) = started {
                tracing::error!(%error, "no thread for statement timeouts");
            }
            sender
        });
        if sender.send(Alarm { at, statement, switch }).is_err() {
            tracing::error!("the timer has ended; statement timeouts do not work");
        }
    }
}

fn run(alarms: &Receiver<Alarm>) {
    let mut pending: BinaryHeap<Reverse<Alarm>> = BinaryHeap::new();
    loop {
        let next = pending.peek().map(|Reverse(alarm)| alarm.at);
        let received = match next {
            Some(at) => alarms.recv_timeout(at.saturating_duration_since(clock::now())),
            None => alarms.recv().map_err(|_ended| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(alarm) => pending.push(Reverse(alarm)),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(Reverse(alarm)) = pending.pop()
                    && let Some(switch) = alarm.switch.upgrade()
                {
                    switch.time_out(alarm.statement);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
