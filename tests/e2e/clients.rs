//! Clients that stop listening, dribble or wait for each other: none of them keeps others from writing.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use trellis_tests::cluster::Cluster;
use trellis_tests::node::Node;
use trellis_tests::wait::PATIENCE;
use trellis_tests::wire::{Message, c_string};

/// What makes 40 MB of the table `big`.
const DEAFENING: &str = "repeat(b, 40)";

/// Codes of the errors among the messages.
fn errors(messages: &[Message]) -> Vec<&str> {
    let mut codes = Vec::new();
    for message in messages {
        if let Message::Error(fields) = message {
            codes.push(fields.sqlstate());
        }
    }
    codes
}

/// A node with a table `big`, of which [`DEAFENING`] makes more than socket buffers hold, and an empty table `t`.
fn node_with_big_table(name: &str) -> Result<Cluster> {
    let cluster = Cluster::start(name, 1)?;
    let mut setup = cluster.node(1).connect()?;
    setup.execute("CREATE TABLE big (a int PRIMARY KEY, b text)")?;
    setup.execute("INSERT INTO big SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) g")?;
    setup.execute("CREATE TABLE t (a int PRIMARY KEY)")?;
    Ok(cluster)
}

/// What a fresh session is answered to a write.
fn write(node: &Node, sql: &str) -> Result<()> {
    let mut connection = node.connect()?;
    connection.set_read_timeout(PATIENCE)?;
    connection.execute(sql).context("another session could not write")
}

#[test]
fn a_client_that_does_not_read_its_rows_gives_way() -> Result<()> {
    let cluster = node_with_big_table("deaf")?;
    let node = cluster.node(1);

    // Its rows are kept: the transaction waits aside, and commits when it reads on.
    let mut deaf = node.connect()?;
    deaf.send(b'Q', &c_string(&format!("UPDATE big SET b = b || 'y' RETURNING {DEAFENING}")))?;
    write(node, "INSERT INTO t VALUES (1)")?;
    let answer = deaf.until_ready()?;
    ensure!(errors(&answer).is_empty(), "{:?}", errors(&answer));
    ensure!(node.query("SELECT count(*) FROM big WHERE b LIKE '%y'")? == [[Some("1000".into())]]);

    // Its rows are being read: the transaction cannot wait aside, and is told so.
    let mut deaf = node.connect()?;
    deaf.execute("BEGIN; INSERT INTO t VALUES (2)")?;
    deaf.send(b'Q', &c_string(&format!("SELECT {DEAFENING} FROM big")))?;
    write(node, "INSERT INTO t VALUES (3)")?;
    ensure!(errors(&deaf.until_ready()?) == ["40001"]);
    deaf.execute("ROLLBACK")?;

    // A session that is to end does not wait for its client.
    let mut deaf = node.connect()?;
    let pid = deaf.rows("SELECT pg_backend_pid()")?[0][0].clone().unwrap_or_default();
    deaf.send(b'Q', &c_string(&format!("SELECT {DEAFENING} FROM big")))?;
    write(node, &format!("SELECT pg_terminate_backend({pid})"))?;
    trellis_tests::wait::until("the session ends", || {
        let left = node.query(&format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))?;
        Ok(left.is_empty().then_some(()))
    })?;
    cluster.finish()
}

#[test]
fn a_message_that_never_ends_does_not_keep_the_writer() -> Result<()> {
    let cluster = node_with_big_table("dribble")?;
    let mut slow = cluster.node(1).connect()?;
    slow.execute("BEGIN; INSERT INTO t VALUES (1)")?;
    let (written, answer) = mpsc::channel();
    let mut other = cluster.node(1).connect()?;
    other.set_read_timeout(PATIENCE)?;
    let writer = thread::spawn(move || written.send(other.execute("INSERT INTO t VALUES (2)")));
    let message = [&[b'Q', 0, 0, 1, 0][..], &[b' '; 252]].concat();
    let mut sent = 0;
    let outcome = loop {
        match answer.recv_timeout(Duration::from_millis(20)) {
            Ok(outcome) => break outcome,
            Err(_still_waiting) => {
                ensure!(sent < message.len(), "the writer was kept by half a message");
                slow.send_raw(&message[sent..=sent])?;
                sent += 1;
            }
        }
    };
    outcome?;
    writer.join().expect("the writer does not panic")?;
    cluster.finish()
}

#[test]
fn a_writer_that_waits_for_a_waiting_writer_is_a_deadlock() -> Result<()> {
    let cluster = node_with_big_table("deadlock")?;
    let (mut one, mut two) = (cluster.node(1).connect()?, cluster.node(1).connect()?);
    one.execute("SET deadlock_timeout = 10; BEGIN; INSERT INTO t VALUES (1)")?;
    two.execute("SELECT pg_advisory_lock(7)")?;
    two.send(b'Q', &c_string("INSERT INTO t VALUES (2)"))?;
    ensure!(errors(&one.query("SELECT pg_advisory_lock(7)")?) == ["40P01"]);
    one.execute("ROLLBACK")?;
    ensure!(errors(&two.until_ready()?).is_empty());
    // Whoever sleeps with the writer in hand is in the same case.
    one.execute("BEGIN; INSERT INTO t VALUES (1)")?;
    two.send(b'Q', &c_string("INSERT INTO t VALUES (3)"))?;
    ensure!(errors(&one.query("SELECT pg_sleep(600)")?) == ["40P01"]);
    one.execute("ROLLBACK")?;
    ensure!(errors(&two.until_ready()?).is_empty());
    cluster.finish()
}
