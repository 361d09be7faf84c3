//! Remembers that a table has no rows of a kind that most tables have none of.
//!
//! Every fold has to know whether its tables have hidden rows or tombstones outside their blocks; asking the file is a page
//! read for each. An [`Absence`] keeps the answer no, which holds until this process writes such a row.
//!
//! # Invariants
//! 1. Only an answer that the present transaction cannot have changed is kept: once such a row has been written or removed,
//!    by a transaction that may yet be rolled back, the file is asked every time until the store is opened again.

use std::sync::atomic::{AtomicU8, Ordering};

use super::error::Result;

const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const TOUCHED: u8 = 2;

/// Whether a table is known to have no rows of some kind. All accesses are under the write lease.
#[derive(Debug)]
pub(super) struct Absence(AtomicU8);

impl Default for Absence {
    fn default() -> Self {
        Self(AtomicU8::new(UNKNOWN))
    }
}

impl Absence {
    /// Whether there are any, asking the file only if that is not known.
    pub(super) fn any(&self, ask: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let known = self.0.load(Ordering::Relaxed);
        if known == ABSENT {
            return Ok(false);
        }
        let any = ask()?;
        if known == UNKNOWN && !any {
            self.0.store(ABSENT, Ordering::Relaxed);
        }
        Ok(any)
    }

    /// To be called before one is written or removed.
    pub(super) fn touch(&self) {
        self.0.store(TOUCHED, Ordering::Relaxed);
    }
}
