//! What is found of values that no column is filled from.

use super::cursor::Cursor;
use super::personal;
use crate::batch::{NewColumn, NewValues, RowPlace};

/// How many values of a key that no column is filled from are kept: its type is proposed from them.
const VALUES: usize = 100;
const VALUE_BYTES: usize = 256;

/// A key, or a column of a file, that no column is filled from.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnknownKey {
    /// Objects that have it.
    pub count: u64,
    /// Some of its values, as JSON.
    pub values: Vec<Vec<u8>>,
    /// Line and offset of the object that has the first of these values.
    pub place: Option<RowPlace>,
    /// The first pattern of personal data that one of all its values holds.
    pub personal: Option<&'static str>,
}

impl UnknownKey {
    /// Takes note of a value. `watch` says to look whether it is personal: it may become a column.
    pub fn note(&mut self, value: &[u8], watch: bool) {
        self.count += 1;
        if watch && self.personal.is_none() {
            self.personal = personal::in_value(value);
        }
        // A null says nothing about a column, and a long value does not serve as a sample.
        if self.wants_more()
            && value.len() <= VALUE_BYTES
            && value != b"null"
            && Cursor::new(value).skip_value().is_ok()
        {
            self.values.push(value.to_vec());
        }
    }

    /// The new column that it is, under this name.
    pub fn column(&self, name: &str) -> NewColumn {
        NewColumn {
            name: name.to_owned(),
            values: NewValues::Json {
                values: self.values.clone(),
                place: self.place,
            },
            rows: self.count,
            personal: self.personal,
        }
    }

    /// Whether more values are kept.
    pub fn wants_more(&self) -> bool {
        self.values.len() < VALUES
    }
}
