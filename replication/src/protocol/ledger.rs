//! What has been applied of each origin, what waits to be applied, and what is known to exist.
//!
//! One origin's changesets are applied in version order without gaps, so all that is known of it is its head. What
//! arrives early, or faster than the store applies, waits here.
//!
//! ```text
//!   origin A:  applied 17 │ 18 19 20 . . 23 │ known 25
//!                           └ covered 20     └ some peer has told this head
//!   missing: 21 and 22, then 24 and 25; a pull after 20 brings them
//! ```
//!
//! A large transaction comes as chunks. The store stages each as it comes, so an origin is as far as its head and the
//! chunks that are staged of the next version ([`Progress`]), and what waits here is a few chunks, not the transaction.
//!
//! A changeset that the store refuses blocks its own origin only. One that waits for a schema stays, and is offered
//! again at every schema change and, ever more rarely, from [`SCHEMA_RETRY`] on. One that is rejected for another reason
//! is dropped with what was staged of its transaction, fetched again and offered again, ever more rarely, for as long as
//! it is refused. Nothing is ever skipped.
//!
//! # Invariants
//! 1. The head that is `stored` of an origin never goes back, unless the store itself says that it is behind.
//! 2. The changesets in a batch continue their origin's `stored` without a gap.
//! 3. At most one batch is with the store.
//!
//! # Bounds
//! [`STAGED_BYTES_MAX`] over all and [`ORIGIN_STAGED_BYTES_MAX`] per origin; beyond them [`Offered::Full`], and the
//! changeset is pulled later. Blocked origins give up what they hold when others need the room.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::types::{DbVersion, EncodedChangeset, Heads, Progress, ProgressBySite, SiteId};

use super::limits::{
    APPLY_BATCH_BYTES, APPLY_BATCH_CHANGESETS, ORIGIN_STAGED_BYTES_MAX, ORIGINS_MAX,
    REJECTED_RETRY_MAX, REJECTED_RETRY_MIN, SCHEMA_RETRY, STAGED_BYTES_MAX, STAGED_OVERHEAD_BYTES,
};
use super::tree::head_fingerprint;
use super::{ApplyResult, OriginStatus, Time};

/// What became of a changeset that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is new, and waits to be applied.
    New,
    /// It is applied or waits already.
    Duplicate,
    /// There is no room for it now.
    Full,
}

/// Why an origin's next changeset was refused, the last time it was offered.
#[derive(Clone, Debug)]
struct Block {
    reason: String,
    attempts: u32,
    retry_at: Time,
    for_schema: bool,
    /// Whether the origin is left alone; otherwise its next changeset is offered again as soon as it is here.
    held: bool,
}

/// One origin.
#[derive(Default)]
struct Origin {
    /// What the store has: applied, and staged of the next version.
    stored: Progress,
    /// How far `waiting` continues `stored` without a gap.
    covered: Progress,
    known: DbVersion,
    /// By version and chunk.
    waiting: BTreeMap<(DbVersion, u32), EncodedChangeset>,
    waiting_bytes: usize,
    /// Since when something above `covered` is known to exist, reset by progress.
    lag_since: Option<Time>,
    block: Option<Block>,
}

impl Origin {
    /// Gives up the last waiting changeset if it comes after `place`; returns what that frees.
    ///
    /// `place` is missing, so that what is given up waits behind a gap.
    fn drop_last_above(&mut self, place: (DbVersion, u32)) -> Option<usize> {
        let last = self.waiting.last_entry().filter(|entry| *entry.key() > place)?;
        let freed = weight(&last.remove());
        self.waiting_bytes -= freed;
        Some(freed)
    }

    /// The changesets to be offered next: all that continue `stored`, or one, if it was refused before.
    fn next_changes(&self) -> impl Iterator<Item = &EncodedChangeset> {
        let many = if self.block.is_some() { 1 } else { APPLY_BATCH_CHANGESETS };
        let next = self.waiting.range(self.stored.next()..self.covered.next());
        next.map(|(_, change)| change).take(many)
    }
}

/// All origins.
pub(super) struct Ledger {
    origins: BTreeMap<SiteId, Origin>,
    waiting_bytes: usize,
    /// Origins whose next changeset waits and may be offered.
    ready: BTreeSet<SiteId>,
    /// Origins with known versions above `covered`, other than those left alone.
    lagging: BTreeSet<SiteId>,
    blocked: BTreeSet<SiteId>,
    /// Of each changeset that is with the store, the origin and how far the origin is with it.
    with_store: Option<Vec<(SiteId, Progress)>>,
    /// The schema changed while a batch was with the store: what the store says of schemas is out of date.
    schema_changed: bool,
    fingerprint: u64,
    /// The origin that was first in the last batch.
    turn: SiteId,
}

impl Ledger {
    pub(super) fn new(stored: &ProgressBySite) -> Self {
        let mut ledger = Self {
            origins: BTreeMap::new(),
            waiting_bytes: 0,
            ready: BTreeSet::new(),
            lagging: BTreeSet::new(),
            blocked: BTreeSet::new(),
            with_store: None,
            schema_changed: false,
            fingerprint: 0,
            turn: SiteId([0; 16]),
        };
        for (&site, &progress) in stored {
            ledger.set_stored(Time::default(), site, progress);
        }
        ledger
    }

    /// The last applied version of an origin.
    pub(super) fn applied(&self, site: SiteId) -> DbVersion {
        self.origins.get(&site).map_or(DbVersion(0), |origin| origin.stored.version)
    }

    /// How far everything is with the store or waits.
    pub(super) fn covered(&self, site: SiteId) -> Progress {
        self.origins.get(&site).map_or_else(Progress::default, |origin| origin.covered)
    }

    /// Whether the changeset at that place is with the store or waits.
    fn has(&self, site: SiteId, place: (DbVersion, u32)) -> bool {
        self.origins.get(&site).is_some_and(|origin| {
            place < origin.covered.next() || origin.waiting.contains_key(&place)
        })
    }

    /// Applied heads of all origins.
    pub(super) fn heads(&self) -> Heads {
        let applied = self.origins.iter().map(|(&site, origin)| (site, origin.stored.version));
        applied.filter(|&(_, version)| version.0 > 0).collect()
    }

    /// Whether nothing of any origin is applied.
    pub(super) fn is_empty(&self) -> bool {
        self.origins.values().all(|origin| origin.stored.version.0 == 0)
    }

    /// A number that is equal at nodes with equal applied heads, and hardly ever at others.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Bytes that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether there is room for what a pull brings.
    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes < STAGED_BYTES_MAX / 2 || self.is_starving()
    }

    /// Whether there is room for what a pull of one origin brings.
    pub(super) fn has_room_for(&self, site: SiteId) -> bool {
        // Without what comes next, whatever else waits of the origin is of no use.
        self.origins.get(&site).is_none_or(|origin| {
            origin.waiting_bytes < ORIGIN_STAGED_BYTES_MAX / 2 || origin.covered == origin.stored
        })
    }

    /// Whether all that waits, waits for something that is not here.
    fn is_starving(&self) -> bool {
        self.ready.is_empty() && self.with_store.is_none()
    }

    /// The store says that `site` is as far as `stored`. Returns whether its head is news.
    pub(super) fn advance(&mut self, now: Time, site: SiteId, stored: Progress) -> bool {
        let before = self.origins.get(&site).map_or_else(Progress::default, |it| it.stored);
        if before < stored {
            self.set_stored(now, site, stored);
        }
        before.version < stored.version
    }

    /// Takes over what the store has where it refused changesets because that is less than was assumed here.
    pub(super) fn set_back(&mut self, now: Time, stored: &ProgressBySite) {
        let assumed: Vec<_> = self.origins.iter().map(|(&site, it)| (site, it.stored)).collect();
        for (site, assumed) in assumed {
            let stored = stored.get(&site).copied().unwrap_or_default();
            if stored < assumed && !self.is_with_store(site) {
                self.set_stored(now, site, stored);
            }
        }
    }

    fn is_with_store(&self, site: SiteId) -> bool {
        self.with_store.as_ref().is_some_and(|batch| batch.iter().any(|&(it, _)| it == site))
    }

    fn set_stored(&mut self, now: Time, site: SiteId, stored: Progress) {
        let origin = self.origins.entry(site).or_default();
        self.fingerprint = self
            .fingerprint
            .wrapping_sub(head_fingerprint(site, origin.stored.version.0))
            .wrapping_add(head_fingerprint(site, stored.version.0));
        let set_back = stored < origin.stored;
        // A chunk that is staged anew says nothing of why its transaction was refused.
        if stored.version != origin.stored.version {
            origin.block = None;
        }
        origin.stored = stored;
        while let Some(entry) = origin.waiting.first_entry()
            && *entry.key() < stored.next()
        {
            let freed = weight(&entry.remove());
            origin.waiting_bytes -= freed;
            self.waiting_bytes -= freed;
        }
        origin.covered = if set_back { stored } else { origin.covered.max(stored) };
        self.refresh(now, site);
    }

    /// Recomputes what depends on an origin's waiting changesets and heads.
    fn refresh(&mut self, now: Time, site: SiteId) {
        let Some(origin) = self.origins.get_mut(&site) else {
            return;
        };
        let before = origin.covered;
        while let Some(next) = origin.waiting.get(&origin.covered.next()) {
            origin.covered = Progress::with(next.version, next.chunk);
        }
        let lags = origin.known > origin.covered.version;
        if !lags {
            origin.lag_since = None;
        } else if origin.lag_since.is_none() || origin.covered != before {
            origin.lag_since = Some(now);
        }
        let blocked = origin.block.is_some();
        let held = origin.block.as_ref().is_some_and(|block| block.held);
        let ready = !held && origin.covered > origin.stored;
        set_member(&mut self.ready, site, ready);
        set_member(&mut self.lagging, site, lags && !held);
        set_member(&mut self.blocked, site, blocked);
    }

    /// A peer, or a changeset, tells that `version` of `site` exists. Returns `false` if there are too many origins.
    pub(super) fn learn(&mut self, now: Time, site: SiteId, version: DbVersion) -> bool {
        if self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(&site) {
            return false;
        }
        let origin = self.origins.entry(site).or_default();
        if version > origin.known {
            origin.known = version;
            if version > origin.covered.version {
                self.refresh(now, site);
            }
        }
        true
    }

    /// Takes in a changeset.
    pub(super) fn offer(&mut self, now: Time, change: EncodedChangeset) -> Offered {
        let site = change.site;
        let place = (change.version, change.chunk.index);
        if self.has(site, place) {
            return Offered::Duplicate;
        }
        let weight = weight(&change);
        if !self.learn(now, site, change.version) || !self.make_room(now, site, place, weight) {
            return Offered::Full;
        }
        let Some(origin) = self.origins.get_mut(&site) else {
            return Offered::Full;
        };
        origin.waiting.insert(place, change);
        origin.waiting_bytes += weight;
        self.waiting_bytes += weight;
        self.refresh(now, site);
        Offered::New
    }

    /// Makes room for a changeset at the cost of what is of less use: of the same origin, what waits behind a gap above
    /// it; of others, what blocked ones hold, and what waits behind a gap. All of that is pulled again in its turn.
    fn make_room(
        &mut self,
        now: Time,
        site: SiteId,
        place: (DbVersion, u32),
        weight: usize,
    ) -> bool {
        let full = |bytes: usize, limit: usize| bytes > 0 && bytes + weight > limit;
        if let Some(origin) = self.origins.get_mut(&site) {
            while full(origin.waiting_bytes, ORIGIN_STAGED_BYTES_MAX)
                && let Some(freed) = origin.drop_last_above(place)
            {
                self.waiting_bytes -= freed;
            }
            if full(origin.waiting_bytes, ORIGIN_STAGED_BYTES_MAX) {
                return false;
            }
        }
        if full(self.waiting_bytes, STAGED_BYTES_MAX) {
            for blocked in self.blocked.clone() {
                self.drop_waiting(now, blocked);
            }
        }
        let next = place == self.covered(site).next();
        if next && full(self.waiting_bytes, STAGED_BYTES_MAX) {
            for origin in self.origins.values_mut() {
                while let Some(freed) = origin.drop_last_above(origin.covered.next()) {
                    self.waiting_bytes -= freed;
                }
            }
        }
        !full(self.waiting_bytes, STAGED_BYTES_MAX)
    }

    fn drop_waiting(&mut self, now: Time, site: SiteId) {
        if let Some(origin) = self.origins.get_mut(&site) {
            origin.waiting.clear();
            self.waiting_bytes -= origin.waiting_bytes;
            origin.waiting_bytes = 0;
            origin.covered = origin.stored;
        }
        self.refresh(now, site);
    }

    /// The next batch for the store, when it has none. Origins take turns at being first in it.
    pub(super) fn next_batch(&mut self) -> Option<Vec<EncodedChangeset>> {
        if self.with_store.is_some() || self.ready.is_empty() {
            return None;
        }
        let after = (Bound::Excluded(self.turn), Bound::Unbounded);
        let in_turn = self.ready.range(after).chain(self.ready.range(..=self.turn));
        let mut batch: Vec<EncodedChangeset> = Vec::new();
        let mut bytes = 0;
        for site in in_turn {
            for change in self.origins.get(site).into_iter().flat_map(Origin::next_changes) {
                let full = bytes + change.body.len() > APPLY_BATCH_BYTES
                    || batch.len() >= APPLY_BATCH_CHANGESETS;
                if full && !batch.is_empty() {
                    break;
                }
                bytes += change.body.len();
                batch.push(change.clone());
            }
        }
        self.turn = batch.first().map_or(self.turn, |change| change.site);
        let progress = batch.iter().map(|it| (it.site, Progress::with(it.version, it.chunk)));
        self.with_store = Some(progress.collect());
        self.schema_changed = false;
        Some(batch)
    }

    /// Takes in what the store did with the batch. Returns how many changesets it applied, and whether it is
    /// behind what was assumed here.
    pub(super) fn on_applied(&mut self, now: Time, results: Vec<ApplyResult>) -> AppliedBatch {
        let mut applied = 0;
        let mut store_is_behind = false;
        let mut stopped = BTreeSet::new();
        for ((site, progress), result) in
            self.with_store.take().unwrap_or_default().into_iter().zip(results)
        {
            match result {
                ApplyResult::Applied | ApplyResult::Staged | ApplyResult::AlreadyKnown => {
                    if self.advance(now, site, progress) {
                        applied += 1;
                    }
                }
                // What follows a refused changeset of its origin says nothing of its own.
                _ if !stopped.insert(site) => {}
                ApplyResult::Gap => store_is_behind = true,
                ApplyResult::NeedsSchema => self.block_for_schema(now, site),
                ApplyResult::Rejected(reason) => self.block_rejected(now, site, reason),
                ApplyResult::Failed(reason) => self.block_failed(now, site, reason),
            }
        }
        AppliedBatch { applied, store_is_behind }
    }

    fn block_for_schema(&mut self, now: Time, site: SiteId) {
        let block = Block {
            reason: "waits for a schema change".to_owned(),
            attempts: 1,
            retry_at: now + SCHEMA_RETRY,
            for_schema: true,
            held: !self.schema_changed,
        };
        self.block(now, site, block);
    }

    fn block_failed(&mut self, now: Time, site: SiteId, reason: String) {
        let retry_at = now + REJECTED_RETRY_MIN;
        let block = Block { reason, attempts: 1, retry_at, for_schema: false, held: true };
        self.block(now, site, block);
    }

    fn block_rejected(&mut self, now: Time, site: SiteId, reason: String) {
        // The copy itself may be what is wrong: another one is fetched before the next try. The store has given up the
        // chunks that were staged before it.
        if let Some(origin) = self.origins.get_mut(&site) {
            origin.stored.chunks = 0;
        }
        self.drop_waiting(now, site);
        let retry_at = now + REJECTED_RETRY_MIN;
        let block = Block { reason, attempts: 1, retry_at, for_schema: false, held: true };
        self.block(now, site, block);
    }

    fn block(&mut self, now: Time, site: SiteId, mut block: Block) {
        if let Some(origin) = self.origins.get_mut(&site) {
            if let Some(before) = &origin.block {
                block.attempts = before.attempts.saturating_add(1);
            }
            let first = if block.for_schema { SCHEMA_RETRY } else { REJECTED_RETRY_MIN };
            let wait = first.times(1 << (block.attempts - 1).min(10));
            block.retry_at = now + wait.min(REJECTED_RETRY_MAX);
            origin.block = Some(block);
        }
        self.refresh(now, site);
    }

    /// Offers again what waits for a schema.
    pub(super) fn on_schema_changed(&mut self, now: Time) {
        self.schema_changed = true;
        self.release(now, |block| block.for_schema);
    }

    /// Offers again all that was refused.
    pub(super) fn release_all(&mut self, now: Time) {
        self.release(now, |_| true);
    }

    /// Offers again what has waited long enough.
    pub(super) fn release_due(&mut self, now: Time) {
        self.release(now, |block| block.retry_at <= now);
    }

    fn release(&mut self, now: Time, due: impl Fn(&Block) -> bool) {
        for site in self.blocked.clone() {
            if let Some(origin) = self.origins.get_mut(&site)
                && let Some(block) = &mut origin.block
                && due(block)
            {
                block.held = false;
                self.refresh(now, site);
            }
        }
    }

    /// Whether any origin is blocked.
    pub(super) fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// Whether any origin lacks something that is known to exist.
    pub(super) fn is_lagging(&self) -> bool {
        !self.lagging.is_empty()
    }

    /// Origins that lack something, with the moment since when nothing has come of it.
    pub(super) fn lagging(&self) -> impl Iterator<Item = (SiteId, Time)> + '_ {
        self.lagging.iter().filter_map(|&site| Some((site, self.origins.get(&site)?.lag_since?)))
    }

    /// Origins of which something is missing, waits or is refused.
    pub(super) fn unfinished(&self) -> Vec<OriginStatus> {
        let unfinished = self.origins.iter().filter(|(_, origin)| {
            origin.known > origin.stored.version
                || !origin.waiting.is_empty()
                || origin.block.is_some()
        });
        unfinished
            .map(|(&site, origin)| OriginStatus {
                origin: site,
                applied: origin.stored.version,
                known: origin.known,
                waiting: origin.waiting.len() as u64,
                waiting_bytes: origin.waiting_bytes as u64,
                blocked: origin.block.as_ref().map(|block| block.reason.clone()),
                attempts: origin.block.as_ref().map_or(0, |block| block.attempts),
            })
            .collect()
    }
}

/// What came of a batch.
pub(super) struct AppliedBatch {
    /// How many changesets are applied now that were not known to be before.
    pub(super) applied: u64,
    /// The store misses versions that were assumed to be applied.
    pub(super) store_is_behind: bool,
}

/// What a waiting changeset counts for (bytes).
fn weight(change: &EncodedChangeset) -> usize {
    change.body.len() + STAGED_OVERHEAD_BYTES
}

fn set_member(set: &mut BTreeSet<SiteId>, site: SiteId, member: bool) {
    if member {
        set.insert(site);
    } else {
        set.remove(&site);
    }
}
