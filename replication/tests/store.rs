//! The store through its public interface: what is committed on one is applied on others, once and in order.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use trellis_replication::store::{
    AppliedTransaction, ApplyOutcome, LogLimits, LogRange, LogSlice, RowOp, Store, StoreConnection,
    StoreError, StoreOptions, TableSpec, Visited,
};
use trellis_replication::types::{
    ColumnId, DbVersion, EncodedChangeset, Heads, Message, Position, SiteId, TableId,
};

const TABLE: TableId = TableId(7);

/// A store in a directory of its own, with one table.
struct Node {
    _directory: TempDir,
    store: Arc<Store>,
}

impl Node {
    fn new(site: u8, create: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), site);
        let node = Self { _directory: directory, store };
        node.write(|connection| {
            connection.sqlite().execute_batch(create).unwrap();
            connection.register_table(&spec(&["id", "a", "b"])).unwrap();
        });
        node
    }

    fn write(&self, change: impl FnOnce(&mut StoreConnection)) -> Option<Position> {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        change(&mut connection);
        let pending = connection.commit().unwrap()?;
        let position = pending.position();
        pending.wait().unwrap();
        position
    }

    fn sql(&self, sql: &str) -> Option<Position> {
        self.write(|connection| connection.sqlite().execute_batch(sql).unwrap())
    }

    fn rows(&self) -> Vec<String> {
        let connection = self.store.connect().unwrap();
        let mut select = connection
            .sqlite()
            .prepare("SELECT quote(id) || ' ' || quote(a) || ' ' || quote(b) FROM t ORDER BY id")
            .unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Bytes of the largest block of clocks.
    fn clock_bytes_max(&self) -> i64 {
        let connection = self.store.connect().unwrap();
        let longest = "SELECT max(length(body)) FROM trellis_clock_1";
        connection.sqlite().query_row(longest, [], |row| row.get(0)).unwrap()
    }

    fn own_log(&self) -> Vec<EncodedChangeset> {
        match self.store.read_log(self.store.site_id(), DbVersion(0), usize::MAX).unwrap() {
            LogSlice::Changesets(changesets) => changesets,
            LogSlice::Trimmed { first } => panic!("trimmed below {first:?}"),
        }
    }
}

fn open(directory: &Path, site: u8) -> Arc<Store> {
    let options = StoreOptions { site_id: Some(SiteId([site; 16])), ..StoreOptions::default() };
    Store::open(directory, options).unwrap()
}

fn spec(columns: &[&str]) -> TableSpec {
    let columns = (1..).zip(columns).map(|(place, name)| (column(place), (*name).to_owned()));
    let (columns, key) = (columns.collect(), vec![column(1)]);
    TableSpec { id: TABLE, name: "t".into(), columns, key, system: false }
}

/// Identities are hashes: neither small nor in the order of the columns.
fn column(place: u32) -> ColumnId {
    ColumnId(place.wrapping_mul(0x9e37_79b9))
}

const TABLES: [&str; 3] = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT, WITHOUT ROWID",
];

#[test]
fn what_one_commits_others_apply_once_and_in_order() {
    for create in TABLES {
        let (one, two) = (Node::new(1, create), Node::new(2, create));
        one.sql("INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 20), (3, 'z', 30)");
        one.sql("UPDATE t SET b = b + 1 WHERE id >= '2' OR id >= 2; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s");
        one.sql(
            "UPDATE t SET id = 9 WHERE id = 3 OR id = '3'; DELETE FROM t WHERE id = 1 OR id = '1'",
        );
        one.sql("INSERT OR REPLACE INTO t VALUES (2, 'new', 0); INSERT INTO t VALUES (1, 'again', NULL)");
        let log = one.own_log();
        assert_eq!(log.len(), 4, "{create}");
        assert_eq!(two.store.apply(&log[1..2]), [ApplyOutcome::Gap { head: DbVersion(0) }]);
        assert_eq!(two.store.apply(&log), [const { ApplyOutcome::Applied }; 4]);
        assert_eq!(two.store.apply(&log[..1]), [ApplyOutcome::AlreadyKnown]);
        assert_eq!(one.rows(), two.rows(), "{create}");
        assert_eq!(one.rows().len(), 3);
        assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap());
        assert_eq!(two.store.check().unwrap(), Vec::<String>::new());
        assert_eq!(two.store.heads()[&SiteId([1; 16])], DbVersion(4));
        assert_eq!(two.store.position(), Position(4));
    }
}

#[test]
fn a_transaction_without_changes_is_none() {
    let node = Node::new(1, TABLES[0]);
    node.sql("INSERT INTO t VALUES (1, 'x', 10)");
    for nothing in [
        "SELECT 1",
        "UPDATE t SET a = 'x' WHERE id = 1",
        "SAVEPOINT s; DELETE FROM t; ROLLBACK TO s",
    ] {
        assert_eq!(node.sql(nothing), None, "{nothing}");
    }
    assert_eq!(node.sql("UPDATE t SET a = 'y'"), Some(Position(2)));
}

fn ops(store: &Store, transaction: &AppliedTransaction) -> Vec<RowOp> {
    let mut ops = Vec::new();
    let visited = store.visit_rows(transaction, 1, |row| ops.push(row.op));
    assert_eq!(visited.unwrap(), Visited::All);
    ops
}

#[test]
fn listeners_hear_in_order_what_happened_to_which_row() {
    let (one, two) = (Node::new(1, TABLES[1]), Node::new(2, TABLES[1]));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (log, store) = (Arc::clone(&heard), Arc::downgrade(&two.store));
    two.store.set_listener(Box::new(move |applied| {
        for transaction in applied {
            let rows = ops(&store.upgrade().unwrap(), transaction);
            let messages = transaction.messages.iter().map(|message| message.payload.clone());
            log.lock().unwrap().push((transaction.position.0, rows, messages.collect::<Vec<_>>()));
        }
    }));
    let tags = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tags);
    one.store.set_listener(Box::new(move |applied| {
        seen.lock().unwrap().extend(applied.iter().map(|transaction| transaction.tag));
    }));
    one.sql("INSERT INTO t VALUES ('k', 'x', 1), ('l', 'x', 1)");
    one.sql("UPDATE t SET b = 2 WHERE id = 'k'; DELETE FROM t WHERE id = 'l'");
    one.write(|connection| {
        connection.set_tag(42);
        let mut send = |sql: &str, payload: &str| {
            connection.sqlite().execute_batch(sql).unwrap();
            connection.notify(Message { channel: "c".into(), payload: payload.into() }).unwrap();
        };
        send("SELECT 1", "hello");
        send("SAVEPOINT s", "hello");
        send("SELECT 1", "undone");
        send("ROLLBACK TO s", "undone");
        send("SAVEPOINT t", "again");
        send("ROLLBACK TO t", "again");
        send("RELEASE s", "hello");
    });
    assert_eq!(*tags.lock().unwrap(), [0, 0, 42]);
    two.sql("INSERT INTO t VALUES ('k', 'y', 5)");
    two.store.apply(&one.own_log());
    let expected = [
        (1, vec![RowOp::Insert], vec![]),
        (2, vec![RowOp::Insert], vec![]),
        (3, vec![RowOp::Update, RowOp::Delete], vec![]),
        (4, vec![], ["hello", "undone", "again"].map(str::to_owned).to_vec()),
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
    let LogRange::Transactions(again) = two.store.read_from(Position(1), 10).unwrap() else {
        panic!("trimmed")
    };
    let rows: Vec<_> = again.iter().map(|applied| ops(&two.store, applied)).collect();
    assert_eq!(rows, [vec![RowOp::Insert], vec![RowOp::Update, RowOp::Delete], vec![]]);
}

#[test]
fn reopened_it_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..4u64 {
        let store = open(directory.path(), 1);
        assert!(matches!(
            Store::open(directory.path(), StoreOptions::default()),
            Err(StoreError::InUse { .. })
        ));
        let mut connection = store.connect().unwrap();
        connection.begin(store.lease().acquire_uncancelled()).unwrap();
        if round == 1 {
            connection.sqlite().execute_batch(TABLES[0]).unwrap();
            connection.register_table(&spec(&["id", "a", "b"])).unwrap();
        }
        connection
            .sqlite()
            .execute("INSERT INTO t VALUES (?1, 'x', 1)", [round.cast_signed()])
            .unwrap();
        connection.commit().unwrap().unwrap().wait().unwrap();
        assert_eq!(store.position(), Position(round));
        assert_eq!(store.heads()[&SiteId([1; 16])], DbVersion(round));
    }
}

#[test]
fn columns_are_neighbours_in_the_clocks_however_nodes_came_by_them() {
    for create in TABLES {
        let (one, two) = (Node::new(1, create), Node::new(2, create));
        let add = |names: &[&str], columns: &[(u32, &str)]| {
            let add = names.iter().map(|name| format!("ALTER TABLE t ADD COLUMN {name} INTEGER;"));
            let mut spec = spec(&["id", "a", "b"]);
            let known = columns.iter().map(|(place, name)| (column(*place), (*name).to_owned()));
            spec.columns.extend(known);
            (add.collect::<String>(), spec)
        };
        let register = |node: &Node, (sql, spec): (String, TableSpec)| {
            node.write(|connection| {
                connection.sqlite().execute_batch(&sql).unwrap();
                connection.register_table(&spec).unwrap();
            });
        };
        register(&one, add(&["c", "d"], &[(4, "c"), (5, "d")]));
        register(&two, add(&["d"], &[(5, "d")]));
        register(&two, add(&["c"], &[(4, "c"), (5, "d")]));
        one.sql("INSERT INTO t VALUES (1, 'x', 1, 2, 3), (2, 'y', 4, 5, 6), (3, 'z', 7, 8, 9)");
        two.sql("INSERT INTO t (id, a, d, c) VALUES (3, 'w', 1, 2), (4, 'v', 3, 4)");
        assert!(one.clock_bytes_max() <= 20, "{} {create}", one.clock_bytes_max());
        one.sql("UPDATE t SET c = 50 WHERE b = 4");
        assert_eq!(two.store.apply(&one.own_log()), [const { ApplyOutcome::Applied }; 2]);
        assert_eq!(one.store.apply(&two.own_log()), [ApplyOutcome::Applied]);
        two.sql("UPDATE t SET d = 70 WHERE a = 'y'");
        one.store.apply(&two.own_log());
        assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap(), "{create}");
        assert_eq!(two.store.check().unwrap(), Vec::<String>::new());
        // A column that goes and comes back is the column it was, after a restart as well.
        two.write(|connection| connection.register_table(&spec(&["id", "a", "b"])).unwrap());
        one.sql("UPDATE t SET c = 60, b = 0 WHERE b = 4");
        two.store.apply(&one.own_log());
        register(&two, add(&[], &[(4, "c"), (5, "d")]));
        one.sql("UPDATE t SET c = 61");
        two.store.apply(&one.own_log());
        assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap(), "{create}");
    }
}

#[test]
fn an_unknown_table_or_column_keeps_a_changeset_out() {
    let (one, two) = (Node::new(1, TABLES[0]), Node::new(2, TABLES[0]));
    one.write(|connection| {
        connection.sqlite().execute_batch("ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'd'").unwrap();
        connection.register_table(&spec(&["id", "a", "b", "c"])).unwrap();
        connection.sqlite().execute_batch("INSERT INTO t (id, c) VALUES (1, 'e')").unwrap();
    });
    let log = one.own_log();
    let missing = ApplyOutcome::NeedsSchema { table: TABLE, column: Some(column(4)) };
    assert_eq!(two.store.apply(&log), [missing]);
    assert!(two.rows().is_empty());
    two.write(|connection| {
        connection.sqlite().execute_batch("ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'd'").unwrap();
        connection.register_table(&spec(&["id", "a", "b", "c"])).unwrap();
    });
    assert_eq!(two.store.apply(&log), [ApplyOutcome::Applied]);
    two.write(|connection| {
        connection.sqlite().execute_batch("DROP TABLE t").unwrap();
        connection.unregister_table(TABLE).unwrap();
    });
    one.sql("UPDATE t SET c = 'f'");
    assert_eq!(two.store.apply(&one.own_log()[1..]), [ApplyOutcome::Applied]);
}

#[test]
fn arbitrary_bytes_are_rejected_and_leave_nothing() {
    let (one, two) = (Node::new(1, TABLES[1]), Node::new(2, TABLES[1]));
    one.sql("INSERT INTO t VALUES ('k', 'x', 1), ('l', 'some text', 1), ('m', NULL, -1)");
    let good = one.own_log().remove(0);
    let damaged = |at: usize, bits: u8| {
        let mut body = good.body.to_vec();
        body[at] ^= bits;
        EncodedChangeset {
            body: body.into(),
            site: SiteId([u8::try_from(at).unwrap_or(0) | 0x80; 16]),
            ..good.clone()
        }
    };
    for at in 0..good.body.len() {
        let truncated = EncodedChangeset { body: good.body.slice(..at), ..good.clone() };
        assert!(matches!(two.store.apply(&[truncated])[..], [ApplyOutcome::Rejected { .. }]));
        for bits in [1, 0x80, 0xff] {
            // Some damage makes another valid changeset; none may panic or fail the batch.
            let outcome = two.store.apply(&[damaged(at, bits)]).remove(0);
            assert!(!matches!(outcome, ApplyOutcome::Failed { .. }), "byte {at}: {outcome:?}");
        }
    }
    assert_eq!(two.store.apply(&[good]), [ApplyOutcome::Applied]);
}

#[test]
fn a_tracked_change_outside_a_write_cannot_commit() {
    let node = Node::new(1, TABLES[0]);
    let connection = node.store.connect().unwrap();
    assert!(connection.sqlite().execute_batch("INSERT INTO t VALUES (1, 'x', 1)").is_err());
    assert!(
        connection
            .sqlite()
            .execute_batch("CREATE TEMP TABLE t2 (a); INSERT INTO t2 VALUES (1)")
            .is_ok()
    );
    assert!(node.rows().is_empty());
}

#[test]
fn rows_that_are_unique_alone_but_not_together_look_the_same_everywhere() {
    for create in TABLES {
        let create = format!("{create}; CREATE UNIQUE INDEX u ON t (lower(a)) WHERE a IS NOT NULL");
        let nodes = [1, 2, 3].map(|site| Node::new(site, &create));
        nodes[0].sql("INSERT INTO t VALUES (5, 'Same', 1), (6, 'other', 1)");
        nodes[1].sql("INSERT INTO t VALUES (3, 'same', 2), (7, 'OTHER', 2)");
        nodes[2].sql("INSERT INTO t VALUES (4, 'SAME', 3), (8, NULL, 3)");
        let exchange = |order: [usize; 3]| {
            for (to, from) in order
                .into_iter()
                .flat_map(|to| order.map(|from| (to, from)))
                .filter(|(to, from)| to != from)
            {
                let outcomes = nodes[to].store.apply(&nodes[from].own_log());
                assert!(outcomes.iter().all(|outcome| matches!(
                    outcome,
                    ApplyOutcome::Applied | ApplyOutcome::AlreadyKnown
                )));
            }
        };
        exchange([2, 0, 1]);
        assert_eq!(nodes[0].rows().len(), 3, "{create}");
        assert_eq!(nodes[0].store.conflicts().unwrap().len(), 3);
        nodes[0].sql("DELETE FROM t WHERE a = 'same'");
        nodes[1].sql("UPDATE t SET a = 'no longer other' WHERE a = 'other'");
        exchange([1, 2, 0]);
        for node in &nodes {
            node.store.resolve_conflicts().unwrap();
            assert_eq!(node.rows(), nodes[0].rows(), "{create}");
        }
        let hidden = nodes[0].store.conflicts().unwrap();
        assert_eq!((nodes[0].rows().len(), hidden.len()), (4, 1), "{:?}", nodes[0].rows());
    }
}

#[test]
fn a_trimmed_log_says_so_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let trimmed = {
        let node =
            Node { store: open(directory.path(), 1), _directory: tempfile::tempdir().unwrap() };
        node.write(|connection| {
            connection.sqlite().execute_batch(TABLES[0]).unwrap();
            connection.register_table(&spec(&["id", "a", "b"])).unwrap();
        });
        for id in 1..=5 {
            node.sql(&format!("INSERT INTO t VALUES ({id}, 'x', 1)"));
        }
        let stable = [(node.store.site_id(), DbVersion(3))].into();
        node.store.trim(&stable, &LogLimits::NEEDED).unwrap();
        node
    };
    let check = |store: &Store| {
        let versions = |after| match store.read_log(store.site_id(), DbVersion(after), usize::MAX) {
            Ok(LogSlice::Changesets(log)) => log.iter().map(|it| it.version.0).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let trimmed = store.read_log(store.site_id(), DbVersion(1), usize::MAX).unwrap();
        assert_eq!(trimmed, LogSlice::Trimmed { first: DbVersion(4) });
        assert_eq!(versions(3), [4, 5], "from the log");
        assert!(matches!(
            store.read_from(Position(1), 9),
            Ok(LogRange::Trimmed { first: Position(4) })
        ));
        assert!(
            matches!(store.read_from(Position(3), 9), Ok(LogRange::Transactions(rest)) if rest.len() == 2)
        );
    };
    check(&trimmed.store);
    trimmed.store.trim(&trimmed.store.heads(), &LogLimits::NEEDED).unwrap();
    drop(trimmed);
    let store = open(directory.path(), 1);
    assert_eq!((store.position(), store.heads()[&store.site_id()]), (Position(5), DbVersion(5)));
}

#[test]
fn a_row_written_behind_the_servers_back_is_found() {
    let node = Node::new(1, TABLES[0]);
    node.sql("INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)");
    let file = node.store.directory().join(trellis_replication::store::DATABASE_FILE);
    let other = rusqlite::Connection::open(file).unwrap();
    other.execute_batch("INSERT INTO t VALUES (3, 'z', 3); DELETE FROM t WHERE id = 1").unwrap();
    assert_eq!(node.store.check().unwrap().len(), 2);
}

/// The heads that all of these have.
fn stable(nodes: &[Node]) -> Heads {
    let mut stable = nodes[0].store.heads();
    for node in nodes {
        let heads = node.store.heads();
        stable.iter_mut().for_each(|(site, head)| {
            *head = (*head).min(heads.get(site).copied().unwrap_or_default());
        });
    }
    stable
}

/// Brings the transactions that `to` lacks of each origin from `from`.
fn catch_up(from: &Node, to: &Node) {
    for site in from.store.heads().into_keys() {
        let after = to.store.heads().get(&site).copied().unwrap_or_default();
        let Ok(LogSlice::Changesets(missing)) = from.store.read_log(site, after, usize::MAX) else {
            panic!("trimmed");
        };
        for outcome in to.store.apply(&missing) {
            assert_eq!(outcome, ApplyOutcome::Applied);
        }
    }
}

#[test]
fn the_log_keeps_to_its_limits() {
    let node = Node::new(1, TABLES[0]);
    let site = node.store.site_id();
    let text = "x".repeat(10_000);
    for id in 0..40 {
        node.sql(&format!("INSERT INTO t VALUES ({id}, '{text}', 1)"));
    }
    let keep = |keep_bytes, keep_us, max_bytes| LogLimits { keep_bytes, keep_us, max_bytes };
    let trim = |stable: u64, limits: &LogLimits| {
        let stable = [(site, DbVersion(stable))].into();
        node.store.trim(&stable, limits).unwrap().transactions
    };
    assert_eq!(trim(40, &keep(None, u64::MAX, u64::MAX)), 0, "less than is kept in any case");
    assert_eq!(trim(0, &keep(Some(0), 0, u64::MAX)), 0, "a member lacks everything");
    assert_eq!(trim(3, &keep(Some(0), 0, u64::MAX)), 3);
    let more = trim(40, &keep(Some(200_000), u64::MAX, u64::MAX));
    assert!((12..24).contains(&more), "{more} trimmed by size");
    let more = trim(0, &keep(Some(1 << 20), u64::MAX, 100_000));
    assert!((7..16).contains(&more), "{more} trimmed though members lack them");
    let rest = trim(40, &keep(Some(1 << 20), 0, u64::MAX));
    assert!(rest > 0, "trimmed by age");
    assert_eq!(node.store.trim(&node.store.heads(), &LogLimits::NEEDED).unwrap().log_bytes, 0);
    assert_eq!(node.rows().len(), 40);
}

#[test]
fn deleted_rows_are_forgotten_and_their_keys_live_again_everywhere() {
    for create in TABLES {
        let nodes = [Node::new(1, create), Node::new(2, create), Node::new(3, create)];
        nodes[0].sql("INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)");
        nodes[0].sql("DELETE FROM t WHERE id <> 3 AND id <> '3'");
        nodes[1..].iter().for_each(|node| catch_up(&nodes[0], node));
        // Two forget and one does not.
        for node in &nodes[..2] {
            let trimmed = node.store.trim(&stable(&nodes), &LogLimits::NEEDED).unwrap();
            assert_eq!(trimmed.tombstones, 2, "{create}");
            assert_eq!(node.store.check().unwrap(), Vec::<String>::new());
        }
        nodes[0].sql("INSERT INTO t VALUES (1, 'again', 1)");
        nodes[1].sql("INSERT INTO t VALUES (2, 'again', 2)");
        for (from, to) in [(0, 2), (1, 2), (0, 1), (1, 0)] {
            catch_up(&nodes[from], &nodes[to]);
        }
        for node in &nodes {
            assert_eq!(node.rows().len(), 3, "{create}");
            assert_eq!(node.store.digest().unwrap(), nodes[0].store.digest().unwrap());
        }
    }
}

#[test]
fn keys_that_only_a_collation_calls_equal_are_different_rows() {
    let create =
        "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, a TEXT, b INTEGER) STRICT";
    let (one, two) = (Node::new(1, create), Node::new(2, create));
    one.sql("INSERT INTO t VALUES ('key', 'x', 1)");
    one.sql("UPDATE t SET id = 'KEY'");
    one.sql("DELETE FROM t; INSERT INTO t VALUES ('Key', 'y', 2)");
    two.store.apply(&one.own_log());
    assert_eq!(two.rows(), ["'Key' 'y' 2"]);
    one.sql("INSERT INTO t VALUES ('both', 'x', 1)");
    two.sql("INSERT INTO t VALUES ('BOTH', 'y', 2)");
    one.store.apply(&two.own_log());
    two.store.apply(&one.own_log());
    assert_eq!(one.rows(), ["'BOTH' 'y' 2", "'Key' 'y' 2"]);
    assert_eq!(one.rows(), two.rows());
    assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap());
}

#[test]
fn a_changeset_that_fails_keeps_no_other_out() {
    let node = |site, check| {
        Node::new(
            site,
            &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER {check}) STRICT"),
        )
    };
    let (one, two) = (node(1, ""), node(2, ""));
    let three = node(3, ", g TEXT AS (json(a)) STORED");
    one.sql("INSERT INTO t VALUES (1, 'no json', 1)");
    one.sql("INSERT INTO t VALUES (2, '{}', 1)");
    two.sql("INSERT INTO t VALUES (3, '{}', 1)");
    let batch: Vec<_> = one.own_log().into_iter().chain(two.own_log()).collect();
    let outcomes = three.store.apply(&batch);
    assert!(matches!(
        outcomes[..],
        [ApplyOutcome::Failed { .. }, ApplyOutcome::Gap { .. }, ApplyOutcome::Applied]
    ));
    assert_eq!(three.rows(), ["3 '{}' 1"]);
}

#[test]
fn rows_changed_before_their_table_was_altered_travel_as_they_are_in_the_end() {
    for create in TABLES {
        let (one, two) = (Node::new(1, create), Node::new(2, create));
        one.sql("INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 20)");
        one.write(|connection| {
            let run = |sql| connection.sqlite().execute_batch(sql).unwrap();
            run("INSERT INTO t VALUES (3, 'z', 30); UPDATE t SET b = 21 WHERE id = 2 OR id = '2'");
            run("ALTER TABLE t ADD COLUMN c INTEGER");
            connection.register_table(&spec(&["id", "a", "b", "c"])).unwrap();
            connection
                .sqlite()
                .execute_batch("UPDATE t SET c = 5 WHERE id = 1 OR id = '1'")
                .unwrap();
        });
        let log = one.own_log();
        two.store.apply(&log[..1]);
        two.write(|connection| {
            connection.sqlite().execute_batch("ALTER TABLE t ADD COLUMN c INTEGER").unwrap();
            connection.register_table(&spec(&["id", "a", "b", "c"])).unwrap();
        });
        assert_eq!(two.store.apply(&log[1..]), [ApplyOutcome::Applied], "{create}");
        assert_eq!(one.rows(), two.rows(), "{create}");
        assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap());
        assert_eq!(one.store.check().unwrap(), Vec::<String>::new());
    }
}

/// Rows of neighbouring keys, inserted in one transaction: most of their images are made when it is folded, and elsewhere
/// they are written together. Parts of the run are undone, changed and deleted again, others meet rows that are there.
#[test]
fn long_runs_are_like_single_rows() {
    for create in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER NOT NULL DEFAULT 7, b TEXT UNIQUE) STRICT",
        "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a REAL, b ANY) STRICT",
    ] {
        let (one, two, three) = (Node::new(1, create), Node::new(2, create), Node::new(3, create));
        one.sql("INSERT INTO t VALUES (70, 0, 'there'), (71, 0, NULL)");
        two.sql("INSERT INTO t VALUES (205, 1, 'b 300'), (-3, 1, 'b -5')");
        one.write(|connection| {
            let run = "INSERT INTO t (id, a, b) WITH RECURSIVE n(i) AS
                (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) SELECT i, i * 10, 'b ' || i FROM n";
            let run = |from: i64, upto: i64| {
                connection.sqlite().execute(run, [from, upto]).unwrap();
            };
            run(-40, 69);
            run(72, 400);
            connection.sqlite().execute_batch("SAVEPOINT s").unwrap();
            run(401, 600);
            connection.sqlite().execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
            run(401, 450);
            let change = "UPDATE t SET a = 1 WHERE id = 200; DELETE FROM t WHERE id IN (210, 448)";
            connection.sqlite().execute_batch(change).unwrap();
        });
        one.sql("INSERT INTO t (id, a, b) SELECT 1000 + id, a, 'c ' || id FROM t WHERE id > 0");
        for (from, to) in [(&one, &two), (&two, &one), (&one, &three), (&two, &three)] {
            let outcomes = to.store.apply(&from.own_log());
            assert!(outcomes.iter().all(|it| *it == ApplyOutcome::Applied), "{outcomes:?}");
        }
        let digest = |node: &Node| node.store.digest().unwrap();
        assert_eq!(digest(&one), digest(&two), "{create}");
        assert_eq!(digest(&one), digest(&three), "{create}");
        for node in [&one, &two, &three] {
            assert_eq!(node.store.check().unwrap(), Vec::<String>::new());
        }
        assert!(one.rows().len() > 900);
    }
}

/// Parts of one write transaction are transactions of their own; one that is undone leaves nothing.
#[test]
fn parts_are_committed_together_and_told_one_by_one() {
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER) STRICT";
    let (one, two) = (Node::new(1, create), Node::new(2, create));
    let told: Arc<Mutex<Vec<(u64, u64, u32)>>> = Arc::default();
    let heard = Arc::clone(&told);
    one.store.set_listener(Box::new(move |applied| {
        let tell = |it: &Arc<AppliedTransaction>| (it.position.0, it.version.0, it.tag);
        heard.lock().unwrap().extend(applied.iter().map(tell));
    }));
    let before = one.store.position().0;
    let head = one.store.heads().get(&one.store.site_id()).map_or(0, |head| head.0);
    let last = one.write(|connection| {
        let run = |connection: &StoreConnection, sql: &str| {
            connection.sqlite().execute_batch(sql).unwrap();
        };
        for (tag, sql) in [
            (7, "INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 2)"),
            (8, "UPDATE t SET a = 'y' WHERE id = 1; DELETE FROM t WHERE id = 2"),
            (9, "UPDATE t SET a = 'y'"),
        ] {
            run(connection, &format!("SAVEPOINT part; {sql}"));
            connection.end_part(tag).unwrap();
            run(connection, "RELEASE part");
        }
        run(connection, "SAVEPOINT part; INSERT INTO t VALUES (3, 'never', 3)");
        run(connection, "ROLLBACK TO part; RELEASE part; INSERT INTO t VALUES (4, 'end', 4)");
    });
    assert_eq!(last, Some(Position(before + 3)));
    let parts = [(1, 7), (2, 8), (3, 0)].map(|(after, tag)| (before + after, head + after, tag));
    assert_eq!(*told.lock().unwrap(), parts);
    let log = one.own_log();
    assert_eq!(log.len() as u64, head + 3);
    let outcomes = two.store.apply(&log);
    assert!(outcomes.iter().all(|it| *it == ApplyOutcome::Applied), "{outcomes:?}");
    assert_eq!(one.rows(), ["1 'y' 1", "4 'end' 4"]);
    assert_eq!(one.rows(), two.rows());
    assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap());
    assert_eq!(one.store.check().unwrap(), Vec::<String>::new());
}

/// A long run of rows so large that the images of a few are enough for one reading.
#[test]
fn a_run_of_large_rows_travels_whole() {
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT) STRICT";
    let (one, two) = (Node::new(1, create), Node::new(2, create));
    one.sql(
        "INSERT INTO t (id, a, b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90)
         SELECT i, i, hex(zeroblob(100000)) || i FROM n",
    );
    let outcomes = two.store.apply(&one.own_log());
    assert_eq!(outcomes.last(), Some(&ApplyOutcome::Applied), "{outcomes:?}");
    assert_eq!(two.rows().len(), 90);
    assert_eq!(one.store.digest().unwrap(), two.store.digest().unwrap());
    for node in [&one, &two] {
        assert_eq!(node.store.check().unwrap(), Vec::<String>::new());
    }
}
