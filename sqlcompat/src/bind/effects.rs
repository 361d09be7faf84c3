//! Functions whose bodies write, or are several statements: `SELECT f(1)`, `SELECT * FROM f(1)`, `CALL p(1)`.
//!
//! The statements of the body become steps of the plan ([`super::steps`]), one after the other, each of which sees what those
//! before it did; what the last one yields is kept, and the query around the call reads it as a CTE:
//!
//! ```text
//!   CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'DELETE FROM t WHERE x = a; INSERT INTO u VALUES (a) RETURNING id'
//!   SELECT f(1)     0  DELETE FROM t WHERE x = 1
//!                   1  INSERT INTO u VALUES (1) RETURNING id                       kept
//!                   2  WITH w AS (SELECT c1 FROM trellis_kept(1)) SELECT (SELECT c1 FROM w LIMIT 1)
//! ```
//!
//! # Left out
//! Calls that may run never or many times: below others, in conditions, over rows of a table. They are refused with 0A000.

use sqlparser::ast::{self, Expr as Ast, SelectItem, SetExpr, Statement, TableFactor};

use super::binder::Binder;
use super::context::BindContext;
use super::modification::Modification;
use super::modifying_with::is_modifying;
use super::steps::{Rest, Returned, Steps};
use super::tree::{Cte, OutputColumn, Query};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::SourceText;
use crate::parse::{self, ParsedStatement, StatementAst};
use crate::plan::{Plan, ResultColumn, WriteVerb};
use crate::schema::Function;

/// A part of the statement that runs before its query.
pub(crate) enum Effect<'a> {
    /// Arguments that are computed once.
    Arguments(Box<Cte>),
    /// A statement of a body that writes; what it returns, under a name in SQLite.
    Modification(String, Box<Modification<'a>>),
    /// A query whose rows nobody reads.
    Query(Box<Query>),
}

/// What a statement of a body is.
pub(crate) enum BodyStatement<'s> {
    /// A query.
    Query(&'s ast::Query),
    /// INSERT, UPDATE or DELETE.
    Modification(&'s Statement),
}

impl<'s> BodyStatement<'s> {
    /// What a statement of a function's body is.
    ///
    /// # Errors
    /// 0A000 for any other.
    pub(crate) fn of(statement: &'s ParsedStatement) -> Result<Self, SqlError> {
        let refused = || SqlError::unsupported("this statement in a function in LANGUAGE SQL");
        let StatementAst::Sql(ast) = &statement.ast else { return Err(refused()) };
        match &**ast {
            Statement::Query(query) if is_modifying(query) => {
                let what = "a data-modifying WITH in a function in LANGUAGE SQL";
                Err(SqlError::unsupported(what))
            }
            Statement::Query(query) => Ok(Self::Query(query)),
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                Ok(Self::Modification(ast))
            }
            _ => Err(refused()),
        }
    }
}

/// Whether a query is nothing but calls, each of which runs once: `SELECT f(…), g(…)` or `SELECT … FROM f(…)`.
pub(crate) fn is_plain_call(query: &ast::Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    if query.with.is_some() || select.selection.is_some() || select.having.is_some() {
        return false;
    }
    let call = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::UnnamedExpr(Ast::Function(_))
                | SelectItem::ExprWithAlias { expr: Ast::Function(_), .. }
        )
    };
    match &select.from[..] {
        [] => select.projection.iter().all(call),
        [only] => {
            let function = matches!(
                &only.relation,
                TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. }
            );
            function && only.joins.is_empty()
        }
        _ => false,
    }
}

/// What stands before a procedure's name in the query that a CALL is.
const CALL: &str = "SELECT * FROM ";

/// Plans a `CALL`, which yields a row where the procedure has output parameters.
///
/// # Errors
/// What binding the call reports: 42883 and its kin, 42809 for a function.
pub fn plan_call(call: &SourceText, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let text = format!("{CALL}{}", call.text);
    let placed = |error: SqlError| {
        let before = u32::try_from(CALL.len()).unwrap_or_default();
        let inside = error.position.and_then(|at| at.checked_sub(before));
        let position = inside.zip(call.position).map(|(inside, begin)| begin + inside - 1);
        SqlError { position, ..error }
    };
    let statement = parse::split(&text).map_err(placed)?.pop();
    let Some(StatementAst::Sql(ast)) = statement.map(|it| it.ast) else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
    };
    let Statement::Query(query) = *ast else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
    };
    let mut binder = Binder::new(cx, &text);
    (binder.admits_effects, binder.expect_procedure) = (true, true);
    let bound = binder.subquery(&query).map_err(placed)?;
    let yields = bound.columns.iter().any(|column| column.type_oid != Oid::VOID);
    let columns = yields.then(|| binder.result_columns(&bound.columns));
    planned(binder, &bound, WriteVerb::Call, columns)
}

/// The plan of a query with the effects of the functions that it calls.
///
/// # Errors
/// What lowering reports.
pub(crate) fn plan(binder: Binder<'_>, query: &Query) -> Result<Plan, SqlError> {
    let columns = binder.result_columns(&query.columns);
    planned(binder, query, WriteVerb::Select, Some(columns))
}

fn planned(
    mut binder: Binder<'_>,
    query: &Query,
    verb: WriteVerb,
    columns: Option<Vec<ResultColumn>>,
) -> Result<Plan, SqlError> {
    let effects = std::mem::take(&mut binder.effects);
    let mut steps = Steps::new(binder);
    let mut ctes: Vec<Cte> = Vec::new();
    let rest = Rest { reads_returning: true, ..Rest::default() };
    for effect in &effects {
        match effect {
            Effect::Arguments(cte) => {
                let step = steps.step(|lowering| lowering.query_of(cte))?;
                steps.keep(step);
                let width = cte.query.columns.len();
                let rows = Returned { step, first: 1, width };
                ctes.push(steps.kept_cte(&cte.sql_name, &cte.query.columns, rows));
            }
            Effect::Modification(sql_name, part) => {
                let (returned, _) = steps.modify(part, &ctes, &rest)?;
                let columns: &[OutputColumn] =
                    part.returning.as_ref().map_or(&[], |it| &it.columns);
                if let Some(returned) = returned {
                    ctes.push(steps.kept_cte(sql_name, columns, returned));
                }
                // What comes after sees what this did.
                steps.before.clear();
            }
            Effect::Query(query) => {
                steps.step(|lowering| {
                    let mut query = (**query).clone();
                    query.ctes.splice(0..0, ctes.iter().cloned());
                    lowering.query(&query)
                })?;
            }
        }
    }
    let step = steps.step(|lowering| {
        let mut query = query.clone();
        query.ctes.splice(0..0, ctes);
        lowering.query(&query)
    })?;
    let width = query.columns.len();
    let shown = columns.is_some().then_some(Returned { step, first: 1, width });
    steps.show((shown, step));
    steps.finish(verb, columns)
}

impl<'a> Binder<'a> {
    /// Runs `inner` where calls may have no effects.
    pub(crate) fn without_effects<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        let admitted = std::mem::replace(&mut self.admits_effects, false);
        let result = inner(self);
        self.admits_effects = admitted;
        result
    }

    /// Binds a statement of a body for its effects.
    ///
    /// # Errors
    /// What binding it reports; 0A000 where a call may have no effects.
    pub(crate) fn effect(
        &mut self,
        function: &Function,
        statement: &BodyStatement<'_>,
    ) -> Result<(), SqlError> {
        match statement {
            BodyStatement::Query(query) => {
                let bound = self.without_effects(|binder| binder.subquery(query))?;
                // What has no effect need not run.
                if bound.is_volatile(&self.relations) {
                    self.require_effects(function)?;
                    self.effects.push(Effect::Query(Box::new(bound)));
                }
                Ok(())
            }
            BodyStatement::Modification(statement) => {
                self.modifying_statement(function, statement).map(drop)
            }
        }
    }

    /// Binds a statement of a body that writes; the name of what it returns, and its columns, if it returns something.
    ///
    /// # Errors
    /// As [`Self::effect`].
    pub(crate) fn modifying_statement(
        &mut self,
        function: &Function,
        statement: &Statement,
    ) -> Result<Option<(String, Vec<OutputColumn>)>, SqlError> {
        self.require_effects(function)?;
        let part = self.without_effects(|binder| binder.modification(statement));
        // The next statement sees nothing of this one's names.
        self.scopes.clear();
        self.ctes.clear();
        let part = part?;
        let sql_name = format!("w{}", self.fresh());
        let columns = part.returning.as_ref().map(|it| it.columns.clone());
        self.effects.push(Effect::Modification(sql_name.clone(), Box::new(part)));
        Ok(columns.map(|columns| (sql_name, columns)))
    }

    fn require_effects(&self, function: &Function) -> Result<(), SqlError> {
        if self.admits_effects {
            return Ok(());
        }
        let name = &function.name;
        let message = format!("a call of function \"{name}\", which writes, within another query");
        Err(SqlError::unsupported(message).with_hint(format!(
            "Call it by itself: SELECT {name}(...) or SELECT * FROM {name}(...)."
        )))
    }
}
