//! Delegations that wait to be acknowledged, and broadcasts already passed on.
//!
//! The live lane of a connection is reliable and ordered, so a delegate acknowledges by count: "so many `Live` frames
//! with a range have arrived". A delegation that is not acknowledged in time, or whose connection ends, goes to another
//! member of its part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::types::{DbVersion, EncodedChangeset, SiteId};

use super::limits::{DELEGATION_BYTES_MAX, DELEGATIONS_MAX, FORWARDED_MAX};
use super::tree::{HashRange, Part};
use super::{LinkId, Time};

/// A part of a broadcast that a member was made responsible for.
#[derive(Clone, Debug)]
pub(super) struct Delegation {
    /// What is broadcast.
    pub(super) change: EncodedChangeset,
    /// The members it is for, and their range.
    pub(super) part: Part,
    /// Members tried, the current one last.
    pub(super) tried: Vec<SiteId>,
    /// The connection it went out on and its number there; none while the delegate is being dialled.
    pub(super) sent: Option<(LinkId, u64)>,
}

/// All delegations under way.
#[derive(Default)]
pub(super) struct Delegations {
    by_deadline: BTreeMap<(Time, u64), Delegation>,
    by_number: BTreeMap<(LinkId, u64), (Time, u64)>,
    count: u64,
    bytes: usize,
}

impl Delegations {
    /// Remembers a delegation until it is acknowledged or `deadline` passes.
    pub(super) fn add(&mut self, deadline: Time, delegation: Delegation) {
        self.count += 1;
        let key = (deadline, self.count);
        if let Some(number) = delegation.sent {
            self.by_number.insert(number, key);
        }
        self.bytes += delegation.change.body.len();
        self.by_deadline.insert(key, delegation);
        while self.by_deadline.len() > DELEGATIONS_MAX || self.bytes > DELEGATION_BYTES_MAX {
            self.pop_first();
        }
    }

    fn pop_first(&mut self) -> Option<Delegation> {
        let (_, delegation) = self.by_deadline.pop_first()?;
        self.bytes -= delegation.change.body.len();
        if let Some(number) = delegation.sent {
            self.by_number.remove(&number);
        }
        Some(delegation)
    }

    fn remove(&mut self, key: (Time, u64)) -> Option<Delegation> {
        let delegation = self.by_deadline.remove(&key)?;
        self.bytes -= delegation.change.body.len();
        Some(delegation)
    }

    /// Everything delegated on `link` up to number `count` has arrived.
    pub(super) fn acknowledge(&mut self, link: LinkId, count: u64) {
        let numbers: Vec<_> =
            self.by_number.range((link, 0)..=(link, count)).map(|(&number, _)| number).collect();
        for number in numbers {
            if let Some(key) = self.by_number.remove(&number) {
                self.remove(key);
            }
        }
    }

    /// Takes out what went out on `link` and was not acknowledged.
    pub(super) fn take_of_link(&mut self, link: LinkId) -> Vec<Delegation> {
        let numbers: Vec<_> =
            self.by_number.range((link, 0)..=(link, u64::MAX)).map(|(&number, _)| number).collect();
        let keys: Vec<_> =
            numbers.into_iter().filter_map(|number| self.by_number.remove(&number)).collect();
        keys.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Takes out what waits for a connection to `site`.
    pub(super) fn take_undelivered(&mut self, site: SiteId) -> Vec<Delegation> {
        let waits = |it: &Delegation| it.sent.is_none() && it.tried.last() == Some(&site);
        let keys: Vec<_> =
            self.by_deadline.iter().filter(|(_, it)| waits(it)).map(|(&key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Takes out one whose time is over.
    pub(super) fn take_overdue(&mut self, now: Time) -> Option<Delegation> {
        let (&(deadline, _), _) = self.by_deadline.first_key_value()?;
        if deadline <= now { self.pop_first() } else { None }
    }

    /// When the first one is overdue.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.by_deadline.first_key_value().map(|(&(deadline, _), _)| deadline)
    }
}

/// Broadcasts passed on lately, with the ranges they were passed on to.
#[derive(Default)]
pub(super) struct Forwarded {
    seen: BTreeSet<(SiteId, DbVersion, HashRange)>,
    order: VecDeque<(SiteId, DbVersion, HashRange)>,
}

impl Forwarded {
    /// Whether the broadcast has not been passed on to all of `range`; remembers that it is now.
    pub(super) fn insert(&mut self, origin: SiteId, version: DbVersion, range: HashRange) -> bool {
        let all = (origin, version, HashRange { low: 0, high: 0 })
            ..=(origin, version, HashRange { low: u64::MAX, high: u64::MAX });
        if self.seen.range(all).any(|(_, _, seen)| seen.covers(range)) {
            return false;
        }
        self.seen.insert((origin, version, range));
        self.order.push_back((origin, version, range));
        if self.order.len() > FORWARDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}
