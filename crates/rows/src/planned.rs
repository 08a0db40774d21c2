//! A table as it will be once a run has committed: what is there, what is staged, and how the one comes to
//! the other. Both engines read it.

use std::path::PathBuf;

use tarn_contract::DeletedRows;
use tarn_core::schema::TableField;

/// Rows that came from a source object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowsOf {
    /// All URIs by which rows may name it; the first is that of today.
    pub uris: Vec<String>,
    /// The version of it; None for all.
    pub version: Option<String>,
    /// From this offset on; None for all.
    pub from: Option<i64>,
}

impl RowsOf {
    /// All rows of an object.
    pub fn object(uris: &[String]) -> Self {
        RowsOf {
            uris: uris.to_vec(),
            version: None,
            from: None,
        }
    }

    /// The rows of one version of an object.
    pub fn version(uris: &[String], version: &str) -> Self {
        RowsOf {
            version: Some(version.to_owned()),
            ..RowsOf::object(uris)
        }
    }
}

/// How staged rows come to those that are there.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// They replace these.
    Append(Vec<RowsOf>),
    /// They replace the rows with the same key; rows that the source no longer has are treated as the contract says.
    Upsert(Upsert),
}

/// How a full snapshot comes into a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsert {
    /// The key's columns.
    pub keys: Vec<String>,
    /// What happens to rows that the source no longer has.
    pub deleted: DeletedRows,
    /// Files of the rejected rows: rows of the table with their keys stay as they are.
    pub rejected: Vec<PathBuf>,
    /// The columns of these files.
    pub rejected_fields: Vec<TableField>,
}

/// A table as it is, and what a run is about to do to it.
#[derive(Debug, Clone)]
pub struct TableState {
    /// The dataset.
    pub dataset: String,
    /// The table's columns.
    pub fields: Vec<TableField>,
    /// Its live files, as local paths.
    pub current: Vec<PathBuf>,
    /// Files of accepted rows that the run is about to commit, and how; None where it has none.
    pub staged: Option<(Vec<PathBuf>, Arrival)>,
}
