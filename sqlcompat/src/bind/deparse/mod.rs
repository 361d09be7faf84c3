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
//! | `star` | `SELECT *` of a view, written out |
//!
//! # Bounds
//! Nesting: `DEPTH_MAX` levels, 54001 below.
//!
//! # Left out
//! Subqueries, aggregates and window functions, which no expression of a schema may contain.
//!
//! # Sources
//! PostgreSQL 15 manual, `functions-info`; the forms were recorded from the server (`testscripts/deparse`).

mod call;
mod conditional;
mod expression;
mod piece;
mod star;

use sqlparser::ast::{Expr, Ident};

use super::binder::Binder;
use super::context::BindContext;
use super::resolve::Types;
use super::scalar::ScalarScope;
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
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
    let mut deparser = Deparser {
        cx,
        types: Types::new(cx.catalog, cx.search_path),
        names: Binder::new(cx, ""),
        scope,
        depth: 0,
        indent: 0,
    };
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

/// The walk over one expression.
struct Deparser<'a> {
    cx: &'a BindContext<'a>,
    types: Types<'a>,
    /// Reads type names.
    names: Binder<'a>,
    scope: ScalarScope<'a>,
    depth: usize,
    /// Columns that a new line of CASE is indented by.
    indent: usize,
}

impl Deparser<'_> {
    fn column(&self, name: &Ident) -> Result<Piece, SqlError> {
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
