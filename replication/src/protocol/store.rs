//! What passes between the protocol and the store.

use crate::types::ProgressBySite;

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

/// What became of chunks of a state that the store was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateResult {
    /// They are kept, durably, until the last one is here.
    Staged,
    /// They were the last ones: the state is taken over and durable, and the store is as far as this.
    Adopted(ProgressBySite),
    /// Chunks before them are missing: the state is fetched from its start.
    Gap,
    /// The store knows transactions of others that are not in the state; it is asked for again later.
    TooEarly,
    /// This node was away for so long that its own transactions cannot be merged any more. No state is asked for again.
    Stale,
    /// They are malformed, and why.
    Rejected(String),
    /// The store could not take them for a reason of its own, and why.
    Failed(String),
}

/// Why a state could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadStateError {
    /// It is not there any more: start over.
    #[error("the state is not kept any more")]
    Gone,
    /// Too many are being read.
    #[error("too many states are being read")]
    Busy,
    /// Reading failed.
    #[error("the state could not be read: {0}")]
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
