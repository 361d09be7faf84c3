//! One `trellis start` process: started, watched, killed and started again on the same ports.
//!
//! A node is ready when it has printed `ready`; before that it prints one line per endpoint
//! (`postgres listening on 127.0.0.1:40001`), which is how the ports are learnt. A restarted node gets the
//! ports of its first life, so that peers and clients find it where it was.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::server_binary::server_binary;
use crate::wait::PATIENCE;
use crate::wire::Connection;

/// What distinguishes one node's command line from another's.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Gossip addresses of nodes to join.
    pub join: Vec<SocketAddr>,
    /// The gossip address that peers are told, when it is not the node's own.
    pub advertise: Option<SocketAddr>,
    /// What else stands on the command line.
    pub arguments: Vec<String>,
}

/// The addresses that a node announced.
#[derive(Debug, Clone, Copy)]
pub struct Endpoints {
    /// Where it speaks PostgreSQL.
    pub postgres: SocketAddr,
    /// Where it takes datagrams of other nodes.
    pub gossip: SocketAddr,
    /// Where it answers HTTP; absent if the node announced none.
    pub http: Option<SocketAddr>,
}

/// A node of a test: its directory, its addresses and, while it runs, its process.
#[derive(Debug)]
pub struct Node {
    /// The node's name in logs and file names.
    name: String,
    /// Holds the data directory and the log.
    directory: PathBuf,
    /// The command line's variable part.
    options: NodeOptions,
    /// Addresses of the first start, kept for every later one.
    endpoints: Endpoints,
    /// The running process; `None` after a kill or stop.
    process: Option<Child>,
}

impl Node {
    /// Starts a node named `name` with its files in `directory`, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When the binary cannot be built or run, or ends or falls silent before it is ready.
    pub fn start(directory: &Path, name: &str, options: NodeOptions) -> Result<Self> {
        let (process, endpoints) = spawn(directory, name, &options, None)?;
        let directory = directory.to_path_buf();
        Ok(Self { name: name.to_owned(), directory, options, endpoints, process: Some(process) })
    }

    /// The node's addresses.
    pub fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operating system's number of the process.
    ///
    /// # Errors
    ///
    /// When the node is not running.
    pub fn process_id(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the node is not running")?.id())
    }

    /// Opens a bare protocol connection.
    ///
    /// # Errors
    ///
    /// When the node does not accept it.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.endpoints.postgres)
            .with_context(|| format!("connecting to {}, log {}", self.name, self.log().display()))
    }

    /// Runs one statement on a connection of its own and returns its rows as text, NULL as `None`.
    ///
    /// # Errors
    ///
    /// When the connection or the statement fails.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.connect()?.rows(sql).with_context(|| format!("on {}", self.name))
    }

    /// The connection string that libpq-like clients understand.
    pub fn conninfo(&self) -> String {
        let address = self.endpoints.postgres;
        format!(
            "host={} port={} user=postgres dbname=postgres connect_timeout=30",
            address.ip(),
            address.port()
        )
    }

    /// Ends the process as a power cut would: SIGKILL.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the node is not running")?;
        process.kill().context("cannot kill the node")?;
        process.wait().context("cannot wait for the node")?;
        Ok(())
    }

    /// Asks the process to stop with SIGTERM and returns how it ended.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("the node is not running")?;
        let id = process.id().to_string();
        let signalled = Command::new("kill").args(["-TERM", &id]).status()?;
        if !signalled.success() {
            bail!("kill -TERM {id} failed");
        }
        process.wait().context("cannot wait for the node")
    }

    /// Starts the node again on its directory and ports.
    ///
    /// # Errors
    ///
    /// As for [`Node::start`]; also when it is still running.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} is still running", self.name);
        }
        let (process, _) = spawn(&self.directory, &self.name, &self.options, Some(self.endpoints))?;
        self.process = Some(process);
        Ok(())
    }

    /// The node's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The file that collects what the node says on stderr, over all its lives.
    pub fn log(&self) -> PathBuf {
        log_path(&self.directory, &self.name)
    }

    /// Fails if the log mentions a panic.
    ///
    /// # Errors
    ///
    /// The first line that does, or that the log cannot be read.
    pub fn assert_no_panic(&self) -> Result<()> {
        let log = fs::read_to_string(self.log()).context("cannot read the node's log")?;
        match log.lines().find(|line| line.contains("panicked at")) {
            Some(line) => bail!("{} panicked: {line}", self.name),
            None => Ok(()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // The process may have ended by itself; there is nothing more to do about it here.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Where the node named `name` logs to.
fn log_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

/// Runs `trellis start` and reads its standard output up to `ready`.
fn spawn(
    directory: &Path,
    name: &str,
    options: &NodeOptions,
    endpoints: Option<Endpoints>,
) -> Result<(Child, Endpoints)> {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut command = Command::new(server_binary()?);
    command.arg("start").arg("--data-dir").arg(directory.join(name));
    let postgres = endpoints.map_or(any_port, |known| known.postgres);
    let gossip = endpoints.map_or(any_port, |known| known.gossip);
    let http = endpoints.and_then(|known| known.http).unwrap_or(any_port);
    command.args(["--listen", &postgres.to_string()]);
    command.args(["--gossip", &gossip.to_string()]);
    command.args(["--http", &http.to_string()]);
    if let Some(advertise) = options.advertise {
        command.args(["--advertise", &advertise.to_string()]);
    }
    for peer in &options.join {
        command.args(["--join", &peer.to_string()]);
    }
    command.args(&options.arguments);
    let log = File::options().create(true).append(true).open(log_path(directory, name))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut process = command.spawn().context("cannot run trellis")?;
    let stdout = process.stdout.take().context("the node's stdout is not a pipe")?;
    match announced(&lines_of(stdout)) {
        Ok(endpoints) => Ok((process, endpoints)),
        Err(error) => {
            let _ = process.kill();
            let _ = process.wait();
            let log = fs::read_to_string(log_path(directory, name)).unwrap_or_default();
            Err(error.context(format!("{name} did not start; its log:\n{log}")))
        }
    }
}

/// Collects the endpoint lines up to `ready`.
fn announced(lines: &Receiver<String>) -> Result<Endpoints> {
    let (mut postgres, mut gossip, mut http) = (None, None, None);
    loop {
        let line = lines.recv_timeout(PATIENCE).context("stdout ended or fell silent")?;
        if line == "ready" {
            break;
        }
        let Some((what, address)) = line.split_once(" listening on ") else { continue };
        match what {
            "postgres" => postgres = Some(address.trim().parse()?),
            "gossip" => gossip = Some(address.trim().parse()?),
            "http" => http = address.trim().trim_start_matches("http://").parse().ok(),
            _ => {}
        }
    }
    let postgres = postgres.context("no line told the PostgreSQL address")?;
    let gossip = gossip.context("no line told the gossip address")?;
    Ok(Endpoints { postgres, gossip, http })
}

/// Reads `source` on a thread of its own, line by line, until it ends.
///
/// The thread goes on reading when nobody listens, so that the process never blocks on a full pipe.
pub(crate) fn lines_of(source: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
