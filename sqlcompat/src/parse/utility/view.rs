//! `CREATE VIEW` in its forms, and `REFRESH MATERIALIZED VIEW`.

use sqlparser::tokenizer::Token;

use super::ast::{CreateView, DdlStatement, ViewForm};
use super::cursor::Cursor;
use super::storage_options::with_options;
use super::{UtilityAst, define};
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::schema::CheckOption;

type Parsed = Result<UtilityAst, SqlError>;

/// What follows `CREATE … VIEW`.
pub(super) fn create_view(
    cursor: &mut Cursor<'_>,
    temporary: bool,
    or_replace: bool,
    form: ViewForm,
) -> Parsed {
    let materialized = form == ViewForm::Materialized;
    let if_not_exists = materialized && cursor.if_not_exists();
    let name = cursor.object_name()?;
    if form == ViewForm::Recursive && !cursor.is_symbol(&Token::LParen) {
        return Err(cursor.syntax_error());
    }
    let columns = cursor.optional_names()?;
    if materialized && cursor.word("using") {
        define::table_access_method(cursor)?;
    }
    let options = with_options(cursor)?;
    if materialized && cursor.word("tablespace") {
        define::tablespace(cursor)?;
    }
    cursor.expect_words("as")?;
    let (query, no_data) = if materialized {
        define::query_with_data(cursor)?
    } else {
        let ends = |cursor: &Cursor<'_>| {
            cursor.is_word("with") && (1..3).any(|ahead| define::next_is(cursor, ahead, "check"))
        };
        (cursor.query_until(ends)?, false)
    };
    let position = cursor.position();
    let check = match cursor.one_of(&[
        "with check option",
        "with cascaded check option",
        "with local check option",
    ]) {
        Some(2) => Some(CheckOption::Local),
        Some(_) => Some(CheckOption::Cascaded),
        None => None,
    };
    let query = if form == ViewForm::Recursive {
        if check.is_some() {
            let message = "WITH CHECK OPTION not supported on recursive views";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        recursive_query(&name.name, &columns, &query)
    } else {
        query
    };
    Ok(UtilityAst::Ddl(Box::new(DdlStatement::CreateView(CreateView {
        name,
        temporary,
        or_replace,
        materialized,
        if_not_exists,
        columns,
        options,
        check,
        query,
        no_data,
    }))))
}

/// `CREATE RECURSIVE VIEW v (a, b) AS q` is `CREATE VIEW v (a, b) AS WITH RECURSIVE v (a, b) AS (q) SELECT a, b FROM v`.
fn recursive_query(name: &str, columns: &[String], query: &str) -> String {
    let columns: Vec<_> = columns.iter().map(|column| quote_identifier(column)).collect();
    let (name, columns) = (quote_identifier(name), columns.join(", "));
    format!("WITH RECURSIVE {name} ({columns}) AS ({query}) SELECT {columns} FROM {name}")
}

/// `REFRESH MATERIALIZED VIEW`.
pub(super) fn refresh(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.expect_words("materialized view")?;
    let concurrently = cursor.word("concurrently");
    let name = cursor.object_name()?;
    let no_data = match cursor.one_of(&["with no data", "with data"]) {
        Some(found) => found == 0,
        None => false,
    };
    if concurrently && no_data {
        let message = "REFRESH options CONCURRENTLY and WITH NO DATA cannot be used together";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    Ok(UtilityAst::Ddl(Box::new(DdlStatement::RefreshView { name, no_data, concurrently })))
}
