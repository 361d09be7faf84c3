//! The store as the network sees it.

use trellis_replication::net::{ApplyResult, ReadLogError, ReplicaStore};
use trellis_replication::store::{ApplyOutcome, LogSlice};
use trellis_replication::types::{EncodedChangeset, Progress, ProgressBySite, SiteId};

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
