//! Interval output, in all `IntervalStyle`s.

use std::fmt::Write;

use super::Interval;
use crate::settings::IntervalStyle;
use crate::types::datetime::format;

/// Appends interval output in the given style.
pub fn write(interval: Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => write_postgres(interval, out),
        IntervalStyle::PostgresVerbose => write_verbose(interval, out),
        IntervalStyle::SqlStandard => write_standard(interval, out),
        IntervalStyle::Iso8601 => write_iso(interval, out),
    }
}

/// Hours, minutes, seconds, microseconds of the magnitude.
fn time_parts(us: i64) -> (u64, u64, u64, u64) {
    let magnitude = us.unsigned_abs();
    let seconds = magnitude / 1_000_000;
    (seconds / 3600, seconds / 60 % 60, seconds % 60, magnitude % 1_000_000)
}

fn write_seconds(seconds: u64, fraction: u64, out: &mut String) {
    let _ = write!(out, "{seconds}");
    format::write_fraction(i64::try_from(fraction).unwrap_or(0), out);
}

fn write_clock(us: i64, out: &mut String) {
    let (hours, minutes, seconds, fraction) = time_parts(us);
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
    format::write_fraction(i64::try_from(fraction).unwrap_or(0), out);
}

fn write_postgres(interval: Interval, out: &mut String) {
    let start = out.len();
    let mut after_negative = false;
    let parts =
        [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(' ');
        }
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{plus}{value} {unit}{plural}");
        after_negative = value < 0;
    }
    if interval.us != 0 || out.len() == start {
        if out.len() > start {
            out.push(' ');
        }
        if interval.us < 0 {
            out.push('-');
        } else if after_negative {
            out.push('+');
        }
        write_clock(interval.us, out);
    }
}

fn write_verbose(interval: Interval, out: &mut String) {
    let (hours, minutes, seconds, fraction) = time_parts(interval.us);
    let time_sign = if interval.us < 0 { -1 } else { 1 };
    out.push('@');
    let mut negative_first = None;
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX) * time_sign;
    let parts = [
        (i64::from(interval.months / 12), "year"),
        (i64::from(interval.months % 12), "mon"),
        (i64::from(interval.days), "day"),
        (signed(hours), "hour"),
        (signed(minutes), "min"),
    ];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        let negative = *negative_first.get_or_insert(value < 0);
        let shown = if negative { -value } else { value };
        let plural = if shown == 1 { "" } else { "s" };
        let _ = write!(out, " {shown} {unit}{plural}");
    }
    if seconds != 0 || fraction != 0 {
        let negative = *negative_first.get_or_insert(interval.us < 0);
        out.push_str(if negative == (interval.us < 0) { " " } else { " -" });
        write_seconds(seconds, fraction, out);
        out.push_str(if seconds == 1 && fraction == 0 { " sec" } else { " secs" });
    }
    match negative_first {
        None => out.push_str(" 0"),
        Some(true) => out.push_str(" ago"),
        Some(false) => {}
    }
}

fn write_standard(interval: Interval, out: &mut String) {
    let (hours, minutes, seconds, fraction) = time_parts(interval.us);
    let signs =
        [interval.months.signum().into(), interval.days.signum().into(), interval.us.signum()];
    let has_negative = signs.contains(&-1);
    let has_positive = signs.contains(&1);
    let has_year_month = interval.months != 0;
    let has_day = interval.days != 0;
    let has_day_time = has_day || interval.us != 0;
    let (years, months) = (interval.months / 12, interval.months % 12);
    if !has_negative && !has_positive {
        out.push('0');
    } else if (has_negative && has_positive) || (has_year_month && has_day_time) {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let _ = write!(
            out,
            "{}{}-{} {}{} {}{hours}:{minutes:02}:",
            sign(interval.months < 0),
            years.unsigned_abs(),
            months.unsigned_abs(),
            sign(interval.days < 0),
            interval.days.unsigned_abs(),
            sign(interval.us < 0),
        );
        write_padded_seconds(seconds, fraction, out);
    } else {
        if has_negative {
            out.push('-');
        }
        if has_year_month {
            let _ = write!(out, "{}-{}", years.unsigned_abs(), months.unsigned_abs());
            return;
        }
        if has_day {
            let _ = write!(out, "{} ", interval.days.unsigned_abs());
        }
        let _ = write!(out, "{hours}:{minutes:02}:");
        write_padded_seconds(seconds, fraction, out);
    }
}

fn write_padded_seconds(seconds: u64, fraction: u64, out: &mut String) {
    let _ = write!(out, "{seconds:02}");
    format::write_fraction(i64::try_from(fraction).unwrap_or(0), out);
}

fn write_iso(interval: Interval, out: &mut String) {
    if interval == Interval::default() {
        out.push_str("PT0S");
        return;
    }
    out.push('P');
    let date_parts =
        [(interval.months / 12, 'Y'), (interval.months % 12, 'M'), (interval.days, 'D')];
    for (value, designator) in date_parts {
        if value != 0 {
            let _ = write!(out, "{value}{designator}");
        }
    }
    if interval.us == 0 {
        return;
    }
    let (hours, minutes, seconds, fraction) = time_parts(interval.us);
    let sign = if interval.us < 0 { "-" } else { "" };
    out.push('T');
    for (value, designator) in [(hours, 'H'), (minutes, 'M')] {
        if value != 0 {
            let _ = write!(out, "{sign}{value}{designator}");
        }
    }
    if seconds != 0 || fraction != 0 {
        out.push_str(sign);
        write_seconds(seconds, fraction, out);
        out.push('S');
    }
}
