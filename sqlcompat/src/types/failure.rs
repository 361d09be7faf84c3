//! The errors that input and output functions share, in PostgreSQL's words.

use crate::error::{SqlError, SqlState};

/// 22P02 `invalid input syntax for type …`.
#[must_use]
pub fn invalid_text(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// 22007, the same for date and time types.
#[must_use]
pub fn invalid_datetime(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// 22008 `date/time field value out of range`.
#[must_use]
pub fn field_overflow(text: &str) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// 22003 `… out of range`.
#[must_use]
pub fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

/// 22008 `timestamp out of range` and its kin.
#[must_use]
pub fn datetime_out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

/// 22012.
#[must_use]
pub fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// 22023.
#[must_use]
pub fn invalid_parameter(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// 22P03 for a binary value of the wrong length or content.
#[must_use]
pub fn invalid_binary(type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_BINARY_REPRESENTATION,
        format!("incorrect binary data format for type {type_name}"),
    )
}

/// XX000: what is stored does not fit the type it is declared as.
#[must_use]
pub fn wrong_storage(type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::INTERNAL_ERROR,
        format!("stored value does not have the form of type {type_name}"),
    )
}

/// 22008 `timestamp out of range: "…"`, for input.
#[must_use]
pub fn input_out_of_range(what: &str, text: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range: \"{text}\""))
}
