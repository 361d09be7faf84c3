//! A picture of a number, taken apart.

use crate::error::{SqlError, SqlState};

/// One element of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Nine,
    Zero,
    Point,
    /// `,`.
    Comma,
    /// `G`.
    Group,
    Currency,
    Minus,
    Plus,
    /// `SG`.
    AnySign,
    /// `TH`, or `th` if not in capitals.
    Ordinal(bool),
    /// `RN`, or `rn` if not in capitals.
    Roman(bool),
    /// Shows nothing where it stands: `B`, `C`, `EEEE`, `FM`, `PR`, `S`, `SP`, `V`.
    Silent,
    Text(char),
}

/// Where the sign of `S` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Before,
    After,
}

/// What a picture asks for as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trait {
    /// There is a point.
    Decimal,
    /// There is a `0` before the point.
    Zero,
    /// `FM`.
    FillMode,
    /// `PR`.
    Bracket,
    /// `MI` or `SG`.
    Minus,
    /// `PL` or `SG`.
    Plus,
    /// `RN`.
    Roman,
    /// `V`.
    Shift,
    /// `EEEE`.
    Exponent,
}

/// A picture.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) marks: Vec<Mark>,
    /// Traits, as bits.
    traits: u16,
    /// Places before the point; those after `V` once a number has been shifted.
    pub(super) before: usize,
    /// Places after the point.
    pub(super) after: usize,
    /// Places after `V`.
    pub(super) shifted: usize,
    /// Where the sign of `S` goes, if there is one.
    pub(super) anchor: Option<Anchor>,
    /// Places before the `S`.
    pub(super) before_sign: usize,
    /// Place of the first `0` before the point, from 0.
    pub(super) zeros_from: usize,
    /// Places up to the last `0`.
    pub(super) zeros_to: usize,
}

/// Key words, longer before shorter; each also in small letters.
const KEYS: &[&str] =
    &["EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "B", "C", "D", "G", "L", "S", "V"];

fn syntax(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Picture {
    /// Takes a picture apart.
    ///
    /// # Errors
    /// 42601 for marks that exclude each other.
    pub(super) fn parse(text: &str) -> Result<Self, SqlError> {
        let mut picture = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let key = KEYS.iter().find(|key| {
                let lower = key.to_ascii_lowercase();
                rest.starts_with(**key) || rest.starts_with(&lower)
            });
            let length = if let Some(key) = key {
                picture.add(key, first.is_ascii_uppercase())?;
                key.len()
            } else if matches!(first, '9' | '0' | '.' | ',') {
                picture.add(rest.get(..1).unwrap_or_default(), true)?;
                1
            } else if first == '"' {
                1 + picture.add_quoted(rest.get(1..).unwrap_or_default())
            } else if rest.starts_with("\\\"") {
                picture.marks.push(Mark::Text('"'));
                2
            } else {
                picture.marks.push(Mark::Text(first));
                first.len_utf8()
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(picture)
    }

    /// Adds text up to the closing quote; gives the bytes that were taken.
    fn add_quoted(&mut self, text: &str) -> usize {
        let mut chars = text.char_indices().peekable();
        while let Some((at, mut it)) = chars.next() {
            if it == '"' {
                return at + 1;
            }
            if it == '\\'
                && let Some((_, quoted)) = chars.next_if(|_| true)
            {
                it = quoted;
            }
            self.marks.push(Mark::Text(it));
        }
        text.len()
    }

    /// Whether the picture asks for that.
    pub(super) fn is(&self, it: Trait) -> bool {
        self.traits & 1 << it as u16 != 0
    }

    fn set(&mut self, it: Trait) {
        self.traits |= 1 << it as u16;
    }

    /// Takes a trait away.
    pub(super) fn clear(&mut self, it: Trait) {
        self.traits &= !(1 << it as u16);
    }

    fn refuse(&self, traits: &[Trait], message: &str) -> Result<(), SqlError> {
        if traits.iter().any(|it| self.is(*it)) { Err(syntax(message)) } else { Ok(()) }
    }

    fn add(&mut self, key: &str, upper: bool) -> Result<(), SqlError> {
        if key != "EEEE" {
            self.refuse(&[Trait::Exponent], "\"EEEE\" must be the last pattern used")?;
        }
        let mark = match key {
            "9" | "0" => self.add_place(key)?,
            "." | "D" => {
                self.refuse(&[Trait::Decimal], "multiple decimal points")?;
                let together = "cannot use \"V\" and decimal point together";
                self.refuse(&[Trait::Shift], together)?;
                self.set(Trait::Decimal);
                Mark::Point
            }
            "," => Mark::Comma,
            "G" => Mark::Group,
            "L" => Mark::Currency,
            "TH" => Mark::Ordinal(upper),
            "RN" => {
                self.set(Trait::Roman);
                Mark::Roman(upper)
            }
            "FM" => {
                self.set(Trait::FillMode);
                Mark::Silent
            }
            "V" => {
                let together = "cannot use \"V\" and decimal point together";
                self.refuse(&[Trait::Decimal], together)?;
                self.set(Trait::Shift);
                Mark::Silent
            }
            "EEEE" => self.add_exponent()?,
            "S" | "MI" | "PL" | "SG" | "PR" => self.add_sign(key)?,
            _ => Mark::Silent,
        };
        self.marks.push(mark);
        Ok(())
    }

    fn add_place(&mut self, key: &str) -> Result<Mark, SqlError> {
        self.refuse(&[Trait::Bracket], &format!("\"{key}\" must be ahead of \"PR\""))?;
        let decimal = self.is(Trait::Decimal);
        if key == "9" {
            match decimal {
                _ if self.is(Trait::Shift) => self.shifted += 1,
                true => self.after += 1,
                false => self.before += 1,
            }
            return Ok(Mark::Nine);
        }
        if decimal {
            self.after += 1;
        } else {
            if !self.is(Trait::Zero) {
                self.set(Trait::Zero);
                self.zeros_from = self.before;
            }
            self.before += 1;
        }
        self.zeros_to = self.before + self.after;
        Ok(Mark::Zero)
    }

    fn add_exponent(&mut self) -> Result<Mark, SqlError> {
        const EXCLUDED: &[Trait] = &[
            Trait::FillMode,
            Trait::Bracket,
            Trait::Minus,
            Trait::Plus,
            Trait::Roman,
            Trait::Shift,
        ];
        self.refuse(&[Trait::Exponent], "cannot use \"EEEE\" twice")?;
        if self.anchor.is_some() || EXCLUDED.iter().any(|it| self.is(*it)) {
            return Err(syntax("\"EEEE\" is incompatible with other formats").with_detail(
                "\"EEEE\" may only be used together with digit and decimal point patterns.",
            ));
        }
        self.set(Trait::Exponent);
        Ok(Mark::Silent)
    }

    fn add_sign(&mut self, key: &str) -> Result<Mark, SqlError> {
        let others = [Trait::Plus, Trait::Minus, Trait::Bracket];
        if key == "S" {
            if self.anchor.is_some() {
                return Err(syntax("cannot use \"S\" twice"));
            }
            let together = "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together";
            self.refuse(&others, together)?;
            if self.is(Trait::Decimal) {
                self.anchor = Some(Anchor::After);
            } else {
                (self.anchor, self.before_sign) = (Some(Anchor::Before), self.before);
            }
            return Ok(Mark::Silent);
        }
        if key == "PR" {
            let together = "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together";
            if self.anchor.is_some() {
                return Err(syntax(together));
            }
            self.refuse(&[Trait::Plus, Trait::Minus], together)?;
            self.set(Trait::Bracket);
            return Ok(Mark::Silent);
        }
        if self.anchor.is_some() {
            return Err(syntax(&format!("cannot use \"S\" and \"{key}\" together")));
        }
        if key != "PL" {
            self.set(Trait::Minus);
        }
        if key != "MI" {
            self.set(Trait::Plus);
        }
        Ok(match key {
            "MI" => Mark::Minus,
            "PL" => Mark::Plus,
            _ => Mark::AnySign,
        })
    }
}
