//! Which views stand for the rows of one table, and which of their columns for its columns.
//!
//! The checks and their order are PostgreSQL's `view_query_is_auto_updatable` and `view_col_is_auto_updatable` (manual,
//! `sql-createview`, "Updatable Views"). The first reason found is the one that errors and hints give.

use sqlparser::ast::{self, GroupByExpr, Ident, ObjectName, SetExpr, TableFactor};

use super::binder::Binder;
use super::context::BindContext;
use super::select::first_aggregate;
use super::tree::{Body, Expr, FromItem, Node, Query, Relations};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::{self, StatementAst};
use crate::schema::{Relation, View};

/// Why a view, or a column of one, is not updatable.
pub type Reason = &'static str;

/// Why a view of several relations, or of none, is not updatable.
pub(super) const NOT_SINGLE: Reason =
    "Views that do not select from a single table or view are not automatically updatable.";

/// The relation that an updatable view reads, and for each of its columns that relation's attribute number.
pub struct UpdatableView {
    /// OID of the relation.
    pub base: Oid,
    /// The columns.
    pub columns: Vec<Result<i16, Reason>>,
}

/// Whether a view's query makes it updatable; `within` is the view, once there is one.
///
/// # Errors
/// What binding the query reports.
pub fn updatability(
    query: &str,
    within: Option<&View>,
    cx: &BindContext<'_>,
) -> Result<Result<UpdatableView, Reason>, SqlError> {
    let ast = view_query(query)?;
    let mut binder = Binder::new(cx, query);
    binder.within = within;
    let bound = binder.in_other_text(|binder| binder.subquery(&ast))?;
    if let Some(reason) = clause_reason(&ast).or_else(|| query_reason(&ast, &bound)) {
        return Ok(Err(reason));
    }
    let (Some((name, _)), Body::Select(select)) = (only_table(&ast), &bound.body) else {
        return Ok(Err(NOT_SINGLE));
    };
    let (schema, local) = binder.qualified(name)?;
    let base = match cx.catalog.relation(cx.search_path, schema.as_deref(), &local) {
        Some(Relation::Table(table)) => table.oid,
        Some(Relation::View(view)) if view.materialized_in.is_none() => view.oid,
        _ => return Ok(Err(NOT_SINGLE)),
    };
    let column = |item| {
        let index = column_behind(item, &binder.relations)?;
        index.1.ok_or(NOT_A_COLUMN)
    };
    Ok(Ok(UpdatableView { base, columns: select.items.iter().map(column).collect() }))
}

/// Why a column that is computed is not updatable.
const NOT_A_COLUMN: Reason =
    "View columns that are not columns of their base relation are not updatable.";

/// The syntax tree of a view's query.
///
/// # Errors
/// XX000 for a text that is none.
pub(super) fn view_query(text: &str) -> Result<ast::Query, SqlError> {
    let invalid = || {
        let message = "the definition of a view is no query";
        SqlError::new(SqlState::INTERNAL_ERROR, message)
    };
    let statement = parse::split(text)?.into_iter().next().ok_or_else(invalid)?;
    let StatementAst::Sql(statement) = statement.ast else { return Err(invalid()) };
    match *statement {
        ast::Statement::Query(query) => Ok(*query),
        _ => Err(invalid()),
    }
}

/// The reason that is in a query's clauses.
pub(super) fn clause_reason(query: &ast::Query) -> Option<Reason> {
    let select = match &*query.body {
        SetExpr::Select(select) => Some(select),
        _ => None,
    };
    let grouped = |select: &ast::Select| match &select.group_by {
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    let clauses = [
        (
            select.is_some_and(|it| it.distinct.is_some()),
            "Views containing DISTINCT are not automatically updatable.",
        ),
        (
            select.is_some_and(|it| grouped(it)),
            "Views containing GROUP BY are not automatically updatable.",
        ),
        (
            select.is_some_and(|it| it.having.is_some()),
            "Views containing HAVING are not automatically updatable.",
        ),
        (
            matches!(*query.body, SetExpr::SetOperation { .. }),
            "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.",
        ),
        (query.with.is_some(), "Views containing WITH are not automatically updatable."),
        (
            query.limit_clause.is_some() || query.fetch.is_some(),
            "Views containing LIMIT or OFFSET are not automatically updatable.",
        ),
    ];
    clauses.into_iter().find(|(found, _)| *found).map(|(_, reason)| reason)
}

/// The reason that is in a bound query's columns or in what it reads.
pub(super) fn query_reason(ast: &ast::Query, bound: &Query) -> Option<Reason> {
    let (Body::Select(select), SetExpr::Select(written)) = (&bound.body, &*ast.body) else {
        return Some(NOT_SINGLE);
    };
    // Functions that yield sets are a relation of their own, after those that were written.
    let sets = select.from.len() > written.from.len();
    item_reason(&select.items, sets).or_else(|| table_reason(ast, &select.from))
}

fn table_reason(ast: &ast::Query, from: &[FromItem]) -> Option<Reason> {
    let [FromItem::Relation(_)] = from else { return Some(NOT_SINGLE) };
    match only_factor(ast)? {
        TableFactor::Table { args: None, sample: Some(_), .. } => {
            Some("Views containing TABLESAMPLE are not automatically updatable.")
        }
        TableFactor::Table { args: None, .. } => None,
        _ => Some(NOT_SINGLE),
    }
}

/// The reason that is in the columns; `sets` says that a function among them yields sets.
pub(super) fn item_reason(items: &[Expr], sets: bool) -> Option<Reason> {
    let windows = |it: &Expr| matches!(&it.node, Node::Aggregate(call) if call.over.is_some());
    if items.iter().any(|item| first_aggregate(item).is_some()) {
        return Some("Views that return aggregate functions are not automatically updatable.");
    }
    if items.iter().any(|item| item.any(&mut |it| windows(it))) {
        return Some("Views that return window functions are not automatically updatable.");
    }
    sets.then_some("Views that return set-returning functions are not automatically updatable.")
}

/// The only item of a query's FROM.
fn only_factor(query: &ast::Query) -> Option<&TableFactor> {
    let SetExpr::Select(select) = &*query.body else { return None };
    match &select.from[..] {
        [only] if only.joins.is_empty() => Some(&only.relation),
        _ => None,
    }
}

/// The only relation of a query's FROM and its alias, if there is one and it has a name.
pub(super) fn only_table(query: &ast::Query) -> Option<(&ObjectName, Option<&Ident>)> {
    match only_factor(query)? {
        TableFactor::Table { name, alias, args: None, sample: None, .. } => {
            Some((name, alias.as_ref().map(|it| &it.name)))
        }
        _ => None,
    }
}

/// The index of the column that a view's column is, and its attribute number.
///
/// # Errors
/// The reason that it is none.
pub(super) fn column_behind(
    item: &Expr,
    relations: &Relations,
) -> Result<(u16, Option<i16>), Reason> {
    match &item.node {
        Node::Column(relation, index) => {
            let column = &relations.get(*relation).columns[usize::from(*index)];
            if column.system {
                return Err("View columns that refer to system columns are not updatable.");
            }
            Ok((*index, column.origin.map(|(_, attnum)| attnum)))
        }
        Node::WholeRow(_) => {
            Err("View columns that return whole-row references are not updatable.")
        }
        _ => Err(NOT_A_COLUMN),
    }
}

/// The events that a relation takes, as PostgreSQL's mask: 4 UPDATE, 8 INSERT, 16 DELETE; where `columns` are given, those that
/// it takes for one of them (`pg_relation_is_updatable`, `pg_column_is_updatable`).
///
/// # Errors
/// What binding a view's query reports.
pub fn relation_events(
    relation: Oid,
    columns: Option<&[i16]>,
    cx: &BindContext<'_>,
) -> Result<i64, SqlError> {
    const ALL: i64 = 4 | 8 | 16;
    const DELETE: i64 = 16;
    let (mut oid, mut columns, mut events) = (relation, columns.map(<[i16]>::to_vec), ALL);
    for _ in 0..super::view_target::VIEW_DEPTH_MAX {
        if cx.catalog.tables.contains_key(&oid) {
            return Ok(events);
        }
        let view = cx.catalog.views.get(&oid).filter(|view| view.materialized_in.is_none());
        let Some(view) = view else { return Ok(0) };
        let Ok(found) = updatability(&view.query, Some(view), cx)? else { return Ok(0) };
        let wanted = |attnum: i16| columns.as_ref().is_none_or(|list| list.contains(&attnum));
        let behind = (1i16..).zip(&found.columns).filter(|(attnum, _)| wanted(*attnum));
        let behind: Vec<i16> = behind.filter_map(|(_, column)| column.ok()).collect();
        if behind.is_empty() {
            events &= DELETE;
        }
        (oid, columns) = (found.base, Some(behind));
    }
    Ok(0)
}
