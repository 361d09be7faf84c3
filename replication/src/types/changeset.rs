//! One transaction's changes, decoded and encoded.

use bytes::Bytes;

use super::{CausalLength, ColumnId, DbVersion, Seq, SiteId, TableId, Value};

/// What one committed transaction of one site changed: all of it, or one [`Chunk`].
#[derive(Clone, Debug, PartialEq)]
pub struct Changeset {
    /// The site that committed it.
    pub site: SiteId,
    /// Its number among that site's transactions.
    pub version: DbVersion,
    /// Wall clock of the origin at commit, microseconds since 1970; information, never used to merge.
    pub committed_at_us: u64,
    /// Changed tables, system tables first; each table once.
    pub tables: Vec<TableChanges>,
    /// `NOTIFY` messages of the transaction, in the order they were sent.
    pub messages: Vec<Message>,
}

/// The changes to one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableChanges {
    /// The table.
    pub table: TableId,
    /// The columns that cells of this table refer to by index.
    pub columns: Vec<ColumnId>,
    /// Changed rows, each primary key once.
    pub rows: Vec<RowChange>,
}

/// The changes to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// Packed primary key (`crate::crdt::pack`).
    pub pk: Vec<u8>,
    /// The row's causal length after the transaction.
    pub causal_length: CausalLength,
    /// Sequence number of the row's sentinel if it changed: the row was deleted, resurrected, or has key columns only.
    pub sentinel: Option<Seq>,
    /// Changed cells; empty for a deleted row.
    pub cells: Vec<CellChange>,
}

/// One changed cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellChange {
    /// Index into [`TableChanges::columns`].
    pub column: u32,
    /// The cell's version, from 1; larger wins. 0 in a cell that a resurrection found and nobody wrote since.
    pub col_version: u64,
    /// Place within the transaction.
    pub seq: Seq,
    /// The new value.
    pub value: Value,
}

/// A `NOTIFY` as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Channel name, at most 63 bytes.
    pub channel: String,
    /// Payload, below 8,000 bytes as in PostgreSQL.
    pub payload: String,
}

/// Which stretch of its transaction's changes a changeset holds. A small transaction is one changeset; a large one is
/// several, each readable by itself, with rising sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chunk {
    /// Its place among those of the transaction, from 0.
    pub index: u32,
    /// Whether the transaction ends with it.
    pub is_last: bool,
}

impl Chunk {
    /// The only one of its transaction.
    pub const WHOLE: Self = Self { index: 0, is_last: true };

    /// Whether it is the only one of its transaction.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }
}

/// A changeset as the bytes that the log keeps and peers exchange (`crate::wire`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChangeset {
    /// The site that committed it.
    pub site: SiteId,
    /// Its number among that site's transactions.
    pub version: DbVersion,
    /// Which stretch of the transaction it is.
    pub chunk: Chunk,
    /// The encoded [`Changeset`].
    pub body: Bytes,
}

impl EncodedChangeset {
    /// A transaction that is one changeset.
    #[must_use]
    pub fn whole(site: SiteId, version: DbVersion, body: Bytes) -> Self {
        Self { site, version, chunk: Chunk::WHOLE, body }
    }
}
