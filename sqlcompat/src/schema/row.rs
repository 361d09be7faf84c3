//! One schema object as it is stored in `trellis_schema` and travels between nodes.

/// Identity of a schema object, the same on all nodes and for life; a rename keeps it.
///
/// The first eight bytes of BLAKE3 over (kind, parent, name, generation), read as a big-endian integer. Generation counts
/// from 0 up to the first id that no earlier object has, so a table re-created under an old name is a new object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub i64);

impl ObjectId {
    /// The id of the `generation`-th object of this kind and name inside `parent`.
    #[must_use]
    pub fn derive(kind: ObjectKind, parent: Self, name: &str, generation: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(kind.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(&parent.0.to_be_bytes());
        hasher.update(&generation.to_be_bytes());
        hasher.update(name.as_bytes());
        Self(i64::from_be_bytes(first_bytes(hasher.finalize().as_bytes())))
    }

    /// A number below 2^30 that depends on this id and on `role`, such as `"row type"`: the base of an OID.
    pub(super) fn oid_base(self, role: &str) -> u32 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_be_bytes());
        hasher.update(role.as_bytes());
        u32::from_be_bytes(first_bytes(hasher.finalize().as_bytes())) & 0x3fff_ffff
    }
}

/// The first `N` of a hash's 32 bytes.
fn first_bytes<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    bytes
}

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
    /// A function or procedure.
    Function,
    /// A comment; its parent is the object commented on.
    Comment,
    /// A role.
    Role,
    /// Membership in a role; its parent is the role, its name the member's id.
    Membership,
}

impl ObjectKind {
    /// All kinds, parents before what they contain.
    pub const ALL: [Self; 12] = [
        Self::Role,
        Self::Membership,
        Self::Namespace,
        Self::Type,
        Self::Sequence,
        Self::Table,
        Self::Column,
        Self::Constraint,
        Self::Index,
        Self::View,
        Self::Function,
        Self::Comment,
    ];

    /// Whether objects of this kind have an owner of their own.
    pub(super) fn is_owned(self) -> bool {
        match self {
            Self::Namespace
            | Self::Table
            | Self::View
            | Self::Sequence
            | Self::Type
            | Self::Function => true,
            Self::Column
            | Self::Constraint
            | Self::Index
            | Self::Comment
            | Self::Role
            | Self::Membership => false,
        }
    }

    /// The kind as it stands in `trellis_schema.kind`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Table => "table",
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::Index => "index",
            Self::View => "view",
            Self::Sequence => "sequence",
            Self::Type => "type",
            Self::Function => "function",
            Self::Comment => "comment",
            Self::Role => "role",
            Self::Membership => "membership",
        }
    }

    /// Reads `trellis_schema.kind`; `None` for a kind that this version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One row of `trellis_schema`.
///
/// The SQLite table is [`SCHEMA_TABLE`].
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

/// SQLite DDL of the replicated system table that holds the schema.
pub const SCHEMA_TABLE: &str = "CREATE TABLE IF NOT EXISTS trellis_schema(\
    id INTEGER PRIMARY KEY NOT NULL, kind TEXT NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL, \
    definition TEXT NOT NULL, dropped INTEGER NOT NULL) STRICT";
