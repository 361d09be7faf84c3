//! Parameter types, result columns and errors of what real clients send, against PostgreSQL's own.
//!
//! In `sqlcompat/testscripts/golden_types`, `setup.sql` makes the schema, and `answers.jsonl` holds one statement a line with
//! what PostgreSQL 15 described it as when it was prepared. A node must describe every one of them so.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use trellis_tests::node::{Node, NodeOptions};
use trellis_tests::wire::{Connection, Message};
use trellis_tests::work_dir::WorkDir;

/// A client that describes statements, and knows the names of the types that it was told.
struct Describer {
    connection: Connection,
    type_names: HashMap<(u32, i32), String>,
}

impl Describer {
    /// The statement's parameters and columns, or its error, in the form of [`recorded`].
    fn describe(&mut self, sql: &str) -> Result<String> {
        let (mut parameters, mut columns) = (Vec::new(), Vec::new());
        for message in self.connection.describe(sql)? {
            match message {
                Message::Error(fields) => return Ok(fields.to_string()),
                Message::ParameterTypes(oids) => {
                    for oid in oids {
                        parameters.push(self.type_name(oid, -1)?);
                    }
                }
                Message::Columns(described) => {
                    for it in described {
                        let type_name = self.type_name(it.type_oid, it.type_modifier)?;
                        columns.push(column(&it.name, &type_name));
                    }
                }
                _ => {}
            }
        }
        Ok(described(&parameters, &columns))
    }

    fn type_name(&mut self, oid: u32, typmod: i32) -> Result<String> {
        if let Some(name) = self.type_names.get(&(oid, typmod)) {
            return Ok(name.clone());
        }
        let rows = self.connection.rows(&format!("SELECT format_type({oid}, {typmod})"))?;
        let Some(Some(name)) = rows.into_iter().flatten().next() else {
            bail!("type {oid} has no name");
        };
        Ok(self.type_names.entry((oid, typmod)).or_insert(name).clone())
    }
}

fn column(name: &str, type_name: &str) -> String {
    format!("{name} {type_name}")
}

fn described(parameters: &[String], columns: &[String]) -> String {
    format!("({}) -> ({})", parameters.join(", "), columns.join(", "))
}

/// What PostgreSQL answered.
fn recorded(answer: &Value) -> String {
    if let Some(error) = answer["error"].as_str() {
        return error.to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let parameters: Vec<String> = list(&answer["parameters"]).iter().map(text).collect();
    let columns: Vec<String> =
        list(&answer["columns"]).iter().map(|it| column(&text(&it[0]), &text(&it[1]))).collect();
    described(&parameters, &columns)
}

/// One line of SQL for the report.
fn line(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").chars().take(160).collect()
}

#[test]
fn statements_are_described_as_postgresql_does() -> Result<()> {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sqlcompat/testscripts/golden_types");
    let mut work = WorkDir::create("golden-types")?;
    let node = Node::start(work.path(), "n1", NodeOptions::default())?;
    let mut connection = node.connect()?;
    for sql in fs::read_to_string(directory.join("setup.sql"))?.split("\n;\n") {
        connection.execute(sql).with_context(|| line(sql))?;
    }
    let mut describer = Describer { connection, type_names: HashMap::new() };
    let (mut asked, mut report) = (0, String::new());
    for text in fs::read_to_string(directory.join("answers.jsonl"))?.lines() {
        let answer: Value = serde_json::from_str(text)?;
        let sql = answer["sql"].as_str().context("a line without sql")?;
        let (expected, given) = (recorded(&answer), describer.describe(sql)?);
        asked += 1;
        if given != expected {
            writeln!(report, "{}\n  PostgreSQL: {expected}\n  Trellis: {given}", line(sql))?;
        }
    }
    ensure!(asked > 0, "no statements");
    ensure!(report.is_empty(), "{report}");
    drop(node);
    work.remove();
    Ok(())
}
