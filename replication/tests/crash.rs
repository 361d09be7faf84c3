//! A process that is killed loses nothing that it acknowledged, and never uses a version twice.
//!
//! The test starts itself as a child that writes from two sessions and prints each commit once it is durable, kills it at
//! an arbitrary moment, and looks at what the file says.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use trellis_replication::store::{LogSlice, Store, StoreOptions, TableSpec};
use trellis_replication::types::{ColumnId, DbVersion, SiteId, TableId};

/// The child finds its data directory here.
const DIRECTORY: &str = "TRELLIS_CRASH_DIRECTORY";

/// How often a child is killed.
const ROUNDS: usize = 8;

#[test]
fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_killed", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut commits =
            lines.filter_map(|line| line.strip_prefix("durable ")?.parse::<i64>().ok());
        acknowledged.extend(commits.by_ref().take(20 + round * 13));
        child.kill().unwrap();
        // What it still printed before it died was acknowledged as well.
        acknowledged.extend(commits);
        child.wait().unwrap();
        verify(directory.path(), &acknowledged);
    }
}

fn verify(directory: &Path, acknowledged: &[i64]) {
    let store = Store::open(directory, StoreOptions::default()).unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    let connection = store.connect().unwrap();
    let mut find = connection.sqlite().prepare("SELECT 1 FROM t WHERE id = ?1").unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !find.exists([**id]).unwrap()).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    let rows: i64 =
        connection.sqlite().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    let rows = rows.cast_unsigned();
    // One version for each row, none twice, none left out.
    assert_eq!(store.heads()[&store.site_id()], DbVersion(rows));
    let LogSlice::Changesets(log) =
        store.read_log(store.site_id(), DbVersion(0), usize::MAX).unwrap()
    else {
        panic!("the log is trimmed");
    };
    assert_eq!(log.len() as u64, rows);
}

/// The child; without its directory there is nothing to do.
#[test]
fn writes_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let options = StoreOptions { site_id: Some(SiteId([1; 16])), ..StoreOptions::default() };
    let store = Store::open(Path::new(&directory), options).unwrap();
    let mut connection = store.connect().unwrap();
    connection.begin(store.lease().acquire_uncancelled()).unwrap();
    let create = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)";
    connection.sqlite().execute_batch(create).unwrap();
    let columns = vec![(ColumnId(1), "id".to_owned()), (ColumnId(2), "a".to_owned())];
    let spec = TableSpec {
        id: TableId(1),
        name: "t".into(),
        columns,
        key: vec![ColumnId(1)],
        system: false,
    };
    connection.register_table(&spec).unwrap();
    if let Some(pending) = connection.commit().unwrap() {
        pending.wait().unwrap();
    }
    std::thread::scope(|scope| {
        for _session in 0..2 {
            scope.spawn(|| {
                let mut connection = store.connect().unwrap();
                loop {
                    connection.begin(store.lease().acquire_uncancelled()).unwrap();
                    connection
                        .sqlite()
                        .execute_batch("INSERT INTO t (a) VALUES (hex(randomblob(300)))")
                        .unwrap();
                    let id = connection.sqlite().last_insert_rowid();
                    connection.commit().unwrap().unwrap().wait().unwrap();
                    println!("durable {id}");
                }
            });
        }
    });
}
