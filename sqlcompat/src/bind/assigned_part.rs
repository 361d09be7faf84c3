//! Parts of columns as targets of assignment: `SET a[1] = …`, `SET r.field = …`, `INSERT INTO t (a[2].b.c)`.
//!
//! The value goes into the innermost part, and each part into the one around it, so that the column's new value is one
//! expression over its old one. A part of a domain is checked as a value of the domain. Source: PostgreSQL's
//! `transformAssignmentIndirection`.

use sqlparser::ast::{self, AccessExpr};

use super::binder::Binder;
use super::tree::{At, Expr, Node, Subscript, SubscriptIndex};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The column that is assigned to, as errors tell it.
#[derive(Clone, Copy)]
struct Column<'a> {
    name: &'a str,
    at: At,
}

impl Binder<'_> {
    /// A value with a part of it replaced. `chain` are the subscripts and fields that lead to the part, `column` is what the
    /// value is called.
    ///
    /// # Errors
    /// 42804 for a type without such parts, and for a value that does not fit; 42703 for an unknown field.
    pub(crate) fn assign_part(
        &mut self,
        whole: Expr,
        column: &str,
        chain: &[AccessExpr],
        value: Expr,
        at: At,
    ) -> Result<Expr, SqlError> {
        self.replaced(whole, chain, value, Column { name: column, at })
    }

    fn replaced(
        &mut self,
        whole: Expr,
        chain: &[AccessExpr],
        value: Expr,
        column: Column<'_>,
    ) -> Result<Expr, SqlError> {
        let (type_oid, typmod) = (whole.type_oid, whole.typmod);
        let base = self.types.base(type_oid);
        let replaced = match chain {
            [] => return Ok(value),
            [AccessExpr::Dot(field), rest @ ..] => {
                self.field_replaced(whole, field, rest, value, column)?
            }
            [AccessExpr::Subscript(_), ..] => self.element_replaced(whole, chain, value, column)?,
        };
        let replaced = Expr { type_oid: base, typmod, at: column.at, ..replaced };
        if base == type_oid { Ok(replaced) } else { self.check_domain(replaced, type_oid) }
    }

    /// Subscripts at the front of the chain.
    fn element_replaced(
        &mut self,
        whole: Expr,
        chain: &[AccessExpr],
        value: Expr,
        column: Column<'_>,
    ) -> Result<Expr, SqlError> {
        let base = self.types.base(whole.type_oid);
        let mut indexes = Vec::with_capacity(chain.len());
        for access in chain {
            let AccessExpr::Subscript(subscript) = access else { break };
            indexes.push(self.subscript(subscript, base)?);
        }
        let rest = chain.get(indexes.len()..).unwrap_or_default();
        let slice = indexes.iter().any(|index| matches!(index, SubscriptIndex::Slice(..)));
        let wanted = match self.types.element(base) {
            Some(_) if slice => base,
            Some(element) => element,
            None if base == Oid::JSONB && slice => {
                let message = "jsonb subscript does not support slices";
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
            }
            None if base == Oid::JSONB => base,
            None => return Err(self.cannot_subscript(&whole.at(column.at))),
        };
        let assigned = if rest.is_empty() {
            let typmod = self.types.base_with_typmod(whole.type_oid, whole.typmod).1;
            let what = format!("subscripted assignment to \"{}\" requires type", column.name);
            self.fitted(value, (wanted, typmod), column, &what)?
        } else {
            let part = self.subscripted(whole.clone(), indexes.clone())?;
            self.replaced(part, rest, value, column)?
        };
        Ok(part_replaced(whole, indexes, assigned))
    }

    /// A field at the front of the chain.
    fn field_replaced(
        &mut self,
        whole: Expr,
        field: &ast::Expr,
        rest: &[AccessExpr],
        value: Expr,
        column: Column<'_>,
    ) -> Result<Expr, SqlError> {
        let ast::Expr::Identifier(ident) = field else {
            return Err(SqlError::unsupported("this target of an assignment"));
        };
        let name = Self::name(ident);
        let base = self.types.base(whole.type_oid);
        let place = format!("cannot assign to field \"{name}\" of column \"{}\"", column.name);
        let shown = self.types.format(whole.type_oid);
        let Some(fields) = self.types.fields(base) else {
            let message = format!("{place} because its type {shown} is not a composite type");
            return Err(
                SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(column.at.position())
            );
        };
        let found = (0u16..).zip(fields).find(|(_, (field, ..))| *field == name);
        let Some((index, (_, type_oid, typmod))) = found else {
            let message = format!("{place} because there is no such column in data type {shown}");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(column.at.position()));
        };
        let assigned = if rest.is_empty() {
            let what = format!("subfield \"{name}\" is of type");
            let value = if value.is_unknown() { value } else { value.at(column.at) };
            self.fitted(value, (type_oid, typmod), column, &what)?
        } else {
            let node = Node::Field(Box::new(whole.clone()), index);
            let part = Expr { node, type_oid, typmod, at: column.at };
            self.replaced(part, rest, value, Column { name: &name, at: column.at })?
        };
        Ok(part_replaced(whole, vec![SubscriptIndex::Field(index)], assigned))
    }

    /// A value coerced to the type of the part; `what` begins the error.
    fn fitted(
        &mut self,
        value: Expr,
        (type_oid, typmod): (Oid, i32),
        column: Column<'_>,
        what: &str,
    ) -> Result<Expr, SqlError> {
        let found = value.type_oid;
        let value_at = if value.at.0 == 0 { column.at } else { value.at };
        self.coerce(value, type_oid, typmod, CastContext::Assignment).map_err(|error| {
            if found == Oid::UNKNOWN || error.state != SqlState::DATATYPE_MISMATCH {
                return error;
            }
            let (wanted, found) = (self.types.format(type_oid), self.types.format(found));
            let message = format!("{what} {wanted} but expression is of type {found}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression.")
                .at(value_at.position())
        })
    }
}

fn part_replaced(whole: Expr, indexes: Vec<SubscriptIndex>, assigned: Expr) -> Expr {
    let (type_oid, typmod, at) = (whole.type_oid, whole.typmod, whole.at);
    let parts = Subscript { array: whole, indexes, assigned: Some(assigned) };
    Expr { node: Node::Subscript(Box::new(parts)), type_oid, typmod, at }
}
