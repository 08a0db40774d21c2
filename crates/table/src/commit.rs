//! The commit: from a change to a snapshot in the current metadata.
//!
//! Invariants: a file is live in at most one manifest of a snapshot. The snapshot id is chosen once per
//! commit, so a swap that succeeded without saying so is found in the table's history. Files of an
//! attempt are deleted only after a refused swap of which no other attempt is still unanswered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, Manifest, ManifestContentType, ManifestEntry,
    ManifestFile, ManifestWriter, Operation, PartitionSpec, SchemaRef, Snapshot, Summary,
    TableMetadata,
};
use tarn_core::schema::{PartitionValue, TableName};
use tarn_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::change::{
    Base, Change, Committed, KIND, NEWEST_SNAPSHOT, SOURCES, TAKES_OVER, Takeover,
};
use crate::files;
use crate::footer::{self, Target};
use crate::store::{iceberg_error, manifest_bytes, manifest_list_bytes, metadata_bytes};
use crate::table::Table;
use crate::tables::{ATTEMPTS, Tables, given_up, pause};

/// So many small manifests are merged into few: a reader opens at most about as many.
const MERGE_AT: usize = 50;

/// A manifest of this size (bytes) is no longer small, and merged ones do not grow beyond it.
const MANIFEST_SIZE: i64 = 8 * 1024 * 1024;

pub(crate) async fn run(
    tables: &Tables,
    name: &TableName,
    change: Change,
    takeover: Takeover,
) -> Result<Committed> {
    let mut commit = Commit {
        takeover,
        tables,
        name,
        // Snapshot ids are positive.
        snapshot_id: Uuid::new_v4().as_u64_pair().0.cast_signed() & i64::MAX,
        change,
        added: None,
        written: Vec::new(),
        unsettled: false,
    };
    let result = commit.run().await;
    if !matches!(result, Ok(Committed::Done { .. })) {
        commit.discard_written().await;
        if let Some(added) = commit.added.take()
            && !commit.unsettled
        {
            tables.store.discard(&[added.manifest.manifest_path]).await;
        }
    }
    result
}

struct Commit<'a> {
    tables: &'a Tables,
    name: &'a TableName,
    change: Change,
    takeover: Takeover,
    snapshot_id: i64,
    /// Written once, for all attempts.
    added: Option<Added>,
    /// What the attempt under way has written.
    written: Vec<String>,
    /// Whether some swap may have succeeded, or may yet: a refusal is believed only after a look at the
    /// table, and anything else never.
    unsettled: bool,
}

#[derive(Clone)]
struct Added {
    manifest: ManifestFile,
    totals: Totals,
    partitions: BTreeSet<PartitionValue>,
}

/// Counts of a set of files.
#[derive(Clone, Copy, Default)]
struct Totals {
    files: u64,
    rows: u64,
    bytes: u64,
}

impl Totals {
    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.rows += file.record_count();
        self.bytes += file.file_size_in_bytes();
    }
}

/// The manifests after the removals of a change.
struct Rest {
    manifests: Vec<ManifestFile>,
    removed: Totals,
    partitions: BTreeSet<PartitionValue>,
}

impl Commit<'_> {
    async fn run(&mut self) -> Result<Committed> {
        let no_files = self.change.add.is_empty() && self.change.remove.is_empty();
        if no_files && self.change.snapshot.is_none() {
            return Ok(Committed::NothingToDo);
        }
        let mut failure: Option<Error> = None;
        let mut refused = true;
        // One look at the table more than attempts: the last swap may have succeeded without saying so.
        for attempt in 0..=ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            let table = self.tables.load(self.name).await?.ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!("there is no table {}", self.name),
                )
            })?;
            if let Some(snapshot) = table.metadata.snapshot_by_id(self.snapshot_id) {
                let version = Table::version_of(snapshot);
                return Ok(Committed::Done {
                    snapshot_id: self.snapshot_id,
                    version,
                });
            }
            if let Some(error) = failure.take() {
                refused &= error.kind() == ErrorKind::Conflict;
                self.unsettled = !refused;
                self.discard_written().await;
                if !error.is_retryable() {
                    return Err(error);
                }
                if attempt == ATTEMPTS {
                    return Err(given_up(self.name, Some(error)));
                }
            }
            if self.change.unless_committed
                && let Some(snapshot) = table.committed_all(&self.change.sources, &self.change.kind)
            {
                let (snapshot_id, version) = (snapshot.snapshot_id(), Table::version_of(snapshot));
                return Ok(Committed::AlreadyThere {
                    snapshot_id,
                    version,
                });
            }
            self.check_base(&table)?;
            self.check_takeover(&table)?;
            if no_files && !self.is_newer_snapshot(&table)? {
                return Ok(Committed::NothingToDo);
            }
            let (next, location) = match no_files {
                true => self.prepare_properties(&table).await?,
                false => self.prepare(&table).await?,
            };
            let version = next
                .metadata
                .current_snapshot()
                .map_or(0, Table::version_of);
            self.unsettled = true;
            match self.tables.swap(&table, &next, &location).await {
                Ok(_) if no_files => {
                    // They are the table's now.
                    self.written.clear();
                    return Ok(Committed::NothingToDo);
                }
                Ok(_) => {
                    return Ok(Committed::Done {
                        snapshot_id: self.snapshot_id,
                        version,
                    });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(given_up(self.name, failure))
    }

    /// Whether the table is to remember another snapshot of its source than it does.
    fn is_newer_snapshot(&self, table: &Table) -> Result<bool> {
        Ok(self.change.snapshot.is_some() && self.change.snapshot != table.newest_snapshot()?)
    }

    /// The table properties that the change sets.
    fn properties(&self) -> Result<HashMap<String, String>> {
        let mut properties = HashMap::new();
        if let Some(snapshot) = &self.change.snapshot {
            let text = serde_json::to_string(snapshot).map_err(|error| {
                Error::internal("a snapshot's order cannot be written as JSON").with_source(error)
            })?;
            properties.insert(NEWEST_SNAPSHOT.to_owned(), text);
        }
        Ok(properties)
    }

    fn check_base(&self, table: &Table) -> Result<()> {
        if let (Some(own), Some(newest)) = (&self.change.snapshot, table.newest_snapshot()?)
            && newest > *own
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the table holds a newer snapshot of its source, {}",
                    newest.key
                ),
            ));
        }
        let current = table.current_snapshot_id();
        match self.change.base {
            Base::Exactly(base) if base != current => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the table has changed since it was read (from snapshot {base:?} to {current:?}); read it again"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn check_takeover(&self, table: &Table) -> Result<()> {
        let Takeover {
            run_id,
            runs,
            unless_committed,
        } = &self.takeover;
        let taken_over = |by: &str| Err(Error::new(ErrorKind::Conflict, by.to_owned()));
        if !run_id.is_empty() && table.was_taken_over(run_id) {
            return taken_over("another run took over the work of this one");
        }
        if *unless_committed && runs.iter().any(|run| table.has_run(run)) {
            return taken_over("the run that was to be taken over has committed after all");
        }
        Ok(())
    }

    async fn discard_written(&mut self) {
        let written = std::mem::take(&mut self.written);
        if !self.unsettled {
            self.tables.store.discard(&written).await;
        }
    }

    /// Puts a file of this attempt; its URI.
    async fn put(&mut self, stem: &str, bytes: Bytes) -> Result<String> {
        let uri = self.tables.metadata_uri(self.name, stem, "avro", &bytes);
        self.written.push(uri.clone());
        self.tables.store.put(&uri, bytes).await?;
        Ok(uri)
    }

    /// Puts a manifest of this attempt.
    async fn put_manifest(
        &mut self,
        stem: &str,
        (bytes, manifest): (Bytes, ManifestFile),
    ) -> Result<ManifestFile> {
        Ok(ManifestFile {
            manifest_path: self.put(stem, bytes).await?,
            ..manifest
        })
    }

    /// Writes everything but the pointer.
    async fn prepare(&mut self, table: &Table) -> Result<(Table, String)> {
        let metadata = table.metadata.as_ref();
        if metadata.format_version() != FormatVersion::V2 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} is of Iceberg format {}; only 2 is written",
                    self.name,
                    metadata.format_version()
                ),
            ));
        }
        let added = self.added(table).await?;
        let parent = metadata.current_snapshot();
        let current = match parent {
            Some(snapshot) => {
                self.tables
                    .store
                    .manifest_list(snapshot, metadata.format_version())
                    .await?
            }
            None => Vec::new(),
        };
        let rest = self.without_removed(table, current).await?;
        let mut manifests = self.merged(table, rest.manifests).await?;
        manifests.extend(added.as_ref().map(|added| added.manifest.clone()));
        let sequence_number = metadata.next_sequence_number();
        let summary = self.summary(
            parent.map(AsRef::as_ref),
            &manifests,
            added.as_ref(),
            (&rest.removed, &rest.partitions),
        )?;
        let ids = (
            self.snapshot_id,
            parent.map(|parent| parent.snapshot_id()),
            sequence_number,
        );
        let stem = format!("snap-{}-{}", self.snapshot_id, Uuid::new_v4());
        let list = manifest_list_bytes(ids, manifests).await?;
        let list = self.put(&stem, list).await?;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(ids.1)
            .with_sequence_number(sequence_number)
            // Clocks of writers differ; the history of one table must not run backwards.
            .with_timestamp_ms(
                Utc::now()
                    .timestamp_millis()
                    .max(metadata.last_updated_ms()),
            )
            .with_manifest_list(list)
            .with_summary(summary)
            .with_schema_id(metadata.current_schema_id())
            .build();
        let properties = self.properties()?;
        let built = metadata
            .clone()
            .into_builder(Some(table.pointer.metadata_location.clone()))
            .set_branch_snapshot(snapshot, MAIN_BRANCH)
            .and_then(|builder| builder.set_properties(properties))
            .and_then(|builder| builder.build())
            .map_err(iceberg_error("the new snapshot does not fit the table"))?;
        self.put_metadata(table, built.metadata).await
    }

    /// Writes everything but the pointer of a change that sets properties alone.
    async fn prepare_properties(&mut self, table: &Table) -> Result<(Table, String)> {
        let built = table
            .metadata
            .as_ref()
            .clone()
            .into_builder(Some(table.pointer.metadata_location.clone()))
            .set_properties(self.properties()?)
            .and_then(|builder| builder.build())
            .map_err(iceberg_error("the properties do not fit the table"))?;
        self.put_metadata(table, built.metadata).await
    }

    /// Writes the metadata file that follows the table's, and tells where it is.
    async fn put_metadata(
        &mut self,
        table: &Table,
        metadata: TableMetadata,
    ) -> Result<(Table, String)> {
        let bytes = metadata_bytes(&metadata)?;
        let former = Some(table.pointer.metadata_location.as_str());
        let location = self.tables.next_location(self.name, former, &bytes);
        self.written.push(location.clone());
        self.tables.store.put(&location, bytes).await?;
        let next = Table::new(
            self.name.clone(),
            table.pointer.clone(),
            metadata,
            self.tables.store.clone(),
        )?;
        Ok((next, location))
    }

    /// The manifest of the new files. It names neither base nor sequence number (files inherit that from
    /// the manifest list), so that every attempt can use it.
    async fn added(&mut self, table: &Table) -> Result<Option<Added>> {
        if self.change.add.is_empty() || self.added.is_some() {
            return Ok(self.added.clone());
        }
        let names: BTreeSet<&str> = self
            .change
            .add
            .iter()
            .map(|file| file.key.as_str())
            .collect();
        if names.len() < self.change.add.len() {
            return Err(Error::internal("a file is added twice in one commit"));
        }
        let schema = Arc::clone(table.metadata.current_schema());
        let files: Vec<_> = self
            .change
            .add
            .iter()
            .map(|file| (file.clone(), self.tables.store.uri(&file.key)))
            .collect();
        let partitioning = table.partitioning().cloned();
        let partition_spec_id = table.metadata.default_partition_spec_id();
        let read = tokio::task::spawn_blocking({
            let schema = Arc::clone(&schema);
            move || {
                let target = Target {
                    schema: &schema,
                    partition_spec_id,
                    partitioning: partitioning.as_ref(),
                };
                files
                    .iter()
                    .map(|(file, uri)| footer::data_file(&target, file, uri.clone()))
                    .collect::<Result<Vec<_>>>()
            }
        });
        let files = read.await.map_err(|error| {
            Error::internal("reading Parquet footers failed").with_source(error)
        })??;
        let mut totals = Totals::default();
        let mut partitions = BTreeSet::new();
        for file in &files {
            totals.add(file);
            partitions.insert(files::partition_value(file));
        }
        let spec = table.metadata.default_partition_spec().as_ref().clone();
        let kind = data_manifest(schema, spec);
        let (bytes, manifest) = manifest_bytes(self.snapshot_id, kind, |writer| {
            // The sequence number -1 leaves it to the commit.
            files
                .into_iter()
                .try_for_each(|file| writer.add_file(file, -1))
        })
        .await?;
        // No file of this attempt alone: later ones use it too.
        let stem = format!("{}-m0", Uuid::new_v4());
        let uri = self.tables.metadata_uri(self.name, &stem, "avro", &bytes);
        self.tables.store.put(&uri, bytes).await?;
        self.added = Some(Added {
            manifest: ManifestFile {
                manifest_path: uri,
                ..manifest
            },
            totals,
            partitions,
        });
        Ok(self.added.clone())
    }

    /// Rewrites the manifests that hold removed files.
    async fn without_removed(&mut self, table: &Table, current: Vec<ManifestFile>) -> Result<Rest> {
        // A manifest without live files told of removals by its own snapshot.
        let current: Vec<_> = current
            .into_iter()
            .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
            .collect();
        let mut missing: BTreeSet<String> = self.change.remove.iter().cloned().collect();
        let mut rest = Rest {
            manifests: Vec::new(),
            removed: Totals::default(),
            partitions: BTreeSet::new(),
        };
        if missing.is_empty() {
            rest.manifests = current;
            return Ok(rest);
        }
        let remove = missing.clone();
        let data = current
            .iter()
            .filter(|manifest| manifest.content == ManifestContentType::Data);
        let affected: HashMap<String, Manifest> = table
            .store
            .manifests(data, |manifest, content| {
                let mut hit = false;
                for entry in content.entries().iter().filter(|entry| entry.is_alive()) {
                    hit |= missing.remove(entry.file_path());
                }
                Ok(hit.then(|| (manifest.manifest_path.clone(), content)))
            })
            .await?
            .into_iter()
            .flatten()
            .collect();
        if let Some(gone) = missing.first() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "{gone} was to be removed and is no longer in the table; read the table again"
                ),
            ));
        }
        for manifest in current {
            let Some(content) = affected.get(&manifest.manifest_path) else {
                rest.manifests.push(manifest);
                continue;
            };
            for entry in content.entries().iter().filter(|entry| entry.is_alive()) {
                if remove.contains(entry.file_path()) {
                    rest.removed.add(entry.data_file());
                    rest.partitions
                        .insert(files::partition_value(entry.data_file()));
                }
            }
            let described = content.metadata();
            let kind = data_manifest(
                Arc::clone(&described.schema),
                described.partition_spec.clone(),
            );
            let rewritten = manifest_bytes(self.snapshot_id, kind, |writer| {
                let mut live = content.entries().iter().filter(|entry| entry.is_alive());
                live.try_for_each(|entry| carry(writer, entry, remove.contains(entry.file_path())))
            })
            .await?;
            let rewritten = self
                .put_manifest(&format!("{}-m1", Uuid::new_v4()), rewritten)
                .await?;
            rest.manifests.push(rewritten);
        }
        Ok(rest)
    }

    /// Merges small manifests where there are many, so that neither readers nor commits open hundreds.
    async fn merged(
        &mut self,
        table: &Table,
        manifests: Vec<ManifestFile>,
    ) -> Result<Vec<ManifestFile>> {
        let spec = table.metadata.default_partition_spec();
        let (small, mut kept): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|manifest| {
            manifest.content == ManifestContentType::Data
                && manifest.partition_spec_id == spec.spec_id()
                && manifest.manifest_length < MANIFEST_SIZE
                // A manifest of this very commit says what it removes.
                && manifest.added_snapshot_id != self.snapshot_id
        });
        if small.len() < MERGE_AT {
            kept.extend(small);
            return Ok(kept);
        }
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
        for bin in bins {
            if bin.len() < 2 {
                kept.extend(bin);
                continue;
            }
            let contents = table
                .store
                .manifests(&bin, |_, content| Ok(content))
                .await?;
            let schema = Arc::clone(table.metadata.current_schema());
            let kind = data_manifest(schema, spec.as_ref().clone());
            let merged = manifest_bytes(self.snapshot_id, kind, |writer| {
                let mut live = contents
                    .iter()
                    .flat_map(Manifest::entries)
                    .filter(|entry| entry.is_alive());
                live.try_for_each(|entry| carry(writer, entry, false))
            })
            .await?;
            let merged = self
                .put_manifest(&format!("{}-m2", Uuid::new_v4()), merged)
                .await?;
            kept.push(merged);
        }
        Ok(kept)
    }

    fn summary(
        &self,
        parent: Option<&Snapshot>,
        manifests: &[ManifestFile],
        added: Option<&Added>,
        (removed, removed_from): (&Totals, &BTreeSet<PartitionValue>),
    ) -> Result<Summary> {
        let sources = serde_json::to_string(&self.change.sources).map_err(|error| {
            Error::internal("source objects cannot be written as JSON").with_source(error)
        })?;
        let mut summary: BTreeMap<String, String> = self.change.summary.clone();
        summary.insert(SOURCES.to_owned(), sources);
        summary.insert(KIND.to_owned(), self.change.kind.clone());
        if !self.takeover.runs.is_empty() {
            let runs = serde_json::to_string(&self.takeover.runs).map_err(|error| {
                Error::internal("runs cannot be written as JSON").with_source(error)
            })?;
            summary.insert(TAKES_OVER.to_owned(), runs);
        }
        let mut set = |name: &str, value: u64| summary.insert(name.to_owned(), value.to_string());
        let new = added.map(|added| added.totals).unwrap_or_default();
        if new.files > 0 {
            set("added-data-files", new.files);
            set("added-records", new.rows);
            set("added-files-size", new.bytes);
        }
        if removed.files > 0 {
            set("deleted-data-files", removed.files);
            set("deleted-records", removed.rows);
            set("removed-files-size", removed.bytes);
        }
        let partitions = added
            .map(|added| &added.partitions)
            .into_iter()
            .flatten()
            .chain(removed_from);
        set(
            "changed-partition-count",
            partitions.collect::<BTreeSet<_>>().len() as u64,
        );
        let mut total = Totals::default();
        for manifest in manifests
            .iter()
            .filter(|manifest| manifest.content == ManifestContentType::Data)
        {
            let sum = |a: Option<u32>, b: Option<u32>| {
                u64::from(a.unwrap_or(0)) + u64::from(b.unwrap_or(0))
            };
            total.files += sum(manifest.added_files_count, manifest.existing_files_count);
            total.rows +=
                manifest.added_rows_count.unwrap_or(0) + manifest.existing_rows_count.unwrap_or(0);
        }
        set("total-data-files", total.files);
        set("total-records", total.rows);
        // Manifest lists do not say how large files are: the size, and what other engines deleted by
        // delete files, are known only if the parent says them.
        let before = |name: &str| match parent {
            Some(parent) => parent
                .summary()
                .additional_properties
                .get(name)?
                .parse::<u64>()
                .ok(),
            None => Some(0),
        };
        if let Some(bytes) = before("total-files-size") {
            set(
                "total-files-size",
                (bytes + new.bytes).saturating_sub(removed.bytes),
            );
        }
        for name in [
            "total-delete-files",
            "total-position-deletes",
            "total-equality-deletes",
        ] {
            if let Some(count) = before(name) {
                set(name, count);
            }
        }
        let operation = match (new.files, removed.files) {
            (_, 0) => Operation::Append,
            (0, _) => Operation::Delete,
            _ => Operation::Overwrite,
        };
        Ok(Summary {
            operation,
            additional_properties: summary.into_iter().collect(),
        })
    }
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
