//! A running network: the endpoint, the reactor task, and their orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::protocol::{Address, Incarnation, NodeIdentity, Persisted, Replica, ReplicaConfig};
use crate::types::ProgressBySite;

use super::handle::{COMMITS_MAX, Signals};
use super::reactor::{Clock, EVENTS_MAX, Ports, Reactor};
use super::{NetConfig, NetError, NetHandle, NetStatus, ReplicaStore, endpoint, state};

/// A running network. Dropping it stops it abruptly; [`Network::shutdown`] leaves the cluster first.
#[derive(Debug)]
pub struct Network {
    local_addr: SocketAddr,
    handle: NetHandle,
    shutdown: oneshot::Sender<()>,
    reactor: JoinSet<()>,
}

impl Network {
    /// Binds the endpoint, and starts to join.
    ///
    /// # Errors
    /// [`NetError`] when the address is taken or malformed, or state cannot be kept; nothing keeps running then.
    pub async fn start(config: NetConfig, store: Arc<dyn ReplicaStore>) -> Result<Self, NetError> {
        let join = config.join.iter().map(Address::new).collect::<Result<Vec<_>, _>>()?;
        let endpoint = endpoint::bind(config.listen)?;
        let local_addr = endpoint
            .local_addr()
            .map_err(|source| NetError::Listen { address: config.listen, source })?;
        let address = advertised(&config, local_addr)?;
        let state_path = state::path(&config.state_dir);
        let (incarnation, kept) = next_incarnation(&config).await?;
        let identity =
            NodeIdentity { site: config.site, address, incarnation, cluster: config.cluster };
        let stored = read_progress(Arc::clone(&store)).await?;

        let clock = Clock::start();
        let replica_config = ReplicaConfig {
            identity,
            join,
            known: kept.members,
            tuning: config.tuning,
            seed: rand::rng().random(),
        };
        let replica = Replica::new(clock.now(), replica_config, &stored);
        let (commits_sender, commits) = mpsc::channel(COMMITS_MAX);
        let (events_sender, events) = mpsc::channel(EVENTS_MAX);
        let first = NetStatus {
            members: replica.members(),
            origins: replica.origins(),
            stats: replica.stats(),
            ..NetStatus::default()
        };
        let (status, status_receiver) = watch::channel(Arc::new(first));
        let (shutdown, shutdown_receiver) = oneshot::channel();
        let signals = Arc::new(Signals::default());
        let handle = NetHandle {
            commits: commits_sender,
            signals: Arc::clone(&signals),
            status: status_receiver,
        };
        let ports = Ports { commits, signals, status, shutdown: shutdown_receiver };
        let owner = Reactor::new(endpoint, replica, store, state_path, clock, events_sender);
        let mut reactor = JoinSet::new();
        reactor.spawn(owner.run(events, ports));
        Ok(Self { local_addr, handle, shutdown, reactor })
    }

    /// The address listened on, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle for the rest of the node.
    #[must_use]
    pub fn handle(&self) -> NetHandle {
        self.handle.clone()
    }

    /// Leaves the cluster: tells the members, closes the connections, and waits, a second at most, until they know.
    pub async fn shutdown(mut self) {
        if self.shutdown.send(()).is_ok() {
            while self.reactor.join_next().await.is_some() {}
        }
    }
}

/// The address peers are told.
fn advertised(config: &NetConfig, local_addr: SocketAddr) -> Result<Address, NetError> {
    match &config.advertise {
        Some(text) => Ok(Address::new(text.as_str())?),
        None if local_addr.ip().is_unspecified() => Err(NetError::NeedsAdvertise(local_addr)),
        None => Ok(Address::new(local_addr.to_string())?),
    }
}

/// An incarnation larger than any this site used before, kept before it is used; and what else was kept.
async fn next_incarnation(config: &NetConfig) -> Result<(Incarnation, Persisted), NetError> {
    let path = state::path(&config.state_dir);
    let (directory, cluster) = (config.state_dir.clone(), config.cluster);
    let failed = {
        let path = path.clone();
        move |source| NetError::State { path: path.clone(), source }
    };
    let task = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&directory)?;
        let mut kept = state::load(&path, cluster)?;
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_ms = u64::try_from(clock.as_millis()).unwrap_or(u64::MAX);
        kept.incarnation = Incarnation(clock_ms.max(kept.incarnation.0.saturating_add(1)));
        state::save(&path, &kept)?;
        Ok((kept.incarnation, kept))
    });
    task.await.map_err(|error| std::io::Error::other(error.to_string())).flatten().map_err(failed)
}

async fn read_progress(store: Arc<dyn ReplicaStore>) -> Result<ProgressBySite, NetError> {
    let stored = tokio::task::spawn_blocking(move || store.progress()).await;
    stored.map_err(|error| NetError::Store(error.to_string()))
}
