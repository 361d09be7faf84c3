//! Views, sequences and types, as they are made.

use super::super::type_name::TypeName;
use super::{ObjectName, StorageOptions};
use crate::schema::CheckOption;

/// `CREATE VIEW`.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// Name.
    pub name: ObjectName,
    /// `TEMPORARY`.
    pub temporary: bool,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `MATERIALIZED`.
    pub materialized: bool,
    /// `IF NOT EXISTS`, of materialized views.
    pub if_not_exists: bool,
    /// Column names, as many as given.
    pub columns: Vec<String>,
    /// `WITH (…)`.
    pub options: StorageOptions,
    /// `WITH … CHECK OPTION`.
    pub check: Option<CheckOption>,
    /// Text of the query.
    pub query: String,
    /// `WITH NO DATA`.
    pub no_data: bool,
}

/// The forms of `CREATE VIEW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewForm {
    /// `VIEW`.
    Plain,
    /// `RECURSIVE VIEW`.
    Recursive,
    /// `MATERIALIZED VIEW`.
    Materialized,
}

/// `CREATE SEQUENCE`.
#[derive(Clone, Debug)]
pub struct CreateSequence {
    /// Name.
    pub name: ObjectName,
    /// `TEMPORARY`.
    pub temporary: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Options.
    pub options: SequenceOptions,
}

/// Options of a sequence; `None` where not given.
#[derive(Clone, Debug, Default)]
pub struct SequenceOptions {
    /// `AS type`.
    pub data_type: Option<TypeName>,
    /// `START`.
    pub start: Option<i64>,
    /// `INCREMENT`.
    pub increment: Option<i64>,
    /// `MINVALUE`; `Some(None)` is `NO MINVALUE`.
    pub min_value: Option<Option<i64>>,
    /// `MAXVALUE`; `Some(None)` is `NO MAXVALUE`.
    pub max_value: Option<Option<i64>>,
    /// `CACHE`.
    pub cache: Option<i64>,
    /// `CYCLE`, `NO CYCLE`.
    pub cycle: Option<bool>,
    /// `OWNED BY table.column`; `Some(None)` is `NONE`.
    pub owned_by: Option<Option<(ObjectName, String)>>,
    /// `RESTART [WITH n]`; `Some(None)` is at the start value.
    pub restart: Option<Option<i64>>,
    /// `SEQUENCE NAME`, of identity columns.
    pub name: Option<ObjectName>,
}

/// `CREATE TYPE … AS RANGE`.
#[derive(Clone, Debug)]
pub struct CreateRange {
    /// Name.
    pub name: ObjectName,
    /// `subtype`.
    pub subtype: TypeName,
    /// `subtype_diff`.
    pub subtype_diff: Option<ObjectName>,
    /// `collation`.
    pub collation: Option<ObjectName>,
    /// `multirange_type_name`.
    pub multirange: Option<ObjectName>,
}

/// `CREATE DOMAIN`.
#[derive(Clone, Debug)]
pub struct CreateDomain {
    /// Name.
    pub name: ObjectName,
    /// Base type.
    pub base: TypeName,
    /// `DEFAULT`.
    pub default: Option<String>,
    /// `NOT NULL`.
    pub not_null: bool,
    /// `CHECK`s with their names, where given.
    pub checks: Vec<(Option<String>, String)>,
}
