//! Constructors, functions, operators and aggregates of ranges.
//!
//! The operators are declared over `anyrange` and `anyelement`; the types come after the arguments, one each. Constructors,
//! which have no such arguments, get their result type there.

use super::call::{boolean, integer, text};
use super::{Accumulator, AggregateFunction, Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::failure;
use crate::types::range::{Bound, Range, RangeType};
use crate::types::range_math::Gaps;

type Answer = Result<Datum, SqlError>;

/// The range type of an argument of a call whose types come after as many arguments.
pub(super) fn type_of(call: &Call, index: usize) -> Result<RangeType, SqlError> {
    range_type(call, call.len() / 2 + index)
}

/// The range type whose OID is at that place.
pub(super) fn range_type(call: &Call, index: usize) -> Result<RangeType, SqlError> {
    let oid = call.oid(index)?;
    let of = call.session.with_types(|cx| {
        let base = crate::types::codec::base_type(oid, -1, cx).0;
        RangeType::named(base, cx)
    });
    of.ok_or_else(|| failure::wrong_storage("range"))
}

/// A range argument.
pub(super) fn range(call: &Call, index: usize) -> Result<Range, SqlError> {
    Range::from_storage(call.text(index)?, type_of(call, index)?)
}

fn two(call: &Call) -> Result<(Range, Range, RangeType), SqlError> {
    Ok((range(call, 0)?, range(call, 1)?, type_of(call, 0)?))
}

/// The storage form of a range.
pub(super) fn stored(range: &Range) -> Datum {
    text(range.to_storage())
}

/// `int4range(1, 5)`, `int4range(1, 5, '[]')`: the bounds, perhaps which of them are inclusive, and the type.
fn construct(call: &Call) -> Answer {
    let of = range_type(call, call.len().saturating_sub(1))?;
    let (lower_inclusive, upper_inclusive) = match call.len() {
        0..=3 => (true, false),
        _ if call.is_null(2) => {
            return Err(SqlError::new(
                SqlState::DATA_EXCEPTION,
                "range constructor flags argument must not be null",
            ));
        }
        _ => match call.text(2)? {
            "[]" => (true, true),
            "[)" => (true, false),
            "(]" => (false, true),
            "()" => (false, false),
            _ => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid range bound flags")
                    .with_hint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\"."));
            }
        },
    };
    let value =
        |index: usize| (!call.is_null(index)).then(|| of.to_bound(call.datum(index).to_datum()));
    let lower = Bound::lower(value(0), lower_inclusive);
    let upper = Bound::upper(value(1), upper_inclusive);
    Range::new(lower, upper, of).map(|range| stored(&range))
}

/// What of a range's bounds; `default` for the empty one.
fn of_bounds(call: &Call, default: Datum, answer: fn(&Bound, &Bound) -> Datum) -> Answer {
    let range = range(call, 0)?;
    let found = range.bounds().map_or(default, |(lower, upper)| answer(lower, upper));
    Ok(type_of(call, 0)?.from_bound(found))
}

fn value(bound: &Bound) -> Datum {
    bound.value.clone().unwrap_or(Datum::Null)
}

/// Whether a bound's value is in a range.
pub(super) fn holds(range: &Range, value: &Datum) -> bool {
    let bounds = range.bounds();
    bounds
        .is_some_and(|(lower, upper)| lower.admits(value.as_ref()) && upper.admits(value.as_ref()))
}

/// An argument as a bound of the range type of another.
pub(super) fn element(call: &Call, range_at: usize, index: usize) -> Result<Datum, SqlError> {
    Ok(type_of(call, range_at)?.to_bound(call.datum(index).to_datum()))
}

fn compared(call: &Call, holds: fn(&Range, &Range) -> bool) -> Answer {
    let (left, right, _) = two(call)?;
    Ok(boolean(holds(&left, &right)))
}

fn combined(
    call: &Call,
    combine: fn(&Range, &Range, RangeType) -> Result<Range, SqlError>,
) -> Answer {
    let (left, right, of) = two(call)?;
    combine(&left, &right, of).map(|range| stored(&range))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Scalar functions and operators.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_range_constructor2", construct),
    ScalarFunction::lax("pg_range_constructor3", construct),
    f("pg_range_lower", |call| of_bounds(call, Datum::Null, |lower, _| value(lower))),
    f("pg_range_upper", |call| of_bounds(call, Datum::Null, |_, upper| value(upper))),
    f("pg_range_empty", |call| Ok(boolean(range(call, 0)?.is_empty()))),
    f("pg_range_lower_inc", |call| {
        of_bounds(call, boolean(false), |lower, _| boolean(lower.inclusive))
    }),
    f("pg_range_upper_inc", |call| {
        of_bounds(call, boolean(false), |_, upper| boolean(upper.inclusive))
    }),
    f("pg_range_lower_inf", |call| {
        of_bounds(call, boolean(false), |lower, _| boolean(lower.value.is_none()))
    }),
    f("pg_range_upper_inf", |call| {
        of_bounds(call, boolean(false), |_, upper| boolean(upper.value.is_none()))
    }),
    f("pg_range_cmp", |call| {
        let (left, right, _) = two(call)?;
        Ok(integer(left.compare(&right) as i8))
    }),
    f("pg_range_contains_elem", |call| Ok(boolean(holds(&range(call, 0)?, &element(call, 0, 1)?)))),
    f("pg_elem_contained_by_range", |call| {
        Ok(boolean(holds(&range(call, 1)?, &element(call, 1, 0)?)))
    }),
    f("pg_range_contains", |call| compared(call, Range::contains)),
    f("pg_range_contained_by", |call| compared(call, |left, right| right.contains(left))),
    f("pg_range_overlaps", |call| compared(call, Range::overlaps)),
    f("pg_range_before", |call| compared(call, Range::is_before)),
    f("pg_range_after", |call| compared(call, |left, right| right.is_before(left))),
    f("pg_range_overleft", |call| compared(call, Range::ends_within)),
    f("pg_range_overright", |call| compared(call, Range::starts_within)),
    f("pg_range_adjacent", |call| {
        let (left, right, of) = two(call)?;
        Ok(boolean(left.is_adjacent(&right, of)))
    }),
    f("pg_range_union", |call| {
        combined(call, |left, right, of| left.union(right, Gaps::Refused, of))
    }),
    f("pg_range_merge", |call| {
        combined(call, |left, right, of| left.union(right, Gaps::Filled, of))
    }),
    f("pg_range_intersect", |call| combined(call, Range::intersection)),
    f("pg_range_minus", |call| combined(call, Range::difference)),
];

/// `range_intersect_agg` of ranges.
#[derive(Default)]
struct Intersection {
    ranges: std::collections::VecDeque<Range>,
    of: Option<RangeType>,
}

impl Accumulator for Intersection {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.of = Some(range_type(call, 1)?);
            self.ranges.push_back(range(call, 0)?);
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.ranges.pop_front();
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        let mut ranges = self.ranges.iter();
        let (Some(first), Some(of)) = (ranges.next(), self.of) else { return Ok(Datum::Null) };
        let common = ranges.try_fold(first.clone(), |sum, range| sum.intersection(range, of))?;
        Ok(stored(&common))
    }
}

/// Aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[AggregateFunction {
    name: "pg_agg_range_intersect_agg_anyrange",
    start: || Box::new(Intersection::default()),
}];
