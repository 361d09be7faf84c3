//! The simple protocol: a string of statements, run as one transaction unless they say otherwise.
//!
//! Source: PostgreSQL manual, `protocol-flow` §55.2.2 and §55.2.2.1 (Multiple Statements in a Simple Query).

use std::sync::Arc;

use trellis_sqlcompat::SqlError;
use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::parse::{ParsedStatement, StatementAst, UtilityAst};
use trellis_sqlcompat::plan::Plan;

use super::port::Engine;
use super::portal::{Formats, Ran};
use super::session::{Disconnected, Interrupted, Phase, Session, Wire};
use super::transaction::{Block, in_failed_transaction};

/// The statements of a string that are still to be run.
#[derive(Clone, Debug)]
pub(super) struct Remaining {
    statements: Arc<[Arc<ParsedStatement>]>,
    next: usize,
}

impl Remaining {
    fn place(&self) -> Place {
        match (self.statements.len(), self.next + 1) {
            (1, _) => Place::Only,
            (all, this) if all == this => Place::Last,
            _ => Place::Inner,
        }
    }
}

/// Where in its string a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Only,
    Last,
    Inner,
}

/// Whether a statement makes something whose text can be seen afterwards: all of the string that it came in.
fn shows_its_string(statement: &Arc<ParsedStatement>) -> bool {
    let StatementAst::Utility(ast) = &statement.ast else { return false };
    matches!(**ast, UtilityAst::Prepare { .. } | UtilityAst::Declare { .. })
}

impl<E: Engine> Session<E> {
    pub(super) fn handle_query(
        &mut self,
        sql: &str,
        wire: &mut dyn Wire,
    ) -> Result<(), Disconnected> {
        // A simple query replaces the unnamed statement and portal, as in PostgreSQL.
        self.statements.remove("");
        self.portals.remove("");
        match self.engine.parse(sql) {
            Ok(statements) if statements.is_empty() => {
                self.out.empty_query_response();
                self.ready_for_query();
                Ok(())
            }
            Ok(statements) => {
                self.shown_text = statements.iter().any(shows_its_string).then(|| sql.into());
                self.run_remaining(Remaining { statements, next: 0 }, wire)
            }
            Err(error) => {
                self.fail(&error);
                self.ready_for_query();
                Ok(())
            }
        }
    }

    /// Runs what is left of a string, up to its end, an error, or a `COPY` that waits for data.
    pub(super) fn run_remaining(
        &mut self,
        mut remaining: Remaining,
        wire: &mut dyn Wire,
    ) -> Result<(), Disconnected> {
        while let Some(statement) = remaining.statements.get(remaining.next).cloned() {
            match self.run_simple(&statement, remaining.place(), wire) {
                Ok(None) => remaining.next += 1,
                Ok(Some(copy)) => {
                    self.phase = Phase::CopyIn(copy, Some(remaining));
                    return Ok(());
                }
                Err(Interrupted::Disconnected) => return Err(Disconnected),
                Err(Interrupted::Failed(error)) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        self.shown_text = None;
        self.ready_for_query();
        Ok(())
    }

    /// Goes on after a `COPY` of a simple query has ended with `tag`.
    pub(super) fn resume_after_copy(
        &mut self,
        mut remaining: Remaining,
        tag: &str,
        wire: &mut dyn Wire,
    ) -> Result<(), Disconnected> {
        if let Err(error) = self.complete(tag, remaining.place()) {
            self.fail(&error);
            self.ready_for_query();
            return Ok(());
        }
        remaining.next += 1;
        self.run_remaining(remaining, wire)
    }

    /// Runs one statement; `Some` if it waits for copy data.
    fn run_simple(
        &mut self,
        statement: &Arc<ParsedStatement>,
        place: Place,
        wire: &mut dyn Wire,
    ) -> Result<Option<Box<super::copying::CopyIn>>, Interrupted> {
        self.report_shortened(statement);
        let plan = self.plan_statement(statement, Parameters::None)?;
        self.alone = place == Place::Only;
        match self.run_bound(&plan, &[])? {
            Ran::Rows(mut rows, tag) => {
                let columns = self.result_columns(&plan).unwrap_or_default();
                let formats = self.simple_formats(&plan);
                self.out.row_description(&columns, |column| formats.of(column));
                let encoders = Self::encoders(&columns, &formats);
                let (sent, _) = self.send_rows(&mut rows, &encoders, 0, wire)?;
                drop(rows);
                self.complete(&tag.text(sent), place)?;
            }
            Ran::Done(tag) => self.complete(&tag, place)?,
            Ran::Empty => self.out.empty_query_response(),
            Ran::CopyIn(copy) => {
                self.out.copy_in_response(copy.is_binary(), copy.column_count());
                return Ok(Some(copy));
            }
            Ran::CopyOut(rows, plan) => {
                let tag = self.copy_out(rows, &plan, wire)?;
                self.complete(&tag, place)?;
            }
        }
        Ok(None)
    }

    /// Ends a statement of a string: the last one's transaction is committed before its tag is sent.
    fn complete(&mut self, tag: &str, place: Place) -> Result<(), SqlError> {
        if place != Place::Inner && self.transaction.block == Block::Implicit {
            self.commit_transaction()?;
        }
        self.out.command_complete(tag);
        Ok(())
    }

    /// Plans a statement, refusing what a failed transaction refuses.
    pub(super) fn plan_statement(
        &mut self,
        statement: &Arc<ParsedStatement>,
        parameters: Parameters<'_>,
    ) -> Result<Arc<Plan>, SqlError> {
        let environment = self.environment();
        let plan = self.engine.plan(statement, parameters, &environment);
        if !self.transaction.failed {
            return plan;
        }
        match plan {
            Ok(plan) if Self::ends_failed_transaction(&plan) => Ok(plan),
            _ => Err(in_failed_transaction()),
        }
    }

    /// Text for all columns, other than for `FETCH` from a binary cursor.
    fn simple_formats(&self, plan: &Plan) -> Formats {
        self.cursor_formats(plan).unwrap_or_default()
    }
}
