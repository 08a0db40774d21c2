//! The ledger as rows of the state file.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Error as JsonError;
use tarn_core::feedback::Feedback;
use tarn_core::ports::Ledger;
use tarn_core::run::{ObjectRecord, RunRecord};
use tarn_core::{Error, ErrorKind, Result};

use crate::db::Durability;
use crate::failure::{damaged, sqlite_error};
use crate::files::blocking;
use crate::key;
use crate::store::Store;

/// The port [`Ledger`] on SQLite. Records are kept as JSON beside what they are found by.
#[derive(Debug)]
pub(crate) struct SqliteLedger {
    store: Arc<Store>,
}

impl SqliteLedger {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        SqliteLedger { store }
    }
}

fn unwritable(error: JsonError) -> Error {
    Error::internal("a record of the ledger cannot be written as JSON").with_source(error)
}

fn object_record(text: &str, revision: i64) -> Result<ObjectRecord> {
    let record: ObjectRecord =
        serde_json::from_str(text).map_err(|error| damaged("the record of an object", error))?;
    Ok(ObjectRecord {
        revision: revision.cast_unsigned(),
        ..record
    })
}

fn run_record(text: &str) -> Result<RunRecord> {
    serde_json::from_str(text).map_err(|error| damaged("the record of a run", error))
}

fn revision_of(connection: &Connection, key: &str) -> Result<Option<i64>> {
    connection
        .query_row(
            "SELECT revision FROM ledger_object WHERE key = ?1",
            [key],
            |row| row.get(0),
        )
        .optional()
        .map_err(sqlite_error)
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn object(&self, key: &str) -> Result<Option<ObjectRecord>> {
        let (store, key) = (self.store.clone(), key.to_owned());
        blocking(move || {
            let found: Option<(String, i64)> = store.db.read(|connection| {
                connection
                    .query_row(
                        "SELECT record, revision FROM ledger_object WHERE key = ?1",
                        [&key],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .optional()
                    .map_err(sqlite_error)
            })?;
            found
                .map(|(text, revision)| object_record(&text, revision))
                .transpose()
        })
        .await
    }

    async fn put_object(
        &self,
        record: &ObjectRecord,
        expected_revision: Option<u64>,
    ) -> Result<u64> {
        let text = serde_json::to_string(record).map_err(unwritable)?;
        let (store, key) = (self.store.clone(), record.key.clone());
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                let current = revision_of(transaction, &key)?;
                if current.map(i64::cast_unsigned) != expected_revision {
                    let shown = |revision: Option<u64>| revision.map_or("none".to_owned(), |revision| revision.to_string());
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "the record of {key:?} was written by another run: expected revision {}, found {}",
                            shown(expected_revision),
                            shown(current.map(i64::cast_unsigned))
                        ),
                    ));
                }
                let revision = current.unwrap_or_default() + 1;
                transaction
                    .execute(
                        "REPLACE INTO ledger_object(key, revision, record) VALUES(?1, ?2, ?3)",
                        params![key, revision, text],
                    )
                    .map_err(sqlite_error)?;
                Ok(revision.cast_unsigned())
            })
        })
        .await
    }

    async fn objects(&self, prefix: &str) -> Result<Vec<ObjectRecord>> {
        let (store, prefix) = (self.store.clone(), prefix.to_owned());
        blocking(move || {
            let rows: Vec<(String, i64)> = store.db.read(|connection| {
                let mut statement = connection
                    .prepare(
                        "SELECT record, revision FROM ledger_object \
                         WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) ORDER BY key",
                    )
                    .map_err(sqlite_error)?;
                let rows = statement
                    .query_map(params![prefix, key::prefix_end(&prefix)], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .map_err(sqlite_error)?;
                rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
            })?;
            rows.iter()
                .map(|(text, revision)| object_record(text, *revision))
                .collect()
        })
        .await
    }

    async fn put_run(&self, run: &RunRecord) -> Result<()> {
        let text = serde_json::to_string(run).map_err(unwritable)?;
        let (store, run_id, started_at) = (
            self.store.clone(),
            run.run_id.clone(),
            run.started_at.timestamp_micros(),
        );
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                transaction
                    .execute(
                        "REPLACE INTO ledger_run(run_id, started_at_us, record) VALUES(?1, ?2, ?3)",
                        params![run_id, started_at, text],
                    )
                    .map_err(sqlite_error)?;
                Ok(())
            })
        })
        .await
    }

    async fn run(&self, run_id: &str) -> Result<Option<RunRecord>> {
        let (store, run_id) = (self.store.clone(), run_id.to_owned());
        blocking(move || {
            let found: Option<String> = store.db.read(|connection| {
                connection
                    .query_row(
                        "SELECT record FROM ledger_run WHERE run_id = ?1",
                        [&run_id],
                        |row| row.get(0),
                    )
                    .optional()
                    .map_err(sqlite_error)
            })?;
            found.map(|text| run_record(&text)).transpose()
        })
        .await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>> {
        let (store, limit) = (self.store.clone(), i64::try_from(limit).unwrap_or(i64::MAX));
        blocking(move || {
            let rows: Vec<String> = store.db.read(|connection| {
                let mut statement = connection
                    .prepare("SELECT record FROM ledger_run ORDER BY started_at_us DESC, run_id DESC LIMIT ?1")
                    .map_err(sqlite_error)?;
                let rows = statement.query_map([limit], |row| row.get(0)).map_err(sqlite_error)?;
                rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
            })?;
            rows.iter().map(|text| run_record(text)).collect()
        })
        .await
    }

    async fn state(&self, name: &str) -> Result<Option<String>> {
        let (store, name) = (self.store.clone(), name.to_owned());
        blocking(move || {
            store.db.read(|connection| {
                connection
                    .query_row(
                        "SELECT value FROM ledger_state WHERE name = ?1",
                        [&name],
                        |row| row.get(0),
                    )
                    .optional()
                    .map_err(sqlite_error)
            })
        })
        .await
    }

    async fn put_state(&self, name: &str, value: &str) -> Result<()> {
        let (store, name, value) = (self.store.clone(), name.to_owned(), value.to_owned());
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                transaction
                    .execute(
                        "REPLACE INTO ledger_state(name, value) VALUES(?1, ?2)",
                        params![name, value],
                    )
                    .map_err(sqlite_error)?;
                Ok(())
            })
        })
        .await
    }

    async fn swap_state(&self, name: &str, expected: Option<&str>, value: &str) -> Result<()> {
        let (store, name, value) = (self.store.clone(), name.to_owned(), value.to_owned());
        let expected = expected.map(str::to_owned);
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                let there: Option<String> = transaction
                    .query_row(
                        "SELECT value FROM ledger_state WHERE name = ?1",
                        [&name],
                        |row| row.get(0),
                    )
                    .optional()
                    .map_err(sqlite_error)?;
                if there != expected {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("the value {name} was set by another run"),
                    ));
                }
                transaction
                    .execute(
                        "REPLACE INTO ledger_state(name, value) VALUES(?1, ?2)",
                        params![name, value],
                    )
                    .map_err(sqlite_error)?;
                Ok(())
            })
        })
        .await
    }

    async fn advance_state(&self, name: &str, value: &str) -> Result<()> {
        let (store, name, value) = (self.store.clone(), name.to_owned(), value.to_owned());
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                transaction
                    .execute(
                        "INSERT INTO ledger_state(name, value) VALUES(?1, ?2) \
                         ON CONFLICT(name) DO UPDATE SET value = excluded.value \
                         WHERE excluded.value > ledger_state.value",
                        params![name, value],
                    )
                    .map_err(sqlite_error)?;
                Ok(())
            })
        })
        .await
    }

    async fn put_feedback(&self, feedback: &Feedback) -> Result<()> {
        let text = serde_json::to_string(feedback).map_err(unwritable)?;
        let (store, anomaly, at) = (
            self.store.clone(),
            feedback.anomaly.clone(),
            feedback.at.timestamp_micros(),
        );
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                transaction
                    .execute(
                        "REPLACE INTO ledger_feedback(anomaly, at_us, record) VALUES(?1, ?2, ?3)",
                        params![anomaly, at, text],
                    )
                    .map_err(sqlite_error)?;
                Ok(())
            })
        })
        .await
    }

    async fn feedback(&self) -> Result<Vec<Feedback>> {
        let store = self.store.clone();
        blocking(move || {
            let rows: Vec<String> = store.db.read(|connection| {
                let mut statement = connection
                    .prepare("SELECT record FROM ledger_feedback ORDER BY at_us, anomaly")
                    .map_err(sqlite_error)?;
                let rows = statement
                    .query_map([], |row| row.get(0))
                    .map_err(sqlite_error)?;
                rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
            })?;
            rows.iter()
                .map(|text| {
                    serde_json::from_str(text)
                        .map_err(|error| damaged("the judgement of an anomaly", error))
                })
                .collect()
        })
        .await
    }
}
