//! One node: its database, its doors, its network, started in order and stopped in the opposite one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use rand::RngExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trellis_replication::net::{NetConfig, NetHandle, Network, ReplicaStore};
use trellis_replication::protocol::{ClusterId, Tuning};
use trellis_replication::store::LostIdentity;

use crate::engine::{Database, Maintenance, MaintenanceOptions};
use crate::http::{self, HttpServer};
use crate::listen::{Authentication, Doors, Listener, Plaintext, Tls, TlsFiles};
use crate::registry::Registry;
use crate::superuser;

/// How a node is to be run.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where the database is kept.
    pub data_dir: PathBuf,
    /// Address for PostgreSQL clients.
    pub listen: SocketAddr,
    /// UDP address for other nodes.
    pub gossip: SocketAddr,
    /// The gossip address that other nodes are told, if not that one.
    pub advertise: Option<String>,
    /// Gossip addresses of nodes to join.
    pub join: Vec<String>,
    /// Address for HTTP.
    pub http: SocketAddr,
    /// Files of TLS for PostgreSQL clients, if it is offered.
    pub tls: Option<TlsFiles>,
    /// Whether PostgreSQL clients may go without TLS.
    pub plaintext: Plaintext,
    /// How PostgreSQL clients prove who they are.
    pub authentication: Authentication,
    /// What is kept of the password that the bootstrap superuser gets if it has none.
    pub superuser_password: Option<String>,
    /// Most sessions at once.
    pub sessions_max: usize,
    /// What is kept in the file, and for whom.
    pub maintenance: MaintenanceOptions,
}

/// Why a node cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing can be made durable any more, and why.
    Storage(String),
    /// Its database must not be written to under its site any more, and why. Started again, the node begins anew.
    Identity(LostIdentity),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Storage(reason) => f.write_str(reason),
            Self::Identity(lost) => lost.fmt(f),
        }
    }
}

/// A running node.
pub struct Node {
    listener: Listener,
    registry: Arc<Registry>,
    network: Network,
    http: HttpServer,
    maintenance: Maintenance,
    database: Arc<Database>,
    /// Told why the database cannot go on.
    failed: oneshot::Receiver<Failure>,
    watch: JoinHandle<()>,
}

impl Node {
    /// Starts a node. Clients are let in last, when everything behind the doors is there.
    ///
    /// # Errors
    /// What could not be opened or listened on; nothing keeps running.
    pub async fn start(options: NodeOptions) -> anyhow::Result<Self> {
        let registry = Arc::new(Registry::new(options.sessions_max));
        let tls = options.tls.as_ref().map(Tls::load).transpose()?;
        let database = open_database(&options, &registry).await?;
        let store = Arc::clone(&database) as Arc<dyn ReplicaStore>;
        let joins = !options.join.is_empty();
        let config = NetConfig {
            site: database.store().site_id(),
            cluster: ClusterId::default(),
            listen: options.gossip,
            advertise: options.advertise,
            join: options.join,
            state_dir: options.data_dir,
            tuning: Tuning::default(),
        };
        let network = Network::start(config, store).await?;
        database.set_network(network.handle());
        let (tell_failure, failed) = oneshot::channel();
        let watch = tokio::spawn(watch(Arc::downgrade(&database), network.handle(), tell_failure));
        learn_own_past(&database, &network, joins).await;
        let http = http::start(options.http, Arc::clone(&database), Arc::clone(&registry)).await?;
        set_up_superuser(&database, options.authentication, options.superuser_password).await?;
        let doors = Arc::new(Doors {
            tls,
            plaintext: options.plaintext,
            authentication: options.authentication,
            mock_secret: rand::rng().random(),
            database: Arc::clone(&database),
            registry: Arc::clone(&registry),
        });
        let listener = Listener::start(options.listen, doors)?;
        let maintenance = Maintenance::start(&database, options.maintenance)?;
        Ok(Self { listener, registry, network, http, maintenance, database, failed, watch })
    }

    /// Where PostgreSQL clients connect.
    #[must_use]
    pub fn postgres_address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where other nodes connect.
    #[must_use]
    pub fn gossip_address(&self) -> SocketAddr {
        self.network.local_addr()
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The node's database.
    #[must_use]
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failure(&mut self) -> Failure {
        let ended = |_| Failure::Storage("the node's watch has ended".to_owned());
        (&mut self.failed).await.unwrap_or_else(ended)
    }

    /// Stops: no new sessions, no sessions, no network, no database.
    pub async fn stop(self) {
        self.watch.abort();
        self.listener.stop();
        self.registry.close();
        self.http.stop().await;
        self.network.shutdown().await;
        self.maintenance.stop();
        self.database.close();
    }
}

/// Gives the first superuser its password, and says so where nobody can come in.
async fn set_up_superuser(
    database: &Arc<Database>,
    authentication: Authentication,
    password: Option<String>,
) -> anyhow::Result<()> {
    if let Some(kept) = password {
        let database = Arc::clone(database);
        let giving = move || superuser::give_password(&database, &kept);
        tokio::task::spawn_blocking(giving).await.context("setting up was interrupted")??;
    }
    if authentication == Authentication::Scram && !superuser::somebody_has_password(database) {
        tracing::warn!(
            "no role has a password: nobody can come in without --superuser-password-file"
        );
    }
    Ok(())
}

/// How long a node that joins others waits to hear what they know of its own transactions.
const OWN_PAST_WAIT: Duration = Duration::from_secs(5);

/// A node whose database was restored from an older copy must not give numbers to new transactions that its peers have
/// already seen: before it lets clients in, it asks for its own past, if it knows of other nodes at all. One that is empty
/// takes over the state of a peer first: it does not know what was deleted, and could not insert rows that live. One that
/// can reach nobody goes on; [`watch`] holds its writes up as soon as a peer turns out to know more.
async fn learn_own_past(database: &Database, network: &Network, joins: bool) {
    let own = database.store().site_id();
    if !joins && database.store().heads().keys().all(|site| *site == own) {
        return;
    }
    let mut handle = network.handle();
    if tokio::time::timeout(OWN_PAST_WAIT, handle.own_tail_complete()).await.is_err() {
        if handle.status().joining {
            tracing::info!("waiting for the state of another node");
            handle.joined().await;
        } else {
            tracing::warn!("no peer could be asked for this node's own past; starting without");
        }
    }
}

/// Looks after what may turn out while the node runs: that peers know transactions of this node that it lacks, that it
/// must not go on under its site, and that commits cannot be made durable any more.
async fn watch(database: Weak<Database>, mut network: NetHandle, failed: oneshot::Sender<Failure>) {
    loop {
        let Some(database) = database.upgrade() else { return };
        let storage = database.store().failure().map(Failure::Storage);
        let identity = || database.store().lost_identity().map(Failure::Identity);
        if let Some(failure) = storage.or_else(identity) {
            // Nobody to tell: the node is being stopped already.
            drop(failed.send(failure));
            return;
        }
        let own = database.store().site_id();
        let elsewhere = network.stats().own_head_elsewhere;
        let head = database.store().heads().get(&own).map_or(0, |head| head.0);
        database.set_lacks_own_past(elsewhere > head);
        drop(database);
        if !network.status_changed().await {
            return;
        }
    }
}

async fn open_database(
    options: &NodeOptions,
    registry: &Arc<Registry>,
) -> anyhow::Result<Arc<Database>> {
    let (directory, registry) = (options.data_dir.clone(), Arc::clone(registry));
    tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&directory).with_context(|| {
            format!("could not create the data directory {}", directory.display())
        })?;
        Ok(Database::open(&directory, registry)?)
    })
    .await
    .context("opening the database was interrupted")?
}
