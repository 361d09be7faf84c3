//! Rows of `pg_proc` and `pg_aggregate`.

use crate::oid::Oid;

/// `prokind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// A function.
    Plain,
    /// An aggregate.
    Aggregate,
    /// A window function.
    Window,
    /// A procedure.
    Procedure,
}

/// `prolang`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionLanguage {
    /// Compiled into the server.
    Internal,
    /// A loadable module.
    C,
    /// A body of SQL.
    Sql,
}

/// `provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Same arguments, same result, always.
    Immutable,
    /// Same arguments, same result within a statement.
    Stable,
    /// May differ from call to call.
    Volatile,
}

/// A row of `pg_proc`.
#[derive(Debug)]
pub struct FunctionRow {
    /// OID.
    pub oid: Oid,
    /// `proname`.
    pub name: &'static str,
    /// OID of its schema.
    pub namespace: Oid,
    /// Function, aggregate, window function or procedure.
    pub kind: FunctionKind,
    /// What its source is written in.
    pub language: FunctionLanguage,
    /// Result type.
    pub result: Oid,
    /// Returns a set.
    pub returns_set: bool,
    /// Returns NULL for any NULL argument.
    pub strict: bool,
    /// How its result may change.
    pub volatility: Volatility,
    /// Types of the input arguments. The last is an array (or `any`) where `variadic` is set.
    pub arguments: &'static [Oid],
    /// Element type of a VARIADIC last argument, `any` for `VARIADIC "any"`, or 0.
    pub variadic: Oid,
    /// Default expressions of the last arguments, as PostgreSQL text.
    pub defaults: &'static [&'static str],
    /// Types of all arguments, OUT and TABLE ones included; empty where all are IN.
    pub all_arguments: &'static [Oid],
    /// Modes of `all_arguments`: `i` IN, `o` OUT, `b` INOUT, `v` VARIADIC, `t` TABLE.
    pub modes: &'static [u8],
    /// Names of `all_arguments` (of `arguments` where that is empty); empty where none has a name.
    pub names: &'static [&'static str],
    /// `prosrc`: the name of the C function, or SQL text.
    pub source: &'static str,
}

/// `aggkind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// An ordinary aggregate.
    Normal,
    /// `WITHIN GROUP (ORDER BY …)`, such as `percentile_cont`.
    OrderedSet,
    /// `WITHIN GROUP` of a hypothetical row, such as `rank`.
    Hypothetical,
}

/// What `pg_aggregate` adds to the function of an aggregate.
#[derive(Debug)]
pub struct AggregateRow {
    /// The function.
    pub function: Oid,
    /// What sort of aggregate it is.
    pub kind: AggregateKind,
    /// Number of direct arguments of an ordered-set aggregate.
    pub direct_arguments: u8,
}

include!(concat!(env!("OUT_DIR"), "/functions.rs"));
include!(concat!(env!("OUT_DIR"), "/aggregates.rs"));

/// All functions, by name and OID.
#[must_use]
pub fn functions() -> &'static [FunctionRow] {
    &FUNCTIONS
}

/// The functions with this name, in any built-in schema, by OID.
#[must_use]
pub fn functions_by_name(name: &str) -> &'static [FunctionRow] {
    let start = FUNCTIONS.partition_point(|row| row.name < name);
    let count = FUNCTIONS[start..].partition_point(|row| row.name == name);
    &FUNCTIONS[start..start + count]
}

/// The function with this OID.
#[must_use]
pub fn function_by_oid(oid: Oid) -> Option<&'static FunctionRow> {
    let row = |at: &u16| &FUNCTIONS[usize::from(*at)];
    BY_OID.binary_search_by_key(&oid, |at| row(at).oid).ok().map(|at| row(&BY_OID[at]))
}

/// The aggregate with this function OID.
#[must_use]
pub fn aggregate(function: Oid) -> Option<&'static AggregateRow> {
    AGGREGATES.binary_search_by_key(&function, |row| row.function).ok().map(|at| &AGGREGATES[at])
}

impl FunctionRow {
    /// Result columns of a function with OUT or TABLE arguments: name (may be empty) and type. Empty for all others.
    pub fn out_columns(&self) -> impl Iterator<Item = (&'static str, Oid)> {
        let columns = self.all_arguments.iter().zip(self.modes).enumerate();
        columns
            .filter(|(_, (_, mode))| matches!(mode, b'o' | b'b' | b't'))
            .map(|(at, (oid, _))| (self.names.get(at).copied().unwrap_or(""), *oid))
    }

    /// Names of the input arguments, in the order of `arguments`; empty strings where they have none.
    #[must_use]
    pub fn input_names(&self) -> Vec<&'static str> {
        let name = |at: usize| self.names.get(at).copied().unwrap_or("");
        if self.all_arguments.is_empty() {
            return (0..self.arguments.len()).map(name).collect();
        }
        let inputs = self.modes.iter().enumerate().filter(|(_, mode)| !matches!(mode, b'o' | b't'));
        inputs.map(|(at, _)| name(at)).collect()
    }
}
