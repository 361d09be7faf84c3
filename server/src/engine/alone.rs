//! A session's statement that is all there is to its transaction: run with those of others where that is possible.

use std::sync::Arc;

use trellis_sqlcompat::plan::{Plan, WritePlan, WriteVerb};
use trellis_sqlcompat::{Datum, DatumRef, Oid, SqlError};

use super::batch::{Done, Job, Outcome};
use super::session_engine::SqliteEngine;
use super::transaction::Progress;
use crate::clock;
use crate::session::Rows;
use crate::session::port::RowVisitor;

/// Statements that a session remembers as unsuited for batches; beyond it, it starts over.
const UNSUITED_MAX: usize = 64;

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
            WriteVerb::Merge
            | WriteVerb::Truncate
            | WriteVerb::Select
            | WriteVerb::Lock
            | WriteVerb::Call => false,
        };
        let is_plain = is_plain
            && write.kept.is_empty()
            && write.restarts.is_empty()
            && write.count_from == [0]
            && write.rows_from.is_some() == plan.columns.is_some();
        let returns_plainly = plan.columns.iter().flatten().all(|it| is_sent_plainly(it.type_oid));
        let is_plain = is_plain && returns_plainly && !self.unsuited.contains(&step.sql);
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
        self.waits_since = Some(clock::now());
        let sql = &step.sql;
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
            Outcome::Unsuited => {
                self.draws.redo();
                if self.unsuited.len() >= UNSUITED_MAX {
                    self.unsuited.clear();
                }
                self.unsuited.insert(sql.clone());
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

/// Whether a value of the type can be sent in either format without an error, which would come after the commit.
fn is_sent_plainly(oid: Oid) -> bool {
    const PLAIN: [Oid; 16] = [
        Oid::BOOL,
        Oid::INT2,
        Oid::INT4,
        Oid::INT8,
        Oid::FLOAT4,
        Oid::FLOAT8,
        Oid::NUMERIC,
        Oid::TEXT,
        Oid::VARCHAR,
        Oid::BYTEA,
        Oid::UUID,
        Oid::DATE,
        Oid::TIMESTAMP,
        Oid::TIMESTAMPTZ,
        Oid::JSON,
        Oid::JSONB,
    ];
    PLAIN.contains(&oid)
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
