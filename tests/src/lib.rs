//! End-to-end harness of Trellis: real server processes, real clients, PostgreSQL 15 as the oracle.
//!
//! The library holds what the tests share; the tests themselves are in three targets, and the
//! benchmark is a binary:
//!
//! | target | what it shows |
//! |---|---|
//! | `e2e/` | clusters of `trellis` processes under psql, `tokio-postgres` and Python drivers |
//! | `slt.rs` | the scripts of `slt/`: recorded PostgreSQL answers against a Trellis node |
//! | `layering.rs` | the dependency directions between crates and modules |
//! | `src/bin/kill.rs` | as many rounds of `kill -9` as wanted |
//! | `src/bin/bench.rs` | throughput against PostgreSQL, and commit-to-visibility latency |
//! | `src/bin/large.rs` | how much memory large transactions take |
//! | `src/bin/clients.rs` | the client matrix: drivers, frameworks and tools of many languages |
//! | `src/bin/differential.rs` | any psql scripts on a node and on PostgreSQL, and the share of equal answers |
//! | `src/bin/churn.rs` | how large a file is through which a million rows passed |
//!
//! | module | holds |
//! |---|---|
//! | [`server_binary`] | finding, and building once, the `trellis` executable |
//! | [`node`], [`cluster`] | one server process; several of them that know each other |
//! | [`kill`] | rounds of `kill -9` on a node under load |
//! | [`relay`] | a UDP relay between nodes that cuts, delays and loses datagrams |
//! | [`oracle`] | a private PostgreSQL 15 |
//! | [`wire`] | a bare protocol client that shows every message |
//! | [`script`] | SQL scripts with recorded answers |
//! | [`psql_script`], [`differential`] | scripts as psql reads them, and the answers of two servers compared |
//! | [`certificates`] | an authority, and keys that it vouches for |
//! | [`churn`] | rows that come and go, and the size of the file they leave |
//! | [`large`] | transactions of any size, and the memory of the nodes that carry them |
//! | [`clients`] | psql, and Python with its drivers, installed once under `target/` |
//! | [`matrix`] | the client matrix: programs, their set-up, and the servers that they run on |
//! | [`wait`], [`work_dir`] | waiting for a condition; directories that outlive a failure |
//!
//! # Invariants
//!
//! 1. No test sleeps: it waits for a line, a notification or a condition ([`wait::until`]).
//! 2. Every port is picked by the system, every file lies in the test's own directory.
//! 3. A missing client is a plainly printed skip; with `TRELLIS_REQUIRE_CLIENTS=1` (in CI) a failure.
//! 4. A failed test keeps its logs and databases and says where they are.

pub mod certificates;
pub mod churn;
pub mod clients;
pub mod cluster;
pub mod compat;
pub mod differential;
pub mod kill;
pub mod large;
pub mod matrix;
pub mod node;
pub mod oracle;
pub mod psql_script;
pub mod relay;
pub mod script;
pub mod server_binary;
pub mod wait;
pub mod wire;
pub mod work_dir;
