//! The client matrix: programs that use Trellis as people's applications do, each in the client's own language.
//!
//! A program connects with its driver, runs its cases and prints one line for each; what it expects is what PostgreSQL 15
//! answers, which running it there proves (`clients --oracle`). It finds the server in libpq's environment variables
//! (`PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`), and an empty database there.
//!
//! | module | holds |
//! |---|---|
//! | [`list`] | the clients, and the one list of the versions that are installed |
//! | [`install`] | what a client needs: Debian packages and npm modules |
//! | [`program`] | running a program and reading its report |
//! | [`postgres_tools`] | PostgreSQL's own programs, whose cases are written in Rust |
//! | [`target`] | the servers that programs are run on |
//!
//! A program's report, fields separated by tabs:
//!
//! ```text
//! client  psycopg2  2.9.13
//! ok      copy_in_and_out
//! failed  cancel_ends_a_statement  line 301: AssertionError: expected SQLSTATE 57014, found no error
//! ```
//!
//! # Invariants
//!
//! 1. Each client gets a server of its own: a fresh node, or a fresh database on the oracle.
//! 2. A client that cannot be installed is reported as skipped, with the reason.
//!
//! # Bounds
//!
//! A program that prints nothing for [`PATIENCE`](crate::wait::PATIENCE) is killed and counts as failed.

pub mod install;
pub mod list;
pub mod postgres_tools;
pub mod program;
pub mod target;

pub use list::{CLIENTS, Client};
pub use program::{Case, Report};
pub use target::Target;
