//! Runs a program of the matrix and reads the lines of its report.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Target;
use crate::node::lines_of;
use crate::wait::PATIENCE;

/// Lines of a failed program's stderr that its reason quotes.
const QUOTED_LINES: usize = 5;

/// How one case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What the case is about.
    pub name: String,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// What a program said.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The client's version.
    pub version: String,
    /// The cases in the order in which they ran.
    pub cases: Vec<Case>,
}

impl Report {
    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.failure.is_some())
    }

    /// Adds a case; an error is its failure.
    pub fn add(&mut self, name: &str, outcome: Result<()>) {
        let failure = outcome.err().map(|error| format!("{error:#}"));
        self.cases.push(Case { name: name.to_owned(), failure });
    }

    /// Takes one line of the report.
    fn read(&mut self, line: &str) -> Result<()> {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["client", _, version] => (*version).clone_into(&mut self.version),
            ["ok", name] => self.add(name, Ok(())),
            ["failed", name, reason] => {
                self.add(name, Err(anyhow::Error::msg((*reason).to_owned())));
            }
            _ => bail!("the program printed {line:?}"),
        }
        Ok(())
    }
}

/// Runs `command` on `target`.
///
/// # Errors
///
/// When the program cannot be run, prints something else than a report, falls silent, or ends with an error though no case
/// failed.
pub fn run(command: &mut Command, target: &Target) -> Result<Report> {
    target.name_to(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let stdout = lines_of(process.stdout.take().context("stdout is not a pipe")?);
    let stderr = lines_of(process.stderr.take().context("stderr is not a pipe")?);
    let mut report = Report::default();
    let read = loop {
        match stdout.recv_timeout(PATIENCE) {
            Ok(line) => {
                if let Err(error) = report.read(&line) {
                    break Err(error);
                }
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break Ok(()),
            Err(error @ std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let last = report.cases.last().map_or("the start", |case| &case.name);
                break Err(anyhow::Error::new(error).context(format!("silent after {last}")));
            }
        }
    };
    if read.is_err() {
        let _ = process.kill();
    }
    let status = process.wait()?;
    read?;
    let failed = report.failed().next().is_some();
    if !status.success() && !failed {
        let said: Vec<String> = stderr.iter().collect();
        let last = said[said.len().saturating_sub(QUOTED_LINES)..].join(" / ");
        bail!("the program ended with {status}: {last}");
    }
    ensure!(!report.cases.is_empty(), "the program has no cases");
    Ok(report)
}
