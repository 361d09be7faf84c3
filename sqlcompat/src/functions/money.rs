//! Functions and operators of `money`, and of the identifiers `xid8`, `pg_lsn` and `tid`.

use super::call::{float, integer, text};
use super::{Accumulator, AggregateFunction, Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::failure;
use crate::types::numeric::{Decimal, Numeric};
use crate::types::wide_number::from_storage;

type Answer = Result<Datum, SqlError>;

/// Cents of a unit.
const CENTS: i64 = 100;

fn two(call: &Call) -> Result<(i64, i64), SqlError> {
    Ok((call.i64(0)?, call.i64(1)?))
}

fn wrapping(call: &Call, combine: fn(i64, i64) -> i64) -> Answer {
    let (left, right) = two(call)?;
    Ok(integer(combine(left, right)))
}

fn divide_whole(call: &Call) -> Answer {
    let (cents, divisor) = two(call)?;
    if divisor == 0 {
        return Err(failure::division_by_zero());
    }
    Ok(integer(cents.wrapping_div(divisor)))
}

#[expect(clippy::cast_possible_truncation, reason = "as PostgreSQL's own cast does")]
fn rounded(cents: f64) -> Datum {
    integer(cents.round_ties_even() as i64)
}

#[expect(clippy::cast_precision_loss, reason = "amounts are multiplied as floats")]
fn times_float(call: &Call, amount: usize) -> Answer {
    Ok(rounded(call.i64(amount)? as f64 * call.f64(1 - amount)?))
}

#[expect(clippy::cast_precision_loss, reason = "amounts are divided as floats")]
fn divide_float(call: &Call) -> Answer {
    let divisor = call.f64(1)?;
    if divisor == 0.0 {
        return Err(failure::division_by_zero());
    }
    Ok(rounded(call.i64(0)? as f64 / divisor))
}

#[expect(clippy::cast_precision_loss, reason = "the quotient is a float")]
fn divide(call: &Call) -> Answer {
    let (left, right) = two(call)?;
    if right == 0 {
        return Err(failure::division_by_zero());
    }
    Ok(float(left as f64 / right as f64))
}

fn from_units(call: &Call) -> Answer {
    let cents = call.i64(0)?.checked_mul(CENTS);
    cents.map(integer).ok_or_else(|| failure::out_of_range("bigint"))
}

/// The amount with its two digits after the point.
fn to_numeric(cents: i64) -> String {
    let digits = format!("{:03}", cents.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 2);
    format!("{}{whole}.{fraction}", if cents < 0 { "-" } else { "" })
}

fn from_numeric(call: &Call) -> Answer {
    let units = Numeric::parse(call.text(0)?)?;
    let Some(units) = units.finite() else {
        let what = if matches!(units, Numeric::NaN) { "NaN" } else { "infinity" };
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot convert {what} to bigint"),
        ));
    };
    let cents = units.multiply(&Decimal::from_i64(CENTS)).round(0).to_i64();
    cents.map(Datum::Integer).ok_or_else(|| failure::out_of_range("bigint"))
}

fn blob_order(call: &Call) -> Answer {
    Ok(integer(call.blob(0)?.cmp(call.blob(1)?) as i8))
}

fn pick_blob(call: &Call, larger: bool) -> Answer {
    let (left, right) = (call.blob(0)?, call.blob(1)?);
    Ok(Datum::Blob(if (left > right) == larger { left } else { right }.to_vec()))
}

/// How many bytes are between two log positions.
fn log_distance(call: &Call) -> Answer {
    let (left, right) = (from_storage(call.blob(0)?)?, from_storage(call.blob(1)?)?);
    Ok(text((i128::from(left) - i128::from(right)).to_string()))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Those of `money`.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_cash_cmp", |call| {
        let (left, right) = two(call)?;
        Ok(integer(left.cmp(&right) as i8))
    }),
    f("pg_cash_pl", |call| wrapping(call, i64::wrapping_add)),
    f("pg_cash_mi", |call| wrapping(call, i64::wrapping_sub)),
    f("pg_cash_mul_int2", |call| wrapping(call, i64::wrapping_mul)),
    f("pg_cash_mul_int4", |call| wrapping(call, i64::wrapping_mul)),
    f("pg_cash_mul_int8", |call| wrapping(call, i64::wrapping_mul)),
    f("pg_int2_mul_cash", |call| wrapping(call, i64::wrapping_mul)),
    f("pg_int4_mul_cash", |call| wrapping(call, i64::wrapping_mul)),
    f("pg_int8_mul_cash", |call| wrapping(call, i64::wrapping_mul)),
    f("pg_cash_mul_flt4", |call| times_float(call, 0)),
    f("pg_cash_mul_flt8", |call| times_float(call, 0)),
    f("pg_flt4_mul_cash", |call| times_float(call, 1)),
    f("pg_flt8_mul_cash", |call| times_float(call, 1)),
    f("pg_cash_div_int2", divide_whole),
    f("pg_cash_div_int4", divide_whole),
    f("pg_cash_div_int8", divide_whole),
    f("pg_cash_div_flt4", divide_float),
    f("pg_cash_div_flt8", divide_float),
    f("pg_cash_div_cash", divide),
    f("pg_cashlarger", |call| wrapping(call, i64::max)),
    f("pg_cashsmaller", |call| wrapping(call, i64::min)),
    f("pg_int4_cash", from_units),
    f("pg_int8_cash", from_units),
    f("pg_cash_numeric", |call| Ok(text(to_numeric(call.i64(0)?)))),
    f("pg_numeric_cash", from_numeric),
];

/// Those of the identifiers.
pub(super) const IDENTIFIERS: &[ScalarFunction] = &[
    f("pg_xid8cmp", blob_order),
    f("pg_bttidcmp", blob_order),
    f("pg_pg_lsn_cmp", blob_order),
    f("pg_xid8_larger", |call| pick_blob(call, true)),
    f("pg_xid8_smaller", |call| pick_blob(call, false)),
    f("pg_tidlarger", |call| pick_blob(call, true)),
    f("pg_tidsmaller", |call| pick_blob(call, false)),
    f("pg_pg_lsn_larger", |call| pick_blob(call, true)),
    f("pg_pg_lsn_smaller", |call| pick_blob(call, false)),
    f("pg_xid8toxid", |call| {
        let value = from_storage(call.blob(0)?)?;
        Ok(integer(u32::try_from(value & 0xffff_ffff).unwrap_or(0)))
    }),
    f("pg_pg_lsn_mi", log_distance),
    f("pg_pg_wal_lsn_diff", log_distance),
];

/// `sum` of amounts.
#[derive(Default)]
struct Sum {
    cents: i64,
    rows: i64,
}

impl Sum {
    fn count(&mut self, call: &Call, sign: i64) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.cents = self.cents.wrapping_add(call.i64(0)?.wrapping_mul(sign));
            self.rows += sign;
        }
        Ok(())
    }
}

impl Accumulator for Sum {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, 1)
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, -1)
    }

    fn finish(&self, _: &Call) -> Answer {
        Ok(if self.rows == 0 { Datum::Null } else { integer(self.cents) })
    }
}

/// Aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] =
    &[AggregateFunction { name: "pg_agg_sum_money", start: || Box::new(Sum::default()) }];
