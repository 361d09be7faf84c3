//! Prepared statements, cursors and `EXPLAIN`: statements that carry other statements.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::type_name::TypeName;
use super::{UtilityAst, unsupported};
use crate::error::{SqlError, SqlState};
use crate::plan::{ExplainTimes, FetchDirection, SessionStatement};

type Parsed = Result<UtilityAst, SqlError>;

/// What is wrong with a boolean option whose value is none.
pub(super) const NO_BOOLEAN: &str = "option requires a Boolean value";

/// `PREPARE name [(types)] AS statement`.
pub(super) fn prepare(cursor: &mut Cursor<'_>) -> Parsed {
    if cursor.word("transaction") {
        return unsupported("PREPARE TRANSACTION");
    }
    let name = cursor.name()?;
    let parameter_types = if cursor.is_symbol(&Token::LParen) {
        cursor.parenthesized(TypeName::parse)?
    } else {
        Vec::new()
    };
    cursor.expect_words("as")?;
    let preparable = ["select", "insert", "update", "delete", "values", "with", "table", "merge"];
    let begins = cursor.is_symbol(&Token::LParen) || preparable.iter().any(|it| cursor.is_word(it));
    if !begins {
        return Err(cursor.syntax_error());
    }
    let statement = cursor.rest()?;
    Ok(UtilityAst::Prepare { name, parameter_types, statement })
}

/// `EXECUTE name [(arguments)]`.
pub(super) fn execute(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.name()?;
    let arguments = if cursor.is_symbol(&Token::LParen) {
        cursor.parenthesized(|cursor| cursor.text_until(|_| false))?
    } else {
        Vec::new()
    };
    Ok(UtilityAst::Session(SessionStatement::Execute { name, arguments }))
}

/// `DEALLOCATE [PREPARE] name | ALL`.
pub(super) fn deallocate(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.word("prepare");
    let name = if cursor.word("all") { None } else { Some(cursor.name()?) };
    Ok(UtilityAst::Session(SessionStatement::Deallocate(name)))
}

/// `DECLARE name … CURSOR [WITH | WITHOUT HOLD] FOR query`.
pub(super) fn declare(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.name()?;
    let (mut binary, mut scroll) = (false, None);
    loop {
        match cursor.one_of(&["binary", "asensitive", "insensitive", "no scroll", "scroll"]) {
            Some(0) => binary = true,
            Some(1 | 2) => {}
            Some(3) => scroll = Some(false),
            Some(_) => scroll = Some(true),
            None => break,
        }
    }
    cursor.expect_words("cursor")?;
    let hold = match cursor.one_of(&["with hold", "without hold"]) {
        Some(found) => found == 0,
        None => false,
    };
    cursor.expect_words("for")?;
    let query = cursor.rest()?;
    Ok(UtilityAst::Declare { name, query, scroll, hold, binary })
}

/// `FETCH`.
pub(super) fn fetch(cursor: &mut Cursor<'_>) -> Parsed {
    fetch_or_move(cursor, false)
}

/// `MOVE`.
pub(super) fn move_cursor(cursor: &mut Cursor<'_>) -> Parsed {
    fetch_or_move(cursor, true)
}

fn fetch_or_move(cursor: &mut Cursor<'_>, move_only: bool) -> Parsed {
    let direction = fetch_direction(cursor)?;
    cursor.one_of(&["from", "in"]);
    let name = cursor.name()?;
    let statement = SessionStatement::Fetch { cursor: name, direction, move_only };
    Ok(UtilityAst::Session(statement))
}

/// The direction, which may be left out; a direction's word alone is the name of a cursor.
fn fetch_direction(cursor: &mut Cursor<'_>) -> Result<FetchDirection, SqlError> {
    let default = FetchDirection::Forward(1);
    if matches!(cursor.peek(), Some(Token::Word(_))) && cursor.peek_ahead(1).is_none() {
        return Ok(default);
    }
    let words =
        ["next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward"];
    match cursor.one_of(&words) {
        Some(0) => Ok(FetchDirection::Forward(1)),
        Some(1) => Ok(FetchDirection::Forward(-1)),
        Some(2) => Ok(FetchDirection::Absolute(1)),
        Some(3) => Ok(FetchDirection::Absolute(-1)),
        Some(4) => Ok(FetchDirection::Absolute(cursor.integer()?)),
        Some(5) => Ok(FetchDirection::Relative(cursor.integer()?)),
        Some(6) => Ok(FetchDirection::Forward(i64::MAX)),
        Some(7) => Ok(FetchDirection::Forward(fetch_count(cursor)?)),
        Some(_) => Ok(FetchDirection::Forward(fetch_count(cursor)?.saturating_neg())),
        None if matches!(cursor.peek(), Some(Token::Word(_))) => Ok(default),
        None => Ok(FetchDirection::Forward(cursor.integer()?)),
    }
}

/// `[count | ALL]` after `FORWARD` and `BACKWARD`.
fn fetch_count(cursor: &mut Cursor<'_>) -> Result<i64, SqlError> {
    match cursor.peek() {
        Some(Token::Number(..) | Token::Minus | Token::Plus) => cursor.integer(),
        _ if cursor.word("all") => Ok(i64::MAX),
        _ => Ok(1),
    }
}

/// `CLOSE name | ALL`.
pub(super) fn close(cursor: &mut Cursor<'_>) -> Parsed {
    let name = if cursor.word("all") { None } else { Some(cursor.name()?) };
    Ok(UtilityAst::Session(SessionStatement::CloseCursor(name)))
}

/// `EXPLAIN [ANALYZE] [VERBOSE] statement`, `EXPLAIN (options) statement`.
pub(super) fn explain(cursor: &mut Cursor<'_>) -> Parsed {
    let (mut analyze, mut verbose, mut json) = (false, false, false);
    let (mut timing, mut summary, mut wal) = (None, None, false);
    if explains_with_options(cursor) {
        cursor.parenthesized(|cursor| {
            let position = cursor.position();
            let option = cursor.identifier()?;
            match option.as_str() {
                "analyze" | "analyse" => analyze = named_boolean(cursor, &option)?,
                "verbose" => verbose = named_boolean(cursor, &option)?,
                "timing" => timing = Some(named_boolean(cursor, &option)?),
                "summary" => summary = Some(named_boolean(cursor, &option)?),
                "wal" => wal = named_boolean(cursor, &option)?,
                "costs" | "buffers" | "settings" => {
                    named_boolean(cursor, &option)?;
                }
                "format" => json = explain_format(cursor, position)?,
                other => {
                    let message = format!("unrecognized EXPLAIN option \"{other}\"");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
                }
            }
            Ok(())
        })?;
    } else {
        analyze = cursor.one_of(&["analyze", "analyse"]).is_some();
        verbose = cursor.word("verbose");
    }
    for (given, name) in [(wal, "WAL"), (timing == Some(true), "TIMING")] {
        if given && !analyze {
            let message = format!("EXPLAIN option {name} requires ANALYZE");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    }
    let times =
        ExplainTimes { timing: timing.unwrap_or(true), summary: summary.unwrap_or(analyze) };
    let statement = cursor.rest()?;
    Ok(UtilityAst::Explain { analyze, verbose, json, times, statement })
}

/// A boolean option's value, whose error names the option.
pub(super) fn named_boolean(cursor: &mut Cursor<'_>, option: &str) -> Result<bool, SqlError> {
    boolean_option(cursor).map_err(|mut error| {
        if error.message == NO_BOOLEAN {
            error.message = format!("{option} requires a Boolean value");
            error.position = None;
        }
        error
    })
}

/// Whether the parenthesis after `EXPLAIN` opens options rather than a query.
fn explains_with_options(cursor: &Cursor<'_>) -> bool {
    let Some(Token::Word(word)) = cursor.peek_ahead(1) else { return false };
    let query = ["select", "with", "values", "table"];
    cursor.is_symbol(&Token::LParen) && !query.iter().any(|it| word.value.eq_ignore_ascii_case(it))
}

/// `TEXT` or `JSON`; true for the latter.
fn explain_format(cursor: &mut Cursor<'_>, position: Option<u32>) -> Result<bool, SqlError> {
    let format = match cursor.peek() {
        Some(Token::Word(_)) => cursor.identifier()?,
        _ => cursor.string()?.to_lowercase(),
    };
    match format.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        "xml" | "yaml" => Err(SqlError::unsupported(format!("EXPLAIN format \"{format}\""))),
        other => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unrecognized value for EXPLAIN option \"format\": \"{other}\""),
        )
        .at(position)),
    }
}

/// A boolean option's value; true if left out.
pub(super) fn boolean_option(cursor: &mut Cursor<'_>) -> Result<bool, SqlError> {
    let position = cursor.position();
    let value = match cursor.peek() {
        None | Some(Token::Comma | Token::RParen) => return Ok(true),
        Some(Token::Word(_)) => cursor.identifier()?,
        Some(Token::Number(..)) => cursor.integer()?.to_string(),
        Some(_) => cursor.string()?.to_lowercase(),
    };
    match value.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, NO_BOOLEAN).at(position)),
    }
}
