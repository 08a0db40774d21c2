//! The summary of a new snapshot: what it adds and removes, and the totals after it.
//!
//! The names of the properties are those of <https://iceberg.apache.org/spec/#optional-snapshot-summary-fields>.

use std::collections::{BTreeMap, BTreeSet};

use iceberg::spec::{ManifestContentType, ManifestFile, Operation, Snapshot, Summary};
use tarn_core::{Error, Result};

use super::manifests::FileSet;
use crate::change::{Change, KIND, SOURCES, TAKES_OVER, Takeover};

/// What a snapshot does to the files of a table.
pub(super) struct Effect<'a> {
    pub parent: Option<&'a Snapshot>,
    pub added: &'a FileSet,
    pub removed: &'a FileSet,
    /// All manifests of the new snapshot.
    pub manifests: &'a [ManifestFile],
}

/// The summary of the snapshot that a change makes.
pub(super) fn summary(
    change: &Change,
    takeover: &Takeover,
    effect: &Effect<'_>,
) -> Result<Summary> {
    let json = |value: serde_json::Result<String>, what: &str| {
        value.map_err(|error| {
            Error::internal(format!("{what} cannot be written as JSON")).with_source(error)
        })
    };
    let mut properties: BTreeMap<String, String> = change.summary.clone();
    let sources = json(serde_json::to_string(&change.sources), "source objects")?;
    properties.insert(SOURCES.to_owned(), sources);
    properties.insert(KIND.to_owned(), change.kind.clone());
    if !takeover.runs.is_empty() {
        let runs = json(serde_json::to_string(&takeover.runs), "runs")?;
        properties.insert(TAKES_OVER.to_owned(), runs);
    }
    let counts = effect.changed().into_iter().chain(effect.totals());
    properties.extend(counts.map(|(name, count)| (name.to_owned(), count.to_string())));
    let operation = match (effect.added.files, effect.removed.files) {
        (_, 0) => Operation::Append,
        (0, _) => Operation::Delete,
        _ => Operation::Overwrite,
    };
    Ok(Summary {
        operation,
        additional_properties: properties.into_iter().collect(),
    })
}

impl Effect<'_> {
    /// Counts of what is added and removed.
    fn changed(&self) -> Vec<(&'static str, u64)> {
        let (added, removed) = (self.added, self.removed);
        let mut counts = Vec::new();
        if added.files > 0 {
            counts.push(("added-data-files", added.files));
            counts.push(("added-records", added.rows));
            counts.push(("added-files-size", added.bytes));
        }
        if removed.files > 0 {
            counts.push(("deleted-data-files", removed.files));
            counts.push(("deleted-records", removed.rows));
            counts.push(("removed-files-size", removed.bytes));
        }
        let partitions: BTreeSet<_> = added.partitions.union(&removed.partitions).collect();
        counts.push(("changed-partition-count", partitions.len() as u64));
        counts
    }

    /// Counts of the table after the change.
    fn totals(&self) -> Vec<(&'static str, u64)> {
        let (mut files, mut rows) = (0, 0);
        let data = self
            .manifests
            .iter()
            .filter(|manifest| manifest.content == ManifestContentType::Data);
        for manifest in data {
            files += u64::from(manifest.added_files_count.unwrap_or(0))
                + u64::from(manifest.existing_files_count.unwrap_or(0));
            rows +=
                manifest.added_rows_count.unwrap_or(0) + manifest.existing_rows_count.unwrap_or(0);
        }
        let mut totals = vec![("total-data-files", files), ("total-records", rows)];
        // Manifest lists do not say how large files are. Their size, and what other engines deleted by
        // delete files, are known only if the parent says them.
        if let Some(bytes) = self.before("total-files-size") {
            let bytes = (bytes + self.added.bytes).saturating_sub(self.removed.bytes);
            totals.push(("total-files-size", bytes));
        }
        for name in [
            "total-delete-files",
            "total-position-deletes",
            "total-equality-deletes",
        ] {
            totals.extend(self.before(name).map(|count| (name, count)));
        }
        totals
    }

    /// A total as the parent says it; 0 without a parent.
    fn before(&self, name: &str) -> Option<u64> {
        match self.parent {
            Some(parent) => parent
                .summary()
                .additional_properties
                .get(name)?
                .parse()
                .ok(),
            None => Some(0),
        }
    }
}
