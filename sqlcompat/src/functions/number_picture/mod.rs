//! `to_char` and `to_number` over numbers.
//!
//! A picture is digits (`9` shows nothing for a leading zero, `0` shows it), a point (`.` or `D`), group separators (`,` or
//! `G`), signs (`S`, `MI`, `PL`, `SG`, `PR`), `FM`, `TH`, `V`, `RN`, `EEEE`, and text of its own.
//!
//! # Map
//! `picture` takes a picture apart; `digits` gives the digits of a number of each type to it; `print` writes them mark by
//! mark, `read` reads them back.
//!
//! # Left out
//! The signs of locales: all are those of the `C` locale, whose currency sign is a blank.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8 (Data Type Formatting Functions).

mod digits;
mod picture;
mod print;
mod read;

use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use digits::{DOUBLE_DIGITS, Digits, REAL_DIGITS};
use picture::Picture;

type Answer = Result<Datum, SqlError>;

/// Prints a number by the picture in the second argument.
fn to_char(call: &Call, digits: fn(&Call, &mut Picture) -> Result<Digits, SqlError>) -> Answer {
    let written = call.text(1)?;
    if written.is_empty() {
        return Ok(text(""));
    }
    let mut picture = Picture::parse(written)?;
    let digits = digits(call, &mut picture)?;
    Ok(text(print::print(picture, &digits)))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body).stable()
}

/// This directory's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_int4_to_char", |call| {
        to_char(call, |call, picture| digits::of_int4(call.i32(0)?, picture))
    }),
    f("pg_int8_to_char", |call| {
        to_char(call, |call, picture| digits::of_int8(call.i64(0)?, picture))
    }),
    f("pg_numeric_to_char", |call| {
        to_char(call, |call, picture| digits::of_numeric(&call.numeric(0)?, picture))
    }),
    f("pg_float8_to_char", |call| {
        to_char(call, |call, picture| Ok(digits::of_float(call.f64(0)?, DOUBLE_DIGITS, picture)))
    }),
    f("pg_float4_to_char", |call| {
        to_char(call, |call, picture| Ok(digits::of_float(call.f64(0)?, REAL_DIGITS, picture)))
    }),
    f("pg_numeric_to_number", |call| read::to_number(call.text(0)?, call.text(1)?)),
];
