//! Anti-entropy: heads that peers tell, pulls of what is missing, and serving the pulls of peers.

use crate::types::{DbVersion, Progress, ProgressBySite, SiteId};

use super::super::ledger::Offered;
use super::super::limits::{
    PULL_BYTES, PULL_GRACE_MAX, PULL_GRACE_MIN, PULL_STALL, REPAIR_QUEUE_BYTES_MAX,
};
use super::super::message::{Frame, PullStatus};
use super::super::pull::pieces;
use super::super::serve::{Asked, Request};
use super::super::{ApplyResult, Lane, LinkId, Output, ReadId, ReadLogError, Time};
use super::Replica;
use crate::types::EncodedChangeset;

impl Replica {
    /// A peer tells heads of its own.
    pub(super) fn on_heads(&mut self, now: Time, id: LinkId, heads: &[(SiteId, DbVersion)]) {
        for &(origin, version) in heads {
            if !self.ledger.learn(now, origin, version) {
                self.stats.invalid_input += 1;
                continue;
            }
            if let Some(link) = self.links.get_mut(id) {
                link.heads.insert(origin, version);
            }
            if origin == self.own.site {
                let elsewhere = self.stats.own_head_elsewhere.max(version.0);
                self.stats.own_head_elsewhere = elsewhere;
            }
        }
    }

    pub(super) fn on_store_progress(&mut self, now: Time, stored: &ProgressBySite) {
        if std::mem::take(&mut self.expects_set_back) {
            self.ledger.set_back(now, stored);
        }
        for (&origin, &progress) in stored {
            if self.ledger.advance(now, origin, progress) {
                self.mark_head(now, origin, true);
            }
        }
    }

    pub(super) fn on_applied(&mut self, now: Time, results: Vec<ApplyResult>) {
        let batch = self.ledger.on_applied(now, results);
        self.stats.applied += batch.applied;
        if batch.store_is_behind && !self.expects_set_back {
            self.expects_set_back = true;
            self.outputs.push_back(Output::ReadProgress);
        }
    }

    /// Starts pulls of what is missing, and gives up those that stall. Origin `at_once` is not given time to arrive by
    /// broadcast.
    pub(super) fn pull_needs(&mut self, now: Time, at_once: Option<SiteId>) {
        self.give_up_stalled(now);
        if self.go_on_with_state(now) {
            return;
        }
        if !self.pulls.has_room() || !self.ledger.has_room() {
            return;
        }
        let grace = self.links.rtt_max().times(2).clamp(PULL_GRACE_MIN, PULL_GRACE_MAX);
        let mut needs: Vec<SiteId> = self
            .ledger
            .lagging()
            .filter(|&(origin, since)| now - since >= grace || Some(origin) == at_once)
            .map(|(origin, _)| origin)
            .collect();
        let turn = self.pulls.cursor.map_or(0, |last| needs.partition_point(|&it| it <= last));
        needs.rotate_left(turn);
        for origin in needs {
            if !self.pulls.has_room() || !self.ledger.has_room() {
                break;
            }
            if self.pulls.is_pulling(origin) || !self.ledger.has_room_for(origin) {
                continue;
            }
            if let Some((id, peer)) = self.choose_holder(now, origin) {
                self.start_pull(now, origin, id, peer);
            }
        }
    }

    fn start_pull(&mut self, now: Time, origin: SiteId, id: LinkId, peer: SiteId) {
        let after = self.ledger.covered(origin);
        let pull = self.pulls.start(now, origin, after, id, peer);
        self.stats.pulls += 1;
        let max_bytes = PULL_BYTES as u64;
        self.send(id, Lane::Live, &Frame::Pull { id: pull, origin, after, max_bytes });
    }

    /// The peer to pull an origin from: one that has more of it, the least busy and nearest first.
    fn choose_holder(&mut self, now: Time, origin: SiteId) -> Option<(LinkId, SiteId)> {
        use rand::RngExt;
        let covered = self.ledger.covered(origin);
        let mut best = None;
        for site in self.links.sites() {
            let Some(link) = self.links.find(site) else {
                continue;
            };
            let serves =
                link.holds(origin, covered.version) && !link.has_trimmed(origin, covered.version);
            if !serves || !self.pulls.may_ask(now, origin, site) {
                continue;
            }
            let rtt = link.rtt.map_or(u64::MAX, |rtt| rtt.0 / 8_000);
            let rank = (self.pulls.of_peer(site), rtt, self.rng.random::<u32>());
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, site));
            }
        }
        let (_, site) = best?;
        Some((self.links.of_site(site)?, site))
    }

    fn give_up_stalled(&mut self, now: Time) {
        let stalled: Vec<(u64, LinkId)> = self
            .pulls
            .iter()
            .filter(|(_, pull)| now - pull.progress_at > PULL_STALL)
            .map(|(id, pull)| (id, pull.link))
            .collect();
        for (pull, link) in stalled {
            self.pulls.finish(now, link, pull);
            self.send(link, Lane::Live, &Frame::PullCancel { id: pull });
        }
    }

    pub(super) fn on_pull_data(&mut self, now: Time, id: LinkId, pull: u64, bytes: &[u8]) {
        if self.on_state_data(now, id, pull, bytes) {
            return;
        }
        let Ok(changes) = self.pulls.on_data(now, id, pull, bytes) else {
            return self.close_invalid(now, id);
        };
        for change in changes {
            let (origin, is_last) = (change.site, change.chunk.is_last);
            match self.ledger.offer(now, change) {
                Offered::New => {
                    self.pulls.note_new(pull);
                    self.stats.pulled += 1;
                    if is_last {
                        self.mark_head(now, origin, false);
                    }
                }
                Offered::Duplicate => self.stats.pulled_duplicates += 1,
                Offered::Full => self.stats.live_shed += 1,
            }
        }
    }

    pub(super) fn on_pull_end(&mut self, now: Time, id: LinkId, pull: u64, status: PullStatus) {
        if self.on_state_end(now, id, pull, status) {
            return;
        }
        let Some(ended) = self.pulls.finish(now, id, pull) else {
            return;
        };
        match status {
            PullStatus::Done => {}
            PullStatus::Trimmed => {
                tracing::debug!(origin = %ended.origin, peer = %ended.peer, "log is trimmed there");
                if let Some(link) = self.links.get_mut(id) {
                    link.trimmed.insert(ended.origin, ended.after.version);
                }
            }
            PullStatus::Busy | PullStatus::Failed => {
                tracing::debug!(origin = %ended.origin, peer = %ended.peer, ?status, "pull refused");
            }
        }
        self.pull_needs(now, (ended.new > 0).then_some(ended.origin));
    }

    /// A peer pulls.
    pub(super) fn on_pull(
        &mut self,
        link: LinkId,
        id: u64,
        origin: SiteId,
        after: Progress,
        max_bytes: u64,
    ) {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(PULL_BYTES);
        let asked = Asked::Log { origin, after };
        let status = if self.ledger.applied(origin) <= after.version {
            PullStatus::Done
        } else if self.serving.enqueue(Request { link, id, asked, max_bytes }) {
            return;
        } else {
            PullStatus::Busy
        };
        self.send(link, Lane::Repair, &Frame::PullEnd { id, status });
    }

    /// Starts reads for peers that take what they are sent.
    pub(super) fn serve_pulls(&mut self) {
        let links = &self.links;
        let takes = |id| {
            let link = links.get(id);
            link.is_some_and(|it| it.lane(Lane::Repair).waiting_bytes() < REPAIR_QUEUE_BYTES_MAX)
        };
        while let Some((read, request)) = self.serving.next_read(takes) {
            let max_bytes = request.max_bytes;
            self.outputs.push_back(match request.asked {
                Asked::Log { origin, after } => Output::ReadLog { read, origin, after, max_bytes },
                Asked::State { reader, transfer, chunks } => {
                    Output::ReadState { read, reader: (reader, transfer), chunks, max_bytes }
                }
            });
        }
    }

    pub(super) fn on_log_read(
        &mut self,
        read: ReadId,
        result: Result<Vec<EncodedChangeset>, ReadLogError>,
    ) {
        let Some(request) = self.serving.finish(read) else {
            return;
        };
        let (link, id) = (request.link, request.id);
        let status = match result {
            Ok(changes) => {
                self.stats.served += changes.len() as u64;
                for bytes in pieces(&changes) {
                    self.send(link, Lane::Repair, &Frame::PullData { id, bytes });
                }
                PullStatus::Done
            }
            Err(ReadLogError::Trimmed) => PullStatus::Trimmed,
            Err(ReadLogError::Failed(error)) => {
                tracing::warn!(asked = ?request.asked, %error, "log could not be read for a peer");
                PullStatus::Failed
            }
        };
        self.send(link, Lane::Repair, &Frame::PullEnd { id, status });
    }
}
