//! Expressions inside DDL: bound to see that they mean something, kept as text.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::bind::deparse::deparse_expression;
use crate::bind::{
    BindContext, LoweredScalar, ScalarScope, SchemaPlace, bind_expression_in, bind_query,
};
use crate::builtin::{self, Volatility};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse;
use crate::parse::utility::SourceText;
use crate::schema::catalog::{Column, Table, View};
use crate::schema::marked_text;

/// An expression with the place of it in the statement, if it is written there, and in the schema, if not by its scope.
#[derive(Clone, Copy)]
pub(in crate::schema) struct Written<'a> {
    text: &'a str,
    position: Option<u32>,
    place: Option<SchemaPlace>,
}

impl<'a> Written<'a> {
    /// The text.
    pub(super) fn text(self) -> &'a str {
        self.text
    }

    /// The expression as one that stands in this place.
    pub(super) fn at(self, place: SchemaPlace) -> Self {
        Self { place: Some(place), ..self }
    }

    /// A position in the expression as one in the statement; unknown if the statement's is not known.
    fn position_of(&self, inside: u32) -> Option<u32> {
        self.position.map(|begin| begin + inside.saturating_sub(1))
    }
}

impl<'a> From<&'a str> for Written<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, position: None, place: None }
    }
}

impl<'a> From<&'a String> for Written<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl<'a> From<&'a SourceText> for Written<'a> {
    fn from(source: &'a SourceText) -> Self {
        Self { text: &source.text, position: source.position, place: None }
    }
}

/// Binds an expression.
pub(in crate::schema) fn bind<'a>(
    written: impl Into<Written<'a>>,
    scope: ScalarScope<'_>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> Result<LoweredScalar, SqlError> {
    let written = written.into();
    let place = written.place.unwrap_or(match scope {
        ScalarScope::Nothing => SchemaPlace::Default,
        ScalarScope::Table { .. } | ScalarScope::DomainValue(..) => SchemaPlace::Check,
    });
    let text = written.text;
    let bound = parse::expression(text)
        .and_then(|expr| bind_expression_in(place, &expr, text, scope, expected, cx));
    // Positions are relative to the expression, not to the statement that it came from.
    bound.map_err(|mut error| {
        error.position = error.position.and_then(|inside| written.position_of(inside));
        match scope {
            ScalarScope::Nothing if error.state == SqlState::UNDEFINED_COLUMN => {
                let message = "cannot use column reference in DEFAULT expression";
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(error.position)
            }
            ScalarScope::Nothing | ScalarScope::Table { .. } | ScalarScope::DomainValue(..) => {
                error
            }
        }
    })
}

/// Refuses a subquery in an expression; `place` says what kind of expression it is.
///
/// `SELECT` is reserved, and no function can be called `VALUES`: a word that is not quoted tells.
pub(super) fn refuse_subquery<'a>(
    written: impl Into<Written<'a>>,
    place: &str,
) -> Result<(), SqlError> {
    let written = written.into();
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, written.text).tokenize_with_location();
    let mut tokens = tokens.unwrap_or_default();
    tokens.retain(|it| !matches!(it.token, Token::Whitespace(_)));
    let found = tokens.windows(2).position(|pair| match [&pair[0].token, &pair[1].token] {
        [Token::LParen, Token::Word(word)] => {
            matches!(word.keyword, Keyword::SELECT | Keyword::VALUES | Keyword::WITH)
        }
        _ => false,
    });
    let Some(found) = found else { return Ok(()) };
    // `EXISTS`, `ARRAY`, `IN` and `NOT IN` belong to the subquery.
    let keyword = |back: usize| match &tokens.get(found.checked_sub(back)?)?.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    let back = match (keyword(2), keyword(1)) {
        (Some(Keyword::NOT), Some(Keyword::IN)) => 2,
        (_, Some(Keyword::EXISTS | Keyword::ARRAY | Keyword::IN)) => 1,
        _ => 0,
    };
    let leader = found.checked_sub(back).and_then(|at| tokens.get(at));
    let begin = leader.or(tokens.get(found)).map_or(0, |it| {
        let offset = parse::split::byte_offset(written.text, it.span.start);
        written.text.get(..offset).map_or(0, |before| before.chars().count())
    });
    let position = u32::try_from(begin + 1).ok().and_then(|inside| written.position_of(inside));
    let message = format!("cannot use subquery in {place}");
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
}

/// The text of an expression as PostgreSQL shows it, which is what the schema keeps; it means the same.
///
/// What cannot be written that way, or would not be read back, stays as it was written.
pub(super) fn canonical(
    text: &str,
    scope: ScalarScope<'_>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> String {
    let wanted = expected.map(|(oid, _)| oid);
    let written =
        parse::expression(text).and_then(|expr| deparse_expression(&expr, scope, wanted, cx));
    match written {
        Ok(written) if bind(&written, scope, expected, cx).is_ok() => written,
        Ok(_) | Err(_) => text.to_owned(),
    }
}

/// A text as the schema keeps it: with marks in place of what it names besides columns.
pub(super) fn settled(
    text: &str,
    scope: ScalarScope<'_>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> String {
    match bind(text, scope, expected, cx) {
        Ok(bound) => marked_text::marked(text, &bound.names, cx.catalog),
        Err(_) => text.to_owned(),
    }
}

/// [`settled`] over a table's columns.
pub(super) fn settled_over(
    table: &Table,
    text: &str,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> String {
    settled(text, ScalarScope::over(table), expected, cx)
}

/// [`canonical`] over a table's columns.
pub(super) fn canonical_over(
    table: &Table,
    text: &str,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> String {
    canonical(text, ScalarScope::over(table), expected, cx)
}

/// The user's functions that a view's query calls; none if it cannot be bound.
pub(super) fn functions_of_view(view: &View, cx: &BindContext<'_>) -> BTreeSet<Oid> {
    let text = view.query.as_str();
    let statement = parse::split(text).ok().and_then(|mut it| it.pop());
    let Some(parse::StatementAst::Sql(ast)) = statement.map(|it| it.ast) else {
        return BTreeSet::new();
    };
    let Statement::Query(query) = *ast else { return BTreeSet::new() };
    bind_query(&query, text, Some(view), cx).map(|it| it.functions).unwrap_or_default()
}

/// Binds an expression over a table's columns.
pub(in crate::schema) fn bind_over<'a>(
    table: &Table,
    written: impl Into<Written<'a>>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> Result<LoweredScalar, SqlError> {
    let scope = ScalarScope::over(table);
    bind(written, scope, expected, cx)
}

/// Binds a condition over a table's columns.
pub(in crate::schema) fn bind_condition<'a>(
    table: &Table,
    written: impl Into<Written<'a>>,
    clause: &str,
    cx: &BindContext<'_>,
) -> Result<LoweredScalar, SqlError> {
    let written = written.into();
    let lowered = bind_over(table, written, None, cx)?;
    match lowered.type_oid {
        Oid::BOOL | Oid::UNKNOWN => Ok(lowered),
        other => {
            let name = builtin::sql_type_name(other)
                .or_else(|| builtin::type_by_oid(other).map(|row| row.name))
                .unwrap_or("???");
            let message = format!("argument of {clause} must be type boolean, not type {name}");
            let position = written.position_of(1);
            Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position))
        }
    }
}

/// The tokens of an expression, without blanks.
fn tokens(text: &str) -> Vec<Token> {
    let dialect = PostgreSqlDialect {};
    let mut tokens = Tokenizer::new(&dialect, text).tokenize().unwrap_or_default();
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    tokens
}

/// Words that follow the first one of a type name.
const TYPE_NAME_WORDS: [&str; 6] = ["varying", "precision", "with", "without", "time", "zone"];

/// Whether the word at `index` is part of the type name after a `::`.
fn names_type(tokens: &[&Token], index: usize) -> bool {
    let mut at = index;
    loop {
        let Some(before) = at.checked_sub(1) else { return false };
        if *tokens[before] == Token::DoubleColon {
            return true;
        }
        let continues = match tokens[at] {
            Token::Word(word) => TYPE_NAME_WORDS.contains(&word.value.to_lowercase().as_str()),
            _ => false,
        };
        at = match tokens[before] {
            Token::Word(_) if continues => before,
            // A modifier between the words, as in `timestamp(3) with time zone`.
            Token::RParen if continues && before >= 3 => before - 3,
            Token::Period if before > 0 => before - 1,
            _ => return false,
        };
    }
}

/// The name that a word token stands for.
fn word_name(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    }
}

/// The columns that an expression names, each once, in order of first use.
pub(in crate::schema) fn columns_used<'a>(text: &str, columns: &'a [Column]) -> Vec<&'a Column> {
    let tokens = tokens(text);
    let places: Vec<&Token> = tokens.iter().collect();
    let mut used: Vec<&Column> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let is_call = tokens.get(index + 1) == Some(&Token::LParen);
        let is_name = !is_call && !names_type(&places, index);
        let Some(name) = word_name(token).filter(|_| is_name) else { continue };
        let Some(column) = columns.iter().find(|column| column.name == name) else { continue };
        if !used.iter().any(|it| it.attnum == column.attnum) {
            used.push(column);
        }
    }
    used
}

/// The types that an error of an expression that does not go into its column names: the one found, the one wanted.
pub(super) fn mismatched_types(error: &SqlError) -> Option<(&str, &str)> {
    let types = error.message.strip_prefix("expression is of type ")?;
    types.strip_suffix(" is expected")?.split_once(" where type ")
}

/// Whether an expression calls a function whose value changes from row to row.
pub(super) fn is_volatile(text: &str) -> bool {
    let tokens = tokens(text);
    tokens.windows(2).any(|pair| {
        let [name, Token::LParen] = pair else { return false };
        let Some(name) = word_name(name) else { return false };
        builtin::functions_by_name(&name).iter().any(|row| row.volatility == Volatility::Volatile)
    })
}

/// The name of the sequence that an expression draws from, if it is `nextval('name')` and nothing else.
pub(super) fn drawn_sequence(text: &str) -> Option<String> {
    let tokens = tokens(text);
    let (function, rest) = tokens.split_first()?;
    let name = match rest {
        [Token::LParen, Token::SingleQuotedString(name), Token::RParen] => name,
        [
            Token::LParen,
            Token::SingleQuotedString(name),
            Token::DoubleColon,
            regclass,
            Token::RParen,
        ] if word_name(regclass).as_deref() == Some("regclass") => name,
        _ => return None,
    };
    (word_name(function).as_deref() == Some("nextval")).then(|| name.clone())
}

/// The name that an index key without a column name takes part in index names with (PostgreSQL `FigureIndexColname`).
pub(super) fn index_key_name(text: &str) -> String {
    let tokens = tokens(text);
    let opening = tokens.iter().position(|token| *token == Token::LParen);
    let closing = tokens.last() == Some(&Token::RParen);
    let call = opening.filter(|_| closing).and_then(|at| tokens.get(at.checked_sub(1)?));
    let simple = opening.is_some_and(|at| {
        tokens.iter().take(at).all(|token| matches!(token, Token::Word(_) | Token::Period))
    });
    call.filter(|_| simple).and_then(word_name).unwrap_or_else(|| "expr".to_owned())
}

/// The ids of the columns that texts name, by these names: what the schema keeps beside the texts.
pub(super) fn column_names<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    columns: &[Column],
) -> BTreeMap<String, i64> {
    let used = texts.into_iter().flat_map(|text| columns_used(text, columns));
    used.map(|column| (column.name.clone(), column.id.0)).collect()
}

/// Renames columns in the text of an expression, all at once, leaving everything else as it is.
pub(in crate::schema) fn rename_columns(text: &str, renamed: &BTreeMap<&str, &str>) -> String {
    let dialect = PostgreSqlDialect {};
    let Ok(mut tokens) = Tokenizer::new(&dialect, text).tokenize_with_location() else {
        return text.to_owned();
    };
    tokens.retain(|it| !matches!(it.token, Token::Whitespace(_)));
    let places: Vec<&Token> = tokens.iter().map(|it| &it.token).collect();
    let mut changed = String::with_capacity(text.len());
    let mut copied = 0;
    for (index, it) in tokens.iter().enumerate() {
        let is_call = tokens.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        let is_name = !is_call && !names_type(&places, index);
        let name = word_name(&it.token).filter(|_| is_name);
        let Some(new) = name.and_then(|name| renamed.get(name.as_str())) else { continue };
        let start = parse::split::byte_offset(text, it.span.start);
        changed.push_str(text.get(copied..start).unwrap_or_default());
        changed.push_str(&builtin::quote_identifier(new));
        copied = parse::split::byte_offset(text, it.span.end);
    }
    changed.push_str(text.get(copied..).unwrap_or_default());
    changed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{index_key_name, rename_columns};

    fn rename_column(text: &str, old: &str, new: &str) -> String {
        rename_columns(text, &BTreeMap::from([(old, new)]))
    }

    #[test]
    fn columns_may_swap_their_names() {
        let renamed = rename_columns("a > b + a", &BTreeMap::from([("a", "b"), ("b", "a")]));
        assert_eq!(renamed, "b > a + b");
    }

    #[test]
    fn renaming_spares_strings_and_calls() {
        let text = "a > 0 AND a(1) <> 'it''s a' AND \"a\" < t.a";
        let renamed = rename_column(text, "a", "New");
        assert_eq!(renamed, "\"New\" > 0 AND a(1) <> 'it''s a' AND \"New\" < t.\"New\"");
    }

    #[test]
    fn renaming_spares_type_names() {
        let text = "time > '10:00'::timestamp(0) with time zone AND time > (x)::pg_catalog.time";
        let renamed = rename_column(text, "time", "t");
        let expected = "t > '10:00'::timestamp(0) with time zone AND t > (x)::pg_catalog.time";
        assert_eq!(renamed, expected);
    }

    #[test]
    fn index_keys_are_named_by_their_function() {
        assert_eq!(index_key_name("lower(name)"), "lower");
        assert_eq!(index_key_name("a + b"), "expr");
        assert_eq!(index_key_name("(meta->>'x')"), "expr");
    }
}
