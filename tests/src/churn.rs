//! How much a file grows when rows come and go: a table of a fixed number of live rows through which many more pass, in
//! comparison with a fresh copy of the rows that are left.

use std::path::Path;

use anyhow::Context;
use trellis_replication::store::{LogLimits, Store, StoreConnection, StoreOptions, TableSpec};
use trellis_replication::types::{ColumnId, TableId};

/// Rows that are alive at any time.
pub const LIVE_ROWS: i64 = 10_000;

/// Rows inserted, and rows deleted, by one transaction.
const BATCH: i64 = 100;

/// Transactions between two rounds of maintenance.
const ROUND: i64 = 100;

/// What is kept by default.
const LIMITS: LogLimits =
    LogLimits { keep_bytes: None, keep_us: 24 * 3_600_000_000, max_bytes: 4 << 30 };

/// Bytes of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSizes {
    /// Of the one through which the rows passed.
    pub churned_bytes: u64,
    /// Of the fresh one.
    pub fresh_bytes: u64,
}

impl FileSizes {
    /// How many times as large as a fresh one the file is.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "sizes of files fit")]
    pub fn ratio(&self) -> f64 {
        self.churned_bytes as f64 / self.fresh_bytes as f64
    }
}

/// Passes `rows` rows through a table, deleting the oldest as new ones come.
///
/// # Errors
/// What the store reports.
pub fn churn(directory: &Path, rows: i64) -> anyhow::Result<FileSizes> {
    let churned = Table::open(&directory.join("churned"))?;
    churned.insert(0..LIVE_ROWS)?;
    for round in 0..rows / BATCH {
        let first = round * BATCH;
        churned.write(|connection| {
            insert(connection, LIVE_ROWS + first..LIVE_ROWS + first + BATCH)?;
            let sql = "DELETE FROM t WHERE id >= ?1 AND id < ?2";
            connection.sqlite().prepare_cached(sql)?.execute([first, first + BATCH])?;
            Ok(())
        })?;
        if round % ROUND == 0 {
            churned.maintain()?;
        }
    }
    let passed = rows / BATCH * BATCH;
    let fresh = Table::open(&directory.join("fresh"))?;
    fresh.insert(passed..passed + LIVE_ROWS)?;
    Ok(FileSizes { churned_bytes: churned.close()?, fresh_bytes: fresh.close()? })
}

struct Table {
    store: std::sync::Arc<Store>,
    file: std::path::PathBuf,
}

impl Table {
    fn open(directory: &Path) -> anyhow::Result<Self> {
        let store = Store::open(directory, StoreOptions::default())?;
        let file = directory.join(trellis_replication::store::DATABASE_FILE);
        let table = Self { store, file };
        table.write(|connection| {
            connection.sqlite().execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT",
            )?;
            let names = ["id", "a", "b"];
            let columns = (1..).zip(names).map(|(id, name)| (ColumnId(id), name.to_owned()));
            let (columns, key) = (columns.collect(), vec![ColumnId(1)]);
            let spec = TableSpec { id: TableId(7), name: "t".into(), columns, key, system: false };
            Ok(connection.register_table(&spec)?)
        })?;
        Ok(table)
    }

    fn write(
        &self,
        change: impl FnOnce(&mut StoreConnection) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut connection = self.store.connect()?;
        connection.begin(self.store.lease().acquire_uncancelled())?;
        change(&mut connection)?;
        connection.commit()?.map_or(Ok(()), |pending| Ok(pending.wait()?))
    }

    fn insert(&self, rows: std::ops::Range<i64>) -> anyhow::Result<()> {
        self.write(|connection| insert(connection, rows))
    }

    fn maintain(&self) -> anyhow::Result<()> {
        self.store.trim(&self.store.heads(), &LIMITS)?;
        Ok(self.store.vacuum()?)
    }

    /// The size of the file when it is closed.
    fn close(self) -> anyhow::Result<u64> {
        self.maintain()?;
        drop(self.store);
        Ok(std::fs::metadata(&self.file).with_context(|| self.file.display().to_string())?.len())
    }
}

fn insert(connection: &StoreConnection, rows: std::ops::Range<i64>) -> anyhow::Result<()> {
    let mut insert = connection.sqlite().prepare_cached("INSERT INTO t VALUES (?1, ?2, ?1)")?;
    for row in rows {
        insert.execute((row, format!("row number {row} and what else there is to say of it")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_file_through_which_rows_pass_stays_small() {
        let directory = tempfile::tempdir().unwrap();
        let sizes = super::churn(directory.path(), 60_000).unwrap();
        assert!(sizes.ratio() < 3.0, "{sizes:?}");
    }
}
