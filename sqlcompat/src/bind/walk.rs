//! Walking the typed tree: the direct subexpressions of a node, and the expressions of a query.

use super::tree::{
    Aggregate, Body, Expr, FrameBound, FromItem, Node, Quantity, Query, RelationId, Relations,
    Select, SortBy, SortKey, Source, Subscript, SubscriptIndex,
};
use crate::builtin::Volatility;

impl Expr {
    /// The direct subexpressions; queries inside are not entered, see `queries`.
    #[must_use]
    pub fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Literal(_)
            | Node::Unknown(_)
            | Node::Parameter(_)
            | Node::Column(..)
            | Node::WholeRow(_)
            | Node::Subquery(_)
            | Node::Exists(_)
            | Node::ArrayQuery(_) => Vec::new(),
            Node::Call(call) | Node::IsDistinct(call, _) | Node::NullIf(call) => {
                call.arguments.iter().collect()
            }
            Node::Relabel(it)
            | Node::Input(it)
            | Node::Output(it)
            | Node::ArrayCast(it)
            | Node::Not(it)
            | Node::IsNull(it, _)
            | Node::IsTruth(it, _, _)
            | Node::Field(it, _) => vec![it],
            Node::Domain(check) => vec![&check.value],
            Node::Grouping(terms)
            | Node::And(terms)
            | Node::Or(terms)
            | Node::Coalesce(terms)
            | Node::Extreme(_, terms)
            | Node::Array(terms)
            | Node::Row(terms)
            | Node::Composite(terms)
            | Node::InQuery(terms, _, _) => terms.iter().collect(),
            Node::Between(parts, _) => parts.iter().collect(),
            Node::InList(operand, list, _) => [&**operand].into_iter().chain(list).collect(),
            Node::Case(whens, otherwise) => whens
                .iter()
                .flat_map(|(test, result)| [test, result])
                .chain(otherwise.as_deref())
                .collect(),
            Node::Switch(operand, whens, otherwise) => [&**operand]
                .into_iter()
                .chain(whens.iter().flat_map(|(value, result)| [value, result]))
                .chain(otherwise.as_deref())
                .collect(),
            Node::Let(it) => vec![&it.value, &it.body],
            Node::Quantified(quantified) => {
                let array = match &quantified.over {
                    Quantity::Array(array) => Some(array),
                    Quantity::Query(_) => None,
                };
                quantified.call.arguments.iter().chain(array).collect()
            }
            Node::RowCompare(compare) => {
                compare.pairs.iter().flat_map(|call| &call.arguments).collect()
            }
            Node::Subscript(subscript) => subscript_parts(subscript),
            Node::Aggregate(aggregate) => aggregate_parts(aggregate),
        }
    }

    /// The direct subexpressions of a node outside aggregates, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.node {
            Node::Call(call) | Node::IsDistinct(call, _) | Node::NullIf(call) => {
                call.arguments.iter_mut().collect()
            }
            Node::Relabel(it)
            | Node::Input(it)
            | Node::Output(it)
            | Node::ArrayCast(it)
            | Node::Not(it)
            | Node::IsNull(it, _)
            | Node::IsTruth(it, _, _)
            | Node::Field(it, _) => vec![it],
            Node::Domain(check) => vec![&mut check.value],
            Node::And(terms)
            | Node::Or(terms)
            | Node::Coalesce(terms)
            | Node::Extreme(_, terms)
            | Node::Array(terms)
            | Node::Row(terms)
            | Node::Composite(terms)
            | Node::InQuery(terms, _, _) => terms.iter_mut().collect(),
            Node::Between(parts, _) => parts.iter_mut().collect(),
            Node::InList(operand, list, _) => {
                [&mut **operand].into_iter().chain(list.iter_mut()).collect()
            }
            Node::Case(whens, otherwise) => whens
                .iter_mut()
                .flat_map(|(test, result)| [test, result])
                .chain(otherwise.as_deref_mut())
                .collect(),
            Node::Switch(operand, whens, otherwise) => [&mut **operand]
                .into_iter()
                .chain(whens.iter_mut().flat_map(|(value, result)| [value, result]))
                .chain(otherwise.as_deref_mut())
                .collect(),
            Node::Let(it) => vec![&mut it.value, &mut it.body],
            Node::Quantified(quantified) => {
                let array = match &mut quantified.over {
                    Quantity::Array(array) => Some(array),
                    Quantity::Query(_) => None,
                };
                quantified.call.arguments.iter_mut().chain(array).collect()
            }
            Node::RowCompare(compare) => {
                compare.pairs.iter_mut().flat_map(|call| &mut call.arguments).collect()
            }
            Node::Subscript(subscript) => subscript_parts_mut(subscript),
            _ => Vec::new(),
        }
    }

    /// The query directly inside, if the node has one.
    #[must_use]
    pub fn query(&self) -> Option<&Query> {
        match &self.node {
            Node::Subquery(query)
            | Node::Exists(query)
            | Node::ArrayQuery(query)
            | Node::InQuery(_, query, _) => Some(query),
            Node::Quantified(quantified) => match &quantified.over {
                Quantity::Query(query) => Some(query),
                Quantity::Array(_) => None,
            },
            _ => None,
        }
    }

    /// The query directly inside, to be changed.
    pub(crate) fn query_mut(&mut self) -> Option<&mut Query> {
        match &mut self.node {
            Node::Subquery(query)
            | Node::Exists(query)
            | Node::ArrayQuery(query)
            | Node::InQuery(_, query, _) => Some(query),
            Node::Quantified(quantified) => match &mut quantified.over {
                Quantity::Query(query) => Some(query),
                Quantity::Array(_) => None,
            },
            _ => None,
        }
    }

    /// Whether this node or one below it, queries not entered, satisfies `test`.
    pub fn any(&self, test: &mut impl FnMut(&Expr) -> bool) -> bool {
        test(self) || self.children().into_iter().any(|child| child.any(test))
    }

    /// Shows `visit` every column that is read, also by queries inside; no index stands for a whole row.
    pub(crate) fn visit_columns(
        &self,
        relations: &Relations,
        visit: &mut dyn FnMut(RelationId, Option<u16>),
    ) {
        self.visit_all(relations, &mut |expr| match &expr.node {
            Node::Column(relation, index) => visit(*relation, Some(*index)),
            Node::WholeRow(relation) => visit(*relation, None),
            _ => {}
        });
    }

    /// Shows `visit` the expression and every one inside, also of queries inside.
    pub(crate) fn visit_all<'e>(
        &'e self,
        relations: &'e Relations,
        visit: &mut dyn FnMut(&'e Expr),
    ) {
        visit(self);
        for child in self.children() {
            child.visit_all(relations, visit);
        }
        if let Some(query) = self.query() {
            query.visit_all(relations, visit);
        }
    }

    /// The same of queries inside only.
    pub(crate) fn visit_all_inside<'e>(
        &'e self,
        relations: &'e Relations,
        visit: &mut dyn FnMut(&'e Expr),
    ) {
        for child in self.children() {
            child.visit_all_inside(relations, visit);
        }
        if let Some(query) = self.query() {
            query.visit_all(relations, visit);
        }
    }

    /// Whether it may have another value each time it is computed: it calls a volatile function, here or in a query inside.
    #[must_use]
    pub fn is_volatile(&self, relations: &Relations) -> bool {
        self.any(&mut |it| match &it.node {
            Node::Call(call) => call.row.volatility == Volatility::Volatile,
            _ => it.query().is_some_and(|query| query.is_volatile(relations)),
        })
    }
}

impl Query {
    /// Whether it calls a volatile function anywhere inside.
    #[must_use]
    pub fn is_volatile(&self, relations: &Relations) -> bool {
        let within = |relation: &RelationId| match &relations.get(*relation).source {
            Source::Query(query) | Source::OnlyRow(query) => query.is_volatile(relations),
            Source::Function(function) => {
                function.calls.iter().any(|(call, _)| call.is_volatile(relations))
            }
            Source::Table(..) | Source::Cte(_) | Source::Given => false,
        };
        query_expressions(self).into_iter().any(|expr| expr.is_volatile(relations))
            || query_relations(self).iter().any(within)
            || self.ctes.iter().any(|cte| cte.query.is_volatile(relations))
    }

    /// As [`Expr::visit_all`], for all of its expressions.
    pub(crate) fn visit_all<'e>(
        &'e self,
        relations: &'e Relations,
        visit: &mut dyn FnMut(&'e Expr),
    ) {
        for expr in query_expressions(self) {
            expr.visit_all(relations, visit);
        }
        for relation in query_relations(self) {
            match &relations.get(relation).source {
                Source::Query(query) | Source::OnlyRow(query) => query.visit_all(relations, visit),
                Source::Function(function) => {
                    for (call, _) in &function.calls {
                        call.visit_all(relations, visit);
                    }
                }
                Source::Table(..) | Source::Cte(_) | Source::Given => {}
            }
        }
        for cte in &self.ctes {
            cte.query.visit_all(relations, visit);
        }
    }

    /// Adds the relations of its own level and of the queries that these and its `WITH` are; those of queries in expressions are
    /// not among them.
    pub(crate) fn relations_within(&self, relations: &Relations, found: &mut Vec<RelationId>) {
        for relation in query_relations(self) {
            found.push(relation);
            if let Source::Query(query) | Source::OnlyRow(query) = &relations.get(relation).source {
                query.relations_within(relations, found);
            }
        }
        for cte in &self.ctes {
            cte.query.relations_within(relations, found);
        }
    }

    /// Whether its columns may have other values each time they are computed.
    #[must_use]
    pub(crate) fn has_volatile_outputs(&self, relations: &Relations) -> bool {
        match &self.body {
            Body::Select(select) => select.items.iter().any(|item| item.is_volatile(relations)),
            Body::Values(rows) => rows.iter().flatten().any(|item| item.is_volatile(relations)),
            Body::SetOperation(operation) => {
                operation.left.has_volatile_outputs(relations)
                    || operation.right.has_volatile_outputs(relations)
            }
        }
    }
}

/// The relations of `FROM` clauses at a query's own level, the parts of set operations included.
pub(crate) fn query_relations(query: &Query) -> Vec<RelationId> {
    let mut found = Vec::new();
    let mut pending = vec![query];
    while let Some(query) = pending.pop() {
        match &query.body {
            Body::Select(select) => {
                found.extend(select.relations());
            }
            Body::Values(_) => {}
            Body::SetOperation(operation) => pending.extend([&operation.right, &operation.left]),
        }
    }
    found
}

impl FromItem {
    /// Adds the relations of the item, from left to right.
    pub(crate) fn relations(&self, found: &mut Vec<RelationId>) {
        match self {
            FromItem::Relation(relation) => found.push(*relation),
            FromItem::Join(join) => {
                join.left.relations(found);
                join.right.relations(found);
            }
        }
    }
}

fn subscript_parts(subscript: &Subscript) -> Vec<&Expr> {
    let mut parts = vec![&subscript.array];
    parts.extend(&subscript.assigned);
    for index in &subscript.indexes {
        match index {
            SubscriptIndex::Element(index) => parts.push(index),
            SubscriptIndex::Slice(lower, upper) => parts.extend(lower.iter().chain(upper)),
            SubscriptIndex::Field(_) => {}
        }
    }
    parts
}

fn subscript_parts_mut(subscript: &mut Subscript) -> Vec<&mut Expr> {
    let mut parts = vec![&mut subscript.array];
    parts.extend(&mut subscript.assigned);
    for index in &mut subscript.indexes {
        match index {
            SubscriptIndex::Element(index) => parts.push(index),
            SubscriptIndex::Slice(lower, upper) => parts.extend(lower.iter_mut().chain(upper)),
            SubscriptIndex::Field(_) => {}
        }
    }
    parts
}

impl Aggregate {
    /// The expressions of the call and of its window, to be changed.
    pub(crate) fn parts_mut(&mut self) -> Vec<&mut Expr> {
        let mut parts: Vec<&mut Expr> = self.arguments.iter_mut().collect();
        parts.extend(sort_parts_mut(&mut self.order_by));
        parts.extend(&mut self.filter);
        if let Some(over) = &mut self.over {
            parts.extend(&mut over.partition_by);
            parts.extend(sort_parts_mut(&mut over.order_by));
            if let Some(frame) = &mut over.frame {
                let bounds = [Some(&mut frame.start), frame.end.as_mut()];
                parts.extend(bounds.into_iter().flatten().filter_map(|bound| match bound {
                    FrameBound::Preceding(offset) | FrameBound::Following(offset) => {
                        offset.as_mut()
                    }
                    FrameBound::CurrentRow => None,
                }));
            }
        }
        parts
    }
}

/// As [`sort_parts`], to be changed.
pub(super) fn sort_parts_mut(keys: &mut [SortKey]) -> impl Iterator<Item = &mut Expr> {
    keys.iter_mut().filter_map(|key| match &mut key.by {
        SortBy::Expr(expr) => Some(expr),
        SortBy::Output(_) => None,
    })
}

fn aggregate_parts(aggregate: &Aggregate) -> Vec<&Expr> {
    let mut parts: Vec<&Expr> = aggregate.arguments.iter().collect();
    parts.extend(sort_parts(&aggregate.order_by));
    parts.extend(&aggregate.filter);
    if let Some(over) = &aggregate.over {
        parts.extend(&over.partition_by);
        parts.extend(sort_parts(&over.order_by));
        if let Some(frame) = &over.frame {
            let bounds = [Some(&frame.start), frame.end.as_ref()];
            parts.extend(bounds.into_iter().flatten().filter_map(|bound| match bound {
                FrameBound::Preceding(offset) | FrameBound::Following(offset) => offset.as_ref(),
                FrameBound::CurrentRow => None,
            }));
        }
    }
    parts
}

/// The expressions of sort keys, other than outputs.
pub(super) fn sort_parts(keys: &[SortKey]) -> impl Iterator<Item = &Expr> {
    keys.iter().filter_map(|key| match &key.by {
        SortBy::Expr(expr) => Some(expr),
        SortBy::Output(_) => None,
    })
}

/// All expressions of a query at its own level, the parts of set operations included; those of `WITH` and of `FROM` subqueries are
/// not among them.
#[must_use]
pub(crate) fn query_expressions(query: &Query) -> Vec<&Expr> {
    let mut found: Vec<&Expr> = Vec::new();
    let mut pending = vec![query];
    while let Some(query) = pending.pop() {
        match &query.body {
            Body::Select(select) => found.extend(select_expressions(select)),
            Body::Values(rows) => found.extend(rows.iter().flatten()),
            Body::SetOperation(operation) => pending.extend([&operation.right, &operation.left]),
        }
        found.extend(sort_parts(&query.order_by));
        found.extend(query.limit.iter().chain(&query.offset));
    }
    found
}

/// The same, to be changed.
pub(crate) fn query_expressions_mut(query: &mut Query) -> Vec<&mut Expr> {
    let mut found: Vec<&mut Expr> = match &mut query.body {
        Body::Select(select) => select_expressions_mut(select),
        Body::Values(rows) => rows.iter_mut().flatten().collect(),
        Body::SetOperation(operation) => {
            let mut both = query_expressions_mut(&mut operation.left);
            both.extend(query_expressions_mut(&mut operation.right));
            both
        }
    };
    found.extend(sort_parts_mut(&mut query.order_by));
    found.extend(query.limit.iter_mut().chain(&mut query.offset));
    found
}

fn select_expressions_mut(select: &mut Select) -> Vec<&mut Expr> {
    let mut found: Vec<&mut Expr> = select.items.iter_mut().collect();
    for item in &mut select.from {
        join_conditions_mut(item, &mut found);
    }
    found.extend(&mut select.filter);
    found.extend(&mut select.group_by);
    found.extend(&mut select.having);
    if let super::tree::Distinct::On(keys) = &mut select.distinct {
        found.extend(keys);
    }
    found
}

fn join_conditions_mut<'a>(item: &'a mut FromItem, found: &mut Vec<&'a mut Expr>) {
    if let FromItem::Join(join) = item {
        join_conditions_mut(&mut join.left, found);
        join_conditions_mut(&mut join.right, found);
        found.extend(&mut join.on);
    }
}

fn select_expressions(select: &Select) -> Vec<&Expr> {
    let mut found: Vec<&Expr> = select.items.iter().collect();
    for item in &select.from {
        join_conditions(item, &mut found);
    }
    found.extend(&select.filter);
    found.extend(&select.group_by);
    found.extend(&select.having);
    if let super::tree::Distinct::On(keys) = &select.distinct {
        found.extend(keys);
    }
    found
}

fn join_conditions<'a>(item: &'a FromItem, found: &mut Vec<&'a Expr>) {
    if let FromItem::Join(join) = item {
        join_conditions(&join.left, found);
        join_conditions(&join.right, found);
        found.extend(&join.on);
    }
}
