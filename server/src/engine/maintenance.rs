//! What a node does for its own file, all the time: trims the log, forgets deleted rows, gives free pages back, and shows
//! rows again whose conflicts have ended.
//!
//! One thread wakes every [`ROUND`]. What all members had is taken down at one moment ([`Told`]) and acted upon when it has
//! aged by [`GRACE_US`], this node has all that any member had at that moment, and there is no other member now: nothing that
//! was done before a deletion was known can still arrive, and who was let in meanwhile knows of it (`store/roster.rs`).
//!
//! A member that is silent for longer than its lease is left out of that, but not before all others have heard that it is
//! expelled: what it writes meanwhile counts nowhere. A node that finds itself expelled, or otherwise without the right to its
//! site, begins anew; what only its old database knows is done again here when it has caught up.
//!
//! # Bounds
//! A round does what there is to do; the store gives the lease to writers in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use trellis_replication::net::NetHandle;
use trellis_replication::store::{LogLimits, LostIdentity, StoreConnection, StoreError, retired};
use trellis_replication::types::{DbVersion, Heads, SiteId};

use super::database::Database;
use super::peers::{Peers, Told};
use crate::clock;

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(2);

/// How old what members told must be before deleted rows are forgotten by it, microseconds.
const GRACE_US: u64 = 20_000_000;

/// What is kept, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// How much of the log is kept.
    pub log: LogLimits,
    /// How long a member that is not heard of counts as one.
    pub lease: Duration,
}

/// The thread's handle.
pub struct Maintenance {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts to look after `database`.
    ///
    /// # Errors
    /// If there is no thread to be had, or the file cannot be read.
    pub fn start(
        database: &Arc<Database>,
        options: MaintenanceOptions,
    ) -> Result<Self, MaintenanceError> {
        let mut connection = database.store.connect()?;
        connection.begin(database.lease().acquire_uncancelled())?;
        let peers = Peers::load(connection.sqlite(), now_us())?;
        if let Some(pending) = connection.commit()? {
            pending.wait()?;
        }
        let keeper = Keeper {
            database: Arc::downgrade(database),
            connection,
            options,
            peers,
            told: None,
            stable: Heads::new(),
            left_out: BTreeSet::new(),
            expelled_at: DbVersion(0),
        };
        let stop = Arc::<(Mutex<bool>, Condvar)>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || keeper.run(&stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops, after the round that is under way.
    pub fn stop(mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_one();
        if let Some(Err(_panic)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the maintenance thread panicked");
        }
    }
}

/// Why maintenance could not start.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// There is no thread to be had.
    #[error("no thread for maintenance: {0}")]
    Thread(#[from] std::io::Error),
}

/// The thread's state.
struct Keeper {
    database: Weak<Database>,
    connection: StoreConnection,
    options: MaintenanceOptions,
    peers: Peers,
    /// What members told, and when, until it is acted upon.
    told: Option<(u64, Told)>,
    /// What all members have; deletions in it may be forgotten.
    stable: Heads,
    /// Members that are left out of that, and this site's version from which on others know that they are expelled.
    left_out: BTreeSet<SiteId>,
    expelled_at: DbVersion,
}

impl Keeper {
    fn run(mut self, stop: &(Mutex<bool>, Condvar)) {
        loop {
            let stopping = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = stop.1.wait_timeout_while(stopping, ROUND, |stopping| !*stopping);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            let Some(database) = self.database.upgrade() else { return };
            if let Err(error) = self.round(&database, now_us()) {
                tracing::error!(%error, "maintenance failed and will be tried again");
            }
        }
    }

    fn round(&mut self, database: &Database, now_us: u64) -> Result<(), MaintenanceError> {
        self.look_at_expelled(database)?;
        // Nothing more is forgotten while nobody can be expelled.
        if database.store.may_number() {
            self.learn(database, now_us)?;
        }
        // What cannot be made again now, perhaps never, must not keep the file from being looked after.
        if let Err(error) = self.resend(database) {
            tracing::error!(%error, "transactions that were put aside were not made again");
        }
        if self.peers.is_save_due(now_us) {
            self.save_peers(database, now_us)?;
        }
        let trimmed = database.store.trim(&self.stable, &self.options.log)?;
        if trimmed.transactions > 0 {
            tracing::debug!(trimmed.transactions, trimmed.tombstones, "the log was trimmed");
        }
        database.store.vacuum()?;
        show_again(database)
    }

    /// Takes down what members have, or acts upon what was taken down before.
    fn learn(&mut self, database: &Database, now_us: u64) -> Result<(), MaintenanceError> {
        let heads = database.store.heads();
        let members = database.network().map_or_else(Vec::new, |network| network.members());
        let admitted = database.store.admitted()?;
        self.peers.hear(now_us, database.store.site_id(), &heads, &members, &admitted);
        let lease_us = u64::try_from(self.options.lease.as_micros()).unwrap_or(u64::MAX);
        let members = self.peers.members(now_us, lease_us);
        match self.told.take() {
            Some((at_us, told)) if now_us.saturating_sub(at_us) < GRACE_US => {
                self.told = Some((at_us, told));
            }
            Some((_, told))
                if told.is_covered_by(&heads)
                    && members.is_subset(&told.members)
                    && self.is_expelled_by(&told, database) =>
            {
                self.stable = told.all;
            }
            Some(_) | None => {
                if !self.leave_out(database, self.peers.silent(now_us, lease_us))? {
                    return Ok(());
                }
                let heads = database.store.heads();
                self.told = Some((now_us, self.peers.told(now_us, lease_us, &heads)));
            }
        }
        Ok(())
    }

    /// Whether all members had heard, when they told what they have, of the expulsion of those who are left out.
    fn is_expelled_by(&self, told: &Told, database: &Database) -> bool {
        let own = told.all.get(&database.store.site_id()).copied().unwrap_or_default();
        self.left_out.is_empty() || own >= self.expelled_at
    }

    /// Expels members that are silent, before anything is forgotten that they may lack. Returns whether they are expelled.
    fn leave_out(
        &mut self,
        database: &Database,
        silent: BTreeMap<SiteId, DbVersion>,
    ) -> Result<bool, MaintenanceError> {
        if silent.keys().any(|site| !self.left_out.contains(site)) {
            let heads = database.store.heads();
            for (&site, &told) in &silent {
                let here = heads.get(&site).copied().unwrap_or_default();
                tracing::warn!(%site, "a member is expelled: it was silent for longer than the lease");
                if !database.store.expel(site, told.max(here))? {
                    return Ok(false);
                }
            }
            let own = database.store.site_id();
            self.expelled_at = database.store.heads().get(&own).copied().unwrap_or_default();
        }
        self.left_out = silent.into_keys().collect();
        Ok(true)
    }

    /// Finds out whether this node was expelled, and says what it has of others that were.
    fn look_at_expelled(&self, database: &Database) -> Result<(), MaintenanceError> {
        let heads = database.store.heads();
        for (site, version) in database.store.expelled()? {
            let here = heads.get(&site).copied().unwrap_or_default();
            if site == database.store.site_id() {
                database.store.lose_identity(LostIdentity::Expelled)?;
            } else if here > version {
                database.store.expel(site, here)?;
            }
        }
        Ok(())
    }

    /// Makes the transactions again that only databases know that were put aside, once this node has caught up.
    fn resend(&self, database: &Database) -> Result<(), MaintenanceError> {
        let retired = retired(database.store.directory())?;
        let is_ready = database.store.may_number();
        if !is_ready
            || retired.is_empty()
            || !database.network().is_some_and(NetHandle::is_caught_up)
        {
            return Ok(());
        }
        for directory in retired {
            let resent = database.store.resend(&directory)?;
            let directory = directory.display();
            tracing::warn!(%directory, ?resent, "transactions of a database that was put aside");
        }
        database.refresh_schema()?;
        Ok(())
    }

    fn save_peers(&mut self, database: &Database, now_us: u64) -> Result<(), MaintenanceError> {
        self.connection.begin(database.lease().acquire_uncancelled())?;
        if let Err(error) = self.peers.save(now_us, self.connection.sqlite()) {
            self.connection.rollback();
            return Err(error.into());
        }
        if let Some(pending) = self.connection.commit()? {
            pending.wait()?;
        }
        Ok(())
    }
}

/// Shows rows again that local changes have made room for; merges do so by themselves.
fn show_again(database: &Database) -> Result<(), MaintenanceError> {
    if database.store.has_due_conflicts()? {
        database.store.resolve_conflicts()?;
    }
    Ok(())
}

fn now_us() -> u64 {
    u64::try_from(clock::now_us()).unwrap_or(0)
}
