//! Rows against their clocks, and the clocks against what a clock may say.

use rusqlite::Connection;
use rusqlite::types::Value as SqliteValue;

use super::super::clocks::{Clocks, RowKey, bind};
use super::super::digest::{all_rows, key_of};
use super::super::error::Result;
use super::super::hidden;
use super::super::registry::{Registry, RowIdentity, Table, quote};
use super::{Findings, show_key};
use crate::crdt::{Block, RowClock, Stamp, pack, unpack};
use crate::types::{DbVersion, Value};

/// Checks one table.
pub(super) struct RowCheck<'a> {
    pub(super) sqlite: &'a Connection,
    pub(super) registry: &'a Registry,
    pub(super) table: &'a Table,
    /// The own site's last version, if the log says.
    pub(super) own_head: Option<DbVersion>,
    pub(super) findings: &'a mut Findings,
}

impl RowCheck<'_> {
    /// Looks at rows, clocks, tombstones and hidden rows.
    pub(super) fn run(&mut self) -> Result<()> {
        self.rows_have_clocks()?;
        self.clocks_have_rows()?;
        if self.table.has_dead_table() {
            self.tombstones()?;
        }
        self.hidden_rows()
    }

    fn report(&mut self, what: impl std::fmt::Display) {
        self.findings.push(format!("{}: {what}", self.table.name));
    }

    fn rows_have_clocks(&mut self) -> Result<()> {
        let table = self.table;
        let mut clocks = Clocks::new(self.sqlite, table);
        let mut select = self.sqlite.prepare(&all_rows(table))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if self.findings.is_full() {
                return Ok(());
            }
            let pk = key_of(table, row)?;
            let key = match table.identity {
                RowIdentity::WithoutRowid => RowKey::Packed(&pk),
                RowIdentity::HiddenRowid(_) => RowKey::Number(row.get(0)?),
                RowIdentity::IntegerKey => RowKey::Number(row.get(1)?),
            };
            let name = show_key(&unpack(&pk)?);
            match clocks.get(key) {
                Ok(Some(clock)) if clock.is_alive() => {}
                Ok(Some(_)) => self.report(format!("row {name} is deleted but there")),
                Ok(None) => self.report(format!("row {name} was not written by this server")),
                Err(error) => self.report(format!("clock of row {name}: {error}")),
            }
        }
        Ok(())
    }

    fn clocks_have_rows(&mut self) -> Result<()> {
        let table = self.table;
        let sql = format!("SELECT block, body FROM trellis_clock_{}", table.ordinal);
        let mut select = self.sqlite.prepare(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if self.findings.is_full() {
                return Ok(());
            }
            let (block, body): (SqliteValue, Vec<u8>) = (row.get(0)?, row.get(1)?);
            match Block::decode(&body) {
                Ok(decoded) => self.block(&block, &decoded)?,
                Err(error) => self.report(format!("clock block {block:?}: {error}")),
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &SqliteValue, decoded: &Block) -> Result<()> {
        if decoded.is_empty() {
            self.report(format!("clock block {block:?} is empty"));
        }
        let table = self.table;
        let sql = format!("SELECT 1 FROM {} WHERE {}", quote(&table.name), table.sql.find);
        let mut find = self.sqlite.prepare_cached(&sql)?;
        for (slot, clock) in decoded.rows() {
            let Some(key) = self.key_in_block(block, slot) else {
                self.report(format!("slot {slot} of clock block {block:?} is not one"));
                continue;
            };
            let at = if table.has_dead_table() { "at rowid " } else { "" };
            let name = format!("{at}{}", show_key(&key));
            self.clock(&name, clock);
            if !clock.is_alive() {
                if table.has_dead_table() {
                    self.report(format!("row {name} has a tombstone in its block"));
                }
                continue;
            }
            bind(&mut find, 1, key.iter().map(Value::as_ref))?;
            if find.raw_query().next()?.is_none() {
                self.report(format!("row {name} has a clock but is not there"));
            }
        }
        Ok(())
    }

    /// What the slot's row is found by; none if there is no such slot or block.
    fn key_in_block(&self, block: &SqliteValue, slot: u8) -> Option<Vec<Value>> {
        match (self.table.identity, block) {
            (RowIdentity::WithoutRowid, SqliteValue::Blob(pk)) => {
                let key = unpack(pk).ok()?;
                let is_canonical = pack(key.iter().map(Value::as_ref)) == *pk;
                (slot == 0 && is_canonical && key.len() == self.table.key.len()).then_some(key)
            }
            (
                RowIdentity::IntegerKey | RowIdentity::HiddenRowid(_),
                SqliteValue::Integer(block),
            ) => {
                let rows = i64::from(self.table.rows_per_block);
                let key = block.checked_mul(rows)?.checked_add(i64::from(slot))?;
                (i64::from(slot) < rows).then(|| vec![Value::Integer(key)])
            }
            _ => None,
        }
    }

    /// Whether a clock says what a clock may say.
    fn clock(&mut self, name: &str, clock: &RowClock) {
        let length = clock.causal_length;
        if length == 0 {
            self.report(format!("row {name} has causal length 0"));
        }
        if clock.sentinel.is_none() && length != 1 {
            self.report(format!("row {name} has causal length {length} from nobody"));
        }
        let unknown = |column: u32| !self.table.ordinals.values().any(|known| *known == column);
        let columns = clock.runs().iter().flat_map(|run| run.column..run.column + run.count);
        if let Some(column) = columns.into_iter().find(|column| unknown(*column)) {
            self.report(format!(
                "row {name} has a clock for column {column}, which there never was"
            ));
        }
        if length == 1 && clock.runs().iter().any(|run| run.col_version == 0) {
            self.report(format!("row {name} has a cell of version 0"));
        }
        let stamps = clock.sentinel.iter().copied().chain(clock.runs().iter().map(|run| run.stamp));
        for stamp in stamps {
            self.stamp(name, stamp);
        }
    }

    fn stamp(&mut self, name: &str, stamp: Stamp) {
        if !self.registry.has_ordinal(stamp.origin) {
            self.report(format!(
                "row {name} was written by site {}, which is not known",
                stamp.origin
            ));
        } else if stamp.version == 0 {
            self.report(format!("row {name} was written by version 0"));
        } else if let (0, Some(head)) = (stamp.origin, self.own_head)
            && stamp.version > head.0
        {
            let version = stamp.version;
            self.report(format!(
                "row {name} is of version {version}, but the log ends at {}",
                head.0
            ));
        }
    }

    fn tombstones(&mut self) -> Result<()> {
        let table = self.table;
        let sql = format!(
            "SELECT pk, causal_length, origin, version, seq FROM trellis_dead_{}",
            table.ordinal
        );
        let mut select = self.sqlite.prepare(&sql)?;
        let mut find = self.sqlite.prepare(&table.sql.select_rowid)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if self.findings.is_full() {
                return Ok(());
            }
            let pk: Vec<u8> = row.get(0)?;
            let key = unpack(&pk).ok().filter(|key| key.len() == table.key.len());
            let Some(key) = key else {
                self.report("a tombstone has a malformed key");
                continue;
            };
            let name = show_key(&key);
            let length: i64 = row.get(1)?;
            if length <= 0 || length % 2 != 0 {
                self.report(format!("the tombstone of {name} has causal length {length}"));
            }
            let (version, seq) = (row.get::<_, i64>(3)?.cast_unsigned(), row.get(4)?);
            self.stamp(&name, Stamp { origin: row.get(2)?, version, seq });
            bind(&mut find, 1, key.iter().map(Value::as_ref))?;
            if find.raw_query().next()?.is_some() {
                self.report(format!("row {name} has a tombstone but is there"));
            }
        }
        Ok(())
    }

    fn hidden_rows(&mut self) -> Result<()> {
        let table = self.table;
        let by_key = match table.identity {
            RowIdentity::WithoutRowid => {
                format!("SELECT 1 FROM {} WHERE {}", quote(&table.name), table.sql.find)
            }
            RowIdentity::IntegerKey | RowIdentity::HiddenRowid(_) => table.sql.select_rowid.clone(),
        };
        let mut find = self.sqlite.prepare(&by_key)?;
        for pk in hidden::keys(self.sqlite, self.table)? {
            let key = unpack(&pk)?;
            let name = show_key(&key);
            match hidden::get(self.sqlite, self.table, &pk) {
                Ok(Some(row)) if row.clock.is_alive() => self.clock(&name, &row.clock),
                Ok(_) => self.report(format!("hidden row {name} is deleted")),
                Err(error) => self.report(format!("hidden row {name}: {error}")),
            }
            bind(&mut find, 1, key.iter().map(Value::as_ref))?;
            if find.raw_query().next()?.is_some() {
                self.report(format!("row {name} is both hidden and visible"));
            }
            let Some(blocker) = hidden::blocker(self.sqlite, self.table, &pk)? else { continue };
            bind(&mut find, 1, unpack(&blocker)?.iter().map(Value::as_ref))?;
            if blocker >= pk || find.raw_query().next()?.is_none() {
                self.report(format!("row {name} is hidden, and what hides it is not there"));
            }
        }
        Ok(())
    }
}
