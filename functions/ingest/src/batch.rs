//! A batch of queue messages about new objects.
//!
//! A message succeeds once nothing is left to do for its objects: their rows are in tables, they are
//! gone, or no contract claims them. It fails where a run failed or a message cannot be read, retryable
//! or not: the queue delivers it again, and after the last delivery it waits in the dead-letter
//! queue, whence it can be sent again once the cause is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use tarn_core::run::{RunRecord, RunStatus};
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;
use tracing::Instrument;

use crate::notification::{Noticed, noticed};
use crate::{ingest, ingest_version};

/// What bounds the work on a batch.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The raw zone's bucket: objects of another are refused. None accepts any.
    pub bucket: Option<String>,
    /// Messages that would not be done by then are left for another delivery.
    pub until: Option<Instant>,
}

/// A run, and when its object was put as its event says.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingested {
    /// The run.
    pub run: RunRecord,
    /// When the object was put.
    pub put_at: Option<DateTime<Utc>>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The runs, in order.
    pub ingested: Vec<Ingested>,
    /// Tables that have changed, or did in an earlier delivery of the same event, of which nobody may
    /// have heard.
    pub changed: BTreeSet<TableName>,
    failed: Vec<String>,
    changing: Vec<String>,
}

impl Batch {
    /// Lets the messages whose tables have changed fail too: nobody could be told of the change. The
    /// next delivery finds the rows committed and tells again.
    pub fn fail_changed(&mut self) {
        self.failed.append(&mut self.changing);
    }

    /// Which messages are to be delivered again.
    pub fn response(&self) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        response.set_failures(self.failed.iter().cloned());
        response
    }
}

/// Ingests the objects that a batch of messages names, one after the other.
///
/// # Errors
/// `BadRequest` where a message has no identifier, so that its failure could not be reported.
pub async fn ingest_batch(event: SqsEvent, lake: &Lake, bounds: &Bounds) -> Result<Batch> {
    let mut batch = Batch::default();
    // Several messages may name the same object; what they say was true before the batch came.
    let mut done: BTreeMap<(String, Option<String>), bool> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for message in event.records {
        let id = message.message_id.ok_or_else(|| {
            Error::new(
                ErrorKind::BadRequest,
                "a message of the batch has no messageId",
            )
        })?;
        let started = Instant::now();
        if bounds.until.is_some_and(|until| started + longest >= until) {
            tracing::warn!(
                message = id,
                "no time is left in this invocation; the message will be delivered again"
            );
            batch.failed.push(id);
            continue;
        }
        let body = message.body.unwrap_or_default();
        let objects = match noticed(&body).and_then(|objects| of_lake(objects, bounds)) {
            Ok(objects) => objects,
            Err(error) => {
                tracing::error!(message = id, %error, "a message cannot be read");
                batch.failed.push(id);
                continue;
            }
        };
        let (mut failed, mut changed) = (false, BTreeSet::new());
        for object in objects {
            let named = (object.key.clone(), object.version.clone());
            let ended_well = match done.get(&named) {
                Some(&before) => before,
                None => {
                    let run = isolated(lake, &object.key, object.version.as_deref()).await;
                    let ended_well = run
                        .as_ref()
                        .is_some_and(|run| run.status != RunStatus::Failed);
                    batch.ingested.extend(run.map(|run| Ingested {
                        run,
                        put_at: object.at,
                    }));
                    done.insert(named, ended_well);
                    ended_well
                }
            };
            if ended_well {
                let claiming = lake.contracts.claiming(&object.key);
                changed.extend(claiming.into_iter().map(|contract| contract.table()));
            } else {
                failed = true;
            }
        }
        if failed {
            batch.failed.push(id);
        } else if !changed.is_empty() {
            batch.changing.push(id);
        }
        batch.changed.extend(changed);
        longest = longest.max(started.elapsed());
    }
    Ok(batch)
}

fn of_lake(objects: Vec<Noticed>, bounds: &Bounds) -> Result<Vec<Noticed>> {
    if let Some(bucket) = &bounds.bucket
        && let Some(strange) = objects.iter().find(|object| object.bucket != *bucket)
    {
        return Err(Error::new(
            ErrorKind::BadRequest,
            format!(
                "the message is about the bucket {}, and the raw zone is {bucket}",
                strange.bucket
            ),
        ));
    }
    Ok(objects)
}

/// Runs on a task of its own, so that a panic fails this message and no other.
async fn isolated(lake: &Lake, key: &str, version: Option<&str>) -> Option<RunRecord> {
    let (lake, owned, version) = (lake.clone(), key.to_owned(), version.map(str::to_owned));
    let work = async move {
        match version {
            Some(version) => ingest_version(&lake, &owned, &version).await,
            None => ingest(&lake, &owned).await,
        }
    };
    let task = tokio::spawn(work.in_current_span());
    match task.await {
        Ok(Ok(run)) => {
            log(&run);
            Some(run)
        }
        Ok(Err(error)) => {
            tracing::error!(key, %error, "a run could not be recorded");
            None
        }
        Err(error) => {
            tracing::error!(key, %error, "a fault in Tarn: a run panicked");
            None
        }
    }
}

fn log(run: &RunRecord) {
    let reason = run.reason.as_deref().unwrap_or_default();
    if run.status == RunStatus::Failed {
        tracing::error!(
            runId = run.run_id,
            key = run.key,
            errorKind = run.error_kind,
            retryable = run.retryable,
            reason,
            "a run failed"
        );
        return;
    }
    tracing::info!(
        runId = run.run_id,
        key = run.key,
        status = ?run.status,
        received = run.received(),
        accepted = run.accepted(),
        rejected = run.rejected(),
        reason,
        "a run ended"
    );
}
