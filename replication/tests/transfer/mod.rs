//! How nodes of a test bring each other up: from the log, and by state where it does not reach back.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trellis_replication::store::{ApplyOutcome, LogSlice, StateOutcome, StateSlice, Store};
use trellis_replication::types::{Chunk, SiteId, StateChunk, TransferId};

static TRANSFERS: AtomicU64 = AtomicU64::new(1);

/// A number that no transfer had before.
pub fn new_transfer() -> TransferId {
    TransferId(TRANSFERS.fetch_add(1, Ordering::Relaxed))
}

/// Chunks of a state from `chunks` on, about `bytes`.
pub fn read(from: &Store, reader: SiteId, id: TransferId, chunks: u32, bytes: usize) -> StateSlice {
    from.read_state((reader, id), chunks, bytes).unwrap()
}

/// Brings the state of `from` to `to`, about `bytes` at a time.
pub fn transfer(from: &Store, to: &Store, bytes: usize) -> StateOutcome {
    let id = new_transfer();
    let mut chunks = 0;
    loop {
        let StateSlice::Chunks(slice) = read(from, to.site_id(), id, chunks, bytes) else {
            panic!("the state is gone")
        };
        let end: Option<Chunk> = slice.last().map(|last: &StateChunk| last.chunk);
        chunks = end.map_or(chunks, |end| end.index + 1);
        match to.apply_state(&slice) {
            StateOutcome::Staged => assert!(end.is_some_and(|end| !end.is_last)),
            done => return done,
        }
    }
}

/// Brings at most `bytes` of an origin's transactions, at least one; the whole state if the log does not reach back.
pub fn deliver(from: &Arc<Store>, to: &Arc<Store>, origin: SiteId, bytes: usize) -> StateOutcome {
    let after = to.progress().get(&origin).copied().unwrap_or_default();
    match from.read_log(origin, after, bytes).unwrap() {
        LogSlice::Changesets(log) => {
            for outcome in to.apply(&log) {
                match outcome {
                    ApplyOutcome::Applied | ApplyOutcome::Staged => {}
                    ApplyOutcome::Rejected { reason } => return StateOutcome::Rejected { reason },
                    other => panic!("{other:?}"),
                }
            }
            StateOutcome::Adopted
        }
        LogSlice::Trimmed { .. } => transfer(from, to, bytes),
    }
}
