//! JSON as a path sees it.
//!
//! Containers are shared, so that an item is cheap to keep. Each knows its offset in the binary form that PostgreSQL
//! gives the value it belongs to: `.keyvalue()` shows it as the object's `id`.
//!
//! # Sources
//! PostgreSQL 15, the comments of `jsonb.h` (the binary form) and `numeric.c` (size of a number).

use std::sync::Arc;

use super::moment::Moment;
use crate::types::json::Json;

/// One item.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As `numeric` prints it.
    Number(Arc<str>),
    String(Arc<str>),
    Array(Arc<Elements>),
    Object(Arc<Members>),
    /// What `.datetime()` made.
    Moment(Moment),
}

/// An array.
#[derive(Debug)]
pub(super) struct Elements {
    pub(super) items: Vec<Value>,
}

/// An object.
#[derive(Debug)]
pub(super) struct Members {
    /// Where it lies in the value it belongs to.
    pub(super) offset: i64,
    pub(super) members: Vec<(Arc<str>, Value)>,
}

impl Value {
    /// A value of its own, whose containers lie from 0 on.
    pub(super) fn new(json: Json) -> Self {
        place(json, &mut 0)
    }

    /// `.type()`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Moment(moment) => moment.type_name(),
        }
    }

    /// The value a client sees.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(text) => Json::Number(text.to_string()),
            Self::String(text) => Json::String(text.to_string()),
            Self::Array(array) => Json::Array(array.items.iter().map(Self::to_json).collect()),
            Self::Object(object) => {
                let members = object.members.iter();
                Json::Object(members.map(|(key, it)| (key.to_string(), it.to_json())).collect())
            }
            Self::Moment(moment) => Json::String(moment.to_string()),
        }
    }

    /// The elements or member values of a container; none of anything else.
    pub(super) fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Array(array) => Box::new(array.items.iter()),
            Self::Object(object) => Box::new(object.members.iter().map(|(_, value)| value)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Whether it is an array or an object.
    pub(super) fn is_container(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Object(_))
    }
}

/// Bytes of a container's header and of each of its entries.
const WORD_BYTES: i64 = 4;

fn bytes(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn aligned(at: i64) -> i64 {
    (at + WORD_BYTES - 1) / WORD_BYTES * WORD_BYTES
}

/// Gives the value its place at `at`, and moves `at` behind it.
fn place(json: Json, at: &mut i64) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(text) => {
            *at = aligned(*at) + number_bytes(&text);
            Value::Number(text.into())
        }
        Json::String(text) => {
            *at += bytes(&text);
            Value::String(text.into())
        }
        Json::Array(items) => {
            *at = aligned(*at) + WORD_BYTES * (1 + i64::try_from(items.len()).unwrap_or(0));
            let items = items.into_iter().map(|item| place(item, at)).collect();
            Value::Array(Arc::new(Elements { items }))
        }
        Json::Object(members) => {
            let offset = aligned(*at);
            *at = offset + WORD_BYTES * (1 + 2 * i64::try_from(members.len()).unwrap_or(0));
            *at += members.iter().map(|(key, _)| bytes(key)).sum::<i64>();
            let members =
                members.into_iter().map(|(key, it)| (key.into(), place(it, at))).collect();
            Value::Object(Arc::new(Members { offset, members }))
        }
    }
}

/// Size of a number: a header, and two bytes for each four digits that are not all zeros at an end.
fn number_bytes(text: &str) -> i64 {
    let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('-');
    let group_count = |digits: usize| digits.div_ceil(4);
    let left_padding = group_count(whole.len()) * 4 - whole.len();
    let padded = format!("{}{whole}{fraction}", "0".repeat(left_padding));
    let groups: Vec<bool> =
        padded.as_bytes().chunks(4).map(|group| group.iter().any(|digit| *digit != b'0')).collect();
    let first = groups.iter().position(|it| *it);
    let last = groups.iter().rposition(|it| *it);
    let (Some(first), Some(last)) = (first, last) else { return 6 };
    let weight = i64::try_from(group_count(whole.len())).unwrap_or(0)
        - 1
        - i64::try_from(first).unwrap_or(0);
    let is_short = fraction.len() <= 63 && (-64..=63).contains(&weight);
    (if is_short { 6 } else { 8 }) + 2 * i64::try_from(last - first + 1).unwrap_or(0)
}
