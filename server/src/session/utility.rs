//! Statements about the session itself: settings, `LISTEN` and `NOTIFY`, prepared statements, `EXPLAIN`, maintenance.
//!
//! Source: the PostgreSQL manual's pages of the statements.

use std::sync::Arc;

use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::bind::resolve::Types;
use trellis_sqlcompat::parse::ParsedStatement;
use trellis_sqlcompat::plan::{
    DiscardTarget, ExplainStatement, MaintenanceStatement, PlanKind, SessionStatement,
};
use trellis_sqlcompat::{Datum, SqlError, SqlState};

use super::explain::{explain_json, explain_text};
use super::port::Engine;
use super::portal::{Prepared, Ran, RowSource, RowTag, StoredRows};
use super::session::Session;
use super::settings::Scope;
use super::transaction::{Block, ListenAction};
use crate::clock;

/// Longest channel name, bytes.
const CHANNEL_BYTES_MAX: usize = 63;
/// Longest payload, bytes: PostgreSQL wants it shorter than 8000.
const PAYLOAD_BYTES_MAX: usize = 7_999;

type Done<E> = Result<Ran<<E as Engine>::Rows>, SqlError>;

impl<E: Engine> Session<E> {
    /// Runs a session statement; `source` is it as parsed where that is shown, `parameters` are those of the statement that it carries.
    pub(super) fn run_session_statement(
        &mut self,
        statement: &SessionStatement,
        source: Option<&ParsedStatement>,
        parameters: &[Datum],
    ) -> Done<E> {
        match statement {
            SessionStatement::Begin { modes, tag } => self.run_begin(*modes, tag),
            SessionStatement::Commit { chain } => self.run_commit(*chain),
            SessionStatement::Rollback { chain } => self.run_rollback(*chain),
            SessionStatement::Savepoint(name) => self.run_savepoint(name),
            SessionStatement::Release(name) => self.run_release(name),
            SessionStatement::RollbackTo(name) => self.run_rollback_to(name),
            SessionStatement::SetTransaction(modes) => self.run_set_transaction(*modes),
            SessionStatement::SetSessionCharacteristics(modes) => {
                self.run_set_characteristics(*modes)
            }
            SessionStatement::Set { name, value, local } => {
                self.run_set(name, value.as_deref(), *local)
            }
            SessionStatement::Show(name) => self.run_show(name.as_deref()),
            SessionStatement::Reset(name) => self.run_reset(name.as_deref()),
            SessionStatement::Discard(target) => self.run_discard(*target),
            SessionStatement::Listen(channel) => {
                check_channel(channel)?;
                self.listen_action(ListenAction::Listen(channel.clone()), "LISTEN")
            }
            SessionStatement::Unlisten(Some(channel)) => {
                self.listen_action(ListenAction::Unlisten(channel.clone()), "UNLISTEN")
            }
            SessionStatement::Unlisten(None) => {
                self.listen_action(ListenAction::UnlistenAll, "UNLISTEN")
            }
            SessionStatement::Notify { channel, payload } => self.run_notify(channel, payload),
            SessionStatement::Prepare { name, parameter_types, statement } => {
                let parameters = Parameters::Inferred(parameter_types);
                let prepared = Prepared {
                    from_sql: Some(self.text_shown(source)),
                    ..self.prepare(statement, parameters)?
                };
                if name.is_empty() {
                    let message = "invalid statement name: must not be empty";
                    return Err(SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message));
                }
                self.keep_statement(name.clone(), prepared)?;
                done("PREPARE")
            }
            SessionStatement::Execute { name, arguments } => self.run_execute(name, arguments),
            SessionStatement::Deallocate(name) => self.run_deallocate(name.as_deref()),
            SessionStatement::DeclareCursor(declare) => {
                self.run_declare(declare, self.text_shown(source), parameters)
            }
            SessionStatement::Fetch { cursor, direction, move_only } => {
                self.run_fetch(cursor, *direction, *move_only)
            }
            SessionStatement::CloseCursor(name) => self.run_close_cursor(name.as_deref()),
            SessionStatement::Copy(copy) => self.run_copy(copy),
            SessionStatement::Explain(explain) => self.run_explain(explain, parameters),
            SessionStatement::LockTable { exclusive, nowait } => {
                self.transaction.require_block("LOCK TABLE")?;
                self.begin_statement();
                if *exclusive {
                    self.engine.lock(*nowait)?;
                }
                done("LOCK TABLE")
            }
            SessionStatement::DeferConstraints => self.run_defer(),
            SessionStatement::CheckConstraints(tables) => {
                self.warn_outside_block("SET CONSTRAINTS");
                self.begin_statement();
                self.engine.check_deferred(tables)?;
                done("SET CONSTRAINTS")
            }
            SessionStatement::Do(block) => self.run_do(block),
            SessionStatement::Maintenance(statement) => self.run_maintenance(statement),
        }
    }

    /// What `DEFERRED` names is deferred from the beginning.
    fn run_defer(&mut self) -> Done<E> {
        self.warn_outside_block("SET CONSTRAINTS");
        done("SET CONSTRAINTS")
    }

    /// The text that is shown of what a statement makes: all of the string that it came in, where that is known.
    fn text_shown(&self, source: Option<&ParsedStatement>) -> Arc<str> {
        let own = || source.map_or("", |source| source.text.as_str()).into();
        self.shown_text.clone().unwrap_or_else(own)
    }

    /// All but a checkpoint is work inside a transaction; only VACUUM refuses one that the client has opened.
    fn run_maintenance(&mut self, statement: &MaintenanceStatement) -> Done<E> {
        let MaintenanceStatement { tag, steps, alone, warnings } = statement;
        alone.map_or(Ok(()), |what| self.transaction.refuse_block(what))?;
        warnings.iter().for_each(|it| self.warn(SqlState::WARNING, it));
        match *tag {
            "CHECKPOINT" => self.engine.checkpoint(),
            _ if steps.is_empty() => {}
            _ => {
                self.begin_statement();
                self.engine.maintain(steps)?;
            }
        }
        done(tag)
    }

    fn run_set(&mut self, name: &str, value: Option<&[String]>, local: bool) -> Done<E> {
        if local && self.transaction.block == Block::Idle {
            let message = "SET LOCAL can only be used in transaction blocks";
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
        }
        self.begin_statement();
        let scope = if local { Scope::Transaction } else { Scope::Session };
        let catalog = self.engine.catalog();
        let mut settings = self.settings();
        settings.know_roles(catalog);
        settings.set(name, value, scope)?;
        drop(settings);
        done("SET")
    }

    fn run_show(&mut self, name: Option<&str>) -> Done<E> {
        let text = |value: String| Datum::Text(value);
        let rows = match name {
            Some(name) => vec![vec![text(self.settings().show(name)?)]],
            None => {
                let settings = self.settings();
                let row = |(row, _): (&'static trellis_sqlcompat::builtin::SettingRow, String)| {
                    let value = settings.show(row.name).unwrap_or_default();
                    vec![text(row.name.to_owned()), text(value), text(String::new())]
                };
                settings.all().into_iter().map(row).collect()
            }
        };
        self.begin_statement();
        Ok(stored(rows, RowTag::Bare("SHOW")))
    }

    fn run_reset(&mut self, name: Option<&str>) -> Done<E> {
        self.begin_statement();
        match name {
            Some(name) => self.settings().set(name, None, Scope::Session)?,
            None => self.settings().reset_all(),
        }
        done("RESET")
    }

    fn run_discard(&mut self, target: DiscardTarget) -> Done<E> {
        match target {
            DiscardTarget::All => {
                self.transaction.refuse_block("DISCARD ALL")?;
                self.portals.clear();
                self.statements.clear();
                self.settings().reset_all();
                self.begin_statement();
                self.engine.discard_temporary()?;
                self.engine.discard_sequences();
                self.transaction.listen_actions.push(ListenAction::UnlistenAll);
                done("DISCARD ALL")
            }
            DiscardTarget::Temporary => {
                self.begin_statement();
                self.engine.discard_temporary()?;
                done("DISCARD TEMP")
            }
            // Plans are kept only while they hold.
            DiscardTarget::Plans => done("DISCARD PLANS"),
            DiscardTarget::Sequences => {
                self.engine.discard_sequences();
                done("DISCARD SEQUENCES")
            }
        }
    }

    fn listen_action(&mut self, action: ListenAction, tag: &str) -> Done<E> {
        self.begin_statement();
        self.transaction.listen_actions.push(action);
        done(tag)
    }

    fn run_notify(&mut self, channel: &str, payload: &str) -> Done<E> {
        check_channel(channel)?;
        check_payload(payload)?;
        self.begin_statement();
        self.engine.notify(channel, payload)?;
        done("NOTIFY")
    }

    fn run_execute(&mut self, name: &str, arguments: &[String]) -> Done<E> {
        let prepared = self.current_statement(name)?;
        let wanted = prepared.plan.parameters.len();
        // What a statement without parameters is given is not even looked at.
        let arguments = if wanted == 0 { &[] } else { arguments };
        if arguments.len() != wanted {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {wanted} parameters but got {}.", arguments.len());
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).with_detail(detail));
        }
        self.begin_statement();
        let parameters = if arguments.is_empty() {
            Vec::new()
        } else {
            self.evaluate_arguments(arguments, &prepared.plan.parameters)?
        };
        self.run_bound(&prepared.plan, &parameters)
    }

    /// Evaluates the arguments of `EXECUTE`, each converted to its parameter's type.
    fn evaluate_arguments(
        &mut self,
        arguments: &[String],
        types: &[trellis_sqlcompat::Oid],
    ) -> Result<Vec<Datum>, SqlError> {
        let catalog = self.engine.catalog();
        let cast = |(argument, oid): (&String, &trellis_sqlcompat::Oid)| {
            format!("CAST({argument} AS {})", Types::new(&catalog, &[]).format(*oid))
        };
        let casts: Vec<String> = arguments.iter().zip(types).map(cast).collect();
        let prepared = self.prepare(&format!("SELECT {}", casts.join(", ")), Parameters::None)?;
        self.single_row(&prepared.plan, arguments.len())
    }

    fn run_deallocate(&mut self, name: Option<&str>) -> Done<E> {
        let Some(name) = name else {
            self.statements.clear();
            return done("DEALLOCATE ALL");
        };
        if self.statements.remove(name).is_none() {
            let message = format!("prepared statement \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message));
        }
        done("DEALLOCATE")
    }

    fn run_explain(&mut self, explain: &ExplainStatement, parameters: &[Datum]) -> Done<E> {
        let plan = match &explain.plan.kind {
            PlanKind::Session(SessionStatement::Execute { name, .. }) => {
                self.current_statement(name)?.plan.as_ref().clone()
            }
            _ => explain.plan.clone(),
        };
        self.begin_statement();
        let started = clock::now();
        let lines = self.engine.explain(&plan)?;
        let planning = clock::now().saturating_duration_since(started);
        let actual =
            if explain.analyze { Some(self.analyze(&plan, parameters, planning)?) } else { None };
        let rows = if explain.json {
            vec![vec![Datum::Text(explain_json(&lines, actual.as_ref(), explain.times))]]
        } else {
            let lines = explain_text(lines, actual.as_ref(), explain.times);
            lines.into_iter().map(|line| vec![Datum::Text(line)]).collect()
        };
        Ok(stored(rows, RowTag::Bare("EXPLAIN")))
    }
}

fn done<R>(tag: &str) -> Result<Ran<R>, SqlError> {
    Ok(Ran::Done(tag.to_owned()))
}

fn stored<R>(rows: Vec<Vec<Datum>>, tag: RowTag) -> Ran<R> {
    Ran::Rows(RowSource::Stored(StoredRows::new(rows)), tag)
}

/// Refuses a channel name that PostgreSQL refuses.
///
/// # Errors
/// 22023.
pub fn check_channel(channel: &str) -> Result<(), SqlError> {
    let message = if channel.is_empty() {
        "channel name cannot be empty"
    } else if channel.len() > CHANNEL_BYTES_MAX {
        "channel name too long"
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

/// Refuses a payload that PostgreSQL refuses.
///
/// # Errors
/// 22023.
pub fn check_payload(payload: &str) -> Result<(), SqlError> {
    if payload.len() <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "payload string too long"))
}
