//! The check of a function's body when the function is made.

use super::super::binder::Binder;
use super::super::context::{BindContext, Parameters};
use super::super::effects::{self, BodyStatement};
use super::super::resolve::is_polymorphic;
use super::super::tree::{At, Expr};
use super::{Frame, Shape, statements};
use crate::error::SqlError;
use crate::oid::Oid;
use crate::parse::{self, ParsedStatement, StatementAst};
use crate::schema::Function;

/// Checks the body of a function as it is made: all of its statements, and what the last one returns.
///
/// # Errors
/// What binding the body reports, with positions in it; 42P13 for what the function cannot return; 0A000 for statements that
/// Trellis cannot expand.
pub fn check_function(function: &Function, cx: &BindContext<'_>) -> Result<(), SqlError> {
    let statements = statements(function)?;
    let polymorphic = function.arguments.iter().any(|it| is_polymorphic(*it));
    let is_void = function.result == Oid::VOID;
    let Some((last, before)) = statements.split_last() else {
        if is_void || polymorphic {
            return Ok(());
        }
        return Err(Binder::new(cx, "").no_result(function.result));
    };
    if let (StatementAst::Utility(_), false) = (&last.ast, is_void) {
        return Err(Binder::new(cx, "").no_result(function.result));
    }
    let cx = BindContext { parameters: Parameters::None, ..*cx };
    for statement in before {
        check_statement(function, statement, &cx, false)?;
    }
    check_statement(function, last, &cx, true)
}

/// Checks one statement of a body; the last one also for what it returns.
fn check_statement(
    function: &Function,
    statement: &ParsedStatement,
    cx: &BindContext<'_>,
    is_last: bool,
) -> Result<(), SqlError> {
    let place = |error| parse::split::shift(error, statement.offset_chars);
    let body = BodyStatement::of(statement).map_err(place)?;
    if function.arguments.iter().any(|it| is_polymorphic(*it)) {
        return Ok(());
    }
    let mut binder = Binder::new(cx, &statement.text);
    binder.admits_effects = true;
    let values: Vec<Expr> = function
        .inputs()
        .map(|it| {
            let id = binder.add_given("c1", it.type_oid, -1);
            binder.column(id, 0, At(0))
        })
        .collect();
    let columns: Vec<(&str, Oid)> = function.out_columns().collect();
    let columns = if function.result == Oid::RECORD { columns } else { Vec::new() };
    let shape = if is_last { binder.shape(function.result, &columns) } else { Shape::Void };
    binder.frames.push(Frame::of(function, &values));
    let bound = binder.statements(function, &[body], &shape);
    binder.frames.pop();
    let bound = bound.map_err(place)?;
    if binder.effects.is_empty() {
        return binder.lowered(|lowering| lowering.query(&bound)).map(drop);
    }
    effects::plan(binder, &bound).map(drop)
}
