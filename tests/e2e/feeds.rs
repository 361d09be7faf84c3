//! LISTEN hears of changes and notifications of all nodes; what rolled back is not heard of.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use trellis_tests::cluster::Cluster;
use trellis_tests::wire::Connection;

/// Waits for the next change of `channel`: its operation and key.
fn next_change(listener: &mut Connection, channel: &str) -> Result<(String, Value)> {
    let (heard_on, payload) = listener.notification()?;
    ensure!(heard_on == channel, "a notification on {heard_on}: {payload}");
    let payload: Value = serde_json::from_str(&payload).context("the payload is not JSON")?;
    ensure!(payload["position"].is_u64(), "no position in {payload}");
    ensure!(payload["origin"].is_string(), "no origin in {payload}");
    let operation = payload["op"].as_str().context("no operation")?.to_owned();
    Ok((operation, payload["pk"].clone()))
}

#[test]
fn a_listener_hears_of_each_changed_key_on_any_node() -> Result<()> {
    let cluster = Cluster::start("feed", 3)?;
    cluster.node(1).query("CREATE TABLE sandwiches (id int PRIMARY KEY, name text)")?;
    cluster.all_answer("SELECT count(*) FROM sandwiches", &["0"])?;
    let mut listeners: Vec<Connection> =
        cluster.nodes().iter().map(trellis_tests::node::Node::connect).collect::<Result<_>>()?;
    for listener in &mut listeners {
        listener.execute("LISTEN sandwiches")?;
    }
    let mut writer = cluster.node(2).connect()?;
    writer.execute("BEGIN; INSERT INTO sandwiches VALUES (99, 'never'); ROLLBACK")?;
    writer.execute("INSERT INTO sandwiches VALUES (1, 'club'), (2, 'blt')")?;
    for listener in &mut listeners {
        let first = next_change(listener, "sandwiches")?;
        let second = next_change(listener, "sandwiches")?;
        let heard: BTreeSet<String> =
            [first, second].iter().map(|(op, pk)| format!("{op} {pk}")).collect();
        let expected =
            BTreeSet::from(["insert {\"id\":1}".to_owned(), "insert {\"id\":2}".to_owned()]);
        ensure!(heard == expected, "heard {heard:?}");
    }
    // One notification per key and transaction, however often the transaction touches the row.
    writer.execute("BEGIN")?;
    writer.execute("UPDATE sandwiches SET name = 'x' WHERE id = 1")?;
    writer.execute("UPDATE sandwiches SET name = 'reuben' WHERE id = 1")?;
    writer.execute("COMMIT")?;
    writer.execute("DELETE FROM sandwiches WHERE id = 2")?;
    for listener in &mut listeners {
        let update = next_change(listener, "sandwiches")?;
        ensure!(update == ("update".to_owned(), serde_json::json!({"id": 1})), "{update:?}");
        // The change is visible to whoever hears of it.
        let name = listener.rows("SELECT name FROM sandwiches WHERE id = 1")?;
        ensure!(name == [[Some(String::from("reuben"))]], "heard before it was visible: {name:?}");
        let delete = next_change(listener, "sandwiches")?;
        ensure!(delete == ("delete".to_owned(), serde_json::json!({"id": 2})), "{delete:?}");
    }
    cluster.finish()
}

#[test]
fn a_key_of_several_columns_is_told_whole() -> Result<()> {
    let cluster = Cluster::start("keys", 2)?;
    cluster.node(1).query("CREATE TABLE pairs (a int, b text, n int, PRIMARY KEY (a, b))")?;
    cluster.all_answer("SELECT count(*) FROM pairs", &["0"])?;
    let mut listener = cluster.node(2).connect()?;
    listener.execute("LISTEN pairs")?;
    cluster.node(1).query("INSERT INTO pairs VALUES (1, 'x \"y\"', 0)")?;
    let change = next_change(&mut listener, "pairs")?;
    let key = serde_json::json!({"a": 1, "b": "x \"y\""});
    ensure!(change == ("insert".to_owned(), key), "{change:?}");
    cluster.finish()
}

#[test]
fn notify_reaches_listeners_of_all_nodes() -> Result<()> {
    let cluster = Cluster::start("notify", 3)?;
    cluster.node(1).query("CREATE TABLE marker (id int PRIMARY KEY)")?;
    cluster.all_answer("SELECT count(*) FROM marker", &["0"])?;
    let mut listener = cluster.node(3).connect()?;
    listener.execute("LISTEN lunch")?;
    let mut local = cluster.node(1).connect()?;
    local.execute("LISTEN lunch")?;
    let mut speaker = cluster.node(1).connect()?;
    speaker.execute("BEGIN; NOTIFY lunch, 'never'; ROLLBACK")?;
    speaker.execute("NOTIFY lunch, 'ready'")?;
    speaker.execute("SELECT pg_notify('lunch', 'again')")?;
    for listener in [&mut listener, &mut local] {
        for payload in ["ready", "again"] {
            let heard = listener.notification()?;
            ensure!(heard == ("lunch".to_owned(), payload.to_owned()), "heard {heard:?}");
        }
    }
    listener.execute("UNLISTEN lunch")?;
    listener.execute("LISTEN dinner")?;
    speaker.execute("NOTIFY lunch, 'unheard'")?;
    speaker.execute("NOTIFY dinner")?;
    ensure!(listener.notification()? == ("dinner".to_owned(), String::new()));
    cluster.finish()
}
