//! Compresses pages with two zstd contexts for all of them: making a context for each page, as the
//! Parquet library does, costs more than compressing a small page.

use tarn_core::{Error, ErrorKind, Result};
use zstd::zstd_safe::CParameter;

/// Level 1 costs a third of level 3 for about 5 % more bytes.
const LEVEL: i32 = 1;

/// Neighbouring numbers share some of their bytes, and seldom as many as level 1 looks for: times and
/// places in a file become up to two fifths smaller for it.
const SHORTEST_MATCH: u32 = 4;

/// A large dictionary has few texts for the rows that they stand for. The level is worth its
/// time where a sample shows prose: random digits become half as large by any level.
const DICTIONARY_LEVEL: i32 = 3;
const LARGE_DICTIONARY: usize = 256 << 10;
const SAMPLE: usize = 64 << 10;
const PROSE_RATIO: usize = 3;

/// Contexts that compress page after page.
pub(super) struct PageCompressor {
    any: zstd::bulk::Compressor<'static>,
    numbers: zstd::bulk::Compressor<'static>,
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, "zstd cannot compress a page").with_source(error)
}

fn compressed(context: &mut zstd::bulk::Compressor<'static>, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()));
    context
        .compress_to_buffer(bytes, &mut out)
        .map_err(failed)?;
    // Pages are kept until their row group is written.
    out.shrink_to_fit();
    Ok(out)
}

impl PageCompressor {
    /// A compressor for all pages of a writer.
    pub fn new() -> Result<Self> {
        let context = || zstd::bulk::Compressor::new(LEVEL).map_err(failed);
        let mut numbers = context()?;
        numbers
            .set_parameter(CParameter::MinMatch(SHORTEST_MATCH))
            .map_err(failed)?;
        Ok(PageCompressor {
            any: context()?,
            numbers,
        })
    }

    /// The bytes of a page of values, compressed.
    pub fn values(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        compressed(&mut self.any, bytes)
    }

    /// The bytes of a page of numbers as they are.
    pub fn numbers(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        compressed(&mut self.numbers, bytes)
    }

    /// The bytes of a dictionary, compressed.
    pub(crate) fn dictionary(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let sample = bytes.get(..SAMPLE).unwrap_or_default();
        if bytes.len() < LARGE_DICTIONARY || self.values(sample)?.len() * PROSE_RATIO > sample.len()
        {
            return self.values(bytes);
        }
        self.any
            .set_compression_level(DICTIONARY_LEVEL)
            .map_err(failed)?;
        let compressed = self.values(bytes);
        self.any.set_compression_level(LEVEL).map_err(failed)?;
        compressed
    }
}
