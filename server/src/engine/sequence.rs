//! Sequences: values that no other node hands out.
//!
//! The node on which a sequence was created is its *home* and counts as PostgreSQL does, in the lower half of the type's
//! range. Every other node counts in a *slot* of the upper half that it has claimed for itself in the replicated table
//! `trellis_slot`:
//!
//! | type | home | slots | values in each |
//! |---|---|---|---|
//! | int8 | below 2^62 | 511 | 2^53 |
//! | int4 | below 2^30 | 511 | 2^21 |
//! | int2 | below 2^14 | none: 55000 away from home | |
//!
//! A node's slot number is the same for all its sequences. It starts looking at a place that its site id determines and
//! takes the first free one. Should two nodes claim one slot while they are cut off from each other, the merge gives it to
//! one of them and the other claims anew before it hands out more; what both gave out before they met may be equal. A claim
//! that has reached the other nodes is never taken, so this can only happen to nodes that use their first sequence away
//! from its home while they are cut off.
//!
//! As in PostgreSQL, a value is not given back by a rollback. Counters are kept in memory and written, in one table that
//! is not replicated, with the transaction that used them.
//!
//! # Left out
//! `CACHE` is taken as 1. Descending sequences and those with a `MAXVALUE` inside the lower half cannot be used away from
//! home (55000).
//!
//! Source: PostgreSQL manual, `sql-createsequence`, `functions-sequence`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use trellis_replication::store::{StoreConnection, StoreError, TableSpec};
use trellis_replication::types::{ColumnId, SiteId, TableId};
use trellis_sqlcompat::schema::Sequence;
use trellis_sqlcompat::{Oid, SqlError, SqlState};

use super::schema::internal;

/// Identity of the table `trellis_slot` on every node.
const SLOT_TABLE_ID: TableId = TableId(2);
/// Slots are numbered from 1.
const SLOTS: i64 = 511;

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS trellis_slot (slot INTEGER PRIMARY KEY NOT NULL, site BLOB) STRICT;
    CREATE TABLE IF NOT EXISTS trellis_sequence (
        id INTEGER PRIMARY KEY NOT NULL, last INTEGER, home INTEGER NOT NULL) STRICT;";

/// A counter as this node keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    /// The last value given out, without the slot; `None` before the first.
    last: Option<i64>,
    home: bool,
    dirty: bool,
}

#[derive(Default)]
struct State {
    counters: BTreeMap<i64, Counter>,
    slot: Option<i64>,
    slot_dirty: bool,
}

/// What a transaction has written of the sequences.
#[derive(Debug, Default)]
pub(super) struct Persisted {
    slot: Option<i64>,
    counters: Vec<(i64, Counter)>,
}

/// All sequences of a node.
#[derive(Default)]
pub(super) struct Sequences {
    state: Mutex<State>,
}

/// Creates the sequences' own tables. Inside a write.
pub(super) fn create(connection: &mut StoreConnection) -> Result<(), StoreError> {
    connection.sqlite().execute_batch(CREATE)?;
    connection.register_table(&TableSpec {
        id: SLOT_TABLE_ID,
        name: "trellis_slot".to_owned(),
        columns: vec![(ColumnId(0), "slot".to_owned()), (ColumnId(1), "site".to_owned())],
        key: vec![ColumnId(0)],
        system: true,
    })
}

impl Sequences {
    /// The next value. `sqlite` reads what was committed.
    ///
    /// # Errors
    /// 2200H at the end of a sequence that does not cycle; 55000 where this node cannot count it.
    pub(super) fn next(
        &self,
        sequence: &Sequence,
        site: SiteId,
        sqlite: &Connection,
    ) -> Result<i64, SqlError> {
        let mut state = self.lock();
        let counter = state.counter(sequence.id.0, sqlite)?;
        let offset = if counter.home { 0 } else { state.offset(sequence, site, sqlite)? };
        let limit = if offset == 0 {
            sequence.max_value.min(home_limit(sequence))
        } else {
            slot_width(sequence) - 1
        };
        let first = if offset == 0 { sequence.start } else { first_in_slot(sequence, limit) };
        let next = match counter.last {
            None => first,
            Some(last) => advance(sequence, last, first, limit)?,
        };
        state.set(sequence.id.0, Counter { last: Some(next), dirty: true, ..counter });
        Ok(offset + next)
    }

    /// `setval`: the last value given out, or the next one.
    ///
    /// # Errors
    /// 22003 out of the sequence's bounds.
    pub(super) fn set(
        &self,
        sequence: &Sequence,
        value: i64,
        is_called: bool,
        sqlite: &Connection,
    ) -> Result<i64, SqlError> {
        if value < sequence.min_value || value > sequence.max_value {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    sequence.name, sequence.min_value, sequence.max_value
                ),
            ));
        }
        let mut state = self.lock();
        let counter = state.counter(sequence.id.0, sqlite)?;
        // Away from home the counter is this node's own; moving it by a value of another node's range would be wrong.
        let plain = if counter.home { value } else { value & (slot_width(sequence) - 1) };
        let last = if is_called { Some(plain) } else { plain.checked_sub(sequence.increment) };
        state.set(sequence.id.0, Counter { last, dirty: true, ..counter });
        Ok(value)
    }

    /// The last value given out by this node; `None` before the first, and where `setval` or `RESTART` told the first one to
    /// come.
    ///
    /// # Errors
    /// 55000 where this node cannot count it.
    pub(super) fn last(
        &self,
        sequence: &Sequence,
        site: SiteId,
        sqlite: &Connection,
    ) -> Result<Option<i64>, SqlError> {
        let mut state = self.lock();
        let counter = state.counter(sequence.id.0, sqlite)?;
        let bounds = sequence.min_value..=sequence.max_value;
        let Some(last) = counter.last.filter(|last| bounds.contains(last)) else {
            return Ok(None);
        };
        let offset = if counter.home { 0 } else { state.offset(sequence, site, sqlite)? };
        Ok(Some(offset + last))
    }

    /// `ALTER SEQUENCE … RESTART`: the next value is `value`.
    pub(super) fn restart(&self, sequence: &Sequence, value: i64) {
        let mut state = self.lock();
        let home = state.counters.get(&sequence.id.0).is_none_or(|counter| counter.home);
        let last = value.checked_sub(sequence.increment);
        state.set(sequence.id.0, Counter { last, home, dirty: true });
    }

    /// The next value is the first one; where the counter stood.
    ///
    /// # Errors
    /// What reading it reports.
    pub(super) fn start_anew(&self, id: i64, sqlite: &Connection) -> Result<Counter, SqlError> {
        let mut state = self.lock();
        let counter = state.counter(id, sqlite)?;
        state.set(id, Counter { last: None, dirty: true, ..counter });
        Ok(counter)
    }

    /// A counter that was started anew counts on from where it stood, unless it has come further since.
    pub(super) fn put_back(&self, id: i64, before: Counter) {
        let mut state = self.lock();
        let last = state.counters.get(&id).and_then(|counter| counter.last).max(before.last);
        state.set(id, Counter { last, dirty: true, ..before });
    }

    /// This node becomes the home of a sequence that it has just created.
    pub(super) fn found(&self, id: i64) {
        let mut state = self.lock();
        state.counters.entry(id).or_insert(Counter { last: None, home: true, dirty: true });
    }

    /// Writes what has moved. Inside a write. It counts as written once [`Self::settle`] is told that it has come to stay.
    ///
    /// # Errors
    /// What SQLite says.
    pub(super) fn persist(&self, sqlite: &Connection, site: SiteId) -> rusqlite::Result<Persisted> {
        let state = self.lock();
        let slot = state.slot.filter(|_| state.slot_dirty);
        if let Some(slot) = slot {
            sqlite
                .prepare_cached("INSERT OR REPLACE INTO trellis_slot (slot, site) VALUES (?1, ?2)")?
                .execute(params![slot, &site.0[..]])?;
        }
        let dirty = state.counters.iter().filter(|(_, counter)| counter.dirty);
        let counters: Vec<_> = dirty.map(|(id, counter)| (*id, *counter)).collect();
        for (id, counter) in &counters {
            sqlite
                .prepare_cached(
                    "INSERT OR REPLACE INTO trellis_sequence (id, last, home) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id, counter.last, counter.home])?;
        }
        Ok(Persisted { slot, counters })
    }

    /// What was written has come to stay: unless it has moved since, it need not be written again.
    pub(super) fn settle(&self, persisted: &Persisted) {
        let mut state = self.lock();
        if persisted.slot.is_some() && persisted.slot == state.slot {
            state.slot_dirty = false;
        }
        for (id, written) in &persisted.counters {
            if let Some(counter) = state.counters.get_mut(id).filter(|counter| *counter == written)
            {
                counter.dirty = false;
            }
        }
    }

    /// Forgets the slot if a merge has given it to another site.
    pub(super) fn check_slot(&self, site: SiteId, sqlite: &Connection) -> rusqlite::Result<()> {
        let mut state = self.lock();
        if state.slot_dirty {
            return Ok(());
        }
        if let Some(slot) = state.slot
            && owner(slot, sqlite)?.is_none_or(|owner| owner != site.0)
        {
            state.slot = None;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn counter(&self, id: i64, sqlite: &Connection) -> Result<Counter, SqlError> {
        if let Some(counter) = self.counters.get(&id) {
            return Ok(*counter);
        }
        let read = sqlite
            .prepare_cached("SELECT last, home FROM trellis_sequence WHERE id = ?1")
            .and_then(|mut statement| {
                statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(|error| internal(&error))?;
        let (last, home) = read.unwrap_or((None, false));
        Ok(Counter { last, home, dirty: false })
    }

    fn set(&mut self, id: i64, counter: Counter) {
        self.counters.insert(id, counter);
    }

    /// What is added to this node's counter of a sequence that has its home elsewhere.
    fn offset(
        &mut self,
        sequence: &Sequence,
        site: SiteId,
        sqlite: &Connection,
    ) -> Result<i64, SqlError> {
        let usable = sequence.increment > 0
            && sequence.type_oid != Oid::INT2
            && sequence.max_value > home_limit(sequence);
        if !usable {
            let message = format!(
                "sequence \"{}\" can only be used on the node that created it",
                sequence.name
            );
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        let slot = match self.slot {
            Some(slot) => slot,
            None => self.claim(site, sqlite).map_err(|error| internal(&error))?,
        };
        Ok(home_limit(sequence) + 1 + slot * slot_width(sequence))
    }

    fn claim(&mut self, site: SiteId, sqlite: &Connection) -> rusqlite::Result<i64> {
        let mut seed = [0; 8];
        seed.copy_from_slice(&site.0[..8]);
        let first = i64::from_be_bytes(seed).rem_euclid(SLOTS);
        for step in 0..SLOTS {
            let slot = (first + step) % SLOTS + 1;
            let owner = owner(slot, sqlite)?;
            if owner.as_deref() == Some(&site.0[..]) {
                self.slot = Some(slot);
                return Ok(slot);
            }
            if owner.is_none() {
                (self.slot, self.slot_dirty) = (Some(slot), true);
                return Ok(slot);
            }
        }
        Err(rusqlite::Error::QueryReturnedNoRows)
    }
}

fn owner(slot: i64, sqlite: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    sqlite
        .prepare_cached("SELECT site FROM trellis_slot WHERE slot = ?1")?
        .query_row([slot], |row| row.get(0))
        .optional()
}

/// The last value that a sequence's home gives out.
fn home_limit(sequence: &Sequence) -> i64 {
    match sequence.type_oid {
        Oid::INT2 => i64::from(i16::MAX),
        Oid::INT4 => (1 << 30) - 1,
        _ => (1 << 62) - 1,
    }
}

/// How many values a slot has.
fn slot_width(sequence: &Sequence) -> i64 {
    match sequence.type_oid {
        Oid::INT4 => 1 << 21,
        _ => 1 << 53,
    }
}

/// Where counting begins in a slot: at the sequence's start if it lies inside, or else as near to the slot's beginning as
/// the increment has it.
fn first_in_slot(sequence: &Sequence, limit: i64) -> i64 {
    if (0..=limit).contains(&sequence.start) {
        return sequence.start;
    }
    // The increment is positive away from home.
    sequence.start.rem_euclid(sequence.increment.max(1)).min(limit)
}

/// The value after `last`; a sequence that cycles begins again at `first` of a slot, or at its own minimum at home.
fn advance(sequence: &Sequence, last: i64, first: i64, limit: i64) -> Result<i64, SqlError> {
    let up = sequence.increment > 0;
    let next = last.checked_add(sequence.increment);
    let inside = |next: &i64| if up { *next <= limit } else { *next >= sequence.min_value };
    if let Some(next) = next.filter(inside) {
        return Ok(next);
    }
    if sequence.cycle {
        let at_home = limit == sequence.max_value.min(home_limit(sequence));
        return Ok(match (up, at_home) {
            (true, true) => sequence.min_value,
            (true, false) => first,
            (false, _) => sequence.max_value,
        });
    }
    let (bound, value) = if up { ("maximum", limit) } else { ("minimum", sequence.min_value) };
    Err(SqlError::new(
        SqlState::SEQUENCE_LIMIT_EXCEEDED,
        format!("nextval: reached {bound} value of sequence \"{}\" ({value})", sequence.name),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(start: i64, increment: i64) -> Sequence {
        Sequence {
            id: trellis_sqlcompat::schema::ObjectId(1),
            oid: Oid(1),
            namespace: Oid(1),
            name: "s".to_owned(),
            type_oid: Oid::INT4,
            start,
            increment,
            min_value: 1,
            max_value: i64::from(i32::MAX),
            cache: 1,
            cycle: false,
            owned_by: None,
            internal: false,
        }
    }

    #[test]
    fn counting_in_a_slot_begins_inside_it() {
        let limit = slot_width(&sequence(1, 1)) - 1;
        let firsts =
            [(1, 1, 1), (1_000, 10, 1_000), (5_000_000, 1, 0), (5_000_003, 10, 3), (-7, 5, 3)];
        for (start, increment, first) in firsts {
            assert_eq!(first_in_slot(&sequence(start, increment), limit), first, "START {start}");
        }
    }
}
