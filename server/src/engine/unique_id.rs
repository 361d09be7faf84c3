//! Hidden keys: the numbers of rows in tables without a PRIMARY KEY.
//!
//! A table without a PRIMARY KEY gets a hidden integer key, so that its rows have an identity that replicates. Two nodes must
//! never choose the same number, even while they are cut off from each other, or two rows would merge into one. Each
//! start of a node counts up from a number that it draws at random from 2^62: rows that are inserted together stay
//! neighbours, which keeps their clocks in the same block, and a scan shows the rows of one run in the order of insertion,
//! as PostgreSQL does on a table that was never updated.
//!
//! # Bounds
//! Two runs of `n` rows each meet with a probability of about `n / 2^61`: for a million rows, 4e-13.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::RngExt;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// The SQLite function that gives out the numbers.
const FUNCTION: &str = "trellis_unique_id";

/// The numbers of one run of a node; clones share them.
#[derive(Clone)]
pub(super) struct UniqueIds(Arc<AtomicI64>);

impl UniqueIds {
    /// Draws where to start.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(rand::rng().random_range(1..1 << 62))))
    }

    /// Makes `trellis_unique_id()` known on a connection.
    ///
    /// # Errors
    /// What SQLite says, if it is out of memory.
    pub(super) fn register(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        let next = Arc::clone(&self.0);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
        sqlite.create_scalar_function(FUNCTION, 0, flags, move |_| {
            Ok(next.fetch_add(1, Ordering::Relaxed))
        })
    }
}
