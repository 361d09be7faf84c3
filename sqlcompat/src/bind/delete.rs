//! `DELETE` and `TRUNCATE`.

use sqlparser::ast::{self, FromTable, TableWithJoins};

use super::binder::Binder;
use super::check_option::Checks;
use super::context::BindContext;
use super::current_of::cursor_of;
use super::modification::{Change, Modification};
use super::target::written_table;
use crate::error::SqlError;
use crate::lower::quote_identifier;
use crate::oid::Oid;
use crate::plan::{Plan, PlanKind, Step, WritePlan, WriteVerb};
use crate::schema::{Table, TableKind};

impl<'a> Binder<'a> {
    /// Binds a `DELETE`.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
    pub(crate) fn delete(&mut self, delete: &ast::Delete) -> Result<Modification<'a>, SqlError> {
        let ast::Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        let foreign = !optimizer_hints.is_empty()
            || !tables.is_empty()
            || output.is_some()
            || !order_by.is_empty()
            || limit.is_some();
        let (FromTable::WithFromKeyword(items) | FromTable::WithoutKeyword(items)) = from;
        let [TableWithJoins { relation, joins }] = &items[..] else {
            return Err(SqlError::unsupported("DELETE from anything but one table"));
        };
        let (name, alias) = written_table(relation)?;
        if foreign || !joins.is_empty() {
            return Err(SqlError::unsupported("this clause of DELETE"));
        }
        let target = self.target(name, alias, "deleting from")?;
        let using = self.bind_from(using.as_deref().unwrap_or_default())?;
        let cursor = cursor_of(selection.as_ref());
        let selection = selection.as_ref().filter(|_| cursor.is_none());
        let filter = self.clause(selection, "WHERE")?;
        let returning = self.returning(returning.as_deref(), target)?;
        let filter = match cursor {
            Some(cursor) => Some(self.current_row(target, cursor)?),
            None => self.within_view(target, filter),
        };
        let change = Change::Delete { using, filter };
        let checks = Checks::default();
        Ok(Modification { target, change, ctes: Vec::new(), returning, checks })
    }
}

/// Plans a `TRUNCATE`.
///
/// # Errors
/// 42P01; 0A000 for a table that others refer to, unless they are truncated along.
pub(crate) fn truncate(
    truncate: &ast::Truncate,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
    let ast::Truncate {
        table_names,
        partitions,
        table: _,
        if_exists,
        identity,
        cascade,
        on_cluster,
    } = truncate;
    if partitions.is_some() || *if_exists || on_cluster.is_some() {
        return Err(SqlError::unsupported("this clause of TRUNCATE"));
    }
    let restart = matches!(identity, Some(ast::TruncateIdentityOption::Restart));
    let cascade = matches!(cascade, Some(ast::CascadeOption::Cascade));
    let mut binder = Binder::new(cx, text);
    let mut tables: Vec<&Table> = Vec::with_capacity(table_names.len());
    for target in table_names {
        let table = binder.target(&target.name, None, "truncating")?.table;
        binder.scopes.pop();
        tables.push(table);
    }
    let named = tables.len();
    add_referencing(&mut tables, cascade, cx)?;
    let cascades = |table: &&Table| format!("truncate cascades to table \"{}\"", table.name);
    let notices = tables[named..].iter().map(cascades).collect();
    let owned = |owner: Option<(Oid, i16)>| {
        owner.is_some_and(|(oid, _)| tables.iter().any(|table| table.oid == oid))
    };
    let sequences = cx.catalog.sequences.values().filter(|it| restart && owned(it.owned_by));
    let restarts = sequences.map(|sequence| sequence.oid).collect();
    let steps = tables.iter().map(|table| Step {
        sql: format!(
            "DELETE FROM {}.{}",
            quote_identifier(table.database()),
            quote_identifier(&table.physical_name)
        ),
    });
    let steps: Vec<Step> = steps.rev().collect();
    let temporary = tables.iter().all(|table| table.kind == TableKind::Temporary);
    let kind = PlanKind::Write(WritePlan {
        count_from: Vec::new(),
        kept: Vec::new(),
        restarts,
        notices,
        steps,
        rows_from: None,
        verb: WriteVerb::Truncate,
        target: None,
        writes_temporary_only: temporary,
        current_row: None,
    });
    binder.finish(None, kind)
}

/// Adds the tables that refer to the truncated ones, or refuses because of them.
fn add_referencing<'a>(
    tables: &mut Vec<&'a Table>,
    cascade: bool,
    cx: &BindContext<'a>,
) -> Result<(), SqlError> {
    let mut next = 0;
    while let Some(table) = tables.get(next).copied() {
        next += 1;
        for other in cx.catalog.tables.values() {
            let refers = other.foreign_keys.iter().any(|key| key.references == table.oid);
            if !refers || tables.iter().any(|it| it.oid == other.oid) {
                continue;
            }
            if !cascade {
                return Err(SqlError::new(
                    crate::error::SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot truncate a table referenced in a foreign key constraint",
                )
                .with_detail(format!("Table \"{}\" references \"{}\".", other.name, table.name))
                .with_hint(format!(
                    "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                    other.name
                )));
            }
            tables.push(other);
        }
    }
    Ok(())
}
