//! What a replay of an object would do, without doing it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use tarn_contract::quarantine;
use tarn_contract::{Contract, Format};
use tarn_core::ports::{LocalCopy, ObjectInfo};
use tarn_core::run::{DatasetOutcome, ObjectState};
use tarn_core::schema::{TableField, TableName};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::Staged;
use tarn_engine::ingest::newest::Accepted;
use tarn_engine::inspect::examples::{self, Example};
use tarn_engine::inspect::totals::{self, Totals};
use tarn_engine::parquet::ParquetFile;
use tarn_lake::{Lake, blocking, new_run_id};
use tarn_rows::planned::RowsOf;
use tarn_table::{FileFilter, VersionRef};
use tokio::sync::OnceCell;

use crate::append::{Reading, stage_of};
use crate::earlier::Copies;
use crate::evolve::{evolved, prepend};
use crate::job::Target;
use crate::newest::Rewritten;
use crate::quarantine::Quarantine;
use crate::run::Run;
use crate::{current, database, former_versions, is_unfinished, log_of, logs, missing};

/// Rejected rows of each rule that are shown.
pub(crate) const EXAMPLES: usize = 3;

/// What a run would do with the rows of one dataset in one object.
#[derive(Debug)]
pub struct DryRun {
    /// The dataset.
    pub dataset: String,
    /// Rows of the object that are in quarantine now.
    pub in_quarantine: u64,
    /// What reading the object again finds.
    pub outcome: DatasetOutcome,
    /// Some of the rows that would be rejected.
    pub examples: Vec<Example>,
    /// The object's rows in the table now, and all rows of files in which older rows of other objects would be
    /// replaced; for a database, all rows of the table.
    pub before: Totals,
    /// The same as they would be.
    pub after: Totals,
    /// Why the table would stay as it is: a newer snapshot of the database was applied to it.
    pub superseded: Option<String>,
    /// Why the run would fail unless it is confirmed: the table would lose too many rows.
    pub unconfirmed: Option<String>,
}

/// Reads a raw object as [`read_again`](crate::read_again) would, and commits nothing. For a log it reads
/// each version that has lines in tables, or with `replace` all of the current one.
///
/// # Errors
/// Those that would fail a run.
pub async fn dry_run(lake: &Lake, key: &str, replace: bool) -> Result<Vec<DryRun>> {
    let newest = current(lake, key).await?.ok_or_else(|| missing(key))?;
    let mut found = Vec::new();
    if let Some(contract) = log_of(lake, key).filter(|_| !replace) {
        for former in former_versions(lake, contract, &newest).await? {
            found.extend(of_object(lake, former, None, false).await?);
        }
    }
    found.extend(of_object(lake, newest, None, replace).await?);
    Ok(found)
}

/// Reads a file as if it were the object `key`, and commits nothing.
///
/// # Errors
/// Those that would fail a run.
pub async fn dry_run_file(lake: &Lake, key: &str, path: &Path) -> Result<Vec<DryRun>> {
    let size = std::fs::metadata(path)
        .map_err(|error| {
            let message = format!("{} cannot be read", path.display());
            Error::new(ErrorKind::BadRequest, message).with_source(error)
        })?
        .len();
    let info = ObjectInfo {
        key: key.to_owned(),
        size,
        version: String::new(),
        sequencer: String::new(),
        last_modified: Utc::now(),
    };
    of_object(lake, info, Some(path), false).await
}

/// The object's content is that of the file where one is given.
async fn of_object(
    lake: &Lake,
    info: ObjectInfo,
    file: Option<&Path>,
    replace: bool,
) -> Result<Vec<DryRun>> {
    let key = &info.key;
    let contracts: Vec<Contract> = lake.contracts.claiming(key).into_iter().cloned().collect();
    if contracts.is_empty() {
        return Err(Error::new(
            ErrorKind::BadContract,
            format!("no contract claims {key}"),
        ));
    }
    let id = new_run_id();
    let known = lake.ledger.object(key).await?;
    let begun = known.filter(|known| {
        known.version == info.version
            && known.sequencer == info.sequencer
            && known.state != ObjectState::Committed
    });
    let never_taken = match begun {
        Some(begun) => !is_unfinished(lake, &begun).await?,
        None => false,
    };
    let run = Run {
        lake,
        uri: lake.objects.uri(key),
        uris: lake.objects.uris(key),
        info,
        staging: lake.staging(&id)?,
        digest: OnceCell::new(),
        id,
        again: true,
        replace,
        is_late: false,
        never_taken,
        dry: true,
        confirm_deletions: false,
    };
    if contracts
        .iter()
        .all(|contract| contract.format == Format::Sqlite)
    {
        return database::dry_run(&run, contracts, file).await;
    }
    let mut found = Vec::new();
    for contract in contracts {
        found.push(of_dataset(&run, Arc::new(contract), file).await?);
    }
    Ok(found)
}

async fn of_dataset(
    run: &Run<'_>,
    mut contract: Arc<Contract>,
    file: Option<&Path>,
) -> Result<DryRun> {
    let copy = Arc::new(match file {
        Some(path) => LocalCopy::in_place(path.to_owned()),
        None => run.lake.objects.fetch_version(&run.info).await?,
    });
    let preview = if file.is_none() && contract.is_log() {
        logs::preview(run, &contract, &copy).await?
    } else {
        None
    };
    let (plan, replaces) = match preview {
        Some(preview) => (Some(preview.plan), preview.replaces),
        None => (None, vec![RowsOf::object(&run.uris)]),
    };
    let nothing_new = plan.as_ref().is_some_and(|plan| plan.part.is_none());
    let mut drift = Vec::new();
    let (mut staged, rewritten, rejected_fields) = loop {
        let quarantine = Quarantine::open(run, &contract).await?;
        if nothing_new {
            break (nothing(&contract), Vec::new(), quarantine.layout().0);
        }
        let reading = Reading {
            copy: Arc::clone(&copy),
            part: plan.as_ref().and_then(|plan| plan.part.clone()),
            lengths: None,
            replaces: replaces.clone(),
        };
        let table = run.lake.tables.load(&contract.table()).await?;
        let target = Arc::new(Target {
            fields: run.fields(&contract.table_spec()).await?,
            contract: Arc::clone(&contract),
            quarantine,
        });
        let copies = Copies::default();
        let staged = stage_of(run, &target, table.as_ref(), &reading, &copies);
        let (mut staged, rewritten) = staged.await?;
        prepend(&drift, &mut staged.outcome.drift);
        if staged.new_columns.is_empty() {
            break (staged, rewritten, target.quarantine.layout().0);
        }
        drift = staged.outcome.drift;
        contract = evolved(run, &contract, staged.new_columns).await?;
    };
    if let Some(plan) = plan {
        staged.outcome.taken_before = plan.before;
        staged.outcome.completed = plan.completes.map(|(_, line)| line);
    }
    let spec = contract.table_spec();
    let fields = run.fields(&spec).await?;
    let (others_before, others_after) = of_others(run, &fields, &rewritten).await?;
    let (accepted, rejected) = (paths(&staged.accepted), paths(&staged.rejected));
    let (mut after, examples) = blocking(move || {
        let after = totals::of_files(&fields, &accepted, None)?;
        let examples = examples::of_files(&rejected_fields, &rejected, EXAMPLES)?;
        Ok((after, examples))
    })
    .await?;
    let mut before = of_table(run, &spec.name, replaces.clone()).await?;
    before.include(&others_before);
    after.include(&others_after);
    let rejected = of_table(run, &quarantine::table(&contract.dataset), replaces).await?;
    Ok(DryRun {
        dataset: contract.dataset.clone(),
        in_quarantine: rejected.rows,
        outcome: staged.outcome,
        examples,
        before,
        after,
        superseded: None,
        unconfirmed: None,
    })
}

/// The result for an object without a new line.
fn nothing(contract: &Contract) -> Staged {
    Staged {
        accepted: Vec::new(),
        rejected: Vec::new(),
        outcome: DatasetOutcome {
            dataset: contract.dataset.clone(),
            contract_version: contract.version.clone(),
            ..DatasetOutcome::default()
        },
        new_columns: Vec::new(),
        keys: Accepted::default(),
    }
}

fn paths(files: &[ParquetFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path.clone()).collect()
}

/// Rows of the run's object that are in quarantine now.
pub(crate) async fn in_quarantine(run: &Run<'_>, dataset: &str) -> Result<u64> {
    let all = vec![RowsOf::object(&run.uris)];
    Ok(of_table(run, &quarantine::table(dataset), all).await?.rows)
}

/// The totals of files that lose rows of other objects, before and after. Rows of the run's own object
/// count in both alike.
async fn of_others(
    run: &Run<'_>,
    fields: &[TableField],
    rewritten: &[Rewritten],
) -> Result<(Totals, Totals)> {
    let (mut before, mut after) = (Totals::default(), Totals::default());
    for one in rewritten {
        let copy = run.lake.fetch_file(&one.file).await?;
        let (fields, rest) = (fields.to_vec(), paths(&one.rest));
        let own = [RowsOf::object(&run.uris)];
        let (all, left, own) = blocking(move || {
            let file = [copy.path().to_owned()];
            Ok((
                totals::of_files(&fields, &file, None)?,
                totals::of_files(&fields, &rest, None)?,
                totals::of_files(&fields, &file, Some(&own))?,
            ))
        })
        .await?;
        before.include(&all);
        after.include(&left);
        after.include(&own);
    }
    Ok((before, after))
}

/// The totals of some rows of a table.
async fn of_table(run: &Run<'_>, name: &TableName, of: Vec<RowsOf>) -> Result<Totals> {
    let Some(table) = run.lake.tables.load(name).await? else {
        return Ok(Totals::default());
    };
    let uris = of.iter().flat_map(|rows| rows.uris.clone()).collect();
    let local = run
        .lake
        .fetch_table(
            &table,
            &VersionRef::Current,
            Some(&FileFilter::SourceUris(uris)),
        )
        .await?;
    let fields = table.fields();
    blocking(move || {
        // Taken as a whole: it keeps its files readable.
        let local = local;
        let paths: Vec<PathBuf> = local.iter().map(|(_, path)| path.to_owned()).collect();
        totals::of_files(&fields, &paths, Some(&of))
    })
    .await
}

/// By how much the sums of columns would change, over several dry runs of a dataset.
pub fn moved(found: &[&DryRun]) -> BTreeMap<String, String> {
    let (mut before, mut after) = (Totals::default(), Totals::default());
    for one in found {
        before.include(&one.before);
        after.include(&one.after);
    }
    before.moved(&after)
}
