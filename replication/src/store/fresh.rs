//! Rows that arrive new and one after the other, written together.
//!
//! Most of a bulk load is neighbours that nobody has seen here: the next integer key, the same columns, the same versions.
//! Their clocks fill blocks that hold no others, and nothing has to be decided. So they are gathered, a block at a time,
//! and written by one `INSERT` with as many rows and one block of clocks. Whatever is not of this kind, or is refused by
//! SQLite, as a row that conflicts in a unique index is, goes its ordinary way, row by row (`merge.rs`).
//!
//! # Invariants
//! 1. What is written, clocks included, is what merging the rows one by one would have written.
//!
//! # Bounds
//! The rows of one block, at most 16, whose values are borrowed from the changeset; [`PARAMETERS_MAX`] values.

use std::convert::Infallible;

use super::applied::{ImpactWriter, RowOp};
use super::merge::{MergeError, TableMerger};
use crate::crdt::{AlikeRows, IncomingCell, IncomingRow, RowClock, merge_row, pack};
use crate::types::{SiteId, ValueRef};

/// Most values that are written by one statement.
const PARAMETERS_MAX: usize = 1_024;

/// Neighbours that wait to be written.
#[derive(Debug)]
pub(super) struct FreshRows<'v> {
    /// Key of the first.
    first: i64,
    count: u64,
    /// How many there may be.
    room: u64,
    like: Like,
    /// What each one's sequence numbers are more than those of the row before, once there are two.
    step: Option<u32>,
    /// Their cells, row by row.
    cells: Vec<IncomingCell<'v>>,
    /// Cells of each.
    width: usize,
}

/// What they have in common besides the columns; the sequence number is the first one's.
#[derive(Clone, Copy, Debug)]
struct Like {
    origin: u32,
    site: SiteId,
    version: u64,
    causal_length: u64,
    sentinel: Option<u32>,
    birth: bool,
    implied: RowOp,
}

impl<'v> FreshRows<'v> {
    /// A row that nobody has seen here, in a block where `room` rows from it on have no clocks, nor any other.
    fn new(
        (row, room): (i64, u64),
        incoming: &IncomingRow<'_>,
        cells: &[IncomingCell<'v>],
        implied: RowOp,
    ) -> Self {
        let IncomingRow { origin, site, version, causal_length, sentinel, birth, cells: _ } =
            *incoming;
        let like = Like { origin, site, version, causal_length, sentinel, birth, implied };
        let most = (PARAMETERS_MAX / (cells.len() + 1)).max(1) as u64;
        let (room, width) = (room.min(most), cells.len());
        let mut all = Vec::with_capacity(width * usize::try_from(room).unwrap_or(1));
        all.extend_from_slice(cells);
        Self { first: row, count: 1, room, like, step: None, cells: all, width }
    }

    /// Adds a row if it is the next one and like those before.
    fn try_add(
        &mut self,
        row: i64,
        incoming: &IncomingRow<'_>,
        cells: &[IncomingCell<'v>],
    ) -> bool {
        let is_next =
            self.count < self.room && self.first.checked_add_unsigned(self.count) == Some(row);
        if !is_next || !self.is_like(incoming, cells) {
            return false;
        }
        self.count += 1;
        self.cells.extend_from_slice(cells);
        true
    }

    fn is_like(&mut self, incoming: &IncomingRow<'_>, cells: &[IncomingCell<'_>]) -> bool {
        let Like { origin, site, version, causal_length, sentinel, birth, implied: _ } = self.like;
        let first = self.cells.get(..self.width).unwrap_or_default();
        let same = (origin, site, version) == (incoming.origin, incoming.site, incoming.version)
            && (causal_length, birth) == (incoming.causal_length, incoming.birth)
            && sentinel.is_some() == incoming.sentinel.is_some()
            && self.width == cells.len();
        let from = seq_of(sentinel, first);
        let Some(distance) = seq_of(incoming.sentinel, cells).checked_sub(from).filter(|_| same)
        else {
            return false;
        };
        let like = |(first, cell): (&IncomingCell<'_>, &IncomingCell<'_>)| {
            (first.column, first.col_version) == (cell.column, cell.col_version)
                && first.seq.checked_add(distance) == Some(cell.seq)
        };
        let rows = u32::try_from(self.count).unwrap_or(u32::MAX);
        first.iter().zip(cells).all(like)
            && self.step.get_or_insert(distance).checked_mul(rows) == Some(distance)
    }

    /// The rows as they came.
    fn rows(&self) -> impl Iterator<Item = (i64, IncomingRow<'_>)> {
        let Like { origin, site, version, causal_length, sentinel, birth, implied: _ } = self.like;
        (0..self.count).map_while(move |index| {
            let start = usize::try_from(index).ok()? * self.width;
            let cells = self.cells.get(start..start + self.width)?;
            let further = self.step.unwrap_or(0) * u32::try_from(index).ok()?;
            let sentinel = sentinel.map(|seq| seq + further);
            let row = IncomingRow { origin, site, version, causal_length, sentinel, birth, cells };
            Some((self.first.checked_add_unsigned(index)?, row))
        })
    }

    /// Their clocks, the first one's being in that slot of its block.
    fn clocks(&self, slot: u8) -> Option<AlikeRows> {
        let mut rows = self.rows().map(|(_, row)| clock_of(&row));
        let first = rows.next()??;
        let second = rows.next().flatten().unwrap_or_else(|| first.clone());
        Some(AlikeRows { slot, rows: self.count, first, second })
    }
}

/// The clock of a row that nobody has seen before.
fn clock_of(incoming: &IncomingRow<'_>) -> Option<RowClock> {
    let mut clock = None;
    // Neither another site nor a stored value is asked for where nothing is known.
    let merged = merge_row(
        &mut clock,
        incoming,
        |_ordinal| incoming.site,
        |_column| Ok::<_, Infallible>(None),
    );
    merged.ok().and(clock)
}

fn seq_of(sentinel: Option<u32>, cells: &[IncomingCell<'_>]) -> u32 {
    sentinel.or_else(|| cells.first().map(|cell| cell.seq)).unwrap_or(0)
}

/// Merges the rows of a table as they come, new neighbours together.
pub(super) struct Gathering<'m, 'c, 'v> {
    merger: &'m mut TableMerger<'c>,
    waiting: Option<FreshRows<'v>>,
    impact: &'m mut ImpactWriter,
    /// Whether any row changed something.
    pub changed: bool,
}

impl<'m, 'c, 'v> Gathering<'m, 'c, 'v> {
    pub(super) fn new(merger: &'m mut TableMerger<'c>, impact: &'m mut ImpactWriter) -> Self {
        Self { merger, waiting: None, impact, changed: false }
    }

    /// Merges a row, or keeps it until others like it have come.
    pub(super) fn merge(
        &mut self,
        pk: &[u8],
        incoming: &IncomingRow<'_>,
        cells: &[IncomingCell<'v>],
        implied: RowOp,
    ) -> Result<(), MergeError> {
        let row = self.merger.number_of(pk).filter(|_| !incoming.causal_length.is_multiple_of(2));
        if let (Some(row), Some(waiting)) = (row, &mut self.waiting)
            && waiting.try_add(row, incoming, cells)
        {
            return Ok(());
        }
        self.write()?;
        if let Some(row) = row {
            let room = self.merger.fresh_rows(row)?;
            if room > 1 {
                self.waiting = Some(FreshRows::new((row, room), incoming, cells, implied));
                return Ok(());
            }
        }
        self.merge_one(pk, incoming, implied)
    }

    /// Writes what waits. Call at the end.
    pub(super) fn write(&mut self) -> Result<(), MergeError> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        let slot = self.merger.clocks.slot(waiting.first);
        if waiting.count > 1
            && let Some(clocks) = waiting.clocks(slot)
            && self.merger.insert_rows(waiting.rows(), waiting.count)?
        {
            self.merger.clocks.put_alike(waiting.first, &clocks)?;
            (0..waiting.count)
                .for_each(|_| self.impact.push(waiting.like.implied, Some(RowOp::Insert)));
            self.changed = true;
            return Ok(());
        }
        for (row, incoming) in waiting.rows() {
            let pk = pack([ValueRef::Integer(row)]);
            self.merge_one(&pk, &incoming, waiting.like.implied)?;
        }
        Ok(())
    }

    fn merge_one(
        &mut self,
        pk: &[u8],
        incoming: &IncomingRow<'_>,
        implied: RowOp,
    ) -> Result<(), MergeError> {
        let op = self.merger.merge(pk, incoming)?;
        self.impact.push(implied, op);
        self.changed |= op.is_some();
        Ok(())
    }
}
