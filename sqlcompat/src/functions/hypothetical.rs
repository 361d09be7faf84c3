//! Hypothetical-set aggregates: where a row would stand if it were among those that the aggregate sorts.
//!
//! `rank(x, y) WITHIN GROUP (ORDER BY a, b DESC)` gets the row's values first, then each row's, then the types of all of
//! them, then how each key is sorted: 1 descending, 2 NULLs first, or both (3).

use std::cmp::Ordering;

use super::call::{count, float};
use super::{Accumulator, AggregateFunction, Call, ordering};
use crate::datum::{Datum, DatumRef};
use crate::error::SqlError;
use crate::oid::Oid;
use crate::types::TypeContext;

/// Which figure is asked for.
#[derive(Clone, Copy)]
enum Figure {
    Rank,
    DenseRank,
    PercentRank,
    CumulativeDistribution,
}

/// A key sorts downwards.
const DESCENDING: i64 = 1;
/// NULLs come before all else.
const NULLS_FIRST: i64 = 2;

struct Hypothetical {
    figure: Figure,
    rows: usize,
    /// Rows that come before the hypothetical one.
    before: usize,
    /// Rows equal to it.
    equal: usize,
    /// Distinct rows among those before.
    distinct: usize,
    /// The last of those before; rows come sorted.
    last: Vec<Datum>,
}

impl Hypothetical {
    fn boxed(figure: Figure) -> Box<dyn Accumulator> {
        Box::new(Self { figure, rows: 0, before: 0, equal: 0, distinct: 0, last: Vec::new() })
    }
}

/// Order of two values of a key.
fn compare(
    (left, right): (DatumRef<'_>, DatumRef<'_>),
    type_oid: Oid,
    direction: i64,
    cx: &TypeContext,
) -> Ordering {
    let nulls_first = direction & NULLS_FIRST != 0;
    match (left, right) {
        (DatumRef::Null, DatumRef::Null) => Ordering::Equal,
        (DatumRef::Null, _) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, DatumRef::Null) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        _ => {
            let order = ordering::compare(type_oid, left, right, cx);
            if direction & DESCENDING != 0 { order.reverse() } else { order }
        }
    }
}

/// Order of two rows by the types and directions of the call.
fn compare_rows(
    call: &Call,
    left: &[DatumRef<'_>],
    right: &[DatumRef<'_>],
) -> Result<Ordering, SqlError> {
    let keys = call.len() / 5;
    for (key, (left, right)) in left.iter().zip(right).enumerate() {
        let (type_oid, direction) = (call.oid(3 * keys + key)?, call.i64(4 * keys + key)?);
        let order = call.session.with_types(|cx| compare((*left, *right), type_oid, direction, cx));
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

impl Accumulator for Hypothetical {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        // Values, rows, two lists of types, one of directions.
        let keys = call.len() / 5;
        let row = call.arguments.get(keys..2 * keys).unwrap_or(&[]);
        let wanted = call.arguments.get(..keys).unwrap_or(&[]);
        let order = compare_rows(call, row, wanted)?;
        self.rows += 1;
        match order {
            Ordering::Less => {
                self.before += 1;
                if matches!(self.figure, Figure::DenseRank) {
                    let last: Vec<DatumRef<'_>> = self.last.iter().map(Datum::as_ref).collect();
                    if last.is_empty() || compare_rows(call, row, &last)?.is_ne() {
                        self.distinct += 1;
                        self.last = row.iter().map(|it| it.to_datum()).collect();
                    }
                }
            }
            Ordering::Equal => self.equal += 1,
            Ordering::Greater => {}
        }
        Ok(())
    }

    fn retract(&mut self, _: &Call) -> Result<(), SqlError> {
        Err(SqlError::unsupported("a hypothetical-set aggregate over a window"))
    }

    #[expect(clippy::cast_precision_loss, reason = "as PostgreSQL computes it")]
    fn finish(&self, _: &Call) -> Result<Datum, SqlError> {
        let (before, rows) = (self.before as f64, self.rows as f64);
        Ok(match self.figure {
            Figure::Rank => count(self.before + 1),
            Figure::DenseRank => count(self.distinct + 1),
            Figure::PercentRank if self.rows == 0 => float(0.0),
            Figure::PercentRank => float(before / rows),
            Figure::CumulativeDistribution => {
                float((before + self.equal as f64 + 1.0) / (rows + 1.0))
            }
        })
    }
}

/// This file's aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction { name: "pg_agg_rank_any", start: || Hypothetical::boxed(Figure::Rank) },
    AggregateFunction {
        name: "pg_agg_dense_rank_any",
        start: || Hypothetical::boxed(Figure::DenseRank),
    },
    AggregateFunction {
        name: "pg_agg_percent_rank_any",
        start: || Hypothetical::boxed(Figure::PercentRank),
    },
    AggregateFunction {
        name: "pg_agg_cume_dist_any",
        start: || Hypothetical::boxed(Figure::CumulativeDistribution),
    },
];
