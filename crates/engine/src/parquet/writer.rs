//! Writes batches of columns into one Parquet file per partition with bounded memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::error::PolarsError;
use polars_arrow::datatypes::ArrowSchema;
use polars_parquet::write::{
    CompressionOptions, DynIter, DynStreamingIterator, Encoding, FileWriter, StatisticsOptions,
    Version, WriteOptions, array_to_columns,
};
use tarn_core::schema::{
    ColumnType, PartitionUnit, PartitionValue, Partitioning, TableField, system,
};
use tarn_core::{Error, ErrorKind, Result};

use crate::arrow;
use crate::column::{ColumnData, Rows};
use crate::parquet::compress::PageCompressor;
use crate::parquet::numbers;

/// A finished file in the staging folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetFile {
    /// Where it is.
    pub path: PathBuf,
    /// The partition of all its rows.
    pub partition: PartitionValue,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Bounds of a writer's memory.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// Part of a batch with at least so many rows becomes a row group at once.
    pub direct_rows: usize,
    /// Smaller parts are collected until a partition has so many bytes.
    pub partition_bytes: usize,
    /// All collected parts together hold at most so many bytes.
    pub total_bytes: usize,
    /// At most so many files are open; one more closes the one that was written to longest ago.
    pub open_files: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions {
            direct_rows: 16 * 1024,
            partition_bytes: 8 << 20,
            total_bytes: 12 << 20,
            open_files: 64,
        }
    }
}

struct Collected {
    columns: Vec<ColumnData>,
    rows: usize,
}

struct OpenFile {
    path: PathBuf,
    writer: FileWriter<BufWriter<File>>,
    rows: u64,
    used: u64,
}

/// Writes rows into Parquet files, each of one partition.
pub struct PartitionedWriter {
    folder: PathBuf,
    stem: String,
    fields: Vec<TableField>,
    schema: ArrowSchema,
    /// The column that decides the partition, and the unit.
    partition: Option<(usize, PartitionUnit)>,
    options: WriterOptions,
    collected: BTreeMap<PartitionValue, Collected>,
    open: BTreeMap<PartitionValue, OpenFile>,
    finished: Vec<ParquetFile>,
    compressor: PageCompressor,
    clock: u64,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The month of a day, as months since 1970-01: Iceberg's `month` transform.
fn month_of_day(day: i32) -> i32 {
    // Civil-from-days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 2
    } else {
        shifted - 10
    };
    let year = year_of_era + era * 400 + i64::from(month <= 1);
    ((year - 1970) * 12 + month) as i32
}

/// The partition of a day number: the day itself, or its month.
pub fn partition_of_day(day: i32, unit: PartitionUnit) -> i32 {
    match unit {
        PartitionUnit::Day => day,
        PartitionUnit::Month => month_of_day(day),
    }
}

fn storage(message: String) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::new(ErrorKind::Storage, message).with_source(error)
}

fn unwritable(error: PolarsError) -> Error {
    Error::new(ErrorKind::Storage, "a Parquet file cannot be written").with_source(error)
}

fn write_options(field: &TableField) -> WriteOptions {
    WriteOptions {
        statistics: StatisticsOptions {
            min_value: true,
            max_value: true,
            distinct_count: false,
            null_count: true,
            // Which files hold rows of a source object is answered from exact bounds.
            binary_statistics_truncate_length: Some(if field.field.name == system::SOURCE_URI {
                0
            } else {
                64
            }),
        },
        version: Version::V1,
        // Pages are compressed by `PageCompressor`.
        compression: CompressionOptions::Uncompressed,
        data_page_size: None,
    }
}

/// Level 1 costs a third of level 3 for about 5 % more bytes.
const ZSTD_LEVEL: i32 = 1;

/// The encoding of a column; None where its numbers decide.
fn encoding(column: &ColumnData, field: &TableField) -> Option<Encoding> {
    Some(match column {
        ColumnData::Text(text) if text.interned => Encoding::RleDictionary,
        // Texts that hardly repeat: their bytes end to end compress better and faster than with a length
        // before each.
        ColumnData::Text(_) => Encoding::DeltaLengthByteArray,
        // Offsets and instants mostly grow row by row: their differences are small.
        ColumnData::Long(_)
            if field.field.ty == ColumnType::Timestamp
                || field.field.name == system::SOURCE_OFFSET =>
        {
            Encoding::DeltaBinaryPacked
        }
        ColumnData::List(list) if list.items.interned => Encoding::RleDictionary,
        ColumnData::Int(_) | ColumnData::Long(_) | ColumnData::Double(_) => return None,
        _ => Encoding::Plain,
    })
}

impl PartitionedWriter {
    /// A writer of files `<stem>-<n>.parquet` in `folder`, which exists.
    pub fn new(
        folder: &Path,
        stem: &str,
        fields: Vec<TableField>,
        partitioning: Option<&Partitioning>,
        options: WriterOptions,
    ) -> Result<Self> {
        let partition = partitioning
            .map(|partitioning| {
                fields
                    .iter()
                    .position(|field| field.field.name == partitioning.column)
                    .map(|index| (index, partitioning.unit))
                    .ok_or_else(|| {
                        Error::internal(format!("no partition column {}", partitioning.column))
                    })
            })
            .transpose()?;
        Ok(PartitionedWriter {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
            schema: arrow::schema(&fields),
            fields,
            partition,
            options,
            collected: BTreeMap::new(),
            open: BTreeMap::new(),
            finished: Vec::new(),
            compressor: PageCompressor::new(ZSTD_LEVEL)?,
            clock: 0,
        })
    }

    /// Writes rows: one column per field of the table, all of `rows` rows.
    pub fn write(&mut self, columns: Vec<ColumnData>, rows: usize) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        match self.split(&columns, rows)? {
            Split::One(partition) => {
                if rows >= self.options.direct_rows && !self.collected.contains_key(&partition) {
                    return self.write_row_group(partition, columns, rows);
                }
                self.collect(partition, &columns, &Rows::Run(0..rows))?;
            }
            Split::Many(parts) => {
                for (partition, part) in parts {
                    self.collect(partition, &columns, &Rows::new(&part))?;
                }
            }
        }
        while self
            .collected
            .values()
            .map(Collected::memory)
            .sum::<usize>()
            > self.options.total_bytes
        {
            let Some(largest) = self
                .collected
                .iter()
                .max_by_key(|(_, collected)| collected.memory())
                .map(|(&partition, _)| partition)
            else {
                break;
            };
            self.flush(largest)?;
        }
        Ok(())
    }

    /// Ends all files and gives them back in partition order.
    pub fn finish(mut self) -> Result<Vec<ParquetFile>> {
        for partition in self.collected.keys().copied().collect::<Vec<_>>() {
            self.flush(partition)?;
        }
        for partition in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(partition)?;
        }
        self.finished
            .sort_by(|a, b| (a.partition, &a.path).cmp(&(b.partition, &b.path)));
        Ok(self.finished)
    }

    fn split(&self, columns: &[ColumnData], rows: usize) -> Result<Split> {
        let Some((index, unit)) = self.partition else {
            return Ok(Split::One(None));
        };
        let day_of = |row: usize| -> Result<PartitionValue> {
            Ok(match &columns[index] {
                ColumnData::Long(column) => column
                    .get(row)
                    .map(|micros| micros.div_euclid(MICROS_PER_DAY) as i32),
                ColumnData::Int(column) => column.get(row),
                _ => {
                    return Err(Error::internal(
                        "a partition column is neither date nor timestamp",
                    ));
                }
            })
        };
        let first = day_of(0)?;
        let mut row = 1;
        while row < rows && day_of(row)? == first {
            row += 1;
        }
        let value = |day: PartitionValue| day.map(|day| partition_of_day(day, unit));
        if row == rows {
            return Ok(Split::One(value(first)));
        }
        let mut by_day: BTreeMap<PartitionValue, Vec<u32>> = BTreeMap::new();
        by_day.insert(value(first), (0..row as u32).collect());
        let (mut last_day, mut last_value) = (first, value(first));
        for row in row..rows {
            let day = day_of(row)?;
            if day != last_day {
                (last_day, last_value) = (day, value(day));
            }
            by_day.entry(last_value).or_default().push(row as u32);
        }
        Ok(Split::Many(by_day))
    }

    fn collect(
        &mut self,
        partition: PartitionValue,
        columns: &[ColumnData],
        rows: &Rows,
    ) -> Result<()> {
        let collected = self
            .collected
            .entry(partition)
            .or_insert_with(|| Collected {
                columns: columns.iter().map(ColumnData::empty_like).collect(),
                rows: 0,
            });
        for (to, from) in collected.columns.iter_mut().zip(columns) {
            to.append(from, rows);
        }
        collected.rows += rows.count();
        if collected.rows >= 4 * self.options.direct_rows
            || collected.memory() >= self.options.partition_bytes
        {
            self.flush(partition)?;
        }
        Ok(())
    }

    fn flush(&mut self, partition: PartitionValue) -> Result<()> {
        match self.collected.remove(&partition) {
            Some(collected) => self.write_row_group(partition, collected.columns, collected.rows),
            None => Ok(()),
        }
    }

    fn write_row_group(
        &mut self,
        partition: PartitionValue,
        columns: Vec<ColumnData>,
        rows: usize,
    ) -> Result<()> {
        self.clock += 1;
        let clock = self.clock;
        let file = self.open_file(partition)?;
        file.used = clock;
        file.rows += rows as u64;
        let types = file.writer.parquet_schema().fields().to_vec();
        let mut pages = Vec::with_capacity(columns.len());
        for ((column, field), type_) in columns.into_iter().zip(&self.fields).zip(types) {
            let options = write_options(field);
            let encoding = encoding(&column, field);
            let array = arrow::storage_array(column, field)?;
            pages.push((array, type_, options, encoding));
        }
        // Each column is encoded when the file takes it: one column's pages are in memory at a time.
        let compressor = self.compressor.clone();
        let row_group = DynIter::new(pages.into_iter().map(move |(array, type_, options, encoding)| {
            let (array, encoding) = match encoding {
                Some(encoding) => (array, encoding),
                None => numbers::encoded(array)?,
            };
            let mut columns = array_to_columns(array, type_, options, &[encoding])?;
            let pages = columns.pop().ok_or_else(|| {
                PolarsError::ComputeError("a column without pages".into())
            })?;
            Ok(DynStreamingIterator::new(
                polars_parquet::write::fallible_streaming_iterator::FallibleStreamingIterator::map_err(
                    compressor.pages(pages),
                    PolarsError::from,
                ),
            ))
        }));
        let file = self.open_file(partition)?;
        file.writer
            .write(rows as u64, row_group)
            .map_err(unwritable)
    }

    fn open_file(&mut self, partition: PartitionValue) -> Result<&mut OpenFile> {
        if !self.open.contains_key(&partition) {
            if self.open.len() >= self.options.open_files
                && let Some(oldest) = self
                    .open
                    .iter()
                    .min_by_key(|(_, file)| file.used)
                    .map(|(&partition, _)| partition)
            {
                self.close(oldest)?;
            }
            let number = self.finished.len() + self.open.len();
            let path = self
                .folder
                .join(format!("{}-{number:05}.parquet", self.stem));
            let file = File::create(&path)
                .map_err(storage(format!("{} cannot be created", path.display())))?;
            let options = WriteOptions {
                statistics: StatisticsOptions::default(),
                version: Version::V1,
                compression: CompressionOptions::Uncompressed,
                data_page_size: None,
            };
            let writer = FileWriter::try_new(BufWriter::new(file), self.schema.clone(), options)
                .map_err(unwritable)?;
            self.open.insert(
                partition,
                OpenFile {
                    path,
                    writer,
                    rows: 0,
                    used: self.clock,
                },
            );
        }
        self.open
            .get_mut(&partition)
            .ok_or_else(|| Error::internal("a file is not open"))
    }

    fn close(&mut self, partition: PartitionValue) -> Result<()> {
        let Some(mut file) = self.open.remove(&partition) else {
            return Ok(());
        };
        let bytes = file.writer.end(None).map_err(unwritable)?;
        let inner = file.writer.into_inner();
        let cannot_end = format!("{} cannot be written", file.path.display());
        let handle = inner
            .into_inner()
            .map_err(|error| error.into_error())
            .map_err(storage(cannot_end.clone()))?;
        // The commit names this file: it must outlast a power cut.
        handle.sync_all().map_err(storage(cannot_end))?;
        self.finished.push(ParquetFile {
            path: file.path,
            partition,
            rows: file.rows,
            bytes,
        });
        Ok(())
    }
}

enum Split {
    One(PartitionValue),
    Many(BTreeMap<PartitionValue, Vec<u32>>),
}

impl Collected {
    fn memory(&self) -> usize {
        self.columns.iter().map(ColumnData::memory).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_month_of_a_day_is_the_calendars(day in -700_000i32..700_000) {
            let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Duration::days(i64::from(day));
            prop_assert_eq!(month_of_day(day), (date.year() - 1970) * 12 + date.month0() as i32);
        }
    }
}
