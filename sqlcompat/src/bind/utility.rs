//! Statements that are not bound here: session statements and DDL go to their own planners.

use sqlparser::ast::Statement;

use super::context::BindContext;
use crate::error::SqlError;
use crate::plan::Plan;

/// Plans what sqlparser read and the binder does not translate.
///
/// # Errors
/// 0A000, naming the statement.
pub(crate) fn plan_other(
    statement: &Statement,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
    match statement {
        Statement::Truncate(truncate) => super::delete::truncate(truncate, text, cx),
        other => {
            let words: Vec<String> =
                other.to_string().split_whitespace().take(2).map(str::to_owned).collect();
            Err(SqlError::unsupported(format!("the statement {}", words.join(" "))))
        }
    }
}
