//! Compresses pages with one zstd context for all of them: making a context for each page, as the
//! Parquet library does, costs more than compressing a small page.

use tarn_core::{Error, ErrorKind, Result};

/// Level 1 costs a third of level 3 for about 5 % more bytes.
const LEVEL: i32 = 1;

/// Of a large dictionary's texts there are few for the rows that they stand for. The level is worth its
/// time where a sample shows prose: random digits become half as large by any level.
const DICTIONARY_LEVEL: i32 = 3;
const LARGE_DICTIONARY: usize = 256 << 10;
const SAMPLE: usize = 64 << 10;
const PROSE_RATIO: usize = 3;

/// A context that compresses page after page.
pub(super) struct PageCompressor(zstd::bulk::Compressor<'static>);

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, "zstd cannot compress a page").with_source(error)
}

impl PageCompressor {
    /// A compressor for all pages of a writer.
    pub fn new() -> Result<Self> {
        zstd::bulk::Compressor::new(LEVEL)
            .map(PageCompressor)
            .map_err(failed)
    }

    /// The bytes of a page of values, compressed.
    pub fn values(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()));
        self.0.compress_to_buffer(bytes, &mut out).map_err(failed)?;
        // Pages are kept until their row group is written.
        out.shrink_to_fit();
        Ok(out)
    }

    /// The bytes of a dictionary, compressed.
    pub fn dictionary(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let sample = bytes.get(..SAMPLE).unwrap_or_default();
        if bytes.len() < LARGE_DICTIONARY || self.values(sample)?.len() * PROSE_RATIO > sample.len()
        {
            return self.values(bytes);
        }
        self.0
            .set_compression_level(DICTIONARY_LEVEL)
            .map_err(failed)?;
        let compressed = self.values(bytes);
        self.0.set_compression_level(LEVEL).map_err(failed)?;
        compressed
    }
}
