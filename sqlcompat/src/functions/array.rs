//! Array operators and functions. Element types come as the OIDs after the arguments.
//!
//! Beside the rows of `pg_proc` the lowering uses:
//!
//! | function | does |
//! |---|---|
//! | `pg_array(value, …, element)` | `ARRAY[…]` of elements of that type |
//! | `pg_array_nest(array, …, element)` | `ARRAY[…]` of arrays: one dimension more |
//! | `pg_array_subscript(array, type, i, …)` | `a[i][j]…`, NULL outside |
//! | `pg_array_slice(array, type, l, u, …)` | `a[l:u]…`, NULL for an omitted bound |
//! | `pg_array_flat(array, type)` | the array with its elements in one dimension |

use std::cmp::Ordering;

use super::call::{boolean, count, integer, text};
use super::ordering;
use super::{Call, Rows, ScalarFunction, SetReturningFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::{Array, DIMENSIONS_MAX, ELEMENTS_MAX, storage_class};
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
        Ok((Array::from_storage(stored, storage_class(element, cx))?, element))
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
    let mut result = Array::default();
    for index in 0..width {
        if call.is_null(index) {
            return Err(SqlError::unsupported(
                "a NULL among the arrays of a multidimensional ARRAY[]",
            ));
        }
        let inner = Array::from_storage(call.text(index)?, class)?;
        if index > 0 && result.dimensions.get(1..) != Some(inner.dimensions.as_slice()) {
            return Err(array_error(
                "multidimensional arrays must have array expressions with matching dimensions",
            ));
        }
        if index == 0 {
            result.dimensions.push(0);
            result.dimensions.extend(&inner.dimensions);
        }
        result.elements.extend(inner.elements);
    }
    if result.elements.is_empty() {
        return Ok(store(&Array::default()));
    }
    if result.dimensions.len() > DIMENSIONS_MAX {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})",
                result.dimensions.len()
            ),
        ));
    }
    if let Some(first) = result.dimensions.first_mut() {
        *first = width;
    }
    Ok(store(&result))
}

/// Position in row-major order of 1-based subscripts (0-based for the vectors); `None` outside.
pub(super) fn locate(array: &Array, subscripts: &[i64], lower: i64) -> Option<usize> {
    if subscripts.len() != array.dimensions.len() {
        return None;
    }
    let mut position = 0;
    for (subscript, length) in subscripts.iter().zip(&array.dimensions) {
        let index = usize::try_from(subscript - lower).ok().filter(|index| index < length)?;
        position = position * length + index;
    }
    Some(position)
}

fn lower_bound(type_oid: Oid) -> i64 {
    i64::from(type_oid != Oid::INT2VECTOR && type_oid != Oid::OIDVECTOR)
}

fn subscript(call: &Call) -> Answer {
    let (array, _) = read(call, 0, 1)?;
    let subscripts = (2..call.len()).map(|index| call.i64(index)).collect::<Result<Vec<_>, _>>()?;
    let position = locate(&array, &subscripts, lower_bound(call.oid(1)?));
    Ok(position.and_then(|at| array.elements.get(at).cloned()).unwrap_or(Datum::Null))
}

fn flat(call: &Call) -> Answer {
    let stored = call.text(0)?;
    // An array of one dimension, which nearly all are, need not be read.
    if !stored.starts_with("[[") {
        return Ok(text(stored.to_owned()));
    }
    let (array, _) = read(call, 0, 1)?;
    Ok(store(&Array::from_elements(array.elements)))
}

fn slice(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let (array, _) = read(call, 0, 1)?;
    let lower_bound = lower_bound(call.oid(1)?);
    let pairs = (call.len() - 2) / 2;
    if pairs > array.dimensions.len() {
        return Ok(store(&Array::default()));
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (dimension, length) in array.dimensions.iter().enumerate() {
        let bound = |index: usize, default: i64| {
            if dimension >= pairs || call.is_null(index) { Ok(default) } else { call.i64(index) }
        };
        let last = i64::try_from(*length).unwrap_or(i64::MAX) + lower_bound - 1;
        let from = bound(2 + dimension * 2, lower_bound)?.max(lower_bound) - lower_bound;
        let to = bound(3 + dimension * 2, last)?.min(last) - lower_bound + 1;
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
    Ok(store(&Array { dimensions, elements }))
}

fn dimension(call: &Call) -> Result<Option<i64>, SqlError> {
    let (array, _) = read(call, 0, 2)?;
    let index = usize::try_from(call.i64(1)? - 1).ok();
    let length = index.and_then(|index| array.dimensions.get(index).copied());
    Ok(length.map(|it| i64::try_from(it).unwrap_or(i64::MAX)))
}

fn dims(call: &Call) -> Answer {
    let (array, _) = read(call, 0, 1)?;
    if array.dimensions.is_empty() {
        return Ok(Datum::Null);
    }
    Ok(text(array.dimensions.iter().map(|it| format!("[1:{it}]")).collect::<String>()))
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
    one_dimensional(&array)?;
    array.elements.push(call.datum(1).to_datum());
    Ok(store(&Array::from_elements(array.elements)))
}

fn prepend(call: &Call) -> Answer {
    let mut array = if call.is_null(1) { Array::default() } else { read(call, 1, 3)?.0 };
    one_dimensional(&array)?;
    array.elements.insert(0, call.datum(0).to_datum());
    Ok(store(&Array::from_elements(array.elements)))
}

fn one_dimensional(array: &Array) -> Result<(), SqlError> {
    if array.dimensions.len() <= 1 {
        return Ok(());
    }
    Err(SqlError::new(SqlState(*b"22000"), "argument must be empty or one-dimensional array"))
}

fn concat(call: &Call) -> Answer {
    if call.is_null(0) || call.is_null(1) {
        return Ok(if call.is_null(0) { call.datum(1) } else { call.datum(0) }.to_datum());
    }
    let ((mut left, _), (right, _)) = (read(call, 0, 2)?, read(call, 1, 3)?);
    if right.is_empty() {
        return Ok(store(&left));
    }
    if left.is_empty() {
        return Ok(store(&right));
    }
    let incompatible = || {
        array_error("cannot concatenate incompatible arrays")
            .with_detail("Arrays with differing dimensions are not compatible for concatenation.")
    };
    let outer = |array: &Array| array.dimensions.first().copied().unwrap_or(0);
    let dimensions = if left.dimensions.get(1..) == right.dimensions.get(1..) {
        let mut dimensions = left.dimensions.clone();
        if let Some(first) = dimensions.first_mut() {
            *first += outer(&right);
        }
        dimensions
    } else if left.dimensions.get(1..) == Some(right.dimensions.as_slice()) {
        let mut dimensions = left.dimensions.clone();
        if let Some(first) = dimensions.first_mut() {
            *first += 1;
        }
        dimensions
    } else if right.dimensions.get(1..) == Some(left.dimensions.as_slice()) {
        let mut dimensions = right.dimensions.clone();
        if let Some(first) = dimensions.first_mut() {
            *first += 1;
        }
        dimensions
    } else {
        return Err(incompatible());
    };
    left.elements.extend(right.elements);
    Ok(store(&Array { dimensions, elements: left.elements }))
}

/// Positions (from 1) of elements that are not distinct from the second argument.
fn positions(call: &Call, type_index: usize, start: i64) -> Result<Vec<i64>, SqlError> {
    let (array, element) = read(call, 0, type_index)?;
    if array.dimensions.len() > 1 {
        return Err(SqlError::unsupported("searching for elements in multidimensional arrays"));
    }
    let wanted = call.datum(1).to_datum();
    let numbered = array.elements.iter().zip(1i64..).filter(|(_, position)| *position >= start);
    Ok(numbered
        .filter(|(item, _)| {
            equal(call, element, item, &wanted)
                && (**item == Datum::Null) == (wanted == Datum::Null)
        })
        .map(|(_, position)| position)
        .collect())
}

fn position(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let with_start = call.len() > 4;
    let start = if with_start { call.i64(2)? } else { 1 };
    let found = positions(call, if with_start { 3 } else { 2 }, start)?;
    Ok(found.first().map_or(Datum::Null, |it| integer(*it)))
}

fn all_positions(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let found = positions(call, 2, 1)?;
    Ok(store(&Array::from_elements(found.into_iter().map(Datum::Integer).collect())))
}

fn remove(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let (array, _) = read(call, 0, 2)?;
    if array.dimensions.len() > 1 {
        return Err(SqlError::unsupported("removing elements from multidimensional arrays"));
    }
    let drop = positions(call, 2, 1)?;
    let kept = array
        .elements
        .into_iter()
        .zip(1i64..)
        .filter(|(_, at)| !drop.contains(at))
        .map(|(item, _)| item);
    Ok(store(&Array::from_elements(kept.collect())))
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

/// `array_fill(value, dimensions [, lower bounds])`.
fn fill(call: &Call) -> Answer {
    if call.is_null(1) {
        return Err(SqlError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "dimension array or low bound array cannot be null",
        ));
    }
    let lengths = Array::from_storage(call.text(1)?, crate::types::array::StorageClass::Integer)?;
    let mut dimensions = Vec::new();
    for length in &lengths.elements {
        let Datum::Integer(length) = length else {
            return Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "dimension values cannot be null",
            ));
        };
        dimensions.push(usize::try_from(*length).unwrap_or(0));
    }
    let total = dimensions.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
    let total = total
        .filter(|it| *it <= ELEMENTS_MAX && dimensions.len() <= DIMENSIONS_MAX)
        .ok_or_else(|| {
            SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "array size exceeds the maximum allowed",
            )
        })?;
    if total == 0 || dimensions.is_empty() {
        return Ok(store(&Array::default()));
    }
    Ok(store(&Array { dimensions, elements: vec![call.datum(0).to_datum(); total] }))
}

fn trim(call: &Call) -> Answer {
    let (mut array, _) = read(call, 0, 2)?;
    let (count, length) = (call.i64(1)?, array.dimensions.first().copied().unwrap_or(0));
    let dropped = usize::try_from(count).ok().filter(|it| *it <= length).ok_or_else(|| {
        array_error(format!("number of elements to trim must be between 0 and {length}"))
    })?;
    let stride = array.elements.len() / length.max(1);
    array.elements.truncate((length - dropped) * stride);
    if let Some(first) = array.dimensions.first_mut() {
        *first -= dropped;
    }
    if array.is_empty() {
        array = Array::default();
    }
    Ok(store(&array))
}

/// `width_bucket(operand, thresholds)`.
fn width_bucket(call: &Call) -> Answer {
    let (array, element) = read(call, 1, 3)?;
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
    let (array, _) = read(call, 0, 1)?;
    Ok(Box::new(array.elements.into_iter().map(|item| Ok(vec![item]))))
}

fn subscripts(call: &Call) -> Result<Rows, SqlError> {
    let with_direction = call.len() > 3;
    let type_index = if with_direction { 3 } else { 2 };
    let (array, _) = read(call, 0, type_index)?;
    let reverse = with_direction && call.bool(2)?;
    let index = usize::try_from(call.i64(1)? - 1).ok();
    let length = index.and_then(|index| array.dimensions.get(index).copied()).unwrap_or(0);
    let lower = lower_bound(call.oid(type_index)?);
    let last = i64::try_from(length).unwrap_or(0) + lower - 1;
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
    f("pg_array_subscript", subscript),
    f("pg_array_flat", flat),
    lax("pg_array_slice", slice),
    lax("pg_array_any_eq", any_equal),
    f("pg_array_length", |call| Ok(dimension(call)?.map_or(Datum::Null, integer))),
    f("pg_array_lower", |call| {
        let lower = lower_bound(call.oid(2)?);
        Ok(dimension(call)?.map_or(Datum::Null, |_| integer(lower)))
    }),
    f("pg_array_upper", |call| {
        let lower = lower_bound(call.oid(2)?);
        Ok(dimension(call)?.map_or(Datum::Null, |length| integer(length + lower - 1)))
    }),
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
    lax("pg_array_fill", fill),
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
