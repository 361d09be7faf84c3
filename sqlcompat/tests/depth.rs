//! Long and deep statements, planned on a thread with a small stack and then prepared by SQLite: each runs, or is refused with
//! class 54 before anything overflows.

use std::thread;

use rusqlite::Connection;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::datum::DatumRef;
use trellis_sqlcompat::functions::{Call, SessionContext, find, register};
use trellis_sqlcompat::parse;
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::Catalog;
use trellis_sqlcompat::settings::FormatSettings;

/// Half of what a session has, in a build whose frames are several times those of a release.
const STACK_BYTES: usize = 4 << 20;

/// What becomes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Runs,
    TooComplex,
    Either,
}

fn outcome(sql: &str) -> Result<(), String> {
    let catalog = Catalog::from_rows([]);
    let settings = FormatSettings::default();
    let search_path = ["public".to_owned()];
    let cx = BindContext {
        catalog: &catalog,
        search_path: &search_path,
        user: "alice",
        database: "app",
        settings: &settings,
        parameters: Parameters::Inferred(&[]),
    };
    let describe =
        |error: trellis_sqlcompat::SqlError| format!("{} {}", error.state, error.message);
    let Some(statement) = parse::split(sql).map_err(describe)?.pop() else { return Ok(()) };
    let plan = bind::plan(&statement, &cx).map_err(describe)?;
    let PlanKind::Query(step) = plan.kind else { return Ok(()) };
    let sqlite = Connection::open_in_memory().expect("a database in memory");
    register(&sqlite, &SessionContext::default()).expect("the function library");
    sqlite.prepare(&step.sql).map(drop).map_err(|error| {
        let text: String = error.to_string().chars().take(200).collect();
        format!("SQLite: {text}")
    })
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth))
}

fn chain(first: &str, link: &str, length: usize) -> String {
    format!("SELECT {first}{}", link.repeat(length))
}

/// Lists and chains as long as programs write them.
fn long_lists() -> Vec<(&'static str, String, Outcome)> {
    use Outcome::{Runs, TooComplex};
    let mut cases = Vec::new();
    let arms = |length: usize| (0..length).map(|it| format!(" WHEN {it} THEN {it}"));
    cases.push(("arms", format!("SELECT CASE 7{} END", arms(20_000).collect::<String>()), Runs));
    let facts = "FROM (VALUES (1, 2)) AS v (a, b) WHERE ";
    for (name, operand, operator) in [
        ("OR of comparisons", "a = 3", " OR "),
        ("AND of comparisons", "a <> 3", " AND "),
        ("OR of ANDs", "a = 3 AND b = 4", " OR "),
    ] {
        let chain = |length| format!("SELECT 1 {facts}{}", vec![operand; length].join(operator));
        cases.push((name, chain(4_900), Runs));
        cases.push((name, chain(5_100), TooComplex));
    }
    for length in [2_000, 100_000] {
        cases.push(("ARRAY", format!("SELECT ARRAY[{}]", vec!["1"; length].join(",")), Runs));
        cases.push(("COALESCE", format!("SELECT coalesce({})", vec!["1"; length].join(",")), Runs));
    }
    cases
}

fn statements() -> Vec<(&'static str, String, Outcome)> {
    use Outcome::{Either, Runs, TooComplex};
    let mut cases = Vec::new();
    for depth in [10, 20, 50, 100, 127, 160, 400, 5_000] {
        for (name, open, close) in [
            ("parentheses", "(", ")"),
            ("minus", "- ", ""),
            ("calls", "abs(", ")"),
            ("scalar subqueries", "(SELECT ", ")"),
            ("CASE", "CASE WHEN true THEN ", " END"),
            ("CASE in WHEN", "CASE WHEN 1 = ", " THEN 1 END"),
            ("arrays", "ARRAY[", "]"),
            ("casts", "CAST(", " AS int)"),
            ("COALESCE", "coalesce(1, ", ")"),
            ("EXISTS", "EXISTS (SELECT ", ")"),
        ] {
            let outcome = if depth >= 400 { TooComplex } else { Either };
            cases.push((name, nested(open, close, depth), outcome));
        }
        let outcome = if depth >= 400 { TooComplex } else { Either };
        let from = |open: &str, close: &str| {
            format!("SELECT * FROM {}(SELECT 1) x{}", open.repeat(depth), close.repeat(depth))
        };
        cases.push(("FROM subqueries", from("(SELECT * FROM ", ") x"), outcome));
        let nest = (0..depth).map(|number| format!(" CROSS JOIN (SELECT 1) AS y{number})"));
        let nest =
            format!("SELECT * FROM {}(SELECT 1) x{}", "(".repeat(depth), nest.collect::<String>());
        cases.push(("joins nested", nest, Either));
        let not = format!("SELECT {}true", "NOT ".repeat(depth));
        cases.push(("NOT", not, outcome));
        let factors = (0..depth).map(|number| format!("(SELECT {number}) x{number}"));
        let factors: Vec<String> = factors.collect();
        cases.push(("joins", format!("SELECT 1 FROM {}", factors.join(" CROSS JOIN ")), Either));
        cases.push(("items", format!("SELECT 1 FROM {}", factors.join(", ")), Either));
        cases.push(("casts after", chain("1", "::int", depth), Either));
        cases.push(("IS TRUE", chain("true", " IS TRUE", depth), Either));
    }
    for (length, outcome) in [(400, Runs), (499, Runs), (500, TooComplex), (20_000, TooComplex)] {
        for operator in ["UNION ALL", "UNION", "INTERSECT", "EXCEPT"] {
            cases.push((
                "set operations",
                chain("1", &format!(" {operator} SELECT 1"), length),
                outcome,
            ));
        }
        cases.push(("typed set operations", chain("1", " UNION ALL SELECT 1.5", length), outcome));
    }
    cases.push(("EXCEPT ALL", chain("1", " EXCEPT ALL SELECT 1", 49), Runs));
    cases.push(("EXCEPT ALL", chain("1", " EXCEPT ALL SELECT 1", 400), TooComplex));
    for length in [100, 400, 900, 3_000, 50_000] {
        for (name, first, link) in [
            ("AND", "true", " AND true"),
            ("OR", "true", " OR 1 = 1"),
            ("+", "1", " + 1"),
            ("||", "'a'", " || 'a'"),
            ("->", "'{}'::jsonb", " -> 'a'"),
        ] {
            cases.push((name, chain(first, link, length), Either));
        }
    }
    cases.extend(long_lists());
    let parameters: Vec<String> = (1..=65_535).map(|number| format!("${number}::int")).collect();
    cases.push(("IN of parameters", format!("SELECT 1 IN ({})", parameters.join(", ")), Runs));
    cases.push(("VALUES of parameters", format!("VALUES ({})", parameters.join("), (")), Runs));
    cases.push(("IN", format!("SELECT 1 IN ({})", vec!["1"; 50_000].join(",")), Runs));
    cases.push(("a long literal", format!("SELECT '{}'", "x".repeat(1_000_000)), Runs));
    cases.push(("a wide row", format!("SELECT {}", vec!["1"; 1_600].join(",")), Runs));
    cases.push(("a wider row", format!("SELECT {}", vec!["1"; 3_000].join(",")), TooComplex));
    cases.push(("GREATEST", format!("SELECT greatest({})", vec!["1"; 2_000].join(",")), Either));
    cases.push(("concat", format!("SELECT concat({})", vec!["'a'"; 2_000].join(",")), Either));
    cases
}

#[test]
fn deep_and_long_statements_run_or_are_refused() {
    let check = || {
        let mut wrong = Vec::new();
        for (name, sql, wanted) in statements() {
            let found = outcome(&sql);
            let right = match (&found, wanted) {
                (Ok(()), Outcome::Runs | Outcome::Either) => true,
                (Err(error), Outcome::TooComplex | Outcome::Either) => error.starts_with("54"),
                _ => false,
            };
            if !right {
                let start: String = sql.chars().take(60).collect();
                wrong.push(format!("{name}, {} bytes, {start}: {found:?}", sql.len()));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(check).unwrap().join().unwrap();
}

/// What a long text repeats.
const PIECES: &[&str] = &[
    " ",
    "\n",
    ";",
    "(",
    "[",
    ")",
    "SELECT ",
    "CASE ",
    "- ",
    "NOT ",
    "a.",
    "a ",
    "a, ",
    "1, ",
    "$1, ",
    "::int",
    "\"",
    "'",
    "$$",
    "/*",
    "*/",
    "-- \n",
    "=",
    "\\",
    "\0",
    "é",
    "E'",
    "U&'",
    "1",
    "1e",
    ".",
    "?",
    "WITH a AS (",
    "FROM a JOIN ",
    "INTERVAL '1' ",
    "ARRAY[",
    "ROW(",
    "x IN (",
    "BETWEEN 1 AND ",
    "UNION SELECT 1 ",
    "COLLATE a ",
    "AT TIME ZONE ",
];

/// What a long text begins with, repeats and ends with.
const FRAMED: &[(&str, &str, &str)] = &[
    ("SELECT '", "''", "'"),
    ("SELECT E'", "\\n", "'"),
    ("SELECT $q$", "$", "$q$"),
    ("SELECT 1 AS ", "y", ""),
    ("SELECT 1 AS \"", "\"\"", "\""),
    ("/*", "x", "*/ SELECT 1"),
    ("SELECT '{", "1,", "1}'::int[]"),
    ("SELECT '{", "{", "'::int[]"),
    ("SELECT '[", "[1],", "1]'::jsonb"),
    ("SELECT '", "1", "'::numeric"),
    ("SELECT '", "1 day ", "'::interval"),
    ("SELECT '", "$.a", "'::jsonpath"),
    ("SELECT x'", "f", "'"),
    ("SELECT NULL::int", "[]", ""),
    ("SELECT NULL::", "a.", "b"),
    ("SELECT 'a' ~ '", "(a|", "'"),
    ("SELECT to_char(1, '", "9", "')"),
    ("SELECT format('", "%s", "')"),
    ("CREATE TABLE t (c int", ", c int", ")"),
    ("INSERT INTO t VALUES (1)", ", (1)", ""),
    ("SET a = '", "x, ", "'"),
    ("COPY t FROM '", "x", "'"),
];

/// Texts of a million characters, most of them no SQL.
fn long_texts() -> Vec<String> {
    const LENGTH: usize = 1_000_000;
    let repeated = |piece: &str| piece.repeat(LENGTH / piece.len());
    let mut texts = Vec::new();
    for piece in PIECES {
        let text = repeated(piece);
        texts.extend([format!("SELECT 1 {text}"), text]);
    }
    for (open, piece, close) in FRAMED {
        texts.push(format!("{open}{}{close}", repeated(piece)));
    }
    texts
}

#[test]
fn long_texts_are_answered() {
    let check = || {
        for text in long_texts() {
            if let Err(error) = outcome(&text) {
                let start: String = text.chars().take(40).collect();
                let error: String = error.chars().take(200).collect();
                assert!(!error.starts_with("XX"), "{start}: {error}");
            }
        }
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(check).unwrap().join().unwrap();
}

/// Deep and long paths over deep values.
fn paths() -> Vec<(String, String)> {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let mut cases = Vec::new();
    for depth in [10, 100, 128, 250, 500, 10_000] {
        for path in [
            format!("${}", "[*]".repeat(depth)),
            format!("${}", ".**".repeat(depth.min(4))),
            format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("{}1", "- ".repeat(depth)),
            format!("$ ? {}(@ == 1){}", "(!".repeat(depth), ")".repeat(depth)),
            format!("1{}", " + $[*]".repeat(depth)),
            format!("$ == 1{}", " || $ == 2".repeat(depth)),
            format!("{}1{}", "$[".repeat(depth), "]".repeat(depth)),
        ] {
            cases.push((deep.clone(), path));
        }
    }
    cases
}

#[test]
fn deep_paths_run_or_are_refused() {
    let check = || {
        let exists = find("pg_jsonb_path_exists_opr").expect("the operator @?");
        let session = SessionContext::default();
        for (value, path) in paths() {
            let arguments = [DatumRef::Text(&value), DatumRef::Text(&path)];
            let answer = (exists.body)(&Call { arguments: &arguments, session: &session });
            if let Err(error) = answer {
                let start: String = path.chars().take(40).collect();
                assert!(error.state.as_str().starts_with("54"), "{start}: {error:?}");
            }
        }
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(check).unwrap().join().unwrap();
}
