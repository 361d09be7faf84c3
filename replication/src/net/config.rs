//! How a node's network is set up.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::protocol::{ClusterId, Tuning};
use crate::types::SiteId;

/// Everything the network needs to know to start.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// This node's site.
    pub site: SiteId,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// UDP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `host:port` that peers are told; without it, the address listened on.
    pub advertise: Option<String>,
    /// `host:port` of nodes to join through. Names are resolved at every attempt, and attempts never end.
    pub join: Vec<String>,
    /// Directory for what must survive a restart: the incarnation, and the members last known.
    pub state_dir: PathBuf,
    /// Intervals and sizes; the default suits a cluster within 300 ms round trip.
    pub tuning: Tuning,
}
