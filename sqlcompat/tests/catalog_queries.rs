//! Queries over the catalog of one schema, answered as PostgreSQL 15 does.
//!
//! `testscripts/catalog/schema.sql` was run on PostgreSQL 15, and `answers.txt` holds queries (`> …`) with its answers, fields
//! separated by `|`. Here the schema goes through DDL into a catalog, the image is built of it, and each query is
//! translated, run on SQLite and its rows written as text.
#![cfg(feature = "sqlite")]

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::catalog::{Attachment, CatalogImage, ImageOptions, Names};
use trellis_sqlcompat::functions::{SessionContext, register};
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::{Catalog, SchemaHost};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::types::{TypeContext, encode_text};
use trellis_sqlcompat::{Datum, DatumRef, SqlError, parse};

/// No column of the schema is added to rows that exist.
struct NoHost;

impl SchemaHost for NoHost {
    fn evaluate(&mut self, sql: &str) -> Result<Datum, SqlError> {
        Err(SqlError::unsupported(sql))
    }
}

fn plan(sql: &str, catalog: &Catalog) -> Result<PlanKind, SqlError> {
    let settings = FormatSettings::default();
    let search_path = ["public".to_owned()];
    let cx = BindContext {
        catalog,
        search_path: &search_path,
        user: "postgres",
        database: "postgres",
        settings: &settings,
        parameters: Parameters::Inferred(&[]),
    };
    let statements = parse::split(sql)?;
    bind::plan(statements.first().expect("a statement"), &cx).map(|plan| plan.kind)
}

/// The catalog after the statements of `sql`, one a line.
fn catalog_of(sql: &str) -> Catalog {
    let mut catalog = Catalog::from_rows([]);
    for statement in sql.lines() {
        let Ok(PlanKind::Schema(schema)) = plan(statement, &catalog) else {
            panic!("not DDL: {statement}");
        };
        let change = schema.apply(&catalog, &mut NoHost).expect(statement);
        let mut rows = catalog.rows.clone();
        rows.extend(change.rows.into_iter().map(|row| (row.id, row)));
        catalog = Catalog::from_rows(rows.into_values());
    }
    catalog
}

fn datum(value: ValueRef<'_>) -> DatumRef<'_> {
    match value {
        ValueRef::Null => DatumRef::Null,
        ValueRef::Integer(value) => DatumRef::Integer(value),
        ValueRef::Real(value) => DatumRef::Real(value),
        ValueRef::Text(bytes) => DatumRef::Text(std::str::from_utf8(bytes).expect("text")),
        ValueRef::Blob(bytes) => DatumRef::Blob(bytes),
    }
}

/// One database with the image of a catalog.
struct Fixture {
    catalog: Arc<Catalog>,
    connection: Connection,
}

impl Fixture {
    fn new(catalog: Catalog) -> Self {
        let catalog = Arc::new(catalog);
        let connection = Connection::open_in_memory().expect("connection");
        let session = SessionContext::default();
        session.update(|state| state.catalog = Arc::clone(&catalog));
        register(&connection, &session).expect("functions");
        let image = CatalogImage::build(&catalog, &ImageOptions::default()).expect("image");
        Attachment::default().attach(&connection, &image).expect("attach");
        Self { catalog, connection }
    }

    /// The rows of a query as `psql -At` writes them, or the error.
    fn answer(&self, sql: &str) -> String {
        self.rows(sql).unwrap_or_else(|error| format!("ERROR: {error}\n"))
    }

    fn rows(&self, sql: &str) -> Result<String, Box<dyn std::error::Error>> {
        let settings = FormatSettings::default();
        let search_path = ["public".to_owned()];
        let names = Names::new(&self.catalog, &search_path);
        let cx = TypeContext { settings: &settings, names: &names, now_us: 0 };
        let (step, columns) = self.query(sql)?;
        let mut statement = self.connection.prepare(&step)?;
        let mut rows = statement.query([])?;
        let mut out = String::new();
        while let Some(row) = rows.next()? {
            let mut fields = Vec::new();
            for (position, type_oid) in columns.iter().enumerate() {
                let value = datum(row.get_ref(position)?);
                let mut text = Vec::new();
                match value {
                    DatumRef::Null => text.extend_from_slice(b"NULL"),
                    value => encode_text(*type_oid, value, &cx, &mut text)?,
                }
                fields.push(String::from_utf8(text)?);
            }
            out.push_str(&fields.join("|"));
            out.push('\n');
        }
        Ok(out)
    }

    fn query(&self, sql: &str) -> Result<(String, Vec<trellis_sqlcompat::Oid>), SqlError> {
        let settings = FormatSettings::default();
        let search_path = ["public".to_owned()];
        let cx = BindContext {
            catalog: &self.catalog,
            search_path: &search_path,
            user: "postgres",
            database: "postgres",
            settings: &settings,
            parameters: Parameters::Inferred(&[]),
        };
        let statements = parse::split(sql)?;
        let plan = bind::plan(statements.first().expect("a statement"), &cx)?;
        let PlanKind::Query(step) = plan.kind else {
            return Err(SqlError::unsupported("what is no query"));
        };
        let columns = plan.columns.unwrap_or_default();
        Ok((step.sql, columns.into_iter().map(|it| it.type_oid).collect()))
    }
}

#[test]
fn catalog_queries_answer_as_postgresql_does() {
    let fixture = Fixture::new(catalog_of(include_str!("../testscripts/catalog/schema.sql")));
    let recorded = include_str!("../testscripts/catalog/answers.txt");
    let mut wrong = String::new();
    for case in recorded.split("\n> ") {
        let (query, expected) = case.trim_start_matches("> ").split_once('\n').expect("an answer");
        let answer = fixture.answer(query);
        if answer.trim_end() != expected.trim_end() {
            wrong.push_str(&format!("> {query}\n{}\n", difference(expected, &answer)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The lines that only one of both has.
fn difference(expected: &str, answer: &str) -> String {
    let only = |sign: &str, these: &str, those: &str| {
        let those: Vec<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !those.contains(line));
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only("-", expected, answer) + &only("+", answer, expected)
}
