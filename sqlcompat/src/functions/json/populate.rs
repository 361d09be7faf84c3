//! `pg_json_field(json, name, type, typmod)`: a member of an object as a value of a type, as `json_to_record` and its kin read
//! it.
//!
//! NULL where the object has no such member or a null. A string becomes a value by the type's input function, anything
//! else by that of its text; arrays element by element; `json` keeps the text as written.
//! Source: PostgreSQL's `populate_record_field` and below.

use super::read::raw_parts;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::{Call, ScalarFunction};
use crate::oid::Oid;
use crate::types::array::{Array, DIMENSIONS_MAX};
use crate::types::json::Json;
use crate::types::{TypeContext, codec};

/// A type to read JSON as, and the member that errors name.
struct Reader<'a> {
    name: &'a str,
    cx: &'a TypeContext<'a>,
}

fn field(call: &Call) -> Result<Datum, SqlError> {
    let (source, name, type_oid) = (call.text(0)?, call.text(1)?, call.oid(2)?);
    let typmod = call.i32(3)?;
    if !source.trim_start().starts_with('{') {
        let message = "cannot call populate_composite on a scalar";
        let message = if source.trim_start().starts_with('[') {
            "cannot call populate_composite on an array"
        } else {
            message
        };
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let member = raw_parts(source).into_iter().rfind(|(key, _)| key == name);
    let Some((_, text)) = member else { return Ok(Datum::Null) };
    call.session.with_types(|cx| Reader { name, cx }.value(text, type_oid, typmod))
}

impl Reader<'_> {
    fn value(&self, text: &str, type_oid: Oid, typmod: i32) -> Result<Datum, SqlError> {
        if text == "null" {
            return Ok(Datum::Null);
        }
        if type_oid == Oid::JSON || type_oid == Oid::JSONB {
            return codec::decode_text(type_oid, typmod, text, self.cx);
        }
        if text.starts_with('[')
            && let Some(element) = codec::element_type(type_oid, self.cx)
        {
            return self.array(text, element, typmod);
        }
        let plain = match text.as_bytes().first() {
            Some(b'"') => match Json::parse(text)? {
                Json::String(value) => value,
                other => other.to_string(),
            },
            _ => text.to_owned(),
        };
        let is_array = codec::element_type(type_oid, self.cx).is_some();
        if is_array && !text.starts_with('"') {
            return Err(SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "expected JSON array",
            )
            .with_hint(format!("See the value of key \"{}\".", self.name)));
        }
        codec::decode_text(type_oid, typmod, &plain, self.cx)
    }

    fn array(&self, text: &str, element: Oid, typmod: i32) -> Result<Datum, SqlError> {
        let mut array = Array::default();
        self.level(text, element, typmod, 0, &mut array)?;
        if array.elements.is_empty() {
            array.dimensions.clear();
        }
        Ok(Datum::Text(array.to_storage()))
    }

    /// Adds one level of a nested array; all of its parts must be as long as their siblings.
    fn level(
        &self,
        text: &str,
        element: Oid,
        typmod: i32,
        depth: usize,
        array: &mut Array,
    ) -> Result<(), SqlError> {
        if depth >= DIMENSIONS_MAX {
            return Err(SqlError::too_complex());
        }
        let parts = raw_parts(text);
        match array.dimensions.get(depth) {
            None => array.dimensions.push(parts.len()),
            Some(length) if *length == parts.len() => {}
            Some(_) => return Err(self.malformed()),
        }
        for (_, part) in parts {
            let nested = part.starts_with('[') && element != Oid::JSON && element != Oid::JSONB;
            if nested {
                self.level(part, element, typmod, depth + 1, array)?;
            } else if array.dimensions.len() > depth + 1 {
                return Err(self.malformed());
            } else {
                array.elements.push(self.value(part, element, typmod)?);
            }
        }
        Ok(())
    }

    fn malformed(&self) -> SqlError {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "malformed JSON array")
            .with_detail("Multidimensional arrays must have sub-arrays with matching dimensions.")
    }
}

/// The function.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] =
    &[ScalarFunction::strict("pg_json_field", field).stable()];
