//! Queries as `pg_get_viewdef` shows them.
//!
//! The layout is that of PostgreSQL's `ruleutils.c`: a clause begins a line, one item of a list stands on each, and what is
//! nested is indented by [`STEP`] more. Names are qualified, stars and NATURAL are written out, and each expression has the
//! casts that were implicit.
//!
//! # Left out
//! What cannot be written is refused with 0A000, and the view's own text is shown: rows of whole relations, functions of
//! several columns in FROM, joins with an alias, named windows, GROUPING SETS.
//!
//! # Sources
//! `get_query_def`, `get_setop_query`, `get_with_clause` of PostgreSQL 15.

use sqlparser::ast::{self, CteAsMaterialized, SetExpr, SetOperator, SetQuantifier};

use super::scope::Output;
use super::{Deparser, fold};
use crate::bind::query::Clauses;
use crate::builtin::quote_identifier;
use crate::error::SqlError;
use crate::oid::Oid;

/// Columns that a nested query is indented by.
pub(super) const STEP: usize = 8;

/// Where a query is written.
#[derive(Clone, Copy)]
pub(super) struct Place<'n> {
    /// Columns that its lines are indented by.
    pub(super) indent: usize,
    /// Names of its columns, where something outside gives them.
    pub(super) names: Option<&'n [String]>,
    /// The names of its columns can be seen from outside.
    pub(super) visible: bool,
}

impl Place<'_> {
    /// A query inside another, with names of its own.
    pub(super) fn inner(indent: usize, visible: bool) -> Self {
        Self { indent, names: None, visible }
    }
}

/// Begins a line.
pub(super) fn line(out: &mut String, indent: usize, text: &str) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push_str(text);
}

impl Deparser<'_> {
    /// Writes a query; its columns.
    pub(super) fn query(
        &mut self,
        query: &ast::Query,
        place: Place<'_>,
        out: &mut String,
    ) -> Result<Vec<Output>, SqlError> {
        let clauses = Clauses::of(query, &self.names)?;
        if !clauses.locks.is_empty() {
            return Err(SqlError::unsupported("FOR UPDATE in the text of a view"));
        }
        let ctes = self.ctes.len();
        let claimed = match clauses.body {
            SetExpr::Select(select) => self.claim_names(&select.from)?,
            _ => Vec::new(),
        };
        self.claimed.push(claimed);
        if let Some(with) = clauses.with {
            self.with(with, place.indent, out)?;
        }
        let outputs = self.body(clauses.body, place, clauses.keys()?, out)?;
        if let Some(offset) = clauses.offset {
            line(out, place.indent, " OFFSET ");
            self.count(offset, out)?;
        }
        if let Some(limit) = clauses.limit {
            line(out, place.indent, " LIMIT ");
            self.count(limit, out)?;
        }
        if let Some(ast::Fetch { with_ties, percent: _, quantity }) = clauses.fetch {
            line(out, place.indent, if *with_ties { " FETCH FIRST " } else { " LIMIT " });
            match quantity {
                Some(quantity) => self.count(quantity, out)?,
                None => out.push('1'),
            }
            out.push_str(if *with_ties { " ROWS WITH TIES" } else { "" });
        }
        self.claimed.pop();
        self.ctes.truncate(ctes);
        Ok(outputs)
    }

    fn count(&mut self, count: &ast::Expr, out: &mut String) -> Result<(), SqlError> {
        let piece = self.expr(count)?;
        if piece.type_oid == Oid::UNKNOWN {
            return Err(SqlError::unsupported("this count in the text of a view"));
        }
        let piece = match piece.form {
            super::piece::Form::Constant(_) => piece,
            _ => self.cast(piece, Oid::INT8, -1, crate::builtin::CastContext::Assignment)?,
        };
        out.push_str(&self.shown(&piece.text));
        Ok(())
    }

    fn body(
        &mut self,
        body: &SetExpr,
        place: Place<'_>,
        keys: &[ast::OrderByExpr],
        out: &mut String,
    ) -> Result<Vec<Output>, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, place, keys, out),
            SetExpr::Query(query) if keys.is_empty() => self.query(query, place, out),
            SetExpr::Values(values) if keys.is_empty() => {
                out.push(' ');
                self.values(values, out)
            }
            SetExpr::SetOperation { .. } => {
                let outputs = self.set_operation(body, place, out)?;
                self.ordered_outputs(keys, &outputs, place.indent, out)?;
                Ok(outputs)
            }
            _ => Err(SqlError::unsupported("this query in the text of a view")),
        }
    }

    /// `VALUES (a,b), (c,d)`.
    pub(super) fn values(
        &mut self,
        values: &ast::Values,
        out: &mut String,
    ) -> Result<Vec<Output>, SqlError> {
        let mut outputs: Vec<Output> = Vec::new();
        out.push_str("VALUES ");
        for (number, row) in values.rows.iter().enumerate() {
            out.push_str(if number > 0 { ", (" } else { "(" });
            for (index, expr) in row.content.iter().enumerate() {
                let piece = self.expr(expr)?;
                let piece = self.settled(piece)?;
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&self.shown(&piece.text));
                match outputs.get(index) {
                    Some(output) if output.type_oid != piece.type_oid => {
                        return Err(SqlError::unsupported("VALUES of several types here"));
                    }
                    Some(_) => {}
                    None => outputs.push(Output::new(
                        &format!("column{}", index + 1),
                        piece.type_oid,
                        piece.typmod,
                    )),
                }
            }
            out.push(')');
        }
        Ok(outputs)
    }

    fn with(&mut self, with: &ast::With, indent: usize, out: &mut String) -> Result<(), SqlError> {
        out.push(' ');
        for (number, cte) in with.cte_tables.iter().enumerate() {
            let ast::Cte { alias, query, from: _, materialized, closing_paren_token: _ } = cte;
            let first = if with.recursive { "WITH RECURSIVE " } else { "WITH " };
            out.push_str(if number == 0 { first } else { ", " });
            let name = fold(&alias.name);
            if name.starts_with('\0') {
                return Err(SqlError::unsupported("SEARCH and CYCLE in the text of a view"));
            }
            let names: Vec<String> = alias.columns.iter().map(|it| fold(&it.name)).collect();
            out.push_str(&quote_identifier(&name));
            if !names.is_empty() {
                let list: Vec<_> = names.iter().map(|name| quote_identifier(name)).collect();
                out.push_str(&format!("({})", list.join(", ")));
            }
            out.push_str(match materialized {
                None => " AS (",
                Some(CteAsMaterialized::Materialized) => " AS MATERIALIZED (",
                Some(CteAsMaterialized::NotMaterialized) => " AS NOT MATERIALIZED (",
            });
            let within = indent + STEP;
            line(out, within, "");
            let recursive = with.recursive && matches!(*query.body, SetExpr::SetOperation { .. });
            self.recursive = recursive.then(|| (name.clone(), names.clone()));
            let before = self.ctes.len();
            let outputs = self.query(query, Place::inner(within, true), out)?;
            self.recursive = None;
            self.ctes.truncate(before);
            self.ctes.push((name, renamed(outputs, &names)));
            line(out, within, ")");
        }
        line(out, indent, "");
        Ok(())
    }

    /// The arms of a set operation; those that are one themselves stand in parentheses, other than a chain on the left.
    fn set_operation(
        &mut self,
        body: &SetExpr,
        place: Place<'_>,
        out: &mut String,
    ) -> Result<Vec<Output>, SqlError> {
        let SetExpr::SetOperation { op, set_quantifier, left, right } = body else {
            return self.arm(body, place, out);
        };
        let (left, right) = (bare(left), bare(right));
        let all = matches!(set_quantifier, SetQuantifier::All);
        let same = match left {
            SetExpr::SetOperation { op: inner, set_quantifier: quantifier, .. } => {
                Some(inner == op && matches!(quantifier, SetQuantifier::All) == all)
            }
            _ => None,
        };
        let grouped = same == Some(false);
        let inner = Place { indent: place.indent + if grouped { STEP } else { 0 }, ..place };
        if grouped {
            out.push('(');
            line(out, inner.indent, "");
        }
        let left = self.set_operation(left, inner, out)?;
        if let Some((name, names)) = self.recursive.take() {
            self.ctes.push((name, renamed(left.clone(), &names)));
        }
        line(out, place.indent, if grouped { ") " } else { "" });
        out.push_str(match op {
            SetOperator::Union => "UNION ",
            SetOperator::Intersect => "INTERSECT ",
            SetOperator::Except | SetOperator::Minus => "EXCEPT ",
        });
        out.push_str(if all { "ALL " } else { "" });
        let nested = matches!(right, SetExpr::SetOperation { .. });
        let inner = place.indent + if nested { STEP } else { 0 };
        out.push_str(if nested { "(" } else { "" });
        line(out, inner, "");
        let right_place = Place { indent: inner, visible: false, ..place };
        let right = self.set_operation(right, right_place, out)?;
        if nested {
            line(out, place.indent, ")");
        }
        self.common_outputs(left, &right)
    }

    /// An arm that is a query; one with clauses of its own stands in parentheses.
    fn arm(
        &mut self,
        body: &SetExpr,
        place: Place<'_>,
        out: &mut String,
    ) -> Result<Vec<Output>, SqlError> {
        let own = match body {
            SetExpr::Query(query) => {
                query.with.is_some()
                    || query.order_by.is_some()
                    || query.limit_clause.is_some()
                    || query.fetch.is_some()
            }
            _ => false,
        };
        out.push_str(if own { "(" } else { "" });
        let claimed = match body {
            SetExpr::Select(select) => self.claim_names(&select.from)?,
            _ => Vec::new(),
        };
        self.claimed.push(claimed);
        let outputs = self.body(body, place, &[], out);
        self.claimed.pop();
        out.push_str(if own { ")" } else { "" });
        outputs
    }

    /// The columns of a set operation: the left arm's names, and types common to both.
    fn common_outputs(&self, left: Vec<Output>, right: &[Output]) -> Result<Vec<Output>, SqlError> {
        let pairs = left.into_iter().zip(right);
        pairs
            .map(|(left, right)| {
                let found = [left.type_oid, right.type_oid];
                if left.unknown != right.unknown && found[0] != found[1] {
                    return Err(SqlError::unsupported("literals without type here"));
                }
                let common = crate::bind::resolve::select_common_type(self.types, &found, "UNION")?;
                let typmod = if left.typmod == right.typmod { left.typmod } else { -1 };
                Ok(Output { type_oid: common, typmod, unknown: false, ..left })
            })
            .collect()
    }
}

/// What is inside parentheses that hold nothing else.
fn bare(body: &SetExpr) -> &SetExpr {
    let mut body = body;
    while let SetExpr::Query(query) = body {
        let plain = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none();
        if !plain {
            break;
        }
        body = &query.body;
    }
    body
}

/// Columns under the names that an alias gives the first of them.
pub(super) fn renamed(mut outputs: Vec<Output>, names: &[String]) -> Vec<Output> {
    for (output, name) in outputs.iter_mut().zip(names) {
        output.name.clone_from(name);
        output.shown.clone_from(name);
    }
    outputs
}
