//! The manifests of a new snapshot: of the files that it adds, those that removed files are taken out
//! of, and small ones that are merged.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use iceberg::spec::{
    DataFile, Manifest, ManifestContentType, ManifestEntry, ManifestFile, ManifestWriter,
    PartitionSpec, SchemaRef,
};
use tarn_core::schema::PartitionValue;
use tarn_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::change::NewFile;
use crate::data_file;
use crate::footer::{self, Target};
use crate::store::manifest_bytes;
use crate::table::Table;
use crate::writer::MetadataWriter;

/// Small manifests are merged once there are this many, which is about the most that a reader opens.
const MERGE_AT: usize = 50;

/// A manifest of this size (bytes) is no longer small, and merged ones do not grow beyond it.
const MANIFEST_SIZE: i64 = 8 * 1024 * 1024;

/// A set of data files: their counts and their partitions.
#[derive(Clone, Default)]
pub(super) struct FileSet {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    pub partitions: BTreeSet<PartitionValue>,
}

impl FileSet {
    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.rows += file.record_count();
        self.bytes += file.file_size_in_bytes();
        self.partitions.insert(data_file::partition_value(file));
    }
}

/// The manifest of the files that a change adds.
#[derive(Clone)]
pub(super) struct Added {
    pub manifest: ManifestFile,
    pub set: FileSet,
}

impl Added {
    /// Writes the manifest. It names neither base nor sequence number (files inherit that from the
    /// manifest list), so that every attempt can use it.
    pub async fn write(
        writer: &MetadataWriter<'_>,
        table: &Table,
        snapshot_id: i64,
        add: &[NewFile],
    ) -> Result<Added> {
        let names: BTreeSet<&str> = add.iter().map(|file| file.key.as_str()).collect();
        if names.len() < add.len() {
            return Err(Error::internal("a file is added twice in one commit"));
        }
        let files = described(writer, table, add).await?;
        let mut set = FileSet::default();
        for file in &files {
            set.add(file);
        }
        let schema = Arc::clone(table.metadata.current_schema());
        let spec = table.metadata.default_partition_spec().as_ref().clone();
        let (bytes, manifest) =
            manifest_bytes(snapshot_id, data_manifest(schema, spec), |writer| {
                // The sequence number -1 leaves it to the commit.
                files
                    .into_iter()
                    .try_for_each(|file| writer.add_file(file, -1))
            })
            .await?;
        // Not one of the attempt's own files: later attempts use it too.
        let stem = format!("{}-m0", Uuid::new_v4());
        let uri = writer
            .tables
            .metadata_uri(writer.name, &stem, "avro", &bytes);
        writer.store().put(&uri, bytes).await?;
        let manifest = ManifestFile {
            manifest_path: uri,
            ..manifest
        };
        Ok(Added { manifest, set })
    }
}

/// What manifests say about new files, from their footers.
async fn described(
    writer: &MetadataWriter<'_>,
    table: &Table,
    add: &[NewFile],
) -> Result<Vec<DataFile>> {
    let files: Vec<_> = add
        .iter()
        .map(|file| (file.clone(), writer.store().uri(&file.key)))
        .collect();
    let schema = Arc::clone(table.metadata.current_schema());
    let partitioning = table.partitioning().cloned();
    let partition_spec_id = table.metadata.default_partition_spec_id();
    let read = tokio::task::spawn_blocking(move || {
        let target = Target {
            schema: &schema,
            partition_spec_id,
            partitioning: partitioning.as_ref(),
        };
        files
            .iter()
            .map(|(file, uri)| footer::data_file(&target, file, uri.clone()))
            .collect::<Result<Vec<_>>>()
    });
    read.await
        .map_err(|error| Error::internal("reading Parquet footers failed").with_source(error))?
}

/// The manifests after the removals of a change.
#[derive(Default)]
pub(super) struct Rest {
    pub manifests: Vec<ManifestFile>,
    pub removed: FileSet,
}

impl Rest {
    /// Rewrites those of the `current` manifests that hold files to remove.
    pub async fn write(
        writer: &mut MetadataWriter<'_>,
        snapshot_id: i64,
        current: Vec<ManifestFile>,
        remove: &[String],
    ) -> Result<Rest> {
        // A manifest without live files lists the removals of its own snapshot.
        let current: Vec<_> = current
            .into_iter()
            .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
            .collect();
        let remove: BTreeSet<&str> = remove.iter().map(String::as_str).collect();
        let mut rest = Rest::default();
        if remove.is_empty() {
            rest.manifests = current;
            return Ok(rest);
        }
        let affected = holding(writer, &current, &remove).await?;
        for manifest in current {
            let Some(content) = affected.get(&manifest.manifest_path) else {
                rest.manifests.push(manifest);
                continue;
            };
            for entry in content.entries().iter().filter(|entry| entry.is_alive()) {
                if remove.contains(entry.file_path()) {
                    rest.removed.add(entry.data_file());
                }
            }
            let described = content.metadata();
            let kind = data_manifest(
                Arc::clone(&described.schema),
                described.partition_spec.clone(),
            );
            let rewritten = manifest_bytes(snapshot_id, kind, |writer| {
                let mut live = content.entries().iter().filter(|entry| entry.is_alive());
                live.try_for_each(|entry| carry(writer, entry, remove.contains(entry.file_path())))
            })
            .await?;
            let rewritten = writer
                .put_manifest(&format!("{}-m1", Uuid::new_v4()), rewritten)
                .await?;
            rest.manifests.push(rewritten);
        }
        Ok(rest)
    }
}

/// The manifests that hold files to remove, by their paths.
///
/// # Errors
/// `Conflict` where one of the files is not live any more.
async fn holding(
    writer: &MetadataWriter<'_>,
    current: &[ManifestFile],
    remove: &BTreeSet<&str>,
) -> Result<HashMap<String, Manifest>> {
    let mut missing = remove.clone();
    let data = current
        .iter()
        .filter(|manifest| manifest.content == ManifestContentType::Data);
    let found = writer
        .store()
        .manifests(data, |manifest, content| {
            let mut hit = false;
            for entry in content.entries().iter().filter(|entry| entry.is_alive()) {
                hit |= missing.remove(entry.file_path());
            }
            Ok(hit.then(|| (manifest.manifest_path.clone(), content)))
        })
        .await?;
    match missing.first() {
        Some(gone) => Err(Error::new(
            ErrorKind::Conflict,
            format!("{gone} was to be removed and is no longer in the table; read the table again"),
        )),
        None => Ok(found.into_iter().flatten().collect()),
    }
}

/// Merges small manifests where there are many, so that neither readers nor commits open hundreds.
pub(super) async fn merged(
    writer: &mut MetadataWriter<'_>,
    table: &Table,
    snapshot_id: i64,
    manifests: Vec<ManifestFile>,
) -> Result<Vec<ManifestFile>> {
    let spec = table.metadata.default_partition_spec();
    let (small, mut kept): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|manifest| {
        manifest.content == ManifestContentType::Data
            && manifest.partition_spec_id == spec.spec_id()
            && manifest.manifest_length < MANIFEST_SIZE
            // A manifest of this very commit says what it removes.
            && manifest.added_snapshot_id != snapshot_id
    });
    if small.len() < MERGE_AT {
        kept.extend(small);
        return Ok(kept);
    }
    for bin in bins(small) {
        if bin.len() < 2 {
            kept.extend(bin);
            continue;
        }
        let contents = writer
            .store()
            .manifests(&bin, |_, content| Ok(content))
            .await?;
        let schema = Arc::clone(table.metadata.current_schema());
        let kind = data_manifest(schema, spec.as_ref().clone());
        let merged = manifest_bytes(snapshot_id, kind, |writer| {
            let mut live = contents
                .iter()
                .flat_map(Manifest::entries)
                .filter(|entry| entry.is_alive());
            live.try_for_each(|entry| carry(writer, entry, false))
        })
        .await?;
        let merged = writer
            .put_manifest(&format!("{}-m2", Uuid::new_v4()), merged)
            .await?;
        kept.push(merged);
    }
    Ok(kept)
}

/// Small manifests in groups of at most [`MANIFEST_SIZE`] bytes, in their order.
fn bins(small: Vec<ManifestFile>) -> Vec<Vec<ManifestFile>> {
    let mut bins: Vec<Vec<ManifestFile>> = Vec::new();
    let mut room = 0;
    for manifest in small {
        if manifest.manifest_length > room {
            bins.push(Vec::new());
            room = MANIFEST_SIZE;
        }
        room -= manifest.manifest_length;
        if let Some(bin) = bins.last_mut() {
            bin.push(manifest);
        }
    }
    bins
}

/// What a manifest of data files is made of.
fn data_manifest(
    schema: SchemaRef,
    spec: PartitionSpec,
) -> (SchemaRef, PartitionSpec, ManifestContentType) {
    (schema, spec, ManifestContentType::Data)
}

/// Carries a live entry into a rewritten manifest, as removed or as it was.
fn carry(writer: &mut ManifestWriter, entry: &ManifestEntry, removed: bool) -> iceberg::Result<()> {
    let missing = || {
        iceberg::Error::new(
            iceberg::ErrorKind::DataInvalid,
            "a live file has no sequence number or snapshot",
        )
    };
    let sequence = entry.sequence_number.ok_or_else(missing)?;
    let file = entry.data_file().clone();
    if removed {
        writer.add_delete_file(file, sequence, entry.file_sequence_number)
    } else {
        let snapshot = entry.snapshot_id.ok_or_else(missing)?;
        writer.add_existing_file(file, snapshot, sequence, entry.file_sequence_number)
    }
}
