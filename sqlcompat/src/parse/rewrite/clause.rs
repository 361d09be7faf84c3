//! Clauses that sqlparser does not read: `ROWS FROM`, frame exclusion, conflict targets that are expressions, and the keyword
//! forms of `substring` and `normalize`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::{
    CONFLICT, CURRENT_OF, DEFAULT_VALUES, EXCLUDE, EXPAND, GROUP_DISTINCT, JOIN_ALIAS, ROWS_FROM,
    is_word, keyword_token, mark,
};
use crate::parse::split::byte_offset;

/// Whether the token at an index is this word.
pub(super) fn word_at(rest: &[TokenWithSpan], at: usize, text: &str) -> bool {
    match rest.get(at).map(|it| &it.token) {
        Some(Token::Word(word)) => is_word(word, text),
        _ => false,
    }
}

/// The index of the parenthesis that closes the one at `open`.
pub(super) fn closing(rest: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, it) in rest.iter().enumerate().skip(open) {
        match it.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Some(at),
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// `ROWS FROM (f(…), g(…))`: a function of that mark.
pub(super) fn rows_from(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let open = rest.get(2).map(|it| &it.token) == Some(&Token::LParen);
    if !word_at(rest, 1, "FROM") || !open {
        return 0;
    }
    out.push(TokenWithSpan { token: mark(ROWS_FROM), span: rest[0].span });
    2
}

/// `EXCLUDE …` of a window frame: one more key of its `PARTITION BY`, under a mark.
pub(super) fn exclude(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let (what, used) = if word_at(rest, 1, "CURRENT") && word_at(rest, 2, "ROW") {
        ("CURRENT ROW", 3)
    } else if word_at(rest, 1, "NO") && word_at(rest, 2, "OTHERS") {
        ("NO OTHERS", 3)
    } else if word_at(rest, 1, "GROUP") {
        ("GROUP", 2)
    } else if word_at(rest, 1, "TIES") {
        ("TIES", 2)
    } else {
        return 0;
    };
    if rest.get(used).map(|it| &it.token) != Some(&Token::RParen) {
        return 0;
    }
    let Some(start) = window_start(out) else { return 0 };
    let span = rest[0].span;
    let put = |token: Token| TokenWithSpan { token, span };
    let name = put(mark(&format!("{EXCLUDE}{what}")));
    // The specification may begin with the name of another window.
    let named = match out.get(start).map(|it| &it.token) {
        Some(Token::Word(word)) => {
            !["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"].iter().any(|it| is_word(word, it))
        }
        _ => false,
    };
    let at = start + usize::from(named);
    if word_at(out, at, "PARTITION") && word_at(out, at + 1, "BY") {
        out.splice(at + 2..at + 2, [name, put(Token::Comma)]);
    } else {
        let keys = [put(keyword_token("PARTITION")), put(keyword_token("BY")), name];
        out.splice(at..at, keys);
    }
    used
}

/// A string at the start of a frame's offset, which would be read as an interval: in parentheses it is an expression.
pub(super) fn frame_offset(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> bool {
    let is_one_of = |token: &Token, words: &[&str]| match token {
        Token::Word(word) => words.iter().any(|it| is_word(word, it)),
        _ => false,
    };
    let before = ["ROWS", "RANGE", "GROUPS", "BETWEEN", "AND"];
    if !out.last().is_some_and(|it| is_one_of(&it.token, &before)) {
        return false;
    }
    let mut depth = 0usize;
    let mut found = false;
    for it in rest {
        match it.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => break,
            Token::RParen => depth -= 1,
            _ if depth > 0 => {}
            _ if is_one_of(&it.token, &["PRECEDING", "FOLLOWING"]) => {
                found = true;
                break;
            }
            _ if it.token == Token::SemiColon || is_one_of(&it.token, &before) => break,
            _ => {}
        }
    }
    let Some(first) = rest.first().filter(|_| found) else { return false };
    let open = TokenWithSpan { token: Token::LParen, span: first.span };
    let close = TokenWithSpan { token: Token::RParen, span: first.span };
    out.extend([open, first.clone(), close]);
    true
}

/// Where the parenthesis that is still open in `out` stands, and one more.
fn window_start(out: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0usize;
    for (at, it) in out.iter().enumerate().rev() {
        match it.token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return Some(at + 1),
            Token::LParen => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `ON CONFLICT (…) [WHERE …]` whose target is more than names: one name under a mark, which holds the two texts.
pub(super) fn conflict(text: &str, rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let after_on = out.last().is_some_and(|it| match &it.token {
        Token::Word(word) => is_word(word, "ON"),
        _ => false,
    });
    if !after_on || rest.get(1).map(|it| &it.token) != Some(&Token::LParen) {
        return 0;
    }
    let Some(close) = closing(rest, 1) else { return 0 };
    let slice = |from: usize, to: usize| -> &str {
        let (Some(first), Some(last)) = (rest.get(from), rest.get(to)) else { return "" };
        let range = byte_offset(text, first.span.start)..byte_offset(text, last.span.end);
        text.get(range).unwrap_or_default()
    };
    let names_only = rest[2..close].iter().enumerate().all(|(at, it)| match it.token {
        Token::Word(_) => at % 2 == 0,
        Token::Comma => at % 2 == 1,
        _ => false,
    });
    let mut end = close;
    let mut predicate = "";
    if word_at(rest, close + 1, "WHERE") {
        let Some(found) = (close + 2..rest.len()).find(|at| {
            word_at(rest, *at, "DO")
                && (word_at(rest, at + 1, "NOTHING") || word_at(rest, at + 1, "UPDATE"))
        }) else {
            return 0;
        };
        predicate = slice(close + 2, found - 1);
        end = found - 1;
    }
    if names_only && predicate.is_empty() {
        return 0;
    }
    let target = slice(2, close - 1);
    let name = mark(&format!("{CONFLICT}{target}\0{predicate}"));
    out.push(rest[0].clone());
    out.push(rest[1].clone());
    out.push(TokenWithSpan { token: name, span: rest[2].span });
    out.push(rest[close].clone());
    end + 1
}

/// `WHERE CURRENT OF cursor`: one name under a mark.
pub(super) fn current_of(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let after_where = out.last().is_some_and(|it| match &it.token {
        Token::Word(word) => is_word(word, "WHERE"),
        _ => false,
    });
    let cursor = match rest.get(2).map(|it| &it.token) {
        Some(Token::Word(word)) if after_where && word_at(rest, 1, "OF") => word,
        _ => return 0,
    };
    let name = folded(cursor);
    out.push(TokenWithSpan { token: mark(&format!("{CURRENT_OF}{name}")), span: rest[0].span });
    3
}

/// `USING (a, b) AS j`: the alias as one more column under a mark.
pub(super) fn join_alias(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let closing = rest.iter().position(|it| it.token == Token::RParen);
    let Some(close) = closing.filter(|_| word_at(rest, 0, "USING")) else { return 0 };
    let is_list = rest.get(1..close).is_some_and(|list| {
        list.iter().enumerate().all(|(at, it)| match at {
            0 => it.token == Token::LParen,
            at if at % 2 == 1 => matches!(it.token, Token::Word(_)),
            _ => it.token == Token::Comma,
        })
    });
    let alias = match rest.get(close + 2).map(|it| &it.token) {
        Some(Token::Word(alias)) if is_list && close > 2 && word_at(rest, close + 1, "AS") => alias,
        _ => return 0,
    };
    let span = rest[close + 2].span;
    out.extend_from_slice(&rest[..close]);
    out.push(TokenWithSpan { token: Token::Comma, span });
    out.push(TokenWithSpan { token: mark(&format!("{JOIN_ALIAS}{}", folded(alias))), span });
    out.push(rest[close].clone());
    close + 3
}

/// A name as it is meant: in lower case unless it is quoted.
fn folded(word: &Word) -> String {
    match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_ascii_lowercase(),
    }
}

/// `substring(x SIMILAR p ESCAPE e)`: a call of three arguments.
pub(super) fn similar_substring(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    if rest.get(1).map(|it| &it.token) != Some(&Token::LParen) {
        return 0;
    }
    let Some(close) = closing(rest, 1) else { return 0 };
    let mut depth = 0usize;
    let mut top_level = |it: &TokenWithSpan| {
        match it.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    };
    let words: Vec<usize> = (2..close)
        .filter(|at| top_level(&rest[*at]))
        .filter(|at| word_at(rest, *at, "SIMILAR") || word_at(rest, *at, "ESCAPE"))
        .collect();
    let [similar, escape] = words[..] else { return 0 };
    // `x SIMILAR TO y` is a condition.
    if !word_at(rest, similar, "SIMILAR") || word_at(rest, similar + 1, "TO") {
        return 0;
    }
    // A quoted name, because sqlparser has a grammar of its own for the word.
    out.push(TokenWithSpan { token: mark("substring"), span: rest[0].span });
    out.push(rest[1].clone());
    out.extend_from_slice(&rest[2..similar]);
    out.push(TokenWithSpan { token: Token::Comma, span: rest[similar].span });
    out.extend_from_slice(&rest[similar + 1..escape]);
    out.push(TokenWithSpan { token: Token::Comma, span: rest[escape].span });
    escape + 1
}

/// The form in `normalize(x, NFC)`: a string.
pub(super) fn normal_form(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [form, close, ..] = rest else { return 0 };
    let Token::Word(word) = &form.token else { return 0 };
    let in_call = matches!(out.last().map(|it| &it.token), Some(Token::Comma))
        && close.token == Token::RParen
        && window_start(out)
            .is_some_and(|start| start >= 2 && word_at(out, start - 2, "NORMALIZE"));
    if !in_call {
        return 0;
    }
    let literal = Token::SingleQuotedString(word.value.to_ascii_uppercase());
    out.push(TokenWithSpan { token: literal, span: form.span });
    1
}

/// `row.*` where a value is wanted: the row itself.
pub(super) fn whole_row(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let star = rest.get(1).map(|it| &it.token) == Some(&Token::Mul);
    let after = rest.get(2).map(|it| &it.token);
    let as_value = match after {
        Some(Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq) => true,
        Some(Token::Word(word)) => is_word(word, "IS"),
        Some(Token::RParen) => rest.get(3).map(|it| &it.token) == Some(&Token::Period),
        _ => false,
    };
    match out.last().map(|it| &it.token) {
        _ if !star => 0,
        _ if as_value => 2,
        Some(Token::RParen) => expand(out),
        _ => 0,
    }
}

/// `(row).*`: a call under [`EXPAND`] of what is in the parentheses.
fn expand(out: &mut Vec<TokenWithSpan>) -> usize {
    let Some(start) = window_start(out.get(..out.len() - 1).unwrap_or(&[])) else { return 0 };
    // A name before the parenthesis is a call's.
    let called = start >= 2
        && match &out[start - 2].token {
            Token::Word(word) => word.quote_style.is_some() || word.keyword == Keyword::NoKeyword,
            _ => false,
        };
    if called {
        return 0;
    }
    let span = out[start - 1].span;
    out.insert(start - 1, TokenWithSpan { token: mark(EXPAND), span });
    2
}

/// `INSERT DEFAULT VALUES` of a MERGE: a mark for a column, and a value for it.
pub(super) fn default_values(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let last = out.len().wrapping_sub(1);
    let of_merge = word_at(out, last, "INSERT") && word_at(out, last.wrapping_sub(1), "THEN");
    if !of_merge || !word_at(rest, 1, "VALUES") {
        return 0;
    }
    let span = rest[0].span;
    let zero = Token::Number("0".to_owned(), false);
    let (open, close) = (Token::LParen, Token::RParen);
    let list = [open.clone(), mark(DEFAULT_VALUES), close.clone()];
    let values = [keyword_token("VALUES"), open, zero, close];
    out.extend(list.into_iter().chain(values).map(|token| TokenWithSpan { token, span }));
    2
}

/// `DISTINCT` or `ALL` after GROUP BY: a mark, or nothing.
pub(super) fn group_quantifier(
    word: &Word,
    rest: &[TokenWithSpan],
    out: &mut Vec<TokenWithSpan>,
) -> usize {
    let last = out.len().wrapping_sub(1);
    if !word_at(out, last, "BY") || !word_at(out, last.wrapping_sub(1), "GROUP") {
        return 0;
    }
    if is_word(word, "DISTINCT") {
        let span = rest[0].span;
        out.push(TokenWithSpan { token: mark(GROUP_DISTINCT), span });
        out.push(TokenWithSpan { token: Token::Comma, span });
    }
    1
}

/// `USING a JOIN b …` of a MERGE: parentheses around the join.
pub(super) fn merge_source(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let merges =
        out.iter().any(|it| matches!(&it.token, Token::Word(word) if is_word(word, "MERGE")));
    let Some(when) = merges.then(|| top_level(rest, "WHEN").next()).flatten() else { return 0 };
    let Some(on) = top_level(rest, "ON").take_while(|at| *at < when).last() else { return 0 };
    if !top_level(rest, "JOIN").any(|at| at < on) {
        return 0;
    }
    let put = |token: Token| TokenWithSpan { token, span: rest[1].span };
    out.push(rest[0].clone());
    out.push(put(Token::LParen));
    out.extend_from_slice(&rest[1..on]);
    out.push(put(Token::RParen));
    on
}

/// The places of a word outside of parentheses.
fn top_level<'t>(rest: &'t [TokenWithSpan], text: &'t str) -> impl Iterator<Item = usize> + 't {
    let mut depth = 0usize;
    (0..rest.len()).filter(move |at| {
        match &rest[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) => return depth == 0 && is_word(word, text),
            _ => {}
        }
        false
    })
}

/// `f(…) AS (a int, …)`: the name of the function as alias.
pub(super) fn unnamed_columns(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [as_word, open, name, type_name, ..] = rest else { return 0 };
    let lists_types = open.token == Token::LParen
        && matches!((&name.token, &type_name.token), (Token::Word(_), Token::Word(_)));
    let begins_query =
        ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "TABLE", "PARTITION", "ORDER"];
    if !lists_types || begins_query.iter().any(|word| word_at(rest, 2, word)) {
        return 0;
    }
    let closes = out.last().is_some_and(|it| it.token == Token::RParen);
    let start = if closes { window_start(&out[..out.len() - 1]) } else { None };
    let called = start.and_then(|start| start.checked_sub(2)).and_then(|at| out.get(at));
    let Some(function @ TokenWithSpan { token: Token::Word(_), .. }) = called.cloned() else {
        return 0;
    };
    out.push(as_word.clone());
    out.push(function);
    1
}
