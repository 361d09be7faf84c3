//! `WHERE CURRENT OF`: the row that a cursor stands on.
//!
//! A cursor's query yields the row numbers of its tables after its own columns ([`plan_cursor`]). The session passes the number
//! of the row that the cursor stands on as one more parameter of the statement, after those of the client.
//!
//! Source: PostgreSQL 15 manual, `sql-update`, `sql-declare`; `execCurrent.c`.
//!
//! # Left out
//! PostgreSQL refuses a cursor whose plan sorts its rows; here only the query's own clauses decide. A row whose number changes, since it
//! is its integer key, is no longer found by the cursor that stands on it.

use sqlparser::ast::{self, Statement};

use super::binder::Binder;
use super::context::{BindContext, plan};
use super::target::Target;
use super::tree::{
    At, Body, ColumnSql, Distinct, Expr, Node, OutputColumn, Query, RelationColumn, RelationId,
    Source,
};
use crate::error::SqlError;
use crate::lower::quote_identifier;
use crate::oid::Oid;
use crate::parse::rewrite::CURRENT_OF;
use crate::parse::{ParsedStatement, StatementAst};
use crate::plan::{CurrentRow, Plan, PlanKind};

/// The cursor that a condition names by `CURRENT OF`.
pub(super) fn cursor_of(condition: Option<&ast::Expr>) -> Option<&str> {
    match condition? {
        ast::Expr::Identifier(ident) => ident.value.strip_prefix(CURRENT_OF),
        _ => None,
    }
}

impl<'a> Binder<'a> {
    /// The condition that a row of the target is the one that a cursor stands on. Nothing that may have parameters is bound after it.
    ///
    /// # Errors
    /// 0A000 for a view, and for a second cursor in one statement.
    pub(super) fn current_row(
        &mut self,
        target: Target<'a>,
        cursor: &str,
    ) -> Result<Expr, SqlError> {
        if self.written_view_of(target).is_some() {
            return Err(SqlError::new(
                crate::error::SqlState::FEATURE_NOT_SUPPORTED,
                "WHERE CURRENT OF on a view is not implemented",
            ));
        }
        if self.current_row.is_some() || !self.ctes.is_empty() {
            return Err(SqlError::unsupported("WHERE CURRENT OF beside WITH"));
        }
        // Any other table's row numbers are given to new rows again.
        if target.table.integer_key().is_none() && target.table.hidden_key.is_none() {
            let what = "WHERE CURRENT OF on a table whose primary key is not one integer column";
            return Err(SqlError::unsupported(what));
        }
        self.parameters.push(Oid::INT8);
        let number = u16::try_from(self.parameters.len()).unwrap_or(u16::MAX);
        let table = target.table;
        self.current_row = Some(CurrentRow {
            cursor: cursor.to_owned(),
            table: table.oid,
            name: table.name.clone(),
        });
        let sql = format!("{}.rowid", quote_identifier(&table.physical_name));
        let row = self.row_number(target.relation, sql);
        let parameter = Expr::new(Node::Parameter(number), Oid::INT8);
        self.binary_operator("=", row, parameter, At(0))
    }

    /// The row number of a relation's rows, as a column of it.
    fn row_number(&mut self, relation: RelationId, sql: String) -> Expr {
        let columns = &mut self.relations.get_mut(relation).columns;
        columns.push(RelationColumn {
            name: String::new(),
            sql: ColumnSql::Constant(sql),
            type_oid: Oid::INT8,
            typmod: -1,
            origin: None,
            not_null: false,
            system: true,
        });
        let index = u16::try_from(columns.len() - 1).unwrap_or(u16::MAX);
        self.column(relation, index, At(0))
    }

    /// Adds the row numbers of the tables that a query reads by itself; the tables.
    fn add_row_numbers(&mut self, query: &mut Query) -> Vec<Oid> {
        let Body::Select(select) = &mut query.body else { return Vec::new() };
        if select.grouped || select.distinct != Distinct::No || !query.ctes.is_empty() {
            return Vec::new();
        }
        let relations = select.relations();
        let mut tables = Vec::new();
        for relation in relations {
            let found = self.relations.get(relation);
            let Source::Table(_, oid) = found.source else { continue };
            if !self.cx.catalog.tables.contains_key(&oid) {
                continue;
            }
            let sql = format!("{}.rowid", quote_identifier(&found.qualifier));
            select.items.push(self.row_number(relation, sql));
            query.columns.push(OutputColumn {
                name: String::new(),
                type_oid: Oid::INT8,
                typmod: -1,
                origin: None,
                not_null: false,
            });
            tables.push(oid);
        }
        tables
    }
}

/// Plans the query of a cursor, which yields, after its own columns, the row numbers of these tables.
///
/// # Errors
/// As [`plan`].
pub fn plan_cursor(
    statement: &ParsedStatement,
    cx: &BindContext<'_>,
) -> Result<(Plan, Vec<Oid>), SqlError> {
    let StatementAst::Sql(ast) = &statement.ast else {
        return Ok((plan(statement, cx)?, Vec::new()));
    };
    let Statement::Query(query) = &**ast else { return Ok((plan(statement, cx)?, Vec::new())) };
    if super::modifying_with::is_modifying(query) {
        return Ok((plan(statement, cx)?, Vec::new()));
    }
    let mut binder = Binder::new(cx, &statement.text);
    let mut bound = binder.subquery(query)?;
    let tables = binder.add_row_numbers(&mut bound);
    let columns = Some(binder.result_columns(&bound.columns));
    let step = binder.lowered(|lowering| lowering.query(&bound))?;
    let kind = match binder.row_locks {
        true => super::context::locking(step),
        false => PlanKind::Query(step),
    };
    Ok((binder.finish(columns, kind)?, tables))
}
