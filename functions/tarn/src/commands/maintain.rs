//! `tarn maintain`

use std::process::ExitCode;

use chrono::{TimeDelta, Utc};
use tarn_core::Result;
use tarn_maintain::{TableOutcome, maintain};
use tarn_table::Retention;

use crate::cli::{Global, MaintainArgs};
use crate::setting::open;
use crate::terminal::{Terminal, bytes, count};

/// Looks after every table and lists what was done.
pub async fn run(global: &Global, args: &MaintainArgs, terminal: &Terminal) -> Result<ExitCode> {
    let setting = open(global).await?;
    let retention = Retention {
        keep_for: TimeDelta::days(args.keep_days.into()),
        at_least: usize::try_from(args.keep_versions).unwrap_or(usize::MAX),
        orphans_after: TimeDelta::days(args.orphan_days.into()),
    };
    let progress = terminal.progress();
    let outcomes = maintain(
        &setting.lake,
        &retention,
        Utc::now(),
        args.dry_run,
        &mut |table| progress.step(format!("looking after {table}")),
    )
    .await?;
    drop(progress);
    if terminal.is_json() {
        outcomes
            .iter()
            .try_for_each(|outcome| terminal.json(outcome))?;
    } else {
        print(&outcomes, terminal)?;
        if args.dry_run {
            terminal.note("Nothing was changed: this is what would be done.");
        }
    }
    let failed = outcomes.iter().any(|outcome| outcome.error.is_some());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(outcomes: &[TableOutcome], terminal: &Terminal) -> Result<()> {
    let rows = outcomes
        .iter()
        .map(|outcome| {
            vec![
                outcome.table.clone(),
                count(outcome.expired_versions.len() as u64),
                count(outcome.deleted_files),
                bytes(outcome.deleted_bytes),
            ]
        })
        .collect();
    let header = ["table", "versions forgotten", "files deleted", "size"];
    terminal.table(&header, &header[1..], rows)?;
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            terminal.fail(&format!("{}: {error}", outcome.table));
        }
        if outcome.left_files > 0 {
            terminal.note(&format!(
                "{}: {} files could not be deleted; the next round tries again",
                outcome.table,
                count(outcome.left_files)
            ));
        }
    }
    Ok(())
}
