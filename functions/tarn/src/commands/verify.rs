//! `tarn verify`

use std::process::ExitCode;

use tarn_core::digest::Digest;
use tarn_core::ports::check;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::blocking;
use tarn_local::LocalLake;
use tarn_maintain::{Fault, Outcome, verify_raw, verify_table};

use crate::cli::{Global, VerifyArgs};
use crate::session::{Session, open};
use crate::terminal::{Progress, Terminal, bytes, count, plural};

/// Reads everything and lists the files that are not what was written.
pub async fn run(global: &Global, args: &VerifyArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let progress = terminal.progress();
    let mut outcomes = Vec::new();
    let tables = if args.tables.is_empty() {
        session.lake.catalog.list().await?
    } else {
        let mut tables = Vec::new();
        for name in &args.tables {
            tables.push(session.lake.find_table(name).await?);
        }
        tables
    };
    if args.tables.is_empty()
        && let Some(local) = session.folder()
    {
        progress.step("the state");
        outcomes.push(state(local)?);
    }
    for name in tables {
        let step = &mut |files, size| show(&progress, &name.to_string(), files, size);
        outcomes.push(verify_table(&session.lake, &name, step).await?);
    }
    if args.tables.is_empty() {
        outcomes.extend(raw(&session, &progress).await?);
    }
    drop(progress);
    if terminal.is_json() {
        outcomes
            .iter()
            .try_for_each(|outcome| terminal.json(outcome))?;
    } else {
        print(&session, &outcomes, terminal)?;
    }
    let sound = outcomes.iter().all(|outcome| outcome.faults.is_empty());
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(progress: &Progress, what: &str, files: u64, size: u64) {
    progress.step(format!(
        "{what}: {}, {}",
        plural(files, "file"),
        bytes(size)
    ));
}

async fn raw(session: &Session, progress: &Progress) -> Result<Vec<Outcome>> {
    let step = &mut |files, size| show(progress, "raw", files, size);
    let mut outcomes = vec![verify_raw(&session.lake, step).await?];
    if let Some(local) = session.folder() {
        progress.step("former versions of raw objects");
        let local = local.clone();
        outcomes.push(blocking(move || former_versions(&local)).await?);
    }
    Ok(outcomes)
}

fn state(local: &LocalLake) -> Result<Outcome> {
    let (found, size) = local.check_state()?;
    let faults = found.into_iter().map(|what| Fault {
        key: ".tarn/lake.sqlite".to_owned(),
        part: "state",
        what,
        current: true,
        source: None,
        remedy: tarn_local::LOST_STATE.to_owned(),
    });
    Ok(Outcome {
        subject: "state".to_owned(),
        files: 1,
        bytes: size,
        faults: faults.collect(),
        ..Outcome::default()
    })
}

fn former_versions(local: &LocalLake) -> Result<Outcome> {
    let mut done = Outcome {
        subject: "former versions".to_owned(),
        ..Outcome::default()
    };
    for (key, written, path) in local.former_versions()? {
        done.files += 1;
        let held = Digest::of_file(&path)
            .map_err(|error| {
                Error::new(ErrorKind::Storage, format!("{key} cannot be read")).with_source(error)
            })
            .and_then(|(found, size)| {
                done.bytes += size;
                match written {
                    Some(written) => check(&key, written, found),
                    None => {
                        done.unknown += 1;
                        Ok(())
                    }
                }
            });
        if let Err(error) = held {
            done.faults.push(Fault {
                what: format!("former content: {error}"),
                key,
                part: "former_version",
                current: false,
                source: None,
                remedy: format!(
                    "restore {} from a copy, or delete it: nothing but rows of that version in quarantine \
                     leads to it",
                    path.display()
                ),
            });
        }
    }
    Ok(done)
}

fn print(session: &Session, outcomes: &[Outcome], terminal: &Terminal) -> Result<()> {
    let rows = outcomes
        .iter()
        .map(|outcome| {
            vec![
                outcome.subject.clone(),
                count(outcome.files),
                bytes(outcome.bytes),
                count(outcome.unknown),
                count(outcome.faults.len() as u64),
            ]
        })
        .collect();
    let header = ["what", "files", "size", "no digest known", "faults"];
    terminal.table(&header, &header[1..], rows)?;
    let faults = outcomes
        .iter()
        .flat_map(|outcome| outcome.faults.iter().map(|fault| (&outcome.subject, fault)));
    for (subject, fault) in faults.clone() {
        terminal.fail(&format!("{subject}: {}; {}", fault.what, fault.remedy));
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    if faults.count() == 0 {
        terminal.line("Every file whose digest is known is what was written.")?;
    }
    if sum(|outcome| outcome.unknown) > 0 {
        let known = match session.folder() {
            Some(_) => format!(
                "; the digests of {} are known from now on",
                plural(sum(|outcome| outcome.remembered), "file")
            ),
            None => ", and arrived as S3's checksums say".to_owned(),
        };
        terminal.note(&format!(
            "No digest of {} was known: an older version or another engine wrote them{known}.",
            plural(sum(|outcome| outcome.unknown), "file")
        ));
    }
    let erased = sum(|outcome| outcome.erased);
    if erased > 0 {
        terminal.note(&format!(
            "{} of the ledger is no longer in the raw zone.",
            plural(erased, "object")
        ));
    }
    Ok(())
}
