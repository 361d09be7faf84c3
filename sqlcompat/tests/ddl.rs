//! Runs the DDL scripts in `testscripts/ddl`: each statement's tag, notices, changed rows, and what SQLite is told.
//!
//! Commands: `> statement` applies a statement; `sqlite:> statement` runs SQLite's SQL as it stands and prints rows or the
//! error as PostgreSQL words it; `store` prints what the store would register. After every statement the tables are
//! compared with those that a node would make that gets all rows at once, and statements are run on real SQLite.
//! Object ids are printed as `#name`.

use std::error::Error;
use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::functions::{SessionContext, register};
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::{
    Catalog, SchemaChange, SchemaHost, SchemaRow, SchemaStep, TableStep, constraint_error,
    materialize,
};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, SqlError, parse};

/// One node: its rows and its tables.
struct Node {
    catalog: Catalog,
    sqlite: Connection,
    session: SessionContext,
}

/// Evaluates on the node's own connection.
struct Host<'a>(&'a Connection);

impl SchemaHost for Host<'_> {
    fn evaluate(&mut self, sql: &str) -> Result<Datum, SqlError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(match row.get_ref(0)? {
                ValueRef::Null => Datum::Null,
                ValueRef::Integer(value) => Datum::Integer(value),
                ValueRef::Real(value) => Datum::Real(value),
                ValueRef::Text(text) => Datum::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(blob) => Datum::Blob(blob.to_vec()),
            })
        };
        let found = self.0.query_row(&format!("SELECT {sql}"), [], read);
        found.map_err(SqlError::unsupported)
    }
}

/// An empty database with the functions that tables need.
fn open() -> Connection {
    let sqlite = Connection::open_in_memory().expect("a database in memory");
    sqlite.pragma_update(None, "foreign_keys", true).expect("a setting of SQLite");
    sqlite
}

impl Node {
    fn new() -> Self {
        let sqlite = open();
        let session = SessionContext::default();
        register(&sqlite, &session).expect("the function library");
        sqlite
            .create_scalar_function(
                "trellis_unique_id",
                0,
                rusqlite::functions::FunctionFlags::SQLITE_UTF8,
                {
                    let next = std::sync::atomic::AtomicI64::new(1);
                    move |_| Ok(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                },
            )
            .expect("a function of this test");
        Self { catalog: Catalog::from_rows([]), sqlite, session }
    }

    /// Runs one PostgreSQL statement.
    fn execute(&mut self, sql: &str) -> Result<String, SqlError> {
        let statements = parse::split(sql)?;
        let mut output = String::new();
        for statement in &statements {
            let search_path = ["public".to_owned()];
            let context = BindContext {
                catalog: &self.catalog,
                search_path: &search_path,
                user: "postgres",
                database: "app",
                settings: &FormatSettings::default(),
                parameters: Parameters::Inferred(&[]),
            };
            let plan = bind::plan(statement, &context)?;
            let PlanKind::Schema(schema) = plan.kind else {
                return Err(SqlError::unsupported("anything but DDL in these scripts"));
            };
            let before = self.catalog.clone();
            self.sqlite.execute_batch("SAVEPOINT statement").expect("a savepoint");
            let change = schema.apply(&self.catalog, &mut Host(&self.sqlite));
            let performed = change.and_then(|change| self.perform(change, &mut output));
            if performed.is_err() {
                self.sqlite.execute_batch("ROLLBACK TO statement").expect("the savepoint");
                self.catalog = before;
            }
            self.sqlite.execute_batch("RELEASE statement").expect("the savepoint");
            performed?;
        }
        Ok(output)
    }

    /// Does what the engine does with a change.
    fn perform(&mut self, change: SchemaChange, output: &mut String) -> Result<(), SqlError> {
        self.steps(&change.before, output)?;
        let changed: Vec<SchemaRow> =
            change.rows.iter().chain(&change.temporary).cloned().collect();
        let new = self.catalog.with_temporary(changed.clone());
        let names = Names::new(&new);
        for row in &changed {
            let dropped = if row.dropped { " dropped" } else { "" };
            let definition = names.replace(&row.definition);
            writeln!(output, "{}{dropped} {} {definition}", row.kind.as_str(), row.name)
                .expect("a String takes everything");
        }
        for sql in materialize(&self.catalog, &new)?.iter().map(TableStep::sql) {
            writeln!(output, "| {}", names.replace(&sql)).expect("a String takes everything");
            let run = self.sqlite.execute_batch(&sql);
            run.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        self.catalog = new;
        self.steps(&change.after, output)?;
        for notice in change.notices {
            let detail = notice.detail.map(|it| format!(" ({it})")).unwrap_or_default();
            writeln!(output, "NOTICE {} {}{detail}", notice.state, notice.message)
                .expect("a String takes everything");
        }
        writeln!(output, "{}", change.tag).expect("a String takes everything");
        self.compare_with_fresh();
        Ok(())
    }

    /// The error that a function raised, or SQLite's in PostgreSQL's words.
    fn error(&self, error: rusqlite::Error) -> SqlError {
        match (self.session.take_error(), error) {
            (Some(raised), _) => raised,
            (None, rusqlite::Error::SqliteFailure(code, Some(message))) => {
                constraint_error(&message, code.extended_code, &self.catalog)
            }
            (None, other) => SqlError::unsupported(other),
        }
    }

    fn steps(&mut self, steps: &[SchemaStep], output: &mut String) -> Result<(), SqlError> {
        for step in steps {
            match step {
                SchemaStep::Run(sql) => {
                    writeln!(output, "run {sql}").expect("a String takes everything");
                    let run = self.sqlite.execute_batch(sql);
                    run.map_err(|error| self.error(error))?;
                }
                SchemaStep::RefuseIfAny { sql, error, key: _ } => {
                    writeln!(output, "refuse if {sql}").expect("a String takes everything");
                    let mut found = self.sqlite.prepare(sql).expect("a query of the schema");
                    if found.exists([]).expect("rows or none") {
                        return Err(error.clone());
                    }
                }
                SchemaStep::RestartSequence { value, .. } => {
                    writeln!(output, "restart at {value}").expect("a String takes everything");
                }
            }
        }
        Ok(())
    }

    /// A node that gets all rows at once must have the same tables.
    fn compare_with_fresh(&self) {
        let fresh = open();
        register(&fresh, &self.session).expect("the function library");
        let steps = materialize(&Catalog::default(), &self.catalog);
        for step in steps.expect("the tables of a fresh node") {
            let sql = step.sql();
            fresh.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        for table in self.catalog.tables.values() {
            let info = |connection: &Connection| {
                let sql = format!(
                    "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '') || pk \
                     FROM pragma_table_xinfo('{}') ORDER BY 1",
                    table.physical_name.replace('\'', "''")
                );
                let mut statement = connection.prepare(&sql).expect("a query of columns");
                let rows = statement.query_map([], |row| row.get::<_, String>(0));
                let rows: Result<Vec<_>, _> = rows.expect("no parameters").collect();
                rows.expect("columns as text")
            };
            assert_eq!(info(&self.sqlite), info(&fresh), "table {}", table.name);
        }
        let check: String =
            self.sqlite.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("one row");
        assert_eq!(check, "ok");
    }

    /// Runs SQLite's SQL.
    fn sqlite(&self, sql: &str) -> Result<String, Box<dyn Error>> {
        let mut output = String::new();
        let result = (|| {
            let mut statement = self.sqlite.prepare(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values = (0..columns).map(|index| match row.get_ref(index)? {
                    ValueRef::Null => Ok("NULL".to_owned()),
                    ValueRef::Integer(value) => Ok(value.to_string()),
                    ValueRef::Real(value) => Ok(value.to_string()),
                    ValueRef::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(blob) => Ok(format!("{blob:?}")),
                });
                let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
                writeln!(output, "{}", values.join("|")).expect("a String takes everything");
            }
            Ok(())
        })();
        match result {
            Ok(()) => Ok(Names::new(&self.catalog).replace(&output)),
            Err(error) => Ok(format!("{}\n", describe(&self.error(error)))),
        }
    }
}

/// Object ids with the names that scripts show for them.
struct Names(Vec<(String, String)>);

impl Names {
    fn new(catalog: &Catalog) -> Self {
        let names = catalog.rows.values();
        let mut names: Vec<_> = names
            .flat_map(|row| {
                let name = format!("#{}", row.name);
                [(row.id.0.to_string(), name.clone()), (row.id.0.cast_unsigned().to_string(), name)]
            })
            .collect();
        names.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
        Self(names)
    }

    fn replace(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }
}

/// An error in one line.
fn describe(error: &SqlError) -> String {
    let mut line = format!("ERROR {} {}", error.state, error.message);
    let object = &error.object;
    let parts = [
        ("position", error.position.map(|it| it.to_string())),
        ("detail", error.detail.clone()),
        ("hint", error.hint.clone()),
        ("table", object.table.clone()),
        ("column", object.column.clone()),
        ("constraint", object.constraint.clone()),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            write!(line, " [{name}: {value}]").expect("a String takes everything");
        }
    }
    line
}

impl goldenscript::Runner for Node {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &goldenscript::Command,
        context: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        if context.prefix.as_deref() == Some("sqlite") {
            return self.sqlite(&command.name);
        }
        if command.name == "store" {
            let tables = self.catalog.store_tables();
            let lines = tables.iter().map(|table| {
                let names: Vec<_> = table.columns.iter().map(|(_, name)| name.as_str()).collect();
                let key: Vec<_> = table
                    .key
                    .iter()
                    .filter_map(|id| table.columns.iter().find(|(it, _)| it == id))
                    .map(|(_, name)| name.as_str())
                    .collect();
                format!("{} ({}) key ({})\n", table.physical_name, names.join(", "), key.join(", "))
            });
            return Ok(lines.collect());
        }
        match self.execute(&command.name) {
            Ok(output) => Ok(output),
            Err(error) => Ok(format!("{}\n", describe(&error))),
        }
    }
}

#[test]
fn scripts() {
    let mut scripts: Vec<_> =
        std::fs::read_dir("testscripts/ddl").unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    for path in scripts {
        goldenscript::run(&mut Node::new(), &path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// What is edited in the stored text of a table is seen by connections that were open before, and after a rollback is not.
#[test]
fn edits_of_the_stored_text_reach_other_connections() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    let reader = Connection::open(&path).unwrap();
    let mut node = Node { sqlite: writer, ..Node::new() };
    node.execute("CREATE TABLE t (id int PRIMARY KEY, a int)").unwrap();
    let insert = "INSERT INTO t VALUES (1, NULL)";
    reader.execute(insert, []).unwrap();
    reader.execute("DELETE FROM t", []).unwrap();

    let before = node.catalog.clone();
    node.sqlite.execute_batch("BEGIN").unwrap();
    node.execute("ALTER TABLE t ALTER a SET NOT NULL").unwrap();
    assert!(node.sqlite.execute(insert, []).is_err());
    node.sqlite.execute_batch("ROLLBACK").unwrap();
    node.catalog = before;
    node.sqlite.execute(insert, []).unwrap();
    node.sqlite.execute("DELETE FROM t", []).unwrap();

    node.execute("ALTER TABLE t ALTER a SET NOT NULL").unwrap();
    assert!(reader.execute(insert, []).is_err());
    assert!(Connection::open(&path).unwrap().execute(insert, []).is_err());
}
