//! `tarn demo --faults`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use tarn_core::ports::PutMode;
use tarn_core::run::RunStatus;
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_local::LocalLake;
use tarn_quality::report::Finding;
use tarn_quality::result::in_micros;
use tarn_quality_function::Material;

use crate::cli::Global;
use crate::session::{Session, create_with, shown};
use crate::terminal::{Progress, Terminal, plural};
use tarn_sample::faults::{
    Arrival, CONTRACTS, DATASET, DAYS, Fault, Faults, SOURCE, arrivals, day,
};

/// The folder of the lake where none is named: `./lake` may be a lake with other contracts.
const LAKE: &str = "./lake-faults";

/// A seeded fault and the findings about it.
#[derive(Debug, Serialize)]
struct Seeded {
    fault: &'static str,
    dataset: &'static str,
    day: NaiveDate,
    seeded: &'static str,
    /// Findings that name it.
    found: Vec<Named>,
    /// Names of findings that are missing.
    missed: Vec<String>,
}

/// A finding of a report.
#[derive(Debug, Serialize)]
struct Named {
    /// `rule`, `drift`, `anomaly`, `promise` or `failed_run`.
    kind: String,
    dataset: String,
    day: NaiveDate,
    name: String,
    text: String,
}

impl Named {
    fn new(day: NaiveDate, finding: Finding) -> Self {
        let drift = finding.kind == "rule" && finding.name.ends_with(".drift");
        Named {
            kind: if drift {
                "drift".to_owned()
            } else {
                finding.kind
            },
            dataset: finding.dataset,
            day,
            name: finding.name,
            text: finding.text,
        }
    }
}

/// The result of the demo.
#[derive(Debug, Serialize)]
struct Outcome {
    lake: PathBuf,
    contracts: PathBuf,
    /// Whether each fault was found and nothing else was flagged.
    passed: bool,
    days: u32,
    faults: Vec<Seeded>,
    /// Findings that no seeded fault explains.
    unexpected: Vec<Named>,
}

/// Seeds the faults, ingests four weeks of sales, makes the reports and says what they found.
pub async fn run(global: &Global, faults: &Faults, terminal: &Terminal) -> Result<ExitCode> {
    if global.is_on_aws() || global.contracts.is_some() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "tarn demo --faults works on a lake in a folder, with contracts of its own; leave --aws, --env, \
             --contracts and TARN_CONTRACTS out",
        ));
    }
    let folder = global.lake.clone().unwrap_or_else(|| LAKE.into());
    let (session, local) = create_with(&folder, &CONTRACTS)?;
    let progress = terminal.progress();
    let keys = put(&session, &arrivals(faults)).await?;
    let contracts = write_contracts(local.root())?;
    ingest(&session, &local, &keys, &progress).await?;
    progress.step("writing reports");
    tarn_quality_function::evaluate(&session.lake, keys.len().max(1000), Utc::now()).await?;
    let (faults, unexpected) = judge(&session, faults).await?;
    drop(progress);
    let outcome = Outcome {
        lake: local.root().to_owned(),
        contracts,
        passed: unexpected.is_empty() && faults.iter().all(|fault| fault.missed.is_empty()),
        days: DAYS,
        faults,
        unexpected,
    };
    if terminal.is_json() {
        terminal.json(&outcome)?;
    } else {
        print(&outcome, terminal)?;
    }
    Ok(if outcome.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Puts the files into the raw zone on the days that they arrive on. A second run puts nothing.
///
/// # Errors
/// `Conflict` where the lake has other files in their places, as of another choice of faults: reports
/// would show both.
async fn put(session: &Session, arrivals: &[Arrival]) -> Result<Vec<String>> {
    let objects = &session.lake.objects;
    let mut missing = Vec::new();
    let mut keys = Vec::new();
    for arrival in arrivals {
        let at = arrival.day.and_time(NaiveTime::MIN).and_utc();
        let key = layout::raw_key(SOURCE, arrival.folder, at, arrival.name);
        let there = match objects.get(&key, None).await {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match (&arrival.text, there) {
            (Some(text), Some(there)) if text.as_bytes() == there => keys.push(key),
            (Some(text), None) => {
                missing.push((key.clone(), text));
                keys.push(key);
            }
            (None, None) => {}
            _ => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "{} was filled with other data; delete it, or name another folder with --lake",
                        session.name()
                    ),
                ));
            }
        }
    }
    for (key, text) in missing {
        objects
            .put(&key, text.clone().into(), PutMode::IfAbsent)
            .await?;
    }
    Ok(keys)
}

/// Writes the contracts into the lake's folder, for the commands that look at the lake afterwards.
fn write_contracts(lake: &Path) -> Result<PathBuf> {
    let folder = lake.join("contracts");
    let write = || {
        std::fs::create_dir_all(&folder)?;
        CONTRACTS
            .iter()
            .try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
    };
    write().map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("the contracts cannot be written to {}", folder.display()),
        )
        .with_source(error)
    })?;
    Ok(folder)
}

async fn ingest(
    session: &Session,
    local: &LocalLake,
    keys: &[String],
    progress: &Progress,
) -> Result<()> {
    for (number, key) in keys.iter().enumerate() {
        progress.step(format!("{}/{} {key}: ingesting", number + 1, keys.len()));
        let _lock = local.ingest_lock(key).await?;
        let record = tarn_ingest::ingest(&session.lake, key).await?;
        if record.status == RunStatus::Failed {
            return Err(Error::new(
                ErrorKind::BadSource,
                format!("{key}: {}", record.reason.unwrap_or_default()),
            ));
        }
    }
    Ok(())
}

/// Compares the reports of all days with the seeded faults.
async fn judge(session: &Session, faults: &Faults) -> Result<(Vec<Seeded>, Vec<Named>)> {
    let now = in_micros(Utc::now());
    let material = Material::read(&session.lake, day(0), day(DAYS - 1)).await?;
    let (mut seeded, mut unexpected) = (Vec::new(), Vec::new());
    for day in (0..DAYS).map(day) {
        let report = material.day(&session.lake, day, None, now);
        let fault = faults.of_day(day);
        let mut expected: BTreeSet<String> =
            fault.map(Fault::findings).into_iter().flatten().collect();
        let mut found = Vec::new();
        for finding in report.findings {
            let finding = Named::new(day, finding);
            if finding.dataset == DATASET && expected.remove(&finding.name) {
                found.push(finding);
            } else {
                unexpected.push(finding);
            }
        }
        if let Some(fault) = fault {
            seeded.push(Seeded {
                fault: fault.as_str(),
                dataset: DATASET,
                day,
                seeded: fault.seeded(),
                found,
                missed: expected.into_iter().collect(),
            });
        }
    }
    Ok((seeded, unexpected))
}

fn print(outcome: &Outcome, terminal: &Terminal) -> Result<()> {
    terminal.heading("Seeded faults")?;
    let mut rows = Vec::new();
    for fault in &outcome.faults {
        let named = fault
            .found
            .iter()
            .map(|one| ("found", format!("{} {}", one.kind, one.name)));
        let missed = fault.missed.iter().map(|name| ("MISSED", name.clone()));
        for (number, (verdict, name)) in named.chain(missed).enumerate() {
            // The first of its lines names the fault.
            let first = |text: &str| if number == 0 { text } else { "" }.to_owned();
            rows.push(vec![
                first(fault.fault),
                first(fault.dataset),
                first(&fault.day.to_string()),
                first(fault.seeded),
                verdict.to_owned(),
                name,
            ]);
        }
    }
    let header = ["fault", "dataset", "day", "seeded", "", "named by"];
    if rows.is_empty() {
        terminal.line("None")?;
    } else {
        terminal.table(&header, &[], rows)?;
    }
    let missed = outcome
        .faults
        .iter()
        .filter(|fault| !fault.missed.is_empty())
        .count();
    terminal.line(format!(
        "{} of {} found on {}; {}",
        outcome.faults.len() - missed,
        plural(outcome.faults.len() as u64, "seeded fault"),
        plural(u64::from(outcome.days), "day"),
        match outcome.unexpected.len() {
            0 => "nothing else was flagged".to_owned(),
            more => format!("{} besides", plural(more as u64, "finding")),
        }
    ))?;
    if !outcome.unexpected.is_empty() {
        terminal.heading("Flagged without a seeded fault")?;
        let rows = outcome
            .unexpected
            .iter()
            .map(|one| {
                vec![
                    one.day.to_string(),
                    one.dataset.clone(),
                    format!("{} {}", one.kind, one.name),
                    one.text.clone(),
                ]
            })
            .collect();
        terminal.table(&["day", "dataset", "named by", "found"], &[], rows)?;
    }
    terminal.heading("Try next")?;
    let option = format!(
        "--lake {} --contracts {}",
        shown(&outcome.lake),
        shown(&outcome.contracts)
    );
    let first = outcome.faults.first().map_or(day(0), |fault| fault.day);
    for command in [
        format!("tarn {option} quality report --day {first} --out ./report"),
        format!("tarn {option} quality anomalies --until {}", day(DAYS - 1)),
        format!("tarn {option} quarantine"),
    ] {
        terminal.line(format!("  {command}"))?;
    }
    Ok(())
}
