//! Conformance: every normative expectation recorded from the genuine cr-sqlite extension holds.

mod runner;

use std::path::{Path, PathBuf};

#[test]
fn recorded_scenarios_come_out_the_same() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let categories =
        ["basics", "merges", "deletes", "keys", "transactions", "values", "convergence"];
    // A thread per file: opening a store waits for the disk.
    let reports = std::thread::scope(|scope| {
        let run = |category: PathBuf| scope.spawn(move || runner::run_file(&category).unwrap());
        let running = categories.map(|category| run(directory.join(format!("{category}.jsonl"))));
        running.map(|report| report.join().unwrap())
    });
    assert!(reports.iter().all(|report| report.passed + report.failed.len() > 0));
    let failures: Vec<_> = reports.into_iter().flat_map(|report| report.failed).collect();
    let shown: Vec<_> = failures
        .iter()
        .take(10)
        .map(|(name, difference)| format!("{name}: {difference}"))
        .collect();
    assert!(failures.is_empty(), "{} scenarios differ:\n{}", failures.len(), shown.join("\n"));
}
