//! The network as the rest of the node holds it: hand over commits, ask about members. No call here ever blocks.
//!
//! # Bounds
//! [`COMMITS_MAX`] commits wait for the reactor. Beyond that a commit's bytes are not kept: the reactor reads the heads
//! from the store instead, and peers pull what they lack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, mpsc, watch};

use crate::protocol::{MemberState, MemberStatus, OriginStatus, Stats};
use crate::types::{DbVersion, EncodedChangeset};

/// Commits that may wait for the reactor.
pub(super) const COMMITS_MAX: usize = 1_024;

/// What a node knows about itself and its peers, taken at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetStatus {
    /// This node and every other member, also those that are down; by site.
    pub members: Vec<MemberStatus>,
    /// Origins of which something is missing or waits; by site.
    pub origins: Vec<OriginStatus>,
    /// Whether this node has nothing yet of what peers have, or fetches the state of one.
    pub joining: bool,
    /// Counters.
    pub stats: Stats,
    /// Bytes of UDP payload sent since the start, everything included: encryption, acknowledgements, retransmissions.
    pub udp_sent_bytes: u64,
    /// Bytes of UDP payload received since the start.
    pub udp_received_bytes: u64,
}

/// A durable local transaction.
#[derive(Debug)]
pub(super) enum LocalCommit {
    /// Here.
    Whole(EncodedChangeset),
    /// In the store's log.
    Chunks(DbVersion),
}

/// Flags the reactor is woken to look at.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Wakes the reactor.
    pub(super) wake: Notify,
    /// Commits were shed: read the heads from the store.
    pub(super) commits_shed: AtomicBool,
    /// The schema changed: offer what waits for it.
    pub(super) schema_changed: AtomicBool,
    /// Offer again what the store refused.
    pub(super) retry_blocked: AtomicBool,
}

/// A cheap handle on a running [`super::Network`]. After the network has shut down its calls do nothing.
#[derive(Clone, Debug)]
pub struct NetHandle {
    pub(super) commits: mpsc::Sender<LocalCommit>,
    pub(super) signals: Arc<Signals>,
    pub(super) status: watch::Receiver<Arc<NetStatus>>,
}

impl NetHandle {
    /// Hands over a durable local commit, in version order, to be broadcast.
    pub fn commit(&self, changeset: EncodedChangeset) {
        self.hand_over(LocalCommit::Whole(changeset));
    }

    /// Hands over a durable local commit in several chunks, in version order, to be announced.
    pub fn commit_chunks(&self, version: DbVersion) {
        self.hand_over(LocalCommit::Chunks(version));
    }

    fn hand_over(&self, commit: LocalCommit) {
        if self.commits.try_send(commit).is_err() {
            self.signals.commits_shed.store(true, Ordering::Release);
            self.signals.wake.notify_one();
        }
    }

    /// Says that the schema of this node has changed: what waited for it is offered to the store again.
    pub fn schema_changed(&self) {
        self.signals.schema_changed.store(true, Ordering::Release);
        self.signals.wake.notify_one();
    }

    /// Offers again at once what the store refused ([`NetStatus::origins`] shows it), instead of after the usual wait.
    pub fn retry_blocked(&self) {
        self.signals.retry_blocked.store(true, Ordering::Release);
        self.signals.wake.notify_one();
    }

    /// Waits until a peer has told its heads, this node has taken over its state if it had nothing, and it has every version
    /// of its own site that any peer told of.
    ///
    /// A node that joins others waits for this before it accepts writes: if its database was restored from an older
    /// copy, its next versions would otherwise take numbers that its peers already know. Waits for ever while no peer
    /// can be reached, so the caller limits the time. Returns `false` when the network has shut down.
    pub async fn own_tail_complete(&mut self) -> bool {
        let complete = |status: &Arc<NetStatus>| {
            let local = status.members.iter().find(|it| it.state == MemberState::Local);
            let own = local.and_then(|it| it.heads.get(&it.site)).map_or(0, |head| head.0);
            let told = status.stats.heads_heard > 0 && !status.joining;
            told && own >= status.stats.own_head_elsewhere
        };
        self.status.wait_for(complete).await.is_ok()
    }

    /// Waits while another node's state is being fetched. Returns `false` when the network has shut down.
    pub async fn joined(&mut self) -> bool {
        self.status.wait_for(|status| !status.joining).await.is_ok()
    }

    /// Whether a peer has told its heads, and nothing is known to be missing here.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        let status = self.status.borrow();
        status.stats.heads_heard > 0 && !status.joining && status.origins.is_empty()
    }

    /// This node and every other member it knows; at most half a second old.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        self.status.borrow().members.clone()
    }

    /// Members, origins and counters of one moment; at most half a second old.
    #[must_use]
    pub fn status(&self) -> Arc<NetStatus> {
        self.status.borrow().clone()
    }

    /// Counters; at most half a second old.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.status.borrow().stats
    }

    /// Waits until the status is published anew. Returns `false` when the network has shut down.
    pub async fn status_changed(&mut self) -> bool {
        self.status.changed().await.is_ok()
    }
}
