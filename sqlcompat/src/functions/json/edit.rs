//! Changed copies of `jsonb`: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `strip_nulls`.

use super::read::{not_a, raw_parts};
use super::store;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::array::texts;
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use crate::types::failure;
use crate::types::json::{Json, write_string};

type Answer = Result<Datum, SqlError>;

fn concat(call: &Call) -> Answer {
    let merged = match (call.json(0)?, call.json(1)?) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::Object(left)
        }
        (Json::Array(mut left), Json::Array(right)) => {
            left.extend(right);
            Json::Array(left)
        }
        (Json::Array(mut left), right) => {
            left.push(right);
            Json::Array(left)
        }
        (left, Json::Array(mut right)) => {
            right.insert(0, left);
            Json::Array(right)
        }
        (left, right) => Json::Array(vec![left, right]),
    };
    Ok(store(&merged.canonical()?))
}

fn delete_keys(call: &Call, keys: &[&str]) -> Answer {
    Ok(store(&match call.json(0)? {
        Json::Object(members) => Json::Object(
            members.into_iter().filter(|(key, _)| !keys.contains(&key.as_str())).collect(),
        ),
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .filter(|item| !matches!(item, Json::String(text) if keys.contains(&text.as_str())))
                .collect(),
        ),
        _ => return Err(not_a("cannot delete from scalar")),
    }))
}

fn delete_many(call: &Call) -> Answer {
    let keys = texts(call, 1)?;
    let keys: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
    delete_keys(call, &keys)
}

/// Index from the start; negative ones count from the end.
fn resolve(index: i64, length: usize) -> i64 {
    if index < 0 { index + i64::try_from(length).unwrap_or(i64::MAX) } else { index }
}

fn delete_index(call: &Call) -> Answer {
    let index = call.i64(1)?;
    match call.json(0)? {
        Json::Array(mut items) => {
            let at =
                usize::try_from(resolve(index, items.len())).ok().filter(|at| *at < items.len());
            if let Some(at) = at {
                items.remove(at);
            }
            Ok(store(&Json::Array(items)))
        }
        Json::Object(_) => Err(not_a("cannot delete from object using integer index")),
        _ => Err(not_a("cannot delete from scalar")),
    }
}

/// What happens at the end of a path.
enum Edit {
    Delete,
    /// Replace, or add if `create`.
    Set {
        value: Json,
        create: bool,
    },
    /// Put before, or after.
    Insert {
        value: Json,
        after: bool,
    },
}

fn bad_index(part: &str, position: usize) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("path element at position {position} is not an integer: \"{part}\""),
    )
}

fn edit(value: &mut Json, path: &[String], position: usize, change: Edit) -> Result<(), SqlError> {
    let Some((part, rest)) = path.split_first() else { return Ok(()) };
    match value {
        Json::Object(members) => {
            let at = members.iter().position(|(key, _)| key == part);
            if !rest.is_empty() {
                return match at.and_then(|at| members.get_mut(at)) {
                    Some((_, inner)) => edit(inner, rest, position + 1, change),
                    None => Ok(()),
                };
            }
            edit_member(members, part, at, change)
        }
        Json::Array(items) if items.is_empty() && matches!(change, Edit::Delete) => Ok(()),
        Json::Array(items) => {
            let index: i64 = part.trim().parse().ok().ok_or_else(|| bad_index(part, position))?;
            let resolved = resolve(index, items.len());
            let at = usize::try_from(resolved).ok().filter(|at| *at < items.len());
            if !rest.is_empty() {
                return match at.and_then(|at| items.get_mut(at)) {
                    Some(inner) => edit(inner, rest, position + 1, change),
                    None => Ok(()),
                };
            }
            edit_element(items, at, resolved < 0, change);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn edit_member(
    members: &mut Vec<(String, Json)>,
    key: &str,
    at: Option<usize>,
    change: Edit,
) -> Result<(), SqlError> {
    match (change, at) {
        (Edit::Delete, Some(at)) => {
            members.remove(at);
        }
        (Edit::Set { value, .. }, Some(at)) => {
            if let Some((_, slot)) = members.get_mut(at) {
                *slot = value;
            }
        }
        (Edit::Insert { .. }, Some(_)) => {
            return Err(failure::invalid_parameter("cannot replace existing key")
                .with_hint("Try using the function jsonb_set to replace key value."));
        }
        (Edit::Set { value, create: true } | Edit::Insert { value, .. }, None) => {
            members.push((key.to_owned(), value));
        }
        (Edit::Delete | Edit::Set { .. }, None) => {}
    }
    Ok(())
}

fn edit_element(items: &mut Vec<Json>, at: Option<usize>, before_start: bool, change: Edit) {
    match (change, at) {
        (Edit::Delete, Some(at)) => {
            items.remove(at);
        }
        (Edit::Set { value, .. }, Some(at)) => {
            if let Some(slot) = items.get_mut(at) {
                *slot = value;
            }
        }
        (Edit::Insert { value, after }, Some(at)) => items.insert(at + usize::from(after), value),
        (Edit::Set { value, create: true } | Edit::Insert { value, .. }, None) => {
            items.insert(if before_start { 0 } else { items.len() }, value);
        }
        (Edit::Delete | Edit::Set { .. }, None) => {}
    }
}

/// The path in argument `index`; NULL elements are errors.
fn path(call: &Call, index: usize) -> Result<Vec<String>, SqlError> {
    let parts = texts(call, index)?.into_iter().enumerate();
    parts
        .map(|(at, part)| {
            part.ok_or_else(|| {
                SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    format!("path element at position {} is null", at + 1),
                )
            })
        })
        .collect()
}

fn edit_call(call: &Call, change: Edit, scalar: &str) -> Answer {
    let mut value = call.json(0)?;
    if !matches!(value, Json::Array(_) | Json::Object(_)) {
        return Err(not_a(scalar));
    }
    edit(&mut value, &path(call, 1)?, 1, change)?;
    Ok(store(&value.canonical()?))
}

fn set(call: &Call) -> Answer {
    let create = if call.len() > 3 { call.bool(3)? } else { true };
    edit_call(call, Edit::Set { value: call.json(2)?, create }, "cannot set path in scalar")
}

fn insert(call: &Call) -> Answer {
    let after = call.len() > 3 && call.bool(3)?;
    edit_call(call, Edit::Insert { value: call.json(2)?, after }, "cannot set path in scalar")
}

fn set_lax(call: &Call) -> Answer {
    if call.is_null(0) || call.is_null(1) || call.is_null(3) {
        return Ok(Datum::Null);
    }
    if !call.is_null(2) {
        return set(call);
    }
    let treatment = if call.is_null(4) { "" } else { call.text(4)? };
    match treatment {
        "raise_exception" => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
            .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")),
        "use_json_null" => {
            let create = call.bool(3)?;
            edit_call(call, Edit::Set { value: Json::Null, create }, "cannot set path in scalar")
        }
        "delete_key" => edit_call(call, Edit::Delete, "cannot delete path in scalar"),
        "return_target" => Ok(call.datum(0).to_datum()),
        _ => Err(failure::invalid_parameter(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )),
    }
}

fn strip_nulls(value: Json) -> Json {
    match value {
        Json::Object(members) => Json::Object(
            members
                .into_iter()
                .filter(|(_, value)| *value != Json::Null)
                .map(|(key, value)| (key, strip_nulls(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(strip_nulls).collect()),
        simple => simple,
    }
}

/// `json_strip_nulls`: what remains is written without blanks.
fn strip_json(source: &str, out: &mut String) -> Result<(), SqlError> {
    let trimmed = source.trim();
    if trimmed.starts_with('{') || trimmed.starts_with('[') {
        let is_object = trimmed.starts_with('{');
        out.push(if is_object { '{' } else { '[' });
        let mut first = true;
        for (key, value) in raw_parts(trimmed) {
            if is_object && value == "null" {
                continue;
            }
            out.push_str(if first { "" } else { "," });
            first = false;
            if is_object {
                write_string(&key, out);
                out.push(':');
            }
            strip_json(value, out)?;
        }
        out.push(if is_object { '}' } else { ']' });
        return Ok(());
    }
    out.push_str(trimmed);
    Ok(())
}

fn strip_json_call(call: &Call) -> Answer {
    call.json(0)?;
    let mut out = String::new();
    strip_json(call.text(0)?, &mut out)?;
    Ok(text(out))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_jsonb_concat", concat),
    f("pg_jsonb_delete", |call| delete_keys(call, &[call.text(1)?])),
    f("pg_jsonb_delete_array", delete_many),
    f("pg_jsonb_delete_idx", delete_index),
    f("pg_jsonb_delete_path", |call| edit_call(call, Edit::Delete, "cannot delete path in scalar")),
    f("pg_jsonb_set", set),
    f("pg_jsonb_insert", insert),
    ScalarFunction::lax("pg_jsonb_set_lax", set_lax),
    f("pg_jsonb_strip_nulls", |call| Ok(store(&strip_nulls(call.json(0)?)))),
    f("pg_json_strip_nulls", strip_json_call),
];
