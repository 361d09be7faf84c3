//! The data formats of `COPY`, as pure codecs: bytes to fields, fields to bytes.
//!
//! Source: PostgreSQL manual, `sql-copy` (File Formats).

mod binary;
mod csv;
mod decode;
mod encode;
mod text;

pub use decode::{Decoder, Field};
pub use encode::RowEncoder;
