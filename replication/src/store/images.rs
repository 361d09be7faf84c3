//! The values of new and changed rows in the form in which they stand in a changeset (`wire`).
//!
//! An image is mostly taken while its row is written, by the preupdate hook, so that the fold need not read the row again;
//! it is used only if nothing else happens to the row in the same transaction. It holds all cells of an inserted row, and
//! the changed cells of an updated one:
//!
//! ```text
//! image := length:u32le  pk (a length and bytes; only of a row with a hidden rowid)  value*
//! ```
//!
//! Of a long run of neighbours that are inserted one after the other the hook takes the first [`RUN_IMAGES`] only. The
//! images of the others are made when they are folded, by a function that SQLite calls with the columns of one row after
//! the other ([`StoredImages`]): that costs no more, and takes the memory of a few hundred rows instead of all.
//!
//! # Invariants
//! 1. An image has what a read of its row would return. Where the hook cannot be sure of that there is none: it shows NULL
//!    for a column that a record copied from another table leaves to its default.
//!
//! # Bounds
//! [`IMAGES_BYTES_MAX`] per transaction; rows beyond it have none and are read. [`STORED_IMAGES_ROWS`] rows are read at
//! once, or as many as fill [`STORED_IMAGES_BYTES`].

use std::ffi::CStr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{CachedStatement, Connection};

use super::capture::pack_key;
use super::error::{Result, StoreError};
use super::ffi::{Arguments, RowEvent, RowFunction, register_row_function};
use super::registry::{Column, RowIdentity, Table};
use crate::crdt::PackedKey;
use crate::crdt::bytes::{Reader, put_bytes};
use crate::types::ValueRef;
use crate::wire::put_value;

/// Most bytes of images of one transaction, 16 MiB.
const IMAGES_BYTES_MAX: usize = 16 << 20;

/// Neighbours that are inserted one after the other whose images are taken by the hook; those of further ones are made
/// later.
pub(super) const RUN_IMAGES: u64 = 32;

/// Rows whose images are made by one statement.
const STORED_IMAGES_ROWS: u64 = 256;

/// Bytes of images from which on that statement makes no more.
const STORED_IMAGES_BYTES: usize = 1 << 20;

/// Most arguments of a SQL function, those of SQLite's own limit that every build has.
const ARGUMENTS_MAX: usize = 100;

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
        if has_key(table) {
            pack_key(scratch, table, |column| stored_value(event, column))?;
            put_bytes(&mut self.bytes, scratch.as_slice());
        }
        cells.try_for_each(|column| {
            put_value(&mut self.bytes, stored_value(event, column)?);
            Some(())
        })
    }

    /// Makes an image of a function's arguments: how many of them are the row's key, the key, the cells.
    fn make(&mut self, arguments: Arguments<'_>) -> Result<(), &'static CStr> {
        const NOT_TEXT: &CStr = c"a stored value is not valid text";
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        let mut values = arguments.values();
        if let Some(Some(ValueRef::Integer(keys))) = values.next()
            && keys > 0
        {
            let mut pk = PackedKey::default();
            for key in values.by_ref().take(usize::try_from(keys).unwrap_or(0)) {
                pk.push(key.ok_or(NOT_TEXT)?);
            }
            put_bytes(&mut self.bytes, pk.as_slice());
        }
        for value in values {
            put_value(&mut self.bytes, value.ok_or(NOT_TEXT)?);
        }
        let length = self.bytes.len() - start - LENGTH_BYTES;
        let length = u32::try_from(length).map_err(|_too_long| c"a row is too large")?;
        let place = self.bytes.get_mut(start..start + LENGTH_BYTES);
        place.ok_or(c"no place for a length")?.copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// The image at `offset`, and where the next one is.
    fn at(&self, offset: usize, has_key: bool) -> Option<(Image<'_>, usize)> {
        let mut rest = Reader::new(self.bytes.get(offset..)?);
        let length = usize::try_from(u32::from_le_bytes(rest.array().ok()?)).ok()?;
        let mut image = Reader::new(rest.take(length).ok()?);
        let pk = if has_key { image.bytes().ok()? } else { &[] };
        let values = image.take(image.remaining()).ok()?;
        Some((Image { pk, values }, offset + LENGTH_BYTES + length))
    }

    /// The image at `place`.
    pub(super) fn get(&self, place: ImagePlace, table: &Table) -> Option<Image<'_>> {
        let offset = usize::try_from(place.get() - 1).ok()?;
        self.at(offset, has_key(table)).map(|(image, _)| image)
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

/// Whether images of the table's rows hold their keys.
fn has_key(table: &Table) -> bool {
    matches!(table.identity, RowIdentity::HiddenRowid(_))
}

/// The images of rows that were inserted one after the other, in their order.
pub(super) enum RowImages<'a> {
    /// Taken by the hook.
    Seen { images: &'a Images, offset: usize, has_key: bool },
    /// Made from what is stored.
    Stored(StoredImages<'a>),
}

impl<'a> RowImages<'a> {
    /// The images from `place` on: that one and those taken after it.
    pub(super) fn seen(images: &'a Images, place: ImagePlace, table: &Table) -> Self {
        let offset = usize::try_from(place.get() - 1).unwrap_or(usize::MAX);
        Self::Seen { images, offset, has_key: has_key(table) }
    }

    /// The image of the next row.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub(super) fn next(&mut self) -> Result<Image<'_>> {
        match self {
            Self::Seen { images, offset, has_key } => {
                let (image, next) = images.at(*offset, *has_key).ok_or_else(no_image)?;
                *offset = next;
                Ok(image)
            }
            Self::Stored(stored) => stored.next(),
        }
    }
}

/// The images of neighbours, made from what is stored.
pub(super) struct StoredImages<'c> {
    make: CachedStatement<'c>,
    /// Where the function puts what it makes.
    made: &'c SharedImages,
    /// The first row whose image is not made yet, and the last one of all.
    rest: (i64, i64),
    batch: Images,
    offset: usize,
    has_key: bool,
}

impl<'c> StoredImages<'c> {
    /// The images of `count` rows from `row` on; none if the table has too many columns for the function.
    pub(super) fn new(
        (sqlite, made): (&'c Connection, &'c SharedImages),
        table: &Table,
        (row, count): (i64, u64),
    ) -> Result<Option<Self>> {
        let Some(sql) = &table.sql.make_images else { return Ok(None) };
        let rest = (row, row.saturating_add_unsigned(count.saturating_sub(1)));
        let (make, has_key) = (sqlite.prepare_cached(sql)?, has_key(table));
        Ok(Some(Self { make, made, rest, batch: Images::default(), offset: 0, has_key }))
    }

    fn next(&mut self) -> Result<Image<'_>> {
        if self.offset >= self.batch.len() {
            self.make_batch()?;
        }
        let (image, next) = self.batch.at(self.offset, self.has_key).ok_or_else(no_image)?;
        self.offset = next;
        Ok(image)
    }

    fn make_batch(&mut self) -> Result<()> {
        let (first, end) = self.rest;
        let last = first.saturating_add_unsigned(STORED_IMAGES_ROWS - 1).min(end);
        self.made.lock().clear();
        // A row comes only where the images are enough for now: the last one that was made.
        let enough = self.make.query([first, last])?.next()?.map(|row| row.get(0)).transpose()?;
        let last = enough.unwrap_or(last);
        let mut made = self.made.lock();
        if last.checked_add(1) != first.checked_add_unsigned(made.rows) {
            return Err(no_image());
        }
        std::mem::swap(&mut self.batch, &mut made.images);
        self.offset = 0;
        self.rest.0 = last.saturating_add(1);
        Ok(())
    }
}

fn no_image() -> StoreError {
    StoreError::Damaged("rows changed without being noticed".into())
}

/// Where `trellis_image` puts what it makes.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedImages(Arc<Mutex<MadeImages>>);

/// Images and how many they are.
#[derive(Debug, Default)]
struct MadeImages {
    images: Images,
    rows: u64,
}

impl MadeImages {
    fn clear(&mut self) {
        self.images.truncate(0);
        self.rows = 0;
    }
}

impl SharedImages {
    fn lock(&self) -> MutexGuard<'_, MadeImages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back memory beyond `bytes`.
    pub(super) fn shrink_to(&self, bytes: usize) {
        let mut made = self.lock();
        made.clear();
        made.images.shrink_to(bytes);
    }

    /// Registers `trellis_image(keys, …)` on a connection.
    pub(super) fn register(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        register_row_function(sqlite, c"trellis_image", Arc::new(self.clone()))
    }
}

impl RowFunction for SharedImages {
    fn row(&self, values: Arguments<'_>) -> Result<bool, &'static CStr> {
        let mut made = self.lock();
        made.rows += 1;
        made.images.make(values)?;
        Ok(made.images.len() >= STORED_IMAGES_BYTES)
    }
}

/// A statement that makes the images of the rows `?1 <= rowid <= ?2`, and returns the rowid at which they are enough for
/// now, if they are before the last; none if they have too many columns.
pub(super) fn make_images_sql(
    table: &str,
    rowid: &str,
    keys: &[String],
    cells: &[String],
) -> Option<String> {
    if keys.len() + cells.len() >= ARGUMENTS_MAX {
        return None;
    }
    let arguments: Vec<_> =
        std::iter::once(keys.len().to_string()).chain(keys.iter().chain(cells).cloned()).collect();
    // By rowid, and no index that happens to have all columns: the order is that of the rows.
    Some(format!(
        "SELECT {rowid} FROM {table} NOT INDEXED WHERE {rowid} BETWEEN ?1 AND ?2 AND trellis_image({})",
        arguments.join(", ")
    ))
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
