//! Databases: each table with a contract is upserted from a full snapshot.
//!
//! Every table is read, checked and merged before anything is committed, so that a run that fails until
//! then changes nothing. The commits follow one after the other; where one fails, the record says which
//! tables were changed, and the next run of the same or of a newer snapshot changes the rest: each merge
//! compares with the table as it is.

mod order;
mod plan;

use std::path::Path;

use tarn_contract::{Contract, SnapshotOrder};
use tarn_core::run::{DatasetOutcome, RunRecord, SkipReason};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::inspect::examples;
use tarn_lake::{blocking, staged_files};
use tarn_table::{Base, Change, Committed};

use crate::commit::counts_of;
use crate::dry_run::{DryRun, EXAMPLES, in_quarantine};
use crate::quarantine::Quarantine;
use crate::run::{Run, Work};
use crate::{ATTEMPTS, back_off};

use plan::{Planned, plan};

/// The kind of snapshot that an upsert makes.
const UPSERT: &str = "upsert";

pub(crate) async fn ingest(
    run: &Run<'_>,
    contracts: Vec<Contract>,
    record: &mut RunRecord,
) -> Result<Work> {
    let plan = plan(run, contracts, None).await?;
    record.unclaimed_tables = plan.unclaimed;
    if run.again {
        forget_rejected(run, plan.superseded.keys()).await?;
    }
    let mut superseded: Vec<String> = plan.superseded.into_values().collect();
    if plan.tables.is_empty() {
        return Ok(Work::Skipped(
            SkipReason::NewerSnapshot,
            superseded.join("; "),
        ));
    }
    if !plan.unconfirmed.is_empty() && !run.confirm_deletions {
        return Err(unconfirmed(run, &plan.unconfirmed));
    }
    for planned in &plan.tables {
        let table = &planned.table;
        table
            .target
            .quarantine
            .commit(run, &table.staged.rejected)
            .await?;
    }
    let several = plan.tables.len() > 1;
    for planned in plan.tables {
        match commit(run, planned, &plan.order).await? {
            Upserted::Done(outcome) => record.datasets.push(*outcome),
            Upserted::Superseded(reason) => superseded.push(reason),
        }
        if several {
            // If the run stops now, the record says what was done.
            run.lake.ledger.put_run(&progress(record)).await?;
        }
    }
    if record.datasets.is_empty() {
        return Ok(Work::Skipped(
            SkipReason::NewerSnapshot,
            superseded.join("; "),
        ));
    }
    Ok(Work::Done(superseded))
}

/// Takes the rejected rows of a snapshot out of the quarantine of these datasets: their tables have a newer
/// snapshot, so no replay would accept the rows.
async fn forget_rejected(run: &Run<'_>, datasets: impl Iterator<Item = &String>) -> Result<()> {
    for dataset in datasets {
        if in_quarantine(run, dataset).await? == 0 {
            continue;
        }
        if let Some(contract) = run.lake.contracts.get(dataset) {
            Quarantine::open(run, contract)
                .await?
                .commit(run, &[])
                .await?;
        }
    }
    Ok(())
}

/// The record of a run that is under way: which tables it has changed so far, and how.
fn progress(record: &RunRecord) -> RunRecord {
    let counts = |outcome: &DatasetOutcome| DatasetOutcome {
        partitions: None,
        ..counts_of(outcome)
    };
    RunRecord {
        datasets: record.datasets.iter().map(counts).collect(),
        ..record.clone()
    }
}

fn unconfirmed(run: &Run<'_>, reasons: &[String]) -> Error {
    Error::new(
        ErrorKind::Quality,
        format!(
            "{}; nothing was changed. If these rows are really gone at the source, confirm it: tarn replay {} \
             --confirm-deletions",
            reasons.join("; "),
            run.info.key
        ),
    )
}

/// The result for one table.
enum Upserted {
    Done(Box<DatasetOutcome>),
    /// A newer snapshot came first.
    Superseded(String),
}

async fn commit(run: &Run<'_>, mut planned: Planned, order: &SnapshotOrder) -> Result<Upserted> {
    let contract = planned.table.target.contract.clone();
    let name = contract.table();
    for attempt in 0..ATTEMPTS {
        let change = Change {
            add: staged_files(run.lake, &name, &run.id, &planned.merge.add).await?,
            remove: planned.merge.remove.clone(),
            // The change was computed from this version and no other.
            base: Base::Exactly(planned.base),
            sources: vec![run.source()],
            kind: UPSERT.to_owned(),
            // The comparison with the table shows whether there is something to do.
            unless_committed: false,
            snapshot: Some(order.clone()),
            summary: run.summary(),
        };
        let snapshot_id = match run.lake.tables.commit(&name, change).await {
            Ok(
                Committed::Done { snapshot_id, .. } | Committed::AlreadyThere { snapshot_id, .. },
            ) => Some(snapshot_id),
            Ok(Committed::NothingToDo) => None,
            Err(error) if error.kind() == ErrorKind::Conflict => {
                back_off(attempt).await;
                let newest = run.lake.table(&name).await?.newest_snapshot()?;
                if let Some(newest) = newest.filter(|newest| newest > order) {
                    return Ok(Upserted::Superseded(order::superseded(
                        &contract.dataset,
                        &newest,
                    )));
                }
                planned = plan::merge(run, planned.table).await?;
                if let Some(reason) = plan::too_many_deleted(&planned)
                    && !run.confirm_deletions
                {
                    return Err(unconfirmed(run, &[reason]));
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        if planned.merge.repeated > 0 {
            tracing::warn!(
                table = %name,
                rows = planned.merge.repeated,
                "rows that repeated the key of another one were taken out"
            );
        }
        return Ok(Upserted::Done(Box::new(planned.outcome(snapshot_id))));
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("other writers change {name} all the time; try again"),
    ))
}

/// What a run would do with the rows of a database, or of a file instead of it; nothing is committed.
pub(crate) async fn dry_run(
    run: &Run<'_>,
    contracts: Vec<Contract>,
    file: Option<&Path>,
) -> Result<Vec<DryRun>> {
    let plan = plan(run, contracts, file).await?;
    let mut found = Vec::new();
    for planned in plan.tables {
        let outcome = planned.outcome(None);
        let unconfirmed = plan::too_many_deleted(&planned);
        let superseded = plan.superseded.get(&outcome.dataset).cloned();
        let (before, mut after) = planned.totals.unwrap_or_default();
        if superseded.is_some() {
            after = before.clone();
        }
        let fields = planned.table.target.quarantine.layout().0;
        let rejected = planned.table.staged.rejected.iter();
        let rejected: Vec<_> = rejected.map(|file| file.path.clone()).collect();
        let examples = blocking(move || examples::of_files(&fields, &rejected, EXAMPLES)).await?;
        found.push(DryRun {
            in_quarantine: in_quarantine(run, &outcome.dataset).await?,
            dataset: outcome.dataset.clone(),
            outcome,
            examples,
            before,
            after,
            superseded,
            unconfirmed,
        });
    }
    Ok(found)
}
