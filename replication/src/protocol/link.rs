//! Connections to peers, and the two lanes of each.
//!
//! There is one connection per pair of nodes. When both dial at once, the one dialled by the smaller site survives;
//! when one side has lost a connection without the other noticing, the newer one does.
//!
//! A lane is an ordered stream of frames in one direction: *live* for broadcasts and everything small, *repair* for what
//! was pulled. The shell holds at most [`LANE_WINDOW_BYTES`] and
//! [`LANE_WINDOW_FRAMES`] of a lane, so that what it has not written yet waits here,
//! where its size is known and a peer that does not keep up is noticed.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::types::{DbVersion, Heads, SiteId};

use super::limits::{
    GREETING_LINKS_MAX, LANE_FRAMES_MAX, LANE_WINDOW_BYTES, LANE_WINDOW_FRAMES,
    LIVE_QUEUE_BYTES_MAX, SIMULTANEOUS_OPEN,
};
use super::{DialId, LinkId, NodeIdentity, Span, Time};

/// One direction's ordered stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Broadcasts, heads, requests.
    Live,
    /// Answers to pulls.
    Repair,
}

/// Frames that wait for their lane.
#[derive(Default)]
pub(super) struct LaneQueue {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    in_shell_bytes: usize,
    in_shell_frames: usize,
}

impl LaneQueue {
    /// Whether more frames wait than a peer that reads would let pile up.
    pub(super) fn is_overfull(&self) -> bool {
        self.waiting.len() > LANE_FRAMES_MAX
    }

    /// Bytes that the shell has not been given yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn push(&mut self, frame: Bytes) {
        self.waiting_bytes += frame.len();
        self.waiting.push_back(frame);
    }

    /// The next frame, if the shell has room for it.
    fn pop(&mut self) -> Option<Bytes> {
        if self.in_shell_bytes >= LANE_WINDOW_BYTES || self.in_shell_frames >= LANE_WINDOW_FRAMES {
            return None;
        }
        let frame = self.waiting.pop_front()?;
        self.waiting_bytes -= frame.len();
        self.in_shell_bytes += frame.len();
        self.in_shell_frames += 1;
        Some(frame)
    }

    fn sent(&mut self, frames: usize, bytes: usize) {
        self.in_shell_frames = self.in_shell_frames.saturating_sub(frames);
        self.in_shell_bytes = self.in_shell_bytes.saturating_sub(bytes);
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// How far a connection has come.
pub(super) enum LinkState {
    /// The peer has not said `Hello`.
    Greeting,
    /// The peer has said who it is.
    Open(NodeIdentity),
}

/// One connection.
pub(super) struct Link {
    /// The dial that made it, if this side did.
    pub(super) dial: Option<DialId>,
    /// How far it has come.
    pub(super) state: LinkState,
    /// When it was made.
    pub(super) opened_at: Time,
    /// When something last arrived on it.
    pub(super) heard_at: Time,
    /// Its round-trip time, once the shell has told.
    pub(super) rtt: Option<Span>,
    /// Heads the peer has told.
    pub(super) heads: Heads,
    /// Whether the peer has told all its heads.
    pub(super) heads_told: bool,
    /// When full heads were last sent to it.
    pub(super) heads_sent_at: Option<Time>,
    /// Full heads are to be sent when the interval allows.
    pub(super) heads_due: bool,
    /// `Live` frames with a range sent on it.
    pub(super) delegated: u64,
    /// `Live` frames with a range received on it.
    pub(super) received: u64,
    /// How many of those have been acknowledged.
    pub(super) acknowledged: u64,
    /// Of origins, after which versions the peer could not serve its log any more.
    pub(super) trimmed: Heads,
    /// The peer does not keep up: it gets heads only.
    pub(super) lagging: bool,
    live: LaneQueue,
    repair: LaneQueue,
}

impl Link {
    fn new(now: Time, dial: Option<DialId>) -> Self {
        Self {
            dial,
            state: LinkState::Greeting,
            opened_at: now,
            heard_at: now,
            rtt: None,
            heads: Heads::new(),
            heads_told: false,
            heads_sent_at: None,
            heads_due: false,
            delegated: 0,
            received: 0,
            acknowledged: 0,
            trimmed: Heads::new(),
            lagging: false,
            live: LaneQueue::default(),
            repair: LaneQueue::default(),
        }
    }

    /// Whether the peer has changesets of the origin after `version`, as far as is known.
    pub(super) fn holds(&self, origin: SiteId, version: DbVersion) -> bool {
        self.heads.get(&origin).is_some_and(|head| *head > version)
    }

    /// Whether the peer's log does not reach back to what comes after `version`.
    pub(super) fn has_trimmed(&self, origin: SiteId, version: DbVersion) -> bool {
        self.trimmed.get(&origin).is_some_and(|after| *after >= version)
    }

    /// The peer, once it has said who it is.
    pub(super) fn peer(&self) -> Option<&NodeIdentity> {
        match &self.state {
            LinkState::Greeting => None,
            LinkState::Open(identity) => Some(identity),
        }
    }

    /// The lane's queue.
    pub(super) fn lane(&self, lane: Lane) -> &LaneQueue {
        match lane {
            Lane::Live => &self.live,
            Lane::Repair => &self.repair,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneQueue {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Repair => &mut self.repair,
        }
    }

    /// Bytes on both lanes that the shell has not been given yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.live.waiting_bytes + self.repair.waiting_bytes
    }

    /// Queues a frame that must not be lost.
    pub(super) fn push(&mut self, lane: Lane, frame: Bytes) {
        self.lane_mut(lane).push(frame);
    }

    /// Queues a broadcast copy, unless the peer lags.
    pub(super) fn try_push_live(&mut self, frame: Bytes) -> bool {
        if self.live.waiting_bytes + frame.len() > LIVE_QUEUE_BYTES_MAX {
            self.lagging = true;
        }
        if !self.lagging {
            self.live.push(frame);
        }
        !self.lagging
    }

    /// The shell has written some frames of the lane. Returns whether a lagging peer has caught up with its queue.
    pub(super) fn sent(&mut self, lane: Lane, frames: usize, bytes: usize) -> bool {
        self.lane_mut(lane).sent(frames, bytes);
        let recovered = self.lagging && self.live.is_idle();
        if recovered {
            self.lagging = false;
        }
        recovered
    }

    /// The next frame that the shell has room for.
    pub(super) fn pop(&mut self) -> Option<(Lane, Bytes)> {
        let live = self.live.pop().map(|frame| (Lane::Live, frame));
        live.or_else(|| self.repair.pop().map(|frame| (Lane::Repair, frame)))
    }
}

/// What became of a `Hello`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The connection is the one of its pair; `replaced` is closed.
    Accepted { replaced: Option<LinkId> },
    /// The peer said again who it is, in a new appearance.
    Renewed,
    /// Another connection of the pair is kept.
    Duplicate,
}

/// All connections.
#[derive(Default)]
pub(super) struct Links {
    by_id: BTreeMap<LinkId, Link>,
    by_site: BTreeMap<SiteId, LinkId>,
    greeting: usize,
}

impl Links {
    /// Takes in a new connection. Returns `false`, and takes nothing in, when too many have not said `Hello`.
    pub(super) fn open(&mut self, now: Time, id: LinkId, dial: Option<DialId>) -> bool {
        if self.greeting >= GREETING_LINKS_MAX && dial.is_none() {
            return false;
        }
        self.greeting += 1;
        self.by_id.insert(id, Link::new(now, dial));
        true
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.by_id.remove(&id)?;
        match &link.state {
            LinkState::Greeting => self.greeting -= 1,
            LinkState::Open(peer) => {
                if self.by_site.get(&peer.site) == Some(&id) {
                    self.by_site.remove(&peer.site);
                }
            }
        }
        Some(link)
    }

    /// The peer of connection `id` says that it is `peer`.
    pub(super) fn greet(
        &mut self,
        now: Time,
        id: LinkId,
        peer: NodeIdentity,
        own: SiteId,
    ) -> Greeting {
        let other = self.by_site.get(&peer.site).copied().filter(|&other| other != id);
        if other.is_some_and(|other| self.keeps(now, other, id, &peer, own)) {
            return Greeting::Duplicate;
        }
        let Some(link) = self.by_id.get_mut(&id) else {
            return Greeting::Duplicate;
        };
        let renewed = matches!(link.state, LinkState::Open(_));
        if !renewed {
            self.greeting -= 1;
        }
        self.by_site.insert(peer.site, id);
        link.state = LinkState::Open(peer);
        if renewed { Greeting::Renewed } else { Greeting::Accepted { replaced: other } }
    }

    /// Whether connection `old` of a pair is kept and `new`, on which `peer` has just said `Hello`, is not.
    fn keeps(&self, now: Time, old: LinkId, new: LinkId, peer: &NodeIdentity, own: SiteId) -> bool {
        let (Some(old), Some(new)) = (self.by_id.get(&old), self.by_id.get(&new)) else {
            return false;
        };
        let same_appearance = old.peer().is_some_and(|it| it.incarnation == peer.incarnation);
        let simultaneous = now - old.opened_at < SIMULTANEOUS_OPEN;
        if !same_appearance || !simultaneous || old.dial.is_some() == new.dial.is_some() {
            return false;
        }
        old.dial.is_some() == (own < peer.site)
    }

    /// This node got ahead of what peers had trimmed.
    pub(super) fn forget_trimmed(&mut self) {
        self.by_id.values_mut().for_each(|link| link.trimmed.clear());
    }

    /// The longest round trip to a connected peer.
    pub(super) fn rtt_max(&self) -> Span {
        self.by_id.values().filter_map(|link| link.rtt).max().unwrap_or_default()
    }

    /// The connection to a site.
    pub(super) fn of_site(&self, site: SiteId) -> Option<LinkId> {
        self.by_site.get(&site).copied()
    }

    /// The open link to a site.
    pub(super) fn find(&self, site: SiteId) -> Option<&Link> {
        self.by_id.get(self.by_site.get(&site)?)
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.by_id.get_mut(&id)
    }

    /// Sites with an open connection, ascending.
    pub(super) fn sites(&self) -> impl Iterator<Item = SiteId> + '_ {
        self.by_site.keys().copied()
    }

    /// All connections, also those that have not said `Hello`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.by_id.iter().map(|(&id, link)| (id, link))
    }

    /// Connections on which a peer has said `Hello`.
    pub(super) fn open_ids(&self) -> Vec<LinkId> {
        self.by_site.values().copied().collect()
    }
}
