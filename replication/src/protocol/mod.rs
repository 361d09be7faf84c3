//! The protocol between nodes, without I/O: membership, broadcast by delegation, anti-entropy by heads.
//!
//! [`Replica`] is one node's end of it: a state machine that takes [`Input`]s and the time, and yields [`Output`]s.
//!
//! ```text
//!   local commit ──► broadcast: delegate parts of the member list ──► lanes ──► peers
//!   peers ──► Live ──► pass on ──► ledger (wait, in order) ──► Apply ──► store
//!   peers ──► Digest, Heads, fingerprints ──► ledger (what is missing) ──► Pull ──► peers
//!   peers ──► Pull ──► ReadLog ──► store ──► PullData ──► lanes
//! ```
//!
//! **Broadcast** gives each node each transaction about once, through a tree that every sender derives from the member
//! list (`tree`). It is best effort: a full queue sheds, a dead delegate is replaced only a few times.
//! **Anti-entropy** makes it whole. Since each origin's transactions are applied in order, all that a node knows of an
//! origin is one number, its head, and what it lacks is a suffix of a peer's log. Nodes learn of each other's heads from
//! a digest of what changed lately, from a fingerprint of all heads that rides on every probe, and in full when they
//! connect or when fingerprints differ. A node that has nothing, or that no peer's log serves any more, fetches the whole
//! state of one peer (`transfer`) and goes on from there. A transaction of several chunks is never broadcast: its head is told at once to a
//! few peers, and it is pulled, a few chunks at a time, which the store stages until the last one is there. A node tells of
//! it, and serves it, when it has applied it.
//!
//! # Calling order
//! After every [`Replica::handle`] and [`Replica::handle_timeout`], call [`Replica::poll_output`] until it is empty and
//! do what it says, then [`Replica::poll_timeout`] for the time of the next [`Replica::handle_timeout`].
//!
//! # Invariants
//! 1. One origin's changesets are given to the store in version order without gaps (`ledger`).
//! 2. A frame is looked at only on a connection whose peer has said `Hello` as a member of this cluster.
//! 3. A node passes a broadcast on only to members that no earlier sender was responsible for (`tree`).
//! 4. The same inputs at the same times with the same seed yield the same outputs.
//!
//! # Bounds
//! All of them are in `limits`.
//!
//! # Left out
//! One origin is pulled from one peer at a time, not in stripes from several. Members are neither
//! grouped by region nor limited to a partial view: the member list is meant for up to a few thousand nodes.
//!
//! # Sources
//! SWIM: doi:10.1109/DSN.2002.1028914. Splitting a key range among delegates: El-Ansary et al., "Efficient Broadcast in
//! Structured P2P Networks", IPTPS 2003.

mod delegation;
mod dial;
mod digest;
mod identity;
mod io;
mod ledger;
mod limits;
mod link;
mod membership;
mod message;
mod pull;
mod replica;
mod serve;
mod status;
mod store;
mod swim_codec;
mod time;
mod transfer;
mod tree;
mod tuning;
mod wire;

#[cfg(test)]
mod tests;

pub use identity::{Address, ClusterId, Incarnation, InvalidAddress, NodeIdentity};
pub use io::{CloseReason, DialId, Input, LinkId, Output, Persisted, ReadId};
pub use limits::{CHANGESET_BYTES_MAX, FRAME_BYTES_MAX, LANE_WINDOW_FRAMES, LIVE_BODY_BYTES_MAX};
pub use link::Lane;
pub use replica::{Replica, ReplicaConfig};
pub use status::{MemberState, MemberStatus, OriginStatus, Stats};
pub use store::{ApplyResult, ReadLogError, ReadStateError, StateResult};
pub use time::{Span, Time};
pub use tuning::Tuning;
pub use wire::{DecodeError, split_frame};
