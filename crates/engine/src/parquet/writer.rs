//! Writes batches of columns into one Parquet file per partition with bounded memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::metadata::KeyValue;
use polars_parquet::parquet::write::{FileWriter, Version, WriteOptions};
use polars_parquet::write::{
    CompressedPage, DynIter, DynStreamingIterator, FallibleStreamingIterator, SchemaDescriptor,
    schema_to_metadata_key, to_parquet_schema,
};
use tarn_core::calendar::{MICROS_PER_DAY, partition_of_day};
use tarn_core::schema::{PartitionUnit, PartitionValue, Partitioning, TableField};
use tarn_core::{Error, ErrorKind, Result};

use crate::columns::to_arrow;
use crate::parquet::chunk::ColumnChunk;
use crate::parquet::compress::PageCompressor;
use crate::parquet::page::{Shape, unwritable};
use tarn_rows::column::{ColumnData, Rows};

/// Readers know the faults of writers by their names and versions.
const CREATED_BY: &str = concat!("tarn version ", env!("CARGO_PKG_VERSION"));

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
    /// A part of a batch with at least this many rows becomes a page of each column at once.
    pub page_rows: usize,
    /// Smaller parts are collected until a partition has this many rows or bytes.
    pub collected_rows: usize,
    pub collected_bytes: usize,
    /// A row group is written once it has this many rows or bytes: its compressed pages, and the
    /// dictionaries of its columns.
    pub group_rows: usize,
    pub group_bytes: usize,
    /// All partitions together have at most this many bytes in memory.
    pub total_bytes: usize,
    /// At most this many files are open; one more closes the file that was written to longest ago.
    pub open_files: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions {
            page_rows: 4 * 1024,
            collected_rows: 16 * 1024,
            collected_bytes: 4 << 20,
            group_rows: 128 * 1024,
            group_bytes: 8 << 20,
            total_bytes: 10 << 20,
            open_files: 64,
        }
    }
}

/// Rows of a partition that are too few for a page.
struct Collected {
    columns: Vec<ColumnData>,
    rows: usize,
}

impl Collected {
    /// No rows yet, of columns like these.
    fn like(columns: &[ColumnData]) -> Self {
        Collected {
            columns: columns.iter().map(ColumnData::empty_like).collect(),
            rows: 0,
        }
    }

    fn append(&mut self, columns: &[ColumnData], rows: &Rows) {
        for (to, from) in self.columns.iter_mut().zip(columns) {
            to.append(from, rows);
        }
        self.rows += rows.count();
    }

    fn memory(&self) -> usize {
        self.columns.iter().map(ColumnData::memory).sum()
    }
}

/// A row group that is being filled.
struct RowGroup {
    chunks: Vec<ColumnChunk>,
    rows: usize,
}

impl RowGroup {
    fn memory(&self) -> usize {
        self.chunks.iter().map(ColumnChunk::memory).sum()
    }
}

/// What a partition has in memory.
#[derive(Default)]
struct Pending {
    group: Option<RowGroup>,
    collected: Option<Collected>,
}

impl Pending {
    fn memory(&self) -> usize {
        self.collected.as_ref().map_or(0, Collected::memory)
            + self.group.as_ref().map_or(0, RowGroup::memory)
    }
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
    shapes: Vec<Shape>,
    schema: SchemaDescriptor,
    /// The schema as Arrow has it, for readers of Arrow.
    arrow_schema: KeyValue,
    /// The column that decides the partition, and the unit.
    partition: Option<(usize, PartitionUnit)>,
    options: WriterOptions,
    pending: BTreeMap<PartitionValue, Pending>,
    open: BTreeMap<PartitionValue, OpenFile>,
    finished: Vec<ParquetFile>,
    compressor: PageCompressor,
    clock: u64,
}

fn storage(message: String) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::new(ErrorKind::Storage, message).with_source(error)
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
        let arrow_schema = to_arrow::schema(&fields);
        let schema = to_parquet_schema(&arrow_schema).map_err(|error| {
            Error::internal("a table has no schema in Parquet").with_source(error)
        })?;
        Ok(PartitionedWriter {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
            shapes: Shape::all(&fields, &schema)?,
            schema,
            arrow_schema: schema_to_metadata_key(&arrow_schema),
            partition,
            options,
            pending: BTreeMap::new(),
            open: BTreeMap::new(),
            finished: Vec::new(),
            compressor: PageCompressor::new()?,
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
                let collected = &mut self.pending.entry(partition).or_default().collected;
                let begun = collected.is_some();
                match collected {
                    Some(collected) => collected.append(&columns, &Rows::Run(0..rows)),
                    None => *collected = Some(Collected { columns, rows }),
                }
                self.page_if_full(partition, begun)?;
            }
            Split::Many(parts) => {
                for (partition, part) in parts {
                    let collected = &mut self.pending.entry(partition).or_default().collected;
                    let begun = collected.is_some();
                    collected
                        .get_or_insert_with(|| Collected::like(&columns))
                        .append(&columns, &Rows::new(&part));
                    self.page_if_full(partition, begun)?;
                }
            }
        }
        while self.pending.values().map(Pending::memory).sum::<usize>() > self.options.total_bytes {
            let largest = self
                .pending
                .iter()
                .max_by_key(|(_, pending)| pending.memory())
                .map(|(&partition, _)| partition);
            let Some(largest) = largest else {
                break;
            };
            self.flush(largest)?;
        }
        Ok(())
    }

    /// Ends all files and gives them back in partition order.
    pub(crate) fn finish(mut self) -> Result<Vec<ParquetFile>> {
        for partition in self.pending.keys().copied().collect::<Vec<_>>() {
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

    /// Makes a page of each column once enough rows are collected. `begun` says whether some of them have
    /// waited for more.
    fn page_if_full(&mut self, partition: PartitionValue, begun: bool) -> Result<()> {
        let (options, pending) = (self.options, self.pending.entry(partition).or_default());
        let full = |collected: &mut Collected| {
            if begun {
                collected.rows >= options.collected_rows
                    || collected.memory() >= options.collected_bytes
            } else {
                collected.rows >= options.page_rows
            }
        };
        match pending.collected.take_if(full) {
            Some(collected) => self.add_page(partition, collected),
            None => Ok(()),
        }
    }

    /// Appends rows to the row group of their partition, as a page of each column.
    fn add_page(&mut self, partition: PartitionValue, collected: Collected) -> Result<()> {
        let group = self
            .pending
            .entry(partition)
            .or_default()
            .group
            .get_or_insert_with(|| RowGroup {
                chunks: self.shapes.iter().map(ColumnChunk::new).collect(),
                rows: 0,
            });
        let chunks = group.chunks.iter_mut().zip(&self.shapes);
        for (column, (chunk, shape)) in collected.columns.into_iter().zip(chunks) {
            chunk.add(column, shape, &mut self.compressor)?;
        }
        group.rows += collected.rows;
        if group.rows >= self.options.group_rows || group.memory() >= self.options.group_bytes {
            self.write_group(partition)?;
        }
        Ok(())
    }

    /// Writes everything that a partition has in memory.
    fn flush(&mut self, partition: PartitionValue) -> Result<()> {
        let pending = self.pending.get_mut(&partition);
        if let Some(collected) = pending.and_then(|pending| pending.collected.take()) {
            self.add_page(partition, collected)?;
        }
        self.write_group(partition)?;
        self.pending.remove(&partition);
        Ok(())
    }

    /// Writes the row group of a partition, if it has rows.
    fn write_group(&mut self, partition: PartitionValue) -> Result<()> {
        let pending = self.pending.get_mut(&partition);
        let Some(group) = pending.and_then(|pending| pending.group.take()) else {
            return Ok(());
        };
        let mut columns = Vec::with_capacity(group.chunks.len());
        for (chunk, shape) in group.chunks.into_iter().zip(&self.shapes) {
            columns.push(chunk.finish(shape, &mut self.compressor)?);
        }
        self.clock += 1;
        let clock = self.clock;
        let file = self.open_file(partition)?;
        file.used = clock;
        file.rows += group.rows as u64;
        let columns = columns
            .into_iter()
            .map(|pages| Ok(DynStreamingIterator::new(Pages::new(pages))));
        file.writer
            .write(group.rows as u64, DynIter::new(columns))
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
            let writer = FileWriter::new(
                BufWriter::new(file),
                self.schema.clone(),
                WriteOptions {
                    version: Version::V1,
                    write_statistics: true,
                },
                Some(CREATED_BY.to_owned()),
            );
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
        let schema = vec![self.arrow_schema.clone()];
        let bytes = file.writer.end(Some(schema)).map_err(unwritable)?;
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

/// The pages of a column, one by one as the library takes them.
struct Pages {
    left: std::vec::IntoIter<CompressedPage>,
    current: Option<CompressedPage>,
}

impl Pages {
    fn new(pages: Vec<CompressedPage>) -> Self {
        Pages {
            left: pages.into_iter(),
            current: None,
        }
    }
}

impl FallibleStreamingIterator for Pages {
    type Item = CompressedPage;
    type Error = ParquetError;

    fn advance(&mut self) -> std::result::Result<(), ParquetError> {
        self.current = self.left.next();
        Ok(())
    }

    fn get(&self) -> Option<&CompressedPage> {
        self.current.as_ref()
    }
}
