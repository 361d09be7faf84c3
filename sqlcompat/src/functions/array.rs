//! Array operators and functions. Element types come as the OIDs after the arguments.
//!
//! Beside the rows of `pg_proc` the lowering uses:
//!
//! | function | does |
//! |---|---|
//! | `pg_array(value, …, element)` | `ARRAY[…]` of elements of that type |
//! | `pg_array_pieces(array, …)` | `ARRAY[…]` of more elements than a function has arguments |
//! | `pg_array_nest(array, …, element)` | `ARRAY[…]` of arrays: one dimension more |
//! | `pg_array_subscript(array, type, i, …)` | `a[i][j]…`, NULL outside |
//! | `pg_array_slice(array, type, l, u, …)` | `a[l:u]…`, an empty blob for an omitted bound |
//! | `pg_array_flat(array, type)` | the array with its elements in one dimension |

use std::cmp::Ordering;

use super::call::{boolean, count, integer, text};
use super::json::record::require_defined;
use super::ordering;
use super::{Call, Rows, ScalarFunction, SetReturningFunction};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::{Array, DIMENSIONS_MAX, storage_class, too_many_dimensions};
use crate::types::{codec, failure};

type Answer = Result<Datum, SqlError>;

/// An array argument with its element type.
pub(super) fn read(call: &Call, index: usize, type_index: usize) -> Result<(Array, Oid), SqlError> {
    let type_oid = call.oid(type_index)?;
    let stored = call.text(index)?;
    call.session.with_types(|cx| {
        let vector = match type_oid {
            Oid::INT2VECTOR => Some(Oid::INT2),
            Oid::OIDVECTOR => Some(Oid::OID),
            _ => None,
        };
        let element = vector.or_else(|| codec::element_type(type_oid, cx));
        let element = element.ok_or_else(|| failure::wrong_storage("array"))?;
        let array = Array::from_storage(stored, storage_class(element, cx))?;
        // The vectors count from 0.
        Ok((if vector.is_some() { array.with_lowers(&[0])? } else { array }, element))
    })
}

/// An array of text, whose element type is known.
pub(super) fn texts(call: &Call, index: usize) -> Result<Vec<Option<String>>, SqlError> {
    let array = Array::from_storage(call.text(index)?, crate::types::array::StorageClass::Text)?;
    Ok(array
        .elements
        .into_iter()
        .map(|item| match item {
            Datum::Text(text) => Some(text),
            Datum::Null | Datum::Integer(_) | Datum::Real(_) | Datum::Blob(_) => None,
        })
        .collect())
}

/// The storage form of an array.
pub(super) fn store(array: &Array) -> Datum {
    text(array.to_storage())
}

pub(super) fn array_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

fn construct(call: &Call) -> Answer {
    let width = call.len().saturating_sub(1);
    let elements = call.arguments.iter().take(width).map(|it| it.to_datum()).collect();
    Ok(store(&Array::from_elements(elements)))
}

fn nest(call: &Call) -> Answer {
    let width = call.len().saturating_sub(1);
    let class = {
        let element = call.oid(width)?;
        call.session.with_types(|cx| storage_class(element, cx))
    };
    let mut parts = Vec::with_capacity(width);
    for index in 0..width {
        if !call.is_null(index) {
            parts.push(Array::from_storage(call.text(index)?, class)?);
        }
    }
    parts.retain(|part| !part.is_empty());
    let Some(first) = parts.first() else { return Ok(store(&Array::default())) };
    let alike = |it: &Array| it.dimensions == first.dimensions && it.lowers == first.lowers;
    if parts.len() < width || !parts.iter().all(alike) {
        return Err(array_error(
            "multidimensional arrays must have array expressions with matching dimensions",
        ));
    }
    Ok(store(&stacked(parts)?))
}

/// The elements of several arrays of one dimension that counts from 1, as one such array: a constructor's pieces.
fn pieces(call: &Call) -> Answer {
    let mut whole = String::from("[");
    for index in 0..call.len() {
        let inner = call.text(index)?.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let inner = inner.ok_or_else(|| failure::wrong_storage("array"))?;
        whole.push_str(if whole.len() > 1 && !inner.is_empty() { "," } else { "" });
        whole.push_str(inner);
    }
    whole.push(']');
    Ok(Datum::Text(whole))
}

/// Arrays of the same dimensions as one array with one dimension more.
///
/// # Errors
/// 54000 for more than [`DIMENSIONS_MAX`] dimensions.
pub(super) fn stacked(parts: Vec<Array>) -> Result<Array, SqlError> {
    let (mut dimensions, mut lowers) = (vec![parts.len()], vec![1]);
    if let Some(first) = parts.first() {
        dimensions.extend(&first.dimensions);
        lowers.extend(first.all_lowers());
    }
    if dimensions.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(dimensions.len()));
    }
    let elements = parts.into_iter().flat_map(|part| part.elements).collect();
    Array::of(dimensions, elements).with_lowers(&lowers)
}

/// Position in row-major order of subscripts; `None` outside.
pub(super) fn locate(array: &Array, subscripts: &[i64]) -> Option<usize> {
    if subscripts.len() != array.dimensions.len() {
        return None;
    }
    let mut position = 0;
    for (dimension, (subscript, length)) in subscripts.iter().zip(&array.dimensions).enumerate() {
        let index = usize::try_from(subscript - array.lower(dimension)).ok();
        position = position * length + index.filter(|index| index < length)?;
    }
    Some(position)
}

fn subscript(call: &Call) -> Answer {
    let (array, _) = read(call, 0, 1)?;
    let subscripts = (2..call.len()).map(|index| call.i64(index)).collect::<Result<Vec<_>, _>>()?;
    let position = locate(&array, &subscripts);
    Ok(position.and_then(|at| array.elements.get(at).cloned()).unwrap_or(Datum::Null))
}

fn flat(call: &Call) -> Answer {
    let stored = call.text(0)?;
    // An array of one dimension, which nearly all are, need not be read.
    if stored.starts_with('[') && !stored.starts_with("[[") {
        return Ok(text(stored.to_owned()));
    }
    let (array, _) = read(call, 0, 1)?;
    Ok(store(&Array::from_elements(array.elements)))
}

fn slice(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    if (2..call.len()).any(|index| call.is_null(index)) {
        return Ok(Datum::Null);
    }
    let (array, _) = read(call, 0, 1)?;
    let pairs = (call.len() - 2) / 2;
    if pairs > array.dimensions.len() {
        return Ok(store(&Array::default()));
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for dimension in 0..array.dimensions.len() {
        let bound = |index: usize, default: i64| {
            let given = if dimension < pairs { subscript_bound(call, index)? } else { None };
            Ok::<_, SqlError>(given.unwrap_or(default))
        };
        let (lower, upper) = (array.lower(dimension), array.upper(dimension));
        let from = bound(2 + dimension * 2, lower)?.max(lower) - lower;
        let to = bound(3 + dimension * 2, upper)?.min(upper) - lower + 1;
        if from >= to {
            return Ok(store(&Array::default()));
        }
        ranges.push((usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0)));
    }
    let mut elements = Vec::new();
    for (position, item) in array.elements.iter().enumerate() {
        let mut rest = position;
        let inside = array.dimensions.iter().zip(&ranges).rev().all(|(length, (from, to))| {
            let index = rest % length;
            rest /= length;
            (*from..*to).contains(&index)
        });
        if inside {
            elements.push(item.clone());
        }
    }
    let dimensions = ranges.iter().map(|(from, to)| to - from).collect();
    Ok(store(&Array::of(dimensions, elements)))
}

/// A bound of a slice, where it is not omitted.
pub(super) fn subscript_bound(call: &Call, index: usize) -> Result<Option<i64>, SqlError> {
    match call.datum(index) {
        DatumRef::Blob([]) => Ok(None),
        _ => call.i64(index).map(Some),
    }
}

/// What of a dimension, which counts from 1; NULL if there is none of that number.
fn dimension(call: &Call, what: fn(&Array, usize) -> i64) -> Answer {
    let (array, _) = read(call, 0, 2)?;
    let index = usize::try_from(call.i64(1)? - 1).ok();
    let index = index.filter(|index| *index < array.dimensions.len());
    Ok(index.map_or(Datum::Null, |index| integer(what(&array, index))))
}

fn dims(call: &Call) -> Answer {
    let (array, _) = read(call, 0, 1)?;
    if array.dimensions.is_empty() {
        return Ok(Datum::Null);
    }
    let bounds = |at| format!("[{}:{}]", array.lower(at), array.upper(at));
    Ok(text((0..array.dimensions.len()).map(bounds).collect::<String>()))
}

fn compare(call: &Call, holds: fn(Ordering) -> bool) -> Answer {
    Ok(boolean(holds(order(call)?)))
}

fn order(call: &Call) -> Result<Ordering, SqlError> {
    let ((left, element), (right, _)) = (read(call, 0, 2)?, read(call, 1, 3)?);
    Ok(call.session.with_types(|cx| {
        left.compare(&right, |left, right| {
            ordering::compare(element, left.as_ref(), right.as_ref(), cx)
        })
    }))
}

fn equal(call: &Call, element: Oid, left: &Datum, right: &Datum) -> bool {
    call.session
        .with_types(|cx| ordering::compare(element, left.as_ref(), right.as_ref(), cx).is_eq())
}

/// Whether every element of `inner` is in `outer`; NULL is in nothing.
fn contains(call: &Call, outer: &Array, inner: &Array, element: Oid) -> bool {
    inner.elements.iter().all(|wanted| {
        *wanted != Datum::Null
            && outer
                .elements
                .iter()
                .any(|item| *item != Datum::Null && equal(call, element, item, wanted))
    })
}

fn contains_call(call: &Call, outer: usize, inner: usize) -> Answer {
    let ((outer, element), (inner, _)) =
        (read(call, outer, outer + 2)?, read(call, inner, inner + 2)?);
    Ok(boolean(contains(call, &outer, &inner, element)))
}

fn overlap(call: &Call) -> Answer {
    let ((left, element), (right, _)) = (read(call, 0, 2)?, read(call, 1, 3)?);
    Ok(boolean(left.elements.iter().any(|item| {
        *item != Datum::Null
            && right
                .elements
                .iter()
                .any(|other| *other != Datum::Null && equal(call, element, item, other))
    })))
}

fn append(call: &Call) -> Answer {
    let mut array = if call.is_null(0) { Array::default() } else { read(call, 0, 2)?.0 };
    one_dimensional(&array, array.upper(0) + 1)?;
    array.elements.push(call.datum(1).to_datum());
    let lowers = array.all_lowers();
    Ok(store(&Array::from_elements(array.elements).with_lowers(&lowers)?))
}

fn prepend(call: &Call) -> Answer {
    let mut array = if call.is_null(1) { Array::default() } else { read(call, 1, 3)?.0 };
    one_dimensional(&array, array.lower(0) - 1)?;
    array.elements.insert(0, call.datum(0).to_datum());
    let lowers = array.all_lowers();
    Ok(store(&Array::from_elements(array.elements).with_lowers(&lowers)?))
}

/// Refuses more than one dimension, and one that has no place for the subscript `next`.
fn one_dimensional(array: &Array, next: i64) -> Result<(), SqlError> {
    if array.dimensions.len() > 1 {
        let message = "argument must be empty or one-dimensional array";
        return Err(SqlError::new(SqlState(*b"22000"), message));
    }
    if array.is_empty() || i32::try_from(next).is_ok() {
        return Ok(());
    }
    Err(failure::out_of_range("integer"))
}

fn concat(call: &Call) -> Answer {
    if call.is_null(0) || call.is_null(1) {
        return Ok(if call.is_null(0) { call.datum(1) } else { call.datum(0) }.to_datum());
    }
    let ((left, _), (right, _)) = (read(call, 0, 2)?, read(call, 1, 3)?);
    if left.is_empty() || right.is_empty() {
        return Ok(store(if right.is_empty() { &left } else { &right }));
    }
    let incompatible = |detail: String| {
        Err(array_error("cannot concatenate incompatible arrays").with_detail(detail))
    };
    let (depth, other_depth) = (left.dimensions.len(), right.dimensions.len());
    if depth.abs_diff(other_depth) > 1 {
        return incompatible(format!(
            "Arrays of {depth} and {other_depth} dimensions are not compatible for concatenation."
        ));
    }
    // An array of fewer dimensions is one element of the other.
    let outer = if depth >= other_depth { &left } else { &right };
    let inner = |array: &Array| {
        let skipped = 1 - (outer.dimensions.len() - array.dimensions.len());
        let lowers = array.all_lowers().split_off(skipped);
        (array.dimensions.get(skipped..).unwrap_or(&[]).to_vec(), lowers)
    };
    if inner(&left) != inner(&right) {
        let what = if depth == other_depth { "element dimensions" } else { "dimensions" };
        return incompatible(format!(
            "Arrays with differing {what} are not compatible for concatenation."
        ));
    }
    let count = |array: &Array| match array.dimensions.first() {
        Some(count) if array.dimensions.len() == outer.dimensions.len() => *count,
        _ => 1,
    };
    let mut dimensions = outer.dimensions.clone();
    if let Some(first) = dimensions.first_mut() {
        *first = count(&left) + count(&right);
    }
    let lowers = outer.all_lowers();
    let mut elements = left.elements;
    elements.extend(right.elements);
    Ok(store(&Array::of(dimensions, elements).with_lowers(&lowers)?))
}

/// Positions (in row-major order, from 0) of elements that are not distinct from the second argument.
fn positions(call: &Call, array: &Array, element: Oid) -> Vec<usize> {
    let wanted = call.datum(1).to_datum();
    let same = |item: &Datum| {
        (*item == Datum::Null) == (wanted == Datum::Null) && equal(call, element, item, &wanted)
    };
    let numbered = array.elements.iter().enumerate().filter(|(_, item)| same(item));
    numbered.map(|(position, _)| position).collect()
}

/// Subscripts, not below `start`, of elements that are not distinct from the second argument.
fn found(call: &Call, type_index: usize, start: i64) -> Result<Vec<i64>, SqlError> {
    let (array, element) = read(call, 0, type_index)?;
    if array.dimensions.len() > 1 {
        return Err(SqlError::unsupported("searching for elements in multidimensional arrays"));
    }
    let lower = array.lower(0);
    let subscripts = positions(call, &array, element).into_iter();
    let subscripts = subscripts.map(|at| lower + i64::try_from(at).unwrap_or(i64::MAX));
    Ok(subscripts.filter(|subscript| *subscript >= start).collect())
}

fn position(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let with_start = call.len() > 4;
    if with_start && call.is_null(2) {
        let message = "initial position must not be null";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    let start = if with_start { call.i64(2)? } else { i64::MIN };
    let found = found(call, if with_start { 3 } else { 2 }, start)?;
    Ok(found.first().map_or(Datum::Null, |it| integer(*it)))
}

fn all_positions(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let found = found(call, 2, i64::MIN)?;
    Ok(store(&Array::from_elements(found.into_iter().map(Datum::Integer).collect())))
}

fn remove(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let (array, element) = read(call, 0, 2)?;
    if array.dimensions.len() > 1 {
        return Err(SqlError::unsupported("removing elements from multidimensional arrays"));
    }
    let mut dropped = positions(call, &array, element).into_iter().peekable();
    let lowers = array.all_lowers();
    let numbered = array.elements.into_iter().enumerate();
    let kept = numbered.filter(|(position, _)| dropped.next_if_eq(position).is_none());
    let kept = Array::from_elements(kept.map(|(_, item)| item).collect());
    Ok(store(&kept.with_lowers(&lowers)?))
}

fn replace(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let (mut array, element) = read(call, 0, 3)?;
    let (from, to) = (call.datum(1).to_datum(), call.datum(2).to_datum());
    for item in &mut array.elements {
        if (*item == Datum::Null) == (from == Datum::Null) && equal(call, element, item, &from) {
            *item = to.clone();
        }
    }
    Ok(store(&array))
}

fn to_string(call: &Call, type_index: usize) -> Answer {
    if call.is_null(0) || call.is_null(1) {
        return Ok(Datum::Null);
    }
    let (array, element) = read(call, 0, type_index)?;
    let null =
        if type_index > 2 && !call.is_null(2) { Some(call.text(2)?.to_owned()) } else { None };
    let mut parts = Vec::with_capacity(array.elements.len());
    for item in &array.elements {
        match item {
            Datum::Null => parts.extend(null.clone()),
            item => parts
                .push(call.session.with_types(|cx| codec::to_text(element, item.as_ref(), cx))?),
        }
    }
    Ok(text(parts.join(call.text(1)?)))
}

/// The parts of `string_to_array` and `string_to_table`; `None` is NULL.
fn split_text(call: &Call) -> Result<Option<Vec<Datum>>, SqlError> {
    if call.is_null(0) {
        return Ok(None);
    }
    let value = call.text(0)?;
    let null = if call.len() > 2 && !call.is_null(2) { Some(call.text(2)?) } else { None };
    let parts: Vec<String> = if value.is_empty() {
        Vec::new()
    } else if call.is_null(1) {
        value.chars().map(String::from).collect()
    } else if call.text(1)?.is_empty() {
        vec![value.to_owned()]
    } else {
        value.split(call.text(1)?).map(str::to_owned).collect()
    };
    let item = |part: String| if Some(part.as_str()) == null { Datum::Null } else { text(part) };
    Ok(Some(parts.into_iter().map(item).collect()))
}

fn string_to_array(call: &Call) -> Answer {
    Ok(split_text(call)?.map_or(Datum::Null, |parts| store(&Array::from_elements(parts))))
}

fn string_to_table(call: &Call) -> Result<Rows, SqlError> {
    let parts = split_text(call)?.unwrap_or_default();
    Ok(Box::new(parts.into_iter().map(|part| Ok(vec![part]))))
}

fn trim(call: &Call) -> Answer {
    let (array, _) = read(call, 0, 2)?;
    let (count, length) = (call.i64(1)?, array.dimensions.first().copied().unwrap_or(0));
    let dropped = usize::try_from(count).ok().filter(|it| *it <= length).ok_or_else(|| {
        array_error(format!("number of elements to trim must be between 0 and {length}"))
    })?;
    let stride = array.elements.len() / length.max(1);
    let (mut dimensions, mut elements) = (array.dimensions, array.elements);
    elements.truncate((length - dropped) * stride);
    if let Some(first) = dimensions.first_mut() {
        *first -= dropped;
    }
    Ok(store(&Array::of(dimensions, elements)))
}

/// `width_bucket(operand, thresholds)`.
fn width_bucket(call: &Call) -> Answer {
    let (array, element) = read(call, 1, 3)?;
    if array.dimensions.len() > 1 {
        return Err(array_error("thresholds must be one-dimensional array"));
    }
    if array.elements.contains(&Datum::Null) {
        let message = "thresholds array must not contain NULLs";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    let operand = call.datum(0).to_datum();
    let below = |item: &&Datum| {
        call.session
            .with_types(|cx| ordering::compare(element, item.as_ref(), operand.as_ref(), cx))
            .is_le()
    };
    Ok(count(array.elements.iter().take_while(below).count()))
}

/// `value = ANY(array)`: how many of the elements the comparison holds for is asked by the lowering through `json_each`;
/// this is the equality case, with SQL's three values.
fn any_equal(call: &Call) -> Answer {
    if call.is_null(0) || call.is_null(1) {
        return Ok(Datum::Null);
    }
    let (array, element) = read(call, 1, 2)?;
    let wanted = call.datum(0).to_datum();
    if array.elements.iter().any(|item| *item != Datum::Null && equal(call, element, item, &wanted))
    {
        return Ok(boolean(true));
    }
    Ok(if array.elements.contains(&Datum::Null) { Datum::Null } else { boolean(false) })
}

fn larger(call: &Call, wanted: Ordering) -> Answer {
    Ok(if order(call)? == wanted { call.datum(0) } else { call.datum(1) }.to_datum())
}

fn unnest(call: &Call) -> Result<Rows, SqlError> {
    let (array, _) = read(call, 0, call.len().saturating_sub(1))?;
    if call.len() > 2 {
        // The columns that the query expects of records.
        let defined = call.text(1)?;
        call.session.with_types(|cx| {
            let rows = array.elements.iter().filter_map(|item| match item {
                Datum::Text(row) => Some(row),
                _ => None,
            });
            rows.into_iter().try_for_each(|row| require_defined(row, defined, cx))
        })?;
    }
    Ok(Box::new(array.elements.into_iter().map(|item| Ok(vec![item]))))
}

fn subscripts(call: &Call) -> Result<Rows, SqlError> {
    let with_direction = call.len() > 3;
    let type_index = if with_direction { 3 } else { 2 };
    let (array, _) = read(call, 0, type_index)?;
    let reverse = with_direction && call.bool(2)?;
    let index = usize::try_from(call.i64(1)? - 1).ok();
    let index = index.filter(|index| *index < array.dimensions.len());
    let (lower, last) = index.map_or((1, 0), |index| (array.lower(index), array.upper(index)));
    let row = |value: i64| Ok(vec![Datum::Integer(value)]);
    Ok(if reverse {
        Box::new((lower..=last).rev().map(row))
    } else {
        Box::new((lower..=last).map(row))
    })
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

const fn lax(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::lax(name, body)
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    lax("pg_array", construct),
    lax("pg_array_nest", nest),
    lax("pg_array_pieces", pieces),
    f("pg_array_subscript", subscript),
    f("pg_array_flat", flat),
    lax("pg_array_slice", slice),
    lax("pg_array_any_eq", any_equal),
    f("pg_array_length", |call| {
        dimension(call, |array, index| array.upper(index) - array.lower(index) + 1)
    }),
    f("pg_array_lower", |call| dimension(call, Array::lower)),
    f("pg_array_upper", |call| dimension(call, Array::upper)),
    f("pg_array_ndims", |call| {
        let dimensions = read(call, 0, 1)?.0.dimensions.len();
        Ok(if dimensions == 0 { Datum::Null } else { count(dimensions) })
    }),
    f("pg_array_dims", dims),
    f("pg_array_cardinality", |call| Ok(count(read(call, 0, 1)?.0.elements.len()))),
    f("pg_array_eq", |call| compare(call, Ordering::is_eq)),
    f("pg_array_ne", |call| compare(call, Ordering::is_ne)),
    f("pg_array_lt", |call| compare(call, Ordering::is_lt)),
    f("pg_array_le", |call| compare(call, Ordering::is_le)),
    f("pg_array_gt", |call| compare(call, Ordering::is_gt)),
    f("pg_array_ge", |call| compare(call, Ordering::is_ge)),
    f("pg_btarraycmp", |call| Ok(integer(order(call)? as i8))),
    f("pg_array_larger", |call| larger(call, Ordering::Greater)),
    f("pg_array_smaller", |call| larger(call, Ordering::Less)),
    f("pg_arraycontains", |call| contains_call(call, 0, 1)),
    f("pg_arraycontained", |call| contains_call(call, 1, 0)),
    f("pg_arrayoverlap", overlap),
    lax("pg_array_append", append),
    lax("pg_array_prepend", prepend),
    lax("pg_array_cat", concat),
    lax("pg_array_position", position),
    lax("pg_array_position_start", position),
    lax("pg_array_positions", all_positions),
    lax("pg_array_remove", remove),
    lax("pg_array_replace", replace),
    f("pg_array_to_text", |call| to_string(call, 2)).stable(),
    lax("pg_array_to_text_null", |call| to_string(call, 3)).stable(),
    lax("pg_text_to_array", string_to_array),
    lax("pg_text_to_array_null", string_to_array),
    f("pg_trim_array", trim),
    f("pg_width_bucket_array", width_bucket),
];

/// This file's set-returning functions.
pub(super) const SET_RETURNING: &[SetReturningFunction] = &[
    SetReturningFunction { name: "pg_srf_array_unnest", columns: 1, strict: true, body: unnest },
    SetReturningFunction {
        name: "pg_srf_generate_subscripts",
        columns: 1,
        strict: true,
        body: subscripts,
    },
    SetReturningFunction {
        name: "pg_srf_generate_subscripts_nodir",
        columns: 1,
        strict: true,
        body: subscripts,
    },
    SetReturningFunction {
        name: "pg_srf_text_to_table",
        columns: 1,
        strict: false,
        body: string_to_table,
    },
    SetReturningFunction {
        name: "pg_srf_text_to_table_null",
        columns: 1,
        strict: false,
        body: string_to_table,
    },
];
