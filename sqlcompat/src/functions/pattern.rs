//! LIKE, ILIKE and SIMILAR TO.
//!
//! LIKE works on characters with two marks, `%` and `_`, and an escape that is `\` unless `like_escape` has rewritten the
//! pattern. It is matched directly, in time proportional to text × `%` at worst. SIMILAR TO becomes a regular expression.

use super::call::{boolean, text};
use super::text::lower_char;
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};

type Answer = Result<Datum, SqlError>;

/// One part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Any,
    /// An escape with nothing behind it: an error if the match gets there.
    Dangling,
}

fn compile(pattern: &str, fold: fn(char) -> char) -> Vec<Part> {
    let mut parts = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => chars.next().map_or(Part::Dangling, |c| Part::Literal(fold(c))),
            c => Part::Literal(fold(c)),
        });
    }
    parts
}

/// Matches with one point of return: the last `%` seen.
fn matches(value: &[char], parts: &[Part]) -> Result<bool, SqlError> {
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match parts.get(part) {
            Some(Part::Any) => {
                retry = Some((part + 1, at));
                part += 1;
                continue;
            }
            Some(Part::One) if at < value.len() => {
                at += 1;
                part += 1;
                continue;
            }
            Some(Part::Literal(c)) if value.get(at) == Some(c) => {
                at += 1;
                part += 1;
                continue;
            }
            Some(Part::Dangling) if at < value.len() => {
                return Err(SqlError::new(
                    SqlState::INVALID_ESCAPE_SEQUENCE,
                    "LIKE pattern must not end with escape character",
                ));
            }
            None if at == value.len() => return Ok(true),
            _ => {}
        }
        match retry {
            Some((after, from)) if from < value.len() => {
                retry = Some((after, from + 1));
                part = after;
                at = from + 1;
            }
            _ => return Ok(false),
        }
    }
}

/// Whether `value` is LIKE `pattern`.
pub(super) fn like(value: &str, pattern: &str, fold: fn(char) -> char) -> Result<bool, SqlError> {
    let parts = compile(pattern, fold);
    let chars: Vec<char> = value.chars().map(fold).collect();
    matches(&chars, &parts)
}

/// The characters that every match of a LIKE pattern begins with.
#[must_use]
pub(crate) fn like_prefix(pattern: &str) -> String {
    let part = |part| if let Part::Literal(c) = part { Some(c) } else { None };
    compile(pattern, keep).into_iter().map_while(part).collect()
}

/// The least text above all that begin with a prefix; `None` if there is none.
#[must_use]
pub(crate) fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    let last = chars.pop()?;
    // Between them there are no characters, but surrogates.
    let next =
        if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
    chars.push(next?);
    Some(chars.into_iter().collect())
}

/// The prefix that a text is, or with `like` that a pattern has.
fn prefix(call: &Call) -> Result<String, SqlError> {
    let (pattern, like) = (call.text(0)?, call.i64(1)? == 1);
    Ok(if like { like_prefix(pattern) } else { pattern.to_owned() })
}

/// What every text with the prefix is below: without one a blob, which SQLite sorts above all texts.
fn prefix_end(call: &Call) -> Answer {
    Ok(successor(&prefix(call)?).map_or_else(|| Datum::Blob(Vec::new()), Datum::Text))
}

fn keep(c: char) -> char {
    c
}

fn like_call(call: &Call, fold: fn(char) -> char, wanted: bool) -> Answer {
    Ok(boolean(like(call.text(0)?, call.text(1)?, fold)? == wanted))
}

/// LIKE on bytes, each of which is a character.
fn byte_like(call: &Call, wanted: bool) -> Answer {
    Ok(boolean(like(&widened(call.blob(0)?), &widened(call.blob(1)?), keep)? == wanted))
}

/// Rewrites a pattern with another escape character to use `\`.
fn like_escape(call: &Call) -> Answer {
    backslashed(call.text(0)?, call.text(1)?).map(text)
}

/// The same on bytes, each of which is a character.
fn byte_like_escape(call: &Call) -> Answer {
    let built = backslashed(&widened(call.blob(0)?), &widened(call.blob(1)?))?;
    let bytes = built.chars().map(|it| u8::try_from(u32::from(it)).unwrap_or(b'?'));
    Ok(Datum::Blob(bytes.collect()))
}

fn widened(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn backslashed(pattern: &str, escape: &str) -> Result<String, SqlError> {
    let mut escapes = escape.chars();
    let (first, second) = (escapes.next(), escapes.next());
    if second.is_some() {
        return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    if first == Some('\\') {
        return Ok(pattern.to_owned());
    }
    let mut built = String::new();
    let mut after_escape = false;
    for c in pattern.chars() {
        if Some(c) == first && !after_escape {
            built.push('\\');
            after_escape = true;
            continue;
        }
        if c == '\\' && !after_escape {
            built.push('\\');
        }
        built.push(c);
        after_escape = false;
    }
    Ok(built)
}

/// Rewrites a SIMILAR TO pattern as a regular expression.
pub(super) fn similar_to_regex(pattern: &str, escape: Option<char>) -> String {
    let mut built = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                if let Some(next) = chars.next() {
                    if next == '"' {
                        built.push_str(")(?:");
                    } else {
                        built.push('\\');
                        built.push(next);
                    }
                }
            }
            c if in_class => {
                if c == '\\' {
                    built.push('\\');
                }
                in_class = c != ']';
                built.push(c);
            }
            '[' => {
                in_class = true;
                built.push('[');
            }
            '%' => built.push_str(".*"),
            '_' => built.push('.'),
            '(' => built.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                built.push('\\');
                built.push(c);
            }
            c => built.push(c),
        }
    }
    built.push_str(")$");
    built
}

fn similar(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let escape = if call.len() > 1 && !call.is_null(1) { call.text(1)? } else { "\\" };
    let mut escapes = escape.chars();
    let (first, second) = (escapes.next(), escapes.next());
    if second.is_some() {
        return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    Ok(text(similar_to_regex(call.text(0)?, first)))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_textlike", |call| like_call(call, keep, true)),
    f("pg_textnlike", |call| like_call(call, keep, false)),
    f("pg_namelike", |call| like_call(call, keep, true)),
    f("pg_namenlike", |call| like_call(call, keep, false)),
    f("pg_bpcharlike", |call| like_call(call, keep, true)),
    f("pg_bpcharnlike", |call| like_call(call, keep, false)),
    f("pg_texticlike", |call| like_call(call, lower_char, true)),
    f("pg_texticnlike", |call| like_call(call, lower_char, false)),
    f("pg_nameiclike", |call| like_call(call, lower_char, true)),
    f("pg_nameicnlike", |call| like_call(call, lower_char, false)),
    f("pg_bytealike", |call| byte_like(call, true)),
    f("pg_byteanlike", |call| byte_like(call, false)),
    f("trellis_prefix", |call| prefix(call).map(Datum::Text)),
    f("trellis_prefix_end", prefix_end),
    f("pg_like_escape", like_escape),
    f("pg_like_escape_bytea", byte_like_escape),
    f("pg_similar_to_escape_1", similar),
    f("pg_similar_to_escape_2", similar),
    ScalarFunction::lax("pg_similar_escape", similar),
];
