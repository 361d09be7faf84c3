//! One client's session: a state machine from protocol messages to protocol messages.
//!
//! It does no I/O of its own. [`Session::handle`] takes a message and the time; what is to be sent collects in an outbox;
//! the database is behind the [`Engine`] port; and a [`Wire`] takes bytes away while a large result is being produced, which
//! is also how a slow client slows the query down instead of filling memory.
//!
//! | file | kind of input |
//! |---|---|
//! | `session.rs` | any message: dispatch, errors, `ReadyForQuery` |
//! | `simple.rs` | `Query` |
//! | `extended.rs` | `Parse`, `Bind`, `Describe`, `Execute`, `Close`, `Sync` |
//! | `run.rs` | a plan, whoever sent it |
//! | `control.rs` | `BEGIN`, `COMMIT`, savepoints |
//! | `utility.rs` | `SET`, `SHOW`, `LISTEN`, `PREPARE`, `EXPLAIN`, … |
//! | `cursor.rs` | `DECLARE`, `FETCH`, `MOVE`, `CLOSE` |
//! | `copying.rs` | `COPY` and its data |
//!
//! # Invariants
//! 1. Every `Sync` and every `Query` is answered by exactly one `ReadyForQuery`.
//! 2. After an error in a pipeline nothing is run or answered until `Sync`.
//! 3. When the status is `I` no transaction is open in the engine.
//! 4. Portals do not outlive their transaction, other than holdable cursors.
//!
//! # Bounds
//! [`STATEMENTS_MAX`] prepared statements and [`PORTALS_MAX`] portals per session (53000 above); the outbox is flushed
//! whenever it exceeds [`OUTBOX_BYTES`].
//!
//! Source: PostgreSQL manual, `protocol-flow`.

mod block;
mod control;
mod copying;
mod cursor;
mod explain;
mod extended;
mod identity;
pub mod port;
mod portal;
mod run;
#[expect(clippy::module_inception, reason = "the noun of the room is the noun of its main type")]
mod session;
mod setting_value;
pub mod settings;
mod simple;
pub mod transaction;
mod utility;

pub use identity::Identity;
pub use port::{Engine, Environment, Rows, TransactionMode};
pub use session::{
    Disconnected, Flow, OUTBOX_BYTES, PORTALS_MAX, STATEMENTS_MAX, Sent, Session, Wire,
};
pub use settings::Settings;
pub use utility::{check_channel, check_payload};
