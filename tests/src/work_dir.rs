//! A test's own directory: removed when the test says that it passed, kept and named otherwise.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A temporary directory that stays, unless [`WorkDir::remove`] is called.
///
/// A test that fails leaves by an early return or a panic: either way its logs and databases are still there.
#[derive(Debug)]
pub struct WorkDir {
    /// The directory.
    directory: TempDir,
    /// Whether nobody will want to look into it.
    unneeded: bool,
}

impl WorkDir {
    /// Creates an empty directory whose name starts with `trellis-` and `name`.
    ///
    /// # Errors
    ///
    /// When the system's temporary directory cannot be written to.
    pub fn create(name: &str) -> Result<Self> {
        let mut directory = tempfile::Builder::new()
            .prefix(&format!("trellis-{name}-"))
            .tempdir()
            .context("cannot create a temporary directory")?;
        directory.disable_cleanup(true);
        Ok(Self { directory, unneeded: false })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lets the directory vanish when this value is dropped.
    ///
    /// Processes that write to it may still run; they are to be dropped earlier.
    pub fn remove(&mut self) {
        self.unneeded = true;
        self.directory.disable_cleanup(false);
    }
}

impl Drop for WorkDir {
    #[expect(clippy::print_stderr, reason = "whoever reads the failed test needs the path")]
    fn drop(&mut self) {
        if !self.unneeded {
            eprintln!("logs and databases are kept in {}", self.path().display());
        }
    }
}
