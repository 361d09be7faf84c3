//! What is wrong with a change, and what becomes of it: it is refused or kept out, nothing of it remains, and what came
//! together with it is applied.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::sync::Arc;

use tempfile::TempDir;
use trellis_replication::crdt::pack;
use trellis_replication::store::{ApplyOutcome, Store, StoreConnection, StoreOptions, TableSpec};
use trellis_replication::types::{
    CausalLength, CellChange, Changeset, ColumnId, DbVersion, RowChange, Seq, SiteId, TableChanges,
    TableId, Value, ValueRef,
};
use trellis_replication::wire::encode;

const TABLE: TableId = TableId(7);

fn open() -> (TempDir, Arc<Store>) {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { site_id: Some(SiteId([1; 16])), ..StoreOptions::default() };
    let store = Store::open(directory.path(), options).unwrap();
    write(&store, |connection| {
        let create = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT";
        connection.sqlite().execute_batch(create).unwrap();
        let columns = (1..).map(ColumnId).zip(["id", "a", "b"].map(str::to_owned)).collect();
        let (name, key) = ("t".to_owned(), vec![ColumnId(1)]);
        let spec = TableSpec { id: TABLE, name, columns, key, system: false };
        connection.register_table(&spec).unwrap();
    });
    (directory, store)
}

fn write(store: &Store, change: impl FnOnce(&mut StoreConnection)) {
    let mut connection = store.connect().unwrap();
    connection.begin(store.lease().acquire_uncancelled()).unwrap();
    change(&mut connection);
    if let Some(pending) = connection.commit().unwrap() {
        pending.wait().unwrap();
    }
}

/// A changeset that inserts one row.
fn good(site: u8, key: i64) -> Changeset {
    let cell =
        CellChange { column: 0, col_version: 1, seq: Seq(0), value: Value::Text("x".to_owned()) };
    let row = RowChange {
        pk: pack([ValueRef::Integer(key)]),
        causal_length: CausalLength(1),
        sentinel: None,
        cells: vec![cell],
    };
    let table = TableChanges { table: TABLE, columns: vec![ColumnId(2)], rows: vec![row] };
    Changeset {
        site: SiteId([site; 16]),
        version: DbVersion(1),
        committed_at_us: 1,
        tables: vec![table],
        messages: Vec::new(),
    }
}

/// How a changeset is made wrong.
type Damage = fn(&mut Changeset);

#[test]
fn a_malformed_changeset_leaves_nothing_and_keeps_no_other_out() {
    let cases: [(&str, Damage); 15] = [
        ("no version", |it| it.version = DbVersion(0)),
        ("the last version there is", |it| it.version = DbVersion(u64::MAX)),
        ("a version that is too high", |it| it.version = DbVersion(9)),
        ("an unknown table", |it| it.tables[0].table = TableId(99)),
        ("an unknown column", |it| it.tables[0].columns[0] = ColumnId(99)),
        ("a key column as a cell", |it| it.tables[0].columns[0] = ColumnId(1)),
        ("no key", |it| it.tables[0].rows[0].pk.clear()),
        ("a key that ends early", |it| it.tables[0].rows[0].pk.truncate(1)),
        ("a key that goes on", |it| it.tables[0].rows[0].pk.push(7)),
        ("a key of another type", |it| it.tables[0].rows[0].pk = pack([ValueRef::Text("k")])),
        ("a key that is NULL", |it| it.tables[0].rows[0].pk = pack([ValueRef::Null])),
        ("a key of two columns", |it| {
            it.tables[0].rows[0].pk = pack([ValueRef::Integer(1), ValueRef::Integer(2)]);
        }),
        ("no causal length", |it| it.tables[0].rows[0].causal_length = CausalLength(0)),
        ("a causal length that is no number of SQL", |it| {
            it.tables[0].rows[0].causal_length = CausalLength(u64::MAX);
        }),
        ("a version of a cell that is no number of SQL", |it| {
            it.tables[0].rows[0].cells[0].col_version = u64::MAX;
        }),
    ];
    let (_directory, store) = open();
    for (site, (what, damage)) in (2u8..).zip(cases) {
        let mut bad = good(site, 1_000);
        damage(&mut bad);
        let Ok(bad) = encode(&bad) else { continue };
        let other = encode(&good(site + 100, i64::from(site))).unwrap();
        let outcomes = store.apply(&[bad, other]);
        let refused = !matches!(outcomes[0], ApplyOutcome::Applied | ApplyOutcome::Failed { .. });
        assert!(refused, "{what}: {:?}", outcomes[0]);
        assert_eq!(outcomes[1], ApplyOutcome::Applied, "what came with {what}");
        assert!(!store.heads().contains_key(&SiteId([site; 16])), "{what}");
    }
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_malformed_change_that_is_inserted_is_refused() {
    let (_directory, store) = open();
    let site = "x'02020202020202020202020202020202'";
    let good = format!("'t', x'010901', 'a', 'x', 1, 1, {site}, 1, 0");
    let cases = [
        ("a short site", good.replace(site, "x'02'")),
        ("a long site", good.replace(site, "x'0202020202020202020202020202020202'")),
        ("no site", good.replace(site, "NULL")),
        ("version 0", good.replace("1, 1, x", "1, 0, x")),
        ("a negative version", good.replace("1, 1, x", "1, -1, x")),
        ("a negative version of the cell", good.replace("1, 1, x", "-1, 1, x")),
        ("causal length 0", good.replace(", 1, 0", ", 0, 0")),
        ("a negative seq", good.replace(", 1, 0", ", 1, -1")),
        ("a seq beyond 32 bits", good.replace(", 1, 0", ", 1, 4294967296")),
        ("a sentinel that is not its causal length", good.replace("'a', 'x', 1", "'-1', NULL, 2")),
        ("an unknown table", good.replace("'t'", "'nosuch'")),
        ("an unknown column", good.replace("'a'", "'nosuch'")),
        ("a key column", good.replace("'a'", "'id'")),
        ("no key", good.replace("x'010901'", "x''")),
        ("a key that ends early", good.replace("x'010901'", "x'0109'")),
        ("a key of an absurd length", good.replace("x'010901'", "x'01430fffffffffffffff'")),
        ("an unknown tag", good.replace("x'010901'", "x'010f01'")),
        ("a text that is no UTF-8", good.replace("x'010901'", "x'010b01ff'")),
        ("a key that is no blob", good.replace("x'010901'", "'k'")),
    ];
    write(&store, |connection| {
        for (what, values) in cases {
            let sql = format!("INSERT INTO crsql_changes VALUES ({values}, NULL)");
            assert_ne!(values, good, "{what}");
            assert!(connection.sqlite().execute_batch(&sql).is_err(), "{what}");
        }
        let sql = format!("INSERT INTO crsql_changes VALUES ({good}, NULL)");
        connection.sqlite().execute_batch(&sql).unwrap();
    });
    assert_eq!(store.digest().unwrap()[0].rows, 1);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}
