//! Files that must not go on under their site: copies that went another way, and nodes that were away for too long.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod transfer;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use transfer::{deliver, transfer};
use trellis_replication::store::{
    ApplyOutcome, DATABASE_FILE, LogLimits, LogSlice, LostIdentity, Resent, StateOutcome,
    StateSlice, Store, StoreError, StoreOptions, TableSpec, retire, retired, roster_table,
};
use trellis_replication::types::{ColumnId, DbVersion, SiteId, TableId, TransferId};

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER) STRICT",
    "CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY NOT NULL, a INTEGER, b INTEGER) STRICT",
    "CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY NOT NULL, a INTEGER, b INTEGER) STRICT, WITHOUT ROWID",
];

struct Node {
    store: Arc<Store>,
    directory: TempDir,
    create: &'static str,
}

fn site(number: u8) -> SiteId {
    SiteId([number; 16])
}

fn open(directory: &Path, number: u8, create: &str) -> Result<Arc<Store>, StoreError> {
    let options = StoreOptions { site_id: Some(site(number)), ..StoreOptions::default() };
    let store = Store::open(directory, options)?;
    let columns = (1..).zip(["id", "a", "b"]).map(|(id, name)| (ColumnId(id), name.to_owned()));
    let (columns, key) = (columns.collect(), vec![ColumnId(1)]);
    let spec = TableSpec { id: TableId(7), name: "t".into(), columns, key, system: false };
    let (expelled, roster_spec) = roster_table();
    let mut connection = store.connect()?;
    connection.begin(store.lease().acquire_uncancelled())?;
    connection.sqlite().execute_batch(create)?;
    connection.sqlite().execute_batch(expelled)?;
    connection.register_table(&spec)?;
    connection.register_table(&roster_spec)?;
    if let Some(pending) = connection.commit()? {
        pending.wait()?;
    }
    Ok(store)
}

impl Node {
    fn new(number: u8, create: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: open(directory.path(), number, create).unwrap(), directory, create }
    }

    fn sql(&self, sql: &str) {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        connection.sqlite().execute_batch(sql).unwrap();
        connection.commit().unwrap().unwrap().wait().unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let connection = self.store.connect().unwrap();
        let sql = "SELECT id || ' ' || ifnull(a, '-') || ' ' || ifnull(b, '-') FROM t ORDER BY id";
        let mut select = connection.sqlite().prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn head(&self, number: u8) -> DbVersion {
        self.store.heads().get(&site(number)).copied().unwrap_or_default()
    }

    /// Stops it; what it leaves is copied over by `backup`, if that is one.
    fn stop(self) -> (TempDir, &'static str) {
        let Self { store, directory, create } = self;
        drop(Arc::into_inner(store).unwrap());
        (directory, create)
    }

    fn restart((directory, create): (TempDir, &'static str), number: u8) -> Self {
        Self { store: open(directory.path(), number, create).unwrap(), directory, create }
    }

    /// What `peer` knows of this node.
    fn meet(&self, peer: &Self) {
        let own = self.store.site_id();
        let head = self.store.heads().get(&own).copied().unwrap_or_default();
        self.store.check_past(&peer.store.past(own, head).unwrap()).unwrap();
    }

    /// Begins anew as another site, with the state of `peer`, and does again what only its old file knows.
    fn begin_anew(self, number: u8, peer: &Self) -> (Self, Resent) {
        let (directory, create) = self.stop();
        let refused = open(directory.path(), number, create);
        assert!(matches!(refused, Err(StoreError::LostIdentity { .. })));
        let has_log = |suffix| directory.path().join(format!("{DATABASE_FILE}{suffix}")).exists();
        assert!(!has_log("-wal") && !has_log("-wal-kept"), "the file is whole by itself");
        let aside = retire(directory.path()).unwrap();
        let node = Self::restart((directory, create), number);
        assert_eq!(transfer(&peer.store, &node.store, 1), StateOutcome::Adopted);
        let directory = node.store.directory();
        assert_eq!(retired(directory).unwrap(), [aside.as_path()]);
        let resent = node.store.resend(&aside).unwrap();
        assert_eq!(retired(directory).unwrap(), [] as [&Path; 0]);
        (node, resent)
    }
}

fn quiesce(nodes: &[&Node]) {
    for _ in nodes {
        for (from, to) in nodes.iter().flat_map(|from| nodes.iter().map(move |to| (from, to))) {
            for origin in from.store.heads().into_keys() {
                deliver(&from.store, &to.store, origin, usize::MAX);
            }
        }
    }
    for node in nodes {
        assert_eq!(node.store.digest().unwrap(), nodes[0].store.digest().unwrap());
        assert_eq!(node.store.check().unwrap(), Vec::<String>::new());
    }
}

/// A node of which a copy was made, and a peer that knows what the original did after that; the copy runs.
fn restored(create: &'static str, after: u64) -> (Node, Node) {
    let (one, two) = (Node::new(1, create), Node::new(2, create));
    one.sql("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)");
    one.meet(&two);
    let stopped = one.stop();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(stopped.0.path().join(DATABASE_FILE), copy.path().join(DATABASE_FILE)).unwrap();
    let one = Node::restart(stopped, 1);
    for number in 0..after {
        one.sql(&format!("UPDATE t SET b = 100 + {number} WHERE id = '1'"));
    }
    quiesce(&[&one, &two]);
    (Node::restart((copy, create), 1), two)
}

#[test]
fn a_restored_copy_that_wrote_finds_out_and_loses_neither_past() {
    for create in TABLES {
        for (original, trimmed) in [(1, false), (2, false), (4, false), (4, true)] {
            let (copy, two) = restored(create, original);
            copy.sql("UPDATE t SET a = 7 WHERE id = '2'; DELETE FROM t WHERE id = '3'");
            copy.sql("INSERT INTO t VALUES (4, 4, 4)");
            if trimmed {
                two.store.trim(&two.store.heads(), &LogLimits::NEEDED).unwrap();
            }
            assert_eq!(copy.store.lost_identity(), None);
            copy.meet(&two);
            assert_eq!(copy.store.lost_identity(), Some(LostIdentity::Forked), "{original}");
            let (anew, resent) = copy.begin_anew(9, &two);
            assert_eq!(resent, Resent { known: 1, resent: 2, left: 0 });
            quiesce(&[&anew, &two]);
            assert_eq!(two.head(1).0, original + 1, "the former tail is here");
            assert_eq!(anew.rows(), [&format!("1 1 {}", 99 + original), "2 7 2", "4 4 4"]);
        }
    }
}

#[test]
fn a_restored_copy_that_did_not_write_fetches_its_past() {
    let (copy, two) = restored(TABLES[0], 3);
    copy.meet(&two);
    assert_eq!(copy.store.lost_identity(), None);
    deliver(&two.store, &copy.store, site(1), usize::MAX);
    copy.meet(&two);
    copy.sql("UPDATE t SET b = 5 WHERE id = 2");
    copy.meet(&two);
    assert_eq!(copy.store.lost_identity(), None);
    quiesce(&[&copy, &two]);
    // Its start is confirmed, so a second copy that goes on at the same time is found out by whom it overtakes.
    two.meet(&copy);
    assert_eq!(two.store.lost_identity(), None);
}

/// Nobody is let in or expelled under a number that others know.
#[test]
fn a_restored_copy_takes_no_number_for_the_roster() {
    let (copy, two) = restored(TABLES[0], 3);
    let before = copy.head(1);
    let read = |reader| copy.store.read_state((site(reader), TransferId(1)), 0, 1).unwrap();
    copy.store.set_lacks_own_past(true);
    assert!(!copy.store.expel(site(5), DbVersion(0)).unwrap());
    assert!(matches!(read(6), StateSlice::Busy));
    assert_eq!(copy.head(1), before);
    deliver(&two.store, &copy.store, site(1), usize::MAX);
    copy.store.set_lacks_own_past(false);
    assert!(copy.store.expel(site(5), DbVersion(0)).unwrap());
    assert!(matches!(read(6), StateSlice::Chunks(_)));
    copy.store.lose_identity(LostIdentity::Forked).unwrap();
    assert!(!copy.store.expel(site(7), DbVersion(0)).unwrap());
}

/// What a node wrote while its start was not confirmed is remembered when it starts again.
#[test]
fn a_restart_does_not_make_up_for_a_fork() {
    let (copy, two) = restored(TABLES[0], 3);
    copy.sql("INSERT INTO t VALUES (4, 4, 4)");
    two.store.trim(&two.store.heads(), &LogLimits::NEEDED).unwrap();
    let copy = Node::restart(copy.stop(), 1);
    copy.meet(&two);
    assert_eq!(copy.store.lost_identity(), Some(LostIdentity::Forked));
}

/// A member that was expelled while it was away brings no row back, and loses nothing that it did itself.
#[test]
fn an_expelled_member_resurrects_nothing_and_loses_nothing() {
    for create in TABLES {
        let nodes = [Node::new(1, create), Node::new(2, create), Node::new(3, create)];
        let [one, two, away] = nodes;
        one.sql("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)");
        quiesce(&[&one, &two, &away]);
        away.sql("UPDATE t SET a = 9");
        away.sql("INSERT INTO t VALUES (5, 5, 5)");
        one.sql("DELETE FROM t WHERE id = '1' OR id = '2'");
        quiesce(&[&one, &two]);
        one.store.expel(site(3), one.head(3)).unwrap();
        quiesce(&[&one, &two]);
        assert_eq!(one.store.trim(&two.store.heads(), &LogLimits::NEEDED).unwrap().tombstones, 2);
        // Nobody takes what it wrote in the meantime, whether it has forgotten the rows or not.
        for node in [&one, &two] {
            let LogSlice::Changesets(tail) =
                away.store.read_log(site(3), node.head(3), usize::MAX).unwrap()
            else {
                panic!("no log")
            };
            let outcomes = node.store.apply(&tail);
            assert!(matches!(
                outcomes[..],
                [ApplyOutcome::Rejected { .. }, ApplyOutcome::Gap { .. }]
            ));
        }
        assert_eq!(deliver(&one.store, &away.store, site(1), usize::MAX), StateOutcome::Stale);
        assert_eq!(away.store.lost_identity(), Some(LostIdentity::Stale));
        let (anew, resent) = away.begin_anew(9, &one);
        assert_eq!(resent, Resent { known: 0, resent: 2, left: 0 });
        quiesce(&[&one, &two, &anew]);
        assert_eq!(one.rows(), ["3 9 3", "5 5 5"]);
    }
}

/// One that did nothing of its own while it was away takes over the state, and what it had is gone.
#[test]
fn a_stale_node_without_transactions_of_its_own_is_replaced() {
    for create in TABLES {
        let [one, away] = [Node::new(1, create), Node::new(3, create)];
        one.sql("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)");
        quiesce(&[&one, &away]);
        away.sql("UPDATE t SET a = 9 WHERE id = '3'");
        quiesce(&[&one, &away]);
        one.sql("DELETE FROM t WHERE id = '1'");
        one.store.trim(&one.store.heads(), &LogLimits::NEEDED).unwrap();
        assert_eq!(deliver(&one.store, &away.store, site(1), usize::MAX), StateOutcome::Adopted);
        assert_eq!(away.store.lost_identity(), None);
        quiesce(&[&one, &away]);
        assert_eq!(away.rows(), ["2 2 2", "3 9 3"]);
    }
}

/// Who had more of an expelled site than was said says so, and everyone gets it.
#[test]
fn what_anyone_had_of_an_expelled_site_counts() {
    let nodes = [1, 2, 3].map(|number| Node::new(number, TABLES[0]));
    let [one, two, away] = nodes;
    away.sql("INSERT INTO t VALUES (1, 1, 1)");
    quiesce(&[&one, &two, &away]);
    away.sql("INSERT INTO t VALUES (2, 2, 2)");
    deliver(&away.store, &two.store, site(3), usize::MAX);
    one.store.expel(site(3), one.head(3)).unwrap();
    deliver(&one.store, &two.store, site(1), usize::MAX);
    let told = |node: &Node| node.store.expelled().unwrap();
    assert_eq!(told(&two), [(site(3), DbVersion(1))]);
    two.store.expel(site(3), two.head(3)).unwrap();
    quiesce(&[&one, &two]);
    assert_eq!(told(&one), [(site(3), DbVersion(2))]);
    assert_eq!(one.rows(), ["1 1 1", "2 2 2"]);
}

/// Who is given the state is let in by it: whoever has all that its giver had knows of it as a member.
#[test]
fn who_is_given_a_state_is_in_its_roster() {
    let [one, two, late] = [1, 2, 3].map(|number| Node::new(number, TABLES[0]));
    one.sql("INSERT INTO t VALUES (1, 1, 1)");
    quiesce(&[&one, &two]);
    assert_eq!(transfer(&one.store, &late.store, 1), StateOutcome::Adopted);
    assert_eq!(late.store.admitted().unwrap(), [site(3)]);
    deliver(&one.store, &two.store, site(1), usize::MAX);
    assert_eq!(two.store.admitted().unwrap(), [site(3)]);
    two.store.expel(site(3), two.head(3)).unwrap();
    assert_eq!(two.store.admitted().unwrap(), []);
}
