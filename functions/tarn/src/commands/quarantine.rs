//! `tarn quarantine`

use std::process::ExitCode;

use serde_json::{Map, Value};
use tarn_api::query::{QueryRequest, answer};
use tarn_core::{Error, ErrorKind, Result, quarantine};

use crate::cli::{Global, QuarantineArgs};
use crate::setting::{Setting, open};
use crate::terminal::{Terminal, plural};

/// The order of the list: it does not change while nothing is ingested, so that numbers can be used.
const ORDER: &str = "_ingested_at, _source_uri, _source_offset, dataset, rule";

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

/// Lists rejected rows or shows one.
pub async fn run(global: &Global, args: &QuarantineArgs, terminal: &Terminal) -> Result<ExitCode> {
    let setting = open(global).await?;
    if setting
        .lake
        .tables
        .load(&quarantine::table_spec().name)
        .await?
        .is_none()
    {
        terminal.note("The quarantine is empty: nothing was ingested yet.");
        return Ok(ExitCode::SUCCESS);
    }
    let mut conditions = Vec::new();
    if let Some(dataset) = &args.dataset {
        conditions.push(format!("dataset = {}", literal(dataset)));
    }
    if let Some(rule) = &args.rule {
        conditions.push(format!("rule = {}", literal(rule)));
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    match args.number {
        Some(number) => show(&setting, number, &filter, terminal).await?,
        None => list(&setting, args.limit, &filter, terminal).await?,
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

async fn list(setting: &Setting, limit: usize, filter: &str, terminal: &Terminal) -> Result<()> {
    let table = quarantine::table_spec().name;
    let total = rows(
        setting,
        format!("SELECT count(*) AS rejected FROM {table} {filter}"),
    )
    .await?;
    let total = total
        .first()
        .and_then(|row| row.get("rejected"))
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let sql = format!(
        "SELECT dataset, rule, column_name, reason, line, _source_uri, _source_offset FROM {table} {filter} \
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
            let place = match row.get("line") {
                None | Some(Value::Null) => format!("at {}", text(row, "_source_offset")),
                Some(line) => format!("line {line}"),
            };
            let object = uri.rsplit('/').next().unwrap_or_default().to_owned();
            vec![
                (index + 1).to_string(),
                text(row, "dataset"),
                text(row, "rule"),
                text(row, "reason"),
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

async fn show(setting: &Setting, number: u64, filter: &str, terminal: &Terminal) -> Result<()> {
    let table = quarantine::table_spec().name;
    let offset = number.checked_sub(1).ok_or_else(|| {
        Error::new(
            ErrorKind::BadRequest,
            "rejected rows are numbered from 1; list them with: tarn quarantine",
        )
    })?;
    let sql = format!("SELECT * FROM {table} {filter} ORDER BY {ORDER} LIMIT 1 OFFSET {offset}");
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
    if terminal.is_json() {
        return terminal.json(&row);
    }
    for (label, name) in [
        ("dataset", "dataset"),
        ("rule", "rule"),
        ("column", "column_name"),
        ("reason", "reason"),
        ("object", "_source_uri"),
        ("version", "_source_version"),
        ("line", "line"),
        ("offset", "_source_offset"),
        ("run", "_run_id"),
        ("rejected", "_ingested_at"),
        ("encoding", "payload_encoding"),
        ("bytes", "payload_bytes"),
    ] {
        let value = text(&row, name);
        if !value.is_empty() {
            terminal.line(format!("{label:<9} {value}"))?;
        }
    }
    terminal.line("payload")?;
    terminal.line(text(&row, "payload"))
}
