//! PostgreSQL 15's own catalog rows, as constant tables.
//!
//! `build.rs` writes the tables from `data/pg15/*.tsv`; each is a sorted static array that is searched, never built, at
//! run time. All of it is facts about PostgreSQL: what Trellis makes of a row (native, a function, refused) is decided by
//! the lowering.
//!
//! | module | rows | searched by |
//! |---|---|---|
//! | `pg_type` | 611 types, 6 ranges | OID; name; SQL spelling (`double precision`) |
//! | `pg_proc` | 3,244 functions, 148 of them aggregates | name; OID |
//! | `pg_operator` | 799 operators; the types that sort or hash | name; OID |
//! | `pg_cast` | 229 casts | (source, target) |
//! | `relation` | the relations of `pg_catalog` and `information_schema` with their columns | (schema, name); OID |
//! | `setting` | `pg_settings` | name |
//! | `keyword` | `pg_get_keywords()` | word |
//!
//! [`implementation_name`] is the contract with the function library: which SQLite function carries a `pg_proc` row.

mod implementation;
mod keyword;
mod pg_cast;
mod pg_operator;
mod pg_proc;
mod pg_type;
mod relation;
mod setting;
mod spelling;

pub use implementation::implementation_name;
pub use keyword::{Keyword, KeywordCategory, keyword, keywords, quote_identifier};
pub use pg_cast::{CastContext, CastMethod, CastRow, cast, casts};
pub use pg_operator::{
    OperatorRow, hashable_types, operator_by_oid, operators, operators_by_name, sortable_types,
};
pub use pg_proc::{
    AggregateKind, AggregateRow, FunctionKind, FunctionLanguage, FunctionRow, Volatility,
    aggregate, function_by_oid, functions, functions_by_name,
};
pub use pg_type::{
    RangeRow, TypeKind, TypeRow, range, range_of_multirange, type_by_name, type_by_oid,
    type_in_namespace, types,
};
pub use relation::{ColumnRow, RelationRow, relation, relation_by_oid, relations};
pub use setting::{SettingRow, setting, settings};
pub use spelling::{sql_type, sql_type_name};

use crate::oid::Oid;

/// OID of the schema `pg_catalog`.
pub const PG_CATALOG: Oid = Oid(11);
/// OID of the schema `information_schema` in the recorded database.
pub const INFORMATION_SCHEMA: Oid = Oid(13207);

#[cfg(test)]
mod tests;
