//! Days, months and instants as numbers: days since 1970-01-01, microseconds since 1970-01-01T00:00:00Z.

use crate::schema::PartitionUnit;

/// Microseconds per second.
pub const MICROS: i64 = 1_000_000;

/// Microseconds per day.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS;

/// The first instant of the year 1.
pub const FIRST_INSTANT: i64 = days_from_civil(1, 1, 1) as i64 * MICROS_PER_DAY;

/// The first instant after the year 9999.
pub const AFTER_LAST_INSTANT: i64 = days_from_civil(10_000, 1, 1) as i64 * MICROS_PER_DAY;

/// An instant in microseconds if its year is 1 to 9999, as in ISO 8601.
#[inline]
pub fn in_range(micros: i64) -> Option<i64> {
    (FIRST_INSTANT..AFTER_LAST_INSTANT)
        .contains(&micros)
        .then_some(micros)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
pub const fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month as i32 + 9) % 12) + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How many days a month of the proleptic Gregorian calendar has; `month` is 1 to 12.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day, or None where the calendar has no such day.
pub fn day(year: i32, month: u32, day: u32) -> Option<i32> {
    let exists = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day);
    exists.then(|| days_from_civil(year, month, day))
}

/// Microseconds since midnight, or None where there is no such time of day. A leap second is not a time
/// of day, because Unix time does not count it.
pub fn time_of_day(hour: u32, minute: u32, second: u32, micros: u32) -> Option<i64> {
    let exists = hour < 24 && minute < 60 && second < 60;
    exists.then(|| i64::from(hour * 3600 + minute * 60 + second) * MICROS + i64::from(micros))
}

/// The month of a day, as months since 1970-01: Iceberg's `month` transform.
fn month_of_day(day: i32) -> i32 {
    // Civil-from-days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 2
    } else {
        shifted - 10
    };
    let year = year_of_era + era * 400 + i64::from(month <= 1);
    ((year - 1970) * 12 + month) as i32
}

/// The partition of a day number: the day itself, or its month.
pub fn partition_of_day(day: i32, unit: PartitionUnit) -> i32 {
    match unit {
        PartitionUnit::Day => day,
        PartitionUnit::Month => month_of_day(day),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn days_count_one_by_one(year in 0i32..3000, month in 1u32..=12) {
            let length = days_in_month(year, month);
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            prop_assert_eq!(
                days_from_civil(year, month, length) + 1,
                days_from_civil(next_year, next_month, 1)
            );
            for day in 1..length {
                prop_assert_eq!(days_from_civil(year, month, day) + 1, days_from_civil(year, month, day + 1));
            }
        }

        #[test]
        fn the_month_of_a_day_is_the_calendars(day in -700_000i32..700_000) {
            let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Duration::days(i64::from(day));
            prop_assert_eq!(month_of_day(day), (date.year() - 1970) * 12 + date.month0() as i32);
        }
    }
}
