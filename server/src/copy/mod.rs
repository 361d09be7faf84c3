//! The data formats of `COPY`, as pure codecs: bytes to fields, fields to bytes.
//!
//! Source: PostgreSQL manual, `sql-copy` (File Formats).

mod binary;
mod csv;
mod decode;
mod encode;
mod text;

pub use decode::{Decoder, Field, missing_data, shown};
pub use encode::RowEncoder;
