//! Whatever happens between them, nodes that have heard the same end with equal tables.

use std::time::Duration;

use anyhow::{Result, ensure};
use trellis_tests::cluster::Cluster;

/// The question that compares whole tables.
const ALL: &str = "SELECT * FROM stock ORDER BY id";

/// Creates table `stock` on node 1, fills it with `rows` rows, and waits until all nodes have them.
fn stocked(cluster: &Cluster, rows: usize) -> Result<()> {
    let mut session = cluster.node(1).connect()?;
    session.execute(
        "CREATE TABLE stock (id int PRIMARY KEY, name text, n int NOT NULL DEFAULT 0, note text)",
    )?;
    session.execute(&format!(
        "INSERT INTO stock (id, name) SELECT g, 'item ' || g FROM generate_series(1, {rows}) g"
    ))?;
    cluster.all_answer("SELECT count(*) FROM stock", &[&rows.to_string()])
}

#[test]
fn a_row_written_on_one_node_is_read_on_all() -> Result<()> {
    let cluster = Cluster::start("row", 3)?;
    stocked(&cluster, 10)?;
    cluster.node(2).query("INSERT INTO stock VALUES (11, 'from two', 2, NULL)")?;
    cluster.node(3).query("UPDATE stock SET n = 3 WHERE id = 1")?;
    cluster.node(1).query("DELETE FROM stock WHERE id = 2")?;
    cluster.all_answer("SELECT name FROM stock WHERE id = 11", &["from two"])?;
    cluster.all_answer("SELECT n FROM stock WHERE id = 1", &["3"])?;
    cluster.all_answer("SELECT count(*) FROM stock", &["10"])?;
    cluster.agree(ALL)?;
    cluster.finish()
}

#[test]
fn schema_changes_travel_ahead_of_their_data() -> Result<()> {
    let cluster = Cluster::start("schema", 3)?;
    stocked(&cluster, 3)?;
    let mut session = cluster.node(2).connect()?;
    session.execute("BEGIN")?;
    session.execute("ALTER TABLE stock ADD COLUMN colour text DEFAULT 'grey'")?;
    session.execute("UPDATE stock SET colour = 'green' WHERE id = 2")?;
    session.execute("COMMIT")?;
    session.execute("CREATE INDEX stock_colour ON stock (colour)")?;
    cluster.all_answer("SELECT colour FROM stock ORDER BY id", &["grey", "green", "grey"])?;
    cluster.node(1).query("DROP TABLE stock")?;
    cluster.all_answer("SELECT count(*) FROM pg_class WHERE relname = 'stock'", &["0"])?;
    cluster.finish()
}

#[test]
fn a_materialized_view_shows_its_last_refresh_on_all_nodes() -> Result<()> {
    let cluster = Cluster::start("materialized", 3)?;
    stocked(&cluster, 10)?;
    cluster.node(1).query(
        "CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS items, max(id) AS top FROM stock",
    )?;
    cluster.all_answer("SELECT items || '/' || top FROM summary", &["10/10"])?;
    cluster.node(2).query("INSERT INTO stock (id, name) VALUES (11, 'more')")?;
    cluster.all_answer("SELECT count(*) FROM stock", &["11"])?;
    cluster.all_answer("SELECT items || '/' || top FROM summary", &["10/10"])?;
    cluster.node(3).query("REFRESH MATERIALIZED VIEW summary")?;
    cluster.all_answer("SELECT items || '/' || top FROM summary", &["11/11"])?;
    // Refreshed on all nodes at once: one of the refreshes is the last on all of them.
    std::thread::scope(|scope| {
        let refreshes = cluster
            .nodes()
            .iter()
            .map(|node| scope.spawn(|| node.query("REFRESH MATERIALIZED VIEW summary").map(drop)));
        let refreshes: Vec<_> = refreshes.collect();
        refreshes.into_iter().try_for_each(|it| it.join().expect("no panic"))
    })?;
    // Each origin's transactions arrive in their order: where these rows are, the refreshes are.
    for node in cluster.nodes() {
        node.query("INSERT INTO stock (id) SELECT min(id) - 1 FROM stock")?;
        let low = node.query("SELECT -min(id) FROM stock")?[0][0].clone().unwrap_or_default();
        cluster.all_answer("SELECT -min(id) FROM stock", &[&low])?;
    }
    cluster.node(1).query("REFRESH MATERIALIZED VIEW summary WITH NO DATA")?;
    for node in cluster.nodes() {
        trellis_tests::wait::until("the view to be empty", || {
            let answer = node.query("SELECT * FROM summary");
            Ok(answer.err().filter(|error| format!("{error:#}").contains("55000")))
        })?;
    }
    cluster.node(2).query("REFRESH MATERIALIZED VIEW summary")?;
    cluster.all_answer("SELECT items || '/' || top FROM summary", &["14/11"])?;
    cluster.node(2).query("DROP MATERIALIZED VIEW summary")?;
    cluster.all_answer("SELECT count(*) FROM pg_class WHERE relname = 'summary'", &["0"])?;
    cluster.finish()
}

#[test]
fn concurrent_updates_and_deletes_end_equal() -> Result<()> {
    let cluster = Cluster::start("concurrent", 3)?;
    stocked(&cluster, 200)?;
    let writers = std::thread::scope(|scope| {
        let writers: Vec<_> = [1, 2]
            .map(|number| {
                let node = cluster.node(number);
                scope.spawn(move || -> Result<()> {
                    let mut session = node.connect()?;
                    for id in 1..=200 {
                        let value = number * 1000 + id;
                        session
                            .execute(&format!("UPDATE stock SET n = {value} WHERE id = {id}"))?;
                        if id % (number + 4) == 0 {
                            session.execute(&format!("DELETE FROM stock WHERE id = {id}"))?;
                        }
                    }
                    Ok(())
                })
            })
            .into_iter()
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect::<Vec<_>>()
    });
    writers.into_iter().collect::<Result<Vec<()>>>()?;
    for node in cluster.nodes() {
        node.query("INSERT INTO stock (id, name) VALUES (1000 + (SELECT count(*) FROM stock WHERE id > 1000), 'end') ON CONFLICT DO NOTHING")?;
    }
    let rows = cluster.agree(ALL)?;
    ensure!(rows.len() < 200, "no row was deleted");
    cluster.finish()
}

#[test]
fn a_killed_node_comes_back_with_everything() -> Result<()> {
    let mut cluster = Cluster::start("killed", 3)?;
    stocked(&cluster, 50)?;
    // Acknowledged just before the kill: must survive it.
    cluster.node(2).query("INSERT INTO stock (id, name) VALUES (500, 'acknowledged')")?;
    cluster.node_mut(2).kill()?;
    let mut session = cluster.node(1).connect()?;
    session.execute("UPDATE stock SET note = 'while two was down' WHERE id <= 25")?;
    session.execute("CREATE TABLE born_meanwhile (id int PRIMARY KEY)")?;
    session.execute("INSERT INTO born_meanwhile VALUES (1)")?;
    cluster.node_mut(2).restart()?;
    let own = cluster.node(2).query("SELECT name FROM stock WHERE id = 500")?;
    ensure!(own.len() == 1, "an acknowledged row was lost by kill -9");
    cluster.all_answer("SELECT count(*) FROM stock WHERE note IS NOT NULL", &["25"])?;
    cluster.all_answer("SELECT count(*) FROM born_meanwhile", &["1"])?;
    cluster.all_answer("SELECT name FROM stock WHERE id = 500", &["acknowledged"])?;
    cluster.node(2).query("DELETE FROM stock WHERE id = 500")?;
    cluster.all_answer("SELECT count(*) FROM stock WHERE id = 500", &["0"])?;
    cluster.agree(ALL)?;
    cluster.finish()
}

#[test]
fn a_whole_cluster_that_was_killed_starts_again() -> Result<()> {
    let mut cluster = Cluster::start("restart", 3)?;
    stocked(&cluster, 20)?;
    for number in 1..=3 {
        cluster.node_mut(number).kill()?;
    }
    for number in [3, 2, 1] {
        cluster.node_mut(number).restart()?;
    }
    cluster.node(3).query("UPDATE stock SET n = 1")?;
    cluster.all_answer("SELECT sum(n) FROM stock", &["20"])?;
    cluster.agree(ALL)?;
    cluster.finish()
}

#[test]
fn an_empty_node_that_joins_gets_everything() -> Result<()> {
    let mut cluster = Cluster::start("joiner", 3)?;
    stocked(&cluster, 2_000)?;
    cluster.node(2).query("UPDATE stock SET n = id WHERE id % 2 = 0")?;
    cluster.node(3).query("DELETE FROM stock WHERE id % 10 = 0")?;
    let number = cluster.add_node()?;
    cluster.all_answer("SELECT count(*) FROM stock", &["1800"])?;
    cluster.node(number).query("INSERT INTO stock (id, name) VALUES (5000, 'from the new one')")?;
    cluster.all_answer("SELECT name FROM stock WHERE id = 5000", &["from the new one"])?;
    cluster.agree(ALL)?;
    cluster.finish()
}

/// A node whose database was restored from an older copy, and that was written to before it met the others, keeps what it
/// did before and after the copy was made, and what it did as the copy.
#[test]
fn a_restored_node_keeps_both_of_its_pasts() -> Result<()> {
    let mut cluster = Cluster::start("restored", 2)?;
    stocked(&cluster, 20)?;
    cluster.node(2).query("INSERT INTO stock (id, name) VALUES (600, 'before the copy')")?;
    cluster.all_answer("SELECT name FROM stock WHERE id = 600", &["before the copy"])?;
    cluster.node_mut(2).stop()?;
    let database = cluster.node(2).data_dir().join("trellis.db");
    let copy = database.with_extension("copy");
    std::fs::copy(&database, &copy)?;
    cluster.node_mut(2).restart()?;
    cluster.node(2).query("INSERT INTO stock (id, name) VALUES (601, 'after the copy')")?;
    cluster.all_answer("SELECT name FROM stock WHERE id = 601", &["after the copy"])?;
    for number in [1, 2] {
        cluster.node_mut(number).stop()?;
    }
    std::fs::rename(&copy, &database)?;
    cluster.node_mut(2).restart()?;
    cluster.node(2).query("INSERT INTO stock (id, name) VALUES (602, 'of the copy')")?;
    cluster.node(2).query("UPDATE stock SET n = 7 WHERE id = 1")?;
    cluster.node_mut(1).restart()?;
    cluster.all_answer("SELECT count(*) FROM stock WHERE id >= 600", &["3"])?;
    cluster.all_answer("SELECT n FROM stock WHERE id = 1", &["7"])?;
    cluster.agree(ALL)?;
    cluster.node(2).query("DELETE FROM stock WHERE id = 602")?;
    cluster.all_answer("SELECT count(*) FROM stock WHERE id = 602", &["0"])?;
    cluster.finish()
}

#[test]
fn a_partition_heals_to_equal_tables() -> Result<()> {
    let cluster = Cluster::start_relayed("partition", 3)?;
    stocked(&cluster, 30)?;
    cluster.relay()?.partition(&[1, 2], &[3]);
    // Both sides serve and take writes, also to the same rows.
    cluster.node(1).query("UPDATE stock SET n = 100, note = 'majority' WHERE id <= 20")?;
    cluster.node(3).query("UPDATE stock SET n = 300 WHERE id > 10")?;
    cluster.node(3).query("DELETE FROM stock WHERE id = 5")?;
    cluster.node(2).query("INSERT INTO stock (id, name) VALUES (102, 'two')")?;
    cluster.node(3).query("INSERT INTO stock (id, name) VALUES (103, 'three')")?;
    let on_two = "SELECT count(*) FROM stock WHERE note = 'majority'";
    trellis_tests::wait::until("node 2 to hear of node 1", || {
        let rows = cluster.node(2).query(on_two)?;
        Ok((rows == [[Some(String::from("20"))]]).then_some(()))
    })?;
    let apart =
        cluster.node(3).query("SELECT count(*) FROM stock WHERE id = 102 OR note = 'majority'")?;
    ensure!(apart == [[Some(String::from("0"))]], "the partition leaks: {apart:?}");
    cluster.relay()?.heal();
    cluster.all_answer("SELECT id FROM stock WHERE id > 100 ORDER BY id", &["102", "103"])?;
    cluster.all_answer("SELECT count(*) FROM stock WHERE n = 300 AND id > 20", &["10"])?;
    cluster.agree(ALL)?;
    cluster.finish()
}

#[test]
fn lost_and_late_datagrams_only_delay() -> Result<()> {
    let cluster = Cluster::start_relayed("lossy", 3)?;
    cluster.relay()?.disturb(Duration::from_millis(5), 5);
    stocked(&cluster, 100)?;
    for (number, id) in (1..=3).cycle().zip(1..=60) {
        cluster.node(number).query(&format!("UPDATE stock SET n = n + 1 WHERE id = {id}"))?;
    }
    cluster.all_answer("SELECT sum(n) FROM stock", &["60"])?;
    cluster.agree(ALL)?;
    cluster.finish()
}

#[test]
fn transactions_arrive_whole_and_in_order() -> Result<()> {
    let cluster = Cluster::start("whole", 2)?;
    let mut writer = cluster.node(1).connect()?;
    writer.execute("CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)")?;
    writer.execute("INSERT INTO accounts SELECT g, 100 FROM generate_series(1, 10) g")?;
    cluster.all_answer("SELECT sum(balance) FROM accounts", &["1000"])?;
    let mut reader = cluster.node(2).connect()?;
    for round in 1..=100 {
        writer.execute("BEGIN")?;
        let (from, to) = (round % 10 + 1, (round + 3) % 10 + 1);
        writer.execute(&format!("UPDATE accounts SET balance = balance - 7 WHERE id = {from}"))?;
        writer.execute(&format!("UPDATE accounts SET balance = balance + 7 WHERE id = {to}"))?;
        writer.execute("COMMIT")?;
        let sum = reader.rows("SELECT sum(balance) FROM accounts")?;
        ensure!(sum == [[Some(String::from("1000"))]], "a torn transaction is visible: {sum:?}");
    }
    cluster.agree("SELECT * FROM accounts ORDER BY id")?;
    cluster.finish()
}

#[test]
fn what_a_schema_computes_is_computed_when_rows_are_merged() -> Result<()> {
    let cluster = Cluster::start_relayed("computed", 2)?;
    let mut session = cluster.node(1).connect()?;
    session.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')")?;
    session.execute(
        "CREATE TABLE person (id int PRIMARY KEY, m mood, a int, b int,
         better bool GENERATED ALWAYS AS (m > 'ok') STORED,
         share int GENERATED ALWAYS AS (100 / (a - b)) STORED)",
    )?;
    session.execute("CREATE INDEX person_mood ON person (m, share)")?;
    session.execute("INSERT INTO person VALUES (1, 'happy', 1, 2), (2, 'sad', 5, 3)")?;
    cluster.all_answer("SELECT share FROM person ORDER BY id", &["-100", "50"])?;
    cluster.relay()?.partition(&[1], &[2]);
    cluster.node(1).query("UPDATE person SET a = 7, m = 'ok' WHERE id = 1")?;
    cluster.node(2).query("UPDATE person SET b = 7, m = 'sad' WHERE id = 1")?;
    cluster.node(2).query("INSERT INTO person VALUES (3, 'happy', 3, 2)")?;
    cluster.relay()?.heal();
    // Neither writer divided by zero; what they wrote together does.
    let all = "SELECT id, m, a, b, better, share FROM person ORDER BY m, share, id";
    cluster.all_answer("SELECT a - b FROM person ORDER BY id", &["0", "2", "1"])?;
    cluster.agree(all)?;
    cluster.all_answer("SELECT share FROM person ORDER BY m, id", &["NULL", "50", "100"])?;
    cluster.finish()
}
