//! `tarn keys`

use std::process::ExitCode;

use chrono::SecondsFormat;
use tarn_core::Result;

use crate::cli::{Global, KeysCommand};
use crate::setting::{create, open};
use crate::terminal::Terminal;

/// Lists the keys of pseudonyms or adds one.
pub async fn run(global: &Global, command: &KeysCommand, terminal: &Terminal) -> Result<ExitCode> {
    match command {
        KeysCommand::Rotate => {
            // A lake may have its keys before its first rows.
            let keys = create(global).await?.lake.keys;
            let added = keys.rotate().await?;
            if terminal.is_json() {
                terminal.json(&added)?;
            } else {
                terminal.line(format!(
                    "version {} is used for new rows from now on",
                    added.version
                ))?;
            }
        }
        KeysCommand::List => {
            let keys = open(global).await?.lake.keys;
            let infos = keys.list().await?;
            if terminal.is_json() {
                infos.iter().try_for_each(|info| terminal.json(info))?;
                return Ok(ExitCode::SUCCESS);
            }
            if infos.is_empty() {
                terminal
                    .note("There is no key yet; the first is made when personal data is ingested.");
                return Ok(ExitCode::SUCCESS);
            }
            let newest = infos.iter().map(|info| info.version).max();
            let lines = infos
                .iter()
                .map(|info| {
                    vec![
                        info.version.to_string(),
                        info.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                        if Some(info.version) == newest {
                            "new rows"
                        } else {
                            ""
                        }
                        .to_owned(),
                    ]
                })
                .collect();
            terminal.table(&["version", "made (UTC)", "used for"], &["version"], lines)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
