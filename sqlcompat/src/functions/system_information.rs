//! About the server and the session: `version`, `current_database`, encodings, sizes,
//! properties of indexes.
//!
//! What only the server knows is asked of it ([`SessionHost::call`](super::SessionHost::call)), by the function's SQLite
//! name. Sizes and counters that it does not keep are NULL and 0.

use super::call::boolean;
use super::system_visibility::{oid_datum, relation_argument};
use super::{Call, ScalarFunction};
use crate::bind::relation_events;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::schema::Relation;

/// The functions of this file.
pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_pgsql_version", version).stable(),
    ScalarFunction::lax("pg_current_database", |call| {
        Ok(Datum::Text(call.session.state().database.clone()))
    })
    .stable(),
    ScalarFunction::lax("pg_current_user", |call| {
        Ok(Datum::Text(call.session.state().user.clone()))
    })
    .stable(),
    ScalarFunction::lax("pg_session_user", |call| {
        Ok(Datum::Text(call.session.state().session_user.clone()))
    })
    .stable(),
    ScalarFunction::lax("pg_pg_backend_pid", |call| {
        Ok(Datum::Integer(i64::from(call.session.state().backend_pid)))
    })
    .stable(),
    ScalarFunction::lax("pg_getdatabaseencoding", |_| Ok(Datum::Text("UTF8".to_owned()))).stable(),
    ScalarFunction::lax("pg_pg_client_encoding", |_| Ok(Datum::Text("UTF8".to_owned()))).stable(),
    ScalarFunction::strict("pg_PG_encoding_to_char", encoding_to_char).stable(),
    ScalarFunction::strict("pg_PG_char_to_encoding", char_to_encoding).stable(),
    ScalarFunction::lax("pg_pg_is_in_recovery", |_| Ok(boolean(false))).volatile(),
    ScalarFunction::lax("pg_pg_jit_available", |_| Ok(boolean(false))).volatile(),
    ScalarFunction::strict("pg_pg_tablespace_location", |_| Ok(Datum::Text(String::new())))
        .stable(),
    ScalarFunction::strict("pg_pg_collation_actual_version", |_| Ok(Datum::Null)).volatile(),
    ScalarFunction::strict("pg_pg_database_collation_actual_version", |_| Ok(Datum::Null))
        .volatile(),
    ScalarFunction::strict("pg_pg_relation_is_publishable", |_| Ok(boolean(false))).stable(),
    ScalarFunction::strict("pg_pg_relation_is_updatable", relation_is_updatable).stable(),
    ScalarFunction::strict("pg_pg_column_is_updatable", column_is_updatable).stable(),
    ScalarFunction::strict("pg_pg_relation_filenode", relation_filenode).stable(),
    ScalarFunction::strict("pg_pg_relation_size", |call| from_server(call, "pg_pg_relation_size"))
        .volatile(),
    ScalarFunction::strict("pg_pg_relation_size_2325", |call| {
        from_server(call, "pg_pg_relation_size")
    })
    .volatile(),
    ScalarFunction::strict("pg_pg_table_size", |call| from_server(call, "pg_pg_table_size"))
        .volatile(),
    ScalarFunction::strict("pg_pg_indexes_size", |call| from_server(call, "pg_pg_indexes_size"))
        .volatile(),
    ScalarFunction::strict("pg_pg_total_relation_size", |call| {
        from_server(call, "pg_pg_total_relation_size")
    })
    .volatile(),
    ScalarFunction::strict("pg_pg_database_size_name", |call| {
        from_server(call, "pg_pg_database_size")
    })
    .volatile(),
    ScalarFunction::strict("pg_pg_database_size_oid", |call| {
        from_server(call, "pg_pg_database_size")
    })
    .volatile(),
    ScalarFunction::strict("pg_pg_sequence_last_value", |call| {
        from_server(call, "pg_pg_sequence_last_value")
    })
    .volatile(),
    ScalarFunction::strict("pg_pg_stat_get_live_tuples", |call| {
        counter(call, "pg_pg_stat_get_live_tuples")
    })
    .stable(),
    ScalarFunction::strict("pg_pg_stat_get_numscans", |call| {
        counter(call, "pg_pg_stat_get_numscans")
    })
    .stable(),
    ScalarFunction::strict("pg_pg_index_column_has_property", index_column_property).stable(),
];

/// Other names of encodings, without marks.
const ENCODING_ALIASES: &[(&str, &str)] = &[
    ("abc", "WIN1258"),
    ("alt", "WIN866"),
    ("euccn", "EUC_CN"),
    ("eucjis2004", "EUC_JIS_2004"),
    ("eucjp", "EUC_JP"),
    ("euckr", "EUC_KR"),
    ("euctw", "EUC_TW"),
    ("iso88591", "LATIN1"),
    ("iso885910", "LATIN6"),
    ("iso885913", "LATIN7"),
    ("iso885914", "LATIN8"),
    ("iso885915", "LATIN9"),
    ("iso885916", "LATIN10"),
    ("iso88592", "LATIN2"),
    ("iso88593", "LATIN3"),
    ("iso88594", "LATIN4"),
    ("iso88599", "LATIN5"),
    ("koi8", "KOI8R"),
    ("mskanji", "SJIS"),
    ("shiftjis", "SJIS"),
    ("shiftjis2004", "SHIFT_JIS_2004"),
    ("tcvn", "WIN1258"),
    ("tcvn5712", "WIN1258"),
    ("unicode", "UTF8"),
    ("vscii", "WIN1258"),
    ("win", "WIN1251"),
    ("win932", "SJIS"),
    ("win936", "GBK"),
    ("win949", "UHC"),
    ("win950", "BIG5"),
    ("windows1250", "WIN1250"),
    ("windows1251", "WIN1251"),
    ("windows1252", "WIN1252"),
    ("windows1253", "WIN1253"),
    ("windows1254", "WIN1254"),
    ("windows1255", "WIN1255"),
    ("windows1256", "WIN1256"),
    ("windows1257", "WIN1257"),
    ("windows1258", "WIN1258"),
    ("windows866", "WIN866"),
    ("windows874", "WIN874"),
    ("windows932", "SJIS"),
    ("windows936", "GBK"),
    ("windows949", "UHC"),
    ("windows950", "BIG5"),
];

/// Encodings by their number.
const ENCODINGS: [&str; 42] = [
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

/// `PostgreSQL`, the version that the settings report, and what it is a version of.
fn version(call: &Call) -> Result<Datum, SqlError> {
    let reported = call.session.with_host(|host| host.current_setting("server_version", true));
    let reported = reported.ok().flatten().unwrap_or_else(|| "15.18".to_owned());
    let number = reported.split(' ').next().unwrap_or_default();
    Ok(Datum::Text(format!(
        "PostgreSQL {number} (Trellis {}) on {}-{}, 64-bit",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )))
}

fn encoding_to_char(call: &Call) -> Result<Datum, SqlError> {
    let name = usize::try_from(call.i64(0)?).ok().and_then(encoding_at);
    Ok(Datum::Text(name.unwrap_or_default().to_owned()))
}

/// The encoding of that number.
pub(super) fn encoding_at(number: usize) -> Option<&'static str> {
    ENCODINGS.get(number).copied()
}

/// The encoding that a name means: case and marks in it do not matter, and most have several.
pub(super) fn encoding_named(name: &str) -> Option<&'static str> {
    let plain = |name: &str| {
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let wanted = plain(name);
    let alias = ENCODING_ALIASES.iter().find(|(alias, _)| *alias == wanted);
    let wanted = alias.map_or(wanted, |(_, name)| plain(name));
    ENCODINGS.iter().find(|name| plain(name) == wanted).copied()
}

/// Whether PostgreSQL knows an encoding of this name.
pub(crate) fn is_encoding(name: &str) -> bool {
    encoding_named(name).is_some()
}

fn char_to_encoding(call: &Call) -> Result<Datum, SqlError> {
    let named = encoding_named(call.text(0)?);
    let found = ENCODINGS.iter().zip(0_i64..).find(|(name, _)| Some(**name) == named);
    Ok(Datum::Integer(found.map_or(-1, |(_, number)| number)))
}

/// What the server answers; NULL if it does not keep that figure.
fn from_server(call: &Call, function: &str) -> Result<Datum, SqlError> {
    let arguments: Vec<Datum> = call.arguments.iter().map(|it| it.to_datum()).collect();
    match call.session.with_host(|host| host.call(function, &arguments)) {
        Err(error) if error.state == SqlState::FEATURE_NOT_SUPPORTED => Ok(Datum::Null),
        answer => answer,
    }
}

/// The same for counters, which start at 0.
fn counter(call: &Call, function: &str) -> Result<Datum, SqlError> {
    from_server(call, function).map(|it| if it == Datum::Null { Datum::Integer(0) } else { it })
}

/// The events that a relation takes, as a mask: 4 UPDATE, 8 INSERT, 16 DELETE.
fn relation_is_updatable(call: &Call) -> Result<Datum, SqlError> {
    events(call, None).map(Datum::Integer)
}

/// Whether a column of a relation takes UPDATE.
fn column_is_updatable(call: &Call) -> Result<Datum, SqlError> {
    const BOTH: i64 = 4 | 16;
    let attnum = i16::try_from(call.i64(1)?).unwrap_or(0);
    if attnum <= 0 {
        return Ok(boolean(false));
    }
    events(call, Some(&[attnum])).map(|events| boolean(events & BOTH == BOTH))
}

fn events(call: &Call, columns: Option<&[i16]>) -> Result<i64, SqlError> {
    let Some(oid) = relation_argument(call, 0)? else { return Ok(0) };
    let state = call.session.state();
    // A view that cannot be bound is not updatable.
    Ok(relation_events(oid, columns, &state.bind_context()).unwrap_or(0))
}

fn relation_filenode(call: &Call) -> Result<Datum, SqlError> {
    let Some(oid) = relation_argument(call, 0)? else { return Ok(Datum::Null) };
    let state = call.session.state();
    Ok(match state.catalog.relation_by_oid(oid) {
        Some(Relation::Table(_) | Relation::Sequence(_) | Relation::Index(..)) => oid_datum(oid),
        Some(Relation::View(it)) if it.materialized_in.is_some() => oid_datum(oid),
        Some(Relation::View(_)) | None => Datum::Null,
    })
}

/// A property of an index's column; NULL for what is not known of it.
fn index_column_property(call: &Call) -> Result<Datum, SqlError> {
    let state = call.session.state();
    let Some(Relation::Index(table, oid)) = state.catalog.relation_by_oid(call.oid(0)?) else {
        return Ok(Datum::Null);
    };
    let position = usize::try_from(call.i32(1)? - 1).unwrap_or(usize::MAX);
    let (descending, nulls_first) = match table.index(oid) {
        Some(index) => match index.keys.get(position) {
            Some(key) => (key.descending, key.nulls_first),
            None => return Ok(Datum::Null),
        },
        None => (false, false),
    };
    Ok(match call.text(2)?.to_ascii_lowercase().as_str() {
        "asc" => boolean(!descending),
        "desc" => boolean(descending),
        "nulls_first" => boolean(nulls_first),
        "nulls_last" => boolean(!nulls_first),
        "orderable" | "returnable" | "search_array" | "search_nulls" => boolean(true),
        "distance_orderable" => boolean(false),
        _ => Datum::Null,
    })
}
