//! The entry points: one `match` from type OID to the functions of each type, for each direction and format.
//!
//! [`encoder`] makes the choice once per result column, so that the common types pay one indirect call per value.

use super::array::{Array, storage_class};
pub use super::datetime::binary::{timetz_parts, timetz_text};
use super::datetime::{binary, format, parse};
use super::family::Family;
use super::interval::{self, Interval};
use super::json::{self, Json};
use super::jsonpath::JsonPath;
use super::numeric::{self, Numeric};
use super::object_name::{self, object_class};
use super::{TypeContext, TypeShape, failure, float, record, scalar, wide_number};
use crate::builtin;
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Appends one non-NULL value's text or binary form.
pub type Encoder = fn(Oid, DatumRef<'_>, &TypeContext, &mut Vec<u8>) -> Result<(), SqlError>;

/// Element type of an array type, built in or the user's; none for `int2vector` and `oidvector`.
#[must_use]
pub fn element_type(type_oid: Oid, cx: &TypeContext) -> Option<Oid> {
    if let Some(row) = builtin::type_by_oid(type_oid) {
        let vector = type_oid == Oid::INT2VECTOR || type_oid == Oid::OIDVECTOR;
        return (row.true_array && !vector).then_some(row.element);
    }
    match cx.names.shape(type_oid)? {
        TypeShape::Array(element) => Some(element),
        TypeShape::Domain(base, _) => element_type(base, cx),
        TypeShape::Enum
        | TypeShape::Composite(_)
        | TypeShape::Range(_)
        | TypeShape::Multirange(_) => None,
    }
}

/// The type under any domains, with the type modifier that the domains impose.
#[must_use]
pub fn base_type(type_oid: Oid, typmod: i32, cx: &TypeContext) -> (Oid, i32) {
    if !type_oid.is_user() {
        return (type_oid, typmod);
    }
    match cx.names.shape(type_oid) {
        Some(TypeShape::Domain(base, base_typmod)) => {
            base_type(base, if typmod < 0 { base_typmod } else { typmod }, cx)
        }
        _ => (type_oid, typmod),
    }
}

/// The name of a type as error messages show it.
#[must_use]
pub fn type_name(type_oid: Oid, cx: &TypeContext) -> String {
    builtin::sql_type_name(type_oid)
        .map(str::to_owned)
        .or_else(|| builtin::type_by_oid(type_oid).map(|row| row.name.to_owned()))
        .or_else(|| cx.names.type_name(type_oid))
        .unwrap_or_else(|| "???".to_owned())
}

fn unsupported_type(type_oid: Oid, cx: &TypeContext) -> SqlError {
    SqlError::unsupported(format!("type {}", type_name(type_oid, cx)))
}

/// Reads a value's text form: PostgreSQL's input function, type modifier included.
///
/// # Errors
/// What the input function raises: 22P02, 22003, 22001, 22007, 22008 and others.
pub fn decode_text(
    type_oid: Oid,
    typmod: i32,
    text: &str,
    cx: &TypeContext,
) -> Result<Datum, SqlError> {
    Ok(match type_oid {
        Oid::TEXT
        | Oid::UNKNOWN
        | Oid::CSTRING
        | Oid::REFCURSOR
        | Oid::PG_NODE_TREE
        | Oid::ACLITEM => Datum::Text(text.to_owned()),
        Oid::VARCHAR => scalar::parse_varchar(text, typmod)?,
        Oid::BPCHAR => scalar::parse_bpchar(text, typmod)?,
        Oid::NAME => Datum::Text(scalar::clip_bytes(text, scalar::NAME_BYTES_MAX).to_owned()),
        Oid::CHAR => scalar::parse_char(text),
        Oid::BOOL => scalar::parse_bool(text)?,
        Oid::INT2 => integer_text(text, "smallint", i16::MIN.into(), i16::MAX.into())?,
        Oid::INT4 => integer_text(text, "integer", i32::MIN.into(), i32::MAX.into())?,
        Oid::INT8 => integer_text(text, "bigint", i64::MIN, i64::MAX)?,
        Oid::OID => Datum::Integer(scalar::parse_oid(text, "oid")?),
        Oid::XID | Oid::CID => Datum::Integer(wide_number::parse_xid(text)),
        Oid::FLOAT4 => real(float::parse_f32(text)?),
        Oid::FLOAT8 => real(float::parse_f64(text)?),
        Oid::NUMERIC => Datum::Text(Numeric::parse(text)?.apply_typmod(typmod)?.to_string()),
        Oid::BYTEA => Datum::Blob(scalar::parse_bytea(text)?),
        Oid::UUID => Datum::Blob(scalar::parse_uuid(text)?.to_vec()),
        Oid::DATE => Datum::Integer(parse::date(text, cx)?),
        Oid::TIME => Datum::Integer(parse::time(text, typmod, cx)?),
        Oid::TIMETZ => Datum::Text(timetz_text(parse::timetz(text, typmod, cx)?)),
        Oid::TIMESTAMP => Datum::Integer(parse::timestamp(text, typmod, cx)?),
        Oid::TIMESTAMPTZ => Datum::Integer(parse::timestamptz(text, typmod, cx)?),
        Oid::INTERVAL => {
            Datum::Text(interval::parse(text, typmod, cx.settings.interval_style)?.to_storage())
        }
        Oid::JSON => {
            Json::check(text)?;
            Datum::Text(text.to_owned())
        }
        Oid::JSONB => Datum::Text(json::parse_jsonb(text)?),
        Oid::JSONPATH => Datum::Text(JsonPath::parse(text)?.to_string()),
        Oid::VOID => Datum::Text(String::new()),
        Oid::INT2VECTOR | Oid::OIDVECTOR => vector_from_text(text, type_oid)?,
        Oid::RECORD => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "input of anonymous composite types is not implemented",
            ));
        }
        other => return decode_text_other(other, typmod, text, cx),
    })
}

/// The types that need a look into the catalog: reg*, arrays, and the user's.
fn decode_text_other(
    type_oid: Oid,
    typmod: i32,
    text: &str,
    cx: &TypeContext,
) -> Result<Datum, SqlError> {
    if let Some(class) = object_class(type_oid) {
        return object_name::parse(class, text, cx).map(Datum::Integer);
    }
    let (base, base_typmod) = base_type(type_oid, typmod, cx);
    if base != type_oid {
        return decode_text(base, base_typmod, text, cx);
    }
    if let Some(family) = Family::named(type_oid, cx) {
        return family.decode_text(text, typmod, cx);
    }
    if let Some(element) = element_type(type_oid, cx) {
        return Ok(Datum::Text(Array::parse(text, element, typmod, cx)?.to_storage()));
    }
    match cx.names.shape(type_oid) {
        Some(TypeShape::Enum) => stored_label(type_oid, text, cx).map(Datum::Text),
        Some(TypeShape::Composite(fields)) => record::parse(text, &fields, cx).map(Datum::Text),
        _ => Err(unsupported_type(type_oid, cx)),
    }
}

fn stored_label(type_oid: Oid, label: &str, cx: &TypeContext) -> Result<String, SqlError> {
    if let Some(stored) = cx.names.enum_stored(type_oid, label) {
        return Ok(stored);
    }
    Err(SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input value for enum {}: \"{label}\"", type_name(type_oid, cx)),
    ))
}

fn integer_text(text: &str, type_name: &str, min: i64, max: i64) -> Result<Datum, SqlError> {
    scalar::parse_integer(text, type_name, min, max).map(Datum::Integer)
}

/// The storage form of a float.
#[must_use]
pub fn real(value: f64) -> Datum {
    if value.is_nan() { Datum::Text("NaN".to_owned()) } else { Datum::Real(value) }
}

/// Reads an `int2vector` or `oidvector`: integers with blanks between, stored as a JSON array.
fn vector_from_text(text: &str, type_oid: Oid) -> Result<Datum, SqlError> {
    let numbers = text.split_ascii_whitespace().map(|word| match type_oid {
        Oid::OIDVECTOR => scalar::parse_oid(word, "oid"),
        _ => scalar::parse_integer(word, "smallint", i16::MIN.into(), i16::MAX.into()),
    });
    let items: Vec<Datum> = numbers.map(|it| it.map(Datum::Integer)).collect::<Result<_, _>>()?;
    Ok(Datum::Text(Array::from_elements(items).to_storage()))
}

/// A value of exactly `N` bytes.
pub(crate) fn fixed<const N: usize>(bytes: &[u8], type_name: &str) -> Result<[u8; N], SqlError> {
    bytes.try_into().ok().ok_or_else(|| failure::invalid_binary(type_name))
}

fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\"",
        )
    })
}

/// Reads a value's binary form: PostgreSQL's receive function.
///
/// # Errors
/// 22P03 for a wrong length or content, 22021 for text that is not UTF-8, and what the input function raises.
pub fn decode_binary(
    type_oid: Oid,
    typmod: i32,
    bytes: &[u8],
    cx: &TypeContext,
) -> Result<Datum, SqlError> {
    Ok(match type_oid {
        Oid::BOOL => {
            let [byte] = fixed(bytes, "boolean")?;
            Datum::Integer(i64::from(byte != 0))
        }
        Oid::INT2 => Datum::Integer(i16::from_be_bytes(fixed(bytes, "smallint")?).into()),
        Oid::INT4 => Datum::Integer(i32::from_be_bytes(fixed(bytes, "integer")?).into()),
        Oid::INT8 => Datum::Integer(i64::from_be_bytes(fixed(bytes, "bigint")?)),
        Oid::OID | Oid::XID | Oid::CID => {
            Datum::Integer(u32::from_be_bytes(fixed(bytes, "oid")?).into())
        }
        Oid::FLOAT4 => real(f32::from_be_bytes(fixed(bytes, "real")?).into()),
        Oid::FLOAT8 => real(f64::from_be_bytes(fixed(bytes, "double precision")?)),
        Oid::NUMERIC => {
            Datum::Text(numeric::decode_binary(bytes)?.apply_typmod(typmod)?.to_string())
        }
        Oid::BYTEA => Datum::Blob(bytes.to_vec()),
        Oid::UUID => Datum::Blob(fixed::<16>(bytes, "uuid")?.to_vec()),
        Oid::DATE => Datum::Integer(i32::from_be_bytes(fixed(bytes, "date")?).into()),
        Oid::TIME => binary::decode_time(bytes, typmod)?,
        Oid::TIMESTAMP | Oid::TIMESTAMPTZ => binary::decode_timestamp(bytes, typmod)?,
        Oid::TIMETZ => binary::decode_timetz(bytes, typmod)?,
        Oid::INTERVAL => binary::decode_interval(bytes, typmod)?,
        Oid::JSONB | Oid::JSONPATH => decode_versioned(type_oid, bytes, cx)?,
        Oid::VOID => Datum::Text(String::new()),
        Oid::INT2VECTOR | Oid::OIDVECTOR => {
            return Err(SqlError::unsupported("binary input of this type"));
        }
        other if object_class(other).is_some() => {
            Datum::Integer(u32::from_be_bytes(fixed(bytes, "oid")?).into())
        }
        other => return decode_binary_other(other, typmod, bytes, cx),
    })
}

/// Reads text behind a byte that tells the version of the form.
fn decode_versioned(type_oid: Oid, bytes: &[u8], cx: &TypeContext) -> Result<Datum, SqlError> {
    match bytes.split_first() {
        Some((1, text)) => decode_text(type_oid, -1, utf8(text)?, cx),
        Some((version, _)) => Err(SqlError::new(
            SqlState::INTERNAL_ERROR,
            format!("unsupported {} version number {version}", type_name(type_oid, cx)),
        )),
        None => Err(failure::invalid_binary(&type_name(type_oid, cx))),
    }
}

fn decode_binary_other(
    type_oid: Oid,
    typmod: i32,
    bytes: &[u8],
    cx: &TypeContext,
) -> Result<Datum, SqlError> {
    let (base, base_typmod) = base_type(type_oid, typmod, cx);
    if base != type_oid {
        return decode_binary(base, base_typmod, bytes, cx);
    }
    if let Some(family) = Family::named(type_oid, cx) {
        return family.decode_binary(bytes, typmod, cx);
    }
    if let Some(element) = element_type(type_oid, cx) {
        return Ok(Datum::Text(Array::decode_binary(bytes, element, typmod, cx)?.to_storage()));
    }
    if let Some(TypeShape::Composite(fields)) = cx.names.shape(type_oid) {
        return record::decode_binary(bytes, &fields, cx).map(Datum::Text);
    }
    // What is left is sent as text: the string types, json, enums and the like.
    if is_sent_as_text(type_oid, cx) {
        return decode_text(type_oid, typmod, utf8(bytes)?, cx);
    }
    Err(unsupported_type(type_oid, cx))
}

/// Whether the binary form is the text form.
fn is_sent_as_text(type_oid: Oid, cx: &TypeContext) -> bool {
    matches!(
        type_oid,
        Oid::TEXT
            | Oid::VARCHAR
            | Oid::BPCHAR
            | Oid::NAME
            | Oid::CHAR
            | Oid::UNKNOWN
            | Oid::CSTRING
            | Oid::JSON
            | Oid::REFCURSOR
            | Oid::PG_NODE_TREE
            | Oid::ACLITEM
    ) || matches!(cx.names.shape(type_oid), Some(TypeShape::Enum))
}

/// Appends a value's text form. NULL has none: it is the caller's to handle.
///
/// # Errors
/// XX000 if the stored value does not fit the type.
pub fn encode_text(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    encoder(type_oid, false)(type_oid, value, cx, out)
}

/// Appends a value's binary form.
///
/// # Errors
/// As [`encode_text`].
pub fn encode_binary(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    encoder(type_oid, true)(type_oid, value, cx, out)
}

/// The encoder for a type and format, to be chosen once per result column.
#[must_use]
pub fn encoder(type_oid: Oid, binary: bool) -> Encoder {
    match (type_oid, binary) {
        (Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID | Oid::XID | Oid::CID, false) => {
            integer_to_text
        }
        (Oid::INT2, true) => |_, value, _, out| {
            put(i16::try_from(int(value, "smallint")?), "smallint", i16::to_be_bytes, out)
        },
        (Oid::INT4, true) => |_, value, _, out| {
            put(i32::try_from(int(value, "integer")?), "integer", i32::to_be_bytes, out)
        },
        (Oid::DATE, true) => |_, value, _, out| {
            put(i32::try_from(int(value, "date")?), "date", i32::to_be_bytes, out)
        },
        (Oid::OID | Oid::XID | Oid::CID, true) => oid_to_binary,
        (Oid::INT8 | Oid::TIME | Oid::TIMESTAMP | Oid::TIMESTAMPTZ, true) => |_, value, _, out| {
            out.extend(int(value, "bigint")?.to_be_bytes());
            Ok(())
        },
        (
            Oid::TEXT
            | Oid::VARCHAR
            | Oid::BPCHAR
            | Oid::NAME
            | Oid::UNKNOWN
            | Oid::CSTRING
            | Oid::JSON
            | Oid::REFCURSOR
            | Oid::PG_NODE_TREE
            | Oid::ACLITEM
            | Oid::VOID,
            _,
        )
        | (Oid::NUMERIC | Oid::JSONB | Oid::JSONPATH | Oid::TIMETZ, false) => plain_text,
        (Oid::CHAR, false) => char_to_text,
        (Oid::CHAR, true) => char_to_binary,
        (Oid::BOOL, false) => |_, value, _, out| {
            out.push(if int(value, "boolean")? == 0 { b'f' } else { b't' });
            Ok(())
        },
        (Oid::BOOL, true) => |_, value, _, out| {
            out.push(u8::from(int(value, "boolean")? != 0));
            Ok(())
        },
        (Oid::TIMESTAMP, false) => |_, value, cx, out| {
            let value = int(value, "timestamp")?;
            printed(out, |text| format::write_timestamp(value, cx.settings, text));
            Ok(())
        },
        (Oid::TIMESTAMPTZ, false) => |_, value, cx, out| {
            let value = int(value, "timestamp with time zone")?;
            printed(out, |text| format::write_timestamptz(value, cx.settings, text));
            Ok(())
        },
        (Oid::FLOAT4 | Oid::FLOAT8, _) => {
            if binary {
                float_to_binary
            } else {
                float_to_text
            }
        }
        (_, false) => text_other,
        (_, true) => binary_other,
    }
}

fn int(value: DatumRef<'_>, type_name: &str) -> Result<i64, SqlError> {
    match value {
        DatumRef::Integer(value) => Ok(value),
        _ => Err(failure::wrong_storage(type_name)),
    }
}

fn put<T, E, const N: usize>(
    value: Result<T, E>,
    type_name: &str,
    bytes: fn(T) -> [u8; N],
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let value = value.ok().ok_or_else(|| failure::wrong_storage(type_name))?;
    out.extend(bytes(value));
    Ok(())
}

fn printed(out: &mut Vec<u8>, print: impl FnOnce(&mut String)) {
    let mut text = String::new();
    print(&mut text);
    out.extend_from_slice(text.as_bytes());
}

fn integer_to_text(
    _: Oid,
    value: DatumRef<'_>,
    _: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    use std::io::Write;
    let value = int(value, "bigint")?;
    write!(out, "{value}").ok().ok_or_else(|| failure::wrong_storage("bigint"))
}

fn char_to_text(
    _: Oid,
    value: DatumRef<'_>,
    _: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let DatumRef::Text(value) = value else { return Err(failure::wrong_storage("\"char\"")) };
    out.extend(scalar::char_text(value).as_bytes());
    Ok(())
}

fn char_to_binary(
    _: Oid,
    value: DatumRef<'_>,
    _: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let DatumRef::Text(value) = value else { return Err(failure::wrong_storage("\"char\"")) };
    out.push(scalar::char_byte(value));
    Ok(())
}

fn oid_to_binary(
    _: Oid,
    value: DatumRef<'_>,
    _: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    put(u32::try_from(int(value, "oid")?), "oid", u32::to_be_bytes, out)
}

fn plain_text(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    match value {
        DatumRef::Text(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        _ => Err(failure::wrong_storage(&type_name(type_oid, cx))),
    }
}

fn float_value(value: DatumRef<'_>) -> Result<f64, SqlError> {
    match value {
        DatumRef::Real(value) => Ok(value),
        DatumRef::Text("NaN") => Ok(f64::NAN),
        #[expect(
            clippy::cast_precision_loss,
            reason = "SQLite may hand out a whole real as an integer"
        )]
        DatumRef::Integer(value) => Ok(value as f64),
        _ => Err(failure::wrong_storage("double precision")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float4 is stored widened and narrows back exactly"
)]
fn float_to_text(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let value = float_value(value)?;
    let digits = cx.settings.extra_float_digits;
    printed(out, |text| match type_oid {
        Oid::FLOAT4 => float::write_f32(value as f32, digits, text),
        _ => float::write_f64(value, digits, text),
    });
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float4 is stored widened and narrows back exactly"
)]
fn float_to_binary(
    type_oid: Oid,
    value: DatumRef<'_>,
    _: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let value = float_value(value)?;
    match type_oid {
        Oid::FLOAT4 => out.extend((value as f32).to_be_bytes()),
        _ => out.extend(value.to_be_bytes()),
    }
    Ok(())
}

/// Text forms of the less common types.
fn text_other(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let (type_oid, _) = base_type(type_oid, -1, cx);
    if let Some(family) = Family::named(type_oid, cx) {
        return family.write_text(value, cx, out);
    }
    match (type_oid, value) {
        (Oid::BYTEA, DatumRef::Blob(bytes)) => {
            scalar::write_bytea(bytes, cx.settings.bytea_output, out);
        }
        (Oid::UUID, DatumRef::Blob(bytes)) => scalar::write_uuid(bytes, out),
        (Oid::DATE, DatumRef::Integer(day)) => {
            printed(out, |text| format::write_date(day, cx.settings, text));
        }
        (Oid::TIME, DatumRef::Integer(time)) => printed(out, |text| format::write_time(time, text)),
        (Oid::INTERVAL, DatumRef::Text(stored)) => {
            let value = Interval::from_storage(stored)?;
            printed(out, |text| interval::write(value, cx.settings.interval_style, text));
        }
        (Oid::INT2VECTOR | Oid::OIDVECTOR, DatumRef::Text(stored)) => {
            let array = Array::from_storage(stored, storage_class(Oid::INT4, cx))?;
            let words: Vec<String> = array.elements.iter().map(plain_integer).collect();
            out.extend_from_slice(words.join(" ").as_bytes());
        }
        (Oid::RECORD, DatumRef::Text(stored)) => record::write_anonymous(stored, cx, out)?,
        (other, DatumRef::Integer(oid)) if object_class(other).is_some() => {
            printed(out, |text| object_name::write(other, oid, cx, text));
        }
        (other, DatumRef::Text(stored)) => return text_of_shape(other, stored, cx, out),
        (other, _) => {
            // A domain or alias over one of the hot types.
            let encode = encoder(other, false);
            if std::ptr::fn_addr_eq(encode, text_other as Encoder) {
                return Err(failure::wrong_storage(&type_name(other, cx)));
            }
            return encode(other, value, cx, out);
        }
    }
    Ok(())
}

fn plain_integer(value: &Datum) -> String {
    match value {
        Datum::Integer(value) => value.to_string(),
        Datum::Null | Datum::Real(_) | Datum::Text(_) | Datum::Blob(_) => "0".to_owned(),
    }
}

/// Arrays, composites, enums, and types whose storage form is their text.
fn text_of_shape(
    type_oid: Oid,
    stored: &str,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    if let Some(element) = element_type(type_oid, cx) {
        let array = Array::from_storage(stored, storage_class(element, cx))?;
        return array.write_text(element, cx, out);
    }
    if let Some(TypeShape::Composite(fields)) = cx.names.shape(type_oid) {
        return record::write_text(stored, &fields, cx, out);
    }
    let encode = encoder(type_oid, false);
    if !std::ptr::fn_addr_eq(encode, text_other as Encoder) {
        return encode(type_oid, DatumRef::Text(stored), cx, out);
    }
    put_label(type_oid, stored, cx, out);
    Ok(())
}

/// Appends a label of an enum, by its present name.
fn put_label(type_oid: Oid, stored: &str, cx: &TypeContext, out: &mut Vec<u8>) {
    let shown = cx.names.enum_shown(type_oid, stored);
    out.extend_from_slice(shown.as_deref().unwrap_or(stored).as_bytes());
}

/// Binary forms of the less common types.
fn binary_other(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let (base, _) = base_type(type_oid, -1, cx);
    if let Some(family) = Family::named(base, cx) {
        return family.write_binary(value, cx, out);
    }
    match (base, value) {
        (Oid::NUMERIC, DatumRef::Text(stored)) => {
            numeric::encode_binary(&Numeric::parse(stored)?, out);
        }
        (Oid::BYTEA | Oid::UUID, DatumRef::Blob(bytes)) => out.extend_from_slice(bytes),
        (Oid::JSONB | Oid::JSONPATH, DatumRef::Text(stored)) => {
            out.push(1);
            out.extend_from_slice(stored.as_bytes());
        }
        (Oid::INTERVAL, DatumRef::Text(stored)) => binary::encode_interval(stored, out)?,
        (Oid::TIMETZ, DatumRef::Text(stored)) => binary::encode_timetz(stored, out)?,
        (Oid::INT2VECTOR, DatumRef::Text(stored)) => vector_to_binary(stored, Oid::INT2, cx, out)?,
        (Oid::OIDVECTOR, DatumRef::Text(stored)) => vector_to_binary(stored, Oid::OID, cx, out)?,
        (Oid::RECORD, DatumRef::Text(stored)) => record::encode_anonymous(stored, cx, out)?,
        (other, DatumRef::Integer(_)) if object_class(other).is_some() => {
            return oid_to_binary(other, value, cx, out);
        }
        (other, DatumRef::Text(stored)) => return binary_of_shape(other, stored, cx, out),
        (other, _) => {
            let encode = encoder(other, true);
            if std::ptr::fn_addr_eq(encode, binary_other as Encoder) {
                return Err(failure::wrong_storage(&type_name(other, cx)));
            }
            return encode(other, value, cx, out);
        }
    }
    Ok(())
}

fn binary_of_shape(
    type_oid: Oid,
    stored: &str,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    if let Some(element) = element_type(type_oid, cx) {
        let array = Array::from_storage(stored, storage_class(element, cx))?;
        return array.encode_binary(element, cx, out);
    }
    match cx.names.shape(type_oid) {
        Some(TypeShape::Composite(fields)) => record::encode_binary(stored, &fields, cx, out),
        Some(TypeShape::Enum) => {
            put_label(type_oid, stored, cx, out);
            Ok(())
        }
        _ => {
            let encode = encoder(type_oid, true);
            if std::ptr::fn_addr_eq(encode, binary_other as Encoder) {
                return Err(unsupported_type(type_oid, cx));
            }
            encode(type_oid, DatumRef::Text(stored), cx, out)
        }
    }
}

/// The vectors are sent as arrays whose lower bound is 0.
fn vector_to_binary(
    stored: &str,
    element: Oid,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let array = Array::from_storage(stored, storage_class(element, cx))?;
    let encode = encoder(element, true);
    let length = i32::try_from(array.elements.len()).unwrap_or(i32::MAX);
    out.extend(1i32.to_be_bytes());
    out.extend(0i32.to_be_bytes());
    out.extend(element.0.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(0i32.to_be_bytes());
    for item in &array.elements {
        encode_field(encode, element, item.as_ref(), cx, out)?;
    }
    Ok(())
}

/// Appends a value with its length before it, or -1 for NULL: elements of arrays, fields of rows and of `DataRow`.
///
/// # Errors
/// What the encoder raises.
pub fn encode_field(
    encode: Encoder,
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    if value == DatumRef::Null {
        out.extend((-1i32).to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend([0; 4]);
    encode(type_oid, value, cx, out)?;
    let length = i32::try_from(out.len() - start - 4)
        .ok()
        .ok_or_else(|| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "value is too long"))?;
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Text form as a string: what `::text` of the value is.
///
/// # Errors
/// As [`encode_text`].
pub fn to_text(type_oid: Oid, value: DatumRef<'_>, cx: &TypeContext) -> Result<String, SqlError> {
    let mut out = Vec::new();
    encode_text(type_oid, value, cx, &mut out)?;
    String::from_utf8(out).ok().ok_or_else(|| failure::wrong_storage("text"))
}
