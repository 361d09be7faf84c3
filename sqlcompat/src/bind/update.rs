//! `UPDATE`.

use sqlparser::ast::{self, AssignmentTarget, ObjectName, UpdateTableFromKind};

use super::binder::Binder;
use super::modification::{Change, Modification};
use super::target::{Target, is_default, written_table};
use super::tree::{At, Expr, Node};
use crate::error::{SqlError, SqlState};
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
        let (assigned, uses) = self.with_uses(|binder| binder.assignments(target, assignments))?;
        let filter = self.clause(selection.as_ref(), "WHERE")?;
        let returning = self.returning(returning.as_deref(), target)?;
        let reads_itself = uses.tables.contains(&target.table.oid);
        let change = Change::Update { assigned, from, filter, reads_itself };
        Ok(Modification { target, change, ctes: Vec::new(), returning })
    }

    /// `SET a = …, (b, c) = (…)`.
    ///
    /// # Errors
    /// 42703, 42601 for a column twice, 42804, 428C9.
    pub(crate) fn assignments(
        &mut self,
        target: Target<'a>,
        assignments: &[ast::Assignment],
    ) -> Result<Vec<(&'a Column, Expr)>, SqlError> {
        let rules = self.scope().calls;
        let calls = &mut self.scope().calls;
        calls.no_aggregates = Some("UPDATE");
        calls.no_windows = Some("UPDATE");
        calls.no_sets = Some("UPDATE");
        let mut bound: Vec<(&'a Column, Expr)> = Vec::with_capacity(assignments.len());
        for ast::Assignment { target: columns, value } in assignments {
            match columns {
                AssignmentTarget::ColumnName(name) => {
                    let (column, at) = self.assigned_column(target, name)?;
                    let value = self.assigned_value(column, value)?;
                    push_assignment(&mut bound, column, value, at)?;
                }
                AssignmentTarget::Tuple(names) => {
                    self.assign_tuple(target, names, value, &mut bound)?;
                }
            }
        }
        self.scope().calls = rules;
        Ok(bound)
    }

    fn assigned_column(
        &self,
        target: Target<'a>,
        name: &ObjectName,
    ) -> Result<(&'a Column, At), SqlError> {
        let at = self.start_of(name);
        let names = Self::names(name)?;
        if let [first, _, ..] = &names[..] {
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{first}\" of relation \"{}\" does not exist", target.table.name),
            )
            .at(at.position()));
        }
        let local = names.last().map_or("", String::as_str);
        Ok((self.target_column(target.table, local, at)?, at))
    }

    fn assigned_value(&mut self, column: &'a Column, value: &ast::Expr) -> Result<Expr, SqlError> {
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
            return self.column_default(column);
        }
        let bound = self.expr(value)?;
        let start = if bound.at.0 == 0 { self.expr_start(value) } else { bound.at };
        self.assign(bound.at(start), column, start)
    }

    /// `(a, b) = (1, 2)`, `(a, b) = ROW(…)` and `(a, b) = (SELECT …)`.
    fn assign_tuple(
        &mut self,
        target: Target<'a>,
        names: &[ObjectName],
        value: &ast::Expr,
        bound: &mut Vec<(&'a Column, Expr)>,
    ) -> Result<(), SqlError> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            columns.push(self.assigned_column(target, name)?);
        }
        let fields: &[ast::Expr] = match value {
            ast::Expr::Tuple(fields) => fields,
            ast::Expr::Nested(field) if names.len() == 1 => std::slice::from_ref(field),
            ast::Expr::Subquery(query) => {
                return self.assign_query(&columns, query, bound);
            }
            other if names.len() == 1 => std::slice::from_ref(other),
            _ => {
                return Err(SqlError::unsupported(
                    "a source of a multiple-column UPDATE item that is no row or subquery",
                ));
            }
        };
        if fields.len() != columns.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "number of columns does not match number of values",
            )
            .at(self.expr_start(value).position()));
        }
        for ((column, at), field) in columns.into_iter().zip(fields) {
            let value = self.assigned_value(column, field)?;
            push_assignment(bound, column, value, at)?;
        }
        Ok(())
    }

    /// Each column from the same subquery. SQLite evaluates it once per column.
    fn assign_query(
        &mut self,
        columns: &[(&'a Column, At)],
        query: &ast::Query,
        bound: &mut Vec<(&'a Column, Expr)>,
    ) -> Result<(), SqlError> {
        let found = self.subquery(query)?;
        if found.columns.len() != columns.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "number of columns does not match number of values",
            )
            .at(self.start_of(query).position()));
        }
        for (index, (column, at)) in columns.iter().enumerate() {
            let mut one = found.clone();
            let output = &found.columns[index];
            let (type_oid, typmod) = (output.type_oid, output.typmod);
            keep_only(&mut one, index)?;
            let node = Node::Subquery(Box::new(one));
            let value = Expr { node, type_oid, typmod, at: At(0) };
            let value = self.assign(value, column, *at)?;
            push_assignment(bound, column, value, *at)?;
        }
        Ok(())
    }
}

/// Cuts a query down to one of its output columns.
fn keep_only(query: &mut super::tree::Query, index: usize) -> Result<(), SqlError> {
    use super::tree::{Body, Distinct, SortBy};
    let refused = || SqlError::unsupported("this subquery as the source of several columns");
    let Body::Select(select) = &mut query.body else { return Err(refused()) };
    let sorted = query.order_by.iter_mut().try_for_each(|key| match &key.by {
        SortBy::Output(column) => {
            key.by = SortBy::Expr(select.items[*column].clone());
            Ok(())
        }
        SortBy::Expr(_) => Ok(()),
    });
    sorted?;
    if select.distinct != Distinct::No {
        return Err(refused());
    }
    select.items = vec![select.items.swap_remove(index)];
    query.columns = vec![query.columns.swap_remove(index)];
    Ok(())
}

fn push_assignment<'a>(
    bound: &mut Vec<(&'a Column, Expr)>,
    column: &'a Column,
    value: Expr,
    at: At,
) -> Result<(), SqlError> {
    if bound.iter().any(|(other, _)| other.attnum == column.attnum) {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("multiple assignments to same column \"{}\"", column.name),
        )
        .at(at.position()));
    }
    if !column.generation.is_written() {
        return Ok(());
    }
    bound.push((column, value));
    Ok(())
}
