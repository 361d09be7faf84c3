//! What may stand outside aggregates in a grouped query, and queries with several grouping sets.

use super::binder::Binder;
use super::from::output_columns;
use super::layers::Outer;
use super::query::plain_query;
use super::tree::{
    Aggregate, Body, Distinct, Expr, Node, Query, Relation, RelationId, Select, SetKind,
    SetOperation, SortBy, SortKey, Source,
};
use super::walk::{query_expressions, query_relations, sort_parts, sort_parts_mut};
use crate::builtin::{self, AggregateKind};
use crate::error::{SqlError, SqlState};

/// `DISTINCT` and `ORDER BY` of a query, by its outputs.
pub(crate) struct OuterClauses {
    order_by: Vec<SortKey>,
    distinct: DistinctOutputs,
}

/// `DISTINCT` by outputs.
enum DistinctOutputs {
    No,
    Rows,
    On(Vec<usize>),
}

impl Binder<'_> {
    /// Requires every column of this level to be grouped by, to be inside an aggregate, or to depend on a grouped primary
    /// key; and those of `more`, which are computed per group too.
    ///
    /// # Errors
    /// 42803 with the column's position.
    pub(crate) fn check_grouping(
        &self,
        select: &Select,
        order_by: &[SortKey],
        more: &[Expr],
    ) -> Result<(), SqlError> {
        let relations = select.relations();
        let is_determined = |it: &RelationId| self.key_is_grouped(*it, &select.group_by);
        let determined = relations.iter().copied().filter(is_determined).collect();
        let check = GroupingCheck { relations, determined, select, binder: self };
        let sort_keys = sort_parts(order_by);
        let exprs = select.items.iter().chain(&select.having).chain(sort_keys).chain(more);
        for expr in exprs {
            if let Some(stray) = self.stray_grouping(expr, &select.group_by) {
                return Err(SqlError::new(
                    SqlState::GROUPING_ERROR,
                    "arguments to GROUPING must be grouping expressions of the associated query level",
                )
                .at(stray.at.position()));
            }
            if let Some(column) = check.stray(expr) {
                let mut inside = false;
                expr.visit_all_inside(&self.relations, &mut |it| {
                    inside |= std::ptr::eq(it, column);
                });
                let error = self.not_grouped(column, inside);
                let direct = expr.any(&mut |it| match &it.node {
                    Node::Aggregate(call) => {
                        let mut direct = call.arguments.iter().take(direct_arguments(call));
                        direct.any(|argument| argument.any(&mut |it| std::ptr::eq(it, column)))
                    }
                    _ => false,
                });
                let detail =
                    "Direct arguments of an ordered-set aggregate must use only grouped columns.";
                return Err(if direct { error.with_detail(detail) } else { error });
            }
        }
        Ok(())
    }

    /// The first argument of a `GROUPING` of this level that is no grouping expression.
    fn stray_grouping<'e>(&'e self, expr: &'e Expr, group_by: &[Expr]) -> Option<&'e Expr> {
        let mut stray = None;
        expr.visit_all(&self.relations, &mut |it| {
            if let Node::Grouping(arguments) = &it.node
                && self.level_of(arguments).is_none_or(|level| level + 1 == self.scopes.len())
            {
                stray = stray.or(arguments.iter().find(|argument| !group_by.contains(argument)));
            }
        });
        stray
    }

    /// Whether all columns of a table's primary key are among the grouping expressions.
    fn key_is_grouped(&self, relation: RelationId, group_by: &[Expr]) -> bool {
        let found = self.relations.get(relation);
        let Source::Table(_, oid) = &found.source else { return false };
        let Some(table) = self.cx.catalog.tables.get(oid) else { return false };
        let Some(key) = table.uniques.iter().find(|unique| unique.primary) else { return false };
        key.columns.iter().all(|attnum| {
            let index = found.columns.iter().position(|it| it.origin == Some((*oid, *attnum)));
            group_by.iter().any(|expr| match &expr.node {
                Node::Column(id, column) => *id == relation && Some(usize::from(*column)) == index,
                _ => false,
            })
        })
    }

    fn not_grouped(&self, column: &Expr, inside: bool) -> SqlError {
        let name = match &column.node {
            Node::Column(relation, index) => {
                let relation = self.relations.get(*relation);
                format!("{}.{}", relation.alias, relation.columns[usize::from(*index)].name)
            }
            Node::WholeRow(relation) => format!("{}.*", self.relations.get(*relation).alias),
            _ => String::new(),
        };
        let message = if inside {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        } else {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate \
                 function"
            )
        };
        SqlError::new(SqlState::GROUPING_ERROR, message).at(column.at.position())
    }

    /// A query with several grouping sets: the union of the query grouped by each, with the other keys NULL.
    ///
    /// # Errors
    /// 0A000 for the combinations left out.
    pub(crate) fn grouping_sets(
        &mut self,
        query: Query,
        sets: &[Vec<usize>],
    ) -> Result<Query, SqlError> {
        if let Body::Select(select) = &query.body
            && select.items.iter().any(|item| Outer::Windows.is_in(item))
        {
            let inner = |binder: &mut Self, query: Query| binder.grouping_sets(query, sets);
            return self.layered(query, Outer::Windows, inner);
        }
        let Body::Select(select) = query.body else {
            return Err(SqlError::unsupported("GROUPING SETS here"));
        };
        let mut select = select;
        let mut query = Query { body: Body::Values(Vec::new()), ..query };
        let outer_keys = query.order_by.iter().any(|key| matches!(key.by, SortBy::Expr(_)));
        let wrapped = outer_keys || select.distinct != Distinct::No;
        let shown = query.columns.len();
        let around = self.take_outer_clauses(&mut select, &mut query);
        let mut union: Option<Query> = None;
        for set in sets {
            let body = Body::Select(Box::new(one_grouping(&select, set)));
            let right = plain_query(body, query.columns.clone());
            union = Some(match union {
                None => right,
                Some(left) => {
                    let both = SetOperation { kind: SetKind::Union, all: true, left, right };
                    plain_query(Body::SetOperation(Box::new(both)), query.columns.clone())
                }
            });
        }
        let mut union =
            union.ok_or_else(|| SqlError::unsupported("GROUPING SETS without a set"))?;
        if !wrapped {
            union.order_by = around.order_by;
            return Ok(union);
        }
        Ok(self.around_outputs(union, around, shown))
    }

    /// Takes `DISTINCT` and `ORDER BY` off a select, to be made of its outputs. Expressions that only they have become outputs,
    /// which the query around does not show.
    pub(crate) fn take_outer_clauses(
        &self,
        select: &mut Select,
        query: &mut Query,
    ) -> OuterClauses {
        let mut output = |expr: Expr| {
            if let Some(index) = select.items.iter().position(|item| *item == expr) {
                return index;
            }
            query.columns.push(self.output_column(&expr, String::new()));
            select.items.push(expr);
            select.items.len() - 1
        };
        let order_by = std::mem::take(&mut query.order_by).into_iter().map(|key| match key.by {
            SortBy::Output(_) => key,
            SortBy::Expr(expr) => SortKey { by: SortBy::Output(output(expr)), ..key },
        });
        let order_by = order_by.collect();
        let distinct = match std::mem::replace(&mut select.distinct, Distinct::No) {
            Distinct::No => DistinctOutputs::No,
            Distinct::Rows => DistinctOutputs::Rows,
            Distinct::On(keys) => DistinctOutputs::On(keys.into_iter().map(output).collect()),
        };
        OuterClauses { order_by, distinct }
    }

    /// A query of the first `shown` outputs of another, with the clauses that were taken off it.
    pub(crate) fn around_outputs(
        &mut self,
        union: Query,
        clauses: OuterClauses,
        shown: usize,
    ) -> Query {
        let columns: Vec<_> = union.columns.iter().take(shown).cloned().collect();
        let relation = Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns: output_columns(&union.columns),
            source: Source::Query(Box::new(union)),
            optional: false,
        };
        let id = self.relations.add(relation);
        let column = |index: usize| {
            self.column(id, u16::try_from(index).unwrap_or(u16::MAX), super::tree::At(0))
        };
        let order_by = clauses
            .order_by
            .into_iter()
            .map(|key| match key.by {
                SortBy::Output(index) if index >= shown => {
                    SortKey { by: SortBy::Expr(column(index)), ..key }
                }
                _ => key,
            })
            .collect();
        let distinct = match clauses.distinct {
            DistinctOutputs::No => Distinct::No,
            DistinctOutputs::Rows => Distinct::Rows,
            DistinctOutputs::On(keys) => Distinct::On(keys.into_iter().map(column).collect()),
        };
        let select = Select { distinct, ..Select::over(id, (0..shown).map(column).collect()) };
        Query { order_by, ..plain_query(Body::Select(Box::new(select)), columns) }
    }
}

/// Gives every `GROUPING` of a query without grouping sets its value, which is 0.
pub(crate) fn settle(query: &mut Query) {
    let Body::Select(select) = &mut query.body else { return };
    let Select { items, having, group_by, .. } = &mut **select;
    let present: Vec<&Expr> = group_by.iter().collect();
    let sort_keys = sort_parts_mut(&mut query.order_by);
    for item in items.iter_mut().chain(having).chain(sort_keys) {
        decide_grouping(item, &present, &[]);
    }
}

/// Replaces `GROUPING` by its bits: 1 for an argument that is absent from the grouping set, the last argument lowest.
///
/// One of a query around, whose arguments are other than this one's keys, stays.
fn decide_grouping(expr: &mut Expr, present: &[&Expr], absent: &[&Expr]) {
    if let Node::Grouping(arguments) = &expr.node {
        if !arguments.iter().all(|it| present.contains(&it) || absent.contains(&it)) {
            return;
        }
        let bits =
            arguments.iter().fold(0i64, |bits, it| bits << 1 | i64::from(absent.contains(&it)));
        expr.node = Node::Literal(crate::datum::Datum::Integer(bits));
        return;
    }
    for child in expr.children_mut() {
        decide_grouping(child, present, absent);
    }
}

/// The select grouped by the keys of one set; an empty set still makes one group.
fn one_grouping(select: &Select, set: &[usize]) -> Select {
    let absent: Vec<&Expr> = (0..select.group_by.len())
        .filter(|index| !set.contains(index))
        .map(|index| &select.group_by[index])
        .collect();
    let present: Vec<&Expr> = set.iter().filter_map(|index| select.group_by.get(*index)).collect();
    let mut part = select.clone();
    let kept = |index: &usize| set.contains(index);
    part.group_by = (0..select.group_by.len())
        .filter(kept)
        .map(|index| select.group_by[index].clone())
        .collect();
    for item in part.items.iter_mut().chain(&mut part.having) {
        decide_grouping(item, &present, &absent);
        replace_with_null(item, &present, &absent);
    }
    part
}

/// Replaces the keys that a grouping set lacks by NULL, outside of what aggregates aggregate.
fn replace_with_null(expr: &mut Expr, present: &[&Expr], absent: &[&Expr]) {
    if present.contains(&&*expr) {
        return;
    }
    if absent.contains(&&*expr) {
        expr.node = Node::Literal(crate::datum::Datum::Null);
        return;
    }
    if let Node::Aggregate(aggregate) = &mut expr.node {
        let direct = direct_arguments(aggregate);
        for argument in aggregate.arguments.iter_mut().take(direct) {
            replace_with_null(argument, present, absent);
        }
        return;
    }
    for child in expr.children_mut() {
        replace_with_null(child, present, absent);
    }
}

/// Arguments of an ordered-set aggregate that are computed once per group, before those that it aggregates.
fn direct_arguments(call: &Aggregate) -> usize {
    match builtin::aggregate(call.row.oid) {
        // Arguments, keys, the types of both, and directions: `hypothetical`.
        Some(row) if row.kind == AggregateKind::Hypothetical => call.arguments.len() / 5,
        Some(row) => usize::from(row.direct_arguments),
        None => 0,
    }
}

/// Looks for columns that are not determined by their group.
struct GroupingCheck<'s> {
    relations: Vec<RelationId>,
    determined: Vec<RelationId>,
    select: &'s Select,
    binder: &'s Binder<'s>,
}

impl<'s> GroupingCheck<'s> {
    /// The first column of this level that is neither grouped by nor aggregated.
    fn stray<'e>(&self, expr: &'e Expr) -> Option<&'e Expr>
    where
        's: 'e,
    {
        if self.select.group_by.contains(expr) {
            return None;
        }
        match &expr.node {
            Node::Aggregate(aggregate) if !self.is_of_inner_query(aggregate) => {
                let direct = aggregate.arguments.iter().take(direct_arguments(aggregate));
                return direct.into_iter().find_map(|argument| self.stray(argument));
            }
            Node::Grouping(_) => return None,
            Node::Column(relation, _) | Node::WholeRow(relation) => {
                let stray =
                    self.relations.contains(relation) && !self.determined.contains(relation);
                return stray.then_some(expr);
            }
            _ => {}
        }
        let children = expr.children().into_iter().find_map(|child| self.stray(child));
        children.or_else(|| self.stray_within(expr.query()?))
    }

    /// The first of them in a query inside.
    fn stray_within<'e>(&self, query: &'e Query) -> Option<&'e Expr>
    where
        's: 'e,
    {
        let expressions = query_expressions(query).into_iter().find_map(|it| self.stray(it));
        let relations = || {
            query_relations(query).into_iter().find_map(|relation| {
                match &self.binder.relations.get(relation).source {
                    Source::Query(query) | Source::OnlyRow(query) => self.stray_within(query),
                    Source::Function(function) => {
                        function.calls.iter().find_map(|(call, _)| self.stray(call))
                    }
                    Source::Table(..) | Source::Cte(_) | Source::Given => None,
                }
            })
        };
        let ctes = || query.ctes.iter().find_map(|cte| self.stray_within(&cte.query));
        expressions.or_else(relations).or_else(ctes)
    }

    /// Whether a call is a window function, or aggregates rows of a query inside; then what it reads of this level must be
    /// grouped.
    fn is_of_inner_query(&self, call: &Aggregate) -> bool {
        let parts = || call.arguments.iter().chain(&call.filter);
        call.over.is_some()
            || (self.binder.level_of(parts()).is_none() && self.binder.reads_any(parts()))
    }
}
