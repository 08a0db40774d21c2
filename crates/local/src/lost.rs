//! A state file that is lost beside a full folder: it must not open as an empty lake.

use std::path::Path;

use rusqlite::Connection;
use tarn_core::layout::RAW;
use tarn_core::schema::Zone;
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::{LOST_STATE, io_error, sqlite_error};
use crate::key::STATE;
use crate::{db, files};

/// What suggests that the folder had a state, as a half sentence; None where nothing does.
fn evidence(root: &Path) -> Result<Option<String>> {
    let failed = |error| io_error(error, format!("cannot look at {}", root.display()));
    let tables = tables(root)?;
    if !tables.is_empty() {
        return Ok(Some(named(&tables)));
    }
    // A raw zone alone may have been prepared by hand. Processes leave locks where a lake was worked on.
    let state = root.join(STATE);
    let mut traces = db::files(&state).into_iter().chain([state.join("locks")]);
    if traces.any(|path| path.exists()) && has_file(&root.join(RAW)).map_err(failed)? {
        return Ok(Some("the folder has raw objects".to_owned()));
    }
    Ok(None)
}

/// Refuses a state that is missing or empty, where the folder says that there was one.
pub(crate) fn refuse_loss(root: &Path) -> Result<()> {
    let state = root.join(STATE);
    if db::is_lost(&state)?.is_none() {
        return Ok(());
    }
    let evidence = evidence(root)?;
    // Another process may have made the lake meanwhile.
    match (db::is_lost(&state)?, evidence) {
        (Some(how), Some(evidence)) => Err(lost(how, &evidence)),
        _ => Ok(()),
    }
}

/// Refuses a state that knows nothing at all beside tables: it replaced the lake's own.
pub(crate) fn refuse_ignorance(db: &db::Db, root: &Path) -> Result<()> {
    let knows = |connection: &Connection| -> Result<bool> {
        connection
            .query_row(
                "SELECT EXISTS(SELECT 1 FROM catalog_table) OR EXISTS(SELECT 1 FROM ledger_run) \
                 OR EXISTS(SELECT 1 FROM ledger_object)",
                [],
                |row| row.get(0),
            )
            .map_err(sqlite_error)
    };
    if db.read(knows)? {
        return Ok(());
    }
    // A raw zone alone may have been prepared by hand, and no state knows of it.
    let tables = tables(root)?;
    // Another process may have made the first table meanwhile.
    match tables.first() {
        Some(_) if !db.read(knows)? => Err(lost("knows no table, run or object", &named(&tables))),
        _ => Ok(()),
    }
}

fn lost(how: &str, evidence: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("the lake's state file .tarn/lake.sqlite {how}, while {evidence}: {LOST_STATE}"),
    )
}

fn named(tables: &[String]) -> String {
    match tables {
        [] => "the folder has no table".to_owned(),
        [one] => format!("the folder has the table {one}"),
        [first, ..] => format!("the folder has {} tables, {first} among them", tables.len()),
    }
}

/// The tables that the folder has files of, in order.
fn tables(root: &Path) -> Result<Vec<String>> {
    let failed = |error| io_error(error, format!("cannot look at {}", root.display()));
    let mut tables = Vec::new();
    for zone in Zone::ALL {
        for entry in files::entries(&root.join(zone.as_str())).map_err(failed)? {
            if entry.path().join("metadata").is_dir() {
                tables.push(format!("{}.{}", zone.as_str(), entry.file_name().display()));
            }
        }
    }
    tables.sort();
    Ok(tables)
}

/// Whether there is a file below a folder.
pub(crate) fn has_file(folder: &Path) -> std::io::Result<bool> {
    for entry in files::entries(folder)? {
        // A link may lead to a file or to a folder of files.
        if !entry.file_type()?.is_dir() || has_file(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}
