//! Copies the write-ahead log into the database, off the committers' path.
//!
//! Connections do not checkpoint by themselves: a commit that did would keep the lease for two syncs. They report the
//! log's length instead, and one thread copies what readers allow (`PASSIVE`). A log that is never free of readers and
//! writers at once grows; beyond [`RESTART_FRAMES`] the thread takes the lease for what is left to copy, so that the log
//! can start over. What old snapshots are in the way of is left for the next time, so holding writers up never takes longer
//! than the copying.
//!
//! The log's file is laid out beforehand ([`preallocate`]), as PostgreSQL lays out its segments: syncing bytes that are
//! written in place costs less than half of what syncing a file that grows does.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use rusqlite::Connection;

use super::core::{CHECKPOINT_FRAMES, CheckpointRequest, Core};

/// Frames from which on writers are held up for the rest of a checkpoint: 4,000 pages, 16 MB.
const RESTART_FRAMES: usize = 2 * CHECKPOINT_FRAMES;

/// Size to which the log's file is laid out, bytes: [`RESTART_FRAMES`] and some.
const WAL_BYTES: u64 = 18 << 20;

/// Fills the log's file with zeros up to [`WAL_BYTES`]. SQLite reads a log up to the first frame whose checksum does not
/// fit, so what lies beyond does not count. To be called while no connection writes.
///
/// # Errors
/// What the operating system says; the log is as it was, but for zeros at its end.
pub(super) fn preallocate(wal: &Path) -> io::Result<()> {
    let mut file = File::options().append(true).open(wal)?;
    let missing = WAL_BYTES.saturating_sub(file.metadata()?.len());
    io::copy(&mut io::repeat(0).take(missing), &mut file)?;
    Ok(())
}

/// The checkpointer's thread: runs until told to stop. Its connection also keeps the log file in place.
pub(super) fn run(core: &Core, sqlite: &Connection) {
    // Readers are never waited for: writers would have to wait as well.
    if let Err(error) = sqlite.busy_timeout(Duration::ZERO) {
        tracing::warn!(%error, "checkpoints wait for readers");
    }
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
        let mut result = sqlite.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if result.is_ok() && core.wal_frames() >= RESTART_FRAMES {
            let _lease = core.lease.acquire_uncancelled();
            result = sqlite.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        }
        if let Err(error) = result {
            tracing::warn!(%error, "checkpoint failed");
        }
    }
}
