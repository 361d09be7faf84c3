//! `trellis check`: whether a stopped node's files are whole.
//!
//! The store compares rows, clocks and log with each other ([`trellis_replication::store::check_directory`]), the engine
//! the tables with the schema ([`crate::engine::store_options`]). Here is what the user sees: one line per finding and a
//! failure, or one line per table and what they add up to.

use std::path::Path;

use anyhow::{Context, bail};
use trellis_replication::store::{CheckReport, check_directory};

use crate::engine::store_options;

/// Checks a data directory and prints what is there, or what is wrong with it.
///
/// # Errors
/// That something is wrong, after it has been printed; that a node is running on the directory, or that it is none.
pub fn run(directory: &Path) -> anyhow::Result<()> {
    let report = check_directory(directory, &store_options()).context("cannot check")?;
    print(&report);
    match report.findings.len() {
        0 => Ok(()),
        1 => bail!("1 finding"),
        findings => bail!("{findings} findings"),
    }
}

#[expect(clippy::print_stdout, reason = "the command's answer to its user")]
fn print(report: &CheckReport) {
    for finding in &report.findings {
        println!("finding: {finding}");
    }
    if report.findings.is_empty() {
        let rows = report.tables.iter().map(|table| table.rows).sum::<u64>();
        report.tables.iter().for_each(|table| println!("{table}"));
        println!("ok: {} tables, {rows} rows", report.tables.len());
    }
}
