//! SQL values as JSON.
//!
//! Numbers and booleans become JSON's, `json` and `jsonb` themselves, arrays and rows JSON arrays and objects, dates and
//! times ISO 8601 strings, everything else the string of its output. `json` keeps the spacing that PostgreSQL writes:
//! none in arrays and rows, blanks in the builders.

use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::array::texts;
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use crate::oid::Oid;
use crate::settings::{DateStyle, FormatSettings};
use crate::types::array::{Array, storage_class};
use crate::types::json::{Json, write_string};
use crate::types::{TypeContext, TypeShape, codec, failure, record};

type Answer = Result<Datum, SqlError>;

/// How a type is shown in JSON.
fn plain_kind(type_oid: Oid) -> bool {
    matches!(type_oid, Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::FLOAT4 | Oid::FLOAT8 | Oid::NUMERIC)
}

/// Appends the JSON of a value, without blanks.
pub(in crate::functions) fn write_value(
    type_oid: Oid,
    value: DatumRef<'_>,
    cx: &TypeContext,
    out: &mut String,
) -> Result<(), SqlError> {
    let (type_oid, _) = codec::base_type(type_oid, -1, cx);
    match (type_oid, value) {
        (_, DatumRef::Null) => out.push_str("null"),
        (Oid::BOOL, DatumRef::Integer(value)) => {
            out.push_str(if value == 0 { "false" } else { "true" });
        }
        (Oid::JSON | Oid::JSONB, DatumRef::Text(value)) => out.push_str(value),
        (oid, value) if plain_kind(oid) => {
            let shown = codec::to_text(oid, value, cx)?;
            let finite = !shown.ends_with("NaN") && !shown.ends_with("Infinity");
            if finite { out.push_str(&shown) } else { write_string(&shown, out) }
        }
        (Oid::TIMESTAMP | Oid::TIMESTAMPTZ, value) => {
            let shown = iso_text(type_oid, value, cx)?;
            write_string(&shown.replacen(' ', "T", 1).replace("TBC", " BC"), out);
        }
        (Oid::DATE, value) => write_string(&iso_text(type_oid, value, cx)?, out),
        (oid, DatumRef::Text(stored)) => return write_shaped(oid, stored, cx, out),
        (oid, value) => write_string(&codec::to_text(oid, value, cx)?, out),
    }
    Ok(())
}

/// Output in ISO style with a full time zone offset, whatever `DateStyle` says.
fn iso_text(type_oid: Oid, value: DatumRef<'_>, cx: &TypeContext) -> Result<String, SqlError> {
    let settings = FormatSettings { date_style: DateStyle::Iso, ..cx.settings.clone() };
    let mut shown = codec::to_text(type_oid, value, &TypeContext { settings: &settings, ..*cx })?;
    if type_oid == Oid::TIMESTAMPTZ {
        let whole_hours = shown.len() > 3
            && shown.get(shown.len() - 3..).is_some_and(|tail| {
                tail.starts_with(['+', '-'])
                    && tail.get(1..).is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit()))
            });
        if whole_hours {
            shown.push_str(":00");
        }
    }
    Ok(shown)
}

fn write_shaped(
    type_oid: Oid,
    stored: &str,
    cx: &TypeContext,
    out: &mut String,
) -> Result<(), SqlError> {
    if let Some(element) = codec::element_type(type_oid, cx) {
        let array = Array::from_storage(stored, storage_class(element, cx))?;
        return write_array(&array.dimensions, &array.elements, element, cx, out);
    }
    if type_oid == Oid::RECORD || matches!(cx.names.shape(type_oid), Some(TypeShape::Composite(_)))
    {
        return write_row(type_oid, stored, cx, ",", out);
    }
    write_string(&codec::to_text(type_oid, DatumRef::Text(stored), cx)?, out);
    Ok(())
}

fn write_array(
    dimensions: &[usize],
    elements: &[Datum],
    element: Oid,
    cx: &TypeContext,
    out: &mut String,
) -> Result<(), SqlError> {
    out.push('[');
    let inner = dimensions.get(1..).unwrap_or(&[]);
    let stride = inner.iter().product::<usize>().max(1);
    for (index, chunk) in elements.chunks(stride).enumerate() {
        if index > 0 {
            out.push(',');
        }
        match chunk {
            [only] if inner.is_empty() => write_value(element, only.as_ref(), cx, out)?,
            chunk => write_array(inner, chunk, element, cx, out)?,
        }
    }
    out.push(']');
    Ok(())
}

/// Appends a row as an object; an anonymous record's fields are f1, f2, ….
fn write_row(
    type_oid: Oid,
    stored: &str,
    cx: &TypeContext,
    comma: &str,
    out: &mut String,
) -> Result<(), SqlError> {
    let names = cx.names.field_names(type_oid).or_else(|| record::stored_names(stored));
    let fields = record::fields(type_oid, stored, cx)?;
    out.push('{');
    for (index, (oid, value)) in fields.iter().enumerate() {
        out.push_str(if index > 0 { comma } else { "" });
        match names.as_ref().and_then(|names| names.get(index)) {
            Some(name) => write_string(name, out),
            None => write_string(&format!("f{}", index + 1), out),
        }
        out.push(':');
        write_value(*oid, value.as_ref(), cx, out)?;
    }
    out.push('}');
    Ok(())
}

/// The JSON text of a value.
pub(in crate::functions) fn json_text(
    call: &Call,
    type_oid: Oid,
    value: DatumRef<'_>,
) -> Result<String, SqlError> {
    let mut out = String::new();
    call.session.with_types(|cx| write_value(type_oid, value, cx, &mut out))?;
    Ok(out)
}

/// The canonical `jsonb` text of a value.
pub(in crate::functions) fn jsonb_text(
    call: &Call,
    type_oid: Oid,
    value: DatumRef<'_>,
) -> Result<String, SqlError> {
    Ok(Json::parse(&json_text(call, type_oid, value)?)?.canonical()?.to_string())
}

fn to_json(call: &Call) -> Answer {
    Ok(text(json_text(call, call.oid(1)?, call.datum(0))?))
}

fn to_jsonb(call: &Call) -> Answer {
    Ok(text(jsonb_text(call, call.oid(1)?, call.datum(0))?))
}

/// `array_to_json` and `row_to_json`, with line feeds if asked to.
fn to_json_pretty(call: &Call) -> Answer {
    let type_oid = call.oid(2)?;
    if !call.bool(1)? {
        return Ok(text(json_text(call, type_oid, call.datum(0))?));
    }
    call.session.with_types(|cx| {
        let mut out = String::new();
        if let Some(element) = codec::element_type(type_oid, cx) {
            let array = Array::from_storage(call.text(0)?, storage_class(element, cx))?;
            let stride = array.dimensions.iter().skip(1).product::<usize>().max(1);
            out.push('[');
            for (index, chunk) in array.elements.chunks(stride).enumerate() {
                out.push_str(if index > 0 { ",\n " } else { "" });
                match chunk {
                    [only] if array.dimensions.len() < 2 => {
                        write_value(element, only.as_ref(), cx, &mut out)?;
                    }
                    chunk => write_array(
                        array.dimensions.get(1..).unwrap_or(&[]),
                        chunk,
                        element,
                        cx,
                        &mut out,
                    )?,
                }
            }
            out.push(']');
        } else {
            write_row(type_oid, call.text(0)?, cx, ",\n ", &mut out)?;
        }
        Ok(text(out))
    })
}

/// Text of an object key.
pub(in crate::functions) fn key_text(
    call: &Call,
    type_oid: Oid,
    value: DatumRef<'_>,
) -> Result<String, SqlError> {
    if value == DatumRef::Null {
        return Err(failure::invalid_parameter("argument 1: key must not be null"));
    }
    let shaped = call.session.with_types(|cx| {
        codec::element_type(type_oid, cx).is_some()
            || matches!(type_oid, Oid::RECORD | Oid::JSON | Oid::JSONB)
            || matches!(cx.names.shape(type_oid), Some(TypeShape::Composite(_)))
    });
    if shaped {
        return Err(failure::invalid_parameter(
            "key value must be scalar, not array, composite, or json",
        ));
    }
    call.session.with_types(|cx| codec::to_text(type_oid, value, cx))
}

fn build_array(call: &Call) -> Answer {
    let width = call.len() / 2;
    let mut parts = Vec::with_capacity(width);
    for index in 0..width {
        parts.push(json_text(call, call.oid(width + index)?, call.datum(index))?);
    }
    Ok(text(format!("[{}]", parts.join(", "))))
}

/// Which of the two types an object is built for.
#[derive(Clone, Copy, PartialEq)]
enum Built {
    Json,
    Jsonb,
}

fn build_object(call: &Call, built: Built) -> Answer {
    let null_key = |position: usize| match built {
        Built::Json => failure::invalid_parameter(format!("argument {position} cannot be null"))
            .with_hint("Object keys should be text."),
        Built::Jsonb => {
            failure::invalid_parameter(format!("argument {position}: key must not be null"))
        }
    };
    let width = call.len() / 2;
    if width % 2 == 1 {
        let function =
            if built == Built::Json { "json_build_object()" } else { "jsonb_build_object()" };
        return Err(failure::invalid_parameter("argument list must have even number of elements")
            .with_hint(format!(
                "The arguments of {function} must consist of alternating keys and values."
            )));
    }
    let mut out = String::from("{");
    for index in (0..width).step_by(2) {
        if call.is_null(index) {
            return Err(null_key(index + 1));
        }
        out.push_str(if index > 0 { ", " } else { "" });
        write_string(&key_text(call, call.oid(width + index)?, call.datum(index))?, &mut out);
        out.push_str(" : ");
        out.push_str(&json_text(call, call.oid(width + index + 1)?, call.datum(index + 1))?);
    }
    out.push('}');
    Ok(text(out))
}

/// The `jsonb` of what a `json` builder makes.
fn as_jsonb(built: Answer) -> Answer {
    match built? {
        Datum::Text(json) => Ok(text(Json::parse(&json)?.canonical()?.to_string())),
        other => Ok(other),
    }
}

/// The lengths of an array's dimensions.
fn dimensions(call: &Call, index: usize) -> Result<Vec<usize>, SqlError> {
    let class = call.session.with_types(|cx| storage_class(Oid::TEXT, cx));
    Ok(Array::from_storage(call.text(index)?, class)?.dimensions)
}

/// `json_object(text[])` and `json_object(keys, values)`.
fn object_of_texts(call: &Call) -> Answer {
    let array_error = |message: &str| SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message);
    match (dimensions(call, 0)?.as_slice(), call.len() > 1) {
        ([] | [_], false) => {}
        ([_, 2], false) => {}
        ([_, _], false) => return Err(array_error("array must have two columns")),
        (keys, true) if keys.len() < 2 && keys.len() == dimensions(call, 1)?.len() => {}
        _ => return Err(array_error("wrong number of array subscripts")),
    }
    let first = texts(call, 0)?;
    let pairs: Vec<(Option<String>, Option<String>)> = if call.len() > 1 {
        let second = texts(call, 1)?;
        if first.len() != second.len() {
            return Err(array_error("mismatched array dimensions"));
        }
        first.into_iter().zip(second).collect()
    } else {
        if first.len() % 2 == 1 {
            return Err(array_error("array must have even number of elements"));
        }
        first
            .chunks(2)
            .map(|pair| (pair.first().cloned().flatten(), pair.get(1).cloned().flatten()))
            .collect()
    };
    let mut out = String::from("{");
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        let key = key.ok_or_else(|| {
            SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key")
        })?;
        out.push_str(if index > 0 { ", " } else { "" });
        write_string(&key, &mut out);
        out.push_str(" : ");
        match value {
            Some(value) => write_string(&value, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(text(out))
}

const fn lax(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::lax(name, body).stable()
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_to_json", to_json).stable(),
    f("pg_to_jsonb", to_jsonb).stable(),
    f("pg_row_to_json", to_json).stable(),
    f("pg_row_to_json_pretty", to_json_pretty).stable(),
    f("pg_array_to_json", to_json).stable(),
    f("pg_array_to_json_pretty", to_json_pretty).stable(),
    lax("pg_json_build_array", |call| call.spread(0, build_array)),
    lax("pg_json_build_array_noargs", build_array),
    lax("pg_json_build_object", |call| call.spread(0, |it| build_object(it, Built::Json))),
    lax("pg_json_build_object_noargs", |call| build_object(call, Built::Json)),
    lax("pg_jsonb_build_array", |call| as_jsonb(call.spread(0, build_array))),
    lax("pg_jsonb_build_array_noargs", |call| as_jsonb(build_array(call))),
    lax("pg_jsonb_build_object", |call| {
        as_jsonb(call.spread(0, |it| build_object(it, Built::Jsonb)))
    }),
    lax("pg_jsonb_build_object_noargs", |call| as_jsonb(build_object(call, Built::Jsonb))),
    f("pg_json_object", object_of_texts),
    f("pg_json_object_two_arg", object_of_texts),
    f("pg_jsonb_object", |call| as_jsonb(object_of_texts(call))),
    f("pg_jsonb_object_two_arg", |call| as_jsonb(object_of_texts(call))),
];
