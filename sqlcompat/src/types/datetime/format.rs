//! Output of dates, times and timestamps in the four `DateStyle`s.

use std::fmt::Write;

use super::{US_PER_SECOND, civil, zone};
use crate::settings::{DateOrder, DateStyle, FormatSettings};

/// Three-letter day names from Sunday.
pub const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// Three-letter month names.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends `HH:MM:SS[.ffffff]` without trailing zeros.
pub fn write_time(time_us: i64, out: &mut String) {
    let second = time_us / US_PER_SECOND;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    push_two(hour, out);
    out.push(':');
    push_two(minute, out);
    out.push(':');
    push_two(second, out);
    write_fraction(time_us % US_PER_SECOND, out);
}

fn push_two(value: i64, out: &mut String) {
    let _ = write!(out, "{value:02}");
}

/// Appends `.ffffff` without trailing zeros, nothing for 0.
pub fn write_fraction(fraction_us: i64, out: &mut String) {
    if fraction_us == 0 {
        return;
    }
    let digits = format!("{:06}", fraction_us.abs());
    out.push('.');
    out.push_str(digits.trim_end_matches('0'));
}

/// Appends an offset: `+HH[:MM[:SS]]`.
pub fn write_offset(offset_seconds: i32, out: &mut String) {
    let sign = if offset_seconds < 0 { '-' } else { '+' };
    let total = offset_seconds.unsigned_abs();
    let _ = write!(out, "{sign}{:02}", total / 3600);
    if !total.is_multiple_of(3600) {
        let _ = write!(out, ":{:02}", total / 60 % 60);
    }
    if !total.is_multiple_of(60) {
        let _ = write!(out, ":{:02}", total % 60);
    }
}

/// Year as shown, and whether it is BC.
fn era(year: i64) -> (i64, bool) {
    if year > 0 { (year, false) } else { (1 - year, true) }
}

/// Appends a date.
pub fn write_date(day: i64, settings: &FormatSettings, out: &mut String) {
    if day == super::DATE_MIN || day == super::DATE_MAX {
        out.push_str(if day < 0 { "-infinity" } else { "infinity" });
        return;
    }
    let date = civil::date(day);
    let (year, before_christ) = era(date.year);
    let (month, day) = (date.month, date.day);
    let day_first = settings.date_order == DateOrder::Dmy;
    let _ = match settings.date_style {
        DateStyle::Iso => write!(out, "{year:04}-{month:02}-{day:02}"),
        DateStyle::Sql if day_first => write!(out, "{day:02}/{month:02}/{year:04}"),
        DateStyle::Sql => write!(out, "{month:02}/{day:02}/{year:04}"),
        DateStyle::German => write!(out, "{day:02}.{month:02}.{year:04}"),
        DateStyle::Postgres if day_first => write!(out, "{day:02}-{month:02}-{year:04}"),
        DateStyle::Postgres => write!(out, "{month:02}-{day:02}-{year:04}"),
    };
    if before_christ {
        out.push_str(" BC");
    }
}

/// Appends a timestamp.
pub fn write_timestamp(timestamp: i64, settings: &FormatSettings, out: &mut String) {
    if !write_infinity(timestamp, out) {
        write_local(timestamp, settings, None, out);
    }
}

/// Appends a timestamp with time zone, in the session's zone.
pub fn write_timestamptz(timestamp: i64, settings: &FormatSettings, out: &mut String) {
    if write_infinity(timestamp, out) {
        return;
    }
    let offset = zone::offset_at(&settings.time_zone, timestamp);
    let local = timestamp.saturating_add(i64::from(offset) * US_PER_SECOND);
    write_local(local, settings, Some((offset, timestamp)), out);
}

fn write_infinity(timestamp: i64, out: &mut String) -> bool {
    if super::is_infinite(timestamp) {
        out.push_str(if timestamp < 0 { "-infinity" } else { "infinity" });
        return true;
    }
    false
}

/// Appends a local time; `zone` is its offset and the instant.
fn write_local(local: i64, settings: &FormatSettings, zone: Option<(i32, i64)>, out: &mut String) {
    let (day_number, time) = super::split(local);
    let date = civil::date(day_number);
    let (year, before_christ) = era(date.year);
    let (month, day) = (date.month, date.day);
    let day_first = settings.date_order == DateOrder::Dmy;
    let style = settings.date_style;
    if style == DateStyle::Postgres {
        let weekday = usize::try_from(civil::day_of_week(day_number)).unwrap_or(0);
        let month_name = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
        let _ = if day_first {
            write!(out, "{} {day:02} {month_name} ", DAYS[weekday])
        } else {
            write!(out, "{} {month_name} {day:02} ", DAYS[weekday])
        };
        write_time(time, out);
        let _ = write!(out, " {year:04}");
    } else {
        let _ = match style {
            DateStyle::Sql if day_first => write!(out, "{day:02}/{month:02}/{year:04} "),
            DateStyle::Sql => write!(out, "{month:02}/{day:02}/{year:04} "),
            DateStyle::German => write!(out, "{day:02}.{month:02}.{year:04} "),
            DateStyle::Iso | DateStyle::Postgres => write!(out, "{year:04}-{month:02}-{day:02} "),
        };
        write_time(time, out);
    }
    if let Some((offset, instant)) = zone {
        write_zone(offset, instant, settings, out);
    }
    if before_christ {
        out.push_str(" BC");
    }
}

fn write_zone(offset: i32, instant: i64, settings: &FormatSettings, out: &mut String) {
    let name = match settings.date_style {
        DateStyle::Iso => String::new(),
        DateStyle::Sql | DateStyle::Postgres | DateStyle::German => {
            zone::abbreviation(&settings.time_zone, instant)
        }
    };
    if settings.date_style != DateStyle::Iso {
        out.push(' ');
    }
    if name.is_empty() || name.starts_with(['+', '-']) {
        write_offset(offset, out);
    } else {
        out.push_str(&name);
    }
}
