//! The JSON of `trellis_schema.definition`, one structure per kind of object.
//!
//! References to other user objects are object ids, never names or OIDs, so that a rename touches one row. Texts of expressions
//! name columns; beside them stands which columns the names meant when they were written ([`ColumnNames`]), and they are read
//! with the names that these columns have by then. Built-in types are PostgreSQL's OIDs. Members that this version does not know are kept in `other` and written back unchanged, so that an
//! older node may edit what a newer one made. A definition that does not parse reads as the default one: a broken row
//! must not take the rest of the schema with it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::row::{ObjectId, SchemaRow};
use super::seen::SeenRelation;
use super::stored_text::NameUse;
use crate::datum::Datum;

/// Members that this version does not know.
pub(super) type Other = Map<String, Value>;

/// The columns of the table, by the names that texts beside it call them by: names to ids.
pub(super) type ColumnNames = BTreeMap<String, i64>;

/// Reads a definition, leniently.
pub(super) fn read<T: DeserializeOwned + Default>(definition: &str) -> T {
    serde_json::from_str(definition).unwrap_or_default()
}

/// Writes a definition.
pub(super) fn write<T: Serialize>(definition: &T) -> String {
    serde_json::to_string(definition).unwrap_or_else(|_| "{}".to_owned())
}

/// A type with its modifier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TypeReference {
    /// OID of a built-in type (an array type too), 0 if it is a user type.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) oid: u32,
    /// Object id of a user type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<i64>,
    /// The multirange type of the range type `user`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) multirange: bool,
    /// The array over `user`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) array: bool,
    /// Type modifier, absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) typmod: Option<i32>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A value in storage form, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StoredValue {
    /// SQL NULL.
    Null,
    /// Integer storage.
    Integer(i64),
    /// The bits of a floating-point number, which JSON text need not keep.
    Real(u64),
    /// Text storage.
    Text(String),
    /// Blob storage, as hexadecimal digits.
    Blob(String),
}

impl From<&Datum> for StoredValue {
    fn from(datum: &Datum) -> Self {
        match datum {
            Datum::Null => Self::Null,
            Datum::Integer(integer) => Self::Integer(*integer),
            Datum::Real(real) => Self::Real(real.to_bits()),
            Datum::Text(text) => Self::Text(text.clone()),
            Datum::Blob(blob) => {
                Self::Blob(blob.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        }
    }
}

impl StoredValue {
    /// The value as a SQLite literal.
    pub(super) fn to_sqlite_literal(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
            Self::Integer(integer) => integer.to_string(),
            Self::Real(bits) => sqlite_real(f64::from_bits(*bits)),
            Self::Text(text) => super::physical::quote_literal(text),
            Self::Blob(hex) => format!("x'{hex}'"),
        }
    }
}

/// A floating-point number as SQLite reads it.
fn sqlite_real(real: f64) -> String {
    if real == f64::INFINITY {
        "9e999".to_owned()
    } else if real == f64::NEG_INFINITY {
        "-9e999".to_owned()
    } else {
        format!("{real:?}")
    }
}

/// A table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TableDefinition {
    /// Id of the constraint whose columns are SQLite's and the store's key, fixed when the table is created; absent for a
    /// table with a hidden key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<i64>,
    /// What happens to a temporary table's rows at COMMIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_commit: Option<OnCommit>,
    /// Storage options: `name=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) options: Vec<String>,
    /// Id of the index or constraint that the table was last clustered by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clustered_on: Option<i64>,
    /// REPLICA IDENTITY other than DEFAULT: `full`, `nothing`, or the id of an index or constraint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replica_identity: Option<String>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// `ON COMMIT` of a temporary table, where it is not `PRESERVE ROWS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCommit {
    /// `DELETE ROWS`.
    DeleteRows,
    /// `DROP`.
    Drop,
}

/// A column.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ColumnDefinition {
    /// Rank in the table when it was made; attribute numbers follow (ordinal, id) over all columns, dropped ones too.
    pub(super) ordinal: i16,
    /// Type.
    #[serde(rename = "type")]
    pub(super) data_type: TypeReference,
    /// NOT NULL by itself; a PRIMARY KEY adds its own.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) not_null: bool,
    /// DEFAULT, PostgreSQL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
    /// GENERATED ALWAYS AS (…) STORED, PostgreSQL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generated: Option<String>,
    /// Identity: true is ALWAYS, false BY DEFAULT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identity_always: Option<bool>,
    /// Sequence of an identity column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<i64>,
    /// Collation as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collation: Option<String>,
    /// What rows hold that were written before the column was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<StoredValue>,
    /// PostgreSQL text that turns values of the previous type into this one, set by the last change of type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) using: Option<String>,
    /// Columns that `generated` or `using` names.
    #[serde(skip_serializing_if = "ColumnNames::is_empty")]
    pub(super) names: ColumnNames,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// What a constraint demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConstraintType {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE.
    Unique,
    /// CHECK.
    #[default]
    Check,
    /// FOREIGN KEY.
    Foreign,
}

/// A constraint of a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ConstraintDefinition {
    /// What it demands.
    #[serde(rename = "type")]
    pub(super) constraint_type: ConstraintType,
    /// Its columns' ids, in key order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) columns: Vec<i64>,
    /// Condition of a CHECK, PostgreSQL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    /// Columns that `expression` names.
    #[serde(skip_serializing_if = "ColumnNames::is_empty")]
    pub(super) names: ColumnNames,
    /// Referenced table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) references: Option<i64>,
    /// Referenced columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) referenced_columns: Vec<i64>,
    /// ON DELETE, absent for NO ACTION.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_delete: Option<Action>,
    /// ON UPDATE, absent for NO ACTION.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_update: Option<Action>,
    /// MATCH FULL.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) match_full: bool,
    /// DEFERRABLE.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) deferrable: bool,
    /// INITIALLY DEFERRED.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) deferred: bool,
    /// NULLS NOT DISTINCT.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) nulls_not_distinct: bool,
    /// NOT VALID: rows from before it were not checked.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) not_valid: bool,
    /// NO INHERIT.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) no_inherit: bool,
    /// INCLUDE columns' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) include: Vec<i64>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A referential action other than NO ACTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// RESTRICT.
    Restrict,
    /// CASCADE.
    Cascade,
    /// SET NULL.
    SetNull,
    /// SET DEFAULT.
    SetDefault,
}

/// An index that serves no constraint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct IndexDefinition {
    /// UNIQUE.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) unique: bool,
    /// Access method.
    pub(super) method: String,
    /// Keys in order.
    pub(super) keys: Vec<KeyDefinition>,
    /// INCLUDE columns' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) include: Vec<i64>,
    /// WHERE, PostgreSQL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) predicate: Option<String>,
    /// Columns that the expressions of `keys` and `predicate` name.
    #[serde(skip_serializing_if = "ColumnNames::is_empty")]
    pub(super) names: ColumnNames,
    /// NULLS NOT DISTINCT.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) nulls_not_distinct: bool,
    /// Storage options: `name=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) options: Vec<String>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// One key of an index: a column or an expression.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KeyDefinition {
    /// Column id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<i64>,
    /// PostgreSQL text of an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    /// DESC.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) descending: bool,
    /// NULLS FIRST.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) nulls_first: bool,
    /// Operator class as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator_class: Option<String>,
    /// Collation as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collation: Option<String>,
}

/// A view or materialized view.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ViewDefinition {
    /// PostgreSQL text of the query.
    pub(super) query: String,
    /// The names of relations and types in it, with their ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) names: Vec<NameUse<i64>>,
    /// The columns of the relations in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<SeenRelation>,
    /// Output columns.
    pub(super) columns: Vec<ViewColumn>,
    /// Whether it is materialized.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) materialized: bool,
    /// Which rows of its table are a materialized view's: those of its last refresh; absent when it has not been populated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<i64>,
    /// Ids of the relations and types that the query names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) depends_on: Vec<i64>,
    /// Options: `name=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) options: Vec<String>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// One output column of a view.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ViewColumn {
    /// Name.
    pub(super) name: String,
    /// Type.
    #[serde(rename = "type")]
    pub(super) data_type: TypeReference,
    /// Text of its default, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
}

/// A sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SequenceDefinition {
    /// OID of int2, int4 or int8.
    #[serde(rename = "type")]
    pub(super) data_type: u32,
    /// START.
    pub(super) start: i64,
    /// INCREMENT.
    pub(super) increment: i64,
    /// MINVALUE.
    pub(super) min_value: i64,
    /// MAXVALUE.
    pub(super) max_value: i64,
    /// CACHE.
    pub(super) cache: i64,
    /// CYCLE.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) cycle: bool,
    /// OWNED BY: id of the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owned_by: Option<i64>,
    /// Made for an identity column: it cannot be dropped by itself.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) internal: bool,
    #[serde(flatten)]
    pub(super) other: Other,
}

impl Default for SequenceDefinition {
    fn default() -> Self {
        Self {
            data_type: crate::oid::Oid::INT8.0,
            start: 1,
            increment: 1,
            min_value: 1,
            max_value: i64::MAX,
            cache: 1,
            cycle: false,
            owned_by: None,
            internal: false,
            other: Other::new(),
        }
    }
}

/// A range type and the multirange type over it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RangeDefinition {
    /// Type of the bounds.
    pub(super) subtype: TypeReference,
    /// Name of the multirange type.
    pub(super) multirange: String,
    /// Collation as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collation: Option<String>,
    /// The function that `subtype_diff` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subtype_diff: Option<String>,
}

/// A user type: a composite type if it has `fields`, a range type if it has a `range`, a domain if it has a `base`, an enum
/// otherwise.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TypeDefinition {
    /// Labels of an enum in order, as values store them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) labels: Vec<String>,
    /// The present names of those that were renamed: what is stored stays.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) renamed: BTreeMap<String, String>,
    /// Base type of a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<TypeReference>,
    /// NOT NULL of a domain.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) not_null: bool,
    /// DEFAULT of a domain, PostgreSQL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
    /// CHECK constraints of a domain: name and PostgreSQL text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) checks: Vec<(String, String)>,
    /// Names and types of the fields of a composite type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fields: Option<Vec<(String, TypeReference)>>,
    /// What a range type is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) range: Option<RangeDefinition>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A parameter of a function.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ParameterDefinition {
    /// Name; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// `i` IN, `o` OUT, `b` INOUT, `v` VARIADIC, `t` a column of TABLE.
    pub(super) mode: String,
    /// Type.
    #[serde(rename = "type")]
    pub(super) data_type: TypeReference,
    /// Default, PostgreSQL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
}

/// A function or procedure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FunctionDefinition {
    /// `CREATE PROCEDURE`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) procedure: bool,
    /// Parameters in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<ParameterDefinition>,
    /// Result type.
    pub(super) result: TypeReference,
    /// Returns a set.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) returns_set: bool,
    /// `STRICT`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) strict: bool,
    /// `i` IMMUTABLE, `s` STABLE, anything else VOLATILE.
    pub(super) volatility: String,
    /// `LEAKPROOF`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) leakproof: bool,
    /// `SECURITY DEFINER`.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) security_definer: bool,
    /// `PARALLEL`: `u`, `r` or `s`.
    pub(super) parallel: String,
    /// `COST`, the bits of a floating-point number, if it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<u64>,
    /// `ROWS`, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
    /// The body, as written.
    pub(super) body: String,
    /// The body is SQL-standard.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) standard: bool,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A comment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CommentDefinition {
    /// Its text.
    pub(super) text: String,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RoleDefinition {
    /// SUPERUSER.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) superuser: bool,
    /// CREATEDB.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) create_database: bool,
    /// CREATEROLE.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) create_role: bool,
    /// INHERIT.
    pub(super) inherit: bool,
    /// LOGIN.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) login: bool,
    /// REPLICATION.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) replication: bool,
    /// BYPASSRLS.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) bypass_row_security: bool,
    /// CONNECTION LIMIT; -1 for none.
    pub(super) connection_limit: i32,
    /// What is kept of the password: never the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<String>,
    /// VALID UNTIL, microseconds since 2000-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) valid_until: Option<i64>,
    /// Settings of its sessions, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) settings: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(super) other: Other,
}

impl Default for RoleDefinition {
    fn default() -> Self {
        Self {
            superuser: false,
            create_database: false,
            create_role: false,
            inherit: true,
            login: false,
            replication: false,
            bypass_row_security: false,
            connection_limit: -1,
            password: None,
            valid_until: None,
            settings: BTreeMap::new(),
            other: Other::new(),
        }
    }
}

/// Membership in a role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct MembershipDefinition {
    /// Id of the member.
    pub(super) member: i64,
    /// WITH ADMIN OPTION.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) admin: bool,
    /// Id of who granted it; absent for the bootstrap superuser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grantor: Option<i64>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// The owner, a member of the definitions of all objects that have one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Ownership {
    /// Id of the role; absent for the bootstrap superuser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<i64>,
    #[serde(flatten)]
    pub(super) other: Other,
}

/// The role that a row names as its object's owner.
pub(super) fn owner(row: &SchemaRow) -> Option<ObjectId> {
    // Most rows have none, and need not be read for it.
    if !row.definition.contains("\"owner\":") {
        return None;
    }
    let ownership: Ownership = read(&row.definition);
    ownership.owner.map(ObjectId)
}
