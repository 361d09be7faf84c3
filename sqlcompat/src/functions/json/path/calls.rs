//! The functions and operators that run a path.

use super::run::{Failures, Outcome, Run, ZoneUse};
use super::value::Value;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::call::boolean;
use crate::functions::json::store;
use crate::functions::{Call, Rows, ScalarFunction, SetReturningFunction};
use crate::types::failure;
use crate::types::json::Json;
use crate::types::jsonpath::JsonPath;

type Answer = Result<Datum, SqlError>;

/// What a call says of failures: operators are silent, functions as their last argument says.
fn failures(call: &Call) -> Result<Failures, SqlError> {
    let is_silent = call.len() < 4 || call.bool(3)?;
    Ok(if is_silent { Failures::Silent } else { Failures::Raised })
}

fn variables(call: &Call) -> Result<Option<Json>, SqlError> {
    if call.len() < 3 {
        return Ok(None);
    }
    let variables = call.json(2)?;
    if matches!(variables, Json::Object(_)) {
        return Ok(Some(variables));
    }
    Err(failure::invalid_parameter("\"vars\" argument is not an object").with_detail(
        "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
    ))
}

/// Runs a path; the items go to `found` if they are wanted.
fn run(
    call: &Call,
    failures: Failures,
    zone_use: ZoneUse,
    found: Option<&mut Vec<Value>>,
) -> Result<Outcome, SqlError> {
    let source = call.text(1)?;
    let path = call.session.pattern(&format!("jp:{source}"), || JsonPath::parse(source))?;
    let mut run = Run::new(call, &path, call.json(0)?, variables(call)?, failures, zone_use);
    run.start(&path, found)
}

fn items(call: &Call, zone_use: ZoneUse) -> Result<Vec<Value>, SqlError> {
    let mut found = Vec::new();
    run(call, failures(call)?, zone_use, Some(&mut found))?;
    Ok(found)
}

fn exists(call: &Call, zone_use: ZoneUse) -> Answer {
    Ok(match run(call, failures(call)?, zone_use, None)? {
        Outcome::Found => boolean(true),
        Outcome::NotFound => boolean(false),
        Outcome::Failed => Datum::Null,
    })
}

fn matches(call: &Call, zone_use: ZoneUse) -> Answer {
    match &items(call, zone_use)?[..] {
        [Value::Bool(value)] => Ok(boolean(*value)),
        [Value::Null] => Ok(Datum::Null),
        _ if failures(call)? == Failures::Silent => Ok(Datum::Null),
        _ => Err(SqlError::new(SqlState(*b"22038"), "single boolean result is expected")),
    }
}

fn all(call: &Call, zone_use: ZoneUse) -> Answer {
    let found = items(call, zone_use)?;
    Ok(store(&Json::Array(found.iter().map(Value::to_json).collect())))
}

fn first(call: &Call, zone_use: ZoneUse) -> Answer {
    Ok(items(call, zone_use)?.first().map_or(Datum::Null, |item| store(&item.to_json())))
}

fn rows(call: &Call, zone_use: ZoneUse) -> Result<Rows, SqlError> {
    let found: Vec<Datum> =
        items(call, zone_use)?.iter().map(|item| store(&item.to_json())).collect();
    Ok(Box::new(found.into_iter().map(|item| Ok(vec![item]))))
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_jsonb_path_exists_opr", |call| exists(call, ZoneUse::Refused)),
    ScalarFunction::strict("pg_jsonb_path_match_opr", |call| matches(call, ZoneUse::Refused)),
    ScalarFunction::strict("pg_jsonb_path_exists", |call| exists(call, ZoneUse::Refused)),
    ScalarFunction::strict("pg_jsonb_path_match", |call| matches(call, ZoneUse::Refused)),
    ScalarFunction::strict("pg_jsonb_path_query_array", |call| all(call, ZoneUse::Refused)),
    ScalarFunction::strict("pg_jsonb_path_query_first", |call| first(call, ZoneUse::Refused)),
    ScalarFunction::strict("pg_jsonb_path_exists_tz", |call| exists(call, ZoneUse::Allowed))
        .stable(),
    ScalarFunction::strict("pg_jsonb_path_match_tz", |call| matches(call, ZoneUse::Allowed))
        .stable(),
    ScalarFunction::strict("pg_jsonb_path_query_array_tz", |call| all(call, ZoneUse::Allowed))
        .stable(),
    ScalarFunction::strict("pg_jsonb_path_query_first_tz", |call| first(call, ZoneUse::Allowed))
        .stable(),
];

/// This file's set-returning functions.
pub(in crate::functions) const SET_RETURNING: &[SetReturningFunction] = &[
    SetReturningFunction {
        name: "pg_srf_jsonb_path_query",
        columns: 1,
        strict: true,
        body: |call| rows(call, ZoneUse::Refused),
    },
    SetReturningFunction {
        name: "pg_srf_jsonb_path_query_tz",
        columns: 1,
        strict: true,
        body: |call| rows(call, ZoneUse::Allowed),
    },
];
