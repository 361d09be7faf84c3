//! Opening a data directory, and what a store offers besides connections.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::adopt::{self, Staged, StateOutcome};
use super::applied::{AppliedTransaction, Content, RowEvent, RowEvents};
use super::apply::ApplyOutcome;
use super::capture::Mode;
use super::check;
use super::checkpoint;
use super::chunks;
use super::connection::{Pending, Role, StoreConnection, open_sqlite};
use super::core::{CheckpointRequest, Committed, Core};
use super::digest::{self, TableDigest};
use super::error::{Result, StoreError};
use super::flush::Listener;
use super::hidden::{self, Conflict};
use super::identity::{self, Finding, Identity, LostIdentity};
use super::lease::WriterLease;
use super::log::{self, LogRange, LogSlice};
use super::options::{SchemaHook, StoreOptions};
use super::registry::{self, Entry, Registry};
use super::resend::{self, Resent};
use super::roster;
use super::seal::{self, FoundLog, Verdict};
use super::snapshot::{Snapshots, StateSlice};
use super::trim::{LogLimits, Trimmed, Trimmer};
use crate::types::{
    ContentHash, DbVersion, EncodedChangeset, Heads, Position, Progress, ProgressBySite, SiteId,
    StateChunk, TableId, TransferId,
};

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "trellis.db";

/// Name of the file that is locked while the directory is in use.
const LOCK_FILE: &str = "trellis.lock";

/// Layout of the store's own tables, "Trl" and a number, kept as `application_id`; a file of another one is refused.
const LAYOUT: i64 = 0x5472_6c08;

/// A database file, shared by all its connections.
pub struct Store {
    /// Applies remote changes.
    applier: Mutex<StoreConnection>,
    /// Reads the log for others.
    reader: Mutex<Connection>,
    /// Knows how large and how old the log is.
    trimmer: Mutex<Trimmer>,
    /// States that are read by nodes which the log does not serve.
    snapshots: Mutex<Snapshots>,
    /// What has come of another node's state.
    staged: Mutex<Staged>,
    threads: Vec<JoinHandle<()>>,
    /// Declared last: it seals the file, which no connection may have open then.
    core: Arc<Core>,
}

impl Store {
    /// Opens the database in `directory`, which is created if it does not exist, and locks it for this process.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it open; [`StoreError::Changed`] if another program has written to it
    /// since; [`StoreError::Damaged`] if its contents contradict themselves.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Arc<Self>> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let lock = lock_directory(directory)?;
        let file = directory.join(DATABASE_FILE);
        let found_log = FoundLog::look(&file).map_err(io(&file))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let sqlite = Connection::open_with_flags(&file, flags)?;
        // Whatever happens to this process, the write-ahead log stays as it left it.
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let verdict = seal::examine(&sqlite, &file, &found_log)?;
        if verdict == Verdict::Empty {
            // What `Store::vacuum` needs cannot be chosen later; said again, it would be a commit under the seal.
            sqlite.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        }
        refuse_changed(&sqlite, verdict, directory, &options)?;
        sqlite.execute_batch("PRAGMA synchronous = FULL")?;
        let site = create_system_tables(&sqlite, options.site_id)?;
        sqlite.execute_batch("PRAGMA journal_mode = WAL")?;
        seal::keep_log(&sqlite, &file)?;
        let registry = Registry::load(&sqlite)?;
        let log = log::load(&sqlite, &registry)?;
        let head = log.heads.get(&site).copied().unwrap_or_default();
        let identity = Identity::begin(&sqlite, head)?;
        if let Some(lost) = identity.lost {
            // Whoever puts it aside moves one file then, which says by itself that it is lost and has all commits.
            drop(sqlite);
            seal::close(&file)?;
            return Err(StoreError::LostIdentity { path: directory.to_owned(), lost });
        }
        // What counts as durable from here on must be: earlier commits of a killed process may still be in memory only.
        sqlite.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))?;
        let wal = wal_path(&file);
        checkpoint::preallocate(&wal).map_err(io(&wal))?;
        File::open(directory).and_then(|handle| handle.sync_all()).map_err(io(directory))?;
        let committed = Committed { registry: Arc::new(registry), log };
        let paths = (directory.to_owned(), file, lock);
        let core = Arc::new(Core::new(paths, (site, identity), committed, options));
        let applier = Mutex::new(StoreConnection::open(Arc::clone(&core), Role::Apply)?);
        let reader = Mutex::new(open_sqlite(&core)?);
        let threads = start_threads(&core, sqlite)?;
        let trimmer = Mutex::default();
        let (snapshots, staged) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { applier, reader, trimmer, snapshots, staged, threads, core }))
    }

    /// This file's identity as a writer.
    #[must_use]
    pub fn site_id(&self) -> SiteId {
        self.core.site
    }

    /// The data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.core.directory
    }

    /// Of each site, the last version that has been applied here and is durable.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.core.durability.heads()
    }

    /// Place in the log of the last durable transaction.
    #[must_use]
    pub fn position(&self) -> Position {
        self.core.durability.position()
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn connect(&self) -> Result<StoreConnection> {
        StoreConnection::open(Arc::clone(&self.core), Role::Session)
    }

    /// The queue for the one writer.
    #[must_use]
    pub fn lease(&self) -> &WriterLease {
        &self.core.lease
    }

    /// Why no commit is acknowledged any more, if the log could not be synced. Only opening the store anew, which syncs
    /// what is there, tells what has survived.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.core.durability.failure()
    }

    /// Frames in the write-ahead log, of one page each. It starts over at a checkpoint that no reader is in the way of.
    #[must_use]
    pub fn log_frames(&self) -> usize {
        self.core.wal_frames()
    }

    /// Has the write-ahead log copied into the database soon.
    pub fn checkpoint(&self) {
        self.core.request_checkpoint(CheckpointRequest::Checkpoint);
    }

    /// Sets who hears of transactions, own and remote, once they are durable; called in the order of positions, on one
    /// thread, which should not be held up.
    pub fn set_listener(&self, listener: Listener) {
        self.core.durability.set_listener(listener);
    }

    /// Sets who turns rows of system tables into tables.
    pub fn set_schema_hook(&self, hook: Box<dyn SchemaHook>) {
        let mut present = self.core.schema_hook.write().unwrap_or_else(PoisonError::into_inner);
        *present = Some(Arc::from(hook));
    }

    /// Applies transactions of other sites, in the order given; blocks until they are durable. One outcome per changeset;
    /// whatever is wrong with one does not keep the others out, unless they are later ones of the same site. Chunks are
    /// staged until the last one of their transaction is there, which then is applied whole.
    pub fn apply(&self, batch: &[EncodedChangeset]) -> Vec<ApplyOutcome> {
        let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        super::apply::apply(&self.core, &mut applier, batch)
    }

    /// Digests of all replicated tables, by identity: equal on nodes that hold the same rows.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn digest(&self) -> Result<Vec<TableDigest>> {
        digest::digest(&open_sqlite(&self.core)?, &self.core.registry())
    }

    /// Checks the file: SQLite's structures, rows against clocks, the log against the heads. Returns the first findings;
    /// none means that it is whole.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn check(&self) -> Result<Vec<String>> {
        let sqlite = open_sqlite(&self.core)?;
        sqlite.execute_batch("BEGIN")?;
        if let Some(on_connect) = &self.core.options.on_connect {
            on_connect(&sqlite)?;
        }
        check::check(&sqlite, &self.core.registry(), &self.core.options)
    }

    /// Trims the log to `limits`, and forgets the rows whose deletion is in what goes and known to everyone. `stable` are
    /// the heads that all members are known to have; see the module `trim` for what else it has to be. Who needs what is
    /// gone is told that it is trimmed.
    ///
    /// # Errors
    /// If SQLite refuses; what was trimmed until then stays trimmed.
    pub fn trim(&self, stable: &Heads, limits: &LogLimits) -> Result<Trimmed> {
        let mut trimmer = self.trimmer.lock().unwrap_or_else(PoisonError::into_inner);
        let target = {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            trimmer.target(&self.core, &reader, stable, limits)?
        };
        let snapshots = self.snapshots.lock();
        snapshots.unwrap_or_else(PoisonError::into_inner).expire(&self.core)?;
        let mut trimmed = Trimmed { log_bytes: trimmer.bytes(), ..Trimmed::default() };
        let mut more = target.is_some();
        while let Some(target) = target.filter(|_| more) {
            let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
            more = super::trim::trim_some(&self.core, &mut applier, &target, &mut trimmed)?;
        }
        Ok(trimmed)
    }

    /// Gives free pages back to the file system, if more than a quarter of the file is free.
    ///
    /// # Errors
    /// If SQLite refuses; what was given back until then stays so.
    pub fn vacuum(&self) -> Result<()> {
        let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        super::trim::vacuum(&self.core, &mut applier)
    }

    /// The rows that are hidden because a visible one conflicts with them in a unique index; all of them, in memory.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>> {
        let (sqlite, registry) = (open_sqlite(&self.core)?, self.core.registry());
        let pages = registry.tables().iter();
        let pages = pages.map(|table| hidden::page(&sqlite, &registry, table, (&[], usize::MAX)));
        Ok(pages.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Whether a local change may have ended a conflict, so that [`Self::resolve_conflicts`] has something to look at.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn has_due_conflicts(&self) -> Result<bool> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(!hidden::due_tables(&reader)?.is_empty())
    }

    /// The last transaction that wrote a row, by version and site; none if there is no such row.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn last_writer(&self, table: TableId, pk: &[u8]) -> Result<Option<(DbVersion, SiteId)>> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = self.core.registry();
        let Some(Entry::Live(table)) = registry.entry(table) else { return Ok(None) };
        let clock = super::clocks::clock_of(&reader, table, pk)?;
        Ok(clock.and_then(|clock| hidden::last_stamp(&registry, &clock)))
    }

    /// Shows hidden rows whose conflicts have ended by local changes. Applying remote changes does so as well. Who listens
    /// is told by a transaction of this site; where none may be made ([`Self::may_number`]) nothing is done.
    ///
    /// # Errors
    /// If SQLite refuses; nothing changed then.
    pub fn resolve_conflicts(&self) -> Result<()> {
        let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        super::conflict::resolve_conflicts(&self.core, &mut applier)
    }

    /// Of each site, how far its changesets have come here: the durable heads, and what is staged of the transactions
    /// after them.
    #[must_use]
    pub fn progress(&self) -> ProgressBySite {
        let heads = self.heads().into_iter().map(|(site, head)| (site, Progress::from(head)));
        let mut progress: ProgressBySite = heads.collect();
        for (&site, &staged) in &self.core.committed().log.staged {
            let durable = progress.entry(site).or_default();
            *durable = staged.max(*durable);
        }
        progress
    }

    /// Reads changesets of `origin` from the log, those after `after`, up to and including the one that reaches
    /// `max_bytes`; at least one if there is one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_log(
        &self,
        origin: SiteId,
        after: impl Into<Progress>,
        max_bytes: usize,
    ) -> Result<LogSlice> {
        let head = self.heads().get(&origin).copied().unwrap_or_default();
        let index = |origin, after| self.core.committed().log.first_after(origin, after);
        let after = after.into();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        log::read_origin(&reader, index, head, (origin, after), max_bytes)
    }

    /// Reads the state of this node for another, `reader`, that the log does not serve: the chunks after its first `chunks`,
    /// up to and including the one that reaches `max_bytes`. All that are read under one number are of one cut.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_state(
        &self,
        reader: (SiteId, TransferId),
        chunks: u32,
        max_bytes: usize,
    ) -> Result<StateSlice> {
        if chunks == 0 && !self.admit(reader.0)? {
            return Ok(StateSlice::Busy);
        }
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.read(&self.core, reader, chunks, max_bytes)
    }

    /// Takes in chunks of another node's state, in their order; those that begin with the first one start over. With the
    /// last one the state is taken over whole; blocks until that is durable.
    pub fn apply_state(&self, chunks: &[StateChunk]) -> StateOutcome {
        let mut trimmer = self.trimmer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        let mut staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = adopt::apply(&self.core, &mut applier, &mut staged, chunks);
        if outcome == StateOutcome::Stale {
            drop((applier, staged));
            if let Err(error) = self.lose_identity(LostIdentity::Stale) {
                tracing::error!(%error, "the loss of the identity is not written down");
            }
        } else if outcome == StateOutcome::Adopted {
            // The log begins anew.
            *trimmer = Trimmer::default();
        }
        outcome
    }

    /// What is known here of a site: what tells its transaction `version` from another one of that number, if it is here, and
    /// its last one, with the same.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn past(&self, site: SiteId, version: DbVersion) -> Result<Vec<(DbVersion, ContentHash)>> {
        let head = self.heads().get(&site).copied().unwrap_or_default();
        let mut known = vec![(head, self.content(site, head)?)];
        if version < head {
            known.push((version, self.content(site, version)?));
        }
        Ok(known)
    }

    fn content(&self, site: SiteId, version: DbVersion) -> Result<ContentHash> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let committed = self.core.committed();
        committed.log.content(&reader, &committed.registry, (site, version))
    }

    /// Takes in what a peer knows of this site ([`Self::past`]); may find that this file cannot go on.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn check_past(&self, known: &[(DbVersion, ContentHash)]) -> Result<()> {
        let head = self.heads().get(&self.core.site).copied().unwrap_or_default();
        let mut findings = Vec::new();
        for &(version, there) in known {
            let here = self.content(self.core.site, version)?;
            findings.push(self.core.identity().judge(head, version, (here, there)));
        }
        if findings.contains(&Finding::Forked) {
            return self.lose_identity(LostIdentity::Forked);
        }
        let confirmed = findings.iter().all(|it| *it == Finding::Confirmed);
        if confirmed && self.core.identity().confirm() {
            self.write_unlogged(identity::save_confirmed)?;
        }
        Ok(())
    }

    /// Why this file must not go on under its site, if that was found out.
    #[must_use]
    pub fn lost_identity(&self) -> Option<LostIdentity> {
        self.core.identity().lost
    }

    /// Says whether peers have transactions of this site that are not here: new ones would take their numbers.
    pub fn set_lacks_own_past(&self, lacks: bool) {
        self.core.lacks_own_past.store(lacks, Ordering::SeqCst);
    }

    /// Whether transactions of this site may be made: neither is its identity lost, nor does it lack its own past.
    #[must_use]
    pub fn may_number(&self) -> bool {
        self.core.may_number()
    }

    /// Notes that this file must not go on under its site. It cannot be opened any more.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn lose_identity(&self, lost: LostIdentity) -> Result<()> {
        if self.core.identity().lost.replace(lost).is_some() {
            return Ok(());
        }
        tracing::error!(site = %self.core.site, "{lost}");
        self.write_unlogged(|sqlite| identity::save_lost(sqlite, lost))
    }

    fn write_unlogged(&self, write: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        applier.begin_mode(self.core.lease.acquire_uncancelled(), Mode::Suspended)?;
        if let Err(error) = write(applier.sqlite()) {
            applier.rollback();
            return Err(error);
        }
        applier.commit()?.map_or(Ok(()), Pending::wait)
    }

    /// Lets a site in that is about to be given the state. Returns whether it is.
    fn admit(&self, site: SiteId) -> Result<bool> {
        let listed = {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            roster::is_listed(&reader, &self.core.registry(), site)?
        };
        if listed {
            return Ok(true);
        }
        self.write_roster(|sqlite| roster::admit(sqlite, (site, self.core.site)))
    }

    /// Makes a transaction of this site, unless none may be made now. Returns whether it is made, and durable.
    fn write_roster(&self, write: impl FnOnce(&Connection) -> Result<()>) -> Result<bool> {
        let mut applier = self.applier.lock().unwrap_or_else(PoisonError::into_inner);
        applier.begin_mode(self.core.lease.acquire_uncancelled(), Mode::Tracking)?;
        if !self.core.may_number() {
            applier.rollback();
            return Ok(false);
        }
        self.core.expelled.touch();
        if let Err(error) = write(applier.sqlite()) {
            applier.rollback();
            return Err(error);
        }
        applier.commit()?.map_or(Ok(()), Pending::wait)?;
        Ok(true)
    }

    /// Sites that were let in and not expelled.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn admitted(&self) -> Result<Vec<SiteId>> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        roster::admitted(&reader)
    }

    /// Expels a site: nothing of it counts any more beyond `version`, or what anyone has of it when it hears of this.
    /// Returns whether it is expelled; it is not while this site may not make transactions ([`Self::may_number`]).
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn expel(&self, site: SiteId, version: DbVersion) -> Result<bool> {
        self.write_roster(|sqlite| roster::expel(sqlite, (site, self.core.site), version))
    }

    /// Sites that are expelled, and up to which version their transactions count.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn expelled(&self) -> Result<Vec<(SiteId, DbVersion)>> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        roster::all(&reader)
    }

    /// Makes the transactions again that only a database knows that was put aside ([`super::retired`]). To be called when
    /// this node has caught up with others.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn resend(&self, retired: &Path) -> Result<Resent> {
        resend::resend(&self.core, retired)
    }

    /// Calls `visit` with the rows that a transaction in the log changed here, in its order; of a large one, with those in
    /// its first `chunks_max` chunks. Rows whose every change lost against what was there already are not among them; rows
    /// that it hid or showed by way of others are, after the rest. Holds one chunk in memory.
    ///
    /// # Errors
    /// If the file cannot be read, or the log has been trimmed above the transaction.
    pub fn visit_rows(
        &self,
        transaction: &AppliedTransaction,
        chunks_max: u32,
        mut visit: impl FnMut(RowEvent<'_>),
    ) -> Result<Visited> {
        if transaction.resolved.is_empty() {
            return self.visit_changes(transaction, chunks_max, visit);
        }
        let mut telling = transaction.resolved.telling()?;
        let visited = self.visit_changes(transaction, chunks_max, |row| {
            telling.pass(row).into_iter().for_each(&mut visit);
        })?;
        if visited == Visited::All {
            telling.finish(visit);
        }
        Ok(visited)
    }

    /// Like [`Self::visit_rows`], without the rows that were hidden and shown by others.
    fn visit_changes(
        &self,
        transaction: &AppliedTransaction,
        chunks_max: u32,
        mut visit: impl FnMut(RowEvent<'_>),
    ) -> Result<Visited> {
        let chunks = match &transaction.content {
            Content::Whole { body, impact } => {
                RowEvents::new(body, impact).for_each(visit);
                return Ok(Visited::All);
            }
            Content::Chunked { chunks } => *chunks,
        };
        let lost = || StoreError::Damaged("a chunk in the log is missing".into());
        let origin = self.core.registry().ordinal(transaction.origin).ok_or_else(lost)?;
        let stored = chunks::Transaction { origin, version: transaction.version };
        for chunk in 0..chunks.min(chunks_max) {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let body = stored.body(&reader, chunk)?.ok_or_else(lost)?;
            let impact = stored.impact(&reader, chunk)?;
            drop(reader);
            RowEvents::new(&body, &impact).for_each(&mut visit);
        }
        Ok(if chunks > chunks_max { Visited::Some } else { Visited::All })
    }

    /// Reads at most `max` transactions, of whatever origin, from the log after `position`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_from(&self, position: Position, max: usize) -> Result<LogRange> {
        let durable = self.position();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        log::read_positions(&reader, &self.core.registry(), (position, durable), max)
    }
}

/// How much of a transaction was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visited {
    /// All of it.
    All,
    /// Its first chunks; there are more.
    Some,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.core.durability.stop();
        self.core.request_checkpoint(CheckpointRequest::Stop);
        for thread in self.threads.drain(..) {
            // A panic of a thread has been reported by itself.
            let _result = thread.join();
        }
    }
}

pub(super) fn lock_directory(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK_FILE);
    let io = |source| StoreError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Opens the database of a node that is not running, to be read only; the file returned is the
/// lock on its directory.
pub(super) fn open_to_check(
    directory: &Path,
    options: &StoreOptions,
) -> Result<(File, Connection, Verdict)> {
    let file = directory.join(DATABASE_FILE);
    let none = |reason: &str| {
        let (path, reason) = (directory.to_owned(), reason.to_owned());
        StoreError::NotADataDirectory { path, reason }
    };
    if !file.is_file() {
        return Err(none(&format!("there is no {DATABASE_FILE}")));
    }
    let lock = lock_directory(directory)?;
    let found_log = FoundLog::look(&file);
    let found_log = found_log.map_err(|source| StoreError::Io { path: file.clone(), source })?;
    let sqlite = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // What the write-ahead log holds is to stay where it is.
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let layout = sqlite.query_row("PRAGMA application_id", [], |row| row.get(0));
    match layout {
        Ok(LAYOUT) => {}
        Ok(_) => return Err(none(&format!("{DATABASE_FILE} is of another program or version"))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(none(&format!("{DATABASE_FILE} is not a database")));
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(on_connect) = &options.on_connect {
        on_connect(&sqlite)?;
    }
    sqlite.execute_batch("BEGIN")?;
    let verdict = seal::examine(&sqlite, &file, &found_log)?;
    Ok((lock, sqlite, verdict))
}

/// Creates what is not there yet; returns the file's identity.
fn create_system_tables(sqlite: &Connection, site: Option<SiteId>) -> Result<SiteId> {
    let layout: i64 = sqlite.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if layout != 0 && layout != LAYOUT {
        return Err(StoreError::Damaged(format!("layout {layout} is not known to this version")));
    }
    let tables = format!(
        "BEGIN IMMEDIATE; {} {} {} {} {} {} {} {} DELETE FROM trellis_state;",
        registry::SYSTEM_TABLES,
        log::SYSTEM_TABLES,
        chunks::SYSTEM_TABLES,
        hidden::SYSTEM_TABLES,
        seal::SYSTEM_TABLES,
        adopt::SYSTEM_TABLES,
        identity::SYSTEM_TABLES,
        resend::SYSTEM_TABLES,
    );
    sqlite.execute_batch(&tables)?;
    seal::open(sqlite)?;
    let known = sqlite
        .query_row("SELECT site FROM trellis_sites WHERE ordinal = 0", [], |row| row.get(0))
        .optional()?;
    let site = match known {
        Some(site) => SiteId(site),
        None => {
            let site = site.unwrap_or_else(|| SiteId(rand::random()));
            sqlite.execute("INSERT INTO trellis_sites (ordinal, site) VALUES (0, ?1)", [site.0])?;
            site
        }
    };
    sqlite.execute_batch(&format!("PRAGMA application_id = {LAYOUT}; COMMIT"))?;
    Ok(site)
}

/// Refuses a file that another program has written to, as far as `verdict` or, in doubt, a check of all of it says.
fn refuse_changed(
    sqlite: &Connection,
    verdict: Verdict,
    directory: &Path,
    options: &StoreOptions,
) -> Result<()> {
    let changed = |evidence| Err(StoreError::Changed { path: directory.to_owned(), evidence });
    let doubt = match verdict {
        Verdict::Empty | Verdict::Untouched => return Ok(()),
        Verdict::Changed(evidence) => return changed(evidence),
        Verdict::InDoubt(doubt) => doubt,
    };
    tracing::warn!(doubt, "another program may have written to the database; checking all of it");
    if let Some(on_connect) = &options.on_connect {
        on_connect(sqlite)?;
    }
    let findings = check::check(sqlite, &Registry::load(sqlite)?, options)?;
    tracing::info!(findings = findings.len(), "the database is checked");
    if findings.is_empty() { Ok(()) } else { changed(findings.join("; ")) }
}

/// The write-ahead log of a database file.
pub(super) fn wal_path(file: &Path) -> PathBuf {
    let mut wal = file.to_owned().into_os_string();
    wal.push("-wal");
    PathBuf::from(wal)
}

fn start_threads(core: &Arc<Core>, checkpointer: Connection) -> Result<Vec<JoinHandle<()>>> {
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|source| StoreError::Io { path: core.directory.clone(), source })
    };
    let flusher = Arc::clone(core);
    let flusher = spawn("flusher", Box::new(move || flusher.durability.run(&flusher.lease)))?;
    let checkpoints = Arc::clone(core);
    let checkpoints =
        spawn("checkpointer", Box::new(move || checkpoint::run(&checkpoints, &checkpointer)))?;
    Ok(vec![flusher, checkpoints])
}
