//! What time it is: the transaction's, the statement's, the clock's.

use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use crate::types::codec;
use crate::types::datetime::format::{DAYS, MONTHS, write_fraction};
use crate::types::datetime::{civil, round_us, split, zone};

type Answer = Result<Datum, SqlError>;

fn transaction(call: &Call) -> i64 {
    call.session.state().transaction_us
}

/// Precision argument, or all digits.
fn precision(call: &Call) -> Result<i32, SqlError> {
    if call.is_null(0) { Ok(6) } else { call.i32(0) }
}

fn local(call: &Call) -> i64 {
    let state = call.session.state();
    zone::to_local(&state.settings.time_zone, state.transaction_us)
}

fn current_timetz(call: &Call) -> Answer {
    let state = call.session.state();
    let offset = zone::offset_at(&state.settings.time_zone, state.transaction_us);
    let time = round_us(split(local(call)).1, precision(call)?);
    Ok(text(codec::timetz_text((time, offset))))
}

/// `timeofday()`: the clock in the form of `date`.
fn time_of_day(call: &Call) -> Answer {
    let now = call.session.with_host(|host| host.clock_us());
    let state = call.session.state();
    let (day, time) = split(zone::to_local(&state.settings.time_zone, now));
    let date = civil::date(day);
    let weekday = DAYS[usize::try_from(civil::day_of_week(day)).unwrap_or(0)];
    let month = MONTHS[usize::try_from(date.month - 1).unwrap_or(0)];
    let second = time / 1_000_000;
    let mut out = format!(
        "{weekday} {month} {:02} {:02}:{:02}:{:02}",
        date.day,
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    write_fraction(time % 1_000_000, &mut out);
    out.push_str(&format!(" {} {}", date.year, zone::abbreviation(&state.settings.time_zone, now)));
    Ok(text(out))
}

const fn stable(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::lax(name, body).stable()
}

/// This file's functions. The `pg_current_*` and `pg_local*` take an optional precision.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    stable("pg_now", |call| Ok(Datum::Integer(transaction(call)))),
    stable("pg_statement_timestamp", |call| Ok(Datum::Integer(call.session.state().statement_us))),
    ScalarFunction::lax("pg_clock_timestamp", |call| {
        Ok(Datum::Integer(call.session.with_host(|host| host.clock_us())))
    })
    .volatile(),
    ScalarFunction::lax("pg_timeofday", time_of_day).volatile(),
    stable("pg_current_timestamp", |call| {
        Ok(Datum::Integer(round_us(transaction(call), precision(call)?)))
    }),
    stable("pg_localtimestamp", |call| Ok(Datum::Integer(round_us(local(call), precision(call)?)))),
    stable("pg_current_date", |call| Ok(Datum::Integer(split(local(call)).0))),
    stable("pg_localtime", |call| {
        Ok(Datum::Integer(round_us(split(local(call)).1, precision(call)?)))
    }),
    stable("pg_current_time", current_timetz),
];
