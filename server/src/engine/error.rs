//! SQLite's errors in PostgreSQL's words.

use rusqlite::ffi;
use trellis_replication::store::{LeaseError, StatementError, StoreError};
use trellis_sqlcompat::lower::refusal;
use trellis_sqlcompat::schema::{Catalog, constraint_error};
use trellis_sqlcompat::{SqlError, SqlState};

use super::cancel::CancelSwitch;

/// Words an error that SQLite raised while running a statement, unless a function raised it.
pub(super) fn statement_error(
    error: &StatementError,
    catalog: &Catalog,
    cancel: &CancelSwitch,
) -> SqlError {
    match error.code & 0xff {
        ffi::SQLITE_CONSTRAINT => constraint_error(&error.message, error.code, catalog),
        // Types are checked before: only a NULL in an INTEGER PRIMARY KEY gets here. `violation` names it.
        ffi::SQLITE_MISMATCH => {
            SqlError::new(SqlState::NOT_NULL_VIOLATION, "null value in a primary key")
        }
        ffi::SQLITE_INTERRUPT => cancel.reason(),
        ffi::SQLITE_BUSY => SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access due to concurrent update",
        ),
        ffi::SQLITE_FULL => SqlError::new(SqlState::DISK_FULL, "could not write: no space left"),
        ffi::SQLITE_NOMEM => SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory"),
        ffi::SQLITE_TOOBIG => {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "value or statement too large")
        }
        ffi::SQLITE_READONLY => SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "cannot write in a read-only transaction",
        ),
        _ if let Some(refusal) = refusal(&error.message) => refusal,
        _ => {
            tracing::warn!(code = error.code, message = %error.message, "SQLite refused a statement");
            SqlError::new(SqlState::INTERNAL_ERROR, format!("storage: {}", error.message))
        }
    }
}

/// Words an error of the store.
pub(super) fn store_error(error: StoreError, catalog: &Catalog, cancel: &CancelSwitch) -> SqlError {
    match error {
        StoreError::Sqlite(error) => statement_error(&from_rusqlite(&error), catalog, cancel),
        StoreError::Encode(error) => {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string())
        }
        other => {
            tracing::error!(error = %other, "the store failed");
            SqlError::new(SqlState::INTERNAL_ERROR, other.to_string())
        }
    }
}

/// An error of rusqlite as the statement interface gives it.
pub(super) fn from_rusqlite(error: &rusqlite::Error) -> StatementError {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => StatementError {
            code: failure.extended_code,
            message: message.clone().unwrap_or_else(|| failure.to_string()),
        },
        other => StatementError { code: ffi::SQLITE_ERROR, message: other.to_string() },
    }
}

/// Words a failure to get the write lease.
pub(super) fn lease_error(error: LeaseError, cancel: &CancelSwitch) -> SqlError {
    match error {
        LeaseError::Cancelled => cancel.reason(),
        LeaseError::TimedOut if cancel.is_over() => cancel.reason(),
        LeaseError::TimedOut => {
            SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")
        }
    }
}
