//! Conversions that belong to no row of `pg_proc`: through text, element by element, and rows.
//!
//! | function | does |
//! |---|---|
//! | `pg_in(text, type, typmod)` | input function of any type |
//! | `pg_out(value, type)` | output function of any type |
//! | `pg_convert(value, source, target, typmod)` | out, then in: the cast that PostgreSQL calls I/O conversion |
//! | `pg_array_cast(value, source, target, typmod)` | casts each element as `source`'s element to `target`'s |
//! | `pg_row(value, …, type, …)` | an anonymous record |
//! | `pg_named_row(value, …, type, …, name, …)` | an anonymous record whose fields have names |
//! | `pg_composite(value, …, type, …)` | a row of a named type |
//! | `pg_row_is_null(row, type, negated)` | whether all, or none, of the fields are NULL |
//! | `pg_row_field(row, type, position)` | a field of a row, from 1 |
//! | `pg_row_set(row, type, index, value)` | the row with a field, from 0, replaced; NULL counts as a row of NULLs |

use super::call::boolean;
use super::{Call, ScalarFunction};
use crate::builtin::{self, CastMethod};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::tables;
use crate::oid::Oid;
use crate::types::array::Array;
use crate::types::{TypeContext, codec, failure, record};

type Answer = Result<Datum, SqlError>;

fn input(call: &Call) -> Answer {
    let (text, type_oid) = (call.text(0)?, call.oid(1)?);
    let typmod = if call.is_null(2) { -1 } else { call.i32(2)? };
    call.session.with_types(|cx| codec::decode_text(type_oid, typmod, text, cx))
}

fn output(call: &Call) -> Answer {
    let type_oid = call.oid(1)?;
    call.session.with_types(|cx| codec::to_text(type_oid, call.datum(0), cx)).map(Datum::Text)
}

fn convert(call: &Call) -> Answer {
    let (source, target, typmod) = (call.oid(1)?, call.oid(2)?, call.i32(3)?);
    call.session.with_types(|cx| {
        let text = codec::to_text(source, call.datum(0), cx)?;
        codec::decode_text(target, typmod, &text, cx)
    })
}

fn array_cast(call: &Call) -> Answer {
    let (target, typmod) = (call.oid(2)?, call.i32(3)?);
    let (array, from) = super::array::read(call, 0, 1)?;
    call.session.with_types(|cx| {
        let to = codec::element_type(target, cx).ok_or_else(|| failure::wrong_storage("array"))?;
        let elements = array.elements.iter().map(|item| match item {
            Datum::Null => Ok(Datum::Null),
            item => cast_value(call, item.as_ref(), from, to, typmod, cx),
        });
        let elements = elements.collect::<Result<Vec<_>, _>>()?;
        Ok(Datum::Text(Array { elements, ..array }.to_storage()))
    })
}

/// Casts one value as `pg_cast` says: its function, the same form, or through text; then the type modifier.
fn cast_value(
    call: &Call,
    value: DatumRef<'_>,
    source: Oid,
    target: Oid,
    typmod: i32,
    cx: &TypeContext,
) -> Answer {
    let row = if source == target { None } else { builtin::cast(source, target) };
    let cast = match row.map(|row| (row.method, row.function)) {
        Some((CastMethod::Function, function)) => call_cast(call, value, function)?,
        Some((CastMethod::Binary, _)) => value.to_datum(),
        Some((CastMethod::InOut, _)) => through_text(value, source, target, typmod, cx)?,
        None if source == target => value.to_datum(),
        None => through_text(value, source, target, typmod, cx)?,
    };
    if typmod < 0 {
        return Ok(cast);
    }
    through_text(cast.as_ref(), target, target, typmod, cx)
}

fn call_cast(call: &Call, value: DatumRef<'_>, function: Oid) -> Answer {
    let name = builtin::function_by_oid(function).map(builtin::implementation_name);
    let found = name.as_deref().and_then(tables::find);
    let function = found.ok_or_else(|| SqlError::unsupported("this cast"))?;
    (function.body)(&Call {
        arguments: &[value, DatumRef::Integer(-1), DatumRef::Integer(1)],
        session: call.session,
    })
}

fn through_text(
    value: DatumRef<'_>,
    source: Oid,
    target: Oid,
    typmod: i32,
    cx: &TypeContext,
) -> Answer {
    let text = codec::to_text(source, value, cx)?;
    codec::decode_text(target, typmod, &text, cx)
}

fn row(call: &Call) -> Answer {
    let width = call.len() / 2;
    if width > record::FIELDS_MAX {
        return Err(SqlError::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("ROW expressions can have at most {} entries", record::FIELDS_MAX),
        ));
    }
    let fields = (0..width)
        .map(|index| Ok((call.oid(width + index)?, call.datum(index).to_datum())))
        .collect::<Result<Vec<_>, SqlError>>()?;
    Ok(Datum::Text(record::anonymous_to_storage(&fields)))
}

/// A row whose fields have names: values, then types, then names.
fn named_row(call: &Call) -> Answer {
    let width = call.len() / 3;
    let fields = (0..width)
        .map(|index| {
            let name = call.text(2 * width + index)?;
            Ok((call.oid(width + index)?, name, call.datum(index).to_datum()))
        })
        .collect::<Result<Vec<_>, SqlError>>()?;
    Ok(Datum::Text(record::named_to_storage(&fields)))
}

/// A row of a named type: values, then their types.
fn composite(call: &Call) -> Answer {
    let width = call.len() / 2;
    let fields = (0..width)
        .map(|index| Ok((call.oid(width + index)?, call.datum(index).to_datum())))
        .collect::<Result<Vec<_>, SqlError>>()?;
    call.session.with_types(|cx| Ok(Datum::Text(record::to_storage(&fields, cx))))
}

/// Whether all fields of a row are NULL, or whether none is.
fn row_is_null(call: &Call) -> Answer {
    let negated = call.bool(2)?;
    if call.is_null(0) {
        return Ok(boolean(!negated));
    }
    let (stored, type_oid) = (call.text(0)?, call.oid(1)?);
    let fields = call.session.with_types(|cx| record::fields(type_oid, stored, cx))?;
    let mut fields = fields.iter();
    Ok(boolean(fields.all(|(_, value)| (*value == Datum::Null) != negated)))
}

fn row_field(call: &Call) -> Answer {
    let (stored, type_oid) = (call.text(0)?, call.oid(1)?);
    let index = usize::try_from(call.i64(2)? - 1).unwrap_or(usize::MAX);
    call.session.with_types(|cx| record::field(type_oid, stored, index, cx))
}

fn row_set(call: &Call) -> Answer {
    let type_oid = call.oid(1)?;
    let index = usize::try_from(call.i64(2)?).unwrap_or(usize::MAX);
    call.session.with_types(|cx| {
        let mut fields = match call.datum(0) {
            DatumRef::Null => record::nulls(type_oid, cx),
            _ => record::fields(type_oid, call.text(0)?, cx)?,
        };
        if let Some((_, slot)) = fields.get_mut(index) {
            *slot = call.datum(3).to_datum();
        }
        Ok(Datum::Text(record::to_storage(&fields, cx)))
    })
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_in", input),
    ScalarFunction::strict("pg_out", output),
    ScalarFunction::strict("pg_convert", convert),
    ScalarFunction::strict("pg_array_cast", array_cast),
    ScalarFunction::lax("pg_row", row),
    ScalarFunction::lax("pg_named_row", named_row),
    ScalarFunction::lax("pg_composite", composite).stable(),
    ScalarFunction::lax("pg_row_is_null", row_is_null),
    ScalarFunction::strict("pg_row_field", row_field),
    ScalarFunction::lax("pg_row_set", row_set).stable(),
];
