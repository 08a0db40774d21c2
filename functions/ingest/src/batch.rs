//! A batch of queue messages about new objects.
//!
//! A message succeeds once nothing is left to do for its objects: their rows are in tables, they are
//! gone, or no contract claims them. It fails where a run failed or a message cannot be read, retryable
//! or not: the queue delivers it again, and after the last delivery it waits in the dead-letter
//! queue, from which it can be sent again once the cause is fixed. A message whose failure passes by itself
//! is in [`Batch::soon`], so that it need not wait for the queue's visibility timeout.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tarn_core::run::{RunRecord, RunStatus};
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::{Lake, Message, Redelivery};
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

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The runs, in order.
    pub ingested: Vec<Ingested>,
    /// Tables that have changed, also in an earlier delivery of the same event: the marts may not have been
    /// notified.
    pub changed: BTreeSet<TableName>,
    failed: Vec<String>,
    soon: Vec<Redelivery>,
    changing: Vec<Delivery>,
}

/// A message as it was delivered.
#[derive(Debug, Clone)]
struct Delivery {
    id: String,
    again: Option<Redelivery>,
}

/// How the work on an object or on a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing is left to do.
    Well,
    /// It failed, and the cause passes by itself.
    Passing,
    /// It failed, and fails again until the cause is fixed.
    Lasting,
}

impl End {
    fn of_failure(retryable: bool) -> End {
        if retryable {
            End::Passing
        } else {
            End::Lasting
        }
    }

    /// The outcome for two objects of one message: one that fails for good is not delivered sooner.
    fn and(self, other: End) -> End {
        match (self, other) {
            (End::Lasting, _) | (_, End::Lasting) => End::Lasting,
            (End::Passing, _) | (_, End::Passing) => End::Passing,
            (End::Well, End::Well) => End::Well,
        }
    }
}

impl Batch {
    /// Lets the messages whose tables have changed fail too, because the marts could not be notified. The next
    /// delivery finds the rows committed and notifies again.
    pub fn fail_changed(&mut self) {
        for delivery in std::mem::take(&mut self.changing) {
            self.fail(delivery, End::Passing);
        }
    }

    fn fail(&mut self, delivery: Delivery, end: End) {
        self.failed.push(delivery.id);
        if end == End::Passing {
            self.soon.extend(delivery.again);
        }
    }

    /// Messages among those of [`Batch::failed`] whose failure passes by itself: they are to be
    /// delivered again soon.
    pub fn soon(&self) -> &[Redelivery] {
        &self.soon
    }

    /// Identifiers of the messages that are to be delivered again.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }
}

/// Ingests the objects that a batch of messages names, one after the other.
pub async fn ingest_batch(messages: Vec<Message>, lake: &Lake, bounds: &Bounds) -> Batch {
    let mut batch = Batch::default();
    // Several messages may name the same object; what they say was true before the batch came.
    let mut done: BTreeMap<(String, Option<String>), End> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for message in messages {
        let delivery = Delivery {
            again: Redelivery::of(&message),
            id: message.id,
        };
        let started = Instant::now();
        if bounds.until.is_some_and(|until| started + longest >= until) {
            tracing::warn!(
                message = delivery.id,
                "no time is left in this invocation; the message will be delivered again"
            );
            batch.fail(delivery, End::Passing);
            continue;
        }
        let objects = match noticed(&message.body).and_then(|objects| of_lake(objects, bounds)) {
            Ok(objects) => objects,
            Err(error) => {
                tracing::error!(message = delivery.id, %error, "a message cannot be read");
                batch.fail(delivery, End::Lasting);
                continue;
            }
        };
        let (mut end, mut changed) = (End::Well, BTreeSet::new());
        for object in objects {
            let named = (object.key.clone(), object.version.clone());
            let of_object = match done.get(&named) {
                Some(&before) => before,
                None => {
                    let (run, end) = isolated(lake, &object.key, object.version.as_deref()).await;
                    batch.ingested.extend(run.map(|run| Ingested {
                        run,
                        put_at: object.at,
                    }));
                    done.insert(named, end);
                    end
                }
            };
            if of_object == End::Well {
                let claiming = lake.contracts.claiming(&object.key);
                changed.extend(claiming.into_iter().map(|contract| contract.table()));
            }
            end = end.and(of_object);
        }
        if end != End::Well {
            batch.fail(delivery, end);
        } else if !changed.is_empty() {
            batch.changing.push(delivery);
        }
        batch.changed.extend(changed);
        longest = longest.max(started.elapsed());
    }
    batch
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

/// Runs on a task of its own, so that a panic fails this message and no other. The run, where it could
/// be recorded, and how it ended.
async fn isolated(lake: &Lake, key: &str, version: Option<&str>) -> (Option<RunRecord>, End) {
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
            let end = match run.status {
                RunStatus::Failed => End::of_failure(run.retryable),
                _ => End::Well,
            };
            (Some(run), end)
        }
        Ok(Err(error)) => {
            tracing::error!(key, %error, "a run could not be recorded");
            (None, End::of_failure(error.is_retryable()))
        }
        Err(error) => {
            tracing::error!(key, %error, "a fault in Tarn: a run panicked");
            (None, End::Lasting)
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
