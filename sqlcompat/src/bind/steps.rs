//! Statements that SQLite runs in several steps.
//!
//! PostgreSQL runs all parts of a statement on one snapshot: a CTE that deletes, the query that reads what it returned, and a
//! subquery of that query see the tables as they were. SQLite has no such thing, and its RETURNING cannot be read by a
//! query. So a part becomes steps of a [`WritePlan`], which pass rows on through `trellis_kept(step)`
//! ([`crate::functions::KeptRows`]):
//!
//! ```text
//!   WITH d AS (DELETE FROM a USING b WHERE … RETURNING a.x, b.y) SELECT d.x, (SELECT count(*) FROM a) FROM d
//!
//!   0  SELECT a.rowid, a.*, a.x, b.y FROM a, b WHERE …         kept: the rows to be deleted, and what is returned
//!   1  DELETE FROM a WHERE rowid IN (SELECT c1 FROM trellis_kept(0))
//!   2  WITH d AS (SELECT c4, c5 FROM trellis_kept(0))
//!      SELECT d.x, (SELECT count(*) FROM (SELECT * FROM a WHERE … UNION ALL SELECT c2, c3 FROM trellis_kept(0))) FROM d
//! ```
//!
//! # Invariants
//! 1. A part that reads a table which an earlier one changed reads it as it was: without the rows that have come or changed,
//!    and with these rows' old images.
//! 2. A row that one part changed is not changed by another, as in PostgreSQL (manual, `queries-with` §7.8.4).
//! 3. What a part does only for later ones (row numbers, images) is left out where there are none.
//!
//! # Left out
//! Rows that a foreign key's action changes are kept whole, table by table: it costs a copy of such a table. The check of
//! a foreign key takes place after each step, not at the statement's end.

use std::collections::BTreeMap;

use super::binder::Binder;
use super::check_option::Checks;
use super::modification::{Change, Modification};
use super::query::plain_query;
use super::snapshot::{Before, image};
use super::target::{Returning, Target};
use super::tree::{
    Body, ColumnSql, Cte, Expr, FromItem, OutputColumn, Relation, RelationId, Relations, Select,
    Source,
};
use crate::error::SqlError;
use crate::functions::kept_table;
use crate::lower::{Lowering, quote_identifier};
use crate::oid::Oid;
use crate::plan::{Plan, PlanKind, ResultColumn, Step, WritePlan, WriteVerb};
use crate::schema::{Column, Table, TableKind};

/// The alias of kept rows in a step that changes a table; no table of a user's has this name.
pub(crate) const KEPT: &str = "trellis_kept";

/// Builds a statement's steps.
pub(crate) struct Steps<'a> {
    pub(crate) binder: Binder<'a>,
    steps: Vec<Step>,
    kept: Vec<usize>,
    rows_from: Option<usize>,
    count_from: Vec<usize>,
    /// Tables changed so far, as later parts are to see them.
    pub(crate) before: BTreeMap<Oid, Before>,
    targets: Vec<&'a Table>,
}

/// What the parts after a part do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    /// Tables that they read.
    pub(crate) reads: Vec<Oid>,
    /// Tables that they change.
    pub(crate) changes: Vec<Oid>,
    /// Something reads what this part returns.
    pub(crate) reads_returning: bool,
}

impl Rest {
    /// Whether they read or change a table.
    pub(crate) fn sees(&self, table: Oid) -> bool {
        self.reads.contains(&table) || self.changes.contains(&table)
    }
}

/// Where the rows are that a part returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned {
    /// Step.
    pub(crate) step: usize,
    /// Its first column, from 1.
    pub(crate) first: usize,
    /// Columns of the step.
    pub(crate) width: usize,
}

/// A list of columns of kept rows, built up.
#[derive(Default)]
pub(crate) struct KeptColumns(usize);

impl KeptColumns {
    /// Takes the next `count` columns; the first of them.
    pub(crate) fn take(&mut self, count: usize) -> usize {
        self.0 += count;
        self.0 + 1 - count
    }
}

impl<'a> Steps<'a> {
    /// No steps yet.
    pub(crate) fn new(binder: Binder<'a>) -> Self {
        Self {
            binder,
            steps: Vec::new(),
            kept: Vec::new(),
            rows_from: None,
            count_from: Vec::new(),
            before: BTreeMap::new(),
            targets: Vec::new(),
        }
    }

    /// A copy of the statement's relations, for a step that reads some of them otherwise.
    pub(crate) fn relations(&self) -> Relations {
        self.binder.relations.clone()
    }

    /// As [`Binder::read_of`].
    pub(crate) fn read_of(
        &self,
        expr: &Expr,
        of: &[RelationId],
        found: &mut Vec<(RelationId, u16)>,
    ) {
        self.binder.read_of(expr, of, found);
    }

    /// Adds a step; its index.
    ///
    /// # Errors
    /// What lowering reports.
    pub(crate) fn step(
        &mut self,
        write: impl FnOnce(&mut Lowering<'_>) -> Result<(), SqlError>,
    ) -> Result<usize, SqlError> {
        let relations = std::mem::take(&mut self.binder.relations);
        let result = self.step_over(&relations, write);
        self.binder.relations = relations;
        result
    }

    /// As [`Self::step`], over other relations than the binder's.
    ///
    /// # Errors
    /// What lowering reports.
    pub(crate) fn step_over(
        &mut self,
        relations: &Relations,
        write: impl FnOnce(&mut Lowering<'_>) -> Result<(), SqlError>,
    ) -> Result<usize, SqlError> {
        let mut lowering = Lowering::new(self.binder.types, relations);
        for (oid, before) in &self.before {
            if let Some(table) = self.binder.cx.catalog.tables.get(oid) {
                lowering.snapshot.insert(*oid, before.query(table));
            }
        }
        write(&mut lowering)?;
        self.steps.push(Step { sql: lowering.out });
        Ok(self.steps.len() - 1)
    }

    /// Keeps a step's rows for later ones.
    pub(crate) fn keep(&mut self, step: usize) {
        if !self.kept.contains(&step) {
            self.kept.push(step);
        }
    }

    /// Notes a table that is written.
    pub(crate) fn writes(&mut self, table: &'a Table) {
        self.targets.push(table);
    }

    /// Counts a step's changes for the command tag.
    pub(crate) fn count(&mut self, step: usize) {
        self.count_from.push(step);
    }

    /// Makes a part the one that the client hears of.
    pub(crate) fn show(&mut self, (returned, counted): (Option<Returned>, usize)) {
        self.rows_from = returned.map(|it| it.step);
        self.count_from.push(counted);
    }

    /// The plan.
    ///
    /// # Errors
    /// 42P18 for a parameter without a type.
    pub(crate) fn finish(
        self,
        verb: WriteVerb,
        columns: Option<Vec<ResultColumn>>,
    ) -> Result<Plan, SqlError> {
        let target = match &self.targets[..] {
            [only] => Some(only.oid),
            _ => None,
        };
        let temporary = |table: &&Table| table.kind == TableKind::Temporary;
        let kind = PlanKind::Write(WritePlan {
            steps: self.steps,
            rows_from: self.rows_from,
            count_from: self.count_from,
            kept: self.kept,
            restarts: Vec::new(),
            notices: Vec::new(),
            verb,
            target,
            writes_temporary_only: self.targets.iter().all(temporary),
            current_row: self.binder.current_row.clone(),
        });
        self.binder.finish(columns, kind)
    }

    /// A CTE over kept rows.
    pub(crate) fn kept_cte(
        &mut self,
        sql_name: &str,
        columns: &[OutputColumn],
        rows: Returned,
    ) -> Cte {
        let mut relation_columns = super::from::output_columns(columns);
        for (number, column) in (rows.first..).zip(&mut relation_columns) {
            column.sql = ColumnSql::Name(format!("c{number}"));
        }
        let source = Source::Table(kept_rows(rows.step, rows.width), Oid(0));
        let qualifier = self.binder.fresh_qualifier();
        let relation = Relation {
            alias: String::new(),
            qualifier,
            columns: relation_columns,
            source,
            optional: false,
        };
        let id = self.binder.relations.add(relation);
        let items = (0u16..).take(columns.len());
        let items = items.map(|index| self.binder.column(id, index, super::tree::At(0))).collect();
        let body = Body::Select(Box::new(Select::over(id, items)));
        let query = plain_query(body, columns.to_vec());
        let sql_name = sql_name.to_owned();
        Cte { sql_name, query, recursive: false, materialized: Some(true) }
    }

    /// Adds the steps of a modification; where its rows are, and the step that counts.
    ///
    /// # Errors
    /// What lowering reports.
    pub(crate) fn modify(
        &mut self,
        part: &Modification<'a>,
        ctes: &[Cte],
        rest: &Rest,
    ) -> Result<(Option<Returned>, usize), SqlError> {
        let table = part.target.table;
        self.writes(table);
        let ctes: Vec<Cte> = ctes.iter().chain(&part.ctes).cloned().collect();
        let checked_late = part.checks.is_late();
        let mut after = rest.clone();
        if checked_late {
            after.reads.extend(&part.checks.reads);
        }
        if let Some(returning) = &part.returning {
            after.reads.extend(&returning.uses.tables);
        }
        let rest = &after;
        self.keep_what_follows(part, rest)?;
        let late = part.returning.as_ref().is_some_and(|it| is_late(it, table.oid));
        let seen = rest.sees(table.oid)
            || checked_late
            || part.returning.as_ref().is_some_and(|it| it.uses.tables.contains(&table.oid));
        let result = match &part.change {
            Change::Insert(..) => self.insert(part, &ctes, seen, late)?,
            Change::Update { computed_first, .. } if seen || late || *computed_first => {
                self.staged_update(part, &ctes, seen, late)?
            }
            Change::Delete { .. } if seen || late || self.deletes_more(table) => {
                self.staged_delete(part, &ctes, seen)?
            }
            Change::Update { .. } | Change::Delete { .. } => {
                self.plain(part, &ctes, Rows::Items)?
            }
        };
        if let (Some(returned), true) = (result.0, rest.reads_returning) {
            self.keep(returned.step);
        }
        if checked_late {
            self.check_changed(part)?;
        }
        Ok(result)
    }

    /// Checks the rows that a modification has just changed, over the tables as they were.
    fn check_changed(&mut self, part: &Modification<'a>) -> Result<(), SqlError> {
        let table = part.target.table;
        let changed = self.before.get(&table.oid).and_then(|it| it.changed.last());
        let Some(changed) = changed.cloned() else { return Ok(()) };
        let name = quote_identifier(&table.physical_name);
        self.step(|lowering| {
            lowering.out.push_str("SELECT ");
            lowering.checks(&part.checks)?;
            lowering.out.push_str(" FROM ");
            lowering.target(part.target);
            lowering.push(format_args!(" AS {name} WHERE {name}.rowid IN ({changed})"));
            Ok(())
        })?;
        Ok(())
    }

    /// A modification as one step.
    fn plain(
        &mut self,
        part: &Modification<'a>,
        ctes: &[Cte],
        rows: Rows,
    ) -> Result<(Option<Returned>, usize), SqlError> {
        let items = part.returning.as_ref().filter(|_| rows != Rows::Numbers);
        let spared = self.spared(part.target.table);
        let step = self.step(|lowering| {
            lowering.ctes(ctes)?;
            lowering.modification(part, spared.as_deref())?;
            lowering.returned_by(items, rows != Rows::Items, &part.checks)
        })?;
        let returned = items.map(|returning| {
            let width = returning.items.len().max(1) + usize::from(rows == Rows::Both);
            Returned { step, first: 1, width }
        });
        Ok((returned, step))
    }

    fn insert(
        &mut self,
        part: &Modification<'a>,
        ctes: &[Cte],
        seen: bool,
        late: bool,
    ) -> Result<(Option<Returned>, usize), SqlError> {
        let rows = match (seen, late) {
            (_, true) => Rows::Numbers,
            (true, false) => Rows::Both,
            (false, false) => Rows::Items,
        };
        let (returned, step) = self.plain(part, ctes, rows)?;
        if rows == Rows::Items {
            return Ok((returned, step));
        }
        self.keep(step);
        let width = returned.map_or(1, |it| it.width);
        let numbers = format!("SELECT c{width} FROM {}", kept_rows(step, width));
        let table = part.target.table;
        self.before.entry(table.oid).or_default().changed.push(numbers);
        match &part.returning {
            Some(returning) if late => {
                let rows = format!("{} AS {KEPT}", kept_rows(step, width));
                let place = self.return_late(part.target, returning, ctes, &rows, 1, &[])?;
                Ok((Some(place), step))
            }
            _ => Ok((returned, step)),
        }
    }

    /// The items of a RETURNING, over rows that have been changed.
    fn return_late(
        &mut self,
        target: Target<'a>,
        returning: &Returning,
        ctes: &[Cte],
        rows: &str,
        number: usize,
        foreign: &[((RelationId, u16), usize)],
    ) -> Result<Returned, SqlError> {
        let relations = remapped(&self.binder.relations, foreign);
        let name = quote_identifier(&target.table.physical_name);
        let step = self.step_over(&relations, |lowering| {
            lowering.ctes(ctes)?;
            lowering.out.push_str("SELECT ");
            lowering.returned(&returning.items)?;
            lowering.push(format_args!(" FROM {rows} JOIN "));
            lowering.target(target);
            lowering.push(format_args!(" AS {name} ON {name}.rowid = {KEPT}.c{number}"));
            Ok(())
        })?;
        let width = returning.items.len().max(1);
        Ok(Returned { step, first: 1, width })
    }

    /// An `UPDATE` of rows that are computed first.
    fn staged_update(
        &mut self,
        part: &Modification<'a>,
        ctes: &[Cte],
        seen: bool,
        late: bool,
    ) -> Result<(Option<Returned>, usize), SqlError> {
        let Change::Update { assigned, from, filter, computed_first: _ } = &part.change else {
            return self.plain(part, ctes, Rows::Items);
        };
        let target = part.target;
        let foreign = part.returning.as_ref().filter(|_| late).map_or(&[][..], |it| &it.foreign);
        let mut columns = KeptColumns::default();
        let number = columns.take(1);
        let images = columns.take(if seen { target.table.columns.len() } else { 0 });
        let values = columns.take(assigned.len());
        let others = columns.take(foreign.len());
        let width = columns.0;
        let found = self.found_rows(part, from, filter.as_ref(), ctes, seen, &mut |lowering| {
            for (column, value) in assigned {
                lowering.out.push_str(", ");
                lowering.stored_value(target.table, column, value)?;
            }
            for (relation, index) in foreign {
                lowering.out.push_str(", ");
                lowering.column(*relation, *index);
            }
            Ok(())
        })?;
        let rows = format!("{} AS {KEPT}", kept_rows(found, width));
        let items = part.returning.as_ref().filter(|_| !late);
        let step = self.step(|lowering| {
            lowering.update_from_kept(target, assigned, values, &rows);
            lowering.returned_by(items, seen, &part.checks)
        })?;
        let given = items.map_or(0, |it| it.items.len().max(1)) + usize::from(seen);
        if seen {
            self.keep(step);
            let before = self.before.entry(target.table.oid).or_default();
            before.changed.push(format!("SELECT c{given} FROM {}", kept_rows(step, given)));
            before.images.push(image(target.table, found, images, width));
        }
        let Some(returning) = &part.returning else { return Ok((None, step)) };
        if !late {
            return Ok((Some(Returned { step, first: 1, width: given }), step));
        }
        let key = target.table.integer_key().map(|key| key.attnum);
        let moved = assigned.iter().position(|(column, _)| Some(column.attnum) == key);
        let number = moved.map_or(number, |index| values + index);
        let foreign: Vec<_> = foreign.iter().copied().zip(others..).collect();
        let place = self.return_late(target, returning, ctes, &rows, number, &foreign)?;
        Ok((Some(place), step))
    }

    /// A `DELETE` of rows that are computed first, with what is returned of them. Its count is theirs: a foreign key's action
    /// may delete some before their turn comes.
    fn staged_delete(
        &mut self,
        part: &Modification<'a>,
        ctes: &[Cte],
        seen: bool,
    ) -> Result<(Option<Returned>, usize), SqlError> {
        let Change::Delete { using, filter } = &part.change else {
            return self.plain(part, ctes, Rows::Items);
        };
        let target = part.target;
        let items = part.returning.as_ref().map_or(&[][..], |it| &it.items);
        let mut columns = KeptColumns::default();
        columns.take(1);
        let images = columns.take(if seen { target.table.columns.len() } else { 0 });
        let first = columns.take(items.len());
        let width = columns.0;
        let found = self.found_rows(part, using, filter.as_ref(), ctes, seen, &mut |lowering| {
            items.iter().try_for_each(|item| {
                lowering.out.push_str(", ");
                lowering.expr(item)
            })
        })?;
        let rows = kept_rows(found, width);
        self.step(|lowering| {
            lowering.out.push_str("DELETE FROM ");
            lowering.target(target);
            lowering.push(format_args!(" WHERE rowid IN (SELECT c1 FROM {rows})"));
            Ok(())
        })?;
        if seen {
            let before = self.before.entry(target.table.oid).or_default();
            before.images.push(image(target.table, found, images, width));
        }
        if part.returning.is_none() {
            return Ok((None, found));
        }
        let shown = self.step(|lowering| {
            let list: Vec<String> = (first..).take(items.len()).map(|n| format!("c{n}")).collect();
            let list = if list.is_empty() { "NULL".to_owned() } else { list.join(", ") };
            lowering.push(format_args!("SELECT {list} FROM {rows}"));
            Ok(())
        })?;
        let width = items.len().max(1);
        Ok((Some(Returned { step: shown, first: 1, width }), found))
    }

    /// The rows that an UPDATE or DELETE means, kept: row number, image if wanted, and what `more` writes.
    fn found_rows(
        &mut self,
        part: &Modification<'a>,
        from: &[FromItem],
        filter: Option<&Expr>,
        ctes: &[Cte],
        images: bool,
        more: &mut dyn FnMut(&mut Lowering<'_>) -> Result<(), SqlError>,
    ) -> Result<usize, SqlError> {
        let target = part.target;
        let spared = self.spared(target.table);
        let name = quote_identifier(&target.table.physical_name);
        let step = self.step(|lowering| {
            lowering.ctes(ctes)?;
            // The first of the rows that a row of the target is joined with counts.
            let several = !from.is_empty();
            lowering.out.push_str(if several { "SELECT * FROM (SELECT " } else { "SELECT " });
            lowering.push(format_args!("{name}.rowid"));
            if images {
                for column in &target.table.columns {
                    let column = quote_identifier(&column.physical_name);
                    lowering.push(format_args!(", {name}.{column}"));
                }
            }
            more(lowering)?;
            if several {
                lowering.push(format_args!(
                    ", row_number() OVER (PARTITION BY {name}.rowid) AS trellis_n"
                ));
            }
            lowering.out.push_str(" FROM ");
            lowering.target(target);
            lowering.push(format_args!(" AS {name}"));
            if several {
                lowering.out.push_str(", ");
                lowering.items_of_from(from)?;
            }
            lowering.filter_spared(filter, &name, spared.as_deref())?;
            if several {
                lowering.out.push_str(") WHERE trellis_n = 1");
            }
            Ok(())
        })?;
        self.keep(step);
        Ok(step)
    }
}

/// What a plain modification returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// RETURNING's items, if there are any.
    Items,
    /// The items and the row's number.
    Both,
    /// The row's number.
    Numbers,
}

/// The table function over a step's rows.
pub(crate) fn kept_rows(step: usize, width: usize) -> String {
    format!("{}({step})", kept_table(width))
}

/// The relations with some columns read from kept rows.
pub(crate) fn remapped(relations: &Relations, columns: &[((RelationId, u16), usize)]) -> Relations {
    let mut relations = relations.clone();
    for ((relation, index), number) in columns {
        let column = &mut relations.get_mut(*relation).columns[usize::from(*index)];
        column.sql = ColumnSql::Constant(format!("{KEPT}.c{number}"));
    }
    relations
}

/// Whether a RETURNING reads what SQLite's cannot: other relations, CTEs, the target as it was.
fn is_late(returning: &Returning, target: Oid) -> bool {
    !returning.foreign.is_empty()
        || !returning.uses.ctes.is_empty()
        || returning.uses.tables.contains(&target)
}

impl Lowering<'_> {
    /// A modification without its WITH and RETURNING; `spared` are row numbers to leave alone.
    fn modification(
        &mut self,
        part: &Modification<'_>,
        spared: Option<&str>,
    ) -> Result<(), SqlError> {
        let target = part.target;
        let name = quote_identifier(&target.table.physical_name);
        match &part.change {
            Change::Insert(rows, conflict) => self.insert(target, rows, conflict.as_deref()),
            Change::Update { assigned, from, filter, computed_first: _ } => {
                self.out.push_str("UPDATE ");
                self.target(target);
                self.out.push_str(" SET ");
                self.assignments(target.table, assigned)?;
                self.from(from)?;
                self.filter_spared(filter.as_ref(), &name, spared)
            }
            Change::Delete { using, filter } => {
                self.out.push_str("DELETE FROM ");
                self.target(target);
                if using.is_empty() {
                    return self.filter_spared(filter.as_ref(), &name, spared);
                }
                // SQLite has no USING: the rows are found by a join first. Inside it the table has its own name as alias.
                self.push(format_args!(" WHERE rowid IN (SELECT {name}.rowid FROM "));
                self.target(target);
                self.push(format_args!(" AS {name}, "));
                self.items_of_from(using)?;
                self.filter_spared(filter.as_ref(), &name, spared)?;
                self.out.push(')');
                Ok(())
            }
        }
    }

    /// What a modification's RETURNING yields: the items, the row's number if wanted, and nothing for a row that passes the checks.
    fn returned_by(
        &mut self,
        items: Option<&Returning>,
        number: bool,
        checks: &Checks,
    ) -> Result<(), SqlError> {
        let mut separator = " RETURNING ";
        if let Some(returning) = items {
            self.returning(&returning.items)?;
            separator = ", ";
        }
        if number {
            self.push(format_args!("{separator}rowid"));
            separator = ", ";
        }
        if !checks.is_empty() && !checks.is_late() {
            self.out.push_str(separator);
            self.checks(checks)?;
        }
        Ok(())
    }

    /// ` WHERE …`, with the rows that are left alone excluded.
    fn filter_spared(
        &mut self,
        filter: Option<&Expr>,
        name: &str,
        spared: Option<&str>,
    ) -> Result<(), SqlError> {
        let Some(spared) = spared else { return self.filter(filter) };
        self.push(format_args!(" WHERE {name}.rowid NOT IN ({spared})"));
        if let Some(filter) = filter {
            self.out.push_str(" AND ");
            self.expr(filter)?;
        }
        Ok(())
    }

    /// `UPDATE t SET a = …, … FROM kept WHERE …`: values that were computed before, from the column `values` on.
    pub(crate) fn update_from_kept(
        &mut self,
        target: Target<'_>,
        assigned: &[(&Column, Expr)],
        values: usize,
        rows: &str,
    ) {
        let name = quote_identifier(&target.table.physical_name);
        self.out.push_str("UPDATE ");
        self.target(target);
        self.out.push_str(" SET ");
        for (index, (column, _)) in assigned.iter().enumerate() {
            let (comma, number) = (if index > 0 { ", " } else { "" }, values + index);
            let column = quote_identifier(&column.physical_name);
            self.push(format_args!("{comma}{column} = {KEPT}.c{number}"));
        }
        if let (true, Some(column)) = (assigned.is_empty(), target.table.columns.first()) {
            let column = quote_identifier(&column.physical_name);
            self.push(format_args!("{column} = {name}.{column}"));
        }
        self.push(format_args!(" FROM {rows} WHERE {name}.rowid = {KEPT}.c1"));
    }
}
