//! `tarn demo`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use chrono::{NaiveDate, Utc};
use serde_json::json;
use tarn_api::query::{QueryRequest, answer};
use tarn_core::run::{RunRecord, RunStatus};
use tarn_core::{Error, ErrorKind, Result};
use tarn_local::LocalLake;
use tarn_marts::{MartOutcome, MartStatus, build_all};
use tarn_quality::DatasetQuality;
use tarn_query::OutputFormat;

use crate::cli::{DemoArgs, Global};
use crate::commands::stream::Streaming;
use crate::commands::{demo_faults, ingest, marts, quality};
use crate::land::plan;
use crate::session::{Session, create_folder};
use crate::terminal::{Progress, Terminal, count, plural};
use tarn_sample::{Plan, generate};

/// The folder of ad events within the sample data: they are streamed, not uploaded.
const EVENTS: &str = "ads/events";

/// The questions that the demo answers.
const QUESTIONS: [(&str, &str); 3] = [
    (
        "Net sales per currency",
        "SELECT currency, SUM(orders) AS orders, SUM(units) AS units, SUM(net_sales) AS net_sales \
         FROM daily_sales GROUP BY currency ORDER BY currency",
    ),
    (
        "The five products that sell best",
        "SELECT name, category, currency, units, revenue, margin FROM product_performance \
         ORDER BY units DESC, product_id, currency LIMIT 5",
    ),
    (
        "Campaigns by cost, with what they brought",
        "SELECT platform, campaign_id, currency, SUM(impressions) AS impressions, SUM(clicks) AS clicks, \
         SUM(conversions) AS conversions, SUM(spend) AS spend, SUM(conversion_value) AS conversion_value \
         FROM ad_performance GROUP BY platform, campaign_id, currency \
         ORDER BY spend DESC, campaign_id LIMIT 5",
    ),
];

/// Generates a shop, ingests it, builds marts and prints the results.
pub async fn run(global: &Global, args: &DemoArgs, terminal: &Terminal) -> Result<ExitCode> {
    if let Some(faults) = &args.faults {
        return demo_faults::run(global, faults, terminal).await;
    }
    let started = Instant::now();
    let (session, local) = create_folder(global, "demo")?;
    let folder = tempfile::tempdir().map_err(|error| {
        Error::new(ErrorKind::Storage, "a temporary folder cannot be made").with_source(error)
    })?;
    let progress = terminal.progress();
    let sample = Plan {
        days: args.days,
        scale: args.scale,
        ..Plan::new(args.seed, folder.path().to_owned())
    };
    let files = generate(&sample, &mut |what, rows| {
        progress.step(format!("generating {what}: {}", count(rows)));
    })?;
    let mut records = Vec::new();
    for part in ["shop", "web", "social"] {
        let plan = plan(&session, &[folder.path().join(part)], None)?;
        records.extend(ingest::ingest_all(&session, &local, &plan, false, &progress).await?);
    }
    records.extend(replay_events(&session, &local, &folder.path().join(EVENTS), &progress).await?);
    let built = build_all(&session.lake, &mut |mart| {
        progress.step(format!("building {mart}"))
    })
    .await?;
    let runs = records.len().max(1000);
    progress.step("writing reports");
    let quality = tarn_quality_function::evaluate(&session.lake, runs, Utc::now())
        .await?
        .datasets;
    drop(progress);
    let failed = records
        .iter()
        .any(|record| record.status == RunStatus::Failed);
    let code = if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    let changed = records
        .iter()
        .any(|record| record.status != RunStatus::Skipped)
        || built
            .iter()
            .any(|outcome| matches!(outcome.status, MartStatus::Built { .. }));
    if terminal.is_json() {
        terminal.json(&json!({
            "lake": local.root(),
            "changed": changed,
            "generated": files.len(),
            "runs": records,
            "marts": built,
            "quality": quality,
        }))?;
        return Ok(code);
    }
    let outcome = Outcome {
        records,
        built,
        quality,
        changed,
    };
    outcome.print(&session, terminal).await?;
    terminal.note(&format!("{:.1} s", started.elapsed().as_secs_f64()));
    Ok(code)
}

/// Streams each day's events as if they arrived on that day.
async fn replay_events(
    session: &Session,
    local: &LocalLake,
    folder: &Path,
    progress: &Progress,
) -> Result<Vec<RunRecord>> {
    let unreadable = |error| {
        Error::new(ErrorKind::Storage, "the sample events cannot be read").with_source(error)
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    files.sort();
    let mut records = Vec::new();
    let streaming = Streaming {
        session,
        local,
        dataset: None,
        progress,
    };
    for file in files {
        let name = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let day = name
            .get(name.len().saturating_sub("2026-01-01".len())..)
            .and_then(|date| date.parse::<NaiveDate>().ok())
            .ok_or_else(|| Error::internal(format!("{name} does not end with a date")))?;
        let (_, ingested) = streaming.file(&file, Some(day)).await?;
        records.extend(ingested);
    }
    Ok(records)
}

#[derive(Default)]
struct Sums {
    objects: u64,
    received: u64,
    accepted: u64,
    rejected: u64,
}

/// What the demo did.
struct Outcome {
    records: Vec<RunRecord>,
    built: Vec<MartOutcome>,
    quality: Vec<DatasetQuality>,
    /// Whether any table has a new version.
    changed: bool,
}

impl Outcome {
    async fn print(&self, session: &Session, terminal: &Terminal) -> Result<()> {
        self.print_ingested(terminal)?;
        terminal.heading("Quality")?;
        quality::print(&self.quality, terminal)?;
        terminal.heading("Marts")?;
        marts::print(&self.built, terminal)?;
        for (title, sql) in QUESTIONS {
            terminal.heading(title)?;
            let request = QueryRequest {
                sql: sql.to_owned(),
                ..QueryRequest::default()
            };
            let mut found = answer(&session.lake, request).await?;
            let mut text = Vec::new();
            found.write(OutputFormat::Table, &mut text).await?;
            terminal.line(String::from_utf8_lossy(&text).trim_end())?;
        }
        print_next_steps(&session.name(), terminal)
    }

    fn print_ingested(&self, terminal: &Terminal) -> Result<()> {
        if self.changed {
            let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
            for outcome in self.records.iter().flat_map(|record| &record.datasets) {
                let sum = sums.entry(&outcome.dataset).or_default();
                sum.objects += 1;
                sum.received += outcome.received;
                sum.accepted += outcome.accepted;
                sum.rejected += outcome.rejected;
            }
            terminal.heading("Ingested")?;
            let rows = sums
                .into_iter()
                .map(|(dataset, sum)| {
                    let numbers = [sum.objects, sum.received, sum.accepted, sum.rejected];
                    std::iter::once(dataset.to_owned())
                        .chain(numbers.map(count))
                        .collect()
                })
                .collect();
            let header = ["dataset", "objects", "received", "accepted", "rejected"];
            terminal.table(&header, &header[1..], rows)?;
        } else {
            terminal.heading("Nothing has changed")?;
            terminal.line(format!(
                "The lake had all {} before: no table has a new version.",
                plural(self.records.len() as u64, "object")
            ))?;
        }
        for record in &self.records {
            if record.status == RunStatus::Failed {
                let reason = record.reason.as_deref().unwrap_or_default();
                terminal.fail(&format!("{}: {reason}", record.key));
            }
        }
        Ok(())
    }
}

fn print_next_steps(lake: &str, terminal: &Terminal) -> Result<()> {
    terminal.heading("The lake")?;
    terminal.line(lake)?;
    terminal.heading("Try next")?;
    let option = format!("--lake {lake}");
    for command in [
        format!("tarn {option} tables"),
        format!(
            "tarn {option} query 'SELECT status, COUNT(*) AS orders FROM orders GROUP BY status'"
        ),
        format!("tarn {option} quarantine"),
        format!("tarn {option} status"),
        format!("tarn {option} quality report --out ./report"),
        format!("tarn {option} versions orders"),
        format!("tarn {option} serve"),
    ] {
        terminal.line(format!("  {command}"))?;
    }
    Ok(())
}
