//! Collations: the order of types whose text does not sort as PostgreSQL sorts the type.
//!
//! A collation sees text only. SQLite sorts other storage classes by itself, before text, which is what NaN in a float
//! column relies on.

use std::sync::Arc;

use rusqlite::Connection;

use crate::datum::DatumRef;
use crate::functions::ordering;
use crate::oid::Oid;
use crate::schema::{Catalog, UserType};
use crate::settings::FormatSettings;
use crate::types::TypeContext;

/// Registers all collations.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    for (name, compare) in ordering::COLLATIONS {
        conn.create_collation(*name, *compare)?;
    }
    Ok(())
}

/// Registers `pg_enum_<oid>`: labels sort as listed; text that is no label sorts after them, by its bytes.
///
/// # Errors
/// What SQLite answers, if it is out of memory.
pub fn register_enum(
    conn: &Connection,
    oid: Oid,
    labels: &[(Oid, String)],
) -> rusqlite::Result<()> {
    let labels: Vec<String> = labels.iter().map(|(_, label)| label.clone()).collect();
    conn.create_collation(format!("pg_enum_{oid}").as_str(), move |left, right| {
        let position = |text: &str| labels.iter().position(|label| label == text);
        let rank = |text: &str| position(text).unwrap_or(usize::MAX);
        rank(left).cmp(&rank(right)).then_with(|| left.cmp(right))
    })
}

/// Registers the order of each enum of `new`, and of each array and composite type that holds enums, unless `old` has the
/// same types.
///
/// # Errors
/// As [`register_enum`]; also if a statement that uses the order is running.
pub fn register_enums(
    conn: &Connection,
    old: Option<&Catalog>,
    new: &Catalog,
) -> rusqlite::Result<()> {
    if old.is_some_and(|old| old.types == new.types) {
        return Ok(());
    }
    let mut shared = None;
    for (oid, user_type) in &new.types {
        if let UserType::Enum(found) = user_type {
            register_enum(conn, *oid, &found.labels)?;
        }
        if new.holds_enum(*oid) {
            let catalog = shared.get_or_insert_with(|| Arc::new(new.clone()));
            register_type(conn, *oid, catalog)?;
            register_type(conn, user_type.array_oid(), catalog)?;
        }
    }
    Ok(())
}

/// Registers `pg_type_<oid>`: the order of a type, as its parts decide it.
fn register_type(conn: &Connection, oid: Oid, catalog: &Arc<Catalog>) -> rusqlite::Result<()> {
    let catalog = Arc::clone(catalog);
    let settings = FormatSettings::default();
    conn.create_collation(format!("pg_type_{oid}").as_str(), move |left, right| {
        let cx = TypeContext { settings: &settings, names: &*catalog, now_us: 0 };
        ordering::compare(oid, DatumRef::Text(left), DatumRef::Text(right), &cx)
    })
}
