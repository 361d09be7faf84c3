//! Programs of the client matrix that every machine with Python, Node.js or PostgreSQL 15 can run.
//!
//! `cargo run -p trellis-tests --bin clients` runs all of them, also those that need what is not installed everywhere.

use anyhow::{Result, ensure};
use trellis_tests::clients::require;
use trellis_tests::matrix::Client;
use trellis_tests::matrix::target::Servers;

/// Runs a client's cases on a node; a client that cannot be installed is skipped.
fn passes(name: &str) -> Result<()> {
    let client = Client::named(name).ok_or_else(|| anyhow::anyhow!("no client {name}"))?;
    if require(client.install())?.is_none() {
        return Ok(());
    }
    let clean = |report: &trellis_tests::matrix::Report| report.failed().next().is_none();
    let report = Servers::Trellis.with_target(name, |target| client.run(target), clean)?;
    let failed: Vec<_> = report.failed().collect();
    ensure!(failed.is_empty(), "{name} {}: {failed:#?}", report.version);
    Ok(())
}

#[test]
fn psql_prints_what_it_prints_on_postgresql() -> Result<()> {
    passes("psql")
}

#[test]
fn psycopg2_speaks_the_simple_protocol() -> Result<()> {
    passes("psycopg2")
}

#[test]
fn psycopg3_speaks_the_extended_protocol() -> Result<()> {
    passes("psycopg3")
}

#[test]
fn asyncpg_speaks_binary() -> Result<()> {
    passes("asyncpg")
}

#[test]
fn pg8000_keeps_the_unnamed_statement() -> Result<()> {
    passes("pg8000")
}

#[test]
fn sqlalchemy_maps_reflects_and_migrates() -> Result<()> {
    passes("sqlalchemy")
}
