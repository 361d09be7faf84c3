//! The log's bodies. That positions and versions have no gaps is checked whenever the log is loaded.

use rusqlite::Connection;

use super::super::error::Result;
use super::super::log;
use super::Findings;
use crate::wire::ChangesetReader;

/// Each changeset in the log is readable.
pub(super) fn check_bodies(sqlite: &Connection, findings: &mut Findings) -> Result<()> {
    log::visit(sqlite, |place, body| {
        if let Err(error) = ChangesetReader::new(body).and_then(ChangesetReader::skip_all) {
            findings.push(format!("log position {}: {error}", place.position.0));
        }
        Ok(findings.go_on())
    })
}
