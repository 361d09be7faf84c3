//! The SQL scripts of `slt/`: PostgreSQL 15's recorded answers, and a Trellis node's.
//!
//! With PostgreSQL installed the recording itself is verified first; then every script runs against a Trellis node of its
//! own. `SLT=part_of_a_path` runs only the scripts whose path contains it, `UPDATE_GOLDENFILES=1` records.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, ensure};
use trellis_tests::clients;
use trellis_tests::node::{Node, NodeOptions};
use trellis_tests::oracle::{Durability, Oracle};
use trellis_tests::script::{Runner, Script, Tally};
use trellis_tests::work_dir::WorkDir;

/// How many scripts run at a time.
const WORKERS: usize = 2;

/// How many failures are shown in full.
const FAILURES_SHOWN: usize = 20;

/// The scripts that were asked for.
fn scripts() -> Result<Vec<Script>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
    let mut scripts = Script::read_all(&directory)?;
    if let Ok(wanted) = std::env::var("SLT") {
        scripts.retain(|script| script.path.to_string_lossy().contains(&wanted));
    }
    ensure!(!scripts.is_empty(), "no script to run");
    Ok(scripts)
}

/// Whether answers are recorded.
fn recording() -> bool {
    std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|value| value == "1")
}

/// Runs `verify` over all scripts on a few threads, with the script's index, and sums up.
fn run_all(
    scripts: &mut [Script],
    verify: impl Fn(usize, &mut Script) -> Result<Tally> + Sync,
) -> Result<Tally> {
    let queue = Mutex::new(scripts.iter_mut().enumerate());
    let total = Mutex::new(Tally::default());
    let next = || queue.lock().expect("no worker panics while it holds the queue").next();
    let worker = || -> Result<()> {
        while let Some((index, script)) = next() {
            let tally = verify(index, script)
                .with_context(|| format!("running {}", script.path.display()))?;
            total.lock().expect("no worker panics while it adds").add(tally);
            if recording() {
                script.write()?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("workers do not panic"))
    })?;
    Ok(total.into_inner().expect("no worker panics while it adds"))
}

/// Prints the sum, and fails if anything differed unexpectedly.
#[expect(clippy::print_stdout, reason = "the sum is what a run of the scripts is for")]
fn conclude(server: &str, tally: &Tally) -> Result<()> {
    println!(
        "{server}: {} cases, {} known differences, {} failures",
        tally.cases,
        tally.known_differences,
        tally.failures.len()
    );
    let shown: Vec<&str> = tally.failures.iter().take(FAILURES_SHOWN).map(String::as_str).collect();
    ensure!(shown.is_empty(), "{server} differs:\n{}", shown.join("\n"));
    Ok(())
}

/// Verifies or records PostgreSQL's answers, each script in a database of its own.
fn verify_recording(oracle: &Oracle, scripts: &mut [Script]) -> Result<()> {
    let tally = run_all(scripts, |index, script| {
        let database = format!("script{index}");
        oracle.connect()?.execute(&format!("CREATE DATABASE {database}"))?;
        let tally = Runner::new(oracle.address(), &database).verify_oracle(script, recording());
        oracle.connect()?.execute(&format!("DROP DATABASE {database} WITH (FORCE)"))?;
        Ok(tally)
    })?;
    conclude("PostgreSQL 15", &tally)
}

#[test]
fn scripts_answer_as_recorded_from_postgresql() -> Result<()> {
    let mut scripts = scripts()?;
    if let Some(oracle) = clients::require(Oracle::start(Durability::Volatile))? {
        verify_recording(&oracle, &mut scripts)?;
    }
    if std::env::var_os("SLT_ORACLE_ONLY").is_some() {
        return Ok(());
    }
    let mut directory = WorkDir::create("slt")?;
    let tally = run_all(&mut scripts, |index, script| {
        let name = format!("script{index}");
        let node = Node::start(directory.path(), &name, NodeOptions::default())?;
        let address = node.endpoints().postgres;
        let tally = Runner::new(address, "postgres").verify_trellis(script, recording());
        node.assert_no_panic()?;
        Ok(tally)
    })?;
    conclude("Trellis", &tally)?;
    directory.remove();
    Ok(())
}
