//! The files of a table in which rows may be that events repeat: those of the days around the events, with the
//! columns that are compared.
//!
//! Of a large file an index of its identifiers is kept beside it, and in memory between runs of one process: the
//! file itself is read only where an event may repeat a row of it. Without its index it is read once, to make it.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use tarn_core::ports::LocalCopy;
use tarn_core::schema::{TableField, system};
use tarn_core::{Error, Result};
use tarn_engine::ingest::{Earlier, ExistingFile, IdentifierIndex};
use tarn_lake::{IDENTIFIERS_BYTES, Lake};
use tarn_table::{DataFileInfo, FileFilter, Table, VersionRef};
use tokio::runtime::Handle;

use crate::run::Run;

/// Copies of files by their URIs. They outlast an attempt: files never change, and a run that loses a race reads
/// only those that it does not have.
pub(crate) type Copies = Arc<Mutex<HashMap<String, LocalCopy>>>;

/// A file with fewer rows has no index: its identifiers are read about as fast.
const LEAST_INDEXED_ROWS: u64 = 65_536;

/// Indexes that are fetched at once.
const CONCURRENT_FETCHES: usize = 8;

/// Finds and fetches them.
pub(crate) struct EarlierFiles {
    lake: Lake,
    table: Table,
    /// The column of the identifiers.
    identifier: TableField,
    /// The identifiers, and whose rows they are.
    columns: Vec<TableField>,
    /// The object under ingest, by all its names.
    uris: Vec<String>,
    copies: Copies,
    /// Bytes of indexes so far.
    indexed: AtomicU64,
    /// Whether nothing is written.
    dry: bool,
    runtime: Handle,
}

impl EarlierFiles {
    /// Those of a table whose column `identifier` tells events apart. Called where futures run.
    ///
    /// # Errors
    /// Where the table has no such column.
    pub fn new(run: &Run<'_>, table: &Table, identifier: &str, copies: Copies) -> Result<Self> {
        let mut columns = table.fields();
        columns
            .retain(|field| [identifier, system::SOURCE_URI].contains(&field.field.name.as_str()));
        let found = columns.iter().find(|field| field.field.name == identifier);
        let identifier = found
            .cloned()
            .ok_or_else(|| Error::internal(format!("the table has no column {identifier}")))?;
        Ok(EarlierFiles {
            lake: run.lake.clone(),
            columns,
            identifier,
            table: table.clone(),
            uris: run.uris.clone(),
            copies,
            indexed: AtomicU64::new(0),
            dry: run.dry,
            runtime: Handle::current(),
        })
    }

    async fn around(&self, days: RangeInclusive<i32>) -> Result<Vec<ExistingFile>> {
        let filter = FileFilter::Days(days.clone());
        let mut files = self
            .table
            .files(&VersionRef::Current, Some(&filter))
            .await?;
        files.retain(|file| {
            file.partition.is_some_and(|day| days.contains(&day)) && !file.is_only_of(&self.uris)
        });
        let mut indexes = self.indexes(&files).await?;
        let mut others = files.clone();
        others.retain(|file| !indexes.contains_key(&file.uri));
        self.copy(others).await?;
        let existing = files.into_iter().map(|file| ExistingFile {
            index: indexes.remove(&file.uri),
            uri: file.uri.clone(),
            day: file.partition.unwrap_or_default(),
            rows: file.rows,
            own: match file.only_source() {
                Some(_) => Vec::new(),
                None => self.uris.clone(),
            },
        });
        Ok(existing.collect())
    }

    /// Fetches the compared columns of those files that there is no copy of.
    async fn copy(&self, mut files: Vec<Arc<DataFileInfo>>) -> Result<()> {
        files.retain(|file| !self.copies().contains_key(&file.uri));
        let fetched = self.lake.fetch_columns(files, &self.columns).await?;
        let fetched = fetched.into_iter();
        self.copies()
            .extend(fetched.map(|(file, copy)| (file.uri.clone(), copy)));
        Ok(())
    }

    fn path_of(&self, uri: &str) -> Result<PathBuf> {
        let copies = self.copies();
        let copy = copies.get(uri);
        copy.map(|copy| copy.path().to_owned())
            .ok_or_else(|| Error::internal("a file was not fetched"))
    }

    /// The indexes of the large ones of these files, as far as there is room for them. The identifiers of others
    /// are read.
    async fn indexes(
        &self,
        files: &[Arc<DataFileInfo>],
    ) -> Result<HashMap<String, Arc<IdentifierIndex>>> {
        let mut fetches = Vec::new();
        for file in files {
            // About four bytes each.
            let bytes = file.rows.saturating_mul(4);
            if file.rows >= LEAST_INDEXED_ROWS
                && self.indexed.load(Ordering::Relaxed) + bytes <= IDENTIFIERS_BYTES
            {
                self.indexed.fetch_add(bytes, Ordering::Relaxed);
                fetches.push(self.index(file));
            }
        }
        stream::iter(fetches)
            .buffered(CONCURRENT_FETCHES)
            .try_collect()
            .await
    }

    /// The index of a file, by its URI; it is made from the file's identifiers where there is none.
    async fn index(&self, file: &Arc<DataFileInfo>) -> Result<(String, Arc<IdentifierIndex>)> {
        let column = &self.identifier;
        let index = match self.lake.identifiers_of(file, column).await? {
            Some(index) => index,
            None => {
                self.copy(vec![Arc::clone(file)]).await?;
                let path = self.path_of(&file.uri)?;
                let index = Arc::new(IdentifierIndex::of_file(&path, &column.field.name)?);
                let kept = self.lake.keep_identifiers(file, column, &index, !self.dry);
                kept.await;
                index
            }
        };
        Ok((file.uri.clone(), index))
    }

    fn copies(&self) -> MutexGuard<'_, HashMap<String, LocalCopy>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Earlier for EarlierFiles {
    fn of_days(&self, days: RangeInclusive<i32>) -> Result<Vec<ExistingFile>> {
        self.runtime.block_on(self.around(days))
    }

    fn fetch(&self, file: &ExistingFile) -> Result<PathBuf> {
        if let Ok(path) = self.path_of(&file.uri) {
            return Ok(path);
        }
        let of_day = FileFilter::Days(file.day..=file.day);
        self.runtime.block_on(async {
            let files = self.table.files(&VersionRef::Current, Some(&of_day));
            let mut files = files.await?;
            files.retain(|each| each.uri == file.uri);
            self.copy(files).await
        })?;
        self.path_of(&file.uri)
    }
}
