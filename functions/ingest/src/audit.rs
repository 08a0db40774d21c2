//! Compares what runs accepted with what the tables hold. It reads only manifests, unless another engine has
//! put rows of several objects into one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tarn_contract::{Contract, Format};
use tarn_core::Result;
use tarn_core::run::{Replaced, RunRecord, RunStatus};
use tarn_engine::remove;
use tarn_lake::{Lake, blocking, version_parts};
use tarn_table::{FileFilter, Table, VersionRef};

use crate::commit::{Bounds, outcome_of};

/// Rows of an object that are not in a table as its run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The dataset.
    pub dataset: String,
    /// The object.
    pub key: String,
    /// Rows that its run accepted, without those that newer ones have replaced since.
    pub accepted: u64,
    /// Its rows in the table.
    pub in_table: u64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: its run accepted {} rows, and the table of {} holds {} of it",
            self.key, self.accepted, self.dataset, self.in_table
        )
    }
}

/// What a run accepted of an object.
struct Expected {
    run_id: String,
    rows: u64,
    snapshot_id: Option<i64>,
}

/// An object, and for a log its version.
type Source = (String, Option<String>);

/// Compares what the runs of one command accepted with the tables as they are. Databases are compared by
/// their own runs. An object that others have ingested since is left out.
///
/// # Errors
/// Where the tables cannot be read.
pub async fn audit(lake: &Lake, records: &[RunRecord]) -> Result<Vec<Difference>> {
    let mut datasets: BTreeMap<&str, BTreeMap<Source, Expected>> = BTreeMap::new();
    for record in records {
        if record.status != RunStatus::Succeeded {
            continue;
        }
        for outcome in &record.datasets {
            let Some(contract) = lake.contracts.get(&outcome.dataset) else {
                continue;
            };
            if contract.format == Format::Sqlite {
                continue;
            }
            let sources = datasets.entry(&contract.dataset).or_default();
            if let Some(line) = &outcome.completed {
                let version = version_parts(&line.version).0.to_owned();
                if let Some(expected) = sources.get_mut(&(line.key.clone(), Some(version))) {
                    expected.rows = expected.rows.saturating_sub(line.accepted);
                }
            }
            let version = contract.is_log().then(|| record.version.clone());
            let expected = Expected {
                run_id: record.run_id.clone(),
                rows: outcome.accepted,
                snapshot_id: outcome.snapshot_id,
            };
            // An object that was read again later in the command is counted as of then.
            sources.insert((record.key.clone(), version), expected);
        }
    }
    let mut differences = Vec::new();
    for (dataset, sources) in datasets {
        let Some(contract) = lake.contracts.get(dataset) else {
            continue;
        };
        let table = lake.tables.load(&contract.table()).await?;
        let (found, left) = match &table {
            Some(table) => (
                rows(lake, contract, table, sources.keys()).await?,
                Left::of(contract, table)?,
            ),
            None => (BTreeMap::new(), Left::default()),
        };
        for (source, expected) in &sources {
            let in_table = rows_of(&found, source, None);
            let left = left.since(expected.snapshot_id, &source.0);
            if in_table + left == expected.rows {
                continue;
            }
            let record = lake.ledger.object(&source.0).await?;
            if let Some(record) = record {
                // An object that was something else in between has two versions of one content.
                let exact = rows_of(&found, source, Some(&record.sequencer));
                if record.run_id != expected.run_id || exact + left == expected.rows {
                    continue;
                }
            }
            differences.push(Difference {
                dataset: dataset.to_owned(),
                key: source.0.clone(),
                accepted: expected.rows.saturating_sub(left),
                in_table,
            });
        }
    }
    Ok(differences)
}

/// Rows that left a table for equal ones of objects that were put later, as its versions say. They may be of
/// other commands, and of runs at the same time.
#[derive(Default)]
struct Left {
    /// The versions' snapshots in order, each with what was replaced.
    snapshots: Vec<(i64, Vec<Replaced>)>,
}

impl Left {
    fn of(contract: &Contract, table: &Table) -> Result<Self> {
        let mut left = Left::default();
        if contract.newest_by.is_empty() {
            return Ok(left);
        }
        for version in table.versions() {
            let outcome = outcome_of(&version)?;
            let replaced = outcome.map(|outcome| outcome.replaced).unwrap_or_default();
            left.snapshots.push((version.snapshot_id, replaced));
        }
        Ok(left)
    }

    /// Rows of an object that left after a snapshot.
    fn since(&self, snapshot_id: Option<i64>, key: &str) -> u64 {
        let ids = self.snapshots.iter();
        let Some(place) = ids
            .map(|(id, _)| *id)
            .position(|id| Some(id) == snapshot_id)
        else {
            return 0;
        };
        self.snapshots
            .iter()
            .skip(place + 1)
            .flat_map(|(_, replaced)| replaced)
            .filter(|replaced| replaced.key == key)
            .map(|replaced| replaced.rows)
            .sum()
    }
}

/// The rows of an object, or of one version of it: of the put with that sequencer alone where one is given.
fn rows_of(found: &BTreeMap<Source, u64>, (key, version): &Source, put: Option<&str>) -> u64 {
    let counts = found.iter().filter(|((of, full), _)| {
        let (content, sequencer) = version_parts(full.as_deref().unwrap_or_default());
        let is_version = version.as_deref().is_none_or(|version| version == content);
        let is_put = version.is_none() || put.is_none_or(|put| put == sequencer);
        of == key && is_version && is_put
    });
    counts.map(|(_, rows)| rows).sum()
}

/// Rows of these objects in the table of a contract; of logs by the versions that rows name.
async fn rows<'s>(
    lake: &Lake,
    contract: &Contract,
    table: &Table,
    sources: impl Iterator<Item = &'s Source>,
) -> Result<BTreeMap<Source, u64>> {
    let mut rows: BTreeMap<Source, u64> = BTreeMap::new();
    let mut keys: BTreeMap<String, &str> = BTreeMap::new();
    for (key, _) in sources {
        let uris = lake.objects.uris(key).into_iter();
        keys.extend(uris.map(|uri| (uri, key.as_str())));
    }
    let uris: BTreeSet<String> = keys.keys().cloned().collect();
    let filter = FileFilter::SourceUris(uris);
    let fields = table.fields();
    let mut count = |uri: &str, version: &str, number: u64| {
        let Some(key) = keys.get(uri) else {
            return;
        };
        let version = contract.is_log().then(|| version.to_owned());
        *rows.entry(((*key).to_owned(), version)).or_default() += number;
    };
    for file in table.files(&VersionRef::Current, Some(&filter)).await? {
        let bounds = Bounds::of(&fields, &file);
        match (file.only_source(), bounds.only_version()) {
            (Some(uri), Some(version)) => count(uri, version, file.rows),
            (Some(uri), None) if !contract.is_log() => count(uri, "", file.rows),
            _ => {
                let copy = lake.fetch_file(&file).await?;
                let fields = fields.clone();
                let found = blocking(move || remove::rows_in(&fields, copy.path())).await?;
                for (uri, version, number) in found {
                    count(&uri, &version, number);
                }
            }
        }
    }
    Ok(rows)
}
