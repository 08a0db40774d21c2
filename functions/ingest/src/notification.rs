//! Notifications of new objects in the two forms that S3 sends.

use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tarn_core::{Error, ErrorKind, Result};

/// An object that a message speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// The bucket.
    pub bucket: String,
    /// The key, not encoded.
    pub key: String,
    /// The version of the object, where the bucket keeps versions.
    pub version: Option<String>,
    /// When the object was put.
    pub at: Option<DateTime<Utc>>,
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

/// The new objects of a message's body: of an EventBridge event `Object Created`, whose keys are
/// not encoded, or of an S3 notification, whose keys are encoded as in an HTML form. Events of other
/// kinds and the test message that S3 sends when a notification is configured name none.
///
/// # Errors
/// `BadRequest` for anything else.
pub fn noticed(body: &str) -> Result<Vec<Noticed>> {
    let value: Value = serde_json::from_str(body)
        .map_err(|error| bad("the message is not JSON").with_source(error))?;
    if let Some(kind) = value.get("detail-type").and_then(Value::as_str) {
        return match kind {
            "Object Created" => Ok(vec![Noticed {
                bucket: text(&value, "/detail/bucket/name")?.to_owned(),
                key: text(&value, "/detail/object/key")?.to_owned(),
                version: version(&value, "/detail/object/version-id"),
                at: time(&value, "/time"),
            }]),
            _ => Ok(Vec::new()),
        };
    }
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        return records
            .iter()
            .filter_map(|record| of_record(record).transpose())
            .collect();
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    Err(bad(
        "the message is neither an EventBridge event nor a notification of S3",
    ))
}

fn of_record(record: &Value) -> Result<Option<Noticed>> {
    // Direct notifications say ObjectCreated:Put, those that came through SNS s3:ObjectCreated:Put.
    let name = text(record, "/eventName")?.trim_start_matches("s3:");
    if !name.starts_with("ObjectCreated:") {
        return Ok(None);
    }
    Ok(Some(Noticed {
        bucket: text(record, "/s3/bucket/name")?.to_owned(),
        key: decoded(text(record, "/s3/object/key")?)?,
        version: version(record, "/s3/object/versionId"),
        at: time(record, "/eventTime"),
    }))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| bad(format!("the message lacks the text {pointer}")))
}

/// None where the bucket keeps no versions, or did not when the object was put.
fn version(value: &Value, pointer: &str) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?;
    (!text.is_empty() && text != "null").then(|| text.to_owned())
}

fn time(value: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    let text = value.pointer(pointer)?.as_str()?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

/// A key as it is, from `application/x-www-form-urlencoded`: a plus sign is a space, `%2B` a plus sign.
fn decoded(key: &str) -> Result<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| bad(format!("the key {key} is not UTF-8")).with_source(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const KEY: &str =
        "raw/web/access_logs/ingest_date=2026-01-31/file name with spaces + plus ünïçode %41.log";

    fn sample(name: &str) -> String {
        // Cargo runs tests in the folder of their package.
        std::fs::read_to_string(format!("../../events/s3/{name}")).unwrap()
    }

    #[test]
    fn a_key_is_the_same_whatever_form_names_it() {
        for name in ["eventbridge_created.json", "notification_created.json"] {
            let found = noticed(&sample(name)).unwrap();
            assert_eq!(
                found,
                [Noticed {
                    bucket: "tarn-dev-raw-123456789012".to_owned(),
                    key: KEY.to_owned(),
                    version: Some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e".to_owned()),
                    at: Some("2026-01-31T10:00:00Z".parse().unwrap()),
                }],
                "{name}"
            );
        }
    }

    #[test]
    fn events_that_create_no_object_name_none() {
        for name in [
            "eventbridge_deleted.json",
            "notification_removed.json",
            "notification_test.json",
        ] {
            assert_eq!(noticed(&sample(name)).unwrap(), [], "{name}");
        }
    }

    #[test]
    fn a_notification_may_name_several_objects() {
        let found = noticed(&sample("notification_several.json")).unwrap();
        let keys: Vec<_> = found.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "raw/ads/events/ingest_date=2026-01-31/a.ndjson",
                "raw/ads/events/ingest_date=2026-01-31/b.ndjson"
            ]
        );
    }

    #[test]
    fn a_message_of_another_kind_is_refused() {
        for body in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            r#"{"detail-type":"Object Created","source":"aws.s3"}"#,
            r#"{"Records":[{"s3":{}}]}"#,
            r#"{"Records":7}"#,
        ] {
            let error = noticed(body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadRequest, "{body}");
        }
    }

    #[test]
    fn a_key_that_is_not_utf8_is_refused() {
        assert!(decoded("raw/%FF").is_err());
        assert_eq!(decoded("a%2Bb+c%2520").unwrap(), "a+b c%20");
    }
}
