//! Merges incoming row changes into a table: clock, decision, stored row.
//!
//! The decision is [`crate::crdt::merge_row`]'s; this file finds the row and its clock, reads stored values where versions
//! tie, and writes what won. One lookup and one write per row. Values that the table cannot hold, because the schema here
//! is ahead of or behind the one where they were written, are replaced by what it can hold, the same on every node.

use std::collections::BTreeSet;

use rusqlite::{CachedStatement, Connection};

use super::applied::RowOp;
use super::capture::Capture;
use super::clocks::{
    Bound, Clocks, RowKey, bind, bind_find, borrowed, dead_any, dead_delete, dead_get, dead_put,
};
use super::error::{Result, StoreError};
use super::hidden;
use super::registry::{Column, Registry, RowIdentity, Table, quote};
use super::resolved::{Sight, Turns, seen_op};
use crate::crdt::bytes::DecodeError;
use crate::crdt::{
    IncomingCell, IncomingRow, RowClock, RowEffect, merge_row, pack, unpack, unpack_integer,
};
use crate::types::{Value, ValueRef};

/// Merges rows into one table.
pub(super) struct TableMerger<'c> {
    pub(super) sqlite: &'c Connection,
    /// Notes which rows a conflicting one would push out.
    pub(super) capture: &'c Capture,
    registry: &'c Registry,
    pub(super) table: &'c Table,
    pub(super) clocks: Clocks<'c>,
    /// Whether the table may have tombstones outside its blocks.
    may_be_dead: bool,
    /// Whether the table may have hidden rows.
    pub(super) may_be_hidden: bool,
    /// Hidden rows to be tried again.
    pub(super) due: BTreeSet<Vec<u8>>,
    /// Rows that were hidden or shown.
    pub(super) turns: Turns,
    /// The statement that wrote the row before, and for which cells: rows of one statement are alike.
    writer: Option<(WriteShape, CachedStatement<'c>)>,
    /// The statement that wrote several rows before.
    rows_writer: Option<(WriteShape, CachedStatement<'c>)>,
}

/// Which statement writes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WriteShape {
    insert: bool,
    rows: u64,
    /// Ordinals of the columns.
    columns: Vec<u32>,
}

impl WriteShape {
    fn is(&self, insert: bool, cells: &[&IncomingCell<'_>]) -> bool {
        let columns = cells.iter().map(|cell| &cell.column);
        self.insert == insert && self.columns.iter().eq(columns)
    }
}

/// Why a row change was not merged.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    /// The change itself is wrong, whatever is stored.
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for MergeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<DecodeError> for MergeError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A row as it was found.
pub(super) struct Found {
    pub(super) key_values: Vec<Value>,
    pub(super) pk: Vec<u8>,
    /// Its rowid; none if it is not there and has none of its own choosing.
    pub(super) rowid: Option<i64>,
    pub(super) clock: Option<RowClock>,
    /// Its cells, if it is hidden.
    pub(super) hidden: Option<Vec<Value>>,
}

impl Found {
    pub(super) fn key(&self) -> RowKey<'_> {
        self.rowid.map_or(RowKey::Packed(&self.pk), RowKey::Number)
    }
}

impl<'c> TableMerger<'c> {
    pub(super) fn new(
        sqlite: &'c Connection,
        capture: &'c Capture,
        registry: &'c Registry,
        table: &'c Table,
    ) -> Result<Self> {
        let clocks = Clocks::new(sqlite, table);
        let may_be_dead = dead_any(sqlite, table)?;
        let may_be_hidden = hidden::any(sqlite, table)?;
        Ok(Self {
            sqlite,
            capture,
            registry,
            table,
            clocks,
            may_be_dead,
            may_be_hidden,
            due: BTreeSet::new(),
            turns: Turns::default(),
            writer: None,
            rows_writer: None,
        })
    }

    /// Goes on with what the transaction has hidden and shown of the table before.
    pub(super) fn with_turns(self, turns: Turns) -> Self {
        Self { turns, ..self }
    }

    /// Merges one row change; returns what it did to the row.
    pub(super) fn merge(
        &mut self,
        pk: &[u8],
        incoming: &IncomingRow<'_>,
    ) -> Result<Option<RowOp>, MergeError> {
        let mut found = self.find(pk)?;
        let mut stored_row: Option<Option<Vec<Value>>> = None;
        let (sqlite, table, registry) = (self.sqlite, self.table, self.registry);
        let mut clock = found.clock.take();
        let effect = merge_row(
            &mut clock,
            incoming,
            |ordinal| registry.site(ordinal),
            |column| {
                let row = match &mut stored_row {
                    Some(row) => row,
                    None => stored_row.insert(read_cells(sqlite, table, &found)?),
                };
                let index = table.index_of_ordinal(column);
                Ok::<_, StoreError>(
                    row.as_ref().zip(index).and_then(|(row, index)| row.get(index).cloned()),
                )
            },
        )?;
        found.clock = clock;
        match effect {
            RowEffect::Ignored => Ok(None),
            RowEffect::Restamped => {
                self.keep_clock(found)?;
                Ok(None)
            }
            RowEffect::Deleted => {
                let before = self.about_to_change(&found)?;
                let pk = found.pk.clone();
                self.delete(found)?;
                Ok(self.told(&pk, before, Sight::Absent))
            }
            RowEffect::Written { created, won, forgotten } => {
                let columns = forgotten.iter().filter_map(|ordinal| table.cell(*ordinal));
                let fresh: Vec<_> =
                    columns.map(|column| (column.ordinal, column.missing())).collect();
                let fresh: Vec<_> = fresh.iter().map(IncomingCell::fresh).collect();
                let mut cells = Vec::with_capacity(won.len() + fresh.len());
                cells.extend(won.iter().filter_map(|index| incoming.cells.get(*index)));
                cells.extend(&fresh);
                let before = if created { Sight::Absent } else { self.about_to_change(&found)? };
                let pk = if self.may_be_hidden { found.pk.clone() } else { Vec::new() };
                let after = self.write(found, created, &cells)?;
                Ok(self.told(&pk, before, after))
            }
        }
    }

    /// The number of the row with that key, in a table whose keys are its rowids.
    pub(super) fn number_of(&self, pk: &[u8]) -> Option<i64> {
        if self.table.identity == RowIdentity::IntegerKey { unpack_integer(pk) } else { None }
    }

    /// How many rows from `row` on, to the end of its block, nobody has seen here if there is no other in the block.
    pub(super) fn fresh_rows(&mut self, row: i64) -> Result<u64> {
        if self.may_be_hidden || !self.turns.is_empty() {
            return Ok(0);
        }
        self.clocks.fresh_rows(row, u64::MAX)
    }

    /// Inserts `count` rows with the same cells by one statement. `false`, and nothing is inserted, if any of them is there
    /// already or conflicts with another.
    pub(super) fn insert_rows<'r>(
        &mut self,
        rows: impl Iterator<Item = (i64, IncomingRow<'r>)>,
        count: u64,
    ) -> Result<bool> {
        let (table, mut rows) = (self.table, rows.peekable());
        let Some((_, first)) = rows.peek() else { return Ok(true) };
        let shape = WriteShape {
            rows: count,
            columns: first.cells.iter().map(|cell| cell.column).collect(),
            insert: true,
        };
        let kept = self.rows_writer.take().filter(|(kept, _)| *kept == shape);
        let (_, statement) = match kept {
            Some(kept) => self.rows_writer.insert(kept),
            None => {
                let indexes = shape.columns.iter().filter_map(|it| table.index_of_ordinal(*it));
                let sql = insert_sql("INSERT", table, &indexes.collect::<Vec<_>>(), count);
                let statement = self.sqlite.prepare_cached(&sql)?;
                self.rows_writer.insert((shape, statement))
            }
        };
        let mut place = 1;
        for (row, incoming) in rows {
            statement.raw_bind_parameter(place, row)?;
            bind_cells(statement, table, place + 1, incoming.cells)?;
            place += 1 + incoming.cells.len();
        }
        match statement.raw_execute() {
            Ok(_) => Ok(true),
            Err(error) => {
                let error = error.into();
                if is_unique_violation(&error) { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Notes that a row that is there is going to change; returns whether it can be seen.
    pub(super) fn about_to_change(&mut self, found: &Found) -> Result<Sight> {
        if found.hidden.is_some() {
            return Ok(Sight::Absent);
        }
        if self.may_be_hidden {
            self.release(&found.pk)?;
        }
        Ok(Sight::Visible)
    }

    /// What is to be told of a changed row in its turn; nothing, if it is told with those that were hidden or shown.
    fn told(&mut self, pk: &[u8], before: Sight, after: Sight) -> Option<RowOp> {
        if self.turns.write(pk, after) { None } else { seen_op(before, after, true) }
    }

    /// Writes back what is held in memory; returns which rows were hidden and shown. Call at the end.
    pub(super) fn finish(mut self) -> Result<Turns> {
        if self.may_be_hidden {
            self.resolve()?;
        }
        self.clocks.flush()?;
        Ok(self.turns)
    }

    /// Like [`Self::finish`], but leaves the rows that are due to be tried later.
    pub(super) fn finish_later(mut self) -> Result<Turns> {
        for pk in std::mem::take(&mut self.due) {
            hidden::make_due(self.sqlite, self.table, &pk)?;
        }
        self.clocks.flush()?;
        Ok(self.turns)
    }

    pub(super) fn find(&mut self, pk: &[u8]) -> Result<Found, MergeError> {
        let key_values = unpack(pk)?;
        if key_values.len() != self.table.key.len() {
            return Err(MergeError::Malformed("wrong number of key columns".into()));
        }
        if key_values.contains(&Value::Null) {
            return Err(MergeError::Malformed("a key column is NULL".into()));
        }
        // Identity is by value: however the sender packed it, it is looked up in the one canonical form.
        let pk = pack(key_values.iter().map(Value::as_ref));
        let mut found = Found { key_values, pk, rowid: None, clock: None, hidden: None };
        if self.may_be_hidden
            && let Some(row) = hidden::get(self.sqlite, self.table, &found.pk)?
        {
            found.rowid = own_rowid(self.table, &found.key_values);
            (found.clock, found.hidden) = (Some(row.clock), Some(row.cells));
            return Ok(found);
        }
        match self.table.identity {
            RowIdentity::IntegerKey => {
                let [Value::Integer(rowid)] = found.key_values[..] else {
                    return Err(MergeError::Malformed("the key is not an integer".into()));
                };
                found.rowid = Some(rowid);
                found.clock = self.clocks.get(RowKey::Number(rowid))?.cloned();
            }
            RowIdentity::WithoutRowid => {
                found.clock = self.clocks.get(RowKey::Packed(&found.pk))?.cloned();
            }
            RowIdentity::HiddenRowid(_) => {
                found.rowid = rowid_of(self.sqlite, self.table, &found.key_values)?;
                found.clock = match found.rowid {
                    // A row without clock was there before the table was registered.
                    Some(rowid) => self
                        .clocks
                        .get(RowKey::Number(rowid))?
                        .cloned()
                        .or(Some(RowClock::new(1, None))),
                    None if self.may_be_dead => dead_get(self.sqlite, self.table, &found.pk)?,
                    None => None,
                };
            }
        }
        Ok(found)
    }

    /// Stores the clock of a row that itself stays as it is.
    fn keep_clock(&mut self, mut found: Found) -> Result<()> {
        let clock = found.clock.take();
        match (clock, found.hidden, found.rowid) {
            (Some(clock), Some(_), _) => {
                hidden::put_clock(self.sqlite, self.table, &found.pk, &clock)
            }
            (Some(clock), None, None) if self.table.has_dead_table() => {
                self.may_be_dead = true;
                dead_put(self.sqlite, self.table, &found.pk, &clock)
            }
            (clock, _, rowid) => {
                let key = rowid.map_or(RowKey::Packed(&found.pk), RowKey::Number);
                self.clocks.put(key, clock).map(drop)
            }
        }
    }

    fn delete(&mut self, mut found: Found) -> Result<()> {
        if found.hidden.take().is_some() {
            hidden::delete(self.sqlite, self.table, &found.pk)?;
            return self.keep_clock(found);
        }
        delete_row(self.sqlite, self.table, &found)?;
        if self.table.has_dead_table() {
            self.clocks.put(found.key(), None)?;
            found.rowid = None;
        }
        self.keep_clock(found)
    }

    /// Writes the winning cells and the clock.
    pub(super) fn write(
        &mut self,
        mut found: Found,
        created: bool,
        cells: &[&IncomingCell<'_>],
    ) -> Result<Sight> {
        if created && self.may_be_dead && found.rowid.is_none() {
            dead_delete(self.sqlite, self.table, &found.pk)?;
        }
        if found.hidden.is_some() {
            return self.write_hidden(found, cells);
        }
        if !created && cells.is_empty() {
            self.keep_clock(found)?;
            return Ok(Sight::Visible);
        }
        match self.write_row(&mut found, created, cells) {
            Err(error) if is_unique_violation(&error) => {
                self.write_conflicting(found, created, cells)
            }
            Err(error) => Err(error),
            Ok(()) => {
                let clock = found.clock.take();
                self.clocks.put(found.key(), clock)?;
                Ok(Sight::Visible)
            }
        }
    }

    /// Writes the row itself, as a new one if it is not there.
    pub(super) fn write_row(
        &mut self,
        found: &mut Found,
        created: bool,
        cells: &[&IncomingCell<'_>],
    ) -> Result<()> {
        if !created && self.update(found, cells)? > 0 {
            return Ok(());
        }
        self.insert(found, cells)?;
        if self.table.has_dead_table() {
            found.rowid = Some(self.sqlite.last_insert_rowid());
        }
        Ok(())
    }

    fn update(&mut self, found: &Found, cells: &[&IncomingCell<'_>]) -> Result<usize> {
        let table = self.table;
        let statement = self.statement(false, cells)?;
        bind_find(statement, found.key(), &found.key_values)?;
        let first = table.sql.find_parameters + 1;
        bind_cells(statement, table, first, cells.iter().copied())?;
        Ok(statement.raw_execute()?)
    }

    fn insert(&mut self, found: &Found, cells: &[&IncomingCell<'_>]) -> Result<()> {
        let table = self.table;
        let statement = self.statement(true, cells)?;
        bind(statement, 1, found.key_values.iter().map(Value::as_ref))?;
        bind_cells(statement, table, table.key.len() + 1, cells.iter().copied())?;
        statement.raw_execute()?;
        Ok(())
    }

    /// The statement that writes these cells: that of the row before, as long as rows are alike.
    fn statement(
        &mut self,
        insert: bool,
        cells: &[&IncomingCell<'_>],
    ) -> Result<&mut CachedStatement<'c>> {
        let kept = self.writer.take().filter(|(shape, _)| shape.is(insert, cells));
        let kept = match kept {
            Some(kept) => kept,
            None => {
                let table = self.table;
                let columns: Vec<_> = cells.iter().map(|cell| cell.column).collect();
                let indexes = columns.iter().filter_map(|it| table.index_of_ordinal(*it));
                let indexes: Vec<_> = indexes.collect();
                let sql = match (insert, table.identity) {
                    (false, _) => update_sql(table, &indexes),
                    (true, RowIdentity::IntegerKey | RowIdentity::WithoutRowid) => {
                        upsert_sql(table, &indexes)
                    }
                    // What has the same key is known not to be there; what its collation calls equal is another row.
                    (true, RowIdentity::HiddenRowid(_)) => insert_sql("INSERT", table, &indexes, 1),
                };
                (WriteShape { insert, rows: 1, columns }, self.sqlite.prepare_cached(&sql)?)
            }
        };
        Ok(&mut self.writer.insert(kept).1)
    }
}

/// Deletes the row itself.
pub(super) fn delete_row(sqlite: &Connection, table: &Table, found: &Found) -> Result<()> {
    let mut delete = sqlite.prepare_cached(&table.sql.delete)?;
    bind_find(&mut delete, found.key(), &found.key_values)?;
    delete.raw_execute()?;
    Ok(())
}

/// The rowid of the row with that key.
pub(super) fn rowid_of(
    sqlite: &Connection,
    table: &Table,
    key_values: &[Value],
) -> Result<Option<i64>> {
    let mut select = sqlite.prepare_cached(&table.sql.select_rowid)?;
    bind(&mut select, 1, key_values.iter().map(Value::as_ref))?;
    let mut rows = select.raw_query();
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// The rowid that a row has by its key alone.
pub(super) fn own_rowid(table: &Table, key_values: &[Value]) -> Option<i64> {
    match (table.identity, key_values) {
        (RowIdentity::IntegerKey, [Value::Integer(rowid)]) => Some(*rowid),
        _ => None,
    }
}

/// Whether SQLite refused because of a unique index; the key's, where two keys are equal to its collation only.
fn is_unique_violation(error: &StoreError) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    matches!(error, StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
        if matches!(failure.extended_code, SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY))
}

/// The stored cells of a row, or none if it is not there.
pub(super) fn read_cells(
    sqlite: &Connection,
    table: &Table,
    found: &Found,
) -> Result<Option<Vec<Value>>> {
    if let Some(cells) = &found.hidden {
        return Ok(Some(cells.clone()));
    }
    let mut select = sqlite.prepare_cached(&table.sql.select_rows)?;
    match found.key() {
        RowKey::Number(row) => {
            bind(&mut select, 1, [ValueRef::Integer(row), ValueRef::Integer(row)])?;
        }
        RowKey::Packed(_) => bind(&mut select, 1, found.key_values.iter().map(Value::as_ref))?,
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let first = 1 + table.key.len();
    let cell = |index| Ok(borrowed(row.get_ref(first + index)?)?.to_value());
    (0..table.cells.len()).map(cell).collect::<Result<_>>().map(Some)
}

fn bind_cells<'v>(
    statement: &mut rusqlite::Statement<'_>,
    table: &Table,
    first: usize,
    cells: impl IntoIterator<Item = &'v IncomingCell<'v>>,
) -> Result<()> {
    for (place, cell) in (first..).zip(cells) {
        match table.cell(cell.column) {
            Some(column) if !can_hold(table, column, cell.value) => {
                statement.raw_bind_parameter(place, Bound(column.fallback.as_ref()))?;
            }
            _ => statement.raw_bind_parameter(place, Bound(cell.value))?,
        }
    }
    Ok(())
}

/// Whether the column accepts the value.
pub(super) fn can_hold(table: &Table, column: &Column, value: ValueRef<'_>) -> bool {
    let strict = |accepted: bool| accepted || !table.strict;
    match value {
        ValueRef::Null => !column.not_null,
        ValueRef::Integer(_) => strict(column.declared != "BLOB"),
        ValueRef::Real(real) => match column.declared.as_str() {
            "INT" | "INTEGER" => strict(real.fract() == 0.0 && real.abs() < 9.0e18),
            "BLOB" => strict(false),
            _ => true,
        },
        ValueRef::Text(text) => match column.declared.as_str() {
            "INT" | "INTEGER" => strict(text.trim().parse::<i64>().is_ok()),
            "REAL" => strict(text.trim().parse::<f64>().is_ok()),
            "BLOB" => strict(false),
            _ => true,
        },
        ValueRef::Blob(_) => strict(matches!(column.declared.as_str(), "BLOB" | "ANY")),
    }
}

/// Inserts rows. Columns that accept no NULL, have no default and did not come are given their type's zero: the rest of
/// the row is still on its way from another site.
pub(super) fn insert_sql(verb: &str, table: &Table, cells: &[usize], rows: u64) -> String {
    let needy = |(index, column): &(usize, &Column)| {
        column.not_null && column.default.is_none() && !cells.contains(index)
    };
    let needy: Vec<_> =
        table.cells.iter().enumerate().filter(needy).map(|(_, column)| column).collect();
    let given = table.key.iter().chain(cells.iter().filter_map(|index| table.cells.get(*index)));
    let columns = given.chain(needy.iter().copied()).map(|column| quote(&column.name));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let (mut places, width) = (1.., table.key.len() + cells.len());
    let values = (0..rows).map(|_| {
        let values = places.by_ref().take(width).map(|place| format!("?{place}"));
        let values = values.chain(needy.iter().map(|column| column.fallback_sql()));
        format!("({})", values.collect::<Vec<_>>().join(", "))
    });
    let values = values.collect::<Vec<_>>().join(", ");
    format!("{verb} INTO {} ({columns}) VALUES {values}", quote(&table.name))
}

/// Inserts a row, or sets its cells if it is there after all.
fn upsert_sql(table: &Table, cells: &[usize]) -> String {
    let key: Vec<_> = table.key.iter().map(|column| quote(&column.name)).collect();
    let set =
        cells.iter().filter_map(|index| table.cells.get(*index)).map(|cell| quote(&cell.name));
    let set: Vec<_> = set.map(|name| format!("{name} = excluded.{name}")).collect();
    let conflict = if set.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", set.join(", "))
    };
    let insert = insert_sql("INSERT", table, cells, 1);
    format!("{insert} ON CONFLICT ({}) DO {conflict}", key.join(", "))
}

pub(super) fn update_sql(table: &Table, cells: &[usize]) -> String {
    let set = (table.sql.find_parameters + 1..)
        .zip(cells.iter().filter_map(|index| table.cells.get(*index)))
        .map(|(place, cell)| format!("{} = ?{place}", quote(&cell.name)));
    format!(
        "UPDATE {} SET {} WHERE {}",
        quote(&table.name),
        set.collect::<Vec<_>>().join(", "),
        table.sql.find
    )
}

impl MergeError {
    /// What it means for a key that is stored here: a malformed one is damage.
    pub(super) fn into_store(self) -> StoreError {
        match self {
            Self::Malformed(reason) => StoreError::Damaged(reason),
            Self::Store(error) => error,
        }
    }
}
