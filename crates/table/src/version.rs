//! Versions of a table, and how people name them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use iceberg::spec::Snapshot;
use tarn_core::{Error, ErrorKind, Result};

use crate::change::KIND;

/// One version of a table: a snapshot in the history of the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts from 1: the snapshot's sequence number. It never changes, also when older versions expire.
    pub number: u64,
    /// The Iceberg snapshot.
    pub snapshot_id: i64,
    /// When it was committed, in milliseconds.
    pub committed_at: DateTime<Utc>,
    /// `append`, `overwrite`, `delete` or `replace`.
    pub operation: String,
    /// Every property of the snapshot.
    pub summary: BTreeMap<String, String>,
    /// Rows in the table.
    pub rows: u64,
    /// Live data files.
    pub files: u64,
    /// Rows in files that this version added.
    pub added_rows: u64,
    /// Rows in files that it removed.
    pub deleted_rows: u64,
}

impl Version {
    /// What kind of work made it, as its change said.
    pub fn kind(&self) -> Option<&str> {
        self.summary.get(KIND).map(String::as_str)
    }

    pub(crate) fn of(snapshot: &Snapshot) -> Result<Self> {
        let summary: BTreeMap<String, String> = snapshot
            .summary()
            .additional_properties
            .clone()
            .into_iter()
            .collect();
        let count = |name: &str| {
            summary
                .get(name)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Ok(Version {
            number: number(snapshot),
            snapshot_id: snapshot.snapshot_id(),
            committed_at: DateTime::from_timestamp_millis(snapshot.timestamp_ms()).ok_or_else(
                || {
                    Error::new(
                        ErrorKind::Storage,
                        format!(
                            "snapshot {} has no valid time in the metadata file",
                            snapshot.snapshot_id()
                        ),
                    )
                },
            )?,
            operation: snapshot.summary().operation.as_str().to_owned(),
            rows: count("total-records"),
            files: count("total-data-files"),
            added_rows: count("added-records"),
            deleted_rows: count("deleted-records"),
            summary,
        })
    }
}

/// A snapshot's version number.
pub(crate) fn number(snapshot: &Snapshot) -> u64 {
    u64::try_from(snapshot.sequence_number()).unwrap_or_default()
}

/// Names a version of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef {
    /// The newest one.
    Current,
    /// The version with this number or, where no version has it, with this snapshot id.
    Number(i64),
    /// The version of this snapshot.
    Snapshot(i64),
    /// The newest version that was committed at or before this instant.
    AsOf(DateTime<Utc>),
}

impl VersionRef {
    /// Parses `current`, a version number, a snapshot id, a time with offset
    /// (`2026-01-31T10:00:00+01:00`), a time without one or a date (both UTC; a date is its midnight).
    ///
    /// # Errors
    /// `BadRequest` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("current") {
            return Ok(VersionRef::Current);
        }
        if let Ok(number) = text.parse() {
            return Ok(VersionRef::Number(number));
        }
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Ok(VersionRef::AsOf(instant.to_utc()));
        }
        for format in [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M",
        ] {
            if let Ok(instant) = NaiveDateTime::parse_from_str(text, format) {
                return Ok(VersionRef::AsOf(instant.and_utc()));
            }
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(VersionRef::AsOf(
                date.and_time(chrono::NaiveTime::MIN).and_utc(),
            ));
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!(
                "{text:?} names no version: give a version number, a snapshot id or a time such as 2026-01-31T10:00:00Z"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_version_is_named_by_number_id_or_time() {
        let at =
            |text: &str| VersionRef::AsOf(DateTime::parse_from_rfc3339(text).unwrap().to_utc());
        for (text, expected) in [
            ("current", VersionRef::Current),
            ("3", VersionRef::Number(3)),
            (
                "8027658604211071520",
                VersionRef::Number(8_027_658_604_211_071_520),
            ),
            ("2026-01-31T10:00:00+01:00", at("2026-01-31T09:00:00Z")),
            ("2026-01-31T10:00:00.25", at("2026-01-31T10:00:00.25Z")),
            (" 2026-01-31 10:00 ", at("2026-01-31T10:00:00Z")),
            ("2026-01-31", at("2026-01-31T00:00:00Z")),
        ] {
            assert_eq!(VersionRef::parse(text).unwrap(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_a_bad_request(text in "\\PC{0,40}") {
            if let Err(error) = VersionRef::parse(&text) {
                prop_assert_eq!(error.kind(), ErrorKind::BadRequest);
            }
        }
    }
}
