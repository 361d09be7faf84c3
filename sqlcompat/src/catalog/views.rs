//! The system views of the image, as SQLite views over its tables.
//!
//! `views.sql` has one `SELECT` for each, after a line `@ name: column, …` that names its columns; what else the relation
//! has is NULL. A view that is not there, and is not one that the server fills (`live`), is a table without rows:
//! PostgreSQL's would be empty too, since Trellis has nothing of what it shows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::layout::{Relation, quote};
use super::live::LIVE_RELATIONS;

/// The definitions, in an order in which each follows those it reads.
const DEFINITIONS: &str = include_str!("views.sql");

/// Creates the views among `relations`.
pub(super) fn create(
    connection: &Connection,
    relations: &BTreeMap<String, Relation>,
) -> rusqlite::Result<()> {
    let mut defined = BTreeSet::new();
    for definition in DEFINITIONS.split("\n@ ").skip(1) {
        let Some((head, select)) = definition.split_once('\n') else { continue };
        let Some((name, given)) = head.split_once(": ") else { continue };
        if let Some(relation) = relations.get(name) {
            connection.execute_batch(&create_view(relation, given, select))?;
            defined.insert(name);
        }
    }
    for relation in relations.values().filter(|it| it.is_view) {
        let name = relation.table.as_str();
        if !defined.contains(name) && LIVE_RELATIONS.binary_search(&name).is_err() {
            connection.execute_batch(&relation.create_table("", name))?;
        }
    }
    Ok(())
}

/// A view of all columns of `relation` over `select`, which yields those in `given`.
fn create_view(relation: &Relation, given: &str, select: &str) -> String {
    let given: Vec<&str> = given.split(", ").collect();
    let column = |name: &str| match given.contains(&name) {
        true => quote(name),
        false => format!("NULL AS {}", quote(name)),
    };
    let columns: Vec<_> = relation.columns.iter().map(|it| column(it.name)).collect();
    let given: Vec<_> = given.iter().map(|it| quote(it)).collect();
    format!(
        "CREATE VIEW {} AS WITH given({}) AS ({}) SELECT {} FROM given",
        quote(&relation.table),
        given.join(", "),
        select.trim(),
        columns.join(", ")
    )
}
