//! Expressions as PostgreSQL shows them: `balance >= 0` over a numeric column is `(balance >= (0)::numeric)`.
//!
//! PostgreSQL stores a DEFAULT, a CHECK condition or an index expression as a typed tree and writes it out again where a
//! client asks (`pg_get_expr`, `pg_get_constraintdef`, `pg_get_indexdef`). Trellis stores that text to begin with, so that
//! the catalog answers with PostgreSQL's own. The text means the same as what was written and can be bound again.
//!
//! The syntax tree is walked bottom-up into `Piece`s, text with a type. Each operator and function is
//! resolved over its pieces' types, which says what each must become; the coercions that PostgreSQL would store are the
//! casts that the text shows. What is folded at parse time there (untyped literals, negative numbers) is folded here.
//!
//! | module | what |
//! |---|---|
//! | `piece` | text with a type; constants; casts |
//! | `expression` | the walk: names, literals, operators, predicates |
//! | `conditional` | CASE, COALESCE and kin, ARRAY, rows, IN |
//! | `call` | functions, and those with a grammar of their own |
//! | `query`, `select`, `from` | the queries of views, for `pg_get_viewdef` |
//! | `aggregate`, `sublink` | what expressions of queries may hold besides: aggregates, subqueries |
//! | `scope` | the names that a query may use |
//! | `star` | `SELECT *` of a view, written out |
//!
//! # Bounds
//! Nesting: `DEPTH_MAX` levels, 54001 below.
//!
//! # Left out
//! Outside of queries subqueries, aggregates and window functions, which no other expression of a schema may contain.
//!
//! # Sources
//! PostgreSQL 15 manual, `functions-info`; the forms were recorded from the server (`testscripts/deparse`).

mod aggregate;
mod call;
mod conditional;
mod expression;
mod from;
mod piece;
mod query;
mod scope;
mod select;
mod star;
mod sublink;

use sqlparser::ast::{Expr, Ident};

use super::binder::Binder;
use super::context::BindContext;
use super::resolve::Types;
use super::scalar::ScalarScope;
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::View;
use piece::{Form, Piece};

pub use star::expand_stars;

/// Deepest nesting of expressions.
const DEPTH_MAX: usize = 160;

/// The text of an expression, as `pg_get_expr` shows it.
///
/// `expected` is the type that a DEFAULT or a condition must have: it gives untyped literals their type.
///
/// # Errors
/// What binding the expression reports; 0A000 for an expression that no schema object may contain.
pub fn deparse_expression(
    expr: &Expr,
    scope: ScalarScope<'_>,
    expected: Option<Oid>,
    cx: &BindContext<'_>,
) -> Result<String, SqlError> {
    let mut deparser = Deparser::new(cx, scope, false);
    let piece = deparser.expr(expr)?;
    let settled = match piece.form {
        Form::Unknown(_) => {
            let target = deparser.types.base(expected.unwrap_or(Oid::TEXT));
            deparser.implicit(piece, target)?
        }
        _ => piece,
    };
    Ok(settled.text)
}

/// The text of a view's query, as `pg_get_viewdef` shows it without the semicolon; `query` is its text in the names that are to
/// be shown.
///
/// # Errors
/// What binding the query reports; 0A000 for what cannot be written out.
pub fn deparse_view(
    query: &str,
    view: &View,
    pretty: bool,
    cx: &BindContext<'_>,
) -> Result<String, SqlError> {
    let ast = super::updatable::view_query(query)?;
    let mut deparser = Deparser::new(cx, ScalarScope::Nothing, pretty);
    deparser.view = Some(view);
    let mut text = String::new();
    let names: Vec<String> = view.columns.iter().map(|(name, ..)| name.clone()).collect();
    let place = query::Place { indent: 0, names: Some(&names), visible: true };
    deparser.query(&ast, place, &mut text)?;
    Ok(text)
}

/// The walk over one expression.
struct Deparser<'a> {
    cx: &'a BindContext<'a>,
    types: Types<'a>,
    /// Reads type names.
    names: Binder<'a>,
    scope: ScalarScope<'a>,
    depth: usize,
    /// The view that is written out.
    view: Option<&'a View>,
    /// What the FROM that is being written merges columns by.
    merged: from::Merged,
    /// Columns that a new line of CASE is indented by.
    indent: usize,
    /// The queries around, innermost last; none for an expression that stands alone.
    levels: Vec<scope::Level>,
    /// Names that relations of the queries around are shown by.
    claimed: Vec<Vec<String>>,
    /// CTEs in sight, innermost last.
    ctes: Vec<(String, Vec<scope::Output>)>,
    /// The name of a recursive CTE, and names of its columns, until its first arm tells their types.
    recursive: Option<(String, Vec<String>)>,
    /// With as few parentheses as possible.
    pretty: bool,
    /// Texts of subqueries, which `pretty` leaves alone.
    kept: Vec<String>,
}

impl<'a> Deparser<'a> {
    fn new(cx: &'a BindContext<'a>, scope: ScalarScope<'a>, pretty: bool) -> Self {
        Self {
            cx,
            types: Types::new(cx.catalog, cx.search_path),
            names: Binder::new(cx, ""),
            scope,
            view: None,
            merged: from::Merged::default(),
            depth: 0,
            indent: 0,
            levels: Vec::new(),
            claimed: Vec::new(),
            ctes: Vec::new(),
            recursive: None,
            pretty,
            kept: Vec::new(),
        }
    }
}

impl Deparser<'_> {
    fn column(&self, name: &Ident) -> Result<Piece, SqlError> {
        if !self.levels.is_empty() {
            return self.query_column(name);
        }
        let folded = fold(name);
        let found = match self.scope {
            ScalarScope::Nothing => None,
            ScalarScope::Table { name: _, columns } => {
                let column = columns.iter().find(|column| column.name == folded);
                column.map(|it| (quote_identifier(&it.name), it.type_oid, it.typmod))
            }
            ScalarScope::DomainValue(type_oid, typmod) => {
                (folded == "value").then(|| ("VALUE".to_owned(), type_oid, typmod))
            }
        };
        let (text, type_oid, typmod) = found.ok_or_else(|| {
            let message = format!("column \"{folded}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })?;
        Ok(Piece { text, type_oid, typmod, form: Form::Column, names_column: true })
    }

    /// Whether columns may be qualified by this name.
    fn is_table(&self, qualifier: &str) -> bool {
        match self.scope {
            ScalarScope::Table { name, columns: _ } => name == qualifier,
            ScalarScope::Nothing | ScalarScope::DomainValue(..) => false,
        }
    }
}

/// An identifier as PostgreSQL means it: in lower case unless quoted.
fn fold(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

#[cfg(test)]
mod tests;
