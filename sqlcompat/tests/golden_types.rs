//! Parameter types, result columns and errors of what real clients send, against PostgreSQL's own.
//!
//! `testscripts/golden_types/setup.sql` makes the schema; `answers.jsonl` holds one statement a line with what PostgreSQL 15
//! described it as. At least [`EQUAL_MIN`] must be equal; a failure lists those that are not.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use trellis_sqlcompat::bind::resolve::Types;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::parse;
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::{Catalog, SchemaHost};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, SqlError};

const DIRECTORY: &str = "testscripts/golden_types";

/// Statements that were equal when last counted; only ever raised.
const EQUAL_MIN: usize = 762;

/// No table has rows here, so nothing is ever evaluated for them.
struct NoRows;

impl SchemaHost for NoRows {
    fn evaluate(&mut self, _: &str) -> Result<Datum, SqlError> {
        Ok(Datum::Null)
    }
}

struct Session {
    catalog: Catalog,
    search_path: Vec<String>,
    settings: FormatSettings,
}

impl Session {
    fn new() -> Self {
        Self {
            catalog: Catalog::from_rows([]),
            search_path: vec!["public".to_owned()],
            settings: FormatSettings::default(),
        }
    }

    fn context(&self) -> BindContext<'_> {
        BindContext {
            catalog: &self.catalog,
            search_path: &self.search_path,
            user: "postgres",
            database: "app",
            settings: &self.settings,
            parameters: Parameters::Inferred(&[]),
        }
    }

    /// Applies a DDL statement to the catalog.
    fn define(&mut self, sql: &str) -> Result<(), SqlError> {
        for statement in parse::split(sql)? {
            let plan = bind::plan(&statement, &self.context())?;
            let PlanKind::Schema(schema) = plan.kind else { continue };
            let change = schema.apply(&self.catalog, &mut NoRows)?;
            let mut rows = self.catalog.rows.clone();
            rows.extend(change.rows.into_iter().map(|row| (row.id, row)));
            self.catalog = Catalog::from_rows(rows.into_values());
        }
        Ok(())
    }

    /// The statement's parameters and columns, in the form of `answers.jsonl`.
    fn describe(&self, sql: &str) -> Result<String, SqlError> {
        let types = Types::new(&self.catalog, &self.search_path);
        let mut described = String::new();
        for statement in parse::split(sql)? {
            let plan = bind::plan(&statement, &self.context())?;
            let parameters: Vec<String> =
                plan.parameters.iter().map(|oid| types.format_with_typmod(*oid, -1)).collect();
            let columns = plan.columns.unwrap_or_default();
            let columns: Vec<String> = columns
                .iter()
                .map(|it| column(&it.name, &types.format_with_typmod(it.type_oid, it.typmod)))
                .collect();
            write!(described, "({}) -> ({})", parameters.join(", "), columns.join(", "))
                .expect("a String takes all");
        }
        Ok(described)
    }
}

fn column(name: &str, type_name: &str) -> String {
    format!("{name} {type_name}")
}

/// What PostgreSQL answered, in the form that [`Session::describe`] gives.
fn recorded(answer: &Value) -> String {
    if let Some(error) = answer["error"].as_str() {
        return error.to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let parameters: Vec<String> = list(&answer["parameters"]).iter().map(text).collect();
    let columns: Vec<String> =
        list(&answer["columns"]).iter().map(|it| column(&text(&it[0]), &text(&it[1]))).collect();
    format!("({}) -> ({})", parameters.join(", "), columns.join(", "))
}

/// One line of SQL for the report.
fn line(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").chars().take(160).collect()
}

#[test]
fn statements_are_described_as_postgresql_does() {
    let read = |name: &str| fs::read_to_string(format!("{DIRECTORY}/{name}")).unwrap_or_default();
    let mut session = Session::new();
    let mut report = String::new();
    for sql in read("setup.sql").split("\n;\n") {
        if let Err(error) = session.define(sql) {
            writeln!(report, "setup: {}\n  {} {error}", line(sql), error.state).expect("text");
        }
    }
    let (mut asked, mut equal) = (0, 0);
    for text in read("answers.jsonl").lines() {
        let answer: Value = serde_json::from_str(text).expect("a JSON object a line");
        let sql = answer["sql"].as_str().expect("sql");
        let expected = recorded(&answer);
        let given = session
            .describe(sql)
            .unwrap_or_else(|error| format!("{} {}", error.state, error.message));
        asked += 1;
        if given == expected {
            equal += 1;
        } else {
            writeln!(report, "{}\n  PostgreSQL: {expected}\n  ours: {given}", line(sql))
                .expect("text");
        }
    }
    writeln!(report, "{equal} of {asked} equal").expect("text");
    assert!(asked > 0, "no statements");
    assert!(equal >= EQUAL_MIN, "{report}");
}
