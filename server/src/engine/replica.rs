//! The store as the network sees it.

use trellis_replication::net::{
    ApplyResult, ReadLogError, ReadStateError, ReplicaStore, StateResult,
};
use trellis_replication::store::{ApplyOutcome, LogSlice, StateOutcome, StateSlice};
use trellis_replication::types::{
    ContentHash, DbVersion, EncodedChangeset, Progress, ProgressBySite, SiteId, StateChunk,
    TransferId,
};

use super::database::Database;

impl ReplicaStore for Database {
    fn progress(&self) -> ProgressBySite {
        self.store.progress()
    }

    fn apply(&self, batch: &[EncodedChangeset]) -> Vec<ApplyResult> {
        self.store.apply(batch).into_iter().map(apply_result).collect()
    }

    fn read_log(
        &self,
        origin: SiteId,
        after: Progress,
        max_bytes: usize,
    ) -> Result<Vec<EncodedChangeset>, ReadLogError> {
        match self.store.read_log(origin, after, max_bytes) {
            Ok(LogSlice::Changesets(changesets)) => Ok(changesets),
            Ok(LogSlice::Trimmed { .. }) => Err(ReadLogError::Trimmed),
            Err(error) => Err(ReadLogError::Failed(error.to_string())),
        }
    }

    fn read_state(
        &self,
        reader: (SiteId, TransferId),
        chunks: u32,
        max_bytes: usize,
    ) -> Result<Vec<StateChunk>, ReadStateError> {
        match self.store.read_state(reader, chunks, max_bytes) {
            Ok(StateSlice::Chunks(chunks)) => Ok(chunks),
            Ok(StateSlice::Gone) => Err(ReadStateError::Gone),
            Ok(StateSlice::Busy) => Err(ReadStateError::Busy),
            Err(error) => Err(ReadStateError::Failed(error.to_string())),
        }
    }

    fn past(&self, site: SiteId, version: DbVersion) -> Vec<(DbVersion, ContentHash)> {
        self.store.past(site, version).unwrap_or_else(|error| {
            tracing::warn!(%site, %error, "a peer is not told of its past");
            Vec::new()
        })
    }

    fn check_past(&self, known: &[(DbVersion, ContentHash)]) {
        if let Err(error) = self.store.check_past(known) {
            tracing::error!(%error, "this node's past could not be compared with a peer's");
        }
    }

    fn apply_state(&self, chunks: &[StateChunk]) -> StateResult {
        match self.store.apply_state(chunks) {
            StateOutcome::Staged => StateResult::Staged,
            StateOutcome::Adopted => {
                self.state_was_replaced();
                StateResult::Adopted(self.store.progress())
            }
            StateOutcome::Gap => StateResult::Gap,
            StateOutcome::TooEarly => StateResult::TooEarly,
            StateOutcome::Stale => StateResult::Stale,
            StateOutcome::Rejected { reason } => StateResult::Rejected(reason),
            StateOutcome::Failed { reason } => StateResult::Failed(reason),
        }
    }
}

fn apply_result(outcome: ApplyOutcome) -> ApplyResult {
    match outcome {
        ApplyOutcome::Applied => ApplyResult::Applied,
        ApplyOutcome::Staged => ApplyResult::Staged,
        ApplyOutcome::AlreadyKnown => ApplyResult::AlreadyKnown,
        ApplyOutcome::Gap { .. } => ApplyResult::Gap,
        ApplyOutcome::NeedsSchema { .. } => ApplyResult::NeedsSchema,
        ApplyOutcome::Rejected { reason } => ApplyResult::Rejected(reason),
        ApplyOutcome::Failed { reason } => ApplyResult::Failed(reason),
    }
}
