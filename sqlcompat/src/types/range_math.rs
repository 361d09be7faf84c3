//! What ranges are to each other: containment, order on the line of values, union, difference, intersection.
//!
//! # Sources
//! PostgreSQL 15 manual, section 9.20 (Range/Multirange Functions and Operators).

use std::cmp::Ordering;

use super::range::{Bound, Range, RangeType};
use crate::error::{SqlError, SqlState};

/// Whether a union must be one range by itself, or may take in what is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// Two ranges with something between are 22000.
    Refused,
    /// What is between becomes part of the union.
    Filled,
}

fn not_contiguous(what: &str) -> SqlError {
    SqlError::new(
        SqlState::DATA_EXCEPTION,
        format!("result of range {what} would not be contiguous"),
    )
}

/// Whether the upper bound ends where the lower one begins, with no value between and none in both.
#[must_use]
pub fn bounds_meet(upper: &Bound, lower: &Bound, of: RangeType) -> bool {
    match upper.compare_values(lower) {
        // Between the bounds of a discrete type there may be no value all the same.
        Ordering::Less => {
            let between = Range::new(upper.flipped(), lower.flipped(), of);
            of.is_discrete() && between.is_ok_and(|it| it.is_empty())
        }
        Ordering::Equal => upper.inclusive != lower.inclusive,
        Ordering::Greater => false,
    }
}

fn min<'a>(left: &'a Bound, right: &'a Bound) -> &'a Bound {
    if left.compare(right).is_gt() { right } else { left }
}

fn max<'a>(left: &'a Bound, right: &'a Bound) -> &'a Bound {
    if left.compare(right).is_lt() { right } else { left }
}

impl Range {
    /// Whether every value of `other` is in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let Some((other_lower, other_upper)) = other.bounds() else { return true };
        self.bounds().is_some_and(|(lower, upper)| {
            lower.compare(other_lower).is_le() && upper.compare(other_upper).is_ge()
        })
    }

    /// Whether some value is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        both(self, other, |(lower, upper), (other_lower, other_upper)| {
            lower.compare(other_upper).is_le() && other_lower.compare(upper).is_le()
        })
    }

    /// Whether all of it is left of all of `other`.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        both(self, other, |(_, upper), (other_lower, _)| upper.compare(other_lower).is_lt())
    }

    /// Whether it does not reach beyond the right end of `other`.
    #[must_use]
    pub fn ends_within(&self, other: &Self) -> bool {
        both(self, other, |(_, upper), (_, other_upper)| upper.compare(other_upper).is_le())
    }

    /// Whether it does not reach beyond the left end of `other`.
    #[must_use]
    pub fn starts_within(&self, other: &Self) -> bool {
        both(self, other, |(lower, _), (other_lower, _)| lower.compare(other_lower).is_ge())
    }

    /// Whether one ends where the other begins.
    #[must_use]
    pub fn is_adjacent(&self, other: &Self, of: RangeType) -> bool {
        both(self, other, |(lower, upper), (other_lower, other_upper)| {
            bounds_meet(upper, other_lower, of) || bounds_meet(other_upper, lower, of)
        })
    }

    /// The union.
    ///
    /// # Errors
    /// 22000 for a gap that is refused.
    pub fn union(&self, other: &Self, gaps: Gaps, of: RangeType) -> Result<Self, SqlError> {
        let (Some((lower, upper)), Some((other_lower, other_upper))) =
            (self.bounds(), other.bounds())
        else {
            return Ok(if self.is_empty() { other } else { self }.clone());
        };
        if gaps == Gaps::Refused && !self.overlaps(other) && !self.is_adjacent(other, of) {
            return Err(not_contiguous("union"));
        }
        let (lower, upper) = (min(lower, other_lower), max(upper, other_upper));
        Self::new(lower.clone(), upper.clone(), of)
    }

    /// What is in both.
    ///
    /// # Errors
    /// Those of [`Range::new`].
    pub fn intersection(&self, other: &Self, of: RangeType) -> Result<Self, SqlError> {
        match (self.bounds(), other.bounds()) {
            (Some((lower, upper)), Some((other_lower, other_upper))) if self.overlaps(other) => {
                let (lower, upper) = (max(lower, other_lower), min(upper, other_upper));
                Self::new(lower.clone(), upper.clone(), of)
            }
            _ => Ok(Self::Empty),
        }
    }

    /// What is left of it, and what is right of it, of a range that is taken away.
    ///
    /// # Errors
    /// Those of [`Range::new`].
    pub fn without(&self, other: &Self, of: RangeType) -> Result<[Self; 2], SqlError> {
        let (Some((lower, upper)), Some((other_lower, other_upper)), true) =
            (self.bounds(), other.bounds(), self.overlaps(other))
        else {
            return Ok([self.clone(), Self::Empty]);
        };
        let left = if lower.compare(other_lower).is_lt() {
            Self::new(lower.clone(), other_lower.flipped(), of)?
        } else {
            Self::Empty
        };
        let right = if upper.compare(other_upper).is_gt() {
            Self::new(other_upper.flipped(), upper.clone(), of)?
        } else {
            Self::Empty
        };
        Ok([left, right])
    }

    /// The difference.
    ///
    /// # Errors
    /// 22000 if it is two ranges.
    pub fn difference(&self, other: &Self, of: RangeType) -> Result<Self, SqlError> {
        if let (Some((lower, upper)), Some((other_lower, other_upper))) =
            (self.bounds(), other.bounds())
            && lower.compare(other_lower).is_lt()
            && upper.compare(other_upper).is_gt()
        {
            return Err(not_contiguous("difference"));
        }
        let [left, right] = self.without(other, of)?;
        Ok(if left.is_empty() { right } else { left })
    }
}

/// Whether neither is empty and the bounds are so.
fn both(
    left: &Range,
    right: &Range,
    holds: impl FnOnce((&Bound, &Bound), (&Bound, &Bound)) -> bool,
) -> bool {
    match (left.bounds(), right.bounds()) {
        (Some(left), Some(right)) => holds(left, right),
        _ => false,
    }
}
