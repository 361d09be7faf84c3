//! A cluster to play with: separate node processes on loopback, in a temporary directory.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Runs `nodes` nodes until interrupted.
///
/// # Errors
/// If a node does not start.
pub fn run(nodes: u16) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new()
        .prefix("trellis-demo-")
        .tempdir()
        .context("could not create a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start")?;
    runtime.block_on(async {
        // The handlers are in place before there is anything to clean up.
        let mut interrupted =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut cluster = Cluster { nodes: Vec::new() };
        cluster.start(nodes, directory.path())?;
        cluster.describe(directory.path());
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        anyhow::Ok(())
    })
}

struct DemoNode {
    process: Child,
    postgres: String,
    gossip: String,
}

/// The nodes' processes; they end with it.
struct Cluster {
    nodes: Vec<DemoNode>,
}

impl Cluster {
    fn start(&mut self, nodes: u16, directory: &Path) -> anyhow::Result<()> {
        for number in 1..=nodes {
            let seed = self.nodes.first().map(|node| node.gossip.clone());
            let node = start_node(&directory.join(format!("node{number}")), seed.as_deref())
                .with_context(|| format!("node {number}"))?;
            self.nodes.push(node);
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the command's answer to its user")]
    fn describe(&self, directory: &Path) {
        println!("{} nodes, one database, data in {}:", self.nodes.len(), directory.display());
        for node in &self.nodes {
            let (host, port) = node.postgres.rsplit_once(':').unwrap_or((&node.postgres, ""));
            println!("  psql -h {host} -p {port} -U postgres");
        }
        println!("Press Ctrl-C to stop them and remove the data.");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // The data goes with them, so there is nothing to shut down in order.
            if let Err(error) = node.process.kill().and_then(|()| node.process.wait().map(drop)) {
                tracing::warn!(%error, "a node did not end");
            }
        }
    }
}

fn start_node(directory: &Path, seed: Option<&str>) -> anyhow::Result<DemoNode> {
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.args(["--log", "warn", "start", "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0"]);
    command.args(["--http", "127.0.0.1:0", "--data-dir"]).arg(directory);
    if let Some(seed) = seed {
        command.args(["--join", seed]);
    }
    // In its own process group a Ctrl-C reaches only this process, which then ends the nodes.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut process =
        command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().context("could not start")?;
    let output = process.stdout.take().context("the node has no output")?;
    let (mut postgres, mut gossip) = (None, None);
    for line in BufReader::new(output).lines() {
        let line = line.context("the node's output could not be read")?;
        if let Some(address) = line.strip_prefix("postgres listening on ") {
            postgres = Some(address.to_owned());
        } else if let Some(address) = line.strip_prefix("gossip listening on ") {
            gossip = Some(address.to_owned());
        } else if line == "ready" {
            break;
        }
    }
    match (postgres, gossip) {
        (Some(postgres), Some(gossip)) => Ok(DemoNode { process, postgres, gossip }),
        _ => anyhow::bail!("it stopped before it was ready"),
    }
}
