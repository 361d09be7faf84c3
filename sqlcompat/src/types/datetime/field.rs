//! Cutting the input of a date, time or interval into fields.
//!
//! A field's kind follows from its first character and from the punctuation in it; what it means is decided later.
//! `2024-01-31T10:00:00.5+02` is the date `2024-01-31`, the word `t`, the time `10:00:00.5` and the signed `+02`.
//!
//! # Bounds
//! At most `FIELDS_MAX` fields, and as many bytes as the caller says, one more for each field; beyond, no such input exists.
//!
//! # Sources
//! PostgreSQL 15 manual, appendix B.1.

use crate::types::scalar::is_space;
use std::borrow::Cow;

/// Fields that one input may have.
pub(in crate::types) const FIELDS_MAX: usize = 25;

/// Bytes that the fields of a date or time may take, their ends included.
pub(in crate::types) const MOMENT_BYTES_MAX: usize = 128 + FIELDS_MAX;

/// Bytes that the fields of an interval may take, their ends included.
pub(in crate::types) const INTERVAL_BYTES_MAX: usize = 256;

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::types) enum FieldKind {
    /// Digits, with at most one point.
    Number,
    /// Digits or words joined by `-`, `/` or `.`; also the name of a time zone.
    Date,
    /// Begins with digits and a colon.
    Time,
    /// A sign and what belongs to the number after it: an offset, or a signed number of an interval.
    Signed,
    /// Letters, perhaps after a sign.
    Word,
}

/// A field: its kind and its text in small letters.
#[derive(Debug)]
pub(in crate::types) struct Field<'a> {
    /// What it looks like.
    pub(in crate::types) kind: FieldKind,
    /// Its text; a sign stands directly before what it belongs to.
    pub(in crate::types) text: Cow<'a, str>,
}

/// Cuts text, which is in small letters, into fields; `None` where it has a character or a length that none has.
pub(in crate::types) fn split(text: &str, bytes_max: usize) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut bytes = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        if is_space(first) || (first.is_ascii_punctuation() && !matches!(first, '.' | '+' | '-')) {
            rest = after;
            continue;
        }
        let (kind, length) = match first {
            '0'..='9' => after_digit(rest),
            '.' => (FieldKind::Number, 1 + run(after, |it| it.is_ascii_digit())),
            'a'..='z' => after_letter(rest),
            '+' | '-' => {
                let body = after.trim_start_matches(is_space);
                let (kind, length) = after_sign(body)?;
                let number = body.get(..length)?;
                let joined = body.len() == after.len();
                let text = if joined {
                    Cow::Borrowed(rest.get(..=length)?)
                } else {
                    Cow::Owned(format!("{first}{number}"))
                };
                bytes += text.len() + 1;
                fields.push(Field { kind, text });
                rest = body.get(length..)?;
                continue;
            }
            _ => return None,
        };
        bytes += length + 1;
        fields.push(Field { kind, text: Cow::Borrowed(rest.get(..length)?) });
        rest = rest.get(length..)?;
        if fields.len() > FIELDS_MAX || bytes > bytes_max {
            return None;
        }
    }
    (fields.len() <= FIELDS_MAX && bytes <= bytes_max).then_some(fields)
}

/// Bytes at the start of a text that all satisfy.
fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|it| !belongs(it)).unwrap_or(text.len())
}

fn after_digit(rest: &str) -> (FieldKind, usize) {
    let digits = run(rest, |it| it.is_ascii_digit());
    let following = rest.get(digits..).unwrap_or_default();
    let delimiter = match following.chars().next() {
        Some(':') => {
            let length = run(following, |it| it.is_ascii_digit() || matches!(it, ':' | '.'));
            return (FieldKind::Time, digits + length);
        }
        Some(it @ ('-' | '/' | '.')) => it,
        _ => return (FieldKind::Number, digits),
    };
    let tail = following.get(1..).unwrap_or_default();
    if !tail.starts_with(|it: char| it.is_ascii_digit()) {
        let length = run(tail, |it| it.is_ascii_alphanumeric() || it == delimiter);
        return (FieldKind::Date, digits + 1 + length);
    }
    let second = run(tail, |it| it.is_ascii_digit());
    let third = tail.get(second..).unwrap_or_default();
    if third.starts_with(delimiter) {
        let length = run(third, |it| it.is_ascii_digit() || it == delimiter);
        return (FieldKind::Date, digits + 1 + second + length);
    }
    let kind = if delimiter == '.' { FieldKind::Number } else { FieldKind::Date };
    (kind, digits + 1 + second)
}

/// Letters; with punctuation in them they are a date or a time zone, with a digit or `+` too unless they are a known word.
fn after_letter(rest: &str) -> (FieldKind, usize) {
    let letters = run(rest, |it| it.is_ascii_alphabetic());
    let (word, following) = rest.split_at(letters);
    let is_date = match following.chars().next() {
        Some('-' | '/' | '.') => true,
        Some('+' | '0'..='9') => super::word::find(word).is_none(),
        _ => false,
    };
    if !is_date {
        return (FieldKind::Word, letters);
    }
    let more =
        |it: char| it.is_ascii_alphanumeric() || matches!(it, '+' | '-' | '/' | '_' | '.' | ':');
    (FieldKind::Date, letters + run(following, more))
}

fn after_sign(body: &str) -> Option<(FieldKind, usize)> {
    match body.chars().next()? {
        '0'..='9' => {
            let more = |it: char| it.is_ascii_digit() || matches!(it, ':' | '.' | '-');
            Some((FieldKind::Signed, run(body, more)))
        }
        'a'..='z' => Some((FieldKind::Word, run(body, |it| it.is_ascii_alphabetic()))),
        _ => None,
    }
}

/// Why fields mean nothing.
#[derive(Debug, PartialEq)]
pub(in crate::types) enum Trouble {
    /// No rule explains them.
    Format,
    /// A value is out of its range.
    Range,
    /// A month or a day is, which another order of them may help.
    DateOrder,
    /// An offset from UTC is.
    OffsetRange,
    /// There is no time zone of the name.
    ZoneUnknown(String),
}

/// The integer that a text begins with, 0 if it has none, and what follows.
///
/// # Errors
/// `Range` beyond 64 bits.
pub(in crate::types) fn leading_i64(text: &str) -> Result<(i64, &str), Trouble> {
    let signs = usize::from(text.starts_with(['+', '-']));
    let digits = run(text.get(signs..).unwrap_or_default(), |it| it.is_ascii_digit());
    if digits == 0 {
        return Ok((0, text));
    }
    let (number, rest) = text.split_at(signs + digits);
    number.parse().map(|it| (it, rest)).ok().ok_or(Trouble::Range)
}

/// The same, for 32 bits.
pub(in crate::types) fn leading_i32(text: &str) -> Result<(i64, &str), Trouble> {
    let (number, rest) = leading_i64(text)?;
    i32::try_from(number).ok().ok_or(Trouble::Range)?;
    Ok((number, rest))
}

/// The fraction that a text of a point and digits tells.
///
/// # Errors
/// `Format` if anything else is in it.
pub(in crate::types) fn fraction(text: &str) -> Result<f64, Trouble> {
    let digits = text.strip_prefix('.').ok_or(Trouble::Format)?;
    if !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(Trouble::Format);
    }
    if digits.is_empty() { Ok(0.0) } else { text.parse().ok().ok_or(Trouble::Format) }
}

/// The same in microseconds, rounded.
///
/// # Errors
/// `Format`.
pub(in crate::types) fn fraction_us(text: &str) -> Result<i64, Trouble> {
    #[expect(clippy::cast_possible_truncation, reason = "at most a million")]
    let us = (fraction(text)? * 1e6).round_ties_even() as i64;
    Ok(us)
}
