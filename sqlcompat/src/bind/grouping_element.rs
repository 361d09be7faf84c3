//! The elements of `GROUP BY`: expressions, and the sets of them that `ROLLUP`, `CUBE` and `GROUPING SETS` stand for.
//!
//! Each element is one or more alternatives; the grouping sets are all combinations of one alternative of each:
//!
//! ```text
//!   GROUP BY a, ROLLUP (b, (c, d))   is   {a, b, c, d}, {a, b}, {a}
//! ```

use std::collections::BTreeSet;

use sqlparser::ast;

use super::binder::Binder;
use super::select::{Grouping, Targets};
use super::tree::Expr;
use crate::error::{SqlError, SqlState};
use crate::parse::rewrite::{CUBE, GROUP_DISTINCT, GROUPING_SETS, NO_KEYS, ROLLUP};

/// PostgreSQL's own bound.
const CUBE_MAX: usize = 12;

/// Most sets of one GROUP BY, as in PostgreSQL; more is refused with 54001.
const SETS_MAX: usize = 4096;

/// The expressions of one grouping set.
type Set<'e> = Vec<&'e ast::Expr>;

impl Binder<'_> {
    /// Binds the elements of `GROUP BY`.
    pub(super) fn grouping_elements(
        &mut self,
        exprs: &[ast::Expr],
        targets: &mut Targets,
    ) -> Result<Grouping, SqlError> {
        let mut keys: Vec<Expr> = Vec::new();
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        let mut several = false;
        let distinct = exprs.first().is_some_and(|expr| is_mark(expr, GROUP_DISTINCT));
        for expr in exprs.iter().skip(usize::from(distinct)) {
            let set = set_of(expr);
            several |= set.is_some() || is_mark(expr, NO_KEYS) || is_empty(expr);
            let alternatives = alternatives(expr)?;
            let mut bound = Vec::with_capacity(alternatives.len());
            for alternative in alternatives {
                let mut set = Vec::with_capacity(alternative.len());
                for expr in alternative {
                    set.push(self.grouping_key(expr, targets, &mut keys)?);
                }
                bound.push(set);
            }
            if sets.len().saturating_mul(bound.len()) > SETS_MAX {
                return Err(too_many_sets().at(self.expr_start(expr).position()));
            }
            let combined =
                sets.iter().flat_map(|set| bound.iter().map(|more| [&set[..], more].concat()));
            sets = combined.collect();
        }
        if distinct {
            let as_set = |set: &Vec<usize>| set.iter().copied().collect::<BTreeSet<usize>>();
            let mut seen = BTreeSet::new();
            sets.retain(|set| seen.insert(as_set(set)));
        }
        Ok((keys, several.then_some(sets)))
    }
}

/// A mark of the parser's with its elements, if an expression is a call of one.
fn set_of(expr: &ast::Expr) -> Option<(&str, Vec<&ast::Expr>)> {
    let ast::Expr::Function(call) = expr else { return None };
    let [ast::ObjectNamePart::Identifier(name)] = &call.name.0[..] else { return None };
    let known = [GROUPING_SETS, ROLLUP, CUBE].into_iter().find(|it| *it == name.value)?;
    let ast::FunctionArguments::List(list) = &call.args else { return None };
    let elements = list.args.iter().map(|argument| match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    Some((known, elements.collect::<Option<_>>()?))
}

fn is_mark(expr: &ast::Expr, mark: &str) -> bool {
    matches!(expr, ast::Expr::Identifier(ident) if ident.value == mark)
}

fn is_empty(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Tuple(fields) if fields.is_empty())
}

/// The sets that an element stands for.
fn alternatives(expr: &ast::Expr) -> Result<Vec<Set<'_>>, SqlError> {
    let Some((kind, elements)) = set_of(expr) else { return Ok(vec![fields(expr)]) };
    if kind == GROUPING_SETS {
        let mut sets = Vec::new();
        for element in elements {
            sets.extend(alternatives(element)?);
            if sets.len() > SETS_MAX {
                return Err(too_many_sets());
            }
        }
        return Ok(sets);
    }
    let lists: Vec<Set<'_>> = elements.into_iter().map(fields).collect();
    if kind == ROLLUP {
        if lists.len() >= SETS_MAX {
            return Err(too_many_sets());
        }
        return Ok((0..=lists.len()).rev().map(|count| lists[..count].concat()).collect());
    }
    subsets(&lists)
}

/// The expressions of `(a, (b, c))`, of `()`, or of what is no list.
fn fields(expr: &ast::Expr) -> Set<'_> {
    match expr {
        ast::Expr::Tuple(items) => items.iter().flat_map(fields).collect(),
        ast::Expr::Nested(inner) if matches!(**inner, ast::Expr::Tuple(_)) => fields(inner),
        _ if is_mark(expr, NO_KEYS) => Vec::new(),
        _ => vec![expr],
    }
}

/// All subsets, largest first.
fn subsets<'e>(lists: &[Set<'e>]) -> Result<Vec<Set<'e>>, SqlError> {
    if lists.len() > CUBE_MAX {
        return Err(SqlError::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("CUBE is limited to {CUBE_MAX} elements"),
        ));
    }
    let count = lists.len();
    let chosen = |mask: u32| (0..count).filter(move |index| mask & (1 << (count - 1 - index)) != 0);
    let masks = (0..1u32 << count).rev();
    Ok(masks
        .map(|mask| chosen(mask).flat_map(|index| lists[index].iter().copied()).collect())
        .collect())
}

fn too_many_sets() -> SqlError {
    let message = format!("too many grouping sets present (maximum {SETS_MAX})");
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message)
}
