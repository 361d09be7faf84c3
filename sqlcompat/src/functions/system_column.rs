//! System columns of users' tables, as lowered statements compute them; no name in SQL reaches these functions.
//!
//! | function | is |
//! |---|---|
//! | `trellis_tuple_id(number)` | `ctid` of the row whose integer key, or SQLite row number, that is; 0A000 beyond 48 bits |
//! | `trellis_hidden_tuple_id(number)` | the same of a hidden key, whose higher bits are those of all rows of a run |
//! | `trellis_deleter(number)` | `xmax`: 0, or the transaction where it has locked the row for ON CONFLICT DO UPDATE |
//! | `trellis_locked(value, number)` | the value, the row being noted as locked |
//! | `trellis_locked_as(number)` | the number, the row of that number being noted |
//! | `trellis_unknown_system_column(name, number)` | 0A000 |
//!
//! All are NULL of NULL: the number of a row that an outer join has not found.
//!
//! # Left out
//! Transactions have no numbers: where `xmax` names one, the number is made from the microsecond in which it began, and what
//! DELETE returns has 0. A row keeps its `ctid` when it is updated. Two hidden keys that different runs of nodes gave out have the same with a
//! probability of about 2^-48 for each pair.

use super::call::integer;
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::SqlError;

/// Bits of a `tid`: a block of 32 and an offset of 16.
const TUPLE_ID_BITS: u32 = 48;

/// The first number that PostgreSQL gives a transaction of a user.
const FIRST_TRANSACTION_ID: i64 = 3;

/// Bits of an `xid`.
const TRANSACTION_ID_MASK: i64 = 0xffff_ffff;

type Answer = Result<Datum, SqlError>;

fn tuple_id(call: &Call) -> Answer {
    let number = call.i64(0)?;
    if number >> TUPLE_ID_BITS != 0 {
        let what = "ctid of a row whose integer key is negative or needs more than 48 bits";
        return Err(SqlError::unsupported(what));
    }
    hidden_tuple_id(call)
}

/// The lower bits, big end first, as [`crate::types`] stores a `tid`.
fn hidden_tuple_id(call: &Call) -> Answer {
    let bytes = call.i64(0)?.to_be_bytes();
    Ok(Datum::Blob(bytes.get(2..).unwrap_or_default().to_vec()))
}

fn deleter(call: &Call) -> Answer {
    if !call.session.keep().is_locked(call.i64(0)?) {
        return Ok(integer(0));
    }
    let started_us = call.session.state().transaction_us & TRANSACTION_ID_MASK;
    Ok(Datum::Integer(started_us.max(FIRST_TRANSACTION_ID)))
}

fn locked(call: &Call) -> Answer {
    if !call.is_null(1) {
        call.session.keep().lock_row(call.i64(1)?)?;
    }
    Ok(call.datum(0).to_datum())
}

fn locked_as(call: &Call) -> Answer {
    call.session.keep().lock_row(call.i64(0)?)?;
    Ok(call.datum(0).to_datum())
}

fn unknown(call: &Call) -> Answer {
    Err(SqlError::unsupported(format_args!("the system column {}", call.text(0)?)))
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("trellis_tuple_id", tuple_id),
    ScalarFunction::strict("trellis_hidden_tuple_id", hidden_tuple_id),
    ScalarFunction::strict("trellis_deleter", deleter).volatile(),
    ScalarFunction::lax("trellis_locked", locked).volatile(),
    ScalarFunction::strict("trellis_locked_as", locked_as).volatile(),
    ScalarFunction::strict("trellis_unknown_system_column", unknown).volatile(),
];
