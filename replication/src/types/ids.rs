//! Identifiers and counters, each its own type so that none can stand in for another.

use std::collections::BTreeMap;
use std::fmt;

use super::Chunk;

/// Identity of a database file as a writer: 16 random bytes minted with the database.
///
/// Written in text as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub [u8; 16]);

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteId({self})")
    }
}

/// Number of a site's transaction: 1 for its first, without gaps. 0 means "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbVersion(pub u64);

impl DbVersion {
    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Place of a change within its transaction, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u32);

/// Place of an applied transaction, own or remote, in this node's log: 1 for the first, without gaps.
///
/// Local to the node that states it: positions of different nodes do not compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// How often a row has been created and deleted: odd while it lives, even when deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CausalLength(pub u64);

impl CausalLength {
    /// Whether a row of this causal length exists.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self.0 % 2 == 1
    }
}

/// Identity of a table, the same on all nodes; a table re-created under an old name has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u64);

/// Identity of a column within its table, the same on all nodes, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u32);

/// What tells a transaction from another one of the same site and number: a hash of its changesets, which name the moment it
/// was committed. 0 means that it is not known any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub u64);

impl ContentHash {
    /// Of the transaction with these changesets, in their order.
    #[must_use]
    pub fn of<'b>(bodies: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for body in bodies {
            hasher.update(&(body.len() as u64).to_le_bytes()).update(body);
        }
        let bytes = hasher.finalize();
        let first = bytes.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
        Self(u64::from_le_bytes(first).max(1))
    }

    /// Whether both are known, and of different transactions.
    #[must_use]
    pub fn contradicts(self, other: Self) -> bool {
        self.0 != 0 && other.0 != 0 && self != other
    }
}

/// A version vector: of each site, the last version that has been applied; all before it have been too.
pub type Heads = BTreeMap<SiteId, DbVersion>;

/// How far an origin's changesets have come: all transactions up to `version`, and the first `chunks` chunks of the one
/// after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Progress {
    /// The last transaction that is there whole.
    pub version: DbVersion,
    /// Chunks that are there of the next one.
    pub chunks: u32,
}

impl Progress {
    /// How far things have come with this chunk.
    #[must_use]
    pub fn with(version: DbVersion, chunk: Chunk) -> Self {
        if chunk.is_last {
            return version.into();
        }
        Self {
            version: DbVersion(version.0.saturating_sub(1)),
            chunks: chunk.index.saturating_add(1),
        }
    }

    /// The version and the chunk index of what comes next.
    #[must_use]
    pub fn next(self) -> (DbVersion, u32) {
        (DbVersion(self.version.0.saturating_add(1)), self.chunks)
    }
}

impl From<DbVersion> for Progress {
    fn from(version: DbVersion) -> Self {
        Self { version, chunks: 0 }
    }
}

/// Of each site, how far its changesets have come to a node.
pub type ProgressBySite = BTreeMap<SiteId, Progress>;
