//! The network of a node: moves the protocol's bytes over QUIC.
//!
//! [`Network::start`] binds a UDP port and starts one task, the reactor, which owns the [`crate::protocol`] core. The
//! server hands over durable commits through a [`NetHandle`] and implements [`ReplicaStore`] over its store.
//!
//! ```text
//!   NetHandle ── commits, signals ──┐                       ┌── ReplicaStore, on blocking threads
//!   NetHandle ◄─ status ─────────── reactor: owns Replica ──┤
//!                                   │  ▲                    └── state file
//!            per connection:  2 lane writers, stream readers, datagram reader ── quinn
//! ```
//!
//! There is one QUIC connection per pair of nodes. SWIM and digests are its datagrams, which may be lost; each direction
//! has two long-lived streams of length-prefixed frames, the live lane ahead of the repair lane. Pulls are frames too:
//! the request on one side's live lane, the answer on the other's repair lane, so that a bulk transfer never delays a
//! broadcast and a broken one resumes after the last changeset that arrived.
//!
//! # Invariants
//! 1. The reactor never waits: not for the store, not for a peer, not for a name to resolve.
//! 2. Every task belongs to the reactor's set and ends with it.
//! 3. A peer is who its `Hello` says, never who its address suggests.
//!
//! # Left out
//! Peers are not authenticated (`tls` is the place for it). At a thousand nodes, probing members at random makes
//! mostly handshakes; SWIM would then need its own sealed packets beside QUIC.

mod config;
mod connection;
mod endpoint;
mod error;
mod handle;
mod network;
mod reactor;
mod state;
mod store;
mod tls;

pub use config::NetConfig;
pub use error::NetError;
pub use handle::{NetHandle, NetStatus};
pub use network::Network;
pub use store::{ApplyResult, ReadLogError, ReadStateError, ReplicaStore, StateResult};
