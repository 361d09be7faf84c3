//! The log: every applied transaction, own and remote, once, in the order it was applied here.
//!
//! Table `trellis_log` is keyed by position. Which position a version of an origin has is looked up in memory
//! ([`LogIndex`]): versions and positions both rise, so a few runs say it all, and the file needs no second index that
//! every commit would have to write. The index is rebuilt from the log's first columns at start.
//!
//! The beginning of the log may have been trimmed; `trellis_heads` keeps each origin's last trimmed version, so that heads
//! and positions go on from where they were, and the last version with a deletion that is forgotten.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::applied::{AppliedTransaction, Impact};
use super::error::{Result, StoreError};
use super::registry::Registry;
use crate::types::{DbVersion, EncodedChangeset, Heads, Position, SiteId};
use crate::wire::ChangesetReader;

/// The log's tables.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_log (
        position INTEGER PRIMARY KEY, origin INTEGER NOT NULL, version INTEGER NOT NULL,
        impact BLOB, body BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_heads (
        origin INTEGER PRIMARY KEY, version INTEGER NOT NULL, position INTEGER NOT NULL,
        forgotten INTEGER NOT NULL DEFAULT 0) STRICT;
";

/// Consecutive versions at consecutive positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    version: u64,
    position: u64,
    length: u64,
}

/// Where in the log each origin's versions are.
#[derive(Clone, Debug, Default)]
pub(super) struct LogIndex {
    origins: BTreeMap<SiteId, Vec<Run>>,
}

impl LogIndex {
    /// Notes that `version` of `origin` is at `position`; both are above all noted for that origin.
    pub(super) fn push(&mut self, origin: SiteId, version: DbVersion, position: Position) {
        let runs = self.origins.entry(origin).or_default();
        match runs.last_mut() {
            Some(run)
                if run.version + run.length == version.0
                    && run.position + run.length == position.0 =>
            {
                run.length += 1;
            }
            _ => runs.push(Run { version: version.0, position: position.0, length: 1 }),
        }
    }

    /// The origin's first version that is in the log and above `after`.
    fn first_after(&self, origin: SiteId, after: DbVersion) -> Option<(DbVersion, Position)> {
        let runs = self.origins.get(&origin)?;
        let run = runs.get(runs.partition_point(|run| run.version + run.length <= after.0 + 1))?;
        let skipped = (after.0 + 1).saturating_sub(run.version);
        Some((DbVersion(run.version + skipped), Position(run.position + skipped)))
    }

    /// Forgets what is at or below `position`.
    pub(super) fn trim(&mut self, position: Position) {
        for runs in self.origins.values_mut() {
            runs.retain(|run| run.position + run.length - 1 > position.0);
            if let Some(run) = runs.first_mut()
                && run.position <= position.0
            {
                let gone = position.0 + 1 - run.position;
                *run = Run {
                    version: run.version + gone,
                    position: run.position + gone,
                    length: run.length - gone,
                };
            }
        }
    }
}

/// What the log says about the state of the database.
#[derive(Clone, Debug, Default)]
pub(super) struct LogState {
    pub heads: Heads,
    pub position: Position,
    pub index: LogIndex,
}

/// Reads the log's state from the file.
pub(super) fn load(sqlite: &Connection, registry: &Registry) -> Result<LogState> {
    let mut state = LogState::default();
    let mut statement = sqlite.prepare("SELECT origin, version, position FROM trellis_heads")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        state
            .heads
            .insert(registry.site(row.get(0)?), DbVersion(row.get::<_, i64>(1)?.cast_unsigned()));
        state.position = state.position.max(Position(row.get::<_, i64>(2)?.cast_unsigned()));
    }
    drop(rows);
    let mut statement =
        sqlite.prepare("SELECT position, origin, version FROM trellis_log ORDER BY position")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let position = Position(row.get::<_, i64>(0)?.cast_unsigned());
        let (origin, version) =
            (registry.site(row.get(1)?), DbVersion(row.get::<_, i64>(2)?.cast_unsigned()));
        let head = state.heads.entry(origin).or_default();
        if version != head.next() || position.0 != state.position.0 + 1 {
            return Err(StoreError::Damaged(format!(
                "the log is not in order at position {}",
                position.0
            )));
        }
        *head = version;
        state.position = position;
        state.index.push(origin, version, position);
    }
    Ok(state)
}

/// Appends a transaction.
pub(super) fn append(sqlite: &Connection, origin: u32, applied: &AppliedTransaction) -> Result<()> {
    let impact = Some(applied.impact.0.as_slice()).filter(|impact| !impact.is_empty());
    sqlite
        .prepare_cached("INSERT INTO trellis_log (position, origin, version, impact, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            applied.position.0.cast_signed(),
            origin,
            applied.version.0.cast_signed(),
            impact,
            &applied.encoded.body[..],
        ])?;
    Ok(())
}

/// Removes what is at or below `position`, and remembers the heads and the position it reached.
pub(super) fn trim(sqlite: &Connection, position: Position) -> Result<()> {
    let position = position.0.cast_signed();
    sqlite.execute(
        "INSERT INTO trellis_heads (origin, version, position)
         SELECT origin, max(version), max(position) FROM trellis_log WHERE position <= ?1 GROUP BY origin
         ON CONFLICT (origin) DO UPDATE SET version = excluded.version, position = excluded.position",
        [position],
    )?;
    sqlite.execute("DELETE FROM trellis_log WHERE position <= ?1", [position])?;
    Ok(())
}

/// An entry of the log, as trimming sees it.
pub(super) struct Entry {
    pub position: Position,
    /// The origin's ordinal.
    pub origin: u32,
    pub version: DbVersion,
    pub body: Vec<u8>,
}

/// The first entries after `after` and up to `upto`, as many as reach `max_bytes` or `max`; at least one if there is one.
pub(super) fn read_entries(
    sqlite: &Connection,
    (after, upto): (Position, Position),
    (max, max_bytes): (usize, usize),
) -> Result<Vec<Entry>> {
    let mut select = sqlite.prepare_cached(
        "SELECT position, origin, version, body FROM trellis_log
         WHERE position > ?1 AND position <= ?2 ORDER BY position",
    )?;
    let mut rows = select.query([after.0.cast_signed(), upto.0.cast_signed()])?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < max
        && bytes < max_bytes
        && let Some(row) = rows.next()?
    {
        let entry = Entry {
            position: Position(row.get::<_, i64>(0)?.cast_unsigned()),
            origin: row.get(1)?,
            version: DbVersion(row.get::<_, i64>(2)?.cast_unsigned()),
            body: row.get(3)?,
        };
        bytes += entry.body.len();
        entries.push(entry);
    }
    Ok(entries)
}

/// Calls `each` with position and bytes of every entry after `after` and up to `upto`, in order.
pub(super) fn sizes(
    sqlite: &Connection,
    (after, upto): (Position, Position),
    mut each: impl FnMut(Position, u64),
) -> Result<()> {
    let mut select = sqlite.prepare_cached(
        "SELECT position, length(body) + ifnull(length(impact), 0) FROM trellis_log
         WHERE position > ?1 AND position <= ?2 ORDER BY position",
    )?;
    let mut rows = select.query([after.0.cast_signed(), upto.0.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let position = Position(row.get::<_, i64>(0)?.cast_unsigned());
        each(position, row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(())
}

/// When the entry at a position was committed at its origin, microseconds since 1970; none if it is not there.
pub(super) fn committed_at_us(sqlite: &Connection, position: Position) -> Result<Option<u64>> {
    let mut select = sqlite.prepare_cached("SELECT body FROM trellis_log WHERE position = ?1")?;
    let body = select.query_row([position.0.cast_signed()], |row| row.get::<_, Vec<u8>>(0));
    Ok(match body.optional()? {
        Some(body) => Some(ChangesetReader::new(&body)?.committed_at_us),
        None => None,
    })
}

/// What the trimmed part of the log has of an origin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrimmedOrigin {
    /// The last trimmed version.
    pub version: DbVersion,
    /// The last one with a deletion that is forgotten.
    pub forgotten: DbVersion,
}

/// What the trimmed part of the log has of an origin.
pub(super) fn trimmed(sqlite: &Connection, origin: u32) -> Result<TrimmedOrigin> {
    let mut select =
        sqlite.prepare_cached("SELECT version, forgotten FROM trellis_heads WHERE origin = ?1")?;
    let found = select.query_row([origin], |row| {
        let number = |index| row.get::<_, i64>(index).map(i64::cast_unsigned).map(DbVersion);
        Ok(TrimmedOrigin { version: number(0)?, forgotten: number(1)? })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// The last trimmed version of each origin, by ordinal.
pub(super) fn all_trimmed(sqlite: &Connection) -> Result<BTreeMap<u32, DbVersion>> {
    let mut select = sqlite.prepare_cached("SELECT origin, version FROM trellis_heads")?;
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, DbVersion(row.get::<_, i64>(1)?.cast_unsigned()))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that a deletion of an origin's version is forgotten. After [`trim`] of that version.
pub(super) fn set_forgotten(sqlite: &Connection, origin: u32, version: DbVersion) -> Result<()> {
    sqlite
        .prepare_cached(
            "UPDATE trellis_heads SET forgotten = max(forgotten, ?2) WHERE origin = ?1",
        )?
        .execute(params![origin, version.0.cast_signed()])?;
    Ok(())
}

/// A stretch of one origin's transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSlice {
    /// Consecutive, from the one asked for; empty if the origin has no later ones here.
    Changesets(Vec<EncodedChangeset>),
    /// The log no longer reaches back to what was asked for.
    Trimmed {
        /// The first version that is still here.
        first: DbVersion,
    },
}

/// A stretch of the log.
#[derive(Clone, Debug)]
pub enum LogRange {
    /// Consecutive, from the position after the one given; empty at the end.
    Transactions(Vec<AppliedTransaction>),
    /// The log no longer reaches back to the position: what is of interest must be read afresh.
    Trimmed {
        /// The first position that is still here.
        first: Position,
    },
}

/// Reads `origin`'s transactions after `after`, up to and including the one that reaches `max_bytes`.
pub(super) fn read_origin(
    sqlite: &Connection,
    index: impl Fn(SiteId, DbVersion) -> Option<(DbVersion, Position)>,
    head: DbVersion,
    (origin, after): (SiteId, DbVersion),
    max_bytes: usize,
) -> Result<LogSlice> {
    let mut changesets = Vec::new();
    let mut last = after;
    let mut bytes = 0;
    let mut statement =
        sqlite.prepare_cached("SELECT version, body FROM trellis_log WHERE position = ?1")?;
    while last < head && (bytes < max_bytes || changesets.is_empty()) {
        let Some((version, position)) = index(origin, last) else {
            return Ok(LogSlice::Trimmed { first: head.next() });
        };
        if version != last.next() {
            return Ok(LogSlice::Trimmed { first: version });
        }
        let row = statement.query_row([position.0.cast_signed()], |row| {
            let body = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), body))
        });
        let Some((found, body)) = row.optional()? else {
            // Trimmed since the index was read.
            return Ok(LogSlice::Trimmed { first: version.next() });
        };
        if found != version.0 {
            return Err(StoreError::Damaged(format!(
                "the log has another version at position {}",
                position.0
            )));
        }
        bytes += body.len();
        changesets.push(EncodedChangeset { site: origin, version, body });
        last = version;
    }
    Ok(LogSlice::Changesets(changesets))
}

impl LogState {
    /// The last position up to which the log holds nothing that is not in `heads`.
    pub(super) fn covered_by(&self, heads: &Heads) -> Position {
        let lacking = self.index.origins.keys().filter_map(|origin| {
            let known = heads.get(origin).copied().unwrap_or_default();
            self.first_after(*origin, known).map(|(_, position)| Position(position.0 - 1))
        });
        lacking.min().unwrap_or(self.position).min(self.position)
    }

    /// See [`LogIndex`].
    pub(super) fn first_after(
        &self,
        origin: SiteId,
        after: DbVersion,
    ) -> Option<(DbVersion, Position)> {
        self.index.first_after(origin, after)
    }
}

/// Reads at most `max` transactions after `position` and not beyond `durable`.
pub(super) fn read_positions(
    sqlite: &Connection,
    registry: &Registry,
    (position, durable): (Position, Position),
    max: usize,
) -> Result<LogRange> {
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut statement = sqlite.prepare_cached(
        "SELECT position, origin, version, impact, body FROM trellis_log
         WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query([position.0.cast_signed(), durable.0.cast_signed(), limit])?;
    let mut transactions = Vec::new();
    while let Some(row) = rows.next()? {
        let found = Position(row.get::<_, i64>(0)?.cast_unsigned());
        if transactions.is_empty() && found.0 != position.0 + 1 {
            return Ok(LogRange::Trimmed { first: found });
        }
        let body =
            Bytes::copy_from_slice(row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?);
        let reader = ChangesetReader::new(&body)?;
        let (committed_at_us, messages) = (reader.committed_at_us, reader.messages);
        let (origin, version) =
            (registry.site(row.get(1)?), DbVersion(row.get::<_, i64>(2)?.cast_unsigned()));
        transactions.push(AppliedTransaction {
            position: found,
            origin,
            version,
            committed_at_us,
            encoded: EncodedChangeset { site: origin, version, body },
            tag: 0,
            messages,
            impact: Impact(row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default()),
        });
    }
    if transactions.is_empty() && position < durable {
        return Ok(LogRange::Trimmed { first: Position(durable.0 + 1) });
    }
    Ok(LogRange::Transactions(transactions))
}
