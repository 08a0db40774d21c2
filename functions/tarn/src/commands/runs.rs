//! `tarn runs`

use std::process::ExitCode;

use chrono::SecondsFormat;
use tarn_core::run::{RunRecord, RunStatus};
use tarn_core::{Error, ErrorKind, Result};

use crate::cli::{Global, RunsArgs};
use crate::session::open;
use crate::terminal::{Terminal, bytes, count};

/// Lists the runs or shows one.
pub async fn run(global: &Global, args: &RunsArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    if let Some(run_id) = &args.run_id {
        let run = session.lake.ledger.run(run_id).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no run {run_id}; list them with: tarn runs"),
            )
        })?;
        show(&run, terminal)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runs = session.lake.ledger.runs(args.limit).await?;
    if terminal.is_json() {
        runs.iter().try_for_each(|run| terminal.json(run))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = runs
        .iter()
        .map(|run| {
            vec![
                run.run_id.clone(),
                run.started_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                status(run.status).to_owned(),
                run.key.strip_prefix("raw/").unwrap_or(&run.key).to_owned(),
                count(run.received()),
                count(run.accepted()),
                count(run.rejected()),
                seconds(run),
            ]
        })
        .collect();
    terminal.table(
        &[
            "run",
            "started (UTC)",
            "status",
            "object",
            "received",
            "accepted",
            "rejected",
            "seconds",
        ],
        &["received", "accepted", "rejected", "seconds"],
        rows,
    )?;
    Ok(ExitCode::SUCCESS)
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Skipped => "skipped",
    }
}

fn seconds(run: &RunRecord) -> String {
    run.seconds
        .map_or_else(String::new, |seconds| format!("{seconds:.1}"))
}

fn show(run: &RunRecord, terminal: &Terminal) -> Result<()> {
    if terminal.is_json() {
        return terminal.json(run);
    }
    terminal.line(format!("run       {}", run.run_id))?;
    terminal.line(format!("object    {} ({})", run.key, bytes(run.bytes)))?;
    terminal.line(format!("version   {}", run.version))?;
    terminal.line(format!("status    {}", status(run.status)))?;
    if let Some(reason) = &run.reason {
        terminal.line(format!("reason    {reason}"))?;
    }
    terminal.line(format!(
        "started   {}",
        run.started_at.to_rfc3339_opts(SecondsFormat::Millis, true)
    ))?;
    if let Some(ended) = run.ended_at {
        terminal.line(format!(
            "ended     {}",
            ended.to_rfc3339_opts(SecondsFormat::Millis, true)
        ))?;
    }
    if run.seconds.is_some() {
        terminal.line(format!("seconds   {}", seconds(run)))?;
    }
    if let Some(peak) = run.peak_memory_bytes {
        terminal.line(format!("memory    {} at most, by the process", bytes(peak)))?;
    }
    if let Some(version) = &run.program_version {
        terminal.line(format!("program   {version}"))?;
    }
    for outcome in &run.datasets {
        terminal.heading(&outcome.dataset)?;
        terminal.line(format!(
            "received {}, accepted {}, rejected {} (held {}); inserted {}, updated {}, unchanged {}, deleted {}, \
             late {}",
            count(outcome.received),
            count(outcome.accepted),
            count(outcome.rejected),
            count(outcome.held),
            count(outcome.inserted),
            count(outcome.updated),
            count(outcome.unchanged),
            count(outcome.deleted),
            count(outcome.late),
        ))?;
        if let Some(found) = &outcome.reconciliation {
            terminal.line(format!(
                "source {} rows, read {}, in the table {}: {}",
                count(found.source_rows),
                count(found.read_rows),
                count(found.table_rows),
                if found.matches {
                    "they agree"
                } else {
                    "they do not agree"
                }
            ))?;
        }
        let rows = outcome
            .checks
            .iter()
            .map(|check| {
                vec![
                    if check.passed { "pass" } else { "FAIL" }.to_owned(),
                    check.severity.clone(),
                    check.rule.clone(),
                    count(check.failed),
                    count(check.checked),
                ]
            })
            .collect();
        terminal.table(
            &["verdict", "severity", "rule", "failed", "of"],
            &["failed", "of"],
            rows,
        )?;
    }
    Ok(())
}
