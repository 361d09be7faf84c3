//! `SELECT *` written out: a view keeps the columns that its tables had when it was made.

use sqlparser::ast::{
    Expr as Ast, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr,
};

use super::fold;
use crate::bind::binder::Binder;
use crate::bind::context::BindContext;
use crate::bind::tree::{self, Body, Expr, Node, OutputColumn, Relations};
use crate::builtin::quote_identifier;
use crate::error::SqlError;

/// The query with every `*` of its select lists replaced by the columns that it means; those of subqueries stay, for the
/// select lists around them name what they take.
///
/// # Errors
/// What binding the query reports.
pub fn expand_stars(query: &Query, text: &str, cx: &BindContext<'_>) -> Result<Query, SqlError> {
    let mut binder = Binder::new(cx, text);
    let bound = binder.subquery(query)?;
    let mut expanded = query.clone();
    expand(&mut expanded.body, &bound, &binder.relations);
    Ok(expanded)
}

fn expand(body: &mut SetExpr, bound: &tree::Query, relations: &Relations) {
    match (body, &bound.body) {
        (SetExpr::Select(select), Body::Select(found)) => {
            expand_select(select, &found.items, &bound.columns, relations);
        }
        (SetExpr::SetOperation { left, right, .. }, Body::SetOperation(operation)) => {
            expand(left, &operation.left, relations);
            expand(right, &operation.right, relations);
        }
        (SetExpr::Query(inner), _) => expand(&mut inner.body, bound, relations),
        _ => {}
    }
}

fn expand_select(
    select: &mut Select,
    items: &[Expr],
    columns: &[OutputColumn],
    relations: &Relations,
) {
    let Some(counts) = star_counts(&select.projection, items.len(), relations) else {
        return;
    };
    let mut taken = 0;
    let mut projection = Vec::with_capacity(items.len());
    for (item, count) in select.projection.drain(..).zip(counts) {
        let star = matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        let meant = items.iter().zip(columns).skip(taken).take(count);
        taken += count;
        if star {
            projection.extend(meant.map(|(item, column)| written(item, column, relations)));
        } else {
            projection.push(item);
        }
    }
    select.projection = projection;
}

/// How many columns each item of a select list stands for; `None` if there is no star or it cannot be told.
fn star_counts(
    projection: &[SelectItem],
    total: usize,
    relations: &Relations,
) -> Option<Vec<usize>> {
    let known = |item: &SelectItem| match item {
        SelectItem::Wildcard(_) => None,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            relation_width(name, relations)
        }
        _ => Some(1),
    };
    let counts: Vec<Option<usize>> = projection.iter().map(known).collect();
    let open = counts.iter().filter(|count| count.is_none()).count();
    let rest = total.checked_sub(counts.iter().flatten().sum())?;
    let each = rest.checked_div(open.max(1))?;
    let counts: Vec<usize> = counts.into_iter().map(|count| count.unwrap_or(each)).collect();
    let star = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    (projection.iter().any(star) && counts.iter().sum::<usize>() == total).then_some(counts)
}

fn relation_width(name: &ObjectName, relations: &Relations) -> Option<usize> {
    let alias = fold(name.0.last()?.as_ident()?);
    let relation = relations.0.iter().find(|relation| relation.alias == alias)?;
    Some(relation.columns.iter().filter(|column| column.is_listed()).count())
}

/// A column of a star by name. What USING has merged goes by its own name.
fn written(item: &Expr, column: &OutputColumn, relations: &Relations) -> SelectItem {
    let quoted = |name: &str| {
        let plain = quote_identifier(name) == name;
        if plain { Ident::new(name) } else { Ident::with_quote('"', name) }
    };
    let path = match item.node {
        Node::Column(id, index) => {
            let relation = relations.get(id);
            let name = relation.columns.get(usize::from(index)).map(|column| column.name.as_str());
            name.map(|name| vec![quoted(&relation.alias), quoted(name)])
        }
        _ => None,
    };
    match path {
        Some(path) => SelectItem::UnnamedExpr(Ast::CompoundIdentifier(path)),
        None => SelectItem::UnnamedExpr(Ast::Identifier(quoted(&column.name))),
    }
}
