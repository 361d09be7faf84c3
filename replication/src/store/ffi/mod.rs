//! The crate's one place with `unsafe`: what rusqlite does not offer, behind safe interfaces.
//!
//! | file | holds |
//! |---|---|
//! | `hooks.rs` | what SQLite tells of row changes, savepoints and commits |
//! | `recording.rs` | a recording of what is done to files (feature `recording`, for tests) |
//! | `row_function.rs` | a function that is called with rows |
//! | `row_table.rs` | virtual tables made of rows |
//! | `statement.rs` | statements that keep their connection alive |
//!
//! Each file says under *Safety* what it relies on.
#![expect(unsafe_code, reason = "calls SQLite's C interface")]

mod hooks;
#[cfg(feature = "recording")]
pub(super) mod recording;
mod row_function;
mod row_table;
mod statement;

pub(super) use hooks::{
    Installed, RowEvent, RowOperation, TransactionEvents, has_deferred_violations, install,
    second_handle,
};
pub(super) use row_function::{Arguments, RowFunction, register_row_function};
pub(super) use row_table::{RowCursor, RowTable, register_row_table};
pub use statement::{SharedConnection, Statement, StatementError, StoreAccess};
