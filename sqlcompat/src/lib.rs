//! PostgreSQL's SQL over SQLite.
//!
//! ```text
//!   text ─ parse ─ bind ─ lower ─ SQLite SQL          schema   the user's objects, as data
//!                    │                                builtin  PostgreSQL 15's own catalog rows, as tables
//!                 schema, builtin, types              types    text and binary formats, storage forms
//!                                                     functions, catalog   what runs inside SQLite  (feature `sqlite`)
//! ```
//!
//! Everything but `functions` and `catalog` is pure: same text, same schema, same answer. Nothing guesses from values or
//! matches on query text; what is not supported is refused with its SQLSTATE.

mod base64;
pub mod bind;
pub mod builtin;
pub mod catalog;
pub mod conditions;
pub mod datum;
pub mod do_block;
pub mod error;
pub mod functions;
pub mod lower;
pub mod oid;
pub mod parse;
pub mod plan;
pub mod schema;
pub mod settings;
pub mod types;

pub use datum::{Datum, DatumRef};
pub use error::{SqlError, SqlState};
pub use oid::Oid;
