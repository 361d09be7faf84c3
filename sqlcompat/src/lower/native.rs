//! The functions that SQLite computes itself over our storage forms.
//!
//! Keyed by `prosrc`, which is the name of PostgreSQL's C function and tells overloads apart. A function belongs here only
//! if SQLite's answer is PostgreSQL's for every value: no overflow, no division, no NaN, no locale.

use crate::builtin::{self, FunctionLanguage, FunctionRow};
use crate::oid::Oid;

/// How SQLite computes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    /// A comparison: the operator, between the arguments, under the collation of their type.
    Comparison(&'static str),
    /// The argument as it is.
    Identity,
    /// A text in which `#1`, `#2` stand for the arguments.
    Template(&'static str),
}

/// Types whose comparison functions are named `<prefix>eq`, `<prefix>_lt`, … and whose storage forms compare as SQLite
/// compares, with a collation where `collation` has one.
const COMPARED: &[&str] = &[
    "array",
    "bit",
    "bool",
    "bpchar",
    "bytea",
    "char",
    "date",
    "enum",
    "float4",
    "float48",
    "float8",
    "float84",
    "int2",
    "int24",
    "int28",
    "int4",
    "int42",
    "int48",
    "int8",
    "int82",
    "int84",
    "interval",
    "jsonb",
    "name",
    "nametext",
    "numeric",
    "oid",
    "text",
    "textname",
    "time",
    "timestamp",
    "timetz",
    "uuid",
    "varbit",
    "xid",
    "xidint4",
    "range",
    "multirange",
    "network",
    "macaddr",
    "macaddr8",
    "cash",
    "xid8",
    "pg_lsn",
    "tid",
];

/// Comparison suffixes of C function names.
const SUFFIXES: [(&str, &str); 6] =
    [("eq", "="), ("ne", "<>"), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")];

/// How SQLite computes this function, if it does.
pub(super) fn native(row: &FunctionRow) -> Option<Native> {
    if row.language != FunctionLanguage::Internal {
        return None;
    }
    comparison(row.source).map(Native::Comparison).or_else(|| other(row.source))
}

/// Whether a function is a comparison that SQLite's own operators, `IN` and `BETWEEN` may stand for.
#[must_use]
pub(crate) fn is_native_comparison(function: Oid) -> bool {
    let row = builtin::function_by_oid(function);
    row.is_some_and(|row| matches!(native(row), Some(Native::Comparison(_))))
}

fn comparison(source: &str) -> Option<&'static str> {
    let (prefix, suffix) = source.split_at_checked(source.len().checked_sub(2)?)?;
    let (_, operator) = SUFFIXES.iter().find(|(name, _)| *name == suffix)?;
    let prefix = prefix.strip_suffix('_').unwrap_or(prefix);
    COMPARED.contains(&prefix).then_some(operator)
}

fn other(source: &str) -> Option<Native> {
    Some(match source {
        "i2toi4" | "int28" | "int48" | "oidtoi8" | "ftod" | "bool_int4" | "name_text"
        | "json_in" | "textin" => Native::Identity,
        "crsql_site_id" => Native::Template("crsql_site_id()"),
        "crsql_db_version" => Native::Template("crsql_db_version()"),
        "crsql_peek_next_db_version" => Native::Template("crsql_peek_next_db_version()"),
        "int4_bool" => Native::Template("(#1 <> 0)"),
        "i2tod" | "i4tod" | "i8tod" | "i2tof" => Native::Template("CAST(#1 AS REAL)"),
        "int2_numeric" | "int4_numeric" | "int8_numeric" => Native::Template("CAST(#1 AS TEXT)"),
        "rtrim1" => Native::Template("rtrim(#1, ' ')"),
        "textcat" => Native::Template("(#1 || #2)"),
        "byteacat" => Native::Template("CAST(#1 || #2 AS BLOB)"),
        "textlen" => Native::Template("length(#1)"),
        "textoctetlen" | "byteaoctetlen" => Native::Template("octet_length(#1)"),
        "int2and" | "int4and" | "int8and" => Native::Template("(#1 & #2)"),
        "int2or" | "int4or" | "int8or" => Native::Template("(#1 | #2)"),
        "int2not" | "int4not" | "int8not" => Native::Template("(~#1)"),
        "int2up" | "int4up" | "int8up" | "float4up" | "float8up" | "numeric_uplus" => {
            Native::Identity
        }
        _ => return None,
    })
}

/// How SQLite computes an aggregate or window function itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NativeAggregate {
    /// SQLite's function.
    pub(super) name: &'static str,
}

/// The aggregates and window functions that SQLite has.
pub(super) fn native_aggregate(row: &FunctionRow) -> Option<NativeAggregate> {
    let plain = |name| Some(NativeAggregate { name });
    match (row.name, row.arguments) {
        ("count", _) => plain("count"),
        ("sum", [Oid::INT2 | Oid::INT4]) => plain("sum"),
        ("min", [_]) => plain("min"),
        ("max", [_]) => plain("max"),
        ("bool_and" | "every", [_]) => plain("min"),
        ("bool_or", [_]) => plain("max"),
        ("row_number", []) => plain("row_number"),
        ("rank", []) => plain("rank"),
        ("dense_rank", []) => plain("dense_rank"),
        ("percent_rank", []) => plain("percent_rank"),
        ("cume_dist", []) => plain("cume_dist"),
        ("ntile", [_]) => plain("ntile"),
        ("lag", _) => plain("lag"),
        ("lead", _) => plain("lead"),
        ("first_value", [_]) => plain("first_value"),
        ("last_value", [_]) => plain("last_value"),
        ("nth_value", [..]) => plain("nth_value"),
        _ => None,
    }
}
