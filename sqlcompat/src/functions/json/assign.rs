//! `pg_jsonb_assign(json, value, path, …)`: what `SET j['a'][0] = …` stores.
//!
//! A path element is text, or an integer where the subscript was one. What the path leads through is made where it is
//! missing: an array for an integer, with nulls before it, otherwise an object. Source: PostgreSQL's `jsonb_subscript_assign` and
//! `setPath` with `JB_PATH_FILL_GAPS`.

use super::store;
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::{Call, ScalarFunction};
use crate::types::array::ELEMENTS_MAX;
use crate::types::json::Json;

fn assign(call: &Call) -> Result<Datum, SqlError> {
    let mut path = Vec::with_capacity(call.len().saturating_sub(2));
    for index in 2..call.len() {
        path.push(match call.datum(index) {
            DatumRef::Integer(number) => number.to_string(),
            DatumRef::Text(text) => text.to_owned(),
            DatumRef::Null | DatumRef::Real(_) | DatumRef::Blob(_) => {
                let message = "jsonb subscript in assignment must not be null";
                return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
            }
        });
    }
    let value = if call.is_null(1) { Json::Null } else { call.json(1)? };
    let mut root = if !call.is_null(0) {
        call.json(0)?
    } else if let DatumRef::Integer(_) = call.datum(2) {
        Json::Array(Vec::new())
    } else {
        Json::Object(Vec::new())
    };
    set(&mut root, &path, 1, value)?;
    Ok(store(&root.canonical()?))
}

fn set(place: &mut Json, path: &[String], position: usize, value: Json) -> Result<(), SqlError> {
    let Some((part, rest)) = path.split_first() else {
        *place = value;
        return Ok(());
    };
    match place {
        Json::Object(members) => {
            if let Some((_, inner)) = members.iter_mut().find(|(key, _)| key == part) {
                return set(inner, rest, position + 1, value);
            }
            members.push((part.clone(), made(rest, value)?));
            Ok(())
        }
        Json::Array(items) => {
            let index = array_index(part, position, items.len())?;
            if let Some(inner) = items.get_mut(index) {
                return set(inner, rest, position + 1, value);
            }
            let inner = made(rest, value)?;
            fill(items, index, inner)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            let message = "cannot replace existing key";
            let detail = "The path assumes key is a composite object, but it is a scalar value.";
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).with_detail(detail))
        }
    }
}

/// What a path makes where there is nothing.
fn made(path: &[String], value: Json) -> Result<Json, SqlError> {
    let mut made = value;
    for part in path.iter().rev() {
        made = match part.parse::<i64>() {
            Err(_) => Json::Object(vec![(part.clone(), made)]),
            Ok(number) => {
                let mut items = Vec::new();
                fill(&mut items, usize::try_from(number).unwrap_or(0), made)?;
                Json::Array(items)
            }
        };
    }
    Ok(made)
}

/// Puts a value at an index, with nulls before it.
fn fill(items: &mut Vec<Json>, index: usize, value: Json) -> Result<(), SqlError> {
    if index >= ELEMENTS_MAX {
        let message = format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    items.resize(index.max(items.len()), Json::Null);
    items.push(value);
    Ok(())
}

/// An index from the start; negative ones count from the end.
fn array_index(part: &str, position: usize, length: usize) -> Result<usize, SqlError> {
    let number: i64 = part.parse().ok().ok_or_else(|| {
        let message = format!("path element at position {position} is not an integer: \"{part}\"");
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_start = if number < 0 { number.saturating_add(length) } else { number };
    usize::try_from(from_start).ok().ok_or_else(|| {
        let message = format!("path element at position {position} is out of range: {number}");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    })
}

/// The function.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] =
    &[ScalarFunction::lax("pg_jsonb_assign", assign)];
