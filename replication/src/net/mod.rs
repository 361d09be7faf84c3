//! The network of a node: moves the protocol's bytes over QUIC.

mod config;
mod endpoint;
mod error;
mod handle;
mod network;
mod store;
mod tls;

pub use config::NetConfig;
pub use error::NetError;
pub use handle::{NetHandle, NetStatus};
pub use network::Network;
pub use store::{ApplyResult, ReadLogError, ReplicaStore};
