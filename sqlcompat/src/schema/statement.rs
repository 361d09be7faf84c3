//! A DDL statement from binding to effect, and what the engine must provide and do.
//!
//! As in PostgreSQL, a DDL statement is analysed when it runs, against the schema of that moment: binding only keeps the
//! syntax tree and the session's names and settings. The engine, holding the write lease, then
//!
//! 1. calls [`SchemaStatement::apply`] with the current catalog and gets a [`SchemaChange`];
//! 2. runs `before`;
//! 3. upserts `rows` into `trellis_schema` and `temporary` into the session's own list (a dropped temporary row stays);
//! 4. builds the new catalog and runs [`materialize`](super::materialize())`(old, new)`;
//! 5. registers [`Catalog::store_tables`] with the store;
//! 6. runs `after`, and sends the notices and the tag.
//!
//! Any error undoes all of it: the engine wraps it in a savepoint.

use super::catalog::Catalog;
use super::row::SchemaRow;
use crate::bind::{BindContext, Parameters};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::parse::utility::{DdlStatement, SPECIAL_ROLES};
use crate::plan::CatalogReads;
use crate::settings::FormatSettings;

/// A bound DDL statement.
#[derive(Clone, Debug)]
pub struct SchemaStatement {
    pub(super) ddl: DdlStatement,
    pub(super) search_path: Vec<String>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) settings: FormatSettings,
}

/// What DDL asks of the engine while it is applied.
pub trait SchemaHost {
    /// Evaluates a SQLite expression without parameters, once, for a value that is kept in the schema: what older rows
    /// hold in a column that is added.
    ///
    /// # Errors
    /// The error of the expression.
    fn evaluate(&mut self, sql: &str) -> Result<Datum, SqlError>;
}

/// What a DDL statement changes. An empty one (`IF NOT EXISTS`) has a tag and notices only.
#[derive(Clone, Debug, Default)]
pub struct SchemaChange {
    /// Rows to upsert into `trellis_schema`, by id.
    pub rows: Vec<SchemaRow>,
    /// Rows to upsert into the session's temporary schema, by id.
    pub temporary: Vec<SchemaRow>,
    /// What of the catalog the steps read, to be put in place before they run.
    pub reads: CatalogReads,
    /// Steps on the old tables.
    pub before: Vec<SchemaStep>,
    /// Steps on the new tables.
    pub after: Vec<SchemaStep>,
    /// Command tag. With `counted`, the count is appended: `SELECT 3`.
    pub tag: String,
    /// Index in `after` of the step whose changed rows the tag counts.
    pub counted: Option<usize>,
    /// Notices, in order.
    pub notices: Vec<SchemaNotice>,
}

/// One SQLite statement of a schema change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaStep {
    /// Run it.
    Run(String),
    /// Run the query: if it yields a row, the statement fails with this error.
    RefuseIfAny {
        /// SQLite query.
        sql: String,
        /// The error.
        error: SqlError,
        /// What the row's columns are, to be told in the detail.
        key: Option<RefusedKey>,
    },
    /// Restart a sequence: the next `nextval` answers `value`.
    RestartSequence {
        /// OID of the sequence.
        sequence: crate::oid::Oid,
        /// The value.
        value: i64,
    },
}

/// A key of a row that a statement is refused for: `Key (columns)=(values) rest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// The columns, with commas.
    pub columns: String,
    /// Their types, as many as the query yields columns.
    pub types: Vec<crate::oid::Oid>,
    /// What is said of them.
    pub rest: String,
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaNotice {
    /// SQLSTATE.
    pub state: SqlState,
    /// Text.
    pub message: String,
    /// Detail, if any.
    pub detail: Option<String>,
}

/// Binds a DDL statement.
///
/// # Errors
/// 0A000 for a form of it that Trellis does not support.
pub fn bind_ddl(ddl: &DdlStatement, cx: &BindContext<'_>) -> Result<SchemaStatement, SqlError> {
    let mut ddl = ddl.clone();
    let mut search_path = cx.search_path.to_vec();
    if let DdlStatement::CreateSchema { name, elements, .. } = &mut ddl {
        if SPECIAL_ROLES.contains(&name.as_str()) {
            cx.user.clone_into(name);
        }
        if !elements.is_empty() {
            // What is made in the schema sees the others of its kind.
            search_path.insert(0, name.clone());
        }
    }
    Ok(SchemaStatement {
        ddl,
        search_path,
        user: cx.user.to_owned(),
        database: cx.database.to_owned(),
        settings: cx.settings.clone(),
    })
}

impl SchemaStatement {
    /// The names and settings that the statement's expressions are bound against.
    pub(super) fn bind_context<'a>(&'a self, catalog: &'a Catalog) -> BindContext<'a> {
        BindContext {
            catalog,
            search_path: &self.search_path,
            user: &self.user,
            database: &self.database,
            settings: &self.settings,
            parameters: Parameters::None,
        }
    }

    /// The statement's name as errors have it: `CREATE TABLE AS`.
    #[must_use]
    pub fn command(&self) -> String {
        match &self.ddl {
            DdlStatement::CreateSchema { .. } => "CREATE SCHEMA".to_owned(),
            DdlStatement::CreateTable(_) => "CREATE TABLE".to_owned(),
            DdlStatement::CreateTableAs(_) => "CREATE TABLE AS".to_owned(),
            DdlStatement::CreateIndex(_) => "CREATE INDEX".to_owned(),
            DdlStatement::CreateView(ast) if ast.materialized => {
                "CREATE MATERIALIZED VIEW".to_owned()
            }
            DdlStatement::CreateView(_) => "CREATE VIEW".to_owned(),
            DdlStatement::CreateSequence(_) => "CREATE SEQUENCE".to_owned(),
            DdlStatement::CreateEnum { .. }
            | DdlStatement::CreateComposite { .. }
            | DdlStatement::CreateRange(_) => "CREATE TYPE".to_owned(),
            DdlStatement::CreateDomain(_) => "CREATE DOMAIN".to_owned(),
            DdlStatement::CreateExtension { .. } => "CREATE EXTENSION".to_owned(),
            DdlStatement::CreateFunction(ast) => {
                format!("CREATE {}", ast.kind.noun().to_uppercase())
            }
            DdlStatement::DropRoutines { kind, .. } => {
                format!("DROP {}", kind.noun().to_uppercase())
            }
            DdlStatement::AlterRoutine(routine, _) => {
                format!("ALTER {}", routine.kind.noun().to_uppercase())
            }
            DdlStatement::Role(_) => "ROLE".to_owned(),
            DdlStatement::Drop { kind, .. } => format!("DROP {}", kind.tag()),
            DdlStatement::DropAbsent { tag, .. } => tag.clone(),
            DdlStatement::AlterTable(ast) => format!("ALTER {}", ast.kind.tag()),
            DdlStatement::Cluster(_) => "CLUSTER".to_owned(),
            DdlStatement::AlterSequence { .. } => "ALTER SEQUENCE".to_owned(),
            DdlStatement::AlterType(..) => "ALTER TYPE".to_owned(),
            DdlStatement::AlterDomain(..) => "ALTER DOMAIN".to_owned(),
            DdlStatement::AlterObject { kind, .. } => format!("ALTER {}", kind.tag()),
            DdlStatement::Comment { .. } => "COMMENT".to_owned(),
            DdlStatement::RefreshView { .. } => "REFRESH MATERIALIZED VIEW".to_owned(),
        }
    }

    /// What must not stand in a transaction block, if this statement must not.
    #[must_use]
    pub fn alone(&self) -> Option<&'static str> {
        self.ddl.alone()
    }

    /// Computes what the statement changes. Nothing is changed yet.
    ///
    /// # Errors
    /// What PostgreSQL reports; 0A000 for what Trellis does not support.
    pub fn apply(
        &self,
        catalog: &Catalog,
        host: &mut dyn SchemaHost,
    ) -> Result<SchemaChange, SqlError> {
        super::change::apply(self, catalog, host)
    }
}
