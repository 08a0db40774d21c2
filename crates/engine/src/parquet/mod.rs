//! Parquet files as Iceberg wants them: field ids, zstd, statistics, one file per partition.

mod bounds;
mod chunk;
mod compress;
mod dictionary;
mod page;
pub(crate) mod writer;

use std::fs::File;
use std::path::Path;

use polars_parquet::parquet::read::read_metadata;
use tarn_core::{Error, ErrorKind, Result};

pub use writer::{ParquetFile, PartitionedWriter, WriterOptions};

/// Whether a file was written by version 0.1.0: some readers lack its encodings, and others find too few
/// rows by its page index. It named the library as its writer, as no other writer of a lake's files does.
///
/// # Errors
/// `Storage` where the file has no footer that could be read.
pub fn is_of_version_0_1_0(path: &Path) -> Result<bool> {
    let unreadable = || {
        let message = format!("the footer of {} cannot be read", path.display());
        Error::new(ErrorKind::Storage, message)
    };
    let mut file = File::open(path).map_err(|error| unreadable().with_source(error))?;
    let metadata = read_metadata(&mut file).map_err(|error| unreadable().with_source(error))?;
    Ok(metadata.created_by.as_deref() == Some("Polars"))
}
