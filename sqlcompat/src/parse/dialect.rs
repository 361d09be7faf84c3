//! The dialect that sqlparser is run with: its PostgreSQL dialect, corrected by PostgreSQL's own keyword table.
//!
//! Which words may begin an expression, be an output name without `AS`, or be a table's alias follows from the categories of
//! the manual's appendix C; sqlparser keeps lists over all of its dialects instead. `BETWEEN SYMMETRIC` and `ISNULL`, which it
//! does not know, are read here, and operators bind as [`precedence`] says.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr, Ident};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::precedence;
use super::rewrite::NO_ITEMS;
use crate::builtin::{KeywordCategory, keyword};

/// PostgreSQL 15's dialect.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Postgres15;

/// The dialect that answers everything else.
const BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// Reserved words that an expression may begin with, or that stand in for one.
const EXPRESSION_WORDS: [&str; 26] = [
    "all",
    "any",
    "array",
    "both",
    "case",
    "cast",
    "collate",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "distinct",
    "false",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "select",
    "session_user",
    "some",
    "true",
    "user",
    "with",
];

/// The category of a word, if PostgreSQL has it as a keyword.
fn category(word: &str) -> Option<KeywordCategory> {
    keyword(&word.to_ascii_lowercase()).map(|it| it.category)
}

/// A keyword of sqlparser's as text.
fn spelling(keyword: Keyword) -> String {
    format!("{keyword:?}").to_ascii_lowercase()
}

/// Whether the next token is this word, unquoted.
fn next_is(parser: &Parser<'_>, text: &str) -> bool {
    match &parser.peek_token_ref().token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text),
        _ => false,
    }
}

/// `VALUES (…)` where an expression is wanted: a subquery, whose parentheses have been read.
fn values(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let opens = parser.peek_nth_token_ref(1).token == Token::LParen;
    (next_is(parser, "VALUES") && opens).then(|| parser.parse_query().map(Expr::Subquery))
}

/// Whether a select list without items ends here.
fn is_empty_list(parser: &Parser<'_>) -> bool {
    let before = (0..parser.index()).rev().map(|at| &parser.token_at(at).token);
    let last = before.skip_while(|it| matches!(it, Token::Whitespace(_))).take(1);
    let mut after_select =
        last.filter(|it| matches!(it, Token::Word(word) if word.keyword == Keyword::SELECT));
    after_select.next().is_some()
        && match &parser.peek_token_ref().token {
            Token::EOF | Token::SemiColon | Token::RParen => true,
            Token::Word(word) => word.quote_style.is_none() && ends_list(word.keyword),
            _ => false,
        }
}

/// Whether a clause that follows the select list begins with this word.
fn ends_list(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::WINDOW
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT
    )
}

/// Reads `SYMMETRIC low AND high` after `operand [NOT] BETWEEN`: the operand lies between the two, whichever is the smaller.
fn symmetric(parser: &mut Parser<'_>, operand: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let bound = BASE.prec_value(Precedence::Between);
    let low = parser.parse_subexpr(bound)?;
    parser.expect_keyword(Keyword::AND)?;
    let high = parser.parse_subexpr(bound)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(operand.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let (one, other) = (between(&low, &high), between(&high, &low));
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    let either = Expr::BinaryOp { left: Box::new(one), op, right: Box::new(other) };
    Ok(Expr::Nested(Box::new(either)))
}

/// Methods without arguments that answer as [`BASE`] does.
macro_rules! delegate {
    ($($name:ident),+ $(,)?) => {
        $(fn $name(&self) -> bool {
            BASE.$name()
        })+
    };
}

impl Dialect for Postgres15 {
    fn dialect(&self) -> TypeId {
        BASE.dialect()
    }

    /// Refuses a reserved word where an expression is to begin, at that word.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Some(found) = precedence::prefix(parser) {
            return Some(found);
        }
        if let Some(query) = values(parser) {
            return Some(query);
        }
        if is_empty_list(parser) {
            return Some(Ok(Expr::Identifier(Ident::with_quote('"', NO_ITEMS))));
        }
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        let lower = word.value.to_ascii_lowercase();
        let reserved = category(&lower) == Some(KeywordCategory::Reserved);
        if !reserved || EXPRESSION_WORDS.contains(&lower.as_str()) {
            return None;
        }
        Some(parser.expected_ref("an expression", parser.peek_token_ref()))
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if let Some(refused) = precedence::refuse_chain(parser, expr, precedence) {
            return Some(refused);
        }
        if next_is(parser, "ISNULL") {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        for (negated, words) in [
            (false, &[Keyword::BETWEEN, Keyword::SYMMETRIC][..]),
            (true, &[Keyword::NOT, Keyword::BETWEEN, Keyword::SYMMETRIC]),
        ] {
            if parser.parse_keywords(words) {
                return Some(symmetric(parser, expr, negated));
            }
        }
        None
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        if next_is(parser, "ISNULL") {
            return Some(Ok(BASE.prec_value(Precedence::Is)));
        }
        precedence::next(parser).map(Ok).or_else(|| BASE.get_next_precedence(parser))
    }

    /// An output name without `AS`: what the keyword table calls a bare label.
    fn is_column_alias(&self, kw: &Keyword, _parser: &mut Parser) -> bool {
        *kw == Keyword::NoKeyword || keyword(&spelling(*kw)).is_none_or(|it| it.bare_label)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        let free = |found: KeywordCategory| {
            matches!(found, KeywordCategory::Unreserved | KeywordCategory::ColumnName)
        };
        BASE.is_table_alias(kw, parser)
            && (*kw == Keyword::NoKeyword || category(&spelling(*kw)).is_none_or(free))
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        false
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        BASE.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        BASE.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        BASE.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        BASE.is_reserved_for_identifier(kw) || matches!(kw, Keyword::CASE | Keyword::CAST)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        BASE.prec_value(prec)
    }

    delegate! {
        supports_filter_during_aggregation,
        supports_group_by_expr,
        supports_alter_user_as_alter_role,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_exclude_constraint,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_expr_name,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_order_by_using_operator,
        supports_set_names,
        supports_alter_column_type_using,
        supports_left_associative_joins_without_parens,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
        supports_aliased_function_args,
        supports_comment_optimizer_hint,
    }
}
