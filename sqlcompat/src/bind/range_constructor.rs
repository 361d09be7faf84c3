//! Constructors of the user's range types: `textrange('a', 'b', '[]')`, `textmultirange(…)`.
//!
//! PostgreSQL makes functions of these names with the type. Here the names are the types', and the calls those of the
//! built-in constructors, which are told the type.

use super::binder::Binder;
use super::tree::{At, Call, Expr, Node};
use crate::builtin::{self, CastContext};
use crate::error::SqlError;
use crate::oid::Oid;
use crate::schema::{NameRole, UserType};
use crate::types::range::RangeType;

impl Binder<'_> {
    /// A call of a user range type's constructor; `None` for every other call, and for arguments that it does not take.
    ///
    /// # Errors
    /// What reading a literal as a bound reports.
    pub(crate) fn range_constructor(
        &mut self,
        (schema, name): (Option<&str>, &str),
        (arguments, variadic): (&[Expr], bool),
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        // Every call comes by here, and few schemas have a type of that name.
        let is_range = |it: &UserType| matches!(it, UserType::Range(_)) && it.name() == name;
        if !self.cx.catalog.types.values().any(is_range) {
            return Ok(None);
        }
        let Some(oid) = self.types.lookup(schema, name).filter(|oid| oid.is_user()) else {
            return Ok(None);
        };
        if let Some(of) = self.types.range_of(oid).filter(|_| !variadic) {
            let wanted = [of.subtype, of.subtype, Oid::TEXT];
            let constructor = match arguments.len() {
                2 => "range_constructor2",
                3 => "range_constructor3",
                _ => return Ok(None),
            };
            self.note_at(at, NameRole::Type, oid);
            return self.constructed(constructor, arguments, &wanted, (oid, at));
        }
        match self.types.range_of_multirange(oid) {
            Some(of) => self.multirange_constructor(of, (arguments, variadic), at),
            None => Ok(None),
        }
    }

    fn multirange_constructor(
        &mut self,
        of: RangeType,
        (arguments, variadic): (&[Expr], bool),
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let result = (of.multirange, at);
        match arguments {
            [] => self.constructed("multirange_constructor0", &[], &[], result),
            [only] if only.is_unknown() => Ok(None),
            [only] if self.types.base(only.type_oid) == of.range => {
                self.constructed("multirange_constructor1", arguments, &[of.range], result)
            }
            [only] if variadic => match self.types.array_of(of.range) {
                Some(array) if only.type_oid == array => {
                    self.constructed("multirange_constructor2", arguments, &[array], result)
                }
                _ => Ok(None),
            },
            several => {
                let Some(array) = self.types.array_of(of.range) else { return Ok(None) };
                let wanted = vec![of.range; several.len()];
                let Some(ranges) = self.fitting(several, &wanted)? else { return Ok(None) };
                let packed = [Expr::new(Node::Array(ranges), array)];
                self.constructed("multirange_constructor2", &packed, &[array], result)
            }
        }
    }

    /// Arguments coerced to these types; `None` if one cannot be.
    fn fitting(&mut self, given: &[Expr], wanted: &[Oid]) -> Result<Option<Vec<Expr>>, SqlError> {
        let mut fitting = Vec::with_capacity(given.len());
        for (argument, wanted) in given.iter().zip(wanted) {
            let literal = argument.is_unknown();
            match self.coerce(argument.clone(), *wanted, -1, CastContext::Implicit) {
                Ok(argument) => fitting.push(argument),
                Err(error) if literal => return Err(error),
                Err(_no_such_function) => return Ok(None),
            }
        }
        Ok(Some(fitting))
    }

    /// The call of a built-in constructor for this result type.
    fn constructed(
        &mut self,
        constructor: &str,
        arguments: &[Expr],
        wanted: &[Oid],
        (result, at): (Oid, At),
    ) -> Result<Option<Expr>, SqlError> {
        let rows = ["int4range", "int4multirange"].map(builtin::functions_by_name);
        let row = rows.into_iter().flatten().find(|row| row.source == constructor);
        let Some(row) = row else { return Ok(None) };
        let Some(arguments) = self.fitting(arguments, wanted)? else { return Ok(None) };
        let call = Call { row, operator: None, arguments, type_arguments: vec![result] };
        Ok(Some(Expr::new(Node::Call(Box::new(call)), result).at(at)))
    }
}
