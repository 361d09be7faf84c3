//! State transfer, both ways: when a node needs it, and who gives it.

use rand::RngExt;

use crate::types::{SiteId, StateChunk, TransferId};

use super::super::limits::{PULL_BYTES, PULL_STALL, STATE_RETRY_MIN};
use super::super::message::{Frame, PullStatus};
use super::super::pull::pieces;
use super::super::serve::{Asked, Request};
use super::super::transfer::{Stage, Transfer};
use super::super::{Lane, LinkId, Output, ReadId, ReadStateError, StateResult, Time};
use super::Replica;

impl Replica {
    /// Whether this node has nothing yet and a peer has something, or another's state is being fetched.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        let has_heads = |site| self.links.find(site).is_some_and(|link| !link.heads.is_empty());
        self.transfer.is_some() || self.ledger.is_empty() && self.links.sites().any(has_heads)
    }

    /// Begins a transfer if there is need of one, and goes on with the one under way. Returns whether there is one.
    pub(super) fn go_on_with_state(&mut self, now: Time) -> bool {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.is_forlorn(now)) {
            self.transfer = None;
        }
        if self.transfer.is_none() && self.patience.is_over(now) {
            self.transfer = self.state_needed_from().map(|peer| {
                let id = TransferId(self.rng.random());
                tracing::info!(%peer, "fetching the state of a peer");
                self.stats.transfers += 1;
                Transfer::new(now, id, peer)
            });
        }
        let Some(transfer) = &mut self.transfer else { return self.waits_for_state() };
        if let Stage::Pulling(pull) = &transfer.stage
            && now - pull.progress_at > PULL_STALL
        {
            let (link, id) = (pull.link, pull.id);
            transfer.stage = Stage::Resting(now);
            self.send(link, Lane::Live, &Frame::PullCancel { id });
            return true;
        }
        if let Stage::Resting(at) = transfer.stage
            && at <= now
            && let Some(link) = self.links.of_site(transfer.peer)
        {
            let id = self.pulls.next_id();
            transfer.pull(now, id, link);
            let (transfer, chunks) = (transfer.id, transfer.chunks);
            let max_bytes = PULL_BYTES as u64;
            self.send(link, Lane::Live, &Frame::StatePull { id, transfer, chunks, max_bytes });
        }
        true
    }

    /// Whether nothing is to be pulled before a state has come: a node that has nothing takes no parts of several.
    fn waits_for_state(&self) -> bool {
        self.is_joining()
    }

    /// Whose state is to be fetched, if any is.
    fn state_needed_from(&mut self) -> Option<SiteId> {
        if self.stale {
            return None;
        }
        if self.ledger.is_empty() {
            let told = |site: &SiteId| {
                let link = self.links.find(*site);
                link.is_some_and(|link| link.heads_told && !link.heads.is_empty())
            };
            let told: Vec<SiteId> = self.links.sites().filter(told).collect();
            return self.nearest(&told);
        }
        let lagging: Vec<SiteId> = self.ledger.lagging().map(|(origin, _)| origin).collect();
        lagging.into_iter().find_map(|origin| {
            let covered = self.ledger.covered(origin).version;
            let holds = |site: &SiteId| {
                self.links.find(*site).is_some_and(|link| link.holds(origin, covered))
            };
            let holders: Vec<SiteId> = self.links.sites().filter(holds).collect();
            let trimmed = |site: &SiteId| {
                self.links.find(*site).is_some_and(|link| link.has_trimmed(origin, covered))
            };
            if holders.iter().all(trimmed) { self.nearest(&holders) } else { None }
        })
    }

    /// One of the nearest of these peers.
    fn nearest(&mut self, sites: &[SiteId]) -> Option<SiteId> {
        let rank = |site: &SiteId| {
            let rtt = self.links.find(*site).and_then(|link| link.rtt);
            (rtt.map_or(u64::MAX, |rtt| rtt.0 / 8_000), self.rng.random::<u32>())
        };
        let ranked = sites.iter().copied().map(rank_with(rank));
        ranked.min().map(|(_, site)| site)
    }

    /// A piece of a state has arrived. Returns whether it was one.
    pub(super) fn on_state_data(&mut self, now: Time, link: LinkId, id: u64, bytes: &[u8]) -> bool {
        let pull = self.transfer.as_mut().and_then(|transfer| transfer.pulling(link, id));
        let Some(pull) = pull else { return false };
        if pull.on_data(now, bytes).is_err() {
            self.close_invalid(now, link);
        }
        true
    }

    /// The answer to a request for a part of a state has ended. Returns whether it was one.
    pub(super) fn on_state_end(
        &mut self,
        now: Time,
        link: LinkId,
        id: u64,
        status: PullStatus,
    ) -> bool {
        let Some(transfer) = &mut self.transfer else { return false };
        if transfer.pulling(link, id).is_none() {
            return false;
        }
        let arrived = if status == PullStatus::Done { transfer.store(now) } else { Vec::new() };
        let is_passing = matches!(status, PullStatus::Busy | PullStatus::Failed);
        if is_passing && transfer.chunks > 0 {
            // What has come is kept; a peer that never gets over it is forlorn in the end.
            transfer.stage = Stage::Resting(now + STATE_RETRY_MIN);
        } else if arrived.is_empty() {
            tracing::debug!(peer = %transfer.peer, ?status, "state refused");
            self.transfer = None;
            self.patience.fail(now);
        } else {
            self.outputs.push_back(Output::ApplyState(arrived));
        }
        true
    }

    pub(super) fn on_state_applied(&mut self, now: Time, result: StateResult) {
        let Some(transfer) = &mut self.transfer else { return };
        let refused = match result {
            StateResult::Staged => {
                transfer.stage = Stage::Resting(now);
                self.pull_needs(now, None);
                return;
            }
            StateResult::Adopted(progress) => {
                self.transfer = None;
                self.patience.succeed();
                self.links.forget_trimmed();
                self.on_store_progress(now, &progress);
                return self.pull_needs(now, None);
            }
            StateResult::Stale => {
                self.stale = true;
                "this node was away for too long".to_owned()
            }
            StateResult::Gap => "chunks are missing".to_owned(),
            StateResult::TooEarly => "this node knows more".to_owned(),
            StateResult::Rejected(reason) | StateResult::Failed(reason) => reason,
        };
        tracing::warn!(peer = %transfer.peer, refused, "the state of a peer is not taken over");
        self.transfer = None;
        self.patience.fail(now);
    }

    /// A peer asks for a part of this node's state.
    pub(super) fn on_state_pull(
        &mut self,
        link: LinkId,
        peer: SiteId,
        (id, transfer, chunks): (u64, TransferId, u32),
        max_bytes: u64,
    ) {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(PULL_BYTES);
        let asked = Asked::State { reader: peer, transfer, chunks };
        if !self.serving.enqueue(Request { link, id, asked, max_bytes }) {
            self.send(link, Lane::Repair, &Frame::PullEnd { id, status: PullStatus::Busy });
        }
    }

    pub(super) fn on_state_read(
        &mut self,
        read: ReadId,
        result: Result<Vec<StateChunk>, ReadStateError>,
    ) {
        let Some(request) = self.serving.finish(read) else { return };
        let (link, id) = (request.link, request.id);
        let status = match result {
            Ok(chunks) => {
                let chunks = chunks.into_iter().map(StateChunk::into_changeset);
                for bytes in pieces(&chunks.collect::<Vec<_>>()) {
                    self.send(link, Lane::Repair, &Frame::PullData { id, bytes });
                }
                PullStatus::Done
            }
            Err(ReadStateError::Gone) => PullStatus::Trimmed,
            Err(ReadStateError::Busy) => PullStatus::Busy,
            Err(ReadStateError::Failed(error)) => {
                tracing::warn!(%error, "the state could not be read for a peer");
                PullStatus::Failed
            }
        };
        self.send(link, Lane::Repair, &Frame::PullEnd { id, status });
    }
}

/// Puts a site behind its rank.
fn rank_with<R>(mut rank: impl FnMut(&SiteId) -> R) -> impl FnMut(SiteId) -> (R, SiteId) {
    move |site| (rank(&site), site)
}
