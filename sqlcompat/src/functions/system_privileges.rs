//! `has_*_privilege`, `pg_has_role`, `acldefault`.
//!
//! Superusers may do everything, an owner everything with what is its own, and nobody else anything, as long as privileges
//! cannot be granted. What is asked about must exist all the same, by the rules of PostgreSQL: an unknown name is an error,
//! an unknown OID is NULL.

use super::call::boolean;
use super::system_visibility::{relation_argument, role_name, role_oid, with_names};
use super::{Call, ScalarFunction};
use crate::catalog::{identifiers, json_array};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// What a privilege is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Table,
    AnyColumn,
    Sequence,
    Schema,
    Database,
    Function,
    Language,
    Tablespace,
    Type,
    Wrapper,
    Server,
    Parameter,
}

impl Target {
    /// Privileges that exist on it.
    fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Table => {
                &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
            }
            Self::AnyColumn => &["SELECT", "INSERT", "UPDATE", "REFERENCES"],
            Self::Sequence => &["USAGE", "SELECT", "UPDATE"],
            Self::Schema => &["CREATE", "USAGE"],
            Self::Database => &["CREATE", "TEMPORARY", "TEMP", "CONNECT"],
            Self::Function => &["EXECUTE"],
            Self::Language | Self::Type | Self::Wrapper | Self::Server => &["USAGE"],
            Self::Tablespace => &["CREATE"],
            Self::Parameter => &["SET", "ALTER SYSTEM"],
        }
    }
}

/// The six shapes of one function: role and object by name or by OID, or the object alone.
macro_rules! six {
    ($name:literal, $target:ident) => {
        [
            ScalarFunction::strict(concat!("pg_has_", $name, "_privilege_name_name"), |call| {
                privilege(call, Target::$target, true)
            })
            .stable(),
            ScalarFunction::strict(concat!("pg_has_", $name, "_privilege_name_id"), |call| {
                privilege(call, Target::$target, true)
            })
            .stable(),
            ScalarFunction::strict(concat!("pg_has_", $name, "_privilege_id_name"), |call| {
                privilege(call, Target::$target, true)
            })
            .stable(),
            ScalarFunction::strict(concat!("pg_has_", $name, "_privilege_id_id"), |call| {
                privilege(call, Target::$target, true)
            })
            .stable(),
            ScalarFunction::strict(concat!("pg_has_", $name, "_privilege_name"), |call| {
                privilege(call, Target::$target, false)
            })
            .stable(),
            ScalarFunction::strict(concat!("pg_has_", $name, "_privilege_id"), |call| {
                privilege(call, Target::$target, false)
            })
            .stable(),
        ]
    };
}

macro_rules! column {
    ($suffix:literal, $with_role:literal) => {
        ScalarFunction::strict(concat!("pg_has_column_privilege_", $suffix), |call| {
            column_privilege(call, $with_role)
        })
        .stable()
    };
}

/// The functions of this file, one table per kind of object.
pub(crate) const FUNCTIONS: &[&[ScalarFunction]] = &[
    &six!("table", Table),
    &six!("any_column", AnyColumn),
    &six!("sequence", Sequence),
    &six!("schema", Schema),
    &six!("database", Database),
    &six!("function", Function),
    &six!("language", Language),
    &six!("tablespace", Tablespace),
    &six!("type", Type),
    &six!("foreign_data_wrapper", Wrapper),
    &six!("server", Server),
    &[
        ScalarFunction::strict("pg_has_parameter_privilege_name_name", |call| {
            privilege(call, Target::Parameter, true)
        })
        .stable(),
        ScalarFunction::strict("pg_has_parameter_privilege_id_name", |call| {
            privilege(call, Target::Parameter, true)
        })
        .stable(),
        ScalarFunction::strict("pg_has_parameter_privilege_name", |call| {
            privilege(call, Target::Parameter, false)
        })
        .stable(),
    ],
    &[
        column!("name_name_name", true),
        column!("name_name_attnum", true),
        column!("name_id_name", true),
        column!("name_id_attnum", true),
        column!("id_name_name", true),
        column!("id_name_attnum", true),
        column!("id_id_name", true),
        column!("id_id_attnum", true),
        column!("name_name", false),
        column!("name_attnum", false),
        column!("id_name", false),
        column!("id_attnum", false),
    ],
    &[
        ScalarFunction::strict("pg_pg_has_role_name_name", |call| has_role(call, true)).stable(),
        ScalarFunction::strict("pg_pg_has_role_name_id", |call| has_role(call, true)).stable(),
        ScalarFunction::strict("pg_pg_has_role_id_name", |call| has_role(call, true)).stable(),
        ScalarFunction::strict("pg_pg_has_role_id_id", |call| has_role(call, true)).stable(),
        ScalarFunction::strict("pg_pg_has_role_name", |call| has_role(call, false)).stable(),
        ScalarFunction::strict("pg_pg_has_role_id", |call| has_role(call, false)).stable(),
        ScalarFunction::strict("pg_acldefault_sql", default_privileges),
        ScalarFunction::strict("pg_row_security_active", |_| Ok(boolean(false))).stable(),
        ScalarFunction::strict("pg_row_security_active_name", |_| Ok(boolean(false))).stable(),
    ],
];

/// The role that an argument names, by name or by OID; `None` for `public`.
///
/// # Errors
/// 42704 for a name that is none.
fn role_argument(call: &Call, index: usize) -> Result<Option<Oid>, SqlError> {
    if let DatumRef::Integer(_) = call.datum(index) {
        return call.oid(index).map(Some);
    }
    let name = call.text(index)?;
    if name == "public" {
        return Ok(None);
    }
    role_oid(call, name).map(Some).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
    })
}

/// Whether the role of an argument is a superuser.
fn is_superuser(call: &Call, index: usize) -> Result<bool, SqlError> {
    let role = role_argument(call, index)?;
    Ok(role.is_some_and(|role| call.session.state().catalog.roles.is_superuser(role)))
}

/// Every privilege in the list must be one of `known`, with or without its grant option.
fn check_privileges(list: &str, known: &[&str]) -> Result<(), SqlError> {
    for privilege in list.split(',') {
        let upper = privilege.trim().to_ascii_uppercase();
        let plain = upper
            .strip_suffix(" WITH GRANT OPTION")
            .or_else(|| upper.strip_suffix(" WITH ADMIN OPTION"))
            .unwrap_or(&upper);
        if !known.contains(&plain) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized privilege type: \"{}\"", privilege.trim()),
            ));
        }
    }
    Ok(())
}

fn privilege(call: &Call, target: Target, with_role: bool) -> Result<Datum, SqlError> {
    let at = usize::from(with_role);
    let allowed = !with_role || is_superuser(call, 0)?;
    let exists = object_exists(call, at, target)?;
    check_privileges(call.text(at + 1)?, target.privileges())?;
    Ok(if exists { boolean(allowed) } else { Datum::Null })
}

/// Whether there is an object with the OID that the argument is; a name that is none is an error.
fn object_exists(call: &Call, index: usize, target: Target) -> Result<bool, SqlError> {
    if matches!(target, Target::Table | Target::AnyColumn | Target::Sequence) {
        return Ok(relation_argument(call, index)?.is_some());
    }
    if let DatumRef::Integer(_) = call.datum(index) {
        let oid = call.oid(index)?;
        return Ok(with_names(call, |names| match target {
            Target::Schema => names.namespace_name(oid).is_some(),
            Target::Type => names.types().info(oid).is_some(),
            Target::Function => names.function_text(oid).is_some(),
            Target::Table | Target::AnyColumn | Target::Sequence => false,
            Target::Database
            | Target::Language
            | Target::Tablespace
            | Target::Wrapper
            | Target::Server
            | Target::Parameter => oid != Oid(0),
        }));
    }
    let text = call.text(index)?;
    let unquoted = identifiers(text).and_then(|mut it| it.pop()).unwrap_or_default();
    let database = call.session.state().database.clone();
    let (known, state, message) = with_names(call, |names| match target {
        Target::Schema => (
            names.namespace_oid(text).is_some(),
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{text}\" does not exist"),
        ),
        Target::Database => (
            text == database,
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{text}\" does not exist"),
        ),
        Target::Type => (
            names.type_oid(text).is_some(),
            SqlState::UNDEFINED_OBJECT,
            format!("type \"{text}\" does not exist"),
        ),
        Target::Function => (
            names.function_oid(text).is_some(),
            SqlState::UNDEFINED_FUNCTION,
            format!("function \"{text}\" does not exist"),
        ),
        Target::Language => (
            matches!(unquoted.as_str(), "internal" | "c" | "sql"),
            SqlState::UNDEFINED_OBJECT,
            format!("language \"{text}\" does not exist"),
        ),
        Target::Tablespace => (
            matches!(text, "pg_default" | "pg_global"),
            SqlState::UNDEFINED_OBJECT,
            format!("tablespace \"{text}\" does not exist"),
        ),
        Target::Wrapper => (
            false,
            SqlState::UNDEFINED_OBJECT,
            format!("foreign-data wrapper \"{text}\" does not exist"),
        ),
        Target::Server => {
            (false, SqlState::UNDEFINED_OBJECT, format!("server \"{text}\" does not exist"))
        }
        Target::Parameter | Target::Table | Target::AnyColumn | Target::Sequence => {
            (true, SqlState::UNDEFINED_OBJECT, String::new())
        }
    });
    if known { Ok(true) } else { Err(SqlError::new(state, message)) }
}

fn column_privilege(call: &Call, with_role: bool) -> Result<Datum, SqlError> {
    let at = usize::from(with_role);
    let allowed = !with_role || is_superuser(call, 0)?;
    let Some(oid) = relation_argument(call, at)? else { return Ok(Datum::Null) };
    let state = call.session.state();
    if let (DatumRef::Text(column), Some(table)) =
        (call.datum(at + 1), state.catalog.tables.get(&oid))
        && table.column_by_name(column).is_none()
    {
        return Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{}\" does not exist", table.name),
        ));
    }
    check_privileges(call.text(at + 2)?, Target::AnyColumn.privileges())?;
    Ok(boolean(allowed))
}

/// Membership in a role: by itself (`MEMBER`), or with its privileges (`USAGE`).
fn has_role(call: &Call, with_role: bool) -> Result<Datum, SqlError> {
    let at = usize::from(with_role);
    let state = call.session.state();
    let roles = &state.catalog.roles;
    let member = if with_role { role_argument(call, 0)? } else { Some(roles.acting(&state.user)) };
    let role = role_argument(call, at)?;
    let kinds = call.text(at + 1)?;
    check_privileges(kinds, &["USAGE", "MEMBER"])?;
    let Some((member, role)) = member.zip(role) else { return Ok(boolean(false)) };
    let has = |kind: &str| {
        let upper = kind.trim().to_ascii_uppercase();
        match upper.split_once(" WITH ") {
            Some(_) => roles.is_admin(member, role),
            None if upper == "USAGE" => roles.has_privileges_of(member, role),
            None => roles.is_member(member, role),
        }
    };
    Ok(boolean(kinds.split(',').any(has)))
}

/// The privileges that an object has while nobody granted or revoked any: the owner's, and PUBLIC's.
fn default_privileges(call: &Call) -> Result<Datum, SqlError> {
    let kind = call.text(0)?;
    let owner = call.oid(1)?;
    let owner = role_name(call, owner).unwrap_or_else(|| owner.to_string());
    let (public, own) = match kind {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "p" => ("", "sA"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        other => {
            return Err(SqlError::new(
                SqlState::INTERNAL_ERROR,
                format!("unrecognized object type abbreviation: {other}"),
            ));
        }
    };
    let mut entries = Vec::new();
    if !public.is_empty() {
        entries.push(Some(format!("={public}/{owner}")));
    }
    if !own.is_empty() {
        entries.push(Some(format!("{owner}={own}/{owner}")));
    }
    Ok(Datum::Text(json_array(&entries)))
}
