//! The clocks of neighbouring rows in one run-length-coded blob.
//!
//! Rows are numbered by an integer key; a block holds [`rows_per_block`] neighbours, each in its *slot*. Rows that one
//! statement inserted or updated share everything but a constant step in their sequence numbers, so a block of 16
//! freshly inserted rows takes some 20 bytes, and 16 rows of different histories some 20 bytes each.
//!
//! ```text
//! block  := count (origin version)*                         the transactions that stamps refer to
//!           group*                                          until the end
//! group  := slot_gap rows causal_length
//!           sentinel (seq step)?                            0: none; n: transaction n-1
//!           runs (column_gap count col_version transaction seq step)*
//! ```
//! All numbers are varints, `step` zigzagged: what one row's `seq` is more than that of the row before.
//!
//! # Bounds
//! A block never has more than [`ROWS_PER_BLOCK_MAX`] slots, nor ordinals from [`COLUMNS_MAX`] on; decoding refuses what is
//! beyond.

use super::bytes::{DecodeError, Reader, put_varint, unzigzag, zigzag};
use super::clock::{COLUMNS_MAX, CellRun, RowClock, Stamp};

/// Slots in a block of a table of ordinary width.
const ROWS_PER_BLOCK_MAX: u32 = 16;

/// How many rows share a block: fewer in wide tables, so that rewriting a block stays cheap.
#[must_use]
pub fn rows_per_block(columns: usize) -> u32 {
    let rows = 512 / u32::try_from(columns.max(1)).unwrap_or(512);
    rows.clamp(1, ROWS_PER_BLOCK_MAX)
}

/// The clocks of a block whose rows are neighbours, each as far from the one before as the second is from the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlikeRows {
    /// Slot of the first row.
    pub slot: u8,
    /// Number of rows.
    pub rows: u64,
    /// The first row's clock.
    pub first: RowClock,
    /// The second row's clock, of the same shape; without meaning if there is one row only.
    pub second: RowClock,
}

/// The decoded clocks of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Rows that have a clock, sorted by slot.
    rows: Vec<(u8, RowClock)>,
}

impl Block {
    /// The clock in `slot`.
    #[must_use]
    pub fn get(&self, slot: u8) -> Option<&RowClock> {
        let index = self.rows.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        self.rows.get(index).map(|(_, clock)| clock)
    }

    /// The clock in `slot`, to be changed.
    pub fn get_mut(&mut self, slot: u8) -> Option<&mut RowClock> {
        let index = self.rows.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        self.rows.get_mut(index).map(|(_, clock)| clock)
    }

    /// Puts `clock` into `slot`, or empties it; returns what was there.
    pub fn replace(&mut self, slot: u8, clock: Option<RowClock>) -> Option<RowClock> {
        match (self.rows.binary_search_by_key(&slot, |(slot, _)| *slot), clock) {
            (Ok(index), Some(clock)) => {
                self.rows.get_mut(index).map(|(_, present)| std::mem::replace(present, clock))
            }
            (Ok(index), None) => Some(self.rows.remove(index).1),
            (Err(index), Some(clock)) => {
                self.rows.insert(index, (slot, clock));
                None
            }
            (Err(_), None) => None,
        }
    }

    /// All clocks, by slot.
    pub fn rows(&self) -> impl Iterator<Item = (u8, &RowClock)> {
        self.rows.iter().map(|(slot, clock)| (*slot, clock))
    }

    /// Whether no slot has a clock.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Empties the block, keeping its memory.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Appends the encoded block to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let transactions = transactions(self.rows.iter().map(|(_, clock)| clock));
        put_transactions(out, &transactions);
        let mut next_slot = 0u8;
        let mut rest = self.rows.as_slice();
        while let Some((slot, first)) = rest.first() {
            let (group, after) = rest.split_at(group_length(rest));
            put_varint(out, u64::from(slot - next_slot));
            put_varint(out, group.len() as u64);
            let second = group.get(1).map_or(first, |(_, clock)| clock);
            encode_group(out, first, second, &transactions);
            next_slot = slot.wrapping_add(u8::try_from(group.len()).unwrap_or(u8::MAX));
            rest = after;
        }
    }

    /// Appends an encoded block that has these rows alone.
    pub fn encode_alike(out: &mut Vec<u8>, alike: &AlikeRows) {
        let AlikeRows { slot, rows, first, second } = alike;
        let transactions = transactions([first].into_iter());
        put_transactions(out, &transactions);
        put_varint(out, u64::from(*slot));
        put_varint(out, *rows);
        encode_group(out, first, if *rows > 1 { second } else { first }, &transactions);
    }

    /// Decodes a block whose rows are alike; `None` if they are not.
    ///
    /// # Errors
    /// If the bytes are not an encoded block.
    pub fn decode_alike(bytes: &[u8]) -> Result<Option<AlikeRows>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let transactions = read_transactions(&mut reader)?;
        if reader.is_empty() {
            return Ok(None);
        }
        let (slot, rows) = read_group_head(&mut reader, 0)?;
        let group = Group::decode(&mut reader, &transactions)?;
        if !reader.is_empty() {
            return Ok(None);
        }
        let slot = u8::try_from(slot).map_err(|_too_large| DecodeError::Bounds("slot"))?;
        let (first, second) = (group.clock(0), group.clock(1));
        Ok(Some(AlikeRows { slot, rows: u64::from(rows), first, second }))
    }

    /// Decodes a block.
    ///
    /// # Errors
    /// If the bytes are not an encoded block.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let transactions = read_transactions(&mut reader)?;
        let mut rows: Vec<(u8, RowClock)> = Vec::with_capacity(ROWS_PER_BLOCK_MAX as usize);
        let mut next_slot = 0u32;
        while !reader.is_empty() {
            let (slot, count) = read_group_head(&mut reader, next_slot)?;
            next_slot = slot + count;
            let group = Group::decode(&mut reader, &transactions)?;
            for row in 0..count {
                let slot =
                    u8::try_from(slot + row).map_err(|_too_large| DecodeError::Bounds("slot"))?;
                rows.push((slot, group.clock(row)));
            }
        }
        Ok(Self { rows })
    }
}

/// The transactions that stamps of the clocks name, each once.
fn transactions<'a>(clocks: impl Iterator<Item = &'a RowClock>) -> Vec<(u32, u64)> {
    let mut transactions = Vec::with_capacity(2);
    let mut last = None;
    for clock in clocks {
        let stamps = clock.sentinel.iter().chain(clock.runs().iter().map(|run| &run.stamp));
        for stamp in stamps {
            let transaction = (stamp.origin, stamp.version);
            if last != Some(transaction) && !transactions.contains(&transaction) {
                transactions.push(transaction);
            }
            last = Some(transaction);
        }
    }
    transactions
}

fn read_transactions(reader: &mut Reader<'_>) -> Result<Vec<(u32, u64)>, DecodeError> {
    let count = reader.count(reader.remaining(), "transactions")?;
    let mut transactions = Vec::with_capacity(count);
    for _ in 0..count {
        transactions.push((reader.varint_u32()?, reader.varint()?));
    }
    Ok(transactions)
}

/// First slot and number of rows of a group, which starts at `next_slot` or later.
fn read_group_head(reader: &mut Reader<'_>, next_slot: u32) -> Result<(u32, u32), DecodeError> {
    let slot = next_slot + reader.varint_u32()?.min(ROWS_PER_BLOCK_MAX);
    let count = reader.varint_u32()?.min(ROWS_PER_BLOCK_MAX + 1);
    if count == 0 || slot + count > ROWS_PER_BLOCK_MAX {
        return Err(DecodeError::Bounds("slot"));
    }
    Ok((slot, count))
}

fn put_transactions(out: &mut Vec<u8>, transactions: &[(u32, u64)]) {
    put_varint(out, transactions.len() as u64);
    for (origin, version) in transactions {
        put_varint(out, u64::from(*origin));
        put_varint(out, *version);
    }
}

/// How many of `rows` continue the first: neighbouring slots, same shape, constant steps.
fn group_length(rows: &[(u8, RowClock)]) -> usize {
    let [(first_slot, first), (second_slot, second), ..] = rows else {
        return rows.len();
    };
    if *second_slot != first_slot + 1 || !same_shape(first, second) {
        return 1;
    }
    let follows = |pair: &[(u8, RowClock)]| match pair {
        [(slot, clock), (next_slot, next)] => {
            *next_slot == slot + 1
                && same_shape(clock, next)
                && same_steps(first, second, clock, next)
        }
        _ => false,
    };
    1 + rows.windows(2).take_while(|pair| follows(pair)).count()
}

/// Whether two clocks differ in sequence numbers only.
fn same_shape(left: &RowClock, right: &RowClock) -> bool {
    let transaction = |stamp: &Stamp| (stamp.origin, stamp.version);
    let shape = |run: &CellRun| (run.column, run.count, run.col_version, transaction(&run.stamp));
    left.causal_length == right.causal_length
        && left.sentinel.as_ref().map(transaction) == right.sentinel.as_ref().map(transaction)
        && left.runs().len() == right.runs().len()
        && left.runs().iter().zip(right.runs()).all(|(left, right)| shape(left) == shape(right))
}

/// Whether `next` is as far from `clock` as `second` is from `first`, all of one shape.
fn same_steps(first: &RowClock, second: &RowClock, clock: &RowClock, next: &RowClock) -> bool {
    let step = |from: Stamp, to: Stamp| i64::from(to.seq) - i64::from(from.seq);
    let sentinel = |from: &RowClock, to: &RowClock| {
        from.sentinel.zip(to.sentinel).map(|(from, to)| step(from, to))
    };
    let runs = |from: &RowClock, to: &RowClock, index: usize| {
        from.runs()
            .get(index)
            .zip(to.runs().get(index))
            .map(|(from, to)| step(from.stamp, to.stamp))
    };
    sentinel(first, second) == sentinel(clock, next)
        && (0..first.runs().len())
            .all(|index| runs(first, second, index) == runs(clock, next, index))
}

fn encode_group(
    out: &mut Vec<u8>,
    first: &RowClock,
    second: &RowClock,
    transactions: &[(u32, u64)],
) {
    let index = |stamp: Stamp| {
        let found = transactions.iter().position(|known| *known == (stamp.origin, stamp.version));
        found.expect("every stamp's transaction was collected") as u64
    };
    let put_seq = |out: &mut Vec<u8>, from: Stamp, to: Stamp| {
        put_varint(out, u64::from(from.seq));
        put_varint(out, zigzag(i64::from(to.seq) - i64::from(from.seq)));
    };
    put_varint(out, first.causal_length);
    match first.sentinel.zip(second.sentinel) {
        None => out.push(0),
        Some((from, to)) => {
            put_varint(out, 1 + index(from));
            put_seq(out, from, to);
        }
    }
    put_varint(out, first.runs().len() as u64);
    let mut next_column = 0;
    for (run, following) in first.runs().iter().zip(second.runs()) {
        put_varint(out, u64::from(run.column - next_column));
        put_varint(out, u64::from(run.count));
        put_varint(out, run.col_version);
        put_varint(out, index(run.stamp));
        put_seq(out, run.stamp, following.stamp);
        next_column = run.end();
    }
}

/// A decoded group: its first clock and the steps from row to row.
struct Group {
    first: RowClock,
    sentinel_step: i64,
    run_steps: Vec<i64>,
}

impl Group {
    fn decode(reader: &mut Reader<'_>, transactions: &[(u32, u64)]) -> Result<Self, DecodeError> {
        let causal_length = reader.varint()?;
        let mut sentinel_step = 0;
        let sentinel = match reader.count(transactions.len(), "transaction")? {
            0 => None,
            index => {
                let (stamp, step) = decode_stamp(reader, transactions, index - 1)?;
                sentinel_step = step;
                Some(stamp)
            }
        };
        let count = reader.count(reader.remaining(), "runs")?;
        let (mut runs, mut run_steps) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut next_column = 0u32;
        for _ in 0..count {
            let column = next_column + reader.varint_u32()?.min(COLUMNS_MAX);
            let width = reader.varint_u32()?.min(COLUMNS_MAX);
            next_column = column + width;
            if width == 0 || next_column > COLUMNS_MAX {
                return Err(DecodeError::Bounds("column"));
            }
            let col_version = reader.varint()?;
            let index = reader.count(transactions.len(), "transaction")?;
            let (stamp, step) = decode_stamp(reader, transactions, index)?;
            stamp.seq.checked_add(width).ok_or(DecodeError::Bounds("seq"))?;
            runs.push(CellRun { column, count: width, col_version, stamp });
            run_steps.push(step);
        }
        Ok(Self {
            first: RowClock::with_runs(causal_length, sentinel, runs),
            sentinel_step,
            run_steps,
        })
    }

    /// The clock of the `row`-th row of the group.
    fn clock(&self, row: u32) -> RowClock {
        let at = |stamp: Stamp, step: i64| {
            let seq = i64::from(stamp.seq).wrapping_add(step.wrapping_mul(i64::from(row)));
            Stamp { seq: u32::try_from(seq).unwrap_or(stamp.seq), ..stamp }
        };
        let sentinel = self.first.sentinel.map(|stamp| at(stamp, self.sentinel_step));
        let steps = self.first.runs().iter().zip(&self.run_steps);
        let runs =
            steps.map(|(run, step)| CellRun { stamp: at(run.stamp, *step), ..*run }).collect();
        RowClock::with_runs(self.first.causal_length, sentinel, runs)
    }
}

fn decode_stamp(
    reader: &mut Reader<'_>,
    transactions: &[(u32, u64)],
    index: usize,
) -> Result<(Stamp, i64), DecodeError> {
    let (origin, version) = transactions.get(index).ok_or(DecodeError::Invalid("transaction"))?;
    let stamp = Stamp { origin: *origin, version: *version, seq: reader.varint_u32()? };
    Ok((stamp, unzigzag(reader.varint()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;
    use crate::crdt::CellClock;

    fn inserted(slot: u8, version: u64) -> (u8, RowClock) {
        let stamp = Stamp { origin: 0, version, seq: u32::from(slot) * 5 };
        let run = CellRun { column: 2, count: 5, col_version: 1, stamp };
        (slot, RowClock::with_runs(1, None, vec![run]))
    }

    #[test]
    fn sixteen_fresh_rows_are_one_group() {
        let block = Block { rows: (0..16).map(|slot| inserted(slot, 70_000)).collect() };
        let mut bytes = Vec::new();
        block.encode(&mut bytes);
        assert!(bytes.len() <= 20, "{} bytes", bytes.len());
        let mut fresh = Vec::new();
        let (first, second) = (inserted(0, 70_000).1, inserted(1, 70_000).1);
        let alike = AlikeRows { slot: 0, rows: 16, first, second };
        Block::encode_alike(&mut fresh, &alike);
        assert_eq!(fresh, bytes);
        assert_eq!(Block::decode_alike(&bytes), Ok(Some(alike)));
        assert_eq!(Block::decode(&bytes), Ok(block));
    }

    proptest! {
        #[test]
        fn round_trips(rows in proptest::collection::btree_map(0u8..16, (1u64..4, any::<bool>(), crate::crdt::clock::tests::writes()), 0..16)) {
            let mut block = Block::default();
            for (slot, (causal_length, sentinel, writes)) in rows {
                let stamp = Stamp { origin: 3, version: causal_length, seq: u32::from(slot) };
                let mut clock = RowClock::new(causal_length, sentinel.then_some(stamp));
                writes.into_iter().for_each(|(column, cell): (u32, CellClock)| clock.set(column, cell));
                block.replace(slot, Some(clock));
            }
            let mut bytes = Vec::new();
            block.encode(&mut bytes);
            prop_assert_eq!(Block::decode(&bytes), Ok(block));
        }

        #[test]
        fn arbitrary_bytes_are_an_answer(bytes in proptest::collection::vec(0u8..20, 0..48)) {
            let _answer = Block::decode(&bytes);
            let _answer = Block::decode_alike(&bytes);
        }
    }
}
