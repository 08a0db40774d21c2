//! `tarn maintain`

use std::process::ExitCode;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tarn_core::Result;
use tarn_local::{Leftovers, Tidied};
use tarn_maintain::{TableOutcome, maintain};
use tarn_table::Retention;

use crate::cli::{Global, MaintainArgs};
use crate::session::open;
use crate::terminal::{Terminal, bytes, count, plural};

/// Maintains every table and lists what was done.
pub async fn run(global: &Global, args: &MaintainArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let retention = Retention {
        keep_for: TimeDelta::days(args.keep_days.into()),
        at_least: usize::try_from(args.keep_versions).unwrap_or(usize::MAX),
        orphans_after: TimeDelta::days(args.orphan_days.into()),
    };
    let progress = terminal.progress();
    let outcomes = maintain(
        &session.lake,
        &retention,
        Utc::now(),
        args.dry_run,
        &mut |table| progress.step(format!("maintaining {table}")),
    )
    .await?;
    progress.step("looking after the folder");
    let tidied = match session.folder() {
        Some(local) => Some(local.tidy(args.dry_run)?),
        None => None,
    };
    drop(progress);
    if terminal.is_json() {
        outcomes
            .iter()
            .try_for_each(|outcome| terminal.json(outcome))?;
        if let Some(tidied) = &tidied {
            terminal.json(&as_json(tidied))?;
        }
    } else {
        print(&outcomes, terminal)?;
        if let Some(tidied) = &tidied {
            print_tidied(tidied, args.dry_run, terminal)?;
        }
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

fn as_json(tidied: &Tidied) -> Value {
    let left = |left: &Leftovers| json!({"entries": left.entries, "bytes": left.bytes});
    json!({"folder": {
        "staging": left(&tidied.staging),
        "former_reports": left(&tidied.former_reports),
        "erased": left(&tidied.erased),
        "locks": tidied.locks,
        "tightened": tidied.tightened,
        "loose": tidied.loose,
    }})
}

fn print_tidied(tidied: &Tidied, dry_run: bool, terminal: &Terminal) -> Result<()> {
    let done = |would: &'static str, was: &'static str| if dry_run { would } else { was };
    let removed = done("to be removed", "removed");
    for (left, what) in [
        (&tidied.staging, "left by stopped processes"),
        (&tidied.former_reports, "of former reports and summaries"),
        (&tidied.erased, "of deleted raw objects"),
    ] {
        if *left != Leftovers::default() {
            let (number, size) = (plural(left.entries, "leftover"), bytes(left.bytes));
            terminal.line(format!("{number} {what} {removed} ({size})"))?;
        }
    }
    if tidied.locks > 0 {
        let number = plural(tidied.locks, "lock file");
        terminal.line(format!("{number} of stopped processes {removed}"))?;
    }
    if tidied.tightened > 0 {
        let number = count(tidied.tightened);
        let tightened = done("to be made", "made");
        terminal.line(format!(
            "{number} files and folders of the raw zone and the state {tightened} their owner's alone"
        ))?;
    }
    if tidied.loose > 0 {
        terminal.note(&format!(
            "Others can read {} files and folders of the raw zone and the state: they belong to another user, \
             or their file system has no modes.",
            count(tidied.loose)
        ));
    }
    Ok(())
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
