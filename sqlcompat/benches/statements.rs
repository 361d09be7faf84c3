//! How long it takes to plan what clients send: `cargo bench -p trellis-sqlcompat`.
//!
//! Every statement of `testscripts/golden_types/answers.jsonl`, which real clients sent, is parsed, bound and lowered
//! [`ROUNDS`] times over the schema of `setup.sql`; its figure is the median of these. Printed as `name<TAB>value`, in
//! microseconds:
//!
//! | name | value |
//! |---|---|
//! | `parse/median` | parsing alone, the median statement |
//! | `miss/median`, `miss/p95`, `miss/worst` | all of it: what a statement costs that is in no cache |
//! | `hit/median` | looking a statement up by its text among all of them, as the session's cache does |
//! | `slow/…` | the slowest statements, by their beginning |
//!
//! The aims are 150 for `miss/median` and 3 for `hit/median`, in a release build on a machine with nothing else to do.

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::parse;
use trellis_sqlcompat::plan::{Plan, PlanKind};
use trellis_sqlcompat::schema::{Catalog, SchemaHost};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{Datum, SqlError};

/// How often each statement is planned.
const ROUNDS: usize = 15;

/// How many of the slowest statements are printed.
const SLOWEST: usize = 10;

/// No table has rows here.
struct NoRows;

impl SchemaHost for NoRows {
    fn evaluate(&mut self, _: &str) -> Result<Datum, SqlError> {
        Ok(Datum::Null)
    }
}

/// What a statement cost.
struct Cost {
    sql: String,
    parse: Duration,
    all: Duration,
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = black_box(work());
    (result, start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn context<'a>(
    catalog: &'a Catalog,
    search_path: &'a [String],
    settings: &'a FormatSettings,
) -> BindContext<'a> {
    let parameters = Parameters::Inferred(&[]);
    BindContext { catalog, search_path, user: "postgres", database: "app", settings, parameters }
}

/// The schema that `setup.sql` makes; statements that are not supported are passed over.
fn schema(search_path: &[String], settings: &FormatSettings) -> Catalog {
    let mut catalog = Catalog::from_rows([]);
    let setup = fs::read_to_string("testscripts/golden_types/setup.sql").unwrap_or_default();
    for sql in setup.split("\n;\n") {
        for statement in parse::split(sql).unwrap_or_default() {
            let Ok(plan) = bind::plan(&statement, &context(&catalog, search_path, settings)) else {
                continue;
            };
            let PlanKind::Schema(change) = plan.kind else { continue };
            let Ok(change) = change.apply(&catalog, &mut NoRows) else { continue };
            let mut rows = catalog.rows.clone();
            rows.extend(change.rows.into_iter().map(|row| (row.id, row)));
            catalog = Catalog::from_rows(rows.into_values());
        }
    }
    catalog
}

fn plan(sql: &str, cx: &BindContext<'_>) -> Option<Plan> {
    let statements = parse::split(sql).ok()?;
    bind::plan(statements.first()?, cx).ok()
}

/// Plans a statement [`ROUNDS`] times; `None` for one that is refused.
fn measure(sql: &str, cx: &BindContext<'_>) -> Option<Cost> {
    plan(sql, cx)?;
    let (mut parsing, mut all) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        parsing.push(timed(|| parse::split(sql)).1);
        all.push(timed(|| plan(sql, cx)).1);
    }
    Some(Cost { sql: sql.to_owned(), parse: median(parsing), all: median(all) })
}

/// Looks every statement up by its text.
fn hits(costs: &[Cost], cx: &BindContext<'_>) -> Duration {
    let plans: HashMap<String, Arc<Plan>> = costs
        .iter()
        .filter_map(|cost| Some((cost.sql.clone(), Arc::new(plan(&cost.sql, cx)?))))
        .collect();
    let look_up = |cost: &Cost| timed(|| plans.get(&cost.sql).cloned()).1;
    median(costs.iter().map(look_up).collect())
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}

fn main() {
    let (search_path, settings) = (vec!["public".to_owned()], FormatSettings::default());
    let catalog = schema(&search_path, &settings);
    let cx = context(&catalog, &search_path, &settings);
    let recorded = fs::read_to_string("testscripts/golden_types/answers.jsonl").unwrap_or_default();
    let statements = recorded.lines().filter_map(|line| {
        let answer: Value = serde_json::from_str(line).ok()?;
        Some(answer["sql"].as_str()?.to_owned())
    });
    let mut costs: Vec<Cost> = statements.filter_map(|sql| measure(&sql, &cx)).collect();
    costs.sort_unstable_by_key(|cost| cost.all);
    let at = |share: usize| {
        costs.get(costs.len() * share / 100).map_or_else(String::new, |it| micros(it.all))
    };
    let mut lines = vec![
        ("statements".to_owned(), costs.len().to_string()),
        ("parse/median".to_owned(), micros(median(costs.iter().map(|it| it.parse).collect()))),
        ("miss/median".to_owned(), at(50)),
        ("miss/p95".to_owned(), at(95)),
        ("miss/worst".to_owned(), costs.last().map_or_else(String::new, |it| micros(it.all))),
        ("hit/median".to_owned(), micros(hits(&costs, &cx))),
    ];
    for cost in costs.iter().rev().take(SLOWEST) {
        let words: Vec<&str> = cost.sql.split_whitespace().collect();
        let beginning: String = words.join(" ").chars().take(60).collect();
        lines.push((format!("slow/{beginning}"), micros(cost.all)));
    }
    let mut out = std::io::stdout().lock();
    for (name, value) in lines {
        // A reader that has gone away wants no more.
        if writeln!(out, "{name}\t{value}").is_err() {
            return;
        }
    }
}
