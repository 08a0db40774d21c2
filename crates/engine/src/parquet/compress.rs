//! Compresses pages with one zstd context for all of them: making a context for each page, as the
//! Parquet library does, costs more than compressing a small page.

use std::sync::{Arc, Mutex, PoisonError};

use polars::error::PolarsResult;
use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::compression::Compression;
use polars_parquet::parquet::page::{CompressedDictPage, DataPage, DictPage};
use polars_parquet::read::ParquetError;
use polars_parquet::write::{CompressedDataPage, CompressedPage, FallibleStreamingIterator, Page};
use tarn_core::{Error, ErrorKind, Result};

/// A context that compresses page after page; clones share it.
#[derive(Clone)]
pub(super) struct PageCompressor(Arc<Mutex<Context>>);

struct Context {
    zstd: zstd::bulk::Compressor<'static>,
    /// The buffer of a page that is written.
    spare: Vec<u8>,
}

impl PageCompressor {
    /// A compressor of a zstd level.
    pub fn new(level: i32) -> Result<Self> {
        let zstd = zstd::bulk::Compressor::new(level).map_err(|error| {
            Error::new(ErrorKind::Storage, "zstd cannot be set up").with_source(error)
        })?;
        Ok(PageCompressor(Arc::new(Mutex::new(Context {
            zstd,
            spare: Vec::new(),
        }))))
    }

    /// The pages of a column, compressed as they are asked for.
    pub fn pages<I>(&self, pages: I) -> CompressedPages<I>
    where
        I: Iterator<Item = PolarsResult<Page>>,
    {
        CompressedPages {
            pages,
            compressor: self.clone(),
            current: None,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Context) -> T) -> T {
        // A panic leaves nothing half-done that the next page could trip over: each begins anew.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn compress(&self, bytes: &[u8]) -> std::result::Result<CowBuffer, ParquetError> {
        self.with(|context| {
            let mut out = std::mem::take(&mut context.spare);
            out.clear();
            out.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
            context.zstd.compress_to_buffer(bytes, &mut out)?;
            Ok(CowBuffer::Owned(out))
        })
    }

    fn data(&self, page: &DataPage) -> std::result::Result<CompressedPage, ParquetError> {
        let rows = page.num_rows().ok_or_else(|| {
            ParquetError::InvalidParameter("a page does not know its rows".to_owned())
        })?;
        Ok(CompressedPage::Data(CompressedDataPage::new(
            page.header().clone(),
            self.compress(page.buffer())?,
            Compression::Zstd,
            page.buffer().len(),
            page.descriptor.clone(),
            rows,
        )))
    }

    fn dictionary(&self, page: &DictPage) -> std::result::Result<CompressedPage, ParquetError> {
        Ok(CompressedPage::Dict(CompressedDictPage::new(
            self.compress(&page.buffer)?,
            Compression::Zstd,
            page.buffer.len(),
            page.num_values,
            page.is_sorted,
        )))
    }
}

/// See [`PageCompressor::pages`].
pub(super) struct CompressedPages<I> {
    pages: I,
    compressor: PageCompressor,
    current: Option<CompressedPage>,
}

impl<I: Iterator<Item = PolarsResult<Page>>> FallibleStreamingIterator for CompressedPages<I> {
    type Item = CompressedPage;
    type Error = ParquetError;

    fn advance(&mut self) -> std::result::Result<(), ParquetError> {
        if let Some(CompressedPage::Data(mut page)) = self.current.take() {
            let spare = std::mem::take(page.slice_mut().to_mut());
            self.compressor.with(|context| context.spare = spare);
        }
        let Some(page) = self.pages.next() else {
            return Ok(());
        };
        let page = page.map_err(|error| ParquetError::FeatureNotSupported(error.to_string()))?;
        self.current = Some(match &page {
            Page::Data(page) => self.compressor.data(page)?,
            Page::Dict(page) => self.compressor.dictionary(page)?,
        });
        Ok(())
    }

    fn get(&self) -> Option<&CompressedPage> {
        self.current.as_ref()
    }
}
