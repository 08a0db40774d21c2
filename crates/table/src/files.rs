//! The live data files of a version, and which of them a reader needs.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use iceberg::spec::{
    DataContentType, DataFile, Datum, FieldSummary, ManifestContentType, ManifestFile,
    PrimitiveLiteral, Snapshot,
};
use tarn_core::calendar::partition_of_day;
use tarn_core::schema::{PartitionUnit, PartitionValue, system};
use tarn_core::{Error, ErrorKind, Result};

use crate::data_file::{DataFileInfo, LiveFile};
use crate::table::Table;
use crate::version::VersionRef;

/// Field id of `file_path` in position delete files (Iceberg's reserved ids).
const DELETED_PATH: i32 = 2_147_483_546;

/// Which files are wanted. A file is left out only if none of its rows can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFilter {
    /// Rows of these source objects, by any URI that names them. Files are pruned by the bounds of `_source_uri`.
    SourceUris(BTreeSet<String>),
    /// Rows of these days, counted from 1970-01-01 (UTC), by the partition; it leaves out rows without
    /// a day, and nothing on a table without partitions.
    Days(RangeInclusive<i32>),
    /// Rows of these partitions; leaves out nothing on a table without partitions.
    Partitions(BTreeSet<PartitionValue>),
}

impl FileFilter {
    /// Rows of one source object.
    pub fn source_uri(uri: &str) -> Self {
        FileFilter::SourceUris([uri.to_owned()].into())
    }
}

impl Table {
    /// The live data files of a version, oldest first; those that the filter rules out are left out.
    ///
    /// # Errors
    /// `NotFound` where there is no such version, `Unsupported` where another engine deleted rows of one
    /// of the files by a delete file.
    pub async fn files(
        &self,
        version: &VersionRef,
        filter: Option<&FileFilter>,
    ) -> Result<Vec<Arc<DataFileInfo>>> {
        match self.snapshot(version)? {
            Some(snapshot) => list(self, &snapshot, filter).await,
            None => Ok(Vec::new()),
        }
    }
}

async fn list(
    table: &Table,
    snapshot: &Snapshot,
    filter: Option<&FileFilter>,
) -> Result<Vec<Arc<DataFileInfo>>> {
    let source_id = table
        .metadata
        .current_schema()
        .field_id_by_name(system::SOURCE_URI);
    if matches!(filter, Some(FileFilter::SourceUris(_))) && source_id.is_none() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{} has no column {}: its rows name no source object",
                table.name(),
                system::SOURCE_URI
            ),
        ));
    }
    let pruning = Pruning::new(table, filter, source_id);
    let manifests = table
        .store
        .manifest_list(snapshot, table.metadata.format_version())
        .await?;
    let (data, deletes): (Vec<_>, Vec<_>) = manifests
        .iter()
        .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
        .partition(|manifest| manifest.content == ManifestContentType::Data);
    let wanted = data
        .into_iter()
        .filter(|manifest| pruning.manifest_may_match(manifest));
    let read = table.store.live_files(wanted, source_id).await?;
    let mut live: Vec<&LiveFile> = Vec::new();
    for (manifest, files) in &read {
        if manifest.partition_spec_id != table.metadata.default_partition_spec_id()
            && !files.is_empty()
        {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} has files of a former partition layout; rewrite them",
                    table.name()
                ),
            ));
        }
        live.extend(
            files
                .iter()
                .filter(|file| pruning.file_may_match(&file.info)),
        );
    }
    refuse_deleted_rows(table, &live, deletes).await?;
    // In the order in which they were committed.
    live.sort_by(|a, b| (a.sequence_number, &a.info.uri).cmp(&(b.sequence_number, &b.info.uri)));
    Ok(live
        .into_iter()
        .map(|file| Arc::clone(&file.info))
        .collect())
}

/// A filter, made ready for one table.
struct Pruning<'a> {
    source: Option<(i32, Vec<String>)>,
    partitions: Option<Wanted<'a>>,
}

enum Wanted<'a> {
    Range(i32, i32),
    Values(&'a BTreeSet<PartitionValue>),
}

impl<'a> Pruning<'a> {
    fn new(table: &Table, filter: Option<&'a FileFilter>, source_id: Option<i32>) -> Self {
        let unit = table.partitioning().map(|by| by.unit);
        let source = match filter {
            Some(FileFilter::SourceUris(uris)) => source_id.map(|id| {
                let spelled = uris.iter().flat_map(|uri| table.store.spellings(uri));
                (id, spelled.collect())
            }),
            _ => None,
        };
        let partitions = match (filter, unit) {
            (Some(FileFilter::Days(days)), Some(unit)) => Some(wanted_range(days, unit)),
            (Some(FileFilter::Partitions(values)), Some(_)) => Some(Wanted::Values(values)),
            _ => None,
        };
        Pruning { source, partitions }
    }

    fn manifest_may_match(&self, manifest: &ManifestFile) -> bool {
        let Some(wanted) = &self.partitions else {
            return true;
        };
        let Some([summary]) = manifest.partitions.as_deref() else {
            return true;
        };
        wanted.may_be_in(summary)
    }

    fn file_may_match(&self, file: &DataFileInfo) -> bool {
        if let Some(wanted) = &self.partitions
            && !wanted.has(file.partition)
        {
            return false;
        }
        let Some((id, uris)) = &self.source else {
            return true;
        };
        let Some(column) = file.column(*id) else {
            return true;
        };
        uris.iter().any(|uri| column.may_hold(uri))
    }
}

fn wanted_range(days: &RangeInclusive<i32>, unit: PartitionUnit) -> Wanted<'static> {
    Wanted::Range(
        partition_of_day(*days.start(), unit),
        partition_of_day(*days.end(), unit),
    )
}

impl Wanted<'_> {
    fn has(&self, value: PartitionValue) -> bool {
        match self {
            Wanted::Range(first, last) => {
                value.is_some_and(|value| (*first..=*last).contains(&value))
            }
            Wanted::Values(values) => values.contains(&value),
        }
    }

    fn may_be_in(&self, summary: &FieldSummary) -> bool {
        let bound = |bytes: Option<&[u8]>| {
            bytes
                .and_then(|bytes| bytes.try_into().ok())
                .map(i32::from_le_bytes)
        };
        let lower = bound(summary.lower_bound.as_ref().map(|bytes| bytes.as_slice()));
        let upper = bound(summary.upper_bound.as_ref().map(|bytes| bytes.as_slice()));
        let in_bounds = |first: i32, last: i32| match (lower, upper) {
            (Some(lower), Some(upper)) => first <= upper && last >= lower,
            // Without bounds there are nulls only.
            _ => !summary.contains_null,
        };
        match self {
            Wanted::Range(first, last) => in_bounds(*first, *last),
            Wanted::Values(values) => values.iter().any(|value| match value {
                Some(value) => in_bounds(*value, *value),
                None => summary.contains_null,
            }),
        }
    }
}

fn string(datum: &Datum) -> &str {
    match datum.literal() {
        PrimitiveLiteral::String(text) => text,
        _ => "",
    }
}

/// Other engines mark single rows as deleted in files of their own. They are not applied here, so a file
/// that has some must not be read.
async fn refuse_deleted_rows(
    table: &Table,
    live: &[&LiveFile],
    deletes: Vec<&ManifestFile>,
) -> Result<()> {
    if deletes.is_empty() || live.is_empty() {
        return Ok(());
    }
    let mut specs = HashMap::new();
    for spec in table.metadata.partition_specs_iter() {
        specs.insert(spec.spec_id(), spec.is_unpartitioned());
    }
    let marks: Vec<_> = table
        .store
        .manifests(deletes, |manifest, content| {
            let live = content.entries().iter().filter(|entry| entry.is_alive());
            Ok(live
                .map(|entry| (manifest.partition_spec_id, Arc::clone(entry)))
                .collect::<Vec<_>>())
        })
        .await?
        .into_iter()
        .flatten()
        .collect();
    for file in live {
        let marked = marks.iter().any(|(spec, mark)| {
            let everywhere = specs.get(spec).copied().unwrap_or(true);
            let same_partition = *spec == table.metadata.default_partition_spec_id()
                && *mark.data_file().partition() == file.partition;
            match mark.content_type() {
                DataContentType::EqualityDeletes => {
                    file.sequence_number < mark.sequence_number && (everywhere || same_partition)
                }
                _ => {
                    file.sequence_number <= mark.sequence_number
                        && same_partition
                        && may_name(mark.data_file(), &file.info.uri)
                }
            }
        });
        if marked {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "another engine deleted rows of {} by delete files, which are not applied here (the first is for {}): \
                     rewrite the table's data files with that engine (in Athena: OPTIMIZE ... REWRITE DATA USING BIN_PACK)",
                    table.name(),
                    file.info.uri
                ),
            ));
        }
    }
    Ok(())
}

fn may_name(mark: &DataFile, path: &str) -> bool {
    if let Some(named) = mark.referenced_data_file() {
        return named == path;
    }
    let below = mark
        .lower_bounds()
        .get(&DELETED_PATH)
        .is_some_and(|lower| path < string(lower));
    let above = mark
        .upper_bounds()
        .get(&DELETED_PATH)
        .is_some_and(|upper| path > string(upper));
    !below && !above
}
