//! Reads a path: words to a tree.
//!
//! Truth values and values are two kinds of expression, and which one a parenthesis holds shows only at its end; so
//! what is read says its [`Kind`], and each place checks that it got what it may have. A mistake is told at the word
//! that could not follow.

use super::lexer::{Lexer, Token};
use super::{
    BinaryOperator, CHAIN_MAX, Chain, DEPTH_MAX, JsonPath, Method, Mode, OPERATORS_MAX, RegexFlags,
    Step, UnaryOperator,
};
use crate::error::{SqlError, SqlState};
use crate::types::numeric::Numeric;
use crate::types::scalar;

/// Keywords that are methods when parentheses follow.
const METHODS: [Method; 7] = [
    Method::Abs,
    Method::Ceiling,
    Method::Double,
    Method::Floor,
    Method::KeyValue,
    Method::Size,
    Method::Type,
];

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// JSON values.
    Value,
    /// A truth value.
    Predicate,
}

type Parsed = Result<(Chain, Kind), SqlError>;

/// Where an expression stands, which says what names it may use.
#[derive(Clone, Copy)]
struct Place {
    /// Filters around it.
    filters: usize,
    in_subscript: bool,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    depth: usize,
    operators: usize,
}

/// Reads a path.
pub(super) fn parse(text: &str) -> Result<JsonPath, SqlError> {
    let mut parser = Parser { lexer: Lexer::new(text), token: Token::End, depth: 0, operators: 0 };
    parser.advance()?;
    if parser.token == Token::End {
        return Err(crate::types::failure::invalid_text("jsonpath", text));
    }
    let mode = if parser.take_word("strict")? {
        Mode::Strict
    } else {
        parser.take_word("lax")?;
        Mode::Lax
    };
    let (chain, _) = parser.disjunction()?;
    if parser.token != Token::End {
        return Err(parser.syntax_error());
    }
    check(&chain, Place { filters: 0, in_subscript: false })?;
    Ok(JsonPath { mode, chain })
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), SqlError> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn syntax_error(&self) -> SqlError {
        self.lexer.error("syntax error")
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(self.token, Token::Mark(found) if found == mark)
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Word(word) if is_keyword(word, keyword))
    }

    fn take_mark(&mut self, mark: &str) -> Result<bool, SqlError> {
        let found = self.is_mark(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn take_word(&mut self, keyword: &str) -> Result<bool, SqlError> {
        let found = self.is_word(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_mark(&mut self, mark: &str) -> Result<(), SqlError> {
        if self.take_mark(mark)? { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), SqlError> {
        if self.take_word(keyword)? { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn expect_string(&mut self) -> Result<String, SqlError> {
        match std::mem::replace(&mut self.token, Token::End) {
            Token::String(text) => {
                self.advance()?;
                Ok(text)
            }
            other => {
                self.token = other;
                Err(self.syntax_error())
            }
        }
    }

    fn expect_kind(&self, found: Kind, wanted: Kind) -> Result<(), SqlError> {
        if found == wanted { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// `a || b`, or anything else.
    fn disjunction(&mut self) -> Parsed {
        self.logical("||", BinaryOperator::Or, Self::conjunction)
    }

    fn conjunction(&mut self) -> Parsed {
        self.logical("&&", BinaryOperator::And, Self::comparison)
    }

    fn logical(
        &mut self,
        mark: &str,
        operator: BinaryOperator,
        read: fn(&mut Self) -> Parsed,
    ) -> Parsed {
        let (mut left, mut kind) = read(self)?;
        while self.is_mark(mark) {
            self.expect_kind(kind, Kind::Predicate)?;
            self.advance()?;
            let (right, right_kind) = read(self)?;
            self.expect_kind(right_kind, Kind::Predicate)?;
            self.count_operator()?;
            left = vec![Step::Binary(operator, left, right)];
            kind = Kind::Predicate;
        }
        Ok((left, kind))
    }

    fn comparison(&mut self) -> Parsed {
        if self.take_mark("!")? {
            let inner = self.delimited_predicate()?;
            return Ok((vec![Step::Unary(UnaryOperator::Not, inner)], Kind::Predicate));
        }
        if self.is_word("exists") {
            return Ok((self.exists()?, Kind::Predicate));
        }
        let (left, kind) = self.sum()?;
        if kind == Kind::Predicate {
            return Ok((left, kind));
        }
        if let Some(operator) = self.comparison_operator() {
            self.advance()?;
            let (right, right_kind) = self.sum()?;
            self.expect_kind(right_kind, Kind::Value)?;
            return Ok((vec![Step::Binary(operator, left, right)], Kind::Predicate));
        }
        if self.take_word("starts")? {
            self.expect_word("with")?;
            let initial = match &self.token {
                Token::String(text) => Step::String(text.clone()),
                Token::Variable(name) => Step::Variable(name.clone()),
                _ => return Err(self.syntax_error()),
            };
            self.advance()?;
            let step = Step::Binary(BinaryOperator::StartsWith, left, vec![initial]);
            return Ok((vec![step], Kind::Predicate));
        }
        if self.take_word("like_regex")? {
            let pattern = self.expect_string()?;
            let flags = if self.take_word("flag")? { self.expect_string()? } else { String::new() };
            return Ok((vec![like_regex(left, pattern, &flags)?], Kind::Predicate));
        }
        Ok((left, Kind::Value))
    }

    fn comparison_operator(&self) -> Option<BinaryOperator> {
        let Token::Mark(mark) = self.token else { return None };
        Some(match mark {
            "==" => BinaryOperator::Equal,
            "!=" | "<>" => BinaryOperator::NotEqual,
            "<" => BinaryOperator::Less,
            "<=" => BinaryOperator::LessOrEqual,
            ">" => BinaryOperator::Greater,
            ">=" => BinaryOperator::GreaterOrEqual,
            _ => return None,
        })
    }

    fn delimited_predicate(&mut self) -> Result<Chain, SqlError> {
        if self.is_word("exists") {
            return self.exists();
        }
        self.expect_mark("(")?;
        let (inner, kind) = self.nested(Self::disjunction)?;
        self.expect_kind(kind, Kind::Predicate)?;
        self.expect_mark(")")?;
        Ok(inner)
    }

    fn exists(&mut self) -> Result<Chain, SqlError> {
        self.advance()?;
        self.expect_mark("(")?;
        let (inner, kind) = self.nested(Self::sum)?;
        self.expect_kind(kind, Kind::Value)?;
        self.expect_mark(")")?;
        Ok(vec![Step::Unary(UnaryOperator::Exists, inner)])
    }

    fn sum(&mut self) -> Parsed {
        let operators = [("+", BinaryOperator::Add), ("-", BinaryOperator::Subtract)];
        self.arithmetic(&operators, Self::product)
    }

    fn product(&mut self) -> Parsed {
        let operators = [
            ("*", BinaryOperator::Multiply),
            ("/", BinaryOperator::Divide),
            ("%", BinaryOperator::Modulo),
        ];
        self.arithmetic(&operators, Self::signed)
    }

    fn arithmetic(
        &mut self,
        operators: &[(&str, BinaryOperator)],
        read: fn(&mut Self) -> Parsed,
    ) -> Parsed {
        let (mut left, kind) = read(self)?;
        while let Some((_, operator)) = operators.iter().find(|(mark, _)| self.is_mark(mark)) {
            self.expect_kind(kind, Kind::Value)?;
            self.advance()?;
            let (right, right_kind) = read(self)?;
            self.expect_kind(right_kind, Kind::Value)?;
            self.count_operator()?;
            left = vec![Step::Binary(*operator, left, right)];
        }
        Ok((left, kind))
    }

    fn signed(&mut self) -> Parsed {
        let operator = match self.token {
            Token::Mark("+") => UnaryOperator::Plus,
            Token::Mark("-") => UnaryOperator::Minus,
            _ => return self.accessors(),
        };
        self.advance()?;
        let (inner, kind) = self.nested(Self::signed)?;
        self.expect_kind(kind, Kind::Value)?;
        let step = match (&inner[..], operator) {
            ([Step::Number(text)], UnaryOperator::Plus) => Step::Number(text.clone()),
            ([Step::Number(text)], UnaryOperator::Minus) => {
                Step::Number(Numeric::parse(text)?.negate().to_string())
            }
            _ => Step::Unary(operator, inner),
        };
        Ok((vec![step], Kind::Value))
    }

    fn count_operator(&mut self) -> Result<(), SqlError> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX { Err(SqlError::too_complex()) } else { Ok(()) }
    }

    /// Reads something that may contain any expression again.
    fn nested(&mut self, read: fn(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        let parsed = read(self);
        self.depth -= 1;
        parsed
    }

    /// A starting point and what follows it.
    fn accessors(&mut self) -> Parsed {
        let (mut chain, kind) = self.primary()?;
        if kind == Kind::Predicate {
            if self.take_word("is")? {
                self.expect_word("unknown")?;
                let step = Step::Unary(UnaryOperator::IsUnknown, chain);
                return Ok((vec![step], Kind::Predicate));
            }
            let Some(accessor) = self.accessor()? else { return Ok((chain, kind)) };
            chain.push(accessor);
        }
        while let Some(accessor) = self.accessor()? {
            chain.push(accessor);
            if chain.len() > CHAIN_MAX {
                return Err(SqlError::too_complex());
            }
        }
        Ok((chain, Kind::Value))
    }

    fn primary(&mut self) -> Parsed {
        let step = match &self.token {
            Token::Mark("(") => {
                self.advance()?;
                let parsed = self.nested(Self::disjunction)?;
                self.expect_mark(")")?;
                return Ok(parsed);
            }
            Token::Mark("$") => Step::Root,
            Token::Mark("@") => Step::Current,
            Token::String(text) => Step::String(text.clone()),
            Token::Variable(name) => Step::Variable(name.clone()),
            Token::Numeric(text) | Token::Integer(text) => {
                Step::Number(Numeric::parse(text)?.to_string())
            }
            Token::Word(word) if is_keyword(word, "last") => Step::Last,
            Token::Word(word) => match word.as_str() {
                "null" => Step::Null,
                "true" => Step::Bool(true),
                "false" => Step::Bool(false),
                _ => return Err(self.syntax_error()),
            },
            Token::End | Token::Mark(_) => return Err(self.syntax_error()),
        };
        self.advance()?;
        Ok((vec![step], Kind::Value))
    }

    fn accessor(&mut self) -> Result<Option<Step>, SqlError> {
        if self.take_mark("?")? {
            self.expect_mark("(")?;
            let (inner, kind) = self.nested(Self::disjunction)?;
            self.expect_kind(kind, Kind::Predicate)?;
            self.expect_mark(")")?;
            return Ok(Some(Step::Filter(inner)));
        }
        if self.take_mark("[")? {
            return self.subscripts().map(Some);
        }
        if !self.take_mark(".")? {
            return Ok(None);
        }
        match std::mem::replace(&mut self.token, Token::End) {
            Token::Mark("*") => {
                self.advance()?;
                Ok(Some(Step::AnyKey))
            }
            Token::Mark("**") => {
                self.advance()?;
                self.levels().map(Some)
            }
            Token::String(name) => {
                self.advance()?;
                Ok(Some(Step::Key(name)))
            }
            Token::Word(word) => {
                self.advance()?;
                self.key_or_method(word).map(Some)
            }
            other => {
                self.token = other;
                Err(self.syntax_error())
            }
        }
    }

    fn key_or_method(&mut self, word: String) -> Result<Step, SqlError> {
        if !self.is_mark("(") {
            return Ok(Step::Key(word));
        }
        let is_datetime = is_keyword(&word, "datetime");
        let method = METHODS.iter().find(|method| is_keyword(&word, method.name()));
        if method.is_none() && !is_datetime {
            return Err(self.syntax_error());
        }
        self.advance()?;
        let step = match method {
            Some(method) => Step::Method(*method),
            None if matches!(self.token, Token::String(_)) => {
                Step::Datetime(Some(self.expect_string()?))
            }
            None => Step::Datetime(None),
        };
        self.expect_mark(")")?;
        Ok(step)
    }

    /// What follows `[`.
    fn subscripts(&mut self) -> Result<Step, SqlError> {
        if self.take_mark("*")? {
            self.expect_mark("]")?;
            return Ok(Step::AnyElement);
        }
        let mut found = Vec::new();
        loop {
            let (from, kind) = self.nested(Self::sum)?;
            self.expect_kind(kind, Kind::Value)?;
            let to = if self.take_word("to")? {
                let (to, kind) = self.nested(Self::sum)?;
                self.expect_kind(kind, Kind::Value)?;
                Some(to)
            } else {
                None
            };
            found.push((from, to));
            if !self.take_mark(",")? {
                break;
            }
        }
        self.expect_mark("]")?;
        Ok(Step::Elements(found))
    }

    /// What follows `**`.
    fn levels(&mut self) -> Result<Step, SqlError> {
        if !self.take_mark("{")? {
            return Ok(Step::AnyLevel(Some(0), None));
        }
        let first = self.level()?;
        let last = if self.take_word("to")? { self.level()? } else { first };
        self.expect_mark("}")?;
        Ok(Step::AnyLevel(first, last))
    }

    fn level(&mut self) -> Result<Option<u32>, SqlError> {
        let level = match &self.token {
            Token::Integer(digits) => {
                let level = scalar::parse_integer(digits, "integer", 0, i32::MAX.into())?;
                u32::try_from(level).ok()
            }
            Token::Word(word) if is_keyword(word, "last") => None,
            _ => return Err(self.syntax_error()),
        };
        self.advance()?;
        Ok(level)
    }
}

/// Keywords may be written in any case.
fn is_keyword(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

fn like_regex(operand: Chain, pattern: String, letters: &str) -> Result<Step, SqlError> {
    let mut flags = RegexFlags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            's' => flags.dot_all = true,
            'm' => flags.multi_line = true,
            'x' => flags.expanded = true,
            'q' => flags.quote = true,
            other => {
                let message = "invalid input syntax for type jsonpath";
                let detail =
                    format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).with_detail(detail));
            }
        }
    }
    if flags.expanded && !flags.quote {
        let message = "XQuery \"x\" flag (expanded regular expressions) is not implemented";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    crate::functions::check_path_pattern(&pattern, flags)?;
    Ok(Step::LikeRegex(operand, pattern, flags))
}

/// Checks that `@` stands in a filter and `last` in a subscript.
fn check(chain: &Chain, place: Place) -> Result<(), SqlError> {
    let misplaced = |message: &str| Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    for step in chain {
        match step {
            Step::Current if place.filters == 0 => {
                return misplaced("@ is not allowed in root expressions");
            }
            Step::Last if !place.in_subscript => {
                return misplaced("LAST is allowed only in array subscripts");
            }
            Step::Elements(subscripts) => {
                let place = Place { in_subscript: true, ..place };
                for (from, to) in subscripts {
                    check(from, place)?;
                    to.as_ref().map_or(Ok(()), |to| check(to, place))?;
                }
            }
            Step::Filter(inner) => check(inner, Place { filters: place.filters + 1, ..place })?,
            Step::Binary(_, left, right) => {
                check(left, place)?;
                check(right, place)?;
            }
            Step::Unary(_, inner) | Step::LikeRegex(inner, ..) => check(inner, place)?,
            _ => {}
        }
    }
    Ok(())
}
