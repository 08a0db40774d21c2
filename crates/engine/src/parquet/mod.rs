//! Parquet files as Iceberg wants them: field ids, zstd, statistics, one file per partition.

mod compress;
mod numbers;
pub(crate) mod writer;

pub use writer::{ParquetFile, PartitionedWriter, WriterOptions};
