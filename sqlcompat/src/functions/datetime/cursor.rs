//! The text that a picture is read against: what is left of it, and how its numbers and names are taken off.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8 (usage notes for date/time formatting).

use super::template::{Field, Rules, is_blank, is_separator};
use crate::error::{SqlError, SqlState};

/// 22007.
pub(super) fn format_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// A cursor in the text.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) rules: Rules,
    /// Blanks and marks count: `FX`.
    pub(super) is_fixed: bool,
    /// Characters of the text that were passed over and are not in the picture.
    pub(super) extra: i64,
}

impl<'a> Reader<'a> {
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.at += self.rest().chars().take(count).map(char::len_utf8).sum::<usize>();
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
            self.extra += 1;
        }
    }

    pub(super) fn separator(&mut self, wanted: char) -> Result<(), SqlError> {
        let found = self.peek();
        if self.rules == Rules::Standard {
            if found != Some(wanted) {
                return Err(format_error(format!("unmatched format separator \"{wanted}\"")));
            }
            self.skip(1);
        } else if self.is_fixed {
            self.skip(1);
        } else {
            self.extra -= 1;
            if found.is_some_and(|c| is_blank(c) || is_separator(c)) {
                self.skip(1);
                self.extra += 1;
            }
        }
        Ok(())
    }

    pub(super) fn literal(&mut self, wanted: char) -> Result<(), SqlError> {
        if !self.is_fixed {
            if self.extra > 0 {
                self.extra -= 1;
            } else {
                self.skip(1);
            }
            return Ok(());
        }
        if self.rules == Rules::Standard && self.peek() != Some(wanted) {
            return Err(format_error(format!("unmatched format character \"{wanted}\"")));
        }
        self.skip(1);
        Ok(())
    }

    /// Takes a number of `width` characters, or of any where something else follows; gives also how many it took.
    pub(super) fn number(
        &mut self,
        field: &Field<'_>,
        width: usize,
        is_free: bool,
    ) -> Result<(i64, usize), SqlError> {
        let name = field.written;
        let start = self.at;
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
        let rest = self.rest();
        let copy: String = rest.chars().take(width).collect();
        let taken = if is_free { number_length(rest) } else { number_length(&copy) };
        let fixed_hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
        if is_free {
            if taken == 0 {
                self.at = start;
            }
        } else if rest.len() < width {
            return Err(format_error(format!(
                "source string too short for \"{name}\" formatting field"
            ))
            .with_detail(format!(
                "Field requires {width} characters, but only {} remain.",
                rest.len()
            ))
            .with_hint(fixed_hint));
        } else if taken > 0 && taken < width {
            return Err(format_error(format!("invalid value \"{copy}\" for \"{name}\""))
                .with_detail(format!(
                    "Field requires {width} characters, but only {taken} could be parsed."
                ))
                .with_hint(fixed_hint));
        }
        let digits = rest.get(..taken).unwrap_or_default();
        self.at += taken;
        if self.at == start {
            return Err(format_error(format!("invalid value \"{copy}\" for \"{name}\""))
                .with_detail("Value must be an integer."));
        }
        let value = if taken == 0 { Ok(0) } else { digits.parse::<i32>() };
        let Ok(value) = value else {
            return Err(SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{name}\" in source string is out of range"),
            )
            .with_detail(format!(
                "Value must be in the range {} to {}.",
                i32::MIN,
                i32::MAX
            )));
        };
        Ok((i64::from(value), self.at - start))
    }

    /// Takes one of the names, and gives its position.
    pub(super) fn name(&mut self, field: &Field<'_>, names: &[&str]) -> Result<i64, SqlError> {
        let rest = self.rest();
        let starts = |name: &&str| {
            rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        if let Some((name, at)) = names.iter().zip(0i64..).find(|(name, _)| starts(name)) {
            self.at += name.len();
            return Ok(at);
        }
        let word = rest.split(is_blank).next().unwrap_or_default();
        Err(format_error(format!("invalid value \"{word}\" for \"{}\"", field.written))
            .with_detail("The given value did not match any of the allowed values for this field."))
    }
}

/// Length of the number, with its sign, that the text starts with.
pub(super) fn number_length(text: &str) -> usize {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    if digits == 0 { 0 } else { sign + digits }
}
