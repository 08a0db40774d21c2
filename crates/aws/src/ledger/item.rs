//! Items of the ledger's table: their attributes, and records as JSON in them.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tarn_core::{Error, ErrorKind, Result};

pub(super) type Item = HashMap<String, AttributeValue>;

/// A longer JSON text (bytes) is compressed.
const PLAIN_BYTES: usize = 128 << 10;

/// What a record may have in the end: DynamoDB takes 400 KB with the other attributes.
const MOST_BYTES: usize = 390_000;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn read_number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A record as an attribute.
pub(super) fn pack(record: &impl Serialize, what: &str) -> Result<(&'static str, AttributeValue)> {
    let json = serde_json::to_string(record).map_err(|error| {
        Error::internal("a record of the ledger cannot be written as JSON").with_source(error)
    })?;
    if json.len() <= PLAIN_BYTES {
        return Ok(("record", text(json)));
    }
    let packed = zstd::encode_all(json.as_bytes(), 3).map_err(|error| {
        Error::internal("a record of the ledger cannot be compressed").with_source(error)
    })?;
    if packed.len() > MOST_BYTES {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{what} has {} bytes even when compressed, and the ledger's table takes \
                 {MOST_BYTES}; give the source fewer tables or the contract fewer rules",
                packed.len()
            ),
        ));
    }
    Ok(("record_zstd", AttributeValue::B(Blob::new(packed))))
}

pub(super) fn unpack<T: DeserializeOwned>(item: &Item, what: &str) -> Result<T> {
    let damaged = || {
        Error::new(
            ErrorKind::Storage,
            format!("{what} in the ledger is damaged"),
        )
    };
    if let Some(json) = read_text(item, "record") {
        return serde_json::from_str(json).map_err(|error| damaged().with_source(error));
    }
    let packed = item.get("record_zstd").and_then(|value| value.as_b().ok());
    let packed = packed.ok_or_else(damaged)?;
    let json = zstd::decode_all(packed.as_ref()).map_err(|error| damaged().with_source(error))?;
    serde_json::from_slice(&json).map_err(|error| damaged().with_source(error))
}

pub(super) fn check_size(name: &str, value: &str) -> Result<()> {
    if value.len() <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "the value {name} has {} bytes, and the ledger's table takes {MOST_BYTES}",
            value.len()
        ),
    ))
}
