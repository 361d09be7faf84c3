//! Broadcast: local commits go out, live frames are passed on before anything else is done with them.

use bytes::Bytes;

use crate::types::{DbVersion, EncodedChangeset, SiteId};

use super::super::delegation::Delegation;
use super::super::ledger::Offered;
use super::super::limits::{
    ACK_DELAY, DELEGATE_TIMEOUT_DIAL, DELEGATE_TIMEOUT_MIN, DELEGATION_ATTEMPTS_MAX,
    LIVE_BODY_BYTES_MAX,
};
use super::super::message::Frame;
use super::super::tree::{self, HashRange, Part};
use super::super::{Lane, LinkId, Span, Time};
use super::{Alarm, Replica};

impl Replica {
    /// A local transaction is durable: broadcasts it.
    pub(super) fn on_committed(&mut self, now: Time, change: &EncodedChangeset) {
        let whole = change.version.into();
        if change.site != self.own.site || !self.ledger.advance(now, change.site, whole) {
            return;
        }
        self.stats.commits += 1;
        let fits = change.body.len() <= LIVE_BODY_BYTES_MAX;
        self.mark_head(now, change.site, !fits);
        if fits {
            self.forwarded.insert(change.site, change.version, HashRange::ALL);
            self.pass_on(now, change, HashRange::ALL, None);
        }
    }

    /// A local transaction in chunks is durable: tells of it at once, so that it is pulled.
    pub(super) fn on_committed_chunks(&mut self, now: Time, version: DbVersion) {
        if self.ledger.advance(now, self.own.site, version.into()) {
            self.stats.commits += 1;
            self.mark_head(now, self.own.site, true);
        }
    }

    /// Notes that a head moved, to be told in the next digest.
    pub(super) fn mark_head(&mut self, now: Time, origin: SiteId, urgent: bool) {
        let at = self.digests.mark(now, origin, urgent);
        self.arm(Alarm::Digest, at);
    }

    /// A broadcast has arrived: passes it on, then keeps it.
    pub(super) fn on_live(
        &mut self,
        now: Time,
        id: LinkId,
        peer: SiteId,
        change: EncodedChangeset,
        range: Option<HashRange>,
    ) {
        if let Some(range) = range {
            if let Some(link) = self.links.get_mut(id) {
                link.received += 1;
                self.acks_due.insert(id);
            }
            self.arm(Alarm::Acks, now + ACK_DELAY);
            if self.forwarded.insert(change.site, change.version, range) {
                self.pass_on(now, &change, range, Some(peer));
                self.mark_head(now, change.site, false);
            }
        }
        if change.site == self.own.site {
            self.stats.live_duplicates += 1;
            return;
        }
        match self.ledger.offer(now, change) {
            Offered::New => self.stats.live_received += 1,
            Offered::Duplicate => self.stats.live_duplicates += 1,
            Offered::Full => self.stats.live_shed += 1,
        }
    }

    /// Makes delegates of members within `range`, other than this node, the origin and the sender.
    fn pass_on(
        &mut self,
        now: Time,
        change: &EncodedChangeset,
        range: HashRange,
        from: Option<SiteId>,
    ) {
        let origin = change.site;
        let mut members: Vec<(u64, SiteId)> = self
            .members
            .keys()
            .filter(|&&site| site != origin && Some(site) != from)
            .map(|&site| (tree::place(site, origin), site))
            .filter(|&(place, _)| range.contains(place))
            .collect();
        members.sort_unstable();
        let me = tree::place(self.own.site, origin);
        for part in tree::split(range, me, &members, self.tuning.fanout) {
            let change = change.clone();
            self.delegate(now, Delegation { change, part, tried: Vec::new(), sent: None });
        }
    }

    /// Gives a part to the most suitable of its members that have not been tried.
    fn delegate(&mut self, now: Time, mut delegation: Delegation) {
        let Some(site) = self.choose_delegate(&delegation.part, &delegation.tried) else {
            self.stats.live_shed += 1;
            return;
        };
        let Some(address) = self.members.get(&site).map(|member| member.address.clone()) else {
            return;
        };
        delegation.tried.push(site);
        match self.reach(now, site, &address) {
            Some(id) => self.deliver(now, id, delegation),
            None => self.delegations.add(now + DELEGATE_TIMEOUT_DIAL, delegation),
        }
    }

    fn choose_delegate(&self, part: &Part, tried: &[SiteId]) -> Option<SiteId> {
        let candidates = part.members.iter().map(|&(_, site)| site);
        candidates.filter(|site| !tried.contains(site)).min_by_key(|&site| {
            let link = self.links.find(site);
            let suspect = self.members.get(&site).is_none_or(|member| member.suspect);
            let rtt = link.and_then(|link| link.rtt).map_or(u64::MAX, |rtt| nearness(rtt.0));
            (suspect, link.is_none_or(|link| link.lagging), link.is_none(), rtt)
        })
    }

    /// Sends a delegation over a connection.
    fn deliver(&mut self, now: Time, id: LinkId, mut delegation: Delegation) {
        let alone = delegation.part.members.len() == 1;
        let range = (!alone).then_some(delegation.part.range);
        let change = &delegation.change;
        let frame: Bytes = Frame::Live {
            origin: change.site,
            version: change.version,
            range,
            body: change.body.clone(),
        }
        .encode();
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if !link.try_push_live(frame) {
            self.stats.live_shed += 1;
            if !alone {
                self.redelegate(now, delegation);
            }
            return;
        }
        self.stats.live_sent += 1;
        self.flowing.insert(id);
        if alone {
            return;
        }
        link.delegated += 1;
        delegation.sent = Some((id, link.delegated));
        let patience = link.rtt.unwrap_or_default().times(3).max(DELEGATE_TIMEOUT_MIN);
        self.delegations.add(now + patience, delegation);
    }

    /// Gives a delegation to another member of its part, a bounded number of times.
    pub(super) fn redelegate(&mut self, now: Time, mut delegation: Delegation) {
        delegation.sent = None;
        let others = delegation.part.members.len() > delegation.tried.len();
        if !others || delegation.tried.len() >= DELEGATION_ATTEMPTS_MAX {
            return;
        }
        self.stats.redelegated += 1;
        self.delegate(now, delegation);
    }

    pub(super) fn redelegate_overdue(&mut self, now: Time) {
        while let Some(delegation) = self.delegations.take_overdue(now) {
            self.redelegate(now, delegation);
        }
    }

    /// A member could not be reached: gives what was meant for it to others.
    pub(super) fn redelegate_undelivered(&mut self, now: Time, site: SiteId) {
        for delegation in self.delegations.take_undelivered(site) {
            self.redelegate(now, delegation);
        }
    }

    /// A connection is up: sends what was meant for its peer.
    pub(super) fn deliver_undelivered(&mut self, now: Time, site: SiteId, id: LinkId) {
        for delegation in self.delegations.take_undelivered(site) {
            self.deliver(now, id, delegation);
        }
    }

    /// Acknowledges what has arrived.
    pub(super) fn send_acks(&mut self) {
        for id in std::mem::take(&mut self.acks_due) {
            let Some(link) = self.links.get_mut(id) else {
                continue;
            };
            if link.received > link.acknowledged {
                link.acknowledged = link.received;
                let count = link.received;
                self.send(id, Lane::Live, &Frame::Ack { count });
            }
        }
    }
}

/// Round-trip times that make no difference to the choice of a delegate are equal: 0–8, 8–16, 16–32 ms and so on.
fn nearness(rtt_us: u64) -> u64 {
    u64::from((rtt_us / Span::from_ms(8).0 + 1).ilog2())
}
