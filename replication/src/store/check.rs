//! A digest to compare nodes by, and a check of the file against itself.

use rusqlite::types::Value as SqliteValue;
use rusqlite::{Connection, Row};

use super::clocks::{Clocks, RowKey, bind, value_of};
use super::error::Result;
use super::hidden;
use super::log;
use super::merge::own_rowid;
use super::registry::{Registry, RowIdentity, Table, quote};
use crate::crdt::{Block, PackedKey, pack, unpack};
use crate::types::{TableId, Value, ValueRef};
use crate::wire::ChangesetReader;

/// Findings after which a check stops: the first ones are what is of use.
const FINDINGS_MAX: usize = 20;

/// The sum of the hashes of a table's rows, hidden ones included: equal on nodes that hold the same rows, in whatever
/// order they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDigest {
    /// The table.
    pub table: TableId,
    /// Number of rows.
    pub rows: u64,
    /// The sum.
    pub digest: u128,
}

impl TableDigest {
    fn add<'v>(&mut self, table: &Table, pk: &[u8], cells: impl Iterator<Item = ValueRef<'v>>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(pk.len() as u64).to_le_bytes()).update(pk);
        // The order of identities is the same everywhere; that of ordinals is not.
        let mut cells: Vec<_> = table.cells.iter().zip(cells).collect();
        cells.sort_unstable_by_key(|(column, _)| column.id);
        for (column, value) in cells {
            let packed = pack([value]);
            hasher.update(&column.id.0.to_le_bytes());
            hasher.update(&(packed.len() as u64).to_le_bytes()).update(&packed);
        }
        let mut half = [0; 16];
        half.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(byte, hash)| *byte = *hash);
        self.rows += 1;
        self.digest = self.digest.wrapping_add(u128::from_le_bytes(half));
    }
}

/// Digests all tables, in the order of their identities.
pub(super) fn digest(sqlite: &Connection, registry: &Registry) -> Result<Vec<TableDigest>> {
    let mut digests = Vec::new();
    for table in registry.tables() {
        let mut digest = TableDigest { table: table.id, rows: 0, digest: 0 };
        let mut select = sqlite.prepare(&all_rows(table))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let first = 1 + table.key.len();
            let cells = (first..first + table.cells.len()).map(|place| value_of(row, place));
            let cells = cells.collect::<Result<Vec<_>>>()?;
            digest.add(table, &key_of(table, row)?, cells.into_iter());
        }
        for pk in hidden::keys(sqlite, table)? {
            if let Some(row) = hidden::get(sqlite, table, &pk)? {
                digest.add(table, &pk, row.cells.iter().map(Value::as_ref));
            }
        }
        digests.push(digest);
    }
    digests.sort_by_key(|digest| digest.table);
    Ok(digests)
}

/// All rows: rowid or NULL, key columns, cells.
fn all_rows(table: &Table) -> String {
    let rowid = match table.identity {
        RowIdentity::HiddenRowid(rowid) => rowid,
        RowIdentity::IntegerKey | RowIdentity::WithoutRowid => "NULL",
    };
    let columns = table.key.iter().chain(&table.cells).map(|column| quote(&column.name));
    format!(
        "SELECT {rowid}, {} FROM {}",
        columns.collect::<Vec<_>>().join(", "),
        quote(&table.name)
    )
}

fn key_of(table: &Table, row: &Row<'_>) -> Result<Vec<u8>> {
    let mut key = PackedKey::default();
    for place in 1..=table.key.len() {
        key.push(value_of(row, place)?);
    }
    Ok(key.into_bytes())
}

/// Checks the file: SQLite's own structures, each row against its clock and the other way round, the log against the heads.
/// Returns what is wrong, at most the first twenty findings.
pub(super) fn check(sqlite: &Connection, registry: &Registry) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut integrity = sqlite.prepare("PRAGMA integrity_check(20)")?;
    let lines = integrity.query_map([], |row| row.get::<_, String>(0))?;
    findings.extend(
        lines.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().filter(|line| line != "ok"),
    );
    for table in registry.tables() {
        check_rows(sqlite, table, &mut findings)?;
        check_clocks(sqlite, table, &mut findings)?;
    }
    check_log(sqlite, registry, &mut findings)?;
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

/// Each row has a live clock.
fn check_rows(sqlite: &Connection, table: &Table, findings: &mut Vec<String>) -> Result<()> {
    let mut clocks = Clocks::new(sqlite, table);
    let mut select = sqlite.prepare(&all_rows(table))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if findings.len() >= FINDINGS_MAX {
            return Ok(());
        }
        let pk = key_of(table, row)?;
        let key = match table.identity {
            RowIdentity::WithoutRowid => RowKey::Packed(&pk),
            RowIdentity::HiddenRowid(_) => RowKey::Number(row.get(0)?),
            RowIdentity::IntegerKey => RowKey::Number(row.get(1)?),
        };
        match clocks.get(key) {
            Ok(Some(clock)) if clock.is_alive() => {}
            Ok(Some(_)) => {
                findings.push(format!("{}: row {} is deleted but there", table.name, hex(&pk)));
            }
            Ok(None) => findings.push(format!(
                "{}: row {} was not written by this server",
                table.name,
                hex(&pk)
            )),
            Err(error) => {
                findings.push(format!("{}: clock of row {}: {error}", table.name, hex(&pk)));
            }
        }
    }
    Ok(())
}

/// Each live clock has a row.
fn check_clocks(sqlite: &Connection, table: &Table, findings: &mut Vec<String>) -> Result<()> {
    let sql = format!("SELECT block, body FROM trellis_clock_{}", table.ordinal);
    let mut select = sqlite.prepare(&sql)?;
    let mut find = sqlite.prepare(&format!(
        "SELECT 1 FROM {} WHERE {}",
        quote(&table.name),
        table.sql.find
    ))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if findings.len() >= FINDINGS_MAX {
            return Ok(());
        }
        let (block, body): (SqliteValue, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let decoded = match Block::decode(&body) {
            Ok(decoded) => decoded,
            Err(error) => {
                findings.push(format!("{}: clock block {block:?}: {error}", table.name));
                continue;
            }
        };
        for (slot, _) in decoded.rows().filter(|(_, clock)| clock.is_alive()) {
            let key = match &block {
                SqliteValue::Integer(block) => {
                    let first = block.wrapping_mul(i64::from(table.rows_per_block));
                    vec![Value::Integer(first.wrapping_add(i64::from(slot)))]
                }
                SqliteValue::Blob(pk) => unpack(pk)?,
                _ => Vec::new(),
            };
            bind(&mut find, 1, key.iter().map(Value::as_ref))?;
            if find.raw_query().next()?.is_none() {
                let key = own_rowid(table, &key)
                    .map_or_else(|| format!("{key:?}"), |rowid| rowid.to_string());
                findings.push(format!("{}: row {key} has a clock but is not there", table.name));
            }
        }
    }
    Ok(())
}

/// The log is without gaps, and each changeset readable.
fn check_log(sqlite: &Connection, registry: &Registry, findings: &mut Vec<String>) -> Result<()> {
    if let Err(error) = log::load(sqlite, registry) {
        findings.push(error.to_string());
    }
    let mut select = sqlite.prepare("SELECT position, body FROM trellis_log ORDER BY position")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (position, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Err(error) = ChangesetReader::new(&body).and_then(ChangesetReader::skip_all) {
            findings.push(format!("log position {position}: {error}"));
        }
        if findings.len() >= FINDINGS_MAX {
            return Ok(());
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
