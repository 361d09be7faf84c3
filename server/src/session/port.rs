//! What a session needs of the database: the port between the protocol's state machine and the engine.
//!
//! The session decides *when* a transaction begins, fails and ends, in PostgreSQL's terms; the engine decides what that
//! means in SQLite. A transaction is *open* between [`Engine::begin`] and [`Engine::commit`] or [`Engine::rollback`];
//! every statement runs inside an open one.

use std::sync::Arc;
use std::time::Duration;

use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::parse::ParsedStatement;
use trellis_sqlcompat::plan::{IsolationLevel, Plan, Step, WritePlan};
use trellis_sqlcompat::schema::{Catalog, SchemaStatement};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, DatumRef, Oid, SqlError};

/// What binding and running depend on, besides the schema.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `search_path` as names.
    pub search_path: Vec<String>,
    /// Current user.
    pub user: String,
    /// Session user.
    pub session_user: String,
    /// Database name.
    pub database: String,
    /// How values are read and written.
    pub format: Arc<FormatSettings>,
    /// Process id told to the client.
    pub pid: u32,
}

/// How a transaction may behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionMode {
    /// Isolation level.
    pub isolation: IsolationLevel,
    /// Refuses writes.
    pub read_only: bool,
    /// `DEFERRABLE`: kept and shown; no transaction here waits for a safe snapshot.
    pub deferrable: bool,
}

/// Rows of a plan that is being run.
pub trait Rows {
    /// Steps to the next row; `false` at the end.
    ///
    /// # Errors
    /// Whatever evaluating the row raised.
    fn next(&mut self) -> Result<bool, SqlError>;

    /// A column of the row that `next` stepped to.
    fn column(&self, index: usize) -> DatumRef<'_>;

    /// How many columns the rows have, those that only the engine reads included.
    fn width(&self) -> usize;
}

/// Whether plans made before the writer was taken still hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanState {
    /// They do, and will until the transaction ends.
    Current,
    /// The schema has moved: they are to be made anew, and will hold then.
    Moved,
}

/// What a schema change came to.
#[derive(Clone, Debug, Default)]
pub struct SchemaOutcome {
    /// Command tag.
    pub tag: String,
    /// Notices, in order.
    pub notices: Vec<SqlError>,
}

/// Notifications, oldest first, and the position up to which others were lost.
pub type Notifications = (std::collections::VecDeque<crate::feed::Notification>, Option<u64>);

/// What takes the rows of `RETURNING`. It may keep what it needs; the row is gone afterwards.
pub type RowVisitor<'a> = &'a mut dyn FnMut(&dyn Rows) -> Result<(), SqlError>;

/// One session's access to the database.
pub trait Engine {
    /// An open result.
    type Rows: Rows;

    /// Parses, binds and lowers a statement against the schema that the session sees.
    ///
    /// # Errors
    /// As `trellis_sqlcompat::bind::plan`.
    fn plan(
        &mut self,
        statement: &Arc<ParsedStatement>,
        parameters: Parameters<'_>,
        environment: &Environment,
    ) -> Result<Arc<Plan>, SqlError>;

    /// Splits and parses a string, from a cache if it has been seen before.
    ///
    /// # Errors
    /// As `trellis_sqlcompat::parse::split`.
    fn parse(&mut self, sql: &str) -> Result<Arc<[Arc<ParsedStatement>]>, SqlError>;

    /// Moves whenever a plan might no longer hold.
    fn schema_epoch(&self) -> u64;

    /// The schema that the session sees.
    fn catalog(&self) -> Arc<Catalog>;

    /// Opens a transaction. `now_us` is its time, microseconds since 2000-01-01.
    fn begin(&mut self, mode: TransactionMode, environment: &Environment, now_us: i64);

    /// Changes the modes of the open transaction, in which nothing has been read or written.
    fn set_mode(&mut self, mode: TransactionMode);

    /// A statement begins: its time, and what it depends on.
    fn begin_statement(&mut self, environment: &Environment, now_us: i64);

    /// The statement has ended: a cancel that comes from here on stops nothing.
    fn end_statement(&mut self);

    /// The session has waited `time` more for its client, to read what is sent or to say something: lets others write, and
    /// old snapshots end, if it has kept them long enough.
    ///
    /// # Errors
    /// 40001 if the transaction was lost by that, 57014 if the statement is to stop; results under way are then to be
    /// closed.
    fn wait_for_client(&mut self, time: Duration) -> Result<(), SqlError>;

    /// Goes on with the open transaction, before a result in it is read further.
    ///
    /// # Errors
    /// Why the transaction is lost, if it is.
    fn resume(&mut self) -> Result<(), SqlError>;

    /// Supplies the rows of a live catalog relation that only the session knows, for the statements that follow.
    ///
    /// # Errors
    /// Storage errors.
    fn supply_live(&mut self, name: &'static str, rows: Vec<Vec<Datum>>) -> Result<(), SqlError>;

    /// Opens a query.
    ///
    /// # Errors
    /// Whatever the query raised before its first row.
    fn open(
        &mut self,
        plan: &Plan,
        step: &Step,
        parameters: &[Datum],
    ) -> Result<Self::Rows, SqlError>;

    /// Runs a data-modifying statement to its end, showing its result rows to `visit`, and counts them or the rows changed.
    ///
    /// # Errors
    /// Whatever the statement raised; the statement then changed nothing.
    fn write(
        &mut self,
        plan: &Plan,
        write: &WritePlan,
        parameters: &[Datum],
        visit: RowVisitor<'_>,
    ) -> Result<u64, SqlError>;

    /// Runs a data-modifying statement that is all there is to the open transaction, and commits that; other sessions'
    /// may be committed with it. `None` if it has to be run and committed the ordinary way, nothing having been done.
    ///
    /// # Errors
    /// What `visit` says; the transaction is committed all the same.
    fn write_alone(
        &mut self,
        plan: &Plan,
        write: &WritePlan,
        parameters: &[Datum],
        durable: bool,
        visit: RowVisitor<'_>,
    ) -> Result<Option<u64>, SqlError> {
        let _ = (plan, write, parameters, durable, visit);
        Ok(None)
    }

    /// Runs a schema change.
    ///
    /// # Errors
    /// Whatever it raised; the schema is then as before.
    fn change_schema(
        &mut self,
        statement: &SchemaStatement,
        parameters: &[Datum],
    ) -> Result<SchemaOutcome, SqlError>;

    /// The query plan of a plan's statements, as lines of text.
    ///
    /// # Errors
    /// Whatever preparing them raised.
    fn explain(&mut self, plan: &Plan) -> Result<Vec<String>, SqlError>;

    /// Checks the deferred foreign keys of tables.
    ///
    /// # Errors
    /// 23503 for the first that is violated.
    fn check_deferred(&mut self, tables: &[Oid]) -> Result<(), SqlError>;

    /// Makes the open transaction the node's one writer, before a plan that writes is run.
    ///
    /// # Errors
    /// 55P03 if the writer was not to be had in time, 57014 if cancelled, 40001 if what the transaction has seen is too
    /// old to write on.
    fn take_writer(&mut self) -> Result<PlanState, SqlError>;

    /// Takes the write lease, for statements that lock without writing.
    ///
    /// # Errors
    /// 55P03 if it was not to be had in time, 57014 if cancelled, 25006 in a read-only transaction.
    fn lock(&mut self, nowait: bool) -> Result<(), SqlError>;

    /// Runs maintenance statements as the node's writer.
    ///
    /// # Errors
    /// As [`Self::take_writer`], and whatever they raised.
    fn maintain(&mut self, steps: &[Step]) -> Result<(), SqlError>;

    /// Has the write-ahead log copied into the database, without waiting for it.
    fn checkpoint(&mut self);

    /// Sets savepoint number `depth` (from 0, one more than those that exist).
    ///
    /// # Errors
    /// Storage errors.
    fn savepoint(&mut self, depth: usize) -> Result<(), SqlError>;

    /// Returns to savepoint `depth`, which stays; deeper ones are gone.
    ///
    /// # Errors
    /// Storage errors; the transaction is then lost as a whole.
    fn rollback_to(&mut self, depth: usize) -> Result<(), SqlError>;

    /// Forgets savepoint `depth` and deeper ones; what they did stays.
    ///
    /// # Errors
    /// Storage errors.
    fn release(&mut self, depth: usize) -> Result<(), SqlError>;

    /// Adds a notification to the transaction.
    ///
    /// # Errors
    /// Storage errors; 25006 in a read-only transaction cannot happen, PostgreSQL allows it there.
    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), SqlError>;

    /// Commits; with `durable`, returns only when the commit has reached the disk.
    ///
    /// # Errors
    /// What the commit raised (deferred constraints, disk); the transaction is then rolled back.
    fn commit(&mut self, durable: bool) -> Result<(), SqlError>;

    /// Rolls back. Never fails: what is left to undo is undone when the connection is next used.
    fn rollback(&mut self);

    /// Replaces the set of channels whose notifications the session gets.
    fn listen(&mut self, channels: &[String]);

    /// Takes the notifications that have come for the session; the position up to which more were lost, if any were.
    fn poll_notifications(&mut self) -> Notifications;

    /// `DISCARD`: drops temporary tables.
    ///
    /// # Errors
    /// Storage errors.
    fn discard_temporary(&mut self) -> Result<(), SqlError>;

    /// Forgets which values of sequences the session was given.
    fn discard_sequences(&mut self);
}
