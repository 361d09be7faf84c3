//! The words that store and protocol share: sites, versions, values, changesets.
//!
//! A **site** is one database file's identity as a writer. Each local transaction that changed something gets the site's
//! next **`db_version`**; its changes together are one **changeset**. A node applies each site's changesets in version
//! order without gaps, so all it has to remember of a site is one **head**.
//!
//! A transaction whose changes are many travels as several changesets, its **chunks**; they are applied together, when the
//! last one has come. [`Progress`] is a head and how many chunks of the next transaction are there.

mod changeset;
mod ids;
mod state;
mod value;

pub use changeset::{
    CellChange, Changeset, Chunk, EncodedChangeset, Message, RowChange, TableChanges,
};
pub use ids::{
    CausalLength, ColumnId, ContentHash, DbVersion, Heads, Position, Progress, ProgressBySite, Seq,
    SiteId, TableId,
};
pub use state::{StateChunk, TransferId};
pub use value::{Value, ValueRef};
