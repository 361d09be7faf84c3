//! What a statement is bound against, and the entry point of binding.

use crate::error::SqlError;
use crate::oid::Oid;
use crate::parse::{ParsedStatement, StatementAst, utility};
use crate::plan::Plan;
use crate::schema::Catalog;
use crate::settings::FormatSettings;

/// Everything outside a statement's text that its meaning depends on.
#[derive(Clone, Copy)]
pub struct BindContext<'a> {
    /// The user's schema, temporary tables included.
    pub catalog: &'a Catalog,
    /// Schemas that unqualified names are looked up in, `$user` already replaced; `pg_catalog` is implicitly first.
    pub search_path: &'a [String],
    /// Current user.
    pub user: &'a str,
    /// Current database.
    pub database: &'a str,
    /// Settings that literals are read by.
    pub settings: &'a FormatSettings,
    /// Declared types of `$1`, `$2`, …; 0 or `unknown` is to be inferred; there may be fewer than are used.
    pub parameter_types: &'a [Oid],
}

/// Binds and lowers one statement.
///
/// # Errors
/// Whatever PostgreSQL's parse analysis reports, with its SQLSTATE, wording and position; 0A000 for what Trellis does not
/// support.
pub fn plan(statement: &ParsedStatement, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let _ = cx;
    match &statement.ast {
        StatementAst::Sql(_) => Err(SqlError::unsupported("this statement")),
        StatementAst::Utility(ast) => utility::plan(ast, cx),
    }
}
