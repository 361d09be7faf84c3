//! Printing digits mark by mark.
//!
//! Places before the first digit are blank, or zeros from the picture's first `0` on. The sign is written where the number
//! begins, or after its last digit, unless a mark of its own shows it. With `FM` there are no blanks, and digits after the
//! last relevant one of the fraction are dropped.

use super::digits::Digits;
use super::picture::{Anchor, Mark, Picture, Trait};
use crate::functions::datetime::picture::ordinal_suffix;

/// Prints digits by a picture.
pub(super) fn print(mut picture: Picture, digits: &Digits) -> String {
    if picture.is(Trait::Exponent) {
        return digits.text.clone();
    }
    let has_sign_mark = picture.is(Trait::Plus) || picture.is(Trait::Minus);
    let fill_mode = picture.is(Trait::FillMode);
    let signed = if has_sign_mark {
        picture.is(Trait::Minus)
    } else {
        if !digits.negative && fill_mode {
            picture.clear(Trait::Bracket);
        }
        if picture.anchor == Some(Anchor::Before) && picture.before == picture.before_sign {
            picture.anchor = Some(Anchor::After);
        }
        !digits.negative && fill_mode && picture.anchor.is_none()
    };
    let mut places = (picture.before + picture.after).saturating_sub(1);
    if !signed && digits.blanks == 0 {
        places += 1;
    }
    let marks = std::mem::take(&mut picture.marks);
    let mut printer = Printer {
        last_relevant: last_relevant(&picture, digits),
        digits: digits.text.as_bytes(),
        negative: digits.negative,
        blanks: digits.blanks,
        places,
        signed,
        picture,
        next: 0,
        place: 0,
        within: false,
        out: String::new(),
    };
    for mark in marks {
        printer.mark(mark, &digits.text);
    }
    printer.out
}

/// Position of the last digit of the fraction that `FM` keeps, or of the point; `None` if all are kept.
fn last_relevant(picture: &Picture, digits: &Digits) -> Option<usize> {
    if !picture.is(Trait::FillMode) || !picture.is(Trait::Decimal) {
        return None;
    }
    let point = digits.text.find('.')?;
    let fraction = digits.text.get(point + 1..).unwrap_or_default();
    let relevant = point + fraction.trim_end_matches('0').len();
    if picture.zeros_to <= digits.blanks {
        return Some(relevant);
    }
    let last_zero = (digits.text.len() - 1).min(picture.zeros_to - digits.blanks);
    Some(relevant.max(last_zero))
}

struct Printer<'a> {
    picture: Picture,
    digits: &'a [u8],
    negative: bool,
    /// Places before the first digit.
    blanks: usize,
    /// Number of the last place.
    places: usize,
    last_relevant: Option<usize>,
    /// Whether the sign has been written, or is not to be.
    signed: bool,
    /// Position of the next digit.
    next: usize,
    /// Number of the present place.
    place: usize,
    /// Whether the place before was within the number.
    within: bool,
    out: String,
}

impl Printer<'_> {
    fn is(&self, it: Trait) -> bool {
        self.picture.is(it)
    }

    /// A blank, unless in fill mode.
    fn blank(&mut self) {
        if !self.is(Trait::FillMode) {
            self.out.push(' ');
        }
    }

    fn sign(&self) -> char {
        if self.negative { '-' } else { '+' }
    }

    fn mark(&mut self, mark: Mark, number: &str) {
        let roman = self.is(Trait::Roman);
        match mark {
            Mark::Nine | Mark::Zero | Mark::Point if roman => {}
            Mark::Nine | Mark::Zero | Mark::Point => self.place(mark),
            Mark::Comma | Mark::Group if self.within => self.out.push(','),
            Mark::Comma | Mark::Group => self.blank(),
            Mark::Currency => self.out.push(' '),
            Mark::Minus if self.negative => self.out.push('-'),
            Mark::Plus if !self.negative => self.out.push('+'),
            Mark::Minus | Mark::Plus => self.blank(),
            Mark::AnySign => self.out.push(self.sign()),
            Mark::Ordinal(upper) => {
                let none =
                    roman || self.negative || self.is(Trait::Decimal) || number.starts_with('#');
                if !none {
                    let suffix = ordinal_suffix(number);
                    let cased = if upper { suffix.to_uppercase() } else { suffix.to_owned() };
                    self.out.push_str(&cased);
                }
            }
            Mark::Roman(upper) => {
                let cased = if upper { number.to_owned() } else { number.to_lowercase() };
                if self.is(Trait::FillMode) {
                    self.out.push_str(&cased);
                } else {
                    self.out.push_str(&format!("{cased:>15}"));
                }
            }
            Mark::Silent => {}
            Mark::Text(it) => self.out.push(it),
        }
    }

    /// Whether the digit to come is a zero before the point that `9` does not show.
    fn is_lone_zero(&self) -> bool {
        !self.is(Trait::Zero)
            && self.next == 0
            && self.digits.first() == Some(&b'0')
            && self.picture.after != 0
    }

    /// Whether the fraction has no relevant digit.
    fn ends_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|at| self.digits.get(at) == Some(&b'.'))
    }

    /// A place for a digit or for the point.
    fn place(&mut self, mark: Mark) {
        self.within = false;
        let zeros = self.is(Trait::Zero);
        let begins = self.place >= self.blanks || zeros && self.picture.zeros_from == self.place;
        if !self.signed && begins && (!self.is_lone_zero() || self.ends_at_point()) {
            self.begin();
        }
        if self.place < self.blanks {
            if zeros && self.picture.zeros_from <= self.place {
                self.out.push('0');
                self.within = true;
            } else {
                self.blank();
            }
        } else {
            self.digit(mark);
        }
        let mut end =
            self.places + usize::from(self.blanks > 0) + usize::from(self.is(Trait::Decimal));
        if self.last_relevant == Some(self.next) {
            end = self.place;
        }
        if self.place + 1 == end {
            self.end();
        }
        self.place += 1;
    }

    fn digit(&mut self, mark: Mark) {
        let Some(digit) = self.digits.get(self.next).copied() else {
            return;
        };
        let dropped = self.last_relevant.is_some_and(|at| self.next > at) && mark != Mark::Zero;
        let point = digit == b'.';
        if !point && !dropped && self.is_lone_zero() {
            self.blank();
            if self.is(Trait::FillMode) && self.ends_at_point() {
                self.out.push('0');
            }
        } else if point || !dropped {
            self.out.push(char::from(digit));
            self.within = !point;
        }
        self.next += 1;
    }

    /// The sign where the number begins.
    fn begin(&mut self) {
        match self.picture.anchor {
            Some(Anchor::Before) => self.out.push(self.sign()),
            Some(Anchor::After) => return,
            None if self.is(Trait::Bracket) => {
                self.out.push(if self.negative { '<' } else { ' ' });
            }
            None if self.negative => self.out.push('-'),
            None => self.blank(),
        }
        self.signed = true;
    }

    /// The sign where it ends.
    fn end(&mut self) {
        if self.signed && self.is(Trait::Bracket) {
            self.out.push(if self.negative { '>' } else { ' ' });
        } else if self.picture.anchor == Some(Anchor::After) {
            self.out.push(self.sign());
        }
    }
}
