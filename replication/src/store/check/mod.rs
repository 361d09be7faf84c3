//! Checks a database file against itself.
//!
//! | part | what is compared |
//! |---|---|
//! | SQLite | `PRAGMA integrity_check` |
//! | `rows.rs` | every row has a live clock and every live clock a row; clocks, tombstones and hidden rows are legal |
//! | `history.rs` | positions and versions have no gaps; bodies decode; own clocks are not ahead of the own head |
//! | `values.rs` | a cell holds what the transaction that its clock names has written, as far as the log reaches back |
//! | [`CheckHook`](super::CheckHook) | what the layer above knows: tables against the schema |
//!
//! The same checks serve `trellis check`, a test after a crash, and the start of a node whose file may have been changed by
//! another program.
//!
//! # Bounds
//! [`FINDINGS_MAX`]: the first findings are what is of use; a check stops looking when it has them. Cost: tables, clocks and
//! log are each read once, in order, and the rows that the log names are looked up one by one; about a second for each
//! 150,000 rows.
//!
//! # Left out
//! A value whose transaction the log no longer holds is not compared with anything.

mod history;
mod rows;
mod values;

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::Connection;

use super::digest::table_digest;
use super::error::Result;
use super::log;
use super::options::StoreOptions;
use super::registry::Registry;
use super::seal::{self, Verdict};
use super::store::{DATABASE_FILE, open_to_check};

/// Findings after which a check stops: the first ones are what is of use.
const FINDINGS_MAX: usize = 20;

/// What a check says of a database file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What shows that another program has written to the file since a node last ran on it.
    pub changed: Option<String>,
    /// What is wrong, at most the first twenty findings; none means that the file is whole.
    pub findings: Vec<String>,
    /// What is there, by name; empty if the tables are not known because of what is wrong.
    pub tables: Vec<CheckedTable>,
}

/// A table of a checked file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTable {
    /// Name in SQLite.
    pub name: String,
    /// Number of rows, hidden ones included.
    pub rows: u64,
    /// As in [`super::TableDigest`].
    pub digest: u128,
}

impl fmt::Display for CheckedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} rows, digest {:032x}", self.name, self.rows, self.digest)
    }
}

/// Checks the database of a node that is not running; changes nothing in it.
///
/// # Errors
/// [`super::StoreError::InUse`] if a node is running on the directory, [`super::StoreError::NotADataDirectory`] if it is
/// none; that the file cannot be read.
pub fn check_directory(directory: &Path, options: &StoreOptions) -> Result<CheckReport> {
    let (_lock, sqlite, verdict) = open_to_check(directory, options)?;
    report(&sqlite, verdict, options)
}

/// As [`check_directory`]; if nothing is wrong, a file that another program has written to is then taken as it is.
///
/// # Errors
/// As [`check_directory`].
pub fn accept_directory(directory: &Path, options: &StoreOptions) -> Result<CheckReport> {
    let (_lock, sqlite, verdict) = open_to_check(directory, options)?;
    let report = report(&sqlite, verdict, options)?;
    drop(sqlite);
    if report.findings.is_empty() {
        seal::close(&directory.join(DATABASE_FILE))?;
    }
    Ok(report)
}

fn report(sqlite: &Connection, verdict: Verdict, options: &StoreOptions) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    if let Verdict::Changed(evidence) = verdict {
        report.changed = Some(evidence);
    }
    let registry = match Registry::load(sqlite) {
        Ok(registry) => registry,
        Err(error) => {
            report.findings.push(error.to_string());
            return Ok(report);
        }
    };
    report.findings.extend(check(sqlite, &registry, options)?);
    for table in registry.tables() {
        // A table that cannot be read is among the findings.
        if let Ok(digest) = table_digest(sqlite, table) {
            let (name, rows, digest) = (table.name.clone(), digest.rows, digest.digest);
            report.tables.push(CheckedTable { name, rows, digest });
        }
    }
    report.tables.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(report)
}

/// Checks the file; returns what is wrong, at most the first findings.
pub(super) fn check(
    sqlite: &Connection,
    registry: &Registry,
    options: &StoreOptions,
) -> Result<Vec<String>> {
    let mut findings = Findings::default();
    // A row that only merging has made violate a condition is no damage.
    sqlite.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    let mut integrity = sqlite.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let lines = integrity.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        // A file whose structures are broken beyond reading ends the pragma with an error.
        match line {
            Ok(line) if line == "ok" => {}
            Ok(line) => findings.push(line),
            Err(error) => findings.push(error.to_string()),
        }
    }
    let state = log::load(sqlite, registry);
    let own = registry.site(0);
    let own_head =
        state.as_ref().ok().map(|state| state.heads.get(&own).copied().unwrap_or_default());
    if let Err(error) = state {
        findings.push(error.to_string());
    }
    for table in registry.tables() {
        let mut check =
            rows::RowCheck { sqlite, registry, table, own_head, findings: &mut findings };
        if let Err(error) = check.run() {
            findings.push(format!("{}: {error}", table.name));
        }
    }
    history::check_bodies(sqlite, &mut findings)?;
    if findings.is_empty() {
        values::check_values(sqlite, registry, options, &mut findings)?;
    }
    if let Some(hook) = &options.check {
        hook.check(sqlite)?.into_iter().for_each(|finding| findings.push(finding));
    }
    Ok(findings.lines)
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings {
    lines: Vec<String>,
}

impl Findings {
    fn push(&mut self, line: String) {
        if !self.is_full() {
            self.lines.push(line);
        }
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= FINDINGS_MAX
    }

    /// Whether to look for more.
    fn go_on(&self) -> ControlFlow<()> {
        if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// A key as it is named in findings: its values in SQL.
fn show_key(values: &[crate::types::Value]) -> String {
    use crate::types::Value;
    let show = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => real.to_string(),
        Value::Text(text) => format!("'{text}'"),
        Value::Blob(blob) => {
            format!("x'{}'", blob.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    };
    values.iter().map(show).collect::<Vec<_>>().join(", ")
}
