//! The replicated store of Trellis, and the protocol that carries its transactions between nodes.
//!
//! ```text
//!   types ── crdt ── store      SQLite: capture, clocks, log, heads, apply     (feature `store`)
//!     └───── wire ── protocol   membership, broadcast, anti-entropy, no I/O
//!                      └── net  quinn and tokio: moves the protocol's bytes     (feature `net`)
//! ```
//!
//! The store never sees a socket and the protocol never sees SQLite. What passes between them is an
//! [`types::EncodedChangeset`]: one committed transaction of one site, encoded once where it was made, stored in every
//! node's log as those bytes, and sent on as those bytes.

pub mod crdt;
#[cfg(feature = "net")]
pub mod net;
pub mod protocol;
#[cfg(feature = "store")]
pub mod store;
pub mod types;
pub mod wire;
