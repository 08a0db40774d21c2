//! `tarn marts`

use std::process::ExitCode;

use tarn_core::Result;
use tarn_marts::{MartOutcome, MartStatus, build_all, rebuild_all};

use crate::cli::{Global, MartsArgs};
use crate::session::open;
use crate::terminal::{Terminal, count};

/// Brings the marts up to date and lists them.
pub async fn run(global: &Global, args: &MartsArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let progress = terminal.progress();
    let each = &mut |mart: &str| progress.step(format!("building {mart}"));
    let outcomes = if args.rebuild {
        rebuild_all(&session.lake, each).await?
    } else {
        build_all(&session.lake, each).await?
    };
    drop(progress);
    if terminal.is_json() {
        outcomes
            .iter()
            .try_for_each(|outcome| terminal.json(outcome))?;
    } else {
        print(&outcomes, terminal)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints one line per mart.
pub fn print(outcomes: &[MartOutcome], terminal: &Terminal) -> Result<()> {
    let rows = outcomes
        .iter()
        .map(|outcome| {
            let status = match &outcome.status {
                MartStatus::Built { .. } => "new version".to_owned(),
                MartStatus::Unchanged => "unchanged".to_owned(),
                MartStatus::Waiting { missing } => format!("waits for {}", missing.join(", ")),
            };
            vec![outcome.mart.clone(), count(outcome.rows), status]
        })
        .collect();
    terminal.table(&["mart", "rows", "status"], &["rows"], rows)
}
