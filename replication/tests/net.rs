//! Networks of one process over loopback, each with a store in memory.
#![cfg(feature = "net")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

#[path = "simulation/memory.rs"]
mod memory;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory::MemoryStore;
use tempfile::TempDir;
use tokio::net::UdpSocket as UdpRelaySocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trellis_replication::net::{
    ApplyResult, NetConfig, NetError, NetHandle, Network, ReadLogError, ReadStateError,
    ReplicaStore, StateResult,
};
use trellis_replication::protocol::{ClusterId, MemberState, Tuning};
use trellis_replication::types::{
    ContentHash, DbVersion, EncodedChangeset, Heads, Progress, ProgressBySite, SiteId, StateChunk,
    TransferId,
};

/// A store that tells when its heads move.
struct SharedStore {
    memory: Mutex<MemoryStore>,
    heads: watch::Sender<Heads>,
}

impl SharedStore {
    fn new() -> Arc<Self> {
        Arc::new(Self { memory: Mutex::default(), heads: watch::Sender::default() })
    }

    fn heads(&self) -> Heads {
        self.memory.lock().unwrap().heads()
    }
}

impl ReplicaStore for SharedStore {
    fn progress(&self) -> ProgressBySite {
        self.memory.lock().unwrap().progress()
    }

    fn apply(&self, batch: &[EncodedChangeset]) -> Vec<ApplyResult> {
        let mut memory = self.memory.lock().unwrap();
        let results = batch.iter().map(|change| memory.apply(change)).collect();
        self.heads.send_replace(memory.heads());
        results
    }

    fn read_log(
        &self,
        origin: SiteId,
        after: Progress,
        max_bytes: usize,
    ) -> Result<Vec<EncodedChangeset>, ReadLogError> {
        self.memory.lock().unwrap().read_log(origin, after, max_bytes)
    }

    fn read_state(
        &self,
        reader: (SiteId, TransferId),
        chunks: u32,
        max_bytes: usize,
    ) -> Result<Vec<StateChunk>, ReadStateError> {
        self.memory.lock().unwrap().read_state(reader, chunks, max_bytes)
    }

    fn past(&self, site: SiteId, version: DbVersion) -> Vec<(DbVersion, ContentHash)> {
        self.memory.lock().unwrap().past(site, version)
    }

    fn check_past(&self, _known: &[(DbVersion, ContentHash)]) {}

    fn apply_state(&self, chunks: &[StateChunk]) -> StateResult {
        let mut memory = self.memory.lock().unwrap();
        let result = memory.apply_state(chunks);
        self.heads.send_replace(memory.heads());
        result
    }
}

struct Node {
    site: SiteId,
    store: Arc<SharedStore>,
    network: Network,
    handle: NetHandle,
    directory: TempDir,
}

fn site(number: u8) -> SiteId {
    SiteId([number; 16])
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn config(number: u8, join: Vec<String>, directory: &TempDir) -> NetConfig {
    NetConfig {
        site: site(number),
        cluster: ClusterId(7),
        listen: loopback(0),
        advertise: None,
        join,
        state_dir: directory.path().to_owned(),
        tuning: Tuning::default(),
    }
}

impl Node {
    async fn start(number: u8, join: &[&Node]) -> Self {
        let join = join.iter().map(|node| node.network.local_addr().to_string()).collect();
        let directory = TempDir::new().unwrap();
        let config = config(number, join, &directory);
        Self::start_with(config, SharedStore::new(), directory).await
    }

    async fn start_with(config: NetConfig, store: Arc<SharedStore>, directory: TempDir) -> Self {
        let site = config.site;
        let network = Network::start(config, store.clone()).await.unwrap();
        let handle = network.handle();
        Self { site, store, network, handle, directory }
    }

    fn commit(&self, body: &str) {
        self.commit_bytes(body.as_bytes().to_vec());
    }

    fn commit_bytes(&self, body: Vec<u8>) {
        let mut memory = self.store.memory.lock().unwrap();
        let change = memory.commit(self.site, body);
        self.store.heads.send_replace(memory.heads());
        self.handle.commit(change);
    }

    async fn holds(&self, heads: &Heads) {
        let mut watch = self.store.heads.subscribe();
        let arrived = watch.wait_for(|have| have == heads);
        let arrived = tokio::time::timeout(Duration::from_secs(20), arrived).await;
        assert!(arrived.is_ok(), "{} has {:?}, not {heads:?}", self.site, self.store.heads());
    }

    async fn sees(&mut self, other: SiteId, state: MemberState) {
        let seen = async {
            let has = |handle: &NetHandle| {
                handle.members().iter().any(|it| it.site == other && it.state == state)
            };
            while !has(&self.handle) {
                assert!(self.handle.status_changed().await);
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
        assert!(seen.is_ok(), "{} does not see {other} {state:?}", self.site);
    }
}

fn heads_of(nodes: &[&Node]) -> Heads {
    nodes.iter().flat_map(|node| node.store.heads()).fold(Heads::new(), |mut all, (site, head)| {
        let entry = all.entry(site).or_default();
        *entry = (*entry).max(head);
        all
    })
}

async fn converge(nodes: &[&Node]) {
    let heads = heads_of(nodes);
    for node in nodes {
        node.holds(&heads).await;
    }
    for origin in heads.keys() {
        let bodies = |node: &Node| node.store.memory.lock().unwrap().bodies(*origin);
        assert!(nodes.windows(2).all(|pair| bodies(pair[0]) == bodies(pair[1])));
    }
}

/// Commits on all nodes reach all nodes, also those from before a node joined, and those too large to broadcast.
#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_hold_the_same() {
    let a = Node::start(1, &[]).await;
    a.commit("before anybody joined");
    let b = Node::start(2, &[&a]).await;
    let c = Node::start(3, &[&b]).await;
    converge(&[&a, &b, &c]).await;
    for round in 0..50 {
        a.commit(&format!("a {round}"));
        b.commit(&format!("b {round}"));
        c.commit(&format!("c {round}"));
    }
    a.commit_bytes(vec![1; 3 << 20]);
    b.commit("after the large one");
    converge(&[&a, &b, &c]).await;
}

/// More commits at once than the reactor's queue holds: none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_commits_arrives_whole() {
    let a = Node::start(1, &[]).await;
    let b = Node::start(2, &[&a]).await;
    a.commit("first");
    converge(&[&a, &b]).await;
    for round in 0..20_000 {
        a.commit(&format!("{round}"));
    }
    converge(&[&a, &b]).await;
}

/// What needs a schema waits for it, and holds up nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn data_waits_for_its_schema() {
    let a = Node::start(1, &[]).await;
    let b = Node::start(2, &[&a]).await;
    let c = Node::start(3, &[&a]).await;
    a.commit("before");
    converge(&[&a, &b, &c]).await;
    a.commit("needs:5 first");
    a.commit("second");
    b.commit("of another origin");
    c.holds(&heads_of(&[&b])).await;
    for node in [&b, &c] {
        node.store.memory.lock().unwrap().schema = 5;
        node.handle.schema_changed();
    }
    converge(&[&a, &b, &c]).await;
}

/// A node that leaves is seen to be down at once; it comes back with its data directory and catches up.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_and_returns() {
    let mut a = Node::start(1, &[]).await;
    let b = Node::start(2, &[&a]).await;
    a.sees(site(2), MemberState::Alive).await;
    b.commit("from b");
    converge(&[&a, &b]).await;
    let Node { store, network, directory, .. } = b;
    network.shutdown().await;
    a.sees(site(2), MemberState::Down).await;
    a.commit("while b was away");
    // No address to join through: it knows a from its state.
    let mut b = Node::start_with(config(2, Vec::new(), &directory), store, directory).await;
    a.sees(site(2), MemberState::Alive).await;
    converge(&[&a, &b]).await;
    assert!(b.handle.own_tail_complete().await);
}

/// Nodes of different clusters do not exchange anything.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_stay_apart() {
    let a = Node::start(1, &[]).await;
    let directory = TempDir::new().unwrap();
    let join = vec![a.network.local_addr().to_string()];
    let foreign = NetConfig { cluster: ClusterId(8), ..config(2, join, &directory) };
    let foreign = Node::start_with(foreign, SharedStore::new(), directory).await;
    a.commit("not for others");
    let mut handle = a.handle.clone();
    while a.handle.stats().foreign_cluster == 0 {
        assert!(handle.status_changed().await);
    }
    assert_eq!(foreign.store.heads(), Heads::new());
    assert_eq!(foreign.handle.members().len(), 1);
    assert_eq!(a.handle.members().len(), 1);
}

/// A UDP relay in front of a node, which can be cut.
struct Relay {
    front: SocketAddr,
    cut: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// A relay to `target`. Each peer gets a socket of its own, so that the target tells them apart.
    async fn start(target: SocketAddr) -> Self {
        let socket = Arc::new(UdpRelaySocket::bind(loopback(0)).await.unwrap());
        let front = socket.local_addr().unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(relay(socket, target, Arc::clone(&cut)));
        Self { front, cut, _tasks: tasks }
    }
}

async fn relay(front: Arc<UdpRelaySocket>, target: SocketAddr, cut: Arc<AtomicBool>) {
    let mut backs: BTreeMap<SocketAddr, Arc<UdpRelaySocket>> = BTreeMap::new();
    let mut answers = JoinSet::new();
    let mut packet = vec![0; 65_536];
    loop {
        let (length, peer) = front.recv_from(&mut packet).await.unwrap();
        if let Entry::Vacant(entry) = backs.entry(peer) {
            let back = Arc::new(UdpRelaySocket::bind(loopback(0)).await.unwrap());
            back.connect(target).await.unwrap();
            answers.spawn(relay_back(back.clone(), front.clone(), peer, cut.clone()));
            entry.insert(back);
        }
        if !cut.load(Ordering::Relaxed) {
            // The target may be down: the packet is lost then, as on a network.
            drop(backs[&peer].send(&packet[..length]).await);
        }
    }
}

async fn relay_back(
    back: Arc<UdpRelaySocket>,
    front: Arc<UdpRelaySocket>,
    peer: SocketAddr,
    cut: Arc<AtomicBool>,
) {
    let mut packet = vec![0; 65_536];
    loop {
        if let Ok(length) = back.recv(&mut packet).await
            && !cut.load(Ordering::Relaxed)
        {
            drop(front.send_to(&packet[..length], peer).await);
        }
    }
}

/// A node that peers reach through a relay only.
async fn start_behind_relay(number: u8, join: Vec<String>) -> (Node, Relay) {
    let free = UdpSocket::bind(loopback(0)).unwrap().local_addr().unwrap();
    let relay = Relay::start(free).await;
    let directory = TempDir::new().unwrap();
    let config = NetConfig {
        listen: free,
        advertise: Some(relay.front.to_string()),
        ..config(number, join, &directory)
    };
    (Node::start_with(config, SharedStore::new(), directory).await, relay)
}

/// Two nodes, each behind a relay, are cut apart until each takes the other for dead; both write on, and agree soon
/// after the relays pass packets again.
#[tokio::test(flavor = "multi_thread")]
async fn slow_a_partition_heals() {
    let (mut a, relay_a) = start_behind_relay(1, Vec::new()).await;
    let (mut b, relay_b) = start_behind_relay(2, vec![relay_a.front.to_string()]).await;
    a.commit("together");
    converge(&[&a, &b]).await;
    for relay in [&relay_a, &relay_b] {
        relay.cut.store(true, Ordering::Relaxed);
    }
    a.commit("a alone");
    b.commit("b alone");
    a.sees(site(2), MemberState::Down).await;
    b.sees(site(1), MemberState::Down).await;
    for relay in [&relay_a, &relay_b] {
        relay.cut.store(false, Ordering::Relaxed);
    }
    converge(&[&a, &b]).await;
    a.sees(site(2), MemberState::Alive).await;
    b.sees(site(1), MemberState::Alive).await;
}

/// Garbage to the port is dropped and the node serves on; a port that is taken is an error that says so.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_dropped() {
    let a = Node::start(1, &[]).await;
    let socket = UdpSocket::bind(loopback(0)).unwrap();
    for length in [0, 1, 20, 600, 1_200] {
        for fill in [0_u8, 0x40, 0xc0, 0xff] {
            socket.send_to(&vec![fill; length], a.network.local_addr()).unwrap();
        }
    }
    let b = Node::start(2, &[&a]).await;
    a.commit("still here");
    converge(&[&a, &b]).await;

    let directory = TempDir::new().unwrap();
    let taken = NetConfig { listen: a.network.local_addr(), ..config(3, Vec::new(), &directory) };
    let error = Network::start(taken, SharedStore::new()).await.unwrap_err();
    assert!(matches!(error, NetError::AddressInUse(_)), "{error}");
}
