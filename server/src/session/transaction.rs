//! The transaction block as PostgreSQL's protocol knows it: idle, open or failed, with savepoints.
//!
//! ```text
//!            statement                    BEGIN
//!   Idle ──────────────► Implicit ──────────────► Explicit ──error──► Explicit, failed
//!     ▲  end of string or Sync │                     │ COMMIT, ROLLBACK        │ ROLLBACK, COMMIT (= ROLLBACK)
//!     └────────────────────────┴─────────────────────┴────────────────────────-┘
//! ```
//!
//! Source: PostgreSQL manual, `protocol-flow` (Pipelining; Multiple Statements in a Simple Query), `sql-savepoint`.

use pgwire::messages::response::TransactionStatus;
use trellis_sqlcompat::{SqlError, SqlState};

use super::settings::Layers;

/// What kind of transaction is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// None.
    Idle,
    /// One that the server opened for a string of statements or a pipeline, and ends with it.
    Implicit,
    /// One that the client opened with `BEGIN`.
    Explicit,
}

/// A savepoint and what returning to it must restore.
#[derive(Clone, Debug)]
pub struct Savepoint {
    /// Name; several may have the same, the last one counts.
    pub name: String,
    /// Settings when it was set.
    pub layers: Layers,
    /// Whether the transaction was read-only then.
    pub read_only: bool,
    /// How many `LISTEN`/`UNLISTEN` actions were pending.
    pub listen_actions: usize,
}

/// A `LISTEN` or `UNLISTEN` that takes effect at commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAction {
    /// Starts listening.
    Listen(String),
    /// Stops listening.
    Unlisten(String),
    /// Stops listening to everything.
    UnlistenAll,
}

/// The open transaction, if any.
#[derive(Debug)]
pub struct Transaction {
    /// What kind.
    pub block: Block,
    /// A statement failed: all but the end of the transaction, or of the savepoint, is refused.
    pub failed: bool,
    /// Read-only.
    pub read_only: bool,
    /// No statement has run yet: the modes may still be set.
    pub fresh: bool,
    /// Savepoints, outermost first.
    pub savepoints: Vec<Savepoint>,
    /// Settings before the transaction.
    pub layers: Layers,
    /// What takes effect at commit.
    pub listen_actions: Vec<ListenAction>,
    /// The schema's epoch when it began.
    pub epoch: u64,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            block: Block::Idle,
            failed: false,
            read_only: false,
            fresh: true,
            savepoints: Vec::new(),
            layers: Layers::default(),
            listen_actions: Vec::new(),
            epoch: 0,
        }
    }
}

impl Transaction {
    /// What `ReadyForQuery` says.
    #[must_use]
    pub fn status(&self) -> TransactionStatus {
        match (self.block, self.failed) {
            (Block::Explicit, true) => TransactionStatus::Error,
            (Block::Explicit, false) => TransactionStatus::Transaction,
            (Block::Idle | Block::Implicit, _) => TransactionStatus::Idle,
        }
    }

    /// Index of the innermost savepoint with that name.
    ///
    /// # Errors
    /// 3B001 if there is none.
    pub fn find_savepoint(&self, name: &str) -> Result<usize, SqlError> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }

    /// Refuses what needs a transaction block.
    ///
    /// # Errors
    /// 25P01 outside one.
    pub fn require_block(&self, what: &str) -> Result<(), SqlError> {
        if self.block == Block::Explicit {
            return Ok(());
        }
        let message = format!("{what} can only be used in transaction blocks");
        Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message))
    }

    /// Refuses what must not run in a transaction block.
    ///
    /// # Errors
    /// 25001 inside one.
    pub fn refuse_block(&self, what: &str) -> Result<(), SqlError> {
        if self.block != Block::Explicit {
            return Ok(());
        }
        let message = format!("{what} cannot run inside a transaction block");
        Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message))
    }
}

/// The error of every statement in a failed transaction.
#[must_use]
pub fn in_failed_transaction() -> SqlError {
    SqlError::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}
