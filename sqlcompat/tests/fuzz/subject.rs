//! What a text is run through: parse, bind, lower, and SQLite, over a schema with a column of each type.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ToSqlOutput;
use rusqlite::{ErrorCode, Statement, ToSql, ffi};
use trellis_sqlcompat::catalog::{Attachment, CatalogImage, ImageOptions, Names, fill_live};
use trellis_sqlcompat::lower::refusal;
use trellis_sqlcompat::parse::{self, ParsedStatement};
use trellis_sqlcompat::plan::{Plan, PlanKind, SessionStatement};
use trellis_sqlcompat::schema::constraint_error;
use trellis_sqlcompat::types::{TypeContext, decode_text, encode_binary, encode_text};
use trellis_sqlcompat::{Datum, DatumRef, SqlError, SqlState, bind};

use super::random::Random;
use crate::session::{Session, datum, steps};

/// How long a statement runs on SQLite before it is stopped.
const RUN_MAX: Duration = Duration::from_millis(300);

/// How long attaching the catalog may take.
const ATTACH_MAX: Duration = Duration::from_secs(600);

/// Rows that are read of a result.
const ROWS_MAX: usize = 200;

/// Statements of one text that are run.
const STATEMENTS_MAX: usize = 8;

/// A table with a column of each type, and rows of the values at their edges.
const SCHEMA: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE TYPE pair AS (x int, y text)",
    "CREATE DOMAIN small AS int CHECK (VALUE < 100)",
    "CREATE TABLE everything (id int PRIMARY KEY, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric(12,3), \
     t text, v varchar(20), c char(5), y bytea, d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, \
     u uuid, j json, jb jsonb, ai int[], at text[], m mood, p pair, s small, r int4range, mr int4multirange, ip inet, \
     ci cidr, ma macaddr, bi bit(4), vb varbit, mo money, o oid, jp jsonpath)",
    "CREATE INDEX ON everything (t, n DESC)",
    "CREATE UNIQUE INDEX ON everything (lower(v)) WHERE b",
    "CREATE TABLE other (id serial, parent int REFERENCES everything (id) ON DELETE CASCADE, note text DEFAULT 'none')",
    "CREATE VIEW seen AS SELECT id, t, n + 1 AS n FROM everything WHERE id > 0",
    "INSERT INTO everything VALUES (1, true, 1, 2, 1.5, 2.5, 3.125, 'text', 'var', 'chr', '\\x00ff', '2024-02-29', \
     '12:34:56', '12:34:56+02', '2024-02-29 12:34:56', '2024-02-29 12:34:56+00', '1 mon 2 days', \
     '00000000-0000-0000-0000-000000000001', '{\"a\": 1}', '{\"a\": [1, 2]}', '{1,2,NULL}', '{a,b}', 'ok', '(1,a)', 5, \
     '[1,5)', '{[1,3),[5,7)}', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '1010', '101', '1.25', 1, '$.a')",
    "INSERT INTO everything (id) VALUES (2)",
    "INSERT INTO everything (id, b, t, n, f8, d, m) VALUES (3, false, '', 'NaN', 'NaN', 'infinity', 'sad')",
    "INSERT INTO other (id, parent) VALUES (1, 1), (2, 3)",
];

/// A session and its catalog's image.
pub(crate) struct Subject {
    session: Session,
    attachment: Attachment,
    attached: bool,
    /// When the running statement is stopped.
    until: Arc<Mutex<Instant>>,
}

impl Subject {
    /// After the schema and the statements of a script; those that fail are passed over.
    pub(crate) fn new(setup: &[String]) -> Self {
        let mut session = Session::new();
        let until = Arc::new(Mutex::new(Instant::now() + RUN_MAX));
        let deadline = Arc::clone(&until);
        let is_over = move || Instant::now() > *deadline.lock().expect("no holder panics");
        session.sqlite.progress_handler(1_000, Some(is_over)).expect("a progress handler");
        let attachment = Attachment::default();
        let mut subject = Self { session, attachment, attached: false, until };
        for sql in SCHEMA {
            subject.set_up(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        for sql in setup {
            drop(subject.set_up(sql));
        }
        for function in ["crsql_site_id", "crsql_db_version", "crsql_peek_next_db_version"] {
            let registered = subject.session.sqlite.create_scalar_function(
                function,
                0,
                FunctionFlags::SQLITE_UTF8,
                |_| Ok(rusqlite::types::Null),
            );
            registered.expect("a function of the store");
        }
        subject
    }

    fn set_up(&mut self, sql: &str) -> Result<(), String> {
        for statement in parse::split(sql).map_err(|error| error.message)? {
            let plan = bind::plan(&statement, &self.session.context());
            let plan = plan.map_err(|error| error.message)?;
            if let PlanKind::Schema(schema) = &plan.kind {
                self.session.define(schema).map_err(|error| error.message)?;
            } else if matches!(plan.kind, PlanKind::Write(_)) {
                self.execute(&plan, &mut Random::new(0))?;
            }
        }
        Ok(())
    }

    /// Runs a text and undoes what it did.
    ///
    /// # Errors
    /// What is wrong: an error that PostgreSQL has no code for, or a value that its type cannot be.
    pub(crate) fn run(&mut self, text: &str, random: &mut Random) -> Result<(), String> {
        let statements = match parse::split(text) {
            Ok(statements) => statements,
            Err(error) => return acceptable(&error),
        };
        self.batch("SAVEPOINT fuzz");
        let catalog = self.session.catalog.clone();
        let mut statements = statements.iter().take(STATEMENTS_MAX);
        let result = statements.try_for_each(|statement| self.run_one(statement, random));
        self.batch("ROLLBACK TO fuzz; RELEASE fuzz");
        self.session.functions.update(|state| state.catalog = catalog.clone());
        self.session.catalog = catalog;
        result
    }

    fn batch(&self, sql: &str) {
        self.session.sqlite.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn run_one(&mut self, statement: &ParsedStatement, random: &mut Random) -> Result<(), String> {
        let plan = match bind::plan(statement, &self.session.context()) {
            Ok(plan) => plan,
            Err(error) => return acceptable(&error),
        };
        match &plan.kind {
            PlanKind::Schema(schema) => match self.session.define(schema) {
                Ok(_) => Ok(()),
                Err(error) => self.acceptable_ddl(&error),
            },
            PlanKind::Session(SessionStatement::Explain(explain)) => {
                self.execute(&explain.plan, random)
            }
            PlanKind::Session(SessionStatement::Copy(copy)) => self.execute(&copy.plan, random),
            PlanKind::Session(SessionStatement::DeclareCursor(cursor)) => {
                self.execute(&cursor.plan, random)
            }
            PlanKind::Query(_) | PlanKind::Write(_) => self.execute(&plan, random),
            PlanKind::Session(_) | PlanKind::Empty | PlanKind::Deferred => Ok(()),
        }
    }

    /// Rows that violate a new constraint are found by SQLite.
    fn acceptable_ddl(&self, error: &SqlError) -> Result<(), String> {
        let found = self.session.functions.take_error();
        let error = found.as_ref().unwrap_or(error);
        let constraint =
            ["UNIQUE constraint failed", "CHECK constraint failed", "NOT NULL constraint failed"];
        if constraint.iter().any(|it| error.message.contains(it)) {
            return Ok(());
        }
        acceptable(error)
    }

    /// Runs what a plan lowered to.
    fn execute(&mut self, plan: &Plan, random: &mut Random) -> Result<(), String> {
        self.prepare_catalog(plan);
        let parameters = self.parameters(plan, random);
        let constants = plan.constants.iter().map(|it| &it.step);
        // Of the steps of a write one gives the rows of the statement.
        let no_kept = Vec::new();
        let (kept, rows_from) = match &plan.kind {
            PlanKind::Write(write) => (&write.kept, write.rows_from),
            _ => (&no_kept, Some(0)),
        };
        let numbered = steps(&plan.kind).iter().enumerate();
        for (index, step) in constants.map(|step| (usize::MAX, step)).chain(numbered) {
            let keep = kept.contains(&index).then_some(index);
            let columns = plan.columns.as_deref().filter(|_| rows_from == Some(index));
            if let Err(error) = self.step(&step.sql, columns, &parameters, keep) {
                self.session.functions.keep().clear();
                return error.map_or(Ok(()), |error| Err(format!("{error}\n{}", step.sql)));
            }
        }
        self.session.functions.keep().clear();
        Ok(())
    }

    /// Puts what a plan reads of the catalog in place.
    fn prepare_catalog(&mut self, plan: &Plan) {
        if plan.reads.image && !self.attached {
            self.allow_time(ATTACH_MAX);
            let options = ImageOptions::default();
            let image = CatalogImage::build(&self.session.catalog, &options).expect("an image");
            // Attaching is not possible inside of a transaction.
            self.batch("RELEASE fuzz");
            self.attachment.attach(&self.session.sqlite, &image).expect("an attachment");
            self.batch("SAVEPOINT fuzz");
            self.attached = true;
        }
        for name in &plan.reads.live {
            fill_live(&self.session.sqlite, name, []).expect("a live relation");
        }
    }

    /// Lets the next statement run for so long.
    fn allow_time(&self, time: Duration) {
        *self.until.lock().expect("no holder panics") = Instant::now() + time;
    }

    /// Values for the parameters.
    fn parameters(&self, plan: &Plan, random: &mut Random) -> Vec<Datum> {
        let names = Names::new(&self.session.catalog, &self.session.search_path);
        let cx = TypeContext { settings: &self.session.settings, names: &names, now_us: 0 };
        let texts =
            ["1", "0", "-1", "a", "", "{}", "{1,2}", "2024-01-01", "t", "[1,2)", "10.0.0.1", "1.5"];
        let mut value = |oid: &trellis_sqlcompat::Oid| {
            let tries = texts.iter().cycle().skip(random.below(texts.len())).take(texts.len());
            tries
                .filter_map(|text| decode_text(*oid, -1, text, &cx).ok())
                .next()
                .unwrap_or(Datum::Null)
        };
        plan.parameters.iter().map(&mut value).collect()
    }

    /// Runs one step. `Err(None)` is a failure as it may be.
    fn step(
        &self,
        sql: &str,
        columns: Option<&[trellis_sqlcompat::plan::ResultColumn]>,
        parameters: &[Datum],
        keep: Option<usize>,
    ) -> Result<(), Option<String>> {
        drop(self.session.functions.take_error());
        let sqlite = &self.session.sqlite;
        self.allow_time(RUN_MAX);
        let mut statement = sqlite.prepare(sql).map_err(|error| self.verdict(&error))?;
        for number in 1..=statement.parameter_count() {
            if let Some(value) = parameters.get(number - 1) {
                let bound = statement.raw_bind_parameter(number, Bound(value));
                bound.map_err(|error| self.verdict(&error))?;
            }
        }
        self.rows(&mut statement, columns, keep)
    }

    fn rows(
        &self,
        statement: &mut Statement<'_>,
        columns: Option<&[trellis_sqlcompat::plan::ResultColumn]>,
        keep: Option<usize>,
    ) -> Result<(), Option<String>> {
        let names = Names::new(&self.session.catalog, &self.session.search_path);
        let cx = TypeContext { settings: &self.session.settings, names: &names, now_us: 0 };
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        for _ in 0..ROWS_MAX {
            let row = rows.next().map_err(|error| self.verdict(&error))?;
            let Some(row) = row else { break };
            if let Some(index) = keep {
                let values = (0..width).map(|at| datum(row.get_ref_unwrap(at)).to_datum());
                drop(self.session.functions.keep().add(index, values));
            }
            for (index, column) in columns.unwrap_or_default().iter().enumerate() {
                let value = datum(row.get_ref_unwrap(index));
                if value == DatumRef::Null {
                    continue;
                }
                let mut out = Vec::new();
                for encoded in [
                    encode_text(column.type_oid, value, &cx, &mut out),
                    encode_binary(column.type_oid, value, &cx, &mut out),
                ] {
                    encoded.or_else(|error| acceptable(&error)).map_err(Some)?;
                }
            }
        }
        Ok(())
    }

    /// What is wrong with an error, if anything is.
    fn verdict(&self, error: &rusqlite::Error) -> Option<String> {
        if let Some(error) = self.session.functions.take_error() {
            return acceptable(&error).err();
        }
        let rusqlite::Error::SqliteFailure(failure, message) = error else {
            return prepare_verdict(&error.to_string());
        };
        let message = message.clone().unwrap_or_default();
        match failure.code {
            ErrorCode::OperationInterrupted
            | ErrorCode::TooBig
            | ErrorCode::OutOfMemory
            | ErrorCode::TypeMismatch => None,
            ErrorCode::ConstraintViolation => {
                let worded =
                    constraint_error(&message, failure.extended_code, &self.session.catalog);
                if failure.extended_code == ffi::SQLITE_CONSTRAINT_DATATYPE {
                    return Some(format!("SQLite: {message}"));
                }
                acceptable(&worded).err()
            }
            _ => prepare_verdict(&message),
        }
    }
}

fn prepare_verdict(message: &str) -> Option<String> {
    refusal(message).is_none().then(|| format!("SQLite: {message}"))
}

/// Every error has a code of PostgreSQL's that tells something.
fn acceptable(error: &SqlError) -> Result<(), String> {
    if error.state == SqlState::INTERNAL_ERROR {
        return Err(format!("{} {}", error.state, error.message));
    }
    Ok(())
}

struct Bound<'a>(&'a Datum);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}
