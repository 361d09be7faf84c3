//! `crsql_changes`.

use std::sync::Arc;

use rusqlite::Connection;

use super::capture::Capture;
use super::core::Core;
use super::error::Result;
use super::functions;

/// Registers the table and the functions on a connection.
pub(super) fn register(
    sqlite: &Connection,
    _capture: &Arc<Capture>,
    core: &Arc<Core>,
) -> Result<()> {
    Ok(functions::register(sqlite, core)?)
}
