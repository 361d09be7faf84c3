//! What the DDL productions yield: names unresolved, expressions and queries as text.
//!
//! `table`, `define` (views, sequences, types) and `routine` hold what is made, `alter` how it is changed; here stand the
//! statements, and what all of them share.

mod alter;
mod define;
mod routine;
mod table;

use super::role::RoleStatement;
use super::type_name::TypeName;
use crate::builtin::quote_identifier;
use crate::error::SqlState;
use crate::schema::ObjectKind;

pub use alter::{
    AlterColumn, AlterDomain, AlterObject, AlterTable, AlterTableAction, AlterType,
    AttributeChange, ReplicaIdentity,
};
pub use define::{
    CreateDomain, CreateRange, CreateSequence, CreateView, SequenceOptions, ViewForm,
};
pub use routine::{
    AlterRoutine, CreateFunction, FunctionOptions, ParameterClause, ParameterMode, RoutineKind,
    RoutineReference,
};
pub use table::{
    ColumnClause, ColumnMark, ConstraintClause, ConstraintKind, CreateIndex, CreateTable,
    CreateTableAs, Deferral, ForeignKeyClause, IdentityClause, IndexKeyClause, KeyClause,
    LikeClause, StorageOption, StorageOptions, TableElement,
};

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
