//! `DO` blocks, and what is told of statements beside their answers.

use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::conditions::{condition, state_of_code, unrecognized};
use trellis_sqlcompat::do_block::{
    BlockStep, BlockStepKind, DoBlock, Raise, RaiseLevel, RaiseOption,
};
use trellis_sqlcompat::parse::ParsedStatement;
use trellis_sqlcompat::plan::{PlanKind, SessionStatement};
use trellis_sqlcompat::{Datum, SqlError, SqlState};

use super::port::{Engine, Rows};
use super::portal::Ran;
use super::session::Session;
use super::transaction::Block;
use crate::wire::backend::Severity;

/// What is said of a query whose rows nobody takes.
const NO_DESTINATION: &str = "query has no destination for result data";

/// The state of a message that names none.
fn default_state(level: RaiseLevel) -> SqlState {
    match level {
        RaiseLevel::Exception => SqlState(*b"P0001"),
        RaiseLevel::Warning => SqlState::WARNING,
        _ => SqlState(*b"00000"),
    }
}

/// An error and the place in the block where it happened; its position, if any, is one in a text of the block.
fn within(error: SqlError, place: &str) -> SqlError {
    SqlError { position: None, ..error }.with_context(place)
}

impl<E: Engine> Session<E> {
    /// Runs a `DO` block.
    pub(super) fn run_do(&mut self, block: &DoBlock) -> Result<Ran<E::Rows>, SqlError> {
        // What the block does is committed as a whole.
        self.alone = false;
        if let Err(error) = self.run_steps(&block.steps) {
            let Some(handler) = block.handlers.iter().find(|it| it.takes(error.state)) else {
                return Err(error);
            };
            self.run_steps(&handler.steps)?;
        }
        Ok(Ran::Done("DO".to_owned()))
    }

    fn run_steps(&mut self, steps: &[BlockStep]) -> Result<(), SqlError> {
        for BlockStep { line, kind } in steps {
            let place = |what| format!("PL/pgSQL function inline_code_block line {line} at {what}");
            match kind {
                BlockStepKind::Sql(sql) => self.run_step(sql, false, &place("SQL statement"))?,
                BlockStepKind::Perform(query) => self.run_step(query, true, &place("PERFORM"))?,
                BlockStepKind::Execute(expression) => {
                    let place = place("EXECUTE");
                    let value = self.evaluate(std::slice::from_ref(expression));
                    let Some(sql) = value.map_err(|it| within(it, &place))?.pop().flatten() else {
                        let message = "query string argument of EXECUTE is null";
                        let error = SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message);
                        return Err(within(error, &place));
                    };
                    self.run_step(&sql, true, &place)?;
                }
                BlockStepKind::Raise(raise) => {
                    let place = place("RAISE");
                    self.raise(raise, &place).map_err(|it| within(it, &place))?;
                }
            }
        }
        Ok(())
    }

    /// Runs one statement of SQL, to the end of its rows if it may have some.
    fn run_step(&mut self, sql: &str, rows_allowed: bool, place: &str) -> Result<(), SqlError> {
        let ran = self.run_nested(sql, rows_allowed);
        ran.map_err(|error| match error.state {
            SqlState::SYNTAX_ERROR if error.message.starts_with(NO_DESTINATION) => {
                within(error, place)
            }
            _ => within(error, &format!("SQL statement \"{sql}\"\n{place}")),
        })
    }

    fn run_nested(&mut self, sql: &str, rows_allowed: bool) -> Result<(), SqlError> {
        for statement in &*self.engine.parse(sql)? {
            let plan = self.plan_statement(statement, Parameters::None)?;
            if matches!(
                plan.kind,
                PlanKind::Session(
                    SessionStatement::Begin { .. }
                        | SessionStatement::Commit { .. }
                        | SessionStatement::Rollback { .. }
                        | SessionStatement::Savepoint(_)
                        | SessionStatement::RollbackTo(_)
                        | SessionStatement::Release(_)
                )
            ) {
                return Err(SqlError::unsupported("a transaction command in a DO block"));
            }
            if plan.columns.is_some() && !rows_allowed {
                let hint = "If you want to discard the results of a SELECT, use PERFORM instead.";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, NO_DESTINATION).with_hint(hint));
            }
            match self.run_bound(&plan, &[])? {
                Ran::Rows(mut rows, _) => while rows.next()? {},
                Ran::CopyIn(_) | Ran::CopyOut(..) => {
                    return Err(SqlError::unsupported("COPY in a DO block"));
                }
                Ran::Done(_) | Ran::Empty => {}
            }
        }
        Ok(())
    }

    /// The values of expressions, as text.
    fn evaluate(&mut self, expressions: &[String]) -> Result<Vec<Option<String>>, SqlError> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let cast = |it: &String| format!("CAST(({it}) AS text)");
        let list: Vec<String> = expressions.iter().map(cast).collect();
        let prepared = self.prepare(&format!("SELECT {}", list.join(", ")), Parameters::None)?;
        self.begin_statement();
        let values = self.single_row(&prepared.plan, expressions.len())?;
        let text = |value| if let Datum::Text(text) = value { Some(text) } else { None };
        Ok(values.into_iter().map(text).collect())
    }

    /// Sends a message, or fails with it.
    fn raise(&mut self, raise: &Raise, place: &str) -> Result<(), SqlError> {
        let arguments = self.evaluate(&raise.arguments)?;
        let mut message = raise.message(&arguments);
        if message.is_none() && raise.condition.is_none() && raise.options.is_empty() {
            let message = "RAISE without parameters cannot be used outside an exception handler";
            return Err(SqlError::new(SqlState(*b"0Z002"), message));
        }
        let state = raise.condition.as_ref().map(|(_, state)| *state);
        let mut error = SqlError::new(state.unwrap_or(default_state(raise.level)), "");
        let expressions: Vec<String> = raise.options.iter().map(|(_, it)| it.clone()).collect();
        let values = self.evaluate(&expressions)?;
        for ((option, _), value) in raise.options.iter().zip(values) {
            let Some(value) = value else {
                let message = "RAISE statement option cannot be null";
                return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
            };
            let slot = match option {
                RaiseOption::ErrorCode => {
                    let state = condition(&value).or_else(|| state_of_code(&value));
                    error.state = state.ok_or_else(|| unrecognized(&value))?;
                    continue;
                }
                RaiseOption::Message => &mut message,
                RaiseOption::Detail => &mut error.detail,
                RaiseOption::Hint => &mut error.hint,
                RaiseOption::Column => &mut error.object.column,
                RaiseOption::Constraint => &mut error.object.constraint,
                RaiseOption::DataType => &mut error.object.data_type,
                RaiseOption::Table => &mut error.object.table,
                RaiseOption::Schema => &mut error.object.schema,
            };
            if slot.is_some() {
                let message = format!("RAISE option already specified: {}", option.name());
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            *slot = Some(value);
        }
        error.message = match (message, &raise.condition) {
            (Some(message), _) => message,
            (None, Some((name, _))) => name.clone(),
            (None, None) => error.state.to_string(),
        };
        let severity = match raise.level {
            RaiseLevel::Exception => return Err(error),
            RaiseLevel::Warning => Severity::Warning,
            RaiseLevel::Notice => Severity::Notice,
            RaiseLevel::Info => Severity::Info,
            RaiseLevel::Log => Severity::Log,
            RaiseLevel::Debug => Severity::Debug,
        };
        self.tell(severity, &within(error, place));
        Ok(())
    }

    /// Notices for the names of a statement that were too long.
    pub(super) fn report_shortened(&mut self, statement: &ParsedStatement) {
        for (long, short) in &statement.shortened {
            let message = format!("identifier \"{long}\" will be truncated to \"{short}\"");
            let notice = SqlError::new(SqlState(*b"42622"), message);
            self.tell(Severity::Notice, &notice);
        }
    }

    /// 25P01 as a warning.
    pub(super) fn warn_outside_block(&mut self, command: &str) {
        if !matches!(self.transaction.block, Block::Idle | Block::Implicit) {
            return;
        }
        let message = format!("{command} can only be used in transaction blocks");
        let warning = SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
        self.tell(Severity::Warning, &warning);
    }
}
