//! What the DDL productions yield: names unresolved, expressions and queries as text.

use super::role::RoleStatement;
use super::type_name::TypeName;
use crate::builtin::{Volatility, quote_identifier};
use crate::error::SqlState;
use crate::schema::{CheckOption, ForeignKeyAction, MatchType, ObjectKind, OnCommit};

/// A possibly qualified name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// Database, if given.
    pub database: Option<String>,
    /// Schema, if given.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
    /// Where it stands, in characters from 1.
    pub position: Option<u32>,
}

impl ObjectName {
    /// The name as PostgreSQL shows it in messages.
    #[must_use]
    pub fn display(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The name as SQL text, quoted where needed.
    #[must_use]
    pub fn to_sql(&self) -> String {
        let name = quote_identifier(&self.name);
        match &self.schema {
            Some(schema) => format!("{}.{name}", quote_identifier(schema)),
            None => name,
        }
    }
}

/// A statement that changes the schema.
#[derive(Clone, Debug)]
pub enum DdlStatement {
    /// `CREATE SCHEMA`.
    CreateSchema {
        /// Name.
        name: String,
        /// `AUTHORIZATION`.
        owner: Option<String>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// What is made in it, in the order in which it is made.
        elements: Vec<DdlStatement>,
    },
    /// `DROP` of kinds of object of which there are none.
    DropAbsent {
        /// Command tag.
        tag: String,
        /// `IF EXISTS`.
        if_exists: bool,
        /// Which.
        objects: Vec<AbsentObject>,
    },
    /// `CREATE TABLE`.
    CreateTable(CreateTable),
    /// `CREATE TABLE … AS`, `SELECT … INTO` and `CREATE MATERIALIZED VIEW` without its view.
    CreateTableAs(CreateTableAs),
    /// `CREATE INDEX`.
    CreateIndex(CreateIndex),
    /// `CREATE VIEW`, `CREATE MATERIALIZED VIEW`.
    CreateView(CreateView),
    /// `CREATE SEQUENCE`.
    CreateSequence(CreateSequence),
    /// `CREATE TYPE … AS ENUM`.
    CreateEnum {
        /// Name.
        name: ObjectName,
        /// Labels in order.
        labels: Vec<String>,
    },
    /// `CREATE TYPE … AS (…)`.
    CreateComposite {
        /// Name.
        name: ObjectName,
        /// Names and types of its fields.
        fields: Vec<(String, TypeName)>,
    },
    /// `CREATE TYPE … AS RANGE`.
    CreateRange(CreateRange),
    /// `CREATE DOMAIN`.
    CreateDomain(CreateDomain),
    /// `CREATE EXTENSION`.
    CreateExtension {
        /// Name.
        name: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `CREATE FUNCTION`, `CREATE PROCEDURE`.
    CreateFunction(CreateFunction),
    /// `DROP FUNCTION`, `DROP PROCEDURE`, `DROP ROUTINE`.
    DropRoutines {
        /// What the statement calls them.
        kind: RoutineKind,
        /// Which.
        routines: Vec<RoutineReference>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `ALTER FUNCTION`, `ALTER PROCEDURE`, `ALTER ROUTINE`.
    AlterRoutine(RoutineReference, AlterRoutine),
    /// Roles, membership, ownership.
    Role(RoleStatement),
    /// `DROP`.
    Drop {
        /// What kind of object.
        kind: DropKind,
        /// Which.
        names: Vec<ObjectName>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
        /// `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `ALTER TABLE | VIEW | MATERIALIZED VIEW | INDEX | SEQUENCE` with actions.
    AlterTable(AlterTable),
    /// `CLUSTER` by an index.
    Cluster(AlterTable),
    /// `ALTER SEQUENCE` with options.
    AlterSequence {
        /// Which.
        name: ObjectName,
        /// `IF EXISTS`.
        if_exists: bool,
        /// Options.
        options: SequenceOptions,
    },
    /// `ALTER TYPE` of an enum.
    AlterType(ObjectName, AlterType),
    /// `ALTER DOMAIN`.
    AlterDomain(ObjectName, AlterDomain),
    /// `ALTER … RENAME TO | SET SCHEMA | OWNER TO`.
    AlterObject {
        /// What kind of object.
        kind: DropKind,
        /// Which.
        name: ObjectName,
        /// `IF EXISTS`.
        if_exists: bool,
        /// What to do.
        change: AlterObject,
    },
    /// `COMMENT ON … IS`.
    Comment {
        /// On what.
        target: CommentTarget,
        /// Text; `None` removes the comment.
        text: Option<String>,
    },
    /// `REFRESH MATERIALIZED VIEW`.
    RefreshView {
        /// Which.
        name: ObjectName,
        /// `WITH NO DATA`.
        no_data: bool,
        /// `CONCURRENTLY`.
        concurrently: bool,
    },
}

/// What a statement calls a routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutineKind {
    /// `FUNCTION`.
    Function,
    /// `PROCEDURE`.
    Procedure,
    /// `ROUTINE`: either.
    Routine,
}

impl RoutineKind {
    /// The word in messages.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Routine => "routine",
        }
    }
}

/// A routine as a statement names it.
#[derive(Clone, Debug)]
pub struct RoutineReference {
    /// What the statement calls it.
    pub kind: RoutineKind,
    /// Name.
    pub name: ObjectName,
    /// Modes and types of its arguments, where they are given.
    pub arguments: Option<Vec<(ParameterMode, TypeName)>>,
    /// What is said if it is not there.
    pub absent: AbsentObject,
}

/// Mode of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterMode {
    /// `IN`.
    In,
    /// `OUT`.
    Out,
    /// `INOUT`.
    InOut,
    /// `VARIADIC`.
    Variadic,
    /// A column of `RETURNS TABLE`.
    Table,
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct ParameterClause {
    /// Mode.
    pub mode: ParameterMode,
    /// Name.
    pub name: Option<String>,
    /// Type.
    pub type_name: TypeName,
    /// `SETOF`, which no parameter may be.
    pub set: bool,
    /// `DEFAULT`.
    pub default: Option<SourceText>,
}

/// `CREATE FUNCTION`, `CREATE PROCEDURE`.
#[derive(Clone, Debug)]
pub struct CreateFunction {
    /// Name.
    pub name: ObjectName,
    /// Function or procedure.
    pub kind: RoutineKind,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// Parameters, columns of `RETURNS TABLE` among them.
    pub parameters: Vec<ParameterClause>,
    /// `RETURNS`, and whether it is a set.
    pub returns: Option<(TypeName, bool)>,
    /// Everything else.
    pub options: FunctionOptions,
}

/// The options of a function, those not given absent.
#[derive(Clone, Debug, Default)]
pub struct FunctionOptions {
    /// `LANGUAGE`.
    pub language: Option<String>,
    /// Its body: a string, or the statements of an SQL-standard body.
    pub body: Option<String>,
    /// Where the body begins in the statement, in characters from 1, if it stands there as it is.
    pub body_position: Option<u32>,
    /// The body is SQL-standard: `RETURN` or `BEGIN ATOMIC`.
    pub standard: bool,
    /// `AS` has a second string, as for functions in C.
    pub link_symbol: bool,
    /// `IMMUTABLE`, `STABLE`, `VOLATILE`.
    pub volatility: Option<Volatility>,
    /// `STRICT`.
    pub strict: Option<bool>,
    /// `LEAKPROOF`.
    pub leakproof: Option<bool>,
    /// `SECURITY DEFINER`.
    pub security_definer: Option<bool>,
    /// `COST`.
    pub cost: Option<f64>,
    /// `ROWS`.
    pub rows: Option<f64>,
    /// `PARALLEL`.
    pub parallel: Option<String>,
}

/// What `ALTER FUNCTION` changes.
#[derive(Clone, Debug)]
pub enum AlterRoutine {
    /// Its name, schema or owner.
    Object(AlterObject),
    /// Its attributes.
    Options(Box<FunctionOptions>),
}

/// An object of a kind of which there are none.
#[derive(Clone, Debug)]
pub struct AbsentObject {
    /// What messages call the kind.
    pub noun: &'static str,
    /// Name.
    pub name: ObjectName,
    /// Types of arguments, which must exist.
    pub types: Vec<TypeName>,
    /// Relation that it would belong to, which must exist.
    pub relation: Option<ObjectName>,
    /// SQLSTATE of the error.
    pub state: SqlState,
    /// Message of the error.
    pub error: String,
    /// Message of the notice, without `, skipping`.
    pub notice: String,
}

/// `ALTER` of a relation with actions.
#[derive(Clone, Debug)]
pub struct AlterTable {
    /// The kind that the statement names; `TABLE` is for all.
    pub kind: DropKind,
    /// Which.
    pub name: ObjectName,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// Actions in order.
    pub actions: Vec<AlterTableAction>,
}

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

/// The text of an expression, and where it stands in the statement, in characters from 1; unknown if it is not from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceText {
    /// The text.
    pub text: String,
    /// Where it begins.
    pub position: Option<u32>,
}

impl std::ops::Deref for SourceText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<String> for SourceText {
    fn from(text: String) -> Self {
        Self { text, position: None }
    }
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

/// Kinds of object by the word that names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    /// `SCHEMA`.
    Schema,
    /// `TABLE`.
    Table,
    /// `VIEW`.
    View,
    /// `MATERIALIZED VIEW`.
    MaterializedView,
    /// `INDEX`.
    Index,
    /// `SEQUENCE`.
    Sequence,
    /// `TYPE`.
    Type,
    /// `DOMAIN`.
    Domain,
    /// `EXTENSION`.
    Extension,
}

/// One action of `ALTER TABLE`.
#[derive(Clone, Debug)]
pub enum AlterTableAction {
    /// `ADD COLUMN`.
    AddColumn {
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// The column.
        column: Box<ColumnClause>,
    },
    /// `DROP COLUMN`.
    DropColumn {
        /// Name.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `ALTER COLUMN`.
    AlterColumn(String, Box<AlterColumn>),
    /// `ALTER COLUMN number SET STATISTICS`, of an index.
    ColumnStatistics(i64),
    /// `ADD CONSTRAINT`.
    AddConstraint(Box<ConstraintClause>),
    /// `DROP CONSTRAINT`.
    DropConstraint {
        /// Name.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `VALIDATE CONSTRAINT`.
    ValidateConstraint(String),
    /// `ALTER CONSTRAINT`.
    AlterConstraint(String, Deferral),
    /// `SET (…)`.
    SetOptions(StorageOptions),
    /// `RESET (…)`.
    ResetOptions(StorageOptions),
    /// `CLUSTER ON`.
    ClusterOn(String),
    /// `SET WITHOUT CLUSTER`.
    WithoutCluster,
    /// `REPLICA IDENTITY`.
    ReplicaIdentity(ReplicaIdentity),
    /// `ENABLE | DISABLE TRIGGER` (true) or `RULE`, of this name.
    Switch(bool, String),
    /// `RENAME COLUMN`.
    RenameColumn(String, String),
    /// `RENAME CONSTRAINT`.
    RenameConstraint(String, String),
    /// `RENAME TO`, `SET SCHEMA`, `OWNER TO`.
    Object(AlterObject),
    /// An action, in PostgreSQL's words, that asks for what is so anyway.
    Nothing(&'static str),
    /// An action, in PostgreSQL's words, that Trellis does not support.
    Refused(&'static str),
}

/// What `REPLICA IDENTITY` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// `DEFAULT`.
    Default,
    /// `FULL`.
    Full,
    /// `NOTHING`.
    Nothing,
    /// `USING INDEX`.
    Index(String),
}

/// What `ALTER COLUMN` does.
#[derive(Clone, Debug)]
pub enum AlterColumn {
    /// `SET DEFAULT`; `None` drops it.
    Default(Option<SourceText>),
    /// `SET NOT NULL` (true), `DROP NOT NULL`.
    NotNull(bool),
    /// `TYPE`.
    Type {
        /// New type.
        type_name: TypeName,
        /// `COLLATE`.
        collation: Option<String>,
        /// `USING`.
        using: Option<SourceText>,
    },
    /// `ADD GENERATED … AS IDENTITY`.
    AddIdentity(Box<IdentityClause>),
    /// `SET GENERATED …`: ALWAYS if given, and options of the sequence.
    SetIdentity(Option<bool>, Box<SequenceOptions>),
    /// `DROP IDENTITY [IF EXISTS]`.
    DropIdentity(bool),
    /// `DROP EXPRESSION [IF EXISTS]`.
    DropExpression(bool),
    /// `SET STATISTICS`: nothing to do.
    Statistics(i64),
    /// `SET STORAGE`.
    Storage(String),
    /// `SET COMPRESSION`.
    Compression(String),
    /// `SET (…)`, `RESET (…)`: estimates for a planner.
    Options,
}

/// Changes that many kinds of object know.
#[derive(Clone, Debug)]
pub enum AlterObject {
    /// `RENAME TO`.
    Rename(String),
    /// `SET SCHEMA`.
    SetSchema(String),
    /// `OWNER TO`.
    Owner(String),
}

/// `ALTER TYPE` of an enum.
#[derive(Clone, Debug)]
pub enum AlterType {
    /// `ADD VALUE`.
    AddValue {
        /// The new label.
        label: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// Its neighbour, and whether it comes before that one.
        neighbour: Option<(String, bool)>,
    },
    /// `RENAME VALUE`.
    RenameValue(String, String),
    /// `ADD`, `DROP` and `ALTER ATTRIBUTE`.
    Attributes(Vec<AttributeChange>),
    /// `RENAME ATTRIBUTE`.
    RenameAttribute(String, String),
}

/// A change of a composite type.
#[derive(Clone, Debug)]
pub enum AttributeChange {
    /// `ADD ATTRIBUTE`.
    Add(String, TypeName),
    /// `DROP ATTRIBUTE`, and whether with `IF EXISTS`.
    Drop(String, bool),
    /// `ALTER ATTRIBUTE … TYPE`.
    Type(String, TypeName),
}

/// `ALTER DOMAIN`.
#[derive(Clone, Debug)]
pub enum AlterDomain {
    /// `SET DEFAULT`; `None` drops it.
    Default(Option<String>),
    /// `SET NOT NULL` (true), `DROP NOT NULL`.
    NotNull(bool),
    /// `ADD CONSTRAINT … CHECK`.
    AddCheck {
        /// Its name, if it has one.
        name: Option<String>,
        /// The condition.
        expression: String,
        /// `NOT VALID`.
        not_valid: bool,
    },
    /// `VALIDATE CONSTRAINT`.
    Validate(String),
    /// `DROP CONSTRAINT`, `IF EXISTS`.
    DropConstraint(String, bool),
    /// `RENAME CONSTRAINT`.
    RenameConstraint(String, String),
}

/// What a comment is on.
#[derive(Clone, Debug)]
pub enum CommentTarget {
    /// An object with a name of its own.
    Object(DropKind, ObjectName),
    /// A column of a table or view.
    Column(ObjectName, String),
    /// A constraint of a table.
    Constraint(String, ObjectName),
    /// The database.
    Database(String),
    /// A function or procedure.
    Routine(Box<RoutineReference>),
}

impl DdlStatement {
    /// Whether it fills what it makes from a query.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        match self {
            Self::CreateTableAs(_) => true,
            Self::CreateView(view) => view.materialized,
            _ => false,
        }
    }

    /// What must not stand in a transaction block, if this must not.
    #[must_use]
    pub fn alone(&self) -> Option<&'static str> {
        match self {
            Self::CreateIndex(CreateIndex { concurrently: true, .. }) => {
                Some("CREATE INDEX CONCURRENTLY")
            }
            Self::Drop { concurrently: true, .. } => Some("DROP INDEX CONCURRENTLY"),
            _ => None,
        }
    }
}

impl AlterTableAction {
    /// The action in the words of PostgreSQL's errors.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::AddColumn { .. } => "ADD COLUMN",
            Self::DropColumn { .. } => "DROP COLUMN",
            Self::AlterColumn(_, change) => match **change {
                AlterColumn::Default(_) => "ALTER COLUMN ... SET DEFAULT",
                AlterColumn::NotNull(true) => "ALTER COLUMN ... SET NOT NULL",
                AlterColumn::NotNull(false) => "ALTER COLUMN ... DROP NOT NULL",
                AlterColumn::Type { .. } => "ALTER COLUMN ... SET DATA TYPE",
                AlterColumn::AddIdentity(_) => "ALTER COLUMN ... ADD IDENTITY",
                AlterColumn::DropIdentity(_) => "ALTER COLUMN ... DROP IDENTITY",
                AlterColumn::DropExpression(_) => "ALTER COLUMN ... DROP EXPRESSION",
                AlterColumn::Statistics(_) => "ALTER COLUMN ... SET STATISTICS",
                AlterColumn::Storage(_) => "ALTER COLUMN ... SET STORAGE",
                AlterColumn::Compression(_) => "ALTER COLUMN ... SET COMPRESSION",
                AlterColumn::SetIdentity(..) | AlterColumn::Options => "ALTER COLUMN ... SET",
            },
            Self::ColumnStatistics(_) => "ALTER COLUMN ... SET STATISTICS",
            Self::AddConstraint(_) => "ADD CONSTRAINT",
            Self::DropConstraint { .. } => "DROP CONSTRAINT",
            Self::ValidateConstraint(_) => "VALIDATE CONSTRAINT",
            Self::AlterConstraint(..) => "ALTER CONSTRAINT",
            Self::RenameColumn(..) => "RENAME COLUMN",
            Self::RenameConstraint(..) => "RENAME CONSTRAINT",
            Self::Object(_) => "OWNER TO",
            Self::SetOptions(_) => "SET",
            Self::ResetOptions(_) => "RESET",
            Self::ClusterOn(_) => "CLUSTER ON",
            Self::WithoutCluster => "SET WITHOUT CLUSTER",
            Self::ReplicaIdentity(_) => "REPLICA IDENTITY",
            Self::Switch(true, _) => "ENABLE TRIGGER",
            Self::Switch(false, _) => "ENABLE RULE",
            Self::Nothing(words) | Self::Refused(words) => words,
        }
    }
}

impl DropKind {
    /// The kind of row that holds such objects; extensions have none.
    #[must_use]
    pub fn object_kind(self) -> Option<ObjectKind> {
        match self {
            Self::Schema => Some(ObjectKind::Namespace),
            Self::Table => Some(ObjectKind::Table),
            Self::View | Self::MaterializedView => Some(ObjectKind::View),
            Self::Index => Some(ObjectKind::Index),
            Self::Sequence => Some(ObjectKind::Sequence),
            Self::Type | Self::Domain => Some(ObjectKind::Type),
            Self::Extension => None,
        }
    }

    /// The word in command tags, upper-case.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Schema => "SCHEMA",
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::MaterializedView => "MATERIALIZED VIEW",
            Self::Index => "INDEX",
            Self::Sequence => "SEQUENCE",
            Self::Type => "TYPE",
            Self::Domain => "DOMAIN",
            Self::Extension => "EXTENSION",
        }
    }
}
