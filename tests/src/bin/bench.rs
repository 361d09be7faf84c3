//! Trellis beside PostgreSQL 15, and the time from commit to visibility: one run on one machine.
//!
//! `cargo run --release -p trellis-tests --bin bench [seconds per measurement]` prints `name<TAB>value` lines:
//!
//! | name | value |
//! |---|---|
//! | `select/8/postgresql`, `select/8/trellis` | prepared point selects a second, 8 clients, median of the rounds |
//! | `insert/8/postgresql`, `insert/8/trellis` | single-row inserts a second, each durable when acknowledged |
//! | `select/8/ratio` | Trellis divided by PostgreSQL |
//! | `visible/p50_ms`, `visible/p99_ms` | from the acknowledged commit on node 1 to the row on node 3 |
//! | `sent_to_visible/p50_ms`, … | the same, from sending the INSERT |
//!
//! pgbench drives both servers with the same scripts, in turn, so that a busy machine is busy for both. PostgreSQL runs with
//! its defaults (fsync on) and its data on the same file system.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use trellis_tests::clients;
use trellis_tests::cluster::Cluster;
use trellis_tests::oracle::{Durability, Oracle};
use trellis_tests::wait::PATIENCE;
use trellis_tests::wire::Connection;
use trellis_tests::work_dir::WorkDir;

/// How often each measurement is made; the median counts.
const ROUNDS: usize = 3;

/// How long pgbench runs for one measurement, unless an argument says otherwise.
const SECONDS_DEFAULT: u64 = 3;

/// Rows in the table that is read.
const POINTS: u32 = 10_000;

/// How many commits are followed to the other node.
const FOLLOWED_COMMITS: u32 = 300;

/// One kind of load.
struct Load {
    /// Its name in the output.
    name: &'static str,
    /// The pgbench script.
    script: &'static str,
    /// Numbers of clients to measure with.
    clients: &'static [u32],
}

const LOADS: [Load; 2] = [
    Load {
        name: "select",
        script: "\\set id random(1, 10000)\nSELECT v FROM points WHERE id = :id;\n",
        clients: &[1, 8],
    },
    Load {
        name: "insert",
        script: "\\set id random(1, 9000000000000000000)\n\
                 INSERT INTO inserts (id, v) VALUES (:id, 'a row of some forty bytes, as they come');\n",
        clients: &[1, 8, 16],
    },
];

#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
fn main() -> Result<()> {
    let seconds = match std::env::args().nth(1) {
        Some(argument) => {
            argument.parse().context("the argument is the seconds per measurement")?
        }
        None => SECONDS_DEFAULT,
    };
    let scripts = WorkDir::create("bench-scripts")?;
    let oracle = Oracle::start(Durability::Durable).context("PostgreSQL 15 is needed")?;
    let single = Cluster::start("bench", 1)?;
    let servers =
        [("postgresql", oracle.address()), ("trellis", single.node(1).endpoints().postgres)];
    for (_, address) in servers {
        prepare(address)?;
    }
    for load in LOADS {
        let script = scripts.path().join(load.name);
        fs::write(&script, load.script)?;
        for clients in load.clients {
            let rates = compare(&script, *clients, servers, seconds)?;
            for ((server, _), rate) in servers.iter().zip(rates) {
                println!("{}/{clients}/{server}\t{rate:.0}", load.name);
            }
            let [postgresql, trellis] = rates;
            println!("{}/{clients}/ratio\t{:.2}", load.name, trellis / postgresql);
        }
    }
    single.finish()?;
    drop(oracle);
    for (name, value) in visibility()? {
        println!("{name}\t{value:.3}");
    }
    let mut scripts = scripts;
    scripts.remove();
    Ok(())
}

/// Creates and fills the tables.
fn prepare(address: SocketAddr) -> Result<()> {
    let mut session = Connection::open(address)?;
    session.execute("CREATE TABLE points (id int PRIMARY KEY, v text NOT NULL)")?;
    session.execute("CREATE TABLE inserts (id bigint PRIMARY KEY, v text NOT NULL)")?;
    session.execute(&format!(
        "INSERT INTO points SELECT g, 'value ' || g FROM generate_series(1, {POINTS}) g"
    ))
}

/// Runs a script against both servers in turn, several times, and returns the median rate of each.
fn compare(
    script: &Path,
    clients: u32,
    servers: [(&str, SocketAddr); 2],
    seconds: u64,
) -> Result<[f64; 2]> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for ((_, address), rates) in servers.iter().zip(&mut rates) {
            rates.push(rate(script, clients, *address, seconds)?);
        }
    }
    Ok(rates.map(median))
}

/// Transactions a second of one run of pgbench.
fn rate(script: &Path, clients: u32, address: SocketAddr, seconds: u64) -> Result<f64> {
    let output = Command::new(clients::pgbench()?)
        .args(["-n", "-M", "prepared", "-U", "postgres", "-h", "127.0.0.1"])
        .args(["-p", &address.port().to_string(), "-T", &seconds.to_string()])
        .args(["-c", &clients.to_string(), "-j", &clients.min(2).to_string(), "-f"])
        .arg(script)
        .arg("postgres")
        .output()
        .context("cannot run pgbench")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "pgbench failed: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = tps.and_then(|text| text.split_whitespace().next()).context("no rate")?;
    tps.parse().context("the rate is no number")
}

/// The middle one of some measurements.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Follows single-row commits from node 1 to node 3 of an otherwise idle cluster.
fn visibility() -> Result<Vec<(&'static str, f64)>> {
    let cluster = Cluster::start("bench-visible", 3)?;
    let mut writer = cluster.node(1).connect()?;
    writer.execute("CREATE TABLE followed (id int PRIMARY KEY, v text)")?;
    cluster.all_answer("SELECT count(*) FROM followed", &["0"])?;
    let mut reader = cluster.node(3).connect()?;
    let (mut from_ack, mut from_sent) = (Vec::new(), Vec::new());
    for id in 1..=FOLLOWED_COMMITS {
        let sent = Instant::now();
        writer.execute(&format!("INSERT INTO followed VALUES ({id}, 'x')"))?;
        let acknowledged = Instant::now();
        let question = format!("SELECT 1 FROM followed WHERE id = {id}");
        while reader.rows(&question)?.is_empty() {
            if acknowledged.elapsed() > PATIENCE {
                bail!("commit {id} was not seen on node 3 within {PATIENCE:?}");
            }
        }
        from_ack.push(acknowledged.elapsed());
        from_sent.push(sent.elapsed());
    }
    cluster.finish()?;
    Ok(vec![
        ("visible/p50_ms", percentile(&mut from_ack, 50)),
        ("visible/p99_ms", percentile(&mut from_ack, 99)),
        ("sent_to_visible/p50_ms", percentile(&mut from_sent, 50)),
        ("sent_to_visible/p99_ms", percentile(&mut from_sent, 99)),
    ])
}

/// The given percentile, in milliseconds.
fn percentile(samples: &mut [Duration], percent: usize) -> f64 {
    samples.sort();
    let index = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
    samples.get(index).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1000.0)
}
