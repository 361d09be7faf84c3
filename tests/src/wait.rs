//! Waiting for a condition: the one place where a test lets time pass.
//!
//! What can be awaited as an event (a line on stdout, a notification, the end of a process) is awaited as
//! such, elsewhere. What remains are conditions that only a question can answer: "does node 3 have the
//! row". [`until`] asks again with a growing pause, so that a fast answer is found within a millisecond and a slow one
//! does not keep the machine busy.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take before its test fails.
///
/// Far above what a healthy run needs: it bounds a hang, it is no statement about speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pause after the first failed attempt; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Asks `attempt` until it yields a value, and returns that.
///
/// `attempt` answers `Ok(None)` for "not yet" and `Err` for "not yet, and this is what stood in the way"; the last such
/// reason is part of the error.
///
/// # Errors
///
/// When [`PATIENCE`] is over: what was waited for, and the last reason.
pub fn until<T>(what: &str, attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(PATIENCE, what, attempt)
}

/// As [`until`], for what takes long by its nature.
///
/// # Errors
///
/// When `patience` is over.
pub fn until_within<T>(
    patience: Duration,
    what: &str,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        let reason = match attempt() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::from("the condition did not hold"),
            Err(error) => format!("{error:#}"),
        };
        if started.elapsed() > patience {
            bail!("waited {patience:?} for {what}; last attempt: {reason}");
        }
        thread::park_timeout(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
