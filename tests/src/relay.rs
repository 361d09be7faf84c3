//! A UDP relay between nodes, which can cut, delay and thin out the traffic of any pair.
//!
//! Each node advertises an address of the relay instead of its own. A datagram that arrives there is passed
//! on to the node from a socket that stands for its sender, so that answers find the way back, as through a
//! home router:
//!
//! ```text
//! node 1 (gossip a) ──► advertised address of 2 ──► socket "from a to 2" ──► node 2 (gossip b)
//!        a          ◄── advertised address of 2 ◄── socket "from a to 2" ◄──        b
//! ```
//!
//! # Invariants
//!
//! 1. While two nodes are cut, no datagram passes between them in either direction, also on paths that were open
//!    before the cut.
//! 2. A sender that is no known node may be one that uses a second socket: while anything is cut, its datagrams are lost.
//!
//! # Bounds
//!
//! A datagram is at most `DATAGRAM_BYTES_MAX` long. Delayed datagrams wait in memory; tests keep delays short.

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The largest datagram that UDP carries.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// How often a thread that reads a socket looks whether the relay is gone.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The relay: one advertised address per attached node.
#[derive(Debug, Default)]
pub struct Relay {
    /// What the forwarding threads and the test both see.
    shared: Arc<Shared>,
    /// The advertised address of each node, in the order of attachment.
    advertised: Vec<SocketAddr>,
}

/// A node's place at the relay, before the node itself has started.
#[derive(Debug)]
pub struct Attachment {
    /// The address that the node must advertise.
    pub advertise: SocketAddr,
    /// The node's number.
    number: usize,
    /// To tell the forwarding threads where the node is.
    shared: Arc<Shared>,
}

impl Attachment {
    /// Says where the node really listens: from here on datagrams reach it.
    pub fn deliver_to(&self, gossip: SocketAddr) {
        self.shared.lock().gossip.insert(self.number, gossip);
    }
}

/// State of all threads of a relay.
#[derive(Debug, Default)]
struct Shared {
    /// Who is where, and what passes.
    rules: Mutex<Rules>,
    /// Set when the relay is dropped: threads end.
    closed: AtomicBool,
}

impl Shared {
    /// The rules; a thread that panicked while it held them has left them whole.
    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is where, and what passes.
#[derive(Debug, Default)]
struct Rules {
    /// Each node's own gossip address.
    gossip: HashMap<usize, SocketAddr>,
    /// Pairs of node numbers, the smaller first, that hear nothing of each other.
    cut: BTreeSet<(usize, usize)>,
    /// How long every datagram is held back.
    delay: Duration,
    /// How many of 100 datagrams are lost.
    loss_percent: u64,
    /// State of the generator that picks the lost ones.
    random: u64,
}

impl Rules {
    /// Whether a datagram between `source` and the node numbered `target` passes, and after which delay.
    fn admit(&mut self, source: SocketAddr, target: usize) -> Option<Duration> {
        let known = self.gossip.iter().find(|(_, address)| **address == source);
        let passes = match known.map(|(number, _)| *number) {
            Some(number) => !self.cut.contains(&pair(number, target)),
            None => self.cut.is_empty(),
        };
        // A linear congruential generator (Knuth, TAOCP 2, 3.3.4): the same losses on every run.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let lost = (self.random >> 33) % 100 < self.loss_percent;
        (passes && !lost).then_some(self.delay)
    }
}

impl Relay {
    /// Reserves an address for one more node; nodes are numbered from 1 in this order.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub fn attach(&mut self) -> Result<Attachment> {
        let number = self.advertised.len() + 1;
        let front = UdpSocket::bind("127.0.0.1:0").context("cannot open a relay socket")?;
        let advertise = front.local_addr()?;
        self.advertised.push(advertise);
        let shared = Arc::clone(&self.shared);
        let door = Door { number, front: Arc::new(front), shared, backs: HashMap::new() };
        thread::spawn(move || door.run());
        Ok(Attachment { advertise, number, shared: Arc::clone(&self.shared) })
    }

    /// The advertised address of the node with that number.
    pub fn address_of(&self, number: usize) -> Option<SocketAddr> {
        self.advertised.get(number.checked_sub(1)?).copied()
    }

    /// Cuts every node of `left` off from every node of `right`.
    pub fn partition(&self, left: &[usize], right: &[usize]) {
        let mut rules = self.shared.lock();
        for one in left {
            rules.cut.extend(right.iter().map(|other| pair(*one, *other)));
        }
    }

    /// Ends all partitions.
    pub fn heal(&self) {
        self.shared.lock().cut.clear();
    }

    /// Holds every datagram back for `delay` and loses `loss_percent` of 100.
    pub fn disturb(&self, delay: Duration, loss_percent: u64) {
        let mut rules = self.shared.lock();
        rules.delay = delay;
        rules.loss_percent = loss_percent;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}

/// A pair of nodes as it is kept in the rules: the smaller number first.
fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

/// The thread at one node's advertised address.
struct Door {
    /// The node behind it.
    number: usize,
    /// The advertised socket.
    front: Arc<UdpSocket>,
    /// The rules.
    shared: Arc<Shared>,
    /// The socket that stands for each sender, as the node sees it, and its delay queue.
    backs: HashMap<SocketAddr, Path>,
}

/// One direction from one sender to one node.
struct Path {
    /// Connected to the node.
    back: Arc<UdpSocket>,
    /// The thread that sends on `back`, in time.
    queue: Sender<Held>,
}

/// A datagram that is sent when its time has come.
struct Held {
    /// When.
    due: Instant,
    /// What.
    datagram: Vec<u8>,
}

impl Door {
    /// Passes datagrams on until the relay is dropped.
    fn run(mut self) {
        if self.front.set_read_timeout(Some(POLL_INTERVAL)).is_err() {
            return;
        }
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while !self.shared.closed.load(Ordering::Relaxed) {
            let Ok((length, source)) = self.front.recv_from(&mut buffer) else { continue };
            let Some(delay) = self.shared.lock().admit(source, self.number) else { continue };
            let Some(queue) = self.path_from(source) else { continue };
            let datagram = buffer[..length].to_vec();
            // A path whose thread has ended loses the datagram, as a network would.
            let _ = queue.send(Held { due: Instant::now() + delay, datagram });
        }
    }

    /// The queue from `source` to the node, opened when it is the first datagram of that sender.
    fn path_from(&mut self, source: SocketAddr) -> Option<Sender<Held>> {
        let target = *self.shared.lock().gossip.get(&self.number)?;
        if let Some(path) = self.backs.get(&source)
            && path.back.peer_addr().ok() == Some(target)
        {
            return Some(path.queue.clone());
        }
        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").ok()?);
        back.connect(target).ok()?;
        back.set_read_timeout(Some(POLL_INTERVAL)).ok()?;
        let queue = send_in_time(Arc::clone(&back), None);
        let answers = Answers {
            number: self.number,
            back: Arc::clone(&back),
            queue: send_in_time(Arc::clone(&self.front), Some(source)),
            source,
            shared: Arc::clone(&self.shared),
        };
        thread::spawn(move || answers.run());
        self.backs.insert(source, Path { back, queue: queue.clone() });
        Some(queue)
    }
}

/// The thread that carries a node's answers back to one sender.
struct Answers {
    /// The node that answers.
    number: usize,
    /// Where its answers arrive.
    back: Arc<UdpSocket>,
    /// Sends to `source` from the advertised address.
    queue: Sender<Held>,
    /// The sender that is answered.
    source: SocketAddr,
    /// The rules.
    shared: Arc<Shared>,
}

impl Answers {
    /// Passes answers back until the relay is dropped.
    fn run(self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while !self.shared.closed.load(Ordering::Relaxed) {
            // Errors are timeouts, or the port being closed while its node is down.
            let Ok(length) = self.back.recv(&mut buffer) else { continue };
            let Some(delay) = self.shared.lock().admit(self.source, self.number) else { continue };
            let datagram = buffer[..length].to_vec();
            let _ = self.queue.send(Held { due: Instant::now() + delay, datagram });
        }
    }
}

/// Starts a thread that sends datagrams from `socket` when they are due, in order, until its queue is dropped.
fn send_in_time(socket: Arc<UdpSocket>, target: Option<SocketAddr>) -> Sender<Held> {
    let (sender, receiver): (Sender<Held>, Receiver<Held>) = mpsc::channel();
    thread::spawn(move || {
        for held in receiver {
            while let Some(rest) = held.due.checked_duration_since(Instant::now()) {
                if rest.is_zero() {
                    break;
                }
                thread::park_timeout(rest);
            }
            // UDP may lose anything; a refused port means that the node is down.
            let _ = match target {
                Some(target) => socket.send_to(&held.datagram, target),
                None => socket.send(&held.datagram),
            };
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets in the place of nodes, and a relay between them.
    fn pair_of_nodes() -> (Relay, [UdpSocket; 2]) {
        let mut relay = Relay::default();
        let sockets = [(); 2].map(|()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            relay.attach().unwrap().deliver_to(socket.local_addr().unwrap());
            socket
        });
        (relay, sockets)
    }

    #[test]
    fn datagrams_and_answers_pass_until_the_pair_is_cut() {
        let (relay, [one, two]) = pair_of_nodes();
        let mut buffer = [0; 16];
        one.send_to(b"question", relay.address_of(2).unwrap()).unwrap();
        let (length, from) = two.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        two.send_to(b"answer", from).unwrap();
        let (length, from) = one.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], relay.address_of(2).unwrap()));

        relay.partition(&[1], &[2]);
        one.send_to(b"lost", relay.address_of(2).unwrap()).unwrap();
        two.send_to(b"lost", relay.address_of(1).unwrap()).unwrap();
        relay.heal();
        one.send_to(b"after", relay.address_of(2).unwrap()).unwrap();
        let (length, _) = two.recv_from(&mut buffer).unwrap();
        assert!(matches!(&buffer[..length], b"after" | b"lost"));
    }
}
