//! What the sessions of a node share: the store, the schema as of the last commit, the feeds, the network.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rusqlite::Connection;
use std::sync::Mutex;
use trellis_replication::net::NetHandle;
use trellis_replication::store::{
    AppliedTransaction, Store, StoreConnection, StoreError, StoreOptions, WriterLease, retire,
    roster_table,
};
use trellis_sqlcompat::catalog::ImageOptions;
use trellis_sqlcompat::functions::{self, SessionContext};
use trellis_sqlcompat::schema::{Catalog, Sequence};
use trellis_sqlcompat::{Oid, SqlError, SqlState};

use super::advisory::AdvisoryLocks;
use super::batch::Batches;
use super::batch_writer::BatchWriter;
use super::schema::{self, RemoteSchema, Schema};
use super::schema_check::SchemaCheck;
use super::sequence::{self, Sequences};
use super::timer::Timer;
use super::unique_id::UniqueIds;
use crate::feed::Hub;
use crate::registry::Registry;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The schema could not be read or set up.
    #[error("the schema could not be read: {0}")]
    Schema(#[from] rusqlite::Error),
}

/// A node's database.
pub struct Database {
    pub(super) store: Arc<Store>,
    pub(super) batches: Batches,
    pub(super) hub: Hub,
    pub(super) sequences: Sequences,
    pub(super) unique_ids: UniqueIds,
    pub(super) timer: Timer,
    pub(super) advisory: AdvisoryLocks,
    pub(super) registry: Arc<Registry>,
    schema: RwLock<Arc<Schema>>,
    /// A connection of the database's own, for reading outside any session.
    reader: Mutex<StoreConnection>,
    network: OnceLock<NetHandle>,
    uncommitted: Mutex<Option<Arc<Catalog>>>,
    /// How many [`SchemaCommit`]s there are.
    schema_commits: AtomicUsize,
    /// Peers have transactions of this node that it lacks itself.
    lacks_own_past: AtomicBool,
    /// The schema by which the last commits were told.
    told: Mutex<Arc<Schema>>,
}

/// The commit of a transaction that changes the schema, until its session has read the schema again. As long as there is
/// one, whoever tells of commits reads the schema first.
pub(super) struct SchemaCommit(Arc<Database>);

impl Drop for SchemaCommit {
    fn drop(&mut self) {
        self.0.schema_commits.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Database {
    /// Opens the database in a directory, creating it if it is not there.
    ///
    /// # Errors
    /// [`DatabaseError`], for example if another process has it open.
    pub fn open(directory: &Path, registry: Arc<Registry>) -> Result<Arc<Self>, DatabaseError> {
        let context = SessionContext::forgiving();
        let store = open_store(directory, &context)?;
        let mut reader = store.connect()?;
        reader.begin(store.lease().acquire_uncancelled())?;
        schema::create(&mut reader)?;
        sequence::create(&mut reader)?;
        let (create, expelled) = roster_table();
        reader.sqlite().execute_batch(create)?;
        reader.register_table(&expelled)?;
        if let Some(pending) = reader.commit()? {
            pending.wait()?;
        }
        let schema = Arc::new(schema::load(reader.sqlite())?);
        let unique_ids = UniqueIds::new();
        let batches = Batches::new(BatchWriter::open(&store, &schema, &unique_ids)?);
        let database = Arc::new(Self {
            batches,
            hub: Hub::default(),
            sequences: Sequences::default(),
            unique_ids,
            timer: Timer::default(),
            advisory: AdvisoryLocks::default(),
            registry,
            told: Mutex::new(Arc::clone(&schema)),
            schema: RwLock::new(schema),
            reader: Mutex::new(reader),
            network: OnceLock::new(),
            uncommitted: Mutex::default(),
            schema_commits: AtomicUsize::new(0),
            lacks_own_past: AtomicBool::new(false),
            store: Arc::clone(&store),
        });
        store.set_schema_hook(Box::new(RemoteSchema::new(context)));
        let weak = Arc::downgrade(&database);
        store.set_listener(Box::new(move |applied| {
            if let Some(database) = weak.upgrade() {
                database.publish(applied);
            }
        }));
        Ok(database)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The queue for the node's one writer.
    #[must_use]
    pub fn lease(&self) -> &WriterLease {
        self.store.lease()
    }

    /// Connects commits to the network; to be called once.
    pub fn set_network(&self, network: NetHandle) {
        if self.network.set(network).is_err() {
            tracing::error!("the network was set twice");
        }
    }

    /// The network, once it is up.
    #[must_use]
    pub fn network(&self) -> Option<&NetHandle> {
        self.network.get()
    }

    /// Says whether peers have transactions of this node that it lacks itself. As long as they do nothing can be written: it
    /// would take their numbers.
    pub fn set_lacks_own_past(&self, lacks: bool) {
        self.store.set_lacks_own_past(lacks);
        if self.lacks_own_past.swap(lacks, Ordering::SeqCst) != lacks {
            tracing::warn!(lacks, "whether peers have transactions of this node that it lacks");
        }
    }

    /// Refuses to write where a write could not be kept.
    ///
    /// # Errors
    /// 58030 after a failed sync of the log, 57P03 while this node lacks transactions of its own.
    pub(super) fn check_writable(&self) -> Result<(), SqlError> {
        if let Some(reason) = self.store.failure() {
            let message = format!("could not sync the write-ahead log: {reason}");
            return Err(SqlError::new(SqlState::IO_ERROR, message));
        }
        if let Some(lost) = self.store.lost_identity() {
            let message = "this node cannot write: it is about to begin anew as another site";
            let error = SqlError::new(SqlState::CANNOT_CONNECT_NOW, message);
            return Err(error.with_detail(format!("{lost}.")));
        }
        if self.lacks_own_past.load(Ordering::SeqCst) {
            let message = "this node cannot write before it has fetched its own transactions";
            return Err(SqlError::new(SqlState::CANNOT_CONNECT_NOW, message).with_detail(
                "Its database is an older copy; other nodes know later transactions of it.",
            ));
        }
        Ok(())
    }

    /// Position of the last durable transaction.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.store.position().0
    }

    /// Number of sites of which transactions are known.
    #[must_use]
    pub fn origins(&self) -> usize {
        self.store.heads().len()
    }

    /// Closes the feeds. Sessions that are still ending keep the store open until they have.
    pub fn close(&self) {
        self.store.set_listener(Box::new(|_applied| ()));
    }

    /// The schema as of the last commit that changed it.
    pub(super) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a committed schema the current one, unless a later one already is.
    pub(super) fn set_schema(&self, schema: Arc<Schema>) {
        let mut current = self.schema.write().unwrap_or_else(PoisonError::into_inner);
        if schema.epoch > current.epoch {
            *current = schema;
        }
    }

    /// Reads the schema again if it has moved since it was last read.
    pub(super) fn refresh_schema(&self) -> rusqlite::Result<()> {
        let loaded = self.with_reader(|sqlite| {
            let moved = schema::epoch(sqlite)? != self.schema().epoch;
            if moved { schema::load(sqlite).map(Some) } else { Ok(None) }
        })?;
        let site = self.store.site_id();
        self.with_reader(|sqlite| self.sequences.check_slot(site, sqlite))?;
        if let Some(schema) = loaded {
            self.set_schema(Arc::new(schema));
            if let Some(network) = self.network() {
                network.schema_changed();
            }
        }
        Ok(())
    }

    /// To be called before a transaction that changes the schema is committed.
    pub(super) fn schema_commit(self: &Arc<Self>) -> SchemaCommit {
        self.schema_commits.fetch_add(1, Ordering::SeqCst);
        SchemaCommit(Arc::clone(self))
    }

    /// A sequence that a session has created in a transaction that is still open.
    pub(super) fn uncommitted_sequence(&self, oid: u32) -> Option<Sequence> {
        let uncommitted = self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner);
        uncommitted.as_ref()?.sequences.get(&Oid(oid)).cloned()
    }

    /// The schema of the one transaction that is changing it; there is only one writer.
    pub(super) fn set_uncommitted(&self, catalog: Option<Arc<Catalog>>) {
        *self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner) = catalog;
    }

    /// Runs `work` on the database's own connection.
    pub(super) fn with_reader<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        work(reader.sqlite())
    }

    /// The user's schema as it is committed.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.schema().catalog)
    }

    /// What the catalog image shows besides the schema.
    pub(super) fn image_options(&self) -> ImageOptions {
        ImageOptions::default()
    }

    /// Tells peers and listeners of transactions that are durable and visible.
    fn publish(&self, applied: &[Arc<AppliedTransaction>]) {
        let own = self.store.site_id();
        let may_have_moved = self.schema_commits.load(Ordering::SeqCst) > 0
            || applied.iter().any(|transaction| transaction.origin != own);
        if may_have_moved && let Err(error) = self.refresh_schema() {
            tracing::error!(%error, "the schema could not be read after a commit");
        }
        let schema = self.schema();
        let mut shown = Arc::clone(&self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for transaction in applied {
            // What came before a change of the schema is told in the words of the time before.
            if shown.epoch != schema.epoch && self.changes_schema(transaction) {
                shown = Arc::clone(&schema);
            }
            if transaction.origin == own
                && let Some(network) = self.network()
            {
                match transaction.encoded() {
                    Some(changeset) => network.commit(changeset),
                    None => network.commit_chunks(transaction.version),
                }
            }
            self.hub.publish(&self.store, transaction, &shown.catalog);
        }
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// The whole state has become another without transactions that say how: the schema is read again, and whoever listens
    /// is told that there is something to be read again.
    pub(super) fn state_was_replaced(&self) {
        if let Err(error) = self.refresh_schema() {
            tracing::error!(%error, "the schema could not be read after a state was taken over");
        }
        let schema = self.schema();
        self.hub.lose_all(self.position(), &schema.catalog);
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = schema;
    }

    fn changes_schema(&self, transaction: &AppliedTransaction) -> bool {
        let mut changes = false;
        let visited = self.store.visit_rows(transaction, 1, |row| {
            changes |= row.table == schema::SCHEMA_TABLE_ID;
        });
        changes || visited.is_err()
    }
}

/// Opens the store; one that must not go on under its site is put aside, and an empty one is begun.
fn open_store(directory: &Path, context: &SessionContext) -> Result<Arc<Store>, StoreError> {
    match Store::open(directory, options_with(context.clone())) {
        Err(StoreError::LostIdentity { lost, .. }) => {
            let retired = retire(directory)?;
            let retired = retired.display();
            tracing::warn!(%retired, "{lost}; its database is put aside and the node begins anew");
            Store::open(directory, options_with(context.clone()))
        }
        opened => opened,
    }
}

/// How a node's store is opened to be checked.
#[must_use]
pub fn store_options() -> StoreOptions {
    options_with(SessionContext::forgiving())
}

/// Options by which every connection, also the one that applies remote changes, can evaluate what the schema computes.
fn options_with(context: SessionContext) -> StoreOptions {
    let prepare = move |connection: &Connection| {
        functions::register(connection, &context)?;
        functions::register_enums(connection, None, &context.state().catalog)
    };
    StoreOptions {
        on_connect: Some(Arc::new(prepare)),
        check: Some(Arc::new(SchemaCheck)),
        ..StoreOptions::default()
    }
}
