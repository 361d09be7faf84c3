//! Format 1.
//!
//! ```text
//! body   := 1 committed_at_us messages (channel payload)* table* 0
//! table  := 1 table_id columns column_id* row* 0
//! row    := 1 shape key_and_values                a shape not seen before in this table; remembered, up to SHAPES_MAX
//!         | n key_and_values                      n >= 2: the table's shape n-2
//! shape  := causal_length has_sentinel cells (column_gap col_version)*
//! key_and_values := seq_gap pk value*             one value per cell of the shape
//! value  := 0 | 1 integer | 2 real | 3 text | 4 blob
//! ```
//! Numbers are varints (signed ones zigzagged), strings a length and bytes, reals eight bytes little-endian. Column gaps
//! count from the column after the one before. A row's changes have consecutive sequence numbers, the sentinel first and
//! the cells by column; `seq_gap` is how many numbers were left out before the row.
//!
//! Rows of one statement share their shape, so a row costs two bytes besides its key and values.
//!
//! A transaction is one body, or several when it is large: each holds whole rows, repeats the head of a table that goes on
//! in it, and counts its first `seq_gap` from 0, so that it is read without the others. Messages come in the first ones.
//!
//! # Bounds
//! What a reader refuses, whatever the sender says:

/// First byte of a body.
pub const FORMAT: u8 = 1;

/// Bytes from which on a body is full: 1 MiB. A row begun before that is still written to it.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Most bytes in a row's key and values: 128 MiB. A larger row is refused where it is written.
pub const ROW_BYTES_MAX: usize = 128 << 20;

/// Most bytes in a body.
pub const BODY_BYTES_MAX: usize = CHUNK_BYTES + ROW_BYTES_MAX + (1 << 20);

/// Most bodies in a transaction: 64 GiB of changes. A larger one is refused where it is made.
pub const CHUNKS_MAX: u32 = 1 << 16;

/// Most `NOTIFY` messages in a transaction.
pub const MESSAGES_MAX: usize = 1 << 20;

/// Most bytes in a transaction's messages: 64 MiB. Further ones are refused where they are sent.
pub const MESSAGES_BYTES_MAX: usize = 64 << 20;

/// Longest channel name, in bytes; PostgreSQL's limit for identifiers.
pub const CHANNEL_BYTES_MAX: usize = 63;

/// Longest payload, in bytes; PostgreSQL's limit.
pub const PAYLOAD_BYTES_MAX: usize = 7999;

/// Most columns a table's changes may name.
pub const COLUMNS_MAX: usize = 4096;

/// Shapes remembered per table; later ones are written out in each row.
pub const SHAPES_MAX: usize = 1024;

/// Tags of values.
pub(super) mod tag {
    pub(in crate::wire) const NULL: u8 = 0;
    pub(in crate::wire) const INTEGER: u8 = 1;
    pub(in crate::wire) const REAL: u8 = 2;
    pub(in crate::wire) const TEXT: u8 = 3;
    pub(in crate::wire) const BLOB: u8 = 4;
}

/// Markers before tables and rows.
pub(super) mod marker {
    pub(in crate::wire) const END: u64 = 0;
    pub(in crate::wire) const NEW: u64 = 1;
    pub(in crate::wire) const FIRST_KNOWN: u64 = 2;
}
