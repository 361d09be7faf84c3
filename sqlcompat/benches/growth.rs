//! How the time to plan a statement grows with its length: `cargo bench -p trellis-sqlcompat --bench growth`.
//!
//! Each shape is a statement of a part that is repeated. Printed as `shape<TAB>milliseconds<TAB>growth`: the time at
//! [`MANY`] parts, and that time over the time at [`FEW`], divided by how many times as many parts there are. 1 is
//! linear; where a part is looked for among all others it is [`MANY`] over [`FEW`]. `-- NAME…` measures some shapes only.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::parse;
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::{Catalog, SchemaHost};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, SqlError};

/// Parts of the shorter statement.
const FEW: usize = 1_000;

/// Parts of the longer one.
const MANY: usize = 20_000;

/// How often each is planned; the shortest time counts.
const ROUNDS: usize = 3;

/// Shapes: what comes before the parts, the part (`#` is its number), what is between two, and what comes after.
const SHAPES: &[(&str, &str, &str, &str, &str)] = &[
    ("blanks", "SELECT ", "   ", " ", "1"),
    ("comments", "SELECT ", "/* a comment */", " ", "1"),
    ("line comments", "SELECT ", "-- a comment", "\n", "\n1"),
    ("a literal", "SELECT '", "some text ", "", "'"),
    ("an escaped literal", "SELECT E'", "a\\n''", "", "'"),
    ("a quoted name", "SELECT 1 AS \"", "name", "", "\""),
    ("statements", "", "SELECT #", "; ", ""),
    ("IN of numbers", "SELECT 1 FROM t WHERE a IN (", "#", ", ", ")"),
    ("IN of texts", "SELECT 1 FROM t WHERE b IN (", "'x#'", ", ", ")"),
    ("IN of parameters", "SELECT 1 FROM t WHERE a IN (", "$#", ", ", ")"),
    ("IN of rows", "SELECT 1 FROM t WHERE (a, b) IN (", "(#, 'x')", ", ", ")"),
    ("ANY of an array", "SELECT 1 FROM t WHERE a = ANY (ARRAY[", "#", ", ", "])"),
    ("ANY of a literal", "SELECT 1 FROM t WHERE a = ANY ('{", "#", ",", "}')"),
    ("VALUES", "VALUES ", "(#, 'x')", ", ", ""),
    ("INSERT", "INSERT INTO t (a, b) VALUES ", "(#, 'x')", ", ", ""),
    ("INSERT of parameters", "INSERT INTO t (a) VALUES ", "($#)", ", ", ""),
    ("INSERT of defaults", "INSERT INTO t VALUES ", "(DEFAULT, #)", ", ", ""),
    (
        "INSERT and return",
        "INSERT INTO t (a, b) VALUES ",
        "(#, 'x')",
        ", ",
        " ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING a",
    ),
    ("AND", "SELECT 1 FROM t WHERE ", "(a = #)", " AND ", ""),
    ("OR", "SELECT 1 FROM t WHERE ", "(a = #)", " OR ", ""),
    ("WHEN", "SELECT CASE a ", "WHEN # THEN (1)", " ", " END FROM t"),
    ("array", "SELECT ARRAY[", "#", ", ", "]"),
    ("array of texts", "SELECT ARRAY[", "'x'", ", ", "]"),
    ("concat", "SELECT concat(", "'x'", ", ", ")"),
    ("JSON", "SELECT '[", "{\"a\": [1, 2]}", ",", "]'::jsonb"),
    ("an array's text", "SELECT '{", "\"a b\"", ",", "}'::text[]"),
    ("a number", "SELECT ", "1234567890", "", ""),
    ("a numeric", "SELECT 0.", "12345", "", "::numeric"),
    ("a bytea", "SELECT '\\x", "00ff", "", "'::bytea"),
    ("hexadecimal", "SELECT ARRAY[", "X'ff'", ", ", "]"),
    ("not ASCII", "SELECT 'é' FROM t WHERE ", "a = #", " AND ", ""),
    ("a bit string", "SELECT B'", "10110", "", "'"),
    ("a pattern", "SELECT 'x' LIKE '", "%a_", "", "'"),
    ("a multirange", "SELECT '{", "[#,#]", ",", "}'::int8multirange"),
    ("garbage", "SELECT 1 FROM t WHERE ", "a =", " ", ""),
    ("open parentheses", "SELECT ", "(", "", ""),
    ("open brackets", "SELECT ", "[", "", ""),
    ("commas", "SELECT ", "a", ",", ""),
];

/// Shapes as [`SHAPES`] whose parts are bounded: columns, sort keys, relations, set operations.
const BOUNDED: &[(&str, usize, &str, &str, &str, &str)] = &[
    ("select list", 1_600, "SELECT ", "a AS c#", ", ", " FROM t"),
    ("GROUP BY", 1_600, "SELECT 1 FROM t GROUP BY ", "a + #", ", ", ""),
    ("ORDER BY", 1_600, "SELECT 1 FROM t ORDER BY ", "a + #", ", ", ""),
    ("grouped outputs", 400, "SELECT ", "a + 1 AS c#", ", ", " FROM t GROUP BY a + 1"),
    ("columns", 1_600, "CREATE TABLE w (", "c# int NOT NULL", ", ", ")"),
    ("WITH", 400, "WITH x0 AS (SELECT 1)", ", x# AS (SELECT * FROM x0)", "", " SELECT 1 FROM x1"),
    (
        "chained WITH",
        100,
        "WITH RECURSIVE x0 AS (SELECT 1)",
        ", x# AS (SELECT 1 AS a)",
        "",
        " SELECT * FROM x1",
    ),
    ("joins", 60, "SELECT 1 FROM t", "JOIN t AS t# ON t#.a = t.a", " ", ""),
    ("UNION ALL", 490, "SELECT 0", "UNION ALL SELECT #", " ", ""),
    ("UNION of types", 490, "SELECT 0", "UNION SELECT #.5", " ", ""),
    ("conditions", 1_600, "SELECT 1 FROM t WHERE true", "AND coalesce(a, #) > 1", " ", ""),
    ("+", 900, "SELECT 1", "+ a", " ", " FROM t"),
    ("||", 900, "SELECT ''", "|| b", " ", " FROM t"),
    ("casts", 300, "SELECT 1", "::int8", "", ""),
    ("CASE", 1_600, "SELECT CASE", "WHEN a = # THEN 'x#'", " ", "END FROM t"),
    (
        "CASEs",
        1_600,
        "SELECT 0",
        ", CASE WHEN a = 1 THEN 'x' WHEN a = 2 THEN 'y' ELSE b END",
        "",
        " FROM t",
    ),
    ("subqueries", 1_000, "SELECT 0", ", (SELECT max(a) FROM t WHERE b = 'x')", "", ""),
    ("windows", 500, "SELECT 0", ", sum(a) OVER (PARTITION BY b ORDER BY a)", "", " FROM t"),
    ("GREATEST", 490, "SELECT greatest(0", ", a", "", ") FROM t"),
    ("SET", 900, "UPDATE wide SET c0 = 1", ", c# = c#", "", ""),
];

/// No table has rows here.
struct NoRows;

impl SchemaHost for NoRows {
    fn evaluate(&mut self, _: &str) -> Result<Datum, SqlError> {
        Ok(Datum::Null)
    }
}

fn statement(parts: usize, (before, part, between, after): (&str, &str, &str, &str)) -> String {
    let parts: Vec<String> = (1..=parts).map(|it| part.replace('#', &it.to_string())).collect();
    format!("{before} {}{after}", parts.join(between))
}

fn context<'a>(
    catalog: &'a Catalog,
    search_path: &'a [String],
    settings: &'a FormatSettings,
) -> BindContext<'a> {
    let parameters = Parameters::Inferred(&[]);
    BindContext { catalog, search_path, user: "postgres", database: "app", settings, parameters }
}

/// The tables that the shapes are about.
fn schema(search_path: &[String], settings: &FormatSettings) -> Result<Catalog, SqlError> {
    let wide: Vec<String> = (0..1_000).map(|number| format!("c{number} int")).collect();
    let sql = format!(
        "CREATE TABLE t (a int PRIMARY KEY, b text); CREATE TABLE wide ({})",
        wide.join(", ")
    );
    let mut catalog = Catalog::from_rows([]);
    for statement in parse::split(&sql)? {
        let plan = bind::plan(&statement, &context(&catalog, search_path, settings))?;
        let PlanKind::Schema(change) = plan.kind else { continue };
        let change = change.apply(&catalog, &mut NoRows)?;
        let mut rows = catalog.rows.clone();
        rows.extend(change.rows.into_iter().map(|row| (row.id, row)));
        catalog = Catalog::from_rows(rows.into_values());
    }
    Ok(catalog)
}

/// Plans a text, whatever comes of it, and says what did.
fn plan(sql: &str, cx: &BindContext<'_>) -> String {
    let planned = parse::split(sql).and_then(|statements| {
        statements.iter().try_for_each(|it| {
            let plan = bind::plan(it, cx)?;
            if let PlanKind::Schema(change) = &plan.kind {
                black_box(change.apply(cx.catalog, &mut NoRows)?);
            }
            Ok(())
        })
    });
    planned.map_or_else(|error| error.state.to_string(), |()| String::new())
}

fn shortest(sql: &str, cx: &BindContext<'_>) -> (Duration, String) {
    let mut shortest = (Duration::MAX, String::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let outcome = black_box(plan(sql, cx));
        shortest = (shortest.0.min(start.elapsed()), outcome);
    }
    shortest
}

fn main() -> Result<(), SqlError> {
    let (search_path, settings) = (vec!["public".to_owned()], FormatSettings::default());
    let catalog = schema(&search_path, &settings)?;
    let cx = context(&catalog, &search_path, &settings);
    let unbounded = SHAPES.iter().map(|(name, before, part, between, after)| {
        (*name, FEW, MANY, (*before, *part, *between, *after))
    });
    let bounded = BOUNDED.iter().map(|(name, most, before, part, between, after)| {
        (*name, most / 10, *most, (*before, *part, *between, *after))
    });
    let chosen: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|it| it == name);
    let mut out = std::io::stdout().lock();
    for (name, few, many, shape) in unbounded.chain(bounded).filter(|(name, ..)| is_chosen(name)) {
        let (short, _) = shortest(&statement(few, shape), &cx);
        let (long, outcome) = shortest(&statement(many, shape), &cx);
        #[expect(clippy::cast_precision_loss, reason = "a ratio to be read")]
        let more = many as f64 / few as f64;
        let growth = long.as_secs_f64() / short.as_secs_f64().max(1e-9) / more;
        let millis = long.as_secs_f64() * 1e3;
        // A reader that has gone away wants no more.
        if writeln!(out, "{name}\t{millis:.1}\t{growth:.1}\t{outcome}").is_err() {
            break;
        }
    }
    Ok(())
}
