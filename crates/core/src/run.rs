//! What the lake records about its work.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::profile::{ColumnProfile, PartitionProfiles};

/// The state of a source object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectState {
    /// A run has begun and has not ended; when it is repeated it ends.
    Pending,
    /// Every row is in a table, accepted or rejected.
    Committed,
    /// The run ended without a commit; the object is kept and can be ingested again.
    Failed,
    /// No contract claims the key; the object is kept.
    Unclaimed,
    /// It is an older snapshot of a database than the one that its tables have; the object is kept.
    Superseded,
}

/// What happened to one version of one source object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// The key in the raw zone.
    pub key: String,
    /// The version that this record describes.
    pub version: String,
    /// Orders the versions of the key.
    pub sequencer: String,
    /// Its state.
    pub state: ObjectState,
    /// The run that brought it there.
    pub run_id: String,
    /// Why it failed, or why it is unclaimed.
    pub reason: Option<String>,
    /// When the record was last written (UTC).
    pub updated_at: DateTime<Utc>,
    /// Counts the writes of this record, for compare-and-swap; set by the ledger.
    #[serde(default)]
    pub revision: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Begun and not ended.
    Running,
    /// Ended with every input accounted for.
    Succeeded,
    /// Ended with a cause. No table was changed, but for those of a database whose outcome has a snapshot:
    /// the next run of this or a newer snapshot changes the others.
    Failed,
    /// Nothing to do: the same version was committed before, or a newer one or a newer snapshot was.
    Skipped,
}

/// Why nothing was done for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It was deleted after it was put.
    Gone,
    /// The same version was committed before.
    AlreadyCommitted,
    /// A newer version of it was seen before.
    NewerVersion,
    /// A newer snapshot of the database was applied before.
    NewerSnapshot,
    /// No contract claims its key.
    Unclaimed,
    /// Its key ends in a slash: it stands for a folder that somebody made in a console.
    Folder,
}

/// Why an object was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// It was new, or had a new version.
    #[default]
    Ingest,
    /// Some of its rows were in quarantine.
    Replay,
    /// It was ingested on a day of a range.
    Backfill,
}

/// One ingest of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Unique, ordered by time (UUID version 7).
    pub run_id: String,
    /// Why the object was read.
    #[serde(default)]
    pub kind: RunKind,
    /// The key in the raw zone.
    pub key: String,
    /// Its version.
    pub version: String,
    /// Bytes of the object.
    pub bytes: u64,
    /// How it ended.
    pub status: RunStatus,
    /// Why it failed or was skipped, for people; for a run that succeeded, which tables it left alone.
    pub reason: Option<String>,
    /// Why it was skipped.
    #[serde(default)]
    pub skipped: Option<SkipReason>,
    /// A stable name for the kind of failure.
    pub error_kind: Option<String>,
    /// Whether the same run may succeed later without a change of the input.
    pub retryable: bool,
    /// Begin (UTC).
    pub started_at: DateTime<Utc>,
    /// End (UTC).
    pub ended_at: Option<DateTime<Utc>>,
    /// What was done per dataset.
    pub datasets: Vec<DatasetOutcome>,
    /// Tables of a database that no contract claims, with their row counts.
    #[serde(default)]
    pub unclaimed_tables: BTreeMap<String, u64>,
    /// When the object was put (UTC).
    #[serde(default)]
    pub put_at: Option<DateTime<Utc>>,
    /// From begin to end, in seconds.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The most memory, in bytes, that the process held from its start to the end of the run. This
    /// includes other runs of the same process.
    #[serde(default)]
    pub peak_memory_bytes: Option<u64>,
    /// The version of the program.
    #[serde(default)]
    pub program_version: Option<String>,
    /// Whether somebody has confirmed that the snapshot may delete more rows than its contracts allow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletions_confirmed: bool,
    /// What people should know about it although it did not fail.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a run did to one dataset. `accepted + rejected == received`, always.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetOutcome {
    /// The contract's name.
    pub dataset: String,
    /// The contract's version.
    #[serde(default)]
    pub contract_version: String,
    /// Rows found in the object.
    pub received: u64,
    /// Rows that passed every rule.
    pub accepted: u64,
    /// Rows in quarantine.
    pub rejected: u64,
    /// Rejected rows per rule.
    #[serde(default)]
    pub rejected_by: BTreeMap<String, u64>,
    /// Lines of the object that hold no row: blank lines.
    #[serde(default)]
    pub blank: u64,
    /// Rows new to the table.
    #[serde(default)]
    pub inserted: u64,
    /// Rows of the table that were replaced by a changed one.
    #[serde(default)]
    pub updated: u64,
    /// Rows that were in the table as they are.
    #[serde(default)]
    pub unchanged: u64,
    /// Rows marked as deleted or removed because their source lost them.
    #[serde(default)]
    pub deleted: u64,
    /// Rows of the table whose present version at the source was rejected: the last good one stays. Each is
    /// among the rejected rows.
    #[serde(default)]
    pub held: u64,
    /// Rows of the table that the source has no longer, as it seems, and that stay because a rejected row
    /// has no key that could be read: it may be any of them.
    #[serde(default)]
    pub deletions_withheld: u64,
    /// Rows of the table that repeated the key of another one and were taken out. Former versions of the
    /// program could write them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated_removed: u64,
    /// Events that came later than the contract's bound.
    #[serde(default)]
    pub late: u64,
    /// The snapshot that holds the rows; None where nothing changed.
    #[serde(default)]
    pub snapshot_id: Option<i64>,
    /// How the rows compare with the source's own count, for databases.
    #[serde(default)]
    pub reconciliation: Option<Reconciliation>,
    /// The verdict of each rule of the contract.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// Where the source has another shape than its contract.
    #[serde(default)]
    pub drift: Vec<Drift>,
    /// What the values of each column look like.
    #[serde(default)]
    pub profile: Vec<ColumnProfile>,
    /// What is missing by partition; None where the table has no partitions.
    #[serde(default)]
    pub partitions: Option<PartitionProfiles>,
    /// For a log: its beginning, or all of it, that was ingested before and is not received again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_before: Option<TakenBefore>,
    /// For a log: a line that was incomplete when it was first ingested, and that this run ingested
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Completed>,
    /// Where the newest of equal rows stays: rows of objects put earlier that left the table for those of this
    /// one, by object and version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
}

/// Rows of an object that equal ones of a later object replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The object that they came from.
    pub key: String,
    /// Its version.
    pub version: String,
    /// How many there were.
    pub rows: u64,
}

/// Lines of a log that were ingested before, from another object or an earlier version of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBefore {
    /// Bytes of the decompressed object, from its beginning.
    pub bytes: u64,
    /// Lines, blank ones too.
    pub lines: u64,
    /// The object that they came from.
    pub key: String,
    /// Its version.
    pub version: String,
    /// The run that ingested them.
    pub run_id: String,
}

/// A line that was cut off when it was first ingested: its row is removed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// The object whose last line it was.
    pub key: String,
    /// Its version.
    pub version: String,
    /// Where the line begins: a byte of the decompressed object.
    pub offset: u64,
    /// Accepted rows that were removed.
    pub accepted: u64,
    /// Rejected rows that were removed.
    pub rejected: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a source differs from its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// The source has a column that the contract does not know.
    NewColumn,
    /// At least half of the rows hold something that the column's type cannot hold.
    ChangedType,
}

/// A difference between a source's columns and its contract's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What differs.
    pub kind: DriftKind,
    /// The column's name at the source.
    pub column: String,
    /// The contract's type; None for a new column.
    pub expected: Option<String>,
    /// The type that the values suggest; None where they suggest none.
    pub found: Option<String>,
    /// One of its values, shortened.
    pub sample: Option<String>,
    /// Where that value stands: `line 3, byte 120`.
    pub place: Option<String>,
    /// Rows that have it; 0 where they were not counted.
    pub rows: u64,
    /// Why a new column looks personal, where it does: the contract may say that new columns are added,
    /// and this one was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<String>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DriftKind::NewColumn => write!(f, "new column {}", self.column)?,
            DriftKind::ChangedType => write!(f, "column {} changed its type", self.column)?,
        }
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, ", expected {expected}, found {found}")?,
            (Some(expected), None) => write!(f, ", expected {expected}")?,
            (None, Some(found)) => write!(f, " of type {found}")?,
            (None, None) => {}
        }
        if let Some(sample) = &self.sample {
            write!(f, ", for example {sample}")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        match self.rows {
            0 => {}
            1 => f.write_str(", in 1 row")?,
            rows => write!(f, ", in {rows} rows")?,
        }
        if let Some(personal) = &self.personal {
            write!(
                f,
                "; {personal}: it is left out until the contract declares it with a protection, or without one \
                 if it identifies nobody"
            )?;
        }
        Ok(())
    }
}

/// A source table compared with the curated one: by count, and by the keys of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// `SELECT count(*)` at the source.
    pub source_rows: u64,
    /// Rows that were read.
    pub read_rows: u64,
    /// Rows of the curated table that exist at the source after the run; where the contract keeps deleted
    /// rows, all of them.
    pub table_rows: u64,
    /// Rows that the table should have: those accepted and held, and those kept although the source has
    /// them no longer. None in records of versions that did not compare keys.
    #[serde(default)]
    pub expected_rows: Option<u64>,
    /// Whether every row of the source was read, and the keys of the table's rows are the expected ones,
    /// each once.
    pub matches: bool,
}

/// What a rule of the contract found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The rule's name, stable within a dataset: `status.validValues`, `rowCount`.
    #[serde(default)]
    pub id: String,
    /// What is asked: `validValues`, `rowCount`.
    #[serde(default)]
    pub kind: String,
    /// The rule, for people: `order_id is required`.
    pub rule: String,
    /// The column, or None for a rule of the whole table.
    pub column: Option<String>,
    /// Its dimension: completeness, uniqueness, conformity, consistency, accuracy, coverage, timeliness.
    pub dimension: String,
    /// `warn`, `reject` or `abort`.
    pub severity: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Rows that were looked at.
    pub checked: u64,
    /// Rows that broke the rule.
    pub failed: u64,
    /// Whether the rule holds, thresholds considered.
    pub passed: bool,
    /// What was measured, where the rule compares a number.
    #[serde(default)]
    pub value: Option<f64>,
    /// What was asked for, for people: `at most 5 per cent`.
    #[serde(default)]
    pub expected: Option<String>,
    /// Whether `value` is an estimate, because the object has more values than are held in memory.
    #[serde(default)]
    pub estimated: bool,
}

impl DatasetOutcome {
    /// Whether all lines of the object were ingested before, so that this run added nothing.
    pub fn is_taken_before(&self) -> bool {
        self.received == 0 && self.taken_before.is_some() && self.completed.is_none()
    }
}

impl RunRecord {
    /// A run that begins now. Only the key of its object is known yet.
    pub fn begin(run_id: String, key: &str, now: DateTime<Utc>) -> Self {
        RunRecord {
            kind: RunKind::Ingest,
            run_id,
            key: key.to_owned(),
            version: String::new(),
            bytes: 0,
            status: RunStatus::Running,
            reason: None,
            skipped: None,
            error_kind: None,
            retryable: false,
            started_at: now,
            ended_at: None,
            datasets: Vec::new(),
            unclaimed_tables: BTreeMap::new(),
            put_at: None,
            seconds: None,
            peak_memory_bytes: None,
            program_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            deletions_confirmed: false,
            warnings: Vec::new(),
        }
    }

    /// The same run, ended now with nothing done.
    #[must_use]
    pub fn skip(self, skipped: SkipReason, reason: impl Into<String>, now: DateTime<Utc>) -> Self {
        RunRecord {
            status: RunStatus::Skipped,
            skipped: Some(skipped),
            reason: Some(reason.into()),
            ended_at: Some(now),
            ..self
        }
    }

    /// The UTC day that its rows belong to: the key's `ingest_date`, on which the object arrived, or else
    /// the day on which the run began.
    pub fn day(&self) -> NaiveDate {
        crate::layout::ingest_date(&self.key).unwrap_or_else(|| self.started_at.date_naive())
    }

    /// Rows received over all datasets.
    pub fn received(&self) -> u64 {
        self.datasets.iter().map(|dataset| dataset.received).sum()
    }
    /// Rows accepted over all datasets.
    pub fn accepted(&self) -> u64 {
        self.datasets.iter().map(|dataset| dataset.accepted).sum()
    }
    /// Rows rejected over all datasets.
    pub fn rejected(&self) -> u64 {
        self.datasets.iter().map(|dataset| dataset.rejected).sum()
    }
}
