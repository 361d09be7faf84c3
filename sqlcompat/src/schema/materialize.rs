//! The SQLite DDL that leads from one catalog to another.

use super::catalog::Catalog;
use crate::error::SqlError;

/// The SQLite statements that bring the tables from `old` to `new`, in order.
///
/// # Errors
/// 0A000 if an expression of the schema cannot be lowered.
pub fn materialize(old: &Catalog, new: &Catalog) -> Result<Vec<String>, SqlError> {
    let _ = (old, new);
    Ok(Vec::new())
}
