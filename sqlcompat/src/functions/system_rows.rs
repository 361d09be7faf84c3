//! Set-returning functions over the catalog and over what the program knows: `pg_get_keywords`, `pg_timezone_names`,
//! `pg_options_to_table`, `information_schema._pg_expandarray`, `pg_partition_ancestors`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Call, Rows, SetReturningFunction};
use crate::builtin::{self, KeywordCategory};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::call::boolean;
use crate::types::datetime::abbreviation::{self, Meaning};

/// Seconds from 1970-01-01 to 2000-01-01.
const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;

/// The functions of this file.
pub(crate) const FUNCTIONS: &[SetReturningFunction] = &[
    SetReturningFunction {
        name: "pg_srf_pg_get_keywords",
        columns: 5,
        strict: true,
        body: keywords,
    },
    SetReturningFunction {
        name: "pg_srf_pg_timezone_names",
        columns: 4,
        strict: true,
        body: time_zones,
    },
    SetReturningFunction {
        name: "pg_srf_pg_timezone_abbrevs",
        columns: 3,
        strict: true,
        body: zone_abbreviations,
    },
    SetReturningFunction {
        name: "pg_srf_pg_options_to_table",
        columns: 2,
        strict: true,
        body: options,
    },
    SetReturningFunction {
        name: "pg_srf__pg_expandarray_13208",
        columns: 2,
        strict: true,
        body: expanded_array,
    },
    // No table is partitioned, and what is no partition has no ancestors.
    SetReturningFunction {
        name: "pg_srf_pg_partition_ancestors",
        columns: 1,
        strict: true,
        body: |_| Ok(Box::new(std::iter::empty())),
    },
];

fn text(value: &str) -> Datum {
    Datum::Text(value.to_owned())
}

fn keywords(_: &Call) -> Result<Rows, SqlError> {
    Ok(Box::new(builtin::keywords().iter().map(|it| {
        let (code, description) = match it.category {
            KeywordCategory::Unreserved => ("U", "unreserved"),
            KeywordCategory::ColumnName => ("C", "unreserved (cannot be function or type name)"),
            KeywordCategory::TypeOrFunctionName => ("T", "reserved (can be function or type name)"),
            KeywordCategory::Reserved => ("R", "reserved"),
        };
        let bare = if it.bare_label { "can be bare label" } else { "requires AS" };
        Ok(vec![text(it.word), text(code), boolean(it.bare_label), text(description), text(bare)])
    })))
}

/// Time zones with what holds in each at the time of the transaction.
fn time_zones(call: &Call) -> Result<Rows, SqlError> {
    let now_us = call.session.state().transaction_us;
    let seconds = now_us.div_euclid(1_000_000).saturating_add(POSTGRES_EPOCH_SECONDS);
    let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let names: Vec<String> = jiff::tz::db().available().map(|it| it.to_string()).collect();
    Ok(Box::new(names.into_iter().filter_map(move |name| {
        let zone = TimeZone::get(&name).ok()?;
        let info = zone.to_offset_info(now);
        let offset_us = i64::from(info.offset().seconds()) * 1_000_000;
        Some(Ok(vec![
            Datum::Text(name),
            text(info.abbreviation()),
            Datum::Text(format!("0 0 {offset_us}")),
            boolean(info.dst().is_dst()),
        ]))
    })))
}

/// Abbreviations of time zones with what each stands for at the time of the transaction.
fn zone_abbreviations(call: &Call) -> Result<Rows, SqlError> {
    let now_us = call.session.state().transaction_us;
    let seconds = now_us.div_euclid(1_000_000).saturating_add(POSTGRES_EPOCH_SECONDS);
    let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Box::new(abbreviation::ABBREVIATIONS.iter().filter_map(move |(name, meaning)| {
        let (offset, is_daylight) = match meaning {
            Meaning::Offset(seconds, is_daylight) => (*seconds, *is_daylight),
            Meaning::Zone(zone) => {
                let zone = TimeZone::get(zone).ok()?;
                let info = zone.to_offset_info(now);
                let present = (info.offset(), info.dst().is_dst());
                let (offset, is_daylight) =
                    abbreviation::use_in(&zone, name, now).unwrap_or(present);
                (offset.seconds(), is_daylight)
            }
        };
        let offset_us = i64::from(offset) * 1_000_000;
        Some(Ok(vec![
            Datum::Text(name.to_uppercase()),
            Datum::Text(format!("0 0 {offset_us}")),
            boolean(is_daylight),
        ]))
    })))
}

fn array(call: &Call) -> Result<Vec<serde_json::Value>, SqlError> {
    serde_json::from_str(call.text(0)?).map_err(|error| {
        SqlError::new(SqlState::INTERNAL_ERROR, format!("array is not stored as one: {error}"))
    })
}

/// `{name=value,…}` as rows; an option without a value has NULL.
fn options(call: &Call) -> Result<Rows, SqlError> {
    Ok(Box::new(array(call)?.into_iter().map(|it| {
        let option = it.as_str().unwrap_or_default().to_owned();
        Ok(match option.split_once('=') {
            Some((name, value)) => vec![text(name), text(value)],
            None => vec![Datum::Text(option), Datum::Null],
        })
    })))
}

/// The elements of an array with their positions from 1.
fn expanded_array(call: &Call) -> Result<Rows, SqlError> {
    Ok(Box::new(array(call)?.into_iter().zip(1_i64..).map(|(it, position)| {
        let element = match it {
            serde_json::Value::Null => Datum::Null,
            serde_json::Value::String(it) => Datum::Text(it),
            other => match (other.as_i64(), other.as_f64()) {
                (Some(it), _) => Datum::Integer(it),
                (None, Some(it)) => Datum::Real(it),
                (None, None) => Datum::Text(other.to_string()),
            },
        };
        Ok(vec![element, Datum::Integer(position)])
    })))
}
