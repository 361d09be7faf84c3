//! What takes values of one common type: CASE, COALESCE and kin, ARRAY, IN; and rows and subscripts.

use sqlparser::ast::{self, AccessExpr, CaseWhen, Expr, Subscript};

use super::Deparser;
use super::expression::joined;
use super::piece::{Form, Piece, append, join};
use crate::bind::resolve::{resolve_operator, select_common_type};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Columns that the arms of CASE are indented by.
const CASE_INDENT: usize = 4;

impl Deparser<'_> {
    /// Expressions with a keyword or a bracket of their own.
    pub(super) fn construct(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        match expr {
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::Array(ast::Array { elem, named: _ }) => self.array(elem),
            Expr::Tuple(fields) => self.row(fields),
            Expr::CompoundFieldAccess { root, access_chain } => self.subscript(root, access_chain),
            other => self.syntax_call(other),
        }
    }

    /// Several expressions, made one type.
    fn unified(
        &mut self,
        pieces: Vec<Piece>,
        construct: &str,
    ) -> Result<(Vec<Piece>, Oid), SqlError> {
        let found: Vec<Oid> = pieces.iter().map(|piece| piece.type_oid).collect();
        let common = select_common_type(self.types, &found, construct)?;
        let coerced = pieces.into_iter().map(|piece| self.implicit(piece, common));
        Ok((coerced.collect::<Result<_, _>>()?, common))
    }

    pub(super) fn exprs(&mut self, exprs: &[Expr]) -> Result<Vec<Piece>, SqlError> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// `COALESCE`, `GREATEST` and `LEAST`.
    pub(super) fn common_call(
        &mut self,
        name: &str,
        arguments: Vec<Piece>,
    ) -> Result<Piece, SqlError> {
        let (pieces, common) = self.unified(arguments, name)?;
        let text = join(pieces.iter().map(|piece| piece.text.as_str()), ", ");
        let all: Vec<&Piece> = pieces.iter().collect();
        Ok(Piece::made(format!("{name}({text})"), common, &all))
    }

    /// `NULLIF`.
    pub(super) fn null_if(&mut self, arguments: Vec<Piece>) -> Result<Piece, SqlError> {
        let Ok([left, right]) = <[Piece; 2]>::try_from(arguments) else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "NULLIF takes two arguments"));
        };
        let found = resolve_operator(self.types, "=", Some(left.type_oid), right.type_oid)?;
        let left = self.implicit(left, found.left.unwrap_or(found.row.left))?;
        let right = self.implicit(right, found.right)?;
        let text = join(["NULLIF(", &left.text, ", ", &right.text, ")"], "");
        Ok(Piece::made(text, left.type_oid, &[&left, &right]))
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Piece, SqlError> {
        let outer = self.indent;
        self.indent = outer + CASE_INDENT;
        let operand = operand.map(|operand| self.expr(operand)).transpose()?;
        let operand = operand.map(|operand| self.settled(operand)).transpose()?;
        let mut whens = Vec::with_capacity(conditions.len());
        // The result of ELSE comes first in the choice of the common type.
        let mut results = vec![match otherwise {
            Some(otherwise) => self.expr(otherwise)?,
            None => Piece::unknown(None),
        }];
        for CaseWhen { condition, result } in conditions {
            let condition = self.expr(condition)?;
            whens.push(self.condition(operand.as_ref(), condition)?);
            results.push(self.expr(result)?);
        }
        let (results, common) = self.unified(results, "CASE")?;
        self.indent = outer;
        let pad = " ".repeat(outer);
        let mut text = format!("\n{pad}CASE");
        if let Some(operand) = &operand {
            append(&mut text, " ");
            append(&mut text, &operand.text);
        }
        for (when, then) in whens.iter().zip(results.iter().skip(1)) {
            text.push_str(&format!("\n{pad}    WHEN "));
            append(&mut text, &when.text);
            text.push_str(" THEN ");
            append(&mut text, &then.text);
        }
        text.push_str(&format!("\n{pad}    ELSE "));
        append(&mut text, &results[0].text);
        text.push_str(&format!("\n{pad}END"));
        let all: Vec<&Piece> = operand.iter().chain(&whens).chain(&results).collect();
        Ok(Piece::made(text, common, &all))
    }

    /// What follows WHEN: a condition, or a value that is compared with the operand.
    fn condition(&self, operand: Option<&Piece>, when: Piece) -> Result<Piece, SqlError> {
        match operand {
            None => self.implicit(when, Oid::BOOL),
            Some(operand) => {
                let (left, right) = (operand.type_oid, when.type_oid);
                let found = resolve_operator(self.types, "=", Some(left), right)?;
                self.implicit(when, found.right)
            }
        }
    }

    /// Several values without columns are compared as one array; the others one by one.
    fn in_list(&mut self, operand: &Expr, list: &[Expr], negated: bool) -> Result<Piece, SqlError> {
        let operand = self.expr(operand)?;
        let items = self.exprs(list)?;
        let (name, separator) = if negated { ("<>", " AND ") } else { ("=", " OR ") };
        let (columns, values): (Vec<Piece>, Vec<Piece>) =
            items.into_iter().partition(|item| item.names_column);
        let mut tests = Vec::new();
        let found: Vec<Oid> =
            [&operand].into_iter().chain(&values).map(|piece| piece.type_oid).collect();
        let common = select_common_type(self.types, &found, "IN").ok();
        let array = common.filter(|_| values.len() > 1);
        let array = array.and_then(|common| Some((common, self.types.array_of(common)?)));
        match array {
            Some((common, array)) if operand.type_oid != Oid::RECORD => {
                let quantifier = if negated { "ALL" } else { "ANY" };
                let values = self.array_of(values, common, array)?;
                tests.push(self.array_operator(name, operand.clone(), values, quantifier)?);
            }
            _ => {
                for value in values {
                    tests.push(self.operator(name, operand.clone(), value)?);
                }
            }
        }
        for column in columns {
            tests.push(self.operator(name, operand.clone(), column)?);
        }
        match <[Piece; 1]>::try_from(tests) {
            Ok([only]) => Ok(only),
            Err(tests) => Ok(joined(&tests, separator)),
        }
    }

    fn array_of(&self, values: Vec<Piece>, element: Oid, array: Oid) -> Result<Piece, SqlError> {
        let before = values.clone();
        let values = values.into_iter().map(|value| self.implicit(value, element));
        let values = values.collect::<Result<Vec<Piece>, SqlError>>()?;
        let text = join(values.iter().map(|piece| piece.text.as_str()), ", ");
        let all: Vec<&Piece> = values.iter().collect();
        let made = Piece::made(format!("ARRAY[{text}]"), array, &all);
        Ok(Piece { form: Form::Array(before), ..made })
    }

    fn array(&mut self, elements: &[Expr]) -> Result<Piece, SqlError> {
        let pieces = self.exprs(elements)?;
        if pieces.is_empty() {
            // Only a cast says what it is an array of.
            let form = Form::Array(Vec::new());
            return Ok(Piece { form, ..Piece::made("ARRAY[]".to_owned(), Oid::TEXT_ARRAY, &[]) });
        }
        let found: Vec<Oid> = pieces.iter().map(|piece| piece.type_oid).collect();
        let common = select_common_type(self.types, &found, "ARRAY")?;
        let array = match self.types.element(common) {
            Some(_) => common,
            None => self.types.array_of(common).ok_or_else(|| {
                let name = self.types.format(common);
                let message = format!("could not find array type for data type {name}");
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })?,
        };
        self.array_of(pieces, common, array)
    }

    pub(super) fn row(&mut self, fields: &[Expr]) -> Result<Piece, SqlError> {
        let pieces = self.exprs(fields)?;
        let settled = pieces.iter().cloned().map(|piece| self.settled(piece));
        let settled = settled.collect::<Result<Vec<Piece>, SqlError>>()?;
        let text = join(settled.iter().map(|piece| piece.text.as_str()), ", ");
        let all: Vec<&Piece> = settled.iter().collect();
        let made = Piece::made(format!("ROW({text})"), Oid::RECORD, &all);
        Ok(Piece { form: Form::Row(pieces), ..made })
    }

    fn subscript(&mut self, root: &Expr, chain: &[AccessExpr]) -> Result<Piece, SqlError> {
        let root = self.expr(root)?;
        let mut text = match root.form {
            Form::Column => root.text.clone(),
            _ => join(["(", &root.text, ")"], ""),
        };
        let mut slice = false;
        let mut all = vec![root.clone()];
        for access in chain {
            let AccessExpr::Subscript(subscript) = access else {
                return Err(SqlError::unsupported("a field of a composite value"));
            };
            let bounds = match subscript {
                Subscript::Index { index } => vec![self.index(index)?],
                Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                    slice = true;
                    let mut bound = |bound: &Option<Expr>| match bound {
                        Some(bound) => self.index(bound),
                        None => Ok(Piece::made(String::new(), Oid::INT4, &[])),
                    };
                    vec![bound(lower_bound)?, bound(upper_bound)?]
                }
                Subscript::Slice { .. } => {
                    return Err(SqlError::unsupported("a slice with a stride"));
                }
            };
            let inner = join(bounds.iter().map(|piece| piece.text.as_str()), ":");
            text.push_str(&format!("[{inner}]"));
            all.extend(bounds);
        }
        let element = self.types.base_element(root.type_oid).ok_or_else(|| {
            let name = self.types.format(root.type_oid);
            let message =
                format!("cannot subscript type {name} because it does not support subscripting");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
        })?;
        let type_oid = if slice { self.types.base(root.type_oid) } else { element };
        let all: Vec<&Piece> = all.iter().collect();
        Ok(Piece { typmod: root.typmod, ..Piece::made(text, type_oid, &all) })
    }

    fn index(&mut self, index: &Expr) -> Result<Piece, SqlError> {
        let piece = self.expr(index)?;
        self.cast(piece, Oid::INT4, -1, CastContext::Assignment)
    }
}
