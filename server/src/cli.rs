//! What the `trellis` command understands.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use trellis_replication::store::{LogLimits, StoreError};

use crate::check::{self, ForeignChanges};
use crate::demo;
use crate::engine::{DatabaseError, MaintenanceOptions};
use crate::listen::{Authentication, Plaintext, TlsFiles};
use crate::node::{Failure, Node, NodeOptions};
use crate::superuser;

/// A replicated database server that speaks PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "trellis", version, about)]
struct Command {
    #[command(subcommand)]
    action: Action,
    /// What to log, as in `RUST_LOG`: a level, or module=level pairs.
    #[arg(long, global = true, env = "RUST_LOG", default_value = "info")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Runs one node until it is interrupted.
    Start(Box<StartArguments>),
    /// Checks the files of a node that is not running: SQLite's structures, rows against their clocks and against the log,
    /// tables against the schema. Prints a line per table, or the first findings and fails. Changes nothing unless told to
    /// accept.
    Check {
        /// The node's data directory.
        #[arg(long, default_value = "./trellis-data")]
        data_dir: PathBuf,
        /// Where another program has written to the database and nothing is found wrong with it: let nodes start on it.
        #[arg(long)]
        accept: bool,
    },
    /// Runs a cluster of node processes on this machine, in a temporary directory, until interrupted.
    Demo {
        /// How many nodes.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
        nodes: u16,
    },
}

#[derive(Debug, Args)]
struct StartArguments {
    /// Where the database is kept; created if it is not there.
    #[arg(long, default_value = "./trellis-data")]
    data_dir: PathBuf,
    /// Address for PostgreSQL clients; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "127.0.0.1:5432")]
    listen: SocketAddr,
    /// UDP address for other nodes; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "127.0.0.1:7432")]
    gossip: SocketAddr,
    /// The gossip address that other nodes are told, where it is not the one listened on: behind NAT or a relay.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// A node of the cluster to join, by its gossip address; may be given more than once. Tried until it answers.
    #[arg(long, value_name = "HOST:PORT")]
    join: Vec<String>,
    /// Address for health checks and metrics over HTTP; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "127.0.0.1:8432")]
    http: SocketAddr,
    /// Most sessions at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_connections: u32,
    #[command(flatten)]
    doors: DoorArguments,
    #[command(flatten)]
    keep: KeepArguments,
}

/// How PostgreSQL clients are let in.
#[derive(Debug, Args)]
struct DoorArguments {
    /// The server's certificate in PEM, and those up to its authority: TLS is offered to PostgreSQL clients.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM, which its owner alone may read.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Authorities in PEM by which the certificates of clients are verified.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// How clients prove who they are; if not given, `trust` on a loopback address and `scram` elsewhere.
    #[arg(long, value_name = "METHOD")]
    auth: Option<Authentication>,
    /// A file with the password that the superuser `postgres` gets if it has none yet.
    #[arg(long, value_name = "FILE")]
    superuser_password_file: Option<PathBuf>,
    /// The password itself, where the file is not given: for the environment, as command lines can be seen.
    #[arg(long, env = "TRELLIS_SUPERUSER_PASSWORD", hide = true, hide_env_values = true)]
    superuser_password: Option<String>,
    /// Whether clients may go without TLS; if not given, on a loopback address only.
    #[arg(long, value_name = "POLICY")]
    plaintext: Option<Plaintext>,
}

impl DoorArguments {
    /// The files of TLS, if it is offered.
    fn tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles { certificate, key, client_authority: self.tls_client_ca.clone() })
    }

    /// How clients that come in at `listen` prove who they are.
    fn authentication(&self, listen: SocketAddr) -> anyhow::Result<Authentication> {
        let loopback = listen.ip().is_loopback();
        let default = if loopback { Authentication::Trust } else { Authentication::Scram };
        let authentication = self.auth.unwrap_or(default);
        if authentication == Authentication::Trust && !loopback {
            anyhow::bail!(
                "--listen {listen} is not a loopback address: without authentication anyone could come in; give --auth scram or --auth cert"
            );
        }
        if authentication == Authentication::Cert && self.tls_client_ca.is_none() {
            anyhow::bail!("--auth cert needs --tls-client-ca");
        }
        Ok(authentication)
    }

    /// What is kept of the first superuser's password, if there is one.
    fn superuser_password(&self) -> anyhow::Result<Option<String>> {
        match (&self.superuser_password_file, &self.superuser_password) {
            (Some(path), _) => superuser::read_password(path).map(Some),
            (None, Some(password)) => superuser::keep(password).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Whether clients that come in at `listen` may go without TLS.
    fn plaintext(&self, listen: SocketAddr) -> anyhow::Result<Plaintext> {
        let loopback = listen.ip().is_loopback();
        let default = if loopback { Plaintext::Allow } else { Plaintext::Refuse };
        let plaintext = self.plaintext.unwrap_or(default);
        if plaintext == Plaintext::Refuse && self.tls_cert.is_none() {
            anyhow::bail!(
                "--listen {listen}: nobody could come in without TLS; give --tls-cert and --tls-key, or --plaintext allow"
            );
        }
        Ok(plaintext)
    }
}

/// What is kept in the file, and for whom.
#[derive(Debug, Args)]
struct KeepArguments {
    /// MiB of the log to keep for readers when all members have it; if not given as many as the data has, 1 to 256.
    #[arg(long, value_name = "MIB")]
    log_keep_mib: Option<u32>,
    /// Hours to keep them at most.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    log_keep_hours: u32,
    /// MiB beyond which the log is trimmed though members lack what goes.
    #[arg(long, value_name = "MIB", default_value_t = 4_096)]
    log_max_mib: u32,
    /// Hours after which a member that is not heard of does not count any more.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    member_lease_hours: u32,
}

impl KeepArguments {
    fn options(&self) -> MaintenanceOptions {
        let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3_600);
        let mib = |mib: u32| u64::from(mib) << 20;
        let log = LogLimits {
            keep_bytes: self.log_keep_mib.map(mib),
            keep_us: u64::from(self.log_keep_hours) * 3_600_000_000,
            max_bytes: mib(self.log_max_mib),
        };
        MaintenanceOptions { log, lease: hours(self.member_lease_hours) }
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let command = Command::parse();
    let result = start_logging(&command.log).and_then(|()| act(command.action));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command's own complaint to its user")]
fn complain(error: &anyhow::Error) {
    eprintln!("trellis: {error:#}");
}

/// Logs go to standard error: for people on a terminal, as JSON otherwise.
fn start_logging(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
    Ok(())
}

fn act(action: Action) -> anyhow::Result<()> {
    match action {
        Action::Start(arguments) => start(*arguments),
        Action::Check { data_dir, accept } => {
            let changes = if accept { ForeignChanges::Accept } else { ForeignChanges::Refuse };
            check::run(&data_dir, changes)
        }
        Action::Demo { nodes } => demo::run(nodes),
    }
}

fn start(arguments: StartArguments) -> anyhow::Result<()> {
    refuse_open_doors("--gossip", arguments.gossip)?;
    refuse_open_doors("--http", arguments.http)?;
    let options = NodeOptions {
        data_dir: arguments.data_dir,
        listen: arguments.listen,
        gossip: arguments.gossip,
        advertise: arguments.advertise,
        join: arguments.join,
        http: arguments.http,
        authentication: arguments.doors.authentication(arguments.listen)?,
        superuser_password: arguments.doors.superuser_password()?,
        tls: arguments.doors.tls(),
        plaintext: arguments.doors.plaintext(arguments.listen)?,
        sessions_max: usize::try_from(arguments.max_connections).unwrap_or(usize::MAX),
        maintenance: arguments.keep.options(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("network")
        .enable_all()
        .build()
        .context("could not start the network's threads")?;
    runtime.block_on(serve(options))
}

async fn serve(options: NodeOptions) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let mut options = options;
    // A node that is told to stop while it starts, or waits for the state of another, has nothing to take leave of.
    let mut node = tokio::select! {
        () = signals.arrive() => return Ok(()),
        node = Node::start(options.clone()) => node.map_err(with_advice)?,
    };
    announce(&node);
    loop {
        let failure = tokio::select! {
            () = signals.arrive() => None,
            failure = node.failure() => Some(failure),
        };
        // Where it listens it is to be found again, also where the system chose the ports.
        options.listen = node.postgres_address();
        options.gossip = node.gossip_address();
        options.http = node.http_address();
        tracing::info!("stopping");
        node.stop().await;
        match failure {
            None => return Ok(()),
            Some(Failure::Identity(lost)) => {
                tracing::warn!("{lost}; the node begins anew");
                node = tokio::select! {
                    () = signals.arrive() => return Ok(()),
                    node = restart(&options) => node?,
                };
            }
            Some(Failure::Storage(reason)) => {
                anyhow::bail!("the node cannot go on: {reason}; start it again")
            }
        }
    }
}

/// Starts a node again that has just stopped: sessions that were at work may hold its files for a moment.
async fn restart(options: &NodeOptions) -> anyhow::Result<Node> {
    let deadline = tokio::time::Instant::now() + RESTART_WAIT;
    loop {
        let error = match Node::start(options.clone()).await {
            Ok(node) => return Ok(node),
            Err(error) => error,
        };
        let in_use =
            matches!(error.downcast_ref(), Some(DatabaseError::Store(StoreError::InUse { .. })));
        if !in_use || tokio::time::Instant::now() > deadline {
            return Err(with_advice(error));
        }
        tokio::time::sleep(RESTART_INTERVAL).await;
    }
}

/// How long sessions may hold the files of a node that is started again, and how often that is tried.
const RESTART_WAIT: Duration = Duration::from_secs(30);
/// See [`RESTART_WAIT`].
const RESTART_INTERVAL: Duration = Duration::from_millis(100);

/// Says what to do about a database that another program has changed.
fn with_advice(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(DatabaseError::Store(changed @ StoreError::Changed { .. })) => {
            anyhow::anyhow!("{changed}\n{}", check::ADVICE)
        }
        _ => error,
    }
}

/// The signals that tell a node to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("could not listen for signals");
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    async fn arrive(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

/// One line per endpoint, then `ready`, on standard output, for people and for programs that wait.
#[expect(clippy::print_stdout, reason = "the command's answer to its user")]
fn announce(node: &Node) {
    println!("postgres listening on {}", node.postgres_address());
    println!("gossip listening on {}", node.gossip_address());
    println!("http listening on {}", node.http_address());
    println!("ready");
}

/// Reads an address of this machine; a host's name stands for the first address that it has.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "the host has no address".to_owned())
}

/// Nodes have no credentials for each other, and HTTP none at all: only this machine may come in there.
fn refuse_open_doors(flag: &str, address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    anyhow::bail!(
        "{flag} {address} is not a loopback address: there is no authentication there yet, and anyone could come in"
    )
}
