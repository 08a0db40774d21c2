//! Takes rows of source objects out of a file that holds others too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use polars::prelude::{BooleanChunked, DataType, Expr, IntoLazy, PolarsError, col, lit};
use tarn_core::schema::{Partitioning, TableField, system};
use tarn_core::{Error, Result};
use tarn_rows::planned::RowsOf;

use crate::columns::from_frame;
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::scan;

/// Whether a row is one of these.
pub(crate) fn is_of(rows: &RowsOf) -> Expr {
    let mut is = scan::is_of_object(&rows.uris);
    if let Some(version) = &rows.version {
        is = is.and(col(system::SOURCE_VERSION).eq(lit(version.as_str())));
    }
    if let Some(from) = rows.from {
        is = is.and(col(system::SOURCE_OFFSET).gt_eq(lit(from)));
    }
    is
}

/// The rows that a file loses.
#[derive(Debug, Clone, Copy)]
pub struct RemovedRows<'a> {
    /// Rows of these kinds. A row of two kinds counts for the first.
    pub kinds: &'a [RowsOf],
    /// Rows at these places, from 0: they are removed first, and not counted.
    pub positions: &'a BTreeSet<usize>,
}

/// What is left of a file without some rows.
#[derive(Debug)]
pub struct Rest {
    /// The other rows.
    pub files: Vec<ParquetFile>,
    /// How many rows of each kind are left out.
    pub removed: Vec<u64>,
}

/// The other rows of a file, as new files in `staging`; None where it has none of the rows that are to be removed.
///
/// # Errors
/// Where the file cannot be read or a new one cannot be written.
pub fn without(
    fields: &[TableField],
    file: &Path,
    rows: RemovedRows<'_>,
    partitioning: Option<&Partitioning>,
    staging: &Path,
) -> Result<Option<Rest>> {
    let failed = |error: PolarsError| {
        Error::internal(format!("{} cannot be rewritten", file.display())).with_source(error)
    };
    let RemovedRows { kinds, positions } = rows;
    let mut rest = scan::table(fields, &[PathBuf::from(file)])?
        .collect()
        .map_err(failed)?;
    if !positions.is_empty() {
        let kept = (0..rest.height()).map(|row| !positions.contains(&row));
        let kept: BooleanChunked = kept.collect();
        rest = rest.filter(&kept).map_err(failed)?;
    }
    let mut removed = Vec::new();
    for one in kinds {
        let before = rest.height();
        let others = rest.lazy().filter(is_of(one).not());
        rest = others.collect().map_err(failed)?;
        removed.push((before - rest.height()) as u64);
    }
    if positions.is_empty() && removed.iter().all(|&rows| rows == 0) {
        return Ok(None);
    }
    let mut writer = PartitionedWriter::new(
        staging,
        "rest",
        fields.to_vec(),
        partitioning,
        WriterOptions::default(),
    )?;
    if rest.height() > 0 {
        writer.write(from_frame::columns(&rest, fields)?, rest.height())?;
    }
    Ok(Some(Rest {
        files: writer.finish()?,
        removed,
    }))
}

/// The versions of the source object with these URIs whose rows a file holds, each with the least and the greatest offset of
/// them.
pub fn versions_in(
    fields: &[TableField],
    file: &Path,
    uris: &[String],
) -> Result<Vec<(String, i64, i64)>> {
    let failed = |error: PolarsError| unreadable(file, error);
    let offset = || col(system::SOURCE_OFFSET);
    let found = scan::table(fields, &[PathBuf::from(file)])?
        .filter(scan::is_of_object(uris))
        .group_by([col(system::SOURCE_VERSION)])
        .agg([
            offset().min().alias("least"),
            offset().max().alias("greatest"),
        ])
        .collect()
        .map_err(failed)?;
    let integers = |name: &str| found.column(name).and_then(|column| column.i64());
    let versions = found.column(system::SOURCE_VERSION).map_err(failed)?;
    let versions = versions.str().map_err(failed)?;
    let least = integers("least").map_err(failed)?;
    let greatest = integers("greatest").map_err(failed)?;
    let rows = versions.iter().zip(least.iter()).zip(greatest.iter());
    Ok(rows
        .filter_map(|((version, least), greatest)| Some((version?.to_owned(), least?, greatest?)))
        .collect())
}

/// The source objects whose rows a file holds, their versions, and how many rows of each there are.
pub fn rows_in(fields: &[TableField], file: &Path) -> Result<Vec<(String, String, u64)>> {
    let failed = |error: PolarsError| unreadable(file, error);
    let found = scan::table(fields, &[PathBuf::from(file)])?
        .group_by([col(system::SOURCE_URI), col(system::SOURCE_VERSION)])
        .agg([polars::prelude::len().cast(DataType::Int64).alias("rows")])
        .collect()
        .map_err(failed)?;
    let texts = |name: &str| found.column(name).and_then(|column| column.str());
    let uris = texts(system::SOURCE_URI).map_err(failed)?;
    let versions = texts(system::SOURCE_VERSION).map_err(failed)?;
    let rows = found
        .column("rows")
        .and_then(|column| column.i64())
        .map_err(failed)?;
    let all = uris.iter().zip(versions.iter()).zip(rows.iter());
    Ok(all
        .filter_map(|((uri, version), rows)| {
            Some((uri?.to_owned(), version?.to_owned(), rows?.unsigned_abs()))
        })
        .collect())
}

fn unreadable(file: &Path, error: PolarsError) -> Error {
    Error::internal(format!("{} cannot be read", file.display())).with_source(error)
}
