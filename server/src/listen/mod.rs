//! The PostgreSQL front door: sockets, one thread per connection, and the shell that moves a session's bytes.
//!
//! A connection's thread owns its socket, its session and, through the session, its SQLite connection: a statement runs
//! where its bytes arrived, with no hand-over to another thread. The thread sleeps in one place (its `Poll`) and is woken
//! there by its socket, by notifications, and by termination.
//!
//! TLS (`tls`) lies between the socket and the decoders, inside the connection's channel; nothing else knows of it.
//!
//! # Bounds
//! - [`startup::AUTHENTICATION_TIMEOUT`]: a connection that has not started its session by then is closed.
//! - The registry's maximum of sessions; more get 53300.
//! - [`frontend`](crate::wire::frontend)'s limits on every message.

mod accept;
mod authentication;
mod channel;
mod connection;
pub mod startup;
mod tls;

pub use accept::{Doors, ListenError, Listener, Plaintext};
pub use authentication::Authentication;
pub use tls::{Tls, TlsError, TlsFiles};
