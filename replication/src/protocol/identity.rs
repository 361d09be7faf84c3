//! Who a node is to its peers: its site, the address peers are told, its incarnation, and its cluster.
//!
//! A node is found by the address it *advertises*, and recognised by its [`SiteId`]. The address a packet came from
//! says nothing: a relay or a translating router may stand in between. Of two identities of one site the one with the
//! larger incarnation is the younger and wins, so a node that restarted, moved, or was taken for dead comes back by
//! raising its incarnation.

use std::fmt;

use crate::types::SiteId;

use super::limits::ADDRESS_BYTES_MAX;

/// The cluster a node belongs to. Nodes of different clusters refuse each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// How often a node has entered the cluster: larger is younger.
///
/// Milliseconds since 1970 when the node started, or one more than it last used if the clock went back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Where a node can be reached: `host:port`, the host a name or a literal address. At most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// Checks that `text` has the shape `host:port` and a length that travels.
    ///
    /// # Errors
    /// [`InvalidAddress`] when there is no host, no port from 1 to 65535, or the text is too long.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAddress> {
        let text = text.into();
        let valid = text.len() <= ADDRESS_BYTES_MAX
            && text.chars().all(|c| c.is_ascii_graphic())
            && text.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
            });
        if valid { Ok(Self(text)) } else { Err(InvalidAddress(text)) }
    }

    /// The text, `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an address of the form host:port")]
pub struct InvalidAddress(pub String);

/// A node as a member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The site whose database the node serves; unique in the cluster.
    pub site: SiteId,
    /// Where peers reach it.
    pub address: Address,
    /// Which of the site's appearances this is.
    pub incarnation: Incarnation,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
}

impl foca::Identity for NodeIdentity {
    type Addr = SiteId;

    fn renew(&self) -> Option<Self> {
        Some(Self { incarnation: Incarnation(self.incarnation.0 + 1), ..self.clone() })
    }

    fn addr(&self) -> SiteId {
        self.site
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.incarnation, &self.address) > (adversary.incarnation, &adversary.address)
    }
}
