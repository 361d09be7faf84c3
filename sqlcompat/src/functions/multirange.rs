//! Constructors, functions, operators and aggregates of multiranges, alone and with ranges.

use std::collections::VecDeque;

use super::call::{boolean, integer, text};
use super::range::{self, holds, range, range_type, stored, type_of};
use super::{Accumulator, AggregateFunction, Call, Rows, ScalarFunction, SetReturningFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::array::{Array, StorageClass};
use crate::types::multirange::Multirange;
use crate::types::range::{Bound, Range, RangeType};

type Answer = Result<Datum, SqlError>;

/// A multirange argument, or a range as one.
fn set(call: &Call, index: usize) -> Result<Multirange, SqlError> {
    let of = type_of(call, index)?;
    let stored = call.text(index)?;
    if stored.starts_with('{') {
        return Multirange::from_storage(stored, of);
    }
    Multirange::new(vec![Range::from_storage(stored, of)?], of)
}

fn two(call: &Call) -> Result<(Multirange, Multirange, RangeType), SqlError> {
    Ok((set(call, 0)?, set(call, 1)?, type_of(call, 0)?))
}

fn store(set: &Multirange) -> Datum {
    text(set.to_storage())
}

/// Of nothing, of a range, or of an array of ranges; the type comes last.
fn construct(call: &Call) -> Answer {
    let of = range_type(call, call.len().saturating_sub(1))?;
    let ranges =
        if call.len() > 1 { vec![Range::from_storage(call.text(0)?, of)?] } else { vec![] };
    Multirange::new(ranges, of).map(|set| store(&set))
}

fn construct_of_array(call: &Call) -> Answer {
    let of = range_type(call, 1)?;
    let array = Array::from_storage(call.text(0)?, StorageClass::Text)?;
    if array.dimensions.len() > 1 {
        return Err(SqlError::new(
            SqlState::CARDINALITY_VIOLATION,
            "multiranges cannot be constructed from multidimensional arrays",
        ));
    }
    let ranges = array.elements.iter().map(|element| match element {
        Datum::Text(stored) => Range::from_storage(stored, of),
        Datum::Null | Datum::Integer(_) | Datum::Real(_) | Datum::Blob(_) => Err(SqlError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "multirange values cannot contain null members",
        )),
    });
    Multirange::new(ranges.collect::<Result<_, _>>()?, of).map(|set| store(&set))
}

/// What of the first range's lower bound; `default` without ranges.
fn of_lower(call: &Call, default: Datum, answer: fn(&Bound) -> Datum) -> Answer {
    let set = set(call, 0)?;
    let bounds = set.ranges.first().and_then(Range::bounds);
    let found = bounds.map_or(default, |(lower, _)| answer(lower));
    Ok(type_of(call, 0)?.from_bound(found))
}

/// The same of the last range's upper bound.
fn of_upper(call: &Call, default: Datum, answer: fn(&Bound) -> Datum) -> Answer {
    let set = set(call, 0)?;
    let bounds = set.ranges.last().and_then(Range::bounds);
    let found = bounds.map_or(default, |(_, upper)| answer(upper));
    Ok(type_of(call, 0)?.from_bound(found))
}

fn value(bound: &Bound) -> Datum {
    bound.value.clone().unwrap_or(Datum::Null)
}

fn is_unbounded(bound: &Bound) -> Datum {
    boolean(bound.value.is_none())
}

fn is_inclusive(bound: &Bound) -> Datum {
    boolean(bound.inclusive)
}

fn holds_value(call: &Call, set_at: usize, element: usize) -> Answer {
    let (set, value) = (set(call, set_at)?, range::element(call, set_at, element)?);
    Ok(boolean(set.ranges.iter().any(|range| holds(range, &value))))
}

/// Whether all ranges of one argument are within the other.
fn contains(call: &Call, outer: usize, inner: usize) -> Answer {
    let (outer, inner) = (set(call, outer)?, set(call, inner)?);
    Ok(boolean(inner.ranges.iter().all(|range| outer.contains(range))))
}

fn overlaps(call: &Call) -> Answer {
    let (left, right, _) = two(call)?;
    Ok(boolean(right.ranges.iter().any(|range| left.overlaps(range))))
}

/// Whether two ranges at the ends are so: the arguments' last, or first, ones.
fn ends(call: &Call, ends: [End; 2], holds: fn(&Range, &Range) -> bool) -> Answer {
    let (left, right, _) = two(call)?;
    let [left_end, right_end] = ends;
    let pair = left_end.of(&left).zip(right_end.of(&right));
    Ok(boolean(pair.is_some_and(|(left, right)| holds(left, right))))
}

/// A range at an end of a multirange.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

impl End {
    fn of(self, set: &Multirange) -> Option<&Range> {
        match self {
            Self::First => set.ranges.first(),
            Self::Last => set.ranges.last(),
        }
    }
}

fn before(call: &Call) -> Answer {
    ends(call, [End::Last, End::First], Range::is_before)
}

fn after(call: &Call) -> Answer {
    ends(call, [End::First, End::Last], |left, right| right.is_before(left))
}

fn overleft(call: &Call) -> Answer {
    ends(call, [End::Last, End::Last], Range::ends_within)
}

fn overright(call: &Call) -> Answer {
    ends(call, [End::First, End::First], Range::starts_within)
}

fn adjacent(call: &Call) -> Answer {
    let (left, right, of) = two(call)?;
    Ok(boolean(left.is_adjacent(&right, of)))
}

fn union(call: &Call) -> Answer {
    let (left, right, of) = two(call)?;
    let ranges = left.ranges.into_iter().chain(right.ranges).collect();
    Multirange::new(ranges, of).map(|set| store(&set))
}

fn combined(
    call: &Call,
    combine: fn(&Multirange, &Multirange, RangeType) -> Result<Multirange, SqlError>,
) -> Answer {
    let (left, right, of) = two(call)?;
    combine(&left, &right, of).map(|set| store(&set))
}

fn unnest(call: &Call) -> Result<Rows, SqlError> {
    let set = set(call, 0)?;
    Ok(Box::new(set.ranges.into_iter().map(|range| Ok(vec![stored(&range)]))))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Constructors and functions of one multirange.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_multirange_constructor0", construct),
    f("pg_multirange_constructor1", construct),
    f("pg_multirange_constructor2", construct_of_array),
    f("pg_multirange_lower", |call| of_lower(call, Datum::Null, value)),
    f("pg_multirange_upper", |call| of_upper(call, Datum::Null, value)),
    f("pg_multirange_empty", |call| Ok(boolean(set(call, 0)?.is_empty()))),
    f("pg_multirange_lower_inc", |call| of_lower(call, boolean(false), is_inclusive)),
    f("pg_multirange_upper_inc", |call| of_upper(call, boolean(false), is_inclusive)),
    f("pg_multirange_lower_inf", |call| of_lower(call, boolean(false), is_unbounded)),
    f("pg_multirange_upper_inf", |call| of_upper(call, boolean(false), is_unbounded)),
    f("pg_multirange_cmp", |call| {
        let (left, right, _) = two(call)?;
        Ok(integer(left.compare(&right) as i8))
    }),
    f("pg_multirange_union", union),
    f("pg_multirange_minus", |call| combined(call, Multirange::difference)),
    f("pg_multirange_intersect", |call| combined(call, Multirange::intersection)),
    f("pg_range_merge_from_multirange", |call| {
        set(call, 0)?.hull(type_of(call, 0)?).map(|range| stored(&range))
    }),
];

/// Operators between multiranges, ranges and values.
pub(super) const OPERATORS: &[ScalarFunction] = &[
    f("pg_multirange_contains_elem", |call| holds_value(call, 0, 1)),
    f("pg_elem_contained_by_multirange", |call| holds_value(call, 1, 0)),
    f("pg_multirange_contains_range", |call| Ok(boolean(set(call, 0)?.contains(&range(call, 1)?)))),
    f("pg_range_contained_by_multirange", |call| {
        Ok(boolean(set(call, 1)?.contains(&range(call, 0)?)))
    }),
    f("pg_multirange_contains_multirange", |call| contains(call, 0, 1)),
    f("pg_multirange_contained_by_multirange", |call| contains(call, 1, 0)),
    f("pg_range_contains_multirange", |call| contains(call, 0, 1)),
    f("pg_multirange_contained_by_range", |call| contains(call, 1, 0)),
    f("pg_range_overlaps_multirange", overlaps),
    f("pg_multirange_overlaps_range", overlaps),
    f("pg_multirange_overlaps_multirange", overlaps),
    f("pg_range_before_multirange", before),
    f("pg_multirange_before_range", before),
    f("pg_multirange_before_multirange", before),
    f("pg_range_after_multirange", after),
    f("pg_multirange_after_range", after),
    f("pg_multirange_after_multirange", after),
    f("pg_range_overleft_multirange", overleft),
    f("pg_multirange_overleft_range", overleft),
    f("pg_multirange_overleft_multirange", overleft),
    f("pg_range_overright_multirange", overright),
    f("pg_multirange_overright_range", overright),
    f("pg_multirange_overright_multirange", overright),
    f("pg_range_adjacent_multirange", adjacent),
    f("pg_multirange_adjacent_range", adjacent),
    f("pg_multirange_adjacent_multirange", adjacent),
];

/// This file's set-returning functions.
pub(super) const SET_RETURNING: &[SetReturningFunction] = &[SetReturningFunction {
    name: "pg_srf_multirange_unnest",
    columns: 1,
    strict: true,
    body: unnest,
}];

/// `range_agg`, or `range_intersect_agg` of multiranges.
#[derive(Default)]
struct Sets {
    sets: VecDeque<Multirange>,
    of: Option<RangeType>,
    intersect: bool,
}

impl Accumulator for Sets {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.of = Some(range_type(call, 1)?);
            self.sets.push_back(set(call, 0)?);
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.sets.pop_front();
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        let mut sets = self.sets.iter();
        let (Some(first), Some(of)) = (sets.next(), self.of) else { return Ok(Datum::Null) };
        let found = if self.intersect {
            sets.try_fold(first.clone(), |sum, set| sum.intersection(set, of))?
        } else {
            Multirange::new(self.sets.iter().flat_map(|set| set.ranges.clone()).collect(), of)?
        };
        Ok(store(&found))
    }
}

/// Aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction { name: "pg_agg_range_agg_anyrange", start: || Box::new(Sets::default()) },
    AggregateFunction {
        name: "pg_agg_range_agg_anymultirange",
        start: || Box::new(Sets::default()),
    },
    AggregateFunction {
        name: "pg_agg_range_intersect_agg_anymultirange",
        start: || Box::new(Sets { intersect: true, ..Sets::default() }),
    },
];
