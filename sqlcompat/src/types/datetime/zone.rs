//! Offsets of time zones from UTC, in seconds east.
//!
//! The zone database is jiff's. Timestamps beyond its years (-9999 to 9999) use a year 400, 800, … years nearer, which has
//! the same calendar; PostgreSQL does the same.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::abbreviation::{self, Meaning};
use super::field::{Trouble, leading_i32};
use super::{US_PER_DAY, US_PER_SECOND, civil};

/// Microseconds from 1970 to 2000.
const UNIX_TO_EPOCH_US: i64 = 946_684_800 * US_PER_SECOND;
/// Microseconds in 400 years.
const ERA_US: i64 = 146_097 * US_PER_DAY;
/// The time that the zone database is asked for: years 1 to 9600.
const KNOWN_US: std::ops::Range<i64> = (-1999 * 365 * US_PER_DAY)..(19 * ERA_US);

/// A time zone as it appears in input.
#[derive(Clone, Debug)]
pub enum Zone {
    /// A fixed offset in seconds east.
    Fixed(i32),
    /// A named zone.
    Named(TimeZone),
    /// What a zone uses an abbreviation for, which has changed over the years.
    Abbreviated(TimeZone, String),
}

impl Zone {
    /// The offset at a local time.
    #[must_use]
    pub fn offset_at_local(&self, local_us: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => offset_at_local(zone, local_us),
            Self::Abbreviated(zone, name) => {
                let offset = offset_at_local(zone, local_us);
                let instant = local_us.saturating_sub(i64::from(offset) * US_PER_SECOND);
                abbreviated(zone, name, instant).unwrap_or(offset)
            }
        }
    }

    /// The offset at an instant.
    #[must_use]
    pub fn offset_at(&self, instant_us: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => offset_at(zone, instant_us),
            Self::Abbreviated(zone, name) => {
                abbreviated(zone, name, instant_us).unwrap_or_else(|| offset_at(zone, instant_us))
            }
        }
    }

    /// The offset of a zone that never had another one.
    #[must_use]
    pub fn fixed_offset(&self) -> Option<i32> {
        match self {
            Self::Fixed(offset) => Some(*offset),
            Self::Named(zone) => zone.to_fixed_offset().ok().map(Offset::seconds).or_else(|| {
                let now = Timestamp::UNIX_EPOCH;
                let changes = zone.preceding(now).next().or(zone.following(now).next());
                changes.is_none().then(|| zone.to_offset(now).seconds())
            }),
            Self::Abbreviated(..) => None,
        }
    }
}

/// What a zone uses an abbreviation for at an instant, in seconds east.
fn abbreviated(zone: &TimeZone, name: &str, instant_us: i64) -> Option<i32> {
    let unix = within_known(instant_us).saturating_add(UNIX_TO_EPOCH_US);
    let at = Timestamp::from_microsecond(unix).ok()?;
    abbreviation::use_in(zone, name, at).map(|(offset, _)| offset.seconds())
}

/// The zone of that abbreviation, name or POSIX form.
#[must_use]
pub fn find(name: &str) -> Option<Zone> {
    match abbreviation::find(name) {
        Some(Meaning::Offset(seconds, _)) => Some(Zone::Fixed(seconds)),
        Some(Meaning::Zone(zone)) => {
            TimeZone::get(zone).ok().map(|it| Zone::Abbreviated(it, name.to_owned()))
        }
        None => find_named(name),
    }
}

/// The zone of that name or POSIX form, abbreviations left out.
#[must_use]
pub fn find_named(name: &str) -> Option<Zone> {
    if name.len() > 255 || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    time_zone(name).map(Zone::Named)
}

/// The zone of a name or of a POSIX rule; one with daylight saving time and no days for it changes as the United States do.
#[must_use]
pub fn time_zone(name: &str) -> Option<TimeZone> {
    const DAYLIGHT_RULE: &str = ",M3.2.0,M11.1.0";
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    if let Ok(zone) = TimeZone::posix(name) {
        return Some(zone);
    }
    TimeZone::posix(&format!("{name}{DAYLIGHT_RULE}")).ok()
}

/// Seconds east written as `+HH[:MM[:SS]]`, `±HHMM` or `±HH`.
///
/// # Errors
/// `Format`, and `OffsetRange` from 16 hours on.
pub(in crate::types) fn decode_offset(text: &str) -> Result<i32, Trouble> {
    let digits = text.strip_prefix(['+', '-']).ok_or(Trouble::Format)?;
    let number = |text| leading_i32(text).map_err(|_range| Trouble::OffsetRange);
    let (mut hours, mut rest) = number(digits)?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minutes, rest) = number(after)?;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = number(after)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    let valid =
        (0..=15).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    let total = hours * 3600 + minutes * 60 + seconds;
    let total = i32::try_from(total).ok().filter(|_| valid).ok_or(Trouble::OffsetRange)?;
    if !rest.is_empty() {
        return Err(Trouble::Format);
    }
    Ok(if text.starts_with('-') { -total } else { total })
}

/// The same; `None` if it is no offset, or one of 16 hours or more.
#[must_use]
pub fn parse_offset(text: &str) -> Option<i32> {
    decode_offset(text).ok()
}

/// Whether a text is an offset of 16 hours or more.
#[must_use]
pub fn is_offset_out_of_range(text: &str) -> bool {
    decode_offset(text) == Err(Trouble::OffsetRange)
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
