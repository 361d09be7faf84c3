//! The log: every applied transaction, own and remote, once, in the order it was applied here.
//!
//! Table `trellis_log` is keyed by position. A row without body stands for a transaction in chunks (`chunks.rs`). Which position a version of an origin has is looked up in memory
//! ([`LogIndex`]): versions and positions both rise, so a few runs say it all, and the file needs no second index that
//! every commit would have to write. The index is rebuilt from the log's first columns at start.
//!
//! The beginning of the log may have been trimmed; `trellis_heads` keeps each origin's last trimmed version, so that heads
//! and positions go on from where they were, and the last version with a deletion that is forgotten.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, params};

use super::applied::{AppliedTransaction, Content, Impact};
use super::chunks;
use super::error::{Result, StoreError};
use super::registry::Registry;
use super::resolved::Resolved;
use crate::types::{
    Chunk, ContentHash, DbVersion, EncodedChangeset, Heads, Message, Position, Progress,
    ProgressBySite, SiteId,
};
use crate::wire::ChangesetReader;

/// The log's tables.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_log (
        position INTEGER PRIMARY KEY, origin INTEGER NOT NULL, version INTEGER NOT NULL,
        impact BLOB, resolved BLOB, body BLOB) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_heads (
        origin INTEGER PRIMARY KEY, version INTEGER NOT NULL, position INTEGER NOT NULL,
        forgotten INTEGER NOT NULL DEFAULT 0, content INTEGER NOT NULL DEFAULT 0) STRICT;
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
    /// Of origins whose next transaction is here in part, how far it has come.
    pub staged: ProgressBySite,
}

/// Reads the log's state from the file.
pub(super) fn load(sqlite: &Connection, registry: &Registry) -> Result<LogState> {
    let mut state = LogState::default();
    let mut statement = sqlite.prepare("SELECT origin, version, position FROM trellis_heads")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let version = DbVersion(row.get::<_, i64>(1)?.cast_unsigned());
        if version.0 > 0 {
            state.heads.insert(registry.site(row.get(0)?), version);
        }
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
    for (transaction, chunks) in chunks::all(sqlite)? {
        let origin = registry.site(transaction.origin);
        let head = state.heads.get(&origin).copied().unwrap_or_default();
        if transaction.version == head.next() {
            state.staged.insert(origin, Progress { version: head, chunks });
        }
    }
    Ok(state)
}

/// Appends a transaction.
pub(super) fn append(sqlite: &Connection, origin: u32, applied: &AppliedTransaction) -> Result<()> {
    let (impact, body) = match &applied.content {
        Content::Whole { body, impact } => (Some(impact.0.as_slice()), Some(&body[..])),
        Content::Chunked { .. } => (None, None),
    };
    sqlite
        .prepare_cached(
            "INSERT INTO trellis_log (position, origin, version, impact, resolved, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            applied.position.0.cast_signed(),
            origin,
            applied.version.0.cast_signed(),
            impact.filter(|impact| !impact.is_empty()),
            Some(&applied.resolved.0).filter(|resolved| !resolved.is_empty()),
            body,
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
    chunks::trim(sqlite, position)?;
    sqlite.execute("DELETE FROM trellis_log WHERE position <= ?1", [position])?;
    Ok(())
}

/// What a state says of an origin.
pub(super) struct Adopted {
    /// The origin's ordinal.
    pub origin: u32,
    /// Its last version in the state.
    pub version: DbVersion,
    /// Its last one with a deletion that is forgotten there.
    pub forgotten: DbVersion,
    /// What tells its last version from another of that number.
    pub content: ContentHash,
}

/// Begins the log anew behind a state that takes the position after `position`. What goes beyond the state stays, at the
/// positions after that.
pub(super) fn adopt(sqlite: &Connection, state: &[Adopted], position: Position) -> Result<()> {
    let at = position.0.cast_signed() + 1;
    // Origins that are not in the state are kept whole; they too go on at new positions.
    sqlite.execute("UPDATE trellis_heads SET position = ?1", [at])?;
    for Adopted { origin, version, forgotten, content } in state {
        let version = version.0.cast_signed();
        sqlite
            .prepare_cached(
                "INSERT INTO trellis_heads (origin, version, position, forgotten, content)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (origin) DO UPDATE SET version = max(version, excluded.version),
                     forgotten = max(forgotten, excluded.forgotten),
                     content = iif(excluded.version < version, content, excluded.content)",
            )?
            .execute(params![
                origin,
                version,
                at,
                forgotten.0.cast_signed(),
                content.0.cast_signed()
            ])?;
        for table in ["trellis_log", "trellis_log_chunks", "trellis_log_impacts"] {
            let delete = format!("DELETE FROM {table} WHERE origin = ?1 AND version <= ?2");
            sqlite.prepare_cached(&delete)?.execute(params![origin, version])?;
        }
    }
    let kept: Vec<i64> = sqlite
        .prepare("SELECT position FROM trellis_log ORDER BY position")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut renumber =
        sqlite.prepare("UPDATE trellis_log SET position = ?2 WHERE position = ?1")?;
    for (before, after) in kept.into_iter().zip(at + 1..) {
        renumber.execute([before, after])?;
    }
    Ok(())
}

/// An entry of the log, as trimming sees it.
pub(super) struct Entry {
    pub position: Position,
    /// The origin's ordinal.
    pub origin: u32,
    pub version: DbVersion,
    /// Its changeset; none if it is in chunks.
    pub body: Option<Vec<u8>>,
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
        bytes += entry.body.as_ref().map_or(max_bytes, Vec::len);
        entries.push(entry);
    }
    Ok(entries)
}

/// Whose changeset in the log it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub position: Position,
    pub transaction: chunks::Transaction,
}

/// Calls `each` with every changeset in the log, in order, until it says to stop. A transaction in chunks that has none is
/// an empty changeset.
pub(super) fn visit(
    sqlite: &Connection,
    mut each: impl FnMut(Place, &[u8]) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut select = sqlite
        .prepare("SELECT position, origin, version, body FROM trellis_log ORDER BY position")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let position = Position(row.get::<_, i64>(0)?.cast_unsigned());
        let version = DbVersion(row.get::<_, i64>(2)?.cast_unsigned());
        let transaction = chunks::Transaction { origin: row.get(1)?, version };
        let place = Place { position, transaction };
        let body: Option<Vec<u8>> = row.get(3)?;
        let chunks = if body.is_some() { 1 } else { transaction.count(sqlite)?.max(1) };
        for chunk in 0..chunks {
            let read = match &body {
                Some(body) => each(place, body)?,
                None => each(place, &transaction.body(sqlite, chunk)?.unwrap_or_default())?,
            };
            if read.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Calls `each` with position and bytes of every entry after `after` and up to `upto`, in order.
pub(super) fn sizes(
    sqlite: &Connection,
    (after, upto): (Position, Position),
    mut each: impl FnMut(Position, u64),
) -> Result<()> {
    let mut select = sqlite.prepare_cached(
        "SELECT position, ifnull(length(impact), 0) + ifnull(length(resolved), 0) + ifnull(length(body), (
                SELECT sum(length(chunk.body)) FROM trellis_log_chunks chunk
                WHERE chunk.origin = log.origin AND chunk.version = log.version))
         FROM trellis_log log WHERE position > ?1 AND position <= ?2 ORDER BY position",
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
    let mut select = sqlite
        .prepare_cached("SELECT origin, version, body FROM trellis_log WHERE position = ?1")?;
    let found = select.query_row([position.0.cast_signed()], |row| {
        let version = DbVersion(row.get::<_, i64>(1)?.cast_unsigned());
        Ok((
            chunks::Transaction { origin: row.get(0)?, version },
            row.get::<_, Option<Vec<u8>>>(2)?,
        ))
    });
    match found.optional()? {
        Some((_, Some(body))) => Ok(Some(ChangesetReader::new(&body)?.committed_at_us)),
        Some((transaction, None)) => transaction.committed_at_us(sqlite),
        None => Ok(None),
    }
}

/// The last version of an origin with a deletion that is forgotten.
pub(super) fn forgotten(sqlite: &Connection, origin: u32) -> Result<DbVersion> {
    let mut select =
        sqlite.prepare_cached("SELECT forgotten FROM trellis_heads WHERE origin = ?1")?;
    let found: Option<i64> = select.query_row([origin], |row| row.get(0)).optional()?;
    Ok(DbVersion(found.unwrap_or(0).cast_unsigned()))
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

/// What tells the entry at a position from another transaction of its origin and number; none if it is not there.
pub(super) fn content_at(sqlite: &Connection, position: Position) -> Result<Option<ContentHash>> {
    let mut select = sqlite
        .prepare_cached("SELECT origin, version, body FROM trellis_log WHERE position = ?1")?;
    let found = select.query_row([position.0.cast_signed()], |row| {
        let version = DbVersion(row.get::<_, i64>(1)?.cast_unsigned());
        let stored = chunks::Transaction { origin: row.get(0)?, version };
        Ok((stored, row.get::<_, Option<Vec<u8>>>(2)?))
    });
    let Some((stored, body)) = found.optional()? else { return Ok(None) };
    content_of(sqlite, stored, body.as_deref()).map(Some)
}

/// What tells a transaction from another of its origin and number; without `body` it is in chunks.
pub(super) fn content_of(
    sqlite: &Connection,
    stored: chunks::Transaction,
    body: Option<&[u8]>,
) -> Result<ContentHash> {
    if let Some(body) = body {
        return Ok(ContentHash::of([body]));
    }
    let mut hashes = Vec::new();
    for chunk in 0..stored.count(sqlite)? {
        let body = stored.body(sqlite, chunk)?.unwrap_or_default();
        hashes.extend(ContentHash::of([&body[..]]).0.to_le_bytes());
    }
    Ok(ContentHash::of([&hashes[..]]))
}

/// The last trimmed version of an origin, and what is known of it.
pub(super) fn trimmed_content(
    sqlite: &Connection,
    origin: u32,
) -> Result<(DbVersion, ContentHash)> {
    let mut select =
        sqlite.prepare_cached("SELECT version, content FROM trellis_heads WHERE origin = ?1")?;
    let found = select.query_row([origin], |row| {
        let version = DbVersion(row.get::<_, i64>(0)?.cast_unsigned());
        Ok((version, ContentHash(row.get::<_, i64>(1)?.cast_unsigned())))
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Notes what is known of an origin's last trimmed version. After [`trim`] of that version.
pub(super) fn set_trimmed_content(
    sqlite: &Connection,
    origin: u32,
    content: ContentHash,
) -> Result<()> {
    sqlite
        .prepare_cached("UPDATE trellis_heads SET content = ?2 WHERE origin = ?1")?
        .execute(params![origin, content.0.cast_signed()])?;
    Ok(())
}

/// A stretch of one origin's changesets.
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

/// Reads `origin`'s changesets after `after`, up to and including the one that reaches `max_bytes`.
pub(super) fn read_origin(
    sqlite: &Connection,
    index: impl Fn(SiteId, DbVersion) -> Option<(DbVersion, Position)>,
    head: DbVersion,
    (origin, after): (SiteId, Progress),
    max_bytes: usize,
) -> Result<LogSlice> {
    let mut slice = Slice { changesets: Vec::new(), bytes: 0, max_bytes };
    let mut last = after;
    while last.version < head && !slice.is_full() {
        let Some((version, position)) = index(origin, last.version) else {
            return Ok(LogSlice::Trimmed { first: head.next() });
        };
        if version != last.version.next() {
            return Ok(LogSlice::Trimmed { first: version });
        }
        if !slice.read(sqlite, (origin, version), position, last.chunks)? {
            // Trimmed since the index was read.
            return Ok(LogSlice::Trimmed { first: version.next() });
        }
        last = version.into();
    }
    Ok(LogSlice::Changesets(slice.changesets))
}

/// What has been read.
struct Slice {
    changesets: Vec<EncodedChangeset>,
    bytes: usize,
    max_bytes: usize,
}

impl Slice {
    fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes && !self.changesets.is_empty()
    }

    fn push(&mut self, changeset: EncodedChangeset) {
        self.bytes += changeset.body.len();
        self.changesets.push(changeset);
    }

    /// Reads a transaction from chunk `first` on, until full. Returns whether it is there.
    fn read(
        &mut self,
        sqlite: &Connection,
        (site, version): (SiteId, DbVersion),
        position: Position,
        first: u32,
    ) -> Result<bool> {
        let mut statement = sqlite
            .prepare_cached("SELECT origin, version, body FROM trellis_log WHERE position = ?1")?;
        let row = statement.query_row([position.0.cast_signed()], |row| {
            let body: Option<Vec<u8>> = row.get(2)?;
            Ok((row.get(0)?, DbVersion(row.get::<_, i64>(1)?.cast_unsigned()), body))
        });
        let Some((origin, found, body)) = row.optional()? else {
            return Ok(false);
        };
        // Who has more chunks than there are has those of another copy.
        if found != version {
            return Err(StoreError::Damaged(format!(
                "the log has another version at position {}",
                position.0
            )));
        }
        if let Some(body) = body {
            self.push(EncodedChangeset::whole(site, version, body.into()));
            return Ok(first == 0);
        }
        let stored = chunks::Transaction { origin, version };
        let count = stored.count(sqlite)?;
        for index in first..count {
            if self.is_full() {
                break;
            }
            let Some(body) = stored.body(sqlite, index)? else {
                return Ok(false);
            };
            let chunk = Chunk { index, is_last: index + 1 == count };
            self.push(EncodedChangeset { site, version, chunk, body });
        }
        Ok(first < count)
    }
}

impl LogState {
    /// What tells a version of an origin from another one of that number; unknown if it has been trimmed, unless it was the
    /// last one that was.
    pub(super) fn content(
        &self,
        sqlite: &Connection,
        registry: &Registry,
        (origin, version): (SiteId, DbVersion),
    ) -> Result<ContentHash> {
        let before = DbVersion(version.0.saturating_sub(1));
        if let Some((found, position)) = self.first_after(origin, before)
            && found == version
        {
            return Ok(content_at(sqlite, position)?.unwrap_or_default());
        }
        let Some(ordinal) = registry.ordinal(origin) else { return Ok(ContentHash::default()) };
        let (trimmed, content) = trimmed_content(sqlite, ordinal)?;
        Ok(if trimmed == version { content } else { ContentHash::default() })
    }

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
        "SELECT position, origin, version, impact, body, resolved FROM trellis_log
         WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query([position.0.cast_signed(), durable.0.cast_signed(), limit])?;
    let mut transactions = Vec::new();
    while let Some(row) = rows.next()? {
        let found = Position(row.get::<_, i64>(0)?.cast_unsigned());
        if transactions.is_empty() && found.0 != position.0 + 1 {
            return Ok(LogRange::Trimmed { first: found });
        }
        let version = DbVersion(row.get::<_, i64>(2)?.cast_unsigned());
        let stored = chunks::Transaction { origin: row.get(1)?, version };
        let (body, impact): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(4)?, row.get(3)?);
        let (content, head) = match body {
            Some(body) => {
                let head = Head::read(&body)?;
                let impact = Impact(impact.unwrap_or_default());
                (Content::Whole { body: body.into(), impact }, head)
            }
            None => {
                let chunks = stored.count(sqlite)?;
                (Content::Chunked { chunks }, Head::read_chunks(sqlite, stored, chunks)?)
            }
        };
        transactions.push(AppliedTransaction {
            position: found,
            origin: registry.site(stored.origin),
            version,
            committed_at_us: head.committed_at_us,
            content,
            resolved: Resolved(row.get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default()),
            tag: 0,
            messages: head.messages,
        });
    }
    if transactions.is_empty() && position < durable {
        return Ok(LogRange::Trimmed { first: Position(durable.0 + 1) });
    }
    Ok(LogRange::Transactions(transactions))
}

/// What a transaction says before its changes.
struct Head {
    committed_at_us: u64,
    messages: Vec<Message>,
}

impl Head {
    fn read(body: &[u8]) -> Result<Self> {
        let ChangesetReader { committed_at_us, messages, .. } = ChangesetReader::new(body)?;
        Ok(Self { committed_at_us, messages })
    }

    /// Of a transaction in chunks: messages are in the first ones.
    fn read_chunks(sqlite: &Connection, stored: chunks::Transaction, chunks: u32) -> Result<Self> {
        let mut head = Self { committed_at_us: 0, messages: Vec::new() };
        for chunk in 0..chunks {
            let body = stored.body(sqlite, chunk)?.unwrap_or_default();
            let Self { committed_at_us, messages } = Self::read(&body)?;
            head.committed_at_us = committed_at_us;
            if messages.is_empty() {
                break;
            }
            head.messages.extend(messages);
        }
        Ok(head)
    }
}
