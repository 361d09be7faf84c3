//! Change feeds: what committed is told to the sessions that listen, in commit order.
//!
//! `LISTEN "<table>"` subscribes to the primary keys changed in a table, wherever the change was made: one notification
//! per key and transaction, payload
//! `{"op":"insert|update|delete","pk":{…},"position":N,"origin":"<site>"}`. Tables of other schemas than `public` are
//! channels `schema.table`. A row that a conflict hides counts as deleted, and one that is shown again as inserted, by the
//! transaction that brought it about. A channel of any other name carries `NOTIFY` messages, as in PostgreSQL, from all nodes.
//!
//! The store calls [`Hub::publish`] with every transaction after it is durable and visible, in the order of positions.
//!
//! # Bounds
//! A session's [`Mailbox`] holds `mailbox::MESSAGES_MAX` messages and `mailbox::BYTES_MAX` bytes. What does not fit is
//! replaced by one notice per channel, `{"op":"lag","position":N}`: everything up to position N may have been missed. Of a
//! large transaction `hub::CHUNKS_MAX` chunks are looked at, one at a time; listeners of tables get the notice for the rest.

mod hub;
mod mailbox;

pub(crate) use hub::key_object;
pub use hub::{Hub, KeyShape};
pub use mailbox::{Mailbox, Notification};
