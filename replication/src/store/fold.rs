//! Turns the row events of a transaction into new clocks and a changeset. Runs inside COMMIT.
//!
//! 1. The events of each row come together by a stable sort, unless they are in order already, as those of one statement
//!    mostly are; its first event says whether the row was there before, its last whether it is there now ([`Net`]).
//! 2. In tables with hidden rowids, the clocks of rows that went are taken out first and remembered by key: a row of the
//!    same key may have come back under another rowid (`REPLACE`, a changed key and back), and is then an update.
//! 3. Rows that are there are written to the changeset: from their images, or else as they are read, in ranges of neighbouring
//!    rowids. New neighbours in blocks of their own get their clocks block by block.
//! 4. What went and did not come back leaves tombstones.
//!
//! A row whose key changed is a tombstone for the old key and a row under the new one, whose cells have the old ones'
//! versions plus one.
//!
//! # Bounds
//! Of the changeset, the chunk that is being written is held in memory (`chunks.rs`). Per changed row or run of inserted
//! ones, its event, and its [`Net`] of 40 bytes while its table is folded; and per row that was deleted from a table with
//! hidden rowids, its key and clock.

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::applied::{AppliedTransaction, RowOp};
use super::capture::{Event, EventKind, EventLog, Mask, changed_cells};
use super::chunks::LogWriter;
use super::clocks::{Clocks, RowKey, bind, dead_any, dead_delete, dead_get, dead_put, value_of};
use super::core::Core;
use super::cross_check;
use super::error::{Result, StoreError};
use super::hidden;
use super::images::{Image, ImagePlace, RowImages, SharedImages, StoredImages};
use super::log;
use super::registry::{Registry, RowIdentity, Table};
use super::resolved::Resolved;
use crate::crdt::{AlikeRows, CellClock, CellRun, PackedKey, RowClock, Stamp, unpack};
use crate::types::{DbVersion, Message, Position, Value};
use crate::wire::RowShape;

/// Folds the events; appends the transaction to the log, after the `last` one that the present SQLite transaction has
/// appended, if any. `None` if nothing is left of them.
pub(super) fn fold(
    core: &Core,
    (sqlite, made_images): (&Connection, &SharedImages),
    registry: &Registry,
    (log, messages): (&EventLog, Vec<Message>),
    last: Option<(DbVersion, Position)>,
) -> Result<Option<AppliedTransaction>> {
    let (head, end) = last.unwrap_or_else(|| {
        let committed = core.committed();
        let head = committed.log.heads.get(&core.site).copied().unwrap_or_default();
        (head, committed.log.position)
    });
    let (version, position) = (head.next(), Position(end.0 + 1));
    let committed_at_us = super::now_us();
    let mut fold = Fold {
        sqlite,
        made_images,
        cross_check: core.options.cross_check,
        version: version.0,
        writer: LogWriter::new(sqlite, version, committed_at_us, &messages)?,
        shape: RowShape::default(),
        rows: 0,
        may_be_hidden: false,
    };
    let events = by_row(&log.events);
    for system in [true, false] {
        for events in events.chunk_by(|left, right| left.table == right.table) {
            let ordinal = events.first().map_or(0, |event| event.table);
            // The events of a table that was dropped since are moot.
            if let Some(table) = registry.by_ordinal(ordinal).filter(|table| table.system == system)
            {
                fold.table(table, log, events)?;
            }
        }
    }
    if fold.rows == 0 && messages.is_empty() {
        return Ok(None);
    }
    let content = fold.writer.finish()?;
    let applied = AppliedTransaction {
        position,
        origin: core.site,
        version,
        committed_at_us,
        content,
        resolved: Resolved::default(),
        tag: 0,
        messages,
    };
    log::append(sqlite, 0, &applied)?;
    Ok(Some(applied))
}

/// Brings the events of each row together, keeping their order.
fn by_row(events: &[Event]) -> Cow<'_, [Event]> {
    let last = |event: &Event| match event.kind {
        EventKind::Insert => event.row.saturating_add_unsigned(event.extra - 1),
        _ => event.row,
    };
    if events.is_sorted_by(|left, right| (left.table, last(left)) < (right.table, right.row)) {
        return events.into();
    }
    let mut single = Vec::with_capacity(events.len());
    for event in events {
        if event.kind == EventKind::Insert && event.extra > 1 {
            // Runs are taken apart, and with them the order of their images.
            let rows = (0..event.extra).map(|offset| event.row.saturating_add_unsigned(offset));
            single.extend(rows.map(|row| Event { row, extra: 1, image: None, ..*event }));
        } else {
            single.push(*event);
        }
    }
    single.sort_by_key(|event| (event.table, event.row));
    single.into()
}

/// What a transaction did to a row, all in all.
#[derive(Clone, Debug)]
pub(super) struct Net {
    /// The row, or the first of `count` neighbours.
    pub row: i64,
    pub count: u64,
    /// The images of these rows, if the event that they are of is the only one.
    pub image: Option<ImagePlace>,
    pub change: Change,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// It is there and was not; its key was changed from the one at this place, if any.
    Inserted { moved_from: Option<u64> },
    /// It was there and is; these cells were assigned other values.
    Updated(Mask),
    /// It was deleted and inserted again.
    Replaced,
    /// It is gone.
    Deleted,
}

/// A row with a hidden rowid that is gone, and the place of the key it had.
pub(super) struct Gone {
    pub row: i64,
    pub key: u64,
}

/// Sums up the events of each row of a table.
fn net_changes(table: &Table, log: &EventLog, events: &[Event]) -> (Vec<Net>, Vec<Gone>) {
    let (mut net, mut gone) = (Vec::new(), Vec::new());
    let hidden = table.has_dead_table();
    for group in events.chunk_by(|left, right| left.row == right.row) {
        let [first, .., last] = group else {
            if let [only] = group {
                net_single(table, log, *only, &mut net, &mut gone);
            }
            continue;
        };
        let before = matches!(first.kind, EventKind::Update | EventKind::Delete);
        let after = last.kind != EventKind::Delete;
        let deleted = group.iter().find(|event| event.kind == EventKind::Delete);
        let mut push = |change| net.push(Net { row: first.row, count: 1, image: None, change });
        let moved_from = match group.iter().rfind(|event| event.kind != EventKind::Update) {
            Some(Event { kind: EventKind::MovedHere, extra, .. }) => Some(*extra),
            _ => None,
        };
        match (before, after, deleted) {
            (true, _, Some(deleted)) if hidden => {
                gone.push(Gone { row: first.row, key: deleted.extra });
                if after {
                    push(Change::Inserted { moved_from });
                }
            }
            (true, true, None) => push(Change::Updated(merged_mask(table, log, group))),
            (true, true, Some(_)) => push(Change::Replaced),
            (true, false, _) => push(Change::Deleted),
            (false, true, _) => push(Change::Inserted { moved_from }),
            (false, false, _) => {}
        }
    }
    (net, gone)
}

fn net_single(
    table: &Table,
    log: &EventLog,
    event: Event,
    net: &mut Vec<Net>,
    gone: &mut Vec<Gone>,
) {
    let Event { row, extra, kind, image, .. } = event;
    let (count, change) = match kind {
        EventKind::Insert => (extra, Change::Inserted { moved_from: None }),
        EventKind::MovedHere => (1, Change::Inserted { moved_from: Some(extra) }),
        EventKind::Update => (1, Change::Updated(changed_cells(log, table, extra))),
        EventKind::Delete if table.has_dead_table() => return gone.push(Gone { row, key: extra }),
        EventKind::Delete => (1, Change::Deleted),
    };
    net.push(Net { row, count, image, change });
}

fn merged_mask(table: &Table, log: &EventLog, group: &[Event]) -> Mask {
    let mut merged = Mask::none(table.cells.len());
    group.iter().for_each(|event| merged.add(&changed_cells(log, table, event.extra)));
    merged
}

/// What is written while the tables are folded.
struct Fold<'c> {
    sqlite: &'c Connection,
    made_images: &'c SharedImages,
    cross_check: bool,
    /// The transaction's `db_version`.
    version: u64,
    writer: LogWriter<'c>,
    shape: RowShape,
    /// Rows written to the changeset.
    rows: u64,
    /// Whether changes of the present table may be what hidden rows wait for.
    may_be_hidden: bool,
}

/// What is known while one table is folded.
struct Folding<'c> {
    table: &'c Table,
    clocks: Clocks<'c>,
    /// Clocks of rows that are gone, or whose key changed, by the key they had.
    former: HashMap<Box<[u8]>, RowClock>,
    /// Whether the table may have tombstones outside its blocks.
    may_be_dead: bool,
    /// Whether the table may have hidden rows, whose keys look free to a client.
    may_be_hidden: bool,
    /// The runs that a fresh row has: first column, columns, first one's place.
    fresh: Vec<(u32, u32, u32)>,
}

impl<'c> Fold<'c> {
    fn table(&mut self, table: &'c Table, log: &EventLog, events: &[Event]) -> Result<()> {
        let (net, gone) = net_changes(table, log, events);
        if net.is_empty() && gone.is_empty() {
            return Ok(());
        }
        if self.cross_check {
            cross_check::check(self.sqlite, table, log, (&net, &gone))?;
        }
        self.writer.begin_table(table.id, table.cells.iter().map(|cell| cell.id));
        let clocks = Clocks::new(self.sqlite, table);
        let may_be_dead = dead_any(self.sqlite, table)?;
        let (former, fresh) = (HashMap::new(), fresh_runs(table));
        let may_be_hidden = hidden::any(self.sqlite, table)?;
        self.may_be_hidden = may_be_hidden;
        let mut folding = Folding { table, clocks, former, may_be_dead, may_be_hidden, fresh };
        for Gone { row, key } in &gone {
            let clock = folding.clocks.put(RowKey::Number(*row), None)?;
            folding
                .former
                .insert(key_at(log, *key)?.into(), clock.unwrap_or_else(|| RowClock::new(1, None)));
        }
        folding.remember_moved(log, &net)?;
        self.present_rows(&mut folding, log, &net)?;
        for Gone { key, .. } in &gone {
            let pk = key_at(log, *key)?;
            if let Some(clock) = folding.former.remove(pk) {
                let dead = self.write_delete(table, pk, &clock)?;
                dead_put(self.sqlite, table, pk, &dead)?;
            }
        }
        folding.clocks.flush()?;
        self.writer.end_table();
        Ok(())
    }

    /// Reads and writes what is there, and in tables whose tombstones are in their blocks also what is gone.
    fn present_rows(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        net: &[Net],
    ) -> Result<()> {
        let select = &folding.table.sql.select_rows;
        let mut statement = self.sqlite.prepare_cached(select)?;
        let packed = folding.table.identity == RowIdentity::WithoutRowid;
        for stretch in net.chunk_by(|left, right| !packed && belong_together(left, right)) {
            let mut rest = stretch;
            while !rest.is_empty() {
                let written = self.next_rows(folding, log, &mut statement, rest)?;
                rest = rest.get(written..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Writes the first of the neighbours that [`belong_together`], or more of them; returns how many.
    fn next_rows(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        statement: &mut rusqlite::Statement<'_>,
        stretch: &[Net],
    ) -> Result<usize> {
        let [first, rest @ ..] = stretch else { return Ok(0) };
        if let Some(image) = first.image {
            if !rest.is_empty() {
                let updated = self.updated_rows(folding, log, stretch)?;
                if updated > 0 {
                    return Ok(updated);
                }
            }
            let mut images = RowImages::seen(&log.images, image, folding.table);
            if self.seen_rows(folding, log, first, &mut images)? {
                return Ok(1);
            }
        } else if first.count > 1 {
            let rows = (first.row, first.count);
            let place = (self.sqlite, self.made_images);
            if let Some(images) = StoredImages::new(place, folding.table, rows)? {
                self.seen_rows(folding, log, first, &mut RowImages::Stored(images))?;
                return Ok(1);
            }
        }
        if folding.table.identity == RowIdentity::WithoutRowid {
            let key = interned_key(log, first.row)?;
            self.packed_row(folding, log, statement, key, &first.change)?;
        } else if matches!(first.change, Change::Deleted) {
            let mut key = PackedKey::default();
            key.push(crate::types::ValueRef::Integer(first.row));
            self.delete_in_place(folding, RowKey::Number(first.row), key.as_slice())?;
        } else if first.image.is_some() {
            self.stretch(folding, log, statement, std::slice::from_ref(first))?;
        } else {
            self.stretch(folding, log, statement, stretch)?;
            return Ok(stretch.len());
        }
        Ok(1)
    }

    /// Writes updated neighbours, all with the same changed cells, that are all of a block and were alike, so that they
    /// stay alike; returns how many, 0 if they are not.
    fn updated_rows(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        stretch: &[Net],
    ) -> Result<usize> {
        let table = folding.table;
        let [Net { row, change: Change::Updated(mask), .. }, ..] = stretch else { return Ok(0) };
        let alike = folding.clocks.alike_rows(*row, stretch.len() as u64)?;
        let Some(mut alike) = alike.filter(|alike| alike.first.is_alive()) else { return Ok(0) };
        let count = usize::try_from(alike.rows).unwrap_or(0);
        let mut number = PackedKey::default();
        for (place, net) in stretch.iter().take(count).enumerate() {
            let image = net.image.and_then(|image| log.images.get(image, table));
            let image = image.ok_or_else(|| unseen_change(table))?;
            let pk = seen_key(&mut number, table, net.row, &image);
            let values = Values::Seen(image.values);
            match place {
                0 => self.write_update(table, pk, &mut alike.first, Some(mask), values)?,
                1 => self.write_update(table, pk, &mut alike.second, Some(mask), values)?,
                _ => drop(self.write_row(table, pk, values)?),
            }
            self.writer.effect(&self.shape, RowOp::Update);
        }
        folding.clocks.put_alike(*row, &alike)?;
        Ok(count)
    }

    /// Writes rows from their images; `false`, and nothing is written, if they must be read after all.
    fn seen_rows(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        net: &Net,
        images: &mut RowImages<'_>,
    ) -> Result<bool> {
        let mut number = PackedKey::default();
        let mut offset = 0;
        while offset < net.count {
            let row = net.row.saturating_add_unsigned(offset);
            let fresh = folding.fresh_rows(row, net.count - offset, &net.change)?;
            if fresh > 1 {
                self.fresh_rows(folding, row, fresh, images)?;
                offset += fresh;
                continue;
            }
            let image = images.next()?;
            let (key, pk) = if folding.table.identity == RowIdentity::WithoutRowid {
                let pk = interned_key(log, row)?;
                (RowKey::Packed(pk), pk)
            } else {
                (RowKey::Number(row), seen_key(&mut number, folding.table, row, &image))
            };
            if matches!(net.change, Change::Updated(_))
                && !folding.clocks.get(key)?.is_some_and(RowClock::is_alive)
            {
                // A row that was never written here counts as inserted, and all its cells are needed.
                return Ok(false);
            }
            self.present(folding, log, key, pk, Values::Seen(image.values), &net.change)?;
            offset += 1;
        }
        Ok(true)
    }

    /// Writes inserted neighbours that [`Folding::fresh_rows`] has found to be alike.
    fn fresh_rows(
        &mut self,
        folding: &mut Folding<'c>,
        row: i64,
        rows: u64,
        images: &mut RowImages<'_>,
    ) -> Result<()> {
        let mut number = PackedKey::default();
        let mut clocks = Vec::with_capacity(2);
        for offset in 0..rows {
            let image = images.next()?;
            let pk =
                seen_key(&mut number, folding.table, row.saturating_add_unsigned(offset), &image);
            if clocks.len() < 2 {
                clocks.push(self.write_insert(
                    folding,
                    pk,
                    None,
                    None,
                    Values::Seen(image.values),
                )?);
            } else {
                self.write_row(folding.table, pk, Values::Seen(image.values))?;
            }
            self.writer.effect(&self.shape, RowOp::Insert);
        }
        let mut clocks = clocks.into_iter();
        let (Some(first), Some(second)) = (clocks.next(), clocks.next()) else { return Ok(()) };
        let slot = folding.clocks.slot(row);
        folding.clocks.put_alike(row, &AlikeRows { slot, rows, first, second })
    }

    /// Writes rows of neighbouring rowids.
    fn stretch(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        statement: &mut rusqlite::Statement<'_>,
        stretch: &[Net],
    ) -> Result<()> {
        let [first, ..] = stretch else { return Ok(()) };
        let count = stretch.iter().map(|net| net.count).sum::<u64>();
        let last = first.row.saturating_add_unsigned(count - 1);
        let mut rows = statement.query([first.row, last])?;
        let mut found = 0;
        let mut key = PackedKey::default();
        for net in stretch {
            for _ in 0..net.count {
                let Some(row) = rows.next()? else { break };
                let rowid: i64 = row.get(0)?;
                if rowid != first.row.saturating_add_unsigned(found) {
                    break;
                }
                found += 1;
                pack_row(&mut key, folding.table, row)?;
                self.present(
                    folding,
                    log,
                    RowKey::Number(rowid),
                    key.as_slice(),
                    Values::Stored(row),
                    &net.change,
                )?;
            }
        }
        if found == count { Ok(()) } else { Err(unseen_change(folding.table)) }
    }

    /// Writes a row of a table without rowid.
    fn packed_row(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        statement: &mut rusqlite::Statement<'_>,
        pk: &[u8],
        change: &Change,
    ) -> Result<()> {
        if matches!(change, Change::Deleted) {
            return self.delete_in_place(folding, RowKey::Packed(pk), pk);
        }
        let values = unpack(pk)?;
        bind(statement, 1, values.iter().map(Value::as_ref))?;
        let mut rows = statement.raw_query();
        let row = rows.next()?.ok_or_else(|| unseen_change(folding.table))?;
        self.present(folding, log, RowKey::Packed(pk), pk, Values::Stored(row), change)
    }

    /// Writes a row that is there.
    fn present(
        &mut self,
        folding: &mut Folding<'c>,
        log: &EventLog,
        key: RowKey<'_>,
        pk: &[u8],
        values: Values<'_>,
        change: &Change,
    ) -> Result<()> {
        let mut op = RowOp::Update;
        let clock = match change {
            Change::Updated(mask) => {
                match folding.clocks.get_mut(key)?.filter(|it| it.is_alive()) {
                    Some(clock) => {
                        self.write_update(folding.table, pk, clock, Some(mask), values)?;
                        None
                    }
                    None => Some(self.write_insert(folding, pk, None, None, values)?),
                }
            }
            Change::Replaced => match folding.clocks.get(key)?.cloned() {
                Some(mut clock) if clock.is_alive() => {
                    self.write_update(folding.table, pk, &mut clock, None, values)?;
                    Some(clock)
                }
                clock => Some(self.write_insert(folding, pk, clock, None, values)?),
            },
            Change::Inserted { moved_from } => {
                let moved = match moved_from {
                    Some(place) => folding.former.get(key_at(log, *place)?).cloned(),
                    None => None,
                };
                let hidden = self.take_hidden(folding, pk)?;
                if hidden.is_some() {
                    op = RowOp::Insert;
                }
                let before = match hidden {
                    Some(clock) => Some(clock),
                    None => self.before_insert(folding, key, pk)?,
                };
                match before {
                    Some(clock) if clock.is_alive() => {
                        let mut clock = overlay(clock, moved.as_ref());
                        self.write_update(folding.table, pk, &mut clock, None, values)?;
                        Some(clock)
                    }
                    clock => {
                        op = RowOp::Insert;
                        Some(self.write_insert(folding, pk, clock, moved.as_ref(), values)?)
                    }
                }
            }
            Change::Deleted => return Ok(()),
        };
        self.writer.effect(&self.shape, op);
        if clock.is_some() {
            folding.clocks.put(key, clock)?;
        }
        Ok(())
    }

    /// The clock of the hidden row with an inserted row's key, which is hidden no longer.
    fn take_hidden(&self, folding: &Folding<'c>, pk: &[u8]) -> Result<Option<RowClock>> {
        if !folding.may_be_hidden {
            return Ok(None);
        }
        let Some(row) = hidden::get(self.sqlite, folding.table, pk)? else { return Ok(None) };
        hidden::delete(self.sqlite, folding.table, pk)?;
        Ok(Some(row.clock))
    }

    /// The clock that an inserted row's key had before, if it was not hidden.
    fn before_insert(
        &mut self,
        folding: &mut Folding<'c>,
        key: RowKey<'_>,
        pk: &[u8],
    ) -> Result<Option<RowClock>> {
        if !folding.table.has_dead_table() {
            return Ok(folding.clocks.get(key)?.cloned());
        }
        if let Some(clock) = folding.former.remove(pk) {
            return Ok(Some(clock));
        }
        if !folding.may_be_dead {
            return Ok(None);
        }
        let clock = dead_get(self.sqlite, folding.table, pk)?;
        if clock.is_some() {
            dead_delete(self.sqlite, folding.table, pk)?;
        }
        Ok(clock)
    }

    fn write_insert(
        &mut self,
        folding: &Folding<'c>,
        pk: &[u8],
        dead: Option<RowClock>,
        moved: Option<&RowClock>,
        values: Values<'_>,
    ) -> Result<RowClock> {
        let table = folding.table;
        let causal_length = dead.map_or(table.first_life(), |dead| dead.causal_length + 1);
        self.shape.causal_length = causal_length;
        self.shape.sentinel = causal_length > 1 || table.cells.is_empty();
        self.shape.cells.clear();
        let version_of = |column| {
            let before = moved.and_then(|moved| moved.cell(column));
            before.map_or(0, |cell| cell.col_version) + 1
        };
        let cells =
            (0u32..).zip(&table.cells).map(|(index, cell)| (index, version_of(cell.ordinal)));
        self.shape.cells.extend(cells);
        let (sentinel, first) = self.write_row(table, pk, values)?;
        if moved.is_some() {
            let mut clock = RowClock::new(causal_length, sentinel);
            self.set_cells(table, &mut clock, first);
            return Ok(clock);
        }
        let run = |(column, count, place): &(u32, u32, u32)| {
            let stamp = Stamp { origin: 0, version: self.version, seq: first + place };
            CellRun { column: *column, count: *count, col_version: 1, stamp }
        };
        Ok(RowClock::with_runs(causal_length, sentinel, folding.fresh.iter().map(run).collect()))
    }

    /// Writes the changed cells of a row, all of them without a mask, on top of its clock.
    fn write_update(
        &mut self,
        table: &Table,
        pk: &[u8],
        clock: &mut RowClock,
        mask: Option<&Mask>,
        values: Values<'_>,
    ) -> Result<()> {
        let changed = |index: u32| mask.is_none_or(|mask| mask.contains(index as usize));
        self.shape.causal_length = clock.causal_length;
        self.shape.cells.clear();
        for (index, cell) in (0u32..).zip(&table.cells).filter(|(index, _)| changed(*index)) {
            let before = clock.cell(cell.ordinal).map_or(0, |cell| cell.col_version);
            self.shape.cells.push((index, before + 1));
        }
        self.shape.sentinel = table.cells.is_empty();
        let (sentinel, first) = self.write_row(table, pk, values)?;
        clock.sentinel = sentinel.or(clock.sentinel);
        self.set_cells(table, clock, first);
        Ok(())
    }

    /// Writes a row of the present shape; returns the sentinel's stamp and the first cell's `seq`.
    fn write_row(
        &mut self,
        table: &Table,
        pk: &[u8],
        values: Values<'_>,
    ) -> Result<(Option<Stamp>, u32)> {
        self.release_hidden(table, pk)?;
        let first = self.writer.row(&self.shape, pk)?.0;
        self.rows += 1;
        match values {
            Values::Seen(values) => self.writer.encoded_values(values)?,
            Values::Stored(row) => {
                let first_cell = 1 + table.key.len();
                for (index, _) in &self.shape.cells {
                    self.writer.value(value_of(row, first_cell + *index as usize)?)?;
                }
            }
        }
        let stamp = Stamp { origin: 0, version: self.version, seq: first };
        Ok((self.shape.sentinel.then_some(stamp), first + u32::from(self.shape.sentinel)))
    }

    /// Makes the hidden rows due that a changed row has kept hidden.
    fn release_hidden(&self, table: &Table, pk: &[u8]) -> Result<()> {
        if self.may_be_hidden { hidden::release(self.sqlite, table, pk) } else { Ok(()) }
    }

    fn set_cells(&self, table: &Table, clock: &mut RowClock, first: u32) {
        for (seq, (index, col_version)) in (first..).zip(&self.shape.cells) {
            if let Some(cell) = table.cells.get(*index as usize) {
                let stamp = Stamp { origin: 0, version: self.version, seq };
                clock.set(cell.ordinal, CellClock { col_version: *col_version, stamp });
            }
        }
    }

    /// Writes a deletion; returns the tombstone.
    fn write_delete(&mut self, table: &Table, pk: &[u8], clock: &RowClock) -> Result<RowClock> {
        self.release_hidden(table, pk)?;
        self.shape.causal_length = (clock.causal_length + 1).next_multiple_of(2);
        self.shape.sentinel = true;
        self.shape.cells.clear();
        let seq = self.writer.row(&self.shape, pk)?.0;
        self.rows += 1;
        self.writer.effect(&self.shape, RowOp::Delete);
        let stamp = Stamp { origin: 0, version: self.version, seq };
        Ok(RowClock::new(self.shape.causal_length, Some(stamp)))
    }

    fn delete_in_place(
        &mut self,
        folding: &mut Folding<'c>,
        key: RowKey<'_>,
        pk: &[u8],
    ) -> Result<()> {
        let clock = folding.clocks.get(key)?.cloned().unwrap_or_else(|| RowClock::new(1, None));
        let dead = self.write_delete(folding.table, pk, &clock)?;
        folding.clocks.put(key, Some(dead))?;
        Ok(())
    }
}

/// Where the values of a row's changed cells are.
#[derive(Clone, Copy)]
enum Values<'r> {
    /// In the row as it is stored: all of its cells.
    Stored(&'r Row<'r>),
    /// In its image: those and no others.
    Seen(&'r [u8]),
}

impl Folding<'_> {
    /// How many of the `count` rows from `row` on are new, with no past, in a block where no others are.
    fn fresh_rows(&mut self, row: i64, count: u64, change: &Change) -> Result<u64> {
        let without_past = matches!(change, Change::Inserted { moved_from: None })
            && self.table.identity != RowIdentity::WithoutRowid
            && !self.may_be_hidden
            && !self.may_be_dead
            && self.former.is_empty();
        if without_past && count > 1 { self.clocks.fresh_rows(row, count) } else { Ok(0) }
    }

    /// Remembers, by the key they had, the clocks of moved rows whose tombstones are in their blocks.
    fn remember_moved(&mut self, log: &EventLog, net: &[Net]) -> Result<()> {
        if self.table.has_dead_table() {
            return Ok(());
        }
        for net in net {
            let Change::Inserted { moved_from: Some(place) } = net.change else { continue };
            let pk = key_at(log, place)?;
            let key = match (self.table.identity, unpack(pk)?.first()) {
                (RowIdentity::WithoutRowid, _) => RowKey::Packed(pk),
                (_, Some(Value::Integer(key))) => RowKey::Number(*key),
                _ => return Err(lost_key()),
            };
            if let Some(clock) = self.clocks.get(key)?.filter(|clock| clock.is_alive()).cloned() {
                self.former.insert(pk.into(), clock);
            }
        }
        Ok(())
    }
}

/// Whether the next row is written together with this one: both are read, or both were updated in the same cells.
fn belong_together(net: &Net, next: &Net) -> bool {
    let read = |net: &Net| net.image.is_none() && !matches!(net.change, Change::Deleted);
    let updated = match (&net.change, &next.change) {
        (Change::Updated(cells), Change::Updated(next_cells)) => {
            net.image.is_some() && next.image.is_some() && cells == next_cells
        }
        _ => false,
    };
    net.row.checked_add_unsigned(net.count) == Some(next.row)
        && (updated || read(net) && read(next))
}

/// The packed key of a row with a rowid and an image.
fn seen_key<'k>(number: &'k mut PackedKey, table: &Table, row: i64, image: &Image<'k>) -> &'k [u8] {
    if table.identity != RowIdentity::IntegerKey {
        return image.pk;
    }
    number.clear();
    number.push(crate::types::ValueRef::Integer(row));
    number.as_slice()
}

/// The larger version of each cell, so that one more beats both.
fn overlay(mut clock: RowClock, moved: Option<&RowClock>) -> RowClock {
    for (column, cell) in moved.into_iter().flat_map(RowClock::cells) {
        if clock.cell(column).is_none_or(|present| present.col_version < cell.col_version) {
            clock.set(column, cell);
        }
    }
    clock
}

/// The runs of neighbouring ordinals of a fresh row: one, unless columns were dropped.
fn fresh_runs(table: &Table) -> Vec<(u32, u32, u32)> {
    let mut runs: Vec<(u32, u32, u32)> = Vec::new();
    for (place, cell) in (0u32..).zip(&table.cells) {
        match runs.last_mut() {
            Some((column, count, _)) if column.checked_add(*count) == Some(cell.ordinal) => {
                *count += 1;
            }
            _ => runs.push((cell.ordinal, 1, place)),
        }
    }
    runs
}

fn pack_row(key: &mut PackedKey, table: &Table, row: &Row<'_>) -> Result<()> {
    key.clear();
    for place in 1..=table.key.len() {
        key.push(value_of(row, place)?);
    }
    Ok(())
}

fn key_at(log: &EventLog, place: u64) -> Result<&[u8]> {
    let key = usize::try_from(place).ok().and_then(|place| log.keys.get(place));
    key.map(AsRef::as_ref).ok_or_else(lost_key)
}

pub(super) fn interned_key(log: &EventLog, number: i64) -> Result<&[u8]> {
    let key = usize::try_from(number).ok().and_then(|number| log.interned_keys.get(number));
    key.map(AsRef::as_ref).ok_or_else(lost_key)
}

fn lost_key() -> StoreError {
    StoreError::Damaged("a noted row change has no key".into())
}

fn unseen_change(table: &Table) -> StoreError {
    StoreError::Damaged(format!("rows of {} changed without being noticed", table.name))
}
