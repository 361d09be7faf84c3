//! PostgreSQL's own programs: psql, pgbench, `pg_dump` and `pg_restore`.
//!
//! psql's cases are scripts in `tests/clients/psql`, each beside the output that it has on PostgreSQL 15;
//! `UPDATE_GOLDENFILES=1 clients --oracle psql` records it anew. The database of `pg_dump` is `tests/clients/pg_dump/database.sql`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::program::Report;
use super::target::{Servers, Target};
use crate::oracle::{Oracle, program};
use crate::work_dir::WorkDir;

/// Whether the programs are there.
///
/// # Errors
///
/// When PostgreSQL 15 is not installed.
pub fn installed() -> Result<()> {
    ensure!(
        Oracle::is_installed() && program("pgbench").exists(),
        "PostgreSQL 15 is not installed"
    );
    Ok(())
}

/// Runs the scripts of `tests/clients/psql`.
///
/// # Errors
///
/// When psql or the scripts cannot be run at all.
pub fn psql(target: &Target) -> Result<Report> {
    let mut report = report_of("psql")?;
    let mut scripts = fs::read_dir(sources("psql"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    scripts.sort();
    for script in scripts {
        let name = script.file_stem().context("a script has a name")?.to_string_lossy();
        report.add(&name, transcript_holds(target, &script));
    }
    Ok(report)
}

/// Compares what psql prints for a script with what was recorded.
fn transcript_holds(target: &Target, script: &Path) -> Result<()> {
    let mut command = tool("psql", target);
    command.args(["-X", "-a", "-P", "pager=off", "-f"]).arg(script.file_name().context("a name")?);
    command.current_dir(script.parent().context("a directory")?);
    let output = command.output()?;
    let mut found = String::from_utf8(output.stdout)?;
    found.push_str("---- stderr:\n");
    found.push_str(&String::from_utf8(output.stderr)?);
    let recorded = script.with_extension("out");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        return Ok(fs::write(recorded, found)?);
    }
    same_lines(&fs::read_to_string(&recorded)?, &found)
}

/// Runs pgbench: set-up, and each of its ways to send a statement.
///
/// # Errors
///
/// When pgbench cannot be run at all.
pub fn pgbench(target: &Target) -> Result<Report> {
    let mut report = report_of("pgbench")?;
    report
        .add("initialize", run(tool("pgbench", target).args(["-i", "-s", "1", "-q"])).map(|_| ()));
    for mode in ["simple", "extended", "prepared"] {
        for script in ["tpcb-like", "simple-update", "select-only"] {
            let mut command = tool("pgbench", target);
            command.args(["-n", "-c", "4", "-j", "2", "-t", "25", "-M", mode, "-b", script]);
            let outcome = run(&mut command).and_then(|said| {
                ensure!(
                    said.contains("number of transactions actually processed: 100/100"),
                    "{said}"
                );
                ensure!(said.contains("number of failed transactions: 0 "), "{said}");
                Ok(())
            });
            report.add(&format!("{script}_{mode}"), outcome);
        }
    }
    report.add("initialize_on_the_server", {
        run(tool("pgbench", target).args(["-i", "-I", "dtGvpf", "-q"])).map(|_| ())
    });
    Ok(report)
}

/// Dumps a database, restores it into PostgreSQL 15 and into Trellis, and dumps both again.
///
/// # Errors
///
/// When the programs or servers cannot be run at all.
pub fn pg_dump(target: &Target) -> Result<Report> {
    let mut report = report_of("pg_dump")?;
    let mut directory = WorkDir::create("pg-dump")?;
    report
        .add("the_database_is_made", run_script(target, &sources("pg_dump").join("database.sql")));
    let original = dump(target, &[]);
    let original_text = original.as_ref().map(String::clone).unwrap_or_default();
    report.add("dump", original.map(|_| ()));
    for (name, servers) in [("postgresql", Servers::oracle()?), ("trellis", Servers::Trellis)] {
        for (form, options) in
            [("plain", &[][..]), ("inserts", &["--inserts"]), ("custom", &["-Fc"])]
        {
            let outcome = servers.with_target(
                &format!("restored_{form}"),
                |other| round_trip(target, other, options, directory.path(), &original_text),
                |()| true,
            );
            report.add(&format!("{form}_into_{name}"), outcome);
        }
    }
    directory.remove();
    Ok(report)
}

/// Brings the database of `target` into `other`, which must then yield the dump `original`.
fn round_trip(
    target: &Target,
    other: &Target,
    options: &[&str],
    directory: &Path,
    original: &str,
) -> Result<()> {
    let file = directory.join("dump");
    run(tool("pg_dump", target).args(options).arg("-f").arg(&file))?;
    if options.contains(&"-Fc") {
        let mut restore = tool("pg_restore", other);
        run(restore.args(["--exit-on-error", "-d", &other.database]).arg(&file))?;
    } else {
        run_script(other, &file)?;
    }
    same_lines(original, &dump(other, &[])?)
}

/// The database as a script, without the lines that differ between any two dumps.
fn dump(target: &Target, options: &[&str]) -> Result<String> {
    let text = run(tool("pg_dump", target).args(options))?;
    let varies = ["\\restrict", "\\unrestrict", "-- Dumped from", "-- Dumped by"];
    let kept = text.lines().filter(|line| !varies.iter().any(|start| line.starts_with(start)));
    Ok(kept.collect::<Vec<_>>().join("\n"))
}

/// Runs a script with psql; its first error ends it.
fn run_script(target: &Target, script: &Path) -> Result<()> {
    let mut command = tool("psql", target);
    run(command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(script)).map(|_| ())
}

/// Fails with the first line in which two texts differ.
fn same_lines(expected: &str, found: &str) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let (mut left, mut right) = (expected.lines(), found.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (expected, found) if expected == found => {}
            (expected, found) => {
                let (expected, found) = (expected.unwrap_or("(end)"), found.unwrap_or("(end)"));
                bail!("line {number}: expected {expected:?}, found {found:?}");
            }
        }
    }
    bail!("the texts differ in their line ends")
}

fn sources(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(directory)
}

/// A program of PostgreSQL's with its server.
fn tool(name: &str, target: &Target) -> Command {
    let mut command = Command::new(program(name));
    target.name_to(&mut command);
    command
}

/// An empty report with the version that a program tells of itself.
fn report_of(name: &str) -> Result<Report> {
    let said = run(Command::new(program(name)).arg("--version"))?;
    let version = said.split_whitespace().nth(2).unwrap_or_default().to_owned();
    Ok(Report { version, ..Report::default() })
}

/// Runs a program to its end and returns what it wrote to stdout.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim().replace('\n', " / "));
    }
    Ok(String::from_utf8(output.stdout)?)
}
