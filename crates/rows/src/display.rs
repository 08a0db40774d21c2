//! Values as people and JSON show them.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tarn_contract::Contract;
use tarn_contract::quarantine::Encoding;
use tarn_core::schema::ColumnType;

use crate::column::ColumnData;

/// A text for a message, cut after this many characters.
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A scaled integer as decimal text: 1234 at scale 2 is `12.34`.
pub fn decimal(value: i128, scale: u8) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let digits = format!(
        "{:0>width$}",
        value.unsigned_abs(),
        width = usize::from(scale) + 1
    );
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" })
}

/// An instant as `2026-01-31T10:00:00.000000Z`, without the fraction where it is zero.
pub fn timestamp(micros: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(micros) {
        Some(time) if micros % 1_000_000 == 0 => time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        None => format!("{micros} microseconds since 1970"),
    }
}

/// A day as `2026-01-31`.
pub fn date(day: i32) -> String {
    chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0).map_or_else(
        || format!("{day} days since 1970"),
        |time| time.format("%Y-%m-%d").to_string(),
    )
}

/// The value of a row as text; empty for a null.
pub fn value(data: &ColumnData, row: usize, ty: &ColumnType) -> String {
    match as_json(data, row, ty) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// The value of a row as JSON: decimals and times as text, so that nothing is rounded.
pub fn as_json(data: &ColumnData, row: usize, ty: &ColumnType) -> Value {
    match data {
        ColumnData::Text(column) => column.get(row).map_or(Value::Null, text),
        ColumnData::Int(column) => match (column.get(row), ty) {
            (None, _) => Value::Null,
            (Some(day), ColumnType::Date) => Value::String(date(day)),
            (Some(number), _) => Value::from(number),
        },
        ColumnData::Long(column) => match (column.get(row), ty) {
            (None, _) => Value::Null,
            (Some(micros), ColumnType::Timestamp) => Value::String(timestamp(micros)),
            (Some(number), ColumnType::Decimal { scale, .. }) => {
                Value::String(decimal(i128::from(number), *scale))
            }
            (Some(number), _) => Value::from(number),
        },
        ColumnData::Double(column) => column.get(row).map_or(Value::Null, Value::from),
        ColumnData::Boolean(column) => column.get(row).map_or(Value::Null, Value::from),
        ColumnData::List(column) => {
            if !column.validity.get(row) {
                return Value::Null;
            }
            let begin = if row == 0 {
                0
            } else {
                column.ends[row - 1] as usize
            };
            (begin..column.ends[row] as usize)
                .map(|item| column.items.get(item).map_or(Value::Null, text))
                .collect()
        }
    }
}

/// A row, whose columns are as the tables keep them, as a JSON object by the names of its source.
pub(crate) fn row_as_json(contract: &Contract, columns: &[ColumnData], row: usize) -> String {
    let object: Map<String, Value> = contract
        .columns
        .iter()
        .zip(columns)
        .map(|(column, data)| {
            let value = as_json(data, row, &column.kept_type());
            (column.source_name.clone(), value)
        })
        .collect();
    Value::Object(object).to_string()
}

/// Bytes as text that can be turned back: valid UTF-8 stays, other bytes become `\xhh`.
pub fn payload_text(bytes: &[u8]) -> (Cow<'_, str>, Encoding) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (Cow::Borrowed(text), Encoding::Utf8);
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
    (Cow::Owned(text), Encoding::Escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_sign_and_zeros() {
        for (value, scale, expected) in [
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (1234, 2, "12.34"),
            (-1234, 0, "-1234"),
            (1, 6, "0.000001"),
        ] {
            assert_eq!(decimal(value, scale), expected);
        }
    }

    #[test]
    fn times_are_utc_and_drop_an_empty_fraction() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(date(-1), "1969-12-31");
    }
}
