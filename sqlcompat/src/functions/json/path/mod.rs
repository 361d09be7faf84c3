//! SQL/JSON paths at work: `@?`, `@@` and the `jsonb_path_*` functions.
//!
//! ```text
//!   text ──parse──► JsonPath ──┐
//!                              ├─► run::Run ──► items, or found / not found / error
//!   jsonb ──► value::Value ────┘
//! ```
//!
//! An error inside a path is an answer of its own kind: operators and calls with `silent` show it as NULL, filters as
//! `unknown`; only calls that are not silent raise it.
//!
//! # Map
//! - [`value`]: JSON as the run sees it, with dates and the place of each container.
//! - [`run`]: steps; [`predicate`]: truth values; [`method`]: `.size()` and its kin; [`moment`]: `.datetime()`.
//! - [`calls`]: the SQL functions.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.16.2 (The SQL/JSON Path Language).

pub(in crate::functions) mod calls;
mod method;
mod moment;
mod predicate;
mod run;
mod value;
