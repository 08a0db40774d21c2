//! The values of another dataset's column, to which rows refer.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashSet;
use tarn_contract::ColumnRef;
use tarn_core::schema::ColumnType;
use xxhash_rust::xxh3::xxh3_128;

use super::columns::whole;
use crate::column::ColumnData;

/// Whole numbers and decimals are compared as multiples of 10^-18.
pub const KEY_SCALE: u8 = 18;

/// The distinct values of a column. Texts are held by hashes of 128 bits; 16 bytes a value.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    numbers: HashSet<i128>,
    texts: HashSet<u128>,
}

/// The values that the rules of one contract refer to.
pub type References = BTreeMap<ColumnRef, Arc<KeySet>>;

impl KeySet {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the values of a column.
    pub fn add(&mut self, data: &ColumnData, ty: &ColumnType) {
        for row in 0..data.len() {
            if let ColumnData::Text(column) = data {
                self.texts.extend(column.get(row).map(xxh3_128));
            } else {
                self.numbers.extend(whole((data, ty), KEY_SCALE, row));
            }
        }
    }

    /// Rows whose value is none of these; a null refers to nothing.
    pub fn strange_rows(&self, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
        match data {
            ColumnData::Text(column) => {
                super::value::rows_where(column, |text| !self.texts.contains(&xxh3_128(text)))
            }
            _ => (0..data.len())
                .filter(|&row| {
                    whole((data, ty), KEY_SCALE, row)
                        .is_some_and(|value| !self.numbers.contains(&value))
                })
                .collect(),
        }
    }
}
