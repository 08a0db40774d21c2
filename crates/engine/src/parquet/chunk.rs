//! One column of a row group while it is being filled: its pages, compressed as they come, and the
//! dictionary that they share. The encoding of a page follows what is in it: values that repeat are
//! numbered by the dictionary, other whole numbers are stored as their differences, and the others as
//! they are.

use polars_arrow::array::{Array, DictionaryArray, PrimitiveArray};
use polars_arrow::datatypes::{ArrowDataType, IntegerType};
use polars_arrow::types::NativeType;
use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::compression::Compression;
use polars_parquet::parquet::encoding::hybrid_rle;
use polars_parquet::parquet::metadata::Descriptor;
use polars_parquet::parquet::page::{
    CompressedDictPage, DataPageHeader, DataPageHeaderV1, DictPage,
};
use polars_parquet::parquet::statistics::ParquetStatistics;
use polars_parquet::write::{
    CompressedDataPage, CompressedPage, Encoding, Page, StatisticsOptions,
};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, Result};

use crate::arrow;
use crate::column::{ColumnData, ListColumn, Plain, TextColumn, Texts, Validity};
use crate::parquet::compress::PageCompressor;
use crate::parquet::dictionary::{NumberDictionary, TextDictionary};
use crate::parquet::page::{
    Body, Shape, first_page, flat_levels, list_levels, null_count, pages, prefixes, put_numbers,
    put_texts, unencodable, unwritable,
};

/// A page that waits for its row group to be complete.
struct Encoded {
    header: DataPageHeader,
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
    /// The first page of values of the dictionary.
    first: Option<usize>,
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
                _ if shape.grows() => Dictionary::None,
                _ => Dictionary::Numbers(NumberDictionary::default()),
            },
            first: None,
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

    /// Appends rows as a page.
    pub fn add(
        &mut self,
        column: ColumnData,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        match (column, &mut self.dictionary) {
            (ColumnData::Text(texts), Dictionary::Texts(dictionary)) => {
                if let Some(numbers) = dictionary.numbers(&texts) {
                    let page = flat_levels(&texts.validity, shape)?;
                    return self.add_numbered(page, numbers, compressor);
                }
                let texts = texts.into_plain();
                if let Some(prefixes) = prefixes(&texts) {
                    return self.add_prefixed(&texts, &prefixes, shape, compressor);
                }
                let texts = ColumnData::Text(texts);
                let array = arrow::storage_array(texts, &shape.field)?;
                // Texts that hardly repeat: their bytes end to end compress better and faster than with
                // a length before each.
                self.add_plain(array, Encoding::DeltaLengthByteArray, shape, compressor)
            }
            (ColumnData::List(list), Dictionary::Texts(dictionary)) => {
                let mut page = list_levels(&list, shape)?;
                if let Some(numbers) = dictionary.numbers(&list.items) {
                    return self.add_numbered(page, numbers, compressor);
                }
                // Items are never null.
                let items = list.items.into_plain();
                let bounds = put_texts(&mut page.bytes, items, shape, shape.options.statistics)?;
                self.push_page(Encoding::DeltaLengthByteArray, page, bounds, compressor)
            }
            (column, Dictionary::Numbers(dictionary)) => {
                let validity = column.validity().clone();
                let array = arrow::storage_array(column, &shape.field)?;
                let numbers = match numbered(array.as_ref(), dictionary) {
                    Numbered::Differences => {
                        let encoding = Encoding::DeltaBinaryPacked;
                        return self.add_plain(array, encoding, shape, compressor);
                    }
                    Numbered::Plain => {
                        return self.add_plain(array, Encoding::Plain, shape, compressor);
                    }
                    Numbered::Numbers(numbers) => numbers,
                };
                let page = flat_levels(&validity, shape)?;
                self.add_numbered(page, numbers, compressor)
            }
            (column, _) => {
                let encoding = match column {
                    ColumnData::Long(_) => Encoding::DeltaBinaryPacked,
                    _ => Encoding::Plain,
                };
                let array = arrow::storage_array(column, &shape.field)?;
                self.add_plain(array, encoding, shape, compressor)
            }
        }
    }

    fn add_plain(
        &mut self,
        array: Box<dyn Array>,
        encoding: Encoding,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        for page in pages(array, encoding, shape)? {
            let Page::Data(page) = page.map_err(unwritable)? else {
                return Err(Error::internal("a plain column has a dictionary"));
            };
            self.pages.push(Encoded {
                header: page.header().clone(),
                compressed: compressor.values(page.buffer())?,
                bytes: page.buffer().len(),
                rows: page
                    .num_rows()
                    .ok_or_else(|| Error::internal("a page does not know its rows"))?,
            });
        }
        Ok(())
    }

    /// Appends a page of texts of which each repeats the beginning of the one before, by so many bytes.
    fn add_prefixed(
        &mut self,
        texts: &TextColumn,
        prefixes: &[i64],
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let values: Vec<&[u8]> = (0..texts.len()).filter_map(|row| texts.get(row)).collect();
        let mut suffixes = TextColumn::new(false);
        for (text, &prefix) in values.iter().zip(prefixes) {
            suffixes.push(text.get(prefix as usize..).unwrap_or_default());
        }
        let mut page = flat_levels(&texts.validity, shape)?;
        put_numbers(&mut page.bytes, prefixes)?;
        put_texts(&mut page.bytes, suffixes, shape, StatisticsOptions::empty())?;
        let mut bounds = TextColumn::new(false);
        for bound in [values.iter().min(), values.iter().max()] {
            bounds.push(bound.copied().unwrap_or_default());
        }
        // The library knows how long a bound may be.
        let bounds = arrow::storage_array(ColumnData::Text(bounds), &shape.field)?;
        let (_, bounds) = first_page(bounds, Encoding::DeltaLengthByteArray, shape)?;
        self.push_page(Encoding::DeltaByteArray, page, bounds, compressor)
    }

    /// Appends a page of values of the dictionary. The bounds of such pages are those of the dictionary:
    /// the first of them gets them once it is complete.
    fn add_numbered(
        &mut self,
        mut page: Body,
        numbers: Vec<u32>,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        // Of nulls alone there are only the levels: no dictionary is needed for them.
        let encoding = match numbers.iter().max() {
            None => Encoding::Plain,
            Some(greatest) => {
                let width = u32::BITS - greatest.leading_zeros();
                page.bytes.push(width as u8);
                hybrid_rle::encode::<u32, _, _>(&mut page.bytes, numbers.into_iter(), width)
                    .map_err(unencodable)?;
                self.first.get_or_insert(self.pages.len());
                Encoding::RleDictionary
            }
        };
        self.push_page(encoding, page, null_count(0), compressor)
    }

    /// Appends a page.
    fn push_page(
        &mut self,
        encoding: Encoding,
        page: Body,
        bounds: ParquetStatistics,
        compressor: &mut PageCompressor,
    ) -> Result<()> {
        let values =
            i32::try_from(page.values).map_err(|_| Error::internal("a page of too many values"))?;
        self.pages.push(Encoded {
            header: DataPageHeader::V1(DataPageHeaderV1 {
                num_values: values,
                encoding: encoding.into(),
                definition_level_encoding: Encoding::Rle.into(),
                repetition_level_encoding: Encoding::Rle.into(),
                statistics: Some(ParquetStatistics {
                    null_count: Some(page.nulls as i64),
                    ..bounds
                }),
            }),
            compressed: compressor.values(&page.bytes)?,
            bytes: page.bytes.len(),
            rows: page.rows,
        });
        Ok(())
    }

    /// The pages as they stand in the file, the dictionary before the others.
    pub fn finish(
        mut self,
        shape: &Shape,
        compressor: &mut PageCompressor,
    ) -> Result<Vec<CompressedPage>> {
        let mut pages = Vec::with_capacity(1 + self.pages.len());
        if let Some((page, bounds)) = dictionary_page(self.dictionary, shape)? {
            let first = self.first.and_then(|first| self.pages.get_mut(first));
            if let Some(DataPageHeader::V1(header)) = first.map(|page| &mut page.header) {
                let null_count = header.statistics.take().and_then(|own| own.null_count);
                header.statistics = Some(ParquetStatistics {
                    null_count,
                    ..bounds
                });
            }
            pages.push(CompressedPage::Dict(CompressedDictPage::new(
                CowBuffer::Owned(compressor.dictionary(&page.buffer)?),
                Compression::Zstd,
                page.buffer.len(),
                page.num_values,
                page.is_sorted,
            )));
        }
        pages.extend(self.pages.into_iter().map(|page| {
            CompressedPage::Data(CompressedDataPage::new(
                page.header,
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

/// A dictionary's page and the statistics of its values; None where it has none.
fn dictionary_page(
    dictionary: Dictionary,
    shape: &Shape,
) -> Result<Option<(DictPage, ParquetStatistics)>> {
    let array = match dictionary {
        Dictionary::Texts(dictionary) if !dictionary.texts.is_empty() => {
            let texts = one_of(dictionary.texts);
            let column = match shape.field.field.ty {
                ColumnType::StringList => ColumnData::List(ListColumn {
                    items: texts,
                    ends: vec![1],
                    validity: Validity::all_valid(1),
                }),
                _ => ColumnData::Text(texts),
            };
            arrow::storage_array(column, &shape.field)?
        }
        Dictionary::Numbers(dictionary) if !dictionary.bits.is_empty() => {
            numbers_array(dictionary.bits, shape)?
        }
        _ => return Ok(None),
    };
    // One row with a dictionary of all values: the library lays the dictionary out and finds its
    // bounds.
    let (page, bounds) = first_page(array, Encoding::RleDictionary, shape)?;
    let page = page.ok_or_else(|| Error::internal("a dictionary without a page"))?;
    Ok(Some((page, bounds)))
}

/// A row of the first of these texts.
fn one_of(texts: Texts) -> TextColumn {
    let mut column = TextColumn::new(true);
    column.texts = texts;
    column.keys = vec![0];
    column.validity = Validity::all_valid(1);
    column
}

/// A row of the first of these numbers, with all of them as its dictionary.
fn numbers_array(bits: Vec<u64>, shape: &Shape) -> Result<Box<dyn Array>> {
    let column = match shape.field.field.ty {
        ColumnType::Int | ColumnType::Date => {
            ColumnData::Int(Plain::of(bits.iter().map(|&bits| bits as i32).collect()))
        }
        ColumnType::Double => {
            ColumnData::Double(Plain::of(bits.into_iter().map(f64::from_bits).collect()))
        }
        _ => ColumnData::Long(Plain::of(bits.iter().map(|&bits| bits as i64).collect())),
    };
    let values = arrow::storage_array(column, &shape.field)?;
    let dtype = Box::new(values.dtype().clone());
    let keys = PrimitiveArray::from_vec(vec![0u32]);
    let dtype = ArrowDataType::Dictionary(IntegerType::UInt32, dtype, false);
    let array = DictionaryArray::try_new(dtype, keys, values).map_err(unwritable)?;
    Ok(array.boxed())
}

enum Numbered {
    /// Whole numbers that grow, or that hardly repeat.
    Differences,
    /// The numbers of the values in the dictionary.
    Numbers(Vec<u32>),
    Plain,
}

fn numbered(array: &dyn Array, dictionary: &mut NumberDictionary) -> Numbered {
    fn of<T: NativeType + PartialOrd>(
        array: &PrimitiveArray<T>,
        whole: bool,
        dictionary: &mut NumberDictionary,
        bits: impl Fn(T) -> u64,
    ) -> Numbered {
        if whole && array.null_count() == 0 && array.values().is_sorted() {
            return Numbered::Differences;
        }
        let numbers = match array.null_count() {
            0 => dictionary.numbers(array.values().iter().map(|&value| bits(value)), whole),
            _ => dictionary.numbers(array.non_null_values_iter().map(bits), whole),
        };
        match numbers {
            Some(numbers) => Numbered::Numbers(numbers),
            None if whole => Numbered::Differences,
            None => Numbered::Plain,
        }
    }
    let any = array.as_any();
    if let Some(array) = any.downcast_ref::<PrimitiveArray<i64>>() {
        return of(array, true, dictionary, |value| value as u64);
    }
    if let Some(array) = any.downcast_ref::<PrimitiveArray<i32>>() {
        return of(array, true, dictionary, |value| value as u64);
    }
    if let Some(array) = any.downcast_ref::<PrimitiveArray<f64>>() {
        return of(array, false, dictionary, f64::to_bits);
    }
    Numbered::Plain
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
