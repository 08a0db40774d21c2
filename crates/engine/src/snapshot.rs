//! Upserts a full snapshot of a source table into the curated table: rows are matched by primary
//! key, and only partitions in which something changed are written again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinCoalesce, JoinType, LazyFrame, PolarsError,
    TimeUnit, TimeZone, col, lit,
};
use tarn_core::contract::{Contract, DeletedRows};
use tarn_core::schema::{PartitionUnit, PartitionValue, TableField, system};
use tarn_core::{Error, Result};

use crate::frame;
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::scan;
use crate::stamp::Stamp;

/// A live file of the curated table.
#[derive(Debug, Clone)]
pub struct CurrentFile {
    /// A local path.
    pub path: PathBuf,
    /// The name by which the commit removes it.
    pub uri: String,
    /// Its partition.
    pub partition: PartitionValue,
}

/// What an upsert changes.
#[derive(Debug, Default)]
pub struct Merge {
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
}

fn failed(error: PolarsError) -> Error {
    Error::internal("a snapshot cannot be merged into its table").with_source(error)
}

const STATUS: &str = "__status";
const PARTITION: &str = "__partition";
const NEW: &str = "__new";

const INSERTED: i32 = 1;
const UPDATED: i32 = 2;
const DELETED: i32 = 3;
const UNCHANGED: i32 = 0;
/// Gone at the source before this run, and treated then.
const GONE: i32 = 4;

/// Merges staged rows (`incoming`, already checked and without repeated keys) into the table's
/// current files. New files are written to `staging`.
pub fn merge(
    contract: &Contract,
    fields: &[TableField],
    current: &[CurrentFile],
    incoming: Vec<ParquetFile>,
    stamp: &Stamp,
    staging: &Path,
) -> Result<Merge> {
    let incoming_rows: u64 = incoming.iter().map(|file| file.rows).sum();
    if current.is_empty() {
        // The first snapshot: the staged files are the table.
        return Ok(Merge {
            inserted: incoming_rows,
            add: incoming,
            ..Merge::default()
        });
    }
    let incoming_paths: Vec<PathBuf> = incoming.iter().map(|file| file.path.clone()).collect();
    let current_paths: Vec<PathBuf> = current.iter().map(|file| file.path.clone()).collect();
    let tables = Tables {
        contract,
        keys: contract
            .primary_key
            .iter()
            .map(|&index| contract.columns[index].name.clone())
            .collect(),
        soft: fields
            .iter()
            .any(|field| field.field.name == system::DELETED_AT),
        current: scan::table(fields, &current_paths)?,
        incoming: scan::table(fields, &incoming_paths)?,
    };
    let statuses = tables.statuses()?;
    let count = |status: i32| -> Result<u64> {
        let column = statuses
            .column(STATUS)
            .map_err(failed)?
            .i32()
            .map_err(failed)?;
        Ok(column
            .iter()
            .flatten()
            .filter(|&found| found == status)
            .count() as u64)
    };
    let mut merge = Merge {
        inserted: count(INSERTED)?,
        updated: count(UPDATED)?,
        unchanged: count(UNCHANGED)?,
        deleted: if contract.deleted_rows == DeletedRows::Keep {
            0
        } else {
            count(DELETED)?
        },
        ..Merge::default()
    };
    if merge.inserted + merge.updated + merge.deleted == 0 {
        return Ok(merge);
    }
    let affected = tables.affected_partitions(&statuses)?;
    let rows = tables.rewritten_rows(&statuses, &affected, stamp, fields)?;
    let mut writer = PartitionedWriter::new(
        staging,
        "merged",
        fields.to_vec(),
        contract.partitioning.as_ref(),
        WriterOptions::default(),
    )?;
    const ROWS_PER_WRITE: usize = 128 * 1024;
    let mut begin = 0;
    while begin < rows.height() {
        let part = rows.slice(begin as i64, ROWS_PER_WRITE);
        begin += part.height();
        writer.write(frame::columns(&part, fields)?, part.height())?;
    }
    merge.add = writer.finish()?;
    merge.remove = current
        .iter()
        .filter(|file| affected.contains(&file.partition))
        .map(|file| file.uri.clone())
        .collect();
    Ok(merge)
}

struct Tables<'a> {
    contract: &'a Contract,
    keys: Vec<String>,
    /// Whether the table marks deleted rows.
    soft: bool,
    current: LazyFrame,
    incoming: LazyFrame,
}

impl Tables<'_> {
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
    fn statuses(&self) -> Result<DataFrame> {
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
        let mut args = JoinArgs::new(JoinType::Full).with_coalesce(JoinCoalesce::CoalesceColumns);
        args.suffix = Some(NEW.into());
        let joined = select(&self.current, self.soft).join(
            select(&self.incoming, false),
            keys.clone(),
            keys,
            args,
        );
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
            .when(is.not().and(gone))
            .then(lit(GONE))
            .when(col(format!("__here{NEW}")).is_null())
            .then(lit(DELETED))
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
        stamp: &Stamp,
        fields: &[TableField],
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
        let all: Vec<Expr> = fields
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
        let kept = match self.contract.deleted_rows {
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
                        lit(stamp.ingested_at).cast(instant.clone()),
                        system::DELETED_AT,
                    ),
                    when_deleted(lit(stamp.ingested_at).cast(instant), system::INGESTED_AT),
                    when_deleted(lit(stamp.run_id.as_str()), system::RUN_ID),
                    when_deleted(lit(stamp.source_uri.as_str()), system::SOURCE_URI),
                    when_deleted(lit(stamp.source_version.as_str()), system::SOURCE_VERSION),
                ])
            }
        };
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
            polars::prelude::SortMultipleOptions::default(),
        )
        .collect()
        .map_err(failed)
    }
}

/// How many rows of the table's files exist at their source: those without a deletion mark.
pub fn living_rows(fields: &[TableField], files: &[PathBuf]) -> Result<u64> {
    let table = scan::table(fields, files)?;
    let living = if fields
        .iter()
        .any(|field| field.field.name == system::DELETED_AT)
    {
        table.filter(col(system::DELETED_AT).is_null())
    } else {
        table
    };
    let counted = living
        .select([polars::prelude::len().alias("rows")])
        .collect()
        .map_err(failed)?;
    let rows = counted
        .column("rows")
        .map_err(failed)?
        .get(0)
        .map_err(failed)?;
    rows.extract::<u64>()
        .ok_or_else(|| Error::internal("a count is no number"))
}
