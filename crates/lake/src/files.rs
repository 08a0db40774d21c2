//! Local copies of a table's files, whole or with some of their columns.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tarn_core::ports::LocalCopy;
use tarn_core::schema::TableField;
use tarn_core::{Error, ErrorKind, Result};
use tarn_table::{DataFileInfo, FileFilter, Places, Table, VersionRef, places};

use crate::{Lake, blocking, private_folder};

/// Files that are fetched at once: enough to hide the latency of an object store.
const CONCURRENT_FETCHES: usize = 8;

/// Read at once of a file's end: nearly every footer is shorter, and a small file is whole then.
const TAIL: u64 = 64 << 10;

/// Ranges this close are read in one request.
const GAP: u64 = 256 << 10;

/// The most that one request reads: it is held in memory.
const MOST: u64 = 8 << 20;

/// A table's files as local ones, readable while this value lives: where the store hands out
/// temporary copies, dropping it deletes them.
#[derive(Debug, Default)]
pub struct LocalFiles {
    files: Vec<(Arc<DataFileInfo>, LocalCopy)>,
}

impl LocalFiles {
    /// Each file as the table describes it, and where its content is.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<DataFileInfo>, &Path)> {
        self.files.iter().map(|(file, copy)| (file, copy.path()))
    }
}

impl IntoIterator for LocalFiles {
    type Item = (Arc<DataFileInfo>, LocalCopy);
    type IntoIter = std::vec::IntoIter<(Arc<DataFileInfo>, LocalCopy)>;

    fn into_iter(self) -> Self::IntoIter {
        self.files.into_iter()
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
    pub async fn fetch_files(&self, files: Vec<Arc<DataFileInfo>>) -> Result<LocalFiles> {
        // Collected first: a stream over a lazy iterator of borrowed items is not `Send`.
        let fetches: Vec<_> = files
            .into_iter()
            .map(|file| async move {
                let copy = self.fetch_file(&file).await?;
                Ok((file, copy))
            })
            .collect();
        together(fetches).await
    }

    /// Fetches these columns of files of a table, in the files' order: where reading takes requests, the
    /// copies have holes in the places of the others. A reader of a hole finds no page there and fails.
    ///
    /// # Errors
    /// As of [`Lake::fetch_file`].
    pub async fn fetch_columns(
        &self,
        files: Vec<Arc<DataFileInfo>>,
        columns: &[TableField],
    ) -> Result<LocalFiles> {
        let ids: BTreeSet<i32> = columns.iter().map(|column| column.id).collect();
        let ids = &ids;
        // Collected first, as above.
        let fetches: Vec<_> = files
            .into_iter()
            .map(|file| async move {
                let copy = self.columns_of(&file, ids).await;
                let copy = copy.map_err(|error| self.explained(&file, error))?;
                Ok((file, copy))
            })
            .collect();
        together(fetches).await
    }

    async fn columns_of(&self, file: &DataFileInfo, ids: &BTreeSet<i32>) -> Result<LocalCopy> {
        if self.objects.is_in_place() {
            return self.objects.fetch_checked(&file.key).await;
        }
        let size = file.bytes;
        let mut begin = size.saturating_sub(TAIL);
        let mut tail = self.part(file, begin..size).await?;
        let places = match places(&tail, size, ids)? {
            Places::Longer(length) => {
                begin = size.saturating_sub(length);
                tail = self.part(file, begin..size).await?;
                places(&tail, size, ids)?
            }
            places => places,
        };
        let Places::Ranges(ranges) = places else {
            return self.objects.fetch_checked(&file.key).await;
        };
        let (copy, target) = self.hollow(size).await?;
        write(&target, tail, begin).await?;
        for range in requests(ranges, begin) {
            let bytes = self.part(file, range.clone()).await?;
            write(&target, bytes, range.start).await?;
        }
        Ok(copy)
    }

    /// Some bytes of a file, all of them.
    async fn part(&self, file: &DataFileInfo, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.objects.get_part(&file.key, range.clone()).await?;
        if bytes.len() as u64 == range.end - range.start {
            return Ok(bytes);
        }
        Err(Error::new(
            ErrorKind::Damaged,
            format!("{} is shorter than its table says", file.key),
        ))
    }

    /// A temporary file of that size without content.
    async fn hollow(&self, size: u64) -> Result<(LocalCopy, Arc<File>)> {
        let folder = self.scratch.clone();
        blocking(move || {
            private_folder(&folder)?;
            let file = tempfile::Builder::new()
                .prefix("columns-")
                .tempfile_in(&folder)
                .map_err(not_written)?;
            let (file, path) = file.into_parts();
            file.set_len(size).map_err(not_written)?;
            Ok((
                LocalCopy::temporary(path.to_path_buf(), path),
                Arc::new(file),
            ))
        })
        .await
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

/// Runs fetches, several at once; their files in order.
async fn together(
    fetches: Vec<impl Future<Output = Result<(Arc<DataFileInfo>, LocalCopy)>>>,
) -> Result<LocalFiles> {
    let files = stream::iter(fetches)
        .buffered(CONCURRENT_FETCHES)
        .try_collect()
        .await?;
    Ok(LocalFiles { files })
}

fn not_written(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Storage,
        "a temporary copy of a data file cannot be written; is the disk full?",
    )
    .with_source(error)
}

async fn write(file: &Arc<File>, bytes: Bytes, place: u64) -> Result<()> {
    let file = Arc::clone(file);
    blocking(move || file.write_all_at(&bytes, place).map_err(not_written)).await
}

/// The requests that read sorted ranges of a file whose bytes from `known` on are known.
fn requests(ranges: Vec<Range<u64>>, known: u64) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        let range = range.start.min(known)..range.end.min(known);
        match merged.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if range.start <= last.end.saturating_add(GAP) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
        .into_iter()
        .flat_map(|range| {
            let begins = (range.start..range.end).step_by(MOST as usize);
            begins.map(move |begin| begin..range.end.min(begin + MOST))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(ranges: &[(u64, u64)], known: u64) -> Vec<(u64, u64)> {
        let ranges = ranges.iter().map(|(begin, end)| *begin..*end).collect();
        let requests = requests(ranges, known);
        requests
            .into_iter()
            .map(|one| (one.start, one.end))
            .collect()
    }

    #[test]
    fn ranges_that_are_near_are_read_together_and_long_ones_in_parts() {
        let far = 10 * GAP;
        let apart = [(0, 10), (20, 30), (far, far + 5), (far + 2, far + 9)];
        assert_eq!(asked(&apart, 100 * GAP), [(0, 30), (far, far + 9)]);
        let long = [(0, MOST + 1)];
        assert_eq!(asked(&long, 2 * MOST), [(0, MOST), (MOST, MOST + 1)]);
        // What is known is not read again.
        assert_eq!(asked(&[(0, 10), (40, 60), (70, 80)], 50), [(0, 50)]);
        assert_eq!(asked(&[(70, 80)], 50), []);
    }
}
