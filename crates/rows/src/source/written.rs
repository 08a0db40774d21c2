//! Numbers and dates as people of a country write them, in the one form that columns are read from.

/// A short text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plain {
    bytes: [u8; Plain::BYTES],
    length: usize,
}

impl Plain {
    const BYTES: usize = 64;

    fn new() -> Self {
        Plain {
            bytes: [0; Plain::BYTES],
            length: 0,
        }
    }

    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Adds digits of a whole number that begins at this place, without the zeros that it begins with.
    fn push_whole(&mut self, digits: &[u8], begin: usize) -> Option<()> {
        let is_zero = |byte: &&u8| self.length == begin && **byte == b'0';
        let zeros = digits.iter().take_while(is_zero).count();
        self.push(&digits[zeros..])
    }

    /// Adds bytes; None where there is no room for them.
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }
}

/// Blanks and apostrophes between thousands: also those of typesetting, U+00A0, U+202F, U+2009 and U+2019.
const BETWEEN: [&[u8]; 6] = [
    b" ",
    b"'",
    "\u{a0}".as_bytes(),
    "\u{202f}".as_bytes(),
    "\u{2009}".as_bytes(),
    "\u{2019}".as_bytes(),
];

/// A number with this decimal sign; the other one of point and comma, or a blank or an apostrophe, may be between
/// groups of three digits, and always the same one. None for any other text.
pub(crate) fn number(text: &[u8], decimal: u8) -> Option<Plain> {
    let group: &[u8] = if decimal == b',' { b"." } else { b"," };
    let mut plain = Plain::new();
    let mut rest = text.trim_ascii();
    if let Some(after) = rest.strip_prefix(b"-") {
        plain.push(b"-")?;
        rest = after;
    } else if let Some(after) = rest.strip_prefix(b"+") {
        rest = after;
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let first = digits(rest);
    if first == 0 {
        return None;
    }
    let sign = plain.length;
    plain.push_whole(&rest[..first], sign)?;
    rest = &rest[first..];
    let mut between: Option<&[u8]> = None;
    loop {
        let found = BETWEEN
            .iter()
            .copied()
            .chain([group])
            .find(|between| rest.starts_with(between));
        let Some(found) = found else { break };
        let after = &rest[found.len()..];
        if first > 3 || digits(after) != 3 || between.is_some_and(|between| between != found) {
            return None;
        }
        between = Some(found);
        plain.push_whole(&after[..3], sign)?;
        rest = &after[3..];
    }
    if plain.length == sign {
        plain.push(b"0")?;
    }
    if let Some(fraction) = rest.strip_prefix(&[decimal]) {
        let count = digits(fraction);
        if count == 0 || count != fraction.len() {
            return None;
        }
        plain.push(b".")?;
        plain.push(fraction)?;
    } else if !rest.is_empty() {
        return None;
    }
    Some(plain)
}

/// A day, and perhaps a time after it, as ISO 8601 has them: from `31/01/2026`, `31.1.2026 10:11`,
/// `1/31/2026 10:11:12 PM`. None for any other text.
pub(crate) fn time(text: &[u8], day_first: bool) -> Option<Plain> {
    let mut rest = text.trim_ascii();
    let (first, separator) = short_number(&mut rest)?;
    let (second, same) = short_number(&mut rest)?;
    if separator != same || !matches!(separator, b'/' | b'.' | b'-') {
        return None;
    }
    let (year, after) = rest.split_at_checked(4)?;
    if !year.iter().all(u8::is_ascii_digit) || after.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let (day, month) = if day_first {
        (first, second)
    } else {
        (second, first)
    };
    let mut plain = Plain::new();
    plain.push(year)?;
    plain.push(format!("-{month:02}-{day:02}").as_bytes())?;
    let mut clock = match after {
        [] => return Some(plain),
        [b' ' | b'T', clock @ ..] => clock.trim_ascii(),
        [b',', b' ', clock @ ..] => clock.trim_ascii(),
        _ => return None,
    };
    let half = clock.len().checked_sub(2).map(|at| clock.split_at(at));
    let half = half.and_then(|(before, half)| match half {
        b"AM" | b"am" => Some((before, 0)),
        b"PM" | b"pm" => Some((before, 12)),
        _ => None,
    });
    let (mut hour, colon) = match half {
        Some((before, half)) => {
            clock = before.trim_ascii();
            let (hour, colon) = short_number(&mut clock)?;
            if !(1..=12).contains(&hour) {
                return None;
            }
            (hour % 12 + half, colon)
        }
        None => short_number(&mut clock)?,
    };
    hour = hour.min(99);
    if colon != b':' {
        return None;
    }
    plain.push(format!("T{hour:02}:").as_bytes())?;
    plain.push(clock)?;
    Some(plain)
}

/// A number of one or two digits and the character after it.
fn short_number(rest: &mut &[u8]) -> Option<(u8, u8)> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| byte - b'0');
    let (number, separator, after) = match *rest {
        [tens, ones, separator, after @ ..] if ones.is_ascii_digit() => {
            (digit(tens)? * 10 + digit(ones)?, *separator, after)
        }
        [ones, separator, after @ ..] => (digit(ones)?, *separator, after),
        _ => return None,
    };
    *rest = after;
    Some((number, separator))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn text(plain: Option<Plain>) -> Option<String> {
        plain.map(|plain| String::from_utf8(plain.text().to_vec()).unwrap())
    }

    #[test]
    fn numbers_of_both_signs_are_read_and_no_others() {
        for (written, comma, point) in [
            ("1.234,50", Some("1234.50"), None),
            ("1,234.50", None, Some("1234.50")),
            ("1 234,50", Some("1234.50"), None),
            ("1\u{a0}234\u{a0}567,5", Some("1234567.5"), None),
            ("1\u{202f}234.5", None, Some("1234.5")),
            ("1'234'567.89", None, Some("1234567.89")),
            ("1234,5", Some("1234.5"), None),
            ("-12,00", Some("-12.00"), None),
            ("+7", Some("7"), Some("7")),
            ("007", Some("7"), Some("7")),
            ("0", Some("0"), Some("0")),
            ("0.000", Some("0"), Some("0.000")),
            ("1.234", Some("1234"), Some("1.234")),
            ("1,234", Some("1.234"), Some("1234")),
            ("12,34", Some("12.34"), None),
            ("1.23", None, Some("1.23")),
            ("1234.567,8", None, None),
            ("1.234 567,8", None, None),
            ("1.234.56,8", None, None),
            ("12,", None, None),
            (",5", None, None),
            ("", None, None),
            ("-", None, None),
            ("1e3", None, None),
            ("12 €", None, None),
            ("--1", None, None),
        ] {
            assert_eq!(
                text(number(written.as_bytes(), b',')).as_deref(),
                comma,
                "{written}"
            );
            assert_eq!(
                text(number(written.as_bytes(), b'.')).as_deref(),
                point,
                "{written}"
            );
        }
    }

    #[test]
    fn days_and_times_in_both_orders_are_read_and_no_others() {
        for (written, day_first, expected) in [
            ("31/01/2026", true, Some("2026-01-31")),
            ("31.1.2026", true, Some("2026-01-31")),
            ("1-2-2026", true, Some("2026-02-01")),
            ("1/2/2026", false, Some("2026-01-02")),
            ("31/01/2026 10:11", true, Some("2026-01-31T10:11")),
            ("31.01.2026 9:11:12,5", true, Some("2026-01-31T09:11:12,5")),
            ("31.01.2026, 10:11", true, Some("2026-01-31T10:11")),
            ("01/31/2026 10:11:12 PM", false, Some("2026-01-31T22:11:12")),
            ("1/31/2026 12:00 am", false, Some("2026-01-31T00:00")),
            ("1/31/2026 12:00 PM", false, Some("2026-01-31T12:00")),
            ("1/31/2026 13:00 PM", false, None),
            ("31/01.2026", true, None),
            ("31/01/26", true, None),
            ("31/01/20261", true, None),
            ("2026-01-31", true, None),
            ("31/01/2026 10", true, None),
            ("31 01 2026", true, None),
            ("", true, None),
        ] {
            assert_eq!(
                text(time(written.as_bytes(), day_first)).as_deref(),
                expected,
                "{written}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(written in "[-+0-9.,/: '\u{a0}apmAPMT]{0,70}") {
            for decimal in [b',', b'.'] {
                if let Some(plain) = number(written.as_bytes(), decimal) {
                    let kept = |text: &str| -> String {
                        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                        digits.trim_start_matches('0').to_owned()
                    };
                    let plain = String::from_utf8(plain.text().to_vec()).unwrap();
                    prop_assert_eq!(kept(&plain), kept(&written));
                }
            }
            time(written.as_bytes(), true);
        }
    }
}
