//! Subqueries over groups: what a query inside reads of the groups of the query around it.
//!
//! An aggregate belongs to the innermost query level whose columns its arguments read, though it stands in a subquery. SQLite
//! computes such a call in few places only, so the groups become a layer of their own, which subqueries read like a table:
//!
//! ```text
//!   SELECT a FROM t GROUP BY a HAVING EXISTS (SELECT FROM u WHERE u.x = sum(t.b))
//!   SELECT s.c1 FROM (SELECT a, sum(b) FROM t GROUP BY a) s WHERE EXISTS (SELECT FROM u WHERE u.x = s.c2)
//! ```
//!
//! So do the groups of several grouping sets, whose keys are NULL for subqueries, too, where a set lacks them.
//!
//! Source: PostgreSQL 15 manual, 4.2.7 (Aggregate Expressions).

use super::binder::Binder;
use super::from::output_columns;
use super::query::plain_query;
use super::tree::{
    Aggregate, Body, Distinct, Expr, Node, Query, RelationId, Select, SortBy, Source,
};
use super::walk::{query_expressions_mut, query_relations, sort_parts};
use crate::error::SqlError;

/// The groups of a select, as they become a relation of their own.
struct Groups<'s> {
    id: RelationId,
    /// What the relation yields.
    items: Vec<Expr>,
    /// The relations that are grouped.
    own: Vec<RelationId>,
    group_by: &'s [Expr],
    /// How many queries inside are being looked through.
    depth: usize,
}

impl Binder<'_> {
    /// The query level whose columns an aggregate reads: the innermost of them; `None` if it reads none, or such as are of a
    /// query that is bound already.
    pub(crate) fn level_of<'e>(&self, parts: impl IntoIterator<Item = &'e Expr>) -> Option<usize> {
        let mut level = None;
        for relation in self.read_from_outside(parts) {
            let found = self
                .scopes
                .iter()
                .rposition(|scope| scope.relations.iter().any(|it| it.id == relation));
            level = level.max(Some(found?));
        }
        level
    }

    /// The relations that expressions read and that are not of queries inside them.
    fn read_from_outside<'e>(&self, parts: impl IntoIterator<Item = &'e Expr>) -> Vec<RelationId> {
        let (mut read, mut inside) = (Vec::new(), Vec::new());
        for part in parts {
            part.visit_all(&self.relations, &mut |expr| match &expr.node {
                Node::Column(relation, _) | Node::WholeRow(relation) => read.push(*relation),
                Node::Let(it) => inside.push(it.relation),
                _ => {
                    if let Some(query) = expr.query() {
                        query.relations_within(&self.relations, &mut inside);
                    }
                }
            });
        }
        read.retain(|relation| !inside.contains(relation));
        read
    }

    /// Whether an aggregate, or the arguments of `GROUPING`, are of the innermost scope's level.
    fn is_own<'e>(&self, parts: impl IntoIterator<Item = &'e Expr>) -> bool {
        self.level_of(parts).is_some_and(|level| level + 1 == self.scopes.len())
    }

    /// Whether a call that stands in a query inside aggregates rows of the innermost scope.
    pub(crate) fn is_own_aggregate(&self, call: &Aggregate) -> bool {
        call.over.is_none() && self.is_own(call.arguments.iter().chain(&call.filter))
    }

    /// Whether queries inside read what only a layer of the groups can give them.
    pub(crate) fn needs_group_layer(&self, query: &Query, sets: bool) -> bool {
        let Body::Select(select) = &query.body else { return false };
        if !select.grouped {
            return false;
        }
        let own = select.relations();
        let sort_keys = sort_parts(&query.order_by);
        let shown = select.items.iter().chain(&select.having).chain(sort_keys);
        let mut needs = false;
        let mut look = |expr: &Expr| {
            needs |= match &expr.node {
                Node::Aggregate(call) => self.is_own_aggregate(call),
                Node::Grouping(arguments) => self.is_own(arguments),
                Node::Column(relation, _) | Node::WholeRow(relation) => {
                    sets && own.contains(relation)
                }
                _ => false,
            };
        };
        for expr in shown {
            expr.visit_all_inside(&self.relations, &mut look);
        }
        needs
    }

    /// Makes a layer of a select's groups. `finish` makes the query that yields them.
    ///
    /// # Errors
    /// Those of `finish`.
    pub(crate) fn with_group_layer(
        &mut self,
        mut query: Query,
        finish: impl FnOnce(&mut Self, Query) -> Result<Query, SqlError>,
    ) -> Result<Query, SqlError> {
        let Body::Select(select) = query.body else { return Ok(query) };
        let mut select = *select;
        let mut groups = Groups {
            id: self.inner_relation(),
            items: Vec::new(),
            own: select.relations(),
            group_by: &select.group_by,
            depth: 0,
        };
        for item in select.items.iter_mut().chain(&mut select.having) {
            self.lift_groups(item, &mut groups);
        }
        if let Distinct::On(keys) = &mut select.distinct {
            keys.iter_mut().for_each(|key| self.lift_groups(key, &mut groups));
        }
        for key in &mut query.order_by {
            if let SortBy::Expr(expr) = &mut key.by {
                self.lift_groups(expr, &mut groups);
            }
        }
        let Groups { id, mut items, .. } = groups;
        if items.is_empty() {
            items.push(Expr::int4(1));
        }
        let names = (1..=items.len()).map(|number| format!("c{number}"));
        let columns = items.iter().zip(names).map(|(item, name)| self.output_column(item, name));
        let columns = columns.collect();
        let Select { distinct, items: shown, from, filter, grouped, group_by, having } = select;
        let inner =
            Select { distinct: Distinct::No, items, from, filter, grouped, group_by, having: None };
        let inner = finish(self, plain_query(Body::Select(Box::new(inner)), columns))?;
        let relation = self.relations.get_mut(id);
        relation.columns = output_columns(&inner.columns);
        relation.source = Source::Query(Box::new(inner));
        let outer = Select { distinct, filter: having, ..Select::over(id, shown) };
        Ok(Query { body: Body::Select(Box::new(outer)), ..query })
    }

    /// Moves what is computed per group to the layer, from queries inside, too.
    fn lift_groups(&mut self, expr: &mut Expr, groups: &mut Groups<'_>) {
        let of_group = match &expr.node {
            Node::Literal(_) => false,
            _ if groups.group_by.contains(expr) => true,
            Node::Aggregate(call) => {
                self.is_own_aggregate(call) || (groups.depth == 0 && self.is_plain(call))
            }
            Node::Grouping(arguments) => self.is_own(arguments),
            Node::Column(relation, _) | Node::WholeRow(relation) => groups.own.contains(relation),
            _ => false,
        };
        if of_group {
            groups.read(expr);
            return;
        }
        if let Node::Aggregate(call) = &mut expr.node {
            call.parts_mut().into_iter().for_each(|part| self.lift_groups(part, groups));
            return;
        }
        expr.children_mut().into_iter().for_each(|child| self.lift_groups(child, groups));
        if let Some(query) = expr.query_mut() {
            self.lift_groups_within(query, groups);
        }
    }

    /// Whether an aggregate reads no columns at all: `count(*)` belongs to where it stands.
    fn is_plain(&self, call: &Aggregate) -> bool {
        call.over.is_none() && !self.reads_any(call.arguments.iter().chain(&call.filter))
    }

    /// Whether expressions read any relation that is not of a query inside them.
    pub(crate) fn reads_any<'e>(&self, parts: impl IntoIterator<Item = &'e Expr>) -> bool {
        !self.read_from_outside(parts).is_empty()
    }

    fn lift_groups_within(&mut self, query: &mut Query, groups: &mut Groups<'_>) {
        groups.depth += 1;
        for expr in query_expressions_mut(query) {
            self.lift_groups(expr, groups);
        }
        for relation in query_relations(query) {
            let given = Source::Given;
            let mut source = std::mem::replace(&mut self.relations.get_mut(relation).source, given);
            match &mut source {
                Source::Query(inner) | Source::OnlyRow(inner) => {
                    self.lift_groups_within(inner, groups);
                }
                Source::Function(function) => {
                    for (call, _) in &mut function.calls {
                        self.lift_groups(call, groups);
                    }
                }
                Source::Table(..) | Source::Cte(_) | Source::Given => {}
            }
            self.relations.get_mut(relation).source = source;
        }
        for cte in &mut query.ctes {
            self.lift_groups_within(&mut cte.query, groups);
        }
        groups.depth -= 1;
    }
}

impl Groups<'_> {
    /// Puts the layer's column in place of an expression.
    fn read(&mut self, expr: &mut Expr) {
        let known = self.items.iter().position(|item| item == expr);
        let index = known.unwrap_or_else(|| {
            self.items.push(expr.clone());
            self.items.len() - 1
        });
        expr.node = Node::Column(self.id, u16::try_from(index).unwrap_or(u16::MAX));
    }
}
