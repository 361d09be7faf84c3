//! `WITH (…)`, `SET (…)` and `RESET (…)` of relations.

use sqlparser::tokenizer::Token;

use super::ast::{StorageOption, StorageOptions};
use super::cursor::Cursor;
use crate::error::SqlError;

/// `([namespace.]name [= value], …)`.
pub(super) fn storage_options(cursor: &mut Cursor<'_>) -> Result<StorageOptions, SqlError> {
    cursor.parenthesized(|cursor| {
        let mut name = cursor.identifier()?;
        let mut namespace = None;
        if cursor.symbol(&Token::Period) {
            namespace = Some(std::mem::replace(&mut name, cursor.identifier()?));
        }
        let value = if cursor.symbol(&Token::Eq) { Some(value(cursor)?) } else { None };
        Ok(StorageOption { namespace, name, value })
    })
}

/// `WITH (…)`, if it is there.
pub(super) fn with_options(cursor: &mut Cursor<'_>) -> Result<StorageOptions, SqlError> {
    if cursor.word("with") { storage_options(cursor) } else { Ok(Vec::new()) }
}

/// A value, as PostgreSQL writes it into `reloptions`.
fn value(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    match cursor.peek() {
        Some(Token::Word(_)) => cursor.identifier(),
        Some(Token::Number(..) | Token::Minus | Token::Plus) => {
            let negative = cursor.symbol(&Token::Minus);
            if !negative {
                cursor.symbol(&Token::Plus);
            }
            let Some(Token::Number(digits, _)) = cursor.peek() else {
                return Err(cursor.syntax_error());
            };
            cursor.advance();
            Ok(if negative { format!("-{digits}") } else { digits.clone() })
        }
        _ => cursor.string(),
    }
}
