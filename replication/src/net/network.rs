//! A running network: the endpoint, the reactor task, and their orderly end.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Endpoint, VarInt};
use tokio::sync::{mpsc, watch};

use crate::protocol::Address;

use super::handle::{COMMITS_MAX, Signals};
use super::{NetConfig, NetError, NetHandle, NetStatus, ReplicaStore, endpoint};

/// A running network. Dropping it stops it abruptly; [`Network::shutdown`] leaves the cluster first.
#[derive(Debug)]
pub struct Network {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    handle: NetHandle,
}

impl Network {
    /// Binds the endpoint, and starts to join.
    ///
    /// # Errors
    /// [`NetError`] when the address is taken or malformed, or state cannot be kept; nothing keeps running then.
    #[expect(clippy::unused_async, reason = "must run within a tokio runtime")]
    pub async fn start(config: NetConfig, store: Arc<dyn ReplicaStore>) -> Result<Self, NetError> {
        let endpoint = endpoint::bind(config.listen)?;
        let local_addr = endpoint
            .local_addr()
            .map_err(|source| NetError::Listen { address: config.listen, source })?;
        let _advertised = advertised(&config, local_addr)?;
        drop(store);
        let (commits, _) = mpsc::channel(COMMITS_MAX);
        let (_, status) = watch::channel(Arc::new(NetStatus::default()));
        let handle = NetHandle { commits, signals: Arc::new(Signals::default()), status };
        Ok(Self { endpoint, local_addr, handle })
    }

    /// The address listened on, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle for the rest of the node.
    #[must_use]
    pub fn handle(&self) -> NetHandle {
        self.handle.clone()
    }

    /// Leaves the cluster: tells the members, closes the connections, and waits until that has been sent.
    pub async fn shutdown(self) {
        self.endpoint.close(VarInt::from_u32(0), b"shutdown");
        self.endpoint.wait_idle().await;
    }
}

/// The address peers are told.
fn advertised(config: &NetConfig, local_addr: SocketAddr) -> Result<Address, NetError> {
    match &config.advertise {
        Some(text) => Ok(Address::new(text.as_str())?),
        None if local_addr.ip().is_unspecified() => Err(NetError::NeedsAdvertise(local_addr)),
        None => Ok(Address::new(local_addr.to_string())?),
    }
}
