//! What all connections of a database file share.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use super::flush::Durability;
use super::identity::Identity;
use super::lease::WriterLease;
use super::log::LogState;
use super::options::{SchemaHook, StoreOptions};
use super::registry::Registry;
use super::roster::MayBeExpelled;
use super::seal;
use super::store::wal_path;
use crate::types::SiteId;

/// What all connections of a database file share.
pub(super) struct Core {
    /// The data directory.
    pub directory: PathBuf,
    /// The database file.
    pub file: PathBuf,
    /// Held as long as anything uses the directory.
    pub _lock: File,
    /// This file's identity.
    pub site: SiteId,
    /// The queue for the one writer.
    pub lease: WriterLease,
    /// Whether this file may go on as that.
    identity: Mutex<Identity>,
    /// Peers have transactions of this site that are not here.
    pub lacks_own_past: AtomicBool,
    /// What the last commit left, durable or not.
    committed: Mutex<Committed>,
    /// Whether sites may be expelled.
    pub expelled: MayBeExpelled,
    /// Commits that wait for the disk.
    pub durability: Durability,
    /// What the store was opened with.
    pub options: StoreOptions,
    /// Who turns rows of system tables into tables.
    pub schema_hook: RwLock<Option<Arc<dyn SchemaHook>>>,
    /// Frames in the write-ahead log after the last commit.
    wal_frames: AtomicUsize,
    /// Tells the checkpointer that the log grew, or that it is to stop.
    pub checkpoint: (Mutex<CheckpointRequest>, Condvar),
}

/// What the checkpointer is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CheckpointRequest {
    /// Nothing.
    #[default]
    Idle,
    /// Copy the log into the database.
    Checkpoint,
    /// Return.
    Stop,
}

/// The state after the last commit.
pub(super) struct Committed {
    pub registry: Arc<Registry>,
    pub log: LogState,
}

/// Frames by which the write-ahead log grows between two checkpoints: 2,000 pages. SQLite's own default is half of it; but
/// here each page that is written in between costs one copy however often it is written.
pub(super) const CHECKPOINT_FRAMES: usize = 2_000;

impl Core {
    pub(super) fn new(
        (directory, file, lock): (PathBuf, PathBuf, File),
        (site, identity): (SiteId, Identity),
        committed: Committed,
        options: StoreOptions,
    ) -> Self {
        let (heads, position) = (committed.log.heads.clone(), committed.log.position);
        let durability = Durability::new(heads, position, &wal_path(&file));
        Self {
            directory,
            file,
            _lock: lock,
            site,
            identity: Mutex::new(identity),
            lacks_own_past: AtomicBool::new(false),
            lease: WriterLease::default(),
            committed: Mutex::new(committed),
            expelled: MayBeExpelled::default(),
            durability,
            options,
            schema_hook: RwLock::new(None),
            wal_frames: AtomicUsize::new(0),
            checkpoint: (Mutex::default(), Condvar::new()),
        }
    }

    /// The state after the last commit. Only the holder of the write lease changes it.
    pub(super) fn committed(&self) -> MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of this file's identity.
    pub(super) fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new transactions of this site may be made: others may know different ones of the next numbers.
    pub(super) fn may_number(&self) -> bool {
        self.identity().lost.is_none() && !self.lacks_own_past.load(Ordering::SeqCst)
    }

    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.committed().registry)
    }

    /// Notes the length of the write-ahead log after a commit.
    pub(super) fn wal_grew(&self, frames: usize) {
        let before = self.wal_frames.swap(frames, Ordering::Relaxed);
        // A log that has started over has fewer frames than before; it counts from there.
        if frames / CHECKPOINT_FRAMES > before / CHECKPOINT_FRAMES {
            self.request_checkpoint(CheckpointRequest::Checkpoint);
        }
    }

    pub(super) fn wal_frames(&self) -> usize {
        self.wal_frames.load(Ordering::Relaxed)
    }

    pub(super) fn request_checkpoint(&self, request: CheckpointRequest) {
        let mut present = self.checkpoint.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *present != CheckpointRequest::Stop {
            *present = request;
        }
        self.checkpoint.1.notify_one();
    }
}

impl Drop for Core {
    /// All connections are closed by now, since each of them holds the core.
    fn drop(&mut self) {
        if let Err(error) = seal::close(&self.file) {
            tracing::warn!(%error, "the database stays marked as in use");
        }
    }
}
