//! Keeps the file small: trims the log, forgets deleted rows, gives free pages back.
//!
//! How much of the log stays is decided by its size and age ([`LogLimits`]) and by what others need of it, the **stable
//! heads**: what all members are known to have.
//!
//! ```text
//!   position   1 ............. 700 ............... 950 ........ 1000
//!              │   trimmed      │  kept by limits   │  kept for   │
//!              │                │  for readers      │  members    │
//!              └ deletions in it are forgotten      └ stable heads end here
//! ```
//!
//! Beyond [`LogLimits::max_bytes`] the log is trimmed whoever may need it. Deletions that go that way are not forgotten:
//! their tombstones stay.
//!
//! A feed that reads below the trimmed position is told so and has to read the data afresh; a node that the log no longer
//! serves is given the whole state (`snapshot.rs`, `adopt.rs`).
//!
//! # Forgetting deletions
//! A deletion D of a row, of causal length c, may be forgotten when nothing that was written without knowing D can still
//! arrive: it would meet no tombstone and bring the row back. Two conditions see to that, and both are the caller's to keep,
//! who takes down what members have at one moment and acts upon it later (invariants 1 and 2). From then on every change
//! of the row that arrives was written by someone who has D, or had the state of someone who has it.
//!
//! Such a writer must not begin the row's life at or below c, since other members may still have the tombstone. If it has
//! the tombstone, it goes on from there. If not, it has forgotten D itself, or has taken over the state of a node that had;
//! in both cases its **floor** for the table is at least c (invariants 3 to 5), and a key of which it knows nothing begins
//! its life above the floor. So floors need not be told: they are needed where tombstones are missing, and go wherever
//! those are missing from. Floors of different nodes may differ; of two first lives of one key the longer one wins the row.
//!
//! # Invariants
//! Each has a test of its name in `tests/forgetting.rs`.
//! 1. `a_deletion_stays_until_all_members_have_it`: what is forgotten is in the stable heads, what every member had when
//!    its heads were taken down.
//! 2. `a_deletion_stays_until_what_others_had_is_here`: this node has by then all that any member had at that moment. What
//!    a member wrote before it had D is among it, and has met the tombstone.
//! 3. `forgetting_raises_the_floor`: a tombstone goes in the SQLite transaction that raises the floor to its causal length.
//! 4. `a_deletion_is_a_tombstone_or_below_the_floor`: of every deletion that is in a node's heads, the node has the
//!    tombstone, a longer causal length of the row, or a floor that is not lower.
//! 5. `a_joiner_has_the_floors_with_its_first_rows`: floors are a maximum, of what was forgotten here and of the floors of
//!    states that were taken over; those come in the SQLite transaction that brings the rows.
//! 6. `a_joiner_keeps_no_row_whose_deletion_one_server_has_forgotten`: who lacks a forgotten deletion does not merge its
//!    rows with a state, but is replaced by it (`adopt.rs`).
//!
//! # Bounds
//! [`BATCH_ENTRIES`] and [`BATCH_BYTES`] are trimmed, and [`VACUUM_PAGES`] given back, before writers get the lease again.
//! The size of the log is known in steps of [`SEGMENT_BYTES`].

use std::collections::{BTreeMap, VecDeque};

use rusqlite::Connection;

use super::capture::Mode;
use super::chunks::Transaction;
use super::collect::Collector;
use super::connection::{Pending, StoreConnection};
use super::core::Core;
use super::error::Result;
use super::log;
use super::seal::UNLOGGED_WRITE;
use crate::types::{Heads, Position};

/// How much of the log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes that are kept for readers though everyone has them; without a number as many as the data has, at least 1 MiB
    /// and at most 256 MiB.
    pub keep_bytes: Option<u64>,
    /// How long they are kept at most, microseconds.
    pub keep_us: u64,
    /// Bytes beyond which the log is trimmed though members lack what goes.
    pub max_bytes: u64,
}

impl LogLimits {
    /// Keeps nothing that everyone has, and all else.
    pub const NEEDED: Self = Self { keep_bytes: Some(0), keep_us: 0, max_bytes: u64::MAX };
}

/// What [`super::Store::trim`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Transactions that left the log.
    pub transactions: u64,
    /// Rows whose deletion was forgotten.
    pub tombstones: u64,
    /// Bytes of the log before.
    pub log_bytes: u64,
}

/// Bytes in which the size of the log is counted.
const SEGMENT_BYTES: u64 = 64 << 10;

/// Bounds of [`LogLimits::keep_bytes`] where it follows the size of the data.
const KEEP_BYTES: (u64, u64) = (1 << 20, 256 << 20);

/// Entries trimmed under one lease.
const BATCH_ENTRIES: usize = 512;

/// Bytes of entries trimmed under one lease; one entry may be larger.
const BATCH_BYTES: usize = 1 << 20;

/// Pages given back under one lease.
const VACUUM_PAGES: i64 = 256;

/// Free pages that are left alone: new rows will need them.
const FREE_PAGES_KEPT: i64 = 64;

/// A stretch of the log.
#[derive(Clone, Copy, Debug)]
struct Segment {
    last: Position,
    bytes: u64,
    /// When its last entry came, microseconds since 1970.
    at_us: u64,
}

/// How far the log is to be trimmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The last position that goes.
    position: Position,
    /// The last position that everyone has.
    stable: Position,
}

/// Knows how large and how old the log is.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    segments: VecDeque<Segment>,
    /// The last position that was trimmed or looked at, and the last that was measured.
    trimmed: Position,
    seen: Position,
    bytes: u64,
    /// Whether the log was measured before: what came since came between two calls.
    measured: bool,
}

impl Trimmer {
    /// Bytes of the log when it was last measured.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How far to trim, if there is anything to trim; it counts as trimmed from here on.
    pub(super) fn target(
        &mut self,
        core: &Core,
        reader: &Connection,
        stable: &Heads,
        limits: &LogLimits,
    ) -> Result<Option<Target>> {
        let now_us = super::now_us();
        let durable = core.durability.position();
        self.measure(reader, durable, now_us)?;
        let stable = core.committed().log.covered_by(stable).min(durable);
        let keep_bytes = match limits.keep_bytes {
            Some(bytes) => bytes,
            None => {
                data_bytes(reader)?.saturating_sub(self.bytes).clamp(KEEP_BYTES.0, KEEP_BYTES.1)
            }
        };
        let expired = |segment: &Segment| now_us.saturating_sub(segment.at_us) >= limits.keep_us;
        let before = self.trimmed;
        while let Some(first) = self.segments.front().copied() {
            let unneeded = self.bytes > keep_bytes || expired(&first);
            let whole = first.last <= stable && unneeded || self.bytes > limits.max_bytes;
            if whole {
                self.bytes -= first.bytes;
                self.segments.pop_front();
                self.trimmed = first.last;
                continue;
            }
            if unneeded && stable > self.trimmed && first.last > stable {
                self.split_first(reader, stable)?;
            }
            break;
        }
        let position = self.trimmed;
        Ok((position > before).then_some(Target { position, stable }))
    }

    /// Counts the first segment up to `upto` as trimmed.
    fn split_first(&mut self, reader: &Connection, upto: Position) -> Result<()> {
        let mut gone = 0;
        log::sizes(reader, (self.trimmed, upto), |_, bytes| gone += bytes)?;
        if let Some(first) = self.segments.front_mut() {
            gone = gone.min(first.bytes);
            first.bytes -= gone;
            self.bytes -= gone;
        }
        self.trimmed = upto;
        Ok(())
    }

    /// Takes in what was appended since the last call.
    fn measure(&mut self, reader: &Connection, durable: Position, now_us: u64) -> Result<()> {
        let first = self.segments.len();
        let (segments, seen) = (&mut self.segments, &mut self.seen);
        let mut bytes = 0;
        log::sizes(reader, (*seen, durable), |position, size| {
            *seen = position;
            bytes += size;
            match segments.back_mut().filter(|last| last.bytes < SEGMENT_BYTES) {
                Some(last) => {
                    (last.last, last.bytes, last.at_us) = (position, last.bytes + size, now_us);
                }
                None => segments.push_back(Segment { last: position, bytes: size, at_us: now_us }),
            }
        })?;
        self.bytes += bytes;
        if !std::mem::replace(&mut self.measured, true) {
            // What is older than this process came when its origin says, or since, if its clock is wrong.
            for segment in self.segments.range_mut(first..) {
                let at_us = log::committed_at_us(reader, segment.last)?;
                segment.at_us = at_us.map_or(now_us, |at_us| at_us.min(now_us));
            }
        }
        Ok(())
    }
}

/// Bytes of the file that are in use.
fn data_bytes(reader: &Connection) -> Result<u64> {
    let number = |pragma: &str| reader.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let used = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok(used.saturating_mul(number("PRAGMA page_size")?).cast_unsigned())
}

/// Trims some of the log; returns whether there is more to trim.
pub(super) fn trim_some(
    core: &Core,
    applier: &mut StoreConnection,
    target: &Target,
    trimmed: &mut Trimmed,
) -> Result<bool> {
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    let done = trim_batch(applier, target);
    let batch = match done {
        Ok(batch) => batch,
        Err(error) => {
            applier.rollback();
            return Err(error);
        }
    };
    let pending = applier.commit()?;
    core.committed().log.index.trim(batch.last);
    trimmed.transactions += batch.transactions;
    trimmed.tombstones += batch.tombstones;
    pending.map_or(Ok(()), Pending::wait)?;
    Ok(batch.transactions > 0 && batch.last < target.position)
}

/// What one batch did.
struct Batch {
    last: Position,
    transactions: u64,
    tombstones: u64,
}

fn trim_batch(applier: &StoreConnection, target: &Target) -> Result<Batch> {
    let sqlite = applier.sqlite();
    let mut registry = applier.capture().state().registry.as_ref().clone();
    let range = (Position(0), target.position);
    let entries = log::read_entries(sqlite, range, (BATCH_ENTRIES, BATCH_BYTES))?;
    let mut collector = Collector::new(sqlite, &registry);
    for entry in entries.iter().filter(|entry| entry.position <= target.stable) {
        collector.transaction(entry)?;
    }
    let Collector { floors, forgotten, tombstones, .. } = collector;
    let mut floors_rose = false;
    for (table, floor) in floors {
        floors_rose |= registry.raise_floor(sqlite, table, floor)?;
    }
    if floors_rose {
        applier.capture().state().set_registry(registry.into());
    }
    let last = entries.last().map_or(target.position, |entry| entry.position);
    let mut contents = BTreeMap::new();
    let last_of_origin: BTreeMap<u32, &log::Entry> =
        entries.iter().map(|entry| (entry.origin, entry)).collect();
    for (origin, entry) in last_of_origin {
        let stored = Transaction { origin, version: entry.version };
        contents.insert(origin, log::content_of(sqlite, stored, entry.body.as_deref())?);
    }
    log::trim(sqlite, last)?;
    for (origin, content) in contents {
        log::set_trimmed_content(sqlite, origin, content)?;
    }
    for (origin, version) in forgotten {
        log::set_forgotten(sqlite, origin, version)?;
    }
    Ok(Batch { last, transactions: entries.len() as u64, tombstones })
}

/// See [`super::Store::vacuum`].
pub(super) fn vacuum(core: &Core, applier: &mut StoreConnection) -> Result<()> {
    let sqlite = applier.sqlite();
    let number = |pragma: &str| sqlite.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let (mut free, pages) = (number("PRAGMA freelist_count")?, number("PRAGMA page_count")?);
    if free <= FREE_PAGES_KEPT || free <= pages / 4 {
        return Ok(());
    }
    while free > FREE_PAGES_KEPT {
        let _lease = core.lease.acquire_uncancelled();
        let some = VACUUM_PAGES.min(free - FREE_PAGES_KEPT);
        let vacuumed = sqlite.execute_batch(&format!(
            "BEGIN IMMEDIATE; {UNLOGGED_WRITE}; PRAGMA incremental_vacuum({some}); COMMIT"
        ));
        if vacuumed.is_err() && !sqlite.is_autocommit() {
            sqlite.execute_batch("ROLLBACK")?;
        }
        vacuumed?;
        let left = number("PRAGMA freelist_count")?;
        if left >= free {
            return Ok(());
        }
        free = left;
    }
    Ok(())
}
