//! The log's bodies. That positions and versions have no gaps is checked whenever the log is loaded.

use rusqlite::Connection;

use super::super::error::Result;
use super::Findings;
use crate::wire::ChangesetReader;

/// Each changeset in the log is readable.
pub(super) fn check_bodies(sqlite: &Connection, findings: &mut Findings) -> Result<()> {
    let mut select = sqlite.prepare("SELECT position, body FROM trellis_log ORDER BY position")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (position, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Err(error) = ChangesetReader::new(&body).and_then(ChangesetReader::skip_all) {
            findings.push(format!("log position {position}: {error}"));
        }
        if findings.is_full() {
            return Ok(());
        }
    }
    Ok(())
}
