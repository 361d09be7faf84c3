//! The session settings that change how values are read, written and computed.

use jiff::tz::TimeZone;

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
        }
    }
}
