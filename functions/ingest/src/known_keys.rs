//! The values of columns that rows of other datasets refer to, remembered between runs of one process while
//! their table stands at a version.

use std::sync::{Arc, LazyLock};

use moka::sync::Cache;
use tarn_rows::check::KeySet;
use tarn_table::Table;

/// The most bytes of all of them.
const KEPT_BYTES: u64 = 64 << 20;

/// About what a value takes in a set.
const BYTES_PER_VALUE: usize = 32;

static KEPT: LazyLock<Cache<Place, Arc<KeySet>>> = LazyLock::new(|| {
    let weigh = |_: &Place, keys: &Arc<KeySet>| {
        u32::try_from(1_024 + keys.len() * BYTES_PER_VALUE).unwrap_or(u32::MAX)
    };
    Cache::builder()
        .max_capacity(KEPT_BYTES)
        .weigher(weigh)
        .build()
});

/// A column of a table at a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The metadata file, which is a new one with each version.
    metadata: String,
    column: String,
}

impl Place {
    pub fn of(table: &Table, column: &str) -> Self {
        Place {
            metadata: table.metadata_location().to_owned(),
            column: column.to_owned(),
        }
    }
}

/// The values, where they are known.
pub(crate) fn get(place: &Place) -> Option<Arc<KeySet>> {
    KEPT.get(place)
}

/// Remembers values.
pub(crate) fn put(place: Place, keys: &Arc<KeySet>) {
    KEPT.insert(place, Arc::clone(keys));
}
