//! Upserts a full snapshot of a source table into the curated table: rows are matched by primary
//! key, and only partitions in which something changed are written again.

mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinCoalesce, JoinType, LazyFrame, PolarsError,
    SortMultipleOptions, TimeUnit, TimeZone, UniqueKeepStrategy, col, lit,
};
use tarn_contract::{Contract, DeletedRows, ROWS_WITHOUT_DELETION_LIMIT};
use tarn_core::schema::{PartitionUnit, PartitionValue, TableField, system};
use tarn_core::{Error, Result};

use crate::columns::from_frame;
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::scan;
use tarn_rows::system_columns::SystemColumns;

use keys::{FileKeys, KeyHasher, Sides};

pub use keys::Comparison;

/// A live file of the curated table.
#[derive(Debug, Clone)]
pub struct CurrentFile {
    /// A local path.
    pub path: PathBuf,
    /// The name by which the commit removes it.
    pub uri: String,
    /// Its partition.
    pub partition: PartitionValue,
    /// Whether it is to be written again in any case.
    pub outdated: bool,
}

/// A curated table before an upsert.
#[derive(Debug, Clone, Copy)]
pub struct CurrentTable<'a> {
    /// Its contract.
    pub contract: &'a Contract,
    /// Its columns.
    pub fields: &'a [TableField],
    /// All of its live files.
    pub files: &'a [CurrentFile],
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

const STATUS: &str = "__status";
const PARTITION: &str = "__partition";
const NEW: &str = "__new";
const REJECTED: &str = "__rejected";

const INSERTED: i32 = 1;
const UPDATED: i32 = 2;
const DELETED: i32 = 3;
const UNCHANGED: i32 = 0;
/// Gone at the source before this run, and treated then.
const GONE: i32 = 4;
/// At the source, and rejected.
const HELD: i32 = 5;
/// Perhaps at the source: a rejected row has no key.
const WITHHELD: i32 = 6;

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
    } = table;
    let keys: Vec<String> = contract
        .primary_key
        .iter()
        .map(|&index| contract.columns[index].name.clone())
        .collect();
    let hasher = KeyHasher::new(&keys);
    let mut before = Vec::with_capacity(current.len());
    let mut whole = FileKeys::default();
    for file in current {
        let found = hasher.of_file(fields, &file.path)?;
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

struct Tables<'a> {
    contract: &'a Contract,
    fields: &'a [TableField],
    keys: Vec<String>,
    /// Whether the table marks deleted rows.
    soft: bool,
    files: &'a [CurrentFile],
    current: LazyFrame,
    incoming: LazyFrame,
    rejected: LazyFrame,
}

impl<'a> Tables<'a> {
    fn open(table: &CurrentTable<'a>, staged: &StagedRows, keys: Vec<String>) -> Result<Self> {
        let &CurrentTable {
            contract,
            fields,
            files,
        } = table;
        let current: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        Ok(Tables {
            contract,
            fields,
            keys,
            soft: fields
                .iter()
                .any(|field| field.field.name == system::DELETED_AT),
            files,
            current: scan::table(fields, &current)?,
            incoming: scan::table(fields, &paths(&staged.accepted))?,
            rejected: scan::table(&staged.rejected_fields, &paths(&staged.rejected))?,
        })
    }

    /// The same with one row of each key in the table: the one that was written last, and a living one
    /// rather than one that is marked as deleted.
    fn without_repeated_rows(self) -> Result<Self> {
        let mut by = vec![col(system::INGESTED_AT), col(system::SOURCE_OFFSET)];
        if self.soft {
            by.insert(0, col(system::DELETED_AT).is_null());
        }
        let options =
            SortMultipleOptions::default().with_order_descending_multi(vec![true; by.len()]);
        let current = self
            .current
            .clone()
            .sort_by_exprs(by, options)
            .unique_stable(
                Some(polars::prelude::by_name(
                    self.keys.iter().map(String::as_str),
                    true,
                    false,
                )),
                UniqueKeepStrategy::First,
            )
            .collect()
            .map_err(failed)?
            .lazy();
        Ok(Tables { current, ..self })
    }

    /// The changes. Partitions in which nothing changed are written again if they have an outdated file, and all
    /// of them if the table has repeated rows.
    fn upsert(
        &self,
        repeated: u64,
        keyless: bool,
        system_columns: &SystemColumns,
        staging: &Path,
    ) -> Result<Changes> {
        let statuses = self.statuses(keyless)?;
        let found = statuses.column(STATUS).map_err(failed)?;
        let found = found.i32().map_err(failed)?;
        let count =
            |status: i32| found.iter().flatten().filter(|&one| one == status).count() as u64;
        let deletes = self.contract.deleted_rows != DeletedRows::Keep;
        let mut changes = Changes {
            inserted: count(INSERTED),
            updated: count(UPDATED),
            unchanged: count(UNCHANGED),
            deleted: if deletes { count(DELETED) } else { 0 },
            held: count(HELD),
            deletions_withheld: if deletes { count(WITHHELD) } else { 0 },
            ..Changes::default()
        };
        let again: BTreeSet<PartitionValue> = self
            .files
            .iter()
            .filter(|file| repeated > 0 || file.outdated)
            .map(|file| file.partition)
            .collect();
        if changes.inserted + changes.updated + changes.deleted == 0 && again.is_empty() {
            return Ok(changes);
        }
        let mut affected = self.affected_partitions(&statuses)?;
        affected.extend(again);
        let rows = self.rewritten_rows(&statuses, &affected, system_columns)?;
        let mut writer = PartitionedWriter::new(
            staging,
            "merged",
            self.fields.to_vec(),
            self.contract.partitioning.as_ref(),
            WriterOptions::default(),
        )?;
        const ROWS_PER_WRITE: usize = 128 * 1024;
        let mut begin = 0;
        while begin < rows.height() {
            let part = rows.slice(begin as i64, ROWS_PER_WRITE);
            begin += part.height();
            writer.write(from_frame::columns(&part, self.fields)?, part.height())?;
        }
        changes.add = writer.finish()?;
        changes.remove = self
            .files
            .iter()
            .filter(|file| affected.contains(&file.partition))
            .map(|file| file.uri.clone())
            .collect();
        Ok(changes)
    }

    fn key_columns(&self) -> Vec<Expr> {
        self.keys.iter().map(|key| col(key.as_str())).collect()
    }

    /// The partition of a row, as the writer computes it.
    fn partition_expr(&self) -> Expr {
        let Some(partitioning) = &self.contract.partitioning else {
            return lit(polars::prelude::NULL).cast(DataType::Int32);
        };
        let date = col(partitioning.column.as_str()).cast(DataType::Date);
        match partitioning.unit {
            PartitionUnit::Day => date.to_physical(),
            PartitionUnit::Month => {
                (date.clone().dt().year() - lit(1970)) * lit(12)
                    + date.dt().month().cast(DataType::Int32)
                    - lit(1)
            }
        }
    }

    /// One row per key of either side: its status, and its partition on each side.
    fn statuses(&self, keyless: bool) -> Result<DataFrame> {
        let business: Vec<&str> = self
            .contract
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let select = |frame: &LazyFrame, soft: bool| {
            let mut columns: Vec<Expr> = business.iter().map(|name| col(*name)).collect();
            columns.push(self.partition_expr().alias(PARTITION));
            columns.push(lit(true).alias("__here"));
            if soft {
                columns.push(col(system::DELETED_AT).is_not_null().alias("__gone"));
            }
            frame.clone().select(columns)
        };
        let keys = self.key_columns();
        let rejected = self
            .rejected
            .clone()
            .select(keys.clone())
            .drop_nulls(None)
            .unique(None, UniqueKeepStrategy::Any)
            .with_column(lit(true).alias(REJECTED));
        let mut args = JoinArgs::new(JoinType::Full).with_coalesce(JoinCoalesce::CoalesceColumns);
        args.suffix = Some(NEW.into());
        let joined = select(&self.current, self.soft).join(
            select(&self.incoming, false),
            keys.clone(),
            keys.clone(),
            args,
        );
        let joined = joined.join(rejected, keys.clone(), keys, JoinArgs::new(JoinType::Left));
        let differs = business
            .iter()
            .filter(|name| !self.keys.iter().any(|key| key == *name))
            .map(|name| col(*name).neq_missing(col(format!("{name}{NEW}"))))
            .reduce(Expr::or)
            .unwrap_or_else(|| lit(false));
        let gone = if self.soft {
            col("__gone").fill_null(lit(false))
        } else {
            lit(false)
        };
        let was = col("__here").is_not_null();
        let is = col(format!("__here{NEW}")).is_not_null();
        let status = polars::prelude::when(was.clone().not().or(is.clone().and(gone.clone())))
            .then(lit(INSERTED))
            .when(is.clone().not().and(gone))
            .then(lit(GONE))
            .when(is.clone().not().and(col(REJECTED).fill_null(lit(false))))
            .then(lit(HELD))
            .when(is.not())
            .then(lit(if keyless { WITHHELD } else { DELETED }))
            .when(differs)
            .then(lit(UPDATED))
            .otherwise(lit(UNCHANGED));
        let mut columns = self.key_columns();
        columns.extend([
            status.alias(STATUS),
            was.alias("__was"),
            col(PARTITION),
            col(format!("{PARTITION}{NEW}")),
        ]);
        joined.select(columns).collect().map_err(failed)
    }

    fn affected_partitions(&self, statuses: &DataFrame) -> Result<BTreeSet<PartitionValue>> {
        let column = |name: &str| -> Result<Vec<Option<i32>>> {
            Ok(statuses
                .column(name)
                .map_err(failed)?
                .i32()
                .map_err(failed)?
                .iter()
                .collect())
        };
        let (status, old, new) = (
            column(STATUS)?,
            column(PARTITION)?,
            column(&format!("{PARTITION}{NEW}"))?,
        );
        let was: Vec<bool> = statuses
            .column("__was")
            .map_err(failed)?
            .bool()
            .map_err(failed)?
            .iter()
            .map(|value| value.unwrap_or(false))
            .collect();
        let mut affected = BTreeSet::new();
        for row in 0..status.len() {
            match status[row] {
                Some(INSERTED | UPDATED) => {
                    affected.insert(new[row]);
                    if was[row] {
                        affected.insert(old[row]);
                    }
                }
                Some(DELETED) if self.contract.deleted_rows != DeletedRows::Keep => {
                    affected.insert(old[row]);
                }
                _ => {}
            }
        }
        Ok(affected)
    }

    /// Every row of the affected partitions as it will be: unchanged rows keep their system columns.
    fn rewritten_rows(
        &self,
        statuses: &DataFrame,
        affected: &BTreeSet<PartitionValue>,
        system_columns: &SystemColumns,
    ) -> Result<DataFrame> {
        let with_status = |statuses: &DataFrame| {
            let mut columns = self.key_columns();
            columns.push(col(STATUS));
            statuses.clone().lazy().select(columns)
        };
        let in_affected = affected
            .iter()
            .map(|partition| match partition {
                Some(value) => self.partition_expr().eq_missing(lit(*value)),
                None => self.partition_expr().is_null(),
            })
            .reduce(Expr::or)
            .unwrap_or_else(|| lit(false));
        let keys = self.key_columns();
        let inner = JoinArgs::new(JoinType::Inner);
        let all: Vec<Expr> = self
            .fields
            .iter()
            .map(|field| col(field.field.name.as_str()))
            .collect();
        let kept = self
            .current
            .clone()
            .filter(in_affected)
            .join(
                with_status(statuses),
                keys.clone(),
                keys.clone(),
                inner.clone(),
            )
            // Inserted and updated rows come from the snapshot.
            .filter(
                col(STATUS)
                    .neq(lit(INSERTED))
                    .and(col(STATUS).neq(lit(UPDATED))),
            );
        let kept = self.treat_deleted(kept, system_columns);
        let fresh = self
            .incoming
            .clone()
            .join(with_status(statuses), keys.clone(), keys, inner)
            .filter(
                col(STATUS)
                    .eq(lit(INSERTED))
                    .or(col(STATUS).eq(lit(UPDATED))),
            );
        polars::prelude::concat(
            [kept.select(all.clone()), fresh.select(all)],
            polars::prelude::UnionArgs::default(),
        )
        .map_err(failed)?
        .sort(
            self.keys
                .iter()
                .map(|key| polars::prelude::PlSmallStr::from(key.as_str()))
                .collect::<Vec<_>>(),
            SortMultipleOptions::default(),
        )
        .collect()
        .map_err(failed)
    }

    /// Removes or marks the rows of the table that its source no longer has, as the contract says.
    fn treat_deleted(&self, kept: LazyFrame, system_columns: &SystemColumns) -> LazyFrame {
        match self.contract.deleted_rows {
            DeletedRows::Keep => kept,
            DeletedRows::Remove => kept.filter(
                col(STATUS)
                    .neq(lit(DELETED))
                    .and(col(STATUS).neq(lit(GONE))),
            ),
            DeletedRows::Soft => {
                let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
                let when_deleted = |then: Expr, name: &str| {
                    polars::prelude::when(col(STATUS).eq(lit(DELETED)))
                        .then(then)
                        .otherwise(col(name))
                        .alias(name)
                };
                kept.with_columns([
                    when_deleted(
                        lit(system_columns.ingested_at).cast(instant.clone()),
                        system::DELETED_AT,
                    ),
                    when_deleted(
                        lit(system_columns.ingested_at).cast(instant),
                        system::INGESTED_AT,
                    ),
                    when_deleted(lit(system_columns.run_id.as_str()), system::RUN_ID),
                    when_deleted(lit(system_columns.source_uri.as_str()), system::SOURCE_URI),
                    when_deleted(
                        lit(system_columns.source_version.as_str()),
                        system::SOURCE_VERSION,
                    ),
                ])
            }
        }
    }
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
