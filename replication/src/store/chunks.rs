//! The chunks of large transactions, in the log and on their way into it.
//!
//! A transaction whose changes fill more than one changeset lies in `trellis_log_chunks`, one row per chunk, and its row in
//! `trellis_log` has no body. Where it is made, the chunks are written as they fill, inside its COMMIT ([`LogWriter`]).
//! Where it arrives, each chunk is **staged**: written to the same table, checked and durable, a SQLite transaction each, so
//! that others go on meanwhile and a restart resumes. When the last one is here, all are merged in one SQLite transaction,
//! read one by one, and the row in `trellis_log` is what makes them a part of the log (`apply.rs`). So the bytes are written
//! once on each node, and no node ever holds more than one chunk of them in memory.
//!
//! # Invariants
//! 1. Chunks of an origin's version above its head are those of one version, the next, from 0 without gaps: they are staged.
//! 2. The chunks of a version in the log are complete.
//! 3. Chunks that are together say the same time of commit.
//!
//! The chunks' table has rowids: a search in a table without would read whole chunks to compare their keys.
//!
//! # Bounds
//! A chunk is at most [`v1::BODY_BYTES_MAX`], and about [`v1::CHUNK_BYTES`] unless a row is larger; a transaction has at most
//! [`v1::CHUNKS_MAX`].

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::applied::{Content, Impact, ImpactWriter, RowOp, implied_op};
use super::error::Result;
use super::messages::message_bytes;
use crate::types::{ColumnId, DbVersion, Message, Seq, TableId, ValueRef};
use crate::wire::{ChangesetWriter, EncodeError, RowShape, v1};

/// The tables.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_log_chunks (
        origin INTEGER NOT NULL, version INTEGER NOT NULL, chunk INTEGER NOT NULL,
        committed_at_us INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (origin, version, chunk)) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_log_impacts (
        origin INTEGER NOT NULL, version INTEGER NOT NULL, chunk INTEGER NOT NULL, impact BLOB NOT NULL,
        PRIMARY KEY (origin, version, chunk)) STRICT, WITHOUT ROWID;
";

/// A transaction with chunks, by its origin's ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    pub origin: u32,
    pub version: DbVersion,
}

impl Transaction {
    fn key(self) -> (u32, i64) {
        (self.origin, self.version.0.cast_signed())
    }

    /// How many chunks are here.
    pub(super) fn count(self, sqlite: &Connection) -> Result<u32> {
        let last: Option<u32> = sqlite
            .prepare_cached(
                "SELECT max(chunk) FROM trellis_log_chunks WHERE origin = ?1 AND version = ?2",
            )?
            .query_row(self.key(), |row| row.get(0))?;
        Ok(last.map_or(0, |last| last + 1))
    }

    /// Writes a chunk, which says when the transaction was committed.
    pub(super) fn put(
        self,
        sqlite: &Connection,
        chunk: u32,
        committed_at_us: u64,
        body: &[u8],
    ) -> Result<()> {
        let (origin, version) = self.key();
        sqlite
            .prepare_cached(
                "INSERT INTO trellis_log_chunks (origin, version, chunk, committed_at_us, body)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![origin, version, chunk, committed_at_us.cast_signed(), body])?;
        Ok(())
    }

    /// When the transaction was committed, as its first chunk says; none if that is not here.
    pub(super) fn committed_at_us(self, sqlite: &Connection) -> Result<Option<u64>> {
        let mut select = sqlite.prepare_cached(
            "SELECT committed_at_us FROM trellis_log_chunks
             WHERE origin = ?1 AND version = ?2 AND chunk = 0",
        )?;
        let found = select.query_row(self.key(), |row| row.get(0)).optional()?;
        Ok(found.map(i64::cast_unsigned))
    }

    /// Writes what a chunk changed here, unless that is what it says.
    pub(super) fn put_impact(self, sqlite: &Connection, chunk: u32, impact: &Impact) -> Result<()> {
        if impact.0.is_empty() {
            return Ok(());
        }
        let (origin, version) = self.key();
        sqlite
            .prepare_cached("INSERT INTO trellis_log_impacts (origin, version, chunk, impact) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![origin, version, chunk, impact.0])?;
        Ok(())
    }

    /// Reads a chunk.
    pub(super) fn body(self, sqlite: &Connection, chunk: u32) -> Result<Option<Bytes>> {
        let (origin, version) = self.key();
        let mut select = sqlite.prepare_cached(
            "SELECT body FROM trellis_log_chunks WHERE origin = ?1 AND version = ?2 AND chunk = ?3",
        )?;
        let body =
            select.query_row(params![origin, version, chunk], |row| row.get::<_, Vec<u8>>(0));
        Ok(body.optional()?.map(Bytes::from))
    }

    /// Reads what a chunk changed here.
    pub(super) fn impact(self, sqlite: &Connection, chunk: u32) -> Result<Impact> {
        let (origin, version) = self.key();
        let mut select = sqlite.prepare_cached(
            "SELECT impact FROM trellis_log_impacts WHERE origin = ?1 AND version = ?2 AND chunk = ?3",
        )?;
        let impact = select.query_row(params![origin, version, chunk], |row| row.get(0));
        Ok(Impact(impact.optional()?.unwrap_or_default()))
    }

    /// Removes what is staged of it.
    pub(super) fn discard(self, sqlite: &Connection) -> Result<()> {
        let mut delete = sqlite
            .prepare_cached("DELETE FROM trellis_log_chunks WHERE origin = ?1 AND version = ?2")?;
        delete.execute(self.key())?;
        Ok(())
    }
}

/// All transactions with chunks, those in the log and those staged, with the number of their chunks.
pub(super) fn all(sqlite: &Connection) -> Result<Vec<(Transaction, u32)>> {
    let mut select = sqlite.prepare(
        "SELECT origin, version, max(chunk) + 1 FROM trellis_log_chunks GROUP BY origin, version",
    )?;
    let found = select.query_map([], |row| {
        let version = DbVersion(row.get::<_, i64>(1)?.cast_unsigned());
        Ok((Transaction { origin: row.get(0)?, version }, row.get(2)?))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Removes the chunks of what the log has at or below `position`; call before that is removed itself.
pub(super) fn trim(sqlite: &Connection, position: i64) -> Result<()> {
    for table in ["trellis_log_chunks", "trellis_log_impacts"] {
        sqlite.execute(
            &format!(
                "DELETE FROM {table} WHERE (origin, version) IN
                    (SELECT origin, version FROM trellis_log WHERE position <= ?1 AND body IS NULL)"
            ),
            [position],
        )?;
    }
    Ok(())
}

/// Writes the changes of a local transaction: to memory while they fit into one changeset, else chunk by chunk to the log.
pub(super) struct LogWriter<'c> {
    sqlite: &'c Connection,
    transaction: Transaction,
    committed_at_us: u64,
    writer: ChangesetWriter,
    impact: ImpactWriter,
    /// Chunks written so far.
    chunks: u32,
    /// The last of them, for its memory.
    chunk: Vec<u8>,
}

impl<'c> LogWriter<'c> {
    /// Starts the transaction `version` of this site.
    pub(super) fn new(
        sqlite: &'c Connection,
        version: DbVersion,
        committed_at_us: u64,
        messages: &[Message],
    ) -> Result<Self> {
        let mut groups = message_groups(messages);
        let writer = ChangesetWriter::new(committed_at_us, groups.next().unwrap_or_default())?;
        let transaction = Transaction { origin: 0, version };
        let impact = ImpactWriter::default();
        let chunk = Vec::new();
        let mut log =
            Self { sqlite, transaction, committed_at_us, writer, impact, chunks: 0, chunk };
        groups.try_for_each(|group| log.cut(group))?;
        Ok(log)
    }

    /// Starts the changes of a table.
    pub(super) fn begin_table(
        &mut self,
        table: TableId,
        columns: impl ExactSizeIterator<Item = ColumnId>,
    ) {
        self.writer.begin_table(table, columns);
    }

    /// Starts a row and returns the sequence number of its first change.
    pub(super) fn row(&mut self, shape: &RowShape, pk: &[u8]) -> Result<Seq> {
        if self.writer.is_full() {
            self.cut(&[])?;
        }
        Ok(self.writer.row(shape, pk)?)
    }

    /// The next value of the present row.
    pub(super) fn value(&mut self, value: ValueRef<'_>) -> Result<()> {
        Ok(self.writer.value(value)?)
    }

    /// The next values of the present row, encoded.
    pub(super) fn encoded_values(&mut self, values: &[u8]) -> Result<()> {
        Ok(self.writer.encoded_values(values)?)
    }

    /// Notes what happened to the present row, whose shape this is.
    pub(super) fn effect(&mut self, shape: &RowShape, op: RowOp) {
        self.impact.push(implied_op(shape), Some(op));
    }

    /// Ends the changes of a table.
    pub(super) fn end_table(&mut self) {
        self.writer.end_table();
    }

    /// Ends the transaction.
    pub(super) fn finish(self) -> Result<Content> {
        let Self { sqlite, transaction, committed_at_us, writer, impact, chunks, .. } = self;
        let (body, impact) = (writer.finish(), impact.finish());
        if chunks == 0 {
            return Ok(Content::Whole { body, impact });
        }
        transaction.put(sqlite, chunks, committed_at_us, &body)?;
        transaction.put_impact(sqlite, chunks, &impact)?;
        Ok(Content::Chunked { chunks: chunks + 1 })
    }

    fn cut(&mut self, messages: &[Message]) -> Result<()> {
        if self.chunks + 1 >= v1::CHUNKS_MAX {
            return Err(EncodeError::TooManyChunks.into());
        }
        self.writer.cut(messages, &mut self.chunk)?;
        self.transaction.put(self.sqlite, self.chunks, self.committed_at_us, &self.chunk)?;
        let impact = std::mem::take(&mut self.impact).finish();
        self.transaction.put_impact(self.sqlite, self.chunks, &impact)?;
        self.chunks += 1;
        Ok(())
    }
}

/// Cuts messages into groups that fill one changeset each.
fn message_groups(messages: &[Message]) -> impl Iterator<Item = &[Message]> {
    let mut bytes = 0;
    messages.chunk_by(move |message, _next| {
        bytes += message_bytes(message);
        let fits = bytes < v1::CHUNK_BYTES;
        if !fits {
            bytes = 0;
        }
        fits
    })
}
