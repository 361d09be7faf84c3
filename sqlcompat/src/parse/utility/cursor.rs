//! The tokens of one statement, and the productions that many statements share.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::ast::{ObjectName, SourceText};
use crate::error::{SqlError, SqlState};
use crate::types::scalar::NAME_BYTES_MAX;

/// One token with its place in the statement's text, in bytes.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    token: &'a Token,
    start: usize,
    end: usize,
}

/// A position in the tokens of one statement; blanks and comments are not among them.
pub(super) struct Cursor<'a> {
    text: &'a str,
    pieces: Vec<Piece<'a>>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a [TokenWithSpan]) -> Self {
        let mut places = Places { text, byte: 0, line: 1, column: 1 };
        let mut pieces = Vec::with_capacity(tokens.len());
        for it in tokens {
            if matches!(it.token, Token::Whitespace(_) | Token::EOF) {
                continue;
            }
            let start = places.byte_of(it.span.start);
            let end = places.byte_of(it.span.end);
            pieces.push(Piece { token: &it.token, start, end });
        }
        Self { text, pieces, at: 0 }
    }

    /// The current token; `None` at the end.
    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.pieces.get(self.at).map(|piece| piece.token)
    }

    /// The token `ahead` places from here.
    pub(super) fn peek_ahead(&self, ahead: usize) -> Option<&'a Token> {
        self.pieces.get(self.at + ahead).map(|piece| piece.token)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.pieces.len()
    }

    /// Where the current token starts, in bytes.
    pub(super) fn start(&self) -> usize {
        self.pieces.get(self.at).map_or(self.text.len(), |piece| piece.start)
    }

    /// Where the previous token ended, in bytes.
    fn previous_end(&self) -> usize {
        let previous = self.at.checked_sub(1).and_then(|at| self.pieces.get(at));
        previous.map_or(0, |piece| piece.end)
    }

    /// Remembers this position.
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    /// Returns to a remembered position.
    pub(super) fn return_to(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The text between byte offset `start` and the end of the previous token.
    pub(super) fn text_since(&self, start: usize) -> String {
        self.text.get(start..self.previous_end().max(start)).unwrap_or_default().to_owned()
    }

    /// The text of the whole statement.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// PostgreSQL's syntax error at the current token.
    pub(super) fn syntax_error(&self) -> SqlError {
        let position = self.position();
        let message = match self.pieces.get(self.at) {
            None => "syntax error at end of input".to_owned(),
            Some(piece) => {
                let near = self.text.get(piece.start..piece.end).unwrap_or_default();
                format!("syntax error at or near \"{near}\"")
            }
        };
        SqlError::new(SqlState::SYNTAX_ERROR, message).at(position)
    }

    /// The current token's position in characters from 1.
    pub(super) fn position(&self) -> Option<u32> {
        let before = self.text.get(..self.start()).unwrap_or_default();
        u32::try_from(before.chars().count() + 1).ok()
    }

    pub(super) fn expect_end(&self) -> Result<(), SqlError> {
        if self.at_end() { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Whether the current token is this unquoted word (given in lower case).
    pub(super) fn is_word(&self, word: &str) -> bool {
        is_word(self.peek(), word)
    }

    /// Consumes one word.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.at += 1;
        }
        found
    }

    /// Consumes several words, all or none; they are given with single blanks between them.
    pub(super) fn words(&mut self, words: &str) -> bool {
        let count = words.split(' ').count();
        let all = words.split(' ').enumerate().all(|(i, word)| is_word(self.peek_ahead(i), word));
        if all {
            self.at += count;
        }
        all
    }

    pub(super) fn expect_words(&mut self, words: &str) -> Result<(), SqlError> {
        for word in words.split(' ') {
            if !self.word(word) {
                return Err(self.syntax_error());
            }
        }
        Ok(())
    }

    /// Consumes the first of these words that is there and returns its index.
    pub(super) fn one_of(&mut self, words: &[&str]) -> Option<usize> {
        words.iter().position(|word| self.words(word))
    }

    pub(super) fn is_symbol(&self, symbol: &Token) -> bool {
        self.peek() == Some(symbol)
    }

    /// Consumes one symbol.
    pub(super) fn symbol(&mut self, symbol: &Token) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &Token) -> Result<(), SqlError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// `IF EXISTS`.
    pub(super) fn if_exists(&mut self) -> bool {
        self.words("if exists")
    }

    /// `IF NOT EXISTS`.
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.words("if not exists")
    }

    /// An identifier: folded to lower case unless quoted, cut at 63 bytes.
    pub(super) fn identifier(&mut self) -> Result<String, SqlError> {
        let Some(Token::Word(word)) = self.peek() else { return Err(self.syntax_error()) };
        let name = match word.quote_style {
            Some(_) => word.value.clone(),
            None => word.value.to_lowercase(),
        };
        if name.is_empty() {
            let message = "zero-length delimited identifier at or near \"\"\"\"";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.position()));
        }
        self.at += 1;
        Ok(truncated(name))
    }

    /// An identifier that is not a reserved word, as names of new objects must be.
    pub(super) fn name(&mut self) -> Result<String, SqlError> {
        if let Some(Token::Word(word)) = self.peek() {
            let lower = word.value.to_ascii_lowercase();
            let reserved = crate::builtin::keyword(&lower)
                .is_some_and(|it| it.category == crate::builtin::KeywordCategory::Reserved);
            if word.quote_style.is_none() && reserved {
                return Err(self.syntax_error());
            }
        }
        self.identifier()
    }

    /// A name with up to two qualifiers.
    pub(super) fn object_name(&mut self) -> Result<ObjectName, SqlError> {
        let position = self.position();
        let mut parts = vec![self.name()?];
        while self.symbol(&Token::Period) {
            parts.push(self.identifier()?);
        }
        let name = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        let database = parts.pop();
        if !parts.is_empty() {
            let message = "improper qualified name (too many dotted names)";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        Ok(ObjectName { database, schema, name, position })
    }

    /// One or more of something with commas between.
    pub(super) fn comma_list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut items = vec![item(self)?];
        while self.symbol(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(item, …)`.
    pub(super) fn parenthesized<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        self.expect_symbol(&Token::LParen)?;
        let items = self.comma_list(item)?;
        self.expect_symbol(&Token::RParen)?;
        Ok(items)
    }

    /// `(name, …)` if there is one.
    pub(super) fn optional_names(&mut self) -> Result<Vec<String>, SqlError> {
        if self.is_symbol(&Token::LParen) { self.parenthesized(Self::name) } else { Ok(Vec::new()) }
    }

    /// A string constant.
    pub(super) fn string(&mut self) -> Result<String, SqlError> {
        let value = match self.peek() {
            Some(
                Token::SingleQuotedString(text)
                | Token::EscapedStringLiteral(text)
                | Token::UnicodeStringLiteral(text),
            ) => text.clone(),
            Some(Token::DollarQuotedString(quoted)) => quoted.value.clone(),
            _ => return Err(self.syntax_error()),
        };
        self.at += 1;
        Ok(value)
    }

    /// A whole number with an optional sign.
    pub(super) fn integer(&mut self) -> Result<i64, SqlError> {
        let mark = self.at;
        let negative = self.symbol(&Token::Minus);
        if !negative {
            self.symbol(&Token::Plus);
        }
        let Some(Token::Number(digits, _)) = self.peek() else {
            self.at = mark;
            return Err(self.syntax_error());
        };
        let signed = if negative { format!("-{digits}") } else { digits.clone() };
        let Ok(value) = signed.parse() else { return Err(self.syntax_error()) };
        self.at += 1;
        Ok(value)
    }

    /// A number, with a fraction or without.
    pub(super) fn number(&mut self) -> Result<f64, SqlError> {
        let negative = self.symbol(&Token::Minus);
        let Some(Token::Number(digits, _)) = self.peek() else { return Err(self.syntax_error()) };
        let Ok(value) = digits.parse::<f64>() else { return Err(self.syntax_error()) };
        self.at += 1;
        Ok(if negative { -value } else { value })
    }

    /// Where the content of the string constant that comes next begins, in characters from 1; unknown where it is written with
    /// escapes.
    pub(super) fn content_position(&self) -> Option<u32> {
        let opening = match self.peek()? {
            Token::SingleQuotedString(text) if !text.contains('\'') => 1,
            Token::DollarQuotedString(quoted) => {
                2 + quoted.tag.as_ref().map_or(0, |tag| tag.chars().count())
            }
            _ => return None,
        };
        self.position()?.checked_add(u32::try_from(opening).ok()?)
    }

    /// The statements between `BEGIN ATOMIC`, which has been read, and its `END`, which is consumed.
    pub(super) fn atomic_source(&mut self) -> Result<SourceText, SqlError> {
        let (position, start) = (self.position(), self.start());
        let mut cases = 0usize;
        loop {
            if self.at_end() {
                return Err(self.syntax_error());
            }
            if self.is_word("case") {
                cases += 1;
            } else if self.is_word("end") {
                let Some(left) = cases.checked_sub(1) else { break };
                cases = left;
            }
            self.at += 1;
        }
        let text = self.text_since(start);
        self.at += 1;
        Ok(SourceText { text, position })
    }

    /// The text of everything up to the end.
    pub(super) fn rest(&mut self) -> Result<String, SqlError> {
        if self.at_end() {
            return Err(self.syntax_error());
        }
        let start = self.start();
        self.at = self.pieces.len();
        Ok(self.text_since(start))
    }

    /// The text inside a pair of parentheses, which are consumed.
    pub(super) fn parenthesized_text(&mut self) -> Result<String, SqlError> {
        self.expect_symbol(&Token::LParen)?;
        let text = self.text_until(|_| false)?;
        self.expect_symbol(&Token::RParen)?;
        Ok(text)
    }

    /// The text inside a pair of parentheses, which are consumed, with its place.
    pub(super) fn parenthesized_source(&mut self) -> Result<SourceText, SqlError> {
        self.expect_symbol(&Token::LParen)?;
        let position = self.position();
        let text = self.text_until(|_| false)?;
        self.expect_symbol(&Token::RParen)?;
        Ok(SourceText { text, position })
    }

    /// A cursor over the tokens from here to the next one, outside all parentheses, at which `stop` says so.
    pub(super) fn until(&self, stop: impl Fn(&Self) -> bool) -> Self {
        let mut end = Self { text: self.text, pieces: self.pieces.clone(), at: self.at + 1 };
        let mut depth = 0usize;
        while let Some(token) = end.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ if depth == 0 && stop(&end) => break,
                _ => {}
            }
            end.at += 1;
        }
        let pieces = self.pieces.get(..end.at).unwrap_or_default().to_vec();
        Self { text: self.text, pieces, at: self.at }
    }

    /// Goes on where another cursor over the same tokens stands.
    pub(super) fn skip_to(&mut self, other: &Self) {
        self.at = other.at;
    }

    /// The text of everything up to the end, with its place.
    pub(super) fn rest_source(&mut self) -> Result<SourceText, SqlError> {
        let position = self.position();
        self.rest().map(|text| SourceText { text, position })
    }

    /// The text inside a pair of parentheses, commas included; may be empty.
    pub(super) fn parenthesized_list_text(&mut self) -> Result<String, SqlError> {
        self.expect_symbol(&Token::LParen)?;
        let start = self.start();
        if !self.is_symbol(&Token::RParen) {
            self.comma_list(|cursor| cursor.text_until(|_| false))?;
        }
        let text = self.text_since(start);
        self.expect_symbol(&Token::RParen)?;
        Ok(text)
    }

    /// The text of a query: up to the end, or to a token outside all parentheses at which `stop` says so.
    pub(super) fn query_until(&mut self, stop: impl Fn(&Self) -> bool) -> Result<String, SqlError> {
        let start = self.start();
        loop {
            self.text_until(&stop)?;
            if !self.symbol(&Token::Comma) {
                return Ok(self.text_since(start));
            }
        }
    }

    /// The text of an expression: up to a top-level comma, an unmatched closing parenthesis, or a token outside all
    /// parentheses and `CASE`s at which `stop` says so. The first token always belongs to it.
    pub(super) fn text_until(&mut self, stop: impl Fn(&Self) -> bool) -> Result<String, SqlError> {
        let (begin, start) = (self.at, self.start());
        let mut depth = 0usize;
        while let Some(token) = self.peek() {
            if depth == 0 {
                let closing = matches!(token, Token::RParen | Token::RBracket | Token::Comma);
                if closing || (self.at > begin && stop(self)) {
                    break;
                }
            }
            match token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth -= 1,
                token if is_word(Some(token), "case") => depth += 1,
                token if is_word(Some(token), "end") => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        if self.at == begin { Err(self.syntax_error()) } else { Ok(self.text_since(start)) }
    }

    /// `CASCADE` or `RESTRICT`; true for the former.
    pub(super) fn cascade(&mut self) -> bool {
        match self.one_of(&["cascade", "restrict"]) {
            Some(found) => found == 0,
            None => false,
        }
    }
}

/// Whether a token is this unquoted word (given in lower case).
fn is_word(token: Option<&Token>, word: &str) -> bool {
    match token {
        Some(Token::Word(found)) => {
            found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word)
        }
        _ => false,
    }
}

/// Cuts a name to PostgreSQL's limit, at a character boundary.
fn truncated(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

/// Turns the tokenizer's lines and columns to bytes, in one pass over the text.
struct Places<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
    column: u64,
}

impl Places<'_> {
    /// The byte offset of a location that is not before the previous one asked for.
    fn byte_of(&mut self, location: Location) -> usize {
        let rest = self.text.get(self.byte..).unwrap_or_default();
        for character in rest.chars() {
            if (self.line, self.column) >= (location.line, location.column) {
                break;
            }
            self.byte += character.len_utf8();
            if character == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.byte
    }
}
