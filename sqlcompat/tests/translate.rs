//! Translation scripts in `testscripts/bind` and `testscripts/lower`.
//!
//! `> statement` prints a statement's parameter types, result columns and SQLite text, or its error; DDL is applied instead.
//! `run:> statement` runs it on SQLite with the function library and prints its rows in PostgreSQL's text form.

mod session;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use trellis_sqlcompat::bind::resolve::Types;
use trellis_sqlcompat::plan::{Plan, PlanKind, ResultColumn, Step};
use trellis_sqlcompat::types::{NoNames, TypeContext, encode_text};
use trellis_sqlcompat::{DatumRef, SqlError, bind, parse};

use session::{Session, datum, steps};

/// The plan of the last statement of a text.
fn plan(session: &Session, sql: &str) -> Result<Plan, SqlError> {
    let statement = parse::split(sql)?.pop().expect("a statement");
    bind::plan(&statement, &session.context())
}

fn translate(session: &mut Session, sql: &str) -> Result<String, SqlError> {
    let plan = plan(session, sql)?;
    if let PlanKind::Schema(statement) = &plan.kind {
        return session.define(statement).map(|tag| format!("{tag}\n"));
    }
    let types = Types::new(&session.catalog, &session.search_path);
    let mut output = String::new();
    if !plan.parameters.is_empty() {
        let names: Vec<_> = plan.parameters.iter().map(|oid| types.format(*oid)).collect();
        writeln!(output, "parameters: {}", names.join(", ")).expect("a String takes everything");
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
        session.sqlite.prepare(&step.sql).unwrap_or_else(|error| panic!("{}: {error}", step.sql));
    }
    Ok(output)
}

fn execute(session: &Session, sql: &str) -> Result<String, SqlError> {
    let plan = plan(session, sql)?;
    let columns = plan.columns.clone().unwrap_or_default();
    let mut output = String::new();
    for step in steps(&plan.kind) {
        match rows(session, step, &columns) {
            Ok(rows) => output.push_str(&rows),
            Err(error) => {
                let error = session
                    .functions
                    .take_error()
                    .map_or_else(|| format!("SQLite: {error}"), |error| describe(&error));
                writeln!(output, "{error}").expect("a String takes everything");
            }
        }
    }
    Ok(output)
}

fn rows(session: &Session, step: &Step, columns: &[ResultColumn]) -> rusqlite::Result<String> {
    let cx = TypeContext { settings: &session.settings, names: &NoNames, now_us: 0 };
    let mut statement = session.sqlite.prepare(&step.sql)?;
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
            Some("run") => execute(self, &command.name),
            _ => translate(self, &command.name),
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
            let _ = plan(&session, &text);
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
    assert_eq!(plan(&session, &chain).unwrap_err().state.as_str(), "54001");
    let wide = format!("SELECT 1 WHERE true{}", " OR true".repeat(3_000));
    assert!(plan(&session, &wide).is_ok());
}
