//! `generate_series` and other row sources that need no argument taken apart.

use super::call::text;
use super::datetime::arithmetic;
use super::{Call, Rows, SessionContext, SetReturningFunction};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::types::failure;
use crate::types::interval::Interval;
use crate::types::numeric::Numeric;

fn zero_step() -> SqlError {
    failure::invalid_parameter("step size cannot equal zero")
}

fn integers(call: &Call, max: i64) -> Result<Rows, SqlError> {
    let (start, stop) = (call.i64(0)?, call.i64(1)?);
    let step = if call.len() > 2 { call.i64(2)? } else { 1 };
    if step == 0 {
        return Err(zero_step());
    }
    let mut next = Some(start);
    Ok(Box::new(std::iter::from_fn(move || {
        let value = next.filter(|value| if step > 0 { *value <= stop } else { *value >= stop })?;
        next = value.checked_add(step).filter(|it| it.unsigned_abs() <= max.unsigned_abs() + 1);
        Some(Ok(vec![Datum::Integer(value)]))
    })))
}

fn numerics(call: &Call) -> Result<Rows, SqlError> {
    let (start, stop) = (call.numeric(0)?, call.numeric(1)?);
    let step = if call.len() > 2 { call.numeric(2)? } else { Numeric::from(1) };
    for (value, name) in [(&start, "start"), (&stop, "stop"), (&step, "step size")] {
        let problem = match value {
            Numeric::NaN => "NaN",
            Numeric::Infinity | Numeric::NegativeInfinity => "infinity",
            Numeric::Finite(_) => continue,
        };
        return Err(failure::invalid_parameter(
            format!("{name} value cannot be {problem}").replace("size value", "size"),
        ));
    }
    let direction = step.signum();
    if direction == 0 {
        return Err(zero_step());
    }
    let mut next = Some(start);
    Ok(Box::new(std::iter::from_fn(move || {
        let value = next.take()?;
        let order = value.compare(&stop);
        if if direction > 0 { order.is_gt() } else { order.is_lt() } {
            return None;
        }
        next = value.add(&step).ok();
        Some(Ok(vec![text(value.to_string())]))
    })))
}

fn timestamps(
    call: &Call,
    add: fn(&SessionContext, i64, Interval) -> Result<i64, SqlError>,
) -> Result<Rows, SqlError> {
    let (start, stop, step) = (call.i64(0)?, call.i64(1)?, call.interval(2)?);
    let forward = match step.span().signum() {
        0 => return Err(zero_step()),
        sign => sign > 0,
    };
    let session = call.session.clone();
    let mut next = Some(start);
    Ok(Box::new(std::iter::from_fn(move || {
        let value = next.filter(|value| if forward { *value <= stop } else { *value >= stop })?;
        match add(&session, value, step) {
            Ok(following) => {
                next = Some(following);
                Some(Ok(vec![Datum::Integer(value)]))
            }
            Err(error) => {
                next = None;
                Some(Err(error))
            }
        }
    })))
}

fn add_local(_: &SessionContext, value: i64, step: Interval) -> Result<i64, SqlError> {
    arithmetic::add_interval(value, step)
}

fn add_in_zone(session: &SessionContext, value: i64, step: Interval) -> Result<i64, SqlError> {
    arithmetic::add_interval_in_zone(&Call { arguments: &[], session }, value, step)
}

const fn srf(
    name: &'static str,
    body: fn(&Call) -> Result<Rows, SqlError>,
) -> SetReturningFunction {
    SetReturningFunction { name, columns: 1, strict: true, body }
}

/// This file's set-returning functions.
pub(super) const SET_RETURNING: &[SetReturningFunction] = &[
    srf("pg_srf_generate_series_int4", |call| integers(call, i32::MAX.into())),
    srf("pg_srf_generate_series_step_int4", |call| integers(call, i32::MAX.into())),
    srf("pg_srf_generate_series_int8", |call| integers(call, i64::MAX)),
    srf("pg_srf_generate_series_step_int8", |call| integers(call, i64::MAX)),
    srf("pg_srf_generate_series_numeric", numerics),
    srf("pg_srf_generate_series_step_numeric", numerics),
    srf("pg_srf_generate_series_timestamp", |call| timestamps(call, add_local)),
    srf("pg_srf_generate_series_timestamptz", |call| timestamps(call, add_in_zone)),
];
