//! Finds what identifies people in free text: email addresses, IP addresses, phone numbers, card numbers,
//! IBANs and handles. Names of people are not found.
//!
//! A text may be the query of a URL: `%40` counts as `@`, `%2B` as `+`, and `+` and `%20` separate the
//! parts of a number as a space does.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::check_digits::{is_iban, is_luhn};

/// What a text may hold, judged at a glance: most texts hold none of it.
struct Glance {
    at: bool,
    digits: usize,
    colons: usize,
    points: usize,
    /// A mention of Reddit, `u/name`.
    user: bool,
}

impl Glance {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let sign = |byte: &u8| SIGNS[usize::from(*byte)];
        let signs = bytes.iter().fold(0, |signs, byte| signs | sign(byte));
        let count = |wanted: u8| match signs & wanted {
            0 => 0,
            _ => bytes.iter().filter(|byte| sign(byte) == wanted).count(),
        };
        let pair = |wanted: u8, pairs: &[[u8; 2]]| {
            signs & wanted != 0 && bytes.array_windows().any(|pair| pairs.contains(pair))
        };
        Glance {
            at: signs & AT != 0 || pair(PERCENT, &[*b"%4"]),
            digits: count(DIGIT),
            colons: count(COLON),
            points: count(POINT),
            user: pair(SLASH, &[*b"u/", *b"U/"]),
        }
    }
}

const AT: u8 = 1;
const PERCENT: u8 = 2;
const DIGIT: u8 = 4;
const COLON: u8 = 8;
const POINT: u8 = 16;
const SLASH: u8 = 32;

/// The hint that a byte gives, as a bit; 0 for a byte that gives none.
const SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        signs[digit as usize] = DIGIT;
        digit += 1;
    }
    signs[b'@' as usize] = AT;
    signs[b'%' as usize] = PERCENT;
    signs[b':' as usize] = COLON;
    signs[b'.' as usize] = POINT;
    signs[b'/' as usize] = SLASH;
    signs
};

#[expect(
    clippy::expect_used,
    reason = "the patterns are constants, and a test compiles each"
)]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern compiles")
}

macro_rules! patterns {
    ($($name:ident = $text:expr;)*) => {
        $(static $name: LazyLock<Regex> = LazyLock::new(|| pattern($text));)*
        #[cfg(test)]
        fn compile_all() {
            $(LazyLock::force(&$name);)*
        }
    };
}

patterns! {
    // The local part as people choose it: the other signs that RFC 5321 allows separate fields of URLs.
    EMAIL = r"[\p{L}\p{N}.%'*+_~-]+(?:@|%40)(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+[\p{L}][\p{L}\p{N}-]+";
    // `@name@host` of Mastodon.
    ACCOUNT = r"(^|[^\p{L}\p{N}_.-])(?:@|%40)[\p{L}\p{N}_.-]+(?:@|%40)[\p{L}\p{N}.-]*[\p{L}\p{N}]";
    HANDLE = r"(^|[^\p{L}\p{N}_.-]|%[0-9A-Fa-f]{2})(?:@|%40)[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?";
    USER = r"(^|[^\p{L}\p{N}_])[uU]/[A-Za-z0-9_-]{3,20}";
    IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}";
    IPV6 = r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*";
    IBAN = r"[A-Za-z]{2}\d{2}(?:(?: |-|\+|%20)?[A-Za-z0-9]){11,30}";
    CARD = r"\d(?:(?: |-|\+|%20)?\d){12,18}";
    // With a country code, or with a trunk zero or area code and at least one separator.
    PHONE = r"(?x)
        (?:\+|%2[Bb]|00)(?:(?:[\ ().\-/]|%20)*\d){8,15}
        |\(?0\d{1,5}\)?(?:[\ .\-/+]|%20)+\d(?:(?:[\ .\-/+]|%20)*\d){4,11}
        |0\d{9,11}
        |\(?[2-9]\d{2}\)?(?:[\ .\-+]|%20)+\d{3}(?:[\ .\-+]|%20)+\d{4}";
}

/// The text with what was found replaced by `[email]`, `[ip]`, `[phone]`, `[card]`, `[iban]` and
/// `[handle]`.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let glance = Glance::of(text);
    let mut text = Cow::Borrowed(text);
    if glance.at {
        let handle = |_: &str, found: &Captures<'_>| Some(format!("{}[handle]", &found[1]));
        replace(&mut text, &ACCOUNT, handle);
        replace(&mut text, &EMAIL, |_, _| Some("[email]".to_owned()));
        replace(&mut text, &HANDLE, handle);
    }
    if glance.user {
        replace(&mut text, &USER, |_, found| {
            Some(format!("{}[handle]", &found[1]))
        });
    }
    if glance.colons >= 2 {
        replace(&mut text, &IPV6, ipv6);
    }
    if glance.digits >= 4 && glance.points >= 3 {
        replace(&mut text, &IPV4, ipv4);
    }
    if glance.digits >= 8 {
        replace(&mut text, &IBAN, iban);
        replace(&mut text, &CARD, card);
        replace(&mut text, &PHONE, phone);
    }
    text
}

/// Replaces each part for which `decide` has a label; other parts stay.
fn replace(
    text: &mut Cow<'_, str>,
    pattern: &Regex,
    decide: impl Fn(&str, &Captures<'_>) -> Option<String>,
) {
    let mut changed: Option<String> = None;
    let mut kept = 0;
    for found in pattern.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        if let Some(label) = decide(text, &found) {
            let to = changed.get_or_insert_with(|| String::with_capacity(text.len()));
            to.push_str(&text[kept..whole.start()]);
            to.push_str(&label);
            kept = whole.end();
        }
    }
    if let Some(mut changed) = changed {
        changed.push_str(&text[kept..]);
        *text = Cow::Owned(changed);
    }
}

fn before(text: &str, found: &Captures<'_>) -> Option<char> {
    text[..found.get(0)?.start()].chars().next_back()
}

fn behind(text: &str, found: &Captures<'_>) -> Option<char> {
    text[found.get(0)?.end()..].chars().next()
}

fn is_word(character: Option<char>) -> bool {
    character.is_some_and(|character| character.is_alphanumeric() || character == '_')
}

fn ipv4(text: &str, found: &Captures<'_>) -> Option<String> {
    let (start, whole) = (found.get(0)?.start(), &found[0]);
    // Numbers of four parts within longer ones are versions and object identifiers.
    let rest = &text[found.get(0)?.end()..];
    let longer = rest
        .strip_prefix('.')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if is_word(before(text, found))
        || before(text, found) == Some('.')
        || is_word(behind(text, found))
        || longer
    {
        return None;
    }
    if whole.split('.').any(|part| part.parse::<u8>().is_err()) || is_version(&text[..start]) {
        return None;
    }
    Some("[ip]".to_owned())
}

/// Whether the text before a number ends in a product's name and a slash, as in `Chrome/120.0.0.0` (RFC
/// 9110, section 10.1.5): what follows is its version.
fn is_version(before: &str) -> bool {
    let Some(before) = before.strip_suffix('/') else {
        return false;
    };
    let begin = before
        .rfind(|character: char| {
            !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_' | '.')
        })
        .map_or(0, |at| at + 1);
    let product = &before[begin..];
    let stands_alone = before[..begin]
        .chars()
        .next_back()
        .is_none_or(|character| matches!(character, ' ' | '(' | ';' | ','));
    stands_alone && product.starts_with(|character: char| character.is_ascii_alphabetic())
}

fn ipv6(text: &str, found: &Captures<'_>) -> Option<String> {
    if is_word(before(text, found)) || is_word(behind(text, found)) {
        return None;
    }
    // A colon after an address is punctuation.
    let whole = &found[0];
    let (address, rest) = match whole.parse::<Ipv6Addr>() {
        Ok(address) => (address, ""),
        Err(_) => (whole.strip_suffix(':')?.parse().ok()?, ":"),
    };
    (!address.is_unspecified()).then(|| format!("[ip]{rest}"))
}

/// The letters and digits of a number, its separators left out.
fn compact(text: &str) -> String {
    text.replace("%20", "")
        .chars()
        .filter(|character| character.is_ascii_alphanumeric())
        .collect()
}

/// An IBAN ends where its check digits say so; what follows are other words.
fn iban(text: &str, found: &Captures<'_>) -> Option<String> {
    if is_word(before(text, found)) {
        return None;
    }
    let whole = &found[0];
    for end in (1..=whole.len()).rev() {
        if !whole.is_char_boundary(end) {
            continue;
        }
        let head = &whole[..end];
        let number = compact(head);
        if head.ends_with(|character: char| character.is_ascii_alphanumeric())
            && is_iban(number.as_bytes())
        {
            return Some(format!("[iban]{}", &whole[end..]));
        }
    }
    None
}

fn card(text: &str, found: &Captures<'_>) -> Option<String> {
    if is_word(before(text, found)) || is_word(behind(text, found)) {
        return None;
    }
    let number = compact(&found[0]);
    // Issuers of payment cards begin with 2 to 6 (ISO/IEC 7812).
    (matches!(number.as_bytes().first(), Some(b'2'..=b'6')) && is_luhn(number.as_bytes()))
        .then(|| "[card]".to_owned())
}

fn phone(text: &str, found: &Captures<'_>) -> Option<String> {
    // Parts of longer numbers and words do not count.
    let part = is_word(before(text, found)) || is_word(behind(text, found));
    (!part).then(|| "[phone]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pattern_compiles() {
        compile_all();
    }

    #[test]
    fn what_identifies_people_becomes_a_label() {
        for (text, expected) in [
            (
                "write to alice.smith+shop@mail.example.co.uk!",
                "write to [email]!",
            ),
            ("jürgen@müller.example, bob@example.com", "[email], [email]"),
            ("a=b&user=alice%40example.com&x=1", "a=b&user=[email]&x=1"),
            (
                "thanks @alice_b, and @bob.",
                "thanks [handle], and [handle].",
            ),
            ("cc @alice@mastodon.example now", "cc [handle] now"),
            (
                "https://mastodon.example/@alice/1",
                "https://mastodon.example/[handle]/1",
            ),
            ("q=%40alice", "q=[handle]"),
            ("(u/some_one) said", "([handle]) said"),
            ("from 203.0.113.77, port 80", "from [ip], port 80"),
            (
                "http://203.0.113.77:8080/x?from=198.51.100.7",
                "http://[ip]:8080/x?from=[ip]",
            ),
            ("/lookup/203.0.113.77", "/lookup/[ip]"),
            (
                "at 2001:db8::7:1 and [::ffff:203.0.113.7]:80",
                "at [ip] and [[ip]]:80",
            ),
            (
                "call +49 30 1234567 or 0049301234567",
                "call [phone] or [phone]",
            ),
            (
                "call 030 / 123 45 67 or (0171) 1234567",
                "call [phone] or [phone]",
            ),
            ("call (555) 123-4567, 555-123-4567", "call [phone], [phone]"),
            ("tel=%2B493012345678", "tel=[phone]"),
            ("01711234567", "[phone]"),
            (
                "card 4111 1111 1111 1111, 5500-0000-0000-0004",
                "card [card], [card]",
            ),
            (
                "iban DE89 3704 0044 0532 0130 00 please",
                "iban [iban] please",
            ),
            ("GB82WEST12345698765432", "[iban]"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn what_identifies_nobody_stays() {
        for text in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11) Chrome/4.0.249.89",
            "at 10:30:45 on 2026-01-31, 2026-01-31T10:00:00Z",
            "utm_id=1700000000&order=12345678",
            "1.2.3.4.5 and 300.1.2.3",
            "std::vector, a :: b",
            "price @ 5 EUR, 100 %",
            "number 4111111111111112",
            "menu/abc and gpu/abc",
            "0,99 EUR for 3 items 2024",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_redacted(text in "\\PC{0,80}|[0-9a-f:.@+%/ -]{0,60}") {
            let once = redacted(&text).into_owned();
            prop_assert!(std::str::from_utf8(once.as_bytes()).is_ok());
        }

        #[test]
        fn an_address_is_found_in_any_text(
            before in "[a-z ,;(]{0,10}", after in "[ ,;)!?]{0,5}", name in "[a-z][a-z0-9.]{0,8}[a-z0-9]",
            octets in any::<[u8; 4]>(),
        ) {
            let email = format!("{name}@example.com");
            let ip = octets.map(|octet| octet.to_string()).join(".");
            let text = format!("{before} {email} {ip}{after}");
            let found = redacted(&text);
            prop_assert!(!found.contains(&email) && !found.contains(&ip), "{found}");
        }
    }
}
