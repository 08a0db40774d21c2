#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;

const COMMAS: Dialect = Dialect {
    delimiter: b',',
    line_end: b'\n',
};

/// The records of a whole text: their fields, or None for a broken line.
fn records(text: &[u8], dialect: Dialect) -> Vec<Option<Vec<String>>> {
    let (mut begin, mut all, mut fields) = (0, Vec::new(), Vec::new());
    loop {
        match find(text, begin, true, dialect, &mut fields) {
            Found::Record(record) => {
                let mut scratch = Vec::new();
                let texts = fields.iter().map(|field| {
                    String::from_utf8_lossy(field.text(text, &mut scratch)).into_owned()
                });
                all.push(Some(texts.collect()));
                begin = record.next;
            }
            Found::Broken(record, _) => {
                all.push(None);
                begin = record.next;
            }
            Found::End => return all,
            other => panic!("{other:?}"),
        }
    }
}

fn texts(fields: &[&str]) -> Option<Vec<String>> {
    Some(fields.iter().map(|field| (*field).to_owned()).collect())
}

#[test]
fn quotes_hold_delimiters_and_line_ends() {
    assert_eq!(
        records(b"a,\"b,\r\nc\"\"d\",e\r\n,\"\",\nlast", COMMAS),
        [
            texts(&["a", "b,\r\nc\"d", "e"]),
            texts(&["", "", ""]),
            texts(&["last"])
        ]
    );
    // Blanks before a quote and after it; a quote inside an unquoted field; a return at the end of the file.
    assert_eq!(
        records(b"1, \"x\" ,12\" wide\n\"y\"\r", COMMAS),
        [texts(&["1", "x", "12\" wide"]), texts(&["y"])]
    );
}

#[test]
fn a_quote_that_is_not_closed_takes_one_line_with_it() {
    assert_eq!(
        records(b"1,\"open\n2,\"fine\"\n3,x\n", COMMAS),
        [None, texts(&["2", "fine"]), texts(&["3", "x"])]
    );
    assert_eq!(
        records(b"1,\"open\n2,x\n3,y\n", COMMAS),
        [None, texts(&["2", "x"]), texts(&["3", "y"])]
    );
    let mut long = b"1,\"open\n".to_vec();
    let lines = RECORD_LIMIT / 4 + 10;
    long.extend(b"2,x\n".repeat(lines));
    let all = records(&long, COMMAS);
    assert_eq!(all.len(), 1 + lines);
    assert_eq!(all[0], None);
    assert!(all[1..].iter().all(|record| *record == texts(&["2", "x"])));
}

#[test]
fn a_line_without_end_is_too_long() {
    let text = vec![b'x'; RECORD_LIMIT + 2];
    let mut fields = Vec::new();
    assert_eq!(find(&text, 0, false, COMMAS, &mut fields), Found::Long);
    assert_eq!(find(b"a,b", 0, false, COMMAS, &mut fields), Found::More);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        rows in proptest::collection::vec(
            proptest::collection::vec("[a,;\"\r\n\t '\u{e9}]{0,6}", 1..5), 1..6),
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t')],
        ends in prop_oneof![Just("\n"), Just("\r\n")],
    ) {
        let dialect = Dialect { delimiter, line_end: b'\n' };
        let mut text = String::new();
        for row in &rows {
            let fields: Vec<String> =
                row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            text += &fields.join(&char::from(delimiter).to_string());
            text += ends;
        }
        let expected: Vec<_> = rows.iter().cloned().map(Some).collect();
        prop_assert_eq!(records(text.as_bytes(), dialect), expected);
    }

    #[test]
    fn any_text_is_cut_into_records_that_follow_one_another(text in "[ab,\"\r\n ]{0,60}") {
        let text = text.as_bytes();
        let (mut begin, mut fields) = (0, Vec::new());
        loop {
            // What is not decided yet is decided by more text, and in the same way.
            for cut in begin..text.len() {
                let mut some = Vec::new();
                let early = find(&text[..cut], begin, false, COMMAS, &mut some);
                if !matches!(early, Found::More) {
                    let late = find(text, begin, true, COMMAS, &mut fields);
                    prop_assert_eq!((early, some), (late, fields.clone()));
                }
            }
            match find(text, begin, true, COMMAS, &mut fields) {
                Found::Record(record) | Found::Broken(record, _) => {
                    prop_assert_eq!(record.begin, begin);
                    prop_assert!(record.next > begin && record.end <= record.next);
                    begin = record.next;
                }
                Found::End => break,
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(begin, text.len());
    }
}
