//! Delegation: who passes a broadcast on to whom.
//!
//! For each origin the members stand in an order of their own: by a hash of (member, origin), their *place*. Whoever
//! broadcasts, or passes a broadcast on, is responsible for a range of places. It cuts the range at its own place, cuts
//! the two sides into about `fanout` parts of equally many members, and sends each part's range to one member in it,
//! who does the same with that range. The ranges of different delegates are disjoint and never contain one who already
//! passed the broadcast on, so each member gets one copy; and they leave no place out, so that members known to a
//! delegate but not to the sender are served too.
//!
//! ```text
//!   range  0 ─────────────────────────── me ───────────────────── MAX
//!   parts  [ a b c ][ d e f ][ g h     ]    [ i j k ][ l m        ]
//!   sent to    b        d        h              i         m        each with its part's range
//! ```
//!
//! The order differs per origin, so the work is spread; it is the same for all broadcasts of one origin, so the
//! connections are kept.

use crate::types::SiteId;

/// A range of places, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HashRange {
    /// First place.
    pub(super) low: u64,
    /// Last place.
    pub(super) high: u64,
}

impl HashRange {
    /// All places.
    pub(super) const ALL: Self = Self { low: 0, high: u64::MAX };

    /// Whether `place` is in the range.
    pub(super) fn contains(self, place: u64) -> bool {
        self.low <= place && place <= self.high
    }

    /// Whether all of `other` is in the range.
    pub(super) fn covers(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }
}

/// A part of a range and the members known in it, at least one, by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The part's range.
    pub(super) range: HashRange,
    /// Members with their places, ascending.
    pub(super) members: Vec<(u64, SiteId)>,
}

/// The place of `member` in the order of `origin`.
pub(super) fn place(member: SiteId, origin: SiteId) -> u64 {
    let fold = |site: SiteId| {
        let value = u128::from_be_bytes(site.0);
        let low = u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default();
        let high = u64::try_from(value >> 64).unwrap_or_default();
        mix(high).wrapping_add(low)
    };
    mix(fold(member) ^ mix(fold(origin)))
}

/// A fingerprint of one head; those of all heads are added up.
pub(super) fn head_fingerprint(origin: SiteId, version: u64) -> u64 {
    if version == 0 { 0 } else { mix(place(origin, origin) ^ mix(version)) }
}

/// The finalizer of splitmix64: spreads every bit over all.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Splits `range` at `me` and into about `fanout` parts with equally many of `members`.
///
/// `members` are those within the range, ascending by place, without this node.
pub(super) fn split(
    range: HashRange,
    me: u64,
    members: &[(u64, SiteId)],
    fanout: usize,
) -> Vec<Part> {
    if !range.contains(me) {
        return split_side(range, members, fanout);
    }
    let middle = members.partition_point(|&(place, _)| place < me);
    let (left, right) = members.split_at(middle);
    let left_share = (fanout * left.len()).div_ceil(members.len().max(1)).min(fanout);
    let mut parts = Vec::with_capacity(fanout + 1);
    if me > range.low {
        parts = split_side(HashRange { low: range.low, high: me - 1 }, left, left_share);
    }
    if me < range.high {
        let right_share = fanout.saturating_sub(left_share).max(1);
        let side = HashRange { low: me + 1, high: range.high };
        parts.extend(split_side(side, right, right_share));
    }
    parts
}

/// Splits a range that holds all of `members` into at most `fanout` parts, at least one if there are members.
fn split_side(range: HashRange, members: &[(u64, SiteId)], fanout: usize) -> Vec<Part> {
    let count = fanout.max(1).min(members.len());
    let mut parts = Vec::with_capacity(count);
    let mut low = range.low;
    let mut start = 0;
    for index in 0..count {
        let end = members.len() * (index + 1) / count;
        let high = match members.get(end) {
            Some(&(next, _)) if index + 1 < count => next.saturating_sub(1),
            Some(_) | None => range.high,
        };
        let part = members.get(start..end).unwrap_or_default();
        if low <= high && !part.is_empty() {
            parts.push(Part { range: HashRange { low, high }, members: part.to_vec() });
        }
        low = high.saturating_add(1);
        start = end;
    }
    parts
}
