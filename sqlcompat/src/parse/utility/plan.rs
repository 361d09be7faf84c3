//! Utility statements to plans.
//!
//! `DECLARE` and `EXPLAIN` are plans around the plan of another statement, whose parameters are theirs.

use super::ast::ObjectName;
use super::{TypeName, UtilityAst};
use crate::bind::{self, BindContext, Parameters};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse;
use crate::plan::{
    CatalogReads, DeclareStatement, ExplainStatement, Plan, PlanKind, SessionStatement, WritePlan,
    WriteVerb,
};
use crate::schema::{self, Relation};

/// Plans a utility statement.
///
/// # Errors
/// What PostgreSQL reports for names that do not exist and options that contradict each other; 0A000 for what Trellis does
/// not support.
pub fn plan(ast: &UtilityAst, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let mut parameters = Vec::new();
    let kind = match ast {
        UtilityAst::Session(statement) => PlanKind::Session(statement.clone()),
        UtilityAst::Prepare { name, parameter_types, statement } => {
            PlanKind::Session(prepare(name, parameter_types, statement, cx)?)
        }
        UtilityAst::Declare { name, query, scroll, hold, binary } => {
            let (plan, tables) = cursor_query(query, cx)?;
            if let PlanKind::Write(WritePlan { verb: WriteVerb::Select, .. }) = plan.kind {
                let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            parameters.clone_from(&plan.parameters);
            let name = name.clone();
            let (scroll, hold, binary) = (*scroll, *hold, *binary);
            let declare = DeclareStatement { name, plan, tables, scroll, hold, binary };
            PlanKind::Session(SessionStatement::DeclareCursor(Box::new(declare)))
        }
        UtilityAst::Copy(ast) => {
            PlanKind::Session(SessionStatement::Copy(Box::new(super::plan_copy::copy(ast, cx)?)))
        }
        UtilityAst::SetConstraints { names, deferred } => {
            PlanKind::Session(super::constraints::plan(names, *deferred, cx)?)
        }
        UtilityAst::Explain { analyze, verbose, json, times, statement } => {
            let plan = plan_text(statement, cx)?;
            parameters.clone_from(&plan.parameters);
            let (analyze, verbose, json, times) = (*analyze, *verbose, *json, *times);
            let explain = ExplainStatement { plan, analyze, verbose, json, times };
            PlanKind::Session(SessionStatement::Explain(Box::new(explain)))
        }
        UtilityAst::Lock { tables, exclusive, nowait } => {
            tables.iter().try_for_each(|name| relation(name, cx).map(|_| ()))?;
            let (exclusive, nowait) = (*exclusive, *nowait);
            PlanKind::Session(SessionStatement::LockTable { exclusive, nowait })
        }
        UtilityAst::Call(call) => return bind::plan_call(call, cx),
        UtilityAst::Maintenance(ast) => PlanKind::Session(super::maintained::plan(ast, cx)?),
        UtilityAst::Ddl(ddl) => PlanKind::Schema(Box::new(schema::bind_ddl(
            ddl,
            &BindContext { parameters: Parameters::None, ..*cx },
        )?)),
        UtilityAst::Unsupported(what) => return Err(SqlError::unsupported(what)),
    };
    let reads = CatalogReads::default();
    Ok(Plan { parameters, columns: None, kind, reads, constants: None, source: None })
}

fn prepare(
    name: &str,
    parameter_types: &[TypeName],
    statement: &str,
    cx: &BindContext<'_>,
) -> Result<SessionStatement, SqlError> {
    let resolve = |it: &TypeName| it.resolve(cx.catalog, cx.search_path).map(|(oid, _)| oid);
    let parameter_types = parameter_types.iter().map(resolve).collect::<Result<_, _>>()?;
    let (name, statement) = (name.to_owned(), statement.to_owned());
    Ok(SessionStatement::Prepare { name, parameter_types, statement })
}

/// Plans the query of a cursor.
fn cursor_query(text: &str, cx: &BindContext<'_>) -> Result<(Plan, Vec<Oid>), SqlError> {
    let statements = parse::split(text)?;
    let [statement] = statements.as_slice() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
    };
    bind::plan_cursor(statement, cx)
}

/// Plans the one statement that `text` holds.
pub(super) fn plan_text(text: &str, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let statements = parse::split(text)?;
    let [statement] = statements.as_slice() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
    };
    bind::plan(statement, cx)
}

/// Finds a table or view that a statement names.
pub(super) fn relation<'a>(
    name: &ObjectName,
    cx: &BindContext<'a>,
) -> Result<Relation<'a>, SqlError> {
    let found = cx.catalog.relation(cx.search_path, name.schema.as_deref(), &name.name);
    found.ok_or_else(|| {
        let message = format!("relation \"{}\" does not exist", name.display());
        SqlError::new(SqlState::UNDEFINED_TABLE, message)
    })
}
