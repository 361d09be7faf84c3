//! Collations: the order of types whose text does not sort as PostgreSQL sorts the type.
//!
//! A collation sees text only. SQLite sorts other storage classes by itself, before text, which is what NaN in a float
//! column relies on.

use rusqlite::Connection;

use crate::functions::ordering;
use crate::schema::{Catalog, UserType};

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
    oid: crate::Oid,
    labels: &[(crate::Oid, String)],
) -> rusqlite::Result<()> {
    let labels: Vec<String> = labels.iter().map(|(_, label)| label.clone()).collect();
    conn.create_collation(format!("pg_enum_{oid}").as_str(), move |left, right| {
        let position = |text: &str| labels.iter().position(|label| label == text);
        let rank = |text: &str| position(text).unwrap_or(usize::MAX);
        rank(left).cmp(&rank(right)).then_with(|| left.cmp(right))
    })
}

/// Registers the order of each enum of `new` that is not one of `old` with the same labels.
///
/// # Errors
/// As [`register_enum`]; also if a statement that uses the order is running.
pub fn register_enums(
    conn: &Connection,
    old: Option<&Catalog>,
    new: &Catalog,
) -> rusqlite::Result<()> {
    for (oid, user_type) in &new.types {
        let known = old.and_then(|old| old.types.get(oid));
        if let (UserType::Enum(found), true) = (user_type, known != Some(user_type)) {
            register_enum(conn, *oid, &found.labels)?;
        }
    }
    Ok(())
}
