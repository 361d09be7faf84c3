//! Window frames that SQLite has not: `RANGE` over keys that are no plain numbers, and offsets that are no literals.
//!
//! `trellis_framed(frame, start offset, end offset, key, …, filter, argument, …)` is called over the whole partition, keeps
//! its rows, and answers for one row after another, in the order in which they came, by running the aggregate that it is told
//! over the rows of that row's frame. The frame is a text of seven parts, with `|` between:
//!
//! ```text
//!   pg_agg_sum_int4|RANGE|PRECEDING|UNBOUNDED FOLLOWING|TIES|1114:0:0|1
//!   function        units  start     end                  exclude  type:descending:nulls first of each key, comma   filtered
//! ```
//!
//! As a frame moves on, the aggregate takes out the rows that leave and takes in those that come; where the frame moves back or
//! has a hole, it starts again.
//!
//! # Invariants
//! 1. SQLite asks for one value per row if the frame that it is told is `ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED
//!    FOLLOWING`, so that the number of the answer is that of the row.
//!
//! # Bounds
//! The rows of one partition are kept, as SQLite itself keeps them.
//!
//! # Sources
//! PostgreSQL 15 manual, 4.2.8 (Window Function Calls); its `nodeWindowAgg.c` for the order of rows whose key is NULL.

mod position;
mod range;
mod specification;

use std::cell::RefCell;
use std::ops::Range;

use super::{Accumulator, AggregateFunction, Call};
use crate::datum::{Datum, DatumRef};
use crate::error::SqlError;
use position::Positions;
use specification::{Exclude, Function, Specification, Which};

/// Arguments before the keys: the frame and its two offsets.
const LEADING: usize = 3;

/// One row of the partition.
struct Row {
    /// The keys of `ORDER BY`.
    keys: Vec<Datum>,
    /// Whether `FILTER` admits it.
    admitted: bool,
    /// The arguments of the function.
    arguments: Vec<Datum>,
}

/// A function over frames.
struct Framed {
    specification: Option<Specification>,
    /// The offsets of start and end, NULL if there are none.
    offsets: [Datum; 2],
    rows: Vec<Row>,
    progress: RefCell<Progress>,
}

/// What has been answered.
#[derive(Default)]
struct Progress {
    /// Number of the row that is asked for next.
    row: usize,
    positions: Option<Positions>,
    /// The aggregate with the rows that it holds.
    running: Option<(Box<dyn Accumulator>, Range<usize>)>,
}

impl Framed {
    fn boxed() -> Box<dyn Accumulator> {
        Box::new(Self {
            specification: None,
            offsets: [Datum::Null, Datum::Null],
            rows: Vec::new(),
            progress: RefCell::default(),
        })
    }
}

impl Accumulator for Framed {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if self.specification.is_none() {
            self.specification = Some(Specification::parse(call.text(0)?)?);
            self.offsets = [call.datum(1).to_datum(), call.datum(2).to_datum()];
        }
        let Some(specification) = &self.specification else { return Ok(()) };
        let owned = |range: Range<usize>| -> Vec<Datum> {
            range.map(|index| call.datum(index).to_datum()).collect()
        };
        let keys_end = LEADING + specification.keys.len();
        let filtered = specification.filtered;
        self.rows.push(Row {
            keys: owned(LEADING..keys_end),
            admitted: !filtered || call.datum(keys_end) == DatumRef::Integer(1),
            arguments: owned(keys_end + usize::from(filtered)..call.len()),
        });
        Ok(())
    }

    fn retract(&mut self, _: &Call) -> Result<(), SqlError> {
        Err(SqlError::unsupported("a moving frame over a whole partition"))
    }

    fn finish(&self, call: &Call) -> Result<Datum, SqlError> {
        let Some(specification) = &self.specification else { return Ok(Datum::Null) };
        let mut progress = self.progress.borrow_mut();
        let row = progress.row;
        progress.row += 1;
        if row >= self.rows.len() {
            return Ok(Datum::Null);
        }
        let positions = match progress.positions.take() {
            Some(positions) => positions,
            None => Positions::new(specification, &self.offsets, &self.rows, call.session)?,
        };
        let positions = progress.positions.insert(positions);
        let frame = positions.frame(specification, &self.rows, row, call.session)?;
        let hole = match specification.exclude {
            Exclude::Nothing => row..row,
            Exclude::Row => row..row + 1,
            Exclude::Peers | Exclude::Ties => positions.peers(row),
        };
        let kept = (specification.exclude == Exclude::Ties).then_some(row);
        let members = Members { frame, hole, kept };
        match specification.function {
            Function::Value(which) => self.value(&members, which, row, call),
            Function::Aggregate(start) => self.aggregate(&mut progress, start, &members, call),
        }
    }
}

/// The rows of a frame.
struct Members {
    /// First and last of them.
    frame: Range<usize>,
    /// Those among them that are excluded.
    hole: Range<usize>,
    /// The one in the hole that is not.
    kept: Option<usize>,
}

impl Members {
    fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let excluded = |row: &usize| self.hole.contains(row) && self.kept != Some(*row);
        self.frame.clone().filter(move |row| !excluded(row))
    }

    fn is_whole(&self) -> bool {
        self.hole.end <= self.frame.start || self.hole.start >= self.frame.end
    }
}

impl Framed {
    /// `first_value`, `last_value` and `nth_value`.
    fn value(
        &self,
        members: &Members,
        which: Which,
        row: usize,
        call: &Call,
    ) -> Result<Datum, SqlError> {
        let found = match which {
            Which::First => members.iter().next(),
            Which::Last => members.iter().next_back(),
            Which::Nth => {
                let current = &self.rows[row].arguments;
                let wanted: Vec<DatumRef<'_>> = current.iter().map(Datum::as_ref).collect();
                let nth = Call { arguments: &wanted, session: call.session };
                if nth.is_null(1) {
                    return Ok(Datum::Null);
                }
                let index = nth.i64(1)?;
                let index = usize::try_from(index).ok().and_then(|it| it.checked_sub(1));
                let index = index.ok_or_else(specification::bad_nth)?;
                members.iter().nth(index)
            }
        };
        let value = found.and_then(|row| self.rows[row].arguments.first().cloned());
        Ok(value.unwrap_or(Datum::Null))
    }

    fn aggregate(
        &self,
        progress: &mut Progress,
        start: fn() -> Box<dyn Accumulator>,
        members: &Members,
        call: &Call,
    ) -> Result<Datum, SqlError> {
        if !members.is_whole() {
            let mut accumulator = start();
            for row in members.iter() {
                self.with_row(row, call, |row| accumulator.step(row))?;
            }
            return accumulator.finish(call);
        }
        let wanted = members.frame.clone();
        let moved = |held: &Range<usize>| {
            held.start <= wanted.start && held.end <= wanted.end && wanted.start < held.end
        };
        let running = progress.running.take().filter(|(_, held)| moved(held));
        let (mut accumulator, held) =
            running.unwrap_or_else(|| (start(), wanted.start..wanted.start));
        for row in held.start..wanted.start {
            self.with_row(row, call, |row| accumulator.retract(row))?;
        }
        for row in held.end..wanted.end {
            self.with_row(row, call, |row| accumulator.step(row))?;
        }
        let (accumulator, _) = progress.running.insert((accumulator, wanted));
        accumulator.finish(call)
    }

    /// Runs `work` with the arguments of a row, unless `FILTER` leaves it out.
    fn with_row(
        &self,
        row: usize,
        call: &Call,
        work: impl FnOnce(&Call) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let row = &self.rows[row];
        if !row.admitted {
            return Ok(());
        }
        let arguments: Vec<DatumRef<'_>> = row.arguments.iter().map(Datum::as_ref).collect();
        work(&Call { arguments: &arguments, session: call.session })
    }
}

/// `count`, which SQLite has itself for frames of its own.
#[derive(Default)]
struct Count(i64);

impl Accumulator for Count {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.0 += i64::from(call.is_empty() || !call.is_null(0));
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        self.0 -= i64::from(call.is_empty() || !call.is_null(0));
        Ok(())
    }

    fn finish(&self, _: &Call) -> Result<Datum, SqlError> {
        Ok(Datum::Integer(self.0))
    }
}

/// Whether a function can be computed over such frames: by the name that the frame gives it.
#[must_use]
pub(crate) fn has_frames(function: &str) -> bool {
    Function::named(function).is_some()
}

/// This directory's aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction { name: "trellis_framed", start: Framed::boxed },
    AggregateFunction { name: "trellis_count", start: || Box::new(Count::default()) },
];
