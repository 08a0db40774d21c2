//! `tarn relocate`

use std::process::ExitCode;

use serde::Serialize;
use tarn_core::{Error, ErrorKind, Result};
use tarn_table::Relocated;

use crate::cli::{Global, RelocateArgs};
use crate::session::open;
use crate::terminal::{Terminal, count};

/// What was rewritten of one table, or would be.
#[derive(Serialize)]
struct Outcome {
    table: String,
    metadata_files: u64,
    manifest_lists: u64,
    manifests: u64,
    data_files: u64,
    /// Why the table could not be relocated.
    error: Option<String>,
}

impl Outcome {
    fn new(table: String, result: Result<Relocated>) -> Outcome {
        let (done, error) = match result {
            Ok(done) => (done, None),
            Err(error) => (Relocated::default(), Some(error.to_string())),
        };
        Outcome {
            table,
            metadata_files: done.metadata_files,
            manifest_lists: done.manifest_lists,
            manifests: done.manifests,
            data_files: done.data_files,
            error,
        }
    }
}

/// Rewrites the metadata of every table that names another place than the lake's folder.
pub async fn run(global: &Global, args: &RelocateArgs, terminal: &Terminal) -> Result<ExitCode> {
    if global.is_on_aws() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "a lake on AWS cannot be relocated: its metadata names its buckets. Copy the objects of its raw \
             bucket to that of a new lake, whose functions ingest them",
        ));
    }
    let session = open(global).await?;
    let Some(local) = session.folder() else {
        return Err(Error::internal("a lake in a folder has no folder"));
    };
    let recorded = local.recorded_elsewhere();
    // First of all, so that other processes commit with the present place from now on.
    if args.dry_run {
        local.assume_here()
    } else {
        local.record_here()?
    }
    let progress = terminal.progress();
    let mut outcomes = Vec::new();
    for name in session.lake.catalog.list().await? {
        progress.step(format!("looking at {name}"));
        let step = &mut |done: usize, all: usize| {
            progress.step(format!("{name}: manifest {} of {all}", done + 1));
        };
        let result = session
            .lake
            .tables
            .relocate(&name, args.dry_run, step)
            .await;
        outcomes.push(Outcome::new(name.to_string(), result));
    }
    drop(progress);
    let failed = outcomes.iter().any(|outcome| outcome.error.is_some());
    if terminal.is_json() {
        outcomes
            .iter()
            .try_for_each(|outcome| terminal.json(outcome))?;
    } else {
        print(&outcomes, terminal)?;
        let here = local.root().display();
        match recorded {
            Some(recorded) => terminal.note(&format!("The lake was recorded at {recorded}.")),
            None if outcomes.iter().all(|outcome| outcome.metadata_files == 0) && !failed => {
                terminal.note(&format!("Every path names {here} already."));
            }
            None => {}
        }
        if args.dry_run {
            terminal.note("Nothing was changed: this is what would be rewritten.");
        } else if failed {
            terminal.note("Run it again when the cause is fixed; the other tables are done.");
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(outcomes: &[Outcome], terminal: &Terminal) -> Result<()> {
    let rows = outcomes
        .iter()
        .map(|outcome| {
            vec![
                outcome.table.clone(),
                count(outcome.metadata_files),
                count(outcome.manifest_lists),
                count(outcome.manifests),
                count(outcome.data_files),
            ]
        })
        .collect();
    let header = [
        "table",
        "metadata files",
        "manifest lists",
        "manifests",
        "paths of data files",
    ];
    terminal.table(&header, &header[1..], rows)?;
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            terminal.fail(&format!("{}: {error}", outcome.table));
        }
    }
    Ok(())
}
