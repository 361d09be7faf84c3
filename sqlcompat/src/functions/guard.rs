//! What lowered statements call to keep PostgreSQL's rules where SQLite's differ, and which no name in SQL reaches.
//!
//! | function | does |
//! |---|---|
//! | `trellis_check_option(view, row)` | 44000: a row that the view would not show |
//! | `trellis_domain(value, domain, not_null, holds, constraint, …)` | the value; 23502 or 23514 if the domain does not admit it |
//! | `trellis_merge_again()` | 21000: a row of the target that MERGE would change twice |
//! | `trellis_null_key(relation, column)` | 23502: SQLite would put a number of its own in place of the NULL |
//! | `trellis_limit(count)`, `trellis_offset(count)` | the count; NULL is none; 2201W or 2201X if it is negative |
//! | `trellis_shown(text)` | a value as the detail of an error shows it |
//! | `trellis_only_row(value)`, an aggregate | the value of the only row; 21000 if there are several |
//!
//! All are volatile: SQLite computes a deterministic call of constants before the statement starts, also one that is never
//! reached.

use super::call::integer;
use super::{Accumulator, AggregateFunction, Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{ErrorObject, SqlError, SqlState};
use crate::types::scalar::clip_bytes;

type Answer = Result<Datum, SqlError>;

/// How much of a value the detail of an error shows, in bytes.
const SHOWN_BYTES_MAX: usize = 64;

fn null_key(call: &Call) -> Answer {
    let (relation, column) = (call.text(0)?, call.text(1)?);
    let mut error = SqlError::new(
        SqlState::NOT_NULL_VIOLATION,
        format!(
            "null value in column \"{column}\" of relation \"{relation}\" violates not-null constraint"
        ),
    );
    let (table, column) = (Some(relation.to_owned()), Some(column.to_owned()));
    error.object = Box::new(ErrorObject { table, column, ..ErrorObject::default() });
    Err(error)
}

/// The value, if the domain admits it: arguments 3, 5, … say whether the constraint named after them holds.
fn domain(call: &Call) -> Answer {
    let name = call.text(1)?;
    if call.is_null(0) && call.bool(2)? {
        let message = format!("domain {name} does not allow null values");
        return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message));
    }
    for at in (3..call.len()).step_by(2) {
        if call.is_null(at) || call.bool(at)? {
            continue;
        }
        let constraint = call.text(at + 1)?;
        let mut error = SqlError::new(
            SqlState::CHECK_VIOLATION,
            format!("value for domain {name} violates check constraint \"{constraint}\""),
        );
        let constraint = Some(constraint.to_owned());
        error.object = Box::new(ErrorObject { constraint, ..ErrorObject::default() });
        return Err(error);
    }
    Ok(call.datum(0).to_datum())
}

fn check_option(call: &Call) -> Answer {
    let message = format!("new row violates check option for view \"{}\"", call.text(0)?);
    let detail = format!("Failing row contains ({}).", call.text(1)?);
    Err(SqlError::new(SqlState::WITH_CHECK_OPTION_VIOLATION, message).with_detail(detail))
}

/// A value as `ExecBuildSlotValueDescription` shows it: cut after 64 bytes.
fn shown(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Text("null".to_owned()));
    }
    let text = call.text(0)?;
    let cut = clip_bytes(text, SHOWN_BYTES_MAX);
    let rest = if cut.len() < text.len() { "..." } else { "" };
    Ok(Datum::Text(format!("{cut}{rest}")))
}

fn limit(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(integer(-1));
    }
    let state = SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE;
    not_negative(call.i64(0)?, state, "LIMIT must not be negative")
}

fn offset(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(integer(0));
    }
    let state = SqlState::INVALID_ROW_COUNT_IN_OFFSET_CLAUSE;
    not_negative(call.i64(0)?, state, "OFFSET must not be negative")
}

fn not_negative(count: i64, state: SqlState, message: &str) -> Answer {
    if count < 0 { Err(SqlError::new(state, message)) } else { Ok(Datum::Integer(count)) }
}

fn merge_again(_: &Call) -> Answer {
    let message = "MERGE command cannot affect row a second time";
    Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
        .with_hint("Ensure that not more than one source row matches any one target row."))
}

/// The value of the only row.
#[derive(Default)]
struct OnlyRow(Option<Datum>);

impl Accumulator for OnlyRow {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if self.0.is_some() {
            return Err(SqlError::new(
                SqlState::CARDINALITY_VIOLATION,
                "more than one row returned by a subquery used as an expression",
            ));
        }
        self.0 = Some(call.datum(0).to_datum());
        Ok(())
    }

    fn retract(&mut self, _: &Call) -> Result<(), SqlError> {
        self.0 = None;
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        Ok(self.0.clone().unwrap_or(Datum::Null))
    }
}

/// The functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("trellis_check_option", check_option).volatile(),
    ScalarFunction::lax("trellis_domain", domain).volatile(),
    ScalarFunction::lax("trellis_limit", limit).volatile(),
    ScalarFunction::lax("trellis_merge_again", merge_again).volatile(),
    ScalarFunction::lax("trellis_null_key", null_key).volatile(),
    ScalarFunction::lax("trellis_offset", offset).volatile(),
    ScalarFunction::lax("trellis_shown", shown).volatile(),
];

/// The aggregate.
pub(super) const AGGREGATES: &[AggregateFunction] =
    &[AggregateFunction { name: "trellis_only_row", start: || Box::new(OnlyRow::default()) }];
