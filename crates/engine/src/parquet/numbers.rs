//! How the numbers of a row group are encoded: by what they are, since the library's own choice hashes
//! every value twice, once to count the distinct ones and once to number them.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use polars::error::PolarsResult;
use polars_arrow::array::{Array, DictionaryArray, PrimitiveArray};
use polars_arrow::datatypes::{ArrowDataType, IntegerType};
use polars_arrow::types::NativeType;
use polars_parquet::write::Encoding;
use std::hash::BuildHasher;

/// Values that lie closer together are numbered by the library without hashing.
const NARROW: u64 = u16::MAX as u64;

/// After so many rows it is looked whether values repeat at all.
const TRIAL_ROWS: usize = 4096;

/// The encoding of a column of numbers for which a dictionary may pay, and the column for it: ascending
/// whole numbers as their differences, numbers that repeat as a dictionary, the others as they are.
pub(super) fn encoded(array: Box<dyn Array>) -> PolarsResult<(Box<dyn Array>, Encoding)> {
    if let Some(integers) = array.as_any().downcast_ref::<PrimitiveArray<i64>>() {
        let values = integers.values();
        if integers.null_count() == 0 && values.is_sorted() {
            return Ok((array, Encoding::DeltaBinaryPacked));
        }
        // A null is stored as zero: it may only make the values seem further apart.
        let (least, greatest) = (values.iter().min(), values.iter().max());
        if let (Some(least), Some(greatest)) = (least, greatest)
            && greatest.abs_diff(*least) <= NARROW
        {
            return Ok((array, Encoding::RleDictionary));
        }
        return numbered(integers, |value| value as u64);
    }
    if let Some(doubles) = array.as_any().downcast_ref::<PrimitiveArray<f64>>() {
        // By their bits: -0.0 stays what it is.
        return numbered(doubles, f64::to_bits);
    }
    Ok((array, Encoding::RleDictionary))
}

/// The values as a dictionary, or as they are where too few repeat.
fn numbered<T: NativeType>(
    array: &PrimitiveArray<T>,
    bits: impl Fn(T) -> u64,
) -> PolarsResult<(Box<dyn Array>, Encoding)> {
    let rows = array.len();
    let hasher = hashbrown::DefaultHashBuilder::default();
    // A bit pattern and its number.
    let mut table: HashTable<(u64, u32)> = HashTable::with_capacity(rows.min(TRIAL_ROWS));
    let mut distinct: Vec<T> = Vec::new();
    let mut keys: Vec<u32> = Vec::with_capacity(rows);
    // A dictionary of more values costs more bytes than it saves.
    let most = rows - rows / 4;
    for (row, &value) in array.values().iter().enumerate() {
        if !array.is_valid(row) {
            keys.push(0);
            continue;
        }
        let value_bits = bits(value);
        let entry = table.entry(
            hasher.hash_one(value_bits),
            |(known, _)| *known == value_bits,
            |(known, _)| hasher.hash_one(known),
        );
        keys.push(match entry {
            Entry::Occupied(entry) => entry.get().1,
            Entry::Vacant(entry) => {
                let key = distinct.len() as u32;
                entry.insert((value_bits, key));
                distinct.push(value);
                key
            }
        });
        let hopeless = row == TRIAL_ROWS && distinct.len() > TRIAL_ROWS - TRIAL_ROWS / 16;
        if distinct.len() > most || hopeless {
            return Ok((array.clone().boxed(), Encoding::Plain));
        }
    }
    if distinct.is_empty() {
        // Nulls alone: their keys need something to point at.
        distinct.push(T::default());
    }
    let dtype = array.dtype().clone();
    let values = PrimitiveArray::try_new(dtype.clone(), distinct.into(), None)?;
    let keys = PrimitiveArray::try_new(
        ArrowDataType::UInt32,
        keys.into(),
        array.validity().cloned(),
    )?;
    let dtype = ArrowDataType::Dictionary(IntegerType::UInt32, Box::new(dtype), false);
    let dictionary = DictionaryArray::try_new(dtype, keys, values.boxed())?;
    Ok((dictionary.boxed(), Encoding::RleDictionary))
}
