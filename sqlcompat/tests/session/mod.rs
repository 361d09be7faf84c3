//! One session over an SQLite database in memory: its schema, its tables, and plans for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use trellis_sqlcompat::bind::{BindContext, Parameters};
use trellis_sqlcompat::functions::{SessionContext, register, register_enums};
use trellis_sqlcompat::plan::{PlanKind, Step};
use trellis_sqlcompat::schema::{Catalog, SchemaHost, SchemaStatement, SchemaStep, materialize};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, DatumRef, SqlError, SqlState};

/// One session: its schema and its tables.
pub(crate) struct Session {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) search_path: Vec<String>,
    pub(crate) settings: FormatSettings,
    pub(crate) sqlite: Connection,
    pub(crate) functions: SessionContext,
}

/// Computes what a schema change keeps of an expression.
struct Evaluation<'a> {
    sqlite: &'a Connection,
    functions: &'a SessionContext,
}

impl SchemaHost for Evaluation<'_> {
    fn evaluate(&mut self, sql: &str) -> Result<Datum, SqlError> {
        let value = self.sqlite.query_row(&format!("SELECT {sql}"), [], |row| {
            row.get_ref(0).map(|value| datum(value).to_datum())
        });
        value.map_err(|error| {
            let own = self.functions.take_error();
            own.unwrap_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))
        })
    }
}

impl Session {
    pub(crate) fn new() -> Self {
        let sqlite = Connection::open_in_memory().expect("a database in memory");
        let functions = SessionContext::default();
        register(&sqlite, &functions).expect("the function library");
        // The engine's, which gives out the hidden keys of rows.
        let keys = AtomicI64::new(1);
        let next = move |_: &Context<'_>| Ok(keys.fetch_add(1, Ordering::Relaxed));
        let flags = FunctionFlags::SQLITE_UTF8;
        let registered = sqlite.create_scalar_function("trellis_unique_id", 0, flags, next);
        registered.expect("a function of the engine");
        Self {
            catalog: Arc::new(Catalog::from_rows([])),
            search_path: vec!["public".to_owned()],
            settings: FormatSettings::default(),
            sqlite,
            functions,
        }
    }

    pub(crate) fn context(&self) -> BindContext<'_> {
        BindContext {
            catalog: &self.catalog,
            search_path: &self.search_path,
            user: "alice",
            database: "app",
            settings: &self.settings,
            parameters: Parameters::Inferred(&[]),
        }
    }

    /// Applies DDL to the schema and to SQLite; the command tag.
    pub(crate) fn define(&mut self, statement: &SchemaStatement) -> Result<String, SqlError> {
        let mut host = Evaluation { sqlite: &self.sqlite, functions: &self.functions };
        let change = statement.apply(&self.catalog, &mut host)?;
        let mut rows = self.catalog.rows.clone();
        rows.extend(change.rows.into_iter().map(|row| (row.id, row)));
        let replicated = Catalog::from_rows(rows.into_values());
        let new = match change.temporary.is_empty() {
            true => Arc::new(replicated),
            false => Arc::new(replicated.with_temporary(change.temporary)),
        };
        register_enums(&self.sqlite, Some(&self.catalog), &new).expect("collations of enums");
        let run = |sql: &str| self.sqlite.execute_batch(sql).map_err(|error| internal(&error));
        let run_all = |steps: &[SchemaStep]| {
            steps.iter().try_for_each(|step| match step {
                SchemaStep::Run(sql) => run(sql),
                SchemaStep::RefuseIfAny { .. } | SchemaStep::RestartSequence { .. } => Ok(()),
            })
        };
        run_all(&change.before)?;
        materialize(&self.catalog, &new)?.iter().try_for_each(|step| run(&step.sql()))?;
        run_all(&change.after)?;
        self.functions.update(|state| state.catalog = Arc::clone(&new));
        self.catalog = new;
        Ok(change.tag)
    }
}

fn internal(error: &rusqlite::Error) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, error.to_string())
}

pub(crate) fn datum(value: ValueRef<'_>) -> DatumRef<'_> {
    match value {
        ValueRef::Null => DatumRef::Null,
        ValueRef::Integer(value) => DatumRef::Integer(value),
        ValueRef::Real(value) => DatumRef::Real(value),
        ValueRef::Text(text) => DatumRef::Text(std::str::from_utf8(text).expect("text is UTF-8")),
        ValueRef::Blob(blob) => DatumRef::Blob(blob),
    }
}

/// What a plan runs on SQLite.
pub(crate) fn steps(kind: &PlanKind) -> &[Step] {
    match kind {
        PlanKind::Query(step) => std::slice::from_ref(step),
        PlanKind::Write(write) => &write.steps,
        PlanKind::Schema(_) | PlanKind::Session(_) | PlanKind::Empty | PlanKind::Deferred => &[],
    }
}
