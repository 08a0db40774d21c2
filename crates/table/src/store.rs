//! Iceberg's own files (metadata, manifest lists, manifests) in the object store.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::io::FileIO;
use iceberg::spec::{
    FormatVersion, Manifest, ManifestContentType, ManifestFile, ManifestList, ManifestListWriter,
    ManifestWriter, ManifestWriterBuilder, PartitionSpec, SchemaRef, Snapshot, TableMetadata,
};
use moka::sync::Cache;
use tarn_core::digest::Digest;
use tarn_core::ports::{Examined, LocalCopy, ObjectInfo, Objects, PutMode};
use tarn_core::{Error, ErrorKind, Result};

use crate::data_file::LiveFile;

/// How many manifests are fetched at once: enough to hide the latency of an object store.
const CONCURRENT_READS: usize = 16;

/// Bytes of files that are kept in memory: they never change, and each read of them would be a request.
const KEPT_BYTES: u64 = 32 << 20;

/// Bytes of memory that the live files of manifests are kept in: about 20,000 files of twenty columns.
const LIVE_BYTES: u64 = 64 << 20;

/// Reads and writes Iceberg's files.
///
/// `iceberg` reads and writes through its own `FileIO`. Its in-memory one is used for a single file at
/// a time, and the bytes go through the port.
#[derive(Clone)]
pub(crate) struct Store {
    objects: Arc<dyn Objects>,
    /// Files by their URIs, where reading takes requests.
    kept: Option<Cache<String, Bytes>>,
    /// The live files of manifests, by their URIs and the field that names source objects.
    live: Cache<(String, Option<i32>), Arc<[LiveFile]>>,
}

/// An error of `iceberg` as one of the lake.
pub(crate) fn iceberg_error(doing: impl Into<String>) -> impl FnOnce(iceberg::Error) -> Error {
    let doing = doing.into();
    move |error| Error::new(ErrorKind::Storage, doing).with_source(error)
}

impl Store {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        let kept = (!objects.is_in_place()).then(|| {
            let weigh = |uri: &String, bytes: &Bytes| {
                u32::try_from(uri.len() + bytes.len()).unwrap_or(u32::MAX)
            };
            Cache::builder()
                .max_capacity(KEPT_BYTES)
                .weigher(weigh)
                .build()
        });
        let weigh = |(uri, _): &(String, Option<i32>), files: &Arc<[LiveFile]>| {
            let bytes = uri.len() + files.iter().map(LiveFile::weight).sum::<usize>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let live = Cache::builder()
            .max_capacity(LIVE_BYTES)
            .weigher(weigh)
            .build();
        Store {
            objects,
            kept,
            live,
        }
    }

    pub fn uri(&self, key: &str) -> String {
        self.objects.uri(key)
    }

    /// Where other programs find the file that a URI names; the URI itself where that is not of this store.
    pub fn location(&self, uri: &str) -> String {
        match self.objects.key_of(uri) {
            Some(key) => self.objects.location(&key),
            None => uri.to_owned(),
        }
    }

    /// The URI that new records name the object of a URI by; the URI itself where it is of another store.
    pub fn present(&self, uri: &str) -> String {
        match self.objects.key_of(uri) {
            Some(key) => self.objects.uri(&key),
            None => uri.to_owned(),
        }
    }

    /// Every URI that rows may name the object of a URI by.
    pub fn spellings(&self, uri: &str) -> Vec<String> {
        match self.objects.key_of(uri) {
            Some(key) => self.objects.uris(&key),
            None => vec![uri.to_owned()],
        }
    }

    /// Whether two URIs name the same object.
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        one == other
            || match (self.objects.key_of(one), self.objects.key_of(other)) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            }
    }

    pub fn key_of(&self, uri: &str) -> Result<String> {
        self.objects.key_of(uri).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{uri} is not in this lake's store: tables whose files are elsewhere cannot be read"),
            )
        })
    }

    async fn get(&self, uri: &str) -> Result<Bytes> {
        if let Some(bytes) = self.kept.as_ref().and_then(|kept| kept.get(uri)) {
            return Ok(bytes);
        }
        let bytes = self.objects.get_checked(&self.key_of(uri)?).await?;
        if let Some(kept) = &self.kept {
            kept.insert(uri.to_owned(), bytes.clone());
        }
        Ok(bytes)
    }

    /// Reads a file to its end, and compares its digest with the one that was written.
    pub async fn examine(&self, key: &str) -> Result<Examined> {
        self.objects.examine(key).await
    }

    /// Remembers the digest of a file whose name carries none; false where nothing is remembered.
    pub async fn remember(&self, key: &str, digest: Digest) -> Result<bool> {
        self.objects.remember(key, digest).await
    }

    /// A local copy of a file that is what was written.
    pub async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        self.objects.fetch_checked(key).await
    }

    /// Puts a new file. Every name has a fresh UUID, so no other writer puts the same.
    pub async fn put(&self, uri: &str, bytes: Bytes) -> Result<()> {
        self.objects
            .put(&self.key_of(uri)?, bytes, PutMode::IfAbsent)
            .await
            .map(drop)
    }

    /// What is stored under a prefix.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.objects.list(prefix).await
    }

    pub async fn delete(&self, key: &str) -> Result<()> {
        self.objects.delete(key).await
    }

    /// Deletes files that no table names. A failure leaves an orphan, which does no harm.
    pub async fn discard(&self, uris: &[String]) {
        for uri in uris {
            let deleted = match self.key_of(uri) {
                Ok(key) => self.objects.delete(&key).await,
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                tracing::warn!(%uri, %error, "a file of an abandoned commit stays behind");
            }
        }
    }

    async fn staged(&self, uri: &str) -> Result<FileIO> {
        let io = FileIO::new_with_memory();
        let bytes = self.get(uri).await?;
        let output = io
            .new_output(uri)
            .map_err(iceberg_error(format!("{uri} cannot be read")))?;
        output
            .write(bytes)
            .await
            .map_err(iceberg_error(format!("{uri} cannot be read")))?;
        Ok(io)
    }

    pub async fn metadata(&self, location: &str) -> Result<TableMetadata> {
        let io = self.staged(location).await?;
        TableMetadata::read_from(&io, location)
            .await
            .map_err(iceberg_error(format!(
                "{location} is not a valid Iceberg metadata file"
            )))
    }

    pub async fn manifest_list(
        &self,
        snapshot: &Snapshot,
        format: FormatVersion,
    ) -> Result<Vec<ManifestFile>> {
        let uri = snapshot.manifest_list();
        let bytes = self.get(uri).await?;
        let list = ManifestList::parse_with_version(&bytes, format)
            .map_err(iceberg_error(format!("{uri} is not a valid manifest list")))?;
        Ok(list.consume_entries().into_iter().collect())
    }

    async fn manifest(&self, file: &ManifestFile) -> Result<Manifest> {
        let uri = &file.manifest_path;
        let io = self.staged(uri).await?;
        file.load_manifest(&io)
            .await
            .map_err(iceberg_error(format!("{uri} is not a valid manifest")))
    }

    async fn live_files_of(
        &self,
        file: &ManifestFile,
        source_id: Option<i32>,
    ) -> Result<Arc<[LiveFile]>> {
        let kept = (file.manifest_path.clone(), source_id);
        if let Some(files) = self.live.get(&kept) {
            if self.objects.is_in_place() {
                // It takes no request to see whether the manifest is still what was written.
                self.get(&file.manifest_path).await?;
            }
            return Ok(files);
        }
        let manifest = self.manifest(file).await?;
        let files: Result<Arc<[LiveFile]>> = manifest
            .entries()
            .iter()
            .filter(|entry| entry.is_alive())
            .map(|entry| {
                let key = self.key_of(entry.file_path())?;
                Ok(LiveFile::of(entry, key, source_id))
            })
            .collect();
        let files = files?;
        self.live.insert(kept, Arc::clone(&files));
        Ok(files)
    }

    /// The live files of data manifests, in their order. `source_id` is the field that names the source
    /// objects of rows.
    pub async fn live_files<'a>(
        &self,
        manifests: impl IntoIterator<Item = &'a ManifestFile>,
        source_id: Option<i32>,
    ) -> Result<Vec<(&'a ManifestFile, Arc<[LiveFile]>)>> {
        let reads: Vec<_> = manifests
            .into_iter()
            .map(|file| async move { Ok((file, self.live_files_of(file, source_id).await?)) })
            .collect();
        stream::iter(reads)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    /// Reads manifests, several at once, and keeps what `pick` makes of each, in their order.
    pub async fn manifests<'a, T, F>(
        &self,
        files: impl IntoIterator<Item = &'a ManifestFile>,
        mut pick: F,
    ) -> Result<Vec<T>>
    where
        F: FnMut(&'a ManifestFile, Manifest) -> Result<T>,
    {
        // Collected first: a stream over a lazy iterator of borrowed items is not `Send`.
        let reads: Vec<_> = files
            .into_iter()
            .map(|file| async move { Ok((file, self.manifest(file).await?)) })
            .collect();
        stream::iter(reads)
            .buffered(CONCURRENT_READS)
            .map(|read: Result<_>| read.and_then(|(file, manifest)| pick(file, manifest)))
            .try_collect()
            .await
    }
}

/// The content of a metadata file.
pub(crate) fn metadata_bytes(metadata: &TableMetadata) -> Result<Bytes> {
    let json = serde_json::to_vec(metadata).map_err(|error| {
        Error::internal("table metadata cannot be written as JSON").with_source(error)
    })?;
    Ok(json.into())
}

/// The content of a manifest list.
pub(crate) async fn manifest_list_bytes(
    (snapshot_id, parent, sequence_number): (i64, Option<i64>, i64),
    manifests: Vec<ManifestFile>,
) -> Result<Bytes> {
    let failed = || iceberg_error("a manifest list cannot be written");
    let io = FileIO::new_with_memory();
    let file = io
        .new_output(IN_MEMORY)
        .map_err(failed())?
        .writer()
        .await
        .map_err(failed())?;
    let mut writer = ManifestListWriter::v2(file, snapshot_id, parent, sequence_number);
    writer
        .add_manifests(manifests.into_iter())
        .map_err(failed())?;
    writer.close().await.map_err(failed())?;
    written(&io).await
}

/// The content of a manifest of files of that kind, and its entry in a manifest list, still without its
/// path.
pub(crate) async fn manifest_bytes(
    snapshot_id: i64,
    (schema, spec, content): (SchemaRef, PartitionSpec, ManifestContentType),
    fill: impl FnOnce(&mut ManifestWriter) -> iceberg::Result<()>,
) -> Result<(Bytes, ManifestFile)> {
    let failed = || iceberg_error("a manifest cannot be written");
    let io = FileIO::new_with_memory();
    let output = io.new_output(IN_MEMORY).map_err(failed())?;
    let builder = ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec);
    let mut writer = match content {
        ManifestContentType::Data => builder.build_v2_data(),
        ManifestContentType::Deletes => builder.build_v2_deletes(),
    };
    fill(&mut writer).map_err(failed())?;
    let manifest = writer.write_manifest_file().await.map_err(failed())?;
    Ok((written(&io).await?, manifest))
}

/// The name of the one file of an in-memory `FileIO` that is written.
const IN_MEMORY: &str = "memory:/file";

async fn written(io: &FileIO) -> Result<Bytes> {
    let failed = || iceberg_error("a file cannot be written");
    io.new_input(IN_MEMORY)
        .map_err(failed())?
        .read()
        .await
        .map_err(failed())
}
