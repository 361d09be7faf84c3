//! What a store is opened with, and what the layer above plugs into it.

use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;

use super::connection::StoreConnection;
use crate::types::{ColumnId, SiteId, TableId, Value};

/// Prepares a new connection: functions, collations, pragmas that the schema's expressions need.
pub type ConnectHook = Arc<dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync>;

/// How to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    /// Identity to give to a file that does not exist yet, instead of a random one.
    pub site_id: Option<SiteId>,
    /// Called on every connection when it is opened, also on the one that applies remote changes.
    pub on_connect: Option<ConnectHook>,
    /// What the layer above knows of the file's contents; used by checks.
    pub check: Option<Arc<dyn CheckHook>>,
    /// Whether each transaction's captured changes are compared with the rows as they are stored; a difference fails the
    /// transaction. Costs a read per changed row; the default is to do so in debug builds.
    pub cross_check: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { site_id: None, on_connect: None, check: None, cross_check: cfg!(debug_assertions) }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("site_id", &self.site_id).finish_non_exhaustive()
    }
}

/// Turns rows of system tables into tables.
pub trait SchemaHook: Send + Sync {
    /// Prepares the connection that applies remote changes for the tables as it sees them: collations and functions that
    /// their indexes and computed columns use. Called at the start of each transaction that applies any.
    ///
    /// # Errors
    /// A reason for which nothing can be applied for now.
    fn before_apply(&self, sqlite: &Connection) -> Result<(), String>;

    /// Brings tables and registrations up to what the system tables say. Called while remote changes are applied, inside
    /// their transaction, after the rows of system tables in a changeset were merged and before its other rows; run DDL on
    /// [`StoreConnection::sqlite`] and call [`StoreConnection::register_table`] and
    /// [`StoreConnection::unregister_table`].
    ///
    /// # Errors
    /// A reason for which the changeset cannot be applied; it is undone and kept out until it is offered again.
    fn system_rows_changed(&self, connection: &mut StoreConnection) -> Result<(), String>;
}

/// What the layer above knows of a file's contents.
pub trait CheckHook: Send + Sync {
    /// Compares the tables that SQLite has with those that the schema says; returns what is wrong.
    ///
    /// # Errors
    /// If the file cannot be read.
    fn check(&self, sqlite: &Connection) -> rusqlite::Result<Vec<String>>;

    /// The column that a row of a system table describes. A change of that row may have changed the column's values in
    /// place, without a transaction that says so.
    fn column_of(&self, table: TableId, key: &[Value]) -> Option<ColumnId>;
}
