//! Cutting a string into statements and parsing each.
//!
//! The whole string is tokenized once; a string that holds one statement, the usual case, is parsed from those very tokens.
//! Pieces of a string with several are tokenized again so that their spans are their own.

use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::dialect::Postgres15;
use super::{ParsedStatement, StatementAst, rewrite, utility};
use crate::error::{SqlError, SqlState};
use crate::types::scalar::NAME_BYTES_MAX;

/// Longest string that is parsed, in bytes; a longer one is refused with 54000.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// Deepest nesting of parentheses, brackets, `CASE`s and prefix operators together; deeper is refused with 54001.
pub const DEPTH_MAX: usize = 128;

/// Most operators over one another in a chain of them; more is refused with 54001.
///
/// A chain becomes a tree as deep as it is long, and trees are dropped recursively.
pub const CHAIN_MAX: usize = 5_000;

/// Deepest nesting of parenthesized joins, each level of which takes the parser some 100 KiB of stack in a debug build; deeper
/// is refused with 54001.
pub const JOIN_DEPTH_MAX: usize = 12;

/// Most set operations in a row, one fewer than SQLite's compound `SELECT` has terms; more is refused with 54001.
pub const SET_OPERATIONS_MAX: usize = 499;

/// What is wrong with a statement that ends too early.
const END_OF_INPUT: &str = "syntax error at end of input";

/// Depth given to sqlparser's own counter, which counts expressions, not parentheses.
const PARSER_DEPTH_MAX: usize = 400;

/// Parses a string of statements separated by semicolons; empty statements are dropped.
///
/// # Errors
/// 42601 for what is not SQL, with the position in `sql`; 54000 and 54001 at the bounds.
pub fn split(sql: &str) -> Result<Vec<ParsedStatement>, SqlError> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("statement text of {} bytes is longer than {TEXT_BYTES_MAX}", sql.len()),
        ));
    }
    let tokens = tokenize(sql, sql)?;
    rewrite::refuse_junk(sql, &tokens)?;
    check_depth(&tokens)?;
    let pieces: Vec<Piece<'_>> =
        pieces(&tokens).into_iter().filter(|piece| !is_blank(piece.tokens)).collect();
    if let [piece] = &pieces[..]
        && piece.tokens.first().map(|it| it.span.start) == tokens.first().map(|it| it.span.start)
    {
        let end = piece.tokens.last().map_or(sql.len(), |it| byte_offset(sql, it.span.end));
        let text = sql.get(..end).unwrap_or(sql);
        let parsed = parse_piece(text, piece.tokens.to_vec(), 0, 0);
        return Ok(vec![parsed.map_err(|error| piece.at_end(error, sql))?]);
    }
    let mut walk = Walk::new(sql);
    let parse = |piece: &Piece<'_>| {
        parse_separately(&mut walk, piece.tokens).map_err(|error| piece.at_end(error, sql))
    };
    pieces.iter().map(parse).collect()
}

/// One statement's tokens, and the semicolon that ends it.
struct Piece<'t> {
    tokens: &'t [TokenWithSpan],
    semicolon: Option<&'t TokenWithSpan>,
}

impl Piece<'_> {
    /// A statement that ends too early ends at its semicolon, if it has one.
    fn at_end(&self, error: SqlError, sql: &str) -> SqlError {
        let early = error.message == END_OF_INPUT;
        match self.semicolon.filter(|_| early) {
            Some(semicolon) => {
                SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \";\"")
                    .at(Some(char_position(sql, semicolon.span.start)))
            }
            None => error,
        }
    }
}

/// Cuts tokens at their semicolons.
fn pieces(tokens: &[TokenWithSpan]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = tokens;
    while let Some(at) = semicolon(rest) {
        pieces.push(Piece { tokens: &rest[..at], semicolon: rest.get(at) });
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    pieces.push(Piece { tokens: rest, semicolon: None });
    pieces
}

/// The semicolon that ends the first statement: not one of those inside `BEGIN ATOMIC … END`.
fn semicolon(tokens: &[TokenWithSpan]) -> Option<usize> {
    let word = |token: &Token, wanted| matches!(token, Token::Word(it) if it.keyword == wanted);
    let (mut after_begin, mut inside, mut cases) = (false, false, 0usize);
    for (at, it) in tokens.iter().enumerate() {
        match &it.token {
            Token::Whitespace(_) => continue,
            Token::SemiColon if !inside => return Some(at),
            token if after_begin && word(token, Keyword::ATOMIC) => inside = true,
            token if inside && word(token, Keyword::CASE) => cases += 1,
            token if inside && word(token, Keyword::END) => match cases.checked_sub(1) {
                Some(left) => cases = left,
                None => inside = false,
            },
            _ => {}
        }
        after_begin = word(&it.token, Keyword::BEGIN);
    }
    None
}

/// Parses one of several statements from its own text, to which the walk comes from the one before.
fn parse_separately(
    walk: &mut Walk<'_>,
    piece: &[TokenWithSpan],
) -> Result<ParsedStatement, SqlError> {
    let solid = |it: &&TokenWithSpan| !matches!(it.token, Token::Whitespace(_) | Token::EOF);
    let start = piece.iter().find(solid).map_or(walk.bytes, |it| walk.to(it.span.start));
    let offset_chars = walk.chars;
    let end = piece.iter().rfind(solid).map_or(start, |it| walk.to(it.span.end));
    let text = walk.text.get(start..end).unwrap_or_default();
    let tokens = tokenize(text, walk.text)?;
    parse_piece(text, tokens, start, offset_chars)
}

/// A way through a text, by places that come in order: it is walked once, however many they are.
pub(in crate::parse) struct Walk<'t> {
    text: &'t str,
    at: Location,
    bytes: usize,
    chars: u32,
}

impl<'t> Walk<'t> {
    pub(in crate::parse) fn new(text: &'t str) -> Self {
        Self { text, at: Location { line: 1, column: 1 }, bytes: 0, chars: 0 }
    }

    /// Goes on to a location; the bytes before it.
    pub(in crate::parse) fn to(&mut self, location: Location) -> usize {
        let rest = self.text.get(self.bytes..).unwrap_or_default();
        for character in rest.chars() {
            if self.at >= location {
                break;
            }
            self.bytes += character.len_utf8();
            self.chars = self.chars.saturating_add(1);
            self.at = match character {
                '\n' => Location { line: self.at.line + 1, column: 1 },
                _ => Location { line: self.at.line, column: self.at.column + 1 },
            };
        }
        self.bytes
    }
}

/// Parses one statement from its tokens.
fn parse_piece(
    text: &str,
    mut tokens: Vec<TokenWithSpan>,
    offset_bytes: usize,
    offset_chars: u32,
) -> Result<ParsedStatement, SqlError> {
    tokens.retain(|it| it.token != Token::EOF);
    let shortened = shorten(&mut tokens);
    let place = |error: SqlError| shift(error, offset_chars);
    if let Some(ast) = utility::parse(text, &tokens).map_err(place)? {
        return Ok(ParsedStatement {
            ast: StatementAst::Utility(Box::new(ast)),
            text: text.to_owned(),
            offset_bytes,
            offset_chars,
            shortened,
        });
    }
    let tokens = rewrite::rewrite(text, tokens).map_err(place)?;
    let statement = parse_with(text, tokens, |parser| {
        let statement = parser.parse_statement()?;
        expect_end(parser)?;
        Ok(statement)
    })
    .map_err(place)?;
    Ok(ParsedStatement {
        ast: StatementAst::Sql(Box::new(statement)),
        text: text.to_owned(),
        offset_bytes,
        offset_chars,
        shortened,
    })
}

/// Cuts names at the length that a name may have; gives each, long and short.
fn shorten(tokens: &mut [TokenWithSpan]) -> Vec<(String, String)> {
    let mut shortened = Vec::new();
    for it in tokens {
        let Token::Word(word) = &mut it.token else { continue };
        if word.value.len() > NAME_BYTES_MAX {
            let folds = word.quote_style.is_none();
            let end = word.value.floor_char_boundary(NAME_BYTES_MAX);
            let short = word.value.get(..end).unwrap_or_default().to_owned();
            let long = std::mem::replace(&mut word.value, short.clone());
            let shown = |name: String| if folds { name.to_ascii_lowercase() } else { name };
            shortened.push((shown(long), shown(short)));
        }
    }
    shortened
}

/// Parses a text that is one expression, such as a stored default.
///
/// # Errors
/// As [`split`].
pub fn expression(text: &str) -> Result<sqlparser::ast::Expr, SqlError> {
    let tokens = tokenize(text, text)?;
    check_depth(&tokens)?;
    parse_with(text, rewrite::rewrite(text, tokens)?, |parser| {
        let expr = parser.parse_expr()?;
        expect_end(parser)?;
        Ok(expr)
    })
}

/// Runs a production of sqlparser over tokens and words its failure as PostgreSQL does.
fn parse_with<T>(
    text: &str,
    tokens: Vec<TokenWithSpan>,
    production: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, SqlError> {
    let dialect = Postgres15;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(PARSER_DEPTH_MAX)
        .with_tokens_with_locations(tokens);
    production(&mut parser).map_err(|error| parse_error(&error, text, &parser.into_tokens()))
}

/// Fails unless everything has been consumed.
fn expect_end(parser: &Parser<'_>) -> Result<(), ParserError> {
    let next = parser.peek_token();
    if next.token == Token::EOF { Ok(()) } else { parser.expected("end of statement", next) }
}

/// Tokenizes `text`; `whole` is only for the position of an error when `text` is all of it.
fn tokenize(text: &str, whole: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    let dialect = Postgres15;
    Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| {
        let start = byte_offset(text, error.location);
        let near = text.get(start..).unwrap_or_default();
        let message = if error.message.contains("Unterminated string literal") {
            format!("unterminated quoted string at or near \"{near}\"")
        } else if error.message.contains("Unterminated dollar-quoted") {
            format!("unterminated dollar-quoted string at or near \"{near}\"")
        } else if error.message.contains("comment") {
            format!("unterminated /* comment at or near \"{near}\"")
        } else if error.message.contains("close delimiter") {
            format!("unterminated quoted identifier at or near \"{near}\"")
        } else {
            format!("syntax error at or near \"{near}\"")
        };
        let position = char_position(text, error.location);
        SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(position).filter(|_| text == whole))
    })
}

/// Refuses what would make a tree too deep to walk.
fn check_depth(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut nesting = Nesting::default();
    for it in tokens {
        nesting.see(&it.token);
        if nesting.is_too_deep() {
            let hint = "The statement nests expressions too deeply; split it up.";
            return Err(SqlError::too_complex().with_hint(hint));
        }
    }
    Ok(())
}

/// How deep and long a statement is at some token.
#[derive(Default)]
struct Nesting {
    /// The open parentheses and brackets.
    open: Vec<Bracket>,
    /// Those of them that may enclose a join.
    joins: usize,
    /// Open `CASE`s.
    cases: usize,
    /// Operators in a row.
    prefixes: usize,
    /// The chain of operators since the last token that ends one.
    chain: Chain,
    /// Set operations so far outside of all parentheses.
    set_operations: usize,
    /// The last token may stand before a `FROM` item.
    before_item: bool,
}

/// How deep the tree of a chain of operators is: one level for each `OR`, and below them those of the deepest operand, whose
/// levels are its `AND`s, and below these all else.
#[derive(Default)]
struct Chain {
    ors: usize,
    /// `AND`s since the last `OR`, and the most there were between two.
    ands: (usize, usize),
    /// Other tokens since the last `OR` or `AND`, of which every second may be an operator, and the most there were.
    others: (usize, usize),
}

impl Chain {
    fn see(&mut self, token: &Token) {
        let keyword = if let Token::Word(word) = token { word.keyword } else { Keyword::NoKeyword };
        match keyword {
            Keyword::OR => {
                self.ors += 1;
                (self.ands.0, self.others.0) = (0, 0);
            }
            Keyword::AND => {
                self.ands.0 += 1;
                self.others.0 = 0;
            }
            _ => self.others.0 += 1,
        }
        self.ands.1 = self.ands.1.max(self.ands.0);
        self.others.1 = self.others.1.max(self.others.0);
    }

    fn depth(&self) -> usize {
        self.ors + self.ands.1 + self.others.1 / 2
    }
}

/// An open parenthesis or bracket.
struct Bracket {
    /// It stands where a `FROM` item may.
    is_join: bool,
    /// Set operations so far inside.
    set_operations: usize,
}

impl Nesting {
    fn see(&mut self, token: &Token) {
        let mut before_item = false;
        match token {
            Token::Whitespace(_) => return,
            Token::LParen | Token::LBracket => {
                let is_join = self.before_item && *token == Token::LParen;
                self.joins += usize::from(is_join);
                self.open.push(Bracket { is_join, set_operations: 0 });
                before_item = is_join;
            }
            Token::RParen | Token::RBracket => {
                let closed = self.open.pop();
                self.joins -= usize::from(closed.is_some_and(|it| it.is_join));
            }
            Token::Comma => self.chain = Chain::default(),
            Token::SemiColon => *self = Self::default(),
            Token::Word(word) => match word.keyword {
                Keyword::FROM | Keyword::JOIN => before_item = true,
                // The arms are not operands of one another's operators.
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => {
                    self.chain = Chain::default();
                    *self.set_operations_here() += 1;
                }
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => self.chain = Chain::default(),
                Keyword::CASE => self.cases += 1,
                Keyword::END => self.cases = self.cases.saturating_sub(1),
                _ => {}
            },
            _ => {}
        }
        self.see_operator(token);
        self.before_item = before_item;
        self.chain.see(token);
    }

    /// Counts operators in a row: all but the first are prefix operators.
    fn see_operator(&mut self, token: &Token) {
        let is_operator = match token {
            Token::Plus | Token::Minus | Token::Tilde | Token::AtSign => true,
            Token::Word(word) => word.keyword == Keyword::NOT,
            _ => false,
        };
        self.prefixes = if is_operator { self.prefixes + 1 } else { 0 };
    }

    fn set_operations_here(&mut self) -> &mut usize {
        match self.open.last_mut() {
            Some(bracket) => &mut bracket.set_operations,
            None => &mut self.set_operations,
        }
    }

    fn is_too_deep(&mut self) -> bool {
        self.open.len() + self.cases + self.prefixes > DEPTH_MAX
            || self.joins > JOIN_DEPTH_MAX
            || self.chain.depth() > CHAIN_MAX
            || *self.set_operations_here() > SET_OPERATIONS_MAX
    }
}

/// Whether a piece between semicolons holds nothing but blanks and comments.
fn is_blank(piece: &[TokenWithSpan]) -> bool {
    piece.iter().all(|it| matches!(it.token, Token::Whitespace(_) | Token::EOF))
}

/// Words sqlparser's error as PostgreSQL's grammar does: by the token at which it failed.
fn parse_error(error: &ParserError, text: &str, tokens: &[TokenWithSpan]) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let location = reported_location(message);
    let found = location.and_then(|at| tokens.iter().find(|it| it.span.start == at));
    let Some(found) = found else {
        return SqlError::new(SqlState::SYNTAX_ERROR, END_OF_INPUT)
            .at(Some(u32::try_from(text.chars().count() + 1).unwrap_or(u32::MAX)));
    };
    let start = byte_offset(text, found.span.start);
    let end = byte_offset(text, found.span.end);
    let near = text.get(start..end).unwrap_or_default();
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{near}\""))
        .at(Some(char_position(text, found.span.start)))
}

/// The location at the end of sqlparser's message, ` at Line: 1, Column: 9`.
fn reported_location(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}

/// Moves an error's position by the characters before its statement.
pub(crate) fn shift(mut error: SqlError, offset_chars: u32) -> SqlError {
    error.position = error.position.map(|at| at.saturating_add(offset_chars));
    error
}

/// Bytes before a location.
pub(crate) fn byte_offset(text: &str, location: Location) -> usize {
    let mut start = 0;
    for _ in 1..location.line {
        let Some(line) = text.get(start..).and_then(|rest| rest.find('\n')) else {
            return text.len();
        };
        start += line + 1;
    }
    let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text.get(start..).unwrap_or_default();
    start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}

/// A location as PostgreSQL counts positions: characters from 1.
pub(crate) fn char_position(text: &str, location: Location) -> u32 {
    let before = text.get(..byte_offset(text, location)).unwrap_or_default();
    u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX)
}
