//! Rounds of `kill -9` on a node under load: what was acknowledged is there afterwards, and nothing is there twice.
//!
//! Writers on connections of their own insert rows with `serial` keys, move amounts between two rows of a ledger, delete
//! what they inserted before, and now and then change the schema. Each keeps a journal of what was acknowledged. At a random
//! moment the node is killed; `trellis check` looks at its files; it is started again and has to show
//!
//! 1. every row whose insert was acknowledged, and none whose delete was;
//! 2. the ledger in balance: no transaction is torn;
//! 3. no two acknowledged inserts with one key;
//! 4. positions and versions without gaps, and rows that fit their clocks and the log (`trellis check`);
//! 5. no doubt about who wrote the files last: a kill is never taken for the write of another program.
//!
//! What was under way when the node died may have happened or not.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::Cluster;
use crate::server_binary::server_binary;
use crate::wait;
use crate::wire::Connection;

/// Connections that write at once.
const WRITERS: u64 = 6;

/// What the rounds added up to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct KillReport {
    /// Kills.
    pub rounds: u64,
    /// Transactions that were acknowledged, over all rounds.
    pub acknowledged: u64,
    /// Rows that are there in the end.
    pub rows: u64,
    /// Starts that were in doubt about who wrote the files last, and checked all of them.
    pub doubtful_starts: u64,
}

/// What a writer knows to have happened.
#[derive(Default)]
struct Journal {
    /// Keys of acknowledged inserts that were not deleted since.
    present: BTreeSet<i64>,
    /// Keys of acknowledged deletes.
    deleted: BTreeSet<i64>,
    /// Keys of deletes that were not acknowledged.
    unsure: BTreeSet<i64>,
    acknowledged: u64,
}

/// Kills a node `rounds` times; each time after between one and `commits_max` acknowledged commits, drawn from `seed`.
///
/// # Errors
/// The first promise that does not hold; the files are kept.
pub fn kill_rounds(rounds: u64, commits_max: u64, seed: u64) -> Result<KillReport> {
    let mut cluster = Cluster::start("kill", 1)?;
    cluster
        .node(1)
        .query("CREATE TABLE journal (id bigserial PRIMARY KEY, writer int, note text)")?;
    cluster.node(1).query("CREATE TABLE ledger (id int PRIMARY KEY, balance bigint NOT NULL)")?;
    cluster.node(1).query("INSERT INTO ledger SELECT g, 1000 FROM generate_series(1, 10) g")?;
    let mut report = KillReport::default();
    let mut journal = Journal::default();
    let mut random = seed | 1;
    for round in 1..=rounds {
        let commits = 1 + next(&mut random) % commits_max;
        load(&mut cluster, round, commits, &mut journal)
            .with_context(|| format!("round {round}, seed {seed}"))?;
        check(&cluster)?;
        cluster.node_mut(1).restart().with_context(|| format!("round {round}, seed {seed}"))?;
        report.rows =
            verify(&cluster, &journal).with_context(|| format!("round {round}, seed {seed}"))?;
        report.rounds = round;
    }
    report.acknowledged = journal.acknowledged;
    let log = std::fs::read_to_string(cluster.node(1).log())?;
    report.doubtful_starts = log.matches("another program may have written").count().try_into()?;
    cluster.finish()?;
    Ok(report)
}

/// The next of a sequence of numbers (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Writes from all sides and kills the node once `commits` are acknowledged.
fn load(cluster: &mut Cluster, round: u64, commits: u64, journal: &mut Journal) -> Result<()> {
    let (acknowledged, killed) = (AtomicU64::new(0), AtomicBool::new(false));
    let address = cluster.node(1).endpoints().postgres;
    let known: Vec<i64> = journal.present.iter().copied().collect();
    let journals = thread::scope(|scope| -> Result<Vec<Journal>> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let is_mine = |id: &i64| id.cast_unsigned() % WRITERS == writer;
                let mine: Vec<i64> = known.iter().copied().filter(is_mine).collect();
                let (acknowledged, killed) = (&acknowledged, &killed);
                scope.spawn(move || {
                    let mut writer =
                        Writer { number: writer, round, mine, journal: Journal::default() };
                    let ended = Connection::open(address)
                        .and_then(|mut session| writer.run(&mut session, acknowledged));
                    // A connection that breaks before the kill is a failure of the server.
                    match ended {
                        Err(error) if !killed.load(Ordering::SeqCst) => Err(error),
                        _ => Ok(writer.journal),
                    }
                })
            })
            .collect();
        let enough = wait::until("the acknowledged commits", || {
            let all_ended = writers.iter().all(thread::ScopedJoinHandle::is_finished);
            let enough = acknowledged.load(Ordering::SeqCst) >= commits;
            Ok((enough || all_ended).then_some(()))
        });
        killed.store(true, Ordering::SeqCst);
        cluster.node_mut(1).kill()?;
        enough?;
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).collect()
    })?;
    for ended in journals {
        for id in &ended.present {
            ensure!(!journal.deleted.contains(id), "key {id} was given out twice");
            ensure!(journal.present.insert(*id), "key {id} was given out twice");
        }
        for id in ended.deleted.iter().chain(&ended.unsure) {
            journal.present.remove(id);
        }
        journal.deleted.extend(ended.deleted);
        journal.acknowledged += ended.acknowledged;
    }
    Ok(())
}

/// One connection's work.
struct Writer {
    number: u64,
    round: u64,
    /// Rows of earlier rounds that only this writer deletes.
    mine: Vec<i64>,
    journal: Journal,
}

impl Writer {
    /// Writes until the connection breaks.
    fn run(&mut self, session: &mut Connection, acknowledged: &AtomicU64) -> Result<()> {
        for step in 0_u64.. {
            match step % 4 {
                0 | 1 => self.insert(session, step)?,
                2 => self.transfer(session, step)?,
                _ => self.delete(session)?,
            }
            if self.number == 0 && step % 16 == 9 {
                session.execute(&format!(
                    "CREATE TABLE born_{}_{step} (id int PRIMARY KEY)",
                    self.round
                ))?;
            }
            self.journal.acknowledged += 1;
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn insert(&mut self, session: &mut Connection, step: u64) -> Result<()> {
        let (number, round) = (self.number, self.round);
        let rows = session.rows(&format!(
            "INSERT INTO journal (writer, note) VALUES ({number}, 'round {round} step {step}') RETURNING id"
        ))?;
        let Some(Some(id)) = rows.first().and_then(|row| row.first()) else { bail!("no key") };
        let is_new = self.journal.present.insert(id.parse()?);
        ensure!(is_new, "key {id} was given out twice");
        Ok(())
    }

    /// Two updates in one transaction.
    fn transfer(&self, session: &mut Connection, step: u64) -> Result<()> {
        let (from, to) = ((self.number + step) % 10 + 1, (self.number * 3 + step + 1) % 10 + 1);
        session.execute(&format!(
            "UPDATE ledger SET balance = balance - 7 WHERE id = {from}; \
             UPDATE ledger SET balance = balance + 7 WHERE id = {to}"
        ))
    }

    fn delete(&mut self, session: &mut Connection) -> Result<()> {
        let Some(id) = self.mine.pop() else { return Ok(()) };
        self.journal.unsure.insert(id);
        session.execute(&format!("DELETE FROM journal WHERE id = {id}"))?;
        self.journal.unsure.remove(&id);
        self.journal.deleted.insert(id);
        Ok(())
    }
}

/// Runs `trellis check` on the files of the killed node.
fn check(cluster: &Cluster) -> Result<()> {
    let data = cluster.directory().path().join(cluster.node(1).name());
    let output =
        Command::new(server_binary()?).arg("check").arg("--data-dir").arg(&data).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "trellis check: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Compares the node with the journal; returns how many rows there are.
fn verify(cluster: &Cluster, journal: &Journal) -> Result<u64> {
    let rows = cluster.node(1).query("SELECT id FROM journal")?;
    let ids = rows.iter().filter_map(|row| row.first()?.as_deref()).map(str::parse);
    let found: BTreeSet<i64> = ids.collect::<Result<_, _>>()?;
    ensure!(found.len() == rows.len(), "a key is there twice");
    let lost: Vec<_> = journal.present.difference(&found).take(5).collect();
    ensure!(lost.is_empty(), "acknowledged rows are lost: {lost:?}");
    let risen: Vec<_> = journal.deleted.intersection(&found).take(5).collect();
    ensure!(risen.is_empty(), "deleted rows are back: {risen:?}");
    let sum = cluster.node(1).query("SELECT sum(balance) FROM ledger")?;
    ensure!(sum == [[Some("10000".to_owned())]], "the ledger is out of balance: {sum:?}");
    Ok(found.len().try_into()?)
}
