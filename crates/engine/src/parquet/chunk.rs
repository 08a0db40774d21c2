//! One column of a row group while it is being filled: its pages, compressed as they come, and the
//! dictionary that they share. Values that repeat are numbered by the dictionary, others are stored as
//! they are: these two encodings, in pages of version 1, are what every reader of Parquet takes.

use std::borrow::Cow;

use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::compression::Compression;
use polars_parquet::parquet::encoding::hybrid_rle;
use polars_parquet::parquet::metadata::Descriptor;
use polars_parquet::parquet::page::{CompressedDictPage, DataPageHeader, DataPageHeaderV1};
use polars_parquet::parquet::schema::types::PhysicalType;
use polars_parquet::parquet::statistics::ParquetStatistics;
use polars_parquet::write::{CompressedDataPage, CompressedPage, Encoding};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, Result};

use crate::parquet::bounds::{self, Bounds};
use crate::parquet::compress::PageCompressor;
use crate::parquet::dictionary::{NumberDictionary, TextDictionary};
use crate::parquet::page::{
    Body, Number, Numbers, Shape, flat_levels, list_levels, mistyped, present, put_booleans,
    put_numbers, put_texts, unencodable,
};
use tarn_rows::column::{ColumnData, ListColumn, Plain, Rows, TextColumn, Validity};

/// Texts of more bytes make several pages.
const PAGE_BYTES: usize = 1 << 20;

/// A page that waits for its row group to be complete.
struct Encoded {
    header: DataPageHeaderV1,
    compressed: Vec<u8>,
    /// Bytes before they were compressed.
    bytes: usize,
    rows: usize,
}

enum Dictionary {
    Texts(TextDictionary),
    Numbers(NumberDictionary),
    None,
}

/// One column of a row group.
pub(super) struct ColumnChunk {
    pages: Vec<Encoded>,
    dictionary: Dictionary,
}

impl ColumnChunk {
    /// A chunk without rows.
    pub fn new(shape: &Shape) -> Self {
        ColumnChunk {
            pages: Vec::new(),
            dictionary: match shape.field.field.ty {
                ColumnType::String | ColumnType::StringList => {
                    Dictionary::Texts(TextDictionary::default())
                }
                ColumnType::Boolean => Dictionary::None,
                _ => Dictionary::Numbers(NumberDictionary::default()),
            },
        }
    }

    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        let pages = self.pages.iter().map(|page| page.compressed.len());
        pages.sum::<usize>()
            + match &self.dictionary {
                Dictionary::Texts(texts) => texts.memory(),
                Dictionary::Numbers(numbers) => numbers.memory(),
                Dictionary::None => 0,
            }
    }

    /// Appends rows as a page, or where they are long texts as several.
    pub fn add(
        &mut self,
        column: ColumnData,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        match column {
            ColumnData::Text(ref texts) => self.add_texts(texts, &column, shape, compressor),
            ColumnData::List(_) => self.add_lists(&column, shape, compressor),
            ColumnData::Boolean(booleans) => self.add_booleans(&booleans, shape, compressor),
            column => match Numbers::new(column, shape)? {
                Numbers::Int(numbers) => self.add_numbers(&numbers, shape, compressor),
                Numbers::Long(numbers) => self.add_numbers(&numbers, shape, compressor),
                Numbers::Double(numbers) => self.add_numbers(&numbers, shape, compressor),
            },
        }
    }

    fn add_texts(
        &mut self,
        texts: &TextColumn,
        column: &ColumnData,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let Dictionary::Texts(dictionary) = &mut self.dictionary else {
            return Err(mistyped(shape));
        };
        if let Some(numbered) = dictionary.numbers(texts) {
            let page = flat_levels(&texts.validity, shape)?;
            let bounds = bounds::of_texts(
                numbered.bounds(&dictionary.texts),
                shape.has_exact_bounds(),
                page.nulls,
            );
            return self.add_numbered(page, numbered.numbers, bounds, compressor);
        }
        for part in parts(column) {
            let ColumnData::Text(texts) = part.as_ref() else {
                return Err(mistyped(shape));
            };
            let mut page = flat_levels(&texts.validity, shape)?;
            let values = || (0..texts.len()).filter_map(|row| texts.get(row));
            put_texts(&mut page.bytes, values())?;
            let bounds =
                bounds::of_texts(Bounds::of(values()), shape.has_exact_bounds(), page.nulls);
            self.push_page(Encoding::Plain, page, bounds, compressor)?;
        }
        Ok(())
    }

    fn add_lists(
        &mut self,
        column: &ColumnData,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let (ColumnData::List(list), Dictionary::Texts(dictionary)) =
            (column, &mut self.dictionary)
        else {
            return Err(mistyped(shape));
        };
        if let Some(numbered) = dictionary.numbers(&list.items) {
            let page = list_levels(list, shape)?;
            let bounds = bounds::of_texts(numbered.bounds(&dictionary.texts), false, page.nulls);
            return self.add_numbered(page, numbered.numbers, bounds, compressor);
        }
        for part in parts(column) {
            let ColumnData::List(list) = part.as_ref() else {
                return Err(mistyped(shape));
            };
            let mut page = list_levels(list, shape)?;
            // Items are never null.
            let items = || (0..list.items.len()).filter_map(|item| list.items.get(item));
            put_texts(&mut page.bytes, items())?;
            let bounds = bounds::of_texts(Bounds::of(items()), false, page.nulls);
            self.push_page(Encoding::Plain, page, bounds, compressor)?;
        }
        Ok(())
    }

    fn add_booleans(
        &mut self,
        column: &Plain<bool>,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let mut page = flat_levels(&column.validity, shape)?;
        let values = || present(&column.values, &column.validity);
        put_booleans(&mut page.bytes, values());
        let bounds = bounds::of_booleans(Bounds::of(values()), page.nulls);
        self.push_page(Encoding::Plain, page, bounds, compressor)
    }

    fn add_numbers<N: Number>(
        &mut self,
        column: &Plain<N>,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let Dictionary::Numbers(dictionary) = &mut self.dictionary else {
            return Err(mistyped(shape));
        };
        let (values, validity) = (column.values.as_slice(), &column.validity);
        let mut page = flat_levels(validity, shape)?;
        let bounds = bounds::of_numbers(
            Bounds::of(present(values, validity)),
            page.nulls < page.rows,
            page.nulls,
        );
        let numbers = if validity.nulls() == 0 && grows(values) {
            None
        } else {
            dictionary.numbers(present(values, validity).map(N::bits), N::IS_WHOLE)
        };
        if let Some(numbers) = numbers {
            return self.add_numbered(page, numbers, bounds, compressor);
        }
        put_numbers(&mut page.bytes, values, validity);
        let compressed = compressor.numbers(&page.bytes)?;
        self.push_compressed(Encoding::Plain, page, compressed, bounds)
    }

    /// Appends a page of values of the dictionary.
    fn add_numbered(
        &mut self,
        mut page: Body,
        numbers: Vec<u32>,
        bounds: ParquetStatistics,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        // With nulls alone there are only the levels, which need no dictionary.
        let encoding = match numbers.iter().max() {
            None => Encoding::Plain,
            Some(greatest) => {
                let width = u32::BITS - greatest.leading_zeros();
                page.bytes.push(width as u8);
                hybrid_rle::encode::<u32, _, _>(&mut page.bytes, numbers.into_iter(), width)
                    .map_err(unencodable)?;
                Encoding::RleDictionary
            }
        };
        self.push_page(encoding, page, bounds, compressor)
    }

    /// Appends a page.
    fn push_page(
        &mut self,
        encoding: Encoding,
        page: Body,
        statistics: ParquetStatistics,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let compressed = compressor.values(&page.bytes)?;
        self.push_compressed(encoding, page, compressed, statistics)
    }

    fn push_compressed(
        &mut self,
        encoding: Encoding,
        page: Body,
        compressed: Vec<u8>,
        statistics: ParquetStatistics,
    ) -> Result<()> {
        let values =
            i32::try_from(page.values).map_err(|_| Error::internal("a page of too many values"))?;
        self.pages.push(Encoded {
            header: DataPageHeaderV1 {
                num_values: values,
                encoding: encoding.into(),
                definition_level_encoding: Encoding::Rle.into(),
                repetition_level_encoding: Encoding::Rle.into(),
                statistics: Some(statistics),
            },
            compressed,
            bytes: page.bytes.len(),
            rows: page.rows,
        });
        Ok(())
    }

    /// The pages as they are in the file, the dictionary before the others.
    pub(crate) fn finish(
        self,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<Vec<CompressedPage>> {
        let mut pages = Vec::with_capacity(1 + self.pages.len());
        let (mut bytes, values) = (Vec::new(), self.dictionary.len());
        self.dictionary.put(&mut bytes, shape)?;
        if values > 0 {
            pages.push(CompressedPage::Dict(CompressedDictPage::new(
                CowBuffer::Owned(compressor.dictionary(&bytes)?),
                Compression::Zstd,
                bytes.len(),
                values,
                false,
            )));
        }
        pages.extend(self.pages.into_iter().map(|page| {
            CompressedPage::Data(CompressedDataPage::new(
                DataPageHeader::V1(page.header),
                CowBuffer::Owned(page.compressed),
                Compression::Zstd,
                page.bytes,
                Descriptor {
                    primitive_type: shape.leaf.clone(),
                    max_def_level: 0,
                    max_rep_level: 0,
                },
                page.rows,
            ))
        }));
        Ok(pages)
    }
}

impl Dictionary {
    /// Distinct values.
    fn len(&self) -> usize {
        match self {
            Dictionary::Texts(dictionary) => dictionary.texts.len(),
            Dictionary::Numbers(dictionary) => dictionary.bits.len(),
            Dictionary::None => 0,
        }
    }

    /// Appends the values as they are, in the order of their numbers.
    fn put(&self, bytes: &mut Vec<u8>, shape: &Shape) -> Result<()> {
        match self {
            Dictionary::Texts(dictionary) => {
                let texts = &dictionary.texts;
                put_texts(bytes, (0..texts.len()).map(|number| texts.get(number)))?;
            }
            Dictionary::Numbers(dictionary) => {
                let width = match shape.leaf.physical_type {
                    PhysicalType::Int32 => 4,
                    _ => 8,
                };
                for bits in &dictionary.bits {
                    // The first four bytes of a number of 32 bits.
                    bytes.extend_from_slice(&bits.to_le_bytes()[..width]);
                }
            }
            Dictionary::None => {}
        }
        Ok(())
    }
}

/// Whether numbers only grow, and hardly repeat: a dictionary of times and places in a file pays nowhere.
fn grows<N: Number>(values: &[N]) -> bool {
    let steps = || values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    values.is_sorted() && steps() * 16 > values.len()
}

/// The rows of texts or lists in parts whose texts make a page each.
fn parts(column: &ColumnData) -> Vec<Cow<'_, ColumnData>> {
    let texts = match column {
        ColumnData::Text(texts) => texts,
        ColumnData::List(list) => &list.items,
        _ => return vec![Cow::Borrowed(column)],
    };
    let lengths = (0..texts.len()).filter_map(|row| Some(texts.get(row)?.len() + 4));
    let pages = lengths.sum::<usize>().div_ceil(PAGE_BYTES);
    let rows = column.len();
    if pages < 2 || rows < 2 {
        return vec![Cow::Borrowed(column)];
    }
    let size = rows.div_ceil(pages);
    let part = |begin: usize| {
        let mut part = match column {
            ColumnData::List(_) => ColumnData::List(ListColumn {
                items: TextColumn::new(false),
                ends: Vec::new(),
                validity: Validity::default(),
            }),
            _ => ColumnData::Text(TextColumn::new(false)),
        };
        part.append(column, &Rows::Run(begin..rows.min(begin + size)));
        Cow::Owned(part)
    };
    (0..rows).step_by(size).map(part).collect()
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
