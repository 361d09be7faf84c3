//! Operators: which row of `pg_operator` an expression means (manual page `typeconv-oper`).

use super::candidate::{Candidate, Choice, choose};
use super::polymorphic::{array_over, decide};
use super::type_facts::Types;
use crate::builtin::{OperatorRow, operators_by_name};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// An operator with its types decided.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedOperator {
    /// The row.
    pub row: &'static OperatorRow,
    /// What the left operand must become; `None` for a prefix operator.
    pub left: Option<Oid>,
    /// What the right operand must become.
    pub right: Oid,
    /// Result type.
    pub result: Oid,
}

/// The operator of `left op ANY (array)` or `ALL`.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedArrayOperator {
    /// The operator over an element.
    pub operator: ResolvedOperator,
    /// What the array must become.
    pub array: Oid,
}

/// The operator of this name over these operand types; `left` is `None` for a prefix operator.
///
/// # Errors
/// 42883 where no operator fits, 42725 where several fit equally well.
pub fn resolve_operator(
    types: Types<'_>,
    name: &str,
    left: Option<Oid>,
    right: Oid,
) -> Result<ResolvedOperator, SqlError> {
    let row = match exact(types, name, left, right) {
        Some(row) => row,
        None => best(types, name, left, right)?,
    };
    let (actual, declared) = match left {
        Some(left) => (vec![left, right], vec![row.left, row.right]),
        None => (vec![right], vec![row.right]),
    };
    let decided = decide(types, &actual, &declared)?;
    let result = decided.substitute(types, row.result)?;
    let mut operands = decided.arguments.into_iter();
    let left = left.and_then(|_| operands.next());
    Ok(ResolvedOperator { row, left, right: operands.next().unwrap_or(row.right), result })
}

/// The operator of `left op ANY (right)` or `ALL`, where `right` is an array or unknown.
///
/// # Errors
/// Those of [`resolve_operator`], and 42809 where `right` is no array or the operator yields no boolean.
pub fn resolve_array_operator(
    types: Types<'_>,
    name: &str,
    left: Oid,
    right: Oid,
) -> Result<ResolvedArrayOperator, SqlError> {
    let wrong = |message: &str| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
    let element = match right {
        Oid::UNKNOWN => Oid::UNKNOWN,
        array => types
            .base_element(array)
            .ok_or_else(|| wrong("op ANY/ALL (array) requires array on right side"))?,
    };
    let operator = resolve_operator(types, name, Some(left), element)?;
    if operator.result != Oid::BOOL {
        return Err(wrong("op ANY/ALL (array) requires operator to yield boolean"));
    }
    Ok(ResolvedArrayOperator { operator, array: array_over(types, operator.right)? })
}

/// The operator that takes exactly these types. An unknown operand is taken to have the other's type, and where that is
/// a domain, its base type.
fn exact(
    types: Types<'_>,
    name: &str,
    left: Option<Oid>,
    right: Oid,
) -> Option<&'static OperatorRow> {
    let find = |left: Oid, right: Oid| {
        operators_by_name(name).iter().find(|row| row.left == left && row.right == right)
    };
    let Some(left) = left else {
        return find(Oid(0), right);
    };
    let assumed = match (left, right) {
        (Oid::UNKNOWN, known) | (known, Oid::UNKNOWN) => known,
        (left, right) => return find(left, right),
    };
    let base = types.base(assumed);
    find(assumed, assumed).or_else(|| find(base, base))
}

fn best(
    types: Types<'_>,
    name: &str,
    left: Option<Oid>,
    right: Oid,
) -> Result<&'static OperatorRow, SqlError> {
    let rows = operators_by_name(name).iter();
    let rows = rows.filter(|row| (row.left == Oid(0)) == left.is_none());
    let candidates = rows.map(|row| {
        let declared = if left.is_some() { vec![row.left, row.right] } else { vec![row.right] };
        Candidate { row, declared }
    });
    let actual: Vec<Oid> = left.into_iter().chain([right]).collect();
    match choose(types, &actual, candidates.collect()) {
        Choice::One(candidate) => Ok(candidate.row),
        Choice::None => Err(missing(types, name, left, right)),
        Choice::Ambiguous => Err(ambiguous(types, name, left, right)),
    }
}

fn signature(types: Types<'_>, name: &str, left: Option<Oid>, right: Oid) -> String {
    let right = types.format(right);
    match left {
        Some(left) => format!("{} {name} {right}", types.format(left)),
        None => format!("{name} {right}"),
    }
}

fn missing(types: Types<'_>, name: &str, left: Option<Oid>, right: Oid) -> SqlError {
    let message = format!("operator does not exist: {}", signature(types, name, left, right));
    let hint = match left {
        Some(_) => {
            "No operator matches the given name and argument types. \
             You might need to add explicit type casts."
        }
        None => {
            "No operator matches the given name and argument type. \
             You might need to add an explicit type cast."
        }
    };
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(hint)
}

fn ambiguous(types: Types<'_>, name: &str, left: Option<Oid>, right: Oid) -> SqlError {
    let message = format!("operator is not unique: {}", signature(types, name, left, right));
    SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).with_hint(
        "Could not choose a best candidate operator. You might need to add explicit type casts.",
    )
}
