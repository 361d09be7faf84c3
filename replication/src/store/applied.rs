//! A transaction that this node has applied, its own or another's, and which rows it changed here.

use std::fmt;

use bytes::Bytes;

use super::resolved::Resolved;
use crate::crdt::bytes::{DecodeError, Reader, put_varint};
use crate::types::{DbVersion, EncodedChangeset, Message, Position, SiteId, TableId};
use crate::wire::{ChangesetReader, RowShape, RowView, TableView};

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowOp {
    /// It came to be.
    Insert,
    /// Its values changed.
    Update,
    /// It went away.
    Delete,
}

/// A row that a transaction changed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowEvent<'a> {
    /// The table.
    pub table: TableId,
    /// What happened.
    pub op: RowOp,
    /// Packed primary key.
    pub pk: &'a [u8],
}

/// A transaction in this node's log.
#[derive(Clone)]
pub struct AppliedTransaction {
    /// Its place in this node's log.
    pub position: Position,
    /// The site that committed it.
    pub origin: SiteId,
    /// Its number among that site's transactions.
    pub version: DbVersion,
    /// Wall clock of the origin at commit, microseconds since 1970.
    pub committed_at_us: u64,
    /// Its changes.
    pub(super) content: Content,
    /// Which rows it hid and showed here.
    pub(super) resolved: Resolved,
    /// What [`super::StoreConnection::set_tag`] said on the connection that committed it; 0 if that was elsewhere, or
    /// before this file was opened.
    pub tag: u32,
    /// Its `NOTIFY` messages.
    pub messages: Vec<Message>,
}

/// Where a transaction's changes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Here, in one changeset.
    Whole {
        /// The changeset.
        body: Bytes,
        /// Which of its rows changed something here.
        impact: Impact,
    },
    /// In the log, in as many chunks (`chunks.rs`).
    Chunked { chunks: u32 },
}

impl fmt::Debug for AppliedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, origin, version, .. } = self;
        write!(f, "AppliedTransaction({} {origin}:{})", position.0, version.0)
    }
}

impl AppliedTransaction {
    /// Its changes as they travel, if it is one changeset; a larger one is read from the log, chunk by chunk.
    #[must_use]
    pub fn encoded(&self) -> Option<EncodedChangeset> {
        match &self.content {
            Content::Whole { body, .. } => {
                Some(EncodedChangeset::whole(self.origin, self.version, body.clone()))
            }
            Content::Chunked { .. } => None,
        }
    }
}

/// The rows that a changeset has changed here, in its order. Rows whose every change lost against what was there already
/// are not among them.
#[derive(Debug)]
pub(super) struct RowEvents<'a> {
    reader: Option<ChangesetReader<'a>>,
    table: Option<TableView>,
    values: Vec<crate::types::ValueRef<'a>>,
    impact: ImpactReader<'a>,
}

impl<'a> Iterator for RowEvents<'a> {
    type Item = RowEvent<'a>;

    fn next(&mut self) -> Option<RowEvent<'a>> {
        // What was applied was decoded before, so an error here cannot happen; it would end the rows.
        self.try_next().ok().flatten()
    }
}

impl<'a> RowEvents<'a> {
    pub(super) fn new(body: &'a [u8], impact: &'a Impact) -> Self {
        Self {
            reader: ChangesetReader::new(body).ok(),
            table: None,
            values: Vec::new(),
            impact: ImpactReader { reader: Reader::new(&impact.0), count: 0, code: IMPLIED },
        }
    }

    fn try_next(&mut self) -> Result<Option<RowEvent<'a>>, DecodeError> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        loop {
            let Some(table) = &self.table else {
                self.table = reader.next_table()?;
                if self.table.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let Some(row) = reader.next_row(table, &mut self.values)? else {
                self.table = None;
                continue;
            };
            let RowView { pk, shape, .. } = row;
            let op = match self.impact.next()? {
                IMPLIED => Some(implied_op(shape)),
                code => op_of_code(code),
            };
            if let Some(op) = op {
                return Ok(Some(RowEvent { table: table.table, op, pk }));
            }
        }
    }
}

/// What a row change does where nothing conflicts with it.
pub(super) fn implied_op(shape: &RowShape) -> RowOp {
    if shape.causal_length.is_multiple_of(2) {
        RowOp::Delete
    } else if shape.sentinel || shape.cells.iter().all(|(_, col_version)| *col_version == 1) {
        RowOp::Insert
    } else {
        RowOp::Update
    }
}

/// Which rows of a changeset changed something here, where it is not what [`implied_op`] says: runs of
/// `(rows, code)`. Empty when it is, for all rows; rows beyond the last run are as implied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Impact(pub Vec<u8>);

const IMPLIED: u64 = 0;
const NONE: u64 = 1;

fn code_of(implied: RowOp, actual: Option<RowOp>) -> u64 {
    match actual {
        Some(op) if op == implied => IMPLIED,
        None => NONE,
        Some(RowOp::Insert) => 2,
        Some(RowOp::Update) => 3,
        Some(RowOp::Delete) => 4,
    }
}

fn op_of_code(code: u64) -> Option<RowOp> {
    match code {
        2 => Some(RowOp::Insert),
        3 => Some(RowOp::Update),
        4 => Some(RowOp::Delete),
        _ => None,
    }
}

/// Collects an [`Impact`].
#[derive(Debug, Default)]
pub(super) struct ImpactWriter {
    out: Vec<u8>,
    run: (u64, u64),
}

impl ImpactWriter {
    /// Adds the outcome of the next row.
    pub(super) fn push(&mut self, implied: RowOp, actual: Option<RowOp>) {
        let code = code_of(implied, actual);
        if self.run.1 == code {
            self.run.0 += 1;
        } else {
            self.end_run();
            self.run = (1, code);
        }
    }

    fn end_run(&mut self) {
        if self.run.0 > 0 {
            put_varint(&mut self.out, self.run.0);
            put_varint(&mut self.out, self.run.1);
        }
    }

    pub(super) fn finish(mut self) -> Impact {
        if self.run.1 != IMPLIED {
            self.end_run();
        }
        Impact(self.out)
    }
}

#[derive(Debug)]
struct ImpactReader<'a> {
    reader: Reader<'a>,
    count: u64,
    code: u64,
}

impl ImpactReader<'_> {
    fn next(&mut self) -> Result<u64, DecodeError> {
        while self.count == 0 {
            if self.reader.is_empty() {
                return Ok(IMPLIED);
            }
            self.count = self.reader.varint()?;
            self.code = self.reader.varint()?;
        }
        self.count -= 1;
        Ok(self.code)
    }
}
