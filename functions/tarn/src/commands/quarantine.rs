//! `tarn quarantine`

use std::process::ExitCode;

use serde_json::{Map, Value};
use tarn_api::query::{QueryRequest, answer};
use tarn_contract::quarantine::{self, Encoding};
use tarn_contract::{Contract, Format};
use tarn_core::ports::ObjectInfo;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::{blocking, version_parts};
use tarn_rows::source;

use crate::cli::{Global, QuarantineArgs};
use crate::session::{Session, open};
use crate::terminal::{Terminal, plural};

/// The order of the list within a dataset: it does not change while nothing is ingested, so that
/// numbers can be used.
const ORDER: [&str; 4] = ["_ingested_at", "_source_uri", "_source_offset", "_rule"];

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn rows(session: &Session, sql: String) -> Result<Vec<Map<String, Value>>> {
    let request = QueryRequest {
        sql,
        ..QueryRequest::default()
    };
    let rows = answer(&session.lake, request).await?.collect().await?;
    Ok(rows.objects().collect())
}

/// The rejected rows of one dataset that are asked for.
struct Rejected {
    dataset: String,
    /// `FROM … WHERE …`
    from: String,
}

impl Rejected {
    /// Some rows in the order of the list.
    async fn rows(
        &self,
        session: &Session,
        columns: &str,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<Map<String, Value>>> {
        let sql = format!(
            "SELECT {columns} {} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            self.from,
            ORDER.join(", ")
        );
        let dataset = [("dataset".to_owned(), Value::from(self.dataset.as_str()))];
        let rows = rows(session, sql).await?;
        let named = rows
            .into_iter()
            .map(|row| dataset.iter().cloned().chain(row).collect());
        Ok(named.collect())
    }

    async fn count(&self, session: &Session) -> Result<u64> {
        let counted = rows(session, format!("SELECT count(*) AS n {}", self.from)).await?;
        let count = counted.first().and_then(|row| row.get("n"));
        Ok(count.and_then(Value::as_u64).unwrap_or_default())
    }
}

/// The datasets that have a table of rejected rows.
async fn datasets(session: &Session, args: &QuarantineArgs) -> Result<Vec<Rejected>> {
    let filter = match &args.rule {
        Some(rule) => format!(" WHERE _rule = {}", literal(rule)),
        None => String::new(),
    };
    let tables = session.lake.catalog.list().await?;
    let datasets = tables
        .iter()
        .filter_map(|table| Some((table, quarantine::dataset_of(table)?)))
        .filter(|(_, dataset)| {
            args.dataset
                .as_deref()
                .is_none_or(|wanted| wanted == *dataset)
        });
    let rejected = datasets.map(|(table, dataset)| Rejected {
        dataset: dataset.to_owned(),
        from: format!("FROM {table}{filter}"),
    });
    Ok(rejected.collect())
}

/// What a list needs of a row.
const LISTED: &str = "_rule, _column, _reason, _line, _source_uri, _source_offset, _ingested_at";

/// The first rows of all datasets in order of time, and which row of its dataset each is.
async fn first(
    session: &Session,
    datasets: &[Rejected],
    limit: u64,
) -> Result<Vec<(u64, Map<String, Value>)>> {
    let mut all = Vec::new();
    for dataset in datasets {
        let rows = dataset.rows(session, LISTED, limit, 0).await?;
        all.extend((0..).zip(rows));
    }
    // Stable: rows of one dataset stay in their order.
    all.sort_by_cached_key(|(_, row)| (text(row, "_ingested_at"), text(row, "_source_uri")));
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(all)
}

/// Lists rejected rows or shows one.
pub async fn run(global: &Global, args: &QuarantineArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let datasets = datasets(&session, args).await?;
    if datasets.is_empty() {
        terminal.note(&match &args.dataset {
            None => "The quarantine is empty: nothing was ingested yet.".to_owned(),
            Some(dataset) => {
                format!("The quarantine is empty: no object of {dataset} was ingested yet.")
            }
        });
        return Ok(ExitCode::SUCCESS);
    }
    match args.number {
        Some(number) => show(&session, number, &datasets, args.payload, terminal).await?,
        None if args.payload => {
            return Err(Error::new(
                ErrorKind::BadRequest,
                "--payload shows the payload of one row; give its number in the list",
            ));
        }
        None => list(&session, args.limit, &datasets, terminal).await?,
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

async fn list(
    session: &Session,
    limit: usize,
    datasets: &[Rejected],
    terminal: &Terminal,
) -> Result<()> {
    let mut total = 0;
    for dataset in datasets {
        total += dataset.count(session).await?;
    }
    let found: Vec<Map<String, Value>> = first(session, datasets, limit as u64)
        .await?
        .into_iter()
        .map(|(_, row)| row)
        .collect();
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
    session: &Session,
    number: u64,
    datasets: &[Rejected],
    payload: bool,
    terminal: &Terminal,
) -> Result<()> {
    if number == 0 {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "rejected rows are numbered from 1; list them with: tarn quarantine",
        ));
    }
    let listed = first(session, datasets, number).await?;
    let unknown = || {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no rejected row {number}; list them with: tarn quarantine"),
        )
    };
    let (place, row) = listed
        .last()
        .filter(|_| listed.len() as u64 == number)
        .ok_or_else(unknown)?;
    let dataset = datasets
        .iter()
        .find(|dataset| row.get("dataset") == Some(&Value::from(dataset.dataset.as_str())))
        .ok_or_else(unknown)?;
    let rows = dataset.rows(session, "*", 1, *place).await?;
    let row = rows.into_iter().next().ok_or_else(unknown)?;
    if payload {
        return show_payload(session, &row, terminal).await;
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
    session: &Session,
    row: &Map<String, Value>,
    terminal: &Terminal,
) -> Result<()> {
    let (dataset, uri) = (text(row, "dataset"), text(row, "_source_uri"));
    let contract = session
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
    let key = session
        .lake
        .objects
        .key_of(&uri)
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{uri} is not in this lake")))?;
    let source_version = text(row, "_source_version");
    let (version, sequencer) = version_parts(&source_version);
    let copy = session
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
        let (payload, _) = tarn_rows::display::payload_text(&payload);
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
