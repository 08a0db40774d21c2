//! `tarn redrive`

use std::process::ExitCode;

use serde_json::json;
use tarn_core::{Error, ErrorKind, Result};

use crate::cli::{DeadLetters, Global, RedriveArgs};
use crate::cloud::{Redriven, redrive};
use crate::terminal::{Terminal, plural};

/// Sends dead letters on their way again.
pub async fn run(global: &Global, args: &RedriveArgs, terminal: &Terminal) -> Result<ExitCode> {
    if !global.is_on_aws() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "a lake in a folder has no queues; name the lake on AWS with --aws or --env",
        ));
    }
    let name = match args.queue {
        DeadLetters::Ingest => "ingest",
        DeadLetters::Marts => "marts",
        DeadLetters::Archive => "archive",
    };
    let Redriven { depth, moved } = redrive(global, args).await?;
    if terminal.is_json() {
        terminal.json(&json!({ "queue": name, "dead_letters": depth, "moved": moved }))?;
    } else if args.dry_run {
        let letters = plural(depth, "dead letter");
        terminal.line(format!("{letters} of {name}"))?;
    } else {
        let letters = plural(moved as u64, "dead letter");
        terminal.line(format!("{letters} sent to {name} again"))?;
    }
    Ok(ExitCode::SUCCESS)
}
