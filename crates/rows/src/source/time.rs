//! Instants and days as sources write them.

use tarn_core::calendar::{MICROS, MICROS_PER_DAY, day, in_range, time_of_day};

/// What is wrong with the text of an instant or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has another form.
    Form,
    /// The form is right, but the calendar has no such day.
    NoSuchDay,
    /// The form is right, but there is no such time of day or offset.
    NoSuchTime,
}

/// `N` digits at `at`.
#[inline]
fn number<const N: usize>(text: &[u8], at: usize) -> Result<u32, Fault> {
    let digits = text
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .ok_or(Fault::Form)?;
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Fault::Form);
        }
        value = value * 10 + u32::from(digit - b'0');
    }
    Ok(value)
}

#[inline]
fn is(text: &[u8], at: usize, byte: u8) -> bool {
    text.get(at) == Some(&byte)
}

/// `YYYY-MM-DD` at the start of a text, as days since 1970-01-01.
#[inline]
fn leading_date(text: &[u8]) -> Result<i32, Fault> {
    let (year, month, date) = (
        number::<4>(text, 0)?,
        number::<2>(text, 5)?,
        number::<2>(text, 8)?,
    );
    if !is(text, 4, b'-') || !is(text, 7, b'-') {
        return Err(Fault::Form);
    }
    day(year as i32, month, date).ok_or(Fault::NoSuchDay)
}

/// A day: `YYYY-MM-DD`, or an instant that is a midnight and names no offset.
pub fn date(text: &[u8]) -> Result<i32, Fault> {
    let days = leading_date(text)?;
    match text.get(10..) {
        Some([]) => Ok(days),
        Some(rest)
            if matches!(rest.last(), Some(b'0'))
                && !rest[1..].iter().any(|b| matches!(b, b'+' | b'-')) =>
        {
            let micros = timestamp(text)?;
            if micros == i64::from(days) * MICROS_PER_DAY {
                Ok(days)
            } else {
                Err(Fault::Form)
            }
        }
        _ => Err(Fault::Form),
    }
}

/// An instant in microseconds since 1970-01-01T00:00:00Z, by ISO 8601 and RFC 3339: `YYYY-MM-DD`,
/// then perhaps `T` or a space and `HH:MM`, `:SS`, a fraction, and `Z` or an offset `±HH`, `±HHMM`,
/// `±HH:MM`. Without an offset it is UTC. Digits of the fraction after the sixth are dropped.
#[inline]
pub fn timestamp(text: &[u8]) -> Result<i64, Fault> {
    timestamp_with_offset(text).map(|(micros, _)| micros)
}

/// As [`timestamp`], with the minutes east of UTC, where the text says them.
#[inline]
pub(crate) fn timestamp_with_offset(text: &[u8]) -> Result<(i64, Option<i32>), Fault> {
    let days = leading_date(text)?;
    let midnight = i64::from(days) * MICROS_PER_DAY;
    match text.get(10) {
        None => return Ok((midnight, None)),
        Some(b'T' | b't' | b' ') => {}
        Some(_) => return Err(Fault::Form),
    }
    let (hour, minute) = (number::<2>(text, 11)?, number::<2>(text, 14)?);
    if !is(text, 13, b':') {
        return Err(Fault::Form);
    }
    let mut at = 16;
    let (mut second, mut micros) = (0, 0);
    if is(text, at, b':') {
        second = number::<2>(text, at + 1)?;
        at += 3;
        if is(text, at, b'.') || is(text, at, b',') {
            let digits = text.get(at + 1..).unwrap_or_default();
            let count = digits
                .iter()
                .take_while(|digit| digit.is_ascii_digit())
                .count();
            if count == 0 {
                return Err(Fault::Form);
            }
            let mut unit = 100_000;
            for digit in digits.iter().take(count.min(6)) {
                micros += u32::from(digit - b'0') * unit;
                unit /= 10;
            }
            at += 1 + count;
        }
    }
    let zone = text.get(at..).unwrap_or_default();
    let offset = offset_minutes(zone)?;
    let time = time_of_day(hour, minute, second, micros).ok_or(Fault::NoSuchTime)?;
    let instant = in_range(midnight + time - offset * 60 * MICROS).ok_or(Fault::NoSuchTime)?;
    Ok((instant, (!zone.is_empty()).then_some(offset as i32)))
}

/// Minutes that a text like `Z`, `+02`, `+0200` or `-03:30` is ahead of UTC; 0 for none.
#[inline]
fn offset_minutes(text: &[u8]) -> Result<i64, Fault> {
    let (sign, hours, minutes) = match text {
        [] | [b'Z' | b'z'] => return Ok(0),
        [sign @ (b'+' | b'-'), hours @ ..] => {
            let minutes = match hours.len() {
                2 => 0,
                4 => number::<2>(hours, 2)?,
                5 if is(hours, 2, b':') => number::<2>(hours, 3)?,
                _ => return Err(Fault::Form),
            };
            (
                if *sign == b'-' { -1 } else { 1 },
                number::<2>(hours, 0)?,
                minutes,
            )
        }
        _ => return Err(Fault::Form),
    };
    if hours > 23 || minutes > 59 {
        return Err(Fault::NoSuchTime);
    }
    Ok(sign * i64::from(hours * 60 + minutes))
}

/// The number of an English month's first three letters, 1 for `Jan`.
pub(crate) fn month_number(name: &[u8]) -> Option<u32> {
    const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    NAMES
        .chunks_exact(3)
        .zip(1..)
        .find(|(month, _)| *month == name)
        .map(|(_, number)| number)
}

/// An instant as the X/Twitter API v1.1 writes it: `Fri Sep 07 16:35:24 +0000 2012`.
pub(crate) fn twitter_timestamp(text: &[u8]) -> Result<i64, Fault> {
    let month = text.get(4..7).and_then(month_number).ok_or(Fault::Form)?;
    let date = number::<2>(text, 8)?;
    let (hour, minute, second) = (
        number::<2>(text, 11)?,
        number::<2>(text, 14)?,
        number::<2>(text, 17)?,
    );
    let offset = offset_minutes(text.get(20..25).ok_or(Fault::Form)?)?;
    let year = number::<4>(text, 26)?;
    let spaced = [3, 7, 10, 19, 25].iter().all(|&at| is(text, at, b' '));
    if !spaced || !is(text, 13, b':') || !is(text, 16, b':') || text.len() != 30 {
        return Err(Fault::Form);
    }
    let days = day(year as i32, month, date).ok_or(Fault::NoSuchDay)?;
    let time = time_of_day(hour, minute, second, 0).ok_or(Fault::NoSuchTime)?;
    in_range(i64::from(days) * MICROS_PER_DAY + time - offset * 60 * MICROS)
        .ok_or(Fault::NoSuchTime)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use tarn_core::calendar::{AFTER_LAST_INSTANT, FIRST_INSTANT, days_from_civil};

    use super::*;
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_micros()
    }

    #[test]
    fn an_instant_is_read_in_each_form() {
        for (text, same) in [
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T10:11", "2026-01-31T10:11:00Z"),
            ("2026-01-31 10:11:12", "2026-01-31T10:11:12Z"),
            ("2026-01-31 10:11:12.5", "2026-01-31T10:11:12.500Z"),
            (
                "2026-01-31T10:11:12.123456789Z",
                "2026-01-31T10:11:12.123456Z",
            ),
            ("2026-01-31T10:11:12+02:00", "2026-01-31T08:11:12Z"),
            ("2026-01-31T10:11:12-0330", "2026-01-31T13:41:12Z"),
            ("2026-01-31t10:11:12+02", "2026-01-31T08:11:12Z"),
            ("0001-01-01", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Ok(micros(same)), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2026",
            "2026-1-31",
            "2026-01-31T",
            "2026-01-31T10",
            "2026-01-31X10:00:00",
            "2026-01-31T10:00:00.",
            "2026-01-31T10:00:00 Z",
            "2026-01-31T10:00:00Z ",
            "2026-01-31T10:00:00+1",
            "31/01/2026",
            "2026-01-31T1O:00:00Z",
        ] {
            assert_eq!(timestamp(text.as_bytes()), Err(Fault::Form), "{text}");
        }
        for text in [
            "2026-02-31",
            "2025-02-29",
            "1900-02-29T00:00:00Z",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "0000-01-01",
        ] {
            assert_eq!(timestamp(text.as_bytes()), Err(Fault::NoSuchDay), "{text}");
        }
        for text in [
            "2026-01-31T24:00:00Z",
            "2026-01-31T10:60:00Z",
            "2026-06-30T23:59:60Z",
            "2026-01-31T10:00:00+24:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert_eq!(timestamp(text.as_bytes()), Err(Fault::NoSuchTime), "{text}");
        }
    }

    #[test]
    fn a_day_may_be_written_as_its_midnight() {
        for text in [
            "2024-02-29",
            "2024-02-29 00:00:00",
            "2024-02-29T00:00:00.000",
        ] {
            assert_eq!(
                date(text.as_bytes()),
                Ok(days_from_civil(2024, 2, 29)),
                "{text}"
            );
        }
        for text in [
            "2024-02-29 10:00:00",
            "2024-02-29T00:00:00+00",
            "2024-02-29T00:00:00Z",
            "2024-02-29T",
            "2024-02-290",
        ] {
            assert_eq!(date(text.as_bytes()), Err(Fault::Form), "{text}");
        }
        assert_eq!(date(b"2025-02-31"), Err(Fault::NoSuchDay));
    }

    #[test]
    fn the_form_of_twitter_is_read() {
        let read = |text: &str| twitter_timestamp(text.as_bytes());
        assert_eq!(
            read("Fri Sep 07 16:35:24 +0000 2012"),
            Ok(micros("2012-09-07T16:35:24Z"))
        );
        assert_eq!(
            read("Fri Sep 07 16:35:24 +0200 2012"),
            Ok(micros("2012-09-07T14:35:24Z"))
        );
        assert_eq!(
            read("Fri Feb 31 16:35:24 +0000 2012"),
            Err(Fault::NoSuchDay)
        );
        assert_eq!(read("Fri Sept 7 16:35:24 +0000 2012"), Err(Fault::Form));
        assert_eq!(read("2012-09-07T16:35:24Z"), Err(Fault::Form));
    }

    proptest! {
        #[test]
        fn every_day_is_the_day_of_the_calendar(days in -719_162i32..2_932_896) {
            let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Days::new(0) + chrono::TimeDelta::days(i64::from(days));
            prop_assert_eq!(super::date(date.format("%Y-%m-%d").to_string().as_bytes()), Ok(days));
        }

        #[test]
        fn every_instant_is_read_back(micros in FIRST_INSTANT..AFTER_LAST_INSTANT) {
            let text = DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
            prop_assert_eq!(timestamp(text.as_bytes()), Ok(micros));
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..40), near in "[-0-9T:.Z+ ]{8,32}") {
            for text in [text.as_slice(), near.as_bytes()] {
                let judged = (timestamp(text).is_ok(), date(text).is_ok(), twitter_timestamp(text).is_ok());
                prop_assert!(judged.0 || !judged.1);
            }
        }
    }
}
