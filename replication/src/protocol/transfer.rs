//! Fetching the state of a peer: by a node that has nothing, and by one that no peer's log serves any more.
//!
//! All of a state comes from one peer and is of one cut. It is asked for a few chunks at a time, as pulls are, and given to
//! the store, which keeps them until the last one has come and then takes over all at once. Until then nothing is pulled
//! from anyone: the state is ahead of all that could be. Who loses the connection goes on with the same peer where it was;
//! who does not find it again starts over with another.
//!
//! ```text
//!   Resting ── ask ──► Pulling ── answered ──► Storing ── staged ──► Resting
//!      ▲  ▲               │ lost, stalled         │
//!      │  └───────────────┘                       └── taken over, or refused: done
//!      └─ new transfer
//! ```
//!
//! # Bounds
//! One transfer at a time, and of it as many bytes as one pull asks for and one chunk. A peer that is away for
//! [`STATE_PATIENCE`] is given up.

use crate::types::{SiteId, StateChunk, TransferId};

use super::limits::{STATE_PATIENCE, STATE_RETRY_MAX, STATE_RETRY_MIN};
use super::pull::Records;
use super::wire::DecodeError;
use super::{LinkId, Time};

/// How far a transfer is.
pub(super) enum Stage {
    /// Nothing is under way; the next chunks are asked for at this time.
    Resting(Time),
    /// Chunks are on their way.
    Pulling(StatePull),
    /// Chunks are with the store.
    Storing,
}

/// Chunks on their way.
pub(super) struct StatePull {
    /// Its number, one of those of all pulls.
    pub(super) id: u64,
    /// The connection.
    pub(super) link: LinkId,
    /// When something last arrived.
    pub(super) progress_at: Time,
    records: Records,
    /// What has arrived whole.
    pub(super) arrived: Vec<StateChunk>,
}

/// A transfer.
pub(super) struct Transfer {
    /// Its number.
    pub(super) id: TransferId,
    /// Whose state it is.
    pub(super) peer: SiteId,
    /// How many chunks the store has.
    pub(super) chunks: u32,
    /// How far it is.
    pub(super) stage: Stage,
    /// When it last got ahead.
    moved_at: Time,
}

impl Transfer {
    pub(super) fn new(now: Time, id: TransferId, peer: SiteId) -> Self {
        Self { id, peer, chunks: 0, stage: Stage::Resting(now), moved_at: now }
    }

    /// Whether nothing has come of it for too long.
    pub(super) fn is_forlorn(&self, now: Time) -> bool {
        now - self.moved_at > STATE_PATIENCE && !matches!(self.stage, Stage::Storing)
    }

    /// Chunks are asked for.
    pub(super) fn pull(&mut self, now: Time, id: u64, link: LinkId) {
        let records = Records::after(StateChunk::progress(self.chunks));
        let arrived = Vec::new();
        self.stage = Stage::Pulling(StatePull { id, link, progress_at: now, records, arrived });
    }

    /// The pull under way with that number on that connection.
    pub(super) fn pulling(&mut self, link: LinkId, id: u64) -> Option<&mut StatePull> {
        match &mut self.stage {
            Stage::Pulling(pull) if (pull.link, pull.id) == (link, id) => Some(pull),
            Stage::Pulling(_) | Stage::Resting(_) | Stage::Storing => None,
        }
    }

    /// The chunks of the pull under way are to go to the store.
    pub(super) fn store(&mut self, now: Time) -> Vec<StateChunk> {
        match std::mem::replace(&mut self.stage, Stage::Storing) {
            Stage::Pulling(pull) if !pull.arrived.is_empty() => {
                self.moved_at = now;
                let last = pull.arrived.last();
                self.chunks = last.map_or(self.chunks, |last| last.chunk.index + 1);
                pull.arrived
            }
            stage => {
                self.stage = stage;
                Vec::new()
            }
        }
    }

    /// The connection has ended: what had not been given to the store is asked for again.
    pub(super) fn forget_link(&mut self, now: Time, link: LinkId) {
        if matches!(&self.stage, Stage::Pulling(pull) if pull.link == link) {
            self.stage = Stage::Resting(now);
        }
    }
}

impl StatePull {
    /// Takes in a piece of the answer.
    pub(super) fn on_data(&mut self, now: Time, bytes: &[u8]) -> Result<(), DecodeError> {
        self.progress_at = now;
        let complete = self.records.push(SiteId([0; 16]), bytes)?;
        self.arrived.extend(complete.into_iter().map(StateChunk::from));
        Ok(())
    }
}

/// When another transfer may be begun after one that failed.
#[derive(Default)]
pub(super) struct Patience {
    failures: u32,
    until: Time,
}

impl Patience {
    /// Whether a transfer may be begun.
    pub(super) fn is_over(&self, now: Time) -> bool {
        now >= self.until
    }

    /// A transfer has failed.
    pub(super) fn fail(&mut self, now: Time) {
        self.until = now + STATE_RETRY_MIN.times(1 << self.failures.min(10)).min(STATE_RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
    }

    /// A transfer has come to its end.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }
}
