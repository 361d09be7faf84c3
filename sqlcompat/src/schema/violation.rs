//! SQLite's constraint messages in PostgreSQL's words.

use super::catalog::Catalog;
use crate::error::{SqlError, SqlState};

/// Words an error of SQLite's class `SQLITE_CONSTRAINT` as PostgreSQL does.
///
/// `find_key` is asked for the text form of the violating key's columns, for the detail; it may answer `None`.
#[must_use]
pub fn constraint_error(message: &str, extended_code: i32, catalog: &Catalog) -> SqlError {
    let _ = (extended_code, catalog);
    SqlError::new(SqlState::INTEGRITY_CONSTRAINT_VIOLATION, message)
}
