//! `WITH RECURSIVE`: a query that reads what it has yielded so far.
//!
//! SQLite recurs over one row at a time and wants the recursion named once, in the `FROM` of the recursive part itself. Parts of
//! that part which do not read the recursion move out of it where that changes nothing:
//!
//! ```text
//!   WITH RECURSIVE x AS (VALUES (1) UNION (WITH y AS (SELECT 2) SELECT n + 1 FROM x UNION SELECT * FROM y))
//!   WITH RECURSIVE x AS (WITH y AS (SELECT 2) VALUES (1) UNION SELECT * FROM y UNION SELECT n + 1 FROM x)
//! ```
//!
//! # Left out
//! A recursion that is read inside of a subquery, or by both parts of a set operation: it would have to be computed a
//! generation at a time (0A000).
//!
//! Source: PostgreSQL 15 manual, 7.8.2 (Recursive Queries), `queries-with`.

use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};

use super::binder::Binder;
use super::query::{limit_and_offset, order_keys, plain_query, rename};
use super::resolve::select_common_type;
use super::scope::{Barred, CteEntry};
use super::search_cycle::{Added, Decorated};
use super::select::first_aggregate;
use super::tree::{At, Body, OutputColumn, Query, RelationId, SetKind, SetOperation, Source};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

impl Binder<'_> {
    /// A CTE under `WITH RECURSIVE`: if it refers to itself, its first part gives the columns that the second sees.
    pub(super) fn recursive_cte(
        &mut self,
        (name, at): (&str, At),
        sql_name: &str,
        decorated: &Decorated<'_>,
        names: &[String],
    ) -> Result<(Query, Option<Added>), SqlError> {
        let query = &*decorated.cte.query;
        let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } =
            &*query.body
        else {
            let barred = Barred::NoUnion(at);
            let bound = self.barring(name, barred, |it| it.plain_cte(query, names, (name, at)))?;
            return Ok((bound, None));
        };
        let outer_ctes = self.ctes.len();
        let mut inner = match &query.with {
            Some(with) => self.barring(name, Barred::Subquery, |binder| binder.with(with))?,
            None => Vec::new(),
        };
        let mut first = self.barring(name, Barred::NonRecursiveTerm, |binder| {
            binder.nested(|binder| binder.body(left, &[]))
        })?;
        self.settle_unknown(&mut first)?;
        let mut columns = first.columns.clone();
        rename(&mut columns, names, (name, at))?;
        for column in &mut columns {
            column.origin = None;
            column.not_null = false;
        }
        let added = self.added_columns(decorated, &mut columns)?;
        let entry = CteEntry {
            name: name.to_owned(),
            sql_name: sql_name.to_owned(),
            columns: columns.clone(),
            records: Vec::new(),
            uses: (0, At(0)),
            barred: None,
            hidden: added.count(),
            has_rows: true,
        };
        self.ctes.push(entry.clone());
        let right_at = self.start_of(&**right);
        let second = self.nested(|binder| binder.body(right, &[]));
        let used = self.ctes.iter().rev().find(|it| it.sql_name == sql_name);
        let (uses, used_at) = used.map_or((0, At(0)), |it| it.uses);
        self.ctes.truncate(outer_ctes);
        let mut second = second?;
        if uses == 0 {
            return Ok((self.plain_cte(query, names, (name, at))?, None));
        }
        self.refuse_recursive_aggregate(&second, sql_name)?;
        self.refuse_misplaced_recursion(&second, &entry, (uses, used_at))?;
        self.refuse_ordered_recursion(query)?;
        let all = *set_quantifier == SetQuantifier::All;
        let own = columns.len() - added.count();
        second = self.fit_recursive(name, (&columns[..own], &first), second)?;
        if !second.ctes.iter().any(|cte| self.reads(&cte.query, sql_name)) {
            inner.append(&mut second.ctes);
        }
        if !all {
            (first, second) = self.move_out(first, second, sql_name);
        }
        // With SEARCH or CYCLE that is an error of theirs.
        let is_nested = !second.ctes.is_empty() || matches!(second.body, Body::SetOperation(_));
        if is_nested && decorated.is_plain() {
            return Err(SqlError::unsupported("a recursive reference inside of a subquery"));
        }
        if !decorated.is_plain() {
            self.add_to_first(&added, &mut first)?;
            self.add_to_second(&added, &entry, &mut second)?;
            first.columns.extend_from_slice(&columns[own..]);
        }
        let mut bound = self.combine(SetKind::Union, "UNION", all, first, second, right_at)?;
        bound.columns = columns;
        bound.ctes = inner;
        Ok((bound, Some(added)))
    }

    /// Runs `inner` where a WITH query of this name may not be referred to.
    pub(super) fn barring<T>(
        &mut self,
        name: &str,
        barred: Barred,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let at = self.ctes.len();
        self.ctes.push(CteEntry {
            name: name.to_owned(),
            sql_name: String::new(),
            columns: Vec::new(),
            records: Vec::new(),
            uses: (0, At(0)),
            barred: Some(barred),
            hidden: 0,
            has_rows: true,
        });
        let result = inner(self);
        if at < self.ctes.len() {
            self.ctes.remove(at);
        }
        result
    }

    /// 0A000 for what PostgreSQL has not of a recursion: an order, a count of rows, locks.
    fn refuse_ordered_recursion(&self, query: &ast::Query) -> Result<(), SqlError> {
        let (limit, offset) = limit_and_offset(query.limit_clause.as_ref())?;
        let key = order_keys(query.order_by.as_ref())?.first();
        let count = query.fetch.as_ref().map(|fetch| fetch.quantity.as_ref());
        let found = [
            key.map(|key| ("ORDER BY", Some(&key.expr))),
            offset.map(|offset| ("OFFSET", Some(offset))),
            limit.map(Some).or(count).map(|limit| ("LIMIT", limit)),
            query.locks.first().map(|_| ("FOR UPDATE/SHARE", None)),
        ];
        let Some((clause, expr)) = found.into_iter().flatten().next() else { return Ok(()) };
        let message = format!("{clause} in a recursive query is not implemented");
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
            .at(expr.and_then(|expr| self.expr_start(expr).position())))
    }

    /// The recursion may be read once, and not on the optional side of an outer join.
    fn refuse_misplaced_recursion(
        &self,
        part: &Query,
        entry: &CteEntry,
        (uses, at): (usize, At),
    ) -> Result<(), SqlError> {
        let select = match &part.body {
            Body::Select(select) => select,
            Body::SetOperation(_) => return self.refuse_recursive_operands(part, entry, at),
            Body::Values(_) => return Ok(()),
        };
        let mut relations = select.relations();
        relations.retain(|id| matches!(&self.relations.get(*id).source, Source::Cte(name) if *name == entry.sql_name));
        let place = match &relations[..] {
            // With SEARCH or CYCLE that is an error of theirs.
            [] if entry.hidden > 0 => return Ok(()),
            [] => return Err(SqlError::unsupported("a recursive reference inside of a subquery")),
            [only] if self.relations.get(*only).optional => "within an outer join",
            [_] if uses > 1 => "within a subquery",
            [_] => return Ok(()),
            _ => "more than once",
        };
        let name = &entry.name;
        let message = format!("recursive reference to query \"{name}\" must not appear {place}");
        Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(at.position()))
    }

    /// Of the operands of set operations one may read the recursion, and what EXCEPT takes away may not.
    fn refuse_recursive_operands(
        &self,
        part: &Query,
        entry: &CteEntry,
        at: At,
    ) -> Result<(), SqlError> {
        let mut found = 0;
        let mut place = None;
        // Each operand, and the operation that it may not be read within.
        let mut pending = vec![(part, None)];
        while let Some((query, within)) = pending.pop() {
            if let Body::SetOperation(operation) = &query.body {
                let of = |kind: SetKind| (operation.kind == kind).then_some(kind);
                let left = within.or(of(SetKind::Intersect).filter(|_| operation.all));
                let left = left.or(of(SetKind::Except).filter(|_| operation.all));
                let right = left.or(of(SetKind::Except));
                pending.extend([(&operation.right, right), (&operation.left, left)]);
                continue;
            }
            if self.reads(query, &entry.sql_name) {
                found += 1;
                place = place.or(match within {
                    Some(SetKind::Except) => Some("within EXCEPT"),
                    Some(SetKind::Intersect) => Some("within INTERSECT"),
                    Some(SetKind::Union) | None if found > 1 => Some("more than once"),
                    Some(SetKind::Union) | None => None,
                });
            }
        }
        let Some(place) = place else { return Ok(()) };
        let name = &entry.name;
        let message = format!("recursive reference to query \"{name}\" must not appear {place}");
        Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(at.position()))
    }

    /// Whether a query reads a CTE, anywhere inside.
    fn reads(&self, query: &Query, sql_name: &str) -> bool {
        let mut inside = Vec::new();
        query.relations_within(&self.relations, &mut inside);
        query.visit_all(&self.relations, &mut |expr| {
            if let Some(query) = expr.query() {
                query.relations_within(&self.relations, &mut inside);
            }
        });
        let is_read = |id: &RelationId| matches!(&self.relations.get(*id).source, Source::Cte(name) if name == sql_name);
        inside.iter().any(is_read)
    }

    /// Moves operands of the second part that do not read the recursion to the first part. Of a `UNION` that changes nothing as
    /// long as the first part has rows, so that the second is computed at all.
    fn move_out(&self, mut first: Query, mut second: Query, sql_name: &str) -> (Query, Query) {
        let has_rows = match &first.body {
            Body::Select(select) => select.from.is_empty() && select.filter.is_none(),
            Body::Values(_) => true,
            Body::SetOperation(_) => false,
        };
        let is_plain = |query: &Query| {
            query.ctes.is_empty()
                && query.order_by.is_empty()
                && query.limit.is_none()
                && query.offset.is_none()
        };
        if !has_rows || !is_plain(&first) {
            return (first, second);
        }
        loop {
            let constant = match &second.body {
                Body::SetOperation(it) if it.kind == SetKind::Union && is_plain(&second) => {
                    (!self.reads(&it.left, sql_name), !self.reads(&it.right, sql_name))
                }
                _ => (false, false),
            };
            if constant == (false, false) {
                return (first, second);
            }
            let Body::SetOperation(operation) = second.body else { return (first, second) };
            let SetOperation { kind, all, left, right } = *operation;
            let (moved, stays) = if constant.0 { (left, right) } else { (right, left) };
            let columns = first.columns.clone();
            let both = SetOperation { kind, all, left: first, right: moved };
            first = plain_query(Body::SetOperation(Box::new(both)), columns);
            second = stays;
        }
    }

    /// The part that reads the recursion may not aggregate it.
    fn refuse_recursive_aggregate(&self, part: &Query, sql_name: &str) -> Result<(), SqlError> {
        let Body::Select(select) = &part.body else { return Ok(()) };
        let found = select.items.iter().chain(&select.having).find_map(first_aggregate);
        match found {
            Some(at) if self.recursion_in(select, sql_name).is_some() => Err(SqlError::new(
                SqlState::INVALID_RECURSION,
                "aggregate functions are not allowed in a recursive query's recursive term",
            )
            .at(at.position())),
            Some(_) | None => Ok(()),
        }
    }

    /// The second part of a recursion must yield the first part's types as they are.
    fn fit_recursive(
        &mut self,
        name: &str,
        (columns, first): (&[OutputColumn], &Query),
        mut second: Query,
    ) -> Result<Query, SqlError> {
        for (index, column) in columns.iter().enumerate() {
            let Some(found) = second.columns.get(index) else { break };
            let (found, typmod) = (found.type_oid, found.typmod);
            if found == Oid::UNKNOWN {
                self.coerce_output(&mut second, index, column.type_oid, -1, CastContext::Implicit)?;
                continue;
            }
            let common = select_common_type(self.types, &[column.type_oid, found], "UNION")?;
            let same_modifier = column.typmod < 0 || column.typmod == typmod;
            if common == column.type_oid && same_modifier {
                continue;
            }
            let given = self.types.format_with_typmod(column.type_oid, column.typmod);
            let overall = self.types.format(common);
            let message = format!(
                "recursive query \"{name}\" column {} has type {given} in non-recursive term but \
                 type {overall} overall",
                index + 1
            );
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("Cast the output of the non-recursive term to the correct type.")
                .at(output_place(first, index).position()));
        }
        Ok(second)
    }
}

/// Where an output column of a query stands.
fn output_place(query: &Query, index: usize) -> At {
    let item = match &query.body {
        Body::Select(select) => select.items.get(index),
        Body::Values(rows) => rows.first().and_then(|row| row.get(index)),
        Body::SetOperation(operation) => return output_place(&operation.left, index),
    };
    item.map_or(At(0), |item| item.at)
}
