//! Rows from JSON objects: `json_to_record`, `json_populate_record` and their kin.
//!
//! A member becomes a column by its type: JSON takes it as it is, arrays and rows are built part by part, anything else is
//! read from its text as a literal would be. `jsonb` is stored as its canonical text, so both kinds are read alike.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.16 (table 9.47).

use super::read::raw_parts;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::{Call, Rows, ScalarFunction, SetReturningFunction};
use crate::oid::Oid;
use crate::types::array::{Array, DIMENSIONS_MAX, datum_to_json};
use crate::types::json::Json;
use crate::types::{TypeContext, TypeShape, codec, failure, record};

type Answer = Result<Datum, SqlError>;

/// A column of the row to build.
struct Column {
    name: String,
    type_oid: Oid,
    typmod: i32,
}

/// Columns from the definitions that the binder passes.
fn definitions(text: &str) -> Result<Vec<Column>, SqlError> {
    let parsed: Vec<(String, u32, i32)> = serde_json::from_str(text)
        .map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))?;
    let column = |(name, oid, typmod)| Column { name, type_oid: Oid(oid), typmod };
    Ok(parsed.into_iter().map(column).collect())
}

/// Columns of a row type.
fn columns_of(type_oid: Oid, cx: &TypeContext) -> Option<Vec<Column>> {
    let (base, _) = codec::base_type(type_oid, -1, cx);
    let Some(TypeShape::Composite(types)) = cx.names.shape(base) else { return None };
    let names = cx.names.field_names(base)?;
    let column = |(name, (type_oid, typmod))| Column { name, type_oid, typmod };
    Some(names.into_iter().zip(types).map(column).collect())
}

/// What a text starts with tells what it is, once it is known to be JSON.
fn starts(raw: &str, with: char) -> bool {
    raw.trim_start().starts_with(with)
}

fn is_null(raw: &str) -> bool {
    raw.trim() == "null"
}

/// The members of an object; `function` is what an error names.
fn object<'a>(raw: &'a str, function: &str) -> Result<Vec<(String, &'a str)>, SqlError> {
    if starts(raw, '{') {
        return Ok(raw_parts(raw));
    }
    let what = if starts(raw, '[') { "an array" } else { "a scalar" };
    Err(failure::invalid_parameter(format!("cannot call {function} on {what}")))
}

/// The row that an object is, on top of `base`.
fn row(
    raw: &str,
    columns: &[Column],
    base: &[Datum],
    cx: &TypeContext,
) -> Result<Vec<Datum>, SqlError> {
    let members = object(raw, "populate_composite")?;
    let field = |(at, column): (usize, &Column)| match members
        .iter()
        .rev()
        .find(|(name, _)| *name == column.name)
    {
        Some((_, raw)) => value(raw, column, cx),
        None => Ok(base.get(at).cloned().unwrap_or(Datum::Null)),
    };
    columns.iter().enumerate().map(field).collect()
}

/// A member as a value of the column's type.
fn value(raw: &str, column: &Column, cx: &TypeContext) -> Answer {
    if is_null(raw) {
        return Ok(Datum::Null);
    }
    let (base, _) = codec::base_type(column.type_oid, -1, cx);
    if matches!(base, Oid::JSON | Oid::JSONB) {
        return codec::decode_text(base, -1, raw, cx);
    }
    if !starts(raw, '"') {
        if let Some(element) = codec::element_type(base, cx) {
            return array(raw, element, column, cx);
        }
        if let Some(columns) = columns_of(base, cx) {
            let fields = row(raw, &columns, &[], cx)?;
            let items = fields.iter().map(|field| datum_to_json(field.as_ref())).collect();
            return Ok(Datum::Text(serde_json::Value::Array(items).to_string()));
        }
    }
    let text = match Json::parse(raw)? {
        Json::String(text) => text,
        _ => raw.trim().to_owned(),
    };
    codec::decode_text(column.type_oid, column.typmod, &text, cx)
}

/// Builds an array; nested JSON arrays are its dimensions.
fn array(raw: &str, element: Oid, column: &Column, cx: &TypeContext) -> Answer {
    let mut built = Builder { element, column, cx, dimensions: Vec::new(), elements: Vec::new() };
    if !starts(raw, '[') {
        return Err(built.not_an_array());
    }
    built.take(raw, 0)?;
    Ok(Datum::Text(Array::of(built.dimensions, built.elements).to_storage()))
}

struct Builder<'a> {
    element: Oid,
    column: &'a Column,
    cx: &'a TypeContext<'a>,
    dimensions: Vec<usize>,
    elements: Vec<Datum>,
}

impl Builder<'_> {
    fn not_an_array(&self) -> SqlError {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array")
            .with_hint(format!("See the value of key \"{}\".", self.column.name))
    }

    fn mismatch() -> SqlError {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "malformed JSON array")
            .with_detail("Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    fn take(&mut self, raw: &str, depth: usize) -> Result<(), SqlError> {
        let parts = raw_parts(raw);
        if depth >= DIMENSIONS_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "number of array dimensions ({}) exceeds the maximum allowed (6)",
                    depth + 1
                ),
            ));
        }
        match self.dimensions.get(depth) {
            None => self.dimensions.push(parts.len()),
            Some(size) if *size != parts.len() => return Err(Self::mismatch()),
            Some(_) => {}
        }
        for (_, part) in parts {
            let is_deeper = self.dimensions.len() > depth + 1;
            // The first part tells how deep the array is; below that, an array is an element.
            if starts(part, '[') && (is_deeper || self.elements.is_empty()) {
                self.take(part, depth + 1)?;
            } else if is_deeper {
                return Err(if is_null(part) { Self::mismatch() } else { self.not_an_array() });
            } else {
                let column = Column {
                    name: self.column.name.clone(),
                    type_oid: self.element,
                    typmod: self.column.typmod,
                };
                self.elements.push(value(part, &column, self.cx)?);
            }
        }
        Ok(())
    }
}

fn stored(columns: &[Column], fields: Vec<Datum>) -> Datum {
    let types = columns.iter().map(|column| column.type_oid);
    let fields: Vec<(Oid, Datum)> = types.zip(fields).collect();
    Datum::Text(record::anonymous_to_storage(&fields))
}

/// 0A000: nothing tells the columns of the result.
fn no_row_type(function: &str) -> SqlError {
    let message = format!("could not determine row type for result of {function}");
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(
        "Provide a non-null record argument, or call the function in the FROM clause using a \
         column definition list.",
    )
}

fn to_record(call: &Call, function: &str) -> Answer {
    if call.len() < 2 {
        return Err(no_row_type(function));
    }
    let columns = definitions(call.text(1)?)?;
    let fields = call.session.with_types(|cx| row(call.text(0)?, &columns, &[], cx))?;
    Ok(stored(&columns, fields))
}

/// The objects of an array of them.
fn objects<'a>(raw: &'a str, function: &str) -> Result<Vec<&'a str>, SqlError> {
    if !starts(raw, '[') {
        let what = match (function.starts_with("jsonb"), starts(raw, '{')) {
            (true, _) => "a non-array",
            (false, true) => "an object",
            (false, false) => "a scalar",
        };
        return Err(failure::invalid_parameter(format!("cannot call {function} on {what}")));
    }
    let parts: Vec<&str> = raw_parts(raw).into_iter().map(|(_, part)| part).collect();
    if parts.iter().all(|part| starts(part, '{')) {
        return Ok(parts);
    }
    let message = format!("argument of {function} must be an array of objects");
    Err(failure::invalid_parameter(message))
}

fn to_record_set(call: &Call, function: &str) -> Result<Rows, SqlError> {
    if call.is_null(0) {
        return Ok(Box::new(std::iter::empty()));
    }
    let columns = definitions(call.text(1)?)?;
    let found = call.session.with_types(|cx| {
        let fields = |raw: &&str| Ok(vec![stored(&columns, row(raw, &columns, &[], cx)?)]);
        objects(call.text(0)?, function)?.iter().map(fields).collect::<Result<Vec<_>, SqlError>>()
    })?;
    Ok(Box::new(found.into_iter().map(Ok)))
}

/// The row that is to be populated.
struct Given {
    columns: Vec<Column>,
    fields: Vec<Datum>,
    /// It is of no named type.
    anonymous: bool,
    /// What the query expects of an anonymous row, if it says so.
    expected: Option<Vec<Column>>,
}

/// Where a call has its column definitions, if it is given any: behind the row, the JSON and, for `json`, a flag, and before
/// the type of the row.
fn definitions_at(call: &Call, function: &str) -> Option<usize> {
    let at = if function.starts_with("jsonb") { 2 } else { 3 };
    (call.len() > at + 1).then_some(at)
}

impl Given {
    /// The first argument's columns, and the fields it has.
    fn of(call: &Call, function: &str, cx: &TypeContext) -> Result<Self, SqlError> {
        let type_oid = call.oid(call.len().saturating_sub(1))?;
        if let Some(columns) = columns_of(type_oid, cx) {
            let fields = if call.is_null(0) {
                Vec::new()
            } else {
                let found = record::fields(type_oid, call.text(0)?, cx)?;
                found.into_iter().map(|(_, field)| field).collect()
            };
            return Ok(Self { columns, fields, anonymous: false, expected: None });
        }
        if codec::base_type(type_oid, -1, cx).0 != Oid::RECORD {
            let message = format!("first argument of {function} must be a row type");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        let at = definitions_at(call, function);
        let expected = at.map(|at| definitions(call.text(at)?)).transpose()?;
        if call.is_null(0) {
            let columns = expected.ok_or_else(|| no_row_type(function))?;
            return Ok(Self { columns, fields: Vec::new(), anonymous: true, expected: None });
        }
        let found = record::fields(type_oid, call.text(0)?, cx)?;
        let column = |(number, field): (usize, &(Oid, Datum))| Column {
            name: format!("f{number}"),
            ..anonymous(field)
        };
        let columns = (1..).zip(&found).map(column).collect();
        let fields = found.into_iter().map(|(_, field)| field).collect();
        Ok(Self { columns, fields, anonymous: true, expected })
    }

    /// The row with the members of an object in it.
    fn populated(&self, raw: &str, cx: &TypeContext) -> Answer {
        self.stored(row(raw, &self.columns, &self.fields, cx)?, cx)
    }

    fn stored(&self, fields: Vec<Datum>, cx: &TypeContext) -> Answer {
        if let Some(expected) = &self.expected {
            require_columns(&self.columns, expected, cx)?;
        }
        if self.anonymous {
            return Ok(stored(&self.columns, fields));
        }
        let types = self.columns.iter().map(|column| column.type_oid);
        let fields: Vec<(Oid, Datum)> = types.zip(fields).collect();
        Ok(Datum::Text(record::to_storage(&fields, cx)))
    }
}

/// 42804 unless the columns are those that the query expects.
fn require_columns(
    columns: &[Column],
    expected: &[Column],
    cx: &TypeContext,
) -> Result<(), SqlError> {
    let (returned, asked) = (columns.len(), expected.len());
    let detail = if returned == asked {
        let mut pairs = (1..).zip(columns.iter().zip(expected));
        pairs.find(|(_, (column, it))| column.type_oid != it.type_oid).map(
            |(number, (column, it))| {
                format!(
                    "Returned type {} at ordinal position {number}, but query expects {}.",
                    record::format_type(column.type_oid, cx),
                    record::format_type(it.type_oid, cx)
                )
            },
        )
    } else {
        let plural = if returned == 1 { "attribute" } else { "attributes" };
        Some(format!("Returned row contains {returned} {plural}, but query expects {asked}."))
    };
    let Some(detail) = detail else { return Ok(()) };
    let message = "function return row and query-specified return row do not match";
    Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_detail(detail))
}

/// Refuses a row that does not have the columns of the definitions that the binder passes.
///
/// # Errors
/// 42804, as PostgreSQL says it.
pub(in crate::functions) fn require_defined(
    row: &str,
    defined: &str,
    cx: &TypeContext,
) -> Result<(), SqlError> {
    let found = record::fields(Oid::RECORD, row, cx)?;
    let columns: Vec<Column> = found.iter().map(anonymous).collect();
    require_columns(&columns, &definitions(defined)?, cx)
}

/// A column that has a type only.
fn anonymous((type_oid, _): &(Oid, Datum)) -> Column {
    Column { name: String::new(), type_oid: *type_oid, typmod: -1 }
}

fn populate(call: &Call, function: &str) -> Answer {
    if call.is_null(0) && call.is_null(1) && definitions_at(call, function).is_none() {
        let type_oid = call.oid(call.len().saturating_sub(1))?;
        let anonymous = type_oid == Oid::RECORD;
        return if anonymous { Err(no_row_type(function)) } else { Ok(Datum::Null) };
    }
    call.session.with_types(|cx| {
        let given = Given::of(call, function, cx)?;
        if call.is_null(1) {
            return given.stored(given.fields.clone(), cx);
        }
        given.populated(call.text(1)?, cx)
    })
}

fn populate_set(call: &Call, function: &str) -> Result<Rows, SqlError> {
    if call.is_null(1) {
        return Ok(Box::new(std::iter::empty()));
    }
    let found = call.session.with_types(|cx| {
        let given = Given::of(call, function, cx)?;
        let fields = |raw: &&str| Ok(vec![given.populated(raw, cx)?]);
        objects(call.text(1)?, function)?.iter().map(fields).collect::<Result<Vec<_>, SqlError>>()
    })?;
    Ok(Box::new(found.into_iter().map(Ok)))
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_json_to_record", |call| to_record(call, "json_to_record")).stable(),
    ScalarFunction::strict("pg_jsonb_to_record", |call| to_record(call, "jsonb_to_record"))
        .stable(),
    ScalarFunction::lax("pg_json_populate_record", |call| populate(call, "json_populate_record"))
        .stable(),
    ScalarFunction::lax("pg_jsonb_populate_record", |call| populate(call, "jsonb_populate_record"))
        .stable(),
];

/// This file's set-returning functions.
pub(in crate::functions) const SET_RETURNING: &[SetReturningFunction] = &[
    SetReturningFunction {
        name: "pg_srf_json_to_recordset",
        columns: 1,
        strict: false,
        body: |call| to_record_set(call, "json_to_recordset"),
    },
    SetReturningFunction {
        name: "pg_srf_jsonb_to_recordset",
        columns: 1,
        strict: false,
        body: |call| to_record_set(call, "jsonb_to_recordset"),
    },
    SetReturningFunction {
        name: "pg_srf_json_populate_recordset",
        columns: 1,
        strict: false,
        body: |call| populate_set(call, "json_populate_recordset"),
    },
    SetReturningFunction {
        name: "pg_srf_jsonb_populate_recordset",
        columns: 1,
        strict: false,
        body: |call| populate_set(call, "jsonb_populate_recordset"),
    },
];
