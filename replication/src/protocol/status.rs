//! What a node can tell about its peers and its own progress; for `trellis.members`, metrics and tests.

use std::collections::BTreeMap;

use crate::types::{DbVersion, Heads, SiteId};

use super::{Address, Incarnation};

/// How this node sees a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// This node itself.
    Local,
    /// Answers probes.
    Alive,
    /// Did not answer a probe, and has a few seconds to show that it lives.
    Suspect,
    /// Taken for dead, or has left.
    Down,
}

/// One member of the cluster as seen from this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its site.
    pub site: SiteId,
    /// The address it advertises.
    pub address: Address,
    /// Whether it is alive.
    pub state: MemberState,
    /// Which of its appearances this is.
    pub incarnation: Incarnation,
    /// Whether a connection to it is up.
    pub connected: bool,
    /// Round-trip time in microseconds, when there is a connection.
    pub rtt_us: Option<u64>,
    /// The heads it last told; of itself, the local node's applied heads.
    pub heads: Heads,
    /// Per origin, how many versions applied here it is not known to have; origins without lag are left out.
    pub behind: BTreeMap<SiteId, u64>,
    /// Bytes queued for it on this node.
    pub queued_bytes: u64,
    /// Whether its queue overflowed: it is sent heads only until the queue has drained.
    pub lagging: bool,
}

/// One origin whose transactions this node applies, where something is missing or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginStatus {
    /// The origin.
    pub origin: SiteId,
    /// Its last version applied here.
    pub applied: DbVersion,
    /// Its last version known to exist anywhere.
    pub known: DbVersion,
    /// Changesets received and not applied yet.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Why the next changeset is not applied, when it was tried and refused.
    pub blocked: Option<String>,
    /// How often the next changeset was tried.
    pub attempts: u32,
}

/// Counters since the start of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Local commits handed to the protocol.
    pub commits: u64,
    /// Changesets received by broadcast that were new.
    pub live_received: u64,
    /// Changesets received by broadcast that were already here.
    pub live_duplicates: u64,
    /// Copies of changesets sent by broadcast.
    pub live_sent: u64,
    /// Parts of the member list handed to another delegate because the first one did not acknowledge.
    pub redelegated: u64,
    /// Broadcast copies that were not sent or not kept because a queue was full; repaired by anti-entropy.
    pub live_shed: u64,
    /// Changesets received by anti-entropy that were new.
    pub pulled: u64,
    /// Changesets received by anti-entropy that were already here.
    pub pulled_duplicates: u64,
    /// Pulls started.
    pub pulls: u64,
    /// States of peers that were begun to be fetched.
    pub transfers: u64,
    /// Changesets served to peers by anti-entropy.
    pub served: u64,
    /// Changesets applied from peers.
    pub applied: u64,
    /// Frames and datagrams dropped, or connections closed, because the bytes were not valid.
    pub invalid_input: u64,
    /// Connections refused because the peer belongs to another cluster.
    pub foreign_cluster: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Bytes of frames sent.
    pub frame_bytes_sent: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Bytes of datagrams sent.
    pub datagram_bytes_sent: u64,
    /// Connections on which a peer has told its heads.
    pub heads_heard: u64,
    /// Largest head of this node's own site that any peer has told. If it is above the own head, this node's database
    /// was restored from an older copy and has to catch up on itself before it may write.
    pub own_head_elsewhere: u64,
}
