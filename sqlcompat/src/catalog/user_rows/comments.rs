//! `pg_description`: comments.

use rusqlite::{Connection, params};

use crate::catalog::class_of;
use crate::schema::Catalog;

/// Inserts all comments.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO pg_description(objoid, classoid, objsubid, description) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for ((object, attnum), text) in &catalog.comments {
        let Some(class) = class_of(catalog, *object) else { continue };
        insert.execute(params![object.0, class, attnum, text])?;
    }
    Ok(())
}
