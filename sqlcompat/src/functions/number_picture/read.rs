//! Reading a number back by its picture.
//!
//! Each mark of the picture takes what it can from the text: a place one digit, a point the point, text of the picture's own
//! any one character. A sign is looked for before the first digit and, where the picture has one, after the last.

use super::picture::{Anchor, Mark, Picture, Trait};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::functions::call::text;
use crate::types::numeric::{Decimal, Numeric, power_of_ten};

/// Bits of a type modifier that hold the scale.
const PRECISION_SHIFT: u32 = 16;
/// What a `numeric`'s type modifier is above its precision and scale.
const TYPMOD_OFFSET: i64 = 4;

/// The number that a text is by a picture; NULL for an empty picture.
///
/// # Errors
/// 22P02 if there is no digit, 0A000 for `EEEE` and `RN`, 42601 for a picture that is none.
pub(super) fn to_number(input: &str, written: &str) -> Result<Datum, SqlError> {
    if written.is_empty() {
        return Ok(Datum::Null);
    }
    let picture = Picture::parse(written)?;
    for (it, name) in [(Trait::Exponent, "EEEE"), (Trait::Roman, "RN")] {
        if picture.is(it) {
            let message = format!("\"{name}\" not supported for input");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
    }
    let mut reader = Reader {
        picture: &picture,
        rest: input,
        sign: ' ',
        digits: String::new(),
        before: 0,
        after: 0,
        point: false,
    };
    for mark in &picture.marks {
        if reader.rest.is_empty() {
            break;
        }
        reader.mark(*mark);
    }
    let digits = reader.digits.strip_suffix('.').unwrap_or(&reader.digits);
    let scale = i64::try_from(reader.after).unwrap_or(0);
    let precision = i64::try_from(picture.before + picture.shifted).unwrap_or(0) + scale;
    let typmod = (precision << PRECISION_SHIFT | scale) + TYPMOD_OFFSET;
    let number = Numeric::parse(&format!("{}{digits}", reader.sign))?;
    let mut number = number.apply_typmod(i32::try_from(typmod).unwrap_or(-1))?;
    if picture.is(Trait::Shift) {
        // 10^-n has at least 16 digits after the point in PostgreSQL, and so has the product.
        let places = u32::try_from(picture.shifted).unwrap_or(0);
        let one = Decimal::new(power_of_ten(places.max(16) - places), places.max(16));
        number = number.multiply(&Numeric::Finite(one))?;
    }
    Ok(text(number.to_string()))
}

struct Reader<'a> {
    picture: &'a Picture,
    rest: &'a str,
    /// `+`, `-`, or a blank as long as there is none.
    sign: char,
    digits: String,
    /// Digits read before the point.
    before: usize,
    /// Digits read after it.
    after: usize,
    /// Whether the point has been read.
    point: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    /// Skips up to `count` characters that cannot belong to a number.
    fn skip_others(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek().is_none_or(|it| "0123456789.,+-".contains(it)) {
                break;
            }
            self.skip();
        }
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Nine | Mark::Zero | Mark::Point => {
                self.place(mark);
                self.skip();
            }
            // Not within a number, which reading never is.
            Mark::Comma | Mark::Group if self.picture.is(Trait::FillMode) => {}
            Mark::Comma | Mark::Group => {
                if self.peek() == Some(',') {
                    self.skip();
                }
            }
            Mark::Currency => self.skip_others(1),
            Mark::Ordinal(_) => {
                if !self.picture.is(Trait::Decimal) {
                    self.skip_others(2);
                }
            }
            Mark::Minus => self.take_sign("-"),
            Mark::Plus => self.take_sign("+"),
            Mark::AnySign => self.take_sign("+-"),
            Mark::Text(_) => self.skip(),
            Mark::Roman(_) | Mark::Silent => {}
        }
    }

    fn take_sign(&mut self, signs: &str) {
        match self.peek() {
            Some(it) if signs.contains(it) => {
                self.sign = it;
                self.skip();
            }
            _ => self.skip_others(1),
        }
    }

    /// Reads for one place; the character that it ends on is skipped afterwards.
    fn place(&mut self, mark: Mark) {
        if self.peek() == Some(' ') {
            self.skip();
        }
        if self.sign == ' ' && mark != Mark::Point && self.before + self.after == 0 {
            self.leading_sign();
        }
        let Some(next) = self.peek() else { return };
        let mut read = false;
        if next.is_ascii_digit() {
            if self.point && self.after == self.picture.after {
                return;
            }
            self.digits.push(next);
            if self.point {
                self.after += 1;
            } else {
                self.before += 1;
            }
            read = true;
        } else if self.picture.is(Trait::Decimal) && !self.point && next == '.' {
            self.digits.push('.');
            self.point = true;
            read = true;
        }
        if self.sign == ' ' && self.before + self.after > 0 {
            self.trailing_sign(read);
        }
    }

    fn leading_sign(&mut self) {
        let bracket = self.picture.is(Trait::Bracket);
        let sign = match self.peek() {
            Some('<') if bracket && self.picture.anchor != Some(Anchor::Before) => '-',
            Some(it @ ('-' | '+')) => it,
            _ => return,
        };
        self.sign = sign;
        self.skip();
    }

    /// A sign after the last digit: right behind it with `S`, where the number has ended with the other marks.
    fn trailing_sign(&mut self, read: bool) {
        let mut chars = self.rest.chars();
        let (present, next) = (chars.next(), chars.next());
        if self.picture.anchor.is_some() {
            if read && let Some(sign @ ('-' | '+')) = next {
                self.skip();
                self.sign = sign;
            }
            return;
        }
        let expected = self.picture.is(Trait::Plus) || self.picture.is(Trait::Minus);
        if !read
            && expected
            && let Some(sign @ ('-' | '+')) = present
        {
            self.sign = sign;
        }
    }
}
