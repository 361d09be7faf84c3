//! `DO`: the one idiom that clients send in place of `IF NOT EXISTS`, which types and constraints do not have.
//!
//! ```text
//!   DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN NULL; END $$
//! ```
//!
//! A block may hold one statement of SQL, and name conditions that are to be ignored. Anything else of PL/pgSQL is refused.
//! Source: PostgreSQL 15 manual, `plpgsql-control-structures` §43.6.8 and appendix A.

use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::cursor::Cursor;
use super::{UtilityAst, unsupported};
use crate::error::{SqlError, SqlState};
use crate::parse::dialect::Postgres15;
use crate::parse::split::byte_offset;
use crate::plan::SessionStatement;

/// Conditions that a block may ignore.
const CONDITIONS: [(&str, SqlState); 10] = [
    ("duplicate_object", SqlState(*b"42710")),
    ("duplicate_table", SqlState(*b"42P07")),
    ("duplicate_column", SqlState(*b"42701")),
    ("duplicate_schema", SqlState(*b"42P06")),
    ("duplicate_alias", SqlState(*b"42712")),
    ("unique_violation", SqlState(*b"23505")),
    ("undefined_table", SqlState(*b"42P01")),
    ("undefined_column", SqlState(*b"42703")),
    ("undefined_object", SqlState(*b"42704")),
    ("invalid_table_definition", SqlState(*b"42P16")),
];

/// Words that begin statements of SQL that a block may hold.
const STATEMENTS: [&str; 7] = ["create", "alter", "drop", "insert", "update", "delete", "comment"];

/// `DO [LANGUAGE name] body [LANGUAGE name]`.
pub(super) fn block(cursor: &mut Cursor<'_>) -> Result<UtilityAst, SqlError> {
    let mut language = None;
    if cursor.word("language") {
        language = Some(cursor.name()?);
    }
    let body = cursor.string()?;
    if cursor.word("language") {
        language = Some(cursor.name()?);
    }
    if let Some(other) = language.filter(|it| it != "plpgsql") {
        if !["sql", "c", "internal"].contains(&other.as_str()) {
            let message = format!("language \"{other}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        let message = format!("language \"{other}\" does not support inline code execution");
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    match body_of(&body) {
        Some((statement, ignored)) => {
            Ok(UtilityAst::Session(SessionStatement::Do { statement, ignored }))
        }
        None => unsupported("this DO block"),
    }
}

/// The statement and the ignored conditions of a block, if it is of the known form.
fn body_of(body: &str) -> Option<(String, Vec<SqlState>)> {
    let tokens = Tokenizer::new(&Postgres15, body).tokenize_with_location().ok()?;
    let blank = |it: &TokenWithSpan| matches!(it.token, Token::Whitespace(_) | Token::EOF);
    let solid: Vec<&TokenWithSpan> = tokens.iter().filter(|it| !blank(it)).collect();
    let [begin, first, ..] = solid[..] else { return None };
    if word(&begin.token)? != "begin" || !STATEMENTS.contains(&word(&first.token)?.as_str()) {
        return None;
    }
    let end = solid.iter().position(|it| it.token == Token::SemiColon)?;
    let range = byte_offset(body, first.span.start)..byte_offset(body, solid[end].span.start);
    let statement = body.get(range)?.trim().to_owned();
    let mut rest = solid[end + 1..].iter().map(|it| &it.token);
    let mut next = rest.next()?;
    let mut ignored = Vec::new();
    if word(next)? == "exception" {
        next = rest.next()?;
        while word(next)? == "when" {
            ignored.extend(handler(&mut rest)?);
            next = rest.next()?;
        }
    }
    if word(next)? != "end" {
        return None;
    }
    match (rest.next(), rest.next()) {
        (None | Some(Token::SemiColon), None) => Some((statement, ignored)),
        _ => None,
    }
}

/// `condition [OR …] THEN NULL;`: the states of the conditions.
fn handler<'t>(rest: &mut impl Iterator<Item = &'t Token>) -> Option<Vec<SqlState>> {
    let mut states = Vec::new();
    loop {
        let name = word(rest.next()?)?;
        states.push(CONDITIONS.iter().find(|(it, _)| *it == name)?.1);
        match word(rest.next()?)?.as_str() {
            "or" => {}
            "then" => break,
            _ => return None,
        }
    }
    (word(rest.next()?)? == "null" && rest.next()? == &Token::SemiColon).then_some(states)
}

fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value.to_ascii_lowercase()),
        _ => None,
    }
}
