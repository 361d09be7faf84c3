//! How far the lowering goes: for each built-in function, operator and cast of PostgreSQL, by what it is computed.
//!
//! Read off the very tables that calls are written by (`call.rs`), so it cannot say anything else than what a statement gets.

use std::collections::BTreeMap;

use super::native::{native, native_aggregate};
use crate::builtin::{
    self, CastMethod, FunctionKind, FunctionRow, function_by_oid, implementation_name, type_by_oid,
};
use crate::functions::implemented;
use crate::oid::Oid;

/// By what a function is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// By SQLite itself.
    Sqlite,
    /// By the function library.
    Library,
    /// Not at all: 0A000.
    Refused,
}

/// How many signatures under one name are computed, and which are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Signatures that are computed.
    pub computed: usize,
    /// Signatures that are refused, as PostgreSQL writes them.
    pub refused: Vec<String>,
}

/// By what calls of this function are computed.
#[must_use]
pub fn means(row: &FunctionRow) -> Means {
    let by_sqlite = match row.kind {
        FunctionKind::Aggregate | FunctionKind::Window => native_aggregate(row).is_some(),
        FunctionKind::Plain | FunctionKind::Procedure => {
            native(row).is_some() || super::call::is_text_any_concatenation(row)
        }
    };
    if by_sqlite {
        Means::Sqlite
    } else if implemented(&implementation_name(row)) {
        Means::Library
    } else {
        Means::Refused
    }
}

/// The functions that SQL can call, by name.
#[must_use]
pub fn functions() -> BTreeMap<&'static str, Coverage> {
    let callable = builtin::functions().iter().filter(|row| is_callable(row));
    count(callable.map(|row| (row.name, means(row), signature(row.name, row.arguments))))
}

/// The operators, by name.
#[must_use]
pub fn operators() -> BTreeMap<&'static str, Coverage> {
    count(builtin::operators().iter().map(|row| {
        let means = function_by_oid(row.function).map_or(Means::Refused, means);
        let operands: Vec<_> =
            [row.left, row.right].into_iter().filter(|oid| *oid != Oid(0)).map(type_name).collect();
        let text = match &operands[..] {
            [right] => format!("{} {right}", row.name),
            operands => operands.join(&format!(" {} ", row.name)),
        };
        (row.name, means, text)
    }))
}

/// The casts of `pg_cast`, by source type.
#[must_use]
pub fn casts() -> BTreeMap<&'static str, Coverage> {
    count(builtin::casts().iter().filter(|row| row.source != row.target).map(|row| {
        let means = match row.method {
            CastMethod::Function => function_by_oid(row.function).map_or(Means::Refused, means),
            CastMethod::Binary => Means::Sqlite,
            CastMethod::InOut => Means::Library,
        };
        (type_name(row.source), means, format!("to {}", type_name(row.target)))
    }))
}

fn count(
    rows: impl Iterator<Item = (&'static str, Means, String)>,
) -> BTreeMap<&'static str, Coverage> {
    let mut counted: BTreeMap<_, Coverage> = BTreeMap::new();
    for (name, means, signature) in rows {
        let coverage = counted.entry(name).or_default();
        match means {
            Means::Sqlite | Means::Library => coverage.computed += 1,
            Means::Refused => coverage.refused.push(signature),
        }
    }
    counted
}

/// Whether a statement can call it: no argument or result is of a type that only the server's insides have.
fn is_callable(row: &FunctionRow) -> bool {
    let inner = |oid: &Oid| {
        let name = type_name(*oid);
        matches!(name, "internal" | "cstring" | "trigger" | "event_trigger")
            || name.ends_with("_handler")
    };
    !row.arguments.iter().chain([&row.result]).any(inner)
}

fn signature(name: &str, arguments: &[Oid]) -> String {
    let arguments: Vec<_> = arguments.iter().map(|oid| type_name(*oid)).collect();
    format!("{name}({})", arguments.join(", "))
}

fn type_name(oid: Oid) -> &'static str {
    type_by_oid(oid).map_or("unknown", |row| row.name)
}
