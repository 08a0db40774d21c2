//! The functions as AWS Lambda runs them, in one binary: `_HANDLER` says which one it is.
//!
//! At a cold start the settings are read and checked, and the ports are connected once. A wrong
//! setting fails the start; all faults are reported to Lambda at once. Each event is then handed to the
//! library function of that name. A panic in it becomes a failed invocation.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod api;
mod events;
mod init_error;
mod log;
mod metrics;
mod start;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::{Value, json};
use tarn_archive::{archive_batch, stream_contract};
use tarn_aws::Aws;
use tarn_core::{Error, ErrorKind, Result};
use tarn_ingest::{Bounds, ingest_batch};
use tarn_lake::{Lake, Redelivery};
use tarn_query::Limits;

use crate::events::Marts;
use crate::metrics::Metrics;
use crate::start::{Handler, Start};

/// Where runs stage their files: in the only folder that a function can write to. No other execution
/// environment sees it: on Lambda each has a `/tmp` of its own, on the emulator a `TMPDIR`.
fn scratch() -> PathBuf {
    std::env::temp_dir().join("tarn")
}

/// Runs that the quality summary is made of.
const SUMMED_RUNS: usize = 1000;

/// What is left of the function's time when a batch begins no further message: time to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long a queue is asked at most to deliver messages again soon; they come again anyway.
const ASKING_TIME: Duration = Duration::from_secs(10);

/// Serves events until Lambda ends the process.
fn main() -> ExitCode {
    log::init();
    let result = Start::read(&|name| std::env::var(name).ok()).and_then(serve);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                errorKind = error.kind().as_str(),
                "the function cannot start: {error}"
            );
            init_error::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn serve(start: Start) -> Result<()> {
    clear(&scratch())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(start.threads())
        .enable_all()
        .build()
        .map_err(|error| {
            Error::internal("the async runtime cannot be started").with_source(error)
        })?;
    runtime.block_on(async {
        let function = Arc::new(Function::new(start).await?);
        let served = if function.handler == Handler::Api {
            api::serve(&function).await
        } else {
            let service = service_fn(move |event| {
                let function = function.clone();
                async move { function.handle(event).await.map_err(Failure) }
            });
            lambda_runtime::run(service).await
        };
        served.map_err(|error| Error::internal("the runtime of Lambda ended").with_source(error))
    })
}

/// Empties the folder: a process that was killed in the same sandbox may have left files.
fn clear(folder: &Path) -> Result<()> {
    let removed = match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(folder),
    };
    removed.map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("the folder {} cannot be made", folder.display()),
        )
        .with_source(error)
    })
}

/// A function, ready for events.
struct Function {
    handler: Handler,
    aws: Aws,
    lake: Lake,
    start: Start,
    metrics: Metrics,
}

/// An error on its way to Lambda.
struct Failure(Error);

/// The runtime logs it so.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<Failure> for Diagnostic {
    fn from(Failure(error): Failure) -> Self {
        Diagnostic {
            error_type: format!("tarn.{}", error.kind().as_str()),
            error_message: error.to_string(),
        }
    }
}

impl Function {
    async fn new(start: Start) -> Result<Self> {
        let aws = Aws::connect(start.settings.clone()).await;
        let lake = Lake::new(
            aws.objects(),
            aws.catalog(),
            aws.ledger(),
            start.contracts.clone(),
            &scratch(),
        )
        .with_keys(aws.keys())
        .with_limits(Limits::of_memory(
            usize::try_from(start.memory).unwrap_or(usize::MAX) * 1024 * 1024,
        ));
        if start.handler == Handler::Archive {
            // A stream without a dataset is a fault of the settings, not of some record.
            stream_contract(&lake, Some(start.settings.stream_dataset()?))?;
        }
        Ok(Function {
            handler: start.handler,
            metrics: Metrics::new(start.namespace.clone()),
            aws,
            lake,
            start,
        })
    }

    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value> {
        let deadline = deadline(&event.context);
        match self.handler {
            Handler::Ingest => self.ingest(event.payload, deadline).await,
            Handler::Archive => self.archive(event.payload).await,
            Handler::Marts => self.marts(event.payload, deadline).await,
            Handler::Quality => self.quality(&event.payload).await,
            Handler::Maintain => self.maintain(&event.payload).await,
            Handler::Api => Err(Error::internal("the API has a service of its own")),
        }
    }

    async fn ingest(&self, event: Value, deadline: Instant) -> Result<Value> {
        let lake = &self.lake;
        let bounds = Bounds {
            bucket: Some(
                self.start
                    .settings
                    .bucket_of(tarn_core::layout::RAW)?
                    .to_owned(),
            ),
            until: deadline.checked_sub(ANSWER_TIME),
        };
        let mut batch = ingest_batch(events::messages(event)?, lake, &bounds).await;
        for ingested in &batch.ingested {
            self.metrics.run(ingested, &lake.contracts);
        }
        if !batch.changed.is_empty() {
            let tables: Vec<String> = batch.changed.iter().map(ToString::to_string).collect();
            let queue = self.aws.queue(self.start.settings.marts_queue_url()?);
            let message = json!({ "tables": tables }).to_string();
            if let Err(error) = queue.send(&message).await {
                tracing::error!(%error, "the marts could not be notified; the messages will be delivered again");
                batch.fail_changed();
            }
        }
        let queue = self.start.settings.ingest_queue_url();
        self.ask_again(queue, batch.soon(), deadline).await;
        value(&events::failures(batch.failed()))
    }

    async fn marts(&self, event: Value, deadline: Instant) -> Result<Value> {
        let lake = &self.lake;
        let handled = match events::marts(event)? {
            Marts::All => tarn_marts::on_schedule(lake).await?,
            Marts::Changed(messages) => tarn_marts::on_messages(messages, lake).await,
        };
        let queue = self.start.settings.marts_queue_url().ok();
        self.ask_again(queue, handled.soon(), deadline).await;
        value(&events::failures(handled.failed()))
    }

    /// Asks the queue to deliver messages whose failure passes by itself again soon. If that fails, they come
    /// after the queue's visibility timeout, so it is not an error.
    async fn ask_again(&self, url: Option<&str>, messages: &[Redelivery], deadline: Instant) {
        let (Some(url), false) = (url, messages.is_empty()) else {
            return;
        };
        let queue = self.aws.queue(url);
        let asking = async {
            for message in messages {
                let seconds = message.seconds();
                let receives = message.receives;
                match queue.deliver_in(&message.receipt, seconds).await {
                    Ok(()) => tracing::info!(seconds, receives, "a message comes again soon"),
                    Err(error) => tracing::warn!(
                        receives,
                        %error,
                        "a message comes again after the visibility timeout only"
                    ),
                }
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let longest = ASKING_TIME.min(left.saturating_sub(Duration::from_secs(1)));
        if tokio::time::timeout(longest, asking).await.is_err() {
            tracing::warn!(
                "the queue does not answer; messages come again after the visibility timeout"
            );
        }
    }

    async fn archive(&self, event: Value) -> Result<Value> {
        let settings = &self.start.settings;
        let lake = &self.lake;
        let contract = stream_contract(lake, Some(settings.stream_dataset()?))?;
        let archived =
            archive_batch(events::records(event)?, lake, contract, settings.stream()?).await;
        value(&archived.response())
    }

    async fn quality(&self, event: &Value) -> Result<Value> {
        expect_task(event, "quality")?;
        let found = tarn_quality_function::evaluate(&self.lake, SUMMED_RUNS, Utc::now()).await?;
        self.metrics.freshness(&found.freshness);
        self.metrics.quality(&found.measures);
        Ok(json!({
            "datasets": found.datasets.len(),
            "recorded": found.recorded,
            "reports": found.reports.len(),
            "findings": found.today.findings.len(),
        }))
    }

    async fn maintain(&self, event: &Value) -> Result<Value> {
        expect_task(event, "maintain")?;
        let dry_run = event.get("dry_run").and_then(Value::as_bool) == Some(true);
        let outcomes = tarn_maintain::maintain(
            &self.lake,
            &self.start.retention,
            Utc::now(),
            dry_run,
            &mut |_| {},
        )
        .await?;
        let failed: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| outcome.error.is_some())
            .map(|outcome| outcome.table.as_str())
            .collect();
        if failed.is_empty() {
            return value(&outcomes);
        }
        Err(Error::new(
            ErrorKind::Storage,
            format!("maintenance of some tables failed: {}", failed.join(", ")),
        )
        .retryable(true))
    }
}

/// When Lambda ends this invocation.
fn deadline(context: &lambda_runtime::Context) -> Instant {
    let left = context.deadline().duration_since(SystemTime::now());
    Instant::now() + left.unwrap_or_default()
}

fn expect_task(event: &Value, task: &str) -> Result<()> {
    if event.get("task").and_then(Value::as_str) == Some(task) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::BadRequest,
        format!("the event is not {{\"task\": \"{task}\"}}"),
    ))
}

fn value(answer: &impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Error::internal("the answer cannot be written as JSON").with_source(error))
}
