//! Rows as values: `ROW(…)`, whole-row references, and type names.
//!
//! A row of a named type is stored as a JSON array of its fields' storage forms; one whose storage form does not order by
//! itself carries its type, `[1, "a", {"1700": "1.50"}]`, so that one collation orders the rows of every type (an enum's
//! labels are compared by their bytes). Row types and arrays of the user's own, whose OIDs are not everywhere the same, carry
//! `record` and `anyarray`. An anonymous record has no catalog entry
//! that would tell its field types, so its stored form carries them: `[{"23": 1}, {"25": "a"}]`; and the names, where the
//! fields have some: `[{"23 id": 1}]`. No storage form is a JSON object, so the two cannot be confused; a plain value in an
//! anonymous record reads as `int8`, `float8` or text.
//!
//! # Bounds
//! [`FIELDS_MAX`] fields.

use serde_json::Value;

use super::array::{BinaryReader, datum_to_json, json_to_datum, storage_class};
use super::{TypeContext, codec, failure, quoted, scalar};
use crate::builtin;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::builtin_collation;

/// Most fields of a row.
pub const FIELDS_MAX: usize = 1664;

/// A row's fields with their types.
pub type Fields = Vec<(Oid, Datum)>;

fn wrong() -> SqlError {
    failure::wrong_storage("record")
}

/// The stored form of a row of a named type.
#[must_use]
pub fn to_storage(fields: &[(Oid, Datum)], cx: &TypeContext) -> String {
    let items = fields.iter().map(|(oid, value)| {
        let item = datum_to_json(value.as_ref());
        match order_mark(*oid, cx) {
            Some(mark) if !item.is_null() => {
                let mut field = serde_json::Map::new();
                field.insert(mark.to_string(), item);
                Value::Object(field)
            }
            _ => item,
        }
    });
    Value::Array(items.collect()).to_string()
}

/// The type that a stored field carries, if its order needs one.
fn order_mark(type_oid: Oid, cx: &TypeContext) -> Option<Oid> {
    let (base, _) = codec::base_type(type_oid, -1, cx);
    match cx.names.shape(base) {
        Some(super::TypeShape::Range(_)) => Some(Oid::INT4RANGE),
        Some(super::TypeShape::Multirange(_)) => Some(Oid(4451)),
        Some(super::TypeShape::Composite(_)) => Some(Oid::RECORD),
        Some(super::TypeShape::Array(_)) if builtin::type_by_oid(base).is_none() => {
            Some(Oid::ANYARRAY)
        }
        _ => builtin_collation(base).map(|_| base),
    }
}

/// The stored form of an anonymous record.
#[must_use]
pub fn anonymous_to_storage(fields: &[(Oid, Datum)]) -> String {
    let items = fields.iter().map(|(oid, value)| {
        let mut field = serde_json::Map::new();
        field.insert(oid.to_string(), datum_to_json(value.as_ref()));
        Value::Object(field)
    });
    Value::Array(items.collect()).to_string()
}

/// The stored form of an anonymous record whose fields have names.
#[must_use]
pub fn named_to_storage(fields: &[(Oid, &str, Datum)]) -> String {
    let items = fields.iter().map(|(oid, name, value)| {
        let mut field = serde_json::Map::new();
        field.insert(format!("{oid} {name}"), datum_to_json(value.as_ref()));
        Value::Object(field)
    });
    Value::Array(items.collect()).to_string()
}

/// The names of the fields of an anonymous record, if they have some.
#[must_use]
pub fn stored_names(stored: &str) -> Option<Vec<String>> {
    let Ok(Value::Array(items)) = serde_json::from_str(stored) else { return None };
    let name = |item: &Value| {
        let key = item.as_object()?.keys().next()?;
        key.split_once(' ').map(|(_, name)| name.to_owned())
    };
    items.iter().map(name).collect()
}

/// Reads the stored form of an anonymous record.
///
/// # Errors
/// XX000 if it is not one.
pub fn anonymous_from_storage(stored: &str, cx: &TypeContext) -> Result<Fields, SqlError> {
    let Ok(Value::Array(items)) = serde_json::from_str(stored) else { return Err(wrong()) };
    items.into_iter().map(|item| typed_field(item, cx)).collect::<Option<_>>().ok_or_else(wrong)
}

fn typed_field(item: Value, cx: &TypeContext) -> Option<(Oid, Datum)> {
    Some(match item {
        Value::Object(field) => {
            let (oid, value) = field.into_iter().next()?;
            let oid = oid.split_once(' ').map_or(oid.as_str(), |(oid, _)| oid);
            let oid = Oid(oid.parse().ok()?);
            (oid, json_to_datum(value, storage_class(oid, cx))?)
        }
        Value::Null => (Oid::TEXT, Datum::Null),
        Value::Bool(value) => (Oid::BOOL, Datum::Integer(value.into())),
        Value::Number(number) => match number.as_i64() {
            Some(value) => (Oid::INT8, Datum::Integer(value)),
            None => (Oid::FLOAT8, Datum::Real(number.as_f64()?)),
        },
        Value::String(value) => (Oid::TEXT, Datum::Text(value)),
        nested @ Value::Array(_) => (Oid::TEXT, Datum::Text(nested.to_string())),
    })
}

/// A row of a named type whose fields are all NULL; without fields for any other type.
#[must_use]
pub fn nulls(type_oid: Oid, cx: &TypeContext) -> Fields {
    match cx.names.shape(type_oid) {
        Some(super::TypeShape::Composite(types)) => {
            types.into_iter().map(|(oid, _)| (oid, Datum::Null)).collect()
        }
        _ => Fields::new(),
    }
}

/// Reads the stored form of a row of a named type. One that was written before the type got its last fields has NULL there.
///
/// # Errors
/// XX000 if it is not one.
pub fn from_storage(
    stored: &str,
    types: &[(Oid, i32)],
    cx: &TypeContext,
) -> Result<Fields, SqlError> {
    let Ok(Value::Array(items)) = serde_json::from_str(stored) else { return Err(wrong()) };
    types
        .iter()
        .zip(items.into_iter().chain(std::iter::repeat(Value::Null)))
        .map(|((oid, _), item)| {
            let item = match item {
                Value::Object(marked) => marked.into_iter().next()?.1,
                plain => plain,
            };
            Some((*oid, json_to_datum(item, storage_class(*oid, cx))?))
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

/// The fields of a stored row of any row type.
///
/// # Errors
/// XX000 if it is none.
pub fn fields(type_oid: Oid, stored: &str, cx: &TypeContext) -> Result<Fields, SqlError> {
    match cx.names.shape(type_oid) {
        Some(super::TypeShape::Composite(types)) => from_storage(stored, &types, cx),
        _ => anonymous_from_storage(stored, cx),
    }
}

fn write_fields(
    fields: &[(Oid, Datum)],
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    out.push(b'(');
    let mut scratch = Vec::new();
    for (index, (oid, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if *value == Datum::Null {
            continue;
        }
        scratch.clear();
        codec::encode_text(*oid, value.as_ref(), cx, &mut scratch)?;
        quoted::write(&scratch, b"(),", out);
    }
    out.push(b')');
    Ok(())
}

/// Appends the text form of a row of a named type.
///
/// # Errors
/// XX000, and what the fields' output functions raise; the same holds for its neighbours.
pub fn write_text(
    stored: &str,
    types: &[(Oid, i32)],
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    write_fields(&from_storage(stored, types, cx)?, cx, out)
}

/// Appends the text form of an anonymous record.
///
/// # Errors
/// As [`write_text`].
pub fn write_anonymous(stored: &str, cx: &TypeContext, out: &mut Vec<u8>) -> Result<(), SqlError> {
    write_fields(&anonymous_from_storage(stored, cx)?, cx, out)
}

fn encode_fields(
    fields: &[(Oid, Datum)],
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    out.extend(i32::try_from(fields.len()).unwrap_or(i32::MAX).to_be_bytes());
    for (oid, value) in fields {
        out.extend(oid.0.to_be_bytes());
        codec::encode_field(codec::encoder(*oid, true), *oid, value.as_ref(), cx, out)?;
    }
    Ok(())
}

/// Appends the binary form of a row of a named type.
///
/// # Errors
/// As [`write_text`].
pub fn encode_binary(
    stored: &str,
    types: &[(Oid, i32)],
    cx: &TypeContext,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    encode_fields(&from_storage(stored, types, cx)?, cx, out)
}

/// Appends the binary form of an anonymous record.
///
/// # Errors
/// As [`write_text`].
pub fn encode_anonymous(stored: &str, cx: &TypeContext, out: &mut Vec<u8>) -> Result<(), SqlError> {
    encode_fields(&anonymous_from_storage(stored, cx)?, cx, out)
}

/// Reads the binary form of a row of a named type into its stored form.
///
/// # Errors
/// 22P03, 42804, and what the fields' receive functions raise.
pub fn decode_binary(
    bytes: &[u8],
    types: &[(Oid, i32)],
    cx: &TypeContext,
) -> Result<String, SqlError> {
    let mut reader = BinaryReader { rest: bytes };
    if reader.length()? != types.len() {
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "wrong number of columns"));
    }
    let mut fields = Vec::with_capacity(types.len());
    for (oid, typmod) in types {
        let sent = Oid(reader.i32()?.cast_unsigned());
        if sent != *oid {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "binary data has type {sent} ({}) instead of expected {oid} ({}) in record column {}",
                    format_type(sent, cx),
                    format_type(*oid, cx),
                    fields.len() + 1
                ),
            ));
        }
        let length = reader.i32()?;
        let value = match usize::try_from(length) {
            Err(_) => Datum::Null,
            Ok(length) => codec::decode_binary(*oid, *typmod, reader.take(length)?, cx)?,
        };
        fields.push((*oid, value));
    }
    Ok(to_storage(&fields, cx))
}

/// Reads the text form of a row of a named type into its stored form.
///
/// # Errors
/// 22P02 for malformed text, and what the fields' input functions raise.
pub fn parse(text: &str, types: &[(Oid, i32)], cx: &TypeContext) -> Result<String, SqlError> {
    let bad = |detail: &str| {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("malformed record literal: \"{text}\""),
        )
        .with_detail(detail)
    };
    let mut rest = text.trim_start_matches(scalar::is_space);
    rest = rest.strip_prefix('(').ok_or_else(|| bad("Missing left parenthesis."))?;
    let mut fields = Vec::with_capacity(types.len());
    for (oid, typmod) in types {
        if !fields.is_empty() {
            rest = rest.strip_prefix(',').ok_or_else(|| bad("Too few columns."))?;
        }
        let part = quoted::read(&mut rest, &[',', ')']);
        let value = match part.ok_or_else(|| bad("Unexpected end of input."))? {
            None => Datum::Null,
            Some(part) => codec::decode_text(*oid, *typmod, &part, cx)?,
        };
        fields.push((*oid, value));
    }
    rest = rest.strip_prefix(')').ok_or_else(|| bad("Too many columns."))?;
    if !rest.chars().all(scalar::is_space) {
        return Err(bad("Junk after right parenthesis."));
    }
    Ok(to_storage(&fields, cx))
}

/// A type's name as `format_type(oid, NULL)` shows it.
#[must_use]
pub fn format_type(type_oid: Oid, cx: &TypeContext) -> String {
    if let Some(row) = builtin::type_by_oid(type_oid) {
        if row.true_array && type_oid != Oid::INT2VECTOR && type_oid != Oid::OIDVECTOR {
            return format!("{}[]", format_type(row.element, cx));
        }
        let name = builtin::sql_type_name(type_oid).map(str::to_owned);
        return name.unwrap_or_else(|| builtin::quote_identifier(row.name));
    }
    if let Some(super::TypeShape::Array(element)) = cx.names.shape(type_oid) {
        return format!("{}[]", format_type(element, cx));
    }
    cx.names.type_name(type_oid).unwrap_or_else(|| "???".to_owned())
}

/// A field of a stored row as a datum, by position from 0.
///
/// # Errors
/// XX000 if the row has no such field.
pub fn field(
    type_oid: Oid,
    stored: &str,
    index: usize,
    cx: &TypeContext,
) -> Result<Datum, SqlError> {
    let mut fields = fields(type_oid, stored, cx)?;
    if index >= fields.len() {
        return Err(wrong());
    }
    Ok(fields.swap_remove(index).1)
}
