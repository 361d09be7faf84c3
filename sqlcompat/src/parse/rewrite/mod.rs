//! PostgreSQL's forms that sqlparser does not read, spelled in tokens that it does.
//!
//! | form | becomes |
//! |---|---|
//! | `a->-1` | `a -> -1` |
//! | `TABLE t` | `SELECT * FROM t` |
//! | `FROM ONLY t`, `UPDATE ONLY t` | without `ONLY`: there is no inheritance |
//! | `f(VARIADIC a)` | a named argument under [`VARIADIC`] |
//! | `OVERRIDING SYSTEM VALUE` | one more column under [`OVERRIDING_SYSTEM`] or [`OVERRIDING_USER`] |
//! | `FOR NO KEY UPDATE`, `FOR KEY SHARE` | `FOR UPDATE`, `FOR SHARE` |
//! | `a OPERATOR(pg_catalog.=) b` | `a = b`, with the operator's own precedence |
//! | `COLLATION FOR (x)` | `pg_collation_for(x)` |
//! | `trim(BOTH FROM x)`, without characters to trim | `btrim(x)`; likewise `ltrim` and `rtrim` |
//! | `'a'` newline `'b'` | one literal |
//! | `U&'\0061'`, `U&"\0061" UESCAPE '!'` | the string, or the name |
//! | `money '1'`: a type that is no keyword | `CAST('1' AS money)`; likewise `interval(3) '1'` |
//! | `f(a := 1)` | `f(a => 1)` |
//! | `INSERT INTO t TABLE u` | `INSERT INTO t SELECT * FROM u` |
//! | `ROWS FROM (f(), g())` | a function under [`ROWS_FROM`] |
//! | `RANGE '1'::interval PRECEDING` | the first literal in parentheses |
//! | `EXCLUDE TIES` in a window frame | one more key of `PARTITION BY` under [`EXCLUDE`] |
//! | `ON CONFLICT (lower(a)) WHERE b` | one name under [`CONFLICT`] |
//! | `JOIN u USING (a) AS j` | one more column under [`JOIN_ALIAS`] |
//! | `WHERE CURRENT OF c` | one name under [`CURRENT_OF`] |
//! | `substring(a SIMILAR b ESCAPE c)` | `substring(a, b, c)` |
//! | `normalize(a, NFC)` | `normalize(a, 'NFC')` |
//! | `SET a[1].b = …`, `INSERT INTO t (a[1])` | one name under [`PART`], which holds the text and its place |
//! | `GROUP BY DISTINCT …`, `GROUP BY ALL …` | one more key under [`GROUP_DISTINCT`]; without the word |
//! | `GROUPING SETS (…)`, `ROLLUP (…)`, `CUBE (…)`, and `()` in them | functions and a name under marks |
//! | `a IN ((SELECT …), b)` | the subquery under [`VALUE`], a function |
//! | `FETCH FIRST (n) ROWS ONLY` | `LIMIT (n)` |
//! | `WITH … SEARCH …`, `WITH … CYCLE …` | one more query of the WITH under a mark |
//! | `FROM t *` | `FROM t` |
//! | `f(…) AS (a int)` | `f(…) AS f (a int)` |
//! | `(row).*` | a function under [`EXPAND`] |
//! | `MERGE … THEN INSERT DEFAULT VALUES` | one column under [`DEFAULT_VALUES`] and one value |
//! | `MERGE … USING a JOIN b ON … ON …` | the join in parentheses |
//! | `t.* IS NULL`, `(t.*).a` | `t IS NULL`, `(t).a` |
//! | `a *= b` | one operator |
//! | `a NOT LIKE ALL (b)` | `a !~~ ALL (b)` |
//!
//! The marks begin with a NUL, which no name from a client can hold.

mod clause;
mod literal;
mod part;
mod query;

use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};

pub(super) use literal::refuse_junk;
pub use part::marked_part;

use crate::error::SqlError;

/// Stands, as the name of an argument, for `VARIADIC`.
pub const VARIADIC: &str = "\0variadic";
/// Stands, as a last column, for `OVERRIDING SYSTEM VALUE`.
pub const OVERRIDING_SYSTEM: &str = "\0overriding system";
/// Stands, as a last column, for `OVERRIDING USER VALUE`.
pub const OVERRIDING_USER: &str = "\0overriding user";
/// Stands, as the name of a function, for `ROWS FROM`.
pub const ROWS_FROM: &str = "\0rows from";
/// Begins the key of a `PARTITION BY` that stands for `EXCLUDE`; what is excluded follows.
pub const EXCLUDE: &str = "\0exclude ";
/// Begins the name that stands for a conflict target; the texts of the target and of its WHERE follow, with a NUL between.
pub const CONFLICT: &str = "\0conflict ";
/// Stands, as the name of a function, for `(row).*`.
pub const EXPAND: &str = "\0expand";
/// Begins the name that stands for a part of a column that is assigned to; line, column and text follow, with NULs between.
pub const PART: &str = "\0part ";
/// Stands, as the first key of a GROUP BY, for its `DISTINCT`.
pub const GROUP_DISTINCT: &str = "\0distinct";
/// Stands, as the name of a function, for `GROUPING SETS`.
pub const GROUPING_SETS: &str = "\0grouping sets";
/// Stands, as the name of a function, for `ROLLUP` in a GROUP BY.
pub const ROLLUP: &str = "\0rollup";
/// Stands, as the name of a function, for `CUBE` in a GROUP BY.
pub const CUBE: &str = "\0cube";
/// Stands, as a name, for `()` among grouping sets.
pub const NO_KEYS: &str = "\0no keys";
/// Stands, as the name of one more query of a WITH, for `SEARCH DEPTH FIRST`; its columns are those of the clause.
pub const SEARCH_DEPTH: &str = "\0search depth";
/// Likewise for `SEARCH BREADTH FIRST`.
pub const SEARCH_BREADTH: &str = "\0search breadth";
/// Likewise for `CYCLE`; the query selects the values of the mark.
pub const CYCLE: &str = "\0cycle";
/// Stands, as the name of a function, around an expression that sqlparser would take for more.
pub const VALUE: &str = "\0value";
/// Stands, as the only column of an INSERT in a MERGE, for `DEFAULT VALUES`.
pub const DEFAULT_VALUES: &str = "\0default values";
/// Begins the name that stands, as a condition, for `CURRENT OF`; the name of the cursor follows.
pub const CURRENT_OF: &str = "\0current of ";
/// Begins the last column of a USING that stands for the alias of its merged columns, which follows.
pub const JOIN_ALIAS: &str = "\0join alias ";
/// Stands, as the only item of a select list, for an empty one.
pub const NO_ITEMS: &str = "\0nothing";

/// Rewrites the tokens of one statement.
///
/// # Errors
/// 42601 for a malformed Unicode escape and for a string where PostgreSQL has none; other mistakes are left for sqlparser.
pub fn rewrite(text: &str, tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlError> {
    let row_star = |pair: &[TokenWithSpan]| match pair {
        [dot, star] if dot.token == Token::Period => star.token == Token::Mul,
        [star, comparison] => star.token == Token::Mul && is_comparison(&comparison.token),
        _ => false,
    };
    if !tokens.iter().any(|it| is_candidate(&it.token)) && !tokens.windows(2).any(row_star) {
        return Ok(tokens);
    }
    let solid: Vec<TokenWithSpan> = literal::join_literals(tokens)
        .into_iter()
        .filter(|it| !matches!(it.token, Token::Whitespace(_)))
        .collect();
    let mut out = Vec::with_capacity(solid.len() + 8);
    spell(text, &solid, &mut out)?;
    Ok(out)
}

/// Appends tokens, each of the forms as what it becomes.
fn spell(
    text: &str,
    tokens: &[TokenWithSpan],
    out: &mut Vec<TokenWithSpan>,
) -> Result<(), SqlError> {
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        let used = production(text, rest, out)?;
        if used == 0 {
            out.push(first.clone());
        }
        rest = rest.get(used.max(1)..).unwrap_or_default();
    }
    Ok(())
}

/// Whether a token may begin one of the forms.
fn is_candidate(token: &Token) -> bool {
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            const WORDS: [&str; 25] = [
                "LIKE",
                "ILIKE",
                "MERGE",
                "AS",
                "GROUP",
                "TABLE",
                "ONLY",
                "VARIADIC",
                "OVERRIDING",
                "OPERATOR",
                "COLLATION",
                "KEY",
                "TRIM",
                "U",
                "ROWS",
                "EXCLUDE",
                "CONFLICT",
                "SUBSTRING",
                "NORMALIZE",
                "IN",
                "FETCH",
                "FROM",
                "SEARCH",
                "CYCLE",
                "CURRENT",
            ];
            WORDS.iter().any(|it| word.value.eq_ignore_ascii_case(it))
        }
        Token::CustomBinaryOperator(_)
        | Token::Assignment
        | Token::LBracket
        | Token::Whitespace(Whitespace::Newline)
        | Token::SingleQuotedString(_) => true,
        _ => false,
    }
}

/// `LIKE ALL (…)`: the operator that LIKE stands for.
fn like_all(word: &Word, rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [like, all, open, ..] = rest else { return 0 };
    let is_all = matches!(&all.token, Token::Word(all) if is_word(all, "ALL"));
    if !is_all || open.token != Token::LParen {
        return 0;
    }
    let negated =
        matches!(out.last().map(|it| &it.token), Some(Token::Word(not)) if is_word(not, "NOT"));
    let span = if negated { out.pop().map_or(like.span, |not| not.span) } else { like.span };
    let token = match (is_word(word, "LIKE"), negated) {
        (true, false) => Token::DoubleTilde,
        (true, true) => Token::ExclamationMarkDoubleTilde,
        (false, false) => Token::DoubleTildeAsterisk,
        (false, true) => Token::ExclamationMarkDoubleTildeAsterisk,
    };
    out.push(TokenWithSpan { token, span });
    1
}

/// `=`, `<>`, `<` and the like.
fn is_comparison(token: &Token) -> bool {
    matches!(token, Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq)
}

/// `*=`, `*<` and the like: operators of their own, which compare rows by their bytes.
fn image_operator(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [star, comparison, ..] = rest else { return 0 };
    if !is_comparison(&comparison.token) || star.span.end != comparison.span.start {
        return 0;
    }
    let operator = if comparison.token == Token::Neq {
        "*<>".to_owned()
    } else {
        format!("*{}", comparison.token)
    };
    out.push(TokenWithSpan { token: Token::CustomBinaryOperator(operator), span: star.span });
    2
}

/// Tries each form at the start of `rest`; gives the number of tokens that it replaced, 0 for none.
fn production(
    text: &str,
    rest: &[TokenWithSpan],
    out: &mut Vec<TokenWithSpan>,
) -> Result<usize, SqlError> {
    let word = match rest.first().map(|it| &it.token) {
        Some(Token::Word(word)) => word,
        Some(Token::CustomBinaryOperator(operator)) => return Ok(signed(operator, rest, out)),
        Some(Token::Mul) => {
            let used = query::descendants(out);
            return Ok(if used > 0 { used } else { image_operator(rest, out) });
        }
        Some(Token::Period) => return Ok(clause::whole_row(rest, out)),
        Some(Token::LParen) => return query::parenthesis(text, rest, out),
        Some(Token::LBracket) => return Ok(part::assigned(text, rest, out)),
        Some(Token::Assignment) => {
            out.push(TokenWithSpan { token: Token::RArrow, span: rest[0].span });
            return Ok(1);
        }
        Some(Token::SingleQuotedString(_)) => {
            if clause::frame_offset(rest, out) {
                return Ok(1);
            }
            literal::refuse_string_alias(text, rest, out)?;
            return Ok(0);
        }
        _ => return Ok(0),
    };
    if word.quote_style.is_some() {
        return Ok(literal::typed(rest, out));
    }
    Ok(match word.value.to_ascii_uppercase().as_str() {
        "LIKE" | "ILIKE" => like_all(word, rest, out),
        "TABLE" => table(rest, out),
        "ONLY" => only(rest, out),
        "VARIADIC" => variadic(rest, out),
        "OVERRIDING" => overriding(rest, out),
        "OPERATOR" => operator(rest, out),
        "COLLATION" => collation_for(rest, out),
        "TRIM" => trim(rest, out),
        "NO" | "KEY" => key_lock(rest, out),
        "U" => literal::unicode(text, rest, out)?,
        "INTERVAL" => literal::interval(rest, out),
        "ROWS" => clause::rows_from(rest, out),
        "EXCLUDE" => clause::exclude(rest, out),
        "GROUPING" | "ROLLUP" | "CUBE" => query::grouping_sets(word, rest, out),
        "SEARCH" | "CYCLE" => query::search_or_cycle(rest, out),
        "FETCH" => query::fetch(rest, out),
        "DEFAULT" => clause::default_values(rest, out),
        "AS" => clause::unnamed_columns(rest, out),
        "DISTINCT" | "ALL" => clause::group_quantifier(word, rest, out),
        "USING" => match clause::join_alias(rest, out) {
            0 => clause::merge_source(rest, out),
            used => used,
        },
        "CONFLICT" => clause::conflict(text, rest, out),
        "CURRENT" => clause::current_of(rest, out),
        "SUBSTRING" => clause::similar_substring(rest, out),
        "NFC" | "NFD" | "NFKC" | "NFKD" => clause::normal_form(rest, out),
        _ => literal::typed(rest, out),
    })
}

/// `->-1`: an operator ends in `+` or `-` only if it also holds one of the characters below; otherwise that is a sign.
fn signed(operator: &str, rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    const KEEP_SIGN: &[char] = &['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];
    if operator.contains(KEEP_SIGN) {
        return 0;
    }
    let (token, signs) = match operator.trim_end_matches(['+', '-']) {
        "->>" => (Token::LongArrow, 3),
        _ if operator.starts_with("->") => (Token::Arrow, 2),
        "=" => (Token::Eq, 1),
        "<>" => (Token::Neq, 2),
        "<=" => (Token::LtEq, 2),
        ">=" => (Token::GtEq, 2),
        "<" => (Token::Lt, 1),
        ">" => (Token::Gt, 1),
        "*" => (Token::Mul, 1),
        "/" => (Token::Div, 1),
        _ => return 0,
    };
    let span = rest[0].span;
    out.push(TokenWithSpan { token, span });
    for sign in operator.chars().skip(signs) {
        let token = if sign == '-' { Token::Minus } else { Token::Plus };
        out.push(TokenWithSpan { token, span });
    }
    1
}

fn table(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let leads = match out.last().map(|it| &it.token) {
        None | Some(Token::LParen) => true,
        Some(Token::Word(word)) => {
            ["UNION", "ALL", "INTERSECT", "EXCEPT"].iter().any(|it| is_word(word, it))
                || is_inserted(out)
        }
        Some(Token::RParen) => is_inserted(out),
        Some(_) => false,
    };
    if !leads || !matches!(rest.get(1).map(|it| &it.token), Some(Token::Word(_))) {
        return 0;
    }
    for token in [keyword_token("SELECT"), Token::Mul, keyword_token("FROM")] {
        out.push(TokenWithSpan { token, span: rest[0].span });
    }
    1
}

/// Whether the statement so far is `INSERT INTO name`, perhaps with an alias or columns.
fn is_inserted(out: &[TokenWithSpan]) -> bool {
    let word = |at: usize, text: &str| match out.get(at).map(|it| &it.token) {
        Some(Token::Word(word)) => is_word(word, text),
        _ => false,
    };
    word(0, "INSERT") && word(1, "INTO") && out.len() > 2
}

fn only(rest: &[TokenWithSpan], out: &mut [TokenWithSpan]) -> usize {
    let after = out.last().is_some_and(|it| match &it.token {
        Token::Word(word) => {
            ["FROM", "UPDATE", "JOIN", "TRUNCATE"].iter().any(|it| is_word(word, it))
        }
        Token::Comma => true,
        _ => false,
    });
    let before_name = matches!(rest.get(1).map(|it| &it.token), Some(Token::Word(_)));
    // Nothing replaces it: the caller skips one token.
    usize::from(after && before_name)
}

fn variadic(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let in_call = matches!(out.last().map(|it| &it.token), Some(Token::LParen | Token::Comma));
    if !in_call {
        return 0;
    }
    out.push(TokenWithSpan { token: mark(VARIADIC), span: rest[0].span });
    out.push(TokenWithSpan { token: Token::RArrow, span: rest[0].span });
    1
}

fn overriding(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [_, which, value, ..] = rest else { return 0 };
    let (Token::Word(which), Token::Word(value)) = (&which.token, &value.token) else { return 0 };
    let name = match which.value.to_ascii_uppercase().as_str() {
        "SYSTEM" => OVERRIDING_SYSTEM,
        "USER" => OVERRIDING_USER,
        _ => return 0,
    };
    if !is_word(value, "VALUE") {
        return 0;
    }
    let span = rest[0].span;
    if matches!(out.last().map(|it| &it.token), Some(Token::RParen)) {
        out.pop();
        out.push(TokenWithSpan { token: Token::Comma, span });
    } else {
        out.push(TokenWithSpan { token: Token::LParen, span });
    }
    out.push(TokenWithSpan { token: mark(name), span });
    out.push(TokenWithSpan { token: Token::RParen, span });
    3
}

/// `OPERATOR(pg_catalog.~)`: the operator itself.
fn operator(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let token = |at: usize| rest.get(at).map(|it| &it.token);
    if token(1) != Some(&Token::LParen) {
        return 0;
    }
    let schema = match (token(2), token(3)) {
        (Some(Token::Word(word)), Some(Token::Period)) if is_word(word, "pg_catalog") => 2,
        (Some(Token::Word(_)), _) => return 0,
        _ => 0,
    };
    let (Some(found), Some(Token::RParen)) = (rest.get(2 + schema), token(3 + schema)) else {
        return 0;
    };
    out.push(found.clone());
    4 + schema
}

fn collation_for(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let is_for = match rest.get(1).map(|it| &it.token) {
        Some(Token::Word(word)) => is_word(word, "FOR"),
        _ => false,
    };
    if !is_for || rest.get(2).map(|it| &it.token) != Some(&Token::LParen) {
        return 0;
    }
    out.push(TokenWithSpan { token: keyword_token("pg_collation_for"), span: rest[0].span });
    2
}

/// `trim([BOTH | LEADING | TRAILING] FROM x)`, which sqlparser reads with characters to trim only.
fn trim(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [_, open, third, ..] = rest else { return 0 };
    let (Token::LParen, Token::Word(word)) = (&open.token, &third.token) else { return 0 };
    let from_next = || {
        let next = rest.get(3).map(|it| &it.token);
        matches!(next, Some(Token::Word(word)) if is_word(word, "FROM"))
    };
    let (name, used) = match word.value.to_ascii_uppercase().as_str() {
        "FROM" => ("btrim", 3),
        "BOTH" if from_next() => ("btrim", 4),
        "LEADING" if from_next() => ("ltrim", 4),
        "TRAILING" if from_next() => ("rtrim", 4),
        _ => return 0,
    };
    out.push(TokenWithSpan { token: keyword_token(name), span: rest[0].span });
    out.push(open.clone());
    used
}

/// `NO KEY` and `KEY` after FOR.
fn key_lock(rest: &[TokenWithSpan], out: &mut [TokenWithSpan]) -> usize {
    let word_at = |at: usize, text: &str| match rest.get(at).map(|it| &it.token) {
        Some(Token::Word(word)) => is_word(word, text),
        _ => false,
    };
    let after_for = out.last().is_some_and(|it| match &it.token {
        Token::Word(word) => is_word(word, "FOR"),
        _ => false,
    });
    if !after_for {
        0
    } else if word_at(0, "NO") && word_at(1, "KEY") && word_at(2, "UPDATE") {
        2
    } else if word_at(0, "KEY") && word_at(1, "SHARE") {
        1
    } else {
        0
    }
}

fn is_word(word: &Word, text: &str) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text)
}

fn keyword_token(text: &str) -> Token {
    Token::make_keyword(text)
}

/// A quoted name that no client can write.
fn mark(name: &str) -> Token {
    Token::make_word(name, Some('"'))
}
