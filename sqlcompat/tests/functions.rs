//! Expressions, from text through binder, SQLite and the function library to PostgreSQL's text form.
//!
//! `testscripts/types/expressions.tsv` holds what PostgreSQL 15 answers. What we answer differently is listed in
//! `mismatches.tsv` beside it: a difference that is not listed fails, and so does a listed one that has gone away.
//! `UPDATE_GOLDENFILES=1` rewrites the list.

use std::fmt::Write as _;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use trellis_sqlcompat::bind::{BindContext, Parameters, plan};
use trellis_sqlcompat::functions::{SessionContext, register};
use trellis_sqlcompat::parse::split;
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::Catalog;
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::types::{TypeContext, encode_text};
use trellis_sqlcompat::{DatumRef, SqlError, SqlState};

struct Session {
    conn: Connection,
    context: SessionContext,
    catalog: Catalog,
    settings: FormatSettings,
}

impl Session {
    fn new() -> Self {
        let conn = Connection::open_in_memory().expect("memory is there");
        let context = SessionContext::default();
        register(&conn, &context).expect("functions register");
        Self { conn, context, catalog: Catalog::default(), settings: FormatSettings::default() }
    }

    fn evaluate(&self, expression: &str) -> Result<Option<String>, SqlError> {
        let statements = split(&format!("SELECT {expression}"))?;
        let cx = BindContext {
            catalog: &self.catalog,
            search_path: &["public".to_owned()],
            user: "postgres",
            database: "postgres",
            settings: &self.settings,
            parameters: Parameters::Inferred(&[]),
        };
        let plan = plan(&statements[0], &cx)?;
        let type_oid = plan.columns.as_ref().expect("a query has columns")[0].type_oid;
        let PlanKind::Query(step) = plan.kind else {
            return Err(SqlError::unsupported("this kind of statement"));
        };
        let failed = |error: rusqlite::Error| {
            self.context.take_error().unwrap_or_else(|| {
                SqlError::new(SqlState::INTERNAL_ERROR, format!("{error} in {}", step.sql))
            })
        };
        let mut statement = self.conn.prepare(&step.sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let row = rows.next().map_err(failed)?.expect("one row");
        let value = match row.get_ref(0).map_err(failed)? {
            ValueRef::Null => return Ok(None),
            ValueRef::Integer(value) => DatumRef::Integer(value),
            ValueRef::Real(value) => DatumRef::Real(value),
            ValueRef::Text(text) => DatumRef::Text(std::str::from_utf8(text).expect("UTF-8")),
            ValueRef::Blob(blob) => DatumRef::Blob(blob),
        };
        let types = TypeContext { settings: &self.settings, names: &self.catalog, now_us: 0 };
        let mut out = Vec::new();
        encode_text(type_oid, value, &types, &mut out)?;
        Ok(Some(String::from_utf8(out).expect("UTF-8")))
    }

    fn answer(&self, expression: &str) -> String {
        match self.evaluate(expression) {
            Ok(None) => "<NULL>".to_owned(),
            Ok(Some(text)) => text.replace('\n', "\\n"),
            Err(error) => format!("ERROR {} {}", error.state, error.message),
        }
    }
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testscripts", "types", name].iter().collect()
}

#[test]
fn expressions_answer_as_postgresql_does() {
    let session = Session::new();
    let golden = std::fs::read_to_string(script("expressions.tsv")).expect("the golden file");
    let mut found = String::from("# Expression, our answer, PostgreSQL's.\n");
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let (expression, expected) = line.split_once('\t').expect("two columns");
        let answer = session.answer(expression);
        if answer != expected {
            writeln!(found, "{expression}\t{answer}\t{expected}").expect("memory is there");
        }
    }
    let path = script("mismatches.tsv");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &found).expect("the list is writable");
    }
    let listed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(listed, found, "differences from PostgreSQL have changed");
}

#[test]
fn every_name_is_registered_once() {
    let mut names: Vec<&str> = trellis_sqlcompat::functions::implemented_names().collect();
    let total = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), total);
}

#[test]
fn binary_forms_read_back() {
    use trellis_sqlcompat::Oid;
    use trellis_sqlcompat::types::{NoNames, decode_binary, decode_text, encode_binary};
    let settings = FormatSettings::default();
    let cx = TypeContext { settings: &settings, names: &NoNames, now_us: 0 };
    let values = [
        (Oid::BOOL, "t"),
        (Oid::INT2, "-7"),
        (Oid::INT4, "2147483647"),
        (Oid::FLOAT4, "1.5"),
        (Oid::FLOAT8, "NaN"),
        (Oid::NUMERIC, "-12345.6780"),
        (Oid::NUMERIC, "0.00010"),
        (Oid::NUMERIC, "-Infinity"),
        (Oid::BYTEA, "\\x00ff"),
        (Oid::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (Oid::DATE, "0044-03-15 BC"),
        (Oid::TIMETZ, "04:05:06.7-08:30"),
        (Oid::TIMESTAMPTZ, "2024-01-31 12:34:56.789+00"),
        (Oid::INTERVAL, "1 year 2 mons -3 days +04:05:06.7"),
        (Oid::JSONB, "{\"a\": [1, 2.50]}"),
        (Oid::TEXT_ARRAY, "{\"a b\",NULL,c}"),
        (Oid::INT4_ARRAY, "{{1,2},{3,NULL}}"),
    ];
    for (type_oid, text) in values {
        let stored = decode_text(type_oid, -1, text, &cx).expect(text);
        let mut bytes = Vec::new();
        encode_binary(type_oid, stored.as_ref(), &cx, &mut bytes).expect(text);
        assert_eq!(decode_binary(type_oid, -1, &bytes, &cx).expect(text), stored, "{text}");
        let mut out = Vec::new();
        encode_text(type_oid, stored.as_ref(), &cx, &mut out).expect(text);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), text);
        for cut in 0..bytes.len() {
            // Truncated input is refused or reads as something shorter; it never panics.
            let _ = decode_binary(type_oid, -1, &bytes[..cut], &cx);
        }
    }
}
