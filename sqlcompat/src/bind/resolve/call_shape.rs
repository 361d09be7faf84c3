//! The clauses of a call (`*`, DISTINCT, ORDER BY, WITHIN GROUP, FILTER, OVER) against the kind of function it calls.

use super::function::{CallShape, FunctionCall, missing, signature, written_name};
use super::routine::Routine;
use super::type_facts::Types;
use crate::builtin::{AggregateKind, AggregateRow, FunctionKind, aggregate};
use crate::error::{SqlError, SqlState};

/// Refuses clauses that the function cannot have, and functions that lack a clause they need.
///
/// `spread` is the number of arguments that VARIADIC takes.
///
/// # Errors
/// 42809, 42P20, 42883 and 0A000, as PostgreSQL words them.
pub(super) fn check(
    types: Types<'_>,
    call: &FunctionCall<'_>,
    routine: Routine<'_>,
    spread: usize,
) -> Result<(), SqlError> {
    if call.shape.procedure && routine.kind() != FunctionKind::Procedure {
        let message = format!("{} is not a procedure", signature(types, call));
        return Err(wrong(message).with_hint("To call a function, use SELECT."));
    }
    match routine.kind() {
        FunctionKind::Procedure if call.shape.procedure => plain(call),
        FunctionKind::Plain => plain(call),
        FunctionKind::Window => window(call),
        FunctionKind::Procedure => {
            let message = format!("{} is a procedure", signature(types, call));
            Err(wrong(message).with_hint("To call a procedure, use CALL."))
        }
        FunctionKind::Aggregate => match aggregate(routine.oid()) {
            Some(row) if row.kind != AggregateKind::Normal => ordered_set(types, call, row, spread),
            _ => normal_aggregate(call),
        },
    }
}

fn wrong(message: String) -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}

fn plain(call: &FunctionCall<'_>) -> Result<(), SqlError> {
    let CallShape { star, distinct, ordered, within_group, filter, over, procedure: _ } =
        call.shape;
    let name = written_name(call);
    let clauses = [
        (star, format!("{name}(*)")),
        (distinct, "DISTINCT".to_owned()),
        (within_group.is_some(), "WITHIN GROUP".to_owned()),
        (ordered, "ORDER BY".to_owned()),
        (filter, "FILTER".to_owned()),
    ];
    if let Some((_, clause)) = clauses.into_iter().find(|(present, _)| *present) {
        return Err(wrong(format!("{clause} specified, but {name} is not an aggregate function")));
    }
    if over {
        let message = format!(
            "OVER specified, but {name} is not a window function nor an aggregate function"
        );
        return Err(wrong(message));
    }
    Ok(())
}

fn window(call: &FunctionCall<'_>) -> Result<(), SqlError> {
    let CallShape { star, distinct, ordered, within_group, filter, over, procedure: _ } =
        call.shape;
    let name = written_name(call);
    if !over {
        let message = format!("window function {name} requires an OVER clause");
        return Err(wrong(message));
    }
    if within_group.is_some() {
        return Err(wrong(format!("window function {name} cannot have WITHIN GROUP")));
    }
    if star && call.arguments.is_empty() && call.name != "count" {
        return Err(missing_star(call));
    }
    over_clauses(distinct, ordered)?;
    if filter {
        let message = "FILTER is not implemented for non-aggregate window functions";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    Ok(())
}

/// `row_number(*)`: only aggregates without arguments are written with a star.
fn missing_star(call: &FunctionCall<'_>) -> SqlError {
    wrong(format!("{0}(*) specified, but {0} is not an aggregate function", written_name(call)))
}

fn over_clauses(distinct: bool, ordered: bool) -> Result<(), SqlError> {
    let clause = match (distinct, ordered) {
        (true, _) => "DISTINCT is not implemented for window functions",
        (false, true) => "aggregate ORDER BY is not implemented for window functions",
        (false, false) => return Ok(()),
    };
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, clause))
}

fn normal_aggregate(call: &FunctionCall<'_>) -> Result<(), SqlError> {
    let CallShape { star, distinct, ordered, within_group, filter: _, over, procedure: _ } =
        call.shape;
    let name = written_name(call);
    if within_group.is_some() {
        let message =
            format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP");
        return Err(wrong(message));
    }
    if call.arguments.is_empty() && !star {
        let message = format!("{name}(*) must be used to call a parameterless aggregate function");
        return Err(wrong(message));
    }
    if over { over_clauses(distinct, ordered) } else { Ok(()) }
}

fn ordered_set(
    types: Types<'_>,
    call: &FunctionCall<'_>,
    row: &AggregateRow,
    spread: usize,
) -> Result<(), SqlError> {
    let name = written_name(call);
    let Some(ordering) = call.shape.within_group else {
        return Err(wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}")));
    };
    if call.shape.over {
        let message = format!("OVER is not supported for ordered-set aggregate {name}");
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let direct = call.arguments.len().saturating_sub(ordering);
    let expected = usize::from(row.direct_arguments);
    let hint = match row.kind {
        AggregateKind::Hypothetical if spread != 2 * ordering || direct != ordering => format!(
            "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {direct}) \
             must match the number of ordering columns (here {ordering})."
        ),
        AggregateKind::OrderedSet if direct != expected => {
            let plural = if expected == 1 { "" } else { "s" };
            format!(
                "There is an ordered-set aggregate {name}, but it requires {expected} direct argument{plural}, \
                 not {direct}."
            )
        }
        AggregateKind::Normal | AggregateKind::OrderedSet | AggregateKind::Hypothetical => {
            return Ok(());
        }
    };
    Err(missing(types, call).with_hint(hint))
}
