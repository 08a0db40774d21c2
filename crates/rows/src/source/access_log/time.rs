//! The time of a line: `[10/Oct/2000:13:55:36 -0700]`.

use tarn_core::calendar::{MICROS, MICROS_PER_DAY, days_from_civil, days_in_month};

use super::fault::{Fault, fault};
use crate::source::time::month_number;

/// Bytes of a time with its brackets: every part has a fixed width, but for a fraction of the second.
const TIME_BYTES: usize = 28;

/// Where the digits of a second's fraction begin.
const FRACTION: usize = 22;

/// No place on earth is further from UTC than 14 hours; a little more is let through.
const MAX_OFFSET_MINUTES: i32 = 15 * 60 + 59;

/// Reads times. Log lines come in bursts, so the last time is kept with its result.
#[derive(Default)]
pub(super) struct TimeCache {
    last: [u8; TIME_BYTES],
    parsed: (i64, i32),
}

impl TimeCache {
    /// Reads the time at the beginning of `text`: microseconds since 1970-01-01T00:00:00Z, the
    /// minutes east of UTC that it was written with, and the text after it.
    ///
    /// A second may have a fraction; six digits of it count.
    ///
    /// Second 60 is accepted where a leap second can be, at 23:59:60 UTC, and becomes second 59:
    /// the row stays on its day.
    ///
    /// # Errors
    /// A fault that says which part is wrong.
    #[inline]
    pub(super) fn parse<'t>(&mut self, text: &'t [u8]) -> Result<(i64, i32, &'t [u8]), Fault> {
        let Some((time, rest)) = text.split_first_chunk::<TIME_BYTES>() else {
            return Err(malformed(text));
        };
        if *time != self.last {
            if time[FRACTION - 1] == b'.' {
                return with_fraction(text);
            }
            self.parsed = parse(time)?;
            self.last = *time;
        }
        Ok((self.parsed.0, self.parsed.1, rest))
    }
}

/// A time whose second has a fraction.
#[cold]
fn with_fraction(text: &[u8]) -> Result<(i64, i32, &[u8]), Fault> {
    let fraction = &text[FRACTION..];
    let length = fraction
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let zone = &fraction[length..];
    let mut whole = [0; TIME_BYTES];
    let zone_bytes = TIME_BYTES - (FRACTION - 1);
    let (Some(zone), 1..=9) = (zone.get(..zone_bytes), length) else {
        return Err(malformed(text));
    };
    whole[..FRACTION - 1].copy_from_slice(&text[..FRACTION - 1]);
    whole[FRACTION - 1..].copy_from_slice(zone);
    let (seconds, offset) = parse(&whole)?;
    let digits = fraction[..length].iter().chain(std::iter::repeat(&b'0'));
    let micros = digits
        .take(6)
        .fold(0, |sum, digit| 10 * sum + i64::from(digit - b'0'));
    Ok((
        seconds + micros,
        offset,
        &text[FRACTION + length + zone_bytes..],
    ))
}

fn malformed(text: &[u8]) -> Fault {
    fault(
        "event_time",
        "`[day/Month/year:hour:minute:second zone]`, such as `[10/Oct/2000:13:55:36 -0700]`",
        text,
    )
}

/// The numbers of a time, as they are written.
struct Parts {
    day: u32,
    year: u32,
    hour: u32,
    minute: u32,
    second: u32,
    sign: i32,
    zone_hour: u32,
    zone_minute: u32,
}

impl Parts {
    /// None where a separator is another one, or a digit is missing.
    #[inline]
    fn of(time: &[u8; TIME_BYTES]) -> Option<Self> {
        const SHAPE: [(usize, u8); 8] = [
            (0, b'['),
            (3, b'/'),
            (7, b'/'),
            (12, b':'),
            (15, b':'),
            (18, b':'),
            (21, b' '),
            (27, b']'),
        ];
        let number = |from: usize, to: usize| {
            time[from..to].iter().try_fold(0, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + u32::from(digit - b'0'))
            })
        };
        let sign = match time[22] {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let parts = Parts {
            day: number(1, 3)?,
            year: number(8, 12)?,
            hour: number(13, 15)?,
            minute: number(16, 18)?,
            second: number(19, 21)?,
            sign,
            zone_hour: number(23, 25)?,
            zone_minute: number(25, 27)?,
        };
        SHAPE
            .iter()
            .all(|&(at, byte)| time[at] == byte)
            .then_some(parts)
    }
}

fn parse(time: &[u8; TIME_BYTES]) -> Result<(i64, i32), Fault> {
    let parts = Parts::of(time).ok_or_else(|| malformed(time))?;
    let Parts {
        day,
        hour,
        minute,
        second,
        ..
    } = parts;
    let Some(month) = month_number(&time[4..7]) else {
        return Err(fault("event_time", "a month from Jan to Dec", &time[4..7]));
    };
    let year = parts.year as i32;
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
    let offset = parts.sign * (parts.zone_hour * 60 + parts.zone_minute) as i32;
    if parts.zone_minute > 59 || offset.abs() > MAX_OFFSET_MINUTES {
        return Err(fault(
            "event_time",
            "an offset from UTC from -1559 to +1559",
            &time[22..27],
        ));
    }
    let minutes = i64::from(hour * 60 + minute) - i64::from(offset);
    let minute_start =
        i64::from(days_from_civil(year, month, day)) * MICROS_PER_DAY + minutes * 60 * MICROS;
    if second == 60 && (minute_start + 60 * MICROS).rem_euclid(MICROS_PER_DAY) != 0 {
        return Err(fault(
            "event_time",
            "second 60 at 23:59:60 UTC only",
            &time[13..27],
        ));
    }
    Ok((minute_start + i64::from(second.min(59)) * MICROS, offset))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::reason::Reason;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<(i64, i32), String> {
        TimeCache::default()
            .parse(text.as_bytes())
            .map(|(time, offset, _)| (time, offset))
            .map_err(|fault| Reason::from(fault).to_string())
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
        for (text, micros) in [
            ("[01/Jan/1970:01:00:00.25 +0100]", 250_000),
            ("[01/Jan/1970:00:00:00.123456789 +0000]", 123_456),
        ] {
            assert_eq!(read(text).map(|(time, _)| time), Ok(micros), "{text}");
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
            ("[10/Oct/2024:12:00:00. +0000]", "`[day/Month/year"),
            (
                "[10/Oct/2024:12:00:00.1234567890 +0000]",
                "`[day/Month/year",
            ),
            ("[10/Oct/2024:12:00:00.5]", "`[day/Month/year"),
            ("[10/Oct/2024:12:00:00.5 GMT]", "`[day/Month/year"),
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
                (text == good).then_some((MICROS, 0, &[][..]))
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_time_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(TimeCache::default().parse(&bytes).is_ok() || bytes.len() < 1000);
        }
    }
}
