//! The engine: what sessions' transactions mean in SQLite.
//!
//! ```text
//!   session ── SqliteEngine ── SharedConnection ── SQLite file
//!                  │                                   │
//!                  └────────── Database ── Store ──────┘      one Database per node: store, current schema, feeds, network
//! ```
//!
//! - A session reads on its own connection. Under READ COMMITTED each statement sees a fresh snapshot until the
//!   transaction writes; REPEATABLE READ and SERIALIZABLE keep the first statement's snapshot, and answer 40001 if they
//!   then have to write over something newer.
//! - The first write takes the node's write lease and opens SQLite's write transaction; from then on the transaction has
//!   the writer until it ends.
//! - A single statement that is all there is to its transaction is not run on its session's connection but with those of
//!   other sessions, in one SQLite transaction (`batch.rs`).
//! - Which schema a plan was made for is known by its *epoch*, SQLite's `user_version`, which every schema change moves.
//!
//! # Bounds
//! [`cache::STATEMENTS_MAX`] prepared SQLite statements and [`cache::PLANS_MAX`] plans per session. A transaction that holds
//! the lease while its client is idle is set aside for waiting writers after [`transaction::LEASE_IDLE`].

mod advisory;
mod alone;
mod batch;
mod batch_writer;
pub mod cache;
mod cancel;
mod conflicts;
mod database;
mod deferred;
mod error;
mod explain;
mod host;
mod live;
mod maintenance;
mod peers;
mod replica;
mod restarted;
mod rows;
mod schema;
mod schema_change;
mod schema_check;
mod sequence;
mod session_engine;
mod temporary;
mod temporary_sequence;
mod timer;
pub mod transaction;
mod unique_id;
mod violation;

pub use cancel::CancelSwitch;
pub use database::{Database, DatabaseError, store_options};
pub use maintenance::{Maintenance, MaintenanceError, MaintenanceOptions};
pub use rows::SqliteRows;
pub use session_engine::SqliteEngine;
