//! A table as it was when it was loaded.

use std::fmt;
use std::sync::Arc;

use iceberg::spec::{SnapshotRef, TableMetadata};
use tarn_contract::SnapshotOrder;
use tarn_core::ports::TablePointer;
use tarn_core::schema::{Partitioning, TableField, TableName, TableSpec};
use tarn_core::{Error, ErrorKind, Result};

use crate::change::{KIND, NEWEST_SNAPSHOT, RUN_ID, SOURCES, SourceRef, TAKES_OVER};
use crate::schema::{self, COMMENT};
use crate::store::Store;
use crate::version::{self, Version, VersionRef};

/// A table as it was when it was loaded; it does not follow later commits.
#[derive(Clone)]
pub struct Table {
    pub(crate) name: TableName,
    pub(crate) pointer: TablePointer,
    pub(crate) metadata: Arc<TableMetadata>,
    pub(crate) store: Store,
    location: String,
    fields: Vec<TableField>,
    partitioning: Option<Partitioning>,
    /// From the current snapshot to the oldest that is left.
    history: Vec<SnapshotRef>,
    versions: Vec<Version>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("pointer", &self.pointer)
            .finish_non_exhaustive()
    }
}

impl Table {
    pub(crate) fn new(
        name: TableName,
        pointer: TablePointer,
        metadata: TableMetadata,
        store: Store,
    ) -> Result<Self> {
        let schema = metadata.current_schema();
        let fields =
            schema::fields(schema).map_err(|error| error.context(format!("table {name}")))?;
        let partitioning = schema::partitioning(metadata.default_partition_spec(), schema)
            .map_err(|error| error.context(format!("table {name}")))?;
        let mut history = Vec::new();
        let mut next = metadata.current_snapshot();
        // A history is never longer than the list of snapshots, whatever the file says.
        while let Some(snapshot) = next
            && history.len() < metadata.snapshots().len()
        {
            history.push(Arc::clone(snapshot));
            next = snapshot
                .parent_snapshot_id()
                .and_then(|parent| metadata.snapshot_by_id(parent));
        }
        let mut versions = history
            .iter()
            .map(|snapshot| Version::of(snapshot))
            .collect::<Result<Vec<_>>>()?;
        versions.sort_by_key(|version| version.number);
        Ok(Table {
            location: store.location(&pointer.metadata_location),
            name,
            pointer,
            metadata: Arc::new(metadata),
            store,
            fields,
            partitioning,
            history,
            versions,
        })
    }

    /// The table's name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The current columns, in order, with the field ids that new files must carry.
    pub fn fields(&self) -> Vec<TableField> {
        self.fields.clone()
    }

    /// The columns as of a version. The current version has the current columns, also those that were
    /// added after its commit.
    ///
    /// # Errors
    /// `NotFound` where there is no such version.
    pub fn fields_at(&self, version: &VersionRef) -> Result<Vec<TableField>> {
        let Some(snapshot) = self.snapshot(version)? else {
            return Ok(self.fields());
        };
        if *version == VersionRef::Current {
            return Ok(self.fields());
        }
        let schema = snapshot
            .schema(&self.metadata)
            .map_err(crate::store::iceberg_error(format!(
                "the columns of an old version of {} are unknown",
                self.name
            )))?;
        schema::fields(&schema)
    }

    /// How the table is partitioned.
    pub fn partitioning(&self) -> Option<&Partitioning> {
        self.partitioning.as_ref()
    }

    /// What the catalog shows people.
    pub fn spec(&self) -> TableSpec {
        let identifier: Vec<i32> = self
            .metadata
            .current_schema()
            .identifier_field_ids()
            .collect();
        TableSpec {
            name: self.name.clone(),
            doc: self
                .metadata
                .properties()
                .get(COMMENT)
                .cloned()
                .unwrap_or_default(),
            fields: self
                .fields
                .iter()
                .map(|field| field.field.clone())
                .collect(),
            partitioning: self.partitioning.clone(),
            identifier: self
                .fields
                .iter()
                .filter(|field| identifier.contains(&field.id))
                .map(|field| field.field.name.clone())
                .collect(),
        }
    }

    /// URI of the current metadata file: what other Iceberg readers open.
    pub fn metadata_location(&self) -> &str {
        &self.location
    }

    /// The current snapshot; None before the first commit.
    pub fn current_snapshot_id(&self) -> Option<i64> {
        self.metadata.current_snapshot_id()
    }

    /// The versions that are left, oldest first.
    pub fn versions(&self) -> Vec<Version> {
        self.versions.clone()
    }

    /// The version that is meant; None for the current one of a table without any.
    ///
    /// # Errors
    /// `NotFound` where there is no such version, saying which there are.
    pub fn find_version(&self, version: &VersionRef) -> Result<Option<Version>> {
        self.snapshot(version)?
            .map(|snapshot| Version::of(&snapshot))
            .transpose()
    }

    /// The newest database snapshot that was applied to the table; None if none was, or if a version of Tarn
    /// applied it that did not remember it.
    ///
    /// # Errors
    /// `Storage` where the table's property cannot be read.
    pub fn newest_snapshot(&self) -> Result<Option<SnapshotOrder>> {
        let Some(text) = self.metadata.properties().get(NEWEST_SNAPSHOT) else {
            return Ok(None);
        };
        serde_json::from_str(text).map(Some).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!(
                    "the property {NEWEST_SNAPSHOT} of {} does not name a snapshot",
                    self.name
                ),
            )
            .with_source(error)
        })
    }

    /// The newest snapshot of that kind which names the source object at that version.
    pub fn committed(&self, source: &SourceRef, kind: &str) -> Option<i64> {
        self.committed_all(std::slice::from_ref(source), kind)
            .map(|snapshot| snapshot.snapshot_id())
    }

    /// The newest snapshot of that kind which names all these.
    pub(crate) fn committed_all(&self, sources: &[SourceRef], kind: &str) -> Option<&SnapshotRef> {
        if sources.is_empty() {
            return None;
        }
        self.history.iter().find(|snapshot| {
            let summary = &snapshot.summary().additional_properties;
            let is_same = |named: &SourceRef, source: &SourceRef| {
                named.version == source.version && self.store.is_same(&named.uri, &source.uri)
            };
            summary.get(KIND).is_some_and(|text| text == kind)
                && summary
                    .get(SOURCES)
                    .and_then(|text| serde_json::from_str::<Vec<SourceRef>>(text).ok())
                    .is_some_and(|named| {
                        let has =
                            |source: &SourceRef| named.iter().any(|named| is_same(named, source));
                        sources.iter().all(has)
                    })
        })
    }

    /// Whether a snapshot that is left was made by that run.
    pub fn has_run(&self, run_id: &str) -> bool {
        self.history.iter().any(|snapshot| {
            let summary = &snapshot.summary().additional_properties;
            summary.get(RUN_ID).is_some_and(|text| text == run_id)
        })
    }

    /// Whether a snapshot that is left took over the work of that run.
    pub fn was_taken_over(&self, run_id: &str) -> bool {
        self.history.iter().any(|snapshot| {
            let summary = &snapshot.summary().additional_properties;
            summary
                .get(TAKES_OVER)
                .and_then(|text| serde_json::from_str::<Vec<String>>(text).ok())
                .is_some_and(|runs| runs.iter().any(|run| run == run_id))
        })
    }

    pub(crate) fn snapshot(&self, version: &VersionRef) -> Result<Option<SnapshotRef>> {
        let by_id = |id: i64| self.metadata.snapshot_by_id(id);
        let found = match *version {
            VersionRef::Current => return Ok(self.metadata.current_snapshot().cloned()),
            VersionRef::Number(number) => {
                let numbered = self
                    .history
                    .iter()
                    .find(|snapshot| snapshot.sequence_number() == number);
                numbered.or_else(|| by_id(number))
            }
            VersionRef::Snapshot(id) => by_id(id),
            VersionRef::AsOf(instant) => self
                .history
                .iter()
                .find(|snapshot| snapshot.timestamp_ms() <= instant.timestamp_millis()),
        };
        found.cloned().map(Some).ok_or_else(|| {
            let wanted = match version {
                VersionRef::Current => "current version".to_owned(),
                VersionRef::Number(number) => format!("version {number}"),
                VersionRef::Snapshot(id) => format!("snapshot {id}"),
                VersionRef::AsOf(instant) => format!("version as old as {}", instant.to_rfc3339()),
            };
            let there = match (self.versions.first(), self.versions.last()) {
                (Some(first), Some(last)) => {
                    format!(
                        "it has the versions {} to {}, the first of {}",
                        first.number,
                        last.number,
                        first.committed_at.to_rfc3339()
                    )
                }
                _ => "nothing was committed to it yet".to_owned(),
            };
            Error::new(
                ErrorKind::NotFound,
                format!("{} has no {wanted}: {there}", self.name),
            )
        })
    }

    /// Whether that metadata file is the table's or was before.
    pub(crate) fn descends_from(&self, location: &str) -> bool {
        self.store
            .is_same(&self.pointer.metadata_location, location)
            || self
                .metadata
                .metadata_log()
                .iter()
                .any(|entry| self.store.is_same(&entry.metadata_file, location))
    }

    /// A snapshot's version number.
    pub(crate) fn version_of(snapshot: &SnapshotRef) -> u64 {
        version::number(snapshot)
    }
}
