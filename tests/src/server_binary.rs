//! The `trellis` executable under test: the one of this workspace, built on demand and once.
//!
//! Cargo builds a package's binaries for that package's own tests only, so these tests ask cargo for it
//! themselves, in the profile that they were built in. `TRELLIS_BIN` names another executable to test instead.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The executable of this run, or why there is none.
static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The path of the `trellis` executable, which is built if need be.
///
/// # Errors
///
/// When cargo fails; the error holds what the compiler said.
pub fn server_binary() -> Result<PathBuf> {
    let found = BINARY.get_or_init(|| locate().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

/// Takes `TRELLIS_BIN`, or builds the workspace's binary and reads its path from cargo's messages.
fn locate() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TRELLIS_BIN") {
        return Ok(PathBuf::from(path));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.args(["build", "--workspace", "--bin", "trellis", "--message-format=json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output =
        command.stdin(Stdio::null()).output().context("cannot run cargo to build trellis")?;
    if !output.status.success() {
        bail!("cargo build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(executable_of_trellis)
        .next_back()
        .context("cargo named no executable")
}

/// The executable that one of cargo's JSON messages reports, if it is about the `trellis` binary.
fn executable_of_trellis(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["target"]["name"] != "trellis" {
        return None;
    }
    message["executable"].as_str().map(PathBuf::from)
}
