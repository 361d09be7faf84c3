//! PostgreSQL's data types: text and binary formats in, storage form out, and back.
//!
//! ```text
//!   decode_text    "2024-01-31"          ─┐                       ┌─ encode_text    "2024-01-31"
//!                                         ├─ Datum::Integer(8796) ┤
//!   decode_binary  00 00 22 5c           ─┘                       └─ encode_binary  00 00 22 5c
//! ```
//!
//! [`crate::datum`] lists the storage form of each type. Everything here is pure: the settings, the clock and the names of
//! user types come in through [`TypeContext`]. What inside the database needs the same formats (casts, `to_json`, `||` of
//! anything) calls the same functions, so there is one reading and one spelling of each value.
//!
//! # Invariants
//! 1. `decode_text(encode_text(v)) == v` and the same in binary, for every value a decoder produced.
//! 2. A stored value whose class does not fit its type is an error (XX000), never garbage and never a panic.
//! 3. Bytes and text from a client never panic; lengths are checked before anything is allocated.
//!
//! # Bounds
//! [`array::ELEMENTS_MAX`] elements per array, [`json::DEPTH_MAX`] nesting levels of JSON, PostgreSQL's own limits of numeric.
//!
//! # Left out
//! XML, geometric types and `tsvector` have no format here.
//!
//! # Sources
//! PostgreSQL 15 manual, chapter 8 (Data Types), appendix B (Date/Time Support).

pub mod array;
mod array_text;
pub mod bit_string;
pub mod catalog_names;
pub mod codec;
pub mod datetime;
pub mod failure;
pub(crate) mod family;
pub mod float;
pub mod interval;
pub mod json;
pub mod jsonpath;
pub mod mac_address;
pub mod money;
pub mod multirange;
pub mod network;
pub mod numeric;
pub mod numeric_math;
pub mod object_name;
mod quoted;
pub mod range;
pub mod range_math;
pub mod record;
pub mod scalar;
pub mod wide_number;

pub use catalog_names::{NoNames, ObjectClass, TypeNames, TypeShape};
pub use codec::{Encoder, decode_binary, decode_text, encode_binary, encode_text, encoder};

use crate::settings::FormatSettings;

/// What reading and writing a value may depend on.
#[derive(Clone, Copy)]
pub struct TypeContext<'a> {
    /// `TimeZone`, `DateStyle` and the like.
    pub settings: &'a FormatSettings,
    /// User types and catalog names.
    pub names: &'a dyn TypeNames,
    /// Start of the transaction, for `'now'`, `'today'`; microseconds since 2000-01-01 UTC.
    pub now_us: i64,
}
