//! `COPY`, with options in parentheses and in the order-bound form from before PostgreSQL 9.0.

use sqlparser::tokenizer::Token;

use super::UtilityAst;
use super::ast::ObjectName;
use super::cursor::Cursor;
use super::cursors::{NO_BOOLEAN, boolean_option, named_boolean};
use crate::error::{SqlError, SqlState};
use crate::plan::{CopyDirection, CopyFormat, CopyHeader};

/// What is copied.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// A table and the listed columns, all if none are listed.
    Table(ObjectName, Vec<String>),
    /// The text of a query.
    Query(String),
}

/// `COPY` as written: options that were not given are `None`.
#[derive(Clone, Debug)]
pub struct CopyAst {
    /// What is copied.
    pub source: CopySource,
    /// Direction.
    pub direction: CopyDirection,
    /// `FORMAT`.
    pub format: Option<CopyFormat>,
    /// `DELIMITER`.
    pub delimiter: Option<String>,
    /// `NULL`.
    pub null: Option<String>,
    /// `HEADER`.
    pub header: Option<CopyHeader>,
    /// `QUOTE`.
    pub quote: Option<String>,
    /// `ESCAPE`.
    pub escape: Option<String>,
    /// `FORCE_QUOTE`; `Some(None)` is `*`.
    pub force_quote: Option<Option<Vec<String>>>,
    /// `FORCE_NOT_NULL`.
    pub force_not_null: Option<Vec<String>>,
    /// `FORCE_NULL`.
    pub force_null: Option<Vec<String>>,
    /// `ENCODING`.
    pub encoding: Option<String>,
    /// Condition of `COPY … FROM … WHERE`, and where it stands in the statement, in characters from 1.
    pub filter: Option<(String, u32)>,
}

/// `COPY …`.
pub(super) fn copy(cursor: &mut Cursor<'_>) -> Result<UtilityAst, SqlError> {
    let old_binary = cursor.word("binary");
    let source = source(cursor)?;
    if matches!(source, CopySource::Query(_)) && cursor.is_word("from") {
        return Err(cursor.syntax_error());
    }
    let direction = match cursor.one_of(&["from", "to"]) {
        Some(0) => CopyDirection::FromStdin,
        Some(_) => CopyDirection::ToStdout,
        None => return Err(cursor.syntax_error()),
    };
    if let Some(unsupported) = endpoint(cursor)? {
        return Ok(unsupported);
    }
    let mut ast = CopyAst {
        source,
        direction,
        format: old_binary.then_some(CopyFormat::Binary),
        delimiter: None,
        null: None,
        header: None,
        quote: None,
        escape: None,
        force_quote: None,
        force_not_null: None,
        force_null: None,
        encoding: None,
        filter: None,
    };
    if cursor.word("delimiters") || cursor.words("using delimiters") {
        ast.delimiter = Some(cursor.string()?);
    }
    cursor.word("with");
    if cursor.is_symbol(&Token::LParen) {
        cursor.parenthesized(|cursor| option(cursor, &mut ast))?;
    } else {
        while !cursor.at_end() && !cursor.is_word("where") {
            old_option(cursor, &mut ast)?;
        }
    }
    let place = cursor.position();
    if cursor.word("where") {
        if direction == CopyDirection::ToStdout {
            let message = "WHERE clause not allowed with COPY TO";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(place));
        }
        let place = cursor.position().unwrap_or(1);
        ast.filter = Some((cursor.rest()?, place));
    }
    Ok(UtilityAst::Copy(Box::new(ast)))
}

fn source(cursor: &mut Cursor<'_>) -> Result<CopySource, SqlError> {
    if cursor.is_symbol(&Token::LParen) {
        return cursor.parenthesized_list_text().map(CopySource::Query);
    }
    let name = cursor.object_name()?;
    Ok(CopySource::Table(name, cursor.optional_names()?))
}

/// Reads where the data comes from or goes to; only the client itself is supported.
fn endpoint(cursor: &mut Cursor<'_>) -> Result<Option<UtilityAst>, SqlError> {
    if cursor.one_of(&["stdin", "stdout"]).is_some() {
        return Ok(None);
    }
    let what = if cursor.word("program") { "COPY with PROGRAM" } else { "COPY with a server file" };
    cursor.string()?;
    Ok(Some(UtilityAst::Unsupported(what.to_owned())))
}

/// One option inside parentheses.
fn option(cursor: &mut Cursor<'_>, ast: &mut CopyAst) -> Result<(), SqlError> {
    let position = cursor.position();
    let name = cursor.identifier()?;
    let repeated = match name.as_str() {
        "format" => ast.format.replace(format(cursor)?).is_some(),
        "freeze" => {
            named_boolean(cursor, "freeze")?;
            false
        }
        "delimiter" => ast.delimiter.replace(text(cursor)?).is_some(),
        "null" => ast.null.replace(text(cursor)?).is_some(),
        "header" => ast.header.replace(header(cursor)?).is_some(),
        "quote" => ast.quote.replace(text(cursor)?).is_some(),
        "escape" => ast.escape.replace(text(cursor)?).is_some(),
        "encoding" => ast.encoding.replace(encoding(cursor, position)?).is_some(),
        "force_quote" if cursor.symbol(&Token::Mul) => ast.force_quote.replace(None).is_some(),
        "force_quote" => ast.force_quote.replace(Some(names(cursor, &name, position)?)).is_some(),
        "force_not_null" => ast.force_not_null.replace(names(cursor, &name, position)?).is_some(),
        "force_null" => ast.force_null.replace(names(cursor, &name, position)?).is_some(),
        other => {
            let message = format!("option \"{other}\" not recognized");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
    };
    if repeated {
        let message = "conflicting or redundant options";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
    }
    Ok(())
}

/// One option of the old form.
fn old_option(cursor: &mut Cursor<'_>, ast: &mut CopyAst) -> Result<(), SqlError> {
    let options = [
        "binary",
        "freeze",
        "delimiter",
        "null",
        "csv",
        "header",
        "quote",
        "escape",
        "force quote",
        "force not null",
        "force null",
        "encoding",
    ];
    let Some(found) = cursor.one_of(&options) else { return Err(cursor.syntax_error()) };
    if matches!(found, 2 | 3 | 6 | 7) {
        cursor.word("as");
    }
    match found {
        0 => ast.format = Some(CopyFormat::Binary),
        1 => {}
        2 => ast.delimiter = Some(cursor.string()?),
        3 => ast.null = Some(cursor.string()?),
        4 => ast.format = Some(CopyFormat::Csv),
        5 => ast.header = Some(CopyHeader::Yes),
        6 => ast.quote = Some(cursor.string()?),
        7 => ast.escape = Some(cursor.string()?),
        8 if cursor.symbol(&Token::Mul) => ast.force_quote = Some(None),
        8 => ast.force_quote = Some(Some(cursor.comma_list(Cursor::name)?)),
        9 => ast.force_not_null = Some(cursor.comma_list(Cursor::name)?),
        10 => ast.force_null = Some(cursor.comma_list(Cursor::name)?),
        _ => {
            let position = cursor.position();
            ast.encoding = Some(encoding(cursor, position)?);
        }
    }
    Ok(())
}

fn names(
    cursor: &mut Cursor<'_>,
    option: &str,
    position: Option<u32>,
) -> Result<Vec<String>, SqlError> {
    if cursor.is_symbol(&Token::LParen) {
        return cursor.parenthesized(Cursor::name);
    }
    let message = format!("argument to option \"{option}\" must be a list of column names");
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position))
}

/// The name of an encoding that PostgreSQL knows.
fn encoding(cursor: &mut Cursor<'_>, position: Option<u32>) -> Result<String, SqlError> {
    let name = text(cursor)?;
    if crate::functions::is_encoding(&name) {
        return Ok(name);
    }
    let message = "argument to option \"encoding\" must be a valid encoding name";
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position))
}

/// An option's value: a string, a word or a number.
fn text(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    match cursor.peek() {
        Some(Token::Word(_)) => cursor.identifier(),
        Some(Token::Number(..)) => cursor.integer().map(|number| number.to_string()),
        _ => cursor.string(),
    }
}

fn format(cursor: &mut Cursor<'_>) -> Result<CopyFormat, SqlError> {
    let position = cursor.position();
    match text(cursor)?.as_str() {
        "text" => Ok(CopyFormat::Text),
        "csv" => Ok(CopyFormat::Csv),
        "binary" => Ok(CopyFormat::Binary),
        other => {
            let message = format!("COPY format \"{other}\" not recognized");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position))
        }
    }
}

fn header(cursor: &mut Cursor<'_>) -> Result<CopyHeader, SqlError> {
    if cursor.word("match") {
        return Ok(CopyHeader::Match);
    }
    let wanted = boolean_option(cursor).map_err(|error| match error.position {
        Some(_) if error.message == NO_BOOLEAN => {
            let message = "header requires a Boolean value or \"match\"";
            SqlError::new(SqlState::SYNTAX_ERROR, message)
        }
        _ => error,
    })?;
    Ok(if wanted { CopyHeader::Yes } else { CopyHeader::No })
}
