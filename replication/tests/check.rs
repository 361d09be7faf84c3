//! What `check` says of databases that were damaged on purpose: golden scripts, one kind of damage per stretch.
//!
//! | command | does |
//! |---|---|
//! | `new KIND` | a closed database with a little history; its table `t` is keyed by `integer`, `text` or `packed` |
//! | `damage SQL` | runs SQL as another program would |
//! | `check` | checks the directory and prints the findings |
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use goldenscript::{Command, Context, Runner};
use tempfile::TempDir;
use trellis_replication::store::{
    DATABASE_FILE, LogSlice, Store, StoreOptions, TableSpec, check_directory,
};
use trellis_replication::types::{ColumnId, DbVersion, SiteId, TableId};

#[test]
fn damage_is_found() {
    let mut damaged = Damaged::default();
    for script in ["rows", "clocks", "log", "values"] {
        let path = format!("tests/testscripts/check/{script}");
        goldenscript::run(&mut damaged, path).unwrap();
    }
}

#[test]
fn only_a_data_directory_can_be_checked_and_only_at_rest() {
    let empty = tempfile::tempdir().unwrap();
    let said = |directory: &Path| {
        check_directory(directory, &StoreOptions::default()).unwrap_err().to_string()
    };
    assert!(said(empty.path()).contains("there is no trellis.db"));
    std::fs::write(empty.path().join(DATABASE_FILE), "not a database, but some text".repeat(99))
        .unwrap();
    assert!(said(empty.path()).contains("is not a database"));
    let other = tempfile::tempdir().unwrap();
    let sqlite = rusqlite::Connection::open(other.path().join(DATABASE_FILE)).unwrap();
    sqlite.execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(said(other.path()).contains("another program"));
    let used = tempfile::tempdir().unwrap();
    let _store = Store::open(used.path(), StoreOptions::default()).unwrap();
    assert!(said(used.path()).contains("in use"));
}

/// The database that is being damaged, and whole ones to copy.
#[derive(Default)]
struct Damaged {
    directory: Option<TempDir>,
    whole: BTreeMap<String, TempDir>,
}

impl Damaged {
    fn directory(&self) -> Result<&Path, Box<dyn Error>> {
        Ok(self.directory.as_ref().ok_or("there is no database yet")?.path())
    }
}

impl Runner for Damaged {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Box<dyn Error>> {
        let mut arguments = command.consume_args();
        match command.name.as_str() {
            "new" => {
                let kind = arguments.next_pos().ok_or("which kind?")?;
                if !self.whole.contains_key(kind) {
                    self.whole.insert(kind.to_owned(), with_history(kind)?);
                }
                let directory = tempfile::tempdir()?;
                let file = |directory: &TempDir| directory.path().join(DATABASE_FILE);
                std::fs::copy(file(&self.whole[kind]), file(&directory))?;
                self.directory = Some(directory);
                Ok(String::new())
            }
            "damage" => {
                let sql = arguments.next_pos().ok_or("what damage?")?;
                let sqlite = rusqlite::Connection::open(self.directory()?.join(DATABASE_FILE))?;
                sqlite.execute_batch(sql)?;
                Ok(String::new())
            }
            "check" => {
                let report = check_directory(self.directory()?, &StoreOptions::default())?;
                let mut said = String::new();
                report.findings.iter().for_each(|finding| writeln!(said, "{finding}").unwrap());
                if report.findings.is_empty() {
                    report.tables.iter().for_each(|table| writeln!(said, "{table}").unwrap());
                }
                Ok(said)
            }
            other => Err(format!("unknown command {other}").into()),
        }
    }
}

/// A closed database in which two sites have written, and in which rows were inserted, updated, deleted, and brought back.
fn with_history(kind: &str) -> Result<TempDir, Box<dyn Error>> {
    let create = match kind {
        "integer" => "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER) STRICT",
        "text" => "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT",
        "packed" => {
            "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT, WITHOUT ROWID"
        }
        other => return Err(format!("unknown kind {other}").into()),
    };
    let (directory, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let here = open(directory.path(), 1, create)?;
    write(&here, "INSERT INTO t VALUES ('1', 'one', 1), ('2', 'two', 2), ('3', 'three', 3)")?;
    write(
        &here,
        "UPDATE t SET b = 20 WHERE id = '2' OR id = 2; DELETE FROM t WHERE id = '3' OR id = 3",
    )?;
    let there = open(elsewhere.path(), 2, create)?;
    let changes = |store: &Store, after| match store.read_log(store.site_id(), after, usize::MAX)? {
        LogSlice::Changesets(changesets) => Ok::<_, Box<dyn Error>>(changesets),
        LogSlice::Trimmed { .. } => Err("trimmed".into()),
    };
    there.apply(&changes(&here, DbVersion(0))?);
    write(&there, "UPDATE t SET a = 'eins' WHERE b = 1; INSERT INTO t VALUES ('4', 'four', 4)")?;
    write(&there, "INSERT INTO t VALUES ('3', 'again', NULL)")?;
    here.apply(&changes(&there, DbVersion(0))?);
    write(&here, "INSERT INTO t VALUES ('5', 'five', 5)")?;
    Ok(directory)
}

fn open(directory: &Path, site: u8, create: &str) -> Result<std::sync::Arc<Store>, Box<dyn Error>> {
    let options = StoreOptions { site_id: Some(SiteId([site; 16])), ..StoreOptions::default() };
    let store = Store::open(directory, options)?;
    let mut connection = store.connect()?;
    connection.begin(store.lease().acquire_uncancelled())?;
    connection.sqlite().execute_batch(create)?;
    let columns = (1..).map(ColumnId).zip(["id", "a", "b"].map(str::to_owned)).collect();
    let key = vec![ColumnId(1)];
    let spec = TableSpec { id: TableId(7), name: "t".into(), columns, key, system: false };
    connection.register_table(&spec)?;
    connection.commit()?;
    drop(connection);
    Ok(store)
}

fn write(store: &Store, sql: &str) -> Result<(), Box<dyn Error>> {
    let mut connection = store.connect()?;
    connection.begin(store.lease().acquire_uncancelled())?;
    connection.sqlite().execute_batch(sql)?;
    if let Some(pending) = connection.commit()? {
        pending.wait()?;
    }
    Ok(())
}
