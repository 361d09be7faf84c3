//! Tests and choices: `IS NULL` and its kin, `CASE`, `COALESCE`, `NULLIF`, `GREATEST` and `LEAST`.
//!
//! What a choice reads several times is computed once: SQLite does that for an operand that it compares itself, and where the
//! operand is volatile it is given a name ([`Node::Let`]).

use sqlparser::ast::{self, CaseWhen};

use super::binder::Binder;
use super::expression::brief;
use super::operator::require_same_width;
use super::tree::{At, Expr, Extreme, Let, Negated, Node};
use crate::error::SqlError;
use crate::lower::is_native_comparison;
use crate::oid::Oid;

impl Binder<'_> {
    /// `IS NULL`, `IS TRUE`, `IS DISTINCT FROM` and their opposites.
    pub(crate) fn is_test(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        use ast::Expr as Ast;
        let (operand, truth, negated, clause) = match expr {
            Ast::IsNull(operand) => return self.null_test(operand, Negated::No),
            Ast::IsNotNull(operand) => return self.null_test(operand, Negated::Yes),
            Ast::IsDistinctFrom(left, right) => return self.distinct_test(left, right, true),
            Ast::IsNotDistinctFrom(left, right) => return self.distinct_test(left, right, false),
            Ast::IsTrue(operand) => (operand, Some(true), false, "IS TRUE"),
            Ast::IsNotTrue(operand) => (operand, Some(true), true, "IS NOT TRUE"),
            Ast::IsFalse(operand) => (operand, Some(false), false, "IS FALSE"),
            Ast::IsNotFalse(operand) => (operand, Some(false), true, "IS NOT FALSE"),
            Ast::IsUnknown(operand) => (operand, None, false, "IS UNKNOWN"),
            Ast::IsNotUnknown(operand) => (operand, None, true, "IS NOT UNKNOWN"),
            other => return Err(SqlError::unsupported(brief(other))),
        };
        let operand = self.expr(operand)?;
        let operand = self.boolean(operand, clause)?;
        let node = Node::IsTruth(Box::new(operand), truth, Negated::from(negated));
        Ok(Expr::new(node, Oid::BOOL))
    }

    fn null_test(&mut self, operand: &ast::Expr, negated: Negated) -> Result<Expr, SqlError> {
        let operand = self.expr(operand)?;
        let tests = match operand.node {
            Node::Row(fields) => fields,
            Node::WholeRow(relation) => self.whole_row_fields(relation, operand.at),
            node => {
                let operand = Expr { node, ..operand };
                let operand =
                    if operand.is_unknown() { self.implicit(operand, Oid::TEXT)? } else { operand };
                return Ok(Expr::new(Node::IsNull(Box::new(operand), negated), Oid::BOOL));
            }
        };
        let tests = tests.into_iter().map(|field| {
            let field = if field.is_unknown() { self.implicit(field, Oid::TEXT)? } else { field };
            // A row inside of the row is not looked into.
            let inner = field.type_oid == Oid::RECORD || self.types.is_composite(field.type_oid);
            let field =
                if inner { Expr::new(Node::Output(Box::new(field)), Oid::TEXT) } else { field };
            Ok(Expr::new(Node::IsNull(Box::new(field), negated), Oid::BOOL))
        });
        Ok(Expr::new(Node::And(tests.collect::<Result<_, SqlError>>()?), Oid::BOOL))
    }

    fn distinct_test(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        distinct: bool,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_after(left);
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        if let (Node::Row(left), Node::Row(right)) = (&left.node, &right.node) {
            return self.rows_distinct(left, right, distinct, at);
        }
        let call = self.operator_call("=", left, right, at)?;
        let node = Node::IsDistinct(Box::new(call), Negated::from(!distinct));
        Ok(Expr::new(node, Oid::BOOL))
    }

    /// `(a, b) IS [NOT] DISTINCT FROM (c, d)`: column by column.
    fn rows_distinct(
        &mut self,
        left: &[Expr],
        right: &[Expr],
        distinct: bool,
        at: At,
    ) -> Result<Expr, SqlError> {
        require_same_width(left.len(), right.len(), at)?;
        let mut tests = Vec::with_capacity(left.len());
        for (left, right) in left.iter().zip(right) {
            let call = self.operator_call("=", left.clone(), right.clone(), at)?;
            let node = Node::IsDistinct(Box::new(call), Negated::from(!distinct));
            tests.push(Expr::new(node, Oid::BOOL));
        }
        let node = if distinct { Node::Or(tests) } else { Node::And(tests) };
        Ok(Expr::new(node, Oid::BOOL))
    }

    pub(crate) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[CaseWhen],
        else_result: Option<&ast::Expr>,
    ) -> Result<Expr, SqlError> {
        self.without_sets("CASE", |binder| {
            let Some(operand) = operand else {
                return binder.branches(None, conditions, else_result);
            };
            binder.switch(operand, conditions, else_result)
        })
    }

    /// Runs `inner` where no set-returning function may be called.
    fn without_sets<T>(
        &mut self,
        clause: &'static str,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let calls = &mut self.scope().calls;
        let outer = calls.no_sets;
        calls.no_sets = outer.or(Some(clause));
        let result = inner(self);
        self.scope().calls.no_sets = outer;
        result
    }

    /// `CASE operand WHEN value …`.
    fn switch(
        &mut self,
        operand: &ast::Expr,
        conditions: &[CaseWhen],
        else_result: Option<&ast::Expr>,
    ) -> Result<Expr, SqlError> {
        let bound = self.expr(operand)?;
        let bound = if bound.is_unknown() { self.implicit(bound, Oid::TEXT)? } else { bound };
        self.computed_once(bound, |binder, operand| {
            binder.branches(Some(operand), conditions, else_result)
        })
    }

    /// Gives `body` a value that is computed once: itself if computing it again changes nothing, else a name for it.
    pub(crate) fn computed_once(
        &mut self,
        value: Expr,
        body: impl FnOnce(&mut Self, Expr) -> Result<Expr, SqlError>,
    ) -> Result<Expr, SqlError> {
        let aggregated = value.any(&mut |it| matches!(it.node, Node::Aggregate(_)));
        if aggregated || !value.is_volatile(&self.relations) {
            return body(self, value);
        }
        let relation = self.add_given("c1", value.type_oid, value.typmod);
        let named = self.column(relation, 0, value.at);
        let body = body(self, named)?;
        let (type_oid, typmod, at) = (body.type_oid, body.typmod, body.at);
        Ok(Expr { node: Node::Let(Box::new(Let { relation, value, body })), type_oid, typmod, at })
    }

    /// The branches of a `CASE`: conditions, or values to compare the operand with.
    fn branches(
        &mut self,
        operand: Option<Expr>,
        conditions: &[CaseWhen],
        else_result: Option<&ast::Expr>,
    ) -> Result<Expr, SqlError> {
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        // The ELSE comes first: it is the one whose type PostgreSQL prefers in a tie.
        results.push(match else_result {
            Some(result) => self.expr(result)?,
            None => Expr::null(),
        });
        for CaseWhen { condition, result } in conditions {
            let test = self.expr(condition)?;
            tests.push(match &operand {
                Some(operand) => {
                    let at = self.expr_start(condition);
                    self.binary_operator("=", operand.clone(), test, at)?
                }
                None => self.boolean(test, "CASE/WHEN")?,
            });
            results.push(self.expr(result)?);
        }
        let (mut results, type_oid, typmod) = self.unify(results, "CASE")?;
        let otherwise = Box::new(results.remove(0));
        let node = match operand.and_then(|_| switch_values(&tests)) {
            Some((operand, values)) => {
                let whens = values.into_iter().zip(results).collect();
                Node::Switch(Box::new(operand), whens, Some(otherwise))
            }
            None => Node::Case(tests.into_iter().zip(results).collect(), Some(otherwise)),
        };
        let mut case = Expr::new(node, type_oid);
        case.typmod = typmod;
        Ok(case)
    }

    /// `COALESCE`, `GREATEST`, `LEAST`, `NULLIF`: functions by their look only. `None` for any other name.
    pub(crate) fn special_function(
        &mut self,
        name: &str,
        arguments: &[&ast::Expr],
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let (extreme, construct) = match name {
            "coalesce" => (None, "COALESCE"),
            "greatest" => (Some(Extreme::Greatest), "GREATEST"),
            "least" => (Some(Extreme::Least), "LEAST"),
            "nullif" => {
                let [left, right] = arguments else { return Ok(None) };
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                let typmod = left.typmod;
                let null_if = self.computed_once(left, |binder, left| {
                    let call = binder.operator_call("=", left, right, at)?;
                    let type_oid = call.arguments[0].type_oid;
                    Ok(Expr { node: Node::NullIf(Box::new(call)), type_oid, typmod, at })
                });
                return null_if.map(Some);
            }
            _ => return Ok(None),
        };
        if arguments.is_empty() {
            return Ok(None);
        }
        let bind = |binder: &mut Self| arguments.iter().map(|it| binder.expr(it)).collect();
        let bound: Vec<Expr> = match extreme {
            None => self.without_sets(construct, bind)?,
            Some(_) => bind(self)?,
        };
        let (bound, type_oid, typmod) = self.unify(bound, construct)?;
        let node = match extreme {
            None => Node::Coalesce(bound),
            Some(extreme) => {
                super::resolve::require_ordering(self.types, type_oid)
                    .map_err(|error| error.at(at.position()))?;
                Node::Extreme(extreme, bound)
            }
        };
        Ok(Some(Expr { node, type_oid, typmod, at }))
    }
}

/// The one operand of equalities that SQLite itself decides, and the values that it is compared with.
fn switch_values(tests: &[Expr]) -> Option<(Expr, Vec<Expr>)> {
    let mut operand = None;
    let mut values = Vec::with_capacity(tests.len());
    for test in tests {
        let Node::Call(call) = &test.node else { return None };
        let [left, right] = &call.arguments[..] else { return None };
        if !is_native_comparison(call.row.oid) || *operand.get_or_insert(left) != left {
            return None;
        }
        values.push(right.clone());
    }
    Some((operand?.clone(), values))
}
