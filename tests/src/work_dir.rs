//! A test's own directory: removed when the test passes, kept and named when it fails.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A temporary directory that outlives a panic of the thread that drops it.
#[derive(Debug)]
pub struct WorkDir {
    /// The directory; `None` only while it is being dropped.
    directory: Option<TempDir>,
    /// Where it is, for as long as anyone asks.
    path: PathBuf,
}

impl WorkDir {
    /// Creates an empty directory whose name starts with `trellis-` and `name`.
    ///
    /// # Errors
    ///
    /// When the system's temporary directory cannot be written to.
    pub fn create(name: &str) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("trellis-{name}-"))
            .tempdir()
            .context("cannot create a temporary directory")?;
        let path = directory.path().to_path_buf();
        Ok(Self { directory: Some(directory), path })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    #[expect(clippy::print_stderr, reason = "whoever reads the failed test needs the path")]
    fn drop(&mut self) {
        let Some(directory) = self.directory.take() else { return };
        if thread::panicking() {
            eprintln!("logs and databases are kept in {}", directory.keep().display());
        }
    }
}
