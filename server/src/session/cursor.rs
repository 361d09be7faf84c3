//! SQL cursors: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.
//!
//! A cursor is a portal with a query that is already running. One that only moves forward reads its rows as they are asked
//! for; one that may move backward keeps those it has read; one that is held over the end of its transaction reads the
//! rest before. Without `SCROLL` and `NO SCROLL`, PostgreSQL lets a cursor move backward if its plan happens to be able to;
//! here it may as long as that is cheap.
//!
//! # Bounds
//! A cursor that keeps rows keeps at most [`KEPT_ROWS_MAX`]; what it keeps, and what one `FETCH` returns, is at most
//! `portal::KEPT_BYTES_MAX` large. Beyond that it fails with 53200. One without `SCROLL` drops what it keeps above
//! [`UNASKED_ROWS_MAX`], and only moves forward from then on (55000).
//!
//! Source: PostgreSQL manual, `sql-declare`, `sql-fetch`, `sql-move`, `sql-close`.

use std::borrow::Cow;
use std::sync::Arc;

use trellis_sqlcompat::plan::{
    CurrentRow, DeclareStatement, FetchDirection, Plan, PlanKind, SessionStatement, WritePlan,
    WriteVerb,
};
use trellis_sqlcompat::{Datum, SqlError, SqlState};

use super::port::{Engine, Rows};
use super::portal::{
    CursorInfo, Formats, KeptBytes, Portal, PortalState, Ran, RowSource, RowTag, Scroll, StoredRows,
};
use super::session::Session;

/// Rows that one scrollable or held cursor may keep.
pub(super) const KEPT_ROWS_MAX: usize = 10_000_000;
/// Rows that a cursor keeps without having been asked to scroll.
const UNASKED_ROWS_MAX: usize = 1_000;

impl<E: Engine> Session<E> {
    /// Opens a cursor; `text` is the statement as written, `parameters` are its query's.
    pub(super) fn run_declare(
        &mut self,
        declare: &DeclareStatement,
        text: Arc<str>,
        parameters: &[Datum],
    ) -> Result<Ran<E::Rows>, SqlError> {
        if !declare.hold {
            self.transaction.require_block("DECLARE CURSOR")?;
        }
        let plan = Arc::new(declare.plan.clone());
        self.begin_statement();
        let (rows, scroll) = match &plan.kind {
            PlanKind::Query(step) => {
                self.supply_live(&plan)?;
                let scroll = match declare.scroll {
                    Some(true) => Scroll::Yes,
                    Some(false) => Scroll::No,
                    None => Scroll::WhileSmall,
                };
                (RowSource::Live(self.engine.open(&plan, step, parameters)?), scroll)
            }
            PlanKind::Write(write) if write.verb == WriteVerb::Lock => {
                (self.locked_rows(declare, &plan, write, parameters)?, Scroll::No)
            }
            _ => {
                let message = "DECLARE CURSOR must be used with a SELECT or VALUES command";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        };
        let cursor = CursorInfo {
            text,
            hold: declare.hold,
            binary: declare.binary,
            scroll,
            declared_us: self.now_us,
            seen: Vec::new(),
            kept: KeptBytes::default(),
            at: 0,
            held: false,
            tables: declare.tables.clone(),
            current: None,
        };
        let own = plan.columns.as_ref().map_or(0, Vec::len).saturating_sub(declare.tables.len());
        let columns = plan.columns.as_ref().map(|it| it.iter().take(own).cloned().collect());
        let portal = Portal {
            plan: Arc::clone(&plan),
            parameters: parameters.to_vec(),
            formats: Formats(vec![i16::from(declare.binary)]),
            columns,
            state: PortalState::Open(rows, RowTag::Counted("FETCH")),
            cursor: Some(Box::new(cursor)),
            depth: self.transaction.savepoints.len(),
        };
        self.keep_portal(declare.name.clone(), portal)?;
        Ok(Ran::Done("DECLARE CURSOR".to_owned()))
    }

    /// The rows of a `SELECT … FOR UPDATE`, which are locked when the cursor is declared.
    fn locked_rows(
        &mut self,
        declare: &DeclareStatement,
        plan: &Arc<Plan>,
        write: &WritePlan,
        parameters: &[Datum],
    ) -> Result<RowSource<E::Rows>, SqlError> {
        let refused = |message: &str, detail: &str| {
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(detail))
        };
        if declare.hold {
            let message = "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported";
            return refused(message, "Holdable cursors must be READ ONLY.");
        }
        if declare.scroll == Some(true) {
            let message = "DECLARE SCROLL CURSOR ... FOR UPDATE/SHARE is not supported";
            return refused(message, "Scrollable cursors must be READ ONLY.");
        }
        self.refuse_read_only("DECLARE ... FOR UPDATE/SHARE")?;
        if self.plan_as_writer(plan)?.is_some() {
            let message = "the schema changed while the cursor was declared";
            return Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message));
        }
        self.supply_live(plan)?;
        match self.run_write(plan, write, parameters)? {
            Ran::Rows(rows, _) => Ok(rows),
            _ => Ok(RowSource::Stored(StoredRows::default())),
        }
    }

    pub(super) fn run_fetch(
        &mut self,
        name: &str,
        direction: FetchDirection,
        move_only: bool,
    ) -> Result<Ran<E::Rows>, SqlError> {
        self.begin_statement();
        self.engine.resume()?;
        let portal = self.portals.get_mut(name).ok_or_else(|| no_cursor(name))?;
        if matches!(portal.state, PortalState::Failed) {
            return Err(cannot_run(name));
        }
        let fetched = portal.fetch(direction);
        if fetched.is_err() {
            portal.state = PortalState::Failed;
        }
        let rows = fetched?;
        if move_only {
            return Ok(Ran::Done(format!("MOVE {}", rows.len())));
        }
        Ok(Ran::Rows(RowSource::Stored(StoredRows::new(rows)), RowTag::Counted("FETCH")))
    }

    pub(super) fn run_close_cursor(
        &mut self,
        name: Option<&str>,
    ) -> Result<Ran<E::Rows>, SqlError> {
        match name {
            None => {
                self.portals.retain(|_, portal| portal.cursor.is_none());
                Ok(Ran::Done("CLOSE CURSOR ALL".to_owned()))
            }
            Some(name) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                Ok(Ran::Done("CLOSE CURSOR".to_owned()))
            }
        }
    }

    /// The formats in which a simple query sees a fetched row: a binary cursor's are binary.
    pub(super) fn cursor_formats(&self, plan: &Plan) -> Option<Formats> {
        let PlanKind::Session(SessionStatement::Fetch { cursor, .. }) = &plan.kind else {
            return None;
        };
        let portal = self.portals.get(cursor)?;
        portal.cursor.as_ref().map(|_| portal.formats.clone())
    }

    /// Before a commit: held cursors read the rest of their rows, all other portals end.
    pub(super) fn finish_portals_at_commit(&mut self) -> Result<(), SqlError> {
        self.portals.retain(|_, portal| portal.cursor.as_ref().is_some_and(|cursor| cursor.hold));
        for portal in self.portals.values_mut() {
            portal.hold()?;
        }
        Ok(())
    }
}

impl<R: Rows> Portal<R> {
    /// Moves as told and returns the rows passed over or stopped at.
    fn fetch(&mut self, direction: FetchDirection) -> Result<Vec<Vec<Datum>>, SqlError> {
        let keeps = self.cursor.as_ref().is_some_and(|cursor| cursor.scroll != Scroll::No);
        let rows = if keeps { self.fetch_kept(direction) } else { self.fetch_forward(direction) }?;
        if let Some(cursor) = &mut self.cursor
            && cursor.scroll == Scroll::WhileSmall
            && cursor.at >= cursor.seen.len()
            && cursor.seen.len() > UNASKED_ROWS_MAX
        {
            cursor.current = cursor.current().map(<[Datum]>::to_vec);
            cursor.scroll = Scroll::No;
            (cursor.seen, cursor.kept) = (Vec::new(), KeptBytes::default());
        }
        Ok(rows)
    }

    /// A cursor that only moves forward.
    fn fetch_forward(&mut self, direction: FetchDirection) -> Result<Vec<Vec<Datum>>, SqlError> {
        let at = self.cursor.as_ref().map_or(0, |cursor| cursor.at);
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let (skip, take) = match direction {
            FetchDirection::Forward(count) if count > 0 => (0, count),
            FetchDirection::Relative(offset) if offset > 0 => (offset - 1, 1),
            FetchDirection::Absolute(row) if row > at => (row - at - 1, 1),
            FetchDirection::Forward(_)
            | FetchDirection::Relative(_)
            | FetchDirection::Absolute(_) => return Err(forward_only()),
        };
        for _ in 0..skip {
            if self.next_row()?.is_none() {
                if let Some(cursor) = &mut self.cursor {
                    cursor.current = None;
                }
                return Ok(Vec::new());
            }
        }
        let (mut rows, mut kept) = (Vec::new(), KeptBytes::default());
        while i64::try_from(rows.len()).unwrap_or(i64::MAX) < take {
            match self.next_row()? {
                Some(row) => {
                    kept.add(&row)?;
                    rows.push(row);
                }
                None => break,
            }
        }
        if let Some(cursor) = &mut self.cursor {
            let reached = i64::try_from(rows.len()).is_ok_and(|count| count == take);
            cursor.current = rows.last().filter(|_| reached).cloned();
        }
        Ok(rows)
    }

    /// A cursor that keeps its rows: any direction.
    fn fetch_kept(&mut self, direction: FetchDirection) -> Result<Vec<Vec<Datum>>, SqlError> {
        let at = i64::try_from(self.cursor.as_ref().map_or(0, |cursor| cursor.at)).unwrap_or(0);
        match direction {
            FetchDirection::Forward(0) => self.row_at(at),
            FetchDirection::Forward(count) if count > 0 => {
                self.range(at + 1, at.saturating_add(count))
            }
            FetchDirection::Forward(count) => {
                self.read_to(at)?;
                let first = at.saturating_add(count).max(0);
                let mut rows: Vec<_> = self.slice(first, at - 1);
                rows.reverse();
                self.move_to(if at.saturating_add(count) < 1 { 0 } else { first });
                Ok(rows)
            }
            FetchDirection::Relative(offset) => self.row_at(at.saturating_add(offset)),
            FetchDirection::Absolute(row) if row < 0 => {
                self.read_to(i64::MAX)?;
                let count = self.cursor.as_ref().map_or(0, |cursor| cursor.seen.len());
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.row_at(count.saturating_add(row).saturating_add(1))
            }
            FetchDirection::Absolute(row) => self.row_at(row),
        }
    }

    /// Moves to a row and returns it, if there is one there.
    fn row_at(&mut self, row: i64) -> Result<Vec<Vec<Datum>>, SqlError> {
        self.read_to(row)?;
        self.move_to(row);
        Ok(self.slice(row, row))
    }

    /// Moves over rows `first` to `last` and returns them.
    fn range(&mut self, first: i64, last: i64) -> Result<Vec<Vec<Datum>>, SqlError> {
        self.read_to(last)?;
        let rows = self.slice(first, last);
        self.move_to(last);
        Ok(rows)
    }

    /// The kept rows from number `first` to number `last`, both from 1.
    fn slice(&self, first: i64, last: i64) -> Vec<Vec<Datum>> {
        let Some(cursor) = &self.cursor else { return Vec::new() };
        let first = usize::try_from(first.max(1)).unwrap_or(usize::MAX);
        let last = usize::try_from(last.max(0)).unwrap_or(usize::MAX).min(cursor.seen.len());
        cursor.seen.get(first - 1..last).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// Sets the current row, from 0 (before the first) to one past the last.
    fn move_to(&mut self, row: i64) {
        if let Some(cursor) = &mut self.cursor {
            cursor.at =
                usize::try_from(row.max(0)).unwrap_or(usize::MAX).min(cursor.seen.len() + 1);
        }
    }

    /// Reads on until row number `row` is kept, or the end.
    fn read_to(&mut self, row: i64) -> Result<(), SqlError> {
        let wanted = usize::try_from(row.max(0)).unwrap_or(usize::MAX);
        while self.cursor.as_ref().is_some_and(|cursor| cursor.seen.len() < wanted) {
            let Some(row) = self.step()? else { break };
            let Some(cursor) = &mut self.cursor else { break };
            if cursor.seen.len() >= KEPT_ROWS_MAX {
                let message = format!("a cursor cannot keep more than {KEPT_ROWS_MAX} rows");
                return Err(SqlError::new(SqlState::OUT_OF_MEMORY, message));
            }
            cursor.kept.add(&row)?;
            cursor.seen.push(row);
        }
        Ok(())
    }

    /// The next row of a forward-only cursor.
    fn next_row(&mut self) -> Result<Option<Vec<Datum>>, SqlError> {
        let row = self.step()?;
        if let Some(cursor) = &mut self.cursor {
            cursor.at += usize::from(row.is_some());
        }
        Ok(row)
    }

    fn step(&mut self) -> Result<Option<Vec<Datum>>, SqlError> {
        let width = self.plan.columns.as_ref().map_or(0, Vec::len);
        let PortalState::Open(rows, _) = &mut self.state else { return Ok(None) };
        if rows.next()? {
            return Ok(Some((0..width).map(|at| rows.column(at).to_datum()).collect()));
        }
        self.state = PortalState::Done;
        Ok(None)
    }

    /// Computes the remaining rows, so that the cursor no longer needs its transaction.
    fn hold(&mut self) -> Result<(), SqlError> {
        self.compute_rest()?;
        if let Some(cursor) = &mut self.cursor {
            cursor.held = true;
        }
        Ok(())
    }
}

/// The error of a portal whose query has failed.
pub(super) fn cannot_run(name: &str) -> SqlError {
    let message = format!("portal \"{name}\" cannot be run");
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

impl CursorInfo {
    /// The row that the cursor stands on.
    fn current(&self) -> Option<&[Datum]> {
        if self.scroll == Scroll::No {
            return self.current.as_deref();
        }
        self.seen.get(self.at.checked_sub(1)?).map(Vec::as_slice)
    }
}

impl<E: Engine> Session<E> {
    /// The parameters of a write, with the number of the row that `WHERE CURRENT OF` means.
    pub(super) fn with_current_row<'p>(
        &self,
        write: &WritePlan,
        parameters: &'p [Datum],
    ) -> Result<Cow<'p, [Datum]>, SqlError> {
        let Some(CurrentRow { cursor, table, name }) = &write.current_row else {
            return Ok(Cow::Borrowed(parameters));
        };
        let portal = self.portals.get(cursor).ok_or_else(|| no_cursor(cursor))?;
        let invalid = |message: String| SqlError::new(SqlState::INVALID_CURSOR_STATE, message);
        let Some(info) = &portal.cursor else {
            return Err(invalid(format!("cursor \"{cursor}\" is not a SELECT query")));
        };
        if info.held {
            return Err(invalid(format!(
                "cursor \"{cursor}\" is held from a previous transaction"
            )));
        }
        let locks = matches!(portal.plan.kind, PlanKind::Write(_));
        let mut places = info.tables.iter().enumerate().filter(|(_, it)| *it == table);
        let place = match (places.next(), places.next()) {
            (Some((place, _)), None) if locks || info.tables.len() == 1 => place,
            (Some(_), Some(_)) if locks => {
                return Err(invalid(format!(
                    "cursor \"{cursor}\" has multiple FOR UPDATE/SHARE references to table \"{name}\""
                )));
            }
            _ if locks => {
                return Err(invalid(format!(
                    "cursor \"{cursor}\" does not have a FOR UPDATE/SHARE reference to table \"{name}\""
                )));
            }
            _ => {
                return Err(invalid(format!(
                    "cursor \"{cursor}\" is not a simply updatable scan of table \"{name}\""
                )));
            }
        };
        let own = portal.columns.as_ref().map_or(0, |columns| columns.len());
        let number = info.current().and_then(|row| row.get(own + place)).cloned();
        let number = number
            .ok_or_else(|| invalid(format!("cursor \"{cursor}\" is not positioned on a row")))?;
        Ok(Cow::Owned(parameters.iter().cloned().chain([number]).collect()))
    }
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

fn forward_only() -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .with_hint("Declare it with SCROLL option to enable backward scan.")
}
