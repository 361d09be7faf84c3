//! Transactions that are set aside: taken up again they are what they were, unless someone changed their rows.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;
use trellis_replication::store::{
    ResumeError, SetAside, Store, StoreConnection, StoreOptions, TableSpec,
};
use trellis_replication::types::{ColumnId, Message, SiteId, TableId};

const TABLES: [&str; 3] = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER UNIQUE) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER UNIQUE) STRICT",
    "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER UNIQUE) STRICT, WITHOUT ROWID",
];

struct Node {
    _directory: TempDir,
    store: Arc<Store>,
}

impl Node {
    fn new(create: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions { site_id: Some(SiteId([1; 16])), ..StoreOptions::default() };
        let store = Store::open(directory.path(), options).unwrap();
        let node = Self { _directory: directory, store };
        let columns = [(1, "id"), (2, "a"), (3, "b")];
        let columns = columns.map(|(id, name)| (ColumnId(id), name.to_owned())).to_vec();
        let key = vec![ColumnId(1)];
        let spec = TableSpec { id: TableId(7), name: "t".into(), columns, key, system: false };
        let mut connection = node.begin();
        connection.sqlite().execute_batch(create).unwrap();
        connection.register_table(&spec).unwrap();
        run(&connection, "INSERT INTO t VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30)");
        commit(connection);
        node
    }

    fn begin(&self) -> StoreConnection {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        connection
    }

    fn resume(
        &self,
        connection: &mut StoreConnection,
        aside: &SetAside,
        savepoints: &[String],
    ) -> Result<(), ResumeError> {
        connection.resume(self.store.lease().acquire_uncancelled(), aside, savepoints)
    }

    fn rows(&self) -> Vec<String> {
        rows(&self.store.connect().unwrap())
    }
}

fn rows(connection: &StoreConnection) -> Vec<String> {
    let sql = "SELECT quote(id) || ' ' || quote(a) || ' ' || quote(b) FROM t ORDER BY id";
    let mut select = connection.sqlite().prepare(sql).unwrap();
    select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn run(connection: &StoreConnection, sql: &str) {
    connection.sqlite().execute_batch(sql).unwrap();
}

fn commit(mut connection: StoreConnection) {
    if let Some(pending) = connection.commit().unwrap() {
        pending.wait().unwrap();
    }
}

/// One step of a client.
#[derive(Clone, Debug)]
enum Step {
    /// Fails as a whole if a unique value is taken.
    Change(String),
    Savepoint,
    RollbackTo,
    Release,
    SetAside,
}

fn step() -> impl Strategy<Value = Step> {
    let change = (0..6u8, 0..8i64, 0..8i64, 0..60i64).prop_map(|(kind, id, other, value)| {
        Step::Change(match kind {
            0 | 1 => format!("INSERT OR IGNORE INTO t VALUES ({id}, 'v{value}', {value})"),
            2 => format!("UPDATE t SET a = a || '{value}' WHERE id <= {id}"),
            3 => format!("UPDATE OR IGNORE t SET b = {value} WHERE id = {id}"),
            4 => format!("DELETE FROM t WHERE id = {id}"),
            _ => format!("UPDATE OR REPLACE t SET id = {other} WHERE id = {id}"),
        })
    });
    prop_oneof![
        6 => change,
        1 => Just(Step::Savepoint),
        1 => Just(Step::RollbackTo),
        1 => Just(Step::Release),
        2 => Just(Step::SetAside),
    ]
}

/// Runs the steps in one transaction; with `aside`, really setting it aside. `false` if its own unique values got in the
/// way of its return.
fn play(node: &Node, steps: &[Step], aside: bool) -> bool {
    let mut connection = node.begin();
    let mut savepoints: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Change(sql) => run(&connection, sql),
            Step::Savepoint => {
                savepoints.push(format!("s{}", savepoints.len()));
                run(&connection, &format!("SAVEPOINT {}", savepoints.last().unwrap()));
            }
            Step::RollbackTo => {
                if let Some(name) = savepoints.last() {
                    run(&connection, &format!("ROLLBACK TO {name}"));
                }
            }
            Step::Release => {
                if let Some(name) = savepoints.pop() {
                    run(&connection, &format!("RELEASE {name}"));
                }
            }
            Step::SetAside if aside => {
                let before = rows(&connection);
                let copy = connection.set_aside(&savepoints).unwrap().unwrap();
                assert!(!connection.in_write());
                match node.resume(&mut connection, &copy, &savepoints) {
                    Ok(()) => assert_eq!(rows(&connection), before),
                    Err(ResumeError::Conflict) => return false,
                    Err(ResumeError::Store(error)) => panic!("{error}"),
                }
            }
            Step::SetAside => {}
        }
    }
    commit(connection);
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn taken_up_again_it_is_what_it_was(
        table in 0..TABLES.len(),
        steps in prop::collection::vec(step(), 1..14),
    ) {
        let (plain, aside) = (Node::new(TABLES[table]), Node::new(TABLES[table]));
        play(&plain, &steps, false);
        if play(&aside, &steps, true) {
            prop_assert_eq!(plain.rows(), aside.rows());
        } else {
            prop_assert_eq!(aside.rows().len(), 3, "a lost transaction leaves nothing behind");
        }
        prop_assert_eq!(aside.store.check().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn it_conflicts_with_those_who_changed_its_rows_and_no_others() {
    let cases = [
        ("UPDATE t SET a = 'x' WHERE id = 1", "UPDATE t SET a = 'y' WHERE id = 2", true),
        ("UPDATE t SET a = 'x' WHERE id = 1", "UPDATE t SET b = 11 WHERE id = 1", false),
        ("UPDATE t SET a = 'x' WHERE id = 1", "DELETE FROM t WHERE id = 1", false),
        ("UPDATE t SET a = 'x' WHERE id = 1", "UPDATE t SET a = 'x' WHERE id = 1", false),
        ("INSERT INTO t VALUES (4, 'x', 40)", "INSERT INTO t VALUES (4, 'x', 40)", false),
        ("INSERT INTO t VALUES (4, 'x', 40)", "INSERT INTO t VALUES (4, 'y', 41)", false),
        ("INSERT INTO t VALUES (4, 'x', 40)", "INSERT INTO t VALUES (5, 'y', 40)", false),
        ("INSERT INTO t VALUES (4, 'x', 40)", "INSERT INTO t VALUES (5, 'y', 50)", true),
        ("DELETE FROM t WHERE id = 1", "UPDATE t SET b = 11 WHERE id = 1", false),
        ("DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 1", false),
        ("DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (4, 'x', 40)", true),
    ];
    for create in TABLES {
        for (ours, theirs, goes_on) in cases {
            let node = Node::new(create);
            let mut connection = node.begin();
            run(&connection, ours);
            let wanted = rows(&connection);
            let aside = connection.set_aside(&[]).unwrap().unwrap();
            let other = node.begin();
            run(&other, theirs);
            commit(other);
            match node.resume(&mut connection, &aside, &[]) {
                Ok(()) => {
                    assert!(goes_on, "{ours}; {theirs}");
                    commit(connection);
                    let now = node.rows();
                    let lost = wanted.iter().filter(|row| !now.contains(row));
                    assert!(lost.count() <= 1, "{ours}; {theirs}: {now:?}");
                }
                Err(ResumeError::Conflict) => assert!(!goes_on, "{ours}; {theirs}"),
                Err(ResumeError::Store(error)) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn messages_and_savepoints_come_back() {
    let node = Node::new(TABLES[0]);
    let message = |text: &str| Message { channel: "c".into(), payload: text.into() };
    let mut connection = node.begin();
    let savepoints = ["s0".to_owned()];
    connection.notify(message("kept")).unwrap();
    run(&connection, "DELETE FROM t WHERE id = 1; SAVEPOINT s0; DELETE FROM t");
    connection.notify(message("undone")).unwrap();
    let aside = connection.set_aside(&savepoints).unwrap().unwrap();
    node.resume(&mut connection, &aside, &savepoints).unwrap();
    assert_eq!(rows(&connection), Vec::<String>::new());
    run(&connection, "ROLLBACK TO s0");
    assert_eq!(rows(&connection).len(), 2);
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    node.store.set_listener(Box::new(move |applied| {
        let messages = applied.iter().flat_map(|applied| applied.messages.iter().cloned());
        heard.lock().unwrap().extend(messages);
    }));
    commit(connection);
    assert_eq!(*told.lock().unwrap(), [message("kept")]);
}

#[test]
fn what_cannot_be_copied_is_rolled_back() {
    let node = Node::new(TABLES[0]);
    let setup = node.begin();
    run(&setup, "CREATE TABLE local (x)");
    commit(setup);
    let large = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
                 INSERT INTO t SELECT i, 'x', i FROM n";
    for change in ["INSERT INTO local VALUES (1)", large] {
        let mut connection = node.begin();
        run(&connection, change);
        assert!(connection.set_aside(&[]).unwrap().is_none(), "{change}");
        assert!(!connection.in_write());
        assert_eq!(node.rows().len(), 3);
    }
}
