//! Transactions that are much larger than what a node may hold of them.

use anyhow::{Result, ensure};
use trellis_tests::large::{Sizes, run};

/// Memory that a node may take for a transaction of any size. What is held of it are a few chunks; the rest is what SQLite,
/// the network and the allocator keep for other things.
const ADDED_BYTES_MAX: u64 = 96 << 20;

#[test]
fn slow_a_large_transaction_takes_little_memory() -> Result<()> {
    for figure in run("large", Sizes { rows: 100_000, text_bytes: 64 << 20 })? {
        let added = figure.added_bytes();
        ensure!(added < ADDED_BYTES_MAX, "{added} bytes: {figure:?}");
    }
    Ok(())
}
