//! What a transaction of a million rows, and one of 64 MiB of text, cost in memory where they are made and applied. The
//! only test of its process, since it is the process whose memory is read.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use trellis_replication::store::{
    ApplyOutcome, LogSlice, Store, StoreConnection, StoreOptions, TableSpec,
};
use trellis_replication::types::{ColumnId, SiteId, TableId};

/// Memory that a step may take on top of what the process has, for both stores together: a chunk here and there, 16 MiB of
/// images, and the caches of SQLite's connections.
const ADDED_BYTES_MAX: u64 = 64 << 20;

const CREATE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a TEXT) STRICT;
    CREATE TABLE u (id TEXT PRIMARY KEY NOT NULL, a TEXT) STRICT;";

const ROWS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
    INSERT INTO t SELECT i, 'name ' || i FROM n";

const TEXT: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16384)
    INSERT INTO u SELECT printf('%032x', i * 7919), printf('%04096d', i) FROM n";

fn open(directory: &Path, site: u8) -> Arc<Store> {
    let options = StoreOptions { site_id: Some(SiteId([site; 16])), ..StoreOptions::default() };
    let store = Store::open(directory, options).unwrap();
    write(&store, |connection| {
        connection.sqlite().execute_batch(CREATE).unwrap();
        for (id, name) in [(7, "t"), (8, "u")] {
            let columns = vec![(ColumnId(1), "id".to_owned()), (ColumnId(2), "a".to_owned())];
            let (name, key) = (name.to_owned(), vec![ColumnId(1)]);
            let spec = TableSpec { id: TableId(id), name, columns, key, system: false };
            connection.register_table(&spec).unwrap();
        }
    });
    store
}

fn write(store: &Store, change: impl FnOnce(&mut StoreConnection)) {
    let mut connection = store.connect().unwrap();
    connection.begin(store.lease().acquire_uncancelled()).unwrap();
    change(&mut connection);
    connection.commit().unwrap().unwrap().wait().unwrap();
}

/// Brings `to` up to `from`, two mebibytes at a time.
fn pull(from: &Store, to: &Store) {
    let site = from.site_id();
    loop {
        let after = to.progress().get(&site).copied().unwrap_or_default();
        let LogSlice::Changesets(slice) = from.read_log(site, after, 2 << 20).unwrap() else {
            panic!("trimmed")
        };
        if slice.is_empty() {
            return;
        }
        let done = |it: &ApplyOutcome| matches!(it, ApplyOutcome::Applied | ApplyOutcome::Staged);
        assert!(to.apply(&slice).iter().all(done));
    }
}

/// A size in the process's status, in bytes.
fn status_bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1_024
}

#[test]
#[cfg(target_os = "linux")]
fn slow_memory_does_not_grow_with_a_transaction() {
    let directories = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (open(directories.0.path(), 1), open(directories.1.path(), 2));
    for (name, sql) in [("a million rows", ROWS), ("64 MiB of text", TEXT)] {
        for (step, work) in [
            ("made", &(|| write(&one, |it| it.sqlite().execute_batch(sql).unwrap())) as &dyn Fn()),
            ("applied", &|| pull(&one, &two)),
        ] {
            fs::write("/proc/self/clear_refs", "5").unwrap();
            let before = status_bytes("VmRSS:");
            work();
            let peak = status_bytes("VmHWM:");
            println!("{name}, {step}: {} MiB, peak {} MiB", before >> 20, peak >> 20);
            assert!(peak.saturating_sub(before) < ADDED_BYTES_MAX, "{name}, {step}");
        }
    }
    assert_eq!(one.digest().unwrap(), two.digest().unwrap());
}
