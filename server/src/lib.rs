//! Trellis's server: what stands between a PostgreSQL client and the replicated store.
//!
//! ```text
//!   listen ── wire ── session ── engine ── trellis_replication::store
//!                │        │         │
//!              copy     feed    trellis_sqlcompat
//!                                                      node: puts one node together;  cli: what the binary understands;  check: are the files whole
//! ```
//!
//! - [`listen`] accepts connections and gives each its thread; [`wire`] is the protocol's bytes.
//! - [`session`] is the protocol's and the transaction's state machine, without I/O.
//! - [`engine`] runs plans on SQLite and knows what transactions mean there.
//! - [`feed`] tells listeners of what committed, here or elsewhere.
//! - [`node`] starts and stops all of it, with the network.

pub mod check;
pub mod cli;
pub mod clock;
pub mod copy;
pub mod demo;
pub mod engine;
pub mod feed;
pub mod http;
pub mod listen;
pub mod node;
pub mod registry;
pub mod session;
pub mod superuser;
pub mod wire;
