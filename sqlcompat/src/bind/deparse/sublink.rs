//! Queries inside of expressions.
//!
//! Source: `get_sublink_expr` of PostgreSQL 15's `ruleutils.c`.

use sqlparser::ast::{self, Expr};

use super::Deparser;
use super::expression::negated;
use super::piece::{Form, Piece, join};
use super::query::Place;
use super::scope::Output;
use crate::bind::resolve::resolve_operator;
use crate::error::SqlError;
use crate::oid::Oid;

impl Deparser<'_> {
    /// `(SELECT …)` as a value.
    pub(super) fn scalar_query(&mut self, query: &ast::Query) -> Result<Piece, SqlError> {
        let (text, outputs) = self.inner_query(query)?;
        let output = only(&outputs)?;
        let text = self.hidden(format!("({text})"));
        let piece = Piece::made(text, output.type_oid, &[]);
        Ok(Piece { typmod: output.typmod, names_column: true, form: Form::Query, ..piece })
    }

    /// `ARRAY(SELECT …)`.
    pub(super) fn array_query(&mut self, query: &ast::Query) -> Result<Piece, SqlError> {
        let (text, outputs) = self.inner_query(query)?;
        let element = only(&outputs)?.type_oid;
        let array = match self.types.element(element) {
            Some(_) => element,
            None => self.types.array_of(element).unwrap_or(Oid::TEXT_ARRAY),
        };
        let text = self.hidden(format!("ARRAY({text})"));
        Ok(Piece { names_column: true, ..Piece::made(text, array, &[]) })
    }

    /// `EXISTS (SELECT …)`.
    pub(super) fn exists(&mut self, query: &ast::Query, not: bool) -> Result<Piece, SqlError> {
        let (text, _) = self.inner_query(query)?;
        let text = self.hidden(format!("(EXISTS ({text}))"));
        let piece = Piece { names_column: true, ..Piece::made(text, Oid::BOOL, &[]) };
        Ok(if not { negated(&piece) } else { piece })
    }

    /// `operand IN (SELECT …)`, or with an operator before ANY or ALL.
    pub(super) fn compared_query(
        &mut self,
        operand: &Expr,
        operator: &str,
        quantifier: &str,
        query: &ast::Query,
    ) -> Result<Piece, SqlError> {
        let operand = self.expr(operand)?;
        let (text, outputs) = self.inner_query(query)?;
        let text = match operand.form.clone() {
            Form::Row(fields) if fields.len() == outputs.len() => {
                let pairs = fields.into_iter().zip(&outputs);
                let fields = pairs.map(|(field, it)| self.compared(field, operator, it));
                let fields = fields.collect::<Result<Vec<Piece>, SqlError>>()?;
                let fields: Vec<String> = fields.iter().map(|it| self.shown(&it.text)).collect();
                format!("(({}) {quantifier} ({text}))", fields.join(", "))
            }
            _ => {
                let operand = self.compared(operand, operator, only(&outputs)?)?.text;
                join(["(", &self.shown(&operand), " ", quantifier, " (", &text, "))"], "")
            }
        };
        let text = self.hidden(text);
        Ok(Piece { names_column: true, ..Piece::made(text, Oid::BOOL, &[]) })
    }

    fn compared(&self, operand: Piece, operator: &str, with: &Output) -> Result<Piece, SqlError> {
        let found = resolve_operator(self.types, operator, Some(operand.type_oid), with.type_oid)?;
        self.implicit(operand, found.left.unwrap_or(found.row.left))
    }

    fn inner_query(&mut self, query: &ast::Query) -> Result<(String, Vec<Output>), SqlError> {
        if self.levels.is_empty() {
            return Err(SqlError::unsupported("a subquery here"));
        }
        let mut text = String::new();
        let outputs = self.query(query, Place::inner(self.indent, false), &mut text)?;
        Ok((text, outputs))
    }

    /// A text that is shown as it is, in the pretty form too.
    pub(super) fn hidden(&mut self, text: String) -> String {
        if !self.pretty {
            return text;
        }
        self.kept.push(text);
        format!("\u{1}{}\u{1}", self.kept.len() - 1)
    }

    /// An operand; the pretty form puts a query in parentheses of its own.
    pub(super) fn operand(&mut self, piece: Piece) -> Piece {
        match piece.form {
            Form::Query if self.pretty => {
                let text = self.hidden(format!("({})", piece.text));
                Piece { text, ..piece }
            }
            _ => piece,
        }
    }

    /// An expression as it is shown: in the pretty form with fewer parentheses.
    pub(super) fn shown(&self, text: &str) -> String {
        if !self.pretty {
            return text.to_owned();
        }
        // CASE begins a line.
        let start = text.len() - text.trim_start_matches(['\n', ' ']).len();
        let mut shown = text.get(..start).filter(|it| it.contains('\n')).unwrap_or("").to_owned();
        shown.push_str(&crate::functions::without_parentheses(text));
        // What is kept was shown already; one may hold others that were kept before it.
        for (number, kept) in self.kept.iter().enumerate().rev() {
            shown = shown.replace(&format!("\u{1}{number}\u{1}"), kept);
        }
        shown
    }
}

/// The only column of a query.
fn only(outputs: &[Output]) -> Result<&Output, SqlError> {
    match outputs {
        [only] => Ok(only),
        _ => Err(SqlError::unsupported("a query of several columns here")),
    }
}
