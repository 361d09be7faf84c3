//! The bytes of a changeset.
//!
//! A transaction is encoded once, where it was made, and travels and rests in every node's log as those bytes; a site and
//! a version stand beside them ([`crate::types::EncodedChangeset`]). A large one is cut into bodies of about
//! [`v1::CHUNK_BYTES`], so that nobody ever holds more of it. The first byte names the format, so that a later one
//! can live beside this one.

mod decode;
mod encode;
mod state;
pub mod v1;

pub use decode::{ChangesetReader, RowView, TableView, decode};
#[cfg(feature = "store")]
pub(crate) use encode::put_value;
pub use encode::{ChangesetWriter, EncodeError, RowShape, encode};
pub use state::{
    StateCell, StateHead, StateOrigin, StateReader, StateRow, StateStamp, StateWriter,
};
