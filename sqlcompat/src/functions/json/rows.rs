//! Rows from JSON: elements, members, keys. Parts of `json` come as they were written.

use super::read::{not_a, raw_parts};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::call::text;
use crate::functions::{Call, Rows, SetReturningFunction};
use crate::types::json::Json;

fn rows(found: Vec<Vec<Datum>>) -> Rows {
    Box::new(found.into_iter().map(Ok))
}

/// What `->>` answers for a part as written.
fn as_text(raw: &str) -> Result<Datum, SqlError> {
    Ok(match Json::parse(raw)? {
        Json::Null => Datum::Null,
        Json::String(value) => text(value),
        _ => text(raw),
    })
}

fn value_of(raw: &str, unquote: bool) -> Result<Datum, SqlError> {
    if unquote { as_text(raw) } else { Ok(text(raw)) }
}

fn elements(call: &Call, function: &str, unquote: bool) -> Result<Rows, SqlError> {
    let source = call.text(0)?;
    match call.json(0)? {
        Json::Array(_) => {}
        Json::Object(_) if function.starts_with("jsonb") => {
            return Err(not_a("cannot extract elements from an object"));
        }
        Json::Object(_) => return Err(not_a(&format!("cannot call {function} on a non-array"))),
        _ if function.starts_with("jsonb") => {
            return Err(not_a("cannot extract elements from a scalar"));
        }
        _ => return Err(not_a(&format!("cannot call {function} on a scalar"))),
    }
    let found = raw_parts(source)
        .into_iter()
        .map(|(_, raw)| Ok(vec![value_of(raw, unquote)?]))
        .collect::<Result<_, SqlError>>()?;
    Ok(rows(found))
}

fn members(call: &Call, function: &str, unquote: bool) -> Result<Rows, SqlError> {
    let source = call.text(0)?;
    match call.json(0)? {
        Json::Object(_) => {}
        Json::Array(_) if !function.starts_with("jsonb") => {
            return Err(not_a("cannot deconstruct an array as an object"));
        }
        _ if !function.starts_with("jsonb") => return Err(not_a("cannot deconstruct a scalar")),
        _ => return Err(not_a(&format!("cannot call {function} on a non-object"))),
    }
    let found = raw_parts(source)
        .into_iter()
        .map(|(key, raw)| Ok(vec![text(key), value_of(raw, unquote)?]))
        .collect::<Result<_, SqlError>>()?;
    Ok(rows(found))
}

fn keys(call: &Call, function: &str) -> Result<Rows, SqlError> {
    match call.json(0)? {
        Json::Object(members) => {
            let found = members.into_iter().map(|(key, _)| vec![text(key)]).collect();
            Ok(rows(found))
        }
        Json::Array(_) => Err(not_a(&format!("cannot call {function} on an array"))),
        _ => Err(not_a(&format!("cannot call {function} on a scalar"))),
    }
}

const fn srf(
    name: &'static str,
    columns: usize,
    body: fn(&Call) -> Result<Rows, SqlError>,
) -> SetReturningFunction {
    SetReturningFunction { name, columns, strict: true, body }
}

/// This file's set-returning functions.
pub(in crate::functions) const SET_RETURNING: &[SetReturningFunction] = &[
    srf("pg_srf_json_array_elements", 1, |call| elements(call, "json_array_elements", false)),
    srf("pg_srf_json_array_elements_text", 1, |call| {
        elements(call, "json_array_elements_text", true)
    }),
    srf("pg_srf_jsonb_array_elements", 1, |call| elements(call, "jsonb_array_elements", false)),
    srf("pg_srf_jsonb_array_elements_text", 1, |call| {
        elements(call, "jsonb_array_elements_text", true)
    }),
    srf("pg_srf_json_each", 2, |call| members(call, "json_each", false)),
    srf("pg_srf_json_each_text", 2, |call| members(call, "json_each_text", true)),
    srf("pg_srf_jsonb_each", 2, |call| members(call, "jsonb_each", false)),
    srf("pg_srf_jsonb_each_text", 2, |call| members(call, "jsonb_each_text", true)),
    srf("pg_srf_json_object_keys", 1, |call| keys(call, "json_object_keys")),
    srf("pg_srf_jsonb_object_keys", 1, |call| keys(call, "jsonb_object_keys")),
];
