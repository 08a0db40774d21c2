//! Rewrites a table's metadata so that every path names the place where the store is now.
//!
//! Iceberg names files by absolute URIs. After a store was moved, every file that names another one by a
//! former place is rewritten under a new name: manifests, the manifest lists of all versions, one metadata
//! file. Data files stay as they are, and so do the numbers, ids and times of versions. Nothing changes before
//! the one swap of the table's pointer. A relocation that stops before it leaves files that nothing names,
//! which maintenance deletes, and the next relocation starts from the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, FormatVersion, Manifest, ManifestEntry,
    ManifestFile, ManifestStatus, ManifestWriter, SnapshotRef, TableMetadata,
};
use serde_json::{Value, json};
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result, ResultExt};
use uuid::Uuid;

use crate::change::{SOURCES, SourceRef};
use crate::store::{Store, manifest_bytes, manifest_list_bytes};
use crate::table::Table;
use crate::tables::{ATTEMPTS, Tables, given_up, no_such_table, pause};
use crate::writer::MetadataWriter;

/// Manifests that are held in memory at once.
const MANIFESTS_AT_ONCE: usize = 16;

/// The property that bounds the list of former metadata files, and its default in the specification.
const LOGGED: (&str, usize) = ("write.metadata.previous-versions-max", 100);

/// The parts of a table that were rewritten, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relocated {
    /// Metadata files: one, or none where every path names the present place already.
    pub metadata_files: u64,
    /// Manifest lists, one per version.
    pub manifest_lists: u64,
    /// Manifests.
    pub manifests: u64,
    /// Data files that the rewritten manifests name.
    pub data_files: u64,
}

/// The parts of a table's metadata that name another place.
struct Plan {
    lists: Vec<(SnapshotRef, Vec<ManifestFile>)>,
    /// Manifests, by their paths, that name a data file elsewhere.
    manifests: BTreeSet<String>,
    /// Snapshots whose manifest list names a manifest elsewhere, or one that is rewritten.
    changed: BTreeSet<i64>,
    data_files: u64,
    /// Whether the metadata file itself names another place.
    metadata: bool,
}

impl Plan {
    async fn of(table: &Table) -> Result<Plan> {
        let (store, metadata) = (&table.store, table.metadata.as_ref());
        let mut plan = Plan {
            lists: Vec::new(),
            manifests: BTreeSet::new(),
            changed: BTreeSet::new(),
            data_files: 0,
            metadata: names_elsewhere(table)?,
        };
        for snapshot in metadata.snapshots() {
            let list = store
                .manifest_list(snapshot, metadata.format_version())
                .await?;
            plan.metadata |= is_elsewhere(store, snapshot.manifest_list())?;
            plan.lists.push((Arc::clone(snapshot), list));
        }
        let all = distinct(&plan.lists);
        let all: Vec<&ManifestFile> = all.values().copied().collect();
        for some in all.chunks(MANIFESTS_AT_ONCE) {
            let found = store
                .manifests(some.iter().copied(), |file, content| {
                    let mut elsewhere = false;
                    for entry in content.entries() {
                        refuse_positions(table, entry)?;
                        elsewhere |= is_elsewhere(store, entry.file_path())?;
                    }
                    let path = &file.manifest_path;
                    Ok(elsewhere.then(|| (path.clone(), content.entries().len() as u64)))
                })
                .await?;
            for (path, entries) in found.into_iter().flatten() {
                plan.manifests.insert(path);
                plan.data_files += entries;
            }
        }
        for (snapshot, list) in &plan.lists {
            for manifest in list {
                let path = &manifest.manifest_path;
                if plan.manifests.contains(path) || is_elsewhere(store, path)? {
                    plan.changed.insert(snapshot.snapshot_id());
                }
            }
        }
        Ok(plan)
    }

    fn outcome(&self) -> Relocated {
        let needed = self.metadata || !self.changed.is_empty();
        Relocated {
            metadata_files: u64::from(needed),
            manifest_lists: self.changed.len() as u64,
            manifests: self.manifests.len() as u64,
            data_files: self.data_files,
        }
    }
}

impl Tables {
    /// Rewrites the table's metadata where it names files by a place where the store was before, so that
    /// other readers find them. `each` is called with the number of manifests rewritten so far and the number to rewrite. With
    /// `dry_run` nothing is changed and the result says what would be done.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, `Unsupported` where it names files outside the store, or
    /// where another engine deleted rows by files that name data files.
    pub async fn relocate(
        &self,
        name: &TableName,
        dry_run: bool,
        each: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Relocated> {
        run(self, name, dry_run, each)
            .await
            .context(|| format!("relocation of {name}"))
    }
}

async fn run(
    tables: &Tables,
    name: &TableName,
    dry_run: bool,
    each: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Relocated> {
    let mut tried: Option<(Error, String, Relocated)> = None;
    let mut writer = MetadataWriter::new(tables, name);
    for attempt in 0..=ATTEMPTS {
        if attempt > 0 {
            pause(attempt).await;
        }
        let table = tables
            .load(name)
            .await?
            .ok_or_else(|| no_such_table(name))?;
        if let Some((error, location, outcome)) = tried.take() {
            // The swap may have succeeded although its reply was lost.
            if table.descends_from(&location) {
                return Ok(outcome);
            }
            if error.kind() == ErrorKind::Conflict {
                writer.discard().await;
            }
            if !error.is_retryable() {
                return Err(error);
            }
            if attempt == ATTEMPTS {
                return Err(given_up(name, Some(error)));
            }
        }
        let plan = Plan::of(&table).await?;
        let outcome = plan.outcome();
        if dry_run || outcome == Relocated::default() {
            return Ok(outcome);
        }
        writer.written.clear();
        let mut rewrite = Rewrite {
            table: &table,
            writer: &mut writer,
        };
        let (next, location) = match rewrite.write(&plan, each).await {
            Ok(written) => written,
            Err(error) => {
                writer.discard().await;
                return Err(error);
            }
        };
        let swapped = tables.swap(&table, &next, &location).await;
        match swapped {
            Ok(_) => return Ok(outcome),
            Err(error) => tried = Some((error, location, outcome)),
        }
    }
    Err(given_up(name, tried.map(|(error, ..)| error)))
}

/// Whether a URI of the store names it by another place than new ones do.
fn is_elsewhere(store: &Store, uri: &str) -> Result<bool> {
    Ok(store.uri(&store.key_of(uri)?) != uri)
}

/// Whether the metadata file itself names another place, its manifest lists left aside.
fn names_elsewhere(table: &Table) -> Result<bool> {
    let (store, metadata) = (&table.store, table.metadata.as_ref());
    let mut elsewhere = is_elsewhere(store, &table.pointer.metadata_location)?
        || is_elsewhere(store, metadata.location())?;
    for entry in metadata.metadata_log() {
        elsewhere |= store.present(&entry.metadata_file) != entry.metadata_file;
    }
    let columns = metadata.statistics_iter().map(|file| &file.statistics_path);
    let partitions = metadata
        .partition_statistics_iter()
        .map(|file| &file.statistics_path);
    for path in columns.chain(partitions) {
        elsewhere |= is_elsewhere(store, path)?;
    }
    Ok(elsewhere)
}

fn distinct(lists: &[(SnapshotRef, Vec<ManifestFile>)]) -> BTreeMap<&str, &ManifestFile> {
    lists
        .iter()
        .flat_map(|(_, list)| list)
        .map(|manifest| (manifest.manifest_path.as_str(), manifest))
        .collect()
}

/// The rows of such a file are paths of data files, and rows are not rewritten here.
fn refuse_positions(table: &Table, entry: &ManifestEntry) -> Result<()> {
    if entry.is_alive() && entry.content_type() == DataContentType::PositionDeletes {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "another engine deleted rows of {} by files that name data files ({}), which cannot be \
                 rewritten here: rewrite the table's data files with that engine, then relocate it",
                table.name(),
                entry.file_path()
            ),
        ));
    }
    Ok(())
}

/// The files of a relocation, as they are written.
struct Rewrite<'a, 'w> {
    table: &'w Table,
    writer: &'w mut MetadataWriter<'a>,
}

impl Rewrite<'_, '_> {
    /// Writes everything but the pointer: the table as it would be, and the URI of its metadata file.
    async fn write(
        &mut self,
        plan: &Plan,
        each: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<(Table, String)> {
        let metadata = self.table.metadata.as_ref();
        if metadata.format_version() != FormatVersion::V2 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} is of Iceberg format {}; only 2 is written",
                    self.table.name(),
                    metadata.format_version()
                ),
            ));
        }
        let manifests = self.manifests(plan, each).await?;
        let lists = self.lists(plan, &manifests).await?;
        let next = self.metadata(&lists)?;
        self.writer.put_metadata(self.table, next).await
    }

    /// Rewritten manifests, by the paths of those that they replace.
    async fn manifests(
        &mut self,
        plan: &Plan,
        each: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<BTreeMap<String, ManifestFile>> {
        let all = distinct(&plan.lists);
        let moved: Vec<&ManifestFile> = all
            .into_iter()
            .filter(|(path, _)| plan.manifests.contains(*path))
            .map(|(_, manifest)| manifest)
            .collect();
        let store = self.writer.store();
        let mut rewritten = BTreeMap::new();
        for some in moved.chunks(MANIFESTS_AT_ONCE) {
            let read: Vec<(&ManifestFile, Manifest)> = store
                .manifests(some.iter().copied(), |file, content| Ok((file, content)))
                .await?;
            for (former, content) in read {
                each(rewritten.len(), moved.len());
                let described = content.metadata();
                let kind = (
                    Arc::clone(&described.schema),
                    described.partition_spec.clone(),
                    former.content,
                );
                let (bytes, written) = manifest_bytes(former.added_snapshot_id, kind, |writer| {
                    let mut entries = content.entries().iter();
                    entries
                        .try_for_each(|entry| carry(writer, store, entry, former.partition_spec_id))
                })
                .await?;
                let manifest = ManifestFile {
                    manifest_path: self
                        .writer
                        .put(&format!("{}-m3", Uuid::new_v4()), bytes)
                        .await?,
                    manifest_length: written.manifest_length,
                    ..former.clone()
                };
                rewritten.insert(former.manifest_path.clone(), manifest);
            }
        }
        Ok(rewritten)
    }

    /// Rewritten manifest lists, by snapshot.
    async fn lists(
        &mut self,
        plan: &Plan,
        manifests: &BTreeMap<String, ManifestFile>,
    ) -> Result<BTreeMap<i64, String>> {
        let store = self.writer.store();
        let mut rewritten = BTreeMap::new();
        for (snapshot, list) in &plan.lists {
            let id = snapshot.snapshot_id();
            if !plan.changed.contains(&id) {
                continue;
            }
            let list = list
                .iter()
                .map(|manifest| match manifests.get(&manifest.manifest_path) {
                    Some(moved) => moved.clone(),
                    None => ManifestFile {
                        manifest_path: store.present(&manifest.manifest_path),
                        ..manifest.clone()
                    },
                });
            let ids = (
                id,
                snapshot.parent_snapshot_id(),
                snapshot.sequence_number(),
            );
            let bytes = manifest_list_bytes(ids, list.collect()).await?;
            let uri = self
                .writer
                .put(&format!("snap-{id}-{}", Uuid::new_v4()), bytes)
                .await?;
            rewritten.insert(id, uri);
        }
        Ok(rewritten)
    }

    /// The table's metadata with the present place in every path. The types of `iceberg` do not allow
    /// a change of a snapshot, so the JSON is changed and parsed again.
    fn metadata(&self, lists: &BTreeMap<i64, String>) -> Result<TableMetadata> {
        let (store, metadata) = (self.writer.store(), self.table.metadata.as_ref());
        let odd = |error: serde_json::Error| {
            Error::internal("rewritten table metadata cannot be understood").with_source(error)
        };
        let mut json = serde_json::to_value(metadata).map_err(odd)?;
        respell(store, json.get_mut("location"));
        for snapshot in items(&mut json, "snapshots") {
            let id = snapshot.get("snapshot-id").and_then(Value::as_i64);
            match (
                id.and_then(|id| lists.get(&id)),
                snapshot.get_mut("manifest-list"),
            ) {
                (Some(list), Some(path)) => *path = json!(list),
                (_, path) => respell(store, path),
            }
            if let Some(sources) = snapshot.pointer_mut(&format!("/summary/{SOURCES}")) {
                respell_sources(store, sources)?;
            }
        }
        for (list, path) in [
            ("metadata-log", "metadata-file"),
            ("statistics", "statistics-path"),
            ("partition-statistics", "statistics-path"),
        ] {
            for entry in items(&mut json, list) {
                respell(store, entry.get_mut(path));
            }
        }
        // Properties say where other engines write.
        if let Some(properties) = json.get_mut("properties").and_then(Value::as_object_mut) {
            for (_, value) in properties.iter_mut() {
                respell(store, Some(value));
            }
        }
        let former = json!({
            "metadata-file": store.present(&self.table.pointer.metadata_location),
            "timestamp-ms": metadata.last_updated_ms(),
        });
        let kept = metadata.properties().get(LOGGED.0);
        let kept = kept.and_then(|text| text.parse().ok()).unwrap_or(LOGGED.1);
        if let Some(object) = json.as_object_mut() {
            let log = object.entry("metadata-log").or_insert_with(|| json!([]));
            if let Some(log) = log.as_array_mut() {
                log.push(former);
                log.drain(..log.len().saturating_sub(kept.max(1)));
            }
            let now = Utc::now()
                .timestamp_millis()
                .max(metadata.last_updated_ms());
            object.insert("last-updated-ms".to_owned(), json!(now));
        }
        serde_json::from_value(json).map_err(odd)
    }
}

fn items<'a>(json: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    json.get_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// A URI of the store is named by its present place; any other text stays.
fn respell(store: &Store, value: Option<&mut Value>) {
    if let Some(Value::String(text)) = value {
        *text = store.present(text);
    }
}

fn respell_sources(store: &Store, value: &mut Value) -> Result<()> {
    let named = value
        .as_str()
        .and_then(|text| serde_json::from_str::<Vec<SourceRef>>(text).ok());
    let Some(mut named) = named else {
        return Ok(());
    };
    for source in &mut named {
        source.uri = store.present(&source.uri);
    }
    let text = serde_json::to_string(&named).map_err(|error| {
        Error::internal("source objects cannot be written as JSON").with_source(error)
    })?;
    *value = json!(text);
    Ok(())
}

/// Carries an entry into a rewritten manifest as it was, but for its path.
fn carry(
    writer: &mut ManifestWriter,
    store: &Store,
    entry: &ManifestEntry,
    partition_spec_id: i32,
) -> iceberg::Result<()> {
    let incomplete = |what: &str| iceberg::Error::new(iceberg::ErrorKind::DataInvalid, what);
    let file = moved(store, entry.data_file(), partition_spec_id)
        .map_err(|error| incomplete("a data file is incomplete").with_source(error))?;
    let sequence = entry
        .sequence_number
        .ok_or_else(|| incomplete("a file has no sequence number"))?;
    match entry.status {
        ManifestStatus::Added => writer.add_file(file, sequence),
        ManifestStatus::Deleted => {
            writer.add_delete_file(file, sequence, entry.file_sequence_number)
        }
        ManifestStatus::Existing => {
            let snapshot = entry
                .snapshot_id
                .ok_or_else(|| incomplete("a live file has no snapshot"))?;
            writer.add_existing_file(file, snapshot, sequence, entry.file_sequence_number)
        }
    }
}

/// The description of a data file, with its path in the present place.
fn moved(
    store: &Store,
    file: &DataFile,
    partition_spec_id: i32,
) -> std::result::Result<DataFile, iceberg::spec::DataFileBuilderError> {
    let mut builder = DataFileBuilder::default();
    builder
        .content(file.content_type())
        .file_path(store.present(file.file_path()))
        .file_format(file.file_format())
        .partition(file.partition().clone())
        .record_count(file.record_count())
        .file_size_in_bytes(file.file_size_in_bytes())
        .column_sizes(file.column_sizes().clone())
        .value_counts(file.value_counts().clone())
        .null_value_counts(file.null_value_counts().clone())
        .nan_value_counts(file.nan_value_counts().clone())
        .lower_bounds(file.lower_bounds().clone())
        .upper_bounds(file.upper_bounds().clone())
        .key_metadata(file.key_metadata().map(<[u8]>::to_vec))
        .split_offsets(file.split_offsets().map(<[i64]>::to_vec))
        .equality_ids(file.equality_ids())
        .first_row_id(file.first_row_id())
        .partition_spec_id(partition_spec_id)
        .referenced_data_file(file.referenced_data_file().map(|path| store.present(&path)))
        .content_offset(file.content_offset())
        .content_size_in_bytes(file.content_size_in_bytes());
    if let Some(order) = file.sort_order_id() {
        builder.sort_order_id(order);
    }
    builder.build()
}
