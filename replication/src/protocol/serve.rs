//! Serving pulls: reads the log for peers, a few reads at a time, and only for peers that take what they are sent.
//!
//! # Bounds
//! [`SERVE_QUEUE_MAX`] pulls wait, [`SERVE_READS_MAX`] are read, and a peer with more than
//! [`REPAIR_QUEUE_BYTES_MAX`](super::limits::REPAIR_QUEUE_BYTES_MAX) unsent is passed over until it has taken them.

use std::collections::{BTreeMap, VecDeque};

use crate::types::{Progress, SiteId, TransferId};

use super::limits::{SERVE_QUEUE_MAX, SERVE_READS_MAX};
use super::{LinkId, ReadId};

/// A peer's pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The connection it came on and goes back on.
    pub(super) link: LinkId,
    /// The peer's number for it.
    pub(super) id: u64,
    /// What is asked for.
    pub(super) asked: Asked,
    /// How much is asked for.
    pub(super) max_bytes: usize,
}

/// What a peer may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Changesets.
    Log {
        /// Whose.
        origin: SiteId,
        /// After what they start.
        after: Progress,
    },
    /// A part of the state.
    State {
        /// The peer.
        reader: SiteId,
        /// Its number for the transfer.
        transfer: TransferId,
        /// How many chunks it has.
        chunks: u32,
    },
}

/// Pulls of peers.
#[derive(Default)]
pub(super) struct Serving {
    waiting: VecDeque<Request>,
    reading: BTreeMap<ReadId, Request>,
    next_read: u64,
}

impl Serving {
    /// Queues a pull. Returns `false` if too many wait.
    pub(super) fn enqueue(&mut self, request: Request) -> bool {
        let room = self.waiting.len() < SERVE_QUEUE_MAX;
        if room {
            self.waiting.push_back(request);
        }
        room
    }

    /// The next read to start: of the first pull whose peer `takes` more.
    pub(super) fn next_read(
        &mut self,
        takes: impl Fn(LinkId) -> bool,
    ) -> Option<(ReadId, Request)> {
        if self.reading.len() >= SERVE_READS_MAX {
            return None;
        }
        let index = self.waiting.iter().position(|request| takes(request.link))?;
        let request = self.waiting.remove(index)?;
        self.next_read += 1;
        let read = ReadId(self.next_read);
        self.reading.insert(read, request);
        Some((read, request))
    }

    /// A read is done. Returns its pull, unless the peer has gone or cancelled it.
    pub(super) fn finish(&mut self, read: ReadId) -> Option<Request> {
        self.reading.remove(&read).filter(|request| request.id != CANCELLED)
    }

    /// A peer no longer wants a pull.
    pub(super) fn cancel(&mut self, link: LinkId, id: u64) {
        self.waiting.retain(|request| (request.link, request.id) != (link, id));
        self.void(|request| (request.link, request.id) == (link, id));
    }

    /// A connection has ended.
    pub(super) fn forget_link(&mut self, link: LinkId) {
        self.waiting.retain(|request| request.link != link);
        self.void(|request| request.link == link);
    }

    /// Reads cannot be recalled; their answers are dropped.
    fn void(&mut self, which: impl Fn(&Request) -> bool) {
        for request in self.reading.values_mut().filter(|request| which(request)) {
            request.id = CANCELLED;
        }
    }
}

/// Id of a pull whose answer nobody waits for; peers number theirs from 1.
const CANCELLED: u64 = 0;
