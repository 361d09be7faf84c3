//! The rows of the user's objects in an image.
//!
//! Each file fills a few system catalogs from [`Catalog`]; statements give constant values in place, so that what varies
//! stands out, and take the facts of a type from its `pg_type` row. Rows that a merge between nodes made contradictory (two
//! of one key) are dropped rather than reported: the catalog stays readable, and the tables tell.
//!
//! Order matters: types before attributes, which copy from them; attributes before indexes, which copy from those.
//!
//! OIDs that the schema does not carry, of defaults and view rules, derive from what they belong to, so that every node
//! has the same ones.

mod comments;
mod constraints;
mod functions;
mod identifiers;
mod indexes;
mod relations;
mod roles;
mod types;

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::image::ImageOptions;
use crate::oid::Oid;
use crate::schema::Catalog;

/// OID of `pg_class`, as `classid` of relations.
const PG_CLASS: u32 = 1259;
/// OID of `pg_type`.
const PG_TYPE: u32 = 1247;
/// OID of `pg_constraint`.
const PG_CONSTRAINT: u32 = 2606;
/// OID of `pg_namespace`.
const PG_NAMESPACE: u32 = 2615;
/// OID of `pg_attrdef`.
const PG_ATTRDEF: u32 = 2604;
/// OID of `pg_rewrite`.
const PG_REWRITE: u32 = 2618;
/// OID of schema `public`.
const PUBLIC: u32 = 2200;
/// OID of the served database; PostgreSQL gives it to the database `postgres`.
const DATABASE_OID: u32 = 5;

/// Inserts the rows of everything in `catalog`.
pub(super) fn insert(
    connection: &Connection,
    catalog: &Catalog,
    options: &ImageOptions,
) -> rusqlite::Result<()> {
    insert_database(connection, options)?;
    insert_namespaces(connection, catalog)?;
    types::insert(connection, catalog)?;
    relations::insert(connection, catalog)?;
    indexes::insert(connection, catalog)?;
    constraints::insert(connection, catalog)?;
    functions::insert(connection, catalog)?;
    comments::insert(connection, catalog)?;
    roles::insert(connection, catalog)
}

fn insert_database(connection: &Connection, options: &ImageOptions) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO pg_database(oid, datname, datdba, encoding, datlocprovider, datistemplate, datallowconn,
             datconnlimit, datfrozenxid, datminmxid, dattablespace, datcollate, datctype)
         VALUES (?1, ?2, 10, 6, 'c', 0, 1, -1, 3, 1, 1663, 'C.UTF-8', 'C.UTF-8')",
        params![DATABASE_OID, options.database],
    )?;
    Ok(())
}

fn insert_namespaces(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO pg_namespace(oid, nspname, nspowner) VALUES (?1, ?2, 10)",
    )?;
    for namespace in catalog.namespaces.values() {
        insert.execute(params![namespace.oid.0, namespace.name])?;
    }
    if !catalog.namespaces.is_empty() && !catalog.namespaces.values().any(|it| it.oid.0 == PUBLIC) {
        connection.execute("DELETE FROM pg_namespace WHERE oid = ?1", [PUBLIC])?;
    }
    Ok(())
}

/// Writes `pg_depend` rows.
struct Dependencies<'c>(rusqlite::CachedStatement<'c>);

impl<'c> Dependencies<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self(connection.prepare_cached(
            "INSERT INTO pg_depend(classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?))
    }

    /// `object` depends on `referenced`; each is catalog, OID and sub-object.
    fn add(
        &mut self,
        object: (u32, Oid, i16),
        referenced: (u32, Oid, i16),
        kind: &str,
    ) -> rusqlite::Result<()> {
        self.0.execute(params![
            object.0,
            object.1.0,
            object.2,
            referenced.0,
            referenced.1.0,
            referenced.2,
            kind
        ])?;
        Ok(())
    }

    /// `object` lives in `namespace`. Like PostgreSQL, nothing is recorded for built-in ones other than `public`.
    fn in_namespace(&mut self, class: u32, object: Oid, namespace: Oid) -> rusqlite::Result<()> {
        if !namespace.is_user() && namespace.0 != PUBLIC {
            return Ok(());
        }
        self.add((class, object, 0), (PG_NAMESPACE, namespace, 0), "n")
    }
}

/// Gives out OIDs for what has none in the schema.
#[derive(Default)]
struct DerivedOids(BTreeSet<u32>);

impl DerivedOids {
    /// An OID that depends on `owner` and `part` alone, unless another one has it already.
    fn next(&mut self, owner: Oid, part: i16) -> Oid {
        let mut seed = Vec::from(owner.0.to_be_bytes());
        seed.extend(part.to_be_bytes());
        let hash = blake3::hash(&seed);
        let [a, b, c, d, ..] = *hash.as_bytes();
        let mut oid = Oid::FIRST_USER + (u32::from_be_bytes([a, b, c, d]) & 0x3fff_ffff);
        while !self.0.insert(oid) {
            oid += 1;
        }
        Oid(oid)
    }
}

/// A JSON array of numbers, the storage form of vectors and integer arrays.
fn numbers<N: std::fmt::Display>(values: impl IntoIterator<Item = N>) -> String {
    let values: Vec<String> = values.into_iter().map(|it| it.to_string()).collect();
    format!("[{}]", values.join(","))
}
