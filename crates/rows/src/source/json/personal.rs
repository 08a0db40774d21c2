//! What looks personal in a JSON value.

use serde_json::Value;
use tarn_core::privacy::personal_in_text;

/// What in the texts of a JSON value looks personal. Numbers are left to the name of their key: some of
/// those with as many digits as a card number have the right check digit by chance.
pub(crate) fn in_value(value: &[u8]) -> Option<&'static str> {
    match value.first()? {
        b'"' | b'[' | b'{' if value.contains(&b'\\') => {
            // Escapes hide what they stand for.
            let value: Value = serde_json::from_slice(value).ok()?;
            in_texts(&value)
        }
        b'"' | b'[' | b'{' => personal_in_text(value),
        _ => None,
    }
}

fn in_texts(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => personal_in_text(text.as_bytes()),
        Value::Array(items) => items.iter().find_map(in_texts),
        Value::Object(fields) => fields.values().find_map(in_texts),
        _ => None,
    }
}
