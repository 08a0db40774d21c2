//! Takes the rows of one source object out of a file that holds rows of several.

use std::path::{Path, PathBuf};

use polars::prelude::PolarsError;
use tarn_core::schema::{Partitioning, TableField};
use tarn_core::{Error, Result};

use crate::frame;
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::scan;

/// The rows of a file that did not come from the object with these URIs, as new files in `staging`.
pub fn without_source(
    fields: &[TableField],
    file: &Path,
    uris: &[String],
    partitioning: Option<&Partitioning>,
    staging: &Path,
) -> Result<Vec<ParquetFile>> {
    let failed = |error: PolarsError| {
        Error::internal(format!("{} cannot be rewritten", file.display())).with_source(error)
    };
    let rest = scan::table(fields, &[PathBuf::from(file)])?
        .filter(scan::is_of_object(uris).not())
        .collect()
        .map_err(failed)?;
    let mut writer = PartitionedWriter::new(
        staging,
        "rest",
        fields.to_vec(),
        partitioning,
        WriterOptions::default(),
    )?;
    writer.write(frame::columns(&rest, fields)?, rest.height())?;
    writer.finish()
}
