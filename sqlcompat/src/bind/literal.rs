//! Literals: strings without a type yet, numbers by the first type that holds them, parameters.
//!
//! PostgreSQL's grammar takes a sign into the constant behind it: -2147483648 is an int4, though 2147483648 is none.

use sqlparser::ast::{self, UnaryOperator, Value, ValueWithSpan};

use super::binder::Binder;
use super::tree::{At, Expr, Node};
use crate::builtin::CastContext;
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;

impl Binder<'_> {
    /// A literal.
    pub(super) fn value(&mut self, value: &ValueWithSpan) -> Result<Expr, SqlError> {
        let at = self.span_start(value.span);
        let unknown = |text: &str| Expr::new(Node::Unknown(text.to_owned()), Oid::UNKNOWN).at(at);
        match &value.value {
            Value::Number(text, _) => self.number(text, at),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => Ok(unknown(text)),
            Value::DollarQuotedString(quoted) => Ok(unknown(&quoted.value)),
            Value::Boolean(value) => Ok(Expr::boolean(*value).at(at)),
            Value::Null => Ok(Expr::null().at(at)),
            Value::Placeholder(text) => {
                if let Some(parameter) = self.numbered_parameter(text, at) {
                    return parameter;
                }
                let (number, type_oid) = self.parameter(text, at)?;
                let base = self.types.base(type_oid);
                let parameter = Expr::new(Node::Parameter(number), base).at(at);
                if base == type_oid {
                    return Ok(parameter);
                }
                self.coerce(parameter, type_oid, -1, CastContext::Assignment)
            }
            Value::SingleQuotedByteStringLiteral(bits) => {
                self.input_literal(bits.clone(), Oid::BIT, -1, at)
            }
            Value::HexStringLiteral(digits) => {
                self.input_literal(format!("x{digits}"), Oid::BIT, -1, at)
            }
            _ => Err(SqlError::unsupported("this form of literal").at(at.position())),
        }
    }

    /// A number: int4, int8 or numeric, whichever holds it first.
    pub(super) fn number(&self, text: &str, at: At) -> Result<Expr, SqlError> {
        if text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(value) = text.parse::<i64>()
        {
            let type_oid = if i32::try_from(value).is_ok() { Oid::INT4 } else { Oid::INT8 };
            return Ok(Expr::new(Node::Literal(Datum::Integer(value)), type_oid).at(at));
        }
        self.input_literal(text.to_owned(), Oid::NUMERIC, -1, at)
    }

    /// A number with a minus in front is one literal: -9223372036854775808 is an int8.
    pub(super) fn negative_number(&self, text: &str, at: At) -> Result<Expr, SqlError> {
        let mut literal = self.number(text, at)?;
        match &mut literal.node {
            Node::Literal(Datum::Integer(value)) => {
                *value = -*value;
                if i32::try_from(*value).is_ok() {
                    literal.type_oid = Oid::INT4;
                }
            }
            _ => {
                let minimum = format!("-{text}").parse::<i64>();
                if let Ok(value) = minimum {
                    literal.node = Node::Literal(Datum::Integer(value));
                    literal.type_oid = Oid::INT8;
                    return Ok(literal);
                }
                return self.input_literal(format!("-{text}"), Oid::NUMERIC, -1, at);
            }
        }
        Ok(literal)
    }
}

/// The digits of a number that is written with any count of parentheses and signs, and whether it is negative: PostgreSQL's
/// grammar takes signs into the constant.
pub(super) fn number_text(expr: &ast::Expr) -> Option<(&str, bool)> {
    match expr {
        ast::Expr::Value(ValueWithSpan { value: Value::Number(text, _), span: _ }) => {
            Some((text, false))
        }
        ast::Expr::Nested(inner) => number_text(inner),
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
            number_text(inner).map(|(text, negated)| (text, !negated))
        }
        _ => None,
    }
}
