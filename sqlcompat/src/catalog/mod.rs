//! PostgreSQL's system catalogs as SQLite tables.
//!
//! The lowered SQL reads `pg_catalog."pg_class"` and `pg_catalog."information_schema.columns"` like any other table: they
//! are tables and views of a database that the connection has attached under the name `pg_catalog`. Every relation of both
//! schemas exists with all of PostgreSQL 15's columns.
//!
//! ```text
//!   data/*.tsv ── tsv ──┐                              schema::Catalog ── user_rows ──┐
//!   layout (columns, indexes) ── template, once per process ── page copy ── CatalogImage ── attach ── connection
//!   views.sql ──────────┘                                                       live: temp."pg_live_<name>"
//! ```
//!
//! # Values
//!
//! As in [`datum`](crate::datum): booleans are 0 and 1, vectors and arrays are JSON text, `regproc` is an OID. Columns of the
//! type `pg_node_tree` hold the expression as PostgreSQL text, which is what `pg_get_expr` returns of them.
//!
//! # Left out
//!
//! - Rows of TOAST tables, triggers that enforce foreign keys, and statistics.
//! - What PostgreSQL has and Trellis does not (languages other than the built-in ones, extensions, policies, …): empty tables.

mod image;
mod layout;
mod live;
mod tsv;
mod user_rows;
mod views;

pub use image::{Attachment, CatalogImage, DATABASE, ImageOptions};
pub use live::{LIVE_RELATIONS, fill_live, live_columns};
