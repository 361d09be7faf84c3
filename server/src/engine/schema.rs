//! The schema in the file: reading its rows, changing them, and keeping SQLite's tables in line, for local DDL and for rows
//! that arrive from peers alike.
//!
//! What the rows say may not fit the rows of the user's tables: a column cannot have its values in a new form, a unique index
//! forbids rows that are there. A statement is then refused. Rows of the schema that arrive from peers are not, whatever they
//! say: see [`RemoteSchema`].
//!
//! `trellis_schema` is replicated. `trellis_materialized` is this file's own copy of the rows that its tables were last
//! brought in line with, so that the difference is known inside any transaction, whoever changed the rows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use trellis_replication::store::{SchemaHook, StoreConnection, StoreError, TableSpec};
use trellis_replication::types::{ColumnId, TableId};
use trellis_sqlcompat::catalog::{CatalogImage, ImageOptions};
use trellis_sqlcompat::functions::{self, SessionContext};
use trellis_sqlcompat::schema::{
    Catalog, Conversion, ObjectId, ObjectKind, SchemaRow, StoreTable, TableStep, UniqueIndex,
    materialize,
};
use trellis_sqlcompat::{SqlError, SqlState};

/// Identity of the table `trellis_schema` on every node.
pub(super) const SCHEMA_TABLE_ID: TableId = TableId(1);

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS trellis_schema (
        id INTEGER PRIMARY KEY NOT NULL, kind TEXT NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
        definition TEXT NOT NULL, dropped INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_materialized (
        id INTEGER PRIMARY KEY NOT NULL, kind TEXT NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
        definition TEXT NOT NULL, dropped INTEGER NOT NULL) STRICT;";

/// One state of the schema.
pub(super) struct Schema {
    /// The state's number: SQLite's `user_version`, and for the uncommitted states of one session numbers above 2^32.
    pub(super) epoch: u64,
    /// The objects.
    pub(super) catalog: Arc<Catalog>,
    image: OnceLock<Arc<CatalogImage>>,
    /// For a session's own state: the file's number that it builds on.
    base_epoch: OnceLock<u64>,
}

impl Schema {
    pub(super) fn new(epoch: u64, catalog: Arc<Catalog>) -> Self {
        Self { epoch, catalog, image: OnceLock::new(), base_epoch: OnceLock::new() }
    }

    /// Says which state of the file a session's own state builds on; once.
    pub(super) fn set_base_epoch(&self, epoch: u64) {
        self.base_epoch.get_or_init(|| epoch);
    }

    /// The number of the file's state that this one is, or builds on.
    pub(super) fn base_epoch(&self) -> u64 {
        self.base_epoch.get().copied().unwrap_or(self.epoch)
    }

    /// The system catalogs of this state, built at the first call.
    pub(super) fn image(&self, options: &ImageOptions) -> rusqlite::Result<Arc<CatalogImage>> {
        if let Some(image) = self.image.get() {
            return Ok(Arc::clone(image));
        }
        let image = CatalogImage::build(&self.catalog, options)?;
        Ok(Arc::clone(self.image.get_or_init(|| image)))
    }
}

/// Creates the schema's own tables. Inside a write.
pub(super) fn create(connection: &mut StoreConnection) -> Result<(), StoreError> {
    connection.sqlite().execute_batch(CREATE)?;
    let names = ["id", "kind", "parent", "name", "definition", "dropped"];
    let columns = (0_u32..).zip(names).map(|(id, name)| (ColumnId(id), name.to_owned()));
    connection.register_table(&TableSpec {
        id: SCHEMA_TABLE_ID,
        name: "trellis_schema".to_owned(),
        columns: columns.collect(),
        key: vec![ColumnId(0)],
        system: true,
    })
}

/// Reads the schema as the connection sees it.
pub(super) fn load(sqlite: &Connection) -> rusqlite::Result<Schema> {
    let rows = read_rows(sqlite, "trellis_schema")?;
    Ok(Schema::new(epoch(sqlite)?, Arc::new(Catalog::from_rows(rows))))
}

/// The number of the schema's state as the connection sees it.
pub(super) fn epoch(sqlite: &Connection) -> rusqlite::Result<u64> {
    let version: i64 =
        sqlite.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(version).unwrap_or(0))
}

/// The schema's rows as one of its two tables has them.
pub(super) fn read_rows(sqlite: &Connection, table: &str) -> rusqlite::Result<Vec<SchemaRow>> {
    let sql = format!("SELECT id, kind, parent, name, definition, dropped FROM {table}");
    let mut statement = sqlite.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(1)?;
        // A kind that a newer node has introduced is kept in the table and left alone here.
        let Some(kind) = ObjectKind::parse(&kind) else { continue };
        read.push(SchemaRow {
            id: ObjectId(row.get(0)?),
            kind,
            parent: ObjectId(row.get(2)?),
            name: row.get(3)?,
            definition: row.get(4)?,
            dropped: row.get(5)?,
        });
    }
    Ok(read)
}

/// Writes changed rows.
pub(super) fn upsert(sqlite: &Connection, rows: &[SchemaRow]) -> rusqlite::Result<()> {
    let mut statement = sqlite.prepare_cached(
        "INSERT INTO trellis_schema (id, kind, parent, name, definition, dropped) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, \
         parent = excluded.parent, name = excluded.name, definition = excluded.definition, \
         dropped = excluded.dropped",
    )?;
    for row in rows {
        statement.execute(rusqlite::params![
            row.id.0,
            row.kind.as_str(),
            row.parent.0,
            row.name,
            row.definition,
            row.dropped,
        ])?;
    }
    Ok(())
}

/// Whose schema change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// A statement's here: what does not fit is refused.
    Statement,
    /// Another node's: what does not fit is made to.
    Peer,
}

/// What [`bring_in_line`] has made of the schema, and what is left to be done for it with the store.
pub(super) struct InLine {
    /// The objects as they are.
    pub(super) catalog: Catalog,
    /// What cannot be carried out any more, though it could before.
    refused: Option<SqlError>,
    /// Tables to be registered, or registered anew, and their columns that are gone.
    pub(super) registered: Vec<(TableSpec, Vec<ColumnId>)>,
    /// Tables that are gone.
    pub(super) unregistered: Vec<TableId>,
    /// Columns whose value in rows from before them is another then, if a peer said so.
    reset: Vec<(TableId, ColumnId)>,
    /// Unique indexes to be made then, if a peer said so.
    unique_indexes: Vec<UniqueIndex>,
}

impl InLine {
    /// The first reason for which a statement must not leave the schema like this.
    pub(super) fn refused(&self) -> Result<(), SqlError> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Registers the tables and makes unique indexes, hiding the rows that they forbid.
    fn finish(self, connection: &mut StoreConnection) -> Result<(), StoreError> {
        for (spec, gone) in &self.registered {
            connection.register_table(spec)?;
            connection.retire_columns(spec.id, gone)?;
        }
        for table in self.unregistered {
            connection.unregister_table(table)?;
        }
        for (table, column) in self.reset {
            connection.reset_unwritten(table, column)?;
        }
        for index in &self.unique_indexes {
            match connection.sqlite().execute_batch(&index.sql) {
                Err(error) if is_constraint(&error) => {
                    let condition = index.predicate.as_deref();
                    connection.hide_duplicates(TableId(index.table), &index.keys, condition)?;
                    connection.sqlite().execute_batch(&index.sql)?;
                }
                made => made?,
            }
        }
        Ok(())
    }
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

/// Brings SQLite's tables in line with `trellis_schema`, as far as it goes without the store: the caller has to do what the
/// answer says. Inside a write.
pub(super) fn bring_in_line(sqlite: &Connection, author: Author) -> Result<InLine, SqlError> {
    let storage = |error: rusqlite::Error| internal(&error);
    let old = Catalog::from_rows(read_rows(sqlite, "trellis_materialized").map_err(storage)?);
    let new = Catalog::from_rows(read_rows(sqlite, "trellis_schema").map_err(storage)?);
    let mut unique_indexes = Vec::new();
    for step in materialize(&old, &new)? {
        let done = match (&step, author) {
            (TableStep::UniqueIndex(index), Author::Peer) => {
                unique_indexes.push(index.clone());
                Ok(())
            }
            (TableStep::Convert(conversion), Author::Peer) => convert(sqlite, conversion),
            (_, Author::Peer | Author::Statement) => sqlite.execute_batch(&step.sql()),
        };
        done.map_err(|error| {
            tracing::error!(%error, ?step, "a table could not be brought in line");
            internal(&error)
        })?;
    }
    let refused = new.unusable.iter().find(|(id, _)| !old.unusable.contains_key(id));
    let refused = refused.map(|(_, it)| it.reason.clone());
    let (before, after) = (old.store_tables(), new.store_tables());
    // A column whose stored form changed has moved within the rows, though its name and identity are as before.
    let by_id = |catalog: &Catalog, id: u64| {
        catalog.tables.values().find(|table| table.id.0.cast_unsigned() == id).cloned()
    };
    let differs = |table: &&StoreTable| {
        !before.contains(*table) || by_id(&old, table.id) != by_id(&new, table.id)
    };
    let spec = |table: &StoreTable| TableSpec {
        id: TableId(table.id),
        name: table.physical_name.clone(),
        columns: table.columns.iter().map(|(id, name)| (ColumnId(*id), name.clone())).collect(),
        key: table.key.iter().map(|id| ColumnId(*id)).collect(),
        system: false,
    };
    let gone = |table: &StoreTable| table.gone.iter().map(|id| ColumnId(*id)).collect();
    let registered = after.iter().filter(differs).map(|table| (spec(table), gone(table))).collect();
    let reset = match author {
        Author::Peer => reset_columns(&old, &new),
        Author::Statement => Vec::new(),
    };
    let known = old.gone_tables();
    let unregistered = new.gone_tables().into_iter().filter(|table| !known.contains(table));
    let unregistered = unregistered.map(TableId).collect();
    let next = epoch(sqlite).map_err(storage)? + 1;
    sqlite
        .execute_batch(&format!(
            "INSERT OR REPLACE INTO trellis_materialized \
             SELECT * FROM trellis_schema EXCEPT SELECT * FROM trellis_materialized; \
             PRAGMA user_version = {next}"
        ))
        .map_err(storage)?;
    Ok(InLine { catalog: new, refused, registered, unregistered, reset, unique_indexes })
}

/// Columns whose value in rows from before them has changed, other than by the USING of a change of type.
fn reset_columns(old: &Catalog, new: &Catalog) -> Vec<(TableId, ColumnId)> {
    let mut reset = Vec::new();
    for table in new.tables.values() {
        let Some(before) = old.tables.values().find(|it| it.id == table.id) else { continue };
        for column in &table.columns {
            let Some(before) = before.columns.iter().find(|it| it.id == column.id) else {
                continue;
            };
            let by_using = column.using != before.using
                && column.using.as_ref().is_some_and(|using| !using.text.is_empty());
            if before.missing != column.missing && !by_using {
                reset.push((TableId(table.id.0.cast_unsigned()), ColumnId(column.store_id())));
            }
        }
    }
    reset
}

/// Fills a column of a new form, row by row if some value has none.
fn convert(sqlite: &Connection, conversion: &Conversion) -> rusqlite::Result<()> {
    let Conversion { table, column, value, fallback } = conversion;
    sqlite.execute_batch("SAVEPOINT conversion")?;
    let converted = sqlite.execute(&format!("UPDATE {table} SET {column} = {value}"), []);
    if converted.is_err() {
        sqlite.execute_batch("ROLLBACK TO conversion")?;
        let mut select = sqlite.prepare(&format!("SELECT rowid FROM {table}"))?;
        let rowids = select.query_map([], |row| row.get::<_, i64>(0))?;
        let rowids = rowids.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut update =
            sqlite.prepare(&format!("UPDATE {table} SET {column} = {value} WHERE rowid = ?1"))?;
        let mut replace = sqlite
            .prepare(&format!("UPDATE {table} SET {column} = {fallback} WHERE rowid = ?1"))?;
        for rowid in rowids {
            if update.execute([rowid]).is_err() {
                replace.execute([rowid])?;
            }
        }
    }
    sqlite.execute_batch("RELEASE conversion")
}

/// Whether the tables are what the schema says. Its rows are never deleted, so none can be missing from it.
fn is_in_line(sqlite: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT * FROM trellis_schema EXCEPT SELECT * FROM trellis_materialized)";
    sqlite.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

pub(super) fn internal(error: &dyn std::fmt::Display) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, format!("storage: {error}"))
}

/// Brings tables in line while remote changes are applied, and keeps the applying connection's functions at the schema
/// that it sees.
///
/// It does not fail because of what the schema says: what cannot be carried out is left out ([`Catalog::unusable`]), values
/// without a form of a new type are replaced by its zero or default, and of rows that a new unique index does not allow
/// together all but one are hidden.
pub(super) struct RemoteSchema {
    /// What expressions of the schema are evaluated in when remote rows are written.
    context: SessionContext,
    /// The state that the context shows.
    shown: AtomicU64,
}

impl RemoteSchema {
    /// A hook for connections whose functions are registered with `context`.
    pub(super) fn new(context: SessionContext) -> Self {
        Self { context, shown: AtomicU64::new(u64::MAX) }
    }

    fn show(&self, sqlite: &Connection, epoch: u64, catalog: Arc<Catalog>) -> rusqlite::Result<()> {
        functions::register_enums(sqlite, None, &catalog)?;
        self.context.update(|state| state.catalog = catalog);
        self.shown.store(epoch, Ordering::Relaxed);
        Ok(())
    }

    /// Shows the schema as the connection sees it.
    fn catch_up(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        if epoch(sqlite)? == self.shown.load(Ordering::Relaxed) {
            return Ok(());
        }
        let schema = load(sqlite)?;
        self.show(sqlite, schema.epoch, schema.catalog)
    }
}

impl SchemaHook for RemoteSchema {
    fn before_apply(&self, sqlite: &Connection) -> Result<(), String> {
        self.catch_up(sqlite).map_err(|error| error.to_string())
    }

    fn system_rows_changed(&self, connection: &mut StoreConnection) -> Result<(), String> {
        // The claim of a sequence's slot is a system row as well, and must not make every plan anew.
        if is_in_line(connection.sqlite()).map_err(|error| error.to_string())? {
            return Ok(());
        }
        let in_line = bring_in_line(connection.sqlite(), Author::Peer);
        let in_line = in_line.map_err(|error| error.to_string())?;
        if let Some(reason) = &in_line.refused {
            tracing::warn!(%reason, "a part of the schema cannot be carried out with the rest of it");
        }
        let catalog = in_line.catalog.clone();
        let shown = epoch(connection.sqlite())
            .and_then(|epoch| self.show(connection.sqlite(), epoch, Arc::new(catalog)));
        shown.map_err(|error| error.to_string())?;
        in_line.finish(connection).map_err(|error| error.to_string())
    }
}
