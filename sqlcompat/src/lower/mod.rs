//! Typed trees to SQLite SQL.
//!
//! | module | writes |
//! |---|---|
//! | `native` | which functions and operators SQLite has itself, and under what form |
//! | `call` | calls: native, or the function library's `pg_…`, or 0A000 |
//! | `condition` | conditions, `CASE` and what else chooses between values |
//! | `array` | arrays and comparisons with their elements |
//! | `expression` | every other node |
//! | `query` | queries, joins, lateral subqueries, set operations |
//! | `row` | rows as values, their fields, whole rows |
//! | `literal` | names and storage forms |
//! | `refusal` | nothing: it words what SQLite refuses |
//! | [`coverage`] | nothing: it tells what of PostgreSQL's built-ins the tables above cover |
//!
//! # Invariants
//! 1. Every identifier is quoted; every relation has an alias of its own; no `*`.
//! 2. What compares, sorts or groups a type whose storage order is not its order carries the type's collation.
//! 3. Where NULLs sort is written out, except on columns that have none, so that indexes can be used.
//! 4. Whatever is neither native nor in the function library is refused with 0A000 here, not at execution.

mod array;
mod call;
mod collation;
mod condition;
pub mod coverage;
mod expression;
mod framed;
mod literal;
mod native;
mod query;
mod refusal;
mod row;

pub use literal::{quote_identifier, quote_text};
pub use refusal::refusal;

pub(crate) use expression::Lowering;
pub(crate) use native::is_native_comparison;
