//! Digests: telling a few peers which heads moved, twice each, so that a dead branch of a broadcast is noticed.
//!
//! A head that moved waits [`DIGEST_DELAY`] for others to go with it, then goes to a random peer, and once more, a delay
//! later, to another. Those do so who started a change or passed it on, and those who had to pull it, since where one
//! missed it others may have; who merely received it does not. What digests miss, the fingerprint on the next probe
//! finds.

use std::collections::BTreeMap;

use crate::types::SiteId;

use super::Time;
use super::limits::{DIGEST_DELAY, DIGEST_ROUNDS};

/// Heads that moved lately.
#[derive(Default)]
pub(super) struct Digests {
    rounds: BTreeMap<SiteId, u8>,
    urgent: bool,
}

/// Heads to be told, and how widely.
pub(super) struct DueDigest {
    /// The origins whose heads are told.
    pub(super) origins: Vec<SiteId>,
    /// A changeset among them was not broadcast: more peers than usual are told.
    pub(super) urgent: bool,
}

impl Digests {
    /// Notes that a head moved. Returns when to look again.
    pub(super) fn mark(&mut self, now: Time, origin: SiteId, urgent: bool) -> Time {
        self.rounds.insert(origin, DIGEST_ROUNDS);
        self.urgent |= urgent;
        if self.urgent { now } else { now + DIGEST_DELAY }
    }

    /// What is to be told now, and when to look again.
    pub(super) fn take(&mut self, now: Time) -> (DueDigest, Option<Time>) {
        let origins: Vec<SiteId> = self.rounds.keys().copied().collect();
        self.rounds.retain(|_, rounds| {
            *rounds = rounds.saturating_sub(1);
            *rounds > 0
        });
        let urgent = std::mem::take(&mut self.urgent);
        let again = (!self.rounds.is_empty()).then_some(now + DIGEST_DELAY);
        (DueDigest { origins, urgent }, again)
    }
}
