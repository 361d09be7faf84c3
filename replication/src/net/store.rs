//! What the network asks of the store.

use crate::types::{
    ContentHash, DbVersion, EncodedChangeset, Progress, ProgressBySite, SiteId, StateChunk,
    TransferId,
};

pub use crate::protocol::{ApplyResult, ReadLogError, ReadStateError, StateResult};

/// The store as the network sees it: heads, apply, and the log. Called on blocking threads, never on the reactor.
pub trait ReplicaStore: Send + Sync + 'static {
    /// The last durably applied version of every origin, this site included, and what is staged of the next.
    fn progress(&self) -> ProgressBySite;

    /// Applies changesets, in the order given; each whole or not at all, durable on return. Chunks are staged until the last
    /// one of their transaction is there, which then is applied whole.
    ///
    /// Returns one result per changeset. Within the batch, the changesets of one origin have ascending versions; after
    /// one that is not applied, the later ones of its origin must not be either ([`ApplyResult::Gap`] says so).
    fn apply(&self, batch: &[EncodedChangeset]) -> Vec<ApplyResult>;

    /// Reads changesets of `origin` that come after `after`, chunk by chunk without gaps, until `max_bytes` are reached:
    /// at least one if there is any, however large.
    ///
    /// # Errors
    /// [`ReadLogError::Trimmed`] if the log no longer holds the version after `after`; [`ReadLogError::Failed`] if it
    /// could not be read.
    fn read_log(
        &self,
        origin: SiteId,
        after: Progress,
        max_bytes: usize,
    ) -> Result<Vec<EncodedChangeset>, ReadLogError>;

    /// Reads a part of the whole state for a peer: the chunks after its first `chunks`, until `max_bytes` are reached, at
    /// least one. All that are read under one number of the peer's are of one cut.
    ///
    /// # Errors
    /// [`ReadStateError::Gone`] if the peer has to start over; [`ReadStateError::Busy`] if it has to wait;
    /// [`ReadStateError::Failed`] if the state could not be read.
    fn read_state(
        &self,
        reader: (SiteId, TransferId),
        chunks: u32,
        max_bytes: usize,
    ) -> Result<Vec<StateChunk>, ReadStateError>;

    /// What is known of a site: its last version, and `version`, each with what tells it from another one of that number.
    /// Nothing if it cannot be read.
    fn past(&self, site: SiteId, version: DbVersion) -> Vec<(DbVersion, ContentHash)>;

    /// Compares this site's past with what a peer knows of it.
    fn check_past(&self, known: &[(DbVersion, ContentHash)]);

    /// Keeps chunks of a peer's state, in the order given; with the last one the state is taken over, whole and durable on
    /// return.
    fn apply_state(&self, chunks: &[StateChunk]) -> StateResult;
}
