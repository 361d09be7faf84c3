//! Rows that a unique index does not allow to be seen together with others.
//!
//! Two nodes may commit rows that are unique on each, but not together. Merging must not refuse either, and all nodes must
//! show the same: of rows that conflict, the one with the smaller packed key is visible, and a row is hidden exactly while
//! a visible one with a smaller key conflicts with it. That is a function of the replicated rows alone, whatever the order
//! in which they came. A hidden row keeps its values and its clock in `trellis_hidden`, takes part in merging, and
//! re-appears when the conflict ends.
//!
//! Which rows conflict is asked of SQLite itself: the row is inserted with `OR REPLACE` inside a savepoint, the rows that
//! this would delete are noted by the preupdate hook, and the savepoint is undone. So partial indexes, indexes on
//! expressions and collations are all as SQLite understands them.
//!
//! Rows come back when remote changes are applied, or by [`super::Store::resolve_conflicts`]; a local change that ends a
//! conflict does not itself bring a row back within its own transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Result;
use super::registry::{Registry, Table};
use crate::crdt::bytes::{Reader, put_bytes, put_varint};
use crate::crdt::{Block, RowClock, pack, unpack};
use crate::types::{ColumnId, DbVersion, SiteId, TableId, Value};

/// The table that holds hidden rows.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_hidden (
        table_ordinal INTEGER NOT NULL, pk BLOB NOT NULL, clock BLOB NOT NULL, cells BLOB NOT NULL,
        PRIMARY KEY (table_ordinal, pk)) STRICT, WITHOUT ROWID;
";

/// A row that is kept out of sight because a visible one conflicts with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The table.
    pub table: TableId,
    /// The hidden row's packed primary key.
    pub pk: Vec<u8>,
    /// Its other values.
    pub cells: Vec<(ColumnId, Value)>,
    /// The last transaction that wrote it; of several the one with the larger version, then site.
    pub since: Option<(DbVersion, SiteId)>,
}

/// The last transaction that a row's clock names.
pub(super) fn last_stamp(registry: &Registry, clock: &RowClock) -> Option<(DbVersion, SiteId)> {
    let stamps = clock.sentinel.into_iter().chain(clock.runs().iter().map(|run| run.stamp));
    stamps.map(|stamp| (DbVersion(stamp.version), registry.site(stamp.origin))).max()
}

/// All rows that are hidden.
pub(super) fn all(sqlite: &Connection, registry: &Registry) -> Result<Vec<Conflict>> {
    let mut conflicts = Vec::new();
    for table in registry.tables() {
        for pk in keys(sqlite, table)? {
            let Some(row) = get(sqlite, table, &pk)? else { continue };
            let since = last_stamp(registry, &row.clock);
            let cells = table.cells.iter().map(|column| column.id).zip(row.cells).collect();
            conflicts.push(Conflict { table: table.id, pk, cells, since });
        }
    }
    Ok(conflicts)
}

/// A hidden row.
pub(super) struct HiddenRow {
    pub clock: RowClock,
    /// Values in the order of the table's cells.
    pub cells: Vec<Value>,
}

/// Whether the table has hidden rows.
pub(super) fn any(sqlite: &Connection, table: &Table) -> Result<bool> {
    table.no_hidden.any(|| {
        let mut select = sqlite
            .prepare_cached("SELECT 1 FROM trellis_hidden WHERE table_ordinal = ?1 LIMIT 1")?;
        Ok(select.exists([table.ordinal])?)
    })
}

/// The keys of the table's hidden rows, smallest first.
pub(super) fn keys(sqlite: &Connection, table: &Table) -> Result<Vec<Vec<u8>>> {
    let mut select = sqlite
        .prepare_cached("SELECT pk FROM trellis_hidden WHERE table_ordinal = ?1 ORDER BY pk")?;
    let keys = select.query_map([table.ordinal], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// A hidden row.
pub(super) fn get(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<Option<HiddenRow>> {
    let mut select = sqlite.prepare_cached(
        "SELECT clock, cells FROM trellis_hidden WHERE table_ordinal = ?1 AND pk = ?2",
    )?;
    let found = select.query_row(params![table.ordinal, pk], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((clock, cells)): Option<(Vec<u8>, Vec<u8>)> = found.optional()? else {
        return Ok(None);
    };
    let clock = Block::decode(&clock)?.replace(0, None).unwrap_or_else(|| RowClock::new(1, None));
    let mut values: Vec<_> = table.cells.iter().map(super::registry::Column::missing).collect();
    let mut reader = Reader::new(&cells);
    while !reader.is_empty() {
        let column = ColumnId(reader.varint_u32()?);
        let value = unpack(reader.bytes()?)?.pop();
        let place = table.cell_index(column).and_then(|index| values.get_mut(index));
        if let Some((place, value)) = place.zip(value) {
            *place = value;
        }
    }
    Ok(Some(HiddenRow { clock, cells: values }))
}

/// Stores a hidden row.
pub(super) fn put(sqlite: &Connection, table: &Table, pk: &[u8], row: &HiddenRow) -> Result<()> {
    table.no_hidden.touch();
    let (mut block, mut clock, mut cells) = (Block::default(), Vec::new(), Vec::new());
    block.replace(0, Some(row.clock.clone()));
    block.encode(&mut clock);
    for (column, value) in table.cells.iter().zip(&row.cells) {
        put_varint(&mut cells, u64::from(column.id.0));
        put_bytes(&mut cells, &pack([value.as_ref()]));
    }
    let mut insert =
        sqlite.prepare_cached("INSERT OR REPLACE INTO trellis_hidden VALUES (?1, ?2, ?3, ?4)")?;
    insert.execute(params![table.ordinal, pk, clock, cells])?;
    Ok(())
}

/// Forgets a hidden row.
pub(super) fn delete(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<()> {
    table.no_hidden.touch();
    let mut delete =
        sqlite.prepare_cached("DELETE FROM trellis_hidden WHERE table_ordinal = ?1 AND pk = ?2")?;
    delete.execute(params![table.ordinal, pk])?;
    Ok(())
}
