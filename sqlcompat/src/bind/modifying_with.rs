//! Statements with WITH that modify data: in the WITH, in the main statement, or in both.
//!
//! The parts run in PostgreSQL's order: the main statement, before it the modifications that it reads, after it those that nothing
//! reads, the last one first (PostgreSQL's `ExecPostprocessPlan`). All see one snapshot: [`super::steps`] says how.
//!
//! A query of the WITH is written into each part that reads it. One that several parts read is a part of its own, run once.

use std::collections::BTreeSet;

use sqlparser::ast;

use super::binder::{Binder, Uses};
use super::context::BindContext;
use super::merge::Merge;
use super::modification::Modification;
use super::query::{modification_in, rename};
use super::scope::CteEntry;
use super::search_cycle::{Decorated, decorated};
use super::steps::{Rest, Returned, Steps};
use super::tree::{At, Cte, OutputColumn, Query};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::plan::{Plan, ResultColumn, WriteVerb};

/// A part of the statement.
struct Part<'a> {
    /// Name in SQLite; empty for the main statement.
    sql_name: String,
    /// Columns that others read.
    columns: Vec<OutputColumn>,
    /// What it does.
    body: Body<'a>,
    /// What it reads.
    uses: Uses,
}

/// What a part is.
enum Body<'a> {
    /// A query of the WITH.
    Cte(Box<Cte>),
    /// A modification.
    Modification(Box<Modification<'a>>),
    /// A `MERGE`.
    Merge(Box<Merge<'a>>),
    /// The main query.
    Query(Box<Query>),
}

/// Whether a statement modifies data under its WITH.
pub(crate) fn is_modifying(query: &ast::Query) -> bool {
    let in_with = query.with.as_ref().is_some_and(|with| {
        with.cte_tables.iter().any(|cte| modification_in(&cte.query).is_some())
    });
    in_with || modification_in(query).is_some()
}

/// Plans such a statement.
///
/// # Errors
/// What PostgreSQL's parse analysis reports; 0A000 for what is not translated.
pub(crate) fn plan(query: &ast::Query, text: &str, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let mut binder = Binder::new(cx, text);
    let mut parts = Vec::new();
    if let Some(with) = &query.with {
        binder.require_different_names(&with.cte_tables)?;
        for cte in decorated(&with.cte_tables) {
            parts.push(binder.with_part(&cte, with.recursive)?);
        }
    }
    let main = binder.main_part(query)?;
    parts.push(main);
    let (verb, columns) = result_of(&binder, &parts[parts.len() - 1]);
    let locks = binder.row_locks;
    let mut run = Run { order: order(&parts), places: vec![None; parts.len()], parts };
    let mut steps = Steps::new(binder);
    run.add_steps(&mut steps)?;
    let verb = if locks && verb == WriteVerb::Select { WriteVerb::Lock } else { verb };
    steps.finish(verb, columns)
}

/// Plans a `MERGE` without WITH.
///
/// # Errors
/// As [`plan`].
pub(crate) fn plan_merge(
    merge: &ast::Merge,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
    let mut binder = Binder::new(cx, text);
    let merge = binder.merge(merge)?;
    let mut steps = Steps::new(binder);
    steps.merge(&merge, &[], &Rest::default())?;
    steps.finish(WriteVerb::Merge, None)
}

/// The command tag's word and the result columns.
fn result_of(binder: &Binder<'_>, main: &Part<'_>) -> (WriteVerb, Option<Vec<ResultColumn>>) {
    match &main.body {
        Body::Query(query) => (WriteVerb::Select, Some(binder.result_columns(&query.columns))),
        Body::Modification(part) => {
            let returning = part.returning.as_ref();
            let columns = returning.map(|returning| binder.result_columns(&returning.columns));
            (part.change.verb(), columns)
        }
        Body::Merge(_) => (WriteVerb::Merge, None),
        Body::Cte(_) => (WriteVerb::Select, None),
    }
}

impl<'a> Binder<'a> {
    /// One part of the WITH, which is in sight from here on.
    fn with_part(
        &mut self,
        decorated: &Decorated<'_>,
        recursive: bool,
    ) -> Result<Part<'a>, SqlError> {
        let cte = decorated.cte;
        let Some(statement) = modification_in(&cte.query) else {
            let (bound, uses) =
                self.with_uses(|binder| binder.common_table(decorated, recursive))?;
            return Ok(Part {
                sql_name: bound.sql_name.clone(),
                columns: bound.query.columns.clone(),
                body: Body::Cte(Box::new(bound)),
                uses,
            });
        };
        if let ast::Statement::Merge(_) = statement {
            let message = "MERGE not supported in WITH query";
            let at = self.span_start(cte.alias.name.span);
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at.position()));
        }
        require_plain(&cte.query)?;
        let name = Self::name(&cte.alias.name);
        let sql_name = format!("w{}", self.fresh());
        let (part, uses) = self.with_uses(|binder| {
            let outer = binder.ctes.len();
            let scopes = std::mem::take(&mut binder.scopes);
            let own = match &cte.query.with {
                Some(with) => binder.with(with)?,
                None => Vec::new(),
            };
            let mut part = binder.modification(statement)?;
            part.ctes.splice(0..0, own);
            binder.scopes = scopes;
            binder.ctes.truncate(outer);
            Ok(part)
        })?;
        let has_rows = part.returning.is_some();
        let mut columns = part.returning.as_ref().map_or_else(Vec::new, |it| it.columns.clone());
        let names: Vec<String> =
            cte.alias.columns.iter().map(|column| Self::name(&column.name)).collect();
        if has_rows {
            rename(&mut columns, &names, (&name, self.span_start(cte.alias.name.span)))?;
        }
        self.ctes.push(CteEntry {
            name,
            sql_name: sql_name.clone(),
            columns: columns.clone(),
            records: Vec::new(),
            uses: (0, At(0)),
            barred: None,
            hidden: 0,
            has_rows,
        });
        Ok(Part { sql_name, columns, body: Body::Modification(Box::new(part)), uses })
    }

    /// What follows the WITH.
    fn main_part(&mut self, query: &ast::Query) -> Result<Part<'a>, SqlError> {
        let (body, uses) = self.with_uses(|binder| match modification_in(query) {
            Some(ast::Statement::Merge(merge)) => {
                require_plain(query)?;
                Ok(Body::Merge(Box::new(binder.merge(merge)?)))
            }
            Some(statement) => {
                require_plain(query)?;
                Ok(Body::Modification(Box::new(binder.modification(statement)?)))
            }
            None => {
                let rest = ast::Query { with: None, ..query.clone() };
                Ok(Body::Query(Box::new(binder.subquery(&rest)?)))
            }
        })?;
        Ok(Part { sql_name: String::new(), columns: Vec::new(), body, uses })
    }
}

/// Refuses clauses of a query around a modification.
fn require_plain(query: &ast::Query) -> Result<(), SqlError> {
    let plain = query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    if plain {
        return Ok(());
    }
    Err(SqlError::new(SqlState::SYNTAX_ERROR, "a data-modifying statement has no such clause"))
}

/// The parts by index in the order in which they run; queries that are written into one other part are not among them.
fn order(parts: &[Part<'_>]) -> Vec<usize> {
    let shared = shared(parts);
    let runs = |index: usize| !matches!(parts[index].body, Body::Cte(_)) || shared.contains(&index);
    let mut order = Vec::new();
    let main = parts.len() - 1;
    let unread = (0..main).rev().filter(|index| !matches!(parts[*index].body, Body::Cte(_)));
    for root in [main].into_iter().chain(unread) {
        add_in_order(parts, root, &mut order);
    }
    order.retain(|index| runs(*index));
    order
}

/// Adds a part after those that it reads.
fn add_in_order(parts: &[Part<'_>], index: usize, order: &mut Vec<usize>) {
    if order.contains(&index) {
        return;
    }
    for (other, part) in parts.iter().enumerate().take(index) {
        if parts[index].uses.ctes.contains(&part.sql_name) {
            add_in_order(parts, other, order);
        }
    }
    order.push(index);
}

/// The queries of the WITH that several parts read.
fn shared(parts: &[Part<'_>]) -> BTreeSet<usize> {
    let mut shared = BTreeSet::new();
    let mut readers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); parts.len()];
    for index in (0..parts.len()).rev() {
        let is_query = matches!(parts[index].body, Body::Cte(_));
        if is_query && readers[index].len() > 1 {
            shared.insert(index);
        }
        let by = if is_query && !shared.contains(&index) {
            readers[index].clone()
        } else {
            BTreeSet::from([index])
        };
        for (other, part) in parts.iter().enumerate().take(index) {
            if parts[index].uses.ctes.contains(&part.sql_name) {
                readers[other].extend(&by);
            }
        }
    }
    shared
}

/// The parts on their way to steps.
struct Run<'a> {
    parts: Vec<Part<'a>>,
    order: Vec<usize>,
    /// Where the rows of a part are, once it has run.
    places: Vec<Option<Returned>>,
}

impl<'a> Run<'a> {
    fn add_steps(&mut self, steps: &mut Steps<'a>) -> Result<(), SqlError> {
        for at in 0..self.order.len() {
            let index = self.order[at];
            let ctes = self.ctes_of(index, steps);
            let rest = self.rest(at);
            match &self.parts[index].body {
                Body::Cte(cte) => {
                    let step = steps.step(|lowering| {
                        lowering.ctes(&ctes)?;
                        lowering.query_of(cte)
                    })?;
                    steps.keep(step);
                    let width = self.parts[index].columns.len().max(1);
                    self.places[index] = Some(Returned { step, first: 1, width });
                }
                Body::Query(query) => {
                    let step = steps.step(|lowering| {
                        let mut query = (**query).clone();
                        query.ctes = ctes;
                        lowering.query(&query)
                    })?;
                    steps.show((Some(place(step, query.columns.len())), step));
                }
                Body::Merge(merge) => steps.merge(merge, &ctes, &rest)?,
                Body::Modification(part) => {
                    let done = steps.modify(part, &ctes, &rest)?;
                    self.places[index] = done.0;
                    if index + 1 == self.parts.len() {
                        steps.show(done);
                    }
                }
            }
        }
        Ok(())
    }

    /// The WITH of a part: what it reads, and what that reads.
    fn ctes_of(&self, index: usize, steps: &mut Steps<'a>) -> Vec<Cte> {
        let mut needed: BTreeSet<usize> = BTreeSet::new();
        let mut pending = vec![index];
        while let Some(reader) = pending.pop() {
            for (other, part) in self.parts.iter().enumerate().take(reader) {
                if self.parts[reader].uses.ctes.contains(&part.sql_name) && needed.insert(other) {
                    let inlined = self.places[other].is_none();
                    pending.extend(inlined.then_some(other));
                }
            }
        }
        let with = |other: usize| match (self.places[other], &self.parts[other].body) {
            (Some(place), _) => {
                let part = &self.parts[other];
                Some(steps.kept_cte(&part.sql_name, &part.columns, place))
            }
            (None, Body::Cte(cte)) => Some((**cte).clone()),
            (None, _) => None,
        };
        needed.into_iter().filter_map(with).collect()
    }

    /// What the parts after the one at `at` of the order do.
    fn rest(&self, at: usize) -> Rest {
        let mut rest = Rest::default();
        for later in &self.order[at + 1..] {
            rest.reads.extend(self.tables_read(*later));
            if let Body::Modification(part) = &self.parts[*later].body {
                rest.changes.push(part.target.table.oid);
            }
        }
        let name = &self.parts[self.order[at]].sql_name;
        rest.reads_returning =
            !name.is_empty() && self.parts.iter().any(|part| part.uses.ctes.contains(name));
        rest
    }

    /// The tables that a part reads, by itself and through queries of the WITH that are written into it.
    fn tables_read(&self, index: usize) -> Vec<Oid> {
        let mut found = self.parts[index].uses.tables.clone();
        for (other, part) in self.parts.iter().enumerate().take(index) {
            let inlined = matches!(part.body, Body::Cte(_)) && !self.order.contains(&other);
            if inlined && self.parts[index].uses.ctes.contains(&part.sql_name) {
                found.extend(self.tables_read(other));
            }
        }
        found
    }
}

fn place(step: usize, width: usize) -> Returned {
    Returned { step, first: 1, width }
}
