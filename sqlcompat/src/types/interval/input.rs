//! Interval input.
//!
//! Fields are read from right to left, so that a unit is known before its number. A number without one is, by its place, days
//! before a time or hours, else what the type modifier ends with (`interval day to hour`), else seconds. What these rules do not
//! explain is tried as ISO 8601 ([`super::iso`]).
//!
//! # Sources
//! PostgreSQL 15 manual, 8.5.4.

use super::sum::Sum;
use super::{Interval, iso};
use crate::error::{SqlError, SqlState};
use crate::settings::IntervalStyle;
use crate::types::datetime::field::{
    self, Field, FieldKind, Trouble, fraction, leading_i32, leading_i64,
};
use crate::types::datetime::number::Clock;
use crate::types::datetime::parse::error_of;
use crate::types::datetime::word::{self, Unit};
use crate::types::interval::typmod_field as kept;

/// All fields, as bits above a type modifier's lower 16.
const ALL_FIELDS: i32 = 0x7fff;

/// Reads `interval` input. `typmod` names the unit of a bare number, where it restricts to one; by the SQL standard's style
/// a leading minus holds for all fields.
///
/// # Errors
/// 22007, 22008, 22015.
pub fn parse(text: &str, typmod: i32, style: IntervalStyle) -> Result<Interval, SqlError> {
    let range = if typmod < 0 { ALL_FIELDS } else { (typmod >> 16) & ALL_FIELDS };
    let sum = match read_fields(text, range, style) {
        Err(Trouble::Format) => iso::read(text),
        other => other,
    };
    let sum = sum.map_err(|trouble| match trouble {
        Trouble::Range => SqlError::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
        other => error_of(other, "interval", text),
    })?;
    Ok(sum.finish()?.apply_typmod(typmod))
}

fn read_fields(text: &str, range: i32, style: IntervalStyle) -> Result<Sum, Trouble> {
    let lower = text.to_ascii_lowercase();
    let fields = field::split(&lower, field::INTERVAL_BYTES_MAX).ok_or(Trouble::Format)?;
    let mut reader = Reader {
        range,
        all_negative: style == IntervalStyle::SqlStandard && leads_with_minus(&fields),
        sum: Sum::default(),
        seen: 0,
        unit: None,
        ago: false,
    };
    for field in fields.iter().rev() {
        let given = reader.read(field)?;
        if reader.seen & given != 0 {
            return Err(Trouble::Format);
        }
        reader.seen |= given;
    }
    if reader.seen == 0 {
        return Err(Trouble::Format);
    }
    if reader.ago {
        reader.sum.negate()?;
    }
    Ok(reader.sum)
}

/// Whether the first field, and none but it, has a sign, which is a minus.
fn leads_with_minus(fields: &[Field<'_>]) -> bool {
    let Some((first, rest)) = fields.split_first() else { return false };
    first.text.starts_with('-') && !rest.iter().any(|it| it.text.starts_with(['-', '+']))
}

/// The bit of a unit among those that may be given once.
const fn once(unit: Unit) -> u32 {
    1 << unit as u32
}

/// Hours, minutes, seconds and what is below them.
const TIME: u32 = once(Unit::Hour)
    | once(Unit::Minute)
    | once(Unit::Second)
    | once(Unit::Millisecond)
    | once(Unit::Microsecond);

struct Reader {
    range: i32,
    /// Whether every field is negative.
    all_negative: bool,
    sum: Sum,
    /// Units given so far, as bits.
    seen: u32,
    /// The unit of the number to the left.
    unit: Option<Unit>,
    ago: bool,
}

impl Reader {
    /// Reads one field; says which units it gave.
    fn read(&mut self, field: &Field<'_>) -> Result<u32, Trouble> {
        let text = field.text.as_ref();
        match field.kind {
            FieldKind::Time => self.read_time(text, false),
            FieldKind::Signed => {
                let unsigned = text.get(1..).unwrap_or_default();
                if unsigned.contains(':') && self.clock_us(unsigned).is_ok() {
                    return self.read_time(unsigned, text.starts_with('-'));
                }
                self.read_number(text)
            }
            FieldKind::Date | FieldKind::Number => self.read_number(text),
            FieldKind::Word if text == "ago" => {
                self.ago = true;
                self.unit = Some(Unit::Other);
                Ok(0)
            }
            FieldKind::Word => {
                self.unit = Some(word::interval_unit(text).ok_or(Trouble::Format)?);
                Ok(0)
            }
        }
    }

    fn clock_us(&self, text: &str) -> Result<i64, Trouble> {
        let minutes_first = self.range == kept::MINUTE | kept::SECOND;
        Clock::read(text, minutes_first)?.total_us().ok_or(Trouble::Range)
    }

    /// A time with colons, before which a bare number is one of days. It replaces what is below a day.
    fn read_time(&mut self, text: &str, negative: bool) -> Result<u32, Trouble> {
        let us = self.clock_us(text)?;
        self.sum.us = if negative || self.all_negative { -us } else { us };
        self.unit = Some(Unit::Day);
        Ok(TIME)
    }

    fn read_number(&mut self, text: &str) -> Result<u32, Trouble> {
        let mut unit = *self.unit.get_or_insert_with(|| last_unit(self.range));
        let (mut whole, rest) = leading_i64(text)?;
        let negative = text.starts_with('-');
        let mut part = 0.0;
        if let Some(months) = rest.strip_prefix('-') {
            whole = year_month(whole, months, negative)?;
            unit = Unit::Month;
            self.unit = Some(unit);
        } else if !rest.is_empty() {
            part = fraction(rest)?;
        }
        if negative || self.all_negative {
            part = -part;
        }
        if self.all_negative {
            whole = -whole.saturating_abs();
        }
        self.sum.add(whole, part, unit)?;
        if unit == Unit::Hour {
            self.unit = Some(Unit::Day);
        }
        let below_second = once(Unit::Millisecond) | once(Unit::Microsecond);
        Ok(once(unit) | if unit == Unit::Second && part != 0.0 { below_second } else { 0 })
    }
}

/// The SQL standard's `years-months` in months; the sign holds for both.
fn year_month(years: i64, months: &str, negative: bool) -> Result<i64, Trouble> {
    let (months, rest) = leading_i32(months)?;
    if !(0..12).contains(&months) {
        return Err(Trouble::Range);
    }
    if !rest.is_empty() {
        return Err(Trouble::Format);
    }
    let signed = if negative { -months } else { months };
    years.checked_mul(12).and_then(|it| it.checked_add(signed)).ok_or(Trouble::Range)
}

/// Unit of a bare number: the last field that the type modifier keeps, else seconds.
fn last_unit(range: i32) -> Unit {
    const LAST: &[(i32, Unit)] = &[
        (kept::SECOND, Unit::Second),
        (kept::MINUTE, Unit::Minute),
        (kept::HOUR, Unit::Hour),
        (kept::DAY, Unit::Day),
        (kept::MONTH, Unit::Month),
        (kept::YEAR, Unit::Year),
    ];
    if range == ALL_FIELDS {
        return Unit::Second;
    }
    LAST.iter().find(|(bit, _)| range & bit != 0).map_or(Unit::Second, |(_, unit)| *unit)
}
