//! `tarn tables` and `tarn versions`

use std::process::ExitCode;

use chrono::SecondsFormat;
use serde_json::json;
use tarn_core::Result;

use crate::cli::{Global, VersionsArgs};
use crate::session::{Session, open};
use crate::terminal::{Terminal, count};

/// Lists the tables.
pub async fn list(global: &Global, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let infos = session.lake.table_infos().await?;
    if terminal.is_json() {
        for info in infos {
            terminal.json(&json!({
                "table": info.name.to_string(),
                "description": info.doc,
                "rows": info.rows,
                "files": info.files,
                "versions": info.versions,
                "metadata_location": info.metadata_location,
            }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows = infos
        .into_iter()
        .map(|info| {
            vec![
                info.name.to_string(),
                count(info.rows),
                count(info.files),
                count(info.versions),
                info.doc,
            ]
        })
        .collect();
    terminal.table(
        &["table", "rows", "files", "versions", "description"],
        &["rows", "files", "versions"],
        rows,
    )?;
    note_place(&session, terminal);
    Ok(ExitCode::SUCCESS)
}

/// Says where other readers of a moved lake look for its files.
pub fn note_place(session: &Session, terminal: &Terminal) {
    if let Some(recorded) = session
        .folder()
        .and_then(|local| local.recorded_elsewhere())
    {
        terminal.note(&format!(
            "The tables' metadata name {recorded}, where the lake was recorded: other programs read them after \
             tarn relocate."
        ));
    }
}

/// Lists the versions of a table.
pub async fn versions(
    global: &Global,
    args: &VersionsArgs,
    terminal: &Terminal,
) -> Result<ExitCode> {
    let session = open(global).await?;
    let name = session.lake.find_table(&args.table).await?;
    let table = session.lake.table(&name).await?;
    if terminal.is_json() {
        for version in table.versions() {
            terminal.json(&json!({
                "version": version.number,
                "snapshot_id": version.snapshot_id.to_string(),
                "committed_at": version.committed_at.to_rfc3339_opts(SecondsFormat::Millis, true),
                "operation": version.operation,
                "rows": version.rows,
                "files": version.files,
                "summary": version.summary,
            }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows = table
        .versions()
        .iter()
        .map(|version| {
            vec![
                version.number.to_string(),
                version
                    .committed_at
                    .to_rfc3339_opts(SecondsFormat::Millis, true),
                version.operation.clone(),
                count(version.rows),
                count(version.files),
                version.snapshot_id.to_string(),
            ]
        })
        .collect();
    terminal.table(
        &[
            "version",
            "committed (UTC)",
            "operation",
            "rows",
            "files",
            "snapshot",
        ],
        &["version", "rows", "files", "snapshot"],
        rows,
    )?;
    Ok(ExitCode::SUCCESS)
}
