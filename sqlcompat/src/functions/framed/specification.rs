//! What [`super::Framed`] is told of a frame, as text.

use crate::error::{SqlError, SqlState};
use crate::functions::{Accumulator, find_aggregate};
use crate::oid::Oid;

/// Which row of the frame a function takes its value from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    First,
    Last,
    Nth,
}

/// What is computed over a frame.
#[derive(Clone, Copy)]
pub(super) enum Function {
    /// The value of a row.
    Value(Which),
    /// An aggregate, by how it starts.
    Aggregate(fn() -> Box<dyn Accumulator>),
}

impl Function {
    /// The function of that name: a window function's own, or an aggregate's in SQLite.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "first_value" => Some(Self::Value(Which::First)),
            "last_value" => Some(Self::Value(Which::Last)),
            "nth_value" => Some(Self::Value(Which::Nth)),
            _ => find_aggregate(name).map(|it| Self::Aggregate(it.start)),
        }
    }
}

/// What a frame counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Units {
    Rows,
    Range,
    Groups,
}

/// A bound of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Unbounded,
    CurrentRow,
    Preceding,
    Following,
}

/// What is excluded of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exclude {
    Nothing,
    Row,
    Peers,
    Ties,
}

/// A key of `ORDER BY`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its type.
    pub(super) type_oid: Oid,
    /// `DESC`.
    pub(super) descending: bool,
    /// `NULLS FIRST`.
    pub(super) nulls_first: bool,
}

/// A frame and what is computed over it.
pub(super) struct Specification {
    pub(super) function: Function,
    pub(super) units: Units,
    pub(super) start: Bound,
    pub(super) end: Bound,
    pub(super) exclude: Exclude,
    pub(super) keys: Vec<Key>,
    /// Whether an argument after the keys says if `FILTER` admits the row.
    pub(super) filtered: bool,
}

impl Specification {
    /// Reads the text of seven parts that the module's documentation shows.
    ///
    /// # Errors
    /// XX000 for any other text.
    pub(super) fn parse(text: &str) -> Result<Self, SqlError> {
        let parts: Vec<&str> = text.split('|').collect();
        Self::of(&parts).ok_or_else(|| {
            SqlError::new(SqlState::INTERNAL_ERROR, format!("no window frame: {text}"))
        })
    }

    fn of(parts: &[&str]) -> Option<Self> {
        let [function, units, start, end, exclude, keys, filtered] = parts else { return None };
        let bound = |text: &str| match text {
            "UNBOUNDED" => Some(Bound::Unbounded),
            "CURRENT ROW" => Some(Bound::CurrentRow),
            "PRECEDING" => Some(Bound::Preceding),
            "FOLLOWING" => Some(Bound::Following),
            _ => None,
        };
        Some(Self {
            function: Function::named(function)?,
            units: match *units {
                "ROWS" => Units::Rows,
                "RANGE" => Units::Range,
                "GROUPS" => Units::Groups,
                _ => return None,
            },
            start: bound(start)?,
            end: bound(end)?,
            exclude: match *exclude {
                "CURRENT ROW" => Exclude::Row,
                "GROUP" => Exclude::Peers,
                "TIES" => Exclude::Ties,
                _ => Exclude::Nothing,
            },
            keys: keys.split_terminator(',').map(key).collect::<Option<_>>()?,
            filtered: *filtered == "1",
        })
    }
}

fn key(text: &str) -> Option<Key> {
    let mut parts = text.split(':');
    Some(Key {
        type_oid: Oid(parts.next()?.parse().ok()?),
        descending: parts.next()? == "1",
        nulls_first: parts.next()? == "1",
    })
}

/// 22016 for `nth_value` of no row.
pub(super) fn bad_nth() -> SqlError {
    let message = "argument of nth_value must be greater than zero";
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE, message)
}
