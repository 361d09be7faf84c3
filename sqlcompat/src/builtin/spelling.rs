//! SQL's spellings of type names: what the grammar reads, and what `format_type` writes, for the types that have a
//! spelling of their own (PostgreSQL manual, chapter 8, "Aliases").

use crate::oid::Oid;

/// Spelling and type. The first spelling of a type is the one that PostgreSQL writes.
const SPELLINGS: [(&str, Oid); 28] = [
    ("bigint", Oid::INT8),
    ("bit", Oid::BIT),
    ("bit varying", Oid::VARBIT),
    ("boolean", Oid::BOOL),
    ("character", Oid::BPCHAR),
    ("character varying", Oid::VARCHAR),
    ("double precision", Oid::FLOAT8),
    ("integer", Oid::INT4),
    ("interval", Oid::INTERVAL),
    ("numeric", Oid::NUMERIC),
    ("real", Oid::FLOAT4),
    ("smallint", Oid::INT2),
    ("time without time zone", Oid::TIME),
    ("time with time zone", Oid::TIMETZ),
    ("timestamp without time zone", Oid::TIMESTAMP),
    ("timestamp with time zone", Oid::TIMESTAMPTZ),
    ("\"char\"", Oid::CHAR),
    ("char", Oid::BPCHAR),
    ("char varying", Oid::VARCHAR),
    ("dec", Oid::NUMERIC),
    ("decimal", Oid::NUMERIC),
    ("float", Oid::FLOAT8),
    ("int", Oid::INT4),
    ("national character", Oid::BPCHAR),
    ("national character varying", Oid::VARCHAR),
    ("nchar", Oid::BPCHAR),
    ("time", Oid::TIME),
    ("timestamp", Oid::TIMESTAMP),
];

/// The type that an SQL spelling in lower case means, such as `double precision`; `None` for names that are looked up
/// as any type's.
#[must_use]
pub fn sql_type(spelling: &str) -> Option<Oid> {
    SPELLINGS.iter().find(|(text, _)| *text == spelling).map(|(_, oid)| *oid)
}

/// How PostgreSQL writes a type that has a spelling of its own, without type modifier.
#[must_use]
pub fn sql_type_name(oid: Oid) -> Option<&'static str> {
    SPELLINGS.iter().find(|(_, found)| *found == oid).map(|(text, _)| *text)
}
