//! `tarn quality`

use std::process::ExitCode;

use chrono::Utc;
use tarn_core::Result;
use tarn_core::quality::DatasetQuality;

use crate::cli::{Global, QualityArgs};
use crate::setting::open;
use crate::terminal::{Terminal, count};

/// Sums up the newest runs and prints what they found.
pub async fn run(global: &Global, args: &QualityArgs, terminal: &Terminal) -> Result<ExitCode> {
    let setting = open(global).await?;
    let summary = tarn_quality::report(&setting.lake, args.runs, Utc::now())
        .await?
        .datasets;
    if terminal.is_json() {
        summary
            .iter()
            .try_for_each(|dataset| terminal.json(dataset))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&summary, terminal)?;
    let uri = setting.lake.objects.uri(tarn_lake::QUALITY_SUMMARY);
    terminal.note(&format!(
        "Written to {}",
        uri.strip_prefix("file://").unwrap_or(&uri)
    ));
    Ok(ExitCode::SUCCESS)
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
            // Rules of columns are listed above; these are of the row as a whole.
            if rule == "parse" || rule == "duplicate" || rule.ends_with(".type") {
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
