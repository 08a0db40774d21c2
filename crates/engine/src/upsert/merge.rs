//! The join of a table and a snapshot: the status of each key, and the rows of the partitions that change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinCoalesce, JoinType, LazyFrame,
    SortMultipleOptions, TimeUnit, TimeZone, UniqueKeepStrategy, col, lit,
};
use tarn_contract::DeletedRows;
use tarn_core::Result;
use tarn_core::schema::{PartitionUnit, PartitionValue, system};
use tarn_rows::system_columns::SystemColumns;

use super::{Changes, CurrentFile, CurrentTable, StagedRows, compared, failed, paths};
use crate::columns::from_frame;
use crate::parquet::{PartitionedWriter, WriterOptions};
use crate::scan;

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

/// The table, the snapshot and its rejected rows, as they are joined.
pub(super) struct Tables<'a> {
    table: CurrentTable<'a>,
    keys: Vec<String>,
    /// Whether the table marks deleted rows.
    soft: bool,
    /// The compared columns.
    current: LazyFrame,
    /// All columns and rows, where some had to be taken out first.
    distinct: Option<LazyFrame>,
    incoming: LazyFrame,
    rejected: LazyFrame,
}

impl<'a> Tables<'a> {
    pub fn open(table: &CurrentTable<'a>, staged: &StagedRows, keys: Vec<String>) -> Result<Self> {
        let &CurrentTable {
            contract,
            fields,
            files,
            ..
        } = table;
        let current: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        Ok(Tables {
            table: *table,
            keys,
            soft: fields
                .iter()
                .any(|field| field.field.name == system::DELETED_AT),
            current: scan::table(&compared(contract, fields), &current)?,
            distinct: None,
            incoming: scan::table(fields, &paths(&staged.accepted))?,
            rejected: scan::table(&staged.rejected_fields, &paths(&staged.rejected))?,
        })
    }

    /// The same with one row of each key in the table: the one that was written last, and a living one
    /// rather than one that is marked as deleted.
    pub fn without_repeated_rows(self) -> Result<Self> {
        let mut by = vec![col(system::INGESTED_AT), col(system::SOURCE_OFFSET)];
        if self.soft {
            by.insert(0, col(system::DELETED_AT).is_null());
        }
        let options =
            SortMultipleOptions::default().with_order_descending_multi(vec![true; by.len()]);
        let all: Vec<&CurrentFile> = self.table.files.iter().collect();
        let distinct = scan::table(self.table.fields, &(self.table.whole)(&all)?)?
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
        Ok(Tables {
            current: distinct.clone(),
            distinct: Some(distinct),
            ..self
        })
    }

    /// The changes. Partitions in which nothing changed are written again if they have an outdated file, and all
    /// of them if the table has repeated rows.
    pub fn upsert(
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
        let deletes = self.table.contract.deleted_rows != DeletedRows::Keep;
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
            .table
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
            self.table.fields.to_vec(),
            self.table.contract.partitioning.as_ref(),
            WriterOptions::default(),
        )?;
        const ROWS_PER_WRITE: usize = 128 * 1024;
        let mut begin = 0;
        while begin < rows.height() {
            let part = rows.slice(begin as i64, ROWS_PER_WRITE);
            begin += part.height();
            writer.write(
                from_frame::columns(&part, self.table.fields)?,
                part.height(),
            )?;
        }
        changes.add = writer.finish()?;
        changes.remove = self
            .table
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
        let Some(partitioning) = &self.table.contract.partitioning else {
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
            .table
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
                Some(DELETED) if self.table.contract.deleted_rows != DeletedRows::Keep => {
                    affected.insert(old[row]);
                }
                _ => {}
            }
        }
        Ok(affected)
    }

    /// The rows of the table with all columns, those of the affected partitions at least.
    fn whole_rows(&self, affected: &BTreeSet<PartitionValue>) -> Result<LazyFrame> {
        if let Some(distinct) = &self.distinct {
            return Ok(distinct.clone());
        }
        let files = self.table.files.iter();
        let files: Vec<&CurrentFile> = files
            .filter(|file| affected.contains(&file.partition))
            .collect();
        scan::table(self.table.fields, &(self.table.whole)(&files)?)
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
            .table
            .fields
            .iter()
            .map(|field| col(field.field.name.as_str()))
            .collect();
        let kept = self
            .whole_rows(affected)?
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
        match self.table.contract.deleted_rows {
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
