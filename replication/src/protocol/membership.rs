//! Membership: SWIM as foca runs it, with its timers, its packets made short, and one veto.
//!
//! A node probes one other member every second; one that answers neither directly nor through three others is
//! *suspect* and has a few seconds to refute. Two things are added to SWIM. A suspect that this node has heard from
//! lately is not declared dead by it, since under heavy loss probes fail that data survives. And who is held for dead
//! learns it from the first connection it makes (`Renew`), takes its next incarnation, and is back.
//!
//! # Invariants
//! 1. Every timer foca asks for is delivered, unless its veto postpones it.
//! 2. Members of another cluster are never learnt: identities are decoded within the cluster of their connection.
//!
//! # Bounds
//! [`MEMBERS_MAX`](super::limits::MEMBERS_MAX) members; the dead are forgotten after [`FORGET_DOWN`].
//!
//! # Sources
//! SWIM: doi:10.1109/DSN.2002.1028914. The veto is a small part of what Lifeguard (arXiv:1707.00788) does.

use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use foca::{Foca, Member, NoCustomBroadcast, Notification, PeriodicParams, Runtime, Timer};
use rand::rngs::StdRng;

use crate::types::SiteId;

use super::limits::{DATAGRAM_BYTES_MAX, SUSPECT_VETO};
use super::message::{MemberRecord, identity_len, put_identity};
use super::swim_codec::{SwimCodec, record};
use super::{Incarnation, NodeIdentity, Span, Time, Tuning};

/// How long a dead member is remembered.
const FORGET_DOWN: Duration = Duration::from_secs(24 * 3_600);

/// A SWIM packet to be sent, without its two leading identities.
pub(super) struct SwimPacket {
    /// The member meant.
    pub(super) to: NodeIdentity,
    /// The rest of the packet.
    pub(super) packet: Bytes,
}

/// The members of the cluster.
pub(super) struct Membership {
    foca: Foca<NodeIdentity, SwimCodec, StdRng, NoCustomBroadcast>,
    tuning: Tuning,
    timers: BTreeMap<(Time, u64), Timer<NodeIdentity>>,
    timer_count: u64,
    packets: Vec<SwimPacket>,
    changed: bool,
    sized_for: usize,
}

/// Collects what foca wants done.
struct Collector<'a> {
    now: Time,
    own_len: usize,
    timers: &'a mut BTreeMap<(Time, u64), Timer<NodeIdentity>>,
    timer_count: &'a mut u64,
    packets: &'a mut Vec<SwimPacket>,
    changed: &'a mut bool,
}

impl Runtime<NodeIdentity> for Collector<'_> {
    fn notify(&mut self, _notification: Notification<'_, NodeIdentity>) {
        *self.changed = true;
    }

    fn send_to(&mut self, to: NodeIdentity, data: &[u8]) {
        let skip = self.own_len + identity_len(&to);
        if let Some(rest) = data.get(skip..) {
            self.packets.push(SwimPacket { packet: Bytes::copy_from_slice(rest), to });
        }
    }

    fn submit_after(&mut self, event: Timer<NodeIdentity>, after: Duration) {
        *self.timer_count += 1;
        self.timers.insert((self.now + after.into(), *self.timer_count), event);
    }
}

/// Runs one foca call with a collector for what it wants done.
macro_rules! with_foca {
    ($self:ident, $now:expr, |$foca:ident, $runtime:ident| $call:expr) => {{
        let own_len = identity_len($self.foca.identity());
        let $runtime = Collector {
            now: $now,
            own_len,
            timers: &mut $self.timers,
            timer_count: &mut $self.timer_count,
            packets: &mut $self.packets,
            changed: &mut $self.changed,
        };
        let $foca = &mut $self.foca;
        $call
    }};
}

impl Membership {
    pub(super) fn new(own: NodeIdentity, tuning: Tuning, rng: StdRng) -> Self {
        let codec = SwimCodec::new(own.cluster);
        let foca = Foca::new(own, swim_config(&tuning, 1), rng, codec);
        Self {
            foca,
            tuning,
            timers: BTreeMap::new(),
            timer_count: 0,
            packets: Vec::new(),
            changed: true,
            sized_for: 1,
        }
    }

    /// This node as it presents itself.
    pub(super) fn own(&self) -> &NodeIdentity {
        self.foca.identity()
    }

    /// All members but this one, the dead included.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member<NodeIdentity>> {
        self.foca.iter_membership_state()
    }

    /// All members as told to one that joins, this one included.
    pub(super) fn records(&self) -> Vec<MemberRecord> {
        self.iter().filter(|member| member.state() != foca::State::Down).map(record).collect()
    }

    /// What is known of a site.
    pub(super) fn find(&self, site: SiteId) -> Option<&Member<NodeIdentity>> {
        self.iter().find(|member| member.id().site == site)
    }

    /// Whether something about the members changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Packets to be sent since the last call.
    pub(super) fn take_packets(&mut self) -> Vec<SwimPacket> {
        std::mem::take(&mut self.packets)
    }

    /// When the next timer is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.timers.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Takes in what a peer told of members.
    pub(super) fn learn(&mut self, now: Time, records: Vec<MemberRecord>, spread: bool) {
        let members =
            records.into_iter().map(|it| Member::new(it.identity, it.swim_incarnation, it.state));
        let result =
            with_foca!(self, now, |foca, runtime| foca.apply_many(members, spread, runtime));
        log_refused(result);
        self.resize();
    }

    /// Takes in that a peer has just said `Hello` as `peer`.
    pub(super) fn learn_alive(&mut self, now: Time, peer: &NodeIdentity) {
        let known = self.find(peer.site).is_some_and(|member| member.id() == peer);
        if !known {
            let record = MemberRecord {
                identity: peer.clone(),
                swim_incarnation: 0,
                state: foca::State::Alive,
            };
            self.learn(now, vec![record], true);
        }
    }

    /// If this appearance of `peer`, or a later one, is held for dead, the incarnation it has to exceed.
    pub(super) fn held_for_dead(&self, peer: &NodeIdentity) -> Option<Incarnation> {
        let member = self.find(peer.site)?;
        let dead =
            member.state() == foca::State::Down && member.id().incarnation >= peer.incarnation;
        let outdated = member.id().incarnation > peer.incarnation;
        (dead || outdated).then_some(member.id().incarnation)
    }

    /// A peer holds this node's appearance `incarnation` for dead: exceeds it. Returns whether the identity changed.
    pub(super) fn renew(&mut self, now: Time, incarnation: Incarnation) -> bool {
        let own = self.foca.identity().clone();
        if incarnation < own.incarnation || incarnation.0 > own.incarnation.0 + RENEWAL_STEP_MAX {
            return false;
        }
        let renewed = NodeIdentity { incarnation: Incarnation(incarnation.0 + 1), ..own };
        let result = with_foca!(self, now, |foca, runtime| foca.change_identity(renewed, runtime));
        log_refused(result);
        // A changed identity starts without timers; learning any live member anew starts them.
        let alive: Vec<_> = self.records();
        self.learn(now, alive, false);
        self.changed = true;
        true
    }

    /// A member has said itself that it leaves.
    pub(super) fn learn_left(&mut self, now: Time, peer: &NodeIdentity) {
        let Some(member) = self.find(peer.site).filter(|member| member.id() == peer) else {
            return;
        };
        let record = MemberRecord { state: foca::State::Down, ..record(member) };
        self.learn(now, vec![record], true);
    }

    /// A packet from `peer`, who says it is in its appearance `from` and means ours `to`.
    pub(super) fn handle_packet(
        &mut self,
        now: Time,
        peer: &NodeIdentity,
        from: Incarnation,
        to: Incarnation,
        packet: &[u8],
    ) -> Result<(), foca::Error> {
        let mut data = BytesMut::with_capacity(packet.len() + 128);
        put_identity(&mut data, &NodeIdentity { incarnation: from, ..peer.clone() });
        put_identity(&mut data, &NodeIdentity { incarnation: to, ..self.own().clone() });
        data.extend_from_slice(packet);
        let result = with_foca!(self, now, |foca, runtime| foca.handle_data(&data, runtime));
        self.resize();
        result
    }

    /// Fires the timers that are due. `heard` tells when a site was last heard from.
    pub(super) fn handle_timeout(&mut self, now: Time, heard: impl Fn(SiteId) -> Option<Time>) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let timer = entry.remove();
            if let Timer::ChangeSuspectToDown { member_id, .. } = &timer
                && heard(member_id.site).is_some_and(|at| now - at < SUSPECT_VETO)
            {
                self.timer_count += 1;
                self.timers.insert((now + Span::from_ms(1_000), self.timer_count), timer);
                continue;
            }
            let result = with_foca!(self, now, |foca, runtime| foca.handle_timer(timer, runtime));
            log_refused(result);
        }
    }

    /// Tells the others that this node leaves.
    pub(super) fn leave(&mut self, now: Time) {
        let result = with_foca!(self, now, |foca, runtime| foca.leave_cluster(runtime));
        log_refused(result);
    }

    /// Adapts suspicion and retransmissions to the number of members.
    fn resize(&mut self) {
        let members = self.foca.num_members() + 1;
        if members.ilog2() == self.sized_for.ilog2() {
            return;
        }
        if self.foca.set_config(swim_config(&self.tuning, members)).is_ok() {
            self.sized_for = members;
        }
    }
}

/// Furthest that one peer can push this node's incarnation, so that none can exhaust it: a year in milliseconds.
const RENEWAL_STEP_MAX: u64 = 365 * 24 * 3_600 * 1_000;

fn log_refused(result: Result<(), foca::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "membership input refused");
    }
}

fn swim_config(tuning: &Tuning, members: usize) -> foca::Config {
    let decades = (members.max(1) as f64).log10();
    let duration = |span: Span| Duration::from_micros(span.0);
    let periodic = |ms: u64, members: usize| {
        Some(PeriodicParams {
            frequency: Duration::from_millis(ms),
            num_members: NonZeroUsize::new(members).unwrap_or(NonZeroUsize::MIN),
        })
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 20")]
    let transmissions = 4 + 4 * decades.ceil() as u8;
    foca::Config {
        probe_period: duration(tuning.probe_period),
        probe_rtt: duration(tuning.probe_rtt),
        num_indirect_probes: NonZeroUsize::new(3).unwrap_or(NonZeroUsize::MIN),
        max_transmissions: NonZeroU8::new(transmissions).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: duration(tuning.suspicion).mul_f64(decades.max(1.0)),
        remove_down_after: Some(FORGET_DOWN),
        max_packet_size: NonZeroUsize::new(DATAGRAM_BYTES_MAX).unwrap_or(NonZeroUsize::MIN),
        notify_down_members: true,
        periodic_announce: periodic(30_000, 1),
        periodic_announce_to_down_members: periodic(60_000, 1),
        periodic_gossip: periodic(200, 3),
    }
}
