//! The simulated cluster: nodes, their stores, the clock, and what is checked at every step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use trellis_replication::protocol::{
    Address, ClusterId, Incarnation, Input, LinkId, NodeIdentity, Output, Persisted, Replica,
    ReplicaConfig, Span, Stats, Time, Tuning,
};
use trellis_replication::types::{DbVersion, EncodedChangeset, Heads, SiteId};

use super::super::memory::MemoryStore;
use super::network::{Conditions, End, Network, NodeIndex};

/// Most that a node may keep waiting for its store: the core's own bound and one changeset.
const WAITING_BYTES_MAX: usize = 33 << 20;
/// How long a connection lives on without a packet.
const IDLE: Span = Span::from_ms(20_000);
/// How long a dial into nowhere takes to fail.
const DIAL_TIMEOUT: Span = Span::from_ms(3_000);

/// What happens at some moment.
enum Event {
    /// A node's timer.
    Wake,
    /// Something reaches a node's core.
    Input(Input),
    /// A node's store finishes a batch.
    Applied(Vec<EncodedChangeset>),
    /// A node's store finishes with chunks of a state.
    StateApplied(Vec<trellis_replication::types::StateChunk>),
    /// A dial reaches its target.
    Arrive { dial: trellis_replication::protocol::DialId, target: NodeIndex },
    /// One end of a broken connection notices.
    Break(LinkId),
}

struct Scheduled {
    at: Time,
    order: u64,
    node: NodeIndex,
    /// The life of the node that it is meant for.
    life: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A node.
pub struct Node {
    /// Its site.
    pub site: SiteId,
    /// What survives a crash.
    pub store: MemoryStore,
    /// Its running core; none while it is down.
    pub replica: Option<Replica>,
    persisted: Persisted,
    life: u64,
    last_link: u64,
    wake_at: Option<Time>,
    applying: bool,
    /// Until when its process stands still.
    pub paused_until: Time,
    /// How long its store takes for a batch, at most.
    pub store_us: u64,
    heads_before: Heads,
    /// Whether it has heard of other transactions of its own than it has.
    pub forked: bool,
    /// Moment of the first arrival of each of its changesets anywhere is kept by the world; this is when it committed.
    pub committed_at: BTreeMap<DbVersion, Time>,
}

/// A cluster.
pub struct World {
    /// The time.
    pub now: Time,
    /// The one source of randomness.
    pub rng: StdRng,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The network.
    pub network: Network,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    /// Intervals and sizes of all nodes.
    pub tuning: Tuning,
    /// From commit to apply, per node and changeset, in microseconds.
    pub latencies_us: Vec<u64>,
    /// Counters of cores that have ended.
    pub past: Vec<Stats>,
}

fn address(node: NodeIndex) -> Address {
    Address::new(format!("node{node}:7432")).unwrap()
}

/// So many milliseconds after the start.
pub fn moment(ms: u64) -> Time {
    Time(ms * 1_000)
}

/// The site of a node.
pub fn site(node: NodeIndex) -> SiteId {
    let mut bytes = [0; 16];
    bytes[..8]
        .copy_from_slice(&(node as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&(node as u64 + 1).to_be_bytes());
    SiteId(bytes)
}

impl World {
    /// A cluster of `count` nodes that are down.
    pub fn new(seed: u64, count: usize, conditions: Conditions) -> Self {
        let nodes = (0..count).map(|node| Node {
            site: site(node),
            store: MemoryStore::default(),
            replica: None,
            persisted: Persisted::default(),
            life: 0,
            last_link: 0,
            wake_at: None,
            applying: false,
            paused_until: Time(0),
            store_us: 2_000,
            heads_before: Heads::new(),
            forked: false,
            committed_at: BTreeMap::new(),
        });
        Self {
            now: Time(1),
            rng: StdRng::seed_from_u64(seed),
            nodes: nodes.collect(),
            network: Network::new(conditions),
            queue: BinaryHeap::new(),
            order: 0,
            tuning: Tuning::default(),
            latencies_us: Vec::new(),
            past: Vec::new(),
        }
    }

    fn identity(&self, node: NodeIndex) -> NodeIdentity {
        NodeIdentity {
            site: self.nodes[node].site,
            address: address(node),
            incarnation: self.nodes[node].persisted.incarnation,
            cluster: ClusterId(1),
        }
    }

    /// Starts every node, each knowing all others.
    pub fn start_all_known(&mut self) {
        for node in 0..self.nodes.len() {
            self.nodes[node].persisted.incarnation = Incarnation(1);
        }
        let started = |identity| NodeIdentity { incarnation: Incarnation(2), ..identity };
        let all: Vec<NodeIdentity> =
            (0..self.nodes.len()).map(|it| started(self.identity(it))).collect();
        for node in 0..self.nodes.len() {
            self.nodes[node].persisted.members = all.clone();
            self.start(node);
        }
    }

    /// Starts a node that is down; it joins through nodes 0 and 1, and those it knew.
    pub fn start(&mut self, index: NodeIndex) {
        self.nodes[index].persisted.incarnation.0 += 1;
        let config = ReplicaConfig {
            identity: self.identity(index),
            join: (0..2).filter(|&it| it != index).map(address).collect(),
            known: self.nodes[index].persisted.members.clone(),
            tuning: self.tuning.clone(),
            seed: self.rng.random(),
        };
        let node = &mut self.nodes[index];
        node.life += 1;
        node.applying = false;
        node.wake_at = None;
        node.replica = Some(Replica::new(self.now, config, &node.store.progress()));
        self.settle(index);
    }

    /// Kills a node: what its core knew is gone, its peers notice by and by.
    pub fn crash(&mut self, index: NodeIndex) {
        let Some(replica) = self.nodes[index].replica.take() else {
            return;
        };
        self.past.push(replica.stats());
        self.nodes[index].life += 1;
        for end in self.network.ends_of(index) {
            if let Some(other) = self.network.disconnect(end) {
                let wait = Span(self.rng.random_range(100_000..IDLE.0));
                self.schedule(self.now + wait, other.node, Event::Break(other.link));
            }
        }
    }

    /// Puts an older copy in the place of a node's store.
    pub fn restore(&mut self, index: NodeIndex, copy: MemoryStore) {
        self.nodes[index].heads_before = copy.heads();
        self.nodes[index].store = copy;
    }

    fn schedule(&mut self, at: Time, node: NodeIndex, event: Event) {
        self.order += 1;
        let life = self.nodes[node].life;
        self.queue.push(Reverse(Scheduled { at, order: self.order, node, life, event }));
    }

    /// Commits at a node and returns whether it could.
    pub fn commit(&mut self, index: NodeIndex, body: Vec<u8>) -> bool {
        if self.nodes[index].replica.is_none() {
            return false;
        }
        let node = &mut self.nodes[index];
        let change = node.store.commit(node.site, body);
        node.committed_at.insert(change.version, self.now);
        self.input(index, Input::Committed(change));
        true
    }

    /// Commits a transaction of several chunks at a node and returns whether it could.
    pub fn commit_chunks(&mut self, index: NodeIndex, bodies: Vec<Vec<u8>>) -> bool {
        if self.nodes[index].replica.is_none() {
            return false;
        }
        let node = &mut self.nodes[index];
        let version = node.store.commit_chunks(node.site, bodies);
        node.committed_at.insert(version, self.now);
        self.input(index, Input::CommittedChunks(version));
        true
    }

    /// Gives an input to a node's core.
    pub fn input(&mut self, index: NodeIndex, input: Input) {
        if let Some(replica) = &mut self.nodes[index].replica {
            replica.handle(self.now, input);
            self.settle(index);
        }
    }

    /// Lets time pass until `until`.
    pub fn run_until(&mut self, until: Time) {
        while let Some(Reverse(next)) = self.queue.peek()
            && next.at <= until
        {
            self.step();
        }
        self.now = until;
    }

    fn step(&mut self) {
        let Some(Reverse(scheduled)) = self.queue.pop() else {
            return;
        };
        self.now = scheduled.at;
        let index = scheduled.node;
        if scheduled.life != self.nodes[index].life || self.nodes[index].replica.is_none() {
            return;
        }
        let paused_until = self.nodes[index].paused_until;
        if paused_until > self.now {
            if matches!(scheduled.event, Event::Wake) {
                self.nodes[index].wake_at = Some(paused_until);
            }
            return self.schedule(paused_until, index, scheduled.event);
        }
        match scheduled.event {
            Event::Wake => self.wake(index, scheduled.at),
            Event::Input(input) => self.input(index, input),
            Event::Applied(batch) => self.finish_batch(index, &batch),
            Event::StateApplied(chunks) => {
                let schema_before = self.nodes[index].store.schema;
                let result = self.nodes[index].store.apply_state(&chunks);
                self.input(index, Input::StateApplied(result));
                if self.nodes[index].store.schema != schema_before {
                    self.input(index, Input::SchemaChanged);
                }
            }
            Event::Arrive { dial, target } => self.arrive(index, dial, target),
            Event::Break(link) => self.notice_break(index, link),
        }
    }

    fn wake(&mut self, index: NodeIndex, at: Time) {
        if self.nodes[index].wake_at != Some(at) {
            return;
        }
        self.nodes[index].wake_at = None;
        if let Some(replica) = &mut self.nodes[index].replica {
            replica.handle_timeout(self.now);
            self.settle(index);
        }
    }

    fn finish_batch(&mut self, index: NodeIndex, batch: &[EncodedChangeset]) {
        let now = self.now;
        self.nodes[index].applying = false;
        let schema_before = self.nodes[index].store.schema;
        let mut results = Vec::new();
        for change in batch {
            let result = self.nodes[index].store.apply(change);
            if result == trellis_replication::protocol::ApplyResult::Applied {
                self.note_applied(index, now, change);
            }
            results.push(result);
        }
        self.input(index, Input::Applied(results));
        if self.nodes[index].store.schema != schema_before {
            self.input(index, Input::SchemaChanged);
        }
    }

    fn note_applied(&mut self, index: NodeIndex, now: Time, change: &EncodedChangeset) {
        if let Some(schema) = change.body.strip_prefix(b"schema:") {
            let text = std::str::from_utf8(schema).unwrap();
            let schema: u64 = text.parse().unwrap();
            let store = &mut self.nodes[index].store;
            store.schema = store.schema.max(schema);
        }
        let origin = self.nodes.iter().find(|node| node.site == change.site);
        if let Some(&at) = origin.and_then(|node| node.committed_at.get(&change.version)) {
            self.latencies_us.push((now - at).0);
        }
    }

    fn new_end(&mut self, node: NodeIndex) -> End {
        self.nodes[node].last_link += 1;
        End { node, link: LinkId(self.nodes[node].last_link) }
    }

    fn arrive(
        &mut self,
        index: NodeIndex,
        dial: trellis_replication::protocol::DialId,
        target: NodeIndex,
    ) {
        if self.nodes[target].replica.is_none() || !self.network.passes(index, target) {
            self.schedule(self.now + DIAL_TIMEOUT, index, Event::Input(Input::DialFailed { dial }));
            return;
        }
        let (near, far) = (self.new_end(index), self.new_end(target));
        self.network.connect(near, far);
        self.input(target, Input::Connected { link: far.link, dial: None });
        self.input(index, Input::Connected { link: near.link, dial: Some(dial) });
        let rtt = Span(2 * self.network.conditions.delay_us);
        self.input(target, Input::RoundTrip { link: far.link, rtt });
        self.input(index, Input::RoundTrip { link: near.link, rtt });
    }

    /// Ends a connection; the other end notices a little later.
    pub fn break_link(&mut self, index: NodeIndex, link: LinkId) {
        if let Some(other) = self.network.peer(End { node: index, link }) {
            let at = Time(self.now.0 + self.network.delay(&mut self.rng));
            self.schedule(at, other.node, Event::Break(other.link));
        }
        self.notice_break(index, link);
    }

    fn notice_break(&mut self, index: NodeIndex, link: LinkId) {
        let end = End { node: index, link };
        self.network.disconnect(end);
        self.input(index, Input::Closed { link, leaving: false });
    }

    /// Blocks what passes from one node to another; connections of the two break if they stay idle for too long.
    pub fn block(&mut self, from: NodeIndex, to: NodeIndex) {
        self.network.block(from, to);
        for end in self.network.ends_of(from) {
            if self.network.peer(end).is_some_and(|peer| peer.node == to) {
                self.schedule_idle_check(end);
            }
        }
    }

    fn schedule_idle_check(&mut self, end: End) {
        let wait = Span(self.rng.random_range(IDLE.0 / 2..IDLE.0));
        if let Some(other) = self.network.disconnect(end) {
            // Whether it would have been healed in time is decided now: it breaks, at both ends, at different moments.
            self.schedule(self.now + wait, end.node, Event::Break(end.link));
            let later = Span(self.rng.random_range(wait.0 / 2..IDLE.0));
            self.schedule(self.now + later, other.node, Event::Break(other.link));
        }
    }

    /// Delays, rather than breaks, what passes between two nodes until the heal.
    pub fn block_briefly(&mut self, one: NodeIndex, other: NodeIndex) {
        self.network.block(one, other);
    }

    /// Ends all partitions; what was held crosses.
    pub fn heal(&mut self) {
        for end in self.network.heal() {
            for (lane, frame) in self.network.take_held(end) {
                self.send_frame(end, lane, frame);
            }
        }
    }

    fn send_frame(&mut self, end: End, lane: trellis_replication::protocol::Lane, frame: Input) {
        let Some(peer) = self.network.peer(end) else {
            return;
        };
        if !self.network.passes(end.node, peer.node) {
            self.network.hold(end, lane, frame);
            return;
        }
        let arrival = self.network.frame_arrival(self.now, end, lane, &mut self.rng);
        if let Input::Frame { bytes, .. } = &frame {
            let sent = Input::Sent { link: end.link, lane, frames: 1, bytes: bytes.len() };
            self.schedule(arrival, end.node, Event::Input(sent));
        }
        self.schedule(arrival, peer.node, Event::Input(frame));
    }

    /// Does what a node's core says, checks it, and sets its timer.
    fn settle(&mut self, index: NodeIndex) {
        while let Some(output) = self.poll(index) {
            self.output(index, output);
        }
        self.check(index);
        let Some(replica) = &self.nodes[index].replica else {
            return;
        };
        let Some(at) = replica.poll_timeout().map(|at| at.max(Time(self.now.0 + 1))) else {
            return;
        };
        if self.nodes[index].wake_at.is_none_or(|armed| at < armed) {
            self.nodes[index].wake_at = Some(at);
            self.schedule(at, index, Event::Wake);
        }
    }

    fn poll(&mut self, index: NodeIndex) -> Option<Output> {
        self.nodes[index].replica.as_mut()?.poll_output()
    }

    fn output(&mut self, index: NodeIndex, output: Output) {
        match output {
            Output::Dial { dial, address } => self.dial(index, dial, &address),
            Output::Close { link, .. } => {
                let end = End { node: index, link };
                if let Some(other) = self.network.disconnect(end) {
                    let at = Time(self.now.0 + self.network.delay(&mut self.rng));
                    self.schedule(at, other.node, Event::Break(other.link));
                }
            }
            Output::Frame { link, lane, bytes } => self.frame(index, link, lane, &bytes),
            Output::Datagram { link, bytes } => self.datagram(index, link, &bytes),
            Output::Apply(batch) => {
                let node = &mut self.nodes[index];
                assert!(!node.applying, "a second batch is given to the store");
                node.applying = true;
                let at = Time(
                    self.now.0
                        + self.rng.random_range(
                            self.nodes[index].store_us / 10..self.nodes[index].store_us,
                        ),
                );
                self.schedule(at, index, Event::Applied(batch));
            }
            Output::ReadLog { read, origin, after, max_bytes } => {
                let result = self.nodes[index].store.read_log(origin, after, max_bytes);
                let at = Time(self.now.0 + self.rng.random_range(100..1_000));
                self.schedule(at, index, Event::Input(Input::LogRead { read, result }));
            }
            Output::ReadState { read, reader, chunks, max_bytes } => {
                let result = self.nodes[index].store.read_state(reader, chunks, max_bytes);
                let at = Time(self.now.0 + self.rng.random_range(100..1_000));
                self.schedule(at, index, Event::Input(Input::StateRead { read, result }));
            }
            Output::ApplyState(chunks) => {
                let store_us = self.nodes[index].store_us;
                let at = Time(self.now.0 + self.rng.random_range(store_us / 10..store_us));
                self.schedule(at, index, Event::StateApplied(chunks));
            }
            Output::ReadPast { link, site, version } => {
                let known = self.nodes[index].store.past(site, version);
                let at = Time(self.now.0 + self.rng.random_range(100..1_000));
                self.schedule(at, index, Event::Input(Input::PastRead { link, known }));
            }
            Output::CheckPast(known) => {
                let node = &mut self.nodes[index];
                node.forked |= node.store.contradicts(node.site, &known);
            }
            Output::ReadProgress => {
                let progress = self.nodes[index].store.progress();
                let at = Time(self.now.0 + 100);
                self.schedule(at, index, Event::Input(Input::StoreProgress(progress)));
            }
            Output::Persist(state) => self.nodes[index].persisted = state,
        }
    }

    fn dial(
        &mut self,
        index: NodeIndex,
        dial: trellis_replication::protocol::DialId,
        address: &Address,
    ) {
        let host = address.as_str().strip_prefix("node").unwrap();
        let target: NodeIndex = host.strip_suffix(":7432").unwrap().parse().unwrap();
        let delay = 3 * self.network.delay(&mut self.rng);
        self.schedule(Time(self.now.0 + delay), index, Event::Arrive { dial, target });
    }

    fn frame(
        &mut self,
        index: NodeIndex,
        link: LinkId,
        lane: trellis_replication::protocol::Lane,
        bytes: &bytes::Bytes,
    ) {
        let end = End { node: index, link };
        let Some(peer) = self.network.peer(end) else {
            return;
        };
        let mut buffer = bytes::BytesMut::from(bytes.as_ref());
        let frame = trellis_replication::protocol::split_frame(&mut buffer).unwrap().unwrap();
        assert!(buffer.is_empty(), "a frame is one frame");
        self.send_frame(end, lane, Input::Frame { link: peer.link, bytes: frame });
    }

    fn datagram(&mut self, index: NodeIndex, link: LinkId, bytes: &bytes::Bytes) {
        assert!(bytes.len() <= 1_160, "a datagram fits a packet");
        let end = End { node: index, link };
        let Some(peer) = self.network.peer(end) else {
            return;
        };
        if !self.network.passes_one_way(index, peer.node) {
            return;
        }
        for at in self.network.datagram_arrivals(self.now, &mut self.rng) {
            let input = Input::Datagram { link: peer.link, bytes: bytes.clone() };
            self.schedule(at, peer.node, Event::Input(input));
        }
    }

    fn check(&mut self, index: NodeIndex) {
        let node = &mut self.nodes[index];
        let Some(replica) = &node.replica else {
            return;
        };
        assert!(replica.waiting_bytes() <= WAITING_BYTES_MAX, "too much waits");
        if self.order.is_multiple_of(16) {
            let heads = node.store.heads();
            let monotone =
                node.heads_before.iter().all(|(site, head)| heads.get(site) >= Some(head));
            assert!(monotone, "a head went back");
            node.heads_before = heads;
        }
    }

    /// Whether all nodes that run hold the same.
    pub fn is_converged(&self) -> bool {
        let mut running = self.nodes.iter().filter(|node| node.replica.is_some());
        let Some(first) = running.next().map(|node| node.store.heads()) else {
            return true;
        };
        running.all(|node| node.store.heads() == first)
    }

    /// Counters of all cores, added up by `field`.
    pub fn total(&self, field: impl Fn(&Stats) -> u64) -> u64 {
        let running = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        let current: u64 = running.map(|replica| field(&replica.stats())).sum();
        current + self.past.iter().map(&field).sum::<u64>()
    }
}
