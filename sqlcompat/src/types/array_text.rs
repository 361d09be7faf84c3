//! The text form of arrays taken apart: `[0:1]={a,"b c"}` into bounds and the texts of the elements.
//!
//! One pass with PostgreSQL's own states, so that what is malformed, and the detail that says why, are the same (`array_in`
//! and `ArrayCount` of PostgreSQL 15). An array of arrays all of which are empty is malformed there: `{{},{}}`.

use super::array::{DIMENSIONS_MAX, ELEMENTS_MAX, too_large, too_many_dimensions};
use super::scalar;
use crate::error::{SqlError, SqlState};

/// What the text of an array says.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Length of each dimension.
    pub(super) dimensions: Vec<usize>,
    /// Lower bound of each dimension; empty where none are written.
    pub(super) lowers: Vec<i32>,
    /// The elements' texts; `None` is NULL.
    pub(super) elements: Vec<Option<String>>,
}

/// Reads the text form of an array whose elements have `delimiter` between them.
///
/// # Errors
/// 22P02 for malformed text, 2202E for bounds the wrong way around, 54000 for too many dimensions or elements.
pub(super) fn read(text: &str, delimiter: u8) -> Result<Parsed, SqlError> {
    let mut reader = Reader {
        text,
        rest: text.trim_start_matches(scalar::is_space),
        delimiter: char::from(delimiter),
    };
    let bounds = reader.bounds()?;
    if !reader.rest.starts_with('{') {
        return Err(reader.fail(if bounds.is_empty() {
            "Array value must start with \"{\" or dimension information."
        } else {
            "Array contents must start with \"{\"."
        }));
    }
    let mut body = Body::default();
    body.read(&mut reader)?;
    if !reader.rest.chars().all(scalar::is_space) {
        return Err(reader.fail("Junk after closing right brace."));
    }
    let dimensions = if body.elements.is_empty() { Vec::new() } else { body.dimensions };
    let lengths = bounds.iter().map(|(_, length)| *length);
    if !bounds.is_empty() && !lengths.eq(dimensions.iter().copied()) {
        return Err(reader.fail("Specified array dimensions do not match array contents."));
    }
    let lowers = bounds.iter().map(|(lower, _)| *lower).collect();
    Ok(Parsed { dimensions, lowers, elements: body.elements })
}

/// What is left of the text.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    delimiter: char,
}

impl Reader<'_> {
    fn fail(&self, detail: &str) -> SqlError {
        let message = format!("malformed array literal: \"{}\"", self.text);
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
    }

    fn unexpected(&self, found: char) -> SqlError {
        self.fail(&format!("Unexpected \"{found}\" character."))
    }

    fn next(&mut self) -> Result<char, SqlError> {
        let mut chars = self.rest.chars();
        let found = chars.next().ok_or_else(|| self.fail("Unexpected end of input."))?;
        self.rest = chars.as_str();
        Ok(found)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(scalar::is_space);
    }

    fn accept(&mut self, token: char) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads `[l:u]…=`: lower bounds and lengths.
    fn bounds(&mut self) -> Result<Vec<(i32, usize)>, SqlError> {
        let mut bounds = Vec::new();
        while self.accept('[') {
            if bounds.len() >= DIMENSIONS_MAX {
                return Err(too_many_dimensions(bounds.len() + 1));
            }
            let introduced = "\"[\" must introduce explicitly-specified array dimensions.";
            let first = self.number(introduced)?;
            let (lower, upper) = if self.accept(':') {
                (first, self.number("Missing array dimension value.")?)
            } else {
                (1, first)
            };
            if !self.accept(']') {
                return Err(self.fail("Missing \"]\" after array dimensions."));
            }
            if upper < lower {
                let message = "upper bound cannot be less than lower bound";
                return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
            }
            let length = usize::try_from(i64::from(upper) - i64::from(lower) + 1);
            let length = length.ok().filter(|it| *it <= ELEMENTS_MAX).ok_or_else(too_large)?;
            bounds.push((lower, length));
            self.skip_spaces();
        }
        if !bounds.is_empty() {
            if !self.accept('=') {
                return Err(self.fail("Missing \"=\" after array dimensions."));
            }
            self.skip_spaces();
        }
        Ok(bounds)
    }

    /// A bound: as many digits and signs as there are, read as far as they are a number.
    fn number(&mut self, missing: &str) -> Result<i32, SqlError> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Err(self.fail(missing));
        }
        self.rest = rest;
        let sign = usize::from(digits.starts_with(['-', '+']));
        let number = digits.get(sign..).unwrap_or_default();
        let length = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        let number = digits.get(..sign + length).unwrap_or_default();
        // What is too large wraps around, as with C's `atoi`.
        let [.., a, b, c, d] = number.parse::<i64>().unwrap_or(0).to_be_bytes();
        Ok(i32::from_be_bytes([a, b, c, d]))
    }
}

/// What came last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    NoLevel,
    LevelStarted,
    ElementStarted,
    QuotedStarted,
    QuotedCompleted,
    ElementDelimited,
    LevelCompleted,
    LevelDelimited,
}

/// `{…}` as far as it is read.
#[derive(Debug, Default)]
struct Body {
    state: State,
    /// Open braces.
    depth: usize,
    /// Parts of the open braces so far, one count for each.
    counts: Vec<usize>,
    /// Length of each dimension, once a part of that depth has been closed.
    dimensions: Vec<usize>,
    /// Depth of the elements, once there is one.
    element_depth: Option<usize>,
    elements: Vec<Option<String>>,
    /// The element that is being read.
    value: String,
    /// Bytes of `value` that trailing blanks are not trimmed from.
    kept: usize,
    /// Whether the element had a quote or an escape, so that it is not NULL.
    literal: bool,
}

impl Body {
    fn read(&mut self, reader: &mut Reader) -> Result<(), SqlError> {
        loop {
            let found = reader.next()?;
            if self.state == State::QuotedStarted {
                self.inside_quotes(found, reader)?;
                continue;
            }
            match found {
                '\\' => self.escape(reader)?,
                '"' => self.quote(reader)?,
                '{' => self.open(reader)?,
                '}' => {
                    self.close(reader)?;
                    if self.depth == 0 {
                        return Ok(());
                    }
                }
                found if found == reader.delimiter => self.delimit(reader)?,
                found if scalar::is_space(found) => {
                    if self.state == State::ElementStarted {
                        self.value.push(found);
                    }
                }
                found => {
                    if !self.may_start() && self.state != State::ElementStarted {
                        return Err(reader.fail("Unexpected array element."));
                    }
                    self.state = State::ElementStarted;
                    self.push(found);
                }
            }
        }
    }

    fn may_start(&self) -> bool {
        matches!(self.state, State::LevelStarted | State::ElementDelimited)
    }

    fn push(&mut self, found: char) {
        self.value.push(found);
        self.kept = self.value.len();
    }

    fn inside_quotes(&mut self, found: char, reader: &mut Reader) -> Result<(), SqlError> {
        match found {
            '"' => self.state = State::QuotedCompleted,
            '\\' => {
                let escaped = reader.next()?;
                self.push(escaped);
            }
            found => self.push(found),
        }
        Ok(())
    }

    fn escape(&mut self, reader: &mut Reader) -> Result<(), SqlError> {
        if !self.may_start() && self.state != State::ElementStarted {
            return Err(reader.unexpected('\\'));
        }
        self.state = State::ElementStarted;
        self.literal = true;
        let escaped = reader.next()?;
        self.push(escaped);
        Ok(())
    }

    fn quote(&mut self, reader: &Reader) -> Result<(), SqlError> {
        if !self.may_start() {
            return Err(reader.fail("Unexpected array element."));
        }
        self.state = State::QuotedStarted;
        self.literal = true;
        Ok(())
    }

    fn open(&mut self, reader: &Reader) -> Result<(), SqlError> {
        let may_open = [State::NoLevel, State::LevelStarted, State::LevelDelimited];
        if !may_open.contains(&self.state) {
            return Err(reader.unexpected('{'));
        }
        if self.depth >= DIMENSIONS_MAX {
            return Err(too_many_dimensions(self.depth + 1));
        }
        self.state = State::LevelStarted;
        self.depth += 1;
        self.counts.push(0);
        Ok(())
    }

    fn close(&mut self, reader: &Reader) -> Result<(), SqlError> {
        match self.state {
            State::ElementStarted | State::QuotedCompleted => self.finish_element(reader)?,
            State::LevelCompleted => {}
            State::LevelStarted if self.depth == 1 => {}
            _ => return Err(reader.unexpected('}')),
        }
        self.state = State::LevelCompleted;
        self.depth -= 1;
        let count = self.counts.pop().unwrap_or(0);
        self.dimensions.resize(self.dimensions.len().max(self.depth + 1), 0);
        let known = self.dimensions.get_mut(self.depth);
        match known {
            Some(known) if *known != 0 && *known != count => return Err(ragged(reader)),
            Some(known) => *known = count,
            None => {}
        }
        if let Some(outer) = self.counts.last_mut() {
            *outer += 1;
        }
        Ok(())
    }

    fn delimit(&mut self, reader: &Reader) -> Result<(), SqlError> {
        match self.state {
            State::ElementStarted | State::QuotedCompleted => {
                self.finish_element(reader)?;
                self.state = State::ElementDelimited;
            }
            State::LevelCompleted => self.state = State::LevelDelimited,
            _ => return Err(reader.unexpected(reader.delimiter)),
        }
        Ok(())
    }

    fn finish_element(&mut self, reader: &Reader) -> Result<(), SqlError> {
        if *self.element_depth.get_or_insert(self.depth) != self.depth {
            return Err(ragged(reader));
        }
        if self.elements.len() >= ELEMENTS_MAX {
            return Err(too_large());
        }
        let mut value = std::mem::take(&mut self.value);
        value.truncate(std::mem::take(&mut self.kept));
        let literal = std::mem::take(&mut self.literal);
        let null = !literal && value.eq_ignore_ascii_case("null");
        self.elements.push((!null).then_some(value));
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        Ok(())
    }
}

fn ragged(reader: &Reader) -> SqlError {
    reader.fail("Multidimensional arrays must have sub-arrays with matching dimensions.")
}
