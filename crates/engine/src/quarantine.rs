//! Rejected rows as rows of the quarantine table.

use tarn_core::quarantine as table;

use crate::batch::Rejected;
use crate::column::{ColumnData, Plain, TextColumn};

/// Bytes as text that can be turned back: valid UTF-8 stays, other bytes become `\xhh`.
pub fn payload_text(bytes: &[u8]) -> (String, &'static str) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), "utf8");
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' {
                text.push('\\');
            }
            text.push(character);
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    (text, "escaped")
}

/// The quarantine table's own columns for some rejected rows of a dataset, and their offsets.
pub fn columns(
    dataset: &str,
    rejected: &[Rejected],
) -> (Vec<(&'static str, ColumnData)>, Vec<i64>) {
    let text = |value: &dyn Fn(&Rejected) -> Option<String>| {
        let mut column = TextColumn::new(true);
        for row in rejected {
            match value(row) {
                Some(text) => column.push(text.as_bytes()),
                None => column.push_null(),
            }
        }
        ColumnData::Text(column)
    };
    let long = |value: &dyn Fn(&Rejected) -> Option<i64>| {
        let mut column = Plain::new();
        for row in rejected {
            match value(row) {
                Some(number) => column.push(number),
                None => column.push_null(),
            }
        }
        ColumnData::Long(column)
    };
    let named = vec![
        (table::DATASET, text(&|_| Some(dataset.to_owned()))),
        (table::RULE, text(&|row| Some(row.rule.clone()))),
        (table::COLUMN, text(&|row| row.column.clone())),
        (table::REASON, text(&|row| Some(row.reason.clone()))),
        (
            table::LINE,
            long(&|row| row.line.and_then(|line| i64::try_from(line).ok())),
        ),
        (
            table::PAYLOAD,
            text(&|row| Some(payload_text(&row.payload).0)),
        ),
        (
            table::PAYLOAD_ENCODING,
            text(&|row| Some(payload_text(&row.payload).1.to_owned())),
        ),
        (
            table::PAYLOAD_BYTES,
            long(&|row| i64::try_from(row.payload_bytes).ok()),
        ),
    ];
    (named, rejected.iter().map(|row| row.offset).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_not_utf8_keeps_every_byte_readable() {
        assert_eq!(payload_text(b"caf\xc3\xa9"), ("café".to_owned(), "utf8"));
        assert_eq!(
            payload_text(b"a\\b\xff\x00"),
            ("a\\\\b\\xff\0".to_owned(), "escaped")
        );
    }
}
