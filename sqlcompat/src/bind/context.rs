//! What a statement is bound against, and the entry point of binding.

use std::sync::OnceLock;

use sqlparser::ast::Statement;

use super::binder::Binder;
use crate::error::SqlError;
use crate::lower::Lowering;
use crate::oid::Oid;
use crate::parse::{ParsedStatement, StatementAst};
use crate::plan::{Constants, Plan, PlanKind, ResultColumn, Step, WritePlan, WriteVerb};
use crate::schema::Catalog;
use crate::settings::FormatSettings;

/// Everything outside a statement's text that its meaning depends on.
#[derive(Clone, Copy)]
pub struct BindContext<'a> {
    /// The user's schema, temporary tables included.
    pub catalog: &'a Catalog,
    /// Schemas that unqualified names are looked up in, `$user` already replaced; `pg_catalog` is implicitly first.
    pub search_path: &'a [String],
    /// Current user.
    pub user: &'a str,
    /// Current database.
    pub database: &'a str,
    /// Settings that literals are read by.
    pub settings: &'a FormatSettings,
    /// The parameters that the statement may have.
    pub parameters: Parameters<'a>,
}

/// The parameters that a statement may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters<'a> {
    /// None: the statement is run as it is bound, as in a simple query.
    None,
    /// Any, with the declared types of `$1`, `$2`, …; 0 or `unknown` is to be inferred; there may be fewer than are used.
    Inferred(&'a [Oid]),
}

impl<'a> Parameters<'a> {
    /// The declared types.
    #[must_use]
    pub fn declared(self) -> &'a [Oid] {
        match self {
            Self::None => &[],
            Self::Inferred(types) => types,
        }
    }
}

/// Binds and lowers one statement.
///
/// # Errors
/// Whatever PostgreSQL's parse analysis reports, with its SQLSTATE, wording and position in the whole string; 0A000 for
/// what Trellis does not support.
pub fn plan(statement: &ParsedStatement, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let result = match &statement.ast {
        StatementAst::Sql(ast) => plan_sql(ast, &statement.text, cx),
        StatementAst::Utility(ast) => crate::parse::utility::plan(ast, cx),
    };
    result.map_err(|error| crate::parse::split::shift(error, statement.offset_chars))
}

/// Plans a statement of sqlparser's.
pub(crate) fn plan_sql(
    ast: &Statement,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
    match ast {
        Statement::Query(query) if super::modifying_with::is_modifying(query) => {
            super::modifying_with::plan(query, text, cx)
        }
        Statement::Query(query) => {
            let mut binder = Binder::new(cx, text);
            binder.admits_effects = super::effects::is_plain_call(query);
            let bound = binder.subquery(query)?;
            if !binder.effects.is_empty() {
                return super::effects::plan(binder, &bound);
            }
            let columns = Some(binder.result_columns(&bound.columns));
            let step = binder.lowered(|lowering| lowering.query(&bound))?;
            let kind = if binder.row_locks { locking(step) } else { PlanKind::Query(step) };
            let constants = binder.constant_step(&bound)?;
            Ok(Plan { constants, ..binder.finish(columns, kind)? })
        }
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            super::modification::plan(ast, text, cx)
        }
        Statement::Merge(merge) => super::modifying_with::plan_merge(merge, text, cx),
        other => super::utility::plan_other(other, text, cx),
    }
}

/// A query that locks its rows.
pub(super) fn locking(step: Step) -> PlanKind {
    PlanKind::Write(WritePlan {
        steps: vec![step],
        rows_from: Some(0),
        count_from: vec![0],
        kept: Vec::new(),
        restarts: Vec::new(),
        notices: Vec::new(),
        verb: WriteVerb::Lock,
        target: None,
        writes_temporary_only: false,
        current_row: None,
    })
}

impl Binder<'_> {
    /// Runs a writer over the statement's relations.
    pub(crate) fn lowered(
        &self,
        write: impl FnOnce(&mut Lowering<'_>) -> Result<(), SqlError>,
    ) -> Result<Step, SqlError> {
        let mut lowering = Lowering::new(self.types, &self.relations);
        write(&mut lowering)?;
        Ok(Step { sql: lowering.out })
    }

    /// The step that computes a query's constants, if it has some.
    fn constant_step(&self, query: &super::tree::Query) -> Result<Option<Constants>, SqlError> {
        let found = super::constants::constants(query, &self.relations);
        if found.is_empty() {
            return Ok(None);
        }
        let step = self.lowered(|lowering| {
            for (index, expr) in found.iter().enumerate() {
                lowering.out.push_str(if index == 0 { "SELECT " } else { ", " });
                lowering.expr(expr)?;
            }
            Ok(())
        })?;
        Ok(Some(Constants { step, computed: OnceLock::new() }))
    }

    /// The plan of a statement that has been bound and lowered.
    pub(crate) fn finish(
        self,
        columns: Option<Vec<ResultColumn>>,
        kind: PlanKind,
    ) -> Result<Plan, SqlError> {
        let mut parameters = self.parameter_types()?;
        if self.current_row.is_some() {
            // The session's own.
            parameters.pop();
        }
        self.refuse_unpopulated()?;
        Ok(Plan { parameters, columns, kind, reads: self.reads, constants: None, source: None })
    }

    /// Output columns as `RowDescription` tells them: domains as their base types.
    pub(crate) fn result_columns(
        &self,
        columns: &[super::tree::OutputColumn],
    ) -> Vec<ResultColumn> {
        columns
            .iter()
            .map(|column| {
                let (type_oid, typmod) =
                    self.types.base_with_typmod(column.type_oid, column.typmod);
                let (table_oid, attnum) = column.origin.unwrap_or((Oid(0), 0));
                ResultColumn {
                    name: column.name.clone(),
                    type_oid,
                    typmod,
                    type_len: self.types.info(type_oid).map_or(-1, |info| info.len),
                    table_oid,
                    attnum,
                }
            })
            .collect()
    }
}
