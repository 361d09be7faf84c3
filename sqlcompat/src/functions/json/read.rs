//! Operators and functions that look into JSON.
//!
//! `json` values give their members back as they were written; so the text of a member, not a reprint, is what `->` on
//! `json` answers. That is found by parsing with positions: see [`member_text`].

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::array::texts;
use crate::functions::call::{boolean, count, float, integer, text};
use crate::functions::{Call, ScalarFunction};
use crate::types::failure;
use crate::types::json::Json;
use crate::types::numeric::Numeric;

type Answer = Result<Datum, SqlError>;

/// The text of the parts of a container as written: keys (empty for arrays) and values.
pub(super) fn raw_parts(source: &str) -> Vec<(String, &str)> {
    let trimmed = source.trim();
    let is_object = trimmed.starts_with('{');
    let inner = trimmed.get(1..trimmed.len().saturating_sub(1)).unwrap_or_default();
    let (mut parts, mut depth, mut in_string, mut escaped, mut start) =
        (Vec::new(), 0usize, false, false, 0);
    let mut key_end = None;
    let mut push = |from: usize, key_end: Option<usize>, to: usize| {
        let slice = inner.get(from..to).unwrap_or_default();
        if slice.trim().is_empty() {
            return;
        }
        match key_end {
            Some(at) => {
                let key = inner.get(from..at).unwrap_or_default();
                let value = inner.get(at + 1..to).unwrap_or_default().trim();
                let key = match Json::parse(key) {
                    Ok(Json::String(key)) => key,
                    _ => String::new(),
                };
                parts.push((key, value));
            }
            None => parts.push((String::new(), slice.trim())),
        }
    };
    for (at, byte) in inner.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && is_object && key_end.is_none() => key_end = Some(at),
            b',' if depth == 0 => {
                push(start, key_end.take(), at);
                start = at + 1;
            }
            _ => {}
        }
    }
    push(start, key_end, inner.len());
    parts
}

/// A member or element of `json` text, as written.
fn member_text<'a>(source: &'a str, step: &Step<'_>) -> Option<&'a str> {
    let first = source.trim_start().chars().next()?;
    match (step, first) {
        (Step::Key(key), '{') => raw_parts(source)
            .into_iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value),
        (Step::Index(index), '[') => {
            let parts = raw_parts(source);
            let length = i64::try_from(parts.len()).ok()?;
            let index = if *index < 0 { index + length } else { *index };
            parts.get(usize::try_from(index).ok()?).map(|(_, value)| *value)
        }
        _ => None,
    }
}

/// One step into a value.
enum Step<'a> {
    Key(&'a str),
    Index(i64),
}

/// Text that `->>` answers for a `json` value.
fn unquoted(raw: &str) -> Answer {
    Ok(match Json::parse(raw)? {
        Json::Null => Datum::Null,
        Json::String(value) => text(value),
        _ => text(raw),
    })
}

fn json_step(call: &Call, step: &Step<'_>, as_text: bool) -> Answer {
    let json = call.text(0)?;
    // Input lets escapes pass that stand for no text; whoever looks into the value meets them.
    if json.contains("\\u") {
        Json::parse(json)?;
    }
    match member_text(json, step) {
        None => Ok(Datum::Null),
        Some(raw) if as_text => unquoted(raw),
        Some(raw) => Ok(text(raw)),
    }
}

fn jsonb_step(call: &Call, step: &Step<'_>, as_text: bool) -> Answer {
    let value = call.json(0)?;
    let found = match step {
        Step::Key(key) => value.member(key),
        Step::Index(index) => value.element(*index),
    };
    Ok(match found {
        None => Datum::Null,
        Some(found) if as_text => found.as_text().map_or(Datum::Null, text),
        Some(found) => super::store(found),
    })
}

/// The step that a path element means for that value.
fn path_step<'a>(is_array: bool, part: &'a str) -> Option<Step<'a>> {
    if is_array { part.trim().parse().ok().map(Step::Index) } else { Some(Step::Key(part)) }
}

/// Path elements of a `text[]` argument, or `None` if one is NULL.
fn path(call: &Call, index: usize) -> Result<Option<Vec<String>>, SqlError> {
    Ok(texts(call, index)?.into_iter().collect())
}

fn json_path(call: &Call, as_text: bool) -> Answer {
    let Some(path) = path(call, 1)? else { return Ok(Datum::Null) };
    let mut raw = call.text(0)?;
    for part in &path {
        let is_array = raw.trim_start().starts_with('[');
        let Some(next) = path_step(is_array, part).and_then(|step| member_text(raw, &step)) else {
            return Ok(Datum::Null);
        };
        raw = next;
    }
    if as_text { unquoted(raw) } else { Ok(text(raw)) }
}

/// The value at a path.
pub(super) fn at_path<'a>(value: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(value, |value, part| {
        match path_step(matches!(value, Json::Array(_)), part)? {
            Step::Key(key) => value.member(key),
            Step::Index(index) => value.element(index),
        }
    })
}

fn jsonb_path(call: &Call, as_text: bool) -> Answer {
    let Some(path) = path(call, 1)? else { return Ok(Datum::Null) };
    let value = call.json(0)?;
    Ok(match at_path(&value, &path) {
        None => Datum::Null,
        Some(found) if as_text => found.as_text().map_or(Datum::Null, text),
        Some(found) => super::store(found),
    })
}

fn array_length(call: &Call) -> Answer {
    let message = match call.json(0)? {
        Json::Array(items) => return Ok(count(items.len())),
        Json::Object(_) => "cannot get array length of a non-array",
        _ => "cannot get array length of a scalar",
    };
    Err(failure::invalid_parameter(message))
}

fn has_key(value: &Json, key: &str) -> bool {
    match value {
        Json::Object(members) => members.iter().any(|(name, _)| name == key),
        Json::Array(items) => {
            items.iter().any(|item| matches!(item, Json::String(text) if text == key))
        }
        Json::String(text) => text == key,
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

fn exists_many(call: &Call, all: bool) -> Answer {
    let value = call.json(0)?;
    let keys = texts(call, 1)?;
    let mut keys = keys.iter().flatten();
    Ok(boolean(if all {
        keys.all(|key| has_key(&value, key))
    } else {
        keys.any(|key| has_key(&value, key))
    }))
}

fn compare(call: &Call, holds: fn(std::cmp::Ordering) -> bool) -> Answer {
    Ok(boolean(holds(call.json(0)?.compare(&call.json(1)?))))
}

fn pretty(call: &Call) -> Answer {
    let mut out = String::new();
    call.json(0)?.write_pretty(0, &mut out);
    Ok(text(out))
}

fn cannot_cast(value: &Json, type_name: &str) -> SqlError {
    let what = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "numeric",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    failure::invalid_parameter(format!("cannot cast jsonb {what} to type {type_name}"))
}

fn number(call: &Call, type_name: &str) -> Result<Option<Numeric>, SqlError> {
    match call.json(0)? {
        Json::Number(text) => Numeric::parse(&text).map(Some),
        other => Err(cannot_cast(&other, type_name)),
    }
}

fn to_integer(call: &Call, type_name: &str, min: i64, max: i64) -> Answer {
    let value = number(call, type_name)?
        .and_then(|it| it.finite().and_then(crate::types::numeric::Decimal::to_i64));
    value
        .filter(|it| (min..=max).contains(it))
        .map(Datum::Integer)
        .ok_or_else(|| failure::out_of_range(type_name))
}

#[expect(clippy::cast_possible_truncation, reason = "what the cast is for")]
fn to_single(call: &Call) -> Answer {
    Ok(number(call, "real")?.map_or(Datum::Null, |it| float(f64::from(it.to_f64() as f32))))
}

fn to_bool(call: &Call) -> Answer {
    match call.json(0)? {
        Json::Bool(value) => Ok(boolean(value)),
        other => Err(cannot_cast(&other, "boolean")),
    }
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_json_object_field", |call| json_step(call, &Step::Key(call.text(1)?), false)),
    f("pg_json_object_field_text", |call| json_step(call, &Step::Key(call.text(1)?), true)),
    f("pg_json_array_element", |call| json_step(call, &Step::Index(call.i64(1)?), false)),
    f("pg_json_array_element_text", |call| json_step(call, &Step::Index(call.i64(1)?), true)),
    f("pg_jsonb_object_field", |call| jsonb_step(call, &Step::Key(call.text(1)?), false)),
    f("pg_jsonb_object_field_text", |call| jsonb_step(call, &Step::Key(call.text(1)?), true)),
    f("pg_jsonb_array_element", |call| jsonb_step(call, &Step::Index(call.i64(1)?), false)),
    f("pg_jsonb_array_element_text", |call| jsonb_step(call, &Step::Index(call.i64(1)?), true)),
    f("pg_json_extract_path", |call| json_path(call, false)),
    f("pg_json_extract_path_text", |call| json_path(call, true)),
    f("pg_jsonb_extract_path", |call| jsonb_path(call, false)),
    f("pg_jsonb_extract_path_text", |call| jsonb_path(call, true)),
    f("pg_json_array_length", array_length),
    f("pg_jsonb_array_length", array_length),
    f("pg_json_typeof", |call| Ok(text(call.json(0)?.type_name()))),
    f("pg_jsonb_typeof", |call| Ok(text(call.json(0)?.type_name()))),
    f("pg_jsonb_contains", |call| Ok(boolean(call.json(0)?.contains(&call.json(1)?)))),
    f("pg_jsonb_contained", |call| Ok(boolean(call.json(1)?.contains(&call.json(0)?)))),
    f("pg_jsonb_exists", |call| Ok(boolean(has_key(&call.json(0)?, call.text(1)?)))),
    f("pg_jsonb_exists_any", |call| exists_many(call, false)),
    f("pg_jsonb_exists_all", |call| exists_many(call, true)),
    f("pg_jsonb_eq", |call| compare(call, std::cmp::Ordering::is_eq)),
    f("pg_jsonb_ne", |call| compare(call, std::cmp::Ordering::is_ne)),
    f("pg_jsonb_lt", |call| compare(call, std::cmp::Ordering::is_lt)),
    f("pg_jsonb_le", |call| compare(call, std::cmp::Ordering::is_le)),
    f("pg_jsonb_gt", |call| compare(call, std::cmp::Ordering::is_gt)),
    f("pg_jsonb_ge", |call| compare(call, std::cmp::Ordering::is_ge)),
    f("pg_jsonb_cmp", |call| Ok(integer(call.json(0)?.compare(&call.json(1)?) as i8))),
    f("pg_jsonb_pretty", pretty),
    f("pg_jsonb_bool", to_bool),
    f("pg_jsonb_numeric", |call| {
        Ok(number(call, "numeric")?.map_or(Datum::Null, |it| text(it.to_string())))
    }),
    f("pg_jsonb_int2", |call| to_integer(call, "smallint", i16::MIN.into(), i16::MAX.into())),
    f("pg_jsonb_int4", |call| to_integer(call, "integer", i32::MIN.into(), i32::MAX.into())),
    f("pg_jsonb_int8", |call| to_integer(call, "bigint", i64::MIN, i64::MAX)),
    f("pg_jsonb_float8", |call| {
        Ok(number(call, "double precision")?.map_or(Datum::Null, |it| float(it.to_f64())))
    }),
    f("pg_jsonb_float4", to_single),
];

/// 22023, for what cannot be taken apart.
pub(super) fn not_a(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
