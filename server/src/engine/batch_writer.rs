//! The connection on which the statements of many sessions are run (`batch.rs`).
//!
//! It has the functions, collations and statement cache that a session's own connection has. For each job it takes on the
//! context of the job's session, so that `now()`, `current_user`, `nextval` and the rest answer as they would there. What
//! would make others wait (`pg_sleep`, advisory locks) is an error here, and the job is refused.
//!
//! # Bounds
//! [`CACHE_KIB`] of pages; [`JOB_TIME`] per job. [`ROWS_MAX`] rows and [`ROW_BYTES_MAX`] bytes of
//! `RETURNING`; a job with more is refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use trellis_replication::store::{Pending, Store, StoreConnection, StoreError, WriteLease};
use trellis_sqlcompat::functions::{self, SessionContext, SessionHost};
use trellis_sqlcompat::schema::Catalog;
use trellis_sqlcompat::{Datum, SqlError};

use super::batch::{Done, Job, Outcome};
use super::database::{Database, DatabaseError};
use super::schema;
use super::sequence::Persisted;
use super::session_engine::as_value;
use super::unique_id::UniqueIds;
use super::violation::Watch;
use crate::clock;

/// Page cache of the connection, KiB. It is the one that most writes go through, and stays valid between batches.
const CACHE_KIB: i64 = 16 << 10;

/// Rows that a job may return.
const ROWS_MAX: usize = 100;

/// What a value counts for besides the bytes of its text.
const VALUE_BYTES: usize = 16;

/// Bytes that a job may return: so few that sending them never waits for the client, since it is committed by then.
const ROW_BYTES_MAX: usize = 8 << 10;

/// How long a job may run: others wait for it.
const JOB_TIME: Duration = Duration::from_millis(50);

/// Why a job is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It failed. Why does not matter: its session will find out.
    Failed,
    /// It is too much for a batch.
    Unsuited,
}

impl From<rusqlite::Error> for Refusal {
    fn from(_error: rusqlite::Error) -> Self {
        Self::Failed
    }
}

impl From<StoreError> for Refusal {
    fn from(_error: StoreError) -> Self {
        Self::Failed
    }
}

/// What stops the present job.
#[derive(Default)]
struct Limits {
    over: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Limits {
    fn are_passed(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.is_late()
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| clock::now() > deadline)
    }
}

/// Runs jobs.
pub(super) struct BatchWriter {
    connection: StoreConnection,
    context: SessionContext,
    /// What stops the present job.
    limits: Arc<Mutex<Limits>>,
    /// The schema whose enums the connection knows.
    catalog: Arc<Catalog>,
    epoch: u64,
    /// Jobs planned for this schema can be run; none if the one in the file has not been read yet.
    runs_for: Option<u64>,
    /// What the batch has written of sequences.
    persisted: Vec<Persisted>,
}

impl BatchWriter {
    pub(super) fn open(
        store: &Store,
        schema: &schema::Schema,
        unique_ids: &UniqueIds,
    ) -> Result<Self, DatabaseError> {
        let mut connection = store.connect()?;
        connection.sqlite().pragma_update(None, "cache_size", -CACHE_KIB)?;
        let context = SessionContext::default();
        let (catalog, epoch) = (Arc::clone(&schema.catalog), schema.epoch);
        functions::register(connection.sqlite(), &context)?;
        functions::register_enums(connection.sqlite(), None, &catalog)?;
        unique_ids.register(connection.sqlite())?;
        Watch::default().register(connection.sqlite())?;
        let limits: Arc<Mutex<Limits>> = Arc::default();
        let present = Arc::clone(&limits);
        connection.stop_when(move || lock(&present).are_passed())?;
        let (runs_for, persisted) = (None, Vec::new());
        Ok(Self { connection, context, limits, catalog, epoch, runs_for, persisted })
    }

    /// Opens a batch. If that fails its jobs are refused.
    pub(super) fn begin(&mut self, database: &Database, lease: WriteLease) {
        self.persisted.clear();
        self.runs_for = None;
        if let Err(error) = self.try_begin(database, lease) {
            tracing::debug!(%error, "a batch could not be begun");
            self.connection.rollback();
        }
    }

    fn try_begin(&mut self, database: &Database, lease: WriteLease) -> Result<(), StoreError> {
        *lock(&self.limits) = Limits::default();
        let schema = database.schema();
        if schema.epoch != self.epoch {
            let sqlite = self.connection.sqlite();
            functions::register_enums(sqlite, Some(&self.catalog), &schema.catalog)?;
            (self.catalog, self.epoch) = (Arc::clone(&schema.catalog), schema.epoch);
        }
        self.connection.begin(lease)?;
        let in_file = schema::epoch(self.connection.sqlite())?;
        self.runs_for = Some(in_file).filter(|in_file| *in_file == self.epoch);
        Ok(())
    }

    /// Runs a job as a part of the batch.
    pub(super) fn run(&mut self, database: &Database, job: &Job) -> Outcome {
        if self.runs_for != Some(job.epoch) {
            return Outcome::Refused;
        }
        self.context.adopt(&job.context, |host| Arc::new(BatchHost(host)));
        let (over, deadline) = (Arc::clone(&job.over), Some(clock::now() + JOB_TIME));
        *lock(&self.limits) = Limits { over, deadline };
        let done = self.run_part(database, job);
        // What comes next, a commit above all, is not to be stopped.
        let limits = std::mem::take(&mut *lock(&self.limits));
        match done {
            Ok(done) => Outcome::Committed(done),
            Err(refusal) => {
                self.undo(job);
                let unsuited = refusal == Refusal::Unsuited || limits.is_late();
                if unsuited { Outcome::Unsuited } else { Outcome::Refused }
            }
        }
    }

    fn run_part(&mut self, database: &Database, job: &Job) -> Result<Done, Refusal> {
        execute(self.connection.sqlite(), "SAVEPOINT trellis_job")?;
        let done = step(self.connection.sqlite(), job)?;
        for message in job.notices.take() {
            self.connection.notify(message)?;
        }
        let (sequences, site) = (&database.sequences, database.store.site_id());
        let persisted = sequences.persist(self.connection.sqlite(), site)?;
        if self.connection.has_deferred_violations() {
            return Err(Refusal::Failed);
        }
        self.connection.end_part(job.tag)?;
        execute(self.connection.sqlite(), "RELEASE trellis_job")?;
        self.persisted.push(persisted);
        Ok(done)
    }

    /// Undoes what a job has done. If SQLite has undone the whole batch, no other job is run.
    fn undo(&mut self, job: &Job) {
        job.notices.take();
        let _reason = self.context.take_error();
        let sqlite = self.connection.sqlite();
        let undone = !sqlite.is_autocommit()
            && sqlite.execute_batch("ROLLBACK TO trellis_job; RELEASE trellis_job").is_ok();
        if !undone {
            self.runs_for = None;
            self.connection.rollback();
        }
    }

    /// Undoes the batch if it is still open.
    pub(super) fn give_up(&mut self) {
        self.connection.rollback();
    }

    /// Commits the batch, or undoes it if it is not whole, and hands the lease on; what to wait for, if anything changed.
    pub(super) fn commit(&mut self, database: &Database) -> Option<Option<Pending>> {
        if self.runs_for.is_none() {
            self.connection.rollback();
            return None;
        }
        match self.connection.commit() {
            Ok(pending) => {
                self.persisted.drain(..).for_each(|it| database.sequences.settle(&it));
                Some(pending)
            }
            Err(error) => {
                tracing::debug!(%error, "a batch could not be committed");
                self.connection.rollback();
                None
            }
        }
    }
}

fn lock(limits: &Mutex<Limits>) -> MutexGuard<'_, Limits> {
    limits.lock().unwrap_or_else(PoisonError::into_inner)
}

fn execute(sqlite: &Connection, sql: &str) -> rusqlite::Result<()> {
    sqlite.prepare_cached(sql)?.execute([]).map(drop)
}

/// Runs the statement of a job to its end.
fn step(sqlite: &Connection, job: &Job) -> Result<Done, Refusal> {
    let mut statement = sqlite.prepare_cached(&job.sql)?;
    let count = statement.parameter_count();
    for (number, value) in (1..=count).zip(&job.parameters) {
        statement.raw_bind_parameter(number, Value(as_value(value)))?;
    }
    let returns = statement.column_count() > 0;
    let (mut returned, mut bytes) = (Vec::new(), 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let row = (0..job.width).map(|at| datum(row, at, &mut bytes));
        returned.push(row.collect::<Result<Vec<_>, Refusal>>()?);
        if returned.len() > ROWS_MAX || bytes > ROW_BYTES_MAX {
            return Err(Refusal::Unsuited);
        }
    }
    drop(rows);
    let changed = if returns { returned.len() as u64 } else { sqlite.changes() };
    Ok(Done { changed, rows: returned })
}

fn datum(row: &Row<'_>, at: usize, bytes: &mut usize) -> Result<Datum, Refusal> {
    *bytes += VALUE_BYTES;
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Datum::Null,
        ValueRef::Integer(integer) => Datum::Integer(integer),
        ValueRef::Real(real) => Datum::Real(real),
        ValueRef::Text(text) => {
            *bytes += text.len();
            Datum::Text(std::str::from_utf8(text).map_err(|_invalid| Refusal::Failed)?.to_owned())
        }
        ValueRef::Blob(blob) => {
            *bytes += blob.len();
            Datum::Blob(blob.to_owned())
        }
    })
}

/// A value to bind.
struct Value<'a>(ValueRef<'a>);

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(self.0))
    }
}

/// A session's host as its job sees it: nothing waits.
struct BatchHost(Arc<dyn SessionHost>);

impl SessionHost for BatchHost {
    fn clock_us(&self) -> i64 {
        self.0.clock_us()
    }

    fn current_setting(&self, name: &str, missing_ok: bool) -> Result<Option<String>, SqlError> {
        self.0.current_setting(name, missing_ok)
    }

    fn nextval(&self, sequence: u32) -> Result<i64, SqlError> {
        self.0.nextval(sequence)
    }

    fn currval(&self, sequence: u32) -> Result<i64, SqlError> {
        self.0.currval(sequence)
    }

    fn lastval(&self) -> Result<i64, SqlError> {
        self.0.lastval()
    }

    fn notify(&self, channel: &str, payload: &str) -> Result<(), SqlError> {
        self.0.notify(channel, payload)
    }
}
