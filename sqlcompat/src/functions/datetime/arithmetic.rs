//! Operators, casts, comparison across types, construction.
//!
//! Adding an interval goes month by month (a day beyond the month's end becomes its last), then day by day in local time
//! (for `timestamptz`, so that a day is a calendar day across a change of clocks), then by microseconds.

use std::cmp::Ordering;

use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::call::{boolean, integer, text};
use crate::functions::ordering::compare_timetz;
use crate::functions::{Call, ScalarFunction};
use crate::types::datetime::{
    DATE_MAX, DATE_MIN, DAY_END, DAY_FIRST, TIMESTAMP_END, TIMESTAMP_FIRST, TIMESTAMP_MAX,
    TIMESTAMP_MIN, UNIX_EPOCH_US, US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, civil,
    is_infinite, round_us, split, timestamp, zone,
};
use crate::types::float::write_general;
use crate::types::interval::{self, Interval};
use crate::types::{codec, failure};

type Answer = Result<Datum, SqlError>;

fn stored(interval: Interval) -> Datum {
    text(interval.to_storage())
}

/// Checks a finite timestamp's range.
fn checked(us: Option<i64>) -> Result<i64, SqlError> {
    let us = us.ok_or_else(|| failure::datetime_out_of_range("timestamp"))?;
    let (day, time) = split(us);
    timestamp(day, time)
}

/// A date at midnight.
fn date_to_timestamp(day: i64) -> Result<i64, SqlError> {
    match day {
        DATE_MIN => Ok(TIMESTAMP_MIN),
        DATE_MAX => Ok(TIMESTAMP_MAX),
        day => {
            timestamp(day, 0).ok().ok_or_else(|| out_of_range("date out of range for timestamp"))
        }
    }
}

/// A date's midnight in the session's time zone.
fn date_to_instant(call: &Call, day: i64) -> Result<i64, SqlError> {
    let instant = to_instant(call, date_to_timestamp(day)?);
    let valid = is_infinite(instant) || (TIMESTAMP_FIRST..TIMESTAMP_END).contains(&instant);
    if valid { Ok(instant) } else { Err(out_of_range("date out of range for timestamp")) }
}

/// 22008 in those words.
fn out_of_range(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// The date of a local timestamp.
fn timestamp_to_date(us: i64) -> i64 {
    match us {
        TIMESTAMP_MIN => DATE_MIN,
        TIMESTAMP_MAX => DATE_MAX,
        us => split(us).0,
    }
}

fn to_local(call: &Call, instant: i64) -> i64 {
    zone::to_local(&call.session.state().settings.time_zone, instant)
}

fn to_instant(call: &Call, local: i64) -> i64 {
    zone::to_instant(&call.session.state().settings.time_zone, local)
}

/// Adds months to a day number; a day beyond the month's end becomes its last.
fn add_months(day: i64, months: i64) -> i64 {
    let date = civil::date(day);
    let index = date.year * 12 + date.month - 1 + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    civil::day_number(year, month, date.day.min(civil::days_in_month(year, month)))
}

/// Adds an interval to a local timestamp.
pub(in crate::functions) fn add_interval(us: i64, interval: Interval) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    let shifted = shift_calendar(us, interval)?;
    checked(shifted.checked_add(interval.us))
}

/// Adds the months and days of an interval.
fn shift_calendar(us: i64, interval: Interval) -> Result<i64, SqlError> {
    if interval.months == 0 && interval.days == 0 {
        return Ok(us);
    }
    let (day, time) = split(us);
    let day = if interval.months == 0 { day } else { add_months(day, interval.months.into()) };
    timestamp(day + i64::from(interval.days), time)
}

/// Adds an interval to an instant: months and days on the calendar of the session's zone.
pub(in crate::functions) fn add_interval_in_zone(
    call: &Call,
    instant: i64,
    interval: Interval,
) -> Result<i64, SqlError> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    let shifted = if interval.months == 0 && interval.days == 0 {
        instant
    } else {
        to_instant(call, shift_calendar(to_local(call, instant), interval)?)
    };
    checked(shifted.checked_add(interval.us))
}

/// How an operand of a comparison reads.
#[derive(Clone, Copy)]
enum Kind {
    Date,
    Local,
    Instant,
}

/// The operand as an instant if either side is one, else as a local timestamp.
fn comparable(call: &Call, index: usize, kind: Kind, as_instant: bool) -> Result<i64, SqlError> {
    let value = call.i64(index)?;
    let local = match kind {
        Kind::Instant => return Ok(value),
        Kind::Local => value,
        // A date beyond timestamps is beyond all of them.
        Kind::Date => date_to_timestamp(value).unwrap_or(if value < 0 {
            TIMESTAMP_MIN + 1
        } else {
            TIMESTAMP_MAX - 1
        }),
    };
    Ok(if as_instant { to_instant(call, local) } else { local })
}

fn order(call: &Call, left: Kind, right: Kind) -> Result<Ordering, SqlError> {
    let as_instant = matches!(left, Kind::Instant) || matches!(right, Kind::Instant);
    let left = comparable(call, 0, left, as_instant)?;
    Ok(left.cmp(&comparable(call, 1, right, as_instant)?))
}

/// Difference of two timestamps in days and time.
fn timestamp_difference(call: &Call) -> Answer {
    let (left, right) = (call.i64(0)?, call.i64(1)?);
    if is_infinite(left) || is_infinite(right) {
        return Err(out_of_range("cannot subtract infinite timestamps"));
    }
    let difference = left.checked_sub(right).ok_or_else(interval::out_of_range)?;
    Ok(stored(Interval::new(0, 0, difference).justify_hours()?))
}

/// `age`: the difference in years, months, days and time.
pub(in crate::functions) fn age(later: i64, earlier: i64) -> Interval {
    let negative = later < earlier;
    let (high, low) = if negative { (earlier, later) } else { (later, earlier) };
    let ((high_day, high_time), (low_day, low_time)) = (split(high), split(low));
    let (high_date, low_date) = (civil::date(high_day), civil::date(low_day));
    let mut us = high_time - low_time;
    let mut days = high_date.day - low_date.day;
    let mut months = (high_date.year - low_date.year) * 12 + high_date.month - low_date.month;
    if us < 0 {
        us += US_PER_DAY;
        days -= 1;
    }
    while days < 0 {
        // The month that is borrowed is the earlier date's.
        days += civil::days_in_month(low_date.year, low_date.month);
        months -= 1;
    }
    let part = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    let sign = if negative { -1 } else { 1 };
    Interval::new(part(sign * months), part(sign * days), sign * us)
}

fn age_of(left: i64, right: i64) -> Answer {
    if is_infinite(left) || is_infinite(right) {
        return Err(failure::datetime_out_of_range("timestamp"));
    }
    Ok(stored(age(left, right)))
}

/// Midnight of the current day, in the session's zone.
fn today_local(call: &Call) -> i64 {
    split(to_local(call, call.session.state().transaction_us)).0 * US_PER_DAY
}

fn date_plus_days(day: i64, days: i64) -> Answer {
    if day == DATE_MIN || day == DATE_MAX {
        return Ok(Datum::Integer(day));
    }
    let sum = day.checked_add(days).filter(|it| (DAY_FIRST..DAY_END).contains(it));
    sum.map(Datum::Integer).ok_or_else(|| failure::datetime_out_of_range("date"))
}

fn date_difference(call: &Call) -> Answer {
    let (left, right) = (call.i64(0)?, call.i64(1)?);
    let infinite = |day| day == DATE_MIN || day == DATE_MAX;
    if infinite(left) || infinite(right) {
        return Err(out_of_range("cannot subtract infinite dates"));
    }
    Ok(Datum::Integer(left - right))
}

/// A date with the time of day added.
fn date_and_time(call: &Call, date: usize, time: usize) -> Result<i64, SqlError> {
    let midnight = date_to_timestamp(call.i64(date)?)?;
    if is_infinite(midnight) {
        Ok(midnight)
    } else {
        checked(midnight.checked_add(call.i64(time)?))
    }
}

fn date_and_timetz(call: &Call, date: usize, time: usize) -> Answer {
    let midnight = date_to_timestamp(call.i64(date)?)?;
    let (time, offset) = codec::timetz_parts(call.text(time)?)?;
    if is_infinite(midnight) {
        return Ok(Datum::Integer(midnight));
    }
    let offset_us = i64::from(offset) * US_PER_SECOND;
    Ok(Datum::Integer(checked(midnight.checked_add(time - offset_us))?))
}

/// Wraps a time of day.
fn wrap_time(us: i64) -> i64 {
    us.rem_euclid(US_PER_DAY)
}

fn time_plus(call: &Call, sign: i64) -> Answer {
    let interval = call.interval(1)?;
    Ok(Datum::Integer(wrap_time(call.i64(0)? + sign * (interval.us % US_PER_DAY))))
}

fn timetz_plus(call: &Call, sign: i64) -> Answer {
    let ((time, offset), interval) = (codec::timetz_parts(call.text(0)?)?, call.interval(1)?);
    Ok(text(codec::timetz_text((wrap_time(time + sign * (interval.us % US_PER_DAY)), offset))))
}

fn timetz_order(call: &Call) -> Result<Ordering, SqlError> {
    Ok(compare_timetz(call.text(0)?, call.text(1)?))
}

fn interval_order(call: &Call) -> Result<Ordering, SqlError> {
    Ok(call.interval(0)?.span().cmp(&call.interval(1)?.span()))
}

fn interval_times(interval: Interval, factor: f64) -> Answer {
    interval.multiply(factor).map(stored)
}

/// Divides by dividing the parts, as PostgreSQL does: multiplying by the reciprocal would round twice.
fn interval_divide(call: &Call) -> Answer {
    let (interval, divisor) = (call.interval(0)?, call.f64(1)?);
    if divisor == 0.0 {
        return Err(failure::division_by_zero());
    }
    interval.divide(divisor).map(stored)
}

/// An offset given as an interval, in seconds.
fn offset_of(interval: Interval) -> Result<i32, SqlError> {
    if interval.months != 0 || interval.days != 0 {
        let shown = codec_text(interval);
        return Err(failure::invalid_parameter(format!(
            "interval time zone \"{shown}\" must not include months or days"
        )));
    }
    Ok(i32::try_from(interval.us / US_PER_SECOND).unwrap_or(0))
}

fn codec_text(value: Interval) -> String {
    let mut out = String::new();
    interval::write(value, crate::settings::IntervalStyle::Postgres, &mut out);
    out
}

fn zone_named(name: &str) -> Result<zone::Zone, SqlError> {
    let found = zone::parse_offset(name)
        .map(|offset| zone::Zone::Fixed(-offset))
        .or_else(|| zone::find(name));
    found.ok_or_else(|| failure::invalid_parameter(format!("time zone \"{name}\" not recognized")))
}

/// The zone in the first argument, a name or an interval.
fn zone_argument(call: &Call, named: bool) -> Result<zone::Zone, SqlError> {
    if named {
        zone_named(call.text(0)?)
    } else {
        Ok(zone::Zone::Fixed(offset_of(call.interval(0)?)?))
    }
}

fn local_at_zone(call: &Call, named: bool) -> Answer {
    let (zone, local) = (zone_argument(call, named)?, call.i64(1)?);
    if is_infinite(local) {
        return Ok(Datum::Integer(local));
    }
    let offset = i64::from(zone.offset_at_local(local)) * US_PER_SECOND;
    Ok(Datum::Integer(checked(local.checked_sub(offset))?))
}

fn instant_at_zone(call: &Call, named: bool) -> Answer {
    let (zone, instant) = (zone_argument(call, named)?, call.i64(1)?);
    if is_infinite(instant) {
        return Ok(Datum::Integer(instant));
    }
    let offset = i64::from(zone.offset_at(instant)) * US_PER_SECOND;
    Ok(Datum::Integer(checked(instant.checked_add(offset))?))
}

fn timetz_at_zone(call: &Call, named: bool) -> Answer {
    let zone = zone_argument(call, named)?;
    let (time, offset) = codec::timetz_parts(call.text(1)?)?;
    let new_offset = zone.offset_at(call.session.state().transaction_us);
    let shifted = time + i64::from(new_offset - offset) * US_PER_SECOND;
    Ok(text(codec::timetz_text((wrap_time(shifted), new_offset))))
}

/// Seconds with a fraction as microseconds.
fn seconds_us(seconds: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; callers check the range")]
    let us = (seconds * 1e6).round_ties_even() as i64;
    us
}

fn make_day(year: i64, month: i64, day: i64) -> Result<i64, SqlError> {
    let astronomical = if year < 0 { year + 1 } else { year };
    let valid = year != 0
        && (1..=12).contains(&month)
        && (1..=civil::days_in_month(astronomical, month)).contains(&day);
    let number = civil::day_number(astronomical, month.clamp(1, 12), day);
    if !valid || !(DAY_FIRST..DAY_END).contains(&number) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        ));
    }
    Ok(number)
}

fn make_time_of(hour: i64, minute: i64, second: f64) -> Result<i64, SqlError> {
    let whole = hour.saturating_mul(US_PER_HOUR).saturating_add(minute * US_PER_MINUTE);
    let total = whole.saturating_add(seconds_us(second));
    let valid = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60.0).contains(&second)
        && total <= US_PER_DAY;
    if !valid {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
        ));
    }
    Ok(total)
}

fn make_local(call: &Call) -> Result<i64, SqlError> {
    let day = make_day(call.i64(0)?, call.i64(1)?, call.i64(2)?)?;
    timestamp(day, make_time_of(call.i64(3)?, call.i64(4)?, call.f64(5)?)?)
}

fn make_instant(call: &Call) -> Answer {
    let local = make_local(call)?;
    if call.len() <= 6 {
        return Ok(Datum::Integer(to_instant(call, local)));
    }
    let name = call.text(6)?;
    let offset = match zone::parse_offset(name) {
        Some(offset) => offset,
        None => zone_of_maker(name)?.offset_at_local(local),
    };
    Ok(Datum::Integer(checked(local.checked_sub(i64::from(offset) * US_PER_SECOND))?))
}

/// The zone that `make_timestamptz` is given, if it is no offset.
fn zone_of_maker(name: &str) -> Result<zone::Zone, SqlError> {
    if name.starts_with(|it: char| it.is_ascii_digit()) {
        return Err(failure::invalid_parameter(format!(
            "invalid input syntax for type numeric time zone: \"{name}\""
        ))
        .with_hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    if zone::is_offset_out_of_range(name) {
        return Err(failure::invalid_parameter(format!(
            "numeric time zone \"{name}\" out of range"
        )));
    }
    zone_named(name)
}

fn make_interval(call: &Call) -> Answer {
    let part =
        |index: usize, default: i64| if index < call.len() { call.i64(index) } else { Ok(default) };
    let months = part(0, 0)?.checked_mul(12).and_then(|it| it.checked_add(part(1, 0).ok()?));
    let days = part(2, 0)?.checked_mul(7).and_then(|it| it.checked_add(part(3, 0).ok()?));
    let seconds = if call.len() > 6 { call.f64(6)? } else { 0.0 };
    if !seconds.is_finite() || seconds.abs() > 9e12 {
        return Err(interval::out_of_range());
    }
    let us = part(4, 0)?
        .checked_mul(US_PER_HOUR)
        .and_then(|it| it.checked_add(part(5, 0).ok()? * US_PER_MINUTE))
        .and_then(|it| it.checked_add(seconds_us(seconds)));
    let small = |value: Option<i64>| {
        value.and_then(|it| i32::try_from(it).ok()).ok_or_else(interval::out_of_range)
    };
    Ok(stored(Interval::new(small(months)?, small(days)?, us.ok_or_else(interval::out_of_range)?)))
}

/// `to_timestamp(double)`: seconds since 1970.
fn from_unix(call: &Call) -> Answer {
    let seconds = call.f64(0)?;
    if seconds.is_nan() {
        return Err(out_of_range("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(Datum::Integer(if seconds > 0.0 { TIMESTAMP_MAX } else { TIMESTAMP_MIN }));
    }
    let out = || {
        let mut shown = String::new();
        write_general(seconds, 6, &mut shown);
        out_of_range(format!("timestamp out of range: \"{shown}\""))
    };
    if seconds.abs() > 9.3e12 {
        return Err(out());
    }
    let timestamp = checked(seconds_us(seconds).checked_add(UNIX_EPOCH_US));
    timestamp.ok().map(Datum::Integer).ok_or_else(out)
}

/// `(s1, e1) OVERLAPS (s2, e2)` over any ordered values; NULL as PostgreSQL has it.
fn overlaps(call: &Call, order: fn(DatumRef<'_>, DatumRef<'_>) -> Ordering) -> Answer {
    // Orders each pair, a NULL taking the place of the later end.
    let pair = |first: DatumRef<'_>, second: DatumRef<'_>| match (first, second) {
        (DatumRef::Null, DatumRef::Null) => None,
        (DatumRef::Null, only) | (only, DatumRef::Null) => Some((only.to_datum(), None)),
        (first, second) if order(first, second).is_gt() => {
            Some((second.to_datum(), Some(first.to_datum())))
        }
        (first, second) => Some((first.to_datum(), Some(second.to_datum()))),
    };
    let (Some((start1, end1)), Some((start2, end2))) =
        (pair(call.datum(0), call.datum(1)), pair(call.datum(2), call.datum(3)))
    else {
        return Ok(Datum::Null);
    };
    let (later_start, earlier_end, later_end) = match order(start1.as_ref(), start2.as_ref()) {
        Ordering::Equal => {
            return Ok(if end1.is_none() || end2.is_none() { Datum::Null } else { boolean(true) });
        }
        Ordering::Greater => (start1, end2, end1),
        Ordering::Less => (start2, end1, end2),
    };
    let Some(earlier_end) = earlier_end else { return Ok(Datum::Null) };
    if order(later_start.as_ref(), earlier_end.as_ref()).is_lt() {
        return Ok(boolean(true));
    }
    Ok(if later_end.is_none() { Datum::Null } else { boolean(false) })
}

fn plain_order(left: DatumRef<'_>, right: DatumRef<'_>) -> Ordering {
    match (left, right) {
        (DatumRef::Integer(left), DatumRef::Integer(right)) => left.cmp(&right),
        (DatumRef::Text(left), DatumRef::Text(right)) => compare_timetz(left, right),
        _ => Ordering::Equal,
    }
}

/// OVERLAPS with ends given as intervals: which of arguments 1 and 3 are.
fn overlaps_with_intervals(
    call: &Call,
    first: bool,
    second: bool,
    add: fn(&Call, i64, Interval) -> Result<i64, SqlError>,
) -> Answer {
    let mut ends = [call.datum(1).to_datum(), call.datum(3).to_datum()];
    for (slot, (start, is_interval)) in ends.iter_mut().zip([(0, first), (2, second)]) {
        if is_interval && !call.is_null(start) && !call.is_null(start + 1) {
            *slot = Datum::Integer(add(call, call.i64(start)?, call.interval(start + 1)?)?);
        }
    }
    let [first_end, second_end] = &ends;
    let arguments = [call.datum(0), first_end.as_ref(), call.datum(2), second_end.as_ref()];
    overlaps(&Call { arguments: &arguments, session: call.session }, plain_order)
}

fn add_to_time(_: &Call, time: i64, interval: Interval) -> Result<i64, SqlError> {
    Ok(wrap_time(time + interval.us % US_PER_DAY))
}

fn add_to_local(_: &Call, local: i64, interval: Interval) -> Result<i64, SqlError> {
    add_interval(local, interval)
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Comparisons between two kinds, with the three-way one.
macro_rules! comparisons {
    ($order:expr, $eq:literal, $ne:literal, $lt:literal, $le:literal, $gt:literal, $ge:literal, $cmp:literal) => {
        &[
            f($eq, |call| Ok(boolean($order(call)?.is_eq()))).stable(),
            f($ne, |call| Ok(boolean($order(call)?.is_ne()))).stable(),
            f($lt, |call| Ok(boolean($order(call)?.is_lt()))).stable(),
            f($le, |call| Ok(boolean($order(call)?.is_le()))).stable(),
            f($gt, |call| Ok(boolean($order(call)?.is_gt()))).stable(),
            f($ge, |call| Ok(boolean($order(call)?.is_ge()))).stable(),
            f($cmp, |call| Ok(integer($order(call)? as i8))).stable(),
        ]
    };
}

/// Comparisons that native integer comparison does not cover.
pub(in crate::functions) const COMPARISONS: &[&[ScalarFunction]] = &[
    comparisons!(
        |call| order(call, Kind::Date, Kind::Local),
        "pg_date_eq_timestamp",
        "pg_date_ne_timestamp",
        "pg_date_lt_timestamp",
        "pg_date_le_timestamp",
        "pg_date_gt_timestamp",
        "pg_date_ge_timestamp",
        "pg_date_cmp_timestamp"
    ),
    comparisons!(
        |call| order(call, Kind::Date, Kind::Instant),
        "pg_date_eq_timestamptz",
        "pg_date_ne_timestamptz",
        "pg_date_lt_timestamptz",
        "pg_date_le_timestamptz",
        "pg_date_gt_timestamptz",
        "pg_date_ge_timestamptz",
        "pg_date_cmp_timestamptz"
    ),
    comparisons!(
        |call| order(call, Kind::Local, Kind::Date),
        "pg_timestamp_eq_date",
        "pg_timestamp_ne_date",
        "pg_timestamp_lt_date",
        "pg_timestamp_le_date",
        "pg_timestamp_gt_date",
        "pg_timestamp_ge_date",
        "pg_timestamp_cmp_date"
    ),
    comparisons!(
        |call| order(call, Kind::Instant, Kind::Date),
        "pg_timestamptz_eq_date",
        "pg_timestamptz_ne_date",
        "pg_timestamptz_lt_date",
        "pg_timestamptz_le_date",
        "pg_timestamptz_gt_date",
        "pg_timestamptz_ge_date",
        "pg_timestamptz_cmp_date"
    ),
    comparisons!(
        |call| order(call, Kind::Local, Kind::Instant),
        "pg_timestamp_eq_timestamptz",
        "pg_timestamp_ne_timestamptz",
        "pg_timestamp_lt_timestamptz",
        "pg_timestamp_le_timestamptz",
        "pg_timestamp_gt_timestamptz",
        "pg_timestamp_ge_timestamptz",
        "pg_timestamp_cmp_timestamptz"
    ),
    comparisons!(
        |call| order(call, Kind::Instant, Kind::Local),
        "pg_timestamptz_eq_timestamp",
        "pg_timestamptz_ne_timestamp",
        "pg_timestamptz_lt_timestamp",
        "pg_timestamptz_le_timestamp",
        "pg_timestamptz_gt_timestamp",
        "pg_timestamptz_ge_timestamp",
        "pg_timestamptz_cmp_timestamp"
    ),
    comparisons!(
        interval_order,
        "pg_interval_eq",
        "pg_interval_ne",
        "pg_interval_lt",
        "pg_interval_le",
        "pg_interval_gt",
        "pg_interval_ge",
        "pg_interval_cmp"
    ),
    comparisons!(
        timetz_order,
        "pg_timetz_eq",
        "pg_timetz_ne",
        "pg_timetz_lt",
        "pg_timetz_le",
        "pg_timetz_gt",
        "pg_timetz_ge",
        "pg_timetz_cmp"
    ),
];

/// Everything else.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_date_pli", |call| date_plus_days(call.i64(0)?, call.i64(1)?)),
    f("pg_integer_pl_date_2550", |call| date_plus_days(call.i64(1)?, call.i64(0)?)),
    f("pg_date_mii", |call| date_plus_days(call.i64(0)?, -call.i64(1)?)),
    f("pg_date_mi", date_difference),
    f("pg_date_pl_interval", |call| {
        Ok(Datum::Integer(add_interval(date_to_timestamp(call.i64(0)?)?, call.interval(1)?)?))
    }),
    f("pg_interval_pl_date_2546", |call| {
        Ok(Datum::Integer(add_interval(date_to_timestamp(call.i64(1)?)?, call.interval(0)?)?))
    }),
    f("pg_date_mi_interval", |call| {
        Ok(Datum::Integer(add_interval(
            date_to_timestamp(call.i64(0)?)?,
            call.interval(1)?.negate()?,
        )?))
    }),
    f("pg_datetime_timestamp", |call| date_and_time(call, 0, 1).map(Datum::Integer)),
    f("pg_timedate_pl_1296", |call| date_and_time(call, 1, 0).map(Datum::Integer)),
    f("pg_datetimetz_timestamptz", |call| date_and_timetz(call, 0, 1)),
    f("pg_timetzdate_pl_1298", |call| date_and_timetz(call, 1, 0)),
    f("pg_timestamptz_1176", |call| {
        Ok(Datum::Integer(to_instant(call, date_and_time(call, 0, 1)?)))
    })
    .stable(),
    f("pg_timestamp_pl_interval", |call| {
        Ok(Datum::Integer(add_interval(call.i64(0)?, call.interval(1)?)?))
    }),
    f("pg_interval_pl_timestamp_2548", |call| {
        Ok(Datum::Integer(add_interval(call.i64(1)?, call.interval(0)?)?))
    }),
    f("pg_timestamp_mi_interval", |call| {
        Ok(Datum::Integer(add_interval(call.i64(0)?, call.interval(1)?.negate()?)?))
    }),
    f("pg_timestamptz_pl_interval", |call| {
        Ok(Datum::Integer(add_interval_in_zone(call, call.i64(0)?, call.interval(1)?)?))
    })
    .stable(),
    f("pg_interval_pl_timestamptz_2549", |call| {
        Ok(Datum::Integer(add_interval_in_zone(call, call.i64(1)?, call.interval(0)?)?))
    })
    .stable(),
    f("pg_timestamptz_mi_interval", |call| {
        Ok(Datum::Integer(add_interval_in_zone(call, call.i64(0)?, call.interval(1)?.negate()?)?))
    })
    .stable(),
    f("pg_timestamp_mi", timestamp_difference),
    f("pg_timestamp_age", |call| age_of(call.i64(0)?, call.i64(1)?)),
    f("pg_timestamptz_age", |call| {
        age_of(to_local(call, call.i64(0)?), to_local(call, call.i64(1)?))
    }),
    f("pg_age_2059", |call| age_of(today_local(call), call.i64(0)?)).stable(),
    f("pg_age_1386", |call| age_of(today_local(call), to_local(call, call.i64(0)?))).stable(),
    f("pg_time_pl_interval", |call| time_plus(call, 1)),
    f("pg_time_mi_interval", |call| time_plus(call, -1)),
    f("pg_interval_pl_time_1848", |call| {
        Ok(Datum::Integer(wrap_time(call.i64(1)? + call.interval(0)?.us % US_PER_DAY)))
    }),
    f("pg_time_mi_time", |call| Ok(stored(Interval::new(0, 0, call.i64(0)? - call.i64(1)?)))),
    f("pg_timetz_pl_interval", |call| timetz_plus(call, 1)),
    f("pg_timetz_mi_interval", |call| timetz_plus(call, -1)),
    f("pg_interval_pl_timetz_2547", |call| {
        let swapped = [call.datum(1), call.datum(0)];
        timetz_plus(&Call { arguments: &swapped, session: call.session }, 1)
    }),
    f("pg_interval_pl", |call| call.interval(0)?.plus(call.interval(1)?).map(stored)),
    f("pg_interval_mi", |call| call.interval(0)?.plus(call.interval(1)?.negate()?).map(stored)),
    f("pg_interval_um", |call| call.interval(0)?.negate().map(stored)),
    f("pg_interval_mul", |call| interval_times(call.interval(0)?, call.f64(1)?)),
    f("pg_mul_d_interval", |call| interval_times(call.interval(1)?, call.f64(0)?)),
    f("pg_interval_div", interval_divide),
    f("pg_interval_larger", |call| {
        let (left, right) = (call.interval(0)?, call.interval(1)?);
        Ok(stored(if left.span() > right.span() { left } else { right }))
    }),
    f("pg_interval_smaller", |call| {
        let (left, right) = (call.interval(0)?, call.interval(1)?);
        Ok(stored(if left.span() < right.span() { left } else { right }))
    }),
    f("pg_date_larger", |call| Ok(Datum::Integer(call.i64(0)?.max(call.i64(1)?)))),
    f("pg_date_smaller", |call| Ok(Datum::Integer(call.i64(0)?.min(call.i64(1)?)))),
    f("pg_timestamp_larger", |call| Ok(Datum::Integer(call.i64(0)?.max(call.i64(1)?)))),
    f("pg_timestamp_smaller", |call| Ok(Datum::Integer(call.i64(0)?.min(call.i64(1)?)))),
    f("pg_time_larger", |call| Ok(Datum::Integer(call.i64(0)?.max(call.i64(1)?)))),
    f("pg_time_smaller", |call| Ok(Datum::Integer(call.i64(0)?.min(call.i64(1)?)))),
    f("pg_interval_justify_hours", |call| call.interval(0)?.justify_hours().map(stored)),
    f("pg_interval_justify_days", |call| call.interval(0)?.justify_days().map(stored)),
    f("pg_interval_justify_interval", |call| call.interval(0)?.justify_interval().map(stored)),
    f("pg_interval_scale", |call| Ok(stored(call.interval(0)?.apply_typmod(call.i32(1)?)))),
    f("pg_time_interval", |call| Ok(stored(Interval::new(0, 0, call.i64(0)?)))),
    f("pg_interval_time", |call| Ok(Datum::Integer(wrap_time(call.interval(0)?.us)))),
    f("pg_time_scale", |call| Ok(Datum::Integer(round_us(call.i64(0)?, call.i32(1)?)))),
    f("pg_timestamp_scale", scale_timestamp),
    f("pg_timestamptz_scale", scale_timestamp),
    f("pg_timetz_scale", |call| {
        let (time, offset) = codec::timetz_parts(call.text(0)?)?;
        Ok(text(codec::timetz_text((round_us(time, call.i32(1)?), offset))))
    }),
    f("pg_date_timestamp", |call| date_to_timestamp(call.i64(0)?).map(Datum::Integer)),
    f("pg_date_timestamptz", |call| date_to_instant(call, call.i64(0)?).map(Datum::Integer))
        .stable(),
    f("pg_timestamp_date", |call| Ok(Datum::Integer(timestamp_to_date(call.i64(0)?)))),
    f("pg_timestamptz_date", |call| {
        Ok(Datum::Integer(timestamp_to_date(to_local(call, call.i64(0)?))))
    })
    .stable(),
    f("pg_timestamp_timestamptz", |call| Ok(Datum::Integer(to_instant(call, call.i64(0)?))))
        .stable(),
    f("pg_timestamptz_timestamp", |call| Ok(Datum::Integer(to_local(call, call.i64(0)?)))).stable(),
    f("pg_timestamp_time", |call| {
        let us = call.i64(0)?;
        Ok(if is_infinite(us) { Datum::Null } else { Datum::Integer(split(us).1) })
    }),
    f("pg_timestamptz_time", |call| {
        let us = call.i64(0)?;
        Ok(if is_infinite(us) { Datum::Null } else { Datum::Integer(split(to_local(call, us)).1) })
    })
    .stable(),
    f("pg_timestamptz_timetz", |call| {
        let us = call.i64(0)?;
        if is_infinite(us) {
            return Ok(Datum::Null);
        }
        let offset = zone::offset_at(&call.session.state().settings.time_zone, us);
        Ok(text(codec::timetz_text((split(to_local(call, us)).1, offset))))
    })
    .stable(),
    f("pg_time_timetz", |call| {
        let time = call.i64(0)?;
        let offset = zone::offset_at_local(
            &call.session.state().settings.time_zone,
            today_local(call) + time,
        );
        Ok(text(codec::timetz_text((time, offset))))
    })
    .stable(),
    f("pg_timetz_time", |call| Ok(Datum::Integer(codec::timetz_parts(call.text(0)?)?.0))),
    f("pg_timestamp_zone", |call| local_at_zone(call, true)),
    f("pg_timestamp_izone", |call| local_at_zone(call, false)),
    f("pg_timestamptz_zone", |call| instant_at_zone(call, true)),
    f("pg_timestamptz_izone", |call| instant_at_zone(call, false)),
    f("pg_timetz_zone", |call| timetz_at_zone(call, true)).stable(),
    f("pg_timetz_izone", |call| timetz_at_zone(call, false)),
    f("pg_date_finite", |call| {
        let day = call.i64(0)?;
        Ok(boolean(day != DATE_MIN && day != DATE_MAX))
    }),
    f("pg_timestamp_finite", |call| Ok(boolean(!is_infinite(call.i64(0)?)))),
    f("pg_interval_finite", |_| Ok(boolean(true))),
    f("pg_make_date", |call| {
        make_day(call.i64(0)?, call.i64(1)?, call.i64(2)?).map(Datum::Integer)
    }),
    f("pg_make_time", |call| {
        make_time_of(call.i64(0)?, call.i64(1)?, call.f64(2)?).map(Datum::Integer)
    }),
    f("pg_make_timestamp", |call| make_local(call).map(Datum::Integer)),
    f("pg_make_timestamptz", make_instant).stable(),
    f("pg_make_timestamptz_at_timezone", make_instant).stable(),
    f("pg_make_interval", make_interval),
    f("pg_float8_timestamptz", from_unix),
    ScalarFunction::lax("pg_overlaps_timestamp", |call| overlaps(call, plain_order)),
    ScalarFunction::lax("pg_overlaps_time", |call| overlaps(call, plain_order)),
    ScalarFunction::lax("pg_overlaps_timetz", |call| overlaps(call, plain_order)),
    ScalarFunction::lax("pg_overlaps_2042", |call| {
        overlaps_with_intervals(call, true, true, add_to_local)
    }),
    ScalarFunction::lax("pg_overlaps_2043", |call| {
        overlaps_with_intervals(call, false, true, add_to_local)
    }),
    ScalarFunction::lax("pg_overlaps_2044", |call| {
        overlaps_with_intervals(call, true, false, add_to_local)
    }),
    ScalarFunction::lax("pg_overlaps_1309", |call| {
        overlaps_with_intervals(call, true, true, add_to_time)
    }),
    ScalarFunction::lax("pg_overlaps_1310", |call| {
        overlaps_with_intervals(call, false, true, add_to_time)
    }),
    ScalarFunction::lax("pg_overlaps_1311", |call| {
        overlaps_with_intervals(call, true, false, add_to_time)
    }),
    ScalarFunction::lax("pg_overlaps_1305", |call| {
        overlaps_with_intervals(call, true, true, add_interval_in_zone)
    })
    .stable(),
    ScalarFunction::lax("pg_overlaps_1306", |call| {
        overlaps_with_intervals(call, false, true, add_interval_in_zone)
    })
    .stable(),
    ScalarFunction::lax("pg_overlaps_1307", |call| {
        overlaps_with_intervals(call, true, false, add_interval_in_zone)
    })
    .stable(),
];

fn scale_timestamp(call: &Call) -> Answer {
    let us = call.i64(0)?;
    Ok(Datum::Integer(if is_infinite(us) { us } else { round_us(us, call.i32(1)?) }))
}
