//! One schema object as it is stored in `trellis_schema` and travels between nodes.

/// Identity of a schema object, the same on all nodes and for life; a rename keeps it.
///
/// The first eight bytes of BLAKE3 over (kind, parent, name, generation), read as a big-endian integer. Generation counts
/// the earlier objects of that kind, parent and name that were dropped, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub i64);

/// Kinds of schema object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A schema.
    Namespace,
    /// A table; its columns and constraints are rows of their own with it as parent.
    Table,
    /// A column of a table.
    Column,
    /// PRIMARY KEY, UNIQUE, CHECK or FOREIGN KEY of a table.
    Constraint,
    /// An index of a table that does not serve a constraint.
    Index,
    /// A view.
    View,
    /// A sequence.
    Sequence,
    /// An enum, a domain or a composite type.
    Type,
    /// A comment; its parent is the object commented on.
    Comment,
}

/// One row of `trellis_schema`.
///
/// The SQLite table is `trellis_schema(id INTEGER PRIMARY KEY NOT NULL, kind TEXT NOT NULL, parent INTEGER NOT NULL,
/// name TEXT NOT NULL, definition TEXT NOT NULL, dropped INTEGER NOT NULL) STRICT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaRow {
    /// Identity.
    pub id: ObjectId,
    /// Kind, in the column as lower-case text (`"table"`).
    pub kind: ObjectKind,
    /// Containing object, 0 for none.
    pub parent: ObjectId,
    /// Name as PostgreSQL shows it.
    pub name: String,
    /// JSON object of what else is known of it; unknown members are kept.
    pub definition: String,
    /// Dropped objects stay as rows so that a late change to them is recognised.
    pub dropped: bool,
}
