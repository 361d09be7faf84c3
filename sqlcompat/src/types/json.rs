//! JSON: a parser that keeps what `json` keeps, and the canonical form of `jsonb`.
//!
//! `jsonb` orders the keys of an object by length, then by bytes, keeps the last of equal keys, holds numbers as `numeric`,
//! and prints one blank after each colon and comma. That printed form is what is stored.
//!
//! # Bounds
//! [`DEPTH_MAX`] nesting levels; more is 54001.
//!
//! # Sources
//! RFC 8259; PostgreSQL 15 manual 8.14 (JSON Types).

use std::cmp::Ordering;

use super::numeric::Numeric;
use crate::error::{SqlError, SqlState};

/// Deepest nesting that is read.
pub const DEPTH_MAX: usize = 512;

/// A JSON value. Objects keep their members in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

fn syntax_error(detail: String) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
        .with_detail(detail)
}

impl Json {
    /// Parses JSON text.
    ///
    /// # Errors
    /// 22P02 with PostgreSQL's detail; 22P05 for `\u0000`; 54001 beyond [`DEPTH_MAX`].
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        Self::read(Parser { text, at: 0, depth: 0, raw: false })
    }

    /// Checks JSON text of which the strings stay as they are written: `\u0000` and halves of surrogate pairs pass.
    ///
    /// # Errors
    /// As [`Self::parse`], without 22P05.
    pub fn check(text: &str) -> Result<(), SqlError> {
        Self::read(Parser { text, at: 0, depth: 0, raw: true }).map(drop)
    }

    fn read(mut parser: Parser<'_>) -> Result<Self, SqlError> {
        let value = parser.value()?;
        parser.skip_spaces();
        if parser.at < parser.text.len() {
            return Err(parser.unexpected("end of input"));
        }
        Ok(value)
    }

    /// Puts the value in `jsonb`'s canonical form.
    ///
    /// # Errors
    /// 22003 for a number beyond `numeric`.
    pub fn canonical(self) -> Result<Self, SqlError> {
        Ok(match self {
            Self::Number(text) => Self::Number(Numeric::parse(&text)?.to_string()),
            Self::Array(items) => {
                Self::Array(items.into_iter().map(Self::canonical).collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let mut members = members
                    .into_iter()
                    .map(|(key, value)| Ok((key, value.canonical()?)))
                    .collect::<Result<Vec<_>, SqlError>>()?;
                members.sort_by(|left, right| compare_keys(&left.0, &right.0));
                // The sort is stable: of equal keys the last one written is the last here.
                members.reverse();
                members.dedup_by(|later, earlier| later.0 == earlier.0);
                members.reverse();
                Self::Object(members)
            }
            simple @ (Self::Null | Self::Bool(_) | Self::String(_)) => simple,
        })
    }

    /// Appends the text with `jsonb`'s spacing.
    pub fn write(&self, out: &mut String) {
        self.write_with(out, ", ", ": ");
    }

    /// Appends the text without blanks.
    pub fn write_compact(&self, out: &mut String) {
        self.write_with(out, ",", ":");
    }

    fn write_with(&self, out: &mut String, comma: &str, colon: &str) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { comma } else { "" });
                    item.write_with(out, comma, colon);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { comma } else { "" });
                    write_string(key, out);
                    out.push_str(colon);
                    value.write_with(out, comma, colon);
                }
                out.push('}');
            }
        }
    }

    /// Appends `jsonb_pretty`'s form.
    pub fn write_pretty(&self, indent: usize, out: &mut String) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', depth * 4));
        };
        match self {
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    line(out, indent + 1);
                    item.write_pretty(indent + 1, out);
                }
                line(out, indent);
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    line(out, indent + 1);
                    write_string(key, out);
                    out.push_str(": ");
                    value.write_pretty(indent + 1, out);
                }
                line(out, indent);
                out.push('}');
            }
            simple => simple.write(out),
        }
    }

    /// What `->>` shows: the bare string, or the text; `None` for null.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// `jsonb_typeof`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The last member with that key.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The element at `index`, from the end if negative.
    #[must_use]
    pub fn element(&self, index: i64) -> Option<&Self> {
        let Self::Array(items) = self else { return None };
        let length = i64::try_from(items.len()).ok()?;
        let index = if index < 0 { index + length } else { index };
        items.get(usize::try_from(index).ok()?)
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::String(_) => 1,
            Self::Number(_) => 2,
            Self::Bool(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
        }
    }

    /// `jsonb`'s order (both canonical): Object > Array > Boolean > Number > String > null; containers by size first.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::String(left), Self::String(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => super::numeric::compare_text(left, right),
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => {
                left.len().cmp(&right.len()).then_with(|| {
                    let mut pairs = left.iter().zip(right).map(|(left, right)| left.compare(right));
                    pairs.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
                })
            }
            (Self::Object(left), Self::Object(right)) => {
                left.len().cmp(&right.len()).then_with(|| {
                    let mut pairs = left.iter().zip(right).map(|(left, right)| {
                        left.0.cmp(&right.0).then_with(|| left.1.compare(&right.1))
                    });
                    pairs.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
                })
            }
            // An empty array is below every scalar but, as the server has it, above nothing else.
            (Self::Array(items), _) if items.is_empty() && other.rank() < 4 => Ordering::Less,
            (_, Self::Array(items)) if items.is_empty() && self.rank() < 4 => Ordering::Greater,
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// `@>`: whether `self` contains `other`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(_), Self::Array(_)) | (Self::Object(_), Self::Object(_)) => {
                self.contains_nested(other)
            }
            (Self::Array(items), scalar) if scalar.rank() < 4 => {
                items.iter().any(|item| item.compare(scalar).is_eq())
            }
            _ => self.rank() == other.rank() && self.compare(other).is_eq(),
        }
    }

    fn contains_nested(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(_), Self::Object(wanted)) => wanted.iter().all(|(key, value)| {
                self.member(key).is_some_and(|found| found.contains_nested(value))
            }),
            (Self::Array(items), Self::Array(wanted)) => {
                wanted.iter().all(|value| items.iter().any(|item| item.contains_nested(value)))
            }
            _ => self.rank() == other.rank() && self.compare(other).is_eq(),
        }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

/// `jsonb`'s order of keys: by length in bytes, then by bytes.
#[must_use]
pub fn compare_keys(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Appends a JSON string with PostgreSQL's escapes.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether the characters that Unicode escapes stand for do not matter.
    raw: bool,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// The token at the cursor, for messages.
    fn token(&self) -> &'a str {
        let rest = self.rest();
        let word = rest.find(|c: char| !(c.is_alphanumeric() || "_.+-".contains(c)));
        let end = match word {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(end) => end,
            None => rest.len(),
        };
        rest.get(..end).unwrap_or_default()
    }

    fn unexpected(&self, expected: &str) -> SqlError {
        let token = self.token();
        if token.is_empty() {
            return syntax_error("The input string ended unexpectedly.".to_owned());
        }
        if token.starts_with(|c: char| c.is_alphanumeric() || c == '-')
            && !is_number(token)
            && !matches!(token, "true" | "false" | "null")
        {
            return syntax_error(format!("Token \"{token}\" is invalid."));
        }
        syntax_error(format!("Expected {expected}, but found \"{token}\"."))
    }

    fn value(&mut self) -> Result<Json, SqlError> {
        self.skip_spaces();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            _ => self.literal(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, SqlError>) -> Result<Json, SqlError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "stack depth limit exceeded",
            ));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn literal(&mut self) -> Result<Json, SqlError> {
        let token = self.token();
        let value = match token {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "null" => Json::Null,
            number if is_number(number) => Json::Number(number.to_owned()),
            "" => return Err(syntax_error("The input string ended unexpectedly.".to_owned())),
            _ => return Err(self.unexpected("JSON value")),
        };
        self.at += token.len();
        Ok(value)
    }

    fn array(&mut self) -> Result<Json, SqlError> {
        let mut items = Vec::new();
        self.skip_spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.unexpected("\",\" or \"]\"")),
            }
        }
    }

    fn object(&mut self) -> Result<Json, SqlError> {
        let mut members = Vec::new();
        self.skip_spaces();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_spaces();
            if self.peek() != Some(b'"') {
                let expected = if members.is_empty() { "string or \"}\"" } else { "string" };
                return Err(self.unexpected(expected));
            }
            let key = self.string()?;
            self.skip_spaces();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("\":\""));
            }
            self.at += 1;
            members.push((key, self.value()?));
            self.skip_spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.unexpected("\",\" or \"}\"")),
            }
        }
    }

    fn string(&mut self) -> Result<String, SqlError> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            value.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => self.escape(&mut value)?,
                Some(control) => {
                    return Err(syntax_error(format!(
                        "Character with value 0x{control:02x} must be escaped."
                    )));
                }
                None => {
                    let token = self.text.get(start..).unwrap_or_default();
                    return Err(syntax_error(format!("Token \"{token}\" is invalid.")));
                }
            }
        }
    }

    fn escape(&mut self, value: &mut String) -> Result<(), SqlError> {
        self.at += 1;
        let c = self
            .rest()
            .chars()
            .next()
            .ok_or_else(|| syntax_error("The input string ended unexpectedly.".to_owned()))?;
        self.at += c.len_utf8();
        value.push(match c {
            '"' | '\\' | '/' => c,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode_escape(value),
            other => {
                return Err(syntax_error(format!("Escape sequence \"\\{other}\" is invalid.")));
            }
        });
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, SqlError> {
        let digits = self.rest().get(..4).filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        let bad =
            || syntax_error("\"\\u\" must be followed by four hexadecimal digits.".to_owned());
        let code = digits.and_then(|it| u32::from_str_radix(it, 16).ok()).ok_or_else(bad)?;
        self.at += 4;
        Ok(code)
    }

    fn unicode_escape(&mut self, value: &mut String) -> Result<(), SqlError> {
        let code = self.four_digits()?;
        if self.raw {
            return Ok(());
        }
        let bad_low =
            || syntax_error("Unicode low surrogate must follow a high surrogate.".to_owned());
        let code = match code {
            0 => {
                return Err(SqlError::new(
                    SqlState(*b"22P05"),
                    "unsupported Unicode escape sequence",
                )
                .with_detail("\\u0000 cannot be converted to text."));
            }
            0xd800..=0xdbff => {
                if !self.rest().starts_with("\\u") {
                    return Err(bad_low());
                }
                self.at += 2;
                let low = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(bad_low());
                }
                0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
            }
            code => code,
        };
        value.push(char::from_u32(code).ok_or_else(bad_low)?);
        Ok(())
    }
}

/// Whether `token` is a JSON number.
fn is_number(token: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|it| digits(it.strip_prefix(['+', '-']).unwrap_or(it)))
}

/// Reads `jsonb` input into the stored, canonical text.
///
/// # Errors
/// As [`Json::parse`].
pub fn parse_jsonb(text: &str) -> Result<String, SqlError> {
    Ok(Json::parse(text)?.canonical()?.to_string())
}
