//! `COPY`: bulk data in and out of the protocol's stream.
//!
//! Rows are inserted as their data arrives, through the plan of an `INSERT` with one parameter per column, within the
//! statement's transaction. After an error the rest of the client's data is taken and dropped, as PostgreSQL does.
//!
//! Source: PostgreSQL manual, `protocol-flow` §55.2.6 (COPY Operations), `sql-copy`.

use std::sync::Arc;

use trellis_sqlcompat::plan::{CopyDirection, CopyFormat, CopyStatement, Plan, PlanKind};
use trellis_sqlcompat::types::{TypeContext, decode_binary, decode_text};
use trellis_sqlcompat::{Datum, DatumRef, SqlError, SqlState};

use super::extended::invalid_utf8;
use super::port::{Engine, Rows};
use super::portal::{Formats, Ran, RowSource};
use super::session::{Disconnected, Interrupted, OUTBOX_BYTES, Phase, Session, Wire};
use super::simple::Remaining;
use crate::copy::{Decoder, Field, RowEncoder, missing_data, shown};
use crate::wire::FrontendMessage;

/// A `COPY … FROM STDIN` under way.
pub(super) struct CopyIn {
    statement: CopyStatement,
    decoder: Decoder,
    count: u64,
}

impl CopyIn {
    /// Whether the data is in the binary format.
    #[must_use]
    pub(super) fn is_binary(&self) -> bool {
        self.statement.options.format == CopyFormat::Binary
    }

    /// Number of columns.
    #[must_use]
    pub(super) fn column_count(&self) -> usize {
        self.statement.columns.len()
    }

    /// Says where in the data an error happened. PostgreSQL fills indexes when it no longer has the line's text, and checks
    /// foreign keys when all lines are in.
    fn locate(&self, error: SqlError) -> SqlError {
        if error.context.is_some() || error.state == SqlState::FOREIGN_KEY_VIOLATION {
            return error;
        }
        let mut context = format!("COPY {}, line {}", self.statement.relation, self.decoder.line());
        let shown = self.decoder.shown_line().filter(|_| error.state != SqlState::UNIQUE_VIOLATION);
        if let Some(line) = shown {
            context.push_str(&format!(": \"{line}\""));
        }
        error.with_context(context)
    }
}

impl<E: Engine> Session<E> {
    pub(super) fn run_copy(&mut self, statement: &CopyStatement) -> Result<Ran<E::Rows>, SqlError> {
        match statement.direction {
            CopyDirection::FromStdin => {
                self.refuse_read_only("COPY FROM")?;
                self.begin_statement();
                let decoder = Decoder::new(statement.options.clone(), statement.columns.clone());
                let copy = CopyIn { statement: statement.clone(), decoder, count: 0 };
                Ok(Ran::CopyIn(Box::new(copy)))
            }
            CopyDirection::ToStdout => {
                // Its rows are still to be sent when the write is done.
                self.alone = false;
                let Ran::Rows(rows, _) = self.run_bound(&Arc::new(statement.plan.clone()), &[])?
                else {
                    let message = "COPY query must have a RETURNING clause";
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                };
                let plan = Plan {
                    kind: PlanKind::Session(trellis_sqlcompat::plan::SessionStatement::Copy(
                        Box::new(statement.clone()),
                    )),
                    ..statement.plan.clone()
                };
                Ok(Ran::CopyOut(rows, Arc::new(plan)))
            }
        }
    }

    /// Handles a message while copy data is expected.
    pub(super) fn handle_copy_message(
        &mut self,
        mut copy: Box<CopyIn>,
        remaining: Option<Remaining>,
        message: FrontendMessage,
        wire: &mut dyn Wire,
    ) -> Result<(), Disconnected> {
        let result = match message {
            FrontendMessage::CopyData(data) => {
                copy.decoder.push(&data);
                match self.take_rows(&mut copy, false) {
                    Ok(()) => {
                        self.phase = Phase::CopyIn(copy, remaining);
                        return Ok(());
                    }
                    Err(error) => Err(error),
                }
            }
            FrontendMessage::CopyDone => self.take_rows(&mut copy, true),
            FrontendMessage::CopyFail(reason) => Err(SqlError::new(
                SqlState::QUERY_CANCELED,
                format!("COPY from stdin failed: {reason}"),
            )
            .with_context(format!(
                "COPY {}, line {}",
                copy.statement.relation,
                copy.decoder.line() + 1
            ))),
            // Flush and Sync are ignored while copying, so that a client may pipeline them.
            FrontendMessage::Flush | FrontendMessage::Sync => {
                self.phase = Phase::CopyIn(copy, remaining);
                return Ok(());
            }
            _ => Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                "unexpected message type during COPY from stdin",
            )),
        };
        match (result, remaining) {
            (Ok(()), Some(remaining)) => {
                self.resume_after_copy(remaining, &format!("COPY {}", copy.count), wire)
            }
            (Ok(()), None) => {
                self.out.command_complete(&format!("COPY {}", copy.count));
                Ok(())
            }
            (Err(error), remaining) => {
                self.fail_copy(&error, remaining.is_some());
                Ok(())
            }
        }
    }

    /// Ends a copy with an error; what the client still sends of it is ignored.
    pub(super) fn fail_copy(&mut self, error: &SqlError, simple: bool) {
        self.phase = if simple { Phase::Ready } else { Phase::SkipToSync };
        self.fail(error);
        if simple {
            self.ready_for_query();
        }
    }

    /// Inserts the rows that have arrived.
    fn take_rows(&mut self, copy: &mut CopyIn, finished: bool) -> Result<(), SqlError> {
        let conversion = self.conversion();
        let names = conversion.names();
        let types = conversion.types(&names);
        let PlanKind::Write(write) = &copy.statement.plan.kind else {
            return Err(SqlError::unsupported("COPY into this relation"));
        };
        let write = write.clone();
        loop {
            let row = match copy.decoder.next_row(finished) {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(()),
                Err(error) => return Err(copy.locate(error)),
            };
            let parameters = decode_row(&copy.statement, copy.decoder.line(), &row, &types)
                .map_err(|error| copy.locate(error))?;
            let copied = self
                .engine
                .write(&copy.statement.plan, &write, &parameters, &mut |_row| Ok(()))
                .map_err(|error| copy.locate(error))?;
            copy.count += copied;
        }
    }

    /// Sends all rows as copy data; the tag.
    pub(super) fn copy_out(
        &mut self,
        mut rows: RowSource<E::Rows>,
        plan: &Plan,
        wire: &mut dyn Wire,
    ) -> Result<String, Interrupted> {
        let PlanKind::Session(trellis_sqlcompat::plan::SessionStatement::Copy(statement)) =
            &plan.kind
        else {
            return Err(SqlError::unsupported("COPY of this statement").into());
        };
        let binary = statement.options.format == CopyFormat::Binary;
        let columns = plan.columns.clone().unwrap_or_default();
        let encoders = Self::encoders(&columns, &Formats(vec![i16::from(binary)]));
        let encoder = RowEncoder::new(statement.options.clone(), columns.len());
        self.out.copy_out_response(binary, columns.len());
        // The binary prologue travels with the first row: clients count on one message for each row.
        let mut line = encoder.prologue(&statement.columns).unwrap_or_default();
        if !binary && !line.is_empty() {
            self.out.copy_data(&line);
            line.clear();
        }
        let conversion = self.conversion();
        let names = conversion.names();
        let types = conversion.types(&names);
        let (mut count, mut value) = (0_u64, Vec::new());
        while rows.next()? {
            encoder.begin(&mut line);
            for (column, one) in encoders.iter().enumerate() {
                let datum = rows.column(column);
                if datum == DatumRef::Null {
                    encoder.field(column, None, &mut line);
                    continue;
                }
                value.clear();
                one.encode(datum, &types, &mut value)?;
                encoder.field(column, Some(&value), &mut line);
            }
            encoder.end(&mut line);
            self.out.copy_data(&line);
            line.clear();
            count += 1;
            if self.out.len() > OUTBOX_BYTES {
                self.flush_result(wire)?;
            }
        }
        line.extend(encoder.epilogue().into_iter().flatten());
        if !line.is_empty() {
            self.out.copy_data(&line);
        }
        self.out.copy_done();
        Ok(format!("COPY {count}"))
    }
}

fn decode_row(
    statement: &CopyStatement,
    line: u64,
    row: &[Field],
    types: &TypeContext<'_>,
) -> Result<Vec<Datum>, SqlError> {
    let binary = statement.options.format == CopyFormat::Binary;
    let decode = |(at, (field, oid)): (usize, (&Field, &trellis_sqlcompat::Oid))| {
        let Some(bytes) = field else { return Ok(Datum::Null) };
        let decoded = if binary {
            decode_binary(*oid, -1, bytes, types)
        } else {
            std::str::from_utf8(bytes)
                .map_err(|error| invalid_utf8(bytes, error))
                .and_then(|text| decode_text(*oid, -1, text, types))
        };
        decoded.map_err(|error| {
            let column = statement.columns.get(at).map_or("", String::as_str);
            let value = if binary { String::new() } else { format!(": \"{}\"", shown(bytes)) };
            error.with_context(format!(
                "COPY {}, line {line}, column {column}{value}",
                statement.relation
            ))
        })
    };
    let decoded = row.iter().zip(&statement.plan.parameters).enumerate().map(decode);
    let decoded = decoded.collect::<Result<Vec<_>, SqlError>>()?;
    match statement.columns.get(row.len()) {
        Some(missing) => Err(missing_data(missing)),
        None => Ok(decoded),
    }
}
