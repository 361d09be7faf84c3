//! `to_char` and `to_number` over numbers.
//!
//! A picture is digits (`9` shows nothing for a leading zero, `0` shows it), a point (`.` or `D`), group separators (`,` or
//! `G`), signs (`S`, `MI`, `PL`, `SG`, `PR`), `FM`, `TH`, `V`, `RN`, and literal text.
//!
//! # Left out
//! `L` shows the `C` locale's currency symbol, which is empty.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8.

use std::fmt::Write;

use super::picture::ordinal_suffix;
use crate::datum::{Datum, DatumRef};
use crate::error::SqlError;
use crate::functions::call::text;
use crate::functions::{Call, ScalarFunction};
use crate::types::failure;
use crate::types::numeric::{Decimal, Numeric};

type Answer = Result<Datum, SqlError>;

/// One element of a picture.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Nine,
    Zero,
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    AnySign,
    Brackets,
    Ordinal(bool),
    Shift,
    Roman(bool),
    Exponent,
    Currency,
    Literal(char),
}

/// A picture taken apart.
struct Picture {
    marks: Vec<Mark>,
    fill: bool,
}

impl Picture {
    fn parse(picture: &str) -> Self {
        const NAMES: [(&str, Mark); 9] = [
            ("EEEE", Mark::Exponent),
            ("MI", Mark::Minus),
            ("PL", Mark::Plus),
            ("SG", Mark::AnySign),
            ("PR", Mark::Brackets),
            ("S", Mark::Sign),
            ("V", Mark::Shift),
            ("L", Mark::Currency),
            ("D", Mark::Point),
        ];
        let (mut marks, mut fill, mut rest) = (Vec::new(), true, picture);
        while let Some(c) = rest.chars().next() {
            let starts =
                |key: &str| rest.get(..key.len()).is_some_and(|it| it.eq_ignore_ascii_case(key));
            let mut length = c.len_utf8();
            if let Some(quoted) = rest.strip_prefix('"') {
                let end = quoted.find('"').unwrap_or(quoted.len());
                marks.extend(quoted.get(..end).unwrap_or_default().chars().map(Mark::Literal));
                rest = quoted.get(end + 1..).unwrap_or_default();
                continue;
            }
            if starts("FM") {
                fill = false;
                length = 2;
            } else if starts("RN") {
                marks.push(Mark::Roman(c == 'R'));
                length = 2;
            } else if starts("TH") {
                marks.push(Mark::Ordinal(c == 'T'));
                length = 2;
            } else if let Some((key, mark)) = NAMES.iter().find(|(key, _)| starts(key)) {
                marks.push(*mark);
                length = key.len();
            } else {
                marks.push(match c {
                    '9' => Mark::Nine,
                    '0' => Mark::Zero,
                    '.' => Mark::Point,
                    ',' | 'G' | 'g' => Mark::Group,
                    other => Mark::Literal(other),
                });
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Self { marks, fill }
    }

    /// Digit places before and after the point (or `V`).
    fn places(&self) -> (usize, usize) {
        let (mut before, mut after, mut passed) = (0, 0, false);
        for mark in &self.marks {
            match mark {
                Mark::Nine | Mark::Zero if passed => after += 1,
                Mark::Nine | Mark::Zero => before += 1,
                Mark::Point | Mark::Shift => passed = true,
                _ => {}
            }
        }
        (before, after)
    }

    fn has(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }
}

/// Digits of a number by a picture, place by place.
struct Printer<'a> {
    picture: &'a Picture,
    /// Digits before the point, without leading zeros.
    whole: &'a str,
    /// Digits after it.
    fraction: &'a str,
    negative: bool,
    before: usize,
    /// Place of the first `0`, from which zeros are shown.
    zeros_from: usize,
    out: String,
    place: usize,
    begun: bool,
    signed: bool,
}

impl Printer<'_> {
    /// Whether the sign is written where the number begins.
    fn floating_sign(&self) -> Option<&'static str> {
        let picture = self.picture;
        if picture.has(Mark::Sign) {
            let trailing = self.trailing_sign();
            return if trailing { None } else { Some(if self.negative { "-" } else { "+" }) };
        }
        if picture.has(Mark::Brackets) {
            return Some(if self.negative {
                "<"
            } else if picture.fill {
                " "
            } else {
                ""
            });
        }
        if picture.has(Mark::Minus)
            || picture.has(Mark::AnySign)
            || (picture.has(Mark::Plus) && !self.negative)
        {
            return if picture.has(Mark::Plus) && !picture.has(Mark::Minus) && picture.fill {
                Some(" ")
            } else {
                None
            };
        }
        Some(if self.negative {
            "-"
        } else if picture.fill {
            " "
        } else {
            ""
        })
    }

    fn trailing_sign(&self) -> bool {
        let sign = self.picture.marks.iter().position(|mark| *mark == Mark::Sign);
        let digit =
            self.picture.marks.iter().position(|mark| matches!(mark, Mark::Nine | Mark::Zero));
        matches!((sign, digit), (Some(sign), Some(digit)) if sign > digit)
    }

    fn begin(&mut self) {
        if !self.signed {
            self.signed = true;
            if let Some(sign) = self.floating_sign() {
                self.out.push_str(sign);
            }
        }
        self.begun = true;
    }

    fn digit(&mut self, after_point: bool) {
        if after_point {
            let at = self.place - self.before;
            self.place += 1;
            let digit = self.fraction.chars().nth(at).unwrap_or('0');
            self.out.push(digit);
            return;
        }
        let leading = self.before - self.whole.len().min(self.before);
        let at = self.place;
        self.place += 1;
        // A lone zero before a point shows nothing for `9`.
        let is_bare_zero = self.whole.is_empty();
        let last = at + 1 == self.before;
        if at >= leading && !is_bare_zero {
            self.begin();
            let digit = self.whole.chars().nth(at - leading).unwrap_or('0');
            self.out.push(digit);
        } else if at >= self.zeros_from || (last && is_bare_zero && self.fraction.is_empty()) {
            self.begin();
            self.out.push('0');
        } else if self.picture.fill {
            self.out.push(' ');
        }
    }

    fn print(mut self) -> String {
        let mut after_point = false;
        let marks = &self.picture.marks;
        for mark in marks {
            match mark {
                Mark::Nine | Mark::Zero => self.digit(after_point),
                Mark::Point => {
                    self.begin();
                    after_point = true;
                    self.out.push('.');
                }
                Mark::Shift => after_point = true,
                Mark::Group if self.begun => self.out.push(','),
                Mark::Group if self.picture.fill => self.out.push(' '),
                Mark::Sign if self.trailing_sign() => {
                    self.out.push(if self.negative { '-' } else { '+' });
                }
                Mark::AnySign => self.out.push(if self.negative { '-' } else { '+' }),
                Mark::Minus if self.negative => self.out.push('-'),
                Mark::Plus if !self.negative => self.out.push('+'),
                Mark::Minus | Mark::Plus if self.picture.fill => self.out.push(' '),
                Mark::Brackets if self.negative => self.out.push('>'),
                Mark::Brackets if self.picture.fill => self.out.push(' '),
                Mark::Ordinal(upper) if !self.negative => {
                    let suffix = ordinal_suffix(self.whole);
                    self.out.push_str(&if *upper {
                        suffix.to_uppercase()
                    } else {
                        suffix.to_owned()
                    });
                }
                Mark::Literal(c) => self.out.push(*c),
                _ => {}
            }
        }
        self.out
    }
}

const ROMAN: [(i64, &str); 13] = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
];

fn roman(value: i64, upper: bool, fill: bool) -> String {
    if !(1..4000).contains(&value) {
        return "#".repeat(15);
    }
    let (mut rest, mut out) = (value, String::new());
    for (worth, letters) in ROMAN {
        while rest >= worth {
            out.push_str(letters);
            rest -= worth;
        }
    }
    let cased = if upper { out } else { out.to_lowercase() };
    if fill { format!("{cased:>15}") } else { cased }
}

fn exponent(value: &Decimal, picture: &Picture) -> String {
    let (_, after) = picture.places();
    let float = value.to_f64();
    let shown = format!("{float:.after$e}");
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let blank = if float < 0.0 || !picture.fill { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{mantissa}e{sign}{:02}", exponent.abs())
}

/// Prints a number by a picture.
fn print(value: &Decimal, text_picture: &str) -> String {
    let picture = Picture::parse(text_picture);
    if let Some(Mark::Roman(upper)) =
        picture.marks.iter().find(|mark| matches!(mark, Mark::Roman(_)))
    {
        return roman(value.to_i64().unwrap_or(0), *upper, picture.fill);
    }
    if picture.has(Mark::Exponent) {
        return exponent(value, &picture);
    }
    let (before, after) = picture.places();
    let shifted = picture.has(Mark::Shift);
    let scale = u32::try_from(after).unwrap_or(0);
    let rounded = if shifted {
        Decimal::new(value.with_scale(scale).coefficient, 0)
    } else {
        value.with_scale(scale)
    };
    let shown = rounded.to_string();
    let negative = shown.starts_with('-');
    let unsigned = shown.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let whole = whole.trim_start_matches('0');
    let before = if shifted { before + after } else { before };
    let overflow = whole.len() > before;
    let hashes = "#".repeat(before);
    let zeros = "#".repeat(after);
    let mut marks = picture.marks.clone();
    if shifted {
        marks.retain(|mark| *mark != Mark::Shift);
    }
    let picture = Picture { marks, fill: picture.fill };
    let (whole, fraction) =
        if overflow { (hashes.as_str(), zeros.as_str()) } else { (whole, fraction) };
    let kept = trimmed_fraction(&picture, fraction);
    let zeros_from = first_zero(&picture, before);
    let printer = Printer {
        picture: &picture,
        whole,
        fraction,
        negative,
        before,
        zeros_from,
        out: String::new(),
        place: 0,
        begun: false,
        signed: false,
    };
    let printed = printer.print();
    match kept {
        Some(dropped) => drop_fraction_zeros(&printed, dropped),
        None => printed,
    }
}

/// Place of the first `0` before the point; a `0` after it counts as one at the point.
fn first_zero(picture: &Picture, before: usize) -> usize {
    let digits = picture.marks.iter().filter(|mark| matches!(mark, Mark::Nine | Mark::Zero));
    digits.take(before).position(|mark| *mark == Mark::Zero).unwrap_or(before)
}

/// With `FM`, how many trailing zeros of the fraction fall on `9` places after the last `0`.
fn trimmed_fraction(picture: &Picture, fraction: &str) -> Option<usize> {
    if picture.fill || fraction.is_empty() {
        return None;
    }
    let after: Vec<Mark> = picture
        .marks
        .iter()
        .skip_while(|mark| **mark != Mark::Point)
        .filter(|mark| matches!(mark, Mark::Nine | Mark::Zero))
        .copied()
        .collect();
    let nines = after.iter().rev().take_while(|mark| **mark == Mark::Nine).count();
    let zeros = fraction.bytes().rev().take_while(|digit| *digit == b'0').count();
    Some(nines.min(zeros))
}

/// Removes that many zeros from the end of the fraction; the point stays, as in PostgreSQL.
fn drop_fraction_zeros(printed: &str, count: usize) -> String {
    let Some(point) = printed.find('.') else { return printed.to_owned() };
    let digits = printed.get(point + 1..).unwrap_or_default();
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let kept = digits.get(..length.saturating_sub(count)).unwrap_or_default();
    let tail = digits.get(length..).unwrap_or_default();
    format!("{}{kept}{tail}", printed.get(..=point).unwrap_or_default())
}

fn number(call: &Call, digits: i32) -> Result<Numeric, SqlError> {
    match call.datum(0) {
        DatumRef::Integer(value) => Ok(Numeric::from(value)),
        DatumRef::Real(value) => Ok(Numeric::from_f64(value, digits)),
        _ => call.numeric(0),
    }
}

fn to_char(call: &Call, digits: i32) -> Answer {
    let picture = call.text(1)?;
    let value = match number(call, digits)? {
        Numeric::Finite(value) => value,
        special => {
            let mut shown = special.to_string();
            let parsed = Picture::parse(picture);
            let (before, after) = parsed.places();
            let width = before + after + usize::from(after > 0) + 1;
            if shown.len() > width {
                shown = "#".repeat(width);
            }
            let mut out = String::new();
            let _ = write!(out, "{shown:>width$}");
            return Ok(text(out));
        }
    };
    if picture.is_empty() {
        return Ok(text(""));
    }
    Ok(text(print(&value, picture)))
}

/// `to_number`: takes the digits and signs that the picture leads it to.
fn to_number(call: &Call) -> Answer {
    let (value, picture) = (call.text(0)?, Picture::parse(call.text(1)?));
    let (mut digits, mut negative) = (String::new(), false);
    let mut chars = value.chars().peekable();
    for mark in &picture.marks {
        while chars.peek().is_some_and(|c| *c == ' ') {
            chars.next();
        }
        if digits.is_empty() {
            while let Some(sign) = chars.peek().copied().filter(|c| matches!(c, '-' | '+' | '<')) {
                negative |= sign != '+';
                chars.next();
            }
        }
        match mark {
            Mark::Nine | Mark::Zero => {
                if let Some(digit) = chars.peek().copied().filter(char::is_ascii_digit) {
                    digits.push(digit);
                    chars.next();
                }
            }
            Mark::Point | Mark::Shift => {
                if chars.peek() == Some(&'.') {
                    chars.next();
                    digits.push('.');
                }
            }
            Mark::Group => {
                if chars.peek() == Some(&',') {
                    chars.next();
                }
            }
            Mark::Sign | Mark::Minus | Mark::Plus | Mark::AnySign | Mark::Brackets => {
                if let Some(sign) =
                    chars.peek().copied().filter(|c| matches!(c, '-' | '+' | '<' | '>'))
                {
                    negative |= matches!(sign, '-' | '<');
                    chars.next();
                }
            }
            Mark::Literal(_) | Mark::Currency => {
                if chars.peek().is_some_and(|c| !c.is_ascii_digit()) {
                    chars.next();
                }
            }
            Mark::Ordinal(_) | Mark::Roman(_) | Mark::Exponent => {}
        }
    }
    if !digits.bytes().any(|b| b.is_ascii_digit()) {
        return Err(failure::invalid_text("numeric", " "));
    }
    let scale = i32::try_from(picture.places().1).unwrap_or(0);
    let sign = if negative { "-" } else { "" };
    let parsed = Numeric::parse(&format!("{sign}{digits}"))?;
    Ok(parsed.finite().map_or(Datum::Null, |value| text(value.truncate(scale).to_string())))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body).stable()
}

/// This file's functions.
pub(in crate::functions) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_int4_to_char", |call| to_char(call, 15)),
    f("pg_int8_to_char", |call| to_char(call, 15)),
    f("pg_numeric_to_char", |call| to_char(call, 15)),
    f("pg_float8_to_char", |call| to_char(call, 15)),
    f("pg_float4_to_char", |call| to_char(call, 6)),
    f("pg_numeric_to_number", to_number),
];
