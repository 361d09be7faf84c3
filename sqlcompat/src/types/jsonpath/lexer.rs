//! The words of a path.
//!
//! A word is read when the parser asks for it, so that of several mistakes the first one is told. Each remembers what the
//! message of a mistake at it quotes, which is the last thing that was read to find its end.

use crate::error::{SqlError, SqlState};

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// The end of the text.
    End,
    /// A name or keyword without quotes.
    Word(String),
    /// `"text"`.
    String(String),
    /// `$name`.
    Variable(String),
    /// A number with a point or an exponent.
    Numeric(String),
    /// A whole number.
    Integer(String),
    /// An operator or mark.
    Mark(&'static str),
}

/// Marks; a longer one comes before its prefixes.
const MARKS: &[&str] = &[
    "&&", "||", "**", "<=", "==", "<>", "!=", ">=", "!", "<", ">", "?", "%", "$", ".", "[", "]",
    "{", "}", "(", ")", "|", "&", "=", "@", "#", ",", "*", ":", "-", "+", "/",
];

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// What may stand in a name without an escape.
fn is_plain(c: char) -> bool {
    !is_blank(c) && !"?%$.[]{}()|&!=<>@#,*:-+/\\\"".contains(c)
}

/// A cursor in the text of a path.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// What a message about the last word quotes; `None` for the end of the text.
    near: Option<&'a str>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, near: None }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves over `bytes` and makes them what a message quotes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let taken = self.rest().get(..bytes).unwrap_or_default();
        self.at += bytes;
        self.near = (!taken.is_empty()).then_some(taken);
        taken
    }

    /// 42601 at the last word.
    pub(super) fn error(&self, message: &str) -> SqlError {
        let place = match self.near {
            Some(near) => format!("at or near \"{near}\""),
            None => "at end".to_owned(),
        };
        SqlError::new(SqlState::SYNTAX_ERROR, format!("{message} {place} of jsonpath input"))
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Result<Token, SqlError> {
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                self.near = None;
                return Ok(Token::End);
            };
            if is_blank(first) {
                self.at += rest.len() - rest.trim_start_matches(is_blank).len();
                continue;
            }
            if rest.starts_with("/*") {
                self.comment()?;
                continue;
            }
            if first == '"' {
                self.take(1);
                return self.quoted().map(Token::String);
            }
            if (first.is_ascii_digit() || first == '.')
                && let Some(number) = self.number()?
            {
                return Ok(number);
            }
            if let Some(variable) = self.variable()? {
                return Ok(variable);
            }
            if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                self.take(mark.len());
                return Ok(Token::Mark(mark));
            }
            if let Some(word) = self.word()? {
                return Ok(Token::Word(word));
            }
        }
    }

    fn comment(&mut self) -> Result<(), SqlError> {
        let Some(end) = self.rest().find("*/") else {
            self.near = None;
            return Err(self.error("unexpected end of comment"));
        };
        self.at += end + 2;
        Ok(())
    }

    fn variable(&mut self) -> Result<Option<Token>, SqlError> {
        let Some(name) = self.rest().strip_prefix('$') else { return Ok(None) };
        if name.starts_with('"') {
            self.take(2);
            return self.quoted().map(|name| Some(Token::Variable(name)));
        }
        let length = name.find(|c| !is_plain(c)).unwrap_or(name.len());
        if length == 0 {
            return Ok(None);
        }
        let taken = self.take(1 + length);
        Ok(Some(Token::Variable(taken.trim_start_matches('$').to_owned())))
    }

    /// A number at the cursor, if there is one; no letter may follow it.
    fn number(&mut self) -> Result<Option<Token>, SqlError> {
        let rest = self.rest();
        let digits = |from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len()
        };
        let whole = if rest.starts_with('0') { 1 } else { digits(0) };
        let mut end = whole;
        let mut is_whole = true;
        if rest.get(end..).is_some_and(|it| it.starts_with('.')) {
            let fraction = digits(end + 1);
            if whole == 0 && fraction == 0 {
                return Ok(None);
            }
            end += 1 + fraction;
            is_whole = false;
        }
        let exponent = rest.get(end..).unwrap_or_default();
        if exponent.starts_with(['e', 'E']) {
            let signed = exponent.get(1..).is_some_and(|it| it.starts_with(['+', '-']));
            let count = digits(end + 1 + usize::from(signed));
            if count == 0 && signed {
                self.take(end + 2);
                return Err(self.error("invalid numeric literal"));
            }
            if count > 0 {
                end += 1 + usize::from(signed) + count;
                is_whole = false;
            }
        }
        if let Some(junk) =
            rest.get(end..).and_then(|it| it.chars().next()).filter(|c| is_plain(*c))
        {
            self.take(end + junk.len_utf8());
            return Err(self.error("trailing junk after numeric literal"));
        }
        let number = self.take(end).to_owned();
        Ok(Some(if is_whole { Token::Integer(number) } else { Token::Numeric(number) }))
    }

    /// A word without quotes; none where a comment follows it, which swallows it.
    fn word(&mut self) -> Result<Option<String>, SqlError> {
        let mut word = String::new();
        loop {
            let rest = self.rest();
            match self.peek() {
                None => {
                    self.near = None;
                    return Ok(Some(word));
                }
                Some('\\') => self.escape(&mut word)?,
                Some(c) if is_blank(c) => {
                    self.take(rest.len() - rest.trim_start_matches(is_blank).len());
                    return Ok(Some(word));
                }
                Some(c) if is_plain(c) => {
                    word.push_str(self.take(rest.find(|c| !is_plain(c)).unwrap_or(rest.len())));
                }
                Some(_) if rest.starts_with("/*") => {
                    self.comment()?;
                    return Ok(None);
                }
                Some(_) => {
                    self.near = None;
                    return Ok(Some(word));
                }
            }
        }
    }

    /// The text up to the closing quote.
    fn quoted(&mut self) -> Result<String, SqlError> {
        let mut text = String::new();
        loop {
            let rest = self.rest();
            match self.peek() {
                None => {
                    self.near = None;
                    return Err(self.error("unexpected end of quoted string"));
                }
                Some('"') => {
                    self.take(1);
                    return Ok(text);
                }
                Some('\\') => self.escape(&mut text)?,
                Some(_) => text.push_str(self.take(rest.find(['"', '\\']).unwrap_or(rest.len()))),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), SqlError> {
        let rest = self.rest();
        let escaped = rest.get(1..).and_then(|it| it.chars().next());
        let Some(c) = escaped.filter(|c| *c != '\n') else {
            self.take(1);
            return Err(self.error("unexpected end after backslash"));
        };
        match c {
            'u' => return self.unicode(text),
            'x' => return self.hexadecimal(text),
            _ => {}
        }
        self.take(1 + c.len_utf8());
        text.push(match c {
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            other => other,
        });
        Ok(())
    }

    fn hexadecimal(&mut self, text: &mut String) -> Result<(), SqlError> {
        let digits = hex_digits(self.rest().get(2..).unwrap_or_default(), 2);
        let taken = self.take(2 + digits);
        let code = taken.get(2..).filter(|it| it.len() == 2);
        let Some(code) = code.and_then(|it| u32::from_str_radix(it, 16).ok()) else {
            return Err(self.error("invalid hex character sequence"));
        };
        push_code(code, text)
    }

    /// A run of `\uXXXX` and `\u{X…}`, in which surrogates pair up.
    fn unicode(&mut self, text: &mut String) -> Result<(), SqlError> {
        let mut high: Option<u32> = None;
        let start = self.at;
        while self.rest().starts_with("\\u") {
            let code = self.unicode_code(start)?;
            match (high.take(), code) {
                (Some(_), 0xd800..=0xdbff) => {
                    return Err(surrogate(
                        "Unicode high surrogate must not follow a high surrogate.",
                    ));
                }
                (None, 0xd800..=0xdbff) => high = Some(code),
                (Some(high), 0xdc00..=0xdfff) => {
                    push_code(0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00), text)?;
                }
                (None, 0xdc00..=0xdfff) | (Some(_), _) => return Err(low_surrogate()),
                (None, code) => push_code(code, text)?,
            }
        }
        if high.is_some() { Err(low_surrogate()) } else { Ok(()) }
    }

    fn unicode_code(&mut self, start: usize) -> Result<u32, SqlError> {
        let body = self.rest().get(2..).unwrap_or_default();
        let (digits, length) = match body.strip_prefix('{') {
            Some(braced) => {
                let count = hex_digits(braced, 6);
                let closed = count > 0 && braced.get(count..).is_some_and(|it| it.starts_with('}'));
                (braced.get(..count).filter(|_| closed), 1 + count + usize::from(closed))
            }
            None => {
                let count = hex_digits(body, 4);
                (body.get(..count).filter(|_| count == 4), count)
            }
        };
        let code = digits.and_then(|it| u32::from_str_radix(it, 16).ok());
        self.take(2 + length);
        code.ok_or_else(|| {
            self.near = self.text.get(start..self.at);
            self.error("invalid unicode sequence")
        })
    }
}

fn hex_digits(text: &str, most: usize) -> usize {
    text.bytes().take(most).take_while(u8::is_ascii_hexdigit).count()
}

fn surrogate(detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type jsonpath")
        .with_detail(detail)
}

fn low_surrogate() -> SqlError {
    surrogate("Unicode low surrogate must follow a high surrogate.")
}

fn push_code(code: u32, text: &mut String) -> Result<(), SqlError> {
    if code == 0 {
        let message = "unsupported Unicode escape sequence";
        return Err(SqlError::new(SqlState(*b"22P05"), message)
            .with_detail("\\u0000 cannot be converted to text."));
    }
    let c = char::from_u32(code);
    text.push(
        c.ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode code point"))?,
    );
    Ok(())
}
