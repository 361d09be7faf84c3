//! `EXPLAIN`'s texts, and what `ANALYZE` adds: the rows that the statement really gave, and the time that it took.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trellis_sqlcompat::plan::{ExplainTimes, Plan};
use trellis_sqlcompat::{Datum, SqlError};

use super::port::{Engine, Rows};
use super::portal::Ran;
use super::session::Session;
use crate::clock;

/// What running an explained statement came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Actual {
    /// Rows that it returned.
    rows: u64,
    /// How long planning took.
    planning: Duration,
    /// How long it ran until its first row, and to its end.
    first: Duration,
    total: Duration,
}

impl<E: Engine> Session<E> {
    /// Runs a statement for its figures; its rows go nowhere.
    pub(super) fn analyze(
        &mut self,
        plan: &Plan,
        parameters: &[Datum],
        planning: Duration,
    ) -> Result<Actual, SqlError> {
        let started = clock::now();
        let since = || clock::now().saturating_duration_since(started);
        let mut actual = Actual { planning, ..Actual::default() };
        match self.run_bound(&Arc::new(plan.clone()), parameters)? {
            Ran::Rows(mut rows, _) => {
                while rows.next()? {
                    if actual.rows == 0 {
                        actual.first = since();
                    }
                    actual.rows += 1;
                }
            }
            Ran::Done(_) | Ran::Empty => {}
            Ran::CopyIn(_) | Ran::CopyOut(..) => {
                return Err(SqlError::unsupported("EXPLAIN ANALYZE of this statement"));
            }
        }
        actual.total = since();
        Ok(actual)
    }
}

fn millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

/// The lines of the plan, the first with what was measured, and the summary.
pub(super) fn explain_text(
    mut lines: Vec<String>,
    actual: Option<&Actual>,
    times: ExplainTimes,
) -> Vec<String> {
    let Some(actual) = actual else { return lines };
    let time = if times.timing {
        format!("time={}..{} ", millis(actual.first), millis(actual.total))
    } else {
        String::new()
    };
    if let Some(first) = lines.first_mut() {
        first.push_str(&format!(" (actual {time}rows={} loops=1)", actual.rows));
    }
    if times.summary {
        lines.push(format!("Planning Time: {} ms", millis(actual.planning)));
        lines.push(format!("Execution Time: {} ms", millis(actual.total)));
    }
    lines
}

/// The plan in PostgreSQL's JSON form, with one node that holds its lines.
pub(super) fn explain_json(
    lines: &[String],
    actual: Option<&Actual>,
    times: ExplainTimes,
) -> String {
    let number = |time: Duration| json!((time.as_secs_f64() * 1e6).round() / 1e3);
    let mut node = json!({ "Node Type": "Result", "Steps": lines });
    let mut whole = json!({});
    if let Some(actual) = actual {
        if times.timing {
            node["Actual Startup Time"] = number(actual.first);
            node["Actual Total Time"] = number(actual.total);
        }
        node["Actual Rows"] = json!(actual.rows);
        node["Actual Loops"] = json!(1);
    }
    whole["Plan"] = node;
    if let Some(actual) = actual.filter(|_| times.summary) {
        whole["Planning Time"] = number(actual.planning);
        whole["Triggers"] = json!([]);
        whole["Execution Time"] = number(actual.total);
    }
    serde_json::to_string_pretty(&Value::Array(vec![whole])).unwrap_or_default()
}
