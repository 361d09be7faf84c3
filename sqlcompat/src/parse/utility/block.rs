//! `DO`: blocks of PL/pgSQL without variables and control flow, such as clients send in place of `IF NOT EXISTS`, and to
//! raise messages.
//!
//! ```text
//!   DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN NULL; END $$
//! ```
//!
//! A failed statement changed nothing, but those before it did: a block with handlers has at most one statement that changes
//! something, and raises nothing after it. Anything else of PL/pgSQL is refused.
//! Source: PostgreSQL 15 manual, `plpgsql-control-structures` §43.6.8, `plpgsql-errors-and-messages` §43.9.

use sqlparser::tokenizer::{Token, Tokenizer};

use super::cursor::Cursor;
use super::{UtilityAst, unsupported};
use crate::conditions::{condition, state_of_code, unrecognized};
use crate::do_block::{
    BlockStep, BlockStepKind, DoBlock, Handler, Raise, RaiseLevel, RaiseOption, placeholders,
};
use crate::error::{SqlError, SqlState};
use crate::parse::dialect::Postgres15;
use crate::plan::SessionStatement;

/// Words that begin statements of SQL that a block may hold.
const STATEMENTS: [&str; 13] = [
    "create", "alter", "drop", "insert", "update", "delete", "merge", "comment", "truncate", "set",
    "with", "select", "values",
];

const LEVELS: [(&str, RaiseLevel); 6] = [
    ("debug", RaiseLevel::Debug),
    ("log", RaiseLevel::Log),
    ("info", RaiseLevel::Info),
    ("notice", RaiseLevel::Notice),
    ("warning", RaiseLevel::Warning),
    ("exception", RaiseLevel::Exception),
];

const OPTIONS: [(&str, RaiseOption); 9] = [
    ("message", RaiseOption::Message),
    ("detail", RaiseOption::Detail),
    ("hint", RaiseOption::Hint),
    ("errcode", RaiseOption::ErrorCode),
    ("column", RaiseOption::Column),
    ("constraint", RaiseOption::Constraint),
    ("datatype", RaiseOption::DataType),
    ("table", RaiseOption::Table),
    ("schema", RaiseOption::Schema),
];

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
    match whole(&body) {
        Ok(Some(block)) => Ok(UtilityAst::Session(SessionStatement::Do(Box::new(block)))),
        Ok(None) => unsupported("this DO block"),
        // Its place is one in the body.
        Err(error) => Err(SqlError { position: None, ..error }),
    }
}

/// The block, if it is of the known form.
fn whole(body: &str) -> Result<Option<DoBlock>, SqlError> {
    let Ok(tokens) = Tokenizer::new(&Postgres15, body).tokenize_with_location() else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(body, &tokens);
    if !cursor.word("begin") {
        return Ok(None);
    }
    let mut block = DoBlock::default();
    let Some(steps) = steps(&mut cursor)? else { return Ok(None) };
    block.steps = steps;
    if cursor.word("exception") {
        while cursor.word("when") {
            let conditions = conditions(&mut cursor)?;
            let Some(steps) = self::steps(&mut cursor)? else { return Ok(None) };
            block.handlers.push(Handler { conditions, steps });
        }
    }
    cursor.expect_words("end")?;
    cursor.symbol(&Token::SemiColon);
    cursor.expect_end()?;
    Ok((block.handlers.is_empty() || is_undone_by_itself(&block.steps)).then_some(block))
}

/// Whether nothing has been changed when one of the steps fails.
fn is_undone_by_itself(steps: &[BlockStep]) -> bool {
    let changes = |it: &BlockStep| !matches!(it.kind, BlockStepKind::Raise(_));
    let first = steps.iter().position(changes).unwrap_or(steps.len());
    steps.iter().skip(first + 1).all(|it| {
        matches!(&it.kind, BlockStepKind::Raise(raise) if raise.level != RaiseLevel::Exception)
    })
}

/// Statements up to one of the words that end them; `None` if one is not supported.
fn steps(cursor: &mut Cursor<'_>) -> Result<Option<Vec<BlockStep>>, SqlError> {
    let mut steps = Vec::new();
    while !["end", "exception", "when"].iter().any(|word| cursor.is_word(word)) {
        if cursor.at_end() {
            return Err(cursor.syntax_error());
        }
        let line =
            cursor.text().get(..cursor.start()).unwrap_or_default().matches('\n').count() + 1;
        if cursor.word("null") {
            cursor.expect_symbol(&Token::SemiColon)?;
            continue;
        }
        let Some(kind) = step(cursor, line)? else { return Ok(None) };
        cursor.expect_symbol(&Token::SemiColon)?;
        steps.push(BlockStep { line, kind });
    }
    Ok(Some(steps))
}

fn step(cursor: &mut Cursor<'_>, line: usize) -> Result<Option<BlockStepKind>, SqlError> {
    let ends = |it: &Cursor<'_>| it.is_symbol(&Token::SemiColon);
    if cursor.word("raise") {
        let raise = raise(cursor).map_err(|error| compiling(error, line))?;
        return Ok(Some(BlockStepKind::Raise(Box::new(raise))));
    }
    if cursor.word("perform") {
        let query = cursor.query_until(ends)?;
        return Ok(Some(BlockStepKind::Perform(format!("SELECT {query}"))));
    }
    if cursor.word("execute") {
        let expression = cursor.text_until(|it| ends(it) || it.is_word("using"))?;
        return Ok((ends(cursor)).then_some(BlockStepKind::Execute(expression)));
    }
    if STATEMENTS.iter().any(|word| cursor.is_word(word)) {
        return Ok(Some(BlockStepKind::Sql(cursor.query_until(ends)?)));
    }
    Ok(None)
}

/// `RAISE`, after its first word.
fn raise(cursor: &mut Cursor<'_>) -> Result<Raise, SqlError> {
    let mut raise = Raise::default();
    if let Some((_, level)) = LEVELS.iter().find(|(word, _)| cursor.is_word(word)) {
        cursor.advance();
        raise.level = *level;
    }
    if cursor.is_symbol(&Token::SemiColon) {
        return Ok(raise);
    }
    if cursor.word("sqlstate") {
        let code = cursor.string()?;
        let state = state_of_code(&code)
            .ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, "invalid SQLSTATE code"))?;
        raise.condition = Some((code, state));
    } else if let Ok(format) = cursor.string() {
        while cursor.symbol(&Token::Comma) {
            let ends = |it: &Cursor<'_>| it.is_symbol(&Token::SemiColon) || it.is_word("using");
            raise.arguments.push(cursor.text_until(ends)?);
        }
        let few_or_many = match raise.arguments.len().cmp(&placeholders(&format)) {
            std::cmp::Ordering::Less => Some("few"),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some("many"),
        };
        if let Some(word) = few_or_many {
            let message = format!("too {word} parameters specified for RAISE");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        raise.format = Some(format);
    } else if !cursor.is_word("using") {
        let name = cursor.name()?;
        let state = condition(&name).ok_or_else(|| unrecognized(&name))?;
        raise.condition = Some((name, state));
    }
    if cursor.word("using") {
        raise.options = cursor.comma_list(option)?;
    }
    Ok(raise)
}

fn option(cursor: &mut Cursor<'_>) -> Result<(RaiseOption, String), SqlError> {
    let found = OPTIONS.iter().find(|(word, _)| cursor.is_word(word));
    let (_, option) = found.ok_or_else(|| {
        SqlError::new(SqlState::SYNTAX_ERROR, "unrecognized RAISE statement option")
    })?;
    cursor.advance();
    if !cursor.symbol(&Token::Eq) {
        cursor.expect_symbol(&Token::Assignment)?;
    }
    Ok((*option, cursor.text_until(|it| it.is_symbol(&Token::SemiColon))?))
}

/// `condition [OR …] THEN`: the states of the conditions.
fn conditions(cursor: &mut Cursor<'_>) -> Result<Vec<Option<SqlState>>, SqlError> {
    let mut states = Vec::new();
    loop {
        if cursor.word("others") {
            states.push(None);
        } else if cursor.word("sqlstate") {
            let code = cursor.string()?;
            let invalid = || SqlError::new(SqlState::SYNTAX_ERROR, "invalid SQLSTATE code");
            states.push(Some(state_of_code(&code).ok_or_else(invalid)?));
        } else {
            let name = cursor.name()?;
            states.push(Some(condition(&name).ok_or_else(|| unrecognized(&name))?));
        }
        if !cursor.word("or") {
            cursor.expect_words("then")?;
            return Ok(states);
        }
    }
}

/// An error that is found before the block runs.
fn compiling(error: SqlError, line: usize) -> SqlError {
    let context =
        format!("compilation of PL/pgSQL function \"inline_code_block\" near line {line}");
    SqlError { context: Some(context), ..error }
}
