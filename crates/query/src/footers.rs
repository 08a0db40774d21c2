//! Footers of data files, and what is not to be believed in them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::files::Files;

/// Who wrote files with a wrong page index: it states the nulls of a whole column for each of its pages, so
/// pages with values are left out.
const WRONG_INDEX: &str = "Polars";

/// Makes readers of data files, whose footers are kept.
#[derive(Debug)]
pub(crate) struct Readers(CachedParquetFileReaderFactory);

impl Readers {
    pub fn new(files: &Arc<Files>, footers: &Arc<dyn FileMetadataCache>) -> Self {
        Readers(CachedParquetFileReaderFactory::new(
            Arc::clone(files) as _,
            Arc::clone(footers),
        ))
    }
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let reader = self
            .0
            .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader(reader)))
    }
}

struct Reader(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.0.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let footer = self.0.get_metadata(options).await?;
            if footer.file_metadata().created_by() == Some(WRONG_INDEX) {
                return without_page_index(&footer).map(Arc::new);
            }
            Ok(footer)
        }
        .boxed()
    }
}

/// A footer that names no page index.
fn without_page_index(footer: &ParquetMetaData) -> ParquetResult<ParquetMetaData> {
    let row_groups = footer
        .row_groups()
        .iter()
        .map(|group| {
            let columns = group.columns().iter().map(|column| {
                column
                    .clone()
                    .into_builder()
                    .set_column_index_offset(None)
                    .set_column_index_length(None)
                    .set_offset_index_offset(None)
                    .set_offset_index_length(None)
                    .build()
            });
            let columns = columns.collect::<ParquetResult<Vec<_>>>()?;
            group
                .clone()
                .into_builder()
                .set_column_metadata(columns)
                .build()
        })
        .collect::<ParquetResult<Vec<RowGroupMetaData>>>()?;
    Ok(footer
        .clone()
        .into_builder()
        .set_row_groups(row_groups)
        .set_column_index(None)
        .set_offset_index(None)
        .build())
}
