//! What SQLite refuses of a lowered statement when it prepares or runs it, in PostgreSQL's words.

use crate::error::{SqlError, SqlState};

/// Beginnings of what SQLite says of arguments of window functions, and PostgreSQL's code and words.
const WINDOW_REFUSALS: &[(&str, SqlState, &str)] = &[
    (
        "argument of ntile must be",
        SqlState::INVALID_ARGUMENT_FOR_NTILE,
        "argument of ntile must be greater than zero",
    ),
    (
        "second argument to nth_value must be",
        SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE,
        "argument of nth_value must be greater than zero",
    ),
    (
        "frame starting offset must be",
        SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        "frame starting offset must not be negative",
    ),
    (
        "frame ending offset must be",
        SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        "frame ending offset must not be negative",
    ),
];

/// What SQLite says where a statement goes beyond one of its limits.
const LIMIT_REFUSALS: &[&str] =
    &["too many ", "at most 64 tables", "Expression tree is too large", "parser stack overflow"];

/// A refusal of SQLite's that PostgreSQL has a code for, by SQLite's message.
#[must_use]
pub fn refusal(message: &str) -> Option<SqlError> {
    let window = WINDOW_REFUSALS.iter().find(|(begin, ..)| message.starts_with(begin));
    if let Some((_, state, words)) = window {
        return Some(SqlError::new(*state, *words));
    }
    LIMIT_REFUSALS.iter().any(|begin| message.starts_with(begin)).then(|| {
        SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is too complex")
            .with_detail(message)
    })
}
