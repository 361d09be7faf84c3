//! Names of catalog objects: `format_type`, `to_reg*`, `pg_*_is_visible`, schemas of the search path.

use super::call::boolean;
use super::{Call, ScalarFunction};
use crate::catalog::{NamedCatalog, Names, identifiers, json_array, qualified_name};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::TEMPORARY_NAMESPACE;
use crate::types::{ObjectClass, TypeNames};

/// The functions of this file.
pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_format_type", format_type).stable(),
    ScalarFunction::strict("pg_pg_table_is_visible", |call| {
        visible(call, |names, oid| names.relation_is_visible(oid))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_type_is_visible", |call| {
        visible(call, |names, oid| names.type_is_visible(oid))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_function_is_visible", |call| {
        visible(call, |names, oid| names.function_is_visible(oid))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_operator_is_visible", |call| {
        visible(call, |names, oid| names.operator_text(oid, false).map(|_| true))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_opclass_is_visible", |call| {
        named(call, NamedCatalog::OperatorClass)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_opfamily_is_visible", |call| {
        named(call, NamedCatalog::OperatorFamily)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_collation_is_visible", |call| {
        named(call, NamedCatalog::Collation)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_conversion_is_visible", |call| {
        named(call, NamedCatalog::Conversion)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_ts_parser_is_visible", |call| {
        named(call, NamedCatalog::TextSearchParser)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_ts_dict_is_visible", |call| {
        named(call, NamedCatalog::TextSearchDictionary)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_ts_template_is_visible", |call| {
        named(call, NamedCatalog::TextSearchTemplate)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_ts_config_is_visible", |call| {
        named(call, NamedCatalog::TextSearchConfiguration)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_statistics_obj_is_visible", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_to_regclass", |call| to_oid(call, relation_named)).stable(),
    ScalarFunction::strict("pg_to_regtype", |call| {
        to_oid(call, |names, text| names.type_oid(text))
    })
    .stable(),
    ScalarFunction::strict("pg_to_regproc", |call| {
        to_oid(call, |names, text| names.function_oid(text))
    })
    .stable(),
    ScalarFunction::strict("pg_to_regprocedure", |call| {
        to_oid(call, |names, text| names.function_oid(text))
    })
    .stable(),
    ScalarFunction::strict("pg_to_regoper", |call| {
        to_oid(call, |names, text| names.operator_oid(text))
    })
    .stable(),
    ScalarFunction::strict("pg_to_regoperator", |call| {
        to_oid(call, |names, text| names.operator_oid(text))
    })
    .stable(),
    ScalarFunction::strict("pg_to_regnamespace", to_regnamespace).stable(),
    ScalarFunction::strict("pg_to_regcollation", |call| to_oid(call, collation_named)).stable(),
    ScalarFunction::strict("pg_to_regrole", to_regrole).stable(),
    ScalarFunction::lax("pg_current_schema", current_schema).stable(),
    ScalarFunction::strict("pg_current_schemas", current_schemas).stable(),
    ScalarFunction::strict("pg_pg_get_userbyid", user_by_id).stable(),
    ScalarFunction::lax("pg_pg_my_temp_schema", my_temp_schema).stable(),
    ScalarFunction::strict("pg_pg_is_other_temp_schema", |_| Ok(boolean(false))).stable(),
];

/// Works with the names that the session sees.
pub(super) fn with_names<T>(call: &Call, work: impl FnOnce(Names<'_>) -> T) -> T {
    let state = call.session.state();
    work(Names::new(&state.catalog, &state.search_path))
}

/// An OID as a value.
pub(super) fn oid_datum(oid: Oid) -> Datum {
    Datum::Integer(i64::from(oid.0))
}

/// A text, or NULL.
pub(super) fn text_or_null(text: Option<String>) -> Datum {
    text.map_or(Datum::Null, Datum::Text)
}

fn format_type(call: &Call) -> Result<Datum, SqlError> {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let oid = call.oid(0)?;
    let typmod = if call.is_null(1) { None } else { Some(call.i32(1)?) };
    Ok(Datum::Text(with_names(call, |names| match typmod {
        Some(typmod) => names.types().format_with_typmod(oid, typmod),
        None => names.types().format(oid),
    })))
}

/// Whether an object is found without its schema; NULL if there is none.
fn visible(
    call: &Call,
    is_visible: impl FnOnce(Names<'_>, Oid) -> Option<bool>,
) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    Ok(with_names(call, |names| is_visible(names, oid)).map_or(Datum::Null, boolean))
}

/// The same for catalogs that have built-in rows only, all of them in `pg_catalog`.
fn named(call: &Call, catalog: NamedCatalog) -> Result<Datum, SqlError> {
    Ok(catalog.name(call.oid(0)?).map_or(Datum::Null, |_| boolean(true)))
}

/// `to_reg*`: NULL for what does not exist. Text that cannot be a name is refused.
fn to_oid(
    call: &Call,
    find: impl FnOnce(Names<'_>, &str) -> Option<Oid>,
) -> Result<Datum, SqlError> {
    let text = call.text(0)?;
    Ok(with_names(call, |names| find(names, text)).map_or(Datum::Null, oid_datum))
}

fn relation_named(names: Names<'_>, text: &str) -> Option<Oid> {
    let (schema, name) = qualified_name(text)?;
    names.relation_oid(schema.as_deref(), &name)
}

fn collation_named(names: Names<'_>, text: &str) -> Option<Oid> {
    names.object_oid(ObjectClass::Collation, text)
}

/// The one name that the text is.
///
/// # Errors
/// 42602 for anything else.
fn single_identifier(text: &str) -> Result<String, SqlError> {
    match identifiers(text).as_deref() {
        Some([name]) => Ok(name.clone()),
        _ => Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
    }
}

fn to_regrole(call: &Call) -> Result<Datum, SqlError> {
    let name = single_identifier(call.text(0)?)?;
    Ok(role_oid(call, &name).map_or(Datum::Null, oid_datum))
}

fn to_regnamespace(call: &Call) -> Result<Datum, SqlError> {
    let name = single_identifier(call.text(0)?)?;
    Ok(with_names(call, |names| names.namespace_oid(&name)).map_or(Datum::Null, oid_datum))
}

/// OID of a role.
pub(super) fn role_oid(call: &Call, name: &str) -> Option<Oid> {
    with_names(call, |names| names.role_oid(name))
}

/// Name of a role.
pub(super) fn role_name(call: &Call, oid: Oid) -> Option<String> {
    with_names(call, |names| names.role_name(oid).map(str::to_owned))
}

fn current_schema(call: &Call) -> Result<Datum, SqlError> {
    let first =
        with_names(call, |names| names.path(false).first().map(|(_, name)| (*name).to_owned()));
    Ok(text_or_null(first))
}

fn current_schemas(call: &Call) -> Result<Datum, SqlError> {
    let implicit = call.bool(0)?;
    Ok(Datum::Text(with_names(call, |names| {
        let path: Vec<_> = names.path(implicit).into_iter().map(|(_, name)| Some(name)).collect();
        json_array(&path)
    })))
}

fn user_by_id(call: &Call) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    let unknown = || format!("unknown (OID={oid})");
    Ok(Datum::Text(role_name(call, oid).unwrap_or_else(unknown)))
}

fn my_temp_schema(call: &Call) -> Result<Datum, SqlError> {
    let state = call.session.state();
    let has_any = state.catalog.tables.values().any(|it| it.namespace == TEMPORARY_NAMESPACE);
    Ok(oid_datum(if has_any { TEMPORARY_NAMESPACE } else { Oid(0) }))
}

/// The relation that an argument names, by text or by OID; `None` for an OID that is none.
///
/// # Errors
/// 42P01 for a name that is none, 42602 for text that is no name.
pub(super) fn relation_argument(call: &Call, index: usize) -> Result<Option<Oid>, SqlError> {
    if let DatumRef::Integer(_) = call.datum(index) {
        let oid = call.oid(index)?;
        let exists = with_names(call, |names| names.relation(oid).is_some());
        return Ok(exists.then_some(oid));
    }
    let text = call.text(index)?;
    let Some((schema, name)) = qualified_name(text) else {
        return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"));
    };
    let found = with_names(call, |names| names.relation_oid(schema.as_deref(), &name));
    let shown = match &schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name,
    };
    found.map(Some).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
    })
}
