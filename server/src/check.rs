//! `trellis check`: whether a stopped node's files are whole.
//!
//! The store compares rows, clocks and log with each other ([`trellis_replication::store::check_directory`]), the engine
//! the tables with the schema ([`crate::engine::store_options`]). Here is what the user sees: one line per finding and a
//! failure, or one line per table and what they add up to.

use std::path::Path;

use anyhow::{Context, bail};
use trellis_replication::store::{CheckReport, accept_directory, check_directory};

use crate::engine::store_options;

/// Checks a data directory and prints what is there, or what is wrong with it.
///
/// # Errors
/// That something is wrong, after it has been printed; that a node is running on the directory, or that it is none.
pub fn run(directory: &Path, changes: ForeignChanges) -> anyhow::Result<()> {
    let check = match changes {
        ForeignChanges::Refuse => check_directory,
        ForeignChanges::Accept => accept_directory,
    };
    let report = check(directory, &store_options()).context("cannot check")?;
    print(&report);
    match report.findings.len() {
        0 if report.changed.is_none() || changes == ForeignChanges::Accept => Ok(()),
        0 => bail!("the database was changed by another program\n{ADVICE}"),
        1 => bail!("1 finding"),
        findings => bail!("{findings} findings"),
    }
}

/// What becomes of a file that is whole, but was written to by another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignChanges {
    /// That is reported as wrong.
    Refuse,
    /// It is taken as it is.
    Accept,
}

/// What to do about a database that another program has changed.
pub const ADVICE: &str = "\
No other node will ever hear of such changes, so nodes would differ for good. Look at what is affected with
`trellis check --data-dir DIR`; then put a backup in its place, or start with an empty directory and --join a node that has
the data. If the changes are known to be harmless: `trellis check --accept --data-dir DIR` keeps the file as it is.";

#[expect(clippy::print_stdout, reason = "the command's answer to its user")]
fn print(report: &CheckReport) {
    if let Some(evidence) = &report.changed {
        println!("changed by another program: {evidence}");
    }
    for finding in &report.findings {
        println!("finding: {finding}");
    }
    if report.findings.is_empty() {
        let rows = report.tables.iter().map(|table| table.rows).sum::<u64>();
        report.tables.iter().for_each(|table| println!("{table}"));
        println!("ok: {} tables, {rows} rows", report.tables.len());
    }
}
