//! Replays conformance vectors against the store: `vectors DIR…` runs every `.jsonl` file in the directories and prints,
//! per file, how many scenarios passed and failed, with the first difference of each that failed.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

#[path = "../../../replication/tests/runner/mod.rs"]
mod runner;

use std::process::ExitCode;

use anyhow::{Context, Result};

fn main() -> Result<ExitCode> {
    let mut failed = 0;
    for directory in std::env::args_os().skip(1) {
        let entries =
            std::fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        for file in files {
            let report = runner::run_file(&file)?;
            println!(
                "{}: {} passed, {} failed",
                file.display(),
                report.passed,
                report.failed.len()
            );
            for (name, difference) in &report.failed {
                println!("  {name}: {difference}");
            }
            failed += report.failed.len();
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
