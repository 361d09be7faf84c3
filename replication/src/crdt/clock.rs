//! The clock of one row: causal length, sentinel, and a version and stamp per written cell.
//!
//! Cells are kept as **runs** of neighbouring columns that one transaction wrote with the same version and consecutive
//! sequence numbers; a freshly inserted row is a single run however many columns it has. A column in no run has never
//! been written since it was added: its version counts as 0 and it holds the column's default. Columns are named by
//! **ordinals**, small numbers that each database file gives to a table's columns as it meets them, below [`COLUMNS_MAX`].

/// The version of a cell that a resurrection found: below every written one.
pub(super) const ZEROED: u64 = 0;

/// Most ordinals that a table can give to columns, those of dropped ones included.
pub const COLUMNS_MAX: u32 = 65_536;

/// Which change wrote something: origin, transaction, place within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The origin's ordinal in this database file; 0 is the file's own site.
    pub origin: u32,
    /// The origin's `db_version`.
    pub version: u64,
    /// Place within that transaction.
    pub seq: u32,
}

/// Version and stamp of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellClock {
    /// Number of writes; larger wins. 0 after a resurrection over a live row.
    pub col_version: u64,
    /// Who wrote it.
    pub stamp: Stamp,
}

impl CellClock {
    /// Whether a transaction has written the cell since the row came to be.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.col_version != ZEROED
    }
}

/// Cells of neighbouring columns that share version and transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRun {
    /// Ordinal of the first column.
    pub column: u32,
    /// Number of columns, at least 1.
    pub count: u32,
    /// Their version.
    pub col_version: u64,
    /// Stamp of the first; the others' `seq` follow on.
    pub stamp: Stamp,
}

impl CellRun {
    /// The ordinal after the last column's.
    pub(super) fn end(&self) -> u32 {
        self.column + self.count
    }

    /// The part of the run from `column` on.
    fn from(&self, column: u32) -> Self {
        let skipped = column - self.column;
        let stamp = Stamp { seq: self.stamp.seq + skipped, ..self.stamp };
        Self { column, count: self.count - skipped, stamp, ..*self }
    }

    /// Whether `next` continues this run so that the two can be one.
    fn continues_with(&self, next: &Self) -> bool {
        self.end() == next.column
            && self.col_version == next.col_version
            && self.stamp.origin == next.stamp.origin
            && self.stamp.version == next.stamp.version
            && self.stamp.seq.checked_add(self.count) == Some(next.stamp.seq)
    }
}

/// The clock of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowClock {
    /// Odd while the row lives, even when it is deleted; from 1.
    pub causal_length: u64,
    /// The change that last set the causal length. Always there when the row is deleted, was resurrected, or has no
    /// columns but its key; otherwise absent, and the causal length is 1.
    pub sentinel: Option<Stamp>,
    /// Sorted by column, not overlapping.
    runs: Vec<CellRun>,
}

impl RowClock {
    /// A row of that causal length without cells.
    #[must_use]
    pub fn new(causal_length: u64, sentinel: Option<Stamp>) -> Self {
        Self { causal_length, sentinel, runs: Vec::new() }
    }

    /// A clock from runs that are sorted by column and do not overlap.
    #[must_use]
    pub fn with_runs(causal_length: u64, sentinel: Option<Stamp>, runs: Vec<CellRun>) -> Self {
        debug_assert!(runs.is_sorted_by(|left, right| left.end() <= right.column));
        Self { causal_length, sentinel, runs }
    }

    /// Whether the row exists.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.causal_length % 2 == 1
    }

    /// The runs, sorted by column.
    #[must_use]
    pub fn runs(&self) -> &[CellRun] {
        &self.runs
    }

    /// The clock of one cell, if it was ever written.
    #[must_use]
    pub fn cell(&self, column: u32) -> Option<CellClock> {
        let after = self.runs.partition_point(|run| run.column <= column);
        let run = self.runs.get(after.checked_sub(1)?)?;
        if column >= run.end() {
            return None;
        }
        let stamp = Stamp { seq: run.stamp.seq + (column - run.column), ..run.stamp };
        Some(CellClock { col_version: run.col_version, stamp })
    }

    /// All cells, by column.
    pub fn cells(&self) -> impl Iterator<Item = (u32, CellClock)> + '_ {
        self.runs.iter().flat_map(|run| {
            (0..run.count).map(|offset| {
                let stamp = Stamp { seq: run.stamp.seq + offset, ..run.stamp };
                (run.column + offset, CellClock { col_version: run.col_version, stamp })
            })
        })
    }

    /// Sets the clock of one cell.
    pub fn set(&mut self, column: u32, clock: CellClock) {
        let new = CellRun { column, count: 1, col_version: clock.col_version, stamp: clock.stamp };
        self.put(column, Some(new));
    }

    /// Forgets one cell.
    pub fn remove(&mut self, column: u32) {
        self.put(column, None);
    }

    fn put(&mut self, column: u32, new: Option<CellRun>) {
        let at = self.runs.partition_point(|run| run.end() <= column);
        if self.runs.get(at).is_none_or(|run| run.column > column) {
            return new.map_or((), |new| self.insert_between(at, new));
        }
        let mut replacement: [Option<CellRun>; 3] = [None, new, None];
        if let Some(run) = self.runs.get_mut(at) {
            if let Some(new) = new.filter(|_| run.column == column && run.count == 1) {
                *run = new;
                return self.join_around(at);
            }
            if run.column < column {
                replacement[0] = Some(CellRun { count: column - run.column, ..*run });
            }
            if run.end() > column + 1 {
                replacement[2] = Some(run.from(column + 1));
            }
        }
        self.runs.splice(at..=at, replacement.into_iter().flatten());
        self.join_around(at);
    }

    /// Adds a run of one cell that was in none, before index `at`.
    fn insert_between(&mut self, at: usize, new: CellRun) {
        let before = at.checked_sub(1).and_then(|before| self.runs.get_mut(before));
        match before.filter(|run| run.continues_with(&new)) {
            Some(run) => run.count += 1,
            None => self.runs.insert(at, new),
        }
        self.join_around(at);
    }

    /// Joins runs that continue each other near index `at`.
    fn join_around(&mut self, at: usize) {
        let mut left = at.saturating_sub(1);
        for _ in 0..4 {
            let (Some(first), Some(second)) = (self.runs.get(left), self.runs.get(left + 1)) else {
                return;
            };
            if first.continues_with(second) {
                let joined = CellRun { count: first.count + second.count, ..*first };
                self.runs.splice(left..left + 2, [joined]);
            } else {
                left += 1;
            }
        }
    }

    /// Forgets all cells, as a delete does.
    pub fn clear_cells(&mut self) {
        self.runs.clear();
    }

    /// Sets all versions to 0, as the resurrection of a live row does: any later write beats what is there.
    pub fn zero_versions(&mut self) {
        self.runs.iter_mut().for_each(|run| run.col_version = ZEROED);
    }
}

#[cfg(test)]
pub(in crate::crdt) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    pub(in crate::crdt) fn writes() -> impl Strategy<Value = Vec<(u32, CellClock)>> {
        let write = (0u32..12, 0u64..3, 0u32..2, 1u64..4, 0u32..20);
        proptest::collection::vec(write, 0..24).prop_map(|writes| {
            let clock = |(column, col_version, origin, version, seq)| {
                (column, CellClock { col_version, stamp: Stamp { origin, version, seq } })
            };
            writes.into_iter().map(clock).collect()
        })
    }

    proptest! {
        #[test]
        fn runs_are_a_map_of_cells(writes in writes(), probe in any::<u32>()) {
            let mut clock = RowClock::new(1, None);
            let mut model = BTreeMap::new();
            for (column, cell) in writes {
                clock.set(column, cell);
                model.insert(column, cell);
            }
            prop_assert!(clock.cells().eq(model.iter().map(|(column, cell)| (*column, *cell))));
            prop_assert_eq!(clock.cell(probe % 16), model.get(&(probe % 16)).copied());
        }
    }

    #[test]
    fn a_fresh_row_is_one_run() {
        let mut clock = RowClock::new(1, None);
        for column in 2..50 {
            let stamp = Stamp { origin: 0, version: 9, seq: column - 2 };
            clock.set(column, CellClock { col_version: 1, stamp });
        }
        assert_eq!(clock.runs().len(), 1);
    }
}
