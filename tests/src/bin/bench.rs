//! Trellis beside PostgreSQL 15, and the time from commit to visibility: one run on one machine.
//!
//! `cargo run --release -p trellis-tests --bin bench [seconds per measurement]` prints `name<TAB>value` lines:
//!
//! | name | value |
//! |---|---|
//! | `select/8/postgresql`, `select/8/trellis` | prepared point selects a second, 8 clients, median of the rounds |
//! | `select_simple/8/…` | the same in the simple protocol |
//! | `insert/16/…` | single-row inserts a second of 16 clients, each durable when acknowledged |
//! | `tpcb/8/…` | transactions a second like those of TPC-B: three updates, a select and an insert; 8 branches |
//! | `copy/1/…` | rows a second of a COPY of 1,000,000 into an empty table with a primary key |
//! | `select/8/ratio` | Trellis divided by PostgreSQL; so for each of the above |
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

/// Branches, tellers and accounts of the TPC-B-like load: as many branches as clients, so that PostgreSQL's do not all
/// wait for one row.
const BRANCHES: u32 = 8;
const TELLERS: u32 = 10 * BRANCHES;
const ACCOUNTS: u32 = 100_000;

/// Rows copied in.
const COPIED_ROWS: u32 = 1_000_000;

/// How long a server may take for them.
const COPY_TIME_MAX: Duration = Duration::from_secs(300);

/// How many commits are followed to the other node.
const FOLLOWED_COMMITS: u32 = 300;

/// One kind of load.
struct Load {
    /// Its name in the output.
    name: &'static str,
    /// The pgbench script.
    script: &'static str,
    /// The protocol that pgbench speaks.
    protocol: &'static str,
    /// Numbers of clients to measure with.
    clients: &'static [u32],
}

const LOADS: [Load; 4] = [
    Load {
        name: "select",
        script: "\\set id random(1, 10000)\nSELECT v FROM points WHERE id = :id;\n",
        protocol: "prepared",
        clients: &[1, 8],
    },
    Load {
        name: "select_simple",
        script: "\\set id random(1, 10000)\nSELECT v FROM points WHERE id = :id;\n",
        protocol: "simple",
        clients: &[8],
    },
    Load {
        name: "tpcb",
        script: "\\set account random(1, 100000)\n\\set branch random(1, 8)\n\\set teller random(1, 80)\n\
                 \\set delta random(-5000, 5000)\n\
                 BEGIN;\n\
                 UPDATE accounts SET balance = balance + :delta WHERE id = :account;\n\
                 SELECT balance FROM accounts WHERE id = :account;\n\
                 UPDATE tellers SET balance = balance + :delta WHERE id = :teller;\n\
                 UPDATE branches SET balance = balance + :delta WHERE id = :branch;\n\
                 INSERT INTO history (teller, branch, account, delta, at) \
                 VALUES (:teller, :branch, :account, :delta, CURRENT_TIMESTAMP);\n\
                 END;\n",
        protocol: "prepared",
        clients: &[8],
    },
    Load {
        name: "insert",
        script: "\\set id random(1, 9000000000000000000)\n\
                 INSERT INTO inserts (id, v) VALUES (:id, 'a row of some forty bytes, as they come');\n",
        protocol: "prepared",
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
            let run = |address| rate(&script, load.protocol, *clients, address, seconds);
            print_rates(load.name, *clients, compare(servers, run)?);
        }
    }
    let copied = copy_data();
    print_rates("copy", 1, compare(servers, |address| copy_rate(address, &copied))?);
    single.finish()?;
    drop(oracle);
    for (name, value) in visibility()? {
        println!("{name}\t{value:.3}");
    }
    let mut scripts = scripts;
    scripts.remove();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
fn print_rates(name: &str, clients: u32, [postgresql, trellis]: [f64; 2]) {
    println!("{name}/{clients}/postgresql\t{postgresql:.0}");
    println!("{name}/{clients}/trellis\t{trellis:.0}");
    println!("{name}/{clients}/ratio\t{:.2}", trellis / postgresql);
}

/// Creates and fills the tables.
fn prepare(address: SocketAddr) -> Result<()> {
    let mut session = Connection::open(address)?;
    session.execute("CREATE TABLE points (id int PRIMARY KEY, v text NOT NULL)")?;
    session.execute("CREATE TABLE inserts (id bigint PRIMARY KEY, v text NOT NULL)")?;
    for (table, rows) in [("accounts", ACCOUNTS), ("tellers", TELLERS), ("branches", BRANCHES)] {
        session.execute(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, balance int NOT NULL, filler text NOT NULL)"
        ))?;
        session.execute(&format!(
            "INSERT INTO {table} SELECT g, 0, repeat('x', 80) FROM generate_series(1, {rows}) g"
        ))?;
    }
    session.execute(
        "CREATE TABLE history (teller int, branch int, account int, delta int, at timestamptz)",
    )?;
    session.execute(&format!(
        "INSERT INTO points SELECT g, 'value ' || g FROM generate_series(1, {POINTS}) g"
    ))
}

/// What is copied, in COPY's text format.
fn copy_data() -> Vec<u8> {
    (1..=COPIED_ROWS).fold(Vec::new(), |mut data, id| {
        data.extend_from_slice(
            format!("{id}\t{}\ta row of some forty bytes\n", id % 1000).as_bytes(),
        );
        data
    })
}

/// Rows a second of one COPY.
fn copy_rate(address: SocketAddr, data: &[u8]) -> Result<f64> {
    let mut session = Connection::open(address)?;
    session.set_read_timeout(COPY_TIME_MAX)?;
    session.execute("DROP TABLE IF EXISTS copied")?;
    session.execute("CREATE TABLE copied (id int PRIMARY KEY, n int NOT NULL, v text NOT NULL)")?;
    let started = Instant::now();
    session.query_with_data("COPY copied FROM STDIN", data)?;
    let rate = f64::from(COPIED_ROWS) / started.elapsed().as_secs_f64();
    let counted = session.rows("SELECT count(*) FROM copied")?;
    ensure!(counted == [[Some(COPIED_ROWS.to_string())]], "not all rows were copied: {counted:?}");
    Ok(rate)
}

/// Measures both servers in turn, several times, and returns the median rate of each.
fn compare(
    servers: [(&str, SocketAddr); 2],
    mut measure: impl FnMut(SocketAddr) -> Result<f64>,
) -> Result<[f64; 2]> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for ((_, address), rates) in servers.iter().zip(&mut rates) {
            rates.push(measure(*address)?);
        }
    }
    Ok(rates.map(median))
}

/// Transactions a second of one run of pgbench.
fn rate(
    script: &Path,
    protocol: &str,
    clients: u32,
    address: SocketAddr,
    seconds: u64,
) -> Result<f64> {
    let output = Command::new(clients::pgbench()?)
        .args(["-n", "-M", protocol, "-U", "postgres", "-h", "127.0.0.1"])
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
