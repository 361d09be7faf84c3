//! What a statement became: types for the client, SQLite SQL for the engine.

use std::sync::{Arc, OnceLock};

use crate::do_block::DoBlock;
use crate::oid::Oid;
use crate::parse::ParsedStatement;
use crate::schema::SchemaStatement;

/// A bound and lowered statement, good for as long as the schema and the settings it was bound under hold.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Types of `$1`, `$2`, …
    pub parameters: Vec<Oid>,
    /// Result columns; `None` where the statement returns no rows (`NoData`), `Some(vec![])` for `SELECT` of nothing.
    pub columns: Option<Vec<ResultColumn>>,
    /// What to run.
    pub kind: PlanKind,
    /// What of the catalog the SQL reads, to be put in place before it runs.
    pub reads: CatalogReads,
    /// What of it is constant, to be computed before anything else.
    pub constants: Option<Constants>,
    /// What it was made of, where it may have to be made anew just before it runs (plans that write), or is shown (cursors,
    /// prepared statements).
    pub source: Option<Arc<ParsedStatement>>,
}

/// The constant expressions of a plan, whose errors are errors of planning.
#[derive(Clone, Debug)]
pub struct Constants {
    /// Yields one row of them.
    pub step: Step,
    /// Set once they have been computed without an error, which holds for as long as the plan does.
    pub computed: OnceLock<()>,
}

/// One result column, as `RowDescription` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    /// Output name.
    pub name: String,
    /// Type; a domain is reported as its base type.
    pub type_oid: Oid,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// `typlen` of the type.
    pub type_len: i16,
    /// Table that the column comes from unchanged, or 0.
    pub table_oid: Oid,
    /// Its attribute number there, or 0.
    pub attnum: i16,
}

/// Relations of `pg_catalog` and `information_schema` that a plan reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogReads {
    /// The catalog image (`crate::catalog`) must be attached.
    pub image: bool,
    /// Relations whose rows the server supplies at execution, such as `pg_stat_activity`; sorted, without duplicates.
    pub live: Vec<&'static str>,
}

/// The kinds of statement that the engine tells apart.
#[derive(Clone, Debug)]
pub enum PlanKind {
    /// Reads: one SQLite statement. The tag is `SELECT n`.
    Query(Step),
    /// Writes rows. Needs the write lease unless `writes_temporary_only`.
    Write(WritePlan),
    /// Changes the schema.
    Schema(Box<SchemaStatement>),
    /// Anything that the session does itself.
    Session(SessionStatement),
    /// An empty statement.
    Empty,
    /// A statement that does not hold up as things stand, and that PostgreSQL would look at only when it is run: then it is
    /// planned from its source, and its error, if it still has one, comes.
    Deferred,
}

impl Plan {
    /// The plan of a statement without parameters and columns that is to be planned when it is run.
    #[must_use]
    pub fn deferred(source: Arc<ParsedStatement>) -> Self {
        Self { kind: PlanKind::Deferred, source: Some(source), ..Self::empty() }
    }

    /// The plan of an empty statement.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            parameters: Vec::new(),
            columns: None,
            kind: PlanKind::Empty,
            reads: CatalogReads::default(),
            constants: None,
            source: None,
        }
    }
}

/// One SQLite statement. Its parameters are `?1`, `?2`, … for `$1`, `$2`, …; unused ones are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// SQLite SQL.
    pub sql: String,
}

/// A data-modifying statement.
#[derive(Clone, Debug)]
pub struct WritePlan {
    /// Run in order, inside one savepoint if there are several.
    pub steps: Vec<Step>,
    /// Index of the step that yields the `RETURNING` rows, if the statement returns rows.
    pub rows_from: Option<usize>,
    /// Indexes of the steps whose changed rows the command tag counts (with `RETURNING`: whose returned rows).
    pub count_from: Vec<usize>,
    /// Indexes of the steps whose rows are kept while the statement runs; later steps read them from `trellis_kept(index)`.
    pub kept: Vec<usize>,
    /// Sequences that start anew, by OID: `TRUNCATE … RESTART IDENTITY`.
    pub restarts: Vec<Oid>,
    /// Notices that come before the tag, in order.
    pub notices: Vec<String>,
    /// First word of the command tag.
    pub verb: WriteVerb,
    /// The table that is written, if it is one.
    pub target: Option<Oid>,
    /// Touches temporary tables only.
    pub writes_temporary_only: bool,
    /// `WHERE CURRENT OF`: the number of this row is one more parameter, after the client's.
    pub current_row: Option<CurrentRow>,
}

/// The row of a table that a cursor stands on.
#[derive(Clone, Debug)]
pub struct CurrentRow {
    /// Name of the cursor.
    pub cursor: String,
    /// The table.
    pub table: Oid,
    /// Name of the table, for errors.
    pub name: String,
}

/// What a [`WritePlan`]'s tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteVerb {
    /// `INSERT 0 n`.
    Insert,
    /// `UPDATE n`.
    Update,
    /// `DELETE n`.
    Delete,
    /// `MERGE n`.
    Merge,
    /// `TRUNCATE TABLE`.
    Truncate,
    /// `SELECT n`: a query with data-modifying CTEs.
    Select,
    /// `SELECT n`: a query that locks rows.
    Lock,
    /// `CALL`.
    Call,
}

/// A [`SessionStatement::Maintenance`].
#[derive(Clone, Debug)]
pub struct MaintenanceStatement {
    /// Command tag.
    pub tag: &'static str,
    /// What there is to run.
    pub steps: Vec<Step>,
    /// What must not stand in a transaction block, if this must not.
    pub alone: Option<&'static str>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Statements about the session, its transaction, its cursors and its settings.
#[derive(Clone, Debug)]
pub enum SessionStatement {
    /// `BEGIN`, `START TRANSACTION`.
    Begin {
        /// Modes.
        modes: TransactionModes,
        /// Command tag: which of the two it is.
        tag: &'static str,
    },
    /// `COMMIT`, `END`.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE SAVEPOINT name`.
    Release(String),
    /// `ROLLBACK TO SAVEPOINT name`.
    RollbackTo(String),
    /// `SET TRANSACTION …`.
    SetTransaction(TransactionModes),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION …`.
    SetSessionCharacteristics(TransactionModes),
    /// `SET [SESSION | LOCAL] name = value`; `None` is `DEFAULT`.
    Set {
        /// Setting name, lower-case.
        name: String,
        /// Values as text, more than one for list settings.
        value: Option<Vec<String>>,
        /// `SET LOCAL`.
        local: bool,
    },
    /// `SHOW name`; `None` is `SHOW ALL`.
    Show(Option<String>),
    /// `RESET name`; `None` is `RESET ALL`.
    Reset(Option<String>),
    /// `DISCARD ALL | PLANS | SEQUENCES | TEMPORARY`.
    Discard(DiscardTarget),
    /// `LISTEN channel`.
    Listen(String),
    /// `UNLISTEN channel`; `None` is `UNLISTEN *`.
    Unlisten(Option<String>),
    /// `NOTIFY channel [, payload]`.
    Notify {
        /// Channel.
        channel: String,
        /// Payload, empty if none was given.
        payload: String,
    },
    /// `PREPARE name [(types)] AS statement`.
    Prepare {
        /// Statement name.
        name: String,
        /// Declared parameter types; may be fewer than there are parameters.
        parameter_types: Vec<Oid>,
        /// Text of the statement to prepare.
        statement: String,
    },
    /// `EXECUTE name [(arguments)]`.
    Execute {
        /// Statement name.
        name: String,
        /// Argument expressions as text, each to be bound as `SELECT (expr)::type`.
        arguments: Vec<String>,
    },
    /// `DEALLOCATE name`; `None` is `ALL`.
    Deallocate(Option<String>),
    /// `DECLARE name CURSOR FOR query`.
    DeclareCursor(Box<DeclareStatement>),
    /// `FETCH` and `MOVE`.
    Fetch {
        /// Cursor name.
        cursor: String,
        /// How far.
        direction: FetchDirection,
        /// `MOVE`: position only.
        move_only: bool,
    },
    /// `CLOSE name`; `None` is `ALL`.
    CloseCursor(Option<String>),
    /// `COPY`.
    Copy(Box<CopyStatement>),
    /// `EXPLAIN`.
    Explain(Box<ExplainStatement>),
    /// `LOCK TABLE`: takes the write lease for modes that conflict with writers.
    LockTable {
        /// Whether the mode conflicts with writers.
        exclusive: bool,
        /// `NOWAIT`.
        nowait: bool,
    },
    /// `SET CONSTRAINTS … DEFERRED` of constraints that are so anyway: nothing to do.
    DeferConstraints,
    /// `SET CONSTRAINTS … IMMEDIATE`: these tables' deferred foreign keys are checked, by the tables' OIDs.
    CheckConstraints(Vec<Oid>),
    /// `DO`.
    Do(Box<DoBlock>),
    /// Maintenance that SQLite needs no or other care for: `VACUUM`, `ANALYZE`, `CHECKPOINT`, `REINDEX`, `CLUSTER`.
    Maintenance(MaintenanceStatement),
}

/// Modes in `BEGIN` and `SET TRANSACTION`; `None` where not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// Isolation level.
    pub isolation: Option<IsolationLevel>,
    /// `READ ONLY` is true, `READ WRITE` false.
    pub read_only: Option<bool>,
    /// `DEFERRABLE` is true.
    pub deferrable: Option<bool>,
}

/// PostgreSQL's isolation levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Treated as read committed, as in PostgreSQL.
    ReadUncommitted,
    /// A fresh snapshot for each statement.
    ReadCommitted,
    /// One snapshot for the transaction.
    RepeatableRead,
    /// One snapshot, and 40001 for what could not have happened serially.
    Serializable,
}

/// What `DISCARD` discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardTarget {
    /// Everything.
    All,
    /// Cached plans.
    Plans,
    /// Cached sequence values.
    Sequences,
    /// Temporary tables.
    Temporary,
}

/// How far `FETCH` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// `FORWARD n`; `NEXT` is 1; `ALL` is `i64::MAX`; negative is backward.
    Relative(i64),
    /// `FORWARD n` counted in rows returned; negative is `BACKWARD n`.
    Forward(i64),
    /// `ABSOLUTE n`; `FIRST` is 1, `LAST` -1.
    Absolute(i64),
}

/// `COPY`.
#[derive(Clone, Debug)]
pub struct CopyStatement {
    /// For `FROM STDIN` an `INSERT` with one parameter per column, typed as the columns; for `TO STDOUT` a query.
    pub plan: Plan,
    /// Names of the columns, for headers and messages.
    pub columns: Vec<String>,
    /// Table name for messages, empty for a query.
    pub relation: String,
    /// Direction.
    pub direction: CopyDirection,
    /// Format and its options.
    pub options: CopyOptions,
}

/// Direction of `COPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDirection {
    /// `FROM STDIN`.
    FromStdin,
    /// `TO STDOUT`.
    ToStdout,
}

/// Options of `COPY`, defaults filled in as PostgreSQL does (manual page `COPY`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Format.
    pub format: CopyFormat,
    /// One byte.
    pub delimiter: u8,
    /// Text that stands for NULL.
    pub null: String,
    /// First line is column names (csv, and text from PostgreSQL 15).
    pub header: CopyHeader,
    /// csv quote.
    pub quote: u8,
    /// csv escape.
    pub escape: u8,
    /// Columns always quoted on output, by index; all if `force_quote_all`.
    pub force_quote: Vec<usize>,
    /// `FORCE_QUOTE *`.
    pub force_quote_all: bool,
    /// Columns never matched against the null string, by index.
    pub force_not_null: Vec<usize>,
    /// Columns whose quoted values are matched against the null string, by index.
    pub force_null: Vec<usize>,
}

/// `HEADER` of `COPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyHeader {
    /// No header line.
    No,
    /// Written, or skipped.
    Yes,
    /// Must name the columns.
    Match,
}

/// Format of `COPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tab-separated, backslash escapes.
    Text,
    /// Comma-separated.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// `DECLARE`.
#[derive(Clone, Debug)]
pub struct DeclareStatement {
    /// Cursor name.
    pub name: String,
    /// The query; its parameters are those of the `DECLARE`.
    pub plan: Plan,
    /// The tables whose row numbers are the last columns of the query, not for the client.
    pub tables: Vec<Oid>,
    /// `SCROLL`, `NO SCROLL`, or neither.
    pub scroll: Option<bool>,
    /// `WITH HOLD`.
    pub hold: bool,
    /// `BINARY`.
    pub binary: bool,
}

/// `EXPLAIN`.
#[derive(Clone, Debug)]
pub struct ExplainStatement {
    /// The explained statement.
    pub plan: Plan,
    /// `ANALYZE`.
    pub analyze: bool,
    /// `VERBOSE`.
    pub verbose: bool,
    /// `FORMAT JSON`.
    pub json: bool,
    /// What `ANALYZE` tells of time.
    pub times: ExplainTimes,
}

/// What `EXPLAIN ANALYZE` tells of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainTimes {
    /// `TIMING`: how long the plan took, in its first line.
    pub timing: bool,
    /// `SUMMARY`: how long planning and execution took.
    pub summary: bool,
}
