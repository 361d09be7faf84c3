//! The user's schema as data: what exists, how it travels, what SQLite must hold for it.
//!
//! Every object (schema, table, column, index, constraint, view, sequence, type, comment, …) is one [`SchemaRow`] of the
//! replicated system table `trellis_schema`. A DDL statement is an edit of those rows; they merge between nodes by the
//! same rules as user rows; and whenever they changed, on whichever node, [`materialize()`] brings the SQLite tables in line.
//! There is one path for a local `CREATE TABLE` and for one that arrives from a peer.
//!
//! Identity: an object's id is a 64-bit hash of (kind, parent id, name, generation), so two nodes that concurrently create
//! the same table make the same row, and one re-created under an old name is a new object. OIDs derive from ids.
//!
//! # Map
//! - `row`: [`SchemaRow`], one object as stored and sent; `definition`: the JSON in it.
//! - `catalog`: [`Catalog`], all live objects; `link` makes it from rows, `usable` leaves out what cannot be carried out, `lookup`
//!   finds things in it.
//! - `function`: functions, which are bodies to be expanded where they are called.
//! - `stored_text`: the text of a view, whose names mean the same for good; `seen`: the columns that it was written for;
//!   `marked_text`: the same for texts of expressions.
//! - `role`: roles and membership; `password`: what is kept of a password.
//! - `physical`: SQLite names.
//! - `statement`: [`SchemaStatement`], DDL from binding to [`SchemaChange`]; `change`: what each statement changes.
//! - `materialize`: from one catalog to another in SQLite DDL; `table_sql`: SQLite's text of a table; `storage`: of a type.
//! - `violation`: SQLite's constraint errors in PostgreSQL's words.

mod catalog;
mod change;
mod definition;
mod function;
mod link;
mod lookup;
mod marked_text;
mod materialize;
pub mod password;
pub mod physical;
mod role;
mod row;
mod seen;
mod statement;
mod storage;
mod stored_text;
mod table_sql;
mod usable;
mod violation;
mod violation_query;

pub use catalog::{
    Catalog, CheckConstraint, CheckOption, Column, ColumnDefault, ColumnGeneration, CompositeType,
    DomainType, EnumType, ForeignKey, ForeignKeyAction, Index, IndexKey, MatchType, Namespace,
    RangeUserType, Sequence, Table, TableKind, UniqueConstraint, UserType, Using, View,
};
pub use definition::OnCommit;
pub use function::{Function, Parameter};
pub use link::{PUBLIC_NAMESPACE, TEMPORARY_NAMESPACE};
pub use lookup::{Relation, StoreTable};
pub use materialize::{Conversion, TableStep, UniqueIndex, materialize};
pub use role::{BOOTSTRAP_ROLE, BOOTSTRAP_ROLE_NAME, Membership, Role, Roles};
pub use row::{ObjectId, ObjectKind, SCHEMA_TABLE, SchemaRow};
pub use seen::{Seen, SeenColumns};
pub use statement::{
    RefusedKey, SchemaChange, SchemaHost, SchemaNotice, SchemaStatement, SchemaStep, bind_ddl,
};
pub(crate) use storage::builtin_collation;
pub use storage::{StorageForm, storage_form};
pub use stored_text::{NameRole, NameUse, Qualify, StoredText};
pub(crate) use stored_text::{last_part, literal_end, name_end};
pub use usable::{Unusable, UnusableKind};
pub use violation::{
    ForeignKeySide, ViolatedKey, check_violation, constraint_error, constraint_error_with_values,
    foreign_key_error, not_null_error,
};
pub use violation_query::{
    IndexKeyText, UniqueSet, ViolationQuery, check_conditions, index_keys, key_columns,
    unique_sets, violation_queries,
};
