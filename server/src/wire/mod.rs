//! PostgreSQL's frontend/backend protocol, version 3: bytes in, bytes out, no sockets.
//!
//! Messages from the client are decoded here rather than by the message library, whose decoders index past the end of a
//! truncated body and replace invalid UTF-8 silently; a server must answer both with 08P01 and 22021. Messages to the
//! client are the library's types, except the rows, which are written in place.
//!
//! Source: PostgreSQL manual, `protocol-message-formats`.

pub mod backend;
pub mod frontend;

pub use frontend::{DecodeError, FrontendMessage, StartupMessage};
