//! Interval input by ISO 8601: with designators (`P1Y2M3DT4H5M6.7S`), or in its alternative formats, the basic one
//! (`P00010203T040506`) and the extended one (`P0001-02-03T04:05:06`).
//!
//! Numbers may have a sign, a fraction and an exponent, as in PostgreSQL.

use super::sum::Sum;
use crate::types::datetime::field::Trouble;
use crate::types::datetime::word::Unit;

/// Numbers beyond this have no exact fraction.
const NUMBER_MAX: f64 = 1e15;

/// A number: its digits before the point, its whole and its fractional part.
struct Number {
    digits: usize,
    whole: i64,
    fraction: f64,
}

/// Reads an interval that begins with `P`.
///
/// # Errors
/// `Format`, `Range`.
pub(super) fn read(text: &str) -> Result<Sum, Trouble> {
    let rest = text.strip_prefix('P').filter(|it| !it.is_empty()).ok_or(Trouble::Format)?;
    let mut reader = Reader { rest, sum: Sum::default() };
    reader.read_date()?;
    Ok(reader.sum)
}

struct Reader<'a> {
    rest: &'a str,
    sum: Sum,
}

impl Reader<'_> {
    /// The next character, which is taken; `None` at the end.
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Takes a number.
    fn number(&mut self) -> Result<Number, Trouble> {
        let text = self.rest;
        if !text.starts_with(|it: char| it.is_ascii_digit() || matches!(it, '-' | '.')) {
            return Err(Trouble::Format);
        }
        let run = |from: usize| {
            let tail = text.get(from..).unwrap_or_default();
            tail.find(|it: char| !it.is_ascii_digit()).unwrap_or(tail.len())
        };
        let sign = usize::from(text.starts_with('-'));
        let digits = run(sign);
        let mut end = sign + digits;
        if text.get(end..).is_some_and(|it| it.starts_with('.')) {
            end += 1 + run(end + 1);
        }
        let mantissa = end;
        if text.get(end..).is_some_and(|it| it.starts_with(['e', 'E'])) {
            let signed = text.get(end + 1..).is_some_and(|it| it.starts_with(['+', '-']));
            let start = end + 1 + usize::from(signed);
            let exponent = run(start);
            end = if exponent == 0 { mantissa } else { start + exponent };
        }
        let (number, rest) = text.split_at(end);
        let value: f64 = number.parse().ok().ok_or(Trouble::Format)?;
        if value.is_infinite() {
            return Err(Trouble::Format);
        }
        if value.abs() > NUMBER_MAX {
            return Err(Trouble::Range);
        }
        self.rest = rest;
        #[expect(clippy::cast_possible_truncation, reason = "at most 1e15")]
        let whole = value.trunc() as i64;
        Ok(Number { digits, whole, fraction: value.fract() })
    }

    fn read_date(&mut self) -> Result<(), Trouble> {
        let mut first = true;
        while !self.rest.is_empty() {
            if let Some(time) = self.rest.strip_prefix('T') {
                self.rest = time;
                return self.read_time();
            }
            let Number { digits, whole, fraction } = self.number()?;
            let designator = self.next();
            let unit = match designator {
                Some('Y') => Unit::Year,
                Some('M') => Unit::Month,
                Some('W') => Unit::Week,
                Some('D') => Unit::Day,
                Some('T') | None if first && digits == 8 => {
                    self.sum.add(whole / 10_000, 0.0, Unit::Year)?;
                    self.sum.add(whole / 100 % 100, 0.0, Unit::Month)?;
                    self.sum.add(whole % 100, fraction, Unit::Day)?;
                    return if designator.is_none() { Ok(()) } else { self.read_time() };
                }
                Some('T' | '-') | None if first => {
                    self.sum.add(whole, fraction, Unit::Year)?;
                    return self.read_extended_date(designator);
                }
                _ => return Err(Trouble::Format),
            };
            self.sum.add(whole, fraction, unit)?;
            first = false;
        }
        Ok(())
    }

    /// `-MM-DD` after the year, whose end may be that of the date too.
    fn read_extended_date(&mut self, mut after: Option<char>) -> Result<(), Trouble> {
        for unit in [Unit::Month, Unit::Day] {
            match after {
                None => return Ok(()),
                Some('T') => return self.read_time(),
                Some('-') => {}
                Some(_) => return Err(Trouble::Format),
            }
            let Number { whole, fraction, .. } = self.number()?;
            self.sum.add(whole, fraction, unit)?;
            after = self.next();
        }
        match after {
            None => Ok(()),
            Some('T') => self.read_time(),
            Some(_) => Err(Trouble::Format),
        }
    }

    fn read_time(&mut self) -> Result<(), Trouble> {
        let mut first = true;
        while !self.rest.is_empty() {
            if let Some(again) = self.rest.strip_prefix('T') {
                (self.rest, first) = (again, true);
                continue;
            }
            let Number { digits, whole, fraction } = self.number()?;
            let designator = self.next();
            let unit = match designator {
                Some('H') => Unit::Hour,
                Some('M') => Unit::Minute,
                Some('S') => Unit::Second,
                None if first && digits == 6 => {
                    self.sum.add(whole / 10_000, 0.0, Unit::Hour)?;
                    self.sum.add(whole / 100 % 100, 0.0, Unit::Minute)?;
                    self.sum.add(whole % 100, 0.0, Unit::Second)?;
                    // PostgreSQL takes this fraction for one of a microsecond.
                    return self.sum.add(0, fraction, Unit::Microsecond);
                }
                Some(':') | None if first => {
                    self.sum.add(whole, fraction, Unit::Hour)?;
                    return self.read_extended_time(designator);
                }
                _ => return Err(Trouble::Format),
            };
            self.sum.add(whole, fraction, unit)?;
            first = false;
        }
        Ok(())
    }

    /// `:MM:SS` after the hour, whose end may be that of the time too.
    fn read_extended_time(&mut self, mut after: Option<char>) -> Result<(), Trouble> {
        for unit in [Unit::Minute, Unit::Second] {
            match after {
                None => return Ok(()),
                Some(':') => {}
                Some(_) => return Err(Trouble::Format),
            }
            let Number { whole, fraction, .. } = self.number()?;
            self.sum.add(whole, fraction, unit)?;
            after = self.next();
        }
        if after.is_none() { Ok(()) } else { Err(Trouble::Format) }
    }
}
