//! Text inside quotes: what Apache and nginx write with backslashes, back to what was received.

use memchr::memchr;

/// The text of a quoted field. `raw` is what stands between the quotes.
///
/// `\"`, `\\`, `\n`, `\r`, `\t`, `\b`, `\v` and `\xhh` (`ap_escape_logitem` of Apache; nginx writes
/// `\xHH`) are decoded; any other backslash stays. Bytes that are not UTF-8 after that, whether they
/// were written as they are or as `\xhh`, become `\xhh` in the text: none of them is lost.
pub(crate) fn decode<'a>(raw: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    unescape(raw, scratch);
    make_valid(scratch);
    scratch
}

/// Writes every byte that is not UTF-8 as `\xhh`.
pub(super) fn make_valid(text: &mut Vec<u8>) {
    if std::str::from_utf8(text).is_err() {
        *text = escape_invalid(text);
    }
}

/// The text of a field without quotes, which is valid UTF-8, with its escapes decoded.
#[inline]
pub(super) fn unescaped<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if raw.contains(&b'\\') {
        decode(raw, scratch)
    } else {
        raw
    }
}

/// The text with every byte that is not UTF-8 as `\xhh`, and nothing else changed.
pub(crate) fn escape_invalid(text: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = Vec::with_capacity(text.len() + 16);
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for &byte in chunk.invalid() {
            out.extend([
                b'\\',
                b'x',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
    out
}

fn unescape(mut raw: &[u8], out: &mut Vec<u8>) {
    while let Some(backslash) = memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..backslash]);
        let escape = &raw[backslash..];
        let (byte, length) = match *escape {
            [_, quoted @ (b'"' | b'\\'), ..] => (quoted, 2),
            [_, b'n', ..] => (b'\n', 2),
            [_, b'r', ..] => (b'\r', 2),
            [_, b't', ..] => (b'\t', 2),
            [_, b'b', ..] => (0x08, 2),
            [_, b'v', ..] => (0x0b, 2),
            [_, b'x', high, low, ..] => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            _ => (b'\\', 1),
        };
        out.push(byte);
        raw = &escape[length..];
    }
    out.extend_from_slice(raw);
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(raw: &[u8]) -> String {
        String::from_utf8_lossy(decode(raw, &mut Vec::new())).into_owned()
    }

    #[test]
    fn escapes_of_apache_and_nginx_are_decoded() {
        let cases: [(&[u8], &str); 14] = [
            (br"plain", "plain"),
            (br#"a\"b"#, "a\"b"),
            (br"a\\b", r"a\b"),
            (br"\\x41", r"\x41"),
            (br"a\tb\nc\rd\be\vf", "a\tb\nc\rd\u{8}e\u{b}f"),
            (br"\x41\x7A", "Az"),
            (br"\x00", "\0"),
            (br"caf\xc3\xa9", "café"),
            (b"caf\xc3\\xa9", "café"),
            (br"caf\xE9 ok", r"caf\xe9 ok"),
            (b"caf\xe9 ok", r"caf\xe9 ok"),
            (br"\xc3", r"\xc3"),
            (br"\q \x4 \xzz", r"\q \x4 \xzz"),
            (br"end\", r"end\"),
        ];
        for (raw, expected) in cases {
            assert_eq!(decoded(raw), expected, "{}", raw.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_text(raw in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(std::str::from_utf8(decode(&raw, &mut Vec::new())).is_ok());
            prop_assert!(std::str::from_utf8(&escape_invalid(&raw)).is_ok());
        }

        #[test]
        fn what_is_escaped_as_apache_does_comes_back(text in any::<String>()) {
            let escaped: String = text
                .chars()
                .map(|c| match c {
                    '"' => r#"\""#.to_owned(),
                    '\\' => r"\\".to_owned(),
                    '\n' => r"\n".to_owned(),
                    c if c.is_ascii_graphic() || c == ' ' => c.to_string(),
                    c => c.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
                })
                .collect();
            prop_assert_eq!(decoded(escaped.as_bytes()), text);
        }
    }
}
