//! Connections, membership, and who is told what.

use bytes::Bytes;
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::types::{DbVersion, SiteId};

use super::super::limits::{
    HEADS_INTERVAL, HELLO_TIMEOUT, LIST_ENTRIES_MAX, LIVE_QUEUE_BYTES_MAX, SUSPECT_VETO,
    UPKEEP_INTERVAL,
};
use super::super::link::{Greeting, Link, LinkState};
use super::super::message::{Datagram, Frame, Hello, PROTOCOL};
use super::super::{
    Address, CloseReason, DialId, Lane, LinkId, NodeIdentity, Output, Persisted, Time,
};
use super::{Member, Replica};

impl Replica {
    pub(super) fn on_connected(&mut self, now: Time, id: LinkId, dial: Option<DialId>) {
        if self.left || !self.links.open(now, id, dial) {
            self.outputs.push_back(Output::Close { link: id, reason: CloseReason::Greeting });
            return;
        }
        self.say_hello(id);
    }

    fn say_hello(&mut self, id: LinkId) {
        let hello = Hello {
            protocol_min: PROTOCOL,
            protocol_max: PROTOCOL,
            identity: self.membership.own().clone(),
        };
        self.send(id, Lane::Live, &Frame::Hello(hello));
    }

    /// Queues a frame that must not be lost.
    pub(super) fn send(&mut self, id: LinkId, lane: Lane, frame: &Frame) {
        if let Some(link) = self.links.get_mut(id) {
            link.push(lane, frame.encode());
            self.flowing.insert(id);
        }
    }

    fn send_datagram(&mut self, id: LinkId, bytes: Bytes) {
        self.stats.datagrams_sent += 1;
        self.stats.datagram_bytes_sent += bytes.len() as u64;
        self.outputs.push_back(Output::Datagram { link: id, bytes });
    }

    pub(super) fn on_dial_failed(&mut self, now: Time, dial: DialId) {
        if let Some(site) = self.dials.fail(now, dial, &mut self.rng) {
            self.redelegate_undelivered(now, site);
        }
    }

    pub(super) fn on_sent(
        &mut self,
        now: Time,
        id: LinkId,
        lane: Lane,
        frames: usize,
        bytes: usize,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let recovered = link.sent(lane, frames, bytes);
        self.flowing.insert(id);
        if recovered {
            self.send_heads(now, id);
        }
    }

    /// Forgets a connection and what depended on it.
    pub(super) fn on_closed(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.remove(id) else {
            return;
        };
        if let Some(dial) = link.dial
            && matches!(link.state, LinkState::Greeting)
        {
            self.dials.fail(now, dial, &mut self.rng);
        }
        self.flowing.remove(&id);
        self.acks_due.remove(&id);
        self.pulls.forget_link(id);
        if let Some(transfer) = &mut self.transfer {
            transfer.forget_link(now, id);
        }
        self.serving.forget_link(id);
        for delegation in self.delegations.take_of_link(id) {
            self.redelegate(now, delegation);
        }
    }

    pub(super) fn on_frame(&mut self, now: Time, id: LinkId, bytes: Bytes) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.heard_at = now;
        let peer = link.peer().map(|peer| peer.site);
        let Ok(frame) = Frame::decode(bytes, self.own.cluster) else {
            return self.close_invalid(now, id);
        };
        let Some(peer) = peer else {
            return match frame {
                Frame::Hello(hello) => self.on_hello(now, id, hello),
                _ => self.close_invalid(now, id),
            };
        };
        match frame {
            Frame::Hello(hello) if hello.identity.site == peer => self.on_hello(now, id, hello),
            Frame::Hello(_) => self.close_invalid(now, id),
            Frame::Renew { incarnation } => {
                self.membership.renew(now, incarnation);
            }
            Frame::Heads(heads) => {
                self.note_heads_told(id);
                self.on_heads(now, id, &heads);
            }
            Frame::Live { origin, version, range, body } => {
                let change = crate::types::EncodedChangeset::whole(origin, version, body);
                self.on_live(now, id, peer, change, range);
            }
            Frame::Ack { count } => self.delegations.acknowledge(id, count),
            Frame::Pull { id: pull, origin, after, max_bytes } => {
                self.on_pull(id, pull, origin, after, max_bytes);
            }
            Frame::StatePull { id: pull, transfer, chunks, max_bytes } => {
                self.on_state_pull(id, peer, (pull, transfer, chunks), max_bytes);
            }
            Frame::PastAsk { version } => {
                self.outputs.push_back(Output::ReadPast { link: id, site: peer, version });
            }
            Frame::Past(known) => self.outputs.push_back(Output::CheckPast(known)),
            Frame::PullData { id: pull, bytes } => self.on_pull_data(now, id, pull, &bytes),
            Frame::PullEnd { id: pull, status } => self.on_pull_end(now, id, pull, status),
            Frame::PullCancel { id: pull } => self.serving.cancel(id, pull),
            Frame::Members(members) => self.membership.learn(now, members, true),
            Frame::Unknown => {}
        }
    }

    fn on_hello(&mut self, now: Time, id: LinkId, hello: Hello) {
        let peer = hello.identity;
        let refusal = if hello.protocol_min > PROTOCOL || hello.protocol_max < PROTOCOL {
            Some(CloseReason::Version)
        } else if peer.cluster != self.own.cluster {
            self.stats.foreign_cluster += 1;
            Some(CloseReason::ForeignCluster)
        } else if peer.site == self.own.site {
            if peer.incarnation != self.membership.own().incarnation {
                tracing::warn!(address = %peer.address, "another node runs with this node's site");
            }
            Some(CloseReason::SameSite)
        } else {
            None
        };
        if let Some(reason) = refusal {
            tracing::debug!(address = %peer.address, ?reason, "connection refused");
            return self.close(now, id, reason);
        }
        self.greet(now, id, &peer);
    }

    fn greet(&mut self, now: Time, id: LinkId, peer: &NodeIdentity) {
        if let Some(dial) = self.links.get(id).and_then(|link| link.dial) {
            self.dials.succeed(now, dial, peer.site, &mut self.rng);
        }
        let newcomer = !self.members.contains_key(&peer.site);
        match self.links.greet(now, id, peer.clone(), self.own.site) {
            Greeting::Duplicate => return self.close(now, id, CloseReason::Duplicate),
            Greeting::Renewed => {
                self.membership.learn_alive(now, peer);
                return;
            }
            Greeting::Accepted { replaced } => {
                if let Some(replaced) = replaced {
                    self.close(now, replaced, CloseReason::Duplicate);
                }
            }
        }
        self.pulls.forgive(peer.site);
        match self.membership.held_for_dead(peer) {
            Some(incarnation) => self.send(id, Lane::Live, &Frame::Renew { incarnation }),
            None => self.membership.learn_alive(now, peer),
        }
        if newcomer {
            for members in self.membership.records().chunks(LIST_ENTRIES_MAX) {
                self.send(id, Lane::Live, &Frame::Members(members.to_vec()));
            }
        }
        self.send_heads(now, id);
        let version = self.ledger.applied(self.own.site);
        self.send(id, Lane::Live, &Frame::PastAsk { version });
        for datagram in self.dials.connected(peer.site) {
            self.send_datagram(id, datagram);
        }
        self.deliver_undelivered(now, peer.site, id);
    }

    /// The connection to a member, or none while it is being made.
    pub(super) fn reach(&mut self, now: Time, site: SiteId, address: &Address) -> Option<LinkId> {
        let link = self.links.of_site(site);
        if link.is_none()
            && !self.left
            && let Some(dial) = self.dials.dial_site(now, site)
        {
            self.outputs.push_back(Output::Dial { dial, address: address.clone() });
        }
        link
    }

    pub(super) fn on_datagram(&mut self, now: Time, id: LinkId, bytes: Bytes) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        // A datagram may overtake the `Hello`; it is as good as lost then.
        let Some(peer) = link.peer().cloned() else {
            return;
        };
        link.heard_at = now;
        match Datagram::decode(bytes) {
            Ok(Datagram::Swim { fingerprint, from, to, packet }) => {
                if self.membership.handle_packet(now, &peer, from, to, &packet).is_err() {
                    self.stats.invalid_input += 1;
                }
                self.compare_fingerprint(now, id, fingerprint);
            }
            Ok(Datagram::Digest(heads)) => self.on_heads(now, id, &heads),
            Err(_invalid) => self.stats.invalid_input += 1,
        }
    }

    fn compare_fingerprint(&mut self, now: Time, id: LinkId, theirs: u64) {
        if theirs == self.ledger.fingerprint() {
            let heads = self.ledger.heads();
            if let Some(link) = self.links.get_mut(id) {
                link.heads = heads;
                link.heads_due = false;
            }
            return;
        }
        let waited = self.links.get(id).and_then(|link| link.heads_sent_at);
        if waited.is_none_or(|at| now - at >= HEADS_INTERVAL) {
            self.send_heads(now, id);
        } else if let Some(link) = self.links.get_mut(id) {
            link.heads_due = true;
        }
    }

    fn note_heads_told(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id)
            && !link.heads_told
        {
            link.heads_told = true;
            self.stats.heads_heard += 1;
        }
    }

    /// Tells a peer all heads, or does so later if it does not keep up with its lane.
    pub(super) fn send_heads(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.lane(Lane::Live).waiting_bytes() > LIVE_QUEUE_BYTES_MAX {
            link.heads_due = true;
            return;
        }
        let heads: Vec<(SiteId, DbVersion)> = self.ledger.heads().into_iter().collect();
        if heads.is_empty() {
            self.send(id, Lane::Live, &Frame::Heads(heads.clone()));
        }
        for part in heads.chunks(LIST_ENTRIES_MAX) {
            self.send(id, Lane::Live, &Frame::Heads(part.to_vec()));
        }
        if let Some(link) = self.links.get_mut(id) {
            link.heads_sent_at = Some(now);
            link.heads_due = false;
        }
    }

    /// Sends SWIM's packets, and draws the consequences of what it found.
    pub(super) fn settle_membership(&mut self, now: Time) {
        if self.membership.take_changed() {
            self.refresh_members(now);
        }
        for swim in self.membership.take_packets() {
            let datagram = Datagram::Swim {
                fingerprint: self.ledger.fingerprint(),
                from: self.membership.own().incarnation,
                to: swim.to.incarnation,
                packet: swim.packet,
            };
            let bytes = datagram.encode();
            match self.reach(now, swim.to.site, &swim.to.address) {
                Some(id) => self.send_datagram(id, bytes),
                None => self.dials.keep_datagram(swim.to.site, bytes),
            }
        }
        if self.own != *self.membership.own() {
            self.own = self.membership.own().clone();
            for id in self.links.open_ids() {
                self.say_hello(id);
            }
            self.persist(now);
        }
    }

    fn refresh_members(&mut self, now: Time) {
        let mut dead = Vec::new();
        self.members.clear();
        for member in self.membership.iter() {
            let site = member.id().site;
            if member.state() == foca::State::Down {
                dead.push(site);
                continue;
            }
            let suspect = member.state() == foca::State::Suspect;
            self.members.insert(site, Member { address: member.id().address.clone(), suspect });
        }
        for site in dead {
            let silent = |id| self.links.get(id).is_some_and(|it| now - it.heard_at > SUSPECT_VETO);
            if let Some(id) = self.links.of_site(site).filter(|&id| silent(id)) {
                self.close(now, id, CloseReason::Dead);
            }
        }
        self.persist_due = true;
    }

    /// What is looked at every second.
    pub(super) fn upkeep(&mut self, now: Time) {
        let reason = |link: &Link| {
            let lanes = [Lane::Live, Lane::Repair];
            if link.peer().is_none() && now - link.opened_at > HELLO_TIMEOUT {
                Some(CloseReason::Greeting)
            } else {
                lanes.iter().any(|&it| link.lane(it).is_overfull()).then_some(CloseReason::Unread)
            }
        };
        let doomed: Vec<(LinkId, CloseReason)> =
            self.links.iter().filter_map(|(id, link)| Some((id, reason(link)?))).collect();
        for (id, reason) in doomed {
            self.close(now, id, reason);
        }
        for id in self.links.open_ids() {
            if self.links.get(id).is_some_and(|link| link.heads_due) {
                self.send_heads(now, id);
            }
        }
        if !self.left {
            self.seek_members(now);
        }
        if self.persist_due && now - self.persisted_at >= UPKEEP_INTERVAL.times(2) {
            self.persist(now);
        }
    }

    /// Dials addresses to join through, and now and then somebody who is taken for dead.
    fn seek_members(&mut self, now: Time) {
        let members = &self.members;
        let due = self.dials.dial_contacts(now, |site| members.contains_key(&site));
        for (dial, address) in due {
            self.outputs.push_back(Output::Dial { dial, address });
        }
        if now - self.redialled_at < UPKEEP_INTERVAL.times(2) {
            return;
        }
        self.redialled_at = now;
        let dead: Vec<NodeIdentity> = self
            .membership
            .iter()
            .filter(|member| member.state() == foca::State::Down)
            .map(|member| member.id().clone())
            .collect();
        if let Some(member) = dead.choose(&mut self.rng) {
            let link = self.reach(now, member.site, &member.address);
            // Connected to somebody held for dead: either side may have missed the other's renewal.
            if let Some(id) = link {
                let incarnation = member.incarnation;
                self.send(id, Lane::Live, &Frame::Renew { incarnation });
            }
        }
    }

    pub(super) fn persist(&mut self, now: Time) {
        self.persist_due = false;
        self.persisted_at = now;
        let alive = self.membership.records().into_iter().map(|record| record.identity);
        self.outputs.push_back(Output::Persist(Persisted {
            incarnation: self.membership.own().incarnation,
            members: alive.collect(),
        }));
    }

    /// Up to `count` random connected peers.
    pub(super) fn random_peers(&mut self, count: usize) -> Vec<LinkId> {
        let mut open = self.links.open_ids();
        let mut chosen = Vec::new();
        while chosen.len() < count && !open.is_empty() {
            let index = self.rng.random_range(0..open.len());
            chosen.push(open.swap_remove(index));
        }
        chosen
    }

    /// Tells a few peers which heads moved.
    pub(super) fn send_digests(&mut self, now: Time) {
        use super::super::limits::{DIGEST_FANOUT, DIGEST_FANOUT_URGENT};
        let (due, again) = self.digests.take(now);
        if let Some(at) = again {
            self.arm(super::Alarm::Digest, at);
        }
        let fanout = if due.urgent { DIGEST_FANOUT_URGENT } else { DIGEST_FANOUT };
        for id in self.random_peers(fanout) {
            for origins in due.origins.chunks(DIGEST_ENTRIES_MAX) {
                let heads = origins.iter().map(|&site| (site, self.ledger.applied(site))).collect();
                self.send_datagram(id, Datagram::Digest(heads).encode());
            }
        }
    }
}

/// Heads in one digest, so that it fits a datagram.
const DIGEST_ENTRIES_MAX: usize = 40;
