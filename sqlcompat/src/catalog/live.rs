//! Relations whose rows only the server knows, such as `pg_stat_activity`.
//!
//! A plan that reads one lists it in [`CatalogReads::live`](crate::plan::CatalogReads::live) and reads the temporary table
//! `pg_live_<name>` of the connection, which the server fills before each execution.

#[cfg(feature = "sqlite")]
use rusqlite::{Connection, params_from_iter};

#[cfg(feature = "sqlite")]
use super::image::declared_columns;
#[cfg(feature = "sqlite")]
use crate::datum::Datum;

/// Relations that the server fills, those of `pg_catalog` without their schema; sorted.
pub const LIVE_RELATIONS: &[&str] = &[
    "pg_cursors",
    "pg_locks",
    "pg_prepared_statements",
    "pg_settings",
    "pg_stat_activity",
    "pg_stat_replication",
    "pg_stat_ssl",
    "trellis.conflicts",
    "trellis.members",
    "trellis.origins",
];

/// The name under which a relation is live, if it is.
#[must_use]
pub fn live_name(schema: &str, name: &str) -> Option<&'static str> {
    let wanted = match schema {
        "pg_catalog" => name.to_owned(),
        schema => format!("{schema}.{name}"),
    };
    LIVE_RELATIONS.iter().copied().find(|live| *live == wanted)
}

/// Names of the columns of a live relation, in the order in which [`fill_live`] takes their values.
#[cfg(feature = "sqlite")]
#[must_use]
pub fn live_columns(name: &str) -> Vec<&'static str> {
    declared_columns(name)
        .map_or_else(Vec::new, |(relation, _)| relation.columns.iter().map(|it| it.name).collect())
}

/// Replaces the rows of a live relation, as this connection sees it. Each row has a value for every column, in order.
///
/// # Errors
/// What SQLite reports, and [`rusqlite::Error::InvalidParameterName`] for a relation that is not live. A failure may leave
/// the relation without rows.
#[cfg(feature = "sqlite")]
pub fn fill_live(
    connection: &Connection,
    name: &str,
    rows: impl IntoIterator<Item = Vec<Datum>>,
) -> rusqlite::Result<()> {
    if LIVE_RELATIONS.binary_search(&name).is_err() {
        return Err(rusqlite::Error::InvalidParameterName(name.to_owned()));
    }
    let Some((relation, _)) = declared_columns(name) else {
        return Err(rusqlite::Error::InvalidParameterName(name.to_owned()));
    };
    let table = format!("pg_live_{name}");
    let create = relation.create_table("temp.", &table);
    connection.execute_batch(&create.replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))?;
    connection.execute(&format!("DELETE FROM temp.\"{table}\""), [])?;
    let mut insert = connection.prepare_cached(&relation.insert("temp.", &table))?;
    for row in rows {
        insert.execute(params_from_iter(row))?;
    }
    Ok(())
}
