//! The files of a query as DataFusion's object store: those that were registered, by ranges, counted.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, coalesce_ranges,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tarn_core::ports::Objects;
use tarn_core::{ErrorKind, layout};

/// The only store that a session knows.
pub(crate) const STORE: &str = "lake://tables";

/// Ranges this close are read in one request.
const GAP: u64 = 256 * 1024;

/// Where a file is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A file of a table, by its key.
    Object(String),
    /// A file on this machine that is not part of a table yet.
    Local(PathBuf),
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub requests: AtomicU64,
    pub bytes: AtomicU64,
}

#[derive(Debug, Clone)]
struct Known {
    place: Place,
    size: u64,
}

/// The files that the tables of one query consist of.
pub(crate) struct Files {
    objects: Arc<dyn Objects>,
    known: Mutex<HashMap<Path, Known>>,
    pub counts: Counts,
    /// The first error of the store: libraries make texts of it.
    failure: Mutex<Option<tarn_core::Error>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lake")
    }
}

impl Files {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Files {
            objects,
            known: Mutex::default(),
            counts: Counts::default(),
            failure: Mutex::default(),
        }
    }

    /// Makes a file readable, and returns what DataFusion knows it by.
    pub fn add(&self, place: Place, size: u64) -> ObjectMeta {
        let location = match &place {
            Place::Object(key) => Path::from(key.as_str()),
            Place::Local(path) => Path::from(format!("staged{}", path.display())),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(location.clone(), Known { place, size });
        meta(location, size)
    }

    /// Why the store could not be read, where that is so.
    pub fn failure(&self) -> Option<tarn_core::Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    fn find(&self, location: &Path) -> Result<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(location).cloned();
        found.ok_or_else(|| Error::NotFound {
            path: location.to_string(),
            source: "the file is not part of a table of this query".into(),
        })
    }

    async fn read(&self, file: &Known, range: Range<u64>) -> Result<Bytes> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        self.counts
            .bytes
            .fetch_add(range.end.saturating_sub(range.start), Ordering::Relaxed);
        match &file.place {
            Place::Object(key) => {
                let read = self.objects.get_part(key, range).await;
                read.map_err(|error| {
                    let text = error.to_string();
                    let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(named(key, error));
                    Error::Generic {
                        store: "lake",
                        source: text.into(),
                    }
                })
            }
            Place::Local(path) => local(path.clone(), range).await,
        }
    }
}

/// An error of a file, with its table. A file that is gone is damage: its rows are missing.
fn named(key: &str, error: tarn_core::Error) -> tarn_core::Error {
    let error = match error.kind() {
        ErrorKind::NotFound => tarn_core::Error::new(
            ErrorKind::Damaged,
            format!("{key} is gone (if not, ask again); see docs/runbooks/damaged-file.md"),
        ),
        _ => error,
    };
    match layout::table_of(key) {
        Some(table) => error.context(format!("table {table}")),
        None => error,
    }
}

fn meta(location: Path, size: u64) -> ObjectMeta {
    ObjectMeta {
        location,
        // A file of a table never changes: it is known by its name.
        last_modified: DateTime::<Utc>::UNIX_EPOCH,
        size,
        e_tag: None,
        version: None,
    }
}

async fn local(path: PathBuf, range: Range<u64>) -> Result<Bytes> {
    use std::io::{Read, Seek, SeekFrom};

    let shown = path.display().to_string();
    let unreadable = move |source: std::io::Error| Error::Generic {
        store: "lake",
        source: Box::new(
            tarn_core::Error::new(
                tarn_core::ErrorKind::Storage,
                format!("{shown} cannot be read"),
            )
            .with_source(source),
        ),
    };
    let read = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let length = range.end.saturating_sub(range.start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(length).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    });
    match read.await {
        Ok(result) => result.map_err(unreadable),
        Err(error) => Err(Error::JoinError { source: error }),
    }
}

fn unsupported<T>(operation: &str) -> Result<T> {
    Err(Error::NotSupported {
        source: format!("a query does not {operation}").into(),
    })
}

#[async_trait]
impl ObjectStore for Files {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let file = self.find(location)?;
        let range = match options.range {
            None => 0..file.size,
            Some(range) => range.as_range(file.size).map_err(|error| Error::Generic {
                store: "lake",
                source: Box::new(error),
            })?,
        };
        let bytes = if options.head {
            Bytes::new()
        } else {
            self.read(&file, range.clone()).await?
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta: meta(location.clone(), file.size),
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let file = self.find(location)?;
        coalesce_ranges(ranges, |range| self.read(&file, range), GAP).await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        unsupported("write")
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unsupported("write")
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::once(async { unsupported("delete") }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(async { unsupported("list files") }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        unsupported("list files")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unsupported("copy")
    }
}
