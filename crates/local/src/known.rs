//! What the state file knows of object files.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tarn_core::digest::Digest;
use tarn_core::ports::ObjectInfo;
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::sqlite_error;
use crate::files::{Fingerprint, FullFingerprint};

/// What the state file knows of an object.
pub(crate) struct Known {
    pub(crate) fingerprint: Fingerprint,
    /// Whether an equal fingerprint proves an equal content.
    pub(crate) settled: bool,
    pub(crate) version: String,
    pub(crate) sequencer: i64,
    pub(crate) put_at_us: i64,
}

impl Known {
    pub(crate) const COLUMNS: &str =
        "key, size, mtime_ns, inode, settled, version, sequencer, put_at_us";

    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<(String, Known)> {
        let fingerprint = Fingerprint {
            size: row.get::<_, i64>(1)?.cast_unsigned(),
            mtime_ns: row.get(2)?,
            inode: row.get::<_, i64>(3)?.cast_unsigned(),
        };
        let known = Known {
            fingerprint,
            settled: row.get(4)?,
            version: row.get(5)?,
            sequencer: row.get(6)?,
            put_at_us: row.get(7)?,
        };
        Ok((row.get(0)?, known))
    }

    pub(crate) fn load(connection: &Connection, key: &str) -> Result<Option<Known>> {
        let sql = format!("SELECT {} FROM object WHERE key = ?1", Known::COLUMNS);
        let found = connection
            .query_row(&sql, [key], Known::of)
            .optional()
            .map_err(sqlite_error)?;
        Ok(found.map(|(_, known)| known))
    }

    pub(crate) fn save(&self, transaction: &Transaction<'_>, key: &str) -> Result<()> {
        let sql = format!(
            "REPLACE INTO object({}) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            Known::COLUMNS
        );
        let values = params![
            key,
            self.fingerprint.size.cast_signed(),
            self.fingerprint.mtime_ns,
            self.fingerprint.inode.cast_signed(),
            self.settled,
            self.version,
            self.sequencer,
            self.put_at_us
        ];
        transaction.execute(&sql, values).map_err(sqlite_error)?;
        Ok(())
    }

    pub(crate) fn proves(&self, fingerprint: Fingerprint) -> bool {
        self.settled && self.fingerprint == fingerprint
    }

    pub(crate) fn info(&self, key: &str) -> ObjectInfo {
        ObjectInfo {
            key: key.to_owned(),
            size: self.fingerprint.size,
            version: self.version.clone(),
            // Zeros in front, so that text order is number order.
            sequencer: format!("{:016}", self.sequencer),
            last_modified: DateTime::from_timestamp_micros(self.put_at_us).unwrap_or_default(),
        }
    }
}

/// What the state file knows of a file's content.
pub(crate) struct Checked {
    /// As it was written.
    pub(crate) digest: Digest,
    /// The file as it was when it had that content; None where only the digest is known.
    pub(crate) seen: Option<FullFingerprint>,
}

impl Checked {
    pub(crate) fn load(connection: &Connection, key: &str) -> Result<Option<Checked>> {
        let mut statement = connection
            .prepare("SELECT digest, size, mtime_ns, inode, ctime_ns FROM checked WHERE key = ?1")
            .map_err(sqlite_error)?;
        let found = statement
            .query_row([key], |row| {
                let seen = match row.get::<_, Option<i64>>(1)? {
                    None => None,
                    Some(size) => Some(FullFingerprint {
                        fingerprint: Fingerprint {
                            size: size.cast_unsigned(),
                            mtime_ns: row.get(2)?,
                            inode: row.get::<_, i64>(3)?.cast_unsigned(),
                        },
                        ctime_ns: row.get(4)?,
                    }),
                };
                Ok((row.get::<_, String>(0)?, seen))
            })
            .optional()
            .map_err(sqlite_error)?;
        let Some((digest, seen)) = found else {
            return Ok(None);
        };
        let digest = Digest::parse(&digest).ok_or_else(|| {
            Error::new(
                ErrorKind::Storage,
                format!("the digest of {key} in .tarn/lake.sqlite cannot be read"),
            )
        })?;
        Ok(Some(Checked { digest, seen }))
    }

    pub(crate) fn save(&self, connection: &Connection, key: &str) -> Result<()> {
        let seen = self.seen;
        let values = params![
            key,
            self.digest.to_string(),
            seen.map(|seen| seen.fingerprint.size.cast_signed()),
            seen.map(|seen| seen.fingerprint.mtime_ns),
            seen.map(|seen| seen.fingerprint.inode.cast_signed()),
            seen.map(|seen| seen.ctime_ns),
        ];
        connection
            .prepare(
                "REPLACE INTO checked(key, digest, size, mtime_ns, inode, ctime_ns) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut statement| statement.execute(values))
            .map_err(sqlite_error)?;
        Ok(())
    }

    /// Forgets what is known of a key's content; in a transaction that changes it.
    pub(crate) fn forget(connection: &Connection, key: &str) -> Result<()> {
        connection
            .prepare("DELETE FROM checked WHERE key = ?1")
            .and_then(|mut statement| statement.execute([key]))
            .map_err(sqlite_error)?;
        Ok(())
    }
}

/// Takes the next number; only in a transaction.
pub(crate) fn next_sequencer(transaction: &Connection) -> Result<i64> {
    transaction
        .query_row(
            "UPDATE counter SET value = value + 1 WHERE name = 'sequencer' RETURNING value",
            [],
            |row| row.get(0),
        )
        .map_err(sqlite_error)
}

/// The number that would be next, where none can be taken.
pub(crate) fn unused_sequencer(connection: &Connection) -> Result<i64> {
    connection
        .query_row(
            "SELECT value + 1 FROM counter WHERE name = 'sequencer'",
            [],
            |row| row.get(0),
        )
        .map_err(sqlite_error)
}

pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The version of an object that is not hashed.
pub(crate) fn counted_version(sequencer: i64, fingerprint: Fingerprint) -> String {
    format!("{sequencer}-{:x}", fingerprint.mtime_ns)
}
