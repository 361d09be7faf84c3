//! Hypothetical-set aggregates: `rank(x) WITHIN GROUP (ORDER BY y DESC)`.
//!
//! Each direct argument and its key become one type. The call gets the direct arguments, the keys, the types of both, and
//! how each key is sorted, which only the call itself can tell.

use super::binder::Binder;
use super::tree::{Aggregate, At, Expr, Node, SortBy, SortKey};
use crate::builtin::FunctionRow;
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;

impl Binder<'_> {
    /// Makes the call of arguments, direct ones before the keys, which `keys` sorts.
    ///
    /// # Errors
    /// 42804 where an argument does not go with its key.
    pub(crate) fn hypothetical_set(
        &mut self,
        row: &'static FunctionRow,
        (mut direct, mut keys): (Vec<Expr>, Vec<SortKey>),
        filter: Option<Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let sorted = direct.split_off(direct.len().min(keys.len()));
        let mut arguments = Vec::with_capacity(5 * keys.len());
        let mut columns = Vec::with_capacity(keys.len());
        let mut types = Vec::with_capacity(keys.len());
        for ((argument, column), key) in direct.into_iter().zip(sorted).zip(&mut keys) {
            let (mut pair, common, _) = self.unify(vec![column, argument], "WITHIN GROUP")?;
            let (Some(argument), Some(column)) = (pair.pop(), pair.pop()) else { continue };
            types.push(common);
            key.by = SortBy::Expr(column.clone());
            columns.push(column);
            arguments.push(argument);
        }
        arguments.extend(columns);
        let number = |value: i64| Expr::new(Node::Literal(Datum::Integer(value)), Oid::INT8);
        for oid in types.iter().chain(&types) {
            arguments.push(number(i64::from(oid.0)));
        }
        for key in &keys {
            arguments.push(number(i64::from(key.descending) + 2 * i64::from(key.nulls_first)));
        }
        let level = self.level_of(&arguments);
        self.note_aggregate(false, level, at)?;
        let aggregate = Aggregate {
            row,
            arguments,
            type_arguments: Vec::new(),
            distinct: false,
            order_by: keys,
            filter,
            over: None,
        };
        Ok(Expr::new(Node::Aggregate(Box::new(aggregate)), row.result).at(at))
    }
}
