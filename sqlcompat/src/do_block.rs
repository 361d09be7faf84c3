//! What a `DO` block does: the part of PL/pgSQL without variables and control flow.
//!
//! Source: PostgreSQL 15 manual, `plpgsql-structure` §43.2, `plpgsql-errors-and-messages` §43.9.

use crate::conditions::condition;
use crate::error::SqlState;

/// A block: its statements in order, and what is done instead when one of them fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoBlock {
    /// The statements.
    pub steps: Vec<BlockStep>,
    /// `EXCEPTION WHEN … THEN …`, in order.
    pub handlers: Vec<Handler>,
}

/// A statement of a block, and the line of the block that it begins in, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockStep {
    /// The line.
    pub line: usize,
    /// The statement.
    pub kind: BlockStepKind,
}

/// The statements that a block may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockStepKind {
    /// SQL that returns no rows.
    Sql(String),
    /// `PERFORM`: a query, from `SELECT` on, whose rows nobody sees.
    Perform(String),
    /// `EXECUTE`: an expression whose value is SQL.
    Execute(String),
    /// `RAISE`.
    Raise(Box<Raise>),
}

/// A message, or an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raise {
    /// How serious it is.
    pub level: RaiseLevel,
    /// What it says: text with `%` for each argument.
    pub format: Option<String>,
    /// The arguments: expressions.
    pub arguments: Vec<String>,
    /// The condition that it names, which is also its message if it has none.
    pub condition: Option<(String, SqlState)>,
    /// `USING`: options with expressions.
    pub options: Vec<(RaiseOption, String)>,
}

/// How serious a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RaiseLevel {
    /// `DEBUG`.
    Debug,
    /// `LOG`.
    Log,
    /// `INFO`.
    Info,
    /// `NOTICE`.
    Notice,
    /// `WARNING`.
    Warning,
    /// `EXCEPTION`: the block fails.
    #[default]
    Exception,
}

/// What `USING` can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseOption {
    /// The message.
    Message,
    /// The detail.
    Detail,
    /// The hint.
    Hint,
    /// The state, by its code or its condition's name.
    ErrorCode,
    /// Name of a column.
    Column,
    /// Name of a constraint.
    Constraint,
    /// Name of a data type.
    DataType,
    /// Name of a table.
    Table,
    /// Name of a schema.
    Schema,
}

impl RaiseOption {
    /// Its name, as errors give it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "MESSAGE",
            Self::Detail => "DETAIL",
            Self::Hint => "HINT",
            Self::ErrorCode => "ERRCODE",
            Self::Column => "COLUMN",
            Self::Constraint => "CONSTRAINT",
            Self::DataType => "DATATYPE",
            Self::Table => "TABLE",
            Self::Schema => "SCHEMA",
        }
    }
}

/// Conditions, and what is done when one of them is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// States of the conditions; a class stands for all of its states, none for `OTHERS`.
    pub conditions: Vec<Option<SqlState>>,
    /// What is done.
    pub steps: Vec<BlockStep>,
}

impl Handler {
    /// Whether an error of this state is for this handler. `OTHERS` leaves out what stops a statement from outside.
    #[must_use]
    pub fn takes(&self, state: SqlState) -> bool {
        self.conditions.iter().any(|it| match it {
            Some(wanted) if wanted.0.ends_with(b"000") => wanted.0[..2] == state.0[..2],
            Some(wanted) => *wanted == state,
            None => state != SqlState::QUERY_CANCELED && Some(state) != condition("assert_failure"),
        })
    }
}

impl Raise {
    /// The message with its arguments in place, as text; `None` is NULL.
    #[must_use]
    pub fn message(&self, arguments: &[Option<String>]) -> Option<String> {
        let format = self.format.as_deref()?;
        let mut arguments = arguments.iter();
        let mut message = String::with_capacity(format.len());
        let mut rest = format.chars().peekable();
        while let Some(c) = rest.next() {
            if c != '%' {
                message.push(c);
            } else if rest.next_if_eq(&'%').is_some() {
                message.push('%');
            } else {
                let argument = arguments.next().and_then(Option::as_deref);
                message.push_str(argument.unwrap_or("<NULL>"));
            }
        }
        Some(message)
    }
}

/// How many arguments a format wants.
#[must_use]
pub fn placeholders(format: &str) -> usize {
    let percents = format.split("%%").map(|part| part.matches('%').count());
    percents.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_others_take_errors() {
        let handler = |conditions| Handler { conditions, steps: Vec::new() };
        let class = handler(vec![condition("data_exception")]);
        assert!(class.takes(SqlState::DIVISION_BY_ZERO));
        assert!(!class.takes(SqlState::UNDEFINED_TABLE));
        let others = handler(vec![None]);
        assert!(others.takes(SqlState::UNDEFINED_TABLE));
        assert!(!others.takes(SqlState::QUERY_CANCELED));
    }

    #[test]
    fn messages_hold_their_arguments() {
        let raise = Raise { format: Some("100%% of % is %".to_owned()), ..Raise::default() };
        assert_eq!(placeholders("100%% of % is %"), 2);
        let message = raise.message(&[Some("5".to_owned()), None]);
        assert_eq!(message.as_deref(), Some("100% of 5 is <NULL>"));
    }
}
