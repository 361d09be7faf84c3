//! Sites that the members go on without.
//!
//! A member that is silent for long keeps everyone from forgetting deletions. To go on without it, a member first **expels**
//! it: it writes into a replicated table up to which version the site's transactions count. Each node that has applied this
//! takes nothing of the site beyond it any more, and says so itself if it had more already; of all that is said of a site the
//! largest version counts. Only when all other members have the expulsion are deletions forgotten that the site may lack
//! (`server/src/engine/maintenance.rs`). So what the site has written without knowing of them can reach nobody: when it is
//! back it finds that it was expelled, and begins anew as another site (`identity.rs`).
//!
//! # Invariants
//! 1. Of an expelled site nothing is applied beyond the version that is known here when it is applied.
//! 2. Each row of the table is written by one site only, and its version only rises: rows need no merging.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Result;
use super::registry::{Entry, Registry, TableSpec};
use crate::types::{ColumnId, DbVersion, SiteId, TableId};

/// Identity of the table of expelled sites on every node.
pub const EXPELLED_TABLE_ID: TableId = TableId(3);

/// The replicated table of expelled sites, and the statement that creates it. Where it is not registered nobody is expelled.
#[must_use]
pub fn expelled_table() -> (&'static str, TableSpec) {
    let create = "CREATE TABLE IF NOT EXISTS trellis_expelled (
        site BLOB NOT NULL, by BLOB NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (site, by)) STRICT";
    let names = ["site", "by", "version"];
    let spec = TableSpec {
        id: EXPELLED_TABLE_ID,
        name: "trellis_expelled".to_owned(),
        columns: (0..).zip(names).map(|(id, name)| (ColumnId(id), name.to_owned())).collect(),
        key: vec![ColumnId(0), ColumnId(1)],
        system: false,
    };
    (create, spec)
}

/// Whether there may be expelled sites: saves looking for them.
#[derive(Debug)]
pub(super) struct MayBeExpelled(AtomicBool);

impl Default for MayBeExpelled {
    fn default() -> Self {
        // Nobody has looked yet.
        Self(AtomicBool::new(true))
    }
}

impl MayBeExpelled {
    /// The table is about to change.
    pub(super) fn touch(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Up to which version an expelled site's transactions count, as the connection sees it; none if it is not expelled.
    /// Under the write lease.
    pub(super) fn limit(
        &self,
        sqlite: &Connection,
        registry: &Registry,
        site: SiteId,
    ) -> Result<Option<DbVersion>> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let limit = limit(sqlite, registry, site)?;
        if limit.is_none() && has_table(registry) {
            let any = sqlite.prepare_cached("SELECT 1 FROM trellis_expelled LIMIT 1")?.exists([])?;
            self.0.store(any, Ordering::Relaxed);
        }
        Ok(limit)
    }
}

fn has_table(registry: &Registry) -> bool {
    matches!(registry.entry(EXPELLED_TABLE_ID), Some(Entry::Live(_)))
}

/// Up to which version an expelled site's transactions count; none if it is not expelled.
pub(super) fn limit(
    sqlite: &Connection,
    registry: &Registry,
    site: SiteId,
) -> Result<Option<DbVersion>> {
    if !has_table(registry) {
        return Ok(None);
    }
    let mut select =
        sqlite.prepare_cached("SELECT max(version) FROM trellis_expelled WHERE site = ?1")?;
    let version: Option<Option<i64>> = select.query_row([site.0], |row| row.get(0)).optional()?;
    Ok(version.flatten().map(|version| DbVersion(version.cast_unsigned())))
}

/// All expelled sites, and up to which version their transactions count.
pub(super) fn all(sqlite: &Connection) -> Result<Vec<(SiteId, DbVersion)>> {
    let mut select =
        sqlite.prepare_cached("SELECT site, max(version) FROM trellis_expelled GROUP BY site")?;
    let found = select.query_map([], |row| {
        Ok((SiteId(row.get(0)?), DbVersion(row.get::<_, i64>(1)?.cast_unsigned())))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Says that a site's transactions count up to `version`. Inside a tracked write.
pub(super) fn expel(
    sqlite: &Connection,
    (site, by): (SiteId, SiteId),
    version: DbVersion,
) -> Result<()> {
    sqlite
        .prepare_cached(
            "INSERT INTO trellis_expelled (site, by, version) VALUES (?1, ?2, ?3)
             ON CONFLICT (site, by) DO UPDATE SET version = excluded.version
             WHERE version < excluded.version",
        )?
        .execute(params![site.0, by.0, version.0.cast_signed()])?;
    Ok(())
}
