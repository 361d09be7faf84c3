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
//! Each hidden row names one visible row that keeps it hidden, its **blocker**. As long as that row stays as it is, the
//! hidden one need not be looked at. When it changes, goes, or is hidden itself, those that name it are **due**: they are
//! tried again, smallest key first, and find another blocker or are shown. So a merge looks at the rows that depend on those
//! it changes, and at no others. A change of the table, which may be one of its indexes, makes all of its hidden rows due.
//!
//! Due rows are tried at the end of the merge that made them so. Those that local changes made due have no blocker in the
//! file, and are tried when remote changes of their table are applied, or by [`super::Store::resolve_conflicts`]; a local
//! change that ends a conflict does not itself bring a row back within its own transaction.
//!
//! # Invariants
//! 1. The blocker of a hidden row that is not due is visible, has a smaller key, and conflicts with it.
//! 2. Visible rows do not conflict: SQLite's indexes see to that. Both together are the rule above, once no row is due.

use rusqlite::{Connection, OptionalExtension, params};

use super::connection::StoreConnection;
use super::error::Result;
use super::registry::{Entry, Registry, Table};
use crate::crdt::bytes::{Reader, put_bytes, put_varint};
use crate::crdt::{Block, RowClock, pack, unpack};
use crate::types::{ColumnId, DbVersion, SiteId, TableId, Value};

impl StoreConnection {
    /// At most `max` hidden rows of a table, in the order of their packed keys, after that key; as this connection sees them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn conflicts(&self, table: TableId, after: &[u8], max: usize) -> Result<Vec<Conflict>> {
        let registry = self.core().registry();
        let Some(Entry::Live(table)) = registry.entry(table) else { return Ok(Vec::new()) };
        page(self.sqlite(), &registry, table, (after, max))
    }
}

/// The table that holds hidden rows.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_hidden (
        table_ordinal INTEGER NOT NULL, pk BLOB NOT NULL, clock BLOB NOT NULL, cells BLOB NOT NULL, blocker BLOB,
        PRIMARY KEY (table_ordinal, pk)) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS trellis_hidden_blockers ON trellis_hidden (table_ordinal, blocker);
    CREATE INDEX IF NOT EXISTS trellis_hidden_due ON trellis_hidden (table_ordinal) WHERE blocker IS NULL;
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

/// At most `max` hidden rows of a table, those with the smallest keys after `after`.
pub(super) fn page(
    sqlite: &Connection,
    registry: &Registry,
    table: &Table,
    (after, max): (&[u8], usize),
) -> Result<Vec<Conflict>> {
    let mut select = sqlite.prepare_cached(
        "SELECT pk FROM trellis_hidden WHERE table_ordinal = ?1 AND pk > ?2 ORDER BY pk LIMIT ?3",
    )?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let keys = select.query_map(params![table.ordinal, after, limit], |row| row.get(0))?;
    let mut conflicts = Vec::new();
    for pk in keys.collect::<rusqlite::Result<Vec<Vec<u8>>>>()? {
        let Some(row) = get(sqlite, table, &pk)? else { continue };
        let since = last_stamp(registry, &row.clock);
        let cells = table.cells.iter().map(|column| column.id).zip(row.cells).collect();
        conflicts.push(Conflict { table: table.id, pk, cells, since });
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

/// Stores a hidden row that `blocker` keeps hidden; none if it is due.
pub(super) fn put(
    sqlite: &Connection,
    table: &Table,
    pk: &[u8],
    (row, blocker): (&HiddenRow, Option<&[u8]>),
) -> Result<()> {
    table.no_hidden.touch();
    let mut cells = Vec::new();
    for (column, value) in table.cells.iter().zip(&row.cells) {
        put_varint(&mut cells, u64::from(column.id.0));
        put_bytes(&mut cells, &pack([value.as_ref()]));
    }
    let clock = encode_clock(&row.clock);
    let mut insert = sqlite
        .prepare_cached("INSERT OR REPLACE INTO trellis_hidden VALUES (?1, ?2, ?3, ?4, ?5)")?;
    insert.execute(params![table.ordinal, pk, clock, cells, blocker])?;
    Ok(())
}

/// Stores the clock of a hidden row that stays as it is.
pub(super) fn put_clock(
    sqlite: &Connection,
    table: &Table,
    pk: &[u8],
    clock: &RowClock,
) -> Result<()> {
    let mut update = sqlite.prepare_cached(
        "UPDATE trellis_hidden SET clock = ?3 WHERE table_ordinal = ?1 AND pk = ?2",
    )?;
    update.execute(params![table.ordinal, pk, encode_clock(clock)])?;
    Ok(())
}

fn encode_clock(clock: &RowClock) -> Vec<u8> {
    let (mut block, mut encoded) = (Block::default(), Vec::new());
    block.replace(0, Some(clock.clone()));
    block.encode(&mut encoded);
    encoded
}

/// Forgets a hidden row.
pub(super) fn delete(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<()> {
    table.no_hidden.touch();
    let mut delete =
        sqlite.prepare_cached("DELETE FROM trellis_hidden WHERE table_ordinal = ?1 AND pk = ?2")?;
    delete.execute(params![table.ordinal, pk])?;
    Ok(())
}

/// The key of the row that keeps a hidden one hidden; none if that is due, or not hidden.
pub(super) fn blocker(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut select = sqlite.prepare_cached(
        "SELECT blocker FROM trellis_hidden WHERE table_ordinal = ?1 AND pk = ?2",
    )?;
    let found = select.query_row(params![table.ordinal, pk], |row| row.get(0));
    Ok(found.optional()?.flatten())
}

/// The keys of the rows that `blocker` keeps hidden.
pub(super) fn blocked_by(
    sqlite: &Connection,
    table: &Table,
    blocker: &[u8],
) -> Result<Vec<Vec<u8>>> {
    let mut select = sqlite.prepare_cached(
        "SELECT pk FROM trellis_hidden WHERE table_ordinal = ?1 AND blocker = ?2",
    )?;
    let keys = select.query_map(params![table.ordinal, blocker], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// Makes the rows that `blocker` keeps hidden due.
pub(super) fn release(sqlite: &Connection, table: &Table, blocker: &[u8]) -> Result<()> {
    let mut update = sqlite.prepare_cached(
        "UPDATE trellis_hidden SET blocker = NULL WHERE table_ordinal = ?1 AND blocker = ?2",
    )?;
    update.execute(params![table.ordinal, blocker])?;
    Ok(())
}

/// Makes a hidden row due.
pub(super) fn make_due(sqlite: &Connection, table: &Table, pk: &[u8]) -> Result<()> {
    let mut update = sqlite.prepare_cached(
        "UPDATE trellis_hidden SET blocker = NULL WHERE table_ordinal = ?1 AND pk = ?2",
    )?;
    update.execute(params![table.ordinal, pk])?;
    Ok(())
}

/// Makes all hidden rows of a table due.
pub(super) fn release_all(sqlite: &Connection, table: &Table) -> Result<()> {
    let mut update = sqlite.prepare_cached(
        "UPDATE trellis_hidden SET blocker = NULL WHERE table_ordinal = ?1 AND blocker IS NOT NULL",
    )?;
    update.execute([table.ordinal])?;
    Ok(())
}

/// The keys of the table's hidden rows that are due.
pub(super) fn due(sqlite: &Connection, table: &Table) -> Result<Vec<Vec<u8>>> {
    let mut select = sqlite.prepare_cached(
        "SELECT pk FROM trellis_hidden WHERE table_ordinal = ?1 AND blocker IS NULL",
    )?;
    let keys = select.query_map([table.ordinal], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// The ordinals of the tables with hidden rows that are due.
pub(super) fn due_tables(sqlite: &Connection) -> Result<Vec<u32>> {
    let mut select = sqlite.prepare_cached(
        "SELECT DISTINCT table_ordinal FROM trellis_hidden WHERE blocker IS NULL",
    )?;
    let ordinals = select.query_map([], |row| row.get(0))?;
    Ok(ordinals.collect::<rusqlite::Result<_>>()?)
}
