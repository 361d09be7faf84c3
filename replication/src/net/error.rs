//! Why the network could not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::protocol::InvalidAddress;

/// Why the network could not start. Nothing keeps running after an error.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Another process listens on the address.
    #[error("address {0} is already in use")]
    AddressInUse(SocketAddr),
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// An address to advertise or to join is malformed.
    #[error(transparent)]
    InvalidAddress(#[from] InvalidAddress),
    /// The address listened on is a wildcard, which peers cannot be told.
    #[error("{0} cannot be advertised to peers: state the address they reach this node at")]
    NeedsAdvertise(SocketAddr),
    /// The state directory could not be read or written.
    #[error("cannot keep network state in {path}: {source}")]
    State {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store could not tell its heads.
    #[error("cannot read the heads of the store: {0}")]
    Store(String),
    /// The certificate of this node could not be made.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}
