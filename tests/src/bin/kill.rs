//! Kills a node under load, again and again: `cargo run --release -p trellis-tests --bin kill -- --rounds 200`.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--rounds N` | 200 | how often |
//! | `--commits N` | 600 | most commits that are acknowledged before a kill |
//! | `--seed N` | from the clock | when to kill |
//!
//! Ends with an error at the first promise that does not hold (see [`trellis_tests::kill`]) and keeps the files.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use trellis_tests::kill::kill_rounds;

#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
fn main() -> Result<()> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let (mut rounds, mut commits, mut seed) = (200, 600, u64::from(since_1970.subsec_nanos()));
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a number"))?.parse()?;
        match name.as_str() {
            "--rounds" => rounds = value,
            "--commits" => commits = value,
            "--seed" => seed = value,
            _ => bail!("unknown option {name}"),
        }
    }
    println!("seed\t{seed}");
    let report = kill_rounds(rounds, commits.max(1), seed)?;
    println!("rounds\t{}", report.rounds);
    println!("acknowledged\t{}", report.acknowledged);
    println!("rows\t{}", report.rows);
    println!("doubtful_starts\t{}", report.doubtful_starts);
    Ok(())
}
