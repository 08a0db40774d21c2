//! What a page of a column is made of: levels, and values as they are
//! (parquet-format, `Encodings.md`, "Plain").

use polars_parquet::parquet::encoding::hybrid_rle::{self, Encoder};
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::schema::types::{PhysicalType, PrimitiveType};
use polars_parquet::write::{ParquetType, SchemaDescriptor, to_parquet_leaves};
use tarn_core::schema::{TableField, system};
use tarn_core::{Error, ErrorKind, Result};

use tarn_rows::column::{ColumnData, ListColumn, Plain, Validity};

/// What all pages of a column have in common.
pub(super) struct Shape {
    pub field: TableField,
    pub leaf: PrimitiveType,
}

impl Shape {
    /// The shapes of a table's columns, whose files have this schema.
    pub fn all(fields: &[TableField], schema: &SchemaDescriptor) -> Result<Vec<Self>> {
        let shape = |(field, type_): (&TableField, &ParquetType)| {
            let leaf = to_parquet_leaves(type_.clone()).pop();
            Ok(Shape {
                field: field.clone(),
                leaf: leaf.ok_or_else(|| Error::internal("a column without values"))?,
            })
        };
        fields.iter().zip(schema.fields()).map(shape).collect()
    }

    /// Whether bounds of texts are kept as they are: which files hold rows of a source object is answered
    /// from them.
    pub(crate) fn has_exact_bounds(&self) -> bool {
        self.field.field.name == system::SOURCE_URI
    }
}

pub(super) fn unwritable(error: ParquetError) -> Error {
    Error::new(ErrorKind::Storage, "a Parquet file cannot be written").with_source(error)
}

pub(super) fn unencodable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, "a Parquet page cannot be encoded").with_source(error)
}

/// The content of a page: repetition and definition levels, and the values after them.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    /// Entries, nulls and empty lists among them.
    pub values: usize,
    /// Entries without a value.
    pub nulls: usize,
    pub rows: usize,
}

/// A number as it is stored.
pub(super) trait Number: PartialOrd + Copy {
    type Bytes: AsRef<[u8]>;
    /// Whether these are whole numbers.
    const IS_WHOLE: bool;
    /// Bounds of values without an order, where there are such.
    const LIMITS: Option<(Self, Self)>;
    fn bytes(self) -> Self::Bytes;
    /// What is the same for equal values and for no others; -0.0 is not 0.0.
    fn bits(self) -> u64;
    /// A least value: either zero may stand for both, and the negative one is less.
    fn as_least(self) -> Self;
    fn as_greatest(self) -> Self;
}

macro_rules! whole {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            type Bytes = [u8; size_of::<$ty>()];
            const IS_WHOLE: bool = true;
            const LIMITS: Option<(Self, Self)> = None;
            #[inline]
            fn bytes(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            #[inline]
            fn bits(self) -> u64 {
                self as u64
            }
            fn as_least(self) -> Self {
                self
            }
            fn as_greatest(self) -> Self {
                self
            }
        }
    )*};
}
whole!(i32, i64);

impl Number for f64 {
    type Bytes = [u8; 8];
    const IS_WHOLE: bool = false;
    const LIMITS: Option<(Self, Self)> = Some((f64::NEG_INFINITY, f64::INFINITY));
    #[inline]
    fn bytes(self) -> Self::Bytes {
        self.to_le_bytes()
    }
    #[inline]
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn as_least(self) -> Self {
        if self == 0.0 { -0.0 } else { self }
    }
    fn as_greatest(self) -> Self {
        if self == 0.0 { 0.0 } else { self }
    }
}

/// A column of numbers as its type is stored: Iceberg keeps decimals of up to nine digits in 32 bits,
/// and those of up to 18 in 64.
pub(super) enum Numbers {
    Int(Plain<i32>),
    Long(Plain<i64>),
    Double(Plain<f64>),
}

impl Numbers {
    /// # Errors
    /// `Internal` where the column is none of numbers of the shape's type, or a number is too large for
    /// it: the readers have checked that.
    pub fn new(column: ColumnData, shape: &Shape) -> Result<Self> {
        Ok(match (column, shape.leaf.physical_type) {
            (ColumnData::Int(column), PhysicalType::Int32) => Numbers::Int(column),
            (ColumnData::Long(column), PhysicalType::Int64) => Numbers::Long(column),
            (ColumnData::Double(column), PhysicalType::Double) => Numbers::Double(column),
            (ColumnData::Long(column), PhysicalType::Int32) => {
                let values: std::result::Result<_, _> =
                    column.values.into_iter().map(i32::try_from).collect();
                Numbers::Int(Plain {
                    values: values.map_err(|error| mistyped(shape).with_source(error))?,
                    validity: column.validity,
                })
            }
            _ => return Err(mistyped(shape)),
        })
    }
}

/// A column is not what its table says.
pub(super) fn mistyped(shape: &Shape) -> Error {
    let field = &shape.field.field;
    Error::internal(format!(
        "column {} was not read as {}, the type of its table",
        field.name, field.ty
    ))
}

/// Appends the numbers that are not null.
pub(super) fn put_numbers<N: Number>(bytes: &mut Vec<u8>, values: &[N], validity: &Validity) {
    bytes.reserve(size_of::<N>() * (values.len() - validity.nulls()));
    for value in present(values, validity) {
        bytes.extend_from_slice(value.bytes().as_ref());
    }
}

/// The values that are not null.
#[inline]
pub(super) fn present<T: Copy>(values: &[T], validity: &Validity) -> impl Iterator<Item = T> {
    let all = validity.nulls() == 0;
    values
        .iter()
        .enumerate()
        .filter(move |&(row, _)| all || validity.get(row))
        .map(|(_, value)| *value)
}

/// Appends booleans, eight to a byte, the first in its lowest bit.
pub(super) fn put_booleans(bytes: &mut Vec<u8>, values: impl Iterator<Item = bool>) {
    let (mut byte, mut bits) = (0, 0);
    for value in values {
        byte |= u8::from(value) << bits;
        bits += 1;
        if bits == 8 {
            bytes.push(byte);
            (byte, bits) = (0, 0);
        }
    }
    if bits > 0 {
        bytes.push(byte);
    }
}

/// Appends texts, each after its length.
pub(super) fn put_texts<'a>(
    bytes: &mut Vec<u8>,
    texts: impl Iterator<Item = &'a [u8]>,
) -> Result<()> {
    for text in texts {
        let length =
            u32::try_from(text.len()).map_err(|_| Error::internal("a text of more than 4 GiB"))?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text);
    }
    Ok(())
}

/// Writes levels after their length in bytes, as version 1 pages have them (parquet-format,
/// `Encodings.md`, "Run Length Encoding / Bit-Packing Hybrid").
fn put_levels(bytes: &mut Vec<u8>, levels: impl Iterator<Item = u32>, width: u32) -> Result<()> {
    put_after_length(bytes, |bytes| {
        hybrid_rle::encode::<u32, _, _>(bytes, levels, width)
    })
}

/// Writes one level of one bit for this many entries, as a single run, also after its length.
fn put_equal_levels(bytes: &mut Vec<u8>, entries: usize, level: u32) -> Result<()> {
    put_after_length(bytes, |bytes| {
        u32::run_length_encode(bytes, entries, level, 1)
    })
}

/// Fills in the length of what `put` appends in four bytes before it.
fn put_after_length(
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

/// The levels of a column that is none of lists.
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
