//! A digest of each table to compare nodes by.

use rusqlite::{Connection, Row};

use super::clocks::value_of;
use super::error::Result;
use super::hidden;
use super::registry::{Registry, RowIdentity, Table, quote};
use crate::crdt::{PackedKey, pack};
use crate::types::{TableId, Value, ValueRef};

/// The sum of the hashes of a table's rows, hidden ones included: equal on nodes that hold the same rows, in whatever
/// order they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDigest {
    /// The table.
    pub table: TableId,
    /// Number of rows.
    pub rows: u64,
    /// The sum.
    pub digest: u128,
}

impl TableDigest {
    fn add<'v>(&mut self, table: &Table, pk: &[u8], cells: impl Iterator<Item = ValueRef<'v>>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(pk.len() as u64).to_le_bytes()).update(pk);
        // The order of identities is the same everywhere; that of ordinals is not.
        let mut cells: Vec<_> = table.cells.iter().zip(cells).collect();
        cells.sort_unstable_by_key(|(column, _)| column.id);
        for (column, value) in cells {
            let packed = pack([value]);
            hasher.update(&column.id.0.to_le_bytes());
            hasher.update(&(packed.len() as u64).to_le_bytes()).update(&packed);
        }
        let mut half = [0; 16];
        half.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(byte, hash)| *byte = *hash);
        self.rows += 1;
        self.digest = self.digest.wrapping_add(u128::from_le_bytes(half));
    }
}

/// Digests all tables, in the order of their identities.
pub(super) fn digest(sqlite: &Connection, registry: &Registry) -> Result<Vec<TableDigest>> {
    let digests = registry.tables().iter().map(|table| table_digest(sqlite, table));
    let mut digests = digests.collect::<Result<Vec<_>>>()?;
    digests.sort_by_key(|digest| digest.table);
    Ok(digests)
}

/// Digests one table.
pub(super) fn table_digest(sqlite: &Connection, table: &Table) -> Result<TableDigest> {
    let mut digest = TableDigest { table: table.id, rows: 0, digest: 0 };
    let mut select = sqlite.prepare(&all_rows(table))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let first = 1 + table.key.len();
        let cells = (first..first + table.cells.len()).map(|place| value_of(row, place));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        digest.add(table, &key_of(table, row)?, cells.into_iter());
    }
    for pk in hidden::keys(sqlite, table)? {
        if let Some(row) = hidden::get(sqlite, table, &pk)? {
            digest.add(table, &pk, row.cells.iter().map(Value::as_ref));
        }
    }
    Ok(digest)
}

/// All rows: rowid or NULL, key columns, cells.
pub(super) fn all_rows(table: &Table) -> String {
    let rowid = match table.identity {
        RowIdentity::HiddenRowid(rowid) => rowid,
        RowIdentity::IntegerKey | RowIdentity::WithoutRowid => "NULL",
    };
    let columns = table.key.iter().chain(&table.cells).map(|column| quote(&column.name));
    format!(
        "SELECT {rowid}, {} FROM {}",
        columns.collect::<Vec<_>>().join(", "),
        quote(&table.name)
    )
}

/// The packed key of a row of [`all_rows`].
pub(super) fn key_of(table: &Table, row: &Row<'_>) -> Result<Vec<u8>> {
    let mut key = PackedKey::default();
    for place in 1..=table.key.len() {
        key.push(value_of(row, place)?);
    }
    Ok(key.into_bytes())
}
