//! The session settings that change how values are read, written and computed.

use jiff::tz::{Offset, TimeZone};

use crate::schema::password::PasswordEncryption;
use crate::types::datetime::zone;

/// Settings that the types and functions read. The server's settings table is the owner; this is its typed extract.
#[derive(Clone, Debug)]
pub struct FormatSettings {
    /// `TimeZone` as an object.
    pub time_zone: TimeZone,
    /// `TimeZone` as it was set.
    pub time_zone_name: String,
    /// `DateStyle`, first part.
    pub date_style: DateStyle,
    /// `DateStyle`, second part.
    pub date_order: DateOrder,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `extra_float_digits`, -15 to 3; above 0 means the shortest exact form.
    pub extra_float_digits: i8,
    /// `bytea_output`.
    pub bytea_output: ByteaOutput,
    /// `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
    /// `check_function_bodies`.
    pub check_function_bodies: bool,
    /// `password_encryption`.
    pub password_encryption: PasswordEncryption,
}

/// First part of `DateStyle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateStyle {
    /// `2024-01-31`.
    Iso,
    /// `31/01/2024` or `01/31/2024`.
    Sql,
    /// `Wed Jan 31 …`.
    Postgres,
    /// `31.01.2024`.
    German,
}

/// Order in which an ambiguous date is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// `IntervalStyle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 day 02:03:04`.
    Postgres,
    /// `@ 1 day 2 hours 3 mins 4 secs`.
    PostgresVerbose,
    /// `1 2:03:04`.
    SqlStandard,
    /// `P1DT2H3M4S`.
    Iso8601,
}

/// `bytea_output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteaOutput {
    /// `\x…`.
    Hex,
    /// Octal escapes.
    Escape,
}

impl FormatSettings {
    /// Whether anything is set differently in `other`.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> bool {
        self.time_zone_name != other.time_zone_name
            || self.date_style != other.date_style
            || self.date_order != other.date_order
            || self.interval_style != other.interval_style
            || self.extra_float_digits != other.extra_float_digits
            || self.bytea_output != other.bytea_output
            || self.standard_conforming_strings != other.standard_conforming_strings
            || self.check_function_bodies != other.check_function_bodies
            || self.password_encryption != other.password_encryption
    }
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            time_zone: TimeZone::UTC,
            time_zone_name: "UTC".to_owned(),
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
            standard_conforming_strings: true,
            check_function_bodies: true,
            password_encryption: PasswordEncryption::Scram,
        }
    }
}

/// Finding time zones by what `SET TIME ZONE` accepts (PostgreSQL manual, `datatype-datetime` and appendix B.5).
#[derive(Debug)]
pub struct TimeZoneSetting;

impl TimeZoneSetting {
    /// The zone of a name that [`Self::canonical_name`] gave; `None` for an unknown one.
    #[must_use]
    pub fn find(name: &str) -> Option<TimeZone> {
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("gmt") {
            return Some(TimeZone::UTC);
        }
        if let Some(rule) = name.strip_prefix('<').and_then(|name| name.split_once('>')) {
            return west_of_greenwich(rule.1);
        }
        if name.contains(':') {
            return west_of_greenwich(name);
        }
        zone::time_zone(name)
    }

    /// The name to keep for a zone as it was written: a zone name in its own spelling, a POSIX rule for a number of hours
    /// (`2`, `-5.5`, positive east of Greenwich) or an interval (`INTERVAL '-02:30'`, likewise), or hours and minutes as
    /// written (`+05:30`, by POSIX positive west).
    /// `None` if there is no such zone.
    #[must_use]
    pub fn canonical_name(written: &str) -> Option<String> {
        if let Some(interval) = written.strip_prefix("INTERVAL '") {
            return interval_minutes(interval.strip_suffix('\'')?).map(posix_rule);
        }
        if let Some(minutes) = offset_minutes(written) {
            let clock = written.contains(':');
            return Some(if clock { written.to_owned() } else { posix_rule(minutes) });
        }
        if let Ok(zone) = TimeZone::get(written) {
            let name = zone.iana_name().unwrap_or(written);
            return Some(if name == "UTC" {
                written.to_ascii_uppercase()
            } else {
                name.to_owned()
            });
        }
        zone::time_zone(written).map(|_zone| written.to_owned())
    }
}

/// A fixed offset that is written with the sign counting west, as POSIX does.
fn west_of_greenwich(written: &str) -> Option<TimeZone> {
    let seconds = offset_minutes(written)? * -60;
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// The offset that an interval of at most 15:59 tells, in minutes; `None` if it has days, or seconds beyond a minute.
fn interval_minutes(text: &str) -> Option<i32> {
    const MINUTE_US: i64 = 60_000_000;
    let interval = crate::types::interval::parse(text, -1, IntervalStyle::Postgres).ok()?;
    let whole = interval.months == 0 && interval.days == 0 && interval.us % MINUTE_US == 0;
    let minutes = i32::try_from(interval.us / MINUTE_US).ok()?;
    (whole && minutes.abs() < 16 * 60).then_some(minutes)
}

/// An offset of at most 15:59 east of Greenwich, in minutes.
fn offset_minutes(written: &str) -> Option<i32> {
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, written.strip_prefix('+').unwrap_or(written)),
    };
    let (hours, minutes) = if let Some((hours, minutes)) = digits.split_once(':') {
        (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok().filter(|minutes| *minutes < 60)?)
    } else if let Some((hours, fraction)) = digits.split_once('.') {
        let tenths: u16 = fraction.chars().next()?.to_digit(10)?.try_into().ok()?;
        (hours.parse().ok()?, tenths * 6)
    } else {
        (digits.parse().ok()?, 0)
    };
    (hours < 16).then(|| sign * i32::from(hours * 60 + minutes))
}

/// `<+05:30>-05:30`: the rule's own sign counts west, its name east.
fn posix_rule(minutes: i32) -> String {
    let (east, west) = if minutes < 0 { ('-', '+') } else { ('+', '-') };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    let text = if rest == 0 { format!("{hours:02}") } else { format!("{hours:02}:{rest:02}") };
    format!("<{east}{text}>{west}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_kept_is_found_again() {
        for (written, kept) in [
            ("-05:30", "-05:30"),
            ("-3", "<-03>+03"),
            ("INTERVAL '+05:30'", "<+05:30>-05:30"),
            ("INTERVAL '+00:00'", "<+00>-00"),
            ("5.5", "<+05:30>-05:30"),
            ("europe/paris", "Europe/Paris"),
            ("utc", "UTC"),
            ("EST5EDT", "EST5EDT"),
        ] {
            let name = TimeZoneSetting::canonical_name(written);
            assert_eq!(name.as_deref(), Some(kept), "{written}");
            let zone = TimeZoneSetting::find(kept).expect("what is kept is found");
            if kept.contains("05:30") {
                let offset = zone.to_offset(jiff::Timestamp::UNIX_EPOCH);
                assert_eq!(offset.seconds(), 19_800);
            }
        }
        assert_eq!(TimeZoneSetting::canonical_name("Mars/Olympus"), None);
    }
}
