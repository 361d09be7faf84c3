//! A session's statement that is all there is to its transaction: run with those of others where that is possible.

use std::sync::Arc;

use trellis_sqlcompat::plan::{Plan, WritePlan, WriteVerb};
use trellis_sqlcompat::{Datum, DatumRef, SqlError};

use super::batch::{Done, Job, Outcome};
use super::session_engine::SqliteEngine;
use super::transaction::Progress;
use crate::session::Rows;
use crate::session::port::RowVisitor;

impl SqliteEngine {
    /// Runs and commits the statement in a batch; none if it has to be run the ordinary way, nothing having been done.
    pub(super) fn run_in_batch(
        &mut self,
        (plan, write): (&Plan, &WritePlan),
        parameters: &[Datum],
        durable: bool,
        visit: RowVisitor<'_>,
    ) -> Result<Option<u64>, SqlError> {
        let [step] = write.steps.as_slice() else { return Ok(None) };
        let is_plain = match write.verb {
            WriteVerb::Insert | WriteVerb::Update | WriteVerb::Delete => true,
            WriteVerb::Merge | WriteVerb::Truncate | WriteVerb::Select | WriteVerb::Lock => false,
        };
        let is_plain = is_plain
            && write.kept.is_empty()
            && write.count_from == [0]
            && write.rows_from.is_some() == plan.columns.is_some();
        let reads_catalog = plan.reads.image || !plan.reads.live.is_empty();
        if !is_plain || reads_catalog || !self.is_fresh() || self.database.check_writable().is_err()
        {
            return Ok(None);
        }
        let job = Job {
            sql: step.sql.clone(),
            parameters: parameters.to_vec(),
            width: plan.columns.as_ref().map_or(0, Vec::len),
            epoch: self.schema.base_epoch(),
            context: self.context.clone(),
            notices: self.notices.clone(),
            over: Arc::clone(self.cancel.flag()),
            tag: self.identity.pid,
            durable,
        };
        self.draws.clear();
        match self.database.batches.run(&self.database, job, self.lock_deadline()) {
            Outcome::Committed(Done { changed, rows }) => {
                self.transaction = None;
                self.draws.take_unsaved();
                rows.into_iter().try_for_each(|row| visit(&Returned(row)))?;
                Ok(Some(changed))
            }
            Outcome::Refused => {
                self.draws.redo();
                Ok(None)
            }
        }
    }

    /// Whether the transaction has done nothing yet, in a session without tables of its own.
    fn is_fresh(&self) -> bool {
        self.temporary.is_empty()
            && self.transaction.as_ref().is_some_and(|open| {
                matches!(open.progress, Progress::Unopened) && open.savepoints.is_empty()
            })
    }
}

/// A row that a job returned.
struct Returned(Vec<Datum>);

impl Rows for Returned {
    fn next(&mut self) -> Result<bool, SqlError> {
        Ok(false)
    }

    fn width(&self) -> usize {
        self.0.len()
    }

    fn column(&self, index: usize) -> DatumRef<'_> {
        self.0.get(index).map_or(DatumRef::Null, Datum::as_ref)
    }
}
