//! The bytes of a database's state: every row with its clock, as of one cut.
//!
//! ```text
//! head   := FORMAT 0 origins (site version forgotten content)* floors (table_id floor)*
//! part   := FORMAT 1 table* 0
//! table  := 1 table_id columns column_id* row* 0
//! row    := 1 pk causal_length sentinel runs (column_gap count col_version stamp)* value*
//! sentinel := 0 | 1 stamp
//! stamp  := origin version seq
//! ```
//! The head is the first chunk, parts are the others. A state is cut at the version of every origin that the head names;
//! stamps name origins by their place there. Numbers, strings and values are written as in a changeset (`v1`); a run is of
//! columns next to each other with one version and consecutive sequence numbers, and has a value for each. A deleted row
//! has a sentinel and no runs.
//!
//! # Bounds
//! A part is full at [`v1::CHUNK_BYTES`]; a row begun before that is still written to it. [`ORIGINS_MAX`], [`TABLES_MAX`].

use bytes::Bytes;

use super::decode::read_value;
use super::encode::put_value;
use super::v1;
use crate::crdt::bytes::{DecodeError, Reader, put_bytes, put_varint};
use crate::types::{ColumnId, ContentHash, DbVersion, SiteId, TableId, ValueRef};

/// First byte of every chunk: names the format.
const FORMAT: u8 = 1;

/// Second byte of a head.
const HEAD: u8 = 0;

/// Second byte of a part.
const PART: u8 = 1;

/// Most origins that a head may name.
const ORIGINS_MAX: usize = 1 << 20;

/// Most tables that a head may name.
const TABLES_MAX: usize = 1 << 20;

/// What a state says before its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateHead {
    /// All sites that stamps name.
    pub origins: Vec<StateOrigin>,
    /// Of tables in which deleted rows were forgotten, the largest causal length of any.
    pub floors: Vec<(TableId, u64)>,
}

/// A site as a state knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateOrigin {
    /// The site.
    pub site: SiteId,
    /// The last of its transactions that is in the state, as are all before it.
    pub version: DbVersion,
    /// The last of its transactions with a deletion that is forgotten: the state does not say that the row is gone.
    pub forgotten: DbVersion,
    /// What tells the last of its transactions from another one of its number.
    pub content: ContentHash,
}

impl StateHead {
    /// The head's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = vec![FORMAT, HEAD];
        put_varint(&mut out, self.origins.len() as u64);
        for StateOrigin { site, version, forgotten, content } in &self.origins {
            out.extend_from_slice(&site.0);
            put_varint(&mut out, version.0);
            put_varint(&mut out, forgotten.0);
            out.extend_from_slice(&content.0.to_le_bytes());
        }
        put_varint(&mut out, self.floors.len() as u64);
        for (table, floor) in &self.floors {
            put_varint(&mut out, table.0);
            put_varint(&mut out, *floor);
        }
        out.into()
    }

    /// Reads a head.
    ///
    /// # Errors
    /// If the bytes are not exactly that.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = start(bytes, HEAD)?;
        let mut head = Self::default();
        for _ in 0..reader.count(ORIGINS_MAX, "origins")? {
            let site = SiteId(reader.array()?);
            let version = DbVersion(signed(&mut reader, "version")?);
            let forgotten = DbVersion(signed(&mut reader, "version")?);
            if forgotten > version || head.origins.iter().rev().take(1).any(|it| it.site == site) {
                return Err(DecodeError::Invalid("origin"));
            }
            let content = ContentHash(u64::from_le_bytes(reader.array()?));
            head.origins.push(StateOrigin { site, version, forgotten, content });
        }
        for _ in 0..reader.count(TABLES_MAX, "tables")? {
            head.floors.push((TableId(reader.varint()?), signed(&mut reader, "floor")?));
        }
        if reader.is_empty() { Ok(head) } else { Err(DecodeError::Trailing) }
    }
}

/// Which change wrote something: origin by its place in the head, transaction, place within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateStamp {
    /// Place of the origin in [`StateHead::origins`].
    pub origin: u32,
    /// The origin's transaction.
    pub version: u64,
    /// Place within it.
    pub seq: u32,
}

/// A cell with its clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateCell<'a> {
    /// Index into the table's columns.
    pub column: u32,
    /// Its version.
    pub col_version: u64,
    /// Who wrote it.
    pub stamp: StateStamp,
    /// Its value.
    pub value: ValueRef<'a>,
}

impl StateCell<'_> {
    fn continues(&self, before: &Self) -> bool {
        before.column.checked_add(1) == Some(self.column)
            && before.col_version == self.col_version
            && before.stamp.origin == self.stamp.origin
            && before.stamp.version == self.stamp.version
            && before.stamp.seq.checked_add(1) == Some(self.stamp.seq)
    }
}

/// A row with its clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateRow<'a> {
    /// Packed primary key; not checked when it is read.
    pub pk: &'a [u8],
    /// Its causal length.
    pub causal_length: u64,
    /// Who last set that, if that is said.
    pub sentinel: Option<StateStamp>,
    /// Its cells, by rising column.
    pub cells: Vec<StateCell<'a>>,
}

/// Writes a part. Call in this order: [`Self::begin_table`], [`Self::row`] for each row, [`Self::end_table`]; then
/// [`Self::finish`].
#[derive(Debug)]
pub struct StateWriter(Vec<u8>);

impl Default for StateWriter {
    fn default() -> Self {
        Self(vec![FORMAT, PART])
    }
}

impl StateWriter {
    /// Whether it is time to end the part.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= v1::CHUNK_BYTES
    }

    /// Starts the rows of a table.
    pub fn begin_table(
        &mut self,
        table: TableId,
        columns: impl ExactSizeIterator<Item = ColumnId>,
    ) {
        put_varint(&mut self.0, 1);
        put_varint(&mut self.0, table.0);
        put_varint(&mut self.0, columns.len() as u64);
        columns.for_each(|column| put_varint(&mut self.0, u64::from(column.0)));
    }

    /// Writes a row.
    pub fn row(&mut self, row: &StateRow<'_>) {
        let out = &mut self.0;
        put_varint(out, 1);
        put_bytes(out, row.pk);
        put_varint(out, row.causal_length);
        out.push(u8::from(row.sentinel.is_some()));
        row.sentinel.iter().for_each(|stamp| put_stamp(out, stamp));
        let runs = || row.cells.chunk_by(|before, cell| cell.continues(before));
        put_varint(out, runs().count() as u64);
        let mut next_column = 0;
        for run in runs() {
            if let [first, ..] = run {
                put_varint(out, u64::from(first.column - next_column));
                put_varint(out, run.len() as u64);
                put_varint(out, first.col_version);
                put_stamp(out, &first.stamp);
            }
            next_column = run.last().map_or(next_column, |last| last.column + 1);
        }
        row.cells.iter().for_each(|cell| put_value(out, cell.value));
    }

    /// Ends the rows of a table.
    pub fn end_table(&mut self) {
        put_varint(&mut self.0, 0);
    }

    /// Ends the part.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        put_varint(&mut self.0, 0);
        self.0.into()
    }
}

fn put_stamp(out: &mut Vec<u8>, stamp: &StateStamp) {
    put_varint(out, u64::from(stamp.origin));
    put_varint(out, stamp.version);
    put_varint(out, u64::from(stamp.seq));
}

/// Reads a part.
#[derive(Debug)]
pub struct StateReader<'a> {
    reader: Reader<'a>,
    /// Number of origins in the head.
    origins: usize,
}

impl<'a> StateReader<'a> {
    /// Starts to read a part of a state whose head names as many origins.
    ///
    /// # Errors
    /// If these bytes are no part.
    pub fn new(body: &'a [u8], origins: usize) -> Result<Self, DecodeError> {
        Ok(Self { reader: start(body, PART)?, origins })
    }

    /// The next table and its columns, or `None` at the end. Call only when the rows of the table before have been read.
    ///
    /// # Errors
    /// If the part is malformed here, or goes on after its end.
    pub fn next_table(&mut self) -> Result<Option<(TableId, Vec<ColumnId>)>, DecodeError> {
        match self.reader.varint()? {
            0 if self.reader.is_empty() => return Ok(None),
            0 => return Err(DecodeError::Trailing),
            1 => {}
            _ => return Err(DecodeError::Invalid("table marker")),
        }
        let table = TableId(self.reader.varint()?);
        let count = self.reader.count(v1::COLUMNS_MAX, "columns")?;
        let mut columns = Vec::with_capacity(count.min(self.reader.remaining()));
        for _ in 0..count {
            columns.push(ColumnId(self.reader.varint_u32()?));
        }
        Ok(Some((table, columns)))
    }

    /// Reads the next row of a table with `columns` columns into `row`; returns whether there was one.
    ///
    /// # Errors
    /// If the part is malformed here.
    pub fn next_row(
        &mut self,
        columns: usize,
        row: &mut StateRow<'a>,
    ) -> Result<bool, DecodeError> {
        match self.reader.varint()? {
            0 => return Ok(false),
            1 => {}
            _ => return Err(DecodeError::Invalid("row marker")),
        }
        row.pk = self.reader.bytes()?;
        row.causal_length = signed(&mut self.reader, "causal length")?;
        row.sentinel = match self.reader.u8()? {
            0 => None,
            1 => Some(self.stamp()?),
            _ => return Err(DecodeError::Invalid("sentinel")),
        };
        row.cells.clear();
        let mut next_column = 0;
        for _ in 0..self.reader.count(columns, "runs")? {
            next_column = self.run(columns, next_column, &mut row.cells)?;
        }
        for cell in &mut row.cells {
            cell.value = read_value(&mut self.reader)?;
        }
        let dead = row.causal_length.is_multiple_of(2);
        if row.causal_length == 0 || dead && (row.sentinel.is_none() || !row.cells.is_empty()) {
            return Err(DecodeError::Invalid("row"));
        }
        Ok(true)
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// If the part is malformed anywhere.
    pub fn skip_all(mut self) -> Result<(), DecodeError> {
        let mut row = StateRow::default();
        while let Some((_, columns)) = self.next_table()? {
            while self.next_row(columns.len(), &mut row)? {}
        }
        Ok(())
    }

    /// Reads a run that begins at or after `next_column`; returns the column after it.
    fn run(
        &mut self,
        columns: usize,
        next_column: usize,
        cells: &mut Vec<StateCell<'a>>,
    ) -> Result<usize, DecodeError> {
        let outside = DecodeError::Bounds("column");
        let first = next_column + self.reader.count(columns, "column")?;
        let count = self.reader.count(columns, "cells")?;
        let end = first + count;
        if count == 0 || end > columns {
            return Err(outside);
        }
        let col_version = signed(&mut self.reader, "column version")?;
        let stamp = self.stamp()?;
        for (column, offset) in (first..end).zip(0..) {
            let column = u32::try_from(column).map_err(|_too_large| outside)?;
            let seq = stamp.seq.checked_add(offset).ok_or(DecodeError::Bounds("seq"))?;
            let stamp = StateStamp { seq, ..stamp };
            cells.push(StateCell { column, col_version, stamp, value: ValueRef::Null });
        }
        Ok(end)
    }

    fn stamp(&mut self) -> Result<StateStamp, DecodeError> {
        let origin = self.reader.varint_u32()?;
        if origin as usize >= self.origins {
            return Err(DecodeError::Bounds("origin"));
        }
        let version = signed(&mut self.reader, "version")?;
        Ok(StateStamp { origin, version, seq: self.reader.varint_u32()? })
    }
}

/// Reads the first two bytes.
fn start(bytes: &[u8], kind: u8) -> Result<Reader<'_>, DecodeError> {
    if bytes.len() > v1::BODY_BYTES_MAX {
        return Err(DecodeError::Bounds("body"));
    }
    let mut reader = Reader::new(bytes);
    if (reader.u8()?, reader.u8()?) != (FORMAT, kind) {
        return Err(DecodeError::Invalid("format"));
    }
    Ok(reader)
}

/// A number that is stored as a signed 64-bit one.
fn signed(reader: &mut Reader<'_>, what: &'static str) -> Result<u64, DecodeError> {
    let number = reader.varint()?;
    if i64::try_from(number).is_ok() { Ok(number) } else { Err(DecodeError::Bounds(what)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn stamp(origin: u32, version: u64, seq: u32) -> StateStamp {
        StateStamp { origin, version, seq }
    }

    fn cell(column: u32, stamp: StateStamp, value: ValueRef<'_>) -> StateCell<'_> {
        StateCell { column, col_version: 1, stamp, value }
    }

    fn rows() -> Vec<StateRow<'static>> {
        let inserted = (0..3).map(|column| cell(column, stamp(0, 7, column), ValueRef::Null));
        let alive = StateRow {
            pk: b"\x01\x09\x01",
            causal_length: 1,
            sentinel: None,
            cells: inserted.chain([cell(5, stamp(1, 3, 0), ValueRef::Text("x"))]).collect(),
        };
        let dead = StateRow {
            pk: b"\x01\x09\x02",
            causal_length: 2,
            sentinel: Some(stamp(1, 4, 9)),
            cells: Vec::new(),
        };
        vec![alive, dead]
    }

    #[test]
    fn what_is_written_is_read() {
        let head = StateHead {
            origins: vec![StateOrigin {
                site: SiteId([1; 16]),
                version: DbVersion(9),
                forgotten: DbVersion(4),
                content: ContentHash(7),
            }],
            floors: vec![(TableId(7), 2)],
        };
        assert_eq!(StateHead::decode(&head.encode()), Ok(head));
        let mut writer = StateWriter::default();
        writer.begin_table(TableId(7), (0..6).map(ColumnId));
        rows().iter().for_each(|row| writer.row(row));
        writer.end_table();
        let body = writer.finish();
        let mut reader = StateReader::new(&body, 2).unwrap();
        assert_eq!(reader.next_table(), Ok(Some((TableId(7), (0..6).map(ColumnId).collect()))));
        let mut row = StateRow::default();
        for written in rows() {
            assert_eq!(reader.next_row(6, &mut row), Ok(true));
            assert_eq!(row, written);
        }
        assert_eq!(reader.next_row(6, &mut row), Ok(false));
        assert_eq!(reader.next_table(), Ok(None));
        assert!(StateReader::new(&body, 1).unwrap().skip_all().is_err(), "an unknown origin");
        for length in 0..body.len() {
            let cut = StateReader::new(&body[..length], 2).and_then(StateReader::skip_all);
            assert!(cut.is_err(), "{length} bytes of {}", body.len());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_or_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..2) {
            bytes.splice(0..0, [FORMAT, kind]);
            let read = StateReader::new(&bytes, 3).and_then(StateReader::skip_all);
            prop_assert_eq!(read.is_ok() && kind == HEAD, false);
            drop(StateHead::decode(&bytes));
        }
    }
}
