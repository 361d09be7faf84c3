//! Functions about the session, the server and types; those that only the server can run go to its
//! [`SessionHost`](super::SessionHost).

use super::call::{count, integer, text};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::numeric::{Decimal, Numeric};
use crate::types::{codec, failure};

type Answer = Result<Datum, SqlError>;

/// Answers what the host's `call` answers for the function of that name.
fn ask(call: &Call, name: &str) -> Answer {
    let arguments: Vec<Datum> = call.arguments.iter().map(|it| it.to_datum()).collect();
    call.session.with_host(|host| host.call(name, &arguments))
}

fn current_setting(call: &Call) -> Answer {
    let missing_ok = call.len() > 1 && call.bool(1)?;
    let name = call.text(0)?;
    let found = call.session.with_host(|host| host.current_setting(name, missing_ok))?;
    Ok(found.map_or(Datum::Null, text))
}

fn set_config(call: &Call) -> Answer {
    if call.is_null(0) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    }
    let value = if call.is_null(1) { "" } else { call.text(1)? };
    let local = !call.is_null(2) && call.bool(2)?;
    let name = call.text(0)?;
    Ok(text(call.session.with_host(|host| host.set_config(name, value, local))?))
}

fn sequence(call: &Call) -> Result<u32, SqlError> {
    Ok(call.oid(0)?.0)
}

fn setval(call: &Call) -> Answer {
    let (sequence, value) = (sequence(call)?, call.i64(1)?);
    let is_called = call.len() <= 2 || call.bool(2)?;
    call.session.with_host(|host| host.setval(sequence, value, is_called)).map(Datum::Integer)
}

fn notify(call: &Call) -> Answer {
    let channel = if call.is_null(0) { "" } else { call.text(0)? };
    let payload = if call.is_null(1) { "" } else { call.text(1)? };
    call.session.with_host(|host| host.notify(channel, payload))?;
    Ok(text(""))
}

fn sleep(call: &Call) -> Answer {
    let seconds = call.f64(0)?;
    call.session.with_host(|host| host.sleep(seconds))?;
    Ok(text(""))
}

fn sleep_for(call: &Call) -> Answer {
    let span = call.interval(0)?.span();
    #[expect(clippy::cast_precision_loss, reason = "a waiting time")]
    let seconds = span as f64 / 1e6;
    call.session.with_host(|host| host.sleep(seconds))?;
    Ok(text(""))
}

fn sleep_until(call: &Call) -> Answer {
    let moment = call.i64(0)?;
    call.session.with_host(|host| {
        #[expect(clippy::cast_precision_loss, reason = "a waiting time")]
        let seconds = moment.saturating_sub(host.clock_us()) as f64 / 1e6;
        host.sleep(seconds.max(0.0))
    })?;
    Ok(text(""))
}

fn type_of(call: &Call) -> Answer {
    // The value itself does not matter: its type comes behind it.
    Ok(Datum::Integer(call.i64(1)?))
}

fn text_to_regclass(call: &Call) -> Answer {
    let name = call.text(0)?;
    call.session.with_types(|cx| codec::decode_text(Oid::REGCLASS, -1, name, cx))
}

fn gen_random_uuid(call: &Call) -> Answer {
    let mut bytes = call.session.with_random(super::math_random::Generator::bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Ok(Datum::Blob(bytes.to_vec()))
}

/// `pg_size_pretty`: units grow by 1024 while the value is 10 of them or more.
fn size_pretty(size: &Decimal) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut value = size.clone();
    let ten_units = Decimal::from_i64(10 * 1024);
    let magnitude =
        |it: &Decimal| if it.compare(&Decimal::zero()).is_lt() { it.negate() } else { it.clone() };
    if magnitude(&value).compare(&ten_units).is_lt() {
        return format!("{value} bytes");
    }
    // Keep one bit more than shown, and round it away at the end.
    let halve = |it: &Decimal, divisor: i64| {
        it.divide_truncating(&Decimal::from_i64(divisor)).unwrap_or_else(Decimal::zero)
    };
    value = halve(&value.truncate(0), 512);
    let limit = Decimal::from_i64(20 * 1024 - 1);
    let mut unit = 1;
    while unit + 1 < UNITS.len() && magnitude(&value).compare(&limit).is_ge() {
        value = halve(&value, 1024);
        unit += 1;
    }
    let one = Decimal::from_i64(if value.compare(&Decimal::zero()).is_lt() { -1 } else { 1 });
    format!("{} {}", halve(&value.add(&one), 2), UNITS[unit])
}

fn size_pretty_call(call: &Call) -> Answer {
    match call.numeric_or_integer(0)? {
        Numeric::Finite(size) => Ok(text(size_pretty(&size))),
        special => Ok(text(format!("{special} bytes"))),
    }
}

impl Call<'_> {
    fn numeric_or_integer(&self, index: usize) -> Result<Numeric, SqlError> {
        match self.datum(index) {
            crate::datum::DatumRef::Integer(value) => Ok(Numeric::from(value)),
            _ => self.numeric(index),
        }
    }
}

/// The number of NULLs among the arguments of a VARIADIC "any".
fn count_nulls(call: &Call) -> Answer {
    let width = call.len() / 2;
    Ok(count((0..width).filter(|index| call.is_null(*index)).count()))
}

fn count_others(call: &Call) -> Answer {
    let width = call.len() / 2;
    Ok(count((0..width).filter(|index| !call.is_null(*index)).count()))
}

const fn stable(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body).stable()
}

const fn volatile(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body).volatile()
}

macro_rules! asked {
    ($($name:literal),* $(,)?) => {
        &[$(volatile($name, |call| ask(call, $name))),*]
    };
}

/// Functions that the server answers, each under its own name.
pub(super) const ASKED: &[ScalarFunction] = asked!(
    "pg_pg_advisory_lock_int8",
    "pg_pg_advisory_lock_int4",
    "pg_pg_advisory_lock_shared_int8",
    "pg_pg_advisory_lock_shared_int4",
    "pg_pg_try_advisory_lock_int8",
    "pg_pg_try_advisory_lock_int4",
    "pg_pg_try_advisory_lock_shared_int8",
    "pg_pg_try_advisory_lock_shared_int4",
    "pg_pg_advisory_unlock_int8",
    "pg_pg_advisory_unlock_int4",
    "pg_pg_advisory_unlock_shared_int8",
    "pg_pg_advisory_unlock_shared_int4",
    "pg_pg_advisory_unlock_all",
    "pg_pg_advisory_xact_lock_int8",
    "pg_pg_advisory_xact_lock_int4",
    "pg_pg_advisory_xact_lock_shared_int8",
    "pg_pg_advisory_xact_lock_shared_int4",
    "pg_pg_try_advisory_xact_lock_int8",
    "pg_pg_try_advisory_xact_lock_int4",
    "pg_pg_try_advisory_xact_lock_shared_int8",
    "pg_pg_try_advisory_xact_lock_shared_int4",
    "pg_pg_cancel_backend",
    "pg_pg_terminate_backend",
    "pg_pg_reload_conf",
    "pg_pg_blocking_pids",
    "pg_pg_postmaster_start_time",
    "pg_pg_conf_load_time",
    "pg_pg_current_xact_id",
    "pg_pg_current_xact_id_if_assigned",
    "pg_pg_current_snapshot",
    "pg_inet_client_addr",
    "pg_inet_client_port",
    "pg_inet_server_addr",
    "pg_inet_server_port",
    "pg_current_query",
    "pg_pg_notification_queue_usage"
);

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable("pg_show_config_by_name", current_setting),
    stable("pg_show_config_by_name_missing_ok", current_setting),
    ScalarFunction::lax("pg_set_config_by_name", set_config).volatile(),
    volatile("pg_nextval_oid", |call| {
        let sequence = sequence(call)?;
        call.session.with_host(|host| host.nextval(sequence)).map(Datum::Integer)
    }),
    volatile("pg_currval_oid", |call| {
        let sequence = sequence(call)?;
        call.session.with_host(|host| host.currval(sequence)).map(Datum::Integer)
    }),
    volatile("pg_setval_oid", setval),
    volatile("pg_setval3_oid", setval),
    volatile("pg_lastval", |call| {
        call.session.with_host(|host| host.lastval()).map(Datum::Integer)
    }),
    ScalarFunction::lax("pg_pg_notify", notify).volatile(),
    volatile("pg_pg_sleep", sleep),
    volatile("pg_pg_sleep_for_3935", sleep_for),
    volatile("pg_pg_sleep_until_3936", sleep_until),
    ScalarFunction::lax("pg_pg_typeof", type_of).stable(),
    stable("pg_text_regclass", text_to_regclass),
    volatile("pg_gen_random_uuid", gen_random_uuid),
    ScalarFunction::strict("pg_pg_size_pretty", size_pretty_call),
    ScalarFunction::strict("pg_pg_size_pretty_numeric", size_pretty_call),
    stable("pg_pg_trigger_depth", |_| Ok(integer(0))),
    stable("pg_txid_current", |call| ask(call, "pg_pg_current_xact_id")),
    ScalarFunction::lax("pg_pg_num_nulls", |call| call.spread(0, count_nulls)),
    ScalarFunction::lax("pg_pg_num_nonnulls", |call| call.spread(0, count_others)),
    stable("pg_pg_column_size", |call| {
        Ok(count(match call.datum(0) {
            crate::datum::DatumRef::Text(value) => value.len() + 1,
            crate::datum::DatumRef::Blob(value) => value.len() + 1,
            _ => 8,
        }))
    }),
    stable("pg_pg_char_to_encoding", |call| {
        Ok(integer(if call.text(0)?.eq_ignore_ascii_case("utf8") { 6 } else { -1 }))
    }),
    stable("pg_pg_size_bytes", size_bytes),
];

/// Bytes of the exponent that a text begins with.
fn exponent_length(text: &str) -> usize {
    let Some(digits) = text.strip_prefix(['e', 'E']) else { return 0 };
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let count = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 { 0 } else { text.len() - unsigned.len() + count }
}

fn size_bytes(call: &Call) -> Answer {
    let given = call.text(0)?;
    let bad = || failure::invalid_parameter(format!("invalid size: \"{given}\""));
    let trimmed = given.trim();
    let letter = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let end = letter + exponent_length(trimmed.get(letter..).unwrap_or_default());
    let (number, unit) = trimmed.split_at(end);
    let unit = unit.trim_start();
    if !number.contains(|c: char| c.is_ascii_digit()) {
        return Err(bad());
    }
    let number = match Numeric::parse(number.trim()) {
        Ok(Numeric::Finite(number)) => number,
        Err(error) if error.state == SqlState::NUMERIC_VALUE_OUT_OF_RANGE => {
            return Err(error);
        }
        _ => return Err(bad()),
    };
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "bytes" => 0,
        "kb" => 1,
        "mb" => 2,
        "gb" => 3,
        "tb" => 4,
        "pb" => 5,
        _ => {
            let hint = "Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".";
            let detail = format!("Invalid size unit: \"{unit}\".");
            return Err(bad().with_detail(detail).with_hint(hint));
        }
    };
    let bytes = number.multiply(&Decimal::from_i64(1024i64.pow(power))).to_i64();
    bytes.map(Datum::Integer).ok_or_else(|| failure::out_of_range("bigint"))
}
