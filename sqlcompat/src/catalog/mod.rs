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
//! `names` answers what an object is called, and which one a name means, without a database: the system functions and the
//! `reg*` types ask it.
//!
//! # Values
//!
//! As in [`datum`](crate::datum): booleans are 0 and 1, vectors and arrays are JSON text, `regproc` is an OID. Columns of the
//! type `pg_node_tree` hold the expression as PostgreSQL text, which is what `pg_get_expr` returns of them.
//!
//! # Left out
//!
//! - The schema `trellis` is not listed in the catalogs, which show what PostgreSQL's would.
//! - Rows of TOAST tables, triggers that enforce foreign keys, and statistics.
//! - What PostgreSQL has and Trellis does not (languages other than the built-in ones, extensions, policies, …): empty tables.

#[cfg(feature = "sqlite")]
mod form;
#[cfg(feature = "sqlite")]
mod image;
#[cfg(feature = "sqlite")]
mod layout;
mod live;
mod names;
mod tsv;
#[cfg(feature = "sqlite")]
mod user_rows;
#[cfg(feature = "sqlite")]
mod views;

#[cfg(feature = "sqlite")]
pub use image::{Attachment, CatalogImage, DATABASE, ImageOptions};
pub use live::{LIVE_RELATIONS, live_name};
#[cfg(feature = "sqlite")]
pub use live::{fill_live, live_columns};
pub use names::{NamedCatalog, Names, class_of, identifiers, json_array, qualified_name};
pub(crate) use names::{recorded_column, recorded_descriptions};
