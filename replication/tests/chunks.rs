//! Transactions of several chunks through the store's public interface: made, read, staged, merged whole, resumed.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use trellis_replication::store::{
    ApplyOutcome, LogLimits, LogRange, LogSlice, RowOp, Store, StoreConnection, StoreError,
    StoreOptions, TableSpec, Visited,
};
use trellis_replication::types::{
    Chunk, ColumnId, DbVersion, EncodedChangeset, Message, Position, Progress, SiteId, TableId,
};
use trellis_replication::wire::v1;

const CREATE: &str = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT";

/// 8,000 rows of about 500 bytes.
const INSERT: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
    INSERT INTO t SELECT printf('key %08d', i), printf('%0500d', i), i FROM n";

const ROWS: usize = 8_000;

struct Node {
    directory: TempDir,
    store: Arc<Store>,
}

impl Node {
    fn new(site: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), site);
        let node = Self { directory, store };
        node.write(|connection| {
            connection.sqlite().execute_batch(CREATE).unwrap();
            register(connection);
        });
        node
    }

    fn write(&self, change: impl FnOnce(&mut StoreConnection)) {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        change(&mut connection);
        connection.commit().unwrap().unwrap().wait().unwrap();
    }

    fn sql(&self, sql: &str) {
        self.write(|connection| connection.sqlite().execute_batch(sql).unwrap());
    }

    fn restart(&mut self, site: u8) {
        let elsewhere = tempfile::tempdir().unwrap();
        self.store = open(elsewhere.path(), 99);
        self.store = open(self.directory.path(), site);
    }

    fn count(&self, table: &str) -> usize {
        let connection = self.store.connect().unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        usize::try_from(
            connection.sqlite().query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(),
        )
        .unwrap()
    }

    fn log_of(&self, site: u8, after: Progress) -> Vec<EncodedChangeset> {
        match self.store.read_log(SiteId([site; 16]), after, usize::MAX).unwrap() {
            LogSlice::Changesets(changesets) => changesets,
            LogSlice::Trimmed { first } => panic!("trimmed below {first:?}"),
        }
    }

    fn own_log(&self) -> Vec<EncodedChangeset> {
        self.log_of(self.store.site_id().0[0], Progress::default())
    }

    fn is_equal_to(&self, other: &Self) {
        assert_eq!(self.store.digest().unwrap(), other.store.digest().unwrap());
        assert_eq!(self.store.check().unwrap(), Vec::<String>::new());
        assert_eq!(other.store.check().unwrap(), Vec::<String>::new());
    }
}

fn open(directory: &Path, site: u8) -> Arc<Store> {
    let options = StoreOptions { site_id: Some(SiteId([site; 16])), ..StoreOptions::default() };
    Store::open(directory, options).unwrap()
}

fn register(connection: &mut StoreConnection) {
    let columns = (1..).zip(["id", "a", "b"]).map(|(id, name)| (ColumnId(id), name.to_owned()));
    let (columns, key) = (columns.collect(), vec![ColumnId(1)]);
    let spec = TableSpec { id: TableId(7), name: "t".into(), columns, key, system: false };
    connection.register_table(&spec).unwrap();
}

/// The outcome of each of `count` chunks that are applied in turn.
fn staged_then_applied(count: usize) -> Vec<ApplyOutcome> {
    let mut outcomes = vec![ApplyOutcome::Staged; count - 1];
    outcomes.push(ApplyOutcome::Applied);
    outcomes
}

/// Everything a transaction can do, over many chunks; each is bounded and the numbers of changes go on through all.
#[test]
fn a_large_transaction_travels_in_chunks_and_appears_whole() {
    let (one, two) = (Node::new(1), Node::new(2));
    one.sql(INSERT);
    one.sql("UPDATE t SET a = a || 'x' WHERE b % 2 = 0; DELETE FROM t WHERE b % 3 = 0; UPDATE t SET id = 'moved ' || id WHERE b % 5 = 0");
    let log = one.own_log();
    assert!(log.len() > 5, "{} chunks", log.len());
    for change in &log {
        assert!(change.body.len() < v1::CHUNK_BYTES + 1_000);
        let seen = two.count("t");
        two.store.apply(std::slice::from_ref(change));
        assert!(change.chunk.is_last || two.count("t") == seen, "a part of it is visible");
    }
    assert_eq!(two.store.heads(), one.store.heads());
    assert_eq!(two.store.position(), Position(2));
    one.is_equal_to(&two);
    assert!(two.log_of(1, Progress::default()) == log, "the log passes on what it got");
    assert_eq!(two.store.apply(&log), vec![ApplyOutcome::AlreadyKnown; log.len()]);
}

/// A read may begin anywhere in a transaction and end anywhere; together they are the whole.
#[test]
fn a_transaction_is_read_piece_by_piece() {
    let node = Node::new(1);
    node.sql("INSERT INTO t VALUES ('first', 'x', 0)");
    node.sql(INSERT);
    node.sql("INSERT INTO t VALUES ('last', 'x', 0)");
    let whole = node.own_log();
    let (mut pieces, mut after) = (Vec::new(), Progress::default());
    while after != Progress::from(DbVersion(3)) {
        let LogSlice::Changesets(piece) =
            node.store.read_log(SiteId([1; 16]), after, 2_500_000).unwrap()
        else {
            panic!("trimmed")
        };
        assert!(piece.iter().map(|change| change.body.len()).sum::<usize>() < 4_000_000);
        after = piece.last().map(|last| Progress::with(last.version, last.chunk)).unwrap();
        pieces.extend(piece);
    }
    assert!(pieces == whole);
}

/// While chunks come in, others are applied; a restart goes on where it was; what comes twice or too early is noticed.
#[test]
fn staging_holds_up_nobody_and_survives_a_restart() {
    let (one, other, mut two) = (Node::new(1), Node::new(3), Node::new(2));
    one.sql(INSERT);
    let chunks = one.own_log();
    let (early, late) = chunks.split_at(chunks.len() / 2);
    assert_eq!(two.store.apply(early), vec![ApplyOutcome::Staged; early.len()]);
    other.sql("INSERT INTO t VALUES ('elsewhere', 'x', 1)");
    assert_eq!(two.store.apply(&other.own_log()), [ApplyOutcome::Applied]);
    two.sql("INSERT INTO t VALUES ('here', 'x', 1)");
    let here = Progress { version: DbVersion(0), chunks: u32::try_from(early.len()).unwrap() };
    for round in 0..2 {
        assert_eq!(two.store.progress()[&SiteId([1; 16])], here, "round {round}");
        assert_eq!(two.store.heads().get(&SiteId([1; 16])), None);
        assert_eq!(two.store.apply(&early[..1]), [ApplyOutcome::AlreadyKnown]);
        assert_eq!(two.store.apply(&late[1..2]), [ApplyOutcome::Gap { head: DbVersion(0) }]);
        assert_eq!(two.count("t"), 2);
        two.restart(2);
    }
    assert_eq!(two.store.apply(late), staged_then_applied(late.len()));
    assert_eq!(two.count("t"), ROWS + 2);
    one.store.apply(&two.own_log());
    one.store.apply(&two.log_of(3, Progress::default()));
    one.is_equal_to(&two);
}

/// A chunk that is not what it should be takes the others along; the transaction is then taken from another copy.
#[test]
fn a_damaged_chunk_is_rejected_with_its_transaction() {
    let (one, two) = (Node::new(1), Node::new(2));
    one.sql(INSERT);
    let chunks = one.own_log();
    for at in [chunks.len() / 2, chunks.len() - 1] {
        let body = chunks[at].body.slice(..chunks[at].body.len() - 9);
        let damaged = EncodedChangeset { body, ..chunks[at].clone() };
        two.store.apply(&chunks[..at]);
        let outcome = two.store.apply(&[damaged]).remove(0);
        assert!(matches!(outcome, ApplyOutcome::Rejected { .. }), "{outcome:?}");
        assert_eq!(
            two.store.progress().get(&SiteId([1; 16])).copied().unwrap_or_default(),
            Progress::default()
        );
        assert_eq!((two.count("t"), two.count("trellis_log_chunks")), (0, 0));
    }
    let too_many = Chunk { index: v1::CHUNKS_MAX, is_last: false };
    let too_many = EncodedChangeset { chunk: too_many, ..chunks[0].clone() };
    assert_eq!(two.store.apply(&[too_many]), [ApplyOutcome::Gap { head: DbVersion(0) }]);
    assert_eq!(two.store.apply(&chunks), staged_then_applied(chunks.len()));
    one.is_equal_to(&two);
}

/// A transaction that needs a schema that is not here keeps what is staged; only its last chunk is offered again.
#[test]
fn what_is_staged_waits_for_the_schema() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (Node::new(1), open(directory.path(), 2));
    one.sql(INSERT);
    let chunks = one.own_log();
    let outcomes = two.apply(&chunks);
    assert!(matches!(outcomes.last(), Some(ApplyOutcome::NeedsSchema { .. })));
    let two = Node { directory, store: two };
    two.write(|connection| {
        connection.sqlite().execute_batch(CREATE).unwrap();
        register(connection);
    });
    assert_eq!(two.store.apply(&chunks[chunks.len() - 1..]), [ApplyOutcome::Applied]);
    one.is_equal_to(&two);
}

/// Listeners and readers of the log get a large transaction without its changes, and read those chunk by chunk.
#[test]
fn changes_of_a_large_transaction_are_visited() {
    let (one, two) = (Node::new(1), Node::new(2));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    two.store.set_listener(Box::new(move |applied| log.lock().unwrap().extend_from_slice(applied)));
    two.sql("INSERT INTO t VALUES ('key 00000007', 'newer', 1); UPDATE t SET a = 'newest'");
    let payload = |number: usize| format!("{number} {}", "x".repeat(7_900));
    one.write(|connection| {
        connection.sqlite().execute_batch(INSERT).unwrap();
        for number in 0..400 {
            connection.notify(Message { channel: "c".into(), payload: payload(number) }).unwrap();
        }
    });
    two.store.apply(&one.own_log());
    let heard = heard.lock().unwrap();
    let LogRange::Transactions(read) = two.store.read_from(Position(1), 10).unwrap() else {
        panic!("trimmed")
    };
    for transaction in [&*heard[1], &read[0]] {
        assert!(transaction.encoded().is_none());
        let sent: Vec<_> = transaction.messages.iter().map(|it| it.payload.clone()).collect();
        assert_eq!(sent, (0..400).map(payload).collect::<Vec<_>>());
        let mut ops = Vec::new();
        let visited = two.store.visit_rows(transaction, u32::MAX, |row| ops.push(row.op)).unwrap();
        assert_eq!((visited, ops.len()), (Visited::All, ROWS));
        assert_eq!(ops.iter().filter(|op| **op == RowOp::Update).count(), 1);
        let visited = two.store.visit_rows(transaction, 1, |_| ()).unwrap();
        assert_eq!(visited, Visited::Some);
    }
}

/// A row has a limit, and so have messages; at the limit the transaction fails where it is made.
#[test]
fn limits_are_errors_at_the_origin() {
    let node = Node::new(1);
    let mut connection = node.store.connect().unwrap();
    connection.begin(node.store.lease().acquire_uncancelled()).unwrap();
    let large = format!("INSERT INTO t VALUES ('k', hex(zeroblob({})), 1)", v1::ROW_BYTES_MAX / 2);
    connection.sqlite().execute_batch(&large).unwrap();
    assert!(matches!(connection.commit(), Err(StoreError::Encode(_))));
    connection.rollback();
    connection.begin(node.store.lease().acquire_uncancelled()).unwrap();
    let sent = (0..10_000).map(|number| {
        let payload = format!("{number:07900}");
        connection.notify(Message { channel: "c".into(), payload })
    });
    assert!(sent.collect::<Vec<_>>().iter().any(Result::is_err));
    connection.rollback();
    assert_eq!((node.count("t"), node.count("trellis_log")), (0, 0));
}

/// What is trimmed is gone with its chunks.
#[test]
fn trimming_removes_the_chunks() {
    let node = Node::new(1);
    node.sql(&format!("{INSERT}; INSERT INTO t VALUES ('gone', 'x', 0)"));
    node.sql("INSERT INTO t VALUES ('last', 'x', 0)");
    assert!(node.count("trellis_log_chunks") > 3);
    let stable = [(SiteId([1; 16]), DbVersion(1))].into();
    assert_eq!(node.store.trim(&stable, &LogLimits::NEEDED).unwrap().transactions, 1);
    assert_eq!(node.count("trellis_log_chunks"), 0);
    // Nobody can go on in the middle of it.
    let within = Progress { version: DbVersion(0), chunks: 1 };
    let read = node.store.read_log(SiteId([1; 16]), within, 1).unwrap();
    assert!(read == LogSlice::Trimmed { first: DbVersion(2) });
    assert_eq!(node.store.check().unwrap(), Vec::<String>::new());
}
