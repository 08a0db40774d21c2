//! What looks like personal data in a text.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::check_digits::{is_iban, is_luhn};

/// What personal data looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonalPattern {
    /// An email address.
    Email,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A telephone number in international form: a plus sign and 8 to 15 digits.
    Phone,
    /// A number of 13 to 19 digits that passes Luhn's test, as those of payment cards.
    Card,
    /// An international bank account number whose check digits are right (ISO 13616).
    Iban,
}

impl PersonalPattern {
    /// Each with its name in contracts.
    pub const ALL: [(&'static str, PersonalPattern); 5] = [
        ("email", PersonalPattern::Email),
        ("ip", PersonalPattern::Ip),
        ("phone", PersonalPattern::Phone),
        ("card", PersonalPattern::Card),
        ("iban", PersonalPattern::Iban),
    ];
}

/// A pattern that is part of the program. The test below fails if it does not compile.
fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(r"(?-u)\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
});
static IPV4: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(
        r"(?-u)(?:^|//|[^0-9A-Za-z./])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?:$|[^0-9A-Za-z.]|\.(?:$|[^0-9]))",
    )
});
static IPV6: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(
        r"(?-u)(?:^|[^0-9A-Za-z:.])([0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(?:$|[^0-9A-Za-z:.])",
    )
});
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(r"(?-u)(?:^|[^0-9A-Za-z+])\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}(?:$|[^0-9A-Za-z])")
});
static CARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(r"(?-u)(?:^|[^0-9A-Za-z.])([0-9](?:[ -]?[0-9]){12,18})(?:$|[^0-9A-Za-z])")
});
static IBAN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(r"(?-u)\b[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?\b")
});

/// Whether a text holds one of the patterns.
pub fn found(text: &[u8], patterns: &[PersonalPattern]) -> bool {
    // Most texts lack the characters that every match of a pattern has.
    let (mut digits, mut colons, mut dots, mut at, mut plus) = (0_u32, 0_u32, 0_u32, false, false);
    for &byte in text {
        digits += u32::from(byte.is_ascii_digit());
        colons += u32::from(byte == b':');
        dots += u32::from(byte == b'.');
        at |= byte == b'@';
        plus |= byte == b'+';
    }
    patterns.iter().any(|pattern| match pattern {
        PersonalPattern::Email => at && dots > 0 && matches(&EMAIL, text),
        PersonalPattern::Ip => {
            (digits >= 4 && dots >= 3 && has_ipv4(text)) || (colons >= 2 && has_ipv6(text))
        }
        PersonalPattern::Phone => plus && digits >= 8 && matches(&PHONE, text),
        PersonalPattern::Card => digits >= 13 && has_card(text),
        PersonalPattern::Iban => digits >= 4 && text.len() >= 15 && has_iban(text),
    })
}

fn matches(regex: &LazyLock<Option<Regex>>, text: &[u8]) -> bool {
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// The parts of a text that a pattern finds, its first group where it has one.
fn parts<'t>(
    regex: &'static LazyLock<Option<Regex>>,
    text: &'t [u8],
) -> impl Iterator<Item = &'t [u8]> {
    regex
        .as_ref()
        .into_iter()
        .flat_map(move |regex| regex.captures_iter(text))
        .filter_map(|captures| Some(captures.get(1).or_else(|| captures.get(0))?.as_bytes()))
}

fn parses<T: std::str::FromStr>(part: &[u8]) -> Option<T> {
    std::str::from_utf8(part).ok()?.parse().ok()
}

// After a single slash comes the version of a program, as in Chrome/120.0.0.0.
fn has_ipv4(text: &[u8]) -> bool {
    parts(&IPV4, text).any(|part| parses::<std::net::Ipv4Addr>(part).is_some())
}

fn has_ipv6(text: &[u8]) -> bool {
    // Times such as 10:00:00 are not addresses: an address needs a double colon or all eight groups.
    parts(&IPV6, text).any(|part| {
        part.len() > 2
            && parses::<std::net::Ipv6Addr>(part.trim_ascii_end_dots())
                .is_some_and(|address| !address.is_loopback() && !address.is_unspecified())
    })
}

trait TrimDots {
    fn trim_ascii_end_dots(&self) -> &[u8];
}

impl TrimDots for [u8] {
    fn trim_ascii_end_dots(&self) -> &[u8] {
        let end = self
            .iter()
            .rposition(|&byte| byte != b'.')
            .map_or(0, |last| last + 1);
        &self[..end]
    }
}

fn has_card(text: &[u8]) -> bool {
    parts(&CARD, text).any(|part| {
        let digits: Vec<u8> = part.iter().copied().filter(u8::is_ascii_digit).collect();
        let varied = digits.iter().any(|digit| Some(digit) != digits.first());
        varied && is_luhn(&digits)
    })
}

fn has_iban(text: &[u8]) -> bool {
    parts(&IBAN, text).any(|part| {
        let letters: Vec<u8> = part.iter().copied().filter(|byte| *byte != b' ').collect();
        is_iban(&letters)
    })
}

/// The name of the first pattern that a text holds.
pub fn personal_in_text(text: &[u8]) -> Option<&'static str> {
    let holds = |(_, pattern): &(&str, PersonalPattern)| found(text, &[*pattern]);
    PersonalPattern::ALL
        .into_iter()
        .find(holds)
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_is_found_and_what_resembles_it_is_not() {
        use PersonalPattern::{Card, Email, Iban, Ip, Phone};
        for regex in [&EMAIL, &IPV4, &IPV6, &PHONE, &CARD, &IBAN] {
            assert!(regex.is_some(), "a pattern does not compile");
        }
        #[rustfmt::skip]
        let cases: &[(&str, &[PersonalPattern])] = &[
            ("write to ana.lee+shop@example.co.uk.", &[Email]),
            ("@ana liked this", &[]),
            ("a@b", &[]),
            ("from 203.0.113.7:443", &[Ip]),
            ("203.0.113.7", &[Ip]),
            ("version 1.2.3.4.5", &[]),
            ("Chrome/120.0.0.0 Safari/537.36", &[]),
            ("http://203.0.113.7/a", &[Ip]),
            ("999.1.1.1", &[]),
            ("2001:db8::1", &[Ip]),
            ("[2001:0db8:0000:0000:0000:0000:0000:0001]", &[Ip]),
            ("10:00:00", &[]),
            ("a::b", &[Ip]),
            ("std::vec", &[]),
            ("call +49 (30) 1234-5678 now", &[Phone]),
            ("1+12345678", &[]),
            ("4111 1111 1111 1111", &[Card]),
            ("4111111111111112", &[]),
            ("0000000000000000", &[]),
            ("order 4111111111111111", &[Card]),
            ("12345678901234567890123", &[]),
            ("GB82 WEST 1234 5698 7654 32", &[Iban]),
            ("DE89370400440532013000", &[Iban]),
            ("DE89370400440532013001", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            for (name, pattern) in PersonalPattern::ALL {
                assert_eq!(
                    found(text.as_bytes(), &[pattern]),
                    expected.contains(&pattern),
                    "{name} in {text:?}"
                );
            }
        }
    }
}
