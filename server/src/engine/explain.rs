//! `EXPLAIN`: how SQLite runs a statement.

use std::collections::BTreeMap;

use trellis_sqlcompat::plan::{Plan, PlanKind};
use trellis_sqlcompat::{DatumRef, SqlError};

use super::rows::SqliteRows;
use super::session_engine::SqliteEngine;
use crate::session::Rows;

impl SqliteEngine {
    /// The lines of `EXPLAIN`: SQLite's own plan, as a tree.
    ///
    /// # Errors
    /// What preparing the statement reports.
    pub(super) fn query_plan(&mut self, plan: &Plan) -> Result<Vec<String>, SqlError> {
        self.prepare_read(plan)?;
        let steps: Vec<&str> = match &plan.kind {
            PlanKind::Query(step) => vec![&step.sql],
            PlanKind::Write(write) => write.steps.iter().map(|step| step.sql.as_str()).collect(),
            PlanKind::Schema(_) | PlanKind::Session(_) | PlanKind::Empty | PlanKind::Deferred => {
                Vec::new()
            }
        };
        let mut lines = Vec::new();
        for sql in steps {
            let (text, statement) = self.statement(&format!("EXPLAIN QUERY PLAN {sql}"), &[])?;
            let mut rows = SqliteRows::new(text, statement, self.surroundings());
            let mut depths = BTreeMap::new();
            while rows.next()? {
                let (id, parent) = (integer(rows.column(0)), integer(rows.column(1)));
                let depth = depths.get(&parent).map_or(0, |depth| depth + 1);
                depths.insert(id, depth);
                if let DatumRef::Text(detail) = rows.column(3) {
                    let indent = if depth == 0 {
                        String::new()
                    } else {
                        format!("{}->  ", "  ".repeat(depth))
                    };
                    lines.push(format!("{indent}{detail}"));
                }
            }
        }
        if lines.is_empty() {
            lines.push("Result".to_owned());
        }
        Ok(lines)
    }
}

fn integer(value: DatumRef<'_>) -> i64 {
    if let DatumRef::Integer(integer) = value { integer } else { 0 }
}
