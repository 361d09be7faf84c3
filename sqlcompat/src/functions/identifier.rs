//! `parse_ident`: a qualified name taken apart.

use super::array::store;
use super::call::text;
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::array::Array;
use crate::types::scalar::is_space;

/// A part of the name and what follows it.
fn part<'a>(rest: &'a str, all: &str) -> Result<Option<(String, &'a str)>, SqlError> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let mut name = String::new();
        let mut left = quoted;
        loop {
            let Some(end) = left.find('"') else {
                return Err(invalid(all, Some("String has unclosed double quotes.".to_owned())));
            };
            name.push_str(left.get(..end).unwrap_or_default());
            left = left.get(end + 1..).unwrap_or_default();
            let Some(after) = left.strip_prefix('"') else { break };
            name.push('"');
            left = after;
        }
        if name.is_empty() {
            return Err(invalid(all, Some("Quoted identifier must not be empty.".to_owned())));
        }
        return Ok(Some((name, left)));
    }
    let starts = |c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii();
    if !rest.starts_with(starts) {
        return Ok(None);
    }
    let goes_on = |c: char| starts(c) || c == '$' || c.is_ascii_digit();
    let (name, left) = rest.split_at(rest.find(|c| !goes_on(c)).unwrap_or(rest.len()));
    Ok(Some((name.to_ascii_lowercase(), left)))
}

fn invalid(name: &str, detail: Option<String>) -> SqlError {
    let error = SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("string is not a valid identifier: \"{name}\""),
    );
    match detail {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}

fn parse_ident(call: &Call) -> Result<Datum, SqlError> {
    let (all, is_strict) = (call.text(0)?, call.bool(1)?);
    let mut parts = Vec::new();
    let mut rest = all.trim_start_matches(is_space);
    let mut after_dot = false;
    loop {
        let Some((name, left)) = part(rest, all)? else {
            let detail = if rest.starts_with('.') {
                Some("No valid identifier before \".\".".to_owned())
            } else {
                after_dot.then(|| "No valid identifier after \".\".".to_owned())
            };
            return Err(invalid(all, detail));
        };
        parts.push(text(name));
        rest = left.trim_start_matches(is_space);
        match rest.strip_prefix('.') {
            Some(next) => {
                after_dot = true;
                rest = next.trim_start_matches(is_space);
            }
            None if rest.is_empty() || !is_strict => break,
            None => return Err(invalid(all, None)),
        }
    }
    Ok(store(&Array::from_elements(parts)))
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] =
    &[ScalarFunction::strict("pg_parse_ident", parse_ident)];
