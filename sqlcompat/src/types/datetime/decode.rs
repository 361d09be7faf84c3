//! The meaning of the fields of a date or time.
//!
//! Fields are read from left to right into [`Parts`]; what has been seen so far decides what a bare number is
//! ([`super::number`]), and a part given twice is an error. `2024-01-31 10:00 PM CET` sets the date, the time, the half of the
//! day and the zone; `J2451187` and `y2001m02d04` label their numbers. A `time` is read by stricter rules than a timestamp: a
//! date in it only serves to find the offset of its zone.
//!
//! # Sources
//! PostgreSQL 15 manual, appendix B.1.

use super::field::{Field, FieldKind, Trouble, fraction, fraction_us, leading_i32};
use super::number::{self, Parts, Seen};
use super::word::{self, Special, Unit, Word};
use super::zone::{self, Zone};
use super::{US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, abbreviation, civil};
use crate::types::TypeContext;

/// Julian day of 2000-01-01.
const JULIAN_EPOCH: i64 = 2_451_545;

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A date or a timestamp.
    Moment,
    /// A time of day.
    TimeOfDay,
}

/// What fields came to.
pub(super) struct Decoded {
    /// A value that needs no parts; they are to be ignored then.
    pub(super) special: Option<Special>,
    /// Date and time.
    pub(super) parts: Parts,
    /// Offset in seconds east: as given, or the session's at that local time.
    pub(super) offset: i32,
}

impl Decoded {
    /// Microseconds since midnight.
    pub(super) fn time_us(&self) -> i64 {
        time_us(&self.parts)
    }
}

fn time_us(parts: &Parts) -> i64 {
    parts.hour * US_PER_HOUR
        + parts.minute * US_PER_MINUTE
        + parts.second * US_PER_SECOND
        + parts.us
}

/// Reads all fields.
///
/// # Errors
/// Why they make no date or time.
pub(super) fn decode(
    fields: &[Field<'_>],
    target: Target,
    cx: &TypeContext,
) -> Result<Decoded, Trouble> {
    let mut reader = Reader::new(fields, target, cx);
    for (index, field) in fields.iter().enumerate() {
        let Some(given) = reader.read(index, field)? else { continue };
        if reader.seen.meets(given) {
            return Err(Trouble::Format);
        }
        reader.seen = reader.seen.with(given);
    }
    reader.finish()
}

/// How the zone was given.
enum Given {
    /// As an offset, or not at all.
    Offset,
    Named(Zone),
    /// By an abbreviation whose offset depends on the time.
    Abbreviated(Zone),
}

struct Reader<'a> {
    fields: &'a [Field<'a>],
    target: Target,
    cx: &'a TypeContext<'a>,
    parts: Parts,
    seen: Seen,
    /// Label of the number to come.
    label: Option<Unit>,
    zone: Given,
    /// Seconds east, where the zone is given as an offset.
    offset: i32,
    special: Option<Special>,
    meridian: Option<bool>,
    before_christ: bool,
    text_month: bool,
    julian: bool,
}

impl<'a> Reader<'a> {
    fn new(fields: &'a [Field<'a>], target: Target, cx: &'a TypeContext<'a>) -> Self {
        Self {
            fields,
            target,
            cx,
            parts: Parts::default(),
            seen: Seen::NONE,
            label: None,
            zone: Given::Offset,
            offset: 0,
            special: None,
            meridian: None,
            before_christ: false,
            text_month: false,
            julian: false,
        }
    }

    /// What numbers may take as seen: a time of day needs no date.
    fn seen_for_numbers(&self) -> Seen {
        match self.target {
            Target::Moment => self.seen,
            Target::TimeOfDay => self.seen.with(Seen::DATE),
        }
    }

    /// Reads one field; says which parts it gave, or `None` for one that counts for nothing.
    fn read(&mut self, index: usize, field: &Field<'_>) -> Result<Option<Seen>, Trouble> {
        let text = field.text.as_ref();
        match field.kind {
            FieldKind::Date => self.read_date(index, text).map(Some),
            FieldKind::Time => self.read_time(text).map(Some),
            FieldKind::Signed => {
                self.offset = zone::decode_offset(text)?;
                Ok(Some(Seen::ZONE))
            }
            FieldKind::Number => match self.label.take() {
                Some(label) => self.read_labelled(label, text).map(Some),
                None => self.read_number(index, text).map(Some),
            },
            FieldKind::Word => self.read_word(index, text),
        }
    }

    fn read_time(&mut self, text: &str) -> Result<Seen, Trouble> {
        if self.label.take().is_some_and(|label| label != Unit::Time) {
            return Err(Trouble::Format);
        }
        let given = number::read_clock(text, &mut self.parts)?;
        if self.target == Target::Moment && time_overflows(&self.parts) {
            return Err(Trouble::Range);
        }
        Ok(given)
    }

    fn read_date(&mut self, index: usize, text: &str) -> Result<Seen, Trouble> {
        let last_is_date = self.fields.last().is_some_and(|it| it.kind == FieldKind::Date);
        let is_date = match self.target {
            Target::Moment if self.label == Some(Unit::Julian) => {
                return self.read_julian_with_offset(text);
            }
            Target::Moment => self.label.is_none() && !self.seen.has(Seen::MONTH.with(Seen::DAY)),
            Target::TimeOfDay => {
                let time_next = self.fields.get(1).is_some_and(|it| it.kind == FieldKind::Time);
                index == 0 && self.fields.len() >= 2 && (last_is_date || time_next)
            }
        };
        if is_date {
            return number::read_date(
                text,
                self.seen,
                self.cx.settings.date_order,
                &mut self.parts,
            );
        }
        let labelled = self.target == Target::Moment && self.label.is_some();
        if text.starts_with(|it: char| it.is_ascii_digit()) || labelled {
            return self.read_time_with_offset(text);
        }
        let zone = zone::find_named(text).ok_or_else(|| Trouble::ZoneUnknown(text.to_owned()))?;
        self.zone = Given::Named(zone);
        Ok(Seen::ZONE)
    }

    /// `J2451187-05`.
    fn read_julian_with_offset(&mut self, text: &str) -> Result<Seen, Trouble> {
        self.label = None;
        let (julian, rest) = leading_i32(text)?;
        self.set_julian(julian)?;
        self.offset = zone::decode_offset(rest)?;
        Ok(Seen::DATE.with(Seen::TIME).with(Seen::ZONE))
    }

    /// `101112-05`: a time without colons and an offset.
    fn read_time_with_offset(&mut self, text: &str) -> Result<Seen, Trouble> {
        if self.target == Target::Moment && self.label.take().is_some_and(|it| it != Unit::Time) {
            return Err(Trouble::Format);
        }
        if self.seen.has(Seen::TIME) {
            return Err(Trouble::Format);
        }
        let at = text.find('-').ok_or(Trouble::Format)?;
        let (time, offset) = text.split_at(at);
        self.offset = zone::decode_offset(offset)?;
        let given = number::read_digits(time, self.seen_for_numbers(), &mut self.parts)?;
        Ok(given.with(Seen::ZONE))
    }

    fn set_julian(&mut self, julian: i64) -> Result<(), Trouble> {
        if julian < 0 {
            return Err(Trouble::Range);
        }
        self.set_day(julian - JULIAN_EPOCH);
        self.julian = true;
        Ok(())
    }

    /// A number after a label: `y2001`, `j2451187.5`, `t101112`.
    fn read_labelled(&mut self, label: Unit, text: &str) -> Result<Seen, Trouble> {
        let (value, rest) = leading_i32(text)?;
        let takes_fraction = matches!(label, Unit::Julian | Unit::Time | Unit::Second);
        if !(rest.is_empty() || rest.starts_with('.') && takes_fraction) {
            return Err(Trouble::Format);
        }
        self.special = None;
        let parts = &mut self.parts;
        let (part, given) = match label {
            Unit::Year => (&mut parts.year, Seen::YEAR),
            Unit::Month if self.seen.has(Seen::MONTH.with(Seen::HOUR)) => {
                (&mut parts.minute, Seen::MINUTE)
            }
            Unit::Month => (&mut parts.month, Seen::MONTH),
            Unit::Day => (&mut parts.day, Seen::DAY),
            Unit::Hour => (&mut parts.hour, Seen::HOUR),
            Unit::Minute => (&mut parts.minute, Seen::MINUTE),
            Unit::Second if rest.is_empty() => (&mut parts.second, Seen::SECOND),
            Unit::Second => {
                parts.us = fraction_us(rest)?;
                (&mut parts.second, Seen::ALL_SECONDS)
            }
            Unit::Julian => return self.read_julian(value, rest),
            Unit::Time => return self.read_marked_time(text),
            Unit::Microsecond
            | Unit::Millisecond
            | Unit::Week
            | Unit::Decade
            | Unit::Century
            | Unit::Millennium
            | Unit::Other => return Err(Trouble::Format),
        };
        *part = value;
        Ok(given)
    }

    fn read_julian(&mut self, julian: i64, rest: &str) -> Result<Seen, Trouble> {
        self.set_julian(julian)?;
        if rest.is_empty() {
            return Ok(Seen::DATE);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a fraction of a day"
        )]
        let us = (fraction(rest)? * US_PER_DAY as f64) as i64;
        self.parts.set_time(us);
        Ok(Seen::DATE.with(Seen::TIME))
    }

    /// The digits after ISO 8601's `T`.
    fn read_marked_time(&mut self, text: &str) -> Result<Seen, Trouble> {
        let given = number::read_digits(text, self.seen.with(Seen::DATE), &mut self.parts)?;
        if given == Seen::TIME { Ok(given) } else { Err(Trouble::Format) }
    }

    /// A bare number: its digits and what is missing decide what it is.
    fn read_number(&mut self, index: usize, text: &str) -> Result<Seen, Trouble> {
        let (order, seen) = (self.cx.settings.date_order, self.seen_for_numbers());
        let point = text.find('.');
        let no_date = !self.seen.meets(Seen::DATE);
        let is_date = point.is_some()
            && match self.target {
                Target::Moment => no_date,
                Target::TimeOfDay => {
                    let last = self.fields.last().is_some_and(|it| it.kind == FieldKind::Date);
                    index == 0 && self.fields.len() >= 2 && last
                }
            };
        if is_date {
            return number::read_date(text, self.seen, order, &mut self.parts);
        }
        let run_together = match (point, self.target) {
            (Some(at), Target::TimeOfDay) if at <= 2 => return Err(Trouble::Format),
            (Some(at), _) => at > 2,
            (None, Target::Moment) => text.len() >= 6 && (no_date || !self.seen.meets(Seen::TIME)),
            (None, Target::TimeOfDay) => text.len() > 4,
        };
        if run_together {
            return number::read_digits(text, seen, &mut self.parts);
        }
        let text_month = self.text_month && self.target == Target::Moment;
        number::read_number(text, text_month, seen, order, &mut self.parts)
    }

    fn read_word(&mut self, index: usize, text: &str) -> Result<Option<Seen>, Trouble> {
        // Abbreviations of zones come before words.
        if let Some(meaning) = abbreviation::find(text) {
            return Ok(Some(self.set_abbreviation(text, meaning)));
        }
        let Some(word) = word::find(text) else {
            let zone = zone::find_named(text).ok_or(Trouble::Format)?;
            self.zone = Given::Named(zone);
            return Ok(Some(Seen::ZONE));
        };
        let of_date = matches!(word, Word::Month(_) | Word::Weekday);
        if of_date && self.target == Target::TimeOfDay {
            return Err(Trouble::Format);
        }
        let given = match word {
            Word::Ignored => return Ok(None),
            Word::Special(special) => self.set_special(special)?,
            Word::Month(month) => self.set_month(month),
            Word::Weekday => Seen::WEEKDAY,
            Word::Meridian(afternoon) => {
                self.meridian = Some(afternoon);
                Seen::MERIDIAN
            }
            Word::Era(before_christ) => {
                self.before_christ = before_christ;
                Seen::ERA
            }
            Word::Daylight => {
                self.offset += 3600;
                Seen::DAYLIGHT
            }
            Word::Label(label) => {
                self.label = Some(label);
                Seen::NONE
            }
            Word::TimeMarker => {
                let next = self.fields.get(index + 1).map(|it| it.kind);
                let ends =
                    !matches!(next, Some(FieldKind::Number | FieldKind::Time | FieldKind::Date));
                let dateless = self.target == Target::Moment && !self.seen.has(Seen::DATE);
                if ends || dateless {
                    return Err(Trouble::Format);
                }
                self.label = Some(Unit::Time);
                Seen::NONE
            }
        };
        Ok(Some(given))
    }

    fn set_abbreviation(&mut self, name: &str, meaning: abbreviation::Meaning) -> Seen {
        match meaning {
            abbreviation::Meaning::Offset(seconds, is_daylight) => {
                self.offset = seconds;
                if is_daylight { Seen::ZONE.with(Seen::DAYLIGHT_ZONE) } else { Seen::ZONE }
            }
            abbreviation::Meaning::Zone(_) => {
                if let Some(zone) = zone::find(name) {
                    self.zone = Given::Abbreviated(zone);
                }
                Seen::ZONE.with(Seen::CHANGING_ZONE)
            }
        }
    }

    /// A month's name; a number that was taken for the month is the day then.
    fn set_month(&mut self, month: i64) -> Seen {
        let taken = self.seen.has(Seen::MONTH)
            && !self.text_month
            && !self.seen.has(Seen::DAY)
            && (1..=31).contains(&self.parts.month);
        let given = if taken {
            self.parts.day = self.parts.month;
            Seen::DAY
        } else {
            Seen::MONTH
        };
        self.text_month = true;
        self.parts.month = month;
        given
    }

    fn set_special(&mut self, special: Special) -> Result<Seen, Trouble> {
        let of_day = self.target == Target::TimeOfDay;
        self.special = None;
        match special {
            Special::AllBalls => {
                (self.parts.hour, self.parts.minute, self.parts.second) = (0, 0, 0);
                self.offset = 0;
                Ok(Seen::TIME.with(Seen::ZONE))
            }
            Special::Now => {
                let (day, us) = self.local_now();
                self.parts.set_time(us);
                if of_day {
                    return Ok(Seen::TIME);
                }
                self.set_day(day);
                self.offset = zone::offset_at(&self.cx.settings.time_zone, self.cx.now_us);
                Ok(Seen::DATE.with(Seen::TIME).with(Seen::ZONE))
            }
            _ if of_day => Err(Trouble::Format),
            Special::Today(distance) => {
                let day = self.local_now().0 + distance;
                self.set_day(day);
                Ok(Seen::DATE)
            }
            Special::Epoch | Special::Infinity | Special::NegativeInfinity => {
                self.special = Some(special);
                Ok(Seen::SPECIAL)
            }
        }
    }

    fn set_day(&mut self, day: i64) {
        let date = civil::date(day);
        (self.parts.year, self.parts.month, self.parts.day) = (date.year, date.month, date.day);
    }

    /// Day and time of day at the start of the transaction.
    fn local_now(&self) -> (i64, i64) {
        super::split(zone::to_local(&self.cx.settings.time_zone, self.cx.now_us))
    }

    fn finish(mut self) -> Result<Decoded, Trouble> {
        self.check_date()?;
        self.apply_meridian()?;
        if let Some(special) = self.special {
            return Ok(Decoded { special: Some(special), parts: self.parts, offset: 0 });
        }
        match self.target {
            Target::Moment if !self.seen.has(Seen::DATE) => return Err(Trouble::Format),
            Target::TimeOfDay if time_overflows(&self.parts) => return Err(Trouble::Range),
            Target::TimeOfDay if !self.seen.has(Seen::TIME) => return Err(Trouble::Format),
            Target::Moment | Target::TimeOfDay => {}
        }
        let offset = self.final_offset()?;
        Ok(Decoded { special: None, parts: self.parts, offset })
    }

    /// Completes the year and checks the date.
    fn check_date(&mut self) -> Result<(), Trouble> {
        let parts = &mut self.parts;
        if self.seen.has(Seen::YEAR) && !self.julian {
            let positive = parts.year > 0;
            if self.before_christ {
                parts.year = if positive { 1 - parts.year } else { return Err(Trouble::Range) };
            } else if parts.two_digits {
                parts.year += match parts.year {
                    ..0 => return Err(Trouble::Range),
                    0..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            } else if !positive {
                return Err(Trouble::Range);
            }
        }
        if self.seen.has(Seen::DAY_OF_YEAR) {
            let day = civil::day_number(parts.year, 1, 1) + parts.day_of_year - 1;
            self.set_day(day);
        }
        let parts = &self.parts;
        let month_wrong = self.seen.has(Seen::MONTH) && !(1..=12).contains(&parts.month);
        let day_wrong = self.seen.has(Seen::DAY) && !(1..=31).contains(&parts.day);
        if month_wrong || day_wrong {
            return Err(Trouble::DateOrder);
        }
        let complete = self.seen.has(Seen::DATE);
        if complete && parts.day > civil::days_in_month(parts.year, parts.month) {
            return Err(Trouble::Range);
        }
        Ok(())
    }

    fn apply_meridian(&mut self) -> Result<(), Trouble> {
        let Some(afternoon) = self.meridian else { return Ok(()) };
        let hour = self.parts.hour;
        if hour > 12 {
            return Err(Trouble::Range);
        }
        self.parts.hour = hour % 12 + if afternoon { 12 } else { 0 };
        Ok(())
    }

    /// The offset in force, once date and time are known.
    fn final_offset(&self) -> Result<i32, Trouble> {
        let daylight = self.seen.has(Seen::DAYLIGHT);
        let zone = match &self.zone {
            Given::Offset if self.seen.has(Seen::ZONE) => return Ok(self.offset),
            _ if daylight => return Err(Trouble::Format),
            Given::Named(zone) if self.target == Target::TimeOfDay => {
                if let Some(offset) = zone.fixed_offset() {
                    return Ok(offset);
                }
                if !self.seen.has(Seen::DATE) {
                    return Err(Trouble::Format);
                }
                zone
            }
            Given::Named(zone) | Given::Abbreviated(zone) => zone,
            Given::Offset => {
                let local = self.local_us()?;
                return Ok(zone::offset_at_local(&self.cx.settings.time_zone, local));
            }
        };
        Ok(zone.offset_at_local(self.local_us()?))
    }

    /// The local time, on the present day where none is given.
    fn local_us(&self) -> Result<i64, Trouble> {
        let day = if !self.seen.meets(Seen::DATE) {
            self.local_now().0
        } else if self.seen.has(Seen::DATE) {
            civil::day_number(self.parts.year, self.parts.month, self.parts.day)
        } else {
            return Err(Trouble::Format);
        };
        Ok(day.saturating_mul(US_PER_DAY).saturating_add(time_us(&self.parts)))
    }
}

/// Whether the parts are no time between 00:00 and 24:00.
fn time_overflows(parts: &Parts) -> bool {
    !(0..=24).contains(&parts.hour)
        || !(0..60).contains(&parts.minute)
        || !(0..=60).contains(&parts.second)
        || !(0..=US_PER_SECOND).contains(&parts.us)
        || time_us(parts) > US_PER_DAY
}
