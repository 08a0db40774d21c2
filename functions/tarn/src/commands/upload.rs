//! `tarn ingest` on AWS: uploads files, and follows the functions that ingest them.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tarn_core::ports::{ObjectInfo, Original, PutMode};
use tarn_core::run::{ObjectRecord, ObjectState, RunRecord, RunStatus};
use tarn_core::{Error, ErrorKind, Result};

use crate::commands::ingest::{exit_code, not_landed, refused};
use crate::land::{Landed, Plan, RawZone};
use crate::session::Session;
use crate::terminal::{Progress, Terminal, bytes};

/// How often the ledger is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// A function has 15 minutes at most, and a message a few deliveries.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// The files of a command after their upload, before the functions are notified.
pub struct Uploaded {
    /// Objects that are in the raw zone.
    pub landed: Vec<Landed>,
    /// Runs of files that are not.
    pub failed: Vec<RunRecord>,
}

/// Uploads the files to the raw zone, in order. One that is there already is put again only if its run
/// has failed or no contract claimed it. One that cannot be uploaded stops no other.
pub async fn upload(
    session: &Session,
    plan: &Plan,
    as_new: bool,
    progress: &Progress,
) -> Result<Uploaded> {
    let mut raw = RawZone::new(session, as_new);
    let mut uploaded = Uploaded {
        landed: Vec::new(),
        failed: plan.refused.iter().map(refused).collect(),
    };
    let landings = &plan.landings;
    for (number, landing) in landings.iter().enumerate() {
        let name = landing.path.file_name().unwrap_or_default();
        progress.step(format!(
            "{}/{} {}: uploading",
            number + 1,
            landings.len(),
            name.to_string_lossy()
        ));
        let mut object = match raw.land(landing).await {
            Ok(object) => object,
            Err(error) => {
                let record = not_landed(&landing.place.shown(), &error);
                uploaded.failed.push(record);
                continue;
            }
        };
        if !object.put && failed_before(session, &object.info).await? {
            // Only a new version triggers the function, which is notified of puts alone.
            object.info = session
                .lake
                .objects
                .put_file(
                    &object.info.key,
                    &landing.path,
                    PutMode::Overwrite,
                    Original::Changes,
                )
                .await?;
            object.put = true;
        }
        uploaded.landed.push(object);
    }
    Ok(uploaded)
}

/// Whether the object was not ingested so far.
async fn failed_before(session: &Session, info: &ObjectInfo) -> Result<bool> {
    let record = session.lake.ledger.object(&info.key).await?;
    Ok(record
        .is_some_and(|record| matches!(record.state, ObjectState::Failed | ObjectState::Unclaimed)))
}

/// Lists what was uploaded.
pub fn list(uploaded: &Uploaded, terminal: &Terminal) -> Result<ExitCode> {
    let code = exit_code(&uploaded.failed);
    if terminal.is_json() {
        for object in &uploaded.landed {
            let info = &object.info;
            terminal.json(&json!({
                "key": info.key, "version": info.version, "bytes": info.size, "uploaded": object.put,
            }))?;
        }
        for failed in &uploaded.failed {
            terminal.json(&json!({
                "key": failed.key, "uploaded": false, "reason": failed.reason,
            }))?;
        }
        return Ok(code);
    }
    let rows = uploaded
        .landed
        .iter()
        .map(|object| {
            let info = &object.info;
            let status = if object.put {
                "uploaded"
            } else {
                "there before"
            };
            let key = info.key.strip_prefix("raw/").unwrap_or(&info.key);
            vec![key.to_owned(), status.to_owned(), bytes(info.size)]
        })
        .collect();
    terminal.table(&["object", "status", "size"], &["size"], rows)?;
    for failed in &uploaded.failed {
        let reason = failed.reason.as_deref().unwrap_or_default();
        terminal.fail(&format!("{}: {reason}", failed.key));
    }
    terminal.note("The functions ingest it now; see how far they are with: tarn runs");
    Ok(code)
}

/// Waits until each object's run has ended, and returns all runs. If the
/// cause of a failed run may pass, the queue tries it again, and this waits for it.
///
/// # Errors
/// `Storage` where an object is not done in time.
pub async fn follow(
    session: &Session,
    uploaded: Uploaded,
    progress: &Progress,
) -> Result<Vec<RunRecord>> {
    let Uploaded { landed, failed } = uploaded;
    let started = Instant::now();
    let mut done: BTreeMap<usize, RunRecord> = BTreeMap::new();
    loop {
        for (number, object) in landed.iter().enumerate() {
            if !done.contains_key(&number)
                && let Some(run) = ended(session, object).await?
            {
                done.insert(number, run);
            }
        }
        if done.len() == landed.len() {
            return Ok(done.into_values().chain(failed).collect());
        }
        progress.step(format!("{}/{} ingested", done.len(), landed.len()));
        if started.elapsed() > PATIENCE {
            return Err(late(&landed, &done));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn late(landed: &[Landed], done: &BTreeMap<usize, RunRecord>) -> Error {
    let waiting: Vec<&str> = landed
        .iter()
        .enumerate()
        .filter(|(number, _)| !done.contains_key(number))
        .map(|(_, object)| object.info.key.as_str())
        .collect();
    Error::new(
        ErrorKind::Storage,
        format!(
            "no run of {} has ended after {} minutes; look at the log of the function ingest, and for \
             dead letters with: tarn redrive ingest --dry-run",
            waiting.join(", "),
            PATIENCE.as_secs() / 60
        ),
    )
}

/// The run that ended the work on an object, if one did.
async fn ended(session: &Session, landed: &Landed) -> Result<Option<RunRecord>> {
    let ledger = &session.lake.ledger;
    let Some(record) = ledger.object(&landed.info.key).await? else {
        return Ok(None);
    };
    if !speaks_of(&record, &landed.info) || record.state == ObjectState::Pending {
        return Ok(None);
    }
    let Some(mut run) = ledger.run(&record.run_id).await? else {
        return Ok(None);
    };
    if !landed.put && run.status == RunStatus::Succeeded {
        // As in a folder: an object that was ingested before is skipped.
        run.status = RunStatus::Skipped;
        run.reason = Some(format!(
            "this version was committed before, by run {}",
            run.run_id
        ));
    }
    let passing = run.status == RunStatus::Failed && run.retryable && landed.put;
    Ok((run.status != RunStatus::Running && !passing).then_some(run))
}

/// Whether the record is about that version, or a newer one.
fn speaks_of(record: &ObjectRecord, info: &ObjectInfo) -> bool {
    record.sequencer > info.sequencer
        || (record.sequencer == info.sequencer && record.version == info.version)
}
