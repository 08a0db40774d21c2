//! Puts the rows of a run into a table, and takes out those that they replace.

use std::collections::BTreeSet;
use std::sync::Arc;

use tarn_core::Result;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{TableField, TableSpec, system};
use tarn_core::{Error, ErrorKind};
use tarn_engine::parquet::ParquetFile;
use tarn_engine::remove::{self, RemovedRows};
use tarn_lake::{blocking, source_version, staged_files};
use tarn_rows::planned::RowsOf;
use tarn_table::{
    Base, Bound, Change, ColumnSummary, Committed, DataFileInfo, FileFilter, SourceRef, Table,
    Takeover, Version, VersionRef,
};

use crate::newest::Rewritten;
use crate::run::Run;

/// The snapshot property that holds the counts of a run as JSON, without the results of its checks and its
/// profile.
const OUTCOME: &str = "tarn.outcome";

/// The kind of snapshot that an ingest of an object makes.
pub(crate) const APPEND: &str = "ingest";

/// What a run puts into a table.
pub(crate) struct Put<'a> {
    /// The table.
    pub spec: &'a TableSpec,
    /// Its new rows.
    pub files: &'a [ParquetFile],
    /// The rows that they replace.
    pub replaces: &'a [RowsOf],
    /// Files of the table that lose rows of other objects. [`Put::replaces`] is taken out of them already.
    pub rewritten: &'a [Rewritten],
    /// What it was computed from.
    pub base: Base,
    /// Commit nothing if a snapshot has the same version of the object.
    pub unless_committed: bool,
    /// The counts to be found again after a crash.
    pub outcome: Option<&'a DatasetOutcome>,
    /// Runs that it takes over.
    pub takeover: Takeover,
}

/// The result of a commit.
pub(crate) struct Done {
    /// The snapshot; None where nothing changed.
    pub snapshot_id: Option<i64>,
    /// Rows that were taken out, for each of [`Put::replaces`].
    pub removed: Vec<u64>,
}

impl Run<'_> {
    /// The object as snapshots name it.
    pub(crate) fn source(&self) -> SourceRef {
        SourceRef {
            uri: self.uri.clone(),
            version: source_version(&self.info),
        }
    }

    /// The run as it commits, taking over no other.
    pub(crate) fn takeover(&self) -> Takeover {
        Takeover {
            run_id: self.id.clone(),
            ..Takeover::default()
        }
    }
}

/// Commits rows, once.
///
/// # Errors
/// `Conflict` if the table was changed in a way that matters: read it again.
pub(crate) async fn put(run: &Run<'_>, put: Put<'_>) -> Result<Done> {
    let table = run.lake.table(&put.spec.name).await?;
    let mut add = staged_files(run.lake, &put.spec.name, &run.id, put.files).await?;
    let mut remove = Vec::new();
    let mut removed = vec![0; put.replaces.len()];
    for file in put.rewritten {
        add.extend(staged_files(run.lake, &put.spec.name, &run.id, &file.rest).await?);
        remove.push(file.file.uri.clone());
    }
    for (number, file) in holding(&table, put.replaces).await?.into_iter().enumerate() {
        if put.rewritten.iter().any(|done| done.file.uri == file.uri) {
            continue;
        }
        let found = match wholly(&table.fields(), &file, put.replaces) {
            Some(index) => {
                removed[index] += file.rows;
                true
            }
            None => {
                // Rows of several versions or objects are in one file: a line was completed, or another
                // engine put them together.
                let copy = run.lake.fetch_file(&file).await?;
                let staging = run.staging.subfolder(&format!("rest-{number}"))?;
                let (fields, rows) = (table.fields(), put.replaces.to_vec());
                let (partitioning, none) = (put.spec.partitioning.clone(), BTreeSet::new());
                let rest = blocking(move || {
                    let by = partitioning.as_ref();
                    let rows = RemovedRows {
                        kinds: &rows,
                        positions: &none,
                    };
                    remove::without(&fields, copy.path(), rows, by, &staging)
                })
                .await?;
                if let Some(rest) = &rest {
                    for (all, here) in removed.iter_mut().zip(&rest.removed) {
                        *all += here;
                    }
                    let name = &put.spec.name;
                    add.extend(staged_files(run.lake, name, &run.id, &rest.files).await?);
                }
                rest.is_some()
            }
        };
        if found {
            remove.push(file.uri.clone());
        }
    }
    let mut summary = run.summary();
    if let Some(outcome) = put.outcome {
        let parts = put.replaces.iter().zip(&removed);
        let accepted = parts
            .filter(|(rows, _)| rows.from.is_some())
            .map(|(_, rows)| rows);
        summary.insert(OUTCOME.to_owned(), counts(outcome, accepted.sum())?);
    }
    let change = Change {
        add,
        remove,
        base: put.base,
        sources: vec![run.source()],
        kind: APPEND.to_owned(),
        unless_committed: put.unless_committed,
        snapshot: None,
        summary,
    };
    let committed = run
        .lake
        .tables
        .commit_as(&put.spec.name, change, put.takeover);
    let snapshot_id = match committed.await? {
        Committed::Done { snapshot_id, .. } | Committed::AlreadyThere { snapshot_id, .. } => {
            Some(snapshot_id)
        }
        Committed::NothingToDo => None,
    };
    Ok(Done {
        snapshot_id,
        removed,
    })
}

/// An outcome without the results of its checks and its profile, which may be large.
pub(crate) fn counts_of(outcome: &DatasetOutcome) -> DatasetOutcome {
    DatasetOutcome {
        checks: Vec::new(),
        profile: Vec::new(),
        ..outcome.clone()
    }
}

/// The counts of an outcome as text; `completed` accepted rows are taken back.
fn counts(outcome: &DatasetOutcome, completed: u64) -> Result<String> {
    let mut counts = counts_of(outcome);
    if let Some(line) = &mut counts.completed {
        line.accepted = completed;
    }
    serde_json::to_string(&counts)
        .map_err(|error| Error::internal("counts cannot be written down").with_source(error))
}

/// What an earlier run of this very version did; None where it did not commit.
pub(crate) fn committed_outcome(run: &Run<'_>, table: &Table) -> Result<Option<DatasetOutcome>> {
    let Some(snapshot_id) = table.committed(&run.source(), APPEND) else {
        return Ok(None);
    };
    let versions = table.versions();
    let version = versions
        .iter()
        .find(|version| version.snapshot_id == snapshot_id);
    version.map_or(Ok(None), outcome_of)
}

/// The counts of the run that made a version; None where no ingest made it.
pub(crate) fn outcome_of(version: &Version) -> Result<Option<DatasetOutcome>> {
    let Some(text) = version.summary.get(OUTCOME) else {
        return Ok(None);
    };
    let snapshot_id = version.snapshot_id;
    let outcome: DatasetOutcome = serde_json::from_str(text).map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("snapshot {snapshot_id} does not say what it holds"),
        )
        .with_source(error)
    })?;
    Ok(Some(DatasetOutcome {
        snapshot_id: Some(snapshot_id),
        ..outcome
    }))
}

/// The live files that may hold some of these rows.
async fn holding(table: &Table, rows: &[RowsOf]) -> Result<Vec<Arc<DataFileInfo>>> {
    let uris: BTreeSet<String> = rows.iter().flat_map(|one| one.uris.clone()).collect();
    if uris.is_empty() {
        return Ok(Vec::new());
    }
    let filter = FileFilter::SourceUris(uris);
    let mut files = table.files(&VersionRef::Current, Some(&filter)).await?;
    let fields = table.fields();
    files.retain(|file| {
        let bounds = Bounds::of(&fields, file);
        rows.iter().any(|one| bounds.may_hold(one))
    });
    Ok(files)
}

/// The one of these that all rows of a file belong to; None where only reading the file can show it.
pub(crate) fn wholly(fields: &[TableField], file: &DataFileInfo, rows: &[RowsOf]) -> Option<usize> {
    let bounds = Bounds::of(fields, file);
    rows.iter().position(|one| bounds.is_all(one))
}

fn is_of(rows: &RowsOf, uri: &str) -> bool {
    rows.uris.iter().any(|known| known == uri)
}

/// What the manifest says about where a file's rows came from.
pub(crate) struct Bounds<'a> {
    file: &'a DataFileInfo,
    version: Option<&'a ColumnSummary>,
    offset: Option<&'a ColumnSummary>,
}

impl<'a> Bounds<'a> {
    pub fn of(fields: &[TableField], file: &'a DataFileInfo) -> Self {
        let column = |name: &str| {
            let field = fields.iter().find(|field| field.field.name == name)?;
            file.column(field.id)
        };
        Bounds {
            file,
            version: column(system::SOURCE_VERSION),
            offset: column(system::SOURCE_OFFSET),
        }
    }

    /// The least and the greatest offset of its rows.
    pub fn offsets(&self) -> Option<(i64, i64)> {
        match self.offset.map(|column| (&column.lower, &column.upper)) {
            Some((Some(Bound::Integer(least)), Some(Bound::Integer(greatest)))) => {
                Some((*least, *greatest))
            }
            _ => None,
        }
    }

    /// The version of its source object that all its rows came from.
    pub fn only_version(&self) -> Option<&'a str> {
        // Equal bounds are exact, as those of the URI.
        match self.version.map(|column| (&column.lower, &column.upper)) {
            Some((Some(Bound::String(lower)), Some(Bound::String(upper)))) if lower == upper => {
                Some(lower)
            }
            _ => None,
        }
    }

    /// Whether some of these rows may be in the file.
    pub fn may_hold(&self, rows: &RowsOf) -> bool {
        if self.file.only_source().is_some_and(|uri| !is_of(rows, uri)) {
            return false;
        }
        let in_bounds = |version: &str| self.version.is_none_or(|column| column.may_hold(version));
        let far_enough = |from: i64| self.offsets().is_none_or(|(_, greatest)| greatest >= from);
        rows.version.as_deref().is_none_or(in_bounds) && rows.from.is_none_or(far_enough)
    }

    fn is_all(&self, rows: &RowsOf) -> bool {
        let is_version = |version: &str| self.only_version() == Some(version);
        let is_behind = |from: i64| self.offsets().is_some_and(|(least, _)| least >= from);
        self.file.only_source().is_some_and(|uri| is_of(rows, uri))
            && rows.version.as_deref().is_none_or(is_version)
            && rows.from.is_none_or(is_behind)
    }
}
