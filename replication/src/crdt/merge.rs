//! What an incoming row change does to a clock.
//!
//! [`merge_row`] is the whole rule and the only one: the store calls it with clocks from its blocks, the tests with
//! clocks from a map. It reads a stored value only where versions tie, and never when the tie is one change met twice.
//!
//! | local row | incoming | outcome |
//! |---|---|---|
//! | longer causal length | anything | ignored |
//! | same, deleted | delete | the larger site's stamp is kept |
//! | shorter | delete | row deleted, cells dropped |
//! | shorter, or unknown and longer than 1 | live | resurrected: remaining cells to version 0, new sentinel |
//! | same or just resurrected | cells | each won by (`col_version`, value, site) |
//! | same or just resurrected | birth | cells still at version 0 that did not come are as in a new row |
//!
//! Source: cr-sqlite 0.17 `changes_vtab_write.rs`; where live sentinels tie, that one keeps the first it sees, which
//! leaves clocks different for ever; here the larger site wins, as for deletes. A birth, the insertion of a row with all the
//! columns that its writer knows, is not told from other changes there: over a row that is still alive it keeps the values
//! of columns that its writer did not know yet, and where the death was seen first it does not.

use std::cmp::Ordering;

use crate::types::{SiteId, Value, ValueRef};

use super::clock::{CellClock, RowClock, Stamp, ZEROED};
use super::order::compare_values;

/// A row change as it arrives.
#[derive(Clone, Copy, Debug)]
pub struct IncomingRow<'a> {
    /// The origin's ordinal in this file.
    pub origin: u32,
    /// The origin.
    pub site: SiteId,
    /// The origin's transaction.
    pub version: u64,
    /// The row's causal length there after it.
    pub causal_length: u64,
    /// Sequence number of the sentinel, if it is among the changes.
    pub sentinel: Option<u32>,
    /// Whether the row was inserted by this change, so that the cells are all that its writer knew of.
    pub birth: bool,
    /// Changed cells; ignored if the row is deleted.
    pub cells: &'a [IncomingCell<'a>],
}

/// A cell change as it arrives.
#[derive(Clone, Copy, Debug)]
pub struct IncomingCell<'a> {
    /// Ordinal of the column.
    pub column: u32,
    /// Its version there.
    pub col_version: u64,
    /// Place within the transaction.
    pub seq: u32,
    /// The value.
    pub value: ValueRef<'a>,
}

/// What has to happen to the stored row so that it matches the merged clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowEffect {
    /// Nothing, and the clock did not change either.
    Ignored,
    /// The clock changed, the stored row does not.
    Restamped,
    /// The row is to be deleted.
    Deleted,
    /// The row is to exist, with the winning cells.
    Written {
        /// Whether it did not exist before.
        created: bool,
        /// Indexes into [`IncomingRow::cells`] of those that won.
        won: Vec<usize>,
        /// Ordinals of other columns, whose cells are to be as in a new row.
        forgotten: Vec<u32>,
    },
}

/// Merges `incoming` into `clock`, `None` meaning that the row was never seen.
///
/// `site_of` names the site of an ordinal in this file. `stored` reads the present value of a cell by the column's ordinal, or
/// `None` if there is no such row; it is asked only for cells whose versions tie.
///
/// # Errors
/// Those of `stored`; the clock may have changed then, so the caller must not keep it.
pub fn merge_row<E>(
    clock: &mut Option<RowClock>,
    incoming: &IncomingRow<'_>,
    site_of: impl Fn(u32) -> SiteId,
    mut stored: impl FnMut(u32) -> Result<Option<Value>, E>,
) -> Result<RowEffect, E> {
    let local_length = clock.as_ref().map_or(0, |clock| clock.causal_length);
    if incoming.causal_length < local_length {
        return Ok(RowEffect::Ignored);
    }
    if incoming.causal_length.is_multiple_of(2) {
        return Ok(merge_delete(clock, incoming, site_of));
    }
    let lived = local_length % 2 == 1;
    let mut restamped = false;
    let row = clock.get_or_insert_with(|| RowClock::new(incoming.causal_length, None));
    if incoming.causal_length > local_length {
        enter_life(row, incoming);
    } else if let Some(seq) = incoming.sentinel.filter(|_| row.sentinel.is_some()) {
        let stamp = incoming.stamp(seq);
        restamped = restamp(&mut row.sentinel, stamp, incoming.site, &site_of);
    }
    let mut won = Vec::with_capacity(incoming.cells.len());
    for (index, cell) in incoming.cells.iter().enumerate() {
        if cell_wins(row, lived, incoming, cell, &site_of, &mut stored)? {
            let stamp = incoming.stamp(cell.seq);
            row.set(cell.column, CellClock { col_version: cell.col_version, stamp });
            won.push(index);
        }
    }
    if row.causal_length == 1 && !row.runs().is_empty() {
        // The cells say that the row lives its first life, whether or not someone also said so by a sentinel.
        row.sentinel = None;
    }
    let forgotten = if incoming.birth { forget_former(row, incoming) } else { Vec::new() };
    Ok(match (incoming.causal_length > local_length, won.is_empty() && forgotten.is_empty()) {
        (false, true) if restamped => RowEffect::Restamped,
        (false, true) => RowEffect::Ignored,
        (true, true) if lived => RowEffect::Restamped,
        _ => RowEffect::Written { created: !lived, won, forgotten },
    })
}

impl<'a> IncomingCell<'a> {
    /// A cell that nobody has written.
    #[must_use]
    pub fn fresh((column, value): &'a (u32, Value)) -> Self {
        Self { column: *column, col_version: ZEROED, seq: 0, value: value.as_ref() }
    }
}

impl IncomingRow<'_> {
    fn stamp(&self, seq: u32) -> Stamp {
        Stamp { origin: self.origin, version: self.version, seq }
    }

    /// Stamp of the sentinel, or of the first cell where the sentinel itself was not sent.
    fn life_stamp(&self) -> Stamp {
        let first = self.cells.first().map_or(0, |cell| cell.seq);
        self.stamp(self.sentinel.unwrap_or(first))
    }
}

/// Takes over the stamp of a sentinel of equal causal length if its site is larger.
fn restamp(
    sentinel: &mut Option<Stamp>,
    stamp: Stamp,
    site: SiteId,
    site_of: impl Fn(u32) -> SiteId,
) -> bool {
    let wins = sentinel.is_none_or(|present| site > site_of(present.origin));
    if wins {
        *sentinel = Some(stamp);
    }
    wins
}

fn merge_delete(
    clock: &mut Option<RowClock>,
    incoming: &IncomingRow<'_>,
    site_of: impl Fn(u32) -> SiteId,
) -> RowEffect {
    let stamp = incoming.life_stamp();
    match clock {
        Some(row) if row.causal_length == incoming.causal_length => {
            match restamp(&mut row.sentinel, stamp, incoming.site, site_of) {
                true => RowEffect::Restamped,
                false => RowEffect::Ignored,
            }
        }
        _ => {
            let lived = clock.as_ref().is_some_and(RowClock::is_alive);
            *clock = Some(RowClock::new(incoming.causal_length, Some(stamp)));
            if lived { RowEffect::Deleted } else { RowEffect::Restamped }
        }
    }
}

/// Moves a row on to a longer, odd causal length.
fn enter_life(row: &mut RowClock, incoming: &IncomingRow<'_>) {
    let first_life = incoming.causal_length == 1;
    row.causal_length = incoming.causal_length;
    row.zero_versions();
    row.sentinel = (!first_life || incoming.sentinel.is_some()).then(|| incoming.life_stamp());
}

/// Forgets the cells that a former life left and that the new one does not have; returns their columns.
fn forget_former(row: &mut RowClock, incoming: &IncomingRow<'_>) -> Vec<u32> {
    let came = |column| incoming.cells.iter().any(|cell| cell.column == column);
    let former = row.cells().filter(|(column, cell)| cell.col_version == ZEROED && !came(*column));
    let former: Vec<_> = former.map(|(column, _)| column).collect();
    former.iter().for_each(|column| row.remove(*column));
    former
}

fn cell_wins<E>(
    row: &RowClock,
    lived: bool,
    incoming: &IncomingRow<'_>,
    cell: &IncomingCell<'_>,
    site_of: impl Fn(u32) -> SiteId,
    stored: &mut impl FnMut(u32) -> Result<Option<Value>, E>,
) -> Result<bool, E> {
    let Some(present) = row.cell(cell.column).filter(|_| lived) else {
        return Ok(true);
    };
    match cell.col_version.cmp(&present.col_version) {
        Ordering::Greater => return Ok(true),
        Ordering::Less => return Ok(false),
        Ordering::Equal => {}
    }
    if present.stamp == incoming.stamp(cell.seq) {
        return Ok(false);
    }
    let Some(value) = stored(cell.column)? else {
        return Ok(true);
    };
    Ok(match compare_values(cell.value, value.as_ref()) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => incoming.site > site_of(present.stamp.origin),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, proptest};

    use super::*;

    const COLUMNS: u32 = 3;

    /// One row at one site: the merge rules over a map instead of a table.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Replica {
        clock: Option<RowClock>,
        values: BTreeMap<u32, Value>,
    }

    /// What a site did to the row.
    #[derive(Clone, Debug)]
    enum Step {
        /// Inserts the row, or updates a column of it.
        Write {
            site: u32,
            column: u32,
            value: i64,
        },
        Delete {
            site: u32,
        },
        /// Merges all that another has said so far.
        Sync {
            from: u32,
            to: u32,
        },
    }

    /// A row change on its way.
    #[derive(Clone, Debug)]
    struct Sent {
        site: u32,
        version: u64,
        causal_length: u64,
        sentinel: bool,
        cells: Vec<(u32, u64, i64)>,
    }

    /// Column, value, clock.
    type VisibleCell = (u32, Value, Option<CellClock>);

    fn site_of(ordinal: u32) -> SiteId {
        SiteId([u8::try_from(ordinal).unwrap_or(0) + 1; 16])
    }

    impl Replica {
        fn alive(&self) -> bool {
            self.clock.as_ref().is_some_and(RowClock::is_alive)
        }

        fn merge(&mut self, sent: &Sent) {
            let cells = sent.cells.iter().zip(1..).map(|((column, col_version, value), seq)| {
                let value = ValueRef::Integer(*value);
                IncomingCell { column: *column, col_version: *col_version, seq, value }
            });
            let cells: Vec<_> = cells.collect();
            let incoming = IncomingRow {
                origin: sent.site,
                site: site_of(sent.site),
                version: sent.version,
                causal_length: sent.causal_length,
                sentinel: sent.sentinel.then_some(0),
                birth: sent.sentinel && sent.causal_length % 2 == 1,
                cells: &cells,
            };
            let values = self.values.clone();
            let stored = |column| Ok::<_, Infallible>(values.get(&column).cloned());
            let Ok(effect) = merge_row(&mut self.clock, &incoming, site_of, stored);
            match effect {
                RowEffect::Ignored | RowEffect::Restamped => {}
                RowEffect::Deleted => self.values.clear(),
                RowEffect::Written { won, forgotten, .. } => {
                    forgotten.iter().for_each(|column| drop(self.values.remove(column)));
                    let won = won.iter().map(|index| &cells[*index]);
                    self.values.extend(won.map(|cell| (cell.column, cell.value.to_value())));
                }
            }
        }

        /// What the row is, as far as it must be equal everywhere.
        fn visible(&self) -> (Option<u64>, Vec<VisibleCell>) {
            let cell = |column| self.clock.as_ref().and_then(|clock| clock.cell(column));
            let values =
                self.values.iter().map(|(column, value)| (*column, value.clone(), cell(*column)));
            (self.clock.as_ref().map(|clock| clock.causal_length), values.collect())
        }
    }

    /// Plays the steps on three sites; returns all that was sent, in each site's order.
    fn play(steps: &[Step]) -> Vec<Sent> {
        let mut replicas = vec![Replica::default(); 3];
        let mut sent: Vec<Sent> = Vec::new();
        for (version, step) in (1..).zip(steps) {
            match *step {
                Step::Sync { from, to } => {
                    sent.iter()
                        .filter(|sent| sent.site == from)
                        .for_each(|sent| replicas[to as usize].merge(sent));
                }
                Step::Delete { site } => {
                    let replica = &mut replicas[site as usize];
                    if replica.alive() {
                        let length =
                            replica.clock.as_ref().map_or(1, |clock| clock.causal_length) + 1;
                        let change = Sent {
                            site,
                            version,
                            causal_length: length,
                            sentinel: true,
                            cells: Vec::new(),
                        };
                        replica.merge(&change);
                        sent.push(change);
                    }
                }
                Step::Write { site, column, value } => {
                    let replica = &mut replicas[site as usize];
                    let length = replica.clock.as_ref().map_or(0, |clock| clock.causal_length);
                    let inserts = length % 2 == 0;
                    // Sites know more or fewer columns, as while a schema change is on its way.
                    let columns = if inserts { 0..=site } else { column..=column };
                    let version_of = |column| {
                        let cell = replica.clock.as_ref().and_then(|clock| clock.cell(column));
                        cell.filter(|_| !inserts).map_or(0, |cell| cell.col_version) + 1
                    };
                    let cells = columns.map(|column| (column, version_of(column), value)).collect();
                    let causal_length = length + u64::from(inserts);
                    let change = Sent {
                        site,
                        version,
                        causal_length,
                        sentinel: inserts && length > 0,
                        cells,
                    };
                    replica.merge(&change);
                    sent.push(change);
                }
            }
        }
        sent
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (0u32..4, 0u32..3, 0u32..3, 0..COLUMNS, 0i64..3).prop_map(
            |(kind, site, other, column, value)| match kind {
                0 | 1 => Step::Write { site, column, value },
                2 => Step::Delete { site },
                _ => Step::Sync { from: site, to: other },
            },
        );
        proptest::collection::vec(step, 1..14)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Commutative, associative, idempotent: whatever the order, and however often.
        #[test]
        fn all_orders_come_to_the_same(
            (sent, order) in steps().prop_map(|steps| play(&steps)).prop_flat_map(|sent| {
                let twice: Vec<_> = sent.iter().chain(&sent).cloned().collect();
                (Just(sent), Just(twice).prop_shuffle())
            }),
            again in any::<bool>(),
        ) {
            let (mut straight, mut shuffled) = (Replica::default(), Replica::default());
            sent.iter().for_each(|sent| straight.merge(sent));
            order.iter().for_each(|sent| shuffled.merge(sent));
            if again {
                sent.iter().rev().for_each(|sent| shuffled.merge(sent));
            }
            prop_assert_eq!(straight.visible(), shuffled.visible());
        }
    }
}
