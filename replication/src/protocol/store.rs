//! What passes between the protocol and the store.

/// What became of a changeset that the store was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyResult {
    /// It is applied and durable.
    Applied,
    /// It is a chunk that is kept, durably, until the last one of its transaction is here.
    Staged,
    /// It had been applied or staged before.
    AlreadyKnown,
    /// An earlier version of its origin is missing; nothing was changed.
    Gap,
    /// It needs a schema that is not here yet; nothing was changed. It is kept and offered again.
    NeedsSchema,
    /// It cannot be applied, and why; nothing was changed. It is fetched from another peer and offered again, a bounded
    /// number of times in quick succession and then rarely, and shown as blocked. What was staged of its transaction is
    /// given up.
    Rejected(String),
    /// The store could not apply it for a reason of its own, such as a full disk, and why; nothing was changed. It is kept and
    /// offered again, shown as blocked until then.
    Failed(String),
}

/// Why the log could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadLogError {
    /// The log has been trimmed above the version asked for.
    #[error("the log no longer reaches back to the version asked for")]
    Trimmed,
    /// Reading failed.
    #[error("the log could not be read: {0}")]
    Failed(String),
}
