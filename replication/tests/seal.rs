//! What another program writes while no node runs is found at the next start; nothing else is taken for it.
//!
//! A node that ended by itself is a store that was dropped. One that was killed is a child of this test: it writes, ends
//! with one kind of commit, says so, and is killed.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use tempfile::TempDir;
use trellis_replication::store::{
    CheckHook, DATABASE_FILE, LogLimits, Store, StoreConnection, StoreError, StoreOptions,
    TableSpec, UNLOGGED_WRITE, accept_directory, check_directory,
};
use trellis_replication::types::{ColumnId, SiteId, TableId, Value};

/// The child finds its data directory here.
const DIRECTORY: &str = "TRELLIS_SEAL_DIRECTORY";

/// The child's last commit.
const LAST: &str = "TRELLIS_SEAL_LAST";

const FOREIGN_WRITES: [&str; 6] = [
    "UPDATE t SET a = 'forged' WHERE id = 1",
    "INSERT INTO t VALUES (100, 'forged', 1)",
    "DELETE FROM t WHERE id = 2",
    "CREATE TABLE other (a)",
    "ALTER TABLE t ADD COLUMN c INTEGER",
    "DROP TABLE t",
];

/// Counts how often a whole file is checked.
#[derive(Default)]
struct Counted(AtomicUsize);

impl CheckHook for Counted {
    fn check(&self, _sqlite: &Connection) -> rusqlite::Result<Vec<String>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Vec::new())
    }

    fn column_of(&self, _table: TableId, _key: &[Value]) -> Option<ColumnId> {
        None
    }
}

/// How a start went.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    Trusted,
    Checked,
    Refused,
}

fn start(directory: &Path) -> Start {
    let counted = Arc::new(Counted::default());
    let check = Some(Arc::clone(&counted) as Arc<dyn CheckHook>);
    match Store::open(directory, StoreOptions { check, ..options() }) {
        Ok(store) => {
            store.write(|sqlite| sqlite.execute_batch("UPDATE t SET b = b + 1").unwrap());
            match counted.0.load(Ordering::Relaxed) {
                0 => Start::Trusted,
                _ => Start::Checked,
            }
        }
        Err(StoreError::Changed { .. }) => Start::Refused,
        Err(error) => panic!("{error}"),
    }
}

fn options() -> StoreOptions {
    StoreOptions { site_id: Some(SiteId([1; 16])), ..StoreOptions::default() }
}

/// Writes through the store.
trait Writes {
    fn write_as(&self, change: impl FnOnce(&mut StoreConnection));

    fn write(&self, change: impl FnOnce(&Connection)) {
        self.write_as(|connection| change(connection.sqlite()));
    }
}

impl Writes for Store {
    fn write_as(&self, change: impl FnOnce(&mut StoreConnection)) {
        let mut connection = self.connect().unwrap();
        connection.begin(self.lease().acquire_uncancelled()).unwrap();
        change(&mut connection);
        if let Some(pending) = connection.commit().unwrap() {
            pending.wait().unwrap();
        }
    }
}

/// A database with a little in it.
fn fill(directory: &Path) -> Arc<Store> {
    let store = Store::open(directory, options()).unwrap();
    store.write_as(|connection| {
        let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER) STRICT;
                      CREATE TABLE local (a)";
        connection.sqlite().execute_batch(create).unwrap();
        let columns = (1..).map(ColumnId).zip(["id", "a", "b"].map(str::to_owned)).collect();
        let key = vec![ColumnId(1)];
        let spec = TableSpec { id: TableId(7), name: "t".into(), columns, key, system: false };
        connection.register_table(&spec).unwrap();
    });
    for id in 1..40 {
        let insert = format!("INSERT INTO t VALUES ({id}, hex(randomblob(500)), {id})");
        store.write(|sqlite| sqlite.execute_batch(&insert).unwrap());
    }
    store
}

fn foreign(directory: &Path, sql: &str) {
    let sqlite = Connection::open(directory.join(DATABASE_FILE)).unwrap();
    sqlite.execute_batch(sql).unwrap();
}

#[test]
fn at_rest_a_foreign_write_is_found_and_nothing_else() {
    let whole = tempfile::tempdir().unwrap();
    drop(fill(whole.path()));
    assert_eq!(start(whole.path()), Start::Trusted);
    foreign(whole.path(), "SELECT count(*) FROM t");
    assert_eq!(start(whole.path()), Start::Trusted);
    for write in FOREIGN_WRITES {
        let copy = copy_of(whole.path());
        foreign(copy.path(), write);
        assert_eq!(start(copy.path()), Start::Refused, "{write}");
        assert!(check_directory(copy.path(), &options()).unwrap().changed.is_some());
    }
    let copy = copy_of(whole.path());
    assert_eq!(start(copy.path()), Start::Trusted, "a copy is as good as the original");
}

#[test]
fn what_is_whole_can_be_accepted_and_what_is_not_cannot() {
    let directory = tempfile::tempdir().unwrap();
    drop(fill(directory.path()));
    foreign(directory.path(), "PRAGMA journal_mode = WAL; CREATE TABLE other (a)");
    assert_eq!(start(directory.path()), Start::Refused);
    let report = accept_directory(directory.path(), &options()).unwrap();
    assert!(report.changed.is_some() && report.findings.is_empty());
    assert_eq!(start(directory.path()), Start::Trusted);
    foreign(directory.path(), "UPDATE t SET a = 'forged' WHERE id = 3");
    let report = accept_directory(directory.path(), &options()).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(start(directory.path()), Start::Refused);
}

#[test]
fn killed_it_starts_without_doubt_whatever_it_did_last() {
    for last in ["logged", "unlogged", "analyze", "trim", "vacuum", "schema", "nothing"] {
        let directory = killed(last);
        assert_eq!(start(directory.path()), Start::Trusted, "{last}");
    }
}

#[test]
fn killed_a_foreign_write_is_found_and_a_foreign_read_is_none() {
    let directory = killed("logged");
    // As the last to close the file, it takes the write-ahead log away.
    foreign(directory.path(), "SELECT count(*) FROM t");
    assert!(!directory.path().join("trellis.db-wal").exists());
    assert_eq!(start(directory.path()), Start::Trusted);
    for write in FOREIGN_WRITES {
        let directory = killed("logged");
        foreign(directory.path(), write);
        assert_eq!(start(directory.path()), Start::Refused, "{write}");
    }
}

#[test]
fn a_copy_of_a_killed_nodes_files_is_checked() {
    let directory = killed("logged");
    let copy = copy_of(directory.path());
    assert_eq!(start(copy.path()), Start::Checked);
    let copy = copy_of(directory.path());
    foreign(copy.path(), "UPDATE t SET a = 'forged' WHERE id = 1");
    assert_eq!(start(copy.path()), Start::Refused);
}

fn copy_of(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// The directory of a node that was killed after a commit of the kind `last`.
fn killed(last: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_and_waits", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .env(LAST, last)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("written")), "the child failed at {last}");
    child.kill().unwrap();
    child.wait().unwrap();
    directory
}

/// The child; without its directory there is nothing to do.
#[test]
fn writes_and_waits() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = fill(Path::new(&directory));
    match std::env::var(LAST).unwrap().as_str() {
        "logged" => store.write(|sqlite| sqlite.execute_batch("UPDATE t SET b = 0").unwrap()),
        "unlogged" => {
            store.write(|sqlite| sqlite.execute_batch("INSERT INTO local VALUES (1)").unwrap());
            let none = "INSERT INTO t VALUES (50, 'x', 1); DELETE FROM t WHERE id = 50";
            store.write(|sqlite| sqlite.execute_batch(none).unwrap());
        }
        "analyze" => store.write(|sqlite| {
            sqlite.execute_batch(&format!("{UNLOGGED_WRITE}; ANALYZE")).unwrap();
        }),
        "trim" => {
            store.trim(&store.heads(), &LogLimits::NEEDED).unwrap();
        }
        "vacuum" => {
            store.write(|sqlite| sqlite.execute_batch("DELETE FROM t").unwrap());
            store.trim(&store.heads(), &LogLimits::NEEDED).unwrap();
            store.vacuum().unwrap();
        }
        "schema" => store.write_as(|connection| {
            connection.sqlite().execute_batch("DROP TABLE t").unwrap();
            connection.unregister_table(TableId(7)).unwrap();
            connection.sqlite().execute_batch("CREATE TABLE t (id, b)").unwrap();
        }),
        _ => {}
    }
    println!("written");
    std::io::stdout().flush().unwrap();
    // Until killed: standard input is a pipe that nobody writes to.
    let _end = std::io::stdin().lines().next();
}
