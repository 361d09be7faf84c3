//! The extended protocol: statements prepared once and run through portals, in pipelines that end with `Sync`.
//!
//! Source: PostgreSQL manual, `protocol-flow` §55.2.3 and §55.2.4 (Pipelining).

use std::sync::Arc;

use bytes::Bytes;
use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::plan::{Plan, PlanKind, ResultColumn};
use trellis_sqlcompat::types::{decode_binary, decode_text};
use trellis_sqlcompat::{Datum, Oid, SqlError, SqlState};

use super::cursor::cannot_run;
use super::port::Engine;
use super::portal::{Formats, Portal, PortalState, Prepared, Ran};
use super::session::{Interrupted, PORTALS_MAX, Phase, STATEMENTS_MAX, Session, Wire};
use super::transaction::{Block, in_failed_transaction};
use crate::wire::frontend::Target;

impl<E: Engine> Session<E> {
    pub(super) fn handle_parse(
        &mut self,
        name: String,
        query: &str,
        parameter_types: &[u32],
    ) -> Result<(), SqlError> {
        let declared: Vec<Oid> = parameter_types.iter().map(|oid| Oid(*oid)).collect();
        let prepared = self.prepare(query, Parameters::Inferred(&declared))?;
        self.keep_statement(name, prepared)?;
        self.out.parse_complete();
        Ok(())
    }

    /// Parses and plans the one statement in `query`.
    pub(super) fn prepare(
        &mut self,
        query: &str,
        parameters: Parameters<'_>,
    ) -> Result<Prepared, SqlError> {
        let statements = self.engine.parse(query)?;
        let statement = match &*statements {
            [] => None,
            [one] => Some(Arc::clone(one)),
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "cannot insert multiple commands into a prepared statement",
                ));
            }
        };
        let plan = match &statement {
            Some(statement) => {
                self.report_shortened(statement);
                match self.plan_statement(statement, parameters) {
                    Err(_) if !self.transaction.failed && statement.is_analysed_when_run() => {
                        Arc::new(Plan::deferred(Arc::clone(statement)))
                    }
                    plan => plan?,
                }
            }
            None => Arc::new(Plan::empty()),
        };
        Ok(Prepared {
            statement,
            plan,
            epoch: self.engine.schema_epoch(),
            generation: self.environment_generation(),
            from_sql: None,
            prepared_us: self.now_us,
        })
    }

    pub(super) fn keep_statement(
        &mut self,
        name: String,
        prepared: Prepared,
    ) -> Result<(), SqlError> {
        if name.is_empty() {
            // The unnamed statement is replaced without a word.
        } else if self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        } else if self.statements.len() >= STATEMENTS_MAX {
            let message = format!("too many prepared statements (limit {STATEMENTS_MAX})");
            return Err(SqlError::new(SqlState::INSUFFICIENT_RESOURCES, message));
        }
        self.statements.insert(name, prepared);
        Ok(())
    }

    /// The prepared statement of that name, planned again if the schema or the settings have moved.
    ///
    /// # Errors
    /// 26000 if there is none; 0A000 "cached plan must not change result type" where the new plan returns other columns.
    pub(super) fn current_statement(&mut self, name: &str) -> Result<Prepared, SqlError> {
        let prepared = self.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
        let generation = self.environment_generation();
        let current = prepared.epoch == self.engine.schema_epoch();
        let (Some(statement), false) =
            (prepared.statement.clone(), current && prepared.generation == generation)
        else {
            return Ok(prepared);
        };
        let types = prepared.plan.parameters.clone();
        let plan = self.plan_statement(&statement, Parameters::Inferred(&types))?;
        refuse_other_shape(prepared.plan.columns.as_deref(), plan.columns.as_deref())?;
        let epoch = self.engine.schema_epoch();
        let fresh = Prepared { plan, epoch, generation, ..prepared };
        self.statements.insert(name.to_owned(), fresh.clone());
        Ok(fresh)
    }

    pub(super) fn handle_bind(
        &mut self,
        name: String,
        statement: &str,
        parameter_formats: &[i16],
        parameters: &[Option<Bytes>],
        formats: Formats,
    ) -> Result<(), SqlError> {
        let prepared = self.current_statement(statement)?;
        let plan = prepared.plan;
        if self.transaction.failed && !Self::ends_failed_transaction(&plan) {
            return Err(in_failed_transaction());
        }
        check_bind(statement, &plan, parameter_formats, parameters)?;
        let parameters = self.decode_parameters(&plan.parameters, parameter_formats, parameters)?;
        let columns = self.result_columns(&plan);
        check_result_formats(&formats, columns.as_deref())?;
        let columns = columns.map(Arc::from);
        let portal = Portal {
            plan,
            parameters,
            formats,
            columns,
            state: PortalState::Ready,
            cursor: None,
            depth: self.transaction.savepoints.len(),
        };
        self.keep_portal(name, portal)?;
        self.out.bind_complete();
        Ok(())
    }

    pub(super) fn keep_portal(
        &mut self,
        name: String,
        portal: Portal<E::Rows>,
    ) -> Result<(), SqlError> {
        if !name.is_empty() && self.portals.contains_key(&name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        if self.portals.len() >= PORTALS_MAX {
            let message = format!("too many portals (limit {PORTALS_MAX})");
            return Err(SqlError::new(SqlState::INSUFFICIENT_RESOURCES, message));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    fn decode_parameters(
        &mut self,
        types: &[Oid],
        formats: &[i16],
        values: &[Option<Bytes>],
    ) -> Result<Vec<Datum>, SqlError> {
        let conversion = self.conversion();
        let names = conversion.names();
        let context = conversion.types(&names);
        let formats = Formats(formats.to_vec());
        let decode = |(at, (oid, value)): (usize, (&Oid, &Option<Bytes>))| {
            let Some(bytes) = value else { return Ok(Datum::Null) };
            if formats.of(at) == 1 {
                return decode_binary(*oid, -1, bytes, &context);
            }
            let text = std::str::from_utf8(bytes).map_err(|error| invalid_utf8(bytes, error))?;
            decode_text(*oid, -1, text, &context)
        };
        types.iter().zip(values).enumerate().map(decode).collect()
    }

    pub(super) fn handle_describe(&mut self, target: &Target) -> Result<(), SqlError> {
        match target {
            Target::Statement(name) => {
                let prepared = self.current_statement(name)?;
                let types = prepared.plan.parameters.iter().map(|oid| oid.0).collect();
                let columns = self.result_columns(&prepared.plan);
                self.out.parameter_description(types);
                match columns {
                    Some(columns) => self.out.row_description(&columns, |_| 0),
                    None => self.out.no_data(),
                }
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                match &portal.columns {
                    Some(columns) => {
                        self.out.row_description(columns, |column| portal.formats.of(column));
                    }
                    None => self.out.no_data(),
                }
            }
        }
        Ok(())
    }

    pub(super) fn handle_execute(
        &mut self,
        name: &str,
        max_rows: u32,
        wire: &mut dyn Wire,
    ) -> Result<(), Interrupted> {
        if self.transaction.block != Block::Idle && !self.transaction.failed {
            self.engine.resume()?;
        }
        // Taken out while it runs, so that a statement that ends the transaction may drop the other portals.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let result = self.execute_portal(name, &mut portal, max_rows, wire);
        if result.is_err() {
            portal.state = PortalState::Failed;
        }
        if self.transaction.block != Block::Idle && !self.portals.contains_key(name) {
            self.portals.insert(name.to_owned(), portal);
        }
        result
    }

    fn execute_portal(
        &mut self,
        name: &str,
        portal: &mut Portal<E::Rows>,
        max_rows: u32,
        wire: &mut dyn Wire,
    ) -> Result<(), Interrupted> {
        let plan = Arc::clone(&portal.plan);
        if self.transaction.failed && !Self::ends_failed_transaction(&plan) {
            return Err(in_failed_transaction().into());
        }
        let (mut rows, tag) = match std::mem::replace(&mut portal.state, PortalState::Done) {
            PortalState::Open(rows, tag) => {
                self.begin_statement();
                (rows, tag)
            }
            PortalState::Done => {
                return self.execute_finished(name, portal);
            }
            PortalState::Failed => return Err(cannot_run(name).into()),
            PortalState::Ready => match self.run_ready(portal)? {
                Ran::Rows(rows, tag) => (rows, tag),
                Ran::Done(tag) => {
                    self.out.command_complete(&tag);
                    return Ok(());
                }
                Ran::Empty => {
                    self.out.empty_query_response();
                    return Ok(());
                }
                Ran::CopyIn(copy) => {
                    self.out.copy_in_response(copy.is_binary(), copy.column_count());
                    self.phase = Phase::CopyIn(copy, None);
                    return Ok(());
                }
                Ran::CopyOut(rows, plan) => {
                    let tag = self.copy_out(rows, &plan, wire)?;
                    self.out.command_complete(&tag);
                    return Ok(());
                }
            },
        };
        let columns = portal.columns.clone().unwrap_or_default();
        let encoders = Self::encoders(&columns, &portal.formats);
        let (sent, done) = self.send_rows(&mut rows, &encoders, u64::from(max_rows), wire)?;
        if done {
            self.out.command_complete(&tag.text(sent));
        } else {
            portal.state = PortalState::Open(rows, tag);
            self.out.portal_suspended();
        }
        Ok(())
    }

    /// Runs the plan of a portal for the first time.
    fn run_ready(&mut self, portal: &Portal<E::Rows>) -> Result<Ran<E::Rows>, SqlError> {
        self.alone = self.sync_follows;
        self.run_bound(&portal.plan, &portal.parameters)
    }

    /// Executes a portal again after its end: a query has no more rows, anything else must not run twice.
    fn execute_finished(
        &mut self,
        name: &str,
        portal: &Portal<E::Rows>,
    ) -> Result<(), Interrupted> {
        if matches!(portal.plan.kind, PlanKind::Query(_)) {
            self.out.command_complete("SELECT 0");
            return Ok(());
        }
        Err(cannot_run(name).into())
    }

    pub(super) fn handle_close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) => {
                self.statements.remove(name);
            }
            Target::Portal(name) => {
                self.portals.remove(name);
            }
        }
        self.out.close_complete();
    }

    pub(super) fn handle_sync(&mut self) {
        if self.transaction.block == Block::Implicit {
            // Committing may wait for the writer, which can be cancelled.
            self.begin_command();
            if let Err(error) = self.commit_transaction() {
                self.fail(&error);
            }
        }
        self.ready_for_query();
    }
}

/// 0A000 if a plan made anew returns other columns than the client was told.
pub(super) fn refuse_other_shape(
    told: Option<&[ResultColumn]>,
    fresh: Option<&[ResultColumn]>,
) -> Result<(), SqlError> {
    if same_shape(told, fresh) {
        return Ok(());
    }
    let message = "cached plan must not change result type";
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
}

fn same_shape(one: Option<&[ResultColumn]>, other: Option<&[ResultColumn]>) -> bool {
    let shape = |column: &ResultColumn| (column.name.clone(), column.type_oid, column.typmod);
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.iter().map(shape).eq(other.iter().map(shape)),
        _ => false,
    }
}

fn no_statement(name: &str) -> SqlError {
    let message = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{name}\" does not exist")
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn check_bind(
    statement: &str,
    plan: &Plan,
    formats: &[i16],
    parameters: &[Option<Bytes>],
) -> Result<(), SqlError> {
    let violation = |message| Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
    if formats.len() > 1 && formats.len() != parameters.len() {
        return violation(format!(
            "bind message has {} parameter formats but {} parameters",
            formats.len(),
            parameters.len()
        ));
    }
    if parameters.len() != plan.parameters.len() {
        return violation(format!(
            "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
            parameters.len(),
            plan.parameters.len()
        ));
    }
    check_format_codes(formats)
}

fn check_result_formats(
    formats: &Formats,
    columns: Option<&[ResultColumn]>,
) -> Result<(), SqlError> {
    let (given, wanted) = (formats.0.len(), columns.map_or(0, <[ResultColumn]>::len));
    if given > 1 && given != wanted && columns.is_some() {
        let message =
            format!("bind message has {given} result formats but query has {wanted} columns");
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
    }
    check_format_codes(&formats.0)
}

fn check_format_codes(formats: &[i16]) -> Result<(), SqlError> {
    match formats.iter().find(|code| !matches!(code, 0 | 1)) {
        Some(code) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unsupported format code: {code}"),
        )),
        None => Ok(()),
    }
}

/// 22021 for text that is not UTF-8.
pub(super) fn invalid_utf8(bytes: &[u8], error: std::str::Utf8Error) -> SqlError {
    let at = error.valid_up_to();
    let bad = bytes.get(at..bytes.len().min(at + error.error_len().unwrap_or(1))).unwrap_or(&[]);
    let shown: Vec<String> = bad.iter().map(|byte| format!("0x{byte:02x}")).collect();
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}
