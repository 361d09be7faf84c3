//! Translation scripts in `testscripts/bind` and `testscripts/lower`.
//!
//! `> statement` prints a statement's parameter types, result columns and SQLite text, or its error; DDL is applied instead.
//! `run:> statement` runs it on SQLite with the function library and prints its rows in PostgreSQL's text form.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use trellis_sqlcompat::bind::resolve::Types;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::functions::{SessionContext, register};
use trellis_sqlcompat::plan::{Plan, PlanKind, ResultColumn, Step};
use trellis_sqlcompat::schema::{Catalog, SchemaHost, SchemaStatement, TableStep, materialize};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::types::{NoNames, TypeContext, encode_text};
use trellis_sqlcompat::{Datum, DatumRef, SqlError, parse};

/// One session: its schema and its tables.
struct Session {
    catalog: Catalog,
    search_path: Vec<String>,
    settings: FormatSettings,
    sqlite: Connection,
    functions: SessionContext,
}

/// No script changes a table that has rows.
struct NoRows;

impl SchemaHost for NoRows {
    fn evaluate(&mut self, _: &str) -> Result<Datum, SqlError> {
        Ok(Datum::Null)
    }
}

impl Session {
    fn new() -> Self {
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
            catalog: Catalog::from_rows([]),
            search_path: vec!["public".to_owned()],
            settings: FormatSettings::default(),
            sqlite,
            functions,
        }
    }

    fn plan(&self, sql: &str) -> Result<Plan, SqlError> {
        let cx = BindContext {
            catalog: &self.catalog,
            search_path: &self.search_path,
            user: "alice",
            database: "app",
            settings: &self.settings,
            parameters: Parameters::Inferred(&[]),
        };
        let statement = parse::split(sql)?.pop().expect("a statement");
        bind::plan(&statement, &cx)
    }

    /// Applies DDL to the schema and to SQLite.
    fn define(&mut self, statement: &SchemaStatement) -> Result<String, SqlError> {
        let change = statement.apply(&self.catalog, &mut NoRows)?;
        let mut rows = self.catalog.rows.clone();
        rows.extend(change.rows.into_iter().map(|row| (row.id, row)));
        let new = Catalog::from_rows(rows.into_values());
        for sql in materialize(&self.catalog, &new)?.iter().map(TableStep::sql) {
            self.sqlite.execute_batch(&sql).expect("DDL for SQLite");
        }
        self.catalog = new;
        Ok(format!("{}\n", change.tag))
    }

    fn translate(&mut self, sql: &str) -> Result<String, SqlError> {
        let plan = self.plan(sql)?;
        if let PlanKind::Schema(statement) = &plan.kind {
            return self.define(statement);
        }
        let types = Types::new(&self.catalog, &self.search_path);
        let mut output = String::new();
        if !plan.parameters.is_empty() {
            let names: Vec<_> = plan.parameters.iter().map(|oid| types.format(*oid)).collect();
            writeln!(output, "parameters: {}", names.join(", "))
                .expect("a String takes everything");
        }
        if let Some(columns) = &plan.columns {
            let describe = |column: &ResultColumn| {
                let type_name = types.format_with_typmod(column.type_oid, column.typmod);
                format!("{} {type_name}", column.name)
            };
            let columns: Vec<_> = columns.iter().map(describe).collect();
            writeln!(output, "columns: {}", columns.join(", ")).expect("a String takes everything");
        }
        for step in steps(&plan.kind) {
            writeln!(output, "{}", step.sql).expect("a String takes everything");
            // What SQLite cannot prepare is no translation.
            self.sqlite.prepare(&step.sql).unwrap_or_else(|error| panic!("{}: {error}", step.sql));
        }
        Ok(output)
    }

    fn execute(&self, sql: &str) -> Result<String, SqlError> {
        let plan = self.plan(sql)?;
        let columns = plan.columns.clone().unwrap_or_default();
        let mut output = String::new();
        for step in steps(&plan.kind) {
            match self.rows(step, &columns) {
                Ok(rows) => output.push_str(&rows),
                Err(error) => {
                    let error = self
                        .functions
                        .take_error()
                        .map_or_else(|| format!("SQLite: {error}"), |error| describe(&error));
                    writeln!(output, "{error}").expect("a String takes everything");
                }
            }
        }
        Ok(output)
    }

    fn rows(&self, step: &Step, columns: &[ResultColumn]) -> rusqlite::Result<String> {
        let cx = TypeContext { settings: &self.settings, names: &NoNames, now_us: 0 };
        let mut statement = self.sqlite.prepare(&step.sql)?;
        let mut rows = statement.raw_query();
        let mut output = String::new();
        while let Some(row) = rows.next()? {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    output.push('|');
                }
                let mut text = Vec::new();
                let value = datum(row.get_ref(index)?);
                if value == DatumRef::Null {
                    output.push_str("NULL");
                    continue;
                }
                encode_text(column.type_oid, value, &cx, &mut text).expect("a value of its type");
                output.push_str(&String::from_utf8_lossy(&text));
            }
            output.push('\n');
        }
        Ok(output)
    }
}

fn datum(value: ValueRef<'_>) -> DatumRef<'_> {
    match value {
        ValueRef::Null => DatumRef::Null,
        ValueRef::Integer(value) => DatumRef::Integer(value),
        ValueRef::Real(value) => DatumRef::Real(value),
        ValueRef::Text(text) => DatumRef::Text(std::str::from_utf8(text).expect("text is UTF-8")),
        ValueRef::Blob(blob) => DatumRef::Blob(blob),
    }
}

fn steps(kind: &PlanKind) -> &[Step] {
    match kind {
        PlanKind::Query(step) => std::slice::from_ref(step),
        PlanKind::Write(write) => &write.steps,
        PlanKind::Schema(_) | PlanKind::Session(_) | PlanKind::Empty => &[],
    }
}

/// An error in one line.
fn describe(error: &SqlError) -> String {
    let mut line = format!("ERROR {} {}", error.state, error.message);
    let parts = [
        ("position", error.position.map(|it| it.to_string())),
        ("detail", error.detail.clone()),
        ("hint", error.hint.clone()),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            write!(line, " [{name}: {value}]").expect("a String takes everything");
        }
    }
    line
}

impl goldenscript::Runner for Session {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &goldenscript::Command,
        context: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        let result = match context.prefix.as_deref() {
            Some("run") => self.execute(&command.name),
            _ => self.translate(&command.name),
        };
        Ok(result.unwrap_or_else(|error| format!("{}\n", describe(&error))))
    }
}

fn run_all(directory: &str) {
    let mut scripts: Vec<_> = std::fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .expect("the directory of scripts");
    scripts.sort();
    for path in scripts {
        goldenscript::run(&mut Session::new(), &path)
            .unwrap_or_else(|error| panic!("{}: {error}", Path::display(&path)));
    }
}

#[test]
fn bind_scripts() {
    run_all("testscripts/bind");
}

#[test]
fn lower_scripts() {
    run_all("testscripts/lower");
}

/// Random bytes and mutated statements through parse, bind and lower: an answer or an error, never a panic.
#[test]
fn arbitrary_text_never_panics() {
    let session = Session::new();
    let seeds = [
        "SELECT a, count(*) FROM (VALUES (1), (2)) v(a) GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
        "SELECT $1::int[] @> ARRAY[1,2], (1,2) = (3,4), 'x' LIKE 'y%' ESCAPE '!' FROM pg_class c",
        "SELECT CASE WHEN true THEN 1.5 ELSE NULL END, interval '1 day', x[1] FROM unnest(ARRAY[1]) x",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for round in 0..2_000 {
        let mut words: Vec<&str> = seeds[round % seeds.len()].split(' ').collect();
        for _ in 0..=random(3) {
            let (from, to) = (random(words.len()), random(words.len()));
            match random(3) {
                0 => words.swap(from, to),
                1 => words.insert(to, words[from]),
                _ => drop(words.remove(from)),
            }
        }
        let text = words.join(" ");
        if let Ok(statements) = parse::split(&text)
            && !statements.is_empty()
        {
            let _ = session.plan(&text);
        }
    }
}

/// Nesting and chains at the bounds give 54001 instead of a stack overflow.
#[test]
fn deep_nesting_is_refused() {
    let session = Session::new();
    let nested = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(parse::split(&nested).unwrap_err().state.as_str(), "54001");
    let chain = format!("SELECT 1{}", " + 1".repeat(4_000));
    assert_eq!(session.plan(&chain).unwrap_err().state.as_str(), "54001");
    let wide = format!("SELECT 1 WHERE true{}", " OR true".repeat(3_000));
    assert!(session.plan(&wide).is_ok());
}
