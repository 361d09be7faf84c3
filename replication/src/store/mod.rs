//! The replicated store: SQLite tables whose every committed change becomes a changeset, and changesets of other sites
//! merged into them.
//!
//! ```text
//!   session ── StoreConnection: BEGIN … rows change … COMMIT
//!                 │ preupdate hook                │ xSync, inside COMMIT
//!                 ▼                               ▼
//!              capture: events, marks ──────── fold: clocks, changeset ── log ─┐
//!                                                                              ▼
//!   peer ── Store::apply ── merge: clocks, rows ── log ──────────────── flush: one sync for all
//!                                                                              │
//!                                              heads, position, listener ◄─────┘
//! ```
//!
//! One writer at a time holds the [`WriterLease`]; any number of connections read. A write transaction's row changes are
//! noted as they happen (`capture.rs`) and folded into clocks, a changeset and a log entry inside its own COMMIT
//! (`fold.rs`), so the file never has one without the other. COMMIT does not wait for the disk; one committer syncs for
//! all who committed meanwhile and only then tells anyone (`flush.rs`).
//!
//! # Invariants
//! 1. A committed change of a replicated row has its clock, its changeset and its log entry, all in one SQLite transaction.
//! 2. Positions, and the versions of each origin, are without gaps; what is told is durable.
//! 3. Applying never fails because of what is in the tables: no constraint, trigger or conflict refuses a change that was
//!    committed elsewhere.
//! 4. Whatever bytes are applied, the answer is an outcome, not a panic, and nothing of a refused changeset remains.
//!
//! # Bounds
//! A transaction may be of any size: whoever makes, keeps, sends or applies one holds one chunk of it at a time
//! (`chunks.rs`). What a connection that writes holds per changed row is stated in `capture.rs` and `fold.rs`.

mod absence;
mod adopt;
mod applied;
mod apply;
mod capture;
mod changes;
mod check;
mod checkpoint;
mod chunks;
mod clocks;
mod collect;
mod conflict;
mod connection;
mod core;
mod cross_check;
mod digest;
mod error;
mod ffi;
mod flush;
mod fold;
mod fresh;
mod functions;
mod hidden;
mod identity;
mod images;
mod lease;
mod log;
mod merge;
mod messages;
mod options;
mod registry;
mod resend;
mod resolved;
mod roster;
mod seal;
mod set_aside;
mod snapshot;
#[expect(clippy::module_inception, reason = "the file of the type `Store`")]
mod store;
mod trim;

pub use adopt::StateOutcome;
pub use applied::{AppliedTransaction, RowEvent, RowOp};
pub use apply::ApplyOutcome;
pub use check::{CheckReport, CheckedTable, accept_directory, check_directory};
pub use connection::{Pending, StoreConnection};
pub use digest::TableDigest;
pub use error::{Result, StoreError};
#[cfg(feature = "recording")]
pub use ffi::recording::{FileEvent, Recording};
pub use ffi::{SharedConnection, Statement, StatementError, StoreAccess};
pub use flush::Listener;
pub use hidden::Conflict;
pub use identity::{LostIdentity, retire, retired};
pub use lease::{LeaseError, WriteLease, WriterLease};
pub use log::{LogRange, LogSlice};
pub use options::{CheckHook, ConnectHook, SchemaHook, StoreOptions};
pub use registry::TableSpec;
pub use resend::Resent;
pub use roster::{ROSTER_TABLE_ID, roster_table};
pub use seal::UNLOGGED_WRITE;
pub use set_aside::{ResumeError, SetAside};
pub use snapshot::StateSlice;
pub use store::{DATABASE_FILE, Store, Visited};
pub use trim::{LogLimits, Trimmed};

/// Wall clock, microseconds since 1970.
fn now_us() -> u64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(0, |elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}
