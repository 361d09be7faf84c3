//! The system views of the image, as SQLite views over its tables.
//!
//! `views.sql` holds one `CREATE VIEW` per view, separated by lines of two dashes. A view that is not there, and is not one
//! that the server fills (`live`), is a table without rows: PostgreSQL's would be empty too, since Trellis has nothing of
//! what it shows.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::layout::Relation;
use super::live::LIVE_RELATIONS;

/// One definition per view, in an order in which each follows those it reads.
const DEFINITIONS: &str = include_str!("views.sql");

/// Creates the views among `relations`.
pub(super) fn create(
    connection: &Connection,
    relations: &BTreeMap<String, Relation>,
) -> rusqlite::Result<()> {
    connection.execute_batch(DEFINITIONS)?;
    let mut exists = connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?1")?;
    for relation in relations.values().filter(|it| it.is_view) {
        let is_live = LIVE_RELATIONS.contains(&relation.table.as_str());
        if !is_live && !exists.exists([&relation.table])? {
            let sql = relation.create_table("", &relation.table);
            connection.execute_batch(&sql.replacen(
                "CREATE TABLE",
                "CREATE TABLE IF NOT EXISTS",
                1,
            ))?;
        }
    }
    Ok(())
}
