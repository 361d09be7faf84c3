//! PostgreSQL's functions, operators, casts and aggregates, as SQLite runs them.
//!
//! The binder resolves a call to a row of `pg_proc`; the lowered SQL calls the function named after that row:
//!
//! | row | SQLite name | example |
//! |---|---|---|
//! | function, operator's or cast's function | `pg_<prosrc>` | `pg_int4pl(1, 2)` |
//! | SQL-language function | `pg_<proname>_<oid>` | `pg_lpad_879` |
//! | aggregate | `pg_agg_<proname>[_<argument type>…]` | `pg_agg_sum_int4(x)` |
//! | set-returning function | table `pg_srf_<prosrc>`, columns `value` or `c1`… | `pg_srf_generate_series_int4(1, 3)` |
//!
//! A function whose declared arguments include a pseudo-type (`anyelement`, `anyarray`, `"any"`, `record`, …) gets, after
//! all its arguments, the OID of each such argument as an integer; a constructor of ranges, whose C function is one for all
//! types, that of its result. Strict functions return NULL for a NULL argument without
//! running. Beside the rows of `pg_proc` there are the conversions `pg_in(text, type, typmod)`, `pg_out(value, type)` and
//! `pg_array_cast(value, source, target, typmod)`.
//!
//! The bodies are pure: [`Call`] in, [`Datum`](crate::Datum) out. They are collected in tables, one per subject; [`find`] and
//! [`implemented`] read the very tables that [`sqlite::register`] registers, so that they cannot disagree. Only `sqlite` needs the feature.
//!
//! # Invariants
//! 1. A body never panics, whatever storage it is given; a value of the wrong class is XX000.
//! 2. A body that fails leaves its [`SqlError`](crate::SqlError) in the [`SessionContext`]; SQLite carries only the text.
//!
//! # Sources
//! PostgreSQL 15 manual, chapter 9 (Functions and Operators).

mod call;
mod session;
mod tables;

mod aggregate;
mod array;
mod array_assign;
mod array_fill;
mod binary;
mod bit_string;
mod cast;
mod collect;
pub(crate) mod compare;
mod datetime;
mod encoding;
mod encoding_tables;
mod float;
mod framed;
mod guard;
mod hash;
mod hypothetical;
mod identifier;
mod integer;
mod json;
mod kept;
mod math_random;
mod money;
mod multirange;
mod network;
mod normal_form;
mod number_picture;
mod numeric;
pub mod ordering;
mod pattern;
mod range;
mod regex;
mod series;
mod statistics;
mod system;
mod system_column;
mod system_definition;
mod system_information;
mod system_pretty;
mod system_privileges;
mod system_routines;
mod system_rows;
mod system_visibility;
mod text;
mod type_modifier;

#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use call::Call;
pub(crate) use framed::has_frames;
pub use kept::KeptRows;
pub(crate) use kept::table_name as kept_table;
pub(crate) use pattern::{like_prefix, successor};
pub(crate) use regex::check_path_pattern;
use regex::matches_path_pattern;
pub use session::{SessionContext, SessionHost, SessionState};
#[cfg(feature = "sqlite")]
pub use sqlite::{register, register_enum, register_enums};
pub(crate) use system_information::is_encoding;
pub(crate) use system_pretty::without_parentheses;
pub use tables::{
    Accumulator, AggregateFunction, Rows, ScalarFunction, SetReturningFunction, Volatility, find,
    find_aggregate, find_set_returning, implemented, implemented_names,
};
#[cfg(feature = "sqlite")]
pub(crate) use tables::{aggregate_functions, scalar_functions};

/// All scalar functions: groups of tables, one or more per subject.
pub(crate) const SCALAR_TABLES: &[&[&[ScalarFunction]]] = &[
    &[
        array::FUNCTIONS,
        array_assign::FUNCTIONS,
        array_fill::FUNCTIONS,
        cast::FUNCTIONS,
        compare::FUNCTIONS,
        datetime::arithmetic::FUNCTIONS,
        datetime::clock::FUNCTIONS,
        datetime::fields::FUNCTIONS,
        number_picture::FUNCTIONS,
        datetime::picture::FUNCTIONS,
        datetime::reading::FUNCTIONS,
        float::FUNCTIONS,
        guard::FUNCTIONS,
        integer::FUNCTIONS,
        json::assign::FUNCTIONS,
        json::build::FUNCTIONS,
        json::edit::FUNCTIONS,
        json::path::calls::FUNCTIONS,
        json::read::FUNCTIONS,
        json::record::FUNCTIONS,
        numeric::FUNCTIONS,
        pattern::FUNCTIONS,
        regex::FUNCTIONS,
        system::ASKED,
        system::FUNCTIONS,
        system_column::FUNCTIONS,
        text::FUNCTIONS,
    ],
    compare::COMPARISONS,
    datetime::arithmetic::COMPARISONS,
    float::OPERATORS,
    integer::COMPARISONS,
    text::COMPARISONS,
    &[bit_string::FUNCTIONS, money::FUNCTIONS, money::IDENTIFIERS],
    &[network::NETWORK, network::HARDWARE],
    &[range::FUNCTIONS, multirange::FUNCTIONS, multirange::OPERATORS],
    &[
        system_definition::FUNCTIONS,
        system_information::FUNCTIONS,
        system_routines::FUNCTIONS,
        system_visibility::FUNCTIONS,
    ],
    system_privileges::FUNCTIONS,
    &[
        binary::FUNCTIONS,
        binary::POLYMORPHIC,
        encoding::FUNCTIONS,
        hash::FUNCTIONS,
        hash::POLYMORPHIC,
        identifier::FUNCTIONS,
        normal_form::FUNCTIONS,
        statistics::COUNTERS,
        statistics::DURATIONS,
        statistics::NEVER,
        type_modifier::FUNCTIONS,
    ],
];

/// Ends the SQLite name of an aggregate that passes over what equals its predecessor: `DISTINCT` of several arguments, over
/// sorted input.
pub(crate) const DISTINCT_SUFFIX: &str = "_distinct";

/// Whether there is such a form of an aggregate: of those that keep their rows.
pub(crate) fn sorts_distinct(name: &str) -> bool {
    let tables = [collect::AGGREGATES, multirange::AGGREGATES, range::AGGREGATES];
    tables.iter().any(|table| table.iter().any(|it| it.name == name))
}

/// All aggregates.
pub(crate) const AGGREGATE_TABLES: &[&[&[AggregateFunction]]] = &[
    &[bit_string::AGGREGATES, money::AGGREGATES, range::AGGREGATES, multirange::AGGREGATES],
    &[aggregate::AGGREGATES, collect::AGGREGATES, framed::AGGREGATES],
    &[guard::AGGREGATES, hypothetical::AGGREGATES],
    aggregate::SPREADS,
];

/// All set-returning functions.
pub(crate) const SET_RETURNING_TABLES: &[&[SetReturningFunction]] = &[
    array::SET_RETURNING,
    json::path::calls::SET_RETURNING,
    json::record::SET_RETURNING,
    json::rows::SET_RETURNING,
    kept::SET_RETURNING,
    multirange::SET_RETURNING,
    regex::SET_RETURNING,
    series::SET_RETURNING,
    system_rows::FUNCTIONS,
];
