//! A user-defined function: a parameterised query, kept as text and expanded where it is called.

use super::row::ObjectId;
use crate::builtin::Volatility;
use crate::oid::Oid;

/// A function or procedure in SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// A procedure, which only `CALL` may call.
    pub procedure: bool,
    /// Parameters in order, columns of `RETURNS TABLE` among them.
    pub parameters: Vec<Parameter>,
    /// Types of the input parameters, of which the last is an array if it is VARIADIC.
    pub arguments: Vec<Oid>,
    /// Element type of a VARIADIC parameter, or 0.
    pub variadic: Oid,
    /// Result type.
    pub result: Oid,
    /// Returns a set.
    pub returns_set: bool,
    /// Returns NULL for any NULL argument.
    pub strict: bool,
    /// How its result may change.
    pub volatility: Volatility,
    /// `LEAKPROOF`.
    pub leakproof: bool,
    /// `SECURITY DEFINER`.
    pub security_definer: bool,
    /// `PARALLEL`: `u`, `r` or `s`.
    pub parallel: char,
    /// `COST`.
    pub cost: f64,
    /// `ROWS`, 0 if it returns no set.
    pub rows: f64,
    /// The body, as written.
    pub body: String,
    /// The body is SQL-standard (`RETURN`, `BEGIN ATOMIC`) rather than a string.
    pub standard: bool,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name; empty for none.
    pub name: String,
    /// `i` IN, `o` OUT, `b` INOUT, `v` VARIADIC, `t` a column of TABLE.
    pub mode: u8,
    /// Type.
    pub type_oid: Oid,
    /// Default, PostgreSQL text.
    pub default: Option<String>,
}

impl Parameter {
    /// Whether calls give it.
    #[must_use]
    pub fn is_input(&self) -> bool {
        !matches!(self.mode, b'o' | b't')
    }

    /// Whether it is a result column.
    #[must_use]
    pub fn is_output(&self) -> bool {
        matches!(self.mode, b'o' | b'b' | b't')
    }
}

impl Function {
    /// The input parameters, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|it| it.is_input())
    }

    /// The texts of the defaults, which are those of the last input parameters.
    #[must_use]
    pub fn defaults(&self) -> Vec<&str> {
        self.inputs().filter_map(|it| it.default.as_deref()).collect()
    }

    /// Result columns of a function with OUT or TABLE parameters: name and type; empty for all others.
    pub fn out_columns(&self) -> impl Iterator<Item = (&str, Oid)> {
        self.parameters.iter().filter(|it| it.is_output()).map(|it| (it.name.as_str(), it.type_oid))
    }
}
