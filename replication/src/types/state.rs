//! A database's state on its way to a node that the log no longer serves.

use bytes::Bytes;

use super::{Chunk, DbVersion, EncodedChangeset, Progress, SiteId};

/// Number of a state transfer, chosen at random by the node that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// A stretch of a state (`crate::wire::StateReader`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChunk {
    /// Its place.
    pub chunk: Chunk,
    /// The encoded stretch.
    pub body: Bytes,
}

impl StateChunk {
    /// How far a transfer is with `chunks` chunks: they travel as those of a transaction do that is the only one.
    #[must_use]
    pub fn progress(chunks: u32) -> Progress {
        Progress { version: DbVersion(0), chunks }
    }

    /// The chunk as one of that transaction.
    #[must_use]
    pub fn into_changeset(self) -> EncodedChangeset {
        let Self { chunk, body } = self;
        EncodedChangeset { site: SiteId([0; 16]), version: DbVersion(1), chunk, body }
    }
}

impl From<EncodedChangeset> for StateChunk {
    fn from(changeset: EncodedChangeset) -> Self {
        Self { chunk: changeset.chunk, body: changeset.body }
    }
}
