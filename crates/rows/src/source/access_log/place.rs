//! Where a request came from and went to: IP addresses, host names, ports.

use std::net::Ipv6Addr;

/// Whether a text can be a client: an IPv4 or IPv6 address (RFC 4291, with an optional zone of
/// RFC 6874 such as `%eth0`), or a host name.
#[inline]
pub(crate) fn client_is_valid(text: &[u8]) -> bool {
    if memchr::memchr(b':', text).is_some() {
        is_ipv6(text)
    } else {
        is_ipv4(text) || is_host_name(text)
    }
}

/// Whether a text is an IPv4 or IPv6 address.
#[inline]
pub(super) fn is_address(text: &[u8]) -> bool {
    if memchr::memchr(b':', text).is_some() {
        is_ipv6(text)
    } else {
        is_ipv4(text)
    }
}

/// The address in a text that is one, has brackets or a port around it, or both.
pub(super) fn address_of(text: &[u8]) -> Option<&[u8]> {
    if is_address(text) {
        return Some(text);
    }
    let (host, port) = split_port(text);
    if !port.is_none_or(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit))
    {
        return None;
    }
    match host {
        [b'[', address @ .., b']'] => is_ipv6(address).then_some(address),
        _ => is_ipv4(host).then_some(host),
    }
}

/// Whether a text can be a server's name: a host name, also of letters that are not ASCII, an IPv4 address, or
/// an IPv6 address in brackets; and what nginx takes for a name: one with a wildcard at either end, one that
/// begins with a point, or a regular expression after `~`.
pub(super) fn server_is_valid(text: &[u8]) -> bool {
    match text {
        [b'[', address @ .., b']'] => is_ipv6(address),
        [b'~', ..] => std::str::from_utf8(text).is_ok_and(|text| !text.contains(char::is_control)),
        _ => {
            let name = text
                .strip_prefix(b"*.")
                .or_else(|| text.strip_prefix(b"."))
                .unwrap_or(text);
            let name = name.strip_suffix(b".*").unwrap_or(name);
            is_ipv4(name) || is_host_name(name) || is_international(name)
        }
    }
}

/// A host name with letters that are not ASCII.
fn is_international(text: &[u8]) -> bool {
    let is_label = |label: &str| {
        let is_part = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_');
        !label.is_empty() && label.chars().all(is_part)
    };
    text.len() <= 253
        && !text.is_ascii()
        && std::str::from_utf8(text).is_ok_and(|text| text.split('.').all(is_label))
}

/// Splits `host:port`. An IPv6 address without brackets has no port.
pub(crate) fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !text[..colon].contains(&b':') || text[..colon].ends_with(b"]") => {
            (&text[..colon], Some(&text[colon + 1..]))
        }
        _ => (text, None),
    }
}

/// Four numbers up to 255 without leading zeros.
#[inline]
fn is_ipv4(text: &[u8]) -> bool {
    if text.len() > 15 {
        return false;
    }
    let (mut dots, mut value, mut digits) = (0, 0u32, 0);
    for &byte in text {
        if byte == b'.' {
            if digits == 0 {
                return false;
            }
            (dots, value, digits) = (dots + 1, 0, 0);
        } else {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 || (digits > 0 && value == 0) {
                return false;
            }
            value = value * 10 + u32::from(digit);
            digits += 1;
            if value > 255 {
                return false;
            }
        }
    }
    dots == 3 && digits > 0
}

fn is_ipv6(text: &[u8]) -> bool {
    let (address, zone) = match text.iter().position(|&byte| byte == b'%') {
        Some(percent) => (&text[..percent], Some(&text[percent + 1..])),
        None => (text, None),
    };
    let zone_is_valid = zone.is_none_or(|zone| {
        !zone.is_empty()
            && zone
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte))
    });
    zone_is_valid
        && std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Labels of letters, digits, hyphens and underscores (which names in use have), at most 253 bytes,
/// with an optional point at the end. The last label is not a number: that would be a broken address.
fn is_host_name(text: &[u8]) -> bool {
    let name = text.strip_suffix(b".").unwrap_or(text);
    let label_is_valid = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    name.len() <= 253
        && name.split(|&byte| byte == b'.').all(label_is_valid)
        && !name
            .rsplit(|&byte| byte == b'.')
            .next()
            .is_some_and(|last| last.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clients_are_addresses_or_host_names() {
        let good = [
            "1.2.3.4",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "2001:db8::8a2e:370:7334",
            "::ffff:1.2.3.4",
            "fe80::1%eth0",
            "localhost",
            "crawl-66-249-66-1.googlebot.com",
            "my_host.example.",
            "a.b-c.d1",
        ];
        for text in good {
            assert!(client_is_valid(text.as_bytes()), "{text}");
        }
        let bad = [
            "",
            ".",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.",
            "2001:db8:::1",
            "1.2.3.4:80",
            "fe80::1%",
            "a..b",
            "-a.b",
            "a-.b",
            "a/b",
            "[::1]",
            "12345",
            "exa mple",
            "café.fr",
            "\u{0}",
        ];
        for text in bad {
            assert!(!client_is_valid(text.as_bytes()), "{text}");
        }
        assert!(!client_is_valid("a".repeat(64).as_bytes()));
        assert!(
            !client_is_valid("a.".repeat(128).as_bytes())
                && client_is_valid("a.".repeat(127).as_bytes())
        );
    }

    #[test]
    fn a_port_is_split_from_its_host() {
        let cases: [(&str, &str, Option<&str>); 7] = [
            ("example.com", "example.com", None),
            ("example.com:443", "example.com", Some("443")),
            ("1.2.3.4:80", "1.2.3.4", Some("80")),
            ("[::1]:8080", "[::1]", Some("8080")),
            ("[::1]", "[::1]", None),
            ("2001:db8::1", "2001:db8::1", None),
            ("example.com:", "example.com", Some("")),
        ];
        for (text, host, port) in cases {
            assert_eq!(
                split_port(text.as_bytes()),
                (host.as_bytes(), port.map(str::as_bytes)),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn addresses_are_valid_exactly_where_the_standard_library_says_so(text in "[0-9.]{0,16}") {
            prop_assert_eq!(is_ipv4(text.as_bytes()), text.parse::<Ipv4Addr>().is_ok());
        }

        #[test]
        fn every_address_is_a_client(four in any::<u32>(), six in any::<u128>()) {
            prop_assert!(client_is_valid(Ipv4Addr::from(four).to_string().as_bytes()));
            prop_assert!(client_is_valid(Ipv6Addr::from(six).to_string().as_bytes()));
        }
    }
}
