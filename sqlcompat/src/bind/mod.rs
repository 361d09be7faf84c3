//! Syntax trees to plans: names resolved, types inferred, coercions made explicit.
//!
//! ```text
//!   sqlparser tree ── scope, expression, select, write ──> typed tree (tree) ── crate::lower ──> SQLite SQL
//! ```
//!
//! The binder follows PostgreSQL's parse analysis: it finds every name in a scope (`scope`), gives every expression a
//! type by the rules of the manual's chapter 10 (`resolve`), and leaves nothing implicit for SQLite to decide. What it does
//! not translate it refuses with 0A000.

mod assigned_part;
mod binder;
mod changes;
mod check_option;
mod coerce;
mod composite;
mod conditional;
mod conflict;
mod constants;
mod context;
mod copied_rows;
mod current_of;
mod data_type;
mod delete;
pub mod deparse;
mod domain;
mod effects;
mod expression;
mod from;
mod function;
mod group_layer;
mod grouping;
mod grouping_element;
mod hypothetical;
mod insert;
mod join;
mod layers;
mod literal;
mod merge;
mod modification;
mod modifying_with;
mod operator;
mod output_name;
mod query;
mod range_constructor;
mod record_shape;
mod recursion;
pub mod resolve;
mod row_function;
mod scalar;
mod scope;
mod search_cycle;
mod select;
mod snapshot;
mod sql_function;
mod steps;
mod stored_query;
mod table_function;
mod target;
pub mod tree;
mod type_names;
mod updatable;
mod update;
mod utility;
mod view_target;
mod walk;
mod window;

pub use context::{BindContext, Parameters, plan};
pub use copied_rows::plan_filtered_insert;
pub use current_of::plan_cursor;
pub use effects::plan_call;
pub use scalar::{
    LoweredQuery, LoweredScalar, ScalarScope, SchemaPlace, bind_expression_in, bind_query,
    bind_scalar_expression,
};
pub use sql_function::check_function;
pub(crate) use stored_query::unpopulated;
pub use updatable::{Reason, UpdatableView, relation_events, updatability};
