//! Which SQLite tables are replicated, and what is known of their columns; and the sites this file has met.
//!
//! A table is registered under its identity ([`TableId`]) with the names that table and columns have in SQLite at the
//! moment. Renaming, adding and dropping are differences to the last registration: identities stay, names move. Columns
//! have, besides their identity, an **ordinal** within their table and this file: small numbers given out in the order of
//! registration, key columns first, and never reused. Clocks name columns by ordinal, so that the columns of a row are
//! neighbours there; everything that travels names them by identity. The registry is an immutable value behind an `Arc`: a transaction that changes it has its own copy, which replaces the
//! shared one when it commits.
//!
//! How rows are identified, and their clocks found, depends on the table ([`RowIdentity`]):
//!
//! | table | row key | clocks | tombstones |
//! |---|---|---|---|
//! | `INTEGER PRIMARY KEY` | its value | blocks of neighbouring keys | in their block |
//! | any other key, with hidden rowid | the rowid | blocks of neighbouring rowids | `trellis_dead_N` by packed key |
//! | `WITHOUT ROWID` | the packed key | a block of one row per key | in their block |
//!
//! A hidden rowid must not move under its clock: `VACUUM` and rebuilding a table by copying it are not allowed on
//! registered tables of the second kind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::absence::Absence;
use super::error::{Result, StoreError};
use super::hidden;
use super::images;
use crate::crdt::{COLUMNS_MAX, KEY_COLUMNS_MAX, rows_per_block};
use crate::types::{ColumnId, SiteId, TableId, Value};

/// A table as it is to be replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Identity, the same on all nodes.
    pub id: TableId,
    /// Name of the SQLite table in the main database.
    pub name: String,
    /// All replicated columns, key columns included, with their names in the SQLite table. Columns of it that are not
    /// listed, as generated ones, are local.
    pub columns: Vec<(ColumnId, String)>,
    /// The primary key's columns in key order; each NOT NULL and, together, unique.
    pub key: Vec<ColumnId>,
    /// Whether it is a table that other tables' existence depends on: its changes are applied first, see
    /// [`super::SchemaHook`].
    pub system: bool,
}

/// How a row is found and its clock kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowIdentity {
    /// The key is the rowid.
    IntegerKey,
    /// The key is something else; the rowid, under this name, is hidden.
    HiddenRowid(&'static str),
    /// There is no rowid.
    WithoutRowid,
}

/// A replicated column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Identity within the table.
    pub id: ColumnId,
    /// Number within the table and this file, as clocks name it.
    pub ordinal: u32,
    /// Name in SQLite.
    pub name: String,
    /// Place among all columns of the table, virtual ones too, as the preupdate hook counts.
    pub storage: i32,
    pub not_null: bool,
    /// The default, as SQL.
    pub default: Option<String>,
    /// Declared type, upper case.
    pub declared: String,
    /// Whether integers become reals when they are stored.
    pub real: bool,
    /// What stands in for a value that the column cannot hold: its default if that is a constant, else its type's zero.
    pub fallback: Value,
}

impl Column {
    /// What the cell of a row holds that was never told its value.
    pub(super) fn missing(&self) -> Value {
        if self.not_null || self.default.is_some() { self.fallback.clone() } else { Value::Null }
    }

    /// [`Self::fallback`] as SQL.
    pub(super) fn fallback_sql(&self) -> String {
        match &self.fallback {
            Value::Null => "NULL".to_owned(),
            Value::Integer(integer) => integer.to_string(),
            Value::Real(real) => format!("{real:e}"),
            Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Value::Blob(blob) => {
                format!("x'{}'", blob.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
        }
    }
}

/// The value of a default that is a constant, or the zero of the type.
fn fallback(sqlite: &Connection, declared: &str, default: Option<&str>) -> Value {
    let constant = |sql: &&str| {
        let numeric = sql
            .starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
        let quoted = sql.starts_with('\'') || sql.starts_with("x'") || sql.starts_with("X'");
        numeric || quoted
    };
    let evaluate = |sql: &str| {
        let value = sqlite
            .query_row(&format!("SELECT {sql}"), [], |row| row.get::<_, rusqlite::types::Value>(0));
        value.ok()
    };
    match default.filter(constant).and_then(evaluate) {
        Some(rusqlite::types::Value::Integer(integer)) => Value::Integer(integer),
        Some(rusqlite::types::Value::Real(real)) => Value::Real(real),
        Some(rusqlite::types::Value::Text(text)) => Value::Text(text),
        Some(rusqlite::types::Value::Blob(blob)) => Value::Blob(blob),
        Some(rusqlite::types::Value::Null) | None => match declared {
            "INT" | "INTEGER" => Value::Integer(0),
            "REAL" => Value::Real(0.0),
            "BLOB" => Value::Blob(Vec::new()),
            _ => Value::Text(String::new()),
        },
    }
}

/// A replicated table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Number within this file, never reused.
    pub ordinal: u32,
    pub id: TableId,
    pub name: String,
    pub system: bool,
    pub strict: bool,
    pub identity: RowIdentity,
    pub rows_per_block: u32,
    /// Key columns in key order.
    pub key: Vec<Column>,
    /// The other columns, by ordinal.
    pub cells: Vec<Column>,
    /// Ordinals of all columns that there are or ever were.
    pub ordinals: ColumnOrdinals,
    /// The largest causal length of a row that was forgotten, 0 if none was: see `collect.rs`.
    pub floor: u64,
    pub sql: TableSql,
    /// Whether it is known to have no hidden rows.
    pub no_hidden: Arc<Absence>,
    /// Whether it is known to have no tombstones outside its blocks.
    pub no_dead: Arc<Absence>,
}

/// The ordinals of a table's columns, by identity.
pub(super) type ColumnOrdinals = BTreeMap<ColumnId, u32>;

/// Statements on a table, made once.
#[derive(Clone, Debug, Default)]
pub(super) struct TableSql {
    /// Row key (or NULL), key columns, cells of the rows with `?1 <= rowid <= ?2`; of the key `?` in [`RowIdentity::WithoutRowid`].
    pub select_rows: String,
    /// Makes the images of rows by their rowids; see `images.rs`.
    pub make_images: Option<String>,
    /// Rowid of the row with the given key.
    pub select_rowid: String,
    /// Deletes by rowid, or key.
    pub delete: String,
    /// `WHERE` clause that finds a row; its parameters start at `?1`.
    pub find: String,
    /// Number of parameters of `find`.
    pub find_parameters: usize,
    pub clock_get: String,
    pub clock_last: String,
    pub clock_put: String,
    pub clock_delete: String,
    pub dead_get: String,
    pub dead_put: String,
    pub dead_delete: String,
    pub dead_any: String,
}

/// Quotes an identifier.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Table {
    /// The index among `cells` of a column.
    pub(super) fn cell_index(&self, column: ColumnId) -> Option<usize> {
        self.index_of_ordinal(*self.ordinals.get(&column)?)
    }

    /// The index among `cells` of the column with that ordinal.
    pub(super) fn index_of_ordinal(&self, ordinal: u32) -> Option<usize> {
        self.cells.binary_search_by_key(&ordinal, |cell| cell.ordinal).ok()
    }

    /// The column among `cells` with that ordinal.
    pub(super) fn cell(&self, ordinal: u32) -> Option<&Column> {
        self.index_of_ordinal(ordinal).and_then(|index| self.cells.get(index))
    }

    /// The causal length of a row whose key was never seen, or was forgotten.
    pub(super) fn first_life(&self) -> u64 {
        (self.floor + 1) | 1
    }

    /// Whether keys have tombstones of their own, outside the blocks.
    pub(super) fn has_dead_table(&self) -> bool {
        matches!(self.identity, RowIdentity::HiddenRowid(_))
    }

    fn build_sql(&mut self) {
        let (ordinal, name) = (self.ordinal, quote(&self.name));
        let key: Vec<_> = self.key.iter().map(|column| quote(&column.name)).collect();
        let all: Vec<_> =
            key.iter().cloned().chain(self.cells.iter().map(|cell| quote(&cell.name))).collect();
        // A key is the bytes it is made of. Its column may compare otherwise, as `1.0` and `1.00` are equal to a numeric's
        // collation, which is good for finding it in the index but not for telling it from others.
        let by_key = (1..).zip(&key).map(|(place, column)| {
            format!("{column} = ?{place} AND {column} COLLATE BINARY = ?{place}")
        });
        let by_key = by_key.collect::<Vec<_>>().join(" AND ");
        let columns = all.join(", ");
        let sql = &mut self.sql;
        match self.identity {
            RowIdentity::IntegerKey | RowIdentity::HiddenRowid(_) => {
                let rowid = match self.identity {
                    RowIdentity::HiddenRowid(rowid) => rowid.to_owned(),
                    _ => key.first().cloned().unwrap_or_default(),
                };
                sql.select_rows = format!(
                    "SELECT {rowid}, {columns} FROM {name} WHERE {rowid} BETWEEN ?1 AND ?2 ORDER BY {rowid}"
                );
                let cells: Vec<_> = self.cells.iter().map(|cell| quote(&cell.name)).collect();
                let hidden = matches!(self.identity, RowIdentity::HiddenRowid(_));
                let keys = if hidden { key.as_slice() } else { &[] };
                sql.make_images = images::make_images_sql(&name, &rowid, keys, &cells);
                sql.find = format!("{rowid} = ?1");
                sql.find_parameters = 1;
                sql.select_rowid = format!("SELECT {rowid} FROM {name} WHERE {by_key}");
            }
            RowIdentity::WithoutRowid => {
                sql.select_rows = format!("SELECT NULL, {columns} FROM {name} WHERE {by_key}");
                sql.find = by_key;
                sql.find_parameters = key.len();
            }
        }
        sql.delete = format!("DELETE FROM {name} WHERE {}", sql.find);
        sql.clock_get = format!("SELECT body FROM trellis_clock_{ordinal} WHERE block = ?1");
        sql.clock_last = format!("SELECT max(block) FROM trellis_clock_{ordinal}");
        sql.clock_put = format!(
            "INSERT INTO trellis_clock_{ordinal} (block, body) VALUES (?1, ?2)
             ON CONFLICT (block) DO UPDATE SET body = excluded.body"
        );
        sql.clock_delete = format!("DELETE FROM trellis_clock_{ordinal} WHERE block = ?1");
        sql.dead_get = format!(
            "SELECT causal_length, origin, version, seq FROM trellis_dead_{ordinal} WHERE pk = ?1"
        );
        sql.dead_put = format!(
            "INSERT OR REPLACE INTO trellis_dead_{ordinal} (pk, causal_length, origin, version, seq)
             VALUES (?1, ?2, ?3, ?4, ?5)"
        );
        sql.dead_delete = format!("DELETE FROM trellis_dead_{ordinal} WHERE pk = ?1");
        sql.dead_any = format!("SELECT 1 FROM trellis_dead_{ordinal} LIMIT 1");
    }
}

/// What is known of a table identity.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Live(Arc<Table>),
    Dropped,
}

/// All replicated tables and known sites.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    entries: HashMap<TableId, Entry>,
    /// Ordered by ordinal.
    live: Vec<Arc<Table>>,
    by_name: HashMap<Vec<u8>, usize>,
    next_ordinal: u32,
    sites: Vec<SiteId>,
    ordinals: HashMap<SiteId, u32>,
}

/// The tables that hold the registry.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_sites (
        ordinal INTEGER PRIMARY KEY, site BLOB NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_registered_tables (
        ordinal INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE, name TEXT, system INTEGER NOT NULL,
        rows_per_block INTEGER NOT NULL, floor INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_registered_columns (
        table_ordinal INTEGER NOT NULL, id INTEGER NOT NULL, ordinal INTEGER NOT NULL, name TEXT,
        key_place INTEGER,
        PRIMARY KEY (table_ordinal, id)) STRICT, WITHOUT ROWID;
";

impl Registry {
    /// Reads the registry from the file.
    pub(super) fn load(sqlite: &Connection) -> Result<Self> {
        let mut registry = Self::default();
        let mut statement =
            sqlite.prepare("SELECT ordinal, site FROM trellis_sites ORDER BY ordinal")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let site = SiteId(row.get(1)?);
            let ordinal: u32 = row.get(0)?;
            if ordinal as usize != registry.sites.len() {
                return Err(StoreError::Damaged("site ordinals have a gap".into()));
            }
            registry.push_site(site);
        }
        drop(rows);
        let mut statement = sqlite.prepare(
            "SELECT ordinal, id, name, system, rows_per_block, floor FROM trellis_registered_tables",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let ordinal: u32 = row.get(0)?;
            let id = TableId(row.get::<_, i64>(1)?.cast_unsigned());
            registry.next_ordinal = registry.next_ordinal.max(ordinal + 1);
            let entry = match row.get::<_, Option<String>>(2)? {
                None => Entry::Dropped,
                Some(name) => {
                    let (spec, columns) = load_spec(sqlite, ordinal, id, name, row.get(3)?)?;
                    let table = describe(sqlite, &spec, ordinal, row.get(4)?, columns)?;
                    let floor = row.get::<_, i64>(5)?.cast_unsigned();
                    Entry::Live(Arc::new(Table { floor, ..table }))
                }
            };
            registry.entries.insert(id, entry);
        }
        registry.reindex();
        Ok(registry)
    }

    fn reindex(&mut self) {
        let live = self.entries.values().filter_map(|entry| match entry {
            Entry::Live(table) => Some(Arc::clone(table)),
            Entry::Dropped => None,
        });
        self.live = live.collect();
        self.live.sort_by_key(|table| table.ordinal);
        let names = self
            .live
            .iter()
            .enumerate()
            .map(|(index, table)| (table.name.clone().into_bytes(), index));
        self.by_name = names.collect();
    }

    /// The ordinal of the next new site.
    fn next_site(&self) -> u32 {
        u32::try_from(self.sites.len()).unwrap_or(u32::MAX)
    }

    fn push_site(&mut self, site: SiteId) {
        self.ordinals.insert(site, self.next_site());
        self.sites.push(site);
    }

    /// What is known of `table`.
    pub(super) fn entry(&self, table: TableId) -> Option<&Entry> {
        self.entries.get(&table)
    }

    /// The live tables.
    pub(super) fn tables(&self) -> &[Arc<Table>] {
        &self.live
    }

    /// The place among [`Self::tables`] of the table with that SQLite name.
    pub(super) fn index_of(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The live table with that ordinal.
    pub(super) fn by_ordinal(&self, ordinal: u32) -> Option<&Arc<Table>> {
        let index = self.live.binary_search_by_key(&ordinal, |table| table.ordinal).ok()?;
        self.live.get(index)
    }

    /// The site of an ordinal. An ordinal that was never given out reads as the own site.
    pub(super) fn site(&self, ordinal: u32) -> SiteId {
        self.sites.get(ordinal as usize).or(self.sites.first()).copied().unwrap_or(SiteId([0; 16]))
    }

    /// All known sites, by ordinal.
    pub(super) fn sites(&self) -> &[SiteId] {
        &self.sites
    }

    /// Whether a site has that ordinal.
    pub(super) fn has_ordinal(&self, ordinal: u32) -> bool {
        (ordinal as usize) < self.sites.len()
    }

    /// The ordinal of a known site.
    pub(super) fn ordinal(&self, site: SiteId) -> Option<u32> {
        self.ordinals.get(&site).copied()
    }

    /// The ordinal of `site`, given to it now if it is new.
    pub(super) fn add_site(&mut self, sqlite: &Connection, site: SiteId) -> Result<u32> {
        if let Some(ordinal) = self.ordinal(site) {
            return Ok(ordinal);
        }
        let ordinal = self.next_site();
        let mut insert =
            sqlite.prepare_cached("INSERT INTO trellis_sites (ordinal, site) VALUES (?1, ?2)")?;
        insert.execute(params![ordinal, site.0])?;
        self.push_site(site);
        Ok(ordinal)
    }

    /// Registers `spec`, or brings the table's registration up to it. Returns the table and whether it is new.
    pub(super) fn register(
        &mut self,
        sqlite: &Connection,
        spec: &TableSpec,
    ) -> Result<(Arc<Table>, bool)> {
        let known = match self.entries.get(&spec.id) {
            Some(Entry::Live(table)) => Some(Arc::clone(table)),
            Some(Entry::Dropped) => {
                return Err(unsupported(spec, "its identity belongs to a dropped table"));
            }
            None => None,
        };
        let is_new = known.is_none();
        let (ordinal, rows, columns) = match &known {
            Some(table) => (table.ordinal, table.rows_per_block, table.ordinals.clone()),
            None => {
                let rows = rows_per_block(spec.columns.len());
                (self.next_ordinal.max(1), rows, ColumnOrdinals::new())
            }
        };
        let named = spec.key.iter().chain(spec.columns.iter().map(|(id, _)| id));
        let columns = number_columns(&spec.name, named, columns)?;
        let floor = known.as_ref().map_or(0, |known| known.floor);
        let table = Table { floor, ..describe(sqlite, spec, ordinal, rows, columns)? };
        if known.is_some_and(|known| known.identity != table.identity || !same_key(&known, &table))
        {
            return Err(unsupported(spec, "its primary key cannot change"));
        }
        if is_new {
            create_clock_tables(sqlite, &table)?;
        } else {
            // Its indexes may be others.
            hidden::release_all(sqlite, &table)?;
        }
        save(sqlite, &table)?;
        self.next_ordinal = self.next_ordinal.max(ordinal + 1);
        let table = Arc::new(table);
        self.entries.insert(spec.id, Entry::Live(Arc::clone(&table)));
        self.reindex();
        Ok((table, is_new))
    }

    /// Makes these columns known as gone, as far as they are not known at all: changes of them are moot.
    pub(super) fn retire_columns(
        &mut self,
        sqlite: &Connection,
        id: TableId,
        columns: &[ColumnId],
    ) -> Result<()> {
        let Some(Entry::Live(table)) = self.entries.get(&id) else { return Ok(()) };
        if columns.iter().all(|column| table.ordinals.contains_key(column)) {
            return Ok(());
        }
        let mut table = table.as_ref().clone();
        table.ordinals = number_columns(&table.name, columns.iter(), table.ordinals)?;
        save(sqlite, &table)?;
        self.entries.insert(id, Entry::Live(Arc::new(table)));
        self.reindex();
        Ok(())
    }

    /// Raises a table's floor; returns whether it was lower.
    pub(super) fn raise_floor(
        &mut self,
        sqlite: &Connection,
        id: TableId,
        floor: u64,
    ) -> Result<bool> {
        let Some(Entry::Live(table)) = self.entries.get(&id) else { return Ok(false) };
        if table.floor >= floor {
            return Ok(false);
        }
        let table = Table { floor, ..table.as_ref().clone() };
        sqlite
            .prepare_cached("UPDATE trellis_registered_tables SET floor = ?2 WHERE ordinal = ?1")?
            .execute(params![table.ordinal, floor.cast_signed()])?;
        self.entries.insert(id, Entry::Live(Arc::new(table)));
        self.reindex();
        Ok(true)
    }

    /// Forgets a table and its clocks; its identity is remembered so that late changes to it are known to be moot.
    pub(super) fn unregister(&mut self, sqlite: &Connection, id: TableId) -> Result<()> {
        let ordinal = match self.entries.get(&id) {
            Some(Entry::Dropped) => return Ok(()),
            Some(Entry::Live(table)) => {
                let ordinal = table.ordinal;
                sqlite.execute_batch(&format!(
                    "DROP TABLE trellis_clock_{ordinal}; DROP TABLE IF EXISTS trellis_dead_{ordinal};
                     DELETE FROM trellis_hidden WHERE table_ordinal = {ordinal};
                     DELETE FROM trellis_registered_columns WHERE table_ordinal = {ordinal};"
                ))?;
                ordinal
            }
            None => self.next_ordinal.max(1),
        };
        sqlite.execute(
            "INSERT INTO trellis_registered_tables VALUES (?1, ?2, NULL, 0, 1, 0)
             ON CONFLICT (ordinal) DO UPDATE SET name = NULL",
            params![ordinal, id.0.cast_signed()],
        )?;
        self.next_ordinal = self.next_ordinal.max(ordinal + 1);
        self.entries.insert(id, Entry::Dropped);
        self.reindex();
        Ok(())
    }
}

/// Gives ordinals to the columns that have none yet.
fn number_columns<'c>(
    table: &str,
    columns: impl Iterator<Item = &'c ColumnId>,
    mut ordinals: ColumnOrdinals,
) -> Result<ColumnOrdinals> {
    let mut next = ordinals.values().max().map_or(0, |last| last + 1);
    for id in columns {
        ordinals.entry(*id).or_insert_with(|| {
            next += 1;
            next - 1
        });
    }
    if next > COLUMNS_MAX {
        let reason = format!("it has had more than {COLUMNS_MAX} columns");
        return Err(StoreError::Unsupported { name: table.to_owned(), reason });
    }
    Ok(ordinals)
}

fn same_key(left: &Table, right: &Table) -> bool {
    left.key.iter().map(|column| column.id).eq(right.key.iter().map(|column| column.id))
}

fn unsupported(spec: &TableSpec, reason: impl Into<String>) -> StoreError {
    StoreError::Unsupported { name: spec.name.clone(), reason: reason.into() }
}

fn create_clock_tables(sqlite: &Connection, table: &Table) -> Result<()> {
    let ordinal = table.ordinal;
    sqlite.execute_batch(&match table.identity {
        RowIdentity::WithoutRowid => format!(
            "CREATE TABLE trellis_clock_{ordinal} (block BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID"
        ),
        RowIdentity::IntegerKey => format!(
            "CREATE TABLE trellis_clock_{ordinal} (block INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT"
        ),
        RowIdentity::HiddenRowid(_) => format!(
            "CREATE TABLE trellis_clock_{ordinal} (block INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
             CREATE TABLE trellis_dead_{ordinal} (pk BLOB PRIMARY KEY, causal_length INTEGER NOT NULL,
                 origin INTEGER NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID"
        ),
    })?;
    Ok(())
}

/// Writes a table's registration.
fn save(sqlite: &Connection, table: &Table) -> Result<()> {
    sqlite.execute(
        "INSERT INTO trellis_registered_tables VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (ordinal) DO UPDATE SET name = excluded.name, system = excluded.system,
             floor = excluded.floor",
        params![
            table.ordinal,
            table.id.0.cast_signed(),
            table.name,
            table.system,
            table.rows_per_block,
            table.floor.cast_signed(),
        ],
    )?;
    sqlite.execute(
        "DELETE FROM trellis_registered_columns WHERE table_ordinal = ?1",
        [table.ordinal],
    )?;
    let mut insert = sqlite
        .prepare_cached("INSERT INTO trellis_registered_columns VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (id, ordinal) in &table.ordinals {
        let place = (0u32..).zip(&table.key).find(|(_, column)| column.id == *id);
        let column = place.map(|(_, column)| column).or_else(|| table.cell(*ordinal));
        let (name, place) = (column.map(|column| &column.name), place.map(|(place, _)| place));
        insert.execute(params![table.ordinal, id.0, ordinal, name, place])?;
    }
    Ok(())
}

fn load_spec(
    sqlite: &Connection,
    ordinal: u32,
    id: TableId,
    name: String,
    system: bool,
) -> Result<(TableSpec, ColumnOrdinals)> {
    let mut columns = Vec::new();
    let mut key = Vec::new();
    let mut ordinals = ColumnOrdinals::new();
    let mut statement = sqlite.prepare_cached(
        "SELECT id, name, key_place, ordinal FROM trellis_registered_columns WHERE table_ordinal = ?1",
    )?;
    let mut rows = statement.query([ordinal])?;
    while let Some(row) = rows.next()? {
        let column = ColumnId(row.get(0)?);
        if let Some(name) = row.get::<_, Option<String>>(1)? {
            columns.push((column, name));
        }
        ordinals.insert(column, row.get(3)?);
        if let Some(place) = row.get::<_, Option<u32>>(2)? {
            key.push((place, column));
        }
    }
    key.sort_unstable();
    let key = key.into_iter().map(|(_, column)| column).collect();
    Ok((TableSpec { id, name, columns, key, system }, ordinals))
}

/// Reads from SQLite what the specification does not say.
fn describe(
    sqlite: &Connection,
    spec: &TableSpec,
    ordinal: u32,
    rows_per_block: u32,
    ordinals: ColumnOrdinals,
) -> Result<Table> {
    let listed: Option<(String, bool, bool)> = sqlite
        .prepare_cached("SELECT name, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main' AND type = 'table'")?
        .query_row([&spec.name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (name, without_rowid, strict) =
        listed.ok_or_else(|| unsupported(spec, "there is no such table"))?;
    let physical = physical_columns(sqlite, &name)?;
    if spec.key.is_empty() || spec.key.len() > KEY_COLUMNS_MAX {
        return Err(unsupported(spec, format!("a primary key has 1 to {KEY_COLUMNS_MAX} columns")));
    }
    let find = |id: &ColumnId, name: &str| {
        let column = physical.iter().find(|column| column.name == name).cloned();
        column
            .zip(ordinals.get(id))
            .map(|(column, ordinal)| Column { id: *id, ordinal: *ordinal, ..column })
            .ok_or_else(|| unsupported(spec, format!("no column {name}")))
    };
    let in_key = |id: &ColumnId| {
        let column = spec.columns.iter().find(|(column, _)| column == id);
        column.map_or_else(
            || Err(unsupported(spec, "unknown key column")),
            |(id, name)| find(id, name),
        )
    };
    let key = spec.key.iter().map(in_key).collect::<Result<Vec<_>>>()?;
    let others = spec.columns.iter().filter(|(id, _)| !spec.key.contains(id));
    let mut cells = others.map(|(id, name)| find(id, name)).collect::<Result<Vec<_>>>()?;
    cells.sort_by_key(|cell| cell.ordinal);
    if cells.windows(2).any(|pair| matches!(pair, [left, right] if left.id == right.id)) {
        return Err(unsupported(spec, "two columns have one identity"));
    }
    let identity = if without_rowid {
        RowIdentity::WithoutRowid
    } else if is_rowid_alias(sqlite, &name, &key)? {
        RowIdentity::IntegerKey
    } else {
        let free = ["rowid", "_rowid_", "oid"].into_iter();
        let taken =
            |rowid: &str| physical.iter().any(|column| column.name.eq_ignore_ascii_case(rowid));
        let rowid = free.into_iter().find(|rowid| !taken(rowid));
        RowIdentity::HiddenRowid(rowid.ok_or_else(|| unsupported(spec, "columns hide the rowid"))?)
    };
    let (id, system, sql) = (spec.id, spec.system, TableSql::default());
    let mut table = Table {
        ordinal,
        id,
        name,
        system,
        strict,
        identity,
        rows_per_block,
        key,
        cells,
        ordinals,
        floor: 0,
        sql,
        no_hidden: Arc::default(),
        no_dead: Arc::default(),
    };
    table.build_sql();
    Ok(table)
}

/// The stored columns of a SQLite table; identities are still to be filled in.
fn physical_columns(sqlite: &Connection, name: &str) -> Result<Vec<Column>> {
    const VIRTUAL: i32 = 2;
    let mut statement = sqlite.prepare_cached(
        "SELECT name, \"notnull\", dflt_value, upper(type), hidden, cid FROM pragma_table_xinfo(?1)",
    )?;
    let mut rows = statement.query([name])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, i32>(4)? == VIRTUAL {
            continue;
        }
        let (default, declared): (Option<String>, String) = (row.get(2)?, row.get(3)?);
        columns.push(Column {
            id: ColumnId(0),
            ordinal: 0,
            name: row.get(0)?,
            storage: row.get(5)?,
            not_null: row.get(1)?,
            fallback: fallback(sqlite, &declared, default.as_deref()),
            real: has_real_affinity(&declared),
            default,
            declared,
        });
    }
    Ok(columns)
}

/// SQLite's rule (`datatype3.html` §3.1), for a type in upper case.
fn has_real_affinity(declared: &str) -> bool {
    let names = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    names(&["REAL", "FLOA", "DOUB"]) && !names(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"])
}

/// Whether the key is another name of the rowid. An `INTEGER PRIMARY KEY DESC` looks like one and is not; it has an index.
fn is_rowid_alias(sqlite: &Connection, name: &str, key: &[Column]) -> Result<bool> {
    let [column] = key else {
        return Ok(false);
    };
    let declared: HashSet<String> = sqlite
        .prepare_cached("SELECT name FROM pragma_table_info(?1) WHERE pk > 0")?
        .query_map([name], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let indexed = sqlite
        .prepare_cached("SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk'")?
        .exists([name])?;
    Ok(column.declared == "INTEGER"
        && declared.len() == 1
        && declared.contains(&column.name)
        && !indexed)
}
