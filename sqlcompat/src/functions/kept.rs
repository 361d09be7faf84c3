//! Rows that one step of a statement leaves for the steps after it: what `RETURNING` gives a CTE, the rows that `MERGE` joined.
//!
//! They stand in memory, by the index of the step, and are read as `trellis_kept(index)`, a table of columns `c1`, `c2`, ….
//! It is declared in two widths, since SQLite reads the declaration of a virtual table whole when it is first used.
//!
//! # Bounds
//! [`BYTES_MAX`] for all rows of a statement together; more is refused with 53200.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Call, Rows, SetReturningFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};

/// Most bytes of rows that one statement keeps: 256 MiB.
const BYTES_MAX: usize = 256 << 20;

/// What the number of a locked row counts for.
const LOCKED_ROW_BYTES: usize = 16;

/// Columns of the narrow table.
const NARROW: usize = 64;

/// Columns of the wide table; SQLite admits 2000, the hidden ones among them.
const WIDE: usize = 1900;

/// The rows of one step.
type StepRows = Arc<Vec<Vec<Datum>>>;

#[derive(Default)]
struct Kept {
    /// By index of the step.
    steps: Vec<StepRows>,
    /// Numbers of the rows that ON CONFLICT DO UPDATE has locked, where RETURNING tells.
    locked: BTreeSet<i64>,
    bytes: usize,
}

impl Kept {
    fn require_room(&self) -> Result<(), SqlError> {
        if self.bytes <= BYTES_MAX {
            return Ok(());
        }
        let detail = format!("The parts of a statement may pass on {BYTES_MAX} bytes of rows.");
        Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(detail))
    }
}

/// The rows that a statement keeps; clones share them.
#[derive(Clone, Default)]
pub struct KeptRows(Arc<Mutex<Kept>>);

impl KeptRows {
    /// Forgets all rows.
    pub fn clear(&self) {
        *self.lock() = Kept::default();
    }

    /// Keeps a row of a step.
    ///
    /// # Errors
    /// 53200 above the bound.
    pub fn add(&self, step: usize, row: impl Iterator<Item = Datum>) -> Result<(), SqlError> {
        let row: Vec<Datum> = row.collect();
        let value = |datum: &Datum| match datum {
            Datum::Text(text) => text.len(),
            Datum::Blob(blob) => blob.len(),
            Datum::Null | Datum::Integer(_) | Datum::Real(_) => 0,
        };
        let mut kept = self.lock();
        kept.bytes += size_of_val(&row[..]) + row.iter().map(value).sum::<usize>();
        kept.require_room()?;
        if kept.steps.len() <= step {
            kept.steps.resize_with(step + 1, Arc::default);
        }
        Arc::make_mut(&mut kept.steps[step]).push(row);
        Ok(())
    }

    /// Notes a row that ON CONFLICT DO UPDATE changes.
    ///
    /// # Errors
    /// 53200 above the bound.
    pub(super) fn lock_row(&self, number: i64) -> Result<(), SqlError> {
        let mut kept = self.lock();
        if kept.locked.insert(number) {
            kept.bytes += LOCKED_ROW_BYTES;
        }
        kept.require_room()
    }

    /// Whether a row has been noted.
    pub(super) fn is_locked(&self, number: i64) -> bool {
        self.lock().locked.contains(&number)
    }

    fn rows(&self, step: usize) -> StepRows {
        self.lock().steps.get(step).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The SQLite name of the table of that many columns.
#[must_use]
pub(crate) fn table_name(columns: usize) -> &'static str {
    if columns <= NARROW { "trellis_kept" } else { "trellis_kept_wide" }
}

fn kept(call: &Call) -> Result<Rows, SqlError> {
    let step = usize::try_from(call.i64(0)?).unwrap_or(usize::MAX);
    let rows = call.session.keep().rows(step);
    Ok(Box::new((0..rows.len()).map(move |at| Ok(rows[at].clone()))))
}

/// The tables.
pub(super) const SET_RETURNING: &[SetReturningFunction] = &[
    SetReturningFunction { name: "trellis_kept", columns: NARROW, strict: true, body: kept },
    SetReturningFunction { name: "trellis_kept_wide", columns: WIDE, strict: true, body: kept },
];
