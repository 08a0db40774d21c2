//! What the state file knows of object files.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tarn_core::Result;
use tarn_core::ports::ObjectInfo;

use crate::failure::sqlite_error;
use crate::files::Stamp;

/// What the state file knows of an object.
pub(crate) struct Known {
    pub(crate) stamp: Stamp,
    /// Whether an equal stamp proves an equal content.
    pub(crate) settled: bool,
    pub(crate) version: String,
    pub(crate) sequencer: i64,
    pub(crate) put_at_us: i64,
}

impl Known {
    pub(crate) const COLUMNS: &str =
        "key, size, mtime_ns, inode, settled, version, sequencer, put_at_us";

    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<(String, Known)> {
        let stamp = Stamp {
            size: row.get::<_, i64>(1)?.cast_unsigned(),
            mtime_ns: row.get(2)?,
            inode: row.get::<_, i64>(3)?.cast_unsigned(),
        };
        let known = Known {
            stamp,
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
            self.stamp.size.cast_signed(),
            self.stamp.mtime_ns,
            self.stamp.inode.cast_signed(),
            self.settled,
            self.version,
            self.sequencer,
            self.put_at_us
        ];
        transaction.execute(&sql, values).map_err(sqlite_error)?;
        Ok(())
    }

    pub(crate) fn proves(&self, stamp: Stamp) -> bool {
        self.settled && self.stamp == stamp
    }

    pub(crate) fn info(&self, key: &str) -> ObjectInfo {
        ObjectInfo {
            key: key.to_owned(),
            size: self.stamp.size,
            version: self.version.clone(),
            // Zeros in front, so that text order is number order.
            sequencer: format!("{:016}", self.sequencer),
            last_modified: DateTime::from_timestamp_micros(self.put_at_us).unwrap_or_default(),
        }
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
pub(crate) fn counted_version(sequencer: i64, stamp: Stamp) -> String {
    format!("{sequencer}-{:x}", stamp.mtime_ns)
}
