//! Which lines of an object are in the tables as its own: a replay reads them again. The bounds of the tables'
//! files show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tarn_contract::Contract;
use tarn_contract::quarantine;
use tarn_core::Result;
use tarn_core::schema::TableName;
use tarn_engine::remove;
use tarn_lake::{Lake, blocking, version_parts};
use tarn_rows::source::Part;
use tarn_table::{FileFilter, VersionRef};

use crate::commit::Bounds;

/// From the first to the last of some rows, by the offsets of their lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineRange {
    pub first: i64,
    pub last: i64,
}

impl LineRange {
    pub fn and(self, other: LineRange) -> LineRange {
        LineRange {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    /// The part of the object that these lines are.
    pub fn part(self) -> Part {
        Part {
            from: u64::try_from(self.first).unwrap_or_default(),
            last: Some(self.last),
        }
    }
}

/// Rows by the version of their object.
type Versions = BTreeMap<String, LineRange>;

fn include(versions: &mut Versions, version: &str, range: LineRange) {
    versions
        .entry(version.to_owned())
        .and_modify(|known| *known = known.and(range))
        .or_insert(range);
}

/// The rows of an object in one table.
async fn in_table(lake: &Lake, name: &TableName, key: &str) -> Result<Versions> {
    let (uri, uris) = (lake.objects.uri(key), lake.objects.uris(key));
    let mut versions = Versions::new();
    let Some(table) = lake.tables.load(name).await? else {
        return Ok(versions);
    };
    let fields = table.fields();
    let filter = FileFilter::source_uri(&uri);
    for file in table.files(&VersionRef::Current, Some(&filter)).await? {
        let bounds = Bounds::of(&fields, &file);
        if file.is_only_of(&uris)
            && let (Some(version), Some((first, last))) = (bounds.only_version(), bounds.offsets())
        {
            include(&mut versions, version, LineRange { first, last });
            continue;
        }
        // From before versions had whole bounds, or put together by another engine.
        let copy = lake.fetch_file(&file).await?;
        let (fields, uris) = (fields.clone(), uris.clone());
        let found = blocking(move || remove::versions_in(&fields, copy.path(), &uris)).await?;
        for (version, first, last) in found {
            include(&mut versions, &version, LineRange { first, last });
        }
    }
    Ok(versions)
}

/// Whether a table has rows of a version of an object.
pub(crate) async fn has_rows(
    lake: &Lake,
    table: &TableName,
    key: &str,
    version: &str,
) -> Result<bool> {
    let versions = in_table(lake, table, key).await?;
    Ok(versions.contains_key(version))
}

/// The rows that tables have of an object as its own.
pub(crate) struct OwnLines {
    accepted: Versions,
    rejected: Versions,
}

impl OwnLines {
    /// Reads them from the tables.
    pub async fn of(lake: &Lake, contract: &Contract, key: &str) -> Result<Self> {
        Ok(OwnLines {
            accepted: in_table(lake, &contract.table(), key).await?,
            rejected: in_table(lake, &quarantine::table(&contract.dataset), key).await?,
        })
    }

    /// The rows of a version.
    pub fn range(&self, version: &str) -> Option<LineRange> {
        match (self.accepted.get(version), self.rejected.get(version)) {
            (Some(accepted), Some(rejected)) => Some(accepted.and(*rejected)),
            (one, other) => one.or(other).copied(),
        }
    }

    /// Whether a version has accepted rows.
    pub fn has_accepted(&self, version: &str) -> bool {
        self.accepted.contains_key(version)
    }

    /// The versions, in the order in which they were put.
    pub fn versions(&self) -> Vec<String> {
        let mut versions: Vec<String> = self
            .accepted
            .keys()
            .chain(self.rejected.keys())
            .cloned()
            .collect();
        versions.sort_by(|a, b| {
            let sequencer = |version| version_parts(version).1;
            (sequencer(a), a).cmp(&(sequencer(b), b))
        });
        versions.dedup();
        versions
    }
}

/// Lines that a replay is about to put into tables again. They are recorded while they may be missing from both
/// tables: after a crash, the first and last would not be known otherwise.
pub(crate) struct Window<'a> {
    lake: &'a Lake,
    name: String,
}

impl<'a> Window<'a> {
    pub fn new(lake: &'a Lake, contract: &Contract, key: &str, version: &str) -> Self {
        Window {
            lake,
            name: format!("content/{}/again/{key}@{version}", contract.dataset),
        }
    }

    /// What an earlier replay was about to do, where it was stopped.
    pub async fn open(&self) -> Result<Option<LineRange>> {
        let text = self.lake.ledger.state(&self.name).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Records that these lines are about to be put.
    pub async fn begin(&self, range: LineRange) -> Result<()> {
        let text = format!("{{\"first\":{},\"last\":{}}}", range.first, range.last);
        self.lake.ledger.put_state(&self.name, &text).await
    }

    /// Records that the line at an offset, and every line after it, is no longer the object's own.
    pub async fn end_before(&self, offset: u64) -> Result<()> {
        let last = i64::try_from(offset).unwrap_or(i64::MAX) - 1;
        match self.open().await? {
            Some(range) if range.last > last => self.begin(LineRange { last, ..range }).await,
            _ => Ok(()),
        }
    }

    /// Records that they are in the tables.
    pub async fn end(&self) -> Result<()> {
        self.lake.ledger.put_state(&self.name, "").await
    }
}
