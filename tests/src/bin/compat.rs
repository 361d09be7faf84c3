//! Writes `docs/compat.md`: which of PostgreSQL 15's built-in functions, operators and casts Trellis computes.
//!
//! `cargo run -p trellis-tests --bin compat` rewrites the file; the test `compat` fails while it is not what the lowering's
//! tables say.
#![expect(clippy::print_stderr, reason = "a command tells of its failure")]

use std::process::ExitCode;

use trellis_tests::compat;

fn main() -> ExitCode {
    match std::fs::write(compat::PATH, compat::page()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", compat::PATH);
            ExitCode::FAILURE
        }
    }
}
