//! Forgetting deleted rows changes nothing that anyone can see: whatever nodes do, in whatever order it arrives, whenever
//! each of them trims, and whoever joins. `TRELLIS_FORGETTING_CASES=n` tries n histories.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod transfer;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, proptest};
use tempfile::TempDir;
use transfer::{deliver, transfer};
use trellis_replication::store::{
    LogLimits, StateOutcome, Store, StoreOptions, TableSpec, retire, roster_table,
};
use trellis_replication::types::{ColumnId, DbVersion, Heads, SiteId, TableId};

const NODES: usize = 3;
const NODES_MAX: usize = 6;
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
    /// A node trims all it has, whoever lacks it.
    Overflow {
        node: usize,
    },
    /// Node 2 is expelled.
    Expel,
    /// A node joins.
    Join {
        from: usize,
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
    /// The node that is expelled, and the version of node 0 that says so.
    expelled: Option<(usize, DbVersion)>,
    create: &'static str,
}

fn site(node: usize) -> SiteId {
    SiteId([u8::try_from(node).unwrap() + 1; 16])
}

fn head(heads: &Heads, site: SiteId) -> DbVersion {
    heads.get(&site).copied().unwrap_or_default()
}

fn open(directory: &Path, node: usize, create: &str) -> Arc<Store> {
    let options = StoreOptions { site_id: Some(site(node)), ..StoreOptions::default() };
    let store = Store::open(directory, options).unwrap();
    let columns = vec![(ColumnId(1), "id".to_owned()), (ColumnId(2), "a".to_owned())];
    let (name, key) = ("t".to_owned(), vec![ColumnId(1)]);
    let spec = TableSpec { id: TableId(7), name, columns, key, system: false };
    let (roster, roster_spec) = roster_table();
    let mut connection = store.connect().unwrap();
    connection.begin(store.lease().acquire_uncancelled()).unwrap();
    connection.sqlite().execute_batch(create).unwrap();
    connection.sqlite().execute_batch(roster).unwrap();
    connection.register_table(&spec).unwrap();
    connection.register_table(&roster_spec).unwrap();
    drop(connection.commit().unwrap());
    drop(connection);
    store
}

impl World {
    fn new(create: &'static str) -> Self {
        let mut world = Self {
            _directories: Vec::new(),
            stores: Vec::new(),
            told: Told::default(),
            forgotten: 0,
            expelled: None,
            create,
        };
        (0..NODES).for_each(|_| world.add(create));
        world
    }

    /// Adds an empty node.
    fn add(&mut self, create: &str) {
        let directory = tempfile::tempdir().unwrap();
        self.stores.push(open(directory.path(), self.stores.len(), create));
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

    fn deliver(&self, from: usize, to: usize, origin: SiteId, bytes: usize) {
        let outcome = deliver(&self.stores[from], &self.stores[to], origin, bytes);
        let away = self.expelled.is_some_and(|(node, _)| from == node || to == node);
        match outcome {
            // Of an expelled node nothing more is taken until who has more has said so.
            StateOutcome::Adopted | StateOutcome::TooEarly | StateOutcome::Rejected { .. } => {}
            StateOutcome::Stale if away => {}
            other => panic!("{other:?}"),
        }
        // What a node has of an expelled one beyond what was said, it says.
        for (site, version) in self.stores[to].expelled().unwrap() {
            let here = head(&self.stores[to].heads(), site);
            if here > version && site != self.stores[to].site_id() {
                self.stores[to].expel(site, here).unwrap();
            }
        }
    }

    /// A node joins, with the state of another.
    fn join(&mut self, create: &str, from: usize) {
        if self.stores.len() < NODES_MAX && self.members().any(|member| member == from) {
            self.add(create);
            let joined = self.stores.last().unwrap();
            assert_eq!(transfer(&self.stores[from], joined, 1), StateOutcome::Adopted);
        }
    }

    fn members(&self) -> impl Iterator<Item = usize> + use<> {
        let expelled = self.expelled.map(|(node, _)| node);
        (0..self.stores.len()).filter(move |node| Some(*node) != expelled)
    }

    /// The members go on without node 2.
    fn expel(&mut self) {
        if self.expelled.is_none() {
            self.stores[0].expel(site(2), head(&self.stores[0].heads(), site(2))).unwrap();
            self.expelled = Some((2, head(&self.stores[0].heads(), site(0))));
            self.told = Told::default();
        }
    }

    /// The expelled node comes back: it begins anew and does again what only it knows.
    fn readmit(&mut self) {
        let Some((node, _)) = self.expelled.take() else { return };
        let elsewhere = tempfile::tempdir().unwrap();
        let store = Store::open(elsewhere.path(), StoreOptions::default()).unwrap();
        let directory = std::mem::replace(&mut self._directories[node], elsewhere);
        drop(Arc::into_inner(std::mem::replace(&mut self.stores[node], store)).unwrap());
        let aside = retire(directory.path()).unwrap();
        self.stores[node] = open(directory.path(), NODES_MAX + node, self.create);
        self._directories[node] = directory;
        assert_eq!(transfer(&self.stores[0], &self.stores[node], 1), StateOutcome::Adopted);
        assert_eq!(self.stores[node].resend(&aside).unwrap().left, 0);
    }

    fn tell(&mut self) {
        let heads: Vec<_> = self.members().map(|node| self.stores[node].heads()).collect();
        let mut told = Told::default();
        let keys = heads.iter().flat_map(|heads| heads.keys().copied());
        for origin in keys.collect::<BTreeSet<_>>() {
            let known = heads.iter().map(|heads| head(heads, origin));
            told.all.insert(origin, known.clone().min().unwrap());
            told.any.insert(origin, known.max().unwrap());
        }
        self.told = told;
    }

    fn trim(&mut self, node: usize) {
        let heads = self.stores[node].heads();
        let knows = self.told.any.iter().all(|(site, told)| head(&heads, *site) >= *told);
        let said = self.expelled.is_none_or(|(_, said)| head(&self.told.all, site(0)) >= said);
        if knows && said && self.members().any(|member| member == node) {
            let trimmed = self.stores[node].trim(&self.told.all, &LogLimits::NEEDED).unwrap();
            self.forgotten += trimmed.tombstones;
        }
    }

    fn step(&mut self, create: &str, step: &Step) {
        let nodes = self.stores.len();
        let known = |node: usize| node % nodes;
        match *step {
            Step::Write { node, key, value } => self.sql(
                known(node),
                &format!(
                    "INSERT INTO t VALUES ({key}, {value}) ON CONFLICT (id) DO UPDATE SET a = excluded.a"
                ),
            ),
            Step::Delete { node, key } => {
                self.sql(known(node), &format!("DELETE FROM t WHERE id = {key} OR id = '{key}'"));
            }
            Step::Deliver { from, to, origin } => {
                self.deliver(known(from), known(to), site(known(origin)), 1);
            }
            Step::Tell => self.tell(),
            Step::Trim { node } => self.trim(known(node)),
            Step::Overflow { node } => {
                let limits = LogLimits { max_bytes: 0, ..LogLimits::NEEDED };
                self.stores[known(node)].trim(&Heads::new(), &limits).unwrap();
            }
            Step::Join { from } => self.join(create, known(from)),
            Step::Expel => self.expel(),
        }
    }

    /// Everything reaches everyone.
    fn quiesce(&self) {
        for _ in self.members() {
            for (from, to) in
                self.members().flat_map(|from| self.members().map(move |to| (from, to)))
            {
                for origin in self.stores[from].heads().into_keys() {
                    self.deliver(from, to, origin, usize::MAX);
                }
            }
        }
    }

    fn number(&self, node: usize, sql: &str) -> i64 {
        let connection = self.stores[node].connect().unwrap();
        connection.sqlite().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn live(&self, node: usize) -> i64 {
        self.number(node, "SELECT count(*) FROM t")
    }

    /// The floor of the table.
    fn floor(&self, node: usize) -> i64 {
        self.number(node, "SELECT floor FROM trellis_registered_tables WHERE id = 7")
    }

    /// Rows of which it is known that they are deleted.
    fn tombstones(&self, node: usize) -> i64 {
        self.number(node, "SELECT count(*) FROM crsql_changes WHERE cl % 2 = 0")
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nodes = 0..NODES_MAX;
    let step = (0u32..30, nodes.clone(), nodes.clone(), nodes, 0..KEYS, 0i64..3).prop_map(
        |(kind, node, other, origin, key, value)| match kind {
            0..8 => Step::Write { node, key, value },
            8..13 => Step::Delete { node, key },
            13..22 => Step::Deliver { from: node, to: other, origin },
            22..24 => Step::Tell,
            24..28 => Step::Trim { node },
            28 if key == 0 => Step::Expel,
            28 => Step::Overflow { node },
            _ => Step::Join { from: node },
        },
    );
    proptest::collection::vec(step, 1..80)
}

/// Histories that are tried.
fn cases() -> u32 {
    let cases = std::env::var("TRELLIS_FORGETTING_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn forgotten_rows_are_not_missed(steps in steps(), table in 0usize..3) {
        let create = TABLES[table];
        let mut world = World::new(create);
        steps.iter().for_each(|step| world.step(create, step));
        world.quiesce();
        world.readmit();
        world.quiesce();
        let agree = |world: &World| {
            let digests = world.stores.iter().map(|store| store.digest().unwrap());
            digests.collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1])
        };
        prop_assert_eq!(agree(&world), true);
        // Some forget, some do not; then each key lives again wherever it is inserted, also at one that has just come.
        world.tell();
        (0..NODES - 1).for_each(|node| world.trim(node));
        world.join(create, 0);
        world.quiesce();
        prop_assert_eq!(agree(&world), true);
        for key in 0..KEYS {
            let node = usize::try_from(key).unwrap() + world.stores.len() - 2;
            world.step(create, &Step::Write { node, key, value: 9 });
        }
        world.quiesce();
        prop_assert_eq!(agree(&world), true);
        for node in 0..world.stores.len() {
            prop_assert_eq!(world.live(node), KEYS);
            prop_assert_eq!(world.stores[node].check().unwrap(), Vec::<String>::new());
        }
    }
}

/// Invariant 1 of `trim.rs`.
#[test]
fn a_deletion_stays_until_all_members_have_it() {
    for create in TABLES {
        let mut world = World::new(create);
        world.step(create, &Step::Write { node: 0, key: 1, value: 1 });
        world.quiesce();
        world.step(create, &Step::Delete { node: 0, key: 1 });
        world.deliver(0, 1, site(0), usize::MAX);
        world.tell();
        world.trim(0);
        world.trim(1);
        assert_eq!(world.forgotten, 0, "node 2 lacks it");
        world.deliver(0, 2, site(0), usize::MAX);
        world.trim(0);
        assert_eq!(world.forgotten, 0, "nobody has told yet that node 2 has it");
        world.tell();
        world.trim(0);
        assert_eq!(world.forgotten, 1);
    }
}

/// Invariant 2 of `trim.rs`.
#[test]
fn a_deletion_stays_until_what_others_had_is_here() {
    for create in TABLES {
        let mut world = World::new(create);
        world.step(create, &Step::Write { node: 0, key: 1, value: 1 });
        world.quiesce();
        world.step(create, &Step::Write { node: 1, key: 1, value: 2 });
        world.step(create, &Step::Delete { node: 0, key: 1 });
        (1..NODES).for_each(|node| world.deliver(0, node, site(0), usize::MAX));
        world.tell();
        world.trim(0);
        assert_eq!(world.forgotten, 0, "what node 1 wrote before it knew is not here");
        world.deliver(1, 0, site(1), usize::MAX);
        world.trim(0);
        assert_eq!(world.forgotten, 1);
        world.quiesce();
        (0..NODES).for_each(|node| assert_eq!(world.live(node), 0));
    }
}

/// Invariant 3 of `trim.rs`.
#[test]
fn forgetting_raises_the_floor() {
    for create in TABLES {
        let mut world = World::new(create);
        for round in 1..=3 {
            world.step(create, &Step::Write { node: 0, key: 1, value: 1 });
            world.step(create, &Step::Delete { node: 0, key: 1 });
            world.quiesce();
            world.tell();
            world.trim(0);
            assert_eq!(world.floor(0), 2 * round);
        }
        assert_eq!(world.floor(1), 0, "it has the tombstone");
    }
}

/// Invariant 4 of `trim.rs`: nodes that forget at different times, and take over states, insert what they know nothing of.
#[test]
fn a_deletion_is_a_tombstone_or_below_the_floor() {
    for create in TABLES {
        let mut world = World::new(create);
        for key in 0..KEYS {
            world.step(create, &Step::Write { node: 0, key, value: 1 });
            world.quiesce();
            world.step(create, &Step::Delete { node: 1, key });
            world.quiesce();
            world.tell();
            let node = usize::try_from(key).unwrap() % 2;
            world.trim(node);
            world.join(create, node);
        }
        for node in 0..world.stores.len() {
            let known = world.tombstones(node);
            assert!(known == KEYS || world.floor(node) >= 2, "node {node} has {known}");
        }
        let last = world.stores.len() - 1;
        for key in 0..KEYS {
            let node = last - usize::try_from(key).unwrap() % world.stores.len();
            world.step(create, &Step::Write { node, key, value: 2 });
        }
        world.quiesce();
        for node in 0..=last {
            assert_eq!(world.live(node), KEYS);
            assert_eq!(world.stores[0].digest().unwrap(), world.stores[node].digest().unwrap());
        }
    }
}

/// Invariant 6 of `trim.rs`: one server has forgotten that a row was deleted and another still tells that it was inserted;
/// who comes empty, and has heard of the insertion, does not keep it.
#[test]
fn a_joiner_keeps_no_row_whose_deletion_one_server_has_forgotten() {
    for create in TABLES {
        let mut world = World::new(create);
        world.step(create, &Step::Write { node: 0, key: 1, value: 1 });
        world.deliver(0, 1, site(0), usize::MAX);
        world.step(create, &Step::Delete { node: 1, key: 1 });
        world.step(create, &Step::Write { node: 1, key: 2, value: 1 });
        world.quiesce();
        world.tell();
        world.trim(0);
        assert_eq!(world.forgotten, 1);
        world.add(create);
        world.deliver(2, NODES, site(0), usize::MAX);
        assert_eq!(world.live(NODES), 1, "node 2 still tells that it was inserted");
        world.deliver(0, NODES, site(1), usize::MAX);
        assert_eq!(world.live(NODES), 1);
        assert_eq!(world.stores[0].digest().unwrap(), world.stores[NODES].digest().unwrap());
        assert_eq!(world.stores[NODES].check().unwrap(), Vec::<String>::new());
    }
}

/// Invariant 5 of `trim.rs`: who comes with the state of one that has forgotten a deletion inserts the row so that it lives everywhere.
#[test]
fn a_joiner_has_the_floors_with_its_first_rows() {
    for create in TABLES {
        let mut world = World::new(create);
        world.step(create, &Step::Write { node: 0, key: 1, value: 1 });
        world.step(create, &Step::Delete { node: 0, key: 1 });
        world.quiesce();
        world.tell();
        world.trim(0);
        assert_eq!(world.forgotten, 1);
        world.join(create, 0);
        world.step(create, &Step::Write { node: NODES, key: 1, value: 2 });
        world.quiesce();
        for node in 0..=NODES {
            assert_eq!(world.live(node), 1, "node {node}, {create}");
            assert_eq!(world.stores[0].digest().unwrap(), world.stores[node].digest().unwrap());
        }
    }
}
