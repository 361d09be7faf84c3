//! Pulls: fetching the missing suffix of one origin's log from one peer.
//!
//! Each origin is pulled from one peer at a time, different origins from different peers, so nothing comes twice. The
//! answer is a stream of records (version, chunk, length, body) cut into frames without regard to where records end, so a
//! changeset of any size travels, and what arrived before an interruption is kept. Records continue, without a gap, what
//! the pull asked for; a chunk is written as twice its index, plus one if it is the last of its transaction. A transaction
//! of many chunks takes many pulls, each of which asks for what follows what is there.
//!
//! # Bounds
//! [`PULLS_MAX`] in all, [`PULLS_PER_PEER_MAX`] per peer; a record is at most [`CHANGESET_BYTES_MAX`], and room for it
//! grows with the bytes that arrive, not with what its length claims.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::types::{Chunk, DbVersion, EncodedChangeset, Progress, SiteId};

use super::limits::{
    CHANGESET_BYTES_MAX, PULL_FRAME_BYTES, PULL_PENALTY_MAX, PULL_PENALTY_MIN, PULLS_MAX,
    PULLS_PER_PEER_MAX,
};
use super::wire::{DecodeError, put_length, put_varint};
use super::{LinkId, Time};

/// A pull under way.
pub(super) struct Pull {
    /// Whose changesets are fetched.
    pub(super) origin: SiteId,
    /// From whom.
    pub(super) link: LinkId,
    /// The peer's site.
    pub(super) peer: SiteId,
    /// When something last arrived.
    pub(super) progress_at: Time,
    /// What was asked for: what comes after this.
    pub(super) after: Progress,
    /// Changesets that arrived and were new.
    pub(super) new: u64,
    records: Records,
}

/// Why a peer is not asked for an origin for a while.
struct Penalty {
    until: Time,
    failures: u32,
}

/// Penalties remembered before those that are over are forgotten.
const PENALTIES_MAX: usize = 4_096;

/// All pulls under way.
#[derive(Default)]
pub(super) struct Pulls {
    by_id: BTreeMap<u64, Pull>,
    next_id: u64,
    penalties: BTreeMap<(SiteId, SiteId), Penalty>,
    /// The origin pulled last: the next one asked for comes after it, so that all get their turn.
    pub(super) cursor: Option<SiteId>,
}

impl Pulls {
    /// Whether another pull may start.
    pub(super) fn has_room(&self) -> bool {
        self.by_id.len() < PULLS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether `origin` is being pulled.
    pub(super) fn is_pulling(&self, origin: SiteId) -> bool {
        self.by_id.values().any(|pull| pull.origin == origin)
    }

    /// Pulls under way from a peer.
    pub(super) fn of_peer(&self, peer: SiteId) -> usize {
        self.by_id.values().filter(|pull| pull.peer == peer).count()
    }

    /// Whether a peer may be asked for an origin.
    pub(super) fn may_ask(&self, now: Time, origin: SiteId, peer: SiteId) -> bool {
        let penalised =
            self.penalties.get(&(origin, peer)).is_some_and(|penalty| penalty.until > now);
        !penalised && self.of_peer(peer) < PULLS_PER_PEER_MAX
    }

    /// Starts a pull of what follows `after`, and returns its id.
    pub(super) fn start(
        &mut self,
        now: Time,
        origin: SiteId,
        after: Progress,
        link: LinkId,
        peer: SiteId,
    ) -> u64 {
        let id = self.next_id();
        let records = Records::after(after);
        let pull = Pull { origin, link, peer, progress_at: now, after, new: 0, records };
        self.by_id.insert(id, pull);
        self.cursor = Some(origin);
        id
    }

    /// A number that no pull had before.
    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Takes in a piece of the answer, and returns the changesets that it completes. A pull given up returns none.
    pub(super) fn on_data(
        &mut self,
        now: Time,
        link: LinkId,
        id: u64,
        bytes: &[u8],
    ) -> Result<Vec<EncodedChangeset>, DecodeError> {
        let Some(pull) = self.by_id.get_mut(&id).filter(|pull| pull.link == link) else {
            return Ok(Vec::new());
        };
        pull.progress_at = now;
        pull.records.push(pull.origin, bytes)
    }

    /// Notes that a changeset of pull `id` was new.
    pub(super) fn note_new(&mut self, id: u64) {
        if let Some(pull) = self.by_id.get_mut(&id) {
            pull.new += 1;
        }
    }

    /// The pull has ended, well or not. A peer that could not help is not asked for that origin for a while.
    pub(super) fn finish(&mut self, now: Time, link: LinkId, id: u64) -> Option<Pull> {
        if self.by_id.get(&id)?.link != link {
            return None;
        }
        let pull = self.by_id.remove(&id)?;
        let key = (pull.origin, pull.peer);
        if pull.new > 0 {
            self.penalties.remove(&key);
        } else {
            let penalty = self.penalties.entry(key).or_insert(Penalty { until: now, failures: 0 });
            let wait = PULL_PENALTY_MIN.times(1 << penalty.failures.min(10)).min(PULL_PENALTY_MAX);
            penalty.failures = penalty.failures.saturating_add(1);
            penalty.until = now + wait;
            if self.penalties.len() > PENALTIES_MAX {
                self.penalties.retain(|_, penalty| penalty.until > now);
            }
        }
        Some(pull)
    }

    /// Forgets what went over a connection that has ended.
    pub(super) fn forget_link(&mut self, link: LinkId) {
        self.by_id.retain(|_, pull| pull.link != link);
    }

    /// Forgets what is held against a peer: it is here anew.
    pub(super) fn forgive(&mut self, peer: SiteId) {
        self.penalties.retain(|&(_, it), _| it != peer);
    }

    /// Pulls under way, with their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Pull)> {
        self.by_id.iter().map(|(&id, pull)| (id, pull))
    }
}

/// Puts records together from pieces of their stream.
pub(super) struct Records {
    last: Progress,
    buffer: BytesMut,
}

impl Records {
    /// Expects what comes after `last`.
    pub(super) fn after(last: Progress) -> Self {
        Self { last, buffer: BytesMut::new() }
    }

    pub(super) fn push(
        &mut self,
        origin: SiteId,
        bytes: &[u8],
    ) -> Result<Vec<EncodedChangeset>, DecodeError> {
        self.buffer.put_slice(bytes);
        let mut complete = Vec::new();
        while let Some(Header { version, chunk, start, length }) = self.peek()? {
            if (version, chunk.index) != self.last.next() {
                return Err(DecodeError::Number);
            }
            if length > CHANGESET_BYTES_MAX {
                return Err(DecodeError::TooLong);
            }
            if self.buffer.len() - start < length {
                break;
            }
            self.buffer.advance(start);
            let body = Bytes::copy_from_slice(&self.buffer.split_to(length));
            self.last = Progress::with(version, chunk);
            complete.push(EncodedChangeset { site: origin, version, chunk, body });
        }
        Ok(complete)
    }

    /// The header of the next record, once it is here.
    fn peek(&self) -> Result<Option<Header>, DecodeError> {
        let mut start = 0;
        let mut numbers = [0; 3];
        for number in &mut numbers {
            let rest = self.buffer.get(start..).unwrap_or_default();
            let Some((value, bytes)) = peek_varint(rest)? else {
                return Ok(None);
            };
            (*number, start) = (value, start + bytes);
        }
        let [version, chunk, length] = numbers;
        let index = u32::try_from(chunk / 2).map_err(|_wide| DecodeError::Number)?;
        let length = usize::try_from(length).map_err(|_wide| DecodeError::TooLong)?;
        let chunk = Chunk { index, is_last: chunk % 2 == 1 };
        Ok(Some(Header { version: DbVersion(version), chunk, start, length }))
    }
}

/// What a record says before its body.
struct Header {
    version: DbVersion,
    chunk: Chunk,
    /// Where the body starts.
    start: usize,
    /// Its bytes.
    length: usize,
}

/// A variable-length integer at the front of `bytes` and its length, or none if it is cut off.
fn peek_varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, DecodeError> {
    let header = bytes.get(..10).unwrap_or(bytes);
    let mut reader = super::wire::Reader::new(Bytes::copy_from_slice(header));
    match reader.varint() {
        Ok(value) => Ok(Some((value, header.len() - reader.remaining()))),
        Err(DecodeError::Truncated) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Cuts changesets into the pieces of a pull's answer.
pub(super) fn pieces(changes: &[EncodedChangeset]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut piece = BytesMut::new();
    for change in changes {
        put_varint(&mut piece, change.version.0);
        put_varint(&mut piece, u64::from(change.chunk.index) * 2 + u64::from(change.chunk.is_last));
        put_length(&mut piece, change.body.len());
        let mut body = change.body.clone();
        while piece.len() + body.len() >= PULL_FRAME_BYTES {
            let room = PULL_FRAME_BYTES.saturating_sub(piece.len());
            piece.put_slice(&body.split_to(room));
            pieces.push(std::mem::take(&mut piece).freeze());
        }
        piece.put_slice(&body);
    }
    if !piece.is_empty() {
        pieces.push(piece.freeze());
    }
    pieces
}
