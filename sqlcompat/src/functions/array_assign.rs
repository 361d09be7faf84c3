//! Arrays with a part replaced: what `SET a[1] = …` and `SET a[1:2] = …` store.
//!
//! | function | does |
//! |---|---|
//! | `pg_array_set(array, type, value, i, …)` | the array with one element replaced |
//! | `pg_array_set_slice(array, type, array, l, u, …)` | the array with a slice replaced, NULL for an omitted bound |
//!
//! A NULL array counts as an empty one. An array of one dimension grows to what is assigned, with NULLs in between.
//! Source: PostgreSQL's `array_set_element` and `array_set_slice`.
//!
//! # Left out
//! Arrays whose lower bound is not 1, which PostgreSQL makes of an assignment to an empty array: 0A000.

use super::array::{array_error, locate, read, store};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::array::{Array, DIMENSIONS_MAX, ELEMENTS_MAX};

type Answer = Result<Datum, SqlError>;

/// The array to be changed; an empty one for NULL.
fn target(call: &Call) -> Result<Array, SqlError> {
    if call.is_null(0) { Ok(Array::default()) } else { read(call, 0, 1).map(|(array, _)| array) }
}

fn wrong_bound() -> SqlError {
    SqlError::unsupported("an array whose lower bound is not 1")
}

/// A subscript that must not be NULL.
fn subscript(call: &Call, index: usize) -> Result<i64, SqlError> {
    if call.is_null(index) {
        let message = "array subscript in assignment must not be null";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    call.i64(index)
}

fn set_element(call: &Call) -> Answer {
    let mut array = target(call)?;
    let subscripts = (3..call.len()).map(|index| subscript(call, index));
    let subscripts = subscripts.collect::<Result<Vec<_>, _>>()?;
    let value = call.datum(2).to_datum();
    if array.dimensions.is_empty() {
        if subscripts.len() > DIMENSIONS_MAX || subscripts.iter().any(|it| *it != 1) {
            return Err(wrong_bound());
        }
        let dimensions = vec![1; subscripts.len()];
        return Ok(store(&Array { dimensions, elements: vec![value] }));
    }
    if subscripts.len() != array.dimensions.len() {
        return Err(array_error("wrong number of array subscripts"));
    }
    if let Some(slot) = locate(&array, &subscripts, 1).and_then(|at| array.elements.get_mut(at)) {
        *slot = value;
        return Ok(store(&array));
    }
    let [subscript] = subscripts[..] else {
        return Err(array_error("array subscript out of range"));
    };
    let index = usize::try_from(subscript - 1).map_err(|_below| wrong_bound())?;
    grow(&mut array, index + 1)?;
    array.elements[index] = value;
    Ok(store(&array))
}

/// Makes an array of one dimension at least `length` long.
fn grow(array: &mut Array, length: usize) -> Result<(), SqlError> {
    if length > ELEMENTS_MAX {
        return Err(array_error("array subscript out of range"));
    }
    if array.elements.len() < length {
        array.elements.resize(length, Datum::Null);
    }
    array.dimensions = vec![array.elements.len()];
    Ok(())
}

fn set_slice(call: &Call) -> Answer {
    if call.is_null(2) {
        return Ok(call.datum(0).to_datum());
    }
    let mut array = target(call)?;
    let (source, _) = read(call, 2, 1)?;
    let ranges = ranges(call, &array.dimensions)?;
    let count = ranges.iter().map(|(from, to)| to - from).product::<usize>();
    if count > source.elements.len() {
        return Err(array_error("source array too small"));
    }
    if array.dimensions.is_empty() {
        if ranges.iter().any(|(from, _)| *from != 0) {
            return Err(wrong_bound());
        }
        array.dimensions = ranges.iter().map(|(_, to)| *to).collect();
        array.elements = source.elements.into_iter().take(count).collect();
        return Ok(store(&array));
    }
    if let [(_, to)] = ranges[..] {
        grow(&mut array, to)?;
    }
    let mut values = source.elements.into_iter();
    let dimensions = array.dimensions.clone();
    for (position, slot) in array.elements.iter_mut().enumerate() {
        let mut rest = position;
        let inside = dimensions.iter().zip(&ranges).rev().all(|(length, (from, to))| {
            let index = rest % length;
            rest /= length;
            (*from..*to).contains(&index)
        });
        if let (true, Some(value)) = (inside, if inside { values.next() } else { None }) {
            *slot = value;
        }
    }
    Ok(store(&array))
}

/// The ranges of a slice, from 0 and without their ends, one for each dimension of the array.
fn ranges(call: &Call, dimensions: &[usize]) -> Result<Vec<(usize, usize)>, SqlError> {
    let pairs = (call.len() - 3) / 2;
    if pairs > DIMENSIONS_MAX || (!dimensions.is_empty() && pairs > dimensions.len()) {
        return Err(array_error("wrong number of array subscripts"));
    }
    let count = if dimensions.is_empty() { pairs } else { dimensions.len() };
    let mut ranges = Vec::with_capacity(count);
    for at in 0..count {
        let length = dimensions.get(at).copied();
        let bound = |index: usize, default: Option<usize>| match default {
            _ if at < pairs && !call.is_null(index) => call.i64(index),
            Some(default) => Ok(i64::try_from(default).unwrap_or(i64::MAX)),
            None => Err(array_error("array slice subscript must provide both boundaries")
                .with_detail(
                    "When assigning to a slice of an empty array value, slice boundaries must be \
                     fully specified.",
                )),
        };
        let lower = bound(3 + at * 2, length.map(|_| 1))?;
        let upper = bound(4 + at * 2, length)?;
        if lower > upper {
            return Err(array_error("upper bound cannot be less than lower bound"));
        }
        let from = usize::try_from(lower - 1).map_err(|_below| wrong_bound())?;
        let to = usize::try_from(upper).unwrap_or(usize::MAX);
        if to > ELEMENTS_MAX || (count > 1 && length.is_some_and(|length| to > length)) {
            return Err(array_error("array subscript out of range"));
        }
        ranges.push((from, to));
    }
    Ok(ranges)
}

/// The functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_array_set", set_element),
    ScalarFunction::lax("pg_array_set_slice", set_slice),
];
