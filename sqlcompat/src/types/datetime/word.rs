//! The words that date, time and interval input knows, other than time zones.
//!
//! A word is looked up by its first ten letters, so that `microseconds` and `millenniums` are found as what they begin with.
//!
//! # Sources
//! PostgreSQL 15 manual, 8.5.1.4, 8.5.4 and appendix B.3.

/// Letters of a word that count.
const LETTERS: usize = 10;

/// Values of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::types) enum Special {
    /// 1970-01-01 00:00 UTC.
    Epoch,
    /// The start of the transaction.
    Now,
    /// Later than all.
    Infinity,
    /// Earlier than all.
    NegativeInfinity,
    /// A day, by its distance from today.
    Today(i64),
    /// Midnight UTC.
    AllBalls,
}

/// A unit, as a label of the number that follows (dates and times) or precedes (intervals).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::types) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
    /// The day number of astronomers.
    Julian,
    /// What ISO 8601's `T` announces.
    Time,
    /// A word that takes the place of a unit and is none for input.
    Other,
}

/// What a word of a date or time says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::types) enum Word {
    Special(Special),
    /// 1 to 12.
    Month(i64),
    Weekday,
    /// Whether the hour is one of the afternoon.
    Meridian(bool),
    /// Whether the year is one before Christ.
    Era(bool),
    /// An hour of daylight saving.
    Daylight,
    /// Labels the number that follows.
    Label(Unit),
    /// ISO 8601's `T`.
    TimeMarker,
    Ignored,
}

/// The part of a word that counts.
fn key(word: &str) -> &str {
    word.get(..LETTERS).unwrap_or(word)
}

/// What a word in small letters says in a date or time.
pub(in crate::types) fn find(word: &str) -> Option<Word> {
    let word = key(word);
    Some(match word {
        "-infinity" => Word::Special(Special::NegativeInfinity),
        "infinity" => Word::Special(Special::Infinity),
        "epoch" => Word::Special(Special::Epoch),
        "now" => Word::Special(Special::Now),
        "yesterday" => Word::Special(Special::Today(-1)),
        "today" => Word::Special(Special::Today(0)),
        "tomorrow" => Word::Special(Special::Today(1)),
        "allballs" => Word::Special(Special::AllBalls),
        "am" => Word::Meridian(false),
        "pm" => Word::Meridian(true),
        "ad" => Word::Era(false),
        "bc" => Word::Era(true),
        "at" | "on" => Word::Ignored,
        "dst" => Word::Daylight,
        "t" => Word::TimeMarker,
        "y" => Word::Label(Unit::Year),
        "m" => Word::Label(Unit::Month),
        "d" => Word::Label(Unit::Day),
        "h" => Word::Label(Unit::Hour),
        "mm" => Word::Label(Unit::Minute),
        "s" => Word::Label(Unit::Second),
        "j" | "jd" | "julian" => Word::Label(Unit::Julian),
        "dow" | "doy" | "isodow" | "isoyear" => Word::Label(Unit::Other),
        _ => return month_of(word).map(Word::Month).or_else(|| weekday_of(word)),
    })
}

fn month_of(word: &str) -> Option<i64> {
    Some(match word {
        "jan" | "january" => 1,
        "feb" | "february" => 2,
        "mar" | "march" => 3,
        "apr" | "april" => 4,
        "may" => 5,
        "jun" | "june" => 6,
        "jul" | "july" => 7,
        "aug" | "august" => 8,
        "sep" | "sept" | "september" => 9,
        "oct" | "october" => 10,
        "nov" | "november" => 11,
        "dec" | "december" => 12,
        _ => return None,
    })
}

fn weekday_of(word: &str) -> Option<Word> {
    let known = matches!(
        word,
        "sun"
            | "sunday"
            | "mon"
            | "monday"
            | "tue"
            | "tues"
            | "tuesday"
            | "wed"
            | "weds"
            | "wednesday"
            | "thu"
            | "thur"
            | "thurs"
            | "thursday"
            | "fri"
            | "friday"
            | "sat"
            | "saturday"
    );
    known.then_some(Word::Weekday)
}

/// The unit that a word in small letters names in an interval.
pub(in crate::types) fn interval_unit(word: &str) -> Option<Unit> {
    Some(match key(word) {
        "us" | "usec" | "usecs" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "qtr" | "quarter" | "timezone" | "timezone_h" | "timezone_m" => Unit::Other,
        _ => return None,
    })
}
