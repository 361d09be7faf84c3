//! `extract`, `date_part`, `date_trunc`, `date_bin`.
//!
//! `extract` answers `numeric`, with six digits after the point for `second` and `epoch`, three for `millisecond`s;
//! `date_part` answers the same as `float8`.

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::call::{float, text};
use crate::functions::{Call, ScalarFunction};
use crate::types::datetime::{
    TIMESTAMP_END, TIMESTAMP_FIRST, UNIX_EPOCH_DAY, UNIX_EPOCH_US, US_PER_DAY, US_PER_HOUR,
    US_PER_MINUTE, US_PER_SECOND, civil, is_infinite, split, timestamp, zone,
};
use crate::types::interval::Interval;
use crate::types::{codec, failure};

type Answer = Result<Datum, SqlError>;

/// A field's value: an integer scaled by a power of ten.
#[derive(Clone, Copy)]
struct Value {
    digits: i128,
    scale: u32,
}

impl Value {
    fn whole(value: i64) -> Self {
        Self { digits: value.into(), scale: 0 }
    }

    fn scaled(digits: i64, scale: u32) -> Self {
        Self { digits: digits.into(), scale }
    }

    fn numeric(self) -> Datum {
        let unit = 10i128.pow(self.scale);
        if self.scale == 0 {
            return text(self.digits.to_string());
        }
        let sign = if self.digits < 0 { "-" } else { "" };
        let magnitude = self.digits.abs();
        let width = self.scale as usize;
        text(format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit))
    }

    #[expect(clippy::cast_precision_loss, reason = "what date_part answers")]
    fn float(self) -> Datum {
        float(self.digits as f64 / 10f64.powi(i32::try_from(self.scale).unwrap_or(0)))
    }
}

/// The field's canonical name: plurals and abbreviations as PostgreSQL knows them.
fn canonical(field: &str) -> Option<&'static str> {
    let lower = field.to_ascii_lowercase();
    // Ten letters of a name count.
    Some(match lower.get(..10).unwrap_or(&lower) {
        "microsecon" | "us" | "usec" | "usecs" | "useconds" => "microseconds",
        "millisecon" | "ms" | "msec" | "msecs" | "mseconds" => "milliseconds",
        "second" | "seconds" | "sec" | "secs" | "s" => "second",
        "minute" | "minutes" | "min" | "mins" | "m" => "minute",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "day" | "days" | "d" => "day",
        "week" | "weeks" | "w" => "week",
        "month" | "months" | "mon" | "mons" => "month",
        "quarter" | "qtr" => "quarter",
        "year" | "years" | "y" | "yr" | "yrs" => "year",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "c" | "cent" => "century",
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "dow" => "dow",
        "isodow" => "isodow",
        "doy" => "doy",
        "epoch" => "epoch",
        "isoyear" => "isoyear",
        "julian" | "jd" => "julian",
        "timezone" => "timezone",
        "timezone_h" => "timezone_hour",
        "timezone_m" => "timezone_minute",
        _ => return None,
    })
}

/// The unit that `date_trunc` is given: those that only `extract` knows are none.
fn unit_named(given: &str) -> Option<&'static str> {
    const ONLY_EXTRACTED: [&str; 6] = ["dow", "isodow", "doy", "epoch", "isoyear", "julian"];
    canonical(given).filter(|it| !ONLY_EXTRACTED.contains(it))
}

fn unknown(field: &str, type_name: &str) -> SqlError {
    failure::invalid_parameter(format!("unit \"{field}\" not recognized for type {type_name}"))
}

fn unsupported(field: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{field}\" not supported for type {type_name}"),
    )
}

/// Fields of the time of day.
fn of_time(field: &str, time: i64) -> Option<Value> {
    let in_minute = time % US_PER_MINUTE;
    Some(match field {
        "microseconds" => Value::whole(in_minute),
        "milliseconds" => Value::scaled(in_minute, 3),
        "second" => Value::scaled(in_minute, 6),
        "minute" => Value::whole(time / US_PER_MINUTE % 60),
        "hour" => Value::whole(time / US_PER_HOUR),
        _ => return None,
    })
}

/// Centuries and millennia count from 1; there is no year 0.
fn era_number(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - year) / length) }
}

/// The year as shown: no year 0.
fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// Fields of a calendar day.
fn of_day(field: &str, day: i64) -> Option<Value> {
    let date = civil::date(day);
    Some(Value::whole(match field {
        "day" => date.day,
        "month" => date.month,
        "quarter" => (date.month - 1) / 3 + 1,
        "week" => civil::iso_week(day).1,
        "year" => shown_year(date.year),
        "isoyear" => shown_year(civil::iso_week(day).0),
        "decade" => date.year.div_euclid(10),
        "century" => era_number(date.year, 100),
        "millennium" => era_number(date.year, 1000),
        "dow" => civil::day_of_week(day),
        "isodow" => (civil::day_of_week(day) + 6) % 7 + 1,
        "doy" => civil::day_of_year(date),
        _ => return None,
    }))
}

/// The answer for an infinite value: fields that grow are infinite, cyclic ones NULL.
fn of_infinity(
    field: &str,
    positive: bool,
    type_name: &str,
    given: &str,
) -> Result<Option<&'static str>, SqlError> {
    Ok(match field {
        "year" | "decade" | "century" | "millennium" | "epoch" | "isoyear" | "julian" => {
            Some(if positive { "Infinity" } else { "-Infinity" })
        }
        "timezone" | "timezone_hour" | "timezone_minute"
            if type_name != "timestamp with time zone" =>
        {
            return Err(unsupported(given, type_name));
        }
        _ => None,
    })
}

/// What a field comes to.
enum Field {
    Value(Value),
    Infinite(&'static str),
    Null,
}

impl Field {
    fn numeric(self) -> Datum {
        match self {
            Self::Value(value) => value.numeric(),
            Self::Infinite(name) => text(name),
            Self::Null => Datum::Null,
        }
    }

    fn float(self) -> Datum {
        match self {
            Self::Value(value) => value.float(),
            Self::Infinite(name) => {
                float(if name.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
            }
            Self::Null => Datum::Null,
        }
    }
}

/// Julian day with the time as its fraction.
fn julian(day: i64, time: i64) -> Value {
    let whole = civil::julian_day(day);
    if time == 0 {
        return Value::whole(whole);
    }
    // Twenty digits, as the division of numerics gives them.
    let fraction = i128::from(time) * 10i128.pow(20) / i128::from(US_PER_DAY);
    Value { digits: i128::from(whole) * 10i128.pow(20) + fraction, scale: 20 }
}

fn of_timestamp(
    given: &str,
    us: i64,
    instant: Option<(i64, i32)>,
    type_name: &'static str,
) -> Result<Field, SqlError> {
    let field = canonical(given).ok_or_else(|| unknown(given, type_name))?;
    if is_infinite(us) {
        let infinite = of_infinity(field, us > 0, type_name, given)?;
        return Ok(infinite.map_or(Field::Null, Field::Infinite));
    }
    let (day, time) = split(us);
    let value = match (field, instant) {
        ("epoch", _) => {
            let base = instant.map_or(us, |(instant, _)| instant);
            Value { digits: i128::from(base) - i128::from(UNIX_EPOCH_US), scale: 6 }
        }
        ("julian", _) => julian(day, time),
        ("timezone", Some((_, offset))) => Value::whole(offset.into()),
        ("timezone_hour", Some((_, offset))) => Value::whole((offset / 3600).into()),
        ("timezone_minute", Some((_, offset))) => Value::whole((offset / 60 % 60).into()),
        _ => of_time(field, time)
            .or_else(|| of_day(field, day))
            .ok_or_else(|| unsupported(given, type_name))?,
    };
    Ok(Field::Value(value))
}

fn timestamp_field(call: &Call) -> Result<Field, SqlError> {
    of_timestamp(call.text(0)?, call.i64(1)?, None, "timestamp without time zone")
}

fn timestamptz_field(call: &Call) -> Result<Field, SqlError> {
    let instant = call.i64(1)?;
    let state = call.session.state();
    let offset =
        if is_infinite(instant) { 0 } else { zone::offset_at(&state.settings.time_zone, instant) };
    let local = zone::to_local(&state.settings.time_zone, instant);
    of_timestamp(call.text(0)?, local, Some((instant, offset)), "timestamp with time zone")
}

fn date_field(call: &Call) -> Result<Field, SqlError> {
    let (given, day) = (call.text(0)?, call.i64(1)?);
    let field = canonical(given).ok_or_else(|| unknown(given, "date"))?;
    if of_time(field, 0).is_some() || field.starts_with("timezone") {
        return Err(unsupported(given, "date"));
    }
    if day == i64::from(i32::MIN) || day == i64::from(i32::MAX) {
        let infinite = of_infinity(field, day > 0, "date", given)?;
        return Ok(infinite.map_or(Field::Null, Field::Infinite));
    }
    let value = match field {
        "epoch" => Value::whole((day - UNIX_EPOCH_DAY) * 86_400),
        "julian" => Value::whole(civil::julian_day(day)),
        _ => of_day(field, day).ok_or_else(|| unsupported(given, "date"))?,
    };
    Ok(Field::Value(value))
}

/// `date_part` of a date goes through `timestamp`.
fn date_part_of_date(call: &Call) -> Result<Field, SqlError> {
    let day = call.i64(1)?;
    let us = if day == i64::from(i32::MIN) {
        i64::MIN
    } else if day == i64::from(i32::MAX) {
        i64::MAX
    } else {
        timestamp(day, 0)?
    };
    of_timestamp(call.text(0)?, us, None, "timestamp without time zone")
}

fn time_field(call: &Call) -> Result<Field, SqlError> {
    let (given, time) = (call.text(0)?, call.i64(1)?);
    let name = "time without time zone";
    let field = canonical(given).ok_or_else(|| unknown(given, name))?;
    let value = match field {
        "epoch" => Value::scaled(time, 6),
        _ => of_time(field, time).ok_or_else(|| unsupported(given, name))?,
    };
    Ok(Field::Value(value))
}

fn timetz_field(call: &Call) -> Result<Field, SqlError> {
    let (given, (time, offset)) = (call.text(0)?, codec::timetz_parts(call.text(1)?)?);
    let name = "time with time zone";
    let field = canonical(given).ok_or_else(|| unknown(given, name))?;
    let value = match field {
        "epoch" => Value::scaled(time - i64::from(offset) * US_PER_SECOND, 6),
        "timezone" => Value::whole(offset.into()),
        "timezone_hour" => Value::whole((offset / 3600).into()),
        "timezone_minute" => Value::whole((offset / 60 % 60).into()),
        _ => of_time(field, time).ok_or_else(|| unsupported(given, name))?,
    };
    Ok(Field::Value(value))
}

fn interval_field(call: &Call) -> Result<Field, SqlError> {
    let (given, interval) = (call.text(0)?, call.interval(1)?);
    let field = canonical(given).ok_or_else(|| unknown(given, "interval"))?;
    let Interval { months, days, us } = interval;
    let (months, days) = (i64::from(months), i64::from(days));
    let in_minute = us % US_PER_MINUTE;
    let value = match field {
        "microseconds" => Value::whole(in_minute),
        "milliseconds" => Value::scaled(in_minute, 3),
        "second" => Value::scaled(in_minute, 6),
        "minute" => Value::whole(us / US_PER_MINUTE % 60),
        "hour" => Value::whole(us / US_PER_HOUR),
        "day" => Value::whole(days),
        "month" => Value::whole(months % 12),
        "quarter" => Value::whole(months % 12 / 3 + 1),
        "year" => Value::whole(months / 12),
        "decade" => Value::whole(months / 120),
        "century" => Value::whole(months / 1200),
        "millennium" => Value::whole(months / 12_000),
        "epoch" => {
            // A year counts 365.25 days, a month 30.
            let quarter_days = i128::from(months / 12) * 1461
                + i128::from(months % 12) * 120
                + i128::from(days) * 4;
            Value { digits: quarter_days * i128::from(US_PER_DAY / 4) + i128::from(us), scale: 6 }
        }
        _ => return Err(unsupported(given, "interval")),
    };
    Ok(Field::Value(value))
}

/// The first day of the period that `day` lies in; `None` for no calendar unit.
fn truncate_day(field: &str, day: i64) -> Option<i64> {
    let date = civil::date(day);
    let start_of_year = |year: i64| civil::day_number(year, 1, 1);
    // Eras of `length` years begin with a year that ends in 1.
    let era_start = |length: i64| {
        let year = date.year;
        if year > 0 {
            (year - 1) / length * length + 1
        } else {
            -((length - 1 - year) / length * length) + 1
        }
    };
    Some(match field {
        "day" => day,
        "week" => day - (civil::day_of_week(day) + 6) % 7,
        "month" => civil::day_number(date.year, date.month, 1),
        "quarter" => civil::day_number(date.year, (date.month - 1) / 3 * 3 + 1, 1),
        "year" => start_of_year(date.year),
        "decade" => start_of_year(date.year.div_euclid(10) * 10),
        "century" => start_of_year(era_start(100)),
        "millennium" => start_of_year(era_start(1000)),
        _ => return None,
    })
}

/// Microseconds of a unit below a day.
fn unit_us(field: &str) -> Option<i64> {
    Some(match field {
        "microseconds" => 1,
        "milliseconds" => 1000,
        "second" => US_PER_SECOND,
        "minute" => US_PER_MINUTE,
        "hour" => US_PER_HOUR,
        _ => return None,
    })
}

fn truncate(given: &str, us: i64, type_name: &str) -> Result<i64, SqlError> {
    let field = unit_named(given).ok_or_else(|| unknown(given, type_name))?;
    if is_infinite(us) {
        return Ok(us);
    }
    let (day, time) = split(us);
    if let Some(unit) = unit_us(field) {
        return Ok(us - time % unit);
    }
    let start = truncate_day(field, day).ok_or_else(|| unsupported(given, type_name))?;
    timestamp(start, 0)
}

fn truncate_timestamp(call: &Call) -> Answer {
    truncate(call.text(0)?, call.i64(1)?, "timestamp without time zone").map(Datum::Integer)
}

fn truncate_in_zone(call: &Call, zone: &zone::Zone) -> Answer {
    let (given, instant) = (call.text(0)?, call.i64(1)?);
    let name = "timestamp with time zone";
    if is_infinite(instant) {
        return truncate(given, instant, name).map(Datum::Integer);
    }
    let offset = i64::from(zone.offset_at(instant)) * US_PER_SECOND;
    let local = truncate(given, instant + offset, name)?;
    // Below a day the offset stays; from a day on it is that of the new local time.
    let below_day = canonical(given).and_then(unit_us).is_some();
    let offset =
        if below_day { offset } else { i64::from(zone.offset_at_local(local)) * US_PER_SECOND };
    Ok(Datum::Integer(local - offset))
}

fn truncate_timestamptz(call: &Call) -> Answer {
    let zone = zone::Zone::Named(call.session.state().settings.time_zone.clone());
    truncate_in_zone(call, &zone)
}

fn truncate_timestamptz_zone(call: &Call) -> Answer {
    let name = call.text(2)?;
    let zone = zone::find(name).ok_or_else(|| {
        failure::invalid_parameter(format!("time zone \"{name}\" not recognized"))
    })?;
    truncate_in_zone(call, &zone)
}

fn truncate_interval(call: &Call) -> Answer {
    let (given, interval) = (call.text(0)?, call.interval(1)?);
    let field = unit_named(given).ok_or_else(|| unknown(given, "interval"))?;
    let Interval { months, days, us } = interval;
    let whole = |unit: i32| Interval::new(months / unit * unit, 0, 0);
    let truncated = match field {
        "day" => Interval::new(months, days, 0),
        "month" => whole(1),
        "quarter" => whole(3),
        "year" => whole(12),
        "decade" => whole(120),
        "century" => whole(1200),
        "millennium" => whole(12_000),
        _ => {
            let unit = unit_us(field).ok_or_else(|| unsupported(given, "interval"))?;
            Interval::new(months, days, us / unit * unit)
        }
    };
    Ok(text(truncated.to_storage()))
}

fn bin(call: &Call) -> Answer {
    let (stride, source, origin) = (call.interval(0)?, call.i64(1)?, call.i64(2)?);
    if is_infinite(source) {
        return Ok(Datum::Integer(source));
    }
    if stride.months != 0 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    if is_infinite(origin) {
        return Err(failure::datetime_out_of_range("origin"));
    }
    let width =
        i64::from(stride.days).checked_mul(US_PER_DAY).and_then(|it| it.checked_add(stride.us));
    let width = width.ok_or_else(crate::types::interval::out_of_range)?;
    if width <= 0 {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "stride must be greater than zero",
        ));
    }
    let distance = source.checked_sub(origin).ok_or_else(crate::types::interval::out_of_range)?;
    let start = i128::from(origin) + i128::from(distance.div_euclid(width)) * i128::from(width);
    i64::try_from(start)
        .ok()
        .filter(|start| (TIMESTAMP_FIRST..TIMESTAMP_END).contains(start))
        .map(Datum::Integer)
        .ok_or_else(|| failure::datetime_out_of_range("timestamp"))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_extract_timestamp", |call| Ok(timestamp_field(call)?.numeric())),
    f("pg_extract_timestamptz", |call| Ok(timestamptz_field(call)?.numeric())).stable(),
    f("pg_extract_date", |call| Ok(date_field(call)?.numeric())),
    f("pg_extract_time", |call| Ok(time_field(call)?.numeric())),
    f("pg_extract_timetz", |call| Ok(timetz_field(call)?.numeric())),
    f("pg_extract_interval", |call| Ok(interval_field(call)?.numeric())),
    f("pg_timestamp_part", |call| Ok(timestamp_field(call)?.float())),
    f("pg_timestamptz_part", |call| Ok(timestamptz_field(call)?.float())).stable(),
    f("pg_date_part_1384", |call| Ok(date_part_of_date(call)?.float())),
    f("pg_time_part", |call| Ok(time_field(call)?.float())),
    f("pg_timetz_part", |call| Ok(timetz_field(call)?.float())),
    f("pg_interval_part", |call| Ok(interval_field(call)?.float())),
    f("pg_timestamp_trunc", truncate_timestamp),
    f("pg_timestamptz_trunc", truncate_timestamptz).stable(),
    f("pg_timestamptz_trunc_zone", truncate_timestamptz_zone).stable(),
    f("pg_interval_trunc", truncate_interval),
    f("pg_timestamp_bin", bin),
    f("pg_timestamptz_bin", bin),
];
