//! Forms of queries that sqlparser does not read: nested grouping sets, lists that begin with a subquery, a computed `FETCH FIRST`,
//! and `*` after a table.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::clause::{closing, word_at};
use super::{
    CUBE, CYCLE, GROUPING_SETS, NO_KEYS, ROLLUP, SEARCH_BREADTH, SEARCH_DEPTH, VALUE, is_word,
    keyword_token, mark, spell,
};
use crate::error::SqlError;

/// Whether the tokens so far end in a `GROUP BY`, at whatever depth of parentheses.
fn in_group_by(out: &[TokenWithSpan]) -> bool {
    const OTHERS: [&str; 8] =
        ["SELECT", "FROM", "WHERE", "HAVING", "BY", "WINDOW", "LIMIT", "VALUES"];
    let mut depth = 0usize;
    for (at, it) in out.iter().enumerate().rev() {
        match &it.token {
            Token::RParen => depth += 1,
            Token::LParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => {
                // Marks stand only where this has been found before.
                if [GROUPING_SETS, ROLLUP, CUBE, NO_KEYS].contains(&word.value.as_str()) {
                    return true;
                }
                if is_word(word, "BY") && at > 0 && word_at(out, at - 1, "GROUP") {
                    return true;
                }
                if OTHERS.iter().any(|other| is_word(word, other)) {
                    return false;
                }
            }
            _ => {}
        }
    }
    false
}

/// `GROUPING SETS (`, `ROLLUP (` and `CUBE (` in a `GROUP BY`: functions under marks.
pub(super) fn grouping_sets(
    word: &Word,
    rest: &[TokenWithSpan],
    out: &mut Vec<TokenWithSpan>,
) -> usize {
    let (name, used) = match word.value.to_ascii_uppercase().as_str() {
        "ROLLUP" => (ROLLUP, 1),
        "CUBE" => (CUBE, 1),
        _ if word_at(rest, 1, "SETS") => (GROUPING_SETS, 2),
        _ => return 0,
    };
    let opens = rest.get(used).map(|it| &it.token) == Some(&Token::LParen);
    let begins = out.last().is_some_and(|it| match &it.token {
        Token::Comma | Token::LParen => true,
        Token::Word(word) => {
            ["BY", "DISTINCT", "ALL"].iter().any(|it| is_word(word, it))
                || word.value == super::GROUP_DISTINCT
        }
        _ => false,
    });
    if !opens || !begins || !in_group_by(out) {
        return 0;
    }
    out.push(TokenWithSpan { token: mark(name), span: rest[0].span });
    used
}

/// `()` among grouping sets: a name under a mark. `IN ((SELECT …), …)`: the subquery in a function under a mark.
pub(super) fn parenthesis(
    text: &str,
    rest: &[TokenWithSpan],
    out: &mut Vec<TokenWithSpan>,
) -> Result<usize, SqlError> {
    let token = |at: usize| rest.get(at).map(|it| &it.token);
    let within = matches!(out.last().map(|it| &it.token), Some(Token::Comma | Token::LParen));
    if !within {
        return Ok(0);
    }
    if token(1) == Some(&Token::RParen) {
        let mark = mark(NO_KEYS);
        let found = in_group_by(out);
        out.extend(found.then_some(TokenWithSpan { token: mark, span: rest[0].span }));
        return Ok(if found { 2 } else { 0 });
    }
    let after_in = out.len() > 1 && word_at(out, out.len() - 2, "IN");
    let is_query = ["SELECT", "WITH", "VALUES"].iter().any(|it| word_at(rest, 1, it));
    let close = if after_in && is_query { closing(rest, 0) } else { None };
    let Some(close) = close.filter(|close| token(close + 1) == Some(&Token::Comma)) else {
        return Ok(0);
    };
    let span = rest[0].span;
    let put = |token: Token| TokenWithSpan { token, span };
    out.extend([put(mark(VALUE)), put(Token::LParen), put(Token::LParen)]);
    spell(text, rest.get(1..close).unwrap_or_default(), out)?;
    out.extend([put(Token::RParen), put(Token::RParen)]);
    Ok(close + 1)
}

/// `FETCH FIRST (n) ROWS ONLY`: `LIMIT (n)`.
pub(super) fn fetch(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let first = word_at(rest, 1, "FIRST") || word_at(rest, 1, "NEXT");
    if !first || rest.get(2).map(|it| &it.token) != Some(&Token::LParen) {
        return 0;
    }
    let Some(close) = closing(rest, 2) else { return 0 };
    let rows = word_at(rest, close + 1, "ROW") || word_at(rest, close + 1, "ROWS");
    if !rows || !word_at(rest, close + 2, "ONLY") {
        return 0;
    }
    out.push(TokenWithSpan { token: keyword_token("LIMIT"), span: rest[0].span });
    out.extend(rest[2..=close].iter().cloned());
    close + 3
}

/// `FROM t *`, which asks for what `FROM t` asks for.
pub(super) fn descendants(out: &mut [TokenWithSpan]) -> usize {
    let [before @ .., from, table] = out else { return 0 };
    let named = matches!(table.token, Token::Word(_));
    let after = match &from.token {
        Token::Word(word) if is_word(word, "FROM") => begins_clause(before),
        Token::Word(word) => is_word(word, "JOIN") || is_word(word, "UPDATE"),
        _ => false,
    };
    usize::from(named && after)
}

/// Whether a `FROM` behind these tokens is a clause: not that of `IS DISTINCT FROM`, nor that of `extract(… FROM …)` and its
/// kin.
fn begins_clause(before: &[TokenWithSpan]) -> bool {
    if before.is_empty() || word_at(before, before.len() - 1, "DISTINCT") {
        return false;
    }
    let mut depth = 0usize;
    for it in before.iter().rev() {
        match &it.token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return false,
            Token::LParen => depth -= 1,
            Token::Word(word)
                if depth == 0 && (is_word(word, "SELECT") || is_word(word, "DELETE")) =>
            {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// The names of a list, and how many tokens it takes.
fn name_list(rest: &[TokenWithSpan]) -> Option<(Vec<TokenWithSpan>, usize)> {
    let mut names = Vec::new();
    let mut at = 0;
    loop {
        let name = rest.get(at).filter(|it| matches!(it.token, Token::Word(_)))?;
        names.push(name.clone());
        at += 1;
        if rest.get(at).map(|it| &it.token) != Some(&Token::Comma) {
            return Some((names, at));
        }
        at += 1;
    }
}

/// `SEARCH DEPTH FIRST BY a, b SET c` and `CYCLE a, b SET c TO v DEFAULT d USING e` after a query of a WITH: one more query
/// of it, named by a mark, whose columns are the names, the new ones last, and which selects the values.
pub(super) fn search_or_cycle(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let after_query = out.last().is_some_and(|it| it.token == Token::RParen);
    let found = if after_query { search(rest).or_else(|| cycle(rest)) } else { None };
    let Some((name, names, values, used)) = found else { return 0 };
    let span = rest[0].span;
    let put = |token: Token| TokenWithSpan { token, span };
    out.extend([put(Token::Comma), put(mark(name)), put(Token::LParen)]);
    for (at, name) in names.into_iter().enumerate() {
        out.extend((at > 0).then(|| put(Token::Comma)));
        out.push(name);
    }
    let words = [Token::RParen, keyword_token("AS"), Token::LParen, keyword_token("SELECT")];
    out.extend(words.into_iter().map(put));
    out.extend(values);
    out.push(put(Token::RParen));
    used
}

/// Mark, names, values and length of a clause.
type Clause = (&'static str, Vec<TokenWithSpan>, Vec<TokenWithSpan>, usize);

fn search(rest: &[TokenWithSpan]) -> Option<Clause> {
    let name = match () {
        () if word_at(rest, 1, "DEPTH") => SEARCH_DEPTH,
        () if word_at(rest, 1, "BREADTH") => SEARCH_BREADTH,
        () => return None,
    };
    if !word_at(rest, 0, "SEARCH") || !word_at(rest, 2, "FIRST") || !word_at(rest, 3, "BY") {
        return None;
    }
    let (mut names, used) = name_list(rest.get(4..)?)?;
    let set = 4 + used;
    let column = rest.get(set + 1).filter(|it| matches!(it.token, Token::Word(_)))?;
    if !word_at(rest, set, "SET") {
        return None;
    }
    names.push(column.clone());
    let one = TokenWithSpan { token: Token::Number("1".to_owned(), false), span: rest[0].span };
    Some((name, names, vec![one], set + 2))
}

fn cycle(rest: &[TokenWithSpan]) -> Option<Clause> {
    if !word_at(rest, 0, "CYCLE") {
        return None;
    }
    let (mut names, used) = name_list(rest.get(1..)?)?;
    let set = 1 + used;
    if !word_at(rest, set, "SET") {
        return None;
    }
    let using = (set..rest.len()).find(|at| word_at(rest, *at, "USING"))?;
    names.push(rest.get(set + 1)?.clone());
    names.push(rest.get(using + 1)?.clone());
    let put = |token: Token| TokenWithSpan { token, span: rest[0].span };
    let values = if using == set + 2 {
        vec![put(keyword_token("TRUE")), put(Token::Comma), put(keyword_token("FALSE"))]
    } else {
        let default = (set..using).find(|at| word_at(rest, *at, "DEFAULT"))?;
        let value = rest.get(set + 3..default).filter(|_| word_at(rest, set + 2, "TO"))?;
        [value, &[put(Token::Comma)], rest.get(default + 1..using)?].concat()
    };
    Some((CYCLE, names, values, using + 2))
}
