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

/// A day: `YYYY-MM-DD` or `YYYYMMDD`, or an instant that is a midnight and names no offset.
pub fn date(text: &[u8]) -> Result<i32, Fault> {
    if text.len() == 8
        && let Some(separated) = separated(text)
    {
        return leading_date(&separated);
    }
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
///
/// Also as these write it: ISO 8601 without separators (`20260131T101112Z`), an offset after a space, with a zone's
/// name and a monotonic clock as Go's `time.String()` has them, and .NET's `/Date(1769854272000)/`.
#[inline]
pub fn timestamp(text: &[u8]) -> Result<i64, Fault> {
    match timestamp_with_offset(text) {
        Ok((micros, _)) => Ok(micros),
        Err(Fault::Form) => other_timestamp(text),
        Err(fault) => Err(fault),
    }
}

#[cold]
fn other_timestamp(text: &[u8]) -> Result<i64, Fault> {
    if let Some(inner) = text
        .strip_prefix(b"/Date(")
        .and_then(|text| text.strip_suffix(b")/"))
    {
        return dotnet_timestamp(inner);
    }
    if let Some(separated) = separated(text) {
        return timestamp_with_offset(&separated).map(|(micros, _)| micros);
    }
    // An offset after a space, then perhaps the zone's name and the reading of a monotonic clock.
    let mut words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    if words.last().is_some_and(|word| word.starts_with(b"m=")) {
        words.pop();
    }
    let times = if text.get(10) == Some(&b' ') { 2 } else { 1 };
    if words.len() <= times {
        return Err(Fault::Form);
    }
    let (time, zone) = words.split_at(times);
    let is_name = |name: &[u8]| {
        (1..=6).contains(&name.len())
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'))
    };
    let offset: &[u8] = match zone {
        [b"UTC" | b"GMT"] => b"Z",
        [offset] => offset,
        [offset, name] if is_name(name) => offset,
        _ => return Err(Fault::Form),
    };
    if !matches!(offset.first(), Some(b'+' | b'-' | b'Z' | b'z')) {
        return Err(Fault::Form);
    }
    let mut joined = time.join(&b' ');
    joined.extend_from_slice(offset);
    timestamp_with_offset(&joined).map(|(micros, _)| micros)
}

/// `1769854272000`, in milliseconds, perhaps with an offset after it that changes nothing.
fn dotnet_timestamp(text: &[u8]) -> Result<i64, Fault> {
    let sign = text
        .iter()
        .skip(1)
        .position(|byte| matches!(byte, b'+' | b'-'));
    let (millis, offset) = text.split_at(sign.map_or(text.len(), |at| at + 1));
    offset_minutes(offset)?;
    let millis = std::str::from_utf8(millis)
        .ok()
        .filter(|text| !text.starts_with('+'));
    let millis: i64 = millis
        .and_then(|text| text.parse().ok())
        .ok_or(Fault::Form)?;
    millis
        .checked_mul(1_000)
        .and_then(in_range)
        .ok_or(Fault::NoSuchTime)
}

/// ISO 8601 without separators as with them; None for any other text.
fn separated(text: &[u8]) -> Option<Vec<u8>> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits(text) != 8 {
        return None;
    }
    let (date, rest) = text.split_at(8);
    let mut separated = [&date[..4], b"-", &date[4..6], b"-", &date[6..]].concat();
    match rest {
        [] => return Some(separated),
        [b'T' | b't', time @ ..] => {
            let count = digits(time);
            if count != 4 && count != 6 {
                return None;
            }
            let (time, rest) = time.split_at(count);
            separated.push(b'T');
            separated.extend(time.chunks(2).collect::<Vec<_>>().join(&b':'));
            separated.extend_from_slice(rest);
        }
        _ => return None,
    }
    Some(separated)
}

/// As [`timestamp`] by ISO 8601 and RFC 3339 alone, with the minutes east of UTC, where the text says them.
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
    fn what_other_programs_write_is_read() {
        for (text, same) in [
            // Sequelize, Prisma.
            ("2026-01-05 10:00:00.000 +02:00", "2026-01-05T08:00:00Z"),
            ("2026-01-05 10:00:00 +0000", "2026-01-05T10:00:00Z"),
            ("2026-01-05T10:00:00.250 -03:30", "2026-01-05T13:30:00.250Z"),
            ("2026-01-05 10:00:00 UTC", "2026-01-05T10:00:00Z"),
            ("2026-01-05 10:00:00 Z", "2026-01-05T10:00:00Z"),
            // Go.
            (
                "2026-01-05 10:00:00.123456789 +0100 CET",
                "2026-01-05T09:00:00.123456Z",
            ),
            (
                "2026-01-05 10:00:00 +0300 +03 m=+0.000012",
                "2026-01-05T07:00:00Z",
            ),
            ("2026-01-05 10:00:00 +0000 UTC", "2026-01-05T10:00:00Z"),
            // .NET.
            ("/Date(1769854272250)/", "2026-01-31T10:11:12.250Z"),
            ("/Date(1769854272000+0100)/", "2026-01-31T10:11:12Z"),
            ("/Date(-1000)/", "1969-12-31T23:59:59Z"),
            (
                "2026-01-31T10:11:12.1234567+01:00",
                "2026-01-31T09:11:12.123456Z",
            ),
            // ISO 8601 without separators.
            ("20260131T101112Z", "2026-01-31T10:11:12Z"),
            ("20260131T101112.5+0100", "2026-01-31T09:11:12.500Z"),
            ("20260131T1011", "2026-01-31T10:11:00Z"),
            ("20260131", "2026-01-31T00:00:00Z"),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Ok(micros(same)), "{text}");
        }
        for text in [
            "2026-01-05 10:00:00 CET",
            "2026-01-05 10:00:00 +02:00 a longer name",
            "2026-01-05 10:00:00  +02:00",
            "2026-01-05 +02:00",
            "2026-01-05 10:00:00 02:00",
            "/Date(12a)/",
            "/Date(+12)/",
            "/Date()/",
            "/Date(1769854272000+1)/",
            "20260131T10111",
            "2026013",
            "20260131 101112",
            "202601311",
        ] {
            assert_eq!(timestamp(text.as_bytes()), Err(Fault::Form), "{text}");
        }
        assert_eq!(timestamp(b"20260231"), Err(Fault::NoSuchDay));
        assert_eq!(date(b"20260131"), date(b"2026-01-31"));
        assert_eq!(date(b"20260231"), Err(Fault::NoSuchDay));
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
