//! One session's engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use trellis_replication::store::{SharedConnection, Statement, StoreError};
use trellis_replication::types::Message;
use trellis_sqlcompat::bind::{self, BindContext};
use trellis_sqlcompat::catalog::Attachment;
use trellis_sqlcompat::functions::{self, SessionContext, SessionState};
use trellis_sqlcompat::parse::{self, ParsedStatement};
use trellis_sqlcompat::plan::{IsolationLevel, Plan, PlanKind, Step, WritePlan};
use trellis_sqlcompat::schema::{
    Catalog, ObjectKind, SchemaHost, SchemaRow, SchemaStatement, SchemaStep,
};
use trellis_sqlcompat::{Datum, Oid, SqlError, SqlState};

use super::advisory::LockScope;
use super::cache::{PlanCache, PlanKey, StatementCache};
use super::cancel::CancelSwitch;
use super::database::Database;
use super::error::{from_rusqlite, lease_error, store_error};
use super::host::{Host, SharedDraws, SharedNotices};
use super::live;
use super::rows::{SqliteRows, Surroundings};
use super::schema::{self, Schema};
use super::violation::Watch;
use crate::clock;
use crate::feed::Mailbox;
use crate::session::port::{RowVisitor, SchemaOutcome};
use crate::session::settings::Limits;
use crate::session::{Engine, Environment, Identity, Rows, Settings, TransactionMode};

/// How long a transaction may hold the write lease while its client is idle and others wait.
pub const LEASE_IDLE: Duration = Duration::from_millis(100);

/// Epochs of schemas that only the session that made them sees start here; those of committed ones are below.
const PRIVATE_EPOCHS: u64 = 1 << 32;

/// What a savepoint must put back besides what SQLite does.
#[derive(Clone)]
struct Before {
    schema: Arc<Schema>,
    temporary: Arc<[SchemaRow]>,
}

/// The open transaction.
struct OpenTransaction {
    mode: TransactionMode,
    /// A SQLite transaction is open that keeps one snapshot.
    snapshot: bool,
    /// SQLite's write transaction is open.
    writing: bool,
    /// The schema was changed.
    schema_changed: bool,
    before: Before,
    savepoints: Vec<Before>,
    /// Why the transaction was ended from outside, if it was.
    lost: Option<SqlError>,
}

/// A session's access to the database: see the module's documentation.
pub struct SqliteEngine {
    database: Arc<Database>,
    pub(super) connection: SharedConnection,
    pub(super) context: SessionContext,
    cancel: Arc<CancelSwitch>,
    settings: Arc<Mutex<Settings>>,
    mailbox: Arc<Mailbox>,
    identity: Identity,
    attachment: Attachment,
    statements: StatementCache,
    plans: PlanCache,
    pub(super) schema: Arc<Schema>,
    temporary: Arc<[SchemaRow]>,
    transaction: Option<OpenTransaction>,
    /// Notifications that functions made, to be added to the transaction.
    pub(super) notices: SharedNotices,
    /// Sequence values that the statement drew.
    pub(super) draws: SharedDraws,
    /// Rows that a failed statement's second run shows.
    pub(super) watch: Watch,
    last_statement: Instant,
    private_epoch: u64,
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
        let watch = Watch::default();
        let state = SessionState {
            catalog: Arc::clone(&schema.catalog),
            user: identity.user.clone(),
            session_user: identity.user.clone(),
            database: identity.database.clone(),
            backend_pid: identity.pid.cast_signed(),
            ..SessionState::default()
        };
        let host = Host::new(database, identity.pid, &settings, &cancel, &notices, &draws);
        let context = SessionContext::new(state, Box::new(host));
        functions::register(connection.sqlite(), &context)
            .and_then(|()| functions::register_enums(connection.sqlite(), None, &schema.catalog))
            .and_then(|()| database.unique_ids.register(connection.sqlite()))
            .and_then(|()| watch.register(connection.sqlite()))
            .map_err(|error| schema::internal(&error))?;
        cancel.attach(connection.sqlite());
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
            watch,
            last_statement: clock::now(),
            private_epoch: PRIVATE_EPOCHS,
        })
    }

    /// How often an idle session should look whether others wait for its lease; `None` if it holds none.
    #[must_use]
    pub fn lease_check_interval(&self) -> Option<Duration> {
        self.is_writing().then_some(LEASE_IDLE)
    }

    /// Ends the write transaction if others wait for the lease and the client has been idle; whether a lease is held or
    /// was given up.
    pub fn yield_lease_if_wanted(&mut self) -> bool {
        if !self.is_writing() {
            return false;
        }
        let idle = clock::now().saturating_duration_since(self.last_statement);
        if idle >= LEASE_IDLE && self.database.lease().waiters() > 0 {
            let message =
                "could not serialize access: the idle transaction gave way to other writers";
            let error = SqlError::new(SqlState::SERIALIZATION_FAILURE, message)
                .with_hint("The transaction might succeed if retried.");
            self.undo();
            if let Some(transaction) = &mut self.transaction {
                transaction.writing = false;
                transaction.lost = Some(error);
            }
        }
        true
    }

    fn is_writing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.writing)
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            context: self.context.clone(),
            catalog: Arc::clone(&self.schema.catalog),
            cancel: Arc::clone(&self.cancel),
            cache: self.statements.clone(),
        }
    }

    fn store_failed(&self, error: StoreError) -> SqlError {
        self.context
            .take_error()
            .unwrap_or_else(|| store_error(error, &self.schema.catalog, &self.cancel))
    }

    fn sqlite_failed(&self, error: &rusqlite::Error) -> SqlError {
        self.surroundings().word(&from_rusqlite(error))
    }

    pub(super) fn execute(&self, sql: &str) -> Result<(), SqlError> {
        self.connection
            .with(|sqlite| sqlite.execute_batch(sql))
            .map_err(|error| self.sqlite_failed(&error))
    }

    /// Adopts a schema: what functions see, and what plans are made against.
    fn set_schema(&mut self, schema: Arc<Schema>) {
        let catalog = Arc::clone(&schema.catalog);
        let known = &self.schema.catalog;
        let registered =
            self.connection.with(|sqlite| functions::register_enums(sqlite, Some(known), &catalog));
        if let Err(error) = registered {
            tracing::warn!(%error, "an enum keeps its old order on this connection");
        }
        self.context.update(|state| state.catalog = catalog);
        self.schema = schema;
    }

    /// Combines the committed schema with the session's temporary objects.
    fn with_temporary(&mut self, base: Arc<Schema>) -> Arc<Schema> {
        if self.temporary.is_empty() {
            return base;
        }
        let catalog = base.catalog.with_temporary(self.temporary.iter().cloned());
        Arc::new(Schema::new(self.next_private_epoch(), Arc::new(catalog)))
    }

    fn next_private_epoch(&mut self) -> u64 {
        self.private_epoch += 1;
        self.private_epoch
    }

    /// Follows the committed schema, unless the transaction has its own.
    fn follow_schema(&mut self) {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.schema_changed) {
            return;
        }
        let committed = self.database.schema();
        let moved = if self.temporary.is_empty() {
            committed.epoch != self.schema.epoch
        } else {
            committed.epoch != self.schema.base_epoch()
        };
        if moved {
            let schema = if self.temporary.is_empty() {
                committed
            } else {
                let epoch = committed.epoch;
                let combined = self.with_temporary(committed);
                combined.set_base_epoch(epoch);
                combined
            };
            self.set_schema(schema);
        }
    }

    /// Fails if the transaction was ended from outside.
    fn check_alive(&self) -> Result<(), SqlError> {
        let lost = self.transaction.as_ref().and_then(|transaction| transaction.lost.clone());
        lost.map_or(Ok(()), Err)
    }

    /// Before a read: opens the snapshot that the isolation level asks for, and puts the catalog in place.
    pub(super) fn prepare_read(&mut self, plan: &Plan) -> Result<(), SqlError> {
        self.check_alive()?;
        if let Some(transaction) = &mut self.transaction {
            let keeps = matches!(
                transaction.mode.isolation,
                IsolationLevel::RepeatableRead | IsolationLevel::Serializable
            );
            if keeps && !transaction.snapshot && !transaction.writing {
                transaction.snapshot = true;
                self.execute("BEGIN")?;
            }
        }
        self.prepare_catalog(plan)
    }

    fn prepare_catalog(&mut self, plan: &Plan) -> Result<(), SqlError> {
        if plan.reads.image {
            let options = self.database.image_options();
            let image = self.schema.image(&options).map_err(|error| schema::internal(&error))?;
            let attachment = &mut self.attachment;
            self.connection
                .with(|sqlite| attachment.attach(sqlite, &image))
                .map_err(|error| schema::internal(&error))?;
        }
        for name in &plan.reads.live {
            let Some(rows) = live::rows(name, &self.database, &self.settings) else { continue };
            self.connection
                .with(|sqlite| trellis_sqlcompat::catalog::fill_live(sqlite, name, rows))
                .map_err(|error| schema::internal(&error))?;
        }
        Ok(())
    }

    /// Opens SQLite's write transaction if the transaction has none yet.
    fn prepare_write(&mut self) -> Result<(), SqlError> {
        self.check_alive()?;
        let Some(transaction) = &self.transaction else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "no transaction is open"));
        };
        if transaction.writing {
            return Ok(());
        }
        let depth = transaction.savepoints.len();
        let deadline = self.lock_deadline();
        let lease = self
            .database
            .lease()
            .acquire(deadline, self.cancel.flag())
            .map_err(|error| lease_error(error, &self.cancel))?;
        self.connection
            .with_store(|mut store| store.begin(lease))
            .map_err(|error| self.store_failed(error))?;
        if let Some(transaction) = &mut self.transaction {
            transaction.writing = true;
        }
        for savepoint in 0..depth {
            self.execute(&format!("SAVEPOINT trellis_{savepoint}"))?;
        }
        self.check_schema_still_holds()
    }

    /// The schema cannot move while the lease is held; it may have moved before.
    fn check_schema_still_holds(&mut self) -> Result<(), SqlError> {
        let in_file =
            self.connection.with(schema::epoch).map_err(|error| schema::internal(&error))?;
        let known = self.schema.base_epoch();
        if in_file == known {
            return Ok(());
        }
        let message = "could not serialize access due to a concurrent change of the schema";
        Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message))
    }

    fn limits(&self) -> Limits {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).limits()
    }

    fn lock_deadline(&self) -> Option<Instant> {
        let timeout = self.limits().lock_timeout;
        let lock = timeout.map(|timeout| clock::now() + timeout);
        [lock, self.cancel.deadline()].into_iter().flatten().min()
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
        for (number, value) in (1..=count).zip(parameters) {
            statement.bind(number, as_value(value)).map_err(|error| surroundings.word(&error))?;
        }
        Ok((text, statement))
    }

    /// Runs one step of a write; the number of rows that it changed, or returned.
    fn run_step(
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

    pub(super) fn run_steps(
        &mut self,
        write: &WritePlan,
        parameters: &[Datum],
        visit: RowVisitor<'_>,
    ) -> Result<u64, SqlError> {
        let mut count = 0;
        for (index, step) in write.steps.iter().enumerate() {
            let shown = write.rows_from == Some(index);
            let visit: Option<RowVisitor<'_>> = if shown { Some(&mut *visit) } else { None };
            let changed = self.run_step(&step.sql, parameters, visit)?;
            if index == write.count_from {
                count = changed;
            }
        }
        Ok(count)
    }

    /// Runs `work` so that an error undoes it and nothing else.
    fn atomically<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.execute("SAVEPOINT trellis_statement")?;
        let result = work(self);
        if result.is_err() {
            self.execute("ROLLBACK TO trellis_statement")?;
        }
        self.execute("RELEASE trellis_statement")?;
        result
    }

    pub(super) fn apply_schema_change(
        &mut self,
        statement: &SchemaStatement,
    ) -> Result<SchemaOutcome, SqlError> {
        let catalog = Arc::clone(&self.schema.catalog);
        let change = statement.apply(&catalog, &mut Evaluator(self))?;
        for step in &change.before {
            self.run_schema_step(step)?;
        }
        if !change.temporary.is_empty() {
            self.change_temporary(&change.temporary)?;
        }
        if !change.rows.is_empty() {
            self.change_replicated(&change.rows)?;
        }
        let mut tag = change.tag;
        for (index, step) in change.after.iter().enumerate() {
            let count = self.run_schema_step(step)?;
            if change.counted == Some(index) {
                tag = format!("{tag} {count}");
            }
        }
        let notices = change.notices.into_iter().map(|notice| {
            let error = SqlError::new(notice.state, notice.message);
            SqlError { detail: notice.detail, ..error }
        });
        Ok(SchemaOutcome { tag, notices: notices.collect() })
    }

    fn change_replicated(&mut self, rows: &[SchemaRow]) -> Result<(), SqlError> {
        self.statements.clear();
        let sequences = rows.iter().filter(|row| row.kind == ObjectKind::Sequence && !row.dropped);
        sequences.for_each(|row| self.database.sequences.found(row.id.0));
        self.connection
            .with(|sqlite| schema::upsert(sqlite, rows))
            .map_err(|error| self.sqlite_failed(&error))?;
        let (mut specs, mut gone) = (Vec::new(), Vec::new());
        let catalog = self.connection.with(|sqlite| {
            let mut register = |spec: &trellis_replication::store::TableSpec| {
                specs.push(spec.clone());
                Ok(())
            };
            let mut unregister = |table| {
                gone.push(table);
                Ok(())
            };
            schema::bring_in_line(sqlite, &mut register, &mut unregister)
        });
        let catalog = catalog.map_err(|error| self.context.take_error().unwrap_or(error))?;
        self.connection
            .with_store(|mut store| {
                specs.iter().try_for_each(|spec| store.register_table(spec))?;
                gone.iter().try_for_each(|table| store.unregister_table(*table))
            })
            .map_err(|error| self.store_failed(error))?;
        let in_file =
            self.connection.with(schema::epoch).map_err(|error| schema::internal(&error))?;
        let catalog = if self.temporary.is_empty() {
            catalog
        } else {
            catalog.with_temporary(self.temporary.iter().cloned())
        };
        let next = Schema::new(self.next_private_epoch(), Arc::new(catalog));
        next.set_base_epoch(in_file);
        self.database.set_uncommitted(Some(Arc::clone(&next.catalog)));
        self.set_schema(Arc::new(next));
        if let Some(transaction) = &mut self.transaction {
            transaction.schema_changed = true;
        }
        Ok(())
    }

    fn change_temporary(&mut self, rows: &[SchemaRow]) -> Result<(), SqlError> {
        let mut all: Vec<SchemaRow> = self.temporary.to_vec();
        for row in rows {
            match all.iter_mut().find(|known| known.id == row.id) {
                Some(known) => known.clone_from(row),
                None => all.push(row.clone()),
            }
        }
        let old = Arc::clone(&self.schema.catalog);
        let new = Arc::new(old.with_temporary(all.iter().cloned()));
        for sql in trellis_sqlcompat::schema::materialize(&old, &new)? {
            self.execute(&sql)?;
        }
        self.temporary = Arc::from(all);
        let next = Schema::new(self.next_private_epoch(), new);
        next.set_base_epoch(self.schema.base_epoch());
        self.set_schema(Arc::new(next));
        Ok(())
    }

    fn run_schema_step(&mut self, step: &SchemaStep) -> Result<u64, SqlError> {
        match step {
            SchemaStep::Run(sql) => self.run_step(sql, &[], None),
            SchemaStep::RefuseIfAny { sql, error } => {
                if self.run_step(sql, &[], None)? > 0 {
                    Err(error.clone())
                } else {
                    Ok(0)
                }
            }
            SchemaStep::RestartSequence { sequence, value } => {
                self.database.sequences.restart(*sequence, *value, &self.schema.catalog);
                Ok(0)
            }
        }
    }

    /// Undoes whatever SQLite transaction is open.
    fn undo(&mut self) {
        let Some(transaction) = &self.transaction else { return };
        if transaction.writing {
            let undone = self.connection.with_store(|mut store| {
                store.rollback();
                Ok(())
            });
            if let Err(error) = undone {
                tracing::error!(%error, "a transaction could not be rolled back");
            }
        } else if transaction.snapshot {
            let open = self.connection.with(|sqlite| !sqlite.is_autocommit());
            if open && let Err(error) = self.execute("ROLLBACK") {
                tracing::error!(%error, "a snapshot could not be closed");
            }
        }
    }

    fn put_back(&mut self, before: Before) {
        self.temporary = before.temporary;
        if before.schema.epoch != self.schema.epoch {
            self.statements.clear();
            self.set_schema(before.schema);
        }
    }

    fn before(&self) -> Before {
        Before { schema: Arc::clone(&self.schema), temporary: Arc::clone(&self.temporary) }
    }

    /// Adds what functions notified to the transaction.
    fn take_notices(&mut self) -> Result<(), SqlError> {
        for message in self.notices.take() {
            self.notify(&message.channel, &message.payload)?;
        }
        Ok(())
    }

    fn commit_write(&mut self, durable: bool) -> Result<(), SqlError> {
        self.connection
            .with(|sqlite| self.database.sequences.persist(sqlite, self.database.store.site_id()))
            .map_err(|error| self.sqlite_failed(&error))?;
        let committed = self.connection.with_store(|mut store| store.commit());
        let pending = committed.map_err(|error| self.store_failed(error))?;
        if let Some(transaction) = &mut self.transaction {
            transaction.writing = false;
            transaction.snapshot = false;
        }
        if let (Some(pending), true) = (pending, durable) {
            pending.wait().map_err(|error| self.store_failed(error))?;
        }
        Ok(())
    }
}

/// Evaluates expressions for DDL.
struct Evaluator<'a>(&'a mut SqliteEngine);

impl SchemaHost for Evaluator<'_> {
    fn evaluate(&mut self, sql: &str) -> Result<Datum, SqlError> {
        let (text, statement) = self.0.statement(&format!("SELECT {sql}"), &[])?;
        let mut rows = SqliteRows::new(text, statement, self.0.surroundings());
        if rows.next()? { Ok(rows.column(0).to_datum()) } else { Ok(Datum::Null) }
    }
}

impl Engine for SqliteEngine {
    type Rows = SqliteRows;

    fn plan(
        &mut self,
        statement: &ParsedStatement,
        parameter_types: &[Oid],
        environment: &Environment,
    ) -> Result<Arc<Plan>, SqlError> {
        self.follow_schema();
        let key = PlanKey {
            text: statement.text.clone(),
            parameter_types: parameter_types.to_vec(),
            epoch: self.schema.epoch,
            search_path: environment.search_path.clone(),
            format: Arc::as_ptr(&environment.format).addr(),
        };
        if let Some(plan) = self.plans.plan(&key) {
            return Ok(plan);
        }
        let plan = Arc::new(bind::plan(
            statement,
            &BindContext {
                catalog: &self.schema.catalog,
                search_path: &environment.search_path,
                user: &environment.user,
                database: &environment.database,
                settings: &environment.format,
                parameter_types,
            },
        )?);
        if matches!(plan.kind, PlanKind::Query(_) | PlanKind::Write(_)) {
            self.plans.keep_plan(key, &plan);
        }
        Ok(plan)
    }

    fn parse(&mut self, sql: &str) -> Result<Arc<[ParsedStatement]>, SqlError> {
        if let Some(parsed) = self.plans.parsed(sql) {
            return Ok(parsed);
        }
        let parsed: Arc<[ParsedStatement]> = parse::split(sql)?.into();
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
        let before = self.before();
        self.transaction = Some(OpenTransaction {
            mode,
            snapshot: false,
            writing: false,
            schema_changed: false,
            before,
            savepoints: Vec::new(),
            lost: None,
        });
        let path = environment.search_path.clone();
        self.context.update(|state| {
            state.transaction_us = now_us;
            state.search_path = path;
        });
    }

    fn begin_statement(&mut self, environment: &Environment, now_us: i64) {
        self.follow_schema();
        self.last_statement = clock::now();
        self.cancel.begin_statement(self.limits().statement_timeout);
        self.context.update(|state| {
            state.statement_us = now_us;
            if state.search_path != environment.search_path {
                state.search_path.clone_from(&environment.search_path);
            }
            if state.settings.differs_from(&environment.format) {
                state.settings = environment.format.as_ref().clone();
            }
        });
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
        self.prepare_catalog(plan)?;
        self.draws.clear();
        let written = if write.steps.len() == 1 {
            self.run_steps(write, parameters, visit)
        } else {
            self.atomically(|engine| engine.run_steps(write, parameters, visit))
        };
        let count = written.map_err(|error| self.explain_violation(error, write, parameters))?;
        self.last_statement = clock::now();
        self.take_notices()?;
        Ok(count)
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
        self.last_statement = clock::now();
        outcome
    }

    fn explain(&mut self, plan: &Plan) -> Result<Vec<String>, SqlError> {
        self.query_plan(plan)
    }

    fn lock(&mut self, nowait: bool) -> Result<(), SqlError> {
        if nowait && self.database.lease().waiters() > 0 {
            let message = "could not obtain lock";
            return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message));
        }
        self.prepare_write()
    }

    fn maintain(&mut self, steps: &[Step]) -> Result<(), SqlError> {
        steps.iter().try_for_each(|step| self.execute(&step.sql))
    }

    fn savepoint(&mut self, depth: usize) -> Result<(), SqlError> {
        self.check_alive()?;
        if self.is_writing() {
            self.execute(&format!("SAVEPOINT trellis_{depth}"))?;
        }
        let before = self.before();
        if let Some(transaction) = &mut self.transaction {
            transaction.savepoints.push(before);
        }
        Ok(())
    }

    fn rollback_to(&mut self, depth: usize) -> Result<(), SqlError> {
        self.check_alive()?;
        if self.is_writing() {
            self.statements.clear();
            self.execute(&format!("ROLLBACK TO trellis_{depth}"))?;
        }
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        transaction.savepoints.truncate(depth + 1);
        if let Some(before) = transaction.savepoints.last().cloned() {
            self.put_back(before);
        }
        Ok(())
    }

    fn release(&mut self, depth: usize) -> Result<(), SqlError> {
        self.check_alive()?;
        if self.is_writing() {
            self.execute(&format!("RELEASE trellis_{depth}"))?;
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
            .with_store(|mut store| {
                store.notify(message);
                Ok(())
            })
            .map_err(|error| self.store_failed(error))
    }

    fn commit(&mut self, durable: bool) -> Result<(), SqlError> {
        self.check_alive()?;
        self.take_notices()?;
        if !self.is_writing() && self.database.sequences.is_dirty() {
            self.prepare_write()?;
        }
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let (writing, snapshot) = (transaction.writing, transaction.snapshot);
        if writing {
            self.act_on_commit()?;
            self.commit_write(durable)?;
        } else if snapshot {
            self.execute("COMMIT")?;
        }
        let changed = self.transaction.take().is_some_and(|transaction| transaction.schema_changed);
        self.database.advisory.release(self.identity.pid, LockScope::Transaction);
        if changed {
            self.database.refresh_schema().map_err(|error| schema::internal(&error))?;
        }
        Ok(())
    }

    fn rollback(&mut self) {
        self.notices.take();
        self.undo();
        self.database.advisory.release(self.identity.pid, LockScope::Transaction);
        if let Some(transaction) = self.transaction.take() {
            self.put_back(transaction.before);
        }
    }

    fn listen(&mut self, channels: &[String]) {
        self.database.hub.listen(self.identity.pid, &self.mailbox, channels);
    }

    fn poll_notifications(&mut self) -> crate::session::port::Notifications {
        self.mailbox.take()
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

fn as_value(datum: &Datum) -> ValueRef<'_> {
    match datum {
        Datum::Null => ValueRef::Null,
        Datum::Integer(integer) => ValueRef::Integer(*integer),
        Datum::Real(real) => ValueRef::Real(*real),
        Datum::Text(text) => ValueRef::Text(text.as_bytes()),
        Datum::Blob(blob) => ValueRef::Blob(blob),
    }
}
