#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// The value as this parser reads it, built by its pulling functions.
fn read(cursor: &mut Cursor<'_>) -> Result<Value> {
    Ok(match cursor.peek() {
        b'{' => {
            cursor.enter_object()?;
            let mut map = serde_json::Map::new();
            while cursor.next_member(map.is_empty())? {
                let key = cursor.key()?;
                let key = String::from_utf8(key.text(&mut Vec::new()).to_vec()).unwrap();
                let value = read(cursor)?;
                assert!(
                    map.insert(key, value).is_none(),
                    "the caller avoids duplicate keys"
                );
            }
            Value::Object(map)
        }
        b'[' => {
            cursor.enter_array()?;
            let mut list = Vec::new();
            while cursor.next_element(list.is_empty())? {
                list.push(read(cursor)?);
            }
            Value::Array(list)
        }
        b'"' => Value::String(
            String::from_utf8(cursor.string()?.text(&mut Vec::new()).to_vec()).unwrap(),
        ),
        b't' | b'f' => Value::Bool(cursor.boolean()?),
        b'n' => cursor.null().map(|()| Value::Null)?,
        _ => {
            let number = cursor.number()?;
            match number
                .scaled(0)
                .filter(|_| number.is_digits() && number.text != b"-0")
            {
                Some(whole) => Value::from(whole),
                None => Value::from(number.as_f64()),
            }
        }
    })
}

fn skip(text: &str) -> Result<()> {
    let mut cursor = Cursor::new(text.as_bytes());
    cursor.skip_value()?;
    cursor.finish()
}

/// Pieces that make texts which are nearly JSON.
fn near_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"".to_owned()),
        Just("\"k\":".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("nul".to_owned()),
        Just(" \r\n\t".to_owned()),
        Just("\\u00e9".to_owned()),
        Just("\\ud83d\\ude00".to_owned()),
        Just("\\ud83d".to_owned()),
        Just("\\x".to_owned()),
        Just("\u{0}".to_owned()),
        "[-0-9.eE]{1,6}",
        "\"[^\"\\\\\u{0}-\u{1f}]{0,12}\"",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_accepted_or_refused_as_by_serde_json(text in near_json()) {
        match serde_json::from_str::<Value>(&text) {
            Ok(_) => prop_assert_eq!(skip(&text), Ok(())),
            Err(error) if error.to_string().contains("out of range") => {}
            Err(_) => prop_assert!(skip(&text).is_err(), "{text:?} was accepted"),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut cursor = Cursor::new(&bytes);
        let mut place = 0;
        while cursor.skip_value().is_ok() {
            prop_assert!(cursor.position() > place);
            place = cursor.position();
        }
    }

    #[test]
    fn any_value_is_read_as_serde_json_wrote_it(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(skip(&text), Ok(()));
        let mut cursor = Cursor::new(text.as_bytes());
        prop_assert_eq!(read(&mut cursor).unwrap(), value);
        prop_assert_eq!(cursor.finish(), Ok(()));
    }

    #[test]
    fn escaped_text_is_unescaped(text in any::<String>(), ascii in any::<bool>()) {
        let mut written = serde_json::to_string(&text).unwrap();
        if ascii {
            let units = |character: char| character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
            written = written.chars().map(|character| if character.is_ascii() { character.to_string() } else { units(character) }).collect();
        }
        let string = Cursor::new(written.as_bytes()).string().unwrap();
        let mut scratch = Vec::new();
        prop_assert_eq!(string.text(&mut scratch), text.as_bytes());
    }

    #[test]
    fn a_text_that_is_cut_is_said_to_end_unexpectedly(value in json(), cut in any::<prop::sample::Index>()) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assume!(matches!(value, Value::Object(_) | Value::Array(_) | Value::String(_)));
        let cut = cut.index(text.len());
        let error = Cursor::new(&text.as_bytes()[..cut]).skip_value().unwrap_err();
        prop_assert_eq!(error.fault, Fault::UnexpectedEnd);
    }
}

#[test]
fn half_of_a_surrogate_pair_is_refused() {
    for text in [
        r#""\ud83d""#,
        r#""\ude00\ud83d""#,
        r#""\ud83d\n""#,
        r#""\ud83dx""#,
        r#""\ud83d\u0041""#,
    ] {
        assert_eq!(
            skip(text).unwrap_err().fault,
            Fault::LoneSurrogate,
            "{text}"
        );
    }
    assert_eq!(skip(r#""\ud83d\ude00""#), Ok(()));
}

#[test]
fn depth_is_limited_and_costs_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(skip(&nested(128)), Ok(()));
        assert_eq!(skip(&nested(129)).unwrap_err().fault, Fault::TooDeep);
        assert_eq!(skip(&nested(10_000)).unwrap_err().fault, Fault::TooDeep);
        assert_eq!(
            skip(&open.repeat(10_000)).unwrap_err().fault,
            Fault::TooDeep
        );
    }
}

#[test]
fn errors_name_the_byte() {
    for (text, at) in [
        (r#"{"a":1,}"#, 7),
        (r#"{"a" 1}"#, 5),
        ("[1 2]", 3),
        ("[1,]", 3),
        ("truE", 3),
        ("[1}", 2),
        ("1 2", 2),
    ] {
        assert_eq!(skip(text).unwrap_err().at, at, "{text}");
    }
    assert_eq!(
        skip("{\"a\":\"x\u{1}\"}").unwrap_err().to_string(),
        "control character in a string at byte 7"
    );
    assert_eq!(
        skip("[1,2").unwrap_err().to_string(),
        "the text ends unexpectedly at byte 4"
    );
}

#[test]
fn a_plain_string_ends_at_its_quote_wherever_that_is() {
    for length in 0..50 {
        for filler in ["x", "~", "\u{7f}", "é", "\u{10ffff}"] {
            for after in ["", "}", ",\"next\":\"one\"}", "                 \\"] {
                let text = filler.repeat(length);
                let written = format!("\"{text}\"{after}");
                let mut cursor = Cursor::new(written.as_bytes());
                assert_eq!(cursor.plain_string(), Some(text.as_bytes()), "{written}");
                assert_eq!(cursor.rest(), after.as_bytes());
                let mut cursor = Cursor::new(written.as_bytes());
                let (found, short) = cursor.plain_text().unwrap();
                assert_eq!(found, text.as_bytes(), "{written}");
                assert_eq!(cursor.rest(), after.as_bytes());
                assert!(
                    short.is_none() || short == ShortText::of(found),
                    "{written}"
                );
            }
        }
    }
}

#[test]
fn what_holds_an_escape_or_a_control_character_or_no_end_is_no_plain_string() {
    for length in 0..50 {
        let open = format!("\"{}", "é".repeat(length));
        assert_eq!(Cursor::new(open.as_bytes()).plain_string(), None);
        assert_eq!(Cursor::new(open.as_bytes()).plain_text(), None);
        for place in 0..=length {
            for mark in (0..0x20).chain([b'\\']) {
                let mut written = vec![b'x'; length];
                written.insert(place, mark);
                let written = [b"\"", written.as_slice(), b"\", 12345678901234567890"].concat();
                let mut cursor = Cursor::new(&written);
                assert_eq!(cursor.plain_string(), None, "{written:?}");
                assert_eq!(cursor.plain_text(), None, "{written:?}");
                assert_eq!(cursor.position(), 0);
            }
        }
    }
}
