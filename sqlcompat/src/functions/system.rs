//! Functions about the session, the server and types; those that only the server can run go to its
//! [`SessionHost`](super::SessionHost).

use super::call::{boolean, count, integer, text};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::Array;
use crate::types::numeric::{Decimal, Numeric};
use crate::types::{ObjectClass, TypeNames, codec, failure, record};

type Answer = Result<Datum, SqlError>;

/// The version that clients are told: they switch features by it.
pub const VERSION: &str = "PostgreSQL 15.0 (Trellis)";

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

fn current_schemas(call: &Call) -> Answer {
    let mut names = call.session.state().search_path.clone();
    if call.bool(0)? {
        names.insert(0, "pg_catalog".to_owned());
    }
    Ok(text(Array::from_elements(names.into_iter().map(text).collect()).to_storage()))
}

fn type_of(call: &Call) -> Answer {
    // The value itself does not matter: its type comes behind it.
    Ok(Datum::Integer(call.i64(1)?))
}

/// `format_type(oid, typmod)`.
fn format_type(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let type_oid = call.oid(0)?;
    let typmod = if call.is_null(1) { -1 } else { call.i32(1)? };
    if type_oid == Oid(0) {
        return Ok(text("-"));
    }
    Ok(text(call.session.with_types(|cx| {
        let element = codec::element_type(type_oid, cx);
        let name = record::format_type(element.unwrap_or(type_oid), cx);
        let shown = with_typmod(element.unwrap_or(type_oid), name, typmod, !call.is_null(1));
        if element.is_some() { format!("{shown}[]") } else { shown }
    })))
}

/// Puts a type modifier into a type's name.
fn with_typmod(type_oid: Oid, name: String, typmod: i32, given: bool) -> String {
    if typmod < 0 {
        // `character` without a length would mean `character(1)`.
        return if type_oid == Oid::BPCHAR && given { "bpchar".to_owned() } else { name };
    }
    match type_oid {
        Oid::VARCHAR | Oid::BPCHAR => format!("{name}({})", typmod - 4),
        Oid::NUMERIC => match crate::types::numeric::precision_and_scale(typmod) {
            Some((precision, scale)) => format!("{name}({precision},{scale})"),
            None => name,
        },
        Oid::BIT | Oid::VARBIT => format!("{name}({typmod})"),
        Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => {
            let (first, rest) = name.split_once(' ').unwrap_or((&name, ""));
            format!("{first}({typmod}) {rest}").trim_end().to_owned()
        }
        Oid::INTERVAL => interval_name(typmod),
        _ => name,
    }
}

fn interval_name(typmod: i32) -> String {
    let fields = match (typmod >> 16) & 0x7fff {
        0x0004 => " year",
        0x0002 => " month",
        0x0008 => " day",
        0x0400 => " hour",
        0x0800 => " minute",
        0x1000 => " second",
        0x0006 => " year to month",
        0x0408 => " day to hour",
        0x0c08 => " day to minute",
        0x1c08 => " day to second",
        0x0c00 => " hour to minute",
        0x1c00 => " hour to second",
        0x1800 => " minute to second",
        _ => "",
    };
    let precision = typmod & 0xffff;
    if precision <= 6 {
        format!("interval{fields}({precision})")
    } else {
        format!("interval{fields}")
    }
}

/// `to_regclass` and its kin: NULL instead of an error.
fn to_object(call: &Call, class: ObjectClass) -> Answer {
    let name = call.text(0)?;
    let found = call.session.state().catalog.object_oid(class, name);
    Ok(found.map_or(Datum::Null, |oid| integer(oid.0)))
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

fn encoding_name(call: &Call) -> Answer {
    Ok(text(if call.i64(0)? == 6 { "UTF8" } else { "" }))
}

/// The number of NULLs, or of others, among the arguments of a VARIADIC "any".
fn count_nulls(call: &Call, nulls: bool) -> Answer {
    let width = call.len() / 2;
    Ok(count((0..width).filter(|index| call.is_null(*index) == nulls).count()))
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
    "pg_pg_database_size_name",
    "pg_pg_database_size_oid",
    "pg_pg_relation_size",
    "pg_pg_total_relation_size",
    "pg_pg_table_size",
    "pg_pg_indexes_size",
    "pg_pg_relation_size_2325",
    "pg_inet_client_addr",
    "pg_inet_client_port",
    "pg_inet_server_addr",
    "pg_inet_server_port",
    "pg_current_query",
    "pg_pg_sequence_last_value",
    "pg_pg_notification_queue_usage"
);

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable("pg_pgsql_version", |_| Ok(text(VERSION))),
    stable("pg_current_database", |call| Ok(text(call.session.state().database.clone()))),
    stable("pg_current_user", |call| Ok(text(call.session.state().user.clone()))),
    stable("pg_session_user", |call| Ok(text(call.session.state().session_user.clone()))),
    stable("pg_current_schema", |call| {
        Ok(call.session.state().search_path.first().map_or(Datum::Null, |name| text(name.clone())))
    }),
    stable("pg_current_schemas", current_schemas),
    stable("pg_pg_backend_pid", |call| Ok(integer(call.session.state().backend_pid))),
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
    ScalarFunction::lax("pg_pg_typeof", type_of).stable(),
    ScalarFunction::lax("pg_format_type", format_type).stable(),
    stable("pg_to_regclass", |call| to_object(call, ObjectClass::Relation)),
    stable("pg_to_regtype", |call| to_object(call, ObjectClass::Type)),
    stable("pg_to_regnamespace", |call| to_object(call, ObjectClass::Namespace)),
    stable("pg_to_regrole", |call| to_object(call, ObjectClass::Role)),
    stable("pg_to_regproc", |call| to_object(call, ObjectClass::Function)),
    stable("pg_text_regclass", text_to_regclass),
    volatile("pg_gen_random_uuid", gen_random_uuid),
    ScalarFunction::strict("pg_pg_size_pretty", size_pretty_call),
    ScalarFunction::strict("pg_pg_size_pretty_numeric", size_pretty_call),
    stable("pg_PG_encoding_to_char", encoding_name),
    stable("pg_getdatabaseencoding", |_| Ok(text("UTF8"))),
    stable("pg_pg_client_encoding", |_| Ok(text("UTF8"))),
    stable("pg_pg_is_in_recovery", |_| Ok(boolean(false))),
    stable("pg_pg_my_temp_schema", |_| Ok(integer(0))),
    stable("pg_pg_is_other_temp_schema", |_| Ok(boolean(false))),
    stable("pg_pg_trigger_depth", |_| Ok(integer(0))),
    stable("pg_pg_jit_available", |_| Ok(boolean(false))),
    stable("pg_txid_current", |call| ask(call, "pg_pg_current_xact_id")),
    ScalarFunction::lax("pg_pg_num_nulls", |call| count_nulls(call, true)),
    ScalarFunction::lax("pg_pg_num_nonnulls", |call| count_nulls(call, false)),
    stable("pg_pg_column_size", |call| {
        Ok(count(match call.datum(0) {
            crate::datum::DatumRef::Text(value) => value.len() + 1,
            crate::datum::DatumRef::Blob(value) => value.len() + 1,
            _ => 8,
        }))
    }),
    stable("pg_pg_get_userbyid", |call| {
        let oid = call.i64(0)?;
        Ok(text(if oid == 10 { "postgres".to_owned() } else { format!("unknown (OID={oid})") }))
    }),
    stable("pg_pg_char_to_encoding", |call| {
        Ok(integer(if call.text(0)?.eq_ignore_ascii_case("utf8") { 6 } else { -1 }))
    }),
    stable("pg_pg_size_bytes", size_bytes),
];

fn size_bytes(call: &Call) -> Answer {
    let given = call.text(0)?;
    let bad = |detail: &str| {
        failure::invalid_parameter(format!("invalid size: \"{given}\"")).with_detail(detail)
    };
    let trimmed = given.trim();
    let end = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let Ok(Numeric::Finite(number)) = Numeric::parse(number.trim()) else {
        return Err(bad("Invalid size."));
    };
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 1,
        "mb" => 2,
        "gb" => 3,
        "tb" => 4,
        "pb" => 5,
        _ => {
            return Err(bad(&format!("Invalid size unit: \"{unit}\".")).with_hint(
                "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".",
            ));
        }
    };
    let bytes = number.multiply(&Decimal::from_i64(1024i64.pow(power))).to_i64();
    bytes.map(Datum::Integer).ok_or_else(|| failure::out_of_range("bigint"))
}
