//! Indexes of the identifiers of data files: beside the files, and in memory while a process lives. An index that is
//! lost is made again from its file.

use std::sync::Arc;

use moka::sync::Cache;
use tarn_core::ports::PutMode;
use tarn_core::schema::TableField;
use tarn_core::{ErrorKind, Result, layout};
use tarn_engine::ingest::IdentifierIndex;
use tarn_table::DataFileInfo;

use crate::Lake;

/// The most bytes of indexes that a process keeps in memory: about 45 million identifiers.
pub const IDENTIFIERS_BYTES: u64 = 192 << 20;

/// Those in memory, by the file's URI and the column's field id.
pub(crate) type Kept = Cache<(String, i32), Arc<IdentifierIndex>>;

pub(crate) fn kept() -> Kept {
    let weigh = |(uri, _): &(String, i32), index: &Arc<IdentifierIndex>| {
        u32::try_from(uri.len() as u64 + index.bytes()).unwrap_or(u32::MAX)
    };
    Cache::builder()
        .max_capacity(IDENTIFIERS_BYTES)
        .weigher(weigh)
        .build()
}

impl Lake {
    /// The index of a data file by this column, from memory or from beside the file; None where there is none that
    /// can be read.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn identifiers_of(
        &self,
        file: &DataFileInfo,
        column: &TableField,
    ) -> Result<Option<Arc<IdentifierIndex>>> {
        let place = (file.uri.clone(), column.id);
        if let Some(index) = self.identifiers.get(&place) {
            return Ok(Some(index));
        }
        let key = layout::identifiers_key(&file.key);
        let bytes = match self.objects.get(&key, None).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = IdentifierIndex::decode(&bytes, column.id).map(Arc::new);
        if let Some(index) = &index {
            self.identifiers.insert(place, Arc::clone(index));
        }
        Ok(index)
    }

    /// Keeps the index of a data file by this column: in memory, and beside the file where `store` says so.
    pub async fn keep_identifiers(
        &self,
        file: &DataFileInfo,
        column: &TableField,
        index: &Arc<IdentifierIndex>,
        store: bool,
    ) {
        let place = (file.uri.clone(), column.id);
        self.identifiers.insert(place, Arc::clone(index));
        if store {
            let key = layout::identifiers_key(&file.key);
            let bytes = index.encode(column.id).into();
            if let Err(error) = self.objects.put(&key, bytes, PutMode::Overwrite).await {
                tracing::warn!(key, %error, "an index of identifiers is not kept: the next process makes it again");
            }
        }
    }
}
