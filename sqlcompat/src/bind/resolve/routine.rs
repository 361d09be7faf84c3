//! What a call may mean: a function of PostgreSQL's own, or one of the user's.

use crate::builtin::{FunctionKind, FunctionRow};
use crate::oid::Oid;
use crate::schema::Function;

/// A function, whoever made it.
#[derive(Clone, Copy, Debug)]
pub enum Routine<'a> {
    /// A row of `pg_proc` as PostgreSQL has it.
    Builtin(&'static FunctionRow),
    /// A function of the user's.
    User(&'a Function),
}

impl<'a> Routine<'a> {
    /// OID.
    #[must_use]
    pub fn oid(self) -> Oid {
        match self {
            Self::Builtin(row) => row.oid,
            Self::User(function) => function.oid,
        }
    }

    /// Name.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Builtin(row) => row.name,
            Self::User(function) => &function.name,
        }
    }

    /// OID of its schema.
    #[must_use]
    pub fn namespace(self) -> Oid {
        match self {
            Self::Builtin(row) => row.namespace,
            Self::User(function) => function.namespace,
        }
    }

    /// Function, aggregate, window function or procedure.
    #[must_use]
    pub fn kind(self) -> FunctionKind {
        match self {
            Self::Builtin(row) => row.kind,
            Self::User(function) if function.procedure => FunctionKind::Procedure,
            Self::User(_) => FunctionKind::Plain,
        }
    }

    /// Types of the input arguments.
    #[must_use]
    pub fn arguments(self) -> &'a [Oid] {
        match self {
            Self::Builtin(row) => row.arguments,
            Self::User(function) => &function.arguments,
        }
    }

    /// Element type of a VARIADIC last argument, `any` for `VARIADIC "any"`, or 0.
    #[must_use]
    pub fn variadic(self) -> Oid {
        match self {
            Self::Builtin(row) => row.variadic,
            Self::User(function) => function.variadic,
        }
    }

    /// Default expressions of the last arguments, as PostgreSQL text.
    #[must_use]
    pub fn defaults(self) -> Vec<&'a str> {
        match self {
            Self::Builtin(row) => row.defaults.to_vec(),
            Self::User(function) => function.defaults(),
        }
    }

    /// Names of the input arguments; empty strings where they have none.
    #[must_use]
    pub fn input_names(self) -> Vec<&'a str> {
        match self {
            Self::Builtin(row) => row.input_names(),
            Self::User(function) => function.inputs().map(|it| it.name.as_str()).collect(),
        }
    }

    /// Modes, names and types of all arguments, columns of TABLE included.
    #[must_use]
    pub fn parameters(self) -> Vec<(u8, &'a str, Oid)> {
        match self {
            Self::Builtin(row) => {
                let types =
                    if row.all_arguments.is_empty() { row.arguments } else { row.all_arguments };
                let last = types.len().saturating_sub(1);
                let of = |(at, oid): (usize, &Oid)| {
                    let mode = match row.modes.get(at) {
                        Some(mode) => *mode,
                        None if row.variadic != Oid(0) && at == last => b'v',
                        None => b'i',
                    };
                    (mode, row.names.get(at).copied().unwrap_or(""), *oid)
                };
                types.iter().enumerate().map(of).collect()
            }
            Self::User(function) => {
                let of = function.parameters.iter();
                of.map(|it| (it.mode, it.name.as_str(), it.type_oid)).collect()
            }
        }
    }

    /// Result columns of a function with OUT or TABLE arguments: name (may be empty) and type. Empty for all others.
    #[must_use]
    pub fn out_columns(self) -> Vec<(&'a str, Oid)> {
        match self {
            Self::Builtin(row) => row.out_columns().collect(),
            Self::User(function) => function.out_columns().collect(),
        }
    }

    /// Result type.
    #[must_use]
    pub fn result(self) -> Oid {
        match self {
            Self::Builtin(row) => row.result,
            Self::User(function) => function.result,
        }
    }

    /// Whether it returns a set.
    #[must_use]
    pub fn returns_set(self) -> bool {
        match self {
            Self::Builtin(row) => row.returns_set,
            Self::User(function) => function.returns_set,
        }
    }
}
