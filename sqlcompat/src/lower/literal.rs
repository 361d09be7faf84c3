//! How names and values are written in SQLite's SQL.

use std::fmt::Write;

use crate::datum::Datum;

/// A name in double quotes.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in single quotes.
#[must_use]
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Appends a value in storage form.
pub(super) fn write_datum(datum: &Datum, out: &mut String) {
    let written = match datum {
        Datum::Null => out.write_str("NULL"),
        Datum::Integer(i64::MIN) => out.write_str("(-9223372036854775807 - 1)"),
        Datum::Integer(value) => write!(out, "{value}"),
        Datum::Real(value) if value.is_infinite() => {
            out.write_str(if *value > 0.0 { "9e999" } else { "-9e999" })
        }
        Datum::Real(value) => write!(out, "{value:?}"),
        Datum::Text(text) => out.write_str(&quote_text(text)),
        Datum::Blob(bytes) => {
            out.push_str("x'");
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
            out.write_str("'")
        }
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
