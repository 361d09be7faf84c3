//! Forgetting deleted rows changes nothing that anyone can see: whatever nodes do, in whatever order it arrives, and
//! whenever each of them trims.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::sync::Arc;

use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, proptest};
use tempfile::TempDir;
use trellis_replication::store::{
    ApplyOutcome, LogLimits, LogSlice, Store, StoreOptions, TableSpec, floor_table,
};
use trellis_replication::types::{ColumnId, DbVersion, Heads, SiteId, TableId};

const NODES: usize = 3;
const KEYS: i64 = 4;

const TABLES: [&str; 3] = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a INTEGER) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a INTEGER) STRICT, WITHOUT ROWID",
];

#[derive(Clone, Debug)]
enum Step {
    /// Inserts the row, or updates it.
    Write {
        node: usize,
        key: i64,
        value: i64,
    },
    Delete {
        node: usize,
        key: i64,
    },
    /// One transaction of an origin goes from node to node.
    Deliver {
        from: usize,
        to: usize,
        origin: usize,
    },
    /// Everybody tells its heads.
    Tell,
    /// A node trims what it may.
    Trim {
        node: usize,
    },
}

/// What members told at one moment: what all had, and what any had.
#[derive(Clone, Default)]
struct Told {
    all: Heads,
    any: Heads,
}

struct World {
    _directories: Vec<TempDir>,
    stores: Vec<Arc<Store>>,
    told: Told,
    forgotten: u64,
}

fn site(node: usize) -> SiteId {
    SiteId([u8::try_from(node).unwrap() + 1; 16])
}

fn head(heads: &Heads, site: SiteId) -> DbVersion {
    heads.get(&site).copied().unwrap_or_default()
}

impl World {
    fn new(create: &str) -> Self {
        let mut world = Self {
            _directories: Vec::new(),
            stores: Vec::new(),
            told: Told::default(),
            forgotten: 0,
        };
        (0..NODES).for_each(|_| world.add(create));
        world
    }

    /// Adds an empty node.
    fn add(&mut self, create: &str) {
        let directory = tempfile::tempdir().unwrap();
        let site_id = Some(site(self.stores.len()));
        let options = StoreOptions { site_id, ..StoreOptions::default() };
        let store = Store::open(directory.path(), options).unwrap();
        let columns = vec![(ColumnId(1), "id".to_owned()), (ColumnId(2), "a".to_owned())];
        let (name, key) = ("t".to_owned(), vec![ColumnId(1)]);
        let spec = TableSpec { id: TableId(7), name, columns, key, system: false };
        let (floors, floor_spec) = floor_table();
        let mut connection = store.connect().unwrap();
        connection.begin(store.lease().acquire_uncancelled()).unwrap();
        connection.sqlite().execute_batch(create).unwrap();
        connection.sqlite().execute_batch(floors).unwrap();
        connection.register_table(&spec).unwrap();
        connection.register_table(&floor_spec).unwrap();
        drop(connection.commit().unwrap());
        drop(connection);
        self.stores.push(store);
        self._directories.push(directory);
    }

    fn sql(&self, node: usize, sql: &str) {
        let store = &self.stores[node];
        let mut connection = store.connect().unwrap();
        connection.begin(store.lease().acquire_uncancelled()).unwrap();
        connection.sqlite().execute_batch(sql).unwrap();
        if let Some(pending) = connection.commit().unwrap() {
            pending.wait().unwrap();
        }
    }

    /// Brings at most `bytes` of an origin's transactions, at least one.
    fn deliver(&self, from: usize, to: usize, origin: SiteId, bytes: usize) {
        let after = head(&self.stores[to].heads(), origin);
        match self.stores[from].read_log(origin, after, bytes).unwrap() {
            LogSlice::Changesets(log) => {
                let outcomes = self.stores[to].apply(&log);
                assert!(outcomes.iter().all(|outcome| *outcome == ApplyOutcome::Applied));
            }
            LogSlice::Trimmed { first } => panic!("{origin} is trimmed below {first:?}"),
        }
    }

    fn tell(&mut self) {
        let heads: Vec<_> = self.stores.iter().map(|store| store.heads()).collect();
        let mut told = Told::default();
        for origin in (0..NODES).map(site) {
            let known = heads.iter().map(|heads| head(heads, origin));
            told.all.insert(origin, known.clone().min().unwrap());
            told.any.insert(origin, known.max().unwrap());
        }
        self.told = told;
    }

    fn trim(&mut self, node: usize) {
        let heads = self.stores[node].heads();
        if self.told.any.iter().all(|(site, told)| head(&heads, *site) >= *told) {
            let trimmed = self.stores[node].trim(&self.told.all, &LogLimits::NEEDED).unwrap();
            self.forgotten += trimmed.tombstones;
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { node, key, value } => self.sql(
                node,
                &format!(
                    "INSERT INTO t VALUES ({key}, {value}) ON CONFLICT (id) DO UPDATE SET a = excluded.a"
                ),
            ),
            Step::Delete { node, key } => {
                self.sql(node, &format!("DELETE FROM t WHERE id = {key} OR id = '{key}'"));
            }
            Step::Deliver { from, to, origin } => self.deliver(from, to, site(origin), 1),
            Step::Tell => self.tell(),
            Step::Trim { node } => self.trim(node),
        }
    }

    /// Everything reaches everyone.
    fn quiesce(&self) {
        let nodes = self.stores.len();
        for _ in 0..nodes {
            for (from, to) in (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to))) {
                (0..nodes).for_each(|origin| self.deliver(from, to, site(origin), usize::MAX));
            }
        }
    }

    fn live(&self, node: usize) -> i64 {
        let connection = self.stores[node].connect().unwrap();
        connection.sqlite().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u32..12, 0..NODES, 0..NODES, 0..NODES, 0..KEYS, 0i64..3).prop_map(
        |(kind, node, other, origin, key, value)| match kind {
            0..3 => Step::Write { node, key, value },
            3 | 4 => Step::Delete { node, key },
            5..9 => Step::Deliver { from: node, to: other, origin },
            9 => Step::Tell,
            _ => Step::Trim { node },
        },
    );
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn forgotten_rows_are_not_missed(steps in steps(), table in 0usize..3) {
        let mut world = World::new(TABLES[table]);
        steps.iter().for_each(|step| world.step(step));
        world.quiesce();
        for node in 1..NODES {
            prop_assert_eq!(world.stores[0].digest().unwrap(), world.stores[node].digest().unwrap());
        }
        // Some forget, some do not; then each key lives again wherever it is inserted.
        world.tell();
        (0..NODES - 1).for_each(|node| world.trim(node));
        // One that comes empty is served from what is left, in pieces.
        world.add(TABLES[table]);
        for origin in (0..NODES).map(site) {
            while head(&world.stores[NODES].heads(), origin) < head(&world.stores[0].heads(), origin) {
                world.deliver(0, NODES, origin, 100);
            }
        }
        prop_assert_eq!(world.stores[0].digest().unwrap(), world.stores[NODES].digest().unwrap());
        for key in 0..KEYS {
            let node = usize::try_from(key).unwrap() % (NODES + 1);
            world.step(&Step::Write { node, key, value: 9 });
        }
        world.quiesce();
        for node in 0..=NODES {
            prop_assert_eq!(world.live(node), KEYS);
            prop_assert_eq!(world.stores[0].digest().unwrap(), world.stores[node].digest().unwrap());
            prop_assert_eq!(world.stores[node].check().unwrap(), Vec::<String>::new());
        }
    }
}
