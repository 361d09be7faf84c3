//! Transaction control: `BEGIN`, `COMMIT`, `ROLLBACK`, savepoints, and what they do to everything that hangs on them.
//!
//! Source: PostgreSQL manual, `sql-begin`, `sql-commit`, `sql-rollback`, `sql-savepoint`, `sql-set-transaction`.

use trellis_sqlcompat::plan::TransactionModes;
use trellis_sqlcompat::{SqlError, SqlState};

use super::port::{Engine, TransactionMode};
use super::portal::{PortalState, Ran};
use super::session::{Session, isolation_name};
use super::settings::Scope;
use super::transaction::{Block, ListenAction, Savepoint, Transaction};

type Done<E> = Result<Ran<<E as Engine>::Rows>, SqlError>;

impl<E: Engine> Session<E> {
    pub(super) fn run_begin(&mut self, modes: TransactionModes, tag: &str) -> Done<E> {
        match self.transaction.block {
            Block::Explicit => {
                let message = "there is already a transaction in progress";
                self.warn(SqlState::ACTIVE_SQL_TRANSACTION, message);
            }
            // What the string or pipeline did before BEGIN becomes part of the block.
            Block::Implicit => {
                self.transaction.block = Block::Explicit;
                self.set_modes(modes)?;
            }
            Block::Idle => {
                let mode = with_modes(self.default_mode(), modes);
                self.open_transaction(Block::Explicit, mode);
            }
        }
        Ok(Ran::Done(tag.to_owned()))
    }

    pub(super) fn run_commit(&mut self, chain: bool) -> Done<E> {
        if self.transaction.block != Block::Explicit {
            if chain {
                self.transaction.require_block("COMMIT AND CHAIN")?;
            }
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            if self.transaction.block == Block::Implicit {
                self.commit_transaction()?;
            }
            return Ok(Ran::Done("COMMIT".to_owned()));
        }
        if self.transaction.failed {
            return self.run_rollback(chain);
        }
        let mode = self.current_mode();
        self.begin_command();
        self.commit_transaction()?;
        if chain {
            self.open_transaction(Block::Explicit, mode);
        }
        Ok(Ran::Done("COMMIT".to_owned()))
    }

    pub(super) fn run_rollback(&mut self, chain: bool) -> Done<E> {
        if self.transaction.block != Block::Explicit {
            if chain {
                self.transaction.require_block("ROLLBACK AND CHAIN")?;
            }
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
        }
        let mode = self.current_mode();
        self.end_transaction_rolled_back();
        if chain {
            self.open_transaction(Block::Explicit, mode);
        }
        Ok(Ran::Done("ROLLBACK".to_owned()))
    }

    pub(super) fn run_savepoint(&mut self, name: &str) -> Done<E> {
        self.transaction.require_block("SAVEPOINT")?;
        self.begin_command();
        self.engine.savepoint(self.transaction.savepoints.len())?;
        let savepoint = Savepoint {
            name: name.to_owned(),
            layers: self.settings().layers(),
            read_only: self.transaction.read_only,
            listen_actions: self.transaction.listen_actions.len(),
        };
        self.transaction.savepoints.push(savepoint);
        Ok(Ran::Done("SAVEPOINT".to_owned()))
    }

    pub(super) fn run_release(&mut self, name: &str) -> Done<E> {
        self.transaction.require_block("RELEASE SAVEPOINT")?;
        let depth = self.transaction.find_savepoint(name)?;
        self.begin_command();
        self.engine.release(depth)?;
        let read_only = self.transaction.savepoints.get(depth).map(|it| it.read_only);
        self.transaction.savepoints.truncate(depth);
        for portal in self.portals.values_mut() {
            portal.depth = portal.depth.min(depth);
        }
        self.set_read_only(read_only.unwrap_or_default());
        Ok(Ran::Done("RELEASE".to_owned()))
    }

    pub(super) fn run_rollback_to(&mut self, name: &str) -> Done<E> {
        self.transaction.require_block("ROLLBACK TO SAVEPOINT")?;
        let depth = self.transaction.find_savepoint(name)?;
        self.begin_command();
        self.portals.retain(|_, portal| portal.depth <= depth || portal.is_held());
        if self.transaction.epoch != self.engine.schema_epoch() {
            // In a transaction that has changed the schema, this ends all queries of SQLite.
            for portal in self.portals.values_mut() {
                if portal.compute_rest().is_err() {
                    portal.state = PortalState::Failed;
                }
            }
        }
        self.engine.rollback_to(depth)?;
        self.transaction.savepoints.truncate(depth + 1);
        if let Some(savepoint) = self.transaction.savepoints.last().cloned() {
            self.settings().restore(savepoint.layers);
            self.set_read_only(savepoint.read_only);
            self.transaction.listen_actions.truncate(savepoint.listen_actions);
        }
        self.transaction.failed = false;
        Ok(Ran::Done("ROLLBACK".to_owned()))
    }

    /// Returns to what a savepoint began with.
    fn set_read_only(&mut self, read_only: bool) {
        if self.transaction.read_only == read_only {
            return;
        }
        self.transaction.read_only = read_only;
        let mode = self.current_mode();
        self.engine.set_mode(mode);
        self.publish_transaction_settings(mode);
    }

    pub(super) fn run_set_transaction(&mut self, modes: TransactionModes) -> Done<E> {
        if self.transaction.block == Block::Idle {
            let message = "SET TRANSACTION can only be used in transaction blocks";
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
            return Ok(Ran::Done("SET".to_owned()));
        }
        self.set_modes(modes)?;
        Ok(Ran::Done("SET".to_owned()))
    }

    pub(super) fn run_set_characteristics(&mut self, modes: TransactionModes) -> Done<E> {
        let set = |name: &str, value: &str| {
            self.settings().set(name, Some(&[value.to_owned()]), Scope::Session)
        };
        if let Some(isolation) = modes.isolation {
            set("default_transaction_isolation", isolation_name(isolation))?;
        }
        if let Some(read_only) = modes.read_only {
            set("default_transaction_read_only", if read_only { "on" } else { "off" })?;
        }
        if let Some(deferrable) = modes.deferrable {
            set("default_transaction_deferrable", if deferrable { "on" } else { "off" })?;
        }
        Ok(Ran::Done("SET".to_owned()))
    }

    /// Changes the open transaction's modes.
    fn set_modes(&mut self, modes: TransactionModes) -> Result<(), SqlError> {
        let current = self.current_mode();
        let wanted = with_modes(current, modes);
        if wanted.isolation != current.isolation && !self.transaction.fresh {
            let message = "SET TRANSACTION ISOLATION LEVEL must be called before any query";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        let within_savepoint = !self.transaction.savepoints.is_empty();
        if wanted.isolation != current.isolation && within_savepoint {
            let message = "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        if current.read_only && !wanted.read_only {
            let message = if within_savepoint {
                "cannot set transaction read-write mode inside a read-only transaction"
            } else {
                "transaction read-write mode must be set before any query"
            };
            if within_savepoint || !self.transaction.fresh {
                return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
            }
        }
        self.transaction.read_only = wanted.read_only;
        self.engine.set_mode(wanted);
        self.publish_transaction_settings(wanted);
        Ok(())
    }

    fn current_mode(&self) -> TransactionMode {
        let published = self.published_mode.unwrap_or_else(|| self.default_mode());
        TransactionMode { read_only: self.transaction.read_only, ..published }
    }

    /// Commits the open transaction, whichever kind it is.
    ///
    /// # Errors
    /// What the commit raised; everything has then been rolled back and no transaction is open.
    pub(super) fn commit_transaction(&mut self) -> Result<(), SqlError> {
        self.finish_portals_at_commit()?;
        let durable = !self.settings().limits().asynchronous_commit;
        if let Err(error) = self.engine.commit(durable) {
            self.end_transaction_rolled_back();
            return Err(error);
        }
        let ended = std::mem::take(&mut self.transaction);
        self.settings().end_transaction();
        self.apply_listens(ended.listen_actions);
        let mode = self.default_mode();
        self.publish_transaction_settings(mode);
        Ok(())
    }

    /// Rolls the open transaction back, if there is one.
    pub(super) fn end_transaction_rolled_back(&mut self) {
        // Results are closed before the transaction they read in.
        self.portals.retain(|_, portal| portal.is_held());
        if self.transaction.block == Block::Idle {
            return;
        }
        self.engine.rollback();
        let ended: Transaction = std::mem::take(&mut self.transaction);
        self.settings().restore(ended.layers);
        let mode = self.default_mode();
        self.publish_transaction_settings(mode);
    }

    fn apply_listens(&mut self, actions: Vec<ListenAction>) {
        if actions.is_empty() {
            return;
        }
        for action in actions {
            match action {
                ListenAction::Listen(channel) => {
                    self.channels.insert(channel);
                }
                ListenAction::Unlisten(channel) => {
                    self.channels.remove(&channel);
                }
                ListenAction::UnlistenAll => self.channels.clear(),
            }
        }
        let channels: Vec<String> = self.channels.iter().cloned().collect();
        self.engine.listen(&channels);
    }
}

fn with_modes(mode: TransactionMode, modes: TransactionModes) -> TransactionMode {
    TransactionMode {
        isolation: modes.isolation.unwrap_or(mode.isolation),
        read_only: modes.read_only.unwrap_or(mode.read_only),
        deferrable: modes.deferrable.unwrap_or(mode.deferrable),
    }
}
