//! One session's engine.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use trellis_replication::store::{SharedConnection, Statement, StoreError, UNLOGGED_WRITE};
use trellis_replication::types::Message;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::catalog::Attachment;
use trellis_sqlcompat::functions::{self, SessionContext, SessionState};
use trellis_sqlcompat::parse::{self, ParsedStatement};
use trellis_sqlcompat::plan::{
    CatalogReads, Plan, PlanKind, SessionStatement, Step, WritePlan, WriteVerb,
};
use trellis_sqlcompat::schema::{Catalog, SchemaRow, SchemaStatement};
use trellis_sqlcompat::{Datum, Oid, SqlError, SqlState};

use super::advisory::LockScope;
use super::cache::{PlanCache, PlanKey, StatementCache};
use super::cancel::CancelSwitch;
use super::database::Database;
use super::error::{from_rusqlite, store_error};
use super::host::{Host, SharedDraws, SharedNotices};
use super::live;
use super::rows::{SqliteRows, Surroundings};
use super::schema::{self, Schema};
use super::temporary_sequence::TemporarySequences;
use super::transaction::{OpenTransaction, Progress, WaitedFor, savepoint_name};
use super::violation::Watch;
use crate::feed::Mailbox;
use crate::session::port::{PlanState, RowVisitor, SchemaOutcome};
use crate::session::settings::Limits;
use crate::session::{Engine, Environment, Identity, Rows, Settings, TransactionMode};

/// Epochs of schemas that only the session that made them sees start here; those of committed ones are below.
const PRIVATE_EPOCHS: u64 = 1 << 32;

/// A session's access to the database: see the module's documentation.
pub struct SqliteEngine {
    pub(super) database: Arc<Database>,
    pub(super) connection: SharedConnection,
    pub(super) context: SessionContext,
    pub(super) cancel: Arc<CancelSwitch>,
    pub(super) settings: Arc<Mutex<Settings>>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) identity: Identity,
    pub(super) attachment: Attachment,
    pub(super) statements: StatementCache,
    pub(super) plans: PlanCache,
    pub(super) schema: Arc<Schema>,
    pub(super) temporary: Arc<[SchemaRow]>,
    pub(super) transaction: Option<OpenTransaction>,
    /// Notifications that functions made, to be added to the transaction.
    pub(super) notices: SharedNotices,
    /// Sequence values that the statement drew.
    pub(super) draws: SharedDraws,
    pub(super) temporary_sequences: TemporarySequences,
    /// Rows that a failed statement's second run shows.
    pub(super) watch: Watch,
    /// For the client, while the transaction is open.
    pub(super) waited: WaitedFor,
    /// Since when the statement waits for the lease, if it has begun to wait in a batch.
    pub(super) waits_since: Option<Instant>,
    /// Statements that have shown to be too much for a batch.
    pub(super) unsuited: HashSet<String>,
    /// Frames in the write-ahead log when the present snapshot was taken.
    pub(super) snapshot_frames: usize,
    pub(super) private_epoch: u64,
}

impl SqliteEngine {
    /// Opens a session's connection.
    ///
    /// # Errors
    /// What the store says, as XX000.
    pub fn open(
        database: &Arc<Database>,
        identity: &Identity,
        settings: Arc<Mutex<Settings>>,
        mailbox: Arc<Mailbox>,
        cancel: Arc<CancelSwitch>,
    ) -> Result<Self, SqlError> {
        let schema = database.schema();
        let store_failed = |error: StoreError| store_error(error, &schema.catalog, &cancel);
        let mut connection = database.store.connect().map_err(store_failed)?;
        connection.set_tag(identity.pid);
        let (notices, draws) = (SharedNotices::default(), SharedDraws::default());
        let temporary_sequences = TemporarySequences::default();
        let watch = Watch::default();
        let state = SessionState {
            catalog: Arc::clone(&schema.catalog),
            user: identity.user.clone(),
            session_user: identity.user.clone(),
            database: identity.database.clone(),
            backend_pid: identity.pid.cast_signed(),
            ..SessionState::default()
        };
        let host = Host::new(
            database,
            identity.pid,
            &settings,
            &cancel,
            &notices,
            &draws,
            &temporary_sequences,
        );
        let context = SessionContext::new(state, Box::new(host));
        functions::register(connection.sqlite(), &context)
            .and_then(|()| functions::register_enums(connection.sqlite(), None, &schema.catalog))
            .and_then(|()| database.unique_ids.register(connection.sqlite()))
            .and_then(|()| watch.register(connection.sqlite()))
            .map_err(|error| schema::internal(&error))?;
        let over = Arc::clone(cancel.flag());
        let stopped = connection.stop_when(move || over.load(Ordering::Relaxed));
        stopped.map_err(store_failed)?;
        Ok(Self {
            database: Arc::clone(database),
            connection: SharedConnection::new(connection),
            context,
            cancel,
            settings,
            mailbox,
            identity: identity.clone(),
            attachment: Attachment::default(),
            statements: StatementCache::default(),
            plans: PlanCache::default(),
            schema,
            temporary: Arc::from([]),
            transaction: None,
            notices,
            draws,
            temporary_sequences,
            watch,
            waited: WaitedFor::default(),
            waits_since: None,
            unsuited: HashSet::new(),
            snapshot_frames: 0,
            private_epoch: PRIVATE_EPOCHS,
        })
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            context: self.context.clone(),
            catalog: Arc::clone(&self.schema.catalog),
            cancel: Arc::clone(&self.cancel),
            cache: self.statements.clone(),
        }
    }

    pub(super) fn store_failed(&self, error: StoreError) -> SqlError {
        self.context
            .take_error()
            .unwrap_or_else(|| store_error(error, &self.schema.catalog, &self.cancel))
    }

    pub(super) fn sqlite_failed(&self, error: &rusqlite::Error) -> SqlError {
        self.surroundings().word(&from_rusqlite(error))
    }

    pub(super) fn execute(&self, sql: &str) -> Result<(), SqlError> {
        self.connection
            .with(|sqlite| sqlite.execute_batch(sql))
            .map_err(|error| self.sqlite_failed(&error))
    }

    /// Before a read: opens the snapshot that the isolation level asks for, and puts the catalog in place.
    pub(super) fn prepare_read(&mut self, plan: &Plan) -> Result<(), SqlError> {
        self.go_on()?;
        if !self.has_snapshot() {
            self.snapshot_frames = self.database.store.log_frames();
        }
        self.open_snapshot()?;
        self.prepare_catalog(&plan.reads)
    }

    /// Puts in place what of the catalog a statement reads.
    pub(super) fn prepare_catalog(&mut self, reads: &CatalogReads) -> Result<(), SqlError> {
        if reads.image {
            let options = self.database.image_options();
            let image = self.schema.image(&options).map_err(|error| schema::internal(&error))?;
            let attachment = &mut self.attachment;
            self.connection
                .with(|sqlite| attachment.attach(sqlite, &image))
                .map_err(|error| schema::internal(&error))?;
        }
        for name in &reads.live {
            let Some(rows) = live::rows(name, &self.database, &self.settings) else { continue };
            self.connection
                .with(|sqlite| trellis_sqlcompat::catalog::fill_live(sqlite, name, rows))
                .map_err(|error| schema::internal(&error))?;
        }
        Ok(())
    }

    pub(super) fn limits(&self) -> Limits {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).limits()
    }

    /// Roles may be dropped, or cease to be superusers, while they have sessions.
    fn check_user(&self, environment: &Environment) -> Result<(), SqlError> {
        let roles = &self.schema.catalog.roles;
        match roles.oid(&environment.user) {
            Some(oid) => roles.check_session(oid),
            None if self.identity.named => {
                let message = format!("role \"{}\" does not exist", environment.user);
                Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
            }
            None => Ok(()),
        }
    }

    /// Takes a statement for `sql` and binds its parameters.
    pub(super) fn statement(
        &self,
        sql: &str,
        parameters: &[Datum],
    ) -> Result<(Arc<str>, Statement), SqlError> {
        let surroundings = self.surroundings();
        let word = |error| surroundings.word(&error);
        let (text, mut statement) = self.statements.take(&self.connection, sql).map_err(word)?;
        let count = statement.parameter_count();
        let mut values = (1..=count).zip(parameters);
        match values.try_for_each(|(number, value)| statement.bind(number, as_value(value))) {
            Ok(()) => Ok((text, statement)),
            Err(error) => {
                self.statements.put_back(text, statement);
                Err(word(error))
            }
        }
    }

    /// Runs one step of a write; the number of rows that it changed, or returned.
    pub(super) fn run_step(
        &mut self,
        sql: &str,
        parameters: &[Datum],
        visit: Option<RowVisitor<'_>>,
    ) -> Result<u64, SqlError> {
        let (text, statement) = self.statement(sql, parameters)?;
        let returns = statement.column_count() > 0;
        let mut rows = SqliteRows::new(text, statement, self.surroundings());
        let mut returned = 0;
        match visit {
            Some(visit) => {
                while rows.next()? {
                    returned += 1;
                    visit(&rows)?;
                }
            }
            None => {
                while rows.next()? {
                    returned += 1;
                }
            }
        }
        drop(rows);
        let changed = self.connection.with(|sqlite| sqlite.changes());
        Ok(if returns { returned } else { changed })
    }

    /// Runs the steps of a write, which pass rows on through what the session keeps.
    pub(super) fn run_steps(
        &mut self,
        write: &WritePlan,
        parameters: &[Datum],
        visit: RowVisitor<'_>,
    ) -> Result<u64, SqlError> {
        let mut count = 0;
        for (index, step) in write.steps.iter().enumerate() {
            let shown = write.rows_from == Some(index);
            let kept = write.kept.contains(&index);
            let keep = self.context.keep();
            let mut both = |row: &dyn Rows| {
                if kept {
                    keep.add(index, (0..row.width()).map(|at| row.column(at).to_datum()))?;
                }
                if shown { visit(row) } else { Ok(()) }
            };
            let visit: Option<RowVisitor<'_>> = if shown || kept { Some(&mut both) } else { None };
            let changed = self.run_step(&step.sql, parameters, visit)?;
            if write.count_from.contains(&index) {
                count += changed;
            }
        }
        Ok(count)
    }

    /// Runs `work` so that an error undoes it and nothing else.
    pub(super) fn atomically<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.execute("SAVEPOINT trellis_statement")?;
        let result = work(self);
        if result.is_err() {
            if self.has_rolled_back() {
                return result;
            }
            self.execute("ROLLBACK TO trellis_statement")?;
        }
        self.execute("RELEASE trellis_statement")?;
        result
    }

    /// Adds what functions notified to the transaction.
    fn take_notices(&mut self) -> Result<(), SqlError> {
        for message in self.notices.take() {
            self.notify(&message.channel, &message.payload)?;
        }
        Ok(())
    }
}

impl Engine for SqliteEngine {
    type Rows = SqliteRows;

    fn plan(
        &mut self,
        statement: &Arc<ParsedStatement>,
        parameters: Parameters<'_>,
        environment: &Environment,
    ) -> Result<Arc<Plan>, SqlError> {
        self.follow_schema();
        self.check_user(environment)?;
        let key = PlanKey {
            text: statement.text.clone(),
            parameter_types: match parameters {
                Parameters::None => None,
                Parameters::Inferred(types) => Some(types.to_vec()),
            },
            epoch: self.schema.epoch,
            search_path: environment.search_path.clone(),
            format: Arc::as_ptr(&environment.format).addr(),
        };
        if let Some(plan) = self.plans.plan(&key) {
            return Ok(plan);
        }
        let mut plan = bind::plan(
            statement,
            &BindContext {
                catalog: &self.schema.catalog,
                search_path: &environment.search_path,
                user: &environment.user,
                database: &environment.database,
                settings: &environment.format,
                parameters,
            },
        )?;
        let shown = matches!(
            plan.kind,
            PlanKind::Session(
                SessionStatement::Prepare { .. } | SessionStatement::DeclareCursor(_)
            )
        );
        if shown || matches!(plan.kind, PlanKind::Write(_) | PlanKind::Schema(_)) {
            plan.source = Some(Arc::clone(statement));
        }
        let plan = Arc::new(plan);
        if matches!(plan.kind, PlanKind::Query(_) | PlanKind::Write(_)) {
            self.plans.keep_plan(key, &plan, &environment.format);
        }
        Ok(plan)
    }

    fn parse(&mut self, sql: &str) -> Result<Arc<[Arc<ParsedStatement>]>, SqlError> {
        if let Some(parsed) = self.plans.parsed(sql) {
            return Ok(parsed);
        }
        let parsed: Arc<[_]> = parse::split(sql)?.into_iter().map(Arc::new).collect();
        self.plans.keep_parsed(sql, &parsed);
        Ok(parsed)
    }

    fn schema_epoch(&self) -> u64 {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.schema_changed) {
            return self.schema.epoch;
        }
        let committed = self.database.schema().epoch;
        if committed == self.schema.base_epoch() { self.schema.epoch } else { committed }
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.schema.catalog)
    }

    fn begin(&mut self, mode: TransactionMode, environment: &Environment, now_us: i64) {
        self.undo();
        self.follow_schema();
        self.transaction = Some(OpenTransaction::new(mode, self.before()));
        let path = environment.search_path.clone();
        self.context.update(|state| {
            state.transaction_us = now_us;
            state.search_path = path;
        });
    }

    fn set_mode(&mut self, mode: TransactionMode) {
        if let Some(transaction) = &mut self.transaction {
            transaction.mode = mode;
        }
    }

    fn begin_statement(&mut self, environment: &Environment, now_us: i64) {
        self.follow_schema();
        self.waited.spoken();
        self.waits_since = None;
        self.cancel.begin_statement(self.limits().statement_timeout);
        self.context.update(|state| {
            state.statement_us = now_us;
            if state.search_path != environment.search_path {
                state.search_path.clone_from(&environment.search_path);
            }
            if state.user != environment.user || state.session_user != environment.session_user {
                state.user.clone_from(&environment.user);
                state.session_user.clone_from(&environment.session_user);
            }
            if state.settings.differs_from(&environment.format) {
                state.settings = environment.format.as_ref().clone();
            }
        });
    }

    fn end_statement(&mut self) {
        self.note_rollback();
        self.cancel.end_statement();
    }

    fn wait_for_client(&mut self, time: Duration) -> Result<(), SqlError> {
        self.bear_with_client(time)
    }

    fn resume(&mut self) -> Result<(), SqlError> {
        self.go_on()
    }

    fn supply_live(&mut self, name: &'static str, rows: Vec<Vec<Datum>>) -> Result<(), SqlError> {
        self.connection
            .with(|sqlite| trellis_sqlcompat::catalog::fill_live(sqlite, name, rows))
            .map_err(|error| schema::internal(&error))
    }

    fn open(
        &mut self,
        plan: &Plan,
        step: &Step,
        parameters: &[Datum],
    ) -> Result<SqliteRows, SqlError> {
        self.prepare_read(plan)?;
        let (text, statement) = self.statement(&step.sql, parameters)?;
        Ok(SqliteRows::new(text, statement, self.surroundings()))
    }

    fn write(
        &mut self,
        plan: &Plan,
        write: &WritePlan,
        parameters: &[Datum],
        visit: RowVisitor<'_>,
    ) -> Result<u64, SqlError> {
        self.prepare_write()?;
        if write.verb == WriteVerb::Lock {
            self.note_lock();
        }
        self.prepare_catalog(&plan.reads)?;
        self.draws.clear();
        let written = if write.steps.len() == 1 {
            self.run_steps(write, parameters, visit)
        } else {
            self.atomically(|engine| engine.run_steps(write, parameters, visit))
        };
        self.context.keep().clear();
        let count = written.map_err(|error| self.explain_violation(error, write, parameters));
        self.context.keep().clear();
        self.draws.forget();
        let count = count?;
        self.restart_sequences(&write.restarts)?;
        self.waited.spoken();
        self.take_notices()?;
        Ok(count)
    }

    fn write_alone(
        &mut self,
        plan: &Plan,
        write: &WritePlan,
        parameters: &[Datum],
        durable: bool,
        visit: RowVisitor<'_>,
    ) -> Result<Option<u64>, SqlError> {
        self.run_in_batch((plan, write), parameters, durable, visit)
    }

    fn change_schema(
        &mut self,
        statement: &SchemaStatement,
        _parameters: &[Datum],
    ) -> Result<SchemaOutcome, SqlError> {
        self.prepare_write()?;
        let before = self.before();
        let outcome = self.atomically(|engine| engine.apply_schema_change(statement));
        if outcome.is_err() {
            self.put_back(before);
        }
        outcome
    }

    fn explain(&mut self, plan: &Plan) -> Result<Vec<String>, SqlError> {
        self.query_plan(plan)
    }

    fn take_writer(&mut self) -> Result<PlanState, SqlError> {
        self.open_write()
    }

    fn lock(&mut self, nowait: bool) -> Result<(), SqlError> {
        if nowait && !self.is_writing() && self.database.lease().is_taken() {
            let message = "could not obtain lock";
            return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message));
        }
        self.prepare_write()?;
        self.note_lock();
        Ok(())
    }

    fn maintain(&mut self, steps: &[Step]) -> Result<(), SqlError> {
        self.prepare_write()?;
        self.execute(UNLOGGED_WRITE)?;
        steps.iter().try_for_each(|step| self.execute(&step.sql))
    }

    fn checkpoint(&mut self) {
        self.database.store.checkpoint();
    }

    fn savepoint(&mut self, depth: usize) -> Result<(), SqlError> {
        self.go_on()?;
        if self.is_writing() {
            self.execute(&format!("SAVEPOINT {}", savepoint_name(depth)))?;
        }
        let before = self.before();
        if let Some(transaction) = &mut self.transaction {
            transaction.savepoints.push(before);
        }
        Ok(())
    }

    fn rollback_to(&mut self, depth: usize) -> Result<(), SqlError> {
        self.go_on()?;
        if self.is_writing() {
            self.statements.clear();
            self.execute(&format!("ROLLBACK TO {}", savepoint_name(depth)))?;
        }
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let (own, node) = (&self.temporary_sequences, &self.database.sequences);
        transaction.restarted.put_back(|sequence| own.counters(sequence, node), depth);
        transaction.savepoints.truncate(depth + 1);
        let schema_changed = transaction.schema_changed;
        if let Some(before) = transaction.savepoints.last().cloned() {
            self.put_back(before);
        }
        if schema_changed {
            self.database.set_uncommitted(Some(Arc::clone(&self.schema.catalog)));
        }
        Ok(())
    }

    fn release(&mut self, depth: usize) -> Result<(), SqlError> {
        self.go_on()?;
        if self.is_writing() {
            self.execute(&format!("RELEASE {}", savepoint_name(depth)))?;
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.savepoints.truncate(depth);
        }
        Ok(())
    }

    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), SqlError> {
        self.prepare_write()?;
        let message = Message { channel: channel.to_owned(), payload: payload.to_owned() };
        self.connection
            .with_store(|mut store| store.notify(message))
            .map_err(|error| self.store_failed(error))
    }

    fn commit(&mut self, durable: bool) -> Result<(), SqlError> {
        self.go_on()?;
        self.take_notices()?;
        if self.draws.take_unsaved() && !self.is_writing() {
            self.open_write_for_sequences()?;
        }
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let schema_commit = transaction.schema_changed.then(|| self.database.schema_commit());
        match transaction.progress {
            Progress::Writing => {
                self.act_on_commit()?;
                self.commit_write(durable)?;
            }
            Progress::Snapshot => self.execute("COMMIT")?,
            Progress::Unopened | Progress::SetAside(_) | Progress::Lost(_) => {}
        }
        self.transaction = None;
        self.database.advisory.release(self.identity.pid, LockScope::Transaction);
        if schema_commit.is_some() {
            self.database.refresh_schema().map_err(|error| schema::internal(&error))?;
        }
        Ok(())
    }

    fn rollback(&mut self) {
        self.notices.take();
        self.draws.take_unsaved();
        self.draws.forget();
        self.undo();
        self.database.advisory.release(self.identity.pid, LockScope::Transaction);
        if let Some(mut transaction) = self.transaction.take() {
            let (own, node) = (&self.temporary_sequences, &self.database.sequences);
            transaction.restarted.put_back(|sequence| own.counters(sequence, node), 0);
            self.put_back(transaction.before);
        }
    }

    fn check_deferred(&mut self, tables: &[Oid]) -> Result<(), SqlError> {
        self.go_on()?;
        self.check_foreign_keys(tables)
    }

    fn listen(&mut self, channels: &[String]) {
        self.database.hub.listen(self.identity.pid, &self.mailbox, channels);
    }

    fn poll_notifications(&mut self) -> crate::session::port::Notifications {
        self.mailbox.take()
    }

    fn discard_sequences(&mut self) {
        self.draws.discard();
    }

    fn discard_temporary(&mut self) -> Result<(), SqlError> {
        let rows: Vec<SchemaRow> =
            self.temporary.iter().map(|row| SchemaRow { dropped: true, ..row.clone() }).collect();
        if rows.is_empty() { Ok(()) } else { self.change_temporary(&rows) }
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        self.database.hub.listen(self.identity.pid, &self.mailbox, &[]);
        self.undo();
        for scope in [LockScope::Transaction, LockScope::Session] {
            self.database.advisory.release(self.identity.pid, scope);
        }
        self.statements.clear();
        self.plans.clear();
    }
}

pub(super) fn as_value(datum: &Datum) -> ValueRef<'_> {
    match datum {
        Datum::Null => ValueRef::Null,
        Datum::Integer(integer) => ValueRef::Integer(*integer),
        Datum::Real(real) => ValueRef::Real(*real),
        Datum::Text(text) => ValueRef::Text(text.as_bytes()),
        Datum::Blob(blob) => ValueRef::Blob(blob),
    }
}
