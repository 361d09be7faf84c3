//! Multiranges: sets of values as ranges that are not empty, sorted, and neither overlap nor touch.
//!
//! `'{[1,3), [5,8)}'::int4multirange` is stored as `{[1,3),[5,8)}`, each range in its storage form ([`super::range`]); the
//! collation `pg_multirange` orders them.
//!
//! # Bounds
//! [`RANGES_MAX`] ranges; more is 54000.

use std::cmp::Ordering;

use super::array::{BinaryReader, ELEMENTS_MAX};
use super::range::{self, Range, RangeType};
use super::range_math::{Gaps, bounds_meet};
use super::{TypeContext, failure, scalar};
use crate::error::{SqlError, SqlState};

/// Most ranges of one multirange.
pub const RANGES_MAX: usize = ELEMENTS_MAX;

/// A multirange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Multirange {
    /// Sorted, apart, not empty.
    pub ranges: Vec<Range>,
}

fn wrong() -> SqlError {
    failure::wrong_storage("multirange")
}

impl Multirange {
    /// The union of ranges.
    ///
    /// # Errors
    /// 54000 for too many, and what bounds may raise.
    pub fn new(mut ranges: Vec<Range>, of: RangeType) -> Result<Self, SqlError> {
        if ranges.len() > RANGES_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("number of ranges exceeds the maximum allowed ({RANGES_MAX})"),
            ));
        }
        ranges.retain(|range| !range.is_empty());
        ranges.sort_by(Range::compare);
        let mut apart: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if last.overlaps(&range) || last.is_adjacent(&range, of) => {
                    *last = last.union(&range, Gaps::Filled, of)?;
                }
                _ => apart.push(range),
            }
        }
        Ok(Self { ranges: apart })
    }

    /// Whether there is no value in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The least range around all.
    ///
    /// # Errors
    /// What bounds may raise.
    pub fn hull(&self, of: RangeType) -> Result<Range, SqlError> {
        match (self.ranges.first(), self.ranges.last()) {
            (Some(first), Some(last)) => first.union(last, Gaps::Filled, of),
            _ => Ok(Range::Empty),
        }
    }

    /// Whether every value of the range is in it.
    #[must_use]
    pub fn contains(&self, range: &Range) -> bool {
        range.is_empty() || self.ranges.iter().any(|own| own.contains(range))
    }

    /// Whether some value is in both.
    #[must_use]
    pub fn overlaps(&self, range: &Range) -> bool {
        self.ranges.iter().any(|own| own.overlaps(range))
    }

    /// Whether one of the two ends where the other begins.
    #[must_use]
    pub fn is_adjacent(&self, other: &Self, of: RangeType) -> bool {
        let meets = |left: &Self, right: &Self| {
            let upper = left.ranges.last().and_then(Range::bounds);
            let lower = right.ranges.first().and_then(Range::bounds);
            upper.zip(lower).is_some_and(|((_, upper), (lower, _))| bounds_meet(upper, lower, of))
        };
        meets(self, other) || meets(other, self)
    }

    /// Takes away what is in `other`.
    ///
    /// # Errors
    /// What bounds may raise.
    pub fn difference(&self, other: &Self, of: RangeType) -> Result<Self, SqlError> {
        let mut left = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let mut rest = range.clone();
            for taken in &other.ranges {
                if !rest.overlaps(taken) {
                    continue;
                }
                let [before, after] = rest.without(taken, of)?;
                left.push(before);
                rest = after;
            }
            left.push(rest);
        }
        Self::new(left, of)
    }

    /// What is in both.
    ///
    /// # Errors
    /// What bounds may raise.
    pub fn intersection(&self, other: &Self, of: RangeType) -> Result<Self, SqlError> {
        let mut common = Vec::new();
        let mut others = other.ranges.iter().peekable();
        // Both are sorted: a range that ends first can meet nothing further on.
        for range in &self.ranges {
            while let Some(candidate) = others.peek() {
                common.push(range.intersection(candidate, of)?);
                if range.ends_within(candidate) {
                    break;
                }
                others.next();
            }
        }
        Self::new(common, of)
    }

    /// PostgreSQL's order: range by range; what ends first comes first.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let mut orders = self.ranges.iter().zip(&other.ranges).map(|(own, its)| own.compare(its));
        let differing = orders.find(|order| order.is_ne());
        differing.unwrap_or_else(|| self.ranges.len().cmp(&other.ranges.len()))
    }

    /// Reads the storage form.
    ///
    /// # Errors
    /// XX000 if it is not one.
    pub fn from_storage(stored: &str, of: RangeType) -> Result<Self, SqlError> {
        let ranges = stored_ranges(stored).ok_or_else(wrong)?;
        let ranges = ranges.map(|range| Range::from_storage(range, of));
        Ok(Self { ranges: ranges.collect::<Result<_, _>>()? })
    }

    /// The storage form.
    #[must_use]
    pub fn to_storage(&self) -> String {
        let ranges: Vec<String> = self.ranges.iter().map(Range::to_storage).collect();
        format!("{{{}}}", ranges.join(","))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// 22P02, and what the ranges may raise.
    pub fn parse(text: &str, of: RangeType, cx: &TypeContext) -> Result<Self, SqlError> {
        let malformed = |detail: &str| {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("malformed multirange literal: \"{text}\""),
            )
            .with_detail(detail)
        };
        let trim = |text: &str| text.trim_start_matches(scalar::is_space).len();
        let skip = |text: &str| text.len() - trim(text);
        let mut rest = text.get(skip(text)..).unwrap_or_default();
        rest = rest.strip_prefix('{').ok_or_else(|| malformed("Missing left brace."))?;
        let (mut ranges, mut first) = (Vec::new(), true);
        loop {
            rest = rest.get(skip(rest)..).unwrap_or_default();
            if rest.is_empty() {
                return Err(malformed("Unexpected end of input."));
            }
            if let (Some(after), true) = (rest.strip_prefix('}'), first) {
                rest = after;
                break;
            }
            first = false;
            rest = if rest.starts_with(['[', '(']) {
                let length =
                    range_length(rest).ok_or_else(|| malformed("Unexpected end of input."))?;
                let (range, after) = rest.split_at(length);
                ranges.push(Range::parse(range, of, cx)?);
                after
            } else {
                let word = rest.split_at_checked(5);
                let word = word.filter(|(word, _)| word.eq_ignore_ascii_case("empty"));
                word.ok_or_else(|| malformed("Expected range start."))?.1
            };
            rest = rest.get(skip(rest)..).unwrap_or_default();
            match rest.chars().next() {
                Some(',') => rest = rest.get(1..).unwrap_or_default(),
                Some('}') => {
                    rest = rest.get(1..).unwrap_or_default();
                    break;
                }
                Some(_) => return Err(malformed("Expected comma or end of multirange.")),
                None => return Err(malformed("Unexpected end of input.")),
            }
        }
        if trim(rest) != 0 {
            return Err(malformed("Junk after closing right brace."));
        }
        Self::new(ranges, of)
    }

    /// Appends the text form.
    ///
    /// # Errors
    /// What the subtype's output function raises.
    pub fn write_text(
        &self,
        of: RangeType,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        out.push(b'{');
        for (index, range) in self.ranges.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            range.write_text(of, cx, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    /// Reads the binary form: the number of ranges, then each with its length.
    ///
    /// # Errors
    /// 22P03, and what the ranges may raise.
    pub fn decode_binary(bytes: &[u8], of: RangeType, cx: &TypeContext) -> Result<Self, SqlError> {
        let mut reader = BinaryReader { rest: bytes };
        let count = reader.length()?;
        let mut ranges = Vec::new();
        for _ in 0..count {
            let length = reader.length()?;
            ranges.push(Range::decode_binary(reader.take(length)?, of, cx)?);
        }
        if !reader.rest.is_empty() {
            return Err(failure::invalid_binary("multirange"));
        }
        Self::new(ranges, of)
    }

    /// Appends the binary form.
    ///
    /// # Errors
    /// What the subtype's encoder raises.
    pub fn encode_binary(
        &self,
        of: RangeType,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        out.extend(length(self.ranges.len()));
        let mut scratch = Vec::new();
        for range in &self.ranges {
            scratch.clear();
            range.encode_binary(of, cx, &mut scratch)?;
            out.extend(length(scratch.len()));
            out.extend_from_slice(&scratch);
        }
        Ok(())
    }
}

/// How long the range is that the text begins with, brackets included.
fn range_length(text: &str) -> Option<usize> {
    let mut in_quotes = false;
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next()?;
            }
            b'"' => in_quotes = !in_quotes,
            b']' | b')' if !in_quotes => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The ranges of a stored multirange.
fn stored_ranges(stored: &str) -> Option<impl Iterator<Item = &str>> {
    let inner = stored.strip_prefix('{')?.strip_suffix('}')?;
    let mut rest = Some(inner).filter(|it| !it.is_empty());
    Some(std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = text.find([']', ')'])? + 1;
        let (range, after) = text.split_at_checked(end)?;
        rest = after.strip_prefix(',');
        Some(range)
    }))
}

/// Orders two stored multiranges of one type: the collation `pg_multirange`.
#[must_use]
pub fn compare_stored(left: &str, right: &str) -> Ordering {
    let (Some(mut left_ranges), Some(mut right_ranges)) =
        (stored_ranges(left), stored_ranges(right))
    else {
        return left.cmp(right);
    };
    loop {
        match (left_ranges.next(), right_ranges.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => {
                let order = range::compare_stored(left, right);
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}
