//! `tarn status`

use std::process::ExitCode;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use tarn_core::Result;
use tarn_core::text::duration;
use tarn_quality::report::anomaly_sentence;
use tarn_quality_function::{Backlog, DatasetStatus, Status};

use crate::cli::{Global, StatusArgs};
use crate::cloud::Remote;
use crate::commands::tables::note_place;
use crate::session::open;
use crate::terminal::{Terminal, count, plural};

/// Queues by the variable that names each.
const QUEUES: [(&str, &str); 5] = [
    ("ingest", "TARN_INGEST_QUEUE_URL"),
    ("marts", "TARN_MARTS_QUEUE_URL"),
    ("ingest dead letters", "TARN_INGEST_DLQ_URL"),
    ("marts dead letters", "TARN_MARTS_DLQ_URL"),
    ("archive dead letters", "TARN_ARCHIVE_DLQ_URL"),
];

/// Messages that wait in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Depth {
    queue: &'static str,
    messages: u64,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a Status,
    queues: &'a [Depth],
}

/// Shows the state of the pipeline.
pub async fn run(global: &Global, args: &StatusArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    // Listing a bucket of many objects takes long, and there every put is an event with a queue.
    let list_objects = session.folder().is_some();
    let status = tarn_quality_function::status(&session.lake, Utc::now(), list_objects).await?;
    let queues = match session.remote() {
        Some(remote) => depths(remote).await?,
        None => Vec::new(),
    };
    if terminal.is_json() {
        terminal.json(&Answer {
            status: &status,
            queues: &queues,
        })?;
    } else {
        print(&status, &queues, terminal)?;
        note_place(&session, terminal);
    }
    let dead = |queue: &Depth| queue.messages > 0 && queue.queue.ends_with("dead letters");
    let well = status.is_well() && !queues.iter().any(dead);
    Ok(if args.check && !well {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn depths(remote: &Remote) -> Result<Vec<Depth>> {
    let mut depths = Vec::new();
    for (queue, variable) in QUEUES {
        if let Some(messages) = remote.depth(variable).await? {
            depths.push(Depth { queue, messages });
        }
    }
    Ok(depths)
}

fn print(status: &Status, queues: &[Depth], terminal: &Terminal) -> Result<()> {
    terminal.heading("Backlog")?;
    print_backlog(status, terminal)?;
    for queue in queues {
        terminal.line(format!(
            "{:<21} {}",
            queue.queue,
            plural(queue.messages, "message")
        ))?;
    }
    terminal.heading("Datasets")?;
    let header = [
        "dataset",
        "last success (UTC)",
        "age",
        "rules broken",
        "service levels missed",
        "open anomalies",
    ];
    let rows = status
        .datasets
        .iter()
        .map(|one| {
            vec![
                one.dataset.clone(),
                one.last_success.map_or("never".to_owned(), |at| {
                    at.to_rfc3339_opts(SecondsFormat::Secs, true)
                }),
                one.age_seconds.map_or_else(String::new, duration),
                count(one.failing_rules.len() as u64),
                count(one.missed_service_levels.len() as u64),
                count(one.open_anomalies.len() as u64),
            ]
        })
        .collect();
    terminal.table(&header, &header[2..], rows)?;
    for dataset in &status.datasets {
        print_faults(dataset, terminal)?;
    }
    Ok(())
}

fn print_backlog(status: &Status, terminal: &Terminal) -> Result<()> {
    let Backlog {
        committed,
        pending,
        failed,
        unclaimed,
        superseded,
        unseen,
        oldest,
    } = &status.backlog;
    let unseen = unseen.map_or_else(String::new, |unseen| format!(", {} unseen", count(unseen)));
    terminal.line(format!(
        "{} committed; {} pending, {} failed, {} unclaimed, {} superseded by a newer snapshot{unseen}",
        plural(*committed, "object"),
        count(*pending),
        count(*failed),
        count(*unclaimed),
        count(*superseded),
    ))?;
    if let Some(oldest) = oldest {
        let age = (status.as_of - oldest.since).as_seconds_f64();
        let why = oldest
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        terminal.line(format!(
            "the oldest waits for {}: {} ({}){why}",
            duration(age),
            oldest.key,
            oldest.state,
        ))?;
    }
    Ok(())
}

fn print_faults(dataset: &DatasetStatus, terminal: &Terminal) -> Result<()> {
    let name = &dataset.dataset;
    for level in &dataset.missed_service_levels {
        terminal.line(format!(
            "service level {name}: {}; found {}",
            level.text,
            level.found()
        ))?;
    }
    for anomaly in &dataset.open_anomalies {
        terminal.line(format!(
            "anomaly {}: {}",
            anomaly.id,
            anomaly_sentence(anomaly)
        ))?;
    }
    for rule in &dataset.failing_rules {
        terminal.line(format!(
            "{} {name}: {} (broken by {} of {})",
            rule.severity,
            rule.text,
            count(rule.failed),
            count(rule.checked)
        ))?;
    }
    Ok(())
}
