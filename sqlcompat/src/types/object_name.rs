//! The reg* types: OIDs that are read and written as the names of what they stand for.

use super::{ObjectClass, TypeContext, record, scalar};
use crate::builtin;
use crate::catalog::identifiers;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The catalog that a reg* type names objects of.
#[must_use]
pub fn object_class(type_oid: Oid) -> Option<ObjectClass> {
    Some(match type_oid {
        Oid::REGCLASS => ObjectClass::Relation,
        Oid::REGTYPE => ObjectClass::Type,
        Oid::REGPROC => ObjectClass::Function,
        Oid::REGPROCEDURE => ObjectClass::FunctionSignature,
        Oid::REGOPER => ObjectClass::Operator,
        Oid::REGOPERATOR => ObjectClass::OperatorSignature,
        Oid::REGNAMESPACE => ObjectClass::Namespace,
        Oid::REGROLE => ObjectClass::Role,
        Oid::REGCOLLATION => ObjectClass::Collation,
        Oid::REGCONFIG => ObjectClass::TextSearchConfiguration,
        Oid::REGDICTIONARY => ObjectClass::TextSearchDictionary,
        _ => return None,
    })
}

/// Reads a reg* value: a number, `-` for none, or a name.
///
/// # Errors
/// What the catalog says of a name that it does not have.
pub(super) fn parse(class: ObjectClass, text: &str, cx: &TypeContext) -> Result<i64, SqlError> {
    if text == "-" {
        return Ok(0);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return scalar::parse_oid(text, "oid");
    }
    if let Some(found) = cx.names.object_oid(class, text) {
        return Ok(i64::from(found.0));
    }
    let shown = check_name(class, text, cx)?;
    let (state, message) = match class {
        ObjectClass::Relation => {
            (SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
        }
        ObjectClass::Function if cx.names.is_ambiguous(class, text) => {
            (SqlState::AMBIGUOUS_FUNCTION, format!("more than one function named \"{text}\""))
        }
        ObjectClass::Function | ObjectClass::FunctionSignature => {
            (SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"))
        }
        ObjectClass::Operator if cx.names.is_ambiguous(class, text) => {
            (SqlState::AMBIGUOUS_FUNCTION, format!("more than one operator named {text}"))
        }
        ObjectClass::Operator | ObjectClass::OperatorSignature => {
            (SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}"))
        }
        ObjectClass::Namespace => {
            (SqlState::INVALID_SCHEMA_NAME, format!("schema \"{shown}\" does not exist"))
        }
        ObjectClass::Role => {
            (SqlState::UNDEFINED_OBJECT, format!("role \"{shown}\" does not exist"))
        }
        ObjectClass::Type => {
            (SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"))
        }
        ObjectClass::Collation => (
            SqlState::UNDEFINED_OBJECT,
            format!("collation \"{shown}\" for encoding \"UTF8\" does not exist"),
        ),
        ObjectClass::TextSearchConfiguration => (
            SqlState::UNDEFINED_OBJECT,
            format!("text search configuration \"{shown}\" does not exist"),
        ),
        ObjectClass::TextSearchDictionary => (
            SqlState::UNDEFINED_OBJECT,
            format!("text search dictionary \"{shown}\" does not exist"),
        ),
    };
    Err(SqlError::new(state, message))
}

/// Refuses text that cannot be such a name, and a schema that does not exist; the name as errors show it.
fn check_name(class: ObjectClass, text: &str, cx: &TypeContext) -> Result<String, SqlError> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let name = match class {
        ObjectClass::Relation
        | ObjectClass::Namespace
        | ObjectClass::Role
        | ObjectClass::Collation
        | ObjectClass::TextSearchConfiguration
        | ObjectClass::TextSearchDictionary => text,
        ObjectClass::Function | ObjectClass::FunctionSignature | ObjectClass::Type => {
            text.split('(').next().unwrap_or(text)
        }
        ObjectClass::Operator => text.rsplit_once('.').map_or("", |(schema, _)| schema),
        // An operator with its operands is looked up without asking for its schema first.
        ObjectClass::OperatorSignature => "",
    };
    let parts = match (identifiers(name), class) {
        (Some(parts), _) => parts,
        (
            None,
            ObjectClass::Function
            | ObjectClass::FunctionSignature
            | ObjectClass::Type
            | ObjectClass::Operator
            | ObjectClass::OperatorSignature,
        ) => return Ok(text.to_owned()),
        (None, _) => return Err(invalid()),
    };
    let single = matches!(class, ObjectClass::Namespace | ObjectClass::Role);
    if single && parts.len() != 1 {
        return Err(invalid());
    }
    let schema = match class {
        ObjectClass::Operator => parts.last(),
        _ => parts.len().checked_sub(2).and_then(|at| parts.get(at)),
    };
    if let Some(schema) = schema.filter(|schema| !cx.names.has_schema(schema)) {
        let message = format!("schema \"{schema}\" does not exist");
        return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
    }
    Ok(parts.join("."))
}

/// Appends the name behind a reg* value: `-` for 0, the number if there is no such object.
pub(super) fn write(type_oid: Oid, oid: i64, cx: &TypeContext, out: &mut String) {
    if oid == 0 {
        out.push('-');
        return;
    }
    let name = object_class(type_oid).and_then(|class| {
        let oid = Oid(u32::try_from(oid).ok()?);
        if class == ObjectClass::Type {
            let known = builtin::type_by_oid(oid).is_some() || cx.names.type_name(oid).is_some();
            return known.then(|| record::format_type(oid, cx));
        }
        cx.names.object_name(class, oid)
    });
    out.push_str(&name.unwrap_or_else(|| oid.to_string()));
}
