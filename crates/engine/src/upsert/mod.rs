//! Upserts a full snapshot of a source table into the curated table: rows are matched by primary
//! key, and only partitions in which something changed are written again.

mod keys;
mod merge;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use polars::prelude::{DataType, PolarsError, TimeUnit, col};
use tarn_contract::{Contract, ROWS_WITHOUT_DELETION_LIMIT};
use tarn_core::schema::{PartitionValue, TableField, system};
use tarn_core::{Error, Result};

use crate::parquet::ParquetFile;
use crate::scan;
use tarn_rows::system_columns::SystemColumns;

use keys::{FileKeys, KeyHasher, Sides};
use merge::Tables;

pub use keys::Comparison;

/// A live file of the curated table.
#[derive(Debug, Clone)]
pub struct CurrentFile {
    /// A local path; the file has the [`compared`] columns at least.
    pub path: PathBuf,
    /// The name by which the commit removes it.
    pub uri: String,
    /// Its partition.
    pub partition: PartitionValue,
    /// Whether it is to be written again in any case.
    pub outdated: bool,
}

/// Gives out local paths of whole files.
pub type Whole<'a> = dyn Fn(&[&CurrentFile]) -> Result<Vec<PathBuf>> + 'a;

/// A curated table before an upsert.
#[derive(Clone, Copy)]
pub struct CurrentTable<'a> {
    /// Its contract.
    pub contract: &'a Contract,
    /// Its columns.
    pub fields: &'a [TableField],
    /// All of its live files.
    pub files: &'a [CurrentFile],
    /// Those of partitions that change are read whole.
    pub whole: &'a Whole<'a>,
}

/// The columns of a table that a snapshot is compared with: those of its source, and whether a row is deleted.
pub fn compared(contract: &Contract, fields: &[TableField]) -> Vec<TableField> {
    let is_compared = |field: &&TableField| {
        let name = field.field.name.as_str();
        name == system::DELETED_AT || contract.columns.iter().any(|column| column.name == name)
    };
    fields.iter().filter(is_compared).cloned().collect()
}

/// What an upsert changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// New files.
    pub add: Vec<ParquetFile>,
    /// URIs of the files they replace.
    pub remove: Vec<String>,
    /// Rows new to the table, or back after a deletion.
    pub inserted: u64,
    /// Rows that changed.
    pub updated: u64,
    /// Rows as they were.
    pub unchanged: u64,
    /// Rows that their source no longer has, newly so.
    pub deleted: u64,
    /// Rows whose present version at the source was rejected: they stay as they are.
    pub held: u64,
    /// Rows that the source no longer has, as it seems, and that stay because a rejected row has no key.
    pub deletions_withheld: u64,
    /// Rows that repeated the key of another one and are taken out: older versions of the program could
    /// make such.
    pub repeated: u64,
    /// Rows of the table that existed at the source before.
    pub living_before: u64,
    /// The table as it would be against what it should be.
    pub comparison: Comparison,
}

impl Changes {
    /// Whether the snapshot deletes more rows than the contract allows without a confirmation.
    pub fn deletes_too_many(&self, contract: &Contract) -> bool {
        self.living_before >= ROWS_WITHOUT_DELETION_LIMIT
            && self.deleted as f64 > contract.maximum_deleted_share * self.living_before as f64
    }
}

/// The staged rows of a source table, all of them.
#[derive(Debug, Clone)]
pub struct StagedRows {
    /// Accepted rows: checked, each key once.
    pub accepted: Vec<ParquetFile>,
    /// Rejected rows: their keys count, as far as they could be read.
    pub rejected: Vec<ParquetFile>,
    /// The columns of the rejected rows' files.
    pub rejected_fields: Vec<TableField>,
}

fn failed(error: PolarsError) -> Error {
    Error::internal("a snapshot cannot be merged into its table").with_source(error)
}

fn paths(files: &[ParquetFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path.clone()).collect()
}

/// Upserts the staged rows of a source table into the curated table. New files are written to `staging`.
///
/// # Errors
/// `Internal` where the table would not have the rows that it should: none of the new files may be used.
pub fn upsert(
    table: &CurrentTable<'_>,
    staged: &StagedRows,
    system_columns: &SystemColumns,
    staging: &Path,
) -> Result<Changes> {
    let &CurrentTable {
        contract,
        fields,
        files: current,
        ..
    } = table;
    let compared = compared(contract, fields);
    let keys: Vec<String> = contract
        .primary_key
        .iter()
        .map(|&index| contract.columns[index].name.clone())
        .collect();
    let hasher = KeyHasher::new(&keys);
    let mut before = Vec::with_capacity(current.len());
    let mut whole = FileKeys::default();
    for file in current {
        let found = hasher.of_file(&compared, &file.path)?;
        whole.append(found.clone());
        before.push(found.living);
    }
    let accepted = paths(&staged.accepted);
    let accepted = hasher.of_files(fields, accepted.iter().map(PathBuf::as_path))?;
    let rejected = paths(&staged.rejected);
    let rejected = hasher.of_files(
        &staged.rejected_fields,
        rejected.iter().map(PathBuf::as_path),
    )?;
    let repeated = whole.repeated();
    let living_before = whole.living.len() as u64;
    let sides = Sides {
        accepted: accepted.living,
        rejected: rejected.living,
        keyless: rejected.keyless > 0,
        current: whole,
        deleted_rows: contract.deleted_rows,
    };
    let mut changes = if current.is_empty() {
        // The first snapshot: the staged files are the table.
        Changes {
            inserted: staged.accepted.iter().map(|file| file.rows).sum(),
            add: staged.accepted.clone(),
            ..Changes::default()
        }
    } else {
        let tables = Tables::open(table, staged, keys)?;
        let tables = match repeated {
            0 => tables,
            _ => tables.without_repeated_rows()?,
        };
        tables.upsert(repeated, sides.keyless, system_columns, staging)?
    };
    (changes.repeated, changes.living_before) = (repeated, living_before);
    let mut after: Vec<u128> = before
        .into_iter()
        .zip(current)
        .filter(|(_, file)| !changes.remove.contains(&file.uri))
        .flat_map(|(living, _)| living)
        .collect();
    let added = paths(&changes.add);
    after.append(
        &mut hasher
            .of_files(fields, added.iter().map(PathBuf::as_path))?
            .living,
    );
    changes.comparison = sides.compare(after);
    if !changes.comparison.agrees() {
        return Err(unreconciled(contract, &changes.comparison));
    }
    Ok(changes)
}

fn unreconciled(contract: &Contract, comparison: &Comparison) -> Error {
    Error::internal(format!(
        "{} would have {} rows where its source, the rejected rows and the rows that it keeps make {}: {} of \
         their keys would be missing and {} rows too many; nothing was changed. This is a fault in Tarn, or in \
         a file of the table",
        contract.table(),
        comparison.found,
        comparison.expected,
        comparison.missing,
        comparison.surplus
    ))
}

/// The latest value of a date or timestamp column of staged files (UTC; a date is its midnight); None where
/// no row has one.
///
/// # Errors
/// Where the files cannot be read.
pub fn latest(
    fields: &[TableField],
    files: &[ParquetFile],
    column: &str,
) -> Result<Option<DateTime<Utc>>> {
    let instant = DataType::Datetime(TimeUnit::Microseconds, None);
    let found = scan::table(fields, &paths(files))?
        .select([col(column).cast(instant).max().to_physical()])
        .collect()
        .map_err(failed)?;
    let found = found.column(column).map_err(failed)?;
    let micros = found.i64().map_err(failed)?.get(0);
    Ok(micros.and_then(DateTime::from_timestamp_micros))
}
