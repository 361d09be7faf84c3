//! The session itself: dispatch, errors, and what goes around every statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use trellis_sqlcompat::catalog::Names;
use trellis_sqlcompat::plan::{IsolationLevel, ResultColumn};
use trellis_sqlcompat::schema::Catalog;
use trellis_sqlcompat::types::TypeContext;
use trellis_sqlcompat::{SqlError, SqlState};

use super::copying::CopyIn;
use super::identity::Identity;
use super::port::{Engine, Environment, Rows, TransactionMode};
use super::portal::{ColumnEncoder, Formats, Portal, Prepared};
use super::settings::Settings;
use super::simple::Remaining;
use super::transaction::{Block, Transaction};
use crate::wire::FrontendMessage;
use crate::wire::backend::{Outbox, Severity};

/// Bytes in the outbox above which it is flushed while a result is being produced.
pub const OUTBOX_BYTES: usize = 32 << 10;
/// Prepared statements that a session may have.
pub const STATEMENTS_MAX: usize = 10_000;
/// Portals and cursors that a session may have.
pub const PORTALS_MAX: usize = 1_000;

/// The client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected;

/// Takes bytes to the client.
pub trait Wire {
    /// Sends `bytes`, and waits for the client for at most `patience`. What was sent is taken off.
    ///
    /// # Errors
    /// [`Disconnected`] when there is nobody to send to.
    fn send(&mut self, bytes: &mut BytesMut, patience: Duration) -> Result<Sent, Disconnected>;
}

/// How far sending came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// To the end.
    All,
    /// The client does not read, or not fast enough.
    Stalled,
}

/// How long sending goes on before the engine hears that the client does not read.
const SEND_PATIENCE: Duration = Duration::from_millis(20);

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It has ended.
    End,
}

/// What kind of message is expected.
pub(super) enum Phase {
    /// Any.
    Ready,
    /// An error happened in a pipeline: nothing counts until `Sync`.
    SkipToSync,
    /// Copy data. `Some` is what is left of a simple query; `None` in the extended protocol.
    CopyIn(Box<CopyIn>, Option<Remaining>),
}

/// A session. See the module's documentation.
pub struct Session<E: Engine> {
    pub(super) engine: E,
    pub(super) identity: Identity,
    settings: Arc<Mutex<Settings>>,
    environment: Arc<Environment>,
    environment_generation: u64,
    pub(super) out: Outbox,
    pub(super) transaction: Transaction,
    pub(super) statements: BTreeMap<String, Prepared>,
    pub(super) portals: BTreeMap<String, Portal<E::Rows>>,
    pub(super) phase: Phase,
    pub(super) channels: BTreeSet<String>,
    pub(super) now_us: i64,
    pub(super) transaction_us: i64,
    scratch: Vec<u8>,
    /// The client has sent a `Sync` right after the message that is handled.
    pub(super) sync_follows: bool,
    /// The plan that is run next is all there is to its implicit transaction.
    pub(super) alone: bool,
    /// The string that is run, if one of its statements makes something that shows it.
    pub(super) shown_text: Option<Arc<str>>,
    /// What the settings say of the transaction.
    pub(super) published_mode: Option<TransactionMode>,
}

impl<E: Engine> Session<E> {
    /// A session over `engine`. `settings` is shared with the functions that read and set them.
    pub fn new(engine: E, identity: Identity, settings: Arc<Mutex<Settings>>) -> Self {
        let environment = Arc::new(environment(&lock(&settings), &identity));
        let environment_generation = lock(&settings).generation();
        Self {
            engine,
            identity,
            settings,
            environment,
            environment_generation,
            out: Outbox::default(),
            transaction: Transaction::default(),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            phase: Phase::Ready,
            channels: BTreeSet::new(),
            now_us: 0,
            transaction_us: 0,
            scratch: Vec::new(),
            sync_follows: false,
            alone: false,
            shown_text: None,
            published_mode: None,
        }
    }

    /// Greets an authenticated client.
    pub fn greet(&mut self, secret: &[u8]) {
        self.out.authentication_ok();
        let reported = self.settings().reported();
        for (name, value) in reported {
            self.out.parameter_status(name, &value);
        }
        self.out.backend_key_data(self.identity.pid, secret);
        self.ready_for_query();
    }

    /// Says whether the client has already sent a `Sync` after the message that is handled next: an `Execute` then ends
    /// its pipeline. Not to know does no harm.
    pub fn set_sync_follows(&mut self, follows: bool) {
        self.sync_follows = follows;
    }

    /// What is to be sent.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.out
    }

    /// The engine, for what the shell does besides messages.
    pub fn engine(&mut self) -> &mut E {
        &mut self.engine
    }

    /// Whether notifications may be sent now: no transaction block is open, and no message is being answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.transaction.block == Block::Idle && matches!(self.phase, Phase::Ready)
    }

    /// Whether a transaction block is open between messages.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.transaction.block != Block::Idle
    }

    /// Puts the notifications that have come into the outbox, unless a transaction block or an answer is under way.
    pub fn deliver_notifications(&mut self) {
        if !self.is_idle() {
            return;
        }
        let (notifications, lost_to) = self.engine.poll_notifications();
        for it in notifications {
            self.out.notification(it.pid, &it.channel, &it.payload);
        }
        if let Some(position) = lost_to {
            let payload = format!("{{\"op\":\"lag\",\"position\":{position}}}");
            for channel in &self.channels {
                self.out.notification(0, channel, &payload);
            }
        }
    }

    /// Handles one message at time `now_us` (microseconds since 2000-01-01).
    ///
    /// # Errors
    /// [`Disconnected`] if the client went away while its answer was being sent.
    pub fn handle(
        &mut self,
        now_us: i64,
        message: FrontendMessage,
        wire: &mut dyn Wire,
    ) -> Result<Flow, Disconnected> {
        self.now_us = now_us;
        if matches!(message, FrontendMessage::Terminate) {
            return Ok(Flow::End);
        }
        let handled = self.handle_in_phase(message, wire);
        // A copy goes on, and can be cancelled, while its data is awaited.
        if !matches!(self.phase, Phase::CopyIn(..)) {
            self.engine.end_statement();
        }
        handled.map(|()| Flow::Continue)
    }

    fn handle_in_phase(
        &mut self,
        message: FrontendMessage,
        wire: &mut dyn Wire,
    ) -> Result<(), Disconnected> {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Ready => self.handle_ready(message, wire),
            Phase::SkipToSync => match message {
                FrontendMessage::Sync => {
                    self.handle_sync();
                    Ok(())
                }
                _ => {
                    self.phase = Phase::SkipToSync;
                    Ok(())
                }
            },
            Phase::CopyIn(copy, remaining) => {
                self.handle_copy_message(copy, remaining, message, wire)
            }
        }
    }

    /// Sends what is in the outbox. What a client that does not read costs the transaction, its next statement tells.
    ///
    /// # Errors
    /// [`Disconnected`] if the client is gone.
    pub fn flush(&mut self, wire: &mut dyn Wire) -> Result<(), Disconnected> {
        while wire.send(self.out.bytes(), SEND_PATIENCE)? == Sent::Stalled {
            self.wait_for_client(SEND_PATIENCE);
        }
        Ok(())
    }

    /// The session has waited `time` more for its client, between messages.
    pub fn wait_for_client(&mut self, time: Duration) {
        let Err(error) = self.engine.wait_for_client(time) else { return };
        // A half-read result would keep the snapshot that the transaction has lost.
        self.portals.retain(|_, portal| portal.is_held());
        if let Phase::CopyIn(_, remaining) = &self.phase {
            let simple = remaining.is_some();
            self.fail_copy(&error, simple);
            self.engine.end_statement();
        }
    }

    /// Sends what is in the outbox while a statement runs.
    ///
    /// # Errors
    /// Also if the statement is to stop, or has lost its transaction, because the client does not read.
    pub(super) fn flush_result(&mut self, wire: &mut dyn Wire) -> Result<(), Interrupted> {
        while wire.send(self.out.bytes(), SEND_PATIENCE)? == Sent::Stalled {
            self.engine.wait_for_client(SEND_PATIENCE)?;
        }
        Ok(())
    }

    fn handle_ready(
        &mut self,
        message: FrontendMessage,
        wire: &mut dyn Wire,
    ) -> Result<(), Disconnected> {
        let result = match message {
            FrontendMessage::Query(sql) => return self.handle_query(&sql, wire),
            FrontendMessage::Sync => {
                self.handle_sync();
                return Ok(());
            }
            FrontendMessage::FunctionCall => {
                // The fast path is a query of its own: it is answered by ReadyForQuery at once.
                self.fail(&SqlError::unsupported("the function call protocol"));
                self.ready_for_query();
                return Ok(());
            }
            FrontendMessage::Parse { name, query, parameter_types } => {
                self.handle_parse(name, &query, &parameter_types)
            }
            FrontendMessage::Bind {
                portal,
                statement,
                parameter_formats,
                parameters,
                result_formats,
            } => self.handle_bind(
                portal,
                &statement,
                &parameter_formats,
                &parameters,
                Formats(result_formats),
            ),
            FrontendMessage::Describe(target) => self.handle_describe(&target),
            FrontendMessage::Execute { portal, max_rows } => {
                match self.handle_execute(&portal, max_rows, wire) {
                    Ok(()) => Ok(()),
                    Err(Interrupted::Failed(error)) => Err(error),
                    Err(Interrupted::Disconnected) => return Err(Disconnected),
                }
            }
            FrontendMessage::Close(target) => {
                self.handle_close(&target);
                Ok(())
            }
            // Leftovers of a copy that has already failed are ignored, as PostgreSQL does.
            FrontendMessage::Flush
            | FrontendMessage::CopyData(_)
            | FrontendMessage::CopyDone
            | FrontendMessage::CopyFail(_)
            | FrontendMessage::Password(_)
            | FrontendMessage::Terminate => Ok(()),
        };
        if let Err(error) = result {
            self.fail(&error);
            self.phase = Phase::SkipToSync;
        }
        Ok(())
    }

    /// Reports an error and puts the transaction into the state that follows from it.
    pub(super) fn fail(&mut self, error: &SqlError) {
        self.out.report(Severity::Error, error);
        match self.transaction.block {
            Block::Explicit => self.transaction.failed = true,
            Block::Implicit | Block::Idle => self.end_transaction_rolled_back(),
        }
    }

    pub(super) fn warn(&mut self, state: SqlState, message: &str) {
        self.tell(Severity::Warning, &SqlError::new(state, message));
    }

    /// Sends a message beside the answer, if the client wants such.
    pub(super) fn tell(&mut self, severity: Severity, message: &SqlError) {
        let least = self.settings().raw("client_min_messages").unwrap_or_default();
        if severity.is_sent(&least) {
            self.out.report(severity, message);
        }
    }

    /// Tells the client of changed settings, then that it may go on.
    pub(super) fn ready_for_query(&mut self) {
        let changed = self.settings().take_changed();
        for (name, value) in changed {
            self.out.parameter_status(name, &value);
        }
        self.deliver_notifications();
        self.out.ready_for_query(self.transaction.status());
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    /// What statements depend on, as of the present settings.
    pub(super) fn environment(&mut self) -> Arc<Environment> {
        let generation = self.settings().generation();
        if generation != self.environment_generation {
            let environment = environment(&self.settings(), &self.identity);
            self.environment = Arc::new(environment);
            self.environment_generation = generation;
        }
        Arc::clone(&self.environment)
    }

    pub(super) fn environment_generation(&mut self) -> u64 {
        self.environment();
        self.environment_generation
    }

    /// Opens an implicit transaction if none is open, and tells the engine that a statement begins.
    pub(super) fn begin_statement(&mut self) {
        if self.transaction.block == Block::Idle {
            self.open_transaction(Block::Implicit, self.default_mode());
        }
        self.begin_command();
        self.transaction.fresh = false;
    }

    /// Tells the engine that a statement begins that neither reads nor writes: transaction control.
    pub(super) fn begin_command(&mut self) {
        let now_us = self.now_us;
        let environment = self.environment();
        self.engine.begin_statement(&environment, now_us);
    }

    pub(super) fn open_transaction(&mut self, block: Block, mode: TransactionMode) {
        let layers = self.settings().layers();
        self.transaction = Transaction {
            block,
            read_only: mode.read_only,
            layers,
            epoch: self.engine.schema_epoch(),
            ..Transaction::default()
        };
        self.transaction_us = self.now_us;
        let environment = self.environment();
        self.engine.begin(mode, &environment, self.now_us);
        self.publish_transaction_settings(mode);
    }

    /// The modes of a transaction that does not state its own.
    pub(super) fn default_mode(&self) -> TransactionMode {
        let limits = self.settings().limits();
        TransactionMode {
            isolation: limits.default_isolation.unwrap_or(IsolationLevel::ReadCommitted),
            read_only: limits.default_read_only,
            deferrable: limits.default_deferrable,
        }
    }

    /// Makes `SHOW transaction_isolation` and `SHOW transaction_read_only` tell the truth.
    pub(super) fn publish_transaction_settings(&mut self, mode: TransactionMode) {
        if self.published_mode == Some(mode) {
            return;
        }
        self.published_mode = Some(mode);
        let mut settings = self.settings();
        settings.set_transaction("transaction_isolation", isolation_name(mode.isolation));
        let on_off = |on: bool| if on { "on" } else { "off" };
        settings.set_transaction("transaction_read_only", on_off(mode.read_only));
        settings.set_transaction("transaction_deferrable", on_off(mode.deferrable));
    }

    /// Encoders for result columns, one each.
    pub(super) fn encoders(columns: &[ResultColumn], formats: &Formats) -> Vec<ColumnEncoder> {
        let one = |(at, column): (usize, &ResultColumn)| {
            ColumnEncoder::new(column.type_oid, formats.of(at) == 1)
        };
        columns.iter().enumerate().map(one).collect()
    }

    /// What values are converted by, between the wire and the engine.
    pub(super) fn conversion(&mut self) -> Conversion {
        let idle = self.transaction.block == Block::Idle;
        Conversion {
            environment: self.environment(),
            catalog: self.engine.catalog(),
            now_us: if idle { self.now_us } else { self.transaction_us },
        }
    }

    /// Writes the current row as a `DataRow`.
    pub(super) fn put_row(
        out: &mut Outbox,
        scratch: &mut Vec<u8>,
        rows: &dyn Rows,
        encoders: &[ColumnEncoder],
        types: &TypeContext<'_>,
    ) -> Result<(), SqlError> {
        let before = out.len();
        let mut writer = out.begin_row(encoders.len());
        for (index, encoder) in encoders.iter().enumerate() {
            let value = rows.column(index);
            if value == trellis_sqlcompat::DatumRef::Null {
                writer.null();
                continue;
            }
            scratch.clear();
            if let Err(error) = encoder.encode(value, types, scratch) {
                out.truncate(before);
                return Err(error);
            }
            writer.value(scratch);
        }
        writer.finish();
        Ok(())
    }

    /// Sends rows until `max_rows` (0: all) or the end; says how many, and whether the end was reached.
    pub(super) fn send_rows(
        &mut self,
        rows: &mut dyn Rows,
        encoders: &[ColumnEncoder],
        max_rows: u64,
        wire: &mut dyn Wire,
    ) -> Result<(u64, bool), Interrupted> {
        let conversion = self.conversion();
        let names = conversion.names();
        let types = conversion.types(&names);
        let mut sent = 0;
        while max_rows == 0 || sent < max_rows {
            if !rows.next().map_err(Interrupted::Failed)? {
                return Ok((sent, true));
            }
            Self::put_row(&mut self.out, &mut self.scratch, rows, encoders, &types)
                .map_err(Interrupted::Failed)?;
            sent += 1;
            if self.out.len() > OUTBOX_BYTES {
                self.flush_result(wire)?;
            }
        }
        Ok((sent, false))
    }
}

/// What values are converted by: settings, names and time of one moment.
pub(super) struct Conversion {
    environment: Arc<Environment>,
    catalog: Arc<Catalog>,
    now_us: i64,
}

impl Conversion {
    /// The names that `regclass` and its kin are read and written with.
    pub(super) fn names(&self) -> Names<'_> {
        let environment = &self.environment;
        Names::new(&self.catalog, &environment.search_path).with_user(&environment.user)
    }

    /// What the types' own conversions take.
    pub(super) fn types<'a>(&'a self, names: &'a Names<'a>) -> TypeContext<'a> {
        TypeContext { settings: &self.environment.format, names, now_us: self.now_us }
    }
}

/// Why sending rows stopped early.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The statement failed.
    Failed(SqlError),
    /// The client is gone.
    Disconnected,
}

impl From<Disconnected> for Interrupted {
    fn from(_gone: Disconnected) -> Self {
        Self::Disconnected
    }
}

impl From<SqlError> for Interrupted {
    fn from(error: SqlError) -> Self {
        Self::Failed(error)
    }
}

/// Each change of the settings is whole, so those of a panicked holder may be used.
fn lock(settings: &Mutex<Settings>) -> MutexGuard<'_, Settings> {
    settings.lock().unwrap_or_else(PoisonError::into_inner)
}

fn environment(settings: &Settings, identity: &Identity) -> Environment {
    let (session_user, user) = settings.users(&identity.user);
    Environment {
        search_path: settings.search_path(&user),
        user,
        session_user,
        database: identity.database.clone(),
        format: Arc::clone(settings.format()),
        pid: identity.pid,
    }
}

/// PostgreSQL's name of an isolation level.
pub(super) fn isolation_name(level: IsolationLevel) -> &'static str {
    match level {
        IsolationLevel::ReadUncommitted => "read uncommitted",
        IsolationLevel::ReadCommitted => "read committed",
        IsolationLevel::RepeatableRead => "repeatable read",
        IsolationLevel::Serializable => "serializable",
    }
}

/// The isolation level of that name.
pub(super) fn isolation_level(name: &str) -> Option<IsolationLevel> {
    [
        IsolationLevel::ReadUncommitted,
        IsolationLevel::ReadCommitted,
        IsolationLevel::RepeatableRead,
        IsolationLevel::Serializable,
    ]
    .into_iter()
    .find(|level| isolation_name(*level) == name)
}
