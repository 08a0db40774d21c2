//! The time of a line: `[10/Oct/2000:13:55:36 -0700]`.

use super::fault::{Fault, fault};

/// Bytes of a time with its brackets: every part has a fixed width.
pub const TIME_BYTES: usize = 28;

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// No place on earth is further from UTC than 14 hours; a little more is let through.
const MAX_OFFSET_MINUTES: i32 = 15 * 60 + 59;

/// Reads times. Log lines come in bursts, so the last time is kept with its result.
#[derive(Default)]
pub struct TimeCache {
    last: [u8; TIME_BYTES],
    parsed: (i64, i32),
}

impl TimeCache {
    /// Reads the time at the beginning of `text`: microseconds since 1970-01-01T00:00:00Z, and the
    /// minutes east of UTC that it was written with.
    ///
    /// Second 60 is accepted where a leap second can be, at 23:59:60 UTC, and becomes second 59:
    /// the row stays on its day.
    ///
    /// # Errors
    /// A fault that says which part is wrong.
    #[inline]
    pub fn parse(&mut self, text: &[u8]) -> Result<(i64, i32), Fault> {
        let Some(time) = text.first_chunk::<TIME_BYTES>() else {
            return Err(malformed(text));
        };
        if *time != self.last {
            self.parsed = parse(time)?;
            self.last = *time;
        }
        Ok(self.parsed)
    }
}

fn malformed(text: &[u8]) -> Fault {
    fault(
        "event_time",
        "`[day/Month/year:hour:minute:second zone]`, such as `[10/Oct/2000:13:55:36 -0700]`",
        text,
    )
}

fn parse(time: &[u8; TIME_BYTES]) -> Result<(i64, i32), Fault> {
    let shape = [
        (0, b'['),
        (3, b'/'),
        (7, b'/'),
        (12, b':'),
        (15, b':'),
        (18, b':'),
        (21, b' '),
        (27, b']'),
    ];
    let sign = match time[22] {
        b'+' => 1,
        b'-' => -1,
        _ => 0,
    };
    let number = |from: usize, to: usize| {
        time[from..to].iter().try_fold(0i64, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let parts = (
        number(1, 3),
        number(8, 12),
        number(13, 15),
        number(16, 18),
        number(19, 21),
        number(23, 25),
        number(25, 27),
    );
    let (
        Some(day),
        Some(year),
        Some(hour),
        Some(minute),
        Some(second),
        Some(zone_hour),
        Some(zone_minute),
    ) = parts
    else {
        return Err(malformed(time));
    };
    if sign == 0 || shape.iter().any(|&(at, byte)| time[at] != byte) {
        return Err(malformed(time));
    }
    let Some(month) = month(&time[4..7]) else {
        return Err(fault("event_time", "a month from Jan to Dec", &time[4..7]));
    };
    if day < 1 || day > days_in_month(year, month) {
        return Err(fault(
            "event_time",
            "a day that the calendar has",
            &time[1..12],
        ));
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(fault(
            "event_time",
            "a time of day from 00:00:00 to 23:59:59",
            &time[13..21],
        ));
    }
    let offset = sign * (zone_hour * 60 + zone_minute) as i32;
    if zone_minute > 59 || offset.abs() > MAX_OFFSET_MINUTES {
        return Err(fault(
            "event_time",
            "an offset from UTC from -1559 to +1559",
            &time[22..27],
        ));
    }
    let minute_start = days_since_epoch(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60
        - i64::from(offset) * 60;
    if second == 60 && (minute_start + 60).rem_euclid(DAY_SECONDS) != 0 {
        return Err(fault(
            "event_time",
            "second 60 at 23:59:60 UTC only",
            &time[13..27],
        ));
    }
    Ok(((minute_start + second.min(59)) * MICROS, offset))
}

fn month(name: &[u8]) -> Option<i64> {
    const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    NAMES
        .chunks_exact(3)
        .position(|month| month == name)
        .map(|index| index as i64 + 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the
/// leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<(i64, i32), String> {
        TimeCache::default()
            .parse(text.as_bytes())
            .map_err(|fault| fault.reason)
    }

    #[test]
    fn times_become_utc_and_keep_their_offset() {
        let cases = [
            ("[10/Oct/2000:13:55:36 -0700]", 971_211_336, -420),
            ("[01/Jan/1970:00:00:00 +0000]", 0, 0),
            ("[01/Jan/1970:05:30:00 +0530]", 0, 330),
            ("[31/Dec/1969:23:59:59 +0000]", -1, 0),
            ("[29/Feb/2024:12:00:00 +0000]", 1_709_208_000, 0),
            ("[29/Feb/2000:12:00:00 +0000]", 951_825_600, 0),
            ("[31/Dec/2016:23:59:60 +0000]", 1_483_228_799, 0),
            ("[01/Jan/2017:05:29:60 +0530]", 1_483_228_799, 330),
        ];
        for (text, seconds, offset) in cases {
            assert_eq!(read(text), Ok((seconds * MICROS, offset)), "{text}");
        }
    }

    #[test]
    fn impossible_times_are_faults_that_say_which_part_is_wrong() {
        let cases = [
            ("[31/Feb/2024:12:00:00 +0000]", "calendar"),
            ("[29/Feb/2023:12:00:00 +0000]", "calendar"),
            ("[29/Feb/1900:12:00:00 +0000]", "calendar"),
            ("[31/Apr/2024:12:00:00 +0000]", "calendar"),
            ("[00/Jan/2024:12:00:00 +0000]", "calendar"),
            ("[32/Jan/2024:12:00:00 +0000]", "calendar"),
            ("[10/Okt/2024:12:00:00 +0000]", "month"),
            ("[10/oct/2024:12:00:00 +0000]", "month"),
            ("[10/Oct/2024:24:00:00 +0000]", "time of day"),
            ("[10/Oct/2024:12:60:00 +0000]", "time of day"),
            ("[10/Oct/2024:12:00:61 +0000]", "time of day"),
            ("[10/Oct/2024:12:00:60 +0000]", "second 60"),
            ("[31/Dec/2016:23:59:60 +0100]", "second 60"),
            ("[10/Oct/2024:12:00:00 +0060]", "offset"),
            ("[10/Oct/2024:12:00:00 +2400]", "offset"),
            ("[10/Oct/2024:12:00:00 00000]", "`[day/Month/year"),
            ("[1x/Oct/2024:12:00:00 +0000]", "`[day/Month/year"),
            ("[10-Oct-2024:12:00:00 +0000]", "`[day/Month/year"),
            ("[10/Oct/2024:12:00:00 +0000)", "`[day/Month/year"),
            ("[10/Oct/2024:12:00:00]", "`[day/Month/year"),
        ];
        for (text, expected) in cases {
            let reason = read(text).expect_err(text);
            assert!(
                reason.starts_with("event_time: expected ") && reason.contains(expected),
                "{text}: {reason}"
            );
        }
    }

    #[test]
    fn a_fault_does_not_spoil_the_time_that_is_kept() {
        let mut cache = TimeCache::default();
        let good = b"[01/Jan/1970:00:00:01 +0000]";
        for text in [good, b"[32/Jan/1970:00:00:01 +0000]", good] {
            assert_eq!(
                cache.parse(text).ok(),
                (text == good).then_some((MICROS, 0))
            );
        }
    }

    proptest! {
        #[test]
        fn days_count_one_by_one(year in 0i64..3000, month in 1i64..=12) {
            let length = days_in_month(year, month);
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            prop_assert_eq!(
                days_since_epoch(year, month, length) + 1,
                days_since_epoch(next_year, next_month, 1)
            );
            for day in 1..length {
                prop_assert_eq!(days_since_epoch(year, month, day) + 1, days_since_epoch(year, month, day + 1));
            }
        }

        #[test]
        fn any_bytes_are_a_time_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(TimeCache::default().parse(&bytes).is_ok() || bytes.len() < 1000);
        }
    }
}
