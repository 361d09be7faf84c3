//! Functions, operators and aggregates of `bit` and `bit varying`.

use std::collections::VecDeque;

use super::call::{count, integer, text};
use super::{Accumulator, AggregateFunction, Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::bit_string::{BITS_MAX, BitKind, to_number};
use crate::types::failure;

type Answer = Result<Datum, SqlError>;

/// Combines the bits of two strings of one length.
fn zip(left: &str, right: &str, what: &str, combine: fn(bool, bool) -> bool) -> Answer {
    if left.len() != right.len() {
        return Err(SqlError::new(
            SqlState::STRING_DATA_LENGTH_MISMATCH,
            format!("cannot {what} bit strings of different sizes"),
        ));
    }
    let pairs = left.bytes().zip(right.bytes());
    let digit = |set: bool| if set { '1' } else { '0' };
    let bits = pairs.map(|(left, right)| digit(combine(left == b'1', right == b'1')));
    Ok(text(bits.collect::<String>()))
}

fn and(left: &str, right: &str) -> Answer {
    zip(left, right, "AND", |left, right| left & right)
}

fn or(left: &str, right: &str) -> Answer {
    zip(left, right, "OR", |left, right| left | right)
}

fn xor(left: &str, right: &str) -> Answer {
    zip(left, right, "XOR", |left, right| left ^ right)
}

/// Shifts to the left, or to the right by a negative distance; the length stays.
fn shift(call: &Call, sign: i64) -> Answer {
    let bits = call.text(0)?;
    let distance = call.i64(1)? * sign;
    let lost = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX).min(bits.len());
    let zeros = "0".repeat(lost);
    Ok(text(if distance >= 0 {
        format!("{}{zeros}", bits.get(lost..).unwrap_or_default())
    } else {
        format!("{zeros}{}", bits.get(..bits.len() - lost).unwrap_or_default())
    }))
}

/// The cast to a declared length: an explicit one cuts or fills on the right, another one refuses.
fn resize(call: &Call, kind: BitKind) -> Answer {
    let (bits, typmod, explicit) = (call.text(0)?, call.i32(1)?, call.bool(2)?);
    let Some(length) = usize::try_from(typmod).ok().filter(|it| (1..=BITS_MAX).contains(it)) else {
        return Ok(text(bits));
    };
    if !explicit {
        kind.check(bits.len(), typmod)?;
    }
    let missing = match kind {
        BitKind::Fixed => length.saturating_sub(bits.len()),
        BitKind::Varying => 0,
    };
    let kept = bits.get(..length).unwrap_or(bits);
    Ok(text(format!("{kept}{}", "0".repeat(missing))))
}

/// Bits from position `start` (from 1) to before `end`.
fn slice(bits: &str, start: i64, end: i64) -> &str {
    let at =
        |position: i64| usize::try_from(position.max(1) - 1).unwrap_or(usize::MAX).min(bits.len());
    bits.get(at(start)..at(end)).unwrap_or_default()
}

fn negative_length() -> SqlError {
    SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")
}

fn substring(call: &Call) -> Answer {
    let (bits, start) = (call.text(0)?, call.i64(1)?);
    let end = match call.len() {
        0..=2 => i64::MAX,
        _ => match call.i64(2)? {
            length if length < 0 => return Err(negative_length()),
            length => start + length,
        },
    };
    Ok(text(slice(bits, start, end)))
}

fn overlay(call: &Call) -> Answer {
    let (bits, inserted, start) = (call.text(0)?, call.text(1)?, call.i64(2)?);
    let length = match call.len() {
        0..=3 => i64::try_from(inserted.len()).unwrap_or(i64::MAX),
        _ => call.i64(3)?,
    };
    if start <= 0 {
        return Err(negative_length());
    }
    let rest = start + length;
    if i32::try_from(rest).is_err() {
        return Err(failure::out_of_range("integer"));
    }
    Ok(text(format!("{}{inserted}{}", slice(bits, 1, start), slice(bits, rest, i64::MAX))))
}

fn position(call: &Call) -> Answer {
    let (bits, wanted) = (call.text(0)?, call.text(1)?);
    if bits.is_empty() {
        return Ok(integer(0));
    }
    Ok(bits.find(wanted).map_or(integer(0), |at| count(at + 1)))
}

/// A number's low bits, its sign to the left of them.
fn from_number(call: &Call, width: usize) -> Answer {
    let value = call.i64(0)?;
    let length = usize::try_from(call.i64(1)?).ok().filter(|it| (1..=BITS_MAX).contains(it));
    let length = length.unwrap_or(1);
    let digits = format!("{value:064b}");
    let low = digits.get(64 - length.min(width)..).unwrap_or_default();
    let sign = if value < 0 { "1" } else { "0" };
    Ok(text(format!("{}{low}", sign.repeat(length.saturating_sub(width)))))
}

/// The index of a bit, from 0 on the left.
fn index(call: &Call) -> Result<usize, SqlError> {
    let (length, wanted) = (call.text(0)?.len(), call.i64(1)?);
    usize::try_from(wanted).ok().filter(|it| *it < length).ok_or_else(|| {
        let last = i64::try_from(length).unwrap_or(0) - 1;
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("bit index {wanted} out of valid range (0..{last})"),
        )
    })
}

fn get_bit(call: &Call) -> Answer {
    let at = index(call)?;
    Ok(integer(u8::from(call.text(0)?.as_bytes().get(at) == Some(&b'1'))))
}

fn set_bit(call: &Call) -> Answer {
    let (at, bits) = (index(call)?, call.text(0)?);
    let bit = match call.i64(2)? {
        0 => '0',
        1 => '1',
        _ => return Err(failure::invalid_parameter("new bit must be 0 or 1")),
    };
    let (before, after) = bits.split_at(at);
    Ok(text(format!("{before}{bit}{}", after.get(1..).unwrap_or_default())))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Scalar functions and operators.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_bitcmp", |call| Ok(integer(call.text(0)?.cmp(call.text(1)?) as i8))),
    f("pg_bit_and", |call| and(call.text(0)?, call.text(1)?)),
    f("pg_bit_or", |call| or(call.text(0)?, call.text(1)?)),
    f("pg_bitxor", |call| xor(call.text(0)?, call.text(1)?)),
    f("pg_bitnot", |call| {
        let bits = call.text(0)?.bytes();
        Ok(text(bits.map(|bit| if bit == b'1' { '0' } else { '1' }).collect::<String>()))
    }),
    f("pg_bitshiftleft", |call| shift(call, 1)),
    f("pg_bitshiftright", |call| shift(call, -1)),
    f("pg_bitcat", |call| Ok(text(format!("{}{}", call.text(0)?, call.text(1)?)))),
    f("pg_bit", |call| resize(call, BitKind::Fixed)),
    f("pg_varbit", |call| resize(call, BitKind::Varying)),
    f("pg_bitsubstr", substring),
    f("pg_bitsubstr_no_len", substring),
    f("pg_substring_1699", substring),
    f("pg_bitoverlay", overlay),
    f("pg_bitoverlay_no_len", overlay),
    f("pg_bitposition", position),
    f("pg_bitlength", |call| Ok(count(call.text(0)?.len()))),
    f("pg_bit_length_1812", |call| Ok(count(call.text(0)?.len()))),
    f("pg_bitoctetlength", |call| Ok(count(call.text(0)?.len().div_ceil(8)))),
    f("pg_bit_bit_count", |call| {
        Ok(count(call.text(0)?.bytes().filter(|bit| *bit == b'1').count()))
    }),
    f("pg_bitgetbit", get_bit),
    f("pg_bitsetbit", set_bit),
    f("pg_bitfromint4", |call| from_number(call, 32)),
    f("pg_bitfromint8", |call| from_number(call, 64)),
    f("pg_bittoint4", |call| {
        let bits = to_number(call.text(0)?, 32).and_then(|it| u32::try_from(it).ok());
        let bits = bits.ok_or_else(|| failure::out_of_range("integer"))?;
        Ok(integer(bits.cast_signed()))
    }),
    f("pg_bittoint8", |call| {
        let bits = to_number(call.text(0)?, 64);
        Ok(integer(bits.ok_or_else(|| failure::out_of_range("bigint"))?.cast_signed()))
    }),
];

/// `bit_and`, `bit_or`, `bit_xor` of bit strings.
struct Bits {
    values: VecDeque<String>,
    combine: fn(&str, &str) -> Answer,
}

impl Accumulator for Bits {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if call.is_null(0) {
            return Ok(());
        }
        let bits = call.text(0)?;
        if let Some(first) = self.values.front() {
            (self.combine)(first, bits)?;
        }
        self.values.push_back(bits.to_owned());
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.values.pop_front();
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        let mut values = self.values.iter();
        let Some(first) = values.next() else { return Ok(Datum::Null) };
        values.try_fold(text(first), |sum, value| match &sum {
            Datum::Text(sum) => (self.combine)(sum, value),
            Datum::Null | Datum::Integer(_) | Datum::Real(_) | Datum::Blob(_) => Ok(sum),
        })
    }
}

/// Aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        name: "pg_agg_bit_and_bit",
        start: || Box::new(Bits { values: VecDeque::new(), combine: and }),
    },
    AggregateFunction {
        name: "pg_agg_bit_or_bit",
        start: || Box::new(Bits { values: VecDeque::new(), combine: or }),
    },
    AggregateFunction {
        name: "pg_agg_bit_xor_bit",
        start: || Box::new(Bits { values: VecDeque::new(), combine: xor }),
    },
];
