//! Who a session is.

/// Facts about a session that do not change while it lives.
#[derive(Clone, Debug)]
pub struct Identity {
    /// User name from the startup packet.
    pub user: String,
    /// Database name from the startup packet.
    pub database: String,
    /// Process id told to the client; unique among the sessions of a node.
    pub pid: u32,
}
