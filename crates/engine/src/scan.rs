//! Reads the Parquet files of a table into Polars.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::io::{HiveOptions, SerReader};
use polars::prelude::{
    Column, DataFrame, DataType, Expr, IntoLazy, LazyFrame, ParquetOptions, PlRefPath, PlSmallStr,
    PolarsError, ScanSources, SchemaRef, col, lit,
};
use polars_io::parquet::read::ParquetReader;
use polars_plan::dsl::{
    CastColumnsPolicy, ColumnMapping, DslBuilder, ExtraColumnsPolicy, MissingColumnsPolicy,
    UnifiedScanArgs,
};
use tarn_core::schema::{TableField, TableName, system};
use tarn_core::{Error, ErrorKind, Result};

use crate::columns::to_arrow;
use crate::columns::types::data_type;

/// A table of the lake at one version: its columns and files.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its full name.
    pub name: TableName,
    /// Its columns.
    pub fields: Vec<TableField>,
    /// Its live data files, as local paths.
    pub files: Vec<PathBuf>,
}

fn unreadable(path: &Path) -> impl FnOnce(PolarsError) -> Error {
    let path = path.display().to_string();
    move |error| {
        Error::new(
            ErrorKind::Storage,
            format!("the data file {path} cannot be read"),
        )
        .with_source(error)
    }
}

/// A table's rows, read lazily from its files: columns are found by field id, a column that a file
/// does not have is null.
pub fn table(fields: &[TableField], files: &[PathBuf]) -> Result<LazyFrame> {
    let cannot_plan =
        |error: PolarsError| Error::internal("a table scan cannot be planned").with_source(error);
    if files.is_empty() {
        let columns = fields
            .iter()
            .map(|field| {
                Column::new_empty(
                    field.field.name.as_str().into(),
                    &data_type(&field.field.ty),
                )
            })
            .collect();
        return Ok(DataFrame::new(0, columns).map_err(cannot_plan)?.lazy());
    }
    let schema = to_arrow::schema(fields);
    let mapping =
        polars::prelude::iceberg::IcebergSchema::from_arrow_schema(&schema).map_err(cannot_plan)?;
    // Without it the first file's columns would be taken for the table's.
    let polars_schema: SchemaRef = Arc::new(
        fields
            .iter()
            .map(|field| {
                (
                    PlSmallStr::from(field.field.name.as_str()),
                    data_type(&field.field.ty),
                )
            })
            .collect(),
    );
    let paths: Vec<PlRefPath> = files
        .iter()
        .map(|path| PlRefPath::try_from_path(path))
        .collect::<Result<_, _>>()
        .map_err(cannot_plan)?;
    let args = UnifiedScanArgs {
        schema: Some(polars_schema.clone()),
        hive_options: HiveOptions {
            enabled: Some(false),
            ..HiveOptions::default()
        },
        cache: false,
        glob: false,
        column_mapping: Some(ColumnMapping::Iceberg(Arc::new(mapping))),
        missing_columns_policy: MissingColumnsPolicy::Insert,
        extra_columns_policy: ExtraColumnsPolicy::Ignore,
        // A column that grew from int to bigint: older files still hold the smaller type.
        cast_columns_policy: CastColumnsPolicy {
            integer_upcast: true,
            ..CastColumnsPolicy::ERROR_ON_MISMATCH
        },
        ..UnifiedScanArgs::default()
    };
    let plan = DslBuilder::scan_parquet(
        ScanSources::Paths(paths.into()),
        ParquetOptions {
            schema: Some(polars_schema),
            use_statistics: true,
            ..ParquetOptions::default()
        },
        args,
    )
    .map_err(cannot_plan)?;
    Ok(plan.build().into())
}

/// Whether a row came from the object with these URIs.
pub(crate) fn is_of_object(uris: &[String]) -> Expr {
    let is = |uri: &String| col(system::SOURCE_URI).eq(lit(uri.as_str()));
    uris.iter().map(is).reduce(Expr::or).unwrap_or(lit(false))
}

fn reader_of(path: &Path) -> Result<ParquetReader<File>> {
    let file = File::open(path).map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("the data file {} cannot be opened", path.display()),
        )
        .with_source(error)
    })?;
    Ok(ParquetReader::new(file))
}

/// Rows of a file, by its footer.
pub(crate) fn rows_of_file(path: &Path) -> Result<usize> {
    reader_of(path)?.num_rows().map_err(unreadable(path))
}

/// Calls `each` with every value, as text, of one column of one file, a slice of rows in memory at a time.
/// Rows of the source object with the URIs `without` are left out.
pub(crate) fn texts_of_file(
    path: &Path,
    column: &str,
    without: &[String],
    each: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    const SLICE: usize = 128 * 1024;
    let mut columns = vec![column.to_owned()];
    if !without.is_empty() {
        columns.push(system::SOURCE_URI.to_owned());
    }
    let rows = rows_of_file(path)?;
    let mut begin = 0;
    while begin < rows {
        let length = SLICE.min(rows - begin);
        let frame = reader_of(path)?
            .with_columns(Some(columns.clone()))
            .with_slice(Some((begin, length)))
            .finish()
            .map_err(unreadable(path))?;
        let texts = frame.column(column).map_err(unreadable(path))?;
        let texts = texts.cast(&DataType::String).map_err(unreadable(path))?;
        let texts = texts.str().map_err(unreadable(path))?.iter();
        if without.is_empty() {
            texts.flatten().for_each(|text| each(text.as_bytes()));
        } else {
            let sources = frame.column(system::SOURCE_URI).map_err(unreadable(path))?;
            let sources = sources.str().map_err(unreadable(path))?.iter();
            for (text, source) in texts.zip(sources) {
                let own = source.is_some_and(|source| without.iter().any(|uri| uri == source));
                if let (Some(text), false) = (text, own) {
                    each(text.as_bytes());
                }
            }
        }
        begin += length;
    }
    Ok(())
}
