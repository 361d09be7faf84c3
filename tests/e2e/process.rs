//! The command line: what starts, what is refused and why, and how a node ends.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use trellis_tests::cluster::Cluster;
use trellis_tests::server_binary::server_binary;
use trellis_tests::work_dir::WorkDir;

/// Runs `trellis` to its end.
fn trellis(arguments: &[&str]) -> Result<Output> {
    Command::new(server_binary()?).args(arguments).output().context("cannot run trellis")
}

/// Fails unless `trellis` refuses the arguments, with a message that contains `reason`.
fn assert_refused(arguments: &[&str], reason: &str) -> Result<()> {
    let output = trellis(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "{arguments:?} was accepted");
    ensure!(!said.contains("panicked"), "{arguments:?}: {said}");
    let found = said.to_lowercase().contains(&reason.to_lowercase());
    ensure!(found, "{arguments:?} does not say {reason:?}: {said}");
    Ok(())
}

#[test]
fn impossible_arguments_are_refused_with_a_reason() -> Result<()> {
    let directory = WorkDir::create("arguments")?;
    let data = directory.path().join("data");
    let data = data.to_str().context("not a text path")?;
    let start = ["start", "--data-dir", data];
    let with = |more: &[&'static str]| [&start[..], more].concat();
    assert_refused(&with(&["--listen", "0.0.0.0:0"]), "--tls-cert")?;
    let trusting = ["--listen", "0.0.0.0:0", "--plaintext", "allow", "--auth", "trust"];
    assert_refused(&with(&trusting), "authentication")?;
    assert_refused(&with(&["--listen", "127.0.0.1:0", "--gossip", "0.0.0.0:0"]), "authentication")?;
    assert_refused(&with(&["--listen", "nonsense"]), "nonsense")?;
    assert_refused(&with(&["--nonsense"]), "--nonsense")?;
    assert_refused(&["nonsense"], "nonsense")
}

#[test]
fn taken_ports_and_directories_are_refused_with_a_reason() -> Result<()> {
    let cluster = Cluster::start("taken", 1)?;
    let taken = cluster.node(1).endpoints().postgres.to_string();
    let other = cluster.directory().path().join("other");
    let other = other.to_str().context("not a text path")?;
    let any = "127.0.0.1:0";
    assert_refused(
        &["start", "--data-dir", other, "--listen", &taken, "--gossip", any, "--http", any],
        &taken,
    )?;
    let own = cluster.directory().path().join("node1");
    let own = own.to_str().context("not a text path")?;
    assert_refused(
        &["start", "--data-dir", own, "--listen", any, "--gossip", any, "--http", any],
        "in use",
    )?;
    cluster.finish()
}

#[test]
fn sigterm_ends_a_node_cleanly() -> Result<()> {
    let mut cluster = Cluster::start("sigterm", 1)?;
    cluster.node(1).query("CREATE TABLE t (id int PRIMARY KEY)")?;
    let _open = cluster.node(1).connect()?;
    let status = cluster.node_mut(1).stop()?;
    ensure!(status.success(), "it ended with {status}");
    cluster.node_mut(1).restart()?;
    cluster.all_answer("SELECT count(*) FROM t", &["0"])?;
    cluster.finish()
}

#[test]
fn a_database_that_another_program_wrote_to_is_refused_with_advice() -> Result<()> {
    let mut cluster = Cluster::start("foreign", 1)?;
    cluster.node(1).query("CREATE TABLE t (id int PRIMARY KEY, a text)")?;
    cluster.node(1).query("INSERT INTO t VALUES (1, 'one'), (2, 'two')")?;
    cluster.node(1).query("ANALYZE")?;
    let data = cluster.directory().path().join("node1");
    let database = data.join(trellis_replication::store::DATABASE_FILE);
    let data = data.to_str().context("not a text path")?.to_owned();
    let check = ["check", "--data-dir", &data];
    assert_refused(&check, "in use")?;
    cluster.node_mut(1).kill()?;
    ensure!(trellis(&check)?.status.success(), "a killed node's files are not whole");
    cluster.node_mut(1).restart()?;
    cluster.node_mut(1).stop()?;
    let report = String::from_utf8(trellis(&check)?.stdout)?;
    ensure!(report.starts_with("t: 2 rows, digest "), "{report}");
    rusqlite::Connection::open(&database)?
        .execute_batch("UPDATE t SET a = 'forged' WHERE id = 1")?;
    let any = "127.0.0.1:0";
    let start = ["start", "--data-dir", &data, "--listen", any, "--gossip", any, "--http", any];
    assert_refused(&start, "trellis check")?;
    let report = String::from_utf8(trellis(&check)?.stdout)?;
    ensure!(report.contains("finding: t: column a of row 1 is not what"), "{report}");
    assert_refused(&["check", "--accept", "--data-dir", &data], "1 finding")?;
    rusqlite::Connection::open(&database)?.execute_batch("UPDATE t SET a = 'one' WHERE id = 1")?;
    ensure!(trellis(&["check", "--accept", "--data-dir", &data])?.status.success(), "not accepted");
    cluster.node_mut(1).restart()?;
    cluster.all_answer("SELECT a FROM t ORDER BY id", &["one", "two"])?;
    cluster.finish()
}

#[test]
fn killed_under_load_it_keeps_what_it_acknowledged() -> Result<()> {
    let report = trellis_tests::kill::kill_rounds(8, 150, 1)?;
    ensure!(report.doubtful_starts == 0, "a kill was taken for a foreign write: {report:?}");
    ensure!(report.acknowledged > 8 && report.rows > 0, "{report:?}");
    Ok(())
}
