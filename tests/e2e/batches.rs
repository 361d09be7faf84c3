//! Single statements of many sessions are committed together, and each is answered as if it were alone.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use trellis_tests::cluster::Cluster;
use trellis_tests::node::Node;
use trellis_tests::wire::{Connection, Message};

/// Sessions at once.
const SESSIONS: usize = 12;

/// Statements of each.
const ROUNDS: usize = 60;

/// Runs `work` in many sessions at once, each with its number; what they returned.
fn in_sessions<T: Send>(
    node: &Node,
    work: impl Fn(usize, &mut Connection) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let run = |number| {
            let work = &work;
            scope.spawn(move || work(number, &mut node.connect()?))
        };
        let running: Vec<_> = (0..SESSIONS).map(run).collect();
        let done = running.into_iter().map(|it| it.join().map_err(|_panic| anyhow!("a panic"))?);
        done.collect()
    })
}

fn error_of(session: &mut Connection, sql: &str) -> Result<String> {
    let answer = session.query(sql)?;
    let error = answer.into_iter().find_map(|message| match message {
        Message::Error(fields) => Some(fields),
        _ => None,
    });
    Ok(error.with_context(|| format!("{sql} did not fail"))?.sqlstate().to_owned())
}

#[test]
fn each_statement_of_a_batch_is_answered_alone() -> Result<()> {
    let cluster = Cluster::start("batches", 2)?;
    let node = cluster.node(1);
    node.query(
        "CREATE TABLE t (id serial PRIMARY KEY, session int NOT NULL, n int NOT NULL CHECK (n <> 13),
            who text DEFAULT current_setting('application_name'), at timestamptz DEFAULT now(),
            UNIQUE (session, n))",
    )?;
    node.query("CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)")?;
    node.query("INSERT INTO counter VALUES (1, 0)")?;
    let given = in_sessions(node, |number, session| {
        session.execute(&format!("SET application_name = 'session {number}'"))?;
        let mut given = Vec::new();
        for n in 0..ROUNDS {
            let insert = format!("INSERT INTO t (session, n) VALUES ({number}, {n})");
            match n {
                13 => ensure!(error_of(session, &insert)? == "23514", "a check was passed"),
                14 => {
                    session.execute(&insert)?;
                    ensure!(error_of(session, &insert)? == "23505", "a key was taken twice");
                }
                _ => {
                    let rows = session.rows(&format!("{insert} RETURNING id, session, who"))?;
                    let [row] = rows.as_slice() else { return Err(anyhow!("rows: {rows:?}")) };
                    let [Some(id), Some(whose), Some(who)] = row.as_slice() else {
                        return Err(anyhow!("a row: {row:?}"));
                    };
                    ensure!(whose.parse::<usize>()? == number, "another's row: {row:?}");
                    ensure!(*who == format!("session {number}"), "another's setting: {row:?}");
                    given.push(id.clone());
                }
            }
            session.execute("UPDATE counter SET n = n + 1 WHERE id = 1")?;
        }
        Ok(given)
    })?;
    let given: Vec<String> = given.into_iter().flatten().collect();
    let different: BTreeSet<&String> = given.iter().collect();
    ensure!(different.len() == given.len(), "a number was given twice");
    let expected = format!("{} {}", SESSIONS * (ROUNDS - 1), SESSIONS * ROUNDS);
    let sql = "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT n FROM counter)";
    cluster.all_answer(sql, &[&expected])?;
    let alike = "SELECT count(*) FROM t WHERE at > now() OR who <> 'session ' || session";
    ensure!(node.query(alike)? == [[Some("0".to_owned())]], "rows with another's values");
    cluster.finish()
}

/// A failed statement, run once more by its own session, does not take another number.
#[test]
fn a_refused_job_takes_no_number_twice() -> Result<()> {
    let cluster = Cluster::start("numbers", 1)?;
    let mut session = cluster.node(1).connect()?;
    session.execute("CREATE TABLE t (id serial PRIMARY KEY, n int UNIQUE)")?;
    session.execute("INSERT INTO t (n) VALUES (1)")?;
    ensure!(error_of(&mut session, "INSERT INTO t (n) VALUES (1)")? == "23505", "no error");
    let rows = session.rows("INSERT INTO t (n) VALUES (2) RETURNING id")?;
    // As in PostgreSQL: the failed statement has taken 2.
    ensure!(rows == [[Some("3".to_owned())]], "{rows:?}");
    cluster.finish()
}

/// A statement that waits does not keep others waiting with it, and ends when its time is over or it is cancelled.
#[test]
fn what_waits_is_not_run_in_a_batch() -> Result<()> {
    let cluster = Cluster::start("waiting", 1)?;
    let node = cluster.node(1);
    node.query("CREATE TABLE t (id int PRIMARY KEY, v text)")?;
    let mut holder = node.connect()?;
    holder.execute("SELECT pg_advisory_lock(7)")?;
    let mut late = node.connect()?;
    late.execute("SET statement_timeout = '200ms'")?;
    let state = error_of(&mut late, "INSERT INTO t SELECT 1, pg_sleep(600)::text")?;
    ensure!(state == "57014", "SQLSTATE {state}");
    let state = error_of(&mut late, "INSERT INTO t SELECT 2, pg_advisory_lock(7)::text")?;
    ensure!(state == "57014", "SQLSTATE {state}");
    // While one has the lease, the others' jobs wait, and end with their timeouts.
    holder.execute("BEGIN; INSERT INTO t VALUES (3, 'held')")?;
    late.execute("SET lock_timeout = '10ms'; SET statement_timeout = 0")?;
    let answer = error_of(&mut late, "INSERT INTO t VALUES (3, 'late')");
    holder.execute("COMMIT")?;
    let state = answer?;
    ensure!(state == "55P03" || state == "23505", "SQLSTATE {state}");
    late.execute("RESET lock_timeout; INSERT INTO t VALUES (4, 'after')")?;
    ensure!(
        node.query("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t")?
            == [[Some("3 4".to_owned())]],
        "rows"
    );
    cluster.finish()
}

/// Each job is judged by itself: a row whose parent only another session's job brings is refused.
#[test]
fn deferred_constraints_are_checked_job_by_job() -> Result<()> {
    let cluster = Cluster::start("deferred", 1)?;
    let node = cluster.node(1);
    node.query("CREATE TABLE parent (id int PRIMARY KEY)")?;
    node.query(
        "CREATE TABLE child (id serial PRIMARY KEY,
            parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )?;
    in_sessions(node, |number, session| {
        for round in 0..ROUNDS {
            let id = round * SESSIONS + number;
            let child = format!("INSERT INTO child (parent) VALUES ({id})");
            let state = error_of(session, &child)?;
            ensure!(state == "23503", "SQLSTATE {state}");
            session.execute(&format!("INSERT INTO parent VALUES ({id})"))?;
            session.execute(&child)?;
        }
        Ok(())
    })?;
    let rows = (SESSIONS * ROUNDS).to_string();
    cluster.all_answer("SELECT count(*) FROM child JOIN parent ON parent.id = parent", &[&rows])?;
    cluster.finish()
}

/// A statement that takes long is stopped in the batch and run by its session; those who came with it lose nothing.
#[test]
fn a_long_statement_takes_no_other_along() -> Result<()> {
    let cluster = Cluster::start("long", 1)?;
    let node = cluster.node(1);
    node.query("CREATE TABLE t (id bigint PRIMARY KEY, n int)")?;
    in_sessions(node, |number, session| {
        for round in 0..ROUNDS {
            let id = number * 1_000 + round;
            if number == 0 && round % 20 == 0 {
                let from = 1_000_000 + round * 100_000;
                let sql = format!(
                    "INSERT INTO t SELECT g, 0 FROM generate_series({from}, {}) g",
                    from + 19_999
                );
                session.execute(&sql)?;
            }
            session.execute(&format!("INSERT INTO t VALUES ({id}, 1)"))?;
        }
        Ok(())
    })?;
    let expected = format!("{} {}", 3 * 20_000, SESSIONS * ROUNDS);
    let sql = "SELECT count(*) FILTER (WHERE n = 0) || ' ' || count(*) FILTER (WHERE n = 1) FROM t";
    cluster.all_answer(sql, &[&expected])?;
    cluster.finish()
}
