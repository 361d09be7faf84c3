//! The state of one node on its way to another, through the store's public interface.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod transfer;

use std::sync::Arc;

use tempfile::TempDir;
use transfer::{deliver, new_transfer, read, transfer};
use trellis_replication::store::{
    LogLimits, LogRange, LogSlice, StateOutcome, StateSlice, Store, StoreConnection, StoreOptions,
    TableSpec,
};
use trellis_replication::types::{ColumnId, Heads, Position, SiteId, StateChunk, TableId};

/// Tables of every kind; the last has a unique index, and rows that it hides.
const TABLES: [&str; 5] = [
    "CREATE TABLE t1 (id INTEGER PRIMARY KEY, a, b)",
    "CREATE TABLE t2 (id TEXT PRIMARY KEY NOT NULL, a, b)",
    "CREATE TABLE t3 (id TEXT PRIMARY KEY NOT NULL, a, b) WITHOUT ROWID",
    "CREATE TABLE t4 (id TEXT NOT NULL, a NOT NULL, b NOT NULL, PRIMARY KEY (id, a, b))",
    "CREATE TABLE t5 (id INTEGER PRIMARY KEY, a, b UNIQUE)",
];

struct Node {
    store: Arc<Store>,
    directory: TempDir,
}

fn spec(table: usize, columns: &[&str]) -> TableSpec {
    let key = if table == 4 { vec![1, 2, 3] } else { vec![1] };
    let columns = (1..).zip(columns).map(|(id, name)| (ColumnId(id), (*name).to_owned()));
    TableSpec {
        id: TableId(10 + table as u64),
        name: format!("t{table}"),
        columns: columns.filter(|(_, name)| !name.is_empty()).collect(),
        key: key.into_iter().map(ColumnId).collect(),
        system: false,
    }
}

impl Node {
    fn new(number: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options =
            StoreOptions { site_id: Some(SiteId([number; 16])), ..StoreOptions::default() };
        let node = Self { store: Store::open(directory.path(), options).unwrap(), directory };
        node.write(|connection| {
            for (table, create) in (1..).zip(TABLES) {
                connection.sqlite().execute_batch(create).unwrap();
                connection.register_table(&spec(table, &["id", "a", "b"])).unwrap();
            }
        });
        node
    }

    fn write(&self, change: impl FnOnce(&mut StoreConnection)) {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        change(&mut connection);
        if let Some(pending) = connection.commit().unwrap() {
            pending.wait().unwrap();
        }
    }

    fn sql(&self, sql: &str) {
        self.write(|connection| connection.sqlite().execute_batch(sql).unwrap());
    }

    /// Runs it for each of the first four tables.
    fn each(&self, sql: &str) {
        (1..=4).for_each(|table| self.sql(&sql.replace("tN", &format!("t{table}"))));
    }

    /// Forgets everything it may, as if all were members with `all`.
    fn trim(&self, all: &Heads) -> u64 {
        self.store.trim(all, &LogLimits::NEEDED).unwrap().tombstones
    }

    fn count(&self, table: &str) -> i64 {
        let connection = self.store.connect().unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        connection.sqlite().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    fn is_equal_to(&self, other: &Self) {
        assert_eq!(self.store.digest().unwrap(), other.store.digest().unwrap());
        assert_eq!(self.store.conflicts().unwrap(), other.store.conflicts().unwrap());
        for node in [self, other] {
            assert_eq!(node.store.check().unwrap(), Vec::<String>::new());
        }
    }
}

/// Brings everything from each to each.
fn quiesce(nodes: &[&Node]) {
    for _ in nodes {
        for (from, to) in nodes.iter().flat_map(|from| nodes.iter().map(move |to| (from, to))) {
            from.store.resolve_conflicts().unwrap();
            for origin in from.store.heads().into_keys() {
                deliver(&from.store, &to.store, origin, usize::MAX);
            }
        }
    }
}

/// Two nodes with rows of all kinds: inserted, updated, deleted, born again, hidden, with a column that is gone.
fn two_with_rows() -> (Node, Node) {
    let (one, two) = (Node::new(1), Node::new(2));
    one.each(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO tN SELECT i, 'a' || i, i FROM n",
    );
    quiesce(&[&one, &two]);
    two.each("UPDATE tN SET b = b + 1000 WHERE a LIKE 'a1%'");
    one.each("DELETE FROM tN WHERE a LIKE 'a2%'; UPDATE tN SET a = 'changed' WHERE a LIKE 'a3%'");
    two.each("DELETE FROM tN WHERE a LIKE 'a4%'");
    two.each("INSERT INTO tN VALUES (40, 'again', 1), (41, 'again', 2)");
    one.sql("INSERT INTO t5 VALUES (1, 'one', 1), (2, 'one', 2)");
    two.sql("INSERT INTO t5 VALUES (3, 'two', 1), (4, 'two', 4)");
    quiesce(&[&one, &two]);
    assert_eq!(one.store.conflicts().unwrap().len(), 1);
    for node in [&one, &two] {
        node.write(|connection| {
            connection.sqlite().execute_batch("ALTER TABLE t2 DROP COLUMN b").unwrap();
            connection.register_table(&spec(2, &["id", "a", ""])).unwrap();
        });
    }
    one.is_equal_to(&two);
    (one, two)
}

/// An empty node gets everything, clocks included: later changes meet the same fate on all.
#[test]
fn an_empty_node_becomes_equal_and_stays_so() {
    let (one, two) = two_with_rows();
    let late = Node::new(3);
    late.write(|connection| {
        connection.sqlite().execute_batch("ALTER TABLE t2 DROP COLUMN b").unwrap();
        connection.register_table(&spec(2, &["id", "a", ""])).unwrap();
    });
    assert_eq!(transfer(&one.store, &late.store, 1), StateOutcome::Adopted);
    assert_eq!(late.store.heads(), one.store.heads());
    late.is_equal_to(&one);
    // Each changes what the others change too.
    for (node, value) in [(&one, "p"), (&two, "q"), (&late, "r")] {
        let touched = format!("a = '{value}'");
        for table in [1, 2, 3] {
            node.sql(&format!("UPDATE t{table} SET {touched} WHERE id IN ('5', '40')"));
            node.sql(&format!("DELETE FROM t{table} WHERE id = '6'"));
        }
    }
    two.each("DELETE FROM tN WHERE id = '41'");
    one.sql("DELETE FROM t5 WHERE id = 1");
    late.sql("INSERT INTO t1 VALUES (20, 'late', 1)");
    quiesce(&[&one, &two, &late]);
    late.is_equal_to(&one);
    late.is_equal_to(&two);
}

/// What was forgotten is forgotten here too, and keys begin their life above it.
#[test]
fn floors_and_the_log_go_on_behind_a_state() {
    let (one, two) = two_with_rows();
    assert!(one.trim(&one.store.heads()) > 20);
    let mut late = Node::new(3);
    late.write(|connection| {
        connection.sqlite().execute_batch("ALTER TABLE t2 DROP COLUMN b").unwrap();
        connection.register_table(&spec(2, &["id", "a", ""])).unwrap();
    });
    late.sql("INSERT INTO t1 VALUES (1000, 'own', 1)");
    assert_eq!(transfer(&one.store, &late.store, 1), StateOutcome::Stale, "it wrote on its own");
    assert_eq!(late.count("t1"), 1);
    late = Node::new(4);
    late.write(|connection| {
        connection.sqlite().execute_batch("ALTER TABLE t2 DROP COLUMN b").unwrap();
        connection.register_table(&spec(2, &["id", "a", ""])).unwrap();
    });
    assert_eq!(transfer(&one.store, &late.store, 1), StateOutcome::Adopted);
    // Node 2 has the tombstone of 20 still, node 4 never had it.
    for table in [1, 3, 4] {
        late.sql(&format!("INSERT INTO t{table} VALUES (20, 'again', 0)"));
    }
    quiesce(&[&one, &two, &late]);
    late.is_equal_to(&two);
    late.is_equal_to(&one);
    assert_eq!(late.count("t1 WHERE id = 20") + late.count("t3 WHERE id = '20'"), 2);
    assert!(matches!(late.store.read_from(Position(0), 9), Ok(LogRange::Trimmed { .. })));
    let (heads, position) = (late.store.heads(), late.store.position());
    let elsewhere = Node::new(9);
    late.store = Arc::clone(&elsewhere.store);
    let options = StoreOptions { site_id: Some(SiteId([4; 16])), ..StoreOptions::default() };
    late.store = Store::open(late.directory.path(), options).unwrap();
    assert_eq!((late.store.heads(), late.store.position()), (heads, position));
    late.is_equal_to(&one);
}

/// The state is that of one moment, whatever is written while it is read, and each chunk is the same each time.
#[test]
fn a_state_is_of_one_cut_and_resumes() {
    let one = Node::new(1);
    one.sql("INSERT INTO t2 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
         SELECT 'key ' || i, printf('%0500d', i), i FROM n");
    let heads = one.store.heads();
    let late = Node::new(3);
    let (id, reader) = (new_transfer(), late.store.site_id());
    let mut all: Vec<StateChunk> = Vec::new();
    while all.last().is_none_or(|last| !last.chunk.is_last) {
        let chunks = u32::try_from(all.len()).unwrap();
        let ask = || match read(&one.store, reader, id, chunks, 1) {
            StateSlice::Chunks(slice) => slice,
            other => panic!("{other:?}"),
        };
        let slice = ask();
        one.sql(&format!(
            "UPDATE t2 SET b = -1 WHERE b % 7 = {chunks}; DELETE FROM t2 WHERE b % 11 = {chunks}"
        ));
        assert_eq!(ask(), slice, "the same chunks again");
        all.extend(slice);
    }
    assert!(all.len() > 4, "{} chunks", all.len());
    let gap = late.store.apply_state(&all[1..2]);
    assert_eq!(gap, StateOutcome::Gap);
    for chunk in &all[..all.len() - 1] {
        assert_eq!(late.store.apply_state(std::slice::from_ref(chunk)), StateOutcome::Staged);
        assert_eq!(late.count("t2"), 0, "a part of it is visible");
    }
    assert_eq!(late.store.apply_state(&all[all.len() - 1..]), StateOutcome::Adopted);
    assert_eq!((late.store.heads(), late.count("t2")), (heads, 9_000));
    quiesce(&[&one, &late]);
    late.is_equal_to(&one);
    let unknown = read(&one.store, reader, new_transfer(), 1, 1);
    assert!(matches!(unknown, StateSlice::Gone));
}

/// A node that has something of its own keeps it, in the log as well, behind a state that only goes further.
#[test]
fn a_state_joins_what_a_node_has_beyond_it() {
    let (one, two) = (Node::new(1), Node::new(2));
    one.each("INSERT INTO tN VALUES (1, 'one', 1), (2, 'one', 2)");
    quiesce(&[&one, &two]);
    two.each("UPDATE tN SET b = 7 WHERE id = '1'; INSERT INTO tN VALUES (3, 'two', 3)");
    one.each("DELETE FROM tN WHERE id = '2'; INSERT INTO tN VALUES (4, 'one', 4)");
    let overflow = LogLimits { max_bytes: 0, ..LogLimits::NEEDED };
    assert!(one.store.trim(&Heads::new(), &overflow).unwrap().transactions > 0);
    let missing = one.store.read_log(SiteId([1; 16]), two.store.heads()[&SiteId([1; 16])], 1);
    assert!(matches!(missing, Ok(LogSlice::Trimmed { .. })));
    let before = two.store.position();
    assert_eq!(transfer(&one.store, &two.store, 1), StateOutcome::Adopted);
    assert!(two.store.position() > before);
    quiesce(&[&one, &two]);
    one.is_equal_to(&two);
    assert_eq!(one.count("t1"), 3);
}

/// Malformed chunks are refused and leave nothing.
#[test]
fn a_damaged_state_is_refused() {
    let (one, late) = (Node::new(1), Node::new(3));
    one.each("INSERT INTO tN VALUES (1, 'one', 1), (2, 'one', 2)");
    let StateSlice::Chunks(chunks) =
        read(&one.store, late.store.site_id(), new_transfer(), 0, usize::MAX)
    else {
        panic!("no state")
    };
    for at in (0..chunks[1].body.len()).step_by(3) {
        let mut body = chunks[1].body.to_vec();
        body[at] ^= 0x55;
        let damaged = StateChunk { chunk: chunks[1].chunk, body: body.into() };
        let outcome = late.store.apply_state(&[chunks[0].clone(), damaged]);
        if outcome == StateOutcome::Adopted {
            // A value that is another one is no damage that could be seen.
            return;
        }
        assert!(matches!(outcome, StateOutcome::Rejected { .. }), "{outcome:?}");
        assert_eq!((late.count("t1"), late.count("trellis_state")), (0, 0));
        assert!(late.store.heads().is_empty());
    }
    assert_eq!(late.store.apply_state(&chunks), StateOutcome::Adopted);
    late.is_equal_to(&one);
}
