//! Literals that sqlparser reads loosely or not at all: Unicode escapes, `type 'text'`, literals in a row, junk after numbers.
//!
//! Source: PostgreSQL manual, `sql-syntax-lexical` §4.1.2.3 (String Constants With Unicode Escapes) and §4.1.2.7 (Constants of
//! Other Types).

use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use super::{is_word, keyword_token};
use crate::builtin;
use crate::error::{SqlError, SqlState};
use crate::parse::split::{Walk, byte_offset, char_position};

/// Refuses a number that a letter, digit or underscore follows.
///
/// # Errors
/// 42601 as PostgreSQL's lexer has it, with the position in `text`.
pub(in crate::parse) fn refuse_junk(text: &str, tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    for pair in tokens.windows(2) {
        let [number, word] = pair else { continue };
        let joined = matches!(&word.token, Token::Word(word) if word.quote_style.is_none());
        let is_number = match &number.token {
            Token::Number(..) => joined && number.span.end == word.span.start,
            _ => false,
        };
        if is_number {
            return Err(junk(text, number, word));
        }
    }
    let mut walk = Walk::new(text);
    let hex = tokens.iter().find(|it| match &it.token {
        Token::HexStringLiteral(_) => {
            let start = walk.to(it.span.start);
            text.get(start..).is_some_and(|rest| rest.starts_with('0'))
        }
        _ => false,
    });
    hex.map_or(Ok(()), |it| Err(junk(text, it, it)))
}

fn junk(text: &str, first: &TokenWithSpan, last: &TokenWithSpan) -> SqlError {
    let range = byte_offset(text, first.span.start)..byte_offset(text, last.span.end);
    let near = text.get(range).unwrap_or_default();
    let message = format!("trailing junk after numeric literal at or near \"{near}\"");
    SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(char_position(text, first.span.start)))
}

/// Joins string literals that only blanks with a newline separate.
pub(super) fn join_literals(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut newline = false;
    let mut literal: Option<usize> = None;
    for token in tokens {
        match &token.token {
            Token::Whitespace(Whitespace::Newline | Whitespace::SingleLineComment { .. }) => {
                newline = true;
            }
            Token::Whitespace(_) => {}
            Token::SingleQuotedString(more) => {
                if let (Some(at), true) = (literal, newline)
                    && let Some(TokenWithSpan { token: Token::SingleQuotedString(first), span }) =
                        out.get_mut(at)
                {
                    first.push_str(more);
                    span.end = token.span.end;
                    newline = false;
                    continue;
                }
                literal = Some(out.len());
                newline = false;
            }
            _ => {
                literal = None;
                newline = false;
            }
        }
        out.push(token);
    }
    out
}

/// A string right after another literal, or after `AS`: PostgreSQL has no such alias.
///
/// # Errors
/// 42601 at the second of the two.
pub(super) fn refuse_string_alias(
    text: &str,
    rest: &[TokenWithSpan],
    out: &[TokenWithSpan],
) -> Result<(), SqlError> {
    let after = match out.last().map(|it| &it.token) {
        Some(Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::Number(..)) => {
            true
        }
        Some(Token::Word(word)) => is_word(word, "AS"),
        _ => false,
    };
    let Some(found) = rest.first().filter(|_| after) else { return Ok(()) };
    let start = byte_offset(text, found.span.start);
    let near = text.get(start..byte_offset(text, found.span.end)).unwrap_or_default();
    Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{near}\""))
        .at(Some(char_position(text, found.span.start))))
}

/// `name 'text'`, where the name is no keyword: a cast.
pub(super) fn typed(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [name, literal, ..] = rest else { return 0 };
    let Token::Word(word) = &name.token else { return 0 };
    let keyword =
        word.quote_style.is_none() && builtin::keyword(&word.value.to_ascii_lowercase()).is_some();
    let string =
        matches!(literal.token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_));
    // sqlparser reads the types that it knows by itself; `name` is a type and a keyword that may be one.
    let name_of_type = is_word(word, "MONEY") || is_word(word, "NAME");
    let known = word.keyword != sqlparser::keywords::Keyword::NoKeyword && !name_of_type;
    let keyword = keyword && !is_word(word, "NAME");
    let qualified = matches!(out.last().map(|it| &it.token), Some(Token::Period | Token::Colon));
    if keyword || known || !string || qualified {
        return 0;
    }
    let span = name.span;
    let put = |token: Token| TokenWithSpan { token, span };
    out.extend([put(keyword_token("CAST")), put(Token::LParen), literal.clone()]);
    out.extend([put(keyword_token("AS")), name.clone(), put(Token::RParen)]);
    2
}

/// `interval(3) 'text'`: a cast.
pub(super) fn interval(rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let [name, open, digits, close, literal, ..] = rest else { return 0 };
    let precise = open.token == Token::LParen
        && matches!(digits.token, Token::Number(..))
        && close.token == Token::RParen;
    let string =
        matches!(literal.token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_));
    if !precise || !string {
        return 0;
    }
    let put = |token: Token| TokenWithSpan { token, span: name.span };
    out.extend([put(keyword_token("CAST")), put(Token::LParen), literal.clone()]);
    out.push(put(keyword_token("AS")));
    out.extend([name, open, digits, close].into_iter().cloned());
    out.push(put(Token::RParen));
    5
}

/// `U&'…'` and `U&"…"`, with or without `UESCAPE 'c'`.
///
/// # Errors
/// 42601 for a malformed escape.
pub(super) fn unicode(
    text: &str,
    rest: &[TokenWithSpan],
    out: &mut Vec<TokenWithSpan>,
) -> Result<usize, SqlError> {
    let [letter, ampersand, quoted, ..] = rest else { return Ok(0) };
    let Token::Word(word) = &letter.token else { return Ok(0) };
    let adjacent =
        letter.span.end == ampersand.span.start && ampersand.span.end == quoted.span.start;
    if !is_word(word, "U") || ampersand.token != Token::Ampersand || !adjacent {
        return Ok(0);
    }
    let (raw, is_name) = match &quoted.token {
        Token::SingleQuotedString(raw) => (raw, false),
        Token::Word(name) if name.quote_style.is_some() => (&name.value, true),
        _ => return Ok(0),
    };
    let at = char_position(text, quoted.span.start);
    let (escape, used) = match (rest.get(3).map(|it| &it.token), rest.get(4).map(|it| &it.token)) {
        (Some(Token::Word(word)), Some(Token::SingleQuotedString(escape)))
            if is_word(word, "UESCAPE") =>
        {
            (escape_character(escape, at)?, 5)
        }
        _ => ('\\', 3),
    };
    let value = unescape(raw, escape, at)?;
    let mut span = quoted.span;
    span.start = letter.span.start;
    let token = if is_name {
        Token::make_word(&value, Some('"'))
    } else {
        Token::SingleQuotedString(value)
    };
    out.push(TokenWithSpan { token, span });
    Ok(used)
}

fn escape_character(text: &str, at: u32) -> Result<char, SqlError> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None)
            if !c.is_ascii_hexdigit() && !"+'\"".contains(c) && !c.is_ascii_whitespace() =>
        {
            Ok(c)
        }
        _ => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape character")
                .at(Some(at)))
        }
    }
}

/// `\0061` and `\+000061` in `raw`; `at` is where its quote stands.
fn unescape(raw: &str, escape: char, at: u32) -> Result<String, SqlError> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut high: Option<u32> = None;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != escape {
            if high.is_some() {
                return Err(bad_surrogates());
            }
            value.push(c);
            rest = tail;
            continue;
        }
        if tail.starts_with(escape) {
            value.push(escape);
            rest = tail.get(escape.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (digits, count) = match tail.strip_prefix('+') {
            Some(digits) => (digits, 6),
            None => (tail, 4),
        };
        let code = digits.get(..count).filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = code.and_then(|it| u32::from_str_radix(it, 16).ok()) else {
            let before = raw.len().saturating_sub(rest.len());
            let before = raw.get(..before).unwrap_or_default().chars().count();
            let at = at.saturating_add(u32::try_from(before + 1).unwrap_or(0));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
                .with_hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
                .at(Some(at)));
        };
        push_code(&mut value, &mut high, code)?;
        rest = digits.get(count..).unwrap_or_default();
    }
    if high.is_some() { Err(bad_surrogates()) } else { Ok(value) }
}

/// Adds a code point, which may be half of a surrogate pair.
fn push_code(value: &mut String, high: &mut Option<u32>, code: u32) -> Result<(), SqlError> {
    let code = match (high.take(), code) {
        (None, 0xD800..=0xDBFF) => {
            *high = Some(code);
            return Ok(());
        }
        (Some(first), 0xDC00..=0xDFFF) => 0x10000 + ((first - 0xD800) << 10) + (code - 0xDC00),
        (Some(_), _) => return Err(bad_surrogates()),
        (None, code) => code,
    };
    match char::from_u32(code) {
        Some(c) if c != '\0' => value.push(c),
        Some(_) => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape value"));
        }
        None if (0xDC00..=0xDFFF).contains(&code) => return Err(bad_surrogates()),
        None => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape value"));
        }
    }
    Ok(())
}

fn bad_surrogates() -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")
}
