//! Operator classes of indexes: those that PostgreSQL has, and the types of the common ones.
//!
//! Indexes are SQLite's, so a class changes nothing but what a definition shows. A class of an extension that is not
//! in PostgreSQL itself is accepted where its name says so (`gin_trgm_ops`), as the extension's other objects are.
//!
//! Source: `pg_opclass` of PostgreSQL 15.

use crate::bind::resolve::Types;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The classes of each access method, without the `_ops` that all their names end in.
const CLASSES: [(&str, &str); 6] = [
    (
        "btree",
        "array bit bool bpchar bpchar_pattern bytea char cidr date enum float4 float8 inet int2 \
     int4 int8 interval jsonb macaddr macaddr8 money multirange name numeric oid oidvector \
     pg_lsn range record record_image text text_pattern tid time timestamp timestamptz timetz \
     tsquery tsvector uuid varbit varchar varchar_pattern xid8",
    ),
    (
        "hash",
        "aclitem array bool bpchar bpchar_pattern bytea char cid cidr date enum float4 float8 inet \
     int2 int4 int8 interval jsonb macaddr macaddr8 multirange name numeric oid oidvector \
     pg_lsn range record text text_pattern tid time timestamp timestamptz timetz uuid varchar \
     varchar_pattern xid xid8",
    ),
    ("gist", "box circle inet multirange point poly range tsquery tsvector"),
    ("gin", "array jsonb jsonb_path tsvector"),
    ("spgist", "box inet kd_point poly quad_point range text"),
    (
        "brin",
        "bit_minmax box_inclusion bpchar_bloom bpchar_minmax bytea_bloom bytea_minmax char_bloom \
     char_minmax date_bloom date_minmax date_minmax_multi float4_bloom float4_minmax \
     float4_minmax_multi float8_bloom float8_minmax float8_minmax_multi inet_bloom \
     inet_inclusion inet_minmax inet_minmax_multi int2_bloom int2_minmax int2_minmax_multi \
     int4_bloom int4_minmax int4_minmax_multi int8_bloom int8_minmax int8_minmax_multi \
     interval_bloom interval_minmax interval_minmax_multi macaddr8_bloom macaddr8_minmax \
     macaddr8_minmax_multi macaddr_bloom macaddr_minmax macaddr_minmax_multi name_bloom \
     name_minmax numeric_bloom numeric_minmax numeric_minmax_multi oid_bloom oid_minmax \
     oid_minmax_multi pg_lsn_bloom pg_lsn_minmax pg_lsn_minmax_multi range_inclusion text_bloom \
     text_minmax tid_bloom tid_minmax tid_minmax_multi time_bloom time_minmax time_minmax_multi \
     timestamp_bloom timestamp_minmax timestamp_minmax_multi timestamptz_bloom \
     timestamptz_minmax timestamptz_minmax_multi timetz_bloom timetz_minmax timetz_minmax_multi \
     uuid_bloom uuid_minmax uuid_minmax_multi varbit_minmax",
    ),
];

/// Classes of extensions.
const OF_EXTENSIONS: [&str; 3] = ["gin_trgm_ops", "gist_trgm_ops", "citext_ops"];

/// Requires an operator class to exist and to take the type of its key.
///
/// # Errors
/// 42704, 42804.
pub(super) fn check(
    types: Types<'_>,
    class: &str,
    method: &str,
    type_oid: Oid,
) -> Result<(), SqlError> {
    if OF_EXTENSIONS.contains(&class) {
        return Ok(());
    }
    let of_method = CLASSES.iter().find(|(name, _)| *name == method).map_or("", |(_, list)| list);
    let known =
        class.strip_suffix("_ops").is_some_and(|stem| of_method.split(' ').any(|it| it == stem));
    if !known {
        let message =
            format!("operator class \"{class}\" does not exist for access method \"{method}\"");
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    }
    if takes(class, types.base(type_oid)) {
        return Ok(());
    }
    let found = types.format(type_oid);
    let message = format!("operator class \"{class}\" does not accept data type {found}");
    Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
}

/// Whether a class takes a type, as far as is known.
fn takes(class: &str, base: Oid) -> bool {
    let only = match class {
        "bool_ops" => &[Oid::BOOL][..],
        "int2_ops" => &[Oid::INT2],
        "int4_ops" => &[Oid::INT4],
        "int8_ops" => &[Oid::INT8],
        "float4_ops" => &[Oid::FLOAT4],
        "float8_ops" => &[Oid::FLOAT8],
        "numeric_ops" => &[Oid::NUMERIC],
        "text_ops" | "text_pattern_ops" | "varchar_ops" | "varchar_pattern_ops" => {
            &[Oid::TEXT, Oid::VARCHAR]
        }
        "bpchar_ops" | "bpchar_pattern_ops" => &[Oid::BPCHAR],
        "date_ops" => &[Oid::DATE],
        "timestamp_ops" => &[Oid::TIMESTAMP],
        "timestamptz_ops" => &[Oid::TIMESTAMPTZ],
        "uuid_ops" => &[Oid::UUID],
        "jsonb_ops" | "jsonb_path_ops" => &[Oid::JSONB],
        _ => return true,
    };
    only.contains(&base)
}
