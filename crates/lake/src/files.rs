//! Local copies of a table's files.

use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use tarn_core::Result;
use tarn_core::ports::LocalCopy;
use tarn_table::{DataFileInfo, FileFilter, Table, VersionRef};

use crate::Lake;

/// Files that are fetched at once: enough to hide the latency of an object store.
const CONCURRENT_FETCHES: usize = 8;

/// A table's files as local ones, readable while this value lives: where the store hands out
/// temporary copies, dropping it deletes them.
#[derive(Debug, Default)]
pub struct LocalFiles {
    files: Vec<(DataFileInfo, LocalCopy)>,
}

impl LocalFiles {
    /// Each file as the table describes it, and where its content is.
    pub fn iter(&self) -> impl Iterator<Item = (&DataFileInfo, &Path)> {
        self.files.iter().map(|(file, copy)| (file, copy.path()))
    }
}

impl Lake {
    /// Fetches a file of a table whose content is what was written.
    ///
    /// # Errors
    /// `Damaged` where it is another, with what to do; `NotFound` or `Storage` where it cannot be fetched.
    pub async fn fetch_file(&self, file: &DataFileInfo) -> Result<LocalCopy> {
        let copy = self.objects.fetch_checked(&file.key).await;
        copy.map_err(|error| self.explained(file, error))
    }

    /// Fetches files of a table, in their order.
    ///
    /// # Errors
    /// As of [`Lake::fetch_file`].
    pub async fn fetch_files(&self, files: Vec<DataFileInfo>) -> Result<LocalFiles> {
        // Collected first: a stream over a lazy iterator of borrowed items is not `Send`.
        let fetches: Vec<_> = files
            .into_iter()
            .map(|file| async move {
                let copy = self.fetch_file(&file).await?;
                Ok((file, copy))
            })
            .collect();
        let files = stream::iter(fetches)
            .buffered(CONCURRENT_FETCHES)
            .try_collect()
            .await?;
        Ok(LocalFiles { files })
    }

    /// Fetches the live files of a version of a table; those that the filter rules out are left out.
    ///
    /// # Errors
    /// As of [`Table::files`], and where a file cannot be fetched.
    pub async fn fetch_table(
        &self,
        table: &Table,
        version: &VersionRef,
        filter: Option<&FileFilter>,
    ) -> Result<LocalFiles> {
        self.fetch_files(table.files(version, filter).await?).await
    }
}
