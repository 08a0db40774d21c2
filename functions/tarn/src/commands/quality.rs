//! `tarn quality`

use std::path::Path;
use std::process::ExitCode;
use tarn_core::rule_id;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tarn_core::feedback::{Feedback, Judgement};
use tarn_core::{Error, ErrorKind, Result};
use tarn_quality::DatasetQuality;
use tarn_quality::report::{Report, anomaly_sentence, html};
use tarn_quality::result::in_micros;
use tarn_quality::score::percent;
use tarn_quality::watch::{Anomaly, Status};
use tarn_quality_function::{Material, folder, json, write};

use crate::cli::{
    AnomaliesArgs, Global, JudgeArgs, QualityArgs, QualityCommand, QualityReportArgs,
};
use crate::session::{Session, open, shown};
use crate::terminal::{Terminal, count, plural};

/// Evaluates, reports, lists or judges.
pub async fn run(global: &Global, args: &QualityArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    match &args.command {
        None => evaluate(&session, args.runs, terminal).await?,
        Some(QualityCommand::Report(args)) => report(&session, args, terminal).await?,
        Some(QualityCommand::Anomalies(args)) => anomalies(&session, args, terminal).await?,
        Some(QualityCommand::Confirm(args)) => {
            judge(&session, args, Judgement::Confirmed, terminal).await?;
        }
        Some(QualityCommand::Dismiss(args)) => {
            judge(&session, args, Judgement::Dismissed, terminal).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn evaluate(session: &Session, runs: usize, terminal: &Terminal) -> Result<()> {
    let found = tarn_quality_function::evaluate(&session.lake, runs, Utc::now()).await?;
    if terminal.is_json() {
        return found
            .datasets
            .iter()
            .try_for_each(|dataset| terminal.json(dataset));
    }
    print(&found.datasets, terminal)?;
    for finding in found.today.findings.iter().filter(|one| one.kind != "rule") {
        terminal.line(format!(
            "{} {}: {}",
            finding.kind, finding.dataset, finding.text
        ))?;
    }
    terminal.note(&format!(
        "{} recorded, {} written below {}",
        plural(found.recorded, "run"),
        plural(found.reports.len() as u64, "report"),
        place(session, tarn_quality_function::REPORTS),
    ));
    Ok(())
}

/// A key as people read it: a path if the lake is a folder.
fn place(session: &Session, key: &str) -> String {
    let uri = session.lake.objects.location(key);
    match uri.strip_prefix("file://") {
        Some(path) => shown(Path::new(path)),
        None => uri,
    }
}

async fn report(session: &Session, args: &QualityReportArgs, terminal: &Terminal) -> Result<()> {
    let now = in_micros(Utc::now());
    let report = match &args.run {
        Some(run_id) => of_run(session, run_id, now).await?,
        None => {
            let day = args.day.unwrap_or_else(|| now.date_naive());
            let material = Material::read(&session.lake, day, day).await?;
            material.day(&session.lake, day, args.as_of, now)
        }
    };
    let where_to = match &args.out {
        Some(out) => {
            std::fs::create_dir_all(out)
                .and_then(|()| std::fs::write(out.join("report.html"), html(&report)))
                .map_err(|error| unwritable(out, error))?;
            std::fs::write(out.join("report.json"), json(&report)?)
                .map_err(|error| unwritable(out, error))?;
            out.join("report.html").display().to_string()
        }
        None => {
            write(&session.lake, &report).await?;
            place(session, &format!("{}report.html", folder(&report)))
        }
    };
    if terminal.is_json() {
        return terminal.json(&report);
    }
    let score = report.score.map_or("no score".to_owned(), percent);
    terminal.line(format!(
        "{}: {score}, {} received, {} rejected, {}",
        report.subject,
        count(report.totals.received),
        count(report.totals.rejected),
        plural(report.findings.len() as u64, "finding"),
    ))?;
    for finding in &report.findings {
        terminal.line(format!(
            "{} {}: {}",
            finding.kind, finding.dataset, finding.text
        ))?;
    }
    terminal.note(&format!("Written to {where_to}"));
    Ok(())
}

fn unwritable(out: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!("the report cannot be written to {}", out.display()),
    )
    .with_source(error)
}

async fn of_run(session: &Session, run_id: &str, now: DateTime<Utc>) -> Result<Report> {
    let unknown = || {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no run {run_id} that succeeded or failed; list them with: tarn runs"),
        )
    };
    let run = session.lake.ledger.run(run_id).await?.ok_or_else(unknown)?;
    let material = Material::read(&session.lake, run.day(), run.day()).await?;
    material.run(&session.lake, run_id, now).ok_or_else(unknown)
}

async fn anomalies(session: &Session, args: &AnomaliesArgs, terminal: &Terminal) -> Result<()> {
    let now = Utc::now();
    let last = args.until.unwrap_or_else(|| now.date_naive());
    let first = last - TimeDelta::days(i64::from(args.days) - 1);
    let material = Material::read(&session.lake, first, last).await?;
    let watched = material.watch(&session.lake, (first, last), now);
    let shown: Vec<&Anomaly> = watched
        .anomalies
        .iter()
        .filter(|one| args.all || one.status == Status::Open)
        .collect();
    if terminal.is_json() {
        return shown.into_iter().try_for_each(|one| terminal.json(one));
    }
    let rows = shown
        .iter()
        .map(|one| {
            vec![
                one.id.clone(),
                one.status.as_str().to_owned(),
                anomaly_sentence(one),
                one.note.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if shown.is_empty() {
        terminal.line("No anomalies")?;
    } else {
        terminal.table(&["anomaly", "status", "found", "note"], &[], rows)?;
    }
    terminal.note(&format!(
        "From {first} to {last} (UTC): {} as expected; {} without enough history to judge",
        plural(watched.expected, "other value"),
        count(watched.not_enough_history),
    ));
    Ok(())
}

/// The day of an anomaly, from the end of its name; today for an anomaly of a run.
fn day_of(id: &str) -> chrono::NaiveDate {
    let end = id.rsplit('/').next().unwrap_or_default();
    end.parse().unwrap_or_else(|_| Utc::now().date_naive())
}

async fn judge(
    session: &Session,
    args: &JudgeArgs,
    judgement: Judgement,
    terminal: &Terminal,
) -> Result<()> {
    let now = Utc::now();
    let day = day_of(&args.id);
    // The name of an anomaly of a run does not contain its day.
    let first = day - TimeDelta::days(tarn_quality_function::HISTORY_DAYS);
    let material = Material::read(&session.lake, first, day).await?;
    let watched = material.watch(&session.lake, (first, day), now);
    if !watched.anomalies.iter().any(|one| one.id == args.id) {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "there is no anomaly {}; list them with: tarn quality anomalies --all",
                args.id
            ),
        ));
    }
    let feedback = Feedback {
        anomaly: args.id.clone(),
        judgement,
        note: args.note.clone(),
        at: in_micros(now),
    };
    session.lake.ledger.put_feedback(&feedback).await?;
    if terminal.is_json() {
        return terminal.json(&feedback);
    }
    terminal.line(format!(
        "{} is {} since {}",
        feedback.anomaly,
        judgement.as_str(),
        feedback.at.to_rfc3339_opts(SecondsFormat::Secs, true)
    ))
}

/// Prints one line per dataset, and the rules that were broken below.
pub fn print(summary: &[DatasetQuality], terminal: &Terminal) -> Result<()> {
    let rows = summary
        .iter()
        .map(|dataset| {
            vec![
                dataset.dataset.clone(),
                if dataset.passed() { "pass" } else { "FAIL" }.to_owned(),
                count(dataset.received),
                count(dataset.rejected),
                count(dataset.passed_checks),
                count(dataset.failed_checks.len() as u64),
            ]
        })
        .collect();
    let header = [
        "dataset",
        "verdict",
        "received",
        "rejected",
        "rules held",
        "rules broken",
    ];
    terminal.table(&header, &header[2..], rows)?;
    for dataset in summary {
        for check in &dataset.failed_checks {
            terminal.line(format!(
                "{} {}: {} (broken by {} of {})",
                check.severity,
                dataset.dataset,
                check.rule,
                count(check.failed),
                count(check.checked)
            ))?;
        }
        for (rule, rows) in &dataset.rejected_by {
            // Rules of columns are listed above; these are rules of whole rows.
            if [rule_id::PARSE, rule_id::DUPLICATE].contains(&rule.as_str())
                || rule_id::column_of_type_rule(rule).is_some()
            {
                terminal.line(format!(
                    "error {}: {rule} ({} rejected)",
                    dataset.dataset,
                    count(*rows)
                ))?;
            }
        }
    }
    Ok(())
}
