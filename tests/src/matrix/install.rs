//! What clients need and a machine may lack: Debian packages and npm modules.
//!
//! Modules come into the target directory, once for each list of versions; packages are installed only by
//! root, as in a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::list::NPM;
use crate::clients::{self, run_to_end};

/// A Debian package and a file that tells that it, or another source of the same, is there.
#[derive(Debug, Clone, Copy)]
pub struct Debian {
    /// The package's name.
    pub package: &'static str,
    /// A file that it installs.
    pub file: &'static str,
}

/// Installs the packages that are missing.
///
/// # Errors
///
/// When one is missing and this process is not root's, or apt-get fails.
pub fn debian(packages: &[Debian]) -> Result<()> {
    let missing: Vec<_> =
        packages.iter().filter(|it| !Path::new(it.file).exists()).map(|it| it.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !clients::is_root()? {
        bail!("please install {}", missing.join(", "));
    }
    run_to_end(Command::new("apt-get").args(["update", "-q"]))?;
    run_to_end(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(missing),
    )
}

/// The directory of the npm modules, which are installed if need be.
///
/// # Errors
///
/// When npm is missing or fails.
pub fn node_modules() -> Result<PathBuf> {
    let directory = clients::toolbox("npm", &NPM, |directory| {
        fs::write(directory.join("package.json"), "{}")?;
        let mut npm = Command::new(clients::on_search_path("npm")?);
        npm.current_dir(directory);
        run_to_end(npm.args(["install", "--no-audit", "--no-fund", "--save-exact"]).args(NPM))
    })?;
    Ok(directory.join("node_modules"))
}
