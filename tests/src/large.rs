//! How much memory nodes take to make, carry and apply a transaction that is much larger than what they may hold of it.
//!
//! Three processes, one transaction of many rows in one statement, one of much text, and a fourth node that comes empty and
//! fetches both. For each, the largest resident set of each process is read from the system, which counts it from when it
//! is told to.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::node::Node;
use crate::wait;

/// How long a transaction may take to arrive everywhere before the run fails; it bounds a hang.
const PATIENCE: Duration = Duration::from_secs(900);

/// Bytes of one row of text.
const TEXT_ROW_BYTES: u64 = 1_024;

/// How large the transactions are.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of the first one, each a number and a short text.
    pub rows: u64,
    /// Bytes of text of the second one.
    pub text_bytes: u64,
}

/// What one node took during one step.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was done.
    pub step: &'static str,
    /// Whose memory it is.
    pub node: String,
    /// Resident bytes before.
    pub before_bytes: u64,
    /// Most resident bytes meanwhile.
    pub peak_bytes: u64,
}

impl Figure {
    /// What the step took on top of what was there.
    #[must_use]
    pub fn added_bytes(&self) -> u64 {
        self.peak_bytes.saturating_sub(self.before_bytes)
    }
}

/// Runs all steps on a cluster of its own.
///
/// # Errors
/// When a node fails, or the nodes do not agree in the end.
pub fn run(name: &str, sizes: Sizes) -> Result<Vec<Figure>> {
    let mut cluster = Cluster::start(name, 3)?;
    let mut session = cluster.node(1).connect()?;
    session.execute("CREATE TABLE numbers (id int PRIMARY KEY, name text)")?;
    session
        .execute("CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), note text)")?;
    cluster.all_answer("SELECT count(*) FROM numbers, notes", &["0"])?;
    let (rows, notes) = (sizes.rows, sizes.text_bytes / TEXT_ROW_BYTES);
    let mut figures = Vec::new();
    let insert =
        format!("INSERT INTO numbers SELECT g, 'name ' || g FROM generate_series(1, {rows}) g");
    measured("rows", cluster.nodes(), &mut figures, || {
        session.execute(&insert)?;
        all_have(&cluster, "numbers", rows)
    })?;
    let line = TEXT_ROW_BYTES / 32;
    let insert = format!(
        "INSERT INTO notes (note) SELECT repeat(md5(g::text), {line}) FROM generate_series(1, {notes}) g"
    );
    measured("text", cluster.nodes(), &mut figures, || {
        session.execute(&insert)?;
        all_have(&cluster, "notes", notes)
    })?;
    cluster.add_node()?;
    measured("join", cluster.nodes(), &mut figures, || {
        all_have(&cluster, "numbers", rows)?;
        all_have(&cluster, "notes", notes)
    })?;
    cluster.agree("SELECT count(*), sum(id), sum(length(name)) FROM numbers")?;
    cluster.agree("SELECT count(*), sum(length(note)), min(id::text), max(id::text) FROM notes")?;
    cluster.finish()?;
    Ok(figures)
}

/// Waits until the table has that many rows everywhere. It never has some of them: they come together.
fn all_have(cluster: &Cluster, table: &str, rows: u64) -> Result<()> {
    let question = format!("SELECT count(*) FROM {table}");
    for node in cluster.nodes() {
        wait::until_within(PATIENCE, &format!("{rows} rows of {table}"), || {
            let answer = node.query(&question)?;
            let found = answer.first().and_then(|row| row.first()?.as_deref());
            let found: u64 = found.context("no count")?.parse()?;
            ensure!(found == 0 || found == rows, "a part of a transaction is visible");
            Ok((found == rows).then_some(()))
        })?;
    }
    Ok(())
}

fn measured(
    step: &'static str,
    nodes: &[Node],
    figures: &mut Vec<Figure>,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let before = nodes.iter().map(start_counting).collect::<Result<Vec<_>>>()?;
    work()?;
    for (node, before_bytes) in nodes.iter().zip(before) {
        let peak_bytes = status_bytes(node.process_id()?, "VmHWM:")?;
        figures.push(Figure { step, node: node.name().to_owned(), before_bytes, peak_bytes });
    }
    Ok(())
}

/// Makes the system count the process's largest resident set from here on, and returns the present one.
fn start_counting(node: &Node) -> Result<u64> {
    let process = node.process_id()?;
    fs::write(format!("/proc/{process}/clear_refs"), "5").context("cannot reset the peak")?;
    status_bytes(process, "VmRSS:")
}

/// A size in the process's status, in bytes.
fn status_bytes(process: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such size")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1_024)
}
