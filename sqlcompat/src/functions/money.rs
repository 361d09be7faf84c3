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

fn chosen(call: &Call, choose: fn(i64, i64) -> i64) -> Answer {
    let (left, right) = two(call)?;
    Ok(integer(choose(left, right)))
}

fn checked(call: &Call, combine: fn(i64, i64) -> Option<i64>) -> Answer {
    let (left, right) = two(call)?;
    combine(left, right).map(integer).ok_or_else(|| failure::out_of_range("money"))
}

fn divide_whole(call: &Call) -> Answer {
    let (cents, divisor) = two(call)?;
    if divisor == 0 {
        return Err(failure::division_by_zero());
    }
    cents.checked_div(divisor).map(integer).ok_or_else(|| failure::out_of_range("money"))
}

/// Whole cents.
fn rounded(cents: f64) -> Answer {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    let whole = cents.round_ties_even();
    if !(-BOUND..BOUND).contains(&whole) {
        return Err(failure::out_of_range("money"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just before")]
    let whole = whole as i64;
    Ok(integer(whole))
}

#[expect(clippy::cast_precision_loss, reason = "amounts are multiplied as floats")]
fn times_float(call: &Call, amount: usize) -> Answer {
    rounded(call.i64(amount)? as f64 * call.f64(1 - amount)?)
}

#[expect(clippy::cast_precision_loss, reason = "amounts are divided as floats")]
fn divide_float(call: &Call) -> Answer {
    let divisor = call.f64(1)?;
    if divisor == 0.0 {
        return Err(failure::division_by_zero());
    }
    rounded(call.i64(0)? as f64 / divisor)
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

/// The words of a number below a thousand.
fn words_below_thousand(value: u64, out: &mut String) {
    const SMALL: [&str; 28] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
    ];
    let word = |index: u64| usize::try_from(index).ok().and_then(|it| SMALL.get(it)).unwrap_or(&"");
    let tens_word = |tens: u64| word(tens + 18);
    let (hundreds, rest) = (value / 100, value % 100);
    if rest == 0 {
        out.push_str(&format!("{} hundred", word(hundreds)));
        return;
    }
    let below_hundred = |rest: u64| match rest {
        0..=20 => (*word(rest)).to_owned(),
        _ if rest.is_multiple_of(10) => (*tens_word(rest / 10)).to_owned(),
        _ => format!("{} {}", tens_word(rest / 10), word(rest % 10)),
    };
    if hundreds == 0 {
        out.push_str(&below_hundred(rest));
    } else if rest.is_multiple_of(10) && rest > 10 {
        out.push_str(&format!("{} hundred {}", word(hundreds), tens_word(rest / 10)));
    } else if rest < 20 {
        out.push_str(&format!("{} hundred and {}", word(hundreds), word(rest)));
    } else {
        out.push_str(&format!("{} hundred {}", word(hundreds), below_hundred(rest)));
    }
}

/// `cash_words`: an amount in English.
fn in_words(cents: i64) -> String {
    const GROUPS: [(u64, &str); 5] = [
        (1_000_000_000_000_000, " quadrillion "),
        (1_000_000_000_000, " trillion "),
        (1_000_000_000, " billion "),
        (1_000_000, " million "),
        (1000, " thousand "),
    ];
    let mut out = String::from(if cents < 0 { "minus " } else { "" });
    let magnitude = cents.unsigned_abs();
    let (dollars, rest) = (magnitude / 100, magnitude % 100);
    for (size, name) in GROUPS {
        let group = dollars / size % 1000;
        if group > 0 {
            words_below_thousand(group, &mut out);
            out.push_str(name);
        }
    }
    let last = dollars % 1000;
    if last > 0 {
        words_below_thousand(last, &mut out);
    }
    if dollars == 0 {
        out.push_str("zero");
    }
    out.push_str(if dollars == 1 { " dollar and " } else { " dollars and " });
    if rest == 0 {
        out.push_str("zero");
    } else {
        words_below_thousand(rest, &mut out);
    }
    out.push_str(if rest == 1 { " cent" } else { " cents" });
    let first = out.get(..1).unwrap_or_default().to_uppercase();
    format!("{first}{}", out.get(1..).unwrap_or_default())
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

/// A log position from its number.
fn position(number: &Numeric) -> Result<Datum, SqlError> {
    let Some(number) = number.finite() else {
        let what = if matches!(number, Numeric::NaN) { "NaN" } else { "infinity" };
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot convert {what} to pg_lsn"),
        ));
    };
    let whole: Option<u64> = number.round(0).to_string().parse().ok();
    let whole = whole.ok_or_else(|| failure::invalid_parameter("pg_lsn out of range"))?;
    Ok(Datum::Blob(whole.to_be_bytes().to_vec()))
}

/// The log position that many bytes after one, or before it.
fn moved(call: &Call, at: usize, forward: bool) -> Answer {
    let distance = call.numeric(1 - at)?;
    if matches!(distance, Numeric::NaN) {
        let verb = if forward { "add NaN to" } else { "subtract NaN from" };
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot {verb} pg_lsn"),
        ));
    }
    let start = Numeric::parse(&from_storage(call.blob(at)?)?.to_string())?;
    let signed = if forward { distance } else { distance.negate() };
    position(&start.add(&signed)?)
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
    f("pg_cash_pl", |call| checked(call, i64::checked_add)),
    f("pg_cash_mi", |call| checked(call, i64::checked_sub)),
    f("pg_cash_mul_int2", |call| checked(call, i64::checked_mul)),
    f("pg_cash_mul_int4", |call| checked(call, i64::checked_mul)),
    f("pg_cash_mul_int8", |call| checked(call, i64::checked_mul)),
    f("pg_int2_mul_cash", |call| checked(call, i64::checked_mul)),
    f("pg_int4_mul_cash", |call| checked(call, i64::checked_mul)),
    f("pg_int8_mul_cash", |call| checked(call, i64::checked_mul)),
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
    f("pg_cashlarger", |call| chosen(call, i64::max)),
    f("pg_cashsmaller", |call| chosen(call, i64::min)),
    f("pg_int4_cash", from_units),
    f("pg_int8_cash", from_units),
    f("pg_cash_numeric", |call| Ok(text(to_numeric(call.i64(0)?)))),
    f("pg_numeric_cash", from_numeric),
    f("pg_cash_words", |call| Ok(text(in_words(call.i64(0)?)))),
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
    f("pg_pg_lsn_pli", |call| moved(call, 0, true)),
    f("pg_numeric_pl_pg_lsn_5023", |call| moved(call, 1, true)),
    f("pg_pg_lsn_mii", |call| moved(call, 0, false)),
    f("pg_numeric_pg_lsn", |call| position(&call.numeric(0)?)),
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
            let cents = call.i64(0)?.checked_mul(sign);
            let sum = cents.and_then(|cents| self.cents.checked_add(cents));
            self.cents = sum.ok_or_else(|| failure::out_of_range("money"))?;
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
