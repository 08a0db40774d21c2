//! Parquet files as Iceberg wants them: field ids, zstd, statistics, one file per partition.

mod chunk;
mod compress;
mod dictionary;
mod page;
pub(crate) mod writer;

pub use writer::{ParquetFile, PartitionedWriter, WriterOptions};
