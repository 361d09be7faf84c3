//! Tables and indexes, as they are made.

use super::super::type_name::TypeName;
use super::{ObjectName, SequenceOptions, SourceText};
use crate::schema::{ForeignKeyAction, MatchType, OnCommit};

/// Options of storage, as in `WITH (…)`.
pub type StorageOptions = Vec<StorageOption>;

/// `[namespace.]name [= value]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOption {
    /// `toast`.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Value, if given.
    pub value: Option<String>,
}

/// `CREATE TABLE`.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Name.
    pub name: ObjectName,
    /// `TEMPORARY`.
    pub temporary: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Columns, constraints and `LIKE` clauses in order.
    pub elements: Vec<TableElement>,
    /// `ON COMMIT`.
    pub on_commit: Option<OnCommit>,
    /// `WITH (…)`.
    pub options: StorageOptions,
}

/// One element of `CREATE TABLE`.
#[derive(Clone, Debug)]
pub enum TableElement {
    /// A column.
    Column(Box<ColumnClause>),
    /// A constraint of the table.
    Constraint(ConstraintClause),
    /// `LIKE`.
    Like(LikeClause),
}

/// `LIKE table [INCLUDING …]`.
#[derive(Clone, Debug)]
pub struct LikeClause {
    /// The table whose columns are copied.
    pub source: ObjectName,
    /// `INCLUDING DEFAULTS`.
    pub defaults: bool,
    /// `INCLUDING CONSTRAINTS`: CHECKs.
    pub constraints: bool,
    /// `INCLUDING INDEXES`: keys too.
    pub indexes: bool,
    /// `INCLUDING IDENTITY`.
    pub identity: bool,
    /// `INCLUDING GENERATED`.
    pub generated: bool,
    /// `INCLUDING COMMENTS`.
    pub comments: bool,
}

/// A column with its clauses.
#[derive(Clone, Debug)]
pub struct ColumnClause {
    /// Name.
    pub name: String,
    /// Type.
    pub type_name: TypeName,
    /// `COLLATE`.
    pub collation: Option<String>,
    /// `NOT NULL` (true) or `NULL` (false), if given.
    pub not_null: Option<bool>,
    /// `DEFAULT`.
    pub default: Option<SourceText>,
    /// `GENERATED ALWAYS AS (…) STORED`.
    pub generated: Option<SourceText>,
    /// `GENERATED … AS IDENTITY`.
    pub identity: Option<IdentityClause>,
    /// Constraints.
    pub constraints: Vec<ConstraintClause>,
    /// The clauses that may stand only once or exclude each other, in order, with where they stand.
    pub marks: Vec<(ColumnMark, Option<u32>)>,
}

/// A clause of a column that may stand only once, or that excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnMark {
    /// `NULL`.
    Null,
    /// `NOT NULL`.
    NotNull,
    /// `DEFAULT`.
    Default,
    /// `GENERATED … AS IDENTITY`.
    Identity,
    /// `GENERATED ALWAYS AS (…)`.
    Generated,
}

/// `GENERATED ALWAYS | BY DEFAULT AS IDENTITY [(options)]`.
#[derive(Clone, Debug)]
pub struct IdentityClause {
    /// `ALWAYS`.
    pub always: bool,
    /// Options of the sequence.
    pub options: SequenceOptions,
}

/// A constraint.
#[derive(Clone, Debug)]
pub struct ConstraintClause {
    /// Name, if given.
    pub name: Option<String>,
    /// What it demands.
    pub kind: ConstraintKind,
    /// When it is checked.
    pub deferral: Deferral,
    /// `NOT VALID`.
    pub not_valid: bool,
    /// `NO INHERIT`.
    pub no_inherit: bool,
    /// Where it stands.
    pub position: Option<u32>,
}

/// What a constraint demands. Columns are empty where it stands on a column.
#[derive(Clone, Debug)]
pub enum ConstraintKind {
    /// `PRIMARY KEY`.
    PrimaryKey(KeyClause),
    /// `UNIQUE`.
    Unique(KeyClause),
    /// `PRIMARY KEY` (true) or `UNIQUE` over an existing index.
    UsingIndex(bool, String),
    /// `CHECK`.
    Check(SourceText),
    /// `FOREIGN KEY`, `REFERENCES`.
    ForeignKey(Box<ForeignKeyClause>),
}

/// What follows `PRIMARY KEY` or `UNIQUE`.
#[derive(Clone, Debug, Default)]
pub struct KeyClause {
    /// Columns; none where it stands on a column.
    pub columns: Vec<String>,
    /// `INCLUDE`.
    pub include: Vec<String>,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
}

/// A foreign key.
#[derive(Clone, Debug)]
pub struct ForeignKeyClause {
    /// Referencing columns.
    pub columns: Vec<String>,
    /// Referenced table.
    pub references: ObjectName,
    /// Referenced columns; empty for its primary key.
    pub referenced_columns: Vec<String>,
    /// `MATCH`.
    pub match_type: MatchType,
    /// `ON DELETE`.
    pub on_delete: ForeignKeyAction,
    /// `ON UPDATE`.
    pub on_update: ForeignKeyAction,
    /// Columns that `ON DELETE SET NULL | SET DEFAULT` is about; none for all.
    pub delete_columns: Vec<String>,
}

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deferral {
    /// `DEFERRABLE`.
    pub deferrable: bool,
    /// `INITIALLY DEFERRED`.
    pub deferred: bool,
}

/// `CREATE TABLE … AS`.
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// Name.
    pub name: ObjectName,
    /// `TEMPORARY`.
    pub temporary: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Column names, as many as given.
    pub columns: Vec<String>,
    /// `ON COMMIT`.
    pub on_commit: Option<OnCommit>,
    /// `WITH (…)`.
    pub options: StorageOptions,
    /// Text of the query.
    pub query: String,
    /// `WITH NO DATA`.
    pub no_data: bool,
}

/// `CREATE INDEX`.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// Name, if given.
    pub name: Option<String>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// Table.
    pub table: ObjectName,
    /// Access method.
    pub method: String,
    /// Keys.
    pub keys: Vec<IndexKeyClause>,
    /// `INCLUDE`.
    pub include: Vec<String>,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// `WHERE`.
    pub predicate: Option<SourceText>,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `WITH (…)`.
    pub options: StorageOptions,
}

/// One key of an index.
#[derive(Clone, Debug)]
pub struct IndexKeyClause {
    /// Column name, if it is one.
    pub column: Option<String>,
    /// Text of the expression otherwise.
    pub expression: SourceText,
    /// `COLLATE`.
    pub collation: Option<String>,
    /// Operator class.
    pub operator_class: Option<String>,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST` or `LAST`, if given.
    pub nulls_first: Option<bool>,
}
