//! Expressions and queries that live in the schema: defaults, checks, generated columns, index keys, views.

use sqlparser::ast::{Expr, Query};

use super::context::BindContext;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::plan::ResultColumn;
use crate::schema::Column;

/// What names a schema expression may use.
#[derive(Clone, Copy, Debug)]
pub enum ScalarScope<'a> {
    /// None: a DEFAULT.
    Nothing,
    /// The columns of one table, by their names or the table's: CHECK, generated columns, indexes.
    Table {
        /// Name of the table.
        name: &'a str,
        /// Its columns; rendered by their physical names, unqualified.
        columns: &'a [Column],
    },
    /// `VALUE` of this type: a domain's CHECK. Rendered as `?1`.
    DomainValue(Oid, i32),
}

/// A schema expression, bound and lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredScalar {
    /// SQLite text.
    pub sql: String,
    /// Its type.
    pub type_oid: Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// Whether it depends on nothing but its columns, so that SQLite may keep it in an index or a generated column.
    pub immutable: bool,
    /// Whether it is a literal, so that SQLite may keep it as a DEFAULT.
    pub constant: bool,
}

/// A query, bound and lowered.
#[derive(Clone, Debug)]
pub struct LoweredQuery {
    /// SQLite text.
    pub sql: String,
    /// Its output columns.
    pub columns: Vec<ResultColumn>,
}

/// Binds an expression of the schema; `expected` is the type it is assigned to, with its modifier.
///
/// # Errors
/// As [`super::plan`]; 42804 if the expression's type does not go into `expected`.
pub fn bind_scalar_expression(
    expr: &Expr,
    text: &str,
    scope: ScalarScope<'_>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> Result<LoweredScalar, SqlError> {
    let _ = (expr, text, scope, expected, cx);
    Err(SqlError::unsupported("this expression"))
}

/// Binds a query that defines a view or fills a table. It must not have parameters.
///
/// # Errors
/// As [`super::plan`].
pub fn bind_query(
    query: &Query,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<LoweredQuery, SqlError> {
    let _ = (query, text, cx);
    Err(SqlError::unsupported("this query"))
}
