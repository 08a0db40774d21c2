//! `tarn quarantine`

use std::process::ExitCode;

use serde_json::{Map, Value};
use tarn_api::query::{QueryRequest, answer};
use tarn_core::contract::{Contract, Format};
use tarn_core::ports::ObjectInfo;
use tarn_core::quarantine::{self, Encoding};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::source;
use tarn_lake::{blocking, version_parts};

use crate::cli::{Global, QuarantineArgs};
use crate::setting::{Setting, open};
use crate::terminal::{Terminal, plural};

/// The order of the list: it does not change while nothing is ingested, so that numbers can be used.
const ORDER: &str = "_ingested_at, _source_uri, _source_offset, dataset, _rule";

/// What every table of rejected rows has.
const COLUMNS: &str = "_rule, _column, _reason, _line, _source_uri, _source_offset, _source_version, \
     _run_id, _ingested_at, _contract_version, _payload_encoding, _payload_bytes, _payload_hash, _payload";

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn rows(setting: &Setting, sql: String) -> Result<Vec<Map<String, Value>>> {
    let request = QueryRequest {
        sql,
        ..QueryRequest::default()
    };
    answer(&setting.lake, request).await?.objects().collect()
}

/// The rejected rows of all datasets that are asked for, as a subquery; None where no dataset has a table.
async fn union(setting: &Setting, args: &QuarantineArgs) -> Result<Option<String>> {
    let filter = match &args.rule {
        Some(rule) => format!(" WHERE _rule = {}", literal(rule)),
        None => String::new(),
    };
    let tables = setting.lake.catalog.list().await?;
    let parts: Vec<String> = tables
        .iter()
        .filter_map(|table| Some((table, quarantine::dataset_of(table)?)))
        .filter(|(_, dataset)| {
            args.dataset
                .as_deref()
                .is_none_or(|wanted| wanted == *dataset)
        })
        .map(|(table, dataset)| {
            let dataset = literal(dataset);
            format!("SELECT {dataset} AS dataset, {COLUMNS} FROM {table}{filter}")
        })
        .collect();
    Ok((!parts.is_empty()).then(|| format!("({}) AS rejected", parts.join(" UNION ALL "))))
}

/// Lists rejected rows or shows one.
pub async fn run(global: &Global, args: &QuarantineArgs, terminal: &Terminal) -> Result<ExitCode> {
    let setting = open(global).await?;
    let Some(union) = union(&setting, args).await? else {
        terminal.note(&match &args.dataset {
            None => "The quarantine is empty: nothing was ingested yet.".to_owned(),
            Some(dataset) => {
                format!("The quarantine is empty: nothing of {dataset} was ingested yet.")
            }
        });
        return Ok(ExitCode::SUCCESS);
    };
    match args.number {
        Some(number) => show(&setting, number, &union, args.payload, terminal).await?,
        None if args.payload => {
            return Err(Error::new(
                ErrorKind::BadRequest,
                "--payload shows the payload of one row; give its number in the list",
            ));
        }
        None => list(&setting, args.limit, &union, terminal).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(row: &Map<String, Value>, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

async fn list(setting: &Setting, limit: usize, union: &str, terminal: &Terminal) -> Result<()> {
    let total = rows(setting, format!("SELECT count(*) AS n FROM {union}")).await?;
    let total = total
        .first()
        .and_then(|row| row.get("n"))
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let sql = format!(
        "SELECT dataset, _rule, _column, _reason, _line, _source_uri, _source_offset FROM {union} \
         ORDER BY {ORDER} LIMIT {limit}"
    );
    let found = rows(setting, sql).await?;
    if terminal.is_json() {
        for (index, row) in found.into_iter().enumerate() {
            let mut numbered = Map::from_iter([("number".to_owned(), Value::from(index + 1))]);
            numbered.extend(row);
            terminal.json(&numbered)?;
        }
        return Ok(());
    }
    let lines = found
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let uri = text(row, "_source_uri");
            let place = match row.get("_line") {
                None | Some(Value::Null) => format!("at {}", text(row, "_source_offset")),
                Some(line) => format!("line {line}"),
            };
            let object = uri.rsplit('/').next().unwrap_or_default().to_owned();
            vec![
                (index + 1).to_string(),
                text(row, "dataset"),
                text(row, "_rule"),
                text(row, "_reason"),
                format!("{object} {place}"),
            ]
        })
        .collect();
    terminal.table(
        &["no", "dataset", "rule", "reason", "where"],
        &["no"],
        lines,
    )?;
    let shown = found.len() as u64;
    let more = if shown < total {
        format!("; {shown} shown, see --limit")
    } else {
        String::new()
    };
    terminal.line(format!("{}{more}", plural(total, "rejected row")))?;
    terminal.note("Show one with: tarn quarantine NO");
    Ok(())
}

async fn show(
    setting: &Setting,
    number: u64,
    union: &str,
    payload: bool,
    terminal: &Terminal,
) -> Result<()> {
    let offset = number.checked_sub(1).ok_or_else(|| {
        Error::new(
            ErrorKind::BadRequest,
            "rejected rows are numbered from 1; list them with: tarn quarantine",
        )
    })?;
    let sql = format!("SELECT * FROM {union} ORDER BY {ORDER} LIMIT 1 OFFSET {offset}");
    let row = rows(setting, sql)
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no rejected row {number}; list them with: tarn quarantine"),
            )
        })?;
    if payload {
        return show_payload(setting, &row, terminal).await;
    }
    if terminal.is_json() {
        return terminal.json(&row);
    }
    for (label, name) in [
        ("dataset", "dataset"),
        ("rule", "_rule"),
        ("column", "_column"),
        ("reason", "_reason"),
        ("object", "_source_uri"),
        ("version", "_source_version"),
        ("line", "_line"),
        ("offset", "_source_offset"),
        ("run", "_run_id"),
        ("rejected", "_ingested_at"),
        ("contract", "_contract_version"),
        ("encoding", "_payload_encoding"),
        ("bytes", "_payload_bytes"),
        ("hash", "_payload_hash"),
    ] {
        let value = text(&row, name);
        if !value.is_empty() {
            terminal.line(format!("{label:<9} {value}"))?;
        }
    }
    if text(&row, "_payload_encoding") == Encoding::Withheld.as_str() {
        terminal.note("The payload is withheld: it may hold personal data. Read it from the raw object with --payload");
        return Ok(());
    }
    terminal.line("payload")?;
    terminal.line(text(&row, "_payload"))
}

/// Reads the payload from the raw object, as it was received.
async fn show_payload(
    setting: &Setting,
    row: &Map<String, Value>,
    terminal: &Terminal,
) -> Result<()> {
    let (dataset, uri) = (text(row, "dataset"), text(row, "_source_uri"));
    let contract = setting
        .lake
        .contracts
        .get(&dataset)
        .cloned()
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("no contract describes {dataset}; name those that do with --contracts"),
            )
        })?;
    let key = setting.lake.objects.key_of(&uri).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("{uri} is in another lake than this one"),
        )
    })?;
    let source_version = text(row, "_source_version");
    let (version, sequencer) = version_parts(&source_version);
    let copy = setting
        .lake
        .objects
        .fetch_version(&ObjectInfo {
            key,
            size: 0,
            version: version.to_owned(),
            sequencer: sequencer.to_owned(),
            last_modified: chrono::Utc::now(),
        })
        .await?;
    let offset = row
        .get("_source_offset")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    let payloads = blocking(move || payloads(&contract, copy.path(), offset)).await?;
    if payloads.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("{uri} has no row at {offset} under the present contract of {dataset}"),
        ));
    }
    for payload in payloads {
        let (payload, _) = tarn_engine::quarantine::payload_text(&payload);
        if terminal.is_json() {
            terminal.json(&serde_json::json!({ "payload": payload }))?;
        } else {
            terminal.line(payload)?;
        }
    }
    Ok(())
}

fn payloads(contract: &Contract, path: &std::path::Path, offset: i64) -> Result<Vec<Vec<u8>>> {
    if contract.format == Format::Sqlite {
        let database = source::sqlite::Database::open(path)?;
        let (_, mut reader) = database.table(contract)?;
        return source::payloads_at(contract, &mut reader, offset);
    }
    source::payloads_at(contract, source::open(contract, path)?.as_mut(), offset)
}
