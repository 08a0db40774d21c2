//! Forgets old versions of a table and deletes the files that no version names any more.
//!
//! Invariants: a file that a kept snapshot names is never deleted, and nothing is deleted before the
//! catalog points at metadata without the expired snapshots. A stop in between leaves files that no
//! version names: the next round finds them as orphans.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt};
use iceberg::spec::{MAIN_BRANCH, ManifestFile, SnapshotRef, TableMetadata};
use serde_json::Value;
use tarn_core::ports::ObjectInfo;
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result, ResultExt, layout};

use crate::store::{Store, iceberg_error};
use crate::table::Table;
use crate::tables::{ATTEMPTS, Tables, given_up, no_such_table, pause};
use crate::writer::MetadataWriter;

/// Files that are deleted at once.
const CONCURRENT_DELETES: usize = 16;

/// Snapshots whose manifest lists are read at once.
const CONCURRENT_LISTS: usize = 16;

/// Endings of files that writers of Iceberg tables make. Any other file is left alone.
const ENDINGS: [&str; 5] = [".parquet", ".avro", ".metadata.json", ".puffin", ".stats"];

/// What is kept of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Versions that are younger than this are kept.
    pub keep_for: TimeDelta,
    /// This many of the newest versions are kept, however old they are; at least one.
    pub at_least: usize,
    /// Files that no version names are deleted once they are older than this: a commit may be about to
    /// name younger ones. Former metadata files are kept as long as versions are, too.
    pub orphans_after: TimeDelta,
}

/// What was done to a table, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Numbers of the versions that are forgotten, oldest first.
    pub expired: Vec<u64>,
    /// Keys of the files that are deleted, in order, with their sizes where they are known.
    pub deleted: BTreeMap<String, Option<u64>>,
    /// Keys of files that could not be deleted; the next round finds them again.
    pub left: Vec<String>,
}

impl Tables {
    /// Expires versions beyond the retention, and deletes the files that no version names any more. With
    /// `dry_run` nothing is changed, and the result says what would be done.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, `Unsupported` where it names files outside the store:
    /// then nothing is deleted.
    pub async fn maintain(
        &self,
        name: &TableName,
        retention: &Retention,
        now: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<Maintained> {
        run(self, name, retention, now, dry_run)
            .await
            .context(|| format!("maintenance of {name}"))
    }
}

async fn run(
    tables: &Tables,
    name: &TableName,
    retention: &Retention,
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<Maintained> {
    // Listed before the metadata is read: what is committed in between is named there.
    let listed = tables.store.list(&layout::table_prefix(name)).await?;
    let former = load(tables, name).await?.pointer.metadata_location;
    let expiry = expire(tables, name, retention, now, dry_run).await?;
    let table = load(tables, name).await?;
    let mut named = named_by(&table, retention, now, &listed).await?;
    // A reader may have just loaded it.
    named.insert(tables.store.key_of(&former)?);
    let mut deleted: BTreeMap<String, Option<u64>> =
        expiry.files.into_iter().map(|key| (key, None)).collect();
    for file in &listed {
        // An index lives as long as its data file.
        let indexed = layout::file_of_identifiers(&file.key);
        let known_kind =
            indexed.is_some() || ENDINGS.iter().any(|ending| file.key.ends_with(ending));
        let old = now - file.last_modified > retention.orphans_after;
        if known_kind && old && !named.contains(indexed.unwrap_or(&file.key)) {
            deleted.insert(file.key.clone(), None);
        }
    }
    for file in listed {
        if let Some(size) = deleted.get_mut(&file.key) {
            *size = Some(file.size);
        }
    }
    let mut done = Maintained {
        expired: expiry.versions,
        deleted,
        left: Vec::new(),
    };
    if !dry_run {
        done.left = delete(&tables.store, done.deleted.keys().cloned().collect()).await;
        for key in &done.left {
            done.deleted.remove(key);
        }
    }
    Ok(done)
}

async fn load(tables: &Tables, name: &TableName) -> Result<Table> {
    let table = tables.load(name).await?;
    table.ok_or_else(|| no_such_table(name))
}

/// Deletes what it can, and returns the keys of the rest.
async fn delete(store: &Store, keys: Vec<String>) -> Vec<String> {
    let deletes: Vec<_> = keys
        .into_iter()
        .map(|key| async move {
            match store.delete(&key).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::warn!(key, %error, "a file that no version names stays behind");
                    Some(key)
                }
            }
        })
        .collect();
    let mut left: Vec<String> = stream::iter(deletes)
        .buffer_unordered(CONCURRENT_DELETES)
        .filter_map(|left| async move { left })
        .collect()
        .await;
    left.sort();
    left
}

/// Snapshots that are forgotten, and the files that only they name.
#[derive(Default)]
struct Expiry {
    versions: Vec<u64>,
    files: BTreeSet<String>,
}

async fn expire(
    tables: &Tables,
    name: &TableName,
    retention: &Retention,
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<Expiry> {
    let mut tried: Option<(Error, String, Expiry)> = None;
    let mut writer = MetadataWriter::new(tables, name);
    for attempt in 0..=ATTEMPTS {
        if attempt > 0 {
            pause(attempt).await;
        }
        let table = load(tables, name).await?;
        if let Some((error, location, expiry)) = tried.take() {
            // The swap may have succeeded although its reply was lost.
            if table.descends_from(&location) {
                return Ok(expiry);
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
        let expired = expired(&table, retention, now)?;
        if expired.is_empty() {
            return Ok(Expiry::default());
        }
        let expiry = Expiry {
            versions: expired.iter().map(Table::version_of).collect(),
            files: only_in(&table, &expired).await?,
        };
        if dry_run {
            return Ok(expiry);
        }
        let ids: Vec<i64> = expired
            .iter()
            .map(|snapshot| snapshot.snapshot_id())
            .collect();
        let mut builder = table
            .metadata
            .as_ref()
            .clone()
            .into_builder(Some(table.pointer.metadata_location.clone()))
            .remove_snapshots(&ids);
        for id in &ids {
            builder = builder
                .remove_statistics(*id)
                .remove_partition_statistics(*id);
        }
        let metadata = builder
            .build()
            .map_err(iceberg_error(format!(
                "versions of {name} cannot be forgotten"
            )))?
            .metadata;
        writer.written.clear();
        let (next, location) = writer.put_metadata(&table, metadata).await?;
        let swapped = tables.swap(&table, &next, &location).await;
        match swapped {
            Ok(_) => return Ok(expiry),
            Err(error) => tried = Some((error, location, expiry)),
        }
    }
    Err(given_up(name, tried.map(|(error, ..)| error)))
}

/// The snapshots that nothing keeps, oldest first.
fn expired(table: &Table, retention: &Retention, now: DateTime<Utc>) -> Result<Vec<SnapshotRef>> {
    let metadata = table.metadata.as_ref();
    let oldest = (now - retention.keep_for).timestamp_millis();
    let mut kept: BTreeSet<i64> = BTreeSet::new();
    for (place, snapshot) in lineage(metadata, metadata.current_snapshot()).enumerate() {
        if place < retention.at_least.max(1) || snapshot.timestamp_ms() >= oldest {
            kept.insert(snapshot.snapshot_id());
        }
    }
    // Branches and tags of other engines keep all that they are made of.
    for id in other_refs(metadata)? {
        let lineage = lineage(metadata, metadata.snapshot_by_id(id));
        kept.extend(lineage.map(|snapshot| snapshot.snapshot_id()));
    }
    let mut expired: Vec<SnapshotRef> = metadata
        .snapshots()
        .filter(|snapshot| {
            !kept.contains(&snapshot.snapshot_id()) && snapshot.timestamp_ms() < oldest
        })
        .cloned()
        .collect();
    expired.sort_by_key(|snapshot| snapshot.sequence_number());
    Ok(expired)
}

/// A snapshot and its ancestors, newest first.
fn lineage<'a>(
    metadata: &'a TableMetadata,
    newest: Option<&'a SnapshotRef>,
) -> impl Iterator<Item = &'a SnapshotRef> {
    std::iter::successors(newest, |snapshot| {
        metadata.snapshot_by_id(snapshot.parent_snapshot_id()?)
    })
    // A history is never longer than the list of snapshots, whatever the file says.
    .take(metadata.snapshots().len())
}

/// The snapshots that branches and tags other than the main branch point at. `iceberg` does not expose the
/// map, but writes it as JSON.
fn other_refs(metadata: &TableMetadata) -> Result<Vec<i64>> {
    let json = serde_json::to_value(metadata).map_err(|error| {
        Error::internal("table metadata cannot be written as JSON").with_source(error)
    })?;
    let refs = json.get("refs").and_then(Value::as_object);
    Ok(refs
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.as_str() != MAIN_BRANCH)
        .filter_map(|(_, reference)| reference.get("snapshot-id")?.as_i64())
        .collect())
}

/// The files that these snapshots name and no other of the table does.
async fn only_in(table: &Table, expired: &[SnapshotRef]) -> Result<BTreeSet<String>> {
    let metadata = table.metadata.as_ref();
    let ids: BTreeSet<i64> = expired
        .iter()
        .map(|snapshot| snapshot.snapshot_id())
        .collect();
    let kept: Vec<SnapshotRef> = metadata
        .snapshots()
        .filter(|snapshot| !ids.contains(&snapshot.snapshot_id()))
        .cloned()
        .collect();
    let kept = Named::of(table, &kept, &BTreeSet::new()).await?;
    let mut gone = Named::of(table, expired, &kept.manifests).await?.keys;
    for (id, path) in statistics(metadata) {
        if ids.contains(&id) {
            gone.insert(table.store.key_of(path)?);
        }
    }
    gone.retain(|key| !kept.keys.contains(key));
    Ok(gone)
}

/// Snapshots with the statistics files that belong to them.
fn statistics(metadata: &TableMetadata) -> impl Iterator<Item = (i64, &str)> {
    let columns = metadata
        .statistics_iter()
        .map(|file| (file.snapshot_id, file.statistics_path.as_str()));
    let partitions = metadata
        .partition_statistics_iter()
        .map(|file| (file.snapshot_id, file.statistics_path.as_str()));
    columns.chain(partitions)
}

/// Files that some snapshots name: manifest lists, manifests, and the files in those.
struct Named {
    keys: BTreeSet<String>,
    manifests: BTreeSet<String>,
}

impl Named {
    /// Manifests in `known` are not opened.
    async fn of(
        table: &Table,
        snapshots: &[SnapshotRef],
        known: &BTreeSet<String>,
    ) -> Result<Named> {
        let store = &table.store;
        let format = table.metadata.format_version();
        let mut keys = BTreeSet::new();
        let mut manifests: BTreeMap<String, ManifestFile> = BTreeMap::new();
        let reads: Vec<_> = snapshots
            .iter()
            .map(|snapshot| async move { store.manifest_list(snapshot, format).await })
            .collect();
        let mut lists = stream::iter(reads).buffered(CONCURRENT_LISTS);
        while let Some(list) = lists.next().await {
            for manifest in list? {
                manifests.insert(manifest.manifest_path.clone(), manifest);
            }
        }
        for snapshot in snapshots {
            keys.insert(store.key_of(snapshot.manifest_list())?);
        }
        for path in manifests.keys() {
            keys.insert(store.key_of(path)?);
        }
        let unknown = manifests
            .values()
            .filter(|manifest| !known.contains(&manifest.manifest_path));
        let files = store
            .manifests(unknown, |_, content| {
                content
                    .entries()
                    .iter()
                    .filter(|entry| entry.is_alive())
                    .map(|entry| store.key_of(entry.file_path()))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        keys.extend(files.into_iter().flatten());
        Ok(Named {
            keys,
            manifests: manifests.into_keys().collect(),
        })
    }
}

/// Every file that the table needs: of all its versions, its statistics, its metadata file, and the
/// younger of its former metadata files.
async fn named_by(
    table: &Table,
    retention: &Retention,
    now: DateTime<Utc>,
    listed: &[ObjectInfo],
) -> Result<BTreeSet<String>> {
    let metadata = table.metadata.as_ref();
    let snapshots: Vec<SnapshotRef> = metadata.snapshots().cloned().collect();
    let named = Named::of(table, &snapshots, &BTreeSet::new())
        .await
        .context(|| format!("the files of {} are not all known", table.name()))?;
    let mut keys = named.keys;
    for (_, path) in statistics(metadata) {
        keys.insert(table.store.key_of(path)?);
    }
    keys.insert(
        table
            .store
            .key_of(table.pointer.metadata_location.as_str())?,
    );
    let longest = retention.keep_for.max(retention.orphans_after);
    let young = listed
        .iter()
        .filter(|file| file.key.ends_with(".metadata.json") && now - file.last_modified <= longest);
    keys.extend(young.map(|file| file.key.clone()));
    Ok(keys)
}
