//! `ALTER`: changes of what there is.

use super::super::type_name::TypeName;
use super::{
    ColumnClause, ConstraintClause, Deferral, DropKind, IdentityClause, ObjectName,
    SequenceOptions, SourceText, StorageOptions,
};

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
