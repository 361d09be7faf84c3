//! Views as the target of INSERT, UPDATE and DELETE.
//!
//! A view of one table (or of another such view) without grouping, set operations and the like stands for that table's rows:
//! its columns are the table's, or computed from them and then only read, and its WHERE restricts what UPDATE and DELETE
//! find. To SQLite the statement is one about the table.
//!
//! ```text
//!   CREATE VIEW v AS SELECT id AS k, upper(name) AS n FROM t WHERE live
//!   UPDATE v SET k = 2 WHERE n = 'A'     ──>     UPDATE t SET id = 2 WHERE live AND upper(name) = 'A'
//! ```
//!
//! Any other view is refused with 55000 and PostgreSQL's reason. Source: PostgreSQL 15 manual, `sql-createview`
//! ("Updatable Views"), `view_query_is_auto_updatable`.
//!
//! # Left out
//! `ON CONFLICT` on a view: 0A000. `WITH CHECK OPTION`, which `CREATE VIEW` refuses.

use sqlparser::ast::{self, GroupByExpr, Ident, SetExpr, TableFactor};

use super::binder::Binder;
use super::scope::Scope;
use super::select::first_aggregate;
use super::target::Target;
use super::tree::{At, ColumnSql, Expr, Node, Relation, RelationColumn, RelationId, Source};
use crate::error::{SqlError, SqlState};
use crate::lower::Lowering;
use crate::oid::Oid;
use crate::parse::{self, StatementAst};
use crate::schema::{Column, Table, View};

/// Deepest nesting of views that are written through.
const VIEW_DEPTH_MAX: usize = 16;

/// What a view is as a target.
#[derive(Clone, Debug)]
pub(crate) struct WrittenView {
    /// Its name.
    pub(crate) name: String,
    /// The table's rows, by the table's own columns.
    pub(crate) base: RelationId,
    /// The table's column behind each of the view's, by attribute number.
    pub(crate) columns: Vec<(String, Option<i16>)>,
    /// The rows that it shows.
    pub(crate) filter: Option<Expr>,
}

impl<'a> Binder<'a> {
    /// Brings a view that is written into a scope of its own.
    ///
    /// # Errors
    /// 55000 for a view that is not updatable, 42809 for a materialized one.
    pub(super) fn view_as_target(
        &mut self,
        view: &View,
        alias: Option<&Ident>,
        schema: Option<String>,
        verb: &str,
    ) -> Result<Target<'a>, SqlError> {
        if view.materialized_in.is_some() {
            let message = format!("cannot change materialized view \"{}\"", view.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if self.view_depth >= VIEW_DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        let query = query_of(view)?;
        let select = updatable(&query).map_err(|reason| not_updatable(view, verb, reason))?;
        let scopes = std::mem::take(&mut self.scopes);
        self.view_depth += 1;
        let bound = self.in_other_text(|binder| binder.written_view(view, select, verb));
        self.view_depth -= 1;
        self.scopes = scopes;
        let (table, written, columns) = bound?;
        let relation = Relation {
            alias: alias.map_or_else(|| view.name.clone(), Self::name),
            qualifier: table.physical_name.clone(),
            columns,
            source: Source::Given,
            optional: false,
        };
        self.target_name.clone_from(&table.physical_name);
        let id = self.relations.add(relation);
        self.written_views.push((id, written));
        self.scopes.push(Scope::default());
        let names = self.names_of(id, if alias.is_some() { None } else { schema });
        self.add_names(names)?;
        Ok(Target { table, relation: id })
    }

    /// Binds the query of a view over the rows of its table.
    fn written_view(
        &mut self,
        view: &View,
        select: &ast::Select,
        verb: &str,
    ) -> Result<(&'a Table, WrittenView, Vec<RelationColumn>), SqlError> {
        let single = || not_updatable(view, verb, NOT_SINGLE);
        let TableFactor::Table { name, alias, .. } = &select.from[0].relation else {
            return Err(single());
        };
        let inner = self.target(name, alias.as_ref().map(|alias| &alias.name), verb);
        let inner = inner.map_err(|error| match error.state {
            SqlState::INSUFFICIENT_PRIVILEGE => single(),
            _ => error,
        })?;
        let (items, _) = self.target_list(&select.projection)?;
        if items.iter().any(|item| first_aggregate(item).is_some()) {
            let reason = "Views that return aggregate functions are not automatically updatable.";
            return Err(not_updatable(view, verb, reason));
        }
        let sets = self.scope().set_returning.is_some();
        let windows = |it: &Expr| matches!(&it.node, Node::Aggregate(call) if call.over.is_some());
        if items.iter().any(|item| item.any(&mut |it| windows(it))) {
            let reason = "Views that return window functions are not automatically updatable.";
            return Err(not_updatable(view, verb, reason));
        }
        if sets {
            let reason =
                "Views that return set-returning functions are not automatically updatable.";
            return Err(not_updatable(view, verb, reason));
        }
        let own = self.clause(select.selection.as_ref(), "WHERE")?;
        let below = self.written_view_of(inner).cloned();
        let filter = both(below.as_ref().and_then(|it| it.filter.clone()), own);
        let (mut columns, mut shown) = (Vec::new(), Vec::new());
        for ((attnum, item), (name, type_oid, typmod)) in (1i16..).zip(&items).zip(&view.columns) {
            let behind = match item.node {
                Node::Column(relation, index) if relation == inner.relation => match &below {
                    Some(below) => below.columns.get(usize::from(index)).and_then(|it| it.1),
                    None => inner.table.columns.get(usize::from(index)).map(|it| it.attnum),
                },
                _ => None,
            };
            let sql = match behind.and_then(|attnum| inner.table.column(attnum)) {
                Some(column) => ColumnSql::Name(column.physical_name.clone()),
                None => {
                    let mut lowering = Lowering::new(self.types, &self.relations);
                    lowering.expr(item)?;
                    ColumnSql::Constant(format!("({})", lowering.out))
                }
            };
            columns.push((name.clone(), behind));
            shown.push(RelationColumn {
                name: name.clone(),
                sql,
                type_oid: *type_oid,
                typmod: *typmod,
                origin: Some((view.oid, attnum)),
                not_null: false,
                system: false,
            });
        }
        let base = below.map_or(inner.relation, |it| it.base);
        Ok((inner.table, WrittenView { name: view.name.clone(), base, columns, filter }, shown))
    }

    /// The view that a target is, if it is one.
    pub(crate) fn written_view_of(&self, target: Target<'_>) -> Option<&WrittenView> {
        self.written_views.iter().find(|(id, _)| *id == target.relation).map(|(_, view)| view)
    }

    /// The rows of the target's table by its own columns.
    pub(crate) fn base_rows(&self, target: Target<'_>) -> RelationId {
        self.written_view_of(target).map_or(target.relation, |view| view.base)
    }

    /// A condition together with what a view that is written shows.
    pub(crate) fn within_view(&self, target: Target<'_>, filter: Option<Expr>) -> Option<Expr> {
        both(self.written_view_of(target).and_then(|view| view.filter.clone()), filter)
    }

    /// The names of the columns that a target has, in order.
    pub(crate) fn target_names(&self, target: Target<'_>) -> Vec<String> {
        match self.written_view_of(target) {
            Some(view) => view.columns.iter().map(|(name, _)| name.clone()).collect(),
            None => target.table.columns.iter().map(|it| it.name.clone()).collect(),
        }
    }

    /// The column of the table that a name in a target list means.
    ///
    /// # Errors
    /// 42703; 0A000 for a column of a view that is none of its table.
    pub(crate) fn target_column(
        &self,
        target: Target<'a>,
        name: &str,
        verb: &str,
        at: At,
    ) -> Result<&'a Column, SqlError> {
        let undefined = |relation: &str| {
            let message = format!("column \"{name}\" of relation \"{relation}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(at.position())
        };
        let Some(view) = self.written_view_of(target) else {
            let found = target.table.column_by_name(name);
            return found.ok_or_else(|| undefined(&target.table.name));
        };
        let found = view.columns.iter().find(|(column, _)| column == name);
        let Some((_, behind)) = found else { return Err(undefined(&view.name)) };
        behind.and_then(|attnum| target.table.column(attnum)).ok_or_else(|| {
            let message = format!("cannot {verb} column \"{name}\" of view \"{}\"", view.name);
            SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(
                "View columns that are not columns of their base relation are not updatable.",
            )
        })
    }
}

/// The conjunction of two conditions.
fn both(one: Option<Expr>, other: Option<Expr>) -> Option<Expr> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Expr::new(Node::And(vec![one, other]), Oid::BOOL)),
        (one, other) => one.or(other),
    }
}

/// The syntax tree of a view's query.
fn query_of(view: &View) -> Result<ast::Query, SqlError> {
    let invalid = || {
        let message = format!("the definition of view \"{}\" is no query", view.name);
        SqlError::new(SqlState::INTERNAL_ERROR, message)
    };
    let statement = parse::split(&view.query)?.into_iter().next().ok_or_else(invalid)?;
    let StatementAst::Sql(statement) = statement.ast else { return Err(invalid()) };
    match *statement {
        ast::Statement::Query(query) => Ok(*query),
        _ => Err(invalid()),
    }
}

/// Why a view of several relations, or of none, is not updatable.
const NOT_SINGLE: &str =
    "Views that do not select from a single table or view are not automatically updatable.";

/// The select of an updatable view, or why it is none, as far as the text tells.
fn updatable(query: &ast::Query) -> Result<&ast::Select, &'static str> {
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { .. } => {
            return Err(
                "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.",
            );
        }
        _ => return Err(NOT_SINGLE),
    };
    if select.distinct.is_some() {
        return Err("Views containing DISTINCT are not automatically updatable.");
    }
    match &select.group_by {
        GroupByExpr::Expressions(keys, _) if keys.is_empty() => {}
        GroupByExpr::Expressions(..) | GroupByExpr::All(_) => {
            return Err("Views containing GROUP BY are not automatically updatable.");
        }
    }
    if select.having.is_some() {
        return Err("Views containing HAVING are not automatically updatable.");
    }
    if query.with.is_some() {
        return Err("Views containing WITH are not automatically updatable.");
    }
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return Err("Views containing LIMIT or OFFSET are not automatically updatable.");
    }
    match &select.from[..] {
        [only] if only.joins.is_empty() => Ok(select),
        _ => Err(NOT_SINGLE),
    }
}

/// 55000 with PostgreSQL's reason and hint.
fn not_updatable(view: &View, verb: &str, reason: &str) -> SqlError {
    let (does, doing, event) = match verb {
        "inserting into" => ("insert into", "inserting into", "INSERT"),
        "updating" => ("update", "updating", "UPDATE"),
        _ => ("delete from", "deleting from", "DELETE"),
    };
    let message = format!("cannot {does} view \"{}\"", view.name);
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_detail(reason)
        .with_hint(format!(
            "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional \
             ON {event} DO INSTEAD rule."
        ))
}
