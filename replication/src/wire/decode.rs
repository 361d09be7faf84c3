//! Reads changesets from anyone: row by row, borrowing, checking every length and count.

use super::encode::RowShape;
use super::v1::{self, marker, tag};
use crate::crdt::bytes::{DecodeError, Reader, unzigzag};
use crate::types::{
    CausalLength, CellChange, Changeset, ColumnId, EncodedChangeset, Message, RowChange, Seq,
    TableChanges, TableId, ValueRef,
};

/// Reads a changeset body. Tables come in the order they were written, system tables first.
#[derive(Debug)]
pub struct ChangesetReader<'a> {
    reader: Reader<'a>,
    /// Wall clock of the origin at commit, microseconds since 1970.
    pub committed_at_us: u64,
    /// Messages of the transaction.
    pub messages: Vec<Message>,
    /// Sequence number after the row before.
    next_seq: u32,
    /// Shapes of the present table.
    shapes: Vec<RowShape>,
    /// The shape that was too many to remember.
    extra_shape: RowShape,
}

/// The head of a table's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableView {
    /// The table.
    pub table: TableId,
    /// The columns that cells refer to by index.
    pub columns: Vec<ColumnId>,
}

/// One row's changes, borrowed from the body.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a, 'shape> {
    /// Packed primary key, not checked.
    pub pk: &'a [u8],
    /// Causal length, sentinel and cells.
    pub shape: &'shape RowShape,
    /// Sequence number of the first change: the sentinel's if there is one.
    pub first_seq: u32,
}

/// What comes before a row's values.
struct RowHead<'a> {
    /// Index among the known shapes, or one beyond them.
    shape: usize,
    pk: &'a [u8],
    first_seq: u32,
}

impl<'a> ChangesetReader<'a> {
    /// Reads what comes before the first table.
    ///
    /// # Errors
    /// If the body is not in a known format or malformed.
    pub fn new(body: &'a [u8]) -> Result<Self, DecodeError> {
        if body.len() > v1::BODY_BYTES_MAX {
            return Err(DecodeError::Bounds("body"));
        }
        let mut reader = Reader::new(body);
        if reader.u8()? != v1::FORMAT {
            return Err(DecodeError::Invalid("format"));
        }
        let committed_at_us = reader.varint()?;
        let count = reader.count(v1::MESSAGES_MAX, "messages")?;
        let mut messages = Vec::with_capacity(count.min(reader.remaining() / 2));
        for _ in 0..count {
            let (channel, payload) = (reader.text()?, reader.text()?);
            if channel.len() > v1::CHANNEL_BYTES_MAX || payload.len() > v1::PAYLOAD_BYTES_MAX {
                return Err(DecodeError::Bounds("message"));
            }
            messages.push(Message { channel: channel.to_owned(), payload: payload.to_owned() });
        }
        let (shapes, extra_shape) = (Vec::new(), RowShape::default());
        Ok(Self { reader, committed_at_us, messages, next_seq: 0, shapes, extra_shape })
    }

    /// The next table, or `None` at the end. Call only when the rows of the table before have been read.
    ///
    /// # Errors
    /// If the body is malformed here, or goes on after its end.
    pub fn next_table(&mut self) -> Result<Option<TableView>, DecodeError> {
        match self.reader.varint()? {
            marker::END if self.reader.is_empty() => return Ok(None),
            marker::END => return Err(DecodeError::Trailing),
            marker::NEW => {}
            _ => return Err(DecodeError::Invalid("table marker")),
        }
        self.shapes.clear();
        let table = TableId(self.reader.varint()?);
        let count = self.reader.count(v1::COLUMNS_MAX, "columns")?;
        let mut columns = Vec::with_capacity(count.min(self.reader.remaining()));
        for _ in 0..count {
            columns.push(ColumnId(self.reader.varint_u32()?));
        }
        Ok(Some(TableView { table, columns }))
    }

    /// The next row of `table`, whose values are put into `values`, or `None` after its last.
    ///
    /// # Errors
    /// If the body is malformed here.
    pub fn next_row(
        &mut self,
        table: &TableView,
        values: &mut Vec<ValueRef<'a>>,
    ) -> Result<Option<RowView<'a, '_>>, DecodeError> {
        values.clear();
        let Some(RowHead { shape, pk, first_seq }) = self.row_head(table)? else {
            return Ok(None);
        };
        let shape = self.shapes.get(shape).unwrap_or(&self.extra_shape);
        for _ in &shape.cells {
            values.push(read_value(&mut self.reader)?);
        }
        Ok(Some(RowView { pk, shape, first_seq }))
    }

    /// Reads the next row up to its values.
    fn row_head(&mut self, table: &TableView) -> Result<Option<RowHead<'a>>, DecodeError> {
        let marker = self.reader.varint()?;
        if marker == marker::END {
            return Ok(None);
        }
        let index = self.read_shape(marker, table.columns.len())?;
        let shape = self.shapes.get(index).unwrap_or(&self.extra_shape);
        let overflow = DecodeError::Bounds("seq");
        let first_seq = self.next_seq.checked_add(self.reader.varint_u32()?).ok_or(overflow)?;
        let changes = shape.cells.len() + usize::from(shape.sentinel);
        let changes = u32::try_from(changes).map_err(|_too_large| overflow)?;
        self.next_seq = first_seq.checked_add(changes).ok_or(overflow)?;
        Ok(Some(RowHead { shape: index, pk: self.reader.bytes()?, first_seq }))
    }

    /// Reads to the end, but for what is inside keys and values.
    ///
    /// # Errors
    /// If the body's structure is malformed anywhere.
    pub fn skip_all(mut self) -> Result<(), DecodeError> {
        while let Some(table) = self.next_table()? {
            while let Some(head) = self.row_head(&table)? {
                let shape = self.shapes.get(head.shape).unwrap_or(&self.extra_shape);
                for _ in &shape.cells {
                    skip_value(&mut self.reader)?;
                }
            }
        }
        Ok(())
    }

    /// The index of the row's shape among the known ones, or one beyond them for the shape kept aside.
    fn read_shape(&mut self, marker: u64, columns: usize) -> Result<usize, DecodeError> {
        let unknown = DecodeError::Invalid("shape");
        if marker != marker::NEW {
            let known =
                usize::try_from(marker - marker::FIRST_KNOWN).map_err(|_too_large| unknown)?;
            return if known < self.shapes.len() { Ok(known) } else { Err(unknown) };
        }
        let shape = decode_shape(&mut self.reader, columns)?;
        if self.shapes.len() < v1::SHAPES_MAX {
            self.shapes.push(shape);
            return Ok(self.shapes.len() - 1);
        }
        self.extra_shape = shape;
        Ok(self.shapes.len())
    }
}

fn decode_shape(reader: &mut Reader<'_>, columns: usize) -> Result<RowShape, DecodeError> {
    let causal_length = reader.varint()?;
    let sentinel = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::Invalid("sentinel")),
    };
    let count = reader.count(columns, "cells")?;
    // Stored causal lengths and versions are signed 64-bit numbers in SQL.
    let signed = |number: u64, what| match i64::try_from(number) {
        Ok(_) => Ok(number),
        Err(_) => Err(DecodeError::Bounds(what)),
    };
    if signed(causal_length, "causal length")? == 0 {
        return Err(DecodeError::Bounds("causal length"));
    }
    if causal_length % 2 == 0 && (count > 0 || !sentinel) {
        return Err(DecodeError::Invalid("deleted row"));
    }
    let mut cells = Vec::with_capacity(count);
    let mut next_column = 0usize;
    for _ in 0..count {
        let column = next_column + reader.count(columns, "column")?;
        if column >= columns {
            return Err(DecodeError::Bounds("column"));
        }
        cells.push((
            u32::try_from(column).map_err(|_too_large| DecodeError::Bounds("column"))?,
            signed(reader.varint()?, "column version")?,
        ));
        next_column = column + 1;
    }
    Ok(RowShape { causal_length, sentinel, cells })
}

pub(super) fn read_value<'a>(reader: &mut Reader<'a>) -> Result<ValueRef<'a>, DecodeError> {
    Ok(match reader.u8()? {
        tag::NULL => ValueRef::Null,
        tag::INTEGER => ValueRef::Integer(unzigzag(reader.varint()?)),
        tag::REAL => match f64::from_le_bytes(reader.array()?) {
            real if real.is_nan() => return Err(DecodeError::Invalid("real")),
            real => ValueRef::Real(real),
        },
        tag::TEXT => ValueRef::Text(reader.text()?),
        tag::BLOB => ValueRef::Blob(reader.bytes()?),
        _ => return Err(DecodeError::Invalid("value tag")),
    })
}

fn skip_value(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.u8()? {
        tag::NULL => Ok(()),
        tag::INTEGER => reader.varint().map(drop),
        tag::REAL => reader.take(size_of::<f64>()).map(drop),
        tag::TEXT | tag::BLOB => reader.bytes().map(drop),
        _ => Err(DecodeError::Invalid("value tag")),
    }
}

/// Decodes a whole changeset into memory.
///
/// # Errors
/// If the body is malformed. Arbitrary bytes give an error, never a panic, and never more memory than a small multiple of
/// their length.
pub fn decode(encoded: &EncodedChangeset) -> Result<Changeset, DecodeError> {
    let mut reader = ChangesetReader::new(&encoded.body)?;
    let mut tables = Vec::new();
    let mut values = Vec::new();
    while let Some(table) = reader.next_table()? {
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row(&table, &mut values)? {
            rows.push(row.to_change(&values));
        }
        tables.push(TableChanges { table: table.table, columns: table.columns, rows });
    }
    Ok(Changeset {
        site: encoded.site,
        version: encoded.version,
        committed_at_us: reader.committed_at_us,
        tables,
        messages: reader.messages,
    })
}

impl RowView<'_, '_> {
    /// Sequence number of the first cell.
    #[must_use]
    pub fn first_cell_seq(&self) -> u32 {
        self.first_seq + u32::from(self.shape.sentinel)
    }

    fn to_change(self, values: &[ValueRef<'_>]) -> RowChange {
        let cells = self.shape.cells.iter().zip(values).zip(self.first_cell_seq()..);
        RowChange {
            pk: self.pk.to_vec(),
            causal_length: CausalLength(self.shape.causal_length),
            sentinel: self.shape.sentinel.then_some(Seq(self.first_seq)),
            cells: cells
                .map(|(((column, col_version), value), seq)| CellChange {
                    column: *column,
                    col_version: *col_version,
                    seq: Seq(seq),
                    value: value.to_value(),
                })
                .collect(),
        }
    }
}
