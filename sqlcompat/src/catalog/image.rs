//! The catalog image: an SQLite database in memory that holds the system catalogs for one state of the schema.
//!
//! An image is a function of [`Catalog`] and [`ImageOptions`] and never changes. It is built in two steps: the built-in rows
//! are loaded once per process into a template, and each image is a page copy of the template to which the rows of the
//! user's objects are added. Connections of the process share it through SQLite's `memdb` file system, so that attaching
//! it costs no copy.
//!
//! # Attaching
//!
//! [`Attachment::attach`] makes an image the database `pg_catalog` of a connection; called again with a newer image it
//! replaces the older one. SQLite lets go of an attached database that was read only when the transaction ends, so inside
//! a transaction a replacement is not possible. Therefore a connection that is inside a transaction gets a copy of its own,
//! whose user rows are rewritten in place when the transaction changes the schema. That rewriting is part of the
//! transaction: `ROLLBACK` and `ROLLBACK TO` take the catalog back with the tables.
//!
//! # Invariants
//!
//! 1. A shared image is never written to once built; only a connection's own copy is.
//! 2. In every table the built-in rows come first by rowid, up to the table's boundary, and the user's follow.
//! 3. `trellis_image` in a copy says which image its user rows are from.
//!
//! # Bounds
//!
//! A process holds the template (about 3 MB), the images that somebody still holds, and one copy for each connection that
//! read the catalog inside a transaction and has not called [`Attachment::detach`] since.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::backup::Backup;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::form::{Form, Procedures, function_defaults};
use super::layout::{self, Relation, quote};
use super::tsv::{FILES, Table};
use super::{user_rows, views};
use crate::datum::Datum;
use crate::oid::Oid;
use crate::schema::Catalog;

/// Name under which connections have the image attached.
pub const DATABASE: &str = "pg_catalog";

/// What an image shows besides the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// Name of the served database.
    pub database: String,
    /// Name of the bootstrap superuser, OID 10, who owns everything.
    pub owner: String,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self { database: "postgres".to_owned(), owner: "postgres".to_owned() }
    }
}

/// An immutable image of the system catalogs.
#[derive(Debug)]
pub struct CatalogImage {
    /// Distinguishes images of the process.
    generation: u64,
    /// Keeps the shared database alive, and reads it.
    keeper: Mutex<Connection>,
}

/// The built-in rows, loaded.
struct Template {
    keeper: Mutex<Connection>,
    relations: BTreeMap<String, Relation>,
    /// Highest rowid of a built-in row, by table; tables without an entry have none.
    boundaries: BTreeMap<String, i64>,
}

fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that no other database of the process has.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn shared_name(generation: u64) -> String {
    format!("/trellis-catalog-{generation}")
}

fn copy_name(number: u64) -> String {
    format!("/trellis-catalog-copy-{number}")
}

fn open(name: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(format!("file:{name}?vfs=memdb"))?;
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")?;
    Ok(connection)
}

fn copy_pages(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    Backup::new(from, to)?.step(-1).map(|_| ())
}

impl CatalogImage {
    /// Builds the image of `catalog`.
    ///
    /// # Errors
    /// What SQLite reports; no memory, in practice.
    pub fn build(catalog: &Catalog, options: &ImageOptions) -> rusqlite::Result<Arc<Self>> {
        let template = Template::get()?;
        let generation = next_number();
        let mut connection = open(&shared_name(generation))?;
        copy_pages(&locked(&template.keeper), &mut connection)?;
        let transaction = connection.transaction()?;
        set_owner(&transaction, &options.owner)?;
        user_rows::insert(&transaction, catalog, options)?;
        transaction
            .execute("INSERT INTO trellis_image VALUES (?1)", params![signed(generation)])?;
        transaction.commit()?;
        Ok(Arc::new(Self { generation, keeper: Mutex::new(connection) }))
    }

    /// Brings the user rows of the connection's own copy up to this image.
    fn refresh_copy(&self, connection: &Connection) -> rusqlite::Result<()> {
        let present: Option<i64> = connection
            .query_row("SELECT generation FROM pg_catalog.trellis_image", [], |row| row.get(0))
            .optional()?;
        if present == Some(signed(self.generation)) {
            return Ok(());
        }
        connection.execute_batch("SAVEPOINT trellis_catalog_refresh")?;
        let refreshed = self.rewrite_copy(connection);
        if refreshed.is_err() {
            connection.execute_batch("ROLLBACK TO trellis_catalog_refresh")?;
        }
        connection.execute_batch("RELEASE trellis_catalog_refresh")?;
        refreshed
    }

    fn rewrite_copy(&self, connection: &Connection) -> rusqlite::Result<()> {
        let template = Template::get()?;
        let image = locked(&self.keeper);
        for relation in template.relations.values().filter(|it| !it.is_view) {
            let boundary = template.boundaries.get(&relation.table).copied().unwrap_or(0);
            rewrite_table(&image, connection, relation, boundary)?;
        }
        connection.execute("DELETE FROM pg_catalog.trellis_image", [])?;
        connection.execute(
            "INSERT INTO pg_catalog.trellis_image VALUES (?1)",
            params![signed(self.generation)],
        )?;
        Ok(())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Replaces the rows of one table beyond `boundary` by those that `image` has.
fn rewrite_table(
    image: &Connection,
    connection: &Connection,
    relation: &Relation,
    boundary: i64,
) -> rusqlite::Result<()> {
    let table = quote(&relation.table);
    connection
        .prepare_cached(&format!("DELETE FROM pg_catalog.{table} WHERE rowid > ?1"))?
        .execute([boundary])?;
    let select =
        format!("SELECT {} FROM {table} WHERE rowid > ?1 ORDER BY rowid", relation.column_list());
    let mut rows_of = image.prepare_cached(&select)?;
    let mut rows = rows_of.query([boundary])?;
    let mut insert = None;
    while let Some(row) = rows.next()? {
        if insert.is_none() {
            insert = Some(connection.prepare(&relation.insert("pg_catalog.", &relation.table))?);
        }
        let Some(statement) = insert.as_mut() else { continue };
        for position in 0..relation.columns.len() {
            let value = ToSqlOutput::Borrowed(row.get_ref(position)?);
            statement.raw_bind_parameter(position + 1, value)?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}

/// What one connection has attached as `pg_catalog`. It lives and dies with the connection.
#[derive(Debug, Default)]
pub struct Attachment(Attached);

#[derive(Debug, Default, PartialEq, Eq)]
enum Attached {
    /// Nothing.
    #[default]
    Nothing,
    /// The image of this generation, shared with other connections.
    Shared(u64),
    /// A copy of the connection's own; which image it shows is written in it.
    Copy,
}

impl Attachment {
    /// Makes `image` the database `pg_catalog` of `connection`, in place of any other. The connection must have been opened
    /// with URI file names enabled, and must not be `query_only`.
    ///
    /// Costs next to nothing if it already is. Inside a transaction nothing happens that `ROLLBACK` does not undo or the
    /// next call does not recognise.
    ///
    /// # Errors
    /// What SQLite reports. An unfinished statement that reads the catalog makes replacement fail.
    pub fn attach(
        &mut self,
        connection: &Connection,
        image: &CatalogImage,
    ) -> rusqlite::Result<()> {
        match self.0 {
            Attached::Copy => return image.refresh_copy(connection),
            Attached::Shared(generation)
                if generation == image.generation && connection.is_autocommit() =>
            {
                return Ok(());
            }
            // A read that began before this transaction did may still hold the very image that is wanted.
            Attached::Shared(generation) if generation == image.generation => {
                if self.detach(connection).is_err() {
                    return Ok(());
                }
            }
            Attached::Shared(_) | Attached::Nothing => self.detach(connection)?,
        }
        if connection.is_autocommit() {
            attach_name(connection, &shared_name(image.generation))?;
            self.0 = Attached::Shared(image.generation);
            return Ok(());
        }
        let name = copy_name(next_number());
        let mut copy = open(&name)?;
        copy_pages(&locked(&image.keeper), &mut copy)?;
        attach_name(connection, &name)?;
        self.0 = Attached::Copy;
        Ok(())
    }

    /// Takes a shared image off `connection`, which is about to begin a write transaction: `BEGIN IMMEDIATE` opens a
    /// transaction on every attached database, so that the image could not be replaced before its end. A copy stays, as
    /// it can be rewritten in place.
    ///
    /// # Errors
    /// What SQLite reports: a transaction or an unfinished statement that has read it still holds it.
    pub fn release_shared(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        match self.0 {
            Attached::Shared(_) => self.detach(connection),
            Attached::Copy | Attached::Nothing => Ok(()),
        }
    }

    /// Takes the image off `connection`, which sets free what a copy of its own holds.
    ///
    /// # Errors
    /// What SQLite reports: a transaction or an unfinished statement that has read it still holds it.
    pub fn detach(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.0 != Attached::Nothing {
            connection.execute_batch("DETACH DATABASE pg_catalog")?;
            self.0 = Attached::Nothing;
        }
        Ok(())
    }
}

fn attach_name(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("ATTACH DATABASE ?1 AS pg_catalog", [format!("file:{name}?vfs=memdb")])?;
    Ok(())
}

/// Renames the bootstrap superuser, in its own row and in the access privileges that name it.
fn set_owner(connection: &Connection, owner: &str) -> rusqlite::Result<()> {
    if owner == "postgres" {
        return Ok(());
    }
    connection.execute("UPDATE pg_authid SET rolname = ?1 WHERE oid = 10", [owner])?;
    let quoted = serde_json::Value::from(owner).to_string();
    let inner = quoted.trim_matches('"');
    for (table, column) in [
        ("pg_class", "relacl"),
        ("pg_namespace", "nspacl"),
        ("pg_language", "lanacl"),
        ("pg_proc", "proacl"),
        ("pg_type", "typacl"),
        ("pg_init_privs", "initprivs"),
        ("pg_attribute", "attacl"),
    ] {
        let sql = format!(
            "UPDATE {table} SET {column} = replace(replace({column}, '\"postgres=', '\"' || ?1 || '='), \
             '/postgres\"', '/' || ?1 || '\"') WHERE {column} IS NOT NULL"
        );
        connection.execute(&sql, [inner])?;
    }
    Ok(())
}

impl Template {
    /// The template of the process, loaded at the first call.
    fn get() -> rusqlite::Result<&'static Self> {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        if let Some(template) = TEMPLATE.get() {
            return Ok(template);
        }
        let loaded = Self::load()?;
        Ok(TEMPLATE.get_or_init(|| loaded))
    }

    fn load() -> rusqlite::Result<Self> {
        let mut connection = open(&copy_name(next_number()))?;
        let relations = layout::relations();
        let transaction = connection.transaction()?;
        transaction.execute_batch("CREATE TABLE trellis_image(generation INTEGER NOT NULL)")?;
        for relation in relations.values().filter(|it| !it.is_view) {
            transaction.execute_batch(&relation.create_table("", &relation.table))?;
        }
        let procedures = Procedures::read();
        for (name, _) in FILES {
            if let Some(relation) = relations.get(*name) {
                load_table(&transaction, relation, &procedures)?;
            }
        }
        for statement in layout::create_indexes(&relations) {
            transaction.execute_batch(&statement)?;
        }
        views::create(&transaction, &relations)?;
        let mut boundaries = BTreeMap::new();
        for relation in relations.values().filter(|it| !it.is_view) {
            let sql = format!("SELECT max(rowid) FROM {}", quote(&relation.table));
            if let Some(boundary) = transaction.query_row(&sql, [], |row| row.get(0))? {
                boundaries.insert(relation.table.clone(), boundary);
            }
        }
        transaction.commit()?;
        connection.execute_batch("ANALYZE")?;
        Ok(Self { keeper: Mutex::new(connection), relations, boundaries })
    }
}

/// Loads the recorded rows of one relation.
fn load_table(
    connection: &Connection,
    relation: &Relation,
    procedures: &Procedures,
) -> rusqlite::Result<()> {
    let Some(table) = Table::of(&relation.table) else { return Ok(()) };
    let positions: Vec<_> = relation.columns.iter().map(|it| table.position(it.name)).collect();
    let operands = (table.position("oprleft"), table.position("oprright"));
    let mut insert = connection.prepare(&relation.insert("", &relation.table))?;
    let keyed = table.columns.first() == Some(&"oid");
    for row in table.filter(|it| !keyed || it.number(0) < i64::from(Oid::FIRST_USER)) {
        let arguments = match operands {
            (Some(left), Some(right)) => format!("{} {}", row.number(left), row.number(right)),
            _ => String::new(),
        };
        let values = relation.columns.iter().zip(&positions).map(|(column, position)| {
            let text = position.and_then(|it| row.text(it));
            builtin_value(relation, column.name, row.number(0)).unwrap_or_else(|| {
                column.form.read(text.as_deref(), |name| procedures.find(name, &arguments))
            })
        });
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}

/// Values that are not recorded as they are shown: node trees, which here are the text of the expression.
fn builtin_value(relation: &Relation, column: &str, oid: i64) -> Option<Datum> {
    if relation.table != "pg_proc" {
        return None;
    }
    match column {
        "proargdefaults" => Some(
            function_defaults()
                .get(&oid)
                .map_or(Datum::Null, |expressions| Datum::Text(expressions.join(", "))),
        ),
        "prosqlbody" => Some(Datum::Null),
        _ => None,
    }
}

impl rusqlite::ToSql for Datum {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// The storage form of every value of a column, for tables that are filled from outside.
pub(super) fn declared_columns(relation: &str) -> Option<(Relation, Vec<Form>)> {
    let relation = layout::relations().remove(relation)?;
    let forms = relation.columns.iter().map(|it| it.form).collect();
    Some((relation, forms))
}
