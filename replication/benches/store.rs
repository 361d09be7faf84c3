//! What the store costs over plain SQLite: the same work on both, in one run, as ratios of CPU time.
//!
//! `cargo bench -p trellis-replication` prints one `name<TAB>ratio` line per figure; each is the smallest of
//! [`ROUNDS`] ratios, the store's and plain SQLite's turns alternating. Tables have six columns; keys are integers or UUIDs as
//! text. Both sides run in WAL mode with `synchronous = NORMAL` and without waiting for the disk, so that the figures are
//! the engine's and not the device's: the thread that syncs the store's log in the background is left out, checkpoints are
//! in on both sides. `cargo bench -p trellis-replication -- int` runs one kind of key only.
//!
//! Seen on two cores, in one run while nothing else was run; sizes are without the log, which holds each value
//! once more until it is trimmed:
//!
//! | figure | int | uuid | aim |
//! |---|---|---|---|
//! | `bulk_insert` | 1.43 | 1.09 | 1.3 |
//! | `single_inserts` | 2.64 | 1.75 | 2.6 |
//! | `bulk_update` | 2.65 | 2.38 | 3 |
//! | `single_updates` | 3.18 | 2.66 | 3 |
//! | `bulk_delete` | 2.22 | 2.49 | |
//! | `size_after_insert` | 1.05 | 1.02 | 1.15 |
//! | `size_after_update` | 1.11 | 1.04 | 1.3 |
//! | `merge_new` | 1.12 | 1.39 | 1.4 |
//! | `merge_known` | 0.01 | 0.00 | 1 |
//!
//! A single-row transaction writes three pages where plain SQLite writes one: row, clocks, log. With integer keys that is
//! all there is to see, and those two figures vary by some 15 % from run to run, around their aims. Of a bulk insert, of
//! some 9,100 instructions a row where plain SQLite takes 5,500, reading each row's values once more for the log takes 2,000,
//! writing the log 600, clocks 500 (counted by callgrind): what the aim of 1.3 would leave is what the log alone costs.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, params};
use trellis_replication::store::{LogSlice, Store, StoreConnection, StoreOptions, TableSpec};
use trellis_replication::types::{ColumnId, EncodedChangeset, Progress, SiteId, TableId};

/// Rows in the table.
const ROWS: i64 = 100_000;

/// Single-row transactions.
const TRANSACTIONS: i64 = 10_000;

/// Repetitions of each figure.
const ROUNDS: usize = 3;

/// The key's type.
#[derive(Clone, Copy)]
enum Key {
    Integer,
    Uuid,
}

impl Key {
    fn create(self) -> &'static str {
        match self {
            Self::Integer => {
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c TEXT, d REAL, e INTEGER) STRICT"
            }
            Self::Uuid => {
                "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a INTEGER, b TEXT, c TEXT, d REAL, e INTEGER) STRICT"
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Integer => "int",
            Self::Uuid => "uuid",
        }
    }

    fn value(self, row: i64) -> rusqlite::types::Value {
        match self {
            Self::Integer => row.into(),
            Self::Uuid => {
                let mixed = row.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
                format!("{:08x}-{:04x}-4000-8000-{row:012x}", mixed >> 32, mixed & 0xffff).into()
            }
        }
    }
}

/// Plain SQLite or the store, doing the same work.
enum Side {
    Plain(Connection),
    Store(Arc<Store>, Box<StoreConnection>),
}

impl Side {
    fn plain(directory: &Path, key: Key) -> Self {
        let sqlite = Connection::open(directory.join("plain.db")).unwrap();
        sqlite.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").unwrap();
        sqlite.set_prepared_statement_cache_capacity(256);
        sqlite.execute_batch(key.create()).unwrap();
        Self::Plain(sqlite)
    }

    fn store(directory: &Path, site: u8, key: Key) -> Self {
        let options = StoreOptions { site_id: Some(SiteId([site; 16])), ..StoreOptions::default() };
        let store = Store::open(directory, options).unwrap();
        let connection = Box::new(store.connect().unwrap());
        let mut side = Self::Store(store, connection);
        side.transaction(|sqlite| sqlite.execute_batch(key.create()).unwrap());
        if let Self::Store(store, connection) = &mut side {
            connection.begin(store.lease().acquire_uncancelled()).unwrap();
            let names = ["id", "a", "b", "c", "d", "e"];
            let columns = (1..).map(ColumnId).zip(names.map(str::to_owned)).collect();
            let key = vec![ColumnId(1)];
            let spec = TableSpec { id: TableId(1), name: "t".into(), columns, key, system: false };
            connection.register_table(&spec).unwrap();
            let _pending = connection.commit().unwrap();
        }
        side
    }

    fn transaction(&mut self, work: impl FnOnce(&Connection)) {
        match self {
            Self::Plain(sqlite) => {
                sqlite.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
                work(sqlite);
                sqlite.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
            }
            Self::Store(store, connection) => {
                connection.begin(store.lease().acquire_uncancelled()).unwrap();
                work(connection.sqlite());
                let _pending = connection.commit().unwrap();
            }
        }
    }

    fn insert(&mut self, key: Key, rows: std::ops::Range<i64>) {
        self.transaction(|sqlite| {
            let mut insert =
                sqlite.prepare_cached("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6)").unwrap();
            for row in rows {
                let text = format!("name {row}");
                insert
                    .execute(params![
                        key.value(row),
                        row,
                        text,
                        "some more text",
                        row as f64 / 3.0,
                        row % 7
                    ])
                    .unwrap();
            }
        });
    }

    fn update(&mut self, key: Key, row: i64) {
        self.transaction(|sqlite| {
            let mut update = sqlite.prepare_cached("UPDATE t SET a = a + 1 WHERE id = ?1").unwrap();
            update.execute([key.value(row)]).unwrap();
        });
    }

    /// Bytes of the table and, on the store, its clocks: all pages but the log's.
    fn bytes(&self) -> i64 {
        let sqlite = match self {
            Self::Plain(sqlite) => sqlite,
            Self::Store(_, connection) => connection.sqlite(),
        };
        sqlite
            .query_row(
                "SELECT sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name)
                 WHERE tbl_name NOT LIKE 'trellis\\_log%' ESCAPE '\\'",
                [],
                |row| row.get(0),
            )
            .unwrap_or(0)
    }
}

/// Processor time of this process so far, in microseconds, without the thread that waits for the disk.
fn cpu_us() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let total = tasks.map(|task| {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == "flusher" {
            return 0;
        }
        read("schedstat").split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0u64)
    });
    total.sum::<u64>() / 1000
}

fn timed(work: impl FnOnce()) -> f64 {
    let before = cpu_us();
    work();
    (cpu_us() - before).max(1) as f64
}

/// The figures of one round, by name.
fn round(key: Key) -> Vec<(&'static str, f64)> {
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [plain_directory, store_directory, other_directory] = &directories;
    let mut plain = Side::plain(plain_directory.path(), key);
    let mut store = Side::store(store_directory.path(), 1, key);
    let mut figures = Vec::new();
    let mut both = |name, work: &dyn Fn(&mut Side)| {
        let base = timed(|| work(&mut plain));
        let ours = timed(|| work(&mut store));
        figures.push((name, ours / base));
        (base, plain.bytes(), store.bytes())
    };
    let (insert_base, plain_bytes, store_bytes) =
        both("bulk_insert", &|side| side.insert(key, 0..ROWS));
    let size_after_insert = store_bytes as f64 / plain_bytes as f64;
    both("single_inserts", &|side| {
        (ROWS..ROWS + TRANSACTIONS).for_each(|row| side.insert(key, row..row + 1));
    });
    let (_, plain_bytes, store_bytes) = both("bulk_update", &|side| {
        side.transaction(|sqlite| sqlite.execute_batch("UPDATE t SET e = e + 1").unwrap());
    });
    let size_after_update = store_bytes as f64 / plain_bytes as f64;
    both("single_updates", &|side| (0..TRANSACTIONS).for_each(|row| side.update(key, row * 7)));
    both("bulk_delete", &|side| {
        side.transaction(|sqlite| sqlite.execute_batch("DELETE FROM t WHERE 1").unwrap());
    });
    figures.push(("size_after_insert", size_after_insert));
    figures.push(("size_after_update", size_after_update));
    let Side::Store(one, _) = &store else { return figures };
    let log = first_changesets(one);
    let other = Side::store(other_directory.path(), 2, key);
    let Side::Store(two, _) = &other else { return figures };
    figures.push(("merge_new", timed(|| drop(two.apply(&log))) / insert_base));
    figures.push(("merge_known", timed(|| drop(two.apply(&log))) / insert_base));
    figures
}

/// The bulk insert, as it travels.
fn first_changesets(store: &Store) -> Vec<EncodedChangeset> {
    let mut found: Vec<EncodedChangeset> = Vec::new();
    while found.last().is_none_or(|last| !last.chunk.is_last) {
        let after = found
            .last()
            .map_or_else(Progress::default, |last| Progress::with(last.version, last.chunk));
        match store.read_log(store.site_id(), after, 1).unwrap() {
            LogSlice::Changesets(changesets) if changesets.is_empty() => std::thread::yield_now(),
            LogSlice::Changesets(changesets) => found.extend(changesets),
            LogSlice::Trimmed { .. } => return Vec::new(),
        }
    }
    found
}

fn main() {
    // Named keys only, or all.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let keys = [Key::Integer, Key::Uuid].into_iter();
    let keys = keys.filter(|key| wanted.is_empty() || wanted.iter().any(|name| name == key.name()));
    for key in keys {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round(key)).collect();
        for (index, (name, _)) in rounds[0].iter().enumerate() {
            let smallest =
                rounds.iter().map(|figures| figures[index].1).fold(f64::INFINITY, f64::min);
            println!("{}_{name}\t{smallest:.2}", key.name());
        }
    }
}
