//! Prints the memory that nodes take for large transactions: `large [ROWS] [TEXT_MB]`, a million and 64 by default.

use trellis_tests::large::{Figure, Sizes, run};

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let rows = numbers.next().unwrap_or(Ok(1_000_000))?;
    let text_bytes = numbers.next().unwrap_or(Ok(64))? << 20;
    print(&run("large", Sizes { rows, text_bytes })?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
fn print(figures: &[Figure]) {
    for figure in figures {
        let (before, peak) = (figure.before_bytes >> 20, figure.peak_bytes >> 20);
        println!("{}/{}/before_mb\t{before}", figure.step, figure.node);
        println!("{}/{}/peak_mb\t{peak}", figure.step, figure.node);
    }
}
