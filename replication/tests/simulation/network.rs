//! The simulated network: connections, delays, loss and partitions.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;
use trellis_replication::protocol::{Input, Lane, LinkId, Time};

/// Number of a node.
pub type NodeIndex = usize;

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// One-way delay in microseconds, before jitter.
    pub delay_us: u64,
    /// Largest random part of the delay, as a share of it.
    pub jitter: f64,
    /// Share of datagrams lost, and of frames that have to be sent again.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplication: f64,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The node.
    pub node: NodeIndex,
    /// The connection's number there.
    pub link: LinkId,
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    /// When the last frame of each lane arrives: later ones do not overtake it.
    last: BTreeMap<Lane, Time>,
    /// Frames that cannot cross now, in order.
    held: Vec<(Lane, Input)>,
}

/// All connections.
pub struct Network {
    /// How it behaves.
    pub conditions: Conditions,
    peers: BTreeMap<End, End>,
    directions: BTreeMap<End, Direction>,
    /// Pairs (from, to) between which nothing passes.
    blocked: BTreeSet<(NodeIndex, NodeIndex)>,
}

impl Network {
    pub fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            peers: BTreeMap::new(),
            directions: BTreeMap::new(),
            blocked: BTreeSet::new(),
        }
    }

    /// Connects two ends.
    pub fn connect(&mut self, one: End, other: End) {
        self.peers.insert(one, other);
        self.peers.insert(other, one);
    }

    /// Ends a connection at one end; returns the other end, which may learn of it later.
    pub fn disconnect(&mut self, end: End) -> Option<End> {
        let other = self.peers.remove(&end)?;
        self.directions.remove(&end);
        self.directions.remove(&other);
        Some(other)
    }

    /// Ends of a node's connections.
    pub fn ends_of(&self, node: NodeIndex) -> Vec<End> {
        let from = End { node, link: LinkId(0) };
        let to = End { node, link: LinkId(u64::MAX) };
        self.peers.range(from..=to).map(|(&end, _)| end).collect()
    }

    /// Whether the end is connected, and to what.
    pub fn peer(&self, end: End) -> Option<End> {
        let other = *self.peers.get(&end)?;
        (self.peers.get(&other) == Some(&end)).then_some(other)
    }

    /// Whether something of QUIC's, which needs answers, passes between two nodes.
    pub fn passes(&self, one: NodeIndex, other: NodeIndex) -> bool {
        !self.blocked.contains(&(one, other)) && !self.blocked.contains(&(other, one))
    }

    /// Whether a datagram passes from one node to another.
    pub fn passes_one_way(&self, from: NodeIndex, to: NodeIndex) -> bool {
        !self.blocked.contains(&(from, to))
    }

    pub fn block(&mut self, from: NodeIndex, to: NodeIndex) {
        self.blocked.insert((from, to));
    }

    /// Heals everything. Returns the ends with frames that can cross again.
    pub fn heal(&mut self) -> Vec<End> {
        self.blocked.clear();
        let held = self.directions.iter().filter(|(_, direction)| !direction.held.is_empty());
        held.map(|(&end, _)| end).collect()
    }

    /// Takes out the frames that could not cross from an end.
    pub fn take_held(&mut self, end: End) -> Vec<(Lane, Input)> {
        self.directions.get_mut(&end).map(|it| std::mem::take(&mut it.held)).unwrap_or_default()
    }

    /// Keeps a frame that cannot cross.
    pub fn hold(&mut self, end: End, lane: Lane, frame: Input) {
        self.directions.entry(end).or_default().held.push((lane, frame));
    }

    /// How long a packet takes.
    pub fn delay(&self, rng: &mut StdRng) -> u64 {
        let jitter = rng.random::<f64>() * self.conditions.jitter;
        (self.conditions.delay_us as f64 * (1.0 + jitter)) as u64 + 50
    }

    /// When a frame sent now arrives: in order, and later if it was lost at first.
    pub fn frame_arrival(&mut self, now: Time, end: End, lane: Lane, rng: &mut StdRng) -> Time {
        let mut delay = self.delay(rng);
        while rng.random_bool(self.conditions.loss) {
            delay += 3 * self.conditions.delay_us + 25_000;
        }
        let last = self.directions.entry(end).or_default().last.entry(lane).or_default();
        *last = (*last).max(Time(now.0 + delay));
        *last
    }

    /// When the copies of a datagram arrive: none, one or two.
    pub fn datagram_arrivals(&self, now: Time, rng: &mut StdRng) -> Vec<Time> {
        if rng.random_bool(self.conditions.loss) {
            return Vec::new();
        }
        let copies = if rng.random_bool(self.conditions.duplication) { 2 } else { 1 };
        (0..copies).map(|_| Time(now.0 + self.delay(rng))).collect()
    }
}
