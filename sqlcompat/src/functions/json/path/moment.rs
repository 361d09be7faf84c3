//! Dates and times in a path: what `.datetime()` makes of text, and how two of them compare.
//!
//! Those with a time zone keep the offset they were written with. One with and one without can only be compared by the
//! session's time zone, which the functions ending in `_tz` may use and the others may not.

use std::cmp::Ordering;

use super::run::ZoneUse;
use crate::error::{SqlError, SqlState};
use crate::functions::datetime::reading::{self, Contents};
use crate::types::datetime::{US_PER_SECOND, civil, format, round_us, split, timestamp, zone};
use jiff::tz::TimeZone;

/// The pictures that are tried where none is given.
const ISO_PICTURES: [&str; 19] = [
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
];

/// A date or time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// Days since 2000-01-01.
    Date(i64),
    /// Microseconds of the day.
    Time(i64),
    /// Local microseconds of the day, and the offset in seconds.
    TimeTz(i64, i32),
    /// Microseconds since 2000-01-01.
    Timestamp(i64),
    /// The same in UTC, and the offset in seconds.
    TimestampTz(i64, i32),
}

/// Reads text by a picture, or by the first of the ISO ones that fits.
pub(super) fn read(text: &str, picture: Option<&str>) -> Result<Moment, SqlError> {
    if let Some(picture) = picture {
        return read_by(text, picture);
    }
    let read = ISO_PICTURES.iter().find_map(|picture| read_by(text, picture).ok());
    read.ok_or_else(|| {
        let message = format!("datetime format is not recognized: \"{text}\"");
        SqlError::new(SqlState(*b"22031"), message)
            .with_hint("Use a datetime template argument to specify the input data format.")
    })
}

fn read_by(text: &str, picture: &str) -> Result<Moment, SqlError> {
    let (read, contents) = reading::read_standard(text, picture)?;
    let Contents { is_dated, is_timed, is_zoned } = contents;
    let wrong = |message: &str| Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message));
    let time = round_us(read.time_us, read.precision);
    match (is_dated, is_timed, is_zoned, read.offset) {
        (true, true, true, Some(offset)) => {
            let local = timestamp(read.day, read.time_us)?;
            let instant = local - i64::from(offset) * US_PER_SECOND;
            Ok(Moment::TimestampTz(round_us(instant, read.precision), offset))
        }
        (true, true, true, None) => wrong("missing time zone in input string for type timestamptz"),
        (true, true, false, _) => {
            let local = timestamp(read.day, read.time_us)?;
            Ok(Moment::Timestamp(round_us(local, read.precision)))
        }
        (true, false, true, _) => wrong("datetime format is zoned but not timed"),
        (true, false, false, _) => reading::check_day(read.day, text).map(Moment::Date),
        (false, true, true, Some(offset)) => Ok(Moment::TimeTz(time, offset)),
        (false, true, true, None) => wrong("missing time zone in input string for type timetz"),
        (false, true, false, _) => Ok(Moment::Time(time)),
        (false, false, ..) => wrong("datetime format is not dated and not timed"),
    }
}

impl Moment {
    /// `.type()`.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time without time zone",
            Self::TimeTz(..) => "time with time zone",
            Self::Timestamp(_) => "timestamp without time zone",
            Self::TimestampTz(..) => "timestamp with time zone",
        }
    }

    /// The type's name in messages.
    fn short_name(self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::TimeTz(..) => "timetz",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(..) => "timestamptz",
        }
    }

    /// Order of two moments; `None` where they have none: a date and a time of day.
    ///
    /// # Errors
    /// 0A000 where only a time zone could tell, and may not.
    pub(super) fn compare(
        self,
        other: Self,
        zone_use: ZoneUse,
        time_zone: &TimeZone,
    ) -> Result<Option<Ordering>, SqlError> {
        let needs_zone = |from: Self, to: Self| {
            if zone_use == ZoneUse::Allowed {
                return Ok(());
            }
            let message = format!(
                "cannot convert value from {} to {} without time zone usage",
                from.short_name(),
                to.short_name()
            );
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .with_hint("Use *_tz() function for time zone support."))
        };
        let order = match (self, other) {
            (Self::Date(left), Self::Date(right)) | (Self::Time(left), Self::Time(right)) => {
                left.cmp(&right)
            }
            (Self::Time(left), Self::TimeTz(..)) => {
                needs_zone(self, other)?;
                compare_times((left, current_offset(time_zone)), other)
            }
            (Self::TimeTz(left, offset), Self::TimeTz(..)) => compare_times((left, offset), other),
            (Self::TimestampTz(left, _), Self::TimestampTz(right, _)) => left.cmp(&right),
            (Self::TimeTz(..), Self::Time(_)) => {
                return Ok(other.compare(self, zone_use, time_zone)?.map(Ordering::reverse));
            }
            (Self::Time(_) | Self::TimeTz(..), _) | (_, Self::Time(_) | Self::TimeTz(..)) => {
                return Ok(None);
            }
            (left, Self::TimestampTz(right, _)) => {
                needs_zone(left, other)?;
                left.instant(time_zone).cmp(&right)
            }
            (Self::TimestampTz(left, _), right) => {
                needs_zone(right, self)?;
                left.cmp(&right.instant(time_zone))
            }
            (left, right) => left.local().cmp(&right.local()),
        };
        Ok(Some(order))
    }

    /// Local microseconds of a date or timestamp.
    fn local(self) -> i128 {
        match self {
            Self::Date(day) => i128::from(day) * i128::from(24 * 3600 * US_PER_SECOND),
            Self::Timestamp(local) => local.into(),
            Self::Time(_) | Self::TimeTz(..) | Self::TimestampTz(..) => 0,
        }
    }

    /// The instant of a date or timestamp in a time zone; the ends of time for what is beyond them.
    fn instant(self, time_zone: &TimeZone) -> i64 {
        match i64::try_from(self.local()) {
            Ok(local) => zone::to_instant(time_zone, local),
            Err(_) if self.local() < 0 => i64::MIN,
            Err(_) => i64::MAX,
        }
    }
}

/// The offset that a time of day without a date has.
fn current_offset(time_zone: &TimeZone) -> i32 {
    zone::offset_at(time_zone, 0)
}

/// Order of times with offsets: by instant, then the more eastern first.
fn compare_times((left, offset): (i64, i32), other: Moment) -> Ordering {
    let Moment::TimeTz(right, other_offset) = other else { return Ordering::Equal };
    let instant = |local: i64, offset: i32| local - i64::from(offset) * US_PER_SECOND;
    instant(left, offset).cmp(&instant(right, other_offset)).then_with(|| other_offset.cmp(&offset))
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        match *self {
            Self::Date(day) => write_date(day, &mut out),
            Self::Time(time) => format::write_time(time, &mut out),
            Self::TimeTz(time, offset) => {
                format::write_time(time, &mut out);
                write_json_offset(offset, &mut out);
            }
            Self::Timestamp(local) => write_timestamp(local, &mut out),
            Self::TimestampTz(instant, offset) => {
                write_timestamp(instant + i64::from(offset) * US_PER_SECOND, &mut out);
                write_json_offset(offset, &mut out);
            }
        }
        f.write_str(&out)
    }
}

fn write_date(day: i64, out: &mut String) {
    let date = civil::date(day);
    let (year, era) = if date.year > 0 { (date.year, "") } else { (1 - date.year, " BC") };
    out.push_str(&format!("{year:04}-{:02}-{:02}{era}", date.month, date.day));
}

fn write_timestamp(local: i64, out: &mut String) {
    let (day, time) = split(local);
    let date = civil::date(day);
    let (year, era) = if date.year > 0 { (date.year, "") } else { (1 - date.year, " BC") };
    out.push_str(&format!("{year:04}-{:02}-{:02}T", date.month, date.day));
    format::write_time(time, out);
    out.push_str(era);
}

/// An offset as JSON has it: always with minutes.
fn write_json_offset(offset: i32, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    out.push_str(&format!("{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60));
}
