//! `WITH CHECK OPTION`: a row that a view adds or changes must be one that the view shows.
//!
//! ```text
//!   CREATE VIEW v AS SELECT * FROM t WHERE n > 0 WITH CHECK OPTION
//!   INSERT INTO v VALUES (0)     ──>     INSERT INTO t VALUES (0)
//!                                        RETURNING CASE WHEN n > 0 THEN NULL ELSE trellis_check_option('v', …) END
//! ```
//!
//! The condition is computed over the new row once the table's own constraints have admitted it, as in PostgreSQL
//! (`ExecWithCheckOptions`). One that reads tables is computed after all rows are written, over the tables as they were
//! before: in a step of its own ([`super::steps`]).

use super::binder::Binder;
use super::target::Target;
use super::tree::{At, Expr, Node};
use crate::error::SqlError;
use crate::lower::{Lowering, quote_text};
use crate::oid::Oid;
use crate::schema::CheckOption;

/// Values of a failing row that one call joins: SQLite's limit on arguments is 127.
const VALUES_PER_CALL: usize = 100;

/// The conditions that new rows of a statement's target must meet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    /// Names of views and their conditions, in the order in which they are checked.
    conditions: Vec<(String, Expr)>,
    /// The columns of the table, for the error's detail.
    row: Vec<Expr>,
    /// Tables that the conditions read.
    pub(crate) reads: Vec<Oid>,
}

impl Checks {
    /// Whether there is nothing to check.
    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether the rows have to be checked after the statement.
    pub(crate) fn is_late(&self) -> bool {
        let reads = |it: &Expr| it.query().is_some();
        self.conditions.iter().any(|(_, condition)| condition.any(&mut |it| reads(it)))
    }
}

impl<'a> Binder<'a> {
    /// The conditions that a target's new rows must meet. Those of inner views come first; a cascaded check option asks for
    /// the conditions of all views under its own.
    pub(crate) fn checks(&self, target: Target<'a>) -> Checks {
        let Some(view) = self.written_view_of(target) else { return Checks::default() };
        let (mut checks, mut cascaded) = (Checks::default(), false);
        for level in view.levels.iter().rev() {
            cascaded |= level.check == Some(CheckOption::Cascaded);
            let checked = cascaded || level.check.is_some();
            if let (true, Some(condition)) = (checked, &level.filter) {
                checks.conditions.insert(0, (level.name.clone(), condition.clone()));
                checks.reads.extend(&level.reads);
            }
        }
        if !checks.is_empty() {
            let indexes = (0u16..).take(target.table.columns.len());
            checks.row = indexes.map(|index| self.column(view.base, index, At(0))).collect();
        }
        checks
    }
}

impl Lowering<'_> {
    /// NULL, or 44000 if the row at hand fails a condition.
    ///
    /// # Errors
    /// What lowering a condition reports.
    pub(crate) fn checks(&mut self, checks: &Checks) -> Result<(), SqlError> {
        self.out.push_str("CASE");
        for (view, condition) in &checks.conditions {
            self.out.push_str(" WHEN (");
            self.expr(condition)?;
            self.push(format_args!(") IS NOT 1 THEN trellis_check_option({}, ", quote_text(view)));
            self.failing_row(&checks.row)?;
            self.out.push(')');
        }
        self.out.push_str(" END");
        Ok(())
    }

    /// The values of a row as an error's detail shows them.
    fn failing_row(&mut self, row: &[Expr]) -> Result<(), SqlError> {
        self.out.push_str("concat_ws(', '");
        for values in row.chunks(VALUES_PER_CALL) {
            self.out.push_str(", concat_ws(', '");
            for value in values {
                self.out.push_str(", trellis_shown(");
                self.expr(&Expr::new(Node::Output(Box::new(value.clone())), Oid::TEXT))?;
                self.out.push(')');
            }
            self.out.push(')');
        }
        self.out.push(')');
        Ok(())
    }
}
