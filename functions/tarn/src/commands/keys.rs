//! `tarn keys`

use std::process::ExitCode;

use chrono::SecondsFormat;
use tarn_api::query::{QueryRequest, answer};
use tarn_core::Result;
use tarn_core::schema::system;
use tarn_lake::{Lake, UsedKey};

use crate::cli::{Global, KeysCommand};
use crate::session::{create, open};
use crate::terminal::Terminal;

/// The greatest version of a key that rows name, where the ledger does not know the last one used.
async fn seen_version(lake: &Lake) -> Result<u32> {
    let mut seen = 0;
    if lake.used_key().await? != UsedKey::Unknown {
        return Ok(seen);
    }
    let column = system::KEY_VERSION;
    for contract in lake.contracts.iter() {
        let table = contract.table();
        let spec = lake.catalog.describe(&table).await?;
        if !spec.is_some_and(|spec| spec.fields.iter().any(|field| field.name == column)) {
            continue;
        }
        let request = QueryRequest {
            sql: format!("SELECT MAX({column}) AS version FROM {table}"),
            ..QueryRequest::default()
        };
        let rows = answer(lake, request).await?.collect().await?;
        let first = rows.objects().next().unwrap_or_default();
        let version = first.get("version").and_then(serde_json::Value::as_u64);
        let version = version.unwrap_or_default();
        seen = seen.max(u32::try_from(version).unwrap_or_default());
    }
    Ok(seen)
}

/// Lists the keys of pseudonyms or adds one.
pub async fn run(global: &Global, command: &KeysCommand, terminal: &Terminal) -> Result<ExitCode> {
    match command {
        KeysCommand::Rotate(args) => {
            // A lake may have its keys before its first rows.
            let lake = create(global).await?.lake;
            let added = if args.lost {
                lake.replace_lost_key(seen_version(&lake).await?).await?
            } else {
                lake.rotate_key().await?
            };
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
            let lake = open(global).await?.lake;
            let infos = lake.keys.list().await?;
            if terminal.is_json() {
                infos.iter().try_for_each(|info| terminal.json(info))?;
                return Ok(ExitCode::SUCCESS);
            }
            if infos.is_empty() {
                terminal.note(match lake.used_key().await? {
                    UsedKey::None => {
                        "There is no key yet; the first is made when personal data is ingested."
                    }
                    _ => {
                        "The keys that rows of this lake were made with are lost: restore them from a backup."
                    }
                });
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
