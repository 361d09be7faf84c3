//! `UPDATE`.

use sqlparser::ast::{self, AssignmentTarget, ObjectName, UpdateTableFromKind};

use super::binder::Binder;
use super::current_of::cursor_of;
use super::modification::{Change, Modification};
use super::select::unparenthesized;
use super::target::{Target, is_default, written_table};
use super::tree::{At, Expr, FromItem, Node, Select};
use crate::error::{SqlError, SqlState};
use crate::parse::rewrite::marked_part;
use crate::schema::{Column, ColumnGeneration};

impl<'a> Binder<'a> {
    /// Binds an `UPDATE`.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
    pub(crate) fn update(&mut self, update: &ast::Update) -> Result<Modification<'a>, SqlError> {
        let ast::Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        let foreign = !optimizer_hints.is_empty()
            || output.is_some()
            || or.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || !table.joins.is_empty();
        let (name, alias) = written_table(&table.relation)?;
        if foreign {
            return Err(SqlError::unsupported("this clause of UPDATE"));
        }
        let target = self.target(name, alias, "updating")?;
        let from = match from {
            None => Vec::new(),
            Some(UpdateTableFromKind::AfterSet(items)) => self.bind_from(items)?,
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(SqlError::unsupported("FROM before SET"));
            }
        };
        let mut rows = Vec::new();
        let (assigned, uses) =
            self.with_uses(|binder| binder.assignments(target, assignments, Some(&mut rows)))?;
        let cursor = cursor_of(selection.as_ref());
        let selection = selection.as_ref().filter(|_| cursor.is_none());
        let filter = self.clause(selection, "WHERE")?;
        let returning = self.returning(returning.as_deref(), target)?;
        let filter = match cursor {
            Some(cursor) => Some(self.current_row(target, cursor)?),
            None => self.within_view(target, filter),
        };
        let computed_first = !rows.is_empty() || uses.tables.contains(&target.table.oid);
        let from = from.into_iter().chain(rows).collect();
        let change = Change::Update { assigned, from, filter, computed_first };
        let checks = self.checks(target);
        Ok(Modification { target, change, ctes: Vec::new(), returning, checks })
    }

    /// `SET a = …, (b, c) = (…)`. Queries that give several columns their values are added to `rows`, where that is given.
    ///
    /// # Errors
    /// 42703, 42601 for a column twice, 42804, 428C9.
    pub(crate) fn assignments(
        &mut self,
        target: Target<'a>,
        assignments: &[ast::Assignment],
        mut rows: Option<&mut Vec<FromItem>>,
    ) -> Result<Vec<(&'a Column, Expr)>, SqlError> {
        let rules = self.scope().calls;
        let calls = &mut self.scope().calls;
        calls.no_aggregates = Some("UPDATE");
        calls.no_windows = Some("UPDATE");
        calls.no_sets = Some("UPDATE");
        // To PostgreSQL, what ON CONFLICT updates is part of an INSERT.
        let verb = if rows.is_some() { "update" } else { "insert into" };
        let mut bound: Vec<(&'a Column, Expr)> = Vec::with_capacity(assignments.len());
        for ast::Assignment { target: columns, value } in assignments {
            match columns {
                AssignmentTarget::ColumnName(name) => {
                    let place = self.assigned_place(target, name, verb)?;
                    self.assign_expression(target, &place, value, &mut bound)?;
                }
                AssignmentTarget::Tuple(names) => {
                    let places = names.iter().map(|name| self.assigned_place(target, name, verb));
                    let places = places.collect::<Result<Vec<_>, SqlError>>()?;
                    let rows = rows.as_deref_mut();
                    self.assign_tuple(target, &places, value, (&mut bound, rows))?;
                }
            }
        }
        self.scope().calls = rules;
        Ok(bound)
    }

    /// What a name in SET means: a column, or a part of one.
    fn assigned_place(
        &self,
        target: Target<'a>,
        name: &ObjectName,
        verb: &str,
    ) -> Result<Place<'a>, SqlError> {
        self.place_of_names(target, &Self::names(name)?, verb, self.start_of(name))
    }

    /// The place that names with dots between them mean: the first is the column's.
    ///
    /// # Errors
    /// As [`Self::place_of`].
    pub(crate) fn place_of_names(
        &self,
        target: Target<'a>,
        names: &[String],
        verb: &str,
        at: At,
    ) -> Result<Place<'a>, SqlError> {
        let Some((column, fields)) = names.split_first() else {
            return Err(SqlError::unsupported("this target of an assignment"));
        };
        let mut place = self.place_of(target, column, verb, at)?;
        let field = |name: &String| ast::Ident::with_quote('"', name.clone());
        let fields = fields.iter().map(|name| ast::Expr::Identifier(field(name)));
        place.part.extend(fields.map(ast::AccessExpr::Dot));
        Ok(place)
    }

    /// The column that a name or a marked part means.
    ///
    /// # Errors
    /// 42703, and 42601 for subscripts that are no expressions.
    pub(crate) fn place_of(
        &self,
        target: Target<'a>,
        name: &str,
        verb: &str,
        at: At,
    ) -> Result<Place<'a>, SqlError> {
        let Some(marked) = marked_part(name) else {
            let column = self.target_column(target, name, verb, at)?;
            return Ok(Place { column, part: Vec::new(), at });
        };
        let (root, part) = marked?;
        let ast::Expr::Identifier(ident) = &root else {
            return Err(SqlError::unsupported("this target of an assignment"));
        };
        let column = self.target_column(target, &Self::name(ident), verb, at)?;
        Ok(Place { column, part, at })
    }

    /// `SET place = expression`.
    fn assign_expression(
        &mut self,
        target: Target<'a>,
        place: &Place<'a>,
        value: &ast::Expr,
        bound: &mut Vec<(&'a Column, Expr)>,
    ) -> Result<(), SqlError> {
        if place.part.is_empty() {
            let value = self.assigned_value(target, place.column, value)?;
            return push_assignment(bound, place.column, value);
        }
        if is_default(value) {
            return Err(place.no_default());
        }
        let start = self.expr_start(value);
        let value = self.expr(value)?;
        let value = if value.at.0 == 0 { value.at(start) } else { value };
        self.assign_bound(target, place, value, bound)
    }

    /// `SET place = value`.
    fn assign_bound(
        &mut self,
        target: Target<'a>,
        place: &Place<'a>,
        value: Expr,
        bound: &mut Vec<(&'a Column, Expr)>,
    ) -> Result<(), SqlError> {
        let Place { column, part, at } = place;
        if part.is_empty() {
            let value = self.assign(value, column, *at)?;
            return push_assignment(bound, column, value);
        }
        // A second part of the same column is put into the value with the first.
        let before =
            bound.iter().position(|(it, value)| it.attnum == column.attnum && is_part(value));
        let whole = match before {
            Some(index) => unchecked(bound.remove(index).1),
            None => {
                let columns = &target.table.columns;
                let index = columns.iter().position(|it| it.attnum == column.attnum).unwrap_or(0);
                self.column(self.base_rows(target), u16::try_from(index).unwrap_or(u16::MAX), *at)
            }
        };
        let value = self.assign_part(whole, &column.name, part, value, *at)?;
        push_assignment(bound, column, value)
    }

    fn assigned_value(
        &mut self,
        target: Target<'a>,
        column: &'a Column,
        value: &ast::Expr,
    ) -> Result<Expr, SqlError> {
        let default = is_default(value);
        let always = matches!(
            column.generation,
            ColumnGeneration::IdentityAlways(_) | ColumnGeneration::Stored(_)
        );
        if always && !default {
            let error = SqlError::new(
                SqlState::GENERATED_ALWAYS,
                format!("column \"{}\" can only be updated to DEFAULT", column.name),
            );
            let detail = match column.generation {
                ColumnGeneration::Stored(_) => {
                    format!("Column \"{}\" is a generated column.", column.name)
                }
                _ => format!(
                    "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                    column.name
                ),
            };
            return Err(error.with_detail(detail));
        }
        if default {
            return self.default_in_update(target, column);
        }
        let bound = self.expr(value)?;
        let start = if bound.at.0 == 0 { self.expr_start(value) } else { bound.at };
        self.assign(bound.at(start), column, start)
    }

    /// `(a, b) = (1, 2)`, `(a, b) = ROW(…)` and `(a, b) = (SELECT …)`.
    fn assign_tuple(
        &mut self,
        target: Target<'a>,
        places: &[Place<'a>],
        value: &ast::Expr,
        (bound, rows): (&mut Vec<(&'a Column, Expr)>, Option<&mut Vec<FromItem>>),
    ) -> Result<(), SqlError> {
        let query = unparenthesized(value);
        let source = if matches!(query, ast::Expr::Subquery(_)) { query } else { value };
        let fields: Vec<&ast::Expr> = match source {
            ast::Expr::Tuple(fields) => fields.iter().collect(),
            ast::Expr::Nested(field) if places.len() == 1 => vec![&**field],
            ast::Expr::Subquery(query) => {
                return self.assign_query(target, places, query, (bound, rows));
            }
            other => match row_fields(other) {
                Some(fields) => fields,
                None if places.len() == 1 => vec![other],
                None => {
                    let message = "source for a multiple-column UPDATE item must be a sub-SELECT \
                                   or ROW() expression";
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                        .at(self.expr_start(value).position()));
                }
            },
        };
        if fields.len() != places.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "number of columns does not match number of values",
            )
            .at(self.expr_start(value).position()));
        }
        for (place, field) in places.iter().zip(fields) {
            self.assign_expression(target, place, field, bound)?;
        }
        Ok(())
    }

    /// Each column from the same subquery. In an UPDATE it is computed once for a row; elsewhere once for a column.
    fn assign_query(
        &mut self,
        target: Target<'a>,
        places: &[Place<'a>],
        query: &ast::Query,
        (bound, rows): (&mut Vec<(&'a Column, Expr)>, Option<&mut Vec<FromItem>>),
    ) -> Result<(), SqlError> {
        let found = self.subquery(query)?;
        if found.columns.len() != places.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "number of columns does not match number of values",
            )
            .at(self.start_of(query).before().position()));
        }
        if rows.is_none() && found.is_volatile(&self.relations) {
            return Err(SqlError::unsupported("several columns from a volatile subquery here"));
        }
        let columns = found.columns.clone();
        let (once, id) = match rows {
            Some(rows) => {
                let id = self.add_only_row(found);
                rows.push(FromItem::Relation(id));
                (true, id)
            }
            None => (false, self.add_subquery(found)),
        };
        for (index, (place, output)) in (0u16..).zip(places.iter().zip(&columns)) {
            let item = self.column(id, index, At(0));
            let value = if once {
                item
            } else {
                let select = Select::over(id, vec![item]);
                let body = super::tree::Body::Select(Box::new(select));
                let one = super::query::plain_query(body, vec![output.clone()]);
                let (type_oid, typmod) = (output.type_oid, output.typmod);
                Expr { node: Node::Subquery(Box::new(one)), type_oid, typmod, at: At(0) }
            };
            self.assign_bound(target, place, value, bound)?;
        }
        Ok(())
    }
}

/// What a name in a target list means.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// The column.
    pub(crate) column: &'a Column,
    /// The subscripts and fields after it; none for the whole column.
    pub(crate) part: Vec<ast::AccessExpr>,
    /// Where it stands.
    pub(crate) at: At,
}

impl Place<'_> {
    /// 0A000: a part has no default.
    pub(crate) fn no_default(&self) -> SqlError {
        let what = match self.part.first() {
            Some(ast::AccessExpr::Dot(_)) => "a subfield",
            Some(ast::AccessExpr::Subscript(_)) | None => "an array element",
        };
        let message = format!("cannot set {what} to DEFAULT");
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(self.at.position())
    }
}

/// A column's value with a part of it replaced, before it is checked as a value of its domain: more parts may follow.
pub(crate) fn unchecked(value: Expr) -> Expr {
    let mut value = value;
    let type_oid = value.type_oid;
    while let Node::Domain(check) = value.node {
        value = check.value;
    }
    Expr { type_oid, ..value }
}

/// The fields of `ROW(…)`.
fn row_fields(expr: &ast::Expr) -> Option<Vec<&ast::Expr>> {
    let ast::Expr::Function(call) = expr else { return None };
    let [ast::ObjectNamePart::Identifier(name)] = &call.name.0[..] else { return None };
    let ast::FunctionArguments::List(list) = &call.args else { return None };
    if name.quote_style.is_some() || !name.value.eq_ignore_ascii_case("row") {
        return None;
    }
    let field = |argument| match argument {
        &ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().map(field).collect()
}

/// Whether a value is a column with a part of it replaced.
pub(crate) fn is_part(value: &Expr) -> bool {
    match &value.node {
        Node::Subscript(it) => it.assigned.is_some(),
        Node::Domain(check) => is_part(&check.value),
        _ => false,
    }
}

fn push_assignment<'a>(
    bound: &mut Vec<(&'a Column, Expr)>,
    column: &'a Column,
    value: Expr,
) -> Result<(), SqlError> {
    if bound.iter().any(|(other, _)| other.attnum == column.attnum) {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("multiple assignments to same column \"{}\"", column.name),
        ));
    }
    if !column.generation.is_written() {
        return Ok(());
    }
    bound.push((column, value));
    Ok(())
}
