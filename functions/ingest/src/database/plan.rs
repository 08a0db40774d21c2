//! What a snapshot of a database would do to its tables: everything is read, checked, merged and counted
//! before anything is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tarn_contract::{Contract, SnapshotOrder, SnapshotTime};
use tarn_core::ports::LocalCopy;
use tarn_core::run::{DatasetOutcome, Drift, Reconciliation};
use tarn_core::schema::TableField;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest;
use tarn_engine::inspect::totals::{self, Totals};
use tarn_engine::parquet::is_of_version_0_1_0;
use tarn_engine::upsert::{self, Changes, CurrentFile, CurrentTable, StagedRows};
use tarn_lake::{Lake, LocalFiles, blocking};
use tarn_rows::check::Survey;
use tarn_rows::source::sqlite::Database;
use tarn_table::{Table, VersionRef};
use tokio::runtime::Handle;

use super::order;
use crate::evolve::{evolved, prepend};
use crate::job::{JobInputs, Target};
use crate::quarantine::Quarantine;
use crate::rules::{Tables, ordered};
use crate::run::Run;

/// A table of the source, read and checked.
pub(crate) struct Staged {
    pub target: Target,
    pub staged: ingest::Staged,
    /// `count(*)` at the source.
    pub source_rows: u64,
}

/// What a run would do to one table.
pub(crate) struct Planned {
    pub table: Staged,
    pub merge: Changes,
    /// The snapshot of the table that the merge was made from.
    pub base: Option<i64>,
    /// Rows and sums of the table as it is and as it would be, where nothing is going to be committed.
    pub totals: Option<(Totals, Totals)>,
}

/// What a run would do to the tables of a database.
pub(crate) struct Plan {
    /// In an order in which what rows refer to comes first.
    pub tables: Vec<Planned>,
    /// Where the snapshot stands among those of its database.
    pub order: SnapshotOrder,
    /// Why tables stay as they are, by dataset: a newer snapshot was applied to them.
    pub superseded: BTreeMap<String, String>,
    /// Why the run fails unless it is confirmed: tables that would lose too many rows.
    pub unconfirmed: Vec<String>,
    /// Tables that no contract reads, with their row counts.
    pub unclaimed: BTreeMap<String, u64>,
}

/// Reads a database, or a file instead of it, and plans what to do.
pub(crate) async fn plan(
    run: &Run<'_>,
    contracts: Vec<Contract>,
    file: Option<&Path>,
) -> Result<Plan> {
    let time = order::snapshot_time(&contracts);
    let mut superseded = BTreeMap::new();
    let mut known = order::of_key(run, &time)?;
    if let Some(own) = &known {
        superseded = overtaken(run, &contracts, &time, own).await?;
    }
    // A dry run reads all of them, to say how many rows the contracts accept.
    let wanted = |superseded: &BTreeMap<String, String>, contract: &Contract| {
        run.dry || !superseded.contains_key(&contract.dataset)
    };
    let contracts: Arc<[Contract]> = ordered(contracts).into();
    let to_read: Vec<Arc<Contract>> = contracts
        .iter()
        .filter(|contract| wanted(&superseded, contract))
        .cloned()
        .map(Arc::new)
        .collect();
    let (mut staged, unclaimed) = if to_read.is_empty() {
        (Vec::new(), BTreeMap::new())
    } else {
        stage_all(run, to_read, &contracts, file).await?
    };
    if let SnapshotTime::Column(column) = &time {
        let own = order::of_column(run, column, &staged).await?;
        superseded = overtaken(run, &contracts, &time, &own).await?;
        staged.retain(|table| wanted(&superseded, &table.target.contract));
        known = Some(own);
    }
    let order = known.ok_or_else(|| Error::internal("a snapshot has no place among the others"))?;
    let mut tables = Vec::new();
    let mut unconfirmed = Vec::new();
    for table in staged {
        let planned = merge(run, table).await?;
        unconfirmed.extend(too_many_deleted(&planned));
        tables.push(planned);
    }
    Ok(Plan {
        tables,
        order,
        superseded,
        unconfirmed,
        unclaimed,
    })
}

/// The datasets to whose tables a newer snapshot was applied, each with the reason to leave it alone.
async fn overtaken(
    run: &Run<'_>,
    contracts: &[Contract],
    time: &SnapshotTime,
    own: &SnapshotOrder,
) -> Result<BTreeMap<String, String>> {
    let mut overtaken = BTreeMap::new();
    for contract in contracts {
        let Some(table) = run.lake.tables.load(&contract.table()).await? else {
            continue;
        };
        let newest = order::newest(run, &table, time).await?;
        if let Some(newest) = newest.filter(|newest| newest > own) {
            let reason = order::superseded(&contract.dataset, &newest);
            overtaken.insert(contract.dataset.clone(), reason);
        }
    }
    Ok(overtaken)
}

/// Why the table's deletions need to be confirmed, if they do.
pub(super) fn too_many_deleted(planned: &Planned) -> Option<String> {
    let (contract, merge) = (&planned.table.target.contract, &planned.merge);
    merge.deletes_too_many(contract).then(|| {
        format!(
            "{} would lose {} of its {} rows, more than the share of {} that the contract allows \
             (maximumDeletedShare)",
            contract.dataset, merge.deleted, merge.living_before, contract.maximum_deleted_share
        )
    })
}

/// Reads every table that has one of these contracts to its end; once more if the source has new columns
/// that a contract wants. `all` are the contracts of the database.
async fn stage_all(
    run: &Run<'_>,
    mut contracts: Vec<Arc<Contract>>,
    all: &Arc<[Contract]>,
    file: Option<&Path>,
) -> Result<(Vec<Staged>, BTreeMap<String, u64>)> {
    let mut drift: BTreeMap<String, Vec<Drift>> = BTreeMap::new();
    loop {
        let mut targets = Vec::new();
        for contract in contracts {
            targets.push(Target {
                fields: run.fields(&contract.table_spec()).await?,
                quarantine: Quarantine::open(run, &contract).await?,
                contract,
            });
        }
        let (mut staged, unclaimed) = stage(run, targets, Arc::clone(all), file).await?;
        let drifted = |table: &Staged| !table.staged.new_columns.is_empty();
        if !staged.iter().any(drifted) {
            for table in &mut staged {
                let before = drift
                    .remove(&table.target.contract.dataset)
                    .unwrap_or_default();
                prepend(&before, &mut table.staged.outcome.drift);
            }
            return Ok((staged, unclaimed));
        }
        contracts = Vec::new();
        for Staged { target, staged, .. } in staged {
            let contract = target.contract;
            if staged.new_columns.is_empty() {
                contracts.push(contract);
                continue;
            }
            drift.insert(contract.dataset.clone(), staged.outcome.drift);
            contracts.push(evolved(run, &contract, staged.new_columns).await?);
        }
    }
}

async fn stage(
    run: &Run<'_>,
    targets: Vec<Target>,
    all: Arc<[Contract]>,
    file: Option<&Path>,
) -> Result<(Vec<Staged>, BTreeMap<String, u64>)> {
    let copy = match file {
        Some(path) => LocalCopy::in_place(path.to_owned()),
        None => run.lake.objects.fetch_version(&run.info).await?,
    };
    let contracts: Vec<Arc<Contract>> = targets
        .iter()
        .map(|target| target.contract.clone())
        .collect();
    let mut rules = Tables::open(run, &contracts).await?;
    let mut to_read: Vec<(Target, JobInputs)> = Vec::new();
    for target in targets {
        let inputs = JobInputs::gather(run, &target).await?;
        to_read.push((target, inputs));
    }
    let (mut staged, unclaimed, rules) = blocking(move || {
        let database = Database::open(copy.path())?;
        let unclaimed = {
            let contracts: Vec<&Contract> = all.iter().collect();
            database.unclaimed_tables(&contracts)?
        };
        let mut staged: Vec<Staged> = Vec::new();
        for (target, inputs) in to_read {
            staged.push(read(&database, target, inputs, &mut rules)?);
        }
        Ok((staged, unclaimed, rules))
    })
    .await?;
    // Rules over tables look at all of them as they will be.
    let mut answers = Vec::with_capacity(staged.len());
    for table in &staged {
        answers.push(rules.answers(run.lake, &table.target.contract).await?);
    }
    blocking(move || {
        for (table, answers) in staged.iter_mut().zip(&answers) {
            let contract = &table.target.contract;
            rules.judge(contract, answers, &mut table.staged.outcome)?;
        }
        Ok((staged, unclaimed))
    })
    .await
}

/// Reads one table to its end, and notes its rows for the tables that refer to them.
fn read(
    database: &Database,
    target: Target,
    inputs: JobInputs,
    rules: &mut Tables,
) -> Result<Staged> {
    let contract = &target.contract;
    let survey = if contract.has_outlier_rule() {
        Some(Survey::of(&mut database.table(contract)?.1, contract)?)
    } else {
        None
    };
    let (source_rows, mut reader) = database.table(contract)?;
    let job = inputs.into_job(&target, rules.references(contract)?, survey);
    let staged = ingest::run(&mut reader, &job)?;
    drop(reader);
    rules.stage(&target, &staged, &[]);
    if staged.outcome.received != source_rows {
        return Err(Error::new(
            ErrorKind::BadSource,
            format!(
                "the table of {} has {source_rows} rows by its own count, but {} were read: the database is \
                 damaged; check it with PRAGMA integrity_check",
                contract.dataset, staged.outcome.received
            ),
        ));
    }
    Ok(Staged {
        target,
        staged,
        source_rows,
    })
}

/// Merges a staged table into the curated one as it is now.
pub(super) async fn merge(run: &Run<'_>, table: Staged) -> Result<Planned> {
    let current = run.lake.tables.load(&table.target.contract.table()).await?;
    let (contract, fields) = (table.target.contract.clone(), table.target.fields.clone());
    let live = match &current {
        Some(current) => current.files(&VersionRef::Current, None).await?,
        None => Vec::new(),
    };
    // A dry run sums up all columns.
    let columns = if run.dry {
        fields.clone()
    } else {
        upsert::compared(&contract, &fields)
    };
    let local = run.lake.fetch_columns(live, &columns).await?;
    let mut files: Vec<CurrentFile> = local
        .iter()
        .map(|(file, path)| CurrentFile {
            path: path.to_owned(),
            uri: file.uri.clone(),
            partition: file.partition,
            outdated: false,
        })
        .collect();
    let staged = StagedRows {
        accepted: table.staged.accepted.clone(),
        rejected: table.staged.rejected.clone(),
        rejected_fields: table.target.quarantine.layout().0,
    };
    let system_columns = run.system_columns(&contract.version);
    let staging = run
        .staging
        .subfolder(&format!("{}-merge", contract.dataset))?;
    let (counts, again) = (run.dry, run.again);
    let whole = WholeFiles {
        lake: run.lake.clone(),
        runtime: Handle::current(),
        local,
        fetched: Mutex::default(),
    };
    let (merge, totals) = blocking(move || {
        // An ingest leaves files that did not change; a replay rewrites those that some readers cannot read.
        for file in files.iter_mut().filter(|_| again) {
            file.outdated = is_of_version_0_1_0(&file.path)?;
        }
        let before = CurrentTable {
            contract: &contract,
            fields: &fields,
            files: &files,
            whole: &|files| whole.fetch(files),
        };
        let merge = upsert::upsert(&before, &staged, &system_columns, &staging)?;
        let totals = if counts {
            Some(totals_of(&fields, &files, &merge)?)
        } else {
            None
        };
        drop(whole);
        Ok((merge, totals))
    })
    .await?;
    Ok(Planned {
        table,
        merge,
        base: current.as_ref().and_then(Table::current_snapshot_id),
        totals,
    })
}

/// Fetches files of a table whole that were fetched in part.
struct WholeFiles {
    lake: Lake,
    runtime: Handle,
    /// All of them: keeps these readable.
    local: LocalFiles,
    /// Keeps the whole ones readable.
    fetched: Mutex<Vec<LocalFiles>>,
}

impl WholeFiles {
    fn fetch(&self, wanted: &[&CurrentFile]) -> Result<Vec<PathBuf>> {
        let uris: BTreeSet<&str> = wanted.iter().map(|file| file.uri.as_str()).collect();
        let infos = self.local.iter().map(|(file, _)| file);
        let infos = infos.filter(|file| uris.contains(file.uri.as_str()));
        let fetched = self.lake.fetch_files(infos.cloned().collect());
        let fetched = self.runtime.block_on(fetched)?;
        let paths = fetched.iter().map(|(_, path)| path.to_owned()).collect();
        let mut all = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(fetched);
        Ok(paths)
    }
}

/// Rows and sums of a table before and after a merge.
fn totals_of(
    fields: &[TableField],
    files: &[CurrentFile],
    merge: &Changes,
) -> Result<(Totals, Totals)> {
    let before: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let kept = files
        .iter()
        .filter(|file| !merge.remove.contains(&file.uri));
    let added = merge.add.iter().map(|file| file.path.clone());
    let after: Vec<PathBuf> = kept.map(|file| file.path.clone()).chain(added).collect();
    Ok((
        totals::of_files(fields, &before, None)?,
        totals::of_files(fields, &after, None)?,
    ))
}

impl Planned {
    /// What the run record says about the dataset.
    pub fn outcome(&self, snapshot_id: Option<i64>) -> DatasetOutcome {
        let (merge, staged) = (&self.merge, &self.table.staged.outcome);
        let compared = &merge.comparison;
        DatasetOutcome {
            inserted: merge.inserted,
            updated: merge.updated,
            unchanged: merge.unchanged,
            deleted: merge.deleted,
            held: merge.held,
            deletions_withheld: merge.deletions_withheld,
            repeated_removed: merge.repeated,
            snapshot_id,
            reconciliation: Some(Reconciliation {
                source_rows: self.table.source_rows,
                read_rows: staged.received,
                table_rows: compared.found,
                expected_rows: Some(compared.expected),
                matches: compared.agrees() && self.table.source_rows == staged.received,
            }),
            ..staged.clone()
        }
    }
}
