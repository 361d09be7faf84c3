//! Who belongs to the cluster: sites that were let in, and sites that the members go on without.
//!
//! Deletions may be forgotten when all members have them (`trim.rs`). Who counts as a member must not be a matter of who has
//! met whom, so it is written into a replicated table, before it matters:
//!
//! - A node that gives its state to another **admits** it first. The state holds the admission, and so does whoever has all
//!   that this node had when it told its heads. So a member that forgets either does so by heads that were told before the
//!   admission, and what it forgets is in the state; or it knows of the new member and waits for it.
//! - A member that is silent for long keeps everyone from forgetting. To go on without it, a member **expels** it: it writes
//!   down up to which version the site's transactions count. Each node that has applied this takes nothing of the site beyond
//!   it any more, and says so itself if it had more already; of all that is said of a site the largest version counts. Only
//!   when all other members have the expulsion are deletions forgotten that the site may lack. So what the site has written
//!   without knowing of them can reach nobody: when it is back it finds that it was expelled, and begins anew as another site
//!   (`identity.rs`).
//!
//! The table's part in forgetting is played in `server/src/engine/maintenance.rs`.
//!
//! # Invariants
//! 1. Of an expelled site nothing is applied beyond the version that is known here when it is applied.
//! 2. Each row of the table is written by one site only, and its version only rises: rows need no merging.
//! 3. A state is read after its reader is admitted.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Result;
use super::registry::{Entry, Registry, TableSpec};
use crate::types::{ColumnId, DbVersion, SiteId, TableId};

/// Identity of the roster on every node.
pub const ROSTER_TABLE_ID: TableId = TableId(3);

/// The replicated roster, and the statement that creates it. Where it is not registered nobody is admitted or expelled.
#[must_use]
pub fn roster_table() -> (&'static str, TableSpec) {
    let create = "CREATE TABLE IF NOT EXISTS trellis_roster (
        site BLOB NOT NULL, by BLOB NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (site, by)) STRICT";
    let names = ["site", "by", "version"];
    let spec = TableSpec {
        id: ROSTER_TABLE_ID,
        name: "trellis_roster".to_owned(),
        columns: (0..).zip(names).map(|(id, name)| (ColumnId(id), name.to_owned())).collect(),
        key: vec![ColumnId(0), ColumnId(1)],
        system: false,
    };
    (create, spec)
}

/// The version of a site that is admitted, and not expelled.
const ADMITTED: i64 = -1;

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
            let any = sqlite
                .prepare_cached("SELECT 1 FROM trellis_roster WHERE version >= 0 LIMIT 1")?
                .exists([])?;
            self.0.store(any, Ordering::Relaxed);
        }
        Ok(limit)
    }
}

fn has_table(registry: &Registry) -> bool {
    matches!(registry.entry(ROSTER_TABLE_ID), Some(Entry::Live(_)))
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
    let mut select = sqlite.prepare_cached(
        "SELECT max(version) FROM trellis_roster WHERE site = ?1 AND version >= 0",
    )?;
    let version: Option<Option<i64>> = select.query_row([site.0], |row| row.get(0)).optional()?;
    Ok(version.flatten().map(|version| DbVersion(version.cast_unsigned())))
}

/// All expelled sites, and up to which version their transactions count.
pub(super) fn all(sqlite: &Connection) -> Result<Vec<(SiteId, DbVersion)>> {
    let mut select = sqlite.prepare_cached(
        "SELECT site, max(version) FROM trellis_roster WHERE version >= 0 GROUP BY site",
    )?;
    let found = select.query_map([], |row| {
        Ok((SiteId(row.get(0)?), DbVersion(row.get::<_, i64>(1)?.cast_unsigned())))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// All sites that were let in and not expelled.
pub(super) fn admitted(sqlite: &Connection) -> Result<Vec<SiteId>> {
    let mut select = sqlite
        .prepare_cached("SELECT site FROM trellis_roster GROUP BY site HAVING max(version) < 0")?;
    let found = select.query_map([], |row| row.get(0).map(SiteId))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Whether a site is in the roster, or there is none.
pub(super) fn is_listed(sqlite: &Connection, registry: &Registry, site: SiteId) -> Result<bool> {
    if !has_table(registry) {
        return Ok(true);
    }
    let mut select = sqlite.prepare_cached("SELECT 1 FROM trellis_roster WHERE site = ?1")?;
    Ok(select.exists([site.0])?)
}

/// Lets a site in. Inside a tracked write.
pub(super) fn admit(sqlite: &Connection, (site, by): (SiteId, SiteId)) -> Result<()> {
    sqlite
        .prepare_cached(
            "INSERT INTO trellis_roster (site, by, version) VALUES (?1, ?2, ?3)
             ON CONFLICT (site, by) DO NOTHING",
        )?
        .execute(params![site.0, by.0, ADMITTED])?;
    Ok(())
}

/// Says that a site's transactions count up to `version`. Inside a tracked write.
pub(super) fn expel(
    sqlite: &Connection,
    (site, by): (SiteId, SiteId),
    version: DbVersion,
) -> Result<()> {
    sqlite
        .prepare_cached(
            "INSERT INTO trellis_roster (site, by, version) VALUES (?1, ?2, ?3)
             ON CONFLICT (site, by) DO UPDATE SET version = excluded.version
             WHERE version < excluded.version",
        )?
        .execute(params![site.0, by.0, version.0.cast_signed()])?;
    Ok(())
}
