//! `tarn redrive`

use std::process::ExitCode;

use serde_json::json;
use tarn_aws::Aws;
use tarn_core::{Error, ErrorKind, Result};

use crate::cli::{DeadLetters, Global, RedriveArgs};
use crate::environment::Environment;
use crate::terminal::{Terminal, plural};

/// Moves dead letters back to the queue that they come from.
pub async fn run(global: &Global, args: &RedriveArgs, terminal: &Terminal) -> Result<ExitCode> {
    if !global.is_on_aws() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "a lake in a folder has no queues; name the lake on AWS with --aws or --env",
        ));
    }
    let environment = Environment::read(global.env.as_deref())?;
    let (name, from, to) = match args.queue {
        DeadLetters::Ingest => ("ingest", "TARN_INGEST_DLQ_URL", "TARN_INGEST_QUEUE_URL"),
        DeadLetters::Marts => ("marts", "TARN_MARTS_DLQ_URL", "TARN_MARTS_QUEUE_URL"),
    };
    let [from, to] = environment.need([from, to])?;
    let aws = Aws::connect(environment.settings(&[])?).await;
    let dead = aws.queue(&from);
    let depth = dead.depth().await?;
    // A message that fails once more comes back while this goes on: each is moved once.
    let limit = args
        .limit
        .unwrap_or_else(|| usize::try_from(depth).unwrap_or(usize::MAX));
    let moved = if args.dry_run {
        0
    } else {
        dead.redrive_to(&aws.queue(&to), limit).await? as u64
    };
    if terminal.is_json() {
        terminal.json(&json!({ "queue": name, "dead_letters": depth, "moved": moved }))?;
    } else if args.dry_run {
        let letters = plural(depth, "dead letter");
        terminal.line(format!("{letters} of {name}"))?;
    } else {
        let letters = plural(moved, "dead letter");
        terminal.line(format!("{letters} sent to {name} again"))?;
    }
    Ok(ExitCode::SUCCESS)
}
