//! The envelope in which the archive step puts stream records into the raw zone.
//!
//! A gzip file of JSON lines. The first line is a header, `{"tarn_archive":1,"stream":…,"shard":…}`;
//! each further line is one record: `sequence_number`, `arrival_time` (ISO 8601, UTC, microseconds),
//! `partition_key`, and the producer's bytes, as text in `data` where they are UTF-8 and otherwise in
//! Base64 (RFC 4648, section 4) in `data_base64`. Nothing is looked into or changed, so that every
//! event can be read again from what its producer sent.

use std::io::{Read, Write};
use tarn_core::calendar;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tarn_core::{Error, ErrorKind, Result};

use crate::reason::Reason;
use crate::source::json::cursor::Cursor;
use crate::source::json::error::JsonError;
use crate::source::json::keys::{KeyError, KeyTable, Member};
use crate::source::time;

/// The version of the envelope that is written here, and the only one that is read.
pub(crate) const ENVELOPE_VERSION: i64 = 1;

/// How every header begins.
const HEADER: &[u8] = b"{\"tarn_archive\":";

/// "Unknown" of RFC 1952, section 2.3: the same records give the same bytes on every machine.
const UNKNOWN_OPERATING_SYSTEM: u8 = 255;

/// A record as it came from the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the shard.
    pub sequence_number: &'a str,
    /// When the stream received it: microseconds since 1970-01-01T00:00:00Z.
    pub arrival_time: i64,
    /// The producer's partition key.
    pub partition_key: &'a str,
    /// The producer's bytes.
    pub data: &'a [u8],
}

/// Wraps records, in the order given, into one object. The same records give the same bytes.
///
/// # Errors
/// `Internal` where an arrival time is outside the years 1 to 9999.
pub fn encode(stream: &str, shard: &str, records: &[Record<'_>]) -> Result<Vec<u8>> {
    let failed =
        |error: std::io::Error| Error::internal("records cannot be compressed").with_source(error);
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_OPERATING_SYSTEM)
        .write(Vec::new(), Compression::default());
    let (stream, shard) = (json_text(stream), json_text(shard));
    let header =
        format!("{{\"tarn_archive\":{ENVELOPE_VERSION},\"stream\":{stream},\"shard\":{shard}}}\n");
    gzip.write_all(header.as_bytes()).map_err(failed)?;
    for record in records {
        let arrival =
            calendar::in_range(record.arrival_time).and_then(DateTime::from_timestamp_micros);
        let arrival = arrival.ok_or_else(|| {
            let number = record.sequence_number;
            Error::internal(format!(
                "record {number} arrived at {}, which is not a time of the years 1 to 9999",
                record.arrival_time
            ))
        })?;
        let (key, data) = match simdutf8::basic::from_utf8(record.data) {
            Ok(text) => ("data", json_text(text)),
            Err(_) => ("data_base64", json_text(&STANDARD.encode(record.data))),
        };
        let line = format!(
            "{{\"sequence_number\":{},\"arrival_time\":\"{}\",\"partition_key\":{},\"{key}\":{data}}}\n",
            json_text(record.sequence_number),
            arrival.format("%Y-%m-%dT%H:%M:%S%.6fZ"),
            json_text(record.partition_key),
        );
        gzip.write_all(line.as_bytes()).map_err(failed)?;
    }
    gzip.finish().map_err(failed)
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether an object that begins so was written by the archive step, whatever its version.
pub fn begins(head: &[u8]) -> bool {
    head.strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .starts_with(HEADER)
}

/// Whether an object whose first line this is was written by the archive step.
///
/// # Errors
/// `BadSource` for a header of another version, or a broken one.
pub(crate) fn is_header(line: &[u8]) -> Result<bool> {
    if !line.starts_with(HEADER) {
        return Ok(false);
    }
    let mut cursor = Cursor::new(line.get(HEADER.len()..).unwrap_or_default());
    let version = cursor.number().ok().and_then(|number| number.scaled(0));
    if version != Some(ENVELOPE_VERSION) || Cursor::new(line).skip_value().is_err() {
        return Err(Error::new(
            ErrorKind::BadSource,
            format!(
                "the archive object's header is broken or not of version {ENVELOPE_VERSION}: put the object \
                 again, or read it with the release that wrote it"
            ),
        ));
    }
    Ok(true)
}

/// The most bytes that a packed record is unpacked to.
const UNPACKED_LIMIT: u64 = 16 << 20;

/// What a record holds that was packed by gzip or written in Base64, or both; None for any other.
pub(crate) fn unpacked(data: &[u8]) -> Option<Vec<u8>> {
    const GZIP: &[u8] = b"\x1f\x8b\x08";
    let inflated = |data: &[u8]| {
        let mut text = Vec::new();
        let mut limited = MultiGzDecoder::new(data).take(UNPACKED_LIMIT + 1);
        limited.read_to_end(&mut text).ok()?;
        (text.len() as u64 <= UNPACKED_LIMIT).then_some(text)
    };
    if data.starts_with(GZIP) {
        return inflated(data);
    }
    let text = data.trim_ascii();
    let is_encoded = text.len() >= 4
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    let decoded = is_encoded.then(|| STANDARD.decode(text).ok()).flatten()?;
    match decoded.trim_ascii_start().first() {
        _ if decoded.starts_with(GZIP) => inflated(&decoded),
        Some(b'{' | b'[') => Some(decoded),
        _ => None,
    }
}

/// A record that was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// When the stream received it: microseconds since 1970-01-01T00:00:00Z.
    pub arrival_time: i64,
    /// Whether its data is known to be UTF-8.
    pub is_text: bool,
}

/// Reads record lines.
pub struct Decoder {
    keys: KeyTable,
    scratch: Vec<u8>,
}

const KEYS: [&str; 5] = [
    "sequence_number",
    "arrival_time",
    "partition_key",
    "data",
    "data_base64",
];

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            keys: KeyTable::new(KEYS),
            scratch: Vec::new(),
        }
    }
}

impl Decoder {
    /// Reads a line, which must be UTF-8, and appends the producer's bytes to `data`.
    ///
    /// # Errors
    /// What is wrong with the line; `data` is as it was.
    pub(crate) fn read(&mut self, line: &[u8], data: &mut Vec<u8>) -> Result<Envelope, Reason> {
        let before = data.len();
        let result = self.read_members(line, data);
        if result.is_err() {
            data.truncate(before);
        }
        result.map_err(|reason| reason.at("damaged archive record"))
    }

    fn read_members(&mut self, line: &[u8], data: &mut Vec<u8>) -> Result<Envelope, Reason> {
        let json = |error: JsonError| Reason::from(error.to_string());
        let mut cursor = Cursor::new(line);
        let (mut arrival_time, mut is_text) = (None, None);
        cursor.enter_object().map_err(json)?;
        self.keys.begin();
        loop {
            let member = self.keys.next(&mut cursor).map_err(|error| match error {
                KeyError::Json(error) => json(error),
                KeyError::Duplicate(key) => Reason::repeated_key(&key),
            })?;
            let key = match member {
                Member::Key(key) => key,
                Member::Other => KEYS.len(),
                Member::End => break,
            };
            let fault = match KEYS.get(key) {
                Some(&"arrival_time") => cursor.string().map(|text| {
                    arrival_time = time::timestamp(text.text(&mut self.scratch)).ok();
                }),
                Some(&"data") => cursor.string().map(|text| {
                    text.unescape_into(data);
                    is_text = Some(is_text.is_none());
                }),
                Some(&"data_base64") => cursor.string().map(|text| {
                    let decoded = STANDARD
                        .decode_vec(text.text(&mut self.scratch), data)
                        .is_ok();
                    is_text = (decoded && is_text.is_none()).then_some(false);
                }),
                _ => cursor.skip_value().map(|_| ()),
            };
            fault.map_err(json)?;
        }
        cursor.finish().map_err(json)?;
        Ok(Envelope {
            arrival_time: arrival_time.ok_or("no arrival_time")?,
            is_text: is_text.ok_or("no data")?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::io::Read;

    use super::*;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;

    fn unzip(object: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        MultiGzDecoder::new(object).read_to_end(&mut text).unwrap();
        text
    }

    proptest! {
        #[test]
        fn every_record_comes_back_as_it_was(
            records in prop::collection::vec((any::<String>(), any::<u32>(), prop_oneof![any::<String>().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)]), 0..8),
        ) {
            let records: Vec<Record<'_>> = records.iter().map(|(key, time, data)| Record {
                sequence_number: "4959033827149025660855969253836571595921873430",
                arrival_time: i64::from(*time) * 1_000_003,
                partition_key: key,
                data,
            }).collect();
            let object = encode("ad-events", "shardId-000000000000", &records).unwrap();
            prop_assert_eq!(&object, &encode("ad-events", "shardId-000000000000", &records).unwrap());
            let text = unzip(&object);
            let mut lines = text.split(|byte| *byte == b'\n');
            prop_assert!(is_header(lines.next().unwrap()).unwrap());
            let mut decoder = Decoder::default();
            let mut data = b"before".to_vec();
            for record in &records {
                let begin = data.len();
                let envelope = decoder.read(lines.next().unwrap(), &mut data).unwrap();
                prop_assert_eq!(&data[begin..], record.data);
                prop_assert_eq!(envelope.arrival_time, record.arrival_time);
                prop_assert_eq!(envelope.is_text, std::str::from_utf8(record.data).is_ok());
            }
            prop_assert_eq!(lines.collect::<Vec<_>>(), vec![b"".as_slice()]);
        }

        #[test]
        fn any_line_is_judged_without_a_panic(line in any::<String>()) {
            let mut data = Vec::new();
            prop_assert!(Decoder::default().read(line.as_bytes(), &mut data).is_ok() || data.is_empty());
            is_header(line.as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_header_is_recognised_and_another_version_is_refused() {
        assert!(!is_header(br#"{"event_id":"1"}"#).unwrap());
        assert!(is_header(br#"{"tarn_archive":1,"stream":"a","shard":"b"}"#).unwrap());
        for line in [
            r#"{"tarn_archive":2}"#,
            r#"{"tarn_archive":"1"}"#,
            r#"{"tarn_archive":1"#,
        ] {
            assert_eq!(
                is_header(line.as_bytes()).unwrap_err().kind(),
                ErrorKind::BadSource,
                "{line}"
            );
        }
    }

    #[test]
    fn a_damaged_record_says_what_is_wrong() {
        let read = |line: &str| {
            Decoder::default()
                .read(line.as_bytes(), &mut Vec::new())
                .unwrap_err()
                .to_string()
        };
        let time = r#""arrival_time":"2026-01-01T00:00:00Z""#;
        assert_eq!(read("{}"), "damaged archive record: no arrival_time");
        assert_eq!(
            read(&format!("{{{time}}}")),
            "damaged archive record: no data"
        );
        assert_eq!(
            read(&format!("{{{time},\"data_base64\":\"?\"}}")),
            "damaged archive record: no data"
        );
        assert_eq!(
            read(&format!("{{{time},{time}}}")),
            "damaged archive record: expected each key once, found \"arrival_time\" again"
        );
        assert!(read("[]").starts_with("damaged archive record: expected an object"));
    }
}
