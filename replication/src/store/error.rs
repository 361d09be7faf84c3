//! Why the store could not do something.

use std::path::PathBuf;

use crate::crdt::bytes::DecodeError;
use crate::types::TableId;
use crate::wire::EncodeError;

/// Why the store could not do something. Unless a variant says otherwise, the transaction it happened in can only be
/// rolled back, and nothing of it is visible to anyone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused; the error carries its own code. A constraint that fails at COMMIT leaves the transaction open.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system refused an operation on a file.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the data directory open.
    #[error("data directory {path} is in use by another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// There is no database of Trellis in the directory.
    #[error("{path} is not a data directory of Trellis: {reason}")]
    NotADataDirectory {
        /// The directory.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// Another program has written to the database while no node ran on it.
    #[error("the database in {path} was changed by another program: {evidence}")]
    Changed {
        /// The data directory.
        path: PathBuf,
        /// What shows it.
        evidence: String,
    },
    /// The database must not go on under its site: [`super::retire`] puts it aside.
    #[error("the database in {path} cannot go on: {lost}")]
    LostIdentity {
        /// The data directory.
        path: PathBuf,
        /// Why.
        lost: super::LostIdentity,
    },
    /// Stored metadata contradicts itself: the file was damaged, or changed by something else than this store.
    #[error("database is damaged: {0}")]
    Damaged(String),
    /// The transaction's changes cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A write was attempted outside [`super::StoreConnection::begin`], or begun twice.
    #[error("{0}")]
    TransactionState(&'static str),
    /// A table cannot be registered as it is.
    #[error("table {name} cannot be replicated: {reason}")]
    Unsupported {
        /// The table's SQLite name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A table that is not registered was named.
    #[error("table {} is not registered", .0.0)]
    UnknownTable(TableId),
    /// A sync of the write-ahead log failed; no later commit of this process can be trusted to be durable.
    #[error("the write-ahead log could not be synced: {0}")]
    NotDurable(String),
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(format!("stored metadata is malformed: {error}"))
    }
}

/// The result of an operation of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
