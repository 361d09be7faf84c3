//! Arrays with a part replaced: what `SET a[1] = …` and `SET a[1:2] = …` store.
//!
//! | function | does |
//! |---|---|
//! | `pg_array_set(array, type, value, i, …)` | the array with one element replaced |
//! | `pg_array_set_slice(array, type, array, l, u, …)` | the array with a slice replaced, an empty blob for an omitted bound |
//!
//! A NULL array counts as an empty one. An array of one dimension grows at either end to what is assigned, with NULLs in
//! between; an empty array becomes just what is assigned. Source: PostgreSQL's `array_set_element` and `array_set_slice`.

use super::array::{array_error, locate, read, store, subscript_bound};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::array::{Array, DIMENSIONS_MAX, ELEMENTS_MAX, too_large, too_many_dimensions};

type Answer = Result<Datum, SqlError>;

/// The array to be changed; an empty one for NULL.
fn target(call: &Call) -> Result<Array, SqlError> {
    if call.is_null(0) { Ok(Array::default()) } else { read(call, 0, 1).map(|(array, _)| array) }
}

/// Refuses NULL among the subscripts, which begin with argument 3.
fn refuse_null(call: &Call) -> Result<(), SqlError> {
    if !(3..call.len()).any(|index| call.is_null(index)) {
        return Ok(());
    }
    let message = "array subscript in assignment must not be null";
    Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message))
}

fn set_element(call: &Call) -> Answer {
    refuse_null(call)?;
    let mut array = target(call)?;
    let subscripts = (3..call.len()).map(|index| call.i64(index));
    let subscripts = subscripts.collect::<Result<Vec<_>, _>>()?;
    let value = call.datum(2).to_datum();
    if array.dimensions.is_empty() {
        let ranges: Vec<(i64, i64)> = subscripts.iter().map(|at| (*at, *at)).collect();
        return Ok(store(&anew(&ranges, vec![value])?));
    }
    if subscripts.len() != array.dimensions.len() {
        return Err(array_error("wrong number of array subscripts"));
    }
    if let [subscript] = subscripts[..] {
        array = grown(array, subscript, subscript)?;
    }
    match locate(&array, &subscripts).and_then(|at| array.elements.get_mut(at)) {
        Some(slot) => *slot = value,
        None => return Err(array_error("array subscript out of range")),
    }
    Ok(store(&array))
}

/// How many subscripts there are from `lower` to `upper`.
fn length(lower: i64, upper: i64) -> Result<usize, SqlError> {
    let length = usize::try_from(upper.saturating_sub(lower).saturating_add(1)).unwrap_or(0);
    if length > ELEMENTS_MAX { Err(too_large()) } else { Ok(length) }
}

fn lower_bound(subscript: i64) -> Result<i32, SqlError> {
    i32::try_from(subscript).map_err(|_out_of_range| too_large())
}

/// An array over these subscripts, of the first of the values.
fn anew(ranges: &[(i64, i64)], mut values: Vec<Datum>) -> Result<Array, SqlError> {
    if ranges.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(ranges.len()));
    }
    let (mut dimensions, mut lowers) = (Vec::new(), Vec::new());
    for (lower, upper) in ranges {
        dimensions.push(length(*lower, *upper)?);
        lowers.push(lower_bound(*lower)?);
    }
    values.truncate(volume(&dimensions)?);
    Array::of(dimensions, values).with_lowers(&lowers)
}

/// How many elements there are in an array, or a part of one, of these lengths.
pub(super) fn volume(lengths: &[usize]) -> Result<usize, SqlError> {
    let volume = lengths.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
    volume.filter(|volume| *volume <= ELEMENTS_MAX).ok_or_else(too_large)
}

/// An array of one dimension, made to reach from `lower` to `upper` at least.
fn grown(mut array: Array, lower: i64, upper: i64) -> Result<Array, SqlError> {
    let (from, to) = (lower.min(array.lower(0)), upper.max(array.upper(0)));
    let (total, before) = (length(from, to)?, length(from, array.lower(0) - 1)?);
    let mut elements = vec![Datum::Null; before];
    elements.append(&mut array.elements);
    elements.resize(total, Datum::Null);
    Array::from_elements(elements).with_lowers(&[lower_bound(from)?])
}

fn set_slice(call: &Call) -> Answer {
    refuse_null(call)?;
    if call.is_null(2) {
        return Ok(call.datum(0).to_datum());
    }
    let mut array = target(call)?;
    let (source, _) = read(call, 2, 1)?;
    let ranges = ranges(call, &array)?;
    let lengths = ranges.iter().map(|(from, to)| length(*from, *to));
    if volume(&lengths.collect::<Result<Vec<_>, _>>()?)? > source.elements.len() {
        return Err(array_error("source array too small"));
    }
    if array.dimensions.is_empty() {
        return Ok(store(&anew(&ranges, source.elements)?));
    }
    if let [(lower, upper)] = ranges[..] {
        array = grown(array, lower, upper)?;
    }
    let lowers = array.all_lowers();
    let mut values = source.elements.into_iter();
    let dimensions = array.dimensions.clone();
    for (position, slot) in array.elements.iter_mut().enumerate() {
        let mut rest = position;
        let bounds = dimensions.iter().zip(&lowers).zip(&ranges);
        let inside = bounds.rev().all(|((length, lower), (from, to))| {
            let subscript = i64::from(*lower) + i64::try_from(rest % length).unwrap_or(i64::MAX);
            rest /= length;
            (*from..=*to).contains(&subscript)
        });
        if let (true, Some(value)) = (inside, if inside { values.next() } else { None }) {
            *slot = value;
        }
    }
    Ok(store(&array))
}

/// The first and last subscripts of a slice, one pair for each dimension of the array.
fn ranges(call: &Call, array: &Array) -> Result<Vec<(i64, i64)>, SqlError> {
    let pairs = (call.len() - 3) / 2;
    let is_new = array.dimensions.is_empty();
    if pairs > DIMENSIONS_MAX || (!is_new && pairs > array.dimensions.len()) {
        return Err(array_error("wrong number of array subscripts"));
    }
    let count = if is_new { pairs } else { array.dimensions.len() };
    let mut ranges = Vec::with_capacity(count);
    for at in 0..count {
        let bound = |index: usize, default: i64| {
            let given = if at < pairs { subscript_bound(call, index)? } else { None };
            if is_new && given.is_none() {
                return Err(array_error("array slice subscript must provide both boundaries")
                    .with_detail(
                        "When assigning to a slice of an empty array value, slice boundaries must be \
                         fully specified.",
                    ));
            }
            Ok(given.unwrap_or(default))
        };
        let lower = bound(3 + at * 2, array.lower(at))?;
        let upper = bound(4 + at * 2, array.upper(at))?;
        if lower > upper && !is_new {
            return Err(array_error("upper bound cannot be less than lower bound"));
        }
        if count > 1 && !is_new && (lower < array.lower(at) || upper > array.upper(at)) {
            return Err(array_error("array subscript out of range"));
        }
        ranges.push((lower, upper));
    }
    Ok(ranges)
}

/// The functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_array_set", set_element),
    ScalarFunction::lax("pg_array_set_slice", set_slice),
];
