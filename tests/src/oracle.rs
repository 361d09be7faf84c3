//! A private PostgreSQL 15: the oracle that says what the right answer is.
//!
//! Its cluster lives in a test's own directory and ends with the test. PostgreSQL refuses to run as root; a root
//! user (as in most containers) runs it as `postgres`, or as `nobody` where that does not exist. The locale
//! is `C.UTF-8` and the time zone UTC, which is what a Trellis node presents.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::node::lines_of;
use crate::wait::{self, PATIENCE};
use crate::wire::Connection;
use crate::work_dir::WorkDir;

/// Where Debian, and the PostgreSQL project's own packages, put the server binaries.
const BINARIES: &str = "/usr/lib/postgresql/15/bin";

/// The number of the user `nobody` on Linux.
const NOBODY: u32 = 65_534;

/// Whether commits wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// PostgreSQL's default: for benchmarks.
    Durable,
    /// Nothing is synced: for comparing answers.
    Volatile,
}

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Oracle {
    /// The postmaster.
    process: Child,
    /// Where it listens.
    address: SocketAddr,
    /// User and group that it runs as; `None` for the current one.
    owner: Option<(u32, u32)>,
    /// Holds the cluster's data.
    directory: WorkDir,
}

impl Oracle {
    /// Whether PostgreSQL 15's server is installed.
    pub fn is_installed() -> bool {
        program("postgres").exists() && program("initdb").exists()
    }

    /// Creates a cluster and starts it.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is missing, or does not start.
    pub fn start(durability: Durability) -> Result<Self> {
        let mut directory = WorkDir::create("oracle")?;
        directory.remove();
        let owner = owner()?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(directory.path(), Some(user), Some(group))?;
        }
        let data = directory.path().join("data");
        let output = as_owner("initdb", owner)
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
            .arg("-D")
            .arg(&data)
            .output()
            .context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        // Between the choice of a free port and its use another process may take it: then choose again.
        let (process, address) = wait::until("PostgreSQL to start", || {
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            launch(&directory, owner, address, durability).map(|process| Some((process, address)))
        })?;
        Ok(Self { process, address, owner, directory })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection string that libpq-like clients understand.
    pub fn conninfo(&self) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        format!("host={host} port={port} user=postgres dbname=postgres")
    }

    /// Opens a bare protocol connection as the superuser.
    ///
    /// # Errors
    ///
    /// When the server does not accept it.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let stopped = as_owner("pg_ctl", self.owner)
            .args(["stop", "-m", "immediate", "-s", "-D"])
            .arg(self.directory.path().join("data"))
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Starts the server and waits until it accepts connections.
fn launch(
    directory: &WorkDir,
    owner: Option<(u32, u32)>,
    address: SocketAddr,
    durability: Durability,
) -> Result<Child> {
    let mut command = as_owner("postgres", owner);
    command.arg("-D").arg(directory.path().join("data"));
    command.arg("-k").arg(directory.path());
    command.args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
    command.args(["-c", "timezone=UTC", "-c", "lc_messages=C", "-c", "logging_collector=off"]);
    if durability == Durability::Volatile {
        command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().context("cannot run postgres")?;
    let stderr = process.stderr.take().context("postgres's stderr is not a pipe")?;
    let lines = lines_of(stderr);
    loop {
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                bail!("postgres ended or fell silent before it was ready: {error}");
            }
        };
        if line.contains("database system is ready to accept connections") {
            return Ok(process);
        }
    }
}

/// The path of one of PostgreSQL's programs.
pub fn program(name: &str) -> PathBuf {
    Path::new(BINARIES).join(name)
}

/// A command of PostgreSQL's, run as the owner of the cluster.
fn as_owner(name: &str, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program(name));
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// Whom to run PostgreSQL as: nobody else, unless this process is root's.
fn owner() -> Result<Option<(u32, u32)>> {
    let current = fs::metadata("/proc/self").context("cannot tell the current user")?.uid();
    if current != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let postgres = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            ["postgres", _, user, group, ..] => Some((user.parse().ok()?, group.parse().ok()?)),
            _ => None,
        }
    });
    Ok(Some(postgres.unwrap_or((NOBODY, NOBODY))))
}
