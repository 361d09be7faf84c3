//! Writes changesets, row by row as they are found, without building them first.

use std::collections::HashMap;

use bytes::Bytes;

use super::v1::{self, marker, tag};
use crate::crdt::bytes::{put_bytes, put_varint, zigzag};
use crate::types::{
    Changeset, ColumnId, EncodedChangeset, Message, Seq, TableChanges, TableId, ValueRef,
};

/// Why a changeset cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A row would exceed [`v1::ROW_BYTES_MAX`].
    #[error("row is too large: its key and values exceed {} bytes", v1::ROW_BYTES_MAX)]
    RowTooLarge,
    /// More than [`v1::CHUNKS_MAX`] chunks.
    #[error("transaction is too large: its changes exceed {} chunks", v1::CHUNKS_MAX)]
    TooManyChunks,
    /// More than [`v1::MESSAGES_MAX`] messages, or one beyond its limits.
    #[error("too many or too long notifications in one transaction")]
    Messages,
    /// More changes than sequence numbers.
    #[error("transaction is too large: too many changes")]
    TooManyChanges,
    /// Sequence numbers of a row are not consecutive, or rows are not in their order.
    #[error("sequence numbers out of order")]
    SeqOrder,
}

/// What rows changed in the same way have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowShape {
    /// Causal length after the transaction.
    pub causal_length: u64,
    /// Whether the sentinel is among the changes.
    pub sentinel: bool,
    /// Changed cells, by rising column index: index into the table's columns, and version.
    pub cells: Vec<(u32, u64)>,
}

/// Writes a changeset. Call in this order: [`Self::begin_table`], for each row [`Self::row`] and one [`Self::value`] per
/// cell of its shape, [`Self::end_table`]; then [`Self::finish`]. Between rows, and before the first table, the changeset
/// may be [`cut`](Self::cut): what follows goes into another one of the same transaction.
///
/// # Bounds
/// Holds [`v1::CHUNK_BYTES`] and one row, if it is cut whenever it [`is_full`](Self::is_full).
#[derive(Debug)]
pub struct ChangesetWriter {
    out: Vec<u8>,
    committed_at_us: u64,
    /// The head of the present table; empty between tables.
    table_head: Vec<u8>,
    /// Where the present row begins in `out`.
    row_start: usize,
    /// Shapes of the present table and their numbers.
    shapes: HashMap<RowShape, u64>,
    /// The shape of the row before, which is nearly always that of the next.
    last_shape: Option<(RowShape, u64)>,
    /// Sequence number of the next change.
    next_seq: u32,
    /// Sequence number up to which the rows written so far reach.
    written_seq: u32,
}

impl ChangesetWriter {
    /// Starts a changeset.
    ///
    /// # Errors
    /// [`EncodeError::Messages`] if these are beyond their limits.
    pub fn new(committed_at_us: u64, messages: &[Message]) -> Result<Self, EncodeError> {
        let mut writer = Self {
            out: Vec::new(),
            committed_at_us,
            table_head: Vec::new(),
            row_start: 0,
            shapes: HashMap::new(),
            last_shape: None,
            next_seq: 0,
            written_seq: 0,
        };
        writer.put_head(messages)?;
        Ok(writer)
    }

    fn put_head(&mut self, messages: &[Message]) -> Result<(), EncodeError> {
        self.out.push(v1::FORMAT);
        put_varint(&mut self.out, self.committed_at_us);
        if messages.len() > v1::MESSAGES_MAX {
            return Err(EncodeError::Messages);
        }
        put_varint(&mut self.out, messages.len() as u64);
        for Message { channel, payload } in messages {
            if channel.len() > v1::CHANNEL_BYTES_MAX || payload.len() > v1::PAYLOAD_BYTES_MAX {
                return Err(EncodeError::Messages);
            }
            put_bytes(&mut self.out, channel.as_bytes());
            put_bytes(&mut self.out, payload.as_bytes());
        }
        Ok(())
    }

    /// The sequence number of the next row.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        Seq(self.next_seq)
    }

    /// Leaves out sequence numbers up to `seq`.
    pub fn skip_to(&mut self, seq: Seq) {
        self.next_seq = self.next_seq.max(seq.0);
    }

    /// Whether it is time to [`cut`](Self::cut).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.out.len() >= v1::CHUNK_BYTES
    }

    /// Ends the changeset here and puts it into `body`, whose memory is used for the next one; starts another one, in which
    /// the present table goes on.
    ///
    /// # Errors
    /// [`EncodeError::Messages`] if these, which the new one begins with, are beyond their limits.
    pub fn cut(&mut self, messages: &[Message], body: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !self.table_head.is_empty() {
            put_varint(&mut self.out, marker::END);
        }
        put_varint(&mut self.out, marker::END);
        std::mem::swap(&mut self.out, body);
        self.out.clear();
        self.put_head(messages)?;
        self.out.extend_from_slice(&self.table_head);
        self.shapes.clear();
        self.last_shape = None;
        self.written_seq = 0;
        Ok(())
    }

    /// Starts the changes of a table.
    pub fn begin_table(
        &mut self,
        table: TableId,
        columns: impl ExactSizeIterator<Item = ColumnId>,
    ) {
        let head = &mut self.table_head;
        put_varint(head, marker::NEW);
        put_varint(head, table.0);
        put_varint(head, columns.len() as u64);
        columns.for_each(|column| put_varint(head, u64::from(column.0)));
        self.out.extend_from_slice(head);
        self.shapes.clear();
        self.last_shape = None;
    }

    /// Starts a row and returns the sequence number of its first change, the sentinel if there is one.
    ///
    /// # Errors
    /// [`EncodeError::RowTooLarge`] or [`EncodeError::TooManyChanges`] when the row or the transaction is beyond its limits.
    pub fn row(&mut self, shape: &RowShape, pk: &[u8]) -> Result<Seq, EncodeError> {
        self.row_start = self.out.len();
        self.check_room(pk.len())?;
        self.put_shape(shape);
        put_varint(&mut self.out, u64::from(self.next_seq - self.written_seq));
        put_bytes(&mut self.out, pk);
        let first = self.next_seq;
        let changes = u32::try_from(shape.cells.len() + usize::from(shape.sentinel));
        let end = changes.ok().and_then(|changes| first.checked_add(changes));
        self.next_seq = end.ok_or(EncodeError::TooManyChanges)?;
        self.written_seq = self.next_seq;
        Ok(Seq(first))
    }

    /// Refuses a row that would grow beyond its limit by as many bytes.
    fn check_room(&self, bytes: usize) -> Result<(), EncodeError> {
        let row = (self.out.len() - self.row_start).saturating_add(bytes);
        if row > v1::ROW_BYTES_MAX { Err(EncodeError::RowTooLarge) } else { Ok(()) }
    }

    /// The next value of the present row.
    ///
    /// # Errors
    /// [`EncodeError::RowTooLarge`] when the row is beyond its limit; the changeset is of no use then.
    pub fn value(&mut self, value: ValueRef<'_>) -> Result<(), EncodeError> {
        match value {
            ValueRef::Text(text) => self.check_room(text.len())?,
            ValueRef::Blob(blob) => self.check_room(blob.len())?,
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => {}
        }
        put_value(&mut self.out, value);
        Ok(())
    }

    /// The next values of the present row, each written by [`put_value`].
    ///
    /// # Errors
    /// As [`Self::value`].
    #[cfg(feature = "store")]
    pub(crate) fn encoded_values(&mut self, values: &[u8]) -> Result<(), EncodeError> {
        self.check_room(values.len())?;
        self.out.extend_from_slice(values);
        Ok(())
    }

    /// Ends the changes of a table.
    pub fn end_table(&mut self) {
        put_varint(&mut self.out, marker::END);
        self.table_head.clear();
    }

    /// Ends the changeset.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        put_varint(&mut self.out, marker::END);
        Bytes::from(self.out)
    }

    fn put_shape(&mut self, shape: &RowShape) {
        if let Some((last, number)) = &self.last_shape
            && last == shape
        {
            put_varint(&mut self.out, *number);
            return;
        }
        if let Some(number) = self.shapes.get(shape) {
            put_varint(&mut self.out, *number);
            self.last_shape = Some((shape.clone(), *number));
            return;
        }
        put_varint(&mut self.out, marker::NEW);
        put_varint(&mut self.out, shape.causal_length);
        self.out.push(u8::from(shape.sentinel));
        put_varint(&mut self.out, shape.cells.len() as u64);
        let mut next_column = 0;
        for (column, col_version) in &shape.cells {
            put_varint(&mut self.out, u64::from(column - next_column));
            put_varint(&mut self.out, *col_version);
            next_column = column + 1;
        }
        if self.shapes.len() < v1::SHAPES_MAX {
            let number = marker::FIRST_KNOWN + self.shapes.len() as u64;
            self.shapes.insert(shape.clone(), number);
            self.last_shape = Some((shape.clone(), number));
        }
    }
}

/// Appends a value as it stands in a changeset.
pub(crate) fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.push(tag::NULL),
        ValueRef::Integer(integer) => {
            out.push(tag::INTEGER);
            put_varint(out, zigzag(integer));
        }
        ValueRef::Real(real) => {
            out.push(tag::REAL);
            out.extend_from_slice(&real.to_le_bytes());
        }
        ValueRef::Text(text) => {
            out.push(tag::TEXT);
            put_bytes(out, text.as_bytes());
        }
        ValueRef::Blob(blob) => {
            out.push(tag::BLOB);
            put_bytes(out, blob);
        }
    }
}

/// Encodes a changeset that is already in memory, as one that is a transaction by itself.
///
/// # Errors
/// If it is beyond the limits, or its sequence numbers are not consecutive within rows and rising between them.
pub fn encode(changeset: &Changeset) -> Result<EncodedChangeset, EncodeError> {
    let mut writer = ChangesetWriter::new(changeset.committed_at_us, &changeset.messages)?;
    for table in &changeset.tables {
        encode_table(&mut writer, table)?;
    }
    let body = writer.finish();
    Ok(EncodedChangeset::whole(changeset.site, changeset.version, body))
}

fn encode_table(writer: &mut ChangesetWriter, table: &TableChanges) -> Result<(), EncodeError> {
    writer.begin_table(table.table, table.columns.iter().copied());
    for row in &table.rows {
        let mut seqs = row.sentinel.into_iter().chain(row.cells.iter().map(|cell| cell.seq));
        let first = seqs.next().unwrap_or(Seq(writer.next_seq));
        if first.0 < writer.next_seq || !seqs.zip(first.0 + 1..).all(|(seq, due)| seq.0 == due) {
            return Err(EncodeError::SeqOrder);
        }
        if !row.cells.is_sorted_by(|left, right| left.column < right.column) {
            return Err(EncodeError::SeqOrder);
        }
        writer.next_seq = first.0;
        let cells = row.cells.iter().map(|cell| (cell.column, cell.col_version)).collect();
        let shape = RowShape {
            causal_length: row.causal_length.0,
            sentinel: row.sentinel.is_some(),
            cells,
        };
        writer.row(&shape, &row.pk)?;
        row.cells.iter().try_for_each(|cell| writer.value(cell.value.as_ref()))?;
    }
    writer.end_table();
    Ok(())
}
