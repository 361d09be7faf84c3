//! The values of new and changed rows as the preupdate hook saw them, so that the fold need not read the rows again.
//!
//! An image is taken while its row is written and used only if nothing else happens to the row in the same transaction. It
//! holds values as they stand in a changeset (`wire`), those of all cells of an inserted row and of the changed cells of an
//! updated one:
//!
//! ```text
//! image := length:u32le  pk (a length and bytes; only of a row with a hidden rowid)  value*
//! ```
//!
//! # Invariants
//! 1. An image has what a read of its row would return. Where the hook cannot be sure of that there is none: it shows NULL
//!    for a column that a record copied from another table leaves to its default.
//!
//! # Bounds
//! [`IMAGES_BYTES_MAX`] per transaction; rows beyond it have none and are read.

use std::num::NonZeroU32;

use super::capture::pack_key;
use super::ffi::RowEvent;
use super::registry::{Column, RowIdentity, Table};
use crate::crdt::PackedKey;
use crate::crdt::bytes::{Reader, put_bytes};
use crate::types::ValueRef;
use crate::wire::put_value;

/// Most bytes of images of one transaction, 16 MiB.
const IMAGES_BYTES_MAX: usize = 16 << 20;

/// Bytes of an image's length.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Where an image is: one more than its offset.
pub(super) type ImagePlace = NonZeroU32;

/// The images of a transaction.
#[derive(Debug, Default)]
pub(super) struct Images {
    bytes: Vec<u8>,
}

/// One row's image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image<'a> {
    /// Packed key, of a row with a hidden rowid; otherwise empty.
    pub pk: &'a [u8],
    /// The values.
    pub values: &'a [u8],
}

impl Images {
    /// Takes an image of the cells of a row after its event.
    pub(super) fn take<'t>(
        &mut self,
        table: &Table,
        event: &RowEvent<'_>,
        cells: impl Iterator<Item = &'t Column>,
        scratch: &mut PackedKey,
    ) -> Option<ImagePlace> {
        let start = self.bytes.len();
        if start >= IMAGES_BYTES_MAX {
            return None;
        }
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        let taken = self.put_row(table, event, cells, scratch);
        let length = self.bytes.len() - start - LENGTH_BYTES;
        let (Some(()), Ok(length)) = (taken, u32::try_from(length)) else {
            self.bytes.truncate(start);
            return None;
        };
        self.bytes.get_mut(start..start + LENGTH_BYTES)?.copy_from_slice(&length.to_le_bytes());
        NonZeroU32::new(u32::try_from(start).ok()?.checked_add(1)?)
    }

    fn put_row<'t>(
        &mut self,
        table: &Table,
        event: &RowEvent<'_>,
        mut cells: impl Iterator<Item = &'t Column>,
        scratch: &mut PackedKey,
    ) -> Option<()> {
        if matches!(table.identity, RowIdentity::HiddenRowid(_)) {
            pack_key(scratch, table, |column| stored_value(event, column))?;
            put_bytes(&mut self.bytes, scratch.as_slice());
        }
        cells.try_for_each(|column| {
            put_value(&mut self.bytes, stored_value(event, column)?);
            Some(())
        })
    }

    /// The images from `place` on: that one and those taken after it.
    pub(super) fn from(&self, place: ImagePlace, table: &Table) -> impl Iterator<Item = Image<'_>> {
        let offset = usize::try_from(place.get() - 1).unwrap_or(usize::MAX);
        let mut rest = Reader::new(self.bytes.get(offset..).unwrap_or_default());
        let has_key = matches!(table.identity, RowIdentity::HiddenRowid(_));
        std::iter::from_fn(move || {
            let length = u32::from_le_bytes(rest.array().ok()?);
            let mut image = Reader::new(rest.take(usize::try_from(length).ok()?).ok()?);
            let pk = if has_key { image.bytes().ok()? } else { &[] };
            let values = image.take(image.remaining()).ok()?;
            Some(Image { pk, values })
        })
    }

    /// Gives back memory beyond `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets what was taken since there were `bytes`.
    pub(super) fn truncate(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
    }
}

/// What a read of the column will return, if that is sure.
fn stored_value<'e>(event: &'e RowEvent<'_>, column: &Column) -> Option<ValueRef<'e>> {
    match event.value_after(column.storage)? {
        ValueRef::Null if column.default.is_some() || column.not_null => None,
        // Records hold a real without a fraction as an integer.
        #[expect(clippy::cast_precision_loss, reason = "stored so only if nothing is lost")]
        ValueRef::Integer(integer) if column.real => Some(ValueRef::Real(integer as f64)),
        value => Some(value),
    }
}
