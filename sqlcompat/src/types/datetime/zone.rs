//! Offsets of time zones from UTC, in seconds east.
//!
//! The zone database is jiff's. Timestamps beyond its years (-9999 to 9999) use a year 400, 800, … years nearer, which has
//! the same calendar; PostgreSQL does the same.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::{US_PER_DAY, US_PER_SECOND, civil};

/// Microseconds from 1970 to 2000.
const UNIX_TO_EPOCH_US: i64 = 946_684_800 * US_PER_SECOND;
/// Microseconds in 400 years.
const ERA_US: i64 = 146_097 * US_PER_DAY;
/// The time that the zone database is asked for: years 1 to 9600.
const KNOWN_US: std::ops::Range<i64> = (-1999 * 365 * US_PER_DAY)..(19 * ERA_US);

/// Abbreviations that are read, with their offsets in seconds (manual, B.4; the default set's common part).
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("acdt", 37_800),
    ("acst", 34_200),
    ("adt", -10_800),
    ("aedt", 39_600),
    ("aest", 36_000),
    ("akdt", -28_800),
    ("akst", -32_400),
    ("art", -10_800),
    ("ast", -14_400),
    ("awst", 28_800),
    ("brt", -10_800),
    ("bst", 3600),
    ("cadt", 37_800),
    ("cast", 34_200),
    ("cat", 7200),
    ("cdt", -18_000),
    ("cest", 7200),
    ("cet", 3600),
    ("cetdst", 7200),
    ("clst", -10_800),
    ("clt", -14_400),
    ("cot", -18_000),
    ("cst", -21_600),
    ("eat", 10_800),
    ("edt", -14_400),
    ("eest", 10_800),
    ("eet", 7200),
    ("eetdst", 10_800),
    ("est", -18_000),
    ("gmt", 0),
    ("hkt", 28_800),
    ("hst", -36_000),
    ("ict", 25_200),
    ("idt", 10_800),
    ("ist", 7200),
    ("jst", 32_400),
    ("kst", 32_400),
    ("mdt", -21_600),
    ("mest", 7200),
    ("met", 3600),
    ("msd", 14_400),
    ("msk", 10_800),
    ("mst", -25_200),
    ("myt", 28_800),
    ("ndt", -9_000),
    ("nst", -12_600),
    ("nzdt", 46_800),
    ("nzst", 43_200),
    ("pdt", -25_200),
    ("pht", 28_800),
    ("pkt", 18_000),
    ("pst", -28_800),
    ("sast", 7200),
    ("sgt", 28_800),
    ("uct", 0),
    ("ut", 0),
    ("utc", 0),
    ("wast", 7200),
    ("wat", 3600),
    ("west", 3600),
    ("wet", 0),
    ("wetdst", 3600),
    ("z", 0),
    ("zulu", 0),
];

/// A time zone as it appears in input.
#[derive(Clone, Debug)]
pub enum Zone {
    /// A fixed offset in seconds east.
    Fixed(i32),
    /// A named zone.
    Named(TimeZone),
}

impl Zone {
    /// The offset at a local time.
    #[must_use]
    pub fn offset_at_local(&self, local_us: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => offset_at_local(zone, local_us),
        }
    }

    /// The offset at an instant.
    #[must_use]
    pub fn offset_at(&self, instant_us: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => offset_at(zone, instant_us),
        }
    }
}

/// The zone of that name, abbreviation or POSIX form.
#[must_use]
pub fn find(name: &str) -> Option<Zone> {
    let lower = name.to_ascii_lowercase();
    if let Ok(index) = ABBREVIATIONS.binary_search_by(|(known, _)| (*known).cmp(lower.as_str())) {
        return ABBREVIATIONS.get(index).map(|(_, offset)| Zone::Fixed(*offset));
    }
    if name.len() > 255 || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok().map(Zone::Named)
}

/// Seconds east written as `+HH[:MM[:SS]]`, `±HHMM` or `±HH`.
#[must_use]
pub fn parse_offset(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-'])?;
    let parts: Vec<&str> = digits.split(':').collect();
    let number =
        |part: &str| part.parse::<i32>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
    let (hours, minutes, seconds) = match parts.as_slice() {
        [all] if all.len() <= 2 => (number(all)?, 0, 0),
        [all] if all.len() == 3 || all.len() == 4 => {
            let (hours, minutes) = all.split_at(all.len() - 2);
            (number(hours)?, number(minutes)?, 0)
        }
        [all] if all.len() == 6 => {
            (number(all.get(..2)?)?, number(all.get(2..4)?)?, number(all.get(4..)?)?)
        }
        [hours, minutes] => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return None,
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    let total = hours * 3600 + minutes * 60 + seconds;
    Some(if text.starts_with('-') { -total } else { total })
}

/// The same moment of the calendar within the years that the zone database knows.
fn within_known(us: i64) -> i64 {
    if KNOWN_US.contains(&us) { us } else { us.rem_euclid(ERA_US) }
}

/// The zone's offset in seconds at an instant (microseconds since 2000 UTC).
#[must_use]
pub fn offset_at(zone: &TimeZone, instant_us: i64) -> i32 {
    // The first century has no more than local mean time, which any earlier time shares.
    let us = if instant_us < KNOWN_US.start { KNOWN_US.start } else { within_known(instant_us) };
    let unix = us.saturating_add(UNIX_TO_EPOCH_US);
    Timestamp::from_microsecond(unix).map_or(0, |at| zone.to_offset(at).seconds())
}

/// The zone's offset at a local time: in a gap the offset before it, in a fold the one after it, as PostgreSQL decides.
#[must_use]
pub fn offset_at_local(zone: &TimeZone, local_us: i64) -> i32 {
    let us = if local_us < KNOWN_US.start { KNOWN_US.start } else { within_known(local_us) };
    let Some(local) = local_datetime(us) else { return 0 };
    let offset: Offset = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    };
    offset.seconds()
}

fn local_datetime(us: i64) -> Option<DateTime> {
    let (day, time) = super::split(us);
    let date = civil::date(day);
    let second = time / US_PER_SECOND;
    DateTime::new(
        i16::try_from(date.year).ok()?,
        i8::try_from(date.month).ok()?,
        i8::try_from(date.day).ok()?,
        i8::try_from(second / 3600).ok()?,
        i8::try_from(second / 60 % 60).ok()?,
        i8::try_from(second % 60).ok()?,
        i32::try_from(time % US_PER_SECOND * 1000).ok()?,
    )
    .ok()
}

/// Abbreviation in force at an instant, such as `CET`.
#[must_use]
pub fn abbreviation(zone: &TimeZone, instant_us: i64) -> String {
    let unix = within_known(instant_us).saturating_add(UNIX_TO_EPOCH_US);
    Timestamp::from_microsecond(unix)
        .map_or_else(|_| String::new(), |at| zone.to_offset_info(at).abbreviation().to_owned())
}

/// Local time at an instant.
#[must_use]
pub fn to_local(zone: &TimeZone, instant_us: i64) -> i64 {
    if super::is_infinite(instant_us) {
        return instant_us;
    }
    instant_us.saturating_add(i64::from(offset_at(zone, instant_us)) * US_PER_SECOND)
}

/// The instant of a local time.
#[must_use]
pub fn to_instant(zone: &TimeZone, local_us: i64) -> i64 {
    if super::is_infinite(local_us) {
        return local_us;
    }
    local_us.saturating_sub(i64::from(offset_at_local(zone, local_us)) * US_PER_SECOND)
}
