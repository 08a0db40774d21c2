//! The files of a table in which rows may be that events repeat: those of the days around the events, with the
//! columns that are compared.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tarn_core::ports::LocalCopy;
use tarn_core::schema::{TableField, system};
use tarn_core::{Error, Result};
use tarn_engine::ingest::{Earlier, ExistingFile};
use tarn_lake::Lake;
use tarn_table::{FileFilter, Table, VersionRef};
use tokio::runtime::Handle;

use crate::run::Run;

/// Copies of files by their URIs. They outlast an attempt: files never change, and a run that loses a race reads
/// only those that it does not have.
pub(crate) type Copies = Arc<Mutex<HashMap<String, LocalCopy>>>;

/// Finds and fetches them.
pub(crate) struct EarlierFiles {
    lake: Lake,
    table: Table,
    /// The identifiers, and whose rows they are.
    columns: Vec<TableField>,
    /// The object under ingest, by all its names.
    uris: Vec<String>,
    copies: Copies,
    runtime: Handle,
}

impl EarlierFiles {
    /// Those of a table whose column `identifier` tells events apart. Called where futures run.
    pub fn new(run: &Run<'_>, table: &Table, identifier: &str, copies: Copies) -> Self {
        let is_compared = |field: &TableField| {
            [identifier, system::SOURCE_URI].contains(&field.field.name.as_str())
        };
        EarlierFiles {
            lake: run.lake.clone(),
            columns: table.fields().into_iter().filter(is_compared).collect(),
            table: table.clone(),
            uris: run.uris.clone(),
            copies,
            runtime: Handle::current(),
        }
    }

    async fn fetch(&self, days: RangeInclusive<i32>) -> Result<Vec<ExistingFile>> {
        let filter = FileFilter::Days(days.clone());
        let mut files = self
            .table
            .files(&VersionRef::Current, Some(&filter))
            .await?;
        files.retain(|file| {
            file.partition.is_some_and(|day| days.contains(&day)) && !file.is_only_of(&self.uris)
        });
        let mut new = files.clone();
        new.retain(|file| !self.copies().contains_key(&file.uri));
        let fetched = self.lake.fetch_columns(new, &self.columns).await?;
        let mut copies = self.copies();
        copies.extend(
            fetched
                .into_iter()
                .map(|(file, copy)| (file.uri.clone(), copy)),
        );
        let existing = files.into_iter().map(|file| {
            let copy = copies.get(&file.uri);
            let copy = copy.ok_or_else(|| Error::internal("a file was not fetched"))?;
            Ok(ExistingFile {
                path: copy.path().to_owned(),
                day: file.partition.unwrap_or_default(),
                rows: file.rows,
                own: match file.only_source() {
                    Some(_) => Vec::new(),
                    None => self.uris.clone(),
                },
            })
        });
        existing.collect()
    }

    fn copies(&self) -> MutexGuard<'_, HashMap<String, LocalCopy>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Earlier for EarlierFiles {
    fn of_days(&self, days: RangeInclusive<i32>) -> Result<Vec<ExistingFile>> {
        self.runtime.block_on(self.fetch(days))
    }
}
