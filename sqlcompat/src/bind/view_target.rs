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
//! Any other view is refused with 55000 and PostgreSQL's reason ([`super::updatable`]). New rows meet the conditions that
//! check options ask for ([`super::check_option`]). Source: PostgreSQL 15 manual, `sql-createview` ("Updatable Views"),
//! `rewriteTargetView`.

use sqlparser::ast::{self, Ident, SetExpr};

use super::binder::Binder;
use super::scope::Scope;
use super::target::Target;
use super::tree::{
    At, ColumnSql, Expr, Node, Relation, RelationColumn, RelationId, Relations, Source,
};
use super::updatable::{
    NOT_SINGLE, Reason, clause_reason, column_behind, item_reason, only_table, query_reason,
    view_query,
};
use crate::error::{SqlError, SqlState};
use crate::lower::Lowering;
use crate::oid::Oid;
use crate::schema::{CheckOption, Column, Table, View};

/// Deepest nesting of views that are written through.
pub(super) const VIEW_DEPTH_MAX: usize = 16;

/// What a view is as a target.
#[derive(Clone, Debug)]
pub(crate) struct WrittenView {
    /// The table's rows, by the table's own columns.
    pub(crate) base: RelationId,
    /// The view's columns, in order.
    pub(crate) columns: Vec<WrittenColumn>,
    /// It and the views under it, the innermost first.
    pub(crate) levels: Vec<ViewLevel>,
}

/// A column of a view that is written.
#[derive(Clone, Debug)]
pub(crate) struct WrittenColumn {
    /// Its name.
    pub(crate) name: String,
    /// Attribute number of the table's column that it is, or why it is none.
    pub(crate) behind: Result<i16, Reason>,
    /// Text of the view's own default.
    pub(crate) default: Option<String>,
    /// Text of the default that a view under it has.
    pub(crate) default_below: Option<String>,
}

/// One view of those that a statement writes through.
#[derive(Clone, Debug)]
pub(crate) struct ViewLevel {
    /// Its name.
    pub(crate) name: String,
    /// Its rows.
    pub(crate) relation: RelationId,
    /// Its columns, over the rows of what it reads.
    pub(crate) items: Vec<Expr>,
    /// The rows that it shows of these.
    pub(crate) filter: Option<Expr>,
    /// `WITH … CHECK OPTION`.
    pub(crate) check: Option<CheckOption>,
    /// Tables that queries in `filter` read.
    pub(crate) reads: Vec<Oid>,
}

impl WrittenColumn {
    /// Text of the default that INSERT takes from the views.
    pub(crate) fn insert_default(&self) -> Option<&String> {
        self.default.as_ref().or(self.default_below.as_ref())
    }
}

impl WrittenView {
    /// The view that the statement names.
    fn own(&self) -> &ViewLevel {
        &self.levels[self.levels.len() - 1]
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.own().name
    }

    /// The rows that it shows of its table's.
    fn filter(&self) -> Option<Expr> {
        self.levels.iter().fold(None, |all, level| both(all, level.filter.clone()))
    }

    /// The view's columns over a row of the table that goes by another name, such as `excluded`.
    ///
    /// # Errors
    /// What lowering a computed column reports.
    pub(crate) fn columns_over(
        &self,
        qualifier: &str,
        binder: &Binder<'_>,
    ) -> Result<Vec<RelationColumn>, SqlError> {
        let mut relations = binder.relations.clone();
        qualifier.clone_into(&mut relations.get_mut(self.base).qualifier);
        for level in &self.levels {
            qualifier.clone_into(&mut relations.get_mut(level.relation).qualifier);
            for (index, item) in level.items.iter().enumerate() {
                if let ColumnSql::Name(_) = relations.get(level.relation).columns[index].sql {
                    continue;
                }
                let sql = computed_column(item, binder, &relations)?;
                relations.get_mut(level.relation).columns[index].sql = sql;
            }
        }
        Ok(relations.get(self.own().relation).columns.clone())
    }
}

/// A column of a view that is no column of its table.
fn computed_column(
    item: &Expr,
    binder: &Binder<'_>,
    relations: &Relations,
) -> Result<ColumnSql, SqlError> {
    let mut lowering = Lowering::new(binder.types, relations);
    lowering.expr(item)?;
    Ok(ColumnSql::Constant(format!("({})", lowering.out)))
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
        let query = view_query(&view.query)?;
        let within = self.cx.catalog.views.get(&view.oid);
        self.view_depth += 1;
        let bound = self.in_stored_text(within, |it| it.written_view(view, &query, verb));
        self.view_depth -= 1;
        let (table, written) = bound?;
        let id = written.own().relation;
        if let Some(alias) = alias {
            self.relations.get_mut(id).alias = Self::name(alias);
        }
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
        query: &ast::Query,
        verb: &str,
    ) -> Result<(&'a Table, WrittenView), SqlError> {
        let refused = |reason| not_updatable(view, verb, reason);
        if let Some(reason) = clause_reason(query) {
            return Err(refused(reason));
        }
        let (Some((name, alias)), SetExpr::Select(select)) = (only_table(query), &*query.body)
        else {
            let bound = self.subquery(query)?;
            return Err(refused(query_reason(query, &bound).unwrap_or(NOT_SINGLE)));
        };
        let inner = self.target(name, alias, verb).map_err(|error| match error.state {
            SqlState::INSUFFICIENT_PRIVILEGE | SqlState::WRONG_OBJECT_TYPE => refused(NOT_SINGLE),
            _ => error,
        })?;
        let (items, _) = self.target_list(&select.projection)?;
        if let Some(reason) = item_reason(&items, self.scope().set_returning.is_some()) {
            return Err(refused(reason));
        }
        let (filter, uses) =
            self.with_uses(|binder| binder.clause(select.selection.as_ref(), "WHERE"))?;
        let below = self.written_view_of(inner).cloned();
        let columns = self.written_columns(view, &items, inner.table, below.as_ref());
        let relation = self.view_rows(view, inner.table, &columns, &items)?;
        let level = ViewLevel {
            name: view.name.clone(),
            relation,
            items,
            filter,
            check: view.check_option(),
            reads: uses.tables,
        };
        let (base, mut levels) = match below {
            Some(below) => (below.base, below.levels),
            None => (inner.relation, Vec::new()),
        };
        levels.push(level);
        Ok((inner.table, WrittenView { base, columns, levels }))
    }

    fn written_columns(
        &self,
        view: &View,
        items: &[Expr],
        table: &Table,
        below: Option<&WrittenView>,
    ) -> Vec<WrittenColumn> {
        let column = |(attnum, (item, (name, ..))): (i16, (&Expr, &(String, Oid, i32)))| {
            let index = column_behind(item, &self.relations).map(|(index, _)| usize::from(index));
            let inner = index.ok().and_then(|index| below?.columns.get(index));
            let behind = match (index, below) {
                (Err(reason), _) => Err(reason),
                (Ok(_), Some(_)) => inner.map_or(Err(NOT_SINGLE), |inner| inner.behind),
                (Ok(index), None) => table.columns.get(index).map(|it| it.attnum).ok_or(NOT_SINGLE),
            };
            WrittenColumn {
                name: name.clone(),
                behind,
                default: view.defaults.get(&attnum).cloned(),
                default_below: inner.and_then(WrittenColumn::insert_default).cloned(),
            }
        };
        (1i16..).zip(items.iter().zip(&view.columns)).map(column).collect()
    }

    /// The rows of a view as a relation of the statement.
    fn view_rows(
        &mut self,
        view: &View,
        table: &Table,
        columns: &[WrittenColumn],
        items: &[Expr],
    ) -> Result<RelationId, SqlError> {
        let mut shown = Vec::with_capacity(items.len());
        let typed = view.columns.iter().zip(items);
        for ((attnum, column), ((_, type_oid, typmod), item)) in (1i16..).zip(columns).zip(typed) {
            let plain = column.behind.ok().and_then(|attnum| table.column(attnum));
            shown.push(RelationColumn {
                name: column.name.clone(),
                sql: match plain {
                    Some(column) => ColumnSql::Name(column.physical_name.clone()),
                    None => computed_column(item, self, &self.relations)?,
                },
                type_oid: *type_oid,
                typmod: *typmod,
                origin: Some((view.oid, attnum)),
                not_null: false,
                system: false,
            });
        }
        self.target_name.clone_from(&table.physical_name);
        Ok(self.relations.add(Relation {
            alias: view.name.clone(),
            qualifier: table.physical_name.clone(),
            columns: shown,
            source: Source::Given,
            optional: false,
        }))
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
        both(self.written_view_of(target).and_then(WrittenView::filter), filter)
    }

    /// The names of the columns that a target has, in order.
    pub(crate) fn target_names(&self, target: Target<'_>) -> Vec<String> {
        match self.written_view_of(target) {
            Some(view) => view.columns.iter().map(|column| column.name.clone()).collect(),
            None => target.table.columns.iter().map(|it| it.name.clone()).collect(),
        }
    }

    /// The column of a view that stands for a table's column.
    pub(crate) fn view_column(
        &self,
        target: Target<'a>,
        column: &Column,
    ) -> Option<&WrittenColumn> {
        let view = self.written_view_of(target)?;
        view.columns.iter().find(|it| it.behind == Ok(column.attnum))
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
        let found = view.columns.iter().find(|column| column.name == name);
        let found = found.ok_or_else(|| undefined(&view.own().name))?;
        let behind = found.behind.and_then(|attnum| target.table.column(attnum).ok_or(NOT_SINGLE));
        behind.map_err(|reason| {
            let message =
                format!("cannot {verb} column \"{name}\" of view \"{}\"", view.own().name);
            SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(reason)
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

/// 55000 with PostgreSQL's reason and hint.
fn not_updatable(view: &View, verb: &str, reason: Reason) -> SqlError {
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
