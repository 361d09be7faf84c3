//! All live user objects of one moment, linked and named: what the binder, the materializer and the catalog image read.

use std::collections::BTreeMap;

use super::definition::OnCommit;
use super::function::Function;
use super::role::Roles;
use super::row::{ObjectId, SchemaRow};
use super::seen::Seen;
use super::stored_text::StoredText;
use super::usable::Unusable;
use crate::oid::Oid;

/// The user's schema at one moment. Immutable once built; shared behind an `Arc`.
///
/// Maps are ordered so that everything derived from them is the same on every node.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Schemas by name, `public` among them; `pg_catalog` and `information_schema` are built in and not listed.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Tables by OID, temporary ones included.
    pub tables: BTreeMap<Oid, Table>,
    /// Views and materialized views by OID.
    pub views: BTreeMap<Oid, View>,
    /// Sequences by OID.
    pub sequences: BTreeMap<Oid, Sequence>,
    /// User types by OID; their array types are found through [`UserType::array_oid`].
    pub types: BTreeMap<Oid, UserType>,
    /// Functions and procedures by OID.
    pub functions: BTreeMap<Oid, Function>,
    /// OIDs of functions by name, in any schema.
    pub function_names: BTreeMap<String, Vec<Oid>>,
    /// Comments: (object OID, attribute number or 0) to text.
    pub comments: BTreeMap<(Oid, i16), String>,
    /// (schema OID, relation name) to OID, for tables, views, sequences and indexes, which share one name space.
    pub relation_names: BTreeMap<(Oid, String), Oid>,
    /// OID of an index (a constraint's too) to OID of its table.
    pub index_tables: BTreeMap<Oid, Oid>,
    /// Roles, and who is a member of which.
    pub roles: Roles,
    /// OIDs of objects to those of their owners, where these are not the bootstrap superuser.
    pub owners: BTreeMap<Oid, Oid>,
    /// Objects that are there but cannot be carried out, and are left out of all others maps.
    pub unusable: BTreeMap<ObjectId, Unusable>,
    /// The rows that all of this was linked from, dropped ones too: what DDL edits.
    pub rows: BTreeMap<ObjectId, SchemaRow>,
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Identity.
    pub id: ObjectId,
    /// OID; `public` is 2200.
    pub oid: Oid,
    /// Name.
    pub name: String,
}

/// Whether a table replicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary, replicated table.
    Replicated,
    /// A temporary table of one session.
    Temporary,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Identity; its bits as `u64` are the store's table id.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its row type.
    pub row_type_oid: Oid,
    /// OID of the array over its row type.
    pub row_array_oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// Name of the SQLite table, without quotes.
    pub physical_name: String,
    /// Whether it replicates.
    pub kind: TableKind,
    /// Live columns in attribute order.
    pub columns: Vec<Column>,
    /// PRIMARY KEY and UNIQUE constraints.
    pub uniques: Vec<UniqueConstraint>,
    /// CHECK constraints.
    pub checks: Vec<CheckConstraint>,
    /// FOREIGN KEY constraints.
    pub foreign_keys: Vec<ForeignKey>,
    /// Indexes that serve no constraint.
    pub indexes: Vec<Index>,
    /// Name of the hidden SQLite column that is the key of a table without a PRIMARY KEY. It is an INTEGER PRIMARY KEY
    /// that every INSERT must fill with the SQLite function `trellis_unique_id()`.
    pub hidden_key: Option<String>,
    /// Attribute numbers of SQLite's and the store's key, in key order; empty if the key is hidden. Fixed for the life of
    /// the table: a PRIMARY KEY that is added later is a unique index.
    pub key: Vec<i16>,
    /// What happens to the rows of a temporary table at COMMIT; `None` keeps them.
    pub on_commit: Option<OnCommit>,
    /// Storage options: `name=value`.
    pub options: Vec<String>,
    /// The index that the table was last clustered by.
    pub clustered_on: Option<Oid>,
    /// `REPLICA IDENTITY`: `pg_class.relreplident`, and the index of `i`.
    pub replica_identity: (&'static str, Option<Oid>),
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Identity; its low 32 bits are the store's column id.
    pub id: ObjectId,
    /// Attribute number, from 1; not reused within a table.
    pub attnum: i16,
    /// Name.
    pub name: String,
    /// Name of the SQLite column, without quotes.
    pub physical_name: String,
    /// Type.
    pub type_oid: Oid,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// Explicit collation name, if any.
    pub collation: Option<String>,
    /// NOT NULL, also where it comes from a PRIMARY KEY.
    pub not_null: bool,
    /// DEFAULT.
    pub default: Option<ColumnDefault>,
    /// Identity and generated columns.
    pub generation: ColumnGeneration,
    /// SQLite literal that stands for the value in rows that were written before the column was added.
    pub missing: Option<String>,
    /// What turned the values of the previous type into this one, if the stored form changed.
    pub using: Option<Using>,
}

/// USING of a change of type, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Using {
    /// PostgreSQL text; empty without USING, where it was the column itself.
    pub text: String,
    /// Ids of the columns that it names, by the names that it calls them by.
    pub names: BTreeMap<String, i64>,
}

/// A default expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefault {
    /// PostgreSQL text, as `pg_get_expr` shows it.
    pub expression: String,
}

/// How a column gets its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnGeneration {
    /// As written.
    Plain,
    /// GENERATED ALWAYS AS IDENTITY, over this sequence.
    IdentityAlways(Oid),
    /// GENERATED BY DEFAULT AS IDENTITY, over this sequence.
    IdentityByDefault(Oid),
    /// GENERATED ALWAYS AS (expression) STORED; PostgreSQL text.
    Stored(String),
}

impl ColumnGeneration {
    /// Whether statements, rather than SQLite, supply the stored value.
    #[must_use]
    pub fn is_written(&self) -> bool {
        match self {
            Self::Plain | Self::IdentityAlways(_) | Self::IdentityByDefault(_) => true,
            Self::Stored(_) => false,
        }
    }
}

/// A PRIMARY KEY or UNIQUE constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueConstraint {
    /// Identity.
    pub id: ObjectId,
    /// OID of the constraint.
    pub oid: Oid,
    /// OID of its index.
    pub index_oid: Oid,
    /// Name of constraint and index.
    pub name: String,
    /// Attribute numbers in key order.
    pub columns: Vec<i16>,
    /// `INCLUDE` columns.
    pub include: Vec<i16>,
    /// PRIMARY KEY.
    pub primary: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// DEFERRABLE, and INITIALLY DEFERRED.
    pub deferrable: (bool, bool),
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckConstraint {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// PostgreSQL text of the condition, without the outer CHECK ().
    pub expression: String,
    /// Rows from before it were checked too.
    pub validated: bool,
    /// `NO INHERIT`.
    pub no_inherit: bool,
}

/// What a foreign key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeyAction {
    /// NO ACTION.
    NoAction,
    /// RESTRICT.
    Restrict,
    /// CASCADE.
    Cascade,
    /// SET NULL.
    SetNull,
    /// SET DEFAULT.
    SetDefault,
}

/// MATCH of a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchType {
    /// MATCH SIMPLE.
    Simple,
    /// MATCH FULL.
    Full,
}

/// A FOREIGN KEY constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Referencing attribute numbers.
    pub columns: Vec<i16>,
    /// Referenced table.
    pub references: Oid,
    /// Referenced attribute numbers.
    pub referenced_columns: Vec<i16>,
    /// ON DELETE.
    pub on_delete: ForeignKeyAction,
    /// ON UPDATE.
    pub on_update: ForeignKeyAction,
    /// MATCH.
    pub match_type: MatchType,
    /// DEFERRABLE, and INITIALLY DEFERRED.
    pub deferrable: (bool, bool),
    /// Rows from before it were checked too.
    pub validated: bool,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// UNIQUE.
    pub unique: bool,
    /// Access method as written, `btree` by default.
    pub method: String,
    /// Keys in order.
    pub keys: Vec<IndexKey>,
    /// INCLUDE columns, by attribute number.
    pub include: Vec<i16>,
    /// PostgreSQL text of the WHERE condition.
    pub predicate: Option<String>,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// Storage options: `name=value`.
    pub options: Vec<String>,
}

/// One key of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// Attribute number, or 0 for an expression.
    pub attnum: i16,
    /// PostgreSQL text of the expression, if it is one.
    pub expression: Option<String>,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
    /// Operator class as written, if any.
    pub operator_class: Option<String>,
    /// Collation as written, if any.
    pub collation: Option<String>,
}

/// A view or materialized view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its row type.
    pub row_type_oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// PostgreSQL text of the query, and what the names in it are.
    pub stored: StoredText,
    /// The text with present, qualified names, as it is bound.
    pub query: String,
    /// The columns that the text may name.
    pub seen: Seen,
    /// Output columns: name, type, typmod.
    pub columns: Vec<(String, Oid, i32)>,
    /// Name of the SQLite table that holds a materialized view's rows.
    pub materialized_in: Option<String>,
    /// Which rows of that table are a materialized view's: those of its last refresh; `None` before the first.
    pub generation: Option<i64>,
    /// Relations and types that the query names.
    pub depends_on: Vec<ObjectId>,
    /// Options as `pg_class.reloptions` shows them: `name=value`.
    pub options: Vec<String>,
    /// Texts of the defaults of columns that have one, by attribute number.
    pub defaults: BTreeMap<i16, String>,
}

/// `WITH … CHECK OPTION` of a view: which conditions new rows must meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOption {
    /// The view's own.
    Local,
    /// Those of the views under it, too.
    Cascaded,
}

impl View {
    /// Whether the query reads a column of a relation.
    ///
    /// A view of a version that did not note columns counts as reading all of them.
    #[must_use]
    pub fn reads(&self, id: ObjectId, relation: Oid, attnum: i16) -> bool {
        let seen = self.seen.get(&relation);
        seen.map_or_else(|| self.depends_on.contains(&id), |seen| seen.used.contains(&attnum))
    }

    /// The value of an option, if it is set.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
    }

    /// `WITH … CHECK OPTION`.
    #[must_use]
    pub fn check_option(&self) -> Option<CheckOption> {
        let local = self.option("check_option")?.eq_ignore_ascii_case("local");
        Some(if local { CheckOption::Local } else { CheckOption::Cascaded })
    }
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// int2, int4 or int8.
    pub type_oid: Oid,
    /// START.
    pub start: i64,
    /// INCREMENT.
    pub increment: i64,
    /// MINVALUE.
    pub min_value: i64,
    /// MAXVALUE.
    pub max_value: i64,
    /// CACHE.
    pub cache: i64,
    /// CYCLE.
    pub cycle: bool,
    /// OWNED BY: table OID and attribute number.
    pub owned_by: Option<(Oid, i16)>,
    /// Made for an identity column.
    pub internal: bool,
}

/// A user-defined type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserType {
    /// CREATE TYPE … AS ENUM.
    Enum(EnumType),
    /// CREATE DOMAIN.
    Domain(DomainType),
    /// CREATE TYPE … AS (…).
    Composite(CompositeType),
    /// CREATE TYPE … AS RANGE: the range type, and as an entry of its own the multirange type over it.
    Range(RangeUserType),
}

/// A range type, or the multirange type over one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeUserType {
    /// Identity, which the two types share.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its array type.
    pub array_oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// OID of the range type.
    pub range: Oid,
    /// OID of the multirange type.
    pub multirange: Oid,
    /// Type of the bounds.
    pub subtype: Oid,
    /// Collation as written.
    pub collation: Option<String>,
    /// The function that `subtype_diff` names.
    pub subtype_diff: Option<String>,
}

impl RangeUserType {
    /// Whether it is the multirange type.
    #[must_use]
    pub fn is_multirange(&self) -> bool {
        self.oid == self.multirange
    }
}

/// A composite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompositeType {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its array type.
    pub array_oid: Oid,
    /// OID of the relation that `pg_class` shows for it.
    pub relation_oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// Names, types and type modifiers of its fields, in order.
    pub fields: Vec<(String, Oid, i32)>,
}

/// An enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumType {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its array type.
    pub array_oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// Labels in order as values store them, each with the OID of its `pg_enum` row.
    pub labels: Vec<(Oid, String)>,
    /// The new names of those that were renamed, by what is stored.
    pub renamed: BTreeMap<String, String>,
}

impl EnumType {
    /// The present name of a label.
    #[must_use]
    pub fn shown<'l>(&'l self, stored: &'l str) -> &'l str {
        self.renamed.get(stored).map_or(stored, String::as_str)
    }

    /// The label that has this name at present, as values store it.
    #[must_use]
    pub fn stored(&self, shown: &str) -> Option<&str> {
        let mut labels = self.labels.iter().map(|(_, label)| label.as_str());
        labels.find(|label| self.shown(label) == shown)
    }
}

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainType {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// OID of its array type.
    pub array_oid: Oid,
    /// OID of its schema.
    pub namespace: Oid,
    /// Name.
    pub name: String,
    /// Base type.
    pub base_type: Oid,
    /// Type modifier of the base type.
    pub typmod: i32,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT, as PostgreSQL text.
    pub default: Option<String>,
    /// CHECK constraints over VALUE.
    pub checks: Vec<CheckConstraint>,
}

impl UserType {
    /// Whether it is a multirange type.
    #[must_use]
    pub fn is_multirange(&self) -> bool {
        match self {
            Self::Range(range) => range.is_multirange(),
            Self::Enum(_) | Self::Domain(_) | Self::Composite(_) => false,
        }
    }

    /// Identity.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Enum(it) => it.id,
            Self::Domain(it) => it.id,
            Self::Composite(it) => it.id,
            Self::Range(it) => it.id,
        }
    }

    /// OID of the type.
    #[must_use]
    pub fn oid(&self) -> Oid {
        match self {
            Self::Enum(it) => it.oid,
            Self::Domain(it) => it.oid,
            Self::Composite(it) => it.oid,
            Self::Range(it) => it.oid,
        }
    }

    /// OID of the array type over it.
    #[must_use]
    pub fn array_oid(&self) -> Oid {
        match self {
            Self::Enum(it) => it.array_oid,
            Self::Domain(it) => it.array_oid,
            Self::Composite(it) => it.array_oid,
            Self::Range(it) => it.array_oid,
        }
    }

    /// Name without schema.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Enum(it) => &it.name,
            Self::Domain(it) => &it.name,
            Self::Composite(it) => &it.name,
            Self::Range(it) => &it.name,
        }
    }

    /// OID of its schema.
    #[must_use]
    pub fn namespace(&self) -> Oid {
        match self {
            Self::Enum(it) => it.namespace,
            Self::Domain(it) => it.namespace,
            Self::Composite(it) => it.namespace,
            Self::Range(it) => it.namespace,
        }
    }
}
