//! Prints how large a file is through which a million rows passed, in comparison with a fresh copy of the 10,000 that are
//! left: `churn [ROWS]`.

fn main() -> anyhow::Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(1_000_000), |rows| rows.parse())?;
    let directory = tempfile::tempdir()?;
    let sizes = trellis_tests::churn::churn(directory.path(), rows)?;
    print(&sizes);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
fn print(sizes: &trellis_tests::churn::FileSizes) {
    println!("churn/file_bytes\t{}", sizes.churned_bytes);
    println!("fresh/file_bytes\t{}", sizes.fresh_bytes);
    println!("churn/ratio\t{:.2}", sizes.ratio());
}
