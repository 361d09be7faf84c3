//! One node's end of the protocol: the state machine that ties the parts together.
//!
//! The parts each keep one kind of state; this module gives every input to the part it concerns and carries what comes
//! of it to the others. It is cut by what sets it in motion: [`peers`] has connections, membership and who is told
//! what; [`broadcast`] local commits and live frames; [`sync`] heads and pulls, both ways; [`state`] state transfer.

mod broadcast;
mod peers;
mod state;
mod sync;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::types::{Heads, ProgressBySite, SiteId};

use super::delegation::{Delegations, Forwarded};
use super::dial::Dials;
use super::digest::Digests;
use super::ledger::Ledger;
use super::limits::{PULL_INTERVAL, SCHEMA_RETRY, UPKEEP_INTERVAL};
use super::link::{LinkState, Links};
use super::membership::Membership;
use super::message::{Frame, MemberRecord};
use super::pull::Pulls;
use super::serve::Serving;
use super::transfer::{Patience, Transfer};
use super::{
    Address, CloseReason, Input, Lane, LinkId, MemberState, MemberStatus, NodeIdentity,
    OriginStatus, Output, Stats, Time, Tuning,
};

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Who it is; the incarnation is larger than any it had before.
    pub identity: NodeIdentity,
    /// Addresses to join through.
    pub join: Vec<Address>,
    /// Members it knew when it last ran.
    pub known: Vec<NodeIdentity>,
    /// Intervals and sizes.
    pub tuning: Tuning,
    /// Seed of its random choices.
    pub seed: u64,
}

/// What is to be looked at when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// Acknowledgements go out.
    Acks,
    /// A delegation is overdue.
    Delegations,
    /// Digests go out.
    Digest,
    /// Needs are pulled, stalled pulls given up.
    Pulls,
    /// Blocked origins are offered again.
    Retry,
    /// Connections, contacts, persistence.
    Upkeep,
}

/// A living member, as broadcast and pulls see it.
#[derive(Clone, Debug)]
struct Member {
    address: Address,
    suspect: bool,
}

/// One node's end of the protocol.
pub struct Replica {
    tuning: Tuning,
    rng: StdRng,
    /// This node as its peers last heard.
    own: NodeIdentity,
    membership: Membership,
    /// Living members but this one.
    members: BTreeMap<SiteId, Member>,
    links: Links,
    dials: Dials,
    ledger: Ledger,
    pulls: Pulls,
    serving: Serving,
    /// The state that is being fetched.
    transfer: Option<Transfer>,
    patience: Patience,
    /// The store cannot go on from the state of any peer.
    stale: bool,
    delegations: Delegations,
    forwarded: Forwarded,
    digests: Digests,
    alarms: BTreeMap<Alarm, Time>,
    /// Connections with frames to be given to the shell.
    flowing: BTreeSet<LinkId>,
    /// Connections with acknowledgements due.
    acks_due: BTreeSet<LinkId>,
    /// The store's heads are being read because it refused changesets.
    expects_set_back: bool,
    /// The list of members changed since it was last persisted.
    persist_due: bool,
    persisted_at: Time,
    redialled_at: Time,
    left: bool,
    stats: Stats,
    outputs: VecDeque<Output>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Replica {
    /// A node whose store is as far as `stored`.
    #[must_use]
    pub fn new(now: Time, config: ReplicaConfig, stored: &ProgressBySite) -> Self {
        let mut rng = StdRng::seed_from_u64(config.seed);
        let swim_rng = StdRng::from_rng(&mut rng);
        let own = config.identity;
        let mut replica = Self {
            membership: Membership::new(own.clone(), config.tuning.clone(), swim_rng),
            tuning: config.tuning,
            rng,
            own,
            members: BTreeMap::new(),
            links: Links::default(),
            dials: Dials::new(config.join),
            ledger: Ledger::new(stored),
            pulls: Pulls::default(),
            serving: Serving::default(),
            transfer: None,
            patience: Patience::default(),
            stale: false,
            delegations: Delegations::default(),
            forwarded: Forwarded::default(),
            digests: Digests::default(),
            alarms: BTreeMap::from([(Alarm::Upkeep, now)]),
            flowing: BTreeSet::new(),
            acks_due: BTreeSet::new(),
            expects_set_back: false,
            persist_due: true,
            persisted_at: Time::default(),
            redialled_at: now,
            left: false,
            stats: Stats::default(),
            outputs: VecDeque::new(),
        };
        let records = config.known.into_iter().filter(|it| it.site != replica.own.site).map(|it| {
            MemberRecord { identity: it, swim_incarnation: 0, state: foca::State::Alive }
        });
        replica.membership.learn(now, records.collect(), false);
        replica.settle(now);
        replica
    }

    /// Takes in something that happened. Never fails: what a peer may not do closes its connection.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Connected { link, dial } => self.on_connected(now, link, dial),
            Input::DialFailed { dial } => self.on_dial_failed(now, dial),
            Input::Closed { link, leaving } => {
                let peer = self.links.get(link).and_then(|link| link.peer()).cloned();
                self.on_closed(now, link);
                if let Some(peer) = peer.filter(|_| leaving) {
                    self.membership.learn_left(now, &peer);
                }
            }
            Input::Frame { link, bytes } => self.on_frame(now, link, bytes),
            Input::Datagram { link, bytes } => self.on_datagram(now, link, bytes),
            Input::Sent { link, lane, frames, bytes } => {
                self.on_sent(now, link, lane, frames, bytes);
            }
            Input::RoundTrip { link, rtt } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.rtt = Some(rtt);
                }
            }
            Input::Committed(change) => self.on_committed(now, &change),
            Input::CommittedChunks(version) => self.on_committed_chunks(now, version),
            Input::StoreProgress(stored) => self.on_store_progress(now, &stored),
            Input::Applied(results) => self.on_applied(now, results),
            Input::LogRead { read, result } => self.on_log_read(read, result),
            Input::PastRead { link, known } => {
                if !known.is_empty() {
                    self.send(link, Lane::Live, &Frame::Past(known));
                }
            }
            Input::StateRead { read, result } => self.on_state_read(read, result),
            Input::StateApplied(result) => self.on_state_applied(now, result),
            Input::SchemaChanged => self.ledger.on_schema_changed(now),
            Input::RetryBlocked => self.ledger.release_all(now),
            Input::Leave => {
                self.left = true;
                self.persist(now);
                self.membership.leave(now);
            }
        }
        self.settle(now);
    }

    /// Does what is due. Call it at [`Replica::poll_timeout`]; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        let links = &self.links;
        self.membership.handle_timeout(now, |site| links.find(site).map(|link| link.heard_at));
        while let Some(alarm) = self.due_alarm(now) {
            match alarm {
                Alarm::Acks => self.send_acks(),
                Alarm::Delegations => self.redelegate_overdue(now),
                Alarm::Digest => self.send_digests(now),
                Alarm::Pulls => self.pull_needs(now, None),
                Alarm::Retry => self.ledger.release_due(now),
                Alarm::Upkeep => self.upkeep(now),
            }
        }
        self.settle(now);
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Replica::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let alarm = self.alarms.values().min().copied();
        [alarm, self.membership.poll_timeout()].into_iter().flatten().min()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Applied heads, as far as the core knows.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.ledger.heads()
    }

    /// Bytes of changesets that wait to be applied.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.ledger.waiting_bytes()
    }

    /// Origins of which something is missing, waits or is refused.
    #[must_use]
    pub fn origins(&self) -> Vec<OriginStatus> {
        self.ledger.unfinished()
    }

    /// This node and every member it knows, by site.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        let heads = self.ledger.heads();
        let others = self.membership.iter().map(|member| {
            let state = match member.state() {
                foca::State::Alive => MemberState::Alive,
                foca::State::Suspect => MemberState::Suspect,
                foca::State::Down => MemberState::Down,
            };
            self.member_status(member.id(), state, &heads)
        });
        let mut all: Vec<_> = others.collect();
        all.push(self.member_status(&self.own, MemberState::Local, &heads));
        all.sort_by_key(|member| member.site);
        all
    }

    fn member_status(
        &self,
        identity: &NodeIdentity,
        state: MemberState,
        own_heads: &Heads,
    ) -> MemberStatus {
        let link = self.links.find(identity.site);
        let heads = match state {
            MemberState::Local => own_heads.clone(),
            MemberState::Alive | MemberState::Suspect | MemberState::Down => {
                link.map(|link| link.heads.clone()).unwrap_or_default()
            }
        };
        let lag = own_heads.iter().filter_map(|(&origin, version)| {
            let theirs = heads.get(&origin).map_or(0, |it| it.0);
            (link.is_some() && version.0 > theirs).then(|| (origin, version.0 - theirs))
        });
        MemberStatus {
            site: identity.site,
            address: identity.address.clone(),
            state,
            incarnation: identity.incarnation,
            connected: link.is_some(),
            rtt_us: link.and_then(|link| link.rtt).map(|rtt| rtt.0),
            behind: lag.collect(),
            heads,
            queued_bytes: link.map_or(0, |link| link.waiting_bytes() as u64),
            lagging: link.is_some_and(|link| link.lagging),
        }
    }

    /// Carries what came of an input to the parts it concerns.
    fn settle(&mut self, now: Time) {
        self.settle_membership(now);
        if let Some(batch) = self.ledger.next_batch() {
            self.outputs.push_back(Output::Apply(batch));
        }
        self.serve_pulls();
        if let Some(at) = self.delegations.next_deadline() {
            self.arm(Alarm::Delegations, at);
        }
        if self.ledger.is_lagging() || !self.pulls.is_empty() || self.transfer.is_some() {
            self.arm(Alarm::Pulls, now + PULL_INTERVAL);
        }
        if self.ledger.is_blocked() {
            self.arm(Alarm::Retry, now + SCHEMA_RETRY);
        }
        self.give_frames();
    }

    /// Hands frames to the shell as far as it has room.
    fn give_frames(&mut self) {
        for id in std::mem::take(&mut self.flowing) {
            let Some(link) = self.links.get_mut(id) else {
                continue;
            };
            while let Some((lane, bytes)) = link.pop() {
                self.stats.frames_sent += 1;
                self.stats.frame_bytes_sent += bytes.len() as u64;
                self.outputs.push_back(Output::Frame { link: id, lane, bytes });
            }
        }
    }

    /// Sets an alarm, unless it is set for an earlier time.
    fn arm(&mut self, alarm: Alarm, at: Time) {
        let entry = self.alarms.entry(alarm).or_insert(at);
        *entry = (*entry).min(at);
    }

    /// Takes out one alarm that is due.
    fn due_alarm(&mut self, now: Time) -> Option<Alarm> {
        let (&alarm, _) = self.alarms.iter().find(|&(_, &at)| at <= now)?;
        self.alarms.remove(&alarm);
        if alarm == Alarm::Upkeep {
            self.alarms.insert(Alarm::Upkeep, now + UPKEEP_INTERVAL);
        }
        Some(alarm)
    }

    /// Closes a connection and forgets it.
    fn close(&mut self, now: Time, id: LinkId, reason: CloseReason) {
        self.outputs.push_back(Output::Close { link: id, reason });
        self.on_closed(now, id);
    }

    /// Closes a connection whose peer sent what it may not.
    fn close_invalid(&mut self, now: Time, id: LinkId) {
        self.stats.invalid_input += 1;
        if let Some(link) = self.links.get(id) {
            let greeted = matches!(link.state, LinkState::Open(_));
            tracing::debug!(link = id.0, greeted, "peer sent invalid bytes, closing");
        }
        self.close(now, id, CloseReason::Invalid);
    }
}
