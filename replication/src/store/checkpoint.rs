//! Copies the write-ahead log into the database, off the committers' path.
//!
//! Connections do not checkpoint by themselves: a commit that did would keep the lease for two syncs. They report the
//! log's length instead, and one thread copies what readers allow (`PASSIVE`). A log that is never free of readers and
//! writers at once grows; beyond [`RESTART_FRAMES`] the thread takes the lease, so that the log can start over.

use std::sync::PoisonError;

use rusqlite::Connection;

use super::core::{CHECKPOINT_FRAMES, CheckpointRequest, Core};

/// Frames from which on writers are held up for a checkpoint: 16,000 pages, 64 MB.
const RESTART_FRAMES: usize = 16 * CHECKPOINT_FRAMES;

/// The checkpointer's thread: runs until told to stop. Its connection also keeps the log file in place.
pub(super) fn run(core: &Core, sqlite: &Connection) {
    loop {
        let mut request = core.checkpoint.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *request == CheckpointRequest::Idle {
            request = core.checkpoint.1.wait(request).unwrap_or_else(PoisonError::into_inner);
        }
        if *request == CheckpointRequest::Stop {
            return;
        }
        *request = CheckpointRequest::Idle;
        drop(request);
        let result = if core.wal_frames() >= RESTART_FRAMES {
            let _lease = core.lease.acquire_uncancelled();
            sqlite.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
        } else {
            sqlite.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        };
        if let Err(error) = result {
            tracing::warn!(%error, "checkpoint failed");
        }
    }
}
