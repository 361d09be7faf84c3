//! Selects in two layers: the inner one yields what the outer one starts from.
//!
//! Set-returning functions of a select list run over the groups and windows of their query, and window functions over its
//! grouping sets:
//!
//! ```text
//!   SELECT a, count(*), generate_series(1, 2) FROM t GROUP BY a ORDER BY a
//!   SELECT s.c1, s.c2, g FROM (SELECT a, count(*), row_number() OVER (ORDER BY a) FROM t GROUP BY a) s, generate_series(1, 2) g
//!   ORDER BY s.c3, g's row
//! ```
//!
//! An expression moves to the inner layer as far as it holds nothing of the outer one, and is read from there as a column.

use super::binder::Binder;
use super::from::output_columns;
use super::query::plain_query;
use super::tree::{
    At, Body, Cte, Distinct, Expr, FromItem, Node, Query, Relation, RelationId, Select, SortBy,
    SortKey, Source, Window,
};
use crate::builtin::Volatility;
use crate::error::SqlError;

/// What only the outer layer computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outer {
    /// Window functions.
    Windows,
    /// The set-returning functions that are this relation.
    Sets(RelationId),
    /// Volatile functions, which run once the rows are in order.
    Volatile,
}

impl Outer {
    fn holds(self, expr: &Expr) -> bool {
        match (self, &expr.node) {
            (Self::Windows, Node::Aggregate(call)) => call.over.is_some(),
            (Self::Sets(sets), Node::Column(relation, _) | Node::WholeRow(relation)) => {
                *relation == sets
            }
            (Self::Volatile, Node::Call(call)) => call.row.volatility == Volatility::Volatile,
            _ => false,
        }
    }

    /// Whether an expression holds something of the outer layer.
    pub(crate) fn is_in(self, expr: &Expr) -> bool {
        expr.any(&mut |it| self.holds(it))
    }
}

/// The outputs of an inner layer, as a relation of the outer one.
struct Inner {
    id: RelationId,
    items: Vec<Expr>,
    outer: Outer,
}

impl Inner {
    /// Moves what holds nothing of the outer layer to the inner one.
    fn lift(&mut self, expr: &mut Expr) {
        if !self.outer.is_in(expr) {
            if reads_rows(expr) {
                *expr = self.output(expr.clone());
            }
            return;
        }
        match &mut expr.node {
            Node::Aggregate(call) => call.parts_mut().into_iter().for_each(|part| self.lift(part)),
            _ => expr.children_mut().into_iter().for_each(|child| self.lift(child)),
        }
    }

    /// An output of the inner layer, as the outer one reads it.
    fn output(&mut self, expr: Expr) -> Expr {
        let (type_oid, typmod, at) = (expr.type_oid, expr.typmod, expr.at);
        let known = self.items.iter().position(|item| *item == expr);
        let index = known.unwrap_or_else(|| {
            self.items.push(expr);
            self.items.len() - 1
        });
        let node = Node::Column(self.id, u16::try_from(index).unwrap_or(u16::MAX));
        Expr { node, type_oid, typmod, at }
    }
}

/// Whether an expression depends on a row or a group.
fn reads_rows(expr: &Expr) -> bool {
    expr.any(&mut |it| {
        let leaf = matches!(
            it.node,
            Node::Column(..) | Node::WholeRow(_) | Node::Aggregate(_) | Node::Grouping(_)
        );
        leaf || it.query().is_some()
    })
}

/// A key by the expression of the output that it names.
fn by_expression(key: &SortKey, items: &[Expr]) -> SortKey {
    match &key.by {
        SortBy::Output(index) => SortKey { by: SortBy::Expr(items[*index].clone()), ..key.clone() },
        SortBy::Expr(_) => key.clone(),
    }
}

impl Binder<'_> {
    /// Makes two layers of a select. `finish` makes the query of the inner one.
    ///
    /// # Errors
    /// Those of `finish`; 0A000 where a subquery that stays outside reads what is inside.
    pub(crate) fn layered(
        &mut self,
        mut query: Query,
        outer: Outer,
        finish: impl FnOnce(&mut Self, Query) -> Result<Query, SqlError>,
    ) -> Result<Query, SqlError> {
        let Body::Select(select) = query.body else {
            return Err(SqlError::unsupported("this query in two layers"));
        };
        let mut select = *select;
        let mut inner = Inner { id: self.inner_relation(), items: Vec::new(), outer };
        let mut rank = None;
        if let Outer::Sets(sets) = outer {
            self.lift_calls(sets, &mut inner);
            rank = self.rank_of_rows(&mut query.order_by, &select, &mut inner);
        }
        let shown = select.items.clone();
        for item in &mut select.items {
            inner.lift(item);
        }
        let mut first_rows = (Distinct::No, Vec::new());
        if self.is_distinct_below(outer, &select, &query.order_by) {
            let keys = query.order_by.iter().map(|key| by_expression(key, &shown));
            first_rows = (std::mem::replace(&mut select.distinct, Distinct::No), keys.collect());
        } else if let Distinct::On(keys) = &mut select.distinct {
            keys.iter_mut().for_each(|key| inner.lift(key));
        }
        for key in &mut query.order_by {
            if let SortBy::Expr(expr) = &mut key.by {
                inner.lift(expr);
            }
        }
        if let Some(rank) = rank {
            query.order_by = vec![rank];
        }
        if let Outer::Sets(sets) = outer
            && !query.order_by.is_empty()
            && select.distinct != Distinct::Rows
        {
            query.order_by.push(self.set_order(sets));
        }
        let mut from = vec![FromItem::Relation(inner.id)];
        if let Outer::Sets(sets) = outer {
            from.push(FromItem::Relation(sets));
        }
        let names = (0..inner.items.len()).map(|index| format!("c{}", index + 1));
        let columns =
            inner.items.iter().zip(names).map(|(item, name)| self.output_column(item, name));
        let columns = columns.collect();
        let (distinct, order_by) = first_rows;
        let body = Select { distinct, items: inner.items, ..select.clone() };
        let body = plain_query(Body::Select(Box::new(body)), columns);
        let bound = finish(self, Query { order_by, ..body })?;
        let relation = self.relations.get_mut(inner.id);
        relation.columns = output_columns(&bound.columns);
        relation.source = Source::Query(Box::new(bound));
        let Select { distinct, items, .. } = select;
        let select = Select { distinct, ..Select::of(items, from) };
        Ok(Query { body: Body::Select(Box::new(select)), ..query })
    }

    /// `WITH TIES` of a query that is ordered by window functions ranks rows by the outputs of a query inside: no window function
    /// may be inside of another.
    pub(crate) fn ties_of_windows(&mut self, mut query: Query) -> Query {
        if !query.with_ties {
            return query;
        }
        let Body::Select(select) = &query.body else { return query };
        let by_window = query.order_by.iter().any(|key| match &key.by {
            SortBy::Output(at) => Outer::Windows.is_in(&select.items[*at]),
            SortBy::Expr(expr) => Outer::Windows.is_in(expr),
        });
        if !by_window {
            return query;
        }
        let mut select = (**select).clone();
        let shown = select.items.len();
        let clauses = self.take_outer_clauses(&mut select, &mut query);
        let Query { ctes, columns, limit, offset, with_ties, lateral, .. } = query;
        let inner = plain_query(Body::Select(Box::new(select)), columns);
        let outer = self.around_outputs(inner, clauses, shown);
        Query { ctes, limit, offset, with_ties, lateral, ..outer }
    }

    /// Lets the volatile outputs of an ordered query be computed when its rows are in order, and for those that LIMIT leaves.
    /// Those that are ordered by are computed before.
    pub(crate) fn volatile_after_sort(&mut self, query: Query) -> Query {
        if query.order_by.is_empty() {
            return query;
        }
        let Body::Select(select) = &query.body else { return query };
        if select.distinct != Distinct::No {
            return query;
        }
        let is_key = |at: usize| query.order_by.iter().any(|key| key.by == SortBy::Output(at));
        let items = select.items.iter().enumerate();
        let late = items.map(|(at, item)| Outer::Volatile.is_in(item) && !is_key(at));
        let late: Vec<bool> = late.collect();
        if !late.contains(&true) {
            return query;
        }
        let mut select = (**select).clone();
        let Query { mut ctes, columns, order_by, limit, offset, with_ties, lateral, .. } = query;
        let outer = Outer::Volatile;
        let mut inner = Inner { id: self.inner_relation(), items: Vec::new(), outer };
        let mut shown = std::mem::take(&mut select.items);
        let mut places = vec![0; shown.len()];
        for ((item, late), place) in shown.iter_mut().zip(&late).zip(&mut places) {
            if *late {
                inner.lift(item);
                continue;
            }
            // Each is one of its own, even if another looks the same.
            *place = inner.items.len();
            inner.items.push(item.clone());
            item.node = Node::Column(inner.id, u16::try_from(*place).unwrap_or(u16::MAX));
        }
        let order_by = order_by.into_iter().map(|key| match key.by {
            SortBy::Output(at) => SortKey { by: SortBy::Output(places[at]), ..key },
            SortBy::Expr(_) => key,
        });
        if inner.items.is_empty() {
            inner.items.push(Expr::int4(1));
        }
        let Inner { id, items, .. } = inner;
        let names = (1..=items.len()).map(|number| format!("c{number}"));
        let outputs = items.iter().zip(names).map(|(item, name)| self.output_column(item, name));
        let outputs: Vec<_> = outputs.collect();
        let sorted = Query {
            ctes: Vec::new(),
            body: Body::Select(Box::new(Select { items, ..select })),
            columns: outputs,
            order_by: order_by.collect(),
            limit,
            offset,
            with_ties,
            lateral,
        };
        let sql_name = format!("w{}", self.fresh());
        let relation = self.relations.get_mut(id);
        relation.columns = output_columns(&sorted.columns);
        relation.source = Source::Cte(sql_name.clone());
        ctes.push(Cte { sql_name, query: sorted, recursive: false, materialized: Some(true) });
        let select = Select::over(id, shown);
        Query { ctes, lateral, ..plain_query(Body::Select(Box::new(select)), columns) }
    }

    /// Whether `DISTINCT ON` picks its rows before sets are made of them: where the order, too, is theirs.
    fn is_distinct_below(&self, outer: Outer, select: &Select, order_by: &[SortKey]) -> bool {
        let of_rows = |key: &SortKey| match &key.by {
            SortBy::Output(_) => true,
            SortBy::Expr(expr) => !outer.is_in(expr),
        };
        matches!(outer, Outer::Sets(_))
            && matches!(&select.distinct, Distinct::On(keys) if !keys.iter().any(|it| outer.is_in(it)))
            && !order_by.is_empty()
            && order_by.iter().all(of_rows)
    }

    /// A relation whose columns and source are not known yet.
    pub(super) fn inner_relation(&mut self) -> RelationId {
        let qualifier = self.fresh_qualifier();
        self.relations.add(Relation {
            alias: String::new(),
            qualifier,
            columns: Vec::new(),
            source: Source::Given,
            optional: false,
        })
    }

    /// Lifts the arguments of set-returning functions.
    fn lift_calls(&mut self, sets: RelationId, inner: &mut Inner) {
        let mut relation = self.relations.get(sets).clone();
        if let Source::Function(source) = &mut relation.source {
            for (call, _) in &mut source.calls {
                for argument in call.children_mut() {
                    inner.lift(argument);
                }
            }
        }
        *self.relations.get_mut(sets) = relation;
    }

    /// Where the order does not depend on the sets, the place of the inner row in it: the rows of one stay together.
    fn rank_of_rows(
        &self,
        order_by: &mut [SortKey],
        select: &Select,
        inner: &mut Inner,
    ) -> Option<SortKey> {
        if order_by.is_empty() || select.distinct != Distinct::No {
            return None;
        }
        let by_row = order_by.iter().all(|key| match &key.by {
            SortBy::Output(index) => !inner.outer.is_in(&select.items[*index]),
            SortBy::Expr(expr) => !inner.outer.is_in(expr),
        });
        if !by_row {
            return None;
        }
        let keys = order_by.iter().map(|key| by_expression(key, &select.items));
        let over = Window { order_by: keys.collect(), ..Window::default() };
        let number = super::window::row_number(over)?;
        let by = SortBy::Expr(inner.output(number));
        Some(SortKey { by, descending: false, nulls_first: false })
    }

    /// A key by which the rows of sets keep their order.
    fn set_order(&self, sets: RelationId) -> SortKey {
        let last = self.relations.get(sets).columns.len().saturating_sub(1);
        let column = self.column(sets, u16::try_from(last).unwrap_or(u16::MAX), At(0));
        SortKey { by: SortBy::Expr(column), descending: false, nulls_first: false }
    }
}
