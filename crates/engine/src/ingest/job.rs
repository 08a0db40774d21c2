//! What an ingest is given, and what comes of it.

use std::path::PathBuf;
use std::sync::Arc;

use tarn_contract::{Column, Contract};
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{Partitioning, TableField};

use crate::ingest::bloom::Earlier;
use crate::ingest::newest::{Accepted, Later};
use crate::parquet::ParquetFile;
use tarn_rows::check::{References, Survey};
use tarn_rows::system_columns::SystemColumns;

/// What an ingest of one object into one dataset needs to know.
pub struct Job<'a> {
    /// The contract of the dataset.
    pub contract: &'a Contract,
    /// The curated table's columns.
    pub fields: Vec<TableField>,
    /// The columns and partitions of the dataset's quarantine table.
    pub quarantine: (Vec<TableField>, Option<Partitioning>),
    /// The system columns' values.
    pub system_columns: SystemColumns,
    /// The key of pseudonyms, where the contract has personal columns.
    pub key: Option<PseudonymKey>,
    /// An empty folder for the files.
    pub staging: PathBuf,
    /// The table's files in which a duplicate may be, those of this very object excepted.
    pub earlier: Arc<dyn Earlier>,
    /// Bytes of the object, for sizing.
    pub bytes: u64,
    /// When the object was put, microseconds since 1970-01-01T00:00:00Z.
    pub put_at: i64,
    /// The values of other datasets that the contract's rows refer to.
    pub references: References,
    /// What a first pass over the object found, where the contract asks for outliers.
    pub survey: Option<Survey>,
    /// Where the newest of equal rows stays: keys that later objects have in the table.
    pub later: Arc<Later>,
}

/// Files ready to be committed, and what is in them.
#[derive(Debug)]
pub struct Staged {
    /// Accepted rows.
    pub accepted: Vec<ParquetFile>,
    /// Rejected rows, for the quarantine table.
    pub rejected: Vec<ParquetFile>,
    /// Counts and verdicts.
    pub outcome: DatasetOutcome,
    /// Columns that the source has, the contract lacks, and the contract wants added.
    pub new_columns: Vec<Column>,
    /// Where the newest of equal rows stays: the keys of the accepted rows.
    pub keys: Accepted,
}
