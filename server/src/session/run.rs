//! Running a plan, whoever sent it.

use std::sync::Arc;

use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::plan::{
    Plan, PlanKind, ResultColumn, SessionStatement, WritePlan, WriteVerb,
};
use trellis_sqlcompat::{Datum, DatumRef, Oid, SqlError, SqlState};

use super::extended::refuse_other_shape;
use super::port::{Engine, PlanState, Rows};
use super::portal::{KeptBytes, Portal, Ran, RowSource, RowTag, StoredRows};
use super::session::Session;
use super::transaction::Block;
use crate::wire::backend::Severity;

impl<E: Engine> Session<E> {
    /// Runs a plan with its parameters.
    pub(super) fn run_bound(
        &mut self,
        plan: &Arc<Plan>,
        parameters: &[Datum],
    ) -> Result<Ran<E::Rows>, SqlError> {
        match &plan.kind {
            PlanKind::Empty => Ok(Ran::Empty),
            PlanKind::Deferred => {
                let Some(source) = &plan.source else { return Ok(Ran::Empty) };
                let fresh = self.plan_statement(source, Parameters::None)?;
                self.run_bound(&fresh, parameters)
            }
            PlanKind::Session(statement) => {
                self.run_session_statement(statement, plan.source.as_deref(), parameters)
            }
            PlanKind::Query(step) => {
                self.begin_statement();
                self.supply_live(plan)?;
                self.compute_constants(plan)?;
                let rows = self.engine.open(plan, step, parameters)?;
                Ok(Ran::Rows(RowSource::Live(rows), RowTag::Counted("SELECT")))
            }
            PlanKind::Write(write) => {
                // Temporary tables are the session's own.
                if !write.writes_temporary_only {
                    self.refuse_read_only(verb_name(write.verb))?;
                }
                let alone =
                    std::mem::take(&mut self.alone) && self.transaction.block == Block::Idle;
                self.begin_statement();
                self.settle_open_results()?;
                if alone && let Some(ran) = self.run_alone(plan, write, parameters)? {
                    return Ok(ran);
                }
                match self.plan_as_writer(plan)? {
                    Some(fresh) => self.run_bound(&fresh, parameters),
                    None => {
                        self.supply_live(plan)?;
                        self.run_write(plan, write, parameters)
                    }
                }
            }
            PlanKind::Schema(statement) => {
                self.refuse_read_only(&statement.command())?;
                if let Some(what) = statement.alone() {
                    self.transaction.refuse_block(what)?;
                }
                self.begin_statement();
                self.settle_open_results()?;
                if let Some(fresh) = self.plan_as_writer(plan)? {
                    return self.run_bound(&fresh, parameters);
                }
                let outcome = self.engine.change_schema(statement, parameters)?;
                for notice in &outcome.notices {
                    let warns = notice.state == SqlState::WARNING;
                    let severity = if warns { Severity::Warning } else { Severity::Notice };
                    self.tell(severity, notice);
                }
                Ok(Ran::Done(outcome.tag))
            }
        }
    }

    /// Before the transaction changes something: results under way are computed to their end, since they show what there
    /// was when they were opened.
    ///
    /// # Errors
    /// What computing them raises; 53200 if they are too large to be kept.
    fn settle_open_results(&mut self) -> Result<(), SqlError> {
        self.portals.values_mut().try_for_each(Portal::compute_rest)
    }

    /// Takes the writer, and makes the plan anew if the schema has moved since it was made.
    pub(super) fn plan_as_writer(&mut self, plan: &Plan) -> Result<Option<Arc<Plan>>, SqlError> {
        if self.engine.take_writer()? == PlanState::Current {
            return Ok(None);
        }
        let Some(source) = &plan.source else { return Ok(None) };
        let fresh = self.plan_statement(source, Parameters::Inferred(&plan.parameters))?;
        refuse_other_shape(plan.columns.as_deref(), fresh.columns.as_deref())?;
        Ok(Some(fresh))
    }

    /// Gives the engine the rows of `pg_prepared_statements` and `pg_cursors` if the plan reads them.
    pub(super) fn supply_live(&mut self, plan: &Plan) -> Result<(), SqlError> {
        for name in &plan.reads.live {
            let rows = match *name {
                "pg_prepared_statements" => {
                    self.statements.iter().map(|(name, it)| it.live_row(name)).collect()
                }
                "pg_cursors" => {
                    let cursors = self.portals.iter();
                    cursors.filter_map(|(name, it)| it.cursor.as_ref()?.live_row(name)).collect()
                }
                _ => continue,
            };
            self.engine.supply_live(name, rows)?;
        }
        Ok(())
    }

    /// Computes what of a plan is constant, once for a plan: its errors come before the columns are described.
    fn compute_constants(&mut self, plan: &Plan) -> Result<(), SqlError> {
        let Some(constants) = plan.constants.as_ref().filter(|it| it.computed.get().is_none())
        else {
            return Ok(());
        };
        self.engine.open(plan, &constants.step, &[])?.next()?;
        constants.computed.get_or_init(|| ());
        Ok(())
    }

    pub(super) fn run_write(
        &mut self,
        plan: &Plan,
        write: &WritePlan,
        parameters: &[Datum],
    ) -> Result<Ran<E::Rows>, SqlError> {
        let mut returned = Returned::new(plan);
        let parameters = &*self.with_current_row(write, parameters)?;
        let count =
            self.engine.write(plan, write, parameters, &mut |row: &dyn Rows| returned.keep(row))?;
        for notice in &write.notices {
            let notice = SqlError::new(SqlState(*b"00000"), notice);
            self.tell(Severity::Notice, &notice);
        }
        Ok(Self::written(plan, write, count, returned))
    }

    /// Runs a write that is all there is to its implicit transaction, and commits it; none if that has to be done the
    /// ordinary way.
    fn run_alone(
        &mut self,
        plan: &Plan,
        write: &WritePlan,
        parameters: &[Datum],
    ) -> Result<Option<Ran<E::Rows>>, SqlError> {
        let parameters = &*self.with_current_row(write, parameters)?;
        let durable = !self.settings().limits().asynchronous_commit;
        let mut returned = Returned::new(plan);
        let mut keep = |row: &dyn Rows| returned.keep(row);
        let count = self.engine.write_alone(plan, write, parameters, durable, &mut keep)?;
        Ok(count.map(|count| Self::written(plan, write, count, returned)))
    }

    fn written(plan: &Plan, write: &WritePlan, count: u64, returned: Returned) -> Ran<E::Rows> {
        if plan.columns.is_none() {
            return Ran::Done(write_tag(write.verb, count));
        }
        let tag = match write.verb {
            WriteVerb::Insert => RowTag::Known("INSERT 0", count),
            WriteVerb::Update => RowTag::Known("UPDATE", count),
            WriteVerb::Delete => RowTag::Known("DELETE", count),
            WriteVerb::Merge => RowTag::Known("MERGE", count),
            WriteVerb::Truncate => RowTag::Bare("TRUNCATE TABLE"),
            WriteVerb::Call => RowTag::Bare("CALL"),
            WriteVerb::Select | WriteVerb::Lock => RowTag::Counted("SELECT"),
        };
        Ran::Rows(RowSource::Stored(StoredRows::new(returned.rows)), tag)
    }

    /// 25006 in a read-only transaction.
    pub(super) fn refuse_read_only(&self, command: &str) -> Result<(), SqlError> {
        let read_only = match self.transaction.block {
            Block::Idle => self.default_mode().read_only,
            _ => self.transaction.read_only,
        };
        if !read_only {
            return Ok(());
        }
        let message = format!("cannot execute {command} in a read-only transaction");
        Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message))
    }

    /// Whether the plan may run in a failed transaction.
    pub(super) fn ends_failed_transaction(plan: &Plan) -> bool {
        matches!(
            &plan.kind,
            PlanKind::Session(
                SessionStatement::Commit { .. }
                    | SessionStatement::Rollback { .. }
                    | SessionStatement::RollbackTo(_)
            )
        )
    }

    /// The columns that running the plan returns, also where only the session knows them.
    pub(super) fn result_columns(&self, plan: &Plan) -> Option<Vec<ResultColumn>> {
        match &plan.kind {
            PlanKind::Session(SessionStatement::Fetch { cursor, move_only: false, .. }) => {
                let portal = self.portals.get(cursor)?;
                portal.columns.as_ref().map(|columns| columns.to_vec())
            }
            PlanKind::Session(SessionStatement::Execute { name, .. }) => {
                let prepared = self.statements.get(name)?;
                self.result_columns(&prepared.plan)
            }
            PlanKind::Session(SessionStatement::Show(name)) => {
                Some(self.show_columns(name.as_deref()))
            }
            PlanKind::Session(SessionStatement::Explain(explain)) => {
                let oid = if explain.json { Oid::JSON } else { Oid::TEXT };
                Some(vec![text_column("QUERY PLAN", oid)])
            }
            _ => plan.columns.clone(),
        }
    }

    fn show_columns(&self, name: Option<&str>) -> Vec<ResultColumn> {
        match name {
            // The column is headed with the setting's own spelling.
            Some(name) => {
                let known = trellis_sqlcompat::builtin::setting(name);
                vec![text_column(known.map_or(name, |row| row.name), Oid::TEXT)]
            }
            None => {
                ["name", "setting", "description"].map(|name| text_column(name, Oid::TEXT)).to_vec()
            }
        }
    }

    /// Evaluates a query that returns one row.
    pub(super) fn single_row(&mut self, plan: &Plan, width: usize) -> Result<Vec<Datum>, SqlError> {
        let PlanKind::Query(step) = &plan.kind else {
            return Err(SqlError::unsupported("this expression"));
        };
        let mut rows = self.engine.open(plan, step, &[])?;
        if !rows.next()? {
            return Ok(vec![Datum::Null; width]);
        }
        Ok((0..width).map(|at| DatumRef::to_datum(rows.column(at))).collect())
    }
}

/// The rows of `RETURNING`.
struct Returned {
    width: usize,
    rows: Vec<Vec<Datum>>,
    bytes: KeptBytes,
}

impl Returned {
    fn new(plan: &Plan) -> Self {
        let width = plan.columns.as_ref().map_or(0, Vec::len);
        Self { width, rows: Vec::new(), bytes: KeptBytes::default() }
    }

    fn keep(&mut self, row: &dyn Rows) -> Result<(), SqlError> {
        let row: Vec<Datum> = (0..self.width).map(|at| row.column(at).to_datum()).collect();
        self.bytes.add(&row)?;
        self.rows.push(row);
        Ok(())
    }
}

fn text_column(name: &str, type_oid: Oid) -> ResultColumn {
    ResultColumn {
        name: name.to_owned(),
        type_oid,
        typmod: -1,
        type_len: -1,
        table_oid: Oid(0),
        attnum: 0,
    }
}

fn verb_name(verb: WriteVerb) -> &'static str {
    match verb {
        WriteVerb::Insert => "INSERT",
        WriteVerb::Update => "UPDATE",
        WriteVerb::Delete => "DELETE",
        WriteVerb::Merge => "MERGE",
        WriteVerb::Truncate => "TRUNCATE TABLE",
        WriteVerb::Select => "SELECT",
        WriteVerb::Lock => "SELECT FOR UPDATE",
        WriteVerb::Call => "CALL",
    }
}

/// The command tag of a write that returns no rows.
pub(super) fn write_tag(verb: WriteVerb, count: u64) -> String {
    match verb {
        WriteVerb::Insert => format!("INSERT 0 {count}"),
        WriteVerb::Update => format!("UPDATE {count}"),
        WriteVerb::Delete => format!("DELETE {count}"),
        WriteVerb::Merge => format!("MERGE {count}"),
        WriteVerb::Truncate => "TRUNCATE TABLE".to_owned(),
        WriteVerb::Call => "CALL".to_owned(),
        WriteVerb::Select | WriteVerb::Lock => format!("SELECT {count}"),
    }
}
