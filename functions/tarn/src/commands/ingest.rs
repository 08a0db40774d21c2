//! `tarn ingest`

use std::process::ExitCode;

use chrono::Utc;
use tarn_core::run::{DatasetOutcome, RunRecord, RunStatus, SkipReason};
use tarn_core::{Error, Result, rule_id};
use tarn_ingest::audit;
use tarn_lake::new_run_id;
use tarn_local::LocalLake;

use crate::cli::{Global, IngestArgs};
use crate::commands::upload::{follow, list, upload};
use crate::land::{Plan, RawZone, Refused, plan};
use crate::session::{Session, create};
use crate::terminal::{Progress, Terminal, bytes, count, plural};

/// A file is unclaimed.
const UNCLAIMED: u8 = 3;

/// A file has rows, and none was accepted.
const NOTHING_ACCEPTED: u8 = 4;

/// Puts the files into the raw zone and ingests them.
pub async fn run(global: &Global, args: &IngestArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = create(global).await?;
    let plan = plan(&session, &args.paths, args.to.as_deref())?;
    let progress = terminal.progress();
    let records = match session.folder() {
        Some(local) => ingest_all(&session, local, &plan, args.as_new, &progress).await?,
        None => {
            let uploaded = upload(&session, &plan, args.as_new, &progress).await?;
            if args.no_wait {
                drop(progress);
                return list(&uploaded, terminal);
            }
            follow(&session, uploaded, &progress).await?
        }
    };
    drop(progress);
    end(&session, &records, terminal).await
}

/// Prints the outcome of each object, and compares it with the tables.
pub async fn end(
    session: &Session,
    records: &[RunRecord],
    terminal: &Terminal,
) -> Result<ExitCode> {
    report(records, terminal)?;
    let differences = audit(&session.lake, records).await?;
    for difference in &differences {
        terminal.fail(&difference.to_string());
    }
    if differences.is_empty() {
        return Ok(exit_code(records));
    }
    terminal.note("  This is a fault in Tarn. Nothing is lost in the raw zone; please report it.");
    Ok(ExitCode::FAILURE)
}

/// Puts files into the raw zone and ingests them, in order. A refused path has a failed run of its own.
pub async fn ingest_all(
    session: &Session,
    local: &LocalLake,
    plan: &Plan,
    as_new: bool,
    progress: &Progress,
) -> Result<Vec<RunRecord>> {
    let mut raw = RawZone::new(session, as_new);
    let mut records = Vec::new();
    let landings = &plan.landings;
    for (number, landing) in landings.iter().enumerate() {
        let name = landing
            .path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        progress.step(format!("{}/{} {name}: copying", number + 1, landings.len()));
        let key = match raw.land(landing).await {
            Ok(landed) => landed.info.key,
            Err(error) => {
                records.push(not_landed(&landing.place.shown(), &error));
                continue;
            }
        };
        progress.step(format!(
            "{}/{} {name}: ingesting",
            number + 1,
            landings.len()
        ));
        let _lock = local.ingest_lock(&key).await?;
        let mut record = tarn_ingest::ingest(&session.lake, &key).await?;
        if is_unclaimed(&record)
            && let Some(why) = tarn_rows::source::why_unread(&landing.path)?
        {
            record.reason = Some(why);
            session.lake.ledger.put_run(&record).await?;
        }
        records.push(record);
    }
    records.extend(plan.refused.iter().map(refused));
    for record in records.iter().filter(|record| record.version.is_empty()) {
        if record.status == RunStatus::Failed {
            session.lake.ledger.put_run(record).await?;
        }
    }
    Ok(records)
}

/// The failed run of a path that is not a file or cannot be read.
pub fn refused(refused: &Refused) -> RunRecord {
    not_landed(&refused.path.to_string_lossy(), &refused.error)
}

/// The failed run of a file that could not be copied into the raw zone: it stays where it is.
pub fn not_landed(key: &str, error: &Error) -> RunRecord {
    let now = Utc::now();
    RunRecord {
        status: RunStatus::Failed,
        reason: Some(error.to_string()),
        error_kind: Some(error.kind().as_str().to_owned()),
        retryable: error.is_retryable(),
        ended_at: Some(now),
        ..RunRecord::begin(new_run_id(), key, now)
    }
}

/// 0 where everything is in the lake, 1 after a failure, 3 where something is unclaimed, 4 where a file has rows and
/// none was accepted.
pub fn exit_code(records: &[RunRecord]) -> ExitCode {
    if records
        .iter()
        .any(|record| record.status == RunStatus::Failed)
    {
        ExitCode::FAILURE
    } else if records.iter().any(is_unclaimed) {
        ExitCode::from(UNCLAIMED)
    } else if records.iter().any(accepted_nothing) {
        ExitCode::from(NOTHING_ACCEPTED)
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether every row of an object breaks a rule. Rows that were accepted before, in another object, do not.
fn accepted_nothing(record: &RunRecord) -> bool {
    let sum = |of: fn(&DatasetOutcome) -> u64| record.datasets.iter().map(of).sum::<u64>();
    let repeated = |outcome: &DatasetOutcome| {
        let duplicates = outcome.rejected_by.get(rule_id::DUPLICATE);
        duplicates.copied().unwrap_or_default()
    };
    let is_known = |outcome: &DatasetOutcome| outcome.taken_before.is_some();
    sum(|outcome| outcome.accepted) + sum(repeated) == 0
        && sum(|outcome| outcome.rejected) > 0
        && !record.datasets.iter().any(is_known)
}

/// Whether all lines of an object were taken before.
fn brought_nothing(record: &RunRecord) -> bool {
    let outcomes = &record.datasets;
    !outcomes.is_empty() && outcomes.iter().all(DatasetOutcome::is_taken_before)
}

fn is_unclaimed(record: &RunRecord) -> bool {
    record.skipped == Some(SkipReason::Unclaimed)
}

/// Prints the outcome of each object.
pub fn report(records: &[RunRecord], terminal: &Terminal) -> Result<()> {
    if terminal.is_json() {
        return records.iter().try_for_each(|record| terminal.json(record));
    }
    print(records, terminal)
}

/// Prints one line per object and dataset, and what needs attention below.
fn print(records: &[RunRecord], terminal: &Terminal) -> Result<()> {
    terminal.table(
        &[
            "object", "status", "size", "dataset", "received", "accepted", "rejected",
        ],
        &["size", "received", "accepted", "rejected"],
        records.iter().flat_map(lines).collect(),
    )?;
    for record in records {
        print_notes(record, terminal);
    }
    let rejected: u64 = records.iter().map(RunRecord::rejected).sum();
    if rejected > 0 {
        terminal.note(&format!(
            "{} in quarantine; look at them with: tarn quarantine",
            plural(rejected, "rejected row")
        ));
    }
    Ok(())
}

/// The lines of a run in the table: one for each dataset, and at least one.
fn lines(record: &RunRecord) -> Vec<Vec<String>> {
    let key = record.key.strip_prefix("raw/").unwrap_or(&record.key);
    let object = [
        key.to_owned(),
        status(record).to_owned(),
        bytes(record.bytes),
    ];
    if record.datasets.is_empty() {
        return vec![object.to_vec()];
    }
    // The object is named in front of its first dataset alone.
    let objects = std::iter::once(object).chain(std::iter::repeat_with(Default::default));
    let datasets = record.datasets.iter().map(|outcome| {
        [
            outcome.dataset.clone(),
            count(outcome.received),
            count(outcome.accepted),
            count(outcome.rejected),
        ]
    });
    objects
        .zip(datasets)
        .map(|(object, dataset)| object.into_iter().chain(dataset).collect())
        .collect()
}

fn status(record: &RunRecord) -> &'static str {
    match record.status {
        RunStatus::Succeeded if brought_nothing(record) => "taken before",
        RunStatus::Succeeded => "ingested",
        RunStatus::Failed => "failed",
        RunStatus::Skipped => match record.skipped {
            Some(SkipReason::Unclaimed) => "unclaimed",
            Some(SkipReason::NewerSnapshot) => "older",
            _ => "unchanged",
        },
        RunStatus::Running => "running",
    }
}

/// Prints what needs attention about a run.
fn print_notes(record: &RunRecord, terminal: &Terminal) {
    let key = &record.key;
    match (&record.reason, record.status) {
        (Some(reason), RunStatus::Failed) => {
            terminal.fail(&format!("{key}: {reason}"));
            terminal.note(if record.version.is_empty() {
                "  It was not put into the raw zone; the file is as it was."
            } else {
                "  The object is kept; ingest it again when the cause is fixed."
            });
        }
        (Some(reason), RunStatus::Skipped)
            if is_unclaimed(record) || record.skipped == Some(SkipReason::NewerSnapshot) =>
        {
            terminal.note(&format!("{key}: {reason}"));
        }
        (Some(reason), RunStatus::Succeeded) => terminal.note(&format!("{key}: {reason}")),
        _ => {}
    }
    for warning in &record.warnings {
        terminal.note(&format!("warning: {key}: {warning}"));
    }
    for outcome in &record.datasets {
        if let Some(before) = &outcome.taken_before {
            terminal.note(&format!(
                "{key}: {} taken before, from {} by run {}",
                plural(before.lines, "line"),
                before.key,
                before.run_id
            ));
        }
    }
    for outcome in &record.datasets {
        let rows: u64 = outcome.replaced.iter().map(|from| from.rows).sum();
        if rows > 0 {
            terminal.note(&format!(
                "{key}: its rows replaced {} of {}",
                plural(rows, "older row"),
                plural(outcome.replaced.len() as u64, "object")
            ));
        }
    }
    for (table, rows) in &record.unclaimed_tables {
        terminal.note(&format!(
            "{key}: no contract reads table {table} ({}); draft one with: tarn contract infer",
            plural(*rows, "row")
        ));
    }
    for outcome in &record.datasets {
        print_database(record, outcome, terminal);
    }
}

/// Prints what needs attention about a table of a database.
fn print_database(record: &RunRecord, outcome: &DatasetOutcome, terminal: &Terminal) {
    let (key, dataset) = (&record.key, &outcome.dataset);
    if let Some(found) = outcome
        .reconciliation
        .as_ref()
        .filter(|found| !found.matches)
    {
        terminal.fail(&format!(
            "{key}: {dataset} has {} at its source, {} were read and {} are in the table",
            plural(found.source_rows, "row"),
            count(found.read_rows),
            count(found.table_rows),
        ));
    }
    if outcome.held > 0 {
        terminal.note(&format!(
            "{key}: {} of {dataset} held at the last good version, because the newest was rejected",
            plural(outcome.held, "row")
        ));
    }
    if outcome.deletions_withheld > 0 {
        terminal.note(&format!(
            "{key}: {} of {dataset} not deleted although the source seems to have lost them: a rejected row \
             has no key that can be read, and may be any of them",
            plural(outcome.deletions_withheld, "row")
        ));
    }
}
