//! First and last row of each row's frame.

use std::cmp::Ordering;
use std::ops::Range;

use super::Row;
use super::range::in_range;
use super::specification::{Bound, Key, Specification, Units};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::{SessionContext, ordering};

/// The groups of a partition, and how far frames have come. Rows are asked for one after another.
pub(super) struct Positions {
    /// Group of each row.
    groups: Vec<usize>,
    /// First row of each group, and the number of rows.
    firsts: Vec<usize>,
    /// The offsets of start and end in rows or groups; 0 where there are none.
    counts: [usize; 2],
    /// The offsets of start and end in the units of the key.
    offsets: [Datum; 2],
    /// First row of the last row's frame, for frames in `RANGE` with an offset.
    start: usize,
    /// The row after its last.
    end: usize,
}

impl Positions {
    /// Finds the groups of a partition.
    ///
    /// # Errors
    /// 22004 for an offset that is NULL, 22013 for a negative one.
    pub(super) fn new(
        specification: &Specification,
        offsets: &[Datum; 2],
        rows: &[Row],
        session: &SessionContext,
    ) -> Result<Self, SqlError> {
        let mut groups = Vec::with_capacity(rows.len());
        let mut firsts = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let peer = at > 0 && are_peers(&specification.keys, &rows[at - 1], row, session);
            if !peer {
                firsts.push(at);
            }
            groups.push(firsts.len() - 1);
        }
        firsts.push(rows.len());
        let bounds = [(specification.start, "starting"), (specification.end, "ending")];
        let mut counts = [0; 2];
        for (index, (bound, which)) in bounds.into_iter().enumerate() {
            if matches!(bound, Bound::Preceding | Bound::Following) {
                counts[index] = count(specification.units, &offsets[index], which)?;
            }
        }
        Ok(Self { groups, firsts, counts, offsets: offsets.clone(), start: 0, end: 0 })
    }

    /// The rows that order as this one does.
    pub(super) fn peers(&self, row: usize) -> Range<usize> {
        let group = self.groups[row];
        self.firsts[group]..self.firsts[group + 1]
    }

    /// The frame of a row, before exclusion.
    ///
    /// # Errors
    /// 22013 for a negative offset of a `RANGE`, and what adding it raises.
    pub(super) fn frame(
        &mut self,
        specification: &Specification,
        rows: &[Row],
        row: usize,
        session: &SessionContext,
    ) -> Result<Range<usize>, SqlError> {
        let len = rows.len();
        let (group, last_group) = (self.groups[row], self.firsts.len() - 1);
        let [before, after] = self.counts;
        let start = match (specification.start, specification.units) {
            (Bound::Unbounded, _) => 0,
            (Bound::CurrentRow, Units::Rows) => row,
            (Bound::CurrentRow, _) => self.firsts[group],
            (Bound::Preceding, Units::Rows) => row.saturating_sub(before),
            (Bound::Following, Units::Rows) => row.saturating_add(before).min(len),
            (Bound::Preceding, Units::Groups) => self.firsts[group.saturating_sub(before)],
            (Bound::Following, Units::Groups) => {
                self.firsts[group.saturating_add(before).min(last_group)]
            }
            (Bound::Preceding | Bound::Following, Units::Range) => {
                self.start = self.search(specification, rows, row, session, End::Start)?;
                self.start
            }
        };
        let end = match (specification.end, specification.units) {
            (Bound::Unbounded, _) => len,
            (Bound::CurrentRow, Units::Rows) => row + 1,
            (Bound::CurrentRow, _) => self.firsts[group + 1],
            (Bound::Preceding, Units::Rows) => (row + 1).saturating_sub(after),
            (Bound::Following, Units::Rows) => row.saturating_add(after).saturating_add(1).min(len),
            (Bound::Preceding, Units::Groups) => self.firsts[(group + 1).saturating_sub(after)],
            (Bound::Following, Units::Groups) => {
                self.firsts[group.saturating_add(after).saturating_add(1).min(last_group)]
            }
            (Bound::Preceding | Bound::Following, Units::Range) => {
                self.end = self.search(specification, rows, row, session, End::End)?;
                self.end
            }
        };
        Ok(start.min(end)..end)
    }

    /// The first row, from where the last row's frame had it, that is in the frame (for its start) or past it (for its end).
    fn search(
        &self,
        specification: &Specification,
        rows: &[Row],
        row: usize,
        session: &SessionContext,
        which: End,
    ) -> Result<usize, SqlError> {
        let Some(key) = specification.keys.first() else { return Ok(0) };
        let (mut at, bound, offset) = match which {
            End::Start => (self.start, specification.start, &self.offsets[0]),
            End::End => (self.end, specification.end, &self.offsets[1]),
        };
        let subtract = (bound == Bound::Preceding) != key.descending;
        let less = (which == End::End) != key.descending;
        let base = key_of(&rows[row]);
        while let Some(candidate) = rows.get(at) {
            let value = key_of(candidate);
            let stop = match (value, base) {
                (DatumRef::Null, _) | (_, DatumRef::Null) => {
                    stops_at_null(which, key.nulls_first, value, base)
                }
                _ => {
                    let inside =
                        in_range(key.type_oid, value, base, offset, (subtract, less), session)?;
                    inside == (which == End::Start)
                }
            };
            if stop {
                break;
            }
            at += 1;
        }
        Ok(at)
    }
}

/// Which end of a frame is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Start,
    End,
}

/// Whether a frame's end is at a row, one of whose key and the current row's is NULL.
fn stops_at_null(which: End, nulls_first: bool, value: DatumRef<'_>, base: DatumRef<'_>) -> bool {
    let (value_null, base_null) = (value == DatumRef::Null, base == DatumRef::Null);
    match (which, nulls_first) {
        (End::Start, true) => !value_null || base_null,
        (End::Start, false) => value_null || !base_null,
        (End::End, true) => !value_null,
        (End::End, false) => !base_null,
    }
}

fn key_of(row: &Row) -> DatumRef<'_> {
    row.keys.first().map_or(DatumRef::Null, Datum::as_ref)
}

fn are_peers(keys: &[Key], one: &Row, other: &Row, session: &SessionContext) -> bool {
    let pairs = one.keys.iter().zip(&other.keys);
    keys.iter().zip(pairs).all(|(key, (one, other))| {
        let order = session
            .with_types(|cx| ordering::compare(key.type_oid, one.as_ref(), other.as_ref(), cx));
        order == Ordering::Equal
    })
}

/// An offset as a number of rows or groups.
fn count(units: Units, offset: &Datum, which: &str) -> Result<usize, SqlError> {
    match (offset, units) {
        (Datum::Null, _) => {
            let message = format!("frame {which} offset must not be null");
            Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message))
        }
        (_, Units::Range) => Ok(0),
        (Datum::Integer(value), Units::Rows | Units::Groups) if *value >= 0 => {
            Ok(usize::try_from(*value).unwrap_or(usize::MAX))
        }
        _ => {
            let message = format!("frame {which} offset must not be negative");
            Err(SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message))
        }
    }
}
