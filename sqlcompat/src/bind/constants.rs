//! The constant parts of a query, which PostgreSQL computes when it plans.
//!
//! An immutable call of constants that fails is an error of planning there: it is reported before the columns are described, and
//! also where no row would ever reach the call (manual, `xfunc-volatility`). So such expressions are gathered here into one
//! row that is computed before the query runs; SQLite computes them again where they stand.
//!
//! ```text
//!   SELECT CASE WHEN a > 100 THEN 1/0 ELSE lower('X') END FROM t   ──>   SELECT pg_int4div(1, 0), pg_lower('X')
//! ```
//!
//! # Invariants
//! 1. What a constant may decide is left alone: of `CASE`, `COALESCE`, `AND` and `OR` nothing after their first constant condition
//!    is taken, unless all of it is constant.
//! 2. Nothing of `WITH` is taken: PostgreSQL plans only what is referred to.
//!
//! # Bounds
//! [`CONSTANTS_MAX`] expressions; the rest is found by SQLite alone.

use super::tree::{Expr, Node, Query, Relations, Source};
use super::walk::query_expressions;
use crate::builtin::Volatility;
use crate::oid::Oid;

/// Most expressions that are computed ahead.
const CONSTANTS_MAX: usize = 64;

/// The largest constant expressions of a query that have something to compute.
pub(crate) fn constants<'q>(query: &'q Query, relations: &'q Relations) -> Vec<&'q Expr> {
    let mut found = Vec::new();
    of_query(query, &mut found);
    for relation in &relations.0 {
        if let Source::Query(query) | Source::OnlyRow(query) = &relation.source {
            of_query(query, &mut found);
        }
    }
    found.truncate(CONSTANTS_MAX);
    found
}

fn of_query<'q>(query: &'q Query, found: &mut Vec<&'q Expr>) {
    for expr in query_expressions(query) {
        of_expr(expr, found);
    }
}

fn of_expr<'q>(expr: &'q Expr, found: &mut Vec<&'q Expr>) {
    if found.len() >= CONSTANTS_MAX {
        return;
    }
    if is_constant(expr) {
        if expr.any(&mut is_computed) {
            found.push(expr);
        }
        return;
    }
    let terms: Vec<&Expr> = match &expr.node {
        Node::Case(whens, _) => whens.iter().flat_map(|(test, result)| [test, result]).collect(),
        Node::Coalesce(terms) | Node::And(terms) | Node::Or(terms) => terms.iter().collect(),
        _ => Vec::new(),
    };
    // The first constant may decide that what follows it is not computed.
    let is_case = matches!(expr.node, Node::Case(..));
    let step = if is_case { 2 } else { 1 };
    if let Some(first) = terms.iter().step_by(step).position(|term| is_constant(term)) {
        terms.into_iter().take(first * step + 1).for_each(|term| of_expr(term, found));
        return;
    }
    if let Some(query) = expr.query() {
        of_query(query, found);
    }
    for child in expr.children() {
        of_expr(child, found);
    }
}

/// Whether there is something to compute at a node itself.
fn is_computed(expr: &Expr) -> bool {
    !matches!(expr.node, Node::Literal(_) | Node::Relabel(_))
}

/// Whether an expression is made of literals by immutable functions alone.
fn is_constant(expr: &Expr) -> bool {
    let own = match &expr.node {
        Node::Literal(_) => true,
        Node::Call(call) | Node::IsDistinct(call, _) | Node::NullIf(call) => {
            call.row.volatility == Volatility::Immutable && !call.row.returns_set
        }
        Node::Input(_) => reads_alike(expr.type_oid),
        Node::Output(inner) => reads_alike(inner.type_oid),
        Node::Relabel(_)
        | Node::And(_)
        | Node::Or(_)
        | Node::Not(_)
        | Node::IsNull(..)
        | Node::IsTruth(..)
        | Node::Between(..)
        | Node::InList(..)
        | Node::Case(..)
        | Node::Coalesce(_)
        | Node::Array(_) => true,
        _ => false,
    };
    own && expr.children().into_iter().all(is_constant)
}

/// Types whose text form depends on no setting.
fn reads_alike(type_oid: Oid) -> bool {
    matches!(
        type_oid,
        Oid::BOOL
            | Oid::INT2
            | Oid::INT4
            | Oid::INT8
            | Oid::NUMERIC
            | Oid::FLOAT4
            | Oid::FLOAT8
            | Oid::TEXT
            | Oid::VARCHAR
            | Oid::BPCHAR
            | Oid::UUID
            | Oid::JSON
            | Oid::JSONB
    )
}
