//! Conditions, and what depends on them, in SQLite's SQL.

use super::expression::FUNCTION_ARGUMENTS_MAX;
use super::expression::Lowering;
use crate::bind::tree::{Call, Expr, Extreme, Negated, Node};
use crate::error::SqlError;

/// Most terms of `GREATEST` and `LEAST` with aggregates, whose text doubles with each; more is refused.
const NESTED_TERMS_MAX: usize = 8;

impl Lowering<'_> {
    /// `IS [NOT] NULL`.
    pub(super) fn null_test(&mut self, inner: &Expr, negated: Negated) -> Result<(), SqlError> {
        if self.is_row(inner.type_oid) {
            return self.row_is_null(inner, negated);
        }
        self.out.push('(');
        self.expr(inner)?;
        self.out.push_str(if negated == Negated::Yes { " IS NOT NULL)" } else { " IS NULL)" });
        Ok(())
    }

    /// `IS [NOT] DISTINCT FROM`.
    pub(super) fn distinct_test(&mut self, call: &Call, negated: Negated) -> Result<(), SqlError> {
        if !super::is_native_comparison(call.row.oid) {
            return self.distinct_by_call(call, negated);
        }
        self.comparison(if negated == Negated::Yes { "IS" } else { "IS NOT" }, call)
    }

    /// `IS DISTINCT FROM` of types that a function compares: unequal, or one is NULL and the other not.
    fn distinct_by_call(&mut self, equality: &Call, negated: Negated) -> Result<(), SqlError> {
        if equality.arguments.iter().any(|it| it.is_volatile(self.relations)) {
            return Err(SqlError::unsupported("IS DISTINCT FROM over these types"));
        }
        let negated = negated == Negated::Yes;
        self.out.push_str(if negated { "coalesce(" } else { "coalesce(NOT " });
        self.call(equality)?;
        for (index, argument) in equality.arguments.iter().enumerate() {
            let operator = if negated { " = " } else { " <> " };
            self.out.push_str(if index == 0 { ", (" } else { operator });
            self.out.push('(');
            self.expr(argument)?;
            self.out.push_str(" IS NULL)");
        }
        self.out.push_str("))");
        Ok(())
    }

    /// `NULLIF`, whose equality may not be SQLite's.
    pub(super) fn null_if(&mut self, equality: &Call) -> Result<(), SqlError> {
        if let ([left, right], true) =
            (&equality.arguments[..], super::is_native_comparison(equality.row.oid))
        {
            self.out.push_str("nullif(");
            self.equated(left)?;
            self.out.push_str(", ");
            self.expr(right)?;
            self.out.push(')');
            return Ok(());
        }
        self.out.push_str("CASE WHEN ");
        self.call(equality)?;
        self.out.push_str(" THEN NULL ELSE ");
        self.expr(&equality.arguments[0])?;
        self.out.push_str(" END");
        Ok(())
    }

    /// `AND` and `OR`, as a balanced tree: SQLite bounds the depth of expressions.
    pub(super) fn connective(
        &mut self,
        terms: &[Expr],
        operator: &str,
        neutral: &str,
    ) -> Result<(), SqlError> {
        match terms {
            [] => self.out.push_str(neutral),
            [only] => self.expr(only)?,
            _ if terms.len() <= 8 => {
                self.out.push('(');
                for (index, term) in terms.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(operator);
                    }
                    self.expr(term)?;
                }
                self.out.push(')');
            }
            _ => {
                let (left, right) = terms.split_at(terms.len() / 2);
                self.out.push('(');
                self.connective(left, operator, neutral)?;
                self.out.push_str(operator);
                self.connective(right, operator, neutral)?;
                self.out.push(')');
            }
        }
        Ok(())
    }

    pub(super) fn truth_test(
        &mut self,
        inner: &Expr,
        truth: Option<bool>,
        negated: Negated,
    ) -> Result<(), SqlError> {
        self.out.push('(');
        self.expr(inner)?;
        self.out.push_str(if negated == Negated::Yes { " IS NOT " } else { " IS " });
        self.out.push_str(match truth {
            Some(true) => "TRUE",
            Some(false) => "FALSE",
            None => "NULL",
        });
        self.out.push(')');
        Ok(())
    }

    pub(super) fn between(&mut self, parts: &[Expr; 3], negated: Negated) -> Result<(), SqlError> {
        let [operand, low, high] = parts;
        self.out.push('(');
        self.collated(operand)?;
        self.out.push_str(if negated == Negated::Yes { " NOT BETWEEN " } else { " BETWEEN " });
        self.expr(low)?;
        self.out.push_str(" AND ");
        self.expr(high)?;
        self.out.push(')');
        Ok(())
    }

    pub(super) fn in_list(
        &mut self,
        operand: &Expr,
        list: &[Expr],
        negated: Negated,
    ) -> Result<(), SqlError> {
        self.out.push('(');
        self.equated(operand)?;
        self.out.push_str(if negated == Negated::Yes { " NOT IN (" } else { " IN (" });
        self.list(list)?;
        self.out.push_str("))");
        Ok(())
    }

    pub(super) fn case(
        &mut self,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<(), SqlError> {
        self.out.push_str("CASE");
        self.branches(whens, otherwise)
    }

    fn branches(
        &mut self,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<(), SqlError> {
        for (test, result) in whens {
            self.out.push_str(" WHEN ");
            self.expr(test)?;
            self.out.push_str(" THEN ");
            self.expr(result)?;
        }
        if let Some(otherwise) = otherwise {
            self.out.push_str(" ELSE ");
            self.expr(otherwise)?;
        }
        self.out.push_str(" END");
        Ok(())
    }

    pub(super) fn switch(
        &mut self,
        operand: &Expr,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<(), SqlError> {
        self.out.push_str("CASE ");
        self.equated(operand)?;
        self.branches(whens, otherwise)
    }

    /// SQLite's `coalesce` wants at least two arguments.
    pub(super) fn coalesce(&mut self, terms: &[Expr]) -> Result<(), SqlError> {
        if let [only] = terms {
            return self.expr(only);
        }
        let (first, rest) = terms.split_at(terms.len().min(FUNCTION_ARGUMENTS_MAX - 1));
        self.out.push_str("coalesce(");
        self.list(first)?;
        if !rest.is_empty() {
            self.out.push_str(", ");
            self.coalesce(rest)?;
        }
        self.out.push(')');
        Ok(())
    }

    /// The largest or smallest that is not NULL.
    pub(super) fn extreme(&mut self, extreme: Extreme, terms: &[Expr]) -> Result<(), SqlError> {
        let function = match extreme {
            Extreme::Greatest => "max",
            Extreme::Least => "min",
        };
        if terms.iter().any(|term| term.any(&mut |it| matches!(it.node, Node::Aggregate(_)))) {
            return self.nested_extreme(extreme, terms);
        }
        if terms.len() > super::query::COMPOUND_TERMS_MAX {
            return Err(SqlError::too_complex());
        }
        self.push(format_args!("(SELECT {function}(v"));
        if let Some(term) = terms.first() {
            self.collate(term.type_oid);
        }
        // Not VALUES: its rows cannot refer to the query around it.
        self.out.push_str(") FROM (SELECT ");
        for (index, term) in terms.iter().enumerate() {
            if index > 0 {
                self.out.push_str(" UNION ALL SELECT ");
            }
            self.expr(term)?;
            self.out.push_str(" AS v");
        }
        self.out.push_str("))");
        Ok(())
    }

    /// Aggregates cannot move into a subquery; their values are compared in place.
    fn nested_extreme(&mut self, extreme: Extreme, terms: &[Expr]) -> Result<(), SqlError> {
        let (Some((last, rest)), function) = (
            terms.split_last(),
            match extreme {
                Extreme::Greatest => "max",
                Extreme::Least => "min",
            },
        ) else {
            return Ok(());
        };
        if rest.is_empty() {
            return self.expr(last);
        }
        if rest.len() >= NESTED_TERMS_MAX {
            return Err(SqlError::unsupported("GREATEST or LEAST of so many aggregates"));
        }
        // max(a, b) is NULL if either is: each falls back on the other.
        self.push(format_args!("{function}(coalesce("));
        self.nested_extreme(extreme, rest)?;
        self.out.push_str(", ");
        self.expr(last)?;
        self.out.push(')');
        self.collate(last.type_oid);
        self.out.push_str(", coalesce(");
        self.expr(last)?;
        self.out.push_str(", ");
        self.nested_extreme(extreme, rest)?;
        self.out.push_str("))");
        Ok(())
    }
}
