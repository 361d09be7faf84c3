//! Who a session is.

/// Facts about a session that do not change while it lives.
#[derive(Clone, Debug)]
pub struct Identity {
    /// User name from the startup packet.
    pub user: String,
    /// Whether that is a role: without credentials any name will do, and stands for the bootstrap superuser.
    pub named: bool,
    /// Database name from the startup packet.
    pub database: String,
    /// Process id told to the client; unique among the sessions of a node.
    pub pid: u32,
}
