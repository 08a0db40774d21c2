//! `tarn contract test`: how the contracts would judge files or raw objects, with nothing written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::Utc;
use serde_json::{Value, json};
use tarn_contract::Severity;
use tarn_core::run::{CheckResult, DatasetOutcome};
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_engine::inspect::examples::Example;
use tarn_ingest::{DryRun, dry_run, dry_run_file};

use crate::cli::{ContractTestArgs, Global};
use crate::commands::replay::{check_dataset, claims, ingest_date};
use crate::land::{Place, plan};
use crate::session::{Session, open, scratch};
use crate::terminal::{Terminal, count, plural};

/// What is tested.
enum Subject {
    /// A file, as if it were an object of this key.
    File(PathBuf, String),
    /// An object of the raw zone.
    Object(String),
}

impl Subject {
    fn name(&self) -> String {
        match self {
            Subject::File(path, _) => path.display().to_string(),
            Subject::Object(key) => key.clone(),
        }
    }

    fn key(&self) -> &str {
        match self {
            Subject::File(_, key) | Subject::Object(key) => key,
        }
    }

    /// Reads it under the contracts, and writes nothing.
    async fn dry_run(&self, session: &Session) -> Result<Vec<DryRun>> {
        match self {
            Subject::File(_, key) if !claims(session, None, key) => Err(Error::new(
                ErrorKind::BadContract,
                "no contract claims it; say which one it is for with --as source/dataset",
            )),
            Subject::File(path, key) => dry_run_file(&session.lake, key, path).await,
            Subject::Object(key) => dry_run(&session.lake, key, false).await,
        }
    }

    /// The JSON for a dataset that was read to its end.
    fn passed(&self, found: &DryRun) -> Value {
        json!({
            "object": self.name(),
            "key": self.key(),
            "passed": is_passed(&found.outcome),
            "outcome": found.outcome,
            "examples": found.examples,
            "superseded": found.superseded,
            "unconfirmed": found.unconfirmed,
        })
    }

    /// The JSON for a run that would fail.
    fn failed(&self, error: &Error) -> Value {
        json!({
            "object": self.name(),
            "key": self.key(),
            "passed": false,
            "error_kind": error.kind().as_str(),
            "reason": error.to_string(),
        })
    }
}

/// Reads files or objects under the contracts and says what would be rejected, and why. The exit code
/// is 1 where a row would be rejected, a run would fail, or a rule that does not only warn is broken.
pub async fn run(
    global: &Global,
    args: &ContractTestArgs,
    terminal: &Terminal,
) -> Result<ExitCode> {
    // Files are tested against the tables of the lake, or without any where there is no lake.
    let (session, _scratch) = match open(global).await {
        Err(error) if error.kind() == ErrorKind::NotFound && !args.files.is_empty() => {
            let (session, folder) = scratch(global)?;
            (session, Some(folder))
        }
        other => (other?, None),
    };
    check_dataset(&session, args.dataset.as_deref())?;
    let subjects = subjects(&session, args).await?;
    if subjects.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "no contract claims an object of these days; list the objects with: tarn runs",
        ));
    }
    let progress = terminal.progress();
    let mut findings = Findings::default();
    for (number, subject) in subjects.iter().enumerate() {
        let name = subject.name();
        progress.step(format!("{}/{} {name}", number + 1, subjects.len()));
        match subject.dry_run(&session).await {
            Ok(found) => {
                let wanted = args.dataset.as_ref();
                let is_wanted = |one: &DryRun| wanted.is_none_or(|wanted| *wanted == one.dataset);
                for found in found.into_iter().filter(is_wanted) {
                    if terminal.is_json() {
                        terminal.json(&subject.passed(&found))?;
                    }
                    findings.add(&name, found);
                }
            }
            // Another try may succeed: this says nothing about the contract.
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                if terminal.is_json() {
                    terminal.json(&subject.failed(&error))?;
                }
                findings.failed.push((name, error.to_string()));
            }
        }
    }
    drop(progress);
    if !terminal.is_json() {
        let numbers = ["received", "would pass", "would be rejected"];
        let mut head = vec!["object", "dataset"];
        head.extend(numbers);
        terminal.table(&head, &numbers, std::mem::take(&mut findings.lines))?;
        findings.print(terminal)?;
    }
    Ok(if findings.broken || !findings.failed.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn subjects(session: &Session, args: &ContractTestArgs) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    let plan = plan(session, &args.files, args.to_folder.as_deref())?;
    if let Some(refused) = plan.refused.into_iter().next() {
        return Err(refused.error);
    }
    for landing in plan.landings {
        subjects.push(match landing.place {
            Place::Here(key) => Subject::Object(key),
            Place::Folder {
                source,
                dataset,
                name,
            } => {
                let key = layout::raw_key(&source, &dataset, Utc::now(), &name);
                Subject::File(landing.path, key)
            }
        });
    }
    if let (Some(from), Some(to)) = (args.from, args.to) {
        for object in session.lake.objects.list(layout::RAW).await? {
            let in_range = ingest_date(&object.key).is_some_and(|day| (from..=to).contains(&day));
            if in_range && claims(session, args.dataset.as_deref(), &object.key) {
                subjects.push(Subject::Object(object.key));
            }
        }
    }
    Ok(subjects)
}

fn is_passed(outcome: &DatasetOutcome) -> bool {
    outcome.rejected == 0 && !outcome.checks.iter().any(is_broken)
}

/// Whether a rule that does more than warn is broken.
fn is_broken(check: &CheckResult) -> bool {
    !check.passed && check.severity != Severity::Warn.as_str()
}

/// What was found about a rule in all objects of a dataset.
#[derive(Default)]
struct Finding {
    severity: String,
    rows: u64,
    text: String,
}

#[derive(Default)]
struct Findings {
    rules: BTreeMap<(String, String), Finding>,
    /// Objects and the reasons why their runs would fail.
    failed: Vec<(String, String)>,
    /// Counts of each object and dataset, as the table shows them.
    lines: Vec<Vec<String>>,
    broken: bool,
}

impl Findings {
    fn add(&mut self, name: &str, found: DryRun) {
        let outcome = found.outcome;
        self.lines.push(vec![
            name.to_owned(),
            found.dataset.clone(),
            count(outcome.received),
            count(outcome.accepted),
            count(outcome.rejected),
        ]);
        self.broken |= !is_passed(&outcome);
        for (rule, rows) in &outcome.rejected_by {
            let example = found.examples.iter().find(|one| one.rule == *rule);
            let found = self.rule(&outcome.dataset, rule);
            found.severity = Severity::Reject.as_str().to_owned();
            found.rows += rows;
            if let Some(example) = example.filter(|_| found.text.is_empty()) {
                found.text = shown(example);
            }
        }
        for check in outcome.checks.iter().filter(|check| !check.passed) {
            if outcome.rejected_by.contains_key(&check.id) {
                continue;
            }
            let found = self.rule(&outcome.dataset, &check.id);
            found.severity.clone_from(&check.severity);
            found.rows += check.failed;
            found.text = match check.value {
                Some(value) => format!("{}, but found {value}", check.rule),
                None => check.rule.clone(),
            };
        }
    }

    fn rule(&mut self, dataset: &str, rule: &str) -> &mut Finding {
        self.rules
            .entry((dataset.to_owned(), rule.to_owned()))
            .or_default()
    }

    fn print(&self, terminal: &Terminal) -> Result<()> {
        for (name, reason) in &self.failed {
            terminal.fail(&format!("{name}: the run would fail: {reason}"));
        }
        if self.rules.is_empty() {
            terminal.note("Every rule holds. Nothing was written.");
            return Ok(());
        }
        let rows = self.rules.iter().map(|((dataset, rule), found)| {
            vec![
                dataset.clone(),
                rule.clone(),
                found.severity.clone(),
                count(found.rows),
                found.text.clone(),
            ]
        });
        terminal.table(
            &["dataset", "rule", "severity", "rows", "found"],
            &["rows"],
            rows.collect(),
        )?;
        terminal.note(&format!(
            "{} broken. Nothing was written.",
            plural(self.rules.len() as u64, "rule")
        ));
        Ok(())
    }
}

fn shown(example: &Example) -> String {
    match example.line {
        Some(line) => format!("line {line}: {}", example.reason),
        None => example.reason.clone(),
    }
}
