//! Unicode normal forms: `normalize`, `IS NORMALIZED`.
//!
//! # Sources
//! Unicode Standard Annex 15; PostgreSQL 15 manual, 9.4.

use unicode_normalization::UnicodeNormalization;

use super::ScalarFunction;
use super::call::{boolean, text};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::types::failure;

fn normalized(value: &str, form: &str) -> Result<String, SqlError> {
    Ok(match form.to_ascii_uppercase().as_str() {
        "NFC" => value.nfc().collect(),
        "NFD" => value.nfd().collect(),
        "NFKC" => value.nfkc().collect(),
        "NFKD" => value.nfkd().collect(),
        _ => {
            return Err(failure::invalid_parameter(format!("invalid normalization form: {form}")));
        }
    })
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_unicode_normalize_func", |call| {
        Ok(text(normalized(call.text(0)?, call.text(1)?)?))
    }),
    ScalarFunction::strict("pg_unicode_is_normalized", |call| {
        let value = call.text(0)?;
        let normal: Result<Datum, SqlError> =
            normalized(value, call.text(1)?).map(|it| boolean(it == value));
        normal
    }),
];
