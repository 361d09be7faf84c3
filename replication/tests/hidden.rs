//! Rows that are unique on each node but not together: random histories on several nodes. All end with the same rows in
//! sight, those that the rule says, and who listens knows at every moment which rows are in sight.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use trellis_replication::crdt::pack;
use trellis_replication::store::{
    AppliedTransaction, ApplyOutcome, LogRange, LogSlice, RowOp, Store, StoreOptions, TableSpec,
    Visited,
};
use trellis_replication::types::{ColumnId, DbVersion, Position, SiteId, TableId, ValueRef};

const TABLE: TableId = TableId(u64::MAX - 7);

/// Histories of each kind.
const SEEDS: u64 = 3;

/// Local transactions, deliveries and resolutions of a history.
const STEPS: u64 = 40;

const TABLES: [&str; 3] = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT, WITHOUT ROWID",
];

const INDEXES: &str =
    "CREATE UNIQUE INDEX u ON t (lower(a)) WHERE a IS NOT NULL; CREATE UNIQUE INDEX v ON t (b)";

/// A sequence of numbers from a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[usize::try_from(self.roll(N as u64)).unwrap()]
    }
}

/// The rows that a listener believes to be in sight, and what it was told against what it knew.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mirror {
    keys: BTreeSet<Vec<u8>>,
    surprises: Vec<String>,
}

impl Mirror {
    fn hear(&mut self, store: &Store, transaction: &AppliedTransaction) {
        let mut told = BTreeSet::new();
        let visited = store.visit_rows(transaction, u32::MAX, |row| {
            let known = self.keys.contains(row.pk);
            let expected = match row.op {
                RowOp::Insert => self.keys.insert(row.pk.to_vec()),
                RowOp::Update => known,
                RowOp::Delete => self.keys.remove(row.pk),
            };
            if !expected || !told.insert(row.pk.to_vec()) {
                self.surprises.push(format!("{transaction:?}: {:?} of {:?}", row.op, row.pk));
            }
        });
        assert_eq!(visited.unwrap(), Visited::All);
    }
}

struct Node {
    _directory: TempDir,
    store: Arc<Store>,
    mirror: Arc<Mutex<Mirror>>,
}

impl Node {
    fn new(site: u8, create: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions { site_id: Some(SiteId([site; 16])), ..StoreOptions::default() };
        let store = Store::open(directory.path(), options).unwrap();
        let mirror = Arc::<Mutex<Mirror>>::default();
        let (listener, heard) = (Arc::downgrade(&store), Arc::clone(&mirror));
        store.set_listener(Box::new(move |applied| {
            let store = listener.upgrade().unwrap();
            let mut mirror = heard.lock().unwrap();
            applied.iter().for_each(|transaction| mirror.hear(&store, transaction));
        }));
        let mut connection = store.connect().unwrap();
        connection.begin(store.lease().acquire_uncancelled()).unwrap();
        connection.sqlite().execute_batch(&format!("{create}; {INDEXES}")).unwrap();
        let columns = (1..).zip(["id", "a", "b"]);
        let columns = columns.map(|(id, name)| (ColumnId(id), name.to_owned())).collect();
        let (name, key) = ("t".to_owned(), vec![ColumnId(1)]);
        let spec = TableSpec { id: TABLE, name, columns, key, system: false };
        connection.register_table(&spec).unwrap();
        connection.commit().unwrap().unwrap().wait().unwrap();
        drop(connection);
        Self { _directory: directory, store, mirror }
    }

    /// Runs statements in one transaction; those that SQLite refuses have no effect.
    fn write(&self, statements: &[String]) {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        for sql in statements {
            let _refused = connection.sqlite().execute_batch(sql);
        }
        if let Some(pending) = connection.commit().unwrap() {
            pending.wait().unwrap();
        }
    }

    fn give_next(&self, to: &Self, origin: SiteId) -> bool {
        let after = to.store.heads().get(&origin).copied().unwrap_or_default();
        let Ok(LogSlice::Changesets(log)) = self.store.read_log(origin, after, 1) else { panic!() };
        let outcomes = to.store.apply(&log);
        assert!(outcomes.iter().all(|it| *it == ApplyOutcome::Applied), "{outcomes:?}");
        !outcomes.is_empty()
    }

    /// The rows in sight: packed key, `lower(a)`, `b`.
    fn rows(&self) -> BTreeMap<Vec<u8>, (Option<String>, Option<i64>)> {
        let connection = self.store.connect().unwrap();
        let mut select = connection.sqlite().prepare("SELECT id, lower(a), b FROM t").unwrap();
        let rows = select.query_map([], |row| {
            let key = match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(id) => pack([ValueRef::Integer(id)]),
                other => pack([ValueRef::Text(other.as_str()?)]),
            };
            Ok((key, (row.get(1)?, row.get(2)?)))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn check(&self, what: &str) {
        let mirror = self.mirror.lock().unwrap().clone();
        assert_eq!(mirror.surprises, Vec::<String>::new(), "{what}");
        assert_eq!(mirror.keys, self.rows().into_keys().collect(), "{what}");
    }

    /// What a listener knows that reads the log from its beginning.
    fn replayed(&self) -> Mirror {
        let mut mirror = Mirror::default();
        let Ok(LogRange::Transactions(log)) = self.store.read_from(Position(0), usize::MAX) else {
            panic!()
        };
        log.iter().for_each(|transaction| mirror.hear(&self.store, transaction));
        mirror
    }
}

fn statement(dice: &mut Dice) -> String {
    let (id, other) = (dice.roll(8), dice.roll(8));
    let a = dice.pick(["'x'", "'X'", "'y'", "'Y'", "'z'", "NULL"]);
    let b = dice.pick(["1", "2", "3", "4", "NULL", "NULL"]);
    match dice.roll(12) {
        0..6 => format!("INSERT INTO t VALUES ({id}, {a}, {b})"),
        6 => format!("INSERT OR REPLACE INTO t VALUES ({id}, {a}, {b})"),
        7 => format!("UPDATE t SET a = {a} WHERE id = {id} OR id = '{id}'"),
        8 => format!("UPDATE t SET b = {b} WHERE id = {id} OR id = '{id}'"),
        9 => format!("UPDATE t SET id = {other} WHERE id = {id} OR id = '{id}'"),
        _ => format!("DELETE FROM t WHERE id = {id} OR id = '{id}'"),
    }
}

/// Of all rows, seen and hidden, those that are to be seen: each unless a smaller one that is conflicts with it.
fn expected(node: &Node) -> BTreeSet<Vec<u8>> {
    let mut all = node.rows();
    for hidden in node.store.conflicts().unwrap() {
        let text = |id: u32| hidden.cells.iter().find(|(column, _)| column.0 == id).unwrap();
        let a = match &text(2).1 {
            trellis_replication::types::Value::Text(a) => Some(a.to_lowercase()),
            _ => None,
        };
        let b = match text(3).1 {
            trellis_replication::types::Value::Integer(b) => Some(b),
            _ => None,
        };
        all.insert(hidden.pk, (a, b));
    }
    let (mut seen, mut taken_a, mut taken_b) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (pk, (a, b)) in all {
        if a.as_ref().is_some_and(|a| taken_a.contains(a))
            || b.as_ref().is_some_and(|b| taken_b.contains(b))
        {
            continue;
        }
        taken_a.extend(a);
        taken_b.extend(b);
        seen.insert(pk);
    }
    seen
}

fn play(create: &str, seed: u64) {
    let what = format!("seed {seed} of {create}");
    let mut dice = Dice(seed.wrapping_mul(1_000_003));
    let count = 2 + u8::try_from(seed % 2).unwrap();
    let nodes: Vec<_> = (1..=count).map(|site| Node::new(site, create)).collect();
    let any = |dice: &mut Dice| &nodes[usize::try_from(dice.roll(u64::from(count))).unwrap()];
    for _ in 0..STEPS {
        let node = any(&mut dice);
        match dice.roll(10) {
            0..4 => {
                let statements: Vec<_> = (0..=dice.roll(3)).map(|_| statement(&mut dice)).collect();
                node.write(&statements);
                node.check(&what);
            }
            4 => {
                node.store.resolve_conflicts().unwrap();
                assert!(!node.store.has_due_conflicts().unwrap());
                node.check(&what);
            }
            _ => {
                let (from, origin) = (any(&mut dice), any(&mut dice).store.site_id());
                from.give_next(node, origin);
                node.check(&what);
            }
        }
    }
    for _ in 0..2 {
        for (from, to) in nodes.iter().flat_map(|from| nodes.iter().map(move |to| (from, to))) {
            for origin in from.store.heads().into_keys() {
                while from.give_next(to, origin) {}
            }
        }
        nodes.iter().for_each(|node| node.store.resolve_conflicts().unwrap());
    }
    for node in &nodes {
        node.check(&what);
        assert_eq!(node.store.check().unwrap(), Vec::<String>::new(), "{what}");
        let rows = node.rows();
        assert_eq!(rows, nodes[0].rows(), "{what}");
        assert_eq!(rows.into_keys().collect::<BTreeSet<_>>(), expected(node), "{what}");
        assert_eq!(node.replayed(), *node.mirror.lock().unwrap(), "{what}");
        let hidden = node.store.conflicts().unwrap();
        assert_eq!(hidden, nodes[0].store.conflicts().unwrap(), "{what}");
    }
}

#[test]
fn all_see_the_same_rows_and_listeners_know_which() {
    for create in TABLES {
        (0..SEEDS).for_each(|seed| play(create, seed));
    }
}

#[test]
fn a_transaction_in_chunks_says_which_rows_it_hid() {
    let nodes = [1, 2].map(|site| Node::new(site, TABLES[1]));
    nodes[0].write(&["INSERT INTO t VALUES ('k', 'x', 1), ('a', 'y', 2)".to_owned()]);
    let long = "hex(randomblob(300000))";
    let rows = (0..6).map(|row| format!("INSERT INTO t VALUES ('l{row}', {long}, NULL)"));
    let conflicting = ["('j', 'X', NULL)", "('b', 'Y', NULL)"];
    let conflicting = conflicting.map(|row| format!("INSERT INTO t VALUES {row}"));
    nodes[1].write(&conflicting.into_iter().chain(rows).collect::<Vec<_>>());
    let Ok(LogSlice::Changesets(log)) =
        nodes[1].store.read_log(nodes[1].store.site_id(), DbVersion(0), usize::MAX)
    else {
        panic!()
    };
    assert!(log.len() > 1);
    let outcomes = nodes[0].store.apply(&log);
    assert_eq!(outcomes.last(), Some(&ApplyOutcome::Applied));
    nodes[0].check("node 1");
    assert_eq!(nodes[0].rows().len(), 8);
    assert_eq!(nodes[0].replayed(), *nodes[0].mirror.lock().unwrap());
}
