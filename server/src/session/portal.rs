//! Portals: bound statements and the results they have under way. SQL cursors are portals too, in one name space.

use std::collections::VecDeque;
use std::sync::Arc;

use trellis_sqlcompat::parse::ParsedStatement;
use trellis_sqlcompat::plan::{Plan, ResultColumn};
use trellis_sqlcompat::types::{Encoder, TypeContext, encoder};
use trellis_sqlcompat::{Datum, DatumRef, Oid, SqlError, SqlState};

use super::port::Rows;

/// A prepared statement.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// Its parsed text; `None` for an empty one.
    pub statement: Option<Arc<ParsedStatement>>,
    /// Its plan as of `epoch`.
    pub plan: Arc<Plan>,
    /// Schema epoch that the plan was made in.
    pub epoch: u64,
    /// Settings generation that the plan was made in.
    pub generation: u64,
    /// The text of the SQL `PREPARE` that made it; `None` if the protocol did.
    pub from_sql: Option<Arc<str>>,
    /// When it was made, microseconds since 2000-01-01.
    pub prepared_us: i64,
}

/// Rows that are still to be sent.
pub(super) enum RowSource<R> {
    /// Being computed.
    Live(R),
    /// Already known.
    Stored(StoredRows),
}

/// Bytes of rows that one result may keep in memory: 256 MiB.
pub(super) const KEPT_BYTES_MAX: usize = 256 << 20;

/// How large the rows are that a result keeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeptBytes(usize);

impl KeptBytes {
    /// Counts a row.
    ///
    /// # Errors
    /// 53200 above [`KEPT_BYTES_MAX`].
    pub(super) fn add(&mut self, row: &[Datum]) -> Result<(), SqlError> {
        let value = |datum: &Datum| match datum {
            Datum::Text(text) => text.len(),
            Datum::Blob(blob) => blob.len(),
            Datum::Null | Datum::Integer(_) | Datum::Real(_) => 0,
        };
        self.0 += size_of_val(row) + row.iter().map(value).sum::<usize>();
        if self.0 > KEPT_BYTES_MAX {
            let message = "out of memory";
            let detail = format!("A result that is kept may be {KEPT_BYTES_MAX} bytes large.");
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, message).with_detail(detail));
        }
        Ok(())
    }
}

/// Rows kept in memory.
#[derive(Debug, Default)]
pub(super) struct StoredRows {
    rows: VecDeque<Vec<Datum>>,
    current: Vec<Datum>,
}

impl StoredRows {
    /// Rows to be sent in order.
    #[must_use]
    pub(super) fn new(rows: impl IntoIterator<Item = Vec<Datum>>) -> Self {
        Self { rows: rows.into_iter().collect(), current: Vec::new() }
    }
}

impl Rows for StoredRows {
    fn next(&mut self) -> Result<bool, SqlError> {
        match self.rows.pop_front() {
            Some(row) => {
                self.current = row;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn column(&self, index: usize) -> DatumRef<'_> {
        self.current.get(index).map_or(DatumRef::Null, Datum::as_ref)
    }

    fn width(&self) -> usize {
        self.current.len()
    }
}

impl<R: Rows> Rows for RowSource<R> {
    fn next(&mut self) -> Result<bool, SqlError> {
        match self {
            Self::Live(rows) => rows.next(),
            Self::Stored(rows) => rows.next(),
        }
    }

    fn column(&self, index: usize) -> DatumRef<'_> {
        match self {
            Self::Live(rows) => rows.column(index),
            Self::Stored(rows) => rows.column(index),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Live(rows) => rows.width(),
            Self::Stored(rows) => rows.width(),
        }
    }
}

/// How the tag of a statement that returns rows is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowTag {
    /// The word and the number of rows sent: `SELECT 3`, `FETCH 3`.
    Counted(&'static str),
    /// The word, and a count known beforehand: `INSERT 0 3`.
    Known(&'static str, u64),
    /// The word alone: `SHOW`.
    Bare(&'static str),
}

impl RowTag {
    /// The tag after `sent` rows.
    #[must_use]
    pub(super) fn text(self, sent: u64) -> String {
        match self {
            Self::Counted(word) => format!("{word} {sent}"),
            Self::Known(word, count) => format!("{word} {count}"),
            Self::Bare(word) => word.to_owned(),
        }
    }
}

/// What running a plan came to.
pub(super) enum Ran<R> {
    /// Rows to send, then a tag.
    Rows(RowSource<R>, RowTag),
    /// Nothing to send but the tag.
    Done(String),
    /// An empty statement.
    Empty,
    /// The client is to send copy data.
    CopyIn(Box<super::copying::CopyIn>),
    /// Copy data to send, then a tag.
    CopyOut(RowSource<R>, Arc<Plan>),
}

/// Where a portal stands.
pub(super) enum PortalState<R> {
    /// Not yet run.
    Ready,
    /// Rows are under way.
    Open(RowSource<R>, RowTag),
    /// Run to its end.
    Done,
    /// Its query failed.
    Failed,
}

/// Result formats as `Bind` gives them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Formats(pub Vec<i16>);

impl Formats {
    /// Format code of a column.
    #[must_use]
    pub(super) fn of(&self, column: usize) -> i16 {
        match self.0.as_slice() {
            [] => 0,
            [all] => *all,
            each => each.get(column).copied().unwrap_or(0),
        }
    }
}

/// Whether a cursor may move backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    /// `SCROLL`: over all rows.
    Yes,
    /// Neither was said: as long as what it has to keep for that is small.
    WhileSmall,
    /// `NO SCROLL`.
    No,
}

/// What a cursor of `DECLARE` is beyond a portal.
#[derive(Clone, Debug)]
pub(super) struct CursorInfo {
    /// Text of the `DECLARE`.
    pub text: Arc<str>,
    /// `WITH HOLD`.
    pub hold: bool,
    /// `BINARY`.
    pub binary: bool,
    /// Whether it may move backward.
    pub scroll: Scroll,
    /// When it was declared, microseconds since 2000-01-01.
    pub declared_us: i64,
    /// Rows fetched so far, kept only where the cursor may move backward.
    pub seen: Vec<Vec<Datum>>,
    /// How large those are.
    pub kept: KeptBytes,
    /// Number of the current row, from 1; 0 is before the first.
    pub at: usize,
    /// Its transaction has committed and it lives on; no row needs to be computed any more.
    pub held: bool,
    /// The tables whose row numbers follow its columns.
    pub tables: Vec<Oid>,
    /// The row that it stands on, where it keeps no others.
    pub current: Option<Vec<Datum>>,
}

/// A portal.
pub(super) struct Portal<R> {
    /// What it runs.
    pub plan: Arc<Plan>,
    /// Parameter values in storage form.
    pub parameters: Vec<Datum>,
    /// Formats of its result columns.
    pub formats: Formats,
    /// Its result columns, if it returns rows.
    pub columns: Option<Arc<[ResultColumn]>>,
    /// Where it stands.
    pub state: PortalState<R>,
    /// What `DECLARE` said, for a cursor.
    pub cursor: Option<Box<CursorInfo>>,
    /// How many savepoints there were when it was made, of those that still are: it goes with the last of them.
    pub depth: usize,
}

impl<R: Rows> Portal<R> {
    /// Computes and keeps all rows that are left, so that nothing that happens in the transaction reaches them.
    ///
    /// # Errors
    /// What computing them raises; 53200 for more than [`KEPT_BYTES_MAX`].
    pub(super) fn compute_rest(&mut self) -> Result<(), SqlError> {
        let PortalState::Open(source, _) = &mut self.state else { return Ok(()) };
        let RowSource::Live(rows) = source else { return Ok(()) };
        let (mut rest, mut kept) = (VecDeque::new(), KeptBytes::default());
        while rows.next()? {
            let row: Vec<Datum> = (0..rows.width()).map(|at| rows.column(at).to_datum()).collect();
            kept.add(&row)?;
            rest.push_back(row);
        }
        *source = RowSource::Stored(StoredRows { rows: rest, current: Vec::new() });
        Ok(())
    }
}

impl<R> Portal<R> {
    /// Whether it is a cursor that outlives transactions.
    #[must_use]
    pub(super) fn is_held(&self) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| cursor.held)
    }
}

/// Writes the values of one result column.
#[derive(Clone, Copy)]
pub(super) struct ColumnEncoder {
    oid: Oid,
    encode: Encoder,
}

impl ColumnEncoder {
    /// An encoder for values of a type, in its binary or text form.
    #[must_use]
    pub(super) fn new(oid: Oid, binary: bool) -> Self {
        Self { oid, encode: encoder(oid, binary) }
    }

    /// Appends a value that is not NULL.
    ///
    /// # Errors
    /// XX000 if what is stored is not a value of the type.
    pub(super) fn encode(
        &self,
        value: DatumRef<'_>,
        types: &TypeContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        (self.encode)(self.oid, value, types, out)
    }
}

impl Prepared {
    /// The statement's row in `pg_prepared_statements`.
    pub(super) fn live_row(&self, name: &str) -> Vec<Datum> {
        let parsed = self.statement.as_ref().map_or("", |statement| statement.text.as_str());
        let text = self.from_sql.as_deref().unwrap_or(parsed);
        let types: Vec<u32> = self.plan.parameters.iter().map(|oid| oid.0).collect();
        vec![
            Datum::Text(name.to_owned()),
            Datum::Text(text.to_owned()),
            Datum::Integer(self.prepared_us),
            Datum::Text(serde_json::json!(types).to_string()),
            Datum::Integer(i64::from(self.from_sql.is_some())),
            Datum::Integer(0),
            Datum::Integer(0),
        ]
    }
}

impl CursorInfo {
    /// The cursor's row in `pg_cursors`.
    pub(super) fn live_row(&self, name: &str) -> Option<Vec<Datum>> {
        Some(vec![
            Datum::Text(name.to_owned()),
            Datum::Text(self.text.to_string()),
            Datum::Integer(i64::from(self.hold)),
            Datum::Integer(i64::from(self.binary)),
            Datum::Integer(i64::from(self.scroll != Scroll::No)),
            Datum::Integer(self.declared_us),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_rows_are_bounded_by_their_bytes() {
        let mut kept = KeptBytes::default();
        let row = vec![Datum::Integer(1), Datum::Text("x".repeat(KEPT_BYTES_MAX / 4))];
        for _ in 0..3 {
            kept.add(&row).unwrap();
        }
        assert_eq!(kept.add(&row).unwrap_err().state, SqlState::OUT_OF_MEMORY);
    }
}
