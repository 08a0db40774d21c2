//! What a page of a column is made of: levels, and values in one of the encodings.

use polars::error::{PolarsError, PolarsResult};
use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::datatypes::ArrowSchema;
use polars_parquet::parquet::encoding::hybrid_rle::{self, Encoder};
use polars_parquet::parquet::page::{DataPageHeader, DictPage};
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::{PhysicalType, PrimitiveType};
use polars_parquet::parquet::statistics::ParquetStatistics;
use polars_parquet::write::{
    CompressionOptions, Encoding, FileWriter, Page, ParquetType, StatisticsOptions, Version,
    WriteOptions, array_to_columns, to_parquet_leaves,
};
use tarn_core::schema::{ColumnType, TableField, system};
use tarn_core::{Error, ErrorKind, Result};

use crate::arrow;
use crate::column::{ColumnData, ListColumn, TextColumn, Validity};

/// What all pages of a column have in common.
pub(super) struct Shape {
    pub field: TableField,
    pub type_: ParquetType,
    pub leaf: PrimitiveType,
    pub options: WriteOptions,
}

impl Shape {
    /// The shapes of a table's columns, whose files have this schema.
    pub fn all(fields: &[TableField], schema: &ArrowSchema) -> Result<Vec<Self>> {
        // What the types of the columns are in a file is told by one that is never written.
        let options = options(StatisticsOptions::default());
        let file = FileWriter::try_new(std::io::sink(), schema.clone(), options);
        let file = file.map_err(unwritable)?;
        let types = file.parquet_schema().fields();
        let shapes = fields.iter().zip(types);
        shapes
            .map(|(field, type_)| Shape::new(field, type_))
            .collect()
    }

    /// The shape of a table's column, whose type in the file is `type_`.
    fn new(field: &TableField, type_: &ParquetType) -> Result<Self> {
        let leaf = to_parquet_leaves(type_.clone()).pop();
        Ok(Shape {
            field: field.clone(),
            type_: type_.clone(),
            leaf: leaf.ok_or_else(|| Error::internal("a column without values"))?,
            options: options(statistics(field)),
        })
    }

    /// Whether the numbers mostly grow row by row, so that their differences are small.
    pub fn grows(&self) -> bool {
        self.field.field.ty == ColumnType::Timestamp
            || self.field.field.name == system::SOURCE_OFFSET
    }
}

fn statistics(field: &TableField) -> StatisticsOptions {
    StatisticsOptions {
        min_value: true,
        max_value: true,
        distinct_count: false,
        null_count: true,
        // Which files hold rows of a source object is answered from exact bounds.
        binary_statistics_truncate_length: Some(if field.field.name == system::SOURCE_URI {
            0
        } else {
            64
        }),
    }
}

/// How the library is to write: everything but the statistics is the same everywhere.
pub(super) fn options(statistics: StatisticsOptions) -> WriteOptions {
    WriteOptions {
        statistics,
        version: Version::V1,
        // Pages are compressed by `PageCompressor`.
        compression: CompressionOptions::Uncompressed,
        data_page_size: None,
    }
}

pub(super) fn unwritable(error: PolarsError) -> Error {
    Error::new(ErrorKind::Storage, "a Parquet page cannot be written").with_source(error)
}

pub(super) fn unencodable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, "a Parquet page cannot be encoded").with_source(error)
}

/// What stands in a page: repetition and definition levels, and the values behind them.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    /// Entries, nulls and empty lists among them.
    pub values: usize,
    /// Entries without a value.
    pub nulls: usize,
    pub rows: usize,
}

/// The pages of an array, the dictionary first where it has one.
pub(super) fn pages(
    array: Box<dyn Array>,
    encoding: Encoding,
    shape: &Shape,
) -> Result<impl Iterator<Item = PolarsResult<Page>>> {
    array_to_columns(array, shape.type_.clone(), shape.options, &[encoding])
        .map_err(unwritable)?
        .pop()
        .ok_or_else(|| Error::internal("a column without pages"))
}

/// The dictionary of an array and the statistics of its first page.
pub(super) fn first_page(
    array: Box<dyn Array>,
    encoding: Encoding,
    shape: &Shape,
) -> Result<(Option<DictPage>, ParquetStatistics)> {
    let (mut dictionary, mut statistics) = (None, None);
    for page in pages(array, encoding, shape)? {
        match page.map_err(unwritable)? {
            Page::Dict(page) => dictionary = Some(page),
            Page::Data(page) => {
                if let DataPageHeader::V1(header) = page.header() {
                    statistics = statistics.or_else(|| header.statistics.clone());
                }
            }
        }
    }
    Ok((dictionary, statistics.unwrap_or_else(|| null_count(0))))
}

/// Appends the body of a page, whose values are not null; gives its statistics.
fn put(
    bytes: &mut Vec<u8>,
    array: Box<dyn Array>,
    mut leaf: PrimitiveType,
    encoding: Encoding,
    options: WriteOptions,
) -> Result<ParquetStatistics> {
    leaf.field_info.repetition = Repetition::Required;
    let options = WriteOptions {
        // One page: what it holds is told by levels that are not in it.
        data_page_size: Some(usize::MAX),
        ..options
    };
    let page = array_to_columns(
        array,
        ParquetType::PrimitiveType(leaf),
        options,
        &[encoding],
    )
    .map_err(unwritable)?
    .pop()
    .and_then(|mut pages| pages.next());
    match page.transpose().map_err(unwritable)? {
        Some(Page::Data(page)) => {
            bytes.extend_from_slice(page.buffer());
            let DataPageHeader::V1(header) = page.header() else {
                return Err(Error::internal("a page of another version"));
            };
            Ok(header.statistics.clone().unwrap_or_else(|| null_count(0)))
        }
        _ => Err(Error::internal("values without a page")),
    }
}

/// Appends texts, their lengths first; gives the statistics that are asked for.
pub(super) fn put_texts(
    bytes: &mut Vec<u8>,
    texts: TextColumn,
    shape: &Shape,
    statistics: StatisticsOptions,
) -> Result<ParquetStatistics> {
    let mut field = shape.field.clone();
    (field.field.ty, field.field.required) = (ColumnType::String, true);
    let array = arrow::storage_array(ColumnData::Text(texts), &field)?;
    let encoding = Encoding::DeltaLengthByteArray;
    put(
        bytes,
        array,
        shape.leaf.clone(),
        encoding,
        options(statistics),
    )
}

/// Appends whole numbers as their differences.
pub(super) fn put_numbers(bytes: &mut Vec<u8>, numbers: &[i64]) -> Result<ParquetStatistics> {
    let array = PrimitiveArray::from_vec(numbers.to_vec()).boxed();
    let leaf = PrimitiveType::from_physical("numbers".into(), PhysicalType::Int64);
    let options = options(StatisticsOptions::empty());
    put(bytes, array, leaf, Encoding::DeltaBinaryPacked, options)
}

/// Larger pages are left to the library, which cuts them.
const PREFIXED_BYTES: usize = 2 << 20;

/// After so many texts it is looked whether neighbours begin alike, by so many bytes.
const PREFIX_TRIAL: usize = 256;

const PREFIX_WORTH: usize = 4;

/// For each text that is no null, how many bytes of its beginning are those of the one before; None
/// where that is too little to be worth anything.
pub(super) fn prefixes(texts: &TextColumn) -> Option<Vec<i64>> {
    if texts.texts.bytes.len() > PREFIXED_BYTES {
        return None;
    }
    let mut prefixes = Vec::with_capacity(texts.len());
    let mut before: &[u8] = b"";
    let mut shared = 0;
    for text in (0..texts.len()).filter_map(|row| texts.get(row)) {
        let mut prefix = shared_bytes(before, text);
        // What is left begins with a character.
        while text.get(prefix).is_some_and(|byte| byte & 0xC0 == 0x80) {
            prefix -= 1;
        }
        shared += prefix;
        prefixes.push(prefix as i64);
        before = text;
        if prefixes.len() == PREFIX_TRIAL && shared < PREFIX_WORTH * PREFIX_TRIAL {
            return None;
        }
    }
    (shared >= PREFIX_WORTH * prefixes.len()).then_some(prefixes)
}

fn shared_bytes(left: &[u8], right: &[u8]) -> usize {
    let words = left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0);
    let mut same = 0;
    for (left, right) in words {
        let differ = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if differ != 0 {
            return same + (differ.trailing_zeros() / 8) as usize;
        }
        same += 8;
    }
    let rest = left.iter().zip(right).skip(same);
    same + rest.take_while(|(left, right)| left == right).count()
}

/// Statistics that know no bounds.
pub(super) fn null_count(nulls: usize) -> ParquetStatistics {
    ParquetStatistics {
        max: None,
        min: None,
        null_count: Some(nulls as i64),
        distinct_count: None,
        max_value: None,
        min_value: None,
        is_max_value_exact: None,
        is_min_value_exact: None,
    }
}

/// Writes levels behind their length in bytes, as version 1 pages have them (parquet-format,
/// `Encodings.md`, "Run Length Encoding / Bit-Packing Hybrid").
fn put_levels(bytes: &mut Vec<u8>, levels: impl Iterator<Item = u32>, width: u32) -> Result<()> {
    put_behind_length(bytes, |bytes| {
        hybrid_rle::encode::<u32, _, _>(bytes, levels, width)
    })
}

/// Writes one level of one bit for so many entries, as a single run, behind its length too.
fn put_equal_levels(bytes: &mut Vec<u8>, entries: usize, level: u32) -> Result<()> {
    put_behind_length(bytes, |bytes| {
        u32::run_length_encode(bytes, entries, level, 1)
    })
}

/// Fills in the length of what `put` appends in four bytes before it.
fn put_behind_length(
    bytes: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
) -> Result<()> {
    let begin = bytes.len();
    bytes.extend([0; 4]);
    put(bytes).map_err(unencodable)?;
    let length = (bytes.len() - begin - 4) as u32;
    if let Some(place) = bytes.get_mut(begin..begin + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

pub(super) fn flat_levels(validity: &Validity, shape: &Shape) -> Result<Body> {
    let rows = validity.len();
    let mut bytes = Vec::new();
    if !shape.field.field.required {
        match validity.nulls() {
            0 => put_equal_levels(&mut bytes, rows, 1)?,
            nulls if nulls == rows => put_equal_levels(&mut bytes, rows, 0)?,
            _ => put_levels(
                &mut bytes,
                (0..rows).map(|row| u32::from(validity.get(row))),
                1,
            )?,
        }
    }
    Ok(Body {
        bytes,
        values: rows,
        nulls: validity.nulls(),
        rows,
    })
}

/// The levels of lists of texts that are not null: a null list is at level 0 where lists may be null,
/// an empty one at the next level, an item at the one above.
pub(super) fn list_levels(list: &ListColumn, shape: &Shape) -> Result<Body> {
    let rows = list.validity.len();
    let empty = u32::from(!shape.field.field.required);
    let (mut repetition, mut definition) = (Vec::new(), Vec::new());
    let mut begin = 0;
    let mut nulls = 0;
    for (row, &end) in list.ends.iter().enumerate() {
        let items = (end - begin) as usize;
        begin = end;
        if items == 0 {
            repetition.push(0);
            definition.push(if list.validity.get(row) { empty } else { 0 });
            nulls += 1;
            continue;
        }
        repetition.push(0);
        repetition.extend(std::iter::repeat_n(1, items - 1));
        definition.extend(std::iter::repeat_n(empty + 1, items));
    }
    let values = definition.len();
    let mut bytes = Vec::new();
    put_levels(&mut bytes, repetition.into_iter(), 1)?;
    put_levels(
        &mut bytes,
        definition.into_iter(),
        u32::BITS - (empty + 1).leading_zeros(),
    )?;
    Ok(Body {
        bytes,
        values,
        nulls,
        rows,
    })
}
