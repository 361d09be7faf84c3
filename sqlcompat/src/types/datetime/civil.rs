//! The proleptic Gregorian calendar over day numbers, after Howard Hinnant's `days_from_civil`.

/// A calendar date. The year is astronomical: 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year; 0 and below are BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH_SHIFT: i64 = 730_425;
/// Days in 400 years.
const DAYS_PER_ERA: i64 = 146_097;

/// Day number of a date; month and day may lie outside their ranges by any amount of days.
#[must_use]
pub fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = (month + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_SHIFT
}

/// The date of a day number.
#[must_use]
pub fn date(day: i64) -> Date {
    let shifted = day + EPOCH_SHIFT;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date { year, month, day: day_of_year - (153 * month_index + 2) / 5 + 1 }
}

/// Whether the year has 366 days.
#[must_use]
pub fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Days in a month, 1 to 12.
#[must_use]
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week, 0 is Sunday.
#[must_use]
pub fn day_of_week(day: i64) -> i64 {
    (day + 6).rem_euclid(7)
}

/// Day of the year, from 1.
#[must_use]
pub fn day_of_year(date: Date) -> i64 {
    day_number(date.year, date.month, date.day) - day_number(date.year, 1, 1) + 1
}

/// ISO 8601 year and week of a day number.
#[must_use]
pub fn iso_week(day: i64) -> (i64, i64) {
    // The Thursday of the week decides which year it belongs to.
    let weekday = (day_of_week(day) + 6) % 7;
    let thursday = day - weekday + 3;
    let year = date(thursday).year;
    (year, (thursday - day_number(year, 1, 1)) / 7 + 1)
}

/// Day number of the Monday of an ISO week.
#[must_use]
pub fn iso_week_start(year: i64, week: i64) -> i64 {
    let fourth = day_number(year, 1, 4);
    fourth - (day_of_week(fourth) + 6) % 7 + (week - 1) * 7
}

/// Julian day number, as PostgreSQL counts it.
#[must_use]
pub fn julian_day(day: i64) -> i64 {
    day + 2_451_545
}
