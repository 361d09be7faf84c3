//! Which rows a transaction hid or showed here by way of other rows (`hidden.rs`).
//!
//! A listener is told of what becomes of each row that it can see. A row that conflicts with another one may appear or go
//! away while the changeset that is applied does not name it, or says something else about it. Such a row is noted here, and
//! what is told of it is what the transaction did to it all in all, once.
//!
//! A row may be changed by the changeset before it is hidden, or after. After: the change is known to be of a noted row and is
//! added to its note. Before: it stands in the transaction's [`super::applied::Impact`] already, and [`Telling`] puts the two
//! together when they are read.
//!
//! # Bounds
//! The key of each row that was hidden or shown is held while its transaction is applied, told or read.

use std::collections::BTreeMap;

use super::applied::{RowEvent, RowOp};
use crate::crdt::bytes::{DecodeError, Reader, put_bytes, put_varint};
use crate::types::TableId;

/// Whether a row is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is in its table.
    Visible,
    /// It is hidden, or is not there at all.
    Absent,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    before: Sight,
    after: Sight,
    /// Whether its values changed, as far as is known here.
    written: bool,
}

/// What a listener sees of a row that was `before` and is `after`; `None` if it need not be told.
pub(super) fn seen_op(before: Sight, after: Sight, written: bool) -> Option<RowOp> {
    match (before, after) {
        (Sight::Absent, Sight::Visible) => Some(RowOp::Insert),
        (Sight::Visible, Sight::Absent) => Some(RowOp::Delete),
        (Sight::Visible, Sight::Visible) => written.then_some(RowOp::Update),
        (Sight::Absent, Sight::Absent) => None,
    }
}

/// The noted rows of one table, by packed key.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<Vec<u8>, Turn>);

impl Turns {
    /// Whether no row is noted.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that another row made this one what it is `after`.
    pub(super) fn turn(&mut self, pk: &[u8], before: Sight, after: Sight) {
        match self.0.get_mut(pk) {
            Some(turn) => turn.after = after,
            None => drop(self.0.insert(pk.to_vec(), Turn { before, after, written: false })),
        }
    }

    /// Notes a change that the changeset itself makes, if the row has been noted; returns whether it has.
    pub(super) fn write(&mut self, pk: &[u8], after: Sight) -> bool {
        let Some(turn) = self.0.get_mut(pk) else { return false };
        (turn.after, turn.written) = (after, true);
        true
    }
}

/// The noted rows of a transaction.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<TableId, Turns>);

impl Notes {
    /// Takes out those of a table, to go on with them.
    pub(super) fn take(&mut self, table: TableId) -> Turns {
        self.0.remove(&table).unwrap_or_default()
    }

    /// Puts them back.
    pub(super) fn put(&mut self, table: TableId, turns: Turns) {
        if !turns.0.is_empty() {
            self.0.insert(table, turns);
        }
    }

    /// All of them.
    pub(super) fn finish(self) -> Resolved {
        let mut out = Vec::new();
        for (table, turns) in self.0 {
            for (pk, turn) in turns.0 {
                put_varint(&mut out, table.0);
                put_varint(&mut out, code_of(turn));
                put_bytes(&mut out, &pk);
            }
        }
        Resolved(out)
    }
}

/// The noted rows of a transaction as the log keeps them; empty of most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved(pub Vec<u8>);

const BEFORE: u64 = 1;
const AFTER: u64 = 2;
const WRITTEN: u64 = 4;

fn code_of(turn: Turn) -> u64 {
    let bit = |set: bool, bit| if set { bit } else { 0 };
    bit(turn.before == Sight::Visible, BEFORE)
        | bit(turn.after == Sight::Visible, AFTER)
        | bit(turn.written, WRITTEN)
}

fn turn_of(code: u64) -> Turn {
    let sight = |bit| if code & bit != 0 { Sight::Visible } else { Sight::Absent };
    Turn { before: sight(BEFORE), after: sight(AFTER), written: code & WRITTEN != 0 }
}

impl Resolved {
    /// Whether no row is noted.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts to tell a transaction with these notes.
    pub(super) fn telling(&self) -> Result<Telling<'_>, DecodeError> {
        let mut turns = BTreeMap::<_, BTreeMap<_, _>>::new();
        let mut reader = Reader::new(&self.0);
        while !reader.is_empty() {
            let (table, turn) = (TableId(reader.varint()?), turn_of(reader.varint()?));
            turns.entry(table).or_default().insert(reader.bytes()?, turn);
        }
        Ok(Telling { turns })
    }
}

/// Puts the changes that a changeset has made together with the notes.
pub(super) struct Telling<'a> {
    turns: BTreeMap<TableId, BTreeMap<&'a [u8], Turn>>,
}

impl Telling<'_> {
    /// Takes a change of the changeset; gives it back if there is no more to be said of that row.
    pub(super) fn pass<'e>(&mut self, event: RowEvent<'e>) -> Option<RowEvent<'e>> {
        let turn = self.turns.get_mut(&event.table).and_then(|turns| turns.get_mut(event.pk));
        let Some(turn) = turn else { return Some(event) };
        turn.written = true;
        turn.before = match event.op {
            RowOp::Insert => Sight::Absent,
            RowOp::Update | RowOp::Delete => Sight::Visible,
        };
        None
    }

    /// Tells what is left to be told after the changes of all changesets.
    pub(super) fn finish(self, mut visit: impl FnMut(RowEvent<'_>)) {
        for (table, turns) in self.turns {
            for (pk, turn) in turns {
                if let Some(op) = seen_op(turn.before, turn.after, turn.written) {
                    visit(RowEvent { table, op, pk });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Notes, RowEvent, RowOp, Sight};
    use crate::types::TableId;

    const TABLE: TableId = TableId(u64::MAX);

    fn told(notes: Notes, own: &[(RowOp, &[u8])]) -> Vec<(RowOp, Vec<u8>)> {
        let resolved = notes.finish();
        let mut telling = resolved.telling().unwrap();
        let mut told = Vec::new();
        let mut keep = |event: RowEvent<'_>| told.push((event.op, event.pk.to_vec()));
        for (op, pk) in own {
            if let Some(event) = telling.pass(RowEvent { table: TABLE, op: *op, pk }) {
                keep(event);
            }
        }
        telling.finish(keep);
        told
    }

    #[test]
    fn a_row_is_told_once_whatever_came_first() {
        let mut notes = Notes::default();
        let mut turns = notes.take(TABLE);
        // Hidden after the changeset had inserted it, or updated it.
        turns.turn(b"inserted", Sight::Visible, Sight::Absent);
        turns.turn(b"updated", Sight::Visible, Sight::Absent);
        // Hidden, then changed so that it may be seen again.
        turns.turn(b"back", Sight::Visible, Sight::Absent);
        assert!(turns.write(b"back", Sight::Visible));
        // Hidden and shown again.
        turns.turn(b"same", Sight::Visible, Sight::Absent);
        turns.turn(b"same", Sight::Absent, Sight::Visible);
        turns.turn(b"shown", Sight::Absent, Sight::Visible);
        assert!(!turns.write(b"other", Sight::Visible));
        notes.put(TABLE, turns);
        let own: [(RowOp, &[u8]); 3] =
            [(RowOp::Insert, b"inserted"), (RowOp::Update, b"updated"), (RowOp::Update, b"other")];
        let expected = [
            (RowOp::Update, b"other".to_vec()),
            (RowOp::Update, b"back".to_vec()),
            (RowOp::Insert, b"shown".to_vec()),
            (RowOp::Delete, b"updated".to_vec()),
        ];
        assert_eq!(told(notes, &own), expected);
    }
}
