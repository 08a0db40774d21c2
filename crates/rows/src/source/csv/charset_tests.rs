#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Cursor;

use super::*;

/// The text, and how many bytes of the object it is without a byte-order mark.
fn read(bytes: &[u8], charset: Option<Charset>, wanted: usize) -> (String, u64) {
    let input = Input::in_any_charset(Box::new(Cursor::new(bytes.to_vec()))).unwrap();
    let mut reader = TextReader::new(input, charset).unwrap();
    let (mut text, mut stored) = (Vec::new(), 0);
    let mut more = wanted;
    loop {
        reader.fill(more).unwrap();
        // Whole lines are taken, as records are.
        let lines = reader.text.iter().rposition(|&byte| byte == b'\n');
        let length = match lines {
            _ if reader.ended => reader.text.len(),
            Some(last) => last + 1,
            None => 0,
        };
        more = if length > 0 { wanted } else { more + 1 };
        let part = reader.take(length);
        stored += reader.stored_bytes(&part);
        text.extend(part);
        if reader.ended {
            return (String::from_utf8_lossy(&text).into_owned(), stored);
        }
    }
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let mark = mark.then_some('\u{feff}');
    let units = mark
        .into_iter()
        .chain(text.chars())
        .collect::<String>()
        .encode_utf16()
        .collect::<Vec<u16>>();
    let bytes = |unit: u16| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    units.into_iter().flat_map(bytes).collect()
}

const TEXT: &str = "id;name\n1;Zoë Müller\n2;10 €\n3;\u{1f600}\n";

#[test]
fn character_sets_are_told_by_the_content() {
    let western = TEXT.replace('\u{1f600}', ":)");
    let (windows, ..) = WINDOWS_1252.encode(&western);
    for wanted in [8, 100_000] {
        assert_eq!(
            read(TEXT.as_bytes(), None, wanted),
            (TEXT.to_owned(), TEXT.len() as u64)
        );
        let marked = format!("\u{feff}{TEXT}");
        assert_eq!(
            read(marked.as_bytes(), None, wanted),
            (TEXT.to_owned(), TEXT.len() as u64)
        );
        assert_eq!(
            read(&windows, None, wanted),
            (western.clone(), windows.len() as u64)
        );
        for big in [false, true] {
            for mark in [false, true] {
                let bytes = utf16(TEXT, big, mark);
                let own = (bytes.len() - if mark { 2 } else { 0 }) as u64;
                assert_eq!(
                    read(&bytes, None, wanted),
                    (TEXT.to_owned(), own),
                    "{big} {mark}"
                );
                assert_eq!(read(&bytes, Some(Charset::Utf16), wanted).0, TEXT);
            }
        }
    }
}

#[test]
fn a_contract_says_what_the_content_does_not() {
    let of = |encoding: &'static Encoding, text: &str| encoding.encode(text).0.into_owned();
    for (charset, encoding, text) in [
        (Charset::Windows1250, WINDOWS_1250, "Łódź;příliš"),
        (Charset::Windows1251, WINDOWS_1251, "Москва"),
        (Charset::Windows1252, WINDOWS_1252, "naïve – “x”"),
        (Charset::Iso8859_15, ISO_8859_15, "10 € für Œuvre"),
    ] {
        assert_eq!(read(&of(encoding, text), Some(charset), 5).0, text);
    }
    // In UTF-8 what is not UTF-8 stays as it is, and is refused row by row.
    assert_eq!(read(b"a\xff", Some(Charset::Utf8), 5).0, "a\u{fffd}");
}

#[test]
fn a_first_character_that_is_not_ascii_decides() {
    // UTF-8 with a broken byte later is still UTF-8.
    let (text, stored) = read(
        "é\n"
            .as_bytes()
            .iter()
            .chain(b"\xe9\n")
            .copied()
            .collect::<Vec<_>>()
            .as_slice(),
        None,
        100,
    );
    assert_eq!((text.as_str(), stored), ("é\n\u{fffd}\n", 5));
    assert_eq!(
        read(b"abc\n\xe9\xe8\n", None, 4),
        ("abc\néè\n".to_owned(), 7)
    );
    assert_eq!(read("ab€".as_bytes(), None, 3).0, "ab€");
}
