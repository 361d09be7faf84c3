//! `DELETE` and `TRUNCATE`.

use sqlparser::ast::{self, FromTable, TableWithJoins};

use super::context::BindContext;
use super::target::{binder, written_table};
use crate::error::SqlError;
use crate::lower::quote_identifier;
use crate::plan::{Plan, PlanKind, Step, WritePlan, WriteVerb};
use crate::schema::{Table, TableKind};

/// Plans a `DELETE`.
///
/// # Errors
/// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
pub(crate) fn plan(
    delete: &ast::Delete,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
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
    let mut binder = binder(cx, text);
    let target = binder.target(name, alias, "deleting from")?;
    let using = binder.bind_from(using.as_deref().unwrap_or_default())?;
    let filter = binder.clause(selection.as_ref(), "WHERE")?;
    let returning = binder.returning(returning.as_deref(), target)?;
    binder.write_plan(target, WriteVerb::Delete, returning.as_ref(), |lowering| {
        lowering.out.push_str("DELETE FROM ");
        lowering.target(target);
        if using.is_empty() {
            return lowering.filter(filter.as_ref());
        }
        // SQLite has no USING: the rows are found by a join first. Inside it the table has its own name as alias.
        let name = quote_identifier(&target.table.physical_name);
        let rowid = rowid_name(target.table);
        lowering.out.push_str(&format!(" WHERE {rowid} IN (SELECT {name}.{rowid} FROM "));
        lowering.target(target);
        lowering.out.push_str(&format!(" AS {name}, "));
        lowering.items_of_from(&using)?;
        lowering.filter(filter.as_ref())?;
        lowering.out.push(')');
        Ok(())
    })
}

/// A name of SQLite's row number that no column of the table hides.
fn rowid_name(table: &Table) -> &'static str {
    let hidden = |name: &str| {
        table.columns.iter().any(|column| column.physical_name.eq_ignore_ascii_case(name))
    };
    ["rowid", "_rowid_", "oid"].into_iter().find(|name| !hidden(name)).unwrap_or("rowid")
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
    if matches!(identity, Some(ast::TruncateIdentityOption::Restart)) {
        return Err(SqlError::unsupported("TRUNCATE … RESTART IDENTITY"));
    }
    let cascade = matches!(cascade, Some(ast::CascadeOption::Cascade));
    let mut binder = binder(cx, text);
    let mut tables: Vec<&Table> = Vec::with_capacity(table_names.len());
    for target in table_names {
        let table = binder.target(&target.name, None, "truncating")?.table;
        binder.scopes.pop();
        tables.push(table);
    }
    add_referencing(&mut tables, cascade, cx)?;
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
        count_from: steps.len().saturating_sub(1),
        steps,
        rows_from: None,
        verb: WriteVerb::Truncate,
        target: None,
        writes_temporary_only: temporary,
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
