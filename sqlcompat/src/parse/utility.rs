//! Statements that sqlparser lacks or reads differently from PostgreSQL.

use sqlparser::tokenizer::TokenWithSpan;

use crate::error::SqlError;

/// A statement of our own productions.
#[derive(Clone, Debug)]
pub enum UtilityAst {}

/// Reads one statement if it is one of ours; `None` leaves it to sqlparser.
///
/// `tokens` are the statement's, with blanks and comments, spans relative to `text`.
///
/// # Errors
/// 42601 with a position relative to `text` if the statement is one of ours and malformed.
pub fn parse(text: &str, tokens: &[TokenWithSpan]) -> Result<Option<UtilityAst>, SqlError> {
    let _ = (text, tokens);
    Ok(None)
}
