//! A cluster in one thread: the shipped protocol core over an in-memory network and store, in virtual time.
//!
//! Everything random comes from one seed, and events at the same moment happen in the order they were caused, so a seed
//! replays exactly. What is simulated of QUIC is what the protocol relies on: frames of a lane arrive in order or the
//! connection ends; datagrams may be lost, doubled and reordered; a connection across a partition lives on until it has
//! been idle for too long, and what was sent on it arrives after the heal.

pub mod network;
pub mod world;
